"""Finds the slot that owns each pixel, by three kinds of masks. Also clusters raw pixels.

The owner of a pixel is the slot with the largest mask there (argmax). The map of a coarser grid is
enlarged with nearest neighbours.
"""

import warnings
from typing import Literal

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from smm_tutorial.arguments import check_choice, check_whole
from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.metrics.segmentation import enlarge_owners
from smm_tutorial.slots.slot_selection import select_all_slots, select_slots_by_bic

#: Which masks decide the owner of a pixel. `responsibilities`: the responsibilities of the slots
#: for the pixel itself. `decoder`: the decoder's masks. `slots`: the slot module's responsibilities
#: for its inputs, enlarged.
Masks = Literal["responsibilities", "decoder", "slots"]
#: Which slots may own pixels. `all`: all slots. `bic`: the slots that the Bayesian information
#: criterion keeps, without labels; see `slot_selection`.
Selection = Literal["all", "bic"]
SELECTIONS = {"all": select_all_slots, "bic": select_slots_by_bic}
BATCH = 64  # images


def segment(
    model: ObjectDiscovery,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    masks: Masks = "responsibilities",
    starts: int = 1,
    selection: Selection = "all",
    num_iterations: int | None = None,
) -> Tensor:
    """Finds the slot that owns each pixel, by one kind of masks -> integers `(M, H, W)`.

    The result lies on the CPU. masks: the kind of masks; see `Masks`. The other arguments and the
    errors are those of `segment_by_all_masks`.
    """
    by_masks = segment_by_all_masks(model, data, seed, num_slots, starts, selection, num_iterations)
    return by_masks[masks]


@torch.no_grad()
def segment_by_all_masks(
    model: ObjectDiscovery,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    starts: int = 1,
    selection: Selection = "all",
    num_iterations: int | None = None,
) -> dict[Masks, Tensor]:
    """Finds the slot that owns each pixel, by every kind of masks.

    Args:
        model: the network.
        data: M images, at the model's image size.
        seed: seed of the slots' starts.
        num_slots: K; by default the model's.
        starts: number of starts per image. The function keeps the start that explains the pixels of
            the image best, as a mixture model keeps the best of `n_init` starts.
        selection: which slots may own pixels; see `Selection`. With `bic` the best start has the
            highest penalised likelihood.
        num_iterations: number of iterations of the slot module; by default the model's.

    Returns:
        Integers `(M, H, W)` on the CPU for each kind of masks.

    Raises:
        ValueError: a number of starts, slots or iterations that is not a whole number of at least
            1, or an unknown selection.
    """
    starts = check_whole("starts", starts)
    check_choice("selection", selection, SELECTIONS)
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    maps: dict[Masks, list[Tensor]] = {"responsibilities": [], "decoder": [], "slots": []}
    for first in range(0, len(data), BATCH):
        images = data.batch(slice(first, first + BATCH)).images.to(device)
        best = torch.full((len(images),), -torch.inf, device=device)
        kept: dict[Masks, Tensor] = {}
        for _ in range(starts):
            noise = model.start_noise(len(images), generator, num_slots)
            output = model(images, num_iterations, num_slots, noise)
            selected = SELECTIONS[selection](output, images)
            shares = output.slot_output.responsibilities  # (B, N, K)
            shares = shares.masked_fill(~selected.kept[:, None], -1)
            found = {
                "responsibilities": selected.log_joint.argmax(dim=1),
                "decoder": selected.log_masks.argmax(dim=1),
                "slots": enlarge_owners(shares.argmax(dim=2), data.size),
            }  # (B, H, W) each
            better = (selected.penalised_likelihood > best)[:, None, None]
            for name, owners in found.items():
                kept[name] = torch.where(better, owners, kept.get(name, owners))
            best = torch.maximum(best, selected.penalised_likelihood)
        for name, owners in kept.items():
            maps[name].append(owners.cpu())
    return {name: torch.cat(owners) for name, owners in maps.items()}


def segment_pixels(data: SceneImages, num_clusters: int, seed: int = 0) -> Tensor:
    """Clusters the pixels of each image by a Gaussian mixture -> integers `(M, H, W)`.

    A pixel is the point (r, g, b, x, y), standardised over the image. This baseline shows what
    clustering finds without learning; it is the first row of every table. EM stops after at most 50
    iterations, even if it has not converged.
    """
    height, width = data.size
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    maps = []
    for image in data.images.cpu().numpy():
        points = np.concatenate([image.reshape(3, -1), x[None], y[None]]).T.astype(
            float
        )  # (H W, 5)
        points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)
        mixture = GaussianMixtureEM(
            num_clusters, covariance_type="full", reg_covar=1e-4, random_state=seed, max_iter=50
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            maps.append(mixture.fit_predict(points).reshape(height, width))
    return torch.from_numpy(np.stack(maps))
