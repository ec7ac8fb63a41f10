"""What a bottleneck of a few latents keeps of a window, and what its latents look like."""

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from chaoslib.figures.style import COLOURS, DECODER_COLOURS, PERCENT, TWO_COLUMNS, canvas, legend_below, styled

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


@styled("")
def round_trips(real: dict[str, np.ndarray], mean: dict[str, np.ndarray], sampled: dict[str, np.ndarray]) -> Figure:
    """Windows before and after the bottleneck, a row a window, a column a VAE; log-returns.

    real : title of the window -> its days (L,)
    mean, sampled : name of the VAE -> what it decodes of each window (len(real), L), without and with its own noise; where
        the two hardly differ the mean is not drawn
    """
    columns = 1 + len(mean)
    figure, axes = canvas(len(real), columns, width=TWO_COLUMNS, height=1.65 * len(real) + 0.4, sharex=True, sharey="row")
    grid = axes.reshape(len(real), columns)
    for row, (title, window) in zip(range(len(real)), real.items(), strict=True):
        days = np.arange(1, len(window) + 1)
        grid[row, 0].plot(days, PERCENT * window, color="black", linewidth=0.8, label="real window")
        grid[row, 0].set_title(f"{title}\nsd {PERCENT * np.std(window):.1f} %", loc="left")
        grid[row, 0].set_ylabel("log-return (%)")
        for axis, name in zip(grid[row, 1:], mean, strict=True):
            colour = DECODER_COLOURS.get(name.split(".")[-1], "grey")
            centre, fake = PERCENT * mean[name][row], PERCENT * sampled[name][row]
            axis.plot(days, PERCENT * window, color="lightgrey", linewidth=1.6, label="real window")
            axis.plot(days, fake, color=colour, linewidth=0.8, label="round trip")
            if np.std(fake - centre) > 0.3 * np.std(fake):  # else the decoder has no noise to speak of
                axis.plot(days, centre, color="black", linewidth=0.8, linestyle=(0, (3, 1)), label="its mean, without noise")
            axis.set_title(f"{PROBE_LABELS.get(name, name)}\nsd {np.std(fake):.1f} %", loc="left")
    for axis in grid[-1]:
        axis.set_xlabel("day")
    drawn = {
        text: handle
        for axis in reversed(grid[0, 1:])
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    legend_below(figure, list(drawn.values()), list(drawn), ncols=3)
    return figure


@styled("")
def latent_tails(z: np.ndarray, vix: np.ndarray) -> Figure:
    """How far latents are from a normal law: z (N, D), each of mean zero and variance one, and the VIX (N,) of the windows.

    Left, the law of all latents beside the normal. Middle, the excess kurtosis of each latent, zero for a normal. Right,
    the distance of a window from the centre, the root mean square of its latents, against the VIX: the band is where
    98 % of normal draws lie, the line the median in twenty groups of equal size by the VIX.
    """
    figure, (law, tails, distance) = canvas(1, 3, width=TWO_COLUMNS, height=2.3, width_ratios=[1, 0.8, 1.2])
    colour, d = COLOURS["ldm_post"], z.shape[1]
    grid = np.linspace(-1, 1, 121) * np.ceil(np.abs(z).max())
    law.hist(z.ravel(), bins=grid[::2], density=True, histtype="stepfilled", alpha=0.35, color=colour, label="latents")
    law.plot(grid, stats.norm.pdf(grid), color="black", linestyle="--", label="normal")
    law.set_yscale("log")
    law.set_ylim(1e-5, 3)
    law.set_xlabel("standardised latent")
    law.set_ylabel("density")
    law.set_title("law of the latents", loc="left")
    law.legend(loc="upper left", fontsize=6)
    tails.barh(np.arange(1, d + 1), np.sort(stats.kurtosis(z)), color=colour)
    tails.axvline(0, color="black", linewidth=0.6)
    tails.set_xlabel("excess kurtosis")
    tails.set_ylabel("latents, ordered")
    tails.set_title("tails (normal: 0)", loc="left")
    radius = np.sqrt(np.mean(z**2, axis=1))
    low, high = stats.chi.ppf([0.01, 0.99], d) / np.sqrt(d)
    distance.axhspan(low, high, color="grey", alpha=0.25, linewidth=0, label="98 % of normal draws")
    distance.scatter(vix, radius, s=2, color=colour, alpha=0.35, rasterized=True, linewidth=0, label="training windows")
    groups = np.array_split(np.argsort(vix, kind="stable"), 20)
    middle = np.array([(np.median(vix[group]), np.median(radius[group])) for group in groups])
    distance.plot(*middle.T, color="black", marker=".", markersize=3, label="median, by VIX")
    distance.set_xscale("log")
    distance.set_xticks([10, 20, 40, 80], ["10", "20", "40", "80"])
    distance.minorticks_off()
    distance.set_xlabel("VIX at the window's end")
    distance.set_ylabel("rms of a window's latents")
    distance.set_title("distance from the centre", loc="left")
    distance.legend(loc="upper left", fontsize=6, markerscale=1.5)
    return figure
