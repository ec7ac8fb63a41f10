"""Sliders and menus of a notebook, labelled in words; a figure is drawn when the hand lets go."""

import inspect
from collections.abc import Callable, Iterable

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from chaoslib.figures.forecasts import PORTFOLIO_LABELS
from chaoslib.figures.style import LABELS

WIDE = {"style": {"description_width": "9em"}, "layout": {"width": "34em"}}


def slider(label: str, low: float, high: float, step: float = 1, *, value: float) -> ipywidgets.IntSlider:
    """A slider from low to high; a `FloatSlider` unless all four numbers are `int`."""
    is_whole = all(isinstance(each, int) for each in (low, high, step, value))
    kind = ipywidgets.IntSlider if is_whole else ipywidgets.FloatSlider
    return kind(value, min=low, max=high, step=step, description=label, continuous_update=False, **WIDE)


def menu(label: str, names: Iterable[str], *, words: dict[str, str], value: str) -> ipywidgets.Dropdown:
    """A menu of names, each shown in words where there are some."""
    options = [(words.get(name, name), name) for name in names]
    return ipywidgets.Dropdown(options=options, value=value, description=label, **WIDE)


def defaults(draw: Callable[..., Figure]) -> dict[str, object]:
    """Where controls begin: the default of each parameter of `draw`."""
    return {name: parameter.default for name, parameter in inspect.signature(draw).parameters.items()}


def sliders(draw: Callable[..., Figure], **ranges: tuple) -> None:
    """Show sliders of named parameters of `draw`, each from (label, low, high, step), and under them what it draws."""
    start = defaults(draw)
    ipywidgets.interact(draw, **{name: slider(*each, value=start[name]) for name, each in ranges.items()})


def scenarios(
    draw: Callable[..., Figure], vix: np.ndarray, days: int, portfolios: Iterable[str], models: Iterable[str]
) -> None:
    """Show four controls and under them what `draw` makes of `vix`, `days`, `portfolio` and `model`, its four parameters.

    vix : (N,) index points; its slider takes the whole numbers between the lowest and the highest of them
    days : the longest horizon
    """
    start = defaults(draw)
    low, high = float(np.ceil(vix.min())), float(np.floor(vix.max()))
    ipywidgets.interact(
        draw,
        vix=slider("VIX before", low, high, value=start["vix"]),
        days=slider("days ahead", 1, days, value=start["days"]),
        portfolio=menu("portfolio", portfolios, words=PORTFOLIO_LABELS, value=start["portfolio"]),
        model=menu("model", models, words=LABELS, value=start["model"]),
    )
