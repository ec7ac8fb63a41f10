"""Generators: saved and loaded they are the same, in log-returns, in bounded memory, with matching latents."""

import json

import numpy as np
import pytest
import torch

from chaoslib import generate, runs, vae


def saved(generator, folder):
    folder.mkdir()
    for name, content in generator.files().items():
        runs.write(folder / name, content, "." + name.split(".")[-1])
    return folder


@pytest.mark.parametrize("kind", ["prior", "diffusion"])
def test_a_loaded_model_samples_the_same_windows(toy_generator, tmp_path, kind):
    prior = generate.LatentGenerator(toy_generator.decoder, toy_generator.scaler)
    generator = toy_generator if kind == "diffusion" else prior
    loaded = generate.load(saved(generator, tmp_path / kind))
    windows = generator.sample(30, seed=4)
    assert windows.shape == (30, 10)
    assert windows.dtype == np.float32
    assert np.array_equal(loaded.sample(30, seed=4), windows)
    assert not np.array_equal(loaded.sample(30, seed=5), windows)


def test_samples_are_in_log_returns(toy_generator, toy_windows):
    prior = generate.LatentGenerator(toy_generator.decoder, toy_generator.scaler)
    assert 0.3 < prior.sample(2000).std() / toy_windows.std() < 3


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_samples_have_the_law_of_cpu_samples(toy_generator, tmp_path):
    folder = saved(toy_generator, tmp_path / "model")
    here, there = (generate.load(folder, device=device).sample(2000) for device in ("cpu", "cuda"))
    assert there.std() == pytest.approx(here.std(), rel=0.02)
