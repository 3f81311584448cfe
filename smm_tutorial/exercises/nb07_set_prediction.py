"""Tasks of notebook 07: what a loss on sets is.

A set is a table (K, 19) in the order of `set_targets`: three coordinates, four groups of
properties, and "real".
"""

import math
from itertools import permutations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.exercises.core import Mistake, Task, mistake, register
from smm_tutorial.exercises.samples import generator
from smm_tutorial.set_prediction.targets import COORDINATES, OBJECT_DIM, PROPERTY_SLICES, REAL


def _vectors(seed: int, *shape: int) -> Tensor:
    """Numbers of which some lie further than 1 from each other."""
    return 1.5 * torch.randn(*shape, OBJECT_DIM, generator=generator(seed))


def _sets(seed: int, images: int, slots: int, real: int) -> tuple[Tensor, Tensor]:
    """Random predictions and targets, (images, slots, 19) each, with `real` targets an image."""
    source = generator(seed)
    predictions = torch.rand(images, slots, OBJECT_DIM, generator=source)
    targets = torch.zeros(images, slots, OBJECT_DIM)
    targets[:, :real, COORDINATES] = 2 * torch.rand(images, real, 3, generator=source) - 1
    for group in PROPERTY_SLICES.values():
        width = group.stop - group.start
        chosen = torch.randint(width, (images, real), generator=source)
        targets[:, :real, group] = torch.nn.functional.one_hot(chosen, width).float()
    targets[:, :real, REAL] = 1
    return predictions, targets


# pair costs


def pair_costs(predictions: Tensor, targets: Tensor, coordinate_weight: float) -> Tensor:
    differences = (predictions[:, None] - targets[None]).abs()  # (K, T, 19)
    huber = torch.where(differences < 1, 0.5 * differences.square(), differences - 0.5)
    weights = torch.ones(OBJECT_DIM)
    weights[COORDINATES] = coordinate_weight
    return (weights * huber).mean(dim=2)


@mistake(
    "Where |e| is larger than 1, the Huber error is |e| - 1/2: it grows along a straight line."
)
def _costs_squared(predictions, targets, coordinate_weight):
    weights = torch.ones(OBJECT_DIM)
    weights[COORDINATES] = coordinate_weight
    return (weights * 0.5 * (predictions[:, None] - targets[None]).square()).mean(dim=2)


@mistake("A row is a slot and a column is a target. Your table has rows and columns exchanged.")
def _costs_transposed(predictions, targets, coordinate_weight):
    return pair_costs(targets, predictions, coordinate_weight)


@mistake("The cost of a pair is the *mean* over its 19 numbers, not the sum.")
def _costs_summed(predictions, targets, coordinate_weight):
    return OBJECT_DIM * pair_costs(predictions, targets, coordinate_weight)


@mistake(
    "You multiply the differences by the weight. Take the Huber error first, then multiply it."
)
def _costs_weighted_inside(predictions, targets, coordinate_weight):
    weights = torch.ones(OBJECT_DIM)
    weights[COORDINATES] = coordinate_weight
    return pair_costs(weights * predictions, weights * targets, 1.0)


@mistake("`coordinate_weight` is not used: multiply the errors of the first three numbers.")
def _costs_unweighted(predictions, targets, coordinate_weight):
    return pair_costs(predictions, targets, 1.0)


@mistake("You divide by the sum of the weights. Divide by 19, whatever the weights are.")
def _costs_over_weights(predictions, targets, coordinate_weight):
    total = 3 * coordinate_weight + OBJECT_DIM - 3
    return OBJECT_DIM / total * pair_costs(predictions, targets, coordinate_weight)


register(
    Task(
        name="sets.pair_costs",
        title="The cost of each pair",
        text="""From `predictions` (K, 19) and `targets` (T, 19) compute the table (K, T) of the
        costs of all pairs. The cost of a pair is the mean of 19 Huber errors. The Huber error of a
        difference `e` is `e**2 / 2` where `|e| <= 1`, and `|e| - 1/2` elsewhere. The first three
        numbers are coordinates: multiply their Huber errors by `coordinate_weight`.""",
        minutes=8,
        difficulty=1,
        hints=(
            """Every prediction meets every target: give both an axis, `predictions[:, None] -
            targets[None]` is (K, T, 19).""",
            """`torch.where` chooses between the two formulas. How does a vector of 19 weights look,
            and over which axis do you take the mean?""",
        ),
        solution=pair_costs,
        cases=lambda: {
            "three slots, two targets": (_vectors(0, 3), _vectors(1, 2), 1.0),
            "four of each, coordinates eight times": (_vectors(2, 4), _vectors(3, 4), 8.0),
        },
        mistakes=(
            _costs_squared,
            _costs_transposed,
            _costs_summed,
            _costs_weighted_inside,
            _costs_unweighted,
            _costs_over_weights,
        ),
    )
)


# best matching


def best_matching(costs: Tensor) -> tuple[int, ...]:
    table = costs.tolist()
    return min(
        permutations(range(len(table))),
        key=lambda order: sum(row[t] for row, t in zip(table, order, strict=True)),
    )


@mistake("Each slot takes its cheapest target. Then two slots can take the same target.")
def _matching_nearest(costs):
    return tuple(costs.argmin(dim=1).tolist())


@mistake(
    "The first slot takes its cheapest target. A later slot may pay more for it. Compare *sums*."
)
def _matching_in_turn(costs):
    free, order = set(range(len(costs))), []
    for row in costs.tolist():
        order.append(min(free, key=row.__getitem__))
        free.remove(order[-1])
    return tuple(order)


@mistake("You take the cheapest pair first. Only expensive pairs may be left then. Compare *sums*.")
def _matching_cheapest_first(costs):
    left, order = costs.clone(), [0] * len(costs)
    for _ in range(len(costs)):
        k, t = divmod(left.argmin().item(), len(costs))
        order[k] = t
        left[k], left[:, t] = math.inf, math.inf
    return tuple(order)


@mistake("You look for the largest sum. The smallest sum of costs is wanted.")
def _matching_dearest(costs):
    return best_matching(-costs)


@mistake("You return the slot of each target. The target of each slot is wanted.")
def _matching_of_targets(costs):
    return best_matching(costs.mT)


@mistake("You return the costs of the pairs. Return the number of each slot's target.")
def _matching_cost(costs):
    return tuple(costs[k, t].item() for k, t in enumerate(best_matching(costs)))


def _matching_cases() -> dict[str, tuple]:
    three = torch.tensor([[2.0, 3.0, 9.0], [1.0, 4.0, 6.0], [3.0, 2.5, 8.0]])
    return {
        "a table where two slots want the same target": (three,),
        "four slots": (torch.rand(4, 4, generator=generator(4)),),
        "five slots": (torch.rand(5, 5, generator=generator(5)),),
        "costs that require a gradient": (
            torch.rand(4, 4, generator=generator(6)).requires_grad_(),
        ),
    }


register(
    Task(
        name="sets.best_matching",
        title="The best of all matchings",
        text="""`costs[k, t]` is the cost of matching slot k with target t. Every slot gets one
        target, and every target one slot. Try all matchings, and find the one with the smallest sum
        of costs. Return a tuple of K whole numbers: the target of slot 0, of slot 1, and so on.
        Targets are numbered from 0. Later `costs` will require a gradient, so your function must
        work with such tensors, too.""",
        minutes=8,
        difficulty=2,
        hints=(
            """`itertools.permutations(range(K))` gives every matching: `order[k]` is the target of
            slot k. Loops are much faster over lists: begin with `table = costs.tolist()`.""",
            """Write a function that takes one matching and returns its sum of costs. Python's `min`
            can use this function as its `key`.""",
        ),
        solution=best_matching,
        cases=_matching_cases,
        mistakes=(
            _matching_nearest,
            _matching_in_turn,
            _matching_cheapest_first,
            _matching_dearest,
            _matching_of_targets,
            _matching_cost,
        ),
    )
)


# set loss


def _costs_of_images(predictions: Tensor, targets: Tensor) -> list[Tensor]:
    pairs = zip(predictions, targets, strict=True)
    return [pair_costs(mine, theirs, 1.0) for mine, theirs in pairs]


def set_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for mine, theirs in zip(predictions, targets, strict=True):
        costs = pair_costs(mine, theirs, 1.0)  # (K, K)
        losses.append(sum(costs[k, t] for k, t in enumerate(best_matching(costs))))
    return torch.stack(losses).mean()


@mistake(
    "You compare slot k with target k, in the order of the record. Match slots and targets first."
)
def _loss_in_order(predictions, targets):
    sums = [costs.diagonal().sum() for costs in _costs_of_images(predictions, targets)]
    return torch.stack(sums).mean()


@mistake(
    "Each target takes its cheapest slot. Then one slot can serve two targets: match one to one."
)
def _loss_of_nearest(predictions, targets):
    sums = [costs.amin(dim=0).sum() for costs in _costs_of_images(predictions, targets)]
    return torch.stack(sums).mean()


@mistake("Take the sum over the slots of an image, and the mean only over images.")
def _loss_mean_over_slots(predictions, targets):
    return set_loss(predictions, targets) / predictions.shape[1]


@mistake("Take the mean over images. Your sum over images grows with the size of the batch.")
def _loss_sum_over_images(predictions, targets):
    return set_loss(predictions, targets) * len(predictions)


@mistake("Count pairs with padding, too. Without them no slot learns to say “nothing here”.")
def _loss_without_padding(predictions, targets):
    losses = []
    for costs, theirs in zip(_costs_of_images(predictions, targets), targets, strict=True):
        order = list(best_matching(costs))
        matched = costs[range(len(costs)), order]  # (K,), what each slot costs
        losses.append(matched[theirs[order, REAL] == 1].sum())
    return torch.stack(losses).mean()


@mistake("You match only objects. Match padding, too: then every slot has a target.")
def _loss_of_matched_objects(predictions, targets):
    losses = []
    for costs, theirs in zip(_costs_of_images(predictions, targets), targets, strict=True):
        costs = costs[:, theirs[:, REAL] == 1]  # (K, objects)
        slots, objects = linear_sum_assignment(costs.detach().numpy())
        losses.append(costs[slots, objects].sum())
    return torch.stack(losses).mean()


@mistake("You use one matching for all images. Each image needs its own matching.")
def _loss_one_matching_for_all(predictions, targets):
    costs = torch.stack(_costs_of_images(predictions, targets)).mean(dim=0)
    return costs[range(len(costs)), best_matching(costs)].sum()


def _loss_by(matching: Mistake, predictions: Tensor, targets: Tensor) -> Tensor:
    """The loss of matchings that are not the best ones."""
    images = _costs_of_images(predictions, targets)
    orders = [matching.answer(costs.detach()) for costs in images]
    sums = [
        costs[range(len(costs)), order].sum() for costs, order in zip(images, orders, strict=True)
    ]
    return torch.stack(sums).mean()


@mistake("Your matching is greedy: it takes the cheapest pair first. Use `best_matching`.")
def _loss_of_greedy_pairs(predictions, targets):
    return _loss_by(_matching_cheapest_first, predictions, targets)


@mistake(
    "Your matching is greedy: slot after slot takes its cheapest free target. Use `best_matching`."
)
def _loss_of_greedy_slots(predictions, targets):
    return _loss_by(_matching_in_turn, predictions, targets)


@mistake("Return a tensor. `.item()` and `float(...)` make a number, and a number has no gradient.")
def _loss_as_a_number(predictions, targets):
    return set_loss(predictions, targets).item()


register(
    Task(
        name="sets.set_loss",
        title="A loss that does not see the order",
        text="""`predictions` and `targets` are (B, K, 19) each. Targets that are all zeros are
        padding. For every image, compute `pair_costs` with weight 1, and match slots with targets
        by `best_matching`. Add the costs of the K pairs. Return the mean of these sums over the
        images: a tensor without axes that has a gradient.""",
        minutes=8,
        difficulty=2,
        hints=(
            "Every image has a matching of its own: loop over the images.",
            """`enumerate(best_matching(costs))` gives the pairs of slot and target of one image.
            `torch.stack` makes a tensor of the images' sums.""",
        ),
        solution=set_loss,
        cases=lambda: {
            "two images, three objects": _sets(6, 2, 3, 3),
            "three images, two objects and two slots to spare": _sets(7, 3, 4, 2),
        },
        mistakes=(
            _loss_in_order,
            _loss_of_nearest,
            _loss_mean_over_slots,
            _loss_sum_over_images,
            _loss_without_padding,
            _loss_of_matched_objects,
            _loss_one_matching_for_all,
            _loss_of_greedy_pairs,
            _loss_of_greedy_slots,
            _loss_as_a_number,
        ),
    )
)
