"""Slot surgery: change the slots of scenes by hand, and see what a discovery model then paints.

Every operation takes a `SlotOutput` and returns a new `SlotOutput`; the given output does not
change. The new output holds only the slots and responsibilities, because `ObjectDiscovery.decode`
needs nothing else. Images of a batch and slots are numbered from 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.model import DiscoveryOutput, ObjectDiscovery
from smm_tutorial.metrics import mask_centres
from smm_tutorial.slots.base import SlotOutput

#: A slot counts as an object if its share of the picture lies between these two numbers. An empty
#: slot has a smaller share; the slot of the ground has a larger share.
SMALLEST = 0.005
LARGEST = 0.2
BATCH = 64  # images


def drop_slot(slots: SlotOutput, number: int) -> SlotOutput:
    """Removes slot `number` from every image. The other slots take over its pixels.

    Raises `ValueError` if there is no such slot.
    """
    _check(slots, 0, number)
    kept = torch.arange(slots.slots.shape[1]) != number
    return SlotOutput(slots.slots[:, kept], slots.responsibilities[:, :, kept])


def swap_slots(slots: SlotOutput, one: tuple[int, int], other: tuple[int, int]) -> SlotOutput:
    """Exchanges two slots, each given as (image, number), and their responsibilities for inputs.

    Raises `ValueError` if there is no such slot or image.
    """
    _check(slots, *one)
    _check(slots, *other)
    vectors = slots.slots.clone()
    responsibilities = slots.responsibilities.clone()
    for (image, number), (from_image, from_number) in ((one, other), (other, one)):
        vectors[image, number] = slots.slots[from_image, from_number]
        responsibilities[image, :, number] = slots.responsibilities[from_image, :, from_number]
    return SlotOutput(vectors, responsibilities)


def move_slot(
    slots: SlotOutput, place: tuple[int, int], down: float, right: float, directions: Tensor
) -> SlotOutput:
    """Changes a slot as slots change when their object moves.

    Args:
        slots: the slots of a batch.
        place: (image, number) of the slot.
        down, right: the distance, in heights and widths of the picture.
        directions: `(2, D)`, from `fit_position_directions`.

    Raises:
        ValueError: there is no such slot or image.
    """
    _check(slots, *place)
    vectors = slots.slots.clone()
    vectors[place] += torch.tensor([down, right]).to(vectors) @ directions.to(vectors)
    return SlotOutput(vectors, slots.responsibilities)


def find_object_slots(output: DiscoveryOutput, images: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the slots that hold an object, by the size of their masks, and the centre of each slot.

    images: `(B, 3, H, W)`.

    Returns:
        Whether a slot holds an object, bool `(B, K)`, and the centres of the slots' pixels,
        `(B, K, 2)`: down and right, in [0, 1].
    """
    masks = output.responsibilities(images)  # (B, K, H, W)
    shares = masks.mean(dim=(2, 3))  # (B, K)
    held = (shares > SMALLEST) & (shares < LARGEST)
    held.scatter_(1, shares.argmax(dim=1, keepdim=True), False)  # the largest slot is the ground
    return held, mask_centres(masks)


@torch.no_grad()
def fit_position_directions(
    model: ObjectDiscovery, data: SceneImages, seed: int = 0
) -> tuple[Tensor, float]:
    """Estimates how a slot changes when its object moves down or right by a whole picture.

    The function fits the slots of objects to the centres of their pixels, by least squares. It uses
    no labels.

    Args:
        model: the network.
        data: scenes, at the model's image size.
        seed: seed of the slots' starts.

    Returns:
        The directions `(2, D)`, down and right, and the share of the slots' variance that the
        position explains, in [0, 1].

    Raises:
        ValueError: fewer than three slots hold an object.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    found = []
    for first in range(0, len(data), BATCH):
        images = data.batch(slice(first, first + BATCH)).images.to(device)
        output = model(images, noise=model.start_noise(len(images), generator))
        held, centres = find_object_slots(output, images)
        found.append((output.slot_output.slots[held], centres[held]))
    vectors, places = (torch.cat(part).cpu().double() for part in zip(*found, strict=True))
    if len(vectors) < 3:
        raise ValueError(
            f"only {len(vectors)} slots of {len(data)} scenes hold an object: give more scenes, "
            "or train longer"
        )
    design = torch.cat([places, torch.ones_like(places[:, :1])], dim=1)  # (M, 3)
    fit = torch.linalg.lstsq(design, vectors).solution  # (3, D)
    left = (vectors - design @ fit).var(dim=0).sum() / vectors.var(dim=0).sum()
    return fit[:2].float(), 1 - left.item()


def _check(slots: SlotOutput, image: int, number: int) -> None:
    """Raises `ValueError` if there is no such image or slot."""
    batch, count = slots.slots.shape[:2]
    if not (0 <= image < batch and 0 <= number < count):
        raise ValueError(
            f"there is no slot {number} of image {image}: {batch} images with {count} slots each, "
            "counted from 0"
        )
