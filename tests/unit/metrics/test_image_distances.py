"""Distances of sets of images: their definitions by hand, and what they order rightly."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from smm_tutorial.metrics.image_distances import compare_image_sets

pytestmark = pytest.mark.needs_cpu("torchmetrics computes in doubles")


class Colours(nn.Module):
    """Features that are easy to follow: the mean colours of the four quarters of an image."""

    def forward(self, images):
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def draw(count, seed, mean=0.5):
    generator = torch.Generator().manual_seed(seed)
    return (mean + 0.1 * torch.randn(count, 3, 8, 8, generator=generator)).clamp(0, 1)


def test_both_distances_are_their_definitions():
    real, made, network = draw(50, 0), draw(50, 1, 0.55), Colours()
    found = compare_image_sets(real, made, network)
    x, y = (network(images).double().numpy() for images in (real, made))
    width, count = x.shape[1], 50

    def kernel(a, b):
        return (a @ b.T / width + 1) ** 3

    own = [(k.sum() - np.trace(k)) / (count * (count - 1)) for k in (kernel(x, x), kernel(y, y))]
    assert found["kernel"] == pytest.approx(sum(own) - 2 * kernel(x, y).mean(), abs=1e-5)
    covariances = [np.cov(points.T) for points in (x, y)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    frechet = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert found["frechet"] == pytest.approx(frechet, rel=1e-2)


def test_images_of_another_kind_are_further_away():
    real = draw(70, 0)
    alike, other = (compare_image_sets(real, draw(70, 1, m), Colours()) for m in (0.5, 0.6))
    assert abs(alike["kernel"]) < 0.1 * other["kernel"]
    assert alike["frechet"] < 0.2 * other["frechet"]


def test_one_image_has_no_spread():
    with pytest.raises(ValueError, match="both sets must have at least 2 images, got 3 and 1"):
        compare_image_sets(draw(3, 0), draw(1, 0), Colours())
