"""Were forecasts of value at risk and expected shortfall right? Tests and scores of what happened after each forecast.

Outcomes are log-returns over a horizon as fractions, and so are forecasts: the value at risk at 1 % is the 1 % quantile,
a negative number, and a *hit* is an outcome below it. Statistics work along the last axis, so that one observed series
and thousands of simulated ones go through the same lines.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from arch.covariance.kernel import Bartlett
from scipy import stats
from scipy.special import xlogy

from chaoslib.evaluation import scoring
from chaoslib.models.classical import GJR

DEEPEST = 0.05  # the largest level that a tail is kept for
PERCENT = 100.0  # FZ0 is published for returns in percent; in fractions it is lower by a constant
COLUMNS = [
    *("model", "seed", "split", "horizon_days", "level", "n", "hits", "expected", "kupiec_p", "christoffersen_p"),
    *("as_z2", "as_z2_p", "hit_ratio", "fz0", "dm_p_vs_fhs", "clamped"),
]


@dataclass(frozen=True)
class Tail:
    """Lower tails of T forecasts, each of `n` equally likely outcomes.

    values : (T, K) the smallest K outcomes of each, ascending
    """

    values: np.ndarray
    n: int

    def count(self, level: float) -> int:
        """How many outcomes make the tail at a level. Raises ValueError when none does, or more than were kept."""
        count = int(np.floor(level * self.n + 1e-9))
        if not 1 <= count <= self.values.shape[1]:
            raise ValueError(
                f"the level {level:g} of {self.n} outcomes is {count} of them, and the {self.values.shape[1]} smallest "
                "were kept: forecast with more outcomes, or ask for another level"
            )
        return count

    def quantile(self, level: float) -> np.ndarray:
        """(T,) value at risk, as a log-return: the largest outcome of the tail."""
        return self.values[:, self.count(level) - 1]

    def shortfall(self, level: float) -> np.ndarray:
        """(T,) expected shortfall, as a log-return: the mean of the tail."""
        return self.values[:, : self.count(level)].mean(axis=1)


def tail_of(outcomes: np.ndarray) -> Tail:
    """The tail of forecasts (T, n) given by their outcomes."""
    n = outcomes.shape[1]
    size = int(np.floor(DEEPEST * n + 1e-9))
    return Tail(np.sort(np.partition(outcomes, size - 1, axis=1)[:, :size], axis=1), n)


def followed(tail: Tail, path: np.ndarray, days: int) -> tuple[Tail, np.ndarray]:
    """Forecasts for each day of a path (T,), without those whose horizon ends beyond it, and what followed them.

    Raises ValueError unless there is one for each day, or for a missing return, which would pass for no hit.
    """
    if len(tail.values) != len(path):
        raise ValueError(f"{len(tail.values)} forecasts for {len(path)} days: give one for each day of the path")
    if not np.isfinite(path).all():
        raise ValueError(f"the return of day {int(np.argmin(np.isfinite(path)))} of the path is missing: leave out that day")
    outcome = rolling_sums(path, days)
    return Tail(tail.values[: len(outcome)], tail.n), outcome


def rolling_sums(path: np.ndarray, days: int) -> np.ndarray:
    """(T - days + 1,) log-returns over every stretch of `days` days of a path (T,)."""
    return np.lib.stride_tricks.sliding_window_view(np.asarray(path, dtype=float), days).sum(axis=1)


def vix_tails(
    sample: Callable[[float], np.ndarray], levels: np.ndarray, vix: np.ndarray, *, horizons: tuple[int, ...]
) -> dict[int, Tail]:
    """Horizon -> tail of the forecasts at VIX (T,), from windows (n, L) that `sample` gives at each level of a grid (G,).

    The order statistics are linear in log VIX between levels. Give `sample` the same seed at each, so that they move
    smoothly. Raises ValueError for a VIX that the grid does not span, or a horizon longer than the windows.
    """
    parts = {days: [] for days in horizons}
    for level in levels:
        windows = sample(level)
        if max(horizons) > windows.shape[1]:
            raise ValueError(f"a horizon of {max(horizons)} days does not fit in windows of {windows.shape[1]}")
        for days in horizons:
            parts[days].append(tail_of(windows[:, :days].sum(axis=1, dtype=float)[None]))
    return {
        days: Tail(scoring.at_vix(np.concatenate([tail.values for tail in tails]), levels, vix), tails[0].n)
        for days, tails in parts.items()
    }


def gjr_tails(
    gjr: GJR, variance: np.ndarray, *, horizons: tuple[int, ...], n: int, seed: int, chunk: int = 100
) -> dict[int, Tail]:
    """Horizon -> tail of filtered historical simulations, n paths each, from the variance (T,), percent squared, of each
    first day."""
    rng, parts = np.random.default_rng(seed), {days: [] for days in horizons}
    for first in range(0, len(variance), chunk):
        some = variance[first : first + chunk]
        paths = gjr.simulate(np.repeat(some, n), seq_len=max(horizons), seed=rng).reshape(len(some), n, -1)
        for days in horizons:
            parts[days].append(tail_of(paths[:, :, :days].sum(axis=2, dtype=float)).values)
    return {days: Tail(np.concatenate(values), n) for days, values in parts.items()}


def historical_tails(path: np.ndarray, first: int, *, horizons: tuple[int, ...], window: int = 500) -> dict[int, Tail]:
    """Horizon -> tail of historical simulation for every day of a path (T,) from its position `first` on.

    A forecast for stretches of h days is the last `window` such stretches that had ended the day before.
    Raises ValueError when the days before `first` hold too few.
    """
    if first < window + max(horizons) - 1:
        raise ValueError(f"{first} days before the first forecast: {window + max(horizons) - 1} are needed")
    tails = {}
    for days in horizons:
        sums = rolling_sums(path, days)
        ends = np.arange(first, len(path)) - days + 1  # of the stretches known on each day: the next begins at it
        tails[days] = tail_of(np.lib.stride_tricks.sliding_window_view(sums, window)[ends - window])
    return tails


def kupiec(hits: np.ndarray, level: float) -> np.ndarray:
    """Likelihood ratio of hits (..., n) having the rate `level`; chi-squared of one degree (Kupiec 1995)."""
    n, x = hits.shape[-1], hits.sum(axis=-1)
    return 2 * (log_likelihood(x, n, x / n) - log_likelihood(x, n, level))


def christoffersen(hits: np.ndarray) -> np.ndarray:
    """Likelihood ratio of hits (..., n) being independent of the day before; one degree (Christoffersen 1998, sec. 3.2).

    0 where there is no hit, or nothing but hits: there is nothing to be dependent.
    """
    hits = np.asarray(hits, dtype=bool)
    before, after = hits[..., :-1], hits[..., 1:]
    following_hit, hit_twice = before.sum(axis=-1), (before & after).sum(axis=-1)
    following_none, hit_alone = (~before).sum(axis=-1), (~before & after).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        split = log_likelihood(hit_twice, following_hit, hit_twice / following_hit)
        split = split + log_likelihood(hit_alone, following_none, hit_alone / following_none)
    total = after.sum(axis=-1)
    ratio = 2 * (split - log_likelihood(total, after.shape[-1], total / after.shape[-1]))
    return np.where((following_hit == 0) | (following_none == 0), 0.0, np.maximum(ratio, 0.0))


def log_likelihood(hits: np.ndarray, n: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Of so many hits among n independent ones at a rate; 0 log 0 is 0."""
    return xlogy(hits, rate) + xlogy(n - hits, 1 - rate)


def z2(outcome: np.ndarray, quantile: np.ndarray, shortfall: np.ndarray, level: float) -> np.ndarray:
    """Acerbi & Szekely 2014, eq. 6, of outcomes (..., n): 0 is expected, less means that risk was underestimated."""
    return 1 - np.mean(np.where(outcome < quantile, outcome / shortfall, 0.0), axis=-1) / level


def fz0(outcome: np.ndarray, quantile: np.ndarray, shortfall: np.ndarray, level: float) -> np.ndarray:
    """(n,) loss of a forecast of value at risk and expected shortfall together, less is better; returns in percent.

    Patton, Ziegel & Chen 2019, eq. 6. Raises ValueError unless the shortfall is negative.
    """
    if not np.all(shortfall < 0):
        raise ValueError(f"an expected shortfall of {shortfall.max():g} is no loss: FZ0 is defined for negative ones")
    x, v, e = PERCENT * outcome, PERCENT * quantile, PERCENT * shortfall
    return v / e - np.maximum(v - x, 0.0) / (level * e) + np.log(-e) - 1


def diebold_mariano(loss: np.ndarray, rival: np.ndarray, *, horizon: int) -> float:
    """Two-sided p-value of equal mean losses (n,) (Diebold & Mariano 1995), normal, with a Bartlett long-run variance.

    The bandwidth is at least twice the horizon, since losses over h days overlap; at one day it is that of Newey & West.
    1 for equal losses, 0 for losses that differ by a constant.
    """
    difference = loss - rival
    if not np.any(difference):
        return 1.0
    bandwidth = max(2 * horizon, int(4 * (len(difference) / 100) ** (2 / 9)))
    variance = float(np.squeeze(Bartlett(difference, bandwidth=bandwidth, center=True).cov.long_run)) / len(difference)
    return float(2 * stats.norm.sf(abs(difference.mean()) / np.sqrt(variance))) if variance > 0 else 0.0


@functools.lru_cache(maxsize=4)  # one for each horizon of a table, whose models and levels share it
def overlapping_uniforms(n: int, *, horizon: int, draws: int, seed: int) -> np.ndarray:
    """(draws, n) probability integral transforms of a right forecast, issued every day for the next `horizon` days.

    Sums of independent normal days stand for the outcomes: uniform, and dependent as overlapping stretches are.
    """
    days = np.random.default_rng(seed).standard_normal((draws, n + horizon - 1))
    sums = np.cumsum(np.pad(days, ((0, 0), (1, 0))), axis=1)
    uniforms = stats.norm.cdf((sums[:, horizon:] - sums[:, :-horizon]) / np.sqrt(horizon))
    uniforms.flags.writeable = False
    return uniforms


def p_value(statistic: float, null: np.ndarray) -> float:
    """Share of a simulated null (draws,) that is as large as the statistic, itself counted."""
    return float((1 + np.sum(null >= statistic - 1e-12)) / (1 + len(null)))


def assess(tail: Tail, outcome: np.ndarray, rival: Tail, *, horizon: int, level: float, draws: int, seed: int) -> dict:
    """One row of `backtest`: forecasts against the outcomes (T,) that followed, and their losses against a rival's.

    Every p-value but that of Diebold & Mariano comes from `draws` simulations of a right forecast with the same overlap;
    for Z2, whose null depends on the forecasts, outcomes are drawn from them. hit_ratio is the mean loss on hits over the
    expected shortfall of the same days: severity alone, where Z2 has both number and severity.
    """
    quantile, shortfall = tail.quantile(level), tail.shortfall(level)
    hits = outcome < quantile
    uniforms = overlapping_uniforms(len(outcome), horizon=horizon, draws=draws, seed=seed)
    null = uniforms < level
    rank = np.minimum((uniforms * tail.n).astype(int), tail.count(level) - 1)  # beyond the tail nothing enters Z2
    outcomes = np.where(null, tail.values[np.arange(len(outcome)), rank], np.inf)
    unlucky = 1 - np.mean(np.where(null, outcomes / shortfall, 0.0), axis=1) / level
    observed = float(z2(outcome, quantile, shortfall, level))
    losses = [fz0(outcome, each.quantile(level), each.shortfall(level), level) for each in (tail, rival)]
    return {
        "horizon_days": horizon,
        "level": level,
        "n": len(outcome),
        "hits": int(hits.sum()),
        "expected": level * len(outcome),
        "kupiec_p": p_value(float(kupiec(hits, level)), kupiec(null, level)),
        "christoffersen_p": p_value(float(christoffersen(hits)), christoffersen(null)),
        "as_z2": observed,
        "as_z2_p": p_value(-observed, -unlucky),
        "hit_ratio": float(np.mean(outcome[hits] / shortfall[hits])) if hits.any() else np.nan,
        "fz0": float(losses[0].mean()),
        "dm_p_vs_fhs": diebold_mariano(*losses, horizon=horizon),
    }


def rows(
    forecasts: dict[tuple[str, int], dict[int, Tail]],
    path: np.ndarray,
    *,
    split: str,
    levels: tuple[float, ...] = (0.01, 0.05),
    rival: tuple[str, int] = ("gjr_fhs", 0),
    clamped: dict[tuple[str, int], int] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """The table `backtest` for the days of a path (T,): every model, horizon and level.

    forecasts : (model, seed) -> horizon -> tails, one for each day of the path; those whose horizon ends beyond the path
        are left out
    clamped : (model, seed) -> days whose VIX was out of the model's reach and was replaced by the nearest in reach
    """
    table = []
    for (model, number), tails in forecasts.items():
        for horizon, tail in tails.items():
            ours, outcome = followed(tail, path, horizon)
            theirs, _ = followed(forecasts[rival][horizon], path, horizon)
            for level in levels:
                row = assess(ours, outcome, theirs, horizon=horizon, level=level, draws=draws, seed=seed)
                row |= {"model": model, "seed": number, "split": split, "clamped": (clamped or {}).get((model, number), 0)}
                table.append(row)
    return pd.DataFrame(table)[COLUMNS]


def loss_gaps(
    forecasts: dict[tuple[str, int], dict[int, Tail]], path: np.ndarray, *, level: float = 0.01, rival: str = "gjr_fhs"
) -> dict[int, dict[str, np.ndarray]]:
    """Horizon -> model -> (T - horizon + 1,) FZ0 of each forecast less that of the rival: below 0 where it was better.

    Raises ValueError for a model with several seeds.
    """
    if len({model for model, _ in forecasts}) < len(forecasts):
        raise ValueError(f"a model has several seeds: give one of each, not {list(forecasts)}")
    gaps = {}
    for days in next(iter(forecasts.values())):
        losses = {}
        for (model, _), tails in forecasts.items():
            tail, outcome = followed(tails[days], path, days)
            losses[model] = fz0(outcome, tail.quantile(level), tail.shortfall(level), level)
        gaps[days] = {model: loss - losses[rival] for model, loss in losses.items() if model != rival}
    return gaps


def by_year(
    forecasts: dict[tuple[str, int], dict[int, Tail]], path: np.ndarray, dates: np.ndarray,
    *, levels: tuple[float, ...] = (0.01, 0.05),
) -> pd.DataFrame:  # fmt: skip
    """Hits of each calendar year, by the day of the forecast: model, seed, horizon_days, level, year, n, hits, expected."""
    years, parts = pd.DatetimeIndex(dates).year, []
    for (model, seed), tails in forecasts.items():
        for days, tail in tails.items():
            tail, outcome = followed(tail, path, days)
            for level in levels:
                hits = pd.Series(outcome < tail.quantile(level)).groupby(years[: len(outcome)])
                counted = hits.agg(["size", "sum"]).rename(columns={"size": "n", "sum": "hits"}).rename_axis("year")
                row = {"model": model, "seed": seed, "horizon_days": days, "level": level}
                parts.append(counted.reset_index().assign(**row, expected=level * counted["n"].to_numpy()))
    columns = ["model", "seed", "horizon_days", "level", "year", "n", "hits", "expected"]
    return pd.concat(parts, ignore_index=True)[columns]
