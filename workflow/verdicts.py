"""What the paper prints of the tables of chapters 10 and 11, of the walk-forward and of the workflow; see `printed`."""

import numpy as np
import pandas as pd
import report
from cells import (
    BLANK,
    between,
    by_metric,
    fixed,
    framed,
    in_order,
    over_seeds,
    percent,
    ranged,
    reported,
    seeds_of,
    span,
    words,
)

from chaoslib.figures.bottleneck import PROBE_LABELS
from chaoslib.figures.forecasts import RISK_LABELS

Tables = dict[str, pd.DataFrame]
Printed = tuple[pd.DataFrame, str]

REFEREES = {"auc": "classifier's AUC", "memorisation": "memorisation", "memorisation_wild": "memorisation, wild windows"}
REFEREES |= {"share_too_near": "share too near (%)"}
STATISTICS = {"return": "gain a year (%)", "sharpe": "Sharpe ratio"}
RISKS = ("var_99", "es_99", "mdd_p95")
DRIFT = {"mean": "mean return (%)", "median": "median return (%)", "es_99": "ES 99 % (%)"}
DRIFT |= {"es_99_driftless": "the same without drift (%)", "n_windows": "windows", "n_episodes": "sharing no day"}


def verdict(tables: Tables) -> Printed:
    return reported(report.summary(tables)), {}


def scorecard(tables: Tables) -> Printed:
    rows = in_order(tables["scorecard"].query("reference == 'train' and model != 'real_train'"))
    told: dict[str, dict] = {}
    for row in rows.itertuples():
        told.setdefault(row.metric, {})[words(row.model)] = starred(row.ratio, row.distance > row.floor_p95)
    if len(rows):
        told["p_max"] = {
            words(model): fixed(p, 3) for model, p in rows.groupby("model", sort=False)["p_max"].first().items()
        }
    return by_metric(told), {}


def starred(ratio: float, is_outside: bool) -> str:
    return fixed(ratio, 2 if ratio < 10 else 1) + "*" * bool(is_outside)


def horizons(tables: Tables) -> Printed:
    rows, told = tables["horizons"], {}
    for row in rows.itertuples():
        told.setdefault(row.metric, {})[f"{row.days} days"] = starred(row.ratio, row.outside)
    return by_metric(told), {"model": named(rows)}


def named(rows: pd.DataFrame) -> str:
    return " and ".join(words(model) for model in rows["model"].unique()) or BLANK


def yardstick(tables: Tables) -> Printed:
    rows = tables["yardstick"].set_index("metric")["inside"]
    return by_metric({metric: {"inside the band (%)": fixed(100 * share, 1)} for metric, share in rows.items()}), {}


def referees(tables: Tables) -> Printed:
    rows = percent(tables["referees"], "share_too_near")
    return over_seeds(rows, ["model"], REFEREES, {"share_too_near": 1}), {"seeds": seeds_of(rows)}


def forecast_gaps(tables: Tables) -> Printed:
    gaps = report.forecast_gaps(in_order(tables["referees"])).set_index("model")
    told = {
        model: {
            kind.upper(): ranged(row[f"{kind}_gap"], row[f"{kind} from"], row[f"{kind} to"], 3) for kind in ("har", "ewma")
        }
        for model, row in gaps.iterrows()
    }
    return framed(told, ["model"]), {}


def strategies(tables: Tables) -> Printed:
    rows, told = in_order(tables["strategies"]), {}
    for (rule, statistic), of_rule in rows.groupby(["rule", "statistic"], sort=False):
        factor, head = 100 if statistic == "return" else 1, f"{words(rule)}, {STATISTICS[statistic]}"
        low, high = (factor * of_rule[end].iloc[0] for end in ("band_low", "band_high"))
        told.setdefault("95 % of copies of history", {})[head] = between(low, high, 2)
        for model, group in of_rule.groupby("model", sort=False):
            told.setdefault(words(model), {})[head] = span(factor * group["value"])
    return framed(told, ["model"]), {"seeds": seeds_of(rows)}


def rule_breaks(tables: Tables) -> Printed:
    table = reported(report.rule_breaks(tables["strategies"]))
    heads = {"vol target": "volatility target", "sharpe": "Sharpe ratio", "return": "gain"}
    return table.rename(columns=lambda head: ", ".join(heads.get(part, part) for part in head.split(", "))), {}


def discriminator(tables: Tables) -> Printed:
    told: dict[str, dict] = {}
    for row in in_order(tables["discriminator"]).itertuples():
        told.setdefault(words(row.model), {})[f"{row.n:,} windows"] = f"{fixed(row.auc, 2)} ± {fixed(row.auc_sd, 2)}"
    return framed(told, ["model"]), {}


def backtest(tables: Tables) -> Printed:
    heads = {"Kupiec": "Kupiec p", "Christoffersen": "Christoffersen p", "Z2": "Z2 p"}
    heads["FZ0 against FHS"] = "p of FZ0 equal to GJR-FHS"
    told = {}
    for row in report.backtest_summary(in_order(tables["backtest"])).to_dict("records"):
        days, level, model = (row.pop(name) for name in ("days", "level", "model"))
        group = f"{days} day{'s' if days > 1 else ''} ahead, {level.replace('%', ' %')} level"
        told[group, model] = {heads.get(head, head): report.shown(value, 2) or BLANK for head, value in row.items()}
    return framed(told, ["", "model"]), {"span": span_of(tables)}


def span_of(tables: Tables) -> str:
    names = {"walk_forward": "walk-forward, models refitted every year", "test": "test span"}
    return names.get(tables["backtest"]["split"].iloc[0], "span") if len(tables["backtest"]) else "span"


def backtest_overview(tables: Tables) -> Printed:
    return reported(report.backtest_overview(tables["backtest"])), {"span": span_of(tables)}


def by_year(tables: Tables) -> Printed:
    rows, told = tables["by_year"], {}
    days, level = rows["horizon_days"].min(), rows["level"].min()
    rows = rows[(rows["horizon_days"] == days) & (rows["level"] == level)]
    for row in in_order(rows).sort_values("year", kind="stable").itertuples():
        year = told.setdefault(str(row.year), {"expected": fixed(row.expected, 1)})
        year[words(row.model)] = str(row.hits)
    return framed(told, ["year"]), {"seeds": seeds_of(rows), "days": f"{days:g}", "level": f"{100 * level:g} %"}


def stress(tables: Tables) -> Printed:
    rows = percent(tables["stress"], *RISKS)
    rows = rows[rows["horizon_days"] == rows["horizon_days"].max()]
    level = min(rows["target_vix"].unique(), key=lambda vix: abs(vix - 30), default=30)
    rows = rows[rows["target_vix"] == level]
    heads = {name: f"{RISK_LABELS[name]} (%)" for name in RISKS} | {"under_water": RISK_LABELS["under_water"]}
    facts = {"seeds": seeds_of(rows), "vix": f"{level:g}", "days": f"{rows['horizon_days'].max():g}"}
    return over_seeds(rows, ["portfolio", "model"], heads, 1).rename_axis(["", "model"]), facts


def losses(tables: Tables) -> Printed:
    frame = reported(report.losses_by_vix(tables["stress"]))
    return frame.rename(columns="VIX {}".format), {"seeds": seeds_of(tables["stress"])}


def reverse_stress(tables: Tables) -> Printed:
    rows, told = in_order(tables["reverse_stress"]), {}
    for (portfolio, limit), of_limit in rows.groupby(["portfolio", "limit"], sort=False):
        for model, group in of_limit.groupby("model", sort=False):
            told.setdefault((words(portfolio), words(model)), {})[f"loss of {100 * limit:g} %"] = reached(group)
    return framed(told, ["", "model"]), {"seeds": seeds_of(rows)}


def reached(group: pd.DataFrame) -> str:
    """The VIX over seeds: `≤` where every seed answers with the least asked, a dash for seeds that have no answer."""
    vix = group["vix"].replace(np.inf, np.nan)
    if vix.isna().any() and vix.notna().any():
        return f"{fixed(vix.min(), 1)} to {BLANK}"
    return "≤ " * bool(group["at_lowest"].all()) + span(vix, 1)


def drift(tables: Tables) -> Printed:
    rows = percent(tables["drift"], "mean", "median", "es_99", "es_99_driftless")
    digits = dict.fromkeys(DRIFT, 1) | {"n_windows": 0, "n_episodes": 0}
    rows = rows.assign(target_vix=[f"VIX {vix:g}" for vix in rows["target_vix"]])
    frame = over_seeds(rows, ["model", "target_vix"], DRIFT, digits)
    facts = {"seeds": seeds_of(rows)}
    if "stress" in tables:  # over the same horizon as its longest
        facts["days"] = f"{tables['stress']['horizon_days'].max()}"
    return frame.rename_axis(["", "VIX before"]), facts


def episodes(tables: Tables) -> Printed:
    rows = tables["episodes"]
    outcomes = [name for name in ("log_rv", "cum_return", "max_drawdown", "worst_day") if name in rows]
    told = {
        str(row["name"]): {"span": words(row["split"]), "VIX before": fixed(row["vix"], 1)}
        | {f"{RISK_LABELS[name]} (%)": fixed(100 * row[name], 1) for name in outcomes}
        for row in rows.to_dict("records")
    }
    return framed(told, ["month"]), {"seeds": seeds_of(rows), "model": named(rows)}


def timings(tables: Tables) -> Printed:
    rows = tables["timings"].fillna({"variant": ""})
    rows = rows.assign(minutes=rows["seconds"] / 60, gigabytes=rows["peak_rss_mb"] / 1024)
    names = [
        f"{stage[:2]} {words(stage[3:])}" + f": {PROBE_LABELS.get(f'03_vae.{variant}', words(variant))}" * bool(variant)
        for stage, variant in zip(rows["stage"], rows["variant"], strict=True)
    ]
    heads = {"minutes": "minutes", "gigabytes": "peak memory (GB)"}
    facts = {"seeds": seeds_of(rows), "minutes": fixed(rows["minutes"].sum(), 0)}
    return over_seeds(rows.assign(notebook=names), ["notebook"], heads, 1), facts
