"""Splits, windows and scaler: no day is shared and nothing after the training span reaches training."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoslib.market import windows
from chaoslib.market.data import log_returns

L = 5


def numbered(days: int) -> pd.DataFrame:
    """Returns whose values tell their position: day i has log_return i, vix 1000 + i and vix_previous 999 + i."""
    place = np.arange(days)
    dates = pd.date_range("2000-01-03", periods=days, freq="B")
    return pd.DataFrame({"date": dates, "log_return": place * 1.0, "vix": 1000.0 + place, "vix_previous": 999.0 + place})


def prepare(prices: pd.DataFrame) -> tuple[windows.Scaler, dict[str, dict[str, np.ndarray]]]:
    """The chain from prices to scaler and scaled windows of each split."""
    spans = windows.split_by_date(log_returns(prices), seq_len=L)
    scaler = windows.fit_scaler(spans["train"], seq_len=L)
    cuts = {name: windows.cut_windows(span, seq_len=L) for name, span in spans.items()}
    for cut in cuts.values():
        cut["scaled"] = scaler.scale(cut["windows"])
    return scaler, cuts


@pytest.fixture
def prices() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dates = pd.date_range("2010-01-04", periods=201, freq="B")
    close = 1000 * np.exp(np.cumsum(rng.normal(0, 0.01, 201)))
    return pd.DataFrame({"date": dates, "close": close, "vix": np.exp(rng.normal(3, 0.3, 201))})


# Splits


@given(days=st.integers(40, 400), train=st.floats(0.2, 0.8), rest=st.floats(0.1, 0.9), seq_len=st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_splits_share_no_day_and_windows_stay_inside(days, train, rest, seq_len):
    returns, val = numbered(days), (1 - train) * rest
    shortest = min(np.diff([0, int(train * days), int((train + val) * days), days]))
    if shortest < seq_len:
        with pytest.raises(ValueError, match="span has"):
            windows.split_by_date(returns, train=train, val=val, seq_len=seq_len)
        return
    spans = windows.split_by_date(returns, train=train, val=val, seq_len=seq_len)
    assert list(spans) == ["train", "val", "test"]
    pd.testing.assert_frame_equal(pd.concat(spans.values(), ignore_index=True), returns)
    for span in spans.values():
        cut = windows.cut_windows(span, seq_len=seq_len)
        own_days = span["log_return"].to_numpy()
        np.testing.assert_array_equal(cut["first_day"], cut["windows"][:, 0])  # a day's return is its position
        assert cut["windows"].shape == (len(span) - seq_len + 1, seq_len)
        np.testing.assert_array_equal(
            cut["windows"], own_days[0] + np.add.outer(np.arange(len(cut["windows"])), range(seq_len))
        )
        assert cut["windows"].max() == own_days[-1]


@pytest.mark.parametrize(
    ("returns", "shares", "message"),
    [
        (numbered(100).iloc[::-1], {}, "ascend"),
        (numbered(100).iloc[[*range(50), 49, *range(50, 100)]], {}, "without repeats"),
        (numbered(100), {"train": 0.0}, "shares"),
        (numbered(100), {"val": 0.0}, "shares"),
        (numbered(100), {"train": 0.8, "val": 0.2}, "shares"),
        (numbered(6), {"train": 0.5, "val": 0.2}, "train span has 3 days, less than a window of 5"),
        (numbered(100), {"val": 0.04}, "val span has 4 days"),
        (numbered(100), {"train": 0.86, "val": 0.1}, "test span has 4 days"),
    ],
    ids=["unsorted", "repeated", "no train", "no val", "no test", "short train", "short val", "short test"],
)
def test_split_refuses(returns, shares, message):
    with pytest.raises(ValueError, match=message):
        windows.split_by_date(returns, seq_len=L, **shares)


def test_default_shares():
    assert [len(span) for span in windows.split_by_date(numbered(1000)).values()] == [700, 150, 150]


# Windows


def test_window_holds_the_days_it_names():
    span = numbered(12)
    cut = windows.cut_windows(span, seq_len=L)
    first = np.arange(8)  # 12 - 5 + 1 windows, one day apart
    np.testing.assert_array_equal(cut["windows"], np.add.outer(first, np.arange(L)))
    dates = span["date"].to_numpy(dtype="datetime64[D]")
    np.testing.assert_array_equal(cut["start_date"], dates[first])
    np.testing.assert_array_equal(cut["end_date"], dates[first + L - 1])
    assert cut["windows"].dtype == np.float32
    cut["windows"][0] = -1.0
    np.testing.assert_array_equal(cut["windows"][1], np.arange(1, L + 1))  # windows own their values


def test_vix_of_a_window_is_known_before_it_and_at_its_end(prices):
    vix = prices.set_index("date")["vix"]
    _, cuts = prepare(prices)
    for cut in cuts.values():
        np.testing.assert_array_equal(cut["vix_start"], vix.shift(1)[cut["start_date"]])
        np.testing.assert_array_equal(cut["vix_end"], vix[cut["end_date"]])


def test_vix_by_day_is_that_of_the_windows(prices):
    spans = windows.split_by_date(log_returns(prices), seq_len=L)
    for span in spans.values():
        cut = windows.cut_windows(span, seq_len=L)
        by_day = np.concatenate([cut["vix_start"][1:], cut["vix_end"][-L:]])
        np.testing.assert_array_equal(span["vix"], by_day)


# Leaks


def test_validation_and_test_days_leave_training_untouched(prices):
    scaler, cuts = prepare(prices)
    later = prices["date"] > pd.Timestamp(cuts["train"]["end_date"][-1])
    assert later.sum() == 60
    changed = prices.assign(
        close=prices["close"].where(~later, prices["close"] ** 1.5), vix=prices["vix"].where(~later, 80.0)
    )
    changed_scaler, changed_cuts = prepare(changed)
    assert changed_scaler == scaler
    for name, values in cuts["train"].items():
        np.testing.assert_array_equal(changed_cuts["train"][name], values)
    for split in ("val", "test"):
        assert not np.isclose(changed_cuts[split]["windows"], cuts[split]["windows"]).any()


@pytest.mark.parametrize(("name", "statistic"), [("close", "mean"), ("vix", "log_vix_mean")])
def test_every_training_day_counts_in_the_scaler(prices, name, statistic):
    scaler, _ = prepare(prices)
    for day in (0, 70, 139):  # 139: the last day whose VIX conditions a training return
        changed, _ = prepare(prices.assign(**{name: prices[name].where(prices.index != day, 2 * prices[name])}))
        assert changed != scaler
    first_day, _ = prepare(prices.assign(**{name: prices[name].where(prices.index != 0, 2 * prices[name])}))
    shift = {"close": -np.log(2) / 140, "vix": np.log(2) / 140}[name]
    assert getattr(first_day, statistic) - getattr(scaler, statistic) == pytest.approx(shift)


# Scaler


def test_scaler_closed_form():
    span = pd.DataFrame({"log_return": [0.01, 0.03, -0.01, 0.01], "vix_previous": np.exp([2.0, 4.0, 2.0, 4.0])})
    scaler = windows.fit_scaler(span, seq_len=2)
    assert scaler.to_dict() == pytest.approx(
        {"seq_len": 2, "mean": 0.01, "std": np.sqrt(2) / 100, "log_vix_mean": 3.0, "log_vix_std": 1.0}
    )


def test_scaler_round_trip(prices):
    scaler, cuts = prepare(prices)
    assert windows.Scaler(**scaler.to_dict()) == scaler
    for cut in cuts.values():
        np.testing.assert_allclose(scaler.unscale(cut["scaled"]), cut["windows"], atol=1e-8)
    train = scaler.scale(log_returns(prices)["log_return"].to_numpy()[:140])
    assert train.dtype == np.float32
    assert train.mean() == pytest.approx(0, abs=1e-6)
    assert train.std() == pytest.approx(1, abs=1e-6)


def test_vix_is_standardised_in_its_logarithm():
    scaler = windows.Scaler(L, 0.0, 0.01, 3.0, 0.5)
    values = scaler.standardise_vix(np.exp([2.0, 3.0, 4.5]))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [[-2.0], [0.0], [3.0]], atol=1e-6)


# Episodes and the summary


@pytest.mark.parametrize(
    ("starts", "episodes"),
    [
        ([], 0),
        ([7], 1),
        ([7, 8, 9], 1),
        ([0, L - 1], 1),
        ([0, L], 2),
        ([0, L - 1, 2 * L - 2], 2),  # a chain of overlapping windows: its ends share no day
        (range(L), 1),
        (range(10 * L), 10),
        ([0, 1, 9, 20, 21], 3),
    ],
    ids=["empty", "one", "adjacent", "share a day", "share none", "chain", "first days", "long crisis", "three"],
)
def test_count_episodes(starts, episodes):
    assert windows.count_episodes(np.array(starts, dtype=int), seq_len=L) == episodes


@given(starts=st.sets(st.integers(0, 40), max_size=9), seq_len=st.integers(1, 9))
def test_episodes_are_the_largest_number_of_windows_that_share_no_day(starts, seq_len):
    starts = sorted(starts)
    apart = [
        len(some)
        for size in range(len(starts) + 1)
        for some in itertools.combinations(starts, size)
        if np.diff(some).min(initial=seq_len) >= seq_len
    ]
    assert windows.count_episodes(np.array(starts, dtype=int), seq_len=seq_len) == max(apart)


def test_windows_on_the_two_sides_of_a_seam_are_two_episodes():
    spans = windows.split_by_date(numbered(100), seq_len=L)
    cuts = [windows.cut_windows(span, seq_len=L) for span in spans.values()]
    for before, after in itertools.pairwise(cuts):
        seam = np.array([before["first_day"][-1], after["first_day"][0]])
        assert windows.count_episodes(seam, seq_len=L) == 2
    everything = np.concatenate([cut["first_day"] for cut in cuts])
    assert windows.count_episodes(everything, seq_len=L) == 70 // L + 15 // L + 15 // L


def test_stress_subset_includes_the_threshold():
    np.testing.assert_array_equal(windows.stress_subset(np.array([19.99, 20.0, 35.0, 12.0]), 20.0), [1, 2])


@pytest.mark.parametrize("threshold", [20.0, 12.0, 0.0])
def test_stress_subset_may_be_as_small_as_the_least(threshold):
    vix = np.array([19.99, 20.0, 35.0, 12.0])
    stressed = windows.stress_subset(vix, threshold)
    np.testing.assert_array_equal(windows.stress_subset(vix, threshold, least=len(stressed)), stressed)
    with pytest.raises(ValueError, match="windows end at a VIX of"):
        windows.stress_subset(vix, threshold, least=len(stressed) + 1)


def test_too_little_stress_says_how_much_there_is_and_what_to_do():
    message = (
        r"^2 of 4 windows end at a VIX of 20 or more, 3 are needed: lower the threshold \(the highest VIX is 35\.0\) "
        "or bring a history with more stress$"
    )
    with pytest.raises(ValueError, match=message):
        windows.stress_subset(np.array([19.99, 20.0, 35.0, 12.0]), 20.0, least=3)


def test_no_stress_is_an_answer_where_none_is_needed():
    assert len(windows.stress_subset(np.array([19.0, 12.0]), 20.0)) == 0


def test_summary_of_a_tiny_span():
    span = numbered(8).assign(vix=[40.0, 20.0, 12.0, 30.0, 14.0, 16.0, 25.0, 15.0])
    row = windows.summarise_split("val", span, windows.cut_windows(span, seq_len=2), seq_len=2)
    assert row == {
        "split": "val",
        "start": "2000-01-03",
        "end": "2000-01-12",
        "n_days": 8,
        "n_windows": 7,  # they end on 20, 12, 30, 14, 16, 25, 15
        "n_independent": 4,
        "vix_median": 16.0,
        "share_vix_ge_20": 3 / 7,
        "n_episodes_vix_ge_20": 3,  # windows 0, 2 and 5 share no day
    }
