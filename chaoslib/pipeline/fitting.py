"""What the history and the windows of a run change in its settings, and what a reader is told of them."""

import csv
import json
import math
from pathlib import Path

from chaoslib.pipeline import settings
from chaoslib.pipeline.hand import is_same

PLENTY = 4000  # training windows for which small settings are meant


def fitted(root: Path, node: str, params: dict, bases: list[Path]) -> dict[str, dict]:
    """Why -> params that change. bases : run folders in which the windows may lie. Raises ParamsError, see `check_batch`."""
    windows = training_windows(bases)
    check_batch(node, params, windows)
    return {
        "a short history": more_passes(root, node, params, windows),
        "shorter windows": within_windows(params, bases),
    }


def more_passes(root: Path, node: str, params: dict, windows: int | None) -> dict[str, int]:
    """EPOCHS, and WARMUP_EPOCHS, of a node at small settings on a short history: at most the paper's.

    A history of fewer training windows than `PLENTY` is passed over more often, so that as many steps are taken on it.
    windows : for training, None where they are not known. Empty when the reader chose EPOCHS, or there are plenty of them.
    """
    small, published = (
        settings.read_yaml(path) if (path := root / f"params/{profile}/{node}.yaml").exists() else {}
        for profile in ("quick", "paper")
    )
    if windows is None or "EPOCHS" not in small or not is_same(params.get("EPOCHS"), small["EPOCHS"]):
        return {}
    plenty, ours = (math.ceil(n / params["BATCH_SIZE"]) for n in (PLENTY, windows))
    more = {
        key: min(small[key] * plenty // ours, published[key])
        for key in ("EPOCHS", "WARMUP_EPOCHS")
        if key in small and is_same(params[key], small[key])
    }
    return {key: value for key, value in more.items() if value > params[key]}


def training_windows(bases: list[Path]) -> int | None:
    """How many training windows 02_windows counted in the first of some run folders that has it; None where none has."""
    for table in (base / "02_windows/splits.csv" for base in bases):
        if table.exists():
            rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
            return next(int(row["n_windows"]) for row in rows if row["split"] == "train")
    return None


def within_windows(params: dict, bases: list[Path]) -> dict[str, list]:
    """HORIZONS and FORECASTS where windows are shorter than some of them: these become the whole window, once."""
    scalers = [path for base in bases if (path := base / "02_windows/scaler.json").exists()]
    if not scalers:
        return {}
    days = json.loads(scalers[0].read_text(encoding="utf-8"))["seq_len"]
    fitted = {
        key: list(dict.fromkeys(min(each, days) for each in params[key]))
        for key in ("HORIZONS", "FORECASTS")
        if key in params
    }
    return {key: values for key, values in fitted.items() if values != params[key]}


def check_batch(node: str, params: dict, windows: int | None) -> None:
    """Raise ParamsError for a batch larger than the data, on which every epoch would be a single step."""
    if windows is not None and params.get("BATCH_SIZE", 0) > windows:
        raise settings.ParamsError(
            f"{node}: BATCH_SIZE {params['BATCH_SIZE']} is more than the {windows} training windows of this history"
        )


def another_history(root: Path, params: dict, bases: list[Path]) -> str:
    """What a reader must know whose run is of another history than the one that the chapters were written about.

    bases : run folders in which the history may lie. Empty when it is that one, or is not known yet.
    """
    written_about = settings.read_yaml(root / "params/paper/01_data.yaml")
    metas = [base / "01_data/meta.json" for base in bases]
    read = [json.loads(path.read_text(encoding="utf-8"))["params"] for path in metas if path.exists()]
    ours = params if "DATASET" in params else next(iter(read), written_about)
    of_history = ("DATASET", "SOURCE", "START", "END")
    named = {key: ours[key] for key in of_history if ours.get(key, written_about[key]) != written_about[key]}
    if not named:
        return ""
    ours = written_about | ours
    dataset = Path(ours["DATASET"]).name
    span = f" from {ours['START']} to {ours['END'] or 'its end'}" if {"START", "END"} & set(named) else ""
    return f"this run is of {dataset}{span}; what the text says of years and findings is about the S&P 500, 2000 to 2022"
