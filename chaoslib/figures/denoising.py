"""Latents between data and noise, and the windows that they decode to."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chaoslib.figures.samples import BAND, bundle
from chaoslib.figures.style import COLOURS, PERCENT, TWO_COLUMNS, canvas, legend_below, ranked_rows, styled

REACH = 0.995  # share of a cloud that its panel holds


@styled(
    """{course} Above are two coordinates of standardised latents, those that are most correlated among real ones, with one
    latent starred; the axes leave out at most one latent in a hundred. Below is what the decoder makes of the star: one
    window (black) and the central 90 % of its draws on each day. Look at what a level keeps: the shape of the cloud, the
    place of the star in it, and the calm and wild days of its window. The model is of {seed}.""",
    letters=False,
)
def noise_levels(
    clouds: dict[int, np.ndarray],
    windows: dict[int, np.ndarray],
    *,
    alpha_bar: np.ndarray,
    followed: int,
    pair: tuple[int, int],
    model: str = "ldm_post",
) -> Figure:
    """Latents at some diffusion levels, a column each in the order given, and what one of them decodes to.

    clouds : level k -> standardised latents (n, D), of which two coordinates are drawn, those that `pair` names
    windows : level k -> draws (copies, L) of the decoder for the latent `followed`, log-returns
    alpha_bar : (K + 1,) of the schedule; a column says how much signal and how much noise its level has
    """
    figure, axes = canvas(2, len(clouds), width=TWO_COLUMNS, height=3.3, sharex="row", sharey="row")
    first, *_, last = clouds
    figure.said["course"] = (
        "From left to right noise is added to the latents of real windows until nothing else is left."
        if first < last
        else "From left to right the diffusion turns noise into latents, in steps from the highest level to none."
    )
    colour, pair = COLOURS.get(model, COLOURS["ldm_post"]), [int(dimension) for dimension in pair]
    inside = [np.quantile(np.abs(z[:, pair]), REACH) for z in clouds.values()]
    reach = 1.1 * max(*inside, *(np.abs(z[followed, pair]).max() for z in clouds.values()))
    for axis, (level, z) in zip(axes[: len(clouds)], clouds.items(), strict=True):
        axis.scatter(*z[:, pair].T, s=2, color=colour, alpha=0.35, linewidth=0, rasterized=True)
        star = {"s": 45, "marker": "*", "facecolor": "black", "edgecolor": "white", "linewidth": 0.5, "zorder": 3}
        axis.scatter(*z[[followed]][:, pair].T, label="the one decoded below", **star)
        signal, noise = np.sqrt(alpha_bar[level]), np.sqrt(1 - alpha_bar[level])
        axis.set_title(f"level k = {level}\nsignal {signal:.2f}, noise {noise:.2f}", loc="left", fontsize=7)
        axis.set_xlabel(f"latent {pair[0] + 1}")
    for axis, draws in zip(axes[len(clouds) :], windows.values(), strict=True):
        days, returns = np.arange(1, draws.shape[1] + 1), PERCENT * draws
        band = {"color": colour, "alpha": 0.25, "linewidth": 0, "label": "90 % of its windows"}
        axis.fill_between(days, *np.quantile(returns, BAND, axis=0), **band)
        axis.plot(days, returns[0], color="black", linewidth=0.6, label="one window")
        axis.set_xlabel("day")
    axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    axes[0].locator_params(nbins=4, integer=True)
    axes[0].set_ylabel(f"latent {pair[1] + 1}")
    axes[len(clouds)].set_ylabel("log-return (%)")
    handles, labels = axes[-1].get_legend_handles_labels()
    (star,), (told,) = axes[0].get_legend_handles_labels()
    dot = Line2D([], [], color=colour, marker="o", markersize=2.5, linestyle="", label="latents")
    legend_below(figure, [dot, star, *handles], ["latents", told, *labels], ncols=4)
    return figure


@styled(
    """Windows that one decoder makes of latents of three sources, a column each. Above are cumulative log-returns of {shown}
    windows, and the shade holds the central 90 % of all on each day; below stand a calm, a typical and a wild window end
    to end, at 5, 50 and 95 % of their source by volatility, with the standard deviation of their days. The first column is
    what a perfect sampler of latents would give: a diffusion that is right looks like it. The models are of {seed}.""",
    letters=False,
)
def latent_sources(windows: dict[str, np.ndarray], *, model: str, shown: int = 40, seed: int = 0) -> Figure:
    """Log-returns (N, L) that one decoder makes of latents of three sources: real windows, the prior, a diffusion.

    Above, cumulative returns of `shown` windows and the central 90 % of all; below, the windows whose volatility has the
    rank 5, 50 and 95 %, end to end. windows : title -> log-returns, in that order; model : whose colour the third has
    """
    figure, axes = canvas(2, len(windows), width=TWO_COLUMNS, height=3.3, sharey="row", sharex="row")
    prior = "cond_vae_prior" if model.startswith("cond") else "vae_prior"
    colours = ("black", COLOURS[prior], COLOURS.get(model, COLOURS["ldm_post"]))
    figure.said["shown"] = shown
    rng = np.random.default_rng(seed)
    pairs = zip(axes[: len(windows)], axes[len(windows) :], windows.items(), colours, strict=True)
    for paths, returns, (title, sample), colour in pairs:
        days = sample.shape[1]
        bundle(paths, sample, color=colour, shown=shown, rng=rng)
        paths.set_title(title, loc="left")
        paths.set_xlabel("day")
        spread = PERCENT * sample.std(axis=1)
        ranked = ranked_rows(spread)
        returns.plot(
            np.arange(1, 3 * days + 1), PERCENT * sample[list(ranked.values())].ravel(), color=colour, linewidth=0.6
        )
        for place, (kind, row) in enumerate(ranked.items()):
            if place:
                returns.axvline(place * days + 0.5, color="grey", linewidth=0.5, linestyle=":")
            at = (place + 0.5) / 3, 0.99
            note = f"{kind}\n{spread[row]:.2f} %"
            returns.text(*at, note, transform=returns.transAxes, ha="center", va="top", fontsize=7)
        returns.set_xticks(days * np.arange(4))
        returns.set_xlabel("day, three windows end to end")
    axes[0].set_ylabel("cumulative\nlog-return (%)")
    axes[len(windows)].set_ylabel("log-return (%)")
    low, high = axes[-1].get_ylim()
    axes[-1].set_ylim(low, high + 0.3 * (high - low))
    return figure
