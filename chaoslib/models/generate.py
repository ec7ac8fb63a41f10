"""From a finished model folder to windows of log-returns: `load(folder).sample(n, seed=0, vix=35)`.

And from the weights that the package ships to scenario sets of any size: `scenarios(vix=45)`.
"""

import dataclasses
import functools
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from chaoslib.market.vix import VIXCondition
from chaoslib.market.windows import Scaler, standardise
from chaoslib.models import diffusion, timegan, vae

log = logging.getLogger(__name__)

CHUNK = 1000  # windows decoded at a time: bounds memory and fits the cache


@dataclass(frozen=True)
class LatentGenerator:
    """A VAE decoder fed by its prior (denoiser is None) or by a diffusion over its latents.

    latent_scaler : what standardised latents are restored with; beside a prior, `vae.stress_prior`, or None for N(0, I)
    convention : which latents the denoiser learned, "post" or "mu"; must be the latent scaler's
    sampler, steps : of `diffusion.sample_latents`, unless `sample` is told otherwise
    condition : which VIX a conditional model is given; None for an unconditional one
    """

    decoder: vae.GaussianVAE
    scaler: Scaler
    denoiser: diffusion.Denoiser | None = None
    latent_scaler: vae.LatentScaler | None = None
    convention: str = ""
    steps: int = 200
    condition: VIXCondition | None = None
    sampler: str = "ddim"

    def __post_init__(self):
        if bool(self.decoder.shape.cond_dim) != (self.condition is not None):
            raise ValueError(f"the decoder has {self.decoder.shape.cond_dim} conditions, its VIX is {self.condition}")
        if self.denoiser is None:
            return
        if self.denoiser.shape.cond_dim != self.decoder.shape.cond_dim:
            raise ValueError(
                f"the denoiser has {self.denoiser.shape.cond_dim} conditions, the decoder {self.decoder.shape.cond_dim}"
            )
        if self.latent_scaler is None or self.latent_scaler.convention != self.convention:
            found = "no latents" if self.latent_scaler is None else f"{self.latent_scaler.convention!r} latents"
            raise ValueError(f"the denoiser learned {self.convention!r} latents but would be decoded as {found}")

    @property
    def vix_at(self) -> str:
        """ "end" or "start" of the window, where the VIX of a conditional model is read; empty without a condition."""
        return self.condition.vix_at if self.condition else ""

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        vix: float | np.ndarray | None = None,
        guidance: float = 1.0,
        temperature: float = 1.0,
        stress_scale: float = 1.0,
        bias: float = 1.0,
        sampler: str | None = None,
        steps: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """(n, L) float32 log-returns; the same arguments give the same windows.

        vix : index points, one number or (n,); conditional models need it, others refuse it. Warns outside the range
            of the training windows and raises ValueError far outside, see `VIXCondition.check`
        guidance : w of classifier-free guidance, 0 or more. 1 is the calibrated model; more moves away from the law
            without the VIX, so it raises volatility at a high VIX and lowers it at a low one. With normalised windows,
            whose VIX is divided out, it is no stress dial
        temperature, stress_scale : their product multiplies the spread of the latents; 1 is the model as trained
        bias : of a stress-filtered VAE, whose latents lie around bias times the mean latent of its stress windows
        Memory is bounded by chunks of `CHUNK` windows beyond the result itself.
        """
        if n < 1:
            raise ValueError(f"n is {n}: ask for at least one window")
        spread = noise_spread(temperature, stress_scale, bias)
        decoder = self if bias == 1.0 else self.biased(bias)
        given = self.asked(vix, n)
        if given is not None and (beyond := self.condition.extrapolated(given)).any():
            warn_extrapolated(float(given[beyond][0]), self.condition)
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for first in tqdm(range(0, n, CHUNK), disable=not progress, desc="sampling", unit="chunk"):
            part = None if given is None else given[first : first + CHUNK]
            z = self.sample_latents(
                min(CHUNK, n - first), generator=generator, vix=part, guidance=guidance, sampler=sampler, steps=steps
            )
            parts.append(decoder.decode(z, generator=generator, vix=part, temperature=spread))
        return np.concatenate(parts)

    @torch.no_grad()
    def sample_latents(
        self,
        n: int,
        *,
        generator: torch.Generator,
        vix: float | np.ndarray | None = None,
        guidance: float = 1.0,
        sampler: str | None = None,
        steps: int | None = None,
    ) -> torch.Tensor:
        """(n, D) standardised latents, as the denoiser knows them; for a VAE alone draws from its prior."""
        given = self.asked(vix, n)
        if not 0.0 <= guidance < float("inf"):
            raise ValueError(f"guidance is {guidance:g}: give a number of 0 or more")
        if guidance != 1.0 and (self.denoiser is None or self.condition is None):
            raise ValueError(f"guidance is {guidance:g}, but only a conditional diffusion has one: leave it at 1")
        if self.denoiser is None:
            return torch.randn(n, self.decoder.shape.latent_dim, generator=generator).to(self.device)
        return diffusion.sample_latents(
            self.denoiser, n, sampler=self.sampler if sampler is None else sampler,
            steps=self.steps if steps is None else steps, generator=generator, cond=self.as_tensor(given), guidance=guidance,
        )  # fmt: skip

    @torch.no_grad()
    def decode(
        self,
        z: torch.Tensor,
        *,
        generator: torch.Generator,
        vix: float | np.ndarray | None = None,
        temperature: float = 1.0,
        sampled: bool = True,
    ) -> np.ndarray:
        """(n, L) log-returns of standardised latents z (n, D).

        temperature : factor on z; 1 is the calibrated model
        sampled : False for the decoder's mean without its noise
        """
        given = self.given(vix, len(z))
        cond = self.as_tensor(given)
        latents = temperature * z if self.latent_scaler is None else self.latent_scaler.restore(temperature * z)
        if sampled:
            values = self.decoder.sample_decoder(latents, cond, generator=generator)
        else:
            values = self.decoder.decode(latents, cond)[0]
        windows = self.scaler.unscale(values.cpu().numpy())
        return windows if given is None else windows * self.condition.scale(given)

    @torch.no_grad()
    def encode(self, windows: np.ndarray, vix: float | np.ndarray | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Posterior means and log-variances, each (N, D), of log-return windows (N, L), as the VAE has them."""
        if self.decoder.encoder is None:
            raise ValueError("these weights have no encoder, they sample only: load the model of a finished run")
        values, _ = standardise(windows, self.scaler, self.condition, given := self.given(vix, len(windows)))
        return self.decoder.encode(torch.from_numpy(values).to(self.device), self.as_tensor(given))

    @torch.no_grad()
    def reconstruct(self, windows: np.ndarray, vix: float | np.ndarray | None = None, *, seed: int = 0) -> np.ndarray:
        """(N, L) log-returns: each window encoded by the VAE, drawn from its posterior, decoded and sampled."""
        generator = torch.Generator().manual_seed(seed)
        z = vae.draw_posterior(*self.encode(windows, vix), generator=generator)
        alone = LatentGenerator(self.decoder, self.scaler, condition=self.condition)
        return alone.decode(z, generator=generator, vix=vix)

    def biased(self, bias: float) -> "LatentGenerator":
        """A stress-filtered VAE whose latents lie around `bias` times the mean latent of stress; others have no bias."""
        if self.denoiser is not None or self.latent_scaler is None:
            raise ValueError(f"bias is {bias:g}, but only a stress-filtered VAE has one: leave it at 1")
        moved = dataclasses.replace(self.latent_scaler, mean=bias * self.latent_scaler.mean)
        return dataclasses.replace(self, latent_scaler=moved)

    @property
    def device(self) -> torch.device:
        return next(self.decoder.parameters()).device

    def given(self, vix: float | np.ndarray | None, n: int) -> np.ndarray | None:
        """The VIX of n windows as (n,); None for an unconditional model."""
        if self.condition is None:
            if vix is not None:
                raise ValueError("this model is unconditional: leave vix out, or load a 06_diffusion.cond_* folder")
            return None
        if vix is None:
            raise ValueError(f"this model is conditional on the VIX at the window's {self.vix_at}: give vix in index points")
        given = np.asarray(vix, dtype=float)
        if given.shape not in ((), (n,)):
            raise ValueError(f"vix has the shape {given.shape}: give one number or one for each of the {n} windows")
        if not np.all(given > 0):
            raise ValueError(f"vix holds {given.min():g}: give index points, which are positive")
        return np.broadcast_to(given, (n,))

    def asked(self, vix: float | np.ndarray | None, n: int) -> np.ndarray | None:
        """The same for new windows: real ones have the VIX they have, but not every VIX may be asked for."""
        given = self.given(vix, n)
        if given is not None:
            self.condition.check(given)
        return given

    def as_tensor(self, given: np.ndarray | None) -> torch.Tensor | None:
        """(n,) index points -> (n, 1) condition of the networks."""
        if given is None:
            return None
        return torch.from_numpy(self.scaler.standardise_vix(self.condition.told(given))).to(self.device)

    def files(self) -> dict[str, object]:
        """What `runs.Run.save` writes so that `load` can read it: model.json and model.safetensors."""
        shapes = {"vae": self.decoder.shape.to_dict(), "scaler": self.scaler.to_dict()}
        if self.condition is not None:
            shapes["condition"] = self.condition.to_dict()
        tensors = {f"vae.{name}": tensor for name, tensor in self.decoder.state_dict().items()}
        if self.denoiser is not None:
            shapes |= {"denoiser": self.denoiser.shape.to_dict(), "convention": self.convention, "steps": self.steps}
            shapes |= {"sampler": self.sampler}
            tensors |= {f"denoiser.{name}": tensor for name, tensor in self.denoiser.state_dict().items()}
        if self.latent_scaler is not None:
            shapes["latents"] = self.latent_scaler.convention
            tensors |= {"latents.mean": self.latent_scaler.mean, "latents.std": self.latent_scaler.std}
        return {"model.json": shapes, "model.safetensors": tensors}


@dataclass(frozen=True)
class TimeGANGenerator:
    """A trained TimeGAN, whose shape knows the scale of the windows it learned."""

    model: timegan.TimeGAN

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        vix: None = None,
        guidance: float = 1.0,
        temperature: float = 1.0,
        stress_scale: float = 1.0,
        bias: float = 0.0,
        progress: bool = False,
    ) -> np.ndarray:
        """(n, L) float32 log-returns; the same arguments give the same windows.

        temperature, stress_scale, bias : noise is drawn from N(bias, (stress_scale * temperature)^2); 1, 1 and 0 are
            the model as trained
        vix, guidance : this model has neither; anything but the default is refused
        """
        if n < 1:
            raise ValueError(f"n is {n}: ask for at least one window")
        if vix is not None or guidance != 1.0:
            raise ValueError("TimeGAN knows no VIX: leave vix and guidance out, or load a 06_diffusion.cond_* folder")
        spread = noise_spread(temperature, stress_scale, bias)
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for first in tqdm(range(0, n, CHUNK), disable=not progress, desc="sampling", unit="chunk"):
            noise = self.model.draw_noise(min(CHUNK, n - first), generator=generator)
            parts.append(self.model(bias + spread * noise).cpu().numpy())
        return self.model.shape.unscale(np.concatenate(parts))

    def files(self) -> dict[str, object]:
        """What `runs.Run.save` writes so that `load` can read it: model.json and model.safetensors."""
        return {"model.json": {"timegan": self.model.shape.to_dict()}, "model.safetensors": self.model.state_dict()}


def noise_spread(temperature: float, stress_scale: float, bias: float) -> float:
    """Factor on the spread of what a model samples from. Raises ValueError for a knob that is not finite, or a negative
    spread."""
    if not np.isfinite(bias):
        raise ValueError(f"bias is {bias:g}: give a finite number")
    for name, value in (("temperature", temperature), ("stress_scale", stress_scale)):
        if not 0.0 <= value < float("inf"):
            raise ValueError(f"{name} is {value:g}: give a number of 0 or more")
    return temperature * stress_scale


@functools.cache
def warn_extrapolated(vix: float, condition: VIXCondition) -> None:
    """Say once in a process that a VIX lies outside the training windows."""
    log.warning("VIX %.2f is extrapolated: the training windows hold %.2f to %.2f", vix, condition.lowest, condition.highest)


def load(folder: Path | str, *, device: str = "cpu") -> LatentGenerator | TimeGANGenerator:
    """The trained model in `folder` (of a finished 03, 06 or 08), ready to sample.

    The folder is self-contained: it may be copied anywhere. Raises FileNotFoundError when it holds no model.
    """
    folder = Path(folder)
    if not (folder / "model.json").exists():
        raise FileNotFoundError(
            f"{folder} holds no model.json: it is not the folder of a finished 03_vae, 06_diffusion or 08_timegan"
        )
    shapes = json.loads((folder / "model.json").read_text())
    tensors = load_file(folder / "model.safetensors", device=device)
    if "timegan" in shapes:
        model = timegan.TimeGAN(timegan.TimeGANShape(**shapes["timegan"])).to(device)
        model.load_state_dict(tensors)
        return TimeGANGenerator(model.eval().requires_grad_(False))
    scaler = Scaler(**shapes["scaler"])
    decoder = vae.GaussianVAE(vae.VAEShape(**shapes["vae"])).to(device)
    if not part(tensors, "vae.encoder."):
        decoder.encoder = None
    decoder.load_state_dict(part(tensors, "vae."))
    condition = VIXCondition(**shapes["condition"]) if "condition" in shapes else None
    latent_scaler = None
    if "latents" in shapes:
        latent_scaler = vae.LatentScaler(shapes["latents"], tensors["latents.mean"], tensors["latents.std"])
    if "denoiser" not in shapes:
        return LatentGenerator(decoder.eval(), scaler, latent_scaler=latent_scaler, condition=condition)
    denoiser = diffusion.Denoiser(diffusion.DenoiserShape(**shapes["denoiser"])).to(device)
    denoiser.load_state_dict(part(tensors, "denoiser."))
    return LatentGenerator(
        decoder.eval(), scaler, denoiser.eval(), latent_scaler, shapes["convention"], shapes["steps"], condition,
        shapes.get("sampler", "ddim"),
    )  # fmt: skip


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Tensors of one network, without its prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
