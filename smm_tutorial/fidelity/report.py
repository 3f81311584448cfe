"""Tables of the quality of our data, and of the contribution of each effect of the ray tracer.

Each number comes from a record in `data/results`. The table also gives the required value.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import NamedTuple

from smm_tutorial.fidelity.effects import SURFACES
from smm_tutorial.results.records import read_record
from smm_tutorial.results.tables import markdown_table

RECORD = "raytracer-effects"
COMPARISONS = {"<=": operator.le, ">=": operator.ge}
BENCHMARKS = ("benchmark-raytrace", "benchmark-input")
#: Scores of the complete ray tracer: title, unit, key in the record, required value.
AGAINST_BLENDER = (
    ("image", "dB", "image", ">= 36"),
    ("pixels of metal", "dB", "metal", ">= 30"),
    ("mean colour, the worst channel's difference", "levels of 255", "colour_shift", "<= 2"),
)
#: Average precision of the released weights on our images of new scenes, by distance threshold.
RECOGNISED = {"0.5": ">= 0.97", "0.25": ">= 0.95", "0.125": ">= 0.7"}


class Row(NamedTuple):
    """One number and its required value."""

    name: str
    value: float
    unit: str
    bar: str | None  # e.g. ">= 36"; None for a number without requirement, shown for comparison

    @property
    def holds(self) -> bool:
        """Whether the number meets the requirement."""
        if self.bar is None:
            return True
        comparison, bar = self.bar.split()
        return COMPARISONS[comparison](self.value, float(bar))


def data_quality_rows() -> Iterator[Row]:
    """All numbers about the quality of the data.

    Raises:
        FileNotFoundError: a record is missing; the message names it.
    """
    record = read_record(RECORD)
    complete = record["scores"]["all effects"]
    for scenes in ("held out", "all"):
        for title, unit, key, bar in AGAINST_BLENDER:
            name = f"against Blender, {complete[scenes]['images']} scenes ({scenes}): {title}"
            yield Row(name, complete[scenes][key], unit, bar)
    name = "against Blender, all scenes: overlap of objects' masks"
    yield Row(name, complete["mask_overlap"], "IoU", ">= 0.99")
    for pictures, scores in record.get("recognition", {}).items():
        for threshold, bar in RECOGNISED.items():
            name = f"released weights on {pictures}: AP at {threshold}"
            wanted = bar if "new scenes" in pictures else None
            yield Row(name, scores[threshold], f"{scores['images']} images", wanted)
    for name in BENCHMARKS:
        for row, measured in read_record(name)["scores"].items():
            yield Row(row, measured["value"], measured["unit"], measured["bar"])


def data_quality_table() -> str:
    """All rows of `data_quality_rows` as Markdown."""
    body = []
    for row in data_quality_rows():
        verdict = ["", ""] if row.bar is None else [row.bar, "yes" if row.holds else "**no**"]
        body.append([row.name, f"{row.value:.3g}", row.unit, *verdict])
    return markdown_table([["what", "measured", "unit", "wanted", "holds"], *body])


def effects_table(record: dict) -> str:
    """The scores of `measure_effects` as Markdown, with the cost of each change in dB."""
    rows = [["", "PSNR dB", *SURFACES, "mask IoU", "costs dB"]]
    for name, scores in record["scores"].items():
        values = [f"{scores['held out'][surface]:.1f}" for surface in ("image", *SURFACES)]
        overlap, cost = scores["mask_overlap"], scores["costs"]["image"]
        rows.append([name, *values, f"{overlap:.3f}", f"{cost:.1f}"])
    return markdown_table(rows)
