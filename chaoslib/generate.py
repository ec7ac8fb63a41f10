"""From a finished model folder to windows of log-returns: `load(folder).sample(n, seed=0)`."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from chaoslib import diffusion, vae
from chaoslib.windows import Scaler

CHUNK = 1000  # windows decoded at a time: bounds memory and fits the cache


@dataclass(frozen=True)
class LatentGenerator:
    """A VAE decoder fed by its prior (denoiser is None) or by a diffusion over its latents.

    convention : which latents the denoiser learned, "post" or "mu"; must be the latent scaler's
    steps : DDIM steps unless `sample` is told otherwise
    """

    decoder: vae.GaussianVAE
    scaler: Scaler
    denoiser: diffusion.Denoiser | None = None
    latent_scaler: vae.LatentScaler | None = None
    convention: str = ""
    steps: int = 200

    def __post_init__(self):
        if self.denoiser is None:
            return
        if self.latent_scaler is None or self.latent_scaler.convention != self.convention:
            found = "no latents" if self.latent_scaler is None else f"{self.latent_scaler.convention!r} latents"
            raise ValueError(f"the denoiser learned {self.convention!r} latents but would be decoded as {found}")

    @torch.no_grad()
    def sample(
        self, n: int, *, seed: int = 0, sampler: str = "ddim", steps: int | None = None, progress: bool = False
    ) -> np.ndarray:
        """(n, L) float32 log-returns; the same arguments give the same windows.

        Memory is bounded by chunks of `CHUNK` windows beyond the result itself.
        """
        if n < 1:
            raise ValueError(f"n is {n}: ask for at least one window")
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for first in tqdm(range(0, n, CHUNK), disable=not progress, desc="sampling", unit="chunk"):
            z = self.sample_latents(min(CHUNK, n - first), generator=generator, sampler=sampler, steps=steps)
            values = self.decoder.sample_decoder(z, generator=generator)
            parts.append(self.scaler.unscale(values.cpu().numpy()))
        return np.concatenate(parts)

    def sample_latents(
        self, n: int, *, generator: torch.Generator, sampler: str = "ddim", steps: int | None = None
    ) -> torch.Tensor:
        """(n, D) latents as the decoder takes them."""
        device = next(self.decoder.parameters()).device
        if self.denoiser is None:
            return torch.randn(n, self.decoder.shape.latent_dim, generator=generator).to(device)
        z = diffusion.sample_latents(self.denoiser, n, sampler=sampler, steps=steps or self.steps, generator=generator)
        return self.latent_scaler.restore(z)

    @torch.no_grad()
    def encode(self, windows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Posterior means and log-variances, each (N, D), of log-return windows (N, L)."""
        device = next(self.decoder.parameters()).device
        return self.decoder.encode(torch.from_numpy(self.scaler.scale(windows)).to(device))

    @torch.no_grad()
    def reconstruct(self, windows: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """(N, L) log-returns: each window encoded, drawn from its posterior, decoded and sampled."""
        generator = torch.Generator().manual_seed(seed)
        z = vae.draw_posterior(*self.encode(windows), generator=generator)
        return self.scaler.unscale(self.decoder.sample_decoder(z, generator=generator).cpu().numpy())

    def files(self) -> dict[str, object]:
        """What `runs.Run.save` writes so that `load` can read it: model.json and model.safetensors."""
        shapes = {"vae": self.decoder.shape.to_dict(), "scaler": self.scaler.to_dict()}
        tensors = {f"vae.{name}": tensor for name, tensor in self.decoder.state_dict().items()}
        if self.denoiser is not None:
            shapes |= {"denoiser": self.denoiser.shape.to_dict(), "convention": self.convention, "steps": self.steps}
            shapes["latents"] = self.latent_scaler.convention
            tensors |= {f"denoiser.{name}": tensor for name, tensor in self.denoiser.state_dict().items()}
            tensors |= {"latents.mean": self.latent_scaler.mean, "latents.std": self.latent_scaler.std}
        return {"model.json": shapes, "model.safetensors": tensors}


def load(folder: Path | str, *, device: str = "cpu") -> LatentGenerator:
    """The trained model in `folder` (of a finished 03 or 06), ready to sample.

    The folder is self-contained: it may be copied anywhere. Raises FileNotFoundError when it holds no model.
    """
    folder = Path(folder)
    if not (folder / "model.json").exists():
        raise FileNotFoundError(f"{folder} holds no model.json: it is not the folder of a finished 03_vae or 06_diffusion")
    shapes = json.loads((folder / "model.json").read_text())
    tensors = load_file(folder / "model.safetensors", device=device)
    decoder = vae.GaussianVAE(vae.VAEShape(**shapes["vae"])).to(device)
    decoder.load_state_dict(part(tensors, "vae."))
    scaler = Scaler(**shapes["scaler"])
    if "denoiser" not in shapes:
        return LatentGenerator(decoder.eval(), scaler)
    denoiser = diffusion.Denoiser(diffusion.DenoiserShape(**shapes["denoiser"])).to(device)
    denoiser.load_state_dict(part(tensors, "denoiser."))
    latent_scaler = vae.LatentScaler(shapes["latents"], tensors["latents.mean"], tensors["latents.std"])
    return LatentGenerator(decoder.eval(), scaler, denoiser.eval(), latent_scaler, shapes["convention"], shapes["steps"])


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Tensors of one network, without its prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
