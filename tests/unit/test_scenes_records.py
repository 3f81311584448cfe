"""CLEVR's records survive reading and writing, and wrong ones say what is wrong."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smm_tutorial.scenes import Scene, random_scene, read_records

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = {
    "official train": SHARED / "CLEVR_v1.0" / "scenes" / "CLEVR_train_scenes.json",
    "official val": SHARED / "CLEVR_v1.0" / "scenes" / "CLEVR_val_scenes.json",
    "Blender 320x240": SHARED / "blender_320x240" / "scenes.json",
    "Blender 480x320": SHARED / "blender_480x320" / "scenes.json",
}


@pytest.fixture
def record() -> dict:
    """A scene of four objects as JSON gives it."""
    scene = random_scene(np.random.default_rng(7), min_objects=4, max_objects=4)
    return json.loads(json.dumps(scene.to_record()))


@pytest.mark.parametrize("name", FILES)
def test_every_record_of_a_file_is_written_as_it_was_read(name):
    if not FILES[name].is_file():
        pytest.skip(f"needs {FILES[name]}")
    records = json.loads(FILES[name].read_text())["scenes"]
    assert [scene.to_record() for scene in read_records(FILES[name])] == records


@pytest.mark.parametrize("name", FILES)
def test_derived_relationships_are_those_on_file(name):
    if not FILES[name].is_file():
        pytest.skip(f"needs {FILES[name]}")
    for scene, record in zip(read_records(FILES[name]), json.loads(FILES[name].read_text())["scenes"], strict=True):
        assert scene.relationships == record["relationships"]


def test_a_drawn_scene_survives_json(record):
    assert Scene.from_record(record).to_record() == record


def test_unknown_fields_travel_along(record):
    record["camera_matrix"] = [[1.0, 0.0], [0.0, 1.0]]
    record["objects"][2]["mask"] = {"counts": "abc"}
    assert Scene.from_record(record).to_record() == record


def test_edited_relationships_are_written_back(record):
    record["relationships"]["left"] = [[], [], [], []]
    assert Scene.from_record(record).to_record() == record


def test_left_and_right_front_and_behind_mirror_each_other(record):
    relationships = Scene.from_record(record).relationships
    for there, back in (("left", "right"), ("front", "behind")):
        for i, others in enumerate(relationships[there]):
            assert others == [j for j, related in enumerate(relationships[back]) if i in related]


def test_relationships_need_more_than_the_margin():
    scene = random_scene(np.random.default_rng(0), min_objects=2, max_objects=2)
    right = np.array(scene.directions["right"])
    first = replace(scene.objects[0], position=(0.0, 0.0, 0.7))
    for advance, expected in ((0.19, [[], []]), (0.21, [[1], []])):
        second = replace(scene.objects[1], position=tuple(advance * right + [0, 0, 0.7]))
        assert replace(scene, objects=(first, second)).relationships["right"] == expected


@pytest.mark.parametrize("name", ["objects", "image_index", "image_filename", "split", "directions"])
def test_a_missing_scene_field_is_named(record, name):
    del record[name]
    with pytest.raises(ValueError, match=f"'{name}' is missing"):
        Scene.from_record(record)


@pytest.mark.parametrize("name", ["shape", "size", "material", "color", "rotation", "3d_coords"])
def test_a_missing_object_field_is_named_with_its_object(record, name):
    del record["objects"][2][name]
    with pytest.raises(ValueError, match=rf"objects\[2\].*'{name}' is missing"):
        Scene.from_record(record)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shape", "pyramid"),
        ("size", 0.7),
        ("material", "wood"),
        ("color", ["red"]),
        ("rotation", "90"),
        ("rotation", float("nan")),
        ("3d_coords", [1.0, 2.0]),
        ("3d_coords", [1.0, 2.0, "3"]),
        ("pixel_coords", "123"),
    ],
)
def test_a_wrong_object_field_is_named_with_its_value(record, name, value):
    record["objects"][1][name] = value
    with pytest.raises(ValueError, match=rf"objects\[1\]\.{name} must be .*{str(value)[1:3]}"):
        Scene.from_record(record)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objects", "none"),
        ("image_index", "0"),
        ("image_filename", 3),
        ("split", None),
        ("directions", [1, 0, 0]),
        ("directions", {"left": [1, 0, 0]}),
        ("camera", [1, 2]),
        ("lamps", {"Lamp_Key": [0, 0, 1]}),
        ("lamps", 4),
    ],
)
def test_a_wrong_scene_field_is_named(record, name, value):
    with pytest.raises(ValueError, match=name):
        Scene.from_record(record | {name: value})


def test_a_list_is_no_record():
    with pytest.raises(ValueError, match="must be a mapping.*list"):
        Scene.from_record([])


def test_reading_a_file(tmp_path, record):
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps({"info": {}, "scenes": [record, record]}))
    assert [scene.to_record() for scene in read_records(path)] == [record, record]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.json.*unpacked from CLEVR_v1.0.zip"):
        read_records(tmp_path / "nothing.json")


def test_a_truncated_file_is_named_with_the_remedy(tmp_path, record):
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps({"scenes": [record]})[:-40])
    with pytest.raises(ValueError, match="(?s)scenes.json is not whole JSON.*fetch it again"):
        read_records(path)


@pytest.mark.parametrize("content", [{"info": {}, "questions": []}, {"scenes": {}}, [1, 2]])
def test_another_layout_is_refused(tmp_path, content):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="questions.json is not a CLEVR scenes file.*scenes/ folder"):
        read_records(path)


def test_a_wrong_record_in_a_file_is_located(tmp_path, record):
    broken = copy.deepcopy(record)
    broken["image_filename"] = "CLEVR_val_000007.png"
    broken["objects"][3]["color"] = "pink"
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps({"scenes": [record, broken]}))
    with pytest.raises(ValueError, match=r"scenes.json.*CLEVR_val_000007.png.*objects\[3\].color.*'pink'"):
        read_records(path)
