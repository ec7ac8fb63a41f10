"""One function per figure: arrays in, `Figure` out. One- and two-column widths, fonts embedded, colours fixed by model."""

from chaoslib.figures import controls
from chaoslib.figures.adversarial import calm_to_wild, mode_collapse, stress_knobs, timegan_history
from chaoslib.figures.bottleneck import PROBE_LABELS, latent_tails, round_trips
from chaoslib.figures.conditional import (
    calibration,
    conditional_laws,
    crps_anatomy,
    fan,
    guidance_dial,
    sweep,
    volatility_against_vix,
)
from chaoslib.figures.denoising import latent_sources, noise_levels
from chaoslib.figures.diagrams import denoiser_network, pipeline_map, timegan_networks, vae_network
from chaoslib.figures.explorer import scenario_card
from chaoslib.figures.files import redraw, save
from chaoslib.figures.forecasts import (
    PORTFOLIO_LABELS,
    RISK_LABELS,
    exceedances,
    history_fans,
    long_horizons,
    losses_against_vix,
    walk_forward,
)
from chaoslib.figures.history import price_history, split_overview, stress_share, windows_sketch
from chaoslib.figures.samples import acf, drawdowns, gallery, headline, histogram, paths, qq
from chaoslib.figures.style import COLOURS, LABELS
from chaoslib.figures.training import (
    decoded_windows,
    diffusion_training,
    examples,
    latent_report,
    latent_space,
    latent_use,
    probe,
    vae_history,
)
from chaoslib.figures.verdict import (
    DISTANCE_UNITS,
    METRIC_LABELS,
    forest,
    latent_map,
    memorisation,
    noise_floor,
    scorecard,
    stylised_facts,
)
