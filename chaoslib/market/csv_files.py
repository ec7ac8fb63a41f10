"""A user's price history as vendors, spreadsheets and browsers write it: read as it is meant, or refused by line."""

import csv
import datetime
import io
import re
from pathlib import Path

import pandas as pd

from chaoslib.market.validation import DataError
from chaoslib.pipeline import files, runs

COLUMNS = ("date", "close", "vix")
MAX_BYTES, MAX_ROWS = 2**26, 100_000  # four centuries of days are 100,000 rows of some thirty bytes
SHOWN = 3  # faulty lines that a message quotes
DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ]\d\d:?\d\d.*)?")  # a time and an offset leave the local day as it is
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PAR1": "Parquet",
}


def is_csv(dataset: str) -> bool:
    """Whether a dataset is the path of a CSV file rather than a name."""
    return Path(dataset).suffix.lower() == ".csv"


def locate(dataset: str) -> Path:
    """The file of a dataset: a relative path counts from the repository, as RUN_DIR does, or from the working directory."""
    path = Path(dataset).expanduser()
    try:
        inside = runs.project_root() / path
    except FileNotFoundError:  # used as a library
        return path
    return inside if inside.exists() else path


def read_csv(path: Path | str) -> tuple[pd.DataFrame, dict]:
    """A user's file with the columns date, close and vix, however capitalised; more columns are ignored.

    Returns (T,) rows of date (of a time with an offset the local day), close and vix (index points), with their lines as
    index, and the provenance.
    Raises DataError for a file that is no such table; the message counts the faulty lines and quotes the first ones.
    """
    path = Path(path)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    header, values, lines, faults, line = [], [], [], [], 1
    for cells in rows_of(reader, path):
        first, line = line, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header, columns = cells, find_columns(cells, path)
        elif len(cells) > len(header):
            extra = cells[len(header)]
            faults.append(f"line {first} has {len(cells)} fields and the header {len(header)}: {extra!r} is one too many")
        else:
            row = [cells[column].strip() if column < len(cells) else "" for column in columns]
            values.append(parsed(*row))
            lines.append(first)
            if values[-1] is None:
                shown = ", ".join(f"{name}={cell}" for name, cell in zip(COLUMNS, row, strict=True))
                faults.append(f"line {first} cannot be read ({shown}): dates are YYYY-MM-DD, prices are numbers")
        if len(values) > MAX_ROWS:
            raise DataError(f"{path} has more than {MAX_ROWS:,} rows: bring daily closes, one row a trading day")
    if not header:
        raise DataError(f"{path} is empty: a history has the columns {', '.join(COLUMNS)}")
    if faults:
        more = f" (and {len(faults) - SHOWN} more lines)" if len(faults) > SHOWN else ""
        raise DataError(f"{path}: {'; '.join(faults[:SHOWN])}{more}")
    prices = pd.DataFrame(values, columns=list(COLUMNS), index=pd.Index(lines, name="line"))
    prices["date"] = pd.to_datetime(prices["date"], format="%Y-%m-%d")
    return prices, {"source": path.name, "sha256": files.sha256(path)}


def read_text(path: Path) -> str:
    """What a file says, in UTF-8 with or without its mark, or in UTF-16 with it. Raises DataError for anything else."""
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a file' if path.is_dir() else 'no such file'}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise DataError(f"{path} has {size / 2**20:.0f} MB, which no daily history has: bring one row a trading day")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    for mark, kind in PACKED.items():
        if content.startswith(mark):
            raise DataError(f"{path} is no text but {kind}: unpack it, or export it as CSV")
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = content[error.start]
        raise DataError(f"{path}: line {line} holds the byte 0x{byte:02x}, which is not UTF-8: save as UTF-8") from None
    if "\0" in text:
        raise DataError(
            f"{path}: line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a zero byte: save as UTF-8 text"
        )
    return text


def rows_of(reader, path: Path):
    """Rows of a CSV reader. Raises DataError where a row ends in no way that CSV knows."""
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is no CSV: {error}") from error


def find_columns(header: list[str], path: Path) -> list[int]:
    """Where date, close and vix stand: under that very name, else under one that differs in capitals alone."""
    names, found = [cell.strip() for cell in header], {}
    for wanted in COLUMNS:
        exact = [at for at, name in enumerate(names) if name == wanted]
        found[wanted] = exact or [at for at, name in enumerate(names) if name.lower() == wanted]
    if missing := [name for name, at in found.items() if not at]:
        advice = ": separate columns by commas" if len(header) == 1 and re.search("[;\t|]", header[0]) else ""
        raise DataError(f"{path}: no column {', '.join(missing)}; the header is {', '.join(names)}{advice}")
    if doubled := [name for name, at in found.items() if len(at) > 1]:
        raise DataError(f"{path}: more than one column is named {', '.join(doubled)}: keep one of each")
    return [at for (at,) in found.values()]


def parsed(date: str, close: str, vix: str) -> tuple[str, float, float] | None:
    """The cells of a row, or None when one of them is neither a day nor a number."""
    day = DAY.fullmatch(date)
    if not day or not all(NUMBER.fullmatch(cell) for cell in (close, vix)):
        return None
    try:
        return datetime.date(*map(int, day.groups())).isoformat(), float(close), float(vix)
    except ValueError:  # the 30th of February
        return None
