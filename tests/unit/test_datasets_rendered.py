"""Scenes rendered on demand: repeatable, kept, extended, repaired."""

import pytest
import torch

from smm_tutorial import datasets, paths
from smm_tutorial.datasets import rendered
from smm_tutorial.datasets.rendering import Look
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.masks import scene_masks


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Tiny pictures, two scenes a chunk."""
    monkeypatch.setitem(rendered.VARIANTS, "clevr10", Look(3, 10, 12, 16, rendered.OFFICIAL_WINDOW, samples=1))
    monkeypatch.setattr(rendered, "CHUNK", 2)


@pytest.fixture
def work(monkeypatch):
    """The chunks that were really rendered."""
    done, real = [], rendered.render_chunk
    monkeypatch.setattr(rendered, "render_chunk", lambda chunk: done.append(chunk.start) or real(chunk))
    return done


def load(folder, count=3, **options):
    return datasets.load("rendered", folder=folder, count=count, **options)


def test_scenes_are_rendered_once_and_kept(tmp_path, work):
    first = load(tmp_path)
    assert work == [0, 2] and len(first) == 3 and first.size == (12, 16)
    again = load(tmp_path)
    assert work == [0, 2] and torch.equal(again.images, first.images) and torch.equal(again.masks, first.masks)
    assert again.records == first.records and again.provenance == first.provenance
    more = load(tmp_path, 5)
    assert work == [0, 2, 4] and torch.equal(more.images[:3], first.images)


def test_the_same_seed_gives_the_same_scenes_and_another_gives_others(tmp_path):
    first = load(tmp_path / "a")
    assert torch.equal(load(tmp_path / "b").images, first.images)
    for options in ({"seed": 1}, {"split": "val"}):
        assert not torch.equal(load(tmp_path / "a", **options).images, first.images)


def test_masks_show_the_records_as_clevrs_own_images_would(tmp_path):
    for mask, record in zip(*(lambda data: (data.masks, data.records))(load(tmp_path)), strict=True):
        assert torch.equal(mask.long(), scene_masks(Scene.from_record(record), 12, 16, rendered.OFFICIAL_WINDOW))
    assert load(tmp_path, size=8).masks.shape == (3, 8, 8)


def test_a_damaged_chunk_is_noticed_and_rendered_again(tmp_path, work):
    first = load(tmp_path)
    path = sorted(tmp_path.rglob("*.zip"))[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert rendered.damaged_renders(tmp_path) == [path.relative_to(tmp_path).as_posix()]
    with pytest.warns(UserWarning, match="is damaged: its scenes are rendered again"):
        assert torch.equal(load(tmp_path).images, first.images)
    assert work == [0, 2, 2] and not rendered.damaged_renders(tmp_path)


def test_a_changed_renderer_starts_afresh(tmp_path, work, monkeypatch):
    load(tmp_path, 2)
    monkeypatch.setattr(rendered, "renderer_fingerprint", lambda: "another one")
    load(tmp_path, 2)
    assert work == [0, 0]


def test_a_full_disk_keeps_the_chunks_that_were_whole(tmp_path, work, monkeypatch):
    real, written = paths.os.fsync, []

    def nearly_full(descriptor):
        written.append(descriptor)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(paths.os, "fsync", nearly_full)
        with pytest.raises(DatasetError, match="No space left on device"):
            load(tmp_path, 4)
    load(tmp_path, 4)
    assert work == [0, 2, 2]


def test_what_cannot_be_rendered_is_named(tmp_path):
    for options, message in (
        ({"split": "new"}, "rendered has no split 'new'"),
        ({"variant": "clevr99"}, "rendered has no variant 'clevr99': known are clevr6, clevr10"),
        ({"count": 0}, "count must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            load(tmp_path, **options)
