"""Published tables: their columns, which other programs read, and numbers that agree with each other."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from chaoslib.evaluation import metrics, scoring, tables
from chaoslib.figures import COLOURS, LABELS

# fmt: off
UNCONDITIONAL = [
    "model", "seed", "split", "mean", "std", "skew", "excess_kurtosis", "min", "max", "ks_stat", "ks_pvalue",
    "q01_real", "q01_gen", "q01_abs_err", "q05_real", "q05_gen", "q05_abs_err", "q50_real", "q50_gen", "q50_abs_err",
    "q95_real", "q95_gen", "q95_abs_err", "q99_real", "q99_gen", "q99_abs_err",
    "acf_l1", "acf_l2", "mdd_mean", "mdd_std", "mdd_p05", "mdd_p50", "mdd_p95",
]
DATA_SUMMARY = [
    "dataset", "source", "start", "end", "n_days", "mean", "std", "skew", "excess_kurtosis", "min", "max", "sha256",
]
CONDITIONAL = [
    "model", "seed", "vix_at", "mode", "target_vix", "vix_matched_mean", "n_episodes", "guidance", "split",
    "std_ratio", "q01_gap", "q99_gap", "mdd_gap_mean", "acf1_gap", "acf2_gap", "ks_D",
    "num_real_matched", "num_gen", "half_width", "extrapolated",
]
CRPS = [
    "model", "seed", "split", "target", "crps", "ci_low", "ci_high", "coverage_90", "coverage_low", "coverage_high",
    "n", "n_independent", "crps_gap", "crps_gap_low", "crps_gap_high",
    "coverage_gap", "coverage_gap_low", "coverage_gap_high",
]
# fmt: on
DISTANCES = ["model", "seed", "reference", "metric", "real", "value", "distance"]
L = 50


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """Windows with one volatility each, as float32 like every sample that a table describes."""
    rng = np.random.default_rng(0)
    windows = np.exp(rng.normal(-4.6, 0.4, size=(600, 1))) * rng.standard_normal((600, L))
    return windows.astype(np.float32)


@pytest.fixture(scope="module")
def fake() -> np.ndarray:
    return (0.012 * np.random.default_rng(1).standard_t(5, size=(400, L))).astype(np.float32)


def distances(real: np.ndarray, fake: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(tables.distance_rows("model", 0, "train", real, fake)).set_index("metric")


def test_every_model_has_a_colour_and_a_label():
    assert set(tables.MODELS) == set(COLOURS) == set(LABELS)
    assert len(set(COLOURS.values())) == len(tables.MODELS)


# unconditional


def test_unconditional_has_its_published_columns(real, fake):
    row = tables.unconditional_row("ldm_post", 2, "test", real, fake)
    assert list(row) == UNCONDITIONAL
    assert [row.pop(key) for key in ("model", "seed", "split")] == ["ldm_post", 2, "test"]
    assert all(type(value) is float and np.isfinite(value) for value in row.values())


def test_unconditional_describes_the_generated_sample(real, fake):
    row = tables.unconditional_row("m", 0, "train", real, fake)
    days = fake.astype(float)
    expected = {"mean": days.mean(), "std": days.std(), "min": days.min(), "max": days.max()}
    expected |= {"q05_real": np.quantile(real, 0.05), "q05_gen": np.quantile(fake, 0.05)}
    drawdowns = metrics.max_drawdown(fake)
    expected |= {"mdd_mean": drawdowns.mean(), "mdd_std": drawdowns.std(), "mdd_p95": np.quantile(drawdowns, 0.95)}
    expected |= {"acf_l1": metrics.windowed_acf(fake, 1), "acf_l2": metrics.windowed_acf(fake, 2)}
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert 0 < row["mdd_p05"] < row["mdd_p50"] < row["mdd_p95"] < 1
    assert row["excess_kurtosis"] > 1  # Student's t with five degrees of freedom


def test_unconditional_errors_are_gaps_of_the_quantiles_beside_them(real, fake):
    row = tables.unconditional_row("m", 0, "train", real, fake)
    for percent in ("01", "05", "50", "95", "99"):
        gap = abs(row[f"q{percent}_gen"] - row[f"q{percent}_real"])
        assert row[f"q{percent}_abs_err"] == gap > 0
    assert row["q01_real"] < row["q05_real"] < row["q50_real"] < row["q95_real"] < row["q99_real"]


def test_unconditional_finds_no_gap_between_a_sample_and_itself(real):
    row = tables.unconditional_row("real_train", 0, "train", real, real)
    assert (row["ks_stat"], row["ks_pvalue"]) == (0, 1)
    assert all(row[name] == 0 for name in UNCONDITIONAL if name.endswith("abs_err"))


def test_unconditional_follows_a_distortion(real):
    row = tables.unconditional_row("m", 0, "train", real, 2 * real)
    same = tables.unconditional_row("m", 0, "train", real, real)
    assert row["ks_stat"] > 0.1
    assert row["q99_abs_err"] == pytest.approx(row["q99_real"])
    assert row["mdd_mean"] > same["mdd_mean"]
    for name in ("skew", "excess_kurtosis", "acf_l1"):
        assert row[name] == pytest.approx(same[name], abs=1e-4)


# distances


def test_distances_are_zero_on_equal_inputs(real):
    rows = distances(real, real)
    np.testing.assert_allclose(rows["distance"], 0, atol=1e-12)
    assert rows.index.is_unique


def test_distances_have_their_columns_and_agree_with_their_values(real, fake):
    rows = tables.distance_rows("gjr_fhs", 1, "test", real, fake)
    assert all(list(row) == DISTANCES for row in rows)
    assert all((row["model"], row["seed"], row["reference"]) == ("gjr_fhs", 1, "test") for row in rows)
    frame = pd.DataFrame(rows).set_index("metric")
    assert (frame["distance"] > 0).all()
    assert (frame.loc[["std_ratio", "vol_sd_ratio", "log_rv_sd_ratio", "q01_ratio", "q99_ratio"], "real"] == 1).all()
    described = frame[frame["real"].notna() & ~frame.index.str.endswith("_w1")]
    np.testing.assert_allclose(described["distance"], (described["value"] - described["real"]).abs())
    # a Wasserstein distance is never less than the gap of the means beside it
    transported = frame[frame.index.str.endswith("_w1")]
    assert (transported["distance"] >= (transported["value"] - transported["real"]).abs() - 1e-9).all()


def test_distances_of_a_doubled_sample(real):
    rows = distances(real, 2 * real)
    for name in ("std_ratio", "vol_sd_ratio", "q01_ratio", "q99_ratio"):
        assert rows.loc[name, "value"] == pytest.approx(2, rel=1e-5)
        assert rows.loc[name, "distance"] == pytest.approx(1, rel=1e-5)
    assert rows.loc["log_rv_w1", "distance"] == pytest.approx(np.log(2), rel=1e-5)
    assert rows.loc["w1_over_std", "distance"] == pytest.approx(np.mean(np.abs(real)) / np.std(real), rel=1e-3)
    assert rows.loc["max_drawdown_w1", "value"] > rows.loc["max_drawdown_w1", "real"]
    blind_to_scale = ["log_rv_sd_ratio", "excess_kurtosis", "half_window_correlation", "leverage", "acf_mae", "acf_abs_mae"]
    np.testing.assert_allclose(rows.loc[blind_to_scale, "distance"], 0, atol=1e-4)


def test_distances_of_a_shifted_sample(real):
    std = float(np.std(real))
    rows = distances(real, real + np.float32(std))
    assert rows.loc["w1_over_std", "distance"] == pytest.approx(1, rel=1e-4)
    assert rows.loc["return_50d_w1", "distance"] == pytest.approx(L * std, rel=1e-4)
    assert rows.loc["return_50d_w1", "value"] > rows.loc["return_50d_w1", "real"]
    assert rows.loc["max_drawdown_w1", "value"] < rows.loc["max_drawdown_w1", "real"]
    np.testing.assert_allclose(rows.loc[["std_ratio", "acf_mae"], "distance"], 0, atol=1e-4)


def test_distances_know_one_tail_from_the_other(real):
    rows = distances(real, np.where(real < 0, 2 * real, real))
    assert rows.loc["q01_ratio", "value"] == pytest.approx(2, rel=1e-5)
    assert rows.loc["q99_ratio", "value"] == pytest.approx(1, rel=1e-5)
    assert rows.loc["return_50d_w1", "value"] < rows.loc["return_50d_w1", "real"]


def test_distances_notice_lost_memory(real):
    shuffled = np.random.default_rng(2).permutation(real.ravel()).reshape(real.shape)
    rows = distances(real, shuffled)
    np.testing.assert_allclose(
        rows.loc[["std_ratio", "w1_over_std", "q01_ratio", "excess_kurtosis"], "distance"], 0, atol=1e-4
    )
    assert rows.loc["half_window_correlation", "value"] < 0.2 < 0.8 < rows.loc["half_window_correlation", "real"]
    assert rows.loc["log_rv_sd_ratio", "value"] < 0.5
    assert rows.loc["acf_abs_mae", "distance"] > 0.1


# conditional and sweep


def test_conditional_and_sweep_have_their_published_columns():
    assert set(tables.CONDITIONAL) == set(CONDITIONAL)
    assert set(tables.SWEEP) == {*CONDITIONAL, "temperature", "output_scale", "amplified"}
    for columns in (tables.CONDITIONAL, tables.SWEEP):
        assert len(set(columns)) == len(columns)


def conditional_rows(std_ratios: dict[tuple, float]) -> pd.DataFrame:
    """Rows of `conditional` by (model, seed, mode, target), whose metrics are multiples of the std ratio."""
    rows = []
    for (model, seed, mode, target), value in std_ratios.items():
        row = {"model": model, "seed": seed, "vix_at": "end", "mode": mode, "target_vix": target, "guidance": 1.0}
        metric = {name: (place + 1) * value for place, name in enumerate(CONDITIONAL[9:16])}
        rows.append({**row, "split": "train", **metric, "num_real_matched": 200, "extrapolated": False})
    return pd.DataFrame(rows)


def test_summary_of_three_seeds_is_a_t_interval():
    values = np.array([0.9, 1.0, 1.3])
    summary = tables.summarise_seeds(conditional_rows({("a", seed, "matched", 20): v for seed, v in enumerate(values)}))
    assert list(summary.columns) == (
        ["model", "vix_at", "mode", "target_vix", "guidance", "split", "metric", "mean", "seed_sd", "ci_low", "ci_high"]
    )
    assert list(summary["metric"]) == CONDITIONAL[9:16]
    for place, row in enumerate(summary.itertuples()):
        mine = (place + 1) * values
        low, high = stats.t.interval(0.95, df=2, loc=mine.mean(), scale=stats.sem(mine))
        expected = (mine.mean(), mine.std(ddof=1), low, high)
        assert (row.mean, row.seed_sd, row.ci_low, row.ci_high) == pytest.approx(expected)
    reach = 4.302653 * values.std(ddof=1) / np.sqrt(3)  # the tabled quantile of two degrees of freedom
    assert summary["ci_high"][0] == pytest.approx(values.mean() + reach)


def test_summary_of_one_seed_has_a_mean_alone():
    summary = tables.summarise_seeds(conditional_rows({("vix_scaled", 0, "matched", 20): 0.97}))
    assert summary["mean"][0] == 0.97
    assert summary[["seed_sd", "ci_low", "ci_high"]].isna().all(axis=None)


def test_summary_mixes_neither_models_nor_modes_nor_targets():
    keys = [("a", "matched", 20), ("a", "target", 20), ("a", "matched", 30), ("b", "matched", 20)]
    rows = conditional_rows({(m, seed, mode, v): n + seed / 10 for n, (m, mode, v) in enumerate(keys) for seed in (0, 1, 2)})
    summary = tables.summarise_seeds(rows.sample(frac=1, random_state=0))
    ratios = summary[summary["metric"] == "std_ratio"].set_index(["model", "mode", "target_vix"])
    assert len(ratios) == len(keys)
    assert [ratios.loc[key, "mean"] for key in keys] == pytest.approx([0.1, 1.1, 2.1, 3.1])
    np.testing.assert_allclose(ratios["seed_sd"], 0.1)


def test_summary_leaves_out_what_could_not_be_compared():
    blank = conditional_rows({("a", seed, "matched", 80): np.nan for seed in range(3)})
    rows = pd.concat([blank, conditional_rows({("a", seed, "matched", 20): 1.0 for seed in range(3)})])
    assert set(tables.summarise_seeds(rows)["target_vix"]) == {20}


# crps


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """Scores of single windows: a model of two seeds and its rival, whose scores rise and fall with the model's."""
    rng = np.random.default_rng(0)
    parts = []
    for split, n in (("train", 403), ("test", 120)):
        for target in ("log_rv", "cum_return"):
            hard = np.repeat(rng.gamma(4, size=n // 10 + 1), 10)[:n]
            for model, seed, edge in (("cond_ldm", 0, -0.5), ("cond_ldm", 1, 0.0), ("vix_scaled", 0, 0.0)):
                noise = 0.2 * rng.standard_normal(n)
                columns = {"crps": hard + edge + noise, "covered": rng.random(n) < 0.9 + edge}
                key = {"target": target, "window": np.arange(n), "model": model, "seed": seed, "split": split}
                parts.append(pd.DataFrame({**key, **columns}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def crps(scores) -> pd.DataFrame:
    return tables.crps_rows(scores, rival="vix_scaled", seq_len=10)


def test_crps_has_a_row_for_each_forecaster_split_and_outcome(crps):
    assert list(crps.columns) == CRPS
    keys = crps[["model", "seed", "split", "target"]]
    assert len(keys) == 3 * 2 * 2
    assert not keys.duplicated().any()


def test_seeds_are_told_as_a_mean_and_a_range_in_the_order_of_models():
    rows = pd.DataFrame({"model": ["timegan", "timegan", "real_train"], "seed": [0, 1, 0]})
    rows = rows.assign(auc=[0.9, 0.95, 0.5], gap=[np.nan, np.nan, -0.0001])
    told = tables.over_seeds(rows, {"auc": "AUC", "gap": "gap"}, digits=3)
    assert list(told.index) == ["real_train", "timegan"]
    assert told["AUC"].tolist() == ["0.500", "0.925 (0.900 to 0.950)"]
    assert told["gap"].tolist() == ["0.000", "–"]


def test_crps_rows_are_means_and_paired_intervals(crps, scores):
    for row in crps.to_dict("records"):
        here = scores[(scores["split"] == row["split"]) & (scores["target"] == row["target"])]
        own = here[(here["model"] == row["model"]) & (here["seed"] == row["seed"])].sort_values("window")
        rival = here[here["model"] == "vix_scaled"].sort_values("window")
        for column, names in {
            "crps": (("crps", "ci_low", "ci_high"), ("crps_gap", "crps_gap_low", "crps_gap_high")),
            "covered": (
                ("coverage_90", "coverage_low", "coverage_high"),
                ("coverage_gap", "coverage_gap_low", "coverage_gap_high"),
            ),
        }.items():
            values, against = own[column].to_numpy(dtype=float), rival[column].to_numpy(dtype=float)
            for these, (mean, *ends) in zip((values, values - against), names, strict=True):
                assert row[mean] == pytest.approx(these.mean())
                expected = np.ravel(scoring.mean_interval(these[:, None], mean_block=20))
                assert [row[end] for end in ends] == pytest.approx(expected.tolist())
        assert row["n"] == len(own)


def test_a_rival_has_no_gap_to_itself(crps):
    own = crps[crps["model"] == "vix_scaled"]
    assert (own[[name for name in CRPS if "_gap" in name]] == 0).all(axis=None)
    assert (own["ci_low"] < own["crps"]).all()


def test_a_gap_is_negative_for_the_better_model_and_surer_than_either_score(crps):
    better = crps[(crps["model"] == "cond_ldm") & (crps["seed"] == 0)]
    assert (better["crps_gap_high"] < 0).all()
    np.testing.assert_allclose(better["crps_gap"], -0.5, atol=0.1)
    assert (better["coverage_gap_high"] < 0).all()
    assert (better["crps_gap_high"] - better["crps_gap_low"] < 0.3 * (better["ci_high"] - better["ci_low"])).all()
    equal = crps[(crps["model"] == "cond_ldm") & (crps["seed"] == 1)]
    np.testing.assert_allclose(equal["crps_gap"], 0, atol=0.1)


def test_models_that_scored_other_windows_are_not_compared(scores):
    some = scores[(scores["model"] != "cond_ldm") | (scores["window"] >= 5)]
    with pytest.raises(ValueError, match="not every model scored the same windows of"):
        tables.crps_rows(some, rival="vix_scaled", seq_len=10)


@pytest.mark.parametrize(("n", "independent"), [(1, 1), (10, 1), (11, 2), (120, 12), (121, 13)])
def test_independent_windows_are_those_that_fit_side_by_side(scores, n, independent):
    few = scores[(scores["split"] == "train") & (scores["window"] < n)]
    rows = tables.crps_rows(few, rival="vix_scaled", seq_len=10)
    assert set(rows["n"]) == {n}
    days = n + 10 - 1  # that n overlapping windows span
    assert set(rows["n_independent"]) == {independent} == {days // 10}


def test_a_seed_has_the_same_row_alone_and_among_others(crps, scores):
    for seed in (0, 1):
        alone = scores[(scores["model"] != "cond_ldm") | (scores["seed"] == seed)]
        rows = tables.crps_rows(alone, rival="vix_scaled", seq_len=10)
        same = crps[(crps["model"] != "cond_ldm") | (crps["seed"] == seed)].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, same, check_exact=True)


def test_crps_rows_do_not_depend_on_the_order_of_the_scores(crps, scores):
    mixed = scores.sample(frac=1, random_state=0)
    rows = tables.crps_rows(mixed, rival="vix_scaled", seq_len=10)
    order = ["model", "seed", "split", "target"]
    pd.testing.assert_frame_equal(rows.sort_values(order, ignore_index=True), crps.sort_values(order, ignore_index=True))


# data_summary


def test_summarise_data_is_one_row_of_its_columns():
    dates = pd.date_range("2000-01-03", periods=5, freq="B")
    prices = pd.DataFrame({"date": dates, "close": [100.0, 110.0, 99.0, 99.0, 104.0], "vix": 20.0})
    log_returns = np.diff(np.log(prices["close"]))
    provenance = {"source": "snapshot", "sha256": "ab12", "note": "not a column"}
    summary = tables.summarise_data("sp500_logret", prices, log_returns, provenance)
    assert list(summary.columns) == DATA_SUMMARY
    (row,) = summary.to_dict("records")
    assert row["n_days"] == 4  # returns, not prices
    assert (row["start"], row["end"]) == ("2000-01-03", "2000-01-07")
    assert (row["dataset"], row["source"], row["sha256"]) == ("sp500_logret", "snapshot", "ab12")
    assert row["mean"] == pytest.approx(np.log(1.04) / 4)
    assert row["min"] == pytest.approx(np.log(0.9))
    assert row["max"] == pytest.approx(np.log(1.1))
    assert row["std"] == pytest.approx(log_returns.std())
    assert row["skew"] == pytest.approx(metrics.skewness(log_returns))
    assert row["excess_kurtosis"] == pytest.approx(metrics.excess_kurtosis(log_returns))
