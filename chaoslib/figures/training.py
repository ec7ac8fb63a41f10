"""What the autoencoder and the diffusion learn."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from chaoslib.figures.bottleneck import PROBE_LABELS
from chaoslib.figures.style import (
    COLOURS,
    DECODER_COLOURS,
    PERCENT,
    RANKS,
    SPLIT_COLOURS,
    TWO_COLUMNS,
    canvas,
    density,
    legend_below,
    styled,
)


@styled("")
def vae_history(history: pd.DataFrame) -> Figure:
    """The terms of the VAE loss against epochs, train and validation.

    The misfit is the negative log-likelihood, or the squared error of a mean-only decoder.
    """
    terms = {"likelihood": "misfit $R$ (per day)", "kl": "KL (nats per window)", "varmatch": "variance mismatch"}
    figure, axes = canvas(1, 3, width=TWO_COLUMNS, height=2.0)
    for axis, (term, title) in zip(axes, terms.items(), strict=True):
        axis.plot(history["epoch"], history[term], color=SPLIT_COLOURS["train"], label="train")
        axis.plot(history["epoch"], history[f"val_{term}"], color=SPLIT_COLOURS["val"], label="validation")
        axis.set_xlabel("epoch")
        axis.set_title(title, loc="left")
    axes[0].legend()
    axes[2].set_yscale("log")
    return figure


@styled("")
def examples(real: np.ndarray, decoded: np.ndarray, prior: np.ndarray, *, model: str = "vae_prior") -> Figure:
    """A calm, a typical and a wild window of three kinds on one scale, log-returns (3, L) each; a column a kind.

    real : windows; decoded : the same, encoded, drawn from their posterior, decoded and sampled
    prior : windows decoded from latents of the prior, of the same ranks by volatility among their own kind
    model : whose colour the prior has
    """
    figure, axes = canvas(3, 3, width=TWO_COLUMNS, height=3.6, sharex=True, sharey=True)
    kinds = {
        "real window": (real, "black"),
        "its round trip through the latents": (decoded, COLOURS["ldm_post"]),
        "a sample of the prior": (prior, COLOURS.get(model, COLOURS["vae_prior"])),
    }
    for column, (heading, (returns, colour)) in enumerate(kinds.items()):
        for row, (axis, kind, values) in enumerate(zip(axes[column::3], RANKS, PERCENT * returns, strict=True)):
            axis.axhline(0, color="black", linewidth=0.4)
            axis.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=0.8, marker=".", markersize=2.5)
            said = f"{kind}: standard deviation {np.std(values):.2f} %"
            axis.set_title(said if row else f"{heading}\n{said}", loc="left")
    for axis in axes[-3:]:
        axis.set_xlabel("day")
    figure.supylabel("log-return (%)", fontsize=8)
    return figure


@styled("")
def decoded_windows(real: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> Figure:
    """A calm, a typical and a wild window (3, L) with the decoder's mean and its band of two standard deviations.

    Log-returns; each panel has a scale of its own.
    """
    figure, axes = canvas(1, len(real), width=TWO_COLUMNS, height=2.2)
    days = np.arange(1, real.shape[1] + 1)
    for axis, kind, r, m, s in zip(axes, RANKS, PERCENT * real, PERCENT * mean, PERCENT * sigma, strict=True):
        if s.any():  # a mean-only decoder has no band
            band = {"color": COLOURS["ldm_post"], "alpha": 0.2, "linewidth": 0, "label": "decoder's mean ± 2 σ"}
            axis.fill_between(days, m - 2 * s, m + 2 * s, **band)
        axis.plot(days, m, color=COLOURS["ldm_post"], label="decoder's mean")
        axis.plot(days, r, color="black", linewidth=0.6, marker=".", markersize=2.5, label="real")
        axis.set_title(kind, loc="left")
        axis.set_xlabel("day")
    axes[0].set_ylabel("log-return (%)")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=3)
    return figure


@styled("")
def latent_use(kl: np.ndarray, mu: np.ndarray) -> Figure:
    """KL of each latent (D,), and the spread of posterior means mu (N, D) beside that of the prior."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.1)
    dimensions = np.arange(1, len(kl) + 1)
    left.bar(dimensions, kl, color=COLOURS["ldm_post"])
    left.set_ylabel("KL (nats per window)")
    left.set_title("what each latent says", loc="left")
    low, high = stats.norm.ppf([0.25, 0.75])
    right.axhspan(low, high, color=COLOURS["vae_prior"], alpha=0.35, linewidth=0)
    right.boxplot(mu, positions=dimensions, showfliers=False, widths=0.6, medianprops={"color": COLOURS["ldm_post"]})
    right.set_ylabel("posterior mean")
    right.set_title("where the windows lie; shaded: middle half of N(0, 1)", loc="left")
    for axis in (left, right):
        axis.set_xticks(dimensions[::3], dimensions[::3])
        axis.set_xlabel("latent")
    return figure


@styled("")
def probe(
    rows: pd.DataFrame,
    gate: dict[tuple[str, str], tuple[float, float]],
    volatility: dict[str, np.ndarray],
    *,
    unseen: pd.DataFrame | None = None,
) -> Figure:
    """The gate at a glance.

    gate : (metric, subset) -> lowest and highest value allowed, the highest infinite where there is no upper limit
    rows : of the table `probe`, one seed; volatility : per-window realised volatility, "real" and one entry a VAE
    unseen : rows of `probe_by_split` for windows outside the training span, the same seed; None leaves them out
    Left, the four criteria: hollow is the mean of decode(mu), filled the sampled posterior decode that the gate reads,
    a cross that decode on unseen windows alone. Right, what the numbers mean: the law of volatility over windows.
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=3.1, width_ratios=[1.3, 1])
    labels = [PROBE_LABELS[metric] + (f",\n{PROBE_LABELS[subset]}" if subset != "all" else "") for metric, subset in gate]
    for y, (low, high) in enumerate(gate.values()):
        top = min(high, 1.6)
        left.barh(y, top - low, left=low, height=0.86, color="grey", alpha=0.18)
    for number, (name, group) in enumerate(rows.groupby("vae", sort=False)):
        colour = DECODER_COLOURS.get(name.split(".")[-1], "black")
        table = group.set_index(["draw", "decode", "subset"])
        height = np.arange(len(gate)) + 0.78 * ((number + 0.5) / rows["vae"].nunique() - 0.5)
        for draw, decode, face in (("mu", "mean", "white"), ("post", "sampled", colour)):
            values = [table.loc[(draw, decode, subset), metric] for metric, subset in gate]
            left.scatter(
                values, height, s=38 if decode == "mean" else 14, facecolor=face, edgecolor=colour, linewidth=1.1, zorder=3
            )
        if unseen is not None:
            split = unseen.set_index("vae").loc[name]
            values, places = zip(
                *[(split[m], y) for (m, subset), y in zip(gate, height, strict=True) if subset == "all"], strict=True
            )
            left.scatter(values, places, s=22, marker="x", color=colour, linewidth=1.1, zorder=4)
        density(right, volatility[name] * PERCENT, color=colour, label=PROBE_LABELS.get(name, name))
    density(right, volatility["real"] * PERCENT, color="black", label="real", linewidth=1.6)
    left.axvline(1, color="black", linewidth=0.6)
    left.set_yticks(range(len(labels)), labels)
    left.invert_yaxis()
    left.set_xlim(0.25, 1.6)
    left.set_xlabel("decoded / real   (grey: allowed; the last has no upper limit)")
    cross = "" if unseen is None else "\ncross: sampled decode, validation alone"
    left.set_title("hollow: mean of decode(mu) · filled: sampled decode" + cross, loc="left")
    right.set_xlim(0, 4)
    right.set_xlabel("realised volatility of a window (% per day)")
    right.set_ylabel("density")
    right.set_title("volatility after the bottleneck", loc="left")
    right.legend(loc="upper right", fontsize=6.5, handlelength=1.2)
    return figure


@styled("")
def latent_space(mu: np.ndarray, vix: np.ndarray, posterior_std: np.ndarray) -> Figure:
    """First two principal components of posterior means (N, D) coloured by VIX (N,), and the posterior's width.

    The sign of a component is free: the first grows with the VIX here.
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.5, width_ratios=[1.25, 1])
    centred = (mu - mu.mean(axis=0)) / mu.std(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    first, second = (centred @ axes[:2].T).T
    first = first if np.corrcoef(first, np.log(vix))[0, 1] >= 0 else -first
    shares = PERCENT * sizes**2 / np.sum(sizes**2)
    points = left.scatter(first, second, c=np.log(vix), s=3, cmap="viridis", rasterized=True, linewidth=0)
    bar = figure.colorbar(points, ax=left, ticks=np.log([10, 20, 40, 80]))
    bar.ax.set_yticklabels(["10", "20", "40", "80"])
    bar.set_label("VIX at the window's end")
    left.set_xlabel(f"first principal component ({shares[0]:.0f} % of variance)")
    left.set_ylabel(f"second ({shares[1]:.0f} %)")
    left.set_title("the latents of training windows", loc="left")
    right.hist((posterior_std / mu.std(axis=0)).ravel(), bins=60, color=COLOURS["ldm_post"])
    right.set_xlabel("posterior sd / sd of posterior means")
    right.set_ylabel("windows × latents")
    right.set_title("width of the posterior", loc="left")
    return figure


@styled("")
def diffusion_training(alpha_bar: np.ndarray, history: pd.DataFrame) -> Figure:
    """Noise schedule alpha_bar (K+1,) and the losses against epochs."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=1.9)
    left.plot(np.sqrt(alpha_bar), color="black", label="signal")
    left.plot(np.sqrt(1 - alpha_bar), color="grey", linestyle="--", label="noise")
    left.set_xlabel("diffusion level k")
    left.set_ylabel("factor")
    left.set_title("noise schedule", loc="left")
    left.legend()
    right.plot(history["epoch"], history["loss"], color=SPLIT_COLOURS["train"], label="train (running weights)")
    right.plot(history["epoch"], history["val_loss"], color=SPLIT_COLOURS["val"], label="validation (averaged weights)")
    right.set_xlabel("epoch")
    right.set_ylabel("mean squared error")
    right.set_title("error of v", loc="left")
    right.legend()
    return figure


@styled("")
def latent_report(samples: dict[str, np.ndarray]) -> Figure:
    """Norms, spreads and correlations of standardised latents (N, D): the real posterior and its imitations."""
    colours = dict(zip(samples, ("black", "grey", COLOURS["ldm_post"]), strict=True))
    figure, (norms, moments, correlation) = canvas(1, 3, width=TWO_COLUMNS, height=2.1)
    real = next(iter(samples.values()))
    upper = np.triu_indices(real.shape[1], k=1)
    for name, z in samples.items():
        density(norms, np.linalg.norm(z, axis=1), color=colours[name], label=name, clip=(0, 14))
        order = np.argsort(stats.kurtosis(real))
        moments.plot(np.arange(1, z.shape[1] + 1), stats.kurtosis(z)[order], color=colours[name], marker=".", label=name)
        if z is not real:
            correlation.scatter(
                np.corrcoef(real.T)[upper], np.corrcoef(z.T)[upper], s=6, color=colours[name], label=name, linewidth=0
            )
    norms.set_xlabel("norm of a latent vector")
    norms.set_ylabel("density")
    norms.legend()
    moments.set_xlabel("latents, in order of real kurtosis")
    moments.set_ylabel("excess kurtosis")
    correlation.axline((0, 0), slope=1, color="black", linewidth=0.5)
    correlation.set_xlabel("correlation of two latents, real")
    correlation.set_ylabel("generated")
    return figure
