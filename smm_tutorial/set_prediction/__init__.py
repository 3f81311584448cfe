"""Set prediction: a network learns from scene records to predict the objects of an image.

`targets` turns scenes into sets of vectors, and `model` is the network. `matching`, `loss` and
`recipe` define the training; `ablations` change the recipe. `runs` trains: its `train` takes a
`SetPredictionRun`, the choices of a run. `average_precision` scores predicted sets as the papers
do, and `scores` computes further scores. `evaluation` puts the scores into records, and `tables`
prints the records. `probes` fits linear heads on frozen slots of any model. `released` reads the
authors' weights.
"""

from smm_tutorial.set_prediction.ablations import ABLATIONS
from smm_tutorial.set_prediction.average_precision import average_precision_clevr, right_predictions
from smm_tutorial.set_prediction.evaluation import score_by_name
from smm_tutorial.set_prediction.loss import matched_likelihood_loss, matched_set_loss
from smm_tutorial.set_prediction.matching import match_slots, pair_costs
from smm_tutorial.set_prediction.model import (
    SetHeads,
    SetPrediction,
    SetPredictionConfig,
    SetPredictor,
)
from smm_tutorial.set_prediction.probes import probe_slots
from smm_tutorial.set_prediction.recipe import SIZES, begin_with_discovery, make_loss
from smm_tutorial.set_prediction.released import (
    ReleasedSetPredictor,
    ReleasedSlotMixture,
    load_released,
    released_path,
)
from smm_tutorial.set_prediction.runs import SetPredictionRun, build_model, train, train_and_record
from smm_tutorial.set_prediction.scores import (
    THRESHOLDS,
    average_precisions,
    evaluate,
    predict_sets,
    score,
)
from smm_tutorial.set_prediction.tables import (
    ablation_table,
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
from smm_tutorial.set_prediction.vectors import describe_vector, move_vector

__all__ = [
    "ABLATIONS",
    "COORDINATES",
    "COORDINATE_SCALE",
    "OBJECT_DIM",
    "PROPERTIES",
    "PROPERTY_SLICES",
    "REAL",
    "ReleasedSetPredictor",
    "ReleasedSlotMixture",
    "SIZES",
    "SetHeads",
    "SetPrediction",
    "SetPredictionConfig",
    "SetPredictionRun",
    "SetPredictor",
    "THRESHOLDS",
    "ablation_table",
    "average_precision_clevr",
    "average_precisions",
    "begin_with_discovery",
    "build_model",
    "comparison_report",
    "comparison_table",
    "describe_vector",
    "evaluate",
    "load_released",
    "make_loss",
    "match_slots",
    "matched_likelihood_loss",
    "matched_set_loss",
    "move_vector",
    "object_vector",
    "pair_costs",
    "predict_sets",
    "probe_slots",
    "released_path",
    "right_predictions",
    "score",
    "score_by_name",
    "score_table",
    "search_table",
    "set_targets",
    "showcase_table",
    "train",
    "train_and_record",
]
