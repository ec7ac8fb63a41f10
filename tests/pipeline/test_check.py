"""What `make check` says of a history before anything is trained, and what the console shows of a stage."""

import subprocess
import sys

import check
import numpy as np
import pandas as pd
import pytest

from chaoslib.market import data
from chaoslib.pipeline import runs


def said(folder, prices: pd.DataFrame, profile: str = "paper") -> list[str]:
    run = runs.Run("01_data", {"RUN_DIR": str(folder / profile)}, folder)
    run.save({"prices.parquet": prices})
    return check.notices(folder / profile, profile)


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """The S&P 500 and the VIX, 2000 to 2022."""
    return data.load_prices("sp500_logret", start="2000-01-03")[0]


def between(prices: pd.DataFrame, start: str, end: str) -> pd.DataFrame:
    return prices[prices["date"].between(start, end)].reset_index(drop=True)


def test_of_the_papers_own_history_there_is_nothing_to_say(prices, tmp_path):
    for profile in ("paper", "quick"):
        assert said(tmp_path, prices, profile) == ["windows: 3999 train, 819 val, 819 test"]


def test_a_short_and_calm_history_is_told_what_it_cannot_give(prices, tmp_path):
    windows, *lines = said(tmp_path, between(prices, "2012-01-03", "2017-12-29"))
    assert windows == "windows: 1006 train, 177 val, 178 test"
    few = "121 training windows end at a VIX of 20 or more"
    assert lines[0] == f"03_vae.stress: may be left out, {few} and on so few its checks can fail"
    assert f"08_timegan.stress: will be left out, {few} and it learns from 256 at least" in lines
    months = "no month of MONTHS lies in this history; its own are judged: Dec 2015, Jun 2016, Aug 2017"
    assert lines[-1] == f"11_stress_test: {months}"
    reach = [line.replace(": of TARGETS a VIX of 60, 80 at the", "") for line in lines if "out of reach" in line]
    asked = "of a window is out of reach, 8.3 to 50.9; asked for are"
    assert reach == [
        *(f"07_conditional {at} {asked} 12, 15, 20, 25, 30, 40" for at in ("end", "start")),
        f"11_stress_test start {asked} 15, 20, 25, 30, 40",
    ]


def test_a_history_without_stress_or_with_another_kind_of_index_is_told_which_levels_are_asked_for(prices, tmp_path):
    calm = prices.assign(vix=9 + 0.1 * (prices["vix"] - 9))
    lines = said(tmp_path / "calm", calm, "quick")
    assert (
        "03_vae.stress: will be left out, 0 training windows end at a VIX of 20 or more and it learns from 16 at least"
        in lines
    )
    wild = prices.assign(vix=3.3 * prices["vix"])
    line, _ = [line for line in said(tmp_path / "wild", wild) if "SWEEP_VIX" in line]  # at either end of the window
    beyond = (
        "of SWEEP_VIX a VIX of 15, 20, 25 at the end of a window is out of reach, 26.1 to 333.5; asked for are quantiles"
    )
    assert line.startswith(f"07_conditional: {beyond} of its own VIX, ")
    asked = [float(level) for level in line.partition("its own VIX, ")[2].split(", ")]
    assert len(asked) == 4
    assert np.all(np.diff(asked) > 0)
    assert 30 < asked[0] < asked[-1] < 267  # as the index is


def test_what_will_stop_a_run_is_said(prices, tmp_path, monkeypatch):
    plan = check.stages.planned(check.ROOT, "paper")
    long = plan | {"02_windows": plan["02_windows"] | {"SEQ_LEN": 250}}
    large = plan | {"06_diffusion.mu": plan["06_diffusion.mu"] | {"BATCH_SIZE": 2000}}
    short = between(prices, "2012-01-03", "2016-12-30")
    monkeypatch.setattr(check.stages, "planned", lambda *_: long)
    (line,) = said(tmp_path, short)
    assert line.startswith("02_windows: will stop, the val span has 189 days, less than a window of 250")
    monkeypatch.setattr(check.stages, "planned", lambda *_: large)
    assert "will stop, 06_diffusion.mu: BATCH_SIZE 2000 is more than the 830 training windows of this history" in said(
        tmp_path, short
    )


CRASH = ["epoch 1/3  loss 2", "Traceback (most recent call last):", "  deep inside", "AssertionError: a check"]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["hello", "epoch 1/3  loss 2", "saved a.csv in b"], ["epoch 1/3  loss 2", "saved a.csv in b"]),
        (CRASH, CRASH),
        ([*CRASH, "left out: 03_vae.stress, as a check"], ["epoch 1/3  loss 2", "left out: 03_vae.stress, as a check"]),
        (
            [*CRASH, "kernel died before", "epoch 2/3  loss 1"],
            ["epoch 1/3  loss 2", "kernel died before", "epoch 2/3  loss 1"],
        ),
        (["left out: 03_vae.stress, few", *CRASH], ["left out: 03_vae.stress, few", *CRASH]),
    ],
)
def test_the_console_shows_progress_and_whole_failures_but_not_those_of_what_is_left_out(root, lines, shown):
    command = [sys.executable, root / "workflow/progress.py", "TAG"]
    answer = subprocess.run(command, input="\n".join([*lines, ""]), capture_output=True, text=True, check=True).stdout
    assert answer.splitlines() == [f"  TAG: {line}" for line in shown]
