"""`smm-tutorial data`, each action on real files from a server of the tests' own."""

import gzip
import hashlib
import json

import pytest
from PIL import Image

from smm_tutorial import cli, datasets, paths
from smm_tutorial.datasets.others.clevrtex import download_clevrtex
from smm_tutorial.datasets.own import rendered
from smm_tutorial.datasets.own.rendering import Look
from smm_tutorial.datasets.transfer import manifests
from tests.official import (
    CLEVR_SCENES,
    masked_scene,
    noise_png,
    packed_records,
    tex_members,
    tf_example,
)
from tests.servers import IMPATIENT, FileServer, tarred, zipped


@pytest.fixture(autouse=True)
def downloads(tmp_path, monkeypatch):
    """Downloads go into a folder of their own."""
    monkeypatch.setattr(paths, "downloads_dir", lambda: tmp_path / "downloads")
    return tmp_path / "downloads"


@pytest.fixture
def server():
    with FileServer(
        {
            "clevr.zip": zipped(official_members()),
            "records": packed_records([tf_example(masked_scene(index)) for index in range(4)]),
        }
    ) as running:
        yield running


def official_members():
    """Two training images of CLEVR's size in its layout, with records."""
    records = [scene.to_record() for scene in CLEVR_SCENES["train"][:2]]
    members = {
        f"CLEVR_v1.0/images/train/CLEVR_train_00000{index}.png": noise_png(index)
        for index in range(2)
    }
    return {
        **members,
        "CLEVR_v1.0/scenes/CLEVR_train_scenes.json": json.dumps({"scenes": records}).encode(),
    }


def run(*arguments):
    return cli.main(["data", *arguments])


def test_what_is_downloaded_is_listed_checked_repaired_and_shown(
    server, downloads, tmp_path, capsys
):
    arguments = ["download", "clevr", "--count", "2", "--url", server.url("clevr.zip")]
    assert run("list") == 0
    said = capsys.readouterr().out
    assert "18 GB" in said and "here: nothing" in said
    assert run(*arguments) == 0
    assert run("list") == 0 and "here: 3 files" in capsys.readouterr().out
    assert run("verify") == 0 and "clevr: 3 of 3 files" in capsys.readouterr().out

    damaged = downloads / "CLEVR_v1.0" / "images" / "train" / "CLEVR_train_000001.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + b"?")
    assert run("verify") == 1
    said = capsys.readouterr().err
    assert "images/train/CLEVR_train_000001.png in" in said and "verify --delete" in said
    assert run("verify", "--delete") == 1 and not damaged.exists()
    assert run(*arguments) == 0 and damaged.read_bytes() == whole
    assert run("verify") == 0

    sheet = tmp_path / "new folder" / "sheet.png"
    assert run("preview", "clevr", "--count", "2", "--size", "32", "--output", str(sheet)) == 0
    with Image.open(sheet) as picture:
        assert picture.width > 2 * picture.height  # two pairs in a row


def test_a_beginning_of_records_is_checked_and_deleted_when_damaged(server, downloads, capsys):
    arguments = ["download", "clevr-with-masks", "--count", "2", "--url", server.url("records")]
    assert run(*arguments) == 0 and run("verify") == 0
    assert "clevr-with-masks: 2 examples" in capsys.readouterr().out
    path = downloads / "clevr_with_masks" / "clevr_with_masks_train.tfrecords"
    content = bytearray(path.read_bytes())
    content[5000] ^= 255
    path.write_bytes(content)
    assert run("verify") == 1 and path.exists()
    assert "tfrecords is damaged" in capsys.readouterr().err
    assert run("verify", "--delete") == 1 and not list(path.parent.glob("clevr*"))
    assert run(*arguments) == 0 and run("verify") == 0


def unpacked_records(count=4):
    """The examples that the server has, as gunzip leaves them."""
    return gzip.decompress(packed_records([tf_example(masked_scene(i)) for i in range(count)]))


def test_an_unpacked_file_of_ones_own_is_read_and_stays(downloads, capsys):
    path = downloads / "clevr_with_masks" / "clevr_with_masks_train.tfrecords"
    path.parent.mkdir(parents=True)
    path.write_bytes(unpacked_records())
    assert len(datasets.load("clevr-with-masks", size=16)) == 4
    assert run("verify", "--delete") == 0
    assert "clevr-with-masks: 4 examples" in capsys.readouterr().out
    assert run("download", "clevr-with-masks", "--count", "4", "--url", "http://127.0.0.1:1/x") == 0


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("noted", [True, False], ids=["with a note", "without a note"])
def test_only_a_file_that_a_download_wrote_is_deleted_when_damaged(
    server, downloads, capsys, packed, noted
):
    arguments = ["download", "clevr-with-masks", "--count", "4", "--url", server.url("records")]
    assert run(*arguments) == 0
    path = downloads / "clevr_with_masks" / "clevr_with_masks_train.tfrecords"
    note = path.with_name(path.name + ".source.json")
    if not packed:
        path.write_bytes(unpacked_records())  # in place, and the note was left beside it
    if not noted:
        note.unlink()
    content = bytearray(path.read_bytes())
    content[5000] ^= 255
    path.write_bytes(content)
    kept = path.read_bytes()
    assert run("verify", "--delete") == 1
    said = capsys.readouterr().err
    assert "is damaged" in said
    if packed and noted:
        assert not path.exists() and not note.exists() and "; deleted" in said
    else:
        assert path.read_bytes() == kept and note.exists() == noted
        assert "no download wrote it as it is, so it stays" in said


def test_a_download_does_not_go_on_with_a_file_that_was_unpacked(server, downloads, capsys):
    arguments = ["download", "clevr-with-masks", "--url", server.url("records"), "--count"]
    assert run(*arguments, "1") == 0
    path = downloads / "clevr_with_masks" / "clevr_with_masks_train.tfrecords"
    path.write_bytes(unpacked_records(1))
    assert run(*arguments, "4") == 1
    assert "was unpacked" in capsys.readouterr().err and path.read_bytes() == unpacked_records(1)


def test_verify_deletes_nothing_outside_whatever_manifests_say(downloads, tmp_path, capsys):
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("three years")
    for folder, name in (("coco", "../../thesis.txt"), ("shapestacks", str(thesis))):
        (downloads / folder).mkdir(parents=True)
        (downloads / folder / "manifest.json").write_text(json.dumps({"files": {name: [1, 1]}}))
    (downloads / "clevrtex_camo").mkdir()
    (downloads / "clevrtex_camo" / "manifest.json").write_text("{")
    (downloads / "clevrtex_outd").mkdir()
    (downloads / "clevrtex_outd" / "link").symlink_to(tmp_path)
    entries = {"files": {"link/thesis.txt": [1, 1]}}
    (downloads / "clevrtex_outd" / "manifest.json").write_text(json.dumps(entries))
    assert run("verify", "--delete") == 1
    said = capsys.readouterr().err  # of every fault, not of the first alone
    for folder in ("coco", "shapestacks"):
        assert f"{folder}/manifest.json is not to be trusted" in said
    assert "clevrtex_camo/manifest.json is damaged" in said and "a link in" in said
    assert thesis.read_text() == "three years"


def test_a_file_out_of_an_unpacked_archive_is_fetched_again(downloads, monkeypatch):
    monkeypatch.setattr(
        "smm_tutorial.datasets.others.clevrtex.TOTALS", {"full": 20, "camo": 20, "outd": 4}
    )
    with FileServer({"outd": tarred(tex_members(range(3), "outd"))}) as server:

        def get(count):
            return download_clevrtex(
                "test", count, None, "outd", {"outd": server.url("outd")}, IMPATIENT
            )

        with pytest.raises(datasets.DatasetError, match="hold 3 images of test, expected 4"):
            get(4)  # goes through the archive to its end
        folder = get(3)
        assert [path.name for path in (folder / "archives").iterdir()] == ["outd.unpacked"]
        victim = next(folder.rglob("*000001_flat.png"))
        victim.write_bytes(b"damage")
        assert run("verify", "--delete") == 1 and not victim.exists()
        get(3)
        assert not manifests.find_damaged_files(folder) and victim.exists()
        assert len(datasets.load("clevrtex", split="test", variant="outd")) == 3


def test_scenes_are_rendered_checked_and_shown(downloads, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(rendered.RENDERED_VARIANTS, "clevr6", Look(3, 6, 16, 16, samples=1))
    monkeypatch.setattr(rendered, "CHUNK", 2)
    assert run("render", "clevr6", "--count", "2") == 0
    assert "rendered/train: 2 scenes" in capsys.readouterr().out
    assert run("verify") == 0
    sheet = tmp_path / "sheet.png"
    arguments = ["--variant", "clevr6", "--count", "2", "--size", "16", "--output", str(sheet)]
    assert run("preview", "rendered", *arguments) == 0
    with Image.open(sheet) as picture:
        assert picture.width > picture.height > 100
    (chunk,) = downloads.rglob("*.zip")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert run("verify") == 1 and f"{chunk.name} in" in capsys.readouterr().err
    assert run("verify", "--delete") == 1 and not chunk.exists()


def test_a_damaged_embedded_pack_is_named_with_its_remedy(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "packs" / "clevr6"
    folder.mkdir(parents=True)
    (folder / "val.zip").write_bytes(b"whole")
    entry = {"file": "val.zip", "count": 1, "sha256": hashlib.sha256(b"whole").hexdigest()}
    (folder / "provenance.json").write_text(json.dumps({"files": {"val": entry}}))
    monkeypatch.setattr(paths, "packs_dir", lambda: tmp_path / "packs")
    assert run("verify") == 0 and run("list") == 0 and "1 val" in capsys.readouterr().out
    (folder / "val.zip").write_bytes(b"damaged")
    assert run("verify") == 1
    said = capsys.readouterr().err
    assert "val.zip in" in said and "git checkout" in said


def test_what_is_not_there_is_a_message_and_no_traceback(capsys):
    assert run("preview", "clevr") == 1
    said = capsys.readouterr().err
    assert "smm-tutorial: no CLEVR at" in said and "smm-tutorial data download clevr" in said
    assert run("download", "coco", "--url", "http://nowhere") == 1
    assert "data set 'coco' has no option url" in capsys.readouterr().err
