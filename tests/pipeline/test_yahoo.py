"""What a reader sees while Yahoo is asked: through the script of the workflow, through its rule, through a stage."""

import os
import re
import subprocess
import sys

import pytest
from project import Workflow

from chaoslib.market import data

YFINANCE = """
import os, select, sys, time, types
import pandas as pd

config = types.SimpleNamespace(debug=types.SimpleNamespace(hide_exceptions=True))
data = types.SimpleNamespace(YfData=types.SimpleNamespace(cache_get=types.SimpleNamespace(cache_clear=int)))
set_tz_cache_location = str
time.sleep = lambda pause: select.select([sys.stdin], [], [], 60)[0] and sys.stdin.readline()  # until the test goes on
asked = []


class Ticker:
    def __init__(self, symbol, session):
        self.symbol = symbol

    def history(self, start, end, **_):
        from chaoslib.market.data import SNAPSHOT

        asked.append(self.symbol)
        if asked.count(self.symbol) <= int(os.environ["FAILS"]):
            raise OSError(f"no network, end {end}")
        closes = pd.read_csv(SNAPSHOT / "closes.csv", parse_dates=["date"], index_col="date").loc[start:]
        column = {"^GSPC": "sp500", "^VIX": "vix"}[self.symbol]
        return pd.DataFrame({"Close": closes[column]}).tz_localize("America/New_York")
"""
NOTE = r"\{}: OSError: no network, end None; attempt {} of 4, next in \d+ s"


def told(symbol: str, *attempts: int) -> list[str]:
    return [NOTE.format(symbol, attempt) for attempt in attempts]


def assert_lines(text: str, patterns: list[str]) -> None:
    """That these lines follow one another in a text, among others."""
    lines = iter(text.splitlines())
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in lines), f"no line {pattern} where it belongs in\n{text}"


def test_every_retry_is_said_before_it_is_waited_for(root, tmp_path):
    (tmp_path / "yfinance.py").write_text(YFINANCE)
    command = [sys.executable, root / "workflow/yahoo.py", tmp_path, "sp500_logret", "2000-01-03"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "FAILS": "4"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes) as process:
        assert process.stderr.readline() == "Yahoo is asked for sp500_logret from 2000-01-03 on\n"
        for (note,) in (told("^GSPC", attempt) for attempt in (1, 2, 3)):
            assert re.fullmatch(note + "\n", process.stderr.readline())  # and the script waits
            assert process.poll() is None
            process.stdin.write("go on\n")
        _, rest = process.communicate()
    assert re.fullmatch(r"sp500_logret: no prices for \^GSPC from Yahoo in 4 attempts .*or use the snapshot\n", rest)
    assert process.returncode == 1


@pytest.mark.end_to_end
def test_the_rule_passes_on_what_is_said_and_keeps_the_answer(root, tmp_path, monkeypatch):
    project = Workflow(root, tmp_path)
    (project.folder / "yfinance.py").write_text(YFINANCE)
    monkeypatch.setenv("FAILS", "4")
    failed = project.call(target="yahoo", source="yahoo")
    assert failed.returncode
    first = "Yahoo is asked for sp500_logret from 2000-01-03 on"
    last = r"sp500_logret: no prices for \^GSPC from Yahoo in 4 attempts .*"
    assert_lines(failed.stderr, [first, *told("^GSPC", 1, 2, 3), last])
    assert "Traceback" not in failed.stderr
    monkeypatch.setenv("FAILS", "2")
    done = project.call(target="yahoo", source="yahoo")
    assert done.returncode == 0, done.stderr
    assert_lines(done.stderr, [first, *told("^GSPC", 1, 2), *told("^VIX", 1, 2)])
    answer, _ = data.read_yahoo("sp500_logret", start="2000-01-03", cache=project.folder / "runs/cache")
    assert len(answer) > 5000


def test_a_stage_passes_on_what_is_said_as_it_comes(root):
    """Where a notebook itself asks."""
    command = [sys.executable, root / "workflow/progress.py", "01_data"]
    notes = [
        "^GSPC: YFRateLimitError: Too Many Requests; attempt 1 of 4, next in 21 s\n",
        "^VIX: an empty answer; attempt 3 of 4, next in 80 s\n",
        "Yahoo answer of 2024-01-05T21:00:00+00:00 read from runs/cache/yahoo/sp500_logret_2000-01-03_latest.parquet\n",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for note in notes:
            process.stdin.write(note + "saved here\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"  01_data: {note}"
            assert process.stdout.readline() == "  01_data: saved here\n"
        rest, _ = process.communicate("Executing Cell 4---\n")
    assert rest == ""
