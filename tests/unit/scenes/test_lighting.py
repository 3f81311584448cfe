"""A lamp gives a point at its own place light of a finite strength."""

import pytest
import torch

from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.lighting import LAMP_RADII, lamp_light, mean_disk_cosine, pack_lamps
from smm_tutorial.scenes.vectors import dot


@pytest.mark.parametrize("step", [0.0, 1e-30, 1e-10, 1e-5, 1e-2])
def test_points_at_a_lamps_own_place_get_finite_light(step):
    lamps = pack_lamps([Scene(())])
    for lamp, radius in enumerate(LAMP_RADII):
        points = lamps.positions[lamp] + step * lamps.facing[lamp]  # (3, 1)
        light = lamp_light(lamps, lamp, torch.tensor([0]), points)
        cos = dot(light.directions, -lamps.facing[lamp])
        received = light.irradiances * mean_disk_cosine(cos, radius / light.distances)
        assert all(part.isfinite().all() for part in (*light, received)) and (received >= 0).all()
