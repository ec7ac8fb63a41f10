"""Every figure drawn from small synthetic arrays, and the files that a run makes of it."""

import inspect
import itertools
import json
import pkgutil
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.dates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from chaoslib import figures
from chaoslib.evaluation import metrics, scorecard, scoring
from chaoslib.figures.diagrams import MARKED, STAGES
from chaoslib.figures.verdict import GROUPS, METRIC_LABELS
from chaoslib.pipeline import runs

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
    "cond_vae_prior",
    "cond_ldm",
    "cond_ldm_normalised",
    "vix_scaled",
    "vix_kernel_bootstrap",
    "hs_500",
]
ANNUAL = 100 * np.sqrt(252)  # daily volatility as a fraction -> percent per year
GATE = {("std_ratio", "all"): (0.9, 1.1), ("q01_ratio", "all"): (0.85, 1.15), ("log_rv_sd_ratio", "all"): (0.85, 1.15)}
GATE["std_ratio", "vix_top5pct"] = (0.85, np.inf)
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
        {"vae": vae, "draw": draw, "decode": decode, "subset": subset, **{metric: 0.7 + 0.1 * number for metric, _ in GATE}}
        for number, vae in enumerate(VAES)
        for draw in ("mu", "post", "prior")
        for decode in ("mean", "sampled")
        for subset in ("all", "vix_top5pct")
    ]
    return pd.DataFrame(rows)


def round_trip_windows() -> tuple[dict, dict, dict]:
    """Two real windows, the means of a decoder with noise and of one without, and what they sample."""
    real = dict(zip(("calm", "wild"), windows(0)[:2], strict=True))
    mean = {"03_vae.gaussian": 0.1 * windows(1)[:2], "03_vae.mse": windows(2)[:2]}
    return real, mean, {"03_vae.gaussian": windows(3)[:2], "03_vae.mse": mean["03_vae.mse"]}


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


def at_vix(*levels: float, seed: int = 0, n: int = 80) -> dict[float, np.ndarray]:
    return {vix: vix / 20 * windows(seed + number, n) for number, vix in enumerate(levels)}


def calibration_rows() -> pd.DataFrame:
    """Two models at both anchors and one at the start alone; every std ratio is another number."""
    at_both = [(at, model) for at in ("end", "start") for model in ("cond_ldm", "vix_scaled")]
    rows = [
        {
            "vix_at": at,
            "model": model,
            "target_vix": vix,
            "std_ratio": 0.9 + 0.05 * number + 0.001 * vix,
            "n_episodes": 60 - vix,
        }
        for number, (at, model) in enumerate([*at_both, ("start", "gjr_fhs")])
        for vix in (12, 20, 40)
    ]
    return pd.DataFrame(rows)


def scored_forecasts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three equal forecasts of log volatility; the second outcome is in their middle, the third far beyond."""
    forecast = np.tile(np.log(0.01) + scoring.LEVELS - 0.5, (3, 1))
    return forecast, np.log(0.01) + np.array([0.2, 0.0, 1.5]), np.array([12.0, 17.0, 15.5])


def dial_rows() -> pd.DataFrame:
    columns = {f"volatility_{vix}": 0.0005 * vix * np.array([1.0, 1.1, 1.3]) for vix in (15, 20, 25, 30)}
    return pd.DataFrame({"guidance": [1.0, 2.0, 3.0], "coverage": [0.9, 0.8, 0.6], **columns})


def sweep_ratio(vix: float, w: float, temperature: float, scale: float) -> float:
    """A std ratio that tells every dial."""
    return scale * (0.5 + vix / 100 + w / 10) + temperature


def sweep_rows() -> pd.DataFrame:
    """Shuffled, so that order is the figure's work."""
    dials = list(itertools.product((15.0, 30.0), (1.0, 2.0, 3.0), (1.0, 1.4), (0.5, 1.0, 2.0)))
    rows = pd.DataFrame(dials, columns=["target_vix", "guidance", "temperature", "output_scale"])
    return rows.assign(std_ratio=[sweep_ratio(*each) for each in dials]).sample(frac=1, random_state=0)


CURVE_LEVELS = {"end": np.array([12.0, 20.0, 40.0, 70.0]), "start": np.array([12.0, 24.0, 50.0])}


CURVES = {"end": ("cond_ldm", "vix_scaled"), "start": ("cond_ldm", "cond_ldm_normalised", "vix_scaled")}


def curves_against_vix() -> tuple[dict, dict, dict]:
    """Curves of models, levels and real windows; 30 windows lie near a VIX of 20 and 29 near one of 40 or 24."""
    curves = {
        (model, at): np.log(0.0005 * CURVE_LEVELS[at])[:, None] + scoring.LEVELS + 0.1 * number
        for at, models in CURVES.items()
        for number, model in enumerate(models)
    }
    rng = np.random.default_rng(0)
    places = {"end": [20.0] * 30 + [40.0] * 29, "start": [24.0] * 29 + [50.0] * 40}
    real = {at: (np.array(vix), rng.uniform(0.005, 0.02, len(vix))) for at, vix in places.items()}
    return curves, CURVE_LEVELS, real


def timegan_rows() -> pd.DataFrame:
    """Three phases of six epochs; the joint one is checked at 2, 4 and 6, and 4 is the nearest that may be kept."""
    terms = {
        "autoencoder": ["reconstruction"],
        "supervised": ["supervised"],
        "joint": ["reconstruction", "adversarial", "adversarial_early", "supervised", "moments", "discriminator"],
    }
    rows = pd.concat([history(*names).assign(phase=phase) for phase, names in terms.items()], ignore_index=True)
    distances = {2: 0.9, 4: 0.3, 6: np.inf}
    return rows.assign(distance=rows["epoch"].map(distances).where(rows["phase"] == "joint"))


def knob_rows(*models: str) -> pd.DataFrame:
    """Every model has a spread, those of stress a knob of their own too; every quantile is another number."""
    own = {"timegan_stress": "noise_mean", "vae_stress": "mean_factor"}
    rows = [
        {"model": model, "knob": knob, "value": value, "q05": 0.001 * value + k, "q50": 0.004 + k, "q95": 0.02 * value + k}
        for k, model in enumerate(models)
        for knob, values in (("spread", (0.0, 1.0, 2.0)), (own.get(model), (-1.0, 0.0, 1.0)))
        for value in values
        if knob
    ]
    return pd.DataFrame(rows)


def two_regimes() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Models beside real windows of their own regime."""
    return {"ldm_post": (windows(0), windows(1)), "timegan_stress": (2 * windows(2, 50), 2 * windows(3, 70))}


def levels_of_noise() -> dict[str, object]:
    """Three levels of a schedule of two; the latent that is followed lies outside the cloud."""
    clouds = {k: latents() / (1 + k) for k in (0, 1, 2)}
    for cloud in clouds.values():
        cloud[7] = 5.0
    fans = {k: windows(k) for k in clouds}
    return {"clouds": clouds, "windows": fans, "alpha_bar": np.array([1, 0.36, 0]), "followed": 7, "pair": (1, 4)}


def three_sources() -> dict[str, np.ndarray]:
    return {"real": windows(0), "prior": 0.3 * windows(1, 60), "diffusion": windows(2)}


def scorecard_rows(*models: str) -> pd.DataFrame:
    """Every metric at 0.5, 1, 1.5 ... floor medians, the 95 % value at 2."""
    parts = []
    for model in models:
        ratio = 0.5 + 0.5 * np.arange(len(scorecard.METRICS)) % 3
        part = {"model": model, "metric": scorecard.METRICS, "ratio": ratio, "distance": 0.1 * ratio}
        parts.append(pd.DataFrame(part | {"floor_median": 0.1, "floor_p95": 0.2, "ci_low": 0.0, "ci_high": 0.3}))
    return pd.concat(parts, ignore_index=True)


FLOORS = ["std_ratio", "acf_abs_mae", "leverage"]


def copy_distances() -> pd.DataFrame:
    """Twenty copies, the farthest at 0.19, the ends of their bars inside the band of `scorecard_rows`."""
    return pd.DataFrame({name: np.linspace(0, 0.19, 20) for name in FLOORS})


DAYS = pd.bdate_range("2020-01-06", periods=60).to_numpy()


def loss_rows() -> pd.DataFrame:
    """Two seeds of one model and one of another, two portfolios; the last VIX is extrapolated."""
    seeds = [("cond_ldm_normalised", 0), ("cond_ldm_normalised", 1), ("gjr_fhs", 0)]
    rows = [
        {"model": model, "seed": seed, "portfolio": name, "target_vix": vix, "es_99": 0.001 * vix * (1 + k) + 0.01 * number}
        for number, (model, seed) in enumerate(seeds)
        for k, name in enumerate(("long", "vol_target"))
        for vix in (15, 40, 80)
    ]
    rows = pd.DataFrame(rows)
    return rows.assign(horizon_days=50, extrapolated=rows["target_vix"] == 80)


def card() -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Two models of unlike size, 20 days; every measure of risk is another number, between the ends of its interval."""
    values = {
        "cond_ldm": np.exp(np.cumsum(windows(0)[:, :20], axis=1)),
        "gjr_fhs": np.exp(np.cumsum(windows(1, 90)[:, :20], 1)),
    }
    rows = [{"model": model, "portfolio": "long", "target_vix": 30.0, "horizon_days": 20} for model in values]
    for k, row in enumerate(rows):
        for number, name in enumerate(("var_95", "es_95", "var_99", "es_99")):
            value = 0.05 + 0.04 * number + 0.01 * k
            row |= {name: value, f"{name}_low": value - 0.003, f"{name}_high": value + 0.006}
    return values, pd.DataFrame(rows)


def var_forecasts() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """60 outcomes, and the values at risk of two models; the days 3, 40 and 59 lie below both, 20 below the first."""
    outcome = 0.01 * np.random.default_rng(0).uniform(-1, 1, 60)
    outcome[[3, 40, 59]], outcome[20] = -0.05, -0.025
    return outcome, {"gjr_fhs": np.full(60, -0.02), "hs_500": np.linspace(-0.03, -0.04, 60)}


def happened() -> list[dict]:
    """Two episodes, the second of fewer days than the fan of 50."""
    returns = np.random.default_rng(4).normal(0, 0.02, (2, 50))
    first = {"name": "Sep 2008", "vix": 25.4, "split": "train", "log_returns": returns[0]}
    return [first, {"name": "Mar 2020", "vix": 61.6, "split": "test", "log_returns": returns[1][:20]}]


def fans() -> dict[str, np.ndarray]:
    return {"Mar 2020": 3 * windows(1), "Sep 2008": windows(0)}  # their order is not that of the episodes


def long_samples() -> dict[int, tuple[np.ndarray, np.ndarray]]:
    return {days: (windows_of(days, 0, 90), 1.3 * windows_of(days, 1, 120)) for days in (100, 250)}


def windows_of(days: int, seed: int, n: int) -> np.ndarray:
    return np.concatenate([windows(seed + 10 * k, n) for k in range(days // 50)], axis=1)


def loss_gaps() -> dict[int, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return {days: {name: rng.normal(0, 0.1, 61 - days) for name in ("cond_ldm", "vix_scaled")} for days in (1, 10)}


SOME = ("real_train", "gjr_fhs", "ldm_post")
UNDECIDED = {"discriminator": 1.9, "adversarial": 1.1}
DRAWN = {  # figure -> (how a notebook calls it, axes, lines over all axes)
    "pipeline_map": (lambda: figures.pipeline_map("03_vae"), 1, 0),
    "vae_network": (lambda: figures.vae_network(seq_len=50, latent_dim=16, hidden=256, knots=10, cond_dim=1), 1, 0),
    "denoiser_network": (
        lambda: figures.denoiser_network(latent_dim=16, hidden=256, blocks=3, time_features=64, cond_dim=1),
        1,
        0,
    ),
    "timegan_networks": (lambda: figures.timegan_networks(hidden=24, layers=3, noise_dim=1), 1, 0),
    "price_history": (price_history, 3, 4),
    "split_overview": (split_overview, 2, 6),
    "windows_sketch": (lambda: figures.windows_sketch(seq_len=50, train=0.7, val=0.15), 2, 5),
    "stress_share": (lambda: figures.stress_share({name: 10 + 30 * np.arange(9.0) for name in SPLITS}, [20, 30, 40]), 1, 0),
    "vae_history": (
        lambda: figures.vae_history(history("likelihood", "kl", "varmatch", "val_likelihood", "val_kl", "val_varmatch")),
        3,
        6,
    ),
    "examples": (lambda: figures.examples(windows(0, 3), windows(1, 3), windows(2, 3)), 9, 18),
    "decoded_windows": (lambda: figures.decoded_windows(windows(0, 3), windows(1, 3), np.full((3, 50), 0.01)), 3, 6),
    "latent_use": (lambda: figures.latent_use(np.linspace(0, 3, 6), latents()), 2, None),
    "probe": (
        lambda: figures.probe(probe_rows(), GATE, {n: metrics.realised_vol(windows(0)) for n in ("real", *VAES)}),
        2,
        11,
    ),
    "latent_space": (lambda: figures.latent_space(latents(), np.linspace(9, 82, 200), np.full((200, 6), 0.5)), 3, 0),
    "latent_tails": (lambda: figures.latent_tails(latents(), np.linspace(9, 82, 200)), 3, 3),
    "round_trips": (lambda: figures.round_trips(*round_trip_windows()), 6, 12),
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
    "noise_levels": (lambda: figures.noise_levels(**levels_of_noise()), 6, 3),
    "latent_sources": (lambda: figures.latent_sources(three_sources(), model="ldm_post", shown=5), 6, 24),
    "paths": (lambda: figures.paths(samples(*MODELS[:15]), beside={"ldm_post": windows(99)}, shown=5), 15, 77),
    "histogram": (lambda: figures.histogram(samples(*SOME)), 2, 6),
    "qq": (lambda: figures.qq(samples(*SOME)), 1, 3),
    "acf": (lambda: figures.acf(samples(*SOME), max_lag=12), 2, 8),
    "drawdowns": (lambda: figures.drawdowns(samples(*SOME)), 1, 3),
    "headline": (lambda: figures.headline(samples(*SOME)), 3, 13),
    "exceedances": (lambda: figures.exceedances(DAYS, *var_forecasts(), level=0.05), 2, 3),
    "fan": (lambda: figures.fan(at_vix(15, 20, 40), at_vix(15, 20, 40, seed=5), shown=5), 3, 18),
    "volatility_against_vix": (lambda: figures.volatility_against_vix(*curves_against_vix()), 2, 17),
    "calibration": (lambda: figures.calibration(calibration_rows()), 2, 7),
    "conditional_laws": (lambda: figures.conditional_laws(at_vix(15, 40), at_vix(15, 40, seed=5)), 4, 10),
    "crps_anatomy": (lambda: figures.crps_anatomy(*scored_forecasts()), 2, 4),
    "guidance_dial": (lambda: figures.guidance_dial(dial_rows()), 2, 6),
    "sweep": (lambda: figures.sweep(sweep_rows()), 2, 8),
    "timegan_history": (lambda: figures.timegan_history(timegan_rows(), undecided=UNDECIDED), 4, 12),
    "calm_to_wild": (lambda: figures.calm_to_wild(windows(0), windows(1, 50), model="timegan"), 6, 12),
    "mode_collapse": (lambda: figures.mode_collapse(windows(0), windows(1), windows(2), model="timegan", n=30), 2, 5),
    "stress_knobs": (lambda: figures.stress_knobs(knob_rows("timegan_stress", "vae_stress"), windows(0)), 3, 15),
    "gallery": (lambda: figures.gallery(two_regimes()), 8, 20),
    "scorecard": (lambda: figures.scorecard(scorecard_rows("gjr_fhs", "ldm_post")), 6, 0),
    "noise_floor": (lambda: figures.noise_floor(copy_distances(), scorecard_rows(*SOME[1:]), SOME[1:], shown=FLOORS), 3, 15),
    "forest": (lambda: figures.forest(scorecard_rows("gjr_fhs", "ldm_post"), ["gjr_fhs", "ldm_post"]), 2, 6),
    "stylised_facts": (
        lambda: figures.stylised_facts(samples(*SOME), {"acf_abs_mae": np.linspace(0, 0.3, 200).reshape(10, 20)}),
        4,
        15,
    ),
    "latent_map": (lambda: figures.latent_map(latents(), np.linspace(9, 82, 200), shown=100), 3, 0),
    "history_fans": (lambda: figures.history_fans(happened(), fans()), 2, 2),
    "long_horizons": (lambda: figures.long_horizons(long_samples()), 6, 12),
    "scenario_card": (lambda: figures.scenario_card(*card()), 3, 9),
    "losses_against_vix": (lambda: figures.losses_against_vix(loss_rows(), [0.1, 0.25]), 2, 8),
    "walk_forward": (lambda: figures.walk_forward(DAYS, loss_gaps()), 2, 6),
    "memorisation": (lambda: figures.memorisation(windows(0), samples("gjr_fhs", "ldm_post"), windows(3)), 1, 3),
}


def test_every_figure_is_drawn_here():
    public = {name for name, value in vars(figures).items() if inspect.isfunction(value)}
    assert public - {"save", "redraw"} == set(DRAWN)


def test_every_figure_of_a_module_is_public():
    modules = [getattr(figures, module.name) for module in pkgutil.iter_modules(figures.__path__)]
    wrapped = [value for module in modules for value in vars(module).values() if hasattr(value, "__wrapped__")]
    drawing = {each.__name__ for each in wrapped if each.__module__.startswith("chaoslib.figures.")}
    drawing -= {"page", "own_settings"}
    assert drawing | {"save", "redraw"} == {name for name, value in vars(figures).items() if inspect.isfunction(value)}


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
    dated = [isinstance(axis.xaxis.get_major_locator(), mpl.dates.DateLocator) for axis in shown]  # years need no label
    ticks = [text.get_text() for axis in shown for text in axis.get_yticklabels()]
    worded = any(text[:1].isalpha() for text in ticks)  # rows with names need no label
    assert not shown or sum(bool(text) for text in [*named, *dated, worded]) >= 2  # both directions have a meaning
    figure.draw_without_rendering()  # layout and text can be rendered


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
    for sample, memory, (levels, shares) in zip(
        given.values(), right.lines[1:], (line.get_data() for line in axis.lines), strict=True
    ):
        np.testing.assert_allclose(memory.get_ydata(), metrics.pooled_acf(np.abs(sample), max_lag=12))
        assert shares[10] == pytest.approx(np.mean(100 * metrics.max_drawdown(sample) > levels[10]))


def test_returns_without_memory_of_sign_stay_in_the_band():
    """The band is that of one history: of many with signs drawn by lot, nineteen in twenty lie inside, at every lag."""
    sizes = np.abs(windows(0, 200).ravel())
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(400, len(sizes)))
    histories = sizes * signs
    real = np.lib.stride_tricks.sliding_window_view(histories[0], 50)
    left, right = figures.acf({"real_train": real}, max_lag=5, days=len(sizes)).axes
    band = left.collections[0].get_paths()[0].vertices[:, 1].max()
    assert not right.collections
    first = [metrics.pooled_acf(each[None], max_lag=1)[0] for each in histories]
    assert np.mean(np.abs(first) < band) == pytest.approx(0.95, abs=0.04)
    (named, *_) = figures.acf({"real_train": real}, days=len(sizes)).legends[0].texts
    assert named.get_text() == "95 % with random signs"
    plain = figures.acf({"real_train": real})
    assert not plain.axes[0].collections and "band" not in plain.caption


def test_a_sketched_window_begins_on_every_day_and_stays_in_its_span():
    figure = figures.windows_sketch(seq_len=20, train=0.6, val=0.3)
    spans, one = figure.axes
    drawn = {text.get_text() for text in spans.texts}
    assert drawn == {"train\n60 %", "validation\n30 %", "test\n10 %", "a"}
    assert "$L$ = 20" in spans.get_xlabel()
    shades = [patch for patch in spans.patches if patch.get_height() == 1]  # a span, as high as the panel
    bars = [patch for patch in spans.patches if patch.get_height() != 1]
    length = round(bars[0].get_width())
    for shade in shades:
        inside = [bar for bar in bars if shade.get_x() <= bar.get_x() < shade.get_x() + shade.get_width()]
        starts = sorted(round(bar.get_x() - shade.get_x()) for bar in inside)
        assert starts == list(range(int(shade.get_width()) - length + 1))  # one a day, the last ends with the span
        apart = [bar for bar in inside if bar.get_alpha() == 1.0]
        assert len(apart) == shade.get_width() // length
    before, last = (line.get_xdata()[0] for line in one.lines[1:])
    assert last - before == length  # the VIX before the window and at its end


def test_volatility_of_spans_is_a_density_of_its_logarithm():
    _, volatility = split_overview().axes
    for line, seed in zip(volatility.lines, range(3), strict=True):
        percent, heights = line.get_data()
        grid = np.log10(percent / 100)
        assert np.sum(heights) * (grid[1] - grid[0]) == pytest.approx(1, abs=0.02)
        mean = metrics.log_rv(windows(seed)).mean() / np.log(10)
        assert np.sum(grid * heights) / np.sum(heights) == pytest.approx(mean, abs=0.02)
    assert volatility.get_ylabel() == "density (per factor of ten)"


def test_splits_have_their_colours_and_one_legend_off_the_data():
    figure = split_overview()
    assert legend_of(figure) == ["train", "validation", "test"]
    for axis in figure.axes:
        expected = [to_rgb(colour) for colour in figures.style.SPLIT_COLOURS.values()]
        assert [to_rgb(line.get_color()) for line in axis.lines] == expected
    assert [line.get_linestyle() for line in figure.axes[1].lines] == ["-", "--", "-"]
    vix = {name: 10 + 30 * np.arange(9.0) for name in SPLITS}
    stress = figures.stress_share(vix, [20, 30])
    assert legend_of(stress) == ["train", "validation", "test"]
    bars = [to_rgb(bars[0].get_facecolor()) for bars in stress.axes[0].containers]
    assert bars == [to_rgb(colour) for colour in figures.style.SPLIT_COLOURS.values()]


@pytest.mark.parametrize(
    ("title", "words", "unit"),
    [
        ("nasdaq_logret", "Nasdaq Composite: daily closes", "index points"),
        ("/a/mine.csv", "mine.csv: daily closes", "close"),
    ],
)
def test_a_history_names_the_index_or_the_file(title, words, unit):
    table = prices()
    returns = pd.DataFrame({"date": table["date"][1:], "log_return": np.diff(np.log(table["close"]))})
    top = figures.price_history(table, returns, title=title).axes[0]
    assert (top.get_title(loc="left"), top.get_ylabel()) == (words, unit)


def test_the_extreme_days_of_a_history_are_named():
    _, returns, _ = price_history().axes
    percent = returns.lines[0].get_ydata()
    *days, letter = returns.texts
    assert [text.xy[1] for text in days] == [percent.min(), percent.max()]
    assert f"{percent.max():+.1f} %" in days[1].get_text()
    assert letter.get_text() == "b"


def test_shares_in_stress_stand_with_their_episodes():
    vix = {name: 10 + 30 * np.arange(9.0) for name in SPLITS}
    episodes = {(name, level): 10 * k + level for k, name in enumerate(SPLITS) for level in (20, 100)}
    (axis,) = figures.stress_share(vix, [20, 100], episodes=episodes).axes
    assert [text.get_text() for text in axis.texts] == [f"{count}" for count in episodes.values()]
    assert "share no day" in axis.get_title(loc="left")  # what the numbers are
    assert [bar.get_height() for bar in axis.patches[:2]] == [pytest.approx(100 * 8 / 9), pytest.approx(100 * 6 / 9)]


def test_histogram_heights_are_densities_of_all_days():
    given = samples(*SOME)
    real = 100 * given["real_train"]
    centre, everything = figures.histogram(given).axes
    for axis, width in ((centre, 0.2), (everything, 1.0)):
        for line, sample in zip(axis.lines, given.values(), strict=True):
            edges, heights = line.get_data()
            np.testing.assert_allclose(np.diff(edges), width)
            assert np.sum(heights[:-1]) * width == pytest.approx(1)  # days beyond the axis count, too
            inside = (100 * sample >= edges[0]) & (100 * sample <= edges[-1])
            assert inside.all()
            np.testing.assert_allclose(heights[:-1] * width, np.histogram(100 * sample, edges)[0] / sample.size)
    assert centre.get_xlim() == pytest.approx((-3 * real.std(), 3 * real.std()))
    assert everything.get_xlim()[1] == pytest.approx(1.25 * np.abs(real).max())


def test_the_tail_of_losses_says_how_many_days_are_worse():
    given = samples(*SOME)
    _, losses, _ = figures.headline(given).axes
    for line, sample in zip(losses.lines, given.values(), strict=True):
        loss, share = line.get_data()
        for place in (20, 80, 140):
            assert share[place] == pytest.approx(100 * np.mean(-100 * sample > loss[place]), abs=100 / sample.size)
    assert losses.get_xlim()[0] == 0
    assert losses.get_xlim()[1] > max(line.get_xdata().max() for line in losses.lines)  # nothing is cut


def test_the_headline_shades_the_paths_of_real_windows():
    given = samples(*SOME)
    fan, _, _ = figures.headline(given).axes
    (shade,) = fan.collections
    for number, sample in enumerate(given.values()):
        edges = np.quantile(100 * np.cumsum(sample, axis=1), [0.05, 0.95], axis=0)
        for line, edge in zip(fan.lines[2 * number : 2 * number + 2], edges, strict=True):
            np.testing.assert_allclose(line.get_ydata(), edge)
            assert np.isclose(shade.get_paths()[0].vertices[:, 1], edge[24]).any() == (number == 0)


def test_paths_stand_beside_the_real_windows_that_a_model_should_resemble():
    given, stress = samples("real_train", "vae_stress"), 2 * windows(7)
    axes = figures.paths(given, beside={"real_train": given["real_train"], "vae_stress": stress}, shown=5).axes
    for axis, sample, real in zip(axes, given.values(), (given["real_train"], stress), strict=True):
        *drawn, low, high = axis.lines
        known = 100 * np.cumsum(sample, axis=1)
        found = [int(np.flatnonzero(np.isclose(known, path.get_ydata()).all(axis=1)).item()) for path in drawn]
        assert len(set(found)) == 5  # each drawn once
        np.testing.assert_allclose(
            [low.get_ydata(), high.get_ydata()], np.quantile(100 * np.cumsum(real, axis=1), [0.05, 0.95], axis=0)
        )
        assert {low.get_linestyle(), high.get_linestyle()} == {"--"}


def test_one_wild_path_does_not_set_the_axis_of_all():
    given = samples(*MODELS[:11])
    given["garch_t"] = given["garch_t"].copy()
    given["garch_t"][0] -= 0.1
    (low, _) = figures.paths(given, shown=100).axes[0].get_ylim()
    assert -100 < low < 0


def test_qq_of_a_sample_with_itself_is_the_diagonal():
    (axis,) = figures.qq({"real_train": windows(0), "ldm_post": windows(0)}).axes
    x, y = axis.lines[1].get_data()
    np.testing.assert_array_equal(x, y)


def test_fan_shows_the_median_and_bands_of_the_generated_and_paths_of_the_real():
    generated, real = at_vix(15, 40), at_vix(15, 40, seed=5, n=7)
    for axis, vix in zip(figures.fan(generated, real, shown=5).axes, generated, strict=True):
        levels = 100 * np.cumsum(generated[vix], axis=1)
        *paths, median = axis.lines
        assert median.get_label() == "generated median"
        np.testing.assert_allclose(median.get_ydata(), np.median(levels, axis=0))
        np.testing.assert_array_equal(median.get_xdata(), np.arange(1, 51))
        for band, (low, high) in zip(axis.collections, ((0.01, 0.99), (0.05, 0.95), (0.25, 0.75)), strict=True):
            corners = band.get_paths()[0].vertices
            for edge in np.quantile(levels, [low, high], axis=0):
                assert np.isclose(corners[:, 1], edge[24]).any()
        known = 100 * np.cumsum(real[vix], axis=1)
        found = [int(np.flatnonzero(np.isclose(known, path.get_ydata()).all(axis=1)).item()) for path in paths]
        assert len(set(found)) == 5  # real ones, each drawn once
        assert axis.get_title(loc="left") == f"VIX {vix}\n5 of 7 real windows"  # what is drawn, of what there is


def test_a_fan_names_its_bands_as_dark_as_they_are_and_its_model_in_the_caption():
    figure = figures.fan(at_vix(15, 40), at_vix(15, 40, seed=5), shown=5, model="gjr_fhs")
    named = ["generated 1–99 %", "generated 5–95 %", "generated 25–75 %", "generated median", "real windows"]
    assert legend_of(figure) == named
    shades = [handle.get_alpha() for handle in figure.legends[0].legend_handles[:3]]
    assert shades == pytest.approx([0.15, 1 - 0.85 * 0.75, 1 - 0.85 * 0.75 * 0.65])
    assert '"GJR-FHS"' in figure.caption


@pytest.mark.parametrize("model", ["cond_ldm", "cond_ldm_normalised", "gjr_fhs"])
def test_a_fan_has_the_colour_of_its_model(model):
    given = at_vix(15), at_vix(15, seed=5)
    options = {} if model == "cond_ldm" else {"model": model}
    (axis,) = figures.fan(*given, shown=5, **options).axes
    *paths, median = axis.lines
    assert median.get_color() == figures.COLOURS[model]
    assert {to_rgb(band.get_facecolor()[0, :3]) for band in axis.collections} == {to_rgb(figures.COLOURS[model])}
    assert {path.get_color() for path in paths} == {"black"}


def test_a_fan_of_one_vix_shows_every_real_path_when_there_are_few():
    (axis,) = figures.fan(at_vix(30), at_vix(30, seed=5, n=3)).axes
    assert len(axis.lines) == 3 + 1


def test_volatility_curves_are_quantiles_per_year():
    curves, levels, real = curves_against_vix()
    for axis, at in zip(figures.volatility_against_vix(curves, levels, real).axes, ("end", "start"), strict=True):
        _, *rest = axis.lines
        assert len(rest) == 3 * len(CURVES[at])
        for k, model in enumerate(CURVES[at]):
            middle, low, high = rest[3 * k : 3 * k + 3]
            assert middle.get_color() == figures.COLOURS[model]
            for line, share in ((low, 0.05), (middle, 0.5), (high, 0.95)):
                np.testing.assert_array_equal(line.get_xdata(), levels[at])
                expected = ANNUAL * 0.0005 * levels[at] * np.exp(share + 0.1 * k)
                np.testing.assert_allclose(line.get_ydata(), expected)
        (points,) = (c for c in axis.collections if len(c.get_offsets()) == len(real[at][0]))
        np.testing.assert_allclose(points.get_offsets(), np.column_stack([real[at][0], ANNUAL * real[at][1]]))


def test_the_real_law_is_blank_where_few_windows_are_near():
    curves, levels, real = curves_against_vix()
    known = {"end": (1, 20), "start": (2, 50)}  # place and VIX of the only level with 30 windows
    for axis, (at, (place, level)) in zip(
        figures.volatility_against_vix(curves, levels, real).axes, known.items(), strict=True
    ):
        vix, volatility = real[at]
        low, middle, high = ANNUAL * np.quantile(volatility[vix == level], [0.05, 0.5, 0.95])
        expected = np.full(len(levels[at]), np.nan)
        expected[place] = middle
        np.testing.assert_allclose(axis.lines[0].get_ydata(), expected)
        corners = [path.vertices for band in axis.collections for path in band.get_paths() if len(path.vertices) == 5]
        (band,) = (corner for corner in corners if np.ptp(corner[:, 0]) == 0)  # a band of one level is upright
        assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((low, high))
        assert band[0, 0] == level


def test_volatility_names_points_band_and_dashes():
    figure = figures.volatility_against_vix(*curves_against_vix())
    assert {"a real window", "real windows: 5–95 %", "generated: 5 and 95 %"} < set(legend_of(figure))
    assert len(legend_of(figure)) == 4 + 3


@pytest.mark.parametrize("name", ["volatility_against_vix", "calibration", "losses_against_vix"])
def test_an_axis_of_the_vix_ends_where_its_data_do(name):
    axes = DRAWN[name][0]().axes
    drawn = np.concatenate([line.get_xdata() for axis in axes for line in axis.lines if len(line.get_xdata()) > 2])
    for axis in axes:
        low, high = axis.get_xlim()
        assert axis.get_xscale() == "log"
        assert 0.8 * drawn.min() < low and high < 1.25 * drawn.max()


def test_calibration_shows_the_std_ratios_of_each_anchor():
    rows = calibration_rows()
    for axis, at in zip(figures.calibration(rows).axes, ("end", "start"), strict=True):
        unity, *lines = axis.lines
        np.testing.assert_array_equal(unity.get_ydata(), [1, 1])
        (top,) = axis.child_axes
        counts = [label.get_text() for label in top.get_xticklabels()]
        assert dict(zip(top.get_xticks(), counts, strict=True)) == {12: "48", 20: "40", 40: "20"}
        assert not axis.patches  # no band that means nothing
        models = list(dict.fromkeys(rows[rows["vix_at"] == at]["model"]))
        assert [line.get_label() for line in lines] == [figures.LABELS[model] for model in models]
        for line, model in zip(lines, models, strict=True):
            expected = rows[(rows["vix_at"] == at) & (rows["model"] == model)]
            np.testing.assert_array_equal(line.get_xdata(), expected["target_vix"])
            np.testing.assert_array_equal(line.get_ydata(), expected["std_ratio"])
            assert line.get_color() == figures.COLOURS[model]


def test_conditional_laws_are_densities_and_memories():
    generated, real = at_vix(15, 40), at_vix(15, 40, seed=5)
    axes = figures.conditional_laws(generated, real).axes
    for top, bottom, vix in zip(axes[:2], axes[2:], generated, strict=True):
        assert top.get_title(loc="left") == f"VIX {vix}\n80 real windows"
        for steps, line, sample in zip(top.lines, bottom.lines, (real[vix], generated[vix]), strict=False):
            edges, heights = steps.get_data()
            expected, _ = np.histogram(100 * sample, bins=edges, density=True)
            np.testing.assert_allclose(heights[:-1], expected)
            assert steps.get_drawstyle() == "steps-post"
            np.testing.assert_allclose(line.get_ydata(), metrics.pooled_acf(np.abs(sample)))


def test_the_area_of_the_squared_gap_is_the_score():
    forecast, outcome, vix = scored_forecasts()
    panels = figures.crps_anatomy(forecast, outcome, vix).axes
    for axis, k, title in zip(panels, (1, 2), ("best", "worst"), strict=True):
        score = scoring.crps(forecast, outcome)[k]
        assert axis.get_title(loc="left") == f"{title} forecast, VIX before {vix[k]:.1f}: CRPS {score:.2f}"
        distribution, step = axis.lines
        grid = np.log(step.get_xdata() / ANNUAL)
        np.testing.assert_array_equal(step.get_ydata(), grid >= outcome[k])
        squared = (distribution.get_ydata() - step.get_ydata()) ** 2
        area = np.sum(squared[1:] * np.diff(grid))
        assert area == pytest.approx(score, abs=0.02)
        (band,) = axis.collections
        assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(squared.max())


def test_guidance_dial_shows_coverage_and_volatility_per_year():
    rows = dial_rows()
    left, right = figures.guidance_dial(rows).axes
    coverage, promised = left.lines
    np.testing.assert_allclose(coverage.get_ydata(), 100 * rows["coverage"])
    assert promised.get_ydata() == [90, 90]
    assert [line.get_label() for line in right.lines] == ["VIX 15", "VIX 20", "VIX 25", "VIX 30"]
    darker = [sum(to_rgb(line.get_color())) for line in right.lines]
    assert darker == sorted(darker, reverse=True)
    assert legend_of(figures.guidance_dial(rows))[:1] == ["90 %, right"]
    assert not any(axis.get_legend() for axis in (left, right))  # on no data
    assert all("%" in axis.get_ylabel() for axis in (left, right))
    for line, vix in zip(right.lines, (15, 20, 25, 30), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), rows["guidance"])
        np.testing.assert_allclose(line.get_ydata(), ANNUAL * rows[f"volatility_{vix}"])


def test_lines_of_the_sweep_hold_the_ratio_of_their_dials():
    figure = figures.sweep(sweep_rows())
    for panel, vix in zip(figure.axes, (15, 30), strict=True):
        assert panel.get_title(loc="left") == f"VIX {vix}"
        one, *lines = panel.lines
        assert one.get_ydata() == [1, 1]
        for line, w in zip(lines, (1, 2, 3), strict=True):
            temperatures = np.array([1.0, 1.4])
            assert line.get_label() == f"w = {w}"
            np.testing.assert_array_equal(line.get_xdata(), temperatures)
            np.testing.assert_allclose(line.get_ydata(), sweep_ratio(vix, w, temperatures, 0.5))
        assert [label.get_text() for label in panel.get_xticklabels()] == ["1", "1.4"]
        assert [text.get_text() for text in panel.texts] == ["ab"[vix == 30]]  # no numbers
    assert "The output scale is 0.5;" in figure.caption


def test_history_of_timegan_shows_each_phase_and_rings_the_state_that_is_kept():
    rows = timegan_rows()
    figure = figures.timegan_history(rows, undecided=UNDECIDED)
    alone, errors, verdicts, checks = figure.axes
    assert alone.get_title(loc="left") == "phases 1 and 2"
    shown = {
        alone: [("autoencoder", "reconstruction"), ("supervised", "supervised")],
        errors: [("joint", "reconstruction"), ("joint", "supervised"), ("joint", "moments")],
        verdicts: [("joint", "discriminator"), ("joint", "adversarial"), ("joint", "adversarial_early")],
    }
    for axis, series in shown.items():
        for line, (phase, name) in zip(axis.lines, series, strict=False):
            np.testing.assert_array_equal(line.get_xydata(), rows.loc[rows["phase"] == phase, ["epoch", name]])
            assert line.get_color() == figures.style.LOSS_COLOURS[name]
    assert [line.get_ydata()[0] for line in verdicts.lines[3:]] == list(UNDECIDED.values())
    for axis in (verdicts, checks):
        drawn = np.concatenate([line.get_ydata() for line in axis.lines])
        assert axis.get_ylim()[1] > drawn[np.isfinite(drawn)].max()
    distances, ring = checks.lines
    np.testing.assert_array_equal(distances.get_xydata(), [[2, 0.9], [4, 0.3], [6, np.inf]])
    np.testing.assert_array_equal(ring.get_xydata(), [[4, 0.3]])
    named = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in figure.axes]
    assert named[0] == ["reconstruction", "supervisor"] == named[1][:2]
    assert named[2][-1] == "undecided" and len(named[2]) == 4
    assert named[3] == ["at a check", "kept"]


@pytest.mark.parametrize("name", ["timegan_history", "mode_collapse"])
@pytest.mark.parametrize("width", [None, 3.4])
def test_legends_of_single_panels_lie_below_everything_in_them(name, width):
    with figures.style.page(width):
        figure = DRAWN[name][0]()
    figure.draw_without_rendering()
    for axis in figure.axes:
        legend = axis.get_legend().get_window_extent()
        assert legend.y1 < axis.xaxis.label.get_window_extent().y0
        assert not any(legend.overlaps(other.bbox) for other in figure.axes)


def test_a_calm_a_typical_and_a_wild_window_are_those_of_their_own_sample():
    real, fake = windows(0, 101), 3 * windows(1, 41)
    axes = np.reshape(figures.calm_to_wild(real, fake, model="timegan").axes, (2, 3))
    for row, sample, colour in zip(axes, (real, fake), ("black", figures.COLOURS["timegan"]), strict=True):
        ordered = sample[np.argsort(metrics.realised_vol(sample))]
        for axis, share in zip(row, (0.05, 0.5, 0.95), strict=True):
            _, path = axis.lines
            np.testing.assert_allclose(path.get_ydata(), 100 * ordered[round(share * (len(sample) - 1))])
            assert path.get_color() == colour
            volatility = 100 * np.sqrt(np.mean((path.get_ydata() / 100) ** 2))
            assert axis.get_title(loc="left").endswith(f": {volatility:.2f} %")
    assert len({axis.get_ylim() for axis in axes.ravel()}) == 1


def test_a_collapsed_sample_looks_collapsed():
    """Few windows over and over: no distance among themselves, while real ones keep theirs."""
    real, held_out, new = windows(0, 300), windows(1, 200), windows(2, 400)
    few = np.resize(new[:10], new.shape)
    for fake, collapsed in ((new, False), (few, True)):
        _, neighbours = figures.mode_collapse(real, held_out, fake, model="timegan", n=100).axes
        reality, to_train, to_others = (line.get_xdata()[1:] for line in neighbours.lines)  # the first step is from nowhere
        assert (len(reality), len(to_train), len(to_others)) == (200, 100, 100)
        assert (np.max(to_others) < 1e-6) == collapsed
        assert np.median(to_train) == pytest.approx(np.median(reality), rel=0.1)
        if not collapsed:
            assert np.median(to_others) == pytest.approx(np.median(reality), rel=0.05)
            assert np.min(to_others) > 0.1  # no window is its own neighbour
        assert [line.get_linestyle() for line in neighbours.lines] == ["-", "-", "--"]
        for line in neighbours.lines:
            count = len(line.get_xdata()) - 1
            np.testing.assert_allclose(line.get_ydata(), np.arange(count + 1) / count)
            assert (np.diff(line.get_xdata()[1:]) >= 0).all()


def test_mode_collapse_shows_distances_to_training_windows_and_their_volatility():
    real, held_out = windows(0, 90), windows(1, 60)
    volatility, _ = figures.mode_collapse(real, held_out, real, model="timegan", n=90).axes
    _, neighbours = figures.mode_collapse(real, held_out, np.concatenate([real, real]), model="timegan", n=90).axes
    reality, copies, _ = (line.get_xdata()[1:] for line in neighbours.lines)
    np.testing.assert_allclose(reality, np.sort(metrics.nearest_distances(real, held_out)))
    np.testing.assert_allclose(copies, 0, atol=1e-6)
    known, found = volatility.lines
    np.testing.assert_allclose(found.get_xydata(), known.get_xydata())
    assert [to_rgb(line.get_color()) for line in (known, found)] == [(0, 0, 0), to_rgb(figures.COLOURS["timegan"])]
    percent, heights = known.get_data()
    grid = np.log10(percent / 100)
    assert np.sum(heights) * (grid[1] - grid[0]) == pytest.approx(1, abs=0.1)  # per factor of ten
    assert np.sum(grid * heights) / np.sum(heights) == pytest.approx(np.log10(metrics.realised_vol(real)).mean(), abs=0.02)


def test_knobs_show_quantiles_in_percent_beside_real_ones():
    rows, real = knob_rows("timegan_stress", "vae_stress", "vae_prior"), windows(0)
    figure = figures.stress_knobs(rows, real)
    axes = figure.axes
    assert [axis.get_xlabel() for axis in axes] == ["stress scale × temperature", "noise mean", "mean factor"]
    assert [axis.get_title(loc="left") for axis in axes] == ["all models", "TimeGAN stress", "VAE stress"]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named[0] == "real training windows: median, 5–95 %"  # line and band
    assert named[1:4] == [figures.LABELS[name] for name in ("timegan_stress", "vae_stress", "vae_prior")]
    low, middle, high = 100 * np.quantile(metrics.realised_vol(real), [0.05, 0.5, 0.95])
    models = ["timegan_stress", "vae_stress", "vae_prior"], ["timegan_stress"], ["vae_stress"]
    for axis, knob, shown in zip(axes, ("spread", "noise_mean", "mean_factor"), models, strict=True):
        centre, *lines = axis.lines
        np.testing.assert_allclose(centre.get_ydata(), [middle, middle])
        (band,) = axis.patches
        assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((low, high))
        assert len(lines) == 3 * len(shown)
        for k, model in enumerate(shown):
            chosen = rows[(rows["model"] == model) & (rows["knob"] == knob)]
            for line, quantile in zip(lines[3 * k : 3 * k + 3], ("q50", "q05", "q95"), strict=True):
                np.testing.assert_array_equal(line.get_xdata(), chosen["value"])
                np.testing.assert_allclose(line.get_ydata(), 100 * chosen[quantile])
                assert line.get_color() == figures.COLOURS[model]
                assert line.get_linestyle() == ("-" if quantile == "q50" else "--")


def test_the_gallery_shows_each_model_beside_the_real_windows_of_its_regime():
    pairs = two_regimes()
    axes = np.reshape(figures.gallery(pairs).axes, (2, 4))
    for (name, (real, fake)), (days, losses, volatility, memory) in zip(pairs.items(), axes, strict=True):
        assert days.get_title(loc="left") == figures.LABELS[name]
        path, *seams = days.lines
        assert [seam.get_xdata()[0] for seam in seams] == [50.5, 100.5]
        ordered = 100 * fake[np.argsort(metrics.realised_vol(fake))]
        ranks = [round(share * (len(fake) - 1)) for share in (0.05, 0.5, 0.95)]
        np.testing.assert_allclose(path.get_ydata().reshape(3, 50), ordered[ranks])
        assert days.get_ylim()[0] <= path.get_ydata().min() and path.get_ydata().max() <= days.get_ylim()[1]
        for k, sample in enumerate((real, fake)):
            loss, share = losses.lines[k].get_data()
            assert share[50] == pytest.approx(100 * np.mean(-100 * sample > loss[50]), abs=100 / sample.size)
            assert loss.max() < losses.get_xlim()[1]
            percent, heights = volatility.lines[k].get_data()
            grid = np.log(percent / 100)
            assert np.sum(grid * heights) / np.sum(heights) == pytest.approx(metrics.log_rv(sample).mean(), abs=0.05)
            assert heights.max() < volatility.get_ylim()[1]  # no peak is cut
            np.testing.assert_allclose(memory.lines[k + 1].get_ydata(), metrics.pooled_acf(np.abs(sample)))
            colour = to_rgb("black" if k == 0 else figures.COLOURS[name])
            assert {to_rgb(axis.lines[k].get_color()) for axis in (losses, volatility)} == {colour}
            assert to_rgb(memory.lines[k + 1].get_color()) == colour
    assert len({axis.get_ylim() for axis in axes[:, 0]}) == 1


def test_a_gallery_of_one_model_is_one_row():
    assert len(figures.gallery({"vae_stress": (windows(0), windows(1))}).axes) == 4


def test_every_model_has_a_label_and_a_colour_of_its_own():
    assert list(figures.COLOURS) == list(figures.LABELS) == MODELS
    assert len(set(figures.LABELS.values())) == len(MODELS)
    colours = np.array([to_rgb(colour) for colour in figures.COLOURS.values()])
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 9 * np.eye(len(MODELS))
    assert apart.min() > 0.15  # two shades that a reader can tell apart


@pytest.mark.parametrize("name", ["price_history", "latent_space", "headline"])
def test_saved_files_embed_their_fonts_and_repeat_byte_for_byte(name, tmp_path):
    run = runs.Run("09_evaluation", {"RUN_DIR": str(tmp_path)}, tmp_path)
    first, second = (figures.save(DRAWN[name][0](), run.figure(f"{name}_{k}")) for k in "ab")
    run.save({})
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


def scorecard_cells(figure: Figure) -> dict[tuple[str, str], tuple[str, bool]]:
    """(metric, model) in the words of the figure -> what its cell says, and whether it has a frame."""
    cells = {}
    for axis in figure.axes[:-1]:
        rows = [text.get_text() for text in axis.get_yticklabels()]
        columns = [text.get_text().replace("\n", " ") for text in figure.axes[0].get_xticklabels()]
        frames = {(int(frame.get_y()), int(frame.get_x())) for frame in axis.patches}
        for text in axis.texts:
            column, row = (int(place) for place in text.get_position())
            cells[rows[row], columns[column]] = text.get_text(), (row, column) in frames
    return cells


def test_a_frame_marks_what_lies_outside_the_band():
    rows = scorecard_rows("gjr_fhs", "ldm_post")
    figure = figures.scorecard(rows)
    expected = {
        (METRIC_LABELS[row.metric], figures.LABELS[row.model]): (f"{row.distance / 0.2:.2f}", row.distance > 0.2)
        for row in rows.itertuples()
    }
    assert scorecard_cells(figure) == expected
    assert legend_of(figure) == ["outside the band of the copies"]


def test_a_heat_map_frames_distances_beyond_the_band():
    rows = scorecard_rows("ldm_post").assign(distance=0.2)
    for metric, distance in (("ks", 0.3), ("hill_lower", np.inf), ("hill_upper", 2.6)):
        rows.loc[rows["metric"] == metric, "distance"] = distance
    figure = figures.scorecard(rows)
    told = {metric: cell for (metric, _), cell in scorecard_cells(figure).items()}
    assert told["distribution of days, KS"] == ("1.50", True) and told["leverage"] == ("1.00", False)
    assert told["tail index, falls"] == ("∞", True) and told["tail index, gains"] == ("13", True)
    assert "∞ marks a sample" in figure.caption
    assert "∞" not in figures.scorecard(scorecard_rows("ldm_post")).caption


def test_numbers_of_the_heat_map_can_be_read_on_their_colour():
    """WCAG asks for a contrast of 4.5."""
    rows = scorecard_rows("ldm_post")
    rows["distance"] = np.linspace(0, 1.2, len(rows))
    figure = figures.scorecard(rows)
    figure.draw_without_rendering()
    for axis in figure.axes[:-1]:
        for text, fill in zip(axis.texts, axis.collections[0].get_facecolors(), strict=True):
            lightness = [
                np.dot(np.where((rgb := np.array(to_rgb(c))) <= 0.04, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), weights)
                for c, weights in ((fill, [0.2126, 0.7152, 0.0722]), (text.get_color(), [0.2126, 0.7152, 0.0722]))
            ]
            assert (max(lightness) + 0.05) / (min(lightness) + 0.05) >= 4.5, text.get_text()


def test_groups_of_the_scorecard_stand_under_their_names():
    figure = figures.scorecard(scorecard_rows("ldm_post"))
    firsts = {axis.get_title(loc="left"): axis.get_yticklabels()[0].get_text() for axis in figure.axes[:-1]}
    assert firsts == {about: METRIC_LABELS[name] for name, about in GROUPS.items()}


def test_a_forest_shows_distances_in_bands_interval_and_band():
    rows = scorecard_rows("ldm_post")
    far = rows["metric"].isin(["ks", "leverage"])
    rows.loc[far, "distance"] = [np.inf, 1e-9]
    figure = figures.forest(rows, ["ldm_post"])
    (low, high), lines = figure.axes[0].get_xlim(), [line for axis in figure.axes for line in axis.lines]
    shown = np.concatenate([line.get_xdata() for line in lines if line.get_marker() == "o"])
    order = [name for name in METRIC_LABELS if name in set(rows.loc[~far, "metric"])]
    np.testing.assert_allclose(shown, rows.set_index("metric")["distance"][order] / 0.2)
    ends = {line.get_marker(): line.get_xdata()[0] for line in lines if line.get_marker() in ("<", ">")}
    assert ends == {"<": low, ">": high}
    for axis in figure.axes:
        assert {bar.get_width() for bar in axis.patches} == {1.0}
        assert {x for line in axis.lines if line.get_marker() == "|" for x in line.get_xdata()} == {0.5}  # the median copy
        (intervals,) = axis.collections
        np.testing.assert_allclose(
            [path.vertices[:, 0] for path in intervals.get_paths()], [[0, 1.5]] * len(axis.get_yticks())
        )
    words = ["inside the band", "interval over histories", "median copy", "beyond the axis"]
    assert legend_of(figure) == [figures.LABELS["ldm_post"], *words]


def test_pins_of_a_noise_floor_stand_at_the_distances_of_the_models():
    rows = scorecard_rows("gjr_fhs", "ldm_post")
    for axis, name in zip(figures.noise_floor(copy_distances(), rows, ["ldm_post"], shown=FLOORS).axes, FLOORS, strict=True):
        median, stem, head = axis.lines
        distance = rows.set_index(["model", "metric"])["distance"]["ldm_post", name]
        assert list(median.get_xdata()) == [0.1, 0.1]
        assert set(stem.get_xdata()) == {head.get_xdata()[0]} == {distance}
        assert head.get_color() == figures.COLOURS["ldm_post"]
        bars, (band,) = axis.patches[:-1], axis.patches[-1:]
        assert band.get_zorder() < bars[0].get_zorder()  # else the bars would be darker inside
        assert sum(bar.get_height() for bar in bars) == 20
        assert band.get_bbox().x1 == 0.2
        assert axis.get_title(loc="left") == METRIC_LABELS[name]


def test_a_model_beyond_the_axis_of_a_noise_floor_is_an_arrow_with_its_distance():
    rows = scorecard_rows("ldm_post").assign(distance=7.0)
    axis = figures.noise_floor(copy_distances(), rows, ["ldm_post"], shown=FLOORS).axes[0]
    assert axis.get_xlim()[1] == pytest.approx(1.06 * 0.8)  # four bands
    (arrow,) = [line for line in axis.lines if line.get_marker() == ">"]
    assert arrow.get_xdata()[0] < 0.85 and axis.texts[0].get_text() == "at 7"


def test_a_copy_stands_at_distance_zero():
    made = {"gjr_fhs": windows(0), "ldm_post": windows(1)}
    axis = figures.memorisation(windows(0), made, windows(3)).axes[0]
    ends = {line.get_label(): line.get_xdata()[-1] for line in axis.lines}
    assert ends[figures.LABELS["gjr_fhs"]] < 1e-3
    assert ends[figures.LABELS["ldm_post"]] > 0.5
    assert axis.get_legend() is None  # it is below, where no curve can be


def test_curves_far_from_the_real_ones_are_cut_and_the_title_says_so():
    band = {"acf_abs_mae": np.linspace(0, 0.3, 200).reshape(10, 20)}
    wild = np.where(np.arange(4000).reshape(80, 50) % 1009 == 0, 1.0, windows(1))
    figure = figures.stylised_facts({"real_train": windows(0), "timegan": wild}, band)
    *_, horizon = figure.axes
    real = np.abs(horizon.lines[0].get_ydata()).max()
    assert horizon.get_title(loc="left") == "kurtosis of sums (axis cut)"
    assert horizon.get_ylim()[1] == pytest.approx(3 * real)
    assert horizon.lines[1].get_ydata().max() > 3 * real
    alone = figures.stylised_facts({"real_train": windows(0)}, band)
    assert not any("cut" in axis.get_title(loc="left") for axis in alone.axes)
    assert legend_of(figure) == ["95 % of copies of history", *(figures.LABELS[n] for n in ("real_train", "timegan"))]


def test_points_of_a_map_of_latents_have_the_colour_of_their_vix():
    vix = np.linspace(9, 82, 200)
    for figure, count in ((figures.latent_map(latents(), vix, shown=100), 2),):
        for axis in figure.axes[:count]:
            (points,) = axis.collections
            np.testing.assert_allclose(points.get_array(), vix[np.linspace(0, 199, 100).astype(int)])
            assert points.get_cmap().name == figures.style.SEQUENTIAL
        assert figure.axes[-1].get_ylabel() == "VIX at the window's end (index points)"


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_the_card_of_a_question_shows_both_models_on_the_same_axes():
    values, risks = card()
    figure = figures.scenario_card(values, risks)
    fan, losses, measures = figure.axes
    assert fan.get_title(loc="left").endswith("VIX 30 before: long index")
    assert losses.get_title(loc="left").endswith("losses after 20 days")
    (legend,) = figure.legends
    named = {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}
    for model, each in values.items():
        assert to_rgb(named[f"{figures.LABELS[model]} (n = {len(each)})"].get_facecolor()) == to_rgb(figures.COLOURS[model])
        (middle,) = [line for line in fan.lines if line.get_label() == figures.LABELS[model]]
        np.testing.assert_allclose(middle.get_ydata()[1:], 100 * (np.median(each, axis=0) - 1))
        assert middle.get_ydata()[0] == 0
        bars = [patch for patch in losses.patches if to_rgb(patch.get_edgecolor()) == to_rgb(figures.COLOURS[model])]
        assert all(patch.get_data().values.sum() == pytest.approx(100) for patch in bars)  # no scenario is left out
        (points,) = [line for line in measures.lines if line.get_label() == figures.LABELS[model]]
        row = risks.set_index("model").loc[model]
        np.testing.assert_allclose(points.get_xdata(), 100 * row[["var_95", "es_95", "var_99", "es_99"]].astype(float))
    assert [text.get_text() for text in measures.get_yticklabels()] == ["VaR 95 %", "ES 95 %", "VaR 99 %", "ES 99 %"]
    assert "%" in fan.get_ylabel()
    assert all("% of value" in axis.get_xlabel() and "worse" in axis.get_xlabel() for axis in (losses, measures))


def test_the_card_shows_the_ends_of_every_interval():
    values, risks = card()
    measures = figures.scenario_card(values, risks).axes[2]
    found = [sorted(segment[:, 0]) for lines in measures.collections for segment in lines.get_segments()]
    names = ("var_95", "es_95", "var_99", "es_99")
    expected = [[100 * row[f"{name}_low"], 100 * row[f"{name}_high"]] for _, row in risks.iterrows() for name in names]
    np.testing.assert_allclose(found, expected)
    written = {text.get_text() for text in measures.texts}
    assert written >= {f"{100 * row[n]:.1f}" for _, row in risks.iterrows() for n in names}
    assert measures.get_xlim()[0] == 0  # from no loss at all


def test_the_caption_of_a_card_says_what_was_asked():
    caption = figures.scenario_card(*card()).caption
    for part in (figures.LABELS["cond_ldm"], "GJR-FHS", "(long index)", "over 20 days after a VIX of 30,", "one seed"):
        assert part in caption


def test_a_card_of_equal_losses_can_be_drawn():
    values, risks = card()
    figures.scenario_card({model: np.full_like(each, 0.9) for model, each in values.items()}, risks).draw_without_rendering()


def test_losses_are_drawn_against_the_vix_as_mean_and_range_of_seeds():
    rows = loss_rows()
    figure = figures.losses_against_vix(rows, [0.1, 0.25])
    assert "after 50 days" in figure.axes[0].get_ylabel()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["long index", "volatility target"]
    for axis, name in zip(figure.axes, ("long", "vol_target"), strict=True):
        *curves, low, high = axis.lines
        assert [limit.get_ydata() for limit in (low, high)] == [[10, 10], [25, 25]]
        for line, (model, group) in zip(curves, rows[rows["portfolio"] == name].groupby("model", sort=False), strict=True):
            assert line.get_linestyle() == ("-." if model == "gjr_fhs" else "-")
            assert line.get_color() == figures.COLOURS[model]
            mean = 100 * group.groupby("target_vix")["es_99"].mean()
            np.testing.assert_allclose(line.get_xydata(), mean.reset_index())
        seeds = rows[(rows["portfolio"] == name) & (rows["target_vix"] == 40) & (rows["model"] == "cond_ldm_normalised")]
        band = axis.collections[0].get_paths()[0].vertices
        np.testing.assert_allclose(sorted(band[np.isclose(band[:, 0], 40), 1]), 100 * seeds["es_99"])
        (beyond,) = axis.patches
        assert (beyond.get_x(), beyond.get_x() + beyond.get_width()) == (40, axis.get_xlim()[1])
    limits, beyond, seeds = "loss limits", "VIX beyond training", "range of seeds"
    named = [figures.LABELS["cond_ldm_normalised"], figures.LABELS["gjr_fhs"], limits]
    assert legend_of(figure) == [*named, beyond, seeds]  # a seed is no model, a limit is named once
    assert legend_of(figures.losses_against_vix(rows.assign(extrapolated=False), [0.1])) == [*named, seeds]
    assert legend_of(figures.losses_against_vix(rows[rows["seed"] == 0], [0.1])) == [*named, beyond]


def test_a_portfolio_of_which_all_models_say_the_same_is_named_and_not_drawn():
    rows = loss_rows()
    bounded = rows.assign(es_99=rows["es_99"].where(rows["portfolio"] == "long", 0.0005 * rows["target_vix"]))
    bounded["portfolio"] = bounded["portfolio"].replace("vol_target", "protective_put")
    figure = figures.losses_against_vix(bounded, [0.1])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["long index"]
    assert "on the protective put, which is not drawn" in figure.caption
    assert "not drawn" not in figures.losses_against_vix(rows, [0.1]).caption
    alone = bounded[bounded["model"] == "gjr_fhs"]  # nobody to agree with
    assert len(figures.losses_against_vix(alone, []).axes) == 2
    assert len(figures.losses_against_vix(bounded[bounded["portfolio"] == "protective_put"], []).axes) == 1


def test_portfolios_under_each_other_keep_the_label_of_the_vix():
    with figures.style.page(3.4):
        figure = figures.losses_against_vix(loss_rows(), [])
    assert [axis.xaxis.label.get_visible() and axis.get_xlabel() for axis in figure.axes] == 2 * ["VIX before"]


def test_a_portfolio_without_a_label_keeps_its_name():
    rows = loss_rows().query("portfolio == 'long'").assign(portfolio="mine")
    (axis,) = figures.losses_against_vix(rows, []).axes
    assert axis.get_title(loc="left") == "mine"


def test_exceedances_mark_the_days_below_the_value_at_risk():
    outcome, forecasts = var_forecasts()
    figure = figures.exceedances(DAYS, outcome, forecasts, level=0.05)
    axis, strip = figure.axes
    assert axis.get_title(loc="left") == "value at risk at 5 %, 1 day ahead"
    assert "about 3 is right" in strip.get_title(loc="left") and "about 3 hits on these 60 days" in " ".join(
        figure.caption.split()
    )
    real, *lines = axis.lines
    np.testing.assert_allclose(real.get_ydata(), 100 * outcome)
    np.testing.assert_array_equal(real.get_xdata(), DAYS)
    assert legend_of(figure) == ["what followed", "GJR-FHS", "500-day history"]
    assert [label.get_text() for label in strip.get_yticklabels()] == ["4 hits", "3 hits"]
    days = {"gjr_fhs": [3, 20, 40, 59], "hs_500": [3, 40, 59]}
    for row, (line, ticks, (model, quantile)) in enumerate(zip(lines, strip.collections, forecasts.items(), strict=True)):
        np.testing.assert_allclose(line.get_ydata(), 100 * quantile)
        assert line.get_color() == figures.COLOURS[model]
        assert to_rgb(ticks.get_edgecolor()[0, :3]) == to_rgb(figures.COLOURS[model])
        places, height = np.asarray(ticks.get_offsets()).T
        np.testing.assert_allclose(places, mpl.dates.date2num(DAYS[days[model]]))
        assert set(height) == {row}


def test_a_model_that_is_never_exceeded_has_no_tick():
    _, strip = figures.exceedances(DAYS, np.zeros(60), {"gjr_fhs": np.full(60, -0.02)}, level=0.01).axes
    assert [len(ticks.get_offsets()) for ticks in strip.collections] == [0]
    assert [label.get_text() for label in strip.get_yticklabels()] == ["0 hits"]


def test_history_is_drawn_in_the_fan_of_its_own_name():
    figure = figures.history_fans(happened(), fans())
    colours = figures.style.SPLIT_COLOURS
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["Sep 2008\nVIX 25\ntrain", "Mar 2020\nVIX 62\ntest"]
    for axis, episode in zip(figure.axes, happened(), strict=True):
        (path,) = axis.lines
        days = len(episode["log_returns"])
        np.testing.assert_array_equal(path.get_xdata(), np.arange(1, days + 1))
        np.testing.assert_allclose(path.get_ydata(), 100 * np.cumsum(episode["log_returns"]))
        assert path.get_color() == colours[episode["split"]]
        levels = 100 * np.cumsum(fans()[episode["name"]], axis=1)
        for band, (low, high) in zip(axis.collections, ((0.01, 0.99), (0.05, 0.95), (0.25, 0.75)), strict=True):
            corners = band.get_paths()[0].vertices
            assert (corners[:, 0].min(), corners[:, 0].max()) == (1, 50)  # the whole fan, however short the path
            for edge in np.quantile(levels, [low, high], axis=0):
                assert np.isclose(corners[:, 1], edge[24]).any()
    bands = ["1–99 % of windows", "5–95 % of windows", "25–75 % of windows"]
    assert sorted(legend_of(figure)) == sorted([*bands, "what happened, train", "what happened, test"])
    (legend,) = figure.legends
    shades = [handle.get_alpha() for handle in legend.legend_handles[:3]]
    assert shades == pytest.approx([0.15, 1 - 0.85 * 0.75, 1 - 0.85 * 0.75 * 0.65])  # as dark as bands over one another


def test_long_horizons_show_the_laws_of_real_and_chained_windows():
    given = long_samples()
    figure = figures.long_horizons(given)
    axes = np.reshape(figure.axes, (2, 3))
    outcomes = [metrics.realised_vol, metrics.max_drawdown, lambda w: w.sum(axis=1)]
    labels = ["realised volatility (% per day)", "maximum drawdown (%)", "cumulative log-return (%)"]
    for row, (days, samples) in zip(axes, given.items(), strict=True):
        assert row[0].get_ylabel() == "density (per %)"
        assert [axis.get_title(loc="left") for axis in row] == 3 * [f"{days} days"]
        assert all(len(axis.get_yticks()) > 1 for axis in row)
        assert [axis.get_xlabel() for axis in row] == labels
        for axis, outcome in zip(row, outcomes, strict=True):
            colours = [figures.COLOURS["real_train"], figures.COLOURS["cond_ldm_normalised"]]
            assert [to_rgb(line.get_color()) for line in axis.lines] == [to_rgb(colour) for colour in colours]
            for line, sample in zip(axis.lines, samples, strict=True):
                grid, heights = line.get_data()
                assert np.sum(heights) * (grid[1] - grid[0]) == pytest.approx(1, abs=0.1)
                values = 100 * outcome(sample)
                assert np.sum(grid * heights) / np.sum(heights) == pytest.approx(values.mean(), abs=0.2 * values.std())
    assert legend_of(figure) == ["real (train)", "chained windows"]
    assert "over 100 and 250 days" in " ".join(figure.caption.split())


def test_walking_forward_shows_losses_added_up_over_the_days_of_their_forecasts():
    gaps = loss_gaps()
    figure = figures.walk_forward(DAYS, gaps)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["1 day ahead, 1 %", "10 days ahead, 1 %"]
    assert "falling is better" in figure.axes[0].get_ylabel()
    for axis, models in zip(figure.axes, gaps.values(), strict=True):
        zero, *lines = axis.lines
        assert list(zero.get_ydata()) == [0, 0]
        assert zero.get_color() == figures.COLOURS["gjr_fhs"]
        for line, (model, gap) in zip(lines, models.items(), strict=True):
            assert line.get_color() == figures.COLOURS[model]
            np.testing.assert_array_equal(line.get_xdata(), DAYS[: len(gap)])
            assert np.diff(line.get_ydata(), prepend=0) == pytest.approx(gap)
    assert legend_of(figure) == [figures.LABELS[name] for name in ("gjr_fhs", "cond_ldm", "vix_scaled")]


@pytest.mark.parametrize("name", DRAWN)
def test_the_data_of_a_figure_draw_it_again_byte_for_byte(name, tmp_path):
    figure = DRAWN[name][0]()
    figures.record.save_data(figure, tmp_path / "figdata/fig")
    again = figures.redraw(tmp_path / "figdata/fig")
    for each, to in ((figure, "first"), (again, "again")):
        figures.files.export(each, tmp_path / to / "fig", ("pdf",))
        figures.record.save_data(each, tmp_path / to / "fig")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_fits_a_narrow_page(name):
    designed = DRAWN[name][0]()
    with figures.style.page(3.4):
        figure = DRAWN[name][0]()
    assert figure.get_figwidth() == 3.4
    assert len(figure.axes) == len(designed.axes)
    assert sum(len(axis.lines) for axis in figure.axes) == sum(len(axis.lines) for axis in designed.axes)
    figure.draw_without_rendering()
    for legend in figure.legends:
        box = legend.get_window_extent().transformed(figure.transFigure.inverted())
        assert box.x0 > -0.01, "the legend is wider than the page"
        assert box.x1 < 1.01
    rows = [[axis.get_gridspec().nrows for axis in each.axes if axis.get_subplotspec()] for each in (figure, designed)]
    if set(rows[1]) == {1} and len(rows[1]) > 1:  # panels that stood side by side stand below each other
        assert min(rows[0]) > 1


def test_the_page_is_as_designed_again_afterwards():
    with pytest.raises(ValueError, match="figure size"), figures.style.page(-1.0):
        DRAWN["acf"][0]()
    assert DRAWN["acf"][0]().get_figwidth() == 7.0


def test_the_data_of_a_figure_are_what_is_seen(tmp_path):
    given = samples(*SOME)
    figures.save(figures.acf(given, max_lag=12), tmp_path / "figures/fig")
    rows = pd.read_csv(tmp_path / "figdata/fig.csv")
    for model, sample in given.items():
        shown = rows[(rows["panel"] == "2: sizes: autocorrelation of |r|") & (rows["series"] == figures.LABELS[model])]
        assert list(shown["x"]) == list(range(1, 13))
        np.testing.assert_allclose(shown["y"], metrics.pooled_acf(np.abs(sample), max_lag=12), rtol=1e-5)
        assert set(shown["colour"]) == {figures.COLOURS[model].lower()}


def test_data_of_bars_points_bands_and_maps_are_there(tmp_path):
    kinds = {"stress_share": "bar", "latent_space": "point", "fan": "band", "sweep": "line", "scorecard": "map"}
    for name, kind in kinds.items():
        figures.save(DRAWN[name][0](), tmp_path / f"figures/{name}")
        assert kind in set(pd.read_csv(tmp_path / f"figdata/{name}.csv")["kind"])
    bars = pd.read_csv(tmp_path / "figdata/stress_share.csv").query("kind == 'bar'")
    assert list(bars["series"].unique()) == ["train", "validation", "test"]
    assert set(bars["x"]) == {"≥ 20", "≥ 30", "≥ 40"}
    points = pd.read_csv(tmp_path / "figdata/sweep.csv").query("panel == '1: VIX 15' and series == 'w = 2'")
    ratio = [sweep_ratio(15.0, 2.0, temperature, 0.5) for temperature in (1.0, 1.4)]
    np.testing.assert_allclose(points[["x", "y"]].astype(float), np.column_stack([(1.0, 1.4), ratio]), rtol=1e-4)


@pytest.mark.parametrize("name", ["volatility_against_vix", "calibration", "crps_anatomy", "sweep", "losses_against_vix"])
def test_the_data_of_a_line_are_numbers_where_its_axis_has_labels_of_its_own(name, tmp_path):
    figure = figures.save(DRAWN[name][0](), tmp_path / "figures/fig")
    rows = pd.read_csv(tmp_path / "figdata/fig.csv").query("kind == 'line'")
    lines = [line for axis in figure.axes for line in axis.lines if np.ptp(line.get_ydata()) > 0]
    longest = max(lines, key=lambda line: len(line.get_xdata()))
    found = rows.groupby(["panel", "item"])["x"].apply(lambda x: np.array(x, dtype=float))
    assert any(len(x) == len(longest.get_xdata()) and np.allclose(x, longest.get_xdata()) for x in found)


def test_the_lines_of_a_panel_can_be_told_apart(tmp_path):
    """Paths of a fan share name and colour; quantiles of a headline do too."""
    figures.save(DRAWN["fan"][0](), tmp_path / "figures/fan")
    lines = pd.read_csv(tmp_path / "figdata/fan.csv").query("kind == 'line'")
    assert (lines.groupby(["panel", "item"]).size() == 50).all()
    assert (lines.groupby(["panel", "item"])["x"].apply(lambda x: x.is_monotonic_increasing)).all()
    figures.save(DRAWN["headline"][0](), tmp_path / "figures/headline")
    first = pd.read_csv(tmp_path / "figdata/headline.csv").query("panel == '1: paths: the central 90 %'")
    assert set(first.query("kind == 'line'").groupby("series")["item"].nunique()) == {2}
    assert len(set(first.query("kind == 'band'")["item"])) == 1


def test_hollow_points_have_the_colour_of_their_edge(tmp_path):
    figures.save(DRAWN["probe"][0](), tmp_path / "figures/probe")
    points = pd.read_csv(tmp_path / "figdata/probe.csv").query("kind == 'point'")
    assert points["colour"].nunique() == 3
    assert (points.groupby("colour")["item"].nunique() == 2).all()  # hollow and filled
    assert set(points["y"]) == {*(figures.PROBE_LABELS[metric] for metric, _ in GATE), "standard deviation, highest VIX"}
    figure = Figure()
    figure.subplots().scatter([1, 2], [3, 4], facecolor="white", edgecolor="#1F6F7A")
    assert set(figures.record.seen(figure)["colour"]) == {"#1f6f7a"}


def test_a_figure_of_ones_own_has_what_is_seen_alone(tmp_path):
    figure = Figure()
    figure.subplots().plot([1, 2, 3], label="mine")
    figures.save(figure, tmp_path / "figures/own")
    assert [path.name for path in (tmp_path / "figdata").iterdir()] == ["own.csv"]
    assert list(pd.read_csv(tmp_path / "figdata/own.csv")["series"]) == 3 * ["mine"]


def there_and_back(value):
    arrays: dict = {}
    described = figures.record.plain(value, "given", arrays)
    assert all(array.dtype != object for array in arrays.values())
    return figures.record.restored(json.loads(json.dumps(described)), arrays)


def test_every_kind_of_argument_comes_back_as_it_was():
    day = pd.Timestamp("2020-03-16")
    table = pd.DataFrame(
        {"a": [1, 2], "b": ["x", ""], "c": [0.1, np.nan], "d": [True, False], "e": [day, day]}, index=[3, 5]
    )
    given = {"t": table, 1.5: [None, "text", np.inf, 1, True], ("k", "end"): (np.arange(3), {"day": day})}
    back = there_and_back(given)
    pd.testing.assert_frame_equal(back["t"], table, check_dtype=False)
    assert back[1.5] == given[1.5]
    assert [type(each) for each in back[1.5]] == [type(each) for each in given[1.5]]
    numbers, inner = back["k", "end"]
    assert isinstance(back["k", "end"], tuple)
    assert np.array_equal(numbers, np.arange(3))
    assert inner["day"] == np.datetime64(day)


def test_names_that_are_alike_are_kept_apart():
    given = {("a_b", "c"): np.zeros(2), ("a", "b_c"): np.ones(2), 1: np.full(2, 2.0), "1": np.full(2, 3.0)}
    back = there_and_back(given)
    assert {key: value[0] for key, value in back.items()} == {("a_b", "c"): 0, ("a", "b_c"): 1, 1: 2, "1": 3}
    days = {np.datetime64("2020-01-01"): 1, np.datetime64("2021-01-01"): 2}
    assert there_and_back(days) == days


def test_numbers_keep_their_type_and_columns_their_blanks():
    for number in (np.float64(0.1), np.float32(0.1), np.int8(3), np.bool_(True)):
        assert type(there_and_back(number)) is type(number)
        assert there_and_back(number) == number
    back = there_and_back(pd.DataFrame({"a": pd.Series(["x", None, 1], dtype=object)}))
    assert list(back["a"]) == ["x", None, 1]


UNTOLD = [object(), {"f": print}, np.ma.masked_array([1], [True]), pd.DataFrame([[1]], columns=[0])]
UNTOLD += [pd.DataFrame([[1, 2]], columns=["a", "a"])]
UNTOLD += [pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)]))]


@pytest.mark.parametrize("value", UNTOLD, ids=range(len(UNTOLD)))
def test_what_would_not_come_back_is_refused(value):
    with pytest.raises(TypeError, match="given"):
        figures.record.plain(value, "given", {})


def test_days_and_names_of_an_axis_are_told(tmp_path):
    for name in ("price_history", "scorecard", "forest"):
        figures.save(DRAWN[name][0](), tmp_path / f"figures/{name}")
    days = pd.read_csv(tmp_path / "figdata/price_history.csv")["x"]
    assert list(days[:2]) == ["2000-01-03", "2000-01-04"]
    cells = pd.read_csv(tmp_path / "figdata/scorecard.csv").query("kind == 'map'")
    assert set(cells["x"]) == {figures.LABELS[name] for name in ("gjr_fhs", "ldm_post")}
    rows = scorecard_rows("gjr_fhs", "ldm_post").set_index(["model", "metric"])
    rows = rows["distance"] / rows["floor_p95"]  # in bands
    for cell in cells.itertuples():
        (metric,) = (key for key, label in METRIC_LABELS.items() if label == cell.y)
        (model,) = (key for key, label in figures.LABELS.items() if label == cell.x)
        assert cell.value == pytest.approx(rows[model, metric])
    assert "1 % quantile" in set(pd.read_csv(tmp_path / "figdata/forest.csv")["y"])


def test_a_figure_of_ones_own_under_an_old_name_leaves_no_old_data(tmp_path):
    figures.save(DRAWN["acf"][0](), tmp_path / "figures/fig")
    figures.save(Figure(), tmp_path / "figures/fig")
    assert [path.name for path in (tmp_path / "figdata").iterdir()] == ["fig.csv"]


def test_data_of_no_figure_of_this_package_are_refused(tmp_path):
    figures.save(DRAWN["acf"][0](), tmp_path / "figures/fig")
    path = tmp_path / "figdata/fig.json"
    for name in ("save", "absent"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"function": name}))
        with pytest.raises(ValueError, match=f"names {name}, which is no figure"):
            figures.redraw(tmp_path / "figdata/fig")


def test_fonts_are_those_that_matplotlib_brings():
    """Whatever the machine has installed under the same name."""
    for style in ("DejaVu Sans", "DejaVu Sans:bold", "DejaVu Serif", "DejaVu Sans Mono"):
        assert mpl.font_manager.findfont(style).startswith(mpl.get_data_path())


def test_a_round_trip_stands_beside_its_window_and_shows_noise_where_there_is_any():
    real, mean, sampled = round_trip_windows()
    figure = figures.round_trips(real, mean, sampled)
    first, gaussian, plain = figure.axes[:3]
    np.testing.assert_allclose(first.lines[0].get_ydata(), 100 * real["calm"])
    assert [len(axis.lines) for axis in (first, gaussian, plain)] == [1, 3, 2]  # no noise: its mean is not drawn twice
    np.testing.assert_allclose(gaussian.lines[1].get_ydata(), 100 * sampled["03_vae.gaussian"][0])
    np.testing.assert_allclose(gaussian.lines[2].get_ydata(), 100 * mean["03_vae.gaussian"][0])
    assert gaussian.lines[1].get_color() == figures.style.DECODER_COLOURS["gaussian"]
    assert f"sd {100 * sampled['03_vae.mse'][0].std():.1f} %" in plain.get_title(loc="left")
    assert [text.get_text() for text in figure.legends[0].texts][-1] == "its mean, without noise"


def test_tails_and_distance_of_latents_are_seen_against_a_normal():
    z = np.random.default_rng(4).standard_normal((4000, 6))
    z[:, 0] = np.random.default_rng(5).standard_t(5, 4000)
    z[:400] *= 0.1  # the calm windows crowd
    vix = np.concatenate([np.full(400, 10.0), np.full(3600, 30.0)])
    _, tails, distance = figures.latent_tails(z, vix).axes
    assert [bar.get_width() for bar in tails.patches] == sorted(scipy.stats.kurtosis(z))
    x, y = distance.lines[0].get_data()
    low, high = distance.patches[0].get_bbox().intervaly
    assert (x[0], x[-1]) == (10.0, 30.0)
    assert y[0] < low < y[-1] < high


def test_the_probe_shows_unseen_windows_as_crosses():
    unseen = pd.DataFrame({"vae": VAES, "std_ratio": 0.8, "q01_ratio": 0.9, "log_rv_sd_ratio": 1.2})
    volatility = {name: metrics.realised_vol(windows(0)) for name in ("real", *VAES)}
    figure = figures.probe(probe_rows(), GATE, volatility, unseen=unseen)
    left = figure.axes[0]
    crosses = [line for line in left.lines if line.get_marker() == "x"]
    assert [line.get_color() for line in crosses] == [figures.style.DECODER_COLOURS[name.split(".")[-1]] for name in VAES]
    for line in crosses:
        shown = line.get_xdata()
        np.testing.assert_allclose(shown[np.isfinite(shown)], [0.8, 0.9, 1.2])  # no subset of the highest VIX there
    marks = ["mean of decode($\\mu$), without noise", "sampled decode of a draw (the gate)", "the same, validation windows"]
    assert legend_of(figure)[:4] == [*marks, "allowed by the gate"]
    assert len(left.get_title(loc="left")) < 20 and not left.get_legend()


def test_the_probe_shows_every_value_and_every_bar_of_the_gate():
    rows = probe_rows()
    rows.loc[(rows["vae"] == VAES[0]) & (rows["draw"] == "mu"), "std_ratio"] = [2.5, 0.1, 2.5, 0.1]
    volatility = {name: metrics.realised_vol(windows(0)) for name in ("real", *VAES)}
    left = figures.probe(rows, GATE, volatility).axes[0]
    low, high = left.get_xlim()
    for line in left.lines:
        assert low < np.min(line.get_xdata()) and np.max(line.get_xdata()) < high  # no point is beyond the axis
    bars = [patch for patch in left.patches if patch.get_alpha()]
    assert [bar.get_x() for bar in bars] == [at for at, _ in GATE.values()]
    ends = [min(end, high) for _, end in GATE.values()]  # the last has no upper limit: it reaches the end
    assert [bar.get_x() + bar.get_width() for bar in bars] == pytest.approx(ends)


def test_a_probe_of_one_vae_puts_its_points_on_the_lines_of_the_criteria():
    rows = probe_rows().query("vae == @VAES[0]")
    left = figures.probe(rows, GATE, {name: metrics.realised_vol(windows(0)) for name in ("real", VAES[0])}).axes[0]
    assert [list(line.get_ydata()) for line in left.lines if line.get_marker() == "o"] == 2 * [list(range(len(GATE)))]


def test_the_first_component_of_latents_grows_with_the_vix():
    vix = np.linspace(9, 82, 200)
    for sign in (-1, 1):
        mu = latents()
        mu[:, :3] += sign * np.log(vix)[:, None]
        points = figures.latent_space(mu, vix, np.full((200, 6), 0.5)).axes[0].collections[0].get_offsets()
        assert np.corrcoef(points[:, 0], np.log(vix))[0, 1] > 0.3


def test_levels_of_noise_show_the_pair_and_the_latent_that_is_decoded():
    given = levels_of_noise()
    axes = figures.noise_levels(**given).axes
    assert [axis.get_title(loc="left") for axis in axes[:3]] == [
        "level k = 0\nsignal 1.00, noise 0.00",
        "level k = 1\nsignal 0.60, noise 0.80",
        "level k = 2\nsignal 0.00, noise 1.00",
    ]
    for above, below, level in zip(axes[:3], axes[3:], given["clouds"], strict=True):
        cloud, star = (np.asarray(points.get_offsets()) for points in above.collections)
        np.testing.assert_array_equal(cloud, given["clouds"][level][:, [1, 4]])
        np.testing.assert_array_equal(star, [[5.0, 5.0]])
        assert above.get_xlim()[1] > 5  # the star is inside
        returns = 100 * given["windows"][level]
        np.testing.assert_array_equal(below.lines[0].get_ydata(), returns[0])
        corners = below.collections[0].get_paths()[0].vertices
        for edge in np.quantile(returns, [0.05, 0.95], axis=0):
            assert np.isclose(corners[:, 1], edge[24]).any()


def test_levels_of_noise_say_which_way_they_go_and_show_their_latents_in_the_legend():
    given = levels_of_noise() | {"model": "cond_ldm"}
    back = given | {name: dict(reversed(given[name].items())) for name in ("clouds", "windows")}
    there, again = (figures.noise_levels(**each) for each in (given, back))
    assert "noise is added" in there.caption and "noise is added" not in again.caption
    assert "turns noise into latents" in again.caption
    dot, *_ = there.legends[0].legend_handles
    assert to_rgb(dot.get_color()) == to_rgb(figures.COLOURS["cond_ldm"])
    assert dot.get_alpha() is None  # as dark as a cloud of points, not as one of them
    assert [text.get_text() for text in there.legends[0].get_texts()][:2] == ["latents", "the one decoded below"]


@pytest.mark.parametrize(("model", "prior"), [("ldm_mu", "vae_prior"), ("cond_ldm", "cond_vae_prior")])
def test_sources_of_latents_show_windows_of_three_ranks_of_volatility(model, prior):
    given = three_sources()
    axes = figures.latent_sources(given, model=model, shown=5).axes
    for below, windows_of_one, colour in zip(
        axes[3:], given.values(), ("black", figures.COLOURS[prior], figures.COLOURS[model]), strict=True
    ):
        assert below.lines[0].get_color() == colour
        shown, spread = below.lines[0].get_ydata().reshape(3, 50), np.sort(100 * windows_of_one.std(axis=1))
        expected = spread[np.round(np.array([0.05, 0.5, 0.95]) * (len(spread) - 1)).astype(int)]
        np.testing.assert_allclose(shown.std(axis=1), expected)
        kinds = zip(("calm", "typical", "wild"), expected, strict=True)
        assert [text.get_text() for text in below.texts] == [f"{kind}\n{sd:.2f} %" for kind, sd in kinds]


def test_examples_put_a_window_beside_its_round_trip_and_the_prior_on_one_scale():
    kinds = [windows(seed, 3) for seed in range(3)]
    axes = figures.examples(*kinds, model="vae_stress").axes
    for column, returns in enumerate(kinds):
        for axis, values in zip(axes[column::3], returns, strict=True):
            np.testing.assert_allclose(axis.lines[1].get_ydata(), 100 * values)
            assert axis.get_title(loc="left").endswith(f": sd {100 * values.std():.2f} %")
    assert len({axis.get_ylim() for axis in axes}) == 1
    assert to_rgb(axes[2].lines[1].get_color()) == to_rgb(figures.COLOURS["vae_stress"])
    assert [axis.get_title(loc="left").split(":")[0] for axis in axes[3:]] == 3 * ["typical"] + 3 * ["wild"]


def test_decoded_windows_have_a_band_only_where_the_decoder_gives_a_sigma():
    real, mean, sigma = windows(0, 3), windows(1, 3), np.full((3, 50), 0.01)
    banded, bare = (figures.decoded_windows(real, mean, width).axes for width in (sigma, 0 * sigma))
    for axes in (banded, bare):
        assert [axis.get_title(loc="left") for axis in axes] == ["calm window", "typical window", "wild window"]
    teal = to_rgb(figures.style.DECODER_COLOURS["gaussian"])
    assert [to_rgb(axis.collections[0].get_facecolor()[0, :3]) for axis in banded] == 3 * [teal]
    assert [len(axis.collections) for axis in banded] == [1, 1, 1]
    assert not any(axis.collections for axis in bare)


def test_latents_are_shown_beside_the_middle_half_of_the_prior():
    _, right = figures.latent_use(np.linspace(0, 3, 6), latents()).axes
    (band,) = [patch for patch in right.patches if patch.get_alpha()]
    assert band.get_y() == pytest.approx(-0.6745, abs=1e-3)
    assert band.get_height() == pytest.approx(2 * 0.6745, abs=1e-3)


def texts(figure: Figure) -> str:
    return " | ".join(text.get_text() for axis in figure.axes for text in axis.texts)


def test_the_map_marks_one_stage_and_knows_every_chapter():
    chapters = sorted(path.stem for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
    assert sorted(STAGES) == chapters
    for stage in chapters:
        (axis,) = figures.pipeline_map(stage).axes
        marked = [patch for patch in axis.patches if to_rgb(patch.get_facecolor()) == to_rgb(MARKED)]
        (box,) = marked
        inside = [text.get_text() for text in axis.texts if box.get_bbox().contains(*text.get_position())]
        assert any(text.startswith(stage[:2]) for text in inside)
        assert "you are here" in texts(figures.pipeline_map(stage))
    assert "you are here" not in texts(figures.pipeline_map())
    with pytest.raises(ValueError, match="no stage '12_none'"):
        figures.pipeline_map("12_none")


DIAGRAMS = ("pipeline_map", "vae_network", "denoiser_network", "timegan_networks")


@pytest.mark.parametrize("width", [7.0, 3.4])
@pytest.mark.parametrize("name", DIAGRAMS)
def test_words_of_a_diagram_are_legible_and_stand_in_their_boxes(name, width):
    with figures.style.page(width):
        figure = DRAWN[name][0]()
    figure.draw_without_rendering()
    (axis,) = figure.axes
    page = figure.bbox.padded(1)
    boxes = [patch.get_window_extent() for patch in axis.patches if hasattr(patch, "get_boxstyle")]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    words = [text for text in axis.texts if text.get_text()]
    assert min(text.get_fontsize() for text in words) >= 6
    for text in words:
        extent = text.get_window_extent()
        assert page.containsx(extent.x0) and page.containsx(extent.x1), text.get_text()
        assert page.containsy(extent.y0) and page.containsy(extent.y1), text.get_text()
        for home in boxes:
            if home.contains(*(extent.min + extent.max) / 2):
                assert home.padded(1).containsx(extent.x0) and home.padded(1).containsx(extent.x1), text.get_text()
                assert home.padded(1).containsy(extent.y0) and home.padded(1).containsy(extent.y1), text.get_text()


def test_a_diagram_runs_downwards_on_a_narrow_page():
    courses = []
    for width in (7.0, 3.4):
        with figures.style.page(width):
            (axis,) = figures.pipeline_map().axes
        places = {text.get_text()[:2]: text.get_position() for text in axis.texts if text.get_text()[:1].isdigit()}
        courses.append(np.subtract(places["07"], places["01"]))
    (right, level), (aside, down) = courses
    assert right > 0 and level == 0
    assert aside == 0 and down < 0


def test_captions_of_diagrams_speak_of_a_mark_only_where_there_is_one():
    assert "Yellow marks" in figures.pipeline_map("03_vae").caption
    assert figures.pipeline_map().caption.endswith("in the evaluation.")


def test_networks_are_drawn_with_the_sizes_they_are_given():
    sizes = {"seq_len": 30, "latent_dim": 7, "hidden": 65, "cond_dim": 0}
    gaussian, means = (texts(figures.vae_network(**sizes, knots=knots)) for knots in (4, 0))
    for number in ("30", "65", "14", "7", "34"):
        assert f"{number} |" in gaussian
    assert "knots" in gaussian and "knots" not in means and "VIX" not in means
    assert "VIX" in texts(figures.vae_network(**sizes | {"cond_dim": 1}, knots=4))
    shape = {"latent_dim": 7, "hidden": 65, "time_features": 8}
    plain = texts(figures.denoiser_network(**shape, blocks=2, cond_dim=0))
    assert "2 residual blocks of 65" in plain and "VIX" not in plain
    assert plain.count("norm, linear") == 2
    assert "learned token" in texts(figures.denoiser_network(**shape, blocks=5, cond_dim=1))
    timegan = texts(figures.timegan_networks(hidden=9, layers=2, noise_dim=3))
    assert timegan.count("GRU layers of 9") == 5 and "supervisor\n1 GRU layers" in timegan and "noise, 3 a day" in timegan


def test_a_vae_has_the_colour_of_its_decoder_and_no_model_has():
    """Blue is latent diffusion alone: figures of one VAE have another colour, losses those of their splits."""
    for name in ("vae_history", "examples", "decoded_windows", "latent_use", "latent_space", "latent_tails", "probe"):
        seen = set(figures.record.seen(DRAWN[name][0]())["colour"])
        assert figures.COLOURS["ldm_post"].lower() not in seen, name
    splits = [colour.lower() for colour in figures.style.SPLIT_COLOURS.values()][:2]
    assert set(figures.record.seen(DRAWN["vae_history"][0]())["colour"]) == set(splits)


@pytest.mark.parametrize(
    "name", ["split_overview", "stress_share", "vae_history", "probe", "latent_tails", "diffusion_training", "latent_report"]
)
def test_legends_stand_under_the_panels(name):
    figure = DRAWN[name][0]()
    assert not any(axis.get_legend() for axis in figure.axes)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_window_extent().y1 < min(axis.get_window_extent().y0 for axis in figure.axes)


def test_latents_are_coloured_by_the_vix_on_a_map_without_a_middle():
    cloud, _, bar = figures.latent_space(latents(), np.linspace(9, 82, 200), np.full((200, 6), 0.5)).axes
    points = cloud.collections[0]
    assert points.get_cmap().name == figures.style.SEQUENTIAL
    np.testing.assert_allclose(points.get_array(), np.linspace(9, 82, 200))
    assert points.norm(np.sqrt(9 * 82)) == pytest.approx(0.5)  # equal ratios are equal steps of colour
    bar.figure.draw_without_rendering()
    ticks = {label.get_position()[1]: label.get_text() for label in bar.get_yticklabels()}
    assert [text for place, text in ticks.items() if 9 <= place <= 82] == ["10", "20", "40", "80"]


def test_latents_are_counted_from_one():
    figure = figures.latent_report({name: latents(200 + k) for k, name in enumerate(("real", "prior", "made"))})
    for line in figure.axes[1].lines:
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 7))
