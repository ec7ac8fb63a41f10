"""History as judge: the months that are asked for, a path's place in a fan, losses against a rival's, hits by year."""

import numpy as np
import pandas as pd
import pytest

from chaoslib.stress import backtest, history
from chaoslib.stress.backtest import Tail

# Business days from Wednesday 2003-12-31 to Thursday 2004-12-30: none on 1 February, a Sunday, nor on 1 May, a Saturday
DATES = pd.bdate_range("2003-12-31", "2004-12-30")
ENDS = {"train": 100, "val": 150, "test": len(DATES)}


def returns() -> pd.DataFrame:
    """Day i has the return i / 1000, a VIX of 100 + i, and 99 + i the day before."""
    place = np.arange(len(DATES))
    return pd.DataFrame({"date": DATES, "log_return": place / 1000, "vix": 100.0 + place, "vix_previous": 99.0 + place})


def place_of(date: str) -> int:
    return DATES.get_loc(pd.Timestamp(date))


# Episodes


@pytest.mark.parametrize(
    ("month", "first", "name"),
    [
        (200401, "2004-01-01", "Jan 2004"),
        (200402, "2004-02-02", "Feb 2004"),
        (200405, "2004-05-03", "May 2004"),
        (200411, "2004-11-01", "Nov 2004"),
    ],
)
def test_an_episode_begins_on_the_first_trading_day_of_its_month(month, first, name):
    (episode,) = history.episodes(returns(), ENDS, [month], days=20)
    begins = place_of(first)
    assert (episode["name"], episode["date"]) == (name, pd.Timestamp(first))
    assert episode["vix"] == 99.0 + begins  # known when it begins
    np.testing.assert_array_equal(episode["log_returns"], np.arange(begins, begins + 20) / 1000)


def test_months_outside_history_or_too_near_its_end_are_left_out():
    last = len(DATES) - place_of("2004-12-01")  # days that December has
    months = [200112, 200311, 200312, 200401, 200412, 200501, 202001]
    names = [[each["name"] for each in history.episodes(returns(), ENDS, months, days=days)] for days in (last, last + 1)]
    assert names == [["Jan 2004", "Dec 2004"], ["Jan 2004"]]


def test_where_no_month_lies_in_the_history_each_split_has_the_one_that_fell_furthest():
    fallen = returns().assign(log_return=0.001)
    for date, loss in (("2004-02-10", -0.2), ("2004-03-10", -0.1), ("2004-06-15", -0.3), ("2004-11-15", -0.05)):
        fallen.loc[place_of(date), "log_return"] = loss
    rows = history.episodes(fallen, ENDS, [200311, 200501], days=20)
    assert [(row["name"], row["split"]) for row in rows] == [
        ("Feb 2004", "train"),
        ("Jun 2004", "val"),
        ("Nov 2004", "test"),
    ]
    assert history.episodes(returns(), ENDS, [200501], days=len(DATES)) == []  # too short for any


def test_a_month_without_a_trading_day_begins_with_the_next_one():
    gap = returns().query("date < '2004-03-01' or date >= '2004-04-01'").reset_index(drop=True)
    (episode,) = history.episodes(gap, ENDS, [200403], days=5)
    assert episode["date"] == pd.Timestamp("2004-04-01")


def test_the_split_of_an_episode_is_that_of_its_first_day():
    first = place_of("2004-06-01")
    for end, split in ((first, "val"), (first + 1, "train"), (first + 10, "train")):
        ends = {"train": end, "val": first + 20, "test": len(DATES)}
        (episode,) = history.episodes(returns(), ends, [200406], days=30)
        assert episode["split"] == split
    splits = [each["split"] for each in history.episodes(returns(), ENDS, [200401, 200406, 200409], days=5)]
    assert splits == ["train", "val", "test"]


def test_episodes_come_in_the_order_that_is_asked_for():
    rows = history.episodes(returns(), ENDS, [200409, 200402], days=5)
    assert [each["name"] for each in rows] == ["Sep 2004", "Feb 2004"]


# The place of what happened among what was generated


def fan() -> np.ndarray:
    """100 windows of two days: k per mille up, then the same down twice, for k from 1 to 100."""
    up = np.arange(1, 101)[:, None] / 1000
    return np.concatenate([up, -2 * up], axis=1)


@pytest.mark.parametrize("k", [0.5, 1, 37, 37.5, 100, 200])
def test_the_place_in_a_fan_is_the_share_of_windows_with_a_smaller_outcome(k):
    places = history.place_in_fan(np.array([k, -2 * k]) / 1000, fan())
    below = min(np.ceil(k) - 1, 100) / 100
    above = (100 - min(np.floor(k), 100)) / 100
    expected = {"log_rv": below, "max_drawdown": below, "cum_return": above, "worst_day": above}
    assert places == pytest.approx(expected)


def test_outcomes_have_places_of_their_own():
    calm_fall = np.full(2, -0.02)
    places = history.place_in_fan(calm_fall, fan())
    assert places["cum_return"] == pytest.approx(0.60)  # 60 of the windows fall by more than 4 %
    assert places["worst_day"] == pytest.approx(0.90)  # 90 have a day below -2 %
    rv = np.sqrt(2.5) * np.arange(1, 101) / 1000
    assert places["log_rv"] == pytest.approx(np.mean(rv < 0.02))


# Losses less those of a rival


def tails(sigma: np.ndarray) -> Tail:
    """Forecasts whose 100 outcomes are sigma (T,) times -100 ... -1 per mille; the five smallest are kept."""
    return Tail(sigma[:, None] * np.arange(-100, -95) / 1000, 100)


def forecasts(days: int = 60) -> dict[tuple[str, int], dict[int, Tail]]:
    rng = np.random.default_rng(0)
    models = {"gjr_fhs": rng.uniform(0.5, 1.5, days), "low": np.full(days, 0.3), "ldm": rng.uniform(0.5, 1.5, days)}
    return {(name, 0): {1: tails(sigma), 10: tails(3 * sigma)} for name, sigma in models.items()}


def path(days: int = 60) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, days)


def test_equal_forecasts_have_no_gap_and_the_rival_none_at_all():
    by_model = forecasts()
    by_model["twin", 3] = by_model["gjr_fhs", 0]
    gaps = backtest.loss_gaps(by_model, path())
    assert {days: list(models) for days, models in gaps.items()} == {days: ["low", "ldm", "twin"] for days in (1, 10)}
    assert {days: models["twin"].shape for days, models in gaps.items()} == {1: (60,), 10: (51,)}
    for models in gaps.values():
        assert not models["twin"].any()
        assert models["ldm"].any()


def test_a_gap_is_the_difference_of_the_losses_of_the_two():
    gaps = backtest.loss_gaps(forecasts(), path(), level=0.05, rival="low")
    assert set(gaps[1]) == {"gjr_fhs", "ldm"}
    for days, outcome in ((1, path()), (10, np.convolve(path(), np.ones(10), "valid"))):
        losses = {}
        for name in ("ldm", "low"):
            values = 100 * forecasts()[name, 0][days].values[: len(outcome)]  # FZ0 is of returns in percent
            quantile, shortfall = values[:, 4], values.mean(axis=1)
            missed = np.maximum(quantile - 100 * outcome, 0)
            losses[name] = -missed / (0.05 * shortfall) + quantile / shortfall + np.log(-shortfall) - 1
        np.testing.assert_allclose(gaps[days]["ldm"], losses["ldm"] - losses["low"])


def test_a_better_forecast_has_a_negative_gap_at_one_per_cent_unless_told():
    """A day below both quantiles costs the one that said less; a calm day costs the one that said more."""
    by_model, outcome = forecasts(2), np.array([-0.5, 0.0])
    by_model |= {
        ("gjr_fhs", 0): {1: tails(np.ones(2))},
        ("low", 0): {1: tails(np.full(2, 0.3))},
        ("ldm", 0): {1: tails(np.ones(2))},
    }
    gaps = backtest.loss_gaps(by_model, outcome)
    assert gaps[1]["low"][0] > 0 > gaps[1]["low"][1]
    np.testing.assert_array_equal(gaps[1]["low"], backtest.loss_gaps(by_model, outcome, level=0.01)[1]["low"])
    assert gaps[1]["low"][1] == pytest.approx(np.log(0.3))


# Hits by year


def years() -> np.ndarray:
    return pd.bdate_range("2001-11-01", periods=60).to_numpy()  # 43 days of 2001, 17 of 2002


def test_hits_of_the_years_are_those_of_their_days():
    outcome, by_model = path(), forecasts()
    table = backtest.by_year(by_model, outcome, years())
    assert list(table.columns) == ["model", "seed", "horizon_days", "level", "year", "n", "hits", "expected"]
    assert len(table) == 3 * 2 * 2 * 2  # models, horizons, levels, years
    row = table.query("model == 'ldm' and horizon_days == 1 and level == 0.05").set_index("year")
    below = outcome < by_model["ldm", 0][1].values[:, 4]
    assert row["n"].to_dict() == {2001: 43, 2002: 17}
    assert row["hits"].to_dict() == {2001: below[:43].sum(), 2002: below[43:].sum()}
    assert row["hits"].min() > 0
    assert row["expected"].to_dict() == pytest.approx({2001: 2.15, 2002: 0.85})


def test_a_longer_horizon_counts_by_the_day_of_its_forecast():
    outcome = np.zeros(60)
    outcome[43] = -9.0  # the first day of 2002: seen by the ten forecasts up to it
    by_model = {("ldm", 2): {1: tails(np.ones(60)), 10: tails(np.ones(60))}}
    table = backtest.by_year(by_model, outcome, years(), levels=(0.01,))
    assert set(table["seed"]) == {2}
    hits = table.set_index(["horizon_days", "year"])
    assert hits["hits"].to_dict() == {(1, 2001): 0, (1, 2002): 1, (10, 2001): 9, (10, 2002): 1}
    assert hits["n"].to_dict() == {(1, 2001): 43, (1, 2002): 17, (10, 2001): 43, (10, 2002): 8}


def test_years_add_up_to_the_backtest():
    outcome, by_model = path(), forecasts()
    keys = ["model", "seed", "horizon_days", "level"]
    added = backtest.by_year(by_model, outcome, years()).groupby(keys)[["n", "hits", "expected"]].sum()
    whole = backtest.rows(by_model, outcome, split="walk_forward", draws=20).set_index(keys)[["n", "hits", "expected"]]
    pd.testing.assert_frame_equal(added.sort_index(), whole.sort_index(), check_dtype=False)
    assert whole["hits"].min() >= 1


def test_an_outcome_at_the_value_at_risk_is_no_hit():
    outcome = np.array([-0.1, -0.1 - 1e-9, -0.096])
    by_model = {("ldm", 0): {1: tails(np.ones(3))}}
    table = backtest.by_year(by_model, outcome, years()[:3]).set_index("level")
    assert table["hits"].to_dict() == {0.01: 1, 0.05: 2}
