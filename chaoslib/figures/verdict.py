"""Models against the noise floor."""

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

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

BOUNDS = (0, 0.25, 0.5, 1, 2, 4, 8, 16)  # of a distance in bands
FARTHEST = 4.0  # bands at which the axis of a noise floor is cut
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
    "return_5d_w1": "distribution of 5-day returns",
    "return_20d_w1": "distribution of 20-day returns",
    "return_50d_w1": "distribution of 50-day returns",
    "return_100d_w1": "distribution of 100-day returns",
    "return_250d_w1": "distribution of 250-day returns",
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
    **{f"return_{days}d_w1": "W1, log-return" for days in (5, 20, 50, 100, 250)},
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


@styled("")
def noise_floor(copies: pd.DataFrame, table: pd.DataFrame, models: list[str], *, shown: list[str]) -> Figure:
    """The yardstick itself: distances of copies of history to history, and where models stand among them.

    copies : `NoiseFloor.distances`, a row a copy; table : rows of `scorecard` of the same reference; shown : metrics
    An axis ends at four bands, or with the farthest copy: models beyond stand at its end as arrows with their distance.
    """
    figure, axes = canvas(1, len(shown), width=TWO_COLUMNS, height=2.5)
    for axis, name in zip(axes, shown, strict=True):
        rows = table[table["metric"] == name].set_index("model")
        median, p95 = rows[["floor_median", "floor_p95"]].iloc[0]
        farthest = min(rows.loc[list(models), "distance"].max(), FARTHEST * p95)
        right = 1.06 * max(farthest, copies[name].max())
        edges = np.linspace(0, right, 41)
        counts, _, _ = axis.hist(copies[name], edges, color="#BBBBBB", label="copies of history")
        axis.axvspan(0, p95, color="black", alpha=0.06, linewidth=0, label="95 % band of the copies")
        axis.axvline(median, color="black", linewidth=0.8, linestyle="--", label="median of the copies")
        for number, model in enumerate(models):
            x, height = rows.loc[model, "distance"], counts.max() * (1.5 - 0.1 * number)
            axis.plot([x, x], [0, height], color=COLOURS[model], linewidth=1.0)
            axis.plot(x, height, "o", markersize=4, color=COLOURS[model], label=LABELS[model])
            if x > right:
                axis.plot(0.98 * right, height, ">", markersize=5, color=COLOURS[model])
                axis.text(0.94 * right, height, f"at {x:.2g}", ha="right", va="center", fontsize=6.5)
        axis.set_xlim(0, right)
        axis.set_ylim(0, 1.62 * counts.max())
        axis.set_title(METRIC_LABELS[name], loc="left")
        axis.set_xlabel(f"distance ({DISTANCE_UNITS[name]})")
    axes[0].set_ylabel("number of copies")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=4)
    return figure


@styled("")
def scorecard(table: pd.DataFrame) -> Figure:
    """Heat map of distances in bands, distance / floor_p95, models by metrics; a frame marks those beyond one.

    table : rows of `scorecard` of one reference. White lines part the groups of metrics, named above.
    """
    models = [name for name in LABELS if name in set(table["model"])]
    names = [name for name in METRIC_LABELS if name in set(table["metric"])]
    bands = table.assign(bands=table["distance"] / table["floor_p95"])
    bands = bands.pivot(index="model", columns="metric", values="bands").loc[models, names].to_numpy()
    figure, (axis,) = canvas(1, 1, width=TWO_COLUMNS, height=1.6 + 0.22 * len(models))
    norm = BoundaryNorm(BOUNDS, 256, extend="max")
    image = axis.pcolormesh(np.minimum(bands, 999), cmap="cividis_r", norm=norm, edgecolors="white", linewidth=0.5)
    for (row, column), value in np.ndenumerate(bands):
        text = "∞" if np.isinf(value) else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
        ink = "white" if value > 2 else "black"
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6, color=ink)
        if value > 1:
            corner, size = (column + 0.11, row + 0.13), (0.78, 0.74)  # apart from the frames of its neighbours
            axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="#D55E00", linewidth=0.8, zorder=3))
    axis.set_yticks(np.arange(len(models)) + 0.5, [LABELS[name] for name in models])
    axis.set_xticks(np.arange(len(names)) + 0.5, [METRIC_LABELS[name] for name in names], rotation=60, ha="right")
    axis.tick_params(length=0, labelsize=6.5)
    axis.invert_yaxis()
    for column, name in enumerate(names):
        if name in GROUPS:
            if column:
                axis.axvline(column, color="white", linewidth=2.5)
            axis.text(column + 0.05, -0.12, GROUPS[name], ha="left", va="bottom", fontsize=6, color="#555555")
    axis.set_xlabel("fact")
    title = "distance in bands: 1 is where the band of the copies of history ends; framed: outside"
    title += "\n∞: a sample without such a tail" * bool(np.isinf(bands).any())
    axis.set_title(title + "\n", loc="left")
    bar = figure.colorbar(image, ax=axis, ticks=BOUNDS, format="%g", fraction=0.03, pad=0.01)
    bar.set_label("distance in bands")
    return figure


@styled("")
def forest(table: pd.DataFrame, models: list[str]) -> Figure:
    """Distance of each metric in bands, distance / floor_p95, with its interval over histories; grey: inside the band.

    table : rows of `scorecard` of one reference. A tick marks the median copy. Points beyond an axis' end are arrows there.
    """
    names = [name for name in METRIC_LABELS if name in set(table["metric"])]
    columns = np.array_split(names, 2)
    low, high = 0.02, 30.0
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=1.0 + 0.32 * len(columns[0]))
    for axis, group in zip(axes, columns, strict=True):
        for row, name in enumerate(group):
            rows = table[table["metric"] == name].set_index("model")
            p95 = rows["floor_p95"].iloc[0]
            axis.barh(row, 1.0, height=0.9, color="#E8E8E8", zorder=0)
            axis.plot([rows["floor_median"].iloc[0] / p95] * 2, [row - 0.45, row + 0.45], color="grey", linewidth=0.6)
            for offset, model in zip(np.linspace(-0.32, 0.32, len(models)), models, strict=True):
                ends = np.clip(rows.loc[model, ["ci_low", "ci_high"]].to_numpy(float) / p95, low, high)
                axis.plot(ends, [row + offset] * 2, color=COLOURS[model], linewidth=0.9)
                bands = rows.loc[model, "distance"] / p95
                shape = {"marker": "o", "markersize": 2.6} if low <= bands <= high else {"marker": "<", "markersize": 3.4}
                shape |= {"marker": ">"} if bands > high else {}
                at = np.clip(bands, 1.08 * low, high / 1.08) if shape["marker"] != "o" else bands
                axis.plot(at, row + offset, color=COLOURS[model], linestyle="", label=LABELS[model], **shape)
        axis.set_xscale("log")
        axis.set_xlim(low, high)
        axis.set_xticks([0.03, 0.1, 0.3, 1, 3, 10], ["0.03", "0.1", "0.3", "1", "3", "10"])
        axis.minorticks_off()
        axis.set_yticks(range(len(group)), [METRIC_LABELS[name] for name in group])
        axis.set_ylim(len(group) - 0.45, -0.55)
        axis.set_xlabel("distance in bands")
    axes[0].set_title("grey: inside the band; tick: median copy; line: interval over histories", loc="left")
    points = [Line2D([], [], color=COLOURS[model], marker="o", markersize=3.5, linewidth=0.9) for model in models]
    legend_below(figure, points, [LABELS[model] for model in models], ncols=len(models))
    return figure


@styled("")
def stylised_facts(samples: dict[str, np.ndarray], band: dict[str, np.ndarray]) -> Figure:
    """Tails of falls, memory of |r|, leverage by lag, and kurtosis against the horizon.

    band : `acf_abs_mae` (copies, lags), autocorrelations of |r| of copies of history, drawn as their central 95 %
    The axis of leverage is cut at twice the largest value of the first sample, the real one.
    """
    figure, (tails, memory, leverage, horizon) = canvas(2, 2, width=TWO_COLUMNS, height=4.4, breaks=True)
    shares = np.geomspace(2e-4, 0.3, 60)
    for name, windows in samples.items():
        style = {"color": COLOURS[name], "linewidth": line_width(name)}
        tails.loglog(-PERCENT * np.quantile(windows, shares), shares, label=LABELS[name], **style)
        memory.plot(np.arange(1, 21), metrics.pooled_acf(np.abs(windows)), **style)
        leverage.plot(np.arange(1, 11), metrics.leverage_by_lag(windows), **style)
        days = [1, 2, 5, 10, 25]
        horizon.plot(days, [metrics.excess_kurtosis(metrics.horizon_returns(windows, n)) for n in days], marker=".", **style)
    low, high = np.quantile(band["acf_abs_mae"], [0.025, 0.975], axis=0)
    memory.fill_between(np.arange(1, 21), low, high, color="black", alpha=0.12, linewidth=0)
    tails.set_title("tail of falls", loc="left")
    tails.set_xlabel("fall of a day (%)")
    tails.set_ylabel("share of days beyond")
    for name in ("x", "y"):
        getattr(tails, f"{name}axis").set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    memory.set_title("autocorrelation of |r|; grey: 95 % of copies of history", loc="left")
    memory.set_xlabel("lag (days)")
    memory.set_ylabel("autocorrelation")
    real = np.abs(metrics.leverage_by_lag(next(iter(samples.values())))).max()
    low, high = leverage.get_ylim()
    leverage.set_ylim(max(low, -2 * real), min(high, 2 * real))
    cut = " (axis cut)" * bool(low < -2 * real or high > 2 * real)
    leverage.set_title(f"leverage: do falls announce volatility?{cut}", loc="left")
    leverage.set_xlabel("lag k (days)")
    leverage.set_ylabel("corr(r$_t$, r$^2_{t+k}$)")
    horizon.set_title("excess kurtosis of summed returns; axis cut at 25", loc="left")
    horizon.set_xlabel("horizon (days)")
    horizon.set_ylabel("excess kurtosis")
    horizon.set_xscale("log")
    horizon.set_xticks(days, [str(n) for n in days])
    horizon.minorticks_off()
    horizon.set_ylim(-0.5, 25)
    for axis in (memory, leverage):
        axis.axhline(0, color="grey", linewidth=0.5)
    legend_below(figure, *tails.get_legend_handles_labels(), ncols=3)
    return figure


@styled("")
def latent_map(latents: np.ndarray, vix: np.ndarray, *, shown: int = 1300, seed: int = 0) -> Figure:
    """Posterior means (N, D) of the training windows in two dimensions, by PCA and by t-SNE, coloured by VIX (N,)."""
    some = np.linspace(0, len(latents) - 1, min(shown, len(latents))).astype(int)
    z = (latents[some] - latents.mean(axis=0)) / latents.std(axis=0)
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=2.9)
    maps = {"PCA": PCA(2, random_state=seed), "t-SNE": TSNE(2, perplexity=30, init="pca", random_state=seed)}
    for axis, (name, how) in zip(axes, maps.items(), strict=True):
        points = axis.scatter(
            *how.fit_transform(z).T, c=np.log(vix[some]), s=4, cmap="cividis", linewidth=0, rasterized=True
        )
        axis.set_title("principal components (PCA)" if name == "PCA" else "neighbours kept near (t-SNE)", loc="left")
        axis.set_xlabel("first coordinate")
        axis.set_ylabel("second coordinate")
        axis.set_xticks([])
        axis.set_yticks([])
    bar = figure.colorbar(points, ax=axes, ticks=np.log([10, 20, 40, 80]), pad=0.01)
    bar.ax.set_yticklabels(["10", "20", "40", "80"])
    bar.ax.minorticks_off()
    bar.set_label("VIX at the window's end (index points)")
    return figure


@styled("")
def memorisation(train: np.ndarray, samples: dict[str, np.ndarray], held_out: np.ndarray) -> Figure:
    """Share of windows whose nearest training window, both standardised, is closer than a distance; 0 is a copy."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.8)
    dashes = ["-", "-", "-", (0, (5, 3)), "-", (0, (1, 1.5))]  # of curves that lie on each other, all can be seen
    for number, (name, windows) in enumerate({"held out": held_out, **samples}.items()):
        ordered = np.sort(metrics.nearest_distances(train, windows))
        style = {"color": COLOURS[name], "label": LABELS[name]} if name in COLOURS else {}
        style = style | {"linestyle": dashes[number % len(dashes)], "linewidth": 1.3} if style else {}
        style = style or {"color": "black", "label": "real, held out", "linewidth": 1.8}
        axis.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), **style)
    axis.set_xlabel("distance to the nearest training window")
    axis.set_ylabel("share of windows closer")
    axis.set_xlim(-0.02, 1.2)
    axis.set_title("0: a copy of a training window, up to scale", loc="left")
    axis.legend(loc="lower left", bbox_to_anchor=(0.03, 0.05))
    return figure
