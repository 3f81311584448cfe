"""Folders of images, masks and scene records: labels that fit, sizes and names that agree."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial.datasets.cropping import centre_box
from smm_tutorial.datasets.image_files import read_images, read_masks, read_scene_file
from smm_tutorial.datasets.scene_images import DatasetError

WHOLE = partial(centre_box, share=None)


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_grey_of_16_bits_keeps_its_upper_byte(tmp_path):
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16)[None].repeat(4, 0)
    image = read_images([save(tmp_path / "x.png", ramp)], WHOLE, None)
    assert torch.equal(image, torch.arange(256, dtype=torch.uint8).expand(1, 3, 4, 256))


@pytest.mark.parametrize("labels", [np.uint16([[0, 256]]), np.int32([[0, 70_000]])])
def test_a_label_that_a_byte_cannot_hold_is_refused_with_file_and_number(tmp_path, labels):
    path = save(tmp_path / "x.tif", labels)
    with pytest.raises(DatasetError, match=rf"x\.tif has label {labels.max()}, .* 0 to 255"):
        read_masks([path], WHOLE, None)
    with pytest.raises(DatasetError, match=r"x\.tif has label -1, "):
        read_masks([save(path, np.int32([[0, -1]]))], WHOLE, None)


def test_labels_that_a_reader_finds_are_not_wrapped_either(tmp_path):
    path = save(tmp_path / "x.png", np.full((2, 2), 150, np.uint8))
    with pytest.raises(DatasetError, match=r"x\.png has label 300, "):
        read_masks([path], WHOLE, None, lambda pixels: 2 * pixels[..., 0].astype(int))
    mask = read_masks([path], WHOLE, None, lambda pixels: pixels[..., 0].astype(np.int64))
    assert mask.dtype == torch.uint8 and mask.unique().tolist() == [150]


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path):
    image = save(tmp_path / "image.png", np.zeros((6, 9, 3), np.uint8))
    mask = save(tmp_path / "mask.png", np.zeros((9, 6), np.uint8))
    with pytest.raises(DatasetError, match=r"mask\.png is \(9, 6\).*image\.png is \(6, 9\)"):
        read_masks([mask], WHOLE, 4, images=[image])
    assert read_masks([mask], WHOLE, 4).shape == (1, 4, 4)


def test_a_mask_is_as_large_as_the_image_that_a_turn_sets_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 6)).save(tmp_path / "image.jpg", exif=exif)
    mask = save(tmp_path / "mask.png", np.zeros((9, 6), np.uint8))
    images = [tmp_path / "image.jpg"]
    assert read_masks([mask], WHOLE, None, images=images).shape == (1, 9, 6)
    assert read_images(images, WHOLE, None).shape == (1, 3, 9, 6)


def scenes(name="0.png"):
    return {"scenes": [{"image_filename": name, "objects": []}]}


@pytest.mark.parametrize(
    "name", ["../0.png", "/etc/0.png", "a/../../0.png", "C:/0.png", "a\\0.png"]
)
def test_a_record_cannot_name_an_image_outside_its_folder(tmp_path, name):
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps(scenes(name)))
    with pytest.raises(
        DatasetError, match=r"scenes\.json: scene 0: .* is refused as a file's name"
    ):
        read_scene_file(path)


def test_a_scenes_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps(scenes()), encoding="utf-8-sig")
    assert read_scene_file(path) == scenes()
    path.write_text("[" * 100_000)
    with pytest.raises(DatasetError, match=r"scenes\.json is nested too deeply"):
        read_scene_file(path)


@pytest.mark.parametrize("share", [0.8, 1.0])
def test_a_single_pixel_can_be_cropped_and_enlarged(tmp_path, share):
    path = save(tmp_path / "x.png", np.full((1, 1, 3), 7, np.uint8))
    for size, shape in ((None, (1, 3, 1, 1)), (4, (1, 3, 4, 4))):
        image = read_images([path], partial(centre_box, share=share), size)
        assert image.shape == shape and image.unique().tolist() == [7]
