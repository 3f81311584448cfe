"""COCO in its official layout: from a folder, from archives that misbehave, and the real one."""

import io
import json
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets.others.coco import download_coco, draw_masks
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.remote_file import DownloadError
from tests.servers import IMPATIENT, Fault, FileServer, zipped
from tests.shared import SHARED

SAMPLE = SHARED / "data" / "coco_sample"
SIZES = [(24, 40), (30, 20), (24, 40), (16, 16)]  # height, width of the made-up images

pytest.importorskip("pycocotools", reason="masks of COCO need the extra: pip install -e .[coco]")


def jpeg(index):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(index).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(SIZES[index][::-1]).save(buffer, "JPEG")
    return buffer.getvalue()


def name_of(index):
    return f"{397_133 + 7 * index:012d}.jpg"


def rectangle(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(image, outline, category=1, crowd=0):
    return {
        "id": 1,
        "image_id": image,
        "category_id": category,
        "iscrowd": crowd,
        "segmentation": outline,
        "bbox": [0, 0, 1, 1],
        "area": 1.0,
    }


ANNOTATIONS = {
    "info": {"year": 2017},
    "licenses": [
        {
            "id": 4,
            "name": "Attribution License",
            "url": "http:\\/\\/creativecommons.org/licenses/by/2.0/",
        }
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    "images": [
        {"id": index, "file_name": name_of(index), "height": height, "width": width, "license": 4}
        for index, (height, width) in enumerate(SIZES)
    ],
    "annotations": [
        annotation(0, rectangle(2, 3, 30, 20)),
        annotation(0, rectangle(5, 5, 12, 12), category=18),
        annotation(2, {"size": [24, 40], "counts": [24 * 30, 24 * 10]}),  # the last ten columns
        annotation(2, {"size": [24, 40], "counts": [0, 24 * 40]}, crowd=1),
        annotation(3, rectangle(0, 0, 4, 16) + rectangle(8, 0, 12, 16)),  # one object in two pieces
    ],
}
IMAGES = {f"val2017/{name_of(index)}": jpeg(index) for index in range(len(SIZES))}
JSON_NAME = "annotations/instances_val2017.json"


@pytest.fixture
def folder(tmp_path):
    """The whole split, unpacked."""
    for name, content in {**IMAGES, JSON_NAME: json.dumps(ANNOTATIONS).encode()}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def server():
    annotations = {
        "annotations/captions_val2017.json": bytes(100_000),
        JSON_NAME: json.dumps(ANNOTATIONS).encode(),
    }
    with FileServer(
        {"annotations": zipped(annotations, packed=True), "val": zipped(IMAGES)}
    ) as running:
        yield running


def get(server, folder, count):
    return download_coco("val", count, folder, {n: server.url(n) for n in server.files}, IMPATIENT)


def load(root, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # whatever is there loads without a word
        return datasets.load("coco", split="val", root=root, **{"size": 16, **options})


def test_outlines_become_masks_with_the_smaller_object_on_top(folder):
    data = load(folder, limit=1, size=None)
    mask = data.masks[0]
    assert mask.shape == (24, 40) and mask[4, 4] == 1 and mask[8, 8] == 2 and mask[22, 35] == 0
    assert (mask == 2).sum() == 7 * 7 and ((mask == 1) | (mask == 2)).sum() == 28 * 17
    assert [thing["category"] for thing in data.records[0]["objects"]] == ["person", "dog"]
    licence = "Attribution License (http://creativecommons.org/licenses/by/2.0/)"
    assert data.records[0]["licence"] == licence


def test_run_lengths_pieces_and_crowds(folder):
    data = load(folder, size=None, min_objects=1, max_objects=1, limit=1)
    assert data.filenames == [name_of(2)] and len(data.records[0]["objects"]) == 1
    assert (data.masks[0][:, 30:] == 1).all() and not data.masks[0][
        :, :30
    ].any()  # the crowd covers all and is none
    pieces = draw_masks([ANNOTATIONS["annotations"][-1]["segmentation"]], 16, 16)
    assert (pieces == 1).sum() == 2 * 4 * 16 and not pieces[:, 5:8].any()


def test_images_of_any_shape_come_to_one_size(folder):
    data = load(folder)
    assert data.images.shape == (4, 3, 16, 16) and data.masks.shape == (4, 16, 16)
    assert not data.masks[1].any() and data.records[1]["objects"] == []
    square = load(folder, crop="centre", limit=1, size=24)
    assert torch.equal(square.masks[0], load(folder, limit=1, size=None).masks[0][:, 8:32])
    with pytest.raises(DatasetError, match="pass size="):
        load(folder, size=None)


def test_without_pycocotools_images_load_and_masks_say_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DatasetError, match=r'pip install "smm-tutorial\[coco\]".*masks=False'):
        load(folder)
    assert load(folder, masks=False).masks is None


def test_the_first_images_are_fetched_and_load_as_such(server, tmp_path):
    get(server, tmp_path, 2)
    assert load(tmp_path).filenames == [name_of(0), name_of(1)]
    assert (tmp_path / "val2017" / name_of(1)).read_bytes() == IMAGES[f"val2017/{name_of(1)}"]
    server.asked.clear()
    get(server, tmp_path, 2)
    assert not server.asked
    get(server, tmp_path, 4)
    assert len(load(tmp_path)) == 4 and {path for path, *_ in server.asked} == {"val"}
    with pytest.raises(ValueError, match="val has 4 images, fewer than count, 5"):
        get(server, tmp_path, 5)


def test_faults_on_the_way_leave_what_is_whole(server, tmp_path):
    get(server, tmp_path, 1)
    content = bytearray(server.files["val"])
    content[content.index(IMAGES[f"val2017/{name_of(2)}"]) + 50] ^= 1
    whole, server.files["val"] = server.files["val"], bytes(content)
    with pytest.raises(DownloadError, match=f"{name_of(2)} in .* is damaged"):
        get(server, tmp_path, 4)
    assert name_of(0) in load(tmp_path).filenames and name_of(2) not in load(tmp_path).filenames
    server.files["val"] = whole
    server.always["val"] = Fault(status=403)
    with pytest.raises(DownloadError, match="answers 403"):
        get(server, tmp_path, 4)
    server.always.clear()
    assert len(load(get(server, tmp_path, 4))) == 4


def test_faults_of_files_are_named(folder):
    with pytest.raises(ValueError, match="coco has no split 'test': known are train, val"):
        datasets.load("coco", split="test", root=folder)
    with pytest.raises(
        DatasetError,
        match=r"no annotations/instances_val2017\.json in .*smm-tutorial data download coco",
    ):
        load(folder / "nowhere")
    (folder / "val2017" / name_of(1)).unlink()
    with pytest.raises(
        DatasetError, match='1 of the 4 images of .* are not in .*incomplete="skip"'
    ):
        load(folder)
    with pytest.warns(UserWarning, match="left out: 1 of the 4 images"):
        assert len(datasets.load("coco", split="val", root=folder, size=16, incomplete="skip")) == 3
    (folder / "val2017" / name_of(1)).write_bytes(jpeg(0))
    with pytest.raises(DatasetError, match=r"is \(40, 24\) \(width, height\), .* says \(20, 30\)"):
        load(folder)
    (folder / "val2017" / name_of(1)).write_bytes(jpeg(1))
    damaged = [
        {**ANNOTATIONS["annotations"][0], "segmentation": outline}
        for outline in ({}, "?", [[1, 2]], {"size": [1, 1]})
    ]
    for change in (
        {"images": 3},
        {"categories": []},
        *({"annotations": [entry]} for entry in damaged),
    ):
        (folder / JSON_NAME).write_text(json.dumps({**ANNOTATIONS, **change}))
        with pytest.raises(DatasetError, match="instances_val2017"):
            load(folder)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="no COCO sample beside the repository")
def test_real_photographs_load_with_masks_of_the_stated_area():
    data = load(SAMPLE, size=64, crop="centre")
    assert len(data) == 50 and data.masks.any()
    content = json.loads((SAMPLE / "instances_val2017.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    single = [a for a in content["annotations"] if not a["iscrowd"]]
    for entry in single[::20]:
        area = int(draw_masks([entry["segmentation"]], *sizes[entry["image_id"]]).sum())
        assert area == pytest.approx(entry["area"], rel=0.1, abs=30)
