"""One portfolio at one VIX: what two models say of it, on the same axes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from chaoslib.figures.forecasts import PORTFOLIO_LABELS
from chaoslib.figures.style import COLOURS, LABELS, PERCENT, TWO_COLUMNS, canvas, legend_below, styled

RISKS = {"var_95": "VaR 95 %", "es_95": "ES 95 %", "var_99": "VaR 99 %", "es_99": "ES 99 %"}
BAND = 0.2  # opacity of what is filled: two models lie on one another


@styled("""
    One portfolio ({portfolio}) over {days} after a VIX of {vix}, in $n$ scenarios of each of two models: {models}; {seed}.
    (a) Change in value: median, band from 5 to 95 %, and the 1 and 99 % quantiles of every day. (b) Losses at the end,
    gains below zero; the outermost bars hold what lies beyond. (c) Value at risk (VaR) and expected shortfall (ES), with
    the 95 % intervals that $n$ leaves. Further right is worse in b and c. Where the colours part, the answer depends on the
    model.
""")
def scenario_card(values: dict[str, np.ndarray], risks: pd.DataFrame) -> Figure:
    """A fan of a portfolio's value, the losses at its end, and value at risk and shortfall with their intervals.

    values : model -> values (n, days) from 1 at the start
    risks : a row a model, columns model, portfolio, target_vix, and the names of `RISKS` with `_low` and `_high`
    """
    figure, (left, middle, right) = canvas(1, 3, width=TWO_COLUMNS, height=2.7)
    days, row = next(iter(values.values())).shape[1], risks.iloc[0]
    portfolio, horizon = PORTFOLIO_LABELS.get(row["portfolio"], row["portfolio"]), f"{days} day{'s' if days > 1 else ''}"
    value_fan(left, values)
    left.set_title(f"VIX {row['target_vix']:g} before: {portfolio}", loc="left")
    losses(middle, {model: 1 - each[:, -1] for model, each in values.items()})
    middle.set_title(f"losses after {horizon}", loc="left")
    intervals(right, risks)
    right.set_title("risk, with 95 % intervals", loc="left")
    named = {f"{LABELS[m]} (n = {len(each):,})": Patch(color=COLOURS[m], linewidth=0) for m, each in values.items()}
    named["5–95 %"] = Patch(color="black", alpha=BAND, linewidth=0)
    named["median"] = Line2D([], [], color="black")
    named["1 and 99 %"] = Line2D([], [], color="black", linestyle="--", linewidth=0.8)
    legend_below(figure, list(named.values()), list(named), ncols=5)
    figure.said = {"models": " and ".join(f"“{LABELS[model]}”" for model in values), "portfolio": portfolio, "days": horizon}
    figure.said["vix"] = f"{row['target_vix']:g}"
    return figure


def value_fan(axis: Axes, values: dict[str, np.ndarray]) -> None:
    """Change of value since the start against the day: band, median and outer quantiles of each model."""
    for model, each in values.items():
        change = PERCENT * np.pad(each - 1, ((0, 0), (1, 0)))
        lowest, low, middle, high, highest = np.quantile(change, [0.01, 0.05, 0.5, 0.95, 0.99], axis=0)
        since = np.arange(change.shape[1])
        axis.fill_between(since, low, high, color=COLOURS[model], alpha=BAND, linewidth=0)
        axis.plot(since, middle, color=COLOURS[model], label=LABELS[model])
        axis.plot(since, lowest, since, highest, color=COLOURS[model], linestyle="--", linewidth=0.8)
    axis.axhline(0, color="grey", linewidth=0.5)
    axis.set_xlabel("days ahead")
    axis.set_ylabel("change in value (%)")


def losses(axis: Axes, samples: dict[str, np.ndarray]) -> None:
    """Shares of losses (n,) of each model in bins that both share; the outermost bins hold what lies beyond them."""
    low, high = np.quantile(np.concatenate(list(samples.values())), [0.001, 0.999])
    edges = PERCENT * np.linspace(low - 1e-4, high + 1e-4, 41)
    for model, sample in samples.items():
        inside = np.clip(PERCENT * sample, edges[0], edges[-1])
        shares = PERCENT * np.histogram(inside, bins=edges)[0] / len(sample)
        axis.stairs(shares, edges, color=COLOURS[model], label=LABELS[model])
    axis.set_xlabel("loss (% of value)\nmore is worse →")
    axis.set_ylabel("share of scenarios (%)")


def intervals(axis: Axes, risks: pd.DataFrame) -> None:
    """Each measure of risk of each model, with the ends of its interval and its number."""
    offsets = np.linspace(-0.17, 0.17, len(risks))
    for offset, (_, row) in zip(offsets, risks.iterrows(), strict=True):
        middle, low, high = (PERCENT * row[[name + end for name in RISKS]].to_numpy(float) for end in ("", "_low", "_high"))
        places, colour = np.arange(len(RISKS)) + offset, COLOURS[row["model"]]
        axis.hlines(places, low, high, color=colour)
        axis.plot(middle, places, linestyle="", marker="o", markersize=3, color=colour, label=LABELS[row["model"]])
        for place, value, end in zip(places, middle, high, strict=True):
            note = {"xytext": (3, 0), "textcoords": "offset points", "fontsize": 6, "va": "center", "color": colour}
            axis.annotate(f"{value:.1f}", (end, place), **note)
    axis.set_yticks(range(len(RISKS)), list(RISKS.values()))
    axis.set_ylim(len(RISKS) - 0.5, -0.5)
    low, high = (PERCENT * risks[[name + end for name in RISKS]].to_numpy(float) for end in ("_low", "_high"))
    axis.set_xlim(min(0.0, 1.25 * low.min()), max(0.0, 1.25 * high.max()))  # from no loss at all, with room for numbers
    axis.set_xlabel("loss (% of value)\nmore is worse →")
