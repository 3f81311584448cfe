"""`average_precision_clevr` in plain loops, word for word from its definition.

The reference that the vectorised form is tested against and measured against.
"""

import math

GROUPS = ((3, 5), (5, 7), (7, 10), (10, 18))


def naive_average_precision(predictions, targets, distance_threshold):
    """Nested lists or arrays, (B, K, 19) and (B, T, 19) -> float."""
    ranking = [
        (image, slot)
        for image in range(len(predictions))
        for slot in range(len(predictions[image]))
    ]
    ranking.sort(
        key=lambda at: -predictions[at[0]][at[1]][18]
    )  # Python's sort keeps the order of equals
    num_targets = sum(target[18] for image in targets for target in image)
    claimed, right = set(), 0
    recalls, precisions = [0.0], [0.0]
    for rank, (image, slot) in enumerate(ranking, start=1):
        prediction = predictions[image][slot]
        best, best_distance = None, math.inf
        for index, target in enumerate(targets[image]):
            if target[18] == 1 and kind(target) == kind(prediction):
                distance = 3 * math.dist(prediction[:3], target[:3])
                if distance < best_distance:
                    best, best_distance = (image, index), distance
        close = best is not None and (
            distance_threshold == -1 or best_distance < distance_threshold
        )
        if close and best not in claimed:
            claimed.add(best)
            right += 1
        recalls.append(right / num_targets)
        precisions.append(right / rank)
    recalls.append(1.0)
    precisions.append(0.0)
    for i in range(len(precisions) - 2, -1, -1):
        precisions[i] = max(precisions[i], precisions[i + 1])
    return sum(precisions[i + 1] * (recalls[i + 1] - recalls[i]) for i in range(len(recalls) - 1))


def kind(vector):
    """The place of the largest number in each of the four groups."""
    return [max(range(low, high), key=lambda place: vector[place]) for low, high in GROUPS]
