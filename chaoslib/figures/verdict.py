"""Models against the noise floor."""

import textwrap

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from chaoslib.evaluation import metrics
from chaoslib.figures.style import (
    COLOURS,
    DIVERGING,
    LABELS,
    LINES,
    ONE_COLUMN,
    PERCENT,
    TWO_COLUMNS,
    canvas,
    empirical,
    legend_below,
    line_width,
    styled,
    vix_bar,
    vix_points,
)

NEAREST, BEYOND = 0.02, 30.0  # bands at which the axis of a forest ends
DARK = 4.33  # bands from which a cell of the scorecard is dark
FARTHEST = 4.0  # bands at which the axis of a noise floor is cut
COPIES, BAND = "#CFCFCF", "#EBEBEB"  # greys of the copies of history and of their band
FRAME = {"facecolor": "none", "edgecolor": "black", "linewidth": 0.9}
HORIZONS = range(1, 5001)  # days, of windows and chained windows of any length
METRIC_LABELS = {
    "std_ratio": "standard deviation",
    "q005_ratio": "0.5 % quantile",
    "q01_ratio": "1 % quantile",
    "q05_ratio": "5 % quantile",
    "q95_ratio": "95 % quantile",
    "q99_ratio": "99 % quantile",
    "q995_ratio": "99.5 % quantile",
    "es01_ratio": "mean of the worst 1 %",
    "es99_ratio": "mean of the best 1 %",
    "w1_over_std": "distribution of days, W1",
    "ks": "distribution of days, KS",
    "hill_lower": "tail index, falls",
    "hill_upper": "tail index, gains",
    "vol_sd_ratio": "spread of volatility",
    "log_rv_sd_ratio": "spread of log volatility",
    "log_rv_w1": "distribution of log volatility",
    "max_drawdown_w1": "distribution of drawdowns",
    **{f"return_{days}d_w1": f"distribution of {days}-day returns" for days in HORIZONS},
    "acf_mae": "autocorrelation of r",
    "acf_abs_mae": "autocorrelation of |r|",
    "half_window_correlation": "half-window correlation",
    "leverage": "leverage",
    "skew": "skewness (not ranked)",
    "excess_kurtosis": "kurtosis (not ranked)",
}
DISTANCE_UNITS = {  # metric -> what its distance is measured in; all others are |ratio - 1|
    "w1_over_std": "W1, standard deviations",
    "ks": "gap of shares of days",
    "hill_lower": "gap of indices",
    "hill_upper": "gap of indices",
    "log_rv_w1": "W1, log volatility",
    "max_drawdown_w1": "W1, fraction of the level",
    **{f"return_{days}d_w1": "W1, log-return" for days in HORIZONS},
    "acf_mae": "mean gap, lags 1 to 20",
    "acf_abs_mae": "mean gap, lags 1 to 20",
    "half_window_correlation": "gap of correlations",
    "leverage": "gap of correlations",
    "skew": "gap of skewness",
    "excess_kurtosis": "gap of kurtosis",
}
DISTANCE_UNITS = {name: DISTANCE_UNITS.get(name, "|ratio − 1|") for name in METRIC_LABELS}
GROUPS = {  # first metric of a group -> what the group is about
    "std_ratio": "distribution of single days",
    "vol_sd_ratio": "volatility",
    "max_drawdown_w1": "over weeks",
    "acf_mae": "dependence",
    "skew": "described",
}


@styled("""
    Distances from history of copies of history (bars) and of models (pins), a panel a fact. A pin in the pale band is
    no farther from history than 95 % of the copies, one left of the dashed line is nearer than the median copy; left is
    better. The heights of pins keep them apart and mean nothing, and an arrow at the right end is a model beyond the
    axis, with its distance. Trained models are of {seeds}, by their mean distance.
""")
def noise_floor(copies: pd.DataFrame, table: pd.DataFrame, models: list[str], *, shown: list[str]) -> Figure:
    """The yardstick itself: distances of copies of history to history, and where models stand among them.

    copies : `NoiseFloor.distances`, a row a copy; table : rows of `scorecard` of the same reference; shown : metrics
    An axis ends at four bands, or with the farthest copy: models beyond stand at its end as arrows with their distance.
    """
    figure, axes = canvas(1, len(shown), width=TWO_COLUMNS, height=2.6)
    for axis, name in zip(axes, shown, strict=True):
        rows = table[table["metric"] == name].set_index("model")
        median, p95 = rows[["floor_median", "floor_p95"]].iloc[0]
        farthest = min(rows.loc[list(models), "distance"].max(), FARTHEST * p95)
        right = 1.06 * max(farthest, copies[name].max())
        bars = {"color": COPIES, "alpha": 1.0, "linewidth": 0, "label": "copies of history"}
        sns.histplot(x=copies[name].to_numpy(), bins=np.linspace(0, right, 41), ax=axis, **bars)
        top = max(bar.get_height() for bar in axis.patches)
        axis.axvspan(0, p95, color=BAND, linewidth=0, zorder=0, label="95 % band of the copies")
        axis.axvline(median, color="black", linewidth=0.8, linestyle="--", label="median of the copies")
        for number, model in enumerate(models):
            x, height = rows.loc[model, "distance"], top * (1.5 - 0.1 * number)
            axis.plot([x, x], [0, height], color=COLOURS[model], linewidth=1.0)
            axis.plot(x, height, "o", markersize=4, color=COLOURS[model], label=LABELS[model])
            if x > right:
                axis.plot(0.98 * right, height, ">", markersize=5, color=COLOURS[model])
                axis.text(0.94 * right, height, f"at {x:.2g}", ha="right", va="center", fontsize=6.5)
        axis.set(xlim=(0, right), ylim=(0, 1.62 * top), ylabel="", title=METRIC_LABELS[name])
        axis.set_xlabel(f"distance ({DISTANCE_UNITS[name]}),\nlower is better")
    axes[0].set_ylabel("number of copies")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=4)
    return figure


@styled(
    """
    Distance from history of each model (columns) on each fact (rows), in bands: 1 is the distance that 95 % of the
    copies of history stay within, and lower is better. Blue lies inside the band; red, with a frame, lies
    outside.{tail} Trained models are of {seeds}, by their mean distance.
    """,
    letters=False,
)
def scorecard(table: pd.DataFrame) -> Figure:
    """Heat maps of distances in bands, distance / floor_p95, metrics by models; a frame marks those beyond one.

    table : rows of `scorecard` of one reference; one map for each group of metrics, under its name
    """
    models = [name for name in LABELS if name in set(table["model"])]
    groups = grouped(table["metric"])
    bands = table.assign(bands=table["distance"] / table["floor_p95"]).pivot(index="metric", columns="model", values="bands")
    words = bands.map(lambda value: "∞" if np.isinf(value) else f"{value:.2f}" if value < 9.995 else f"{value:.0f}")
    height, sizes = 1.1 + 0.145 * len(bands) + 0.2 * len(groups), [len(names) for names in groups.values()]
    figure, axes = canvas(len(groups), 1, width=TWO_COLUMNS, height=height, height_ratios=sizes)
    is_wide = figure.get_figwidth() > 0.75 * len(models)
    heads = [textwrap.fill(LABELS[name], 10 if is_wide else 99, break_on_hyphens=False) for name in models]
    look = {"cmap": DIVERGING, "center": 1, "vmin": 0, "vmax": 5, "linewidths": 0.5, "annot_kws": {"fontsize": 6.5}}
    for axis, (about, names) in zip(axes, groups.items(), strict=True):
        part, text = bands.loc[names, models].to_numpy(), words.loc[names, models].to_numpy() if is_wide else None
        ticks = {"xticklabels": heads, "yticklabels": [METRIC_LABELS[name] for name in names]}
        sns.heatmap(np.minimum(part, 999), ax=axis, annot=text, fmt="", cbar=False, **look, **ticks)
        for ink, value in zip(axis.texts, part.ravel(), strict=False):
            ink.set_color("white" if value > DARK else "black")
        for row, column in np.argwhere(part > 1):
            corner, size = (column + 0.04, row + 0.07), (0.92, 0.86)  # apart from the frames of its neighbours
            axis.add_patch(Rectangle(corner, *size, **FRAME))
        axis.set_title(about, loc="left", fontsize=7, fontstyle="italic", y=1.0, pad=3)
        axis.tick_params(length=0, labelsize=6.5, labelbottom=False, labelrotation=0)
    axes[0].tick_params(axis="x", labeltop=True, labelrotation=0 if is_wide else 90, pad=14)
    bar = figure.colorbar(axes[0].collections[0], ax=list(axes), extend="max", fraction=0.03, pad=0.01)
    bar.set_label("distance / end of the 95 % band (lower is better)")
    figure.said["tail"] = " ∞ marks a sample that has no such tail." * bool(np.isinf(bands).any(axis=None))
    legend_below(figure, [Patch(**FRAME)], ["outside the band of the copies"], ncols=1)
    return figure


def grouped(shown: pd.Series) -> dict[str, list[str]]:
    """Names of metrics in the order of `METRIC_LABELS`, under what their group is about."""
    groups, about = {}, ""
    for name in METRIC_LABELS:
        about = GROUPS.get(name, about)
        if name in set(shown):
            groups.setdefault(about, []).append(name)
    return groups


@styled("""
    Distance from history of each model on each fact, in bands: a point on grey is no farther from history than 95 % of
    its copies, one left of the tick is nearer than the median copy, and an arrow is a point beyond the axis. A line is
    the interval over histories that might have been: one that begins right of the grey is a gap that hardly any of them
    would close. Trained models are of {seeds}, by their mean distance.
""")
def forest(table: pd.DataFrame, models: list[str]) -> Figure:
    """Distance of each metric in bands, distance / floor_p95, with its interval over histories; grey: inside the band.

    table : rows of `scorecard` of one reference; its first group of metrics stands left
    """
    first, *others = groups = grouped(table["metric"])
    panels = {first: groups[first], "other facts": [name for about in others for name in groups[about]]}
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=1.1 + 0.3 * max(map(len, panels.values())))
    bands = table.set_index(["model", "metric"])[["distance", "ci_low", "ci_high", "floor_median"]]
    bands = bands.div(table["floor_p95"].to_numpy(), axis=0).clip(upper=9 * BEYOND)
    for axis, (about, names) in zip(axes, panels.items(), strict=True):
        rows = np.arange(len(names))
        axis.barh(rows, 1.0, height=0.9, color=BAND, zorder=0, label="inside the band")
        median = bands.loc[models[0]].loc[names, "floor_median"]
        axis.plot(median, rows, "|", color="black", markersize=18, markeredgewidth=0.7, zorder=1, label="median copy")
        for y, model in zip(np.linspace(-0.32, 0.32, len(models))[:, None] + rows, models, strict=True):
            x, low, high, _ = bands.loc[model].loc[names].to_numpy().T
            axis.hlines(y, low, high, color=COLOURS[model], linewidth=0.9)
            for marker, here in (("o", (x >= NEAREST) & (x <= BEYOND)), ("<", x < NEAREST), (">", x > BEYOND)):
                if here.any():
                    at, size = x[here].clip(NEAREST, BEYOND), 2.8 if marker == "o" else 4
                    axis.plot(at, y[here], marker, color=COLOURS[model], markersize=size, clip_on=False, label=LABELS[model])
        axis.set(xscale="log", xlim=(NEAREST, BEYOND), ylim=(len(names) - 0.45, -0.55))
        axis.set_xticks([0.03, 0.1, 0.3, 1, 3, 10], ["0.03", "0.1", "0.3", "1", "3", "10"])
        axis.minorticks_off()
        axis.set_yticks(rows, [METRIC_LABELS[name] for name in names])
        axis.set(title=about, xlabel="distance in bands (lower is better)")
    line = {"color": "black", "linewidth": 0.9}
    swatches = {LABELS[model]: Line2D([], [], **line | {"color": COLOURS[model]}, marker="o", ms=3.5) for model in models}
    swatches |= {"inside the band": Patch(color=BAND), "interval over histories": Line2D([], [], **line)}
    for label, marker, size in (("median copy", "|", 9), ("beyond the axis", ">", 4)):
        swatches[label] = Line2D([], [], color="black", linestyle="", marker=marker, markersize=size)
    legend_below(figure, list(swatches.values()), list(swatches), ncols=5)
    return figure


@styled(r"""
    Four facts of daily returns: how often a day falls by more than some percent (a), the autocorrelation of $|r|$ (b;
    grey: 95 % of copies of history), the correlation of a return with the squared return $k$ days later (c), and the
    excess kurtosis of returns summed over a horizon (d). A model that has a fact lies on the black line of real
    windows, as far as the axes go. Trained models are of {seed}.
""")
def stylised_facts(samples: dict[str, np.ndarray], band: dict[str, np.ndarray]) -> Figure:
    """Tails of falls, memory of |r|, leverage by lag, and kurtosis against the horizon.

    band : `acf_abs_mae` (copies, lags), autocorrelations of |r| of copies of history, drawn as their central 95 %
    The axes of leverage and kurtosis are cut at two and three times the largest value of the first sample, the real one.
    """
    figure, (tails, memory, leverage, horizon) = canvas(2, 2, width=TWO_COLUMNS, height=4.6, breaks=True)
    shares, days, lags = np.geomspace(2e-4, 0.3, 60), [1, 2, 5, 10, 25], np.arange(1, 21)
    low, high = np.quantile(band["acf_abs_mae"], [0.025, 0.975], axis=0)
    memory.fill_between(lags, low, high, color=BAND, linewidth=0, zorder=0, label="95 % of copies of history")
    for name, windows in samples.items():
        style = {
            "color": COLOURS[name],
            "linewidth": line_width(name),
            "label": LABELS[name],
            "linestyle": LINES.get(name, "-"),
        }
        tails.loglog(-PERCENT * np.quantile(windows, shares), shares, **style)
        memory.plot(lags, metrics.pooled_acf(np.abs(windows)), **style)
        leverage.plot(lags[:10], metrics.leverage_by_lag(windows), **style)
        horizon.plot(days, [metrics.excess_kurtosis(metrics.horizon_returns(windows, n)) for n in days], marker=".", **style)
    memory.set_xticks([1, 5, 10, 15, 20])
    horizon.set_xscale("log")
    horizon.set_xticks(days, [str(n) for n in days])
    horizon.minorticks_off()
    for axis in (tails.xaxis, tails.yaxis):
        axis.set_major_formatter("{x:g}")
    for axis, title, x, y, times in (
        (tails, "tail of falls", "fall of a day (%)", "share of days beyond", np.inf),
        (memory, "memory of |r|", "lag (days)", "autocorrelation of |r|", np.inf),
        (leverage, "leverage", "lag $k$ (days)", "corr($r_t$, $r^2_{t+k}$)", 2),
        (horizon, "kurtosis of sums", "horizon (days)", "excess kurtosis", 3),
    ):
        (low, high), limit = axis.get_ylim(), times * np.abs(axis.lines[0].get_ydata()).max()
        is_cut = low < -limit or high > limit
        axis.set(
            xlabel=x, ylabel=y, title=f"{title} (axis cut)" if is_cut else title, ylim=(max(low, -limit), min(high, limit))
        )
        if axis is not tails:
            axis.axhline(0, color="grey", linewidth=0.5, zorder=0)
    legend_below(figure, *memory.get_legend_handles_labels(), ncols=4)
    return figure


@styled("""
    Latents of training windows, posterior means, in two dimensions: by their principal components (a), and by t-SNE,
    which keeps neighbours near and whose coordinates mean nothing else (b). Where colour, the VIX at the window's end,
    changes gradually, the encoder has put calm windows apart from wild ones. The VAE is of {seed}.
""")
def latent_map(latents: np.ndarray, vix: np.ndarray, *, shown: int = 1300, seed: int = 0) -> Figure:
    """Posterior means (N, D) of the training windows in two dimensions, by PCA and by t-SNE, coloured by VIX (N,)."""
    some = np.linspace(0, len(latents) - 1, min(shown, len(latents))).astype(int)
    z = (latents[some] - latents.mean(axis=0)) / latents.std(axis=0)
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=2.9)
    maps = {"principal components": PCA(2, random_state=seed)}
    maps["t-SNE"] = TSNE(2, perplexity=30, init="pca", random_state=seed)
    for axis, (name, how) in zip(axes, maps.items(), strict=True):
        points = vix_points(axis, how.fit_transform(z), vix[some])
        axis.set(title=name, xlabel="first coordinate (no unit)", ylabel="second coordinate (no unit)", xticks=[], yticks=[])
    vix_bar(figure, points, list(axes))
    return figure


@styled("""
    Share of windows whose nearest training window, both standardised, is closer than a distance: 0 is a copy of a
    training window up to its scale. A model whose curve lies on the black one draws windows as new as real windows that
    were held out; a curve that rises further left belongs to a model that copies. Trained models are of {seed}.
""")
def memorisation(train: np.ndarray, samples: dict[str, np.ndarray], held_out: np.ndarray) -> Figure:
    """Share of windows whose nearest training window, both standardised, is closer than a distance; 0 is a copy."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=3.0)
    dashes = LINES | {"vae_prior": (0, (5, 3))}  # upon full lines: of curves that lie on each other all can be seen
    for name, windows in {"held out": held_out, **samples}.items():
        look = {"color": COLOURS.get(name, "black"), "label": LABELS.get(name, "real, held out")}
        look |= {"linewidth": 1.3 if name in COLOURS else 1.8, "linestyle": dashes.get(name, "-")}
        empirical(axis, metrics.nearest_distances(train, windows), zorder=3 if name in dashes else 2, **look)
    axis.set(title="are the windows new?", xlim=(-0.02, None), ylim=(0, 1.02))
    axis.set(xlabel="distance to the nearest training window (0: a copy)", ylabel="share of windows closer")
    legend_below(figure, *axis.get_legend_handles_labels(), ncols=4)
    return figure
