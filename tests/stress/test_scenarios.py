"""Scenario sets: the same however they are asked for, chained and stored without a gap, from the weights of the paper."""

import dataclasses
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import publish
import pytest
import torch
from pyarrow import dataset, parquet
from safetensors.torch import load_file, save_file
from scipy import stats

from chaoslib.evaluation import metrics
from chaoslib.market import data, windows
from chaoslib.market.vix import VIXCondition, VIXLaw, fit_vix_law
from chaoslib.models import diffusion, generate, vae
from chaoslib.pipeline import artefacts, files, runs
from chaoslib.stress import scenarios

MODELS = ["ldm_post", "cond_end", "cond_start", "cond_norm"]
BOTH_FORECASTERS = pytest.mark.parametrize("model", ["cond_norm", "cond_start"])
REFUSED = [  # arguments that differ from a good request, and what is said
    (
        {"model": "cond_end"},
        "cond_end is told the VIX at the window's end, which looks back on the window: .* use cond_norm",
    ),
    ({"model": "ldm_post"}, "ldm_post is told no VIX: for what follows a VIX use cond_norm or cond_start"),
    ({"model": "gpt"}, "unknown model 'gpt': the package ships ldm_post, cond_end, cond_start, cond_norm"),
    ({"vix": 500.0}, "VIX 500 is out of reach: .* may be asked from"),
    ({"vix": 3.0}, "VIX 3 is out of reach"),
    ({"vix": -20.0}, "give index points, which are positive"),
    ({"vix": float("nan")}, "give index points, which are positive"),
]
NOTHING_ASKED = [
    ({"n": 0}, "n is 0: give a whole number of 1 or more"),
    ({"n": -5}, "n is -5: give a whole number of 1 or more"),
    ({"n": 2.5}, "n is 2.5: give a whole number of 1 or more"),
    ({"n": True}, "n is True: give a whole number of 1 or more"),
    ({"n": "5"}, "n is '5': give a whole number of 1 or more"),
    ({"n": None}, "n is None: give a whole number of 1 or more"),
    ({"days": 0}, "days is 0: give a whole number of 1 or more"),
    ({"days": 7.0}, "days is 7.0: give a whole number of 1 or more"),
    ({"days": "10"}, "days is '10': give a whole number of 1 or more"),
    ({"days": True}, "days is True: give a whole number of 1 or more"),
    ({"seed": -1}, "seed is -1: give a whole number of 0 or more"),
    ({"seed": 1.5}, "seed is 1.5: give a whole number of 0 or more"),
    ({"seed": True}, "seed is True: give a whole number of 0 or more"),
    ({"seed": "1"}, "seed is '1': give a whole number of 0 or more"),
    ({"seed": None}, "seed is None: give a whole number of 0 or more"),
    ({"seed": [1, 2]}, r"seed is \[1, 2\]: give a whole number of 0 or more"),
    ({"vix": "45"}, "vix is '45': give index points as numbers, such as 45"),
    ({"vix": np.array("45")}, "vix is array.*: give index points as numbers"),
    ({"vix": True}, "vix is True: give index points as numbers, such as 45"),
    ({"vix": {}}, "vix is {}: give index points as numbers, such as 45"),
    ({"vix": 45 + 0j}, r"vix is \(45\+0j\): give index points as numbers"),
    ({"vix": None}, "vix is None, but this model needs the VIX at the window's start: give index points"),
    ({"vix": float("inf")}, "VIX inf is out of reach"),
    ({"vix": np.array([20.0, 30.0])}, "vix is one number for a set of scenarios: call once for each level"),
    ({"model": None}, "model is None: give its name, cond_norm or cond_start"),
    ({"model": ["cond_norm"]}, r"model is \['cond_norm'\]: give its name, cond_norm or cond_start"),
]


@pytest.fixture
def small(monkeypatch) -> int:
    """Chunks of 20 scenarios, so that a few of them are quick."""
    monkeypatch.setattr(generate, "CHUNK", 20)
    return 20


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A copy of the shipped weights that a test may change."""
    scenarios.published.cache_clear()
    folder = Path(shutil.copytree(scenarios.WEIGHTS, tmp_path / "weights"))
    monkeypatch.setattr(scenarios, "WEIGHTS", folder)
    yield folder
    scenarios.published.cache_clear()


@pytest.fixture
def threads():
    """Sets torch's number of threads; afterwards it is what it was."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# Scenarios


@BOTH_FORECASTERS
def test_scenarios_are_daily_log_returns_that_come_again_with_their_seed(small, model):
    one, two, other = (scenarios.draw(45, n=30, seed=seed, model=model) for seed in (4, 4, 5))
    assert (one.shape, one.dtype) == ((30, 50), np.float32)
    assert one.tobytes() == two.tobytes()
    assert not np.isclose(one, other).all(axis=1).any()
    assert len({row.tobytes() for row in one}) == 30
    assert 0.005 < one.std() < 0.06  # fractions a day


def test_the_model_that_is_named_is_asked_and_cond_norm_unless_told(small):
    norm, start = (scenarios.draw(30, n=5, model=model) for model in ("cond_norm", "cond_start"))
    np.testing.assert_array_equal(scenarios.draw(30, n=5), norm)
    assert not np.isclose(norm, start).all(axis=1).any()


@pytest.mark.parametrize("days", [3, 70])
def test_the_first_of_a_larger_set_are_those_of_a_smaller_one(small, days):
    whole = scenarios.draw(35, n=73, days=days, seed=2)
    assert len({row.tobytes() for row in whole}) == 73  # no chunk repeats another
    for n in (1, 19, 20, 21, 40, 47, 60, 72):
        np.testing.assert_array_equal(scenarios.draw(35, n=n, days=days, seed=2), whole[:n])


def test_the_first_of_a_larger_set_are_those_of_a_smaller_one_in_chunks_of_a_thousand():
    whole = scenarios.draw(35, n=1001, seed=2)
    assert len(whole) == 1001
    for n in (7, 1000):
        np.testing.assert_array_equal(scenarios.draw(35, n=n, seed=2), whole[:n])


def test_fewer_days_leave_out_the_last_and_more_are_added_at_the_end(small):
    longest = scenarios.draw(30, n=25, days=120)
    assert longest.shape == (25, 120)
    for days in (1, 7, 49, 50, 51, 60, 100, 101):
        np.testing.assert_array_equal(scenarios.draw(30, n=25, days=days), longest[:, :days])
    assert not np.isclose(longest[:, :50], longest[:, 50:100]).all(axis=1).any()


def test_chunks_from_the_middle_are_those_of_the_set(small):
    options = {"n": 50, "days": 60, "seed": 3}
    parts = list(scenarios.chunks(scenarios.published(), 25, first=20, **options))
    assert [len(part) for part in parts] == [20, 10]
    np.testing.assert_array_equal(np.concatenate(parts), scenarios.draw(25, n=50, days=60, seed=3)[20:])


@BOTH_FORECASTERS
def test_volatility_rises_with_the_vix_before(small, model):
    levels = (10, 17, 28, 45, 75)
    samples = np.array([np.median(metrics.realised_vol(scenarios.draw(vix, n=100, model=model))) for vix in levels])
    assert (np.diff(np.log(samples)) > 0.2).all()


@BOTH_FORECASTERS
def test_scenarios_have_the_law_of_the_model_they_are_asked_of(model):
    samples = scenarios.draw(30, n=1000, seed=1, model=model)
    same, wilder = (scenarios.published(model).sample(1000, seed=77, vix=vix) for vix in (30, 36))
    for outcome in (metrics.realised_vol, metrics.max_drawdown, lambda w: w.sum(axis=1), lambda w: w[:, 0]):
        assert stats.ks_2samp(outcome(samples), outcome(same)).pvalue > 0.01
    assert stats.ks_2samp(metrics.realised_vol(samples), metrics.realised_vol(wilder)).pvalue < 1e-6
    assert samples.std() == pytest.approx(same.std(), rel=0.03)


@pytest.mark.parametrize(("changed", "message"), REFUSED + NOTHING_ASKED)
def test_what_cannot_be_answered_is_refused_with_the_reason(small, changed, message):
    request = {"vix": 20.0, "n": 5, "days": 10} | changed
    with pytest.raises(ValueError, match=message):
        scenarios.draw(**request)


def test_a_vix_beyond_the_training_windows_is_answered_within_reach(small):
    generate.warn_extrapolated.cache_clear()
    highest = scenarios.published().condition.highest
    inside, beyond = (scenarios.draw(vix, n=40).std() for vix in (highest, 1.2 * highest))
    assert beyond / inside == pytest.approx(1.2 ** scenarios.published().condition.exponent, rel=0.01)


# Chains


class Windows:
    """A model of 5-day windows that notes what it is asked; every day of the k-th call is k."""

    scaler = types.SimpleNamespace(seq_len=5)
    condition = VIXCondition("start", 0.0, typical=20.0, lowest=10.0, highest=40.0)

    def __init__(self):
        self.seeds, self.vix = [], []

    def sample(self, n: int, *, seed: int, vix: np.ndarray) -> np.ndarray:
        self.seeds.append(seed)
        self.vix.append(np.array(vix))
        return np.full((n, 5), len(self.seeds), dtype=np.float32)


class Law:
    """Draws what it is told to, and notes what it is given."""

    def __init__(self, *levels: list[float]):
        self.levels, self.calls, self.noise = list(levels), [], []

    def draw(self, samples: np.ndarray, vix: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        self.calls.append((samples, np.array(vix)))
        self.noise.append(rng.random())
        return np.array(self.levels.pop(0))


DRAWN = [25.0, 3.0, 90.0], [40.0, 10.0, 15.5], [1.0, 1.0, 1.0]


def chained(days: int, seed: tuple[int, ...] = (0, 0)) -> tuple[np.ndarray, Windows, Law]:
    model, law = Windows(), Law(*DRAWN)
    return scenarios.chain(model, law, np.array([20.0, 41.0, 9.0]), days=days, seed=seed), model, law


def test_each_link_begins_at_the_vix_that_the_law_drew_for_the_end_of_the_last():
    samples, model, law = chained(13)
    assert samples.shape == (3, 13)
    np.testing.assert_array_equal(samples, [5 * [1] + 5 * [2] + 3 * [3]] * 3)
    np.testing.assert_array_equal(model.vix, [[20, 41, 9], [25, 10, 40], [40, 10, 15.5]])  # clipped to 10 .. 40
    for number, (windows_given, vix) in enumerate(law.calls):
        np.testing.assert_array_equal(windows_given, np.full((3, 5), number + 1))
        np.testing.assert_array_equal(vix, model.vix[number])


@pytest.mark.parametrize(("days", "links"), [(1, 1), (5, 1), (6, 2), (10, 2), (11, 3)])
def test_a_chain_has_no_more_links_than_its_days_need(days, links):
    samples, model, _ = chained(days)
    assert samples.shape == (3, days)
    assert len(model.vix) == links


def test_links_and_sets_have_noise_of_their_own_and_the_same_again_when_repeated():
    runs_of = {seed: chained(15, seed) for seed in ((0, 0), (0, 1), (1, 0), (1, 1))}
    seeds = [seed for _, model, _ in runs_of.values() for seed in model.seeds]
    noise = [noise for _, _, law in runs_of.values() for noise in law.noise]
    assert len(set(seeds)) == 12
    assert len(set(noise)) == 8  # nothing follows the last link, so no VIX is drawn for its end
    again = chained(15, (0, 1))
    assert (again[1].seeds, again[2].noise) == (runs_of[0, 1][1].seeds, runs_of[0, 1][2].noise)


def test_a_wild_window_is_followed_by_wild_ones_in_a_chain(small):
    samples = scenarios.draw(25, n=400, days=100)
    first, second = metrics.log_rv(samples[:, :50]), metrics.log_rv(samples[:, 50:])
    assert stats.spearmanr(first, second).statistic > 0.3
    assert stats.spearmanr(first, np.roll(second, 1)).pvalue > 0.01  # each goes on from its own


# Sets on disk


ASKED = {"vix": 25.0, "n": 50, "days": 3, "seed": 6, "shard": 20}


def stored(folder: Path, **changed) -> dict:
    """The sidecar of a set that is written to a folder."""
    return json.loads(scenarios.to_parquet(folder, **ASKED | changed).read_text())


def beside(folder: Path) -> Path:
    """The sidecar of a set."""
    return folder.parent / f"{folder.name}.json"


def held(folder: Path) -> dict[str, bytes]:
    """All files of a set: its shards and its sidecar."""
    return {path.name: path.read_bytes() for path in (*folder.iterdir(), beside(folder)) if path.exists()}


def shards_of(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in held(folder).items() if name.endswith(".parquet")}


def table_of(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


@pytest.mark.parametrize(
    ("changed", "sizes"),
    [
        ({}, [20, 20, 10]),
        ({"shard": 40}, [40, 10]),
        ({"n": 40}, [20, 20]),
        ({"n": 7}, [7]),
        ({"shard": 60, "days": 55, "model": "cond_start"}, [50]),
    ],
)
def test_shards_end_to_end_are_the_scenarios(small, tmp_path, changed, sizes):
    stored(tmp_path / "set", **changed)
    request = {key: value for key, value in (ASKED | changed).items() if key != "shard"}
    shards = sorted((tmp_path / "set").glob("*.parquet"))
    assert [parquet.read_metadata(path).num_rows for path in shards] == sizes
    assert {*(tmp_path / "set").iterdir()} == {*shards}  # some readers pass over nothing else
    assert {path.name for path in tmp_path.iterdir()} == {"set", "set.json"}
    table = table_of(tmp_path / "set")
    assert list(table.columns) == ["scenario", *(f"day_{day}" for day in range(1, request["days"] + 1))]
    assert table["scenario"].dtype == np.int64
    np.testing.assert_array_equal(table["scenario"], np.arange(request["n"]))
    days = table.drop(columns="scenario").to_numpy()
    assert days.dtype == np.float32
    np.testing.assert_array_equal(days, scenarios.draw(**request))


def test_the_sidecar_says_what_was_asked_of_which_weights_and_what_came_of_it(small, tmp_path):
    sidecar = stored(tmp_path / "set")
    shipped = json.loads((scenarios.WEIGHTS / "weights.json").read_text())["models"]
    assert {key: sidecar[key] for key in ASKED} == ASKED
    assert (sidecar["model"], sidecar["weights"]) == ("cond_norm", shipped["cond_norm"])
    assert sidecar["unit"] == "daily log-returns, fractions"
    versions = {name: importlib.metadata.version(name) for name in ("chaoslib", "torch", "numpy")}
    assert {name: sidecar[name] for name in versions} == versions
    assert (sidecar["device"], sidecar["sampler"], sidecar["steps"]) == (str(scenarios.published().device), "dpm", 25)
    assert (sidecar["experimental"], sidecar["extrapolated"]) == (False, False)
    assert abs(datetime.fromisoformat(sidecar["finished_utc"]) - datetime.now(UTC)).total_seconds() < 600
    shards = sorted((tmp_path / "set").glob("*.parquet"))
    assert sidecar["files"] == {path.name: files.sha256(path) for path in shards}
    assert len(shards) == 3


@pytest.mark.parametrize(
    ("changed", "experimental", "extrapolated"),
    [({"days": 50}, False, False), ({"days": 51}, True, False), ({"vix": 90}, False, True), ({"vix": 9.0}, False, True)],
)
def test_the_sidecar_says_what_is_beyond_experience(small, tmp_path, changed, experimental, extrapolated):
    sidecar = stored(tmp_path / "set", n=5, **changed)
    assert (sidecar["experimental"], sidecar["extrapolated"]) == (experimental, extrapolated)


def test_a_chained_set_is_bound_to_the_law_of_the_vix_and_says_so(small, elsewhere, tmp_path):
    known = json.loads((elsewhere / "weights.json").read_text())
    assert stored(tmp_path / "short")["vix_law"] is None
    assert stored(tmp_path / "long", days=51)["vix_law"] == known["vix_law"]
    known["vix_law"]["vol"] += 0.1
    (elsewhere / "weights.json").write_text(json.dumps(known))
    stored(tmp_path / "short")
    with pytest.raises(ValueError, match="describes scenarios with another vix_law"):
        stored(tmp_path / "long", days=51)


@pytest.mark.parametrize(("days", "said"), [(50, []), (51, ["51 days are chained windows of 50: experimental"])])
def test_days_beyond_a_window_are_said_to_be_experimental_once_a_call(small, tmp_path, caplog, days, said):
    for ask in (lambda: scenarios.draw(25, n=45, days=days), lambda: stored(tmp_path / "set", days=days)):
        caplog.clear()
        ask()
        assert [record.getMessage().split(", see")[0] for record in caplog.records] == said


def test_a_missing_shard_is_made_again_and_no_other(small, tmp_path):
    folder = tmp_path / "set"
    stored(folder)
    before, lost = held(folder), folder / "scenarios-00001.parquet"
    ages = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet") if path != lost}
    lost.unlink()
    sidecar = stored(folder)
    assert shards_of(folder) == {name: content for name, content in before.items() if name.endswith(".parquet")}
    assert {name: (folder / name).stat().st_mtime_ns for name in ages} == ages
    assert sidecar["files"] == json.loads(before["set.json"])["files"]


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_an_interrupted_call_leaves_whole_shards_and_goes_on_when_repeated(small, tmp_path, monkeypatch, fails_at):
    """Shards of two chunks, interrupted at the start or in the middle of one."""
    stored(tmp_path / "whole", n=75, shard=40)
    real, calls = scenarios.chain, []

    def failing(*args, **options):
        calls.append(options["seed"])
        if len(calls) == fails_at:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(scenarios, "chain", failing)
        with pytest.raises(KeyboardInterrupt):
            stored(tmp_path / "set", n=75, shard=40)
    left = held(tmp_path / "set")
    complete = (fails_at - 1) // 2
    assert set(left) == {"set.json", *(f"scenarios-{k:05d}.parquet" for k in range(complete))}
    sidecar = json.loads(left["set.json"])
    assert sidecar["finished_utc"] is None  # it does not claim to be finished
    assert set(sidecar["files"]) == set(left) - {"set.json"}
    stored(tmp_path / "set", n=75, shard=40)
    assert shards_of(tmp_path / "set") == shards_of(tmp_path / "whole")
    sidecar, expected = (json.loads(beside(tmp_path / name).read_text()) for name in ("set", "whole"))
    assert sidecar.pop("finished_utc")
    assert expected.pop("finished_utc")
    assert sidecar == expected


def test_a_finished_set_is_not_made_again_and_says_when_it_was_finished(small, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    long_ago = stored(folder) | {"finished_utc": "2020-01-01T00:00:00+00:00"}
    beside(folder).write_text(json.dumps(long_ago))
    before = held(folder)
    with monkeypatch.context() as patch:
        patch.setattr(scenarios, "write_shard", lambda *_: pytest.fail("made again"))
        stored(folder)
    assert held(folder) == before
    (folder / "scenarios-00001.parquet").unlink()
    assert stored(folder)["finished_utc"] > long_ago["finished_utc"]


@pytest.mark.parametrize(
    "changed",
    [{"vix": 26.0}, {"n": 51}, {"days": 4}, {"seed": 7}, {"shard": 40}, {"model": "cond_start"}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_folder_with_another_set_is_refused_and_left_as_it_is(small, tmp_path, changed):
    folder = tmp_path / "set"
    stored(folder)
    (folder / "scenarios-00002.parquet").unlink()  # nor is an unfinished one finished as another
    before = held(folder)
    with pytest.raises(
        ValueError, match=rf"set\.json describes scenarios with another {next(iter(changed))}.*: choose another"
    ):
        stored(folder, **changed)
    assert held(folder) == before


@pytest.mark.parametrize("name", ["weights", "torch", "chaoslib"])
def test_a_set_of_other_weights_or_versions_is_another_set(small, tmp_path, name):
    folder = tmp_path / "set"
    sidecar = stored(folder)
    beside(folder).write_text(json.dumps(sidecar | {name: "0.1"}))
    before = held(folder)
    with pytest.raises(ValueError, match=f"describes scenarios with another {name}"):
        stored(folder)
    assert held(folder) == before


@pytest.mark.parametrize("shard", [0, -1000, 1, 500, 999, 1500, 1000.0, 2.5, True, "1000", None])
def test_a_shard_is_a_multiple_of_the_chunk(tmp_path, shard):
    with pytest.raises(ValueError, match=f"shard is {shard!r}: use a multiple of 1000, in whole numbers"):
        stored(tmp_path / "set", shard=shard)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(("changed", "message"), REFUSED)
def test_nothing_is_written_when_a_request_is_refused(small, tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        stored(tmp_path / "set", **changed)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(("changed", "message"), NOTHING_ASKED)
def test_nothing_is_written_when_nothing_is_asked(small, tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        stored(tmp_path / "set", **changed)
    assert not (tmp_path / "set").exists()


def test_a_shard_that_was_changed_is_not_declared_right(small, tmp_path):
    folder = tmp_path / "set"
    before = stored(folder)
    (folder / "scenarios-00001.parquet").write_bytes(b"changed")
    try:
        after = stored(folder)
    except (ValueError, RuntimeError) as fault:
        assert "scenarios-00001.parquet" in str(fault)
    else:
        assert after["files"] == before["files"]
        assert files.sha256(folder / "scenarios-00001.parquet") == after["files"]["scenarios-00001.parquet"]


def test_shards_that_no_sidecar_describes_are_not_taken_over(small, tmp_path):
    folder = tmp_path / "set"
    stored(folder)
    beside(folder).unlink()
    before = held(folder)
    with pytest.raises(ValueError, match=r"holds scenarios that no set\.json beside it describes: choose an empty folder"):
        stored(folder, vix=60.0)
    assert held(folder) == before


@pytest.mark.parametrize(
    "content",
    [
        b"", b'{"vix": 25.0, "n', b"null", b"3", b"[1, 2]", b"{}", b'{"name": "mine"}', b'{"vix": "\xe9"}',
        b'{"files": [], "finished_utc": null}', b'{"files": {}, "finished_utc": 5}',
    ],
)  # fmt: skip
def test_a_damaged_sidecar_is_named_and_nothing_is_touched(small, tmp_path, content):
    folder = tmp_path / "set"
    stored(folder)
    (folder / "scenarios-00001.parquet").unlink()
    beside(folder).write_bytes(content)
    before = held(folder)
    message = (
        r"set\.json was cut off or describes no scenarios: choose another folder, or delete this file and its scenarios"
    )
    with pytest.raises(ValueError, match=message) as fault:
        stored(folder)
    assert "\n" not in str(fault.value)
    assert held(folder) == before


def test_a_shard_alone_says_what_was_asked(small, tmp_path):
    sidecar = stored(tmp_path / "set")
    shards = sorted((tmp_path / "set").glob("*.parquet"))
    elsewhere = Path(shutil.copy(shards[1], tmp_path / "alone.parquet"))
    said = json.loads(parquet.read_schema(elsewhere).metadata[b"scenarios"])
    assert said == {key: value for key, value in sidecar.items() if key not in ("files", "finished_utc")}
    assert (said["vix"], said["seed"], said["model"], said["unit"]) == (25.0, 6, "cond_norm", "daily log-returns, fractions")
    assert said["weights"]["source_sha256"]
    frame = pd.read_parquet(elsewhere)
    assert list(frame.columns) == ["scenario", "day_1", "day_2", "day_3"]
    assert list(frame["scenario"]) == [*range(20, 40)]


def test_equal_requests_make_equal_files(small, tmp_path, monkeypatch):
    stored(tmp_path / "one")
    later = types.SimpleNamespace(now=lambda _: datetime(2040, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(scenarios, "datetime", later)
    assert stored(tmp_path / "deep" / "other")["finished_utc"].startswith("2040")
    assert shards_of(tmp_path / "one") == shards_of(tmp_path / "deep" / "other")


def test_a_folder_of_shards_is_one_table(small, tmp_path):
    stored(tmp_path / "set")
    frame = pd.read_parquet(tmp_path / "set")
    np.testing.assert_array_equal(frame["scenario"], np.arange(50))
    assert dataset.dataset(tmp_path / "set").count_rows() == 50


@pytest.mark.parametrize("lost", [[], ["scenarios-00001.parquet"]], ids=["finished", "cut off"])
def test_a_set_with_its_sidecar_inside_goes_on_with_it_beside(small, tmp_path, lost):
    """As an earlier version wrote it, whose shards had no metadata."""
    folder = tmp_path / "set"
    stored(folder)
    whole, sidecar = shards_of(folder), json.loads(beside(folder).read_text())
    for path in folder.glob("*.parquet"):
        parquet.write_table(parquet.read_table(path).replace_schema_metadata(None), path)
    plain = shards_of(folder)
    known = {path.name: files.sha256(path) for path in folder.glob("*.parquet") if path.name not in lost}
    beside(folder).unlink()
    files.write(folder / "_scenarios.json", sidecar | {"files": known, "finished_utc": None if lost else "2020-01-01"})
    for name in lost:
        (folder / name).unlink()
    before = held(folder)
    with pytest.raises(ValueError, match=r"_scenarios\.json describes scenarios with another vix: choose another folder"):
        stored(folder, vix=26.0)
    assert held(folder) == before
    stored(folder)
    assert shards_of(folder) == {name: (whole if name in lost else plain)[name] for name in plain}
    assert held(folder).keys() == {"set.json", *plain}
    assert len(pd.read_parquet(folder)) == 50


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_call_left_is_removed_and_nothing_else(small, tmp_path, dead):
    folder = tmp_path / "set"
    stored(folder)
    (folder / "scenarios-00002.parquet").unlink()
    left = [folder / f".scenarios-0000{k}.parquet.{process}.partial" for k in (1, 2) for process in (dead, os.getpid())]
    left.append(tmp_path / f".set.json.{dead}.partial")
    others = [folder / f".scenarios-00001.parquet.{os.getppid()}.partial", tmp_path / f".set.json.{os.getppid()}.partial"]
    others += [folder / f".mine.parquet.{dead}.partial", tmp_path / f".other.json.{dead}.partial", folder / ".notes.partial"]
    for path in (*left, *others):
        path.write_bytes(b"half")
    with pytest.raises(ValueError, match="another seed"):
        stored(folder, seed=7)
    assert all(path.exists() for path in (*left, *others))
    stored(folder)
    assert not any(path.exists() for path in left)
    assert all(path.read_bytes() == b"half" for path in others)


@pytest.mark.parametrize("folder", [None, 45, "", b"set", ["set"]], ids=repr)
def test_a_folder_is_a_path(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^folder is .*: give the path of a folder"):
        scenarios.to_parquet(folder, **ASKED | {"shard": 1000})
    assert not any(tmp_path.iterdir())


def test_a_folder_is_no_file_and_not_the_root(tmp_path):
    (tmp_path / "set").write_text("mine")
    for folder in (tmp_path / "set", Path(tmp_path.anchor)):
        with pytest.raises(ValueError, match=r"^folder is .*: give the path of a folder of its own, which need not exist"):
            stored(folder, shard=1000)
    assert (tmp_path / "set").read_text() == "mine"


@pytest.mark.parametrize("here", [".", "../set", "deep/.."])
def test_the_working_directory_may_be_the_folder(small, tmp_path, monkeypatch, here):
    (tmp_path / "set/deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "set")
    assert scenarios.to_parquet(here, **ASKED | {"n": 5}).samefile(tmp_path / "set.json")
    assert [path.name for path in Path.cwd().glob("*.parquet")] == ["scenarios-00000.parquet"]


def test_whole_numbers_of_numpy_are_whole_numbers(small, tmp_path):
    asked = {"n": np.int64(50), "seed": np.uint8(6), "days": np.int16(3), "shard": np.int32(20), "vix": np.float32(25)}
    sidecar = stored(tmp_path / "set", **asked)
    assert sidecar["files"] == stored(tmp_path / "plain")["files"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_set_of_any_size_is_written_a_few_chunks_at_a_time(small, tmp_path, monkeypatch, threads, workers):
    real, chunks, alive = scenarios.chain, [], []

    def counting(*args, **options):
        alive.append(sum(each() is not None for each in chunks))
        chunk = real(*args, **options)
        chunks.append(weakref.ref(chunk))
        return chunk

    monkeypatch.setattr(scenarios, "chain", counting)
    threads(workers)
    stored(tmp_path / "set", n=810, shard=400)
    assert len(chunks) == 20 + 20 + 1
    assert max(alive) <= 2 * workers + 1  # made ahead, and the one that is being written
    for path in (tmp_path / "set").glob("*.parquet"):
        groups = parquet.read_metadata(path)
        assert all(groups.row_group(k).num_rows <= small for k in range(groups.num_row_groups))


@pytest.mark.parametrize("workers", [2, 5])
def test_chunks_made_side_by_side_are_those_made_one_after_another(small, tmp_path, threads, workers):
    options = {"n": 130, "days": 60, "seed": 2}
    alone = scenarios.draw(25, **options)
    stored(tmp_path / "alone", **options)
    threads(workers)
    np.testing.assert_array_equal(scenarios.draw(25, **options), alone)
    stored(tmp_path / "beside", **options)
    assert shards_of(tmp_path / "alone") == shards_of(tmp_path / "beside")


def test_the_first_chunk_does_not_wait_for_the_others(small, monkeypatch):
    calls = []
    monkeypatch.setattr(scenarios, "chain", lambda *_, **options: calls.append(options["seed"]) or np.zeros((small, 2)))
    chunks = scenarios.chunks(scenarios.published(), 25, n=100_000, days=2, seed=0)
    assert next(chunks).shape == (small, 2)
    chunks.close()
    assert len(calls) <= 2 * torch.get_num_threads()


def test_every_thread_keeps_its_number_of_torch_threads(small, tmp_path, monkeypatch, threads):
    threads(3)
    real, inside = scenarios.chain, []

    def counting(*args, **options):
        inside.append(torch.get_num_threads())
        return real(*args, **options)

    monkeypatch.setattr(scenarios, "chain", counting)
    with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(1) as idle, ThreadPoolExecutor(1) as between:
        early.submit(torch.get_num_threads).result()
        idle.submit(int).result()  # runs already, but has not used torch yet
        parts = scenarios.chunks(scenarios.published(), 25, n=130, days=2, seed=0)
        next(parts)
        assert between.submit(torch.get_num_threads).result() == 3  # while scenarios are being drawn
        parts.close()
        scenarios.draw(25, n=130)
        stored(tmp_path / "set")
        assert set(inside) == {1}
        with ThreadPoolExecutor(1) as later:
            pools = {"early": early, "idle": idle, "between": between, "later": later}
            numbers = {name: pool.submit(torch.get_num_threads).result() for name, pool in pools.items()}
    assert numbers | {"main": torch.get_num_threads()} == dict.fromkeys([*pools, "main"], 3)


def test_sampling_imports_nothing_that_draws_figures_or_reads_params(root):
    code = "import sys; from chaoslib.stress import scenarios; scenarios.draw(30, n=2); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "seaborn", "yaml", "IPython", "arch"}


# Weights


def test_the_shipped_files_are_those_that_the_list_describes():
    known = json.loads((scenarios.WEIGHTS / "weights.json").read_text())["models"]
    assert list(known) == MODELS
    described = {f"{model}/{name}": digest for model in known for name, digest in known[model]["files"].items()}
    shipped = {str(path.relative_to(scenarios.WEIGHTS)): path for path in scenarios.WEIGHTS.rglob("*") if path.is_file()}
    assert set(shipped) == {"weights.json", *described}
    assert {name: files.sha256(shipped[name]) for name in described} == described


def test_the_shipped_files_are_light():
    sizes = {path: path.stat().st_size for path in scenarios.WEIGHTS.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= 5.05e6
    assert sum(size for path, size in sizes.items() if path.name != "weights.json") <= 5.0e6


@pytest.mark.parametrize("model", MODELS)
def test_the_shipped_weights_come_from_the_published_run(root, model):
    nodes = json.loads((root / "figures/paper/run_metadata.json").read_text())["nodes"]
    known = json.loads((scenarios.WEIGHTS / "weights.json").read_text())["models"][model]
    assert known["node"] == f"seed0/06_diffusion.{model.removeprefix('ldm_')}"
    assert known["source_sha256"] == nodes[known["node"]]["outputs"]["model.safetensors"]


@pytest.mark.parametrize("model", MODELS)
def test_the_shipped_weights_are_in_half_precision_and_without_an_encoder(model):
    tensors = load_file(scenarios.WEIGHTS / model / "model.safetensors")
    types_of = {name: tensor.dtype for name, tensor in tensors.items()}
    assert {name for name in types_of if "encoder" in name} == set()
    assert {types_of.pop("latents.mean"), types_of.pop("latents.std")} == {torch.float32}
    assert set(types_of.values()) == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.parametrize(
    ("model", "name", "at", "vix"),
    [
        ("cond_norm", "cond_ldm_normalised", "start", 20),
        ("cond_norm", "cond_ldm_normalised", "start", 60),
        ("cond_start", "cond_ldm", "start", 20),
        ("cond_end", "cond_ldm", "end", 40),
    ],
)
def test_the_shipped_weights_make_the_volatility_that_is_published(root, model, name, at, vix):
    """The row of seed 0 of the table `volatility`, made by the run's own weights; those of other seeds are elsewhere."""
    table = pd.read_csv(root / "figures/paper/tables/volatility.csv")
    table = table[(table["model"] == name) & (table["vix_at"] == at) & (table["vix"] == vix)].set_index("seed")
    generator = scenarios.published(model)
    assert generator.vix_at == at
    samples = generator.sample(3000, vix=vix, seed=0, steps=50, sampler="ddim")
    statistics = np.array([samples.std(dtype=float), np.median(metrics.realised_vol(samples))])
    apart = np.abs(statistics / table[["std", "median_rv"]] - 1).max(axis=1)
    assert apart[0] < 0.0005  # half precision moves it by less than a fifth of that
    assert (apart.drop(0) > 0.002).all()


def test_the_shipped_unconditional_weights_make_the_windows_that_are_published(root):
    """The row of seed 0 of the table `unconditional`, with the sampler of the run, which few steps only approach."""
    table = pd.read_csv(root / "figures/paper/tables/unconditional.csv").query("model == 'ldm_post' and split == 'train'")
    samples = scenarios.published("ldm_post").sample(5000, seed=0, sampler="ddim", steps=200)
    statistics = {"std": samples.std(dtype=float), "min": samples.min(), "max": samples.max()}
    statistics |= {"q01_gen": np.quantile(samples, 0.01), "mdd_mean": metrics.max_drawdown(samples).mean()}
    apart = np.abs(table.set_index("seed")[[*statistics]] / pd.Series(statistics) - 1).max(axis=1)
    assert apart[0] < 0.0005
    assert (apart.drop(0) > 0.01).all()


@pytest.mark.parametrize("vix", [15, 45])
def test_the_few_steps_that_are_shipped_follow_many_of_first_order(vix):
    model = scenarios.published()
    few, many, short = (model.sample(40, vix=vix, **o) for o in ({}, {"sampler": "ddim", "steps": 200}, {"steps": 10}))
    assert np.sqrt(np.mean((few - many) ** 2)) < 0.01 * many.std()
    assert np.sqrt(np.mean((short - many) ** 2)) > 0.01 * many.std()  # so the steps are not wasted


def test_the_shipped_law_of_the_vix_is_that_of_the_training_windows():
    prices, _ = data.load_prices("sp500_logret")
    cut = windows.cut_windows(windows.split_by_date(data.log_returns(prices))["train"])
    law = fit_vix_law(cut["windows"], cut["vix_start"], cut["vix_end"]).to_dict()
    shipped = json.loads((scenarios.WEIGHTS / "weights.json").read_text())["vix_law"]
    assert law.pop("residual") == pytest.approx(shipped.pop("residual"), abs=1e-5)
    assert law == pytest.approx(shipped, abs=1e-6)


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_changed_file_of_weights_is_refused_and_the_others_still_serve(elsewhere, name):
    content = bytearray((elsewhere / "cond_norm" / name).read_bytes())
    content[-2] ^= 1
    (elsewhere / "cond_norm" / name).write_bytes(content)
    message = rf"chaoslib/stress/weights/cond_norm/{name} was changed: install the package again"
    for ask in (scenarios.published, lambda: scenarios.draw(20, n=2)):
        with pytest.raises(ValueError, match=message):
            ask()
    assert scenarios.published("cond_start").sample(2, vix=20).shape == (2, 50)


def test_weights_without_an_encoder_sample_and_say_that_they_do_nothing_else():
    model = scenarios.published("cond_start")
    real = model.sample(3, vix=20)
    for ask in (model.encode, model.reconstruct):
        with pytest.raises(ValueError, match="no encoder, they sample only: load the model of a finished run"):
            ask(real, 20.0)


def saved(model: generate.LatentGenerator, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in model.files().items():
        files.write(folder / name, content)
    return folder


def test_weights_without_an_encoder_can_be_kept_and_loaded_again(tmp_path):
    model = scenarios.published()
    again = generate.load(saved(model, tmp_path / "copy"))
    assert (again.sampler, again.steps, again.condition) == ("dpm", 25, model.condition)
    np.testing.assert_array_equal(again.sample(4, vix=33), model.sample(4, vix=33))


@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_a_model_samples_as_it_says_unless_told_otherwise(tmp_path, sampler):
    model = dataclasses.replace(scenarios.published(), sampler=sampler, steps=8)
    loaded = generate.load(saved(model, tmp_path / "model"))
    assert loaded.sampler == sampler
    samples = loaded.sample(6, vix=20, seed=1)
    others = {name: loaded.sample(6, vix=20, seed=1, sampler=name) for name in diffusion.SAMPLERS}
    assert [name for name in others if np.array_equal(others[name], samples)] == [sampler]


def test_a_model_saved_before_there_was_a_choice_samples_by_ddim(tmp_path):
    folder = saved(dataclasses.replace(scenarios.published(), sampler="dpm", steps=8), tmp_path / "model")
    shapes = json.loads((folder / "model.json").read_text())
    del shapes["sampler"]
    (folder / "model.json").write_text(json.dumps(shapes))
    samples = generate.load(folder).sample(6, vix=20)
    np.testing.assert_array_equal(samples, scenarios.published().sample(6, vix=20, sampler="ddim", steps=8))


def test_a_model_with_an_encoder_keeps_it(tmp_path):
    torch.manual_seed(0)
    model = generate.LatentGenerator(vae.GaussianVAE(vae.VAEShape(10, 3, 8)), windows.Scaler(10, 0.0, 0.01, 3.0, 0.4))
    loaded = generate.load(saved(model, tmp_path / "model"))
    real = model.sample(5)
    for ours, theirs in zip(loaded.encode(real), model.encode(real), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


# Publishing weights


def untrained(conditional: bool, seed: int) -> generate.LatentGenerator:
    """A latent diffusion of 10-day windows with random weights, none of them zero."""
    torch.manual_seed(seed)
    dims = {"latent_dim": 3, "hidden": 16, "cond_dim": int(conditional)}
    decoder = vae.GaussianVAE(vae.VAEShape(seq_len=10, **dims)).eval()
    denoiser = diffusion.Denoiser(diffusion.DenoiserShape(blocks=1, timesteps=100, **dims)).eval()
    with torch.no_grad():
        for weight in denoiser.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    latents = vae.LatentScaler("post", torch.tensor([0.1, 1e-6, -3.0]), torch.tensor([0.5, 1e-5, 2.0]))
    condition = VIXCondition("start", 0.7, 20.0, 10.0, 60.0) if conditional else None
    scaler = windows.Scaler(10, 1e-4, 0.012, 3.0, 0.4)
    return generate.LatentGenerator(decoder, scaler, denoiser, latents, "post", 50, condition)


@pytest.fixture
def finished_run(tmp_path, root):
    """(finished nodes, models by the name that they are shipped under) of a run of seed 3."""
    finished, models = {}, {}
    for number, (name, node) in enumerate(publish.SHIPPED.items()):
        models[name] = untrained(name.startswith("cond"), number)
        stage, variant = node.split(".")
        run = runs.Run(stage, {"RUN_DIR": str(tmp_path / "run"), "SEED": 3, "VARIANT": variant}, root)
        run.save(models[name].files())
        finished[node, 3] = artefacts.Artefact(run.folder)
    law = VIXLaw(1.0, 0.5, 0.3, -1.0, [-0.1, 0.0, 0.1])
    run = runs.Run("11_stress_test", {"RUN_DIR": str(tmp_path / "run")}, root)
    run.save({"vix_law.json": law.to_dict()})
    finished["11_stress_test", 0] = artefacts.Artefact(run.folder)
    return finished, models


def test_published_weights_are_those_of_the_run_in_half_precision_without_their_encoder(finished_run, tmp_path):
    finished, models = finished_run
    listing = publish.publish_weights(finished, 3, tmp_path / "weights")
    assert list(listing) == list(models) == MODELS
    for name, model in models.items():
        source = load_file(finished[publish.SHIPPED[name], 3].folder / "model.safetensors")
        shipped = load_file(tmp_path / "weights" / name / "model.safetensors")
        assert set(shipped) == {key for key in source if not key.startswith("vae.encoder.")}
        for key, value in shipped.items():
            if key.startswith("latents."):  # two numbers a latent: kept as they are
                torch.testing.assert_close(value, source[key], rtol=0, atol=0)
            else:
                torch.testing.assert_close(value, source[key].to(torch.float16), rtol=0, atol=0)
        loaded = generate.load(tmp_path / "weights" / name)
        assert (loaded.sampler, loaded.steps, loaded.convention) == ("dpm", 25, "post")
        assert (loaded.condition, loaded.scaler) == (model.condition, model.scaler)
        options = {"vix": 30.0} if model.condition else {}
        samples, expected = loaded.sample(50, **options), model.sample(50, sampler="dpm", steps=25, **options)
        np.testing.assert_allclose(samples, expected, atol=0.01 * expected.std())


def test_published_weights_serve_where_the_package_looks_for_them(finished_run, elsewhere):
    finished, models = finished_run
    listing = publish.publish_weights(finished, 3, elsewhere)
    assert json.loads((elsewhere / "weights.json").read_text())["models"] == listing
    for name in models:
        node = publish.SHIPPED[name]
        assert listing[name]["node"] == f"seed3/{node}"
        assert listing[name]["source_sha256"] == files.sha256(finished[node, 3].folder / "model.safetensors")
        assert scenarios.published(name).scaler.seq_len == 10  # their hashes are checked on the way
    samples = scenarios.draw(20, n=5, days=25)
    assert samples.shape == (5, 25)
    assert np.isfinite(samples).all()


def test_the_law_of_the_vix_is_published_with_the_weights(finished_run, tmp_path):
    finished, _ = finished_run
    publish.publish_weights(finished, 3, tmp_path / "weights")
    written = json.loads((tmp_path / "weights/weights.json").read_text())["vix_law"]
    assert VIXLaw(**written) == VIXLaw(1.0, 0.5, 0.3, -1.0, [-0.1, 0.0, 0.1])


def test_a_file_of_weights_that_holds_an_encoder_is_loaded_with_it_whatever_its_precision(tmp_path):
    model = untrained(conditional=True, seed=9)
    folder = saved(model, tmp_path / "model")
    halves = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors")
    loaded = generate.load(folder)
    assert {weight.dtype for weight in loaded.decoder.parameters()} == {torch.float32}
    assert loaded.encode(model.sample(2, vix=20), 20.0)[0].shape == (2, 3)
