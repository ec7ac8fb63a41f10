"""One execution of a notebook: its parameters, where it writes, what it reads, and what it says of both."""

import hashlib
import importlib.metadata
import json
import logging
import platform
import shlex
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from chaoslib.pipeline import fitting, hand, settings, stages
from chaoslib.pipeline.artefacts import (
    META_SUM,
    SUMS,
    Artefact,
    FigurePath,
    LeftOut,
    MissingArtefact,
    StaleArtefact,
    subject,
)
from chaoslib.pipeline.files import git_state, move_in, sha256, write
from chaoslib.pipeline.machine import device, show_progress, thread_count, use_one_thread

log = logging.getLogger(__name__)

DRAWING = ".drawing"  # figures of an attempt that has not ended well yet
VERSIONS_OF = ("numpy", "pandas", "scipy", "torch", "arch", "matplotlib")


def start(stage: str, namespace: dict) -> "Run":
    """Open the run of a notebook: check its parameters, choose its folder, turn on progress messages.

    stage : the notebook's name without suffix
    namespace : the notebook's `globals()`; the UPPER_CASE names in it are its parameters. In a run by hand those that
    the reader left as they are become those of the VARIANT that is named and, while SHORT is True, small ones
    Raises settings.ParamsError when a parameter is unknown to the notebook or is not what it may be; by hand also
    MissingArtefact and StaleArtefact, before anything is computed.
    """
    root = project_root()
    params = {key: value for key, value in namespace.items() if key.isupper() and not key.startswith("_")}
    settings.check(params, settings.parameter_cell(root / "notebooks" / f"{stage}.ipynb"), source=f"{stage}.ipynb")
    show_progress()
    use_one_thread()
    is_settled = not is_by_hand(params["RUN_DIR"]) and not params.get("SHORT")
    of_variant, small = ({}, {}) if is_settled else hand.settle(root, stage, params)
    namespace.update(of_variant | small)
    run = Run(stage, params | of_variant | small, root)
    settings.check_together(run.params, source=f"{stage}.ipynb")
    stages.check_node(run.node, run.params, stages.published(root))
    if text := fitting.another_history(root, run.params, run.bases()):
        log.info(text)
    run.require_made()
    for why, changes in fitting.fitted(root, run.node, run.params, run.bases()).items():
        run.params |= changes
        namespace.update(changes)
        if changes:
            log.info("%s: %s", why, ", ".join(f"{key} {value}" for key, value in changes.items()))
    if is_settled:
        return run
    if of_variant:
        log.info("variant %s: %s", params["VARIANT"], ", ".join(f"{key} {value}" for key, value in of_variant.items()))
    elif run.node not in stages.nodes(root):
        known = ", ".join(node for node in stages.nodes(root) if stages.stage_of(node) == stage)
        log.info("no params file is named %s, only %s: the settings are those of the cell above", run.node, known)
    if params.get("SHORT"):
        changes = ", ".join(f"{key} {value} (paper: {(params | of_variant)[key]})" for key, value in small.items())
        log.info("short: %s. SHORT = False in the cell above: the paper's settings", changes or "nothing is smaller here")
    if run.by_hand:
        run.survey()
    return run


def is_by_hand(run_dir: str) -> bool:
    """Whether a reader steps through the notebook, rather than the workflow."""
    return Path(run_dir).name == hand.LAB


def project_root() -> Path:
    """The nearest folder at or above the working directory that holds pyproject.toml and notebooks."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder
    raise FileNotFoundError(f"no pyproject.toml with notebooks beside it at or above {here}: work inside the repository")


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
        self.by_hand = is_by_hand(params["RUN_DIR"])
        self.writes = params.get("TRAIN", True)
        self.seeds = params.get("SEEDS", [self.seed])
        self.inputs: dict[str, str] = {}
        self.read: dict[str, tuple[str, dict[str, str]]] = {}  # place -> digest, and what it was made from
        self.known: dict[Path, dict[str, str]] = {}  # ancestries looked up before
        self.reasons: dict[str, str] = {}  # of nodes: why they were left out, or nothing
        self.started = time.perf_counter()
        if self.writes:
            shutil.rmtree(self.folder / DRAWING, ignore_errors=True)  # of an attempt that failed
        places = [stages.place(node, seed) for node in stages.upstream(root, params) for seed in self.seeds]
        places += [] if self.writes else [stages.place(self.node, self.seed)]
        self.finished_run = hand.finished_run(self.base, places) if self.by_hand else None

    def __repr__(self) -> str:
        text = json.dumps({k: v for k, v in self.params.items() if k != "RUN_DIR"}, sort_keys=True)
        params_hash = hashlib.sha256(text.encode()).hexdigest()[:8]
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("chaoslib", "torch", "numpy"))
        where = f"writes to {self.show(self.folder)}" if self.writes else "writes nothing: TRAIN is False"
        return f"{self.node} · seed {self.seed} · params {params_hash} · {device()} · {versions} · {where}"

    def show(self, path: Path) -> str:
        """A path as a reader should see it: relative to the repository where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else f"{path.parent.name}/{path.name}"

    def bases(self) -> list[Path]:
        """Run folders to read from: the run's own; by hand then the finished run."""
        return [self.base, self.finished_run] if self.finished_run else [self.base]

    def has(self, place: str) -> bool:
        """Whether a place was run."""
        return any(hand.is_finished(base / place) for base in self.bases())

    def resolve(self, node: str, seed: int) -> Path:
        """Folder of a finished node: in the run's own folder; by hand else in the finished run."""
        place = stages.place(node, seed)
        for base in self.bases():
            if hand.is_finished(base / place):
                return base / place
        raise MissingArtefact(self.how_to_make([place]))

    def how_to_make(self, places: list[str]) -> str:
        """What to run for places that were not run."""
        finished = [self.base.parent / name for name in hand.FINISHED] if self.by_hand else []
        text = (
            f"not run yet, looked in {', '.join(self.show(base) for base in [self.base, *finished])}: {', '.join(places)}. "
        )
        if not self.by_hand:
            return text + f"Run notebooks/{stages.stage_of(stages.node_of(places[0]))}.ipynb first"
        seeds = {0, *(stages.seed_of(place) for place in places)}
        make = "make quick" if self.params.get("SHORT", True) else "make reproduce"
        published = set(settings.parameter_cell(self.root / "notebooks/09_evaluation.ipynb")["SEEDS"].default)
        if seeds - ({0} if make == "make quick" else published):
            make += f" SEEDS={','.join(map(str, sorted(seeds | (set() if make == 'make quick' else published))))}"
        lines = hand.commands(self.root, self.plan().unmade(places), self.params)
        return text + f"`{make}` runs all there is; or run these notebooks first, in JupyterLab or with\n{lines}"

    def plan(self) -> hand.Plan:
        """What reads what, as far as it was run."""
        return hand.Plan(self.root, self.seeds, self.has)

    def load(self, node: str, *, seed: int | None = None) -> Artefact:
        """A finished upstream node, with everything it was made from checked.

        seed : another seed than the run's own, for stages that read several
        Raises MissingArtefact, or StaleArtefact when it was made from another version of something upstream.
        """
        seed = self.seed if seed is None else seed
        artefact, fault, again = self.inspect(node, seed)
        if fault:
            raise StaleArtefact(self.how_to_mend(fault, again))
        self.inputs[stages.place(node, seed)] = artefact.digest
        return artefact

    def inspect(self, node: str, seed: int) -> tuple[Artefact, str, set[str]]:
        """A finished node as its run wrote it, what is wrong with it beside all that was inspected before, what to run.

        The text is empty when it was made from what is read beside it.
        """
        place, artefact = stages.place(node, seed), Artefact(self.resolve(node, seed))
        artefact.verify()
        if artefact.left_out:
            raise LeftOut(f"{place} was left out, as it could not be made: {artefact.left_out}")
        base = artefact.folder.parents[place.count("/")]
        try:  # what was made by hand may be made from the finished run too
            origins = hand.ancestry(artefact, self.bases() if base == self.base else [base], self.known)
        except hand.Gone as gone:
            if base != self.base:
                raise StaleArtefact(f"{self.show(base)} is not one run: {gone}. Call `make` again for it") from None
            return artefact, str(gone), self.plan().between(gone.origin, place)
        clash = hand.clash((place, artefact.digest), origins, self.read, data_alone="SEEDS" in self.params)
        if clash:
            made, origin = clash
            text = f"{made} was made from another {origin} than the one that is read beside it"
            return artefact, text, self.plan().between(origin, made)
        self.read[place] = artefact.digest, origins
        return artefact, "", set()

    def how_to_mend(self, what: str, places: set[str]) -> str:
        """A message on parts that do not belong together."""
        if not self.by_hand:
            return f"{what}: run notebooks/{stages.stage_of(stages.node_of(min(places, key=hand.in_order)))}.ipynb again"
        lines = hand.commands(self.root, places, self.params)
        lab = shlex.quote(str(self.base.relative_to(self.root) if self.base.is_relative_to(self.root) else self.base))
        back = f"`rm -r {lab}` goes back to {self.show(self.finished_run)}; or run" if self.finished_run else "Run"
        return f"{what}. {back} again what lies between, in this order:\n{lines}"

    def survey(self) -> None:
        """Open all that a run by hand will read, before anything is computed, and say in one line where it lies.

        Raises MissingArtefact with all that is missing, or StaleArtefact.
        """
        named = [value for value in self.params.values() if isinstance(value, str)]
        nodes = {node for value in named for node in stages.upstream(self.root, {"": value}) for node in self.nodes(value)}
        nodes |= set() if self.writes else {self.node}
        places = {stages.place(node, seed): (node, seed) for node in sorted(nodes) for seed in self.seeds}
        if missing := [place for place in places if not self.has(place)]:
            raise MissingArtefact(self.how_to_make(missing))
        where: dict[str, list[str]] = {}
        faults, again = [], set()
        for place, (node, seed) in places.items():
            artefact, fault, to_run = self.inspect(node, seed)
            where.setdefault(self.show(artefact.folder.parents[place.count("/")]), []).append(place)
            faults += [fault] if fault else []
            again.update(to_run)
        if faults:
            more = f" (and {len(faults) - 1} more do not fit)" if faults[1:] else ""
            raise StaleArtefact(self.how_to_mend(faults[0] + more, again))
        left_out = {
            node for node in stages.upstream(self.root, self.params) if node not in nodes and not self.reasons.get(node)
        }
        for base, read in where.items():
            log.info("read from %s: %s", base, ", ".join(read))
        if left_out:
            log.info("left out, not run: %s", ", ".join(sorted(left_out)))

    def nodes(self, value: str) -> list[str]:
        """Nodes that a params value such as `03_vae.*` stands for; by hand those of them that were run, if any was."""
        nodes = stages.expand(self.root, value)
        done = [node for node in nodes if all(self.has(stages.place(node, seed)) for seed in self.seeds)]
        nodes = done if self.by_hand and settings.PATTERN.fullmatch(value) and done else nodes
        return [node for node in nodes if not self.why_left_out(node)]

    def why_left_out(self, node: str) -> str:
        """Why a side model could not be made on one of the seeds, said once; empty when it was made or was not run."""
        if node not in self.reasons:
            run = [seed for seed in self.seeds if self.has(stages.place(node, seed))]
            whys = [Artefact(self.resolve(node, seed)).left_out for seed in run]
            self.reasons[node] = next(filter(None, whys), "")
            if self.reasons[node]:
                log.info("left out: %s, %s", node, self.reasons[node])
        return self.reasons[node]

    def require_made(self) -> None:
        """Raise LeftOut when a node that a parameter names alone was left out."""
        for value in self.params.values():
            if isinstance(value, str) and settings.NODE.fullmatch(value) and self.why_left_out(value):
                raise LeftOut(f"{self.node} reads {value}, which was left out: {self.reasons[value]}")

    def finished(self) -> Artefact:
        """What an earlier execution of this very stage saved: for TRAIN = False."""
        artefact = self.load(self.node)
        epochs = artefact.meta["params"].get("EPOCHS", "?")
        log.info("not training: the finished model in %s is used, of %s epochs", self.show(artefact.folder), epochs)
        return artefact

    def figure(self, name: str) -> FigurePath | None:
        """Where `figures.save` puts a figure until `save`, without suffix; None when this run writes nothing."""
        if not self.writes:
            return None
        path = FigurePath(self.folder / DRAWING / "figures" / name)
        path.about = subject(self.params, self.bases())
        return path

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
        outputs = {name: sha256(self.folder / name) for name in (*artefacts, *move_in(self.folder / DRAWING, self.folder))}
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
