"""All chapters in number order through the kernel, as a reader steps through them, with nothing run before."""

import json
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from project import CHAPTERS, Walk, Workflow

from chaoslib.pipeline import saving

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def walk(root, tmp_path_factory) -> Walk:
    return Walk(Workflow(root, tmp_path_factory.mktemp("nothing"))).through(CHAPTERS)


def test_with_nothing_run_before_each_works_or_names_what_to_run_first(walk):
    assert set(walk.failed) == {"07_conditional", "09_evaluation", "10_scorecard", "11_stress_test"}
    for chapter, text in walk.failed.items():
        assert text.startswith("MissingArtefact: not run yet"), chapter
        assert "`make quick`" in text
        assert "papermill notebooks/" in text
    assert "left out, not run: 03_vae.cond_end" in walk.texts["04_probe"]


def test_the_server_goes_on_while_git_looks_at_a_notebook(monkeypatch, tmp_path):
    seen, may_end = queue.Queue(), threading.Event()
    monkeypatch.setattr(saving, "refresh", lambda path: may_end.wait() and seen.put(path))
    saving.refresh_git(str(tmp_path / "a.txt"), {"type": "file"})
    saving.refresh_git(str(tmp_path / "b.ipynb"), {"type": "notebook"})
    may_end.set()  # the hook has come back before
    assert seen.get(timeout=60) == tmp_path / "b.ipynb"
    assert seen.empty()


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
    saving.refresh(path)
    assert git("status", "--porcelain", "notebooks") == ""
    assert git("diff", "notebooks") == ""
    path.write_text(path.read_text().replace("EPOCHS: int = 200", "EPOCHS: int = 20"))
    saving.refresh(path)
    assert git("status", "--porcelain", "notebooks") == " M notebooks/03_vae.ipynb\n"  # not staged
    (project.folder / ".venv/bin/nbstripout").unlink()  # as after `make clean`: nothing is lost
    assert "EPOCHS: int = 20" in git("diff", "notebooks")
