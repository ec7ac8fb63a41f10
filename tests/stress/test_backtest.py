"""Backtests against ratios worked by hand, published regions, and forecasts whose rightness is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chaoslib.models.classical import GJR
from chaoslib.stress import backtest
from chaoslib.stress.backtest import Tail

CRITICAL = 3.841  # chi-squared of one degree at 95 %
CONSTANT = {"mean": 0.0, "omega": 0.0, "alpha": 0.0, "gamma": 0.0, "beta": 1.0}  # a GJR whose variance never changes


def hits_of(text: str) -> np.ndarray:
    return np.array([day == "1" for day in text])


def with_hits(x: int, n: int) -> np.ndarray:
    """n days, x of them hits."""
    return np.arange(n) < x


def normal_tail(sigma: np.ndarray, n: int = 2000) -> Tail:
    """Forecasts N(0, sigma^2) for each of sigma (T,), as n evenly spaced quantiles."""
    return Tail(sigma[:, None] * stats.norm.ppf((np.arange(n // 20) + 0.5) / n), n)


def normal_forecast(level: float) -> tuple[float, float]:
    """Value at risk and expected shortfall of N(0, 1)."""
    quantile = stats.norm.ppf(level)
    return quantile, -stats.norm.pdf(quantile) / level


# tails


def test_a_tail_holds_the_smallest_outcomes_in_order():
    rng = np.random.default_rng(0)
    outcomes = np.stack([rng.permutation(200) - 100.0, 10.0 * rng.permutation(200)])
    tail = backtest.tail_of(outcomes)
    assert tail.n == 200
    np.testing.assert_array_equal(tail.values, [np.arange(-100, -90), 10 * np.arange(10)])
    np.testing.assert_array_equal(tail.quantile(0.05), [-91, 90])
    np.testing.assert_array_equal(tail.shortfall(0.05), [-95.5, 45])
    np.testing.assert_array_equal(tail.quantile(0.01), [-99, 10])  # the second smallest
    np.testing.assert_array_equal(tail.shortfall(0.01), [-99.5, 5])


@pytest.mark.parametrize(
    ("level", "n", "count"), [(0.01, 500, 5), (0.05, 500, 25), (0.05, 100, 5), (0.01, 199, 1), (0.035, 1000, 35)]
)
def test_a_level_counts_whole_outcomes(level, n, count):
    assert backtest.tail_of(np.zeros((1, n))).count(level) == count


@given(st.integers(1, 1000), st.integers(1000, 20_000))
@settings(deadline=None)
def test_a_level_that_is_a_fraction_of_n_is_not_lost_to_rounding(count, n):
    level = min(count, n // 20) / n
    assert backtest.tail_of(np.zeros((1, n))).count(level) == min(count, n // 20)


@pytest.mark.parametrize(
    ("level", "n", "message"),
    [
        (0.01, 99, "0.01 of 99 outcomes is 0 of them, and the 4 smallest were kept"),
        (0.06, 100, "6 of them, and the 5 smallest"),
        (0.05, 19, "0 of them, and the 0 smallest"),
    ],
)
def test_a_level_that_the_tail_does_not_hold_is_refused(level, n, message):
    tail = backtest.tail_of(np.zeros((3, n)))
    for ask in (tail.count, tail.quantile, tail.shortfall):
        with pytest.raises(ValueError, match=message):
            ask(level)


@pytest.mark.parametrize("level", [0.01, 0.025, 0.05])
def test_tail_of_a_normal_law(level):
    outcomes = np.random.default_rng(0).permutation(stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000))
    tail = backtest.tail_of(np.stack([outcomes, 3 * outcomes + 1]))
    quantile, shortfall = normal_forecast(level)
    np.testing.assert_allclose(tail.quantile(level), [quantile, 3 * quantile + 1], rtol=1e-3)
    np.testing.assert_allclose(tail.shortfall(level), [shortfall, 3 * shortfall + 1], rtol=1e-3)


def test_rolling_sums_by_hand():
    path = np.array([1, 2, 4, 8, 16], dtype=np.float32)
    np.testing.assert_array_equal(backtest.rolling_sums(path, 1), path)
    np.testing.assert_array_equal(backtest.rolling_sums(path, 3), [7, 14, 28])
    np.testing.assert_array_equal(backtest.rolling_sums(path, 5), [31])


# forecasts from windows, by VIX


def windows_at(level: float) -> np.ndarray:
    """(2000, 8) windows that are linear in log VIX, always with the same noise."""
    return 0.01 * np.log(level) * np.random.default_rng(0).standard_normal((2000, 8))


def test_vix_tails_are_those_of_the_windows_on_the_grid_and_between():
    levels, vix = np.array([10.0, 20.0, 80.0]), np.array([80.0, 10.0, 13.0, 55.5, 20.0])
    tails = backtest.vix_tails(windows_at, levels, vix, horizons=(1, 5, 8))
    assert list(tails) == [1, 5, 8]
    for days, tail in tails.items():
        assert tail.n == 2000
        for row, level in enumerate(vix):
            of_level = np.sort(windows_at(level)[:, :days].sum(axis=1))[:100]
            np.testing.assert_allclose(tail.values[row], of_level, rtol=1e-6)


def test_a_fine_grid_is_near_exact_for_windows_that_scale_with_vix():
    def scaled(level):
        return level * windows_at(np.e)

    tails = backtest.vix_tails(scaled, np.geomspace(10, 80, 20), np.array([11.1, 37.0]), horizons=(5,))
    base = backtest.tail_of(scaled(1.0)[None, :, :5].sum(axis=2)).values
    np.testing.assert_allclose(tails[5].values, np.array([[11.1], [37.0]]) * base, rtol=0.002)


def test_vix_tails_ask_once_a_level_and_refuse_a_vix_beyond_the_grid():
    requests = []
    levels = np.array([10.0, 20.0, 80.0])

    def sample(level):
        requests.append(level)
        return windows_at(level)

    backtest.vix_tails(sample, levels, np.full(50, 30.0), horizons=(1, 5))
    assert requests == [10, 20, 80]
    for vix in (9.9, 80.1):
        with pytest.raises(ValueError, match="is asked of a grid from 10 to 80"):
            backtest.vix_tails(sample, levels, np.array([20.0, vix]), horizons=(1,))


# forecasts by filtered historical simulation


def test_gjr_tails_of_one_day_are_the_mean_and_scaled_shocks():
    shocks = stats.t.ppf((np.arange(2000) + 0.5) / 2000, df=5)
    gjr = GJR(0.05, 0.02, 0.03, 0.15, 0.88, np.ones(2000), shocks)
    variance = np.array([0.25, 1.0, 9.0])
    tail = backtest.gjr_tails(gjr, variance, horizons=(1,), n=40_000, seed=0)[1]
    assert tail.n == 40_000
    for level in (0.01, 0.05):
        expected = (0.05 + np.sqrt(variance) * np.quantile(shocks, level)) / 100
        np.testing.assert_allclose(tail.quantile(level), expected, rtol=0.04)
        expected = (0.05 + np.sqrt(variance) * shocks[shocks <= np.quantile(shocks, level)].mean()) / 100
        np.testing.assert_allclose(tail.shortfall(level), expected, rtol=0.04)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_gjr_tails_add_up_the_first_days(beta):
    """Where the variance stays, or is halved every day, a sum of days is normal with the sum of their variances."""
    shocks = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    gjr = GJR(**CONSTANT | {"mean": -0.1, "beta": beta}, variance=np.ones(2000), shocks=shocks)
    tails = backtest.gjr_tails(gjr, np.array([1.0, 4.0]), horizons=(1, 4, 9), n=40_000, seed=0)
    for days, tail in tails.items():
        deviation = np.sqrt(np.sum(beta ** np.arange(days))) * np.array([1, 2])
        expected = (-0.1 * days + deviation * stats.norm.ppf(0.05)) / 100
        np.testing.assert_allclose(tail.quantile(0.05), expected, rtol=0.03)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_each_day_is_forecast_from_its_own_variance_whatever_the_chunk(chunk):
    shocks = np.repeat([-3.0, 0.5], [100, 900])  # so that the tail is all -3
    gjr = GJR(**CONSTANT, variance=np.ones(1000), shocks=shocks)
    variance = np.array([4.0, 1.0, 0.01, 9.0, 2.0, 0.5, 16.0])
    tail = backtest.gjr_tails(gjr, variance, horizons=(1,), n=1000, seed=0, chunk=chunk)[1]
    np.testing.assert_allclose(tail.values, np.tile(-0.03 * np.sqrt(variance)[:, None], 50), rtol=1e-6)


def test_gjr_tails_go_on_with_fresh_noise_and_repeat_with_the_seed():
    shocks = np.random.default_rng(0).standard_normal(5000)
    gjr = GJR(**CONSTANT, variance=np.ones(5000), shocks=shocks)

    def tails(seed):
        return backtest.gjr_tails(gjr, np.ones(4), horizons=(1,), n=500, seed=seed, chunk=2)[1].values

    np.testing.assert_array_equal(tails(0), tails(0))
    assert not np.array_equal(tails(0), tails(1))
    assert len(np.unique(tails(0), axis=0)) == 4  # no chunk sees the noise of another


# forecasts by historical simulation


@pytest.fixture
def path() -> np.ndarray:
    return 0.01 * np.random.default_rng(0).standard_t(4, size=180)


def test_historical_tails_are_those_of_the_stretches_that_had_ended(path):
    window, first = 100, 120
    tails = backtest.historical_tails(path, first, horizons=(1, 4, 10), window=window)
    for days, tail in tails.items():
        assert tail.n == window
        assert len(tail.values) == len(path) - first
        for row, day in enumerate(range(first, len(path))):
            known = [path[end - days : end].sum() for end in range(day, day - window, -1)]  # up to the day before
            np.testing.assert_allclose(tail.values[row], sorted(known)[:5], atol=1e-12)


@pytest.mark.parametrize("day", [125, 150, 179])
def test_historical_tails_never_look_at_the_day_they_forecast_or_later(path, day):
    tails = backtest.historical_tails(path, 120, horizons=(1, 10), window=100)
    path[day:] = -9.0
    changed = backtest.historical_tails(path, 120, horizons=(1, 10), window=100)
    for days in tails:
        before = day - 120 + 1  # the forecast for this day included
        np.testing.assert_array_equal(changed[days].values[:before], tails[days].values[:before])
        assert (changed[days].values[before:, 0] < -8).all()  # and the day after knows


def test_historical_simulation_needs_a_full_window_before_the_first_forecast(path):
    with pytest.raises(ValueError, match="108 days before the first forecast: 109 are needed"):
        backtest.historical_tails(path, 108, horizons=(1, 10), window=100)
    assert backtest.historical_tails(path, 109, horizons=(1, 10), window=100)[10].values.shape == (71, 5)


# Kupiec


@pytest.mark.parametrize(
    ("x", "n", "expected"),
    [
        # 2 [x ln(x / pn) + (n - x) ln((1 - x/n) / (1 - p))] at p = 1 %
        (0, 250, 5.0252),
        (1, 250, 1.1765),
        (3, 250, 0.0949),
        (5, 250, 1.9568),
        (10, 250, 12.9555),
        (5, 1000, 3.0937),
        (10, 1000, 0.0),
        (16, 1000, 3.0766),
        (20, 1000, 7.8272),
    ],
)
def test_kupiec_ratio_by_hand(x, n, expected):
    assert backtest.kupiec(with_hits(x, n), 0.01) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("n", "accepted"), [(255, range(1, 7)), (510, range(2, 11)), (1000, range(5, 17))])
def test_kupiec_region_of_one_per_cent_is_the_published_one(n, accepted):
    """Kupiec 1995: x < 7 of 255, 1 < x < 11 of 510, 4 < x < 17 of 1,000, no hit at all being left aside."""
    inside = [x for x in range(1, 40) if backtest.kupiec(with_hits(x, n), 0.01) < CRITICAL]
    assert inside == list(accepted)


@pytest.mark.parametrize(("level", "n"), [(0.01, 100), (0.05, 1000), (0.25, 8)])
def test_kupiec_is_nothing_at_the_rate_itself_and_closed_at_the_ends(level, n):
    assert backtest.kupiec(with_hits(round(level * n), n), level) == pytest.approx(0, abs=1e-9)
    assert backtest.kupiec(with_hits(0, n), level) == pytest.approx(-2 * n * np.log(1 - level))
    assert backtest.kupiec(with_hits(n, n), level) == pytest.approx(-2 * n * np.log(level))


@given(st.lists(st.booleans(), min_size=1, max_size=60))
@settings(deadline=None)
def test_kupiec_knows_neither_the_order_nor_the_name_of_a_hit(hits):
    hits = np.array(hits)
    ratio = backtest.kupiec(hits, 0.2)
    assert backtest.kupiec(np.sort(hits), 0.2) == pytest.approx(ratio, abs=1e-9)
    assert backtest.kupiec(~hits, 0.8) == pytest.approx(ratio, abs=1e-9)
    assert ratio > -1e-9


# Christoffersen


def test_christoffersen_ratio_by_hand():
    """0110 0100 holds 00 twice, 01 twice, 10 twice and 11 once: rates 1/2 and 1/3 against 3/7."""
    expected = 2 * (4 * np.log(1 / 2) + np.log(1 / 3) + 2 * np.log(2 / 3) - 3 * np.log(3 / 7) - 4 * np.log(4 / 7))
    assert expected == pytest.approx(0.19645, abs=1e-5)
    assert backtest.christoffersen(hits_of("01100100")) == pytest.approx(expected)


def test_christoffersen_ratio_of_an_alternating_series_is_all_of_the_entropy():
    assert backtest.christoffersen(hits_of("010101010")) == pytest.approx(16 * np.log(2))  # 8 pairs, each certain


def test_a_lone_hit_is_hardly_dependent():
    """One 01 and one 10 among 9 pairs: rates 1/8 and 0 against 1/9."""
    expected = 2 * (np.log(1 / 8) + 7 * np.log(7 / 8) - np.log(1 / 9) - 8 * np.log(8 / 9))
    assert backtest.christoffersen(hits_of("0000100000")) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["0000000000", "1111111111", "0000000001", "1111111110"])
def test_nothing_depends_where_all_that_comes_before_is_alike(text):
    assert backtest.christoffersen(hits_of(text)) == pytest.approx(0, abs=1e-12)


@given(st.lists(st.booleans(), min_size=3, max_size=60))
@settings(deadline=None)
def test_christoffersen_does_not_know_which_of_the_two_is_the_hit(hits):
    hits = np.array(hits)
    ratio = backtest.christoffersen(hits)
    assert ratio >= 0
    assert backtest.christoffersen(~hits) == pytest.approx(ratio, abs=1e-9)


def test_christoffersen_has_its_law_on_independent_hits_of_any_rate():
    for rate in (0.05, 0.3):
        ratios = backtest.christoffersen(np.random.default_rng(0).random((4000, 2000)) < rate)
        assert ratios.mean() == pytest.approx(1, abs=0.12)
        assert np.mean(ratios > CRITICAL) == pytest.approx(0.05, abs=0.02)


def test_hits_that_come_together_are_found_out():
    clustered = with_hits(50, 1000)
    shuffled = np.random.default_rng(0).permutation(clustered)
    assert backtest.christoffersen(clustered) > 100
    assert backtest.christoffersen(shuffled) < CRITICAL
    assert backtest.kupiec(clustered, 0.05) == pytest.approx(0, abs=1e-9)  # which their number alone does not tell


# all statistics


def test_statistics_go_along_the_last_axis_of_a_stack():
    rng = np.random.default_rng(0)
    outcome, level = rng.standard_normal((2, 3, 400)), 0.05
    forecast = np.array([1.0, 1.5])[:, None, None] * np.array(normal_forecast(level))[:, None, None, None]
    quantile, shortfall = np.broadcast_to(forecast, (2, *outcome.shape))
    hits = outcome < quantile
    hits[0, 1] = False
    for statistic, given_ in (
        (lambda hits: backtest.kupiec(hits, level), (hits,)),
        (backtest.christoffersen, (hits,)),
        (lambda *each: backtest.z2(*each, level), (outcome, quantile, shortfall)),
    ):
        together = statistic(*given_)
        assert together.shape == (2, 3)
        for row in np.ndindex(2, 3):
            assert together[row] == pytest.approx(statistic(*(each[row] for each in given_)))
        assert len(np.unique(together)) > 3


# Z2 of Acerbi & Szekely


def test_z2_by_hand():
    quantile, shortfall = np.full(10, -0.02), np.full(10, -0.03)
    quiet, hit = np.zeros(10), np.array([-0.03, *[0.0] * 9])
    assert backtest.z2(quiet, quantile, shortfall, 0.1) == 1
    assert backtest.z2(hit, quantile, shortfall, 0.1) == pytest.approx(0)  # one hit of the expected size
    assert backtest.z2(2 * hit, quantile, shortfall, 0.1) == pytest.approx(-1)  # twice the size
    assert backtest.z2(hit + hit[::-1], quantile, shortfall, 0.1) == pytest.approx(-1)  # or twice as many
    assert backtest.z2(hit, quantile, shortfall, 0.05) == pytest.approx(-1)  # or half as many expected
    assert backtest.z2(hit, quantile, 2 * shortfall, 0.1) == pytest.approx(0.5)
    assert backtest.z2(quantile, quantile, shortfall, 0.1) == 1  # what equals the value at risk is no hit


def test_each_outcome_of_z2_meets_its_own_forecast():
    scale = np.array([1.0, 10.0, 100.0, 1000.0])
    outcome = scale * np.array([-3.0, -1.0, -1.9, -6.0])
    assert backtest.z2(outcome, -2 * scale, -3 * scale, 0.25) == pytest.approx(1 - (1 + 2))


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.25, 2.0])
@pytest.mark.parametrize("level", [0.01, 0.05])
def test_z2_expects_nothing_of_a_right_forecast_and_falls_with_risk_that_was_not_seen(sigma, level):
    """Outcomes N(0, sigma^2), forecasts N(0, 1): E Z2 = 1 - sigma phi(z / sigma) / phi(z)."""
    outcome = sigma * stats.norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    quantile, shortfall = (np.full(len(outcome), each) for each in normal_forecast(level))
    expected = 1 - sigma * stats.norm.pdf(quantile[0] / sigma) / stats.norm.pdf(quantile[0])
    assert backtest.z2(outcome, quantile, shortfall, level) == pytest.approx(expected, abs=0.005)
    assert np.sign(np.round(expected, 9)) == np.sign(1 - sigma)


# FZ0


def test_fz0_by_hand():
    """In percent: v/e = 0.8, ln 2.5 = 0.9163, and a hit that is 1 beyond the value at risk adds 1 / (5 % of 2.5) = 8."""
    outcome = np.array([0.01, -0.019, -0.02, -0.03])
    loss = backtest.fz0(outcome, np.full(4, -0.02), np.full(4, -0.025), 0.05)
    np.testing.assert_allclose(loss, 0.8 + np.log(2.5) - 1 + np.array([0, 0, 0, 8]))


def test_fz0_is_least_at_the_true_value_at_risk_and_shortfall():
    outcome = 0.01 * stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)

    def loss(level, quantile_factor, shortfall_factor):
        quantile, shortfall = normal_forecast(level)
        return backtest.fz0(outcome, 0.01 * quantile_factor * quantile, 0.01 * shortfall_factor * shortfall, level).mean()

    for level in (0.01, 0.05):
        best = loss(level, 1, 1)
        for wrong in (0.8, 0.95, 1.05, 1.2):
            assert loss(level, wrong, 1) > best
            assert loss(level, 1, wrong) > best
            assert loss(level, wrong, wrong) > best
        # at the truth the loss is ln of the shortfall, in percent
        assert best == pytest.approx(np.log(-normal_forecast(level)[1]), abs=1e-3)


@pytest.mark.parametrize("shortfall", [0.0, 0.002])
def test_fz0_refuses_a_shortfall_that_is_no_loss(shortfall):
    with pytest.raises(ValueError, match=f"shortfall of {shortfall:g} is no loss"):
        backtest.fz0(np.zeros(3), np.full(3, -0.01), np.array([-0.02, shortfall, -0.01]), 0.05)


# Diebold & Mariano


def dm_size(differences: np.ndarray, *, horizon: int, at: float = 0.05) -> float:
    """Share of rows (draws, n) of loss differences that are told from zero."""
    p = [backtest.diebold_mariano(row, np.zeros_like(row), horizon=horizon) for row in differences]
    return float(np.mean(np.array(p) < at))


def overlapping(draws: int, n: int, horizon: int) -> np.ndarray:
    """(draws, n) sums of `horizon` neighbours of white noise: a moving average of order horizon - 1."""
    noise = np.random.default_rng(0).standard_normal((draws, n + horizon - 1))
    return np.stack([backtest.rolling_sums(row, horizon) for row in noise])


def test_equal_losses_are_not_told_apart_and_clearly_unequal_ones_are():
    rng = np.random.default_rng(0)
    loss = rng.standard_normal(500)
    assert backtest.diebold_mariano(loss, loss.copy(), horizon=10) == 1
    worse = loss + 0.3 + rng.standard_normal(500)
    for horizon in (1, 10):
        p = backtest.diebold_mariano(loss, worse, horizon=horizon)
        assert p < 1e-3
        assert backtest.diebold_mariano(worse, loss, horizon=horizon) == pytest.approx(p)  # two-sided
        assert backtest.diebold_mariano(7 * loss + 1, 7 * worse + 1, horizon=horizon) == pytest.approx(p)


def test_p_values_of_independent_differences_are_those_of_a_two_sided_normal_test():
    differences = overlapping(800, 1000, 1)
    for at in (0.05, 0.3, 0.7):
        assert dm_size(differences, horizon=1, at=at) == pytest.approx(at, abs=0.05)


def test_a_gap_is_measured_in_deviations_of_the_noise_around_it():
    noise = np.random.default_rng(0).standard_normal(2000)
    gap = 0.4 + (noise - noise.mean()) / noise.std()
    for horizon in (1, 10):
        p = backtest.diebold_mariano(gap, np.zeros(2000), horizon=horizon)
        assert stats.norm.isf(p / 2) == pytest.approx(0.4 * np.sqrt(2000), rel=0.2)


def test_overlap_is_allowed_for_when_the_horizon_is_told():
    differences = overlapping(500, 1500, 10)
    right, wrong = (dm_size(differences, horizon=horizon) for horizon in (10, 1))
    assert 0.02 < right < 0.12  # Bartlett weights see 84 % of the long-run variance: 7 % at nominal 5 %
    assert wrong > right + 0.04


# simulated nulls


@pytest.mark.parametrize("horizon", [1, 2, 10])
def test_overlapping_uniforms_are_uniform_and_as_dependent_as_their_overlap(horizon):
    uniforms = backtest.overlapping_uniforms(60, horizon=horizon, draws=20_000, seed=0)
    assert uniforms.shape == (20_000, 60)
    for day in (0, 30, 59):
        assert stats.kstest(uniforms[:, day], "uniform").pvalue > 0.01
    scores = stats.norm.ppf(uniforms)
    for lag in (1, 2, 9, 10, 11):
        expected = max(horizon - lag, 0) / horizon
        assert np.mean(scores[:, 20] * scores[:, 20 + lag]) == pytest.approx(expected, abs=0.03)


def test_overlapping_uniforms_repeat_with_the_seed():
    first, again, other = (backtest.overlapping_uniforms(5, horizon=2, draws=3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()


def test_p_value_counts_itself_and_ties():
    null = np.array([1.0, 2.0, 3.0, 4.0])
    assert backtest.p_value(2.5, null) == pytest.approx(3 / 5)
    assert backtest.p_value(3.0, null) == pytest.approx(3 / 5)
    assert backtest.p_value(3.0 + 1e-14, null) == pytest.approx(3 / 5)  # equal but for rounding
    assert backtest.p_value(5.0, null) == pytest.approx(1 / 5)
    assert backtest.p_value(0.0, null) == 1


def test_ten_day_hits_are_judged_by_their_overlap_and_not_by_chi_squared():
    level, n, horizon = 0.05, 1000, 10
    hits = overlapping(600, n, horizon) / np.sqrt(horizon) < stats.norm.ppf(level)
    ratios = backtest.kupiec(hits, level)
    assert 0.3 < np.mean(ratios > CRITICAL) < 0.5  # known: 5 % nominal
    null = backtest.kupiec(backtest.overlapping_uniforms(n, horizon=horizon, draws=2000, seed=1) < level, level)
    p = np.array([backtest.p_value(ratio, null) for ratio in ratios])
    for at in (0.05, 0.5):
        assert np.mean(p <= at) == pytest.approx(at, abs=0.04 + 0.04 * at)


def test_heavy_tails_stretch_the_size_of_ten_day_tests_a_little():
    """A single shock makes ten hits. The null, of normal days, does not know: up to a tenth at nominal 5 %, not a third."""
    level, n, horizon, rng = 0.01, 1000, 10, np.random.default_rng(0)
    days = rng.standard_t(5, size=(1500, n + horizon - 1))
    sums = np.stack([backtest.rolling_sums(row, horizon) for row in days])
    truth = np.quantile(rng.standard_t(5, size=(400_000, horizon)).sum(axis=1), level)
    null = backtest.overlapping_uniforms(n, horizon=horizon, draws=2000, seed=1) < level
    for statistic in (lambda hits: backtest.kupiec(hits, level), backtest.christoffersen):
        ratios, simulated = statistic(sums < truth), np.sort(statistic(null))
        size = np.mean([backtest.p_value(ratio, simulated) <= 0.05 for ratio in ratios])
        assert 0.055 < size < 0.13
    assert np.mean(backtest.kupiec(sums < truth, level) > CRITICAL) > 0.3


def garch_paths(variance: np.ndarray, days: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns and conditional variances (n, days) of a normal GARCH(1,1), 1 % a day, from variances (n,)."""
    rng = np.random.default_rng(seed)
    returns, variances = np.empty((2, len(variance), days))
    for day in range(days):
        variances[:, day], returns[:, day] = variance, np.sqrt(variance) * rng.standard_normal(len(variance))
        variance = 0.02e-4 + 0.10 * returns[:, day] ** 2 + 0.88 * variance
    return returns, variances


@pytest.fixture(scope="module")
def garch_rows() -> dict[int, list[dict]]:
    """Horizon -> assessments at 5 % of true conditional forecasts, one for each of many GARCH paths."""
    horizons, n, draws = (1, 10), 500, 400
    returns, variances = (each[:, 200:] for each in garch_paths(np.full(160, 1e-4), 200 + n, seed=0))
    grid = np.geomspace(0.99 * variances.min(), 1.01 * variances.max(), 15)

    def sample(variance):
        return garch_paths(np.full(40_000, variance), max(horizons), seed=1)[0]

    sorted_sums = {days: [np.sort(sample(level)[:, :days].sum(axis=1)) for level in grid] for days in horizons}
    rows = {days: [] for days in horizons}
    for path, variance in zip(returns, variances, strict=True):
        for days in horizons:
            columns = np.array(sorted_sums[days])[:, 10:2000:20]  # 100 of 2,000 outcomes
            values = np.stack([np.interp(np.log(variance), np.log(grid), column) for column in columns.T], axis=1)
            outcome = backtest.rolling_sums(path, days)
            tail = Tail(values[: len(outcome)], 2000)
            options = {"horizon": days, "level": 0.05, "draws": draws, "seed": 2}
            rows[days].append(backtest.assess(tail, outcome, tail, **options))
    return rows


@pytest.mark.parametrize("horizon", [1, 10])
@pytest.mark.parametrize("name", ["kupiec_p", "christoffersen_p", "as_z2_p"])
def test_a_right_forecast_of_changing_volatility_is_rarely_rejected(garch_rows, horizon, name):
    """The null is of independent days, the truth is of changing volatility: the size holds all the same."""
    p = np.array([row[name] for row in garch_rows[horizon]])
    assert np.mean(p <= 0.05) < 0.12
    assert 0.35 < np.mean(p <= 0.5) < 0.65
    z2 = np.array([row["as_z2"] for row in garch_rows[horizon]])
    assert abs(z2.mean()) < 3 * z2.std() / np.sqrt(len(z2)) + 0.03


# assessments


def assess(tail: Tail, outcome: np.ndarray, rival: Tail | None = None, **options) -> dict:
    options = {"horizon": 1, "level": 0.05, "draws": 500, "seed": 0} | options
    return backtest.assess(tail, outcome, tail if rival is None else rival, **options)


def test_an_assessment_by_hand():
    tail = Tail(np.tile([-0.03, -0.02], (40, 1)), 40)  # at 5 % a value at risk of -2 % and a shortfall of -2.5 %
    outcome = np.array([-0.025, -0.05, -0.02, *[0.01] * 37])  # two hits, as expected; their mean is 1.5 shortfalls
    row = assess(tail, outcome)
    assert (row["n"], row["hits"], row["horizon_days"], row["level"]) == (40, 2, 1, 0.05)
    assert row["expected"] == pytest.approx(2)
    assert row["kupiec_p"] == 1  # no number of hits is nearer
    assert row["as_z2"] == pytest.approx(1 - 1.5)
    assert row["hit_ratio"] == pytest.approx(1.5)
    beyond = (0.5 + 3) / (0.05 * 2.5)  # of the value at risk, in percent, by both hits
    assert row["fz0"] == pytest.approx(0.8 + np.log(2.5) - 1 + beyond / 40)
    assert row["dm_p_vs_fhs"] == 1


def test_severity_is_of_the_hits_alone_and_each_has_its_own_shortfall():
    tail = Tail(np.linspace(1, 4, 40)[:, None] * [-0.03, -0.02], 40)  # the shortfall goes from -2.5 % to -10 %
    outcome = np.zeros(40)
    outcome[[0, -1]] = -0.025, -0.2
    assert assess(tail, outcome)["hit_ratio"] == pytest.approx((1 + 2) / 2)
    assert assess(tail, 2 * outcome)["hit_ratio"] == pytest.approx(1 + 2)
    assert np.isnan(assess(tail, 0 * outcome)["hit_ratio"])


def test_overlap_makes_the_same_hits_less_surprising():
    tail = normal_tail(np.ones(500))
    outcome = np.where(with_hits(40, 500), -2.0, 0.0)  # 25 are expected
    alone, overlapped = (assess(tail, outcome, horizon=horizon) for horizon in (1, 10))
    assert alone["kupiec_p"] < 0.02
    assert overlapped["kupiec_p"] > 0.1
    assert alone["christoffersen_p"] < 0.01
    assert overlapped["as_z2_p"] > 3 * alone["as_z2_p"]
    assert alone["as_z2"] == overlapped["as_z2"]


def test_z2_rejects_risk_that_was_not_seen_and_not_risk_that_was_overstated():
    outcome = np.random.default_rng(0).permutation(stats.norm.ppf((np.arange(1000) + 0.5) / 1000))
    p = [assess(normal_tail(np.full(1000, sigma)), outcome)["as_z2_p"] for sigma in (0.7, 1.0, 1.5)]
    assert p[0] < 0.01
    assert 0.3 < p[1] < 0.7
    assert p[2] > 0.95


def test_losses_are_compared_with_those_of_the_rival():
    outcome = np.random.default_rng(0).standard_normal(1000)
    right, wild = normal_tail(np.ones(1000)), normal_tail(np.full(1000, 2.5))
    ours, theirs = assess(right, outcome, wild), assess(wild, outcome, right)
    assert ours["fz0"] < theirs["fz0"]
    assert ours["dm_p_vs_fhs"] == pytest.approx(theirs["dm_p_vs_fhs"])
    assert ours["dm_p_vs_fhs"] < 0.01
    assert assess(right, outcome)["dm_p_vs_fhs"] == 1


def test_overlap_makes_a_gap_of_losses_less_certain():
    (outcome,) = overlapping(1, 1500, 10) / np.sqrt(10)
    right, wide = normal_tail(np.ones(1500)), normal_tail(np.full(1500, 1.3))
    alone, overlapped = (assess(right, outcome, wide, horizon=horizon)["dm_p_vs_fhs"] for horizon in (1, 10))
    assert overlapped > 1.5 * alone


def test_the_null_of_z2_is_drawn_from_the_whole_tail_of_the_forecast():
    """Of 40 outcomes one is a large loss and one hardly any: as much was lost as by 2.1 large ones, so 3 beat it."""
    tail = Tail(np.tile([-1.0, -0.01], (40, 1)), 40)
    outcome = np.append([-1.06, -1.06], np.zeros(38))
    row = assess(tail, outcome, draws=5000)
    assert row["as_z2"] == pytest.approx(1 - 2 * 1.06 / 0.505 / 2)
    assert row["as_z2_p"] == pytest.approx(stats.binom.sf(2, 40, 1 / 40), abs=0.015)


# the table


@pytest.fixture(scope="module")
def table():
    """Forecasters of days whose volatility goes up and down, one of whom knows it."""
    sigma = 0.01 * np.exp(0.6 * np.sin(np.arange(1509) / 60))
    path = sigma * np.random.default_rng(0).standard_normal(1509)
    over = {days: np.sqrt(backtest.rolling_sums(np.append(sigma, sigma[:9]) ** 2, days))[:1500] for days in (1, 10)}
    scales = {("true", 3): 1.0, ("half", 0): 0.5, ("double", 0): 2.0, ("gjr_fhs", 0): 1.1}
    forecasts = {
        model: {days: normal_tail(factor * each) for days, each in over.items()} for model, factor in scales.items()
    }
    return backtest.rows(forecasts, path[:1500], split="test", clamped={("half", 0): 7}, draws=500)


def of(table, model: str):
    return table[table["model"] == model].set_index(["horizon_days", "level"])


def test_the_table_has_one_row_a_model_horizon_and_level(table):
    assert list(table.columns) == backtest.COLUMNS
    assert len(table) == 4 * 2 * 2
    assert not table.drop(columns="hit_ratio").isna().any(axis=None)
    assert (table["hit_ratio"].isna() == (table["hits"] == 0)).all()
    assert (table["hit_ratio"].dropna() > 0).all()
    assert set(table["split"]) == {"test"}
    assert dict(table.groupby("model")["seed"].first()) == {"true": 3, "half": 0, "double": 0, "gjr_fhs": 0}
    assert dict(table.groupby("model")["clamped"].max()) == {"true": 0, "half": 7, "double": 0, "gjr_fhs": 0}
    assert list(of(table, "true").index) == [(1, 0.01), (1, 0.05), (10, 0.01), (10, 0.05)]


def test_forecasts_whose_horizon_ends_beyond_the_path_are_left_out(table):
    assert set(table.loc[table["horizon_days"] == 1, "n"]) == {1500}
    assert set(table.loc[table["horizon_days"] == 10, "n"]) == {1491}
    np.testing.assert_allclose(table["expected"], table["level"] * table["n"])


def test_a_perfect_forecaster_is_not_rejected(table):
    tests = of(table, "true")[["kupiec_p", "christoffersen_p", "as_z2_p"]]
    assert tests.min(axis=None) > 0.01  # twelve of them
    assert of(table, "true")["as_z2"].abs().max() < 0.5


def test_half_the_volatility_is_rejected_and_twice_is_known_for_caution(table):
    half, double, true = (of(table, model) for model in ("half", "double", "true"))
    assert (half["kupiec_p"] < 0.01).all()
    assert (half["as_z2_p"] < 0.01).all()
    assert (half["as_z2"] < -2).all()
    assert (half["hits"] > 2.5 * half["expected"]).all()
    assert (double["as_z2"] > 0.5).all()
    assert (double["as_z2_p"] > 0.8).all()
    assert (double.loc[1, "kupiec_p"] < 0.01).all()
    for wrong in (half, double):
        assert (true["fz0"] < wrong["fz0"]).all()


def test_the_rival_is_not_told_from_itself(table):
    assert (of(table, "gjr_fhs")["dm_p_vs_fhs"] == 1).all()
    assert (of(table, "half")["dm_p_vs_fhs"] < 0.05).all()


def test_every_forecast_meets_the_stretch_that_begins_on_its_day():
    path = -0.01 - 0.01 * np.random.default_rng(0).random(60)
    whole = {days: np.append(backtest.rolling_sums(path, days), np.full(days - 1, np.nan)) for days in (1, 5)}

    def table(margin):
        tails = {days: Tail(np.repeat(sums[:, None] + margin, 5, axis=1), 100) for days, sums in whole.items()}
        return backtest.rows({("gjr_fhs", 0): tails}, path, split="test", levels=(0.05,), draws=50)

    assert list(table(-1e-9)["hits"]) == [0, 0]
    assert list(table(1e-9)["hits"]) == [60, 56]


def test_any_model_can_be_the_rival_and_levels_can_be_chosen():
    path = 0.01 * np.random.default_rng(0).standard_normal(300)
    forecasts = {("a", 1): {1: normal_tail(np.full(300, 0.01))}, ("b", 2): {1: normal_tail(np.full(300, 0.03))}}
    table = backtest.rows(forecasts, path, split="val", levels=(0.025,), rival=("b", 2), draws=50)
    assert list(table["level"]) == [0.025, 0.025]
    assert list(table["dm_p_vs_fhs"] == 1) == [False, True]


@pytest.mark.parametrize("count", [299, 301])
def test_there_is_one_forecast_for_each_day_of_the_path(count):
    forecasts = {("gjr_fhs", 0): {1: normal_tail(np.ones(count))}}
    path = np.random.default_rng(0).standard_normal(300)
    for judge in (lambda: backtest.rows(forecasts, path, split="test"), lambda: backtest.loss_gaps(forecasts, path)):
        with pytest.raises(ValueError, match=f"{count} forecasts for 300 days: give one for each day"):
            judge()


def test_a_horizon_longer_than_the_windows_is_refused():
    with pytest.raises(ValueError, match="horizon of 30 days does not fit in windows of 8"):
        backtest.vix_tails(lambda _: np.zeros((100, 8)), np.array([10.0, 20.0]), np.array([15.0]), horizons=(1, 30))


def test_losses_that_differ_by_a_constant_are_told_apart_for_certain():
    assert backtest.diebold_mariano(np.ones(50), np.zeros(50), horizon=1) == 0.0


def test_a_missing_return_is_no_day_without_a_hit():
    path = np.array([0.01, np.nan, -0.02])
    with pytest.raises(ValueError, match="the return of day 1 of the path is missing"):
        backtest.followed(Tail(np.zeros((3, 1)), 20), path, 1)


def test_hits_may_be_zeros_and_ones():
    hits = np.array([0, 1, 1, 0, 0, 1, 0, 0])
    assert backtest.christoffersen(hits) == backtest.christoffersen(hits.astype(bool))
