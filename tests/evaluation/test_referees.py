"""Referees: a classifier that neither leaks nor misses copies, forecasters with known optima, rules with known gains."""

import numpy as np
import pytest

from chaoslib.evaluation import referees, scorecard

L = 50


def garch_path(n: int, seed: int, *, alpha: float = 0.1, beta: float = 0.85) -> np.ndarray:
    """(n,) GARCH(1,1) log-returns with a standard deviation of 1 % a day."""
    rng = np.random.default_rng(seed)
    variance, days = 1.0, np.empty(n)
    for day in range(n):
        days[day] = np.sqrt(variance) * rng.standard_normal()
        variance = (1 - alpha - beta) + alpha * days[day] ** 2 + beta * variance
    return 0.01 * days


@pytest.fixture(scope="module")
def path() -> np.ndarray:
    return garch_path(1800, 0)


@pytest.fixture(scope="module")
def real(path) -> np.ndarray:
    return scorecard.cut(path, L)


# The classifier


def test_the_classifier_is_blind_on_the_same_law(real):
    fake = garch_path(L * 1500, 5).reshape(-1, L)
    auc = referees.discriminative_auc(real, fake, block=100)
    assert auc.shape == (5,)
    assert 0.4 < auc.mean() < 0.62


def test_the_classifier_tells_another_law(real):
    noise = 0.01 * np.random.default_rng(0).standard_normal((1500, L))
    assert referees.discriminative_auc(real, 1.5 * real, block=100).mean() > 0.6
    assert referees.discriminative_auc(real, noise, block=100).mean() > 0.65


def test_copies_pull_the_classifier_below_a_half(real):
    assert referees.discriminative_auc(real, real, block=100).mean() < 0.3


def test_a_day_of_a_test_block_never_trains(real, monkeypatch):
    """Every real training window must be a window's length away from every window of the test block."""
    seen = []
    original = referees.HistGradientBoostingClassifier.fit

    def fit(self, x, y):
        seen.append(x[y == 0])
        return original(self, x, y)

    monkeypatch.setattr(referees.HistGradientBoostingClassifier, "fit", fit)
    referees.discriminative_auc(real, real[::-1], block=100)
    ours = referees.features(real)
    folds = np.arange(len(real)) // 100 % 5
    for fold, trained in enumerate(seen):
        rows = {row.tobytes() for row in trained}
        matched = np.array([row.tobytes() in rows for row in ours])
        assert 0 < matched.sum() < len(real)
        nearest = np.min(np.abs(np.flatnonzero(matched)[:, None] - np.flatnonzero(folds == fold)), axis=1)
        assert nearest.min() >= L


def test_the_same_seed_gives_the_same_verdict_and_n_is_the_size(real):
    fake = garch_path(L * 900, 6).reshape(-1, L)
    first, second = (referees.discriminative_auc(real, fake, block=100, n=600) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, referees.discriminative_auc(real, fake, block=100, n=800))


def test_a_short_history_has_short_blocks_and_too_short_a_one_is_refused(real):
    short = referees.discriminative_auc(real[:700], real[700:1400])  # 250 days would make three blocks
    np.testing.assert_array_equal(short, referees.discriminative_auc(real[:700], real[700:1400], block=140))
    with pytest.raises(ValueError, match="100 windows, 100 of them used, leave 30 to learn from"):
        referees.discriminative_auc(real[:100], real)


def test_a_model_that_copies_a_few_windows_is_seen(real):
    fresh, held_out = (garch_path(L * 400, seed).reshape(-1, L) for seed in (11, 12))
    some = np.concatenate([fresh[:320], real[::20][:80]])  # a fifth
    assert referees.share_too_near(real, held_out, fresh) < 0.05
    assert referees.share_too_near(real, held_out, some) == pytest.approx(0.2, abs=0.03)
    assert referees.memorisation(real, held_out, some) > 0.95  # the median does not


def test_features_are_finite_and_only_the_first_knows_the_scale(real):
    seen = referees.features(real)
    assert seen.shape == (len(real), 12 + L)
    assert np.isfinite(seen).all()
    scaled = referees.features(3 * real)
    np.testing.assert_allclose(scaled[:, 0], seen[:, 0] + np.log(3))
    np.testing.assert_allclose(scaled[:, 1:11], seen[:, 1:11], atol=1e-9)
    assert np.isfinite(referees.features(np.zeros((2, L)))).all()


# Memorisation


def test_memorisation_counts_only_windows_that_are_wild_enough(real):
    rng = np.random.default_rng(1)
    calm, wild = 0.005 * rng.standard_normal((2, 300, L)), 0.03 * rng.standard_normal((2, 300, L))
    train = np.concatenate([calm[0], wild[0]])
    held_out = np.concatenate([calm[1], wild[1]])
    copies_wild = np.concatenate([0.005 * rng.standard_normal((300, L)), wild[0]])
    assert referees.memorisation(train, held_out, copies_wild, least_vol=0.015) < 0.05
    assert referees.memorisation(train, held_out, copies_wild[:300]) == pytest.approx(1, abs=0.1)
    assert np.isnan(referees.memorisation(train, held_out, copies_wild[:300], least_vol=0.015))


# Forecasters


def test_har_predictors_by_hand():
    squared = np.arange(1.0, 26.0)[None]
    predictors = referees.har_predictors(squared)
    assert predictors.shape == (1, 3, 4)
    np.testing.assert_allclose(predictors[0, 0], [1, 22, np.mean([18, 19, 20, 21, 22]), np.mean(np.arange(1, 23))])
    np.testing.assert_allclose(predictors[0, 2], [1, 24, np.mean([20, 21, 22, 23, 24]), np.mean(np.arange(3, 25))])


def test_ewma_by_hand():
    squared = np.concatenate([np.ones(22), [3.0, 5.0, 7.0]])[None]
    np.testing.assert_allclose(referees.ewma(squared, 0.9)[0], [1, 0.9 + 0.3, 0.9 * 1.2 + 0.5])


@pytest.mark.parametrize("kind", ["har", "ewma"])
def test_a_forecast_does_not_see_its_day(kind, real):
    forecaster = referees.fit_forecaster(kind, real[:200])
    changed = real[:5].copy()
    changed[:, 30] = 0.2
    before, after = forecaster.forecast(real[:5]), forecaster.forecast(changed)
    np.testing.assert_allclose(after[:, : 30 - 22 + 1], before[:, : 30 - 22 + 1])
    assert (after[:, 30 - 22 + 1] > before[:, 30 - 22 + 1]).all()


def test_har_finds_the_weights_that_made_the_data():
    """Variance is known to be .2 + .3 of the last day + .2 of the week + .2 of the month, in percent squared."""
    rng = np.random.default_rng(0)
    weights = np.array([0.2, 0.3, 0.2, 0.2])
    squared = rng.standard_normal((4000, L)) ** 2
    for day in range(22, L):
        means = [squared[:, day - span : day].mean(axis=1) for span in (1, 5, 22)]
        squared[:, day] *= weights[0] + weights[1:] @ means
    forecaster = referees.fit_forecaster("har", np.sqrt(squared) / 100)
    np.testing.assert_allclose(forecaster.weights, weights, atol=0.06)


def test_ewma_finds_the_decay_that_made_the_data():
    rng = np.random.default_rng(0)
    squared = rng.standard_normal((4000, L)) ** 2
    average = squared[:, :22].mean(axis=1)
    for day in range(22, L):
        squared[:, day] *= average
        average = 0.8 * average + 0.2 * squared[:, day]
    assert referees.fit_forecaster("ewma", np.sqrt(squared) / 100).weights[0] == pytest.approx(0.8, abs=0.02)


def test_on_white_noise_har_forecasts_its_variance():
    noise = 0.01 * np.random.default_rng(0).standard_normal((3000, L))
    forecast = referees.fit_forecaster("har", noise).forecast(noise)
    np.testing.assert_allclose(forecast.mean(), 1e-4, rtol=0.03)
    assert forecast.std() < 1e-5


def test_qlike_is_least_at_the_variance():
    squared = np.array([4.0, 1.0])
    assert np.all(referees.qlike(squared, squared) < referees.qlike(squared, 1.3 * squared))
    assert np.all(referees.qlike(squared, squared) < referees.qlike(squared, 0.7 * squared))
    np.testing.assert_allclose(referees.qlike(squared, squared), np.log(squared) + 1)


def test_what_has_no_memory_teaches_worse(real, path):
    noise = 0.01 * np.random.default_rng(1).standard_normal((1500, L))
    judge = {"train": real, "held_out": garch_path(1500, 8).reshape(-1, L), "test_path": garch_path(900, 9), "wild": 0.02}
    taught_by_noise, taught_by_real = (referees.referee_row(each, **judge) for each in (noise, real))
    assert taught_by_noise["har_gap"] > 0
    assert taught_by_noise["har_gap_low"] < taught_by_noise["har_gap"] < taught_by_noise["har_gap_high"]
    assert taught_by_real["har_gap"] == taught_by_real["ewma_gap"] == 0
    assert taught_by_real["memorisation"] == pytest.approx(0, abs=1e-3)
    assert taught_by_real["auc"] < 0.5


def test_unknown_forecasters_and_short_windows_are_refused(real):
    with pytest.raises(ValueError, match="use har or ewma"):
        referees.fit_forecaster("garch", real)
    with pytest.raises(ValueError, match="windows of 22 days leave none"):
        referees.fit_forecaster("har", real[:, :22])


# Rules


def test_momentum_earns_the_trend_and_loses_on_reversals():
    trend = np.full((10, L), 0.001) + 1e-6 * np.random.default_rng(0).standard_normal((10, L))
    results = referees.strategies(trend, target_vol=0.01)
    assert results["momentum_return"] == pytest.approx(0.252, rel=1e-3)
    assert referees.strategies(-trend, target_vol=0.01)["momentum_return"] == pytest.approx(0.252, rel=1e-3)
    saw = np.tile([0.01, -0.01 - 1e-5], (10, L // 2))  # the past is always down, so it is short; falls and rises alternate
    assert referees.strategies(saw, target_vol=0.01)["momentum_return"] == pytest.approx(252 * 1e-5 / 2, rel=0.01)


def test_exposure_is_capped_and_inverse_to_volatility():
    rng = np.random.default_rng(0)
    windows = 0.02 * rng.choice([-1.0, 1.0], size=(2000, L)) + 0.001
    half = referees.strategies(windows, target_vol=0.01)
    assert half["vol_target_return"] == pytest.approx(252 * np.mean(windows[:, 20:]) / 2, rel=0.1)
    capped = referees.strategies(windows, target_vol=10.0)
    assert capped["vol_target_return"] == pytest.approx(252 * np.mean(2 * windows[:, 20:]))


def test_a_rule_does_not_see_the_day_it_trades(real):
    changed = real.copy()
    changed[:, -1] *= -1
    before, after = (referees.strategies(each[:, :], target_vol=0.01) for each in (real, changed))
    days = L - 20
    past = real[:, -21:-1].sum(axis=1) > 0
    expected = 252 * np.mean(np.where(past, 1, -1) * -2 * real[:, -1]) / days
    assert after["momentum_return"] - before["momentum_return"] == pytest.approx(expected)


def test_strategies_stand_beside_the_band_of_copies(path, real):
    copied = [scorecard.cut(path[days], L) for days in scorecard.copies(len(path), 30, mean_block=100)]
    steady = np.full((50, L), 0.002) + 1e-5 * np.random.default_rng(0).standard_normal((50, L))
    table = referees.strategy_rows({("real_train", 0): real, ("steady", 1): steady}, copied, target_vol=0.01)
    assert set(table["rule"]) == {"momentum", "vol_target"}
    assert set(table["statistic"]) == {"return", "sharpe"}
    assert len(table) == 8
    inside = table["value"].between(table["band_low"], table["band_high"])
    assert inside[table["model"] == "real_train"].all()
    assert not inside[table["model"] == "steady"].any()
