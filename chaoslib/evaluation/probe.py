"""The bottleneck probe: does a VAE keep volatility and tails, and may the diffusion build on it?"""

import numpy as np
import pandas as pd
import torch

from chaoslib.evaluation import metrics
from chaoslib.models import vae
from chaoslib.models.generate import LatentGenerator

GATE = {  # (metric, subset) -> lowest and highest value that passes
    ("std_ratio", "all"): (0.90, 1.10),
    ("q01_ratio", "all"): (0.85, 1.15),
    ("log_rv_sd_ratio", "all"): (0.85, 1.15),
    ("std_ratio", "vix_top5pct"): (0.85, np.inf),
}
HIGH_VIX_SHARE = 0.05  # of the windows, those with the highest VIX, are the subset `vix_top5pct`
METRICS = ("std_ratio", "log_rv_sd_ratio", "excess_kurtosis", "q01_ratio", "q99_ratio", "acf_abs_mae")


class VarianceCollapse(RuntimeError):
    """A VAE that loses volatility or tails was asked for downstream."""


@torch.no_grad()
def probe_vae(
    model: LatentGenerator,
    windows: np.ndarray,
    vix: np.ndarray,
    *,
    condition_vix: np.ndarray | None = None,
    n: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Decode n draws of each kind and compare them with the windows they come from.

    model : a VAE without diffusion; windows (N, L) log-returns; vix (N,) index points at the windows' end
    condition_vix : (N,) the VIX that a conditional VAE is given, index points
    Returns one row for each subset, draw and decode; metrics compare log-returns, never standardised values.
    """
    if model.denoiser is not None:
        raise ValueError("the probe is of a VAE alone: load the folder of a 03_vae, not of a 06_diffusion")
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    every = rng.choice(len(windows), size=min(n, len(windows)), replace=False)
    highest = np.argsort(vix, kind="stable")[-round(HIGH_VIX_SHARE * len(vix)) :]
    repeated = np.resize(highest, n)  # the subset is small: each of its windows is drawn several times
    rows = []
    for subset, index, draws in (("all", every, ("mu", "post", "prior")), ("vix_top5pct", repeated, ("mu", "post"))):
        real = windows[index]
        own_vix = None if condition_vix is None else condition_vix[index]
        mu, logvar = model.encode(real, own_vix)
        for draw in draws:
            z = vae.draw_latents(mu, logvar, draw, generator=generator)
            for decode in ("mean", "sampled"):
                fake = model.decode(z, generator=generator, vix=own_vix, sampled=decode == "sampled")
                rows.append({"draw": draw, "decode": decode, "subset": subset, **compare(real, fake)})
    return pd.DataFrame(rows)


def compare(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """The metrics of the table `probe`."""
    return {
        "std_ratio": metrics.std_ratio(real, fake),
        "log_rv_sd_ratio": metrics.log_rv_sd_ratio(real, fake),
        "excess_kurtosis": metrics.excess_kurtosis(fake),
        "q01_ratio": metrics.quantile_ratio(real, fake, 0.01),
        "q99_ratio": metrics.quantile_ratio(real, fake, 0.99),
        "acf_abs_mae": metrics.acf_abs_mae(real, fake),
    }


def criteria(table: pd.DataFrame, *, draw: str = "post", decode: str = "sampled") -> pd.DataFrame:
    """What the gate reads of several VAEs: one row a VAE, one column a (metric, subset) of `GATE`, in its order.

    table : rows of `probe_vae` with the column vae. A criterion whose subset was not probed with this draw is nan.
    """
    chosen = table[(table["draw"] == draw) & (table["decode"] == decode)]
    wide = chosen.pivot(index="vae", columns="subset", values=list(METRICS))
    return wide.reindex(columns=pd.MultiIndex.from_tuples(GATE)).loc[table["vae"].unique()]


def failures(rows: pd.DataFrame, *, draw: str = "post", decode: str = "sampled") -> list[str]:
    """What keeps a VAE from passing the gate, one sentence each; empty when it passed.

    rows : of `probe_vae` for one VAE. The gate reads the sampled posterior decode; the published criterion is
    draw="mu", decode="mean".
    """
    chosen = rows[(rows["draw"] == draw) & (rows["decode"] == decode)].set_index("subset")
    reasons = []
    for (metric, subset), (low, high) in GATE.items():
        value, where = chosen.loc[subset, metric], "" if subset == "all" else " on the highest-VIX windows"
        if not low <= value <= high:
            limits = f"outside [{low}, {high}]" if np.isfinite(high) else f"below {low}"
            reasons.append(f"{metric}{where} is {value:.3f}, {limits}")
    return reasons


def require_passed(verdicts: dict[str, list[str]], node: str) -> None:
    """Raise VarianceCollapse unless `node` passed; verdicts: node -> failures, the content of probe.json."""
    if node not in verdicts:
        raise VarianceCollapse(f"{node} was not probed: run notebooks/04_probe.ipynb after it")
    if verdicts[node]:
        raise VarianceCollapse(
            f"{node} failed the probe: {'; '.join(verdicts[node])}. See fig04_probe in the folder of 04_probe. "
            "In its params file: DECODER gaussian (it samples), more EPOCHS, a larger VARMATCH_WEIGHT or a lower BETA"
        )
