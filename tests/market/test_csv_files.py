"""Histories as vendors, spreadsheets and browsers write them: read as they are meant, or refused by line."""

import gzip

import numpy as np
import pandas as pd
import pytest

from chaoslib.market import csv_files, data
from chaoslib.market.validation import DataError, sessions, validate

ROWS = "date,close,vix\n2020-01-02,100,20\n2020-01-03,101,21\n"
READ = pd.DataFrame({"date": pd.to_datetime(["2020-01-02", "2020-01-03"]), "close": [100.0, 101.0], "vix": [20.0, 21.0]})


@pytest.fixture
def write_csv(tmp_path):
    def write(content: str | bytes, name: str = "mine.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Sixty sessions, calm and complete."""
    days = sessions(np.array(["2015-01-02", "2015-06-30"], dtype="datetime64[D]"), "XNYS")
    wave = np.sin(np.arange(60.0))
    return pd.DataFrame({"date": pd.to_datetime(days[4:64]), "close": 2000 + 20 * wave, "vix": 18 + wave})


def test_a_history_comes_back_as_it_was_written(prices, write_csv):
    path = write_csv(prices.assign(note="ignored")[["vix", "note", "date", "close"]].to_csv(index=False))
    loaded, provenance = data.load_prices(path, source="yahoo", min_rows=50)
    pd.testing.assert_frame_equal(loaded, prices, check_dtype=False, check_exact=True)
    assert provenance["source"] == "mine.csv"


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        ROWS.replace("date,close,vix", "Date,Close,VIX"),
        ROWS.replace(",", ", "),
        ROWS.replace(",", " ,"),
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("\n", "\n\n"),
        ROWS + ",,\n  , ,\n",
        ROWS.replace("vix\n", "vix,\n").replace("0\n", "0,\n").replace("21\n", "21,\n"),
        ROWS.replace("2020-01-02,100,20", '"2020-01-02","100","20"'),
        ROWS.replace("2020-01-02,", "2020-01-02 00:00:00-05:00,").replace("2020-01-03,", "2020-01-03 00:00:00-04:00,"),
        ROWS.replace("2020-01-02,", "2020-01-02T23:59:59Z,"),
        ROWS.replace("2020-01-02,", "20200102,"),
        ROWS.replace(",100,", ",1e2,"),
        ROWS.replace("date,close", "date,Close,close").replace(",10", ",99999,10"),
        b"\xef\xbb\xbf" + ROWS.encode(),
        ROWS.encode("utf-16"),
        ROWS.replace("vix\n", "vix,Größe\n").encode(),
    ],
    ids=[
        *("plain", "capitals", "blanks after commas", "blanks before commas", "line ends of Windows", "blank lines"),
        *("rows without cells", "a trailing comma everywhere", "quoted", "two offsets", "UTC at night", "basic dates"),
        *("exponent", "exact name wins", "mark of UTF-8", "UTF-16", "another column in UTF-8"),
    ],
)
def test_what_vendors_write_is_read(write_csv, content):
    prices, _ = data.read_csv(write_csv(content))
    assert prices.index.name == "line"
    pd.testing.assert_frame_equal(prices.reset_index(drop=True), READ, check_dtype=False)


REFUSED = {
    "missing column": ("date,price,vix\n2020-01-02,100,20\n", r"no column close; the header is date, price, vix"),
    "column twice": (ROWS.replace("date,", "date,Vix,VIX,").replace("vix", "x"), r"more than one column is named vix"),
    "semicolons": (ROWS.replace(",", ";"), r"no column date, close, vix; .* separate columns by commas"),
    "unreadable date": (ROWS + "06/01/2020,102,22\n", r"line 4 cannot be read \(date=06/01/2020"),
    "no such day": (ROWS + "2020-02-30,102,22\n", r"line 4 cannot be read \(date=2020-02-30"),
    "a month": (ROWS + "2020-02,102,22\n", r"line 4 cannot be read \(date=2020-02,"),
    "text as price": (ROWS + "2020-01-06,n/k,22\n", r"line 4 cannot be read .*close=n/k"),
    "nan as price": (ROWS + "2020-01-06,nan,22\n", r"line 4 cannot be read .*close=nan"),
    "decimal comma": (ROWS + '2020-01-06,"102,5",22\n', r"line 4 cannot be read .*close=102,5"),
    "underscore": (ROWS + "2020-01-06,1_02,22\n", r"line 4 cannot be read .*close=1_02"),
    "empty cell": (ROWS + "2020-01-06,102,\n", r"line 4 cannot be read .*vix=\)"),
    "short row": (ROWS + "2020-01-06,102\n", r"line 4 cannot be read .*vix=\)"),
    "after a blank line": (ROWS + "\n2020-01-06,n/k,22\n", r"line 5 cannot be read .*n/k"),
    "after a cell of two lines": (
        'date,close,vix,note\n2020-01-02,100,20,"a\nb"\n2020-01-03,n/k,21,c\n',
        r"line 4 cannot be read .*n/k",
    ),
    "trailing comma": (ROWS.replace("20\n", "20,\n"), r"line 2 has 4 fields and the header 3: '' is one too many"),
    "extra field": (ROWS + "2020-01-06,1,2,3,4\n", r"line 4 has 5 fields and the header 3: '3' is one too many"),
    "several lines": (
        ROWS + "x,1,2\n2020-01-06,1,2,3\n2020-01-07,?,2\n2020-01-08,?,2\n2020-01-09,?,2\n",
        r"line 4 cannot.*line 5 has 4.*line 6 cannot.*\(and 2 more lines\)",
    ),
    "cp1252": (ROWS.replace("vix\n", "vix,Größe\n").encode("cp1252"), r"line 1 holds the byte 0xf6, .* save as UTF-8"),
    "UTF-16 without its mark": (ROWS.encode("utf-16-le"), r"line 1 holds a zero byte: save as UTF-8"),
    "gzip": (gzip.compress(ROWS.encode()), r"is no text but gzip: unpack it"),
    "workbook": (b"PK\x03\x04abc", r"is no text but a zip archive or an Excel workbook: .*export it as CSV"),
    "nothing": ("", r"is empty: a history has the columns date, close, vix"),
    "blank": ("\n \n", r"is empty"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_history_is_refused_by_line(write_csv, content, message):
    with pytest.raises(DataError, match=f"(?s)mine\\.csv.*{message}"):
        data.read_csv(write_csv(content))


def test_a_history_of_another_size_is_refused_for_it(write_csv, monkeypatch):
    with pytest.raises(DataError, match=r"mine\.csv has more than 100,000 rows: bring daily closes"):
        data.read_csv(write_csv(ROWS + 100_000 * "2020-01-06,1,2\n"))
    monkeypatch.setattr(csv_files, "MAX_BYTES", 20)
    with pytest.raises(DataError, match="which no daily history has"):
        data.read_csv(write_csv(ROWS))


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        data.load_prices(str(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv: a folder, not a file"):
        data.load_prices(str(tmp_path / "folder.csv"))


@pytest.mark.parametrize(
    "name", ["^GSPC.csv", "spx+vix.csv", "spx (1).csv", "trader's.csv", "MY.CSV", "größe.Csv", "2020.csv", "a{b}[c].csv"]
)
def test_any_name_is_a_file(write_csv, name):
    loaded, provenance = data.load_prices(write_csv(ROWS, name), min_rows=2)
    assert (len(loaded), provenance["source"]) == (2, name)


def test_a_relative_path_counts_from_the_repository_and_else_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "clone/notebooks").mkdir(parents=True)
    (tmp_path / "clone/pyproject.toml").touch()
    (tmp_path / "clone/mine.csv").write_text(ROWS)
    (tmp_path / "clone/notebooks/here.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path / "clone/notebooks")
    assert len(data.load_prices("mine.csv", min_rows=2)[0]) == 2
    assert len(data.load_prices("here.csv", min_rows=2)[0]) == 2
    monkeypatch.chdir(tmp_path)  # as where the package is used without the notebooks
    (tmp_path / "mine.csv").write_text(ROWS + "2020-01-06,102,22\n")
    assert len(data.load_prices("mine.csv", min_rows=2)[0]) == 3
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(data.load_prices("~/mine.csv", min_rows=2)[0]) == 3


def test_days_with_a_time_are_cut_by_start_and_end_as_days(write_csv):
    path = write_csv(ROWS.replace(",1", "T16:00:00,1"))
    assert len(data.load_prices(path, start="2020-01-02", end="2020-01-03", min_rows=2)[0]) == 2


# Days of an exchange


def test_holidays_filled_with_the_day_before_are_counted_and_the_first_is_named():
    closes = pd.read_csv(data.SNAPSHOT / "closes.csv", parse_dates=["date"]).rename(columns={"sp500": "close"})
    history = closes.loc[closes["date"] >= "2010", ["date", "close", "vix"]].set_index("date")
    filled = history.asfreq("B").ffill()
    assert len(validate(history.reset_index(), min_rows=1000)) == len(history)
    with pytest.raises(DataError, match=r"row 10: 2010-01-18 is a Monday on which the exchange .* was closed") as refused:
        validate(filled.reset_index())
    assert f"{len(filled) - len(history)} of {len(filled)} rows" in str(refused.value)


def test_the_error_names_the_file(write_csv):
    with pytest.raises(DataError, match=r"mine\.csv: line 3: 2019-12-25 is a Wednesday on which"):
        path = write_csv("date,close,vix\n2019-12-24,100.0,12.5\n2019-12-25,100.0,12.5\n2019-12-26,101.0,12.6\n")
        data.load_prices(path, min_rows=3)


@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        ("2015-01-20,1000.0,15.0", "close goes from"),
        ("2015-01-19,100.0,15.0", "2015-01-19 is a Monday on which the exchange"),
        ("2015-01-16,100.0,15.0", "2015-01-16 repeats the row before"),
        ("2015-01-20,100.0,-1", "vix is -1.0, it must be positive"),
        ("2015-02-20,100.0,15.0", "trading days are missing between 2015-01-16 and 2015-02-20"),
    ],
)
def test_the_line_of_a_faulty_row_is_that_of_the_file_whatever_comes_before_it(write_csv, faulty, fault):
    rows = [f"{day},100.{day.day},15.0" for day in pd.bdate_range("2015-01-05", "2015-01-16").date]
    lines = ["date,close,vix", "2014-12-01,1.0,15.0", "", *rows, "", faulty, ""]
    with pytest.raises(DataError) as caught:
        data.load_prices(write_csv("\n".join(lines)), min_rows=3, start="2015-01-01")
    assert f"line {len(lines) - 1}" in str(caught.value)
    assert fault in str(caught.value)


def test_missing_sessions_within_the_limits_and_rows_outside_the_span_are_told(prices, write_csv, caplog):
    path = write_csv(prices.drop(index=[7, 20, 21]).to_csv(index=False))
    with caplog.at_level("INFO", logger="chaoslib"):
        data.load_prices(path, start=str(prices["date"][3].date()), min_rows=50)
    assert "54 trading days from 2015-01-0" in caplog.text
    assert "3 sessions of XNYS without a row" in caplog.text
    assert "3 rows outside START 2015-01-07 are left out" in caplog.text


def test_another_exchange_has_days_of_its_own(prices):
    tokyo = pd.to_datetime(sessions(np.array(["2015-01-05", "2015-06-30"], dtype="datetime64[D]"), "XTKS")[7:67])
    history = prices.assign(date=tokyo)
    assert validate(history, min_rows=50, calendar="XTKS") is history
    with pytest.raises(DataError, match=r"on which the exchange \(XNYS\) was closed"):
        validate(history, min_rows=50)
    with pytest.raises(DataError, match="unknown calendar 'TOKYO': use a code such as XNYS"):
        validate(history, min_rows=50, calendar="TOKYO")


def test_without_a_calendar_any_day_may_have_a_row(prices):
    days = pd.date_range("2015-01-03", periods=60, freq="3D")
    history = prices.assign(date=days)
    assert validate(history, min_rows=50, calendar="none") is history
    wild = history.assign(close=history["close"].where(history.index != 30, 1200))
    with pytest.raises(DataError, match=r"a log-change beyond 0\.3"):
        validate(wild, min_rows=50, calendar="none")
    assert validate(wild, min_rows=50, calendar="none", max_move=0.6) is wild


def test_days_before_a_calendar_begins_are_refused(prices):
    dates = prices["date"] - pd.Timedelta(days=365 * 22)
    with pytest.raises(DataError, match=r"calendar XTKS: .*earliest date.* Move START or END, or give none"):
        validate(prices.assign(date=dates), min_rows=50, calendar="XTKS")


@pytest.mark.parametrize("year", ["0020", "1492", "2999"])
def test_days_of_another_age_are_refused(prices, year):
    dates = prices["date"].astype("datetime64[s]").to_numpy().copy()
    dates[-1 if year > "2000" else 0] = np.datetime64(f"{year}-01-02")
    with pytest.raises(DataError, match=f"{year}-01-02 is no day of an exchange"):
        validate(prices.assign(date=dates), min_rows=50)
