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
Answers = Iterator[tuple[str, object]]  # a statement, and whether it holds or what it names
UNCOMPARED = {"timings", "data_summary"}  # clock times; the history, whose hash is among the statements
KEYS = """dataset vae model draw decode subset split reference metric rule statistic vix_at mode target_vix vix guidance
temperature output_scale target portfolio limit horizon_days level days name date n""".split()
RESULTS = {"reverse_stress": {"vix"}, "backtest": {"n"}, "crps": {"n"}}  # columns that are keys elsewhere
SPREAD_OF = {"value": "seed_sd", "distance": "seed_sd", "mean": "seed_sd"}  # columns of tables that gather seeds already
BAND = 0.95  # of what another draw of seeds does
FAR = 3.0  # times its own size and that of its column: no number moves so far by another draw of seeds


def published_tables(revision: str) -> tuple[dict[str, str], dict]:
    """Committed tables as text, and the environment of the run they are from."""
    names = git("ls-tree", "--name-only", revision, f"{TABLES}/").split()
    texts = {Path(name).stem: git("show", f"{revision}:{name}") for name in names if name.endswith(".csv")}
    return texts, json.loads(git("show", f"{revision}:figures/paper/run_metadata.json"))


def git(*arguments: str) -> str:
    """What git answers. Raises ValueError, with its words, when it cannot."""
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"the published tables are read from git, which cannot be started: {error}") from error
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
        texts |= {Path(name).stem: (artefact.folder / name).read_text(encoding="utf-8") for name in names}
    if not texts:
        raise artefacts.MissingArtefact(f"no table in {run_dir}: `make reproduce` makes the run, `RUNS=` says where it is")
    return texts, metas


def cells(name: str, frame: pd.DataFrame, *, by_seed: bool) -> pd.DataFrame:
    """One row a number: its keys, its column, its value, its spread over seeds and how many seeds that is of."""
    keys = [key for key in KEYS if key in frame and key not in RESULTS.get(name, ())]
    columns = frame.drop(columns=[*keys, "seed", *SPREAD_OF.values()], errors="ignore").select_dtypes(["number", "bool"])
    parts = []
    for column in columns:
        part = frame[keys].assign(column=column, value=frame[column].astype(float), spread=np.nan, seeds=1)
        if "seed" in frame:
            part["seed"] = frame["seed"]
            over_seeds = part.groupby(keys, dropna=False, sort=False)["value"]
            part["spread"], part["seeds"] = over_seeds.transform("std"), over_seeds.transform("count")
        elif SPREAD_OF.get(column) in frame:
            part["spread"], part["seeds"] = frame[SPREAD_OF[column]], 3
        parts.append(part)
    groups = [*keys, *(["seed"] if by_seed and "seed" in frame else []), "column"]
    grouped = pd.concat(parts, ignore_index=True).groupby(groups, dropna=False, sort=False)
    return grouped[["value", "spread", "seeds"]].mean().reset_index()


def gaps(name: str, run: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Cells of two tables side by side: value, value_published, and the gap in units of the spread over seeds.

    Of a run that has some of the published seeds, these are compared; of one with other seeds, the means over them.
    `differs` : more than in the fourth digit; `beyond` : more than another draw of seeds does, which numbers without a
    spread over seeds may not do at all; `far` : beyond, and by more than FAR times its size.
    """
    seeds = set(run["seed"]) if "seed" in run else set()
    by_seed = not seeds or seeds <= set(published["seed"])
    ours, theirs = cells(name, run, by_seed=by_seed), cells(name, published, by_seed=by_seed)
    if by_seed and seeds:
        theirs = theirs[theirs["seed"].isin(seeds)]
    keys = [key for key in ours if key in theirs and key not in ("value", "spread", "seeds")]
    numbers = [key for key in keys if pd.api.types.is_numeric_dtype(ours[key])]
    ours, theirs = (each.astype(dict.fromkeys(numbers, float)) for each in (ours, theirs))
    both = ours.merge(theirs, on=keys, how="outer", suffixes=("", "_published"))
    value, was, spread = both["value"], both["value_published"], both["spread_published"]
    both["differs"] = ~np.isclose(value, was, rtol=1e-4, atol=1e-9, equal_nan=True)
    spread = spread.where(spread > 1e-5 * was.abs().clip(lower=1e-6))  # less is rounding
    both["gap"] = ((value - was).abs() / spread).replace(np.inf, np.nan)
    scale = 1.0 if by_seed else np.sqrt(1 / both["seeds"] + 1 / both["seeds_published"])
    limit = stats.t.ppf((1 + BAND) / 2, (both["seeds_published"] - 1).clip(lower=1))
    both["beyond"] = both["differs"] & ~(both["gap"] / scale <= limit)
    usual = was.abs().groupby(both["column"]).transform("median")
    both["far"] = both["beyond"] & both["gap"].notna() & ((value - was).abs() > FAR * np.maximum(was.abs(), usual))
    both["name"] = both[[key for key in keys if key in KEYS or key in ("seed", "column")]].astype(str).agg(" ".join, axis=1)
    return both


def judge(both: pd.DataFrame) -> tuple[str, str, str]:
    """A verdict on one table, the gaps behind it, and what else is to be said.

    Beyond the spread is a table of which more is beyond than seeds explain, or of which most of one column, model or
    metric is.
    """
    present = both[both[["value", "value_published"]].notna().all(axis=1)]
    alone = int(both[["value", "value_published"]].notna().any(axis=1).sum()) - len(present)
    remarks = [f"{alone} numbers are in only one of the two"] if alone else []
    if present.empty:
        return "nothing in common", "", "; ".join(remarks)
    if not present["differs"].any():
        return "equal to four digits", "", "; ".join(remarks)
    measured, fixed = present[present["gap"].notna()], present[present["gap"].isna() & present["differs"]]
    if len(fixed):
        relative = ((fixed["value"] - fixed["value_published"]) / fixed["value_published"]).abs().median()
        remarks.insert(0, f"{len(fixed)} numbers without a known spread differ, in the median by {relative:.2%}")
    shares = {}
    for key in [key for key in ("column", "model", "vae", "metric", "target", "portfolio") if key in present]:
        groups = measured.groupby(key)["beyond"].agg(["mean", "size"])
        shares |= {f"{key} {name}": row["mean"] for name, row in groups[groups["size"] >= 5].iterrows() if row["mean"] > 0.5}
    if shares:
        most = sorted(shares, key=shares.get, reverse=True)
        remarks.insert(0, f"most of {', '.join(most[:3])}{f' and {len(most) - 3} more' if most[3:] else ''} is beyond it")
    share, far = measured["beyond"].mean() if len(measured) else 0.0, measured[measured["far"]]
    if len(far):
        worst = far.loc[(far["value"] - far["value_published"]).abs().idxmax()]
        text = f"{worst['name']} is {worst['value']:.4g}, published {worst['value_published']:.4g}"
        remarks.insert(0, f"{len(far)} numbers moved far: {text}")
    verdict = "within the spread over seeds" if not len(fixed) else "differs where no spread over seeds is known"
    if share > 2 * (1 - BAND) or shares or len(far):
        verdict = f"beyond the spread over seeds in {share:.0%} of its numbers"
    text = f"median {measured['gap'].median():.2g}, largest {measured['gap'].max():.2g}" if len(measured) else ""
    return verdict, text, "; ".join(remarks)


def said_of_data(table: pd.DataFrame) -> Answers:
    yield "the history is the one with this hash", str(table["sha256"].iloc[0])[:12]


def said_of_probe(table: pd.DataFrame) -> Answers:
    for vae, rows in table.groupby("vae"):
        yield f"{vae} passes the probe on every seed", bool(rows["passed"].all())


def said_of_distances(table: pd.DataFrame, card: pd.DataFrame) -> Answers:
    train = table.query("reference == 'train'")
    distance = train.pivot_table(index=["model", "seed"], columns="metric", values="distance")
    floor = card.query("reference == 'train'").groupby("metric")["floor_p95"].first()
    facts = {"std_ratio": "the scale of returns", "vol_sd_ratio": "the spread of volatility"}
    facts |= {"acf_abs_mae": "the clustering of volatility"}
    for model in sorted(set(train["model"]) & {"ldm_post", "ldm_mu", "vae_prior", "timegan"}):
        for metric, fact in facts.items():
            inside = bool((distance.loc[model, metric] <= floor[metric]).all())
            yield f"{model} has {fact} inside the noise floor on every seed", inside
    mean = distance.groupby("model").mean()
    for metric in ("w1_over_std", "std_ratio", "q01_ratio", "vol_sd_ratio", "leverage"):
        nearer = bool(mean.loc["ldm_post", metric] < mean.loc["gjr_fhs", metric])
        yield f"ldm_post is nearer than gjr_fhs on {metric}", nearer


def said_of_scorecard(table: pd.DataFrame) -> Answers:
    ranked = table[(table["reference"] == "train") & ~table["metric"].isin(scorecard.UNRANKED)]
    for model, rows in ranked[~ranked["model"].isin(["second_half", "real_train"])].groupby("model"):
        yield f"{model} is rejected as a whole (p_max below .05)", bool(rows["p_max"].iloc[0] < 0.05)
        outside = rows.loc[rows["distance"] > rows["floor_p95"], "metric"]
        if model.startswith("ldm"):
            yield f"{model} is outside the noise floor on", ", ".join(sorted(outside)) or "nothing"
        else:
            yield f"{model} is outside the noise floor on most metrics", bool(len(outside) > len(rows) / 2)


def said_of_referees(table: pd.DataFrame) -> Answers:
    auc = table.groupby("model")[["auc", "auc_sd"]].mean()
    for rival in ("garch_t", "gjr_fhs"):
        gap = abs(auc.loc["ldm_post", "auc"] - auc.loc[rival, "auc"])
        yield (
            f"the classifier tells ldm_post no better than {rival}",
            bool(gap <= auc.loc[["ldm_post", rival], "auc_sd"].max()),
        )
    for model, rows in table.groupby("model"):
        yield f"{model} copies no training windows", bool((rows["memorisation"] > metrics.COPYING).all())


def said_of_conditional(table: pd.DataFrame) -> Answers:
    shown = table.query("vix_at == 'end' and mode == 'matched' and split == 'train' and target_vix <= 40")
    for model, rows in shown[shown["model"].isin(["cond_ldm", "cond_vae_prior"])].groupby("model"):
        near = bool(rows["std_ratio"].between(0.93, 1.07).all())
        yield f"{model} has the market's volatility up to a VIX of 40, within 7 %", near


def said_of_crps(table: pd.DataFrame) -> Answers:
    test = table.query("split == 'test' and target == 'log_rv' and model != 'vix_scaled'")
    for model, rows in test.groupby("model"):
        apart = ((rows["crps_gap_low"] > 0) | (rows["crps_gap_high"] < 0)).all()
        yield f"{model} differs from vix_scaled as a forecast of volatility, on every seed", bool(apart)


def said_of_backtest(table: pd.DataFrame) -> Answers:
    deep = table.query("level == 0.01")
    for (model, days), rows in deep.groupby(["model", "horizon_days"]):
        yield f"{model}, {days} day(s) ahead, is rejected at 1 % on every seed (Z2)", bool((rows["as_z2_p"] < 0.05).all())
        if model.startswith("cond"):
            apart = bool((rows["dm_p_vs_fhs"] < 0.05).any())
            yield f"{model}, {days} day(s) ahead, differs from gjr_fhs at 1 % on some seed", apart
    for days, rows in deep.groupby("horizon_days"):
        yield f"the worst forecast {days} day(s) ahead (FZ0, 1 %)", rows.groupby("model")["fz0"].mean().idxmax()


def said_of_horizons(table: pd.DataFrame) -> Answers:
    ranked = table[~table["metric"].isin(scorecard.UNRANKED)]
    outside = ranked.loc[ranked["outside"].astype(bool), "metric"]
    yield "chained windows lie outside the noise floor on", ", ".join(sorted(set(outside))) or "nothing"


def said_of_strategies(table: pd.DataFrame) -> Answers:
    off = (table["value"] < table["band_low"]) | (table["value"] > table["band_high"])
    for model, rows in off.groupby(table["model"]):
        if model in ("vae_prior", "timegan", "ldm_post", "ldm_mu"):
            every = bool(rows.groupby(table["seed"]).any().all())
            yield f"a trading rule pays otherwise on {model} than on copies of history, on every seed", every


STATEMENTS = {  # what is said -> the tables it is read from
    said_of_data: ["data_summary"],
    said_of_probe: ["probe"],
    said_of_distances: ["distances", "scorecard"],
    said_of_scorecard: ["scorecard"],
    said_of_referees: ["referees"],
    said_of_conditional: ["conditional"],
    said_of_crps: ["crps"],
    said_of_backtest: ["backtest"],
    said_of_horizons: ["horizons"],
    said_of_strategies: ["strategies"],
}


def statements(tables: dict[str, pd.DataFrame]) -> dict[str, object]:
    """Statement -> answer, of what README, the chapters and REPORT.md say in words, as far as the tables tell."""
    found: dict[str, object] = {}
    for said_of, names in STATEMENTS.items():
        try:
            for statement, answer in said_of(*(tables[name] for name in names)):
                found[statement] = answer
        except (LookupError, ValueError):  # a table, a model or a column is not there: the statement cannot be asked
            continue
    return found


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
            if key not in ("RUN_DIR", "SEED", "SHORT") and was not in (None, value):
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
    print("| table | verdict | gaps in standard deviations over seeds | remarks |\n|---|---|---|---|")
    for name in sorted({*theirs, *ours} - UNCOMPARED):
        if name not in ours or name not in theirs:
            judged = f"not in {'this run' if name in theirs else 'the published tables'}", "", ""
        elif ours[name] == theirs[name]:
            judged = "identical", "", ""
        else:
            judged = judge(gaps(name, *(pd.read_csv(io.StringIO(each[name])) for each in (ours, theirs))))
        print(f"| `{name}` | {' | '.join(judged)} |")
    frames = [{name: pd.read_csv(io.StringIO(text)) for name, text in each.items()} for each in (theirs, ours)]
    said, found = map(statements, frames)
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
