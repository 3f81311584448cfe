"""The widgets of image reconstruction draw the static figures."""

import torch

from smm_tutorial.figures.reconstruction import growing_figure, relaxed_figure
from smm_tutorial.widgets import picture_grower, sample_cooler
from smm_tutorial.widgets.controls import picture_bytes


def test_the_sample_cooler_draws_the_static_figure_of_each_temperature():
    logits, noise = torch.tensor([0.0, 1.0, 2.0]), torch.rand(2, 3)
    cooler = sample_cooler(logits, noise, (4.0, 1.0, 0.1))
    drawn = set()
    for temperature in (1.0, 0.1, 4.0):
        cooler.slider.value = temperature
        expected = picture_bytes(relaxed_figure(logits, noise, temperature))
        assert cooler.picture.value == expected
        drawn.add(expected)
    assert len(drawn) == 3


def test_the_picture_grower_draws_the_static_figure_of_each_number_of_tokens():
    pictures = [torch.rand(3, 8, 8) for _ in range(2)]
    grower = picture_grower(pictures, 4)
    assert grower.slider.max == 4
    for tokens in (3, 4):
        grower.slider.value = tokens
        assert grower.picture.value == picture_bytes(growing_figure(pictures, tokens, 4))
