"""What scenarios do to a portfolio: functions from paths to values, and the risk of what they return.

A portfolio is any function `(log_returns (n, L), vix) -> values (n, L)`: what it is worth at each close, from 1 at the
start. `vix` is what the scenarios were made for, a number or (n,); interest and costs are left out.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

YEAR = 252  # trading days
CONFIDENCE = (0.95, 0.99)  # of value at risk and expected shortfall
MEASURES = ["var_95", "var_99", "es_95", "es_99", "mdd_p95", "under_water"]
COLUMNS = ["model", "seed", "portfolio", "target_vix", "horizon_days"]
COLUMNS += [name + end for name in MEASURES for end in ("", "_low", "_high")]
COLUMNS += ["extrapolated"]

Portfolio = Callable[[np.ndarray, float], np.ndarray]


def long_index(log_returns: np.ndarray, vix: float = 0.0) -> np.ndarray:
    """(n, L) values of the index itself."""
    return np.exp(np.cumsum(log_returns, axis=1, dtype=float))


def leveraged(log_returns: np.ndarray, vix: float = 0.0, *, exposure: float | np.ndarray = 2.0) -> np.ndarray:
    """(n, L) values of an exposure to the index that is restored every day; once lost, everything stays lost.

    exposure : a multiple of the value, one number or one for each day (n, L)
    """
    return np.cumprod(np.maximum(1 + exposure * np.expm1(np.asarray(log_returns, dtype=float)), 0.0), axis=1)


def protective_put(log_returns: np.ndarray, vix: float, *, strike: float = 0.95) -> np.ndarray:
    """(n, L) values of the index with a put on it that expires on the last day, bought from the same money.

    strike : over the first level. The put is priced by Black & Scholes 1973 at a volatility of `vix` throughout, at the
        outset and on every day, without interest: a fall that raises the VIX would be worth more.
    """
    level = long_index(log_returns)
    sigma = np.reshape(vix, (-1, 1)) / 100.0
    left = np.arange(level.shape[1] - 1, -1, -1) / YEAR
    bought = black_scholes_put(1.0, strike, level.shape[1] / YEAR, sigma)
    return (level + black_scholes_put(level, strike, left, sigma)) / (1.0 + bought)


def black_scholes_put(level: np.ndarray, strike: float, years: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Value of a European put without interest or dividends; at no time left its payoff (Black & Scholes 1973).

    level, strike in one unit; years to expiry; sigma, volatility per year. All broadcast.
    """
    spread = np.maximum(sigma * np.sqrt(years), 1e-12)
    d1 = np.log(level / strike) / spread + 0.5 * spread
    return strike * stats.norm.cdf(spread - d1) - level * stats.norm.cdf(-d1)


def volatility_target(
    log_returns: np.ndarray, vix: float, *, target: float = 0.10, decay: float = 0.94, most: float = 2.0
) -> np.ndarray:
    """(n, L) values of an exposure target / volatility, set each day from the days before it.

    target : volatility per year. The estimate starts at `vix` and follows squared returns with the given decay
    (RiskMetrics 1996); exposure is at most `most`.
    """
    squares = np.asarray(log_returns, dtype=float) ** 2
    variance = np.empty_like(squares)
    variance[:, 0] = (np.asarray(vix) / 100.0) ** 2 / YEAR
    for day in range(1, squares.shape[1]):
        variance[:, day] = decay * variance[:, day - 1] + (1 - decay) * squares[:, day - 1]
    return leveraged(log_returns, exposure=np.minimum(target / np.sqrt(YEAR * variance), most))


PORTFOLIOS: dict[str, Portfolio] = {
    "long": long_index,
    "leveraged_2x": leveraged,
    "protective_put": protective_put,
    "vol_target": volatility_target,
}


def drawdowns(values: np.ndarray) -> np.ndarray:
    """(n, L) fall from the highest value so far, the 1 of the start included, as a fraction of it."""
    return 1 - values / np.maximum(np.maximum.accumulate(values, axis=1), 1.0)


def measure(values: np.ndarray, days: int) -> dict[str, float]:
    """Risk of values (n, L) over the first `days` days, each with a 95 % interval, `_low` and `_high`.

    var, es : losses as fractions of the start. es_99 is the mean of the worst n/100 losses, var_99 the mildest of them
    mdd_p95 : 95 % quantile of the largest drawdown; under_water : mean number of days that end below an earlier value
    The intervals are those of n independent scenarios, by order statistics (David & Nagaraja 2003, sec. 7.1) and the
    normal law: how much another draw from the same model would differ. What the model does not know is not in them. With
    some hundreds of scenarios that of es_99 is too short.
    Raises ValueError when the values are not finite or too few, or `days` does not fit.
    """
    n, length = values.shape
    if not np.isfinite(values).all():
        raise ValueError(f"{np.sum(~np.isfinite(values))} values of the portfolio are not finite: mend the portfolio")
    if not 1 <= days <= length:
        raise ValueError(f"a horizon of {days} days does not fit in scenarios of {length}")
    if n < 100:
        raise ValueError(f"{n} scenarios hold no 1 % tail: 100 are the least, 5,000 are better")
    if not 0.5 < np.median(values[:, 0]) < 2:
        raise ValueError(f"the portfolio is worth {np.median(values[:, 0]):g} after a day: return values that start from 1")
    losses = 1 - values[:, days - 1]
    fallen = drawdowns(values[:, :days])
    row = {}
    for confidence in CONFIDENCE:
        name = f"{100 * confidence:.0f}"
        row |= named(f"var_{name}", quantile_interval(losses, confidence))
        row |= named(f"es_{name}", shortfall_interval(losses, confidence))
    row |= named("mdd_p95", quantile_interval(fallen.max(axis=1), 0.95))
    wet = np.sum(fallen > 1e-12, axis=1)
    reach = 1.96 * wet.std() / np.sqrt(n)
    return row | named("under_water", (wet.mean(), wet.mean() - reach, wet.mean() + reach))


def named(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return {name + end: float(value) for end, value in zip(("", "_low", "_high"), values, strict=True)}


def quantile_interval(losses: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The k-th largest of losses (n,), k = (1 - confidence) n, and the order statistics that hold it with 95 %."""
    n = len(losses)
    ordered = np.sort(losses)[::-1]
    k = max(1, int(np.floor((1 - confidence) * n + 1e-9)))
    few, many = stats.binom.ppf([0.025, 0.975], n, 1 - confidence).astype(int)  # how many lie above the true quantile
    return ordered[k - 1], ordered[min(many, n - 1)], ordered[max(few - 1, 0)]


def shortfall_interval(losses: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean of the worst (1 - confidence) n losses (n,), and its normal interval (Manistre & Hancock 2005, sec. 3)."""
    share = 1 - confidence
    tail = np.sort(losses)[::-1][: max(1, int(np.floor(share * len(losses) + 1e-9)))]
    mean = tail.mean()
    reach = 1.96 * np.sqrt((tail.var() + confidence * (mean - tail[-1]) ** 2) / (len(losses) * share))
    return mean, mean - reach, mean + reach


def stress_rows(
    log_returns: np.ndarray, vix: float, *, horizons: tuple[int, ...], portfolios: dict[str, Portfolio] | None = None
) -> pd.DataFrame:
    """Rows of `stress` without model and seed: the scenarios (n, L) made for a VIX, each portfolio and horizon.

    log_returns : fractions; vix : index points; horizons : days
    Raises ValueError for a portfolio that does not return one value a scenario and day, for returns in percent, or a VIX
    that is not in index points.
    """
    typical = float(np.median(np.abs(log_returns)))  # one path may leave the scale, all do in percent
    if not np.isfinite(log_returns).all() or typical > 0.2:
        raise ValueError(f"the median daily log-return is {typical:g} in size: give finite fractions, 0.01 for 1 %")
    if not 2 < vix < float("inf"):
        raise ValueError(f"vix is {vix:g}: give index points, such as 20")
    rows = []
    for name, portfolio in (PORTFOLIOS if portfolios is None else portfolios).items():
        values = np.asarray(portfolio(log_returns, vix), dtype=float)
        if values.shape != log_returns.shape:
            raise ValueError(f"{name} returned values of shape {values.shape} for paths of shape {log_returns.shape}")
        for days in horizons:
            rows.append({"portfolio": name, "target_vix": vix, "horizon_days": days, **measure(values, days)})
    return pd.DataFrame(rows)


def reverse_stress(vix: np.ndarray, losses: np.ndarray, limit: float) -> float:
    """Smallest VIX at which a loss passes a limit, from losses (G,) on a grid of VIX (G,), linear in log VIX between.

    The grid's first VIX when the loss is above there already, infinite when it never is.
    """
    above = np.flatnonzero(losses > limit)
    if len(above) == 0:
        return float("inf")
    first = above[0]
    if first == 0:
        return float(vix[0])
    share = (limit - losses[first - 1]) / (losses[first] - losses[first - 1])
    return float(np.exp(np.log(vix[first - 1]) + share * np.log(vix[first] / vix[first - 1])))


def reverse_rows(curves: pd.DataFrame, limits: list[float]) -> pd.DataFrame:
    """For each model, seed, portfolio and limit the smallest VIX whose `es_99` passes the limit, from rows of `stress`.

    Columns model, seed, portfolio, horizon_days, limit, vix, vix_low and vix_high, from the ends of the interval of es_99,
    and at_lowest: the limit is passed at the least VIX asked, so that the answer is that or less.
    """
    rows, keys = [], ["model", "seed", "portfolio", "horizon_days"]
    ends = {"vix": "es_99", "vix_low": "es_99_high", "vix_high": "es_99_low"}
    for key, group in curves.sort_values("target_vix", kind="stable").groupby(keys, sort=False):
        levels = group["target_vix"].to_numpy()
        for limit in limits:
            reached = {name: reverse_stress(levels, group[column].to_numpy(), limit) for name, column in ends.items()}
            row = dict(zip(keys, key, strict=True)) | {"limit": limit} | reached
            rows.append(row | {"at_lowest": reached["vix"] == levels[0]})
    return pd.DataFrame(rows)


def drift_rows(curves: dict[float, np.ndarray], *, horizon: int) -> pd.DataFrame:
    """How much of a loss the mean takes away: scenarios (n, L) by VIX, log-returns over the first `horizon` days.

    Columns target_vix, mean and median of the sums, es_99 of the index, and es_99_driftless, the same with the mean
    return of these scenarios taken off every day.
    """
    rows = []
    for vix, scenarios in curves.items():
        days = np.asarray(scenarios, dtype=float)[:, :horizon]
        losses = {"es_99": days, "es_99_driftless": days - days.mean()}
        row = {"target_vix": vix, "mean": days.sum(axis=1).mean(), "median": np.median(days.sum(axis=1))}
        for name, moved in losses.items():
            row[name] = shortfall_interval(1 - long_index(moved)[:, -1], 0.99)[0]
        rows.append(row)
    return pd.DataFrame(rows)


def drift_table(grid: dict[tuple[str, int], dict[float, np.ndarray]], targets: list[float], *, horizon: int) -> pd.DataFrame:
    """`drift_rows` at some VIX for every model: grid is (model, seed) -> VIX -> scenarios (n, L)."""
    parts = [
        drift_rows({vix: scenarios[vix] for vix in targets}, horizon=horizon).assign(model=model, seed=seed)
        for (model, seed), scenarios in grid.items()
    ]
    return pd.concat(parts, ignore_index=True)
