"""Materials give back no more light than they get; drawn directions follow the formula."""

import math

import pytest
import torch

from smm_tutorial.scenes import materials
from smm_tutorial.scenes.materials import SurfaceAxes

COUNT = 200_000


def hemisphere(count: int = COUNT) -> torch.Tensor:
    """Even directions (3, N) over the upper hemisphere; each stands for 2 pi / N of solid angle."""
    index = torch.arange(count, dtype=torch.float64)
    height, turn = (index + 0.5) / count, index * 2.399963229728653
    flat = (1 - height.square()).sqrt()
    return torch.stack([flat * turn.cos(), flat * turn.sin(), height]).float()


def view_at(degrees: float, turn: float = 0.7) -> torch.Tensor:
    tilt = math.radians(degrees)
    return torch.tensor(
        [[math.sin(tilt) * math.cos(turn)], [math.sin(tilt) * math.sin(turn)], [math.cos(tilt)]]
    )


def flat_axes(count: int) -> SurfaceAxes:
    """The axes of a level surface away from its object's axis: around is y, along is -x or x."""
    up = torch.tensor([[0.0], [0.0], [1.0]]).expand(3, count)
    return SurfaceAxes.at(up, torch.tensor([[1.0], [0.0], [0.5]]).expand(3, count))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 60.0])
def test_metal_returns_about_all_light_and_no_more(degrees):
    light = hemisphere()
    view = view_at(degrees).expand(3, COUNT)
    density = materials.glossy_highlight(flat_axes(COUNT), view, light, torch.full((COUNT,), 0.1))
    assert 0.85 < float((density * light[2]).sum() * 2 * math.pi / COUNT) < 1.03


@pytest.mark.parametrize("degrees", [0.0, 30.0, 60.0, 80.0])
def test_rubbers_gloss_and_body_return_less_than_they_get(degrees):
    light = hemisphere()
    view = view_at(degrees).expand(3, COUNT)
    up = flat_axes(COUNT).normals
    density = materials.rubber_highlight(torch.ones(3, 1), up, view, light)  # (3, N)
    gloss = (density * light[2]).mean(0).sum() * 2 * math.pi / COUNT
    assert 0 < float(gloss) < 0.5
    assert float(gloss + materials.rubber_body(view_at(degrees)[2])) < 1.05


@pytest.mark.parametrize("degrees", [10.0, 55.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_drawn_directions_average_to_the_lobes_integral(degrees, axis):
    count = 4096
    index = torch.arange(count)
    first, second = (index + 0.5) / count, (index * 0.6180339887498949).remainder(1)
    view = view_at(degrees)
    directions, weights = materials.draw_rough_directions(
        flat_axes(count), view.expand(3, count), first, second
    )
    drawn = (weights * directions[axis]).mean()

    light, axes = hemisphere(), flat_axes(COUNT)
    views = view.expand(3, COUNT)
    wide = torch.full((COUNT,), 1e-3)
    # the smooth lobe falls between the directions, all but its very middle
    density = materials.glossy_highlight(axes, views, light, wide)
    half = torch.nn.functional.normalize(views + light, dim=0)
    density = torch.where(half[2] > 0.999, 0.0, density) / materials.ROUGH_SHARE
    integral = (density * light[2] * light[axis]).sum() * 2 * math.pi / COUNT
    drawn_half = torch.nn.functional.normalize(view + directions, dim=0)
    middle = (weights * directions[axis])[drawn_half[2] > 0.999].sum() / count
    assert float(drawn - middle) == pytest.approx(float(integral), abs=0.012)


def test_metals_rough_lobe_is_longer_along_the_axis_than_around_it():
    axes, view = flat_axes(1), torch.tensor([[0.0], [0.0], [1.0]])
    tilt = math.radians(30)
    around, along = (
        math.sin(tilt) * axis + math.cos(tilt) * axes.normals for axis in (axes.around, axes.along)
    )
    no_blur = torch.zeros(1)
    assert float(materials.glossy_highlight(axes, view, along, no_blur)) > 1.3 * float(
        materials.glossy_highlight(axes, view, around, no_blur)
    )


def test_gloss_is_the_same_both_ways():
    one, other, axes = view_at(20.0), view_at(50.0, turn=2.0), flat_axes(1)
    blur = torch.full((1,), 0.2)
    torch.testing.assert_close(
        materials.glossy_highlight(axes, one, other, blur),
        materials.glossy_highlight(axes, other, one, blur),
    )


def test_fresnel_runs_from_its_normal_value_to_all():
    values = materials.fresnel(torch.tensor([1.0, 0.5, 0.0]), 1.4)
    assert float(values[0]) == pytest.approx((0.4 / 2.4) ** 2)
    assert float(values[2]) == 1 and values[0] < values[1] < values[2]
