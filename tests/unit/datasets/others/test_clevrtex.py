"""ClevrTex in its official layout, from a folder and from archives that misbehave."""

import numpy as np
import pytest

from smm_tutorial import datasets
from smm_tutorial.datasets.others import clevrtex
from smm_tutorial.datasets.others.clevrtex import download_clevrtex
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.remote_file import DownloadError
from tests.official import tex_image, tex_mask, tex_members
from tests.servers import IMPATIENT, Fault, FileServer, tarred

TOTAL = 20  # made-up size: test 0 and 1, val 2 and 3, train 4 to 19


@pytest.fixture(autouse=True)
def small_totals(monkeypatch):
    monkeypatch.setattr(clevrtex, "TOTALS", {"full": TOTAL, "camo": TOTAL, "outd": 3})


@pytest.fixture
def folder(tmp_path):
    """The whole data set, unpacked."""
    for name, content in {**tex_members(range(TOTAL)), **tex_members(range(3), "outd")}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def server():
    """Five archives of four images, out of order within each."""
    parts = {
        f"full{part}": tarred(tex_members([4 * part - 1, 4 * part - 4, 4 * part - 2, 4 * part - 3]))
        for part in range(1, 6)
    }
    with FileServer(parts) as running:
        yield running


def get(server, folder, count, split="train", **options):
    urls = {name: server.url(name) for name in server.files}
    return download_clevrtex(split, count, folder, urls=urls, patience=IMPATIENT, **options)


def load(root, **options):
    return datasets.load("clevrtex", root=root, **options)


def numbers(data):
    return [int(name[-10:-4]) for name in data.filenames]


def test_images_masks_and_records_belong_together(folder):
    for split, expected in (("test", [0, 1]), ("val", [2, 3]), ("train", list(range(4, 20)))):
        data = load(folder, split=split)
        assert numbers(data) == expected
        for position, index in enumerate(expected):
            assert np.array_equal(data.images[position].permute(1, 2, 0), tex_image(index))
            assert np.array_equal(data.masks[position], tex_mask(index))
            assert len(data.records[position]["objects"]) == 2 + index % 4
    assert len(load(folder / "clevrtex_full", split="val")) == 2
    assert len(load(folder, split="test", variant="outd")) == 3


def test_scenes_can_be_chosen_and_cropped(folder):
    assert numbers(load(folder, limit=3)) == [4, 5, 6]
    assert all(2 + index % 4 <= 3 for index in numbers(load(folder, max_objects=3)))
    full, cropped = load(folder, limit=2), load(folder, limit=2, crop="paper")
    assert cropped.size == (19, 19)  # 0.8 of 24, rounded down
    assert (cropped.images == full.images[:, :, 2:21, 6:25]).all() and (
        cropped.masks == full.masks[:, 2:21, 6:25]
    ).all()
    assert load(folder, limit=2, size=8).masks.shape == (2, 8, 8)


def test_some_of_a_split_is_fetched_and_loads_as_such(server, tmp_path):
    root = get(server, tmp_path, 3)
    assert numbers(load(tmp_path)) == [4, 6, 7] and {path for path, *_ in server.asked} == {"full2"}
    server.asked.clear()
    get(server, tmp_path, 3)
    get(server, tmp_path, 1)
    assert not server.asked
    get(server, tmp_path, 16)
    assert numbers(load(tmp_path)) == list(range(4, 20))
    server.asked.clear()
    get(server, tmp_path, 2, "val")
    get(server, tmp_path, 2, "test")
    assert {path for path, *_ in server.asked} <= {
        "full1"
    }  # and none of the finished archives again
    assert numbers(load(root, split="test")) == [0, 1]
    assert not list((root / "archives").glob("*.gz"))  # what is unpacked needs no archive


def test_a_cut_leaves_whole_scenes_and_is_taken_up(server, tmp_path):
    length = len(server.files["full2"])
    server.faults["full2"] = [Fault(), Fault(cut_after=length // 2), *[Fault(cut_after=0)] * 3]
    with pytest.raises(DownloadError, match="gave up"):
        get(server, tmp_path, 4)
    kept = (tmp_path / "clevrtex_full" / "archives" / "full2").read_bytes()
    assert kept == server.files["full2"][: len(kept)]
    server.asked.clear()
    get(server, tmp_path, 4)
    assert numbers(load(tmp_path)) == [4, 5, 6, 7]
    assert min(start for path, start, stop in server.asked if stop is None) == len(kept)


def test_a_damaged_member_is_noticed_and_whole_scenes_stay(server, tmp_path):
    broken = tex_members([7, 4, 6, 5])
    name = "clevrtex_full/0/CLEVRTEX_full_000006_flat.png"  # after its image, before its record
    broken[name] = broken[name][:60] + b"!" + broken[name][61:]
    server.files["full2"] = tarred(broken)
    with pytest.raises(
        DownloadError, match=r"full2 arrived damaged .*000006_flat\.png.*fetch it again"
    ):
        get(server, tmp_path, 4)
    assert numbers(load(tmp_path)) == [4, 7] and not list(
        (tmp_path / "clevrtex_full" / "archives").iterdir()
    )
    server.files["full2"] = tarred(tex_members([7, 4, 6, 5]))
    get(server, tmp_path, 4)
    assert numbers(load(tmp_path)) == [4, 5, 6, 7]


def test_a_damaged_stream_is_noticed(server, tmp_path):
    content = server.files["full2"]
    for position in (
        len(content) // 2,
        len(content) - 6,
    ):  # in the middle; in the checksum of the whole
        server.files["full2"] = (
            content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]
        )
        with pytest.raises(DownloadError, match="full2 arrived damaged"):
            get(server, tmp_path / str(position), 16)


def test_faults_are_named(folder, server, tmp_path):
    with pytest.raises(
        DatasetError, match=r"no folder clevrtex_camo at .*smm-tutorial data download clevrtex"
    ):
        load(folder, variant="camo")
    with pytest.raises(ValueError, match="clevrtex has no variant 'grass'"):
        load(folder, variant="grass")
    with pytest.raises(ValueError, match="clevrtex outd has no split 'train': known are test"):
        load(folder, variant="outd")
    with pytest.raises(ValueError, match='crop must be "paper"'):
        load(folder, crop="smm")
    with pytest.raises(ValueError, match="count must be 1 to 16, the size of train, got 17"):
        get(server, folder, 17)
    stem = folder / "clevrtex_full" / "0" / "CLEVRTEX_full_000005"
    (stem.parent / "CLEVRTEX_full_000005.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"000005\.json is damaged"):
        load(folder)
    (stem.parent / "CLEVRTEX_full_000005_flat.png").unlink()
    (stem.parent / "CLEVRTEX_full_000005.json").write_text('{"objects": []}')
    with pytest.raises(DatasetError, match=r"000005_flat\.png is missing"):
        load(folder)
    (stem.parent / "CLEVRTEX_full_000005.png").unlink()
    with pytest.raises(DatasetError, match="holds 15 of 16 images of train, not 5"):
        load(folder)
