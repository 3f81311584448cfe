"""ShapeStacks in its official layout, from a folder and from archives that misbehave."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets.others.shapestacks import download_shapestacks
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.remote_file import DownloadError
from tests.servers import IMPATIENT, Fault, FileServer, tarred

SCENARIOS = {
    "train": ["env_ccs-easy-h=3-vcom=0-vpsf=0-v=1", "env_blocks-hard-h=2-vcom=1-vpsf=0-v=20"],
    "eval": ["env_ccs-hard-h=6-vcom=0-vpsf=2-v=7"],
    "test": ["env_blocks-easy-h=4-vcom=0-vpsf=0-v=3"],
}
CAMERAS = (1, 16)
SIDE = 224


def image(scenario, camera):
    generator = np.random.default_rng([camera, len(scenario), int(scenario.split("-")[2][2:])])
    return (
        generator.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
        .repeat(8, 0)
        .repeat(8, 1)
    )


def labels(scenario, camera):
    height = int(scenario.split("-")[2][2:])
    blocks = np.random.default_rng(camera + height).integers(0, height + 1, (SIDE // 8, SIDE // 8))
    return blocks.repeat(8, 0).repeat(8, 1)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def label_map(numbers):
    """A .map file as the makers' script writes it: matplotlib's grey palette over eight levels."""
    buffer = io.BytesIO()
    plt.imsave(buffer, numbers, vmin=0, vmax=8, cmap="gray", format="png")
    return buffer.getvalue()


META = {"meta/blacklist_stable.txt": b"", "splits/blocks_all/train.txt": b"nothing\n"} | {
    f"splits/default/{split}.txt": ("\n".join(names) + "\n").encode()
    for split, names in SCENARIOS.items()
}
EVERYTHING = [
    (scenario, camera) for names in SCENARIOS.values() for scenario in names for camera in CAMERAS
]
RGB = {
    f"recordings/{scenario}/rgb-w=5-f=2-l=1-c=unique-cam_{camera}-mono-0.png": png(
        image(scenario, camera)
    )
    for scenario, camera in EVERYTHING
}
ISEG = {
    f"recordings/{scenario}/iseg-w=0-f=0-l=0-c=original-cam_{camera}-mono-0.map": label_map(
        labels(scenario, camera)
    )
    for scenario, camera in reversed(EVERYTHING)
}


@pytest.fixture
def folder(tmp_path):
    """The whole data set, unpacked."""
    for name, content in {**META, **RGB, **ISEG}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def server():
    with FileServer({"meta": tarred(META), "rgb": tarred(RGB), "iseg": tarred(ISEG)}) as running:
        yield running


def get(server, folder, count, split="train"):
    return download_shapestacks(
        split, count, folder, {n: server.url(n) for n in server.files}, IMPATIENT
    )


def load(root, **options):
    return datasets.load("shapestacks", root=root, **options)


def test_images_masks_and_records_belong_together(folder):
    for split, files in (("train", "train"), ("val", "eval"), ("test", "test")):
        data = load(folder, split=split)
        expected = [
            (scenario, camera) for scenario in sorted(SCENARIOS[files]) for camera in CAMERAS
        ]
        assert [(record["scenario"], record["camera"]) for record in data.records] == expected
        for position, (scenario, camera) in enumerate(expected):
            assert np.array_equal(data.images[position].permute(1, 2, 0), image(scenario, camera))
            assert np.array_equal(data.masks[position], labels(scenario, camera))
    stable = {record["scenario"]: record["stable"] for record in load(folder).records}
    assert stable == dict(zip(SCENARIOS["train"], (True, False), strict=True))
    assert not load(folder, split="val").records[0]["stable"]


def test_towers_can_be_chosen_and_cropped(folder):
    assert {len(record["objects"]) for record in load(folder, min_objects=3).records} == {3}
    assert len(load(folder, limit=3)) == 3
    full, cropped = load(folder), load(folder, crop="paper")
    assert (cropped.images == full.images[:, :, 14:210, 14:210]).all()
    assert (cropped.masks == full.masks[:, 14:210, 14:210]).all()
    assert load(folder, crop="paper", size=128).masks.shape == (4, 128, 128)


def test_pixels_of_no_shape_are_background(folder):
    path = next(folder.glob("recordings/env_ccs-easy*/*cam_1-*.map"))
    path.write_bytes(
        label_map(np.where(labels(path.parent.name, 1) == 1, 7, labels(path.parent.name, 1)))
    )
    assert not (load(folder, min_objects=3, limit=1).masks == 1).any()


def test_some_images_are_fetched_with_their_masks(server, tmp_path):
    get(server, tmp_path, 2)
    data = load(tmp_path)
    assert len(data) >= 2 and {record["scenario"] for record in data.records} <= set(
        SCENARIOS["train"]
    )
    for position, record in enumerate(data.records):
        assert np.array_equal(data.masks[position], labels(record["scenario"], record["camera"]))
    server.asked.clear()
    get(server, tmp_path, 2)
    assert not server.asked
    get(server, tmp_path, 4)
    get(server, tmp_path, 2, "val")
    assert [len(load(tmp_path, split=split)) for split in ("train", "val")] == [4, 2]
    with pytest.raises(DatasetError, match="holds 4 images of train, expected 5"):
        get(server, tmp_path, 5)


def test_a_fault_in_the_masks_leaves_what_was_there_and_is_taken_up(server, tmp_path):
    server.always["iseg"] = Fault(status=503)
    with pytest.raises(DownloadError, match="gave up on .*iseg"):
        get(server, tmp_path, 4)
    with pytest.raises(
        DatasetError, match="holds no images of train with masks: run `smm-tutorial data download"
    ):
        load(tmp_path)
    server.always.clear()
    server.asked.clear()
    get(server, tmp_path, 4)
    assert len(load(tmp_path)) == 4 and {path for path, *_ in server.asked} == {"iseg"}


def test_a_damaged_map_is_noticed_on_the_way(server, tmp_path):
    name = next(name for name in ISEG if "h=3" in name)
    server.files["iseg"] = tarred({**ISEG, name: ISEG[name][:70] + b"!" + ISEG[name][71:]})
    with pytest.raises(DownloadError, match=r"iseg arrived damaged .*\.map"):
        get(server, tmp_path, 4)


def test_faults_are_named(folder, tmp_path):
    with pytest.raises(
        ValueError, match="shapestacks has no split 'eval': known are train, val, test"
    ):
        load(folder, split="eval")
    with pytest.raises(ValueError, match='crop must be "paper"'):
        load(folder, crop="centre")
    with pytest.raises(
        DatasetError, match=r"cannot read .*nowhere.*train\.txt.*smm-tutorial data download"
    ):
        load(folder / "nowhere")
    path = next(folder.glob("recordings/env_ccs-easy*/*cam_1-*.map"))
    path.write_bytes(png(np.full((SIDE, SIDE), 33, np.uint8)))
    with pytest.raises(
        DatasetError, match=r"\.map is damaged \(a \.map has grey values that are multiples of 32"
    ):
        load(folder)
    path.unlink()
    with pytest.raises(DatasetError, match=r"cam_1-mono-0\.map is missing"):
        load(folder)
    for image_path in path.parent.glob("rgb*"):
        image_path.unlink()
    with pytest.raises(DatasetError, match="env_ccs-easy-h=3-vcom=0-vpsf=0-v=1 holds no images"):
        load(folder)
    (folder / "splits" / "default" / "train.txt").write_text("env_strange\n")
    (folder / "recordings" / "env_strange").mkdir()
    next(folder.glob("recordings/env_blocks-hard*/rgb*")).rename(
        folder / "recordings" / "env_strange" / "rgb-w=5-f=2-l=1-c=unique-cam_1-mono-0.png"
    )
    with pytest.raises(DatasetError, match="'env_strange' is no name of a scenario"):
        load(folder)
