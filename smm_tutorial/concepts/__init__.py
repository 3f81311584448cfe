"""Weights and concepts: what mixture weights tell, and what a library of slots is good for.

- `slot_readings`: reads the slots of a data set, and finds what each slot holds.
- `empty_slots`: weights against areas, empty slots, and counts of objects.
- `composing`: new scenes of slots, and an independent judge of them.
- `library`: clusters slots of many scenes to concepts, and compares concepts with properties.
- `measurements`: measures a model by its name, for a record.
- `tables`: makes tables from records.
"""

from smm_tutorial.concepts.composing import (
    ComposedScene,
    Judge,
    Studio,
    choose_places,
    compose_scene,
    find_ground,
    fit_judge,
    judge_scenes,
    measure_diversity,
    name_concepts,
    open_studio,
    paint_scene,
    score_judge,
)
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
    PROPERTIES,
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
    measure_compositions,
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
    composed_table,
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
    "PROPERTIES",
    "SLOT_COUNTS",
    "ComposedScene",
    "ConceptLibrary",
    "Judge",
    "ObjectSlots",
    "PlaceRemoval",
    "SlotReadings",
    "Studio",
    "assign_regions",
    "choose_places",
    "choose_threshold",
    "compose_scene",
    "correlate",
    "correlate_weights",
    "composed_table",
    "correlation_table",
    "count_table",
    "empty_table",
    "find_ground",
    "fit_judge",
    "fit_library",
    "fit_place",
    "gather_objects",
    "judge_scenes",
    "library_table",
    "measure_diversity",
    "measure_compositions",
    "measure_library",
    "measure_weights",
    "name_concepts",
    "name_measurement",
    "open_studio",
    "paint_scene",
    "purity",
    "read_slots",
    "report",
    "score_concepts",
    "score_counts",
    "score_empty",
    "score_judge",
    "score_methods",
    "score_table",
    "score_weights",
    "weigh_slots",
]
