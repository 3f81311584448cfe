"""Object discovery: a network sees pictures alone, and takes them apart into objects.

`model` is the network, `loss` and `recipe` say how it learns, `runs` trains it: `train` takes a
`DiscoveryRun`, the choices that decide a run. `ablations` leave something out.
`segmentation` says which slot owns each pixel, `scores` how well that fits the true masks, and
`evaluation` puts the scores into records, from which `tables` are made. `slot_selection` takes
surplus slots away; `surgery` changes slots by hand.
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
    enlarge_owners,
    segment,
    segment_by_all_masks,
    segment_pixels,
)
from smm_tutorial.discovery.slot_selection import (
    SelectedSlots,
    select_all_slots,
    select_slots_by_bic,
    slot_penalty,
)
from smm_tutorial.discovery.surgery import (
    drop_slot,
    find_object_slots,
    fit_position_directions,
    mask_centres,
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
    full_comparison_report,
    score_table,
    search_table,
    showcase_table,
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
    "drop_slot",
    "enlarge_owners",
    "evaluate",
    "find_object_slots",
    "fit_position_directions",
    "full_comparison_report",
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
