"""Figures of object discovery draw what the model makes, and a slot keeps its colour."""

import numpy as np
import pytest
import torch

from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.figures.discovery import (
    architecture_figure,
    comparison_figure,
    decomposition_figure,
    iterations_figure,
    operate_on_slot,
    surgery_figure,
    training_frames,
)
from smm_tutorial.figures.palette import BACKGROUND, SLOT_COLORS, slot_map
from tests.toy_models import toy_discovery

MODEL, IMAGES, OUTPUT = toy_discovery()
DIRECTIONS = torch.ones(2, 16)  # how a slot changes when it moves down or right


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    config = DiscoveryConfig(
        image_size=16, num_slots=3, slot_dim=8, encoder_channels=8, decoder_channels=8
    )
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        return images, ObjectDiscovery(config)(images, return_history=True)


def words(figure):
    return "\n".join(text.get_text() for axis in figure.axes for text in axis.texts)


def pictures(figure):
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]


def test_the_architecture_names_shapes_and_parameters_of_this_model():
    text = words(architecture_figure(MODEL))
    for part in (MODEL.encoder, MODEL.slots, MODEL.decoder):
        assert f"{sum(parameter.numel() for parameter in part.parameters()):,} parameters" in text
    for words_drawn in ("SlotMixture", "4 x 16", "64 x 8", "8 x 8 cells", "from 4 x 4 cells"):
        assert words_drawn in text


def test_frames_show_the_owners_of_each_step_below_the_images():
    first, last = training_frames(
        IMAGES, {0: torch.zeros(2, 16, 16).long(), 1500: torch.ones(2, 16, 16).long()}
    )
    assert (first.get_suptitle(), last.get_suptitle()) == ("step 0", "step 1,500")
    assert np.allclose(pictures(last)[2], SLOT_COLORS[1])
    assert np.allclose(pictures(first)[2], SLOT_COLORS[0])


def test_slots_keep_their_colours_when_one_is_dropped():
    after, numbers = operate_on_slot(MODEL, OUTPUT, "drop", 1, DIRECTIONS)
    assert numbers == [0, 2, 3]
    drawn = pictures(surgery_figure(IMAGES, OUTPUT, after, numbers, "drop slot 1"))[4]
    expected = SLOT_COLORS[np.array(numbers)[after.segmentation[0].numpy()]]
    assert np.allclose(drawn, expected)
    assert not np.isclose(drawn, SLOT_COLORS[1]).all(axis=2).any()


def test_a_shift_of_nothing_changes_nothing_and_a_swap_changes_both_scenes():
    same, numbers = operate_on_slot(MODEL, OUTPUT, "move", 0, DIRECTIONS)
    assert numbers == [0, 1, 2, 3]
    torch.testing.assert_close(same.reconstruction, OUTPUT.reconstruction)
    elsewhere, _ = operate_on_slot(MODEL, OUTPUT, "move", 0, DIRECTIONS, right=0.5)
    change = (elsewhere.reconstructions - OUTPUT.reconstructions).abs().amax(dim=(2, 3, 4))
    assert (change > 1e-6).tolist() == [[True, False, False, False], [False] * 4]
    swap, _ = operate_on_slot(MODEL, OUTPUT, "swap", 0, DIRECTIONS)
    torch.testing.assert_close(swap.reconstructions[0, 0], OUTPUT.reconstructions[1, 0])
    torch.testing.assert_close(swap.reconstructions[1, 0], OUTPUT.reconstructions[0, 0])
    with pytest.raises(ValueError, match="'drop', 'swap', 'move', got 'cut'"):
        operate_on_slot(MODEL, OUTPUT, "cut", 0, DIRECTIONS)


def test_a_decomposition_shows_input_reconstruction_owners_and_every_slot(scene):
    images, output = scene
    figure = decomposition_figure(images, output)
    axes = np.array(figure.axes).reshape(2, 6)
    titles = ["input", "reconstruction", "slots", "slot 0", "slot 1", "slot 2"]
    assert [axis.get_title() for axis in axes[0]] == titles
    shown = axes[1, 0].images[0].get_array()
    assert np.allclose(shown, images[1].permute(1, 2, 0))
    owners = output.responsibilities(images)[0].argmax(0)
    assert np.allclose(axes[0, 2].images[0].get_array(), slot_map(owners))
    for slot in range(3):  # the frame has the colour that the slot has among the owners
        assert np.allclose(axes[0, 3 + slot].spines["left"].get_edgecolor()[:3], SLOT_COLORS[slot])


def test_iterations_show_one_map_each_mixed_by_responsibility(scene):
    images, output = scene
    figure = iterations_figure(images, output.slot_output.history)
    axes = np.array(figure.axes).reshape(2, 4)
    assert axes[0, 3].get_title() == "iteration 3"
    first_cell = output.slot_output.history[2].responsibilities[0, 0].numpy() @ SLOT_COLORS[:3]
    assert np.allclose(axes[0, 3].images[0].get_array()[0, 0], first_cell, atol=1e-5)


def test_a_comparison_has_a_column_for_each_model_and_notes_below_their_names():
    maps = {"good": torch.zeros(2, 16, 16).long(), "bad": torch.ones(2, 16, 16).long()}
    figure = comparison_figure(IMAGES, maps, {"bad": "mBO 0.10"})
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["input", "good", "bad\nmBO 0.10"]
    assert np.allclose(pictures(figure)[2], SLOT_COLORS[1])


def test_a_comparison_may_begin_with_true_masks_whose_background_is_grey():
    maps = {"slots": torch.zeros(2, 16, 16).long()}
    figure = comparison_figure(IMAGES, maps, true=torch.zeros(2, 16, 16, dtype=torch.uint8))
    assert [axis.get_title() for axis in figure.axes[:3]] == ["input", "true", "slots"]
    assert np.allclose(pictures(figure)[1], BACKGROUND)
    assert np.allclose(pictures(figure)[2], SLOT_COLORS[0])
