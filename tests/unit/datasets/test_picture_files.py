"""One picture file: every mode of Pillow by what it shows, or refused by name; damaged files."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, TiffImagePlugin

from smm_tutorial.datasets.picture_files import TURNS, read_labels, read_pixels, read_size
from smm_tutorial.datasets.scene_images import DatasetError

RAMP = np.tile(np.arange(0, 256, 5, dtype=np.uint8), (8, 1))  # (8, 52): grey from black to white
GREY = Image.fromarray(RAMP)
GREY_16 = Image.fromarray(RAMP.astype(np.uint16) * 256 + 77)  # the lower byte is not seen
COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 7, (6, 9), dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def rgb(grey):
    return np.stack([grey] * 3, axis=2)


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(height, width, depth, colour, rows, *chunks):
    """A PNG file with its header's fields as given: Pillow writes few of them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    parts = [chunk(b"IHDR", header), *chunks, body, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("picture", "suffix"),
    [
        (GREY, "png"),
        (GREY.convert("LA"), "png"),
        (GREY.convert("LA"), "tif"),
        (GREY.convert("P"), "png"),
        (GREY.convert("RGB"), "png"),
        (GREY.convert("RGB"), "tif"),
        (GREY.convert("RGBA"), "png"),
        (GREY.convert("RGB").convert("RGBX"), "tif"),
        (GREY.convert("RGB").convert("CMYK"), "tif"),
        (GREY.convert("RGB").convert("CMYK"), "jpg"),  # inverted, as Adobe does
        (GREY.convert("RGB").convert("YCbCr"), "tif"),
        (GREY.convert("P").convert("PA"), "tif"),
        (GREY_16, "png"),
        (GREY_16, "tif"),
        (GREY_16.convert("I").convert("I;16B"), "tif"),
        (GREY_16, "jp2"),
        (GREY_16, "ppm"),  # Pillow reads these as mode I
    ],
    ids=lambda value: getattr(value, "mode", value),
)
def test_every_mode_is_read_by_what_it_shows(tmp_path, picture, suffix):
    path = tmp_path / f"x.{suffix}"
    picture.save(path)
    found = read_pixels(path)
    assert found.dtype == np.uint8 and found.shape == (8, 52, 3)
    assert np.abs(found.astype(int) - rgb(RAMP)).max() <= 3  # JPEG and YCbCr round


def test_bits_are_black_and_white(tmp_path):
    Image.fromarray(RAMP > 100).save(tmp_path / "x.png")
    assert np.array_equal(read_pixels(tmp_path / "x.png"), rgb(np.where(RAMP > 100, 255, 0)))


def test_colours_of_16_bits_keep_their_upper_byte(tmp_path):
    path = tmp_path / "x.png"
    wide = (COLOURS.astype(int) * 256 + 77).astype(">u2")
    path.write_bytes(png(6, 9, 16, 2, [row.tobytes() for row in wide]))
    assert np.array_equal(read_pixels(path), COLOURS)


def test_transparency_is_dropped(tmp_path):
    alpha = np.random.default_rng(0).integers(0, 256, (6, 9, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([COLOURS, alpha], axis=2)).save(tmp_path / "x.png")
    assert np.array_equal(read_pixels(tmp_path / "x.png"), COLOURS)
    Image.fromarray(COLOURS).quantize(64).save(tmp_path / "p.png", transparency=bytes(range(64)))
    Image.fromarray(COLOURS).quantize(64).save(tmp_path / "o.png")
    assert np.array_equal(read_pixels(tmp_path / "p.png"), read_pixels(tmp_path / "o.png"))
    GREY.save(tmp_path / "key.png", transparency=100)
    assert np.array_equal(read_pixels(tmp_path / "key.png"), rgb(RAMP))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (Image.fromarray(RAMP.astype(np.int32) * 257), "mode I does not say which value is white"),
        (Image.fromarray(RAMP / np.float32(255)), "mode F does not say which value is white"),
    ],
    ids=["I", "F"],
)
def test_a_mode_that_does_not_say_what_is_white_is_refused_by_name(tmp_path, picture, reason):
    picture.save(tmp_path / "x.tif")
    with pytest.raises(DatasetError, match=rf"x\.tif .*{reason}.*save it anew as PNG"):
        read_pixels(tmp_path / "x.tif")


def test_grey_of_16_bits_in_which_zero_is_white_is_refused(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    GREY_16.save(tmp_path / "x.tif", tiffinfo=tags)
    content = (tmp_path / "x.tif").read_bytes()
    black_is_zero = struct.pack("<HHIHH", 262, 3, 1, 1, 0)  # the tag, a short, one of it, its value
    assert content.count(black_is_zero) == 1
    white_is_zero = struct.pack("<HHIHH", 262, 3, 1, 0, 0)
    (tmp_path / "x.tif").write_bytes(content.replace(black_is_zero, white_is_zero))
    with pytest.raises(DatasetError, match=r"x\.tif .*mode I;16 .*interpretation 0"):
        read_pixels(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_an_animation_is_no_picture(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    first, second = Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)
    first.save(path, save_all=True, append_images=[second])
    for read in (read_pixels, read_labels, read_size):
        with pytest.raises(DatasetError, match=rf"x\.{suffix} .*several frames"):
            read(path)
    first.save(path, save_all=True)
    assert read_pixels(path).shape == (6, 9, 3)


def test_a_cameras_further_views_are_left_out(tmp_path):
    first, second = Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)
    first.save(tmp_path / "x.mpo", save_all=True, append_images=[second])
    first.save(tmp_path / "x.jpg")
    assert np.array_equal(read_pixels(tmp_path / "x.mpo"), read_pixels(tmp_path / "x.jpg"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("turn", [0, 1, *TURNS, 9])
def test_a_picture_that_was_taken_lying_is_set_upright(tmp_path, suffix, turn):
    path = tmp_path / f"x.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(COLOURS).save(path, exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(read_pixels(path), upright) and read_size(path) == upright.shape[:2]


def test_a_mask_is_set_upright_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(LABELS).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(read_labels(tmp_path / "x.png"), np.rot90(LABELS, -1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    "notes", [b"this is no directory", b"II*\0", b"MM\0*\0\0\0\x08\0\x05\x01\x12"]
)
def test_damaged_notes_do_not_make_a_picture_damaged(tmp_path, suffix, notes):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(COLOURS).save(path, exif=b"Exif\0\0" + notes)
    assert read_pixels(path).shape == (6, 9, 3) and read_size(path) == (6, 9)


BOMB = zlib.compress(bytes(8_000_000), 9)
ROWS = [row.tobytes() for row in COLOURS]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        png(6, 9, 8, 2, ROWS)[:-30],
        png(6, 9, 8, 2, ROWS).replace(b"IDAT", b"IDAX"),
        png(0, 9, 8, 2, []),
        png(2**31 - 1, 2**31 - 1, 8, 2, ROWS),
        png(30_000, 30_000, 8, 2, ROWS),
        png(6, 9, 8, 2, ROWS, chunk(b"zTXt", b"k\0\0" + BOMB)),
        png(6, 9, 8, 2, ROWS, chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB)),
        png(6, 9, 8, 2, ROWS, chunk(b"iCCP", b"k\0\0" + BOMB)),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(30),
        b"BM" + bytes(60),
        b"GIF89a" + bytes(5),
        b"P5\n9 -6\n255\n",
    ],
    ids=lambda content: f"{len(content)} bytes of {content[:4]!r}",
)
def test_what_is_no_whole_picture_is_one_kind_of_error(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for read in (read_pixels, read_labels):
        with pytest.raises(DatasetError, match=r"x\.png is damaged"):
            read(path)


def test_a_program_that_draws_a_picture_is_not_run(tmp_path):
    path = tmp_path / "x.png"
    lines = ["%!PS-Adobe-3.0 EPSF-3.0", "%%BoundingBox: 0 0 9 6", "%%EndComments", "showpage"]
    path.write_text("\n".join([*lines, "%%EOF", ""]))
    with pytest.raises(DatasetError, match=r"x\.png .*EPS is a program"):
        read_pixels(path)


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(DatasetError, match=r"x\.png is damaged .*directory"):
        read_pixels(tmp_path / "x.png")
    with pytest.raises(DatasetError, match=r"y\.png is missing"):
        read_pixels(tmp_path / "y.png")


def save_stretched(labels, path, depth):
    """Grey of 2 or 4 bits, whose highest value is white, with the labels as values."""
    bits = np.unpackbits(labels[..., None], axis=2)[..., 8 - depth :]  # (H, W, depth)
    rows = np.packbits(bits.reshape(len(labels), -1), axis=1)
    path.write_bytes(png(*labels.shape, depth, 0, [row.tobytes() for row in rows]))


def with_palette(labels, palette, order):
    """Mode P: label k has the palette's k-th colour, at the place that `order` gives it."""
    order = np.array(order, dtype=np.uint8)
    picture = Image.fromarray(order[labels]).convert("P")  # which keeps the numbers
    picture.putpalette(np.array(palette, dtype=np.uint8)[np.argsort(order)].tobytes())
    return picture


GREYS = [[k, k, k] for k in range(7)]
VIVID = np.random.default_rng(2).integers(0, 256, (7, 3))
SHUFFLED = [3, 0, 6, 1, 5, 2, 4]


@pytest.mark.parametrize(
    "save",
    [
        lambda path: Image.fromarray(LABELS).save(path),
        lambda path: Image.fromarray(LABELS.astype(np.uint16)).save(path),
        lambda path: Image.fromarray(LABELS.astype(np.uint16)).save(path, "TIFF"),
        lambda path: Image.fromarray(LABELS.astype(np.int32)).save(path, "TIFF"),
        lambda path: Image.fromarray(LABELS).convert("RGB").save(path),
        lambda path: Image.fromarray(LABELS).convert("RGBA").save(path),
        lambda path: Image.fromarray(LABELS).convert("LA").save(path),
        lambda path: Image.fromarray(LABELS).convert("P").save(path),
        lambda path: Image.fromarray(LABELS).quantize(8).save(path),
        lambda path: with_palette(LABELS, VIVID, range(7)).save(path),
        lambda path: with_palette(LABELS, VIVID, range(7)).save(path, bits=4),
        lambda path: with_palette(LABELS, GREYS, SHUFFLED).save(path),
        lambda path: with_palette(LABELS, np.array(GREYS) * 42.5, SHUFFLED).save(path),
        lambda path: save_stretched(LABELS, path, 4),
    ],
    ids=[
        "grey",
        "16 bits",
        "16 bits in TIFF",
        "32 bits",
        "RGB",
        "RGBA",
        "LA",
        "identical palette",
        "palette made to save space",
        "colours",
        "colours in 4 bits",
        "shuffled greys",
        "greys in even steps to white",
        "grey in 4 bits",
    ],
)
def test_a_mask_has_the_same_labels_however_it_is_encoded(tmp_path, save):
    save(tmp_path / "x.png")
    assert np.array_equal(read_labels(tmp_path / "x.png"), LABELS)


def test_few_labels_fit_into_few_bits(tmp_path):
    path = tmp_path / "x.png"
    for depth in (1, 2):
        labels = LABELS % 2**depth
        save_stretched(labels, path, depth)
        assert np.array_equal(read_labels(path), labels)
    for order in ([0, 1], [1, 0]):  # black and white, white and black
        with_palette(LABELS % 2, [[0] * 3, [255] * 3], order).save(path)
        assert np.array_equal(read_labels(path), LABELS % 2)


def test_what_holds_no_labels_is_refused_by_name(tmp_path):
    def refusal(picture, name, **options):
        picture.save(tmp_path / name, **options)
        with pytest.raises(DatasetError, match=rf"{name.replace('.', '[.]')} ") as caught:
            read_labels(tmp_path / name)
        return str(caught.value)

    mask = Image.fromarray(LABELS)
    assert "colours" in refusal(Image.fromarray(COLOURS), "x.png")
    assert "mode F" in refusal(Image.fromarray(LABELS.astype(np.float32)), "x.tif")
    assert "mode CMYK" in refusal(mask.convert("RGB").convert("CMYK"), "x.tif")
    for name in ("x.jpg", "x.webp", "x.jp2"):
        assert "may change a pixel's value" in refusal(mask, name)
    assert "TIFF may change" in refusal(mask, "j.tif", compression="jpeg")


def test_labels_in_the_lower_byte_of_wide_colours_are_not_lost(tmp_path):
    wide = rgb(LABELS).astype(">u2")
    (tmp_path / "x.png").write_bytes(png(6, 9, 16, 2, [row.tobytes() for row in wide]))
    with pytest.raises(DatasetError, match=r"x\.png .*one channel, not mode RGB"):
        read_labels(tmp_path / "x.png")


def test_labels_that_the_format_stretches_are_refused(tmp_path):
    (tmp_path / "x.pgm").write_bytes(b"P5\n9 6\n6\n" + LABELS.tobytes())
    with pytest.raises(DatasetError, match=r"x\.pgm .*highest value"):
        read_labels(tmp_path / "x.pgm")


def test_labels_in_a_file_in_which_zero_is_white_are_refused(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    Image.fromarray(LABELS).save(tmp_path / "x.tif", tiffinfo=tags)
    with Image.open(tmp_path / "x.tif") as image:
        assert image.tag_v2[262] == 0
    with pytest.raises(DatasetError, match=r"x\.tif .*0 is white"):
        read_labels(tmp_path / "x.tif")


def test_random_damage_is_one_kind_of_error(tmp_path):
    generator, path, failed = np.random.default_rng(3), tmp_path / "x.png", 0
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(COLOURS).save(buffer, kind)
        for _ in range(60):
            content = bytearray(buffer.getvalue())
            for position in generator.integers(0, min(len(content), 200), 3):
                content[position] = generator.integers(0, 256)
            path.write_bytes(content)
            try:
                read_size(path)
                read_labels(path)
            except DatasetError as error:
                failed += "x.png" in str(error)
    assert failed > 200
