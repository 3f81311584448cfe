"""Packs: round trip, repeatable bytes, faults; how the committed ones are made; and the committed
ones themselves.
"""

import io
import json
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial import datasets, files, paths
from smm_tutorial.datasets import make_packs
from smm_tutorial.datasets.own import packs
from smm_tutorial.datasets.own.clevr6 import packs_folder, read_provenance
from smm_tutorial.datasets.own.packs import pack_bytes, read_pack, write_pack
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages
from smm_tutorial.scenes import PAPER_CROP, Scene
from smm_tutorial.scenes.raytrace import RENDERER_VERSION, render
from tests.memory import peak_of
from tests.servers import zipped

SPLITS = ("train", "val", "test")
TINY = {"train": 3, "val": 2, "test": 1}


def made_up(count=70, height=5, width=7, labelled=True, seed=0):
    """Random pixels, the hardest case for a lossless format; 70 images need two strips."""
    generator = torch.Generator().manual_seed(seed)
    return SceneImages(
        images=torch.randint(
            0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8
        ),
        filenames=[f"scene {index} ü.png" for index in range(count)],
        name="made-up",
        split="val",
        licence="CC0",
        provenance={"seed": seed, "deep": {"list": [1, 2.5, None]}},
        masks=torch.randint(0, 9, (count, height, width), generator=generator, dtype=torch.uint8)
        if labelled
        else None,
        records=[{"objects": [0.1 + index]} for index in range(count)] if labelled else None,
    )


PACKED = pack_bytes(made_up(count=3))
LONG = 40_000_000  # bytes, of which some are unpacked; gigabytes would only take longer


def members_of(content):
    """The content of each member of a pack."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_header(**changes):
    """The members of a pack whose header was changed by hand."""
    members = members_of(PACKED)
    header = json.loads(members["header.json"])
    return {**members, "header.json": json.dumps({**header, **changes}).encode()}


def with_member(name, content):
    return {**members_of(PACKED), name: content}


def npy(shape, kind="|u1", labels=b""):
    """A .npy file whose header may claim anything."""
    file = io.BytesIO()
    head = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue() + labels


@pytest.fixture(scope="module")
def tiny_packs(tmp_path_factory):
    """The packs of a few scenes, really drawn and rendered, as the command makes them."""
    folder = tmp_path_factory.mktemp("clevr6")
    make_packs.make_packs(folder, seed=3, counts=TINY, workers=1)
    return folder


@pytest.mark.parametrize(
    "data", [made_up(), made_up(count=64), made_up(count=1, labelled=False)], ids=len
)
def test_a_pack_gives_back_what_went_in(tmp_path, data):
    path = tmp_path / "new folder" / "val.zip"
    write_pack(path, data)
    back = read_pack(path)
    assert torch.equal(back.images, data.images)
    assert (back.masks is None) == (data.masks is None) and (
        data.masks is None or torch.equal(back.masks, data.masks)
    )
    for field in ("filenames", "name", "split", "licence", "provenance", "records"):
        assert getattr(back, field) == getattr(data, field)


def test_the_same_data_gives_the_same_bytes_at_any_time(monkeypatch):
    later = time.time() + 1e6
    first = pack_bytes(made_up())
    monkeypatch.setattr(time, "time", lambda: later)
    assert pack_bytes(made_up()) == first
    assert pack_bytes(made_up(seed=1)) != first


def test_a_pack_is_an_ordinary_zip_file(tmp_path):
    write_pack(tmp_path / "val.zip", made_up())
    with zipfile.ZipFile(tmp_path / "val.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "header.json",
            "images/00000.webp",
            "images/00001.webp",
            "masks.npy",
            "records.json",
        ]


def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "val.zip"
    files.write_atomically(path, b"old")

    def killed(*_):
        raise KeyboardInterrupt

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, step, killed)
            files.write_atomically(path, b"new and longer")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]  # no draft stays behind


@pytest.mark.parametrize("kept", [0, 1, 100, len(PACKED) // 2, len(PACKED) - 1])
def test_a_truncated_pack_is_one_clear_error(tmp_path, kept):
    path = tmp_path / "val.zip"
    path.write_bytes(PACKED[:kept])
    with pytest.raises(DatasetError, match=r"val\.zip is damaged or no pack .*; do this"):
        read_pack(path, remedy="do this")


@settings(deadline=None, max_examples=60)
@given(position=st.integers(0, len(PACKED) - 1), flip=st.integers(1, 255))
def test_a_flipped_byte_never_passes_for_other_pixels(tmp_path_factory, position, flip):
    """Even without a known checksum: an error, or (in the zip's unused fields) the right
    content.
    """
    damaged = bytearray(PACKED)
    damaged[position] ^= flip
    path = tmp_path_factory.getbasetemp() / "flipped.zip"
    path.write_bytes(damaged)
    try:
        back = read_pack(path)
    except DatasetError:
        return
    assert torch.equal(back.images, made_up(count=3).images)


def test_content_other_than_the_checksums_is_refused(tmp_path):
    path = tmp_path / "val.zip"
    write_pack(path, made_up(seed=1))
    with pytest.raises(
        DatasetError,
        match=r"val\.zip is damaged or altered: its sha256 is .*provenance says 00ff; do",
    ):
        read_pack(path, sha256="00ff", remedy="do this")


def test_files_that_are_no_packs_are_refused(tmp_path):
    with pytest.raises(
        DatasetError, match=r"cannot read the pack .*absent\.zip \(No such file or directory\)"
    ):
        read_pack(tmp_path / "absent.zip")
    path = tmp_path / "other.zip"
    for content in ({}, {"format": packs.FORMAT, "version": 99}, []):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("header.json", json.dumps(content))
        with pytest.raises(DatasetError, match=r"other\.zip is damaged or no pack"):
            read_pack(path)


CLAIMS = {
    "a long header": with_header(provenance={"a": "a" * LONG}),
    "long records": with_member("records.json", b"[" + b"[]," * (LONG // 3) + b"[]]"),
    "a long strip": with_member("images/00000.webp", bytes(LONG)),
    "long masks": with_member("masks.npy", npy((3, 5, 7), labels=bytes(LONG))),
    "masks of terabytes": with_member("masks.npy", npy((1 << 40,))),
    "masks of large numbers": with_member("masks.npy", npy((3, 5, 7), "<f8", bytes(840))),
    "masks of texts": with_member("masks.npy", npy((3, 5, 7), "|S1000000000")),
    "masks with deep brackets": with_member(
        "masks.npy", b"\x93NUMPY\x01\0" + (9000).to_bytes(2, "little") + b"-" * 9000
    ),
    "many images": with_header(count=1 << 40),
    "high images": with_header(height=1 << 40),
    "wide images": with_header(width=10**4000),
    "nested records": with_member("records.json", b"[" * 100_000),
    "a nested header": with_member("header.json", b'{"a":' * 100_000),
}


@pytest.mark.parametrize("members", CLAIMS.values(), ids=CLAIMS)
def test_a_pack_fills_no_memory_whatever_it_claims(tmp_path, members):
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped(members, packed=True))
    assert path.stat().st_size < 200_000

    def read():
        with pytest.raises(DatasetError, match=r"bomb\.zip is damaged or no pack .*; do this"):
            read_pack(path, remedy="do this")

    assert peak_of(read) < 8_000_000


def test_a_member_of_a_pack_unpacks_to_no_more_than_the_directory_says(tmp_path):
    content = zipped(with_member("records.json", bytes(LONG)), packed=True)
    path = tmp_path / "bomb.zip"
    path.write_bytes(content.replace(LONG.to_bytes(4, "little"), (1000).to_bytes(4, "little")))

    def read():
        with pytest.raises(DatasetError, match="damaged or no pack"):
            read_pack(path)

    assert peak_of(read) < 8_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 1.0},
        {"count": True},
        {"count": "3"},
        {"count": 0},
        {"height": -5},
        {"width": None},
        {"filenames": "abc"},
        {"filenames": [1, 2, 3]},
        {"filenames": ["a"]},
        {"licence": None},
        {"name": 3},
        {"provenance": []},
    ],
    ids=str,
)
def test_a_header_of_other_types_is_one_clear_error(tmp_path, changes):
    path = tmp_path / "odd.zip"
    path.write_bytes(zipped(with_header(**changes)))
    with pytest.raises(DatasetError, match=r"odd\.zip is damaged or no pack"):
        read_pack(path)


@pytest.mark.parametrize("records", [3, {}, [3, 3, 3], [{}] * 3, [{"objects": 1}] * 3], ids=str)
def test_records_without_objects_are_one_clear_error(tmp_path, records):
    path = tmp_path / "odd.zip"
    path.write_bytes(zipped(with_member("records.json", json.dumps(records).encode())))
    with pytest.raises(DatasetError, match=r"odd\.zip is damaged or no pack"):
        read_pack(path)


def test_masks_in_the_order_of_columns_are_read(tmp_path):
    data = made_up(count=2)
    turned = torch.from_numpy(np.asfortranarray(data.masks.numpy()))
    write_pack(tmp_path / "val.zip", replace(data, masks=turned))
    assert torch.equal(read_pack(tmp_path / "val.zip").masks, data.masks)


def test_data_that_packs_very_well_still_comes_back(tmp_path):
    blank = torch.zeros(2_000, 3, 64, 64, dtype=torch.uint8)
    names = [f"{index}.png" for index in range(len(blank))]
    data = SceneImages(blank, names, "blank", "val", "CC0", masks=blank[:, 0].clone())
    write_pack(tmp_path / "val.zip", data)
    assert len(read_pack(tmp_path / "val.zip")) == len(blank)


def test_a_pickle_in_a_pack_is_refused(tmp_path):
    """A pack from a stranger must not run code."""
    path = tmp_path / "evil.zip"
    write_pack(path, replace(made_up(count=2), masks=None))
    with zipfile.ZipFile(path, "a") as archive, archive.open("masks.npy", "w") as member:
        np.save(member, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"evil\.zip .*allow_pickle=False"):
        read_pack(path)


def test_made_packs_load_by_name(tiny_packs):
    for split, count in TINY.items():
        data = datasets.load("clevr6", split=split, root=tiny_packs)
        assert (len(data), data.size, data.split, data.licence) == (
            count,
            (64, 64),
            split,
            "CC BY 4.0",
        )
        assert data.filenames == [record["image_filename"] for record in data.records]
    assert sorted(path.name for path in tiny_packs.iterdir()) == [
        "provenance.json",
        "test.zip",
        "train.zip",
        "val.zip",
    ]


def test_the_same_seed_makes_the_same_packs_whatever_else_is_made(tiny_packs, tmp_path):
    make_packs.make_packs(tmp_path, seed=3, counts={"val": 2}, workers=1)
    again, before = (
        datasets.load("clevr6", split="val", root=folder) for folder in (tmp_path, tiny_packs)
    )
    assert torch.equal(again.images, before.images) and again.records == before.records
    make_packs.make_packs(tmp_path, seed=3, counts=TINY, workers=1)
    for name in ("provenance.json", "train.zip", "val.zip", "test.zip"):
        assert (tmp_path / name).read_bytes() == (tiny_packs / name).read_bytes()
    make_packs.make_packs(tmp_path, seed=4, counts={"val": 2}, workers=1)
    assert not torch.equal(
        datasets.load("clevr6", split="val", root=tmp_path).images, before.images
    )


@pytest.mark.parametrize(
    ("seed", "counts", "workers", "words"),
    [
        (-1, {"val": 1}, 1, "seed must be"),
        (1.5, {"val": 1}, 1, "seed must be"),
        (0, {"val": 0}, 1, "count of val must be"),
        (0, {"val": "9"}, 1, "count of val must be"),
        (0, {"all": 1}, 1, "no split 'all'"),
        (0, {"val": 1}, 0, "workers must be"),
        (0, {"val": 1}, True, "workers must be"),
    ],
)
def test_packs_that_cannot_be_made_are_named(tmp_path, seed, counts, workers, words):
    with pytest.raises(ValueError, match=words):
        make_packs.make_packs(tmp_path, seed, counts, workers)
    assert not list(tmp_path.iterdir())


def test_the_provenance_tells_how_to_make_the_packs(tiny_packs):
    provenance = json.loads((tiny_packs / "provenance.json").read_text())
    assert provenance["command"] == (
        "python -m smm_tutorial.datasets.make_packs --seed 3 --train 3 --val 2 --test 1"
    )
    assert provenance["renderer_version"] == RENDERER_VERSION
    assert str(Path.home()) not in json.dumps(provenance) and str(tiny_packs) not in json.dumps(
        provenance
    )


def test_a_killed_run_leaves_the_old_packs_usable(tiny_packs, tmp_path, monkeypatch):
    for path in tiny_packs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def killed(chunk):
        if chunk.split == "test":
            raise KeyboardInterrupt
        masks = torch.zeros(chunk.stop, 64, 64, dtype=torch.uint8)
        return make_packs.RenderedScenes(masks[:, None].repeat(1, 3, 1, 1), masks, [])

    monkeypatch.setattr(make_packs, "render_chunk", killed)
    with pytest.raises(KeyboardInterrupt):
        make_packs.make_packs(tmp_path, seed=9, counts=TINY, workers=1)
    assert (
        datasets.load("clevr6", root=tmp_path).records
        == datasets.load("clevr6", root=tiny_packs).records
    )


def test_faults_of_the_embedded_packs_name_the_remedy(tiny_packs, tmp_path):
    for path in tiny_packs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="clevr6 has no split 'valid': known are train, val, test"):
        datasets.load("clevr6", split="valid", root=tmp_path)
    content = bytearray((tmp_path / "train.zip").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "train.zip").write_bytes(content)
    with pytest.raises(
        DatasetError, match=r"train\.zip is damaged or altered.*git checkout.*make_packs"
    ):
        datasets.load("clevr6", root=tmp_path)
    (tmp_path / "val.zip").unlink()
    with pytest.raises(
        DatasetError, match=r"cannot read the pack .*val\.zip.*git checkout.*make_packs"
    ):
        datasets.load("clevr6", split="val", root=tmp_path)
    (tmp_path / "provenance.json").write_text('{"files": {"train"')
    with pytest.raises(DatasetError, match=r"provenance\.json is damaged.*git checkout"):
        datasets.load("clevr6", root=tmp_path)
    whole = json.loads((tiny_packs / "provenance.json").read_text())
    for change in (
        {"sha256": None},  # which would turn the check off
        {"sha256": "00ff"},
        {"sha256": ["a"]},
        {"file": "../train.zip"},
        {"file": None},
        {"count": "3"},
    ):
        files = {**whole["files"], "train": {**whole["files"]["train"], **change}}
        (tmp_path / "provenance.json").write_text(json.dumps({**whole, "files": files}))
        with pytest.raises(DatasetError, match=r"provenance\.json is damaged.*git checkout"):
            datasets.load("clevr6", root=tmp_path)
    for content in ("[]", "3", '{"files": 3}', '{"files": {"a": 3}}', "[" * 100_000, "\0"):
        (tmp_path / "provenance.json").write_text(content)
        with pytest.raises(DatasetError, match=r"provenance\.json is damaged.*git checkout"):
            datasets.load("clevr6", root=tmp_path)
    (tmp_path / "provenance.json").unlink()
    with pytest.raises(DatasetError, match=r"cannot read .*provenance\.json.*git checkout"):
        datasets.load("clevr6", root=tmp_path)


def test_resizing_the_embedded_data_takes_area_means_and_nearest_labels(tiny_packs):
    full, half = (datasets.load("clevr6", root=tiny_packs, size=size) for size in (None, 32))
    means = torch.nn.functional.avg_pool2d(full.images.float(), 2)
    assert (
        half.images.float() - means
    ).abs().max() <= 1  # Pillow rounds along rows and along columns
    corners = torch.stack([full.masks[:, y::2, x::2] for y in (0, 1) for x in (0, 1)])
    assert half.size == (32, 32) and (half.masks == corners).any(dim=0).all()
    assert half.records == full.records
    assert datasets.load("clevr6", root=tiny_packs, size=(16, 48)).masks.shape == (3, 16, 48)


def test_the_embedded_data_can_be_narrowed(tiny_packs):
    everything = datasets.load("clevr6", root=tiny_packs)
    counts = [len(record["objects"]) for record in everything.records]
    few = datasets.load("clevr6", root=tiny_packs, max_objects=min(counts))
    assert len(few) == counts.count(min(counts)) and all(
        len(r["objects"]) == min(counts) for r in few.records
    )
    assert datasets.load("clevr6", root=tiny_packs, limit=2).filenames == everything.filenames[:2]


@pytest.mark.parametrize("split", SPLITS)
def test_the_committed_packs_are_what_they_say(split):
    data = datasets.load("clevr6", split=split)
    counts = torch.tensor([len(record["objects"]) for record in data.records])
    assert len(data) == make_packs.COUNTS[split] and data.size == (64, 64)
    assert counts.min() == 3 and counts.max() == 6
    assert (data.masks.flatten(1).amax(dim=1) <= counts).all()
    assert (data.masks > 0).any(
        dim=(1, 2)
    ).float().mean() > 0.99  # the crop hides all objects of hardly any scene
    assert len({str(record["objects"]) for record in data.records}) == len(data)


def test_the_committed_splits_share_no_scene():
    scenes = [
        str(record["objects"])
        for split in SPLITS
        for record in datasets.load("clevr6", split=split).records
    ]
    assert len(set(scenes)) == len(scenes)


def test_the_committed_packs_show_their_records_as_the_renderer_draws_them_now():
    """Fails when the renderer changes: then run `python -m smm_tutorial.datasets.make_packs`."""
    provenance = read_provenance(packs_folder())
    assert provenance["renderer_version"] == RENDERER_VERSION, "make the packs again"
    data = datasets.load("clevr6", split="val", limit=3)
    scenes = [Scene.from_record(record) for record in data.records]
    now = render(
        scenes,
        *data.size,
        samples=make_packs.LOOK.samples,
        window=PAPER_CROP,
        effects=make_packs.LOOK.effects,
    )
    differences = (now.images * 255 - data.images).abs()
    assert (differences <= 1).float().mean() > 0.999
    assert (now.masks == data.masks).float().mean() > 0.999


def test_the_committed_packs_are_small_and_load_quickly():
    folder = paths.packs_dir() / "clevr6"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 15e6
    start = time.process_time()
    datasets.load("clevr6", split="train")
    assert time.process_time() - start < 3
