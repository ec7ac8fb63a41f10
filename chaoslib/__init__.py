"""Compressing Chaos: latent diffusion for financial time-series stress testing."""

__version__ = "0.1.0"
