"""Weights and concepts: what mixture weights tell, and what a library of slots is good for.

- `slot_readings`: reads the slots of a data set, and finds what each slot holds.
- `empty_slots`: weights against areas, empty slots, and counts of objects.
- `measurements`: measures a model by its name, for a record.
- `tables`: makes tables from records.
"""

from smm_tutorial.concepts.empty_slots import (
    METHODS,
    choose_threshold,
    correlate,
    correlate_weights,
    score_counts,
    score_empty,
    score_methods,
    score_weights,
)
from smm_tutorial.concepts.measurements import SLOT_COUNTS, measure_weights, name_measurement
from smm_tutorial.concepts.slot_readings import (
    NOTHING,
    SlotReadings,
    assign_regions,
    read_slots,
    weigh_slots,
)
from smm_tutorial.concepts.tables import (
    correlation_table,
    count_table,
    empty_table,
    report,
    score_table,
)

__all__ = [
    "METHODS",
    "NOTHING",
    "SLOT_COUNTS",
    "SlotReadings",
    "assign_regions",
    "choose_threshold",
    "correlate",
    "correlate_weights",
    "correlation_table",
    "count_table",
    "empty_table",
    "measure_weights",
    "name_measurement",
    "read_slots",
    "report",
    "score_counts",
    "score_empty",
    "score_methods",
    "score_table",
    "score_weights",
    "weigh_slots",
]
