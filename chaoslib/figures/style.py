"""The look of every figure: widths, fonts, and one colour and label a model."""

import functools
import inspect
import textwrap
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager, get_data_path
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy import stats

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
    "cond_vae_prior": "#EE99AA",
    "cond_ldm": "#332288",
    "cond_ldm_normalised": "#CC3311",
    "vix_scaled": "#117733",
    "vix_kernel_bootstrap": "#88CCEE",
    "hs_500": "#777777",
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
    "cond_vae_prior": "conditional VAE prior",
    "cond_ldm": "conditional latent diffusion",
    "cond_ldm_normalised": "conditional, VIX-normalised",
    "vix_scaled": "VIX-scaled history",
    "vix_kernel_bootstrap": "VIX kernel bootstrap",
    "hs_500": "500-day history",
}
SPLIT_COLOURS = {"train": "#0072B2", "val": "#E69F00", "test": "#D55E00"}
RANKS = {"calm": 0.05, "typical": 0.5, "wild": 0.95}  # of windows, by their volatility among their own kind
DECODER_COLOURS = {
    "gaussian": "#0072B2",
    "mse_varmatch": "#E69F00",
    "mse": "#D55E00",
    "cond_end": "#332288",
    "cond_start": "#117733",
    "cond_norm": "#CC3311",
}

# Figures take the DejaVu that matplotlib brings, to be the same anywhere: a machine's own may be another version.
FONTS = font_manager.fontManager
FONTS.ttflist = [font for font in FONTS.ttflist if not font.name.startswith("DejaVu")]
for path in sorted(Path(get_data_path(), "fonts/ttf").glob("DejaVu*.ttf")):
    FONTS.addfont(path)

PAGE: ContextVar[float | None] = ContextVar("page", default=None)  # width of the reader's page; None: as designed


@contextmanager
def page(width: float | None):
    """Draw for a page of another width, in inches: panels of one row break into several where they would be crowded."""
    token = PAGE.set(width)
    try:
        yield
    finally:
        PAGE.reset(token)


def canvas(
    rows: int, columns: int, *, width: float, height: float, breaks: bool | None = None, **options
) -> tuple[Figure, np.ndarray]:
    """A figure that a notebook shows once, and its axes as a flat array.

    breaks : whether panels may stand in other rows on a narrower page; those of one row may, those of a grid may not
    """
    asked, wanted = PAGE.get() or width, rows * columns
    fitting = max(1, round(columns * asked / width))
    if (rows == 1 if breaks is None else breaks) and fitting < columns:
        height *= -(-wanted // fitting) / rows
        rows, columns = -(-wanted // fitting), fitting
        options.pop("width_ratios", None)
    elif asked > width:
        height *= asked / width
    figure, axes = plt.subplots(rows, columns, figsize=(asked, height), squeeze=False, **options)
    plt.close(figure)  # a notebook shows the returned figure, not every open one a second time
    for axis in axes.ravel()[wanted:]:
        axis.remove()
    return figure, axes.ravel()[:wanted]


def fit(figure: Figure) -> None:
    """What a narrower page asks of labels: titles in several lines, fewer days, a label for each row that shares one."""
    panels = [axis for axis in figure.axes if axis.get_subplotspec()]
    labels = [axis.get_ylabel() for axis in panels]
    for axis in panels:
        letters = int(axis.get_position().width * figure.get_figwidth() * 72 / (0.62 * STYLE["axes.titlesize"]))
        axis.set_title(
            "\n".join(textwrap.fill(line, letters) for line in axis.get_title(loc="left").splitlines()), loc="left"
        )
        axis.set_xlabel(textwrap.fill(axis.get_xlabel(), letters))
        if axis.get_xlabel():
            axis.tick_params(labelbottom=True)  # the panel below, whose numbers it shared, may be another one now
        if isinstance(axis.xaxis.get_major_locator(), mdates.AutoDateLocator):
            days = mdates.AutoDateLocator(minticks=2, maxticks=4)
            axis.xaxis.set_major_locator(days)
            axis.xaxis.set_major_formatter(mdates.ConciseDateFormatter(days))
        is_shared = axis.get_shared_y_axes().joined(axis, panels[0])
        if is_shared and axis.get_subplotspec().is_first_col() and not any(labels[1:]):
            axis.set_ylabel(labels[0])


def legend_below(figure: Figure, handles: list, labels: list[str], *, ncols: int) -> None:
    """One legend for all panels, under them, in as many columns as the page has room for."""
    share = figure.get_figwidth() / TWO_COLUMNS
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, int(ncols * min(share, 1.0) + 0.5)))


def styled(draw):
    """Apply the house style while a figure is drawn, and note on it what drew it from what (`drawn_by`, `drawn_from`)."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            if PAGE.get():
                fit(figure)
        figure.drawn_by = draw.__name__
        figure.drawn_from = dict(inspect.signature(draw).bind(*args, **kwargs).arguments)
        return figure

    return wrapper


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


def fan_bands(axis: Axes, windows: np.ndarray, *, color: str) -> None:
    """Bands of the cumulative log-returns, in percent, of windows (N, L) against the day."""
    levels = PERCENT * np.cumsum(windows, axis=1)
    days = np.arange(1, levels.shape[1] + 1)
    for low, high, alpha in ((0.01, 0.99, 0.15), (0.05, 0.95, 0.25), (0.25, 0.75, 0.35)):
        band = np.quantile(levels, [low, high], axis=0)
        axis.fill_between(days, *band, color=color, alpha=alpha, linewidth=0, label=f"{low * 100:g}–{high * 100:g} %")


def fan_swatches(axis: Axes) -> dict[str, Patch]:
    """Legend entries of `fan_bands`, as dark as what they name: the bands lie on one another."""
    bands = axis.collections
    opacity = 1 - np.cumprod([1 - band.get_alpha() for band in bands])
    return {
        band.get_label(): Patch(color=band.get_facecolor()[0, :3], alpha=alpha, linewidth=0)
        for band, alpha in zip(bands, opacity, strict=True)
    }


def ranked_rows(volatility: np.ndarray) -> dict[str, int]:
    """Which of N windows stand where `RANKS` says, by their volatility (N,)."""
    order = np.argsort(volatility)
    return {kind: int(order[round(share * (len(order) - 1))]) for kind, share in RANKS.items()}
