"""The plan of the workflow: which stages and variants there are, and what each reads.

A *node* is a stage with its variant, `06_diffusion.post`; it has one params file of that name. A params value that is
a node names an upstream; so does `03_vae.*`, every variant of a stage, `06_diffusion.cond_*`, those that begin so, and
`samplers`, every node whose params give an unconditional MODEL. The Snakefile, the notebooks and the tests
all ask this module, so they cannot disagree.
"""

import ast
import functools
import json
import re
from pathlib import Path

import yaml

NODE = re.compile(r"\d\d_[a-z_]+(\.[a-z0-9_]+)?")
PATTERN = re.compile(r"\d\d_[a-z_]+\.[a-z0-9_]*\*")
CONDITIONAL = "cond_"  # models named so belong to the conditional tables
DATA = ("01_data", "02_windows")  # what everything else is made from
UNSEEDED = (*DATA, "09_evaluation", "10_scorecard", "11_stress_test")
NOT_IN_FILES = ("RUN_DIR", "SEED", "TRAIN")  # given by the workflow or by the reader, never by a params file


class ParamsError(ValueError):
    """A params file that does not fit its notebook; the message names file, key and expected type."""


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


def read_yaml(path: Path) -> dict:
    """Content of a params file, parsed once as long as it stands."""
    return parsed(path, path.stat().st_mtime_ns, path.stat().st_size).copy()


@functools.lru_cache(maxsize=200)
def parsed(path: Path, changed: int, size: int) -> dict:
    return yaml.safe_load(path.read_text()) or {}


def merged_params(root: Path, node: str, profile: str) -> dict:
    """Params of a node, each file checked against the notebook. Raises ParamsError."""
    cell = parameter_cell(root / "notebooks" / f"{stage_of(node)}.ipynb")
    merged = {}
    for path in params_files(root, node, profile):
        values = read_yaml(path)
        check_params(values, cell, source=str(path.relative_to(root)))
        merged |= values
    missing = [key for key in cell if key not in merged and key not in NOT_IN_FILES]
    if missing:
        raise ParamsError(f"params/paper/{node}.yaml lacks {', '.join(missing)}")
    return merged


def parameter_cell(notebook: Path) -> dict[str, tuple[type, object]]:
    """Name -> (type, default) of the notebook's cell tagged `parameters`; types are those of the annotations."""
    cells = json.loads(notebook.read_text())["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ParamsError(f"{notebook.name}: {len(tagged)} cells are tagged `parameters`, one is needed")
    types = {"int": int, "float": float, "str": str, "bool": bool, "list": list}
    parameters = {}
    for line in ast.parse("".join(tagged[0]["source"])).body:
        if not isinstance(line, ast.AnnAssign) or ast.unparse(line.annotation) not in types:
            raise ParamsError(f"{notebook.name}: `{ast.unparse(line)}` is not `NAME: int|float|str|bool|list = value`")
        parameters[line.target.id] = (types[ast.unparse(line.annotation)], ast.literal_eval(line.value))
    return parameters


def check_params(values: dict, cell: dict[str, tuple[type, object]], *, source: str) -> None:
    """Raise ParamsError when a key is unknown to the parameters cell or a value has another type."""
    for key, value in values.items():
        if key not in cell:
            raise ParamsError(f"{source}: unknown key {key}; the notebook's parameters are {', '.join(cell)}")
        expected, _ = cell[key]
        if expected is list:
            good = isinstance(value, list) and all(type(item) in (int, float) for item in value)
        else:
            good = type(value) is expected or (expected is float and type(value) is int)
        if not good:
            wanted = "a list of numbers" if expected is list else expected.__name__
            hint = ""
            if isinstance(value, str) and expected in (int, float) and re.fullmatch(r"[\d.]+[eE][-+]?\d+", value):
                digits, exponent = value.lower().split("e")
                mantissa = digits if "." in digits else f"{digits}.0"
                hint = f"; YAML reads it as text, write a dot and a sign: {mantissa}e{int(exponent):+}"
            raise ParamsError(f"{source}: {key} is {value!r}, a {type(value).__name__}, but must be {wanted}{hint}")


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
    nodes_by_model = {}
    for node in nodes(root):
        model = read_yaml(root / "params/paper" / f"{node}.yaml").get("MODEL", "")
        if model in nodes_by_model:
            raise ParamsError(f"{node} and {nodes_by_model[model]} both claim the model name {model}")
        if model and not model.startswith(CONDITIONAL):
            nodes_by_model[model] = node
    return nodes_by_model
