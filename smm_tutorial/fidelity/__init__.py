"""How near the ray tracer comes to Blender.

`read_renders` reads scenes as Blender rendered them. `measure_effects` compares our pictures of the
same scenes with them, one effect of the ray tracer changed at a time. `measure_recognition` asks
what a network that was trained on the real CLEVR reads from both. The tables are made from the
records of such measurements; `python -m smm_tutorial.fidelity` makes them.
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
