"""Tasks of notebook 01: k-means and soft k-means, in numpy."""

import numpy as np

from smm_tutorial.exercises.core import Task, mistake, register


def make_points(seed: int, count: int, features: int) -> np.ndarray:
    """Points (N, D) whose features differ in width."""
    return np.random.default_rng(seed).normal(size=(count, features)) * np.arange(1, features + 1)


# nearest


def nearest_mean(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    differences = points[:, None] - means  # (N, K, D)
    return (differences**2).sum(axis=2).argmin(axis=1)  # (N,)


@mistake("You ask for every mean which point is nearest; ask every point for its mean.")
def _nearest_point(points, means):
    return ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=0)


@mistake("That is the farthest mean: `argmin`, not `argmax`.")
def _farthest_mean(points, means):
    return ((points[:, None] - means) ** 2).sum(axis=2).argmax(axis=1)


@mistake("Signed differences cancel when summed: square them first.")
def _nearest_without_square(points, means):
    return (points[:, None] - means).sum(axis=2).argmin(axis=1)


@mistake("You add absolute differences. The distance here is Euclidean: add their squares.")
def _nearest_by_city_blocks(points, means):
    return np.abs(points[:, None] - means).sum(axis=2).argmin(axis=1)


@mistake("The largest dot product favours long means. Compare distances instead.")
def _nearest_by_dot_product(points, means):
    return (points @ means.T).argmax(axis=1)


register(
    Task(
        name="em.nearest_mean",
        title="The first half of k-means",
        text="""Given `points` (N, D) and `means` (K, D), return the index of each point's
        nearest mean: a numpy array (N,) of whole numbers.""",
        minutes=5,
        difficulty=1,
        hints=(
            "`points[:, None] - means` holds every difference; its shape is (N, K, D).",
            """Square the differences, and sum over the axis of the features. Then `argmin` with an
            `axis` finds, for each point, the smallest of the K sums.""",
        ),
        solution=nearest_mean,
        cases=lambda: {
            "seven points, three means": (make_points(0, 7, 2), make_points(1, 3, 2)),
            "four points in five dimensions, two means": (
                make_points(2, 4, 5),
                make_points(3, 2, 5),
            ),
        },
        mistakes=(
            _nearest_point,
            _farthest_mean,
            _nearest_without_square,
            _nearest_by_city_blocks,
            _nearest_by_dot_product,
        ),
    )
)


# soft assignment


def soft_assignment(points: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    squared = ((points[:, None] - means) ** 2).sum(axis=2)  # (N, K)
    shares = np.exp(-squared / (2 * temperature))
    return shares / shares.sum(axis=1, keepdims=True)


@mistake("Your columns sum to one. Means compete for each point: normalise along a row.")
def _shares_of_points(points, means, temperature):
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) / (2 * temperature))
    return shares / shares.sum(axis=0, keepdims=True)


@mistake("A factor is missing: divide the squared distance by *twice* the temperature.")
def _shares_without_half(points, means, temperature):
    return soft_assignment(points, means, temperature / 2)


@mistake("The exponent holds the distance; it should hold its square.")
def _shares_of_plain_distances(points, means, temperature):
    shares = np.exp(-np.linalg.norm(points[:, None] - means, axis=2) / (2 * temperature))
    return shares / shares.sum(axis=1, keepdims=True)


@mistake("You multiply by the temperature. A high temperature makes shares equal: divide by it.")
def _shares_upside_down(points, means, temperature):
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) * temperature / 2)
    return shares / shares.sum(axis=1, keepdims=True)


@mistake("You square the temperature. It is a variance already: divide by it as it is.")
def _shares_of_squared_temperature(points, means, temperature):
    return soft_assignment(points, means, temperature**2)


@mistake("You add a small number to the sum. Far from all means it is larger than the sum itself.")
def _shares_of_a_larger_sum(points, means, temperature):
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) / (2 * temperature))
    return shares / (shares.sum(axis=1, keepdims=True) + 1e-8)


register(
    Task(
        name="em.soft_assignment",
        title="The shares of a point",
        text="""Return the shares (N, K) of soft k-means: each row is a softmax of `-distance**2 /
        (2 * temperature)`. `distance` is the distance of a point of `points` (N, D) from a mean of
        `means` (K, D).""",
        minutes=6,
        difficulty=1,
        hints=(
            """Squared distances as before, then `np.exp`, then divide; each point's shares must sum
            to one.""",
            """Call the exponentials `shares`. Sum each row of `shares`. `keepdims=True` keeps this
            sum as a column (N, 1), and a table (N, K) can be divided by such a column.""",
        ),
        solution=soft_assignment,
        cases=lambda: {
            "six points, three means, temperature 2": (
                make_points(4, 6, 2),
                make_points(5, 3, 2),
                2.0,
            ),
            "five points, two means, temperature 0.5": (
                make_points(6, 5, 3) / 3,
                make_points(7, 2, 3) / 3,
                0.5,
            ),
            "four points far from both means": (
                make_points(4, 4, 2) + 10,
                make_points(5, 2, 2),
                1.0,
            ),
        },
        mistakes=(
            _shares_of_points,
            _shares_without_half,
            _shares_of_plain_distances,
            _shares_upside_down,
            _shares_of_squared_temperature,
            _shares_of_a_larger_sum,
        ),
    )
)
