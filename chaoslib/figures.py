"""One function per figure: arrays in, `Figure` out. One- and two-column widths, fonts embedded, colours fixed by model."""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from chaoslib import metrics

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0  # inches
PERCENT = 100.0
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
}
# Okabe & Ito's palette, safe for colour-blind readers; the same model has the same colour in every figure.
COLOURS = {
    "real_train": "#000000",
    "iid_bootstrap": "#999999",
    "block_bootstrap": "#56B4E9",
    "garch_t": "#B8A800",
    "gjr_fhs": "#009E73",
    "vae_prior": "#CC79A7",
    "vae_stress": "#8C4A77",
    "timegan": "#E69F00",
    "timegan_stress": "#946600",
    "ldm_post": "#0072B2",
    "ldm_mu": "#D55E00",
}
LABELS = {
    "real_train": "real (train)",
    "iid_bootstrap": "iid bootstrap",
    "block_bootstrap": "block bootstrap",
    "garch_t": "GARCH-t",
    "gjr_fhs": "GJR-FHS",
    "vae_prior": "VAE prior",
    "vae_stress": "VAE stress",
    "timegan": "TimeGAN",
    "timegan_stress": "TimeGAN stress",
    "ldm_post": "latent diffusion (post)",
    "ldm_mu": "latent diffusion (mu)",
}
SPLIT_COLOURS = {"train": "#0072B2", "val": "#E69F00", "test": "#D55E00"}
DECODER_COLOURS = {"gaussian": "#0072B2", "mse_varmatch": "#E69F00", "mse": "#D55E00"}


def canvas(rows: int, columns: int, *, width: float, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A figure that a notebook shows once, and its axes as a flat array."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    plt.close(figure)  # a notebook shows the returned figure, not every open one a second time
    return figure, axes.ravel()


def styled(draw):
    """Apply the house style while a figure is drawn."""

    def wrapper(*args, **kwargs):
        with plt.rc_context(STYLE):
            return draw(*args, **kwargs)

    wrapper.__doc__, wrapper.__name__ = draw.__doc__, draw.__name__
    return wrapper


@styled
def price_history(prices: pd.DataFrame, log_returns: pd.DataFrame, *, title: str) -> Figure:
    """Level on a log scale, daily log-returns in percent, VIX in points."""
    figure, (top, middle, bottom) = canvas(3, 1, width=TWO_COLUMNS, height=4.4, sharex=True)
    top.semilogy(prices["date"], prices["close"], color="black", linewidth=0.7)
    top.set_ylabel("index points")
    top.set_title(title, loc="left")
    middle.plot(log_returns["date"], PERCENT * log_returns["log_return"], color="black", linewidth=0.4)
    middle.set_ylabel("log-return (%)")
    bottom.plot(prices["date"], prices["vix"], color=COLOURS["timegan"], linewidth=0.7)
    bottom.axhline(20, color="grey", linewidth=0.5, linestyle=":")
    bottom.set_ylabel("VIX")
    return figure


@styled
def split_overview(spans: dict[str, pd.DataFrame], windows: dict[str, np.ndarray]) -> Figure:
    """Where the splits lie, and how different their windows are: VIX and realised volatility."""
    figure, (timeline, volatility) = canvas(1, 2, width=TWO_COLUMNS, height=2.2, width_ratios=[1.7, 1])
    for name, span in spans.items():
        timeline.plot(span["date"], span["vix"], color=SPLIT_COLOURS[name], linewidth=0.6, label=name)
        timeline.axvspan(span["date"].iloc[0], span["date"].iloc[-1], color=SPLIT_COLOURS[name], alpha=0.08, linewidth=0)
        density(volatility, metrics.log_rv(windows[name]), color=SPLIT_COLOURS[name], label=name)
    timeline.set_ylabel("VIX")
    timeline.xaxis.set_major_locator(mdates.YearLocator(4))
    timeline.set_title("splits by date", loc="left")
    timeline.set_ylim(top=100)
    timeline.legend(loc="upper left", ncols=3)
    volatility.set_xlabel("log realised volatility of a window")
    volatility.set_ylabel("density")
    volatility.set_title("overlapping windows", loc="left")
    return figure


@styled
def stress_share(vix_end: dict[str, np.ndarray], thresholds: list[float]) -> Figure:
    """Share of windows whose VIX at the end stands at or above each threshold."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.1)
    width = 0.8 / len(vix_end)
    for offset, (name, vix) in enumerate(vix_end.items()):
        shares = [PERCENT * np.mean(vix >= threshold) for threshold in thresholds]
        axis.bar(np.arange(len(thresholds)) + offset * width, shares, width, color=SPLIT_COLOURS[name], label=name)
    axis.set_xticks(np.arange(len(thresholds)) + 0.4 - width / 2, [f"≥ {threshold:g}" for threshold in thresholds])
    axis.set_xlabel("VIX at the window's end")
    axis.set_ylabel("windows (%)")
    axis.legend()
    return figure


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
def probe(rows: pd.DataFrame, gate: dict[str, tuple[float, float]], volatility: dict[str, np.ndarray]) -> Figure:
    """The gate at a glance.

    rows : of the table `probe`, one seed; volatility : per-window realised volatility, "real" and one entry a VAE
    Left, the four criteria: hollow is decode(mu) without sampling, filled the sampled posterior decode that the gate
    reads. Right, what the numbers mean: the distribution of volatility over windows.
    """
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.7, width_ratios=[1.3, 1])
    criteria = [(metric, "all") for metric in gate] + [("std_ratio", "vix_top5pct")]
    limits = [*gate.values(), (0.85, np.nan)]
    names = {"std_ratio": "std ratio", "q01_ratio": "1 % quantile ratio", "log_rv_sd_ratio": "sd of log RV, ratio"}
    labels = [names[metric] + (", highest VIX" if subset != "all" else "") for metric, subset in criteria]
    for y, (low, high) in enumerate(limits):
        top = 1.6 if np.isnan(high) else high
        left.barh(y, top - low, left=low, height=0.8, color="grey", alpha=0.18)
    for number, (name, group) in enumerate(rows.groupby("vae", sort=False)):
        decoder = name.split(".")[-1]
        colour = DECODER_COLOURS.get(decoder, "black")
        table = group.set_index(["draw", "decode", "subset"])
        height = np.arange(len(criteria)) + 0.24 * (number - 1)
        for draw, decode, face in (("mu", "mean", "white"), ("post", "sampled", colour)):
            values = [table.loc[(draw, decode, subset), metric] for metric, subset in criteria]
            left.scatter(
                values, height, s=44 if decode == "mean" else 18, facecolor=face, edgecolor=colour, linewidth=1.2, zorder=3
            )
        density(right, volatility[name] * PERCENT, color=colour, label=decoder.replace("_", " + "))
    density(right, volatility["real"] * PERCENT, color="black", label="real", linewidth=1.6)
    left.axvline(1, color="black", linewidth=0.6)
    left.set_yticks(range(len(labels)), labels)
    left.invert_yaxis()
    left.set_xlim(0.5, 1.6)
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
    drawn = left.scatter(first, second, c=np.log(vix), s=3, cmap="viridis", rasterized=True, linewidth=0)
    bar = figure.colorbar(drawn, ax=left, ticks=np.log([10, 20, 40, 80]))
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


@styled
def paths(samples: dict[str, np.ndarray], *, shown: int = 40, seed: int = 0) -> Figure:
    """Cumulative returns of `shown` windows of each model, with the central 90 % of all of them, in percent."""
    columns = 4
    rows = -(-len(samples) // columns)
    figure, axes = canvas(rows, columns, width=TWO_COLUMNS, height=1.65 * rows, sharex=True, sharey=True)
    rng = np.random.default_rng(seed)
    for axis, (name, windows) in zip(axes, samples.items(), strict=False):
        levels = PERCENT * np.cumsum(windows, axis=1)
        days = np.arange(1, levels.shape[1] + 1)
        low, high = np.quantile(levels, [0.05, 0.95], axis=0)
        axis.fill_between(days, low, high, color=COLOURS[name], alpha=0.18, linewidth=0)
        drawn = levels[rng.choice(len(levels), size=min(shown, len(levels)), replace=False)]
        axis.plot(days, drawn.T, color=COLOURS[name], linewidth=0.35, alpha=0.7)
        axis.set_title(LABELS[name], loc="left")
        axis.set_ylim(-40, 30)
    for axis in axes[len(samples) :]:
        axis.set_axis_off()
    figure.supxlabel("day", fontsize=8)
    figure.supylabel("cumulative log-return (%)", fontsize=8)
    return figure


@styled
def histogram(samples: dict[str, np.ndarray]) -> Figure:
    """Densities of daily returns: the centre on a linear scale, everything on a logarithmic one."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.5)
    for axis, edges in ((left, np.linspace(-4, 4, 81)), (right, np.linspace(-13, 13, 79))):
        for name, windows in samples.items():
            heights, _ = np.histogram(PERCENT * windows, bins=edges, density=False)
            heights = heights / (windows.size * np.diff(edges))
            heights = np.where(heights > 0, heights, np.nan)
            axis.stairs(heights, edges, color=COLOURS[name], label=LABELS[name], linewidth=line_width(name))
        axis.set_xlabel("daily log-return (%)")
    left.set_ylabel("density")
    right.set_yscale("log")
    left.legend(loc="upper left", handlelength=1.2)
    return figure


@styled
def qq(samples: dict[str, np.ndarray]) -> Figure:
    """Quantiles of each model against those of the first sample, in percent."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=3.2)
    levels = np.concatenate([np.geomspace(2e-4, 0.1, 30), np.linspace(0.12, 0.88, 30), 1 - np.geomspace(0.1, 2e-4, 30)])
    reference, *others = samples
    real = PERCENT * np.quantile(samples[reference], levels)
    axis.axline((0, 0), slope=1, color="black", linewidth=0.6)
    for name in others:
        axis.plot(real, PERCENT * np.quantile(samples[name], levels), color=COLOURS[name], label=LABELS[name])
    axis.set_xlabel(f"{LABELS[reference]}: quantiles of daily log-return (%)")
    axis.set_ylabel("model (%)")
    axis.legend(loc="upper left")
    return figure


@styled
def acf(samples: dict[str, np.ndarray], *, max_lag: int = 20) -> Figure:
    """Pooled autocorrelation of r and of |r|."""
    figure, (left, right) = canvas(1, 2, width=TWO_COLUMNS, height=2.4)
    lags = np.arange(1, max_lag + 1)
    for name, windows in samples.items():
        style = {"color": COLOURS[name], "label": LABELS[name], "linewidth": line_width(name), "marker": "."}
        left.plot(lags, metrics.pooled_acf(windows, max_lag=max_lag), **style)
        right.plot(lags, metrics.pooled_acf(np.abs(windows), max_lag=max_lag), **style)
    for axis, title in ((left, "autocorrelation of r"), (right, "autocorrelation of |r|")):
        axis.axhline(0, color="grey", linewidth=0.5)
        axis.set_xlabel("lag (days)")
        axis.set_title(title, loc="left")
    right.set_ylim(top=0.5)
    right.legend(ncols=2, loc="upper right")
    return figure


@styled
def drawdowns(samples: dict[str, np.ndarray]) -> Figure:
    """Share of 50-day windows whose maximum drawdown exceeds a level, on a log scale."""
    figure, (axis,) = canvas(1, 1, width=ONE_COLUMN, height=2.6)
    for name, windows in samples.items():
        ordered = np.sort(PERCENT * metrics.max_drawdown(windows))
        exceed = 1 - np.arange(len(ordered)) / len(ordered)
        axis.semilogy(ordered, exceed, color=COLOURS[name], label=LABELS[name], linewidth=line_width(name))
    axis.set_xlim(0, 50)
    axis.set_ylim(1e-3, 1.2)
    axis.set_xlabel("maximum drawdown (%)")
    axis.set_ylabel("share of windows beyond")
    axis.legend()
    return figure


@styled
def headline(samples: dict[str, np.ndarray]) -> Figure:
    """Bands of cumulative returns, tails and memory of the first (real) sample and its rivals, side by side."""
    figure, (fan, tails, memory) = canvas(1, 3, width=TWO_COLUMNS, height=2.5)
    edges = np.linspace(-12.6, 12.6, 37)
    for name, windows in samples.items():
        style = {"color": COLOURS[name], "linewidth": line_width(name)}
        levels = PERCENT * np.cumsum(windows, axis=1)
        days = np.arange(1, levels.shape[1] + 1)
        for q in (0.01, 0.05, 0.95, 0.99):
            fan.plot(days, np.quantile(levels, q, axis=0), linestyle="-" if 0.02 < q < 0.98 else "--", **style)
        heights = np.histogram(PERCENT * windows, bins=edges)[0] / (windows.size * np.diff(edges))
        tails.plot((edges[1:] + edges[:-1]) / 2, np.where(heights > 0, heights, np.nan), **style)
        memory.plot(np.arange(1, 21), metrics.pooled_acf(np.abs(windows)), label=LABELS[name], **style)
    fan.set_title("5–95 % (solid), 1–99 % (dashed)", loc="left")
    fan.set_ylabel("cumulative log-return (%)")
    fan.set_xlabel("day")
    tails.set_yscale("log")
    tails.set_title("density of daily returns", loc="left")
    tails.set_xlabel("log-return (%)")
    memory.set_title("autocorrelation of |r|", loc="left")
    memory.set_xlabel("lag (days)")
    memory.set_ylim(bottom=min(0.0, memory.get_ylim()[0]))
    figure.legend(*memory.get_legend_handles_labels(), loc="outside lower center", ncols=len(samples))
    return figure


def line_width(name: str) -> float:
    """The real sample is drawn heavier than models."""
    return 1.8 if name == "real_train" else 1.0


def density(
    axis: Axes, values: np.ndarray, *, color: str, label: str, linewidth: float = 1.1, high: float | None = None
) -> None:
    """Kernel density estimate of a one-dimensional sample."""
    top = np.quantile(values, 0.999) if high is None else high
    margin = 0.15 * np.std(values) if high is None else 0.0
    grid = np.linspace(values.min() - margin, top + margin, 300)
    axis.plot(grid, stats.gaussian_kde(values)(grid), color=color, label=label, linewidth=linewidth)
