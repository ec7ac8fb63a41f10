"""Portfolios against closed forms, and their risk where its law is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, stats

from chaoslib.stress import portfolios

returns = st.floats(-0.5, 0.5, allow_subnormal=False)
some_paths = hnp.arrays(float, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=returns)
enough_paths = hnp.arrays(float, st.tuples(st.integers(100, 130), st.integers(1, 4)), elements=returns)


def log_returns_of(*simple: float) -> np.ndarray:
    """(1, L) one path of simple returns."""
    return np.log1p(np.array([simple]))


def exposures(values: np.ndarray, log_returns: np.ndarray) -> np.ndarray:
    """(n, L) what multiple of the index's return each day's return is."""
    growth = values / np.concatenate([np.ones((len(values), 1)), values[:, :-1]], axis=1)
    return (growth - 1) / np.expm1(log_returns)


# the index, and multiples of it


def test_the_index_is_worth_the_product_of_its_days():
    path = log_returns_of(0.1, -0.2, 0.5)
    np.testing.assert_allclose(portfolios.long_index(path), [[1.1, 0.88, 1.32]])
    many = 0.01 * np.random.default_rng(0).standard_normal((20, 50))
    np.testing.assert_allclose(portfolios.long_index(many)[:, -1], np.exp(many.sum(axis=1)))


def test_sums_of_single_precision_returns_are_kept_in_double():
    path = np.full((1, 5000), 1e-3, dtype=np.float32)
    assert portfolios.long_index(path)[0, -1] == pytest.approx(np.exp(5000 * float(np.float32(1e-3))), rel=1e-9)


@given(some_paths)
@settings(deadline=None)
def test_an_exposure_of_one_is_the_index_and_of_none_is_cash(path):
    np.testing.assert_allclose(portfolios.leveraged(path, exposure=1.0), portfolios.long_index(path))
    np.testing.assert_array_equal(portfolios.leveraged(path, exposure=0.0), 1)


@pytest.mark.parametrize("exposure", [-1.0, 0.5, 2.0, 3.0])
def test_an_exposure_multiplies_each_daily_return(exposure):
    days = np.arange(1, 11)
    values = portfolios.leveraged(log_returns_of(*[0.02] * 10), exposure=exposure)
    np.testing.assert_allclose(values, [(1 + 0.02 * exposure) ** days])
    assert portfolios.leveraged(log_returns_of(0.1, -0.1))[0, -1] == pytest.approx(1.2 * 0.8)  # twice by default


def test_an_exposure_can_change_by_the_day_and_path():
    path = np.concatenate([log_returns_of(0.1, -0.1), log_returns_of(0.1, -0.1)])
    values = portfolios.leveraged(path, exposure=np.array([[1.0, 2.0], [0.0, -1.0]]))
    np.testing.assert_allclose(values, [[1.1, 1.1 * 0.8], [1.0, 1.1]])


def test_what_is_lost_stays_lost():
    values = portfolios.leveraged(log_returns_of(0.1, -0.6, 0.5, -0.7, 0.5))  # the second day loses 120 %
    np.testing.assert_allclose(values, [[1.2, 0, 0, 0, 0]], atol=1e-15)


# puts


@pytest.mark.parametrize(("level", "strike"), [(1.0, 1.0), (1.0, 0.95), (0.7, 0.95), (1.3, 0.95)])
@pytest.mark.parametrize(("years", "sigma"), [(0.2, 0.2), (1.0, 0.5)])
def test_a_put_costs_its_mean_payoff_under_a_lognormal_law_without_drift(level, strike, years, sigma):
    spread = sigma * np.sqrt(years)
    law = stats.lognorm(spread, scale=level * np.exp(-(spread**2) / 2))
    payoff, _ = integrate.quad(lambda end: (strike - end) * law.pdf(end), 0, strike)
    assert portfolios.black_scholes_put(level, strike, years, sigma) == pytest.approx(payoff, abs=1e-8)


def test_put_of_a_textbook():
    """Hull: S = 42, K = 40, r = 10 %, sigma = 20 %, six months, p = 0.81; interest enters by the forward and a discount."""
    price = np.exp(-0.05) * portfolios.black_scholes_put(42 * np.exp(0.05), 40.0, 0.5, 0.2)
    assert price == pytest.approx(0.81, abs=0.005)


def test_put_at_the_money_and_put_call_parity():
    years, sigma = np.array([0.1, 0.5, 2.0]), np.array([[0.1], [0.4]])
    at_the_money = portfolios.black_scholes_put(100.0, 100.0, years, sigma)
    np.testing.assert_allclose(at_the_money, 100 * (2 * stats.norm.cdf(0.5 * sigma * np.sqrt(years)) - 1))
    call = portfolios.black_scholes_put(95.0, 110.0, years, sigma)  # without interest the one of the swapped sides
    np.testing.assert_allclose(call - portfolios.black_scholes_put(110.0, 95.0, years, sigma), 110 - 95)


@given(st.floats(0.3, 3), st.floats(0.3, 3), st.floats(0.01, 2), st.floats(0.05, 1.5))
@settings(deadline=None)
def test_a_put_lies_between_its_bounds_and_is_worth_more_with_more_uncertainty(level, strike, years, sigma):
    put = portfolios.black_scholes_put
    value = put(level, strike, years, sigma)
    assert max(strike - level, 0) - 1e-12 <= value <= strike
    assert put(level, strike, years, 1.1 * sigma) >= value - 1e-12
    assert put(level, strike, 1.1 * years, sigma) >= value - 1e-12
    assert put(level, 1.1 * strike, years, sigma) > value - 1e-12
    assert put(3 * level, 3 * strike, years, sigma) == pytest.approx(3 * value, abs=1e-9)


def test_a_put_that_expires_is_its_payoff():
    level = np.array([0.5, 0.9, 0.95, 1.0, 2.0])
    np.testing.assert_allclose(portfolios.black_scholes_put(level, 0.95, 0.0, 0.3), [0.45, 0.05, 0, 0, 0], atol=1e-9)


@given(some_paths, st.floats(8, 90), st.sampled_from([0.8, 0.95, 1.0]))
@settings(deadline=None)
def test_the_put_is_a_floor_below_which_no_path_ends(path, vix, strike):
    values = portfolios.protective_put(path, vix, strike=strike)
    premium = portfolios.black_scholes_put(1.0, strike, path.shape[1] / 252, vix / 100)
    ends = np.maximum(np.exp(path.sum(axis=1)), strike) / (1 + premium)  # index and payoff, from the same money
    np.testing.assert_allclose(values[:, -1], ends)
    assert (values >= portfolios.long_index(path) / (1 + premium) - 1e-12).all()


def test_a_path_that_stands_still_loses_only_time_value():
    values = portfolios.protective_put(np.zeros((1, 50)), 30.0)[0]
    premium = portfolios.black_scholes_put(1.0, 0.95, 50 / 252, 0.3)
    assert 1 - premium / 20 < values[0] < 1
    assert (np.diff(values[:45]) < 0).all()
    assert values[-1] == pytest.approx(1 / (1 + premium))  # all of it in the end


@pytest.mark.parametrize(("vix", "strike", "days"), [(40.0, 1.0, 5), (20.0, 0.95, 20)])
def test_the_put_is_fairly_priced_on_every_day(vix, strike, days):
    """Under a lognormal law without drift the portfolio is a martingale: neither premium nor remaining life is off."""
    n, spread = 200_000, vix / 100 / np.sqrt(252)
    half = np.random.default_rng(0).standard_normal((n // 2, days))
    path = spread * np.concatenate([half, -half]) - spread**2 / 2
    values = portfolios.protective_put(path, vix, strike=strike)
    index = portfolios.long_index(path)
    paired = (values[: n // 2] + values[n // 2 :]) / 2
    noise = paired.std(axis=0) / np.sqrt(n // 2)
    assert np.abs(index.mean(axis=0) - 1).max() < 1e-3
    assert (np.abs(values.mean(axis=0) - 1) < 4 * noise).all()
    assert noise.max() < 2e-4  # a day of the put's life is worth more in the first case


def test_a_higher_vix_makes_the_put_dearer():
    up, down = np.full((1, 50), 0.004), np.full((1, 50), -0.004)
    for path in (up, down):
        ends = [portfolios.protective_put(path, vix)[0, -1] for vix in (10, 20, 40, 80)]
        assert (np.diff(ends) < 0).all()


@pytest.mark.parametrize("name", portfolios.PORTFOLIOS)
def test_each_scenario_has_its_own_vix(name):
    path = 0.01 * np.random.default_rng(0).standard_normal((3, 20))
    vix = np.array([10.0, 30.0, 70.0])
    portfolio = portfolios.PORTFOLIOS[name]
    together = portfolio(path, vix)
    for row in range(3):
        np.testing.assert_allclose(together[[row]], portfolio(path[[row]], vix[row]))
    assert together.shape == path.shape


# volatility target


@pytest.mark.parametrize(("vix", "exposure"), [(10.0, 1.0), (20.0, 0.5), (80.0, 0.125), (5.0, 2.0), (2.0, 2.0)])
def test_constant_volatility_makes_a_constant_exposure(vix, exposure):
    """Target over volatility, and no more than 2."""
    daily = vix / 100 / np.sqrt(252)
    path = daily * np.random.default_rng(0).choice([-1.0, 1.0], size=(4, 60))
    values = portfolios.volatility_target(path, vix)
    np.testing.assert_allclose(values, portfolios.leveraged(path, exposure=exposure))


def test_volatility_target_by_hand():
    """At VIX 20 the variance a day is .04/252; a day of 5 % moves it to .94 of that and .06 of .0025: 27.459 % a year."""
    path = np.array([[0.05, 0.01, 0.01]])
    third = 0.94 * (0.94 * 0.04 / 252 + 0.06 * 0.0025) + 0.06 * 0.0001
    exposure = exposures(portfolios.volatility_target(path, 20.0), path)
    np.testing.assert_allclose(exposure, [[0.5, 0.1 / 0.27459, 0.1 / np.sqrt(252 * third)]], rtol=1e-4)
    capped = exposures(portfolios.volatility_target(path, 20.0, target=0.3, most=1.2), path)
    np.testing.assert_allclose(capped, [[1.2, 0.3 / 0.27459, 0.3 / np.sqrt(252 * third)]], rtol=1e-4)


@pytest.mark.parametrize("day", [0, 3, 9])
def test_exposure_follows_the_days_before_and_not_the_day_itself(day):
    path = 0.01 * np.random.default_rng(0).standard_normal((5, 10))
    before = exposures(portfolios.volatility_target(path, 25.0), path)
    path[:, day] = 0.09
    after = exposures(portfolios.volatility_target(path, 25.0), path)
    np.testing.assert_allclose(after[:, : day + 1], before[:, : day + 1], rtol=1e-9)
    assert (after[:, day + 1 :] < before[:, day + 1 :] - 1e-3).all()  # and shrinks after a wild one


# drawdowns


def test_drawdowns_by_hand():
    values = np.array([[1.1, 0.99, 1.2, 0.6, 1.2], [0.9, 0.45, 0.95, 1.0, 0.5]])
    np.testing.assert_allclose(portfolios.drawdowns(values), [[0, 0.1, 0, 0.5, 0], [0.1, 0.55, 0.05, 0, 0.5]], atol=1e-12)


@given(some_paths)
@settings(deadline=None)
def test_drawdowns_are_falls_from_a_past_high(path):
    values = portfolios.long_index(path)
    fallen = portfolios.drawdowns(values)
    assert ((fallen >= 0) & (fallen <= 1)).all()
    assert (fallen >= 1 - values - 1e-12).all()  # the start is one of the highs


# measures


def with_losses(*losses: float) -> np.ndarray:
    """(n, 1) values after one day."""
    return 1 - np.array(losses)[:, None]


@pytest.mark.parametrize(("n", "in_1", "in_5"), [(100, 1, 5), (200, 2, 10), (250, 2, 12), (5000, 50, 250)])
def test_value_at_risk_and_shortfall_by_hand(n, in_1, in_5):
    losses = np.arange(1, n + 1) / (2 * n)
    risk = portfolios.measure(with_losses(*np.random.default_rng(0).permutation(losses)), 1)
    assert risk["var_99"] == pytest.approx(losses[-in_1])
    assert risk["var_95"] == pytest.approx(losses[-in_5])
    assert risk["es_99"] == pytest.approx(losses[-in_1:].mean())
    assert risk["es_95"] == pytest.approx(losses[-in_5:].mean())
    assert risk["mdd_p95"] == risk["var_95"]  # of one day, all losses
    assert risk["under_water"] == 1


def test_interval_of_a_quantile_is_that_of_the_binomial_law():
    """Of 5,000 losses 37 to 64 lie above the true 99 % quantile, and 220 to 281 above the 95 % one, with at least 95 %."""
    for few, many, share in ((37, 64, 0.01), (220, 281, 0.05)):
        held = stats.binom.cdf(many, 5000, share) - stats.binom.cdf(few - 1, 5000, share)
        assert held == pytest.approx(0.953, abs=0.003)
    losses = np.arange(1, 5001) / 10_000
    risk = portfolios.measure(with_losses(*losses), 1)
    named = [risk[name] for name in ("var_99_high", "var_99_low", "var_95_high", "var_95_low", "mdd_p95_low")]
    np.testing.assert_allclose(named, [losses[-37], losses[-65], losses[-220], losses[-282], losses[-282]])


def test_interval_of_a_shortfall_by_hand():
    """Four losses of .2 and four of .4 make the 5 % tail of 160: mean .3, variance .01, and .95 (.3 - .2)^2 of the edge."""
    risk = portfolios.measure(with_losses(*[0.0] * 152, *[0.2] * 4, *[0.4] * 4), 1)
    reach = 1.96 * np.sqrt((0.01 + 0.95 * 0.01) / 8)
    np.testing.assert_allclose([risk["es_95"], risk["es_95_low"], risk["es_95_high"]], [0.3, 0.3 - reach, 0.3 + reach])


NORMAL = {  # of losses N(0, .02^2) in one day
    "var_95": 0.02 * stats.norm.ppf(0.95),
    "var_99": 0.02 * stats.norm.ppf(0.99),
    "es_95": 0.02 * stats.norm.pdf(stats.norm.ppf(0.95)) / 0.05,
    "es_99": 0.02 * stats.norm.pdf(stats.norm.ppf(0.99)) / 0.01,
    "mdd_p95": 0.02 * stats.norm.ppf(0.95),
    "under_water": 0.5,
}


@pytest.fixture(scope="module")
def normal_measures() -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    return [portfolios.measure(1 + 0.02 * rng.standard_normal((5000, 1)), 1) for _ in range(600)]


@pytest.mark.parametrize("name", portfolios.MEASURES)
def test_intervals_hold_the_truth_as_often_as_they_say(normal_measures, name):
    low, value, high = (np.array([each[name + end] for each in normal_measures]) for end in ("_low", "", "_high"))
    truth = NORMAL[name]
    assert value.mean() == pytest.approx(truth, rel=0.01)
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.95, abs=0.03)
    for missed in (np.mean(high < truth), np.mean(low > truth)):
        assert 0.002 < missed < 0.06  # on either side


@given(enough_paths)
@settings(max_examples=20, deadline=None)
def test_measures_are_in_order(path):
    values = portfolios.long_index(path)
    risk = portfolios.measure(values, path.shape[1])
    assert sorted(risk) == sorted(name + end for name in portfolios.MEASURES for end in ("", "_low", "_high"))
    for name in portfolios.MEASURES:
        assert risk[f"{name}_low"] <= risk[name] <= risk[f"{name}_high"]
    for confidence in (95, 99):
        assert risk[f"es_{confidence}"] >= risk[f"var_{confidence}"] - 1e-12
    for name in ("var", "es"):
        assert risk[f"{name}_99"] >= risk[f"{name}_95"] - 1e-12
    assert risk["mdd_p95"] >= risk["var_95"] - 1e-12
    assert 0 <= risk["under_water"] <= path.shape[1]


def test_days_under_water_by_hand():
    """Two of the four days end below an earlier value, or none; a value that is only equal is not below."""
    values = np.tile([[0.9, 1.1, 1.0, 1.2], [1.0, 1.0, 1.5, 1.5]], (50, 1))
    risk = portfolios.measure(values, 4)
    named = [risk["under_water"], risk["under_water_low"], risk["under_water_high"]]
    np.testing.assert_allclose(named, [1, 1 - 0.196, 1 + 0.196])
    assert portfolios.measure(values, 2)["under_water"] == 0.5


def test_what_comes_after_the_horizon_does_not_count():
    values = portfolios.long_index(0.01 * np.random.default_rng(0).standard_normal((300, 20)))
    changed = values.copy()
    changed[:, 7:] = 0.01
    assert portfolios.measure(changed, 7) == portfolios.measure(values, 7)
    assert portfolios.measure(changed, 8)["var_95"] == pytest.approx(0.99)
    assert portfolios.measure(values[:, :7], 7) == portfolios.measure(values, 7)


def test_the_largest_drawdown_is_within_the_horizon_and_not_at_its_end():
    values = np.tile([0.8, 1.2, 1.1], (100, 1))
    assert portfolios.measure(values, 3)["mdd_p95"] == pytest.approx(0.2)
    assert portfolios.measure(values, 3)["var_95"] == pytest.approx(-0.1)  # a gain


@pytest.mark.parametrize(
    ("values", "days", "message"),
    [
        (np.where(np.arange(300)[:, None] < 2, np.nan, np.ones((300, 5))), 5, "10 values of the portfolio are not finite"),
        (np.where(np.arange(300)[:, None] < 1, np.inf, np.ones((300, 5))), 5, "5 values of the portfolio are not finite"),
        (np.ones((300, 5)), 6, "6 days does not fit in scenarios of 5"),
        (np.ones((300, 5)), 0, "0 days does not fit in scenarios of 5"),
        (np.ones((99, 5)), 5, "99 scenarios hold no 1 % tail"),
    ],
)
def test_values_that_cannot_be_measured_are_refused(values, days, message):
    with pytest.raises(ValueError, match=message):
        portfolios.measure(values, days)


# the table


def test_stress_rows_measure_every_portfolio_and_horizon():
    path = 0.01 * np.random.default_rng(0).standard_normal((200, 30)).astype(np.float32)
    table = portfolios.stress_rows(path, 25.0, horizons=(10, 30))
    assert set(table.columns) == set(portfolios.COLUMNS) - {"model", "seed", "extrapolated"}
    assert list(table["portfolio"]) == [name for name in portfolios.PORTFOLIOS for _ in range(2)]
    assert list(table["horizon_days"]) == 4 * [10, 30]
    assert (table["target_vix"] == 25).all()
    for _, row in table.iterrows():
        values = portfolios.PORTFOLIOS[row["portfolio"]](path, 25.0)
        for name, value in portfolios.measure(values, row["horizon_days"]).items():
            assert row[name] == pytest.approx(value)


def test_stress_rows_of_ones_own_portfolio():
    given_ = []

    def half(log_returns, vix):
        given_.append(vix)
        return 0.5 + 0.5 * portfolios.long_index(log_returns)

    path = 0.01 * np.random.default_rng(0).standard_normal((200, 30))
    table = portfolios.stress_rows(path, 31.0, horizons=(5,), portfolios={"half": half, "long": portfolios.long_index})
    assert given_ == [31.0]
    table = table.set_index("portfolio")
    assert list(table.index) == ["half", "long"]
    for name in ("var_95", "es_99", "var_99_low", "es_95_high"):
        assert table.loc["half", name] == pytest.approx(table.loc["long", name] / 2)


@pytest.mark.parametrize("wrong", [lambda r, vix: r[:, -1], lambda r, vix: r[:, 1:], lambda r, vix: r.T])
def test_a_portfolio_of_another_shape_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=r"mine returned values of shape .* for paths of shape \(120, 6\)"):
        portfolios.stress_rows(np.zeros((120, 6)), 20.0, horizons=(5,), portfolios={"mine": wrong})


# reverse stress


def test_reverse_stress_by_hand():
    vix, losses = np.array([10.0, 20.0, 40.0, 80.0]), np.array([0.02, 0.04, 0.12, 0.20])
    assert portfolios.reverse_stress(vix, losses, 0.08) == pytest.approx(20 * np.sqrt(2))  # half way in log VIX
    assert portfolios.reverse_stress(vix, losses, 0.18) == pytest.approx(40 * 2**0.75)
    assert portfolios.reverse_stress(vix, losses, 0.12) == pytest.approx(40)
    assert portfolios.reverse_stress(vix, losses, 0.01) == 10  # there already
    assert portfolios.reverse_stress(vix, losses, 0.20) == np.inf  # met and not passed
    assert portfolios.reverse_stress(vix, losses, 0.5) == np.inf


def test_reverse_stress_is_the_first_passage():
    vix, losses = np.array([10.0, 20.0, 40.0, 80.0]), np.array([0.0, 0.1, 0.0, 0.3])
    assert portfolios.reverse_stress(vix, losses, 0.05) == pytest.approx(10 * np.sqrt(2))
    assert portfolios.reverse_stress(vix, losses, 0.15) == pytest.approx(40 * np.sqrt(2))


@given(st.floats(0.05, 0.6), st.integers(2, 30))
@settings(deadline=None)
def test_reverse_stress_finds_the_vix_of_a_loss_that_is_linear_in_its_logarithm(limit, n):
    vix = np.geomspace(10, 90, n)
    level = portfolios.reverse_stress(vix, 0.3 * np.log(vix / 9), limit)
    assert level == pytest.approx(9 * np.exp(limit / 0.3))


def test_reverse_rows_read_the_shortfall_and_the_ends_of_its_interval():
    """A wide interval of the loss is a wide one of the VIX, the other way round."""
    vix = np.array([40.0, 10.0, 20.0, 80.0])  # in any order
    parts = []
    for model, factor in (("a", 1.0), ("b", 2.0)):
        loss = factor * 0.1 * np.log2(vix / 10)
        measures = {"es_99": loss, "es_99_low": loss - 0.05, "es_99_high": loss + 0.05, "var_99": 9.0, "es_95": 9.0}
        parts.append(pd.DataFrame({"target_vix": vix, **measures}).assign(model=model))
    curves = pd.concat(parts).assign(seed=4, portfolio="long", horizon_days=50)
    table = portfolios.reverse_rows(curves, [0.15, 0.28])
    assert list(table.columns) == "model seed portfolio horizon_days limit vix vix_low vix_high at_lowest".split()
    assert table[["model", "limit"]].to_numpy().tolist() == [["a", 0.15], ["a", 0.28], ["b", 0.15], ["b", 0.28]]
    assert set(table["seed"]) == {4}
    expected = [[1.5, 1.0, 2.0], [2.8, 2.3, np.inf], [0.75, 0.5, 1.0], [1.4, 1.15, 1.65]]  # doublings of the VIX
    np.testing.assert_allclose(table[["vix", "vix_low", "vix_high"]], 10 * 2 ** np.array(expected))
    assert not table["at_lowest"].any()
    assert portfolios.reverse_rows(curves, [-0.1])["at_lowest"].all()  # passed before the first level
    table = portfolios.reverse_rows(curves, [0.02])  # passed at the first level by the end of the interval alone
    assert (table["vix_low"] == 10).all()
    assert not table["at_lowest"].any()


def test_values_that_do_not_start_from_one_are_refused():
    """Dollars, or cumulated returns, would give losses that look like numbers."""
    returns = np.random.default_rng(0).normal(0, 0.01, (200, 5))
    for values in (100 * np.exp(returns), np.cumsum(returns, axis=1), np.cumsum(np.abs(returns), axis=1)):
        with pytest.raises(ValueError, match=r"worth .* after a day: return values that start from 1"):
            portfolios.measure(values, 5)


def test_taking_the_drift_off_leaves_the_spread():
    rng = np.random.default_rng(1)
    calm = rng.normal(0, 0.01, (20_000, 50))
    curves = {20.0: calm - calm.mean() + 0.002, 40.0: calm - calm.mean()}
    table = portfolios.drift_rows(curves, horizon=50).set_index("target_vix")
    np.testing.assert_allclose(table["mean"], [0.1, 0.0], atol=1e-9)
    np.testing.assert_allclose(table["es_99_driftless"], table["es_99"][40.0])
    assert table["es_99"][20.0] < table["es_99"][40.0] - 0.05
    assert portfolios.drift_rows(curves, horizon=10)["mean"].to_numpy() == pytest.approx([0.02, 0.0], abs=2e-3)


def test_the_drift_of_every_model_stands_in_one_table():
    rng = np.random.default_rng(1)
    grid = {
        ("a", 0): {20.0: rng.normal(0, 0.01, (200, 5)), 30.0: rng.normal(0, 0.02, (200, 5))},
        ("b", 3): {20.0: rng.normal(0.01, 0.01, (200, 5)), 30.0: rng.normal(0, 0.02, (200, 5))},
    }
    table = portfolios.drift_table(grid, [20.0], horizon=3)
    assert list(zip(table["model"], table["seed"], table["target_vix"], strict=True)) == [("a", 0, 20.0), ("b", 3, 20.0)]
    alone = portfolios.drift_rows({20.0: grid["b", 3][20.0]}, horizon=3)
    pd.testing.assert_frame_equal(table.iloc[[1]][alone.columns].reset_index(drop=True), alone)


def test_drift_by_hand():
    """One scenario of 100 falls by 20 % on the second day: a mean of -.001 a day over two. The third is not asked for."""
    paths = np.zeros((100, 3), dtype=np.float32)
    paths[7, 1], paths[:, 2] = -0.2, 1.0
    (row,) = portfolios.drift_rows({30.0: paths}, horizon=2).to_dict("records")
    expected = {"target_vix": 30, "mean": -0.002, "median": 0, "es_99": 1 - np.exp(-0.2)}
    assert row == pytest.approx(expected | {"es_99_driftless": 1 - np.exp(-0.198)})


@pytest.mark.parametrize("vix", [0.45, -45.0, float("nan"), float("inf")])
def test_a_vix_that_is_not_in_index_points_is_refused(vix):
    with pytest.raises(ValueError, match="give index points"):
        portfolios.stress_rows(np.full((50, 5), 0.01), vix, horizons=(1,))


@pytest.mark.parametrize("value", [1.2, float("nan")])
def test_returns_in_percent_are_refused(value):
    with pytest.raises(ValueError, match="give finite fractions"):
        portfolios.stress_rows(np.full((50, 5), value), 20, horizons=(1,))
