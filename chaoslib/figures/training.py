"""What the autoencoder and the diffusion learn."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from chaoslib.figures.style import COLOURS, DECODER_COLOURS, PERCENT, SPLIT_COLOURS, TWO_COLUMNS, canvas, density, styled


@styled
def vae_history(history: pd.DataFrame) -> Figure:
    """The terms of the VAE loss against epochs, train and validation."""
    terms = {"likelihood": "reconstruction term (per day)", "kl": "KL (nats per window)", "varmatch": "variance mismatch"}
    figure, axes = canvas(1, 3, width=TWO_COLUMNS, height=1.9)
    for axis, (term, title) in zip(axes, terms.items(), strict=True):
        axis.plot(history["epoch"], history[term], color=SPLIT_COLOURS["train"], label="train")
        axis.plot(history["epoch"], history[f"val_{term}"], color=SPLIT_COLOURS["val"], label="validation")
        axis.set_xlabel("epoch")
        axis.set_title(title, loc="left")
    axes[0].legend()
    axes[2].set_yscale("log")
    return figure


@styled
def decoded_windows(real: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> Figure:
    """Real windows (3, L) with the decoder's mean and its band of two standard deviations, log-returns."""
    figure, axes = canvas(1, len(real), width=TWO_COLUMNS, height=1.9)
    days = np.arange(1, real.shape[1] + 1)
    for axis, r, m, s in zip(axes, PERCENT * real, PERCENT * mean, PERCENT * sigma, strict=True):
        if s.any():  # a mean-only decoder has no band
            band = {"color": COLOURS["ldm_post"], "alpha": 0.2, "linewidth": 0, "label": "mean ± 2 σ"}
            axis.fill_between(days, m - 2 * s, m + 2 * s, **band)
        axis.plot(days, m, color=COLOURS["ldm_post"], label="mean")
        axis.plot(days, r, color="black", linewidth=0.6, marker=".", markersize=2, label="real")
        axis.set_xlabel("day")
    axes[0].set_ylabel("log-return (%)")
    axes[0].legend(loc="upper left", ncols=3, columnspacing=0.8, handlelength=1.2)
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, high + 0.25 * (high - low))
    return figure


@styled
def latent_use(kl: np.ndarray, mu: np.ndarray) -> Figure:
    """KL of each latent (D,) and the spread of posterior means mu (N, D)."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=1.9)
    dimensions = np.arange(1, len(kl) + 1)
    left.bar(dimensions, kl, color=COLOURS["ldm_post"])
    left.set_ylabel("KL (nats)")
    right.boxplot(mu, positions=dimensions, showfliers=False, widths=0.6, medianprops={"color": COLOURS["ldm_mu"]})
    right.set_ylabel("posterior means")
    for axis in (left, right):
        axis.set_xticks(dimensions[::3], dimensions[::3])
        axis.set_xlabel("latent")
    return figure


@styled
def probe(rows: pd.DataFrame, gate: dict[tuple[str, str], tuple[float, float]], volatility: dict[str, np.ndarray]) -> Figure:
    """The gate at a glance.

    gate : (metric, subset) -> lowest and highest value allowed, the highest infinite where there is no upper limit
    rows : of the table `probe`, one seed; volatility : per-window realised volatility, "real" and one entry a VAE
    Left, the four criteria: hollow is decode(mu) without sampling, filled the sampled posterior decode that the gate
    reads. Right, what the numbers mean: the distribution of volatility over windows.
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.7, width_ratios=[1.3, 1])
    names = {"std_ratio": "std ratio", "q01_ratio": "1 % quantile ratio", "log_rv_sd_ratio": "sd of log RV, ratio"}
    labels = [names[metric] + (", highest VIX" if subset != "all" else "") for metric, subset in gate]
    for y, (low, high) in enumerate(gate.values()):
        top = min(high, 1.6)
        left.barh(y, top - low, left=low, height=0.8, color="grey", alpha=0.18)
    for number, (name, group) in enumerate(rows.groupby("vae", sort=False)):
        decoder = name.split(".")[-1]
        colour = DECODER_COLOURS.get(decoder, "black")
        table = group.set_index(["draw", "decode", "subset"])
        height = np.arange(len(gate)) + 0.72 * ((number + 0.5) / rows["vae"].nunique() - 0.5)
        for draw, decode, face in (("mu", "mean", "white"), ("post", "sampled", colour)):
            values = [table.loc[(draw, decode, subset), metric] for metric, subset in gate]
            left.scatter(
                values, height, s=44 if decode == "mean" else 18, facecolor=face, edgecolor=colour, linewidth=1.2, zorder=3
            )
        density(
            right,
            volatility[name] * PERCENT,
            color=colour,
            label=decoder.replace("_varmatch", " + varmatch").replace("_", " "),
        )
    density(right, volatility["real"] * PERCENT, color="black", label="real", linewidth=1.6)
    left.axvline(1, color="black", linewidth=0.6)
    left.set_yticks(range(len(labels)), labels)
    left.invert_yaxis()
    left.set_xlim(0.3, 1.6)
    left.set_xlabel("decoded / real   (grey: allowed; the last has no upper limit)")
    left.set_title("hollow: mean of decode(mu) · filled: sampled decode", loc="left")
    right.set_xlim(0, 4)
    right.set_xlabel("realised volatility of a window (% per day)")
    right.set_ylabel("density")
    right.set_title("volatility after the bottleneck", loc="left")
    right.legend()
    return figure


@styled
def latent_space(mu: np.ndarray, vix: np.ndarray, posterior_std: np.ndarray) -> Figure:
    """First two principal components of posterior means (N, D) coloured by VIX (N,), and the posterior's width."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.5, width_ratios=[1.25, 1])
    centred = (mu - mu.mean(axis=0)) / mu.std(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    first, second = (centred @ axes[:2].T).T
    points = left.scatter(first, second, c=np.log(vix), s=3, cmap="viridis", rasterized=True, linewidth=0)
    bar = figure.colorbar(points, ax=left, ticks=np.log([10, 20, 40, 80]))
    bar.ax.set_yticklabels(["10", "20", "40", "80"])
    bar.set_label("VIX at the window's end")
    left.set_xlabel("first principal component")
    left.set_ylabel("second")
    right.hist((posterior_std / mu.std(axis=0)).ravel(), bins=60, color=COLOURS["ldm_post"])
    right.set_xlabel("posterior sd / sd of posterior means")
    right.set_ylabel("windows × latents")
    return figure


@styled
def diffusion_training(alpha_bar: np.ndarray, history: pd.DataFrame) -> Figure:
    """Noise schedule alpha_bar (K+1,) and the losses against epochs."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=1.9)
    left.plot(np.sqrt(alpha_bar), color=COLOURS["ldm_post"], label="signal")
    left.plot(np.sqrt(1 - alpha_bar), color=COLOURS["ldm_mu"], label="noise")
    left.set_xlabel("diffusion level k")
    left.set_title("noise schedule", loc="left")
    left.legend()
    right.plot(history["epoch"], history["loss"], color=SPLIT_COLOURS["train"], label="train (running weights)")
    right.plot(history["epoch"], history["val_loss"], color=SPLIT_COLOURS["val"], label="validation (averaged weights)")
    right.set_xlabel("epoch")
    right.set_title("error of v", loc="left")
    right.legend()
    return figure


@styled
def latent_report(samples: dict[str, np.ndarray]) -> Figure:
    """Norms, spreads and correlations of standardised latents (N, D): the real posterior and its imitations."""
    colours = dict(zip(samples, ("black", "grey", COLOURS["ldm_post"]), strict=True))
    figure, (norms, moments, correlation) = canvas(1, 3, width=TWO_COLUMNS, height=2.1)
    real = next(iter(samples.values()))
    upper = np.triu_indices(real.shape[1], k=1)
    for name, z in samples.items():
        density(norms, np.linalg.norm(z, axis=1), color=colours[name], label=name, high=14.0)
        order = np.argsort(stats.kurtosis(real))
        moments.plot(stats.kurtosis(z)[order], color=colours[name], marker=".", label=name)
        if z is not real:
            correlation.scatter(
                np.corrcoef(real.T)[upper], np.corrcoef(z.T)[upper], s=6, color=colours[name], label=name, linewidth=0
            )
    norms.set_xlabel("norm")
    norms.set_ylabel("density")
    norms.legend()
    moments.set_xlabel("latents, ordered")
    moments.set_ylabel("excess kurtosis")
    correlation.axline((0, 0), slope=1, color="black", linewidth=0.5)
    correlation.set_xlabel("correlation, real")
    correlation.set_ylabel("correlation, generated")
    return figure
