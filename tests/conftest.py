"""Shared by all tests: small trained models on a toy history, and the repository's folder."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest
import torch

from chaoslib.market.vix import fit_vix_condition
from chaoslib.market.windows import Scaler, standardise
from chaoslib.models import diffusion, generate, timegan, vae

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]
SEQ_LEN = 10


def pytest_configure():
    """What make tells its recipes is not for the calls of make that tests make."""
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def copy(root, tmp_path) -> Path:
    """A copy of everything the plan of the workflow reads."""
    for folder in ("params", "notebooks", "chaoslib"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("executed", "__pycache__", "*.csv"))
    return tmp_path


@pytest.fixture(scope="session")
def toy_windows() -> np.ndarray:
    """(600, 10) log-returns of calm and wild windows: volatility 0.5 % or 2 % a day."""
    rng = np.random.default_rng(0)
    volatility = rng.choice([0.005, 0.02], size=(600, 1))
    return (volatility * rng.standard_normal((600, SEQ_LEN))).astype(np.float32)


@pytest.fixture(scope="session")
def toy_scaler(toy_windows) -> Scaler:
    return Scaler(SEQ_LEN, float(toy_windows.mean()), float(toy_windows.std()), 3.0, 0.4)


@pytest.fixture(scope="session")
def toy_vae(toy_windows, toy_scaler) -> vae.GaussianVAE:
    x = torch.from_numpy(toy_scaler.scale(toy_windows))
    shape = vae.VAEShape(seq_len=SEQ_LEN, latent_dim=3, hidden=32)
    model, _ = vae.fit_vae(x[:500], x[500:], shape, epochs=60, batch_size=32, warmup_epochs=5)
    return model


@pytest.fixture(scope="session")
def toy_generator(toy_vae, toy_scaler, toy_windows) -> generate.LatentGenerator:
    with torch.no_grad():
        mu, logvar = toy_vae.encode(torch.from_numpy(toy_scaler.scale(toy_windows)))
    scaler = vae.fit_latent_scaler(mu, logvar, "post")
    shape = diffusion.DenoiserShape(latent_dim=3, hidden=32, blocks=1, timesteps=50)

    def draw(generator):
        return scaler.standardise(vae.draw_latents(mu, logvar, "post", generator=generator))

    denoiser, _ = diffusion.fit_diffusion(draw, draw(torch.Generator().manual_seed(0)), shape, epochs=5, lr=1e-3)
    return generate.LatentGenerator(toy_vae, toy_scaler, denoiser, scaler, convention="post", steps=10)


@pytest.fixture(scope="session")
def toy_stress(toy_generator, toy_windows) -> generate.LatentGenerator:
    """A VAE whose latents lie around the mean latent of the wild windows."""
    wild = toy_windows[toy_windows.std(axis=1) > 0.012]
    prior = generate.LatentGenerator(toy_generator.decoder, toy_generator.scaler)
    mu, _ = prior.encode(wild)
    return replace(prior, latent_scaler=vae.stress_prior(mu))


@pytest.fixture(scope="session")
def toy_timegan() -> generate.TimeGANGenerator:
    """Untrained networks with large weights, so that windows differ."""
    torch.manual_seed(0)
    model = timegan.TimeGAN(timegan.TimeGANShape(seq_len=SEQ_LEN, hidden=4, layers=2, low=-0.2, high=0.1))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3.0)
    return generate.TimeGANGenerator(model.eval().requires_grad_(False))


@pytest.fixture(scope="session")
def toy_vix() -> np.ndarray:
    """(600,) VIX from 10 to 60 index points, even in its logarithm."""
    return np.random.default_rng(1).permutation(np.geomspace(10, 60, 600))


@pytest.fixture(scope="session")
def toy_vix_windows(toy_vix) -> np.ndarray:
    """(600, 10) log-returns whose volatility is proportional to the VIX: 1 % a day at 20."""
    noise = np.random.default_rng(2).standard_normal((len(toy_vix), SEQ_LEN))
    return (0.01 * toy_vix[:, None] / 20 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def toy_conditional(toy_vix, toy_vix_windows) -> generate.LatentGenerator:
    """A conditional model of the toy windows; it reads the VIX at their start."""
    scaler = Scaler(
        SEQ_LEN,
        float(toy_vix_windows.mean()),
        float(toy_vix_windows.std()),
        float(np.log(toy_vix).mean()),
        float(np.log(toy_vix).std()),
    )
    condition = fit_vix_condition(toy_vix_windows, toy_vix, vix_at="start", normalise=False)
    x, cond = map(torch.from_numpy, standardise(toy_vix_windows, scaler, condition, toy_vix))
    shape = vae.VAEShape(seq_len=SEQ_LEN, latent_dim=3, hidden=32, cond_dim=1)
    decoder, _ = vae.fit_vae(
        x[:500], x[500:], shape, train_cond=cond[:500], val_cond=cond[500:], epochs=30, batch_size=64, warmup_epochs=5
    )
    with torch.no_grad():
        mu, logvar = decoder.encode(x, cond)
    latents = vae.fit_latent_scaler(mu, logvar, "post")

    def draw(generator):
        return latents.standardise(vae.draw_latents(mu, logvar, "post", generator=generator))

    denoiser, _ = diffusion.fit_diffusion(
        draw,
        draw(torch.Generator().manual_seed(0)),
        diffusion.DenoiserShape(latent_dim=3, hidden=32, blocks=1, cond_dim=1, timesteps=50),
        train_cond=cond,
        val_cond=cond,
        epochs=60,
        batch_size=100,
        lr=2e-3,
        ema_decay=0.95,
    )
    return generate.LatentGenerator(decoder, scaler, denoiser, latents, convention="post", steps=10, condition=condition)
