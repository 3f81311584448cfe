"""Object discovery: a network learns from pictures without labels to separate objects.

- `model`: the network.
- `loss`, `recipe`: the loss, the sizes and the schedule of the training.
- `runs`: trains the network. `train` takes a `DiscoveryRun`, the choices that decide a run.
- `ablations`: the runs that leave out a part of the recipe.
- `segmentation`: finds the slot that owns each pixel.
- `scores`: compares a segmentation with the true masks.
- `evaluation`: scores a model by its name, for the model's record.
- `tables`: makes tables from records.
- `surgery`: changes slots by hand.
"""

from smm_tutorial.discovery.ablations import ABLATIONS
from smm_tutorial.discovery.evaluation import BASELINES, load_discovery, score_by_name
from smm_tutorial.discovery.loss import price_of_step, reconstruction_loss
from smm_tutorial.discovery.model import DiscoveryConfig, DiscoveryOutput, ObjectDiscovery
from smm_tutorial.discovery.recipe import SIZES, LossChoices, make_loss
from smm_tutorial.discovery.runs import DiscoveryRun, build_model, train, train_and_record
from smm_tutorial.discovery.scores import (
    SCORES,
    SIZE_CLASSES,
    evaluate,
    score,
    score_in_detail,
    score_with_errors,
)
from smm_tutorial.discovery.segmentation import (
    SELECTIONS,
    Masks,
    Selection,
    segment,
    segment_by_all_masks,
    segment_pixels,
)
from smm_tutorial.discovery.surgery import (
    drop_slot,
    find_object_slots,
    fit_position_directions,
    move_slot,
    swap_slots,
)
from smm_tutorial.discovery.tables import (
    SCORE_TITLES,
    ablation_table,
    by_objects_table,
    by_size_table,
    comparison_report,
    comparison_table,
    describe_images_without_masks,
    full_comparison_report,
    list_scores,
    score_table,
    search_table,
    showcase_table,
)
from smm_tutorial.metrics import mask_centres
from smm_tutorial.metrics.segmentation import enlarge_owners
from smm_tutorial.slots.slot_selection import (
    SelectedSlots,
    select_all_slots,
    select_slots_by_bic,
    slot_penalty,
)

__all__ = [
    "ABLATIONS",
    "BASELINES",
    "DiscoveryConfig",
    "DiscoveryOutput",
    "DiscoveryRun",
    "LossChoices",
    "Masks",
    "ObjectDiscovery",
    "SCORES",
    "SCORE_TITLES",
    "SELECTIONS",
    "SIZES",
    "SIZE_CLASSES",
    "SelectedSlots",
    "Selection",
    "ablation_table",
    "build_model",
    "by_objects_table",
    "by_size_table",
    "comparison_report",
    "comparison_table",
    "describe_images_without_masks",
    "drop_slot",
    "enlarge_owners",
    "evaluate",
    "find_object_slots",
    "fit_position_directions",
    "full_comparison_report",
    "list_scores",
    "load_discovery",
    "make_loss",
    "mask_centres",
    "move_slot",
    "price_of_step",
    "reconstruction_loss",
    "score",
    "score_by_name",
    "score_in_detail",
    "score_table",
    "score_with_errors",
    "search_table",
    "segment",
    "segment_by_all_masks",
    "segment_pixels",
    "select_all_slots",
    "select_slots_by_bic",
    "showcase_table",
    "slot_penalty",
    "swap_slots",
    "train",
    "train_and_record",
]
