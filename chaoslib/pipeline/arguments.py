"""Arguments of a call: a number is one of Python's or numpy's; texts and truth values are none. One sentence says so."""

import numbers
import reprlib

import numpy as np


def shown(value: object) -> str:
    """A value as a message shows it: numbers as they are printed, anything else as short code."""
    return str(value) if isinstance(value, numbers.Number) else reprlib.repr(value)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number by its type: 2, but neither 2.0 nor True."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def whole(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """A whole number from `least` on, to `most` if there is one. Raises ValueError for anything else, 2.0 and True too."""
    if not is_whole(value) or value < least or (most is not None and value > most):
        bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {shown(value)}: give a whole number {bounds}")
    return int(value)


def number(name: str, value: object, *, least: float | None = None) -> float:
    """A finite number, from `least` on if there is one. Raises ValueError for anything else, True too."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not abs(value) < float("inf") or (least is not None and value < least):
        wanted = "finite number" if least is None else f"number of {least:g} or more"
        raise ValueError(f"{name} is {shown(value)}: give a {wanted}")
    return value


def index_points(name: str, value: object) -> np.ndarray:
    """A VIX, or an array of any shape, as floats. Raises ValueError for texts, truth values and what is no array."""
    try:
        given = np.asarray(value)
        if given.dtype.kind in "iufO":
            return given.astype(float)
    except (TypeError, ValueError):  # no numbers, or rows of several lengths
        pass
    raise ValueError(f"{name} is {shown(value)}: give index points as numbers, such as 45")
