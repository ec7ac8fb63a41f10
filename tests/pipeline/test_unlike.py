"""A history unlike the paper's, end to end: short, without stress, before the months that the last chapter knows."""

import json
import re

import pandas as pd
import pytest
import yaml
from project import SMALLER, Workflow

from chaoslib.pipeline import artefacts
from tests import histories

pytestmark = pytest.mark.end_to_end

EXPECTED = {"03_vae.stress", "08_timegan.stress"}


@pytest.fixture(scope="module")
def calm(root, tmp_path_factory) -> Workflow:
    """2000 to 2005 with a VIX that is never at 20, published at settings smaller than the quick ones."""
    made = Workflow(root, tmp_path_factory.mktemp("unlike"))
    for path in sorted((made.folder / "params/quick").glob("*.yaml")):
        values = yaml.safe_load(path.read_text()) | SMALLER.get(path.stem.split(".")[0], {})
        values |= {"EPOCHS": 1} if path.stem.startswith(("03_vae.mse", "08_")) else {}
        values |= {"EPOCHS": 30} if path.stem.startswith("06_") else {}
        path.write_text(yaml.safe_dump(values))
    prices = histories.histories()["calm"]
    prices[prices["date"] < "2006"].to_csv(made.folder / "calm.csv", index=False)
    result = made.call(dataset="calm.csv")
    assert result.returncode == 0, result.stdout + result.stderr
    made.output = result.stdout + result.stderr
    made.run_dir = made.folder / "runs/quick/csv_calm"
    made.published = made.folder / "figures/quick/csv_calm"
    return made


def test_a_history_without_stress_is_published_without_the_models_of_stress(calm):
    left_out = pd.read_csv(calm.published / "tables/left_out.csv")
    assert EXPECTED <= set(left_out["node"]) <= {*EXPECTED, "08_timegan.full"}  # which one epoch may not satisfy
    for node, why in zip(left_out["node"], left_out["why"], strict=True):
        assert f"left out: seed0/{node}, a model beside the others, as its check failed: {why}" in calm.output
        assert f"- `{node}`, seed 0: {why}" in (calm.published / "REPORT.md").read_text()
    assert "0 of 1005 windows end at a VIX of 20 or more, 16 are needed" in " ".join(left_out["why"])
    for name in ("distances", "unconditional", "scorecard", "referees"):
        models = set(pd.read_csv(calm.published / f"tables/{name}.csv")["model"])
        assert {"gjr_fhs", "vae_prior", "ldm_post"} <= models
        assert not models & {"vae_stress", "timegan_stress"}
    assert "train_stress" not in set(pd.read_csv(calm.published / "tables/scorecard.csv")["reference"])


def test_its_own_months_and_levels_stand_in_for_those_out_of_reach(calm):
    assert len(set(pd.read_csv(calm.published / "tables/episodes.csv")["split"])) == 3  # one of each
    for name in ("conditional", "stress"):
        table = pd.read_csv(calm.published / f"tables/{name}.csv")
        assert table["target_vix"].between(9 / 1.25, 20).all()
        assert table["target_vix"].nunique() == 2


def test_a_short_history_is_passed_over_more_often(calm):
    epochs = {
        node: artefacts.Artefact(calm.run_dir / f"seed0/{node}").meta["params"]["EPOCHS"]
        for node in ("03_vae.gaussian", "03_vae.mse", "06_diffusion.post")
    }
    assert epochs == {"03_vae.gaussian": 200, "03_vae.mse": 4, "06_diffusion.post": 120}  # 60, 1 and 30, four times or all


def test_readers_are_told_that_the_text_is_about_another_history(calm):
    for chapter in ("07_conditional", "11_stress_test"):
        (path,) = (calm.run_dir / "logs").rglob(f"{chapter}.ipynb")
        text = "".join(
            str(output.get("text", ""))
            for cell in json.loads(path.read_text())["cells"]
            for output in cell.get("outputs", [])
        )
        assert "this run is of calm.csv; what the text says of years and findings is about the S&P 500" in text
    report = (calm.published / "REPORT.md").read_text()
    assert re.search(r"^calm\.csv, \d+ daily log-returns from 2000-01-03 to 2005-12-30", report, flags=re.M)
    assert str(calm.folder) not in report
