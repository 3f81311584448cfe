"""Colours: one for each slot, everywhere the same, and grey for the background alone."""

import torch

from smm_tutorial.figures.palette import (
    BACKGROUND,
    COLORS_ON_WHITE,
    GRAY,
    SLOT_COLORS,
    component_colors,
    label_color,
    label_map,
    slot_map,
)


def test_a_slot_has_one_colour_everywhere_and_neighbours_differ():
    maps = slot_map(torch.tensor([[0, 1], [2, 1]]))
    assert maps.shape == (2, 2, 3)
    assert (maps[0, 1] == maps[1, 1]).all() and (maps[0, 0] != maps[0, 1]).any()
    assert len({tuple(color) for color in SLOT_COLORS}) == len(SLOT_COLORS)
    assert (slot_map(torch.tensor([[len(SLOT_COLORS)]])) == SLOT_COLORS[0]).all()


def test_the_background_has_a_colour_that_no_slot_and_no_object_takes():
    maps = label_map(torch.arange(256, dtype=torch.uint8).view(16, 16))
    grey = (maps == BACKGROUND).all(axis=2)
    assert grey[0, 0] and grey.sum() == 1
    assert not (slot_map(torch.arange(256).view(16, 16)) == BACKGROUND).all(axis=2).any()
    assert (label_color(1) == SLOT_COLORS[0]).all() and (label_color(0) == BACKGROUND).all()


def test_colours_on_white_are_the_slots_colours_and_grey_and_repeat():
    assert sorted(map(tuple, COLORS_ON_WHITE)) == sorted([*map(tuple, SLOT_COLORS), GRAY])
    assert (component_colors(13)[12] == component_colors(1)[0]).all()
