"""The front doors agree with each other, and what README promises is there."""

import csv
import re
import shutil
import subprocess
import sys
import tomllib

import pandas as pd
import pytest
import report
import yaml


def test_conda_installs_what_pyproject_says(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    python, pip, through_pip = environment["dependencies"]
    assert python == f"python{project['requires-python']}"
    assert pip == "pip"
    assert through_pip == {"pip": ["-c constraints.txt", "-e .[lab]"]}


def test_constraints_pin_every_dependency_once_and_no_accelerator(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    names = [re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    assert len(set(names)) == len(names)
    assert not any(name.startswith(("nvidia", "triton", "cuda")) for name in names)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [need for group in (project["dependencies"], *project["optional-dependencies"].values()) for need in group]
    assert {re.split(r"[><=]", need)[0] for need in wanted} <= set(names)


def test_installed_versions_are_those_of_the_constraints(root):
    frozen = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    installed = dict(re.findall(r"^([\w.-]+)==([^+\s]+)", frozen, flags=re.M))
    pinned = dict(line.split("==") for line in (root / "constraints.txt").read_text().splitlines())
    assert {name: installed[name] for name in pinned if name in installed and pinned[name] != installed[name]} == {}


def test_an_environment_that_was_moved_is_built_anew(root, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, tmp_path)
    stamp = tmp_path / ".venv/installed"
    stamp.parent.mkdir()
    for text, is_rebuilt in ((str(tmp_path), False), ("/a/former/place", True), ("", True)):
        stamp.write_text(f"{text}\n")
        answer = subprocess.run(["make", "-n", "lab"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert ("-m venv --clear .venv" in answer) == is_rebuilt, text


def test_names_in_readme_and_guides_exist(root):
    text = "\n".join(path.read_text() for path in (root / "README.md", *(root / "guides").glob("*.md")))
    for target in re.findall(r"`((?:params|notebooks|figures/paper|workflow|chaoslib)/[\w./-]+\.\w+)`", text):
        assert (root / target).exists(), target
    targets = set(re.findall(r"^(\w+):", (root / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"(?:`|^)make (\w+)", text, flags=re.M)) <= targets


@pytest.mark.parametrize(("table", "reference"), [("headline", "train"), ("stress", "train_stress")])
def test_every_number_of_the_tables_of_distances_is_published(root, table, reference):
    """results.md: rows model, columns metric, `mean (lowest–highest seed)` of `distances.csv` against a reference."""
    head, *rows = results_table(root, table)
    metrics = [re.search(r"`(\w+)`", cell)[1] for cell in head[1:]]
    with (root / "figures/paper/tables/distances.csv").open() as file:
        published = [row for row in csv.DictReader(file) if row["reference"] == reference]
    for row in rows:
        model = re.search(r"`(\w+)`", row[0])[1]
        for metric, cell in zip(metrics, row[1:], strict=True):
            column = "distance" if metric in ("w1_over_std", "acf_abs_mae") else "value"
            found = [float(r[column]) for r in published if (r["model"], r["metric"]) == (model, metric)]
            if model == "real_train" and column == "value":
                found = [float(r["real"]) for r in published if (r["model"], r["metric"]) == (model, metric)]
            if model == "real_stress":  # no row of its own: every other row states the real value
                found = [
                    {"distance": 0.0, "value": float(r["real"] or 0)}[column] for r in published if r["metric"] == metric
                ][:1]
            assert cell == mean_and_range(found), (model, metric)


def results_table(root, name: str) -> list[list[str]]:
    """Rows of a table of results.md between its markers, without the line under its head."""
    block = (root / "guides/results.md").read_text().split(f"<!-- {name} -->")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block if line.startswith("|")]
    return [rows[0], *rows[2:]]


def mean_and_range(values: list[float], digits: int = 3) -> str:
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def test_every_number_of_the_conditional_tables_is_published(root):
    """results.md: std ratio by VIX from `conditional.csv`, scores on the test span from `crps.csv`."""
    with (root / "figures/paper/tables/conditional.csv").open() as file:
        published = [row for row in csv.DictReader(file) if (row["mode"], row["split"]) == ("matched", "train")]
    head, *rows = results_table(root, "conditional")
    for row in rows:
        model, at = (re.search(r"`(\w+)`", cell)[1] for cell in row[:2])
        for target, cell in zip(head[2:], row[2:], strict=True):
            key = (model, at, float(target))
            found = [r for r in published if (r["model"], r["vix_at"], float(r["target_vix"])) == key]
            assert cell == mean_and_range([float(r["std_ratio"]) for r in found]), key
    with (root / "figures/paper/tables/crps.csv").open() as file:
        scores = [row for row in csv.DictReader(file) if (row["split"], row["target"]) == ("test", "log_rv")]
    for name, *cells in results_table(root, "crps")[1:]:
        found = [row for row in scores if row["model"] == re.search(r"`(\w+)`", name)[1]]
        column = {key: [float(row[key]) for row in found] for key in found[0] if key not in ("model", "split", "target")}
        assert cells == [
            mean_and_range(column["crps"]),
            f"{min(column['ci_low']):.3f}–{max(column['ci_high']):.3f}",
            mean_and_range(column["coverage_90"], 2),
            f"{min(column['coverage_low']):.2f}–{max(column['coverage_high']):.2f}",
        ], name


def test_the_published_report_is_that_of_the_published_tables(root, tmp_path):
    """So every number of REPORT.md is one of `figures/paper/tables`."""
    shutil.copytree(root / "figures/paper", tmp_path / "paper", ignore=shutil.ignore_patterns("*.pdf", "*.png", "*.md"))
    subprocess.run([sys.executable, root / "workflow/report.py", tmp_path / "paper"], check=True, cwd=root)
    for name in ("REPORT.md", "run_metadata.md"):
        assert (tmp_path / "paper" / name).read_text() == (root / "figures/paper" / name).read_text()


def test_nothing_names_an_absolute_path(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True)
    for name in listed.stdout.split():
        path = root / name
        if (
            path.suffix in (".py", ".yaml", ".yml", ".toml", ".md", ".ipynb", ".json", ".csv", "")
            and path.is_file()
            and "tests" not in name
        ):
            assert not re.search(r"(?<![\w.:/-])/(home|root|work|tmp|Users)/\w", path.read_text(errors="ignore")), name


def test_progress_is_shown_as_it_comes_and_a_failure_in_full(root):
    command = [sys.executable, root / "workflow/progress.py", "seed0/03_vae.x"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("Executing notebook\nepoch 1/9  loss 0.3\n")
        process.stdin.flush()
        assert process.stdout.readline() == "  seed0/03_vae.x: epoch 1/9  loss 0.3\n"  # before the input ends
        rest, _ = process.communicate("a warning\nValueError: no such split\nat line 3\n")
    assert rest == "  seed0/03_vae.x: ValueError: no such split\n  seed0/03_vae.x: at line 3\n"


SETTINGS = set(
    "0 0.5 1 5 99 3 7 12 15 16 20 24 25 30 35 40 45 50 60 90 95 100 200 250 500".split()
    + "01 02 03 04 05 06 07 08 09 10 11 3.11 1996 2008 2020".split()
)  # chosen or named, not measured: days, dimensions, percentages, VIX levels, notebooks, sections, copies, a crisis
CLAIMED = set(
    "0.02 0.05 0.06 0.08 23 4 8 9 .036".split()
)  # bounds and a p-value of sentences that test_claims.py holds to tables


def test_every_other_number_of_readme_and_results_is_a_setting_or_in_a_table(root):
    """Numbers of the prose, outside code and outside the tables that have tests of their own."""
    text = "\n".join((root / name).read_text() for name in ("README.md", "guides/results.md"))
    for name in ("headline", "scorecard", "stress", "conditional", "crps", "backtest", "walkforward"):
        text = re.sub(rf"<!-- {name} -->.*?<!-- {name} -->", "", text, flags=re.S)
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.S)
    found = set(re.findall(r"(?<![\w.])\.?\d+(?:[.,]\d+)*", text))
    tables = {path.stem: pd.read_csv(path) for path in (root / "figures/paper/tables").glob("*.csv")}
    splits = tables["splits"].set_index("split")
    train, test = splits.loc["train"], splits.loc["test"]
    stressed = round(train["n_windows"] * train["share_vix_ge_20"])
    facts = {f"{train['n_windows']:,}", f"{stressed:,}", str(train["n_episodes_vix_ge_20"])}
    facts |= {str(part["n_independent"]) for part in (train, test)}
    facts |= {part[end][:4] for part in (train, test) for end in ("start", "end")}
    facts.add(str(pd.read_csv(root / "figures/walkforward/tables/backtest.csv")["clamped"].max()))
    timings = tables["timings"].set_index(["stage", "variant"])["seconds"] / 60
    assert f"`make reproduce` {timings.sum() / 2:.0f} minutes" in (root / "README.md").read_text()  # on two cores
    facts |= {f"{minutes:.0f}" for minutes in (timings.sum() / 2, *timings["08_timegan", "full"])}
    assert found - SETTINGS - CLAIMED - facts == set()
    assert facts - {str(train["end"][:4])} <= found | SETTINGS  # nor is a fact looked for that is no longer stated
    assert len(set(tables["scorecard"]["metric"]) - {"skew", "excess_kurtosis"}) == 24


@pytest.mark.parametrize(("name", "profile"), [("backtest", "paper"), ("walkforward", "walkforward")])
def test_the_backtests_in_the_results_are_those_of_the_tables(root, name, profile):
    published = pd.read_csv(root / f"figures/{profile}/tables/backtest.csv")
    shown = (root / "guides/results.md").read_text().split(f"<!-- {name} -->")[1].strip()
    assert shown == report.markdown(report.backtest_overview(published))


def test_the_scorecard_in_the_results_is_that_of_the_report(root):
    tables = {path.stem: pd.read_csv(path) for path in (root / "figures/paper/tables").glob("*.csv")}
    assert (root / "guides/results.md").read_text().split("<!-- scorecard -->")[1].strip() == report.markdown(
        report.summary(tables)
    )


def run_printed(block: str, folder) -> str:
    """What the lines of a page print, run from a folder that holds no run."""
    result = subprocess.run([sys.executable, "-c", block], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_scenarios_of_readme_are_what_it_prints(root, tmp_path):
    section = (root / "README.md").read_text().split("## Scenarios in three lines")[1].split("\n## ")[0]
    block, shown = re.findall(r"^```(?:python)?\n(.*?)^```", section, flags=re.M | re.S)
    assert run_printed(block, tmp_path) == shown


def test_the_recipes_on_scenarios_run_as_printed(root, tmp_path):
    """From any folder, without a run; a smaller set where they ask for a large one."""
    text = (root / "guides/recipes.md").read_text()
    blocks = [block for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S) if "chaoslib.stress" in block]
    assert len(blocks) == 2
    check = "import pandas\nassert len(pandas.read_parquet('scenarios_vix45')) == 1000"
    run_printed(blocks[0].replace("n=100_000", "n=1000") + check, tmp_path)
    assert "horizon_days  var_99  es_99" in run_printed(blocks[1], tmp_path)


def test_make_help_names_every_command_and_variable(root):
    shown = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    makefile = (root / "Makefile").read_text()
    assert set(re.search(r"^\.PHONY: (.*)", makefile, flags=re.M)[1].split()) <= set(re.findall(r"make ([\w-]+)", shown))
    assert set(re.findall(r"^([A-Z_]+) *\?=", makefile, flags=re.M)) <= set(re.findall(r"^  ([A-Z_]+) =", shown, flags=re.M))
