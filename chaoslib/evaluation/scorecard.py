"""Distances against a noise floor: how far would the same history, lived again, have been from itself?

A *fact* is what `facts` says of a sample of windows: a number, an autocorrelation by lags, or a law as its quantile
function, averaged over bins of probability. A *copy* is a stationary bootstrap of the training path (Politis & Romano
1994), cut like the path itself. Facts of many samples are stacked on a leading axis, so that one model is held against
all copies at once.
"""

import logging
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from arch.bootstrap import StationaryBootstrap

from chaoslib.evaluation import metrics

log = logging.getLogger(__name__)

EDGES = np.arange(40_001)  # of the bins of a law: 2000 of equal probability, the five outermost cut into twenty each,
EDGES = EDGES[(EDGES % 20 == 0) | (EDGES < 100) | (EDGES > 39_900)] / 40_000  # where two laws may cross inside a bin
WIDTHS = np.diff(EDGES)
QUANTILES = {"q005": 0.005, "q01": 0.01, "q05": 0.05, "q95": 0.95, "q99": 0.99, "q995": 0.995}
HORIZONS = (5, 20, 50)  # days; one day is the law of `returns`
RATIOS = ["std_ratio", *(f"{name}_ratio" for name in QUANTILES), "es01_ratio", "es99_ratio", "vol_sd_ratio"]
RATIOS += ["log_rv_sd_ratio"]
MEMORY = ["acf_mae", "acf_abs_mae"]  # autocorrelations by lags
DEPENDENCE = [*MEMORY, "half_window_correlation", "leverage"]  # resampling lowers memory by itself
UNRANKED = ["skew", "excess_kurtosis"]  # decided by single days: described, never ranked by
NUMBERS = [*RATIOS, *UNRANKED, "hill_lower", "hill_upper", "half_window_correlation", "leverage"]
LAWS = ["w1_over_std", "log_rv_w1", "max_drawdown_w1", *(f"return_{days}d_w1" for days in HORIZONS)]
METRICS = [*RATIOS, "w1_over_std", "ks", *LAWS[1:], "hill_lower", "hill_upper", *DEPENDENCE, *UNRANKED]

COLUMNS = ["model", "reference", "metric", "real", "value", "distance", "seed_sd", "ci_low", "ci_high"]
COLUMNS += ["floor_median", "floor_p95", "floor_bias", "ratio", "p_max", "real_low", "real_high"]

Facts = dict[str, np.ndarray]


def facts(windows: np.ndarray) -> Facts:
    """Every fact that the scorecard compares, of windows (N, L); for a ratio, the number that is divided.

    Of no windows at all, as of a calm history in stress, every fact is nan.
    """
    if not len(windows):
        one = np.linspace(-1.0, 1.0, windows.shape[1])[None] * [[1.0], [2.0]]  # any two windows of this length
        return {name: np.full_like(value, np.nan) for name, value in facts(one).items()}
    days = np.ravel(windows).astype(float)
    rv = metrics.realised_vol(windows)
    log_rv = np.log(np.maximum(rv, 1e-8))
    numbers = {
        "std_ratio": np.std(days),
        **{f"{name}_ratio": value for name, value in zip(QUANTILES, np.quantile(days, [*QUANTILES.values()]), strict=True)},
        "es01_ratio": metrics.expected_shortfall(days, 0.01),
        "es99_ratio": metrics.expected_shortfall(days, 0.99),
        "vol_sd_ratio": np.std(rv),
        "log_rv_sd_ratio": np.std(log_rv),
        "skew": metrics.skewness(days),
        "excess_kurtosis": metrics.excess_kurtosis(days),
        "hill_lower": tail_index(days, "lower"),
        "hill_upper": tail_index(days, "upper"),
        "half_window_correlation": metrics.half_window_correlation(windows),
        "leverage": metrics.leverage(windows),
    }
    memory = {"acf_mae": metrics.pooled_acf(windows), "acf_abs_mae": metrics.pooled_acf(np.abs(windows))}
    laws = {"w1_over_std": days, "log_rv_w1": log_rv, "max_drawdown_w1": metrics.max_drawdown(windows)}
    length = windows.shape[1]
    horizons = [n for n in HORIZONS if n < length] + [length]
    laws |= {f"return_{n}d_w1": metrics.horizon_returns(windows, n) for n in horizons}
    laws = {name: mean_quantiles(values) for name, values in laws.items()}
    return {name: np.asarray(value) for name, value in (numbers | memory | laws).items()}


def mean_quantiles(values: np.ndarray) -> np.ndarray:
    """(Q,) mean of the empirical quantile function of values (N,) over each of the Q bins of probability at `EDGES`.

    Exact, from the running sum of the sorted values. The outer bins hold the tails to their ends: weighted by `WIDTHS`,
    the mean of the bins is that of the sample, and the mean gap between two laws is their first Wasserstein distance but
    for gaps that change sign inside a bin, which makes it too small by a thousandth at most where laws are alike.
    """
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(np.sort(values))])  # N times the integral of the quantile function
    means = np.diff(np.interp(n * EDGES, np.arange(n + 1), sums)) / (n * WIDTHS)
    return np.maximum.accumulate(means)  # rounding must not put a law out of order


def tail_index(days: np.ndarray, tail: str) -> float:
    """`metrics.hill_index`; infinite for a sample without that tail, which is then infinitely far from one with it."""
    try:
        return metrics.hill_index(days, tail=tail)
    except ValueError:
        return float("inf")


def stack(parts: Iterable[Facts]) -> Facts:
    """Facts of several samples as one, with a leading axis."""
    parts = list(parts)
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def distances(real: Facts, fake: Facts) -> dict[str, np.ndarray]:
    """Metric -> distance, a number, or one a sample where either side is stacked.

    A ratio: |fake / real - 1|. Memory: mean gap over lags. A law: first Wasserstein distance, by mean quantiles, for
    daily returns in real standard deviations. ks: largest gap of the distribution functions of daily returns. Others:
    absolute gap.
    """
    distance = {}
    for name in real:
        if name in RATIOS:
            distance[name] = np.abs(fake[name] / real[name] - 1)
        elif name in NUMBERS:
            distance[name] = np.abs(fake[name] - real[name])
        elif name in MEMORY:
            distance[name] = np.mean(np.abs(fake[name] - real[name]), axis=-1)
        else:
            distance[name] = np.abs(fake[name] - real[name]) @ WIDTHS
    distance["w1_over_std"] = distance["w1_over_std"] / real["std_ratio"]
    distance["ks"] = largest_gap(real["w1_over_std"], fake["w1_over_std"])
    names = [*(name for name in METRICS if name in distance), *(name for name in distance if name not in METRICS)]
    return {name: distance[name][()] for name in names}  # no arrays of no dimension


def largest_gap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov statistic of two laws by their mean quantiles (..., Q), to about the width of a bin."""
    shape = np.broadcast_shapes(ours.shape, theirs.shape)
    pairs = zip(*(np.broadcast_to(law, shape).reshape(-1, shape[-1]) for law in (ours, theirs)), strict=True)
    gaps = [np.max(np.abs(share_below(a, points := np.concatenate([a, b])) - share_below(b, points))) for a, b in pairs]
    return np.where(np.isnan(ours + theirs)[..., 0], np.nan, np.array(gaps).reshape(shape[:-1]))


def share_below(law: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distribution function of a law's mean quantiles (Q,) at points, half of any tie counted."""
    return 0.5 * (EDGES[np.searchsorted(law, points, "left")] + EDGES[np.searchsorted(law, points, "right")])


def copies(
    n_days: int, n: int, *, length: int | None = None, mean_block: float = 250.0, seed: int = 0
) -> Iterator[np.ndarray]:
    """n times the days (length,) of a stationary-bootstrap copy of a path of n_days, as positions in it.

    length : of a copy, n_days unless given. Copies shorter than the path show what a short history may look like.
    """
    bootstrap = StationaryBootstrap(mean_block, np.arange(n_days), seed=np.random.default_rng(seed))
    for data, _ in bootstrap.bootstrap(n):
        yield data[0][:length]


def cut(path: np.ndarray, seq_len: int) -> np.ndarray:
    """(T - L + 1, L) windows of a path (T,), one starting on every day: the same cut for history and for its copies."""
    return np.lib.stride_tricks.sliding_window_view(path, seq_len)


class NoiseFloor:
    """Distances of copies to the history they were drawn from.

    real : facts of the history's windows; copied : stacked facts of its copies
    distances : one row a copy, one column a metric. For metrics of DEPENDENCE it is the distance of a copy to the mean of
        all copies, since every seam between blocks lowers memory: the gap of that mean to the history is the bias
    """

    def __init__(self, real: Facts, copied: Facts):
        self.real, self.copied = real, copied
        self.centre = {name: copied[name].mean(axis=0) if name in DEPENDENCE else real[name] for name in real}
        self.distances = pd.DataFrame(distances(self.centre, copied))
        self.ranked = [name for name in self.distances if name not in UNRANKED]
        self.table = pd.DataFrame({"floor_median": self.distances.median(), "floor_p95": self.distances.quantile(0.95)})
        self.table["floor_bias"] = pd.Series({n: float(np.mean(self.centre[n] - real[n])) for n in DEPENDENCE})

    def copy_distances(self, other: "NoiseFloor") -> pd.DataFrame:
        """(copies of the other, metrics) distances of another floor's copies, about the centre of this one."""
        return pd.DataFrame(distances(self.centre, other.copied))

    def p_max(self, distance: pd.Series) -> float:
        """Share of copies whose largest distance / floor_p95 over all ranked metrics is that of `distance` or larger.

        One number for many metrics: small only when a distance is beyond what the worst metric of a copy shows.
        """
        scale = self.table["floor_p95"][self.ranked]
        if scale.isna().all():
            return np.nan
        largest = (distance[self.ranked] / scale).max()
        return float((1 + np.sum((self.distances[self.ranked] / scale).max(axis=1) >= largest)) / (1 + len(self.distances)))


def noise_floor(
    path: np.ndarray,
    *,
    seq_len: int,
    n: int = 200,
    mean_block: float = 250.0,
    length: int | None = None,
    ends: np.ndarray | None = None,
    stride: int = 1,
    seed: int = 0,
) -> NoiseFloor:
    """The floor of a path (T,) from n copies.

    length : days of a copy, those of the path unless given: what a history so short may look like
    ends : (T,) bool, whether a window may end on a day, always unless given: the windows of stress, say, of history and
        copies alike; copies with fewer than `seq_len` such windows are left out. Where fewer than half of the copies are
        left there is no floor: everything about it is nan, and `rows` against it are none
    stride : days between the windows of history and copies alike; neighbours of long windows say nearly the same
    Raises ValueError when the path or `length` is shorter than a window, for a missing return, a `length` beyond the path,
    or `ends` of another shape.
    """
    if not np.isfinite(path).all() or (length or 0) > len(path):
        missing = int(np.sum(~np.isfinite(path)))
        raise ValueError(f"a path of {len(path)} days, {missing} of them missing, gives no copies of {length or len(path)}")
    if ends is not None and (ends.shape != path.shape or ends.dtype != bool):
        raise ValueError(f"ends is {ends.dtype} of shape {ends.shape}: give one bool for each of the {len(path)} days")
    if min(len(path), length or len(path)) < seq_len:
        raise ValueError(f"a path of {len(path)} days and copies of {length or len(path)} hold no window of {seq_len}")

    def windows_of(days: np.ndarray) -> np.ndarray:
        windows = cut(path[days], seq_len)
        return (windows if ends is None else windows[ends[days][seq_len - 1 :]])[::stride]

    cuts = map(windows_of, copies(len(path), n, length=length, mean_block=mean_block, seed=seed))
    copied = [facts(windows) for windows in cuts if ends is None or len(windows) >= seq_len]
    if len(copied) < n / 2:
        log.info("no noise floor: %d of %d copies hold %d of the windows asked for", len(copied), n, seq_len)
        blank = facts(np.empty((0, seq_len)))
        return NoiseFloor(blank, stack([blank]))
    return NoiseFloor(facts(windows_of(np.arange(len(path)))), stack(copied))


@np.errstate(invalid="ignore")  # an infinite distance has no interval
def rows(
    model: str, reference: str, samples: list[Facts], history: NoiseFloor, floor: NoiseFloor | None = None
) -> pd.DataFrame:
    """Rows of `scorecard`, one a metric: a model's samples, one a seed, against a history.

    history : the floor of the reference's own path, with which the samples are compared
    floor : another yardstick for the same distances, when the reference is too short to be one; else the history's own
    real, value : the number compared, blank for a law or an autocorrelation; distance and value are means over seeds
    seed_sd : standard deviation of the distance over seeds, blank for one
    ci_low, ci_high : 95 % interval of the distance over histories: the same samples against every copy, moved to lie
        about the measured distance; seeds do not enter
    real_low, real_high : 95 % interval of `real` over copies
    There are none against a floor that could not be had, or of samples without windows.
    """
    real, floor = history.real, floor or history
    if floor.table["floor_p95"].isna().all() or all(np.isnan(sample["std_ratio"]) for sample in samples):
        texts = ("model", "reference", "metric")
        return pd.DataFrame({name: pd.Series(dtype=str if name in texts else float) for name in COLUMNS})
    each = pd.DataFrame(distances(real, stack(samples)))
    lived = {name: values + (real[name] - history.centre[name]) for name, values in history.copied.items()}
    moved = sum(pd.DataFrame(distances(lived, sample)) for sample in samples) / len(samples)
    table = pd.DataFrame({"distance": each.mean(), "seed_sd": each.std()})
    for end, level in (("low", 0.025), ("high", 0.975)):
        table[f"ci_{end}"] = np.maximum(table["distance"] + moved.quantile(level) - moved.mean(), 0.0)
    table = table.join(floor.table).join(numbers(real, stack(samples), lived))
    table["ratio"] = table["distance"] / table["floor_median"]
    table["p_max"] = floor.p_max(table["distance"])
    return table.rename_axis("metric").reset_index().assign(model=model, reference=reference)[COLUMNS]


def numbers(real: Facts, fakes: Facts, lived: Facts | None = None) -> pd.DataFrame:
    """Columns real, value, real_low and real_high of the metrics that are numbers; ratios are over the real number.

    fakes : stacked facts of samples, whose mean is the value; lived : stacked facts of other histories, for the interval
    """
    table = {}
    for name in NUMBERS:
        unit = float(real[name]) if name in RATIOS else 1.0
        low, high = (np.nan, np.nan) if lived is None else np.sort(np.quantile(lived[name] / unit, [0.025, 0.975]))
        table[name] = {"real": float(real[name]) / unit, "value": float(np.mean(fakes[name])) / unit}
        table[name] |= {"real_low": low, "real_high": high}
    return pd.DataFrame.from_dict(table, orient="index")


def halves(path: np.ndarray, *, seq_len: int, n: int = 200, mean_block: float = 250.0, seed: int = 0) -> pd.DataFrame:
    """Rows of `scorecard` for the second half of a path against the first; the floor is that of the halves of copies."""
    middle = len(path) // 2

    def described(days: np.ndarray) -> list[Facts]:
        return [facts(cut(path[part], seq_len)) for part in (days[:middle], days[middle:])]

    first, second = described(np.arange(len(path)))
    apart = pd.DataFrame([distances(*described(days)) for days in copies(len(path), n, mean_block=mean_block, seed=seed)])
    table = pd.DataFrame({"floor_median": apart.median(), "floor_p95": apart.quantile(0.95)})
    table["distance"] = pd.Series(distances(first, second), dtype=float)
    table["ratio"] = table["distance"] / table["floor_median"]
    table = table.join(numbers(first, stack([second]))).rename_axis("metric").reset_index()
    return table.assign(model="second_half", reference="first_half").reindex(columns=COLUMNS)


def verdict(card: pd.DataFrame) -> pd.DataFrame:
    """(models, ...) where the ranked metrics of each model lie; card : rows of `scorecard` of one reference.

    below_median, inside, outside : how many distances are at most the floor's median, at most its 95 % value, larger
    farthest, times : the metric with the largest distance / floor_p95, and that number, which `p_max` compares
    """
    ranked = card[~card["metric"].isin(UNRANKED)]
    ranked = ranked.assign(times=ranked["distance"] / ranked["floor_p95"], near=ranked["ratio"] <= 1)
    rows = {}
    for model, group in ranked.groupby("model", sort=False):
        near, outside = group["near"].sum(), (group["times"] > 1).sum()
        worst = group.loc[group["times"].idxmax()]
        rows[model] = {"below_median": near, "inside": len(group) - near - outside, "outside": outside}
        rows[model] |= {"farthest": worst["metric"], "times": worst["times"], "p_max": worst["p_max"]}
    return pd.DataFrame.from_dict(rows, orient="index")
