"""Light from the surroundings: what brightens, what darkens, and how its coefficients are found."""

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import Scene, SceneObject, random_scenes
from smm_tutorial.scenes.ambient import (
    FITTED,
    floor_irradiance,
    ground_irradiance,
    object_irradiance,
    pack_surroundings,
)
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.fitting import decode_srgb, fit_ambient
from smm_tutorial.scenes.geometry import pack_objects
from smm_tutorial.scenes.lighting import LAMP_POSITIONS, pack_lamps
from smm_tutorial.scenes.raytrace import encode_srgb, render

POINT = torch.tensor([[1.2], [0.0], [0.0]])
ZERO = torch.zeros(1, dtype=torch.int64)


def around(*objects: SceneObject, lamps=None):
    scene = Scene(objects=objects, camera=CAMERA_POSITION, lamps=lamps)
    return pack_surroundings(pack_objects([scene]), pack_lamps([scene]))


def ball(color: str = "red", material: str = "rubber", x: float = 0.0) -> SceneObject:
    return SceneObject("sphere", "large", material, color, 0.0, (x, 0.0, 0.7))


def test_a_coloured_neighbour_tints_the_floor():
    bare, red, blue = (
        ground_irradiance(around(*objects), POINT, ZERO)
        for objects in ((), (ball(),), (ball("blue"),))
    )
    assert float((red - bare)[0]) > 2 * float((red - bare)[2]) and float((red - bare)[0]) > 0.01
    assert float((blue - bare)[2]) > 2 * float((blue - bare)[0])


def test_a_neighbour_far_away_hardly_matters():
    near, far = (ground_irradiance(around(ball(x=x)), POINT, ZERO) for x in (0.0, -8.0))
    bare = ground_irradiance(around(), POINT, ZERO)
    assert (far - bare).abs().max() < 0.05 * (near - bare).abs().max()


def test_ambient_light_is_in_proportion_to_the_lamps():
    further = {
        name: tuple(1.5 * axis for axis in position) for name, position in LAMP_POSITIONS.items()
    }
    for lamps in (None, further):
        surroundings = around(lamps=lamps)
        ratio = ground_irradiance(surroundings, torch.zeros(3, 1), ZERO) / surroundings.level
        torch.testing.assert_close(ratio, torch.full((3, 1), FITTED.ground.level))


def test_the_underside_of_a_ball_gets_the_floors_light_and_the_top_hardly_any():
    surroundings = around(ball())
    up = torch.tensor([[0.0], [0.0], [1.0]])
    center = torch.tensor([[0.0], [0.0], [0.7]])
    top, bottom = (
        object_irradiance(surroundings, center + 0.7 * side, side, ZERO, ZERO).mean()
        for side in (up, -up)
    )
    assert bottom > 4 * top > 0


def test_an_object_does_not_light_itself():
    surroundings, normal = around(ball()), torch.tensor([[1.0], [0.0], [0.0]])
    point = torch.tensor([[0.7], [0.0], [0.7]])
    red, gray = (
        object_irradiance(around(ball(color)), point, normal, ZERO, ZERO)
        for color in ("red", "gray")
    )
    torch.testing.assert_close(red, gray)
    crowded = object_irradiance(around(ball(), ball("yellow", x=1.7)), point, normal, ZERO, ZERO)
    assert not torch.allclose(crowded, object_irradiance(surroundings, point, normal, ZERO, ZERO))


def test_scenes_of_one_batch_do_not_mix():
    scenes = random_scenes(3, np.random.default_rng(2))
    together = pack_surroundings(pack_objects(scenes), pack_lamps(scenes))
    points = torch.rand(3, 9, generator=torch.Generator().manual_seed(0)) * 4 - 2
    numbers = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 2])
    light = ground_irradiance(together, points, numbers)
    for number, scene in enumerate(scenes):
        alone = pack_surroundings(pack_objects([scene]), pack_lamps([scene]))
        own = points[:, numbers == number]
        expected = ground_irradiance(alone, own, torch.zeros(own.shape[1], dtype=torch.int64))
        torch.testing.assert_close(light[:, numbers == number], expected)


def test_the_lamps_light_the_floor_from_above_alone():
    lamps = pack_lamps([Scene(objects=(), lamps={**LAMP_POSITIONS, "Lamp_Back": (1.0, 1.0, -5.0)})])
    without = pack_lamps(
        [Scene(objects=(), lamps={**LAMP_POSITIONS, "Lamp_Back": (1.0, 1.0, -50.0)})]
    )
    torch.testing.assert_close(
        floor_irradiance(lamps, ZERO, POINT), floor_irradiance(without, ZERO, POINT)
    )


@pytest.mark.parametrize("value", [0.0, 0.02, 0.5, 1.0])
def test_decoding_undoes_encoding(value):
    light = torch.tensor([value])
    torch.testing.assert_close(decode_srgb(encode_srgb(light)), light)


def test_the_fit_finds_the_light_again_that_made_its_images():
    scenes = random_scenes(3, np.random.default_rng(4))
    made = render(scenes, 120, 160)
    found = fit_ambient(scenes, (255 * made.images).round().byte(), made.masks)
    assert found.ground.level == pytest.approx(FITTED.ground.level, abs=0.01)
    assert found.ground.rubber == pytest.approx(FITTED.ground.rubber, abs=0.25)
    assert found.objects.floor == pytest.approx(FITTED.objects.floor, abs=0.1)
    assert found.objects.body == pytest.approx(FITTED.objects.body, abs=0.03)
