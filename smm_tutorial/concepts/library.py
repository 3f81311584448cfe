"""A concept library: slots of thousands of scenes, clustered by our own Gaussian mixtures.

A concept is a cluster of slots. Nothing here needs labels, but `score_concepts` does.
"""

import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.concepts.slot_readings import SlotReadings
from smm_tutorial.datasets import SceneImages

#: Numbers of concepts that BIC chooses from.
CONCEPT_COUNTS = (16, 32, 64, 96, 128, 192, 256)
PROPERTIES = ("color", "shape", "material", "size")
MAX_ITER = 60
LEAST_VARIANCE = 1e-3  # added to every variance of standardised numbers
LEAST_SPREAD = 1e-6
DECIMALS = 4


class ObjectSlots(NamedTuple):
    """The slots of a data set that hold objects, and the properties of these objects."""

    slots: Tensor  # (N, F)
    centres: Tensor  # (N, 2), of the slots' masks: down and right, in [0, 1]
    images: Tensor  # (N,), the number of each slot's image
    numbers: Tensor  # (N,), the number of the slot in its image
    properties: dict[str, list[str]]  # N values by the name of the property


class PlaceRemoval(NamedTuple):
    """The part of slots that a square function of the place predicts, fitted by least squares."""

    weights: Tensor  # (6, F)

    def predict(self, centres: Tensor) -> Tensor:
        """Predicts slots from places `(N, 2)` -> `(N, F)`."""
        return _place_terms(centres) @ self.weights

    def move(self, slots: Tensor, centres: Tensor, targets: Tensor) -> Tensor:
        """Moves slots `(N, F)` from their places `(N, 2)` to targets, `(N, 2)` or `(1, 2)`."""
        return slots - self.predict(centres) + self.predict(targets)

    def remove(self, slots: Tensor, centres: Tensor) -> Tensor:
        """Moves all slots to the middle of the picture."""
        return self.move(slots, centres, torch.full((1, 2), 0.5).to(centres))


class ConceptLibrary(NamedTuple):
    """A mixture over standardised slots. Its components are the concepts."""

    centre: np.ndarray  # (F,)
    spread: np.ndarray  # (F,)
    mixture: GaussianMixtureEM
    bics: dict[int, float]  # BIC by the number of concepts, in nats

    @property
    def num_concepts(self) -> int:
        return len(self.mixture.weights_)

    def assign(self, slots: Tensor) -> np.ndarray:
        """Finds the most probable concept of each slot `(N, F)` -> integers `(N,)`."""
        return self.mixture.predict(self._standardise(slots))

    def mean_slot(self, concept: int) -> Tensor:
        """Returns the mean of a concept's Gaussian -> `(F,)`. Raises as `sample`."""
        self._check(concept)
        return torch.from_numpy(self.mixture.means_[concept] * self.spread + self.centre).float()

    def sample(self, concept: int, count: int, generator: np.random.Generator) -> Tensor:
        """Draws slots from the Gaussian of a concept -> `(count, F)`.

        Raises `ValueError` for a concept that the library does not have.
        """
        self._check(concept)
        mean, variance = self.mixture.means_[concept], self.mixture.covariances_[concept]
        drawn = generator.normal(mean, np.sqrt(variance), (count, len(mean)))
        return torch.from_numpy(drawn * self.spread + self.centre).float()

    def keep(self, concepts: np.ndarray) -> "ConceptLibrary":
        """Leaves out all but some concepts. The kept ones are numbered anew, in this order."""
        mixture = copy(self.mixture)
        for name in ("weights_", "means_", "covariances_"):
            setattr(mixture, name, getattr(self.mixture, name)[concepts])
        mixture.weights_ = mixture.weights_ / mixture.weights_.sum()
        return self._replace(mixture=mixture)

    def rank(self, slots: Tensor, concept: int) -> np.ndarray:
        """Orders slots `(N, F)` by their density under a concept, the most typical slot first."""
        points = self._standardise(slots)
        mean, variance = self.mixture.means_[concept], self.mixture.covariances_[concept]
        return np.argsort(((points - mean) ** 2 / variance).sum(axis=1), kind="stable")

    def _check(self, concept: int) -> None:
        if not 0 <= concept < self.num_concepts:
            raise ValueError(
                f"concept must be from 0 to {self.num_concepts - 1}, got {concept}: the library "
                f"has {self.num_concepts} concepts"
            )

    def _standardise(self, slots: Tensor) -> np.ndarray:
        return (slots.double().numpy() - self.centre) / self.spread


def gather_objects(readings: SlotReadings, data: SceneImages) -> ObjectSlots:
    """Gathers the slots that hold objects, with the properties of these objects.

    Raises `ValueError` for images without records.
    """
    if data.records is None:
        raise ValueError(
            f"{data.name} ({data.split}) has no records: they say which properties an object has, "
            "so choose data with records"
        )
    images, numbers = (readings.regions > 0).nonzero(as_tuple=True)
    regions = readings.regions[images, numbers]
    objects = [
        data.records[image]["objects"][region - 1]
        for image, region in zip(images.tolist(), regions.tolist(), strict=True)
    ]
    return ObjectSlots(
        readings.slots[images, numbers],
        readings.centres[images, numbers],
        images,
        numbers,
        {name: [one[name] for one in objects] for name in PROPERTIES},
    )


def _place_terms(centres: Tensor) -> Tensor:
    down, right = centres.unbind(dim=-1)
    terms = (torch.ones_like(down), down, right, down**2, right**2, down * right)
    return torch.stack(terms, dim=-1)


def fit_place(slots: Tensor, centres: Tensor) -> PlaceRemoval:
    """Fits slots `(N, F)` by a square function of their places `(N, 2)`."""
    terms = _place_terms(centres).double()
    weights = torch.linalg.lstsq(terms, slots.double()).solution
    return PlaceRemoval(weights.to(slots))


def fit_library(
    slots: Tensor, counts: Sequence[int] = CONCEPT_COUNTS, seed: int = 0
) -> ConceptLibrary:
    """Clusters slots `(N, F)` by Gaussian mixtures with diagonal covariances.

    counts: numbers of concepts. The mixture with the lowest BIC is kept. seed: of the starts.

    Raises `ValueError` for slots that are too few, or not finite.
    """
    numbers = slots.double().numpy()
    centre, spread = numbers.mean(axis=0), numbers.std(axis=0).clip(LEAST_SPREAD)
    points = (numbers - centre) / spread
    best, bics = None, {}
    for count in counts:
        mixture = GaussianMixtureEM(
            count,
            covariance_type="diag",
            reg_covar=LEAST_VARIANCE,
            max_iter=MAX_ITER,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 60 steps are near enough
            mixture.fit(points)
        bics[count] = mixture.bic(points)
        if bics[count] == min(bics.values()):
            best = mixture
    return ConceptLibrary(centre, spread, best, bics)


def purity(concepts: np.ndarray, values: Sequence[str]) -> float:
    """Computes the share of objects whose value is the most frequent one of their concept."""
    _, values = np.unique(np.asarray(values), return_inverse=True)
    table = np.zeros((concepts.max() + 1, values.max() + 1))
    np.add.at(table, (concepts, values), 1)
    return float(table.max(axis=1).sum() / len(values))


def score_concepts(
    concepts: np.ndarray, properties: Mapping[str, Sequence[str]], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Compares concepts `(N,)` with the true properties of the objects.

    Returns for each property, and for `all` (the four values together): `purity`; `nmi`, the mutual
    information divided by the mean entropy of both; and both for the same concepts in random order,
    `chance_purity` and `chance_nmi`.
    """
    named = dict(properties)
    named["all"] = [" ".join(row) for row in zip(*properties.values(), strict=True)]
    shuffled = np.random.default_rng(seed).permutation(concepts)
    scores = {}
    for name, values in named.items():
        found = {
            "purity": purity(concepts, values),
            "nmi": normalized_mutual_info_score(values, concepts),
            "chance_purity": purity(shuffled, values),
            "chance_nmi": normalized_mutual_info_score(values, shuffled),
        }
        scores[name] = {score: round(float(value), DECIMALS) for score, value in found.items()}
    return scores
