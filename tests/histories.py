"""Run everything on histories unlike the paper's, as `make quick` does, and read what was published of each.

python -m tests.histories runs/histories [--only calm seven_days]

Writes the histories as CSV files, made from the shipped S&P 500 and VIX with a fixed seed, then calls the workflow on each.
Prints a line a history, and fails when a run does, when something was left out that should be there or the other way round,
or when a report has a number that is none. Takes some minutes a history; finished stages are not run again.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
STRESS = {"03_vae.stress", "08_timegan.stress"}
MAY_FAIL = {"03_vae.stress", "08_timegan.full", "08_timegan.stress"}  # by their own checks, at small settings
HISTORIES = {  # name -> what the call is given beside the file, and what must be left out
    "years_2012_2017": ({}, {"08_timegan.stress"}),
    "years_2000_2007": ({}, set()),
    "calm": ({}, STRESS),
    "wild": ({}, set()),
    "seven_days": ({"calendar": "24/7", "max_move": "0.6"}, set()),
}


def histories() -> dict[str, pd.DataFrame]:
    """Name -> rows of date, close and vix."""
    snapshot = pd.read_csv(ROOT / "chaoslib/market/snapshot/closes.csv")
    prices = snapshot[["date", "sp500", "vix"]].rename(columns={"sp500": "close"})
    prices = prices[prices["date"] >= "2000-01-03"].dropna().reset_index(drop=True)
    made = {
        f"years_{first}_{last}": prices[prices["date"].str[:4].astype(int).between(first, last)]
        for first, last in ((2012, 2017), (2000, 2007))
    }
    made["calm"] = prices.assign(vix=(9 + 0.13 * (prices["vix"] - 9)).round(2))  # never at 20
    made["wild"] = prices.assign(vix=(3.3 * prices["vix"]).round(2))  # from 30 to 273
    return made | {"seven_days": seven_days(prices)}


def seven_days(prices: pd.DataFrame) -> pd.DataFrame:
    """A market that never closes, 2013 to 2024: random stretches of 250 days of the S&P 500, moves 3.2 times as large."""
    dates, rng = pd.date_range("2013-01-01", "2024-12-31"), np.random.default_rng(0)
    starts = rng.integers(1, len(prices) - 250, size=-(-len(dates) // 250))
    days = (starts[:, None] + np.arange(250)).ravel()[: len(dates)]
    moves = np.log(prices["close"]).diff().to_numpy()[days]
    closes, vix = 1000 * np.exp(np.cumsum(3.2 * moves)), 2.5 * prices["vix"].to_numpy()[days]
    return pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), "close": closes.round(2), "vix": vix.round(2)})


def faults_of(published: Path, expected: set[str]) -> list[str]:
    """What is wrong with a published run."""
    table = published / "tables/left_out.csv"
    left_out = set(pd.read_csv(table)["node"]) if table.exists() else set()
    faults = [f"{node} was not left out" for node in sorted(expected - left_out)]
    faults += [f"{node} was left out" for node in sorted(left_out - expected - MAY_FAIL)]
    report = (published / "REPORT.md").read_text(encoding="utf-8")
    faults += [f"REPORT.md says {word}" for word in ("nan", "None") if re.search(rf"\b{word}\b", report)]
    faults += [f"REPORT.md says nothing of {node}" for node in sorted(left_out) if node not in report]
    return faults + [f"{name} is missing" for name in ("paper.tex", "captions.json") if not (published / name).exists()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where files, runs and figures go")
    parser.add_argument("--only", nargs="+", choices=HISTORIES, default=list(HISTORIES))
    options = parser.parse_args()
    folder, faults = options.folder.absolute(), []
    folder.mkdir(parents=True, exist_ok=True)
    for name, prices in histories().items():
        if name not in options.only:
            continue
        prices.to_csv(folder / f"{name}.csv", index=False)
        given, expected = HISTORIES[name]
        config = {"profile": "quick", "dataset": folder / f"{name}.csv", "runs": folder / "runs", "figures": folder, **given}
        command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "2"]
        command += ["--workflow-profile", "workflow/profiles/default", "--directory", str(folder / "runs"), "publish"]
        command += ["--config", *(f"{key}={value}" for key, value in config.items())]
        begun = time.perf_counter()
        with (folder / f"{name}.log").open("w") as log:
            code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT).returncode
        published = max((folder / "quick").glob(f"csv_{name}.*"), key=lambda path: path.stat().st_mtime, default=None)
        found = [f"the run failed, see {name}.log"] if code or not published else faults_of(published, expected)
        print(f"{name}: {(time.perf_counter() - begun) / 60:.1f} minutes, {'; '.join(found) or 'no fault'}", flush=True)
        faults += found
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
