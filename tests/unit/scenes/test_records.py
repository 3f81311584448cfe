"""CLEVR's records survive reading and writing, and wrong ones say what is wrong."""

import copy
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smm_tutorial.scenes import Mirror, Scene, Texture, random_scene, read_records
from smm_tutorial.scenes.additions import SEED_LIMIT, TEXTURE_KINDS
from tests.shared import SHARED

SHARED_DATA = SHARED / "data"
FILES = {
    "official train": SHARED_DATA / "CLEVR_v1.0" / "scenes" / "CLEVR_train_scenes.json",
    "official val": SHARED_DATA / "CLEVR_v1.0" / "scenes" / "CLEVR_val_scenes.json",
    "Blender 320x240": SHARED_DATA / "blender_320x240" / "scenes.json",
    "Blender 480x320": SHARED_DATA / "blender_480x320" / "scenes.json",
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
    for scene, record in zip(
        read_records(FILES[name]), json.loads(FILES[name].read_text())["scenes"], strict=True
    ):
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


@pytest.mark.parametrize(
    "name", ["objects", "image_index", "image_filename", "split", "directions"]
)
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
    with pytest.raises(
        ValueError, match="questions.json is not a CLEVR scenes file.*scenes/ folder"
    ):
        read_records(path)


def test_a_wrong_record_in_a_file_is_located(tmp_path, record):
    broken = copy.deepcopy(record)
    broken["image_filename"] = "CLEVR_val_000007.png"
    broken["objects"][3]["color"] = "pink"
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps({"scenes": [record, broken]}))
    with pytest.raises(
        ValueError, match=r"scenes.json.*CLEVR_val_000007.png.*objects\[3\].color.*'pink'"
    ):
        read_records(path)


TEXTURES = st.builds(
    Texture,
    kind=st.sampled_from(TEXTURE_KINDS),
    colors=st.tuples(*[st.tuples(*[st.integers(0, 255) | st.floats(0, 255)] * 3)] * 2),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, SEED_LIMIT - 1),
)
LENGTHS = st.floats(1e-3, 1e3)
MIRRORS = st.builds(
    Mirror,
    position=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    facing=st.floats(-9, 9),
    width=LENGTHS,
    height=LENGTHS,
    frame=st.floats(0, 1),
    reflectance=st.floats(1e-3, 1),
)


@given(mirror=MIRRORS, ground=TEXTURES, worn=TEXTURES)
def test_mirrors_and_textures_survive_json(mirror, ground, worn):
    scene = random_scene(np.random.default_rng(7), min_objects=2, max_objects=2)
    scene = replace(scene, objects=(replace(scene.objects[0], texture=worn), scene.objects[1]))
    scene = replace(scene, mirror=mirror, ground_texture=ground)
    there = json.loads(json.dumps(scene.to_record()))
    back = Scene.from_record(there)
    assert (back.mirror, back.ground_texture, back.objects[0].texture) == (mirror, ground, worn)
    assert back.to_record() == there and not back.extra and not back.objects[0].extra


def test_scenes_without_mirror_or_texture_do_not_mention_them(record):
    assert not {"mirror", "ground_texture"} & set(record) and "texture" not in record["objects"][0]
    scene = Scene.from_record(record)
    assert (
        scene.mirror is None and scene.ground_texture is None and scene.objects[0].texture is None
    )


MIRROR = Mirror((0.0, 2.5), 1.0, 5.0, 2.4).to_record()
TEXTURE = Texture("dots", ((1, 2, 3), (4, 5, 6)), 0.7, 9).to_record()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("position", [1.0, 2.0, 3.0]),
        ("facing", "north"),
        ("width", 0),
        ("height", -2.0),
        ("frame", -0.1),
        ("frame", True),
        ("reflectance", 1.1),
    ],
)
def test_a_wrong_field_of_a_mirror_is_named(record, name, value):
    record["mirror"] = MIRROR | {name: value}
    with pytest.raises(ValueError, match=rf"{record['image_filename']}: mirror\.{name} must be"):
        Scene.from_record(record)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "plaid"),
        ("colors", [[1, 2, 3]]),
        ("colors", [[1, 2, 3], [4, 5]]),
        ("colors", [[1, 2, 3], [4, 5, 256]]),
        ("scale", 0.0),
        ("seed", 1.5),
        ("seed", -1),
    ],
)
def test_a_wrong_field_of_a_texture_is_named(record, name, value):
    for where, holder in (
        ("ground_texture", record),
        (r"objects\[1\]\.texture", record["objects"][1]),
    ):
        key = where.rsplit(".", 1)[-1]
        holder[key] = TEXTURE | {name: value}
        with pytest.raises(ValueError, match=rf"{where}\.{name}.* must be"):
            Scene.from_record(record)
        del holder[key]


@pytest.mark.parametrize(("key", "whole"), [("mirror", MIRROR), ("ground_texture", TEXTURE)])
def test_missing_and_unknown_fields_of_mirror_and_texture_are_named(record, key, whole):
    for name in whole:
        with pytest.raises(ValueError, match=f"{key}: the field '{name}' is missing"):
            Scene.from_record(record | {key: {k: v for k, v in whole.items() if k != name}})
    with pytest.raises(ValueError, match=f"{key}: unknown fields gloss; known are"):
        Scene.from_record(record | {key: whole | {"gloss": 1}})
    with pytest.raises(ValueError, match=f"{key} must be a mapping.*NoneType"):
        Scene.from_record(record | {key: None})


#: What an editor, another program or a damaged file puts in the place of a value.
ODD_VALUES = [None, "x", -1, 0, 1e300, float("inf"), float("nan"), [], {}, 10**400, 10**5000, True]


def list_places(value, place=()):
    """The keys that lead to every value in a record, of lists the first two items."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else list(enumerate(value))[:2]
        for key, item in items:
            yield (*place, key)
            yield from list_places(item, (*place, key))


def change(record, place, edit):
    """The record with `edit(holder, key)` done at a place."""
    holder = record = copy.deepcopy(record)
    for key in place[:-1]:
        holder = holder[key]
    edit(holder, place[-1])
    return record


def test_every_field_of_a_record_is_sound_or_named(record):
    record |= {"mirror": MIRROR, "ground_texture": TEXTURE}
    record["objects"][0]["texture"] = TEXTURE
    refused = 0
    for place in list_places(record):
        edits = [lambda holder, key: holder.pop(key)]
        edits += [partial(lambda v, holder, key: holder.__setitem__(key, v), v) for v in ODD_VALUES]
        for edit in edits:
            changed = change(record, place, edit)
            try:
                assert Scene.from_record(changed).to_record() == changed | {
                    "relationships": changed.get("relationships", record["relationships"])
                }
            except ValueError as error:
                refused += 1
                assert any(str(key) in str(error) for key in place) and len(str(error)) < 1000
    assert refused > 1000


@pytest.mark.parametrize(
    ("relationships", "words"),
    [
        ({"left": [[1], [0], [4], []]}, r"left\[2\] must be a whole number from 0 to 3, got 4"),
        ({"left": [[-1], [], [], []]}, r"left\[0\] must be a whole number"),
        ({"left": [[], [], []]}, "left must be a list for each of the 4 objects"),
        ({"left": [[], [], [], 3]}, r"left\[3\] must be a list"),
        ([[1]], "relationships must map left, right"),
    ],
)
def test_relationships_with_objects_that_are_not_there_are_refused(record, relationships, words):
    with pytest.raises(ValueError, match=words):
        Scene.from_record(record | {"relationships": relationships})


@pytest.mark.parametrize("vector", [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 0]])
def test_directions_are_unit_vectors(record, vector):
    record["directions"]["left"] = vector
    with pytest.raises(ValueError, match="directions.left must be a unit vector"):
        Scene.from_record(record)


def test_a_record_of_very_many_parts_is_refused_in_a_short_sentence(record):
    for name, value in (
        ("objects", record["objects"] * 10**5),
        ("objects", dict.fromkeys(map(str, range(10**5)))),
        ("camera", [0.0] * 10**5),
        ("split", ["x"] * 10**5),
        ("lamps", dict.fromkeys(map(str, range(10**5)), [1, 1, 1])),
    ):
        with pytest.raises(ValueError, match=name) as caught:
            Scene.from_record(record | {name: value})
        assert len(str(caught.value)) < 1000


def test_a_byte_order_mark_is_no_fault(tmp_path, record):
    path = tmp_path / "scenes.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"scenes": [record]}).encode())
    assert read_records(path)[0].to_record() == record


@pytest.mark.parametrize("content", ["[" * 100_000, '{"scenes": [' + "9" * 5000 + "]}", "\0", ""])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "scenes.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="scenes.json is .*JSON"):
        read_records(path)


def test_numbers_that_json_does_not_have_are_located(tmp_path, record):
    record["objects"][3]["rotation"] = float("nan")  # Python writes NaN
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps({"scenes": [record]}))
    with pytest.raises(ValueError, match=r"scenes.json: scene 0: .*objects\[3\].rotation .* nan"):
        read_records(path)
