"""How close the images of the ray tracer are to Blender's.

`read_renders` reads scenes that Blender rendered. `measure_effects` compares our images of these
scenes with Blender's, and changes one effect of the ray tracer at a time. `measure_recognition`
gives both kinds of images to a network that was trained on the real CLEVR, and scores its
predictions. `report` makes tables from the records of these measurements. `python -m
smm_tutorial.fidelity` makes the records.
"""

from smm_tutorial.fidelity.effects import SWITCHES, compare_images, mask_overlap, measure_effects
from smm_tutorial.fidelity.recognition import blender_images, measure_recognition, our_images
from smm_tutorial.fidelity.renders import Renders, read_renders
from smm_tutorial.fidelity.report import (
    RECORD,
    data_quality_rows,
    data_quality_table,
    effects_table,
)

__all__ = [
    "RECORD",
    "SWITCHES",
    "Renders",
    "blender_images",
    "compare_images",
    "data_quality_rows",
    "data_quality_table",
    "effects_table",
    "mask_overlap",
    "measure_effects",
    "measure_recognition",
    "our_images",
    "read_renders",
]
