"""A trained model of any kind -> windows of log-returns: `load(folder).sample(n, seed=0, vix=35)`."""

import functools
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from chaoslib.market.vix import VIXCondition
from chaoslib.market.windows import Scaler, standardise
from chaoslib.models import diffusion, timegan, vae
from chaoslib.pipeline import arguments

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
        conditions = self.decoder.shape.cond_dim
        if bool(conditions) != (self.condition is not None):
            raise ValueError(f"the decoder has {conditions} conditions, its VIX is {self.condition}")
        latents = "no latents" if self.latent_scaler is None else f"{self.latent_scaler.convention!r} latents"
        if self.denoiser is None:
            if self.latent_scaler is not None and not self.is_stress:
                raise ValueError(f"a VAE alone would be decoded as {latents}: it has its prior, or that of stress")
            return
        if self.denoiser.shape.cond_dim != conditions:
            raise ValueError(f"the denoiser has {self.denoiser.shape.cond_dim} conditions, the decoder {conditions}")
        if self.latent_scaler is None or self.latent_scaler.convention != self.convention:
            raise ValueError(f"the denoiser learned {self.convention!r} latents but would be decoded as {latents}")

    @property
    def vix_at(self) -> str:
        """ "end" or "start" of the window, where the VIX of a conditional model is read; empty without a condition."""
        return self.condition.vix_at if self.condition else ""

    @property
    def is_stress(self) -> bool:
        """Whether this is a stress-filtered VAE, whose prior lies around the mean latent of its windows."""
        return self.latent_scaler is not None and self.latent_scaler.convention == vae.STRESS

    @property
    def device(self) -> torch.device:
        return next(self.decoder.parameters()).device

    def sample(
        self, n: int, *, seed: int = 0, vix: float | np.ndarray | None = None, guidance: float = 1.0,
        temperature: float = 1.0, stress_scale: float = 1.0, mean_factor: float = 1.0,
        sampler: str | None = None, steps: int | None = None, progress: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """(n, L) float32 log-returns; the same arguments give the same windows.

        vix : index points, one number or (n,); conditional models need it, others refuse it. Warns outside the range
            of the training windows and raises ValueError far outside, see `VIXCondition.check`
        guidance : w of classifier-free guidance, 0 or more. 1 is the calibrated model; more moves away from the law
            without the VIX, so it raises volatility at a high VIX and lowers it at a low one. With normalised windows,
            whose VIX is divided out, it is no stress dial
        temperature, stress_scale : their product multiplies the spread of the latents; 1 is the model as trained
        mean_factor : of a stress-filtered VAE, whose latents lie around mean_factor times the mean latent of stress
        Memory is bounded by chunks of `CHUNK` windows beyond the result itself.
        """
        n = arguments.whole("n", n, least=1)
        spread = noise_spread(temperature, stress_scale)
        decoder = self if mean_factor == 1.0 else self.with_mean_factor(mean_factor)
        levels, cond = self.resolve_vix(vix, n, within_reach=True)
        if levels is not None and (beyond := self.condition.extrapolated(levels)).any():
            warn_extrapolated(float(levels[beyond][0]), self.condition)
        generator = noise_source(seed)
        parts = []
        for first in tqdm(range(0, n, CHUNK), disable=not progress, desc="sampling", unit="chunk"):
            rows = slice(first, min(first + CHUNK, n))
            here = (None, None) if levels is None else (levels[rows], cond[rows])
            z = self._latents(rows.stop - first, here[1], generator, guidance, sampler, steps)
            parts.append(decoder._windows(spread * z, *here, generator))
        return np.concatenate(parts)

    def sample_latents(
        self, n: int, *, generator: torch.Generator, vix: float | np.ndarray | None = None, guidance: float = 1.0,
        sampler: str | None = None, steps: int | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """(n, D) standardised latents, as the denoiser knows them; for a VAE alone draws from its prior."""
        _, cond = self.resolve_vix(vix, n, within_reach=True)
        return self._latents(n, cond, generator, guidance, sampler, steps)

    def decode(
        self, z: torch.Tensor, *, generator: torch.Generator, vix: float | np.ndarray | None = None,
        temperature: float = 1.0, sampled: bool = True,
    ) -> np.ndarray:  # fmt: skip
        """(n, L) log-returns of standardised latents z (n, D).

        temperature : factor on z; 1 is the calibrated model
        sampled : False for the decoder's mean without its noise
        """
        return self._windows(temperature * z, *self.resolve_vix(vix, len(z)), generator, sampled)

    def encode(self, windows: np.ndarray, vix: float | np.ndarray | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Posterior means and log-variances, each (N, D), of log-return windows (N, L), as the VAE has them."""
        return self._posterior(windows, *self.resolve_vix(vix, len(windows)))

    def reconstruct(self, windows: np.ndarray, vix: float | np.ndarray | None = None, *, seed: int = 0) -> np.ndarray:
        """(N, L) log-returns: each window encoded by the VAE, drawn from its posterior, decoded and sampled."""
        levels, cond = self.resolve_vix(vix, len(windows))
        generator = noise_source(seed)
        z = vae.draw_posterior(*self._posterior(windows, levels, cond), generator=generator)
        alone = LatentGenerator(self.decoder, self.scaler, condition=self.condition)
        return alone._windows(z, levels, cond, generator)

    def with_mean_factor(self, factor: float) -> "LatentGenerator":
        """A stress-filtered VAE whose latents lie around `factor` times the mean latent of stress; others have none."""
        arguments.number("mean_factor", factor)
        if not self.is_stress:
            raise ValueError(f"mean_factor is {factor:g}, but only a stress-filtered VAE has one: leave it at 1")
        return replace(self, latent_scaler=replace(self.latent_scaler, mean=factor * self.latent_scaler.mean))

    def resolve_vix(
        self, vix: float | np.ndarray | None, n: int, *, within_reach: bool = False
    ) -> tuple[np.ndarray | None, torch.Tensor | None]:
        """The VIX of n windows in index points (n,) and as the networks' condition (n, 1); both None without a condition.

        within_reach : refuse a VIX that is out of the model's reach. New windows need it; real ones have the VIX they have
        Raises ValueError for a VIX that is missing, superfluous, not positive, or of another shape.
        """
        if self.condition is None:
            if vix is not None:
                raise ValueError("this model is unconditional: leave vix out, or load a 06_diffusion.cond_* folder")
            return None, None
        if vix is None:
            raise ValueError(f"vix is None, but this model needs the VIX at the window's {self.vix_at}: give index points")
        levels = arguments.index_points("vix", vix)
        if levels.shape not in ((), (n,)):
            raise ValueError(f"vix has the shape {levels.shape}: give one number or one for each of the {n} windows")
        if not np.all(levels > 0):
            raise ValueError(f"vix holds {levels.min():g}: give index points, which are positive")
        levels = np.broadcast_to(levels, (n,))
        if within_reach:
            self.condition.check(levels)
        return levels, torch.from_numpy(self.scaler.standardise_vix(self.condition.told(levels))).to(self.device)

    @torch.no_grad()
    def _latents(
        self, n: int, cond: torch.Tensor | None, generator: torch.Generator, guidance: float, sampler: str | None,
        steps: int | None,
    ) -> torch.Tensor:  # fmt: skip
        arguments.number("guidance", guidance, least=0)
        steps = self.steps if steps is None else arguments.whole("steps", steps, least=1)
        if guidance != 1.0 and (self.denoiser is None or self.condition is None):
            raise ValueError(f"guidance is {guidance:g}, but only a conditional diffusion has one: leave it at 1")
        if self.denoiser is None:
            return torch.randn(n, self.decoder.shape.latent_dim, generator=generator).to(self.device)
        return diffusion.sample_latents(
            self.denoiser, n, sampler=self.sampler if sampler is None else sampler, steps=steps,
            generator=generator, cond=cond, guidance=guidance,
        )  # fmt: skip

    @torch.no_grad()
    def _windows(
        self, z: torch.Tensor, levels: np.ndarray | None, cond: torch.Tensor | None, generator: torch.Generator,
        sampled: bool = True,
    ) -> np.ndarray:  # fmt: skip
        latents = z if self.latent_scaler is None else self.latent_scaler.restore(z)
        if sampled:
            values = self.decoder.sample_decoder(latents, cond, generator=generator)
        else:
            values = self.decoder.decode(latents, cond)[0]
        windows = self.scaler.unscale(values.cpu().numpy())
        return windows if levels is None else windows * self.condition.scale(levels)

    @torch.no_grad()
    def _posterior(
        self, windows: np.ndarray, levels: np.ndarray | None, cond: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.decoder.encoder is None:
            raise ValueError("these weights have no encoder, they sample only: load the model of a finished run")
        values, _ = standardise(windows, self.scaler, self.condition, levels)
        return self.decoder.encode(torch.from_numpy(values).to(self.device), cond)

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
        self, n: int, *, seed: int = 0, vix: None = None, guidance: float = 1.0, temperature: float = 1.0,
        stress_scale: float = 1.0, noise_mean: float = 0.0, progress: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """(n, L) float32 log-returns; the same arguments give the same windows.

        temperature, stress_scale, noise_mean : noise is drawn from N(noise_mean, (stress_scale * temperature)^2); 1, 1
            and 0 are the model as trained
        vix, guidance : this model has neither; anything but the default is refused
        """
        n = arguments.whole("n", n, least=1)
        if vix is not None or guidance != 1.0:
            raise ValueError("TimeGAN knows no VIX: leave vix and guidance out, or load a 06_diffusion.cond_* folder")
        arguments.number("noise_mean", noise_mean)
        spread = noise_spread(temperature, stress_scale)
        generator = noise_source(seed)
        parts = []
        for first in tqdm(range(0, n, CHUNK), disable=not progress, desc="sampling", unit="chunk"):
            noise = self.model.draw_noise(min(CHUNK, n - first), generator=generator)
            parts.append(self.model(noise_mean + spread * noise).cpu().numpy())
        return self.model.shape.unscale(np.concatenate(parts))

    def files(self) -> dict[str, object]:
        """What `runs.Run.save` writes so that `load` can read it: model.json and model.safetensors."""
        return {"model.json": {"timegan": self.model.shape.to_dict()}, "model.safetensors": self.model.state_dict()}


def noise_spread(temperature: float, stress_scale: float) -> float:
    """Factor on the spread of what a model samples from. Raises ValueError for a knob that is negative or not finite."""
    return arguments.number("temperature", temperature, least=0) * arguments.number("stress_scale", stress_scale, least=0)


def noise_source(seed: int) -> torch.Generator:
    """Where a call takes its noise from. Raises ValueError for a seed that is no whole number of 64 bits."""
    return torch.Generator().manual_seed(arguments.whole("seed", seed, least=0, most=2**64 - 1))


@functools.cache
def warn_extrapolated(vix: float, condition: VIXCondition) -> None:
    """Say once in a process that a VIX lies outside the training windows."""
    log.warning("VIX %.2f is extrapolated: the training windows hold %.2f to %.2f", vix, condition.lowest, condition.highest)


def load(folder: Path | str, *, device: str = "cpu") -> LatentGenerator | TimeGANGenerator:
    """The trained model in `folder` (of a finished 03, 06 or 08), ready to sample.

    The folder is self-contained: it may be copied anywhere. Raises FileNotFoundError when it holds no model.
    """
    return (load_timegan if "timegan" in read_shapes(folder) else load_latent)(folder, device=device)


def load_timegan(folder: Path | str, *, device: str = "cpu") -> TimeGANGenerator:
    """The same for the folder of a 08_timegan alone."""
    shape = timegan.TimeGANShape(**read_shapes(folder, "timegan")["timegan"])
    model = timegan.TimeGAN(shape).to(device)
    model.load_state_dict(load_file(Path(folder) / "model.safetensors", device=device))
    return TimeGANGenerator(model.eval().requires_grad_(False))


def load_latent(folder: Path | str, *, device: str = "cpu") -> LatentGenerator:
    """The same for the folder of a 03_vae or a 06_diffusion alone."""
    shapes = read_shapes(folder, "vae")
    tensors = load_file(Path(folder) / "model.safetensors", device=device)
    decoder = vae.GaussianVAE(vae.VAEShape(**shapes["vae"])).to(device)
    if not with_prefix(tensors, "vae.encoder."):
        decoder.encoder = None
    decoder.load_state_dict(with_prefix(tensors, "vae."))
    condition = VIXCondition(**shapes["condition"]) if "condition" in shapes else None
    latent_scaler, denoiser = None, None
    if "latents" in shapes:
        latent_scaler = vae.LatentScaler(shapes["latents"], tensors["latents.mean"], tensors["latents.std"])
    if "denoiser" in shapes:
        denoiser = diffusion.Denoiser(diffusion.DenoiserShape(**shapes["denoiser"])).to(device).eval()
        denoiser.load_state_dict(with_prefix(tensors, "denoiser."))
    options = {name: shapes[name] for name in ("convention", "steps", "sampler") if name in shapes}
    scaler = Scaler(**shapes["scaler"])
    return LatentGenerator(decoder.eval(), scaler, denoiser, latent_scaler, condition=condition, **options)


def read_shapes(folder: Path | str, network: str = "") -> dict:
    """model.json of a folder. Raises FileNotFoundError when there is none, ValueError when it lacks a network."""
    path = Path(folder) / "model.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{folder} holds no model.json: it is not the folder of a finished 03_vae, 06_diffusion or 08_timegan"
        )
    shapes = json.loads(path.read_text(encoding="utf-8"))
    if network and network not in shapes:
        raise ValueError(f"{folder} holds no {network}: read it with generate.load, which reads models of any kind")
    return shapes


def with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Tensors of one network, without its prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
