"""Every figure of the course is a function that returns a `matplotlib.figure.Figure`.

`show` displays a figure below a cell, and `show_film` displays several figures as a film. `palette`
holds the colours, and `layout` the grids of panels. `pictures` and `charts` draw what several
subjects need. Every other file draws one subject. A widget of `smm_tutorial.widgets` calls the same
function as the static figure beside it.
"""

from smm_tutorial.figures.average_precision import (
    judged_scene_figure,
    precision_recall_figure,
    thresholds_figure,
)
from smm_tutorial.figures.charts import curves_figure, log_figure, metrics_figure, seeds_figure
from smm_tutorial.figures.clustering import (
    em_step_figure,
    points_figure,
    steps_figure,
    temperature_figure,
)
from smm_tutorial.figures.concepts import composed_figure, library_page_figure, weights_figure
from smm_tutorial.figures.diagrams import slot_attention_diagram, slot_mixture_diagram
from smm_tutorial.figures.discovery import (
    architecture_figure,
    comparison_figure,
    decomposition_figure,
    iterations_figure,
    operate_on_slot,
    surgery_figure,
    training_frames,
)
from smm_tutorial.figures.display import png, show, show_film
from smm_tutorial.figures.matching import (
    Reduction,
    envelope_figure,
    matching_figure,
    permutations_figure,
    reductions_figure,
)
from smm_tutorial.figures.palette import (
    SLOT_COLORS,
    component_colors,
    label_map,
    slot_color,
    slot_map,
)
from smm_tutorial.figures.pictures import (
    contact_sheet_figure,
    number_rows,
    picture_rows_figure,
    pictures_figure,
    to_picture,
)
from smm_tutorial.figures.reconstruction import (
    codes_figure,
    frequencies_figure,
    growing_figure,
    looks_figure,
    relaxed_figure,
    tokens_figure,
)
from smm_tutorial.figures.scenes import (
    crop_figure,
    editor_figure,
    effect_costs_figure,
    lamp_figure,
    scene_figure,
    sizes_figure,
)
from smm_tutorial.figures.set_prediction import FRAME_ASPECT, sets_figure, vectors_figure
from smm_tutorial.figures.slot_mixture import (
    clusterings_figure,
    density_figure,
    errors_figure,
    mixture_slots_figure,
    modules_figure,
    two_variances_figure,
)
from smm_tutorial.figures.slots import (
    SetStep,
    length_figure,
    point_sets_figure,
    shares_figure,
    slot_step_figure,
    territories_figure,
)

__all__ = [
    "FRAME_ASPECT",
    "Reduction",
    "SLOT_COLORS",
    "SetStep",
    "architecture_figure",
    "clusterings_figure",
    "codes_figure",
    "comparison_figure",
    "component_colors",
    "composed_figure",
    "contact_sheet_figure",
    "crop_figure",
    "curves_figure",
    "decomposition_figure",
    "density_figure",
    "editor_figure",
    "effect_costs_figure",
    "em_step_figure",
    "envelope_figure",
    "errors_figure",
    "frequencies_figure",
    "growing_figure",
    "iterations_figure",
    "judged_scene_figure",
    "label_map",
    "lamp_figure",
    "length_figure",
    "library_page_figure",
    "log_figure",
    "looks_figure",
    "matching_figure",
    "metrics_figure",
    "mixture_slots_figure",
    "modules_figure",
    "number_rows",
    "operate_on_slot",
    "permutations_figure",
    "picture_rows_figure",
    "pictures_figure",
    "png",
    "point_sets_figure",
    "points_figure",
    "precision_recall_figure",
    "reductions_figure",
    "relaxed_figure",
    "scene_figure",
    "seeds_figure",
    "sets_figure",
    "shares_figure",
    "show",
    "show_film",
    "sizes_figure",
    "slot_attention_diagram",
    "slot_color",
    "slot_map",
    "slot_mixture_diagram",
    "slot_step_figure",
    "steps_figure",
    "surgery_figure",
    "temperature_figure",
    "territories_figure",
    "thresholds_figure",
    "to_picture",
    "tokens_figure",
    "training_frames",
    "two_variances_figure",
    "vectors_figure",
    "weights_figure",
]
