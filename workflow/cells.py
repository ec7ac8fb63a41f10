"""Words and cells of printed tables: codes in words, means with their range over seeds, rows in order."""

from pathlib import Path

import pandas as pd
import report

from chaoslib.evaluation.tables import MODELS
from chaoslib.figures.bottleneck import PROBE_LABELS
from chaoslib.figures.forecasts import PORTFOLIO_LABELS
from chaoslib.figures.style import LABELS
from chaoslib.figures.verdict import GROUPS, METRIC_LABELS

BLANK = "–"
WORDS = {
    **PROBE_LABELS,
    **PORTFOLIO_LABELS,
    **METRIC_LABELS,
    **LABELS,
    "day_std_range": "range of sd over days",
    "p_max": "p_max",  # `floats.tex` sets it as a symbol
    "p_max above 0.05": "p_max above 0.05",
    "end": "told the VIX at the window's end",
    "start": "told the VIX before the window",
    "vol_target": "volatility target",
    "vae": "VAE",
    "full": "all windows",
    "stress": "windows of stress",
    "sp500_logret": "S&P 500",
    "nasdaq_logret": "Nasdaq Composite",
    "dow_logret": "Dow Jones Industrial Average",
    "russell2000_logret": "Russell 2000",
}


def words(code: object) -> str:
    """A code of the tables in words; of a file of the user's, its name."""
    return WORDS.get(code) or (Path(code).name if str(code).lower().endswith(".csv") else str(code).replace("_", " "))


def fixed(x: float, digits: int) -> str:
    """`x` to so many decimals, without a sign where it is zero to them."""
    return BLANK if pd.isna(x) else f"{round(x, digits) + 0.0:.{digits}f}".replace("inf", "∞")


def between(low: float, high: float, digits: int) -> str:
    ends = [fixed(x, digits) for x in (low, high)]
    return (" to " if "-" in "".join(ends) else "–").join(ends) if BLANK not in ends else BLANK


def span(values: pd.Series, digits: int = 2) -> str:
    """Mean over seeds with the lowest and the highest in brackets, which stand only where the decimals shown differ."""
    return ranged(values.mean(), values.min(), values.max(), digits)


def ranged(mean: float, low: float, high: float, digits: int) -> str:
    ends = fixed(low, digits), fixed(high, digits)
    return fixed(mean, digits) + (f" ({between(low, high, digits)})" if ends[0] != ends[1] else "")


def seeds_of(rows: pd.DataFrame) -> str:
    """The sentence of a caption on the seeds of the entries."""
    seeds = [str(seed) for seed in sorted(rows["seed"].unique())]
    if len(seeds) < 2:
        return f"Seed {', '.join(seeds) or BLANK}."
    listed = f"{', '.join(seeds[:-1])} and {seeds[-1]}"
    return f"Means over seeds {listed}, with the lowest and the highest in brackets where several seeds differ."


def percent(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    return rows.assign(**{name: 100 * rows[name] for name in names if name in rows})


def over_seeds(rows: pd.DataFrame, by: list[str], heads: dict[str, str], digits: int | dict = 2) -> pd.DataFrame:
    """`span` of each column of `heads` (column -> heading) that there is, a row a key; models stand in their order."""
    rows = in_order(rows) if "model" in by else rows
    groups = list((rows if by[0] == "model" else rows.sort_index())[by[0]].unique())
    heads = {name: head for name, head in heads.items() if name in rows}
    told = {}
    for key, group in sorted(rows.groupby(by, sort=False), key=lambda each: len(by) > 1 and groups.index(each[0][0])):
        decimals = {name: digits.get(name, 2) if isinstance(digits, dict) else digits for name in heads}
        told[key if len(by) > 1 else key[0]] = {heads[name]: span(group[name], decimals[name]) for name in heads}
    return framed(told, by).rename(index=words)


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows sorted by model, in the order of `MODELS`; models that it lacks stand last."""
    places = {model: place for place, model in enumerate(MODELS)}
    return rows.sort_values("model", key=lambda models: models.map(places), kind="stable")


def framed(told: dict, names: list[str]) -> pd.DataFrame:
    """Texts as a frame from {key: {heading: text}}; a key is a name, or a group of rows and a name."""
    if len(names) > 1:
        groups = list(dict.fromkeys(key[0] for key in told))
        told = {key: told[key] for key in sorted(told, key=lambda key: groups.index(key[0]))}
    frame = pd.DataFrame(list(told.values())).fillna(BLANK)
    if len(names) == 1:
        frame.index = pd.Index(list(told), name=names[0], dtype=object)
    else:
        frame.index = pd.MultiIndex.from_arrays(list(zip(*told, strict=True)) or [[], []], names=names)
    return frame


def columns_of(rows: pd.DataFrame, by: list[str], column: str, value: str) -> pd.DataFrame:
    """The values of `value` side by side, a column for each entry of `column`, without columns that are blank."""
    return rows.pivot(index=by, columns=column, values=value).dropna(axis=1, how="all").reset_index()


def by_metric(told: dict[str, dict[str, str]]) -> pd.DataFrame:
    """Rows of metrics in the order of `METRIC_LABELS` under the names of their groups; others stand last."""
    keys, about = {}, ""
    for metric in METRIC_LABELS:
        about = GROUPS.get(metric, about)
        keys[metric] = (about, words(metric))
    placed = sorted(told, key=lambda metric: list(keys).index(metric) if metric in keys else len(keys))
    return framed({keys.get(metric, ("all together", words(metric))): told[metric] for metric in placed}, ["", "metric"])


def reported(frame: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """A table of `report` as texts, its first column as index."""
    shown = pd.DataFrame({name: [report.shown(value, digits) or BLANK for value in frame[name]] for name in frame})
    places = {words(model): place for place, model in enumerate(MODELS)}
    return shown.set_index("model").sort_index(key=lambda models: models.map(places), kind="stable")
