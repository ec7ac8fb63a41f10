"""The market at a given VIX: fans, laws, calibration, scores of forecasts, the guidance dial and the sweep."""

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from chaoslib.evaluation import metrics, scoring
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    ONE_COLUMN,
    PERCENT,
    TWO_COLUMNS,
    canvas,
    fan_bands,
    fan_swatches,
    legend_below,
    styled,
)

YEAR = 252  # trading days
NEAR = 0.1  # real windows within 10 % of a VIX, in log VIX, show the real law there
VIX_TICKS = [10, 15, 20, 30, 40, 60, 80]
ANCHORS = {"end": "VIX at the window's end", "start": "VIX before the window"}


@styled("")
def fan(
    generated: dict[float, np.ndarray],
    real: dict[float, np.ndarray],
    *,
    model: str = "cond_ldm",
    shown: int = 40,
    seed: int = 0,
) -> Figure:
    """Cumulative returns at each VIX: bands of the model's windows over paths of real ones, (N, L) each."""
    wide = len(generated) > 1
    figure, axes = canvas(
        1, len(generated), width=TWO_COLUMNS if wide else ONE_COLUMN, height=2.3 if wide else 2.6, sharey=True
    )
    rng = np.random.default_rng(seed)
    for axis, (vix, windows) in zip(axes, generated.items(), strict=True):
        fan_bands(axis, windows, color=COLOURS[model])
        days, middle = np.arange(1, windows.shape[1] + 1), np.median(np.cumsum(windows, axis=1), axis=0)
        paths = PERCENT * np.cumsum(real[vix], axis=1)
        for number, path in enumerate(paths[rng.permutation(len(paths))[:shown]]):
            axis.plot(days, path, color="black", linewidth=0.35, alpha=0.6, label="real paths" if number == 0 else None)
        axis.plot(days, PERCENT * middle, color=COLOURS[model], label="generated median")
        axis.set_title(f"VIX {vix:g} ({len(real[vix])} real windows)", loc="left")
        axis.set_xlabel("day")
    axes[0].set_ylabel("cumulative log-return (%)")
    named = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True)) | (swatches := fan_swatches(axes[0]))
    labels = [f"generated {label}" if label in swatches else label for label in named]
    legend_below(figure, list(named.values()), labels, ncols=5)
    return figure


@styled("")
def volatility_against_vix(
    curves: dict[tuple[str, str], np.ndarray],
    levels: dict[str, np.ndarray],
    real: dict[str, tuple[np.ndarray, np.ndarray]],
) -> Figure:
    """Realised volatility of a window against VIX, per year, generated over real: the headline.

    Generated windows have a line for their median and two dashed ones for 5 and 95 %, real ones a band.

    curves : (model, "end" or "start") -> (G, len(scoring.LEVELS)) quantiles of log realised volatility, daily
    levels : "end" and "start" -> VIX (G,) of the curves
    real : "end" and "start" -> VIX (N,) and daily realised volatility (N,) of the training windows
    """
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=3.0, sharex=True, sharey=True)
    annual = PERCENT * np.sqrt(YEAR)
    for axis, (at, (vix, volatility)) in zip(axes, real.items(), strict=True):
        axis.scatter(vix, annual * volatility, s=2, color="#BBBBBB", linewidth=0, rasterized=True)
        at_levels = levels[at]
        law = np.array([local_quantiles(vix, volatility, level) for level in at_levels])
        axis.fill_between(at_levels, annual * law[:, 0], annual * law[:, 2], color="black", alpha=0.15, linewidth=0)
        axis.plot(at_levels, annual * law[:, 1], color="black", linewidth=1.8, label="real windows")
        for model, _ in (key for key in curves if key[1] == at):
            low, middle, high = (annual * np.exp(column) for column in central(curves[model, at]).T)
            axis.plot(at_levels, middle, color=COLOURS[model], label=LABELS[model])
            axis.plot(at_levels, low, at_levels, high, color=COLOURS[model], linestyle="--", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(VIX_TICKS, VIX_TICKS)
        axis.set_yticks([5, 10, 20, 40, 80], [5, 10, 20, 40, 80])
        axis.minorticks_off()
        axis.set_xlabel(ANCHORS[at])
    axes[0].set_ylabel("realised volatility (% per year)")
    named = {line.get_label(): line for axis in axes for line in axis.get_lines() if not line.get_label().startswith("_")}
    real_band = Patch(color="black", alpha=0.15, linewidth=0)
    dashed = Line2D([], [], color="black", linestyle="--", linewidth=0.8)
    handles = [*named.values(), real_band, dashed]
    legend_below(figure, handles, [*(f"{name}: median" for name in named), "real: 5–95 %", "generated: 5 and 95 %"], ncols=3)
    return figure


def central(quantiles: np.ndarray) -> np.ndarray:
    """(G, 3) quantiles 5, 50, 95 % of quantiles (G, len(scoring.LEVELS))."""
    return np.array([np.interp([0.05, 0.5, 0.95], scoring.LEVELS, row) for row in quantiles])


def local_quantiles(vix: np.ndarray, volatility: np.ndarray, level: float) -> np.ndarray:
    """(3,) quantiles 5, 50, 95 % of the real windows near a VIX; blank where there are fewer than 30."""
    near = volatility[np.abs(np.log(vix / level)) < NEAR]
    return np.quantile(near, [0.05, 0.5, 0.95]) if len(near) >= 30 else np.full(3, np.nan)


@styled("")
def calibration(rows: pd.DataFrame) -> Figure:
    """Std ratio against the VIX asked for, of the table `conditional`: one mode, one split, guidance 1; 1 is right."""
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=2.8, sharey=True)
    for axis, (at, label) in zip(axes, ANCHORS.items(), strict=True):
        axis.axhspan(0.93, 1.07, color="grey", alpha=0.15, linewidth=0, label="within 7 %")
        axis.axhline(1, color="black", linewidth=0.6)
        for model, group in rows[rows["vix_at"] == at].groupby("model", sort=False):
            axis.plot(group["target_vix"], group["std_ratio"], color=COLOURS[model], marker=".", label=LABELS[model])
        axis.set_xscale("log")
        axis.set_xticks(VIX_TICKS, VIX_TICKS)
        axis.minorticks_off()
        axis.set_xlabel(label)
    axes[0].set_ylabel("std of days, generated / real")
    named = dict(zip(*reversed(axes[1].get_legend_handles_labels()), strict=True))  # "start" has every model
    legend_below(figure, named.values(), named.keys(), ncols=4)
    return figure


@styled("")
def conditional_laws(generated: dict[float, np.ndarray], real: dict[float, np.ndarray]) -> Figure:
    """Histogram of daily returns and autocorrelation of |r| at each VIX, generated and real windows (N, L)."""
    count = len(generated)
    figure, axes = canvas(2, count, width=TWO_COLUMNS, height=3.4, breaks=count % 2 == 0, sharey="row")
    for number, vix in enumerate(generated):
        top, bottom = axes[number], axes[count + number]
        reach = PERCENT * np.quantile(np.abs(real[vix]), 0.999)
        edges = np.linspace(-reach, reach, 41)
        for windows, colour, label in ((real[vix], "black", "real"), (generated[vix], COLOURS["cond_ldm"], "generated")):
            heights = np.histogram(PERCENT * windows, bins=edges)[0] / (windows.size * np.diff(edges))
            top.stairs(np.where(heights > 0, heights, np.nan), edges, baseline=None, color=colour, label=label)
            bottom.plot(np.arange(1, 21), metrics.pooled_acf(np.abs(windows)), color=colour, label=label, marker=".")
        top.set_yscale("log")
        top.set_title(f"VIX {vix:g}", loc="left")
        top.set_xlabel("log-return (%)")
        bottom.axhline(0, color="grey", linewidth=0.5)
        bottom.set_xlabel("lag (days)")
    axes[0].set_ylabel("density (per %)")
    axes[count].set_ylabel("ACF of |r|")
    legend_below(figure, *axes[count].get_legend_handles_labels(), ncols=2)
    return figure


@styled("")
def crps_anatomy(forecast: np.ndarray, outcome: np.ndarray, vix: np.ndarray, *, model: str = "cond_ldm") -> Figure:
    """What the CRPS measures, in the best and the worst forecast: the squared gap of two distributions, whose area it is.

    forecast (N, len(scoring.LEVELS)), outcome (N,) : quantiles of log realised volatility, daily, and what it was
    vix (N,) : index points, named in the titles
    """
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=2.6, sharex=True, sharey=True)
    scores = scoring.crps(forecast, outcome)
    shown = {"best": int(scores.argmin()), "worst": int(scores.argmax())}
    ends = np.concatenate([[*forecast[k, [0, -1]], outcome[k]] for k in shown.values()])
    grid, years = np.linspace(ends.min() - 0.3, ends.max() + 0.3, 2001), np.array([5, 10, 20, 40, 80])
    for axis, (title, k) in zip(axes, shown.items(), strict=True):
        distribution, step = np.interp(grid, forecast[k], scoring.LEVELS, left=0.0, right=1.0), grid >= outcome[k]
        gap = (distribution - step) ** 2
        axis.fill_between(grid, gap, color=COLOURS[model], alpha=0.3, linewidth=0, label="squared gap, its area the CRPS")
        axis.plot(grid, distribution, color=COLOURS[model], label="forecast distribution")
        axis.plot(grid, step.astype(float), color="black", linewidth=1.4, label="outcome, as a distribution")
        axis.set_title(f"{title} forecast, VIX before {vix[k]:.1f}: CRPS {scores[k]:.2f}", loc="left")
        axis.set_xticks(np.log(years / PERCENT / np.sqrt(YEAR)), years)
        axis.set_xlabel("realised volatility (% per year, log scale)")
    axes[0].set_xlim(grid[0], grid[-1])
    axes[0].set_ylabel("probability of less")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=3)
    return figure


@styled("")
def guidance_dial(dial: pd.DataFrame) -> Figure:
    """What guidance does, against w: coverage of training windows' log realised volatility, and volatility at some VIX.

    dial : one row a w, columns guidance, coverage, and volatility_<VIX>, per day
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.2)
    left.plot(dial["guidance"], dial["coverage"], color=COLOURS["cond_ldm"], marker="o", markersize=3)
    left.axhline(0.9, color="black", linewidth=0.6, linestyle=":")
    left.set_title("log realised volatility in the central 90 %", loc="left")
    style = {"color": COLOURS["cond_ldm"], "marker": "o", "markersize": 3}
    columns = [name for name in dial if name.startswith("volatility_")]
    for column, shade in zip(columns, np.linspace(0.35, 1, len(columns)), strict=True):
        values, label = PERCENT * np.sqrt(YEAR) * dial[column], f"VIX {column.removeprefix('volatility_')}"
        right.plot(dial["guidance"], values, alpha=shade, label=label, **style)
    right.set_title("median realised volatility (% per year)", loc="left")
    right.set_ylim(top=1.3 * right.get_ylim()[1])
    right.legend(loc="upper left", ncols=2)
    for axis in (left, right):
        axis.set_xlabel("guidance w (1: not amplified)")
    left.set_ylabel("share of training windows")
    return figure


@styled("")
def sweep(rows: pd.DataFrame) -> Figure:
    """Std ratio over latent temperature and output scale, a panel for each VIX and w; rows of the table `sweep`."""
    targets, dials = (sorted(rows[name].unique()) for name in ("target_vix", "guidance"))
    figure, axes = canvas(len(targets), len(dials), width=TWO_COLUMNS, height=1.45 * len(targets), sharex=True, sharey=True)
    norm = TwoSlopeNorm(1.0, 0.6, max(3.0, rows["std_ratio"].max()))
    for number, axis in enumerate(axes):
        target, guidance = targets[number // len(dials)], dials[number % len(dials)]
        chosen = rows[(rows["target_vix"] == target) & (rows["guidance"] == guidance)]
        table = chosen.pivot(index="output_scale", columns="temperature", values="std_ratio")
        image = axis.imshow(table, norm=norm, cmap="RdBu_r", origin="lower", aspect="auto")
        for (y, x), value in np.ndenumerate(table.to_numpy()):
            ink = "white" if abs(norm(value) - 0.5) > 0.32 else "black"
            axis.text(x, y, f"{value:.1f}", ha="center", va="center", fontsize=6, color=ink)
        axis.set_xticks(range(table.shape[1]), [f"{value:g}" for value in table.columns], fontsize=6)
        axis.set_yticks(range(table.shape[0]), [f"{value:g}" for value in table.index], fontsize=6)
        axis.set_title(f"VIX {target:g}, w = {guidance:g}", loc="left", fontsize=7)
    figure.supxlabel("latent temperature", fontsize=8)
    figure.supylabel("output scale", fontsize=8)
    figure.colorbar(image, ax=axes, label="std, generated / real", shrink=0.6, ticks=[0.6, 1, 2, 3, 4, 6])
    return figure
