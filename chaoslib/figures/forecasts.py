"""Risk of scenarios: losses against the VIX, forecasts against what happened, longer horizons."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chaoslib.evaluation import metrics
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    PERCENT,
    SPLIT_COLOURS,
    TWO_COLUMNS,
    canvas,
    density,
    fan_bands,
    fan_swatches,
    legend_below,
    styled,
)

LINES = {"vix_scaled": "--", "gjr_fhs": "-."}  # two greens, told apart in black and white too
PORTFOLIO_LABELS = {
    "long": "long index",
    "leveraged_2x": "2× daily",
    "protective_put": "protective put",
    "vol_target": "volatility target",
}
RISK_LABELS = {  # columns of the tables of risk, in words
    "name": "month",
    "split": "span",
    "horizon_days": "days ahead",
    "target_vix": "VIX before",
    "vix": "VIX before",
    "mean": "mean return",
    "var_99": "VaR 99 %",
    "es_99": "ES 99 %",
    "es_99_driftless": "ES 99 % without drift",
    "mdd_p95": "drawdown 95 %",
    "under_water": "days under water",
    "n_windows": "windows",
    "n_episodes": "sharing no day",
    "kupiec_p": "p, Kupiec",
    "christoffersen_p": "p, Christoffersen",
    "as_z2": "Z2",
    "as_z2_p": "p, Z2",
    "hit_ratio": "loss on hits / ES",
    "fz0": "mean FZ0 loss",
    "dm_p_vs_fhs": "p, equal to GJR-FHS",
    "log_rv": "log volatility",
    "cum_return": "return",
    "max_drawdown": "largest drawdown",
    "worst_day": "worst day",
}


@styled("")
def losses_against_vix(curves: pd.DataFrame, limits: list[float]) -> Figure:
    """Expected shortfall of each portfolio against the VIX of its scenarios, a line a model and seed.

    curves : columns model, seed, portfolio, target_vix, es_99 and extrapolated, for one horizon; dotted where extrapolated
    limits : losses whose smallest VIX is sought, drawn as dashed grey lines
    """
    names = list(curves["portfolio"].unique())
    figure, axes = canvas(1, len(names), width=TWO_COLUMNS, height=2.5, sharex=True)
    for axis, name in zip(axes, names, strict=True):
        for (model, _), group in curves[curves["portfolio"] == name].groupby(["model", "seed"], sort=False):
            known, line = group[~group["extrapolated"]], {"color": COLOURS[model], "linestyle": LINES.get(model, "-")}
            axis.plot(known["target_vix"], PERCENT * known["es_99"], label=LABELS[model], **line)
            axis.plot(group["target_vix"], PERCENT * group["es_99"], color=COLOURS[model], linestyle=":", linewidth=0.8)
        for limit in limits:
            axis.axhline(PERCENT * limit, color="grey", linewidth=0.7, linestyle="--", label="loss limits")
        axis.set_xscale("log")
        axis.set_xticks([10, 20, 40, 80], [10, 20, 40, 80])
        axis.minorticks_off()
        axis.set_title(PORTFOLIO_LABELS.get(name, name), loc="left")
        axis.set_xlabel("VIX before")
    axes[0].set_ylabel("50-day ES 99 % (% of value)")
    named = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    if curves["extrapolated"].any():
        named["beyond the training VIX"] = Line2D([], [], color="black", linestyle=":", linewidth=0.8)
    legend_below(figure, named.values(), named.keys(), ncols=3)
    return figure


@styled("")
def exceedances(dates: np.ndarray, outcome: np.ndarray, forecasts: dict[str, np.ndarray], *, title: str = "") -> Figure:
    """What happened (T,) over the value at risk (T,) of each model, log-returns; ticks mark days below it.

    dates : (T,) days of the forecasts
    """
    figure, (axis,) = canvas(1, 1, width=TWO_COLUMNS, height=2.8)
    axis.plot(dates, PERCENT * outcome, color="#BBBBBB", linewidth=0.6, label="what followed")
    lowest = PERCENT * min(outcome.min(), *(each.min() for each in forecasts.values()))
    for row, (model, quantile) in enumerate(forecasts.items()):
        hits = outcome < quantile
        axis.plot(dates, PERCENT * quantile, color=COLOURS[model], label=f"{LABELS[model]}: {hits.sum()} below")
        axis.scatter(dates[hits], np.full(hits.sum(), lowest - 1.2 * (row + 1)), marker="|", s=14, color=COLOURS[model])
    axis.set_ylabel("log-return (%)")
    axis.set_title(title, loc="left")
    legend_below(figure, *axis.get_legend_handles_labels(), ncols=4)
    return figure


@styled("")
def history_fans(episodes: list[dict], fans: dict[str, np.ndarray]) -> Figure:
    """Realised paths in the fan of the model that was told the VIX of the day before.

    episodes : name, vix, split and log_returns (L,) of each; fans : name -> generated windows (N, L)
    """
    figure, axes = canvas(1, len(episodes), width=TWO_COLUMNS, height=2.4, sharey=True)
    for axis, episode in zip(axes, episodes, strict=True):
        fan_bands(axis, fans[episode["name"]], color=COLOURS["cond_ldm_normalised"])
        path = PERCENT * np.cumsum(episode["log_returns"])
        axis.plot(
            np.arange(1, len(path) + 1), path, color=SPLIT_COLOURS[episode["split"]], linewidth=1.4, label=episode["split"]
        )
        axis.set_title(f"{episode['name']}, VIX {episode['vix']:.0f}\n({episode['split']})", loc="left")
        axis.set_xlabel("day")
    axes[0].set_ylabel("cumulative log-return (%)")
    named = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    named |= fan_swatches(axes[0])
    legend_below(figure, named.values(), named.keys(), ncols=6)
    return figure


@styled("")
def long_horizons(samples: dict[int, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Laws of what longer windows do, real against chained: days -> real (N, days), chained (M, days) log-returns."""
    figure, axes = canvas(len(samples), 3, width=TWO_COLUMNS, height=1.7 * len(samples))
    outcomes = {
        "realised volatility (% per day)": lambda w: PERCENT * metrics.realised_vol(w),
        "maximum drawdown (%)": lambda w: PERCENT * metrics.max_drawdown(w),
        "cumulative log-return (%)": lambda w: PERCENT * np.sum(w, axis=1, dtype=float),
    }
    for row, (days, (real, chained)) in enumerate(samples.items()):
        for axis, (label, outcome) in zip(axes[3 * row :], outcomes.items(), strict=False):
            density(axis, outcome(real), color=COLOURS["real_train"], label="real (train)", linewidth=1.8)
            density(axis, outcome(chained), color=COLOURS["cond_ldm_normalised"], label="chained windows")
            axis.set_xlabel(label)
            axis.set_yticks([])
        axes[3 * row].set_ylabel(f"{days} days")
    axes[0].legend()
    return figure


@styled("")
def walk_forward(dates: np.ndarray, gaps: dict[int, dict[str, np.ndarray]]) -> Figure:
    """Cumulated FZ0 loss less that of GJR-FHS over time: falling where a model forecasts better.

    dates : (T,) days of forecasts; gaps : horizon -> model -> (up to T,) differences, of `backtest.loss_gaps`
    """
    figure, axes = canvas(1, len(gaps), width=TWO_COLUMNS, height=2.6)
    for axis, (days, models) in zip(axes, gaps.items(), strict=True):
        axis.axhline(0, color=COLOURS["gjr_fhs"], linewidth=0.8, label=LABELS["gjr_fhs"])
        for model, gap in models.items():
            axis.plot(dates[: len(gap)], np.cumsum(gap), color=COLOURS[model], label=LABELS[model])
        axis.set_title(f"{days} day{'s' if days > 1 else ''} ahead, 1 %", loc="left")
    axes[0].set_ylabel("cumulated FZ0, less GJR-FHS")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=5)
    return figure
