"""Small files that claim, or unpack to, gigabytes: refused before they fill memory or disk."""

import gzip
import io
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image

from smm_tutorial import datasets
from smm_tutorial.datasets.others.clevr_download import parse_first_records
from smm_tutorial.datasets.others.clevrtex import download_clevrtex
from smm_tutorial.datasets.others.coco import download_coco
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.tfrecords import RecordError, frame_record, parse_example
from tests.memory import peak_of
from tests.official import field, packed_records, tex_members, varint
from tests.servers import IMPATIENT, FileServer, tarred, zipped

LONG = 40_000_000  # bytes, of which some are unpacked; gigabytes would only take longer
LITTLE = 12_000_000  # bytes that a download may take: some pieces of what arrives
NUMBER = 10_004  # of an image of ClevrTex's training split
WANTED = f"clevrtex_full/1000/CLEVRTEX_full_{NUMBER:06d}.png"


def header(name=WANTED, size=0, **fields):
    info = tarfile.TarInfo(name)
    info.size = size
    for field_name, value in fields.items():
        setattr(info, field_name, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def with_checksum(head):
    """A header that was changed by hand, with the checksum that it should have."""
    blank = head[:148] + b" " * 8 + head[156:]
    return head[:148] + b"%06o\0 " % sum(blank) + head[156:]


def sparse(size):
    """A file of one block that claims to be of another size, mostly holes."""
    head = bytearray(header(size=512, type=tarfile.GNUTYPE_SPARSE))
    head[386:410] = b"%011o\0%011o\0" % (0, 512)
    head[483:495] = b"%011o\0" % size
    return with_checksum(bytes(head)) + bytes(512)


def endless_sparse():
    """A list of holes that goes on and on."""
    head = bytearray(sparse(512)[:512])
    head[482] = 1
    block = b"%011o\0%011o\0" % (1, 1) * 21 + b"\1" + bytes(7)
    return with_checksum(bytes(head)) + block * (LONG // 512)


def pax(fields, size=0):
    records = b"".join(b"%d %s\n" % (len(text) + 3, text) for text in fields)
    content = records + bytes(-len(records) % 512)
    return header("x", len(records), type=tarfile.XHDTYPE) + content + header(size=size)


TARS = {
    "a large file": header(size=LONG) + bytes(LONG),
    "a file of petabytes": header(size=1 << 50),
    "a file of less than nothing": header(size=-(1 << 20)) + bytes(512),
    "a long name": header("x", LONG, type=tarfile.GNUTYPE_LONGNAME) + bytes(LONG),
    "a long link": header("x", LONG, type=tarfile.GNUTYPE_LONGLINK) + bytes(LONG),
    "long attributes": header("x", LONG, type=tarfile.XHDTYPE) + bytes(LONG),
    "long attributes of all": header("x", LONG, type=tarfile.XGLTYPE) + bytes(LONG),
    "attributes of attributes": header("x", 0, type=tarfile.XHDTYPE) * 20_000,
    "holes": sparse((1 << 33) - 1),
    "a list of holes": endless_sparse(),
    "a list of holes without an end": pax([b"GNU.sparse.major=1", b"GNU.sparse.minor=0"], LONG)
    + bytes(LONG),
    "an attribute that enlarges a file": pax([b"size=99999999999"]),
    "digits to search through": header("x", LONG, type=tarfile.XHDTYPE) + b"1" * LONG,
}


@pytest.mark.parametrize("content", TARS.values(), ids=TARS)
def test_an_archive_fills_no_memory_whatever_it_claims(tmp_path, content):
    packed = gzip.compress(content + bytes(1024), 1)
    rest = {f"full{part}": tarred({}) for part in (1, 3, 4, 5)}
    with FileServer({"full2": packed, **rest}) as server:
        urls = {name: server.url(name) for name in server.files}

        def get():
            with pytest.raises(DatasetError, match="full2 arrived damaged"):
                download_clevrtex("train", 1, tmp_path, urls=urls, patience=IMPATIENT)

        assert peak_of(get) < LITTLE
    assert not list(tmp_path.rglob("*.png")) and not list(tmp_path.rglob("archives/*"))


def test_an_archive_of_many_members_is_passed_through_in_little_memory(tmp_path):
    others = b"".join(header(f"{index:08d}") for index in range(8_000))
    with FileServer({"full2": gzip.compress(others, 1)}) as server:
        urls = {f"full{part}": server.url("full2") for part in range(1, 6)}

        def get():
            with pytest.raises(DatasetError, match="the archives hold 0 images"):
                download_clevrtex("train", 1, tmp_path, urls=urls, patience=IMPATIENT)

        get()  # what is imported and compiled once
        for path in tmp_path.rglob("archives/*"):
            path.unlink()
        assert peak_of(get) < 6_000_000


def test_long_names_of_a_usual_length_are_read(tmp_path):
    deep = f"clevrtex_full/{'deep/' * 50}"
    members = {deep + name.rsplit("/", 1)[1]: c for name, c in tex_members([NUMBER]).items()}
    with FileServer({"full2": tarred(members)}) as server:
        root = download_clevrtex(
            "train", 1, tmp_path, urls={"full2": server.url("full2")}, patience=IMPATIENT
        )
    assert len(list(root.rglob(f"*{NUMBER}*"))) == 3


def test_a_record_is_not_read_that_claims_more_than_an_example_has(tmp_path):
    head = struct.pack("<Q", LONG)
    records = gzip.compress(head + frame_record(head)[12:16] + bytes(LONG), 1)
    whole = frame_record(bytes(LONG))
    assert whole[:8] == head
    path = tmp_path / "clevr_with_masks_train.tfrecords"
    for content in (gzip.compress(whole, 1), records):
        path.write_bytes(content)

        def load():
            with pytest.raises(DatasetError, match="is damaged"):
                datasets.load("clevr-with-masks", root=path)

        assert peak_of(load) < LITTLE


HUGE = varint(1 << 60)  # of which `bytes` would make so many zeros


@pytest.mark.parametrize(
    "example",
    [
        field(1, field(1, b"\x08" + HUGE)),
        field(1, field(1, field(1, b"a") + field(2, field(1, b"\x08" + HUGE)))),
        field(1, field(1, field(1, b"a") + field(2, field(2, b"\x08" + HUGE)))),
        field(1, field(1, b"\x0a" + HUGE)),
    ],
)
def test_a_number_where_bytes_should_be_makes_no_bytes(tmp_path, example):
    with pytest.raises(RecordError):
        parse_example(example)
    path = tmp_path / "clevr_with_masks_train.tfrecords"
    path.write_bytes(packed_records([example]))
    with pytest.raises(DatasetError, match="example 0 of"):
        datasets.load("clevr-with-masks", root=path)


def test_numbers_of_more_than_64_bits_are_cut_as_the_format_says():
    example = field(
        1, field(1, field(1, b"i") + field(2, field(3, field(1, b"\xff" * 9 + b"\x7f"))))
    )
    assert parse_example(example)["i"].tolist() == [-1]


@pytest.mark.parametrize("which", ["annotations", "val"])
def test_a_member_that_unpacks_to_far_more_than_it_is_packed_into_is_not_fetched(tmp_path, which):
    name = "annotations/instances_val2017.json"
    image = b'{"id": 1, "file_name": "1.jpg", "license": 1, "height": 8, "width": 8}'
    text = b'{"categories": [], "licenses": [{"id": 1, "name": "", "url": ""}], "annotations": [], '
    text += b'"images": [' + image + b"]}"
    files = {
        "annotations": zipped({name: text + b" " * (LONG if which == "annotations" else 0)}, True),
        "val": zipped({"val2017/1.jpg": bytes(LONG)}, True),
    }
    with FileServer(files) as server:
        urls = {name: server.url(name) for name in files}

        def get():
            with pytest.raises(DatasetError, match="claims to unpack from .* to 40,000"):
                download_coco("val", 1, tmp_path, urls, IMPATIENT)

        assert peak_of(get) < LITTLE


@pytest.mark.parametrize(
    "text",
    [
        b'{"scenes": [' + b"[" * 200_000,
        b'{"scenes": [{"a": ' + b"[" * 200_000,
        b'{"scenes": [' + b" " * 200_000 + b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"info": ' + b"[" * 200_000,
        b'{"info": ' + b"[" * 50_000 + b'"scenes": [',
        b'{"info": 3, "scenes": [{}]}',
        b'{"info": [], "scenes": [{}]}',
        b" " * 300_000,
    ],
    ids=lambda text: f"{text[:24]} x {len(text)}",
)
def test_what_is_no_scenes_file_is_one_clear_error_however_long_or_deep(text):
    pieces = iter([text[start : start + 65_536] for start in range(0, len(text), 65_536)])
    with pytest.raises(DatasetError):
        parse_first_records(pieces, 1)


def test_a_scenes_file_may_begin_with_a_byte_order_mark():
    text = '\ufeff{"info": {"version": "1"}, "scenes": [{"image_filename": "a"}]}'.encode()
    assert parse_first_records(iter([text]), 1) == ({"version": "1"}, [{"image_filename": "a"}])


def png_chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_with(chunk):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()[:33] + chunk + buffer.getvalue()[33:]


BOMB = zlib.compress(bytes(LONG), 9)
PICTURES = {
    "packed text": png_with(png_chunk(b"zTXt", b"a\0\0" + BOMB)),
    "packed international text": png_with(png_chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)),
    "many packed texts": png_with(
        png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)) * 80
    ),
    "a colour profile": png_with(png_chunk(b"iCCP", b"a\0\0" + BOMB)),
    "a giant": png_with(b"")[:8]
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    + png_chunk(b"IDAT", BOMB),
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES)
def test_pictures_that_unpack_to_far_more_fill_no_memory(tmp_path, content):
    members = {name: content if name == WANTED else c for name, c in tex_members([NUMBER]).items()}
    with FileServer({"full2": tarred(members)}) as server:
        rest = {f"full{part}": server.url("nothing") for part in (3, 4, 5, 1)}

        def get():
            try:
                download_clevrtex(
                    "train",
                    1,
                    tmp_path,
                    urls={**rest, "full2": server.url("full2")},
                    patience=IMPATIENT,
                )
                datasets.load("clevrtex", root=tmp_path)
            except DatasetError:
                pass

        assert peak_of(get) < LITTLE
