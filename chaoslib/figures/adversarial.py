"""TimeGAN: its three phases, whether it collapsed, and what the knobs of stress-filtered models do."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chaoslib.evaluation import metrics
from chaoslib.figures.history import plain_numbers
from chaoslib.figures.style import (
    COLOURS,
    LABELS,
    LOSS_COLOURS,
    PERCENT,
    TWO_COLUMNS,
    canvas,
    density,
    empirical,
    legend_below,
    ranked_rows,
    styled,
)

ERRORS = {"reconstruction": "reconstruction", "supervised": "supervisor"}
PANELS = {  # title -> phases, and the losses that are drawn of them
    "phases 1 and 2": (("autoencoder", "supervised"), ERRORS),
    "phase 3: errors": (("joint",), ERRORS | {"moments": "moments"}),
    "phase 3: verdicts": (
        ("joint",),
        {
            "discriminator": "discriminator",
            "adversarial": "generator",
            "adversarial_early": "generator, before\nthe supervisor",
        },
    ),
}
UNDER = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.4}  # a legend below the label of its axis


@styled(
    """Losses of the autoencoder and of the supervisor in the phases before the contest (a), and in the joint phase their
    errors with that of the moments (b) and the two sides of the contest (c), where the dashed lines are the losses of a
    discriminator that tells nothing apart (upper) and of its generator (lower). d is the distance of samples to the
    training windows, lower is nearer, at each check of the joint phase; the ring marks the state that was kept. Losses
    near the dashed lines do not say that the samples are good: d decides. The model is of {seed}."""
)
def timegan_history(history: pd.DataFrame, *, undecided: dict[str, float]) -> Figure:
    """Losses of the three phases, and the distance to train at each check of the joint one; the kept state is ringed.

    undecided : of `timegan.undecided_losses`, the level of each verdict while the discriminator tells nothing apart
    """
    figure, axes = canvas(1, 4, width=TWO_COLUMNS, height=2.6)
    for axis, (title, (phases, terms)) in zip(axes, PANELS.items(), strict=False):
        for name, label in terms.items():
            rows = history[history["phase"].isin(phases) & history[name].notna()]
            look = {"color": LOSS_COLOURS[name], "linewidth": 0.9, "label": label}
            axis.plot(rows["epoch"], rows[name], zorder=-len(axis.lines), **look)
        axis.set_title(title)
    for axis in axes[:2]:
        axis.set_yscale("log")
        axis.minorticks_off()
    for number, level in enumerate(undecided.values()):
        axes[2].axhline(level, color="black", linestyle="--", linewidth=0.6, label="" if number else "undecided")
    checks = history[history["distance"].notna()]
    chosen = checks.loc[checks["distance"].idxmin()]
    axes[3].plot(checks["epoch"], checks["distance"], color="black", linewidth=0.9, marker=".", label="at a check")
    axes[3].plot(chosen["epoch"], chosen["distance"], "o", markersize=8, fillstyle="none", color="black", label="kept")
    axes[3].set_title("distance to train")
    axes[0].set_ylabel("loss (log scale)")
    axes[3].set_ylabel("lower is nearer")
    for axis in axes[2:]:
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.legend(**UNDER)
    return figure


@styled(
    """A calm, a typical and a wild window of the training span (black) over those of {model}: each has the volatility that
    5, 50 or 95 % of the windows of its own row stay below, and its title says how many per cent a day that is. A model
    that is right has columns as unlike one another as the real ones, and days that turn back no more often. The model is
    of {seed}.""",
    letters=False,
)
def calm_to_wild(real: np.ndarray, fake: np.ndarray, *, model: str) -> Figure:
    """A calm, a typical and a wild window of reality over those of a model: the 5, 50 and 95 % quantiles of volatility.

    real (N, L) and fake (M, L) in log-returns; each row takes the windows that stand there among its own, and says their
    realised volatility, per day.
    """
    figure, axes = canvas(2, 3, width=TWO_COLUMNS, height=2.7, sharex=True, sharey=True)
    figure.said["model"] = LABELS[model]
    rows = ((real, "real", "black"), (fake, LABELS[model], COLOURS[model]))
    for row, (windows, name, colour) in zip(axes.reshape(2, 3), rows, strict=True):
        volatility = metrics.realised_vol(windows)
        for axis, (kind, chosen) in zip(row, ranked_rows(volatility).items(), strict=True):
            days = np.arange(1, windows.shape[1] + 1)
            axis.axhline(0, color="grey", linewidth=0.5)
            axis.plot(days, PERCENT * windows[chosen], color=colour, marker=".", markersize=2.5, linewidth=0.7)
            axis.set_title(f"{name}, {kind}: {PERCENT * volatility[chosen]:.2f} %", loc="left")
    figure.supxlabel("day of the window")
    figure.supylabel("daily log-return (%)")
    return figure


@styled(
    """How the volatility of windows of {model} is distributed beside that of the training windows (a): a narrower peak lacks
    calm or wild ones. b is the share of windows whose nearest neighbour lies nearer than the distance on the axis, where 0
    is a copy and each window is divided by its own standard deviation; held-out real windows (black) and samples (full)
    look for it among training windows, other samples (dashed) among samples. A model that is right lies on black: a full
    line far to the left would copy, a dashed one repeat itself. The model is of {seed}."""
)
def mode_collapse(
    real: np.ndarray, held_out: np.ndarray, fake: np.ndarray, *, model: str, n: int = 800, seed: int = 0
) -> Figure:
    """Is a sample diverse? Volatility of its windows, and how near its windows lie to each other, beside real ones.

    real (N, L) training windows, held_out (M, L) real windows of another span, fake (K, L) samples, in log-returns.
    Distances are those of `metrics.nearest_distances` to n windows each, so that no sample is nearer for being larger.
    """
    figure, (volatility, neighbours) = canvas(1, 2, width=TWO_COLUMNS, height=2.5)
    figure.said["model"], colour = LABELS[model], COLOURS[model]
    for windows, name, shade in ((real, "real windows", "black"), (fake, LABELS[model], colour)):
        density(volatility, PERCENT * metrics.realised_vol(windows), color=shade, label=name, log_scale=True)
    plain_numbers(volatility, "x", at=(1.0, 2.0, 5.0))
    volatility.set(xlabel="volatility of a window (% a day)", ylabel="density (per factor of ten)")
    volatility.set_title("are windows calm and wild?", loc="left")

    n = min(n, len(real), len(fake) // 2)
    order = np.random.default_rng(seed).permutation(len(fake))
    first, second = fake[order[: len(fake) // 2]][:n], fake[order[len(fake) // 2 :]][:n]
    some = real[np.random.default_rng(seed).permutation(len(real))[:n]]
    for known, new, name, shade, line in (
        (some, held_out, "real windows, held out, to train", "black", "-"),
        (some, first, f"{LABELS[model]} to train", colour, "-"),
        (first, second, f"{LABELS[model]} to other samples", colour, "--"),
    ):
        empirical(neighbours, metrics.nearest_distances(known, new), color=shade, label=name, linestyle=line)
    neighbours.set(xlabel="distance to the nearest window", ylabel="share of windows nearer", xlim=(0, None))
    neighbours.set_title("are windows new, and unlike one another?", loc="left")
    for axis in (volatility, neighbours):
        axis.legend(**UNDER)
    return figure


@styled(
    """Realised volatility of windows against the knobs of sampling, one turned at a time: the spread of the noise, which
    every model has, and the knob of a model's own. Full lines are medians of a model's windows, dashed ones their 5 and
    95 % quantiles; the grey line and band are those of the real training windows. A knob that raises volatility like a
    crisis moves the median up and keeps the dashed lines apart; where they close in, windows become alike. Models are of
    {seed}."""
)
def stress_knobs(dials: pd.DataFrame, real: np.ndarray) -> Figure:
    """What the knobs of sampling do to the volatility of a window: a panel for the spread, one for each model's own.

    dials : of `conditional.turn_knobs`, one or more models. Full lines are medians, dashed ones the 5 and 95 % quantiles
    real (N, L) : the training windows, whose quantiles are the grey line and band
    """
    spread = dials["knob"] == "spread"
    panels = {("all models", "stress scale × temperature"): dials[spread]}
    for (model, knob), settings in dials[~spread].groupby(["model", "knob"], sort=False):
        panels[LABELS[model], knob.replace("_", " ")] = settings
    figure, axes = canvas(1, len(panels), width=TWO_COLUMNS, height=2.5, sharey=True)
    low, middle, high = PERCENT * np.quantile(metrics.realised_vol(real), [0.05, 0.5, 0.95])
    for axis, ((title, label), settings) in zip(axes, panels.items(), strict=True):
        band = axis.axhspan(low, high, color="grey", alpha=0.18, linewidth=0)
        median = axis.axhline(middle, color="grey", linewidth=0.9)
        for model, rows in settings.groupby("model", sort=False):
            axis.plot(rows["value"], PERCENT * rows["q50"], color=COLOURS[model], marker=".", label=LABELS[model])
            for edge in ("q05", "q95"):
                axis.plot(rows["value"], PERCENT * rows[edge], color=COLOURS[model], linestyle="--", linewidth=0.8)
        axis.set_title(title)
        axis.set_xlabel(label)
    axes[0].set_ylabel("volatility of a window (% a day)")
    handles, labels = axes[0].get_legend_handles_labels()
    for line, text in (("-", "median of a model"), ("--", "its 5 and 95 %")):
        handles.append(Line2D([], [], color="black", linestyle=line, linewidth=0.8))
        labels.append(text)
    legend_below(figure, [(band, median), *handles], ["real training windows: median, 5–95 %", *labels], ncols=3)
    return figure
