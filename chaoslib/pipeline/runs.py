"""Run folders: where a stage writes, what it has read, and the proof that both are still what they were."""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chaoslib.pipeline import stages
from chaoslib.pipeline.files import sha256, write

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

log = logging.getLogger(__name__)

SUMS = "SHA256SUMS"  # written last: a folder that has it is complete
META_SUM = "meta.json.sha256"  # apart from the others: meta.json holds times, so it differs from run to run
VERSIONS_OF = ("numpy", "pandas", "scipy", "torch", "arch", "matplotlib")
LAB = "lab"


class MissingArtefact(FileNotFoundError):
    """An upstream artefact does not exist; the message names the notebook to run first."""


class StaleArtefact(RuntimeError):
    """An artefact was changed, or was made from another version of something this run reads."""


def start(stage: str, namespace: dict) -> "Run":
    """Open the run of a notebook: check its parameters, choose its folder, turn on progress messages.

    stage : the notebook's name without suffix
    namespace : the notebook's `globals()`; the UPPER_CASE names in it are its parameters
    Raises stages.ParamsError when a parameter is unknown to the notebook or has another type.
    """
    root = project_root()
    params = {key: value for key, value in namespace.items() if key.isupper() and not key.startswith("_")}
    stages.check_params(params, stages.parameter_cell(root / "notebooks" / f"{stage}.ipynb"), source=f"{stage}.ipynb")
    show_progress()
    use_one_thread()
    return Run(stage, params, root)


def project_root() -> Path:
    """The nearest folder at or above the working directory that holds pyproject.toml and notebooks."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder
    raise FileNotFoundError(f"no pyproject.toml with notebooks beside it at or above {here}: work inside the repository")


def show_progress() -> None:
    """Send the library's log messages to the notebook."""
    logger = logging.getLogger("chaoslib")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stdout))


def use_one_thread() -> None:
    """Let torch use one thread unless OMP_NUM_THREADS says otherwise.

    More threads slow such small networks down, and the same number by hand and in the workflow gives the same bits.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)


def device() -> str:
    """ "cuda" when there is one, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class Artefact:
    """The finished folder of one node.

    sums : file -> sha256, figures among them; digest : one hash of all that is computed, which figures do not change
    """

    def __init__(self, folder: Path):
        self.folder = folder
        lines = (folder / SUMS).read_text().splitlines()
        self.sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        computed = sorted(line for line in lines if not line.split("  ", 1)[1].startswith("figures/"))
        self.digest = hashlib.sha256("\n".join(computed).encode()).hexdigest()
        self.meta = json.loads((folder / "meta.json").read_text())

    def verify(self) -> None:
        """Raise StaleArtefact unless every file is the one that the run wrote."""
        recorded = (self.folder / META_SUM).read_text().split("  ")[0] if (self.folder / META_SUM).exists() else ""
        for name, expected in (self.meta["outputs"] | {"meta.json": recorded}).items():
            path = self.folder / name
            if self.sums.get(name, recorded) != expected or not path.exists() or sha256(path) != expected:
                raise StaleArtefact(f"{path} is missing or was changed: run notebooks/{self.meta['stage']}.ipynb again")

    def arrays(self, name: str) -> "dict[str, np.ndarray]":
        """Content of an .npz file."""
        import numpy as np  # late, as pandas and torch: the workflow opens artefacts for their hashes, once a stage

        with np.load(self.folder / name, allow_pickle=False) as archive:
            return dict(archive)

    def table(self, name: str) -> "pd.DataFrame":
        """Content of a .csv or .parquet file."""
        import pandas as pd

        path = self.folder / name
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)

    def json(self, name: str) -> dict:
        """Content of a .json file."""
        return json.loads((self.folder / name).read_text())


class Run:
    """One execution of a notebook.

    folder : where it writes; params : its parameters; seed : 0 for a stage without one
    """

    def __init__(self, stage: str, params: dict, root: Path):
        self.stage, self.params, self.root = stage, params, root
        self.seed = params.get("SEED", 0)
        self.node = f"{stage}.{params['VARIANT']}" if params.get("VARIANT") else stage
        base = Path(params["RUN_DIR"])
        self.base = base if base.is_absolute() else root / base
        self.folder = self.base / stages.place(self.node, self.seed)
        self.writes = params.get("TRAIN", True)
        self.inputs: dict[str, str] = {}
        self.figure_names: list[str] = []  # figures, without suffix
        self.started = time.perf_counter()

    @property
    def by_hand(self) -> bool:
        """Whether a reader steps through the notebook, rather than the workflow."""
        return self.base.name == LAB

    def __repr__(self) -> str:
        text = json.dumps({k: v for k, v in self.params.items() if k != "RUN_DIR"}, sort_keys=True)
        params_hash = hashlib.sha256(text.encode()).hexdigest()[:8]
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("chaoslib", "torch", "numpy"))
        where = f"writes to {self.show(self.folder)}" if self.writes else "writes nothing: TRAIN is False"
        return f"{self.node} · seed {self.seed} · params {params_hash} · {device()} · {versions} · {where}"

    def show(self, path: Path) -> str:
        """A path as a reader should see it: relative to the repository where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else f"{path.parent.name}/{path.name}"

    def resolve(self, node: str, seed: int) -> Path:
        """Folder of a finished node. Only runs by hand (runs/lab) fall back on the paper run, then the quick run."""
        bases = [self.base]
        if self.by_hand:
            bases += [self.base.parent / profile / "sp500_logret" for profile in ("paper", "quick")]
        for base in bases:
            folder = base / stages.place(node, seed)
            if (folder / SUMS).exists():
                return folder
        looked = ", ".join(self.show(base) for base in bases)
        raise MissingArtefact(
            f"{stages.place(node, seed)} has not been run (looked in {looked}): "
            f"run notebooks/{stages.stage_of(node)}.ipynb first, or `make quick SEEDS={seed}` for all of them"
        )

    def load(self, node: str, *, seed: int | None = None) -> Artefact:
        """A finished upstream node, with everything it was made from checked.

        seed : another seed than the run's own, for stages that read several
        Raises MissingArtefact, or StaleArtefact when it was made from another version of something upstream.
        """
        seed = self.seed if seed is None else seed
        artefact = Artefact(self.resolve(node, seed))
        artefact.verify()
        self.check_origins(node, artefact, set())
        self.inputs[stages.place(node, seed)] = artefact.digest
        if not artefact.folder.is_relative_to(self.base):
            log.info("%s is read from %s", node, self.show(artefact.folder))
        return artefact

    def check_origins(self, node: str, artefact: Artefact, checked: set[str]) -> None:
        """Raise StaleArtefact unless all that an artefact was made from is there as it was, and so on for each of them."""
        for name, digest in artefact.meta["inputs"].items():
            origin = Artefact(self.resolve(stages.node_of(name), stages.seed_of(name)))
            if origin.digest != digest:
                raise StaleArtefact(
                    f"{node} in {self.show(artefact.folder)} was made from another version of {name}: "
                    f"run notebooks/{stages.stage_of(node)}.ipynb again"
                )
            if name not in checked:
                checked.add(name)
                self.check_origins(stages.node_of(name), origin, checked)

    def nodes(self, value: str) -> list[str]:
        """Nodes that a params value such as `03_vae.*` stands for."""
        return stages.expand(self.root, value)

    def finished(self) -> Artefact:
        """What an earlier execution of this very stage saved: for TRAIN = False."""
        artefact = self.load(self.node)
        log.info("not training: the finished model in %s is used", self.show(artefact.folder))
        return artefact

    def figure(self, name: str) -> Path | None:
        """Where `figures.save` puts a figure, without suffix; None when this run writes nothing."""
        if not self.writes:
            return None
        self.figure_names.append(f"figures/{name}")
        return self.folder / "figures" / name

    def save(self, artefacts: dict[str, object]) -> None:
        """Write all artefacts of the stage, then meta.json, then the hashes that mark the folder as complete.

        artefacts : file name -> content. The suffix chooses the format: .npz (dict of arrays), .json (dict or list),
        .csv and .parquet (DataFrame), .safetensors (dict of tensors), .tex (text).
        """
        if not self.writes:
            log.info("TRAIN is False: nothing is written")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / SUMS).unlink(missing_ok=True)
        for name, content in artefacts.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            write(self.folder / name, content)
        figures = [f"{name}.{suffix}" for name in self.figure_names for suffix in ("pdf", "png")]
        outputs = {name: sha256(self.folder / name) for name in (*artefacts, *figures)}
        write(self.folder / "meta.json", self.describe(outputs))
        write(self.folder / META_SUM, f"{sha256(self.folder / 'meta.json')}  meta.json\n")
        write(self.folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(outputs.items())))
        log.info("saved %s in %s", ", ".join(artefacts), self.show(self.folder))

    def describe(self, outputs: dict[str, str]) -> dict:
        """Content of meta.json."""
        return {
            "stage": self.stage,
            "node": self.node,
            "seed": self.seed,
            "params": self.params,
            "inputs": self.inputs,
            "outputs": outputs,
            "versions": {name: importlib.metadata.version(name) for name in ("chaoslib", *VERSIONS_OF)},
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "device": device(),
            "threads": thread_count(),
            "seconds": round(time.perf_counter() - self.started, 1),
            "finished_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "git": git_state(self.root),
        }


def thread_count() -> int:
    """Threads that torch uses in this process."""
    import torch

    return torch.get_num_threads()


def git_state(root: Path) -> str:
    """Commit of the work tree, with `+changes` when tracked files differ from it; `unknown` outside git."""
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    if commit.returncode:
        return "unknown"
    changed = subprocess.run([*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True)
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")
