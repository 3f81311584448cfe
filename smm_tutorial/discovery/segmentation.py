"""Which slot owns each pixel, by three kinds of masks, and what a mixture on raw pixels finds.

Maps of owners are argmaxes; where one is enlarged, it is by nearest neighbour.
"""

import warnings
from typing import Literal

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from smm_tutorial.arguments import check_whole
from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.discovery.slot_selection import select_all_slots, select_slots_by_bic
from smm_tutorial.slots.base import check_choice

#: Whose a pixel is: by the slots' responsibilities for the pixel itself | by the decoder's masks
#: alone | by the slot module's responsibilities for its inputs, enlarged.
Masks = Literal["responsibilities", "decoder", "slots"]
#: Which slots may own pixels: all | those that BIC keeps, see `slot_selection`. No labels are used.
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
) -> Tensor:
    """`segment_by_all_masks`, by one kind of masks -> integers `(M, H, W)`, on the CPU."""
    return segment_by_all_masks(model, data, seed, num_slots, starts, selection)[masks]


@torch.no_grad()
def segment_by_all_masks(
    model: ObjectDiscovery,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    starts: int = 1,
    selection: Selection = "all",
) -> dict[Masks, Tensor]:
    """The slot that owns each pixel of each image, by every kind of masks -> integers `(M, H, W)`,
    on the CPU.

    Args:
        seed: of the slots' starts.
        num_slots: as built if not given.
        starts: how many are tried for each image; the one that explains the image's pixels best is
            kept, as a mixture model keeps the best of `n_init`.
        selection: which slots may own pixels. With `bic` the best start is the one with the highest
            penalised likelihood.

    Raises:
        ValueError: starts or slots that are no whole number of at least 1, or another selection.
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
            output = model(images, num_slots=num_slots, noise=noise)
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


def enlarge_owners(owners: Tensor, size: tuple[int, int]) -> Tensor:
    """Owners of the cells of a square grid `(B, N)`, row by row, as maps `(B, H, W)`, by nearest
    neighbour.
    """
    side = round(owners.shape[1] ** 0.5)
    cells = owners.unflatten(1, (1, side, side)).float()  # slots' numbers are exact as floats
    return nn.functional.interpolate(cells, size, mode="nearest-exact").squeeze(1).long()


def segment_pixels(data: SceneImages, num_clusters: int, seed: int = 0) -> Tensor:
    """A Gaussian mixture on each image's pixels as (r, g, b, x, y), standardised -> integers
    `(M, H, W)`.

    What clustering does without learning: the first row of every table. Each mixture has 50
    iterations, whether EM has converged by then or not.
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
