"""Distances and stylised facts of return windows: arrays in, floats out.

Windows are (N, L) daily log-returns as fractions. A function of one argument describes a sample; a function of
`real` and `fake` compares two samples, which need not be of one size and are never truncated to it.
"""

import numpy as np
from scipy import stats

COPYING = 0.8  # memorisation ratio below which a sample is taken for copies of training windows


def std_ratio(real: np.ndarray, fake: np.ndarray) -> float:
    """Standard deviation of all generated days over that of all real days."""
    return float(np.std(fake) / np.std(real))


def quantile_ratio(real: np.ndarray, fake: np.ndarray, q: float) -> float:
    """Ratio of the pooled q-quantiles, generated over real; q in (0, 1)."""
    return float(np.quantile(fake, q) / np.quantile(real, q))


def wasserstein(real: np.ndarray, fake: np.ndarray) -> float:
    """First Wasserstein distance between two samples of any size, pooled, in their unit."""
    return float(stats.wasserstein_distance(np.ravel(real), np.ravel(fake)))


def ks(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Kolmogorov-Smirnov statistic of pooled returns and its nominal p-value.

    The p-value assumes independent days. Windows overlap and volatility clusters, so it is no verdict.
    """
    result = stats.ks_2samp(np.ravel(real), np.ravel(fake), method="asymp")
    return float(result.statistic), float(result.pvalue)


def excess_kurtosis(windows: np.ndarray) -> float:
    """Excess kurtosis of all days; 0 for a normal law."""
    return float(stats.kurtosis(np.ravel(windows)))


def skewness(windows: np.ndarray) -> float:
    """Skewness of all days."""
    return float(stats.skew(np.ravel(windows)))


def expected_shortfall(windows: np.ndarray, q: float) -> float:
    """Mean of the days at or beyond the pooled q-quantile, as a log-return: the worst days for q < 0.5, else the best."""
    days = np.sort(np.ravel(windows).astype(float))
    count = max(1, int(np.floor(min(q, 1 - q) * len(days) + 1e-9)))
    return float(np.mean(days[:count] if q < 0.5 else days[-count:]))


def hill_index(windows: np.ndarray, *, tail: str, share: float = 0.025) -> float:
    """Tail index of all days by Hill 1975: one over the mean log excess of the `share` largest falls or gains.

    tail : "lower" or "upper". Less is heavier; a Pareto tail has its exponent, Student's t its degrees of freedom.
    Raises ValueError when fewer than two days, or days of the other sign, would make the tail.
    """
    if tail not in ("lower", "upper"):
        raise ValueError(f"tail is {tail!r}: use 'lower' or 'upper'")
    days = np.sort((-1.0 if tail == "lower" else 1.0) * np.ravel(windows).astype(float))[::-1]
    count = int(share * len(days))
    if count < 2 or days[count] <= 0:
        raise ValueError(f"the {share:.1%} of days in the {tail} tail are {count}, and the next is {days[count]:g}: too few")
    return float(1.0 / np.mean(np.log(days[:count] / days[count])))


def horizon_returns(windows: np.ndarray, days: int) -> np.ndarray:
    """Cumulative log-returns over `days` days, from stretches side by side inside each window, all in one array."""
    length = np.shape(windows)[1]
    if not 1 <= days <= length:
        raise ValueError(f"a horizon of {days} days does not fit in windows of {length}")
    whole = length // days * days
    return np.asarray(windows, dtype=float)[:, :whole].reshape(-1, days).sum(axis=1)


def pooled_acf(windows: np.ndarray, *, max_lag: int = 20) -> np.ndarray:
    """(max_lag,) autocorrelation at lags 1..max_lag (at most L - 1) with the mean and variance of all days.

    Products are taken inside windows only. Demeaning each window of 50 days would remove the slow part of
    volatility and leave the S&P 500 looking like white noise.
    """
    centred = np.asarray(windows, dtype=float) - np.mean(windows, dtype=float)
    variance = np.mean(centred**2)
    if np.ptp(windows) == 0:
        raise ValueError("autocorrelation of a constant sample is undefined")
    lags = range(1, min(max_lag, centred.shape[1] - 1) + 1)
    return np.array([np.mean(centred[:, lag:] * centred[:, :-lag]) / variance for lag in lags])


def windowed_acf(windows: np.ndarray, lag: int) -> float:
    """Mean over windows of the sample autocorrelation at one lag, each window demeaned by itself.

    The published definition, kept for the table that reproduces the paper: biased by about -1/L.
    """
    alive = np.asarray(windows, dtype=float)[np.ptp(windows, axis=1) > 0]  # a constant window has none
    centred = alive - alive.mean(axis=1, keepdims=True)
    covariance = np.sum(centred[:, lag:] * centred[:, :-lag], axis=1)
    return float(np.mean(covariance / np.sum(centred**2, axis=1)))


def acf_abs_mae(real: np.ndarray, fake: np.ndarray, *, max_lag: int = 20) -> float:
    """Mean absolute gap of the pooled autocorrelation of |r| at lags 1..max_lag."""
    ours, theirs = (pooled_acf(np.abs(windows), max_lag=max_lag) for windows in (real, fake))
    return float(np.mean(np.abs(ours - theirs)))


def realised_vol(windows: np.ndarray) -> np.ndarray:
    """(N,) realised volatility of each window: root mean squared daily return, per day, not annualised."""
    return np.sqrt(np.mean(np.asarray(windows, dtype=float) ** 2, axis=1))


def log_rv(windows: np.ndarray) -> np.ndarray:
    """(N,) logarithm of the realised volatility of each window."""
    return np.log(np.maximum(realised_vol(windows), 1e-8))


def log_rv_sd_ratio(real: np.ndarray, fake: np.ndarray) -> float:
    """Ratio of the standard deviations of log realised volatility: the dispersion of calm and wild windows."""
    return float(np.std(log_rv(fake)) / np.std(log_rv(real)))


def vol_sd_ratio(real: np.ndarray, fake: np.ndarray) -> float:
    """Ratio of the standard deviations of per-window realised volatility."""
    return float(np.std(realised_vol(fake)) / np.std(realised_vol(real)))


def max_drawdown(windows: np.ndarray) -> np.ndarray:
    """(N,) largest fall from a running maximum, a positive fraction of a level that starts at 1."""
    log_level = np.cumsum(np.asarray(windows, dtype=float), axis=1)
    peak = np.maximum(np.maximum.accumulate(log_level, axis=1), 0.0)
    return 1.0 - np.exp(np.min(log_level - peak, axis=1))


def day_std_range(windows: np.ndarray) -> float:
    """Largest over smallest standard deviation of the L days of a window; 1 when no day is treated differently."""
    by_day = np.std(windows, axis=0)
    return float(by_day.max() / by_day.min())


def half_window_correlation(windows: np.ndarray) -> float:
    """Correlation over windows of the log standard deviations of the first and of the second half."""
    half = windows.shape[1] // 2
    first, second = (np.std(part, axis=1) for part in (windows[:, :half], windows[:, half:]))
    return float(np.corrcoef(np.log(np.maximum(first, 1e-8)), np.log(np.maximum(second, 1e-8)))[0, 1])


def leverage_by_lag(windows: np.ndarray, *, max_lag: int = 10) -> np.ndarray:
    """(max_lag,) corr(r_t, r_{t+lag}^2) at lags 1..max_lag, both days inside a window; lag 0 would be skewness."""
    values = np.asarray(windows, dtype=float)
    pairs = [(values[:, :-lag].ravel(), values[:, lag:].ravel() ** 2) for lag in range(1, max_lag + 1)]
    return np.array([np.corrcoef(now, later)[0, 1] for now, later in pairs])


def leverage(windows: np.ndarray, *, max_lag: int = 10) -> float:
    """Mean of `leverage_by_lag`; negative when falls announce volatility."""
    return float(np.mean(leverage_by_lag(windows, max_lag=max_lag)))


def nearest_distances(reference: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(N,) distance of each window to the nearest of `reference` (M, L), Euclidean, per square root of L.

    Each window is standardised by itself, so that shape counts and volatility does not: 0 is a copy, up to scale, and
    two windows of independent noise are about sqrt(2) apart.
    """
    ours, theirs = (
        (each - each.mean(axis=1, keepdims=True)) / np.maximum(each.std(axis=1, keepdims=True), 1e-12)
        for each in (np.asarray(windows, dtype=float), np.asarray(reference, dtype=float))
    )
    closest = np.max(ours @ theirs.T, axis=1) / windows.shape[1]  # both have a mean square of 1
    return np.sqrt(np.maximum(2.0 - 2.0 * closest, 0.0))


def memorisation_ratio(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
    """Median distance of generated windows to the nearest training window over that of real held-out windows.

    About 1 for new windows, 0 for copies of training windows; distances are those of `nearest_distances`.
    """
    return float(np.median(nearest_distances(train, fake)) / np.median(nearest_distances(train, held_out)))


def checkpoint_distance(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
    """How far a sample is from the training windows, to choose among states of one training run.

    W1 of daily returns in training standard deviations, plus W1 of log realised volatility; infinite for a sample that
    copies training windows, see `memorisation_ratio`.
    """
    if memorisation_ratio(train, held_out, fake) < COPYING:
        return float("inf")
    return wasserstein(train, fake) / float(np.std(train)) + wasserstein(log_rv(train), log_rv(fake))


def describe_collapse(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Is a sample as diverse as the training windows? Ratios are generated over real; see the functions of their names.

    self_neighbour : median distance from one half of the sample to the nearest of the other half, over that of the
        held-out windows to as many training windows; well below 1 when few windows are made over and over
    """
    half = len(fake) // 2
    spaced = train[np.linspace(0, len(train) - 1, min(half, len(train))).astype(int)]
    reference = np.median(nearest_distances(spaced, held_out))
    return {
        "std_ratio": std_ratio(train, fake),
        "vol_sd_ratio": vol_sd_ratio(train, fake),
        "log_rv_sd_ratio": log_rv_sd_ratio(train, fake),
        "half_window_correlation": half_window_correlation(fake),
        "day_std_range": day_std_range(fake),
        "self_neighbour": float(np.median(nearest_distances(fake[half : half + len(spaced)], fake[:half])) / reference),
        "memorisation": memorisation_ratio(train, held_out, fake),
    }


def window_outcomes(windows: np.ndarray) -> dict[str, np.ndarray]:
    """What a forecaster of a window is asked for, each (N,): log realised volatility, cumulative log-return,
    maximum drawdown (a positive fraction) and the worst daily log-return."""
    return {
        "log_rv": log_rv(windows),
        "cum_return": np.sum(windows, axis=1, dtype=float),
        "max_drawdown": max_drawdown(windows),
        "worst_day": np.min(windows, axis=1).astype(float),
    }


def describe_latents(z: np.ndarray) -> dict[str, float]:
    """Moments of standardised latents (N, D): norms, per-dimension spread and kurtosis, mean absolute correlation."""
    norms = np.linalg.norm(z, axis=1)
    upper = np.triu_indices(z.shape[1], k=1)
    return {
        "norm_median": float(np.median(norms)),
        "norm_p99": float(np.quantile(norms, 0.99)),
        "std_min": float(z.std(axis=0).min()),
        "std_max": float(z.std(axis=0).max()),
        "excess_kurtosis_mean": float(np.mean(stats.kurtosis(z))),
        "abs_correlation_mean": float(np.mean(np.abs(np.corrcoef(z.T)[upper]))),
    }
