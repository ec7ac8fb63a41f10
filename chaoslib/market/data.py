"""Daily closes and the VIX from the shipped snapshot, Yahoo or a CSV file; one validator for all three."""

import json
import logging
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from chaoslib.market.csv_files import is_csv, locate, read_csv
from chaoslib.market.validation import CALENDAR, DataError, missing_sessions, validate
from chaoslib.pipeline import files

log = logging.getLogger(__name__)

SNAPSHOT = Path(__file__).parent / "snapshot"
SYMBOLS = {
    "sp500_logret": ("sp500", "^GSPC"),
    "nasdaq_logret": ("nasdaq", "^IXIC"),
    "dow_logret": ("dow", "^DJI"),
    "russell2000_logret": ("russell2000", "^RUT"),
}
VIX_SYMBOL = "^VIX"


def load_prices(
    dataset: str,
    *,
    source: str = "snapshot",
    start: str = "2000-01-03",
    end: str = "",
    cache: Path | str = "runs/cache",
    min_rows: int = 1000,
    calendar: str = CALENDAR,
    max_move: float = 0.30,
) -> tuple[pd.DataFrame, dict]:
    """Daily closes and VIX of one dataset, validated, with their provenance.

    dataset : a name in `SYMBOLS`, or the path of a CSV file with the columns date, close, vix; a relative one counts
        from the repository
    source  : "snapshot" or "yahoo"; a CSV path ignores it
    start, end : ISO dates, both inclusive; an empty end is the last day there is
    cache   : folder for Yahoo's answers
    min_rows, calendar, max_move : see `validate`
    Returns (T,) rows of date, close (index points), vix (index points) and a provenance dict.
    Raises DataError on bad data, ValueError on an unknown name or source.
    """
    if is_csv(dataset):
        prices, provenance = read_csv(locate(dataset))
    elif dataset not in SYMBOLS:
        raise ValueError(f"unknown dataset {dataset!r}: use one of {', '.join(SYMBOLS)} or the path of a .csv file")
    elif source == "snapshot":
        prices, provenance = read_snapshot(dataset)
    elif source == "yahoo":
        prices, provenance = read_yahoo(dataset, start=start, end=end, cache=Path(cache))
    else:
        raise ValueError(f"unknown source {source!r}: use 'snapshot' or 'yahoo'")
    inside = prices["date"] >= pd.Timestamp(start)
    if end:
        inside &= prices["date"] <= pd.Timestamp(end)
    try:
        checked = validate(prices[inside], min_rows=min_rows, calendar=calendar, max_move=max_move).reset_index(drop=True)
    except DataError as error:
        cut = f" (START {start} and END {end or 'none'} leave {inside.sum()} of {len(prices)} rows)" * (not inside.all())
        raise DataError(f"{dataset}: {error}{cut}") from None
    log.info("checked %s: %s", dataset, told(checked, len(prices), calendar, start, end))
    return checked, provenance


def told(prices: pd.DataFrame, rows: int, calendar: str, start: str, end: str) -> str:
    """What was found of (T,) validated prices, the part from START to END of some rows."""
    days = prices["date"].to_numpy(dtype="datetime64[D]")
    text = f"{len(prices)} trading days from {days[0]} to {days[-1]}, no fault found"
    if calendar == "none":
        text += ", held against no exchange's calendar"
    elif missed := missing_sessions(days, calendar).sum():
        text += f", {missed} sessions of {calendar} without a row"
    span = f"START {start} and END {end}" if end else f"START {start}"
    return text + (f"; {rows - len(prices)} rows outside {span} are left out" if len(prices) < rows else "")


def read_snapshot(dataset: str) -> tuple[pd.DataFrame, dict]:
    """One index of the shipped snapshot. Raises DataError when the file is not the one its provenance describes."""
    provenance = json.loads((SNAPSHOT / "provenance.json").read_text(encoding="utf-8"))
    if files.sha256(SNAPSHOT / "closes.csv") != provenance["sha256"]:
        raise DataError("snapshot/closes.csv was changed: restore it with `python -m chaoslib.market.snapshot.rebuild`")
    column, _ = SYMBOLS[dataset]
    closes = pd.read_csv(SNAPSHOT / "closes.csv", parse_dates=["date"])
    prices = closes[["date", column, "vix"]].rename(columns={column: "close"})
    covered = prices["close"].notna()
    prices = prices[covered.cummax() & covered[::-1].cummax()]  # an index covers a shorter span than the file
    return prices.reset_index(drop=True), {"source": "snapshot", **provenance}


def read_yahoo(
    dataset: str,
    *,
    start: str,
    end: str = "",
    cache: Path,
    session=None,
    tries: int = 4,
    wait: float = 20.0,
    again: bool = False,
) -> tuple[pd.DataFrame, dict]:
    """Closes of one index and the VIX from Yahoo, kept as Parquet with provenance under `cache`.

    A cached answer to the same question (index, start, end) is used as it is, with its date in the provenance;
    again : ask anew, as `make yahoo` does; the old answer stays when Yahoo gives none
    session : passed to yfinance, for tests and proxies
    """
    _, symbol = SYMBOLS[dataset]
    table, sidecar = yahoo_files(dataset, start, end, cache=cache)
    folder = table.parent
    if table.exists() and sidecar.exists() and not again:
        provenance = json.loads(sidecar.read_text(encoding="utf-8"))
        if files.sha256(table) != provenance["sha256"]:
            raise DataError(f"{table} is not the file that {sidecar.name} describes: delete both and run again")
        log.info("Yahoo answer of %s read from %s", provenance["fetched_utc"], table)
        return pd.read_parquet(table), provenance

    folder.mkdir(parents=True, exist_ok=True)
    ask = {"start": start, "end": end, "cache": folder, "session": session, "tries": tries, "wait": wait}
    prices = fetch_symbol(symbol, **ask).rename("close").to_frame()
    vix = fetch_symbol(VIX_SYMBOL, **ask)
    prices["vix"] = vix.reindex(prices.index)
    filled = prices.index[prices["vix"].isna()]
    prices["vix"] = prices["vix"].ffill()
    if len(filled) > 0.01 * len(prices) or prices["vix"].isna().any():
        raise DataError(f"Yahoo gave no VIX on {len(filled)} of {len(prices)} days of {symbol}: a partial answer, try later")
    prices = validate(prices.rename_axis("date").reset_index(), min_rows=1)
    prices["date"] = prices["date"].astype("datetime64[ns]")  # as Parquet gives it back

    with files.whole_file(table) as partial:
        prices.to_parquet(partial, index=False)
        provenance = {
            "source": "yahoo",
            "symbols": [symbol, VIX_SYMBOL],
            "fetched_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "sha256": files.sha256(partial),
            "vix_fills": [{"date": str(day.date()), "from": "previous close"} for day in filled],
        }
        files.write(sidecar, provenance)
    return prices, provenance


def yahoo_files(dataset: str, start: str, end: str, *, cache: Path) -> tuple[Path, Path]:
    """Where `read_yahoo` keeps an answer and its provenance."""
    stem = f"{dataset}_{start}_{end or 'latest'}"
    return cache / "yahoo" / f"{stem}.parquet", cache / "yahoo" / f"{stem}.json"


def fetch_symbol(
    symbol: str, *, start: str, end: str = "", cache: Path, session=None, tries: int = 4, wait: float = 20.0
) -> pd.Series:
    """Daily closes of one Yahoo symbol, index of naive dates; retries with growing, jittered waits (seconds).

    Raises DataError when Yahoo gives nothing after `tries` attempts; the message holds its last answer.
    """
    import yfinance

    yfinance.set_tz_cache_location(str(cache))
    yfinance.config.debug.hide_exceptions = False
    last_day = pd.Timestamp(end) + pd.Timedelta(days=1) if end else None  # Yahoo's end is exclusive
    for attempt in range(1, tries + 1):
        try:
            yfinance.data.YfData.cache_get.cache_clear()  # else a second try is given the first answer again
            ticker = yfinance.Ticker(symbol, session=session)
            answer = ticker.history(start=start, end=last_day, auto_adjust=False, actions=False)
            problem = "an empty answer"
        except Exception as error:  # yfinance raises a dozen unrelated types, all of them worth another try
            answer, problem = pd.DataFrame(), f"{type(error).__name__}: {error}"
        if len(answer):
            closes = answer["Close"].dropna()
            closes.index = closes.index.tz_localize(None).normalize()
            return drop_running_day(closes, pd.Timestamp.now(tz="America/New_York"))
        if attempt < tries:
            pause = wait * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
            log.warning("%s: %s; attempt %d of %d, next in %.0f s", symbol, problem, attempt, tries, pause)
            time.sleep(pause)
    raise DataError(
        f"no prices for {symbol} from Yahoo in {tries} attempts (last: {problem}): try later or use the snapshot"
    )


def drop_running_day(closes: pd.Series, now: pd.Timestamp) -> pd.Series:
    """Closes without a last row of today while New York still trades: that is a price, not a close.

    now : tz-aware, New York
    """
    running = closes.index[-1].date() == now.date() and (now.hour, now.minute) < (16, 15)
    return closes.iloc[:-1] if running else closes


def log_returns(prices: pd.DataFrame) -> pd.DataFrame:
    """Daily log-returns as fractions with the VIX of the day and of the day before.

    prices : (T,) rows of date, close, vix
    Returns (T-1,) rows of date, log_return, vix, vix_previous; returns come from consecutive closes.
    """
    frame = pd.DataFrame({"date": prices["date"], "log_return": np.log(prices["close"]).diff(), "vix": prices["vix"]})
    frame["vix_previous"] = prices["vix"].shift(1)
    return frame.iloc[1:].reset_index(drop=True)
