"""Composes new scenes of slots, paints them, and lets an independent judge say what it finds.

A composed scene has one ground slot and some object slots. Each object slot is a real slot of some
scene, or it is drawn from a concept. It is moved to a chosen place.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from smm_tutorial.arguments import check_choice
from smm_tutorial.concepts.library import (
    CONCEPT_COUNTS,
    ConceptLibrary,
    ObjectSlots,
    PlaceRemoval,
    fit_library,
    fit_place,
    gather_objects,
)
from smm_tutorial.concepts.slot_readings import SlotReadings
from smm_tutorial.datasets import SceneImages
from smm_tutorial.metrics import mask_centres
from smm_tutorial.slots.base import SlotOutput
from smm_tutorial.slots.slot_model import SlotModel
from smm_tutorial.tensors import without_autocast

#: Where the slots of composed objects come from; see `Studio.draw_objects`.
Source = Literal["copied", "drawn"]
LEAST_VARIANCE = 1e-4  # of a drawn slot
NEAR = 0.12  # of the picture's side; the judge looks for an object within this distance
LEAST_DISTANCE = 0.22  # between the places of two objects in a scene
MARGIN = 0.15  # of the picture's side, free of objects
MOST_TRIES = 1_000
JUDGE_ITERATIONS = 2_000
DECIMALS = 4


class ComposedScene(NamedTuple):
    """The slots of one new scene. The first slot is the ground."""

    slots: Tensor  # (K, F)
    shares: Tensor  # (K,), the share of the picture of each slot; the sum is 1
    centres: Tensor  # (K - 1, 2), where each object shall stand: down and right, in [0, 1]
    asked: list[dict[str, str]]  # K - 1 objects: property -> value


def choose_places(count: int, generator: np.random.Generator) -> Tensor:
    """Draws places for objects, not too near each other -> `(count, 2)`, in [0, 1].

    Raises `ValueError` if so many objects find no room.
    """
    places: list[np.ndarray] = []
    for _ in range(MOST_TRIES):
        if len(places) == count:
            break
        candidate = generator.uniform(MARGIN, 1 - MARGIN, 2)
        if all(np.linalg.norm(candidate - other) >= LEAST_DISTANCE for other in places):
            places.append(candidate)
    if len(places) < count:
        raise ValueError(f"{count} objects find no room in a picture: choose fewer objects")
    return torch.tensor(np.array(places).reshape(count, 2), dtype=torch.float32)


def find_ground(readings: SlotReadings, image: int) -> Tensor:
    """Returns the ground's slot of an image -> `(F,)`: the slot with the largest weight of those
    that hold the ground, or the slot with the largest weight of all.
    """
    weights = readings.weights[image]
    is_ground = readings.regions[image] == 0
    chosen = weights.where(is_ground, -1) if is_ground.any() else weights
    return readings.slots[image, chosen.argmax()]


def compose_scene(
    ground: Tensor,
    objects: Tensor,
    shares: Tensor,
    centres: Tensor,
    asked: Sequence[Mapping[str, str]],
    slot_dim: int,
) -> ComposedScene:
    """Puts slots together to a scene.

    Args:
        ground: `(F,)`. objects: `(N, F)`, already at their places.
        shares: `(N,)`, the share of the picture of each object. The ground gets the rest.
        centres: `(N, 2)`, the places of the objects.
        asked: what the objects shall be.
        slot_dim: D. Numbers of a slot after the first D are variances, and stay above 0.

    Raises `ValueError` if the objects' shares leave no room for the ground.
    """
    rest = 1 - shares.sum()
    if rest <= 0:
        raise ValueError(
            f"the shares of the objects sum to {shares.sum():.2f} and leave no room for the "
            "ground: choose fewer or smaller objects"
        )
    slots = torch.cat([ground[None], objects])
    slots = torch.cat([slots[:, :slot_dim], slots[:, slot_dim:].clamp_min(LEAST_VARIANCE)], dim=1)
    return ComposedScene(slots, torch.cat([rest[None], shares]), centres, [dict(a) for a in asked])


@torch.no_grad()
def paint_scene(model: SlotModel, scene: ComposedScene) -> Tensor:
    """Paints a scene by the decoder of a model of object discovery -> `(3, S, S)` in [0, 1]."""
    device = next(model.parameters()).device
    slots = SlotOutput(scene.slots[None].to(device), scene.shares[None, None].to(device))
    with without_autocast(device):
        return model.decode(slots).reconstruction[0].clamp(0, 1).cpu()


class Judge(NamedTuple):
    """A model of object discovery with linear classifiers on its slots, one per property.

    The judge must not be the model whose slots make the scenes.
    """

    model: SlotModel
    classifiers: dict[str, Pipeline]

    def predict(self, slots: Tensor) -> dict[str, np.ndarray]:
        """Predicts the properties of slots `(N, F)` -> N values by the name of the property."""
        numbers = slots.double().numpy()
        return {name: one.predict(numbers) for name, one in self.classifiers.items()}


def fit_judge(model: SlotModel, objects: ObjectSlots) -> Judge:
    """Fits a judge to slots that hold objects of known properties."""
    numbers = objects.slots.double().numpy()
    classifiers = {
        name: make_pipeline(StandardScaler(), LogisticRegression(max_iter=JUDGE_ITERATIONS)).fit(
            numbers, values
        )
        for name, values in objects.properties.items()
    }
    return Judge(model, classifiers)


def score_judge(judge: Judge, objects: ObjectSlots) -> dict[str, float]:
    """Computes the judge's accuracy on slots of real pictures, by property. No score of composed
    scenes can be trusted beyond this.
    """
    predicted = judge.predict(objects.slots)
    return {
        name: round(float((predicted[name] == np.asarray(values)).mean()), DECIMALS)
        for name, values in objects.properties.items()
    }


@torch.no_grad()
def judge_scenes(
    judge: Judge, pictures: Tensor, scenes: Sequence[ComposedScene], seed: int = 0
) -> dict[str, float]:
    """Lets the judge look for what was asked in painted scenes.

    The judge finds its own slots of each picture. Its largest slot is the ground. An object is
    *found* if the centre of another slot lies within `NEAR` of the asked place. The nearest slot
    counts.

    pictures: `(M, 3, S, S)`, one per scene. seed: of the starts of the judge's slots.

    Returns `found`, the share of asked objects that are found, and for each property the share of
    all asked objects that are found with the right value.
    """
    generator = torch.Generator().manual_seed(seed)
    model = judge.model
    device = next(model.parameters()).device
    found_all, right = [], {name: [] for name in judge.classifiers}
    with without_autocast(device):
        noise = model.start_noise(len(pictures), generator)
        output = model(pictures.to(device), noise=noise)
    centres = mask_centres(output.masks).float().cpu()  # (M, K, 2)
    sizes = output.masks.mean(dim=(2, 3)).cpu()  # (M, K)
    centres[torch.arange(len(centres)), sizes.argmax(dim=1)] = torch.inf  # the ground
    slots = output.slot_output.slots.float().cpu()
    for scene, own_centres, own_slots in zip(scenes, centres, slots, strict=True):
        distances = (scene.centres[:, None] - own_centres).norm(dim=2)  # (N, K)
        nearest = distances.argmin(dim=1)
        found = (distances.amin(dim=1) <= NEAR).numpy()
        predicted = judge.predict(own_slots[nearest])
        found_all += found.tolist()
        for name, values in predicted.items():
            wanted = np.array([asked[name] for asked in scene.asked])
            right[name] += (found & (values == wanted)).tolist()
    scores = {"found": found_all} | right
    return {name: round(float(np.mean(shares)), DECIMALS) for name, shares in scores.items()}


def name_concepts(concepts: np.ndarray, properties: Mapping[str, Sequence[str]]) -> list[dict]:
    """Names each concept by the most frequent values of its members -> one dictionary per concept.

    concepts: `(N,)`, from `ConceptLibrary.assign`; every concept must have a member.
    """
    named = []
    for concept in range(concepts.max() + 1):
        members = np.flatnonzero(concepts == concept)
        named.append(
            {
                name: Counter(values[member] for member in members.tolist()).most_common(1)[0][0]
                for name, values in properties.items()
            }
        )
    return named


class Studio(NamedTuple):
    """What composing needs: a library of slots without their places, and the slots that made it."""

    readings: SlotReadings
    objects: ObjectSlots
    shares: Tensor  # (N,), the weight of each object's slot
    place: PlaceRemoval
    library: ConceptLibrary
    concepts: np.ndarray  # (N,), the concept of each object's slot
    names: list[dict[str, str]]  # one per concept
    slot_dim: int

    def draw_objects(
        self, count: int, generator: np.random.Generator, source: Source
    ) -> tuple[Tensor, Tensor, list[dict[str, str]]]:
        """Draws objects that stand in the middle of the picture.

        source: `copied` takes slots of real scenes. `drawn` draws a concept by its weight, and then
        a slot from the concept's Gaussian.

        Returns slots `(count, F)`, shares of the picture `(count,)`, and what they shall be.
        """
        check_choice("source", source, Source)
        if source == "copied":
            chosen = generator.choice(len(self.shares), count, replace=False)
            slots = self.place.remove(self.objects.slots[chosen], self.objects.centres[chosen])
            asked = [
                {name: values[one] for name, values in self.objects.properties.items()}
                for one in chosen.tolist()
            ]
            return slots, self.shares[chosen], asked
        weights = self.library.mixture.weights_
        concepts = generator.choice(len(weights), count, p=weights).tolist()
        slots = torch.cat([self.library.sample(one, 1, generator) for one in concepts])
        shares = torch.stack([self.shares[self.concepts == one].mean() for one in concepts])
        return slots, shares, [self.names[one] for one in concepts]

    def arrange(self, objects: Sequence[tuple[int, float, float]], image: int = 0) -> ComposedScene:
        """Makes a scene of the mean slots of concepts, on the ground of an image of the library.

        objects: concept, down and right of each object; places lie between 0 and 1.

        Raises `ValueError` for an unknown concept, and as `compose_scene`.
        """
        ground = find_ground(self.readings, image)
        slots = [self.library.mean_slot(concept) for concept, _, _ in objects]
        shares = [self.shares[self.concepts == concept].mean() for concept, _, _ in objects]
        targets = torch.tensor([place for _, *place in objects]).reshape(-1, 2)
        moved = torch.stack(slots) if slots else ground.new_zeros(0, len(ground))
        moved = self.place.move(moved, torch.full_like(targets, 0.5), targets)
        return compose_scene(
            ground,
            moved,
            torch.stack(shares) if shares else torch.zeros(0),
            targets,
            [self.names[concept] for concept, _, _ in objects],
            self.slot_dim,
        )

    def compose(self, count: int, generator: np.random.Generator, source: Source) -> ComposedScene:
        """Composes a scene of `count` objects at random places, on the ground of a random scene."""
        targets = choose_places(count, generator)
        slots, shares, asked = self.draw_objects(count, generator, source)
        middle = torch.full_like(targets, 0.5)
        moved = self.place.move(slots, middle, targets)
        ground = find_ground(self.readings, int(generator.integers(len(self.readings.slots))))
        return compose_scene(ground, moved, shares, targets, asked, self.slot_dim)


def open_studio(
    readings: SlotReadings,
    data: SceneImages,
    slot_dim: int,
    counts: Sequence[int] = CONCEPT_COUNTS,
    seed: int = 0,
) -> Studio:
    """Makes a library of the slots of a data set, for composing.

    slot_dim: D; see `compose_scene`. counts, seed: see `fit_library`.
    """
    objects = gather_objects(readings, data)
    place = fit_place(objects.slots, objects.centres)
    clean = place.remove(objects.slots, objects.centres)
    library = fit_library(clean, counts, seed)
    concepts = library.assign(clean)
    order = np.unique(concepts)
    library, concepts = library.keep(order), np.searchsorted(order, concepts)
    return Studio(
        readings,
        objects,
        readings.weights[objects.images, objects.numbers],
        place,
        library,
        concepts,
        name_concepts(concepts, objects.properties),
        slot_dim,
    )


def measure_diversity(pictures: Tensor) -> float:
    """Computes the mean squared difference of two different pictures `(M, 3, S, S)` of a set."""
    count = len(pictures)
    if count < 2:
        raise ValueError(f"diversity needs at least 2 pictures, got {count}")
    flat = pictures.flatten(1).double()
    spread = (flat - flat.mean(dim=0)).square().mean(dim=1).sum()
    return round(2 * spread.item() / (count - 1), 6)
