"""A run's tables against the published ones: runs made of the committed tables, changed in known ways."""

import io
import json
import re

import compare as module
import numpy as np
import pandas as pd
import pytest

from chaoslib.pipeline import artefacts, files

SEEDED = ("distances", "referees", "crps", "conditional", "backtest", "stress", "probe")


@pytest.fixture
def compare(root, monkeypatch):
    """The script, with the tables of the work tree as the published ones: a test needs no git."""
    texts = {path.stem: path.read_text() for path in (root / "figures/paper/tables").glob("*.csv")}
    metadata = json.loads((root / "figures/paper/run_metadata.json").read_text())
    monkeypatch.setattr(module, "texts", texts, raising=False)
    monkeypatch.setattr(module, "published_tables", lambda revision: (texts, metadata))
    return module


def run_of(folder, root, tables: dict[str, str | pd.DataFrame], **params) -> None:
    """A finished stage that wrote these tables."""
    place = folder / "09_evaluation"
    (place / "tables").mkdir(parents=True)
    for name, table in tables.items():
        if isinstance(table, str):
            (place / f"tables/{name}.csv").write_text(table)
        else:
            files.write(place / f"tables/{name}.csv", table)
    outputs = {f"tables/{name}.csv": files.sha256(place / f"tables/{name}.csv") for name in tables}
    metadata = json.loads((root / "figures/paper/run_metadata.json").read_text())
    shared = {key: values[0] for key, values in metadata["environment"].items()}
    meta = metadata["nodes"]["09_evaluation"] | shared | {"outputs": outputs}
    files.write(place / "meta.json", meta | {"params": meta["params"] | params})
    files.write(place / artefacts.META_SUM, f"{files.sha256(place / 'meta.json')}  meta.json\n")
    files.write(place / artefacts.SUMS, "".join(f"{digest}  {name}\n" for name, digest in outputs.items()))


def changed(compare, change, names=SEEDED) -> dict:
    """The published tables, some of them changed by a function of their name and frame."""
    frames = {name: pd.read_csv(io.StringIO(compare.texts[name])) for name in names}
    return compare.texts | {name: change(name, frame) for name, frame in frames.items()}


def verdicts(text: str) -> dict[str, str]:
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("| `"): row[1] for row in rows}


def remarks(text: str) -> dict[str, str]:
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("| `"): row[3] for row in rows}


def test_the_same_tables_are_identical_and_change_nothing(compare, root, tmp_path, capsys):
    run_of(tmp_path, root, compare.texts)
    assert compare.main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert set(verdicts(text).values()) == {"identical"}
    assert set(verdicts(text)) == set(compare.texts) - compare.UNCOMPARED
    assert "| torch | 2.13.0+cpu | the same |" in text
    assert "settings differ" not in text


def test_every_statement_can_be_asked_of_the_published_tables(compare):
    frames = {name: pd.read_csv(io.StringIO(text)) for name, text in compare.texts.items()}
    asked = compare.STATEMENTS.items()
    said = [pair for said_of, names in asked for pair in said_of(*(frames[name] for name in names))]
    assert dict(said) == compare.statements(frames)
    assert len(dict(said)) == len(said) > 50


def test_last_bits_of_another_processor_change_nothing(compare, root, tmp_path, capsys):
    def shaken(name, frame):
        rng = np.random.default_rng(0)
        for column in frame.select_dtypes("float"):
            if column not in compare.KEYS:
                frame[column] *= 1 + 1e-6 * rng.standard_normal(len(frame))
        return frame

    run_of(tmp_path, root, changed(compare, shaken))
    assert compare.main([str(tmp_path)]) == 0
    found = verdicts(capsys.readouterr().out)
    assert {found[name] for name in SEEDED} <= {"identical", "equal to four digits"}


def test_other_seeds_lie_within_the_spread_over_seeds(compare, root, tmp_path, capsys):
    """Seeds 3, 4, 5, each number drawn around the published mean with the published spread."""

    def redrawn(name, frame):
        rng = np.random.default_rng(1)
        keys = [key for key in compare.KEYS if key in frame]
        for column in frame.select_dtypes("float"):
            if column not in keys:
                groups = frame.groupby(keys, dropna=False)[column]
                noise = groups.transform("std").fillna(0) * rng.standard_normal(len(frame))
                frame[column] = groups.transform("mean") + noise
        return frame.assign(seed=frame["seed"] + 3)

    run_of(tmp_path, root, changed(compare, redrawn, ("distances",)))
    compare.main([str(tmp_path)])
    assert verdicts(capsys.readouterr().out)["distances"] == "within the spread over seeds"


def test_some_of_the_seeds_are_held_against_themselves(compare, root, tmp_path, capsys):
    run_of(tmp_path, root, changed(compare, lambda name, frame: frame[frame["seed"] == 0]))
    compare.main([str(tmp_path)])
    found = verdicts(capsys.readouterr().out)
    assert {found[name] for name in SEEDED} == {"equal to four digits"}


def test_a_planted_fault_is_beyond_the_spread_and_changes_a_verdict(compare, root, tmp_path, capsys):
    """Samples of one model scaled by 1.5."""

    def scaled(name, frame):
        hit = frame["model"] == "ldm_post"
        ratio = hit & frame["metric"].str.endswith("_ratio")
        frame.loc[hit, "value"] *= 1.5
        frame.loc[hit, "distance"] *= 1.5
        frame.loc[ratio, "distance"] = (frame.loc[ratio, "value"] - 1).abs()
        return frame

    run_of(tmp_path, root, changed(compare, scaled, ("distances",)))
    assert compare.main([str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert verdicts(text)["distances"].startswith("beyond the spread over seeds")
    assert "CHANGED: ldm_post has the scale of returns inside the noise floor on every seed: published True" in text
    assert "ldm_mu has" not in text.split("CHANGED", 1)[1]


def test_a_fault_in_one_column_is_beyond_the_spread(compare, root, tmp_path, capsys):
    run_of(tmp_path, root, changed(compare, lambda name, frame: frame.assign(es_99=2 * frame["es_99"]), ("stress",)))
    compare.main([str(tmp_path)])
    text = capsys.readouterr().out
    assert verdicts(text)["stress"].startswith("beyond the spread over seeds")
    assert "most of column es_99 is beyond it" in remarks(text)["stress"]


def test_rows_and_tables_that_are_missing_are_counted(compare, root, tmp_path, capsys):
    tables = changed(compare, lambda name, frame: frame[frame["model"] != "ldm_mu"], ("distances",))
    del tables["backtest"]
    run_of(tmp_path, root, tables, N_SAMPLES=10)
    assert compare.main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert verdicts(text)["backtest"] == "not in this run"
    assert "numbers are in only one of the two" in remarks(text)["distances"]
    assert "could not be asked" in text
    assert "1 settings differ, for instance 09_evaluation N_SAMPLES: 10 (published: 5000)" in text


def test_a_folder_without_tables_is_an_error(compare, tmp_path):
    with pytest.raises(artefacts.MissingArtefact, match=r"no table in .*make reproduce"):
        compare.main([str(tmp_path)])


def test_a_table_that_was_changed_after_its_run_is_refused(compare, root, tmp_path):
    run_of(tmp_path, root, compare.texts)
    path = tmp_path / "09_evaluation/tables/crps.csv"
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(artefacts.StaleArtefact, match=r"crps\.csv is missing or was changed"):
        compare.main([str(tmp_path)])


@pytest.mark.parametrize(
    ("table", "rows", "columns", "names"),
    [
        ("crps", "model == 'vix_scaled'", ["crps"], "numbers without a known spread differ"),
        ("distances", "model == 'cond_ldm'", ["value", "distance"], "model cond_ldm"),
        (
            "stress",
            "model == 'gjr_fhs'",
            ["var_95", "var_99", "es_95", "es_99"],
            "numbers without a known spread differ",
        ),
        ("reverse_stress", "portfolio == 'long'", ["vix"], "numbers without a known spread differ"),
    ],
)
def test_one_model_or_rival_that_is_wrong_is_told(compare, root, tmp_path, capsys, table, rows, columns, names):
    def wrong(name, frame):
        hit = frame.query(rows).index
        frame[columns] = frame[columns].astype(float)
        frame.loc[hit, columns] *= 3
        return frame

    run_of(tmp_path, root, changed(compare, wrong, (table,)))
    compare.main([str(tmp_path)])
    text = capsys.readouterr().out
    assert names in remarks(text)[table]
    assert not verdicts(text)[table].startswith(("within", "equal"))


def test_a_verdict_that_is_turned_over_differs(compare, root, tmp_path, capsys):
    run_of(tmp_path, root, changed(compare, lambda name, frame: frame.assign(outside=~frame["outside"]), ("horizons",)))
    compare.main([str(tmp_path)])
    assert verdicts(capsys.readouterr().out)["horizons"] == "differs where no spread over seeds is known"


@pytest.mark.parametrize(
    "change", [lambda f: f.assign(portfolio="other"), lambda f: f.assign(**{c: np.nan for c in f if "_9" in c})]
)
def test_what_cannot_be_compared_is_not_called_equal(compare, root, tmp_path, capsys, change):
    def other(name, frame):
        return change(frame)[[c for c in frame if not c.endswith(("low", "high")) and "mdd" not in c and "under" not in c]]

    run_of(tmp_path, root, changed(compare, other, ("stress",)))
    compare.main([str(tmp_path)])
    text = capsys.readouterr().out
    assert verdicts(text)["stress"] == "nothing in common" or "are in only one of the two" in remarks(text)["stress"]


def test_tables_without_what_a_statement_asks_leave_it_unasked(compare, root, tmp_path, capsys):
    """Neither an error nor a change."""
    cut = {"distances": "model != 'gjr_fhs'", "scorecard": "metric == 'ks'", "crps": "split == 'train'"}
    tables = changed(compare, lambda name, frame: frame.query(cut[name]), tuple(cut))
    tables["backtest"] = pd.read_csv(io.StringIO(tables["backtest"])).assign(fz0=np.nan)
    run_of(tmp_path, root, tables)
    assert compare.main([str(tmp_path)]) in (0, 1)
    assert "could not be asked" in capsys.readouterr().out


def test_one_number_that_is_absurd_is_named(compare, root, tmp_path, capsys):
    def wrong(name, frame):
        hit = (frame["model"] == "cond_ldm") & (frame["split"] == "test") & (frame["target"] == "log_rv")
        frame.loc[hit, "crps"] = 5.0
        return frame

    run_of(tmp_path, root, changed(compare, wrong, ("crps",)))
    compare.main([str(tmp_path)])
    text = capsys.readouterr().out
    assert verdicts(text)["crps"].startswith("beyond")
    assert re.search(r"3 numbers moved far: cond_ldm test log_rv .*crps is 5, published 0\.2", remarks(text)["crps"])


@pytest.mark.parametrize(
    ("table", "model", "column", "value", "statement"),
    [
        ("referees", "ldm_post", "auc", 0.99, "the classifier tells ldm_post no better than garch_t"),
        ("backtest", "cond_ldm", "dm_p_vs_fhs", 0.001, "cond_ldm, 1 day(s) ahead, differs from gjr_fhs"),
        ("probe", None, "passed", False, "03_vae.gaussian passes the probe"),
        ("referees", "ldm_post", "memorisation", 0.1, "ldm_post copies no training windows"),
    ],
)
def test_a_claim_that_no_longer_holds_is_named(compare, root, tmp_path, capsys, table, model, column, value, statement):
    def other(name, frame):
        frame.loc[frame["model"] == model if model else slice(None), column] = value
        return frame

    run_of(tmp_path, root, changed(compare, other, (table,)))
    assert compare.main([str(tmp_path)]) == 1
    assert f"CHANGED: {statement}" in capsys.readouterr().out
