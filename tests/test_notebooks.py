"""Static checks: notebooks are stripped, short and explained; params agree with them; executed copies agree with both."""

import ast
import contextlib
import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

from chaoslib.pipeline import reruns, settings, stages

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = sorted((ROOT / "notebooks/executed").glob("*.ipynb"))
NODES = stages.nodes(ROOT)


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def committed(path: Path) -> str:
    """A notebook as git would commit it: after `make lab` without the outputs that JupyterLab saved."""
    git = ["git", "-C", str(path.parent)]
    with contextlib.suppress(OSError):
        if subprocess.run([*git, "diff", "--quiet", "--", path.name], capture_output=True).returncode == 0:
            shown = subprocess.run([*git, "show", f":./{path.name}"], capture_output=True, text=True)
            return shown.stdout or path.read_text()
    return path.read_text()


def source(cell: dict) -> str:
    return "".join(cell["source"])


def syntax(cell: dict) -> str:
    """What of a cell decides whether its stage runs again: comments and messages do not."""
    return ast.unparse(reruns.parse(source(cell), "a cell"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestSource:
    def test_is_valid_and_stripped(self, path):
        nbformat.validate(nbformat.read(path, as_version=4))
        for cell in [cell for cell in json.loads(committed(path))["cells"] if cell["cell_type"] == "code"]:
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            assert set(cell["metadata"]) <= {"tags"}

    def test_is_short_and_explained(self, path):
        code, prose = cells(path, "code"), cells(path, "markdown")
        free = [cell for cell in code if "parameters" not in cell["metadata"].get("tags", [])]
        lengths = sorted(sum(bool(line.strip()) for line in source(cell).splitlines()) for cell in free)
        assert len(code) + len(prose) <= 40
        assert lengths[-1] <= 15, "a cell is too long: move it to chaoslib"
        assert lengths[len(lengths) // 2] <= 7
        assert len(prose) >= 0.6 * len(code)
        assert source(prose[0]).startswith(f"# {path.stem[:2]} · ")
        assert "What this notebook established" in source(prose[-1])

    def test_claims_carry_no_digits(self, path):
        last = source(cells(path, "markdown")[-1]).split("Next:")[0]
        assert not re.search(r"\d", last), "numbers live in tables, not in prose"

    def test_links_lead_to_notebooks(self, path):
        for cell in cells(path, "markdown"):
            for target in re.findall(r"\]\(([^)]+\.ipynb)\)", source(cell)):
                assert (path.parent / target).exists()

    def test_upper_case_names_come_from_parameters_only(self, path):
        known = settings.parameter_cell(path)
        for cell in cells(path, "code"):
            if "parameters" in cell["metadata"].get("tags", []):
                continue
            for node in ast.walk(ast.parse(source(cell))):
                if isinstance(node, ast.Name) and node.id.isupper():
                    assert isinstance(node.ctx, ast.Load), f"{node.id} is assigned outside the parameters cell"
                    assert node.id in known

    def test_every_parameter_is_used_and_commented(self, path):
        rest = "\n".join(source(c) for c in cells(path, "code") if "parameters" not in c["metadata"].get("tags", []))
        used = {node.id for node in ast.walk(ast.parse(rest)) if isinstance(node, ast.Name)}
        for name in settings.parameter_cell(path):
            assert name in used | {"RUN_DIR", "SEED", "VARIANT", "SHORT"}, f"{name} does nothing"

    def test_assertions_say_what_to_do(self, path):
        for cell in cells(path, "code"):
            for node in ast.walk(ast.parse(source(cell))):
                if isinstance(node, ast.Assert):
                    assert node.msg is not None


@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_all_params_fit_their_notebooks(profile):
    for node in stages.nodes(ROOT, profile):
        stages.merged_params(ROOT, node, profile)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_defaults_in_the_cell_are_the_published_settings(path):
    node = next(node for node in NODES if stages.stage_of(node) == path.stem)
    main = {"03_vae": "03_vae.gaussian", "05_latents": "05_latents.gaussian", "06_diffusion": "06_diffusion.post"}.get(
        path.stem, node
    )
    published = stages.merged_params(ROOT, main, "paper")
    defaults = {name: parameter.default for name, parameter in settings.parameter_cell(path).items()}
    switch = {"SHORT": False} if "SHORT" in published else {}  # on in the cell: a reader's run is a short one
    assert defaults.get("SHORT", True)
    assert {key: defaults[key] for key in published} | switch == published


def test_what_takes_longer_than_two_minutes_has_a_switch():
    """Stages with small settings in params/quick have it, and only there does it do something."""
    small = {stages.stage_of(path.stem) for path in (ROOT / "params/quick").glob("*.yaml")}
    assert small == {path.stem for path in NOTEBOOKS if "SHORT" in settings.parameter_cell(path)}


@pytest.mark.parametrize("node", NODES)
def test_a_file_is_named_after_its_variant(node):
    params = stages.merged_params(ROOT, node, "paper")
    stage, _, variant = node.partition(".")
    assert params.get("VARIANT", "") == variant
    assert f"notebooks/{stage}.ipynb" in (ROOT / "params/paper" / f"{node}.yaml").read_text().splitlines()[0]


def test_overlays_hold_only_what_differs():
    for path in (ROOT / "params/quick").glob("*.yaml"):
        published = yaml.safe_load((ROOT / "params/paper" / path.name).read_text())
        same = [key for key, value in yaml.safe_load(path.read_text()).items() if published[key] == value]
        assert not same, f"{path.name} repeats {same}"


def test_every_notebook_has_params_and_every_node_a_notebook():
    assert {stages.stage_of(node) for node in NODES} == {path.stem for path in NOTEBOOKS}


def test_the_library_neither_prints_nor_pickles():
    for path in (ROOT / "chaoslib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("print", "torch.load", "pickle.load", "pickle.dump", "torch.save"), (
                    path
                )


def test_the_published_run_left_one_executed_copy_a_node():
    assert [path.stem for path in EXECUTED] == NODES


@pytest.mark.parametrize("path", EXECUTED, ids=lambda p: p.stem)
def test_executed_copies_are_the_sources_at_the_published_settings(path):
    notebook = stages.stage_of(path.stem)
    executed = cells(path, "code")
    injected = [cell for cell in executed if "injected-parameters" in cell["metadata"].get("tags", [])]
    own = [cell for cell in executed if cell not in injected]
    assert [syntax(cell) for cell in own] == [syntax(cell) for cell in cells(ROOT / f"notebooks/{notebook}.ipynb", "code")]
    values = {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(source(injected[0])).body}
    published = stages.merged_params(ROOT, path.stem, "paper")
    assert {key: values.get(key) for key in published} == published
    assert [cell["execution_count"] for cell in executed] == list(range(1, len(executed) + 1))
    text = path.read_text()
    assert '"output_type": "error"' not in text
    assert not re.search(r"(?<![\w.:/])/(home|root|work|tmp|var|Users)/", text), "an absolute path"
    assert len(text) < 1_000_000


@pytest.mark.parametrize("path", EXECUTED, ids=lambda p: p.stem)
def test_links_of_executed_copies_lead_somewhere(path):
    """To other executed copies, where there is output to see, and to guides."""
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", source(cell)):
            assert "://" in target or (path.parent / target).exists(), target
            assert not re.match(r"\.\./\d\d_", target), "a source notebook shows nothing"
