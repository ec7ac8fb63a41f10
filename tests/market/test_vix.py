"""The VIX beside a window: a condition with a reach, a power law that is recovered, and a law of the VIX at the end."""

import numpy as np
import pytest

from chaoslib.market import windows
from chaoslib.market.vix import (
    REACH,
    VIXCondition,
    VIXLaw,
    fit_vix_condition,
    fit_vix_exponent,
    fit_vix_law,
    r_squared,
    vix_predictors,
)

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
    noisy = 0.001 * vix[:, None] ** 0.7 * rng.standard_normal((4000, 50))
    exponent = fit_vix_exponent(noisy.astype(np.float32), vix)
    assert exponent == pytest.approx(0.7, abs=0.02)
    assert fit_vix_exponent(100 * noisy, 3 * vix) == pytest.approx(exponent, abs=1e-5)


def test_a_condition_describes_the_vix_of_the_training_windows():
    vix = np.array([10.0, 40.0, 20.0, 20.0])
    sample = following(vix, 0.6)
    fitted = fit_vix_condition(sample, vix, vix_at="start", normalise=True)
    assert fitted.to_dict() == pytest.approx(
        {"vix_at": "start", "exponent": 0.6, "typical": 20.0, "lowest": 10.0, "highest": 40.0}
        | dict(zip(("told_from", "told_to"), np.quantile(vix, [0.01, 0.99]), strict=True))
    )
    assert VIXCondition(**fitted.to_dict()) == fitted
    plain = fit_vix_condition(sample, vix, vix_at="end", normalise=False)
    assert (plain.vix_at, plain.exponent) == ("end", 0.0)
    np.testing.assert_array_equal(plain.scale(vix), np.ones((4, 1)))


def test_normalised_networks_are_told_no_vix_that_is_rare_and_plain_ones_every_vix():
    vix = np.geomspace(10.0, 80.0, 1001)
    normalised, plain = (
        fit_vix_condition(following(vix, 0.6), vix, vix_at="start", normalise=flag) for flag in (True, False)
    )
    levels = np.array([8.0, 12.0, 30.0, 70.0, 80.0, 100.0])
    np.testing.assert_array_equal(plain.told(levels), levels)
    np.testing.assert_allclose(normalised.told(levels)[1:4], levels[1:4])
    assert normalised.told(levels)[[4, 5]].tolist() == [np.quantile(vix, 0.99)] * 2
    assert normalised.scale(levels)[5] > normalised.scale(levels)[4]  # the power law goes on


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
    nearest = condition.nearest(vix)
    np.testing.assert_allclose(nearest, [8.0, 8.0, 8.0, 9.0, 20.0, 40.0, 45.0, 50.0, 50.0, 50.0])
    condition.check(nearest)
    np.testing.assert_array_equal(nearest[condition.reachable(vix)], vix[condition.reachable(vix)])  # to the bit


def test_standardised_windows_come_back(condition):
    scaler = windows.Scaler(50, 0.0004, 0.012, 3.0, 0.4)
    vix = np.geomspace(10, 40, 30)
    real = following(vix, 1.0).astype(np.float32)
    values, conditions = windows.standardise(real, scaler, condition, vix)
    assert (values.shape, conditions.shape) == ((30, 50), (30, 1))
    np.testing.assert_allclose(scaler.unscale(values) * condition.scale(vix), real, atol=1e-7)
    np.testing.assert_array_equal(conditions, scaler.standardise_vix(vix))


def test_without_a_condition_nothing_is_told_and_windows_are_only_scaled():
    scaler = windows.Scaler(50, 0.0004, 0.012, 3.0, 0.4)
    real = following(np.full(3, 20.0), 1.0)
    values, conditions = windows.standardise(real, scaler)
    assert conditions is None
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


def end_of(start: np.ndarray, recent: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """VIX at the end by the law of the fixture, without its residual, of windows (N, 50)."""
    return np.exp(1.0 - 1.5 * sample[:, 30:].sum(axis=1)) * start**0.3 * recent**0.5


def test_the_law_of_the_vix_is_recovered_where_it_holds_exactly():
    rng = np.random.default_rng(1)
    start, recent = np.exp(rng.normal(3, 0.4, 300)), np.exp(rng.normal(-4.6, 0.5, 300))
    sample = ending(recent)
    fitted = fit_vix_law(sample.astype(np.float32), start, end_of(start, recent, sample))
    assert (fitted.constant, fitted.start, fitted.vol, fitted.gain) == pytest.approx((1.0, 0.3, 0.5, -1.5), abs=1e-4)
    assert np.abs(fitted.residual).max() < 1e-5


def test_the_law_of_the_vix_is_recovered_under_noise_and_keeps_the_law_of_the_noise():
    rng = np.random.default_rng(2)
    start, recent = np.exp(rng.normal(3, 0.4, 20_000)), np.exp(rng.normal(-4.6, 0.5, 20_000))
    noise, sample = rng.beta(2, 5, size=20_000) - 2 / 7, ending(recent)  # skewed, as the VIX is
    fitted = fit_vix_law(sample, start, end_of(start, recent, sample) * np.exp(noise))
    assert (fitted.constant, fitted.start, fitted.vol, fitted.gain) == pytest.approx((1.0, 0.3, 0.5, -1.5), abs=0.05)
    assert VIXLaw(**fitted.to_dict()) == fitted
    flat, level = ending(np.full(20_000, 0.01)), np.full(20_000, 20.0)
    residuals = np.log(fitted.draw(flat, level, rng=np.random.default_rng(3)) / end_of(level, 0.01, flat))
    assert residuals.std() == pytest.approx(noise.std(), rel=0.03)
    levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    np.testing.assert_allclose(np.quantile(residuals, levels), np.quantile(noise, levels), atol=0.01)


def test_a_law_explains_all_but_the_noise():
    rng = np.random.default_rng(4)
    start, recent = np.exp(rng.normal(3, 0.4, 20_000)), np.exp(rng.normal(-4.6, 0.5, 20_000))
    sample, noise = ending(recent), rng.normal(0, 0.2, 20_000)
    exact = end_of(start, recent, sample)
    for shown, share in ((exact, 1.0), (exact * np.exp(noise), np.log(exact).var() / (np.log(exact).var() + 0.04))):
        assert r_squared(fit_vix_law(sample, start, shown), sample, start, shown) == pytest.approx(share, abs=0.01)


def test_draws_of_the_vix_are_linear_between_the_quantiles_of_the_residual(law):
    recent, start = np.full(40_000, 0.01), np.full(40_000, 20.0)
    sample = ending(recent)
    residuals = np.log(law.draw(sample, start, rng=np.random.default_rng(0)) / end_of(start, recent, sample))
    assert (residuals.min(), residuals.max()) == pytest.approx((-0.2, 0.8), abs=1e-3)
    levels = [0.125, 0.25, 0.5, 0.625, 0.75, 0.875]
    np.testing.assert_allclose(np.quantile(residuals, levels), [-0.15, -0.1, 0.0, 0.15, 0.3, 0.55], atol=0.01)


def test_the_vix_drawn_follows_the_last_twenty_days_and_the_vix_before_alone(law):
    recent, start = np.geomspace(0.003, 0.04, 50), np.linspace(10, 60, 50)

    def vix_at_end(sample: np.ndarray, vix: np.ndarray) -> np.ndarray:
        return law.draw(sample, vix, rng=np.random.default_rng(5))

    sample = ending(recent)
    plain, fall = vix_at_end(sample, start), np.exp(3.0 * sample[:, 30:].sum(axis=1))
    assert plain.shape == (50,)
    assert len(np.unique(plain / end_of(start, recent, sample))) == 50  # each window has a residual of its own
    np.testing.assert_allclose(vix_at_end(ending(recent, before=0.5), start), plain)
    np.testing.assert_allclose(vix_at_end(sample[:, 30:], start), plain)
    np.testing.assert_allclose(vix_at_end(-sample, start), fall * plain)  # a fall raises it where a gain had lowered it
    np.testing.assert_allclose(vix_at_end(sample, 2 * start), 2**0.3 * plain)
    assert not np.isclose(law.draw(sample, start, rng=np.random.default_rng(6)), plain).any()


def test_the_twentieth_day_from_the_end_still_counts_and_the_one_before_not():
    sample, start = ending(np.full(1, 0.01)), np.full(1, 20.0)
    for day, counts in ((29, False), (30, True), (49, True)):
        changed = sample.copy()
        changed[0, day] += 0.1
        before, after = (vix_predictors(each, start)[0, 2:] for each in (sample, changed))
        assert (before != after).tolist() == [counts, counts]


def test_days_without_a_move_give_a_vix_all_the_same(law):
    vix = law.draw(np.zeros((3, 50), dtype=np.float32), np.full(3, 20.0), rng=np.random.default_rng(0))
    assert (np.isfinite(vix) & (vix > 0)).all()
