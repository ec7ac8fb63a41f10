"""Models asked for windows at a VIX, held against the real windows at that VIX: tidy rows of numbers."""

import itertools
import logging
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch

from chaoslib.evaluation import metrics, scoring
from chaoslib.market.vix import VIXCondition
from chaoslib.market.windows import count_episodes
from chaoslib.models.generate import LatentGenerator, TimeGANGenerator

log = logging.getLogger(__name__)

HALF_WIDTHS = (2.5, 4.0, 5.5, 7.0, 8.5, 10.0)  # VIX points around a target, published
ENOUGH = 200  # windows that end the widening, published
FEWEST_WINDOWS, FEWEST_EPISODES = 30, 3  # real windows and episodes that a comparison needs
METRICS = ("std_ratio", "q01_gap", "q99_gap", "mdd_gap_mean", "acf1_gap", "acf2_gap", "ks_D")
SPLITS = ("train", "test", "all")
SPREADS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # settings of stress_scale * temperature that `turn_knobs` tries
SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # and of `mean_factor` or `noise_mean`, away from the model as trained

Sampler = Callable[[np.ndarray], np.ndarray]  # VIX (n,) in index points -> windows (n, L)


def match_vix(vix: np.ndarray, target: float) -> tuple[np.ndarray, float]:
    """Indices of the windows whose VIX (N,) lies within a half-width of the target, and that half-width.

    The published rule: 2.5 points, widened by 1.5 up to 10 until 200 windows match.
    """
    matched, width = np.array([], dtype=int), HALF_WIDTHS[0]
    for width in HALF_WIDTHS:
        matched = np.flatnonzero(np.abs(vix - target) <= width)
        if len(matched) >= ENOUGH:
            break
    return matched, width


def within_reach(targets: Iterable[float], vix: np.ndarray, lowest: float, highest: float) -> list[float]:
    """The targets from `lowest` to `highest`, or where fewer than two are, as many of the data's own: quantiles of VIX (N,).

    A volatility index that never falls to 30, or one that never rises to 15, is asked for levels that it knows, in whole
    points; those that round to one are one target. A single target in reach is kept when it is all that is asked for.
    """
    targets = [float(target) for target in targets]
    inside = [target for target in targets if lowest <= target <= highest]
    if len(inside) >= min(2, len(targets)):
        return inside
    own = np.round(np.quantile(vix, (np.arange(len(targets)) + 0.5) / len(targets)))
    own = np.unique(own.clip(lowest, highest)).tolist()
    asked, instead = (", ".join(f"{target:g}" for target in levels) for levels in (targets, own))
    log.info("of VIX %s too few lie from %.1f to %.1f: asked for are %s", asked, lowest, highest, instead)
    return own


def returns_near(targets: Iterable[float], windows: np.ndarray, vix: np.ndarray, first_day: np.ndarray) -> pd.DataFrame:
    """What the windows (N, L) returned whose VIX (N,) lay near each target.

    first_day : (N,) positions of the windows' first days in the history, as `windows.cut_windows` gives them
    Columns target_vix, mean and median of their cumulative log-returns, n_windows and n_episodes.
    """
    rows = []
    for target in targets:
        near, _ = match_vix(vix, target)
        sums = windows[near].sum(axis=1, dtype=float) if len(near) else np.array([np.nan])
        row = {"target_vix": target, "mean": sums.mean(), "median": np.median(sums), "n_windows": len(near)}
        rows.append(row | {"n_episodes": count_episodes(first_day[near], seq_len=windows.shape[1])})
    return pd.DataFrame(rows)


def gaps(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """The paper's comparison of windows at a VIX: std ratio, and gaps (generated less real) of the rest.

    q01 and q99 are quantiles of pooled daily log-returns, mdd the mean maximum drawdown, acf1 and acf2 the windowed
    autocorrelations of r, ks_D the Kolmogorov-Smirnov statistic of pooled returns.
    """
    low, high = np.quantile(fake, [0.01, 0.99]) - np.quantile(real, [0.01, 0.99])
    return {
        "std_ratio": metrics.std_ratio(real, fake),
        "q01_gap": float(low),
        "q99_gap": float(high),
        "mdd_gap_mean": float(np.mean(metrics.max_drawdown(fake)) - np.mean(metrics.max_drawdown(real))),
        "acf1_gap": metrics.windowed_acf(fake, 1) - metrics.windowed_acf(real, 1),
        "acf2_gap": metrics.windowed_acf(fake, 2) - metrics.windowed_acf(real, 2),
        "ks_D": metrics.ks(real, fake)[0],
    }


def compare_at(
    target: float,
    real: np.ndarray,
    vix: np.ndarray,
    first_day: np.ndarray,
    generate: Callable[[np.ndarray], np.ndarray],
    condition: VIXCondition,
) -> dict:
    """One row: the real windows (N, L) with their VIX (N,) near a target against those that `generate` gives.

    first_day : (N,) positions of the windows' first days in the history
    generate : VIX of the matched windows (m,) -> windows (n, L); called only when `FEWEST_WINDOWS` real windows in
    `FEWEST_EPISODES` episodes match, else the metrics are blank
    Raises ValueError unless every real window has its VIX and first day, and generated ones have its length.
    """
    if not len(real) == len(vix) == len(first_day):
        raise ValueError(f"{len(real)} real windows, {len(vix)} VIX, {len(first_day)} first days: give one of each a window")
    matched, half_width = match_vix(vix, target)
    episodes = count_episodes(first_day[matched], seq_len=real.shape[1])
    enough = len(matched) >= FEWEST_WINDOWS and episodes >= FEWEST_EPISODES
    fake = generate(vix[matched]) if enough else None
    if fake is not None and fake.shape[1] != real.shape[1]:
        raise ValueError(f"generated windows have {fake.shape[1]} days, real ones {real.shape[1]}")
    return {
        "target_vix": target,
        "vix_matched_mean": float(vix[matched].mean()) if len(matched) else np.nan,
        "n_episodes": episodes,
        **(dict.fromkeys(METRICS, np.nan) if fake is None else gaps(real[matched], fake)),
        "num_real_matched": len(matched),
        "num_gen": 0 if fake is None else len(fake),
        "half_width": half_width,
        "extrapolated": bool(condition.extrapolated(np.array([target]))[0]),
    }


def spread(values: np.ndarray, n: int) -> np.ndarray:
    """(n,) values taken evenly from (m,), from first to last, whether n is more or fewer than m."""
    return values[np.arange(n) * len(values) // n]


def compare(
    model: str,
    sample: Sampler,
    fixed: dict[float, np.ndarray],
    real: dict,
    vix: dict,
    first_day: dict,
    condition: VIXCondition,
    *,
    n_matched: int,
) -> pd.DataFrame:
    """Rows of one model in both modes, for every target and split.

    fixed : target -> windows generated at it
    real, vix, first_day : split -> windows (N, L), their VIX (N,), positions of their first days in the history (N,)
    Mode `target` compares with the fixed windows, mode `matched` with n_matched at the VIX of the matched windows,
    each taken as often as any other.
    """
    rows = []
    for target, windows in fixed.items():
        modes = {"target": lambda _, windows=windows: windows, "matched": lambda own: sample(spread(own, n_matched))}
        for split, (mode, generate) in itertools.product(SPLITS, modes.items()):
            row = compare_at(target, real[split], vix[split], first_day[split], generate, condition)
            rows.append({"model": model, "mode": mode, "split": split, "guidance": 1.0, **row})
    log.info("sampled %s at %d levels of the VIX at the window's %s", model, len(fixed), condition.vix_at)
    return pd.DataFrame(rows)


def sweep(
    model: LatentGenerator,
    real: dict,
    vix: dict,
    first_day: dict,
    *,
    targets: Iterable[float],
    guidance: Iterable[float],
    temperatures: Iterable[float],
    scales: Iterable[float],
    n: int,
    steps: int,
    seed: int,
) -> pd.DataFrame:
    """Every combination of the dials, n windows each, against the real windows within reach of the target (all splits).

    real, vix, first_day : as in `compare`
    targets : VIX, index points; asked for are those of `within_reach`
    One run of the diffusion serves all amplitudes of a target and a w, and all share their noise.
    """
    rows, history = [], [part["all"] for part in (real, vix, first_day)]
    targets, guidance = within_reach(targets, vix["train"], *model.condition.reach), list(guidance)
    for target, w in itertools.product(targets, guidance):
        generator = torch.Generator().manual_seed(seed)
        z = model.sample_latents(n, vix=target, guidance=w, steps=steps, generator=generator)
        for temperature in temperatures:
            noise = torch.Generator().manual_seed(seed + 1)  # the latents have taken the stream of `seed`
            windows = model.decode(z, vix=target, temperature=temperature, generator=noise)
            for scale in scales:
                row = compare_at(target, *history, lambda _, s=scale, w=windows: s * w, model.condition)
                dials = {"guidance": w, "temperature": temperature, "output_scale": scale}
                rows.append({**row, **dials, "amplified": max(dials.values()) > 1.0})
        if w == guidance[-1]:
            log.info("swept VIX %g: %d settings so far", target, len(rows))
    return pd.DataFrame(rows).assign(mode="target", split="all")


def guidance_dial(
    model: LatentGenerator, windows: np.ndarray, vix: np.ndarray, *, guidance: Iterable[float], levels: np.ndarray,
    shown: Iterable[float], n: int, steps: int, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Coverage of the log realised volatility of windows (N, L) given VIX (N,), and volatility at some VIX, for each w.

    levels : grid of VIX that spans vix, n windows at each. Columns guidance, coverage, volatility_<VIX>: the median
    over windows, per day.
    shown : VIX, index points; those of `within_reach` of the grid
    """
    shown = within_reach(shown, vix, levels[0], levels[-1])
    rows = []
    for w in guidance:
        grid = scoring.quantile_grid(
            lambda level, w=w: model.sample(n, vix=level, guidance=w, seed=seed, steps=steps), levels
        )["log_rv"]  # fmt: skip
        inside = scoring.covered(scoring.at_vix(grid, levels, vix), metrics.log_rv(windows))
        middle = np.median(scoring.at_vix(grid, levels, np.asarray(shown, dtype=float)), axis=1)
        typical = {f"volatility_{v:g}": float(np.exp(value)) for v, value in zip(shown, middle, strict=True)}
        rows.append({"guidance": w, "coverage": float(inside.mean()), **typical})
    return pd.DataFrame(rows)


def volatility_by_vix(model: LatentGenerator, levels: np.ndarray, *, n: int, steps: int, seed: int) -> pd.DataFrame:
    """Volatility of n windows at each level of the VIX, all with the same noise; levels out of reach are left out.

    Columns vix, std (of all days) and median_rv (of windows), log-returns per day, and extrapolated.
    """
    levels = levels[model.condition.reachable(levels)]
    rows = []
    for level in levels:
        windows = model.sample(n, vix=level, seed=seed, steps=steps)
        median = np.median(metrics.realised_vol(windows))
        rows.append({"vix": level, "std": float(windows.std()), "median_rv": float(median)})
    return pd.DataFrame(rows).assign(extrapolated=model.condition.extrapolated(levels))


def turn_knobs(name: str, model: LatentGenerator | TimeGANGenerator, *, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """What the knobs do to the realised volatility of n windows: one row a setting of one knob, the others as trained.

    Columns model (`name`), knob, value, and q05, q50, q95 of the volatility, per day. The knobs are spread (stress_scale
    * temperature), mean_factor of a stress-filtered VAE, and noise_mean of a TimeGAN.
    """
    settings = [("spread", value, {"stress_scale": value}) for value in SPREADS]
    if isinstance(model, TimeGANGenerator):
        settings += [("noise_mean", shift, {"noise_mean": shift}) for shift in SHIFTS]
    elif model.is_stress:
        settings += [("mean_factor", 1.0 + shift, {"mean_factor": 1.0 + shift}) for shift in SHIFTS]
    rows = []
    for knob, value, options in settings:
        quantiles = np.quantile(metrics.realised_vol(model.sample(n, seed=seed, **options)), [0.05, 0.5, 0.95])
        rows.append(
            {"model": name, "knob": knob, "value": value, **dict(zip(("q05", "q50", "q95"), quantiles, strict=True))}
        )
    return pd.DataFrame(rows)
