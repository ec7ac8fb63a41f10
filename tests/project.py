"""A copy of the project in a temporary folder, and snakemake calls on it."""

import hashlib
import json
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
            **dict.fromkeys(("start", "end", "calendar", "max_move"), ""),  # as make gives them
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
        return places_in(dry.stdout + dry.stderr)

    def tables(self) -> dict[str, str]:
        paths = self.published.glob("tables/*.csv")
        return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def places_in(text: str) -> set[str]:
    """Places that a dry run names, and rules that have none."""
    started = [line.strip().removesuffix(": started") for line in text.splitlines() if line.endswith(": started")]
    return {line.split()[-1] for line in started} | {rule for rule in ("publish", "yahoo") if f"rule {rule}:" in text}


@contextmanager
def edited(path: Path, text: str):
    """A file with another content while the block runs."""
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


CHAPTERS = """01_data 02_windows 03_vae 04_probe 05_latents 06_diffusion 07_conditional 08_timegan 09_evaluation 10_scorecard
11_stress_test""".split()
SMALLER = {  # than what a reader gets; what is not here is as short as `SHORT` makes it
    "06_diffusion": {"EPOCHS": 8, "N_SAMPLES": 300},
    "07_conditional": {"N_SAMPLES": 200, "N_MATCHED": 200, "STEPS": 10, "GRID": 5, "GRID_SAMPLES": 50},
    "08_timegan": {"EPOCHS": 1, "N_CHECK": 100, "N_SAMPLES": 300},
    "09_evaluation": {"N_SAMPLES": 500},
}


class Walk:
    """A copy of the project in which chapters are run by hand; `texts` holds what each of them said."""

    def __init__(self, project: Workflow):
        self.project, self.texts, self.failed = project, {}, {}

    def through(self, chapters: list[str]) -> "Walk":
        for chapter in chapters:
            executed = self.project.folder / f"{chapter}.executed.ipynb"
            smaller = [part for key, value in SMALLER.get(chapter, {}).items() for part in ("-p", key, str(value))]
            command = [sys.executable, "-m", "papermill", f"notebooks/{chapter}.ipynb", executed, "-k", "python3"]
            command += ["--cwd", "notebooks", "--no-progress-bar", *smaller]
            environment = self.project.environment | {"OMP_NUM_THREADS": "1"}
            result = subprocess.run(command, cwd=self.project.folder, env=environment, capture_output=True, text=True)
            cells = json.loads(executed.read_text())["cells"]
            outputs = [output for cell in cells for output in cell.get("outputs", [])]
            self.texts[chapter] = "".join("".join(output.get("text", "")) for output in outputs)
            if result.returncode:
                errors = [output for output in outputs if output["output_type"] == "error"]
                self.failed[chapter] = f"{errors[0]['ename']}: {errors[0]['evalue']}" if errors else result.stderr
        return self
