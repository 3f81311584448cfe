"""Distances between two sets of images: how much made images look like real ones, as a whole.

Both distances compare features of a network. Their values depend on the network, so never compare
values of two networks. Only with the Inception network are they called KID and FID.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

BATCH = 64  # images


def compare_image_sets(real: Tensor, made: Tensor, network: nn.Module) -> dict[str, float]:
    """Computes the kernel distance and the Frechet distance of two sets of images.

    - `kernel`: the squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018,
      arXiv 1801.01401), without bias. It may be a little below 0.
    - `frechet`: the distance of two Gaussians with the features' means and covariances (Heusel et
      al. 2017, arXiv 1706.08500). It is biased: with few images it is too large. If there are fewer
      images than features, the covariances have no full rank.

    Args:
        real, made: `(M, 3, H, W)` in [0, 1], at least two images each.
        network: computes features `(B, F)` of images.

    Raises `ValueError` for fewer than two images.
    """
    fewest = min(len(real), len(made))
    if fewest < 2:
        raise ValueError(f"both sets must have at least 2 images, got {len(real)} and {len(made)}")
    features = [_find_features(images, network) for images in (real, made)]
    width = features[0].shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the metric keeps all features
        kernel = KernelInceptionDistance(_Given(width), subsets=1, subset_size=fewest)
        frechet = FrechetInceptionDistance(_Given(width))
    for metric in (kernel, frechet):
        for found, is_real in zip(features, (True, False), strict=True):
            metric.update(found, real=is_real)
    return {"kernel": kernel.compute()[0].item(), "frechet": frechet.compute().item()}


class _Given(nn.Module):
    """Passes features on, because they are computed once for both distances."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Any) -> Any:
        return features


@torch.no_grad()
def _find_features(images: Tensor, network: nn.Module) -> Tensor:
    return torch.cat([network(part).float().cpu() for part in images.split(BATCH)])
