"""What the autoencoder and the diffusion learn."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from chaoslib.figures.bottleneck import PROBE_LABELS
from chaoslib.figures.history import plain_numbers
from chaoslib.figures.style import (
    COLOURS,
    DECODER_COLOURS,
    PERCENT,
    RANKS,
    SEQUENTIAL,
    SPLIT_COLOURS,
    SPLIT_LINES,
    SPLITS,
    TWO_COLUMNS,
    canvas,
    density,
    legend_below,
    styled,
)


@styled(
    """Terms of the VAE loss against epochs, on training windows (solid) and on validation windows (dashed): the misfit,
    which is the negative log-likelihood of a day, or the squared error of a mean-only decoder (a), the nats that the
    latents say of a window (b), and how far variances and means of sums over several days are from the data's (c). A
    validation misfit that turns upwards while that of train still falls is a model that learns its windows by heart; a
    span that is calmer than train has a lower misfit without being fitted better. Trained models are of {seed}."""
)
def vae_history(history: pd.DataFrame) -> Figure:
    """The terms of the VAE loss against epochs, train and validation.

    The misfit is the negative log-likelihood, or the squared error of a mean-only decoder.
    """
    terms = {
        "likelihood": ("misfit", "$R$ per day (lower is better)"),
        "kl": ("KL divergence", "nats per window"),
        "varmatch": ("variance mismatch", "mismatch (lower is better)"),
    }
    figure, axes = canvas(1, 3, width=TWO_COLUMNS, height=2.2)
    for axis, (term, (title, unit)) in zip(axes, terms.items(), strict=True):
        for split, column in {"train": term, "val": f"val_{term}"}.items():
            look = {"color": SPLIT_COLOURS[split], "linestyle": SPLIT_LINES[split], "label": SPLITS[split]}
            axis.plot(history["epoch"], history[column], **look)
        axis.set(xlabel="epoch", ylabel=unit, title=title)
    axes[2].set_yscale("log")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=4)
    return figure


@styled(
    """A calm, a typical and a wild window (rows) of three kinds (columns), all on one scale: real windows, the same
    windows encoded, drawn from their posterior, decoded and sampled, and windows decoded from latents of the prior, of
    the same ranks by volatility among their own kind; `sd` is the standard deviation of the days. A decoder that is
    right gives back a window as wild as the real one, with other days; a prior that is right has the same three
    standard deviations. Trained models are of {seed}.""",
    letters=False,
)
def examples(real: np.ndarray, decoded: np.ndarray, prior: np.ndarray, *, model: str = "vae_prior") -> Figure:
    """A calm, a typical and a wild window of three kinds on one scale, log-returns (3, L) each; a column a kind.

    real : windows; decoded : the same, encoded, drawn from their posterior, decoded and sampled
    prior : windows decoded from latents of the prior, of the same ranks by volatility among their own kind
    model : whose colour the prior has
    """
    figure, axes = canvas(3, 3, width=TWO_COLUMNS, height=3.6, sharex=True, sharey=True)
    kinds = {
        "real window": (real, "black"),
        "its round trip through the latents": (decoded, DECODER_COLOURS["stress" if model == "vae_stress" else "gaussian"]),
        "a sample of the prior": (prior, COLOURS.get(model, COLOURS["vae_prior"])),
    }
    for column, (heading, (returns, colour)) in enumerate(kinds.items()):
        for row, (axis, kind, values) in enumerate(zip(axes[column::3], RANKS, PERCENT * returns, strict=True)):
            axis.axhline(0, color="black", linewidth=0.4)
            axis.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=0.8, marker=".", markersize=2.5)
            said = f"{kind}: sd {np.std(values):.2f} %"
            axis.set_title(said if row else f"{heading}\n{said}")
    for axis in axes[-3:]:
        axis.set_xlabel("day")
    figure.supylabel("log-return (%)")
    return figure


@styled(
    r"""What the decoder says about a calm (a), a typical (b) and a wild window (c), each on a scale of its own: the real
    days (black), the decoder's mean and a band of two of its standard deviations $\sigma$ on either side; a mean-only
    decoder has no band. A decoder that is right has a band as wide as the window is wild, with about one day in twenty
    outside; a mean that follows every day copies. Trained models are of {seed}."""
)
def decoded_windows(real: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> Figure:
    """A calm, a typical and a wild window (3, L) with the decoder's mean and its band of two standard deviations.

    Log-returns; each panel has a scale of its own.
    """
    figure, axes = canvas(1, len(real), width=TWO_COLUMNS, height=2.2)
    days, colour = np.arange(1, real.shape[1] + 1), DECODER_COLOURS["gaussian"]
    for axis, kind, r, m, s in zip(axes, RANKS, PERCENT * real, PERCENT * mean, PERCENT * sigma, strict=True):
        if s.any():  # a mean-only decoder has no band
            axis.fill_between(
                days, m - 2 * s, m + 2 * s, color=colour, alpha=0.25, linewidth=0, label="decoder's mean ± 2 σ"
            )
        axis.plot(days, m, color=colour, label="decoder's mean")
        axis.plot(days, r, color="black", linewidth=0.6, marker=".", markersize=2.5, label="real window")
        axis.set(xlabel="day", title=f"{kind} window")
    axes[0].set_ylabel("log-return (%)")
    legend_below(figure, *axes[0].get_legend_handles_labels(), ncols=3)
    return figure


@styled(
    """What the latents are used for. (a) The nats that each latent says of a window on average; a latent at zero is not
    used. (b) Where the posterior means of the training windows lie: boxes hold the middle half, whiskers reach to the
    last window within one and a half box heights, and the grey band is the middle half of the prior, $N(0, 1)$. Where
    the posteriors are narrow, latents that followed the prior would have boxes that fill the band. Trained models are
    of {seed}."""
)
def latent_use(kl: np.ndarray, mu: np.ndarray) -> Figure:
    """KL of each latent (D,), and the spread of posterior means mu (N, D) beside that of the prior."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.1)
    dimensions, colour = np.arange(1, len(kl) + 1), DECODER_COLOURS["gaussian"]
    left.bar(dimensions, kl, color=colour)
    left.set(ylabel="KL (nats per window)", title="what each latent says")
    low, high = stats.norm.ppf([0.25, 0.75])
    right.axhspan(low, high, color="grey", alpha=0.3, linewidth=0)
    boxes = {"native_scale": True, "showfliers": False, "width": 0.6, "saturation": 1, "linewidth": 0.7}
    sns.boxplot(pd.DataFrame(mu, columns=dimensions), ax=right, color=colour, medianprops={"color": "white"}, **boxes)
    right.set(ylabel="posterior mean", title="where the windows lie; grey: middle half of $N(0, 1)$")
    for axis in (left, right):
        axis.set_xticks(dimensions[::3])
        axis.set_xlabel("latent")
    return figure


@styled(
    r"""The gate that a decoder has to pass. (a) Four statistics of decoded windows over those of the real ones, on training
    windows: hollow is the mean of decode($\mu$), without noise; filled is the sampled decode of a posterior draw, which
    the gate reads; a cross is the same on validation windows. The grey bar holds what the gate allows, without an upper
    limit for the last statistic, which is not taken of validation windows. (b) How the realised volatility of windows is
    distributed, real (black) and decoded with sampled days. A decoder that is right has its filled points in the grey
    bars and its curve on the black one. Trained models are of {seed}."""
)
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
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=3.7, width_ratios=[1.3, 1])
    names = list(dict.fromkeys(rows["vae"]))
    colours = {name: DECODER_COLOURS.get(name.split(".")[-1], "black") for name in names}
    criteria = [PROBE_LABELS[metric] + (f",\n{PROBE_LABELS[subset]}" if subset != "all" else "") for metric, subset in gate]
    by_kind = rows.set_index(["draw", "decode", "vae", "subset"]).sort_index()
    hollow = {"marker": "o", "markersize": 6, "markerfacecolor": "white"}
    kinds = {"mean of decode($\\mu$), without noise": (by_kind.loc["mu", "mean"], hollow)}
    kinds["sampled decode of a draw (the gate)"] = by_kind.loc["post", "sampled"], {"marker": "o", "markersize": 3.5}
    if unseen is not None:
        unseen = unseen.assign(subset="all").set_index(["vae", "subset"])
        kinds["the same, validation windows"] = unseen, {"marker": "x", "markersize": 4.5}
    cells = pd.MultiIndex.from_product([names, criteria], names=["vae", "criterion"]).to_frame(index=False)
    dodge = 0.66 if len(names) > 1 else False  # seaborn divides by the gaps between them
    options = {"palette": colours, "dodge": dodge, "linestyle": "none", "errorbar": None, "legend": False}
    for table, look in kinds.values():
        cells["ratio"] = [table[metric].get((name, subset)) for name in names for metric, subset in gate]
        sns.pointplot(cells, x="ratio", y="criterion", hue="vae", ax=left, markeredgewidth=1.1, **options, **look)
    end = max(1.6, left.get_xlim()[1])
    for y, (low, high) in enumerate(gate.values()):
        left.barh(y, min(high, end) - low, left=low, height=0.86, color="grey", alpha=0.25, linewidth=0, zorder=0)
    left.axvline(1, color="black", linewidth=0.6)
    left.set_xlim(right=end)
    left.set(xlabel="decoded / real (1 is right)", ylabel="", title="four statistics")
    for name, colour in colours.items():
        density(right, volatility[name] * PERCENT, color=colour, label=PROBE_LABELS.get(name, name), log_scale=True)
    density(right, volatility["real"] * PERCENT, color="black", label="real", linewidth=1.6, log_scale=True)
    plain_numbers(right, "x", at=(1.0, 2.0, 5.0))
    said = {"xlabel": "realised volatility (% a day)", "ylabel": "density (per factor of ten)"}
    right.set(title="volatility after the bottleneck", **said)
    handles, labels = right.get_legend_handles_labels()
    marks = [Line2D([], [], color="black", linestyle="none", markeredgewidth=1.1, **look) for _, look in kinds.values()]
    allowed = Patch(color="grey", alpha=0.25, linewidth=0)
    legend_below(figure, [*marks, allowed, *handles], [*kinds, "allowed by the gate", *labels], ncols=3)
    return figure


@styled(
    """The latents of the training windows. (a) Posterior means along their first two principal components, a point a
    window, coloured by the VIX at its end. The sign of the first component is chosen so that it grows with the VIX: the
    farther apart the colours, the more the latents know of the VIX. (b) The posterior's standard deviation over that of
    the posterior means, one count for each latent of each window: near 0 a latent says nearly exactly where its window
    is, near 1 and above it says little. Trained models are of {seed}."""
)
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
    points = left.scatter(first, second, c=vix, norm="log", s=3, cmap=SEQUENTIAL, rasterized=True, linewidth=0)
    bar = figure.colorbar(points, ax=left, label="VIX at the window's end (points)")
    figure.get_layout_engine().set(wspace=0.06)  # the bar's label apart from that of the next panel
    plain_numbers(bar.ax, "y", at=(1.0, 2.0, 4.0, 8.0))
    left.set_xlabel(f"first principal component ({shares[0]:.0f} % of variance)")
    left.set(ylabel=f"second ({shares[1]:.0f} %)", title="the latents of training windows")
    widths = (posterior_std / mu.std(axis=0)).ravel()
    sns.histplot(x=widths, bins=60, ax=right, color=DECODER_COLOURS["gaussian"], alpha=1, linewidth=0)
    right.set(xlabel="posterior sd / sd of posterior means", ylabel="windows × latents", title="width of the posterior")
    return figure


@styled(
    """The noise schedule, the factors of signal and noise at each level (a), and the error of the denoiser against epochs
    (b): of the running weights on train (solid) and of the averaged weights, which are kept, on validation (dashed). A
    network that always answers zero has the error 1, and no network reaches 0. A validation error that turns upwards
    would be a model that learns by heart; its height also says how calm the validation span is and is not to be
    compared with train. Trained models are of {seed}."""
)
def diffusion_training(alpha_bar: np.ndarray, history: pd.DataFrame) -> Figure:
    """Noise schedule alpha_bar (K+1,) and the losses against epochs."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.2)
    left.plot(np.sqrt(alpha_bar), color="black", label="signal")
    left.plot(np.sqrt(1 - alpha_bar), color="grey", linestyle=":", label="noise")
    left.set(xlabel="diffusion level $k$", ylabel="factor", title="noise schedule")
    for split, column, said in (("train", "loss", "running weights"), ("val", "val_loss", "averaged weights")):
        look = {"color": SPLIT_COLOURS[split], "linestyle": SPLIT_LINES[split], "label": f"{SPLITS[split]} ({said})"}
        right.plot(history["epoch"], history[column], **look)
    right.set(xlabel="epoch", ylabel="error (lower is better)", title="mean squared error of $v$")
    (handles, labels), (more_handles, more_labels) = left.get_legend_handles_labels(), right.get_legend_handles_labels()
    legend_below(figure, handles + more_handles, labels + more_labels, ncols=4)
    return figure


@styled(
    """Standardised latents of real windows (black), of a normal law with the same means and spreads (grey) and of the
    diffusion: the distance of a latent vector from the centre (a), the tails of each latent (b) and how the latents
    belong together (c), one point for each pair of latents. A diffusion that is right has the curve and the points of
    the real latents in a and b, and its points on the diagonal in c. Trained models are of {seed}."""
)
def latent_report(samples: dict[str, np.ndarray]) -> Figure:
    """Norms, spreads and correlations of standardised latents (N, D): the real posterior and its imitations."""
    colours = dict(zip(samples, ("black", "grey", COLOURS["ldm_post"]), strict=True))
    figure, (norms, moments, correlation) = canvas(1, 3, width=TWO_COLUMNS, height=2.4)
    real, *_ = samples.values()
    upper, order = np.triu_indices(real.shape[1], k=1), np.argsort(stats.kurtosis(real))
    for name, z in samples.items():
        look = {"color": colours[name], "label": name}
        density(norms, np.linalg.norm(z, axis=1), **look)
        moments.plot(np.arange(1, z.shape[1] + 1), stats.kurtosis(z)[order], marker=".", **look)
        if z is not real:
            correlation.scatter(np.corrcoef(real.T)[upper], np.corrcoef(z.T)[upper], s=6, linewidth=0, **look)
    norms.set(xlabel="norm of a latent vector", ylabel="density", title="distance from the centre")
    moments.set(xlabel="latents, in order of real kurtosis", ylabel="excess kurtosis (normal: 0)", title="tails")
    correlation.axline((0, 0), slope=1, color="black", linewidth=0.5)
    correlation.set(xlabel="correlation of two latents, real", ylabel="generated", title="dependence")
    legend_below(figure, *norms.get_legend_handles_labels(), ncols=6)
    return figure
