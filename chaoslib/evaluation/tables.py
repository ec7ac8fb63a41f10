"""The paper's tables: tidy frames, one row per observation."""

import numpy as np
import pandas as pd
from scipy import stats

from chaoslib.evaluation import conditional, metrics, scorecard, scoring

MODELS = (  # in the order of rows
    *("real_train", "iid_bootstrap", "block_bootstrap", "garch_t", "gjr_fhs", "vae_prior", "vae_stress"),
    *("timegan", "timegan_stress", "ldm_post", "ldm_mu", "cond_vae_prior", "cond_ldm", "cond_ldm_normalised"),
    *("vix_scaled", "vix_kernel_bootstrap", "hs_500"),
)
QUANTILES = (1, 5, 50, 95, 99)  # percent
DRAWDOWN_QUANTILES = (5, 50, 95)
CONDITIONAL = [
    *("model", "seed", "vix_at", "mode", "target_vix", "vix_matched_mean", "n_episodes", "guidance", "split"),
    *conditional.METRICS,
    *("num_real_matched", "num_gen", "half_width", "extrapolated"),
]  # columns of the table `conditional`
VOLATILITY = ["model", "seed", "vix_at", "vix", "std", "median_rv", "extrapolated"]
CRPS = [
    *("model", "seed", "split", "target", "crps", "ci_low", "ci_high", "coverage_90", "coverage_low", "coverage_high"),
    *("n", "n_independent", "crps_gap", "crps_gap_low", "crps_gap_high"),
    *("coverage_gap", "coverage_gap_low", "coverage_gap_high"),
]
DRIFT = ["model", "seed", "target_vix", "mean", "median", "es_99", "es_99_driftless", "n_windows", "n_episodes"]
DISTANCES = (  # metrics of the table `distances`; the last, the law of returns over a window, has its length in its name
    *("std_ratio", "vol_sd_ratio", "log_rv_sd_ratio", "q01_ratio", "q99_ratio", "excess_kurtosis"),
    *("half_window_correlation", "leverage", "day_std_range", "w1_over_std", "acf_mae", "acf_abs_mae"),
    *("log_rv_w1", "max_drawdown_w1"),
)
HORIZONS = ["days", "model", "metric", "real", "value", "distance", "floor_median", "floor_p95", "ratio", "outside"]
SWEEP = [*CONDITIONAL, "temperature", "output_scale", "amplified"]


def summarise_data(dataset: str, prices: pd.DataFrame, log_returns: np.ndarray, provenance: dict) -> pd.DataFrame:
    """The one row of `data_summary`; moments of daily log-returns (T,) as fractions."""
    row = {
        "dataset": dataset,
        "source": provenance["source"],
        "start": str(prices["date"].iloc[0].date()),
        "end": str(prices["date"].iloc[-1].date()),
        "n_days": len(log_returns),
        "mean": float(np.mean(log_returns)),
        "std": float(np.std(log_returns)),
        "skew": metrics.skewness(log_returns),
        "excess_kurtosis": metrics.excess_kurtosis(log_returns),
        "min": float(np.min(log_returns)),
        "max": float(np.max(log_returns)),
        "sha256": provenance["sha256"],
    }
    return pd.DataFrame([row])


def unconditional_row(model: str, seed: int, split: str, real: np.ndarray, fake: np.ndarray) -> dict:
    """One row of `unconditional`: the sample `fake` described, and its gaps to the real windows of `split`.

    The definitions are the paper's: acf_l1 and acf_l2 are the autocorrelations of r at lags 1 and 2, each window
    demeaned by itself; ks_pvalue assumes independent days. Quantiles of returns pool all days.
    """
    drawdowns = metrics.max_drawdown(fake)
    statistic, p_value = metrics.ks(real, fake)
    row = {
        "model": model,
        "seed": seed,
        "split": split,
        "mean": float(np.mean(fake, dtype=float)),
        "std": float(np.std(fake, dtype=float)),
        "skew": metrics.skewness(fake),
        "excess_kurtosis": metrics.excess_kurtosis(fake),
        "min": float(np.min(fake)),
        "max": float(np.max(fake)),
        "ks_stat": statistic,
        "ks_pvalue": p_value,
    }
    for percent in QUANTILES:
        ours, theirs = (float(np.quantile(values, percent / 100)) for values in (real, fake))
        name = f"q{percent:02d}"
        row |= {f"{name}_real": ours, f"{name}_gen": theirs, f"{name}_abs_err": abs(theirs - ours)}
    row |= {"acf_l1": metrics.windowed_acf(fake, 1), "acf_l2": metrics.windowed_acf(fake, 2)}
    row |= {"mdd_mean": float(np.mean(drawdowns)), "mdd_std": float(np.std(drawdowns))}
    return row | {f"mdd_p{percent:02d}": float(np.quantile(drawdowns, percent / 100)) for percent in DRAWDOWN_QUANTILES}


def distance_rows(model: str, seed: int, reference: str, real: np.ndarray, fake: np.ndarray) -> list[dict]:
    """Rows of `distances`: metric, its value on the real and on the generated windows (N, L), and their distance.

    Facts and distances are those of `scorecard`. For a ratio `real` is 1 and the distance |ratio - 1|; w1_over_std is in
    units of the real standard deviation; drawdowns and returns over a window are fractions, and `real` and `value` their
    means, as for log_rv; both are blank where there is nothing to tell but the distance.
    """
    ours, theirs = scorecard.facts(real), scorecard.facts(fake)
    apart = scorecard.distances(ours, theirs)
    ours["day_std_range"], theirs["day_std_range"] = metrics.day_std_range(real), metrics.day_std_range(fake)
    apart["day_std_range"] = abs(theirs["day_std_range"] - ours["day_std_range"])
    rows = []
    for metric in (*DISTANCES, f"return_{real.shape[1]}d_w1"):
        a, b = ours[metric], theirs[metric]
        if metric in scorecard.RATIOS:
            a, b = 1.0, b / a
        elif metric in (*scorecard.MEMORY, "w1_over_std"):
            a = b = np.nan
        elif metric.endswith("_w1"):
            a, b = a @ scorecard.WIDTHS, b @ scorecard.WIDTHS
        values = {"real": float(a), "value": float(b), "distance": float(apart[metric])}
        rows.append({"model": model, "seed": seed, "reference": reference, "metric": metric, **values})
    return rows


def summarise_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The table `conditional_summary` from `conditional`: each metric's mean over seeds, their sd, a 95 % t interval.

    A model with one seed has neither; rows without enough real windows are left out.
    """
    keys = ["model", "vix_at", "mode", "target_vix", "guidance", "split"]
    long = rows.melt(id_vars=[*keys, "seed"], value_vars=conditional.METRICS, var_name="metric").dropna()
    summary = long.groupby([*keys, "metric"], sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    with np.errstate(invalid="ignore"):
        reach = stats.t.ppf(0.975, summary["count"] - 1) * summary["std"] / np.sqrt(summary["count"])
    summary = summary.rename(columns={"std": "seed_sd"}).assign(
        ci_low=summary["mean"] - reach, ci_high=summary["mean"] + reach
    )
    return summary.drop(columns="count")


def over_seeds(rows: pd.DataFrame, columns: dict[str, str], *, digits: int = 2) -> pd.DataFrame:
    """Mean over the seeds of each model, with the range where seeds differ, as words: "0.68 (0.67 to 0.69)".

    rows : columns model, seed and those of `columns`, column -> heading; models stand in the order of `MODELS`
    """
    groups = dict(list(rows.groupby("model")))

    def told(values: pd.Series) -> str:
        if values.isna().all():
            return "–"
        mean, low, high = (f"{round(x, digits) + 0.0:.{digits}f}" for x in (values.mean(), values.min(), values.max()))
        return mean if low == high else f"{mean} ({low} to {high})"

    told_rows = {name: {head: told(groups[name][key]) for key, head in columns.items()} for name in MODELS if name in groups}
    return pd.DataFrame.from_dict(told_rows, orient="index")


def crps_rows(scores: pd.DataFrame, *, rival: str, seq_len: int) -> pd.DataFrame:
    """The table `crps` from scores of single windows, of one seed or of several together.

    scores : columns of `scoring.score`, model, seed, split; a classical model has one seed
    rival : the model that the columns `*_gap` compare with, on the same windows and bootstrap draws; a gap whose interval
        holds 0 is not established
    Intervals are those of the stationary bootstrap with blocks of two windows' length.
    Raises ValueError unless every model and seed scored the same windows.
    """
    parts = []
    names = {"crps": ("crps", "ci", "crps_gap"), "covered": ("coverage_90", "coverage", "coverage_gap")}
    for (split, target), group in scores.groupby(["split", "target"], sort=False):
        columns = {}
        for score, (mean, interval, gap) in names.items():
            table = group.pivot(index="window", columns=["model", "seed"], values=score).astype(float)
            if table.isna().any(axis=None):
                raise ValueError(f"not every model scored the same windows of {split}: {table.count().to_dict()}")
            against = table.sub(table[rival].iloc[:, 0], axis=0)
            for each, label, ends in ((table, mean, interval), (against, gap, gap)):
                low, high = scoring.mean_interval(each.to_numpy(), mean_block=2 * seq_len)
                columns |= {label: each.mean(), f"{ends}_low": low, f"{ends}_high": high}
        part = pd.DataFrame(columns, index=table.columns).reset_index()
        counts = {"n": len(table), "n_independent": (len(table) + seq_len - 1) // seq_len}
        parts.append(part.assign(split=split, target=target, **counts))
    return pd.concat(parts, ignore_index=True)[CRPS]
