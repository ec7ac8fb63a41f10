"""The noise floor: exact distances, copies that are copies, a band with its nominal size, distortions that leave it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from chaoslib.evaluation import metrics, scorecard

L = 20


def clustered_path(n: int, seed: int) -> np.ndarray:
    """(n,) log-returns of a stationary log-AR(1) volatility with leverage."""
    rng = np.random.default_rng(seed)
    shock, level, days = rng.standard_normal((2, n)), 0.0, np.empty(n)
    for day in range(n):
        days[day] = 0.01 * np.exp(level) * shock[0, day]
        level = 0.95 * level - 0.08 * shock[0, day] + 0.15 * shock[1, day]
    return days


@pytest.fixture(scope="module")
def path() -> np.ndarray:
    return clustered_path(1500, 0)


@pytest.fixture(scope="module")
def windows(path) -> np.ndarray:
    return scorecard.cut(path, L)


@pytest.fixture(scope="module")
def floor(path) -> scorecard.NoiseFloor:
    return scorecard.noise_floor(path, seq_len=L, n=60, mean_block=100)


def row_of(table: pd.DataFrame, metric: str) -> pd.Series:
    return table.set_index("metric").loc[metric]


def gaps(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    return scorecard.distances(scorecard.facts(real), scorecard.facts(fake))


def test_cut_begins_a_window_on_every_day(path, windows):
    assert windows.shape == (len(path) - L + 1, L)
    np.testing.assert_array_equal(windows[3], path[3 : 3 + L])


def test_a_sample_is_at_distance_zero_from_itself_and_its_repetition(windows):
    assert gaps(windows, windows) == pytest.approx(dict.fromkeys(gaps(windows, windows), 0.0), abs=1e-12)
    twice = gaps(windows, np.concatenate([windows, windows]))
    assert max(twice.values()) < 2e-2


def test_every_metric_has_a_distance_and_a_label(windows):
    assert list(gaps(windows, 2 * windows)) == [m for m in scorecard.METRICS if m != "return_50d_w1"]  # L is 20
    long = scorecard.cut(clustered_path(400, 1), 50)
    assert list(gaps(long, long)) == scorecard.METRICS


def test_numbers_are_those_of_the_metrics_of_their_names():
    real, fake = (scorecard.cut(clustered_path(1200, seed), 50) for seed in (3, 4))
    exact = {name: abs(getattr(metrics, name)(real, fake) - 1) for name in ("std_ratio", "vol_sd_ratio", "log_rv_sd_ratio")}
    exact |= {f"q{q:02d}_ratio": abs(metrics.quantile_ratio(real, fake, q / 100) - 1) for q in (1, 5, 95, 99)}
    for name in ("leverage", "half_window_correlation", "excess_kurtosis"):
        exact[name] = abs(getattr(metrics, name)(fake) - getattr(metrics, name)(real))
    exact["acf_abs_mae"] = metrics.acf_abs_mae(real, fake)
    apart = gaps(real, fake)
    assert {name: apart[name] for name in exact} == pytest.approx(exact)


def test_laws_are_as_far_apart_as_scipy_says():
    real = scorecard.cut(clustered_path(4000, 3), 50)
    heavy = 0.0035 * np.random.default_rng(0).standard_t(2.5, size=(2000, 50))  # its tails cross those of history
    for fake in (scorecard.cut(clustered_path(4000, 4), 50), heavy, 1.1 * real, real[:300]):
        apart = gaps(real, fake)
        exact = stats.wasserstein_distance(real.ravel(), fake.ravel()) / np.std(real)
        assert apart["w1_over_std"] == pytest.approx(exact, rel=1e-3)
        for name, law in (("max_drawdown_w1", metrics.max_drawdown), ("log_rv_w1", metrics.log_rv)):
            assert apart[name] == pytest.approx(stats.wasserstein_distance(law(real), law(fake)), rel=1e-3), name
        for days in (5, 20, 50):
            exact = stats.wasserstein_distance(*(metrics.horizon_returns(each, days) for each in (real, fake)))
            assert apart[f"return_{days}d_w1"] == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("n", [1, 2, 7, 2000, 4001, 40_000])
def test_mean_quantiles_keep_the_mean_and_the_tails(n):
    values = np.random.default_rng(n).standard_cauchy(n)
    law = scorecard.mean_quantiles(values)
    assert law @ scorecard.WIDTHS == pytest.approx(values.mean(), abs=1e-9 * np.abs(values).max())
    assert (np.diff(law) >= 0).all()
    outermost = max(1, n // 40_000)  # values in the first and the last bin, where bins are finest
    assert law[[0, -1]] == pytest.approx(np.sort(values)[[outermost - 1, -outermost]])


def test_mean_quantiles_of_a_ramp_are_the_middles_of_the_bins():
    edges = scorecard.EDGES
    law = scorecard.mean_quantiles(np.arange(40_000) + 0.5)
    np.testing.assert_allclose(law, 20_000 * (edges[1:] + edges[:-1]))
    np.testing.assert_allclose(scorecard.mean_quantiles(np.full(123, 0.3)), 0.3)


def test_ks_by_mean_quantiles_is_that_of_scipy(windows):
    for fake in (windows + 0.004, 1.5 * windows, windows[:300]):
        exact = stats.ks_2samp(windows.ravel(), fake.ravel()).statistic
        assert gaps(windows, fake)["ks"] == pytest.approx(exact, abs=1 / 2000)


def test_scaling_moves_what_has_a_scale_and_nothing_else(windows):
    apart = gaps(windows, 1.5 * windows)
    for name in scorecard.RATIOS:
        assert apart[name] == pytest.approx(0.0 if name == "log_rv_sd_ratio" else 0.5, abs=1e-6), name
    for name in ("hill_lower", "hill_upper", "skew", "excess_kurtosis", *scorecard.DEPENDENCE):
        assert apart[name] == pytest.approx(0.0, abs=1e-9), name
    assert apart["log_rv_w1"] == pytest.approx(np.log(1.5))


def test_stacked_facts_give_the_distances_of_their_parts(windows):
    samples = [windows, 1.2 * windows, windows[:300]]
    parts = [scorecard.facts(each) for each in samples]
    together = scorecard.distances(parts[0], scorecard.stack(parts))
    backwards = scorecard.distances(scorecard.stack(parts), parts[0])
    for number, part in enumerate(parts):
        for name, value in scorecard.distances(parts[0], part).items():
            assert together[name][number] == pytest.approx(value)
        for name, value in scorecard.distances(part, parts[0]).items():
            assert backwards[name][number] == pytest.approx(value)


def test_copies_are_stretches_of_the_path_in_blocks_of_the_mean_length():
    steps = np.concatenate([np.diff(positions) % 1000 for positions in scorecard.copies(1000, 40, mean_block=50)])
    seams = np.mean(steps != 1)  # 1 is the next day, past the end the first again
    assert seams == pytest.approx(1 / 50, rel=0.15)
    short = list(scorecard.copies(1000, 3, length=70))
    assert [len(each) for each in short] == [70, 70, 70]
    assert not np.array_equal(short[0], short[1])
    for first, second in zip(short, scorecard.copies(1000, 3, length=70), strict=True):
        np.testing.assert_array_equal(first, second)


def test_copies_of_one_endless_block_are_the_path_turned(path):
    rolled = next(scorecard.copies(len(path), 1, mean_block=1e12))
    np.testing.assert_array_equal(np.sort(rolled), np.arange(len(path)))
    floor = scorecard.noise_floor(path, seq_len=L, n=5, mean_block=1e12)
    assert floor.distances["std_ratio"].max() < 0.05  # only windows across the ends differ


def test_the_floor_is_the_distance_of_copies(path, windows, floor):
    positions = next(scorecard.copies(len(path), 1, mean_block=100, seed=0))
    by_hand = gaps(windows, scorecard.cut(path[positions], L))
    for name in set(floor.distances) - set(scorecard.DEPENDENCE):
        assert floor.distances[name].iloc[0] == pytest.approx(by_hand[name]), name
    assert (floor.table["floor_p95"] > floor.table["floor_median"]).all()


def test_memory_has_a_bias_and_the_floor_is_the_spread_about_it(path):
    short = scorecard.noise_floor(path, seq_len=L, n=60, mean_block=10)
    assert short.table.loc["half_window_correlation", "floor_bias"] < -0.1
    assert short.table.loc["acf_abs_mae", "floor_bias"] < -0.02
    assert short.table.loc["half_window_correlation", "floor_median"] < 0.1  # spread alone
    assert short.table["floor_bias"].notna().sum() == len(scorecard.DEPENDENCE)
    values = short.copied["half_window_correlation"]
    assert short.distances["half_window_correlation"].median() == pytest.approx(np.median(np.abs(values - values.mean())))


def test_a_short_history_has_a_wide_floor(path, floor):
    short = scorecard.noise_floor(path, seq_len=L, n=60, mean_block=100, length=300)
    wider = short.table["floor_median"] / floor.table["floor_median"]
    assert wider.drop(scorecard.UNRANKED).median() > 1.5


def test_windows_may_be_kept_by_the_day_they_end_on(path):
    ends = np.abs(path) > 0.015
    floor = scorecard.noise_floor(path, seq_len=L, n=3, ends=ends)
    expected = scorecard.facts(np.array([path[day - L + 1 : day + 1] for day in np.flatnonzero(ends) if day >= L - 1]))
    for name, value in floor.real.items():
        np.testing.assert_allclose(value, expected[name], err_msg=name)


def test_copies_without_an_episode_are_left_out(path, caplog):
    ends = np.zeros(len(path), dtype=bool)
    ends[700:760] = True  # one episode, which a third of the copies miss
    floor = scorecard.noise_floor(path, seq_len=L, n=40, ends=ends)
    assert 20 <= len(floor.distances) < 40
    assert floor.table["floor_median"].notna().all()
    ends[701:] = False
    with caplog.at_level("INFO", "chaoslib"):
        none = scorecard.noise_floor(path, seq_len=L, n=40, ends=ends)
    assert "of 40 copies hold 20 of the windows asked for" in caplog.text
    assert none.table.loc[floor.table.index].isna().all(axis=None)
    sample = [scorecard.facts(scorecard.cut(path, L))]
    assert scorecard.rows("m", "train_stress", sample, none).columns.tolist() == scorecard.COLUMNS
    assert scorecard.rows("m", "train_stress", sample, none).empty
    both = [scorecard.rows("m", "train_stress", sample, each) for each in (none, floor)]
    pd.testing.assert_frame_equal(pd.concat(both, ignore_index=True), both[1])  # none changes no type
    assert len(scorecard.rows("m", "train_stress", sample, floor))


def test_of_no_windows_there_is_nothing_to_say(path):
    """As of a model at a VIX that a calm history never reaches."""
    nothing = scorecard.facts(np.empty((0, L), dtype=np.float32))
    known = scorecard.facts(scorecard.cut(path, L))
    assert {name: value.shape for name, value in nothing.items()} == {name: value.shape for name, value in known.items()}
    assert all(np.isnan(value).all() for value in nothing.values())
    floor = scorecard.noise_floor(path, seq_len=L, n=4)
    assert scorecard.rows("m", "train", [nothing, nothing], floor).empty


def test_a_stride_of_one_is_the_default(path):
    plain, strided = (scorecard.noise_floor(path, seq_len=L, n=4, mean_block=100, **kw) for kw in ({}, {"stride": 1}))
    pd.testing.assert_frame_equal(strided.table, plain.table)
    pd.testing.assert_frame_equal(strided.distances, plain.distances)


def test_a_stride_leaves_out_windows_of_history_and_copies_alike(path, windows):
    floor = scorecard.noise_floor(path, seq_len=L, n=3, mean_block=100, stride=7)
    copied = [scorecard.cut(path[days], L) for days in scorecard.copies(len(path), 3, mean_block=100)]
    for name, value in scorecard.facts(windows[::7]).items():
        np.testing.assert_array_equal(floor.real[name], value, err_msg=name)
        np.testing.assert_array_equal(floor.copied[name], [scorecard.facts(c[::7])[name] for c in copied], err_msg=name)


def test_a_stride_counts_the_windows_that_are_kept(path, windows):
    ends = np.abs(path) > 0.01
    floor = scorecard.noise_floor(path, seq_len=L, n=3, ends=ends, stride=3)
    expected = scorecard.facts(windows[ends[L - 1 :]][::3])
    for name, value in floor.real.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_windows_that_hardly_overlap_say_nearly_the_same(path, floor):
    strided = scorecard.noise_floor(path, seq_len=L, n=60, mean_block=100, stride=L // 2)
    ratio = (strided.table["floor_median"] / floor.table["floor_median"]).drop(scorecard.UNRANKED)
    assert 0.9 < ratio.median() < 1.4


def test_copies_lie_inside_the_band_of_other_copies_at_the_nominal_rate(path, floor):
    other = floor.copy_distances(scorecard.noise_floor(path, seq_len=L, n=60, mean_block=100, seed=1))
    inside = (other <= floor.table["floor_p95"]).mean()
    assert 0.9 < inside.mean() < 0.99
    assert inside.min() > 0.8
    small = [floor.p_max(row) <= 0.05 for _, row in other.iterrows()]
    assert np.mean(small) < 0.15


def test_shuffled_days_keep_the_marginal_and_lose_the_memory(windows, floor):
    shuffled = np.random.default_rng(0).permutation(windows.ravel()).reshape(windows.shape)
    table = scorecard.rows("shuffled", "train", [scorecard.facts(shuffled)], floor)
    for name in ("std_ratio", "q01_ratio", "w1_over_std", "ks"):
        assert row_of(table, name)["ratio"] < 0.3
    for name in ("acf_abs_mae", "half_window_correlation", "log_rv_sd_ratio"):
        assert row_of(table, name)["distance"] > row_of(table, name)["floor_p95"]
    assert table["p_max"].iloc[0] == pytest.approx(1 / 61)


def test_columns_of_the_scorecard_say_what_they_say(windows, floor):
    samples = [scorecard.facts(scale * windows) for scale in (1.1, 1.3)]
    table = scorecard.rows("model", "train", samples, floor)
    assert list(table.columns) == scorecard.COLUMNS
    std, hill = row_of(table, "std_ratio"), row_of(table, "hill_lower")
    assert (std["real"], std["value"], std["distance"]) == pytest.approx((1, 1.2, 0.2))
    assert std["seed_sd"] == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert std["ratio"] == pytest.approx(0.2 / floor.table.loc["std_ratio", "floor_median"])
    assert hill["real"] == hill["value"] == pytest.approx(metrics.hill_index(windows, tail="lower"))
    assert hill["real_low"] < hill["real"] < hill["real_high"]
    assert row_of(table, "w1_over_std")[["real", "value", "real_low", "real_high"]].isna().all()
    assert (table["ci_low"] <= table["distance"] + 1e-12).all()
    assert (table["ci_high"] >= table["distance"] - 1e-12).all()
    assert (table["p_max"] == table["p_max"].iloc[0]).all()


def test_one_seed_has_no_spread_over_seeds(windows, floor):
    assert scorecard.rows("model", "train", [scorecard.facts(windows)], floor)["seed_sd"].isna().all()


def test_a_distance_may_stand_beside_another_yardstick(path, windows, floor):
    other = clustered_path(300, 7)
    history = scorecard.noise_floor(other, seq_len=L, n=20, mean_block=100)
    short = scorecard.noise_floor(path, seq_len=L, n=20, mean_block=100, length=300)
    table = scorecard.rows("real_train", "test", [floor.real], history, short)
    distance = gaps(scorecard.cut(other, L), windows)
    for name in scorecard.RATIOS:
        assert row_of(table, name)["distance"] == pytest.approx(distance[name])
        assert row_of(table, name)["floor_median"] == short.table.loc[name, "floor_median"]


def test_halves_that_are_alike_are_near_and_a_break_is_seen():
    calm = clustered_path(1000, 2)
    broken = np.concatenate([calm[:500], 3 * calm[500:]])
    tables = {
        name: scorecard.halves(each, seq_len=L, n=40, mean_block=50) for name, each in (("calm", calm), ("broken", broken))
    }
    assert row_of(tables["broken"], "std_ratio")["distance"] > row_of(tables["broken"], "std_ratio")["floor_p95"]
    assert row_of(tables["calm"], "std_ratio")["distance"] < row_of(tables["calm"], "std_ratio")["floor_p95"]
    assert all(map(pd.api.types.is_float_dtype, tables["calm"].dtypes[3:]))
    expected = np.std(scorecard.cut(broken[500:], L)) / np.std(scorecard.cut(broken[:500], L))
    assert row_of(tables["broken"], "std_ratio")["value"] == pytest.approx(expected)


def test_p_max_is_the_rank_of_the_worst_metric(floor):
    middle = floor.distances.median()
    assert floor.p_max(middle) > 0.5
    assert floor.p_max(100 * middle) == pytest.approx(1 / 61)
    unranked = middle.copy()
    unranked[scorecard.UNRANKED] = 1e9
    assert floor.p_max(unranked) == floor.p_max(middle)


@pytest.mark.parametrize(("days", "length"), [(10, None), (100, 10)])
def test_a_path_without_a_window_is_refused(days, length):
    with pytest.raises(ValueError, match="hold no window of 20"):
        scorecard.noise_floor(clustered_path(days, 0), seq_len=L, n=2, length=length)


def test_a_sample_without_a_tail_is_measured_and_lies_outside(windows, floor):
    gains = scorecard.facts(np.abs(windows))
    table = scorecard.rows("gains", "train", [gains, gains], floor)
    assert row_of(table, "hill_lower")["distance"] == row_of(table, "hill_lower")["ratio"] == np.inf
    assert table[["distance", "floor_median", "ratio", "p_max"]].notna().all(axis=None)
    assert table["p_max"].iloc[0] == pytest.approx(1 / 61)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ends": np.ones(500, dtype=int)}, "ends is int64 of shape"),
        ({"ends": np.ones(499, dtype=bool)}, "give one bool for each of the 500 days"),
        ({"length": 501}, "gives no copies of 501"),
    ],
)
def test_a_floor_that_would_be_of_something_else_is_refused(changed, message):
    path = np.random.default_rng(0).normal(0, 0.01, 500)
    with pytest.raises(ValueError, match=message):
        scorecard.noise_floor(path, seq_len=50, n=5, **changed)


def test_a_missing_return_gives_no_floor():
    path = np.random.default_rng(0).normal(0, 0.01, 500)
    path[3] = np.nan
    with pytest.raises(ValueError, match="1 of them missing"):
        scorecard.noise_floor(path, seq_len=50, n=5)


def test_a_verdict_counts_ranked_facts_and_names_the_farthest():
    distance = {"std_ratio": 0.5, "ks": 1.0, "acf_mae": 1.5, "leverage": 8.0, "skew": 99.0}
    card = pd.DataFrame({"metric": distance.keys(), "distance": distance.values(), "model": "a"})
    card = card.assign(floor_median=1.0, floor_p95=2.0, ratio=card["distance"], p_max=0.25)
    other = card.assign(model="b", distance=0.1, ratio=0.1)
    table = scorecard.verdict(pd.concat([card, other]))
    assert table.loc["a"].to_dict() == {
        **{"below_median": 2, "inside": 1, "outside": 1, "farthest": "leverage", "times": 4.0, "p_max": 0.25}
    }
    assert list(table.index) == ["a", "b"]
    assert table.loc["b", ["below_median", "inside", "outside"]].tolist() == [4, 0, 0]
