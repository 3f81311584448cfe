"""The data sets of others in their official layouts, made up in small for the tests."""

import gzip
import io
import json
import zipfile

import numpy as np
from PIL import Image

from smm_tutorial.datasets.transfer.tfrecords import frame_record
from smm_tutorial.scenes import random_scene

CLEVR_COUNT = 12
MASKED_OBJECTS = [3, 6, 4, 10, 5, 3]  # of each example of the made-up file
TEX_HEIGHT, TEX_WIDTH = 24, 32
CLEVR_SCENES = {
    split: [
        random_scene(np.random.default_rng([i, len(split)]), 3, 5, image_index=i, split=split)
        for i in range(CLEVR_COUNT)
    ]
    for split in ("train", "val")
}


def noise_png(seed):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 48, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


CLEVR_IMAGES = {
    f"images/{split}/CLEVR_{split}_{index:06d}.png": noise_png([index, len(split)])
    for split in ("test", "train", "val")
    for index in range(CLEVR_COUNT)
}


def clevr_archive(images):
    """CLEVR_v1.0.zip: folders, images, packed scenes files, and things that nobody asks for."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder in ("", "images/", "scenes/"):
            archive.writestr(f"CLEVR_v1.0/{folder}", b"")
        for name, content in images.items():
            archive.writestr(f"CLEVR_v1.0/{name}", content)
        archive.writestr("CLEVR_v1.0/questions/CLEVR_train_questions.json", bytes(1_000_000))
        for split, scenes in CLEVR_SCENES.items():
            content = {
                "info": {"license": "CC BY"},
                "scenes": [scene.to_record() for scene in scenes],
            }
            name = f"CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json"
            archive.writestr(name, json.dumps(content), compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def field(number, content):
    """A field of bytes in a protocol buffer message, written as its specification says."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number):
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def tf_example(features):
    """A serialised tf.train.Example: bytes, lists of bytes, arrays of floats, lists of integers."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, np.ndarray):
            feature = field(2, field(1, value.astype("<f4").tobytes()))
        elif isinstance(value, bytes):
            feature = field(1, field(1, value))
        elif isinstance(value[0], bytes):
            feature = field(1, b"".join(field(1, item) for item in value))
        else:
            feature = field(3, field(1, b"".join(varint(item % 2**64) for item in value)))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def masked_scene(index, image=None, entities=None):
    """A made-up example of the data set, in its exact layout."""
    generator, count = np.random.default_rng(index), MASKED_OBJECTS[index]
    if entities is None:
        blocks = generator.integers(0, count + 1, (240 // 8, 320 // 8)).repeat(8, 0).repeat(8, 1)
        entities = (np.arange(11)[:, None, None] == blocks) * np.uint8(255)
    if image is None:
        image = generator.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    codes = {
        name: [bytes([code]) for code in generator.integers(0, 4, 11)]
        for name in ("size", "material", "shape", "color")
    }
    return {
        "image": image.tobytes(),
        "mask": entities.tobytes(),
        "visibility": (np.arange(11) <= count).astype(float),
        "rotation": generator.uniform(0, 360, 11),
        "pixel_coords": generator.uniform(0, 320, (11, 3)).ravel(),
        **{axis: generator.uniform(-3, 3, 11) for axis in "xyz"},
        **codes,
    }


def packed_records(records):
    return gzip.compress(b"".join(frame_record(record) for record in records), 1)


def coco_members(names):
    """The annotations of COCO's validation split and its images, of which none has objects."""
    licence = {"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/"}
    images = [
        {"id": index, "file_name": name, "license": 1, "height": 16, "width": 16}
        for index, name in enumerate(names)
    ]
    content = {"categories": [], "licenses": [licence], "annotations": [], "images": images}
    annotations = {"annotations/instances_val2017.json": json.dumps(content).encode()}
    return annotations, {f"val2017/{name}": tiny_picture("JPEG") for name in names}


def stack_members():
    """The lists, images and labels of one tower of ShapeStacks, seen by two cameras."""
    scenario = "env_ccs-easy-h=3-vcom=0-vpsf=0-v=1"
    lists = {f"splits/default/{split}.txt": f"{scenario}\n".encode() for split in ("train", "test")}
    kinds = {"rgb-w=5-f=2-l=1-c=unique": "png", "iseg-w=0-f=0-l=0-c=original": "map"}
    images, labels = (
        {
            f"recordings/{scenario}/{kind}-cam_{camera}-mono-0.{suffix}": tiny_picture("PNG")
            for camera in (1, 2)
        }
        for kind, suffix in kinds.items()
    )
    return lists, images, labels


def tiny_picture(kind):
    """The file of a black picture of 16 x 16."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, kind)
    return buffer.getvalue()


def tex_image(index):
    return np.random.default_rng(index).integers(0, 256, (TEX_HEIGHT, TEX_WIDTH, 3), dtype=np.uint8)


def tex_mask(index):
    return np.random.default_rng(1000 + index).integers(
        0, 3 + index % 4, (TEX_HEIGHT, TEX_WIDTH), dtype=np.uint8
    )


def tex_png(pixels, palette=False):
    picture = Image.fromarray(pixels)
    if palette:  # the files' masks may be shown in colours: the indices are the labels
        picture = picture.convert("P")
        picture.putdata(pixels.ravel().tolist())
        picture.putpalette([value for k in range(256) for value in (k, 255 - k, 7 * k % 256)])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def tex_members(indices, variant="full"):
    """Three files an image, as the archives hold them; RGBA images and palette masks."""
    found = {f"clevrtex_{variant}/manifest_ind.json": b"not ours"}
    for index in indices:
        stem = f"clevrtex_{variant}/{index // 10}/CLEVRTEX_{variant}_{index:06d}"
        objects = [{"material": "poliigon", "shape": "cube", "size": 0.9}] * (2 + index % 4)
        found[f"{stem}.png"] = tex_png(
            np.dstack([tex_image(index), np.full((TEX_HEIGHT, TEX_WIDTH), 255, np.uint8)])
        )
        found[f"{stem}_flat.png"] = tex_png(tex_mask(index), palette=index % 2 == 0)
        found[f"{stem}.json"] = json.dumps(
            {"ground_material": "tiles", "objects": objects}
        ).encode()
    return found
