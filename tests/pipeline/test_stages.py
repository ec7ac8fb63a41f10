"""The plan: params are checked against notebooks, and upstreams are found."""

import json

import pytest
import yaml

from chaoslib.pipeline import settings, stages


def test_an_overlay_is_checked_too_and_wins(copy):
    overlay = copy / "params/quick/06_diffusion.post.yaml"
    assert (
        stages.merged_params(copy, "06_diffusion.post", "quick")["EPOCHS"] == yaml.safe_load(overlay.read_text())["EPOCHS"]
    )
    overlay.write_text("LR: 1e-4\n")
    with pytest.raises(settings.ParamsError, match=r"params/quick/06_diffusion\.post\.yaml: LR .* must be float"):
        stages.merged_params(copy, "06_diffusion.post", "quick")


def test_a_published_file_must_be_complete(copy):
    path = copy / "params/paper/02_windows.yaml"
    path.write_text(path.read_text().replace("SEQ_LEN: 50", "# SEQ_LEN: 50"))
    with pytest.raises(settings.ParamsError, match=r"02_windows\.yaml lacks SEQ_LEN"):
        stages.merged_params(copy, "02_windows", "paper")


def test_an_overlay_may_not_invent_a_node(copy):
    (copy / "params/quick/06_diffusion.other.yaml").write_text("EPOCHS: 1\n")
    with pytest.raises(settings.ParamsError, match=r"06_diffusion\.other\.yaml overlays no file"):
        stages.nodes(copy, "quick")


def test_an_unknown_profile_lists_the_known_ones(root):
    with pytest.raises(settings.ParamsError, match="'fast': params/ holds paper, quick"):
        stages.nodes(root, "fast")


def test_adding_a_variant_is_adding_a_file(copy):
    text = (copy / "params/paper/03_vae.gaussian.yaml").read_text()
    added = text.replace("VARIANT: gaussian", "VARIANT: small").replace("MODEL: vae_prior", "MODEL: vae_small")
    (copy / "params/paper/03_vae.small.yaml").write_text(added)
    assert "03_vae.small" in stages.nodes(copy)
    assert "03_vae.small" in stages.upstream(copy, stages.merged_params(copy, "04_probe", "paper"))
    assert stages.samplers(copy)["vae_small"] == "03_vae.small"
    assert "03_vae.small" in stages.upstream(copy, stages.merged_params(copy, "09_evaluation", "paper"))


def test_two_nodes_may_not_claim_one_model(copy):
    path = copy / "params/paper/03_vae.mse.yaml"
    path.write_text(path.read_text().replace('MODEL: ""', "MODEL: vae_prior"))
    with pytest.raises(settings.ParamsError, match="claim the model name vae_prior"):
        stages.samplers(copy)


def test_a_pattern_names_the_variants_that_begin_so(root):
    conditional = stages.expand(root, "06_diffusion.cond_*")
    assert set(conditional) == {f"06_diffusion.{name}" for name in ("cond_end", "cond_norm", "cond_start")}
    assert set(conditional) < set(stages.expand(root, "06_diffusion.*"))


def test_conditional_models_are_no_rows_of_the_unconditional_tables(root):
    assert not any(name.startswith("cond_") for name in stages.samplers(root))
    assert not any("cond_" in node for node in stages.samplers(root).values())


def test_an_upstream_that_does_not_exist_is_named(root):
    with pytest.raises(settings.ParamsError, match=r"03_vae\.other is no stage"):
        stages.upstream(root, {"VAE": "03_vae.other"})


def test_the_dag_has_no_edge_backwards(root):
    for node in stages.nodes(root):
        reads = stages.upstream(root, stages.merged_params(root, node, "paper"))
        assert all(stages.stage_of(other) < stages.stage_of(node) for other in reads), node


def test_latents_read_the_gate(root):
    for node in stages.nodes(root):
        if node.startswith("05_latents"):
            assert "04_probe" in stages.upstream(root, stages.merged_params(root, node, "paper"))


def test_seeds_are_folders_only_where_a_seed_matters():
    assert stages.place("06_diffusion.post", 2) == "seed2/06_diffusion.post"
    assert stages.place("02_windows", 2) == "02_windows"


def edit(notebook, change):
    content = json.loads(notebook.read_text())
    change(content["cells"])
    notebook.write_text(json.dumps(content))


def test_a_parameters_cell_needs_annotations(copy):
    notebook = copy / "notebooks/02_windows.ipynb"

    def strip(cells):
        for cell in cells:
            if "parameters" in cell["metadata"].get("tags", []):
                cell["source"] = "SEQ_LEN = 50"

    edit(notebook, strip)
    with pytest.raises(settings.ParamsError, match="`SEQ_LEN = 50` is not"):
        settings.parameter_cell(notebook)
