"""Classical generators of return windows, fitted on the training path alone: the rivals that cost one line."""

import numpy as np
from arch import arch_model
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from arch.univariate import StudentsT

PERCENT = 100.0  # arch's optimisers expect returns in percent
BURN = 500  # days simulated and dropped before the first window


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


def gjr_fhs(path: np.ndarray, n: int, *, seq_len: int, seed: int) -> np.ndarray:
    """(n, L) windows by filtered historical simulation (Barone-Adesi, Giannopoulos & Vosper 1999).

    A GJR-GARCH(1,1,1) is fitted to path (T,). Each window starts from the filtered variance of a random day of the
    path and is driven by the model's own standardised residuals, drawn with replacement. Starting anywhere else
    would need the stationary law, which residuals as skewed as these need not have.
    """
    fitted = arch_model(PERCENT * path, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t").fit(disp="off")
    mean, omega, alpha, gamma, beta = fitted.params[["mu", "omega", "alpha[1]", "gamma[1]", "beta[1]"]]
    shocks = np.asarray(fitted.std_resid)
    rng = np.random.default_rng(seed)
    variance = rng.choice(np.asarray(fitted.conditional_volatility) ** 2, size=n)
    windows = np.empty((n, seq_len))
    for day in range(seq_len):
        residual = np.sqrt(variance) * rng.choice(shocks, size=n)
        windows[:, day] = mean + residual
        variance = omega + (alpha + gamma * (residual < 0)) * residual**2 + beta * variance
    return (windows / PERCENT).astype(np.float32)
