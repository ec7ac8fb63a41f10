"""What is a sample good for? It fools a classifier, teaches a volatility forecaster, trades like the market, and is new.

Each function holds generated windows (N, L) of log-returns against real ones; nothing is fitted on test.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from chaoslib.evaluation import metrics, scoring

MONTH, WEEK, YEAR = 22, 5, 252  # trading days
PERCENT = 100.0  # squared returns are fitted in percent squared, where optimisers find them of order one


def features(windows: np.ndarray) -> np.ndarray:
    """(N, 12 + L) what the classifier sees: a dozen summaries of a window, then its days in its own standard deviations."""
    x = np.asarray(windows, dtype=float)
    half = x.shape[1] // 2
    std = np.maximum(x.std(axis=1), 1e-12)
    z = (x - x.mean(axis=1, keepdims=True)) / std[:, None]
    size = np.abs(z) - np.abs(z).mean(axis=1, keepdims=True)
    summaries = [
        np.log(std),
        x.sum(axis=1) / std,
        x.min(axis=1) / std,
        x.max(axis=1) / std,
        np.mean(z**3, axis=1),
        np.mean(z**4, axis=1),
        np.log(np.maximum(x[:, half:].std(axis=1), 1e-12) / np.maximum(x[:, :half].std(axis=1), 1e-12)),
        np.mean(z[:, 1:] * z[:, :-1], axis=1),
        np.mean(size[:, 1:] * size[:, :-1], axis=1),
        np.mean(size[:, 5:] * size[:, :-5], axis=1),
        np.mean(z[:, :-1] * z[:, 1:] ** 2, axis=1),
        metrics.max_drawdown(x) / std,
    ]
    return np.column_stack([*summaries, z])


def discriminative_auc(
    real: np.ndarray, fake: np.ndarray, *, block: int = 250, folds: int = 5, n: int | None = None, seed: int = 0
) -> np.ndarray:
    """(folds,) area under the ROC curve of gradient boosting that tells generated from real windows; 0.5 is blind.

    real : (N, L) in order of time, one window starting on each day, as `windows` cuts them
    Folds are blocks of `block` starting days, shorter where history has fewer than `folds` of them; training windows that
    share a day with the test block are left out. With random folds the classifier would meet the days of its test
    windows in training. Well below 0.5 means copying: the classifier has learned copies of its test windows as generated.
    n : windows of each kind, as many as there are of both unless given; real ones are kept evenly spaced
    Raises ValueError when a fold would leave fewer than 50 real windows to learn from.
    """
    length = real.shape[1]
    blocks = np.arange(len(real)) // max(1, min(block, len(real) // folds))
    n = min(n or len(real), len(real), len(fake))
    spaced = np.linspace(0, len(real) - 1, n).astype(int)
    rng = np.random.default_rng(seed)
    ours, theirs = features(real[spaced]), features(fake[rng.permutation(len(fake))[:n]])
    fold_of_real, fold_of_fake = blocks[spaced] % folds, np.arange(n) % folds
    scores = []
    for fold in range(folds):
        test_days = np.flatnonzero(blocks % folds == fold)
        gap = np.min(np.abs(spaced[:, None] - test_days[None, ::10]), axis=1)  # within 10 days of exact is enough
        train_real, train_fake = ours[gap >= length + 10], theirs[fold_of_fake != fold]
        if len(train_real) < 50:
            raise ValueError(
                f"{len(real)} windows, {n} of them used, leave {len(train_real)} to learn from: too few to judge by"
            )
        model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, early_stopping=False, random_state=seed)
        model.fit(np.concatenate([train_real, train_fake]), np.repeat([0, 1], [len(train_real), len(train_fake)]))
        test = ours[fold_of_real == fold], theirs[fold_of_fake == fold]
        guess = model.predict_proba(np.concatenate(test))[:, 1]
        scores.append(roc_auc_score(np.repeat([0, 1], [len(part) for part in test]), guess))
    return np.array(scores)


def memorisation(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray, *, least_vol: float = 0.0) -> float:
    """`metrics.memorisation_ratio` of those windows whose realised volatility per day is at least `least_vol`.

    Every sample is cut by the same volatility, so that wild windows are compared with wild windows; nan when fewer than
    twenty of one kind are left.
    """
    parts = [each[metrics.realised_vol(each) >= least_vol] for each in (train, held_out, fake)]
    return metrics.memorisation_ratio(*parts) if min(map(len, parts)) >= 20 else float("nan")


def share_too_near(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
    """Share of generated windows nearer to a training window than 99 % of real held-out ones are: 0.01 is nominal.

    What the median of `memorisation` does not see: a model that copies a part of its windows.
    """
    border = np.quantile(metrics.nearest_distances(train, held_out), 0.01)
    return float(np.mean(metrics.nearest_distances(train, fake) < border))


@dataclass(frozen=True)
class Forecaster:
    """One-day variance forecasts from squared returns: weights of a constant, the last day, week and month (HAR;
    Corsi 2009), or an exponential average with its decay. Fitted by quasi-likelihood, which it is judged by."""

    kind: str
    weights: np.ndarray

    def forecast(self, windows: np.ndarray) -> np.ndarray:
        """(N, L - 22) variance of days 23 to L of each window, each from the days before it; fractions squared."""
        squared = (PERCENT * np.asarray(windows, dtype=float)) ** 2
        predictors = har_predictors(squared) if self.kind == "har" else None
        variance = predictors @ self.weights if self.kind == "har" else ewma(squared, self.weights[0])
        return np.maximum(variance, 1e-6) / PERCENT**2


def har_predictors(squared: np.ndarray) -> np.ndarray:
    """(N, L - 22, 4) constant, and means of the squared returns of the last day, week and month before each day."""
    total = np.concatenate([np.zeros((len(squared), 1)), np.cumsum(squared, axis=1)], axis=1)
    days = np.arange(MONTH, squared.shape[1])
    means = [(total[:, days] - total[:, days - span]) / span for span in (1, WEEK, MONTH)]
    return np.stack([np.ones_like(means[0]), *means], axis=-1)


def ewma(squared: np.ndarray, decay: float) -> np.ndarray:
    """(N, L - 22) exponential average of squared returns before each day, begun with the mean of the first month."""
    average, forecasts = squared[:, :MONTH].mean(axis=1), []
    for day in range(MONTH, squared.shape[1]):
        forecasts.append(average)
        average = decay * average + (1 - decay) * squared[:, day]
    return np.stack(forecasts, axis=1)


def fit_forecaster(kind: str, windows: np.ndarray) -> Forecaster:
    """Fit `har` or `ewma` to windows by quasi-likelihood; weights are not negative, so every forecast is a variance.

    Raises ValueError for another kind, or windows of 22 days or fewer.
    """
    if kind not in ("har", "ewma"):
        raise ValueError(f"no forecaster is called {kind!r}: use har or ewma")
    if windows.shape[1] <= MONTH:
        raise ValueError(f"windows of {windows.shape[1]} days leave none to forecast after a month of {MONTH}")
    squared = (PERCENT * np.asarray(windows, dtype=float)) ** 2
    target = squared[:, MONTH:].ravel()
    if kind == "ewma":
        loss = lambda decay: np.mean(qlike(target, np.maximum(ewma(squared, decay), 1e-6).ravel()))  # noqa: E731
        return Forecaster(kind, np.array([minimize_scalar(loss, bounds=(0.5, 0.999), method="bounded").x]))
    predictors = har_predictors(squared).reshape(-1, 4)

    def value_and_gradient(weights: np.ndarray) -> tuple[float, np.ndarray]:
        variance = np.maximum(predictors @ weights, 1e-6)
        slope = (1 - target / variance) / variance
        return np.mean(qlike(target, variance)), slope @ predictors / len(target)

    start = np.array([0.1 * target.mean(), 0.1, 0.3, 0.5])
    fit = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=[(1e-4, None), *3 * [(0, None)]])
    return Forecaster(kind, fit.x)


def qlike(squared: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Quasi-likelihood loss log v + r^2 / v of variance forecasts, less is better (Patton 2011)."""
    return np.log(variance) + squared / variance


def qlike_on(forecaster: Forecaster, path: np.ndarray) -> np.ndarray:
    """(T - 22,) loss on each day of a real path (T,), forecast from the days before it."""
    whole = np.asarray(path, dtype=float)[None]
    return qlike(whole[0, MONTH:] ** 2, forecaster.forecast(whole)[0])


def strategies(windows: np.ndarray, *, target_vol: float, lookback: int = 20, leverage: float = 2.0) -> dict[str, float]:
    """Mean yearly gain and Sharpe ratio of two rules on windows (N, L), pooled over windows and days after lookback.

    A gain is position times the day's log-return, summed without compounding.

    momentum : long after a positive sum of the last `lookback` returns, else short
    vol_target : exposure target_vol / realised volatility of the last `lookback` days, at most `leverage`
    """
    x = np.asarray(windows, dtype=float)
    total = np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)
    squares = np.concatenate([np.zeros((len(x), 1)), np.cumsum(x**2, axis=1)], axis=1)
    days = np.arange(lookback, x.shape[1])
    past = total[:, days] - total[:, days - lookback]
    vol = np.sqrt((squares[:, days] - squares[:, days - lookback]) / lookback)
    positions = {"momentum": np.where(past > 0, 1.0, -1.0)}
    positions["vol_target"] = np.minimum(target_vol / np.maximum(vol, 1e-8), leverage)
    results = {}
    for rule, position in positions.items():
        gains = position * x[:, days]
        results[f"{rule}_return"] = float(YEAR * gains.mean())
        results[f"{rule}_sharpe"] = float(np.sqrt(YEAR) * gains.mean() / gains.std())
    return results


def referee_row(
    fake: np.ndarray, *, train: np.ndarray, held_out: np.ndarray, test_path: np.ndarray, wild: float
) -> dict[str, float]:
    """The row of `referees` for generated windows: discriminator, memorisation, and volatility forecasters on test.

    train, held_out : real windows, in order of time; test_path : (T,) real log-returns
    wild : realised volatility per day above which windows enter the second memorisation ratio
    A forecaster's gap is its mean loss on test less that of the same forecaster fitted on the training windows; its
    interval is of the stationary bootstrap over days with blocks of a window's length.
    """
    auc = discriminative_auc(train, fake)
    row = {"auc": auc.mean(), "auc_sd": auc.std(ddof=1), "memorisation": memorisation(train, held_out, fake)}
    row["share_too_near"] = share_too_near(train, held_out, fake)
    row["memorisation_wild"] = memorisation(train, held_out, fake, least_vol=wild)
    for kind in ("har", "ewma"):
        taught, real = (qlike_on(fit_forecaster(kind, each), test_path) for each in (fake, train))
        low, high = scoring.mean_interval((taught - real)[:, None], mean_block=train.shape[1])
        row |= {f"{kind}_qlike": taught.mean(), f"{kind}_gap": (taught - real).mean()}
        row |= {f"{kind}_gap_low": low[0], f"{kind}_gap_high": high[0]}
    return row


def strategy_rows(
    samples: dict[tuple[str, int], np.ndarray], copied: list[np.ndarray], *, target_vol: float
) -> pd.DataFrame:
    """The table `strategies`: model, seed, rule, statistic (return or sharpe), value, and the central 95 % over copies.

    samples : (model, seed) -> windows; copied : windows of copies of history
    """
    band = pd.DataFrame([strategies(windows, target_vol=target_vol) for windows in copied]).quantile([0.025, 0.975])
    rows = []
    for (model, seed), windows in samples.items():
        for name, value in strategies(windows, target_vol=target_vol).items():
            rule, _, statistic = name.rpartition("_")
            ends = dict(zip(("band_low", "band_high"), band[name], strict=True))
            rows.append({"model": model, "seed": seed, "rule": rule, "statistic": statistic, "value": value, **ends})
    return pd.DataFrame(rows)
