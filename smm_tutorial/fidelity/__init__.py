"""How near the ray tracer comes to Blender."""

from smm_tutorial.fidelity.effects import (
    KINDS,
    LEAST_PIXELS,
    MASKS_ONLY,
    SCENES_PER_RENDER,
    SWITCHES,
    compare,
    mask_overlap,
    measure,
    summary,
)
from smm_tutorial.fidelity.recognition import (
    BATCH,
    DRAWN_SIZE,
    SIMPLER,
    blender_images,
    our_images,
    precisions,
    recognise_pictures,
)
from smm_tutorial.fidelity.renders import Renders, read_renders
from smm_tutorial.fidelity.report import (
    AGAINST_BLENDER,
    BENCHMARKS,
    COMPARISONS,
    RECOGNISED,
    RECORD,
    Row,
    data_rows,
    data_table,
    effects_table,
)

__all__ = [
    "AGAINST_BLENDER",
    "BATCH",
    "BENCHMARKS",
    "COMPARISONS",
    "DRAWN_SIZE",
    "KINDS",
    "LEAST_PIXELS",
    "MASKS_ONLY",
    "RECOGNISED",
    "RECORD",
    "Renders",
    "Row",
    "SCENES_PER_RENDER",
    "SIMPLER",
    "SWITCHES",
    "blender_images",
    "compare",
    "data_rows",
    "data_table",
    "effects_table",
    "mask_overlap",
    "measure",
    "our_images",
    "precisions",
    "read_renders",
    "recognise_pictures",
    "summary",
]
