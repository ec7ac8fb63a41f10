"""The front doors agree with each other, and what README promises is there."""

import csv
import re
import subprocess
import sys
import tomllib

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


def test_readme_links_and_names_exist(root):
    text = (root / "README.md").read_text()
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (root / target).exists(), target
    for target in re.findall(r"`((?:params|notebooks|figures/paper|workflow|chaoslib)/[\w./-]+\.\w+)`", text):
        assert (root / target).exists(), target
    targets = set(re.findall(r"^(\w+):", (root / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"\bmake (\w+)", text)) <= targets


def test_every_number_of_the_headline_table_is_in_the_published_tables(root):
    """README's table: rows model, columns metric, `mean (lowest–highest seed)` of `distances.csv` against train."""
    block = (root / "README.md").read_text().split("<!-- headline -->")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block if line.startswith("|")]
    metrics = [re.search(r"`(\w+)`", cell)[1] for cell in rows[0][1:]]
    with (root / "figures/paper/tables/distances.csv").open() as file:
        published = [row for row in csv.DictReader(file) if row["reference"] == "train"]
    for row in rows[2:]:
        model = re.search(r"`(\w+)`", row[0])[1]
        for metric, cell in zip(metrics, row[1:], strict=True):
            column = "distance" if metric in ("w1_over_std", "acf_abs_mae") else "value"
            found = [float(r[column]) for r in published if (r["model"], r["metric"]) == (model, metric)]
            if model == "real_train" and column == "value":
                found = [float(r["real"]) for r in published if (r["model"], r["metric"]) == (model, metric)]
            expected = f"{sum(found) / len(found):.3f}"
            if len(found) > 1:
                expected += f" ({min(found):.3f}–{max(found):.3f})"
            assert cell == expected, (model, metric)


def test_nothing_names_an_absolute_path(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True)
    for name in listed.stdout.split():
        path = root / name
        if path.suffix in (".py", ".yaml", ".yml", ".toml", ".md", ".ipynb", "") and path.is_file() and "tests" not in name:
            assert not re.search(r"(?<![\w.:/-])/(home|root|work|tmp|Users)/\w", path.read_text(errors="ignore")), name
