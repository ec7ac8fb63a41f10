"""The market at a given VIX: fans, laws, calibration, scores of forecasts, the guidance dial and the sweep."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from chaoslib.evaluation import metrics, scoring
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    LINES,
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
ANNUAL = (2, 5, 10, 20, 40, 80, 160, 320)  # realised volatility, % per year: round levels of a logarithmic axis
NEAR = 0.1  # real windows within 10 % of a VIX, in log VIX, show the real law there
ANCHORS = {"end": "VIX at the window's end", "start": "VIX before the window"}


def vix_axis(axis: Axes, levels: Sequence[int] = (5, 7, 10, 15, 20, 30, 40, 60, 80, 120, 200, 300)) -> None:
    """Make the horizontal axis one of the VIX, logarithmic, with those levels labelled that lie in what is drawn."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    inside = [level for level in levels if low <= level <= high]
    axis.set_xticks(inside, [f"{level:g}" for level in inside])
    axis.minorticks_off()


def shades(count: int) -> list[tuple[float, float, float]]:
    """Colours of the conditional latent diffusion's lines, pale to full, for settings of one dial in their order."""
    return sns.light_palette(COLOURS["cond_ldm"], count + 2)[2:]


@styled(
    """Cumulative log-returns at each VIX (panels): the bands hold the central 98, 90 and 50 % of windows of the model
    "{model}" on each day, the line in its colour is their median. Thin black lines are real windows with about such a VIX,
    drawn at random from as many as the title says. A right model has half of the real paths in the darkest band on any day,
    and nearly all inside the palest. Trained models are of {seed}."""
)
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
        1, len(generated), width=TWO_COLUMNS if wide else ONE_COLUMN, height=2.4 if wide else 2.8, sharey=True
    )
    figure.said["model"] = LABELS[model]
    rng, real_path = np.random.default_rng(seed), {"color": "black", "linewidth": 0.35, "alpha": 0.6}
    for axis, (vix, windows) in zip(axes, generated.items(), strict=True):
        fan_bands(axis, windows, color=COLOURS[model])
        days, middle = np.arange(1, windows.shape[1] + 1), np.median(np.cumsum(windows, axis=1), axis=0)
        chosen = rng.permutation(len(real[vix]))[:shown]
        axis.plot(days, PERCENT * np.cumsum(real[vix][chosen], axis=1).T, **real_path)
        (median,) = axis.plot(days, PERCENT * middle, color=COLOURS[model], label="generated median")
        axis.set_title(f"VIX {vix:g}\n{len(chosen)} of {len(real[vix]):,} real windows", loc="left")
        axis.set_xlabel("day")
    axes[0].set_ylabel("cumulative log-return (%)")
    named = {f"generated {label}": swatch for label, swatch in fan_swatches(axes[0]).items()}
    named |= {"generated median": median, "real windows": Line2D([], [], **real_path)}
    legend_below(figure, list(named.values()), list(named), ncols=5)
    return figure


@styled(
    """Realised volatility of windows against the VIX at their end (a) or before them (b). Grey points are real training
    windows; the black line is the median, the grey band the central 90 % of those within a tenth of a VIX, and both stop
    where they are fewer than 30. Of each model, the solid line is the median of generated windows, the dashed ones are
    their 5 and 95 % quantiles. A right model has its solid line on the black one, and its dashed ones on the edges of the
    band. Trained models are of {seed}."""
)
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
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=3.1, sharex=True, sharey=True)
    annual, handles = PERCENT * np.sqrt(YEAR), {}
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
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        begins = max((level for level in ANNUAL if level <= low), default=low)
        shown = [level for level in ANNUAL if begins <= level <= high]
        axis.set_yticks(shown, [f"{level}" for level in shown])
        vix_axis(axis)
        axis.set_xlabel(ANCHORS[at])
    axes[0].set_ylabel("realised volatility (% per year)")
    named = {f"{label}: median": line for label, line in handles.items()}
    named["real windows: 5–95 %"] = Patch(color="black", alpha=0.15, linewidth=0)
    named["generated: 5 and 95 %"] = Line2D([], [], color="black", linestyle="--", linewidth=0.8)
    named["a real window"] = Line2D([], [], color="#BBBBBB", linestyle="", marker=".")
    legend_below(figure, list(named.values()), list(named), ncols=3)
    return figure


def central(quantiles: np.ndarray) -> np.ndarray:
    """(G, 3) quantiles 5, 50, 95 % of quantiles (G, len(scoring.LEVELS))."""
    return np.array([np.interp([0.05, 0.5, 0.95], scoring.LEVELS, row) for row in quantiles])


def local_quantiles(vix: np.ndarray, volatility: np.ndarray, level: float) -> np.ndarray:
    """(3,) quantiles 5, 50, 95 % of the real windows near a VIX; blank where there are fewer than 30."""
    near = volatility[np.abs(np.log(vix / level)) < NEAR]
    return np.quantile(near, [0.05, 0.5, 0.95]) if len(near) >= 30 else np.full(3, np.nan)


@styled(
    """Standard deviation of all days of generated windows over that of real ones with the same VIX, at the end of the window
    (a) or before it (b). 1 is right; above it a model is too wild, below it too calm. The numbers on top count the real
    windows there that share no day: where they are few, the real standard deviation itself is uncertain. Trained models are
    of {seed}."""
)
def calibration(rows: pd.DataFrame) -> Figure:
    """Std ratio against the VIX asked for, of the table `conditional`: one mode, one split, guidance 1; 1 is right."""
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=3.0, sharey=True)
    for axis, (at, label) in zip(axes, ANCHORS.items(), strict=True):
        known = rows[rows["vix_at"] == at].dropna(subset="std_ratio")
        axis.axhline(1, color="black", linewidth=0.6)
        for model, group in known.groupby("model", sort=False):
            look = {"color": COLOURS[model], "linestyle": LINES.get(model, "-"), "label": LABELS[model]}
            axis.plot(group["target_vix"], group["std_ratio"], marker=".", **look)
        vix_axis(axis, known["target_vix"].unique())
        counts = known.groupby("target_vix")["n_episodes"].first()
        top = axis.secondary_xaxis("top")
        top.set_xticks(counts.index, counts.astype(str))
        top.tick_params(length=0, which="both")
        top.minorticks_off()
        top.spines["top"].set_visible(False)
        top.set_xlabel("real windows that share no day")
        axis.set_xlabel(label)
    axes[0].set_ylabel("std of days, generated / real\n(1 is right)")
    named = dict(zip(*reversed(axes[1].get_legend_handles_labels()), strict=True))  # "start" has every model
    legend_below(figure, named.values(), named.keys(), ncols=3)
    return figure


@styled(
    """Real windows (black) and those of conditional latent diffusion at each VIX (columns): density of daily log-returns on
    a logarithmic scale, above, and autocorrelation function (ACF) of their absolute values, below. A right model lies on
    the black lines, which are rough where real windows are few and reach the ground where a bin has no day. Trained
    models are of {seed}.""",
    letters=False,
)
def conditional_laws(generated: dict[float, np.ndarray], real: dict[float, np.ndarray]) -> Figure:
    """Histogram of daily returns and autocorrelation of |r| at each VIX, generated and real windows (N, L)."""
    count = len(generated)
    figure, axes = canvas(2, count, width=TWO_COLUMNS, height=3.6, breaks=count % 2 == 0, sharey="row")
    for number, vix in enumerate(generated):
        top, bottom = axes[number], axes[count + number]
        reach = PERCENT * np.quantile(np.abs(real[vix]), 0.999)
        bins = {"bins": np.linspace(-reach, reach, 41), "stat": "density", "element": "step", "fill": False}
        for windows, colour, label in ((real[vix], "black", "real"), (generated[vix], COLOURS["cond_ldm"], "generated")):
            sns.histplot(x=PERCENT * windows.ravel(), ax=top, color=colour, label=label, linewidth=1.1, **bins)
            bottom.plot(np.arange(1, 21), metrics.pooled_acf(np.abs(windows)), color=colour, label=label, marker=".")
        top.set(yscale="log", xlabel="log-return (%)", ylabel="")
        top.set_title(f"VIX {vix:g}\n{len(real[vix]):,} real windows", loc="left")
        bottom.axhline(0, color="grey", linewidth=0.5)
        bottom.set_xticks([1, 5, 10, 15, 20])
        bottom.set_xlabel("lag (days)")
    axes[0].set_ylabel("density (per %)")
    axes[count].set_ylabel("ACF of |r|")
    legend_below(figure, *axes[count].get_legend_handles_labels(), ncols=2)
    return figure


@styled(
    """The continuous ranked probability score (CRPS) of two forecasts of realised volatility by the model "{model}", the
    best (a) and the worst (b) of those that are scored: the coloured line is the distribution that was forecast, the black
    step the outcome. The shaded curve is their squared gap, and its area is the score, in logarithms of volatility; less is
    better. Trained models are of {seed}."""
)
def crps_anatomy(forecast: np.ndarray, outcome: np.ndarray, vix: np.ndarray, *, model: str = "cond_ldm") -> Figure:
    """What the CRPS measures, in the best and the worst forecast: the squared gap of two distributions, whose area it is.

    forecast (N, len(scoring.LEVELS)), outcome (N,) : quantiles of log realised volatility, daily, and what it was
    vix (N,) : index points, named in the titles
    """
    figure, axes = canvas(1, 2, width=TWO_COLUMNS, height=2.6, sharex=True, sharey=True)
    figure.said["model"] = LABELS[model]
    scores = scoring.crps(forecast, outcome)
    shown = {"best": int(scores.argmin()), "worst": int(scores.argmax())}
    ends = np.concatenate([[*forecast[k, [0, -1]], outcome[k]] for k in shown.values()])
    grid = np.linspace(ends.min() - 0.3, ends.max() + 0.3, 2001)
    annual = PERCENT * np.sqrt(YEAR) * np.exp(grid)
    for axis, (title, k) in zip(axes, shown.items(), strict=True):
        distribution, step = np.interp(grid, forecast[k], scoring.LEVELS, left=0.0, right=1.0), grid >= outcome[k]
        gap = (distribution - step) ** 2
        axis.fill_between(annual, gap, color=COLOURS[model], alpha=0.3, linewidth=0, label="squared gap, its area the CRPS")
        axis.plot(annual, distribution, color=COLOURS[model], label="forecast distribution")
        axis.plot(annual, step.astype(float), color="black", linewidth=1.4, label="outcome, as a distribution")
        axis.set_title(f"{title} forecast, VIX before {vix[k]:.1f}: CRPS {scores[k]:.2f}", loc="left")
        axis.set_xscale("log")
        axis.set_xticks(ANNUAL, [f"{level}" for level in ANNUAL])
        axis.minorticks_off()
        axis.set_xlabel("realised volatility (% per year, log scale)")
    axes[0].set_xlim(annual[0], annual[-1])
    axes[0].set_ylabel("probability of a lower volatility")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=3)
    return figure


@styled(
    """What the guidance $w$ does to conditional latent diffusion; at 1 nothing is amplified. (a) Share of training windows
    whose realised volatility lies in the central 90 % of the generated ones at their VIX: 90 % (dotted) is right, less means
    that the generated windows vary too little. (b) Median realised volatility of generated windows, a line a VIX, the darker
    the higher. Trained models are of {seed}."""
)
def guidance_dial(dial: pd.DataFrame) -> Figure:
    """What guidance does, against w: coverage of training windows' log realised volatility, and volatility at some VIX.

    dial : one row a w, columns guidance, coverage, and volatility_<VIX>, per day
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.6)
    style = {"marker": "o", "markersize": 3}
    left.plot(dial["guidance"], PERCENT * dial["coverage"], color="black", **style)
    left.axhline(90, color="black", linewidth=0.8, linestyle=":", label="90 %, right")
    left.set_title("inside the central 90 %", loc="left")
    left.set_ylabel("share of training windows (%)")
    columns = [name for name in dial if name.startswith("volatility_")]
    for column, colour in zip(columns, shades(len(columns)), strict=True):
        label = f"VIX {column.removeprefix('volatility_')}"
        right.plot(dial["guidance"], PERCENT * np.sqrt(YEAR) * dial[column], color=colour, label=label, **style)
    right.set_title("median of generated windows", loc="left")
    right.set_ylabel("realised volatility (% per year)")
    for axis in (left, right):
        axis.set_xticks(dial["guidance"])
        axis.set_xlabel("guidance w (1: not amplified)")
    (handles, labels), (more, names) = left.get_legend_handles_labels(), right.get_legend_handles_labels()
    legend_below(figure, handles + more, labels + names, ncols=6)
    return figure


@styled(
    """Standard deviation of all days of windows of conditional latent diffusion over that of real ones, against the latent
    temperature, a panel for each VIX and a line for each guidance $w$, the darker the larger. 1 (black) is the market's; at
    $w = 1$ and temperature 1 nothing is amplified. The output scale is {scale}; any other one multiplies every ratio by as
    much and is not drawn. Trained models are of {seed}."""
)
def sweep(rows: pd.DataFrame) -> Figure:
    """Std ratio against latent temperature at the smallest output scale, a panel a VIX and a line a w; rows of `sweep`."""
    targets, dials, temperatures = (sorted(rows[name].unique()) for name in ("target_vix", "guidance", "temperature"))
    scale = rows["output_scale"].min()
    figure, axes = canvas(1, len(targets), width=TWO_COLUMNS, height=2.5, sharex=True, sharey=True)
    figure.said["scale"] = f"{scale:g}"
    for axis, target in zip(axes, targets, strict=True):
        chosen = rows[(rows["target_vix"] == target) & (rows["output_scale"] == scale)].sort_values("temperature")
        axis.axhline(1, color="black", linewidth=0.6)
        for guidance, colour in zip(dials, shades(len(dials)), strict=True):
            group, label = chosen[chosen["guidance"] == guidance], f"w = {guidance:g}"
            axis.plot(group["temperature"], group["std_ratio"], color=colour, marker=".", label=label)
        axis.set_xticks(temperatures, [f"{each:g}" for each in temperatures])
        axis.set_title(f"VIX {target:g}", loc="left")
        axis.set_xlabel("latent temperature")
    axes[0].set_ylabel("std of days, generated / real")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=5)
    return figure
