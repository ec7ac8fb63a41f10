"""Sentences that carry a verdict, each tied to the tables it was read from, so that none can stay behind its numbers."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chaoslib.evaluation import metrics, probe
from chaoslib.evaluation.scorecard import UNRANKED  # noqa: F401, named in queries
from chaoslib.market import data, windows
from chaoslib.market.vix import plenty_between

NEURAL = ("ldm_post", "ldm_mu")
READ_THE_VIX = ("cond_ldm", "cond_ldm_normalised", "vix_scaled")


class Tables:
    """Published tables by name, with the questions that several sentences ask of them."""

    def __init__(self, root):
        self.root = root

    def __call__(self, name: str, where: str = "paper") -> pd.DataFrame:
        return pd.read_csv(self.root / f"figures/{where}/tables/{name}.csv")

    def outside(self, model: str, reference: str = "train") -> set[str]:
        """Ranked metrics on which a model lies outside the band, by its mean distance."""
        card = self("scorecard").query("model == @model and reference == @reference and metric not in @UNRANKED")
        return set(card.loc[card["distance"] > card["floor_p95"], "metric"])

    def inside_on_every_seed(self, model: str, *names: str) -> bool:
        floor = self("scorecard").query("reference == 'train'").groupby("metric")["floor_p95"].first()
        rows = self("distances").query("model == @model and reference == 'train' and metric in @names")
        return bool((rows["distance"] <= rows["metric"].map(floor)).all()) and set(rows["metric"]) == set(names)

    def p_max(self, model: str) -> float:
        return self("scorecard").query("model == @model and reference == 'train'")["p_max"].iloc[0]

    def mean(self, metric: str, column: str = "distance") -> pd.Series:
        rows = self("distances").query("reference == 'train' and metric == @metric")
        return rows.groupby("model")[column].mean()

    def values(self, metric: str, model: str, reference: str = "train", column: str = "value") -> pd.Series:
        return self("distances").query("reference == @reference and metric == @metric and model == @model")[column]


def scale_spread_clustering(t):
    facts = ("std_ratio", "vol_sd_ratio", "acf_abs_mae")
    prior = [not t.inside_on_every_seed("vae_prior", fact) for fact in facts]
    return all(t.inside_on_every_seed(model, *facts) for model in NEURAL) and all(prior)


def gjr_is_the_rival(t):
    mean = {m: t.mean(m) for m in ("w1_over_std", "std_ratio", "q01_ratio", "vol_sd_ratio", "leverage")}
    nearer = {m: bool(each["ldm_post"] < each["gjr_fhs"]) for m, each in mean.items()}
    value = t.mean("leverage", "value")
    most = abs(value["gjr_fhs"]) > 0.5 * abs(t.mean("leverage", "real").iloc[0])
    overshoots = t.mean("vol_sd_ratio", "value")["gjr_fhs"] > 1
    wanted = {"w1_over_std": False, "leverage": False, "std_ratio": True, "q01_ratio": True, "vol_sd_ratio": True}
    return nearer == wanted and most and overshoots


def timegan(t):
    scale = t.values("std_ratio", "timegan").between(0.75, 1.1).all()
    thin = (t.values("q01_ratio", "timegan") < 0.85).all() and (t.values("q99_ratio", "timegan") < 0.85).all()
    calm_and_wild = (t.values("vol_sd_ratio", "timegan") < 0.5).all()
    lag = t("unconditional").query("split == 'train'").groupby("model")["acf_l1"]
    return scale and thin and calm_and_wild and lag.max()["timegan"] < lag.min()["real_train"] - 0.1


def beyond_history(t):
    rows = t("unconditional").query("split == 'train'").set_index("model")
    real = rows.loc["real_train"]
    own = rows.loc[list(NEURAL)]
    return bool((own["min"] < real["min"]).all() and (own["max"] > real["max"]).all())


def rules_pay_otherwise(t):
    table = t("strategies")
    off = (table["value"] < table["band_low"]) | (table["value"] > table["band_high"])
    by_seed = off.groupby([table["model"], table["seed"]]).any()
    return bool(by_seed["vae_prior"].all() and by_seed["timegan"].all())


def classifier_blind_to_the_difference(t):
    auc = t("referees").groupby("model")[["auc", "auc_sd"]].mean()
    gap = abs(auc.loc["ldm_post", "auc"] - auc.loc["garch_t", "auc"])
    return bool(gap <= auc.loc[["ldm_post", "garch_t"], "auc_sd"].max())


def on_the_test_span(t):
    path_models = ("block_bootstrap", "garch_t", "gjr_fhs", "iid_bootstrap", *NEURAL, "real_train")
    memory = all("acf_mae" in t.outside(model, "test") for model in path_models)
    leverage = all(t.outside(model, "test") == {"acf_mae", "leverage"} for model in ("garch_t", *NEURAL))
    return memory and leverage and t.outside("real_train", "test") == {"acf_mae"}


def rejected_on_test(t):
    return len(t.outside("vae_prior", "test")) > 12 and len(t.outside("timegan", "test")) > 6


def stress_baselines(t):
    lost = [
        (t.values("vol_sd_ratio", model, "train_stress") < 0.5).all()
        and (t.values("half_window_correlation", model, "train_stress") < 0.5 * real).all()
        for model in ("vae_stress", "timegan_stress")
        for real in [t.values("half_window_correlation", model, "train_stress", "real").iloc[0]]
    ]
    spread = t.values("vol_sd_ratio", "cond_ldm", "train_stress")
    return all(lost) and spread.between(0.9, 1.1).all()


def volatility_at_a_vix(t):
    rows = t("conditional").query("mode == 'matched' and split == 'train' and vix_at == 'end' and target_vix <= 40")
    model = rows[rows["model"] == "cond_ldm"]["std_ratio"]
    prior = rows[rows["model"] == "cond_vae_prior"].groupby("target_vix")["std_ratio"].mean()
    return bool(model.between(0.96, 1.04).all() and (prior < 1).all() and prior.is_monotonic_decreasing)


def volatility_that_followed(t):
    rows = t("conditional").query("mode == 'matched' and split == 'train' and vix_at == 'start' and target_vix <= 40")
    rows = rows[rows["model"].isin(["cond_ldm", "cond_ldm_normalised"])]
    return bool(rows["std_ratio"].between(0.9, 1.1).all()) and len(rows) == 36


def gjr_misses_two(t):
    outside = t.outside("gjr_fhs")
    return gjr_is_the_rival(t) and len(outside) == 2 and "leverage" in outside and t.p_max("gjr_fhs") > 0.1


def within_nine_percent(t):
    rows = t("conditional").query("mode == 'matched' and split == 'train' and vix_at == 'start' and target_vix <= 40")
    gap = (rows[rows["model"] == "cond_ldm"]["std_ratio"] - 1).abs()
    return bool(0.08 < gap.max() <= 0.095)


def leverage_in_numbers(t):
    value, real = t.mean("leverage", "value"), t.mean("leverage", "real").iloc[0]
    shown = [f"{x:.2f}".replace("-", "−") for x in (value["ldm_post"], value["ldm_mu"], real, value["gjr_fhs"])]
    return shown == ["−0.02", "−0.02", "−0.08", "−0.06"]


def windows_rose(t):
    rows = t("drift").query("model == 'real_train' and target_vix == 40")
    return bool((rows["mean"] > 0).all()) and len(rows) == 1


def no_copy_so_far(t):
    copies = 200
    return all(abs(t.p_max(model) - 1 / (copies + 1)) < 1e-6 for model in NEURAL)


def no_better_forecast(t):
    rows = t("crps").query("split == 'test' and model in ('cond_ldm', 'cond_ldm_normalised') and target != 'worst_day'")
    return bool((rows["crps_gap_low"] <= 0).all() and (rows["crps_gap_high"] >= 0).all()) and len(rows) == 18


def worst_day(t):
    rows = t("crps").query("split == 'test' and target == 'worst_day' and model == 'cond_ldm_normalised'")
    size = t("crps").query("split == 'test' and target == 'worst_day' and model == 'vix_scaled'")["crps"].iloc[0]
    return bool((rows["crps_gap"] > 0).all() and (rows["crps_gap"] < 0.1 * size).all())


def coverage_of_volatility(t):
    rows = t("crps").query("split == 'test' and target == 'log_rv'")
    reach = (rows["coverage_high"] >= 0.9).mean()
    return bool((rows["coverage_90"] < 0.9).all() and reach > 0.5)


def coverage_of_returns(t):
    rows = t("crps").query("split == 'test' and target == 'cum_return' and model in ('cond_ldm', 'cond_ldm_normalised')")
    return bool((rows["coverage_90"] >= 0.9).all())


def too_calm_at_15(t):
    rows = t("conditional").query("mode == 'matched' and split == 'test' and vix_at == 'start' and target_vix == 15")
    return bool((rows["std_ratio"] < 0.9).all()) and len(rows) > 8


def neither_agrees_better(t):
    spread = (
        t("volatility")
        .query("vix_at == 'start' and vix <= 80")
        .pivot_table(index="vix", columns="model", values="std", aggfunc=lambda s: (s.max() - s.min()) / s.mean())
    )
    better = spread["cond_ldm_normalised"] < spread["cond_ldm"]
    return bool(better.any() and not better.all())


def one_day_ahead_long_span(t):
    rows = t("backtest", "walkforward").query("horizon_days == 1 and level == 0.01").set_index("model")
    told = rows.loc[["cond_ldm", "cond_ldm_normalised"], "fz0"].max()
    rest = rows.drop(index=["cond_ldm", "cond_ldm_normalised"])["fz0"].min()
    return bool(told < rest and (rows["hits"] > rows["expected"]).all())


def p_of_the_plain_model(t):
    rows = t("backtest", "walkforward").query("horizon_days == 1 and level == 0.01 and model == 'cond_ldm'")
    return f"{rows['dm_p_vs_fhs'].iloc[0]:.3f}" == "0.036"


def ten_days_ahead_long_span(t):
    rows = t("backtest", "walkforward").query("horizon_days == 10 and level == 0.01").set_index("model")
    told = rows.loc[list(READ_THE_VIX)]
    return bool(rows.loc["gjr_fhs", "kupiec_p"] > 0.05 and (rows.drop(index="gjr_fhs")["kupiec_p"] < 0.05).all()) and bool(
        (told["as_z2_p"] < 0.05).all()
    )


def unable_to_tell(t):
    rows = t("backtest").query("model in ('cond_ldm', 'cond_ldm_normalised')")
    return bool((rows["dm_p_vs_fhs"] > 0.05).all())


def ten_days_ahead_test_span(t):
    rows = t("backtest").query("horizon_days == 10 and level == 0.01 and model in @READ_THE_VIX")
    return bool((rows["hits"] > 1.9 * rows["expected"]).all() and (rows["as_z2_p"] < 0.1).all())


def last_500_days(t):
    worst = (
        t("backtest")
        .query("level == 0.01")
        .groupby(["horizon_days", "model"])["fz0"]
        .mean()
        .groupby("horizon_days")
        .idxmax()
    )
    return {model for _, model in worst} == {"hs_500"}


def rivals_predict_more(t):
    rows = t("stress").query("portfolio == 'long' and horizon_days == 50 and target_vix >= 40")
    own = rows[rows["model"].str.startswith("cond")].groupby("target_vix")["es_99"].max()
    rivals = rows[~rows["model"].str.startswith("cond")].groupby("target_vix")["es_99"].min()
    return bool((rivals > own).all())


def hump(t):
    rows = t("stress").query("portfolio == 'long' and horizon_days == 50 and model in ('cond_ldm', 'cond_ldm_normalised')")
    curves = rows.pivot_table(index=["model", "seed"], columns="target_vix", values="es_99")
    level = curves[[25, 30, 40]]
    rise = level[40] / level[25] - 1
    return bool((rise < 0.12).all() and (level[30] < level[25]).all())


def chained_windows(t):
    rows = t("horizons").query("metric not in @UNRANKED")
    return set(rows.loc[rows["outside"], "metric"]) == {"leverage"} and set(rows["days"]) == {100, 250}


def upper_tail(t):
    values = pd.concat([t.values("q99_ratio", model) for model in NEURAL])
    return f"{1 - values.max():.0%}".rstrip("%") + f" to {1 - values.min():.0%}" == "8 to 9%"


SAMPLING = ("03_vae.gaussian", "03_vae.cond_end", "03_vae.cond_start", "03_vae.cond_norm")  # Gaussian decoders in `probe`


def probed(t, draw, decode="sampled", vaes=SAMPLING):
    """Rows of `probe` on all windows."""
    rows = t("probe").query("draw == @draw and decode == @decode and subset == 'all' and vae in @vaes")
    assert rows["vae"].nunique() == len(vaes)
    return rows


def inside_gate(rows) -> pd.Series:
    """Whether each row keeps the criteria of the gate on all windows."""
    limits = {metric: bounds for (metric, subset), bounds in probe.GATE.items() if subset == "all"}
    return pd.DataFrame({m: rows[m].between(*bounds) for m, bounds in limits.items()}).all(axis=1)


def round_trips_keep_volatility(t):
    rows, plain = probed(t, "post"), probed(t, "post", vaes=("03_vae.mse",))
    kept = rows["std_ratio"].between(0.9, 1.1).all() and rows["log_rv_sd_ratio"].between(0.85, 1.15).all()
    return kept and (plain["std_ratio"] < 0.9).all() and (plain["log_rv_sd_ratio"] > 1.15).all()


def priors_are_calm(t):
    rows = probed(t, "prior")
    return (rows["std_ratio"] < 0.9).all() and (rows["log_rv_sd_ratio"] < 1).all() and (rows["q01_ratio"] < 0.85).all()


def on_unseen_windows(t):
    rows = t("probe_by_split").query("split == 'val'").set_index("vae")
    ends, starts = rows.loc["03_vae.cond_end"], rows.loc[["03_vae.cond_start", "03_vae.cond_norm"]]
    lost = (ends[["log_rv_sd_ratio", "q01_ratio"]] < 0.85).all(axis=None)
    close = (starts[["log_rv_sd_ratio", "q01_ratio"]] > 0.83).all(axis=None) and not inside_gate(starts).all()
    return bool(inside_gate(rows.loc[["03_vae.gaussian"]]).all() and lost and close)


def published_criterion(t):
    verdicts = {
        vae: [not probe.failures(rows, draw="mu", decode="mean") for _, rows in each.groupby("seed")]
        for vae, each in t("probe").groupby("vae")
    }
    return not any(any(verdicts[vae]) for vae in SAMPLING) and all(verdicts["03_vae.mse_varmatch"])


def worst_day_by_seed(t):
    rows = t("crps").query("split == 'test' and target == 'worst_day'").set_index("model")
    sure = {name: int((rows.loc[name, "crps_gap_low"] > 0).sum()) for name in ("cond_ldm", "cond_ldm_normalised")}
    ahead = (rows.loc[list(sure), "crps_gap"] > 0).all()
    return bool(ahead) and set(sure.values()) == {2}


def volatility_rises(t):
    curves = t("volatility").query("vix <= 80").groupby(["model", "vix_at", "seed"])["std"]
    return bool(curves.apply(lambda curve: curve.is_monotonic_increasing).all())


def guidance_calms(t):
    by_seed = [rows.sort_values("guidance") for _, rows in t("guidance").groupby("seed")]
    calmer = all(rows["volatility_15"].iloc[-1] < rows["volatility_15"].iloc[0] for rows in by_seed)
    return calmer and all(rows["coverage"].is_monotonic_decreasing for rows in by_seed) and len(by_seed) == 3


def alternates(t):
    table = t("unconditional").groupby(["model", "split"])["acf_l1"]
    most, least = table.max(), table.min()
    return (
        most["timegan", "train"] < least["real_train", "train"] - 0.1
        and most["timegan_stress", "train_stress"] < least["real_train", "train"] - 0.1
    )


def told_by_boosting(t):
    auc = t("referees").groupby("model")["auc"].mean()
    return auc["timegan"] > auc.drop("timegan").max()


def timegan_windows_alike(t):
    spread = (
        t("distances").query("metric == 'log_rv_sd_ratio'").set_index(["model", "reference", "seed"])["value"].sort_index()
    )
    full, stress = spread["timegan", "train"], spread["timegan_stress", "train_stress"]
    return bool(full[0] > 0.35 and (full[1:] < 0.35).all() and (stress < 0.35).all())


def gjr_tail(t):
    return (t.values("q01_ratio", "gjr_fhs") > 1.1).all()


def blocks_change_no_rejection(t):
    p_max = t("scorecard").groupby(["model", "reference"])["p_max"].first().unstack()[["train", "train_block_60"]].dropna()
    same = ((p_max["train"] < 0.05) == (p_max["train_block_60"] < 0.05)).all()
    return bool(same) and len(p_max) == 8 and "leverage" not in t.outside("gjr_fhs", "train_block_60")


def deep_drawdowns_are_rare(t):
    deep = t("unconditional").query("split == 'train'").set_index("model")["mdd_p95"]
    return bool((deep[list(NEURAL)] < deep["real_train"]).all()) and len(deep[list(NEURAL)]) == 6


def leverage_outside_on_every_seed(t):
    floor = t("scorecard").query("reference == 'train' and metric == 'leverage'")["floor_p95"].iloc[0]
    return all((t.values("leverage", model, column="distance") > floor).all() for model in NEURAL)


def prior_keeps_more_leverage(t):
    share = {
        model: t.values("leverage", model) / t.values("leverage", model, column="real") for model in (*NEURAL, "vae_prior")
    }
    diffused = pd.concat([share[model] for model in NEURAL])
    return bool(diffused.between(0.2, 0.36).all() and share["vae_prior"].between(0.37, 0.63).all())


def forecasters_learn(t):
    sure = (
        t("referees").assign(sure=lambda r: (r["har_gap_low"] > 0) | (r["ewma_gap_low"] > 0)).groupby("model")["sure"].any()
    )
    return not sure[["ldm_post", "ldm_mu", "block_bootstrap", "gjr_fhs"]].any()


def rules_earn_as_on_copies(t):
    rows = t("strategies").query("model in @NEURAL")
    return rows["value"].between(rows["band_low"], rows["band_high"]).all()


def stress_models(t):
    counts = {model: len(t.outside(model, "train_stress")) for model in ("vae_stress", "timegan_stress", "cond_ldm")}
    return counts["cond_ldm"] < min(counts["vae_stress"], counts["timegan_stress"])


def one_day_ahead(t):
    rows = t("backtest").query("horizon_days == 1")
    told, gjr = rows[rows["model"].isin(READ_THE_VIX)], rows.query("model == 'gjr_fhs'").set_index("level")["fz0"]
    deep = rows.query("level == 0.01")
    return bool((told["fz0"] < told["level"].map(gjr)).all()) and bool(
        (deep["hits"] > deep["expected"]).all() and (deep["hit_ratio"] > 1).all() and (deep["as_z2_p"] >= 0.05).sum() == 1
    )


def ten_days_ahead(t):
    rows = t("backtest").query("horizon_days == 10")
    told, gjr = rows[rows["model"].isin(READ_THE_VIX)], rows.query("model == 'gjr_fhs'").set_index("level")
    tests = gjr[["kupiec_p", "christoffersen_p", "as_z2_p"]]
    return bool((told["fz0"] > told["level"].map(gjr["fz0"])).all() and (told["dm_p_vs_fhs"] > 0.05).all()) and bool(
        (tests > 0.05).all(axis=None)
    )


def falls_before_it_rises(t):
    rows = t("stress").query("portfolio == 'long' and horizon_days == 50 and model in ('cond_ldm', 'cond_ldm_normalised')")
    curves = rows.pivot_table(index=["model", "seed"], columns="target_vix", values="es_99")
    return bool((curves[30] < curves[25]).all() and (curves[80] > curves[30]).all())


README, RESULTS = "README.md", "guides/results.md"
CHAPTER = {
    path.name[:2]: f"notebooks/{path.name}" for path in (Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb")
}
CLAIMS = [
    (
        README,
        "on 23 of 24 measured facts the latent diffusion lies within the range of 95 % of resampled copies of history",
        lambda t: all(t.outside(model) == {"leverage"} for model in NEURAL),
    ),
    (
        README,
        "its windows are new",
        lambda t: bool((t("referees").query("model in @NEURAL")["memorisation"] > metrics.COPYING).all()),
    ),
    (README, "−0.02 against history's −0.08", leverage_in_numbers),
    (README, "No resampled copy is so far off, and this one fact rejects the model", no_copy_so_far),
    (README, "the training windows that began near such a VIX rose on average", windows_rose),
    (README, "it misses two facts, this one included", gjr_misses_two),
    (README, "with about the volatility that followed such levels in training", volatility_that_followed),
    (README, "It forecasts no better than old windows rescaled by a power of the VIX", no_better_forecast),
    (README, "everything that read the VIX alone underestimated the risk of the next ten days", ten_days_ahead_test_span),
    (RESULTS, "its spread of calm and wild windows and its clustering of volatility on every seed", scale_spread_clustering),
    (RESULTS, "The VAE's own prior has none of the three", scale_spread_clustering),
    (RESULTS, "is the rival that counts. It is nearer to history on W1 and has most of the leverage", gjr_is_the_rival),
    (RESULTS, "tails that are too thin, and a small part of the spread of volatility", timegan),
    (RESULTS, "its 99 % quantile lies 8 to 9 % below history's", upper_tail),
    (RESULTS, "Its samples hold days beyond the worst and the best of this history", beyond_history),
    (RESULTS, "lies inside the band everywhere but on leverage", lambda t: t.outside("ldm_post") == {"leverage"}),
    (RESULTS, "is not rejected as a whole", lambda t: t.p_max("gjr_fhs") > 0.05),
    (RESULTS, "**The block bootstrap** is inside everywhere", lambda t: not t.outside("block_bootstrap")),
    (RESULTS, "is outside on nearly every metric", lambda t: len(t.outside("vae_prior")) >= 20),
    (RESULTS, "**TimeGAN** on most", lambda t: len(t.outside("timegan")) > 12),
    (RESULTS, "pays more or less than on 95 % of the copies of history, on every seed", rules_pay_otherwise),
    (RESULTS, "the difference is smaller than the spread over its own folds", classifier_blind_to_the_difference),
    (RESULTS, "There the autocorrelation of returns of every classical and diffusion model is rejected", on_the_test_span),
    (RESULTS, "The floor does reject the VAE prior on most metrics and TimeGAN on many", rejected_on_test),
    (RESULTS, "Both lose most of the spread of volatility over windows and its memory inside them", stress_baselines),
    (RESULTS, "has the market's volatility from VIX 12 to 40 on every seed, within 4 %", volatility_at_a_vix),
    (RESULTS, "a rival of one line: every paired interval holds zero", no_better_forecast),
    (RESULTS, "On the worst day rescaled history is ahead of the VIX-normalised model, by little", worst_day),
    (RESULTS, "told the VIX before the window, within 9 %", within_nine_percent),
    (RESULTS, "No model's central 90 % holds 90 % of the test windows' realised volatilities", coverage_of_volatility),
    (RESULTS, "For cumulative returns the latent diffusions do cover 90 %", coverage_of_returns),
    (RESULTS, "All models and rivals are too calm for the test windows that began at a VIX near 15", too_calm_at_15),
    (RESULTS, "neither model's seeds agree better throughout", neither_agrees_better),
    (RESULTS, "have the lowest FZ0 scores, and every model is hit more often than it should be", one_day_ahead_long_span),
    (RESULTS, "has a Diebold–Mariano p-value of .036", p_of_the_plain_model),
    (RESULTS, "GJR-FHS alone has about the number of hits it should have", ten_days_ahead_long_span),
    (RESULTS, "no difference in score between the models and GJR-FHS exceeds what luck explains", unable_to_tell),
    (RESULTS, "Ten days ahead everything that reads the VIX alone was hit too often", ten_days_ahead_test_span),
    (RESULTS, "The last 500 days, the common practice, score worst at both horizons", last_500_days),
    (RESULTS, "GJR-FHS and rescaled history predict larger losses than the latent diffusions", rivals_predict_more),
    (RESULTS, "They level off or fall between about VIX 25 and 40", hump),
    (RESULTS, "At 100 and 250 days all ranked metrics but leverage lie inside the band", chained_windows),
    (
        CHAPTER["03"],
        "stay close to history on every seed, for `gaussian` and the three conditional variants",
        round_trips_keep_volatility,
    ),
    (CHAPTER["03"], "`mse` loses volatility and exaggerates the spread on every seed", round_trips_keep_volatility),
    (
        CHAPTER["03"],
        "by more than half of the real standard deviation on every seed",
        lambda t: (probed(t, "post", "mean")["std_ratio"] > 0.5).all(),
    ),
    (
        CHAPTER["03"],
        "Its prior's samples are calmer than history, and calm and wild windows are too much alike",
        priors_are_calm,
    ),
    (
        CHAPTER["04"],
        "every VAE with a Gaussian decoder passes the gate on every seed",
        lambda t: probed(t, "post")["passed"].all(),
    ),
    (
        CHAPTER["04"],
        "The plain one fails on every seed",
        lambda t: not probed(t, "post", vaes=("03_vae.mse",))["passed"].any(),
    ),
    (
        CHAPTER["04"],
        "leaves the lower tail of unseen windows too short on every seed",
        lambda t: (t("probe_by_split").query("split == 'val' and vae == '03_vae.mse_varmatch'")["q01_ratio"] < 0.85).all(),
    ),
    (CHAPTER["04"], "the unconditional VAE stays inside the gate's limits on every seed", on_unseen_windows),
    (CHAPTER["04"], "would refuse every Gaussian VAE and keep the mean-only one with matching", published_criterion),
    (CHAPTER["04"], "scale and lower tail fall short for every VAE on every seed", priors_are_calm),
    (
        CHAPTER["06"],
        "by which losses raise volatility, is far too weak in the samples on every seed",
        leverage_outside_on_every_seed,
    ),
    (CHAPTER["06"], "is nearer to history than the diffusion on every seed", prior_keeps_more_leverage),
    (CHAPTER["03"], "roughly half of history's, and those of the diffusion a quarter to a third", prior_keeps_more_leverage),
    (
        CHAPTER["03"],
        "on windows that it has not seen, the lower tail is too short",
        lambda t: (t("probe_by_split").query("split == 'val' and vae == '03_vae.mse_varmatch'")["q01_ratio"] < 0.85).all(),
    ),
    (CHAPTER["07"], "more VIX means more volatility on every seed", volatility_rises),
    (
        CHAPTER["07"],
        "the models forecast its volatility, return and drawdown on the test span as well as rescaled history does",
        no_better_forecast,
    ),
    (
        CHAPTER["07"],
        "established on some seeds and not on others",
        worst_day_by_seed,
    ),
    (
        CHAPTER["07"],
        "stay within a tenth of the market's standard deviation up to a VIX of forty on every seed",
        volatility_that_followed,
    ),
    (
        CHAPTER["07"],
        "the intervals hold about 90 % of the training windows on every seed",
        lambda t: t("guidance").query("guidance == 1")["coverage"].between(0.86, 0.94).all(),
    ),
    (CHAPTER["07"], "so it makes calm windows calmer", guidance_calms),
    (CHAPTER["08"], "far too few large moves", timegan),
    (CHAPTER["08"], "the spread is a small part of the real one", timegan_windows_alike),
    (
        CHAPTER["08"],
        "On every seed of both variants a day is followed by its opposite far more often than in the market",
        alternates,
    ),
    (CHAPTER["08"], "more surely, in the mean over seeds, than those of any other model in its table", told_by_boosting),
    (
        CHAPTER["09"],
        "it keeps most of the leverage, and its tail of losses is too heavy",
        lambda t: gjr_is_the_rival(t) and gjr_tail(t),
    ),
    (CHAPTER["09"], "cannot be told from those of rescaled history, a rival of one line, on any seed", no_better_forecast),
    (
        CHAPTER["09"],
        "For the worst day the VIX-normalised model is worse than that rival on every seed, by little",
        worst_day,
    ),
    (
        CHAPTER["10"],
        "On all other ranked facts it lies inside the band of the copies",
        lambda t: all(t.outside(m) == {"leverage"} for m in NEURAL),
    ),
    (CHAPTER["10"], "Leverage is outside on every seed", leverage_outside_on_every_seed),
    (CHAPTER["10"], "No model's rejection as a whole changes with them", blocks_change_no_rejection),
    (CHAPTER["10"], "the deep ones are somewhat too rare on every seed", deep_drawdowns_are_rare),
    (CHAPTER["10"], "farther out, in bands, than the worst fact of any copy", no_copy_so_far),
    (
        CHAPTER["10"],
        "on the other facts it lies inside the band, and as a whole it is not rejected",
        lambda t: t.outside("gjr_fhs") == {"leverage", "acf_mae"} and t.p_max("gjr_fhs") > 0.05,
    ),
    (CHAPTER["10"], "The models of stress are outside on more facts than the conditional model", stress_models),
    (
        CHAPTER["10"],
        "A classifier tells latent diffusion from history about as well as it tells GARCH-t",
        classifier_blind_to_the_difference,
    ),
    (CHAPTER["10"], "without a loss that is sure on any seed", forecasters_learn),
    (
        CHAPTER["10"],
        "both trading rules earn on latent diffusion what they earn on copies of history, on every seed",
        rules_earn_as_on_copies,
    ),
    (CHAPTER["10"], "the VAE prior is outside on most facts there as well and TimeGAN on many", rejected_on_test),
    (CHAPTER["11"], "the score of the models that are told the VIX is a little better than that of GJR-FHS", one_day_ahead),
    (CHAPTER["11"], "rejects all of them there, apart from one seed of one diffusion", one_day_ahead),
    (CHAPTER["11"], "everything that reads only the VIX scores worse than GJR-FHS", ten_days_ahead),
    (CHAPTER["11"], "score worst at both horizons and levels", last_500_days),
    (CHAPTER["11"], "GJR-FHS predicts the largest losses", rivals_predict_more),
    (CHAPTER["11"], "the losses of the diffusions fall before they rise again, on every seed", falls_before_it_rises),
]


@pytest.mark.parametrize(("page", "sentence", "holds"), CLAIMS, ids=[f"{p}: {s[:60]}" for p, s, _ in CLAIMS])
def test_a_sentence_stands_where_its_table_holds_it(root, page, sentence, holds):
    text = (root / page).read_text()
    if page.endswith(".ipynb"):
        text = " ".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    text, sentence = (re.sub(r"\s+", " ", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", each)) for each in (text, sentence))
    assert sentence in text, "the sentence was changed: change it here, with what it is read from"
    assert holds(Tables(root)), "the published tables do not hold this sentence any more: rewrite it"


# The checks of chapters


def checks(root, chapter: str) -> str:
    """The cell of a notebook that holds its last checks."""
    cells = json.loads((root / f"notebooks/{chapter}.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [source for source in sources if "\nassert " in f"\n{source}" or "    assert " in source][-1]


@pytest.fixture(scope="module")
def train() -> dict:
    """The published training windows, with their VIX."""
    returns = data.log_returns(data.load_prices("sp500_logret", start="2000-01-03")[0])
    return windows.cut_windows(windows.split_by_date(returns)["train"])


def test_the_checks_of_every_seed_hold_on_the_published_tables(root, train):
    """The very cells, on the numbers that readers get: also where a check was written after the run."""
    tables = Tables(root)
    distances, card, referees = tables("distances"), tables("scorecard"), tables("referees")
    known = {"metrics": metrics, "np": np, "plenty_between": plenty_between}
    known |= {"against_train": distances.query("reference == 'train'"), "real": {"train": train["windows"]}}
    exec(checks(root, "09_evaluation"), dict(known))
    known |= {"verdicts": referees, "card_train": card.query("reference == 'train'")}
    exec(checks(root, "10_scorecard"), dict(known))
    vix = {at: {"train": train[f"vix_{at}"]} for at in ("end", "start")}
    rivals = tables("conditional").query("mode == 'matched' and split == 'train'")
    for _, volatility in tables("volatility").groupby("seed"):
        exec(checks(root, "07_conditional"), known | {"volatility": volatility, "main": rivals, "vix": vix})
    with pytest.raises(AssertionError, match="finds memory in days drawn one by one"):
        faulty = card.query("reference == 'train'").assign(value=0.7)
        exec(checks(root, "10_scorecard"), known | {"card_train": faulty})
    with pytest.raises(AssertionError, match="the iid bootstrap shows memory"):
        faulty = distances.query("reference == 'train'")
        faulty = faulty.assign(distance=faulty["distance"].where(faulty["model"] != "iid_bootstrap", 0.05))
        exec(checks(root, "09_evaluation"), known | {"against_train": faulty})
    with pytest.raises(AssertionError, match="volatility falls as the VIX rises"):
        faulty = tables("volatility").query("seed == 0").iloc[::-1]
        exec(checks(root, "07_conditional"), known | {"volatility": faulty, "main": rivals, "vix": vix})
