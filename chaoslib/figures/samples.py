"""Generated windows beside real ones."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from chaoslib.evaluation import metrics
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    ONE_COLUMN,
    PERCENT,
    TWO_COLUMNS,
    canvas,
    legend_below,
    line_width,
    styled,
)


@styled("")
def paths(samples: dict[str, np.ndarray], *, shown: int = 40, seed: int = 0) -> Figure:
    """Cumulative returns of `shown` windows of each model, with the central 90 % of all of them, in percent."""
    columns = 4
    rows = -(-len(samples) // columns)
    figure, axes = canvas(rows, columns, width=TWO_COLUMNS, height=1.65 * rows, breaks=True, sharex=True, sharey=True)
    rng = np.random.default_rng(seed)
    for axis, (name, windows) in zip(axes, samples.items(), strict=False):
        levels = PERCENT * np.cumsum(windows, axis=1)
        days = np.arange(1, levels.shape[1] + 1)
        low, high = np.quantile(levels, [0.05, 0.95], axis=0)
        axis.fill_between(days, low, high, color=COLOURS[name], alpha=0.18, linewidth=0)
        lines = levels[rng.choice(len(levels), size=min(shown, len(levels)), replace=False)]
        axis.plot(days, lines.T, color=COLOURS[name], linewidth=0.35, alpha=0.7)
        axis.set_title(LABELS[name], loc="left")
        axis.set_ylim(-40, 30)
    for axis in axes[len(samples) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(samples) - columns) : len(samples)]:  # the lowest panel of each column
        axis.tick_params(labelbottom=True)
    figure.supxlabel("day of the window; shaded: the central 90 % of all windows", fontsize=8)
    figure.supylabel("cumulative log-return (%)", fontsize=8)
    return figure


@styled("")
def gallery(pairs: dict[str, tuple[np.ndarray, np.ndarray]], *, shown: int = 3, seed: int = 0) -> Figure:
    """A row a model, beside the real windows it should resemble: model -> (real, generated), log-returns (N, L).

    Daily returns of a few windows end to end, density of all days, volatility of a window, memory of |r|; real in black.
    """
    figure, axes = canvas(
        len(pairs), 4, width=TWO_COLUMNS, height=1.15 * len(pairs), width_ratios=[1.8, 1, 1, 1], sharex="col"
    )
    grid = axes.reshape(len(pairs), 4)
    rng = np.random.default_rng(seed)
    edges = np.linspace(-12.6, 12.6, 43)
    for (name, (real, fake)), (days, law, volatility, memory) in zip(pairs.items(), grid, strict=True):
        returns = fake[rng.choice(len(fake), size=shown, replace=False)].ravel()
        days.plot(np.arange(1, len(returns) + 1), PERCENT * returns, color=COLOURS[name], linewidth=0.6)
        for seam in range(1, shown):
            days.axvline(seam * fake.shape[1] + 0.5, color="grey", linewidth=0.5, linestyle=":")
        days.set_ylim(-9, 9)
        days.set_title(LABELS[name], loc="left")
        for windows, colour in ((real, "black"), (fake, COLOURS[name])):
            heights = np.histogram(PERCENT * windows, bins=edges)[0] / (windows.size * np.diff(edges))
            law.stairs(np.where(heights > 0, heights, np.nan), edges, color=colour)
            counts, bins = np.histogram(metrics.log_rv(windows), bins=np.linspace(-6.5, -2.5, 41))
            volatility.stairs(counts / (max(counts.sum(), 1) * np.diff(bins)), bins, color=colour)
            memory.plot(np.arange(1, 21), metrics.pooled_acf(np.abs(windows)), color=colour)
        law.set_yscale("log")
        law.set_ylim(2e-5, 3)
        volatility.set_ylim(top=min(volatility.get_ylim()[1], 3.5))
        volatility.set_yticks([])
        memory.axhline(0, color="grey", linewidth=0.5)
        memory.set_ylim(-0.15, 0.75)
    labels = ("day, windows end to end", "log-return (%)", "log realised vol.", "lag (days)")
    titles = ("density of days", "volatility of windows", "memory of |r|")
    for axis, label in zip(grid[-1], labels, strict=True):
        axis.set_xlabel(label)
    for axis, title in zip(grid[0, 1:], titles, strict=True):
        axis.set_title(title, loc="left")
    figure.supylabel("daily log-return (%)", fontsize=8)
    black = Line2D([], [], color="black")
    legend_below(figure, [black], ["real windows; colours: the model"], ncols=1)
    return figure


@styled("")
def histogram(samples: dict[str, np.ndarray]) -> Figure:
    """Densities of daily returns: the centre on a linear scale, everything on a logarithmic one."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.5)
    for axis, edges in ((left, np.linspace(-4, 4, 81)), (right, np.linspace(-13, 13, 79))):
        for name, windows in samples.items():
            heights, _ = np.histogram(PERCENT * windows, bins=edges, density=False)
            heights = heights / (windows.size * np.diff(edges))
            heights = np.where(heights > 0, heights, np.nan)
            axis.stairs(heights, edges, color=COLOURS[name], label=LABELS[name], linewidth=line_width(name))
        axis.set_xlabel("daily log-return (%)")
    left.set_ylabel("density")
    left.set_title("the centre", loc="left")
    right.set_yscale("log")
    right.set_title("all days, on a logarithmic scale: the tails", loc="left")
    left.legend(loc="upper left", handlelength=1.2)
    return figure


@styled("")
def qq(samples: dict[str, np.ndarray]) -> Figure:
    """Quantiles of each model against those of the first sample, in percent."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=3.2)
    levels = np.concatenate([np.geomspace(2e-4, 0.1, 30), np.linspace(0.12, 0.88, 30), 1 - np.geomspace(0.1, 2e-4, 30)])
    reference, *others = samples
    real = PERCENT * np.quantile(samples[reference], levels)
    axis.axline((0, 0), slope=1, color="black", linewidth=0.6, label="equal quantiles")
    for name in others:
        axis.plot(real, PERCENT * np.quantile(samples[name], levels), color=COLOURS[name], label=LABELS[name])
    axis.set_xlabel(f"{LABELS[reference]}: quantiles of daily log-return (%)")
    axis.set_ylabel("model (%)")
    axis.legend(loc="upper left")
    return figure


@styled("")
def acf(samples: dict[str, np.ndarray], *, max_lag: int = 20) -> Figure:
    """Pooled autocorrelation of r and of |r|."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.8)
    lags = np.arange(1, max_lag + 1)
    for name, windows in samples.items():
        style = {"color": COLOURS[name], "label": LABELS[name], "linewidth": line_width(name), "marker": "."}
        left.plot(lags, metrics.pooled_acf(windows, max_lag=max_lag), **style)
        right.plot(lags, metrics.pooled_acf(np.abs(windows), max_lag=max_lag), **style)
    left.set_ylabel("autocorrelation")
    for axis, title in ((left, "autocorrelation of r"), (right, "autocorrelation of |r|")):
        axis.axhline(0, color="grey", linewidth=0.5)
        axis.set_xlabel("lag (days)")
        axis.set_title(title, loc="left")
    legend_below(figure, *right.get_legend_handles_labels(), ncols=4)
    return figure


@styled("")
def drawdowns(samples: dict[str, np.ndarray]) -> Figure:
    """Share of 50-day windows whose maximum drawdown exceeds a level, on a log scale."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.6)
    for name, windows in samples.items():
        ordered = np.sort(PERCENT * metrics.max_drawdown(windows))
        exceed = 1 - np.arange(len(ordered)) / len(ordered)
        axis.semilogy(ordered, exceed, color=COLOURS[name], label=LABELS[name], linewidth=line_width(name))
    axis.set_xlim(0, 50)
    axis.set_ylim(1e-3, 1.2)
    axis.set_xlabel("maximum drawdown of a window (%)")
    axis.set_ylabel("share of windows beyond")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.legend()
    return figure


@styled("")
def headline(samples: dict[str, np.ndarray]) -> Figure:
    """Bands of cumulative returns, tails and memory of the first (real) sample and its rivals, side by side."""
    figure, (fan, tails, memory) = canvas(1, 3, width=TWO_COLUMNS, height=2.5)
    edges = np.linspace(-12.6, 12.6, 37)
    for name, windows in samples.items():
        style = {"color": COLOURS[name], "linewidth": line_width(name)}
        levels = PERCENT * np.cumsum(windows, axis=1)
        days = np.arange(1, levels.shape[1] + 1)
        for q in (0.01, 0.05, 0.95, 0.99):
            fan.plot(days, np.quantile(levels, q, axis=0), linestyle="-" if 0.02 < q < 0.98 else "--", **style)
        heights = np.histogram(PERCENT * windows, bins=edges)[0] / (windows.size * np.diff(edges))
        tails.plot((edges[1:] + edges[:-1]) / 2, np.where(heights > 0, heights, np.nan), **style)
        memory.plot(np.arange(1, 21), metrics.pooled_acf(np.abs(windows)), label=LABELS[name], **style)
    fan.set_title("5–95 % (solid), 1–99 % (dashed)", loc="left")
    fan.set_ylabel("cumulative log-return (%)")
    fan.set_xlabel("day")
    tails.set_yscale("log")
    tails.set_title("density of daily returns", loc="left")
    tails.set_ylabel("density")
    tails.set_xlabel("log-return (%)")
    memory.set_title("autocorrelation of |r|", loc="left")
    memory.set_xlabel("lag (days)")
    memory.set_ylabel("autocorrelation")
    memory.set_ylim(bottom=min(0.0, memory.get_ylim()[0]))
    legend_below(figure, *memory.get_legend_handles_labels(), ncols=len(samples))
    return figure
