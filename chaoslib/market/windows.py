"""From one price history to overlapping windows: split by date, scale by train, condition on the VIX."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from chaoslib.market.vix import VIXCondition

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Scaler:
    """Statistics of the training span that models use; nothing of validation or test enters them.

    seq_len : L, days in a window
    mean, std : of daily log-returns, fractions
    log_vix_mean, log_vix_std : of log VIX, index points
    """

    seq_len: int
    mean: float
    std: float
    log_vix_mean: float
    log_vix_std: float

    def scale(self, windows: np.ndarray) -> np.ndarray:
        """Log-returns -> standardised values."""
        return ((windows - self.mean) / self.std).astype(np.float32)

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Standardised values -> log-returns."""
        return (values * self.std + self.mean).astype(np.float32)

    def standardise_vix(self, vix: np.ndarray) -> np.ndarray:
        """(N,) index points -> (N, 1) float32 standardised log-VIX, as conditional networks take it."""
        return ((np.log(vix) - self.log_vix_mean) / self.log_vix_std).astype(np.float32)[:, None]

    def to_dict(self) -> dict:
        return asdict(self)


def standardise(
    windows: np.ndarray, scaler: Scaler, condition: VIXCondition | None = None, vix: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """What networks see of log-return windows (N, L): standardised values (N, L) and, given VIX (N,), conditions (N, 1)."""
    if condition is None:
        return scaler.scale(windows), None
    return scaler.scale(windows / condition.scale(vix)), scaler.standardise_vix(condition.told(vix))


def split_by_date(
    returns: pd.DataFrame, *, train: float = 0.70, val: float = 0.15, seq_len: int = 50
) -> dict[str, pd.DataFrame]:
    """Cut a history into train, validation and test spans that share no day.

    returns : (T,) rows of date, log_return, vix, vix_previous, dates ascending
    Returns spans in order of time; windows are cut inside a span, so none crosses a boundary. The index of a span is
    the position of its days in the history.
    Raises ValueError if dates are unsorted or a span is shorter than one window.
    """
    if not returns["date"].is_monotonic_increasing or returns["date"].duplicated().any():
        raise ValueError("dates must ascend without repeats: validate the prices first")
    if not 0 < train < train + val < 1:
        raise ValueError(f"shares train={train:g} and val={val:g} must be positive and leave something for test")
    cuts = [0, int(train * len(returns)), int((train + val) * len(returns)), len(returns)]
    history = returns.reset_index(drop=True)
    spans = {name: history.iloc[a:b] for name, a, b in zip(SPLITS, cuts, cuts[1:], strict=False)}
    for name, span in spans.items():
        if len(span) < seq_len:
            raise ValueError(
                f"the {name} span has {len(span)} days, less than a window of {seq_len}: bring a longer history"
            )
    return spans


def cut_windows(span: pd.DataFrame, *, seq_len: int = 50) -> dict[str, np.ndarray]:
    """All overlapping windows of one span, stride one day.

    span : (T,) rows of date, log_return, vix, vix_previous; its index is the position of a day in the history
    Returns windows (N, L) float32 log-returns; start_date, end_date (N,) datetime64[D]; first_day (N,): position of the
    first day in the history; vix_start (N,): close of the day before the first return; vix_end (N,): close of the last
    day.
    """
    path = span["log_return"].to_numpy(dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(path, seq_len).copy()
    dates = span["date"].to_numpy(dtype="datetime64[D]")
    first = slice(0, len(windows))
    last = slice(seq_len - 1, None)
    return {
        "windows": windows,
        "start_date": dates[first],
        "end_date": dates[last],
        "first_day": span.index.to_numpy()[first],
        "vix_start": span["vix_previous"].to_numpy(dtype=float)[first],
        "vix_end": span["vix"].to_numpy(dtype=float)[last],
    }


def fit_scaler(train: pd.DataFrame, *, seq_len: int) -> Scaler:
    """Statistics of the training span alone, over days rather than windows so that every day counts once."""
    path = train["log_return"].to_numpy(dtype=float)
    log_vix = np.log(train["vix_previous"].to_numpy(dtype=float))
    return Scaler(seq_len, float(path.mean()), float(path.std()), float(log_vix.mean()), float(log_vix.std()))


class TooFewWindows(ValueError):
    """A history has fewer windows in stress than a model of stress alone needs."""


def stress_subset(vix: np.ndarray, threshold: float, *, least: int = 0) -> np.ndarray:
    """Indices of the windows whose VIX (N,) stands at or above `threshold`.

    Raises TooFewWindows when there are fewer than `least`.
    """
    stressed = np.flatnonzero(vix >= threshold)
    if len(stressed) < least:
        raise TooFewWindows(
            f"{len(stressed)} of {len(vix)} windows end at a VIX of {threshold:g} or more, {least} are needed: lower the "
            f"threshold (the highest VIX is {vix.max():.1f}) or bring a history with more stress"
        )
    return stressed


def count_episodes(starts: np.ndarray, *, seq_len: int) -> int:
    """Episodes in a set of windows: the largest number of them that share no day, taken greedily in order of time.

    starts : (N,) ascending positions of the windows' first days in the history; indices within one split will do, as
        windows begin on every day; for windows of several splits take the `first_day` of `cut_windows`
    Overlapping windows are not independent evidence. A crisis that lasts longer than a window counts more than once.
    """
    episodes, free_from = 0, -np.inf
    for start in starts:
        if start >= free_from:
            episodes, free_from = episodes + 1, start + seq_len
    return episodes


def summarise_split(name: str, span: pd.DataFrame, cut: dict[str, np.ndarray], *, seq_len: int) -> dict:
    """One row of the table `splits`."""
    stressed = stress_subset(cut["vix_end"], 20.0)
    return {
        "split": name,
        "start": str(span["date"].iloc[0].date()),
        "end": str(span["date"].iloc[-1].date()),
        "n_days": len(span),
        "n_windows": len(cut["windows"]),
        "n_independent": len(span) // seq_len,
        "vix_median": float(np.median(cut["vix_end"])),
        "share_vix_ge_20": len(stressed) / len(cut["windows"]),
        "n_episodes_vix_ge_20": count_episodes(stressed, seq_len=seq_len),
    }
