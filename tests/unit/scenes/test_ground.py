"""The backdrop is flat under the scene, rises behind it and ends at its edges."""

import pytest
import torch

from smm_tutorial.scenes.ground import (
    AWAY,
    FRONT_EDGE,
    PROFILE,
    TOP_EDGE,
    ground_distances,
    ground_normals,
)


def place(distance: float, height: float, sideways: float = 0.0) -> torch.Tensor:
    """A world point (3, 1) by its place along the backdrop's profile, its height and its shift."""
    x = distance * AWAY[0] - sideways * AWAY[1]
    y = distance * AWAY[1] + sideways * AWAY[0]
    return torch.tensor([[x], [y], [height]])


def shoot(start: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    direction = torch.nn.functional.normalize(target - start, dim=0)
    return start + ground_distances(start, direction) * direction


@pytest.mark.parametrize("sideways", [0.0, -7.0])
@pytest.mark.parametrize(("distance", "height"), PROFILE[1:-1])
def test_rays_from_above_land_on_the_measured_profile(distance, height, sideways):
    target = place(distance, height, sideways)
    start = place(-3.0, 6.0)
    torch.testing.assert_close(shoot(start, target), target, atol=0.01, rtol=0)


def test_the_floor_is_level_and_the_wall_faces_the_scene():
    torch.testing.assert_close(
        ground_normals(place(-4.0, 0.0)), torch.tensor([[0.0], [0.0], [1.0]])
    )
    wall = ground_normals(place(17.9, 22.0))
    assert float(torch.tensor(AWAY) @ wall[:2]) < -0.9 and 0 < float(wall[2]) < 0.2


def test_normals_turn_without_steps():
    along = torch.linspace(1, 18, 2000)
    normals = ground_normals(torch.cat([place(float(distance), 0.0) for distance in along], dim=1))
    assert (normals[:, 1:] - normals[:, :-1]).norm(dim=0).max() < 0.02
    torch.testing.assert_close(normals.norm(dim=0), torch.ones(2000))


def test_rays_beyond_the_edges_meet_nothing():
    inside = place(0.0, 2.0)
    for outside in (place(FRONT_EDGE - 0.5, 0.0), place(18.5, TOP_EDGE + 5), place(0.0, 9.0)):
        assert shoot(inside, outside).isinf().any() or shoot(inside, outside).isnan().any()
    for edge in (place(FRONT_EDGE + 0.5, 0.0), place(17.5, TOP_EDGE - 5)):
        assert shoot(inside, edge).isfinite().all()


def test_a_ray_that_starts_on_the_floor_leaves_it():
    up = torch.nn.functional.normalize(torch.tensor([[0.3], [0.1], [0.9]]), dim=0)
    assert float(ground_distances(place(-2.0, 0.0), up)) > 1


def test_the_flat_backdrop_is_the_floor_alone():
    start = place(-3.0, 6.0)
    ahead = torch.nn.functional.normalize(place(14.0, 0.0) - start, dim=0)
    landing = start + ground_distances(start, ahead, "flat") * ahead
    assert float(landing[2]) == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(
        ground_normals(place(16.0, 0.0), "flat"), torch.tensor([[0.0], [0.0], [1.0]])
    )
    level = torch.nn.functional.normalize(place(3.0, 0.0), dim=0)
    assert ground_distances(start, level, "flat").isinf().all()
    assert ground_distances(start, level).isfinite().all()  # the curved one has a wall there
