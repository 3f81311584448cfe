"""Set prediction: a network learns from scene records to say what is where.

`targets` turns scenes into sets of vectors, `model` is the network, `loss` and `recipe` say how it
learns, `runs` what is trained by name. `average_precision` judges predicted sets as the papers do,
`scores` looks closer, and `evaluation` puts the scores into records, from which `tables` are made.
`released` reads the authors' weights.
"""

from smm_tutorial.set_prediction.average_precision import (
    NO_LIMIT,
    average_precision_clevr,
    right_predictions,
)
from smm_tutorial.set_prediction.evaluation import evaluated_record
from smm_tutorial.set_prediction.loss import SetLoss, matched_set_loss, pair_costs
from smm_tutorial.set_prediction.model import (
    NUM_COORDINATES,
    SetHeads,
    SetPrediction,
    SetPredictionConfig,
    SetPredictor,
)
from smm_tutorial.set_prediction.recipe import (
    VALIDATION_SCENES,
    WARMUP,
    set_data,
    set_prediction_config,
    set_prediction_model,
    set_training_config,
    take_over,
    train_set_prediction,
    validation_precision,
)
from smm_tutorial.set_prediction.released import (
    POSITIONS,
    RANGE_SLACK,
    REMEDY,
    RENAMED,
    RENAMED_IN_BLOCKS,
    UNUSED,
    ImageStart,
    OfficialSetPredictor,
    ReleasedSlots,
    SelfAttention,
    TransformerBlock,
    load_official_set_predictor,
)
from smm_tutorial.set_prediction.runs import SetKind, SetPredictionRun
from smm_tutorial.set_prediction.scores import (
    THRESHOLDS,
    average_precisions,
    evaluate,
    predict_sets,
    score,
)
from smm_tutorial.set_prediction.tables import (
    comparison_report,
    comparison_table,
    score_table,
    search_table,
    showcase_table,
)
from smm_tutorial.set_prediction.targets import (
    COORDINATE_SCALE,
    COORDINATES,
    OBJECT_DIM,
    PROPERTIES,
    PROPERTY_SLICES,
    REAL,
    object_vector,
    set_targets,
)

__all__ = [
    "COORDINATES",
    "COORDINATE_SCALE",
    "ImageStart",
    "NO_LIMIT",
    "NUM_COORDINATES",
    "OBJECT_DIM",
    "OfficialSetPredictor",
    "POSITIONS",
    "PROPERTIES",
    "PROPERTY_SLICES",
    "RANGE_SLACK",
    "REAL",
    "REMEDY",
    "RENAMED",
    "RENAMED_IN_BLOCKS",
    "ReleasedSlots",
    "SelfAttention",
    "SetHeads",
    "SetKind",
    "SetLoss",
    "SetPrediction",
    "SetPredictionConfig",
    "SetPredictionRun",
    "SetPredictor",
    "THRESHOLDS",
    "TransformerBlock",
    "UNUSED",
    "VALIDATION_SCENES",
    "WARMUP",
    "average_precision_clevr",
    "average_precisions",
    "comparison_report",
    "comparison_table",
    "evaluate",
    "evaluated_record",
    "load_official_set_predictor",
    "matched_set_loss",
    "object_vector",
    "pair_costs",
    "predict_sets",
    "right_predictions",
    "score",
    "score_table",
    "search_table",
    "set_data",
    "set_prediction_config",
    "set_prediction_model",
    "set_targets",
    "set_training_config",
    "showcase_table",
    "take_over",
    "train_set_prediction",
    "validation_precision",
]
