"""Whole files and their hashes: an artefact appears complete or not at all, in the format of its suffix; nothing pickles."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.partial")


class whole_file:
    """Context manager: yields a temporary path that becomes `path` when the block ends well, and is removed when not."""

    def __init__(self, path: Path):
        self.path = path
        self.partial = path.with_name(f".{path.name}.{os.getpid()}.partial")

    def __enter__(self) -> Path:
        return self.partial

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.partial.replace(self.path)
        else:
            self.partial.unlink(missing_ok=True)


def remove_abandoned(paths: Collection[Path]) -> None:
    """Remove what `whole_file` left of these paths in processes that were killed; what another one writes now stays.

    A process is known by its number on this machine: of one that writes from elsewhere nothing can be told.
    """
    for folder in {path.parent for path in paths}:
        for partial in folder.glob(".*.partial"):
            match = PARTIAL.fullmatch(partial.name)
            if match and folder / match["name"] in paths and not is_another(int(match["process"])):
                partial.unlink(missing_ok=True)


def is_another(process: int) -> bool:
    """Whether a process of this number runs beside this one; where that cannot be asked, it is taken to."""
    if process == os.getpid() or os.name != "posix":
        return process != os.getpid()
    try:
        os.kill(process, 0)  # asks, and stops nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def write(path: Path, content) -> None:
    """Write one artefact, whole or not at all, in the format of its suffix; nothing here pickles."""
    with whole_file(path) as partial:
        if path.suffix == ".npz":
            import numpy as np  # late, as below: the workflow asks this module for hashes alone, once a stage

            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **content)
        elif path.suffix == ".json":
            partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        elif path.suffix == ".csv":
            partial.write_text(as_csv(content), encoding="utf-8")
        elif path.suffix == ".parquet":
            content.to_parquet(partial, index=False)
        elif path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in content.items()}, partial)
        elif isinstance(content, str):
            partial.write_text(content, encoding="utf-8")
        else:
            raise ValueError(f"{path.name}: no way to write {path.suffix!r} files")


def as_csv(frame) -> str:
    """The text of a table, numbers to six significant digits."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def move_in(source: Path, to: Path) -> list[str]:
    """Move the files of a folder's folders to folders of the same names in `to`; returns their names there."""
    paths = sorted(path for path in source.glob("*/*") if not path.name.startswith("."))
    names = [str(path.relative_to(source)) for path in paths]
    for path, name in zip(paths, names, strict=True):
        (to / name).parent.mkdir(exist_ok=True)
        path.replace(to / name)
    shutil.rmtree(source, ignore_errors=True)
    return names


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_state(root: Path) -> str:
    """Commit of the work tree, with `+changes` when tracked files differ from it; `unknown` where git cannot tell.

    So without git, in a folder that git refuses as another user's, and in a download without `.git`, also where it lies
    inside a repository of something else.
    """

    def git(*arguments: str) -> bytes:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]  # stages that end together share an index
        return subprocess.run(command, capture_output=True, check=True).stdout

    try:
        commit, _ = git("rev-parse", "HEAD", "HEAD:./pyproject.toml").split()
        changed = git("status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.CalledProcessError):  # no such program, or it refuses
        return "unknown"
    return commit.decode() + ("+changes" if changed else "")
