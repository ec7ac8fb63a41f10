"""TimeGAN: its three phases, whether it collapsed, and what the knobs of stress-filtered models do."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from chaoslib.evaluation import metrics
from chaoslib.figures.style import COLOURS, LABELS, PERCENT, TWO_COLUMNS, canvas, density, legend_below, ranked_rows, styled

ERRORS = {"reconstruction": ("reconstruction", "#0072B2"), "supervised": ("supervisor", "#009E73")}
PANELS = {  # title -> phases, and the losses that are drawn of them
    "phases 1 and 2": (("autoencoder", "supervised"), ERRORS),
    "phase 3: errors": (("joint",), ERRORS | {"moments": ("moments", "#D55E00")}),
    "phase 3: verdicts": (
        ("joint",),
        {
            "discriminator": ("discriminator", "#000000"),
            "adversarial": ("generator", "#E69F00"),
            "adversarial_early": ("generator, before the supervisor", "#F3CF80"),
        },
    ),
}


@styled("")
def timegan_history(history: pd.DataFrame, *, undecided: dict[str, float]) -> Figure:
    """Losses of the three phases, and the distance to train at each check of the joint one; the kept state is ringed.

    undecided : of `timegan.undecided_losses`, the level of each verdict while the discriminator tells nothing apart
    """
    figure, axes = canvas(1, 4, width=TWO_COLUMNS, height=2.3)
    for axis, (title, (phases, terms)) in zip(axes, PANELS.items(), strict=False):
        for name, (label, colour) in terms.items():
            rows = history[history["phase"].isin(phases) & history[name].notna()]
            axis.plot(rows["epoch"], rows[name], color=colour, label=label)
        axis.set_title(title, loc="left")
    for axis in axes[:2]:
        axis.set_yscale("log")
    axes[0].set_ylabel("loss")
    for number, level in enumerate(undecided.values()):
        label = None if number else "undecided"
        axes[2].axhline(level, color="grey", linestyle="--", linewidth=0.8, label=label)
    axes[2].set_ylim(0, 1.08 * axes[2].get_ylim()[1])
    checks = history[history["distance"].notna()]
    axes[3].plot(checks["epoch"], checks["distance"], color=COLOURS["timegan"], marker=".", label="distance to train")
    chosen = checks.loc[checks["distance"].idxmin()]
    axes[3].plot(chosen["epoch"], chosen["distance"], "o", markersize=8, fillstyle="none", color="black", label="kept")
    axes[3].set_ylim(bottom=0)
    axes[3].set_title("distance to train", loc="left")
    for axis in axes:
        axis.set_xlabel("epoch")
    pairs = [pair for axis in axes[1:] for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    legend_below(figure, *map(list, zip(*pairs, strict=True)), ncols=5)
    return figure


@styled("")
def calm_to_wild(real: np.ndarray, fake: np.ndarray, *, model: str) -> Figure:
    """A calm, a typical and a wild window of reality over those of a model: the 5, 50 and 95 % quantiles of volatility.

    real (N, L) and fake (M, L) in log-returns; each row takes the windows that stand there among its own, and says their
    realised volatility, per day.
    """
    figure, axes = canvas(2, 3, width=TWO_COLUMNS, height=2.7, sharex=True, sharey=True)
    rows = ((real, "real", "black"), (fake, LABELS[model], COLOURS[model]))
    for row, (windows, name, colour) in zip(axes.reshape(2, 3), rows, strict=True):
        volatility = metrics.realised_vol(windows)
        for axis, (kind, chosen) in zip(row, ranked_rows(volatility).items(), strict=True):
            days = np.arange(1, windows.shape[1] + 1)
            axis.axhline(0, color="grey", linewidth=0.5)
            axis.plot(days, PERCENT * windows[chosen], color=colour, marker=".", markersize=2.5, linewidth=0.7)
            axis.set_title(f"{name}, {kind}: {PERCENT * volatility[chosen]:.2f} %", loc="left")
    figure.supxlabel("day", fontsize=8)
    figure.supylabel("log-return (%)", fontsize=8)
    return figure


@styled("")
def mode_collapse(
    real: np.ndarray, held_out: np.ndarray, fake: np.ndarray, *, model: str, n: int = 800, seed: int = 0
) -> Figure:
    """Is a sample diverse? Volatility of its windows, and how near its windows lie to each other, beside real ones.

    real (N, L) training windows, held_out (M, L) real windows of another span, fake (K, L) samples, in log-returns.
    Distances are those of `metrics.nearest_distances` to n windows each, so that no sample is nearer for being larger.
    """
    figure, (volatility, neighbours) = canvas(1, 2, width=TWO_COLUMNS, height=2.4)
    colour = COLOURS[model]
    volatility.set_xscale("log")
    for windows, name, shade in ((real, "real (train)", "black"), (fake, LABELS[model], colour)):
        density(volatility, metrics.log_rv(windows), color=shade, label=name)
        volatility.lines[-1].set_xdata(PERCENT * np.exp(volatility.lines[-1].get_xdata()))
    volatility.relim()
    volatility.autoscale_view()
    volatility.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    volatility.xaxis.set_minor_formatter(NullFormatter())
    volatility.set_xlabel("realised volatility of a window (% per day)")
    volatility.set_ylabel("density of its logarithm")
    volatility.set_title("are windows calm and wild?", loc="left")
    volatility.legend(loc="upper right")

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
    neighbours.set_xlabel("distance to the nearest window (0: a copy)")
    neighbours.set_ylabel("share of windows nearer")
    neighbours.set_title("are windows new, and unlike one another?", loc="left")
    neighbours.set_xlim(left=0)
    neighbours.legend(loc="upper left")
    return figure


@styled("")
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
    handles, labels = axes[0].get_legend_handles_labels()
    for line, text in (("-", "median of a model"), ("--", "its 5 and 95 %")):
        handles.append(Line2D([], [], color="black", linestyle=line, linewidth=0.8))
        labels.append(text)
    legend_below(figure, handles, labels, ncols=3)
    return figure
