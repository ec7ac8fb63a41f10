"""The paper's tables: tidy frames, one row per observation, as CSV for programs and LaTeX for papers."""

import numpy as np
import pandas as pd

from chaoslib import metrics

QUANTILES = (1, 5, 50, 95, 99)  # percent
DRAWDOWN_QUANTILES = (5, 50, 95)


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
