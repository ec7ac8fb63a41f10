"""What stands where: the pipeline with the reader's place in it, and the networks with their sizes."""

import itertools
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from chaoslib.figures.style import PAGE, TWO_COLUMNS, canvas, styled

INK, PAPER, MARKED, DATA = "#333333", "#F4F4F4", "#FFD166", "#DCE9F2"  # lines, networks and stages, the reader, arrays
# stage -> column and row in the map, what it is called, what it does
STAGES = {
    "01_data": (0, 1, "01 data", "closes, VIX"),
    "02_windows": (1, 1, "02 windows", "overlapping"),
    "03_vae": (2, 1, "03 VAE", "window → latents"),
    "04_probe": (3, 1, "04 probe", "a gate"),
    "05_latents": (4, 1, "05 latents", "what is learned"),
    "06_diffusion": (5, 1, "06 diffusion", "new latents → windows"),
    "07_conditional": (6, 1, "07 conditional", "at a given VIX"),
    "08_timegan": (2, 0, "08 TimeGAN", "adversarial rival"),
    "09_evaluation": (5, 0, "09 evaluation", "rivals, distances"),
    "10_scorecard": (6, 0, "10 scorecard", "how far is far?"),
    "11_stress_test": (7, 1, "11 stress test", "VaR, shortfall"),
}
SMALL = {"fontsize": 6, "ha": "center", "va": "center", "linespacing": 1.2}
NOTE = SMALL | {"fontsize": 6.5, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}  # on the line of an arrow
NEXT_TO = [("01", "02"), ("02", "03"), ("03", "04"), ("04", "05"), ("05", "06"), ("06", "07"), ("09", "10")]
NEXT_TO += [("02", "08"), ("08", "09"), ("06", "09"), ("07", "09")]  # 11 reads 06 over the head of 07
NARROW = 5.0  # inches of page on which a diagram runs from top to bottom instead of from left to right


def sheet(length: float, height: float, *, inches: float) -> tuple[Figure, Axes]:
    """One empty panel without axes for a diagram of `length` by `height` units, turned on a narrow page."""
    is_turned = (PAGE.get() or TWO_COLUMNS) < NARROW
    figure, (axis,) = canvas(1, 1, width=TWO_COLUMNS, height=5.6 if is_turned else inches)
    axis.set_axis_off()
    axis.set(xlim=(0, 4.2), ylim=(-length, 0)) if is_turned else axis.set(xlim=(0, length), ylim=(0, height))
    return figure, axis


def turned(axis: Axes) -> bool:
    """Whether a diagram runs from top to bottom."""
    return bool(axis.get_ylim()[0] < 0)


def at(axis: Axes, along: float, across: float) -> tuple[float, float]:
    """Where on the sheet a place of the diagram is: `along` its course and `across` it."""
    return (0.25 + 1.28 * across, -along) if turned(axis) else (along, across)


def heading(axis: Axes, along: float, text: str) -> None:
    """Bold text on the far side of the diagram, over a part of it."""
    axis.text(*at(axis, along, 2.88), text, rotation=270 if turned(axis) else 0, **SMALL | {"fontsize": 7, "weight": "bold"})


def box(axis: Axes, along: float, across: float, text: str, *, width: float, height: float, colour: str = PAPER) -> Patch:
    """A rounded box around its centre, with text in it."""
    x, y = at(axis, along, across)
    look = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": colour, "edgecolor": INK, "linewidth": 0.7}
    axis.text(x, y, text, **SMALL | {"fontsize": 6.5, "linespacing": 1.35})
    return axis.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, **look))


def layer(axis: Axes, along: float, across: float, size: int, text: str, *, colour: str) -> Patch:
    """A column of numbers as high as the root of their count, named on one side and counted on the other."""
    (x, y), half = at(axis, along, across), 0.055 * size**0.5
    reach = half + 0.06
    if turned(axis):
        wide, high, places = half, 0.1, [(x + reach, y, "left", "center"), (x - reach, y, "right", "center")]
    else:
        wide, high, places = 0.1, half, [(x, y + reach, "center", "bottom"), (x, y - reach, "center", "top")]
    for words, (to_x, to_y, ha, va) in zip((f"{size}", text), places, strict=True):
        axis.text(to_x, to_y, words, ha=ha, va=va, fontsize=6.5)
    look = {"facecolor": colour, "edgecolor": INK, "linewidth": 0.7}
    return axis.add_patch(Rectangle((x - wide, y - high), 2 * wide, 2 * high, **look))


def arrow(axis: Axes, start: Patch | tuple, end: Patch, *, text: str = "", bend: tuple[float, float] = (0.0, 0.0)) -> None:
    """An arrow from a box or a point to a box, with text on its middle; bend : as it runs to the right, and downwards."""
    look = {"arrowstyle": "-|>,head_length=0.35,head_width=0.18", "linewidth": 0.8, "color": INK, "shrinkA": 0, "shrinkB": 0}
    look |= {"patchA": start if isinstance(start, Patch) else None, "patchB": end}
    look["connectionstyle"] = f"arc3,rad={(rad := bend[turned(axis)])}"
    ends = np.array(
        [each.get_bbox().get_points().mean(axis=0) if isinstance(each, Patch) else each for each in (start, end)]
    )
    axis.annotate("", xy=ends[1], xytext=ends[0], arrowprops=look)
    inches = axis.figure.get_size_inches() / np.ptp([axis.get_xlim(), axis.get_ylim()], axis=1)  # a unit
    right, up = (ends[1] - ends[0]) * inches
    if text:
        axis.text(*ends.mean(axis=0) + 0.5 * rad * np.array([up, -right]) / inches, text, **NOTE)


@styled(
    """The chapters and what flows between them: windows of data feed the VAE, its latents feed the diffusion, and samples
    of all models meet in the evaluation.{marked}""",
    letters=False,
    market=False,
)
def pipeline_map(here: str = "") -> Figure:
    """The chapters and what flows between them; `here` is the stage to mark, such as "03_vae".

    Raises ValueError for a stage that there is not.
    """
    if here and here not in STAGES:
        raise ValueError(f"no stage {here!r}: use one of {', '.join(STAGES)}")
    figure, axis = sheet(8.0, 2.0, inches=1.7)
    figure.said["marked"] = " Yellow marks the chapter that is read." if here else ""
    boxes = {}
    for stage, (column, row, name, does) in STAGES.items():
        place = column + 0.5, 0.35 + 1.0 * row
        colour = MARKED if stage == here else PAPER
        boxes[stage[:2]] = box(axis, *place, "", width=0.9, height=0.56, colour=colour)
        x, y = at(axis, *place)
        axis.text(x, y + 0.16, name, weight="bold", **SMALL)
        axis.text(x, y - 0.08, textwrap.fill(does, 15), **SMALL)
    for before, after in NEXT_TO:
        arrow(axis, boxes[before], boxes[after])
    arrow(axis, boxes["06"], boxes["11"], bend=(-0.4, -0.65))
    if here:
        axis.text(*at(axis, 0.5, 0.35), "you are here", weight="bold", **SMALL, bbox={
            "boxstyle": "round,pad=0.3", "facecolor": MARKED, "edgecolor": INK, "linewidth": 0.7})  # fmt: skip
    return figure


@styled(
    r"""The autoencoder: the encoder turns a window $x$ into means $\mu$ and log-variances $\ell$ of the latents (yellow), a
    draw of which the decoder turns into the law of each day. A column is a layer, as high as the root of the count of
    numbers that stands beside it; blue columns and boxes are what goes in and comes out, grey ones are hidden layers
    with the nonlinearity that follows them.""",
    letters=False,
    market=False,
)
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
    layers = [layer(axis, along, middle, size, text, colour=colour) for along, size, text, colour in columns]
    bounds = "\n$\\log\\sigma_t$ a line\nthrough knots,\n$|m_t| \\leq c\\,\\sigma_t$"
    text = f"$m_t,\\ \\sigma_t$ of\neach day:{bounds}" if knots else "$m_t$ of each\nday, $\\sigma_t = 0$"
    layers.append(box(axis, 7.6, middle, text, width=1.1, height=1.15 if knots else 0.6, colour=DATA))
    for number, (before, after) in enumerate(itertools.pairwise(layers)):
        arrow(axis, before, after, text="draw" if number == 3 else "")
    for along, text in ((1.7, "encoder"), (5.3, "decoder")):
        heading(axis, along, text)
    for along, to in ((0.4, layers[1]), (4.0, layers[5])) if cond_dim else ():
        arrow(axis, box(axis, along, 0.32, f"log VIX, {cond_dim}", width=0.8, height=0.26, colour=DATA), to)
    return figure


@styled(
    """The denoiser, which predicts $v$ from a noised latent $z_k$ (both yellow) and its level $k$. A column is as high as
    the root of the count of numbers that stands beside it, grey boxes are layers, blue boxes are what the network is
    told. The context is added inside each block.""",
    letters=False,
    market=False,
)
def denoiser_network(*, latent_dim: int, hidden: int, blocks: int, time_features: int, cond_dim: int) -> Figure:
    """The network that predicts v: columns of numbers along the middle, what it is told of level and VIX below.

    cond_dim : numbers that say the VIX, 0 for an unconditional model
    """
    figure, axis = sheet(8.2, 3.0, inches=2.4)
    middle, told, pitch = 1.9, 0.32, 4.2 / blocks
    wide, high = (1.3, min(0.86 * pitch, 0.72)) if turned(axis) else (0.86 * pitch, 0.72)
    text = "norm, linear,\n+ context, SiLU,\nlinear, + input" if blocks <= 4 else "block"
    chain = [layer(axis, 0.4, middle, latent_dim, "noised $z_k$", colour=MARKED)]
    chain += [layer(axis, 1.3, middle, hidden, "linear", colour=PAPER)]
    chain += [box(axis, 2.4 + pitch * (n + 0.5), middle, text, width=wide, height=high) for n in range(blocks)]
    chain += [layer(axis, 7.8, middle, latent_dim, "$\\hat v$", colour=MARKED)]
    for before, after in itertools.pairwise(chain):
        arrow(axis, before, after)
    heading(axis, 4.5, f"{blocks} residual blocks of {hidden}")
    wide, high = (0.3, 4.6) if turned(axis) else (4.6, 0.3)
    context = box(axis, 4.5, told, "", width=wide, height=high, colour=DATA)
    text = f"context, {hidden} numbers: " + ("the sum of what level and VIX say" if cond_dim else "what the level says")
    axis.text(*at(axis, 4.5, told), text, rotation=270 if turned(axis) else 0, **NOTE | {"bbox": None})
    for n, block in enumerate(chain[2:-1]):
        arrow(axis, at(axis, 2.4 + pitch * (n + 0.5), told + 0.15), block)
    level = f"level $k/K$\n{time_features} sines, cosines"
    arrow(axis, box(axis, 0.75, told, level, width=1.3, height=0.44, colour=DATA), context)
    axis.text(*at(axis, 1.8, told), "2 layers", **NOTE)
    if cond_dim:
        arrow(axis, box(axis, 7.6, told, "log VIX, or a\nlearned token", width=1.1, height=0.44, colour=DATA), context)
    return figure


@styled(
    r"""The five networks of TimeGAN (grey) and the series that pass between them: latent days $h$ of real returns $x$, and
    generated ones before ($\hat e$) and after ($\hat h$) the supervisor. Embedder and recovery are an autoencoder of
    days; the generator is trained against the discriminator, which sees latent days and never returns. New returns take
    the way from noise through generator, supervisor and recovery.""",
    letters=False,
    market=False,
)
def timegan_networks(*, hidden: int, layers: int, noise_dim: int) -> Figure:
    """The five networks and the series that pass between them."""
    figure, axis = sheet(8.2, 2.9, inches=2.5)
    top, bottom = 2.35, 0.85
    networks = {
        "embedder": (2.0, top, layers, hidden),
        "recovery": (6.2, top, layers, 1),
        "generator": (2.0, bottom, layers, hidden),
        "supervisor": (4.1, bottom, layers - 1, hidden),
        "discriminator": (6.2, bottom, layers, 1),
    }
    boxes = {
        name: box(axis, along, across, f"{name}\n{depth} GRU layers of {hidden} → {width}", width=1.55, height=0.56)
        for name, (along, across, depth, width) in networks.items()
    }
    small = {"width": 0.94, "height": 0.32, "colour": DATA}
    arrow(axis, box(axis, 0.5, top, "returns $x$", **small), boxes["embedder"])
    arrow(axis, box(axis, 0.5, bottom, f"noise, {noise_dim} a day", **small), boxes["generator"])
    outcome = box(axis, 7.7, top, "$\\tilde x$, from $h$\nnew, from $\\hat h$", **small | {"height": 0.5})
    arrow(axis, boxes["recovery"], outcome)
    arrow(axis, boxes["discriminator"], box(axis, 7.7, bottom, "real or made?", **small))
    series = [("embedder", "recovery", "$h$"), ("embedder", "supervisor", "$h$"), ("embedder", "discriminator", "$h$")]
    series += [("generator", "supervisor", "$\\hat e$"), ("supervisor", "discriminator", "$\\hat h$")]
    for before, after, text in [*series, ("supervisor", "recovery", "$\\hat h$")]:
        arrow(axis, boxes[before], boxes[after], text=text)
    arrow(axis, boxes["generator"], boxes["discriminator"], text="$\\hat e$", bend=(0.17, 0.6))
    return figure
