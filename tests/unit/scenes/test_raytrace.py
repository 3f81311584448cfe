"""Rendered scenes: the same every time, lit and seen like Blender's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from smm_tutorial.scenes import (
    PAPER_CROP,
    Mirror,
    Scene,
    SceneObject,
    Texture,
    random_scenes,
    raytrace,
    read_records,
)
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.fitting import decode_srgb
from smm_tutorial.scenes.lighting import LAMP_INTENSITIES, LAMP_POSITIONS, lamp_light, pack_lamps
from smm_tutorial.scenes.masks import scene_masks
from smm_tutorial.scenes.raytrace import encode_srgb, render
from smm_tutorial.scenes.records import LAMP_NAMES
from tests.shared import SHARED

SHARED_DATA = SHARED / "data"


@pytest.fixture(scope="module")
def scenes():
    return random_scenes(3, np.random.default_rng(1), min_objects=3, max_objects=7)


def lone(shape="sphere", material="rubber", color="gray", position=(0.0, 0.0, 0.7)) -> Scene:
    return Scene(
        objects=(SceneObject(shape, "large", material, color, 0.0, position),),
        camera=CAMERA_POSITION,
    )


@pytest.mark.parametrize("samples", [1, 3])
def test_images_and_masks_have_the_promised_form(scenes, samples):
    out = render(scenes, 24, 36, samples=samples)
    assert out.images.shape == (3, 3, 24, 36) and out.images.dtype == torch.float32
    assert bool(((out.images >= 0) & (out.images <= 1)).all())
    assert out.masks.dtype == torch.int64
    torch.testing.assert_close(
        out.masks, torch.stack([scene_masks(scene, 24, 36) for scene in scenes])
    )


def test_the_same_scenes_give_the_same_images(scenes):
    assert torch.equal(
        render(scenes, 16, 16, samples=2).images, render(scenes, 16, 16, samples=2).images
    )


#: A processor may add up a batch in another order than a single scene; metal's highlights are steep
#: enough to show it. A twentieth of one of an image file's 255 levels.
ROUNDING_ERROR = 2e-4


@pytest.mark.parametrize("samples", [1, 4])
def test_neither_batch_nor_chunk_changes_an_image(scenes, samples, monkeypatch):
    together = render(scenes, 16, 24, samples)
    alone = torch.cat([render([scene], 16, 24, samples).images for scene in scenes])
    torch.testing.assert_close(together.images, alone, atol=ROUNDING_ERROR, rtol=0)
    monkeypatch.setitem(raytrace.RAYS_PER_CHUNK, "cpu", 100)
    chunked = render(scenes, 16, 24, samples)
    torch.testing.assert_close(together.images, chunked.images, atol=ROUNDING_ERROR, rtol=0)
    assert torch.equal(together.masks, chunked.masks)


def test_the_window_is_the_crop_of_the_full_frame(scenes):
    full, cropped = render(scenes[:1], 240, 320), render(scenes[:1], 192, 192, window=PAPER_CROP)
    difference = (full.images[..., 29:221, 64:256] - cropped.images).abs().amax(1)
    assert (difference > 1e-3).float().mean() < 1e-3  # rounding may move a pixel at an edge


def test_more_samples_only_smooth_the_image(scenes):
    coarse = torch.nn.functional.avg_pool2d(render(scenes, 64, 64).images, 4)
    smooth = render(scenes, 16, 16, samples=16).images  # the same rays: 4 x 4 in each pixel
    # rough reflections alone are sampled in other places
    assert (coarse - smooth).abs().mean() < 1e-3


def test_srgb_matches_the_standards_values():
    linear = torch.tensor([-1.0, 0.0, 0.002, 0.0031308, 0.2140411, 1.0, 7.0])
    torch.testing.assert_close(
        encode_srgb(linear),
        torch.tensor([0.0, 0.0, 0.02584, 0.04045, 0.5, 1.0, 1.0]),
        atol=1e-5,
        rtol=0,
    )


def test_colours_show():
    height, width = 30, 40
    masks = scene_masks(lone(), height, width)
    for color, channel in (("red", 0), ("green", 1), ("blue", 2)):
        mean = render([lone(color=color)], height, width).images[0][:, masks == 1].mean(1)
        assert int(mean.argmax()) == channel


def test_the_camera_decides_where_things_are(scenes):
    moved = replace(scenes[0], camera=tuple(np.add(scenes[0].camera, (0.0, 0.4, 0.0))))
    assert (render([scenes[0]], 24, 32).masks != render([moved], 24, 32).masks).any()


def test_an_object_darkens_the_ground_on_the_side_away_from_the_key_lamp():
    height, width = 60, 80
    # under the floor: it lights nothing above
    below = {**LAMP_POSITIONS, "Lamp_Key": (6.44671, -2.90517, -4.0)}

    def key_light(scene):
        lit, unlit = render([scene, replace(scene, lamps=below)], height, width).images
        return (decode_srgb(lit) - decode_srgb(unlit)).mean(0)  # (H, W)

    ground = render([lone()], height, width).masks[0] == 0
    shadow = ground & (key_light(lone()) < 0.4 * key_light(replace(lone(), objects=())))
    assert shadow.sum() > 20
    # the key lamp stands on the right of the camera's view (+x, -y side), so its shadow falls left
    # of the sphere
    assert torch.arange(width).expand(height, width)[shadow].float().mean() < width / 2


def test_a_lamp_lights_the_origin_by_the_inverse_square_law():
    once = lone()
    far = {name: tuple(2 * x for x in position) for name, position in LAMP_POSITIONS.items()}
    twice = replace(once, lamps=far)
    lamps, origin = pack_lamps([once, twice]), torch.zeros(3, 2)
    for index, name in enumerate(LAMP_NAMES):
        bright, dim = lamp_light(lamps, index, torch.tensor([0, 1]), origin).irradiances.T
        torch.testing.assert_close(dim, bright / 4)
        expected = LAMP_INTENSITIES[name] / np.square(LAMP_POSITIONS[name]).sum()
        assert float(bright.max()) == pytest.approx(expected, rel=1e-5)


def test_a_scene_is_lit_by_its_own_lamps(scenes):
    here = render([replace(scenes[0], lamps=None)], 16, 16).images
    assert torch.equal(here, render([replace(scenes[0], lamps=LAMP_POSITIONS)], 16, 16).images)
    far = {name: tuple(2 * x for x in position) for name, position in LAMP_POSITIONS.items()}
    assert (here - render([replace(scenes[0], lamps=far)], 16, 16).images).mean() > 0.04


@pytest.mark.parametrize(("material", "mirrors"), [("metal", True), ("rubber", False)])
def test_metal_mirrors_its_neighbour_and_rubber_does_not(material, mirrors):
    def with_neighbour(color):
        neighbour = lone("cube", color=color, position=(1.8, -1.2, 0.7))
        return replace(lone(), objects=lone("cube", material).objects + neighbour.objects)

    red, blue = (render([with_neighbour(color)], 60, 80) for color in ("red", "blue"))
    on_cube = red.masks[0] == 1
    differs = (red.images - blue.images).abs().amax(1)[0][on_cube] > 0.05
    assert bool(differs.any()) == mirrors


def test_metal_is_seen_in_metal_by_a_second_bounce():
    red = lone("sphere", "metal", "red", position=(0.9, 1.2, 0.7))
    scene = replace(lone(), objects=lone(material="metal").objects + red.objects)
    once, twice = (render([scene], 60, 80, effects=Effects(bounces=bounces)) for bounces in (1, 2))
    differs = (once.images - twice.images).abs().amax(1)[0] > 0.02
    assert bool((once.masks[0][differs] > 0).all()) and differs.sum() > 10


def test_a_lamps_reflection_on_a_ball_is_white_and_small():
    out = render([lone(material="metal")], 120, 160, samples=4)
    glint = (out.images[0].amin(0) > 0.9) & (out.masks[0] == 1)
    assert 0 < glint.sum() < 0.05 * (out.masks[0] == 1).sum()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_device_renders_the_same(scenes, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    out = render(scenes, 24, 32, samples=4, device=device)
    assert out.images.device.type == out.masks.device.type == device
    here = render(scenes, 24, 32, samples=4)
    assert (out.images.cpu() - here.images).abs().gt(1e-3).float().mean() < 1e-3
    assert (out.masks.cpu() != here.masks).float().mean() < 1e-3


def test_the_global_generator_is_left_alone(scenes):
    before = torch.get_rng_state()
    render(scenes[:1], 8, 8, samples=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_resemble_blenders_where_nothing_was_fitted():
    folder = SHARED_DATA / "blender_320x240"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    # odd numbers: the ambient light is fitted on the even ones
    scenes = read_records(folder / "scenes.json")[1:24:4]
    pixels = [
        np.asarray(Image.open(folder / "images" / scene.filename).convert("RGB"))
        for scene in scenes
    ]
    blender = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    blender = torch.nn.functional.avg_pool2d(blender, 4)  # (6, 3, 60, 80)
    error = (render(scenes, 60, 80, samples=16).images - blender).square().mean((1, 2, 3))
    psnr = -10 * error.log10()
    print(f"mean PSNR against {len(scenes)} Blender renders at 80x60: {psnr.mean():.1f} dB")
    assert psnr.mean() > 41.5


@pytest.mark.parametrize("wrong", [[], lone(), 3, None])
def test_render_asks_for_a_list_of_scenes(wrong):
    with pytest.raises(ValueError, match=r"pass \[scene\]"):
        render(wrong, 8, 8)


@pytest.mark.parametrize("samples", [0, -1, 1.5, "4", True, None])
def test_render_asks_for_at_least_one_sample(scenes, samples):
    with pytest.raises(ValueError, match="samples must be a whole number of at least 1, got "):
        render(scenes, 8, 8, samples=samples)


def test_sizes_may_be_numpys_integers(scenes):
    sizes = np.int64(8), np.uint8(9)
    assert render(scenes, *sizes, samples=np.int32(2)).images.shape == (3, 3, 8, 9)
    assert scene_masks(scenes[0], *sizes).shape == sizes


def two(shape, material, offset):
    """A large object, and a small one whose centre is off the large one's by `offset`."""
    place = (offset[0], offset[1], 0.7 + offset[2])
    items = [(shape, "large", (0.0, 0.0, 0.7)), ("cylinder", "small", place)]
    return replace(
        lone(), objects=tuple(SceneObject(s, z, material, "red", 0.3, p) for s, z, p in items)
    )


def lit_from(place):
    return replace(lone(), lamps=LAMP_POSITIONS | {"Lamp_Key": place})


#: Whatever lies where no scene of CLEVR's has it, and can still be seen.
ODD_SCENES = {
    "straight above": replace(lone(), camera=(0.0, 0.0, 9.0)),
    "straight below": replace(lone(), camera=(0.0, 0.0, -9.0)),
    "nearly above": replace(lone(), camera=(1e-200, 0.0, 9.0)),
    "camera far away": replace(lone(), camera=(0.0, -20.0, 20.0)),
    "camera behind the wall": replace(lone(), camera=(-20.0, 9.0, 5.0)),
    "lamp on the floor": lit_from((1.0, 1.0, 0.0)),
    "lamp under the floor": lit_from((1.0, 1.0, -2.0)),
    "lamp on the object": lit_from((0.0, 0.0, 1.4)),
    "lamp in the object": lit_from((0.0, 0.0, 0.7)),
    "lamp at the camera": lit_from(CAMERA_POSITION),
    "deep under the floor": replace(lone(position=(13.5, -6.3, -54.0)), camera=(15.0, -7.0, -60.0)),
    "far away": lone(position=(-1e6, 4e5, 0.7)),
    "no objects": Scene((), camera=CAMERA_POSITION),
} | {
    f"{shape} of {material}, {offset}": two(shape, material, offset)
    for shape, material in [("cube", "metal"), ("sphere", "metal"), ("cylinder", "rubber")]
    for offset in [(0, 0, 0), (0, 0, 0.7), (0.7, 0, 0), (1e-6, 0, 0)]
}


@pytest.mark.parametrize("name", ODD_SCENES)
def test_odd_scenes_have_pixels_of_light(name):
    images = render([ODD_SCENES[name]], 24, 24, samples=2).images
    assert bool(((images >= 0) & (images <= 1)).all()) and images.std() > 0


def test_a_camera_straight_above_sees_what_one_beside_it_sees():
    scene = two("cube", "rubber", (1.0, 1.0, 0.0))
    beside = (1e-4 * CAMERA_POSITION[0], 1e-4 * CAMERA_POSITION[1], 9.0)
    images, masks = render([replace(scene, camera=c) for c in (beside, (0.0, 0.0, 9.0))], 24, 24)
    assert (images[0] - images[1]).abs().mean() < 0.01
    assert (masks[0] != masks[1]).float().mean() < 0.01


NAN, FAR = float("nan"), float("inf")
WRONG_SCENES = [
    ("camera must", {"camera": (0, 0, 0)}),
    ("camera must", {"camera": (0.0, NAN, 5.0)}),
    ("camera must", {"camera": (FAR, 0, 1)}),
    ("camera must", {"camera": (1, 2)}),
    ("camera must", {"camera": 7}),
    (r"the camera at .* lies in objects\[0\]", {"camera": (0.3, 0.3, 0.9)}),
    ("lamps.Lamp_Key must", {"lamps": LAMP_POSITIONS | {"Lamp_Key": (0, 0, 0)}}),
    ("lamps.Lamp_Back must", {"lamps": LAMP_POSITIONS | {"Lamp_Back": (NAN, 0, 0)}}),
    ("lamps.* is missing", {"lamps": {"Lamp_Key": (1, 1, 1)}}),
    ("lamps must", {"lamps": 3}),
    ("objects must", {"objects": None}),
    (r"objects\[0\] must be a SceneObject", {"objects": (None,)}),
    ("mirror.width must", {"mirror": Mirror((0, 0), 0, NAN, 1)}),
    ("mirror must be a Mirror", {"mirror": "silver"}),
    ("ground_texture.scale must", {"ground_texture": Texture("dots", ((0, 0, 0),) * 2, 0.0, 0)}),
]


@pytest.mark.parametrize(("words", "change"), WRONG_SCENES)
@pytest.mark.parametrize("draw", ["render", "masks"])
def test_what_cannot_be_seen_is_named(words, change, draw):
    scene = replace(lone(), **change)
    with pytest.raises(ValueError, match=f"CLEVR_new_000000.*{words}"):
        render([scene], 8, 8) if draw == "render" else scene_masks(scene, 8, 8)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("position", (0, 0, NAN), "3d_coords"),
        ("position", (0, 0, -FAR), "3d_coords"),
        ("position", (0, 0, 10**400), "3d_coords"),
        ("position", None, ""),
        ("rotation", NAN, "rotation"),
        ("size", "tiny", "size"),
        ("shape", "cone", "shape"),
        ("color", None, "color"),
        ("texture", Texture("dots", ((0, 0, NAN), (0, 0, 0)), 1.0, 0), "texture.colors"),
    ],
)
def test_an_object_that_cannot_be_seen_is_named(field, value, name):
    item = replace(lone().objects[0], **{field: value})
    with pytest.raises(ValueError, match=rf"objects\[1\].*{name}"):
        render([replace(lone(), objects=(*lone().objects, item))], 8, 8)


def test_light_that_is_no_number_never_leaves(scenes, monkeypatch):
    dark = raytrace.radiance
    monkeypatch.setattr(raytrace, "radiance", lambda *a, **o: (dark(*a, **o)[0] * NAN, None))
    with pytest.raises(ValueError, match="CLEVR_new_000000.* no number"):
        render(scenes, 8, 8, samples=2)
