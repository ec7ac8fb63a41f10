"""What a bottleneck of a few latents keeps of a window, and what its latents look like."""

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from scipy import stats

from chaoslib.figures.history import plain_numbers
from chaoslib.figures.style import DECODER_COLOURS, PERCENT, TWO_COLUMNS, canvas, legend_below, styled

PROBE_LABELS = {  # words for the codes of the tables `probe` and `probe_by_split`
    "03_vae.gaussian": "Gaussian",
    "03_vae.mse_varmatch": "mean-only + matching",
    "03_vae.mse": "mean-only",
    "03_vae.cond_end": "Gaussian, VIX at end",
    "03_vae.cond_start": "Gaussian, VIX before",
    "03_vae.cond_norm": "Gaussian, VIX divided out",
    "std_ratio": "standard deviation",
    "q01_ratio": "1 % quantile",
    "q99_ratio": "99 % quantile",
    "log_rv_sd_ratio": "spread of log volatility",
    "excess_kurtosis": "excess kurtosis",
    "acf_abs_mae": "autocorrelation gap",
    "all": "all windows",
    "vix_top5pct": "highest VIX",
    "train": "training",
    "val": "validation",
    "mu": "posterior mean",
    "post": "posterior draw",
    "prior": "prior draw",
    "mean": "mean only",
}


@styled(
    """Windows before and after the bottleneck: the real window alone in the first column and in light grey behind its
    round trip through each VAE (latents drawn from the posterior, days sampled); `sd` is the standard deviation of the
    days. The dashed line is the decoder's mean, drawn where the decoder has noise of its own. A round trip that is
    right is as wild as the real window; a mean-only decoder that follows each day of a training window and not of a
    validation window has learned days by heart. Trained models are of {seed}.""",
    letters=False,
)
def round_trips(real: dict[str, np.ndarray], mean: dict[str, np.ndarray], sampled: dict[str, np.ndarray]) -> Figure:
    """Windows before and after the bottleneck, a row a window, a column a VAE; log-returns.

    real : title of the window -> its days (L,)
    mean, sampled : name of the VAE -> what it decodes of each window (len(real), L), without and with its own noise; where
        the two hardly differ the mean is not drawn
    """
    columns = 1 + len(mean)
    figure, axes = canvas(len(real), columns, width=TWO_COLUMNS, height=1.65 * len(real) + 0.4, sharex=True, sharey="row")
    grid = axes.reshape(len(real), columns)
    for row, (title, window) in enumerate(real.items()):
        days = np.arange(1, len(window) + 1)
        grid[row, 0].plot(days, PERCENT * window, color="black", linewidth=0.8, label="real window")
        grid[row, 0].set(ylabel="log-return (%)", title=f"{title}\nsd {PERCENT * np.std(window):.1f} %")
        for axis, name in zip(grid[row, 1:], mean, strict=True):
            colour = DECODER_COLOURS.get(name.split(".")[-1], "grey")
            centre, fake = PERCENT * mean[name][row], PERCENT * sampled[name][row]
            axis.plot(days, PERCENT * window, color="lightgrey", linewidth=1.6, label="real window")
            axis.plot(days, fake, color=colour, linewidth=0.8, label="round trip, in the colour of its decoder")
            if np.std(fake - centre) > 0.3 * np.std(fake):  # else the decoder has no noise to speak of
                axis.plot(days, centre, color="black", linewidth=0.8, linestyle=(0, (3, 1)), label="its mean, without noise")
            axis.set_title(f"{PROBE_LABELS.get(name, name)}\nsd {np.std(fake):.1f} %")
    for axis in grid[-1]:
        axis.set_xlabel("day")
    fullest = max(grid[0, 1:], key=lambda axis: len(axis.lines))
    legend_below(figure, *fullest.get_legend_handles_labels(), ncols=3)
    return figure


@styled(
    """How far the standardised latents of training windows are from a normal law. (a) All latents together beside the
    normal density (dashed). (b) The excess kurtosis of each latent, from the smallest to the largest; a normal law has
    0. (c) The distance of a window from the centre, the root mean square of its latents, against the VIX: the grey band
    holds 98 % of normal draws, the line is the median of twenty groups of equal size by the VIX. Latents that followed
    the prior would fill the dashed curve, and at every VIX the band. Trained models are of {seed}."""
)
def latent_tails(z: np.ndarray, vix: np.ndarray) -> Figure:
    """How far latents are from a normal law: z (N, D), each of mean zero and variance one, and the VIX (N,) of the windows.

    Left, the law of all latents beside the normal. Middle, the excess kurtosis of each latent, zero for a normal. Right,
    the distance of a window from the centre, the root mean square of its latents, against the VIX: the band is where
    98 % of normal draws lie, the line the median in twenty groups of equal size by the VIX.
    """
    figure, (law, tails, distance) = canvas(1, 3, width=TWO_COLUMNS, height=2.5, width_ratios=[1, 0.8, 1.2])
    colour, d = DECODER_COLOURS["gaussian"], z.shape[1]
    grid = np.linspace(-1, 1, 121) * np.ceil(np.abs(z).max())
    bins = {"bins": grid[::2], "stat": "density", "element": "step", "linewidth": 0.5}
    sns.histplot(x=z.ravel(), ax=law, color=colour, alpha=0.35, label="latents", **bins)
    law.plot(grid, stats.norm.pdf(grid), color="black", linestyle="--", label="normal law")
    law.set_yscale("log")
    law.set_ylim(0.5 / (z.size * (grid[2] - grid[0])), 3)  # half of one latent in a bin
    law.set(xlabel="standardised latent", ylabel="density", title="law of the latents")
    tails.barh(np.arange(1, d + 1), np.sort(stats.kurtosis(z)), color=colour)
    tails.axvline(0, color="black", linewidth=0.6)
    tails.margins(y=0)
    tails.set(xlabel="excess kurtosis (normal: 0)", ylabel="latents, ordered", title="tails")
    radius = np.sqrt(np.mean(z**2, axis=1))
    low, high = stats.chi.ppf([0.01, 0.99], d) / np.sqrt(d)
    distance.axhspan(low, high, color="grey", alpha=0.25, linewidth=0, label="98 % of normal draws")
    distance.scatter(vix, radius, s=2, color=colour, alpha=0.35, rasterized=True, linewidth=0, label="training windows")
    groups = np.array_split(np.argsort(vix, kind="stable"), 20)
    middle = np.array([(np.median(vix[group]), np.median(radius[group])) for group in groups])
    distance.plot(*middle.T, color="black", marker=".", markersize=3, label="median, by VIX")
    distance.set_xscale("log")
    plain_numbers(distance, "x", at=(1.0, 2.0, 4.0, 8.0))
    distance.set_xlabel("VIX at the window's end (index points)")
    distance.set(ylabel="rms of a window's latents", title="distance from the centre")
    (handles, labels), (more_handles, more_labels) = law.get_legend_handles_labels(), distance.get_legend_handles_labels()
    legend_below(figure, handles + more_handles, labels + more_labels, ncols=5)
    figure.legends[0].legend_handles[3].set(sizes=[9], alpha=1)  # a point large enough to be seen
    return figure
