"""The history and how it is cut."""

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from scipy import stats

from chaoslib.evaluation import metrics
from chaoslib.figures.style import COLOURS, INDICES, ONE_COLUMN, PERCENT, SPLIT_COLOURS, SPLITS, TWO_COLUMNS, canvas, styled

CALM, STRESS = "#444444", 20.0  # colour of the VIX; index points from which this project speaks of stress
DRAWN_DAYS, DRAWN_LENGTH = (56, 12, 12), 6  # days a span and a window of the sketch


def plain_numbers(axis: Axes, name: str, *, at: tuple[float, ...]) -> None:
    """Label a logarithmic axis with numbers as one says them, at these multiples of powers of ten."""
    of_axis = getattr(axis, f"{name}axis")
    of_axis.set_major_locator(LogLocator(subs=at))
    of_axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    of_axis.set_minor_locator(NullLocator())


@styled("")
def price_history(prices: pd.DataFrame, log_returns: pd.DataFrame, *, title: str) -> Figure:
    """Level on a log scale, daily log-returns in percent with the two extreme days, VIX in points."""
    figure, (top, middle, bottom) = canvas(3, 1, width=TWO_COLUMNS, height=4.6, sharex=True)
    top.semilogy(prices["date"], prices["close"], color=COLOURS["real_train"], linewidth=0.7)
    plain_numbers(top, "y", at=(1.0, 1.5, 2.0, 3.0, 4.5, 7.0))
    top.set_ylabel("index points")
    top.set_title(f"{INDICES.get(title, title)}: daily closes, log scale", loc="left")
    percent = PERCENT * log_returns["log_return"].to_numpy()
    middle.plot(log_returns["date"], percent, color=COLOURS["real_train"], linewidth=0.4)
    for row in (int(percent.argmin()), int(percent.argmax())):
        day, late = log_returns["date"].iloc[row], row > len(percent) / 2
        text = f"{day.day} {day:%b %Y}: {percent[row]:+.1f} %".replace("-", "−")
        side = {"xytext": (-5 if late else 5, 0), "ha": "right" if late else "left"}
        middle.annotate(text, (day, percent[row]), textcoords="offset points", va="center", fontsize=7, **side)
    middle.set_ylabel("log-return (%)")
    middle.set_title("daily log-returns, with the largest fall and the largest rise", loc="left")
    bottom.plot(prices["date"], prices["vix"], color=CALM, linewidth=0.7)
    bottom.axhline(STRESS, color="grey", linewidth=0.6, linestyle=":")
    bottom.set_ylabel("VIX (index points)")
    bottom.set_title(f"VIX; dotted: {STRESS:g} points, where stress begins in this project", loc="left")
    bottom.xaxis.set_major_locator(mdates.AutoDateLocator())
    return figure


@styled("")
def windows_sketch(*, seq_len: int, train: float, val: float) -> Figure:
    """How a history is cut, schematically: overlapping windows inside each span, and the two VIX values of a window.

    seq_len : L, days in a window; train, val : shares of the days; these three are what the sketch says in words, the
    days and windows that it draws are fewer. A row holds windows that share no day; those of the first row are dark.
    """
    figure, (spans, one) = canvas(2, 1, width=TWO_COLUMNS, height=3.3, height_ratios=[1.15, 1.0])
    start = 0
    for (name, colour), days, share in zip(SPLIT_COLOURS.items(), DRAWN_DAYS, (train, val, 1 - train - val), strict=True):
        spans.axvspan(start, start + days, color=colour, alpha=0.08, linewidth=0)
        text = f"{SPLITS[name]}\n{PERCENT * share:.0f} %"
        spans.text(start + days / 2, -1.1, text, ha="center", va="bottom", fontsize=7, color=colour)
        first = np.arange(days - DRAWN_LENGTH + 1)
        bars = {"height": 0.7, "color": colour, "align": "center", "linewidth": 0}
        for row in range(DRAWN_LENGTH):
            left = start + first[first % DRAWN_LENGTH == row]
            drawn = spans.barh(np.full(len(left), row), DRAWN_LENGTH - 0.3, left=left + 0.15, **bars)
            for bar in drawn:
                bar.set_alpha(1.0 if row == 0 else 0.35)
            drawn.set_label(SPLITS[name] if row == 0 else f"_{SPLITS[name]}")
        start += days
    for boundary in np.cumsum(DRAWN_DAYS[:-1]):
        spans.axvline(boundary, color="black", linewidth=0.9)
    spans.set_ylim(DRAWN_LENGTH - 0.4, -2.9)
    spans.set_xlim(0, start)
    spans.set_yticks([])
    spans.set_xticks([])
    spans.spines[["left"]].set_visible(False)
    spans.set_ylabel("windows")
    spans.set_xlabel(f"trading days → (drawn with $L$ = {DRAWN_LENGTH}, cut with $L$ = {seq_len})")
    spans.set_title(
        "a window begins on every day of a span, none crosses a boundary; dark: windows that share no day", loc="left"
    )
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
        axis.text(
            day + shift, 2.25, f"{name}", ha=side, va="bottom", fontsize=7, family="monospace", weight="bold", color=CALM
        )
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
    axis.set_xlim(-0.2, len(closes) - 0.8)
    axis.set_ylim(-0.25, 2.65)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[["left"]].set_visible(False)
    axis.set_title("one window: the returns between its closes, and the two VIX values that it carries", loc="left")


@styled("")
def split_overview(spans: dict[str, pd.DataFrame], windows: dict[str, np.ndarray]) -> Figure:
    """Where the splits lie, and how different their windows are: VIX and realised volatility."""
    figure, (timeline, volatility) = canvas(1, 2, width=TWO_COLUMNS, height=2.3, width_ratios=[1.7, 1])
    for name, span in spans.items():
        first, last = span["date"].iloc[0], span["date"].iloc[-1]
        timeline.plot(span["date"], span["vix"], color=SPLIT_COLOURS[name], linewidth=0.6, label=SPLITS[name])
        timeline.axvspan(first, last, color=SPLIT_COLOURS[name], alpha=0.08, linewidth=0)
        timeline.text(first + (last - first) / 2, 94, SPLITS[name], color=SPLIT_COLOURS[name], ha="center", fontsize=6.5)
        sizes = metrics.log_rv(windows[name])
        grid = np.linspace(sizes.min() - 0.4, sizes.max() + 0.4, 300)
        curve = stats.gaussian_kde(sizes)(grid)
        volatility.plot(PERCENT * np.exp(grid), curve, color=SPLIT_COLOURS[name], label=SPLITS[name])
    timeline.set_ylabel("VIX (index points)")
    timeline.xaxis.set_major_locator(mdates.YearLocator(4))
    timeline.set_title("three spans in order of time", loc="left")
    timeline.set_ylim(top=102)
    volatility.set_xscale("log")
    plain_numbers(volatility, "x", at=(1.0, 2.0, 5.0))
    volatility.set_xlabel("realised volatility of a window (% a day)")
    volatility.set_ylabel("density of its logarithm")
    volatility.set_title("all windows of each span", loc="left")
    volatility.set_ylim(bottom=0)
    return figure


@styled("")
def stress_share(
    vix_end: dict[str, np.ndarray], thresholds: list[float], *, episodes: dict[tuple[str, float], int] | None = None
) -> Figure:
    """Share of windows whose VIX at the end stands at or above each threshold, and over each bar its number of episodes.

    vix_end : split -> (N,) index points; episodes : (split, threshold) -> windows at or above it that share no day
    """
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.4)
    width = 0.8 / len(vix_end)
    for offset, (name, vix) in enumerate(vix_end.items()):
        shares = [PERCENT * np.mean(vix >= threshold) for threshold in thresholds]
        places = np.arange(len(thresholds)) + offset * width
        bars = axis.bar(places, shares, width, color=SPLIT_COLOURS[name], label=SPLITS[name])
        if episodes:
            counts = [f"{episodes[name, threshold]}" for threshold in thresholds]
            axis.bar_label(bars, counts, fontsize=6.5, padding=1, color=SPLIT_COLOURS[name])
    axis.set_xticks(np.arange(len(thresholds)) + 0.4 - width / 2, [f"≥ {threshold:g}" for threshold in thresholds])
    axis.set_xlabel("VIX at the window's end (index points)")
    axis.set_ylabel("share of windows (%)")
    if episodes:
        axis.set_title("numbers: windows that share no day", loc="left")
    axis.margins(y=0.1)
    axis.legend()
    return figure
