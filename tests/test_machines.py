"""Machines unlike the one that this was made on: without git, in another locale, with a home that cannot be written."""

import ast
import json
import os
import subprocess
import sys

import pytest

from chaoslib.pipeline import files

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
NO_HOME = f"{os.devnull}/home"  # not even root can make it
WORDS = "σ² of März: −2 %"


def git(folder, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project of one file, committed."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("as committed")
    git(folder, "init", "-q")
    git(folder, "add", "pyproject.toml")
    git(folder, "commit", "-qm", WORDS)
    return folder


def test_the_revision_is_the_commit_and_whether_files_differ(checkout):
    commit = git(checkout, "rev-parse", "HEAD")
    assert files.git_state(checkout) == commit
    (checkout / WORDS).touch()  # untracked
    assert files.git_state(checkout) == commit
    (checkout / "pyproject.toml").write_text("edited")
    assert files.git_state(checkout) == f"{commit}+changes"


def test_where_git_cannot_be_started_or_refuses_the_revision_is_unknown(checkout, monkeypatch):
    with monkeypatch.context() as changed:
        changed.setenv("PATH", str(checkout))
        assert files.git_state(checkout) == "unknown"
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "-C", checkout, "status"], capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    assert files.git_state(checkout) == "unknown"


def test_a_tree_that_is_no_checkout_has_no_revision_also_inside_another_one(checkout):
    for folder in (checkout.parent / "download", checkout / "download"):
        folder.mkdir()
        (folder / "pyproject.toml").touch()
        assert files.git_state(folder) == "unknown"
    git(checkout / "download", "init", "-q")  # a repository without a commit
    assert files.git_state(checkout / "download") == "unknown"


def test_a_damaged_repository_has_no_revision(checkout):
    (checkout / ".git/index").write_text("no index")
    assert files.git_state(checkout) == "unknown"


def text_calls(path):
    """Calls that read or write text, in files or from other programs."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), [ast.unparse(each) for each in (*node.args, *node.keywords)]
        opens = called.split(".")[-1] == "open" and called != "Image.open" and not {"'rb'", "'wb'"} & set(given)
        if opens or called.endswith((".read_text", ".write_text")) or "text=True" in given:
            yield node


def test_every_text_is_read_and_written_as_utf_8(root):
    """Ruff's rule sees the paths whose type it can tell; the Snakefile it does not read."""
    unnamed = []
    for path in [*root.glob("chaoslib/**/*.py"), *root.glob("workflow/**/*.py")]:
        for call in text_calls(path):
            if "encoding='utf-8'" not in map(ast.unparse, call.keywords):
                unnamed.append(f"{path.relative_to(root)}:{call.lineno} {ast.unparse(call)}")
    assert unnamed == []
    snakefile = (root / "workflow/Snakefile").read_text(encoding="utf-8")
    assert snakefile.count("_text(") == snakefile.count('encoding="utf-8"') > 0


KEPT = """
import json, locale, pathlib, sys
import pandas as pd
from chaoslib.pipeline import artefacts, files
assert locale.getpreferredencoding(False) in ("ANSI_X3.4-1968", "US-ASCII"), locale.getpreferredencoding(False)
folder, words = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
files.write(folder / "a.tex", words)
files.write(folder / "b.csv", pd.DataFrame({words: [words]}))
files.write(folder / "c.json", {words: words})
files.write(folder / "meta.json", {"stage": words})
files.write(folder / "SHA256SUMS", f"{files.sha256(folder / 'b.csv')}  b.csv\\n")
kept = artefacts.Artefact(folder)
assert kept.meta["stage"] == words and kept.json("c.json") == {words: words}
assert kept.table("b.csv").to_dict("list") == {words: [words]}
"""


def test_artefacts_are_the_same_bytes_in_a_locale_without_their_letters(tmp_path):
    command = [sys.executable, "-c", KEPT, tmp_path, json.dumps(WORDS)]
    result = subprocess.run(command, env=os.environ | ASCII, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "a.tex").read_bytes() == WORDS.encode()
    assert (tmp_path / "b.csv").read_bytes() == f"{WORDS}\n{WORDS}\n".encode()


def test_a_checkout_has_the_committed_bytes_where_git_turns_line_ends(root, checkout):
    """Data and weights are hashed."""
    hashed = ("chaoslib/market/snapshot/closes.csv", "chaoslib/stress/weights/cond_norm/model.json")
    for name in (".gitattributes", *hashed):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((root / name).read_bytes())
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "data")
    git(checkout, "-c", "core.autocrlf=true", "clone", "-q", str(checkout), str(checkout.parent / "clone"))
    for name in hashed:
        assert (checkout.parent / "clone" / name).read_bytes() == (root / name).read_bytes()


def made(root, text: str, **environment: str) -> list[str]:
    """What make says of a line of shell, in an environment with these changes; those that are empty are left out."""
    given = {key: value for key, value in (os.environ | environment).items() if value}
    command = ["make", f"--eval=shown: ; @echo {text}", "shown"]
    return subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, check=True).stdout.strip().split("|")


def test_make_works_in_utf_8_and_gives_a_home_where_there_is_none(root, tmp_path):
    text = '"$$HOME|$$LOGNAME|$$PYTHONUTF8|$$PYTHONIOENCODING"'
    ours = f"{root}/.venv/home"
    assert made(root, text, HOME=str(tmp_path), LOGNAME="me", **ASCII) == [str(tmp_path), "me", "1", "utf-8"]
    for home in ("", NO_HOME):
        assert made(root, text, HOME=home, LOGNAME="") == [ours, "nobody", "1", "utf-8"]
    assert made(root, text, HOME=NO_HOME, LOGNAME="me")[1] == "me"


def test_cores_are_those_of_the_machine_not_of_openmp(root, tmp_path):
    nproc = tmp_path / "nproc"
    nproc.write_text("#!/bin/sh\necho ${OMP_NUM_THREADS:-${OMP_THREAD_LIMIT:-7}}\n")
    nproc.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    for limits in ({}, {"OMP_NUM_THREADS": "1"}, {"OMP_THREAD_LIMIT": "1"}):
        assert made(root, "$(CORES)", PATH=path, **({"OMP_NUM_THREADS": "", "OMP_THREAD_LIMIT": ""} | limits)) == ["7"]
    assert made(root, "$(CORES)", PATH=path, CORES="3") == ["3"]
    nproc.write_text("#!/bin/sh\nexit 127\n")  # as where there is none
    assert int(*made(root, "$(CORES)", PATH=path)) >= 1
