"""Risk of scenarios: losses against the VIX, forecasts against what happened, longer horizons."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chaoslib.evaluation import metrics
from chaoslib.figures.conditional import vix_axis
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    LINES,
    PERCENT,
    SPLIT_COLOURS,
    SPLITS,
    TWO_COLUMNS,
    canvas,
    density,
    fan_bands,
    fan_swatches,
    legend_below,
    styled,
)

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


@styled(
    """Expected shortfall (ES) at 99 % of each portfolio after {days} days, against the VIX before the scenarios: the higher
    a line, the more the model says may be lost. A trained model has a line for its mean over {seeds} and an area for their
    range; dashed grey lines are the loss limits of the reversed question. Where the background is grey, a line leads to a
    VIX that training did not have. {left_out}"""
)
def losses_against_vix(curves: pd.DataFrame, limits: list[float]) -> Figure:
    """Expected shortfall of each portfolio against the VIX of its scenarios: mean of a model's seeds, and their range.

    curves : columns model, seed, portfolio, horizon_days, target_vix, es_99 and extrapolated, for one horizon
    limits : losses whose smallest VIX is sought, drawn as dashed grey lines
    A portfolio of which all models say the same to within 1 % has no panel; the caption names it.
    """
    portfolios = dict(list(curves.groupby("portfolio", sort=False)))
    shown = {name: rows for name, rows in portfolios.items() if models_differ(rows)} or portfolios
    figure, axes = canvas(1, len(shown), width=TWO_COLUMNS, height=2.7, sharex=True)
    levels, known = curves["target_vix"], curves.loc[~curves["extrapolated"], "target_vix"]
    for axis, (name, rows) in zip(axes, shown.items(), strict=True):
        for model, group in rows.assign(loss=PERCENT * rows["es_99"]).groupby("model", sort=False):
            look = {"color": COLOURS[model], "linestyle": LINES.get(model, "-"), "label": LABELS[model]}
            spread = {"errorbar": ("pi", 100), "err_kws": {"alpha": 0.25, "linewidth": 0}}
            sns.lineplot(group, x="target_vix", y="loss", ax=axis, legend=False, **look, **spread)
        for limit in limits:
            axis.axhline(PERCENT * limit, color="grey", linewidth=0.7, linestyle="--", label="loss limits")
        vix_axis(axis, [10, 20, 40, 80])
        low, high = axis.get_xlim()
        for end, outside in ((levels.min(), (low, known.min())), (levels.max(), (known.max(), high))):
            if not known.min() <= end <= known.max():
                axis.axvspan(*outside, color="black", alpha=0.08, linewidth=0, label="VIX beyond training")
        axis.set(title=PORTFOLIO_LABELS.get(name, name), ylabel="", xlim=(low, high))
        axis.set_xlabel("VIX before", visible=True)  # seaborn hides it where an axis was shared with one below
    days = curves["horizon_days"].iloc[0]
    axes[0].set_ylabel(f"ES 99 % after {days} days\n(% of value lost)")
    absent = " and the ".join(PORTFOLIO_LABELS.get(name, name) for name in portfolios if name not in shown)
    figure.said |= {
        "days": days,
        "left_out": f"All models agree to within 1 % on the {absent}, which is not drawn." * bool(absent),
    }
    named = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    if curves.groupby("model")["seed"].nunique().max() > 1:
        named["range of seeds"] = Patch(color="black", alpha=0.25, linewidth=0)
    legend_below(figure, named.values(), named.keys(), ncols=4)
    return figure


def models_differ(rows: pd.DataFrame) -> bool:
    """Whether any shortfall of one portfolio depends on the model by more than 1 %; of a single model, True."""
    ends = rows.groupby("target_vix")["es_99"].agg(["min", "max"])
    return len(set(rows["model"])) == 1 or not np.allclose(ends["min"], ends["max"], rtol=0.01)


@styled(
    """(a) Log-returns over {days} (grey) and the value at risk at {level} that each model forecast for them. (b) The days on
    which the return fell below it, its hits: a row a model, in the order and colours of the legend. A right model has about
    {expected} hits on these {total} days, spread over them: hits that come in clusters say that it reacts too late. Trained
    models are of {seed}."""
)
def exceedances(
    dates: np.ndarray, outcome: np.ndarray, forecasts: dict[str, np.ndarray], *, level: float, days: int = 1
) -> Figure:
    """What happened over the value at risk of each model, and the days below it, a row a model.

    dates : (T,) days of the forecasts; outcome : (T,) log-returns over the `days` that they are for
    forecasts : model -> (T,) values at risk as log-returns, exceeded with the probability `level` by a right model
    """
    figure, (axis, strip) = canvas(2, 1, width=TWO_COLUMNS, height=3.4, sharex=True, height_ratios=[4, 1])
    axis.plot(dates, PERCENT * outcome, color="#BBBBBB", linewidth=0.6, label="what followed")
    hits = {model: outcome < quantile for model, quantile in forecasts.items()}
    for row, (model, below) in enumerate(hits.items()):
        axis.plot(dates, PERCENT * forecasts[model], color=COLOURS[model], label=LABELS[model])
        place = np.full(below.sum(), row)
        strip.scatter(dates[below], place, marker="|", s=40, color=COLOURS[model], label=LABELS[model])
    ahead, expected = f"{days} day{'s' if days > 1 else ''}", f"{level * len(outcome):.0f}"
    figure.said |= {"days": ahead, "level": f"{PERCENT * level:g} %", "expected": expected, "total": f"{len(outcome):,}"}
    axis.set_ylabel("log-return (%)")
    axis.set_title(f"value at risk at {PERCENT * level:g} %, {ahead} ahead", loc="left")
    strip.set_title(f"hits, days below the value at risk: about {expected} is right", loc="left")
    strip.set_yticks(range(len(hits)), [f"{below.sum()} hits" for below in hits.values()])
    strip.set_ylim(len(hits) - 0.4, -0.6)
    legend_below(figure, *axis.get_legend_handles_labels(), ncols=4)
    return figure


@styled(
    """Cumulative log-returns from the first trading day of a month: the bands hold the central 98, 90 and 50 % of windows of
    the model "{model}" on each day, told the VIX of the day before; the line is what happened, in the colour of its span. A
    path is outside the outermost band where the model put two windows in a hundred. Paths of train were seen in training
    and judge nothing. Trained models are of {seed}."""
)
def history_fans(episodes: list[dict], fans: dict[str, np.ndarray]) -> Figure:
    """Realised paths in the fan of the model that was told the VIX of the day before.

    episodes : name, vix, split and log_returns (L,) of each; fans : name -> generated windows (N, L)
    """
    figure, axes = canvas(1, len(episodes), width=TWO_COLUMNS, height=2.7, sharey=True)
    figure.said["model"] = LABELS["cond_ldm_normalised"]
    for axis, episode in zip(axes, episodes, strict=True):
        fan_bands(axis, fans[episode["name"]], color=COLOURS["cond_ldm_normalised"])
        path, split = PERCENT * np.cumsum(episode["log_returns"]), episode["split"]
        axis.plot(np.arange(1, len(path) + 1), path, color=SPLIT_COLOURS[split], linewidth=1.4, label=SPLITS[split])
        axis.set_title(f"{episode['name']}\nVIX {episode['vix']:.0f}\n{SPLITS[split]}", loc="left")
        axis.set_xlabel("day")
    axes[0].set_ylabel("cumulative log-return (%)")
    named = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    named |= (swatches := fan_swatches(axes[0]))
    labels = [f"{label} of windows" if label in swatches else f"what happened, {label}" for label in named]
    legend_below(figure, list(named.values()), labels, ncols=3)
    return figure


@styled(
    """Densities of realised volatility, maximum drawdown and cumulative log-return (columns) over {days} days (rows): real
    training windows in black, in colour those of the model "{model}", chained end to end. A right model lies on the black
    line. Few real windows of such length share no day, so a hump of the black line may be one episode. Trained models are
    of {seed}.""",
    letters=False,
)
def long_horizons(samples: dict[int, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Laws of what longer windows do, real against chained: days -> real (N, days), chained (M, days) log-returns."""
    figure, axes = canvas(len(samples), 3, width=TWO_COLUMNS, height=0.4 + 1.6 * len(samples))
    outcomes = {
        "realised volatility (% per day)": metrics.realised_vol,
        "maximum drawdown (%)": metrics.max_drawdown,
        "cumulative log-return (%)": lambda w: np.sum(w, axis=1, dtype=float),
    }
    for row, (days, (real, chained)) in enumerate(samples.items()):
        for axis, (label, outcome) in zip(axes[3 * row :], outcomes.items(), strict=False):
            density(axis, PERCENT * outcome(real), color=COLOURS["real_train"], label=LABELS["real_train"], linewidth=1.8)
            density(axis, PERCENT * outcome(chained), color=COLOURS["cond_ldm_normalised"], label="chained windows")
            axis.set(xlabel=label, ylabel="", ylim=(0, None))
            axis.set_title(f"{days} days", loc="left")
        axes[3 * row].set_ylabel("density (per %)")
    figure.said |= {"days": " and ".join(map(str, samples)), "model": LABELS["cond_ldm_normalised"]}
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=2)
    return figure


@styled(
    """FZ0 losses of the forecasts at 1 %, added up from the first day on, less those of GJR-FHS, for each horizon. Lower is
    better: a line falls while the model forecasts better than GJR-FHS, which is the line at zero, and rises while it
    forecasts worse; a jump is one bad day, or a few that overlap. Trained models are of {seed}."""
)
def walk_forward(dates: np.ndarray, gaps: dict[int, dict[str, np.ndarray]]) -> Figure:
    """Cumulated FZ0 loss less that of GJR-FHS over time: falling where a model forecasts better.

    dates : (T,) days of forecasts; gaps : horizon -> model -> (up to T,) differences, of `backtest.loss_gaps`
    """
    figure, axes = canvas(1, len(gaps), width=TWO_COLUMNS, height=2.6)
    for axis, (days, models) in zip(axes, gaps.items(), strict=True):
        axis.axhline(0, color=COLOURS["gjr_fhs"], linestyle=LINES["gjr_fhs"], label=LABELS["gjr_fhs"])
        for model, gap in models.items():
            look = {"color": COLOURS[model], "linestyle": LINES.get(model, "-"), "label": LABELS[model]}
            axis.plot(dates[: len(gap)], np.cumsum(gap), **look)
        axis.set_title(f"{days} day{'s' if days > 1 else ''} ahead, 1 %", loc="left")
    axes[0].set_ylabel("FZ0 loss less that of GJR-FHS,\nadded up (falling is better)")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=4)
    return figure
