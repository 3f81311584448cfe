"""The widget of object discovery draws the static figures."""

import torch

from smm_tutorial.figures.discovery import OPERATIONS, operate_on_slot, surgery_figure
from smm_tutorial.widgets.controls import picture_bytes
from smm_tutorial.widgets.discovery import operating_table
from tests.toy_models import toy_discovery


def test_the_operating_table_draws_the_static_figure_of_each_operation():
    model, images, output = toy_discovery()
    directions = torch.ones(2, 16)
    table = operating_table(model, images, output, directions, 2)
    drawn = []
    for operation in OPERATIONS[::-1]:
        table.slider.controls["right"].value = 0.25
        table.slider.controls["operation"].value = operation
        after, numbers = operate_on_slot(model, output, operation, 2, directions, right=0.25)
        expected = surgery_figure(images, output, after, numbers, f"{operation} slot 2")
        assert table.picture.value == picture_bytes(expected)
        drawn.append(table.picture.value)
    assert len(set(drawn)) == 3
