"""The autoencoder: closed forms of its loss, what its decoders may do, what its latents mean."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from chaoslib.models import vae


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn(400, 50, generator=seeded())


def test_kl_is_that_of_torch_distributions():
    mu, logvar = torch.randn(64, 5, generator=seeded(1)), torch.randn(64, 5, generator=seeded(2))
    expected = kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0)).mean(dim=0)
    torch.testing.assert_close(vae.kl_per_dimension(mu, logvar), expected)


def test_likelihood_is_that_of_torch_distributions(batch):
    mean, sigma = 0.1 * batch, 0.5 + batch.abs()
    expected = -Normal(mean, sigma).log_prob(batch).mean()
    torch.testing.assert_close(vae.negative_log_likelihood(batch, mean, sigma), expected)


def test_loss_weighs_a_summed_kl_against_a_mean_likelihood(batch):
    model = vae.GaussianVAE(vae.VAEShape(latent_dim=4, hidden=16))
    terms = {b: vae.vae_loss(model, batch, None, beta=b, varmatch_weight=0.5, generator=seeded()) for b in (0.0, 1.0)}
    with torch.no_grad():
        mu, logvar = model.encode(batch)
    torch.testing.assert_close(terms[1.0]["kl"], vae.kl_per_dimension(mu, logvar).sum())
    torch.testing.assert_close(terms[1.0]["loss"] - terms[0.0]["loss"], terms[1.0]["kl"])
    torch.testing.assert_close(terms[0.0]["loss"], terms[0.0]["likelihood"] + 0.5 * terms[0.0]["varmatch"])


# Variance matching


def matching(*terms: tuple[int, float]) -> float:
    """Mismatch of known terms (days, gap): their mean over all horizons, each weighted by 1/days."""
    return sum(gap / days for days, gap in terms) / sum(1 / days for days in vae.SUM_HORIZONS)


def equal(gap: float) -> float:
    """Mismatch of one gap at every horizon."""
    return matching(*((days, gap) for days in vae.SUM_HORIZONS))


def test_mismatch_is_zero_for_the_moments_of_the_data(batch):
    zeros = torch.zeros_like(batch)
    assert vae.moment_mismatch(batch, batch, zeros).item() == pytest.approx(0.0, abs=1e-10)  # it decodes the data itself
    shuffled = batch[torch.randperm(400, generator=seeded(1))]
    assert vae.moment_mismatch(batch, shuffled, zeros).item() == pytest.approx(0.0, abs=1e-10)
    known = vae.moment_mismatch(batch, zeros, torch.ones_like(batch))  # the law that the data were drawn from
    assert known.item() < 0.002


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.5, 3.0])
def test_mismatch_of_a_scaled_sigma_is_the_squared_log_ratio_of_variances(factor):
    x = torch.randn(8000, 50, generator=seeded())
    mismatch = vae.moment_mismatch(x, torch.zeros_like(x), torch.full_like(x, factor))
    assert mismatch.item() == pytest.approx(equal(math.log(factor**2) ** 2), rel=0.05)


@pytest.mark.parametrize("shift", [-0.2, 0.1, 0.5])
def test_mismatch_of_a_shifted_mean_is_the_squared_gap_in_standard_deviations(shift):
    x = torch.randn(8000, 50, generator=seeded())
    mismatch = vae.moment_mismatch(x, x + shift, torch.zeros_like(x))
    # sums over h independent days have variance h and are off by h * shift
    assert mismatch.item() == pytest.approx(matching(*((h, h * shift**2) for h in vae.SUM_HORIZONS)), rel=0.05)


def test_mismatch_sees_lost_dependence_between_days():
    trend = torch.randn(4000, 1, generator=seeded()).expand(-1, 50)  # every day of a window is the same return
    mismatch = vae.moment_mismatch(trend, torch.zeros_like(trend), torch.ones_like(trend))
    # sums over h days vary h^2 in the data and h in a model that draws days independently
    assert mismatch.item() == pytest.approx(matching(*((h, math.log(h) ** 2) for h in vae.SUM_HORIZONS)), rel=0.05)


def test_sums_over_long_horizons_weigh_less_than_days():
    half = torch.randn(2000, 1, generator=seeded(1)) + torch.randn(2000, 50, generator=seeded(2))
    x = torch.cat([half, half])
    joined = x.clone()
    for days in (slice(0, 20), slice(20, 40), slice(40, 50)):  # blocks of other windows: only 50-day sums notice
        joined[:, days] = x[torch.randperm(4000, generator=seeded(days.start)), days]
    lost = torch.log(joined.sum(dim=1).var() / x.sum(dim=1).var()).item()
    long = vae.moment_mismatch(x, joined, torch.zeros_like(x)).item()
    assert long == pytest.approx(matching((50, lost**2)), rel=0.02)

    wiggle = torch.randn(2000, 10, 5, generator=seeded(3))
    wiggle = (wiggle - wiggle.mean(dim=2, keepdim=True)).reshape(2000, 50)  # no sum over 5 days notices it
    wiggle *= math.sqrt(math.expm1(abs(lost)) * x.var() / wiggle.var())
    daily = vae.moment_mismatch(x, x + torch.cat([wiggle, -wiggle]), torch.zeros_like(x)).item()
    assert daily == pytest.approx(matching((1, lost**2)), rel=0.02)
    assert daily == pytest.approx(50 * long, rel=0.05)  # the same ratio of variances


def test_mismatch_by_condition_sees_calm_and_wild_windows_swapped():
    calm = torch.randn(400, 50, generator=seeded())
    x, swapped, zeros = torch.cat([calm, 3 * calm]), torch.cat([3 * calm, calm]), torch.zeros(800, 50)
    cond = torch.linspace(-2, 2, 800)[:, None]
    assert vae.moment_mismatch(x, swapped, zeros).item() == pytest.approx(0.0, abs=1e-8)  # the pooled moments agree
    assert vae.moment_mismatch(x, swapped, zeros, cond).item() == pytest.approx(equal(math.log(9) ** 2), rel=0.02)
    assert vae.moment_mismatch(x, x, zeros, cond).item() == pytest.approx(0.0, abs=1e-8)


def test_mismatch_by_condition_sees_sigmas_of_calm_and_wild_windows_swapped():
    cond = torch.linspace(-2, 2, 8000)[:, None]
    sigma = torch.where(cond < 0, 0.5, 1.5).expand(-1, 50)
    x, zeros = sigma * torch.randn(8000, 50, generator=seeded()), torch.zeros(8000, 50)
    right, swapped = (vae.moment_mismatch(x, zeros, each, cond).item() for each in (sigma, sigma.flip(0)))
    assert right < 0.002
    assert swapped == pytest.approx(equal(math.log(9) ** 2), rel=0.02)
    assert vae.moment_mismatch(x, zeros, sigma.flip(0)).item() < 0.002  # nothing to see in the pool


def test_the_loss_matches_moments_by_condition():
    torch.manual_seed(1)
    model = vae.GaussianVAE(vae.VAEShape(latent_dim=4, hidden=16, cond_dim=1))
    cond = torch.linspace(-2, 2, 200)[:, None]
    x = torch.exp(cond) * torch.randn(200, 50, generator=seeded())
    with torch.no_grad():
        terms = vae.vae_loss(model, x, cond, beta=0.0, varmatch_weight=2.0, generator=seeded(1))
        mean, sigma = model.decode(vae.draw_posterior(*model.encode(x, cond), generator=seeded(1)), cond)
        grouped, pooled = (vae.moment_mismatch(x, mean, sigma, c) for c in (cond, None))
    torch.testing.assert_close(terms["varmatch"], grouped)
    assert abs(grouped - pooled) > 0.1
    torch.testing.assert_close(terms["loss"], terms["likelihood"] + 2.0 * grouped)


def test_mismatch_by_condition_sees_means_that_cancel_in_the_pool():
    x = torch.randn(4000, 50, generator=seeded())
    up, down = torch.ones(2000, 50), -torch.ones(2000, 50)
    cond, off = torch.linspace(-2, 2, 4000)[:, None], 0.05 * torch.cat([up, down])
    pooled, grouped = (vae.moment_mismatch(x, x + off, torch.zeros_like(x), c).item() for c in (None, cond))
    expected = matching(*((h, h * 0.05**2) for h in vae.SUM_HORIZONS))
    assert grouped == pytest.approx(expected, rel=0.15)
    assert pooled < 0.2 * expected


def test_groups_follow_the_condition_and_not_its_scale():
    x, cond = torch.randn(300, 50, generator=seeded()), torch.randn(300, 1, generator=seeded(1))
    mean, sigma = 0.3 * x, 0.5 + 0.1 * cond.abs().expand(-1, 50)
    mismatch = vae.moment_mismatch(x, mean, sigma, cond)
    torch.testing.assert_close(vae.moment_mismatch(x, mean, sigma, cond.exp()), mismatch)
    torch.testing.assert_close(vae.moment_mismatch(x, mean, sigma, -cond), mismatch)


@pytest.mark.parametrize("conditional", [False, True])
def test_mismatch_does_not_depend_on_the_order_of_windows(batch, conditional):
    cond = torch.randn(400, 1, generator=seeded(1)) if conditional else None
    mean, sigma = 0.3 * batch, 0.2 + batch.abs()
    order = torch.randperm(400, generator=seeded(2))
    again = vae.moment_mismatch(batch[order], mean[order], sigma[order], cond[order] if conditional else None)
    torch.testing.assert_close(again, vae.moment_mismatch(batch, mean, sigma, cond))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("n", [1, 2, vae.FEWEST - 1, vae.FEWEST, 3 * vae.FEWEST + 1])
def test_a_few_windows_say_nothing_about_a_variance(batch, n, conditional):
    cond = torch.linspace(-1, 1, n)[:, None] if conditional else None
    mismatch = vae.moment_mismatch(batch[:n], torch.zeros(n, 50), torch.full((n, 50), 0.1), cond)
    assert (mismatch == 0) == (n < vae.FEWEST)
    assert torch.isfinite(mismatch)


@pytest.mark.parametrize("decoder", vae.DECODERS)
@pytest.mark.parametrize("n", [1, vae.FEWEST, 200])
def test_gradients_are_finite_and_variance_matching_has_some(batch, decoder, n):
    model = vae.GaussianVAE(vae.VAEShape(latent_dim=4, hidden=16, cond_dim=1, decoder=decoder))
    cond = torch.linspace(-1, 1, n)[:, None]
    terms = vae.vae_loss(model, batch[:n], cond, beta=0.1, varmatch_weight=5.0, generator=seeded())
    if n >= vae.FEWEST:
        grads = torch.autograd.grad(terms["varmatch"], list(model.decoder.parameters()), retain_graph=True)
        assert any(bool(grad.abs().sum() > 0) for grad in grads)
    terms["loss"].backward()
    assert all(bool(torch.isfinite(weight.grad).all()) for weight in model.parameters())


# Networks


@pytest.mark.parametrize("decoder", vae.DECODERS)
def test_only_the_gaussian_decoder_has_noise_of_its_own(decoder):
    model = vae.GaussianVAE(vae.VAEShape(decoder=decoder, hidden=16))
    z = torch.randn(8, 16, generator=seeded())
    with torch.no_grad():
        mean, sigma = model.decode(z)
        samples = model.sample_decoder(z, generator=seeded())
    assert mean.shape == sigma.shape == (8, 50)
    assert torch.equal(samples, mean) == (decoder != "gaussian")
    assert bool((sigma > 0).all()) == (decoder == "gaussian")


def test_sampled_decode_has_the_decoded_moments():
    model = vae.GaussianVAE(vae.VAEShape(hidden=16, latent_dim=2))
    z = torch.randn(1, 2, generator=seeded()).expand(20_000, -1)
    with torch.no_grad():
        mean, sigma = model.decode(z[:1])
        samples = model.sample_decoder(z, generator=seeded())
    torch.testing.assert_close(samples.mean(dim=0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(samples.std(dim=0), sigma[0], atol=0.05, rtol=0)


def test_sigma_stays_inside_its_bounds():
    model = vae.GaussianVAE(vae.VAEShape(hidden=16, log_sigma_min=-1.0, log_sigma_max=0.5))
    with torch.no_grad():
        _, sigma = model.decode(1000.0 * torch.randn(50, 16, generator=seeded()))
    assert sigma.log().min() >= -1.0 - 1e-5
    assert sigma.log().max() <= 0.5 + 1e-5


def test_unknown_decoder_names_the_known_ones():
    with pytest.raises(ValueError, match="gaussian, mse_varmatch, mse"):
        vae.GaussianVAE(vae.VAEShape(decoder="laplace"))


def test_the_condition_reaches_both_networks():
    model = vae.GaussianVAE(vae.VAEShape(seq_len=10, hidden=16, cond_dim=1))
    x, z = torch.randn(4, 10, generator=seeded()), torch.randn(4, 16, generator=seeded())
    low, high = torch.zeros(4, 1), torch.ones(4, 1)
    assert not torch.equal(model.encode(x, low)[0], model.encode(x, high)[0])
    assert not torch.equal(model.decode(z, low)[0], model.decode(z, high)[0])


def test_training_learns_volatility_that_differs_between_windows(toy_vae, toy_windows, toy_scaler):
    x = torch.from_numpy(toy_scaler.scale(toy_windows))
    with torch.no_grad():
        _, sigma = toy_vae.decode(toy_vae.encode(x)[0])
    wild = x.std(dim=1) > 0.6
    assert sigma[wild].mean() > 2 * sigma[~wild].mean()


def test_training_with_a_condition_makes_volatility_follow_it():
    cond = torch.linspace(-1.5, 1.5, 330)[torch.randperm(330, generator=seeded())][:, None]
    x = torch.exp(0.5 * cond) * torch.randn(330, 10, generator=seeded(1))
    shape = vae.VAEShape(seq_len=10, latent_dim=2, hidden=32, cond_dim=1)
    model, history = vae.fit_vae(
        x[:257], x[257:], shape, train_cond=cond[:257], val_cond=cond[257:], epochs=40, batch_size=64, warmup_epochs=5
    )  # the last batch of an epoch is a single window
    assert np.isfinite(history.to_numpy()).all()
    levels = torch.tensor([-1.0, -0.3, 0.3, 1.0])
    z = torch.randn(500, 2, generator=seeded(2))
    with torch.no_grad():
        spreads = [model.sample_decoder(z, c.expand(500, 1), generator=seeded(3)).std().item() for c in levels]
    np.testing.assert_allclose(spreads, torch.exp(0.5 * levels), rtol=0.3)
    assert spreads == sorted(spreads)


def test_same_seed_same_weights_and_history(toy_windows, toy_scaler):
    x = torch.from_numpy(toy_scaler.scale(toy_windows))
    shape = vae.VAEShape(seq_len=10, latent_dim=2, hidden=8)
    runs = [vae.fit_vae(x[:500], x[500:], shape, epochs=2, seed=seed) for seed in (0, 0, 1)]
    assert runs[0][1].equals(runs[1][1])
    assert not runs[0][1].equals(runs[2][1])
    for first, second in zip(runs[0][0].parameters(), runs[1][0].parameters(), strict=True):
        assert torch.equal(first, second)


def test_validation_cannot_change_the_model(toy_windows, toy_scaler):
    x = torch.from_numpy(toy_scaler.scale(toy_windows))
    shape = vae.VAEShape(seq_len=10, latent_dim=2, hidden=8)
    one, other = (vae.fit_vae(x[:500], val, shape, epochs=2)[0] for val in (x[500:], 7 * x[500:]))
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)


def test_beta_warms_up_linearly(toy_windows, toy_scaler):
    x = torch.from_numpy(toy_scaler.scale(toy_windows))
    shape = vae.VAEShape(seq_len=10, latent_dim=2, hidden=8)
    _, history = vae.fit_vae(x[:200], x[500:], shape, epochs=5, warmup_epochs=4, beta=0.4)
    assert history["beta"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_a_loss_that_is_not_finite_stops_with_advice():
    x = torch.full((300, 10), torch.nan)
    with pytest.raises(FloatingPointError, match="epoch 1: lower LR"):
        vae.fit_vae(x, x, vae.VAEShape(seq_len=10, hidden=8), epochs=1)


@pytest.mark.parametrize("convention", ["post", "mu"])
def test_latent_scaler_standardises_its_own_convention(convention):
    mu = 3 + 2 * torch.randn(20_000, 4, generator=seeded())
    logvar = torch.full_like(mu, math.log(5.0))
    scaler = vae.fit_latent_scaler(mu, logvar, convention)
    z = vae.draw_latents(mu, logvar, convention, generator=seeded(3))
    standard = scaler.standardise(z)
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(4), atol=0.03, rtol=0)
    torch.testing.assert_close(standard.std(dim=0), torch.ones(4), atol=0.02, rtol=0)
    torch.testing.assert_close(scaler.restore(standard), z)


def test_unknown_convention_is_refused():
    with pytest.raises(ValueError, match="'post' or 'mu'"):
        vae.fit_latent_scaler(torch.zeros(3, 2), torch.zeros(3, 2), "prior")
    with pytest.raises(ValueError, match="'post', 'mu' or 'prior'"):
        vae.draw_latents(torch.zeros(3, 2), torch.zeros(3, 2), "posterior", generator=seeded())


def test_draws_of_the_prior_do_not_know_the_posterior():
    mu, logvar = torch.full((5000, 2), 9.0), torch.full((5000, 2), -3.0)
    z = vae.draw_latents(mu, logvar, "prior", generator=seeded(2))
    assert torch.equal(z, torch.randn(5000, 2, generator=seeded(2)))


def stored_scalers() -> dict[str, np.ndarray]:
    """Both standardisers of the same latents, as they lie side by side in an archive."""
    mu = torch.randn(500, 4, generator=seeded())
    scalers = [vae.fit_latent_scaler(mu, torch.zeros_like(mu), convention) for convention in ("post", "mu")]
    return {key: value for scaler in scalers for key, value in scaler.to_arrays().items()}


@pytest.mark.parametrize("convention", ["post", "mu"])
def test_a_stored_standardiser_comes_back_by_its_convention(tmp_path, convention):
    np.savez(tmp_path / "latents.npz", allow_pickle=False, **stored_scalers())
    with np.load(tmp_path / "latents.npz", allow_pickle=False) as archive:
        scaler = vae.LatentScaler.from_arrays(dict(archive), convention)
    mu = torch.randn(500, 4, generator=seeded())
    expected = vae.fit_latent_scaler(mu, torch.zeros_like(mu), convention)
    assert scaler.convention == convention
    assert torch.equal(scaler.mean, expected.mean)
    assert torch.equal(scaler.std, expected.std)


@pytest.mark.parametrize("convention", ["post", "mu"])
def test_standardisers_that_were_swapped_are_refused(convention):
    swap = {"post": "mu", "mu": "post"}
    arrays = {f"{swap[key.split('_')[0]]}_{key.split('_')[1]}": value for key, value in stored_scalers().items()}
    with pytest.raises(ValueError, match=f"stored for '{convention}' latents says '{swap[convention]}': run 05_latents"):
        vae.LatentScaler.from_arrays(arrays, convention)


def test_a_standardiser_without_a_record_of_its_convention_is_refused():
    arrays = {key: value for key, value in stored_scalers().items() if not key.endswith("convention")}
    with pytest.raises(ValueError, match="stored for 'mu' latents says ''"):
        vae.LatentScaler.from_arrays(arrays, "mu")


def test_the_stress_prior_lies_around_the_mean_latent_of_its_windows():
    mu = 3 + 2 * torch.randn(500, 4, generator=seeded())
    prior, noise = vae.stress_prior(mu), torch.randn(50_000, 4, generator=seeded(1))
    assert prior.convention == "stress"
    torch.testing.assert_close(prior.restore(torch.zeros(1, 4))[0], mu.mean(dim=0))
    for spread in (0.5, 1.0, 2.0):
        z = prior.restore(spread * noise)
        torch.testing.assert_close(z.mean(dim=0), mu.mean(dim=0), atol=0.03, rtol=0)
        torch.testing.assert_close(z.std(dim=0), torch.full((4,), spread), atol=0.03, rtol=0)  # not the spread of mu
    torch.testing.assert_close(prior.standardise(prior.restore(noise)), noise, atol=1e-5, rtol=1e-5)


def test_one_window_of_stress_has_a_prior_too():
    mu = torch.tensor([[1.0, -2.0]])
    torch.testing.assert_close(vae.stress_prior(mu).restore(torch.zeros(3, 2)), mu.expand(3, -1))


def test_active_units_counts_latents_that_vary():
    mu = torch.randn(1000, 3, generator=seeded()) * torch.tensor([1.0, 0.05, 0.5])
    assert vae.active_units(mu) == 2


def test_the_mean_of_a_day_is_bounded_by_its_sigma():
    model = vae.GaussianVAE(vae.VAEShape(hidden=16, mean_bound=0.7))
    with torch.no_grad():
        mean, sigma = model.decode(1000.0 * torch.randn(200, 16, generator=seeded()))
    ratio = (mean / sigma).abs().max().item()
    assert 0.6 < ratio <= 0.7 + 1e-5


def test_log_sigma_is_a_line_between_knots():
    model = vae.GaussianVAE(vae.VAEShape(hidden=16, seq_len=13, sigma_knots=4))  # knots on days 0, 4, 8, 12
    with torch.no_grad():
        _, sigma = model.decode(5.0 * torch.randn(20, 16, generator=seeded()))
    log_sigma = sigma.log()
    second = log_sigma[:, 2:] - 2 * log_sigma[:, 1:-1] + log_sigma[:, :-2]
    bent = second.abs().max(dim=0).values > 1e-3
    assert bent.nonzero().flatten().tolist() == [3, 7]  # centred on days 4 and 8
    weights = vae.interpolation(4, 13)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(13))
