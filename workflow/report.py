"""REPORT.md and run_metadata.md of a published run, written from its tables and metadata and from nothing else.

python workflow/report.py figures/paper
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from chaoslib.evaluation.scorecard import UNRANKED, verdict
from chaoslib.figures.style import LABELS
from chaoslib.figures.verdict import METRIC_LABELS


def markdown(frame: pd.DataFrame, digits: int = 3) -> str:
    """A pipe table; numbers to `digits` decimals, blanks for nan."""
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * len(frame.columns)]
    for row in frame.itertuples(index=False):
        lines.append("| " + " | ".join(shown(value, digits) for value in row) + " |")
    return "\n".join(lines)


def shown(value: object, digits: int) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.{digits}f}"
    return str(value)


def listed(names: pd.Series) -> str:
    return "; ".join(METRIC_LABELS[name] for name in names) or "nothing"


def label(model: str) -> str:
    return LABELS.get(model, model.replace("_", " "))


def over_seeds(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row a model in the order of the file: each column's mean over seeds, and its sd where there are several."""
    rows = []
    for model, group in frame.groupby("model", sort=False):
        row = {"model": label(model), "seeds": len(group)}
        for name in columns:
            row[name] = f"{group[name].mean():.3f}" if group[name].notna().all() else ""
            if len(group) > 1 and row[name]:
                row[name] += f" ± {group[name].std():.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def summary(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a model: how many of the ranked metrics lie where against train, p_max, and two referees."""
    against = dict(list(tables["scorecard"].groupby("reference")))
    (short,) = [verdict(card) for name, card in against.items() if name.startswith("train_block_")]
    seeds = tables["referees"].groupby("model")[["auc", "memorisation"]].mean()
    counts = verdict(against["train"]).assign(short=short["outside"]).join(seeds).reset_index(names="model")
    return pd.DataFrame(
        {
            "model": counts["model"].map(label),
            "under the floor's median": counts["below_median"],
            "inside its 95 %": counts["inside"],
            "outside": counts["outside"],
            "outside, short blocks": counts["short"],
            "p_max": counts["p_max"],
            "classifier's AUC": counts["auc"],
            "memorisation": counts["memorisation"],
        }
    )


def forecast_gaps(referees: pd.DataFrame) -> pd.DataFrame:
    """One row a model: mean gap of each forecaster, from the lowest to the highest end of its intervals."""
    rows = []
    for model, group in referees.groupby("model", sort=False):
        row = {"model": label(model)}
        for kind in ("har", "ewma"):
            row[f"{kind}_gap"] = group[f"{kind}_gap"].mean()
            row[f"{kind} from"] = group[f"{kind}_gap_low"].min()
            row[f"{kind} to"] = group[f"{kind}_gap_high"].max()
        rows.append(row)
    return pd.DataFrame(rows)


def rule_breaks(strategies: pd.DataFrame) -> pd.DataFrame:
    """One row a model, one column a rule and statistic: on how many seeds it lies below and above the band of copies."""
    named = strategies.assign(
        rule=(strategies["rule"] + ", " + strategies["statistic"]).str.replace("_", " "),
        below=strategies["value"] < strategies["band_low"],
        above=strategies["value"] > strategies["band_high"],
    )
    counts = named.groupby(["model", "rule"], sort=False)[["below", "above"]].agg(["sum", "size"])
    texts = [
        ", ".join(f"{row[side, 'sum']} of {row[side, 'size']} {side}" for side in ("below", "above") if row[side, "sum"])
        for _, row in counts.iterrows()
    ]
    table = pd.Series(texts, index=counts.index).unstack("rule").reindex(named["model"].unique())
    return table.rename(index=label).reset_index(names="model")


def standing(card: pd.DataFrame) -> list[str]:
    """For each model: which ranked metrics lie under the floor's median, inside the 95 % band, outside."""
    lines = []
    for model, ranked in card[~card["metric"].isin(UNRANKED)].groupby("model", sort=False):
        under = ranked["ratio"] <= 1
        outside = ranked["distance"] > ranked["floor_p95"]
        lines += [
            f"**{label(model)}** (p_max {ranked['p_max'].iloc[0]:.3f})",
            "",
            f"- under the floor's median, {under.sum()} of {len(ranked)}: {listed(ranked['metric'][under])}",
            f"- inside the 95 % band, {(~under & ~outside).sum()}: {listed(ranked['metric'][~under & ~outside])}",
            f"- outside, {outside.sum()}: {listed(ranked['metric'][outside])}",
            "",
        ]
    return lines


def backtest_summary(backtests: pd.DataFrame) -> pd.DataFrame:
    """One row a model, horizon and level: means over seeds, and the range of their p-values."""
    rows = []
    for (days, level, model), group in backtests.groupby(["horizon_days", "level", "model"], sort=False):
        row = {"days": days, "level": f"{level:.0%}", "model": label(model)}
        row |= {"hits": f"{group['hits'].mean():.1f}", "expected": f"{group['expected'].iloc[0]:.1f}"}
        tested = {
            "kupiec_p": "Kupiec",
            "christoffersen_p": "Christoffersen",
            "as_z2_p": "Z2",
            "dm_p_vs_fhs": "FZ0 against FHS",
        }
        row |= {name: ranged(group[column]) for column, name in tested.items()}
        rows.append(row | {"loss on hits / ES": group["hit_ratio"].mean(), "FZ0": group["fz0"].mean()})
    return pd.DataFrame(rows).sort_values(["days", "level"], kind="stable")


def backtest_overview(backtests: pd.DataFrame, level: float = 0.01) -> pd.DataFrame:
    """One row a model, for each horizon hits and FZ0 as means over seeds, and the range of p-values."""
    rows = []
    for model, at_level in backtests[backtests["level"] == level].groupby("model", sort=False):
        row = {"model": label(model)}
        for days, group in at_level.groupby("horizon_days"):
            ahead = f"{days} day{'s' if days > 1 else ''}"
            row[f"{ahead}: hits of {group['expected'].iloc[0]:.1f}"] = spanned(group["hits"], 0 if len(group) == 1 else 1)
            row |= {f"Z2 p, {ahead}": ranged(group["as_z2_p"]), f"FZ0, {ahead}": spanned(group["fz0"], 2)}
        rows.append(row)
    return pd.DataFrame(rows)


def ranged(p_values: pd.Series) -> str:
    """Lowest and highest p-value over seeds, or the only one."""
    ends = [f"{p:.3f}" if p >= 0.001 else "<0.001" for p in (p_values.min(), p_values.max())]
    return ends[0] if len(p_values) == 1 else "–".join(ends)


def spanned(values: pd.Series, digits: int) -> str:
    """Mean over seeds with the lowest and the highest in brackets; a single number stands alone."""
    mean = f"{values.mean():.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({values.min():.{digits}f}–{values.max():.{digits}f})"


def losses_by_vix(stress: pd.DataFrame) -> pd.DataFrame:
    """One row a model: 50-day expected shortfall of the index at each VIX, mean over seeds with lowest and highest."""
    longest = stress[(stress["portfolio"] == "long") & (stress["horizon_days"] == stress["horizon_days"].max())]
    rows = []
    for model, group in longest.groupby("model", sort=False):
        row = {"model": label(model)}
        for vix, at_vix in group.groupby("target_vix"):
            row[f"{vix:g}"] = spanned(at_vix["es_99"], 3)
        rows.append(row)
    return pd.DataFrame(rows)


def left_out(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Lines on side models that were left out; none where none was."""
    if "left_out" not in tables:
        return []
    rows = tables["left_out"].itertuples()
    return [
        "Left out are models that only stand beside the others and whose checks failed on this history. No table has a row "
        "for them (`left_out`).",
        "",
        *(f"- `{row.node}`, seed {row.seed}: {row.why}" for row in rows),
        "",
    ]


def report(tables: dict[str, pd.DataFrame]) -> str:
    """The text of REPORT.md from the tables of a run, by name."""
    card, splits = tables["scorecard"], tables["splits"].set_index("split")
    data = tables["data_summary"].iloc[0]
    train, test = splits.loc["train"], splits.loc["test"]
    seeds = sorted(tables["probe"]["seed"].unique())
    against = {name: card[card["reference"] == name] for name in card["reference"].unique()}
    halves, shift = (
        rows[~rows["metric"].isin(UNRANKED)]
        for rows in (against["first_half"], against["test"].query("model == 'real_train'"))
    )
    inside = tables["yardstick"].set_index("metric")["inside"]
    calibrated = tables["conditional"].query("mode == 'matched' and split == 'train'")
    calibrated = calibrated.pivot_table(index=["model", "vix_at"], columns="target_vix", values="std_ratio", sort=False)
    calibrated.columns = [f"{level:g}" for level in calibrated.columns]
    crps = tables["crps"].query("split == 'test' and target == 'log_rv'")
    text = [
        "# Report",
        "",
        "Written by the run from its own tables; every number below stands in a file of `tables/`, named with it.",
        "",
        "## What was run",
        "",
        f"{Path(data['dataset']).name}, {data['n_days']} daily log-returns from {data['start']} to {data['end']} "
        "(`data_summary`). "
        f"Training: {train['n_windows']} overlapping windows, {train['n_independent']} independent, to {train['end']}. "
        f"Test: {test['n_windows']} windows, {test['n_independent']} independent, from {test['start']} (`splits`). "
        f"Training seeds: {', '.join(map(str, seeds))}.",
        "",
        *left_out(tables),
        "## What one history can show",
        "",
        "The yardstick is the distance of stationary-bootstrap copies of the training path to the path itself "
        "(`scorecard`). A ratio is a distance over the median of the copies: under about 0.3 look for copying, up to 1 this "
        "history cannot resolve the difference, up to the 95 % value it does not reject the model, beyond it is different. "
        f"Copies drawn anew lie inside the band in {inside.drop('p_max above 0.05').mean():.0%} of cases over all metrics "
        f"(`yardstick`); that is a check of the arithmetic, and the band is nominal. History's second half against its "
        f"first lies outside the band of halves of copies on {sum(halves['distance'] > halves['floor_p95'])} of "
        f"{len(halves)} metrics. Against copies as short as the test span, the training span itself is "
        f"outside on: {listed(shift['metric'][shift['distance'] > shift['floor_p95']])}.",
        "",
        "## What holds and what does not, against train",
        "",
        "How many of the ranked metrics lie where; skewness and kurtosis are described, not ranked. p_max is the share of "
        "copies whose worst ranked metric is as far out as the model's worst. If there is none it takes its smallest value, "
        "one over their number plus one, and two models at that value cannot be ranked by it (`scorecard`; last columns: "
        "`referees`). Models were fitted to the path that they are held against. A small distance therefore says that they "
        "learned this path, not that the market will repeat it.",
        "",
        markdown(summary(tables)),
        "",
        *standing(against["train"]),
    ]
    if "train_stress" in against:
        text += ["## The models of stress, against training windows that end in stress", ""]
        text += standing(against["train_stress"])
    text += [
        "## Referees",
        "",
        "`auc`: a classifier against purged blocks of history, 0.5 is blind and well below it means copies. `memorisation`: "
        "distance to the nearest training window over that of held-out windows, 1 is new and 0 a copy; `wild` the same "
        "among windows as volatile as those with the VIX at 30, and `share_too_near` the share nearer than 99 % of held-out "
        "windows. `gap`: loss on test of a volatility forecaster taught by "
        "the sample, less that of one taught by history. Mean ± sd over seeds or draws (`referees`).",
        "",
        markdown(over_seeds(tables["referees"], ["auc", "memorisation", "memorisation_wild", "share_too_near"])),
        "",
        "The gaps of both forecasters, mean over seeds, with the widest interval of any seed.",
        "",
        markdown(forecast_gaps(tables["referees"])),
        "",
        "On how many seeds or draws a rule earns less or more than 95 % of copies of history pay (`strategies`).",
        "",
        markdown(rule_breaks(tables["strategies"])),
        "",
        "## Given the VIX",
        "",
        "Standard deviation of days, generated over real, for training windows around each VIX; mean over seeds "
        "(`conditional`, mode matched).",
        "",
        markdown(calibrated.reset_index().assign(model=lambda frame: frame["model"].map(label))),
        "",
        "Forecasts of the log realised volatility of test windows from the VIX before them, and the difference to rescaled "
        "history with its interval, the widest over seeds (`crps`).",
        "",
        markdown(
            pd.DataFrame(
                {
                    "model": label(model),
                    "CRPS": group["crps"].mean(),
                    "gap": group["crps_gap"].mean(),
                    "from": group["crps_gap_low"].min(),
                    "to": group["crps_gap_high"].max(),
                    "coverage of 90 %": group["coverage_90"].mean(),
                }
                for model, group in crps.groupby("model", sort=False)
            )
        ),
        "",
        "## Stress tests",
        "",
        "Forecasts of value at risk and expected shortfall for every day of the test span, hits as a mean over seeds, "
        "p-values of the lowest and the highest seed. p-values are of simulated right forecasts with the same overlap; FZ0 "
        "less is better (`backtest`).",
        "",
        markdown(backtest_summary(tables["backtest"])),
        "",
        "What the index loses over the longest horizon after each VIX: expected shortfall at 99 %, mean over seeds with the "
        "lowest and the highest in brackets (`stress`; portfolios and intervals are there too).",
        "",
        markdown(losses_by_vix(tables["stress"])),
        "",
        "Where what happened lies among the scenarios that were made from the VIX of the day before: the share of scenarios "
        "with a smaller outcome (`episodes`).",
        "",
        markdown(tables["episodes"].drop(columns=["date", "model", "seed"])),
        "",
        "Chained windows of longer horizons against the training path: how many of the ranked metrics lie outside the band "
        "of its copies (`horizons`; experimental).",
        "",
        markdown(
            pd.DataFrame(
                {
                    "days": days,
                    "metrics": len(rows),
                    "outside": rows["outside"].sum(),
                    "which": listed(rows["metric"][rows["outside"]]),
                }
                for days, rows in tables["horizons"].query("metric not in @UNRANKED").groupby("days")
            )
        ),
    ]
    return "\n".join(text) + "\n"


def metadata_page(metadata: dict) -> str:
    """The text of run_metadata.md: run_metadata.json for people."""
    environment = metadata["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(environment["versions"][0].items()))
    nodes = pd.DataFrame(
        {
            "stage": name,
            "epochs": node["params"].get("EPOCHS", ""),
            "weights": node.get("weights", ""),
            "seconds": round(node["seconds"]),
            "finished (UTC)": node["finished_utc"],
            "params": f"`{node['params_sha256'][:12]}`",
            "commit": node["git"][:10],
        }
        for name, node in metadata["nodes"].items()
    )
    return "\n".join(
        [
            "# The run",
            "",
            "`run_metadata.json` for people: the environment, and each notebook execution with its epochs, how many numbers "
            "its model stores (a diffusion with its decoder), seconds, hash of its params, commit; the JSON has all hashes.",
            "",
            *(f"- {key}: {', '.join(map(str, environment[key]))}" for key in environment if key not in ("versions", "git")),
            f"- versions: {versions}",
            "",
            markdown(nodes),
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("published", type=Path, help="folder with tables/ and run_metadata.json")
    folder = parser.parse_args(arguments).published
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("tables/*.csv"))}
    (folder / "REPORT.md").write_text(report(tables), encoding="utf-8")
    (folder / "run_metadata.md").write_text(
        metadata_page(json.loads((folder / "run_metadata.json").read_text(encoding="utf-8"))), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
