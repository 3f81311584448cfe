"""CLEVR as released and folders of renders: tiny ones with every fault, and real ones if there."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.scenes import random_scene
from tests.shared import SHARED

SHARED_DATA = SHARED / "data"
needs_clevr = pytest.mark.skipif(
    not (SHARED_DATA / "CLEVR_v1.0").is_dir(), reason="no CLEVR sample beside the repository"
)
needs_renders = pytest.mark.skipif(
    not (SHARED_DATA / "blender_320x240").is_dir(), reason="no renders beside the repository"
)


def pixels_of(index, height, width):
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_scenes(path, scenes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            {"info": {"license": "made up"}, "scenes": [scene.to_record() for scene in scenes]}
        )
    )


def scenes_of(split, count):
    generator = np.random.default_rng(0)
    return [
        random_scene(generator, 3, 4 + index, image_index=index, split=split)
        for index in range(count)
    ]


@pytest.fixture
def clevr(tmp_path):
    """CLEVR's layout: 3 train images (RGBA, as released) with records, 2 test images without."""
    folder = tmp_path / "CLEVR_v1.0"
    for split, count in (("train", 3), ("test", 2)):
        (folder / "images" / split).mkdir(parents=True)
        for index in range(count):
            opaque = np.dstack(
                [pixels_of(index, 320, 480), np.full((320, 480), 255, dtype=np.uint8)]
            )
            Image.fromarray(opaque).save(
                folder / "images" / split / f"CLEVR_{split}_{index:06d}.png", compress_level=1
            )
    write_scenes(folder / "scenes" / "CLEVR_train_scenes.json", scenes_of("train", 3))
    return folder


@pytest.fixture
def renders(tmp_path):
    """A folder of renders: 3 images of 240 x 320 with masks."""
    scenes = scenes_of("train", 3)
    write_scenes(tmp_path / "scenes.json", scenes)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index, scene in enumerate(scenes):
        Image.fromarray(pixels_of(index, 240, 320)).save(
            tmp_path / "images" / scene.filename, compress_level=1
        )
        mask = np.random.default_rng(index).integers(
            0, len(scene.objects) + 1, (240, 320), dtype=np.uint8
        )
        Image.fromarray(mask).save(tmp_path / "masks" / scene.filename)
    return tmp_path


def scenes_file(folder):
    return folder / "scenes" / "CLEVR_train_scenes.json"


def test_clevr_loads_from_its_folder_or_the_one_above(clevr):
    for root in (clevr, clevr.parent, str(clevr)):
        data = datasets.load("clevr", root=root)
        assert data.filenames == [f"CLEVR_train_{index:06d}.png" for index in range(3)]
        assert data.images.shape == (3, 3, 320, 480) and data.masks is None
        assert np.array_equal(data.images[1].permute(1, 2, 0), pixels_of(1, 320, 480))
        assert data.records == json.loads(scenes_file(clevr).read_text())["scenes"]


def test_a_split_without_records_gives_images_alone(clevr):
    data = datasets.load("clevr", split="test", root=clevr, size=16)
    assert data.images.shape == (2, 3, 16, 16) and data.masks is None and data.records is None
    assert data.batch([0]).masks is None
    for option in ({"masks": True}, {"max_objects": 6}):
        with pytest.raises(
            ValueError, match=r"need scene records, and there is no .*CLEVR_test_scenes\.json"
        ):
            datasets.load("clevr", split="test", root=clevr, **option)


def test_clevr_can_be_narrowed_by_objects(clevr):
    counts = [len(scene.objects) for scene in scenes_of("train", 3)]
    for bound in set(counts):
        data = datasets.load("clevr", root=clevr, size=8, max_objects=bound)
        assert data.filenames == [
            f"CLEVR_train_{i:06d}.png" for i, count in enumerate(counts) if count <= bound
        ]
    assert datasets.load("clevr", root=clevr, size=8, limit=1).filenames == [
        "CLEVR_train_000000.png"
    ]


@pytest.mark.parametrize("crop", [None, "paper", "smm", (0.3, 0.2, 0.8, 0.7)])
def test_computed_masks_have_the_images_shape_and_know_the_objects(clevr, crop):
    data = datasets.load("clevr", root=clevr, size=(40, 56), crop=crop, masks=True, limit=2)
    assert data.masks.shape == (2, 40, 56) and data.masks.dtype == torch.uint8
    for mask, record in zip(data.masks, data.records, strict=True):
        assert 0 < mask.max() <= len(record["objects"])


def test_a_computed_mask_does_not_wrap_its_labels(clevr, monkeypatch):
    mask = torch.tensor([[0, 256]])
    monkeypatch.setattr("smm_tutorial.datasets.others.clevr.scene_masks", lambda *_: mask)
    with pytest.raises(
        DatasetError, match=r"scenes\.json: no mask of CLEVR_train_000000\.png: label 256, "
    ):
        datasets.load("clevr", root=clevr, size=8, masks=True)


def test_a_damaged_image_is_named(clevr):
    path = clevr / "images" / "train" / "CLEVR_train_000001.png"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for content in (whole[: len(whole) // 2], b"", b"not an image", bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(
            DatasetError, match=r"the image .*CLEVR_train_000001\.png is damaged .*unpack"
        ):
            datasets.load("clevr", root=clevr, size=8)


def test_a_record_without_its_image_is_an_error_unless_asked_to_skip(clevr):
    (clevr / "images" / "train" / "CLEVR_train_000001.png").unlink()
    with pytest.raises(
        DatasetError, match=r"1 images \(CLEVR_train_000001\.png\) of .*scenes\.json not in .*skip"
    ):
        datasets.load("clevr", root=clevr)
    with pytest.warns(UserWarning, match=r"left out: 1 images \(CLEVR_train_000001\.png\)"):
        data = datasets.load("clevr", root=clevr, size=8, incomplete="skip")
    assert data.filenames == ["CLEVR_train_000000.png", "CLEVR_train_000002.png"]
    assert [record["image_filename"] for record in data.records] == data.filenames


def test_an_image_without_its_record_is_an_error_unless_asked_to_skip(clevr):
    write_scenes(scenes_file(clevr), scenes_of("train", 2))
    with pytest.raises(
        DatasetError, match=r"1 images \(CLEVR_train_000002\.png\) in .* without a record in .*skip"
    ):
        datasets.load("clevr", root=clevr)
    with pytest.warns(UserWarning, match="left out"):
        assert len(datasets.load("clevr", root=clevr, size=8, incomplete="skip")) == 2


def test_damaged_scene_files_are_named(clevr):
    whole = scenes_file(clevr).read_text()
    for content in (
        whole[:-40],
        "",
        '{"questions": []}',
        "[]",
        '{"scenes": [{"objects": []}]}',
        "\udcff",
    ):
        scenes_file(clevr).write_text(content, errors="surrogateescape")
        with pytest.raises(DatasetError, match=r"CLEVR_train_scenes\.json.*unpack"):
            datasets.load("clevr", root=clevr)
    scenes_file(clevr).write_text(whole.replace('"shape": ', '"form": ', 1))
    with pytest.raises(
        DatasetError, match=r"CLEVR_train_scenes\.json.*CLEVR_train_000000\.png.*shape.*unpack"
    ):
        datasets.load("clevr", root=clevr)


def test_scene_files_of_other_programs_are_read(clevr):
    plain = datasets.load("clevr", root=clevr).records
    scenes_file(clevr).write_bytes(b"\xef\xbb\xbf" + scenes_file(clevr).read_bytes())
    assert datasets.load("clevr", root=clevr).records == plain


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda scene: scene["objects"][0].update(rotation=10**400), r"objects\[0\].rotation"),
        (lambda scene: scene["objects"][0].update(rotation=float("nan")), r"objects\[0\].rotation"),
        (lambda scene: scene.update(image_index=1.5), "image_index"),
        (lambda scene: scene.update(relationships={"left": [[99]]}), "relationships.left"),
        (lambda scene: scene["directions"].update(left=[0, 0, 0]), "directions.left"),
    ],
)
def test_a_wrong_record_is_named_with_its_file_and_scene(clevr, edit, words):
    content = json.loads(scenes_file(clevr).read_text())
    edit(content["scenes"][1])
    scenes_file(clevr).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=rf"_scenes\.json: .*CLEVR_train_000001\.png.*{words}"):
        datasets.load("clevr", root=clevr)


def test_an_image_that_two_records_name_is_refused(clevr):
    content = json.loads(scenes_file(clevr).read_text())
    content["scenes"].append(content["scenes"][0])
    scenes_file(clevr).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="names CLEVR_train_000000.png .* and so does a scene"):
        datasets.load("clevr", root=clevr)


def test_scene_files_nested_without_end_are_named(clevr):
    for content in ("[" * 100_000, '{"scenes":' * 100_000):
        scenes_file(clevr).write_text(content)
        with pytest.raises(DatasetError, match=r"_scenes\.json is nested too deeply.*unpack"):
            datasets.load("clevr", root=clevr)


def test_missing_folders_and_unknown_splits_are_named(clevr, tmp_path):
    with pytest.raises(
        DatasetError, match=r"no CLEVR at .*nowhere.*download CLEVR_v1\.0\.zip.*clevr6"
    ):
        datasets.load("clevr", root=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"the folder .*images/val is missing"):
        datasets.load("clevr", split="val", root=clevr)
    (clevr / "images" / "val").mkdir()
    with pytest.raises(DatasetError, match=r"images/val holds no PNG images"):
        datasets.load("clevr", split="val", root=clevr)
    with pytest.raises(
        ValueError, match="clevr has no split 'validation': known are train, val, test"
    ):
        datasets.load("clevr", split="validation", root=clevr)
    with pytest.raises(ValueError, match="incomplete must be"):
        datasets.load("clevr", root=clevr, incomplete="ignore")


def test_images_of_different_sizes_need_a_common_one(clevr):
    Image.fromarray(pixels_of(0, 240, 320)).save(
        clevr / "images" / "test" / "CLEVR_test_000001.png"
    )
    with pytest.raises(
        DatasetError, match=r"CLEVR_test_000001\.png is \(240, 320\).*\(320, 480\).*pass size="
    ):
        datasets.load("clevr", split="test", root=clevr)
    assert datasets.load("clevr", split="test", root=clevr, size=16).images.shape == (2, 3, 16, 16)


def test_renders_load_with_their_masks_and_records(renders):
    data = datasets.load("clevr-renders", root=renders)
    assert data.images.shape == (3, 3, 240, 320) and data.licence == "made up"
    for index, filename in enumerate(data.filenames):
        assert np.array_equal(data.images[index].permute(1, 2, 0), pixels_of(index, 240, 320))
        assert np.array_equal(
            data.masks[index], np.asarray(Image.open(renders / "masks" / filename))
        )
    cropped = datasets.load("clevr-renders", root=renders, crop="paper")
    assert torch.equal(cropped.images, data.images[:, :, 29:221, 64:256])
    assert torch.equal(cropped.masks, data.masks[:, 29:221, 64:256])
    third = datasets.load("clevr-renders", root=renders, crop="paper", size=64)
    nearest = cropped.masks[:, 1::3, 1::3]  # the middle one of every three
    assert torch.equal(third.masks, nearest)


def test_faults_in_renders_are_named(renders):
    with pytest.raises(
        ValueError, match=r"no scene in .*scenes\.json is of split 'test': it has train"
    ):
        datasets.load("clevr-renders", split="test", root=renders)
    mask = renders / "masks" / "CLEVR_train_000001.png"
    Image.fromarray(np.full((240, 320), 11, dtype=np.uint8)).save(mask)
    with pytest.raises(
        DatasetError, match=r"masks/CLEVR_train_000001\.png holds label 11, but its record"
    ):
        datasets.load("clevr-renders", root=renders)
    Image.fromarray(pixels_of(0, 240, 320)).save(mask)
    with pytest.raises(
        DatasetError, match=r"masks/CLEVR_train_000001\.png is damaged .*one channel.*RGB"
    ):
        datasets.load("clevr-renders", root=renders)
    Image.fromarray(np.full((240, 320), 256, dtype=np.uint16)).save(mask)
    with pytest.raises(DatasetError, match=r"masks/CLEVR_train_000001\.png has label 256, "):
        datasets.load("clevr-renders", root=renders)
    Image.fromarray(np.zeros((320, 240), dtype=np.uint8)).save(mask)
    with pytest.raises(
        DatasetError, match=r"masks/CLEVR_train_000001\.png is \(320, 240\).*is \(240, 320\)"
    ):
        datasets.load("clevr-renders", root=renders, size=16)
    mask.unlink()
    with pytest.raises(DatasetError, match=r"masks/CLEVR_train_000001\.png is missing"):
        datasets.load("clevr-renders", root=renders)
    (renders / "scenes.json").unlink()
    with pytest.raises(DatasetError, match=r"cannot read the scenes file .*scenes\.json"):
        datasets.load("clevr-renders", root=renders)


@needs_clevr
def test_computed_masks_fit_the_official_images():
    """Against masks that were derived independently and checked by eye."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the sample holds 4 of the 100 images that its records list
        data = datasets.load("clevr", split="val", root=SHARED_DATA, masks=True, incomplete="skip")
    derived = torch.stack(
        [
            torch.from_numpy(np.asarray(Image.open(SHARED_DATA / "derived_masks" / name)).copy())
            for name in data.filenames
        ]
    )
    agreement = (data.masks == derived).float().mean(dim=(1, 2))
    assert len(data) == 4 and agreement.min() > 0.99


@needs_clevr
def test_the_official_test_images_load():
    data = datasets.load("clevr", split="test", root=SHARED_DATA, crop="paper", size=64, limit=6)
    assert data.images.shape == (6, 3, 64, 64) and data.records is None
    assert 60 < data.images.float().mean() < 160  # mid grey rooms, not black, not white


@needs_renders
def test_the_renders_masks_fit_the_masks_computed_from_their_records():
    from smm_tutorial.scenes import PAPER_CROP, Scene
    from smm_tutorial.scenes.masks import scene_masks

    data = datasets.load(
        "clevr-renders", root=SHARED_DATA / "blender_320x240", crop="paper", size=64, limit=6
    )
    for mask, record in zip(data.masks, data.records, strict=True):
        computed = scene_masks(Scene.from_record(record), 64, 64, PAPER_CROP)
        assert (mask == computed).float().mean() > 0.98
