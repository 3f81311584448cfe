"""Textures are functions of place, colours, scale and seed; only objects and ground show them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smm_tutorial.scenes import Scene, SceneObject, Texture, random_scene
from smm_tutorial.scenes.additions import SEED_LIMIT, TEXTURE_KINDS
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.geometry import pack_objects, unit_points
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.records import COLORS
from smm_tutorial.scenes.textures import (
    PATTERNS,
    PRIMES,
    hash_cells,
    pack_textures,
    surface_colors,
    value_noise,
)

BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))
GREY = ((204, 204, 204),) * 2  # 0.8 of 255, as the ground
HEIGHT, WIDTH = 30, 40


def points(count=4000, half=2.0, seed=0):
    return half * (2 * torch.rand(3, count, generator=torch.Generator().manual_seed(seed)) - 1)


def shares(texture: Texture, places: torch.Tensor) -> torch.Tensor:
    """Share (N,) of the second colour at places (3, N)."""
    owners = torch.zeros(places.shape[1], dtype=torch.int64)
    return surface_colors(pack_textures([texture]), owners, places, torch.zeros_like(places))[0]


def black_and_white(kind: str, scale=0.8, seed=5) -> Texture:
    return Texture(kind, BLACK_AND_WHITE, scale, seed)


def lone(shape="cube", material="rubber", color="red", **options) -> Scene:
    return Scene(
        (SceneObject(shape, "large", material, color, 0.4, (0.2, 0.1, 0.7), **options),),
        camera=CAMERA_POSITION,
    )


def test_every_kind_of_a_record_has_its_pattern():
    assert tuple(PATTERNS) == TEXTURE_KINDS and len(TEXTURE_KINDS) >= 5


@pytest.mark.parametrize("kind", TEXTURE_KINDS)
def test_a_pattern_shows_both_colours_and_depends_on_place_seed_and_scale_alone(kind):
    state = torch.get_rng_state()
    share = shares(black_and_white(kind), points())
    assert bool(((share >= 0) & (share <= 1)).all()) and share.min() < 0.1 and share.max() > 0.85
    assert 0.15 < share.mean() < 0.85
    assert torch.equal(share, shares(black_and_white(kind), points()))
    assert torch.equal(share[7:9], shares(black_and_white(kind), points()[:, 7:9]))
    assert (share - shares(black_and_white(kind, seed=6), points())).abs().mean() > 0.03
    assert (share - shares(black_and_white(kind, scale=1.3), points())).abs().mean() > 0.1
    doubled = shares(black_and_white(kind, scale=1.6), 2 * points())
    assert (share - doubled).abs().gt(1e-4).float().mean() < 1e-3
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", TEXTURE_KINDS)
def test_swapped_colours_show_the_negative(kind):
    texture = black_and_white(kind)
    negative = replace(texture, colors=BLACK_AND_WHITE[::-1])
    torch.testing.assert_close(
        shares(texture, points()) + shares(negative, points()), torch.ones(4000)
    )


@pytest.mark.parametrize("kind", TEXTURE_KINDS)
@pytest.mark.parametrize("scale", [0.7, 1.0])
def test_every_face_of_a_cube_and_the_floor_show_the_pattern(kind, scale):
    flat = points(half=0.8)
    for axis in range(3):
        for side in (-1.0, 0.0, 1.0) if axis == 2 else (-1.0, 1.0):
            face = flat.clone()
            face[axis] = side
            share = shares(black_and_white(kind, scale), face)
            assert share.max() - share.min() > 0.5, (axis, side)


@given(cell=st.tuples(*[st.integers(-(2**20), 2**20)] * 3), seed=st.integers(0, SEED_LIMIT - 1))
def test_the_hash_is_that_of_plain_integers(cell, seed):
    def mixed(word):
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            word = ((word ^ (word >> shift)) * factor) % 2**32
        return word ^ (word >> 16)

    word = mixed(seed * PRIMES[3] % 2**32)
    for coordinate, prime in zip(cell, PRIMES, strict=False):
        word = mixed((word ^ (coordinate * prime)) % 2**32)
    found = hash_cells(torch.tensor(cell)[:, None], torch.tensor([seed]))
    assert found.item() == (word >> 8) / 2**24


def test_hashes_are_spread_evenly_and_neighbours_are_unlike():
    cells = torch.cartesian_prod(*[torch.arange(-10, 10)] * 3).T
    values = hash_cells(cells, torch.zeros(8000, dtype=torch.int64))
    assert (values.histc(10, 0, 1) / 800 - 1).abs().max() < 0.15
    beside = hash_cells(cells + torch.tensor([[0], [0], [1]]), torch.zeros(8000, dtype=torch.int64))
    assert torch.corrcoef(torch.stack([values, beside]))[0, 1].abs() < 0.05


def test_noise_takes_the_hashed_values_on_its_lattice_and_has_no_jumps():
    seeds = torch.full((4000,), 3)
    corners = points(half=9.0).round()
    torch.testing.assert_close(value_noise(corners, seeds), hash_cells(corners.long(), seeds))
    step = value_noise(points() + 1e-3, seeds) - value_noise(points(), seeds)
    assert 0 < step.abs().max() < 0.01


def test_a_pattern_moves_turns_and_grows_with_its_object():
    here = lone().objects[0]
    there = replace(here, position=(-1.3, 2.0, 0.35), size="small", rotation=2.1)
    objects = pack_objects([replace(lone(), objects=(here, there))])
    local = points(half=1.0)

    def placed(item):  # by hand: turned, grown, moved
        cos, sin = np.cos(item.yaw), np.sin(item.yaw)
        turn = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        return item.radius * turn.float() @ local + torch.tensor(item.position)[:, None]

    for index, item in enumerate((here, there)):
        found = unit_points(objects, torch.full((4000,), index), placed(item))
        torch.testing.assert_close(found, local, atol=1e-5, rtol=0)


def test_ground_stays_as_it_is_when_objects_move():
    ground = black_and_white("bricks", 1.5)
    one = replace(lone(), ground_texture=ground)
    other = replace(one, objects=(replace(one.objects[0], position=(1.5, -1.0, 0.7)),))
    effects = Effects(shadows="none", ambient="none")
    one, other = (render([scene], HEIGHT, WIDTH, effects=effects) for scene in (one, other))
    bare = (one.masks == 0) & (other.masks == 0)
    torch.testing.assert_close(
        one.images.movedim(1, -1)[bare], other.images.movedim(1, -1)[bare], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("material", ["rubber", "metal"])
@pytest.mark.parametrize("kind", ["checker", "noise"])
def test_a_texture_of_the_objects_own_colour_changes_nothing(material, kind):
    own = Texture(kind, (COLORS["red"],) * 2, 1.0, 0)
    plain, dressed = (
        render([scene], HEIGHT, WIDTH, samples=4).images
        for scene in (lone(material=material), lone(material=material, texture=own))
    )
    torch.testing.assert_close(plain, dressed, atol=1e-5, rtol=0)
    blue = lone(material=material, color="blue", texture=own)
    named = render([blue], HEIGHT, WIDTH, samples=4).images
    assert torch.equal(named, dressed)  # the name of the colour shows nowhere


def test_ground_of_clevrs_grey_changes_nothing():
    scene = lone(material="metal")
    plain, dressed = (
        render([s], HEIGHT, WIDTH, samples=4).images
        for s in (scene, replace(scene, ground_texture=Texture("dots", GREY, 1.0, 0)))
    )
    torch.testing.assert_close(plain, dressed, atol=1e-4, rtol=0)


def test_the_grounds_colour_is_thrown_onto_objects():
    dark, red = (
        replace(lone(color="gray"), ground_texture=Texture("dots", (rgb, rgb), 1.0, 0))
        for rgb in ((9, 9, 9), (204, 9, 9))
    )
    out = render([lone(color="gray"), dark, red], HEIGHT, WIDTH)
    grey, dark, red = (
        image[:, mask == 1].mean(1) for image, mask in zip(out.images, out.masks, strict=True)
    )
    assert bool((grey > dark).all())
    assert red[0] == pytest.approx(float(grey[0]), abs=0.02) and red[1] < grey[1] - 0.005


@pytest.mark.parametrize("material", ["rubber", "metal"])
def test_textures_of_objects_and_ground_show(material):
    scene = lone(material=material, texture=black_and_white("stripes", 0.7))
    out = render(
        [scene], HEIGHT, WIDTH, samples=4, effects=Effects(shadows="none", reflections="none")
    )
    assert out.images[0, 0][out.masks[0] == 1].std() > 0.15
    scene = replace(lone(material=material), ground_texture=black_and_white("stripes", 2.0))
    out = render([scene], HEIGHT, WIDTH, samples=4)
    assert out.images[0, 0][out.masks[0] == 0].std() > 0.1
    assert torch.equal(out.masks, render([lone()], HEIGHT, WIDTH).masks)


def test_plain_and_textured_scenes_share_a_batch():
    dressed = lone(texture=black_and_white("wood"))
    dressed = replace(dressed, ground_texture=black_and_white("marble", 1.5))
    scenes = [
        random_scene(np.random.default_rng(2), 3, 5),
        dressed,
        lone(),
        replace(lone(), ground_texture=black_and_white("noise")),
    ]
    together = render(scenes, 24, 32, samples=4).images
    alone = torch.cat([render([scene], 24, 32, samples=4).images for scene in scenes])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_device_shows_the_same_textures(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    packed = pack_textures([black_and_white(kind) for kind in TEXTURE_KINDS] + [None], device)
    owners = torch.arange(8).repeat_interleave(500)
    plain = torch.full((3, 4000), 0.5)
    there = surface_colors(packed, owners.to(device), points().to(device), plain.to(device)).cpu()
    parts = zip(TEXTURE_KINDS, points().split(500, dim=1), strict=False)
    here = torch.cat([shares(black_and_white(kind), part) for kind, part in parts])
    assert (there[0, :3500] - here).abs().gt(1e-3).float().mean() < 1e-2
    assert torch.equal(there[:, 3500:], plain[:, 3500:])
