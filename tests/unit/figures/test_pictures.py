"""Rows of pictures: every picture stands under its name, and nothing is left open."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.palette import BACKGROUND
from smm_tutorial.figures.pictures import (
    contact_sheet_figure,
    number_rows,
    picture_rows_figure,
    pictures_figure,
)


def test_every_picture_stands_under_its_name_and_nothing_else_is_drawn():
    figure = pictures_figure(
        [("one", np.zeros((4, 6))), ("one", np.ones((4, 6, 3))), ("two", np.zeros((4, 6)))],
        columns=2,
    )

    assert [axis.get_title() for axis in figure.axes] == ["one", "one", "two", ""]
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1, 0]
    assert not any(axis.axison for axis in figure.axes)


def test_figure_functions_leave_no_figure_open():
    before = plt.get_fignums()
    picture_rows_figure([[np.zeros((2, 2, 3))]], ["one"], "title")
    pictures_figure([("one", np.zeros((2, 2, 3)))], columns=1)
    assert plt.get_fignums() == before


def test_rows_are_numbered_from_one_on_their_left():
    figure = number_rows(picture_rows_figure([[np.zeros((2, 2, 3))] * 2] * 3, ["one", "two"]))

    words = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert words == [["1"], [], ["2"], [], ["3"], []]


def test_a_sheet_shows_images_beside_masks_in_colours_that_are_not_the_backgrounds():
    masks = torch.arange(30, dtype=torch.uint8).reshape(1, 5, 6).repeat(5, 1, 1)
    images = torch.randint(
        0, 256, (5, 3, 5, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    data = SceneImages(images, [str(k) for k in range(5)], "made up", "val", "CC0", masks=masks)
    axes = contact_sheet_figure(data).axes
    assert len(axes) == 2 * 8  # two rows of four pairs
    shown = [np.asarray(axis.images[0].get_array()) for axis in axes if axis.images]
    assert len(shown) == 10 and np.allclose(shown[8], images[4].permute(1, 2, 0) / 255)
    colours = shown[1].reshape(30, 3)
    assert np.allclose(colours[0], BACKGROUND)
    assert not (np.abs(colours[1:] - BACKGROUND).max(1) < 0.01).any()
    bare = SceneImages(images, data.filenames, "made up", "val", "CC0")
    assert len(contact_sheet_figure(bare).axes) == 8
