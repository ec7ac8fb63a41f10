"""The classical generators on simulated paths whose law is known."""

import numpy as np
import pytest
from arch import arch_model
from arch.bootstrap import optimal_block_length
from scipy import stats

from chaoslib.evaluation import metrics
from chaoslib.market.vix import fit_vix_exponent
from chaoslib.models import classical

T, L, N = 3000, 50, 2000
MEAN_BLOCK = 60.0
GENERATORS = {
    "iid_bootstrap": classical.iid_bootstrap,
    "block_bootstrap": lambda path, n, **size: classical.block_bootstrap(path, n, mean_block=MEAN_BLOCK, **size),
    "garch_t": classical.garch_t,
    "gjr_fhs": classical.gjr_fhs,
}
FITTED = ("garch_t", "gjr_fhs")


def simulate(*, alpha: float, gamma: float, beta: float, std: float = 0.01, seed: int = 0) -> np.ndarray:
    """(T,) daily returns of a GJR-GARCH with normal noise, stationary standard deviation `std` and mean zero."""
    z = np.random.default_rng(seed).standard_normal(T + 500)
    persistence = alpha + gamma / 2 + beta
    variance, path = std**2, np.empty(len(z))
    for day, shock in enumerate(z):
        path[day] = np.sqrt(variance) * shock
        variance = (1 - persistence) * std**2 + (alpha + gamma * (shock < 0)) * path[day] ** 2 + beta * variance
    return path[500:]


@pytest.fixture(scope="module")
def garch() -> np.ndarray:
    return simulate(alpha=0.12, gamma=0.0, beta=0.83)


@pytest.fixture(scope="module")
def gjr() -> np.ndarray:
    return simulate(alpha=0.02, gamma=0.18, beta=0.84)


@pytest.fixture(scope="module")
def samples(garch) -> dict[str, np.ndarray]:
    """Windows of every generator fitted to the symmetric path."""
    return {name: generate(garch, N, seq_len=L, seed=0) for name, generate in GENERATORS.items()}


def rolling(path: np.ndarray) -> np.ndarray:
    """All windows of a path, the sample that a model of it should resemble."""
    return np.lib.stride_tricks.sliding_window_view(path, L)


def mean_acf_abs(windows: np.ndarray) -> float:
    return float(metrics.pooled_acf(np.abs(windows), max_lag=10).mean())


@pytest.mark.parametrize("name", GENERATORS)
def test_windows_have_the_asked_shape_and_type(samples, garch, name):
    assert samples[name].shape == (N, L)
    assert samples[name].dtype == np.float32
    assert np.isfinite(samples[name]).all()
    odd = GENERATORS[name](garch, 7, seq_len=33, seed=0)  # fewer than one copy of the path holds
    assert odd.shape == (7, 33)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_seed_alone_decides(samples, garch, name):
    np.testing.assert_array_equal(GENERATORS[name](garch, N, seq_len=L, seed=0), samples[name])
    other = GENERATORS[name](garch, N, seq_len=L, seed=1)
    assert np.mean(other == samples[name]) < 0.01
    assert len(np.unique(samples[name], axis=0)) > 0.5 * N  # unbroken blocks of a short path may coincide


@pytest.mark.parametrize("name", ["iid_bootstrap", "block_bootstrap"])
def test_bootstraps_hold_real_days_only_and_reach_all_of_them(samples, garch, name):
    values, days = np.unique(samples[name]), np.unique(garch.astype(np.float32))
    assert np.isin(values, days).all()
    assert len(values) > 0.99 * len(days)
    assert metrics.std_ratio(garch, samples[name]) == pytest.approx(1, abs=0.02)


def test_block_bootstrap_keeps_the_clustering_that_iid_loses(samples, garch):
    real = mean_acf_abs(rolling(garch))
    assert real > 0.1
    assert abs(mean_acf_abs(samples["iid_bootstrap"])) < 0.01
    assert 0.7 * real < mean_acf_abs(samples["block_bootstrap"]) < 1.1 * real


@pytest.mark.parametrize("mean_block", [2.0, 10.0, 60.0])
def test_mean_block_is_the_mean_length_of_a_block(mean_block):
    calendar = np.arange(T, dtype=float)  # each value says which day it is
    windows = classical.block_bootstrap(calendar, N, seq_len=L, seed=0, mean_block=mean_block)
    follows = np.diff(windows, axis=1) % T == 1  # the path is closed to a circle
    assert follows.mean() == pytest.approx(1 - 1 / mean_block, abs=0.005)
    iid = classical.iid_bootstrap(calendar, N, seq_len=L, seed=0)
    assert np.mean(np.diff(iid, axis=1) == 1) < 0.002


def test_windows_are_cut_inside_copies_of_the_path():
    calendar = np.arange(120.0)  # two windows of 50 a copy, 20 days left over
    windows = classical.block_bootstrap(calendar, 41, seq_len=L, seed=0, mean_block=1e9)  # one block a copy
    assert windows.shape == (41, L)
    assert (np.diff(windows, axis=1) % 120 == 1).all()
    np.testing.assert_array_equal((windows[1::2, 0] - windows[:-1:2, -1]) % 120, 1)  # the second continues the first
    assert len(np.unique(windows[::2, 0])) > 5  # a new copy starts anywhere


def test_block_length_is_that_of_volatility(garch):
    length = classical.block_length(garch)
    assert length == optimal_block_length(np.abs(garch))["stationary"].iloc[0]
    assert length > 2 * optimal_block_length(garch)["stationary"].iloc[0]
    assert classical.block_length(-3 * garch) == pytest.approx(length)
    shuffled = np.random.default_rng(0).permutation(garch)
    assert classical.block_length(shuffled) < length / 2


def test_a_path_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="49 days holds no window of 50"):
        classical.block_bootstrap(np.zeros(49), 3, seq_len=L, seed=0, mean_block=5)
    assert classical.block_bootstrap(np.arange(50.0), 3, seq_len=L, seed=0, mean_block=5).shape == (3, L)


@pytest.mark.parametrize("name", FITTED)
def test_fitted_models_recover_scale_and_clustering(samples, garch, name):
    assert metrics.std_ratio(garch, samples[name]) == pytest.approx(1, abs=0.1)
    assert np.std(samples[name]) == pytest.approx(0.01, rel=0.1)  # the law behind the path
    assert mean_acf_abs(samples[name]) == pytest.approx(mean_acf_abs(rolling(garch)), abs=0.09)
    assert abs(metrics.leverage(samples[name])) < 0.03  # the path is symmetric
    assert abs(metrics.pooled_acf(samples[name], max_lag=5)).max() < 0.03


@pytest.mark.parametrize("name", FITTED)
def test_fitted_models_follow_the_unit_and_the_mean_of_the_path(garch, name):
    windows = GENERATORS[name](2 * garch + 0.004, N, seq_len=L, seed=0)
    assert metrics.std_ratio(2 * garch, windows) == pytest.approx(1, abs=0.1)
    assert windows.mean() == pytest.approx(0.004 + 2 * garch.mean(), abs=5e-4)


def test_gjr_fhs_learns_that_falls_announce_volatility(gjr):
    windows = classical.gjr_fhs(gjr, N, seq_len=L, seed=0)
    real = metrics.leverage(rolling(gjr))
    assert real < -0.03
    assert 1.6 * real < metrics.leverage(windows) < 0.5 * real
    mirrored = classical.gjr_fhs(-gjr, N, seq_len=L, seed=0)
    assert metrics.leverage(mirrored) > 0.02


def test_gjr_fhs_is_at_home_from_the_first_day(gjr):
    """A window starts from a filtered variance of the path: no day of it is calmer or wilder than the path."""
    windows = classical.gjr_fhs(gjr, 20_000, seq_len=L, seed=0)
    assert stats.ks_2samp(windows[:, 0], gjr).statistic < 0.025
    by_day = windows.std(axis=0) / gjr.std()
    np.testing.assert_allclose(by_day, 1, atol=0.1)
    correlation = np.corrcoef(np.abs(windows[:, 0]), np.abs(windows[:, 1]))[0, 1]
    expected = metrics.pooled_acf(np.abs(rolling(gjr)), max_lag=1)[0]
    assert correlation == pytest.approx(expected, abs=0.05)  # the second day continues from the variance of the first


def test_gjr_fhs_draws_its_shocks_from_the_path():
    """Noise of two values is known by its kurtosis: normal or Student shocks would not be bounded like it."""
    rng = np.random.default_rng(0)
    two_values = 0.01 * rng.choice([-1.0, 1.0], size=T)
    windows = classical.gjr_fhs(two_values, N, seq_len=L, seed=0)
    assert np.abs(windows).max() < 0.02
    assert metrics.excess_kurtosis(windows) < -1.5


# GJR-GARCH, fitted and filtered


@pytest.fixture(scope="module")
def fitted(gjr) -> classical.GJR:
    return classical.fit_gjr(gjr)


@pytest.fixture(scope="module")
def by_arch(gjr):
    return arch_model(100 * gjr, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t").fit(disp="off")


def test_parameters_of_a_known_law_lie_within_their_standard_errors(gjr, fitted):
    table = classical.gjr_parameters(gjr)
    true = {"omega": 0.05, "alpha": 0.02, "gamma": 0.18, "beta": 0.84, "mean": 0.0}  # percent; omega is (1 - 0.95) 1 %^2
    for name, value in true.items():
        estimate, error, ratio = table.loc[name]
        assert estimate == pytest.approx(value, abs=3 * error)
        assert 0 < error < 0.1
        assert ratio == pytest.approx(estimate / error)
    assert table.loc["degrees of freedom", "estimate"] > 15  # its noise is normal
    named = [getattr(fitted, name) for name in ("mean", "omega", "alpha", "gamma", "beta")]
    np.testing.assert_array_equal(table["estimate"].iloc[:5], named)  # the same fit, bit for bit


def test_persistence_in_closed_form():
    signs = np.array([-2.0, 0.5, 0.5, 1.0])  # E e^2 = 5.5 / 4, of which 1 from the fall
    model = classical.GJR(0.0, 0.02, 0.1, 0.2, 0.7, np.full(4, 4.0), signs)
    table = classical.gjr_persistence(model)
    symmetric, resampled = (table.loc[f"{name} residuals"] for name in ("symmetric", "resampled"))
    assert symmetric["persistence"] == pytest.approx(0.1 + 0.1 + 0.7)
    assert symmetric["half-life (days)"] == pytest.approx(np.log(2) / -np.log(0.9))
    assert symmetric["volatility (% per year)"] == pytest.approx(np.sqrt(252 * 0.02 / 0.1))
    assert resampled["persistence"] == pytest.approx(0.1 * 5.5 / 4 + 0.2 * 1 + 0.7)
    assert np.isinf(resampled[["half-life (days)", "volatility (% per year)"]]).all()  # 1.0375: it never returns
    assert table.loc["training days", "volatility (% per year)"] == pytest.approx(np.sqrt(252 * 4 * 5.5 / 4))


def test_a_deviation_of_the_variance_shrinks_by_the_persistence(fitted):
    persistence, _, level = classical.gjr_persistence(fitted).loc["resampled residuals"]
    start = 9 * fitted.variance.mean()
    paths = fitted.simulate(np.full(200_000, start), seq_len=2, seed=0)
    second = np.mean((100 * paths[:, 1] - fitted.mean) ** 2) / np.mean(fitted.shocks**2)
    long_run = level**2 / 252
    assert second - long_run == pytest.approx(persistence * (start - long_run), rel=0.03)


def test_the_filter_gives_the_variance_of_the_fit(fitted, by_arch, gjr):
    expected = by_arch.conditional_volatility**2
    np.testing.assert_allclose(fitted.filter(gjr), expected, rtol=1e-9)
    np.testing.assert_allclose(fitted.variance, expected, rtol=1e-9)
    shocks = (100 * gjr - fitted.mean) / np.sqrt(fitted.filter(gjr))
    np.testing.assert_allclose(fitted.shocks, shocks, rtol=1e-9)


def test_the_variance_of_the_next_day_is_the_forecast_of_the_fit(fitted, by_arch, gjr):
    late = slice(T // 2, None)  # how a path begins is a convention, forgotten by then
    forecast = by_arch.forecast(horizon=1, start=0).variance.to_numpy()[late, 0]
    following = fitted.following(100 * gjr - fitted.mean, fitted.variance)[late]
    np.testing.assert_allclose(following, forecast, rtol=1e-9)
    np.testing.assert_allclose(fitted.variance[late][1:], forecast[:-1], rtol=1e-9)  # known the evening before


def test_the_filter_knows_the_days_before_and_no_others(fitted, gjr):
    before = fitted.filter(gjr)
    crash = gjr.copy()
    crash[1000] = -0.15
    after = fitted.filter(crash)
    np.testing.assert_array_equal(after[:1001], before[:1001])
    assert (after[1001:1050] > before[1001:1050]).all()
    assert after[1001] > 5 * before[1001]
    longer = fitted.filter(np.concatenate([gjr, gjr]))  # days that the fit has not seen continue the path
    np.testing.assert_allclose(longer[:T], fitted.variance, rtol=1e-9)
    assert longer[T] == pytest.approx(fitted.following(100 * gjr[-1] - fitted.mean, before[-1]))


def test_the_fit_recovers_the_law_of_the_path(fitted):
    assert fitted.gamma == pytest.approx(0.18, abs=0.06)
    assert fitted.alpha == pytest.approx(0.02, abs=0.02)
    assert fitted.beta == pytest.approx(0.84, abs=0.05)
    assert fitted.shocks.std() == pytest.approx(1, abs=0.03)


def test_a_window_starts_from_its_variance_and_forgets_it(fitted):
    n = 4000
    calm, wild = (fitted.simulate(np.full(n, variance), seq_len=L, seed=0) for variance in (0.25, 9.0))
    assert calm.shape == (n, L)
    assert calm.dtype == np.float32
    np.testing.assert_allclose(100 * wild[:, 0] - fitted.mean, 6 * (100 * calm[:, 0] - fitted.mean), rtol=1e-4, atol=1e-4)
    assert calm[:, 0].std() == pytest.approx(0.005, rel=0.05)
    ratio = wild.std(axis=0) / calm.std(axis=0)
    assert ratio[0] > 5.5 > 3 > ratio[-1] > 1
    assert (metrics.realised_vol(wild) > metrics.realised_vol(calm)).mean() > 0.99


def test_each_window_has_the_variance_given_for_it(fitted):
    variances = np.tile([0.04, 4.0], 1000)
    windows = fitted.simulate(variances, seq_len=3, seed=0)
    assert windows[::2].std() < 0.2 * windows[1::2].std()
    np.testing.assert_array_equal(variances, np.tile([0.04, 4.0], 1000))  # left alone
    np.testing.assert_array_equal(fitted.simulate(variances, seq_len=3, seed=0), windows)
    assert (fitted.simulate(variances, seq_len=3, seed=1) != windows).mean() > 0.99


def test_every_simulated_day_is_a_shock_of_the_path_times_the_filtered_volatility(fitted):
    variance = np.array([0.3, 1.0, 5.0])
    shocks = np.sort(fitted.shocks)
    windows = fitted.simulate(variance, seq_len=20, seed=0).astype(float)
    for day in range(20):
        residual = 100 * windows[:, day] - fitted.mean
        innovations = residual / np.sqrt(variance)
        place = np.searchsorted(shocks, innovations).clip(1, len(shocks) - 1)
        nearest = np.minimum(np.abs(innovations - shocks[place]), np.abs(innovations - shocks[place - 1]))
        np.testing.assert_allclose(nearest, 0, atol=2e-6)  # shocks lie some thousandths apart, windows are float32
        variance = fitted.following(residual, variance)


# Rivals that take a VIX

EXPONENT = 1.2


@pytest.fixture(scope="module")
def vix() -> np.ndarray:
    return np.random.default_rng(5).permutation(np.geomspace(10, 60, 500))


@pytest.fixture(scope="module")
def windows(vix) -> np.ndarray:
    """(500, 20) windows whose volatility is a power of their VIX: 1 % a day at 20."""
    noise = np.random.default_rng(6).standard_normal((len(vix), 20))
    return (0.01 * (vix[:, None] / 20) ** EXPONENT * noise).astype(np.float32)


def origin(rows: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Which historical window each row is; fails when it is none."""
    places = {row.tobytes(): place for place, row in enumerate(windows)}
    return np.array([places[row.tobytes()] for row in rows])


def test_vix_scaled_is_a_power_law(windows, vix):
    targets = np.random.default_rng(0).uniform(8, 90, size=300)
    once, twice = (classical.vix_scaled(windows, vix, factor * targets, exponent=EXPONENT, seed=0) for factor in (1.0, 2.0))
    assert once.shape == (300, 20)
    assert once.dtype == np.float32
    np.testing.assert_allclose(twice, 2**EXPONENT * once, rtol=1e-5)


def test_vix_scaled_takes_each_window_from_its_own_vix_to_the_one_asked_for_it(windows, vix):
    targets = np.random.default_rng(0).uniform(8, 90, size=300)
    samples = classical.vix_scaled(windows, vix, targets, exponent=EXPONENT, seed=0)
    chosen = origin(classical.vix_scaled(windows, vix, targets, exponent=0.0, seed=0), windows)  # factor 1: historical
    assert len(np.unique(chosen)) > 200  # any window may be rescaled, whatever its VIX
    np.testing.assert_allclose(samples, windows[chosen] * ((targets / vix[chosen]) ** EXPONENT)[:, None], rtol=1e-5)
    np.testing.assert_allclose(samples.std(), 0.01 * np.sqrt(np.mean((targets / 20) ** (2 * EXPONENT))), rtol=0.05)
    assert (origin(classical.vix_scaled(windows, vix, targets, exponent=0.0, seed=1), windows) != chosen).mean() > 0.9


def test_vix_scaled_leaves_a_window_at_its_own_vix_alone(windows):
    same = np.full(len(windows), 25.0)
    origin(classical.vix_scaled(windows, same, same, exponent=EXPONENT, seed=0), windows)


def test_kernel_bootstrap_draws_historical_windows_near_the_vix_of_each(windows, vix):
    targets = np.random.default_rng(0).permutation(np.repeat([12.0, 20.0, 33.0, 50.0], 500))
    samples = classical.vix_kernel_bootstrap(windows, vix, targets, bandwidth=0.05, seed=0)
    assert samples.shape == (2000, 20)
    distance = np.log(vix[origin(samples, windows)] / targets)
    assert np.abs(distance).max() < 5 * 0.05
    assert distance.std() == pytest.approx(0.05, rel=0.1)  # windows are even in log VIX
    assert distance.mean() == pytest.approx(0, abs=0.01)
    np.testing.assert_array_equal(classical.vix_kernel_bootstrap(windows, vix, targets, bandwidth=0.05, seed=0), samples)
    other = classical.vix_kernel_bootstrap(windows, vix, targets, bandwidth=0.05, seed=1)
    assert (origin(other, windows) != origin(samples, windows)).mean() > 0.8


def test_kernel_weights_are_gaussian_in_log_vix():
    history = np.arange(3.0)[:, None]
    vix = 20 * np.exp(np.array([0.0, 0.1, -0.2]))
    samples = classical.vix_kernel_bootstrap(history, vix, np.full(50_000, 20.0), bandwidth=0.1, seed=0)[:, 0]
    shares = np.bincount(samples.astype(int)) / len(samples)
    np.testing.assert_allclose(shares / shares[0], np.exp([0, -0.5, -2.0]), atol=0.02)


@pytest.mark.parametrize("bandwidth", [0.001, 0.1])
def test_kernel_bootstrap_cannot_go_beyond_the_vix_there_was(windows, vix, bandwidth):
    for target, nearest in [(1000.0, vix >= 45), (0.1, vix <= 13)]:
        chosen = origin(
            classical.vix_kernel_bootstrap(windows, vix, np.full(50, target), bandwidth=bandwidth, seed=0), windows
        )
        assert nearest[chosen].all()
        if bandwidth < 0.01:  # weights that would vanish all the same leave the nearest window
            assert set(chosen) == {np.argmax(vix) if target > 60 else np.argmin(vix)}


def test_a_small_bandwidth_picks_windows_with_the_vix_itself():
    history, vix = np.arange(400.0)[:, None], np.repeat([15.0, 16.0, 30.0, 31.0], 100)
    targets = np.tile([16.0, 30.0], 300)
    samples = classical.vix_kernel_bootstrap(history, vix, targets, bandwidth=1e-3, seed=0)[:, 0].astype(int)
    np.testing.assert_array_equal(vix[samples], targets)
    assert len(np.unique(samples)) > 180  # all of them, alike


@pytest.fixture(scope="module")
def market(gjr, fitted) -> tuple[np.ndarray, np.ndarray]:
    """All windows of the asymmetric path, and a VIX that tells the variance of their first day."""
    cut = rolling(gjr).astype(np.float32)
    return cut, np.sqrt(252 * fitted.variance[: len(cut)])


def rivals(gjr, market, *, vix_at: str = "start", seed: int = 0):
    cut, vix = market
    return classical.vix_rivals(gjr, cut, vix, vix_at=vix_at, bandwidth=0.05, seed=seed)


def test_rivals_are_those_that_know_the_anchor(gjr, market):
    assert set(rivals(gjr, market, vix_at="end")) == {"vix_scaled", "vix_kernel_bootstrap"}
    assert set(rivals(gjr, market)) == {"vix_scaled", "vix_kernel_bootstrap", "gjr_fhs"}


@pytest.mark.parametrize("name", ["vix_scaled", "vix_kernel_bootstrap", "gjr_fhs"])
def test_rivals_answer_each_vix_and_the_seed_alone_decides(gjr, market, name):
    targets = np.tile([10.0, 25.0], 1000)
    samples = rivals(gjr, market)[name](targets)
    assert samples.shape == (2000, L)
    assert samples.dtype == np.float32
    assert samples[1::2].std() > 1.3 * samples[::2].std()  # the second of each pair was asked for more
    draw = rivals(gjr, market)[name]
    for _ in range(2):  # neither an earlier call nor another object matters
        np.testing.assert_array_equal(draw(targets), samples)
    assert (rivals(gjr, market, seed=1)[name](targets) != samples).any(axis=1).mean() > 0.9


def test_rivals_are_fitted_on_what_they_are_given(gjr, market):
    cut, vix = market
    targets = np.full(500, 18.0)
    exponent = fit_vix_exponent(cut, vix)
    assert 0.3 < exponent < 1  # the variance of the first day is half forgotten over a window
    samples = rivals(gjr, market)
    np.testing.assert_array_equal(
        samples["vix_scaled"](targets), classical.vix_scaled(cut, vix, targets, exponent=exponent, seed=0)
    )
    origin(samples["vix_kernel_bootstrap"](targets), cut)


@pytest.mark.parametrize("level", [10.0, 16.0, 30.0])
def test_gjr_starts_from_the_variance_of_days_with_such_a_vix(gjr, market, level):
    samples = rivals(gjr, market)["gjr_fhs"](np.full(4000, level))
    assert samples[:, 0].std() == pytest.approx(level / np.sqrt(252) / 100, rel=0.08)
