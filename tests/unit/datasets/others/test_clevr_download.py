"""The first images of CLEVR from an archive in the official layout, through every fault."""

import json
import multiprocessing
import warnings

import pytest

from smm_tutorial import datasets
from smm_tutorial.datasets.others.clevr_download import download_clevr, parse_first_records
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer import manifests, remote_zip
from smm_tutorial.datasets.transfer.remote_file import DownloadError
from tests.full_disk import fill_disk_after
from tests.official import CLEVR_COUNT, CLEVR_IMAGES, CLEVR_SCENES, clevr_archive, noise_png
from tests.servers import IMPATIENT, Fault, FileServer, zipped
from tests.shared import SHARED

OFFICIAL = SHARED / "data" / "CLEVR_v1.0"
needs_clevr = pytest.mark.skipif(
    not OFFICIAL.is_dir(), reason="no CLEVR sample beside the repository"
)
ARCHIVE = clevr_archive(CLEVR_IMAGES)


@pytest.fixture(autouse=True)
def small_requests(monkeypatch):
    """Several images a request, several requests a download."""
    monkeypatch.setattr(remote_zip, "TOGETHER", 16_000)
    monkeypatch.setattr(remote_zip, "TAIL", 30_000)
    monkeypatch.setattr(remote_zip, "AHEAD", 4_000)


@pytest.fixture
def server():
    with FileServer({"clevr.zip": ARCHIVE}) as running:
        yield running


def get(server, folder, count=5, split="train"):
    return download_clevr(split, count, folder, server.url("clevr.zip"), IMPATIENT)


def load(folder, split="train", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # whatever is there loads without a word
        return datasets.load("clevr", split=split, root=folder, **options)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_first_images_come_with_their_records_and_no_others(server, tmp_path, split):
    root = get(server, tmp_path, 5, split)
    assert root == tmp_path / "CLEVR_v1.0"
    data = load(root, split)
    assert data.filenames == [f"CLEVR_{split}_{index:06d}.png" for index in range(5)]
    for name in data.filenames:
        assert (root / "images" / split / name).read_bytes() == CLEVR_IMAGES[
            f"images/{split}/{name}"
        ]
    assert data.records == (
        None if split == "test" else [scene.to_record() for scene in CLEVR_SCENES[split][:5]]
    )
    assert server.bytes_sent_for("clevr.zip") < len(ARCHIVE) / 5


def test_masks_are_computed_for_what_was_fetched(server, tmp_path):
    data = load(get(server, tmp_path), masks=True, size=(32, 48))
    assert data.masks.shape == (5, 32, 48) and data.masks.amax(dim=(1, 2)).min() > 0


def test_asking_again_asks_the_server_nothing_and_for_more_only_the_rest(server, tmp_path):
    get(server, tmp_path)
    server.asked.clear()
    get(server, tmp_path, 5)
    get(server, tmp_path, 2)
    assert not server.asked and len(load(tmp_path)) == 5
    get(server, tmp_path, 8)
    first_images = ARCHIVE.index(CLEVR_IMAGES["images/train/CLEVR_train_000004.png"])
    assert all(
        start >= first_images or stop > len(ARCHIVE) - 40_000
        for _, start, stop in server.asked
        if start
    )
    assert len(load(tmp_path)) == 8
    get(server, tmp_path, 3, "val")
    assert len(load(tmp_path)) == 8 and len(load(tmp_path, "val")) == 3


def test_a_fault_leaves_what_was_there_usable_and_is_taken_up(server, tmp_path):
    get(server, tmp_path, 2)
    server.faults["clevr.zip"] = [Fault()] * 4 + [
        Fault(cut_after=100)
    ] * 30  # the directory comes, the images break
    with pytest.raises(DownloadError, match="gave up on .*what has been fetched is kept"):
        get(server, tmp_path, CLEVR_COUNT)
    assert len(load(tmp_path)) == 2
    server.faults.clear()
    server.asked.clear()
    get(server, tmp_path, CLEVR_COUNT)
    assert len(load(tmp_path)) == CLEVR_COUNT and not manifests.find_damaged_files(
        tmp_path / "CLEVR_v1.0"
    )


def test_a_full_disk_leaves_what_was_there_usable(server, tmp_path, monkeypatch):
    get(server, tmp_path, 2)
    with monkeypatch.context() as patch:
        fill_disk_after(3, patch)
        with pytest.raises(DatasetError, match="No space left on device.*free some space"):
            get(server, tmp_path, CLEVR_COUNT)
    assert len(load(tmp_path)) == 2 and not list(tmp_path.rglob("*.smm-part"))
    get(server, tmp_path, CLEVR_COUNT)
    assert len(load(tmp_path)) == CLEVR_COUNT


def test_a_damaged_image_in_the_archive_never_arrives(server, tmp_path):
    content = bytearray(ARCHIVE)
    content[content.index(CLEVR_IMAGES["images/train/CLEVR_train_000003.png"]) + 500] ^= 1
    server.files["clevr.zip"] = bytes(content)
    with pytest.raises(DownloadError, match=r"CLEVR_train_000003\.png in .*clevr\.zip is damaged"):
        get(server, tmp_path)
    assert not list((tmp_path / "CLEVR_v1.0").glob("images/**/*.png"))
    assert len(load(get(server, tmp_path, 3))) == 3


def test_an_archive_that_changes_between_two_requests_is_refused(server, tmp_path):
    server.always["clevr.zip"] = Fault(stall=0.01)
    changed = {name: noise_png([999, index]) for index, name in enumerate(CLEVR_IMAGES)}
    original = server.answer

    def answer(request):
        if len(server.asked) == 4:
            server.files["clevr.zip"] = clevr_archive(changed)
        original(request)

    server.answer = answer
    with pytest.raises(DownloadError, match="has changed on the server"):
        get(server, tmp_path, CLEVR_COUNT)
    root = get(server, tmp_path, CLEVR_COUNT)  # the new version, and nothing of the old one
    for name in changed:
        if "train" in name:
            assert (root / name).read_bytes() == changed[name]


def test_a_damaged_file_on_disk_is_found_and_fetched_again(server, tmp_path):
    root = get(server, tmp_path)
    path = root / "images" / "train" / "CLEVR_train_000001.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    assert manifests.find_damaged_files(root) == ["images/train/CLEVR_train_000001.png"]
    path.unlink()
    get(server, tmp_path, 2)  # fewer than there are: the records of the others stay
    assert path.read_bytes() == whole and not manifests.find_damaged_files(root)
    assert len(load(tmp_path)) == 5


def test_what_cannot_be_asked_for_is_named(server, tmp_path):
    with pytest.raises(ValueError, match="clevr has no split 'valid'"):
        get(server, tmp_path, split="valid")
    with pytest.raises(ValueError, match="count must be a whole number of at least 1, got 0"):
        get(server, tmp_path, 0)
    with pytest.raises(
        DownloadError, match="it holds 12 images of train in a row; ask for no more"
    ):
        get(server, tmp_path, CLEVR_COUNT + 1)
    with pytest.raises(DownloadError, match="answers 404"):
        download_clevr("train", 1, tmp_path, server.url("nothing.zip"), IMPATIENT)


def test_a_scenes_file_of_ones_own_is_not_overwritten(server, tmp_path):
    path = tmp_path / "CLEVR_v1.0" / "scenes" / "CLEVR_train_scenes.json"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(DatasetError, match="was not written by a download.*into another folder"):
        get(server, tmp_path)
    assert path.read_text() == "mine" and not server.asked


def _get_in_a_process(url, folder):
    remote_zip.TOGETHER = 16_000
    download_clevr("train", CLEVR_COUNT, folder, url, IMPATIENT)


def test_two_processes_that_ask_at_once_fetch_once(server, tmp_path):
    server.always["clevr.zip"] = Fault(stall=0.05)
    can_fork = "fork" in multiprocessing.get_all_start_methods()  # a spawned one imports everything
    context = multiprocessing.get_context("fork" if can_fork else "spawn")
    processes = [
        context.Process(target=_get_in_a_process, args=(server.url("clevr.zip"), tmp_path))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(load(tmp_path)) == CLEVR_COUNT
    asked = [(start, stop) for _, start, stop in server.asked if stop and stop < len(ARCHIVE) / 2]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_records_are_read_from_a_beginning_in_any_pieces(size):
    objects = [{"a": '\\"'}]
    scenes = [{"image_filename": f"ü {index} ]}}", "objects": objects} for index in range(9)]
    for content in ({"info": {"version": "1.0"}, "scenes": scenes}, {"scenes": scenes, "info": {}}):
        text = json.dumps(content, ensure_ascii=False).encode()
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        expected = {"version": "1.0"} if list(content)[0] == "info" else {}
        assert parse_first_records(iter(pieces), 4) == (expected, scenes[:4])
        assert parse_first_records(iter(pieces), 9)[1] == scenes
        with pytest.raises(DownloadError, match="holds 9 records, expected at least 10"):
            parse_first_records(iter(pieces), 10)


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b'{"scenes": [1, 2]}', b'{"scenes": [{"a": }]}', b'x"scenes": [{}]', b"\xff"],
)
def test_what_is_no_scenes_file_is_refused(text):
    with pytest.raises(DownloadError):
        parse_first_records(iter([text]), 1)


@needs_clevr
def test_the_beginning_of_an_official_scenes_file_is_read():
    content = (OFFICIAL / "scenes" / "CLEVR_val_scenes.json").read_bytes()
    origin, records = parse_first_records(iter([content[:50_000], content[50_000:]]), 40)
    assert origin["version"] == "1.0" and records == json.loads(content)["scenes"][:40]


@needs_clevr
def test_official_files_in_an_archive_arrive_as_they_are(tmp_path):
    names = [f"images/test/CLEVR_test_{index:06d}.png" for index in range(6)] + [
        "images/train/CLEVR_train_000000.png"
    ]
    names += [f"scenes/CLEVR_{split}_scenes.json" for split in ("train", "val")]
    files = {
        f"CLEVR_v1.0/{name}": (OFFICIAL / name).read_bytes()
        for name in names
        if (OFFICIAL / name).is_file()
    }
    with FileServer({"clevr.zip": zipped(files, packed=True)}) as server:
        data = load(get(server, tmp_path, 4, "test"), "test")
        assert len(data) == 4 and data.size == (320, 480)
        for name in names[:4]:
            assert (tmp_path / "CLEVR_v1.0" / name).read_bytes() == files[f"CLEVR_v1.0/{name}"]
        if f"CLEVR_v1.0/{names[6]}" in files:
            data = load(get(server, tmp_path, 1, "train"), masks=True, size=64)
            assert data.masks[0].max() == len(data.records[0]["objects"])
