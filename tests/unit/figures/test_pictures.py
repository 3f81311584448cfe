"""Figures: what is drawn where, and that nothing is left open."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from smm_tutorial import figures
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    config = DiscoveryConfig(
        image_size=16, num_slots=3, slot_dim=8, encoder_channels=8, decoder_channels=8
    )
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        return images, ObjectDiscovery(config)(images, return_history=True)


def test_a_slot_has_one_colour_everywhere_and_neighbours_differ():
    maps = figures.color_map(torch.tensor([[0, 1], [2, 1]]))
    assert (
        maps.shape == (2, 2, 3)
        and (maps[0, 1] == maps[1, 1]).all()
        and (maps[0, 0] != maps[0, 1]).any()
    )
    assert len({tuple(color) for color in figures.SLOT_COLORS}) == len(figures.SLOT_COLORS)
    assert (
        figures.color_map(torch.tensor([[len(figures.SLOT_COLORS)]])) == figures.SLOT_COLORS[0]
    ).all()


def test_a_decomposition_shows_input_reconstruction_owners_and_every_slot(scene):
    images, output = scene
    figure = figures.decomposition_figure(images, output)
    axes = np.array(figure.axes).reshape(2, 6)
    assert [axis.get_title() for axis in axes[0]] == [
        "input",
        "reconstruction",
        "slots",
        "slot 0",
        "slot 1",
        "slot 2",
    ]
    shown = axes[1, 0].images[0].get_array()
    assert np.allclose(shown, images[1].permute(1, 2, 0))
    assert np.allclose(
        axes[0, 2].images[0].get_array(),
        figures.color_map(output.responsibilities(images)[0].argmax(0)),
    )
    for slot in range(3):  # the frame has the colour that the slot has among the owners
        assert np.allclose(
            axes[0, 3 + slot].spines["left"].get_edgecolor()[:3], figures.SLOT_COLORS[slot]
        )


def test_iterations_show_one_map_each_mixed_by_responsibility(scene):
    images, output = scene
    figure = figures.iterations_figure(images, output.slot_output.history)
    axes = np.array(figure.axes).reshape(2, 4)
    assert axes[0, 3].get_title() == "iteration 3"
    first_cell = (
        output.slot_output.history[2].responsibilities[0, 0].numpy() @ figures.SLOT_COLORS[:3]
    )
    assert np.allclose(axes[0, 3].images[0].get_array()[0, 0], first_cell, atol=1e-5)


def test_curves_have_the_points_of_the_log_that_hold_them():
    log = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0, "mbo": 0.1},
        {"step": 4, "loss": 1.0, "mbo": 0.3},
    ]
    figure = figures.log_figure(log, {"loss": "Loss", "mbo": "mBO"})
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 3], [2, 2], [4, 1]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[2, 0.1], [4, 0.3]]


def test_figure_functions_leave_no_figure_open(scene):
    images, output = scene
    before = plt.get_fignums()
    figures.comparison_figure(images, {"slots": output.segmentation})
    figures.panels([[np.zeros((2, 2, 3))]], ["one"], "title")
    assert plt.get_fignums() == before
