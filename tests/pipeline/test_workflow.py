"""The quick profile end to end through Snakemake, and what reruns when something changes."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from project import CHAPTERS, Walk, Workflow, edited
from safetensors.torch import load_file

from chaoslib.evaluation import probe, scorecard, tables
from chaoslib.models import generate
from chaoslib.pipeline import stages
from chaoslib.stress import backtest, portfolios

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def workflow(root, tmp_path_factory) -> Workflow:
    made = Workflow(root, tmp_path_factory.mktemp("workflow"))
    made.published.mkdir(parents=True)  # as in a clone that has the committed results, but no runs
    (made.published / "run_metadata.json").write_text("{}")
    result = made.call()
    assert result.returncode == 0, result.stdout + result.stderr
    made.output = result.stdout + result.stderr
    return made


def test_the_gate_is_passed_by_the_vae_that_is_used(workflow):
    verdicts = json.loads((workflow.run_dir / "seed0/04_probe/probe.json").read_text())
    assert [verdicts[f"03_vae.{name}"] for name in ("gaussian", "cond_end", "cond_start", "cond_norm")] == 4 * [[]]
    assert verdicts["03_vae.mse"] != []


def test_every_table_is_there_and_readable(workflow):
    wanted = {"data_summary", "splits", "probe", "probe_by_split", "unconditional", "distances", "timings"}
    wanted |= {"conditional", "conditional_summary", "crps", "sweep", "volatility", "guidance"}
    wanted |= {"scorecard", "yardstick", "referees", "strategies", "discriminator"}
    wanted |= {"backtest", "stress", "reverse_stress", "drift", "episodes", "horizons"}
    assert wanted == set(workflow.tables())
    for name in wanted:
        assert len(pd.read_csv(workflow.published / f"tables/{name}.csv"))


def test_every_table_is_printed_and_stands_in_the_article_with_every_figure(workflow):
    printed = {path.stem: path.read_text() for path in workflow.published.glob("tables/*.tex")}
    assert set(workflow.tables()) | {"verdict", "headline", "losses"} <= set(printed)
    paper = (workflow.published / "paper.tex").read_text()
    for name, latex in printed.items():
        assert latex.count(rf"\label{{tab:{name}}}") == latex.count(r"\toprule") == 1
        assert len(latex) < 20_000
        assert rf"\input{{tables/{name}}}" in paper
    for path in workflow.published.glob("fig*.pdf"):
        assert rf"\label{{fig:{path.stem}}}" in paper


def test_tables_hold_every_model_split_and_seed(workflow):
    table = pd.read_csv(workflow.published / "tables/unconditional.csv")
    models = {"real_train", "iid_bootstrap", "block_bootstrap", "garch_t", "gjr_fhs", "vae_prior", "ldm_post", "ldm_mu"}
    models |= {"timegan"}
    expected = {(m, s) for m in models for s in ("train", "test", "train_stress", "test_stress")}
    expected |= {(m, s) for m in ("vae_stress", "timegan_stress") for s in ("train_stress", "test_stress")}
    assert set(table[["model", "split"]].itertuples(index=False, name=None)) == expected
    assert set(table["seed"]) == {0}
    assert table.drop(columns=["model", "split"]).notna().all(axis=None)


def test_models_of_stress_are_held_against_stress_windows_alone(workflow):
    references = pd.read_csv(workflow.published / "tables/distances.csv").groupby("model")["reference"].agg(set)
    stressed = ["vae_stress", "timegan_stress", "cond_ldm"]
    assert all(references[stressed] == {"train_stress", "test_stress"})
    assert all(references.drop(stressed) == {"train", "test"})


def test_a_stress_model_learned_stress_scaled_like_everything_else(workflow):
    with np.load(workflow.run_dir / "02_windows/windows.npz", allow_pickle=False) as archive:
        stressed = archive["train_windows"][archive["train_vix_end"] >= 20]
        extremes = archive["train_path"].min(), archive["train_path"].max()
    scaler = json.loads((workflow.run_dir / "02_windows/scaler.json").read_text())
    models = {
        node: json.loads((workflow.run_dir / "seed0" / node / "model.json").read_text())
        for node in ("03_vae.stress", "08_timegan.stress")
    }
    for node in models:
        assert json.loads((workflow.run_dir / "seed0" / node / "samples.json").read_text())["stress_vix"] == 20
    assert models["03_vae.stress"]["scaler"] == scaler
    assert (models["08_timegan.stress"]["timegan"]["low"], models["08_timegan.stress"]["timegan"]["high"]) == extremes
    samples = generate.load(workflow.run_dir / "seed0/03_vae.stress").sample(2000, seed=1)
    assert 0.7 < samples.std() / stressed.std() < 1.3


def test_a_model_of_stress_is_no_candidate_for_the_diffusion(workflow):
    verdicts = json.loads((workflow.run_dir / "seed0/04_probe/probe.json").read_text())
    assert "03_vae.stress" not in verdicts
    with pytest.raises(probe.VarianceCollapse, match=r"03_vae\.stress was not probed"):
        probe.require_passed(verdicts, "03_vae.stress")


def test_the_longest_job_is_begun_first(workflow):
    """As soon as windows are cut; on two cores one other job may begin at the same moment."""
    metas = [json.loads(path.read_text()) for path in workflow.run_dir.glob("seed0/*/meta.json")]
    begun = {meta["node"]: pd.Timestamp(meta["finished_utc"]).timestamp() - meta["seconds"] for meta in metas}
    assert sum(moment < begun["08_timegan.full"] for moment in begun.values()) <= 1


def test_a_saved_model_draws_the_windows_of_its_notebook(workflow):
    for node in ("03_vae.stress", "08_timegan.full", "08_timegan.stress"):
        folder = workflow.run_dir / "seed0" / node
        with np.load(folder / "samples.npz", allow_pickle=False) as archive:
            assert np.array_equal(generate.load(folder).sample(1000, seed=0), archive["windows"]), node


def test_conditional_tables_hold_every_model_anchor_and_rival_once(workflow):
    end = {"cond_ldm", "cond_vae_prior", "vix_scaled", "vix_kernel_bootstrap"}
    start = end | {"cond_ldm_normalised", "gjr_fhs"}
    models = {(name, "end") for name in end} | {(name, "start") for name in start}
    table = pd.read_csv(workflow.published / "tables/conditional.csv")
    assert list(table.columns) == tables.CONDITIONAL
    assert set(table[["model", "vix_at"]].itertuples(index=False, name=None)) == models
    assert len(table) == len(models) * 2 * 2 * 3  # targets, modes, splits
    assert not table["extrapolated"].any()
    assert (table.query("mode == 'matched' and split == 'train'")["std_ratio"].between(0.3, 1.7)).all()
    summary = pd.read_csv(workflow.published / "tables/conditional_summary.csv")
    assert summary["seed_sd"].isna().all()  # one seed
    crps = pd.read_csv(workflow.published / "tables/crps.csv")
    assert set(crps["model"]) == start
    assert len(crps) == len(start) * 2 * 4  # splits, outcomes; vix_end forecasts nothing
    assert (crps.query("model == 'vix_scaled'")["crps_gap"] == 0).all()
    assert (crps[["ci_low", "crps"]].diff(axis=1)["crps"] >= 0).all()


def test_the_sweep_marks_every_setting_but_the_calibrated_ones(workflow):
    sweep = pd.read_csv(workflow.published / "tables/sweep.csv")
    assert list(sweep.columns) == tables.SWEEP
    assert len(sweep) == 2 * 2 * 2 * 2
    calibrated = sweep[~sweep["amplified"]]
    assert set(calibrated[["guidance", "temperature", "output_scale"]].itertuples(index=False, name=None)) == {(1, 1, 1)}
    assert len(calibrated) == 2


def test_samples_of_every_target_say_what_they_are(workflow):
    folder = workflow.run_dir / "seed0/07_conditional"
    described = json.loads((folder / "samples.json").read_text())
    with np.load(folder / "samples.npz", allow_pickle=False) as archive:
        shapes = {name: archive[name].shape for name in archive.files}
    assert {each["array"] for each in described} == set(shapes)
    assert set(shapes.values()) == {(500, 50)}
    assert {each["vix"] for each in described} == {15, 30}


def test_every_figure_is_published_as_pdf_and_png(workflow):
    pdf, png = ({path.stem for path in workflow.published.glob(f"*.{suffix}")} for suffix in ("pdf", "png"))
    assert pdf == png
    assert {name[:5] for name in pdf} == {f"fig{number:02d}" for number in range(1, 12)}


def test_progress_names_stage_variant_and_seed(workflow):
    assert "seed0/03_vae.gaussian: epoch" in workflow.output
    assert "s left" in workflow.output
    assert "without encryption" not in workflow.output


def test_metadata_names_every_run(workflow, root):
    metadata = json.loads((workflow.published / "run_metadata.json").read_text())
    assert set(metadata["nodes"]) == {stages.place(node, 0) for node in stages.nodes(root)}
    assert metadata["environment"]["versions"][0]["torch"]
    assert {each["params"]["RUN_DIR"] for each in metadata["nodes"].values()} == {"runs/quick/sp500_logret"}


def test_metadata_counts_weights_and_has_a_page(workflow):
    nodes = json.loads((workflow.published / "run_metadata.json").read_text())["nodes"]
    folder = workflow.run_dir / "seed0/03_vae.gaussian"
    held = sum(tensor.numel() for path in folder.glob("*.safetensors") for tensor in load_file(path).values())
    assert nodes["seed0/03_vae.gaussian"]["weights"] == held
    assert "weights" not in nodes["02_windows"]
    page = (workflow.published / "run_metadata.md").read_text()
    assert all(f"| {name} |" in page for name in nodes)
    assert f"| {held} |" in page


def test_the_scorecard_holds_every_model_once_a_metric_and_reference(workflow):
    card = pd.read_csv(workflow.published / "tables/scorecard.csv")
    assert list(card.columns) == scorecard.COLUMNS
    assert not card.duplicated(["model", "reference", "metric"]).any()
    models = set(pd.read_csv(workflow.published / "tables/distances.csv")["model"])
    stressed = {"vae_stress", "timegan_stress", "cond_ldm"}
    assert set(card["model"]) == models | {"second_half"}
    assert set(card.loc[card["reference"] == "train_stress", "model"]) == stressed
    for reference in ("train", "train_block_60", "test"):
        held = set(card.loc[card["reference"] == reference, "model"])
        assert held == models - stressed - ({"real_train"} if reference != "test" else set())
    sizes = card.groupby(["model", "reference"])["metric"].nunique()
    assert set(sizes) == {len(scorecard.METRICS)}
    assert card[["distance", "floor_median", "floor_p95", "ratio"]].notna().all(axis=None)


def test_stress_tables_hold_every_model_that_may_forecast(workflow):
    """Models told the VIX at the window's end are not among them."""
    stress = pd.read_csv(workflow.published / "tables/stress.csv")
    assert list(stress.columns) == portfolios.COLUMNS
    keys = [stress[name].unique() for name in ("model", "portfolio", "target_vix", "horizon_days")]
    assert [set(values) for values in keys] == [
        {"cond_ldm", "cond_ldm_normalised", "vix_scaled", "gjr_fhs"}, set(portfolios.PORTFOLIOS), {15, 30}, {1, 10, 50},
    ]  # fmt: skip
    assert len(stress) == 4 * 4 * 2 * 3
    for name in portfolios.MEASURES:
        assert (stress[f"{name}_low"] <= stress[name]).all()
        assert (stress[name] <= stress[f"{name}_high"]).all()
    backtests = pd.read_csv(workflow.published / "tables/backtest.csv")
    assert list(backtests.columns) == backtest.COLUMNS
    assert len(backtests) == 5 * 2 * 2
    assert set(backtests["model"]) == set(stress["model"]) | {"hs_500"}
    assert (backtests.query("model == 'gjr_fhs'")["dm_p_vs_fhs"] == 1).all()
    splits = pd.read_csv(workflow.published / "tables/splits.csv").set_index("split")
    assert (backtests["n"] == splits.loc["test", "n_days"] + 1 - backtests["horizon_days"]).all()


def test_a_model_told_the_vix_at_the_end_gives_no_scenarios(workflow):
    command = [sys.executable, "-m", "papermill", "notebooks/11_stress_test.ipynb", "refused.ipynb", "-k", "python3"]
    command += ["-f", "params/paper/11_stress_test.yaml", "-f", "params/quick/11_stress_test.yaml", "--cwd", "."]
    command += ["-r", "RUN_DIR", "runs/quick/sp500_logret", "-r", "SCENARIOS", "06_diffusion.cond_end"]
    result = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert "06_diffusion.cond_end is told the VIX at the window's end, which looks back on the window" in result.stderr


def test_the_report_is_written_from_the_tables(workflow):
    text = (workflow.published / "REPORT.md").read_text()
    card = pd.read_csv(workflow.published / "tables/scorecard.csv").query("reference == 'train' and model == 'ldm_post'")
    assert f"(p_max {card['p_max'].iloc[0]:.3f})" in text
    command = [sys.executable, "workflow/report.py", "figures/quick"]
    table = workflow.published / "tables/referees.csv"
    with edited(table, table.read_text().replace("gjr_fhs,0,", "gjr_fhs,0,9", 1)):
        subprocess.run(command, cwd=workflow.folder, env=workflow.environment, check=True)
        assert (workflow.published / "REPORT.md").read_text() != text
    subprocess.run(command, cwd=workflow.folder, env=workflow.environment, check=True)
    assert (workflow.published / "REPORT.md").read_text() == text


def script(workflow, name: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, f"workflow/{name}.py", str(workflow.run_dir), *arguments]
    environment = workflow.environment | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=workflow.folder, env=environment, capture_output=True, text=True)


def test_every_figure_has_its_data_in_the_run_folder(workflow):
    for path in workflow.run_dir.glob("**/figures/fig*.pdf"):
        data = path.parents[1] / "figdata"
        assert {each.suffix for each in data.glob(f"{path.stem}.*")} == {".csv", ".json", ".npz"}
        sums = (data.parent / "SHA256SUMS").read_text()
        assert f"  figdata/{path.stem}.npz" in sums


def test_figures_are_drawn_again_from_their_data_byte_for_byte(workflow, tmp_path):
    """Nothing is trained or sampled: models and samples may be gone."""
    result = script(workflow, "redraw", str(tmp_path), "--only", "fig0[1-7]*", "fig10_latents", "fig11_*")
    assert result.returncode == 0, result.stderr
    drawn = list(tmp_path.iterdir())
    assert (
        len(drawn)
        == 2 * sum(path.stem[:5] < "fig08" or path.stem[:5] == "fig11" for path in workflow.published.glob("*.pdf")) + 2
    )
    for path in drawn:
        assert path.read_bytes() == (workflow.published / path.name).read_bytes(), path.name


def test_a_figure_is_drawn_for_another_journal(workflow, tmp_path):
    result = script(workflow, "redraw", str(tmp_path), "--only", "fig07_fan", "--width", "3.4", "--format", "svg", "png")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"fig07_fan.svg", "fig07_fan.png"}
    with Image.open(tmp_path / "fig07_fan.png") as picture:
        assert picture.width == 3.4 * 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "fig07_fun"], "no figure fig07_fun; there are fig01_data, "),
        (["--format", "doc"], "no figure format doc: matplotlib writes "),
        (["--width", "340"], "--width is 340: give inches"),
        (["--seed", "5"], "no figure data of seed 5 in"),
    ],
)
def test_what_cannot_be_drawn_is_named(workflow, tmp_path, arguments, message):
    result = script(workflow, "redraw", str(tmp_path), *arguments)
    assert result.returncode == 1
    assert message in result.stderr


@pytest.fixture(scope="module")
def walked(workflow, root, tmp_path_factory) -> Walk:
    """All chapters by hand, in number order, after the quick run; apart from it."""
    project = Workflow(root, tmp_path_factory.mktemp("walk"))
    shutil.copytree(workflow.run_dir, project.run_dir)
    return Walk(project).through(CHAPTERS)


def test_after_a_quick_run_every_chapter_works(walked):
    assert walked.failed == {}
    made = {path.parent.name for path in walked.project.folder.glob("runs/lab/**/SHA256SUMS")}
    assert {name.split(".")[0] for name in made} == set(CHAPTERS)


def test_each_says_what_it_read_and_from_where(walked):
    texts = walked.texts
    lab, quick = (
        {chapter: set(re.findall(rf"^read from {base}: (.*)$", text, flags=re.M)) for chapter, text in texts.items()}
        for base in ("runs/lab", "runs/quick/sp500_logret")
    )
    assert lab["06_diffusion"] == {"seed0/03_vae.gaussian, seed0/05_latents.gaussian"}
    assert quick["06_diffusion"] == set()
    assert lab["07_conditional"] == {"02_windows"}
    (line,) = quick["07_conditional"]
    assert "seed0/06_diffusion.cond_end" in line
    (line,) = lab["09_evaluation"]
    assert {"seed0/06_diffusion.post", "seed0/07_conditional", "seed0/08_timegan.full"} <= set(line.split(", "))
    (line,) = quick["09_evaluation"]
    assert {"seed0/06_diffusion.mu", "seed0/08_timegan.stress"} <= set(line.split(", "))


def test_each_says_what_is_small_and_how_to_have_the_papers_settings(walked):
    for chapter in (
        "03_vae",
        "06_diffusion",
        "07_conditional",
        "08_timegan",
        "09_evaluation",
        "10_scorecard",
        "11_stress_test",
    ):
        assert re.search(r"^short: .*\(paper: .*SHORT = False", walked.texts[chapter], flags=re.M), chapter


def test_a_second_call_runs_nothing(workflow):
    assert workflow.planned() == set()


def test_saving_a_notebook_from_lab_reruns_nothing(workflow):
    path = workflow.folder / "notebooks/03_vae.ipynb"
    content = json.loads(path.read_text())
    content["cells"][1] |= {"execution_count": 1, "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}
    with edited(path, json.dumps(content)):
        assert workflow.planned() == set()


@pytest.mark.parametrize(
    ("node", "change", "reruns"),
    [
        ("06_diffusion.post", {"LR": 1.23e-4}, r"06_diffusion\.post"),
        ("06_diffusion.cond_start", {"LR": 1.23e-4}, r"06_diffusion\.cond_start|07_conditional|11_stress_test"),
        ("07_conditional", {"TARGETS": [15, 35]}, "07_conditional"),  # a new VIX retrains nothing
        ("03_vae.mse", {"LR": 1.23e-4}, r"03_vae\.mse|04_probe|05_.*|06_.*|07_.*|11_.*"),  # the gate
        ("08_timegan.full", {"LR": 1.23e-4}, r"08_timegan\.full"),
    ],
)
def test_one_changed_key_reruns_that_node_and_what_follows(workflow, root, node, change, reruns):
    path = workflow.folder / f"params/quick/{node}.yaml"
    expected = {stages.place(name, 0) for name in stages.nodes(root) if re.fullmatch(reruns, name)}
    with edited(path, yaml.safe_dump(yaml.safe_load(path.read_text()) | change)):
        assert workflow.planned() == expected | {"09_evaluation", "10_scorecard", "publish"}


@pytest.mark.parametrize(
    ("module", "old", "new", "least", "never"),
    [
        ("figures/style", "3.4, 7.0", "3.5, 7.0", set(), {"seed0/03_vae.mse", "09_evaluation"}),
        (
            "models/classical",
            "BURN = 500",
            "BURN = 501",
            {"09_evaluation"},
            {"seed0/07_conditional", "seed0/06_diffusion.post"},
        ),
    ],
)
def test_an_edited_definition_reruns_only_those_who_reach_it(workflow, module, old, new, least, never):
    path = workflow.folder / f"chaoslib/{module}.py"
    text = path.read_text()
    assert old in text
    with edited(path, text.replace(old, new)):
        planned = workflow.planned()
    assert least <= planned
    assert not never & planned


def test_a_wrong_key_stops_the_call_before_anything_runs(workflow):
    path = workflow.folder / "params/quick/06_diffusion.post.yaml"
    before = path.read_text()
    with edited(path, before.replace("EPOCHS", "EPOCH")):
        result = workflow.call()
    assert result.returncode != 0
    assert "params/quick/06_diffusion.post.yaml: unknown key EPOCH" in result.stdout + result.stderr


def test_another_run_of_the_same_seed_gives_the_same_tables(workflow):
    """The stages that draw are removed and made again; `--forcerun publish` is what the Makefile passes."""
    first = workflow.tables()
    for place in ("seed0/03_vae.gaussian", "seed0/06_diffusion.post", "09_evaluation"):
        shutil.rmtree(workflow.run_dir / place)
    result = workflow.call("--forcerun", "publish")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "seed0/06_diffusion.post: epoch" in result.stdout + result.stderr
    second = workflow.tables()
    assert {k: v for k, v in first.items() if k != "timings"} == {k: v for k, v in second.items() if k != "timings"}


def test_what_was_changed_after_its_run_is_not_published(workflow):
    table = workflow.run_dir / "09_evaluation/tables/distances.csv"
    before, published = table.read_bytes(), workflow.tables()
    table.write_bytes(before.replace(b"ldm_post", b"ldm_best"))
    try:
        result = workflow.call("--forcerun", "publish")
    finally:
        table.write_bytes(before)
    assert result.returncode != 0
    assert (
        "distances.csv is missing or was changed: run notebooks/09_evaluation.ipynb again" in result.stdout + result.stderr
    )
    assert workflow.tables() == published
    assert workflow.call("--forcerun", "publish").returncode == 0


@pytest.mark.parametrize(("seeds", "expected"), [("", {0, 1, 2}), ("0", {0}), ("4,1", {1, 4})])
def test_seeds_are_those_asked_for_else_those_of_the_profile(workflow, seeds, expected):
    planned = workflow.planned(profile="paper", seeds=seeds)
    assert {int(place.split("/")[0][4:]) for place in planned if "/" in place} == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dataset": "nasdaq"}, "DATASET=nasdaq: use one of sp500_logret, nasdaq_logret"),
        ({"dataset": "absent.csv"}, "DATASET=absent.csv: no such file"),
        ({"seeds": "a,b"}, "SEEDS=a,b: give different whole numbers"),
        ({"seeds": "-1"}, "SEEDS=-1: give different whole numbers from 0 on"),
        ({"seeds": "1,1"}, "SEEDS=1,1: give different whole numbers"),
        ({"start": "yesterday"}, "make: START is 'yesterday' (str) but must be a text, ISO date"),
        ({"end": "1999-12-31"}, "make: START must be before END"),
        ({"max_move": "1.2.3"}, "make: MAX_MOVE is '1.2.3' (str) but must be float, in (0, 10]"),
        ({"max_move": "0"}, "make: MAX_MOVE is 0.0 (float) but must be float, in (0, 10]"),
        ({"max_move": "much"}, "make: MAX_MOVE is 'much' (str) but must be float, in (0, 10]"),
        ({"dataset": "nasdaq_logret", "target": "walkforward"}, "walkforward forecasts the shipped S&P 500"),
        ({"profile": "fast"}, "unknown profile 'fast': params/ holds paper, quick"),
    ],
)
def test_a_wrong_argument_stops_at_once_and_says_what_is_possible(workflow, config, message):
    result = workflow.call(**config)
    assert result.returncode != 0
    assert message in result.stdout + result.stderr


def by_hand(workflow, *flags: str, cwd: str = ".") -> str:
    """Run one notebook with papermill as a reader would, and return its executed text."""
    command = [sys.executable, "-m", "papermill", *flags, "-k", "python3", "--cwd", cwd]
    result = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return (workflow.folder / "out.ipynb").read_text()


def test_a_stage_by_hand_reads_the_finished_run_and_writes_to_lab(workflow):
    lab = workflow.folder / "runs/lab"
    text = by_hand(workflow, "notebooks/03_vae.ipynb", "out.ipynb", "-p", "TRAIN", "False")
    assert "the finished model in runs/quick/sp500_logret/seed0/03_vae.gaussian is used" in text
    assert not lab.exists()
    params = "params/paper/05_latents.gaussian.yaml"
    text = by_hand(workflow, "notebooks/05_latents.ipynb", "out.ipynb", "-f", params, cwd="notebooks")  # as in JupyterLab
    assert re.search(r"read from runs/quick/sp500_logret: .*seed0/03_vae\.gaussian", text)
    assert (lab / "seed0/05_latents.gaussian/SHA256SUMS").exists()


def test_timegan_is_stepped_through_without_training(workflow):
    text = by_hand(workflow, "notebooks/08_timegan.ipynb", "out.ipynb", "-p", "TRAIN", "False", "-p", "N_SAMPLES", "200")
    assert "the finished model in runs/quick/sp500_logret/seed0/08_timegan.full is used" in text
    assert not (workflow.folder / "runs/lab/seed0/08_timegan.full").exists()


@pytest.mark.parametrize(("guide", "epochs"), [("stress_vae", "40"), ("stress_timegan", "10")])
def test_every_command_of_a_guide_runs(workflow, root, guide, epochs):
    text = (root / f"guides/{guide}.md").read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S)
    assert {language for language, _ in blocks} == {"", "python"}
    for language, block in blocks:
        if language == "python":
            program = block.replace("runs/paper", "runs/quick").replace("5_000", "50")
            command = [sys.executable, "-c", program]
        else:
            (line,) = block.strip().splitlines()
            command = [*shlex.split(line), "-p", "EPOCHS", epochs, "-p", "N_SAMPLES", "200", "--cwd", "."]
            command[:1] = [sys.executable, "-m", "papermill"]
        result = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
        assert result.returncode == 0, block + result.stderr


def test_a_failing_notebook_is_kept_and_independent_work_goes_on(workflow):
    failing = workflow.folder / "params/quick/06_diffusion.mu.yaml"
    other = workflow.folder / "params/quick/06_diffusion.post.yaml"
    diverging = failing.read_text().replace("LR: 1.0e-3", "LR: 1.0e+30")
    shorter = other.read_text().replace("EPOCHS: 40", "EPOCHS: 2")
    with edited(failing, diverging), edited(other, shorter):
        result = workflow.call()
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "FloatingPointError" in text
    assert "lower LR" in text
    log = json.loads((workflow.run_dir / "logs/seed0/06_diffusion.mu.failed.ipynb").read_text())
    assert any(out["output_type"] == "error" for cell in log["cells"] for out in cell.get("outputs", []))
    assert (workflow.run_dir / "seed0/06_diffusion.post/SHA256SUMS").exists()
    assert not (workflow.run_dir / "seed0/06_diffusion.mu/SHA256SUMS").exists()
    assert workflow.planned() >= {"seed0/06_diffusion.mu"}


def test_a_collapsed_vae_stops_the_run_with_the_reason(workflow):
    """When the VAE that the diffusion asks for is one that failed the gate."""
    target = "quick/sp500_logret/seed0/05_latents.gaussian/SHA256SUMS"
    with ExitStack() as edits:
        for node in ("05_latents.gaussian", "06_diffusion.post", "06_diffusion.mu"):
            params = workflow.folder / f"params/paper/{node}.yaml"
            edits.enter_context(edited(params, params.read_text().replace("VAE: 03_vae.gaussian", "VAE: 03_vae.mse")))
        result = workflow.call(target=target)
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "VarianceCollapse: 03_vae.mse failed the probe: " in text
    assert (workflow.run_dir / "seed0/04_probe/figures/fig04_probe.png").exists()


def test_check_runs_the_data_stage_alone_on_a_users_file(workflow, root):
    closes = pd.read_csv(root / "chaoslib/market/snapshot/closes.csv").query("date >= '2010'")
    closes = closes.rename(columns={"sp500": "close"})[["date", "close", "vix"]].reset_index(drop=True)
    name = "a trader's ^GSPC+vix (1).CSV"
    closes.to_csv(workflow.folder / name, index=False)
    good = workflow.call(target="check", dataset=name, start="2011-01-03", max_move="0.25")
    assert good.returncode == 0, good.stdout + good.stderr
    assert f"checked {name}: 3018 trading days from 2011-01-03 to 2022-12-28" in good.stdout + good.stderr
    (folder,) = (workflow.folder / "runs/quick").glob("csv_a_trader_s__GSPC_vix__1_.*.start-2011-01-03.max_move-0_25")
    assert {path.name for path in folder.iterdir()} == {"01_data", "logs", "keys"}
    params = json.loads((folder / "01_data/meta.json").read_text())["params"]
    assert (params["DATASET"], params["START"], params["MAX_MOVE"]) == (name, "2011-01-03", 0.25)
    closes.loc[700, "close"] = -1.0
    closes.to_csv(workflow.folder / name, index=False)
    bad = workflow.call(target="check", dataset=name)
    assert bad.returncode != 0
    assert f"DataError: {name}: line 702 (2012-" in bad.stdout + bad.stderr
    assert "close is -1.0" in bad.stdout + bad.stderr
