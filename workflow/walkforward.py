"""Forecasts of value at risk and expected shortfall for every day since 1996, the models refitted each year.

python workflow/walkforward.py year 2008 runs/walkforward/2008.npz
python workflow/walkforward.py gather figures/walkforward runs/walkforward/*.npz

`make walkforward` calls both, years side by side, and goes on where it stopped.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np

from chaoslib import figures
from chaoslib.figures.files import SUFFIXES, export
from chaoslib.market import data
from chaoslib.pipeline import files, runs, stages
from chaoslib.stress import backtest
from chaoslib.stress.walkforward import MODELS, forecast_year

ROOT = Path(__file__).resolve().parents[1]
DATASET = "sp500_logret"


def gather(to: Path, yearly: list[Path], params: dict) -> None:
    """Tables `backtest` and `by_year`, the figure with its caption, and meta.json, from the files of all years."""
    years = [dict(np.load(path, allow_pickle=False)) for path in sorted(yearly)]
    path = np.concatenate([year["log_return"] for year in years])
    dates = np.concatenate([year["date"] for year in years])
    models, horizons = [key.removesuffix("_n") for key in years[0] if key.endswith("_n")], params["HORIZONS"]
    seeds = {name: params["SEED"] if name in MODELS else 0 for name in models}
    forecasts = {
        (name, seeds[name]): {
            days: backtest.Tail(
                np.concatenate([year[f"{name}_{days}"] for year in years]).astype(float), int(years[0][f"{name}_n"])
            )
            for days in horizons
        }
        for name in models
    }
    clamped = {(name, seeds[name]): int(sum(year[f"{name}_clamped"] for year in years)) for name in MODELS}
    table = backtest.rows(forecasts, path, split="walk_forward", clamped=clamped, draws=params["DRAWS"])
    (to / "tables").mkdir(parents=True, exist_ok=True)
    written = {"tables/backtest.csv": table, "tables/by_year.csv": backtest.by_year(forecasts, path, dates)}
    days = [str(dates[0]), str(dates[-1])]
    written["meta.json"] = {"params": params, "days": days, "git": files.git_state(ROOT), "device": runs.device()}
    near = {key: tails for key, tails in forecasts.items() if key[0] != "hs_500"}  # so far behind that none else would show
    figure = figures.walk_forward(dates, backtest.loss_gaps(near, path))
    figure.about = {"dataset": DATASET, "seeds": [params["SEED"]]}
    export(figure, to / "fig_walkforward", SUFFIXES)
    written["captions.json"] = {"fig_walkforward": figure.caption}
    for name, content in written.items():
        files.write(to / name, content)
    logging.info("gathered %d years in %s", len(years), to)


def forecast(year: int, params: dict) -> dict[str, np.ndarray]:
    """`walkforward.forecast_year` of the shipped S&P 500. Raises SystemExit for a year that cannot be forecast."""
    runs.use_one_thread()
    prices, _ = data.load_prices(DATASET, start=params["START"])
    returns = data.log_returns(prices)
    years = returns["date"].dt.year
    if not params["FIRST_YEAR"] <= year <= years.max():
        raise SystemExit(f"{year} cannot be forecast: the years are {params['FIRST_YEAR']} to {years.max()}")
    return forecast_year(returns, year, params, device=runs.device())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("year", help="refit and forecast one year")
    one.add_argument("year", type=int)
    one.add_argument("to", type=Path)
    every = commands.add_parser("gather", help="tables and figure from the files of all years")
    every.add_argument("to", type=Path)
    every.add_argument("files", type=Path, nargs="+")
    parser.add_argument(
        "--params", type=json.loads, default={}, help="JSON of params that differ from params/walkforward.yaml"
    )
    options = parser.parse_args(arguments)
    params = stages.walk_params(ROOT) | options.params
    if options.command == "gather":
        gather(options.to, options.files, params)
        return
    arrays = forecast(options.year, params)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    files.write(options.to, arrays)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    main()
