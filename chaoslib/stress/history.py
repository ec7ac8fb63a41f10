"""History as judge: episodes that happened, and where they fell among the scenarios made for their VIX."""

import numpy as np
import pandas as pd

from chaoslib.evaluation import metrics


def episodes(returns: pd.DataFrame, ends: dict[str, int], months: list[int], *, days: int) -> list[dict]:
    """The `days` days from the first trading day of each month, such as 200809 for September 2008.

    returns : (T,) rows of date, log_return, vix_previous; ends : split -> position at which it ends
    Each has name, date, vix (of the day before), split (of its first day) and log_returns (days,). Months outside the
    history, or too near its end, are left out; where all are, as of a history that ends before 2008, each
    split has its own: the month from whose beginning the index fell furthest.
    """
    if listed := [row for month in months if (row := episode(returns, ends, month, days=days))]:
        return listed
    own: dict[str, dict] = {}
    for month in returns["date"].dt.strftime("%Y%m").astype(int).unique():
        row = episode(returns, ends, month, days=days)
        if row and deepest(row) < deepest(own.setdefault(row["split"], row)):
            own[row["split"]] = row
    return list(own.values())


def episode(returns: pd.DataFrame, ends: dict[str, int], month: int, *, days: int) -> dict | None:
    """One row of `episodes`, or None where the history does not hold its days."""
    begins = pd.Timestamp(year=month // 100, month=month % 100, day=1)
    first = int(returns["date"].searchsorted(begins))
    if begins < returns["date"].iloc[0] or first + days > len(returns):
        return None
    split = next(name for name, end in ends.items() if first < end)
    row = {"name": f"{begins:%b %Y}", "date": returns["date"].iloc[first], "split": split}
    row["vix"] = float(returns["vix_previous"].iloc[first])
    return row | {"log_returns": returns["log_return"].to_numpy()[first : first + days]}


def deepest(row: dict) -> float:
    """Lowest cumulative log-return of an episode, zero before its first day."""
    return min(0.0, float(row["log_returns"].cumsum().min()))


def place_in_fan(log_returns: np.ndarray, fan: np.ndarray) -> dict[str, float]:
    """For each outcome of a realised path (L,), the share of generated windows (N, L) with a smaller one."""
    realised, generated = metrics.window_outcomes(log_returns[None]), metrics.window_outcomes(fan)
    return {name: float(np.mean(generated[name] < value[0])) for name, value in realised.items()}
