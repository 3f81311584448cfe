"""Figures of image reconstruction: tokens stand on their patches, pictures grow by tokens."""

import numpy as np
import torch

from smm_tutorial.figures.pictures import to_picture
from smm_tutorial.figures.reconstruction import (
    NOT_YET,
    codes_figure,
    frequencies_figure,
    growing_figure,
    looks_figure,
    relaxed_figure,
    tokens_figure,
)


def test_every_token_stands_on_its_patch():
    image, tokens = torch.rand(3, 12, 12), torch.tensor([5, 6, 7, 8, 9, 10, 11, 12, 13])
    figure = tokens_figure(image, tokens, image.flip(2))
    written = {text.get_text(): text.get_position() for text in figure.axes[1].texts}
    assert list(written) == [str(token) for token in tokens.tolist()]
    assert written["5"] == (1.5, 1.5) and written["8"] == (1.5, 5.5) and written["13"] == (9.5, 9.5)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), to_picture(image))
    np.testing.assert_allclose(figure.axes[2].images[0].get_array(), to_picture(image.flip(2)))


def test_codes_stand_in_the_order_of_their_frequency():
    patches = torch.rand(18, 3, 4, 4)
    shares = torch.arange(18.0)
    axes = codes_figure(patches, shares).axes
    for axis, code in zip(axes[:18], range(17, -1, -1), strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), to_picture(patches[code]))
    assert not axes[18].images and len(axes) == 32
    first = codes_figure(patches).axes[0].images[0].get_array()
    np.testing.assert_allclose(first, to_picture(patches[0]))


def test_frequencies_fall_from_left_to_right():
    axis = frequencies_figure({"one": torch.tensor([0.1, 0.7, 0.2])}).axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [0.7, 0.2, 0.1])
    assert axis.get_legend_handles_labels()[1] == ["one"]


def test_a_cold_sample_is_one_bar():
    logits, noise = torch.zeros(4), torch.tensor([[0.0, 2.0, 1.0, 0.0], [3.0, 0.0, 0.0, 0.0]])
    figure = relaxed_figure(logits, noise, 0.01)
    heights = [[bar.get_height() for bar in axis.patches] for axis in figure.axes]
    np.testing.assert_allclose(heights, [[0.25] * 4, [0, 1, 0, 0], [1, 0, 0, 0]], atol=1e-6)
    assert figure.get_suptitle() == "temperature 0.01"


def test_a_picture_grows_row_by_row():
    picture = torch.rand(3, 8, 8) / 2
    shown = growing_figure([picture], 3, 4).axes[0].images[0].get_array()
    np.testing.assert_allclose(shown[:4], to_picture(picture)[:4])
    np.testing.assert_allclose(shown[4:, :4], to_picture(picture)[4:, :4])
    np.testing.assert_allclose(shown[4:, 4:], NOT_YET)


def test_looks_have_a_panel_per_slot():
    looks = torch.rand(9, 2).softmax(dim=1)
    axes = looks_figure(torch.rand(3, 6, 6), looks).axes
    np.testing.assert_allclose(axes[2].images[0].get_array(), looks[:, 1].view(3, 3))
    assert axes[1].get_title() == f"slot 0: to {looks[:, 0].max():.2f}" and len(axes) == 3
