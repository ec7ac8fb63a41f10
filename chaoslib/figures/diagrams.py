"""What stands where: the pipeline with the reader's place in it, and the networks with their sizes."""

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from chaoslib.figures.style import TWO_COLUMNS, canvas, styled

INK, PAPER, MARKED, DATA = "#333333", "#F4F4F4", "#FFD166", "#DCE9F2"  # lines, networks and stages, the reader, arrays
# stage -> column and row in the map, what it is called, what it does
STAGES = {
    "01_data": (0, 1, "01 data", "closes, VIX"),
    "02_windows": (1, 1, "02 windows", "overlapping"),
    "03_vae": (2, 1, "03 VAE", "window → latents"),
    "04_probe": (3, 1, "04 probe", "a gate"),
    "05_latents": (4, 1, "05 latents", "what is learned"),
    "06_diffusion": (5, 1, "06 diffusion", "new latents → windows"),
    "07_conditional": (6, 1, "07 conditional", "windows at a VIX"),
    "08_timegan": (3, 0, "08 TimeGAN", "adversarial rival"),
    "09_evaluation": (5, 0, "09 evaluation", "rivals, distances"),
    "10_scorecard": (6, 0, "10 scorecard", "how far is far?"),
    "11_stress_test": (7, 1, "11 stress test", "VaR, shortfall"),
}
NEXT_TO = [("01", "02"), ("02", "03"), ("03", "04"), ("04", "05"), ("05", "06"), ("06", "07"), ("09", "10")]
NEXT_TO += [("02", "08"), ("08", "09"), ("06", "09"), ("07", "09")]  # 11 reads 06 over the head of 07


def box(
    axis: Axes, x: float, y: float, text: str, *, width: float, height: float, colour: str = PAPER, bold: bool = False
) -> None:
    """A rounded box around its centre, with text in it."""
    corner = x - width / 2, y - height / 2
    style = "round,pad=0,rounding_size=0.06"
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=colour, edgecolor=INK, linewidth=0.7))
    weight = "bold" if bold else "normal"
    axis.text(x, y, text, ha="center", va="center", fontsize=6.5 - 0.5 * bold, linespacing=1.35, weight=weight)


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], *, bend: float = 0.0, text: str = "") -> None:
    """An arrow, straight or bent, with text over its middle."""
    look = {"arrowstyle": "-|>,head_length=0.35,head_width=0.18", "linewidth": 0.8, "color": INK, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", xy=end, xytext=start, arrowprops=look | {"connectionstyle": f"arc3,rad={bend}"})
    if text:
        axis.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.05, text, ha="center", va="bottom", fontsize=6)


def sheet(width: float, height: float, *, inches: float) -> tuple[Figure, Axes]:
    """One empty panel without axes, `width` by `height` units."""
    figure, (axis,) = canvas(1, 1, width=TWO_COLUMNS, height=inches)
    axis.set_axis_off()
    axis.set_xlim(0, width)
    axis.set_ylim(0, height)
    return figure, axis


@styled("")
def pipeline_map(here: str = "") -> Figure:
    """The chapters and what flows between them; `here` is the stage to mark, such as "03_vae".

    Raises ValueError for a stage that there is not.
    """
    if here and here not in STAGES:
        raise ValueError(f"no stage {here!r}: use one of {', '.join(STAGES)}")
    figure, axis = sheet(8.0, 2.0, inches=1.5)
    places = {}
    for stage, (column, row, name, does) in STAGES.items():
        x, y = column + 0.5, 0.35 + 0.95 * row
        places[stage[:2]] = x, y
        box(axis, x, y, f"{name}\n", width=0.84, height=0.56, colour=MARKED if stage == here else PAPER, bold=True)
        first, _, rest = does.partition(" → ")
        axis.text(x, y - 0.13, f"{first} →\n{rest}" if rest else does, ha="center", va="center", fontsize=5.5)
    for before, after in NEXT_TO:
        (x, y), (to_x, to_y) = places[before], places[after]
        if y == to_y:
            arrow(axis, (x + 0.42, y), (to_x - 0.42, to_y))
        elif before == "06":
            arrow(axis, (x, y - 0.28), (to_x, to_y + 0.28))
        elif before == "07":
            arrow(axis, (x - 0.2, y - 0.28), (to_x + 0.3, to_y + 0.28))
        else:
            arrow(axis, (x + 0.2, y - 0.28), (to_x - 0.42, to_y + 0.1))
    (x, y), (to_x, _) = places["06"], places["11"]
    arrow(axis, (x + 0.2, y + 0.28), (to_x - 0.1, y + 0.28), bend=-0.12)
    if here:
        axis.text(0.08, 0.35, "you are here", fontsize=6.5, weight="bold", va="center", ha="left", bbox={
            "boxstyle": "round,pad=0.3", "facecolor": MARKED, "edgecolor": INK, "linewidth": 0.7})  # fmt: skip
    return figure


def layer(axis: Axes, x: float, middle: float, size: int, text: str, *, colour: str) -> float:
    """A column of numbers as high as the root of their count, named below and counted above; returns half its height."""
    half = 0.055 * size**0.5
    axis.add_patch(Rectangle((x - 0.1, middle - half), 0.2, 2 * half, facecolor=colour, edgecolor=INK, linewidth=0.7))
    axis.text(x, middle + half + 0.05, f"{size}", ha="center", va="bottom", fontsize=6.5)
    axis.text(x, middle - half - 0.06, text, ha="center", va="top", fontsize=6, linespacing=1.2)
    return half


@styled("")
def vae_network(*, seq_len: int, latent_dim: int, hidden: int, knots: int, cond_dim: int) -> Figure:
    """Encoder and decoder of the autoencoder, a column a layer, with the count of numbers over it.

    knots : of log sigma, 0 for a decoder of means alone; cond_dim : numbers that say the VIX, 0 without
    """
    figure, axis = sheet(8.2, 3.0, inches=2.5)
    middle = 1.6
    columns = [(0.4, seq_len, "window $x$", DATA), (1.3, hidden, "ReLU", PAPER), (2.1, hidden, "ReLU", PAPER)]
    columns += [(3.0, 2 * latent_dim, "$\\mu,\\ \\ell$", DATA), (4.0, latent_dim, "latents $z$", MARKED)]
    columns += [(4.9, hidden, "ReLU", PAPER), (5.7, hidden, "ReLU", PAPER)]
    columns += [(6.6, seq_len + knots, "means, knots" if knots else "means", DATA)]
    for x, size, text, colour in columns:
        layer(axis, x, middle, size, text, colour=colour)
    for (x, *_), (to_x, *_) in itertools.pairwise(columns):
        arrow(axis, (x + 0.12, middle), (to_x - 0.12, middle))
    axis.text(3.5, middle + 0.1, "draw", ha="center", va="bottom", fontsize=6)
    for x, text in ((1.7, "encoder"), (5.3, "decoder")):
        axis.text(x, 2.92, text, ha="center", va="top", fontsize=7, weight="bold")
    arrow(axis, (6.72, middle), (7.08, middle))
    bounds = "\n$\\log\\sigma_t$ a line\nthrough knots,\n$|m_t| \\leq c\\,\\sigma_t$"
    text = f"$m_t,\\ \\sigma_t$ of\neach day:{bounds}" if knots else "$m_t$ of each\nday, $\\sigma_t = 0$"
    box(axis, 7.63, middle, text, width=1.05, height=1.15 if knots else 0.6, colour=DATA)
    if cond_dim:
        for x, to_x in ((0.4, 1.3), (4.0, 4.9)):
            box(axis, x, 0.32, f"log VIX, {cond_dim}", width=0.75, height=0.26, colour=DATA)
            arrow(axis, (x + 0.38, 0.36), (to_x - 0.1, 0.95))
    return figure


@styled("")
def denoiser_network(*, latent_dim: int, hidden: int, blocks: int, time_features: int, cond_dim: int) -> Figure:
    """The network that predicts v: columns of numbers along the middle, what it is told of level and VIX below.

    cond_dim : numbers that say the VIX, 0 for an unconditional model
    """
    figure, axis = sheet(8.2, 3.0, inches=2.4)
    middle, told = 1.9, 0.12
    inlet, outlet = (0.4, latent_dim, "noised $z_k$"), (7.8, latent_dim, "$\\hat v$")
    inner = [(1.3, hidden, "")] + [(2.6 + 4.2 * (n + 0.5) / blocks - 0.2, hidden, "") for n in range(blocks)]
    for x, size, text in (inlet, outlet):
        layer(axis, x, middle, size, text, colour=MARKED)
    layer(axis, *inner[0][:1], middle, hidden, "linear", colour=PAPER)
    width = 0.86 * 4.2 / blocks
    for x, *_ in inner[1:]:
        text = "norm, linear,\n+ context, SiLU,\nlinear, + input" if blocks <= 4 else "block"
        box(axis, x, middle, text, width=width, height=0.72)
        arrow(axis, (x, told + 0.36), (x, middle - 0.38))
    stops = [0.4, 1.3, *(x for x, *_ in inner[1:]), 7.8]
    halves = [0.12, 0.12, *[width / 2 + 0.02] * blocks, 0.12]
    for n in range(len(stops) - 1):
        arrow(axis, (stops[n] + halves[n], middle), (stops[n + 1] - halves[n + 1], middle))
    axis.text(4.5, 2.95, f"{blocks} residual blocks of {hidden}", ha="center", va="top", fontsize=7, weight="bold")
    box(axis, 4.5, told + 0.2, f"context, {hidden} numbers: the sum of what level and VIX say" if cond_dim
        else f"context, {hidden} numbers: what the level says", width=4.6, height=0.3, colour=DATA)  # fmt: skip
    box(axis, 0.75, told + 0.2, f"level $k/K$\n{time_features} sines, cosines", width=1.3, height=0.44, colour=DATA)
    arrow(axis, (1.42, told + 0.2), (2.18, told + 0.2), text="2 layers")
    if cond_dim:
        box(axis, 7.55, told + 0.2, "log VIX, or a\nlearned token", width=1.1, height=0.44, colour=DATA)
        arrow(axis, (6.98, told + 0.2), (6.82, told + 0.2))
    return figure


@styled("")
def timegan_networks(*, hidden: int, layers: int, noise_dim: int) -> Figure:
    """The five networks and the series that pass between them."""
    figure, axis = sheet(8.2, 2.9, inches=2.5)
    wide, high = 1.55, 0.56
    networks = {
        "embedder": (2.0, 2.35, layers, hidden),
        "recovery": (6.2, 2.35, layers, 1),
        "generator": (2.0, 0.75, layers, hidden),
        "supervisor": (4.1, 0.75, layers - 1, hidden),
        "discriminator": (6.2, 0.75, layers, 1),
    }
    for name, (x, y, depth, width) in networks.items():
        box(axis, x, y, f"{name}\n{depth} GRU layers of {hidden} → {width}", width=wide, height=high)
    for x, y, text in (
        (0.48, 2.35, "returns $x$"),
        (0.48, 0.75, f"noise, {noise_dim} a day"),
        (7.7, 2.57, "$\\tilde x$"),
        (7.7, 2.13, "new returns"),
        (7.7, 0.75, "real or made?"),
    ):
        box(axis, x, y, text, width=0.9, height=0.32, colour=DATA)
    half, top = wide / 2, 0.75 + high / 2
    arrow(axis, (0.93, 2.35), (2.0 - half, 2.35))
    arrow(axis, (2.0 + half, 2.35), (6.2 - half, 2.35), text="$h$")
    arrow(axis, (6.2 + half, 2.45), (7.25, 2.55))
    arrow(axis, (6.2 + half, 2.25), (7.25, 2.15))
    arrow(axis, (0.93, 0.75), (2.0 - half, 0.75))
    arrow(axis, (2.0 + half, 0.75), (4.1 - half, 0.75), text="$\\hat e$")
    arrow(axis, (4.1 + half, 0.75), (6.2 - half, 0.75), text="$\\hat h$")
    arrow(axis, (4.5, top), (5.9, 2.35 - high / 2))
    axis.text(5.62, 1.75, "$\\hat h$", fontsize=6.5, ha="left", va="center")
    arrow(axis, (2.0, 2.35 - high / 2), (3.7, top))
    axis.text(2.6, 1.5, "$h$", fontsize=6.5, ha="right", va="center")
    arrow(axis, (2.5, 2.35 - high / 2), (5.75, top))
    axis.text(4.0, 1.66, "$h$", fontsize=6.5, ha="left", va="bottom")
    arrow(axis, (2.0, 0.75 - high / 2), (6.2, 0.75 - high / 2), bend=0.12)
    axis.text(4.1, 0.3, "$\\hat e$", fontsize=6.5, ha="center", va="bottom")
    arrow(axis, (6.2 + half, 0.75), (7.25, 0.75))
    return figure
