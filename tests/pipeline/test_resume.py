"""What the workflow does again: the real rules and the real wrapper, on notebooks that only note that they were run.

In place of papermill stands a program that loads what a stage reads and writes its params: an edit of code, or of what
is read, leaves such a result as it was, an edit of params does not.
"""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import publish
import pytest
from project import Workflow, edited, places_in

from chaoslib import figures
from chaoslib.pipeline import artefacts, runs, stages

pytestmark = pytest.mark.end_to_end

PAPERMILL = """
import json, os, pathlib, sys
import yaml
from chaoslib.pipeline import artefacts, runs, stages

notebook, log, *flags = sys.argv[1:]
options = list(zip(flags, flags[1:], flags[2:] + [""]))
root = pathlib.Path(next(b for a, b, _ in options if a == "--cwd"))
params = {}
for flag, first, second in options:
    if flag == "-f":
        params |= yaml.safe_load(pathlib.Path(first).read_text())
    elif flag == "-y":
        params |= yaml.safe_load(first)
    elif flag in ("-p", "-r"):
        params[first] = yaml.safe_load(second) if flag == "-p" else second
log = pathlib.Path(log).absolute()
os.chdir(root)
run = runs.Run(pathlib.Path(notebook).stem, params, root)
if (crash := root / f"crash.{run.node}").exists():
    crash.unlink()
    log.write_text(json.dumps({"cells": [{"execution_count": None, "outputs": []}]}))
    sys.exit("ZMQError: Address already in use")
try:
    run.require_made()
    if params.get("STRESS_VIX") and "RAISE = " in (text := (root / notebook).read_text()):
        ename = text.split("RAISE = '")[1].split("'")[0]
        raise type(ename, (Exception,), {})("too little stress")
except Exception as error:
    output = {"output_type": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": []}
    log.write_text(json.dumps({"cells": [{"outputs": [output]}]}))
    sys.exit(f"{type(error).__name__}: {error}")
for value in params.values():
    named = stages.upstream(root, {"": value})
    for node in run.nodes(value) if named else []:
        for seed in params.get("SEEDS", [run.seed]):
            run.load(node, seed=seed)
if "FAIL = True" in (root / notebook).read_text():
    sys.exit("ValueError: this notebook fails")
run.save({"out.json": {key: value for key, value in params.items() if key != "RUN_DIR"}})
log.write_text("{}")
with (root / "executed.log").open("a") as file:
    file.write(stages.place(run.node, run.seed) + "\\n")
"""


PUBLISH = """
import pathlib, sys
from publish_all import finished_nodes

run, to, _, *seeds = sys.argv[1:]
finished_nodes(pathlib.Path(run), [int(seed) for seed in seeds])
pathlib.Path(to).mkdir(parents=True, exist_ok=True)
(pathlib.Path(to) / "run_metadata.json").write_text("{}")
"""


class Noted(Workflow):
    """The same with papermill replaced, and of publishing the checks alone."""

    def __init__(self, root, folder):
        super().__init__(root, folder)
        (self.folder / "papermill").mkdir()
        (self.folder / "papermill/__init__.py").touch()
        (self.folder / "papermill/__main__.py").write_text(PAPERMILL.replace("\\\\n", "\\n"))
        (self.folder / "workflow/publish.py").rename(self.folder / "workflow/publish_all.py")
        (self.folder / "workflow/publish.py").write_text(PUBLISH)
        for name in ("report", "typeset", "check"):
            (self.folder / f"workflow/{name}.py").write_text("")

    def executed(self, *flags: str, **config: str) -> list[str]:
        """Make a call; the places whose notebooks it ran."""
        log = self.folder / "executed.log"
        log.unlink(missing_ok=True)
        result = self.call(*flags, **config)
        assert result.returncode == 0, result.stdout + result.stderr
        self.output = result.stdout + result.stderr
        return sorted(log.read_text().split()) if log.exists() else []


@pytest.fixture(scope="module")
def project(root, tmp_path_factory) -> Noted:
    noted = Noted(root, tmp_path_factory.mktemp("noted"))
    assert noted.executed() == sorted(stages.place(node, 0) for node in stages.nodes(root))
    return noted


def test_a_finished_checkout_has_nothing_to_run_where_it_is_moved_or_copied(project, tmp_path):
    assert project.planned() == set()
    stood, moved = project.folder, tmp_path / "elsewhere with spaces"
    project.folder = stood.rename(moved)
    try:
        assert project.planned() == set()
        assert project.executed() == []
    finally:
        project.folder = moved.rename(stood)
    project.folder = shutil.copytree(stood, tmp_path / "copy", copy_function=shutil.copyfile)  # every file is new
    try:
        assert project.planned() == set()
    finally:
        project.folder = stood
    assert project.planned() == set()


def test_a_stage_that_makes_what_it_made_reruns_nothing_after_it(project):
    notebook = project.folder / "notebooks/02_windows.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][1]["source"] = ["".join(content["cells"][1]["source"]) + "\nunused = 1"]
    with edited(notebook, json.dumps(content)):
        assert len(project.planned()) > 20  # what snakemake alone would run
        assert project.executed() == ["02_windows"]
        assert "seed0/03_vae.mse: unchanged" in project.output
        executed = list((project.run_dir / "logs").rglob("*.ipynb"))
        assert len(executed) > 20
        assert all(path.read_text() == "{}" for path in executed)  # as the program above left them
        assert project.planned() == set()
    assert project.executed(target="quick/sp500_logret/02_windows/SHA256SUMS") == ["02_windows"]  # the edit is taken back
    assert project.planned() == set()  # digests are what they were


READERS = ["04_probe", "05_latents.gaussian", "06_diffusion.mu", "06_diffusion.post"]


def test_a_stage_that_makes_something_else_reruns_what_reads_it_and_no_more(project):
    """What reads it makes what it made, so that what reads that in turn stays as it is; and all of it can be published."""
    params = project.folder / "params/quick/03_vae.gaussian.yaml"
    expected = ["09_evaluation", "10_scorecard", "seed0/03_vae.gaussian", *(f"seed0/{node}" for node in READERS)]
    with edited(params, re.sub(r"^N_SAMPLES:.*$", "N_SAMPLES: 123", params.read_text(), flags=re.M)):
        assert project.executed() == sorted(expected)
        assert project.planned() == set()
    assert project.executed() == sorted(expected)


def test_a_failed_attempt_leaves_the_result_that_was_there(project):
    notebook = project.folder / "notebooks/08_timegan.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][1]["source"] = ["".join(content["cells"][1]["source"]) + "\nFAIL = True"]
    with edited(notebook, json.dumps(content)):
        result = project.call()
    assert result.returncode != 0
    assert "this notebook fails" in result.stdout + result.stderr
    assert project.executed() == []
    assert project.planned() == set()


def test_a_model_of_stress_alone_that_a_check_refuses_is_left_out_and_nothing_else_is(project):
    notebook = project.folder / "notebooks/03_vae.ipynb"
    content = json.loads(notebook.read_text())
    raising = "".join(content["cells"][1]["source"]) + "\nRAISE = '{}'"
    content["cells"][1]["source"] = [raising.format("MemoryError")]
    with edited(notebook, json.dumps(content)):
        assert project.call().returncode != 0  # of no check
    content["cells"][1]["source"] = [raising.format("AssertionError")]
    with edited(notebook, json.dumps(content)):
        assert "seed0/03_vae.stress" not in project.executed()
        assert (
            "left out: seed0/03_vae.stress, a model beside the others, as its check failed: too little stress"
            in project.output
        )
        assert "left out: seed0/08_timegan.stress" in project.output  # set beside it
        assert "Traceback" not in project.output
        for place in ("seed0/03_vae.stress", "seed0/08_timegan.stress"):
            artefact = artefacts.Artefact(project.run_dir / place)
            artefact.verify()
            assert "too little stress" in artefact.left_out
        assert not {"seed0/03_vae.stress", "seed0/08_timegan.stress"} & {
            *artefacts.Artefact(project.run_dir / "09_evaluation").meta["inputs"]
        }
        assert project.planned() == set()
    assert "seed0/03_vae.stress" in project.executed()  # made where it can be
    assert artefacts.Artefact(project.run_dir / "seed0/03_vae.stress").left_out == ""


def test_a_kernel_that_dies_before_the_first_cell_is_started_again(project):
    params = project.folder / "params/quick/06_diffusion.mu.yaml"
    (project.folder / "crash.06_diffusion.mu").touch()
    place = "seed0/06_diffusion.mu"
    with edited(params, params.read_text() + "TIMESTEPS: 998\n"):
        assert project.executed(target=f"quick/sp500_logret/{place}/SHA256SUMS") == [place]
    assert f"{place}: kernel died before the first cell: it is started again" in project.output
    assert "ZMQError" not in project.output
    assert project.executed(target=f"quick/sp500_logret/{place}/SHA256SUMS") == [place]


def test_what_snakemake_remembers_is_not_needed(project):
    shutil.rmtree(project.folder / "runs/.snakemake")
    params = project.folder / "params/quick/06_diffusion.mu.yaml"
    with edited(params, params.read_text() + "TIMESTEPS: 999\n"):
        assert project.executed() == ["09_evaluation", "10_scorecard", "seed0/06_diffusion.mu"]
    shutil.rmtree(project.folder / "runs/.snakemake")
    assert project.executed() == ["09_evaluation", "10_scorecard", "seed0/06_diffusion.mu"]
    shutil.rmtree(project.folder / "runs/.snakemake")
    assert project.executed() == []


@pytest.mark.parametrize("name", ["seed0/07_conditional/out.json", "logs/seed0/07_conditional.json"])
def test_damage_is_named_and_mended_by_the_next_call(project, name):
    (project.run_dir / name).unlink()
    result = project.call("--forcerun", "publish")
    assert result.returncode != 0
    assert "07_conditional is damaged" in result.stdout + result.stderr
    assert project.executed("--forcerun", "publish") == ["seed0/07_conditional"]


def test_a_changed_file_is_no_result_to_go_on_from(project):
    folder = project.run_dir / "seed0/08_timegan.full"
    (folder / "out.json").write_text("{}")
    (folder / "SHA256SUMS").unlink()
    executed = project.executed("--forcerun", "publish")
    assert executed == ["seed0/08_timegan.full"]  # it makes what it made, so that nothing follows


@pytest.mark.parametrize("name", ["logs/seed0/08_timegan.full.json", "seed0/08_timegan.full/meta.json"])
def test_a_file_that_was_cut_off_is_made_again(project, name):
    path = project.run_dir / name
    path.write_text(path.read_text()[:40])
    (project.run_dir / "seed0/08_timegan.full/SHA256SUMS").unlink()
    assert project.executed("--forcerun", "publish") == ["seed0/08_timegan.full"]


def test_adding_a_seed_runs_that_seed_and_what_gathers_seeds(project):
    executed = project.planned(seeds="0,1") - {"publish"}
    assert {place.split("/")[0] for place in executed if "/" in place} == {"seed1"}
    assert {place for place in executed if "/" not in place} == {"09_evaluation", "10_scorecard", "11_stress_test"}


def test_histories_of_one_name_in_two_folders_do_not_share_a_run(project):
    for folder, close in (("a", 1.0), ("b", 2.0)):
        (project.folder / folder).mkdir()
        frame = pd.DataFrame({"date": ["2020-01-02"], "close": [close], "vix": [20.0]})
        frame.to_csv(project.folder / folder / "mine.csv", index=False)
        assert project.executed(target="check", dataset=f"{folder}/mine.csv") == ["01_data"]
    assert project.executed(target="check", dataset="a/mine.csv") == []
    assert len(list((project.folder / "runs/quick").glob("csv_mine.*"))) == 2


@pytest.mark.parametrize("name", ["my data", "x(1)+y", "a.b"])
def test_the_name_of_a_history_may_hold_anything(project, name):
    frame = pd.DataFrame({"date": ["2020-01-02"], "close": [1.0], "vix": [20.0]})
    frame.to_csv(project.folder / f"{name}.csv", index=False)
    assert project.executed(target="check", dataset=f"{name}.csv") == ["01_data"]
    assert len(project.planned(dataset=f"{name}.csv")) > 20


def test_yahoo_is_asked_once_and_again_on_demand(project):
    cache = project.folder / "runs/cache/yahoo"
    cache.mkdir(parents=True)
    answers = [cache / f"sp500_logret_2000-01-03_latest.{suffix}" for suffix in ("parquet", "json")]
    assert {"yahoo", "01_data"} <= project.planned(source="yahoo")
    for answer in answers:
        answer.write_text("an answer")
    assert project.executed(target="check", source="yahoo") == ["01_data"]
    assert project.planned(target="check", source="yahoo") == set()
    assert project.planned("--forcerun", "yahoo", target="yahoo", source="yahoo") == {"yahoo"}
    answers[0].write_text("an answer")  # the same again
    assert project.executed(target="check", source="yahoo") == []
    answers[0].write_text("another answer")
    assert project.executed(target="check", source="yahoo") == ["01_data"]


def finished(folder, node: str, content: dict) -> artefacts.Artefact:
    run = runs.Run(node.split(".")[0], {"RUN_DIR": str(folder), "VARIANT": node.partition(".")[2]}, folder)
    run.save(content)
    return artefacts.Artefact(run.folder)


TIMINGS = pd.DataFrame({"stage": ["01_data"], "seconds": [1.0]})


def test_published_are_the_files_that_sums_name_and_what_no_stage_makes_goes(tmp_path):
    artefact = finished(tmp_path / "runs", "09_evaluation", {"tables/a.csv": TIMINGS, "kept.json": {}})
    for leftover in ("tables/old.csv", "tables/.a.csv.77.partial", "figures/fig09_old.pdf"):
        (artefact.folder / leftover).parent.mkdir(exist_ok=True)
        (artefact.folder / leftover).write_text("an older version of the notebook left this")
    target = tmp_path / "figures"
    (target / "tables").mkdir(parents=True)
    for name in ("fig09_gone.pdf", "tables/gone.csv", "REPORT.md", "notes.txt"):
        (target / name).write_text("published before")
    sources = publish.published_files({("09_evaluation", 0): artefact}, 0)
    assert sources == {"tables/a.csv": artefact.folder / "tables/a.csv"}
    publish.publish(sources, TIMINGS, target)
    names = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert names == {"tables/a.csv", "tables/timings.csv", "REPORT.md", "notes.txt"}


def test_a_removal_that_fails_is_an_error(tmp_path):
    (tmp_path / "tables/gone.csv").mkdir(parents=True)
    (tmp_path / "fig09_gone.pdf").write_text("published before")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(PermissionError):
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError))
        publish.publish({}, TIMINGS, tmp_path)


def test_two_stages_may_not_publish_one_name(tmp_path):
    made = {(n, 0): finished(tmp_path, n, {"tables/a.csv": TIMINGS}) for n in ("09_evaluation", "10_scorecard")}
    with pytest.raises(ValueError, match=r"would both be published as tables/a\.csv"):
        publish.published_files(made, 0)


def test_snakemake_alone_plans_what_make_quick_does_and_runs_it_on_a_bare_machine(root, tmp_path):
    """README's command without make, where there is no git, no activated environment, no home, no assert, and only ASCII."""
    (flags,) = re.findall(r"^\.venv/bin/snakemake (.*?) +#", (root / "README.md").read_text(encoding="utf-8"), flags=re.M)
    noted = Noted(root, tmp_path)
    papermill = noted.folder / "papermill/__main__.py"
    asserts = 'print("checked \\N{GREEK SMALL LETTER SIGMA}" if __debug__ else "without asserts")\n'
    papermill.write_text(papermill.read_text() + asserts)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bash").symlink_to(shutil.which("bash"))
    environment = {"PATH": str(tmp_path / "bin"), "HOME": f"{os.devnull}/home", "PYTHONPATH": str(noted.folder)}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    environment |= {"PYTHONOPTIMIZE": "1"}

    def call(*more: str) -> str:
        command = [sys.executable, "-m", "snakemake", *flags.split(), *more]
        result = subprocess.run(command, cwd=noted.folder, env=environment, capture_output=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return (result.stdout + result.stderr).decode()

    assert places_in(call("--dry-run", "--quiet", "host")) == noted.planned()
    assert "  01_data: checked σ\n" in call("--", "check")
    assert artefacts.Artefact(noted.run_dir / "01_data").meta["git"] == "unknown"


@pytest.mark.parametrize("target", ["quick", "check", "walkforward"])
def test_the_very_call_of_make_can_be_planned(root, tmp_path, target):
    """Also with variables that are empty, which Snakemake does not read as an empty text."""
    noted = Noted(root, tmp_path)
    shutil.copy(root / "Makefile", noted.folder)
    command = ["make", "-n", "-o", ".venv/installed", target]
    recipe = subprocess.run(command, cwd=noted.folder, capture_output=True, text=True, check=True).stdout
    call = recipe[recipe.index(".venv/bin/snakemake") :].replace(
        ".venv/bin/snakemake", '"$SNAKEMAKE" -m snakemake -n --quiet host', 1
    )
    environment = noted.environment | {"SNAKEMAKE": sys.executable}
    result = subprocess.run(["bash", "-c", call], cwd=noted.folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    if target == "quick":
        assert places_in(result.stdout + result.stderr) == noted.planned("--forcerun", "publish")


@pytest.fixture
def drawn(tmp_path) -> artefacts.Artefact:
    """A stage that drew a figure, whose picture an older version of the code left."""
    dates = pd.date_range("2000-01-03", periods=60, freq="B")
    closes = pd.DataFrame({"date": dates, "close": np.linspace(90, 110, 60), "vix": 20.0})
    returns = pd.DataFrame({"date": dates[1:], "log_return": np.diff(np.log(closes["close"]))})
    run = runs.Run("01_data", {"RUN_DIR": str(tmp_path), "DATASET": "nasdaq_logret"}, tmp_path)
    figures.save(figures.price_history(closes, returns, title="nasdaq_logret"), run.figure("fig01_data"))
    run.save({"data.json": {"dataset": "nasdaq_logret"}})
    (run.folder / "figures/fig01_data.png").write_bytes(b"as it was drawn before")
    return artefacts.Artefact(run.folder)


def test_what_is_drawn_again_is_what_the_run_computed_in_the_style_of_today(drawn, tmp_path):
    (tmp_path / "to/figdata").mkdir(parents=True)
    shown = publish.draw_again({"fig01_data": drawn}, tmp_path, tmp_path / "to")
    names = {path.name for path in (tmp_path / "to").rglob("*.*")}
    assert names == {"fig01_data.pdf", "fig01_data.png", "fig01_data.csv.gz"}
    assert (tmp_path / "to/fig01_data.png").read_bytes().startswith(b"\x89PNG")
    points = gzip.decompress((tmp_path / "to/figdata/fig01_data.csv.gz").read_bytes())
    assert points == (drawn.folder / "figdata/fig01_data.csv").read_bytes()
    (picture, metadata), (caption, _) = shown["fig01_data"]
    assert "image/png" in picture
    assert metadata["image/png"]["alt"] == caption["text/plain"]
    assert caption["text/plain"].endswith("Nasdaq Composite.")


def test_pictures_of_an_executed_chapter_are_replaced_and_nothing_else():
    picture = {"output_type": "execute_result", "execution_count": 3, "data": {"image/png": "old"}, "metadata": {}}
    stale = {"output_type": "display_data", "data": {"text/markdown": "`fig` of the day before"}, "metadata": {}}
    said = {"output_type": "stream", "name": "stdout", "text": "16 of 16 latents active"}
    shown = {"fig": [({"image/png": "new"}, {"image/png": {"alt": "words"}}), ({"text/markdown": "`fig` words"}, {})]}
    outputs = publish.with_figures([said, picture, stale], ["fig"], shown)
    assert outputs[0] == said
    assert [list(output["data"].values()) for output in outputs[1:]] == [["new"], ["`fig` words"]]
    assert outputs[1]["metadata"]["image/png"]["alt"] == "words"
    assert publish.with_figures([said, picture], ["another"], shown) == [said, picture]
    assert publish.with_figures([said, picture], [], shown) == [said, picture]


def test_an_executed_chapter_is_published_with_its_figures_as_they_are_drawn_now(drawn, tmp_path):
    """The run's own log still shows the picture of the day."""
    notebook = json.loads((publish.ROOT / "notebooks/01_data.ipynb").read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and '"fig01_data"' in "".join(cell["source"]):
            picture = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
            cell["outputs"] = [picture | {"data": {"image/png": "of an older version"}}]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/01_data.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "to/figdata").mkdir(parents=True)
    (tmp_path / "executed").mkdir()
    (tmp_path / "executed/00_gone.ipynb").write_text("{}")
    shown = publish.draw_again({"fig01_data": drawn}, tmp_path, tmp_path / "to")
    publish.publish_notebooks({("01_data", 0): drawn}, 0, tmp_path, tmp_path / "executed", shown)
    (path,) = (tmp_path / "executed").iterdir()
    cells = json.loads(path.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    picture, caption = (output["data"] for output in outputs)
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    assert caption["text/markdown"].startswith("`fig01_data` ") and caption["text/markdown"].endswith("Nasdaq Composite.")
