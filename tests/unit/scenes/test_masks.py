"""Masks from records alone agree with masks made elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial.scenes import PAPER_CROP, Scene, random_scene, read_records
from smm_tutorial.scenes.masks import scene_masks
from tests.shared import SHARED

SHARED_DATA = SHARED / "data"


def object_ious(scene: Scene, path: Path) -> list[float]:
    """Intersection over union of every object of a scene with the mask image at `path`."""
    truth = np.array(Image.open(path))
    ours = scene_masks(scene, *truth.shape).numpy()
    pairs = [(truth == k, ours == k) for k in range(1, len(scene.objects) + 1)]
    return [(a & b).sum() / max((a | b).sum(), 1) for a, b in pairs]


def test_masks_of_official_images():
    folder = SHARED_DATA / "derived_masks"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    ious = []
    for split in ("train", "val"):
        records = SHARED_DATA / "CLEVR_v1.0" / "scenes" / f"CLEVR_{split}_scenes.json"
        for scene in read_records(records):
            if (folder / scene.filename).is_file():
                ious.append(np.mean(object_ious(scene, folder / scene.filename)))
    print(f"mean IoU against the derived masks of {len(ious)} official images: {np.mean(ious):.4f}")
    assert len(ious) == 5
    assert np.mean(ious) >= 0.97


def test_masks_of_blender_renders():
    folder = SHARED_DATA / "blender_320x240"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    scenes = read_records(folder / "scenes.json")[:30]
    ious = [np.mean(object_ious(scene, folder / "masks" / scene.filename)) for scene in scenes]
    print(f"mean IoU against {len(ious)} Blender masks: {np.mean(ious):.4f}, worst {min(ious):.4f}")
    assert np.mean(ious) >= 0.995 and min(ious) >= 0.985


@pytest.fixture(scope="module")
def scene() -> Scene:
    return random_scene(np.random.default_rng(5), min_objects=6, max_objects=6)


def test_masks_are_integers_that_number_the_objects(scene):
    masks = scene_masks(scene, 60, 80)
    assert masks.shape == (60, 80) and masks.dtype == torch.int64
    assert masks.unique().tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_the_window_is_the_crop_of_the_full_frame(scene):
    full = scene_masks(scene, 240, 320)
    cropped = scene_masks(scene, 192, 192, window=PAPER_CROP)
    # rounding may move a pixel at an edge
    assert (full[29:221, 64:256] != cropped).float().mean() < 1e-4


def test_the_order_of_objects_only_renumbers_them(scene):
    order = [3, 0, 5, 1, 4, 2]
    permuted = replace(scene, objects=tuple(scene.objects[k] for k in order))
    renumber = torch.tensor([0, *(k + 1 for k in order)])
    torch.testing.assert_close(renumber[scene_masks(permuted, 60, 80)], scene_masks(scene, 60, 80))


def test_taking_an_object_away_uncovers_what_is_behind(scene):
    whole = scene_masks(scene, 60, 80)
    without = scene_masks(replace(scene, objects=scene.objects[:-1]), 60, 80)
    last = whole == len(scene.objects)
    assert bool((whole == without)[~last].all())
    assert int(without.max()) == len(scene.objects) - 1


def test_a_recovered_camera_gives_the_same_masks(scene):
    full, blind = scene_masks(scene, 160, 240), scene_masks(replace(scene, camera=None), 160, 240)
    assert (full != blind).float().mean() < 0.005


def test_an_object_is_seen_at_its_pixel_coords(scene):
    masks = scene_masks(scene, 320, 480)
    nearest = min(range(6), key=lambda k: scene.objects[k].pixel_coords[2])
    column, row, _ = scene.objects[nearest].pixel_coords
    assert int(masks[row, column]) == nearest + 1


def test_a_scene_without_objects_is_background(scene):
    assert not scene_masks(replace(scene, objects=()), 12, 16).any()


def test_a_scene_without_a_camera_is_refused(scene):
    with pytest.raises(ValueError, match="neither 'camera' nor 'pixel_coords'"):
        scene_masks(replace(scene, objects=(), camera=None), 12, 16)
