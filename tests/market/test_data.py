"""Prices: the shipped snapshot, the validator and Yahoo's recorded answers."""

import functools
import json
import logging
import re
import shutil
from urllib.parse import parse_qs, urlsplit

import arch.data.nasdaq
import arch.data.sp500
import arch.data.vix
import exchange_calendars
import numpy as np
import pandas as pd
import pytest
import requests
from requests.adapters import HTTPAdapter
from yfinance import cache as yfinance_cache
from yfinance.data import SingletonMeta

from chaoslib.market import data
from chaoslib.market.data import DataError
from chaoslib.market.snapshot import rebuild
from chaoslib.pipeline import runs

SPANS = {
    "sp500_logret": ("1990-01-02", "2022-12-28"),
    "nasdaq_logret": ("2000-01-03", "2022-11-07"),
    "dow_logret": ("2000-01-03", "2022-11-07"),
    "russell2000_logret": ("2000-01-03", "2022-11-07"),
}


@functools.cache
def sessions(start: str, end: str) -> pd.DatetimeIndex:
    return exchange_calendars.get_calendar("XNYS", start=start, end=end).sessions


def first_and_last(prices: pd.DataFrame) -> tuple[str, str]:
    return str(prices["date"].iloc[0].date()), str(prices["date"].iloc[-1].date())


# The snapshot


@pytest.mark.parametrize(
    ("published", "dataset", "name", "common", "tolerance"),
    [
        (arch.data.sp500.load()["Close"], "sp500_logret", "close", 5031, {"rtol": 1e-6}),
        (arch.data.nasdaq.load()["Close"]["2000":], "nasdaq_logret", "close", 4779, {"rtol": 1e-6}),
        (arch.data.vix.load()["vix"].dropna(), "sp500_logret", "vix", 1259, {"rtol": 0, "atol": 0.011}),
    ],
    ids=["sp500", "nasdaq", "vix"],
)
def test_snapshot_agrees_with_an_independent_source(published, dataset, name, common, tolerance):
    ours = data.read_snapshot(dataset)[0].set_index("date")[name].reindex(published.index)
    assert len(published) == common
    np.testing.assert_allclose(ours, published, **tolerance)
    assert np.sum(np.abs(ours - published) > 1e-3) <= 1  # VIX of 2015-07-23, a cent apart


@pytest.mark.parametrize("dataset", data.SYMBOLS)
def test_snapshot_holds_every_session_of_its_span(dataset):
    prices, provenance = data.read_snapshot(dataset)
    assert first_and_last(prices) == SPANS[dataset]
    assert pd.DatetimeIndex(prices["date"]).equals(pd.DatetimeIndex(sessions(*SPANS[dataset]), dtype=prices["date"].dtype))
    assert provenance["source"] == "snapshot"
    assert data.validate(prices, max_gap=0) is prices
    assert first_and_last(data.load_prices(dataset)[0]) == ("2000-01-03", SPANS[dataset][1])


def test_changed_snapshot_is_refused(tmp_path, monkeypatch):
    shutil.copytree(data.SNAPSHOT, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(data, "SNAPSHOT", tmp_path)
    assert len(data.read_snapshot("sp500_logret")[0]) == 8313
    closes = tmp_path / "closes.csv"
    closes.write_bytes(closes.read_bytes().replace(b"359.69", b"359.68", 1))
    with pytest.raises(DataError, match=r"closes\.csv was changed.*rebuild"):
        data.read_snapshot("sp500_logret")


def test_listed_vix_fills_are_true():
    prices, provenance = data.read_snapshot("sp500_logret")
    vix = prices.set_index("date")["vix"]
    fills = {fill["date"]: fill for fill in provenance["vix_fills"]}
    for date, fill in fills.items():
        assert vix[date] == float(fill["vix"])
        assert (vix[date] == vix.shift()[date]) == (fill["from"] == "previous close")
    assert fills["2006-05-04"]["from"] == "multi_index_close.csv.gz"
    assert vix["2006-05-04"] == pytest.approx(11.86, abs=1e-6)


@pytest.mark.network
def test_snapshot_rebuilds_byte_for_byte():
    assert rebuild.main(["--check"]) == 0


# The validator


@pytest.fixture
def prices() -> pd.DataFrame:
    """Sixty sessions from 2015-01-02 on, calm and complete; row 7 is 2015-01-13."""
    dates = sessions("2015-01-01", "2015-06-30")[:60]
    wave = np.sin(np.arange(60.0))
    return pd.DataFrame({"date": dates, "close": 2000 + 20 * wave, "vix": 18 + wave})


def put(row: int, name: str, value):
    return lambda frame: frame.assign(**{name: frame[name].where(frame.index != row, value)})


def jump(row: int, name: str, factor: float):
    return lambda frame: frame.assign(**{name: frame[name].where(frame.index < row, frame[name] * factor)})


def drop_rows(first: int, last: int):
    return lambda frame: frame.drop(index=range(first, last + 1)).reset_index(drop=True)


FAULTS = {
    "unsorted": (lambda f: f.iloc[[*range(10), 11, 10, *range(12, 60)]], r"row 11: 2015-01-16 is earlier than"),
    "duplicate date": (lambda f: f.iloc[[*range(10), 9, *range(10, 60)]], r"row 10: 2015-01-15 repeats"),
    "no date": (put(7, "date", pd.NaT), r"row 7: the date is missing"),
    "zero close": (put(7, "close", 0.0), r"row 7 \(2015-01-13\): close is 0\.0"),
    "negative close": (put(7, "close", -5.0), r"row 7 \(2015-01-13\): close is -5\.0"),
    "NaN close": (put(7, "close", np.nan), r"row 7 \(2015-01-13\): close is nan"),
    "infinite close": (put(7, "close", np.inf), r"row 7 \(2015-01-13\): close is inf"),
    "NaN vix": (put(59, "vix", np.nan), r"row 59 \(2015-03-30\): vix is nan"),
    "zero vix": (put(0, "vix", 0.0), r"row 0 \(2015-01-02\): vix is 0\.0"),
    "close +40 %": (jump(7, "close", 1.4), r"row 7 \(2015-01-13\): close goes from .* in a day"),
    "close -40 %": (jump(59, "close", 0.6), r"row 59 \(2015-03-30\): close goes from .* in a day"),
    "vix x 2.8": (jump(7, "vix", 2.8), r"row 7 \(2015-01-13\): vix goes from .* in a day"),
    "six sessions missing": (drop_rows(7, 12), r"row 7: 6 trading days are missing between 2015-01-12 and 2015-01-22"),
    "dead vix": (lambda f: f.assign(vix=15.0), r"row 9 \(2015-01-15\): the vix has not moved for ten rows"),
    "too few rows": (lambda f: f.head(49), r"49 rows, but at least 50"),
    "no date column": (lambda f: f.drop(columns="date"), r"column 'date' is missing"),
    "no close column": (lambda f: f.drop(columns="close"), r"column 'close' is missing"),
    "no vix column": (lambda f: f.drop(columns="vix"), r"column 'vix' is missing"),
}


@pytest.mark.parametrize(("spoil", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_validator_names_the_fault(prices, spoil, message):
    assert data.validate(prices, min_rows=50) is prices
    with pytest.raises(DataError, match=message):
        data.validate(spoil(prices), min_rows=50)


@pytest.mark.parametrize(
    "change",
    [drop_rows(7, 11), jump(7, "close", np.exp(-0.27)), jump(7, "vix", np.exp(0.9)), lambda f: f.head(50)],
    ids=["five sessions missing", "close -24 %", "vix x 2.5", "just enough rows"],
)
def test_validator_accepts_what_is_inside_the_limits(prices, change):
    changed = change(prices)
    assert data.validate(changed, min_rows=50) is changed


def test_closure_of_september_2001_is_no_gap():
    prices, _ = data.load_prices("sp500_logret", start="2001-09-04", end="2001-09-28", min_rows=10)
    days = prices["date"].dt.strftime("%m-%d").to_list()
    assert days[days.index("09-10") + 1] == "09-17"
    assert not data.missing_sessions(prices["date"].to_numpy()).any()


# load_prices and log_returns


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"unknown dataset 'sp600_logret'.*sp500_logret"):
        data.load_prices("sp600_logret")
    with pytest.raises(ValueError, match=r"unknown source 'bloomberg'.*snapshot"):
        data.load_prices("sp500_logret", source="bloomberg")


@pytest.mark.parametrize(
    ("start", "end", "expected", "rows"),
    [
        ("2020-01-02", "2020-01-10", ("2020-01-02", "2020-01-10"), 7),
        ("2020-01-04", "2020-01-12", ("2020-01-06", "2020-01-10"), 5),  # Saturday to Sunday
        ("2022-12-27", "", ("2022-12-27", "2022-12-28"), 2),
    ],
)
def test_start_and_end_are_inclusive(start, end, expected, rows):
    prices, _ = data.load_prices("sp500_logret", start=start, end=end, min_rows=2)
    assert first_and_last(prices) == expected
    assert len(prices) == rows
    assert prices.index.equals(pd.RangeIndex(rows))


def test_log_returns_closed_form(prices):
    growth = np.linspace(-0.02, 0.03, 59)
    prices["close"] = 100 * np.exp(np.concatenate([[0.0], np.cumsum(growth)]))
    returns = data.log_returns(prices)
    assert returns.columns.to_list() == ["date", "log_return", "vix", "vix_previous"]
    np.testing.assert_allclose(returns["log_return"], growth, atol=1e-14)
    np.testing.assert_array_equal(returns["date"], prices["date"][1:])
    np.testing.assert_array_equal(returns["vix"], prices["vix"][1:])
    np.testing.assert_array_equal(returns["vix_previous"], prices["vix"][:-1])


# Yahoo, from recorded closes

START, END = "2020-01-02", "2020-12-31"
EMPTY = {"chart": {"result": [{"meta": {}, "indicators": {"quote": [{}], "adjclose": [{}]}}], "error": None}}


def chart(closes: pd.Series, zone: str) -> dict:
    """A v8 chart answer: one bar a day stamped at 09:30 New York; a NaN close is a bar of nulls, as Yahoo sends it."""
    stamps = (closes.index.tz_localize("America/New_York") + pd.Timedelta("9h30min")).as_unit("s").asi8
    bars = [None if np.isnan(close) else float(close) for close in closes]
    quote = {name: bars for name in ("open", "high", "low", "close")} | {"volume": [bar and 0 for bar in bars]}
    meta = {"currency": "USD", "instrumentType": "INDEX", "exchangeTimezoneName": zone, "validRanges": ["1d", "max"]}
    indicators = {"quote": [quote], "adjclose": [{"adjclose": [bar and 0.9 * bar for bar in bars]}]}  # never asked for
    return {"chart": {"result": [{"meta": meta, "timestamp": stamps.tolist(), "indicators": indicators}], "error": None}}


class Yahoo(HTTPAdapter):
    """Yahoo without a network: serves `closes`, or `fault` for `faulty` symbols until `recovers_after` pauses."""

    def __init__(self, closes: dict[str, pd.Series]):
        super().__init__()
        self.closes, self.requests, self.pauses = closes, [], []
        self.fault, self.faulty, self.recovers_after = None, set(closes), np.inf
        self.session = requests.Session()
        self.session.mount("https://", self)
        self.session.mount("http://", self)

    def send(self, request, **_):
        parts = urlsplit(request.url)
        address, query = parts.netloc + parts.path, parse_qs(parts.query)
        if address.startswith("query2.finance.yahoo.com/v8/finance/chart/"):
            symbol = requests.utils.unquote(parts.path.split("/")[-1])
            status, answer = self.serve(symbol, query)
        elif address in ("fc.yahoo.com/", "guce.yahoo.com/consent"):
            status, answer = 404, ""
        elif address in ("query1.finance.yahoo.com/v1/test/getcrumb", "query2.finance.yahoo.com/v1/test/getcrumb"):
            status, answer = 200, "crumb"
        else:
            pytest.fail(f"unexpected request to {request.url}")
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url, request
        response._content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        return response

    def serve(self, symbol: str, query: dict) -> tuple[int, dict | str]:
        zone = "America/Chicago" if symbol == "^VIX" else "America/New_York"
        closes = self.closes[symbol]
        self.requests.append({"symbol": symbol, "zone": zone, "pauses": len(self.pauses), **query})
        fault = self.fault if symbol in self.faulty and len(self.pauses) < self.recovers_after else None
        if fault == "429":
            return 429, "Edge: Too Many Requests"
        if "range" in query:  # asked for the time zone
            return 200, chart(closes[-1:], zone)
        if fault == "empty":
            return 200, EMPTY
        first, last = (pd.Timestamp(int(query[name][0]), unit="s", tz=zone) for name in ("period1", "period2"))
        opens = closes.index.tz_localize(zone) + pd.Timedelta("9h30min")
        return 200, chart(closes[(opens >= first) & (opens < last)], zone)


@pytest.fixture
def yahoo(monkeypatch) -> Yahoo:
    """A fresh Yahoo that also fills the role of the clock; 2020 and the week around it, of the snapshot's digits."""
    monkeypatch.setattr(SingletonMeta, "_instances", {})  # yfinance keeps session, cookies and answers per process
    monkeypatch.setattr(yfinance_cache._TzCacheManager, "_tz_cache", None)
    monkeypatch.setattr(yfinance_cache._CookieCacheManager, "_Cookie_cache", None)
    recorded = data.read_snapshot("sp500_logret")[0].set_index("date")["2019-12-30":"2021-01-08"]
    server = Yahoo({"^GSPC": recorded["close"], "^VIX": recorded["vix"]})
    monkeypatch.setattr(data.time, "sleep", server.pauses.append)
    return server


@pytest.fixture
def ask(yahoo, tmp_path):
    """read_yahoo of 2020 through the recorded session, with `tmp_path` as its cache."""

    def call(**changes):
        question = {"start": START, "end": END, "cache": tmp_path, "session": yahoo.session, "tries": 3, "wait": 0}
        return data.read_yahoo("sp500_logret", **question | changes)

    return call


@pytest.fixture
def cached(tmp_path):
    return lambda: sorted(path.name for path in tmp_path.rglob("*") if path.suffix in (".parquet", ".json", ".partial"))


def test_yahoo_gives_the_recorded_closes(ask, cached):
    prices, provenance = ask()
    expected, _ = data.load_prices("sp500_logret", start=START, end=END, min_rows=253)
    pd.testing.assert_frame_equal(prices, expected, check_dtype=False)
    assert provenance["symbols"] == ["^GSPC", "^VIX"]
    assert provenance["vix_fills"] == []
    assert cached() == [f"sp500_logret_{START}_{END}.json", f"sp500_logret_{START}_{END}.parquet"]


def test_yahoo_is_asked_for_the_last_day_too(ask, yahoo):
    prices, _ = ask()
    assert first_and_last(prices) == (START, END)
    price_requests = [request for request in yahoo.requests if "period1" in request]
    assert [request["symbol"] for request in price_requests] == ["^GSPC", "^VIX"]
    for request in price_requests:
        period = [pd.Timestamp(int(request[name][0]), unit="s", tz=request["zone"]) for name in ("period1", "period2")]
        assert [str(moment.tz_localize(None)) for moment in period] == [f"{START} 00:00:00", "2021-01-01 00:00:00"]
        assert request["interval"] == ["1d"]


def test_cached_answer_is_used_once_it_is_there(ask, yahoo):
    prices, provenance = ask()
    requests_before = len(yahoo.requests)
    again, provenance_again = ask()
    assert len(yahoo.requests) == requests_before
    pd.testing.assert_frame_equal(again, prices)
    assert provenance_again == provenance
    ask(end="2020-12-30")
    assert len(yahoo.requests) > requests_before


def test_changed_cache_is_refused(ask, tmp_path):
    prices, _ = ask()
    (table,) = tmp_path.rglob("*.parquet")
    prices.assign(close=prices["close"] + 0.01).to_parquet(table, index=False)
    with pytest.raises(DataError, match="delete both and run again"):
        ask()


def test_deleted_cache_is_asked_again(ask, yahoo, tmp_path):
    ask()
    for path in (tmp_path / "yahoo").glob("sp500_logret*"):
        path.unlink()
    yahoo.closes["^GSPC"] = yahoo.closes["^GSPC"] + 1.0
    assert ask()[0]["close"].iloc[0] == pytest.approx(yahoo.closes["^GSPC"][START])


@pytest.mark.parametrize("fault", ["429", "empty"])
@pytest.mark.parametrize("symbol", ["^GSPC", "^VIX"])
def test_yahoo_that_never_answers_is_given_up(ask, yahoo, cached, fault, symbol):
    yahoo.fault, yahoo.faulty = fault, {symbol}
    with pytest.raises(DataError, match=rf"no prices for \{symbol} from Yahoo in 3 attempts \(last: YF"):
        ask()
    assert len(yahoo.pauses) == 2
    assert cached() == []


@pytest.mark.parametrize("fault", ["429", "empty"])
def test_every_attempt_asks_yahoo_again(ask, yahoo, fault):
    yahoo.fault, yahoo.recovers_after = fault, 2
    prices, _ = ask()
    assert first_and_last(prices) == (START, END)
    assert len(yahoo.pauses) == 2
    assert {request["pauses"] for request in yahoo.requests} == {0, 1, 2}


def test_a_notebook_says_a_retry_before_it_waits_for_it(ask, yahoo, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("chaoslib"), "handlers", [])
    runs.show_progress()
    said = []
    monkeypatch.setattr(data.time, "sleep", lambda _: said.append(capsys.readouterr().out))
    yahoo.fault = "429"
    with pytest.raises(DataError):
        ask(tries=3, wait=20.0)
    assert len(said) == 2
    for attempt, text in enumerate(said, start=1):
        assert re.fullmatch(rf"\^GSPC: YFRateLimitError: .*; attempt {attempt} of 3, next in \d+ s\n", text)


def test_waits_grow_and_none_follows_the_last_attempt(ask, yahoo):
    yahoo.fault = "429"
    with pytest.raises(DataError):
        ask(tries=4, wait=20.0)
    assert len(yahoo.pauses) == 3
    for pause, nominal in zip(yahoo.pauses, [20.0, 40.0, 80.0], strict=True):
        assert 0.75 * nominal <= pause <= 1.25 * nominal


def test_missing_vix_is_filled_and_listed(ask, yahoo):
    vix = yahoo.closes["^VIX"]
    no_row, no_value = pd.Timestamp("2020-03-16"), pd.Timestamp("2020-06-01")
    yahoo.closes["^VIX"] = vix.where(vix.index != no_value).drop(no_row)
    prices, provenance = ask()
    assert provenance["vix_fills"] == [{"date": str(day.date()), "from": "previous close"} for day in (no_row, no_value)]
    expected = vix.where(~vix.index.isin([no_row, no_value])).ffill()[START:END]
    np.testing.assert_array_equal(prices["vix"], expected)


@pytest.mark.parametrize(("first", "last"), [("2020-03-16", "2020-03-18"), ("2019-12-30", "2020-01-02")])
def test_vix_missing_on_many_days_or_on_the_first_is_refused(ask, yahoo, cached, first, last):
    vix = yahoo.closes["^VIX"]
    yahoo.closes["^VIX"] = vix.drop(vix[first:last].index)
    with pytest.raises(DataError, match=r"no VIX on \d of 253 days of \^GSPC: a partial answer"):
        ask()
    assert cached() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda closes: closes.drop(closes["2020-03-02":"2020-04-30"].index),
        lambda closes: closes.replace(closes["2020-06-01"], 3.0),
    ],
    ids=["two months missing", "a close of 3"],
)
def test_answer_that_the_validator_refuses_is_not_kept(yahoo, cached, tmp_path, monkeypatch, spoil):
    monkeypatch.setattr(data, "read_yahoo", functools.partial(data.read_yahoo, session=yahoo.session, wait=0))
    yahoo.closes["^GSPC"] = spoil(yahoo.closes["^GSPC"])
    with pytest.raises(DataError, match=r"row \d+"):
        data.load_prices("sp500_logret", source="yahoo", start=START, end=END, cache=tmp_path, min_rows=200)
    assert cached() == []


@pytest.mark.parametrize(("now", "kept"), [("11:00", 2), ("16:14", 2), ("16:15", 3), ("23:00", 3)])
def test_a_price_of_the_running_day_is_no_close(now, kept):
    closes = pd.Series([1.0, 2.0, 3.0], index=pd.to_datetime(["2024-01-03", "2024-01-04", "2024-01-05"]))
    assert len(data.drop_running_day(closes, pd.Timestamp(f"2024-01-05 {now}", tz="America/New_York"))) == kept
    assert len(data.drop_running_day(closes, pd.Timestamp(f"2024-01-08 {now}", tz="America/New_York"))) == 3


def test_a_weekend_is_named():
    days = pd.bdate_range("2020-01-02", periods=20)
    prices = pd.DataFrame({"date": days, "close": 100.0, "vix": 20.0})
    prices.loc[5, "date"] = pd.Timestamp("2020-01-08") + pd.Timedelta(days=3)
    prices = prices.sort_values("date", ignore_index=True)
    with pytest.raises(data.DataError, match="2020-01-11 is a Saturday"):
        data.validate(prices, min_rows=10)


def test_one_row_is_too_few_rather_than_a_crash():
    prices = pd.DataFrame({"date": pd.to_datetime(["2020-01-02"]), "close": [1.0], "vix": [20.0]})
    assert len(data.validate(prices, min_rows=1)) == 1
    with pytest.raises(data.DataError, match="1 rows, but at least 1000"):
        data.validate(prices)


@pytest.fixture
def daily():
    """Two years of plausible weekdays that are sessions."""
    closes = pd.read_csv(data.SNAPSHOT / "closes.csv", parse_dates=["date"]).rename(columns={"sp500": "close"})
    return closes.loc[closes["date"] >= "2010", ["date", "close", "vix"]].reset_index(drop=True)


def test_weekly_rows_are_not_daily_closes(daily):
    weekly = daily.iloc[::5].reset_index(drop=True)
    with pytest.raises(data.DataError, match=r"trading days are missing between .* rows: daily closes are needed"):
        data.validate(weekly, min_rows=100)


def test_a_close_that_stands_still_is_stale(daily):
    daily.loc[100:108, "close"] = daily.loc[100, "close"]  # nine equal closes are let through
    assert data.validate(daily) is daily
    daily.loc[109, "close"] = daily.loc[100, "close"]
    with pytest.raises(data.DataError, match=r"row 109 \(2010-06-.*has not moved for ten rows"):
        data.validate(daily)


def test_a_vix_in_fractions_is_named(daily):
    with pytest.raises(data.DataError, match=r"the median VIX is 0\.1.*in index points"):
        data.validate(daily.assign(vix=daily["vix"] / 100))
