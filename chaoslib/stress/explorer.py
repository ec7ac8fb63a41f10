"""One question at a time, for a reader who moves sliders: what some models say of a portfolio, side by side."""

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from chaoslib.stress import portfolios, scenarios
from chaoslib.stress.portfolios import PORTFOLIOS, Portfolio

Sampler = Callable[[np.ndarray], np.ndarray]  # VIX before each scenario (n,), index points -> log-returns (n, L)
SHIPPED = {"cond_ldm_normalised": "cond_norm", "cond_ldm": "cond_start"}  # name in tables -> in `scenarios.draw`


def shipped() -> dict[tuple[str, int], Sampler]:
    """The models of the package that may forecast: name in tables and training seed -> sampler, of one VIX a call."""

    def sampler(model: str) -> Sampler:
        return lambda vix: scenarios.draw(float(vix[0]), len(vix), model=model)

    return {(name, 0): sampler(model) for name, model in SHIPPED.items()}


def remembered(
    samplers: dict[tuple[str, int], Sampler], *, n: int = 2_000
) -> Callable[[tuple[str, int], float], np.ndarray]:
    """A function of a model with its seed and a VIX that gives n scenarios (n, L), and makes each set once.

    So another horizon or portfolio draws nothing anew. The sets of the last 64 questions are kept, and nobody may write
    into them. The function raises ValueError for a model that has no sampler.
    """

    @functools.lru_cache(maxsize=64)
    def ask(key: tuple[str, int], vix: float) -> np.ndarray:
        if key not in samplers:
            known = ", ".join(f"{name} of seed {seed}" for name, seed in samplers)
            raise ValueError(f"no scenarios of {key[0]} of seed {key[1]}: choose {known}")
        log_returns = samplers[key](np.full(n, float(vix)))
        log_returns.setflags(write=False)
        return log_returns

    return ask


def answer(
    log_returns: dict[str, np.ndarray], vix: float, days: int, portfolio: str, among: dict[str, Portfolio] = PORTFOLIOS
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """What a portfolio does in the scenarios of each model over the first `days` days: its values, and their risk.

    log_returns : model -> scenarios (n, L), fractions, of any n, made for this VIX, index points
    among : portfolios by name
    Returns model -> values (n, days) from 1 at the start, and a row a model: column model, then those of
    `portfolios.stress_rows`, VaR and ES as fractions of the start with the ends of their 95 % intervals.
    Raises ValueError for a portfolio that is not among them, and for what `portfolios.stress_rows` refuses.
    """
    if portfolio not in among:
        raise ValueError(f"unknown portfolio {portfolio!r}: choose {', '.join(among)}")
    chosen, values, parts = {portfolio: among[portfolio]}, {}, []
    for model, paths in log_returns.items():
        rows = portfolios.stress_rows(paths, vix, horizons=(days,), portfolios=chosen)
        rows.insert(0, "model", model)
        parts.append(rows)
        values[model] = np.asarray(among[portfolio](paths, vix), dtype=float)[:, :days]
    return values, pd.concat(parts, ignore_index=True)
