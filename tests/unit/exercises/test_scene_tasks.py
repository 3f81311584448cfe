"""The tasks of notebook 04: what learners are likely to hand in, and what they are told."""

import numpy as np
import pytest

from smm_tutorial.exercises.core import all_tasks, judge


def nan_where_missed(origin, directions, center, radius):
    offset = origin - center
    product = directions @ offset
    with np.errstate(invalid="ignore"):
        distances = -product - np.sqrt(product**2 - (offset @ offset - radius**2))
    return np.where(distances < 0, np.inf, distances)


def nan_where_missed_and_negative_behind(origin, directions, center, radius):
    offset = origin - center
    product = directions @ offset
    with np.errstate(invalid="ignore"):
        return -product - np.sqrt(product**2 - (offset @ offset - radius**2))


def sphere_from(offset, directions, radius):
    """Distances along rays, from what a learner takes for the vector centre -> origin."""
    product = directions @ offset
    square = product**2 - (offset @ offset - radius**2)
    distances = -product - np.sqrt(square.clip(0))
    return np.where((square >= 0) & (distances > 0), distances, np.inf)


def project_like(change, points, position, axes, height, width):
    """A projection in which a step is changed: "axes", "place", "sign", "depth" or "whole"."""
    seen = (points if change == "place" else points - position) @ (
        axes.T if change == "axes" else axes
    )
    depth = seen[:, 2] if change == "sign" else -seen[:, 2]
    focal = width * 35 / 32
    with np.errstate(invalid="ignore"):  # from the origin, the origin has depth 0
        columns, rows = focal * seen[:, 0] / depth, focal * seen[:, 1] / depth
    last = -depth if change == "depth" else depth
    columns, rows = width / 2 + columns, height / 2 - rows
    if change == "whole":
        columns, rows = columns.round(), rows.round()
    return np.stack([columns, rows, last], axis=1)


def light_like(change, points, normals, lamp, intensity):
    """An irradiance with a changed step.

    change: no cosine is cut off ("uncut"), the lamp is turned ("turned"), or the cosine at the lamp
        is not cut off ("behind") or taken without its sign ("abs").
    """
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    facing = -lamp if change == "turned" else lamp
    at_surface = (normals * to_lamp).sum(axis=1) / distance
    at_lamp = to_lamp @ facing / distance / np.linalg.norm(lamp)
    if change != "uncut":
        at_surface = at_surface.clip(0)
    if change == "turned":
        at_lamp = at_lamp.clip(0)
    if change == "abs":
        at_lamp = abs(at_lamp)
    return intensity * at_surface * at_lamp / distance**2


def majority(mask, factor):
    rows, columns = mask.shape[0] // factor, mask.shape[1] // factor
    small = np.zeros((rows, columns), dtype=int)
    for row in range(rows):
        for column in range(columns):
            block = mask[factor * row :, factor * column :][:factor, :factor]
            small[row, column] = np.bincount(block.ravel()).argmax()
    return small


def nearest(distances, shift=1, ground=0):
    hit = np.isfinite(distances).any(axis=0)
    return np.where(hit, distances.argmin(axis=0) + shift, ground)


LIKELY = {
    "transposed axes": ("project", lambda *given: project_like("axes", *given), "`axes.T`"),
    "camera at the origin": ("project", lambda *given: project_like("place", *given), "subtract"),
    "no minus": ("project", lambda *given: project_like("sign", *given), "*minus* the third"),
    "negative depth": ("project", lambda *given: project_like("depth", *given), "wrong sign"),
    "rounded": ("project", lambda *given: project_like("whole", *given), "do not round"),
    "row first": (
        "project",
        lambda *given: project_like("", *given)[:, [1, 0, 2]],
        "column comes first",
    ),
    "origin forgotten": (
        "ray_sphere",
        lambda origin, directions, center, radius: sphere_from(-center, directions, radius),
        "origin of the rays",
    ),
    "origin and centre exchanged": (
        "ray_sphere",
        lambda origin, directions, center, radius: sphere_from(center - origin, directions, radius),
        "not `center - origin`",
    ),
    "nan": ("ray_sphere", nan_where_missed, "is `nan`: give `np.inf`"),
    "nan and behind": ("ray_sphere", nan_where_missed_and_negative_behind, "is due twice"),
    "a majority": ("shrink_mask", majority, "one pixel only"),
    "from 1": ("shrink_mask", lambda mask, f: mask[1::f, 1::f], "start at 1"),
    "one too low": ("nearest_hit", lambda d: nearest(d, shift=0, ground=-1), "one too low"),
    "ground of -1": ("nearest_hit", lambda d: nearest(d, ground=-1), "not -1"),
    "argmax": (
        "nearest_hit",
        lambda d: np.where(np.isfinite(d).any(axis=0), d.argmax(axis=0) + 1, 0),
        "`argmax`",
    ),
    "behind the lamp": ("irradiance", lambda *given: light_like("behind", *given), "Behind"),
    "both sides": ("irradiance", lambda *given: light_like("abs", *given), "instead of"),
    "never cut": ("irradiance", lambda *given: light_like("uncut", *given), "Neither cosine"),
    "a turned lamp": ("irradiance", lambda *given: light_like("turned", *given), "faces away"),
}


@pytest.mark.parametrize(("name", "answer", "hint"), LIKELY.values(), ids=LIKELY)
def test_a_likely_mistake_is_refused_and_its_cause_is_named(name, answer, hint):
    verdict = judge(all_tasks()[f"scenes.{name}"], answer)

    assert verdict.status == "wrong"
    assert hint in (verdict.hint or "")


def test_the_worlds_origin_is_the_first_point_that_a_projection_is_tried_on():
    verdict = judge(all_tasks()["scenes.project"], lambda *given: project_like("depth", *given))

    assert "the world's origin" in verdict.message
    assert "the result[0, 2]" in verdict.message


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("name", ["scenes.nearest_hit", "scenes.shrink_mask"])
def test_a_mask_may_have_any_integer_type_and_no_other(name, kind):
    task = all_tasks()[name]

    assert judge(task, lambda *given: task.solution(*given).astype(kind)).status == "right"
    verdict = judge(task, lambda *given: task.solution(*given).astype(float))
    assert verdict.status == "wrong" and "expected integer numbers" in verdict.message


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("project", "(points - position) @ axes"),
        ("ray_sphere", "√(b²"),
        ("nearest_hit", "argmin(axis=0) + 1"),
        ("shrink_mask", "`factor // 2`"),
        ("irradiance", "(lamp - points) / distance"),
    ],
)
def test_the_second_hint_does_not_hold_the_line_that_solves_the_task(name, code):
    assert code not in all_tasks()[f"scenes.{name}"].hints[1]
