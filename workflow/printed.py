"""What the paper prints of the tables of chapters 01 to 09: the rows that matter, in words.

A function takes the tables of a run by name and gives a frame of texts, and what its caption in `printed.yaml` asks for.
Index and columns of the frame are headings; the first of two levels of the index names a group of rows.
"""

import numpy as np
import pandas as pd
from cells import between, columns_of, fixed, framed, in_order, over_seeds, percent, seeds_of, span, words

from chaoslib.figures.bottleneck import PROBE_LABELS
from chaoslib.figures.forecasts import RISK_LABELS

Tables = dict[str, pd.DataFrame]
Printed = tuple[pd.DataFrame, dict[str, str]]

RATIOS = ("std_ratio", "q01_ratio", "q99_ratio", "log_rv_sd_ratio")
BOTTLENECK = {name: f"{PROBE_LABELS[name]}, ratio" for name in RATIOS}
BOTTLENECK |= {name: PROBE_LABELS[name] for name in ("excess_kurtosis", "acf_abs_mae")}
GAPS = {  # metric of `conditional` -> heading, factor
    "std_ratio": ("sd, ratio", 1),
    "q01_gap": ("1 % quantile, gap (%)", 100),
    "q99_gap": ("99 % quantile, gap (%)", 100),
    "mdd_gap_mean": ("mean drawdown, gap (%)", 100),
    "acf1_gap": ("ACF at lag 1, gap", 1),
    "acf2_gap": ("ACF at lag 2, gap", 1),
    "ks_D": ("KS distance", 1),
}
DESCRIBED = {  # column of `unconditional` -> heading
    "std": "sd (%)",
    "skew": "skewness",
    "excess_kurtosis": "excess kurtosis",
    "min": "worst day (%)",
    "max": "best day (%)",
    "ks_stat": "KS distance",
    "q01_abs_err": "1 % quantile, gap (%)",
    "q99_abs_err": "99 % quantile, gap (%)",
    "acf_l1": "ACF at lag 1",
    "acf_l2": "ACF at lag 2",
    "mdd_mean": "mean drawdown (%)",
    "mdd_p95": "drawdown, 95 % quantile (%)",
}
HEADLINE = {  # metric of `distances` -> heading
    "std_ratio": "sd, ratio",
    "q01_ratio": "1 % quantile, ratio",
    "vol_sd_ratio": "sd of window volatility, ratio",
    "w1_over_std": "W1 of days (sd)",
    "acf_abs_mae": "ACF of |r|, gap",
    "leverage": "leverage",
}
OUTCOMES = {"log_rv": (1, 3), "cum_return": (100, 2), "max_drawdown": (100, 2), "worst_day": (100, 2)}  # factor, decimals
REAL = {"train": "against all training windows", "train_stress": "against training windows of stress"}


def data_summary(tables: Tables) -> Printed:
    (row,) = tables["data_summary"].to_dict("records")
    told = {
        "index": words(row["dataset"]),
        "source": words(row["source"]),
        "first day": str(row["start"]),
        "last day": str(row["end"]),
        "daily log-returns": f"{row['n_days']:,}",
        "mean (% a day)": fixed(100 * row["mean"], 3),
        "standard deviation (% a day)": fixed(100 * row["std"], 2),
        "skewness": fixed(row["skew"], 2),
        "excess kurtosis": fixed(row["excess_kurtosis"], 1),
        "worst day (%)": fixed(100 * row["min"], 1),
        "best day (%)": fixed(100 * row["max"], 1),
    }
    return framed({name: {"value": text} for name, text in told.items()}, ["history"]), {}


def splits(tables: Tables) -> Printed:
    told = {
        words(row.split): {
            "first day": row.start,
            "last day": row.end,
            "days": f"{row.n_days:,}",
            "windows": f"{row.n_windows:,}",
            "sharing no day": f"{row.n_independent:,}",
            "median VIX": fixed(row.vix_median, 1),
            "at VIX 20 or more (%)": fixed(100 * row.share_vix_ge_20, 0),
            "of these sharing no day": f"{row.n_episodes_vix_ge_20:,}",
        }
        for row in tables["splits"].itertuples()
    }
    return framed(told, ["span"]), {}


def probe(tables: Tables) -> Printed:
    rows = tables["probe"].query("draw == 'post' and decode == 'sampled'")
    return over_seeds(rows, ["subset", "vae"], BOTTLENECK).rename_axis(["", "VAE"]), {"seeds": seeds_of(rows)}


def probe_by_split(tables: Tables) -> Printed:
    rows = tables["probe_by_split"]
    return over_seeds(rows, ["split", "vae"], BOTTLENECK).rename_axis(["", "VAE"]), {"seeds": seeds_of(rows)}


def conditional(tables: Tables) -> Printed:
    rows = tables["conditional"].query("mode == 'matched' and split == 'train'")
    levels = columns_of(rows, ["vix_at", "model", "seed"], "target_vix", "std_ratio")
    heads = {level: f"VIX {level:g}" for level in levels if not isinstance(level, str)}
    frame = over_seeds(levels, ["vix_at", "model"], heads, 3)
    return frame.rename_axis(["", "model"]), {"seeds": seeds_of(rows)}


def conditional_summary(tables: Tables) -> Printed:
    rows = tables["conditional_summary"].query("mode == 'matched' and split == 'train' and guidance == 1")
    told: dict[tuple, dict] = {}
    for row in in_order(rows[rows["model"].str.startswith("cond_ldm")]).itertuples():
        head, factor = GAPS[row.metric]
        reach = factor * (row.ci_high - row.ci_low) / 2
        text = fixed(factor * row.mean, 3) + (f" ± {reach:.3f}" if np.isfinite(reach) else "")
        told.setdefault((f"{words(row.model)}, {words(row.vix_at)}", f"{row.target_vix:g}"), {})[head] = text
    return framed(told, ["", "VIX"]), {}


def sweep(tables: Tables) -> Printed:
    rows, told = tables["sweep"], {}
    dials = {"guidance": "guidance w", "temperature": "latent temperature", "output_scale": "output scale"}
    for dial, name in dials.items():
        alone = rows[(rows[[other for other in dials if other != dial]] == 1).all(axis=1)]
        for setting, group in alone.groupby(dial):
            levels = zip(group["target_vix"], group["std_ratio"], strict=True)
            told[name, f"{setting:g}"] = {f"VIX {vix:g}": fixed(ratio, 2) for vix, ratio in levels}
    return framed(told, ["", "setting"]), {"seeds": seeds_of(rows)}


def volatility(tables: Tables) -> Printed:
    told: dict[str, dict] = {}
    rows = percent(tables["volatility"], "median_rv").sort_values("vix", kind="stable")
    for (vix, model, vix_at), group in rows.groupby(["vix", "model", "vix_at"], sort=False):
        text = span(group["median_rv"]) + "*" * bool(group["extrapolated"].any())
        told.setdefault(f"{vix:g}", {})[f"{words(model)}, {words(vix_at)}"] = text
    return framed(told, ["VIX"]), {"seeds": seeds_of(rows)}


def guidance(tables: Tables) -> Printed:
    levels = [name for name in tables["guidance"] if name.startswith("volatility_")]
    rows = percent(tables["guidance"], "coverage", *levels)
    rows = rows.assign(guidance=rows["guidance"].map("{:g}".format))
    heads = {"coverage": "coverage (%)"} | {name: f"at VIX {name.removeprefix('volatility_')}" for name in levels}
    frame = over_seeds(rows, ["guidance"], heads, {"coverage": 1})
    return frame.rename_axis("guidance w"), {"seeds": seeds_of(rows)}


def unconditional(tables: Tables) -> Printed:
    rows = percent(tables["unconditional"], "std", "min", "max", "q01_abs_err", "q99_abs_err", "mdd_mean", "mdd_p95")
    full = rows[rows["split"] == "train"]
    rows = pd.concat([full, rows[(rows["split"] == "train_stress") & ~rows["model"].isin(full["model"])]])
    digits = dict.fromkeys(("excess_kurtosis", "min", "max", "mdd_mean", "mdd_p95"), 1) | {"ks_stat": 3}
    frame = over_seeds(rows.assign(split=rows["split"].map(REAL)), ["split", "model"], DESCRIBED, digits)
    return frame.rename_axis(["", "model"]), {"seeds": seeds_of(rows)}


def headline(tables: Tables) -> Printed:
    rows = tables["distances"][tables["distances"]["reference"].isin(REAL)]
    rows = rows.assign(value=rows["value"].fillna(rows["distance"]), reference=rows["reference"].map(REAL))
    values = columns_of(rows, ["reference", "model", "seed"], "metric", "value")
    return over_seeds(values, ["reference", "model"], HEADLINE, 3).rename_axis(["", "model"]), {"seeds": seeds_of(rows)}


def distances(tables: Tables) -> Printed:
    rows = tables["distances"].query("reference == 'train' and model != 'real_train'")
    heads = {name: words(name) for name in rows["metric"].unique()}
    fractions = [name for name in heads if name == "max_drawdown_w1" or name.startswith("return_")]
    gaps = percent(columns_of(rows, ["model", "seed"], "metric", "distance"), *fractions)
    heads |= {name: f"{heads[name]} (%)" for name in fractions}
    return over_seeds(gaps, ["model"], heads, 3), {"seeds": seeds_of(rows)}


def crps(tables: Tables) -> Printed:
    rows, told = in_order(tables["crps"].query("split == 'test'")), {}
    for target, (factor, digits) in OUTCOMES.items():
        for model, group in rows[rows["target"] == target].groupby("model", sort=False):
            scores, shares = factor * group.filter(regex="^crps|^ci"), 100 * group.filter(like="coverage")
            told[RISK_LABELS[target] + " (%)" * (factor == 100), words(model)] = {
                "CRPS": span(scores["crps"], digits),
                "interval of CRPS": between(scores["ci_low"].min(), scores["ci_high"].max(), digits),
                "gap to VIX-scaled history": fixed(scores["crps_gap"].mean(), digits),
                "interval of the gap": between(scores["crps_gap_low"].min(), scores["crps_gap_high"].max(), digits),
                "coverage (%)": span(shares["coverage_90"], 0),
                "interval of coverage": between(shares["coverage_low"].min(), shares["coverage_high"].max(), 0),
            }
    return framed(told, ["", "model"]), {"seeds": seeds_of(rows)}
