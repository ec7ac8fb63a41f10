"""All chapters in number order through the kernel, as a reader steps through them, after a quick run and after nothing."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from project import Workflow

from chaoslib.pipeline import saving

pytestmark = pytest.mark.end_to_end

CHAPTERS = """01_data 02_windows 03_vae 04_probe 05_latents 06_diffusion 07_conditional 08_timegan 09_evaluation 10_scorecard
11_stress_test""".split()
SMALLER = {  # than what a reader gets; what is not here is as short as `SHORT` makes it
    "06_diffusion": {"EPOCHS": 8, "N_SAMPLES": 300},
    "07_conditional": {"N_SAMPLES": 200, "N_MATCHED": 200, "STEPS": 10, "GRID": 5, "GRID_SAMPLES": 50},
    "08_timegan": {"EPOCHS": 1, "N_CHECK": 100, "N_SAMPLES": 300},
    "09_evaluation": {"N_SAMPLES": 500},
}


class Walk:
    """A copy of the project in which chapters are run by hand; `texts` holds what each of them said."""

    def __init__(self, project: Workflow):
        self.project, self.texts, self.failed = project, {}, {}

    def through(self, chapters: list[str]) -> "Walk":
        for chapter in chapters:
            executed = self.project.folder / f"{chapter}.executed.ipynb"
            smaller = [part for key, value in SMALLER.get(chapter, {}).items() for part in ("-p", key, str(value))]
            command = [sys.executable, "-m", "papermill", f"notebooks/{chapter}.ipynb", executed, "-k", "python3"]
            command += ["--cwd", "notebooks", "--no-progress-bar", *smaller]
            environment = self.project.environment | {"OMP_NUM_THREADS": "1"}
            result = subprocess.run(command, cwd=self.project.folder, env=environment, capture_output=True, text=True)
            cells = json.loads(executed.read_text())["cells"]
            outputs = [output for cell in cells for output in cell.get("outputs", [])]
            self.texts[chapter] = "".join("".join(output.get("text", "")) for output in outputs)
            if result.returncode:
                errors = [output for output in outputs if output["output_type"] == "error"]
                self.failed[chapter] = f"{errors[0]['ename']}: {errors[0]['evalue']}" if errors else result.stderr
        return self


@pytest.fixture(scope="module")
def walks(root, quick_run, tmp_path_factory) -> dict[str, Walk]:
    """Both at once: the suite has two cores."""
    after_quick, from_nothing = (Workflow(root, tmp_path_factory.mktemp(name)) for name in ("quick", "nothing"))
    shutil.copytree(quick_run.run_dir, after_quick.run_dir)
    with ThreadPoolExecutor(2) as pool:
        begun = {name: pool.submit(Walk(project).through, CHAPTERS) for name, project in (
            ("quick", after_quick), ("nothing", from_nothing))}  # fmt: skip
        return {name: walk.result() for name, walk in begun.items()}


def test_after_a_quick_run_every_chapter_works(walks):
    assert walks["quick"].failed == {}
    made = {path.parent.name for path in walks["quick"].project.folder.glob("runs/lab/**/SHA256SUMS")}
    assert {name.split(".")[0] for name in made} == set(CHAPTERS)


def test_each_says_what_it_read_and_from_where(walks):
    texts = walks["quick"].texts
    lab, quick = (
        {chapter: set(re.findall(rf"^read from {base}: (.*)$", text, flags=re.M)) for chapter, text in texts.items()}
        for base in ("runs/lab", "runs/quick/sp500_logret")
    )
    assert lab["06_diffusion"] == {"seed0/03_vae.gaussian, seed0/05_latents.gaussian"}
    assert quick["06_diffusion"] == set()
    assert lab["07_conditional"] == {"02_windows"}
    (line,) = quick["07_conditional"]
    assert "seed0/06_diffusion.cond_end" in line
    (line,) = lab["09_evaluation"]
    assert {"seed0/06_diffusion.post", "seed0/07_conditional", "seed0/08_timegan.full"} <= set(line.split(", "))
    (line,) = quick["09_evaluation"]
    assert {"seed0/06_diffusion.mu", "seed0/08_timegan.stress"} <= set(line.split(", "))


def test_each_says_what_is_small_and_how_to_have_the_papers_settings(walks):
    for chapter in (
        "03_vae",
        "06_diffusion",
        "07_conditional",
        "08_timegan",
        "09_evaluation",
        "10_scorecard",
        "11_stress_test",
    ):
        assert re.search(r"^short: .*\(paper: .*SHORT = False", walks["quick"].texts[chapter], flags=re.M), chapter


def test_with_nothing_run_before_each_works_or_names_what_to_run_first(walks):
    walk = walks["nothing"]
    assert set(walk.failed) == {"07_conditional", "09_evaluation", "10_scorecard", "11_stress_test"}
    for chapter, text in walk.failed.items():
        assert text.startswith("MissingArtefact: not run yet"), chapter
        assert "`make quick`" in text
        assert "papermill notebooks/" in text
    assert "left out, not run: 03_vae.cond_end" in walk.texts["04_probe"]


def test_git_sees_no_outputs_that_lab_saved(root, tmp_path):
    """The filter that `make lab` sets up, on an executed notebook with what JupyterLab adds."""
    project = Workflow(root, tmp_path)
    for name in (".gitattributes", "Makefile"):
        shutil.copy(root / name, project.folder)
    (project.folder / ".venv/bin").mkdir(parents=True)
    (project.folder / ".venv/bin/nbstripout").symlink_to(Path(sys.executable).with_name("nbstripout"))

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    recipe = subprocess.run(
        ["make", "-n", "-o", ".venv/installed", "lab"], cwd=project.folder, capture_output=True, text=True
    )
    (line,) = (line for line in recipe.stdout.splitlines() if "git config" in line)
    subprocess.run(["bash", "-c", line.lstrip("-")], cwd=project.folder, check=True)
    git("add", "notebooks", ".gitattributes")
    git("commit", "-qm", "all")
    path = project.folder / "notebooks/03_vae.ipynb"
    notebook = json.loads(path.read_text())
    stream = {"name": "stdout", "output_type": "stream", "text": ["hello"]}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell |= {"outputs": [stream], "execution_count": number + 1}
            cell["metadata"]["execution"] = {"iopub.status.busy": "now"}
    kernel = {"codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py", "mimetype": "text/x-python"}
    kernel |= {"name": "python", "nbconvert_exporter": "python", "pygments_lexer": "ipython3", "version": "3.11.7"}
    notebook["metadata"] |= {"language_info": kernel, "widgets": {"application/vnd.jupyter.widget-state+json": {}}}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    assert git("diff", "notebooks") == ""
    saving.refresh_git(str(path), {"type": "notebook"})
    assert git("status", "--porcelain", "notebooks") == ""
    assert git("diff", "notebooks") == ""
    path.write_text(path.read_text().replace("EPOCHS: int = 200", "EPOCHS: int = 20"))
    saving.refresh_git(str(path), {"type": "notebook"})
    assert git("status", "--porcelain", "notebooks") == " M notebooks/03_vae.ipynb\n"  # not staged
    (project.folder / ".venv/bin/nbstripout").unlink()  # as after `make clean`: nothing is lost
    assert "EPOCHS: int = 20" in git("diff", "notebooks")
