"""Object discovery: a network sees pictures alone, and takes them apart into objects.

`model` is the network, `loss` and `recipe` say how it learns, `runs` what is trained by name.
`segmentation` says which slot owns each pixel, `scores` how well that fits the true masks, and
`evaluation` puts the scores into records, from which `tables` are made. `slot_selection` takes
surplus slots away; `surgery` changes slots by hand.
"""

from smm_tutorial.discovery.ablations import OBJECT_PRICE, VARIANTS
from smm_tutorial.discovery.evaluation import BASELINES, evaluated_record, load_discovery
from smm_tutorial.discovery.loss import Objective, ReconstructionLoss
from smm_tutorial.discovery.model import (
    DECODERS,
    LEAST_SHARE,
    DiscoveryConfig,
    DiscoveryOutput,
    MaskPrior,
    ObjectDiscovery,
)
from smm_tutorial.discovery.recipe import (
    LEARNING_RATE_FACTORS,
    discovery_config,
    discovery_loss,
    discovery_model,
    train_discovery,
    validation_score,
)
from smm_tutorial.discovery.runs import DiscoveryRun, Kind
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
    "BASELINES",
    "DECODERS",
    "DiscoveryConfig",
    "DiscoveryOutput",
    "DiscoveryRun",
    "Kind",
    "LEARNING_RATE_FACTORS",
    "LEAST_SHARE",
    "MaskPrior",
    "Masks",
    "OBJECT_PRICE",
    "ObjectDiscovery",
    "Objective",
    "ReconstructionLoss",
    "SCORES",
    "SCORE_TITLES",
    "SELECTIONS",
    "SIZE_CLASSES",
    "SelectedSlots",
    "Selection",
    "VARIANTS",
    "ablation_table",
    "by_objects_table",
    "by_size_table",
    "comparison_report",
    "comparison_table",
    "discovery_config",
    "discovery_loss",
    "discovery_model",
    "drop_slot",
    "enlarge_owners",
    "evaluate",
    "evaluated_record",
    "find_object_slots",
    "fit_position_directions",
    "full_comparison_report",
    "load_discovery",
    "mask_centres",
    "move_slot",
    "score",
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
    "train_discovery",
    "validation_score",
]
