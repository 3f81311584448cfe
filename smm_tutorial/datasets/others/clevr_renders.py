"""Renders of CLEVR scenes with true masks: images/, masks/ and scenes.json in one folder.

Such folders come from renders with CLEVR's Blender assets. Masks are single-channel PNGs (0 =
background, k = the scene's k-th object) with the names of the images. scenes.json is a CLEVR scenes
file whose records may have `camera` and `lamps`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from smm_tutorial.datasets.cropping import Size, crop_box
from smm_tutorial.datasets.image_files import parse_scene, read_images, read_masks, read_scene_file
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, choose_scenes
from smm_tutorial.datasets.transfer.names import check_file_name
from smm_tutorial.scenes.camera import Window


def load_clevr_renders(
    split: str = "train",
    size: Size | None = None,
    *,
    root: str | Path,
    crop: str | Window | None = None,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> SceneImages:
    """A folder of renders, with masks and records.

    Args:
        split: only scenes with this split in their record.
        size: height and width of the result; images antialiased (bilinear), masks by nearest
            neighbour; None keeps the files' own scale.
        root: the folder that holds images/, masks/ and scenes.json.
        crop: a name of `cropping.CROPS`, a window (top, left, bottom, right) in fractions of the
            4:3 frame, or None.
        limit: at most so many scenes, from the first, counted after the bounds on objects.
        min_objects, max_objects: only scenes with so many objects.

    Raises:
        DatasetError: a file is missing, damaged or contradicts another file.
        ValueError: a split that no record has, an unknown crop, or no scene left.
    """
    folder = Path(root)
    scenes_file = folder / "scenes.json"
    content = read_scene_file(scenes_file)
    splits = sorted({str(record.get("split")) for record in content["scenes"]})
    if split not in splits:
        raise ValueError(
            f"no scene in {scenes_file} is of split {split!r}: it has {', '.join(splits)}"
        )
    records = [record for record in content["scenes"] if record.get("split") == split]
    counts = [len(record["objects"]) for record in records]
    chosen = choose_scenes(counts, len(records), limit, min_objects, max_objects)
    records = [records[index] for index in chosen]
    for record in records:
        parse_scene(record, scenes_file)  # for its checks

    filenames = [check_file_name(record["image_filename"], scenes_file) for record in records]
    find_box = partial(crop_box, crop=crop)
    images = [folder / "images" / name for name in filenames]
    masks = [folder / "masks" / name for name in filenames]
    masks = read_masks(masks, find_box, size, images=images)
    for record, highest in zip(records, masks.amax(dim=(1, 2)).tolist(), strict=True):
        if highest > len(record["objects"]):
            raise DatasetError(
                f"{folder / 'masks' / record['image_filename']} holds label {highest}, but its "
                f"record in {scenes_file} has {len(record['objects'])} objects: the files do not "
                "belong together; render them again"
            )
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    return SceneImages(
        images=read_images(images, find_box, size),
        filenames=filenames,
        name="clevr-renders",
        split=split,
        licence=info.get("license", "unknown"),
        provenance={"info": info, "crop": crop, "size": size},
        masks=masks,
        records=records,
    )
