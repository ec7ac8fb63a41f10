"""Stepping through notebooks by hand: which settings, and what is read from where.

What was run by hand lies in runs/lab and is used by hand. Whatever else is needed comes from one finished run, the
paper's or the quick one, never from both. Parts that do not belong together stop with the commands that mend it.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

from chaoslib.pipeline import settings, stages
from chaoslib.pipeline.artefacts import SUMS, Artefact

LAB = "lab"
FINISHED = ("paper/sp500_logret", "quick/sp500_logret")  # beside the lab, in order of preference


class Gone(LookupError):
    """`made` was made from a version of `origin`, both of them places, that is not there any more."""

    def __init__(self, made: str, origin: str):
        super().__init__(f"{made} was made from another version of {origin}")
        self.origin = origin


def settle(root: Path, stage: str, params: dict) -> tuple[dict[str, object], dict[str, object]]:
    """Values that replace those of the parameters cell: of the VARIANT that is named, then small ones while SHORT is True.

    A value that the reader changed stays: only those are replaced that are as some variant has them, the one that the
    cell agrees with most.
    """
    variants = {node.partition(".")[2]: node for node in stages.nodes(root) if stages.stage_of(node) == stage}

    def read(profile: str, variant: str) -> dict:
        path = root / f"params/{profile}/{variants[variant]}.yaml"
        return settings.read_yaml(path) if path.exists() else {}

    def agreeing(variant: str) -> int:
        return sum(is_same(params.get(key), value) for key, value in read("paper", variant).items() if key != "VARIANT")

    held = max(variants, key=lambda variant: (agreeing(variant), variant == params.get("VARIANT")))
    named = params.get("VARIANT", held)
    named = named if named in variants else held
    was, published = read("paper", held), read("paper", named)
    of_variant = {key: value for key, value in published.items() if is_same(params.get(key), was.get(key))}
    of_variant = {key: value for key, value in of_variant.items() if key not in ("SHORT", "VARIANT")}
    values = params | of_variant
    small = read("quick", named) if params.get("SHORT") else {}
    small = {key: value for key, value in small.items() if is_same(values.get(key), published.get(key))}
    return {key: value for key, value in of_variant.items() if not is_same(params.get(key), value)}, small


def is_same(one: object, other: object) -> bool:
    """Whether two params are equal and of one type: False is not 0."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def finished_run(lab: Path, places: list[str]) -> Path | None:
    """The finished run that all comes from which some places need and the lab lacks.

    The one that has most of them; then the one that what lies in the lab was made from; then the paper's.
    """
    candidates = [lab.parent / name for name in FINISHED]
    missing = [place for place in places if not is_finished(lab / place)]
    outside = set().union(*(origins_outside(lab, place) for place in places if place not in missing))

    def held(base: Path) -> tuple[int, int]:
        same = sum(is_finished(base / place) and Artefact(base / place).digest == digest for place, digest in outside)
        return sum(is_finished(base / place) for place in missing), same

    best = max(candidates, key=held)  # the first of equals
    return best if max(held(best)) else None


def origins_outside(lab: Path, place: str) -> set[tuple[str, str]]:
    """(place, digest) of all that something in the lab was made from and that is not there."""
    found = set()
    for origin, digest in Artefact(lab / place).meta["inputs"].items():
        found |= origins_outside(lab, origin) if is_finished(lab / origin) else {(origin, digest)}
    return found


def is_finished(folder: Path) -> bool:
    """Whether a stage ended there."""
    return (folder / SUMS).exists()


def ancestry(artefact: Artefact, bases: list[Path], known: dict[Path, dict[str, str]]) -> dict[str, str]:
    """place -> digest of everything that an artefact was made from, all the way up.

    bases : run folders in which its origins may lie, the first that has one counts; known : answers given before
    Raises Gone when one of the origins is not there, or not as it was.
    """
    if artefact.folder not in known:
        found = {}
        for place, digest in artefact.meta["inputs"].items():
            held = [number for number, base in enumerate(bases) if is_finished(base / place)]
            origin = Artefact(bases[held[0]] / place) if held else None
            if origin is None or origin.digest != digest:
                raise Gone(stages.place(artefact.meta["node"], artefact.meta["seed"]), place)
            found |= {place: digest} | ancestry(origin, bases[held[0] :], known)  # a finished run reads nothing of the lab
        known[artefact.folder] = found
    return known[artefact.folder]


def clash(
    new: tuple[str, str], origins: dict[str, str], read: dict[str, tuple[str, dict[str, str]]], *, data_alone: bool
) -> tuple[str, str] | None:
    """(a, b) when a was made from another b than what is read beside it; None when everything belongs together.

    new : place and digest of what is about to be read, with its `origins`; read : place -> (digest, origins) so far
    data_alone : for stages that set models side by side: these may be of different trainings, on the same data
    """
    place, digest = new
    for other, (known, theirs) in read.items():
        pairs = [(place, other, origins.get(other), known), (other, place, theirs.get(place), digest)]
        pairs += [(place, data, origins.get(data), theirs.get(data)) for data in stages.DATA]
        for made, of, was, used in pairs:
            if None not in (was, used) and was != used and (of in stages.DATA or not data_alone):
                return made, of
    return None


def in_order(place: str) -> tuple[str, str]:
    """Sorts places in the order of the pipeline: nodes begin with the number of their notebook."""
    return stages.node_of(place), place


def commands(root: Path, places: set[str], params: dict) -> str:
    """Shell lines that run some stages by hand as the run of these params is, in the order of the pipeline."""
    lines = []
    run_dir, long = params["RUN_DIR"], "" if params.get("SHORT", True) else " -p SHORT False"
    elsewhere = "" if run_dir == f"runs/{LAB}" else f" -r RUN_DIR {shlex.quote(run_dir)}"
    for place in sorted(places, key=in_order):
        stage, _, variant = stages.node_of(place).partition(".")
        line = f"  papermill notebooks/{stage}.ipynb out.ipynb -k python3" + (f" -p VARIANT {variant}" if variant else "")
        line += f" -p SEED {stages.seed_of(place)}" if stages.seed_of(place) else ""
        is_switched = "SHORT" in settings.parameter_cell(root / f"notebooks/{stage}.ipynb")
        lines.append(line + (long if is_switched else "") + elsewhere)
    return "\n".join(lines)


class Plan:
    """What reads what, as far as it was run: of `03_vae.*` those variants count that were.

    seeds : of stages that gather them; has : whether a place was run
    """

    def __init__(self, root: Path, seeds: list[int], has: Callable[[str], bool]):
        self.root, self.seeds, self.has = root, seeds, has

    def reads(self, place: str) -> list[str]:
        """Places that a published stage reads; none for a variant of the reader's own."""
        node = stages.node_of(place)
        if node not in stages.nodes(self.root):
            return []
        params = settings.read_yaml(self.root / f"params/paper/{node}.yaml")
        seeds, found = self.seeds if "SEEDS" in params else [stages.seed_of(place)], []
        for value in params.values():
            read = [stages.place(node, seed) for node in stages.upstream(self.root, {"": value}) for seed in seeds]
            is_pattern = isinstance(value, str) and settings.PATTERN.fullmatch(value)
            found += [each for each in read if self.has(each)] if is_pattern else read
        return found

    def before(self, places: list[str]) -> dict[str, list[str]]:
        """place -> what it reads, for some places and everything before them, in the order of the pipeline."""
        found, queue = {}, list(places)
        while queue:
            place = queue.pop()
            if place not in found:
                found[place] = self.reads(place)
                queue += found[place]
        return {place: found[place] for place in sorted(found, key=in_order)}

    def between(self, origin: str, made: str) -> set[str]:
        """Places to run so that `made` is made from the `origin` that is there, which is run too when it is not."""
        changed = changed_by(self.before([made]), {origin}) | {made}
        return changed - {origin} if self.has(origin) else changed

    def unmade(self, places: list[str]) -> set[str]:
        """Places to run for some that were not: themselves, what they need in turn, and what has read less than that."""
        reads = self.before(places)
        wanted, queue = set(), list(places)
        while queue:
            place = queue.pop()
            if place not in wanted and not self.has(place):
                wanted.add(place)
                queue += reads[place]
        then = Plan(self.root, self.seeds, lambda place: self.has(place) or place in wanted)
        return changed_by(then.before(places), wanted)


def changed_by(reads: dict[str, list[str]], places: set[str]) -> set[str]:
    """Some places and all that read them, directly or not."""
    changed = set(places)
    for place, read in reads.items():  # in the order of the pipeline
        if changed.intersection(read):
            changed.add(place)
    return changed
