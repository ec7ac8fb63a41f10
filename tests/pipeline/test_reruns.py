"""Hashes move with what decides a result, in whatever wing it stands, and with nothing else."""

import json
import re
import shutil

import pytest

from chaoslib.pipeline import reruns, settings


def hashes(folder) -> dict[str, str]:
    """Stage -> what decides whether it runs again, its params aside."""
    notebooks = sorted((folder / "notebooks").glob("[0-9]*.ipynb"))
    return {path.stem[:2]: reruns.code_hash(path) + reruns.library_hash(path, folder / "chaoslib") for path in notebooks}


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """One copy for all tests of a change, each of which is taken back, and its hashes."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "chaoslib"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("executed", "__pycache__", "*.csv"))
    return folder, hashes(folder)


def changed(before: dict[str, str], after: dict[str, str]) -> str:
    return " ".join(stage for stage in before if before[stage] != after[stage])


def edit_cells(notebook, change) -> None:
    content = json.loads(notebook.read_text())
    change(content["cells"])
    notebook.write_text(json.dumps(content))


def test_outputs_prose_comments_and_messages_of_a_notebook_do_not_count_but_code_does(copy):
    notebook = copy / "notebooks/03_vae.ipynb"
    before = reruns.code_hash(notebook)

    def save_as_lab_does(cells):
        for number, cell in enumerate(cells):
            if cell["cell_type"] == "code":
                cell |= {"execution_count": number, "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}
                text = "".join(cell["source"])
                cell["source"] = "# a comment\n" + re.sub(r'"[^"\n]*: raise EPOCHS"', '"train longer"', text)
            else:
                cell["source"] = "other prose"

    edit_cells(notebook, save_as_lab_does)
    assert "train longer" in notebook.read_text()
    assert reruns.code_hash(notebook) == before
    edit_cells(notebook, lambda cells: cells[1].update(source="import os"))
    assert reruns.code_hash(notebook) != before


def test_cells_in_another_order_are_another_notebook(copy):
    notebook = copy / "notebooks/03_vae.ipynb"
    before = reruns.code_hash(notebook)
    edit_cells(notebook, lambda cells: cells.append(cells.pop(1)))
    assert reruns.code_hash(notebook) != before


def test_a_cell_that_is_no_python_is_named(copy):
    notebook = copy / "notebooks/03_vae.ipynb"
    edit_cells(notebook, lambda cells: cells[1].update(source="%matplotlib inline"))
    with pytest.raises(settings.ParamsError, match=r"03_vae\.ipynb: invalid syntax: %matplotlib inline"):
        reruns.code_hash(notebook)


@pytest.mark.parametrize(
    ("module", "text", "stages_that_run"),
    [
        ("market/validation", "def missing_sessions(", "01"),  # through validate
        ("market/data", "def log_returns(", "01 02 11"),
        ("market/windows", "def split_by_date(", "02"),
        ("market/vix", "def fit_vix_law(", "11"),
        ("market/vix", "def fit_vix_exponent(", "03 07 11"),
        ("models/vae", "def fit_vae(", "03"),
        ("models/vae", "def kl_per_dimension(", "03"),  # the weight of the KL is inside its callers
        ("models/diffusion", "def diffusion_loss(", "06"),
        ("models/timegan", "def fit_jointly(", "08"),
        ("models/gru", "class GRULayer(", "08"),  # loading a VAE or a diffusion does not reach TimeGAN
        ("models/classical", "def garch_t(", "09"),  # 07 and 11 draw other classical models
        ("evaluation/metrics", "def pooled_acf(", "01 04 09 10 11"),
        ("evaluation/conditional", "def match_vix(", "07 11"),
        ("evaluation/scorecard", "def largest_gap(", "09 10 11"),
        ("evaluation/referees", "def features(", "10"),
        ("stress/backtest", "def kupiec(", "11"),
        ("stress/portfolios", "def black_scholes_put(", "11"),
        ("stress/history", "def place_in_fan(", "11"),
        ("stress/walkforward", "def forecast_year(", ""),  # no notebook
        ("pipeline/runs", "def describe(", ""),  # how results are kept, not what they are
        ("figures/samples", "def paths(", ""),
    ],
)
def test_a_change_in_a_wing_reruns_the_stages_that_reach_it(project, module, text, stages_that_run):
    folder, before = project
    source = folder / f"chaoslib/{module}.py"
    head, tail = source.read_text().split(text)
    body = tail.index('"""', tail.index('"""') + 3) + 3  # behind the docstring
    indent = tail[: tail.index('"""')].rsplit("\n", 1)[1]
    before_text = source.read_text()
    source.write_text(head + text + tail[:body] + f"\n{indent}edited = True" + tail[body:])
    after = hashes(folder)
    source.write_text(before_text)
    assert changed(before, after) == stages_that_run


def test_the_weight_of_the_kl_counts(copy):
    before = hashes(copy)
    source = copy / "chaoslib/models/vae.py"
    text = source.read_text()
    assert "beta * kl" in text
    source.write_text(text.replace("likelihood + beta * kl", "likelihood + 2 * beta * kl"))
    assert changed(before, hashes(copy)) == "03"


def test_comments_docstrings_messages_and_drawing_change_no_stage(copy):
    before = hashes(copy)
    for path in (copy / "chaoslib").rglob("*.py"):
        text = re.sub(r'(:\n +""")', r"\1Edited. ", path.read_text()) + "# edited\n"
        text = re.sub(r'(, )?encoding="utf-8"', "", text)
        text = re.sub(r'(log\.(?:info|warning)\(f?")', r"\1edited ", text)
        path.write_text(re.sub(r'(raise \w+\(f?")', r"\1edited ", text))
    for path in (copy / "chaoslib/figures").glob("*.py"):
        path.write_text(path.read_text().replace("dpi=200", "dpi=300") + "\nedited = True\n")
    assert changed(before, hashes(copy)) == ""


@pytest.fixture
def library(tmp_path):
    """A package of two wings, in each way of importing."""
    package = tmp_path / "chaoslib"
    for wing in ("market", "models", "figures"):
        (package / wing).mkdir(parents=True)
        (package / wing / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "models/one.py").write_text(
        "import math\nfrom chaoslib.market import two\nfrom ..market.two import g as renamed\nfrom . import three\n"
        "WIDTH: float = math.pi\n\n\ndef f(x=WIDTH):\n    return two.g(x)\n\n\ndef other():\n    return renamed(1)\n"
        "\n\ndef whole(name):\n    return getattr(two, name)\n\n\ndef near():\n    return three.k()\n"
    )
    (package / "models/three.py").write_text("from ..market.two import g\n\n\ndef k():\n    return g(3)\n")
    (package / "market/two.py").write_text("def g(x):\n    return x\n\n\ndef h():\n    return g(2)\n\n\nprint('loaded')\n")
    (package / "figures/draw.py").write_text("def fan():\n    return 1\n")
    return package


ONE, TWO = "from chaoslib.models import one", {"market.two.g", "market.two."}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (f"{ONE}\none.f()", {"models.one.f", "models.one.WIDTH"} | TWO),
        (f"{ONE} as o\no.other()", {"models.one.other"} | TWO),
        (f"{ONE}\none.near()", {"models.one.near", "models.three.k"} | TWO),
        ("from chaoslib.market.two import h\nwith open('x') as file:\n    h()", {"market.two.h"} | TWO),
        ("import chaoslib.market.two as t\nt.h()", {"market.two.h"} | TWO),
        (f"{ONE}\n[one.whole(n) for n in 'gh']", {"models.one.whole", "market.two.h"} | TWO),
        ("from chaoslib.market import two\nfirst, second = map(two.g, (1, 2))", TWO),
        ("from chaoslib.models.three import g\ng(1)", TWO),  # handed on by a module that imports it
        ("def late():\n    from chaoslib.market import two\n    return two.g(1)", TWO),
        ("from chaoslib import figures\nfrom chaoslib.figures import draw\ndraw.fan()", set()),
        ("f = 1\ng = f", set()),
    ],
)
def test_what_code_reaches_is_found_by_name(library, code, names):
    assert {name for name, _ in reruns.reached(code, library)} == names


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("from chaoslib import nowhere", "`from chaoslib import nowhere` names no module|imports nowhere"),
        ("from chaoslib.market import three", "imports three from chaoslib.market, which has no such name"),
        ("from chaoslib.market.gone import g", "`from chaoslib.market.gone import g` names no module"),
        ("from chaoslib.market.two import absent", "imports absent from chaoslib.market.two"),
        ("from chaoslib.market.two import *", "names no module"),
        ("from chaoslib import market", "cannot be followed"),
        ("import chaoslib as c", "cannot be followed"),
        ("from chaoslib.market.two import g\nfrom chaoslib.models.one import f as g", "imports two things as g"),
        ("import chaoslib.market.two", "cannot be followed"),
        ("import importlib\nimportlib.import_module('chaoslib.market.two')", "an import by a computed name"),
    ],
)
def test_an_import_that_cannot_be_followed_is_an_error(library, code, message):
    with pytest.raises(settings.ParamsError, match=message):
        reruns.reached(code, library, source="a notebook")


def test_a_statement_that_binds_nothing_counts_once_its_module_is_reached(library):
    code = "from chaoslib.market import two\ntwo.g"
    before = reruns.reached(code, library)
    path = library / "market/two.py"
    path.write_text(path.read_text().replace("loaded", "imported"))
    assert reruns.reached(code, library) != before


def test_what_runs_when_a_folder_is_imported_counts(library):
    code = "from chaoslib.market import two\ntwo.g"
    before = reruns.reached(code, library)
    (library / "market/__init__.py").write_text("__all__ = ['two']\n")  # binds a name that nothing reaches
    assert reruns.reached(code, library) == before
    (library / "market/__init__.py").write_text("print('imported')\n")
    assert reruns.reached(code, library) != before


def test_a_call_of_something_else_named_log_counts(library):
    path = library / "market/two.py"
    path.write_text("log = []\n\n\ndef g(x):\n    log.append(x)\n    log.info('said')\n    return log\n")
    code = "from chaoslib.market import two\ntwo.g"
    before = reruns.reached(code, library)
    path.write_text(path.read_text().replace("said", "told"))
    assert reruns.reached(code, library) == before
    path.write_text(path.read_text().replace("log.append(x)", "log.append(2 * x)"))
    assert reruns.reached(code, library) != before


def test_text_in_another_encoding_counts(library):
    path = library / "market/two.py"
    path.write_text("def g(x):\n    return x.read_text()\n")
    code = "from chaoslib.market import two\ntwo.g"
    before = reruns.reached(code, library)
    for name, is_as_before in (("utf-8", True), ("latin-1", False)):
        path.write_text(f"def g(x):\n    return x.read_text(encoding='{name}')\n")
        assert (reruns.reached(code, library) == before) == is_as_before


def test_a_block_around_definitions_counts_once_its_module_is_reached(library):
    path = library / "market/two.py"
    path.write_text(path.read_text() + "\n\nif True:\n    def late(x):\n        y = x\n        return y\n")
    code = "from chaoslib.market import two\ntwo.late(1)"
    before = reruns.reached(code, library)
    path.write_text(path.read_text().replace("return y", "return -y"))
    assert reruns.reached(code, library) != before
    assert ("market.two.late", "if True:\n\n    def late(x):\n        y = x\n        return -y") in reruns.reached(
        "from chaoslib.market.two import late\nlate(1)", library
    )


def test_one_function_of_a_script_is_followed_without_the_others(library, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"{ONE}\nfrom chaoslib.market import two\n\n\ndef work():\n    return help_()\n\n\n"
                      "def help_():\n    return two.g(1)\n\n\ndef draw():\n    return one.f()\n")  # fmt: skip
    before = reruns.script_hash(script, "work", library)
    script.write_text(script.read_text().replace("one.f()", "one.f(2)"))
    assert reruns.script_hash(script, "work", library) == before
    script.write_text(script.read_text().replace("two.g(1)", "two.g(2)"))
    assert reruns.script_hash(script, "work", library) != before


def test_modules_are_parsed_once(library, monkeypatch):
    reads, read = [], type(library).read_text
    monkeypatch.setattr(type(library), "read_text", lambda path, *a, **k: reads.append(path) or read(path, *a, **k))
    for _ in range(3):
        reruns.reached(f"{ONE}\none.f()", library)
    assert len(reads) == len(set(reads)) > 0
