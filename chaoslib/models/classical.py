"""Classical generators of return windows, fitted on the training path alone: the rivals that cost one line."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from arch import arch_model
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from arch.univariate import StudentsT

from chaoslib.market.vix import fit_vix_exponent

PERCENT = 100.0  # arch's optimisers expect returns in percent
BURN = 500  # days simulated and dropped before the first window
YEAR = 252  # trading days


def iid_bootstrap(path: np.ndarray, n: int, *, seq_len: int, seed: int) -> np.ndarray:
    """(n, L) windows of days drawn independently with replacement from path (T,): right marginal, no memory."""
    return np.random.default_rng(seed).choice(path, size=(n, seq_len)).astype(np.float32)


def block_length(path: np.ndarray) -> float:
    """Mean block of the stationary bootstrap by Politis & White 2004 on |r|; on r itself it is far too short."""
    return float(optimal_block_length(np.abs(path))["stationary"].iloc[0])


def block_bootstrap(path: np.ndarray, n: int, *, seq_len: int, seed: int, mean_block: float) -> np.ndarray:
    """(n, L) windows cut side by side from stationary-bootstrap copies of path (T,) (Politis & Romano 1994)."""
    per_copy = len(path) // seq_len
    if per_copy == 0:
        raise ValueError(f"a path of {len(path)} days holds no window of {seq_len}")
    bootstrap = StationaryBootstrap(mean_block, path, seed=np.random.default_rng(seed))
    copies = [data[0][: per_copy * seq_len] for data, _ in bootstrap.bootstrap(-(-n // per_copy))]
    return np.concatenate(copies).reshape(-1, seq_len)[:n].astype(np.float32)


def garch_t(path: np.ndarray, n: int, *, seq_len: int, seed: int) -> np.ndarray:
    """(n, L) windows of one long simulation of a GARCH(1,1) with Student-t noise fitted to path (T,)."""
    model = arch_model(PERCENT * path, mean="Constant", vol="GARCH", p=1, q=1, dist="t")
    fitted = model.fit(disp="off")
    model.distribution = StudentsT(seed=np.random.default_rng(seed))
    simulated = model.simulate(fitted.params, nobs=n * seq_len, burn=BURN)["data"].to_numpy()
    return (simulated.reshape(n, seq_len) / PERCENT).astype(np.float32)


@dataclass(frozen=True)
class GJR:
    """A GJR-GARCH(1,1,1) fitted to a training path, with its own standardised residuals; returns in percent.

    variance (T,) : filtered variance of each day of the training path, percent squared
    shocks (T,) : standardised residuals of the training path
    """

    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    variance: np.ndarray
    shocks: np.ndarray

    def following(self, residual: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Variance of the next day, given this day's residual and variance."""
        return self.omega + (self.alpha + self.gamma * (residual < 0)) * residual**2 + self.beta * variance

    def filter(self, path: np.ndarray) -> np.ndarray:
        """(T,) variance of each day of a path (T,) given the days before; it begins as the training path does."""
        variances = np.empty(len(path))
        variance = self.variance[0]
        for day, residual in enumerate(PERCENT * path - self.mean):
            variances[day] = variance
            variance = self.following(residual, variance)
        return variances

    def simulate(
        self, variance: np.ndarray, *, seq_len: int, seed: int | np.random.SeedSequence | np.random.Generator
    ) -> np.ndarray:
        """(n, L) log-returns, each window from the variance (n,), percent squared, of its first day, by resampled residuals.

        A generator in place of a seed goes on where the last call left it.
        """
        rng = np.random.default_rng(seed)
        windows = np.empty((len(variance), seq_len), dtype=np.float32)
        for day in range(seq_len):
            residual = np.sqrt(variance) * rng.choice(self.shocks, size=len(variance))
            windows[:, day] = (self.mean + residual) / PERCENT
            variance = self.following(residual, variance)
        return windows


def fit_gjr(path: np.ndarray) -> GJR:
    """Fit to a training path (T,) of log-returns, Student-t likelihood (Glosten, Jagannathan & Runkle 1993)."""
    fitted = arch_model(PERCENT * path, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t").fit(disp="off")
    named = fitted.params[["mu", "omega", "alpha[1]", "gamma[1]", "beta[1]"]].tolist()
    return GJR(*named, np.asarray(fitted.conditional_volatility) ** 2, np.asarray(fitted.std_resid))


def gjr_parameters(path: np.ndarray) -> pd.DataFrame:
    """What `fit_gjr` fits to a training path (T,): rows mean, omega, alpha, gamma, beta and the degrees of freedom, for
    returns in percent, with the estimate, its standard error and their ratio.

    Standard errors are those of a quasi-likelihood (Bollerslev & Wooldridge 1992). An estimate at its bound of 0 has none
    that means anything.
    """
    fitted = arch_model(PERCENT * path, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t").fit(disp="off")
    table = pd.DataFrame({"estimate": fitted.params, "standard error": fitted.std_err, "t value": fitted.tvalues})
    return table.set_axis(["mean", "omega", "alpha", "gamma", "beta", "degrees of freedom"])


def gjr_persistence(gjr: GJR) -> pd.DataFrame:
    """How slowly the variance of a GJR returns to its mean, under the law that was fitted and under its own residuals.

    Persistence is the factor by which a deviation of the expected variance shrinks in a day, alpha E[e^2] + gamma
    E[e^2; e < 0] + beta (Glosten, Jagannathan & Runkle 1993). Rows: "symmetric residuals", where that is alpha + gamma/2
    + beta; "resampled residuals", the e of `simulate`; "training days", for their volatility alone. The half-life and the
    volatility of the long run are infinite from a persistence of 1 on.
    """
    squares = gjr.shocks**2
    resampled = gjr.alpha * squares.mean() + gjr.gamma * np.mean(squares * (gjr.shocks < 0)) + gjr.beta
    rows = {}
    for name, persistence in (("symmetric", gjr.alpha + gjr.gamma / 2 + gjr.beta), ("resampled", resampled)):
        half_life, variance = np.inf, np.inf
        if persistence < 1:
            half_life, variance = np.log(0.5) / np.log(persistence), gjr.omega / (1 - persistence)
        rows[f"{name} residuals"] = persistence, half_life, np.sqrt(YEAR * variance)
    rows["training days"] = np.nan, np.nan, np.sqrt(YEAR * np.mean(gjr.variance * squares))
    columns = ["persistence", "half-life (days)", "volatility (% per year)"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def gjr_fhs(path: np.ndarray, n: int, *, seq_len: int, seed: int) -> np.ndarray:
    """(n, L) windows by filtered historical simulation (Barone-Adesi, Giannopoulos & Vosper 1999).

    Each window starts from the filtered variance of a random day of the path (T,). Starting anywhere else would need
    the stationary law, which residuals as skewed as these need not have.
    """
    fitted = fit_gjr(path)
    start, simulation = np.random.SeedSequence(seed).spawn(2)
    variance = np.random.default_rng(start).choice(fitted.variance, size=n)
    return fitted.simulate(variance, seq_len=seq_len, seed=simulation)


def vix_scaled(windows: np.ndarray, vix: np.ndarray, targets: np.ndarray, *, exponent: float, seed: int) -> np.ndarray:
    """(n, L) historical windows (N, L), each rescaled from its own VIX (N,) to the one asked for (n,).

    The factor is (targets / vix)^exponent, the exponent that of `vix.fit_vix_exponent`: the rival of one line.
    """
    chosen = np.random.default_rng(seed).integers(len(windows), size=len(targets))
    return (windows[chosen] * ((targets / vix[chosen]) ** exponent)[:, None]).astype(np.float32)


def vix_kernel_bootstrap(
    windows: np.ndarray, vix: np.ndarray, targets: np.ndarray, *, bandwidth: float, seed: int
) -> np.ndarray:
    """(n, L) historical windows (N, L) drawn with Gaussian weights in log VIX around the one asked for (n,).

    bandwidth : in log VIX. Nothing is rescaled, so it cannot go beyond the VIX (N,) that there was.
    """
    rng = np.random.default_rng(seed)
    levels, which = np.unique(targets, return_inverse=True)
    chosen = np.empty(len(targets), dtype=int)
    for number, level in enumerate(levels):
        squared = (np.log(vix / level) / bandwidth) ** 2
        weights = np.exp(0.5 * (squared.min() - squared))  # the nearest window has weight 1, however far it is
        here = which == number
        chosen[here] = rng.choice(len(windows), size=here.sum(), p=weights / weights.sum())
    return windows[chosen]


def vix_rivals(
    path: np.ndarray, windows: np.ndarray, vix: np.ndarray, *, vix_at: str, bandwidth: float, seed: int
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The classical models that take a VIX: name -> function of the VIX asked for (n,) to windows (n, L).

    windows (N, L) are those of the training path (T,), vix (N,) is read at their `vix_at`. GJR-FHS starts from the
    variance it had filtered on a training day with such a VIX; it knows nothing of the window's end, so it is a rival
    at "start" only.
    """
    near = {"bandwidth": bandwidth, "seed": seed}
    exponent = fit_vix_exponent(windows, vix)
    rivals = {
        "vix_scaled": lambda targets: vix_scaled(windows, vix, targets, exponent=exponent, seed=seed),
        "vix_kernel_bootstrap": lambda targets: vix_kernel_bootstrap(windows, vix, targets, **near),
    }
    if vix_at == "start":
        gjr, seq_len = fit_gjr(path), windows.shape[1]
        first_days = gjr.variance[: len(windows), None]
        rivals["gjr_fhs"] = lambda targets: gjr.simulate(
            vix_kernel_bootstrap(first_days, vix, targets, **near)[:, 0], seq_len=seq_len, seed=seed + 1
        )
    return rivals
