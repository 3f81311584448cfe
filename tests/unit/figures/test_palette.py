"""Colours: one for each slot, everywhere the same."""

import torch

from smm_tutorial.figures.palette import COLORS_ON_WHITE, SLOT_COLORS, color_map, component_colors


def test_a_slot_has_one_colour_everywhere_and_neighbours_differ():
    maps = color_map(torch.tensor([[0, 1], [2, 1]]))
    assert maps.shape == (2, 2, 3)
    assert (maps[0, 1] == maps[1, 1]).all() and (maps[0, 0] != maps[0, 1]).any()
    assert len({tuple(color) for color in SLOT_COLORS}) == len(SLOT_COLORS)
    assert (color_map(torch.tensor([[len(SLOT_COLORS)]])) == SLOT_COLORS[0]).all()


def test_colours_on_white_are_the_slots_colours_in_another_order_and_repeat():
    assert sorted(map(tuple, COLORS_ON_WHITE)) == sorted(map(tuple, SLOT_COLORS))
    assert (component_colors(13)[12] == component_colors(1)[0]).all()
