"""Generated windows beside real ones."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from chaoslib.evaluation import metrics
from chaoslib.figures.history import plain_numbers
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    LINES,
    ONE_COLUMN,
    PERCENT,
    TWO_COLUMNS,
    canvas,
    density,
    empirical,
    legend_below,
    line_width,
    ranked_rows,
    styled,
)

BAND = (0.05, 0.95)
RAREST = 1e-4  # share of days at which the tail of losses ends, some days in the training span
ROOM = 1.25  # an axis of days ends at so many times the largest real one


def look(name: str) -> dict[str, object]:
    """Colour, width and style of a model's line."""
    return {"color": COLOURS[name], "linewidth": line_width(name), "linestyle": LINES.get(name, "-")}


def bundle(axis: Axes, windows: np.ndarray, *, color: str, shown: int, rng: np.random.Generator) -> None:
    """Cumulative returns of `shown` of some windows (N, L), in percent, and a shade over the central 90 % of all N."""
    levels = PERCENT * np.cumsum(windows, axis=1)
    days = np.arange(1, levels.shape[1] + 1)
    axis.fill_between(days, *np.quantile(levels, BAND, axis=0), color=color, alpha=0.18, linewidth=0)
    axis.plot(days, levels[rng.permutation(len(levels))[:shown]].T, color=color, linewidth=0.35, alpha=0.7)


def larger_losses(axis: Axes, windows: np.ndarray, **style) -> None:
    """Share of all days, in percent, whose loss is larger than the one on the axis: 200 points instead of every day."""
    shares = np.geomspace(0.4, RAREST, 200)
    axis.plot(-PERCENT * np.quantile(windows, shares), PERCENT * shares, **style)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_xlim(left=0, auto=None)  # the next sample may still widen it


def correlogram(axis: Axes, values: np.ndarray, *, max_lag: int = 20, **style) -> None:
    """Pooled autocorrelation of daily values (N, L) at lags from one day."""
    heights = metrics.pooled_acf(values, max_lag=max_lag)
    axis.plot(np.arange(1, len(heights) + 1), heights, **style)
    axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[5, 10]))
    axis.set_xlabel("lag (days)")


@styled(
    """Cumulative log-returns of {shown} windows of each model; the shade holds the central 90 % of all its windows on each
    day, the dashed black lines those of the real windows that it should resemble: all training windows, for the models of
    stress those that end in stress. A model that is right fills the space between the dashed lines, with single paths
    beyond it as among the real ones. At most one path in a hundred leaves the axis. Trained models are of {seed}.""",
    letters=False,
)
def paths(
    samples: dict[str, np.ndarray], *, beside: dict[str, np.ndarray] | None = None, shown: int = 40, seed: int = 0
) -> Figure:
    """Cumulative returns of `shown` windows (N, L) of each model, in percent, with the central 90 % of all of them.

    beside : model -> the real windows (M, L) that it should resemble
    """
    rows = -(-len(samples) // 4)
    figure, axes = canvas(rows, 4, width=TWO_COLUMNS, height=1.6 * rows, breaks=True, sharex=True, sharey=True)
    figure.said["shown"] = shown
    rng = np.random.default_rng(seed)
    for axis, (name, windows) in zip(axes, samples.items(), strict=False):
        bundle(axis, windows, color=COLOURS[name], shown=shown, rng=rng)
        if name in (beside or {}):
            edges = np.quantile(PERCENT * np.cumsum(beside[name], axis=1), BAND, axis=0)
            axis.plot(np.arange(1, edges.shape[1] + 1), edges.T, color="black", linewidth=0.9, linestyle="--")
        axis.set_title(LABELS[name], loc="left")
    ends = np.array([(line.get_ydata().min(), line.get_ydata().max()) for axis in axes for line in axis.lines])
    axes[0].set_ylim(1.05 * np.quantile(ends[:, 0], 0.005), 1.05 * np.quantile(ends[:, 1], 0.995))
    columns = axes[0].get_gridspec().ncols
    for axis in axes[max(0, len(samples) - columns) : len(samples)]:  # the lowest panel of each column
        axis.tick_params(labelbottom=True)
        axis.set_xlabel("day of the window")
    for axis in axes[len(samples) :]:
        axis.remove()
    handles = [Patch(color="grey", alpha=0.4, linewidth=0), Line2D([], [], color="black", linestyle="--", linewidth=0.9)]
    legend_below(figure, handles, ["central 90 % of the model's windows", "of the real ones it should resemble"], ncols=2)
    figure.supylabel("cumulative log-return (%)")
    return figure


@styled(
    """Each model beside the real windows that it should resemble, in black: all training windows, for the models of stress
    those that end in stress. From left to right a calm, a typical and a wild window of the model, which stand at 5, 50 and
    95 % of its windows by volatility; the share of days with a loss larger than that on the axis, down to one day in
    10,000; the density of the volatility of windows, each panel on a scale of its own; and the autocorrelation of the size
    $|r|$ of daily returns. A model that is right lies on the black lines. Trained models are of {seed}.""",
    letters=False,
)
def gallery(pairs: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """A row a model, beside the real windows it should resemble: model -> (real, generated), log-returns (N, L).

    Daily returns of three windows end to end, the tail of losses, volatility of a window, memory of |r|; real in black.
    """
    figure, axes = canvas(
        len(pairs), 4, width=TWO_COLUMNS, height=0.4 + 0.84 * len(pairs), width_ratios=[1.8, 1, 1, 1], sharex="col"
    )
    grid = axes.reshape(len(pairs), 4)
    for column in (0, 1, 3):
        for axis in grid[1:, column]:
            axis.sharey(grid[0, column])
    for (name, (real, fake)), (days, losses, volatility, sizes) in zip(pairs.items(), grid, strict=True):
        returns = PERCENT * fake[list(ranked_rows(metrics.realised_vol(fake)).values())]
        days.plot(np.arange(1, returns.size + 1), returns.ravel(), color=COLOURS[name], linewidth=0.6)
        for seam in (1, 2):
            days.axvline(seam * fake.shape[1] + 0.5, color="grey", linewidth=0.5, linestyle=":")
        days.set_title(LABELS[name], loc="left")
        sizes.axhline(0, color="grey", linewidth=0.5)
        for windows, colour, label in ((real, "black", "real"), (fake, COLOURS[name], LABELS[name])):
            larger_losses(losses, windows, color=colour, label=label)
            density(volatility, PERCENT * metrics.realised_vol(windows), color=colour, label=label, log_scale=True)
            correlogram(sizes, np.abs(windows), color=colour, label=label)
        sizes.set_xlabel("")
        volatility.set(yticks=[], xlabel="", ylabel="")
        plain_numbers(volatility, "x", at=(1.0, 3.0))
    labels = ("day, three windows end to end", "loss (%)", "volatility (% a day)", "lag (days)")
    for axis, label in zip(grid[-1], labels, strict=True):
        axis.set_xlabel(label)
    for axis, title in zip(grid[0, 1:], ("days beyond (%)", "density", "memory of |r|"), strict=True):
        axis.set_title(title, loc="left")
    figure.supylabel("daily log-return (%)")
    legend_below(figure, [Line2D([], [], color="black")], ["real windows; in colour: the model that the row names"], ncols=1)
    return figure


@styled(
    """Densities of daily log-returns: the centre, three standard deviations of the real days to either side (a), and all
    days in bins of one per cent on a logarithmic scale, up to 1.25 times the largest real day (b), where a bin without a day
    reaches the ground. A model that is right has the black outline, and in b goes on where history had no day to show.
    Trained models are of {seed}."""
)
def histogram(samples: dict[str, np.ndarray]) -> Figure:
    """Densities of daily returns, the first sample being the real one: the centre, and everything on a logarithmic scale."""
    figure, (centre, everything) = canvas(1, 2, width=TWO_COLUMNS, height=2.5)
    real = PERCENT * next(iter(samples.values()))
    reach = np.ceil(max(np.abs(PERCENT * windows).max() for windows in samples.values()))
    for axis, width, end in ((centre, 0.2, 3 * real.std()), (everything, 1.0, ROOM * np.abs(real).max())):
        for name, windows in samples.items():
            bins = {"binwidth": width, "binrange": (-reach, reach), "stat": "density", "element": "step", "fill": False}
            sns.histplot(x=PERCENT * windows.ravel(), ax=axis, label=LABELS[name], **bins, **look(name))
        axis.set(xlim=(-end, end), xlabel="daily log-return (%)", ylabel="density (per %)")
    centre.set_title("the centre", loc="left")
    everything.set_title("all days: the tails", loc="left")
    everything.set_yscale("log")
    legend_below(figure, *centre.get_legend_handles_labels(), ncols=len(samples))
    return figure


@styled(
    """Quantiles of all daily log-returns of a model against those of real training windows, from 0.02 to 99.98 %. A model
    that is right lies on the black line; where its curve is flatter its tails are too thin, where steeper too heavy.
    At either end a handful of real days decides. Trained models are of {seed}."""
)
def qq(samples: dict[str, np.ndarray]) -> Figure:
    """Quantiles of each model against those of the first sample, in percent."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=3.4)
    levels = np.concatenate([np.geomspace(2e-4, 0.1, 30), np.linspace(0.12, 0.88, 30), 1 - np.geomspace(0.1, 2e-4, 30)])
    reference, *others = samples
    real = PERCENT * np.quantile(samples[reference], levels)
    axis.axline((0, 0), slope=1, color="black", linewidth=0.6, label="equal quantiles")
    for name in others:
        axis.plot(real, PERCENT * np.quantile(samples[name], levels), label=LABELS[name], **look(name))
    axis.set_xlabel(f"{LABELS[reference]}: quantile of a day's log-return (%)")
    axis.set_ylabel("model: the same quantile (%)")
    axis.locator_params(nbins=6)
    legend_below(figure, *axis.get_legend_handles_labels(), ncols=4)
    return figure


@styled(
    """Pooled autocorrelation of daily log-returns $r$ (a) and of their size $|r|$ (b) inside windows. A model that is right
    follows the black line. {noise}Trained models are of {seed}."""
)
def acf(samples: dict[str, np.ndarray], *, max_lag: int = 20, days: int = 0) -> Figure:
    """Pooled autocorrelation of r and of |r|, the first sample being the real one.

    days : that real windows consist of; the autocorrelation of returns then has the band in which 95 % of histories of
        that length would lie that have the same volatility and no memory of sign (Taylor 1984); 0: no band
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.8)
    for axis in (left, right):
        axis.axhline(0, color="grey", linewidth=0.5)
    figure.said["noise"] = ""
    if days:
        real = next(iter(samples.values()))
        squares, lags = (real - real.mean()) ** 2, range(1, max_lag + 1)
        products = [np.mean(squares[:, lag:] * squares[:, :-lag]) for lag in lags]
        half = 1.96 * np.sqrt(np.array(products) / days) / squares.mean()
        left.fill_between(lags, -half, half, color="grey", alpha=0.18, linewidth=0, label="95 % with random signs")
        figure.said["noise"] = (
            "The grey band in a holds, at each lag, 95 % of equally long histories whose days have the sizes of the real"
            " ones and signs drawn by lot. "
        )
    for name, windows in samples.items():
        style = look(name) | {"label": LABELS[name], "marker": ".", "markersize": 3}
        for axis, values in ((left, windows), (right, np.abs(windows))):
            correlogram(axis, values, max_lag=max_lag, **style)
    left.set_ylabel("autocorrelation")
    left.set_title("returns: autocorrelation of r", loc="left")
    right.set_title("sizes: autocorrelation of |r|", loc="left")
    legend_below(figure, *left.get_legend_handles_labels(), ncols=4)
    return figure


@styled(
    """Share of windows whose maximum drawdown, the largest fall from a peak inside the window, is larger than that on the
    axis, down to one window in a thousand. A model that is right lies on the black line; above it large drawdowns are too
    frequent, below it too rare. Trained models are of {seed}."""
)
def drawdowns(samples: dict[str, np.ndarray]) -> Figure:
    """Share of windows whose maximum drawdown exceeds a level, on a log scale."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.9)
    falls = {name: PERCENT * metrics.max_drawdown(windows) for name, windows in samples.items()}
    for name, values in falls.items():
        empirical(axis, values, label=LABELS[name], complementary=True, log_scale=(False, True), **look(name))
    axis.set(xlim=(0, max(np.quantile(values, 0.999) for values in falls.values())), ylim=(1e-3, 1.1))
    axis.set(xlabel="maximum drawdown of a window (%)", ylabel="share of windows beyond")
    axis.yaxis.set_major_formatter("{x:g}")
    legend_below(figure, *axis.get_legend_handles_labels(), ncols=4)
    return figure


@styled(
    """The lines in a are the 5 and 95 % quantiles of cumulative log-returns on each day of a window, with a shade between
    those of real windows; b shows the share of days with a loss larger than that on the axis, down to one day in 10,000,
    and c the autocorrelation of the size $|r|$ of daily returns. A model that is right lies on the black lines: above them
    in b large losses are too frequent, below them in c volatility forgets too fast. Trained models are of {seed}."""
)
def headline(samples: dict[str, np.ndarray]) -> Figure:
    """Bands of cumulative returns, tail of losses and memory of the first (real) sample and its rivals, side by side."""
    figure, (fan, losses, sizes) = canvas(1, 3, width=TWO_COLUMNS, height=2.5)
    sizes.axhline(0, color="grey", linewidth=0.5)
    for number, (name, windows) in enumerate(samples.items()):
        edges = np.quantile(PERCENT * np.cumsum(windows, axis=1), BAND, axis=0)
        days = np.arange(1, edges.shape[1] + 1)
        fan.plot(days, edges.T, label=LABELS[name], **look(name))
        if not number:
            fan.fill_between(days, *edges, color=COLOURS[name], alpha=0.12, linewidth=0)
        larger_losses(losses, windows, label=LABELS[name], **look(name))
        correlogram(sizes, np.abs(windows), label=LABELS[name], **look(name))
    fan.set(xlabel="day of the window", ylabel="cumulative log-return (%)")
    fan.set_title("paths: the central 90 %", loc="left")
    losses.set(xlabel="daily loss (%)", ylabel="days with a larger loss (%)")
    losses.set_title("tail of losses", loc="left")
    sizes.set_ylabel("autocorrelation")
    sizes.set_title("memory of |r|", loc="left")
    legend_below(figure, *sizes.get_legend_handles_labels(), ncols=len(samples))
    return figure
