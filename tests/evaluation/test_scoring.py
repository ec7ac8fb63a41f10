"""Scores of forecasts against closed forms, and intervals against laws whose uncertainty is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chaoslib.evaluation import metrics, scoring

OUTCOMES = ["log_rv", "cum_return", "max_drawdown", "worst_day"]


def rows_of(law, n: int = 1) -> np.ndarray:
    """(n, levels) the quantiles of one law as the forecast of n windows."""
    return np.tile(law.ppf(scoring.LEVELS), (n, 1))


def crps_of(law, outcome: np.ndarray) -> np.ndarray:
    return scoring.crps(rows_of(law, len(outcome)), outcome)


def normal_crps(outcome: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Closed form of the CRPS of a normal forecast (Gneiting & Raftery 2007, eq. 21, less being better)."""
    z = (outcome - mean) / std
    return std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


# crps


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-4.6, 0.3), (0.02, 5.0)])
def test_crps_of_a_normal_forecast(mean, std):
    outcome = mean + std * np.array([-3.0, -1.0, -0.2, 0.0, 0.7, 2.0, 6.0])
    score = crps_of(stats.norm(mean, std), outcome)
    np.testing.assert_allclose(score, normal_crps(outcome, mean, std), atol=0.005 * std)


def test_crps_of_a_uniform_forecast():
    outcome = np.linspace(0, 1, 21)
    expected = (outcome**3 + (1 - outcome) ** 3) / 3  # integral of (F - 1{y <= x})^2
    np.testing.assert_allclose(crps_of(stats.uniform, outcome), expected, atol=1e-4)


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_crps_of_a_point_is_the_absolute_error(point, outcome):
    (score,) = scoring.crps(np.full((1, len(scoring.LEVELS)), point), np.array([outcome]))
    assert score == pytest.approx(abs(outcome - point), abs=1e-12)


@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-10, 10))
def test_crps_is_in_the_unit_of_the_outcome(seed, scale, shift):
    rng = np.random.default_rng(seed)
    quantiles, outcome = np.sort(rng.standard_normal((5, len(scoring.LEVELS)))), rng.standard_normal(5)
    scores = scoring.crps(scale * quantiles + shift, scale * outcome + shift)
    np.testing.assert_allclose(scores, scale * scoring.crps(quantiles, outcome), rtol=1e-9, atol=1e-12)
    mirrored = scoring.crps(-quantiles[:, ::-1], -outcome)  # neither tail counts for more
    np.testing.assert_allclose(mirrored, scoring.crps(quantiles, outcome), rtol=1e-9)


def test_each_window_is_scored_by_its_own_forecast():
    quantiles = np.concatenate([rows_of(stats.norm(mean, 1)) for mean in (0, 10, 20)])
    outcome = np.array([0.0, 10.0, 20.0])
    np.testing.assert_allclose(scoring.crps(quantiles, outcome), normal_crps(np.zeros(3), 0, 1), atol=0.005)
    assert (scoring.crps(quantiles, outcome[::-1])[[0, 2]] > 15).all()


@pytest.mark.parametrize("truth", [stats.norm(0, 1), stats.gumbel_l(0, 1), stats.t(4)], ids=["normal", "gumbel", "t"])
def test_the_true_law_scores_best_on_average(truth):
    outcome = truth.ppf((np.arange(5000) + 0.5) / 5000)
    right, middle = truth.ppf(scoring.LEVELS), truth.median()
    wrong = {
        "too high": right + 0.3,
        "too low": right - 0.3,
        "too wide": middle + 1.4 * (right - middle),
        "too narrow": middle + 0.7 * (right - middle),
        "a point": np.full_like(right, middle),
        "mirrored": 2 * middle - right[::-1],
    }
    if truth.dist.name in ("norm", "t"):
        wrong.pop("mirrored")  # symmetric: the same law
    best = scoring.crps(np.tile(right, (5000, 1)), outcome).mean()
    for name, quantiles in wrong.items():
        assert scoring.crps(np.tile(quantiles, (5000, 1)), outcome).mean() > 1.005 * best, name


# covered


@pytest.mark.parametrize("law", [stats.norm(3, 2), stats.expon, stats.uniform(-1, 2)], ids=["normal", "expon", "uniform"])
def test_a_right_forecast_covers_ninety_per_cent(law):
    outcome = law.ppf((np.arange(20_000) + 0.5) / 20_000)
    inside = scoring.covered(rows_of(law, len(outcome)), outcome)
    assert inside.mean() == pytest.approx(scoring.COVERAGE, abs=0.002)
    np.testing.assert_allclose([np.mean(outcome[~inside] < law.median()), (~inside).mean()], [0.5, 0.1], atol=0.02)


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_coverage_tells_how_wide_a_forecast_is(width):
    outcome = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    inside = scoring.covered(rows_of(stats.norm(0, width), len(outcome)), outcome)
    assert inside.mean() == pytest.approx(2 * stats.norm.cdf(width * stats.norm.ppf(0.95)) - 1, abs=0.003)


def test_the_ends_of_the_interval_are_inside():
    forecast = np.arange(100.0)[None]  # levels .045 and .055 hold 4 and 5, so that .05 is half way
    for outcome, inside in [(4.49, False), (4.5, True), (94.5, True), (94.51, False)]:
        assert scoring.covered(forecast, np.array([outcome]))[0] == inside


# quantiles of forecasts


def scaled(level: float) -> np.ndarray:
    """Windows of a volatility of 1 % a day at a VIX of 20, always with the same noise."""
    return 0.01 * level / 20 * np.random.default_rng(0).standard_normal((400, 8))


def test_quantile_grid_holds_the_quantiles_of_each_level():
    levels = np.array([12.0, 20.0, 45.0])
    grid = scoring.quantile_grid(scaled, levels)
    assert list(grid) == OUTCOMES
    for row, level in enumerate(levels):
        for name, values in metrics.window_outcomes(scaled(level)).items():
            np.testing.assert_allclose(grid[name][row], np.quantile(values, scoring.LEVELS))
    assert {each.shape for each in grid.values()} == {(3, len(scoring.LEVELS))}
    np.testing.assert_allclose(grid["log_rv"][2] - grid["log_rv"][0], np.log(45 / 12))  # the same noise at both
    np.testing.assert_allclose(grid["worst_day"][2] / grid["worst_day"][0], 45 / 12)
    assert all((np.diff(each, axis=1) >= 0).all() for each in grid.values())


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_simulated_quantiles_are_those_of_each_start_whatever_the_chunk(chunk):
    n, starts = 20, np.array([0.5, 3.0, 1.0, 2.0, 0.1, 7.0, 1.5])
    patterns = 0.01 * np.random.default_rng(0).standard_normal((n, 6))
    chunks = []

    def simulate(some):
        chunks.append(len(some))
        return some[:, None] * np.tile(patterns, (len(some) // n, 1))  # each start is simulated with every pattern

    quantiles = scoring.simulated_quantiles(simulate, starts, n=n, chunk=chunk)
    assert list(quantiles) == OUTCOMES
    for row, start in enumerate(starts):
        for name, values in metrics.window_outcomes(start * patterns).items():
            np.testing.assert_allclose(quantiles[name][row], np.quantile(values, scoring.LEVELS))
    assert max(chunks) <= n * chunk  # memory is bounded
    assert sum(chunks) == n * len(starts)


def test_at_vix_is_exact_on_the_grid_and_linear_in_log_vix_between():
    levels = np.geomspace(10, 80, 7)
    rng = np.random.default_rng(0)
    grid = np.cumsum(rng.random((7, len(scoring.LEVELS))), axis=1)
    order = np.array([3, 0, 6, 6, 1])
    np.testing.assert_allclose(scoring.at_vix(grid, levels, levels[order]), grid[order])
    middle = np.sqrt(levels[:-1] * levels[1:])
    np.testing.assert_allclose(scoring.at_vix(grid, levels, middle), (grid[:-1] + grid[1:]) / 2)
    power_law = 1.3 * np.log(levels)[:, None] + scoring.LEVELS  # log volatility of such a law needs no finer grid
    levels_between = np.array([11.0, 33.3, 79.9])
    np.testing.assert_allclose(
        scoring.at_vix(power_law, levels, levels_between), 1.3 * np.log(levels_between)[:, None] + scoring.LEVELS
    )


@pytest.mark.parametrize("vix", [9.99, 80.01])
def test_at_vix_refuses_what_the_grid_does_not_span(vix):
    levels = np.array([10.0, 30.0, 80.0])
    grid = np.zeros((3, len(scoring.LEVELS)))
    with pytest.raises(ValueError, match="is asked of a grid from 10 to 80"):
        scoring.at_vix(grid, levels, np.array([20.0, vix]))
    assert scoring.at_vix(grid, levels, np.array([10.0, 80.0])).shape == (2, len(scoring.LEVELS))


# score


def test_score_is_one_row_an_outcome_and_window():
    windows = 0.01 * np.random.default_rng(1).standard_normal((9, 8)).astype(np.float32)
    vix = np.geomspace(12, 40, 9)
    levels = np.array([10.0, 20.0, 50.0])
    quantiles = {name: scoring.at_vix(q, levels, vix) for name, q in scoring.quantile_grid(scaled, levels).items()}
    scores = scoring.score(quantiles, windows)
    assert list(scores.columns) == ["target", "window", "crps", "covered"]
    assert list(scores["target"]) == [name for name in OUTCOMES for _ in windows]
    assert list(scores["window"]) == [*range(9)] * len(OUTCOMES)
    for name, happened in metrics.window_outcomes(windows).items():
        rows = scores[scores["target"] == name]
        np.testing.assert_allclose(rows["crps"], scoring.crps(quantiles[name], happened))
        np.testing.assert_array_equal(rows["covered"], scoring.covered(quantiles[name], happened))


def test_the_right_law_is_covered_and_beats_a_wrong_volatility_on_every_outcome():
    quantiles = {name: np.repeat(q, 2000, axis=0) for name, q in scoring.quantile_grid(scaled, np.array([20.0])).items()}
    rng = np.random.default_rng(1)
    right = scoring.score(quantiles, 0.01 * rng.standard_normal((2000, 8))).groupby("target").mean()
    np.testing.assert_allclose(right["covered"], 0.9, atol=0.04)
    wild = scoring.score(quantiles, 0.02 * rng.standard_normal((2000, 8))).groupby("target").mean()
    assert (wild["crps"] > 1.5 * right["crps"]).all()
    assert (wild["covered"] < 0.75).all()


# mean_interval


def width(scores: np.ndarray, *, mean_block: int = 20, **options) -> np.ndarray:
    low, high = scoring.mean_interval(scores, mean_block=mean_block, **options)
    return high - low


def ar1(phi: float, n: int = 4000, *, seed: int = 0) -> np.ndarray:
    """(n, 1) of a stationary AR(1) with unit variance."""
    values = np.random.default_rng(seed).standard_normal(n)
    for i in range(1, n):
        values[i] = phi * values[i - 1] + np.sqrt(1 - phi**2) * values[i]
    return values[:, None]


def test_interval_of_independent_scores_is_the_normal_one():
    scores = np.random.default_rng(0).gamma(2, size=(1000, 200))
    low, high = scoring.mean_interval(scores, mean_block=5)
    assert low.shape == high.shape == (200,)
    means = scores.mean(axis=0)
    assert ((low < means) & (means < high)).all()
    reach = 1.96 * scores.std(axis=0) / np.sqrt(len(scores))
    assert np.mean((high - low) / (2 * reach)) == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose((high + low) / 2, means, atol=0.2 * reach.max())
    assert np.mean((low < 2) & (high > 2)) == pytest.approx(0.95, abs=0.04)  # the mean behind them


def test_neighbours_that_resemble_each_other_are_less_evidence():
    scores = ar1(0.8)
    shuffled = np.random.default_rng(1).permutation(scores)  # the same marginal
    together, alone = width(scores, mean_block=60)[0], width(shuffled, mean_block=60)[0]
    assert together / alone == pytest.approx(np.sqrt(1.8 / 0.2), rel=0.3)  # long-run over marginal deviation
    assert together > 2 * width(scores, mean_block=1)[0]  # blocks of one day do not see it


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.floats(-5, 5))
def test_the_same_seed_draws_the_same_windows(seed, shift):
    scores = np.random.default_rng(seed).standard_normal((300, 1))
    pair = np.hstack([scores, scores + shift])
    low, high = scoring.mean_interval(pair, mean_block=10, draws=200, seed=seed)
    assert low[1] - low[0] == pytest.approx(shift)
    assert high[1] - high[0] == pytest.approx(shift)
    again = scoring.mean_interval(pair[:, 1:], mean_block=10, draws=200, seed=seed)
    np.testing.assert_allclose(np.ravel(again), [low[1], high[1]])
    np.testing.assert_array_equal(width(pair[:, :1] - pair[:, :1], draws=200, seed=seed), 0)
    other = scoring.mean_interval(pair, mean_block=10, draws=200, seed=seed + 1)
    assert (other[0] != low).all()


def test_a_paired_difference_is_surer_than_either_score():
    common = ar1(0.8, 1000)
    better, worse = common, common + 0.1 + 0.1 * np.random.default_rng(1).standard_normal((1000, 1))
    low, high = scoring.mean_interval(np.hstack([better, worse, worse - better]), mean_block=50)
    assert low[1] < high[0]  # the two intervals overlap
    assert low[2] > 0  # the difference is established all the same
    assert high[2] - low[2] < 0.2 * (high[0] - low[0])
