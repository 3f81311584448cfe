"""CLEVR with masks: scenes, and the beginning of a packed file, through every fault."""

import gzip

import numpy as np
import pytest
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets.others import clevr_with_masks
from smm_tutorial.datasets.others.clevr_with_masks import download_clevr_with_masks
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.remote_file import DownloadError
from smm_tutorial.datasets.transfer.tfrecords import frame_record, parse_example
from tests.official import MASKED_OBJECTS, masked_scene, packed_records, tf_example
from tests.servers import IMPATIENT, Fault, FileServer
from tests.shared import SHARED

SAMPLE = SHARED / "data" / "clevr_with_masks_sample"
EXAMPLES = [tf_example(masked_scene(index)) for index in range(len(MASKED_OBJECTS))]
FILE = packed_records(EXAMPLES)


@pytest.fixture
def server():
    with FileServer({"records": FILE}) as running:
        yield running


@pytest.fixture
def whole(tmp_path):
    """The file as somebody downloaded it by hand."""
    path = tmp_path / "clevr_with_masks_train.tfrecords"
    path.write_bytes(FILE)
    return path


def get(server, folder, count, **options):
    return download_clevr_with_masks(
        count=count, folder=folder, url=server.url("records"), patience=IMPATIENT, **options
    )


def load(root, **options):
    return datasets.load("clevr-with-masks", root=root, **options)


def test_the_scenes_come_with_their_masks_and_records(whole):
    data = load(whole)
    assert len(data) == len(MASKED_OBJECTS) and data.size == (240, 320)
    for index, features in enumerate(map(parse_example, EXAMPLES)):
        assert data.images[index].permute(1, 2, 0).numpy().tobytes() == features["image"][0]
        entities = np.frombuffer(features["mask"][0], np.uint8).reshape(11, 240, 320)
        for label in range(MASKED_OBJECTS[index] + 1):
            assert np.array_equal(data.masks[index].numpy() == label, entities[label] == 255)
        objects = data.records[index]["objects"]
        assert len(objects) == MASKED_OBJECTS[index]
        assert objects[1]["3d_coords"] == pytest.approx([features[axis][2] for axis in "xyz"])
        assert objects[0]["color"] == features["color"][1][0]
    assert [len(load(whole.parent, **bounds)) for bounds in ({"max_objects": 6}, {"limit": 2})] == [
        5,
        2,
    ]


def test_crop_and_size_treat_images_and_masks_alike(whole):
    full, crop = load(whole, limit=2), load(whole, limit=2, crop="paper", size=64)
    assert crop.size == (64, 64)
    assert (crop.masks == full.masks[:, 29:221, 64:256][:, 1::3, 1::3]).all()
    means = full.images[:, :, 29:221, 64:256].float().unfold(2, 3, 3).unfold(3, 3, 3).mean((4, 5))
    assert (crop.images - means).abs().median() < 10


def test_splits_follow_one_another(whole, monkeypatch):
    monkeypatch.setattr(
        clevr_with_masks, "SPLITS", {"train": (0, 3), "val": (3, 5), "test": (5, 6)}
    )
    everything = [load(whole, split=split).filenames for split in ("train", "val", "test")]
    assert [len(names) for names in everything] == [3, 2, 1] and everything[1][
        0
    ] == "clevr_with_masks_000003"


def test_only_the_beginning_is_fetched_and_more_on_demand(server, tmp_path):
    path = get(server, tmp_path, 2)
    assert path.stat().st_size < 0.6 * len(FILE) and len(load(path, limit=2)) == 2
    with pytest.raises(
        DatasetError, match=r"fetched only as far as [23] examples of train.*--split train --count"
    ):
        load(path, limit=6)
    server.asked.clear()
    kept = path.stat().st_size
    assert len(load(get(server, tmp_path, 6), limit=6)) == 6
    assert min(start for _, start, stop in server.asked if stop is None) == kept
    server.asked.clear()
    get(server, tmp_path, 6)
    assert not server.asked
    with pytest.raises(DatasetError, match="holds 6 examples, expected 7"):
        get(server, tmp_path, 7)


def test_a_cut_leaves_a_usable_beginning(server, tmp_path):
    cut = len(packed_records(EXAMPLES[:4]))
    server.faults["records"] = [Fault(), Fault(cut_after=cut), *[Fault(cut_after=0)] * 3]
    with pytest.raises(DownloadError, match="gave up"):
        get(server, tmp_path, 6)
    assert 2 <= len(load(tmp_path)) <= 4
    assert len(load(get(server, tmp_path, 6))) == 6


def test_damage_on_the_way_is_noticed_and_nothing_wrong_is_kept(server, tmp_path):
    records = [frame_record(record) for record in EXAMPLES]
    records[2] = records[2][:1000] + b"!" + records[2][1001:]
    server.files["records"] = gzip.compress(b"".join(records), 1)
    with pytest.raises(DatasetError, match="record 2 fails its checksum"):
        get(server, tmp_path, 6)
    assert not list(tmp_path.glob("clevr*"))
    server.files["records"] = FILE[:300] + b"damage" + FILE[306:]
    with pytest.raises(DatasetError, match="is damaged"):
        get(server, tmp_path, 6)
    assert not list(tmp_path.glob("clevr*"))


def test_a_changed_file_is_not_mixed_with_the_old_one(server, tmp_path):
    get(server, tmp_path, 1)
    server.files["records"] = packed_records(EXAMPLES[::-1])
    with pytest.raises(DownloadError, match=r"has changed.*delete .*tfrecords"):
        get(server, tmp_path, 6)
    assert len(load(tmp_path, limit=1)) == 1


def test_faults_of_a_file_are_named(whole, tmp_path):
    with pytest.raises(
        DatasetError, match=r"no clevr-with-masks at .*nowhere.*smm-tutorial data download"
    ):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="clevr-with-masks has no split 'valid'"):
        load(whole, split="valid")
    with pytest.raises(ValueError, match="none of the 6 scenes has 11 to 11 objects"):
        load(whole, min_objects=11)
    with pytest.raises(DatasetError, match="has no examples 70,000 to 85,000, which are val"):
        load(whole, split="val")
    for content in (FILE[: len(FILE) // 2], b"no gzip", FILE[:300] + b"damage" + FILE[306:]):
        whole.write_bytes(content)
        with pytest.raises(
            DatasetError, match=r"train\.tfrecords is (cut short|damaged) .*fetch it again"
        ):
            load(whole)
    for missing in ("mask", "visibility", "color"):
        whole.write_bytes(
            packed_records([tf_example({k: v for k, v in masked_scene(0).items() if k != missing})])
        )
        with pytest.raises(
            DatasetError, match="example 0 of .* is not laid out as clevr-with-masks"
        ):
            load(whole)


@pytest.mark.skipif(
    not SAMPLE.is_dir(), reason="no sample of CLEVR with masks beside the repository"
)
def test_a_real_image_with_its_masks_goes_through_the_format(tmp_path):
    """The sample came out of the official file as PNGs; packed again it reads as it was."""
    image = np.asarray(Image.open(SAMPLE / "CLEVR_image_0.png").convert("RGB"))
    entities = np.stack(
        [np.asarray(Image.open(SAMPLE / f"CLEVR_mask_0_{k}.png")) for k in range(11)]
    )
    count = int((entities > 0).any((1, 2)).sum()) - 1
    features = {
        **masked_scene(0, image, entities),
        "visibility": (np.arange(11) <= count).astype(float),
    }
    (tmp_path / "clevr_with_masks_train.tfrecords").write_bytes(
        packed_records([tf_example(features)])
    )
    data = load(tmp_path)
    assert np.array_equal(data.images[0].permute(1, 2, 0), image)
    assert data.masks[0].max() == count == 7
    assert np.array_equal(np.bincount(data.masks[0].flatten()), (entities > 0).sum((1, 2))[:8])
