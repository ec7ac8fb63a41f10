"""What a parameter may be: read from the first cell of its notebook, and held against every value that is given."""

import math
import re

import parameters as script
import pytest
import yaml
from project import Workflow

from chaoslib.pipeline import runs, settings, stages
from chaoslib.pipeline.settings import Parameter, ParamsError

FREE = {"CALENDAR", "DATASET", "RUN_DIR"}  # paths and names that the data stage itself holds against what is there


VALUES = {"EPOCHS": 200, "LR": 1e-3, "VARIANT": "a", "TRAIN": True, "LEVELS": [1]}
CELL = {key: Parameter(type(value), value) for key, value in VALUES.items()}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"EPOCH": 5}, "p.yaml: unknown key EPOCH"),
        ({"LR": "1e-4"}, "LR is '1e-4' .str. but must be float; .* write a dot and a sign: 1.0e-4"),
        ({"EPOCHS": "many"}, "must be int"),
        ({"EPOCHS": 2.5}, "EPOCHS is 2.5 .float. but must be int"),
        ({"EPOCHS": True}, "bool. but must be int"),
        ({"VARIANT": False}, "bool. but must be a text"),
        ({"TRAIN": 1}, "must be bool"),
        ({"LEVELS": ["a"]}, "must be a list of numbers"),
        ({"LEVELS": 3}, "must be a list of numbers"),
    ],
)
def test_a_wrong_key_or_type_is_named(values, message):
    with pytest.raises(ParamsError, match=message):
        settings.check(values, CELL, source="p.yaml")


def test_every_fault_of_a_file_is_in_one_message():
    with pytest.raises(ParamsError) as caught:
        settings.check({"EPOCH": 5, "EPOCHS": "many", "LR": 0.1, "TRAIN": 1}, CELL, source="p.yaml")
    assert [line.split(" but ")[0].split(";")[0] for line in str(caught.value).splitlines()] == [
        "p.yaml: unknown key EPOCH",
        "p.yaml: EPOCHS is 'many' (str)",
        "p.yaml: TRAIN is 1 (int)",
    ]


def test_the_faults_of_all_files_are_in_one_message(copy):
    for name, key in (
        ("paper/03_vae.mse", "LATENT_DIM"),
        ("paper/06_diffusion.post", "STEPS"),
        ("quick/11_stress_test", "GRID"),
    ):
        path = copy / f"params/{name}.yaml"
        path.write_text(re.sub(rf"^{key}:.*$", f"{key}: 0", path.read_text(), flags=re.M))
    with pytest.raises(ParamsError) as caught:
        stages.planned(copy, "quick")
    files = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert files == [
        f"params/{name}.yaml" for name in ("paper/03_vae.mse", "paper/06_diffusion.post", "quick/11_stress_test")
    ]


def test_the_walk_forward_is_held_against_the_rules_of_the_notebooks(copy):
    path = copy / "params/walkforward.yaml"
    good = yaml.safe_load(path.read_text())
    assert stages.walk_params(copy) == good
    for key in good:
        for wrong in (None, {"a": 1}, -1):
            path.write_text(yaml.safe_dump(good | {key: wrong}))
            with pytest.raises(ParamsError, match=rf"params/walkforward\.yaml: {key} is"):
                stages.walk_params(copy)
        path.write_text(yaml.safe_dump({other: value for other, value in good.items() if other != key}))
        with pytest.raises(ParamsError, match=f"lacks {key}"):
            stages.walk_params(copy)
    path.write_text(yaml.safe_dump(good | {"EPOCHS": 3}))
    with pytest.raises(ParamsError, match="unknown key EPOCHS"):
        stages.walk_params(copy)


def test_right_values_and_whole_floats_are_accepted():
    settings.check({"EPOCHS": 1, "LR": 1, "VARIANT": "", "TRAIN": False, "LEVELS": [1, 2.5]}, CELL, source="p.yaml")


def test_yaml_really_reads_the_pitfalls_this_way():
    assert yaml.safe_load("a: 1e-4") == {"a": "1e-4"}
    assert yaml.safe_load("a: 1.0e-4") == {"a": 1.0e-4}


def parameters(root) -> dict[tuple[str, str], Parameter]:
    cells = {path.name: settings.parameter_cell(path) for path in sorted((root / "notebooks").glob("[0-9]*.ipynb"))}
    return {(name, key): parameter for name, cell in cells.items() for key, parameter in cell.items()}


def ends(allowed: str) -> tuple[float, float]:
    return tuple(float(end) for end in re.search(r"in [\[(](.+), (.+)[\])]", allowed).groups())


def wrong_values(key: str, parameter: Parameter) -> list:
    """Values of the wrong kind, and just outside of what is allowed."""
    wrong = [None, {"a": 1}, "" if parameter.type is not str else 5, [] if parameter.type is not str else ["a"]]
    if parameter.type is bool:
        return [*wrong, 1, "yes"]
    if parameter.type is str:
        other = {"ISO date": ["2000-1-3", "03.01.2000", "2000-02-30"], "a name": ["a b", "A", "a/b", "ä"]}
        kinds = [text for kind, texts in other.items() if parameter.allowed.startswith(kind) for text in texts]
        kinds += ["euler"] if "{" in parameter.allowed else []
        kinds += ["vae", "../x", "01_data.x y"] if "upstream" in parameter.allowed else []
        kinds += [] if "or empty" in parameter.allowed or key in FREE else [""]
        return [None, {"a": 1}, 5, ["a"], True, *kinds]
    low, high = ends(parameter.allowed)
    outside = [low - 1, -math.inf, math.nan, math.inf, *([high + 1] if math.isfinite(high) else [])]
    outside += [low] if re.search(r"in \(", parameter.allowed) else []
    outside += [high] if parameter.allowed.endswith(")") and math.isfinite(high) else []
    if parameter.type is list:
        good = parameter.default[0]
        whole = [[good, 0.5]] if "whole" in parameter.allowed else []
        return [*wrong, good, [good, good], [True], ["a"], *([value] for value in outside), *whole]
    numbers = [int(value) if parameter.type is int and math.isfinite(value) else value for value in outside]
    return [*wrong, True, "1e-3", *numbers, *([low + 1.5] if parameter.type is int else [])]


def test_every_number_and_choice_has_a_rule_and_its_default_keeps_it(root):
    for (name, key), parameter in parameters(root).items():
        assert parameter.admits(parameter.default), (name, key)
        assert parameter.allowed or parameter.type is bool or key in FREE, (name, key)
        if parameter.type not in (bool, str):
            low, high = ends(parameter.allowed)
            assert low < high, (name, key)


def test_every_wrong_kind_of_every_key_is_refused_with_file_and_key(root):
    count = 0
    for (_, key), parameter in parameters(root).items():
        for value in wrong_values(key, parameter):
            with pytest.raises(ParamsError, match=rf"p\.yaml: {key} is .* but must be"):
                settings.check({key: value}, {key: parameter}, source="p.yaml")
            count += 1
    assert count > 1000


@pytest.mark.parametrize(
    ("allowed", "good", "bad"),
    [
        ("in [0, 1)", [0, 0.5], [-0.1, 1, math.nan]),
        ("in (0, inf)", [1e-9, 1e9], [0, math.inf]),
        ("each in [5, 10]", [[5], [10, 5.5]], [[], [4], [5, 5], [5, 11], 5]),
        ("each whole in [0, 9]", [[0, 9]], [[0.0], [1.5], [True]]),
        ("in {end, start} or empty", ["end", "start", ""], ["middle", "end, start", "END"]),
        ("in {ddim, dpm}", ["dpm"], ["", "euler"]),
        ("ISO date or empty", ["2000-01-03", ""], ["2000-13-01", "20000103", "today"]),
        ("a name", ["cond_end2"], ["", "Cond", "a-b", "a.b"]),
    ],
)
def test_rules_are_those_of_mathematics(allowed, good, bad):
    kind = list if allowed.startswith("each") else float if re.search(r"in [\[(]", allowed) else str
    parameter = Parameter(kind, None, allowed)
    assert [parameter.admits(value) for value in good] == [True] * len(good)
    assert [parameter.admits(value) for value in bad] == [False] * len(bad)


def test_an_upstream_is_a_node_of_the_stage_of_its_default():
    upstream = Parameter(str, "03_vae.*", "upstream")
    assert all(upstream.admits(value) for value in ("03_vae.*", "03_vae.mse", "03_vae.cond_*"))
    assert not any(upstream.admits(value) for value in ("02_windows", "vae.mse", "03_vae.a b", "", "samplers"))
    gathered = Parameter(str, "samplers", "upstream")
    assert all(gathered.admits(value) for value in ("samplers", "06_diffusion.post"))
    assert not gathered.admits("everything")
    assert Parameter(str, "", "upstream or empty").admits("")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EPOCHS 5\nLR: 1.0\n", r"paper/p\.yaml, line 2: .*write `KEY: value`"),
        ("EPOCHS: [1, 2\n", r"paper/p\.yaml, line 2: "),
        ("EPOCHS: 5\nLR: 1.0\nEPOCHS: 6\n", r"paper/p\.yaml, line 3: EPOCHS is given twice"),
        ("- EPOCHS\n", r"paper/p\.yaml holds a list"),
        ("many\n", r"paper/p\.yaml holds a str"),
        ("a: !!python/object/apply:os.system ['true']\n", r"paper/p\.yaml, line 1: could not determine a constructor"),
        ("a: \x00\n", r"paper/p\.yaml: .*"),
        ("? [1, 2]\n: 3\n", r"paper/p\.yaml"),
    ],
    ids=["no colon", "open list", "key twice", "a list", "a text", "an object", "a zero", "a list as key"],
)
def test_a_file_that_is_no_list_of_keys_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "paper/p.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ParamsError, match=message):
        settings.read_yaml(path)


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "p.yaml").write_bytes("A: größe\n".encode("cp1252"))
    with pytest.raises(ParamsError, match=r"p\.yaml: .*in UTF-8"):
        settings.read_yaml(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("node", "change", "message"),
    [
        ("02_windows", {"VAL_SHARE": 0.3}, r"must leave days for test \(TRAIN_SHARE 0\.7, VAL_SHARE 0\.3\)"),
        ("03_vae.gaussian", {"LOG_SIGMA_MIN": 2.0}, r"LOG_SIGMA_MIN must be below LOG_SIGMA_MAX"),
        ("03_vae.gaussian", {"NORMALISE": True}, r"NORMALISE divides by the VIX at VIX_AT, which must not be empty"),
        ("06_diffusion.post", {"TIMESTEPS": 100}, r"STEPS must be at most TIMESTEPS.*STEPS 200, TIMESTEPS 100"),
        ("08_timegan.full", {"CHECK_EVERY": 500}, r"CHECK_EVERY must be at most EPOCHS"),
        ("01_data", {"END": "1999-12-31"}, r"START must be before END"),
        (
            "06_diffusion.post",
            {"LATENTS": "05_latents.cond_end"},
            r"latents of 05_latents\.cond_end are of 03_vae\.cond_end",
        ),
        (
            "06_diffusion.post",
            {"LATENTS": "05_latents.cond_end", "VAE": "03_vae.cond_end"},
            r"03_vae\.cond_end is told the VIX at the end, so give a MODEL that begins with cond_, not ldm_post",
        ),
        ("06_diffusion.post", {"MODEL": "cond_x"}, r"03_vae\.gaussian is told no VIX, so give a MODEL that does not begin"),
        ("06_diffusion.mu", {"MODEL": "ldm_post"}, r"06_diffusion\.post and 06_diffusion\.mu both claim"),
        ("03_vae.gaussian", {"SIGMA_KNOTS": 51}, r"SIGMA_KNOTS 51 is more than the 50 days of a window"),
    ],
)
def test_parameters_that_do_not_fit_one_another_are_refused(root, node, change, message):
    plan = stages.published(root)
    plan[node] |= change
    with pytest.raises(ParamsError, match=message):
        settings.check_together(plan[node], source=node)
        stages.check_plan(plan)


def test_a_second_conditional_model_of_one_name_is_refused(root):
    plan = stages.published(root)
    stages.check_plan(plan)  # cond_end and cond_start share the name of their model, not the day of its VIX
    plan["06_diffusion.cond_small"] = plan["06_diffusion.cond_end"] | {"VARIANT": "cond_small"}
    with pytest.raises(ParamsError, match=r"06_diffusion\.cond_small and 06_diffusion\.cond_end both claim .* cond_ldm"):
        stages.check_plan(plan)


def test_a_value_of_the_readers_own_is_held_against_the_same_rules(copy, monkeypatch):
    (copy / "pyproject.toml").touch()
    monkeypatch.chdir(copy)
    cell = settings.parameter_cell(copy / "notebooks/06_diffusion.ipynb")
    values = {key: parameter.default for key, parameter in cell.items()}
    for change, message in [
        ({"SAMPLER": "euler"}, r"06_diffusion\.ipynb: SAMPLER is 'euler'.*in \{ddim, ddpm, dpm\}"),
        ({"SHORT": False, "STEPS": 2000}, r"06_diffusion\.ipynb: STEPS must be at most TIMESTEPS"),
        ({"LATENTS": "05_latents.cond_end", "VARIANT": "mine"}, r"06_diffusion\.mine: the latents of"),
    ]:
        with pytest.raises(ParamsError, match=message):
            runs.start("06_diffusion", values | change)


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("path", "key", "value"),
    [("paper/06_diffusion.post.yaml", "STEPS", "0"), ("quick/08_timegan.full.yaml", "CHECK_EVERY", "0")],
)
def test_the_workflow_refuses_before_anything_runs(root, tmp_path, path, key, value):
    project = Workflow(root, tmp_path)
    changed = project.folder / "params" / path
    changed.write_text(re.sub(rf"^{key}:.*$", f"{key}: {value}", changed.read_text(), flags=re.M))
    assert yaml.safe_load(changed.read_text())[key] == int(value)
    result = project.call()
    assert result.returncode
    assert f"params/{path}: {key} is 0 (int) but must be int, in [1, inf)" in result.stderr + result.stdout
    assert not (project.folder / "runs/quick").exists()


def test_the_guide_holds_every_parameter(root):
    assert (root / "guides/parameters.md").read_text() == script.guide(root)
    rows = [line for line in script.guide(root).splitlines() if line.startswith("| `")]
    assert len(rows) == sum(key != "RUN_DIR" for _, key in parameters(root))
