"""The gate: real windows pass, known distortions fail for the right reason, a failed VAE is not used."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from chaoslib.evaluation import probe
from chaoslib.models import vae
from chaoslib.models.generate import LatentGenerator


def gate_rows(real: np.ndarray, fake: np.ndarray) -> pd.DataFrame:
    """Rows as `probe_vae` gives them, for a decode that turned `real` into `fake`."""
    top = slice(-len(real) // 20, None)
    pairs = {"all": (real, fake), "vix_top5pct": (real[top], fake[top])}
    return pd.DataFrame([{"draw": "post", "decode": "sampled", "subset": s, **probe.compare(*p)} for s, p in pairs.items()])


@pytest.fixture
def real() -> np.ndarray:
    """(2000, 50), volatility from calm to wild, the wildest windows last."""
    rng = np.random.default_rng(3)
    volatility = np.sort(0.01 * np.exp(0.5 * rng.standard_normal(2000)))[:, None]
    return volatility * rng.standard_normal((2000, 50))


def test_the_truth_passes(real):
    assert probe.failures(gate_rows(real, real)) == []


@pytest.mark.parametrize(
    ("distort", "reason"),
    [
        (lambda r: 0.8 * r, "std_ratio is 0.800"),
        (lambda r: 1.2 * r, "std_ratio is 1.200"),
        (lambda r: r / np.sqrt(np.mean(r**2, axis=1, keepdims=True)) * r.std(), "log_rv_sd_ratio is 0.000"),
        (lambda r: np.maximum(r, -0.015), "q01_ratio"),
        (lambda r: np.where(np.arange(len(r))[:, None] < 1900, r, 0.7 * r), "highest-VIX windows is 0.7"),
    ],
    ids=["calm", "wild", "flat volatility", "clipped tail", "calm in stress"],
)
def test_each_distortion_fails_for_its_reason(real, distort, reason):
    assert any(reason in sentence for sentence in probe.failures(gate_rows(real, distort(real))))


def test_what_the_gate_reads_is_one_row_a_vae(real):
    parts = [gate_rows(real, factor * real).assign(vae=name) for name, factor in (("wide", 1.2), ("right", 1.0))]
    read = probe.criteria(pd.concat(parts, ignore_index=True))
    assert list(read.index) == ["wide", "right"]
    assert list(read.columns) == list(probe.GATE)
    assert read.loc["right"].tolist() == pytest.approx([1.0] * 4)
    assert read.loc["wide", ("std_ratio", "vix_top5pct")] == pytest.approx(1.2)
    prior = parts[0].assign(draw="prior").query("subset == 'all'")
    assert probe.criteria(prior, draw="prior").isna().sum(axis=1).tolist() == [1]


def test_probe_of_a_trained_vae_has_every_row(toy_vae, toy_scaler, toy_windows):
    vix = 100 * toy_windows.std(axis=1)
    model = LatentGenerator(toy_vae, toy_scaler)
    rows = probe.probe_vae(model, toy_windows, vix, n=400, seed=0)
    keys = set(rows[["subset", "draw", "decode"]].itertuples(index=False, name=None))
    assert keys == {("all", d, k) for d in ("mu", "post", "prior") for k in ("mean", "sampled")} | {
        ("vix_top5pct", d, k) for d in ("mu", "post") for k in ("mean", "sampled")
    }
    sampled = rows.set_index(["subset", "draw", "decode"])["std_ratio"]
    assert sampled["all", "post", "mean"] < 0.8 * sampled["all", "post", "sampled"]  # the noise lives in sigma
    again = probe.probe_vae(model, toy_windows, vix, n=400, seed=0)
    pd.testing.assert_frame_equal(rows, again)


def test_a_mean_only_decoder_has_nothing_to_sample(toy_scaler, toy_windows):
    model = vae.GaussianVAE(vae.VAEShape(seq_len=10, latent_dim=3, hidden=16, decoder="mse")).eval()
    rows = probe.probe_vae(LatentGenerator(model, toy_scaler), toy_windows, np.ones(len(toy_windows)), n=200)
    pairs = rows[rows["draw"] == "mu"].pivot(index="subset", columns="decode", values="std_ratio")
    assert pairs["mean"].tolist() == pairs["sampled"].tolist()
    assert probe.failures(rows)


@pytest.fixture
def conditional_vae(toy_conditional) -> LatentGenerator:
    return LatentGenerator(toy_conditional.decoder, toy_conditional.scaler, condition=toy_conditional.condition)


def test_a_conditional_vae_passes_when_it_is_told_the_vix_of_each_window(conditional_vae, toy_vix_windows, toy_vix):
    rows = probe.probe_vae(conditional_vae, toy_vix_windows, toy_vix, condition_vix=toy_vix, n=600)
    assert probe.failures(rows) == []
    again = probe.probe_vae(conditional_vae, toy_vix_windows, toy_vix, condition_vix=toy_vix, n=600)
    pd.testing.assert_frame_equal(rows, again)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_conditional_vae_that_is_told_the_vix_of_another_window_fails(conditional_vae, toy_vix_windows, toy_vix, seed):
    shuffled = np.random.default_rng(seed).permutation(toy_vix)
    right, wrong = (
        probe.probe_vae(conditional_vae, toy_vix_windows, toy_vix, condition_vix=levels, n=600)
        for levels in (toy_vix, shuffled)
    )
    assert any("highest-VIX windows" in sentence for sentence in probe.failures(wrong))
    stressed = [
        rows.set_index(["subset", "draw", "decode"]).loc[("vix_top5pct", "post", "sampled"), "std_ratio"]
        for rows in (right, wrong)
    ]
    assert stressed[1] < 0.8 * stressed[0]


def test_prior_draws_of_a_conditional_vae_follow_the_vix_of_their_windows(conditional_vae, toy_vix_windows, toy_vix):
    subsets = {"calm": toy_vix < 15, "wild": toy_vix > 40}
    ratio = {}
    for name, chosen in subsets.items():
        rows = probe.probe_vae(conditional_vae, toy_vix_windows[chosen], toy_vix[chosen], condition_vix=toy_vix[chosen])
        ratio[name] = rows.set_index(["subset", "draw", "decode"]).loc[("all", "prior", "sampled"), "std_ratio"]
    assert all(0.7 < value < 1.4 for value in ratio.values()), ratio  # each held against its own windows


def test_a_normalised_vae_is_probed_alike_at_every_level_of_the_vix(conditional_vae, toy_vix_windows, toy_vix):
    decoder = copy.deepcopy(conditional_vae.decoder)
    with torch.no_grad():
        for network in (decoder.encoder, decoder.decoder):
            network[0].weight[:, -1] = 0.0  # the VIX acts through the normalisation alone
    condition = dataclasses.replace(conditional_vae.condition, exponent=0.8)
    model = LatentGenerator(decoder, conditional_vae.scaler, condition=condition)
    calm = toy_vix < 30
    real, vix = toy_vix_windows[calm], toy_vix[calm]
    double = (2**0.8 * real).astype(np.float32)
    here, there = (probe.probe_vae(model, w, v, condition_vix=v, n=100) for w, v in ((real, vix), (double, 2 * vix)))
    pd.testing.assert_frame_equal(here, there, rtol=1e-3)


def test_a_conditional_vae_is_not_probed_without_its_vix(conditional_vae, toy_vix_windows, toy_vix):
    with pytest.raises(ValueError, match="needs the VIX at the window's start"):
        probe.probe_vae(conditional_vae, toy_vix_windows, toy_vix)


def test_only_vaes_that_passed_are_used():
    verdicts = {"03_vae.good": [], "03_vae.bad": ["std_ratio is 0.500, outside [0.9, 1.1]"]}
    probe.require_passed(verdicts, "03_vae.good")
    with pytest.raises(probe.VarianceCollapse, match=r"std_ratio is 0\.500.*DECODER"):
        probe.require_passed(verdicts, "03_vae.bad")
    with pytest.raises(probe.VarianceCollapse, match="not probed"):
        probe.require_passed(verdicts, "03_vae.unknown")


def test_the_probe_is_of_a_vae_alone(toy_generator, toy_windows):
    with pytest.raises(ValueError, match="load the folder of a 03_vae"):
        probe.probe_vae(toy_generator, toy_windows, np.ones(len(toy_windows)))
