"""Stepping by hand: settings, and what is read from where, on run folders made of one small file a node."""

import json
import shlex
import shutil

import pytest
import yaml

from chaoslib.pipeline import artefacts, fitting, hand, runs, settings, stages

LAB, QUICK, PAPER = "runs/lab", "runs/quick/sp500_logret", "runs/paper/sp500_logret"
CHAIN = ("01_data", "02_windows", "03_vae.gaussian", "04_probe", "05_latents.gaussian", "06_diffusion.post")


@pytest.fixture
def repository(root, tmp_path, monkeypatch):
    """An empty project with the real notebooks and params."""
    (tmp_path / "pyproject.toml").touch()
    for folder in ("notebooks", "params"):
        (tmp_path / folder).symlink_to(root / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def params_of(root, node: str) -> dict:
    return stages.merged_params(root, node, "paper")


def opened(root, node: str, base: str = LAB, **changes) -> runs.Run:
    """The run of a node with its published params; the lab's are settled and surveyed, as in JupyterLab."""
    params = params_of(root, node)
    switches = {"SEEDS": [0], "SHORT": base not in (PAPER, QUICK)}
    params |= {key: value for key, value in switches.items() if key in params}
    return runs.start(stages.stage_of(node), params | {"RUN_DIR": base} | changes)


def made(root, node: str, base: str = LAB, content: object = None, **changes) -> runs.Run:
    """A node that read what its params name, and wrote one file of some content."""
    run = opened(root, node, base, **changes)
    for other in stages.upstream(root, run.params):
        if run.has(stages.place(other, run.seed)):
            run.load(other)
    shown = None if node in stages.DATA and content != "another history" else content
    run.save({"a.json": {"node": node, "content": shown}})
    return run


def finished(root, base: str, content: object = None) -> None:
    """Everything, as the workflow leaves it; data are the same in all runs."""
    for node in stages.nodes(root):
        made(root, node, base, content)


def taken(run: runs.Run) -> dict[str, str]:
    """place -> run folder it is read from."""
    return {place: str(run.resolve(stages.node_of(place), 0).relative_to(run.root))[: -len(place) - 1] for place in run.read}


def test_after_a_quick_run_every_chapter_opens_in_number_order(repository):
    finished(repository, QUICK, "quick")
    for node in CHAIN:
        made(repository, node, content="mine")
    for node in ("07_conditional", "08_timegan.full", "09_evaluation", "10_scorecard", "11_stress_test"):
        made(repository, node, content="mine")


def test_what_was_run_by_hand_is_used_and_the_rest_comes_from_the_finished_run(repository, caplog):
    finished(repository, QUICK, "quick")
    for node in CHAIN:
        made(repository, node, content="mine")
    caplog.clear()
    read = taken(opened(repository, "09_evaluation"))
    mine = {place for place, base in read.items() if base == LAB}
    assert mine == {"01_data", "02_windows", "seed0/03_vae.gaussian", "seed0/04_probe", "seed0/06_diffusion.post"}
    assert {base for place, base in read.items() if place not in mine} == {QUICK}
    lines = [record.message for record in caplog.records if record.message.startswith("read from")]
    assert [line.split(":")[0] for line in lines] == [f"read from {base}" for base in (LAB, QUICK)]
    assert all(any(place in line for line in lines) for place in read)


def test_the_rest_comes_from_one_run_never_from_two(repository):
    """The paper run is under way: it lacks what 05 needs last, so all of it comes from the quick run."""
    finished(repository, QUICK, "quick")
    for node in ("01_data", "02_windows", *(node for node in stages.nodes(repository) if node.startswith("03_"))):
        made(repository, node, PAPER, "paper")
    assert set(taken(opened(repository, "05_latents.gaussian")).values()) == {QUICK}
    assert set(taken(opened(repository, "04_probe")).values()) == {PAPER}


def test_a_finished_paper_run_goes_before_a_quick_one(repository):
    finished(repository, QUICK, "quick")
    finished(repository, PAPER, "paper")
    assert set(taken(opened(repository, "07_conditional")).values()) == {PAPER}


def test_a_decoder_and_latents_of_another_stop_with_the_commands_that_mend_it(repository):
    finished(repository, QUICK, "quick")
    made(repository, "03_vae.gaussian", content="mine")
    with pytest.raises(artefacts.StaleArtefact) as refused:
        opened(repository, "06_diffusion.post")
    text = str(refused.value)
    assert (
        "seed0/05_latents.gaussian was made from another seed0/03_vae.gaussian than the one that is read beside it" in text
    )
    assert "`rm -r runs/lab`" in text
    commands = [line.split()[1:] for line in text.splitlines() if line.startswith("  papermill")]
    assert [line[0] for line in commands] == ["notebooks/04_probe.ipynb", "notebooks/05_latents.ipynb"]
    assert commands[1][-3:] == ["-p", "VARIANT", "gaussian"]
    made(repository, "04_probe", content="mine")
    made(repository, "05_latents.gaussian", content="mine")
    assert set(taken(opened(repository, "06_diffusion.post")).values()) == {LAB}


def test_a_gate_that_saw_another_model_is_refused(repository):
    finished(repository, QUICK, "quick")
    made(repository, "03_vae.gaussian", content="mine")
    with pytest.raises(artefacts.StaleArtefact, match=r"04_probe was made from another seed0/03_vae\.gaussian"):
        opened(repository, "05_latents.gaussian")


def test_other_data_by_hand_do_not_mix_with_finished_models(repository):
    finished(repository, QUICK, "quick")
    made(repository, "01_data", content="another history")
    made(repository, "02_windows", content="another history")
    message = r"was made from another 0[12]_.* \(and 2 more do not fit\)"
    with pytest.raises(artefacts.StaleArtefact, match=message) as refused:
        opened(repository, "11_stress_test")
    for name in ("end", "start", "norm"):
        assert f"papermill notebooks/06_diffusion.ipynb out.ipynb -k python3 -p VARIANT cond_{name}" in str(refused.value)
    with pytest.raises(artefacts.StaleArtefact, match=r"was made from another 0[12]_"):
        opened(repository, "09_evaluation")


def test_what_was_made_from_something_that_is_gone_is_refused(repository):
    for node in CHAIN[:3]:
        made(repository, node, content="first")
    made(repository, "03_vae.gaussian", content="first")
    made(repository, "04_probe", content="first")
    made(repository, "03_vae.gaussian", content="second")
    message = r"04_probe was made from another version of seed0/03_vae\.gaussian\. Run again what lies between"
    with pytest.raises(artefacts.StaleArtefact, match=message):
        opened(repository, "05_latents.gaussian")


def test_after_training_again_every_chapter_in_between_is_named(repository):
    for content in ("first", "second"):
        for node in CHAIN if content == "first" else CHAIN[:3]:
            made(repository, node, content=content)
    with pytest.raises(artefacts.StaleArtefact) as refused:
        opened(repository, "06_diffusion.post")
    lines = [line.split()[1] for line in str(refused.value).splitlines() if line.startswith("  papermill")]
    assert lines == ["notebooks/04_probe.ipynb", "notebooks/05_latents.ipynb"]
    for node in CHAIN[3:]:
        made(repository, node, content="second")


def test_the_main_chain_runs_with_nothing_run_before(repository, caplog):
    for node in CHAIN:
        made(repository, node)
    assert "left out, not run: 03_vae.cond_end, 03_vae.cond_norm" in caplog.text


def test_what_is_missing_is_named_whole_with_what_it_needs_in_turn(repository):
    for node in CHAIN:
        made(repository, node)
    with pytest.raises(artefacts.MissingArtefact) as refused:
        opened(repository, "11_stress_test")
    text = str(refused.value)
    assert "`make quick`" in text
    lines = [line.removeprefix("  papermill notebooks/") for line in text.splitlines() if line.startswith("  papermill")]
    vae, latents, diffusion = (
        [f"{stage}.ipynb out.ipynb -k python3 -p VARIANT cond_{name}" for name in ("end", "norm", "start")]
        for stage in ("03_vae", "05_latents", "06_diffusion")
    )
    probe = ["04_probe.ipynb out.ipynb -k python3"]  # it was run, but has not seen these
    assert lines == [*vae, *probe, *latents, *diffusion]
    for line in lines:
        stage, *_, variant = line.replace(".ipynb out.ipynb -k python3", "").split() if "VARIANT" in line else [line[:8], ""]
        made(repository, f"{stage}.{variant}" if variant else stage)
    opened(repository, "11_stress_test")


def test_commands_of_a_run_at_the_papers_settings_are_so_too(repository):
    with pytest.raises(artefacts.MissingArtefact) as refused:
        opened(repository, "06_diffusion.post", SHORT=False)
    assert "`make reproduce`" in str(refused.value)
    lines = {line.split("/")[1][:2]: line for line in str(refused.value).splitlines() if line.startswith("  papermill")}
    assert lines["03"].endswith("-p VARIANT gaussian -p SHORT False")
    assert lines["05"].endswith("-p VARIANT gaussian")  # has no such switch


def test_a_gatherer_does_not_read_what_was_trained_again_since(repository):
    finished(repository, QUICK, "quick")
    made(repository, "04_probe", content="mine")
    made(repository, "03_vae.gaussian", content="again")
    with pytest.raises(artefacts.StaleArtefact, match="04_probe was made from another version of seed0/03_vae"):
        opened(repository, "09_evaluation")
    for node in ("04_probe", "09_evaluation"):
        made(repository, node, content="mine")
    made(repository, "03_vae.gaussian", content="once more")
    with pytest.raises(artefacts.StaleArtefact, match="09_evaluation was made from another version of seed0/0"):
        opened(repository, "10_scorecard")


def test_a_seed_that_was_not_trained_is_named(repository):
    finished(repository, QUICK)
    with pytest.raises(artefacts.MissingArtefact, match=r"`make quick SEEDS=0,3`"):
        opened(repository, "04_probe", SEED=3)


def test_by_hand_settings_are_small_until_the_switch_is_turned(repository, caplog):
    values = params_of(repository, "03_vae.gaussian") | {"RUN_DIR": LAB, "SHORT": True}
    made(repository, "01_data")
    made(repository, "02_windows")
    runs.start("03_vae", values)
    small = yaml.safe_load((repository / "params/quick/03_vae.gaussian.yaml").read_text())
    assert {key: values[key] for key in small} == small
    assert "EPOCHS 60 (paper: 200)" in caplog.text
    assert "SHORT = False in the cell above" in caplog.text
    values = params_of(repository, "03_vae.gaussian") | {"RUN_DIR": LAB, "SHORT": False}
    before = dict(values)
    runs.start("03_vae", values)
    assert values == before


def settled(root, stage: str, values: dict) -> dict:
    of_variant, small = hand.settle(root, stage, values)
    return of_variant | small


def cell_of(root, stage: str) -> dict:
    """What the parameters cell holds before a reader changes it."""
    return {key: parameter.default for key, parameter in settings.parameter_cell(root / f"notebooks/{stage}.ipynb").items()}


def test_a_value_that_the_reader_changed_stays(repository):
    values = params_of(repository, "03_vae.gaussian") | {"SHORT": True, "EPOCHS": 7}
    assert "EPOCHS" not in settled(repository, "03_vae", values)
    assert settled(repository, "03_vae", values)["N_SAMPLES"] == 1000


def test_a_value_beside_a_whole_params_file_stays(repository):
    """Also when it is that of another variant."""
    values = params_of(repository, "03_vae.mse") | {"VARMATCH_WEIGHT": 5.0}
    assert settled(repository, "03_vae", values) == {}


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("node", ["03_vae.stress", "03_vae.mse", "05_latents.cond_norm", "06_diffusion.cond_end"])
def test_naming_a_variant_is_enough(repository, root, node, short, saved):
    """The parameters cell is of the first variant; the rest of it follows the name, also when the notebook was saved."""
    stage, _, variant = node.partition(".")
    values = cell_of(repository, stage) | {"VARIANT": variant, "SHORT": short}
    if saved:
        (repository / "notebooks").unlink()
        shutil.copytree(root / "notebooks", repository / "notebooks", ignore=shutil.ignore_patterns("executed"))
        path = repository / f"notebooks/{stage}.ipynb"
        own = cell_of(repository, stage)["VARIANT"]
        path.write_text(path.read_text().replace(f'VARIANT: str = \\"{own}\\"', f'VARIANT: str = \\"{variant}\\"'))
        assert cell_of(repository, stage)["VARIANT"] == variant
    expected = stages.merged_params(repository, node, "quick" if short else "paper") | {"SHORT": short}
    found = values | settled(repository, stage, values)
    assert {key: found[key] for key in expected} == expected


def test_every_variant_follows_its_name(repository):
    for node in stages.nodes(repository):
        stage, _, variant = node.partition(".")
        if variant:
            values = cell_of(repository, stage) | {"VARIANT": variant, "SHORT": False}
            expected = params_of(repository, node)
            found = values | settled(repository, stage, values)
            assert {key: found[key] for key in expected} == expected, node


def test_what_the_variant_sets_and_what_is_small_are_told_apart(repository, caplog):
    finished(repository, QUICK)
    values = cell_of(repository, "03_vae") | {"VARIANT": "mse", "SHORT": True}
    runs.start("03_vae", values)
    (variant,) = (record.message for record in caplog.records if record.message.startswith("variant"))
    (short,) = (record.message for record in caplog.records if record.message.startswith("short"))
    assert variant.startswith("variant mse: MODEL , DECODER mse")
    assert "DECODER" not in short
    assert "EPOCHS 60 (paper: 200)" in short


def test_a_variant_of_ones_own_keeps_what_it_says(repository, caplog):
    finished(repository, QUICK)
    values = params_of(repository, "03_vae.gaussian") | {"VARIANT": "mine", "HIDDEN": 64, "SHORT": True, "RUN_DIR": LAB}
    assert settled(repository, "03_vae", values) == yaml.safe_load(
        (repository / "params/quick/03_vae.gaussian.yaml").read_text()
    )
    runs.start("03_vae", values)
    assert "no params file is named 03_vae.mine, only 03_vae.cond_end, " in caplog.text
    with pytest.raises(artefacts.MissingArtefact, match=r"seed0/03_vae\.mine"):
        runs.start("03_vae", values | {"TRAIN": False})


def test_what_was_made_from_a_quick_run_keeps_to_it(repository):
    """Also when a paper run appears later: the rest comes from the run that the lab came from."""
    finished(repository, QUICK, "quick")
    made(repository, "07_conditional", content="mine")
    finished(repository, PAPER, "paper")
    read = taken(opened(repository, "09_evaluation"))
    assert read.pop("seed0/07_conditional") == LAB
    assert set(read.values()) == {QUICK}
    assert set(taken(opened(repository, "11_stress_test")).values()) == {PAPER}


def test_a_finished_run_that_is_not_one_run_is_named(repository):
    finished(repository, QUICK, "quick")
    made(repository, "03_vae.gaussian", QUICK, "another")
    with pytest.raises(artefacts.StaleArtefact, match=r"runs/quick/sp500_logret is not one run: .* Call `make` again"):
        opened(repository, "05_latents.gaussian")


def test_a_lab_elsewhere_is_named_whole_and_its_commands_write_there(repository, tmp_path_factory):
    lab = str(tmp_path_factory.mktemp("else where") / "runs/lab")
    for content in ("first", "second"):
        for node in CHAIN if content == "first" else CHAIN[:3]:
            made(repository, node, lab, content)
    with pytest.raises(artefacts.StaleArtefact) as refused:
        opened(repository, "06_diffusion.post", lab)
    assert "rm -r" not in str(refused.value)  # nothing is finished: all would be lost
    lines = [shlex.split(line) for line in str(refused.value).splitlines() if line.startswith("  papermill")]
    assert all(line[-3:] == ["-r", "RUN_DIR", lab] for line in lines)


def test_what_was_removed_is_among_what_to_run(repository):
    for node in CHAIN:
        made(repository, node)
    shutil.rmtree(repository / LAB / "02_windows")
    with pytest.raises(artefacts.StaleArtefact) as refused:
        opened(repository, "06_diffusion.post")
    lines = [line.split()[1][10:12] for line in str(refused.value).splitlines() if line.startswith("  papermill")]
    assert lines == ["02", "03", "04", "05"]


def test_the_workflow_settles_nothing(repository):
    values = params_of(repository, "01_data") | {"RUN_DIR": PAPER}
    runs.start("01_data", values)
    values = cell_of(repository, "03_vae") | {"RUN_DIR": PAPER, "VARIANT": "mse", "SHORT": False}
    before = json.dumps(values)
    runs.start("03_vae", values)
    assert json.dumps(values) == before


def test_a_short_run_is_short_in_any_folder(repository):
    values = cell_of(repository, "03_vae") | {"RUN_DIR": "runs/mine", "VARIANT": "mse"}
    runs.start("03_vae", values)
    assert (values["DECODER"], values["EPOCHS"]) == ("mse", 60)


# Short histories


def history_of(repository, windows: int) -> None:
    made(repository, "02_windows", "runs/quick/sp500_logret")
    table = repository / "runs/quick/sp500_logret/02_windows/splits.csv"
    table.write_text(f"split,n_windows\ntrain,{windows}\nval,9\n")


@pytest.mark.parametrize(
    ("windows", "epochs", "warmup"),
    [(3999, 60, 15), (9000, 60, 15), (3500, 68, 17), (2000, 120, 30), (1000, 200, 50), (60, 200, 50)],
)
def test_small_settings_pass_more_often_over_a_short_history_and_never_more_than_the_papers(
    repository, windows, epochs, warmup
):
    history_of(repository, windows)
    params = params_of(repository, "03_vae.mse") | {"EPOCHS": 60, "WARMUP_EPOCHS": 15}
    assert fitting.training_windows([repository / "elsewhere", repository / "runs/quick/sp500_logret"]) == windows
    more = fitting.more_passes(repository, "03_vae.mse", params, windows)
    assert {"EPOCHS": 60, "WARMUP_EPOCHS": 15} | more == {"EPOCHS": epochs, "WARMUP_EPOCHS": warmup}
    assert fitting.more_passes(repository, "03_vae.mse", params | {"EPOCHS": 61}, windows) == {}  # the reader's own
    assert fitting.more_passes(repository, "03_vae.mse", params | {"EPOCHS": 200}, windows) == {}  # the paper's
    assert fitting.more_passes(repository, "03_vae.mine", params, windows) == {}
    assert fitting.more_passes(repository, "03_vae.mse", params, None) == {}


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_trained(repository):
    history_of(repository, 1000)
    for node in ("03_vae.mse", "06_diffusion.post", "08_timegan.full"):
        params = params_of(repository, node) | {"RUN_DIR": "runs/quick/sp500_logret", "SEED": 0, "TRAIN": True}
        with pytest.raises(settings.ParamsError, match=f"{node}: BATCH_SIZE 1001 is more than the 1000 training windows"):
            runs.start(stages.stage_of(node), params | {"BATCH_SIZE": 1001})


def test_a_short_run_on_a_short_history_says_and_records_its_epochs(repository, caplog):
    history_of(repository, 1000)
    params = params_of(repository, "03_vae.mse") | {"EPOCHS": 60, "WARMUP_EPOCHS": 15, "RUN_DIR": "runs/quick/sp500_logret"}
    namespace = params | {"SEED": 0, "TRAIN": True}
    with caplog.at_level("INFO", "chaoslib"):
        run = runs.start("03_vae", namespace)
    assert "a short history: EPOCHS 200, WARMUP_EPOCHS 50" in caplog.text
    assert (run.params["EPOCHS"], namespace["EPOCHS"]) == (200, 200)


# Other windows


@pytest.mark.parametrize(
    ("days", "fitted"),
    [
        (50, {}),
        (100, {}),
        (49, {"HORIZONS": [1, 10, 49]}),
        (10, {"HORIZONS": [1, 10]}),
        (5, {"HORIZONS": [1, 5], "FORECASTS": [1, 5]}),
    ],
)
def test_horizons_end_with_the_window(repository, days, fitted):
    (folder := repository / QUICK / "02_windows").mkdir(parents=True)
    (folder / "scaler.json").write_text(json.dumps({"seq_len": days}))
    params = params_of(repository, "11_stress_test")
    assert (params["HORIZONS"], params["FORECASTS"]) == ([1, 10, 50], [1, 10])
    assert fitting.within_windows(params, [repository / "elsewhere", repository / QUICK]) == fitted
    assert fitting.within_windows(params, [repository / "elsewhere"]) == {}
    assert fitting.within_windows({"EPOCHS": 3}, [repository / QUICK]) == {}


# Other histories


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"DATASET": "nasdaq_logret"}, "this run is of nasdaq_logret; what the text says"),
        ({"DATASET": "/home/me/nikkei.csv"}, "this run is of nikkei.csv; what the text says"),
        ({"SOURCE": "yahoo"}, "this run is of sp500_logret; what the text says"),
        ({"START": "1990-01-02"}, "this run is of sp500_logret from 1990-01-02 to its end; what the text says"),
        ({"END": "2017-12-29"}, "this run is of sp500_logret from 2000-01-03 to 2017-12-29; what the text says"),
    ],
)
def test_a_reader_of_another_history_is_told_what_the_text_is_about(repository, changed, said):
    base = repository / "runs/quick/x"
    made(repository, "01_data", "runs/quick/x", **changed)
    text = fitting.another_history(repository, params_of(repository, "02_windows"), [repository / "none", base])
    assert text.startswith(said)
    assert bool(text) == bool(said)
    own = params_of(repository, "01_data") | changed
    assert fitting.another_history(repository, own, []) == text  # chapter 01 itself
