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


def own(root, suffix=".jpg", images=({},), annotations=({},), **content):
    """A folder with one picture and annotations of one's own, changed as told; None leaves out."""

    def merge(entry, changes):
        return {key: value for key, value in (entry | changes).items() if value is not None}

    image = {"id": 1, "file_name": f"a{suffix}", "width": 40, "height": 30, "license": 4}
    path = root / "val2017" / f"a{suffix}"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(path)
    content = merge(
        ANNOTATIONS
        | {
            "images": [merge(image, changes) for changes in images],
            "annotations": [
                merge(annotation(1, rectangle(1, 1, 9, 9)), changes) for changes in annotations
            ],
        },
        content,
    )
    (root / "instances_val2017.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("suffix", [".png", ".jpeg", ".JPG", ".webp", ".tif", ".bmp"])
def test_pictures_of_every_format_are_found(tmp_path, suffix):
    data = load(own(tmp_path, suffix))
    assert data.filenames == [f"a{suffix}"] and data.masks.unique().tolist() == [0, 1]


def test_what_masks_do_not_need_may_be_missing(tmp_path):
    full = load(own(tmp_path / "full"))
    image = {"width": None, "height": None, "license": None}
    assert load(own(tmp_path / "x", licenses=[{"name": "x"}])).records[0]["licence"] == "unknown"
    things = {"iscrowd": None, "area": None, "bbox": None, "category_id": None, "id": None}
    root = own(
        tmp_path / "bare", images=[image], annotations=[things], licenses=None, categories=None
    )
    bare = load(root)
    assert torch.equal(bare.masks, full.masks)
    assert bare.records == [
        {
            "image_filename": "a.jpg",
            "image_id": 1,
            "height": 30,
            "width": 40,
            "licence": "unknown",
            "objects": [{"category": "unknown", "bbox": None, "area": None}],
        }
    ]


@pytest.mark.parametrize("changes", [{"segmentation": []}, {"segmentation": None}])
def test_objects_without_an_outline_are_in_the_records_and_a_warning_tells(tmp_path, changes):
    root = own(tmp_path, annotations=[changes, {}])
    with pytest.warns(UserWarning, match="1 of 2 objects in .*val2017.json have no outline"):
        data = datasets.load("coco", split="val", size=16, root=root)
    assert data.masks.unique().tolist() == [0, 2] and len(data.records[0]["objects"]) == 2
    assert load(root, masks=False).masks is None  # and no warning


def test_pictures_may_lie_in_folders_and_have_text_as_id(tmp_path):
    root = own(
        tmp_path,
        images=[{"id": "a", "file_name": "x/y/a.jpg"}, {"id": "b"}],
        annotations=[{"image_id": "a"}],
    )
    (root / "val2017/x/y").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(root / "val2017/x/y/a.jpg")
    data = load(root)
    assert data.filenames == ["x/y/a.jpg", "a.jpg"] and data.masks.amax(dim=(1, 2)).tolist() == [
        1,
        0,
    ]


def test_annotations_may_begin_with_a_byte_order_mark(tmp_path):
    path = own(tmp_path) / "instances_val2017.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert len(load(tmp_path)) == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"images": {}}, r"images is {}: COCO 2017's own files have a list"),
        ({"annotations": None}, "annotations is None: COCO 2017's own files have a list"),
        ({"annotations": [5]}, r"annotations is \[5\]"),
        ({"categories": 5}, "categories is 5"),
        ({"images": []}, "images lists none"),
    ],
)
def test_lists_that_are_none_are_named(tmp_path, changes, fault):
    path = own(tmp_path) / "instances_val2017.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(DatasetError, match=rf"instances_val2017\.json: {fault}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"id": None}, r"images\[0\]: id is missing, COCO 2017's own files have a whole number"),
        ({"id": [1]}, r"images\[0\]: id is \[1\]"),
        (
            {"file_name": None},
            r"images\[0\]: file_name is missing, COCO 2017's own files have text",
        ),
        ({"file_name": 5}, r"images\[0\]: file_name is 5"),
        ({"file_name": "../a.jpg"}, r"'\.\./a\.jpg' is refused as a file's name"),
        ({"file_name": "/a.jpg"}, r"'/a\.jpg' is refused as a file's name"),
        ({"width": 10**9}, r"images\[0\]: width is 1000000000, must be"),
        ({"width": -40}, r"images\[0\]: width is -40"),
        ({"height": 0}, r"images\[0\]: height is 0"),
        ({"height": 30.5}, r"images\[0\]: height is 30\.5"),
        ({"height": "30"}, r"images\[0\]: height is '30'"),
    ],
)
def test_a_wrong_image_is_named_by_entry_and_field(tmp_path, changes, fault):
    with pytest.raises(DatasetError, match=fault):
        load(own(tmp_path, images=[changes]))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"image_id": None}, "image_id is missing"),
        ({"image_id": "1"}, "image_id is '1', which no entry of images has as its id"),
        ({"image_id": 99}, "image_id is 99, which no entry of images has as its id"),
        ({"category_id": 5}, "category_id is 5, which no entry of categories has as its id"),
        ({"category_id": {}}, "category_id is {}"),
        ({"iscrowd": "0"}, "iscrowd is '0', must be 0 or 1"),
        ({"segmentation": [[float("nan")] * 6]}, "a coordinate is infinite or no number"),
        ({"segmentation": {"size": [30, 40], "counts": [7]}}, "run lengths of .* do not fill"),
    ],
)
def test_a_wrong_annotation_is_named_by_entry_id_and_field(tmp_path, changes, fault):
    with pytest.raises(DatasetError, match=rf"json: .*annotations\[1\] \(id 7\): {fault}"):
        load(own(tmp_path, annotations=[{}, {"id": 7, **changes}]))


def test_a_damaged_outline_names_its_image_too(tmp_path):
    root = own(tmp_path, annotations=[{"segmentation": [[1, 2]]}])
    with pytest.raises(DatasetError, match=r"no mask of image 1 \(a\.jpg\): annotations\[0\]"):
        load(root)
    assert load(root, masks=False).records[0]["objects"]


@pytest.mark.parametrize("licence", [5, "x", [], 0.5])
def test_a_licence_that_is_not_listed_is_unknown(tmp_path, licence):
    data = load(own(tmp_path, images=[{"license": licence}]))
    assert data.records[0]["licence"] == "unknown"


def test_two_images_of_one_id_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"images\[1\]: id is 1, as of an image before it"):
        load(own(tmp_path, images=[{}, {}]))


def test_whole_floats_are_sizes_and_another_size_is_refused(tmp_path):
    root = own(tmp_path / "whole", images=[{"width": 40.0, "height": 30.0}])
    assert load(root).records[0]["width"] == 40
    with pytest.raises(DatasetError, match=r"is \(40, 30\) \(width, height\), .* says \(30, 40\)"):
        load(own(tmp_path / "turned", images=[{"width": 30, "height": 40}]))
    with pytest.raises(DatasetError, match=r"is \(40, 30\) \(width, height\), .* says \(40, 31\)"):
        load(own(tmp_path / "half", images=[{"width": None, "height": 31}]))


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
