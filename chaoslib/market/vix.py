"""The VIX beside a window: the condition a model is given, its power law of volatility, and its law after a window."""

from dataclasses import asdict, dataclass

import numpy as np

PLENTY = (0.01, 0.99)  # quantiles of the training windows' VIX between which there are plenty
RECENT = 20  # days of a window that say what the VIX is at its end
REACH = 1.25  # how far beyond the VIX of the training windows a model may be asked, as a factor


@dataclass(frozen=True)
class VIXCondition:
    """Which VIX a conditional model is given, and how far beyond its experience it may be asked.

    vix_at : "end", the close of a window's last day (the paper's; it looks back on the window), or "start", the close
        of the day before its first return (the one a forecaster has)
    exponent : the networks see windows divided by (VIX / `typical`)^exponent; 0 leaves them as they are
    typical, lowest, highest : geometric mean and range of the VIX of the training windows, index points
    told_from, told_to : with normalised windows, where training windows are plenty. Beyond, the networks are told the
        nearer end of this range, and the power law carries on alone; None tells them every VIX
    """

    vix_at: str
    exponent: float
    typical: float
    lowest: float
    highest: float
    told_from: float | None = None
    told_to: float | None = None

    def told(self, vix: np.ndarray) -> np.ndarray:
        """(N,) the VIX that the networks are told, index points."""
        return vix if self.told_to is None else np.clip(vix, self.told_from, self.told_to)

    def scale(self, vix: np.ndarray) -> np.ndarray:
        """(N,) index points -> (N, 1) factor between what the networks see and log-returns."""
        return ((vix / self.typical) ** self.exponent).astype(np.float32)[:, None]

    def extrapolated(self, vix: np.ndarray) -> np.ndarray:
        """(N,) whether a VIX lies outside the training windows' range."""
        return (vix < self.lowest) | (vix > self.highest)

    @property
    def reach(self) -> tuple[float, float]:
        """Lowest and highest VIX that the model may be asked for."""
        return self.lowest / REACH, self.highest * REACH

    def reachable(self, vix: np.ndarray) -> np.ndarray:
        """(N,) whether a VIX lies within a factor `REACH` of the training windows; beyond, nothing supports an answer."""
        return (vix >= self.reach[0]) & (vix <= self.reach[1])

    def nearest(self, vix: np.ndarray) -> np.ndarray:
        """(N,) each VIX, or the nearest that is reachable."""
        return np.clip(vix, *self.reach)

    def check(self, vix: np.ndarray) -> None:
        """Raise ValueError for a VIX that is not reachable."""
        low, high = self.reach
        outside = vix[~self.reachable(vix)]
        if len(outside):
            raise ValueError(
                f"VIX {outside[0]:g} is out of reach: the training windows hold {self.lowest:.2f} to {self.highest:.2f}, "
                f"and a model may be asked from {low:.2f} to {high:.2f}. Bring a longer history to go further"
            )

    def to_dict(self) -> dict:
        return asdict(self)


def fit_vix_condition(train: np.ndarray, vix: np.ndarray, *, vix_at: str, normalise: bool) -> VIXCondition:
    """The condition of a model trained on windows (N, L) with their VIX (N,); the exponent is fitted when normalising."""
    if vix_at not in ("end", "start"):
        raise ValueError(f"unknown anchor {vix_at!r} of the VIX: use 'end' or 'start'")
    typical, lowest, highest = float(np.exp(np.log(vix).mean())), float(vix.min()), float(vix.max())
    if not normalise:
        return VIXCondition(vix_at, 0.0, typical, lowest, highest)
    return VIXCondition(vix_at, fit_vix_exponent(train, vix), typical, lowest, highest, *plenty_between(vix))


def plenty_between(vix: np.ndarray) -> tuple[float, float]:
    """The range of VIX in which training windows, given theirs (N,), are plenty."""
    low, high = np.quantile(vix, PLENTY)
    return float(low), float(high)


def fit_vix_exponent(train: np.ndarray, vix: np.ndarray) -> float:
    """Slope of the log realised volatility of windows (N, L) on log VIX (N,), by least squares."""
    log_rv = 0.5 * np.log(np.mean(np.asarray(train, dtype=float) ** 2, axis=1))
    return float(np.polyfit(np.log(vix), log_rv, 1)[0])


@dataclass(frozen=True)
class VIXLaw:
    """The VIX at a window's end given the VIX before it and its last days, fitted on training windows.

    log VIX_end = constant + start * log VIX_start + vol * (log volatility) + gain * (log-return) + residual, where
    volatility and return are those of the window's last `RECENT` days
    residual : quantiles of the residuals at even levels from 0 to 1
    """

    constant: float
    start: float
    vol: float
    gain: float
    residual: list[float]

    def draw(self, windows: np.ndarray, vix_start: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        """(N,) VIX at the end of windows (N, L) that followed vix_start (N,), index points."""
        levels = np.linspace(0, 1, len(self.residual))
        residuals = np.interp(rng.random(len(windows)), levels, self.residual)
        expected = vix_predictors(windows, vix_start) @ [self.constant, self.start, self.vol, self.gain]
        return np.exp(expected + residuals)

    def to_dict(self) -> dict:
        return asdict(self)


def vix_predictors(windows: np.ndarray, vix_start: np.ndarray) -> np.ndarray:
    """(N, 4) one, log VIX_start, and log volatility and log-return of the last `RECENT` days of windows (N, L)."""
    last = np.asarray(windows, dtype=float)[:, -RECENT:]
    log_vol = 0.5 * np.log(np.mean(last**2, axis=1) + 1e-16)
    return np.column_stack([np.ones(len(last)), np.log(vix_start), log_vol, last.sum(axis=1)])


def fit_vix_law(windows: np.ndarray, vix_start: np.ndarray, vix_end: np.ndarray) -> VIXLaw:
    """Least squares on training windows (N, L) and the VIX (N,) before and at the end of each, index points.

    The windows overlap, so the usual standard errors would be far too small, and none are given.
    """
    predictors = vix_predictors(windows, vix_start)
    coefficients, *_ = np.linalg.lstsq(predictors, np.log(vix_end), rcond=None)
    residual = np.quantile(np.log(vix_end) - predictors @ coefficients, np.linspace(0, 1, 101))
    return VIXLaw(*map(float, coefficients), [round(float(value), 6) for value in residual])


def r_squared(law: VIXLaw, windows: np.ndarray, vix_start: np.ndarray, vix_end: np.ndarray) -> float:
    """Share of the variance of log VIX at the ends (N,) of windows (N, L) that the law's regression explains."""
    expected = vix_predictors(windows, vix_start) @ [law.constant, law.start, law.vol, law.gain]
    return float(1 - np.var(np.log(vix_end) - expected) / np.var(np.log(vix_end)))
