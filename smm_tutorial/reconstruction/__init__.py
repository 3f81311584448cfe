"""Image reconstruction: a transformer rebuilds an image's tokens from slots (SLATE).

- `model`: the tokenizer, and the network with slots and a transformer.
- `recipe`: the sizes, the losses and the schedules of the training.
- `tokenizers`: trains a tokenizer. `train_tokenizer` takes a `TokenizerRun`.
- `runs`: trains the network. `train` takes a `ReconstructionRun`.
- `ablations`: the runs that change a part of the recipe.
- `scores`: errors of pictures and tokens, and the segmentation by slots.
- `evaluation`: scores a model by its name, for the model's record.
- `tables`: makes tables from records.
"""

from smm_tutorial.reconstruction.ablations import ABLATIONS, TOKENIZER_ABLATIONS
from smm_tutorial.reconstruction.evaluation import score_by_name
from smm_tutorial.reconstruction.model import (
    ReconstructionConfig,
    ReconstructionOutput,
    SlotReconstruction,
    TokenEncoder,
    Tokenizer,
    TokenizerConfig,
)
from smm_tutorial.reconstruction.recipe import (
    SIZES,
    cluster_patches,
    reconstruction_loss,
    start_from_patches,
    temperature_of_step,
)
from smm_tutorial.reconstruction.runs import (
    ReconstructionRun,
    begin_with_discovery,
    build_model,
    load_tokenizer,
    tokenize_all,
    train,
    train_and_record,
)
from smm_tutorial.reconstruction.scores import (
    count_codes,
    evaluate,
    evaluate_tokenizer,
    psnr,
    read_tokens,
    score_distances,
)
from smm_tutorial.reconstruction.tables import (
    ablation_table,
    comparison_report,
    comparison_table,
    distance_table,
    score_table,
    showcase_table,
    tokenizer_table,
)
from smm_tutorial.reconstruction.tokenizers import TokenizerRun, build_tokenizer
from smm_tutorial.reconstruction.tokenizers import train as train_tokenizer
from smm_tutorial.reconstruction.tokenizers import train_and_record as train_and_record_tokenizer

__all__ = [
    "ABLATIONS",
    "ReconstructionConfig",
    "ReconstructionOutput",
    "ReconstructionRun",
    "SIZES",
    "SlotReconstruction",
    "TOKENIZER_ABLATIONS",
    "TokenEncoder",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerRun",
    "ablation_table",
    "begin_with_discovery",
    "build_model",
    "build_tokenizer",
    "cluster_patches",
    "comparison_report",
    "comparison_table",
    "count_codes",
    "distance_table",
    "evaluate",
    "evaluate_tokenizer",
    "load_tokenizer",
    "psnr",
    "read_tokens",
    "reconstruction_loss",
    "score_by_name",
    "score_distances",
    "score_table",
    "showcase_table",
    "start_from_patches",
    "temperature_of_step",
    "tokenize_all",
    "tokenizer_table",
    "train",
    "train_and_record",
    "train_and_record_tokenizer",
    "train_tokenizer",
]
