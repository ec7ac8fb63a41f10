"""Generators: saved and loaded they are the same, in log-returns, in bounded memory, with matching latents."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch

from chaoslib import diffusion, generate, metrics, runs, vae
from chaoslib.windows import VIXCondition


def saved(generator, folder):
    folder.mkdir()
    for name, content in generator.files().items():
        runs.write(folder / name, content, "." + name.split(".")[-1])
    return folder


def prior_of(model: generate.LatentGenerator) -> generate.LatentGenerator:
    """The VAE of a model, fed by its prior."""
    return generate.LatentGenerator(model.decoder, model.scaler, condition=model.condition)


@pytest.fixture(scope="module")
def deaf(toy_conditional) -> generate.LatentGenerator:
    """A normalised model whose networks do not hear the VIX: it acts through the normalisation alone."""
    decoder, denoiser = copy.deepcopy(toy_conditional.decoder), copy.deepcopy(toy_conditional.denoiser)
    with torch.no_grad():
        for network in (decoder.encoder, decoder.decoder):
            network[0].weight[:, -1] = 0.0
        denoiser.cond[0].weight.zero_()
    condition = dataclasses.replace(toy_conditional.condition, exponent=0.8)
    return dataclasses.replace(toy_conditional, decoder=decoder, denoiser=denoiser, condition=condition)


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
def test_a_loaded_model_samples_the_same_windows(toy_generator, tmp_path, kind):
    generator = toy_generator if kind == "diffusion" else prior_of(toy_generator)
    loaded = generate.load(saved(generator, tmp_path / kind))
    windows = generator.sample(30, seed=4)
    assert windows.shape == (30, 10)
    assert windows.dtype == np.float32
    assert np.array_equal(loaded.sample(30, seed=4), windows)
    assert not np.array_equal(loaded.sample(30, seed=5), windows)


def test_samples_are_in_log_returns(toy_generator, toy_windows):
    assert 0.3 < prior_of(toy_generator).sample(2000).std() / toy_windows.std() < 3


def test_memory_is_bounded_by_chunks(toy_generator, monkeypatch):
    largest = 0
    real = vae.GaussianVAE.sample_decoder

    def spy(self, z, *args, **kwargs):
        nonlocal largest
        largest = max(largest, len(z))
        return real(self, z, *args, **kwargs)

    monkeypatch.setattr(vae.GaussianVAE, "sample_decoder", spy)
    monkeypatch.setattr(generate, "CHUNK", 64)
    assert len(toy_generator.sample(150)) == 150
    assert largest == 64


def test_the_wrong_convention_is_an_error(toy_generator):
    wrong = vae.LatentScaler("mu", toy_generator.latent_scaler.mean, toy_generator.latent_scaler.std)
    with pytest.raises(ValueError, match="learned 'post' latents but would be decoded as 'mu' latents"):
        generate.LatentGenerator(
            toy_generator.decoder, toy_generator.scaler, toy_generator.denoiser, wrong, convention="post"
        )


def test_a_file_with_the_wrong_convention_is_refused(toy_generator, tmp_path):
    folder = saved(toy_generator, tmp_path / "model")
    shapes = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(shapes | {"latents": "mu"}))
    with pytest.raises(ValueError, match="learned 'post' latents"):
        generate.load(folder)


def test_round_trip_keeps_calm_and_wild_windows_apart(toy_generator, toy_windows):
    back = toy_generator.reconstruct(toy_windows, seed=0)
    wild = toy_windows.std(axis=1) > 0.01
    assert back[wild].std() > 2 * back[~wild].std()


def test_an_empty_folder_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.json"):
        generate.load(tmp_path)


def test_no_windows_is_refused(toy_generator):
    with pytest.raises(ValueError, match="at least one"):
        toy_generator.sample(0)


# Latents


@pytest.mark.parametrize("sampled", [True, False])
def test_latents_are_standardised_outside_and_restored_for_the_decoder(toy_generator, sampled):
    z = toy_generator.sample_latents(200, generator=torch.Generator().manual_seed(1))
    raw = diffusion.sample_latents(toy_generator.denoiser, 200, steps=10, generator=torch.Generator().manual_seed(1))
    assert torch.equal(z, raw)
    decoder, latents = toy_generator.decoder, toy_generator.latent_scaler.restore(z)
    with torch.no_grad():
        mean = decoder.decode(latents)[0]
        drawn = decoder.sample_decoder(latents, generator=torch.Generator().manual_seed(2))
    made = toy_generator.decode(z, generator=torch.Generator().manual_seed(2), sampled=sampled)
    np.testing.assert_array_equal(made, toy_generator.scaler.unscale((drawn if sampled else mean).numpy()))


def test_latents_and_decode_are_the_two_halves_of_sample(toy_conditional):
    vix = np.geomspace(12, 50, 40)
    generator = torch.Generator().manual_seed(6)
    z = toy_conditional.sample_latents(40, generator=generator, vix=vix, guidance=1.5, sampler="ddpm", steps=7)
    halves = toy_conditional.decode(z, generator=generator, vix=vix)
    whole = toy_conditional.sample(40, seed=6, vix=vix, guidance=1.5, sampler="ddpm", steps=7)
    np.testing.assert_array_equal(whole, halves)


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
def test_temperature_is_a_factor_on_standardised_latents(toy_generator, kind):
    model = toy_generator if kind == "diffusion" else prior_of(toy_generator)
    z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))

    def decoded(z, **options):
        return model.decode(z, generator=torch.Generator().manual_seed(1), **options)

    np.testing.assert_array_equal(decoded(z, temperature=1.0), decoded(z))
    np.testing.assert_array_equal(decoded(z, temperature=1.7), decoded(1.7 * z))
    assert not np.array_equal(decoded(z, temperature=1.7), decoded(z))


def test_reconstruction_passes_the_diffusion_by(toy_conditional, toy_vix_windows, toy_vix):
    both = [model.reconstruct(toy_vix_windows, toy_vix, seed=3) for model in (toy_conditional, prior_of(toy_conditional))]
    np.testing.assert_array_equal(*both)


# The VIX


def ask(model: generate.LatentGenerator, how: str, n: int, **vix) -> None:
    """Every way to ask a model for, or about, n windows."""
    generator = torch.Generator().manual_seed(0)
    ways = {
        "sample": lambda: model.sample(n, **vix),
        "sample_latents": lambda: model.sample_latents(n, generator=generator, **vix),
        "decode": lambda: model.decode(torch.zeros(n, 3), generator=generator, **vix),
        "encode": lambda: model.encode(np.zeros((n, 10), dtype=np.float32), **vix),
        "reconstruct": lambda: model.reconstruct(np.zeros((n, 10), dtype=np.float32), **vix),
    }
    ways[how]()


HOW = pytest.mark.parametrize("how", ["sample", "sample_latents", "decode", "encode", "reconstruct"])


@HOW
def test_a_conditional_model_asks_for_the_vix_and_says_which(toy_conditional, how):
    for model in (toy_conditional, prior_of(toy_conditional)):
        with pytest.raises(ValueError, match="conditional on the VIX at the window's start: give vix in index points"):
            ask(model, how, 4)


@HOW
def test_an_unconditional_model_refuses_a_vix(toy_generator, how):
    for model in (toy_generator, prior_of(toy_generator)):
        with pytest.raises(ValueError, match=r"unconditional: leave vix out, or load a 06_diffusion\.cond_"):
            ask(model, how, 4, vix=20.0)


@HOW
@pytest.mark.parametrize("shape", [(3,), (1,), (4, 1), (0,)])
def test_a_vix_of_the_wrong_shape_is_refused(toy_conditional, how, shape):
    with pytest.raises(ValueError, match=r"one number or one for each of the 4 windows"):
        ask(toy_conditional, how, 4, vix=np.full(shape, 20.0))


@pytest.mark.parametrize("how", ["sample", "sample_latents"])
@pytest.mark.parametrize("vix", [7.9, 75.1, np.array([20.0, 30.0, 100.0, 20.0])])
def test_a_vix_out_of_reach_is_refused(toy_conditional, how, vix):
    message = "out of reach: the training windows hold 10.00 to 60.00, and a model may be asked from 8.00 to 75.00"
    with pytest.raises(ValueError, match=message):
        ask(toy_conditional, how, 4, vix=vix)


@HOW
@pytest.mark.parametrize("vix", [-20.0, 0.0, np.nan, np.array([20.0, 30.0, np.nan, 20.0])])
def test_a_vix_that_is_none_is_refused(toy_conditional, how, vix):
    with pytest.raises(ValueError, match="give index points, which are positive"):
        ask(toy_conditional, how, 4, vix=vix)


def test_real_windows_may_have_any_vix(toy_conditional, toy_vix_windows, toy_vix):
    """A validation span may hold a crisis that train does not; its windows must still be encoded and probed."""
    wild = np.full(len(toy_vix), 300.0)
    assert torch.isfinite(toy_conditional.encode(toy_vix_windows, wild)[0]).all()
    assert np.isfinite(toy_conditional.reconstruct(toy_vix_windows, wild)).all()


def test_guidance_is_refused_where_there_is_none(toy_generator, toy_conditional):
    for model, given in ((toy_generator, {}), (prior_of(toy_generator), {}), (prior_of(toy_conditional), {"vix": 20.0})):
        with pytest.raises(ValueError, match="only a conditional diffusion has one"):
            model.sample(2, guidance=2.0, **given)


@pytest.mark.parametrize("guidance", [-1.0, float("nan"), float("inf")])
def test_guidance_that_is_no_number_of_zero_or_more_is_refused(toy_conditional, guidance):
    with pytest.raises(ValueError, match="give a number of 0 or more"):
        toy_conditional.sample(2, vix=20.0, guidance=guidance)


def test_a_denoiser_without_the_decoders_condition_is_refused(toy_generator, toy_conditional):
    with pytest.raises(ValueError, match="the denoiser has 0 conditions, the decoder 1"):
        dataclasses.replace(toy_conditional, denoiser=toy_generator.denoiser)


def test_no_steps_are_no_default(toy_generator):
    with pytest.raises(ValueError, match="steps is 0"):
        toy_generator.sample(2, steps=0)


@pytest.mark.parametrize("vix", [8.1, 74.0, np.array([20.0, 9.0])])
def test_a_vix_outside_the_training_windows_is_answered_with_a_warning(toy_conditional, vix, caplog):
    generate.warn_extrapolated.cache_clear()
    for _ in range(2):  # said once
        assert np.isfinite(toy_conditional.sample(2, vix=vix)).all()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"VIX {np.min(vix):g} is extrapolated: the training windows hold 10.0 to 60.0" in record.getMessage()


def test_a_vix_of_the_training_windows_is_answered_without_one(toy_conditional, caplog):
    toy_conditional.sample(2, vix=np.array([10.0, 60.0]))
    assert not caplog.records


def test_decoder_and_condition_belong_together(toy_generator, toy_conditional):
    with pytest.raises(ValueError, match="1 conditions, its VIX is None"):
        generate.LatentGenerator(toy_conditional.decoder, toy_conditional.scaler)
    with pytest.raises(ValueError, match="0 conditions, its VIX is VIXCondition"):
        generate.LatentGenerator(toy_generator.decoder, toy_generator.scaler, condition=toy_conditional.condition)


def test_the_anchor_of_the_vix_is_told(toy_generator, toy_conditional):
    assert toy_conditional.vix_at == "start"
    assert toy_generator.vix_at == ""


def test_a_prior_has_no_guidance(toy_conditional):
    with pytest.raises(ValueError, match="only a conditional diffusion has one: leave it at 1"):
        prior_of(toy_conditional).sample(3, vix=20.0, guidance=1.5)


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
@pytest.mark.parametrize("exponent", [0.0, 0.73])
def test_a_loaded_conditional_model_samples_the_same_windows(toy_conditional, tmp_path, kind, exponent):
    model = toy_conditional if kind == "diffusion" else prior_of(toy_conditional)
    model = dataclasses.replace(model, condition=dataclasses.replace(model.condition, exponent=exponent))
    loaded = generate.load(saved(model, tmp_path / kind))
    assert loaded.condition == model.condition
    assert isinstance(loaded.condition, VIXCondition)
    vix = np.geomspace(10, 60, 30)
    options = {"vix": vix, "seed": 4, "guidance": 1.0 if kind == "prior" else 2.0}
    np.testing.assert_array_equal(loaded.sample(30, **options), model.sample(30, **options))
    real = model.sample(30, vix=vix, seed=9)
    np.testing.assert_array_equal(loaded.reconstruct(real, vix), model.reconstruct(real, vix))


def test_one_number_is_that_number_for_every_window(toy_conditional):
    alone = toy_conditional.sample(20, vix=33, seed=2)
    np.testing.assert_array_equal(toy_conditional.sample(20, vix=np.full(20, 33.0), seed=2), alone)
    np.testing.assert_array_equal(toy_conditional.sample(20, vix=[33] * 20, seed=2), alone)
    assert alone.dtype == np.float32


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
def test_every_window_keeps_its_own_vix_across_chunks(deaf, monkeypatch, kind):
    model = deaf if kind == "diffusion" else prior_of(deaf)
    monkeypatch.setattr(generate, "CHUNK", 7)
    vix = np.random.default_rng(0).permutation(np.geomspace(11, 58, 20))
    typical = model.condition.typical
    made, plain = (model.sample(20, vix=v, seed=1) for v in (vix, typical))  # 7 + 7 + 6 windows, the same noise
    np.testing.assert_allclose(made, plain * ((vix / typical) ** 0.8)[:, None], rtol=1e-5)


def test_networks_hear_the_vix_of_their_chunk(toy_conditional, monkeypatch):
    heard = {"denoiser": [], "decoder": []}
    real_latents, real_decoder = diffusion.sample_latents, vae.GaussianVAE.sample_decoder

    def latents(*args, cond, **options):
        heard["denoiser"].append(cond)
        return real_latents(*args, cond=cond, **options)

    def decoder(self, z, cond=None, **options):
        heard["decoder"].append(cond)
        return real_decoder(self, z, cond, **options)

    monkeypatch.setattr(diffusion, "sample_latents", latents)
    monkeypatch.setattr(vae.GaussianVAE, "sample_decoder", decoder)
    monkeypatch.setattr(generate, "CHUNK", 8)
    vix = np.random.default_rng(0).permutation(np.geomspace(11, 58, 20))
    toy_conditional.sample(20, vix=vix)
    for parts in heard.values():
        assert [len(part) for part in parts] == [8, 8, 4]
        np.testing.assert_array_equal(torch.cat(parts), toy_conditional.scaler.standardise_vix(vix))


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
def test_volatility_rises_with_the_vix(toy_conditional, kind):
    model = toy_conditional if kind == "diffusion" else prior_of(toy_conditional)
    levels = np.array([12.0, 20.0, 33.0, 55.0])
    volatility = np.array([model.sample(600, vix=level, seed=1).std() for level in levels])
    assert (np.diff(volatility) > 0).all()
    np.testing.assert_allclose(volatility, 0.01 * levels / 20, rtol=0.3)  # the toy law


def test_windows_of_one_call_follow_their_own_vix(toy_conditional, monkeypatch):
    monkeypatch.setattr(generate, "CHUNK", 64)
    vix = np.where(np.arange(300) % 3 == 0, 55.0, 12.0)
    volatility = metrics.realised_vol(toy_conditional.sample(300, vix=vix))
    assert np.median(volatility[vix == 55]) > 3 * np.median(volatility[vix == 12])


# Windows normalised by a power of their VIX


@pytest.mark.parametrize("ratio", [0.5, 1.25, 2.0])
def test_normalised_samples_scale_with_a_power_of_the_vix(deaf, ratio):
    for model, options in ((prior_of(deaf), {}), (deaf, {}), (deaf, {"guidance": 2.0}), (deaf, {"sampler": "ddpm"})):
        plain, asked = (model.sample(50, vix=v, seed=3, **options) for v in (25.0, 25.0 * ratio))
        np.testing.assert_allclose(asked, plain * ratio**0.8, rtol=1e-5)


def test_normalised_round_trip_scales_with_a_power_of_the_vix(deaf, toy_vix_windows):
    real = toy_vix_windows[:40]
    scaled = (real * 2**0.8).astype(np.float32)
    for plain, double in zip(deaf.encode(real, 20.0), deaf.encode(scaled, 40.0), strict=True):
        torch.testing.assert_close(double, plain, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(deaf.reconstruct(scaled, 40.0), 2**0.8 * deaf.reconstruct(real, 20.0), rtol=1e-3, atol=1e-6)


def test_without_an_exponent_the_vix_acts_through_the_networks_alone(deaf):
    model = dataclasses.replace(deaf, condition=dataclasses.replace(deaf.condition, exponent=0.0))
    np.testing.assert_array_equal(model.sample(20, vix=12.0), model.sample(20, vix=50.0))


def test_round_trip_keeps_the_volatility_of_each_vix(toy_conditional, toy_vix_windows, toy_vix):
    back = toy_conditional.reconstruct(toy_vix_windows, toy_vix, seed=0)
    for chosen in (toy_vix < 15, (toy_vix > 20) & (toy_vix < 30), toy_vix > 40):
        assert back[chosen].std() == pytest.approx(toy_vix_windows[chosen].std(), rel=0.2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_samples_have_the_law_of_cpu_samples(toy_generator, tmp_path):
    folder = saved(toy_generator, tmp_path / "model")
    here, there = (generate.load(folder, device=device).sample(2000) for device in ("cpu", "cuda"))
    assert there.std() == pytest.approx(here.std(), rel=0.02)


def test_beyond_what_the_networks_are_told_the_power_law_goes_on_alone(toy_conditional):
    condition = dataclasses.replace(toy_conditional.condition, exponent=0.8, told_from=12.0, told_to=40.0)
    model = dataclasses.replace(toy_conditional, condition=condition)
    at_50, at_70 = (model.sample(20, vix=vix, seed=1) for vix in (50.0, 70.0))
    np.testing.assert_allclose(at_70, (70 / 50) ** 0.8 * at_50, rtol=1e-5)
