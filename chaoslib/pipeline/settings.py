"""What a notebook may be asked: types, defaults and bounds of its parameters, read from its first cell.

A parameter is written `STEPS: int = 200  # sampling steps; in [1, inf)`. The comment ends with what is allowed:

    in [0, 1)            a number between two ends, of which a square bracket belongs to it
    in {end, start}      one of these texts
    each in [5, 1000]    every entry of a list; `each whole in`: whole numbers alone
    ISO date             such as 2000-01-03
    a name               small letters, digits and _, as in a folder's name

with ` or empty` behind it where an empty text means none. A comment that begins with `upstream` is that of a node such
as 06_diffusion.post, or of a pattern of nodes such as 03_vae.*, of the stage of its default. Params files, papermill's
flags and values that a reader changed by hand are held against this; the guide to parameters is made from it.
"""

import ast
import datetime
import functools
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

import yaml

NODE = re.compile(r"\d\d_[a-z_]+(\.[a-z0-9_]+)?")
PATTERN = re.compile(r"\d\d_[a-z_]+\.[a-z0-9_]*\*")
TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list}
RULE = re.compile(
    r"(?P<rule>(?P<each>each )?(?P<whole>whole )?in (?P<low>[\[(])(?P<ends>[^\])]+)(?P<high>[\])])"
    r"|in \{(?P<choices>[^}]+)\}(?P<empty> or empty)?"
    r"|(?P<kind>ISO date|a name|upstream)(?P<or_empty> or empty)?)"
)
AT_END = re.compile(f"(?:^|; ){RULE.pattern}$")
TOGETHER = (  # (what must hold of two parameters of one notebook, in words)
    (lambda p: p["TRAIN_SHARE"] + p["VAL_SHARE"] < 1, "TRAIN_SHARE and VAL_SHARE must leave days for test"),
    (lambda p: p["LOG_SIGMA_MIN"] < p["LOG_SIGMA_MAX"], "LOG_SIGMA_MIN must be below LOG_SIGMA_MAX"),
    (lambda p: p["VIX_AT"] or not p["NORMALISE"], "NORMALISE divides by the VIX at VIX_AT, which must not be empty"),
    (lambda p: p["CHECK_EVERY"] <= p["EPOCHS"], "CHECK_EVERY must be at most EPOCHS, else no state is ever kept"),
    (lambda p: p["STEPS"] <= p["TIMESTEPS"], "STEPS must be at most TIMESTEPS: a sampler skips levels and adds none"),
    (lambda p: not p["END"] or p["START"] < p["END"], "START must be before END"),
)


class ParamsError(ValueError):
    """A params file that does not fit its notebook; the message names file, key and what is allowed."""


class Parameter(NamedTuple):
    """One line of a parameters cell; `allowed` is the text of the rule, empty where any value of the type will do."""

    type: type
    default: object
    allowed: str = ""
    meaning: str = ""

    def wanted(self) -> str:
        """What a value must be, in words."""
        kind = {list: "a list of numbers", str: "a text"}.get(self.type, self.type.__name__)
        return f"{kind}, {self.allowed}" if self.allowed else kind

    def read(self, text: str) -> object:
        """The value that a text of the command line stands for; the text itself where it is none of the type."""
        if self.type not in (int, float):
            return text
        try:
            return self.type(text)
        except ValueError:
            return text

    def admits(self, value: object) -> bool:
        """Whether a value has the type and keeps the rule."""
        rule = RULE.fullmatch(self.allowed)
        if self.type is list:
            good = isinstance(value, list) and value and all(type(item) in (int, float) for item in value)
            if not good or len(set(value)) < len(value):
                return False
            whole = not rule or not rule["whole"] or all(type(item) is int for item in value)
            return whole and (not rule or all(is_between(item, rule) for item in value))
        if type(value) is not self.type and not (self.type is float and type(value) is int):
            return False
        if not rule or self.type is bool:
            return True
        if self.type is not str:
            return is_between(value, rule)
        if value == "":
            return bool(rule["empty"] or rule["or_empty"])
        if rule["choices"]:
            return value in rule["choices"].split(", ")
        return self.admits_text(value, rule["kind"])

    def admits_text(self, value: str, kind: str) -> bool:
        if kind == "ISO date":
            return is_date(value)
        if kind == "a name":
            return bool(re.fullmatch(r"[a-z0-9_]+", value))
        if not NODE.fullmatch(value) and not PATTERN.fullmatch(value):
            return value == self.default  # `samplers`
        usual = self.default if NODE.fullmatch(self.default) or PATTERN.fullmatch(self.default) else value
        return value.split(".")[0] == usual.split(".")[0]  # other windows, say, but no VAE in their place


def is_between(value: float, rule: re.Match) -> bool:
    low, high = (float(end) for end in rule["ends"].split(", "))
    above = value >= low if rule["low"] == "[" else value > low
    below = value <= high if rule["high"] == "]" else value < high
    return math.isfinite(value) and above and below


def is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def read_yaml(path: Path) -> dict:
    """Content of a params file, parsed once as long as it stands. Raises ParamsError for what is no list of keys."""
    stat = path.stat()
    return parsed(path, stat.st_mtime_ns, stat.st_size).copy()


class Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, rather than its last value."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for number, (key, _) in enumerate(node.value):
            if keys[number] in keys[:number]:
                raise yaml.MarkedYAMLError(problem=f"{keys[number]} is given twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


@functools.lru_cache(maxsize=200)
def parsed(path: Path, changed: int, size: int) -> dict:
    name = f"{path.parent.name}/{path.name}"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ParamsError(f"{name}{line}: {error.problem}; write `KEY: value`, one a line") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise ParamsError(f"{name}: {error}; write `KEY: value`, one a line, in UTF-8") from None
    if content is not None and not isinstance(content, dict):
        raise ParamsError(f"{name} holds a {type(content).__name__}: write `KEY: value`, one a line")
    return content or {}


def parameter_cell(notebook: Path) -> dict[str, Parameter]:
    """Name -> parameter of the notebook's cell tagged `parameters`. Raises ParamsError for a line that is none."""
    return parsed_cell(notebook, notebook.stat().st_mtime_ns).copy()


@functools.lru_cache(maxsize=200)
def parsed_cell(notebook: Path, changed: int) -> dict[str, Parameter]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ParamsError(f"{notebook.name}: {len(tagged)} cells are tagged `parameters`, one is needed")
    source, parameters = "".join(tagged[0]["source"]), {}
    for line in ast.parse(source).body:
        if not isinstance(line, ast.AnnAssign) or ast.unparse(line.annotation) not in TYPES:
            raise ParamsError(f"{notebook.name}: `{ast.unparse(line)}` is not `NAME: int|float|str|bool|list = value`")
        comment = source.splitlines()[line.end_lineno - 1][line.end_col_offset :].strip().removeprefix("#").strip()
        rule = RULE.match(comment) if comment.startswith("upstream") else AT_END.search(comment)
        allowed = rule["rule"] if rule else ""
        meaning = comment.removeprefix(allowed).removesuffix(allowed).strip(";: ")
        kind = TYPES[ast.unparse(line.annotation)]
        parameters[line.target.id] = Parameter(kind, ast.literal_eval(line.value), allowed, meaning)
    return parameters


def check(values: dict, cell: dict[str, Parameter], *, source: str) -> None:
    """Raise ParamsError, a line a fault, when keys are unknown to the parameters cell or values are not what they may be."""
    faults = []
    for key, value in values.items():
        if key not in cell:
            faults.append(f"{source}: unknown key {key}; the notebook's parameters are {', '.join(cell)}")
        elif not cell[key].admits(value):
            hint = ""
            if isinstance(value, str) and cell[key].type in (int, float) and re.fullmatch(r"[\d.]+[eE][-+]?\d+", value):
                digits, exponent = value.lower().split("e")
                mantissa = digits if "." in digits else f"{digits}.0"
                hint = f"; YAML reads it as text, write a dot and a sign: {mantissa}e{int(exponent):+}"
            faults.append(f"{source}: {key} is {value!r} ({type(value).__name__}) but must be {cell[key].wanted()}{hint}")
    if faults:
        raise ParamsError("\n".join(faults))


def check_together(values: dict, *, source: str) -> None:
    """Raise ParamsError when parameters of one notebook, each good by itself, do not fit one another."""
    for holds, words in TOGETHER:
        try:
            good = holds(values)
        except KeyError:  # of another notebook
            continue
        if not good:
            named = ", ".join(f"{key} {values[key]!r}" for key in re.findall(r"[A-Z_]{3,}", words) if key in values)
            raise ParamsError(f"{source}: {words} ({named})")
