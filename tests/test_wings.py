"""The house: five wings and the figures, each importing only what stands before it."""

import ast
import subprocess
import tomllib

import pytest

WINGS = ["pipeline", "market", "models", "evaluation", "stress", "figures"]


def imports(path) -> set[str]:
    """Dotted names that a module imports from the package, wherever in the file the statement stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write `from chaoslib.{path.parent.name} import ...`"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "chaoslib"}


def modules(root) -> list:
    return sorted((root / "chaoslib").rglob("*.py"))


def test_every_module_stands_in_a_wing(root):
    folders = {path.relative_to(root / "chaoslib").parts[0] for path in modules(root)}
    assert folders == {*WINGS, "__init__.py"}


def test_a_wing_imports_only_wings_before_it(root):
    for path in modules(root):
        wing = path.relative_to(root / "chaoslib").parts[0]
        for name in imports(path):
            assert WINGS.index(name.split(".")[1]) <= WINGS.index(wing), f"{path.relative_to(root)} imports {name}"


def test_figures_take_arrays_and_import_no_model(root):
    for path in (root / "chaoslib/figures").glob("*.py"):
        assert not any(name.startswith(("chaoslib.models", "chaoslib.stress")) for name in imports(path)), path.name


def test_rooms_are_small(root):
    for path in modules(root):
        assert len(path.read_text().splitlines()) <= 320, path.relative_to(root)


def test_tests_mirror_the_wings(root):
    assert {path.name for path in (root / "tests").iterdir() if path.is_dir()} - {"__pycache__", "browser"} == set(WINGS)


def test_the_package_is_installed_whole(root):
    """Every folder with Python in it is a package, and data files are named."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["packages"]["find"]["include"] == ["chaoslib*"]
    for path in modules(root):
        assert (path.parent / "__init__.py").exists(), path
    data = {package: patterns for package, patterns in settings["package-data"].items()}
    listed = {path for package in data for pattern in data[package]
              for path in (root / package.replace(".", "/")).glob(pattern)}  # fmt: skip
    others = {path for path in (root / "chaoslib").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others == listed


@pytest.mark.parametrize("name", ["chaoslib/models/new.py", "chaoslib/figures/build/a.py", "chaoslib/runs/a.py"])
def test_git_sees_every_folder_of_the_package(root, name):
    ignored = subprocess.run(["git", "-C", str(root), "check-ignore", "--no-index", name], capture_output=True)
    assert ignored.returncode == 1, f"{name} would be ignored"
