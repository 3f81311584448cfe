"""Figures and widgets of notebook 05: what they draw comes from the model, and colours keep their
slots.
"""

import base64

import numpy as np
import pytest
import torch

from smm_tutorial.discovery.model import DiscoveryConfig
from smm_tutorial.discovery.runs import build_model
from smm_tutorial.figures.charts import curve_figure
from smm_tutorial.figures.discovery import (
    OPERATIONS,
    architecture_figure,
    gallery_figure,
    operate,
    surgery_figure,
    training_frames,
)
from smm_tutorial.figures.display import png
from smm_tutorial.figures.palette import SLOT_COLORS
from smm_tutorial.widgets.controls import DPI
from smm_tutorial.widgets.discovery import operating_table
from tests.toys import toy_scenes

CONFIG = DiscoveryConfig(
    image_size=16, num_slots=4, slot_dim=8, encoder_channels=8, decoder_channels=8, decoder_grid=4
)
IMAGES = toy_scenes(2).batch(slice(None)).images
DIRECTIONS = torch.ones(2, 16)


@pytest.fixture(scope="module")
def model():
    return build_model(CONFIG, 0).eval()


@pytest.fixture(scope="module")
def output(model):
    with torch.no_grad():
        return model(IMAGES, noise=model.start_noise(2, torch.Generator().manual_seed(0)))


def words(figure):
    return "\n".join(text.get_text() for axis in figure.axes for text in axis.texts)


def pictures(figure):
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]


def test_the_architecture_names_shapes_and_parameters_of_this_model(model):
    text = words(architecture_figure(model))
    for part in (model.encoder, model.slots, model.decoder):
        assert f"{sum(parameter.numel() for parameter in part.parameters()):,} parameters" in text
    assert (
        "SlotMixture" in text
        and "4 x 16" in text
        and "8·8 x 8" in text
        and "from 4 x 4 cells" in text
    )


def test_frames_show_the_owners_of_each_step_below_the_images():
    first, last = training_frames(
        IMAGES, {0: torch.zeros(2, 16, 16).long(), 1500: torch.ones(2, 16, 16).long()}
    )
    assert (first.get_suptitle(), last.get_suptitle()) == ("step 0", "step 1,500")
    assert np.allclose(pictures(last)[2], SLOT_COLORS[1]) and np.allclose(
        pictures(first)[2], SLOT_COLORS[0]
    )


def test_slots_keep_their_colours_when_one_is_dropped(model, output):
    after, numbers = operate(model, output, "drop", 1, DIRECTIONS)
    assert numbers == [0, 2, 3]
    drawn = pictures(surgery_figure(IMAGES, output, after, numbers, "drop slot 1"))[4]
    expected = SLOT_COLORS[np.array(numbers)[after.segmentation[0].numpy()]]
    assert np.allclose(drawn, expected)
    assert not np.isclose(drawn, SLOT_COLORS[1]).all(axis=2).any()


def test_a_shift_of_nothing_changes_nothing_and_a_swap_changes_both_scenes(model, output):
    same, numbers = operate(model, output, "move", 0, DIRECTIONS)
    assert numbers == [0, 1, 2, 3]
    torch.testing.assert_close(same.reconstruction, output.reconstruction)
    elsewhere, _ = operate(model, output, "move", 0, DIRECTIONS, right=0.5)
    different = (elsewhere.reconstructions - output.reconstructions).abs().amax(
        dim=(2, 3, 4)
    ) > 1e-6
    assert different.tolist() == [[True, False, False, False], [False] * 4]
    swap, _ = operate(model, output, "swap", 0, DIRECTIONS)
    torch.testing.assert_close(swap.reconstructions[0, 0], output.reconstructions[1, 0])
    torch.testing.assert_close(swap.reconstructions[1, 0], output.reconstructions[0, 0])
    with pytest.raises(ValueError, match="'drop', 'swap', 'move', got 'cut'"):
        operate(model, output, "cut", 0, DIRECTIONS)


def test_the_operating_table_draws_the_static_figure_of_each_operation(model, output):
    table = operating_table(model, IMAGES, output, DIRECTIONS, 2)
    drawn = []
    for operation in OPERATIONS[::-1]:
        table.slider.controls["right"].value = 0.25
        table.slider.controls["operation"].value = operation
        after, numbers = operate(model, output, operation, 2, DIRECTIONS, right=0.25)
        expected = surgery_figure(IMAGES, output, after, numbers, f"{operation} slot 2")
        assert table.picture.value == base64.b64decode(png(expected, DPI))
        drawn.append(table.picture.value)
    assert len(set(drawn)) == 3


def test_the_gallery_has_a_column_for_each_model_and_the_curves_a_line():
    maps = {"good": torch.zeros(2, 16, 16).long(), "bad": torch.ones(2, 16, 16).long()}
    figure = gallery_figure(IMAGES, torch.zeros(2, 16, 16).long(), maps, {"bad": "mBO 0.10"})
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["input", "true", "good", "bad\nmBO 0.10"]
    assert np.allclose(pictures(figure)[3], SLOT_COLORS[1])
    figure = curve_figure(
        {"FG-ARI": {"SMM": [0.1, 0.9], "Slot Attention": [0.2, 0.3]}}, [1, 2], "iterations", mark=2
    )
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines[:2]] == ["SMM", "Slot Attention"]
    assert lines[0].get_ydata().tolist() == [0.1, 0.9]
