"""The paper's tables: tidy frames, one row per observation, as CSV for programs and LaTeX for papers."""

import numpy as np
import pandas as pd
from scipy import stats

from chaoslib.evaluation import conditional, metrics, scoring

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
HORIZONS = ["days", "model", "metric", "real", "value", "distance", "floor_median", "floor_p95", "ratio", "outside"]
KEYS = [
    *("model", "seed", "vix_at", "mode", "target_vix", "guidance", "split", "target", "vix"),
    *("temperature", "output_scale"),
]  # columns that tell the rows of the conditional tables apart
SWEEP = [*CONDITIONAL, "temperature", "output_scale", "amplified"]


def both(name: str, frame: pd.DataFrame) -> dict[str, object]:
    """The two files of one table, for `runs.Run.save`: tables/<name>.csv and tables/<name>.tex."""
    return {f"tables/{name}.csv": frame, f"tables/{name}.tex": latex(frame)}


def latex(frame: pd.DataFrame) -> str:
    """A booktabs tabular, numbers to four significant digits."""
    shown = frame.copy()
    alignment = "".join("r" if pd.api.types.is_numeric_dtype(frame[name]) else "l" for name in frame.columns)
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = [f"{value:.4g}" if np.isfinite(value) else "" for value in shown[name]]
        else:
            shown[name] = shown[name].astype(str)
    return shown.to_latex(index=False, escape=True, column_format=alignment)


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
        expected, found = (float(np.quantile(values, percent / 100)) for values in (real, fake))
        row |= {
            f"q{percent:02d}_real": expected,
            f"q{percent:02d}_gen": found,
            f"q{percent:02d}_abs_err": abs(found - expected),
        }
    row |= {"acf_l1": metrics.windowed_acf(fake, 1), "acf_l2": metrics.windowed_acf(fake, 2)}
    row |= {"mdd_mean": float(np.mean(drawdowns)), "mdd_std": float(np.std(drawdowns))}
    return row | {f"mdd_p{percent:02d}": float(np.quantile(drawdowns, percent / 100)) for percent in DRAWDOWN_QUANTILES}


def distance_rows(model: str, seed: int, reference: str, real: np.ndarray, fake: np.ndarray) -> list[dict]:
    """Rows of `distances`: metric, its value on the real and on the generated windows, and the distance between them.

    For a ratio the distance is |ratio - 1|; w1_over_std is in units of the real standard deviation; drawdowns and
    50-day returns are fractions.
    """
    real_rv, fake_rv = metrics.log_rv(real), metrics.log_rv(fake)
    pairs = {
        "std_ratio": (1.0, metrics.std_ratio(real, fake)),
        "vol_sd_ratio": (1.0, metrics.vol_sd_ratio(real, fake)),
        "log_rv_sd_ratio": (1.0, metrics.log_rv_sd_ratio(real, fake)),
        "q01_ratio": (1.0, metrics.quantile_ratio(real, fake, 0.01)),
        "q99_ratio": (1.0, metrics.quantile_ratio(real, fake, 0.99)),
        "excess_kurtosis": (metrics.excess_kurtosis(real), metrics.excess_kurtosis(fake)),
        "half_window_correlation": (metrics.half_window_correlation(real), metrics.half_window_correlation(fake)),
        "leverage": (metrics.leverage(real), metrics.leverage(fake)),
        "day_std_range": (metrics.day_std_range(real), metrics.day_std_range(fake)),
    }
    rows = [{"metric": name, "real": a, "value": b, "distance": abs(b - a)} for name, (a, b) in pairs.items()]
    drawdowns = metrics.max_drawdown(real), metrics.max_drawdown(fake)
    totals = real.sum(axis=1), fake.sum(axis=1)
    distances = {
        "w1_over_std": (np.nan, np.nan, metrics.wasserstein(real, fake) / float(np.std(real))),
        "acf_mae": (np.nan, np.nan, metrics.acf_mae(real, fake)),
        "acf_abs_mae": (np.nan, np.nan, metrics.acf_abs_mae(real, fake)),
        "log_rv_w1": (real_rv.mean(), fake_rv.mean(), metrics.w1_per_window(real_rv, fake_rv)),
        "max_drawdown_w1": (*(d.mean() for d in drawdowns), metrics.w1_per_window(*drawdowns)),
        "return_50d_w1": (*(t.mean() for t in totals), metrics.w1_per_window(*totals)),
    }
    rows += [{"metric": name, "real": a, "value": b, "distance": d} for name, (a, b, d) in distances.items()]
    return [{"model": model, "seed": seed, "reference": reference, **row} for row in rows]


def gather(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One table from those of several seeds; the rows of classical models, the same in each, are kept once."""
    table = pd.concat(parts, ignore_index=True)
    return table.drop_duplicates(subset=[name for name in table.columns if name in KEYS], ignore_index=True)


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


def crps_rows(scores: pd.DataFrame, *, rival: str, seq_len: int) -> pd.DataFrame:
    """The table `crps` from scores of single windows: columns of `scoring.score`, model, seed, split; rival is a model.

    Intervals are those of the stationary bootstrap with blocks of two windows' length. The columns `*_gap` compare with
    the rival on the same windows and bootstrap draws; a gap whose interval holds 0 is not established.
    Raises ValueError unless every model scored the same windows.
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
