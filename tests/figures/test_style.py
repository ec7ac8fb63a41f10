"""What every figure keeps: readable type, a caption, colours of one meaning, letters, and nothing of a reader's settings."""

import base64
import functools
import itertools
import re

import matplotlib as mpl

mpl.use("Agg")

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from nbconvert import HTMLExporter
from test_figures import DRAWN
from traitlets.config import Config

from chaoslib import figures
from chaoslib.figures import record, style

SMALLEST = 6.0  # points
UNLETTERED = {  # their rows and columns say what they hold
    "examples",
    "round_trips",
    "noise_levels",
    "latent_sources",
    "paths",
    "conditional_laws",
    "calm_to_wild",
    "gallery",
    "scorecard",
    "long_horizons",
}
TOGETHER = {  # models of one picture, where their curves cross
    "chapter 07": ["cond_vae_prior", "cond_ldm", "cond_ldm_normalised", "vix_scaled", "gjr_fhs"],
    "chapter 09": ["real_train", "gjr_fhs", "vae_prior", "timegan", "ldm_post"],
    "chapter 10": ["real_train", "block_bootstrap", "gjr_fhs", "vae_prior", "timegan", "ldm_post"],
    "chapter 11": ["cond_ldm", "cond_ldm_normalised", "vix_scaled", "gjr_fhs", "hs_500"],
}
PALETTES = {
    "models": style.COLOURS,
    "decoders": style.DECODER_COLOURS,
    "splits": style.SPLIT_COLOURS,
    "losses": style.LOSS_COLOURS,
}
HOSTILE = {  # what a reader's matplotlibrc may hold
    "text.usetex": True,
    "text.color": "red",
    "font.size": 30,
    "font.family": ["serif"],
    "axes.grid": True,
    "axes.facecolor": "black",
    "axes.labelsize": 30,
    "axes.titlelocation": "center",
    "axes.xmargin": 0.4,
    "axes.prop_cycle": mpl.cycler(color=["red"], linestyle=["--"]),
    "axes.formatter.use_locale": True,
    "figure.dpi": 33,
    "figure.facecolor": "red",
    "figure.figsize": (1, 1),
    "figure.autolayout": True,
    "figure.subplot.left": 0.5,
    "savefig.dpi": 33,
    "savefig.transparent": True,
    "savefig.bbox": "tight",
    "image.cmap": "jet",
    "image.origin": "lower",
    "legend.frameon": True,
    "legend.fontsize": 30,
    "lines.linewidth": 9,
    "lines.marker": "o",
    "patch.force_edgecolor": True,
    "hist.bins": 3,
    "path.simplify": False,
    "xtick.direction": "in",
    "xtick.labelsize": 30,
    "ytick.minor.visible": True,
    "timezone": "Pacific/Auckland",
}


@functools.cache
def drawn(name: str, width: float | None = None) -> Figure:
    """A figure as designed or of another width, laid out; tests only look at it."""
    with style.page(width):
        figure = DRAWN[name][0]()
    figure.draw_without_rendering()
    return figure


def panels(figure: Figure) -> list:
    return [axis for axis in figure.axes if axis.get_label() != "<colorbar>" and axis.axison]


def told(figure: Figure) -> list[Text]:
    """Every text that can be seen."""
    hidden = {text for axis in figure.axes if not axis.axison for text in (*axis.get_xticklabels(), *axis.get_yticklabels())}
    for axis in (each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        places = [*zip(axis.get_ticklocs(), axis.get_major_ticks(), strict=False)]
        places += zip(axis.get_ticklocs(minor=True), axis.get_minor_ticks(), strict=False)
        far = [tick for place, tick in places if not low <= place <= high] if axis.axes.axison else []
        hidden |= {label for tick in far for label in (tick.label1, tick.label2)}
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in shown if text not in hidden]


def lab(colour: str, *, deuteranopia: bool = False) -> np.ndarray:
    """CIE L*a*b* of a colour, as seen by a reader without green cones (Machado et al. 2009) if asked."""
    value = np.array(to_rgb(colour))
    value = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    if deuteranopia:
        blind = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
        value = np.clip(blind @ value, 0, 1)
    xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]] @ value
    xyz = xyz / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, **eyes: bool) -> float:
    return float(np.linalg.norm(lab(one, **eyes) - lab(other, **eyes)))


@pytest.mark.parametrize("name", DRAWN)
def test_type_can_be_read_in_print(name):
    small = {text.get_text(): text.get_fontsize() for text in told(drawn(name)) if text.get_fontsize() < SMALLEST}
    assert not small


@pytest.mark.parametrize("width", [None, style.ONE_COLUMN], ids=["designed", "narrow"])
@pytest.mark.parametrize("name", DRAWN)
def test_no_word_is_cut_off_by_the_page(name, width):
    figure = drawn(name, width)
    page = figure.bbox.padded(1.0)  # pixel
    boxes = {text.get_text(): text.get_window_extent() for text in told(figure)}
    assert [word for word, box in boxes.items() if not (page.contains(*box.min) and page.contains(*box.max))] == []


@pytest.mark.parametrize("name", DRAWN)
def test_titles_do_not_run_into_one_another(name):
    figure = drawn(name)
    titles = [
        title for axis in figure.axes for title in (axis.title, axis._left_title, axis._right_title) if title.get_text()
    ]
    letters = [text for axis in panels(figure) for text in axis.texts if is_letter(text)]
    boxes = [(text.get_text(), text.get_window_extent()) for text in (*titles, *letters)]
    assert [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)] == []


@pytest.mark.parametrize("name", DRAWN)
def test_a_caption_says_in_a_few_sentences_what_is_drawn_of_which_seed_and_market(name):
    figure = DRAWN[name][0]()
    plain = figure.caption
    words = re.sub(r"\$[^$]*\$|`[^`]*`", "", plain)
    assert plain and not re.search(r"[{}]", words)
    assert "  " not in plain and plain.endswith(".")
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z∞`$(\d])", plain)
    told_of_panels = [each for each in sentences if re.match(r"\([a-z]\)", each)]
    told_of_seeds = [each for each in sentences if re.search(r"\b(one|all) seeds?\.$", each)]
    assert len(sentences) - len(told_of_seeds) >= 2
    assert len(sentences) - len(told_of_seeds) - len(told_of_panels) <= 4
    assert len(plain.split()) <= 120
    figure.about = {"dataset": "nasdaq_logret", "seeds": [3, 5]}
    is_diagram = DRAWN[name][0]().drawn_by in vars(figures.diagrams)
    assert figure.caption.endswith(" Nasdaq Composite.") != is_diagram
    assert not re.search(r"\bseeds? (0|one)\b", figure.caption)
    if "{seed}" in figure.template:
        assert "seed 3" in figure.caption
    if "{seeds}" in figure.template:
        assert "seeds 3 and 5" in figure.caption
    figure.about = {"dataset": "my_history", "seeds": [3], "settings": ", quick settings"}
    assert figure.caption.endswith(" my_history, quick settings.") != is_diagram


def test_a_figure_without_a_caption_says_nothing():
    assert style.CaptionedFigure().caption == ""


def test_no_colour_has_two_meanings():
    for (one, first), (two, second) in itertools.combinations(PALETTES.items(), 2):
        near = {(one, a, two, b) for a, b in itertools.product(first, second) if apart(first[a], second[b]) < 10}
        assert not near


@pytest.mark.parametrize("names", TOGETHER.values(), ids=TOGETHER)
def test_models_of_one_picture_are_told_apart_by_colour(names):
    assert {pair for pair in itertools.combinations(names, 2) if apart(*map(style.COLOURS.get, pair)) < 20} == set()


@pytest.mark.parametrize(("palette", "least"), [("splits", 20), ("decoders", 14)])
def test_colour_blind_readers_tell_splits_and_decoders_apart(palette, least):
    for a, b in itertools.combinations(PALETTES[palette].values(), 2):
        assert apart(a, b, deuteranopia=True) >= least


def test_the_distance_of_colours_is_that_of_cie_1976():
    assert apart("white", "black") == pytest.approx(100, abs=0.01)
    np.testing.assert_allclose(lab("#ff0000"), [53.24, 80.09, 67.2], atol=0.05)
    assert apart("#c00000", "#606000") > 2 * apart("#c00000", "#606000", deuteranopia=True)


def as_png(figure: Figure) -> bytes:
    return base64.b64decode(figure.picture())


@pytest.mark.parametrize(
    "name", ["price_history", "split_overview", "headline", "scorecard", "latent_space", "fan", "sweep"]
)
def test_a_readers_own_settings_change_nothing(name, tmp_path):
    shown = as_png(figures.save(DRAWN[name][0](), tmp_path / "figures/plain"))
    with mpl.rc_context(HOSTILE):
        before = dict(mpl.rcParams)
        figure = figures.save(DRAWN[name][0](), tmp_path / "figures/hostile")
        assert as_png(figure) == shown
        assert dict(mpl.rcParams) == before
    for suffix in ("png", "pdf"):
        plain, hostile = (tmp_path / f"figures/{each}.{suffix}" for each in ("plain", "hostile"))
        assert plain.read_bytes() == hostile.read_bytes()


def test_settings_come_back_when_a_drawing_fails():
    before = dict(mpl.rcParams)
    with pytest.raises(ValueError, match="figure size"), style.page(-1.0):
        DRAWN["acf"][0]()
    assert dict(mpl.rcParams) == before


def is_letter(text: Text) -> bool:
    return text.get_weight() == "bold" and re.fullmatch("[a-z]", text.get_text()) is not None


@pytest.mark.parametrize("name", DRAWN)
def test_panels_are_lettered_in_the_order_in_which_they_are_read(name):
    figure = drawn(name)
    letters = [[text.get_text() for text in axis.texts if is_letter(text)] for axis in panels(figure)]
    if name in UNLETTERED or len(letters) < 2:
        assert not any(letters)
        return
    assert letters == [[letter] for letter in "abcdefghijklmnopqrstuvwxyz"[: len(letters)]]
    places = [axis.get_position() for axis in panels(figure)]
    assert places == sorted(places, key=lambda place: (-round(place.y1, 2), place.x0))
    named = re.findall(r"\(([a-z])[),;:]|\b([b-z])\b(?= (?:is|the|and|holds)\b)", figure.caption)
    assert {"".join(pair) for pair in named} <= {letter for (letter,) in letters}  # no panel is told that is not there


@pytest.fixture
def shell():
    """A notebook's Python, which writes no history."""
    settings = Config()
    settings.HistoryManager.enabled = False
    yield InteractiveShell.instance(config=settings)
    InteractiveShell.clear_instance()


@pytest.mark.usefixtures("shell")
def test_a_saved_figure_is_shown_with_its_caption_and_another_alone(tmp_path):
    figure = DRAWN["acf"][0]()
    with capture_output() as alone:
        figure._ipython_display_()
    (picture,) = alone.outputs
    assert set(picture.data) == {"image/png", "text/plain"} and "image/png" not in picture.metadata
    figures.save(figure, tmp_path / "figures/fig09_acf")
    with capture_output() as shown:
        figure._ipython_display_()
    picture, words = shown.outputs
    assert picture.metadata["image/png"]["alt"] == figure.caption
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
    assert words.data["text/markdown"] == f"`fig09_acf` {figure.caption}"


def test_a_page_made_of_a_notebook_describes_the_picture(tmp_path):
    figure = figures.save(DRAWN["acf"][0](), tmp_path / "figures/fig09_acf")
    made = [nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in figure.outputs()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("figure", outputs=made)])
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    (image,) = re.findall(r"<img[^>]*>", page)
    assert f'alt="{figure.caption}"' in image
    assert page.count(figure.caption.split(". ")[0].split("$")[0]) >= 2  # and once more below it


@pytest.mark.parametrize("name", DRAWN)
def test_a_legend_hides_no_data(name):
    figure = drawn(name)
    for axis in (axis for axis in figure.axes if axis.get_legend()):
        box = axis.get_legend().get_window_extent()
        for kind, artist, points, _ in record.shapes(axis):
            if kind in ("line", "point", "bar", "outline") and artist.get_visible():
                at = axis.transData.transform(np.asarray(points, dtype=float))
                at = at[np.isfinite(at).all(axis=1)]
                assert not box.count_contains(at), f"{kind} {artist.get_label()} under the legend"
                is_joined = kind in ("line", "outline") and artist.get_linestyle() not in ("None", "")
                if is_joined and len(at) > 1:
                    assert not Outline(at).intersects_bbox(box, filled=False), f"{artist.get_label()} crosses the legend"
                if kind == "bar":
                    assert not box.overlaps(artist.get_window_extent())


@pytest.mark.parametrize("name", DRAWN)
def test_a_legend_of_all_panels_touches_none(name):
    figure = drawn(name)
    for legend, axis in itertools.product(figure.legends, figure.axes):
        assert not legend.get_window_extent().overlaps(axis.get_tightbbox()), axis.get_title(loc="left")
