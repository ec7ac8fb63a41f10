"""Diffusion over standardised latents: cosine schedule, v-prediction, three samplers, classifier-free guidance."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from chaoslib.models.progress import log_epoch

TIME_FEATURES = 64
SAMPLERS = ("ddim", "ddpm", "dpm")


@dataclass(frozen=True)
class DenoiserShape:
    """What is needed to rebuild the network around saved weights.

    latent_dim : D; hidden : width; blocks : residual blocks; cond_dim : 0, or 1 for standardised log-VIX
    timesteps : K, diffusion levels
    """

    latent_dim: int = 16
    hidden: int = 256
    blocks: int = 3
    cond_dim: int = 0
    timesteps: int = 1000

    def to_dict(self) -> dict:
        return asdict(self)


class Denoiser(nn.Module):
    """Residual network that predicts v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) z (Salimans & Ho 2022).

    With cond_dim > 0 an absent condition is a learned token, not zeros: zeros would mean "average VIX".
    """

    def __init__(self, shape: DenoiserShape):
        super().__init__()
        self.shape = shape
        self.inlet = nn.Linear(shape.latent_dim, shape.hidden)
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, shape.hidden))
        if shape.cond_dim:
            self.cond = nn.Sequential(
                nn.Linear(shape.cond_dim, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, shape.hidden)
            )
            self.null_token = nn.Parameter(0.02 * torch.randn(shape.hidden))
        self.blocks = nn.ModuleList(ResidualBlock(shape.hidden) for _ in range(shape.blocks))
        self.outlet = nn.Linear(shape.hidden, shape.latent_dim)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    def forward(
        self, z: torch.Tensor, level: torch.Tensor, cond: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """z (B, D) noised latents, level (B,) or (1,) in 1..K, cond (B, cond_dim); present (B,) False drops it."""
        return self.denoise(z, level, self.embed(len(z), cond, present))

    def embed(self, n: int, cond: torch.Tensor | None = None, present: torch.Tensor | None = None) -> torch.Tensor | None:
        """(n, hidden) what n conditions say to every block, the same at every level; None for an unconditional model."""
        if not self.shape.cond_dim:
            return None
        null = self.null_token.expand(n, -1)
        if cond is None:
            return null
        embedded = self.cond(cond)
        return embedded if present is None else torch.where(present[:, None], embedded, null)

    def denoise(self, z: torch.Tensor, level: torch.Tensor, embedded: torch.Tensor | None) -> torch.Tensor:
        """The same as `forward` with conditions already embedded."""
        context = self.time(time_features(level / self.shape.timesteps))
        if embedded is not None:
            context = context + embedded
        hidden = self.inlet(z)
        for block in self.blocks:
            hidden = block(hidden, context)
        return self.outlet(hidden)


class ResidualBlock(nn.Module):
    """h + W2 silu(W1 norm(h) + context)."""

    def __init__(self, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.first = nn.Linear(hidden, hidden)
        self.second = nn.Linear(hidden, hidden)

    def forward(self, hidden: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        inner = nn.functional.silu(self.first(self.norm(hidden)) + context)
        return hidden + self.second(inner)


def time_features(t: torch.Tensor) -> torch.Tensor:
    """(B,) diffusion times in [0, 1] -> (B, TIME_FEATURES) sines and cosines of geometric frequencies."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), TIME_FEATURES // 2, device=t.device))
    angles = t[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def cosine_alpha_bar(timesteps: int) -> torch.Tensor:
    """(K + 1,) alpha_bar at levels 0..K: 1 at level 0 and 0 at level K, so that sampling starts from the law it trained on.

    alpha_bar = cos^2(pi k / 2K) (Nichol & Dhariwal 2021 without offset); zero terminal signal: Lin et al. 2024.
    """
    k = torch.arange(timesteps + 1, dtype=torch.float64)
    alpha_bar = torch.cos(0.5 * math.pi * k / timesteps) ** 2
    alpha_bar[-1] = 0.0
    return alpha_bar.float()


def add_noise(z: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Noised latents and the v target at alpha_bar (B, 1): sqrt(a) z + sqrt(1-a) noise, sqrt(a) noise - sqrt(1-a) z."""
    signal, spread = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return signal * z + spread * noise, signal * noise - spread * z


def diffusion_loss(
    model: nn.Module,
    z: torch.Tensor,
    alpha_bar: torch.Tensor,
    *,
    generator: torch.Generator,
    cond: torch.Tensor | None = None,
    cond_dropout: float = 0.0,
) -> torch.Tensor:
    """Mean squared error of v at a random level for each of z (B, D); the condition is dropped with `cond_dropout`."""
    position = (torch.randperm(len(z), generator=generator) + torch.rand(len(z), generator=generator)) / len(z)
    level = (1 + position * (len(alpha_bar) - 1)).long().clamp(max=len(alpha_bar) - 1).to(z.device)
    noise = torch.randn(z.shape, generator=generator).to(z)
    present = None
    if cond is not None:
        present = (torch.rand(len(z), generator=generator) >= cond_dropout).to(z.device)
    noised, target = add_noise(z, noise, alpha_bar[level, None])
    return nn.functional.mse_loss(model(noised, level, cond, present), target)


def fit_diffusion(
    draw_train: Callable[[torch.Generator], torch.Tensor],
    val: torch.Tensor,
    shape: DenoiserShape,
    *,
    train_cond: torch.Tensor | None = None,
    val_cond: torch.Tensor | None = None,
    cond_dropout: float = 0.15,
    epochs: int = 200,
    batch_size: int = 256,
    lr: float = 1e-4,
    ema_decay: float = 0.995,
    seed: int = 0,
    device: str = "cpu",
    log_every: int = 20,
) -> tuple[Denoiser, pd.DataFrame]:
    """Train on standardised latents; returns the averaged (EMA) model and one row of history an epoch.

    draw_train : generator -> (N, D), called once an epoch, so that posterior draws are fresh each time
    val (M, D) : fixed standardised latents; both losses of the history are v-prediction errors, `val` with the
        averaged weights and with the same noise at every epoch; it is reported, never used for a choice
    Raises FloatingPointError when the loss is no longer finite.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Denoiser(shape).to(device)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    alpha_bar = cosine_alpha_bar(shape.timesteps).to(device)
    val = val.to(device)
    train_cond, val_cond = (None if c is None else c.to(device) for c in (train_cond, val_cond))
    history, started = [], time.perf_counter()
    for epoch in range(epochs):
        z = draw_train(generator).to(device)
        total = 0.0
        for index in torch.randperm(len(z), generator=generator).split(batch_size):
            cond = None if train_cond is None else train_cond[index]
            loss = diffusion_loss(model, z[index], alpha_bar, generator=generator, cond=cond, cond_dropout=cond_dropout)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"diffusion loss is {loss.item()} in epoch {epoch + 1}: lower LR")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            average.update_parameters(model)
            total += len(index) * loss.item()
        with torch.no_grad():
            fixed = torch.Generator().manual_seed(seed)
            check = diffusion_loss(average.module, val, alpha_bar, generator=fixed, cond=val_cond).item()
        history.append({"epoch": epoch + 1, "loss": total / len(z), "val_loss": check})
        log_epoch(epoch + 1, epochs, {"loss": total / len(z), "val": check}, started=started, every=log_every)
    return average.module.eval(), pd.DataFrame(history)


def guided(
    model: Denoiser,
    z: torch.Tensor,
    level: torch.Tensor,
    embedded: torch.Tensor | None,
    null: torch.Tensor | None,
    guidance: float,
) -> torch.Tensor:
    """v with classifier-free guidance w: v_null + w (v_cond - v_null) (Ho & Salimans 2022); w = 1 is the plain model.

    embedded, null : conditions, and their absence, as `Denoiser.embed` gives them
    """
    if guidance == 1.0:
        return model.denoise(z, level, embedded)
    without = model.denoise(z, level, null)
    return without + guidance * (model.denoise(z, level, embedded) - without)


def sample_latents(
    model: Denoiser,
    n: int,
    *,
    sampler: str = "ddim",
    steps: int = 200,
    generator: torch.Generator,
    cond: torch.Tensor | None = None,
    guidance: float = 1.0,
) -> torch.Tensor:
    """(n, D) standardised latents from pure noise, never clipped: what `denoising` ends with.

    sampler : "ddim" (eta = 0; Song et al. 2021), "ddpm" (ancestral; Ho et al. 2020), or "dpm", DDIM corrected to second
        order (DPM-Solver++(2M); Lu et al. 2022, algorithm 2), which is nearly as exact with an eighth of the steps
    steps : levels visited, evenly spaced over 1..K; at most K
    cond (n, cond_dim) standardised, or None for the unconditional law
    """
    options = {"sampler": sampler, "steps": steps, "generator": generator, "cond": cond, "guidance": guidance}
    for _, z in denoising(model, n, **options):
        latents = z
    return latents


@torch.no_grad()
def denoising(
    model: Denoiser,
    n: int,
    *,
    sampler: str = "ddim",
    steps: int = 200,
    generator: torch.Generator,
    cond: torch.Tensor | None = None,
    guidance: float = 1.0,
) -> Iterator[tuple[int, torch.Tensor]]:
    """The steps + 1 levels that sampling visits, from K down to 0, and the latents (n, D) at each, noise first.

    Arguments are those of `sample_latents`. Raises ValueError at the first level for an unknown sampler, or for steps
    beyond 1..K.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}: use one of {', '.join(SAMPLERS)}")
    timesteps = model.shape.timesteps
    if not 1 <= steps <= timesteps:
        raise ValueError(f"steps is {steps}, it must lie in 1..{timesteps}")
    device = next(model.parameters()).device
    alpha_bar = cosine_alpha_bar(timesteps).to(device)
    levels = torch.linspace(timesteps, 0, steps + 1).round().long().tolist()
    z = torch.randn(n, model.shape.latent_dim, generator=generator).to(device)
    yield levels[0], z
    embedded, null = model.embed(n, cond), model.embed(n)
    if cond is None:
        guidance = 1.0
    before = None
    for number, (level, following) in enumerate(itertools.pairwise(levels)):
        now, v = alpha_bar[level], guided(model, z, torch.tensor([level], device=device), embedded, null, guidance)
        if sampler == "dpm":
            clean = now.sqrt() * z - (1 - now).sqrt() * v
            if number > 1 and following > 0:  # from pure noise, and to none, log SNR takes an infinite step: first order
                ahead = step_ratio(alpha_bar[levels[number - 1]], now, alpha_bar[following])
                v = v - 0.5 * ahead * (clean - before) / (1 - now).sqrt()
            before = clean
        z = step(z, v, now, alpha_bar[following], sampler=sampler, generator=generator)
        yield following, z


def step_ratio(before: torch.Tensor, now: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """Length of the step from alpha_bar `now` to `following` over that of the step before, in log signal-to-noise."""
    before, now, following = (torch.logit(level.double()) for level in (before, now, following))
    return ((following - now) / (now - before)).float()


def step(
    z: torch.Tensor, v: torch.Tensor, now: torch.Tensor, following: torch.Tensor, *, sampler: str, generator: torch.Generator
) -> torch.Tensor:
    """One reverse step from alpha_bar `now` to the larger `following`, given the predicted v."""
    clean = now.sqrt() * z - (1 - now).sqrt() * v
    noise = now.sqrt() * v + (1 - now).sqrt() * z
    if sampler != "ddpm":
        return following.sqrt() * clean + (1 - following).sqrt() * noise
    alpha = now / following
    mean = (following.sqrt() * (1 - alpha) * clean + alpha.sqrt() * (1 - following) * z) / (1 - now)
    variance = (1 - following) / (1 - now) * (1 - alpha)
    return mean + variance.sqrt() * torch.randn(z.shape, generator=generator).to(z)
