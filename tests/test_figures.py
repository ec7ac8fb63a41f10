"""Every figure drawn from small synthetic arrays, and the files that a run makes of it."""

import inspect

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from chaoslib import figures, metrics, runs

MODELS = [
    "real_train",
    "iid_bootstrap",
    "block_bootstrap",
    "garch_t",
    "gjr_fhs",
    "vae_prior",
    "vae_stress",
    "timegan",
    "timegan_stress",
    "ldm_post",
    "ldm_mu",
]
HELPERS = {"canvas", "styled", "line_width", "density"}
GATE = {"std_ratio": (0.90, 1.10), "q01_ratio": (0.85, 1.15), "log_rv_sd_ratio": (0.85, 1.15)}
SPLITS = ("train", "val", "test")
VAES = ("03_vae.gaussian", "03_vae.mse_varmatch", "03_vae.mse")


def windows(seed: int, n: int = 80) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(-4.6, 0.4, size=(n, 1))) * rng.standard_normal((n, 50))


def history(*columns: str) -> pd.DataFrame:
    falling = {name: np.geomspace(2, 1 + number, 6) for number, name in enumerate(columns)}
    return pd.DataFrame({"epoch": np.arange(1, 7), **falling})


def prices(periods: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    date = pd.date_range("2000-01-03", periods=periods, freq="B")
    return pd.DataFrame({"date": date, "close": 100 * np.exp(np.cumsum(rng.normal(0, 0.01, periods))), "vix": 20.0})


def probe_rows() -> pd.DataFrame:
    rows = [
        {"vae": vae, "draw": draw, "decode": decode, "subset": subset, **dict.fromkeys(GATE, 0.7 + 0.1 * number)}
        for number, vae in enumerate(VAES)
        for draw in ("mu", "post", "prior")
        for decode in ("mean", "sampled")
        for subset in ("all", "vix_top5pct")
    ]
    return pd.DataFrame(rows)


def price_history() -> Figure:
    table = prices()
    returns = pd.DataFrame({"date": table["date"][1:], "log_return": np.diff(np.log(table["close"]))})
    return figures.price_history(table, returns, title="an index")


def split_overview() -> Figure:
    spans = dict(zip(SPLITS, (prices()[start : start + 100] for start in (0, 100, 200)), strict=True))
    return figures.split_overview(spans, {name: windows(seed) for seed, name in enumerate(SPLITS)})


def samples(*names: str) -> dict[str, np.ndarray]:
    return {name: windows(seed) for seed, name in enumerate(names)}


def latents(n: int = 200, dimensions: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dimensions))


SOME = ("real_train", "gjr_fhs", "ldm_post")
DRAWN = {  # figure -> (how a notebook calls it, axes, lines over all axes)
    "price_history": (price_history, 3, 4),
    "split_overview": (split_overview, 2, 6),
    "stress_share": (lambda: figures.stress_share({name: 10 + 30 * np.arange(9.0) for name in SPLITS}, [20, 30, 40]), 1, 0),
    "vae_history": (
        lambda: figures.vae_history(history("likelihood", "kl", "varmatch", "val_likelihood", "val_kl", "val_varmatch")),
        3,
        6,
    ),
    "decoded_windows": (lambda: figures.decoded_windows(windows(0, 3), windows(1, 3), np.full((3, 50), 0.01)), 3, 6),
    "latent_use": (lambda: figures.latent_use(np.linspace(0, 3, 6), latents()), 2, None),
    "probe": (
        lambda: figures.probe(probe_rows(), GATE, {n: metrics.realised_vol(windows(0)) for n in ("real", *VAES)}),
        2,
        5,
    ),
    "latent_space": (lambda: figures.latent_space(latents(), np.linspace(9, 82, 200), np.full((200, 6), 0.5)), 3, 0),
    "diffusion_training": (
        lambda: figures.diffusion_training(np.linspace(1, 0, 51), history("loss", "val_loss")),
        2,
        4,
    ),
    "latent_report": (
        lambda: figures.latent_report({name: latents(200 + k) for k, name in enumerate(("real", "prior", "made"))}),
        3,
        7,
    ),
    "paths": (lambda: figures.paths(samples(*MODELS), shown=5), 12, 55),
    "histogram": (lambda: figures.histogram(samples(*SOME)), 2, 0),
    "qq": (lambda: figures.qq(samples(*SOME)), 1, 3),
    "acf": (lambda: figures.acf(samples(*SOME), max_lag=12), 2, 8),
    "drawdowns": (lambda: figures.drawdowns(samples(*SOME)), 1, 3),
    "headline": (lambda: figures.headline(samples(*SOME)), 3, 18),
}


def test_every_figure_is_drawn_here():
    public = {name for name, value in vars(figures).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert public - HELPERS == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_complete(name):
    draw, n_axes, n_lines = DRAWN[name]
    before = mpl.rcParams["font.size"]
    figure = draw()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []  # a notebook would show an open one a second time
    assert mpl.rcParams["font.size"] == before
    assert figure.get_figwidth() in (3.4, 7.0)
    assert len(figure.axes) == n_axes
    assert n_lines is None or sum(len(axis.lines) for axis in figure.axes) == n_lines
    shown = [axis for axis in figure.axes if axis.axison]
    assert all(axis.has_data() for axis in shown)
    sup = [text.get_text() for text in figure.texts]
    for axis in shown:
        assert any([axis.get_xlabel(), axis.get_ylabel(), axis.get_title(loc="left"), axis.get_title()]), (
            f"{axis} says nothing"
        )
    named = [*sup, *(axis.get_xlabel() for axis in shown), *(axis.get_ylabel() for axis in shown)]
    assert sum(bool(text) for text in named) >= 2  # both directions have a meaning
    figure.canvas.draw()  # layout and text can be rendered


@pytest.mark.parametrize("name", ["histogram", "acf", "drawdowns", "headline"])
def test_models_keep_their_colour_and_label(name):
    figure = DRAWN[name][0]()
    (legend,) = [*figure.legends, *(axis.get_legend() for axis in figure.axes if axis.get_legend())]
    found = {
        text.get_text(): to_rgb(handle.get_edgecolor() if hasattr(handle, "get_edgecolor") else handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert found == {figures.LABELS[model]: to_rgb(figures.COLOURS[model]) for model in SOME}


def test_curves_show_the_numbers_of_the_metrics():
    given = samples(*SOME)
    _, right = figures.acf(given, max_lag=12).axes
    (axis,) = figures.drawdowns(given).axes
    for number, sample in enumerate(given.values()):
        np.testing.assert_allclose(right.lines[number].get_ydata(), metrics.pooled_acf(np.abs(sample), max_lag=12))
        shares, levels = axis.lines[number].get_ydata(), axis.lines[number].get_xdata()
        share = np.mean(100 * metrics.max_drawdown(sample) >= levels[10])
        assert shares[10] == pytest.approx(share)


def test_histogram_heights_are_densities():
    left, right = figures.histogram(samples(*SOME)).axes
    for axis in (left, right):
        for number, sample in enumerate(samples(*SOME).values()):
            heights, edges, _ = axis.patches[number].get_data()
            inside = np.mean((100 * sample >= edges[0]) & (100 * sample <= edges[-1]))
            assert np.nansum(heights * np.diff(edges)) == pytest.approx(inside)


def test_qq_of_a_sample_with_itself_is_the_diagonal():
    (axis,) = figures.qq({"real_train": windows(0), "ldm_post": windows(0)}).axes
    x, y = axis.lines[1].get_data()
    np.testing.assert_array_equal(x, y)


def test_every_model_has_a_label_and_a_colour_of_its_own():
    assert list(figures.COLOURS) == list(figures.LABELS) == MODELS
    assert len(set(figures.LABELS.values())) == len(MODELS)
    colours = np.array([to_rgb(colour) for colour in figures.COLOURS.values()])
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 9 * np.eye(len(MODELS))
    assert apart.min() > 0.15  # two shades that a reader can tell apart


@pytest.mark.parametrize("name", ["price_history", "latent_space", "headline"])
def test_saved_files_embed_their_fonts_and_repeat_byte_for_byte(name, tmp_path):
    run = runs.Run("09_evaluation", {"RUN_DIR": str(tmp_path)}, tmp_path)
    first, second = (run.figure(DRAWN[name][0](), f"{name}_{k}") for k in "ab")
    assert isinstance(first, Figure)
    assert first is not second
    saved = run.folder / "figures"
    assert sorted(path.name for path in saved.iterdir()) == sorted(f"{name}_{k}.{s}" for k in "ab" for s in ("pdf", "png"))
    for suffix in ("pdf", "png"):
        assert (saved / f"{name}_a.{suffix}").read_bytes() == (saved / f"{name}_b.{suffix}").read_bytes()
    pdf = (saved / f"{name}_a.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, embedded
    assert b"/Type3" not in pdf
    assert b"Date" not in pdf
    assert plt.get_fignums() == []
