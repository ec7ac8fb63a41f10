"""A copy of the project in a temporary folder, and snakemake calls on it."""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


class Workflow:
    """A copy of the project in a temporary folder, and snakemake calls on it."""

    def __init__(self, root: Path, folder: Path):
        self.folder = folder / "project"
        self.folder.mkdir(parents=True)
        for name in ("params", "notebooks", "workflow", "chaoslib"):
            shutil.copytree(root / name, self.folder / name, ignore=shutil.ignore_patterns("executed", "__pycache__"))
        shutil.copy(root / "pyproject.toml", self.folder)
        self.run_dir = self.folder / "runs/quick/sp500_logret"
        self.published = self.folder / "figures/quick"

    def call(self, *flags: str, target: str = "publish", **config: str) -> subprocess.CompletedProcess:
        settings = {
            "profile": "quick",
            "dataset": "sp500_logret",
            "source": "snapshot",
            "runs": "runs",
            "seeds": "",
        } | config
        command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--directory", "runs"]
        command += ["--workflow-profile", "workflow/profiles/default", "--cores", "2", *flags]
        command += ["--config", *(f"{key}={value}" for key, value in settings.items()), "--", target]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    @property
    def environment(self) -> dict[str, str]:
        """The copied package wins over the installed one, in snakemake and in the kernels."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return os.environ | {"PYTHONPATH": str(self.folder), "PATH": path}

    def planned(self, *flags: str, **config: str) -> set[str]:
        """Places that a call would run, and rules that have none."""
        dry = self.call("--dry-run", "--quiet", "host", *flags, **config)
        assert dry.returncode == 0, dry.stderr + dry.stdout
        text = dry.stdout + dry.stderr
        places = {
            line.strip().removesuffix(": started").split()[-1] for line in text.splitlines() if line.endswith(": started")
        }
        return places | {rule for rule in ("publish", "yahoo") if f"rule {rule}:" in text}

    def tables(self) -> dict[str, str]:
        paths = self.published.glob("tables/*.csv")
        return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@contextmanager
def edited(path: Path, text: str):
    """A file with another content while the block runs."""
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)
