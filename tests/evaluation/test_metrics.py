"""Each metric against a closed form, on equal inputs, and on a distortion whose direction is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from chaoslib.evaluation import metrics

N, L = 4000, 50
LOW, HIGH = 0.005, 0.02  # the two states of the volatility mixture, per day

DISTANCES = {  # every comparison of two samples, as one number that vanishes on equal inputs
    "std_ratio": lambda a, b: metrics.std_ratio(a, b) - 1,
    "q01_ratio": lambda a, b: metrics.quantile_ratio(a, b, 0.01) - 1,
    "q99_ratio": lambda a, b: metrics.quantile_ratio(a, b, 0.99) - 1,
    "wasserstein": metrics.wasserstein,
    "ks": lambda a, b: metrics.ks(a, b)[0],
    "acf_abs_mae": metrics.acf_abs_mae,
    "log_rv_sd_ratio": lambda a, b: metrics.log_rv_sd_ratio(a, b) - 1,
    "vol_sd_ratio": lambda a, b: metrics.vol_sd_ratio(a, b) - 1,
    "log_rv_w1": lambda a, b: metrics.wasserstein(metrics.log_rv(a), metrics.log_rv(b)),
    "max_drawdown_w1": lambda a, b: metrics.wasserstein(metrics.max_drawdown(a), metrics.max_drawdown(b)),
}

returns = st.floats(-0.5, 0.5, allow_subnormal=False)
some_windows = hnp.arrays(float, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=returns)
spread = hnp.arrays(float, (4, 6), elements=returns).filter(lambda x: np.std(x) > 1e-3)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def noise(rng) -> np.ndarray:
    """White noise: every fact but the standard deviation of .01 is zero."""
    return 0.01 * rng.standard_normal((N, L))


@pytest.fixture
def mixture(rng) -> np.ndarray:
    """White noise with one volatility for each window, LOW or HIGH: |r| is correlated alike at all lags."""
    return rng.choice([LOW, HIGH], size=(N, 1)) * rng.standard_normal((N, L))


def mixture_acf_abs() -> float:
    """Autocorrelation of |r| = s|z| when s is fixed in a window: Var(s) E|z|^2 over the variance of |r|."""
    mean, second = (LOW + HIGH) / 2, (LOW**2 + HIGH**2) / 2
    return (2 / np.pi) * (second - mean**2) / (second - (2 / np.pi) * mean**2)


def ar1(rng, phi: float) -> np.ndarray:
    """(N, L) windows of a stationary AR(1) with unit variance."""
    windows = rng.standard_normal((N, L))
    for day in range(1, L):
        windows[:, day] = phi * windows[:, day - 1] + np.sqrt(1 - phi**2) * windows[:, day]
    return windows


def signs(rng, *shape: int) -> np.ndarray:
    return rng.choice([-1.0, 1.0], size=shape)


# Comparisons of two samples


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_a_sample_differs_neither_from_itself_nor_from_its_own_repetition(distance, mixture):
    assert distance(mixture, mixture) == pytest.approx(0, abs=1e-12)
    twice = np.concatenate([mixture, mixture])
    # a quantile interpolates between neighbours, so repetition moves it by less than their gap
    assert distance(mixture, twice) == pytest.approx(0, abs=1e-4)
    assert distance(twice, mixture) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_no_window_of_the_larger_sample_is_dropped(distance, mixture):
    wild_with_memory = 3 * (mixture + np.roll(mixture, 1, axis=1))
    longer = np.concatenate([mixture, wild_with_memory])  # cut to the size of `mixture`, it would be `mixture`
    assert abs(distance(mixture, longer)) > 5e-3
    assert abs(distance(longer, mixture)) > 5e-3


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_single_precision_loses_nothing(distance, mixture):
    wild = 1.5 * mixture[: N // 2]
    single = distance(mixture.astype(np.float32), wild.astype(np.float32))
    assert single == pytest.approx(distance(mixture, wild), rel=1e-3, abs=1e-6)


@given(spread, st.floats(0.1, 10), st.floats(-1, 1))
def test_std_ratio_is_the_scale_whatever_the_shift(windows, scale, shift):
    assert metrics.std_ratio(windows, scale * windows + shift) == pytest.approx(scale)
    assert metrics.std_ratio(windows, -scale * windows) == pytest.approx(scale)


def test_doubling_doubles_every_ratio_of_scale(mixture):
    assert metrics.std_ratio(mixture, 2 * mixture) == pytest.approx(2)
    assert metrics.vol_sd_ratio(mixture, 2 * mixture) == pytest.approx(2)
    assert metrics.quantile_ratio(mixture, 2 * mixture, 0.01) == pytest.approx(2)
    assert metrics.log_rv_sd_ratio(mixture, 2 * mixture) == pytest.approx(1)  # relative dispersion is unchanged


def test_quantile_ratio_reads_the_tail_it_is_asked_for(noise):
    crash = np.where(noise < np.quantile(noise, 0.05), 3 * noise, noise)
    assert metrics.quantile_ratio(noise, crash, 0.01) == pytest.approx(3)
    assert metrics.quantile_ratio(noise, crash, 0.99) == pytest.approx(1)


@given(spread, st.floats(-1, 1))
def test_wasserstein_of_a_shift_is_the_shift(windows, shift):
    assert metrics.wasserstein(windows, windows + shift) == pytest.approx(abs(shift), abs=1e-12)


def test_wasserstein_of_a_wider_normal(noise):
    other = 0.03 * np.random.default_rng(1).standard_normal((N // 2, L))
    expected = 0.02 * np.sqrt(2 / np.pi)  # quantile functions differ by (.03 - .01) |z|
    assert metrics.wasserstein(noise, other) == pytest.approx(expected, rel=0.02)
    assert metrics.wasserstein(other, noise) == metrics.wasserstein(noise, other)


def test_ks_of_equal_disjoint_and_half_shared_samples(noise):
    assert metrics.ks(noise, noise) == (0, 1)
    statistic, p_value = metrics.ks(noise, noise + 1)
    assert statistic == 1
    assert p_value < 1e-12
    assert metrics.ks(np.array([[1.0, 2.0]]), np.array([[2.5, 1.5, 3.5, 0.5]]))[0] == 0.5  # by hand
    half = np.concatenate([noise, noise + 1])
    assert metrics.ks(noise, half)[0] == pytest.approx(0.5)


# Moments


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_moments_of_a_coin(p):
    coin = (np.arange(1000) < 1000 * p).astype(float).reshape(20, 50)
    q = 1 - p
    assert metrics.skewness(coin) == pytest.approx((q - p) / np.sqrt(p * q), abs=1e-9)
    assert metrics.excess_kurtosis(coin) == pytest.approx((1 - 6 * p * q) / (p * q))


@pytest.mark.parametrize(
    ("law", "skewness", "kurtosis"), [(stats.norm, 0, 0), (stats.laplace, 0, 3), (stats.gumbel_r, 1.14, 2.4)]
)
def test_moments_of_continuous_laws(law, skewness, kurtosis):
    draws = law.ppf((np.arange(10**6) + 0.5) / 10**6).reshape(-1, L)
    assert metrics.skewness(draws) == pytest.approx(skewness, abs=0.01)
    assert metrics.skewness(-draws) == pytest.approx(-skewness, abs=0.01)
    assert metrics.excess_kurtosis(draws) == pytest.approx(kurtosis, abs=0.02)
    assert metrics.excess_kurtosis(3 * draws + 1) == pytest.approx(metrics.excess_kurtosis(draws))


# Autocorrelation


@pytest.mark.parametrize("phi", [0.6, -0.5])
def test_pooled_acf_of_an_ar1(rng, phi):
    acf = metrics.pooled_acf(ar1(rng, phi), max_lag=6)
    np.testing.assert_allclose(acf, phi ** np.arange(1, 7), atol=0.015)


def test_pooled_acf_sees_volatility_that_lasts_longer_than_a_window(mixture):
    acf = metrics.pooled_acf(np.abs(mixture))
    assert acf.shape == (20,)
    np.testing.assert_allclose(acf, mixture_acf_abs(), atol=0.02)
    # the published definition takes each window's own mean away, and all of the memory with it
    assert abs(metrics.windowed_acf(np.abs(mixture), 1) + 1 / L) < 0.01


def test_acf_of_white_noise(noise):
    assert np.abs(metrics.pooled_acf(noise)).max() < 0.01
    assert metrics.windowed_acf(noise, 1) == pytest.approx(-1 / L, abs=0.006)
    # where the bias comes from: days less their mean add up to zero, so all lags together are -1/2 in any window
    assert sum(metrics.windowed_acf(noise, lag) for lag in range(1, L)) == pytest.approx(-0.5)


@given(hnp.arrays(float, (5, 6), elements=returns).filter(lambda x: np.std(x) > 1e-3), st.permutations(range(5)))
def test_acf_products_never_cross_windows(windows, order):
    shuffled = windows[list(order)]
    np.testing.assert_allclose(metrics.pooled_acf(shuffled, max_lag=5), metrics.pooled_acf(windows, max_lag=5), atol=1e-9)


def test_acf_by_hand():
    windows = np.array([[1.0, 1.0, -1.0], [-3.0, 1.0, 1.0]])  # mean 0, variance 14/6
    np.testing.assert_allclose(metrics.pooled_acf(windows, max_lag=2), [-0.5 / (14 / 6), -2 / (14 / 6)])
    # second window alone, demeaned: (-8, 4, 4) / 3; first: (2, 2, -4) / 3
    assert metrics.windowed_acf(windows, 1) == pytest.approx((-4 / 24 - 16 / 96) / 2)


def test_acf_stops_at_the_last_lag_that_a_window_holds():
    windows = np.array([[1.0, -1.0, 2.0], [0.0, -2.0, 0.0]])  # mean 0, variance 10/6
    np.testing.assert_allclose(metrics.pooled_acf(windows, max_lag=20), [-0.75 / (10 / 6), 1 / (10 / 6)])


def test_windowed_acf_ignores_levels_and_dead_windows(noise):
    levels = np.arange(N)[:, None]
    assert metrics.windowed_acf(noise + levels, 1) == pytest.approx(metrics.windowed_acf(noise, 1), abs=1e-6)
    assert metrics.pooled_acf(noise + levels, max_lag=1)[0] == pytest.approx(1, abs=1e-6)
    for value in (0.0, 1 / 3):
        with_dead = np.concatenate([noise, np.full((N, L), value)])
        assert metrics.windowed_acf(with_dead, 1) == pytest.approx(metrics.windowed_acf(noise, 1))


@pytest.mark.parametrize("value", [0.0, 0.01, 0.003, 1 / 3])
def test_acf_of_a_constant_sample_is_refused(value):
    with pytest.raises(ValueError, match="constant"):
        metrics.pooled_acf(np.full((40, L), value))


def test_the_distance_of_memory_has_its_closed_form(rng, mixture):
    shuffled = rng.permutation(mixture.ravel()).reshape(mixture.shape)  # same days, no memory
    assert metrics.acf_abs_mae(mixture, shuffled) == pytest.approx(mixture_acf_abs(), abs=0.02)
    assert metrics.acf_abs_mae(shuffled, mixture) == metrics.acf_abs_mae(mixture, shuffled)
    assert np.abs(metrics.pooled_acf(mixture)).mean() < 0.02  # the memory is in the volatility, not in r


# Volatility and drawdown of a window


def test_realised_vol_is_a_root_mean_square(rng):
    scale = np.array([0.01, 0.02, 0.05])
    np.testing.assert_allclose(metrics.realised_vol(scale[:, None] * signs(rng, 3, L)), scale)
    np.testing.assert_allclose(metrics.realised_vol(np.full((1, L), -0.01)), 0.01)  # the mean is not taken away
    np.testing.assert_allclose(metrics.log_rv(scale[:, None] * signs(rng, 3, L)), np.log(scale))
    assert np.isfinite(metrics.log_rv(np.zeros((1, L)))).all()


def test_log_rv_sd_ratio_is_the_stretch_of_log_volatility(rng):
    log_scale = rng.normal(-4.5, 0.3, size=(500, 1))
    calm, wild = (np.exp(-4.5 + k * (log_scale + 4.5)) * signs(rng, 500, L) for k in (1, 1.7))
    assert metrics.log_rv_sd_ratio(calm, wild) == pytest.approx(1.7)
    assert metrics.log_rv_sd_ratio(wild, calm) == pytest.approx(1 / 1.7)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0.9, 1.0, 1.1], 0.1),  # the level starts at 1: a first-day loss counts
        ([1.1, 1.2, 1.3], 0.0),
        ([2.0, 0.5, 1.0], 0.75),
        ([1.2, 0.9, 1.5, 1.2, 1.4], 0.25),  # the deeper of two falls
        ([0.8, 0.6, 0.3], 0.7),
        ([1.0, 1.0], 0.0),
    ],
)
def test_max_drawdown_by_hand(levels, expected):
    windows = np.diff(np.log([1.0, *levels]))[None]
    np.testing.assert_allclose(metrics.max_drawdown(windows), [expected], atol=1e-12)


@given(some_windows)
def test_max_drawdown_is_the_worst_buy_and_sell(windows):
    levels = np.exp(np.concatenate([np.zeros((len(windows), 1)), np.cumsum(windows, axis=1)], axis=1))
    worst = [max(1 - row[j] / row[i] for i in range(len(row)) for j in range(i, len(row))) for row in levels]
    drawdown = metrics.max_drawdown(windows)
    np.testing.assert_allclose(drawdown, worst, atol=1e-9)
    assert (drawdown >= 0).all()
    assert (drawdown < 1).all()


@given(some_windows)
def test_max_drawdown_of_a_rise_is_zero_and_grows_with_scale(windows):
    np.testing.assert_array_equal(metrics.max_drawdown(np.abs(windows)), 0)
    assert (metrics.max_drawdown(2 * windows) >= metrics.max_drawdown(windows)).all()


# Dynamics inside a window


def test_half_window_correlation_of_known_volatilities(rng):
    log_scale = rng.multivariate_normal([-4.5, -4.5], [[0.09, 0.054], [0.054, 0.09]], size=300)
    alternating = np.tile([1.0, -1.0], 12)  # mean 0, sd 1
    windows = np.concatenate([np.exp(log_scale[:, [half]]) * alternating for half in (0, 1)], axis=1)
    assert metrics.half_window_correlation(windows) == pytest.approx(np.corrcoef(log_scale.T)[0, 1])


def test_half_window_correlation_separates_flat_volatility_from_none(noise, mixture):
    assert metrics.half_window_correlation(mixture) > 0.9
    assert abs(metrics.half_window_correlation(noise)) < 0.05
    both = metrics.half_window_correlation(np.concatenate([mixture[:, :25], noise[:, 25:]], axis=1))
    assert abs(both) < 0.05


def volatile_after_a_fall(rng, low: float = 1.0, high: float = 3.0) -> np.ndarray:
    """(N, L) signs times a size that is `high` on the day after a fall and `low` otherwise."""
    sign = signs(rng, N, L + 1)
    return sign[:, 1:] * np.where(sign[:, :-1] < 0, high, low)


def test_leverage_of_a_constructed_path(rng):
    windows = volatile_after_a_fall(rng)
    expected = -2 / np.sqrt(5)  # -E[m] / sqrt(E[m^2]) for sizes m of 1 and 3
    assert metrics.leverage(windows, max_lag=1) == pytest.approx(expected, abs=0.01)
    assert metrics.leverage(windows) == pytest.approx(expected / 10, abs=0.005)  # lags 2..10 are independent
    assert metrics.leverage(-windows) == pytest.approx(-metrics.leverage(windows))
    assert metrics.leverage(0.01 * windows) == pytest.approx(metrics.leverage(windows))


def test_leverage_leaves_skewness_out(rng):
    skewed = 1 - rng.exponential(size=(N, L))
    assert np.corrcoef(skewed.ravel(), skewed.ravel() ** 2)[0, 1] < -0.6  # what lag 0 would add
    assert abs(metrics.leverage(skewed)) < 0.01


@settings(deadline=None)
@given(st.permutations(range(4)), st.integers(0, 100))
def test_leverage_products_never_cross_windows(order, seed):
    windows = np.random.default_rng(seed).standard_normal((4, 12))
    assert metrics.leverage(windows[list(order)]) == pytest.approx(metrics.leverage(windows))


# Copies and collapse


def standardised(windows: np.ndarray) -> np.ndarray:
    return (windows - windows.mean(axis=1, keepdims=True)) / windows.std(axis=1, keepdims=True)


@given(st.floats(0.01, 100), st.floats(-1, 1), st.integers(0, 100))
def test_a_copy_is_at_no_distance_whatever_its_scale_and_shift(scale, shift, seed):
    reference = np.random.default_rng(seed).standard_normal((8, 12))
    copies = scale * reference[::-1] + shift
    np.testing.assert_allclose(metrics.nearest_distances(reference, copies), 0, atol=1e-5)
    assert metrics.nearest_distances(reference, -copies).min() > 0.1  # a mirrored window is another one


def test_nearest_distances_are_those_of_brute_force(rng):
    reference, windows = 0.01 * rng.standard_normal((70, 15)), 3.0 + rng.standard_normal((40, 15))
    apart = [[np.sqrt(np.mean((one - other) ** 2)) for other in standardised(reference)] for one in standardised(windows)]
    np.testing.assert_allclose(metrics.nearest_distances(reference, windows), np.min(apart, axis=1))
    single = metrics.nearest_distances(reference.astype(np.float32), windows.astype(np.float32))
    np.testing.assert_allclose(single, np.min(apart, axis=1), atol=1e-5)


def test_long_windows_of_independent_noise_are_a_root_of_two_apart(rng):
    distances = metrics.nearest_distances(rng.standard_normal((1, 5000)), rng.standard_normal((50, 5000)))
    np.testing.assert_allclose(distances, np.sqrt(2), rtol=0.05)
    opposite = np.tile([1.0, -1.0], (1, 25))
    assert metrics.nearest_distances(opposite, -opposite) == pytest.approx(2)  # the largest distance there is
    assert metrics.nearest_distances(opposite, np.repeat([[1.0, -1.0]], 25, axis=1)) == pytest.approx(np.sqrt(2), abs=0.05)


def test_the_nearest_gets_nearer_with_every_window_of_the_reference(rng):
    reference, windows = rng.standard_normal((500, 10)), rng.standard_normal((60, 10))
    few, many = (metrics.nearest_distances(part, windows) for part in (reference[:50], reference))
    assert (many <= few).all()
    assert many.shape == (60,)


def test_a_window_without_any_spread_is_no_copy(noise):
    flat = metrics.nearest_distances(noise, np.full((3, L), 0.01))
    np.testing.assert_allclose(flat, np.sqrt(2))


def test_memorisation_ratio_of_new_windows_and_of_copies(rng):
    train, held_out, new = (0.01 * rng.standard_normal((800, L)) for _ in range(3))
    assert metrics.memorisation_ratio(train, held_out, new) == pytest.approx(1, abs=0.02)
    scale = rng.uniform(0.2, 5, size=(800, 1))
    assert metrics.memorisation_ratio(train, held_out, scale * train) == pytest.approx(0, abs=1e-6)
    blurred = train + 0.002 * rng.standard_normal((800, L))  # the correlation with its original is 1 / sqrt(1 + .2^2)
    expected = np.sqrt(2 - 2 / np.sqrt(1.04)) / np.median(metrics.nearest_distances(train, held_out))
    assert metrics.memorisation_ratio(train, held_out, blurred) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("sizes", [(40, 1500, 300), (1500, 100, 300)])
def test_memorisation_ratio_does_not_depend_on_how_many_windows_there_are(rng, sizes):
    train, held_out, new = (0.01 * rng.standard_normal((size, L)) for size in sizes)
    assert metrics.memorisation_ratio(train, held_out, new) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("copied", "kept"), [(0.3, True), (0.7, False)])
def test_a_sample_copies_when_most_of_its_windows_do(rng, copied, kept):
    train, held_out, fake = (0.01 * rng.standard_normal((600, L)) for _ in range(3))
    count = int(copied * len(fake))
    fake[:count] = train[:count]
    assert np.isfinite(metrics.checkpoint_distance(train, held_out, fake)) == kept


def test_checkpoint_distance_is_small_on_the_same_law_and_infinite_on_copies(rng):
    train, held_out, new = (rng.choice([LOW, HIGH], size=(1500, 1)) * rng.standard_normal((1500, L)) for _ in range(3))
    assert 0 < metrics.checkpoint_distance(train, held_out, new) < 0.1
    assert metrics.checkpoint_distance(train, held_out, train) == np.inf
    assert metrics.checkpoint_distance(train, held_out, 2 * train[::-1] + 0.001) == np.inf


def test_the_border_of_copying_is_a_constant(rng, monkeypatch):
    train, held_out, new = (0.01 * rng.standard_normal((300, L)) for _ in range(3))
    ratio = metrics.memorisation_ratio(train, held_out, new)
    for border, kept in ((ratio - 1e-6, True), (ratio + 1e-6, False)):
        monkeypatch.setattr(metrics, "COPYING", border)
        assert np.isfinite(metrics.checkpoint_distance(train, held_out, new)) == kept
    assert 0.5 < 0.8 * ratio < 1


@pytest.mark.parametrize("scale", [0.5, 1.5, 3.0])
def test_checkpoint_distance_of_a_wider_law_in_any_unit(rng, scale):
    train, held_out, new = (0.01 * rng.standard_normal((1500, L)) for _ in range(3))
    expected = abs(scale - 1) * np.sqrt(2 / np.pi) + abs(np.log(scale))
    distance = metrics.checkpoint_distance(train, held_out, scale * new)
    assert distance == pytest.approx(expected, rel=0.03)
    assert metrics.checkpoint_distance(7 * train, 7 * held_out, 7 * scale * new) == pytest.approx(distance)


def test_checkpoint_distance_grows_with_lost_clusters_that_leave_the_days_alone(rng):
    train, held_out, new = (rng.choice([LOW, HIGH], size=(1500, 1)) * rng.standard_normal((1500, L)) for _ in range(3))
    distances = []
    for share in (0.0, 0.3, 0.6, 1.0):
        mixed, some = new.copy(), rng.random(new.shape) < share
        mixed[some] = rng.permutation(new[some])  # the same days, in other windows
        distances.append(metrics.checkpoint_distance(train, held_out, mixed))
    assert distances == sorted(distances)
    assert distances[-1] > distances[0] + 0.5


@pytest.fixture
def clustered(rng) -> list[np.ndarray]:
    """Train, held-out and new windows of one law, each with a volatility of its own."""
    return [np.exp(rng.normal(-4.6, 0.4, size=(1200, 1))) * rng.standard_normal((1200, L)) for _ in range(3)]


def test_a_diverse_sample_has_not_collapsed(clustered):
    described = metrics.describe_collapse(*clustered)
    for name in ("std_ratio", "vol_sd_ratio", "log_rv_sd_ratio"):
        assert described[name] == pytest.approx(1, abs=0.15), name
    for name in ("self_neighbour", "memorisation"):
        assert described[name] == pytest.approx(1, abs=0.03), name
    assert described["half_window_correlation"] > 0.8
    assert 1 < described["day_std_range"] < 1.5


def test_a_generator_of_few_windows_is_found_out(rng, clustered):
    train, held_out, new = clustered
    few = rng.uniform(0.5, 2, size=(1200, 1)) * new[rng.integers(20, size=1200)]
    described = metrics.describe_collapse(train, held_out, few)
    assert described["self_neighbour"] == pytest.approx(0, abs=1e-6)
    assert described["memorisation"] == pytest.approx(1, abs=0.1)  # they are no windows of train
    blurred = few * (1 + 0.2 * rng.standard_normal(few.shape))
    assert metrics.describe_collapse(train, held_out, blurred)["self_neighbour"] < 0.4


def test_windows_that_are_equally_volatile_are_found_out(clustered):
    train, held_out, new = clustered
    flat = train.std() * standardised(new)
    described = metrics.describe_collapse(train, held_out, flat)
    assert described["std_ratio"] == pytest.approx(1, abs=0.02)
    assert described["vol_sd_ratio"] < 0.05
    assert described["log_rv_sd_ratio"] < 0.05
    assert described["self_neighbour"] == pytest.approx(1, abs=0.03)  # they differ from each other all the same


def test_a_volatility_that_changes_at_random_is_found_out(rng, clustered):
    train, held_out, new = clustered
    halves = np.concatenate([new[:, :25], rng.permutation(new[:, 25:])], axis=1)
    assert abs(metrics.describe_collapse(train, held_out, halves)["half_window_correlation"]) < 0.1


def test_copies_and_special_days_are_found_out(rng, clustered):
    train, held_out, new = clustered
    assert metrics.describe_collapse(train, held_out, rng.permutation(train))["memorisation"] == pytest.approx(0, abs=1e-6)
    new[:, 7] *= 3
    assert metrics.describe_collapse(train, held_out, new)["day_std_range"] == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize(("n_train", "n_fake"), [(150, 1200), (1200, 150), (1200, 1200)])
def test_diversity_does_not_depend_on_how_many_windows_there_are(clustered, n_train, n_fake):
    train, held_out, new = clustered
    described = metrics.describe_collapse(train[:n_train], held_out, new[:n_fake])
    assert described["self_neighbour"] == pytest.approx(1, abs=0.03)


# Latents


def test_latents_of_a_standard_normal(rng):
    described = metrics.describe_latents(rng.standard_normal((20_000, 16)))
    assert described["norm_median"] == pytest.approx(stats.chi.median(16), rel=0.01)
    assert described["norm_p99"] == pytest.approx(stats.chi.ppf(0.99, 16), rel=0.01)
    assert described["std_min"] == pytest.approx(1, abs=0.03)
    assert described["std_max"] == pytest.approx(1, abs=0.03)
    assert described["excess_kurtosis_mean"] == pytest.approx(0, abs=0.05)
    assert described["abs_correlation_mean"] < 0.01


def test_latents_that_are_wide_heavy_and_redundant(rng):
    z = rng.laplace(size=20_000)
    described = metrics.describe_latents(np.stack([z, -3 * z], axis=1))
    assert described["abs_correlation_mean"] == pytest.approx(1)
    assert described["std_max"] == pytest.approx(3 * described["std_min"])
    assert described["norm_median"] == pytest.approx(np.sqrt(10) * np.median(np.abs(z)))
    assert described["excess_kurtosis_mean"] == pytest.approx(3, abs=0.5)


def test_day_std_range_sees_a_day_that_is_treated_differently():
    windows = np.random.default_rng(0).standard_normal((50_000, 5))
    assert metrics.day_std_range(windows) == pytest.approx(1, abs=0.02)
    windows[:, 2] *= 0.5
    assert metrics.day_std_range(windows) == pytest.approx(2, abs=0.04)


# Tails and horizons


@pytest.mark.parametrize("q", [0.01, 0.05, 0.5, 0.95, 0.99])
def test_expected_shortfall_of_a_normal_law(noise, q):
    tail = min(q, 1 - q)
    expected = 0.01 * stats.norm.pdf(stats.norm.ppf(tail)) / tail * (-1 if q < 0.5 else 1)
    assert metrics.expected_shortfall(noise, q) == pytest.approx(expected, rel=0.02)


def test_expected_shortfall_by_hand():
    days = np.array([[0.04, -0.03, -0.01, 0.02], [-0.02, 0.01, 0.0, 0.03]])
    assert metrics.expected_shortfall(days, 0.25) == pytest.approx(-0.025)
    assert metrics.expected_shortfall(days, 0.75) == pytest.approx(0.035)
    assert metrics.expected_shortfall(days, 0.001) == pytest.approx(-0.03)  # never fewer than one day


@given(spread, st.floats(0.05, 0.95))
def test_expected_shortfall_turns_with_the_sign(windows, q):
    if abs(q - 0.5) > 1e-6:
        mirrored = metrics.expected_shortfall(-windows, 1 - q)
        assert metrics.expected_shortfall(windows, q) == pytest.approx(-mirrored, abs=1e-12)


@pytest.mark.parametrize("alpha", [2.0, 3.0, 5.0])
def test_hill_index_of_a_pareto_tail_is_its_exponent(rng, alpha):
    size = (1 - rng.uniform(size=(N, L))) ** (-1 / alpha)
    days = 0.01 * size * signs(rng, N, L)
    for tail in ("lower", "upper"):
        assert metrics.hill_index(days, tail=tail) == pytest.approx(alpha, rel=0.05)
        assert metrics.hill_index(7 * days, tail=tail) == pytest.approx(metrics.hill_index(days, tail=tail))


def test_hill_index_reads_one_tail(rng):
    heavy, light = ((1 - rng.uniform(size=(N, L))) ** (-1 / alpha) for alpha in (2.0, 6.0))
    days = np.where(signs(rng, N, L) > 0, light, -heavy)
    assert metrics.hill_index(days, tail="lower") == pytest.approx(2, rel=0.05)
    assert metrics.hill_index(days, tail="upper") == pytest.approx(6, rel=0.05)


def test_hill_index_refuses_what_is_no_tail(noise):
    with pytest.raises(ValueError, match="use 'lower' or 'upper'"):
        metrics.hill_index(noise, tail="left")
    with pytest.raises(ValueError, match="too few"):
        metrics.hill_index(np.abs(noise), tail="lower")
    with pytest.raises(ValueError, match="too few"):
        metrics.hill_index(noise[:1], tail="lower", share=0.02)


def test_horizon_returns_lie_side_by_side_inside_windows():
    windows = np.arange(14.0).reshape(2, 7)
    np.testing.assert_allclose(metrics.horizon_returns(windows, 3), [3, 12, 24, 33])  # the seventh day is left over
    np.testing.assert_allclose(metrics.horizon_returns(windows, 7), windows.sum(axis=1))
    np.testing.assert_allclose(metrics.horizon_returns(windows, 1), windows.ravel())
    for days in (0, 8):
        with pytest.raises(ValueError, match="does not fit in windows of 7"):
            metrics.horizon_returns(windows, days)


def test_leverage_by_lag_finds_its_lag(rng):
    shock = rng.standard_normal((N, L))
    windows = shock.copy()
    windows[:, 3:] *= np.exp(-0.4 * shock[:, :-3])
    by_lag = metrics.leverage_by_lag(windows)
    assert by_lag.shape == (10,)
    assert np.argmin(by_lag) == 2
    assert by_lag[2] < -0.2
    assert np.abs(np.delete(by_lag, 2)).max() < 0.05
    assert metrics.leverage(windows) == pytest.approx(by_lag.mean())
