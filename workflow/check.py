"""What a history cannot give, said before anything is trained: python workflow/check.py RUN_DIR PROFILE

Reads the finished 01_data of a run, and says first how many windows there are.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np

from chaoslib.evaluation.conditional import within_reach
from chaoslib.market import data, windows
from chaoslib.market.vix import fit_vix_condition
from chaoslib.models import vae
from chaoslib.pipeline import artefacts, fitting, settings, stages
from chaoslib.stress import history

ROOT = Path(__file__).resolve().parents[1]
SELDOM = 500  # windows: models of stress alone have failed their checks on fewer


def notices(run_dir: Path, profile: str) -> list[str]:
    """Lines on the windows, side models, levels of the VIX and episodes that are to be had of this history."""
    plan = stages.planned(ROOT, profile)
    returns = data.log_returns(artefacts.Artefact(run_dir / "01_data").table("prices.parquet"))
    cutting = plan["02_windows"]
    shares = {"train": cutting["TRAIN_SHARE"], "val": cutting["VAL_SHARE"]}
    try:
        spans = windows.split_by_date(returns, seq_len=cutting["SEQ_LEN"], **shares)
    except ValueError as error:
        return [f"02_windows: will stop, {error}"]
    cut = {name: windows.cut_windows(span, seq_len=cutting["SEQ_LEN"]) for name, span in spans.items()}
    lines = ["windows: " + ", ".join(f"{len(part['windows'])} {name}" for name, part in cut.items())]
    for node, params in plan.items():
        lines += of_side_model(node, params, cut["train"]["vix_end"]) if params.get("STRESS_VIX") else []
        lines += of_targets(node, params, cut["train"])
        try:
            fitting.check_batch(node, params, len(cut["train"]["windows"]))
        except settings.ParamsError as error:
            lines.append(f"will stop, {error}")
        if months := params.get("MONTHS"):
            ends = {name: int(span.index[-1]) + 1 for name, span in spans.items()}
            happened = history.episodes(returns, ends, months, days=cutting["SEQ_LEN"])
            if not {int(f"{row['date']:%Y%m}") for row in happened} & {*months}:
                named = ", ".join(row["name"] for row in happened) or "none"
                lines.append(f"{node}: no month of MONTHS lies in this history; its own are judged: {named}")
    return lines


def of_side_model(node: str, params: dict, vix: np.ndarray) -> list[str]:
    """Whether a model of stress alone is made of training windows that end at these VIX (N,)."""
    stressed = windows.stress_subset(vix, params["STRESS_VIX"])
    least = vae.FEWEST if "DECODER" in params else params["BATCH_SIZE"]
    counted = f"{len(stressed)} training windows end at a VIX of {params['STRESS_VIX']:g} or more"
    if len(stressed) < least:
        return [f"{node}: will be left out, {counted} and it learns from {least} at least"]
    return [f"{node}: may be left out, {counted} and on so few its checks can fail"] if len(stressed) < SELDOM else []


def of_targets(node: str, params: dict, train: dict[str, np.ndarray]) -> list[str]:
    """Which levels of the VIX cannot be asked for, and what is asked for in their place, by the day of the VIX."""
    lines = []
    for key, at in product(("TARGETS", "SWEEP_VIX"), ("end", "start") if "SWEEP_VIX" in params else ("start",)):
        vix, levels = train[f"vix_{at}"], params.get(key, [])
        low, high = fit_vix_condition(train["windows"], vix, vix_at=at, normalise=False).reach
        beyond = [level for level in levels if not low <= level <= high]
        if beyond:
            asked = within_reach(levels, vix, low, high)
            how = "asked for are" if set(asked) <= set(levels) else "asked for are quantiles of its own VIX,"
            named, instead = (", ".join(f"{level:g}" for level in each) for each in (beyond, asked))
            where = f"a VIX of {named} at the {at} of a window is out of reach, {low:.1f} to {high:.1f}"
            lines.append(f"{node}: of {key} {where}; {how} {instead}")
    return lines


if __name__ == "__main__":
    print("\n".join(f"  {line}" for line in notices(Path(sys.argv[1]), sys.argv[2])))
