"""Finished folders of stages: their files, their hashes, and the proof that both are still what the run wrote."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from chaoslib.pipeline.files import sha256

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SUMS = "SHA256SUMS"  # written last: a folder that has it is complete
META_SUM = "meta.json.sha256"  # apart from the others: meta.json holds times, so it differs from run to run
DRAWN = ("figures/", "figdata/")  # follow from what a stage computed, so they are no part of its digest
LEFT_OUT = "left_out.json"  # all that the folder of a side model holds that cannot be made of this history


class MissingArtefact(FileNotFoundError):
    """An upstream artefact does not exist; the message names the notebook to run first."""


class LeftOut(MissingArtefact):
    """A side model that cannot be made of this history, and so was left out, is asked for."""


class StaleArtefact(RuntimeError):
    """An artefact was changed, or was made from another version of something this run reads."""


class FigurePath(type(Path())):
    """Where a figure goes; `about` is what `subject` says of the run that draws it."""

    about: dict = {}  # noqa: RUF012, replaced, never changed


def subject(params: dict, bases: list[Path]) -> dict:
    """What a run's figures are about, for their captions: dataset, seeds, and words for settings smaller than the paper's.

    params : of the stage; bases : run folders in which the history may lie
    """
    histories = (base / "01_data/data.json" for base in bases)
    known = (json.loads(path.read_text(encoding="utf-8"))["dataset"] for path in histories if path.exists())
    seeds = params.get("SEEDS") or ([params["SEED"]] if "SEED" in params else [])
    is_small = params.get("SHORT") or Path(params.get("RUN_DIR", "")).parent.name == "quick"
    dataset = Path(params.get("DATASET") or next(known, "")).name
    return {"dataset": dataset, "seeds": seeds, "settings": ", small settings" if is_small else ""}


class Artefact:
    """The finished folder of one node.

    sums : file -> sha256, figures among them; digest : one hash of all that is computed, so of no figure and its data
    left_out : why the node could not be made, where it was left out; else empty
    """

    def __init__(self, folder: Path):
        self.folder = folder
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        self.sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        computed = sorted(line for line in lines if not line.split("  ", 1)[1].startswith(DRAWN))
        self.digest = hashlib.sha256("\n".join(computed).encode()).hexdigest()
        self.meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        self.left_out = self.json(LEFT_OUT)["why"] if LEFT_OUT in self.sums else ""

    def verify(self) -> None:
        """Raise StaleArtefact unless every file is the one that the run wrote."""
        recorded = (
            (self.folder / META_SUM).read_text(encoding="utf-8").split("  ")[0] if (self.folder / META_SUM).exists() else ""
        )
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
        return json.loads((self.folder / name).read_text(encoding="utf-8"))
