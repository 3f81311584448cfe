"""Folders of one's own pictures: what is taken, what is left out and why, and what goes wrong."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets import DatasetError, own_pictures, survey_folder

SHAPES = [(40, 60), (64, 48), (33, 33)]  # height and width


def paint(path, height=40, width=60, color=(200, 30, 90), mode="RGB", **saving):
    """A picture of one colour with a bright square in its middle."""
    pixels = np.full((height, width, 3), color, np.uint8)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **saving)


def paint_mask(path, height=40, width=60):
    labels = np.zeros((height, width), np.uint8)
    labels[height // 4 : height // 2, width // 4 : width // 2] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def load(root, **options):
    return datasets.load("folder", root=root, **{"size": 32} | options)


def paths(names):
    return [name.as_posix() for name in names]


def test_pictures_of_all_sizes_and_kinds_in_nested_folders_are_read(tmp_path):
    for index, mode in enumerate(["RGB", "L", "P", "RGBA", "CMYK"]):
        paint(tmp_path / "deep" / f"{index}.png", *SHAPES[index % 3], mode="RGB")
        if mode in ("L", "P", "RGBA"):
            paint(tmp_path / f"{mode}.png", *SHAPES[index % 3], mode=mode)
    paint(tmp_path / "photo.JPG", 50, 70, mode="CMYK")
    paint(tmp_path / "photo.webp")
    grey16 = np.full((40, 40), 40_000, np.uint16)
    Image.fromarray(grey16).save(tmp_path / "grey16.png")
    parts = [load(tmp_path, split=split) for split in own_pictures.SPLITS]
    assert parts[0].images.shape[1:] == (3, 32, 32)
    assert parts[0].masks is None and parts[0].records is None
    names = [name for part in parts for name in part.filenames]
    assert len(names) == len(set(names)) == 11
    (part,) = (part for part in parts if "grey16.png" in part.filenames)
    assert part.images[part.filenames.index("grey16.png")].unique().tolist() == [40_000 >> 8]


def test_a_picture_that_a_camera_took_lying_down_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[:, 40:] = 255  # lies right in the file, and below once it is turned
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = load(tmp_path, crop=None, size=(60, 30)).images[0].float().mean(dim=0)
    assert image[50:].mean() > 240 and image[:30].mean() < 15


def test_fewer_than_ten_pictures_are_all_in_every_split_and_the_survey_says_so(tmp_path):
    for index in range(5):
        paint(tmp_path / f"{index}.png")
    assert all(len(load(tmp_path, split=split)) == 5 for split in own_pictures.SPLITS)
    assert load(tmp_path).provenance["splits_share_pictures"]
    assert "scores are about pictures that training saw" in str(survey_folder(tmp_path))


def test_every_tenth_picture_is_held_out_or_folders_say_which(tmp_path):
    for index in range(25):
        paint(tmp_path / "all" / f"{index:02}.png")
    survey = survey_folder(tmp_path / "all")
    assert paths(survey.pictures["test"]) == ["09.png", "19.png"]
    assert paths(survey.pictures["val"]) == ["08.png", "18.png"]
    assert len(survey.pictures["train"]) == 21 and not survey.shares_pictures
    paint(tmp_path / "own" / "train" / "a.png")
    paint(tmp_path / "own" / "test" / "b.png")
    assert load(tmp_path / "own", split="test").filenames == ["test/b.png"]
    with pytest.raises(ValueError, match="no pictures of split 'val': it has train, test"):
        load(tmp_path / "own", split="val")


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("a.jpg", "a_mask.png"),
        ("cats/a.png", "cats/a_mask.png"),
        ("cats/a.png", "masks/cats/a.png"),
        ("images/a.png", "masks/a.png"),
        ("train/images/a.png", "train/masks/a.png"),
    ],
)
def test_masks_lie_beside_their_pictures_or_in_a_folder_of_masks(tmp_path, picture, mask):
    paint(tmp_path / picture)
    paint_mask(tmp_path / mask)
    data = load(tmp_path)
    assert data.filenames == [picture]
    bright = data.images[0].float().mean(dim=0) > 225
    assert data.masks.unique().tolist() == [0, 1]
    assert (bright == (data.masks[0] == 1)).float().mean() > 0.9
    assert load(tmp_path, masks=False).masks is None


def test_what_is_no_picture_is_left_out_and_named(tmp_path):
    paint(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    survey = survey_folder(tmp_path)
    assert paths(survey.pictures["train"]) == ["a.png"]
    assert "left out, no picture by its name: notes.txt" in str(survey)


def test_a_picture_whose_name_ends_like_a_masks_is_a_picture_where_it_stands_alone(tmp_path):
    paint(tmp_path / "venetian_mask.png")
    paint(tmp_path / "a.png")
    paint(tmp_path / "a-mask.png")
    assert load(tmp_path).filenames == ["a-mask.png", "a.png", "venetian_mask.png"]
    said = str(survey_folder(tmp_path))
    assert "although named like masks: a-mask.png, venetian_mask.png. The mask of a.jpg is" in said


def test_an_empty_folder_and_none_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"holds no picture: pictures end in \.jpg"):
        load(tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        load(tmp_path / "absent")
    paint(tmp_path / "masks" / "a.png")
    with pytest.raises(DatasetError, match="holds no picture"):
        load(tmp_path)


def test_a_broken_picture_is_named_and_left_out_only_when_asked(tmp_path):
    for index in range(3):
        paint(tmp_path / f"{index}.png")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"1\.png is damaged .*or pass skip_broken=True"):
        load(tmp_path)
    with pytest.warns(UserWarning, match=r"1 of 3 pictures .* cannot be read .*: 1\.png"):
        data = load(tmp_path, skip_broken=True)
    assert data.filenames == ["0.png", "2.png"] and data.provenance["broken"] == ["1.png"]
    for index in (0, 2):
        (tmp_path / f"{index}.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="none of the 3 pictures"):
        load(tmp_path, skip_broken=True)


def test_masks_of_some_pictures_only_or_of_another_size_are_refused(tmp_path):
    paint(tmp_path / "a.png")
    paint(tmp_path / "b.png")
    paint_mask(tmp_path / "a_mask.png")
    with pytest.raises(DatasetError, match=r"1 of 2 pictures .* no mask: b\.png\. Add b_mask\.png"):
        load(tmp_path)
    assert len(load(tmp_path, masks=False)) == 2
    paint_mask(tmp_path / "b_mask.png", 20, 30)
    with pytest.raises(DatasetError, match="do not belong together"):
        load(tmp_path)


def test_masks_that_are_asked_for_must_be_there(tmp_path):
    paint(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="1 of 1 pictures"):
        load(tmp_path, masks=True)


def test_pictures_smaller_than_the_model_are_enlarged_with_a_warning(tmp_path):
    paint(tmp_path / "small.png", 10, 12)
    paint(tmp_path / "large.png", 64, 64)
    with pytest.warns(UserWarning, match=r"1 of 2 pictures are smaller than 32 x 32 .*small\.png"):
        assert load(tmp_path).images.shape == (2, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path, size=8)


def test_pictures_that_do_not_fit_into_memory_are_refused_with_the_number_that_does(
    tmp_path, monkeypatch
):
    for index in range(4):
        paint(tmp_path / f"{index}.png")
    memory = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 5}
    monkeypatch.setattr(own_pictures.os, "sysconf", memory.__getitem__)
    with pytest.raises(DatasetError, match=r"has 4 pictures .* and 2 of 32 x 32 .*limit=2"):
        load(tmp_path)
    assert len(load(tmp_path, limit=2)) == 2


def test_the_middle_is_cut_out_or_the_whole_is_squeezed(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert load(tmp_path, size=20).images.min() == 255
    squeezed = load(tmp_path, size=20, crop=None).images[0, 0]
    assert squeezed[:, :5].max() == 0 and squeezed[:, 8:12].min() == 255
    with pytest.raises(ValueError, match='crop must be "centre"'):
        load(tmp_path, crop="paper")


def test_the_order_of_names_decides_and_is_the_same_everywhere(tmp_path):
    for name in ("b.png", "a.png", "B.png", "c/a.png"):
        paint(tmp_path / name)
    assert load(tmp_path, limit=3).filenames == sorted(["b.png", "a.png", "B.png", "c/a.png"])[:3]
    assert torch.equal(load(tmp_path).images, load(tmp_path).images)
