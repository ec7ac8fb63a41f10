"""The history and how it is cut."""

from pathlib import Path

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from chaoslib.evaluation import metrics
from chaoslib.figures.style import (
    COLOURS,
    INDICES,
    ONE_COLUMN,
    PERCENT,
    SPLIT_COLOURS,
    SPLIT_LINES,
    SPLITS,
    TWO_COLUMNS,
    canvas,
    density,
    legend_below,
    styled,
)

CALM, STRESS = "#444444", 20.0  # colour of the VIX; index points from which this project speaks of stress
DRAWN_DAYS, DRAWN_LENGTH = (56, 12, 12), 6  # days a span and a window of the sketch


def plain_numbers(axis: Axes, name: str, *, at: tuple[float, ...]) -> None:
    """Label a logarithmic axis with numbers as one says them, at these multiples of powers of ten."""
    of_axis = getattr(axis, f"{name}axis")
    of_axis.set_major_locator(LogLocator(subs=at))
    of_axis.set_major_formatter("{x:,.6g}")
    of_axis.set_minor_locator(NullLocator())


@styled(
    """Daily closes on a logarithmic scale, where equal distances are equal returns (a), daily log-returns with the largest
    fall and the largest rise dated (b), and the VIX (c). The dotted line in c is at {stress:g} points, where stress
    begins in this project. Look for large moves of either sign that come close together while the VIX is high."""
)
def price_history(prices: pd.DataFrame, log_returns: pd.DataFrame, *, title: str) -> Figure:
    """Level on a log scale, daily log-returns in percent with the two extreme days, VIX in points.

    title : name of the data set, of `INDICES` or of a file
    """
    figure, (top, middle, bottom) = canvas(3, 1, width=TWO_COLUMNS, height=4.6, sharex=True)
    figure.said["stress"] = STRESS
    top.semilogy(prices["date"], prices["close"], color=COLOURS["real_train"], linewidth=0.7)
    plain_numbers(top, "y", at=(1.0, 1.5, 2.0, 3.0, 4.5, 7.0))
    top.set_ylabel("index points" if title in INDICES else "close")
    top.set_title(f"{INDICES.get(title, Path(title).name)}: daily closes")
    percent = PERCENT * log_returns["log_return"].to_numpy()
    middle.plot(log_returns["date"], percent, color=COLOURS["real_train"], linewidth=0.4)
    for row in (int(percent.argmin()), int(percent.argmax())):
        day, late = log_returns["date"].iloc[row], row > len(percent) / 2
        text = f"{day.day} {day:%b %Y}: {percent[row]:+.1f} %".replace("-", "−")
        side = {"xytext": (-5 if late else 5, 0), "ha": "right" if late else "left"}
        middle.annotate(text, (day, percent[row]), textcoords="offset points", va="center", fontsize=7, **side)
    middle.set(ylabel="log-return (%)", title="daily log-returns")
    bottom.plot(prices["date"], prices["vix"], color=CALM, linewidth=0.7)
    bottom.axhline(STRESS, color="black", linewidth=0.8, linestyle=":")
    bottom.set(ylabel="VIX (index points)", title=f"VIX; stress begins at {STRESS:g} points (dotted)")
    bottom.xaxis.set_major_locator(mdates.AutoDateLocator())
    return figure


@styled(
    """How a history is cut, drawn with {drawn} days a window instead of {seq_len}. (a) A window begins on every day of a
    span and none crosses a boundary; windows of one row share no day, and the dark row shows how few can be had without
    overlap. (b) A window $w_i$ holds the log-returns between its closes and carries two values of the VIX: `vix_start`,
    at the close before the window begins, and `vix_end`, at its last close."""
)
def windows_sketch(*, seq_len: int, train: float, val: float) -> Figure:
    """How a history is cut, schematically: overlapping windows inside each span, and the two VIX values of a window.

    seq_len : L, days in a window; train, val : shares of the days; these three are what the sketch says in words, the
    days and windows that it draws are fewer. A row holds windows that share no day; those of the first row are dark.
    """
    figure, (spans, one) = canvas(2, 1, width=TWO_COLUMNS, height=3.3, height_ratios=[1.15, 1.0])
    figure.said |= {"drawn": DRAWN_LENGTH, "seq_len": seq_len}
    start = 0
    for (name, colour), days, share in zip(SPLIT_COLOURS.items(), DRAWN_DAYS, (train, val, 1 - train - val), strict=True):
        spans.axvspan(start, start + days, color=colour, alpha=0.08, linewidth=0)
        text = f"{SPLITS[name]}\n{PERCENT * share:.0f} %"
        spans.text(start + days / 2, -1.1, text, ha="center", va="bottom", fontsize=7, color=colour)
        first = np.arange(days - DRAWN_LENGTH + 1)
        for row in range(DRAWN_LENGTH):
            left = start + first[first % DRAWN_LENGTH == row]
            look = {"alpha": 0.35, "label": f"_{SPLITS[name]}"} if row else {"alpha": 1.0, "label": SPLITS[name]}
            spans.barh(np.full(len(left), row), DRAWN_LENGTH - 0.3, 0.7, left + 0.15, color=colour, linewidth=0, **look)
        start += days
    for boundary in np.cumsum(DRAWN_DAYS[:-1]):
        spans.axvline(boundary, color="black", linewidth=0.9)
    spans.set(xlim=(0, start), ylim=(DRAWN_LENGTH - 0.4, -2.9), xticks=[], yticks=[])
    spans.spines[["left"]].set_visible(False)
    spans.set(xlabel=f"trading days → (drawn with $L$ = {DRAWN_LENGTH}, cut with $L$ = {seq_len})", ylabel="windows")
    spans.set_title("overlapping windows of each span; dark: windows that share no day")
    one_window(one)
    return figure


def one_window(axis: Axes) -> None:
    """Closes, the returns between them that make a window, where its two VIX values stand, and the next window."""
    before, last = 3, 3 + DRAWN_LENGTH  # days of the closes around the window
    closes = np.array([1.12, 1.25, 1.05, 1.20, 1.38, 1.24, 1.36, 1.02, 1.14, 0.86, 1.02, 1.20, 1.10])
    axis.axvspan(before, last, color=SPLIT_COLOURS["train"], alpha=0.08, linewidth=0)
    axis.plot(
        np.arange(len(closes)), closes, color=COLOURS["real_train"], marker="o", markersize=3, linewidth=0.7, label="closes"
    )
    for day, name, says, side in (
        (before, "vix_start", "known when the\nwindow begins", "right"),
        (last, "vix_end", "looks back\non the window", "left"),
    ):
        axis.axvline(day, color=CALM, linewidth=0.9, linestyle="--")
        shift = 0.12 if side == "left" else -0.12
        look = {"family": "monospace", "weight": "bold", "color": CALM}
        axis.text(day + shift, 2.25, name, ha=side, va="bottom", fontsize=7, **look)
        axis.text(day + shift, 2.2, says, ha=side, va="top", fontsize=6.5, color=CALM)
    for day, text in ((before, "$i-1$"), (before + 1, "$i$"), (last, "$i+L-1$")):
        axis.text(day, -0.32, text, ha="center", va="top", fontsize=7)
    axis.text(0, -0.32, "day", ha="center", va="top", fontsize=7)
    axis.text(0, closes[0] - 0.12, "close", ha="center", va="top", fontsize=7)
    for step, text in ((before, "$r_i$"), (before + 1, "$r_{i+1}$")):
        axis.text(step + 0.5, closes[step : step + 2].mean() + 0.14, text, ha="center", va="bottom", fontsize=7)
    axis.text(last - 0.12, closes[last - 1] + 0.1, "$r_{i+L-1}$", ha="right", va="bottom", fontsize=7)
    for row, text in enumerate(("$w_i$", "$w_{i+1}$")):
        bars = {"color": SPLIT_COLOURS["train"], "alpha": 1 - 0.6 * row, "linewidth": 0}
        axis.barh(0.35 - 0.42 * row, DRAWN_LENGTH - 0.06, 0.3, left=before + row + 0.03, label=text, **bars)
        axis.text(before + row - 0.1, 0.35 - 0.42 * row, text, ha="right", va="center", fontsize=7)
    axis.set(xlim=(-0.2, len(closes) - 0.8), ylim=(-0.25, 2.65), xticks=[], yticks=[])
    axis.spines[["left"]].set_visible(False)
    axis.set_title("one window: the returns between closes, and its two VIX values")


@styled(
    """The VIX over the three spans of time (a), and how the realised volatility of their windows is distributed (b); the
    density is of the logarithm. The more the curves in b differ, the less a distance to validation or test says about a
    model that learned from train."""
)
def split_overview(spans: dict[str, pd.DataFrame], windows: dict[str, np.ndarray]) -> Figure:
    """Where the splits lie, and how different their windows are: VIX and realised volatility."""
    figure, (timeline, volatility) = canvas(1, 2, width=TWO_COLUMNS, height=2.4, width_ratios=[1.7, 1])
    for name, span in spans.items():
        look = {"color": SPLIT_COLOURS[name], "label": SPLITS[name]}
        timeline.plot(span["date"], span["vix"], linewidth=0.6, **look)
        timeline.axvspan(*span["date"].iloc[[0, -1]], color=SPLIT_COLOURS[name], alpha=0.08, linewidth=0)
        sizes = PERCENT * metrics.realised_vol(windows[name])
        density(volatility, sizes, log_scale=True, cut=3, linestyle=SPLIT_LINES[name], **look)
    timeline.set_ylabel("VIX (index points)")
    timeline.xaxis.set_major_locator(mdates.AutoDateLocator())
    timeline.set_title("three spans in order of time")
    plain_numbers(volatility, "x", at=(1.0, 2.0, 5.0))
    volatility.set_xlabel("realised volatility (% a day)")
    volatility.set(ylabel="density (per factor of ten)", title="all windows of each span")
    legend_below(figure, *volatility.get_legend_handles_labels(), ncols=6)
    return figure


@styled(
    """Share of the windows of each span whose VIX at the end stands at or above a level. The number over a bar counts
    windows at or above the level that share no day, the most that can be had: overlapping windows repeat the same days,
    so this count says how much was really seen. Compare a bar with those of the other spans: where they differ, a span
    is another regime than the one a model learned from."""
)
def stress_share(
    vix_end: dict[str, np.ndarray], thresholds: list[float], *, episodes: dict[tuple[str, float], int] | None = None
) -> Figure:
    """Share of windows whose VIX at the end stands at or above each threshold, and over each bar its number of episodes.

    vix_end : split -> (N,) index points; episodes : (split, threshold) -> windows at or above it that share no day
    """
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.6)
    shares = {name: [PERCENT * np.mean(vix >= threshold) for threshold in thresholds] for name, vix in vix_end.items()}
    table = pd.DataFrame({"level": [f"≥ {threshold:g}" for threshold in thresholds], **shares})
    table = table.melt("level", var_name="split", value_name="share")
    options = {"palette": SPLIT_COLOURS, "saturation": 1, "errorbar": None, "legend": False}
    sns.barplot(table, x="level", y="share", hue="split", ax=axis, **options)
    for bars, name in zip(axis.containers, vix_end, strict=True):
        bars.set_label(SPLITS[name])
        if episodes:
            axis.bar_label(bars, [f"{episodes[name, threshold]}" for threshold in thresholds], fontsize=6.5, padding=1)
    axis.set(xlabel="VIX at the window's end (index points)", ylabel="share of windows (%)")
    if episodes:
        axis.set_title("numbers: windows that share no day")
    axis.margins(y=0.1)
    legend_below(figure, *axis.get_legend_handles_labels(), ncols=6)
    return figure
