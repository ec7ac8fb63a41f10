"""Sliders and menus: labelled in words, of the right reach, and drawing only when the hand lets go."""

import ipywidgets
import numpy as np
import pytest

from chaoslib.figures import controls

VIX = np.array([9.89, 20.0, 80.86])


@pytest.fixture
def shown(monkeypatch) -> dict[str, ipywidgets.Widget]:
    """The controls that `ipywidgets.interact` was given, by the parameters they stand for."""
    found = {}
    monkeypatch.setattr(ipywidgets, "interact", lambda draw, **widgets: found.update(widgets))
    return found


def explore(vix=30.0, days=10, portfolio="stop_loss", model="cond_ldm") -> None:
    """As a notebook's own function, with values to begin with."""


def test_four_controls_are_labelled_in_words_and_begin_at_the_defaults(shown):
    controls.scenarios(explore, VIX, 50, ["long", "stop_loss"], ["cond_ldm_normalised", "cond_ldm"])
    assert {name: widget.description for name, widget in shown.items()} == {
        "vix": "VIX before",
        "days": "days ahead",
        "portfolio": "portfolio",
        "model": "model",
    }
    assert {name: widget.value for name, widget in shown.items()} == {
        "vix": 30.0,
        "days": 10,
        "portfolio": "stop_loss",
        "model": "cond_ldm",
    }
    assert not shown["vix"].continuous_update
    assert not shown["days"].continuous_update


def test_sliders_stay_inside_the_vix_there_was_and_the_window(shown):
    controls.scenarios(explore, VIX, 50, ["stop_loss"], ["cond_ldm"])
    assert (shown["vix"].min, shown["vix"].max) == (10.0, 80.0)
    assert (shown["days"].min, shown["days"].max, shown["days"].step) == (1, 50, 1)
    assert isinstance(shown["days"], ipywidgets.IntSlider)  # a horizon of 10.0 days is no number of days


def test_menus_show_words_and_hand_over_names(shown):
    controls.scenarios(explore, VIX, 50, ["long", "stop_loss"], ["cond_ldm_normalised", "cond_ldm"])
    assert shown["portfolio"].options == (("long index", "long"), ("stop_loss", "stop_loss"))
    assert [name for _, name in shown["model"].options] == ["cond_ldm_normalised", "cond_ldm"]
    assert all(word != name for word, name in shown["model"].options)


def test_named_parameters_get_sliders(shown):
    controls.sliders(lambda v=30.0, w=1.0: None, v=("VIX at the end", 10.0, 80.0), w=("guidance w", 1.0, 3.0, 0.25))
    found = {name: (each.description, each.min, each.max, each.step, each.value) for name, each in shown.items()}
    assert found == {"v": ("VIX at the end", 10, 80, 1, 30), "w": ("guidance w", 1, 3, 0.25, 1)}
    assert all(isinstance(each, ipywidgets.FloatSlider) and not each.continuous_update for each in shown.values())
