"""Walk forward: a year's forecasts know the years before it and nothing else, and all years make one backtest."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import walkforward as script
import yaml
from project import Workflow, edited

from chaoslib.market import data, windows
from chaoslib.market.vix import REACH, fit_vix_exponent
from chaoslib.models import diffusion, generate
from chaoslib.pipeline import files
from chaoslib.stress import backtest, walkforward

MODELS = ["gjr_fhs", "hs_500", "vix_scaled", "cond_ldm", "cond_ldm_normalised"]
VIX_MODELS = MODELS[2:]
TAILS = [f"{model}_{days}" for model in MODELS for days in (1, 10)]
ONE_CORE = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def tiny(root) -> dict:
    """The published params with small networks, hardly trained."""
    small = {"SEED": 3, "HIDDEN": 16, "VAE_EPOCHS": 1, "DIFFUSION_EPOCHS": 1, "STEPS": 4, "GRID": 3}
    small |= {"N_SAMPLES": 200, "DRAWS": 50}
    published = yaml.safe_load((root / "params/walkforward.yaml").read_text())
    assert set(small) <= set(published)
    return published | small


@pytest.fixture(scope="module")
def history(tiny) -> pd.DataFrame:
    prices, _ = data.load_prices("sp500_logret", start=tiny["START"], end="1997-12-31")
    return data.log_returns(prices)


@pytest.fixture(scope="module")
def forecast(history, tiny) -> dict[str, np.ndarray]:
    return walkforward.forecast_year(history, 1996, tiny, device="cpu")


def of_1996(history: pd.DataFrame) -> np.ndarray:
    return (history["date"].dt.year == 1996).to_numpy()


def test_a_year_has_a_tail_for_each_of_its_days_model_and_horizon(history, forecast):
    year = history[of_1996(history)]
    np.testing.assert_array_equal(forecast["date"], year["date"].to_numpy(dtype="datetime64[D]"))
    np.testing.assert_array_equal(forecast["log_return"], year["log_return"])
    np.testing.assert_array_equal(forecast["vix"], year["vix_previous"])  # what was known when it was forecast
    others = {f"{model}_n" for model in MODELS} | {f"{model}_clamped" for model in walkforward.MODELS}
    assert set(forecast) == {"date", "log_return", "vix", *TAILS, *others}
    for name in TAILS:
        model = name.rsplit("_", 1)[0]
        n = 500 if model == "hs_500" else 200
        assert forecast[f"{model}_n"] == n
        assert (forecast[name].shape, forecast[name].dtype) == ((len(year), n // 20), np.float32), name
        assert (np.diff(forecast[name], axis=1) >= 0).all(), name
        assert (forecast[name][:, 0] < 0).all(), name
    for model in MODELS:
        assert forecast[f"{model}_10"][:, 0].mean() < forecast[f"{model}_1"][:, 0].mean(), model
    assert {int(forecast[f"{model}_clamped"]) for model in walkforward.MODELS} == {0}


def test_historical_simulation_knows_the_last_five_hundred_days(history, forecast):
    before = history.loc[history["date"].dt.year < 1996, "log_return"].to_numpy()
    expected = np.sort(before[-500:])[:25]
    np.testing.assert_allclose(forecast["hs_500_1"][0], expected, rtol=1e-6)
    sums = np.convolve(before, np.ones(10), "valid")
    np.testing.assert_allclose(forecast["hs_500_10"][0], np.sort(sums[-500:])[:25], rtol=1e-5)


def test_rescaled_history_scales_by_the_exponent_of_the_years_before(history, forecast):
    cut = windows.cut_windows(history[history["date"].dt.year < 1996])
    exponent = fit_vix_exponent(cut["windows"], cut["vix_start"])
    low, high = np.argmin(forecast["vix"]), np.argmax(forecast["vix"])
    factor = (forecast["vix"][high] / forecast["vix"][low]) ** exponent
    np.testing.assert_allclose(forecast["vix_scaled_1"][high], factor * forecast["vix_scaled_1"][low], rtol=1e-5)
    assert factor > 1.5


def test_a_higher_vix_is_answered_by_other_tails_and_deeper_ones_where_windows_are_normalised(forecast):
    order = np.argsort(forecast["vix"])
    calm, middle, wild = order[[0, len(order) // 2, -1]]
    for model in VIX_MODELS:
        assert not np.isclose(forecast[f"{model}_1"][calm], forecast[f"{model}_1"][wild]).any(), model
    for model in ("vix_scaled", "cond_ldm_normalised"):
        shortfall = forecast[f"{model}_1"].mean(axis=1)
        assert shortfall[wild] < 1.2 * shortfall[middle] < 1.3 * shortfall[calm], model


@pytest.fixture(scope="module")
def otherwise(history, tiny) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """1996 as it might have gone: wild returns from its first day on, its VIX in another order but for the first day's,
    and no 1997. Returns the order of the days' VIX, and the forecasts."""
    year = np.flatnonzero(of_1996(history))
    changed = history[: year[-1] + 1].copy()
    rng = np.random.default_rng(0)
    changed.loc[year, "log_return"] = rng.normal(-0.02, 0.05, len(year))
    order = np.concatenate([[0], 1 + rng.permutation(len(year) - 1)])
    changed.loc[year, "vix_previous"] = history["vix_previous"].to_numpy()[year][order]
    changed.loc[year, "vix"] = np.append(changed["vix_previous"].to_numpy()[year][1:], 33.0)
    return order, walkforward.forecast_year(changed, 1996, tiny, device="cpu")


def test_the_first_forecast_of_a_year_knows_nothing_of_it(forecast, otherwise):
    _, changed = otherwise
    for name in TAILS:
        np.testing.assert_array_equal(changed[name][0], forecast[name][0], err_msg=name)


def test_models_of_the_vix_know_the_vix_of_the_day_before_and_nothing_else_of_the_year(forecast, otherwise):
    order, changed = otherwise
    for model in VIX_MODELS:
        for days in (1, 10):
            np.testing.assert_array_equal(changed[f"{model}_{days}"], forecast[f"{model}_{days}"][order], err_msg=model)


def test_models_of_the_returns_know_the_days_before_as_they_pass(forecast, otherwise):
    _, changed = otherwise
    for name, first in (("gjr_fhs_1", 1), ("gjr_fhs_10", 1), ("hs_500_1", 1), ("hs_500_10", 10)):
        later = np.any(changed[name] != forecast[name], axis=1)
        assert not later[0], name
        assert later[first:].all(), name
    assert changed["hs_500_1"][-1, 0] < 2 * forecast["hs_500_1"][-1, 0]  # wilder, as the year became


def test_every_model_learns_from_the_years_before(history, forecast, tiny):
    changed = history[history["date"].dt.year < 1997].copy()
    past = changed["date"].dt.year < 1996
    changed.loc[past, "log_return"] *= 2.0
    arrays = walkforward.forecast_year(changed, 1996, tiny, device="cpu")
    for name in TAILS:
        ratio = arrays[name][0, :5].mean() / forecast[name][0, :5].mean()
        assert ratio > (1.1 if name.startswith("gjr") else 1.5), name  # all forecast more; GJR leaves its last variance


def test_the_same_seed_forecasts_the_same_and_another_draws_anew(history, forecast, tiny):
    again, other = (walkforward.forecast_year(history, 1996, tiny | {"SEED": seed}, device="cpu") for seed in (3, 4))
    for name in forecast:
        np.testing.assert_array_equal(again[name], forecast[name], err_msg=name)
    for name in TAILS:
        alike = np.isclose(other[name], forecast[name], rtol=1e-4).mean()
        assert alike == 1 if name.startswith("hs_500") else alike < 0.2, name


def test_days_beyond_reach_are_counted_and_forecast_at_the_end_of_reach(history, forecast, tiny):
    known = windows.cut_windows(history[history["date"].dt.year < 1996])["vix_start"]
    low, high = known.min() / REACH, known.max() * REACH
    year = np.flatnonzero(of_1996(history))
    changed = history[: year[-1] + 1].copy()
    levels = {5: low / 2, 6: 0.99 * low, 7: low, 50: high, 51: 1.01 * high, 52: 4 * high}
    for day, vix in levels.items():
        changed.loc[year[day], "vix_previous"] = vix
    arrays = walkforward.forecast_year(changed, 1996, tiny, device="cpu")
    for model in walkforward.MODELS:
        assert arrays[f"{model}_clamped"] == 4, model
        tails = arrays[f"{model}_1"]
        for day, same in ((5, 7), (6, 7), (51, 50), (52, 50)):
            np.testing.assert_array_equal(tails[day], tails[same], err_msg=model)
    assert arrays["vix_scaled_1"][52, 0] < 1.5 * arrays["vix_scaled_1"][50, 0]  # rescaling goes on
    np.testing.assert_array_equal(arrays["vix"][[5, 52]], [levels[5], levels[52]])  # as it was, not as it was asked


# The model that is fitted


@pytest.fixture(scope="module")
def proportional() -> pd.DataFrame:
    """900 days whose volatility is proportional to the VIX of the day before, 1 % at 20; the VIX goes from 10 to 60."""
    vix = 25 * np.exp(0.9 * np.sin(np.arange(901) * 2 * np.pi / 300))
    returns = 0.0005 * vix[:-1] * np.random.default_rng(0).standard_normal(900)
    vix[-1] = 100.0  # at the end of a window, and before none
    dates = pd.bdate_range("2000-01-03", periods=900)
    return pd.DataFrame({"date": dates, "log_return": returns, "vix": vix[1:], "vix_previous": vix[:-1]})


@pytest.fixture(scope="module")
def learned(proportional, tiny) -> dict[bool, generate.LatentGenerator]:
    """Plain and normalised, trained well enough for a toy."""
    params = tiny | {"SEQ_LEN": 10, "LATENT_DIM": 4, "HIDDEN": 32, "BATCH_SIZE": 128, "EMA_DECAY": 0.95, "STEPS": 10}
    params |= {"VAE_EPOCHS": 12, "VAE_LR": 3e-3, "WARMUP_EPOCHS": 5, "DIFFUSION_EPOCHS": 30, "DIFFUSION_LR": 2e-3}
    return {n: walkforward.fit_conditional(proportional, params, normalise=n, device="cpu") for n in (False, True)}


@pytest.mark.parametrize("normalise", [False, True])
def test_a_fitted_model_is_told_the_vix_before_its_windows_and_heeds_it(proportional, learned, normalise):
    model = learned[normalise]
    starts = proportional["vix_previous"].iloc[: len(proportional) - 9]
    assert (model.vix_at, model.sampler, model.steps, model.scaler.seq_len) == ("start", "dpm", 10, 10)
    assert (model.condition.lowest, model.condition.highest) == (starts.min(), starts.max())
    assert model.scaler.mean == pytest.approx(proportional["log_return"].mean())
    assert model.scaler.std == pytest.approx(proportional["log_return"].std(ddof=0))
    assert (model.condition.exponent != 0) == normalise == (model.condition.told_to is not None)
    levels = np.array([12.0, 25.0, 50.0])
    volatility = np.array([model.sample(400, vix=vix).std() for vix in levels])
    np.testing.assert_allclose(volatility, 0.0005 * levels, rtol=0.15)


OTHER = {"SEED": 4, "SEQ_LEN": 12, "LATENT_DIM": 5, "HIDDEN": 17, "BETA": 0.1, "WARMUP_EPOCHS": 2, "VARMATCH_WEIGHT": 1.0}
OTHER |= {"VAE_EPOCHS": 3, "VAE_LR": 2e-3, "DIFFUSION_EPOCHS": 3, "DIFFUSION_LR": 2e-3, "BATCH_SIZE": 100, "STEPS": 8}
OTHER |= {"EMA_DECAY": 0.5, "COND_DROPOUT": 0.5}


@pytest.fixture(scope="module")
def barely(proportional, tiny) -> tuple[dict, np.ndarray]:
    """Params of a model of 10-day windows that is hardly trained, and 20 of its windows."""
    params = tiny | {"SEQ_LEN": 10, "LATENT_DIM": 4, "VAE_EPOCHS": 2, "WARMUP_EPOCHS": 1, "DIFFUSION_EPOCHS": 2}
    return params, walkforward.fit_conditional(proportional, params, normalise=True, device="cpu").sample(20, vix=20)


@pytest.mark.parametrize("key", OTHER)
def test_every_param_of_a_model_matters(proportional, barely, key):
    params, windows_of = barely
    other = walkforward.fit_conditional(proportional, params | {key: OTHER[key]}, normalise=True, device="cpu")
    assert not np.array_equal(other.sample(20, vix=20), windows_of)


def test_no_param_is_without_a_reader(root):
    """Those of a model are tried one by one above; the others shape the forecasts, the tables or the call."""
    published = set(yaml.safe_load((root / "params/walkforward.yaml").read_text()))
    assert published - set(OTHER) == {"START", "FIRST_YEAR", "GRID", "N_SAMPLES", "HORIZONS", "DRAWS"}


def test_a_normalised_model_divides_by_about_the_vix(learned):
    assert learned[True].condition.exponent == pytest.approx(1, abs=0.08)
    np.testing.assert_allclose(learned[True].condition.scale(np.array([learned[True].condition.typical])), 1, rtol=1e-6)


def test_latents_are_standardised_for_the_denoiser(proportional, learned):
    cut = windows.cut_windows(proportional, seq_len=10)
    for model in learned.values():
        mu, logvar = model.encode(cut["windows"], cut["vix_start"])
        spread = (mu.var(dim=0) + logvar.exp().mean(dim=0)).sqrt()
        np.testing.assert_allclose(model.latent_scaler.std, spread, rtol=0.05)
        np.testing.assert_allclose(model.latent_scaler.mean, mu.mean(dim=0), atol=0.05 * float(spread.max()))


def test_the_published_steps_suit_the_sampler(root):
    published = yaml.safe_load((root / "params/walkforward.yaml").read_text())
    assert diffusion.DenoiserShape().timesteps % published["STEPS"] == 0
    assert published["N_SAMPLES"] * 0.01 >= 50  # outcomes beyond the value at risk


# All years


@pytest.fixture(scope="module")
def gathered(tiny, forecast, tmp_path_factory) -> Path:
    """The folder of tables of 1996 and 1997: one year as the fixture has it, the other by the command."""
    folder = tmp_path_factory.mktemp("walk")
    options = ["--params", json.dumps({key: value for key, value in tiny.items() if key != "START"})]
    files.write(folder / "1996.npz", forecast | {"cond_ldm_clamped": np.array(5)})
    script.main([*options, "year", "1997", str(folder / "years/1997.npz")])
    assert [path.name for path in (folder / "years").iterdir()] == ["1997.npz"]
    with np.load(folder / "years/1997.npz", allow_pickle=False) as archive:
        files.write(folder / "1997.npz", dict(archive) | {"cond_ldm_clamped": np.array(2)})
    script.main([*options, "gather", str(folder / "out"), str(folder / "1997.npz"), str(folder / "1996.npz")])
    return folder


def test_the_command_forecasts_the_year_it_is_asked_for(history, gathered, forecast):
    with np.load(gathered / "1997.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    year = history[history["date"].dt.year == 1997]
    assert set(arrays) == set(forecast)
    np.testing.assert_array_equal(arrays["date"], year["date"].to_numpy(dtype="datetime64[D]"))
    np.testing.assert_array_equal(arrays["vix"], year["vix_previous"])
    assert (arrays["cond_ldm_n"], arrays["cond_ldm_1"].shape) == (200, (len(year), 10))
    before = history.loc[history["date"].dt.year < 1997, "log_return"].to_numpy()
    np.testing.assert_allclose(arrays["hs_500_1"][0], np.sort(before[-500:])[:25], rtol=1e-6)


def test_the_backtest_holds_every_model_horizon_and_level_over_all_years(gathered, history, tiny):
    table = pd.read_csv(gathered / "out/tables/backtest.csv")
    assert list(table.columns) == backtest.COLUMNS
    keys = table[["model", "horizon_days", "level"]]
    assert set(keys.itertuples(index=False, name=None)) == {(m, h, q) for m in MODELS for h in (1, 10) for q in (0.01, 0.05)}
    assert len(table) == 20
    assert set(table["split"]) == {"walk_forward"}
    days = history["date"].dt.year.isin([1996, 1997]).sum()
    assert table.groupby("horizon_days")["n"].unique().map(list).to_dict() == {1: [days], 10: [days - 9]}
    np.testing.assert_allclose(table["expected"], table["level"] * table["n"])
    seeds = table.groupby("model")["seed"].unique().map(list).to_dict()
    assert seeds == {model: [tiny["SEED"] if model.startswith("cond") else 0] for model in MODELS}
    clamped = table.groupby("model")["clamped"].unique().map(list).to_dict()
    assert clamped == {model: [7 if model == "cond_ldm" else 0] for model in MODELS}
    assert (table.query("model == 'gjr_fhs'")["dm_p_vs_fhs"] == 1).all()


def test_hits_are_those_of_the_days_in_order(gathered, history, forecast):
    by_year = pd.read_csv(gathered / "out/tables/by_year.csv").set_index(["model", "horizon_days", "level", "year"])
    assert list(by_year.reset_index().columns) == ["model", "horizon_days", "level", "year", "seed", "n", "hits", "expected"]
    path = history.loc[history["date"].dt.year >= 1996, "log_return"].to_numpy()
    for days in (1, 10):
        outcome = np.convolve(path, np.ones(days), "valid")[: len(forecast["date"])]  # ten days end in 1997
        hits = outcome < forecast[f"hs_500_{days}"][:, 24].astype(float)
        assert by_year.loc[("hs_500", days, 0.05, 1996), "hits"] == hits.sum()
        assert by_year.loc[("hs_500", days, 0.05, 1996), "n"] == len(forecast["date"])


def test_hits_add_up_between_the_years_and_the_whole(gathered):
    keys = ["model", "seed", "horizon_days", "level"]
    by_year, whole = (pd.read_csv(gathered / f"out/tables/{name}.csv") for name in ("by_year", "backtest"))
    assert set(by_year["year"]) == {1996, 1997}
    added = by_year.groupby(keys)[["n", "hits", "expected"]].sum()
    pd.testing.assert_frame_equal(added, whole.set_index(keys)[["n", "hits", "expected"]].sort_index())
    assert whole["hits"].sum() > 0


def test_tables_figure_and_origin_are_written_together(gathered, history, tiny):
    written = {str(path.relative_to(gathered / "out")) for path in (gathered / "out").rglob("*") if path.is_file()}
    assert written == {
        "tables/backtest.csv",
        "tables/by_year.csv",
        "fig_walkforward.pdf",
        "fig_walkforward.png",
        "captions.json",
        "meta.json",
    }
    caption = json.loads((gathered / "out/captions.json").read_text())["fig_walkforward"]
    assert "GJR-FHS, which is the line at zero" in caption
    assert caption.endswith(f"Trained models are of seed {tiny['SEED']}. S&P 500.")
    meta = json.loads((gathered / "out/meta.json").read_text())
    assert meta["params"] == tiny
    year = history.loc[history["date"].dt.year >= 1996, "date"]
    assert meta["days"] == [str(day.date()) for day in year.iloc[[0, -1]]] == ["1996-01-02", "1997-12-31"]


def test_the_figure_embeds_fonts_that_can_be_edited(gathered):
    content = (gathered / "out/fig_walkforward.pdf").read_bytes()
    assert b"/FontFile2" in content  # TrueType
    assert b"/Type3" not in content


def test_the_figure_leaves_out_the_rival_and_history_that_would_hide_the_others(gathered, tiny, tmp_path, monkeypatch):
    calls, real = [], script.figures.walk_forward
    monkeypatch.setattr(script.figures, "walk_forward", lambda dates, gaps: calls.append((dates, gaps)) or real(dates, gaps))
    script.gather(tmp_path, [gathered / f"{year}.npz" for year in (1996, 1997)], tiny)
    ((dates, gaps),) = calls
    assert {days: list(models) for days, models in gaps.items()} == {days: VIX_MODELS for days in (1, 10)}
    assert len(dates) == len(gaps[1]["vix_scaled"]) == len(gaps[10]["vix_scaled"]) + 9


# Through the workflow


STUB = """
    import sys
    command, *rest = sys.argv[1:]
    with open({log!r}, "a") as log:
        print(*sys.argv[1:], file=log)
    if command == "year":
        Path(rest[1]).write_text(rest[0])
"""


class Noted(Workflow):
    """The same with a script that only notes how it is called."""

    def __init__(self, root: Path, folder: Path):
        super().__init__(root, folder)
        self.log = self.folder / "calls.log"
        script = self.folder / "workflow/walkforward.py"
        script.write_text(script.read_text().removesuffix("    main()\n") + STUB.format(log=str(self.log)))

    def years(self) -> tuple[list[int], list[str]]:
        """Years that a call would refit, and what it would gather."""
        dry = self.call("--dry-run", "--printshellcmds", "--quiet", "host", target="walkforward", profile="paper")
        printed = dry.stdout + dry.stderr
        assert dry.returncode == 0, printed
        refitted = sorted(map(int, re.findall(r"(\d{4}): models refitted", printed)))
        return refitted, re.findall(r"walkforward\.py (gather .*)", printed)


@pytest.mark.end_to_end
def test_the_workflow_refits_each_year_once_and_again_when_its_models_change(root, tmp_path):
    project, every = Noted(root, tmp_path), list(range(1996, 2023))
    assert project.call(target="walkforward/2008.npz", profile="paper").returncode == 0
    assert project.log.read_text().splitlines() == ["year 2008 walkforward/2008.npz"]

    def after(name: str, old: str, new: str) -> list[int]:
        text = (project.folder / name).read_text()
        assert old in text
        with edited(project.folder / name, text.replace(old, new)):
            return project.years()[0]

    others = [year for year in every if year != 2008]
    assert after("chaoslib/figures/style.py", "3.4, 7.0", "3.5, 7.0") == others  # nothing that a forecast reaches
    assert after("chaoslib/models/timegan.py", "seed: int = 0", "seed: int = 1") == others
    assert after("workflow/walkforward.py", "fig_walkforward", "fig_other") == others
    assert after("chaoslib/models/vae.py", "FEWEST = 16", "FEWEST = 17") == every
    assert after("workflow/walkforward.py", "= data.log_returns(prices)", "= data.log_returns(prices).iloc[1:]") == every
    assert after("chaoslib/market/snapshot/closes.csv", "2022-12-28,3783.22", "2022-12-28,3783.23") == every
    assert after("params/walkforward.yaml", "GRID: 16", "GRID: 17") == every
    names = " ".join(f"walkforward/{year}.npz" for year in every)
    assert project.years() == (others, [f"gather {project.folder / 'figures/walkforward'} {names}"])


@pytest.mark.end_to_end
def test_a_users_file_need_not_end_with_a_year_for_the_other_targets(root, tmp_path):
    project = Workflow(root, tmp_path)
    closes = pd.read_csv(root / "chaoslib/market/snapshot/closes.csv").query("date >= '2010'")
    mine = project.folder / "mine.csv"
    mine.write_text(closes.rename(columns={"sp500": "close"}).to_csv(index=False) + "\n")
    assert len(data.load_prices(str(mine))[0]) == len(closes)
    assert project.planned(target="check", dataset="mine.csv", profile="paper") == {"01_data"}
