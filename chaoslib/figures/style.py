"""The look of every figure: the project's own settings, widths, palettes, panel letters, and the caption it carries."""

import base64
import functools
import inspect
import io
import textwrap
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import font_manager, get_data_path
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0  # inches
PERCENT = 100.0
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "figure.labelsize": 7.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
}
# Models, decoders, splits and losses have palettes of their own: no colour has two meanings. Models began from Okabe & Ito's
# palette, safe for colour-blind readers; the same model has the same colour in every figure.
COLOURS = {
    "real_train": "#000000",
    "iid_bootstrap": "#B8B8B8",
    "block_bootstrap": "#56B4E9",
    "garch_t": "#8FD0A0",
    "gjr_fhs": "#009E73",
    "vae_prior": "#D77FB3",
    "vae_stress": "#8C4A77",
    "timegan": "#E69F00",
    "timegan_stress": "#8A5200",
    "ldm_post": "#0072B2",
    "ldm_mu": "#D55E00",
    "cond_vae_prior": "#F2A3A3",
    "cond_ldm": "#332288",
    "cond_ldm_normalised": "#C8102E",
    "vix_scaled": "#117733",
    "vix_kernel_bootstrap": "#88CCEE",
    "hs_500": "#666666",
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
LINES = {"vix_scaled": "--", "gjr_fhs": "-.", "block_bootstrap": ":"}  # two greens, and copies that lie on the real line
SPLITS = {"train": "train", "val": "validation", "test": "test"}
SPLIT_COLOURS = {"train": "#5B5BE0", "val": "#C23B8F", "test": "#702010"}
SPLIT_LINES = {"train": "-", "val": "--", "test": "-"}  # the first two colours are equally dark
DECODER_COLOURS = {
    "gaussian": "#1F6F7A",
    "mse_varmatch": "#58B947",
    "mse": "#40532D",
    "cond_end": "#A79BD6",
    "cond_start": "#2D2D53",
    "cond_norm": "#7F6F1E",
    "stress": "#7FB3BD",
}
LOSS_COLOURS = {  # of TimeGAN: errors in browns, sides of the contest in yellows that no model has
    "reconstruction": "#4A2F1C",
    "supervised": "#96735C",
    "moments": "#CFA98F",
    "discriminator": "#5C5410",
    "adversarial": "#A89A1E",
    "adversarial_early": "#DDD37A",
}
SEQUENTIAL, DIVERGING = "cividis", "vlag"  # maps of a size, and of a size with a middle
RANKS = {"calm": 0.05, "typical": 0.5, "wild": 0.95}  # of windows, by their volatility among their own kind
INDICES = {  # data set -> the index in words
    "sp500_logret": "S&P 500",
    "nasdaq_logret": "Nasdaq Composite",
    "dow_logret": "Dow Jones Industrial Average",
    "russell2000_logret": "Russell 2000",
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
    figure, axes = plt.subplots(
        rows, columns, figsize=(asked, height), squeeze=False, FigureClass=CaptionedFigure, **options
    )
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
        fill = functools.partial(textwrap.fill, width=letters, break_long_words=False)
        axis.set_title("\n".join(map(fill, axis.get_title(loc="left").splitlines())), loc="left")
        axis.set_xlabel(fill(axis.get_xlabel()))
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


@contextmanager
def own_settings():
    """matplotlib as this project wants it, whatever a reader's matplotlibrc or notebook has set."""
    with mpl.style.context(["default", STYLE]), mpl.rc_context({"timezone": "UTC"}):  # which is no part of a style
        yield


class CaptionedFigure(Figure):
    """A figure that a notebook shows with its caption under it.

    drawn_by, drawn_from : name of the function that drew it, and its arguments
    said : what the caption's template leaves to the drawing; name, about : of the file it was saved as, and of the run
    """

    drawn_by, template, name, of_a_market = "", "", "", True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.drawn_from, self.said, self.about = {}, {}, {}

    @property
    def caption(self) -> str:
        """What is drawn, what to see, of which seeds and of which market; empty for a figure without a caption."""
        seeds = self.about.get("seeds", [])
        one = f"seed {seeds[0]}" if seeds else "one seed"
        listed = ", ".join(map(str, seeds[:-1])) + f" and {seeds[-1]}" if len(seeds) > 1 else str(*seeds)
        every = (f"seeds {listed}" if len(seeds) > 1 else one) if seeds else "all seeds"
        text = " ".join(self.template.format(seed=one, seeds=every, **self.said).split())
        market = INDICES.get(dataset := self.about.get("dataset", ""), dataset)
        return text + f" {market}{self.about.get('settings', '')}." * bool(text and market and self.of_a_market)

    def picture(self) -> str:
        """The figure as a notebook shows it: a PNG in base64."""
        picture = io.BytesIO()
        with own_settings():
            self.savefig(picture, format="png", dpi=110)
        return base64.b64encode(picture.getvalue()).decode()

    def outputs(self) -> list[tuple[dict, dict]]:
        """What a notebook shows, (data, metadata) each: the picture with its description, and the caption."""
        shown = [({"image/png": self.picture(), "text/plain": repr(self)}, {})]
        if self.name and self.caption:
            shown[0][1]["image/png"] = {"alt": self.caption}
            shown.append(({"text/markdown": f"`{self.name}` {self.caption}", "text/plain": self.caption}, {}))
        return shown

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for data, metadata in self.outputs():
            display(data, metadata=metadata, raw=True)


def styled(caption: str, *, letters: bool = True, market: bool = True):
    """Apply the house style while a figure is drawn, letter its panels, and note on it what drew it from what.

    caption : what is drawn and what to look for, true of any run; {seed} becomes the seed of the models shown, or the
        first of several, {seeds} all of them; other names in braces the function puts into `figure.said`
    letters : whether panels are lettered, where there are several; those of a grid whose rows and columns say what they
        hold are not; market : whether the caption names the market, which a diagram does not show
    """

    def decorate(draw):
        @functools.wraps(draw)
        def wrapper(*args, **kwargs):
            with own_settings():
                figure = draw(*args, **kwargs)
                if PAGE.get():
                    fit(figure)
                if letters:
                    letter(figure)
            figure.drawn_by, figure.template, figure.of_a_market = draw.__name__, caption, market
            figure.drawn_from = dict(inspect.signature(draw).bind(*args, **kwargs).arguments)
            return figure

        return wrapper

    return decorate


def letter(figure: Figure) -> None:
    """Name the panels of a figure a, b, c, in bold, left of their titles."""
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>" and axis.axison]
    for name, axis in zip("abcdefghijklmnopqrstuvwxyz", panels if len(panels) > 1 else (), strict=False):
        at = {"xytext": (-4, STYLE["axes.titlesize"] - 2), "textcoords": "offset points"}
        axis.annotate(name, (0, 1), xycoords="axes fraction", ha="right", va="baseline", weight="bold", **at)


def line_width(name: str) -> float:
    """The real sample is drawn heavier than models."""
    return 1.8 if name == "real_train" else 1.0


def density(axis: Axes, values: np.ndarray, *, color: str, label: str, linewidth: float = 1.1, **options) -> None:
    """Kernel density estimate of a sample (N,); options : of `seaborn.kdeplot`, such as clip, cut or log_scale."""
    options = {"cut": 1, "gridsize": 300} | options
    sns.kdeplot(x=np.asarray(values), ax=axis, color=color, label=label, linewidth=linewidth, **options)


def empirical(axis: Axes, values: np.ndarray, *, color: str, label: str, **options) -> None:
    """Empirical distribution of a sample (N,); options : of `seaborn.ecdfplot`, such as complementary or log_scale."""
    sns.ecdfplot(x=np.asarray(values), ax=axis, color=color, label=label, **options)


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


def vix_points(axis: Axes, points: np.ndarray, vix: np.ndarray) -> PathCollection:
    """Points (N, 2), each in the colour of its VIX (N,), in index points."""
    return axis.scatter(*points.T, c=vix, norm="log", s=4, cmap=SEQUENTIAL, linewidth=0, rasterized=True)


def vix_bar(figure: Figure, points: PathCollection, axes: Axes | list[Axes]) -> None:
    """What the colours of `vix_points` mean, beside one panel or several."""
    bar = figure.colorbar(points, ax=axes, ticks=[10, 20, 40, 80], format="%g", pad=0.01)
    bar.ax.minorticks_off()
    bar.set_label("VIX at the window's end (index points)")


def ranked_rows(volatility: np.ndarray) -> dict[str, int]:
    """Which of N windows stand where `RANKS` says, by their volatility (N,)."""
    order = np.argsort(volatility)
    return {kind: int(order[round(share * (len(order) - 1))]) for kind, share in RANKS.items()}
