"""Splits, windows and scaler: no day is shared and nothing after the training span reaches training."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoslib.market import windows
from chaoslib.market.data import log_returns
from chaoslib.market.vix import REACH, VIXCondition, VIXLaw, fit_vix_condition, fit_vix_exponent, fit_vix_law, vix_predictors

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
    told = scaler.standardise_vix(np.exp([2.0, 3.0, 4.5]))
    assert told.dtype == np.float32
    np.testing.assert_allclose(told, [[-2.0], [0.0], [3.0]], atol=1e-6)


# The VIX as a condition


def following(vix: np.ndarray, exponent: float, *, level: float = 0.003, seed: int = 0) -> np.ndarray:
    """(N, 50) windows whose realised volatility is exactly level * vix^exponent."""
    noise = np.random.default_rng(seed).standard_normal((len(vix), 50))
    noise /= np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
    return level * vix[:, None] ** exponent * noise


@pytest.fixture
def condition() -> VIXCondition:
    return VIXCondition("start", 0.8, typical=20.0, lowest=10.0, highest=40.0)


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 0.8, 1.3])
def test_the_exponent_of_a_power_law_is_recovered(exponent):
    vix = np.geomspace(9, 80, 200)
    assert fit_vix_exponent(following(vix, exponent), vix) == pytest.approx(exponent, abs=1e-9)


def test_the_exponent_is_recovered_from_noisy_windows_in_any_unit():
    rng = np.random.default_rng(0)
    vix = np.exp(rng.normal(3, 0.4, 4000))
    made = 0.001 * vix[:, None] ** 0.7 * rng.standard_normal((4000, 50))
    found = fit_vix_exponent(made.astype(np.float32), vix)
    assert found == pytest.approx(0.7, abs=0.02)
    assert fit_vix_exponent(100 * made, 3 * vix) == pytest.approx(found, abs=1e-5)


def test_a_condition_describes_the_vix_of_the_training_windows():
    vix = np.array([10.0, 40.0, 20.0, 20.0])
    made = following(vix, 0.6)
    fitted = fit_vix_condition(made, vix, vix_at="start", normalise=True)
    assert fitted.to_dict() == pytest.approx(
        {"vix_at": "start", "exponent": 0.6, "typical": 20.0, "lowest": 10.0, "highest": 40.0}
        | dict(zip(("told_from", "told_to"), np.quantile(vix, [0.01, 0.99]), strict=True))
    )
    assert VIXCondition(**fitted.to_dict()) == fitted
    plain = fit_vix_condition(made, vix, vix_at="end", normalise=False)
    assert (plain.vix_at, plain.exponent) == ("end", 0.0)
    np.testing.assert_array_equal(plain.scale(vix), np.ones((4, 1)))


def test_normalised_networks_are_told_no_vix_that_is_rare_and_plain_ones_every_vix():
    vix = np.geomspace(10.0, 80.0, 1001)
    normalised, plain = (
        fit_vix_condition(following(vix, 0.6), vix, vix_at="start", normalise=flag) for flag in (True, False)
    )
    asked = np.array([8.0, 12.0, 30.0, 70.0, 80.0, 100.0])
    np.testing.assert_array_equal(plain.told(asked), asked)
    np.testing.assert_allclose(normalised.told(asked)[1:4], asked[1:4])
    assert normalised.told(asked)[[4, 5]].tolist() == [np.quantile(vix, 0.99)] * 2
    assert normalised.scale(asked)[5] > normalised.scale(asked)[4]  # the power law goes on


def test_an_unknown_anchor_names_the_known_ones():
    vix = np.array([10.0, 40.0])
    with pytest.raises(ValueError, match=r"'middle'.*'end' or 'start'"):
        fit_vix_condition(following(vix, 1.0), vix, vix_at="middle", normalise=False)


def test_scale_is_a_power_of_the_vix_that_is_one_where_it_is_typical(condition):
    scale = condition.scale(np.array([20.0, 40.0, 10.0]))
    assert scale.dtype == np.float32
    np.testing.assert_allclose(scale, [[1.0], [2**0.8], [0.5**0.8]], rtol=1e-6)


def test_boundaries_of_experience_and_of_reach(condition):
    at = {"lowest": 10.0, "highest": 40.0, "least": 10.0 / REACH, "most": 40.0 * REACH}
    vix = np.array([*at.values(), 9.99, 40.01, at["least"] - 0.01, at["most"] + 0.01])
    expected = [False, False, True, True, True, True, True, True]
    assert condition.extrapolated(vix).tolist() == expected
    assert condition.reachable(vix).tolist() == [True] * 6 + [False] * 2
    condition.check(vix[:6])


@pytest.mark.parametrize("vix", [7.5, 50.5, 0.0, -20.0, np.nan, np.inf])
def test_a_vix_out_of_reach_is_refused_with_the_range_and_what_to_do(condition, vix):
    message = rf"VIX {vix:g} is out of reach: .* 10\.00 to 40\.00, .* from 8\.00 to 50\.00\. Bring a longer history"
    with pytest.raises(ValueError, match=message):
        condition.check(np.array([20.0, vix]))


def test_the_nearest_vix_is_itself_within_reach_and_an_end_of_it_beyond(condition):
    vix = np.array([-3.0, 7.9, 8.0, 9.0, 20.0, 40.0, 45.0, 50.0, 50.1, 500.0])
    found = condition.nearest(vix)
    np.testing.assert_allclose(found, [8.0, 8.0, 8.0, 9.0, 20.0, 40.0, 45.0, 50.0, 50.0, 50.0])
    condition.check(found)
    np.testing.assert_array_equal(found[condition.reachable(vix)], vix[condition.reachable(vix)])  # to the bit


def test_standardised_windows_come_back(condition):
    scaler = windows.Scaler(50, 0.0004, 0.012, 3.0, 0.4)
    vix = np.geomspace(10, 40, 30)
    real = following(vix, 1.0).astype(np.float32)
    values, told = windows.standardise(real, scaler, condition, vix)
    assert (values.shape, told.shape) == ((30, 50), (30, 1))
    np.testing.assert_allclose(scaler.unscale(values) * condition.scale(vix), real, atol=1e-7)
    np.testing.assert_array_equal(told, scaler.standardise_vix(vix))


def test_without_a_condition_nothing_is_told_and_windows_are_only_scaled():
    scaler = windows.Scaler(50, 0.0004, 0.012, 3.0, 0.4)
    real = following(np.full(3, 20.0), 1.0)
    values, told = windows.standardise(real, scaler)
    assert told is None
    np.testing.assert_array_equal(values, scaler.scale(real))


def test_normalised_windows_are_equally_wild_at_every_vix():
    vix = np.geomspace(10, 60, 40)
    real = following(vix, 0.9)
    fitted = fit_vix_condition(real, vix, vix_at="start", normalise=True)
    values, _ = windows.standardise(real, windows.Scaler(50, 0.0, 0.01, 3.0, 0.4), fitted, vix)
    volatility = np.sqrt(np.mean(values**2, axis=1))
    np.testing.assert_allclose(volatility, volatility[0], rtol=1e-5)


# The law of the VIX at a window's end


def ending(recent: np.ndarray, *, before: float = 0.05, seed: int = 0) -> np.ndarray:
    """(N, 50) windows whose last 20 days have a root mean square of exactly `recent` (N,), the 30 before another."""
    noise = np.random.default_rng(seed).standard_normal((len(recent), 50))
    last = noise[:, 30:] / np.sqrt(np.mean(noise[:, 30:] ** 2, axis=1, keepdims=True))
    return np.concatenate([before * noise[:, :30], recent[:, None] * last], axis=1)


@pytest.fixture
def law() -> VIXLaw:
    return VIXLaw(1.0, 0.3, 0.5, -1.5, [-0.2, -0.1, 0.0, 0.3, 0.8])


def end_of(start: np.ndarray, recent: np.ndarray, made: np.ndarray) -> np.ndarray:
    """VIX at the end by the law of the fixture, without its residual, of windows (N, 50)."""
    return np.exp(1.0 - 1.5 * made[:, 30:].sum(axis=1)) * start**0.3 * recent**0.5


def test_the_law_of_the_vix_is_recovered_where_it_holds_exactly():
    rng = np.random.default_rng(1)
    start, recent = np.exp(rng.normal(3, 0.4, 300)), np.exp(rng.normal(-4.6, 0.5, 300))
    made = ending(recent)
    fitted = fit_vix_law(made.astype(np.float32), start, end_of(start, recent, made))
    assert (fitted.constant, fitted.start, fitted.vol, fitted.gain) == pytest.approx((1.0, 0.3, 0.5, -1.5), abs=1e-4)
    assert np.abs(fitted.residual).max() < 1e-5


def test_the_law_of_the_vix_is_recovered_under_noise_and_keeps_the_law_of_the_noise():
    rng = np.random.default_rng(2)
    start, recent = np.exp(rng.normal(3, 0.4, 20_000)), np.exp(rng.normal(-4.6, 0.5, 20_000))
    noise, made = rng.beta(2, 5, size=20_000) - 2 / 7, ending(recent)  # skewed, as the VIX is
    fitted = fit_vix_law(made, start, end_of(start, recent, made) * np.exp(noise))
    assert (fitted.constant, fitted.start, fitted.vol, fitted.gain) == pytest.approx((1.0, 0.3, 0.5, -1.5), abs=0.05)
    assert VIXLaw(**fitted.to_dict()) == fitted
    flat, level = ending(np.full(20_000, 0.01)), np.full(20_000, 20.0)
    drawn = np.log(fitted.draw(flat, level, rng=np.random.default_rng(3)) / end_of(level, 0.01, flat))
    assert drawn.std() == pytest.approx(noise.std(), rel=0.03)
    levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    np.testing.assert_allclose(np.quantile(drawn, levels), np.quantile(noise, levels), atol=0.01)


def test_draws_of_the_vix_are_linear_between_the_quantiles_of_the_residual(law):
    recent, start = np.full(40_000, 0.01), np.full(40_000, 20.0)
    made = ending(recent)
    drawn = np.log(law.draw(made, start, rng=np.random.default_rng(0)) / end_of(start, recent, made))
    assert (drawn.min(), drawn.max()) == pytest.approx((-0.2, 0.8), abs=1e-3)
    levels = [0.125, 0.25, 0.5, 0.625, 0.75, 0.875]
    np.testing.assert_allclose(np.quantile(drawn, levels), [-0.15, -0.1, 0.0, 0.15, 0.3, 0.55], atol=0.01)


def test_the_vix_drawn_follows_the_last_twenty_days_and_the_vix_before_alone(law):
    recent, start = np.geomspace(0.003, 0.04, 50), np.linspace(10, 60, 50)

    def drawn(made: np.ndarray, vix: np.ndarray) -> np.ndarray:
        return law.draw(made, vix, rng=np.random.default_rng(5))

    made = ending(recent)
    plain, fall = drawn(made, start), np.exp(3.0 * made[:, 30:].sum(axis=1))
    assert plain.shape == (50,)
    assert len(np.unique(plain / end_of(start, recent, made))) == 50  # each window has a residual of its own
    np.testing.assert_allclose(drawn(ending(recent, before=0.5), start), plain)
    np.testing.assert_allclose(drawn(made[:, 30:], start), plain)
    np.testing.assert_allclose(drawn(-made, start), fall * plain)  # a fall raises it where a gain had lowered it
    np.testing.assert_allclose(drawn(made, 2 * start), 2**0.3 * plain)
    assert not np.isclose(law.draw(made, start, rng=np.random.default_rng(6)), plain).any()


def test_the_twentieth_day_from_the_end_still_counts_and_the_one_before_not():
    made, start = ending(np.full(1, 0.01)), np.full(1, 20.0)
    for day, counts in ((29, False), (30, True), (49, True)):
        changed = made.copy()
        changed[0, day] += 0.1
        before, after = (vix_predictors(each, start)[0, 2:] for each in (made, changed))
        assert (before != after).tolist() == [counts, counts]


def test_days_without_a_move_give_a_vix_all_the_same(law):
    drawn = law.draw(np.zeros((3, 50), dtype=np.float32), np.full(3, 20.0), rng=np.random.default_rng(0))
    assert (np.isfinite(drawn) & (drawn > 0)).all()


# Episodes and the summary


@pytest.mark.parametrize(
    ("indices", "episodes"),
    [([], 0), ([7], 1), ([7, 8, 9], 1), ([0, L - 1], 1), ([0, L], 2), ([0, L - 1, 2 * L - 2], 1), ([0, 1, 9, 20, 21], 3)],
    ids=["empty", "one", "adjacent", "share a day", "share none", "chain", "three"],
)
def test_count_episodes(indices, episodes):
    assert windows.count_episodes(np.array(indices, dtype=int), seq_len=L) == episodes


@given(indices=st.sets(st.integers(0, 60)), seq_len=st.integers(1, 9))
def test_episodes_are_groups_of_windows_linked_by_shared_days(indices, seq_len):
    groups = []
    for days in (set(range(index, index + seq_len)) for index in indices):
        linked = [group for group in groups if group & days]
        groups = [group for group in groups if not group & days] + [days.union(*linked)]
    assert windows.count_episodes(np.array(sorted(indices), dtype=int), seq_len=seq_len) == len(groups)


def test_stress_subset_includes_the_threshold():
    np.testing.assert_array_equal(windows.stress_subset(np.array([19.99, 20.0, 35.0, 12.0]), 20.0), [1, 2])


@pytest.mark.parametrize("threshold", [20.0, 12.0, 0.0])
def test_stress_subset_may_be_as_small_as_the_least(threshold):
    vix = np.array([19.99, 20.0, 35.0, 12.0])
    found = windows.stress_subset(vix, threshold)
    np.testing.assert_array_equal(windows.stress_subset(vix, threshold, least=len(found)), found)
    with pytest.raises(ValueError, match="windows end at a VIX of"):
        windows.stress_subset(vix, threshold, least=len(found) + 1)


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
