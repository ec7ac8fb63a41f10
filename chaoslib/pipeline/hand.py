"""Stepping through notebooks by hand: which settings, and what is read from where.

What was run by hand lies in runs/lab and is used by hand. Whatever else is needed comes from one finished run, the
paper's or the quick one, never from both. Parts that do not belong together stop with the commands that mend it.
"""

from pathlib import Path

from chaoslib.pipeline import stages
from chaoslib.pipeline.artefacts import SUMS, Artefact

LAB = "lab"
FINISHED = ("paper/sp500_logret", "quick/sp500_logret")  # beside the lab, in order of preference


class Gone(LookupError):
    """`made` was made from a version of `origin`, both of them places, that is not there any more."""

    def __init__(self, made: str, origin: str):
        super().__init__(f"{made} was made from another version of {origin}")
        self.origin = origin


def settle(root: Path, stage: str, params: dict) -> dict[str, object]:
    """Values that replace those of the parameters cell: of the variant that is named, then small ones when SHORT.

    A value that the reader changed stays: only those are replaced that are still the published ones.
    """
    own = stages.parameter_cell(root / "notebooks" / f"{stage}.ipynb").get("VARIANT", (str, ""))[1]

    def published(profile: str, variant: str) -> dict:
        path = root / "params" / profile / f"{stage}{'.' if variant else ''}{variant}.yaml"
        return stages.read_yaml(path) if path.exists() else {}

    defaults = published("paper", own)
    named = published("paper", params.get("VARIANT", own)) or defaults
    settled = {key: value for key, value in named.items() if key != "SHORT" and is_same(params.get(key), defaults.get(key))}
    values = params | settled
    if params.get("SHORT"):
        small = published("quick", params.get("VARIANT", own)) or published("quick", own)
        settled |= {key: value for key, value in small.items() if is_same(values.get(key), named.get(key))}
    return {key: value for key, value in settled.items() if not is_same(params.get(key), value)}


def is_same(one: object, other: object) -> bool:
    """Whether two params are equal and of one type: False is not 0."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def finished_run(lab: Path, places: list[str]) -> Path | None:
    """The finished run that what is missing in the lab comes from: the first that has all of it, else most of it."""
    missing = [place for place in places if not is_finished(lab / place)]
    candidates = [lab.parent / name for name in FINISHED]
    held = [sum(is_finished(candidate / place) for place in missing) for candidate in candidates]
    return candidates[held.index(max(held))] if max(held) else None


def is_finished(folder: Path) -> bool:
    """Whether a stage ended there."""
    return (folder / SUMS).exists()


def ancestry(artefact: Artefact, bases: list[Path], known: dict[Path, dict[str, str]]) -> dict[str, str]:
    """place -> digest of everything that an artefact was made from, all the way up.

    bases : run folders in which its origins may lie; known : answers given before, by folder
    Raises Gone when one of the origins is in none of them as it was.
    """
    if artefact.folder not in known:
        found = {}
        for place, digest in artefact.meta["inputs"].items():
            origins = [Artefact(base / place) for base in bases if is_finished(base / place)]
            same = next((origin for origin in origins if origin.digest == digest), None)
            if same is None:
                raise Gone(stages.place(artefact.meta["node"], artefact.meta["seed"]), place)
            found |= {place: digest} | ancestry(same, bases, known)
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


def commands(root: Path, places: set[str]) -> str:
    """Shell lines that run some stages by hand, in the order of the pipeline."""
    lines = []
    order = stages.nodes(root)
    for place in sorted(places, key=lambda place: (order.index(stages.node_of(place)), place)):
        stage, _, variant = stages.node_of(place).partition(".")
        line = f"  papermill notebooks/{stage}.ipynb out.ipynb -k python3" + (f" -p VARIANT {variant}" if variant else "")
        lines.append(line + (f" -p SEED {stages.seed_of(place)}" if stages.seed_of(place) else ""))
    return "\n".join(lines)


def reads_of(root: Path, seeds: list[int], place: str) -> list[str]:
    """Places that a published stage reads; `seeds` are those of stages that gather them."""
    params = stages.read_yaml(root / f"params/paper/{stages.node_of(place)}.yaml")
    gathered = seeds if "SEEDS" in params else [stages.seed_of(place)]
    return [stages.place(node, seed) for node in stages.upstream(root, params) for seed in gathered]


def all_before(root: Path, seeds: list[int], places: list[str]) -> dict[str, list[str]]:
    """place -> what it reads, for some places and everything before them, in the order of the pipeline."""
    found, queue = {}, list(places)
    while queue:
        place = queue.pop()
        if place not in found:
            found[place] = reads_of(root, seeds, place)
            queue += found[place]
    order = stages.nodes(root)
    return dict(sorted(found.items(), key=lambda item: (order.index(stages.node_of(item[0])), item[0])))


def between(root: Path, seeds: list[int], origin: str, made: str) -> set[str]:
    """Places to run again so that `made` is made from this `origin`: itself, and what lies between."""
    return changed_by(all_before(root, seeds, [made]), {origin}) - {origin}


def unmade(root: Path, seeds: list[int], places: list[str], has) -> set[str]:
    """Places to run for some that were not run: themselves, what they need in turn, and what has read less than that."""
    reads = all_before(root, seeds, places)
    wanted, queue = set(), list(places)
    while queue:
        place = queue.pop()
        if place not in wanted and not has(place):
            wanted.add(place)
            queue += reads[place]
    return changed_by(reads, wanted)


def changed_by(reads: dict[str, list[str]], places: set[str]) -> set[str]:
    """Some places and all that read them, directly or not."""
    changed = set(places)
    for place, read in reads.items():  # in the order of the pipeline
        if changed.intersection(read):
            changed.add(place)
    return changed
