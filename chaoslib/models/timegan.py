"""TimeGAN (Yoon, Jarrett & van der Schaar 2019) for univariate windows: five recurrent networks, three phases.

Series are (L, F, B) here: days, features, and windows side by side in memory, which makes the recurrent loop fast.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from chaoslib.models.gru import GRU
from chaoslib.models.progress import log_epoch

SUPERVISED_WEIGHT, MOMENT_WEIGHT = 100.0, 100.0  # of the original, in the generator's loss
RECONSTRUCTION_WEIGHT, AHEAD_WEIGHT = 10.0, 0.1  # of the original, in the embedder's loss
SKIP_BELOW = 0.15  # the discriminator rests while its loss is lower, as in the original
GENERATOR_STEPS = 2  # for one of the discriminator
# Adam's decay rates for the adversaries; with the original's (0.9, 0.999) alternating memory was not learned: the slow test
ADVERSARIAL_BETAS = (0.5, 0.9)


@dataclass(frozen=True)
class TimeGANShape:
    """What is needed to rebuild the networks around saved weights.

    seq_len : L; hidden : width of every state; layers : of each recurrent stack, the supervisor has one less
    noise_dim : random numbers a day
    low, high : log-returns that the networks see as 0 and 1, the extremes of the training span; no sample exceeds them
    """

    seq_len: int = 50
    hidden: int = 24
    layers: int = 3
    noise_dim: int = 1
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        if not -float("inf") < self.low < self.high < float("inf"):
            raise ValueError(f"low is {self.low:g} and high {self.high:g}: give the extremes of the training returns")

    def scale(self, windows: np.ndarray) -> np.ndarray:
        """Log-returns -> values in [0, 1]."""
        return ((windows - self.low) / (self.high - self.low)).astype(np.float32)

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Values in [0, 1] -> log-returns."""
        return (values * (self.high - self.low) + self.low).astype(np.float32)

    def to_dict(self) -> dict:
        return asdict(self)


class Recurrent(nn.Module):
    """A stack of GRUs and a linear map of each day's state, with a sigmoid on top or without: (L, F, B) -> (L, out, B)."""

    def __init__(self, width_in: int, width_out: int, *, hidden: int, layers: int, squash: bool):
        super().__init__()
        self.gru = GRU(width_in, hidden, layers)
        self.head = nn.Linear(hidden, width_out)
        self.squash = squash

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        days = self.gru(x)
        out = torch.bmm(self.head.weight.expand(len(days), -1, -1), days) + self.head.bias[:, None]
        return out.sigmoid() if self.squash else out


class TimeGAN(nn.Module):
    """Embedder and recovery (an autoencoder of days), generator, supervisor (one day ahead) and discriminator.

    Noise (L, noise_dim, B) passes generator, supervisor and recovery; the discriminator sees latent days, never returns.
    """

    def __init__(self, shape: TimeGANShape):
        super().__init__()
        self.shape = shape
        wide = {"hidden": shape.hidden, "layers": shape.layers}
        self.embedder = Recurrent(1, shape.hidden, squash=True, **wide)
        self.recovery = Recurrent(shape.hidden, 1, squash=True, **wide)
        self.generator = Recurrent(shape.noise_dim, shape.hidden, squash=True, **wide)
        self.supervisor = Recurrent(shape.hidden, shape.hidden, hidden=shape.hidden, layers=shape.layers - 1, squash=True)
        self.discriminator = Recurrent(shape.hidden, 1, squash=False, **wide)

    def draw_noise(self, count: int, *, generator: torch.Generator) -> torch.Tensor:
        """(L, noise_dim, count) standard normal numbers."""
        noise = torch.randn(self.shape.seq_len, self.shape.noise_dim, count, generator=generator)
        return noise.to(self.recovery.head.weight.device)

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        """Noise (L, noise_dim, B) -> scaled returns (B, L)."""
        return self.recovery(self.supervisor(self.generator(noise)))[:, 0].t()

    def learning(self, *names: str) -> list[nn.Parameter]:
        """Let only these networks learn, and return their weights."""
        for name, network in self.named_children():
            network.requires_grad_(name in names)
        return [weight for name in names for weight in getattr(self, name).parameters()]


def reconstruction_loss(model: TimeGAN, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Root mean squared error of the recovery of latent days h (L, H, B) against x (L, 1, B)."""
    return F.mse_loss(model.recovery(h), x).sqrt()


def supervised_loss(h: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the supervisor's next day, `ahead` = supervisor(h), both (L, H, B)."""
    return F.mse_loss(ahead[:-1], h[1:])


def moment_loss(x: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Mean absolute gaps of standard deviation and mean, taken over the batch for each day: x, fake (L, 1, B).

    The windows of x and fake are unrelated, so only moments over the batch may be compared: pairing the standard
    deviation of window i with that of window i would make all windows equally volatile.
    """
    spread = [(values.var(dim=2, correction=0) + 1e-6).sqrt() for values in (fake, x)]
    centre = [values.mean(dim=2) for values in (fake, x)]
    return (spread[0] - spread[1]).abs().mean() + (centre[0] - centre[1]).abs().mean()


def verdict_loss(logits: torch.Tensor, real: bool) -> torch.Tensor:
    """Cross-entropy of calling every day of logits (L, 1, B) real, or generated."""
    return F.softplus(-logits if real else logits).mean()


def generator_terms(model: TimeGAN, x: torch.Tensor, h: torch.Tensor, noise: torch.Tensor) -> dict[str, torch.Tensor]:
    """What generator and supervisor learn from: x (L, 1, B) real, h its latent days (no gradient), noise.

    adversarial, adversarial_early : the discriminator's verdict after and before the supervisor
    supervised : squared error one day ahead, on real latent days; moments : see `moment_loss`
    """
    early = model.generator(noise)
    ahead, late = model.supervisor(torch.cat([h, early], dim=2)).split([h.shape[2], early.shape[2]], dim=2)
    late_logits, early_logits = model.discriminator(torch.cat([late, early], dim=2)).chunk(2, dim=2)
    return {
        "adversarial": verdict_loss(late_logits, real=True),
        "adversarial_early": verdict_loss(early_logits, real=True),
        "supervised": supervised_loss(h, ahead),
        "moments": moment_loss(x, model.recovery(late)),
    }


def generator_loss(terms: dict[str, torch.Tensor], *, gamma: float) -> torch.Tensor:
    """The weighted sum of `generator_terms` that the original minimises."""
    adversarial = terms["adversarial"] + gamma * terms["adversarial_early"]
    return adversarial + SUPERVISED_WEIGHT * terms["supervised"].sqrt() + MOMENT_WEIGHT * terms["moments"]


def discriminator_loss(model: TimeGAN, x: torch.Tensor, noise: torch.Tensor, *, gamma: float) -> torch.Tensor:
    """Latent days of real windows x (L, 1, B) against generated ones after the supervisor and, times gamma, before it."""
    with torch.no_grad():
        h = model.embedder(x)
        early = model.generator(noise)
        late = model.supervisor(early)
    real, late, early = model.discriminator(torch.cat([h, late, early], dim=2)).split(h.shape[2], dim=2)
    return verdict_loss(real, True) + verdict_loss(late, False) + gamma * verdict_loss(early, False)


def undecided_losses(gamma: float) -> dict[str, float]:
    """The losses of both adversaries while the discriminator knows only how often real days are shown: once in 2 + gamma."""
    weight = 1.0 + gamma  # of generated days, beside 1 for real ones
    adversarial = math.log(1.0 + weight)
    return {"discriminator": adversarial + weight * math.log((1.0 + weight) / weight), "adversarial": adversarial}


def fit_timegan(
    train: torch.Tensor,
    shape: TimeGANShape,
    *,
    distance: Callable[[TimeGAN], float],
    epochs: int = 200,
    batch_size: int = 256,
    lr: float = 1e-3,
    gamma: float = 1.0,
    check_every: int = 10,
    seed: int = 0,
    device: str = "cpu",
    log_every: int = 20,
) -> tuple[TimeGAN, pd.DataFrame]:
    """Train on windows (N, L) in [0, 1], `epochs` in each phase; returns the chosen model and one row of history an epoch.

    Phases, each with optimisers of its own: embedder and recovery; the supervisor; all jointly, an epoch a generator's pass.
    distance : model -> distance of its samples to train, asked every check_every epochs of the joint phase; the state
        where it is least is returned. Infinite for a state that must not be kept
    Raises FloatingPointError when a loss is no longer finite, ValueError when no state may be kept.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = TimeGAN(shape).to(device)
    x = train.t()[:, None].contiguous().to(device)  # (L, 1, N)
    shared = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "generator": generator, "log_every": log_every}
    history = [
        *fit_autoencoder(model, x, **shared),
        *fit_supervisor(model, x, **shared),
        *fit_jointly(model, x, distance=distance, gamma=gamma, check_every=check_every, **shared),
    ]
    return model.eval().requires_grad_(False), pd.DataFrame(history)


def fit_autoencoder(
    model: TimeGAN, x: torch.Tensor, *, epochs: int, batch_size: int, lr: float, generator: torch.Generator, log_every: int
) -> list[dict]:
    """First phase: embedder and recovery give back x (L, 1, N)."""
    optimizer = torch.optim.Adam(model.learning("embedder", "recovery"), lr=lr)
    history, started = [], time.perf_counter()
    for epoch in range(1, epochs + 1):
        notes = []
        for index in torch.randperm(x.shape[2], generator=generator).split(batch_size):
            batch = x[:, :, index]
            loss = reconstruction_loss(model, batch, model.embedder(batch))
            take_step(optimizer, RECONSTRUCTION_WEIGHT * loss)
            notes.append({"reconstruction": loss.item()})
        history.append(epoch_row("autoencoder", epoch, notes))
        report(history[-1], epochs, started, log_every)
    return history


def fit_supervisor(
    model: TimeGAN, x: torch.Tensor, *, epochs: int, batch_size: int, lr: float, generator: torch.Generator, log_every: int
) -> list[dict]:
    """Second phase: the supervisor learns to say the next latent day; those days stand still and are computed once."""
    optimizer = torch.optim.Adam(model.learning("supervisor"), lr=lr)
    with torch.no_grad():
        h = torch.cat([model.embedder(part) for part in x.split(batch_size, dim=2)], dim=2)
    history, started = [], time.perf_counter()
    for epoch in range(1, epochs + 1):
        notes = []
        for index in torch.randperm(x.shape[2], generator=generator).split(batch_size):
            batch = h.index_select(2, index.to(h.device))  # several times faster than h[:, :, index]
            loss = supervised_loss(batch, model.supervisor(batch))
            take_step(optimizer, loss)
            notes.append({"supervised": loss.item()})
        history.append(epoch_row("supervised", epoch, notes))
        report(history[-1], epochs, started, log_every)
    return history


def fit_jointly(
    model: TimeGAN,
    x: torch.Tensor,
    *,
    distance: Callable[[TimeGAN], float],
    epochs: int,
    batch_size: int,
    lr: float,
    gamma: float,
    check_every: int,
    generator: torch.Generator,
    log_every: int,
) -> list[dict]:
    """Third phase. A step of generator and supervisor, then one of embedder and recovery, which go on learning; after
    every second such pair the discriminator takes one, on windows and noise of its own, unless its loss is below
    `SKIP_BELOW`. Ends in the state of least `distance`."""
    makers = torch.optim.Adam(model.learning("generator", "supervisor"), lr=lr, betas=ADVERSARIAL_BETAS)
    coders = torch.optim.Adam(model.learning("embedder", "recovery"), lr=lr)
    critic = torch.optim.Adam(model.learning("discriminator"), lr=lr, betas=ADVERSARIAL_BETAS)
    history, started, turns, best, chosen = [], time.perf_counter(), 0, float("inf"), None
    for epoch in range(1, epochs + 1):
        notes = []
        for index in torch.randperm(x.shape[2], generator=generator).split(batch_size):
            batch = x[:, :, index]
            model.learning("embedder", "generator", "supervisor")
            h = model.embedder(batch)
            noise = model.draw_noise(len(index), generator=generator)
            terms = generator_terms(model, batch, h.detach(), noise)
            take_step(makers, generator_loss(terms, gamma=gamma))

            model.learning("embedder", "recovery")
            reconstruction = reconstruction_loss(model, batch, h)
            ahead = supervised_loss(h, model.supervisor(h))
            take_step(coders, RECONSTRUCTION_WEIGHT * reconstruction + AHEAD_WEIGHT * ahead)
            notes.append({"reconstruction": reconstruction.item(), **{name: term.item() for name, term in terms.items()}})

            turns += 1
            if turns % GENERATOR_STEPS == 0:
                model.learning("discriminator")
                other = torch.randperm(x.shape[2], generator=generator)[:batch_size]
                noise = model.draw_noise(len(other), generator=generator)
                loss = discriminator_loss(model, x[:, :, other], noise, gamma=gamma)
                if not loss <= SKIP_BELOW:  # so that a loss that is no number is refused
                    take_step(critic, loss)
                notes.append({"discriminator": loss.item()})
        history.append(epoch_row("joint", epoch, notes))
        if epoch % check_every == 0 or epoch == epochs:
            history[-1]["distance"] = distance(model)
            if history[-1]["distance"] < best:
                best, chosen = history[-1]["distance"], copy.deepcopy(model.state_dict())
        report(history[-1], epochs, started, log_every)
    if chosen is None:
        raise ValueError("no state of the joint phase may be kept: all are infinitely far from train by `distance`")
    model.load_state_dict(chosen)
    return history


def take_step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step down a loss. Raises FloatingPointError when it is not finite."""
    if not torch.isfinite(loss):
        raise FloatingPointError(f"TimeGAN loss is {loss.item()}: lower LR")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def epoch_row(phase: str, epoch: int, notes: list[dict[str, float]]) -> dict:
    """A row of history: means over the steps of an epoch of whatever they noted."""
    return {"phase": phase, "epoch": epoch, **pd.DataFrame(notes).mean().to_dict()}


def report(row: dict, epochs: int, started: float, log_every: int) -> None:
    """Log a row of history and the seconds left in its phase."""
    terms = {name: value for name, value in row.items() if name not in ("phase", "epoch")}
    log_epoch(row["epoch"], epochs, terms, started=started, every=log_every, phase=row["phase"])
