"""Hold the tables of a run against the published ones: identical, or how far apart, and does any verdict change?

python workflow/compare.py runs/paper/sp500_logret [--published HEAD]

Distances are in units of the published spread over training seeds. Rows of the same seed are compared with each other;
when the seeds differ, means over seeds are. Exits with 1 when a statement of the text would change, with 2 on bad input.
"""

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from chaoslib.evaluation import metrics, scorecard
from chaoslib.pipeline import artefacts, stages

ROOT = Path(__file__).resolve().parents[1]
TABLES = "figures/paper/tables"
UNCOMPARED = {"timings", "data_summary"}  # clock times; the history's own hash is among the statements
KEYS = """dataset vae model draw decode subset split reference metric rule statistic vix_at mode target_vix vix guidance
temperature output_scale target portfolio limit horizon_days level days name date""".split()
SPREAD_OF = {"value": "seed_sd", "distance": "seed_sd", "mean": "seed_sd"}  # columns of tables that gather seeds already
BAND = 0.95  # of what another draw of seeds does


def published_tables(revision: str) -> tuple[dict[str, str], dict]:
    """Committed tables as text, and the environment of the run they are from."""
    names = git("ls-tree", "--name-only", revision, f"{TABLES}/").split()
    texts = {Path(name).stem: git("show", f"{revision}:{name}") for name in names if name.endswith(".csv")}
    return texts, json.loads(git("show", f"{revision}:figures/paper/run_metadata.json"))


def git(*arguments: str) -> str:
    """What git answers. Raises ValueError, with its words, when it cannot."""
    result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if result.returncode:
        raise ValueError(f"the published tables are read from git: {result.stderr.strip()}")
    return result.stdout


def tables_of_run(run_dir: Path) -> tuple[dict[str, str], dict[str, dict]]:
    """Tables of a run's finished stages, verified, and place -> meta.json. Raises MissingArtefact without any table."""
    texts, metas = {}, {}
    for sums in sorted([*run_dir.glob(f"*/{artefacts.SUMS}"), *run_dir.glob(f"seed*/*/{artefacts.SUMS}")]):
        artefact = artefacts.Artefact(sums.parent)
        metas[str(sums.parent.relative_to(run_dir))] = artefact.meta
        names = [name for name in artefact.sums if name.startswith("tables/") and name.endswith(".csv")]
        if names:
            artefact.verify()
        texts |= {Path(name).stem: (artefact.folder / name).read_text() for name in names}
    if not texts:
        raise artefacts.MissingArtefact(f"no table in {run_dir}: `make reproduce` makes the run, `RUNS=` says where it is")
    return texts, metas


def cells(frame: pd.DataFrame, *, by_seed: bool) -> pd.DataFrame:
    """One row a number: its keys, its column, its value, its spread over seeds and how many seeds that is of."""
    keys = [name for name in KEYS if name in frame]
    columns = [name for name in frame.select_dtypes("number") if name not in (*keys, "seed", *SPREAD_OF.values())]
    spread = {name: SPREAD_OF[name] for name in columns if SPREAD_OF.get(name) in frame}
    groups = [*keys, "seed"] if by_seed and "seed" in frame else keys
    parts = []
    for name in columns:
        part = frame[[*keys, *(["seed"] if "seed" in frame else [])]].assign(
            column=name, value=frame[name], spread=frame[spread[name]] if name in spread else np.nan
        )
        if "seed" in frame:
            over_seeds = part.groupby(keys, dropna=False, sort=False)["value"] if keys else part["value"]
            part["spread"] = over_seeds.transform("std") if keys else np.nan
            part["seeds"] = over_seeds.transform("count") if keys else 1
        parts.append(part.assign(seeds=part.get("seeds", 3 if name in spread else 1)))
    grouped = pd.concat(parts, ignore_index=True).groupby([*groups, "column"], dropna=False, sort=False)
    return grouped[["value", "spread", "seeds"]].mean().reset_index()


def gaps(run: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Cells of two tables side by side: value, value_published, and the gap in units of the spread over seeds.

    Of a run that has some of the published seeds, these are compared; of one with other seeds, the means over them.
    """
    seeds = set(run["seed"]) if "seed" in run else set()
    by_seed = not seeds or seeds <= set(published["seed"])
    ours, theirs = cells(run, by_seed=by_seed), cells(published, by_seed=by_seed)
    if by_seed and seeds:
        theirs = theirs[theirs["seed"].isin(seeds)]
    keys = [name for name in ours if name in theirs and name not in ("value", "spread", "seeds")]
    numbers = [name for name in keys if pd.api.types.is_numeric_dtype(ours[name])]
    ours, theirs = (each.astype(dict.fromkeys(numbers, float)) for each in (ours, theirs))
    both = ours.merge(theirs, on=keys, how="outer", suffixes=("", "_published"), indicator=True)
    difference = (both["value"] - both["value_published"]).abs()
    measured = both["spread_published"] > 1e-5 * both["value_published"].abs().clip(lower=1e-6)  # more than rounding
    both["gap"] = (difference / both["spread_published"].where(measured)).replace(np.inf, np.nan)
    scale = 1.0 if by_seed else np.sqrt(1 / both["seeds"] + 1 / both["seeds_published"])
    freedom = (both["seeds_published"] - 1).clip(lower=1)
    both["beyond"] = both["gap"] / scale > stats.t.ppf((1 + BAND) / 2, freedom)
    return both


def judge(both: pd.DataFrame) -> tuple[str, str]:
    """A verdict on one table, and the gap behind it."""
    known = both[["value", "value_published"]].notna()
    alone = int(
        (both["_merge"] != "both").sum() + (known.any(axis=1) & ~known.all(axis=1) & (both["_merge"] == "both")).sum()
    )
    note = f"; {alone} numbers are in only one of the two" if alone else ""
    present = both[known.all(axis=1)]
    values, difference = present[["value", "value_published"]], (present["value"] - present["value_published"]).abs()
    if np.allclose(values["value"], values["value_published"], rtol=1e-4, atol=1e-9):
        return f"equal to four digits{note}", ""
    measured = present[present["gap"].notna()]
    if measured.empty:
        relative = (difference / present["value_published"].abs()).replace(np.inf, np.nan)
        return (
            f"differs, and has no seeds to hold it against{note}",
            f"largest gap {relative.max():.1%} of the published value",
        )
    text = f"median {measured['gap'].median():.2g}, largest {measured['gap'].max():.2g}"
    share, by_column = measured["beyond"].mean(), measured.groupby("column")["beyond"].agg(["mean", "size"])
    broken = by_column.index[(by_column["mean"] > 0.5) & (by_column["size"] >= 5)]
    if share > 2 * (1 - BAND) or len(broken):
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        where = f", most of {', '.join(broken[:3])}{more}" if len(broken) else ""
        return f"beyond the spread over seeds in {share:.0%} of its numbers{where}{note}", text
    return f"within the spread over seeds{note}", text


def statements(tables: dict[str, pd.DataFrame]) -> Iterator[tuple[str, object]]:
    """(statement, answer) for what README, the chapters and REPORT.md say in words, as far as the tables are there."""
    if "data_summary" in tables:
        yield "the history is the one with this hash", str(tables["data_summary"]["sha256"].iloc[0])[:12]
    if "probe" in tables:
        for vae, rows in tables["probe"].groupby("vae"):
            yield f"{vae} passes the probe on every seed", bool(rows["passed"].all())
    if "distances" in tables:
        train = tables["distances"].query("reference == 'train'")
        value, distance = (
            train.pivot_table(index=["model", "seed"], columns="metric", values=name) for name in ("value", "distance")
        )
        mean, models = distance.groupby("model").mean(), set(train["model"])
        for model in [name for name in ("ldm_post", "ldm_mu", "vae_prior", "timegan") if name in models]:
            near = value.loc[model, ["std_ratio", "vol_sd_ratio"]].sub(1).abs().lt(0.1).all(axis=None)
            yield f"{model} has the scale and the spread of volatility within a tenth on every seed", bool(near)
            remembers = distance.loc[model, "acf_abs_mae"].lt(0.1).all()
            yield f"{model} has the clustering of volatility within a tenth on every seed", bool(remembers)
        for metric in ("w1_over_std", "std_ratio", "q01_ratio", "vol_sd_ratio", "leverage"):
            if {"ldm_post", "gjr_fhs"} <= models:
                yield (
                    f"ldm_post is nearer than gjr_fhs on {metric}",
                    bool(mean[metric]["ldm_post"] < mean[metric]["gjr_fhs"]),
                )
    if "scorecard" in tables:
        card = tables["scorecard"].query("reference == 'train'")
        ranked = card[~card["metric"].isin(scorecard.UNRANKED)]
        for model, rows in ranked.groupby("model"):
            if model in ("second_half", "real_train"):
                continue
            yield f"{model} is rejected as a whole (p_max below .05)", bool(rows["p_max"].iloc[0] < 0.05)
            outside = rows.loc[rows["distance"] > rows["floor_p95"], "metric"]
            if model.startswith("ldm"):
                yield f"{model} is outside the noise floor on", ", ".join(sorted(outside)) or "nothing"
            else:
                yield f"{model} is outside the noise floor on most metrics", bool(len(outside) > len(rows) / 2)
    if "referees" in tables:
        for model, rows in tables["referees"].groupby("model"):
            yield f"{model} copies no training windows", bool((rows["memorisation"] > metrics.COPYING).all())
    if "conditional" in tables:
        shown = tables["conditional"].query(
            "vix_at == 'end' and mode == 'matched' and split == 'train' and target_vix <= 40"
        )
        for model in ("cond_ldm", "cond_vae_prior"):
            ratio = shown.loc[shown["model"] == model, "std_ratio"]
            if len(ratio):
                text = f"{model} has the market's volatility up to a VIX of 40, within 7 %"
                yield text, bool(ratio.between(0.93, 1.07).all())
    if "crps" in tables:
        test = tables["crps"].query("split == 'test' and target == 'log_rv'")
        for model, rows in test[test["model"] != "vix_scaled"].groupby("model"):
            apart = ((rows["crps_gap_low"] > 0) | (rows["crps_gap_high"] < 0)).all()
            yield f"{model} differs from vix_scaled as a forecast of volatility, on every seed", bool(apart)
    if "backtest" in tables:
        deep = tables["backtest"].query("level == 0.01")
        for (model, days), rows in deep.groupby(["model", "horizon_days"]):
            yield (
                f"{model}, {days} day(s) ahead, is rejected at 1 % on every seed (Z2)",
                bool((rows["as_z2_p"] < 0.05).all()),
            )
        last = deep.groupby(["horizon_days", "model"])["fz0"].mean().groupby("horizon_days").idxmax()
        for days, (_, model) in last.items():
            yield f"the worst forecast {days} day(s) ahead (FZ0, 1 %)", model


def environment_rows(metas: dict[str, dict], metadata: dict) -> Iterator[tuple[str, str, str]]:
    """(what, published, run) of machine, device and versions."""
    theirs = metadata["environment"]

    def told(values: list) -> str:
        return ", ".join(sorted({str(value) for value in values}))

    for key in ("machine", "python", "device", "threads"):
        yield key, told(theirs[key]), told([meta[key] for meta in metas.values()])
    for name in theirs["versions"][0]:
        pairs = [each.get(name, "") for each in theirs["versions"]], [meta["versions"].get(name) for meta in metas.values()]
        yield name, *map(told, pairs)


def other_settings(metas: dict[str, dict], metadata: dict) -> list[str]:
    """Settings in which a run differs from the published one, as `node KEY: value (published: value)`."""
    found = {}
    theirs = {stages.node_of(place): each["params"] for place, each in metadata["nodes"].items()}
    for meta in metas.values():
        for key, value in meta["params"].items():
            was = theirs.get(meta["node"], {}).get(key)
            if key not in ("RUN_DIR", "SEED") and was != value:
                found[f"{meta['node']} {key}: {value} (published: {was})"] = None
    return list(found)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, help="folder of one profile and dataset")
    parser.add_argument("--published", default="HEAD", help="git revision whose figures/paper is held against it")
    options = parser.parse_args(arguments)
    theirs, metadata = published_tables(options.published)
    ours, metas = tables_of_run(options.run_dir)
    print(f"{options.run_dir} against {TABLES} at {options.published}\n")
    rows = list(environment_rows(metas, metadata))
    print("| machine | published | this run |\n|---|---|---|")
    print("\n".join(f"| {name} | {was} | {'the same' if was == is_now else is_now} |" for name, was, is_now in rows) + "\n")
    if differing := other_settings(metas, metadata):
        print(f"{len(differing)} settings differ, for instance {'; '.join(differing[:3])}\n")
    print("| table | verdict | distance in standard deviations over seeds |\n|---|---|---|")
    for name in sorted({*theirs, *ours} - UNCOMPARED):
        if name not in ours or name not in theirs:
            verdict, text = f"not in {'this run' if name in theirs else 'the published tables'}", ""
        elif ours[name] == theirs[name]:
            verdict, text = "identical", ""
        else:
            verdict, text = judge(gaps(*(pd.read_csv(io.StringIO(each[name])) for each in (ours, theirs))))
        print(f"| `{name}` | {verdict} | {text} |")
    frames = [{name: pd.read_csv(io.StringIO(text)) for name, text in each.items()} for each in (theirs, ours)]
    said, found = (dict(statements(each)) for each in frames)
    changed = [text for text in said if text in found and said[text] != found[text]]
    unasked = [text for text in said if text not in found]
    print(
        f"\n{len(said) - len(unasked) - len(changed)} of {len(said)} statements of the text hold in this run as published."
    )
    if unasked:
        print(f"{len(unasked)} could not be asked: their tables or models are not in this run.")
    for text in changed:
        print(f"CHANGED: {text}: published {said[text]}, this run {found[text]}")
    return int(bool(changed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, artefacts.StaleArtefact) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
