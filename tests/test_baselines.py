"""The classical generators on simulated paths whose law is known."""

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length
from scipy import stats

from chaoslib import baselines, metrics

T, L, N = 3000, 50, 2000
MEAN_BLOCK = 60.0
GENERATORS = {
    "iid_bootstrap": baselines.iid_bootstrap,
    "block_bootstrap": lambda path, n, **size: baselines.block_bootstrap(path, n, mean_block=MEAN_BLOCK, **size),
    "garch_t": baselines.garch_t,
    "gjr_fhs": baselines.gjr_fhs,
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
def made(garch) -> dict[str, np.ndarray]:
    """Windows of every generator fitted to the symmetric path."""
    return {name: generate(garch, N, seq_len=L, seed=0) for name, generate in GENERATORS.items()}


def rolling(path: np.ndarray) -> np.ndarray:
    """All windows of a path, the sample that a model of it should resemble."""
    return np.lib.stride_tricks.sliding_window_view(path, L)


def mean_acf_abs(windows: np.ndarray) -> float:
    return float(metrics.pooled_acf(np.abs(windows), max_lag=10).mean())


@pytest.mark.parametrize("name", GENERATORS)
def test_windows_have_the_asked_shape_and_type(made, garch, name):
    assert made[name].shape == (N, L)
    assert made[name].dtype == np.float32
    assert np.isfinite(made[name]).all()
    odd = GENERATORS[name](garch, 7, seq_len=33, seed=0)  # fewer than one copy of the path holds
    assert odd.shape == (7, 33)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_seed_alone_decides(made, garch, name):
    np.testing.assert_array_equal(GENERATORS[name](garch, N, seq_len=L, seed=0), made[name])
    other = GENERATORS[name](garch, N, seq_len=L, seed=1)
    assert np.mean(other == made[name]) < 0.01
    assert len(np.unique(made[name], axis=0)) > 0.5 * N  # unbroken blocks of a short path may coincide


@pytest.mark.parametrize("name", ["iid_bootstrap", "block_bootstrap"])
def test_bootstraps_hold_real_days_only_and_reach_all_of_them(made, garch, name):
    drawn, days = np.unique(made[name]), np.unique(garch.astype(np.float32))
    assert np.isin(drawn, days).all()
    assert len(drawn) > 0.99 * len(days)
    assert metrics.std_ratio(garch, made[name]) == pytest.approx(1, abs=0.02)


def test_block_bootstrap_keeps_the_clustering_that_iid_loses(made, garch):
    real = mean_acf_abs(rolling(garch))
    assert real > 0.1
    assert abs(mean_acf_abs(made["iid_bootstrap"])) < 0.01
    assert 0.7 * real < mean_acf_abs(made["block_bootstrap"]) < 1.1 * real


@pytest.mark.parametrize("mean_block", [2.0, 10.0, 60.0])
def test_mean_block_is_the_mean_length_of_a_block(mean_block):
    calendar = np.arange(T, dtype=float)  # each value says which day it is
    windows = baselines.block_bootstrap(calendar, N, seq_len=L, seed=0, mean_block=mean_block)
    follows = np.diff(windows, axis=1) % T == 1  # the path is closed to a circle
    assert follows.mean() == pytest.approx(1 - 1 / mean_block, abs=0.005)
    iid = baselines.iid_bootstrap(calendar, N, seq_len=L, seed=0)
    assert np.mean(np.diff(iid, axis=1) == 1) < 0.002


def test_windows_are_cut_inside_copies_of_the_path():
    calendar = np.arange(120.0)  # two windows of 50 a copy, 20 days left over
    windows = baselines.block_bootstrap(calendar, 41, seq_len=L, seed=0, mean_block=1e9)  # one block a copy
    assert windows.shape == (41, L)
    assert (np.diff(windows, axis=1) % 120 == 1).all()
    np.testing.assert_array_equal((windows[1::2, 0] - windows[:-1:2, -1]) % 120, 1)  # the second continues the first
    assert len(np.unique(windows[::2, 0])) > 5  # a new copy starts anywhere


def test_block_length_is_that_of_volatility(garch):
    length = baselines.block_length(garch)
    assert length == optimal_block_length(np.abs(garch))["stationary"].iloc[0]
    assert length > 2 * optimal_block_length(garch)["stationary"].iloc[0]
    assert baselines.block_length(-3 * garch) == pytest.approx(length)
    shuffled = np.random.default_rng(0).permutation(garch)
    assert baselines.block_length(shuffled) < length / 2


def test_a_path_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="49 days holds no window of 50"):
        baselines.block_bootstrap(np.zeros(49), 3, seq_len=L, seed=0, mean_block=5)
    assert baselines.block_bootstrap(np.arange(50.0), 3, seq_len=L, seed=0, mean_block=5).shape == (3, L)


@pytest.mark.parametrize("name", FITTED)
def test_fitted_models_recover_scale_and_clustering(made, garch, name):
    assert metrics.std_ratio(garch, made[name]) == pytest.approx(1, abs=0.1)
    assert np.std(made[name]) == pytest.approx(0.01, rel=0.1)  # the law behind the path
    assert mean_acf_abs(made[name]) == pytest.approx(mean_acf_abs(rolling(garch)), abs=0.09)
    assert abs(metrics.leverage(made[name])) < 0.03  # the path is symmetric
    assert abs(metrics.pooled_acf(made[name], max_lag=5)).max() < 0.03


@pytest.mark.parametrize("name", FITTED)
def test_fitted_models_follow_the_unit_and_the_mean_of_the_path(garch, name):
    windows = GENERATORS[name](2 * garch + 0.004, N, seq_len=L, seed=0)
    assert metrics.std_ratio(2 * garch, windows) == pytest.approx(1, abs=0.1)
    assert windows.mean() == pytest.approx(0.004 + 2 * garch.mean(), abs=5e-4)


def test_gjr_fhs_learns_that_falls_announce_volatility(gjr):
    windows = baselines.gjr_fhs(gjr, N, seq_len=L, seed=0)
    real = metrics.leverage(rolling(gjr))
    assert real < -0.03
    assert 1.6 * real < metrics.leverage(windows) < 0.5 * real
    mirrored = baselines.gjr_fhs(-gjr, N, seq_len=L, seed=0)
    assert metrics.leverage(mirrored) > 0.02


def test_gjr_fhs_is_at_home_from_the_first_day(gjr):
    """A window starts from a filtered variance of the path: no day of it is calmer or wilder than the path."""
    windows = baselines.gjr_fhs(gjr, 20_000, seq_len=L, seed=0)
    assert stats.ks_2samp(windows[:, 0], gjr).statistic < 0.025
    by_day = windows.std(axis=0) / gjr.std()
    np.testing.assert_allclose(by_day, 1, atol=0.1)
    kept = np.corrcoef(np.abs(windows[:, 0]), np.abs(windows[:, 1]))[0, 1]
    expected = metrics.pooled_acf(np.abs(rolling(gjr)), max_lag=1)[0]
    assert kept == pytest.approx(expected, abs=0.05)  # the second day continues from the variance of the first


def test_gjr_fhs_draws_its_shocks_from_the_path():
    """Noise of two values is known by its kurtosis: normal or Student shocks would not be bounded like it."""
    rng = np.random.default_rng(0)
    two_values = 0.01 * rng.choice([-1.0, 1.0], size=T)
    windows = baselines.gjr_fhs(two_values, N, seq_len=L, seed=0)
    assert np.abs(windows).max() < 0.02
    assert metrics.excess_kurtosis(windows) < -1.5
