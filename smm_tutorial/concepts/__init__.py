"""Weights and concepts: what mixture weights tell, and what a library of slots is good for.

- `slot_readings`: reads the slots of a data set, and finds what each slot holds.
- `empty_slots`: weights against areas, empty slots, and counts of objects.
- `library`: clusters slots of many scenes to concepts, and compares concepts with properties.
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
from smm_tutorial.concepts.library import (
    CONCEPT_COUNTS,
    ConceptLibrary,
    ObjectSlots,
    PlaceRemoval,
    fit_library,
    fit_place,
    gather_objects,
    purity,
    score_concepts,
)
from smm_tutorial.concepts.measurements import (
    SLOT_COUNTS,
    measure_library,
    measure_weights,
    name_measurement,
)
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
    library_table,
    report,
    score_table,
)

__all__ = [
    "CONCEPT_COUNTS",
    "METHODS",
    "NOTHING",
    "SLOT_COUNTS",
    "ConceptLibrary",
    "ObjectSlots",
    "PlaceRemoval",
    "SlotReadings",
    "assign_regions",
    "choose_threshold",
    "correlate",
    "correlate_weights",
    "correlation_table",
    "count_table",
    "empty_table",
    "fit_library",
    "fit_place",
    "gather_objects",
    "library_table",
    "measure_library",
    "measure_weights",
    "name_measurement",
    "purity",
    "read_slots",
    "report",
    "score_concepts",
    "score_counts",
    "score_empty",
    "score_methods",
    "score_table",
    "score_weights",
    "weigh_slots",
]
