"""TimeGAN: its three phases, whether it collapsed, and what the knobs of stress-filtered models do."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from chaoslib.evaluation import metrics
from chaoslib.figures.style import COLOURS, LABELS, PERCENT, TWO_COLUMNS, canvas, density, legend_below, styled

TERMS = {
    "autoencoder": {"reconstruction": ("reconstruction error", "#0072B2")},
    "supervised": {"supervised": ("squared error, a day ahead", "#009E73")},
    "joint": {
        "discriminator": ("discriminator", "#000000"),
        "adversarial": ("generator, adversarial", "#E69F00"),
        "moments": ("generator, moments", "#D55E00"),
        "supervised": ("supervisor", "#009E73"),
        "reconstruction": ("reconstruction", "#0072B2"),
    },
}


@styled
def timegan_history(history: pd.DataFrame) -> Figure:
    """Losses of the three phases, and the distance to train at each check of the joint one; the kept state is ringed."""
    figure, axes = canvas(1, 4, width=TWO_COLUMNS, height=2.2, width_ratios=[1, 1, 1.4, 1.2])
    for axis, (phase, terms) in zip(axes, TERMS.items(), strict=False):
        rows = history[history["phase"] == phase]
        for name, (label, colour) in terms.items():
            axis.plot(rows["epoch"], rows[name], color=colour, label=label)
        axis.set_yscale("log")
        axis.set_title(phase, loc="left")
        axis.set_xlabel("epoch")
    axes[0].set_ylabel("loss")
    checks = history[history["distance"].notna()]
    axes[3].plot(checks["epoch"], checks["distance"], color=COLOURS["timegan"], marker=".", label="distance to train")
    chosen = checks.loc[checks["distance"].idxmin()]
    axes[3].plot(chosen["epoch"], chosen["distance"], "o", markersize=8, fillstyle="none", color="black", label="kept")
    axes[3].set_yscale("log")
    axes[3].set_title("distance to train", loc="left")
    axes[3].set_xlabel("epoch")
    handles, labels = axes[2].get_legend_handles_labels()
    more = axes[3].get_legend_handles_labels()
    legend_below(figure, handles + more[0], labels + more[1], ncols=4)
    return figure


@styled
def mode_collapse(
    real: np.ndarray, held_out: np.ndarray, fake: np.ndarray, *, model: str, n: int = 800, seed: int = 0
) -> Figure:
    """Is a sample diverse? Volatility of its windows, and how near its windows lie to each other, beside real ones.

    real (N, L) training windows, held_out (M, L) real windows of another span, fake (K, L) samples, in log-returns.
    Distances are those of `metrics.nearest_distances` to n windows each, so that no sample is nearer for being larger.
    """
    figure, (volatility, neighbours) = canvas(1, 2, width=TWO_COLUMNS, height=2.4)
    colour = COLOURS[model]
    for windows, name, shade in ((real, "real (train)", "black"), (fake, LABELS[model], colour)):
        density(volatility, metrics.log_rv(windows), color=shade, label=name)
    volatility.set_xlabel("log realised volatility of a window")
    volatility.set_ylabel("density")
    volatility.set_title("diversity of volatility", loc="left")
    volatility.legend(loc="upper left")

    n = min(n, len(real), len(fake) // 2)
    order = np.random.default_rng(seed).permutation(len(fake))
    first, second = fake[order[: len(fake) // 2]][:n], fake[order[len(fake) // 2 :]][:n]
    some = real[np.random.default_rng(seed).permutation(len(real))[:n]]
    distances = {
        "held-out real to train": (metrics.nearest_distances(some, held_out), "black", "-"),
        "samples to train": (metrics.nearest_distances(some, first), colour, "-"),
        "samples to other samples": (metrics.nearest_distances(second, first), colour, "--"),
    }
    for label, (values, shade, line) in distances.items():
        ordered = np.sort(values)
        neighbours.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=shade, linestyle=line, label=label)
    neighbours.set_xlabel("distance to the nearest window, own scale removed")
    neighbours.set_ylabel("share of windows nearer")
    neighbours.set_title("nearest neighbours", loc="left")
    neighbours.set_xlim(left=0)
    neighbours.legend(loc="upper left")
    return figure


@styled
def stress_knobs(dials: pd.DataFrame, real: np.ndarray) -> Figure:
    """What the knobs of sampling do to the volatility of a window: a panel for the spread, one for each model's own.

    dials : of `conditional.turn_knobs`, one or more models. Full lines are medians, dashed ones the 5 and 95 % quantiles
    real (N, L) : the training windows, whose quantiles are the grey line and band
    """
    spread = dials["knob"] == "spread"
    panels = {"stress scale × temperature": dials[spread]}
    for (model, knob), settings in dials[~spread].groupby(["model", "knob"], sort=False):
        panels[f"{knob.replace('_', ' ')} of {LABELS[model]}"] = settings
    figure, axes = canvas(1, len(panels), width=TWO_COLUMNS, height=2.5, sharey=True)
    low, middle, high = PERCENT * np.quantile(metrics.realised_vol(real), [0.05, 0.5, 0.95])
    for axis, (label, settings) in zip(axes, panels.items(), strict=True):
        axis.axhspan(low, high, color="grey", alpha=0.18, linewidth=0)
        axis.axhline(middle, color="grey", linewidth=0.9, label="real training windows: median, 5–95 %")
        for model, rows in settings.groupby("model", sort=False):
            axis.plot(rows["value"], PERCENT * rows["q50"], color=COLOURS[model], marker=".", label=LABELS[model])
            for edge in ("q05", "q95"):
                axis.plot(rows["value"], PERCENT * rows[edge], color=COLOURS[model], linestyle="--", linewidth=0.8)
        axis.set_xlabel(label)
    axes[0].set_ylabel("realised volatility (% per day)")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=3)
    return figure
