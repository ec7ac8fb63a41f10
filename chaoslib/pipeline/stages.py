"""The plan of the workflow: which stages and variants there are, and what each reads.

A *node* is a stage with its variant, `06_diffusion.post`; it has one params file of that name. A params value that is
a node names an upstream; so does `03_vae.*`, every variant of a stage, `06_diffusion.cond_*`, those that begin so, and
`samplers`, every node whose params give an unconditional MODEL. The Snakefile, the notebooks and the tests
all ask this module, so they cannot disagree.
"""

from pathlib import Path

from chaoslib.pipeline.settings import (
    NODE,
    PATTERN,
    Parameter,
    ParamsError,
    check,
    check_together,
    parameter_cell,
    read_yaml,
)

CONDITIONAL = "cond_"  # models named so belong to the conditional tables
DATA = ("01_data", "02_windows")  # what everything else is made from
UNSEEDED = (*DATA, "09_evaluation", "10_scorecard", "11_stress_test")
WALK = {  # of params/walkforward.yaml: notebook -> the keys that are held against its parameters, under its names for them
    "01_data": {"START": "START"},
    "02_windows": {"SEQ_LEN": "SEQ_LEN"},
    "03_vae": {
        **{key: key for key in ("LATENT_DIM", "HIDDEN", "BETA", "WARMUP_EPOCHS", "VARMATCH_WEIGHT", "BATCH_SIZE", "SEED")},
        **{"VAE_EPOCHS": "EPOCHS", "VAE_LR": "LR"},
    },
    "06_diffusion": {
        **{"DIFFUSION_EPOCHS": "EPOCHS", "DIFFUSION_LR": "LR"},
        **{key: key for key in ("EMA_DECAY", "COND_DROPOUT")},
    },
    "11_stress_test": {
        **{"HORIZONS": "FORECASTS", "N_SAMPLES": "N_SCENARIOS"},
        **{key: key for key in ("STEPS", "GRID", "DRAWS")},
    },
}
NOT_IN_FILES = ("RUN_DIR", "SEED", "TRAIN")  # given by the workflow or by the reader, never by a params file


def stage_of(node: str) -> str:
    """`06_diffusion.post` -> `06_diffusion`."""
    return node.split(".")[0]


def place(node: str, seed: int) -> str:
    """Folder of a node inside a run: `seed0/06_diffusion.post`, or `01_data` for a stage that has no seed."""
    return node if stage_of(node) in UNSEEDED else f"seed{seed}/{node}"


def node_of(place: str) -> str:
    """`seed0/06_diffusion.post` -> `06_diffusion.post`."""
    return place.split("/")[-1]


def seed_of(place: str) -> int:
    """`seed2/06_diffusion.post` -> 2; 0 for a stage that has no seed."""
    return int(place.split("/")[0].removeprefix("seed")) if "/" in place else 0


def nodes(root: Path, profile: str = "paper") -> list[str]:
    """All nodes in the order of the pipeline: one for each file of params/paper; overlays may not add any.

    Raises ParamsError for an unknown profile, or an overlay without a published file of the same name.
    """
    published = sorted(path.stem for path in (root / "params/paper").glob("*.yaml"))
    folder = root / "params" / profile
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in (root / "params").iterdir() if path.is_dir()))
        raise ParamsError(f"unknown profile {profile!r}: params/ holds {known}")
    for path in sorted(folder.glob("*.yaml")):
        if path.stem not in published:
            raise ParamsError(f"{path.relative_to(root)} overlays no file of params/paper")
    return published


def params_files(root: Path, node: str, profile: str) -> list[Path]:
    """The published file and, where there is one, the profile's overlay: papermill takes both, the later wins."""
    candidates = [root / "params" / name / f"{node}.yaml" for name in dict.fromkeys(("paper", profile))]
    if not candidates[0].exists():
        raise ParamsError(f"no params file for {node}: expected {candidates[0].relative_to(root)}")
    return [path for path in candidates if path.exists()]


def merged_params(root: Path, node: str, profile: str) -> dict:
    """Params of a node, each file checked against the notebook. Raises ParamsError."""
    cell = parameter_cell(root / "notebooks" / f"{stage_of(node)}.ipynb")
    merged = {}
    for path in params_files(root, node, profile):
        values = read_yaml(path)
        check(values, cell, source=str(path.relative_to(root)))
        merged |= values
    missing = [key for key in cell if key not in merged and key not in NOT_IN_FILES]
    if missing:
        raise ParamsError(f"params/paper/{node}.yaml lacks {', '.join(missing)}")
    check_together(merged, source=f"{node} in the profile {profile}")
    return merged


def planned(root: Path, profile: str) -> dict[str, dict]:
    """node -> its merged params, of every node of a profile. Raises ParamsError with the faults of all files."""
    plan, faults = {}, []
    for node in nodes(root, profile):
        try:
            plan[node] = merged_params(root, node, profile)
        except ParamsError as error:
            faults += [line for line in str(error).splitlines() if line not in faults]
    if faults:
        raise ParamsError("\n".join(faults))
    return plan


def published(root: Path) -> dict[str, dict]:
    """node -> params of the paper, of every node."""
    return {node: read_yaml(root / f"params/paper/{node}.yaml") for node in nodes(root)}


def walk_params(root: Path) -> dict:
    """Params of the walk-forward, held against those of the notebooks that do the same. Raises ParamsError."""
    cell = {"FIRST_YEAR": Parameter(int, 1996, "in [1990, 2200]")}
    for stage, keys in WALK.items():
        known = parameter_cell(root / f"notebooks/{stage}.ipynb")
        cell |= {key: known[name] for key, name in keys.items()}
    values = read_yaml(root / "params/walkforward.yaml")
    check(values, cell, source="params/walkforward.yaml")
    if missing := [key for key in cell if key not in values]:
        raise ParamsError(f"params/walkforward.yaml lacks {', '.join(missing)}")
    return values


def check_plan(plan: dict[str, dict]) -> None:
    """Raise ParamsError when nodes, each good by itself, do not fit one another.

    plan : node -> params, of every node
    """
    for node, params in plan.items():
        check_node(node, params, plan)
    claims(plan)


def claims(plan: dict[str, dict]) -> dict[tuple[str, str], str]:
    """(model, day of its VIX) -> node that samples it; the day is that of conditional models, which may share a name.

    Raises ParamsError for two nodes of one key.
    """
    claimed: dict[tuple[str, str], str] = {}
    for node, params in plan.items():
        if model := params.get("MODEL"):
            vae = plan.get(params.get("VAE", ""), {})
            anchor = params.get("VIX_AT", vae.get("VIX_AT", "")) if model.startswith(CONDITIONAL) else ""
            if (model, anchor) in claimed:
                other = claimed[model, anchor]
                raise ParamsError(f"{node} and {other} both claim the model name {model}: give one another MODEL")
            claimed[model, anchor] = node
    return claimed


def check_node(node: str, params: dict, plan: dict[str, dict]) -> None:
    """Raise ParamsError when a node's params do not fit those of the nodes of the plan that it reads."""
    windows, latents = plan.get(params.get("WINDOWS", "")), plan.get(params.get("LATENTS", ""))
    if windows and params.get("SIGMA_KNOTS", 0) > windows["SEQ_LEN"]:
        raise ParamsError(
            f"{node}: SIGMA_KNOTS {params['SIGMA_KNOTS']} is more than the {windows['SEQ_LEN']} days of a window"
        )
    if not latents or "VAE" not in params:
        return
    if latents["VAE"] != params["VAE"]:
        raise ParamsError(f"{node}: the latents of {params['LATENTS']} are of {latents['VAE']}, but VAE is {params['VAE']}")
    model, anchor = params["MODEL"], plan[params["VAE"]]["VIX_AT"]
    if model and model.startswith(CONDITIONAL) != bool(anchor):
        told = f"the VIX at the {anchor}" if anchor else "no VIX"
        must = "begins with" if anchor else "does not begin with"
        raise ParamsError(f"{node}: {params['VAE']} is told {told}, so give a MODEL that {must} {CONDITIONAL}, not {model}")


def is_side(node: str, params: dict) -> bool:
    """Whether a node is a model that only stands beside the others: one of stress alone, or a TimeGAN.

    It is left out where its checks fail, as on a history with too little stress; what is made of others goes on.
    """
    return params.get("STRESS_VIX", 0) > 0 or node.startswith("08_")


def upstream(root: Path, params: dict) -> list[str]:
    """Nodes that a stage reads, from the values of its params. Raises ParamsError for a node that does not exist."""
    reads = set()
    for value in params.values():
        if isinstance(value, str) and (NODE.fullmatch(value) or PATTERN.fullmatch(value) or value == "samplers"):
            reads.update(expand(root, value))
    return sorted(reads)


def expand(root: Path, value: str) -> list[str]:
    """Nodes that one params value names: itself, the variants of `03_vae.*` or `03_vae.cond_*`, or all `samplers`."""
    known = nodes(root)
    if value == "samplers":
        return list(samplers(root).values())
    if PATTERN.fullmatch(value):
        return [node for node in known if node.startswith(value[:-1])]
    if value not in known:
        raise ParamsError(f"{value} is no stage of params/paper; known are {', '.join(known)}")
    return [value]


def samplers(root: Path) -> dict[str, str]:
    """Model name -> node that samples it, for every published params file with an unconditional `MODEL`."""
    return {model: node for (model, _), node in claims(published(root)).items() if not model.startswith(CONDITIONAL)}
