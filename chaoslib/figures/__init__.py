"""One function per figure: arrays in, `Figure` out. One- and two-column widths, fonts embedded, colours fixed by model."""

from chaoslib.figures.adversarial import mode_collapse, stress_knobs, timegan_history
from chaoslib.figures.conditional import (
    calibration,
    conditional_laws,
    fan,
    guidance_dial,
    sweep,
    volatility_against_vix,
)
from chaoslib.figures.files import save
from chaoslib.figures.forecasts import exceedances, history_fans, long_horizons, losses_against_vix, walk_forward
from chaoslib.figures.history import price_history, split_overview, stress_share
from chaoslib.figures.samples import acf, drawdowns, gallery, headline, histogram, paths, qq
from chaoslib.figures.style import COLOURS, LABELS
from chaoslib.figures.training import (
    decoded_windows,
    diffusion_training,
    latent_report,
    latent_space,
    latent_use,
    probe,
    vae_history,
)
from chaoslib.figures.verdict import forest, latent_map, memorisation, scorecard, stylised_facts

__all__ = [
    "COLOURS",
    "LABELS",
    "acf",
    "calibration",
    "conditional_laws",
    "decoded_windows",
    "diffusion_training",
    "drawdowns",
    "exceedances",
    "fan",
    "forest",
    "gallery",
    "guidance_dial",
    "headline",
    "histogram",
    "history_fans",
    "latent_map",
    "latent_report",
    "latent_space",
    "latent_use",
    "long_horizons",
    "losses_against_vix",
    "memorisation",
    "mode_collapse",
    "paths",
    "price_history",
    "probe",
    "qq",
    "save",
    "scorecard",
    "split_overview",
    "stress_knobs",
    "stress_share",
    "stylised_facts",
    "sweep",
    "timegan_history",
    "vae_history",
    "volatility_against_vix",
    "walk_forward",
]
