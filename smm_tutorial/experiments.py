"""The named, reproducible runs: data set x model x slot module x profile x seed -> checkpoint and result record.

Notebooks and the command line call the same functions. A record (`data/results/NAME.json`) holds everything that a run
was made of and what it scored, and the command that makes it again.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from smm_tutorial import checkpoints, datasets, metrics, paths
from smm_tutorial.datasets import SceneImages
from smm_tutorial.losses import ReconstructionLoss
from smm_tutorial.mixtures import GaussianMixtureEM
from smm_tutorial.models.discovery import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.profiles import PROFILES, Profile
from smm_tutorial.run_state import read_log
from smm_tutorial.training import Run, TrainingConfig, fast_precision, fit

SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "fg_ari": metrics.foreground_ari,
    "mbo": metrics.mean_best_overlap,
    "miou": metrics.mean_iou,
    "ari": metrics.adjusted_rand_index,
}
EVALUATION_BATCH = 64
OBJECT_PRICE = 0.001  # see `ReconstructionLoss`; of the order of the squared error that is left when objects are found
#: The run with one thing left out, or `complete`, by name: options of the network, and of the loss.
VARIANTS: dict[str, tuple[dict, dict]] = {
    "complete": ({}, {}),
    "no-price": ({}, {"price": 0.0}),
    "no-share": ({"mask_prior": "none"}, {}),
    "squared-error": ({}, {"objective": "squared_error"}),
    "no-fewer-slots": ({}, {"num_slots": None}),
}
#: How to tell whose a pixel is: by the slots' responsibilities for the pixel itself, or by the decoder's masks alone.
Masks = Literal["responsibilities", "decoder"]
#: What results call the data they were scored on.
DATA_LABELS = {"clevr6": "clevr6, test", "clevr-renders": "CLEVR in Blender, at most 6 objects"}
#: What needs no training: slots as they are built, and a Gaussian mixture on raw pixels. Sizes as in this profile.
BASELINES, UNTRAINED_SLOTS, BASELINE_PROFILE = ("untrained", "pixels"), "mixture", "laptop"


def discovery_config(slots: str, profile: Profile, image_size: int | None = None) -> DiscoveryConfig:
    """The network of the discovery experiments. Everything but `slots` is the same for both modules.

    image_size: instead of the profile's. Slots see 16 to 31 cells a side, every pixel with the papers' parts. The decoder
    starts from a cell for 4 x 4 pixels (from a coarser grid it learns far more slowly), the papers' from 8 x 8 cells.
    """
    sizes = profile.discovery
    size, of_paper = image_size or sizes.image_size, sizes.parts == "paper"
    return DiscoveryConfig(
        slots=slots, image_size=size, num_slots=sizes.num_slots, slot_dim=sizes.slot_dim, num_iterations=4,
        encoder_channels=sizes.channels, encoder_stride=1 if of_paper else _power_of_two(size / 16),
        convolutions=sizes.parts, decoder="paper" if of_paper else "broadcast",
        decoder_channels=sizes.decoder_channels, decoder_grid=8 if of_paper else size // 4,
        slot_options={"initialisation": "clustering", "normalisation": "inputs", "gradient": "last"},
    )  # fmt: skip


def _power_of_two(ratio: float) -> int:
    """The largest power of two that is not above `ratio`."""
    return 2 ** int(math.log2(ratio))


def discovery_model(config: DiscoveryConfig, seed: int) -> ObjectDiscovery:
    """The untrained network of a seed. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ObjectDiscovery(config)


def train_discovery(
    model: ObjectDiscovery, data: SceneImages, config: TrainingConfig, run_dir: str | Path | None = None, *,
    loss_options: dict | None = None, **options,
) -> Run:  # fmt: skip
    """Trains on images alone. loss_options: of `ReconstructionLoss`; other options: of `training.fit`."""
    loss = ReconstructionLoss(model, data, config.batch_size, steps=config.steps, **loss_options or {})
    return fit(model, loss, config, run_dir, **options)


@torch.no_grad()
def segmentations(
    model: ObjectDiscovery, data: SceneImages, seed: int = 0, num_slots: int | None = None
) -> dict[Masks, Tensor]:  # fmt: skip
    """The slot that owns each pixel of each image, by either kind of masks -> integers `(M, H, W)`, on the CPU.

    `seed` decides the slots' starts.
    """
    generator, device = torch.Generator().manual_seed(seed), next(model.parameters()).device
    maps: dict[Masks, list[Tensor]] = {"responsibilities": [], "decoder": []}
    for first in range(0, len(data), EVALUATION_BATCH):
        images = data.batch(slice(first, first + EVALUATION_BATCH)).images.to(device)
        noise = model.start_noise(len(images), generator, num_slots)
        output = model(images, num_slots=num_slots, noise=noise)
        maps["responsibilities"].append(output.log_joint(images).argmax(dim=1).cpu())
        maps["decoder"].append(output.segmentation.cpu())
    return {masks: torch.cat(owners) for masks, owners in maps.items()}


def segment(
    model: ObjectDiscovery, data: SceneImages, seed: int = 0, num_slots: int | None = None, masks: Masks = "responsibilities"
) -> Tensor:
    """`segmentations` by one kind of masks -> integer `(M, H, W)`, on the CPU."""
    return segmentations(model, data, seed, num_slots)[masks]


def segment_pixels(data: SceneImages, num_clusters: int, seed: int = 0) -> Tensor:
    """A Gaussian mixture on each image's pixels as (r, g, b, x, y), standardised -> integer `(M, H, W)`.

    What clustering does without learning: the first row of every table.
    """
    height, width = data.size
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    maps = []
    for image in data.images.cpu().numpy():
        points = np.concatenate([image.reshape(3, -1), x[None], y[None]]).T.astype(float)  # (H W, 5)
        points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)
        mixture = GaussianMixtureEM(num_clusters, covariance_type="full", reg_covar=1e-4, random_state=seed, max_iter=50)
        maps.append(mixture.fit(points).predict(points).reshape(height, width))
    return torch.from_numpy(np.stack(maps))


def score(data: SceneImages, segmentation: Tensor) -> dict[str, float]:
    """Means over the images of every metric, and how many images there were.

    Raises `ValueError` when the data have no masks.
    """
    if data.masks is None:
        raise ValueError(f"{data.name} ({data.split}) has no masks to score against: choose a split that has")
    true = data.masks.long().cpu()
    return {name: round(metric(true, segmentation).mean().item(), 4) for name, metric in SCORES.items()} | {"images": len(data)}


def validation_score(data: SceneImages, model: ObjectDiscovery) -> dict[str, float]:
    """What is logged of a model while it trains."""
    return score(data, segment(model, data))


def both_scores(model: ObjectDiscovery, data: SceneImages, seed: int) -> dict:
    """Scores by the responsibilities for pixels, and under `decoder_masks` those by the decoder's masks alone."""
    owners = segmentations(model, data, seed)
    return score(data, owners["responsibilities"]) | {"decoder_masks": score(data, owners["decoder"])}


def test_data(name: str, size: int, root: str | Path | None = None) -> SceneImages:
    """The scenes that results are about: the test split of `clevr6`, or a folder of renders in the papers' crop."""
    if name == "clevr-renders":
        if root is None:
            raise ValueError("clevr-renders needs the folder of the renders: --root PATH")
        return datasets.load(name, split="train", size=size, root=root, crop="paper", max_objects=6)
    return datasets.load(name, split="test", size=size)


class DiscoveryRun:
    """A named run of object discovery: everything that decides it, and what it leaves behind."""

    def __init__(
        self, command: str, slots: str, data: str, profile: Profile, seed: int, steps: int | None = None,
        variant: str | None = None, image_size: int | None = None, training_options: dict | None = None,
    ):  # fmt: skip
        """slots, data, profile, seed: what is trained on what. steps, image_size: instead of the profile's.

        variant: of `VARIANTS`. training_options: of `TrainingConfig`, instead of the profile's and this hardware's.
        """
        sizes, (options, loss_options) = profile.discovery, VARIANTS[variant or "complete"]
        self.loss_options = {"objective": "mixture", "price": OBJECT_PRICE, "num_slots": sizes.train_slots} | loss_options
        kind, sized = (f"variant-{variant}" if variant else "discovery"), (f"-{image_size}px" if image_size else "")
        self.name = f"{kind}-{slots}-{data}-{profile.name}{sized}-seed{seed}"
        self.command, self.data, self.profile, self.variant = command, data, profile, variant
        self.config = replace(discovery_config(slots, profile, image_size), **options)
        schedule = {"schedule": sizes.schedule, "warmup_steps": sizes.warmup_steps, "half_life": sizes.half_life}
        chosen = schedule | {"clip_norm": sizes.clip_norm, "precision": fast_precision()} | (training_options or {})
        self.training = TrainingConfig(
            sizes.steps if steps is None else steps, sizes.batch_size, sizes.learning_rate, seed=seed, **chosen
        )  # fmt: skip
        self.model = discovery_model(self.config, seed)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def train(self, folder: Path, **options) -> tuple[ObjectDiscovery, dict]:
        """Trains, or goes on in `folder`, then scores on the test data -> model and record (the checkpoint's too).

        options: of `training.fit`.
        """
        provenance = checkpoints.provenance()  # of the code that is loaded now
        train, validation = (datasets.load(self.data, split=s, size=self.config.image_size) for s in ("train", "val"))
        run = train_discovery(
            self.model, train, self.training, folder, loss_options=self.loss_options,
            evaluate=partial(validation_score, validation), **options,
        )  # fmt: skip
        test = test_data(self.data, self.config.image_size)
        scores = both_scores(self.model.eval(), test, seed=0)
        return self.model, {
            "name": self.name, "command": self.command, "model": type(self.model).__name__,
            "config": asdict(self.config), "training": asdict(self.training) | {"loss": self.loss_options},
            "variant": self.variant, "profile": self.profile.name, "data": self.data,
            "step": run.step, "minutes": round(run.seconds / 60, 1),
            "scores": {DATA_LABELS[self.data]: scores},
            "validation": [entry for entry in read_log(folder) if "fg_ari" in entry],
            "provenance": provenance,
        }  # fmt: skip


def evaluation(what: str, data: str, root: str | Path | None, seed: int, command: str) -> dict:
    """Scores a checkpoint (by name or file), `untrained` slots, or `pixels` (a mixture on raw pixels, no slots).

    Returns the result record with this score in it, beside those that `data/results` already holds for other data.

    Raises `CheckpointError` for an unknown checkpoint, `ValueError` or `DatasetError` as the data do.
    """
    if what in BASELINES:
        config = discovery_config(UNTRAINED_SLOTS, PROFILES[BASELINE_PROFILE])
        record = {"name": f"discovery-{what}", "config": asdict(config), "scores": {}}
        record["provenance"] = checkpoints.provenance()
        model = discovery_model(config, seed).eval()
    else:
        model, record = checkpoints.load(what)
    test = test_data(data, model.config.image_size, root)
    if what == "pixels":
        scores = score(test, segment_pixels(test, model.config.num_slots, seed))
    else:
        scores = both_scores(model, test, seed)
    earlier = paths.results_dir() / f"{record['name']}.json"
    if earlier.is_file():
        record = read_record(record["name"])
    record["scores"][DATA_LABELS[data]] = scores | {"command": command}
    return record


def write_record(record: dict, folder: Path | None = None) -> Path:
    """Writes `NAME.json` to `folder` (`data/results` if not given), atomically."""
    path = (folder or paths.results_dir()) / f"{record['name']}.json"
    paths.write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    return path


def read_record(name: str) -> dict:
    """A committed result record. Raises `FileNotFoundError` that lists the known ones."""
    path = paths.results_dir() / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in paths.results_dir().glob("*.json"))) or "none"
        raise FileNotFoundError(f"there is no result {name!r} in {paths.results_dir()}; known: {known}")
    return json.loads(path.read_text(encoding="utf-8"))
