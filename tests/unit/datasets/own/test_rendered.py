"""Scenes rendered on demand: repeatable, kept, extended, repaired."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from smm_tutorial import datasets, files
from smm_tutorial.datasets.own import rendered
from smm_tutorial.datasets.own.rendering import Look, draw_and_render
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.scenes import OFFICIAL_WINDOW, Scene
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.masks import scene_masks
from smm_tutorial.scenes.raytrace import Rendering
from tests.full_disk import fill_disk_after


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Tiny pictures, two scenes a chunk."""
    monkeypatch.setitem(
        rendered.RENDERED_VARIANTS, "clevr", Look(3, 10, 12, 16, OFFICIAL_WINDOW, samples=1)
    )
    monkeypatch.setattr(rendered, "CHUNK", 2)


@pytest.fixture
def work(monkeypatch):
    """The chunks that were really rendered."""
    done, real = [], rendered.render_chunk
    monkeypatch.setattr(
        rendered, "render_chunk", lambda look, chunk: done.append(chunk.start) or real(look, chunk)
    )
    return done


def load(folder, count=3, **options):
    return datasets.load("rendered", folder=folder, count=count, **options)


def test_scenes_are_rendered_once_and_kept(tmp_path, work):
    first = load(tmp_path)
    assert work == [0, 2] and len(first) == 3 and first.size == (12, 16)
    again = load(tmp_path)
    assert (
        work == [0, 2]
        and torch.equal(again.images, first.images)
        and torch.equal(again.masks, first.masks)
    )
    assert again.records == first.records and again.provenance == first.provenance
    more = load(tmp_path, 5)
    assert work == [0, 2, 4] and torch.equal(more.images[:3], first.images)


def test_the_same_seed_gives_the_same_scenes_and_another_gives_others(tmp_path):
    first = load(tmp_path / "a")
    assert torch.equal(load(tmp_path / "b").images, first.images)
    for options in ({"seed": 1}, {"split": "val"}):
        assert not torch.equal(load(tmp_path / "a", **options).images, first.images)


def test_masks_show_the_records_as_clevrs_own_images_would(tmp_path):
    for mask, record in zip(
        *(lambda data: (data.masks, data.records))(load(tmp_path)), strict=True
    ):
        assert torch.equal(
            mask.long(), scene_masks(Scene.from_record(record), 12, 16, OFFICIAL_WINDOW)
        )
    assert load(tmp_path, size=8).masks.shape == (3, 8, 8)


def test_a_damaged_chunk_is_noticed_and_rendered_again(tmp_path, work):
    first = load(tmp_path)
    path = sorted(tmp_path.rglob("*.zip"))[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert rendered.find_damaged_renders(tmp_path) == [path.relative_to(tmp_path).as_posix()]
    with pytest.warns(UserWarning, match="is damaged: its scenes are rendered again"):
        assert torch.equal(load(tmp_path).images, first.images)
    assert work == [0, 2, 2] and not rendered.find_damaged_renders(tmp_path)


def test_a_changed_renderer_starts_afresh(tmp_path, work, monkeypatch):
    load(tmp_path, 2)
    monkeypatch.setattr(rendered, "RENDERER_VERSION", rendered.RENDERER_VERSION + 1)
    load(tmp_path, 2)
    assert work == [0, 0]


def test_a_full_disk_keeps_the_chunks_that_were_whole(tmp_path, work, monkeypatch):
    with monkeypatch.context() as patch:
        fill_disk_after(1, patch)
        with pytest.raises(DatasetError, match="No space left on device"):
            load(tmp_path, 4)
    load(tmp_path, 4)
    assert work == [0, 2, 2]


def test_what_cannot_be_rendered_is_named(tmp_path):
    for options, message in (
        ({"split": "new"}, "rendered has no split 'new'"),
        (
            {"variant": "clevr99"},
            "rendered has no variant 'clevr99': known are clevr, clevr-whole, clevr6-whole, ",
        ),
        ({"count": 0}, "count must be a whole number from 1"),
        ({"min_objects": -1}, "min_objects must be a whole number of at least 0"),
        ({"max_objects": 1}, "none of the 3 scenes has 0 to 1 objects"),
    ):
        with pytest.raises(ValueError, match=message):
            load(tmp_path, **options)


#: Fewest and most objects of each variant, and what a record of it has that plain ones lack.
PROMISES = {
    "clevr": (3, 10, set()),
    "clevr-whole": (3, 10, set()),
    "clevr6-whole": (3, 6, set()),
    "clevr6": (3, 6, set()),
    "clevr7-10": (7, 10, set()),
    "clevr-mirror": (3, 6, {"mirror"}),
    "clevr-tex": (3, 6, {"ground_texture"}),
    "clevr-tex-camouflage": (3, 6, {"ground_texture"}),
    "stacks": (2, 9, set()),
    "cogent-a": (3, 6, set()),
    "out-of-distribution-pairs": (3, 6, set()),
    "out-of-distribution-crowd": (11, 16, set()),
}


@pytest.mark.parametrize("variant", rendered.RENDERED_VARIANTS)
def test_every_variant_shows_its_records_and_keeps_its_promises(variant, tmp_path, monkeypatch):
    look = replace(rendered.RENDERED_VARIANTS[variant], height=24, width=24, samples=1)
    monkeypatch.setitem(rendered.RENDERED_VARIANTS, variant, look)
    data = load(tmp_path, 4, variant=variant)
    fewest, most, marks = PROMISES[variant]
    for mask, record in zip(data.masks, data.records, strict=True):
        scene = Scene.from_record(record)
        assert fewest <= len(scene.objects) <= most
        assert mask.max() <= len(scene.objects)
        assert torch.equal(mask.long(), scene_masks(scene, 24, 24, look.window))
        assert {"mirror", "ground_texture"} & set(record) == marks
        assert scene.to_record() == record
    assert (data.masks > 0).flatten(1).any(1).all() and data.images.float().std() > 5
    assert json.loads(json.dumps(data.provenance))["look"]["scenes"] == look.scenes
    assert torch.equal(load(tmp_path, 4, variant=variant).images, data.images)


def test_the_variants_are_those_that_are_promised_and_seen_as_faithfully_as_can_be():
    assert set(rendered.RENDERED_VARIANTS) == set(PROMISES)
    for look in rendered.RENDERED_VARIANTS.values():
        assert look.effects == Effects() and json.loads(json.dumps(asdict(look)))


def test_scenes_that_nothing_draws_are_refused():
    with pytest.raises(
        ValueError, match="scenes must be one of clevr, cogent, .*textured, got 'moon'"
    ):
        Look(3, 6, 16, 16, scenes="moon")


@pytest.mark.parametrize("value", [0, 1.5, "8", True, None])
@pytest.mark.parametrize("name", ["min_objects", "max_objects", "height", "width", "samples"])
def test_looks_of_impossible_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1"):
        replace(Look(3, 6, 16, 16), **{name: value})


def test_a_mistake_in_the_variant_is_named(tmp_path):
    for variant in (None, ["clevr"], b"clevr"):
        with pytest.raises(ValueError, match="has no variant .*: known are clevr"):
            load(tmp_path, variant=variant)


def test_a_rendered_mask_does_not_wrap_its_labels(monkeypatch):
    def render(scenes, height, width, **_):
        shape = (len(scenes), height, width)
        return Rendering(torch.zeros(shape[0], 3, *shape[1:]), torch.full(shape, 256))

    monkeypatch.setattr("smm_tutorial.datasets.own.rendering.render", render)
    with pytest.raises(ValueError, match="label 256, but a mask holds labels from 0 to 255"):
        draw_and_render(Look(3, 3, 4, 4), np.random.default_rng(0), "train", 0, 1)


def test_training_and_testing_pairs_of_shape_and_colour_share_none(tmp_path, monkeypatch):
    pairs = []
    for variant in ("cogent-a", "out-of-distribution-pairs"):
        monkeypatch.setitem(
            rendered.RENDERED_VARIANTS,
            variant,
            replace(rendered.RENDERED_VARIANTS[variant], height=8, width=8, samples=1),
        )
        items = [
            item
            for record in load(tmp_path, 12, variant=variant).records
            for item in record["objects"]
        ]
        pairs.append(
            {(item["shape"], item["color"]) for item in items if item["shape"] != "sphere"}
        )
    assert len(pairs[0]) > 4 and len(pairs[1]) > 4 and not pairs[0] & pairs[1]


def test_scenes_are_narrowed_by_the_objects_in_their_records(tmp_path):
    everything = load(tmp_path, 8)
    counts = [len(record["objects"]) for record in everything.records]
    few = load(tmp_path, 8, max_objects=min(counts))
    assert len(few) == counts.count(min(counts)) < 8 and all(
        len(record["objects"]) == min(counts) for record in few.records
    )
    many = load(tmp_path, 8, min_objects=min(counts) + 1, size=6)
    assert len(many) == 8 - len(few) and many.size == (6, 6)


TWO_PROCESSES = """
import sys, time
from pathlib import Path
from smm_tutorial import datasets
from smm_tutorial.datasets.own import rendered
from smm_tutorial.datasets.own.rendering import Look, draw_and_render

folder, name = Path(sys.argv[1]), sys.argv[2]
rendered.RENDERED_VARIANTS["clevr"], rendered.CHUNK = Look(3, 4, 8, 8, samples=1), 2
real = rendered.render_chunk

def noted(look, chunk):
    with open(folder / "work.txt", "a") as file:
        file.write(f"{chunk.start}\\n")
    time.sleep(0.5)  # long enough for the other one to begin as well, if nothing keeps it
    return real(look, chunk)

rendered.render_chunk = noted
(folder / f"ready-{name}").touch()
while not all((folder / f"ready-{other}").exists() for other in "ab"):
    time.sleep(0.01)
data = datasets.load("rendered", folder=folder / "kept", count=3)
print(int(data.images.long().sum()))
"""


def test_two_processes_that_ask_at_once_render_each_chunk_once(tmp_path):
    command = [sys.executable, "-c", TWO_PROCESSES, str(tmp_path)]
    both = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    sums = [process.communicate(timeout=120)[0].split()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0] and sums[0] == sums[1]
    assert Counter((tmp_path / "work.txt").read_text().split()) == {"0": 1, "2": 1}


HOLD = """
import sys
from pathlib import Path
from smm_tutorial.files import lock_folder
with lock_folder(Path(sys.argv[1]), "rendering into"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_scenes_that_are_there_are_read_while_another_process_renders(tmp_path, monkeypatch):
    first = load(tmp_path)
    folder = rendered.renders_folder(tmp_path, "clevr")
    monkeypatch.setattr(rendered, "lock_folder", files.lock_folder)  # does not wait for others
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], **pipes) as other:
        assert other.stdout.readline() == "held\n"
        assert torch.equal(load(tmp_path).images, first.images)
        with pytest.raises(files.FolderBusyError):
            load(tmp_path, 5)  # the fifth scene is not there
        other.stdin.close()


def test_a_whole_file_beside_a_damaged_one_of_its_chunk_is_read(tmp_path, work, recwarn):
    first = load(tmp_path)
    whole = sorted(tmp_path.rglob("*.zip"))[0]
    for digit in "0f":  # a name before and a name after the whole file's
        damaged = f"{whole.name.rpartition('-')[0]}-{digit * 16}.zip"
        whole.with_name(damaged).write_bytes(b"damaged")
    assert torch.equal(load(tmp_path).images, first.images)
    assert work == [0, 2] and not recwarn


def test_a_file_that_another_process_takes_away_is_rendered_again(tmp_path, work, monkeypatch):
    first = load(tmp_path, 2)
    gone = next(tmp_path.rglob("*.zip"))
    is_whole = rendered._is_whole
    taken = []

    def take_away(path):
        if not taken:
            taken.append(path.unlink())
        return is_whole(path)

    monkeypatch.setattr(rendered, "_is_whole", take_away)
    assert torch.equal(load(tmp_path, 2).images, first.images)
    assert work == [0, 0] and gone.is_file()


def test_the_processes_that_render_also_pack(tmp_path, monkeypatch):
    """Packing by the first process alone would limit 16 processes to 28 scenes a second."""
    with monkeypatch.context() as patch:
        patch.setattr(rendered, "pack_bytes", None)
        several = load(tmp_path / "several", 4, workers=2)
    assert torch.equal(load(tmp_path / "one", 4).images, several.images)
