"""Tasks of notebook 04: from a scene's record to pixels, by hand."""

import numpy as np
from numpy.random import default_rng

from smm_tutorial.exercises.core import Task, mistake, register

# project


def project(
    points: np.ndarray, position: np.ndarray, axes: np.ndarray, height: int, width: int
) -> np.ndarray:
    seen = (points - position) @ axes  # (N, 3) to the right, up, backward
    depth = -seen[:, 2]
    focal = width * 35 / 32  # pixels: CLEVR's lens has 35 mm, its sensor 32 mm
    columns = width / 2 + focal * seen[:, 0] / depth
    rows = height / 2 - focal * seen[:, 1] / depth  # rows grow downwards
    return np.stack([columns, rows, depth], axis=1)


@mistake("Your picture is upside down: rows grow downwards, the axis points up.")
def _project_upside_down(points, position, axes, height, width):
    projected = project(points, position, axes, height, width)
    projected[:, 1] = height - projected[:, 1]
    return projected


@mistake("Nothing gets smaller with distance in your picture: divide by the depth.")
def _project_without_depth(points, position, axes, height, width):
    right, up, backward = ((points - position) @ axes).T
    focal = width * 35 / 32
    return np.stack([width / 2 + focal * right, height / 2 - focal * up, -backward], axis=1)


@mistake("Depth is measured along the line of sight, not straight to the point.")
def _project_by_distance(points, position, axes, height, width):
    distance = np.linalg.norm(points - position, axis=1)
    right, up, _ = ((points - position) @ axes).T / distance
    focal = width * 35 / 32
    return np.stack([width / 2 + focal * right, height / 2 - focal * up, distance], axis=1)


@mistake("Pixels are square: one focal length, from the width, serves rows too.")
def _project_two_focal_lengths(points, position, axes, height, width):
    projected = project(points, position, axes, height, width)
    projected[:, 1] = height / 2 + (projected[:, 1] - height / 2) * height / width
    return projected


@mistake("The columns of `axes` are the camera's axes: multiply by `axes`, not by `axes.T`.")
def _project_transposed(points, position, axes, height, width):
    return project(points, position, axes.T, height, width)


@mistake("Measure from the camera: subtract `position` before you change to the camera's axes.")
def _project_unmoved(points, position, axes, height, width):
    with np.errstate(divide="ignore", invalid="ignore"):  # the world's origin has depth 0
        return project(points + position, position, axes, height, width)


@mistake("Backward points away from the scene, so the depth is *minus* the third coordinate.")
def _project_backwards(points, position, axes, height, width):
    projected = project(points, position, axes, height, width)
    return np.array([width, height, 0]) + np.array([-1, -1, -1]) * projected


@mistake(
    "Column and row are right. The depth has the wrong sign: it is positive before the camera."
)
def _project_to_negative_depth(points, position, axes, height, width):
    return project(points, position, axes, height, width) * [1, 1, -1]


@mistake("Column and row may lie between whole pixels: do not round them.")
def _project_to_whole_pixels(points, position, axes, height, width):
    projected = project(points, position, axes, height, width)
    return np.concatenate([projected[:, :2].round(), projected[:, 2:]], axis=1)


@mistake("Column and row are exchanged: the column comes first, then the row, then the depth.")
def _project_row_first(points, position, axes, height, width):
    return project(points, position, axes, height, width)[:, [1, 0, 2]]


def _view(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A camera near CLEVR's and its axes: right, up, backward as columns."""
    position = np.array([7.5, -6.5, 5.3]) + default_rng(seed).uniform(-0.5, 0.5, 3)
    backward = position / np.linalg.norm(position)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    return position, np.stack([right, np.cross(backward, right), backward], axis=1)


register(
    Task(
        name="scenes.project",
        title="From the world to a pixel",
        text="""You get world `points` (N, 3), the camera's `position` (3,) and its `axes` (3, 3).
        The columns of `axes` point right, up and backward. Return an array (N, 3): column and row
        in pixels, measured from the image's top left corner, and the depth along the camera's line
        of sight. The focal length is `width * 35 / 32` pixels, for columns and rows alike.""",
        minutes=12,
        difficulty=2,
        hints=(
            """Change to the camera's axes first: subtract the position, then multiply by `axes`.
            What lies before the camera has a negative third coordinate.""",
            """In the camera's axes, divide the first two coordinates by the depth, and multiply by
            the focal length. This gives pixels from the *middle* of the image. Columns count from
            the left edge, rows count downwards from the top.""",
        ),
        solution=project,
        cases=lambda: {
            "the world's origin, in the middle of 320 x 480 pixels": (
                np.zeros((1, 3)),
                *_view(1),
                320,
                480,
            ),
            "five points in an image of 320 x 480": (
                default_rng(0).uniform(-3, 3, (5, 3)),
                *_view(1),
                320,
                480,
            ),
            "one point in an image of 48 x 64": (np.array([[1.0, 2.0, 0.35]]), *_view(2), 48, 64),
        },
        mistakes=(
            _project_upside_down,
            _project_without_depth,
            _project_by_distance,
            _project_two_focal_lengths,
            _project_transposed,
            _project_unmoved,
            _project_backwards,
            _project_to_negative_depth,
            _project_to_whole_pixels,
            _project_row_first,
        ),
    )
)


# ray_sphere


def ray_sphere(
    origin: np.ndarray, directions: np.ndarray, center: np.ndarray, radius: float
) -> np.ndarray:
    o = origin - center
    h = directions @ o  # (N,), half of the coefficient of t
    c = o @ o - radius**2
    discriminant = h**2 - c  # (N,)
    distances = -h - np.sqrt(np.maximum(discriminant, 0))
    return np.where((discriminant > 0) & (distances > 0), distances, np.inf)


def _sphere_roots(origin, directions, center, radius):
    """Both roots of every ray's quadratic, and where they are real."""
    offset = origin - center
    half_b = directions @ offset
    discriminant = half_b**2 - (offset @ offset - radius**2)
    root = np.sqrt(np.maximum(discriminant, 0))
    return -half_b - root, -half_b + root, discriminant > 0


@mistake("You return where the ray leaves the sphere: it enters at the smaller root.")
def _sphere_far_side(origin, directions, center, radius):
    _, far, hit = _sphere_roots(origin, directions, center, radius)
    return np.where(hit & (far > 0), far, np.inf)


@mistake("A ray whose root is of a negative number misses: give `np.inf` there.")
def _sphere_without_misses(origin, directions, center, radius):
    return _sphere_roots(origin, directions, center, radius)[0]


@mistake("A negative distance lies behind the camera, which must not see it: `np.inf`.")
def _sphere_behind(origin, directions, center, radius):
    near, _, hit = _sphere_roots(origin, directions, center, radius)
    return np.where(hit, near, np.inf)


@mistake("The squared distance to the centre equals the radius *squared*.")
def _sphere_radius_not_squared(origin, directions, center, radius):
    return ray_sphere(origin, directions, center, radius**0.5)


@mistake("The root of a negative number is `nan`: give `np.inf` where a ray misses.")
def _sphere_nan_for_a_miss(origin, directions, center, radius):
    near, far, hit = _sphere_roots(origin, directions, center, radius)
    return np.where(hit, np.where(near > 0, near, np.inf), np.nan)


@mistake("`np.inf` is due twice: where a ray misses (you give `nan`), and for a sphere behind.")
def _sphere_nan_and_behind(origin, directions, center, radius):
    near, _, hit = _sphere_roots(origin, directions, center, radius)
    return np.where(hit, near, np.nan)


@mistake("In t² + 2 h t + c = 0 the coefficient of t is *twice* h, the product `direction · o`.")
def _sphere_half_coefficient(origin, directions, center, radius):
    offset = origin - center
    product = directions @ offset
    discriminant = product**2 - 4 * (offset @ offset - radius**2)
    distances = (-product - np.sqrt(np.maximum(discriminant, 0))) / 2
    return np.where((discriminant > 0) & (distances > 0), distances, np.inf)


@mistake("Your distances are twice too long: divide by 2, because the first coefficient is 1.")
def _sphere_not_halved(origin, directions, center, radius):
    return 2 * ray_sphere(origin, directions, center, radius)


@mistake("Measure from the origin of the rays: o is `origin - center`, and not `-center`.")
def _sphere_without_origin(origin, directions, center, radius):
    return ray_sphere(np.zeros(3), directions, center, radius)


@mistake("You see what lies behind the origin: o is `origin - center`, not `center - origin`.")
def _sphere_turned_around(origin, directions, center, radius):
    return ray_sphere(center, directions, origin, radius)


def _directions(seed: int, count: int, towards: np.ndarray) -> np.ndarray:
    """Unit vectors (count, 3) scattered around a direction."""
    directions = towards + default_rng(seed).normal(0, 0.15, (count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _sphere_cases() -> dict[str, tuple]:
    camera = np.array([7.0, -6.0, 5.0])
    center = np.array([1.0, 0.5, 0.7])
    to_center = (center - camera) / np.linalg.norm(center - camera)
    aimed = np.stack([to_center, -to_center])  # at the sphere, and straight away from it
    ahead = np.array([0.2, 3.0, 0.7])  # from the world's origin, such rays meet the sphere, too
    start = np.array([0.0, -6.0, 0.5])
    straight = (ahead - start)[None] / np.linalg.norm(ahead - start)
    return {
        "forty rays, some of which miss": (camera, _directions(3, 40, to_center), center, 0.7),
        "one ray at the sphere, one away from it": (camera, aimed, center, 0.7),
        "one ray that passes near the world's origin": (start, straight, ahead, 0.7),
    }


register(
    Task(
        name="scenes.ray_sphere",
        title="Where a ray meets a sphere",
        text="""N rays leave `origin` (3,) along the unit vectors `directions` (N, 3). A sphere has
        the `center` (3,) and the `radius`. Return an array (N,): the distance from the origin to
        the first point on the sphere. Where a ray misses the sphere, or the sphere lies behind the
        origin, the distance is `np.inf`. The origin is outside the sphere.""",
        minutes=15,
        difficulty=2,
        hints=(
            """A point at distance t is on the sphere when |origin + t direction - center|² =
            radius². Write it out: a quadratic in t, whose first coefficient is 1.""",
            """With o = origin - center, h = direction · o and c = o · o - radius², the quadratic is
            t² + 2 h t + c = 0. Solve it. At which of the two roots does the ray enter? When is
            there no root, and when does the root lie behind the origin?""",
        ),
        solution=ray_sphere,
        cases=_sphere_cases,
        mistakes=(
            _sphere_far_side,
            _sphere_without_misses,
            _sphere_behind,
            _sphere_radius_not_squared,
            _sphere_nan_for_a_miss,
            _sphere_nan_and_behind,
            _sphere_half_coefficient,
            _sphere_not_halved,
            _sphere_without_origin,
            _sphere_turned_around,
        ),
        rtol=1e-7,
    )
)
