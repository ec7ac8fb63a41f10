"""The autoencoder: closed forms of its loss, what its decoders may do, what its latents mean."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from chaoslib import vae


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


def test_variance_mismatch_is_zero_for_the_true_law_and_known_for_a_wrong_scale(batch):
    zeros = torch.zeros_like(batch)
    perfect = vae.variance_mismatch(batch, batch, zeros)  # the mean decodes the data itself
    assert perfect.item() == pytest.approx(0.0, abs=1e-10)
    halved = vae.variance_mismatch(batch, 0.5 * batch, zeros)
    assert halved.item() == pytest.approx(math.log(4) ** 2, rel=1e-5)
    calm = vae.variance_mismatch(batch, zeros, torch.full_like(batch, 0.5))  # a flat sigma of half the data's
    assert calm.item() == pytest.approx(math.log(4) ** 2, rel=0.25)


def test_variance_mismatch_sees_lost_dependence_between_days():
    trend = torch.randn(4000, 1, generator=seeded()).expand(-1, 50)  # every day of a window is the same return
    daily = vae.variance_mismatch(trend, torch.zeros_like(trend), torch.ones_like(trend))
    # sums over h days vary h^2 in the data and h in a model that draws days independently
    expected = sum(math.log(h) ** 2 for h in vae.SUM_HORIZONS) / len(vae.SUM_HORIZONS)
    assert daily.item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("decoder", vae.DECODERS)
def test_only_the_gaussian_decoder_has_noise_of_its_own(decoder):
    model = vae.GaussianVAE(vae.VAEShape(decoder=decoder, hidden=16))
    z = torch.randn(8, 16, generator=seeded())
    with torch.no_grad():
        mean, sigma = model.decode(z)
        drawn = model.sample_decoder(z, generator=seeded())
    assert mean.shape == sigma.shape == (8, 50)
    assert torch.equal(drawn, mean) == (decoder != "gaussian")
    assert bool((sigma > 0).all()) == (decoder == "gaussian")


def test_sampled_decode_has_the_decoded_moments():
    model = vae.GaussianVAE(vae.VAEShape(hidden=16, latent_dim=2))
    z = torch.randn(1, 2, generator=seeded()).expand(20_000, -1)
    with torch.no_grad():
        mean, sigma = model.decode(z[:1])
        drawn = model.sample_decoder(z, generator=seeded())
    torch.testing.assert_close(drawn.mean(dim=0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), sigma[0], atol=0.05, rtol=0)


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
