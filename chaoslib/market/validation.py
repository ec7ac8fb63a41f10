"""The one validator of price histories: an order of days that an exchange had, and closes that can have been."""

import functools

import exchange_calendars
import numpy as np
import pandas as pd

CALENDAR = "XNYS"  # the New York Stock Exchange; "none" asks of no exchange whether it was open


class DataError(ValueError):
    """A price history that cannot be trusted; the message names the row and the repair."""


def validate(
    prices: pd.DataFrame,
    *,
    min_rows: int = 1000,
    max_move: float = 0.30,
    max_vix_move: float = 1.0,
    max_gap: int = 5,
    calendar: str = CALENDAR,
) -> pd.DataFrame:
    """Return `prices` unchanged when every row can be trusted, else raise DataError naming the first bad row.

    prices : (T,) rows of date, close, vix; where the index is named `line`, messages name its numbers, else rows from 0
    max_move, max_vix_move : largest absolute daily log-change
    max_gap : largest number of sessions missing between two rows
    calendar : of the exchange whose sessions the rows are, as `exchange_calendars` names it, or "none"
    Also refused: rows on days without a session (holidays filled with the day before, say), more than one session in a
    hundred missing in all (weekly data), a close or VIX that does not move for ten rows, and a median VIX outside 5..100
    index points (a VIX given as a fraction).
    """
    for name in ("date", "close", "vix"):
        if name not in prices.columns:
            raise DataError(f"column {name!r} is missing: a history needs date, close and vix")
    if len(prices) < min_rows:
        raise DataError(f"{len(prices)} rows, but at least {min_rows} are needed: widen START..END or bring a longer file")
    dates = prices["date"].to_numpy(dtype="datetime64[D]")
    if np.isnat(dates).any():
        raise DataError(f"{place(prices, int(np.argmax(np.isnat(dates))))}: the date is missing")
    for row in np.flatnonzero(dates[1:] <= dates[:-1])[:1] + 1:
        what = "repeats" if dates[row] == dates[row - 1] else "is earlier than"
        raise DataError(f"{place(prices, row)}: {dates[row]} {what} the row before: sort by date and keep one row a day")
    check_values(prices, dates, {"close": max_move, "vix": max_vix_move})
    if calendar != "none":
        check_sessions(prices, dates, calendar, max_gap)
    for name in ("close", "vix"):
        stale = np.flatnonzero(prices[name].diff().eq(0).rolling(9).sum().eq(9))
        if len(stale):
            where = f"{place(prices, stale[0])} ({dates[stale[0]]})"
            raise DataError(f"{where}: the {name} has not moved for ten rows: stale data")
    if not 5 <= prices["vix"].median() <= 100:
        raise DataError(f"the median VIX is {prices['vix'].median():g}: it must be in index points, such as 20")
    return prices


def place(prices: pd.DataFrame, row: int) -> str:
    """What a message calls a row: the line of a file where the index has its number."""
    return f"line {prices.index[row]}" if prices.index.name == "line" else f"row {row}"


def check_values(prices: pd.DataFrame, dates: np.ndarray, limits: dict[str, float]) -> None:
    """Raise DataError for the first value that is no price, or that is too far from the day before."""
    for name, limit in limits.items():
        values = prices[name].to_numpy(dtype=float)
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"{place(prices, row)} ({dates[row]}): {name} is {values[row]}, it must be positive and finite")
        moves = np.abs(np.diff(np.log(values)))
        if moves.max(initial=0.0) > limit:
            row = int(np.argmax(moves > limit)) + 1
            raise DataError(
                f"{place(prices, row)} ({dates[row]}): {name} goes from {values[row - 1]:g} to {values[row]:g} in a day, "
                f"a log-change beyond {limit:g}: a split, a typing error or another unit"
            )


def check_sessions(prices: pd.DataFrame, dates: np.ndarray, calendar: str, max_gap: int) -> None:
    """Raise DataError for rows on days without a session of the calendar, and for sessions without a row."""
    closed = ~np.isin(dates, sessions(dates, calendar))
    if closed.any():
        row = int(np.argmax(closed))
        raise DataError(
            f"{place(prices, row)}: {dates[row]} is a {pd.Timestamp(dates[row]):%A} on which the exchange ({calendar}) was "
            f"closed, and {closed.sum()} of {len(dates)} rows are such days: keep trading days only, and fill no holiday"
        )
    missed = missing_sessions(dates, calendar)
    if len(missed) and np.median(missed) > 0:
        raise DataError(f"{missed.sum()} trading days are missing between {len(dates)} rows: daily closes are needed")
    if missed.max(initial=0) > max_gap:
        row = int(np.argmax(missed > max_gap)) + 1
        raise DataError(
            f"{place(prices, row)}: {missed[row - 1]} trading days are missing between {dates[row - 1]} and {dates[row]}"
        )
    if missed.sum() > max(max_gap, 0.01 * len(dates)):
        raise DataError(f"{missed.sum()} trading days are missing between {len(dates)} rows: daily closes are needed")


def missing_sessions(dates: np.ndarray, calendar: str = CALENDAR) -> np.ndarray:
    """(T-1,) sessions of the calendar strictly between consecutive dates (T,)."""
    days = sessions(dates, calendar)
    before = np.searchsorted(days, dates[1:], side="left")
    after = np.searchsorted(days, dates[:-1], side="right")
    return np.maximum(before - after, 0)


def sessions(dates: np.ndarray, calendar: str) -> np.ndarray:
    """Days on which an exchange traded, from a week before the first of (T,) dates to a week after the last.

    Raises DataError when a date lies beyond what pandas can count in nanoseconds, or the calendar is unknown.
    """
    for day in dates[[0, -1]]:
        if not np.datetime64("1700") <= day < np.datetime64("2200"):
            raise DataError(f"{day} is no day of an exchange: dates are YYYY-MM-DD")
    return sessions_between(calendar, *(pd.Timestamp(day) for day in dates[[0, -1]]))


@functools.lru_cache(maxsize=4)  # a calendar is made in a tenth of a second, and asked three times for one history
def sessions_between(calendar: str, first: pd.Timestamp, last: pd.Timestamp) -> np.ndarray:
    try:
        found = exchange_calendars.get_calendar(
            calendar, start=first - pd.Timedelta(days=7), end=last + pd.Timedelta(days=7)
        )
    except exchange_calendars.errors.InvalidCalendarName:
        raise DataError(f"unknown calendar {calendar!r}: use a code such as XNYS, XTKS or 24/7, or none") from None
    except ValueError as error:  # of days before it begins or after it ends
        raise DataError(f"calendar {calendar}: {error}. Move START or END, or give none") from None
    return found.sessions.to_numpy(dtype="datetime64[D]")
