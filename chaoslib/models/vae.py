"""The Gaussian variational autoencoder: 50 days of returns in 16 numbers, with a volatility of its own for each day."""

import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from chaoslib.models.progress import log_epoch

DECODERS = ("gaussian", "mse_varmatch", "mse")
SUM_HORIZONS = (1, 5, 20, 50)  # days; mean and variance of sums over these horizons are matched
COND_GROUPS = 4  # parts of a batch, by condition, in each of which they are matched
FEWEST = 16  # windows that a variance is taken from
STRESS = "stress"  # the "convention" of `stress_prior`


@dataclass(frozen=True)
class VAEShape:
    """What is needed to rebuild the network around saved weights.

    seq_len : L; latent_dim : D; hidden : width; cond_dim : 0, or 1 for standardised log-VIX
    decoder : one of `DECODERS`
    sigma_knots : days between which log sigma is interpolated, for the gaussian decoder
    mean_bound : largest absolute mean of a day in units of that day's sigma, for the gaussian decoder
    log_sigma_min, log_sigma_max : bounds on a day's log standard deviation, standardised
    """

    seq_len: int = 50
    latent_dim: int = 16
    hidden: int = 256
    cond_dim: int = 0
    decoder: str = "gaussian"
    sigma_knots: int = 10
    mean_bound: float = 1.0
    log_sigma_min: float = -2.5
    log_sigma_max: float = 2.0

    def to_dict(self) -> dict:
        return asdict(self)


class GaussianVAE(nn.Module):
    """Encoder to a diagonal Gaussian over D latents, decoder to a Gaussian for each of L days.

    Works on standardised returns. The decoder `gaussian` gives a mean and a standard deviation (sigma) for each day:
    log sigma is a line through a few knots, and the mean is bounded by sigma. Left free under a weak KL, sixteen
    latents learn to copy some fifteen fixed days exactly, sigma at its floor there, and say little about the others: a
    better likelihood, a worse law. The mean-only decoders `mse` and `mse_varmatch` give a sigma of zero, so that there
    is nothing to sample.
    """

    def __init__(self, shape: VAEShape):
        super().__init__()
        if shape.decoder not in DECODERS:
            raise ValueError(f"unknown decoder {shape.decoder!r}: use one of {', '.join(DECODERS)}")
        self.shape = shape
        knots = shape.sigma_knots if shape.decoder == "gaussian" else 0
        self.encoder = mlp(shape.seq_len + shape.cond_dim, shape.hidden, 2 * shape.latent_dim)
        self.decoder = mlp(shape.latent_dim + shape.cond_dim, shape.hidden, shape.seq_len + knots)
        self.register_buffer("between_knots", interpolation(knots, shape.seq_len), persistent=False)

    def encode(self, x: torch.Tensor, cond: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, L) standardised, cond (B, cond_dim) or None -> mu, logvar, each (B, D)."""
        mu, logvar = self.encoder(join(x, cond)).chunk(2, dim=1)
        return mu, logvar.clamp(-20.0, 6.0)  # a numerical guard; at the original's beta the posterior is very narrow

    def decode(self, z: torch.Tensor, cond: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """z (B, D) -> mean, sigma of each day, each (B, L), standardised."""
        out = self.decoder(join(z, cond))
        if self.shape.decoder != "gaussian":
            return out, torch.zeros_like(out)
        direction, knots = out[:, : self.shape.seq_len], out[:, self.shape.seq_len :]
        low, high = self.shape.log_sigma_min, self.shape.log_sigma_max
        sigma = torch.exp(low + (high - low) * torch.sigmoid(knots) @ self.between_knots)
        return self.shape.mean_bound * torch.tanh(direction / self.shape.mean_bound) * sigma, sigma

    def sample_decoder(
        self, z: torch.Tensor, cond: torch.Tensor | None = None, *, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw returns given latents: mean + sigma * noise, (B, L) standardised."""
        mean, sigma = self.decode(z, cond)
        return mean + sigma * torch.randn(mean.shape, generator=generator).to(mean)


def interpolation(knots: int, seq_len: int) -> torch.Tensor:
    """(knots, L) weights of linear interpolation between evenly spaced knots, the first and last day among them."""
    position = torch.linspace(0, max(knots - 1, 0), seq_len)
    return (1 - (position - torch.arange(knots)[:, None]).abs()).clamp(min=0)


def mlp(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Two hidden layers with ReLU."""
    return nn.Sequential(
        nn.Linear(width_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, width_out)
    )


def join(values: torch.Tensor, cond: torch.Tensor | None) -> torch.Tensor:
    """Append the condition to the input of a network."""
    return values if cond is None else torch.cat([values, cond], dim=1)


def draw_posterior(mu: torch.Tensor, logvar: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    """z ~ N(mu, exp(logvar)), (B, D)."""
    return mu + torch.exp(0.5 * logvar) * torch.randn(mu.shape, generator=generator).to(mu)


@dataclass(frozen=True)
class LatentScaler:
    """Moments that standardise latents, each (D,), and the convention they belong to.

    convention : "post" (draws from the posterior) or "mu" (its means), which have different spreads; "stress" is no
        standardiser of latents but the place of a moved prior, see `stress_prior`
    """

    convention: str
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], convention: str) -> "LatentScaler":
        """The one that `to_arrays` stored. Raises ValueError unless its own record says that it has this convention."""
        record = str(arrays.get(f"{convention}_convention", ""))
        if record != convention:
            raise ValueError(f"the standardiser stored for {convention!r} latents says {record!r}: run 05_latents again")
        return cls(record, *(torch.from_numpy(arrays[f"{convention}_{key}"]) for key in ("mean", "std")))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Its moments and its record of its convention, for an .npz file that holds several standardisers."""
        fields = {"convention": np.array(self.convention), "mean": self.mean.numpy(), "std": self.std.numpy()}
        return {f"{self.convention}_{key}": value for key, value in fields.items()}

    def standardise(self, z: torch.Tensor) -> torch.Tensor:
        return (z - self.mean) / self.std

    def restore(self, z: torch.Tensor) -> torch.Tensor:
        return z * self.std + self.mean


def fit_latent_scaler(mu: torch.Tensor, logvar: torch.Tensor, convention: str) -> LatentScaler:
    """Moments of training latents (N, D); for "post" by the law of total variance, so no draw enters them."""
    if convention == "mu":
        return LatentScaler("mu", mu.mean(dim=0), mu.std(dim=0, correction=0))
    if convention == "post":
        spread = (mu.var(dim=0, correction=0) + logvar.exp().mean(dim=0)).sqrt()
        return LatentScaler("post", mu.mean(dim=0), spread)
    raise ValueError(f"unknown convention {convention!r}: use 'post' or 'mu'")


def stress_prior(mu: torch.Tensor) -> LatentScaler:
    """The moved prior of a stress-filtered VAE, from the posterior means (N, D) of its windows: restoring a draw of
    N(0, s^2 I) gives N(mu_stress, s^2 I) around their mean."""
    return LatentScaler(STRESS, mu.mean(dim=0), torch.ones_like(mu[0]))


def draw_latents(mu: torch.Tensor, logvar: torch.Tensor, convention: str, *, generator: torch.Generator) -> torch.Tensor:
    """Latents (N, D): fresh posterior draws for "post", the means themselves for "mu", draws of N(0, I) for "prior"."""
    if convention == "mu":
        return mu
    if convention == "post":
        return draw_posterior(mu, logvar, generator=generator)
    if convention == "prior":
        return torch.randn(mu.shape, generator=generator).to(mu)
    raise ValueError(f"unknown convention {convention!r}: use 'post', 'mu' or 'prior'")


def kl_per_dimension(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """(D,) mean over the batch of KL(N(mu, exp(logvar)) || N(0, 1)), nats."""
    return 0.5 * (mu**2 + logvar.exp() - 1.0 - logvar).mean(dim=0)


def active_units(mu: torch.Tensor, *, threshold: float = 0.01) -> int:
    """Latents whose posterior mean varies over the data by more than `threshold` (Burda et al. 2016, sec. 5.1)."""
    return int((mu.var(dim=0) > threshold).sum())


def negative_log_likelihood(x: torch.Tensor, mean: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Mean over batch and days of -log N(x; mean, sigma^2), nats per day."""
    return (0.5 * ((x - mean) / sigma) ** 2 + sigma.log()).mean() + 0.5 * math.log(2 * math.pi)


def moment_mismatch(
    x: torch.Tensor, mean: torch.Tensor, sigma: torch.Tensor, cond: torch.Tensor | None = None
) -> torch.Tensor:
    """Variance matching: how far the model's variance and mean of 1-, 5-, 20- and 50-day sums are from the data's.

    The law of total variance gives the model's variance of an h-day sum without sampling it,
    Var = E[sum of sigma_t^2] + Var[sum of mean_t], with z drawn from the posterior: mean and sigma are (B, L). A term
    is the squared log-ratio of the two variances plus the squared gap of the two means in standard deviations. It is
    weighted by 1/h, as the error of a sample variance goes with the number of sums it is taken from. With a condition
    (B, 1) the batch is cut into `COND_GROUPS` by it and matched in each, else the wild windows would speak for all.
    A batch of fewer than `FEWEST` windows says too little about a variance and counts for nothing.
    """
    if len(x) < FEWEST:
        return x.new_zeros(())
    parts = 1 if cond is None else min(COND_GROUPS, len(x) // FEWEST)
    order = torch.arange(len(x), device=x.device) if cond is None else cond[:, 0].argsort(stable=True)
    groups = order.chunk(parts)
    total, weights = x.new_zeros(()), 0.0
    for group in groups:
        for days in (h for h in SUM_HORIZONS if h <= x.shape[1]):
            data, centre = block_sums(x[group], days), block_sums(mean[group], days)
            variance = block_sums(sigma[group] ** 2, days).mean() + centre.var()
            gap = torch.log(variance / data.var()) ** 2 + (centre.mean() - data.mean()) ** 2 / data.var()
            total, weights = total + gap / days, weights + 1 / days
    return total / weights


def block_sums(values: torch.Tensor, days: int) -> torch.Tensor:
    """(B, L // days) sums over consecutive, non-overlapping blocks of `days` days."""
    count = values.shape[1] // days
    return values[:, : count * days].reshape(len(values), count, days).sum(dim=2)


def vae_loss(
    model: GaussianVAE,
    x: torch.Tensor,
    cond: torch.Tensor | None,
    *,
    beta: float,
    varmatch_weight: float,
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Terms of the loss on one batch x (B, L); `loss` = `likelihood` + beta * `kl` + varmatch_weight * `varmatch`.

    likelihood : negative log-likelihood, mean over batch *and days*; the squared error for the mean-only decoders
    kl : mean over the batch of the KL *summed* over latents, nats. Against a likelihood summed over the L days the
         weight of the KL is therefore beta * L: the original's 1e-4 is a beta of 0.005 in that convention. It is
         half of that for the mean-only decoders, whose squared error lacks the 1/2 of a normal log-likelihood.
    varmatch : see `moment_mismatch`; computed for every decoder, so that histories compare
    """
    mu, logvar = model.encode(x, cond)
    mean, sigma = model.decode(draw_posterior(mu, logvar, generator=generator), cond)
    gaussian = model.shape.decoder == "gaussian"
    likelihood = negative_log_likelihood(x, mean, sigma) if gaussian else F.mse_loss(mean, x)
    kl = kl_per_dimension(mu, logvar).sum()
    varmatch = moment_mismatch(x, mean, sigma, cond)
    loss = likelihood + beta * kl + varmatch_weight * varmatch
    return {"loss": loss, "likelihood": likelihood, "kl": kl, "varmatch": varmatch}


def fit_vae(
    train: torch.Tensor,
    val: torch.Tensor,
    shape: VAEShape,
    *,
    train_cond: torch.Tensor | None = None,
    val_cond: torch.Tensor | None = None,
    epochs: int = 200,
    batch_size: int = 256,
    lr: float = 1e-3,
    beta: float = 1e-4,
    warmup_epochs: int = 50,
    varmatch_weight: float = 5.0,
    seed: int = 0,
    device: str = "cpu",
    log_every: int = 20,
) -> tuple[GaussianVAE, pd.DataFrame]:
    """Train on standardised windows; returns the model after the last epoch and one row of history an epoch.

    train (N, L), val (M, L) : float32, standardised; *_cond (N, cond_dim) when shape.cond_dim > 0
    beta rises linearly from 0 over warmup_epochs. The validation loss uses the same noise at every epoch and is
    reported, never used for a choice: the validation span is calmer than train.
    Raises FloatingPointError when the loss is no longer finite.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = GaussianVAE(shape).to(device)
    train, val = train.to(device), val.to(device)
    train_cond, val_cond = (None if c is None else c.to(device) for c in (train_cond, val_cond))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    history, started = [], time.perf_counter()
    for epoch in range(epochs):
        beta_now = beta * min(1.0, (epoch + 1) / max(1, warmup_epochs))
        totals = torch.zeros(4, dtype=torch.float64)
        for index in torch.randperm(len(train), generator=generator).split(batch_size):
            cond = None if train_cond is None else train_cond[index]
            terms = vae_loss(model, train[index], cond, beta=beta_now, varmatch_weight=varmatch_weight, generator=generator)
            if not torch.isfinite(terms["loss"]):
                raise FloatingPointError(f"VAE loss is {terms['loss'].item()} in epoch {epoch + 1}: lower LR")
            optimizer.zero_grad(set_to_none=True)
            terms["loss"].backward()
            optimizer.step()
            totals += len(index) * torch.stack(list(terms.values())).detach().cpu()
        with torch.no_grad():
            fixed = torch.Generator().manual_seed(seed)
            check = vae_loss(model, val, val_cond, beta=beta_now, varmatch_weight=varmatch_weight, generator=fixed)
        means = dict(zip(terms, (totals / len(train)).tolist(), strict=True))
        history.append({"epoch": epoch + 1, "beta": beta_now, **means, **{f"val_{k}": v.item() for k, v in check.items()}})
        log_epoch(epoch + 1, epochs, {"loss": means["loss"], "val": check["loss"]}, started=started, every=log_every)
    return model.eval(), pd.DataFrame(history)
