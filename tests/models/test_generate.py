"""Generators: saved and loaded they are the same, in log-returns, in bounded memory, with matching latents."""

import copy
import dataclasses
import json
import re

import numpy as np
import pytest
import torch

from chaoslib.evaluation import metrics
from chaoslib.market.vix import VIXCondition
from chaoslib.models import diffusion, generate, timegan, vae
from chaoslib.pipeline import files, reruns, runs


def saved(generator, folder):
    folder.mkdir()
    for name, content in generator.files().items():
        files.write(folder / name, content)
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


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"n": 0}, "n is 0: give a whole number of 1 or more"),
        ({"n": 2.5}, "n is 2.5: give a whole number of 1 or more"),
        ({"n": "3"}, "n is '3': give a whole number of 1 or more"),
        ({"n": True}, "n is True: give a whole number of 1 or more"),
        ({"n": None}, "n is None: give a whole number of 1 or more"),
        ({"seed": -1}, "seed is -1: give a whole number from 0 to 18446744073709551615"),
        ({"seed": 2**64}, "seed is 18446744073709551616: give a whole number from 0 to 18446744073709551615"),
        ({"seed": 1.5}, "seed is 1.5: give a whole number"),
        ({"seed": True}, "seed is True: give a whole number"),
        ({"seed": "1"}, "seed is '1': give a whole number"),
        ({"seed": None}, "seed is None: give a whole number"),
        ({"temperature": "1"}, "temperature is '1': give a number of 0 or more"),
        ({"stress_scale": True}, "stress_scale is True: give a number of 0 or more"),
    ],
)
def test_what_no_generator_can_be_asked_is_refused(toy_generator, toy_stress, toy_timegan, asked, message):
    for model in (toy_generator, prior_of(toy_generator), toy_stress, toy_timegan):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            model.sample(**{"n": 3} | asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 2.5}, "steps is 2.5: give a whole number of 1 or more"),
        ({"steps": "2"}, "steps is '2': give a whole number of 1 or more"),
        ({"steps": True}, "steps is True: give a whole number of 1 or more"),
        ({"steps": 0}, "steps is 0: give a whole number of 1 or more"),
        ({"guidance": "1"}, "guidance is '1': give a number of 0 or more"),
        ({"guidance": None}, "guidance is None: give a number of 0 or more"),
        ({"mean_factor": "2"}, "mean_factor is '2': give a finite number"),
    ],
)
def test_what_no_model_with_latents_can_be_asked_is_refused(toy_generator, toy_stress, asked, message):
    for model in (toy_generator, prior_of(toy_generator), toy_stress):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            model.sample(3, **asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 10**6}, "steps is 1000000, it must lie in 1.."),
        ({"sampler": "euler"}, "unknown sampler 'euler': use one of ddim, ddpm, dpm"),
        ({"sampler": 3}, "unknown sampler 3: use one of ddim, ddpm, dpm"),
        ({"sampler": ""}, "unknown sampler '': use one of ddim, ddpm, dpm"),
    ],
)
def test_what_no_diffusion_can_be_asked_is_refused(toy_generator, asked, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        toy_generator.sample(3, **asked)


def test_numbers_of_numpy_ask_as_those_of_python_do(toy_conditional, toy_timegan):
    asked = {"seed": np.int64(3), "steps": np.int16(2), "guidance": np.float32(1.5), "vix": np.float32(20)}
    plain = {"seed": 3, "steps": 2, "guidance": 1.5, "vix": 20}
    np.testing.assert_array_equal(toy_conditional.sample(np.uint8(4), **asked), toy_conditional.sample(4, **plain))
    np.testing.assert_array_equal(toy_timegan.sample(np.int32(4), seed=np.uint64(3)), toy_timegan.sample(4, seed=3))


def test_a_round_trip_needs_a_seed_of_the_same_kind(toy_generator, toy_windows):
    with pytest.raises(ValueError, match=r"^seed is 1\.5: give a whole number"):
        toy_generator.reconstruct(toy_windows[:2], seed=1.5)


# Latents


@pytest.mark.parametrize("sampled", [True, False])
def test_latents_are_standardised_outside_and_restored_for_the_decoder(toy_generator, sampled):
    z = toy_generator.sample_latents(200, generator=torch.Generator().manual_seed(1))
    raw = diffusion.sample_latents(toy_generator.denoiser, 200, steps=10, generator=torch.Generator().manual_seed(1))
    assert torch.equal(z, raw)
    decoder, latents = toy_generator.decoder, toy_generator.latent_scaler.restore(z)
    with torch.no_grad():
        mean = decoder.decode(latents)[0]
        noisy = decoder.sample_decoder(latents, generator=torch.Generator().manual_seed(2))
    samples = toy_generator.decode(z, generator=torch.Generator().manual_seed(2), sampled=sampled)
    np.testing.assert_array_equal(samples, toy_generator.scaler.unscale((noisy if sampled else mean).numpy()))


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
        with pytest.raises(
            ValueError, match="vix is None, but this model needs the VIX at the window's start: give index points"
        ):
            ask(model, how, 4)


@HOW
def test_an_unconditional_model_refuses_a_vix(toy_generator, how):
    for model in (toy_generator, prior_of(toy_generator)):
        with pytest.raises(ValueError, match=r"unconditional: leave vix out, or load a 06_diffusion\.cond_"):
            ask(model, how, 4, vix=20.0)


@HOW
@pytest.mark.parametrize("vix", ["20", True, ["20"] * 4, [True] * 4, [[20.0], [20.0, 30.0]]], ids=repr)
def test_a_vix_that_is_no_number_is_refused(toy_conditional, how, vix):
    with pytest.raises(ValueError, match=r"^vix is .*: give index points as numbers, such as 45$"):
        ask(toy_conditional, how, 4, vix=vix)


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
    for model, options in ((toy_generator, {}), (prior_of(toy_generator), {}), (prior_of(toy_conditional), {"vix": 20.0})):
        with pytest.raises(ValueError, match="only a conditional diffusion has one"):
            model.sample(2, guidance=2.0, **options)


@pytest.mark.parametrize("guidance", [-1.0, float("nan"), float("inf")])
def test_guidance_that_is_no_number_of_zero_or_more_is_refused(toy_conditional, guidance):
    with pytest.raises(ValueError, match="give a number of 0 or more"):
        toy_conditional.sample(2, vix=20.0, guidance=guidance)


def test_a_denoiser_without_the_decoders_condition_is_refused(toy_generator, toy_conditional):
    with pytest.raises(ValueError, match="the denoiser has 0 conditions, the decoder 1"):
        dataclasses.replace(toy_conditional, denoiser=toy_generator.denoiser)


@pytest.mark.parametrize("vix", [8.1, 74.0, np.array([20.0, 9.0])])
def test_a_vix_outside_the_training_windows_is_answered_with_a_warning(toy_conditional, vix, caplog):
    generate.warn_extrapolated.cache_clear()
    for _ in range(2):  # said once
        assert np.isfinite(toy_conditional.sample(2, vix=vix)).all()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"VIX {np.min(vix):.2f} is extrapolated: the training windows hold 10.00 to 60.00" in record.getMessage()


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


@HOW
def test_the_vix_of_a_call_is_resolved_once(toy_conditional, monkeypatch, how):
    monkeypatch.setattr(generate, "CHUNK", 2)
    calls, real = [], generate.LatentGenerator.resolve_vix
    monkeypatch.setattr(generate.LatentGenerator, "resolve_vix", lambda *a, **k: calls.append(a[1]) or real(*a, **k))
    ask(toy_conditional, how, 5, vix=20.0)
    assert calls == [20.0]


@pytest.mark.parametrize("vix", [25.0, np.array([12.0, 25.0, 50.0])])
def test_a_resolved_vix_is_in_index_points_and_as_the_networks_take_it(toy_conditional, toy_generator, vix):
    levels, cond = toy_conditional.resolve_vix(vix, 3)
    np.testing.assert_array_equal(levels, np.broadcast_to(vix, 3))
    np.testing.assert_array_equal(cond, toy_conditional.scaler.standardise_vix(levels))
    assert (cond.shape, cond.dtype) == ((3, 1), torch.float32)
    assert toy_generator.resolve_vix(None, 3) == (None, None)


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
    samples, plain = (model.sample(20, vix=v, seed=1) for v in (vix, typical))  # 7 + 7 + 6 windows, the same noise
    np.testing.assert_allclose(samples, plain * ((vix / typical) ** 0.8)[:, None], rtol=1e-5)


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
        plain, scaled = (model.sample(50, vix=v, seed=3, **options) for v in (25.0, 25.0 * ratio))
        np.testing.assert_allclose(scaled, plain * ratio**0.8, rtol=1e-5)


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


# Temperature, stress scale and mean factor


def heard(model: generate.LatentGenerator, n: int, **options) -> torch.Tensor:
    """(n, D) latents that the decoder is given while `model` samples."""
    parts, real = [], vae.GaussianVAE.sample_decoder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae.GaussianVAE, "sample_decoder", lambda self, z, *a, **k: parts.append(z) or real(self, z, *a, **k))
        model.sample(n, **options)
    return torch.cat(parts)


def kinds(toy_generator, toy_stress) -> dict[str, generate.LatentGenerator]:
    return {"prior": prior_of(toy_generator), "stress": toy_stress, "diffusion": toy_generator}


KINDS = pytest.mark.parametrize("kind", ["prior", "stress", "diffusion"])


@KINDS
def test_as_trained_is_the_default(toy_generator, toy_stress, kind):
    model = kinds(toy_generator, toy_stress)[kind]
    plain = model.sample(40, seed=3)
    np.testing.assert_array_equal(model.sample(40, seed=3, temperature=1.0, stress_scale=1.0, mean_factor=1.0), plain)
    generator = torch.Generator().manual_seed(3)
    z = model.sample_latents(40, generator=generator)
    np.testing.assert_array_equal(model.decode(z, generator=generator), plain)


@KINDS
@pytest.mark.parametrize(("temperature", "stress_scale"), [(2.0, 1.0), (1.0, 0.5), (0.5, 3.0), (0.0, 1.0)])
def test_temperature_times_stress_scale_multiplies_standardised_latents(
    toy_generator, toy_stress, kind, temperature, stress_scale
):
    model = kinds(toy_generator, toy_stress)[kind]
    plain, turned = heard(model, 30, seed=2), heard(model, 30, seed=2, temperature=temperature, stress_scale=stress_scale)
    if model.latent_scaler is not None:
        plain, turned = (model.latent_scaler.standardise(z) for z in (plain, turned))
    torch.testing.assert_close(turned, temperature * stress_scale * plain, atol=1e-5, rtol=1e-5)


@KINDS
def test_only_the_product_of_temperature_and_stress_scale_matters(toy_generator, toy_stress, kind):
    model = kinds(toy_generator, toy_stress)[kind]
    samples = [model.sample(20, seed=1, temperature=t, stress_scale=s) for t, s in ((0.5, 4.0), (4.0, 0.5), (1.0, 2.0))]
    np.testing.assert_array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], samples[2])
    assert not np.array_equal(samples[0], model.sample(20, seed=1))


@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_latents_of_stress_lie_around_the_factor_times_their_mean(toy_stress, factor):
    centre = factor * toy_stress.latent_scaler.mean
    torch.testing.assert_close(heard(toy_stress, 8, mean_factor=factor, temperature=0.0), centre.expand(8, -1))
    noise = heard(dataclasses.replace(toy_stress, latent_scaler=None), 500, seed=1)  # the same draws around zero
    torch.testing.assert_close(heard(toy_stress, 500, seed=1, mean_factor=factor, stress_scale=1.5), centre + 1.5 * noise)
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_at_a_factor_of_zero_a_stress_model_is_its_prior(toy_stress):
    plain = dataclasses.replace(toy_stress, latent_scaler=None)
    np.testing.assert_array_equal(toy_stress.sample(30, seed=5, mean_factor=0.0), plain.sample(30, seed=5))


def test_the_stress_prior_makes_wild_windows(toy_stress, toy_generator):
    assert toy_stress.sample(1000).std() > 1.2 * prior_of(toy_generator).sample(1000).std()


def test_a_mean_factor_leaves_the_model_as_it_was(toy_stress):
    before = toy_stress.sample(10)
    toy_stress.sample(10, mean_factor=3.0)
    np.testing.assert_array_equal(toy_stress.sample(10), before)


def test_a_loaded_stress_model_keeps_its_place(toy_stress, tmp_path):
    loaded = generate.load(saved(toy_stress, tmp_path / "stress"))
    assert loaded.latent_scaler.convention == "stress"
    torch.testing.assert_close(loaded.latent_scaler.mean, toy_stress.latent_scaler.mean, rtol=0, atol=0)
    options = {"seed": 4, "temperature": 1.3, "mean_factor": 1.5}
    np.testing.assert_array_equal(loaded.sample(30, **options), toy_stress.sample(30, **options))
    assert not np.array_equal(loaded.sample(30), dataclasses.replace(loaded, latent_scaler=None).sample(30))


def test_a_round_trip_passes_the_stress_prior_by(toy_stress, toy_windows):
    plain = dataclasses.replace(toy_stress, latent_scaler=None)
    np.testing.assert_array_equal(*(model.reconstruct(toy_windows[:50]) for model in (toy_stress, plain)))


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
def test_a_mean_factor_is_refused_where_there_is_none(toy_generator, toy_stress, kind):
    with pytest.raises(ValueError, match="mean_factor is 0, but only a stress-filtered VAE has one: leave it at 1"):
        kinds(toy_generator, toy_stress)[kind].sample(2, mean_factor=0.0)


def test_a_stress_prior_does_not_restore_the_latents_of_a_denoiser(toy_generator, toy_stress):
    with pytest.raises(ValueError, match="learned 'post' latents but would be decoded as 'stress' latents"):
        dataclasses.replace(toy_generator, latent_scaler=toy_stress.latent_scaler)


@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
@pytest.mark.parametrize("knob", ["temperature", "stress_scale"])
@pytest.mark.parametrize("kind", ["prior", "stress", "diffusion", "timegan"])
def test_a_spread_that_is_no_number_of_zero_or_more_is_refused(toy_generator, toy_stress, toy_timegan, kind, knob, value):
    model = {**kinds(toy_generator, toy_stress), "timegan": toy_timegan}[kind]
    with pytest.raises(ValueError, match=f"{knob} is {value}: give a number of 0 or more"):
        model.sample(2, **{knob: value})


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_mean_factor_that_is_no_number_is_refused(toy_generator, toy_stress, factor):
    for model in (toy_generator, toy_stress):
        with pytest.raises(ValueError, match=r"mean_factor is .*: give a finite number"):
            model.sample(5, mean_factor=factor)


def test_a_stress_filtered_vae_says_so_and_no_other(toy_generator, toy_stress, toy_conditional, tmp_path):
    assert toy_stress.is_stress
    assert generate.load(saved(toy_stress, tmp_path / "stress")).is_stress
    for model in (toy_generator, prior_of(toy_generator), toy_conditional, prior_of(toy_conditional)):
        assert not model.is_stress


def test_a_vae_alone_has_no_standardiser_of_latents(toy_generator):
    with pytest.raises(ValueError, match="a VAE alone would be decoded as 'post' latents"):
        dataclasses.replace(prior_of(toy_generator), latent_scaler=toy_generator.latent_scaler)


# TimeGAN


def test_timegan_samples_are_what_its_networks_make_of_noise_in_log_returns(toy_timegan):
    noise = torch.randn(10, 1, 25, generator=torch.Generator().manual_seed(7))
    samples = toy_timegan.sample(25, seed=7)
    np.testing.assert_allclose(samples, 0.3 * toy_timegan.model(noise).numpy() - 0.2, atol=1e-7)
    assert (samples.shape, samples.dtype) == ((25, 10), np.float32)
    assert len({window.tobytes() for window in samples}) == 25


def test_timegan_with_the_same_seed_makes_the_same_bytes(toy_timegan):
    one, two, other = (toy_timegan.sample(30, seed=seed) for seed in (4, 4, 5))
    assert one.tobytes() == two.tobytes()
    assert not np.isclose(one, other).all(axis=1).any()


def test_timegan_goes_on_across_chunks_and_holds_one_at_a_time(toy_timegan, monkeypatch):
    monkeypatch.setattr(generate, "CHUNK", 16)
    sizes, real = [], timegan.TimeGAN.forward
    monkeypatch.setattr(timegan.TimeGAN, "forward", lambda self, z: sizes.append(z.shape[2]) or real(self, z))
    samples = toy_timegan.sample(40, seed=2)
    assert sizes == [16, 16, 8]
    assert len({window.tobytes() for window in samples}) == 40  # no chunk repeats the noise of another
    assert toy_timegan.sample(40, seed=2).tobytes() == samples.tobytes()
    np.testing.assert_array_equal(toy_timegan.sample(16, seed=2), samples[:16])


def test_a_number_of_windows_beyond_one_chunk_comes_back_whole(toy_timegan):
    samples = toy_timegan.sample(generate.CHUNK + 3, seed=1)
    assert samples.shape == (generate.CHUNK + 3, 10)
    np.testing.assert_array_equal(samples[: generate.CHUNK], toy_timegan.sample(generate.CHUNK, seed=1))


def test_a_saved_and_loaded_timegan_samples_the_same_windows(toy_timegan, tmp_path):
    torch.manual_seed(1)
    shape = dataclasses.replace(toy_timegan.model.shape, noise_dim=2, layers=3)
    model = generate.TimeGANGenerator(timegan.TimeGAN(shape))
    run = runs.Run("08_timegan", {"RUN_DIR": str(tmp_path), "VARIANT": "full"}, tmp_path)
    run.save(model.files())
    loaded = generate.load(run.folder)
    assert loaded.model.shape == shape
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    options = {"seed": 6, "temperature": 1.5, "noise_mean": -0.4}
    assert loaded.sample(30, **options).tobytes() == model.sample(30, **options).tobytes()


def test_timegan_without_spread_makes_one_window(toy_timegan):
    for options in ({"temperature": 0.0}, {"stress_scale": 0.0}):
        samples = toy_timegan.sample(50, **options)
        np.testing.assert_allclose(samples, np.broadcast_to(samples[:1], samples.shape), atol=1e-7)
        assert np.ptp(samples[0]) > 1e-6  # its days differ


@pytest.mark.parametrize("spread", [0.0, 1.0, 1.7])
@pytest.mark.parametrize("mean", [-2.0, 0.0, 0.5])
def test_noise_of_timegan_has_the_spread_and_the_mean_it_is_asked_for(toy_timegan, monkeypatch, spread, mean):
    noise = torch.randn(10, 1, 20, generator=torch.Generator().manual_seed(0))
    heard, real = [], timegan.TimeGAN.forward
    monkeypatch.setattr(timegan.TimeGAN, "forward", lambda self, z: heard.append(z) or real(self, z))
    toy_timegan.sample(20, temperature=spread, noise_mean=mean)
    torch.testing.assert_close(heard[0], mean + spread * noise)


@pytest.mark.parametrize(("push", "extreme"), [(-1000.0, -0.2), (1000.0, 0.1)])
def test_no_sample_of_timegan_exceeds_the_extremes_of_training(toy_timegan, push, extreme):
    loud = copy.deepcopy(toy_timegan.model)
    torch.nn.init.constant_(loud.recovery.head.bias, push)
    samples = generate.TimeGANGenerator(loud).sample(20, stress_scale=1000.0, noise_mean=push)
    np.testing.assert_allclose(samples, extreme, atol=1e-6)


def test_timegan_as_trained_is_the_default(toy_timegan):
    plain = toy_timegan.sample(20)
    np.testing.assert_array_equal(toy_timegan.sample(20, temperature=1.0, stress_scale=1.0, noise_mean=0.0), plain)
    for turned in ({"temperature": 2.0}, {"stress_scale": 2.0}, {"noise_mean": 0.5}):
        assert not np.isclose(toy_timegan.sample(20, **turned), plain).all(axis=1).any()


def test_only_the_product_of_temperature_and_stress_scale_matters_to_timegan(toy_timegan):
    samples = [toy_timegan.sample(20, temperature=t, stress_scale=s) for t, s in ((0.5, 4.0), (4.0, 0.5), (1.0, 2.0))]
    np.testing.assert_array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], samples[2])


@pytest.mark.parametrize("options", [{"vix": 20.0}, {"vix": np.full(2, 20.0)}, {"guidance": 2.0}, {"guidance": 0.0}])
def test_timegan_knows_no_vix(toy_timegan, options):
    with pytest.raises(ValueError, match=r"knows no VIX: leave vix and guidance out, or load a 06_diffusion\.cond_"):
        toy_timegan.sample(2, **options)


@pytest.mark.parametrize("n", [0, -1])
def test_no_windows_of_timegan_are_refused(toy_timegan, n):
    with pytest.raises(ValueError, match=f"n is {n}: give a whole number of 1 or more"):
        toy_timegan.sample(n)


@pytest.mark.parametrize("mean", [float("nan"), float("-inf")])
def test_a_noise_mean_that_is_no_number_is_refused(toy_timegan, mean):
    with pytest.raises(ValueError, match=r"noise_mean is .*: give a finite number"):
        toy_timegan.sample(5, noise_mean=mean)


# One loader a family


def test_each_family_has_its_loader(toy_generator, toy_stress, toy_timegan, tmp_path):
    for kind, model in (kinds(toy_generator, toy_stress) | {"timegan": toy_timegan}).items():
        folder = saved(model, tmp_path / kind)
        ours, other = generate.load_latent, generate.load_timegan
        if kind == "timegan":
            ours, other = other, ours
        np.testing.assert_array_equal(ours(folder).sample(5), model.sample(5))
        with pytest.raises(ValueError, match=f"{kind} holds no (vae|timegan): read it with generate.load"):
            other(folder)


@pytest.mark.parametrize("read", [generate.load_latent, generate.load_timegan])
def test_a_loader_of_a_family_says_what_an_empty_folder_lacks(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"holds no model\.json: it is not the folder of a finished 03_vae"):
        read(tmp_path)


def test_neither_family_is_reached_through_the_loader_of_the_other(root):
    """So that a change of one does not rerun the stages of the other."""
    names = {}
    for loader in ("load_latent", "load_timegan"):
        code = f"from chaoslib.models import generate\ngenerate.{loader}('here')"
        names[loader] = {name.rsplit(".", 1)[0] for name, _ in reruns.reached(code, root / "chaoslib")}
    assert {"models.vae", "models.diffusion"} <= names["load_latent"] - names["load_timegan"]
    assert "models.timegan" in names["load_timegan"] - names["load_latent"]
