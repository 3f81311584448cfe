"""`SceneImages`, `choose_scenes`, resizing, and `datasets.load`'s own messages."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets.cropping import (
    AREA,
    BILINEAR,
    CROPS,
    NEAREST,
    crop_and_resize,
    crop_box,
    window_of_box,
)
from smm_tutorial.datasets.scene_images import (
    SceneImages,
    choose_scenes,
    join_scenes,
    labels_as_bytes,
)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return SceneImages(
        images=torch.randint(0, 256, (5, 3, 4, 6), generator=generator, dtype=torch.uint8),
        filenames=[f"{index}.png" for index in range(5)],
        name="made-up",
        split="train",
        licence="none",
        masks=torch.randint(0, 3, (5, 4, 6), generator=generator, dtype=torch.uint8),
        records=[{"objects": [], "image_filename": f"{index}.png"} for index in range(5)],
    )


def test_a_batch_holds_the_chosen_images_as_floats_and_masks_as_integers(data):
    batch = data.batch([3, 0, 3])
    assert batch.images.shape == (3, 3, 4, 6) and batch.images.dtype == torch.float32
    assert batch.masks.shape == (3, 4, 6) and batch.masks.dtype == torch.int64
    torch.testing.assert_close(batch.images * 255, data.images[[3, 0, 3]].float())
    assert torch.equal(batch.masks, data.masks[[3, 0, 3]].long())
    assert torch.equal(data.batch(torch.tensor([1, 2])).images, data.batch(slice(1, 3)).images)


def test_joined_data_have_masks_if_all_parts_do(data):
    both = join_scenes([data, data.subset([1, 0])])
    assert len(both) == 7 and both.filenames[5:] == ["1.png", "0.png"]
    assert torch.equal(both.masks[5:], data.masks[[1, 0]])
    without = join_scenes([data, replace(data, masks=None)])
    assert without.masks is None and len(without.records) == 10


def test_the_largest_byte_becomes_exactly_one():
    white = SceneImages(
        torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), ["w"], "made-up", "train", "none"
    )
    assert white.batch([0]).images.max().item() == 1.0
    assert white.batch([0]).masks is None


@pytest.mark.parametrize("indices", [[4, 1], torch.tensor([4, 1]), slice(0, 2)])
def test_a_subset_keeps_images_masks_records_and_names_together(data, indices):
    subset = data.subset(indices)
    assert len(subset) == 2 and subset.name == data.name
    for index, filename in enumerate(subset.filenames):
        origin = data.filenames.index(filename)
        assert torch.equal(subset.images[index], data.images[origin])
        assert torch.equal(subset.masks[index], data.masks[origin])
        assert subset.records[index] is data.records[origin]


def test_moving_keeps_everything(data):
    moved = data.to("meta")
    assert moved.images.device.type == moved.masks.device.type == "meta"
    assert moved.records is data.records and len(moved) == 5 and moved.size == (4, 6)


def test_its_text_is_short_and_tells_what_it_is(data):
    assert repr(data) == "<SceneImages made-up/train: 5 scenes, 4 x 6, masks and records>"


def test_parts_that_disagree_are_refused(data):
    with pytest.raises(ValueError, match=r"images must be uint8 \(M, 3, H, W\), got torch.float32"):
        SceneImages(data.images.float(), data.filenames, "n", "s", "l")
    with pytest.raises(
        ValueError, match=r"masks must be uint8 \(5, 4, 6\).*got torch.uint8 \(5, 4, 5\)"
    ):
        SceneImages(data.images, data.filenames, "n", "s", "l", masks=data.masks[:, :, 1:])
    with pytest.raises(ValueError, match="records must be as many as the images, 5, got 4"):
        SceneImages(data.images, data.filenames, "n", "s", "l", records=data.records[:4])


def test_images_and_masks_of_other_types_are_told_the_way_to_bytes(data):
    def refusal(**changes):
        with pytest.raises(ValueError, match="must be uint8") as caught:
            replace(data, **changes)
        return str(caught.value)

    floats = data.images.float()
    assert "from 0 to 255" in refusal(images=floats) and "images.byte()" in refusal(images=floats)
    assert "from nan to nan" in refusal(images=floats.fill_(torch.nan))
    assert "from -1 to 1" in refusal(images=torch.linspace(-1, 1, 360).view(5, 3, 4, 6))
    assert "from 0 to 300" in refusal(masks=data.masks.int() * 150)
    assert "from 0 to 2" in refusal(masks=data.masks.to(torch.uint16))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint16, np.int64, ">u2"])
def test_labels_of_every_type_become_bytes(dtype):
    labels = labels_as_bytes(np.array([[0, 1], [1, 0]], dtype=dtype))
    assert labels.dtype == np.uint8 and labels.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("label", [-1, 256, 257, 65_535, 2**40])
def test_a_label_beyond_a_byte_is_refused_and_not_wrapped(label):
    with pytest.raises(ValueError, match=f"label {label}, but a mask holds labels from 0 to 255"):
        labels_as_bytes(np.array([[0, label]]))


def test_scenes_are_chosen_by_objects_first_and_then_limited():
    counts = [3, 7, 6, 5, 10, 6]
    assert choose_scenes(counts, 6, limit=2, max_objects=6) == [0, 2]
    assert choose_scenes(counts, 6, min_objects=6, max_objects=7) == [1, 2, 5]
    assert choose_scenes(None, 4, limit=3) == [0, 1, 2]
    assert choose_scenes(None, 4) == [0, 1, 2, 3]
    with pytest.raises(
        ValueError, match="none of the 6 scenes has 11 to inf objects; they have 3 to 10"
    ):
        choose_scenes(counts, 6, min_objects=11)
    with pytest.raises(ValueError, match="need scene records"):
        choose_scenes(None, 4, max_objects=6)
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1, got 0"):
        choose_scenes(counts, 6, limit=0)


def test_shrinking_takes_means_of_images_and_keeps_labels_of_masks():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    halved = crop_and_resize(pixels, (0, 0, 12, 8), (4, 6), AREA)
    means = pixels.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - means).max() <= 1  # Pillow rounds twice, along rows and along columns
    mask = np.kron(np.array([[0, 7], [3, 9]], dtype=np.uint8), np.ones((5, 5), dtype=np.uint8))
    for size in (2, 3, 7, 20):
        assert set(np.unique(crop_and_resize(mask, (0, 0, 10, 10), size, NEAREST))) == {0, 3, 7, 9}


def test_bilinear_shrinking_is_antialiased():
    stripes = np.zeros((16, 16, 3), dtype=np.uint8)
    stripes[:, ::2] = 200  # a picture without antialiasing would be all 0 or all 200
    inside = crop_and_resize(stripes, (0, 0, 16, 16), 4, BILINEAR)[:, 1:-1]
    assert np.abs(inside.astype(int) - 100).max() <= 15


def test_the_papers_crop_is_rows_29_to_221_and_columns_64_to_256():
    pixels = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    cropped = crop_and_resize(pixels, crop_box(240, 320, "paper"), None, BILINEAR)
    assert np.array_equal(cropped, pixels[29:221, 64:256])


def test_the_smm_crop_is_the_central_256_of_320_by_480():
    assert crop_box(320, 480, "smm") == (112, 32, 368, 288)


@pytest.mark.parametrize("crop", [*CROPS, None, (0.2, 0.1, 0.9, 0.6)])
def test_one_crop_shows_one_piece_of_the_world_in_images_of_either_shape(crop):
    """A 320 x 480 image is a 360 x 480 one (4:3) without its first and last 20 rows."""
    left, top, right, bottom = crop_box(320, 480, crop)
    if crop is not None:
        assert crop_box(360, 480, crop) == pytest.approx(
            (left, top + 20, right, bottom + 20), abs=1e-5
        )
        assert window_of_box(320, 480, (left, top, right, bottom)) == pytest.approx(
            CROPS.get(crop, crop), abs=1e-6
        )
    else:
        assert window_of_box(320, 480, (left, top, right, bottom)) == pytest.approx(
            (20 / 360, 0, 340 / 360, 1)
        )


def test_impossible_crops_and_sizes_are_refused():
    with pytest.raises(ValueError, match="unknown crop 'papers': known are paper, smm"):
        crop_box(240, 320, "papers")
    with pytest.raises(ValueError, match="fractions of the 4:3 frame"):
        crop_box(240, 320, (29, 64, 221, 256))
    with pytest.raises(ValueError, match="rows -20 to 340 of an image that has 320"):
        crop_box(320, 480, (0.0, 0.0, 1.0, 1.0))
    for size in (0, (3, 4, 5), 2.5):
        with pytest.raises(ValueError, match="^size must be "):
            crop_and_resize(np.zeros((4, 4), dtype=np.uint8), (0, 0, 4, 4), size, NEAREST)


def test_load_names_what_it_knows():
    with pytest.raises(
        ValueError,
        match="unknown data set 'clever': known are clevr6, rendered, clevr, clevr-with-masks",
    ):
        datasets.load("clever")
    with pytest.raises(
        ValueError, match="'clevr6' has no option masks: known are root, limit, min_objects"
    ):
        datasets.load("clevr6", masks=True)
    with pytest.raises(ValueError, match="'clevr-renders' needs root"):
        datasets.load("clevr-renders")


def test_pixels_beyond_the_crop_have_no_say():
    pixels = np.random.default_rng(2).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    boxed = crop_and_resize(pixels, (4.0, 2.0, 28.0, 20.0), (9, 12), BILINEAR)
    cropped = np.asarray(Image.fromarray(pixels[2:20, 4:28]).resize((12, 9), BILINEAR))
    assert np.array_equal(boxed, cropped)


NOT_WHOLE = [1.5, 2.0, "2", True, float("nan"), [2], -(10**5000), b"2", np.float32(2)]
NUMBERS = [("clevr6", option) for option in ("size", "limit", "min_objects", "max_objects")]
NUMBERS += [("rendered", option) for option in ("count", "seed", "workers", "min_objects")]


@pytest.mark.parametrize(("name", "option"), NUMBERS)
@pytest.mark.parametrize("value", NOT_WHOLE, ids=lambda value: type(value).__name__)
def test_a_number_that_is_not_whole_is_named(name, option, value):
    with pytest.raises(ValueError, match=f"^{option} must be "):
        datasets.load(name, split="val", **{option: value})


@pytest.mark.parametrize("option", ["size", "count", "seed", "workers"])
def test_a_number_without_measure_is_named(option):
    with pytest.raises(ValueError, match=f"^{option} must be "):
        datasets.load("rendered" if option != "size" else "clevr6", **{option: 10**5000})


@pytest.mark.parametrize("size", [(2, 3.0), (2, "3"), (True, 2), (2,), (1, 2, 3), (10**400, 1), {}])
def test_a_size_that_is_none_is_named(size):
    with pytest.raises(ValueError, match="^size must be "):
        datasets.load("clevr6", split="val", limit=1, size=size)


@pytest.mark.parametrize("split", [b"val", None, 1, ["val"], {}])
@pytest.mark.parametrize("name", ["clevr6", "rendered", "coco"])
def test_a_split_that_is_no_text_is_named(name, split):
    with pytest.raises(ValueError, match="has no split .*: known are"):
        datasets.load(name, split=split)


@pytest.mark.parametrize("name", [None, 3, b"clevr6", ["clevr6"]])
def test_a_name_that_is_no_text_is_named(name):
    with pytest.raises(ValueError, match="unknown data set .*: known are"):
        datasets.load(name)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_numpys_integers_are_numbers_and_provenance_stays_json(kind, tmp_path):
    def load(whole):
        sizes, bounds = (whole(6), whole(8)), {"min_objects": whole(3), "max_objects": whole(4)}
        few = datasets.load("clevr6", split="val", size=whole(8), limit=whole(2), **bounds)
        folder, look = tmp_path / whole.__name__, {"variant": "clevr6", "size": sizes}
        drawn = datasets.load("rendered", count=whole(1), seed=whole(1), folder=folder, **look)
        return few, drawn

    for numpys, plain in zip(load(kind), load(int), strict=True):
        assert torch.equal(numpys.images, plain.images) and len(plain) == len(numpys) > 0
        assert json.dumps(dict(numpys.provenance)) == json.dumps(dict(plain.provenance))


@pytest.mark.parametrize("name", datasets.DOWNLOADS)
@pytest.mark.parametrize("count", [0, 1.5, "2", True, None])
def test_what_is_no_number_of_images_is_not_fetched(name, count, tmp_path):
    with pytest.raises(ValueError, match="^count must be a whole number of at least 1, got "):
        datasets.fetch(name, count=count, folder=tmp_path)


@pytest.mark.parametrize("indices", [[0.5], torch.tensor([1.0]), [True, False], np.array([0.0])])
def test_indices_are_whole_numbers(data, indices):
    for choose in (data.batch, data.subset):
        with pytest.raises(ValueError, match="indices must be whole numbers, got torch"):
            choose(indices)


@pytest.mark.parametrize("indices", [[], torch.tensor([], dtype=torch.float64), np.array([2, 0])])
def test_no_indices_and_numpys_are_fine(data, indices):
    assert len(data.subset(indices)) == len(data.batch(indices).images) == len(indices)


@pytest.mark.parametrize("crop", [5, (0, 0, 1), ("0", 0, 1, 1), (0, 0, float("nan"), 1), {}])
def test_a_crop_that_is_none_is_named(crop):
    with pytest.raises(ValueError, match="crop must be .*fractions"):
        crop_box(240, 320, crop)
