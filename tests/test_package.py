"""What is installed: everything that the package reads, from a build that has nothing to say."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """What an installation reads of the repository."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(root / "chaoslib", folder / "chaoslib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder)
    return folder


def test_the_wheel_holds_every_file_of_the_package_and_its_build_warns_of_nothing(project, tmp_path):
    named = {str(path.relative_to(project)) for path in project.glob("chaoslib/**/*") if path.is_file()}
    command, warned = [sys.executable, "-c", BUILD, tmp_path], os.environ | {"PYTHONWARNINGS": "always"}
    built = subprocess.run(command, cwd=project, env=warned, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "Warning" not in built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == named
