"""Run folders: whole or absent, hashed, and refused when something upstream has changed."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from chaoslib import figures
from chaoslib.pipeline import artefacts, files, runs, settings


@pytest.fixture
def repository(root, tmp_path, monkeypatch):
    """An empty project with the real notebooks, and the working directory inside its notebooks folder, as in JupyterLab."""
    (tmp_path / "pyproject.toml").touch()
    for folder in ("notebooks", "params"):
        (tmp_path / folder).symlink_to(root / folder)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    return tmp_path


def opened(stage: str, run_dir: str = "runs/paper/sp500_logret", **params) -> runs.Run:
    return runs.start(stage, {"RUN_DIR": run_dir, **params, "lower_case": object()})


def saved(stage: str, content: dict, reads: tuple[str, ...] = (), **params) -> runs.Run:
    run = opened(stage, **params)
    for node in reads:
        run.load(node)
    run.save(content)
    return run


def test_every_format_comes_back_as_it_was(repository):
    arrays = {"x": np.arange(6.0).reshape(2, 3), "day": np.array(["2020-01-02"], dtype="datetime64[D]")}
    frame = pd.DataFrame({"date": pd.to_datetime(["2020-01-02"]), "close": [1.5]})
    content = {"a.npz": arrays, "b.json": {"k": [1, "two"]}, "c.csv": frame[["close"]], "d.parquet": frame}
    run = saved("01_data", content | {"sub/e.safetensors": {"w": torch.ones(2)}, "sub/f.tex": "text"})
    artefact = opened("02_windows").load("01_data")
    assert artefact.folder == run.folder
    kept = artefact.arrays("a.npz")
    assert list(kept) == list(arrays)  # an older numpy would keep savez's options beside them
    assert all(np.array_equal(kept[key], value) for key, value in arrays.items())
    assert artefact.json("b.json") == {"k": [1, "two"]}
    assert artefact.table("c.csv")["close"].tolist() == [1.5]
    pd.testing.assert_frame_equal(artefact.table("d.parquet"), frame)


def test_same_content_same_hashes(repository):
    content = {"a.npz": {"x": np.ones(3)}, "c.csv": pd.DataFrame({"v": [0.1]}), "w.safetensors": {"w": torch.ones(2)}}
    sums = [(saved("01_data", content).folder / artefacts.SUMS).read_text() for _ in range(2)]
    assert sums[0] == sums[1]


def test_meta_records_what_was_read_and_made(repository):
    saved("01_data", {"a.json": {}})
    run = saved("02_windows", {"b.json": {}}, reads=("01_data",), SEQ_LEN=50)
    meta = json.loads((run.folder / "meta.json").read_text())
    assert meta["inputs"] == {"01_data": artefacts.Artefact(run.base / "01_data").digest}
    assert meta["outputs"] == {"b.json": files.sha256(run.folder / "b.json")}
    assert meta["params"]["SEQ_LEN"] == 50
    assert {"versions", "device", "seconds", "finished_utc", "git", "threads"} <= meta.keys()


def test_results_are_saved_where_there_is_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    run = saved("01_data", {"a.json": {}})
    artefact = artefacts.Artefact(run.folder)
    artefact.verify()
    assert artefact.meta["git"] == "unknown"


def test_a_run_that_fails_while_writing_leaves_no_complete_folder(repository):
    run = saved("01_data", {"a.json": {"v": 1}})
    with pytest.raises(ValueError, match="Out of range float"):
        run.save({"a.json": {"v": 2}, "b.json": {"v": float("nan")}})
    assert not (run.folder / artefacts.SUMS).exists()
    assert not list(run.folder.glob(".*partial"))
    with pytest.raises(artefacts.MissingArtefact, match=r"Run notebooks/01_data\.ipynb first"):
        opened("02_windows").load("01_data")


def test_a_changed_file_is_refused(repository):
    run = saved("01_data", {"a.json": {"v": 1}})
    (run.folder / "a.json").write_text('{"v": 2}')
    with pytest.raises(
        artefacts.StaleArtefact, match=r"a\.json is missing or was changed: run notebooks/01_data\.ipynb again"
    ):
        opened("02_windows").load("01_data")


def test_an_artefact_made_from_an_older_upstream_is_refused(repository):
    saved("01_data", {"a.json": {"v": 1}})
    saved("02_windows", {"b.json": {}}, reads=("01_data",))
    saved("03_vae", {"c.json": {}}, reads=("02_windows",), VARIANT="gaussian", SEED=0)
    saved("01_data", {"a.json": {"v": 2}})
    with pytest.raises(artefacts.StaleArtefact, match="another version of 01_data"):
        opened("04_probe", SEED=0).load("03_vae.gaussian")


def test_seeds_do_not_mix(repository):
    saved("01_data", {"a.json": {}})
    for seed in (0, 1):
        saved("03_vae", {"c.json": {"seed": seed}}, reads=("01_data",), VARIANT="mse", SEED=seed)
    run = opened("04_probe", SEED=1)
    assert run.load("03_vae.mse").json("c.json") == {"seed": 1}
    assert run.load("03_vae.mse", seed=0).json("c.json") == {"seed": 0}
    assert {"seed0/03_vae.mse", "seed1/03_vae.mse"} == run.inputs.keys()


def test_the_workflow_never_falls_back(repository):
    opened("01_data", "runs/paper/sp500_logret").save({"a.json": {}})
    with pytest.raises(artefacts.MissingArtefact):
        opened("02_windows", "runs/paper/nasdaq_logret").load("01_data")


def test_without_training_the_finished_model_is_used_and_nothing_written(repository, caplog):
    opened("03_vae", VARIANT="mse", SEED=0).save({"c.json": {"v": 1}})
    run = opened("03_vae", "runs/lab", VARIANT="mse", SEED=0, TRAIN=False)
    assert run.finished().json("c.json") == {"v": 1}
    run.save({"c.json": {"v": 2}})
    figures.save(Figure(), run.figure("fig03"))
    assert not run.folder.exists()
    assert "nothing is written" in caplog.text


def test_wrong_parameters_stop_before_anything_runs(repository):
    with pytest.raises(settings.ParamsError, match=r"03_vae\.ipynb: unknown key EPOCH"):
        opened("03_vae", EPOCH=3)
    with pytest.raises(settings.ParamsError, match=r"03_vae\.ipynb: LR is '1e-4'"):
        opened("03_vae", LR="1e-4")


def test_outside_a_repository_the_error_says_where_to_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="work inside the repository"):
        runs.project_root()


def test_figures_are_saved_twice_alike_without_a_date(repository):
    run = opened("01_data")
    contents = []
    for _ in range(2):
        figure = Figure()
        figure.subplots().plot([1, 2, 3])
        figures.save(figure, run.figure("fig01_test"))
        run.save({})
        contents.append((run.folder / "figures/fig01_test.pdf").read_bytes())
    assert contents[0] == contents[1]
    assert b"CreationDate" not in contents[0]
    assert (run.folder / "figures/fig01_test.png").exists()


def test_an_attempt_that_fails_leaves_figures_and_results_as_they_were(repository):
    """Figures appear together with the results."""

    def draw(*values: int) -> runs.Run:
        run, figure = opened("01_data"), Figure()
        figure.subplots().plot(values)
        figures.save(figure, run.figure("fig01_test"))
        return run

    run = draw(1, 2, 3)
    run.save({"a.json": {}})
    before = {path: path.read_bytes() for path in run.folder.glob("**/*") if path.is_file()}
    assert {path.name for path in before} >= {"fig01_test.pdf", "fig01_test.csv", "a.json"}
    draw(3, 2, 1)  # and no save
    found = {path: path.read_bytes() for path in run.folder.glob("[!.]*/*") if path.is_file()}
    assert found == {path: content for path, content in before.items() if path in found}
    opened("02_windows").load("01_data").verify()
    draw(1, 2, 3).save({"a.json": {}})
    assert {path: path.read_bytes() for path in before if path.suffix in (".pdf", ".csv")}.items() <= before.items()
    assert not (run.folder / runs.DRAWING).exists()


def test_an_unknown_format_is_refused(repository):
    with pytest.raises(ValueError, match=r"no way to write '\.pkl'"):
        opened("01_data").save({"a.pkl": {}})


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.json"
    files.write(path, {"rows": 1})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write(path, {"rows": float("nan")})
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["table.json"]


# Side models that a history cannot give


@pytest.fixture
def without_stress(repository) -> runs.Run:
    """A run in which 03_vae.stress was left out, and 03_vae.mse was made."""
    saved("03_vae", {"a.json": {}}, VARIANT="mse", SEED=0)
    return saved("03_vae", {artefacts.LEFT_OUT: {"why": "few windows"}}, VARIANT="stress", SEED=0)


def test_what_was_left_out_is_not_among_the_nodes_of_a_pattern_and_the_reason_is_said_once(
    without_stress, monkeypatch, caplog
):
    monkeypatch.setattr(runs.stages, "expand", lambda root, value: ["03_vae.mse", "03_vae.stress"])
    run = opened("04_probe", SEED=0)
    with caplog.at_level("INFO", "chaoslib"):
        assert run.nodes("03_vae.*") == ["03_vae.mse"]
        assert run.nodes("samplers") == ["03_vae.mse"]
    assert [record.getMessage() for record in caplog.records] == ["left out: 03_vae.stress, few windows"]


def test_what_was_left_out_is_no_model_to_load_or_to_read(without_stress):
    with pytest.raises(artefacts.LeftOut, match=r"03_vae\.stress was left out, as it could not be made: few windows"):
        opened("04_probe", SEED=0).load("03_vae.stress")
    with pytest.raises(artefacts.LeftOut, match=r"08_timegan\.stress reads 03_vae\.stress, which was left out: few windows"):
        opened("08_timegan", VARIANT="stress", VAE="03_vae.stress", SEED=0, SHORT=False)
