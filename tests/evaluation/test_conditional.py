"""Models held against windows of a market whose volatility is known at every VIX."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chaoslib.evaluation import conditional, metrics, scoring, tables
from chaoslib.market.vix import fit_vix_condition
from chaoslib.market.windows import count_episodes
from chaoslib.models import generate

L = 10
MARKET = 0.01 / 20  # daily volatility per point of VIX


def even(n: int, seed: int) -> np.ndarray:
    """(n, L) noise, each window with a mean of zero and a realised volatility of one."""
    noise = np.random.default_rng(seed).standard_normal((n, L))
    noise -= noise.mean(axis=1, keepdims=True)
    return noise / np.sqrt(np.mean(noise**2, axis=1, keepdims=True))


def law(vix: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(n, L) windows of the market: the realised volatility is proportional to the VIX and has no other cause."""
    return (MARKET * vix[:, None] * even(len(vix), seed)).astype(np.float32)


@pytest.fixture(scope="module")
def vix() -> dict[str, np.ndarray]:
    """Each split's VIX, mostly calm: the higher the fewer, at any time."""
    rng = np.random.default_rng(0)
    parts = {name: 12 + rng.exponential(5, size=n) for name, n in (("train", 5000), ("val", 800), ("test", 2000))}
    return parts | {"all": np.concatenate(list(parts.values()))}


@pytest.fixture(scope="module")
def first_day(vix) -> dict[str, np.ndarray]:
    """Where each split's windows begin in a history of spans side by side."""
    parts, begin = {}, 0
    for name in ("train", "val", "test"):
        parts[name] = begin + np.arange(len(vix[name]))
        begin += len(vix[name]) + L - 1
    return parts | {"all": np.concatenate(list(parts.values()))}


@pytest.fixture(scope="module")
def real(vix) -> dict[str, np.ndarray]:
    parts = {name: law(vix[name], seed=seed) for seed, name in enumerate(("train", "val", "test"))}
    return parts | {"all": np.concatenate(list(parts.values()))}


@pytest.fixture(scope="module")
def condition(real, vix):
    return fit_vix_condition(real["train"], vix["train"], vix_at="start", normalise=False)


def refuse(own):
    raise AssertionError("windows were generated for a comparison that cannot be made")


# Matching


@given(st.lists(st.floats(5, 90), max_size=600), st.floats(10, 80), st.integers(1, 8))
def test_matched_windows_lie_within_the_published_width(vix, target, times):
    vix = np.repeat(np.array(vix), times)
    matched, width = conditional.match_vix(vix, target)
    np.testing.assert_array_equal(matched, np.flatnonzero(np.abs(vix - target) <= width))
    assert width in (2.5, 4.0, 5.5, 7.0, 8.5, 10.0)
    assert len(matched) >= 200 or width == 10.0
    if width > 2.5:  # the width before did not hold enough
        assert np.sum(np.abs(vix - target) <= width - 1.5) < 200


@pytest.mark.parametrize("width", [2.5, 4.0, 5.5, 7.0, 8.5, 10.0])
def test_the_width_grows_step_by_step(width):
    vix = np.concatenate([np.full(199, 30.0), [30 + width, 30 - width - 0.01, 30 + 2 * width]])
    assert conditional.match_vix(vix, 30)[1] == width
    np.testing.assert_array_equal(conditional.match_vix(vix, 30)[0], np.arange(200))


def test_exactly_two_hundred_windows_are_enough():
    near, further = np.full(199, 30.0), np.full(50, 33.5)
    for edge in (27.5, 32.5):  # the ends belong to the interval
        matched, width = conditional.match_vix(np.concatenate([near, [edge], further]), 30)
        assert (len(matched), width) == (200, 2.5)
    matched, width = conditional.match_vix(np.concatenate([near, further]), 30)
    assert (len(matched), width) == (249, 4.0)


def test_no_match_is_none_at_the_widest():
    for vix in (np.array([]), np.full(500, 12.0)):
        matched, width = conditional.match_vix(vix, 60)
        assert (len(matched), width) == (0, 10.0)
        np.testing.assert_array_equal(vix[matched], [])


# Gaps


def skewed(seed: int = 0) -> np.ndarray:
    """Days that fall further than they rise."""
    return 0.01 * (1 - np.random.default_rng(seed).exponential(size=(500, L)))


def test_there_is_no_gap_between_a_sample_and_itself():
    gap = conditional.gaps(skewed(), skewed())
    assert list(gap) == list(conditional.METRICS)
    assert gap.pop("std_ratio") == pytest.approx(1)
    assert all(type(value) is float for value in gap.values())
    np.testing.assert_allclose(list(gap.values()), 0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.5, 3.0])
def test_gaps_of_scaled_windows(scale):
    real = skewed()
    gap = conditional.gaps(real, scale * real)
    assert gap["std_ratio"] == pytest.approx(scale)
    assert gap["q01_gap"] == pytest.approx((scale - 1) * np.quantile(real, 0.01))
    assert gap["q99_gap"] == pytest.approx((scale - 1) * np.quantile(real, 0.99))
    assert gap["mdd_gap_mean"] * (scale - 1) > 0
    assert gap["ks_D"] > 0.05
    np.testing.assert_allclose([gap["acf1_gap"], gap["acf2_gap"]], 0, atol=1e-12)  # memory has no scale


def test_a_gap_is_generated_less_real():
    real, mirrored = skewed(), -skewed(1)
    there, back = conditional.gaps(real, mirrored), conditional.gaps(mirrored, real)
    for name in ("q01_gap", "q99_gap"):
        assert there[name] > 0.01  # the lower tail is shorter, the upper longer
    assert there["mdd_gap_mean"] < 0
    for name in conditional.METRICS[1:-1]:
        assert back[name] == pytest.approx(-there[name])
    assert back["ks_D"] == pytest.approx(there["ks_D"])
    assert back["std_ratio"] == pytest.approx(1 / there["std_ratio"])


@pytest.mark.parametrize(("lag", "other"), [(1, 2), (2, 1)])
def test_gaps_know_the_lag_of_a_memory(lag, other):
    noise = np.random.default_rng(0).standard_normal((4000, 40))
    with_memory = noise.copy()
    with_memory[:, lag:] += noise[:, :-lag]
    gap = conditional.gaps(noise, with_memory)
    assert gap[f"acf{lag}_gap"] > 0.4
    assert abs(gap[f"acf{other}_gap"]) < 0.05


# Comparison at a VIX


def test_a_comparison_uses_the_matched_windows_alone(real, vix, first_day, condition):
    matched, width = conditional.match_vix(vix["train"], 25)
    requests = []

    def generate(own):
        requests.append(own)
        return 2 * real["train"][matched]

    row = conditional.compare_at(25, real["train"], vix["train"], first_day["train"], generate, condition)
    np.testing.assert_array_equal(requests, [vix["train"][matched]])
    assert {name: row[name] for name in conditional.METRICS} == conditional.gaps(
        real["train"][matched], 2 * real["train"][matched]
    )
    assert row["std_ratio"] == pytest.approx(2)
    assert (row["target_vix"], row["half_width"]) == (25, width)
    assert row["num_real_matched"] == row["num_gen"] == len(matched)
    assert row["vix_matched_mean"] == pytest.approx(vix["train"][matched].mean())
    assert row["n_episodes"] >= 3


BLANK = {
    "29 windows": (np.arange(0, 580, 20), 10),
    "two crises": ([*range(50), *range(300, 350)], 2),
    "one long crisis": (range(100), 2),
    "the third shares a day with the second": ([*range(10), *range(41, 51), *range(90, 100)], 2),
    "no window": ([], 0),
}


def windows_of_fifty_days(positions) -> tuple[np.ndarray, np.ndarray]:
    """(600, 50) windows and their VIX: 41 at these positions, 14 at the others."""
    vix = np.full(600, 14.0)
    vix[np.array(positions, dtype=int)] = 41.0
    return np.repeat(law(vix), 5, axis=1), vix


@pytest.mark.parametrize(("positions", "episodes"), BLANK.values(), ids=BLANK)
def test_too_little_evidence_is_left_blank_and_nothing_is_generated(condition, positions, episodes):
    real, vix = windows_of_fifty_days(positions)
    row = conditional.compare_at(40, real, vix, np.arange(600), refuse, condition)
    assert all(np.isnan(row[name]) for name in conditional.METRICS)
    assert row["num_gen"] == 0
    assert (row["num_real_matched"], row["n_episodes"]) == (len(positions), episodes)
    assert row["half_width"] == 10.0
    np.testing.assert_equal(row["vix_matched_mean"], 41.0 if episodes else np.nan)


def test_thirty_windows_in_three_episodes_are_enough(condition):
    real, vix = windows_of_fifty_days([*range(10), *range(41, 51), *range(91, 101)])
    row = conditional.compare_at(40, real, vix, np.arange(600), lambda own: 2 * real[vix > 40], condition)
    assert (row["num_real_matched"], row["n_episodes"], row["num_gen"]) == (30, 3, 30)
    assert row["std_ratio"] == pytest.approx(2)


def test_windows_of_two_splits_are_as_far_apart_as_they_are_in_the_history(condition):
    real, vix = windows_of_fifty_days(range(30))
    seams = np.arange(600) + 49 * (np.arange(600) >= 10) + 49 * (np.arange(600) >= 20)
    row = conditional.compare_at(40, real, vix, seams, lambda own: real[:30], condition)
    assert row["n_episodes"] == 3


def test_a_target_beyond_the_training_windows_is_marked(real, vix, first_day, condition):
    for target, beyond in [(condition.lowest - 1, True), (condition.lowest, False), (condition.highest + 1, True)]:
        row = conditional.compare_at(target, real["all"], vix["all"], first_day["all"], lambda own: law(own), condition)
        assert row["extrapolated"] is beyond


def perfect(own: np.ndarray) -> np.ndarray:
    return law(own, seed=99)


def test_a_perfect_sampler_is_judged_right_at_the_matched_vix_and_wrong_at_the_target(real, vix, first_day, condition):
    """Most windows near a high VIX lie below it, so that the published comparison finds too much volatility."""
    fixed = {target: perfect(np.full(3000, target)) for target in (22.0, 35.0)}
    rows = conditional.compare("a", perfect, fixed, real, vix, first_day, condition, n_matched=4000)
    matched = rows[rows["mode"] == "matched"]
    np.testing.assert_allclose(matched["std_ratio"], 1, atol=0.005)
    assert matched["ks_D"].max() < 0.06
    biased = rows[rows["mode"] == "target"].set_index(["target_vix", "split"])
    for (target, split), row in biased.iterrows():
        near = vix[split][np.abs(vix[split] - target) <= row["half_width"]]
        assert row["std_ratio"] == pytest.approx(target / np.sqrt(np.mean(near**2)), abs=0.005)
    assert (biased.loc[35.0, "std_ratio"] > 1.05).all()
    assert (biased.loc[35.0, "vix_matched_mean"] < 34).all()
    assert (biased.loc[35.0, "q01_gap"] < 0).all()


@given(st.integers(1, 60), st.integers(1, 400))
def test_matched_windows_are_asked_for_equally_often(m, n):
    counts = np.bincount(conditional.spread(np.arange(m), n), minlength=m)
    assert counts.sum() == n
    assert counts.max() - counts.min() <= 1
    if n < m:  # from all of history, not the earliest ones alone: no stretch is passed over, the last neither
        taken = np.flatnonzero(counts)
        assert np.diff(taken, append=m).max() <= -(-m // n)


def test_a_sampler_that_is_too_wild_by_a_factor_is_found_at_the_matched_vix(real, vix, first_day, condition):
    fixed = {35.0: 1.3 * perfect(np.full(500, 35.0))}
    sample = lambda own: 1.3 * perfect(own)  # noqa: E731
    rows = conditional.compare("a", sample, fixed, real, vix, first_day, condition, n_matched=4000)
    np.testing.assert_allclose(rows.loc[rows["mode"] == "matched", "std_ratio"], 1.3, atol=0.006)


def test_compare_has_a_row_for_each_target_split_and_mode(real, vix, first_day, condition):
    requests = []

    def sample(own):
        requests.append(own)
        return perfect(own)

    fixed = {target: perfect(np.full(300, target)) for target in (20.0, 60.0)}
    rows = conditional.compare("a", sample, fixed, real, vix, first_day, condition, n_matched=5000)
    assert set(rows.columns) == set(tables.CONDITIONAL) - {"seed", "vix_at"}
    assert set(rows["model"]) == {"a"}
    keys = list(zip(rows["target_vix"], rows["split"], rows["mode"], strict=True))
    assert sorted(keys) == sorted(itertools.product(fixed, conditional.SPLITS, ("matched", "target")))
    assert (rows["guidance"] == 1).all()
    blank = rows["target_vix"] == 60  # which this market has hardly seen
    assert rows.loc[blank, "std_ratio"].isna().all()
    assert (rows.loc[blank, "num_gen"] == 0).all()
    assert set(rows.loc[~blank & (rows["mode"] == "target"), "num_gen"]) == {300}
    assert set(rows.loc[~blank & (rows["mode"] == "matched"), "num_gen"]) == {5000}
    assert len(requests) == 3  # the matched comparison of each split at 20, and none that would be blank
    for own, split in zip(requests, rows.loc[~blank & (rows["mode"] == "matched"), "split"], strict=True):
        matched = vix[split][conditional.match_vix(vix[split], 20)[0]]
        assert set(own) == set(matched)
        assert own.mean() == pytest.approx(matched.mean(), abs=0.05)
    for row in rows.to_dict("records"):
        starts = first_day[row["split"]][conditional.match_vix(vix[row["split"]], row["target_vix"])[0]]
        assert row["n_episodes"] == count_episodes(starts, seq_len=L)


# Dials


DIALS = {"targets": [15.0, 30.0], "guidance": [1.0, 2.0], "temperatures": [1.0, 1.5], "scales": [0.5, 1.0, 2.0]}


@pytest.fixture(scope="module")
def swept(toy_conditional, real, vix, first_day):
    return conditional.sweep(toy_conditional, real, vix, first_day, **DIALS, n=150, steps=5, seed=3)


def test_sweep_tries_every_combination_once(swept, vix):
    assert len(swept) == 2 * 2 * 2 * 3
    dials = swept[["target_vix", "guidance", "temperature", "output_scale"]]
    assert set(dials.itertuples(index=False, name=None)) == set(itertools.product(*DIALS.values()))
    assert set(tables.SWEEP) <= {*swept.columns, "model", "seed", "vix_at"}
    assert (swept["mode"] == "target").all()
    assert (swept["split"] == "all").all()
    assert (swept["num_gen"] == 150).all()
    for target, rows in swept.groupby("target_vix"):
        assert set(rows["num_real_matched"]) == {len(conditional.match_vix(vix["all"], target)[0])}


def test_sweep_marks_every_dial_above_one_as_amplified(swept):
    calm = swept[~swept["amplified"]]
    assert set(calm[["guidance", "temperature", "output_scale"]].itertuples(index=False, name=None)) == {
        (1, 1, 0.5),
        (1, 1, 1),
    }
    for name in ("guidance", "temperature", "output_scale"):
        assert swept.loc[swept[name] > 1, "amplified"].all()


def test_output_scale_multiplies_and_nothing_else_changes(swept, real, vix):
    for (target, _, _), rows in swept.groupby(["target_vix", "guidance", "temperature"]):
        rows = rows.set_index("output_scale")
        near = real["all"][conditional.match_vix(vix["all"], target)[0]]
        for scale in (0.5, 2.0):
            assert rows.loc[scale, "std_ratio"] == pytest.approx(scale * rows.loc[1.0, "std_ratio"], rel=1e-5)
            low = np.quantile(near, 0.01)
            assert rows.loc[scale, "q01_gap"] + low == pytest.approx(scale * (rows.loc[1.0, "q01_gap"] + low), rel=1e-4)
            for name in ("acf1_gap", "acf2_gap"):
                assert rows.loc[scale, name] == pytest.approx(rows.loc[1.0, name], abs=1e-6)


def test_one_run_of_the_diffusion_serves_all_amplitudes(toy_conditional, real, vix, first_day, monkeypatch):
    runs, decoded = [], []
    sample_latents, decode = generate.LatentGenerator.sample_latents, generate.LatentGenerator.decode

    def record(self, n, **options):
        runs.append((options["vix"], options["guidance"], options["steps"]))
        return sample_latents(self, n, **options)

    def amplify(self, z, **options):
        decoded.append((z.clone(), options["generator"].get_state(), options["temperature"]))
        return decode(self, z, **options)

    monkeypatch.setattr(generate.LatentGenerator, "sample_latents", record)
    monkeypatch.setattr(generate.LatentGenerator, "decode", amplify)
    conditional.sweep(toy_conditional, real, vix, first_day, **DIALS, n=20, steps=5, seed=3)
    assert runs == [(v, w, 5) for v, w in itertools.product(DIALS["targets"], DIALS["guidance"])]
    assert [temperature for *_, temperature in decoded] == DIALS["temperatures"] * 4
    for (z, noise, _), (same, same_noise, _) in zip(decoded[::2], decoded[1::2], strict=True):
        assert torch.equal(z, same)
        assert torch.equal(noise, same_noise)


def test_sweep_without_amplification_is_the_model_itself(toy_conditional, swept, real, vix):
    generator = torch.Generator().manual_seed(3)
    z = toy_conditional.sample_latents(150, vix=30.0, generator=generator, steps=5)
    noise = torch.Generator().manual_seed(4)  # another stream than the latents'
    windows = toy_conditional.decode(z, vix=30.0, generator=noise)
    near = real["all"][conditional.match_vix(vix["all"], 30)[0]]
    row = swept[(swept["target_vix"] == 30) & ~swept["amplified"] & (swept["output_scale"] == 1)]
    assert row["std_ratio"].item() == pytest.approx(metrics.std_ratio(near, windows))
    assert row["ks_D"].item() == pytest.approx(metrics.ks(near, windows)[0])


class Dial:
    """A model whose log volatility at a VIX is normal, and narrower by w: coverage has a closed form."""

    spread = 0.4

    def __init__(self):
        self.requests = []

    def sample(self, n, *, vix, guidance, seed, steps):
        self.requests.append((n, seed, steps))
        z = stats.norm.ppf((np.arange(n) + 0.5) / n)
        z[int(0.97 * n) :] = 5.0  # neither a median nor the central 90 % cares how far the last few are
        return np.exp(self.spread / guidance * z)[:, None] * law(np.full(n, vix), seed=seed)


def test_guidance_narrows_the_forecast_and_coverage_says_so():
    rng = np.random.default_rng(0)
    vix = np.exp(rng.uniform(np.log(10), np.log(60), size=4000))
    windows = np.exp(Dial.spread * rng.standard_normal(4000))[:, None] * law(vix, seed=1)
    levels, model = np.geomspace(vix.min(), vix.max(), 6), Dial()
    dial = conditional.guidance_dial(
        model, windows, vix, guidance=[1.0, 2.0, 4.0], levels=levels, shown=[15, 42.5], n=400, steps=7, seed=5
    )
    assert list(dial.columns) == ["guidance", "coverage", "volatility_15", "volatility_42.5"]
    np.testing.assert_array_equal(dial["guidance"], [1, 2, 4])
    expected = 2 * stats.norm.cdf(stats.norm.ppf(0.95) / dial["guidance"]) - 1
    np.testing.assert_allclose(dial["coverage"], expected, atol=0.02)
    np.testing.assert_allclose(dial["volatility_15"], MARKET * 15, rtol=1e-3)  # a power law between levels
    np.testing.assert_allclose(dial["volatility_42.5"], MARKET * 42.5, rtol=1e-3)
    assert model.requests == [(400, 5, 7)] * 18  # the same noise at every level and every w


def test_guidance_dial_of_a_trained_model(toy_conditional, toy_vix, toy_vix_windows):
    levels = np.geomspace(toy_vix.min(), toy_vix.max(), 5)
    dial = conditional.guidance_dial(
        toy_conditional, toy_vix_windows, toy_vix, guidance=[1.0, 3.0], levels=levels, shown=[20], n=500, steps=10, seed=0
    ).set_index("guidance")
    grid = scoring.quantile_grid(lambda level: toy_conditional.sample(500, vix=level, steps=10), levels)["log_rv"]
    inside = scoring.covered(scoring.at_vix(grid, levels, toy_vix), metrics.log_rv(toy_vix_windows))
    assert dial.loc[1.0, "coverage"] == pytest.approx(inside.mean())  # w = 1 is the model as it is
    assert dial.loc[1.0, "coverage"] == pytest.approx(0.9, abs=0.08)
    assert dial.loc[1.0, "volatility_20"] == pytest.approx(MARKET * 20, rel=0.15)
    assert (dial.loc[3.0] != dial.loc[1.0]).all()


def test_a_vix_that_the_levels_do_not_span_is_refused():
    vix = np.array([12.0, 20.0])
    options = {"guidance": [1.0], "levels": np.array([12.0, 20.0]), "n": 50, "steps": 1, "seed": 0}
    own = conditional.guidance_dial(Dial(), law(vix), vix, shown=[30], **options)
    assert list(own.columns) == ["guidance", "coverage", "volatility_16"]  # the middle of the data's own
    with pytest.raises(ValueError, match="is asked of a grid"):
        conditional.guidance_dial(Dial(), law(vix), vix * np.array([0.9, 1]), shown=[15], **options)


# Volatility against VIX


def test_volatility_by_vix_leaves_out_what_is_out_of_reach(toy_conditional):
    levels = np.array([5.0, 9.0, 10.0, 20.0, 60.0, 70.0, 80.0])  # trained from 10 to 60, reach a quarter
    table = conditional.volatility_by_vix(toy_conditional, levels, n=300, steps=5, seed=2)
    assert list(table.columns) == ["vix", "std", "median_rv", "extrapolated"]
    np.testing.assert_array_equal(table["vix"], [9, 10, 20, 60, 70])
    expected = toy_conditional.condition.extrapolated(table["vix"].to_numpy())
    np.testing.assert_array_equal(table["extrapolated"], expected)
    assert table.set_index("vix")["extrapolated"][[9, 20, 70]].tolist() == [True, False, True]
    assert table["std"].is_monotonic_increasing
    assert table["median_rv"].is_monotonic_increasing
    for row in table.itertuples():
        windows = toy_conditional.sample(300, vix=row.vix, seed=2, steps=5)
        assert row.std == pytest.approx(windows.std())
        assert row.median_rv == pytest.approx(np.median(np.sqrt(np.mean(windows.astype(float) ** 2, axis=1))))


def test_volatility_by_vix_uses_the_same_noise_at_every_level(toy_conditional):
    """With the networks blind to the VIX and a power law outside them, the curve is that power law exactly."""
    blind = replace(toy_conditional, scaler=replace(toy_conditional.scaler, log_vix_std=1e9, mean=0.0))
    powered = replace(blind, condition=replace(blind.condition, exponent=1.2))
    table = conditional.volatility_by_vix(powered, np.array([12.0, 24.0, 48.0]), n=200, steps=5, seed=0)
    for name in ("std", "median_rv"):
        np.testing.assert_allclose(table[name] / table[name][0], [1, 2**1.2, 4**1.2], rtol=1e-4)


def test_returns_near_a_vix_are_those_of_its_windows_with_their_episodes():
    vix = np.repeat([12.0, 40.0, 12.0, 40.0], 300)
    windows = np.where(vix[:, None] > 20, 0.01, -0.002) * np.ones((1200, 10))
    windows[300] += 0.1
    first_day = np.arange(1200) + 9 * (np.arange(1200) >= 305)  # a seam between two splits
    rows = conditional.returns_near([12, 40, 80], windows, vix, first_day).set_index("target_vix")
    np.testing.assert_allclose(rows["mean"], [-0.02, 0.1 + 1 / 600, np.nan])
    np.testing.assert_allclose(rows["median"], [-0.02, 0.1, np.nan])
    assert rows["n_windows"].tolist() == [600, 600, 0]
    assert rows["n_episodes"].tolist() == [60, 61, 0]


# Turning the knobs


def test_knobs_are_turned_one_at_a_time(toy_timegan, toy_stress):
    own = {"timegan": ("noise_mean", 0.0, toy_timegan), "vae_stress": ("mean_factor", 1.0, toy_stress)}
    for name, (knob, as_trained, model) in own.items():
        rows = conditional.turn_knobs(name, model, n=60, seed=2)
        assert set(rows["model"]) == {name}
        assert list(rows["knob"].unique()) == ["spread", knob]
        spreads, shifts = rows[rows["knob"] == "spread"], rows[rows["knob"] == knob]
        assert spreads["value"].tolist() == list(conditional.SPREADS)
        assert shifts["value"].tolist() == [as_trained + shift for shift in conditional.SHIFTS]
        for option, table in (("stress_scale", spreads), (knob, shifts)):
            for row in table.itertuples():
                volatility = metrics.realised_vol(model.sample(60, seed=2, **{option: row.value}))
                np.testing.assert_allclose([row.q05, row.q50, row.q95], np.quantile(volatility, [0.05, 0.5, 0.95]))
        plain = ["q05", "q50", "q95"]
        middle = spreads.loc[spreads["value"] == 1.0, plain], shifts.loc[shifts["value"] == as_trained, plain]
        np.testing.assert_array_equal(*middle)  # as trained, both panels show the same model


def test_a_model_without_a_centre_to_move_has_its_spread_alone(toy_generator):
    prior = generate.LatentGenerator(toy_generator.decoder, toy_generator.scaler)
    for name, model in (("vae_prior", prior), ("ldm_post", toy_generator)):
        assert set(conditional.turn_knobs(name, model, n=20)["knob"]) == {"spread"}


@pytest.mark.parametrize("what", ["vix", "first_day", "length"])
def test_windows_without_a_vix_a_day_or_of_another_length_are_refused(real, vix, condition, what):
    windows, levels = real["train"], vix["train"]
    days, fake = np.arange(len(windows)) * windows.shape[1], windows
    if what == "vix":
        levels = levels[1:]
    elif what == "first_day":
        days = days[1:]
    else:
        fake = windows[:, 1:]
    with pytest.raises(ValueError, match=r"days, real ones|give one of each"):
        conditional.compare_at(20.0, windows, levels, days, lambda _: fake, condition)


# Targets that a history does not reach


@pytest.mark.parametrize(
    ("targets", "lowest", "highest", "asked"),
    [
        ([15, 20, 25, 30], 8, 90, [15, 20, 25, 30]),
        ([12, 15, 20, 80], 14, 60, [15, 20]),  # those in reach
        ([15, 30], 8, 15, [10, 12]),  # of one alone nothing can be learned: quartiles of 9 to 13
        ([15], 8, 90, [15]),  # which is all that is asked for
        ([40], 8, 15, [11]),
        ([40, 50, 60, 80], 9, 13, [10, 12]),  # four quantiles, of which two round to one each
    ],
)
def test_targets_out_of_reach_are_left_out_or_replaced_by_the_datas_own(targets, lowest, highest, asked):
    vix = np.linspace(9, 13, 401)
    assert conditional.within_reach(targets, vix, lowest, highest) == asked


@given(
    st.lists(st.floats(1, 400), min_size=1, max_size=8),
    st.lists(st.floats(5, 300), min_size=2, max_size=50),
)
def test_what_is_asked_for_is_always_in_reach(targets, vix):
    lowest, highest = min(vix) / 1.25, max(vix) * 1.25
    asked = conditional.within_reach(targets, np.array(vix), lowest, highest)
    assert asked
    assert all(lowest <= target <= highest for target in asked)
    assert len(asked) <= len(targets)
