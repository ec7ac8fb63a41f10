"""The history and how it is cut."""

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from chaoslib.evaluation import metrics
from chaoslib.figures.style import COLOURS, ONE_COLUMN, PERCENT, SPLIT_COLOURS, TWO_COLUMNS, canvas, density, styled


@styled
def price_history(prices: pd.DataFrame, log_returns: pd.DataFrame, *, title: str) -> Figure:
    """Level on a log scale, daily log-returns in percent, VIX in points."""
    figure, (top, middle, bottom) = canvas(3, 1, width=TWO_COLUMNS, height=4.4, sharex=True)
    top.semilogy(prices["date"], prices["close"], color="black", linewidth=0.7)
    top.set_ylabel("index points")
    top.set_title(title, loc="left")
    middle.plot(log_returns["date"], PERCENT * log_returns["log_return"], color="black", linewidth=0.4)
    middle.set_ylabel("log-return (%)")
    bottom.plot(prices["date"], prices["vix"], color=COLOURS["timegan"], linewidth=0.7)
    bottom.axhline(20, color="grey", linewidth=0.5, linestyle=":")
    bottom.set_ylabel("VIX")
    return figure


@styled
def split_overview(spans: dict[str, pd.DataFrame], windows: dict[str, np.ndarray]) -> Figure:
    """Where the splits lie, and how different their windows are: VIX and realised volatility."""
    figure, (timeline, volatility) = canvas(1, 2, width=TWO_COLUMNS, height=2.2, width_ratios=[1.7, 1])
    for name, span in spans.items():
        timeline.plot(span["date"], span["vix"], color=SPLIT_COLOURS[name], linewidth=0.6, label=name)
        timeline.axvspan(span["date"].iloc[0], span["date"].iloc[-1], color=SPLIT_COLOURS[name], alpha=0.08, linewidth=0)
        density(volatility, metrics.log_rv(windows[name]), color=SPLIT_COLOURS[name], label=name)
    timeline.set_ylabel("VIX")
    timeline.xaxis.set_major_locator(mdates.YearLocator(4))
    timeline.set_title("splits by date", loc="left")
    timeline.set_ylim(top=100)
    timeline.legend(loc="upper left", ncols=3)
    volatility.set_xlabel("log realised volatility of a window")
    volatility.set_ylabel("density")
    volatility.set_title("overlapping windows", loc="left")
    return figure


@styled
def stress_share(vix_end: dict[str, np.ndarray], thresholds: list[float]) -> Figure:
    """Share of windows whose VIX at the end stands at or above each threshold."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.1)
    width = 0.8 / len(vix_end)
    for offset, (name, vix) in enumerate(vix_end.items()):
        shares = [PERCENT * np.mean(vix >= threshold) for threshold in thresholds]
        axis.bar(np.arange(len(thresholds)) + offset * width, shares, width, color=SPLIT_COLOURS[name], label=name)
    axis.set_xticks(np.arange(len(thresholds)) + 0.4 - width / 2, [f"≥ {threshold:g}" for threshold in thresholds])
    axis.set_xlabel("VIX at the window's end")
    axis.set_ylabel("windows (%)")
    axis.legend()
    return figure
