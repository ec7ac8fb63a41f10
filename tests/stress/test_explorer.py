"""Questions of a reader who moves sliders: the same numbers as the tables, made once, and refused where there are none."""

import numpy as np
import pandas as pd
import pytest

from chaoslib.stress import explorer, portfolios, scenarios


def paths(seed: int = 0, n: int = 400, scale: float = 0.01) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((n, 50))


@pytest.fixture
def two() -> dict[str, np.ndarray]:
    return {"cond_ldm": paths(0), "gjr_fhs": paths(1, n=300, scale=0.02)}


# numbers


@pytest.mark.parametrize("portfolio", portfolios.PORTFOLIOS)
@pytest.mark.parametrize("days", [1, 10, 50])
def test_the_numbers_are_those_of_the_table_of_losses(two, portfolio, days):
    _, risks = explorer.answer(two, 30.0, days, portfolio)
    assert risks["model"].tolist() == list(two)
    for model, log_returns in two.items():
        table = portfolios.stress_rows(log_returns, 30.0, horizons=(1, 10, 50))
        expected = table[(table["portfolio"] == portfolio) & (table["horizon_days"] == days)]
        found = risks[risks["model"] == model].drop(columns="model")
        pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))


def test_values_are_those_of_the_portfolio_up_to_the_horizon(two):
    values, risks = explorer.answer(two, 30.0, 10, "long")
    assert {model: each.shape for model, each in values.items()} == {"cond_ldm": (400, 10), "gjr_fhs": (300, 10)}
    np.testing.assert_allclose(values["gjr_fhs"][:, -1], np.exp(two["gjr_fhs"][:, :10].sum(axis=1)))
    worst = np.sort(1 - values["gjr_fhs"][:, -1])[-15:]  # the worst 5 % of 300
    row = risks.set_index("model").loc["gjr_fhs"]
    assert row["var_95"] == pytest.approx(worst[0])
    assert row["es_95"] == pytest.approx(worst.mean())
    assert row["es_95_low"] < row["es_95"] < row["es_95_high"]


def test_a_sure_fall_is_the_loss_at_every_level():
    falling = {"gjr_fhs": np.full((200, 50), np.log(0.99))}
    _, risks = explorer.answer(falling, 20.0, 2, "leveraged_2x")
    for name in ("var_95", "var_99", "es_95", "es_99"):
        assert risks[name].tolist() == pytest.approx([1 - 0.98**2])


def test_a_put_bounds_the_loss_at_the_end_of_the_window_only():
    crash = {"gjr_fhs": np.tile(np.r_[np.full(5, -0.2), np.zeros(45)], (200, 1))}
    premium = portfolios.black_scholes_put(1.0, 0.95, 50 / portfolios.YEAR, 0.3)
    _, risks = explorer.answer(crash, 30.0, 50, "protective_put")
    assert risks["es_99"].tolist() == pytest.approx([1 - 0.95 / (1 + premium)])


def test_a_portfolio_of_the_readers_own_is_asked_like_the_others(two):
    mine = {"half": lambda log_returns, vix: 0.5 + 0.5 * portfolios.long_index(log_returns)}
    whole, half = (explorer.answer(two, 30.0, 50, name, portfolios.PORTFOLIOS | mine)[1] for name in ("long", "half"))
    np.testing.assert_allclose(half["es_99"], 0.5 * whole["es_99"])


# what is refused


def test_an_unknown_portfolio_is_named_with_those_there_are(two):
    with pytest.raises(ValueError, match="unknown portfolio 'short': choose long, leveraged_2x"):
        explorer.answer(two, 30.0, 10, "short")


@pytest.mark.parametrize(("vix", "days", "message"), [(0.3, 10, "index points"), (30.0, 51, "51 days"), (30.0, 0, "0 days")])
def test_a_vix_in_fractions_and_days_beyond_the_window_are_refused(two, vix, days, message):
    with pytest.raises(ValueError, match=message):
        explorer.answer(two, vix, days, "long")


def test_a_model_without_a_sampler_is_named_with_those_there_are():
    ask = explorer.remembered({("gjr_fhs", 0): lambda vix: paths(n=len(vix))})
    with pytest.raises(ValueError, match="no scenarios of cond_ldm of seed 1: choose gjr_fhs of seed 0"):
        ask(("cond_ldm", 1), 30.0)


# what is made, and how often


def test_scenarios_are_made_once_for_a_model_and_a_vix():
    asked = []

    def sampler(vix: np.ndarray) -> np.ndarray:
        asked.append(vix)
        return paths(n=len(vix))

    ask = explorer.remembered({("a", 0): sampler, ("a", 1): sampler}, n=150)
    first, again = ask(("a", 0), 30.0), ask(("a", 0), 30.0)
    assert first is again
    assert first.shape == (150, 50)
    ask(("a", 1), 30.0)
    ask(("a", 0), 31.0)
    assert [(len(vix), *np.unique(vix)) for vix in asked] == [(150, 30.0), (150, 30.0), (150, 31.0)]
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0


def test_the_shipped_models_answer_as_scenarios_do():
    samplers = explorer.shipped()
    assert set(samplers) == {("cond_ldm_normalised", 0), ("cond_ldm", 0)}
    for (name, _), sampler in samplers.items():
        expected = scenarios.draw(30.0, 20, model=explorer.SHIPPED[name])
        np.testing.assert_array_equal(sampler(np.full(20, 30.0)), expected)
    with pytest.raises(ValueError, match="out of reach"):
        samplers["cond_ldm", 0](np.full(20, 120.0))


def test_every_shipped_forecaster_is_offered():
    shipped = {name for name in scenarios.read_weights()["models"] if scenarios.published(name).vix_at == "start"}
    assert set(explorer.SHIPPED.values()) == shipped
