"""Walk forward: each year's risk forecast by models that know nothing but the years before it."""

import logging
import time
from functools import partial

import numpy as np
import pandas as pd
import torch

from chaoslib.market import windows
from chaoslib.market.vix import fit_vix_condition, fit_vix_exponent
from chaoslib.models import classical, diffusion, generate, vae
from chaoslib.stress import backtest

log = logging.getLogger(__name__)

MODELS = {"cond_ldm": False, "cond_ldm_normalised": True}  # whether windows are divided by their VIX


def fit_conditional(known: pd.DataFrame, params: dict, *, normalise: bool, device: str) -> generate.LatentGenerator:
    """A conditional latent diffusion told the VIX before a window, from the days that are known."""
    cut, scaler = windows.cut_windows(known, seq_len=params["SEQ_LEN"]), windows.fit_scaler(known, seq_len=params["SEQ_LEN"])
    real, vix = cut["windows"], cut["vix_start"]
    condition = fit_vix_condition(real, vix, vix_at="start", normalise=normalise)
    x, cond = (torch.from_numpy(values) for values in windows.standardise(real, scaler, condition, vix))
    last = slice(-params["BATCH_SIZE"], None)  # losses on it are logged and decide nothing
    shared = {
        "batch_size": params["BATCH_SIZE"],
        "seed": params["SEED"],
        "device": device,
        "train_cond": cond,
        "log_every": 50,
    }
    shape = vae.VAEShape(seq_len=params["SEQ_LEN"], latent_dim=params["LATENT_DIM"], hidden=params["HIDDEN"], cond_dim=1)
    decoder, _ = vae.fit_vae(
        x, x[last], shape, val_cond=cond[last], epochs=params["VAE_EPOCHS"], lr=params["VAE_LR"], beta=params["BETA"],
        warmup_epochs=params["WARMUP_EPOCHS"], varmatch_weight=params["VARMATCH_WEIGHT"], **shared,
    )  # fmt: skip
    decoder = decoder.cpu()
    mu, logvar = generate.LatentGenerator(decoder, scaler, condition=condition).encode(real, vix)
    latents = vae.fit_latent_scaler(mu, logvar, "post")

    def draw(generator: torch.Generator) -> torch.Tensor:
        return latents.standardise(vae.draw_latents(mu, logvar, "post", generator=generator))

    held_out = draw(torch.Generator().manual_seed(params["SEED"]))[last]
    shape = diffusion.DenoiserShape(latent_dim=params["LATENT_DIM"], hidden=params["HIDDEN"], cond_dim=1)
    denoiser, _ = diffusion.fit_diffusion(
        draw, held_out, shape, val_cond=cond[last], epochs=params["DIFFUSION_EPOCHS"], lr=params["DIFFUSION_LR"],
        ema_decay=params["EMA_DECAY"], cond_dropout=params["COND_DROPOUT"], **shared,
    )  # fmt: skip
    return generate.LatentGenerator(decoder, scaler, denoiser.cpu(), latents, "post", params["STEPS"], condition, "dpm")


def forecast_year(returns: pd.DataFrame, year: int, params: dict, *, device: str) -> dict[str, np.ndarray]:
    """Forecasts for each trading day of a year from the years before it: arrays for an .npz file.

    params : the keys of params/walkforward.yaml
    date, log_return and vix (T,) of the year; <model>_<horizon> (T, K) tails and <model>_n, the outcomes behind them;
    <model>_clamped, days whose VIX was out of the model's reach and was replaced by the nearest in reach.
    """
    before = returns["date"].dt.year < year
    known, ahead = returns[before].reset_index(drop=True), returns[returns["date"].dt.year == year].reset_index(drop=True)
    path = np.concatenate([part["log_return"].to_numpy() for part in (known, ahead)])
    vix, horizons = ahead["vix_previous"].to_numpy(), tuple(params["HORIZONS"])
    cut = windows.cut_windows(known, seq_len=params["SEQ_LEN"])
    n, seed = params["N_SAMPLES"], params["SEED"]
    gjr = classical.fit_gjr(path[: len(known)])
    forecasts = {
        "gjr_fhs": backtest.gjr_tails(gjr, gjr.filter(path)[len(known) :], horizons=horizons, n=n, seed=seed),
        "hs_500": backtest.historical_tails(path, len(known), horizons=horizons),
    }
    arrays = {"date": ahead["date"].to_numpy(dtype="datetime64[D]"), "log_return": path[len(known) :], "vix": vix}
    scaled = partial(
        classical.vix_scaled, cut["windows"], cut["vix_start"], seed=seed,
        exponent=fit_vix_exponent(cut["windows"], cut["vix_start"]),
    )  # fmt: skip
    levels = np.geomspace(vix.min(), vix.max(), params["GRID"])
    forecasts["vix_scaled"] = backtest.vix_tails(lambda level: scaled(np.full(n, level)), levels, vix, horizons=horizons)
    for name, normalise in MODELS.items():
        started = time.perf_counter()
        model = fit_conditional(known, params, normalise=normalise, device=device)
        within = model.condition.nearest(vix)
        arrays[f"{name}_clamped"] = np.array(np.sum(within != vix))
        levels = np.geomspace(within.min(), within.max(), params["GRID"])
        forecasts[name] = backtest.vix_tails(
            lambda level, model=model: model.sample(n, vix=level, seed=seed), levels, within, horizons=horizons
        )
        log.info("%d: %s fitted to %d windows and asked in %.0f s", year, name, len(cut["windows"]),
                     time.perf_counter() - started)  # fmt: skip
    for name, tails in forecasts.items():
        arrays |= {f"{name}_{days}": tail.values.astype(np.float32) for days, tail in tails.items()}
        arrays[f"{name}_n"] = np.array(next(iter(tails.values())).n)
    return arrays
