"""The camera projects, shoots rays and is found again from what it saw."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import PAPER_CROP, Scene, SceneObject, random_scene, read_records
from smm_tutorial.scenes.camera import (
    CAMERA_JITTER,
    CAMERA_POSITION,
    CLEVR_FRAME,
    MASKS_FRAME,
    Frame,
    camera_axes,
    camera_position,
    camera_rays,
    pixel_coords,
    project,
    subpixel_offsets,
)
from tests.shared import SHARED

SHARED_DATA = SHARED / "data"
POSITION = np.array(CAMERA_POSITION)


def errors(scene, position, frame):
    """Largest errors of depth, in world units, and of pixels of what is seen from `position`."""
    height, width = frame
    points = np.array([item.position for item in scene.objects])
    seen = project(points, position, width / height) * [width, height, 1]
    misfit = np.abs(seen - np.array([item.pixel_coords for item in scene.objects]))
    return misfit[:, 2].max(), misfit[:, :2].max()


def test_the_origin_is_in_the_middle_at_the_cameras_distance():
    seen = project(np.zeros((1, 3)), POSITION, aspect=1.5)
    np.testing.assert_allclose(seen, [[0.5, 0.5, np.linalg.norm(POSITION)]], atol=1e-12)


def test_the_axes_are_a_rotation_with_a_level_horizon():
    axes = camera_axes(POSITION)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes[2, 0] == 0 and axes[2, 1] > 0  # right is level, up points up


def test_the_field_of_view_of_a_landscape_frame_is_49_degrees_wide():
    half_width, half_height = Frame.of_image(320, 480).half_extents
    assert 2 * np.degrees(np.arctan(half_width)) == pytest.approx(49.13, abs=0.01)
    assert half_width / half_height == pytest.approx(1.5)


def test_the_sensor_spans_the_longer_side():
    wide, tall = Frame.of_image(200, 300).half_extents, Frame.of_image(300, 200).half_extents
    assert wide == tall[::-1]


@pytest.mark.parametrize(
    ("height", "width", "window"), [(32, 48, None), (48, 32, None), (33, 40, PAPER_CROP)]
)
def test_the_ray_of_a_pixel_passes_through_what_is_projected_there(height, width, window):
    frame = Frame.of_image(height, width, window)
    directions = camera_rays(height, width, frame, subpixel_offsets(1))[:, 0].numpy()  # (H * W, 3)
    points = POSITION + 9 * directions @ camera_axes(POSITION).T
    columns, rows, _ = project(points, POSITION, frame.aspect).T
    top, left, bottom, right = frame.window
    row, column = np.divmod(np.arange(height * width), width)
    np.testing.assert_allclose((rows - top) / (bottom - top) * height, row + 0.5, atol=1e-9)
    np.testing.assert_allclose((columns - left) / (right - left) * width, column + 0.5, atol=1e-9)


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 9])
def test_subsamples_cover_the_pixel_evenly(samples):
    offsets = subpixel_offsets(samples)
    assert offsets.shape == (samples, 2)
    assert bool(((offsets > 0) & (offsets < 1)).all())
    assert len({tuple(offset) for offset in offsets.tolist()}) == samples
    assert (offsets.mean(0) - 0.5).abs().max() < 0.2


@pytest.mark.parametrize("frame", [CLEVR_FRAME, MASKS_FRAME])
@pytest.mark.parametrize("seed", range(4))
def test_the_camera_is_found_from_pixel_coords_in_either_frame(seed, frame):
    scene = random_scene(np.random.default_rng(seed))
    points = np.array([item.position for item in scene.objects])
    seen = pixel_coords(points, np.array(scene.camera), frame)
    objects = tuple(
        replace(item, pixel_coords=c) for item, c in zip(scene.objects, seen, strict=True)
    )
    found = camera_position(replace(scene, objects=objects, camera=None))
    depth_error, pixel_error = errors(replace(scene, objects=objects), found, frame)
    assert depth_error < 1e-4 and pixel_error < 0.6
    assert np.abs(found - scene.camera).max() < 0.05


def test_a_camera_that_the_scene_carries_is_used_as_it_is():
    scene = random_scene(np.random.default_rng(0))
    assert tuple(camera_position(replace(scene, camera=(7.0, -6.0, 5.0)))) == (7.0, -6.0, 5.0)


def test_one_object_suffices_for_a_camera_that_sees_it_in_its_place():
    scene = random_scene(np.random.default_rng(3), min_objects=1, max_objects=1)
    found = camera_position(replace(scene, camera=None))
    depth_error, pixel_error = errors(scene, found, CLEVR_FRAME)
    assert depth_error < 1e-3 and pixel_error < 0.6


def test_without_camera_and_pixel_coords_the_error_says_what_to_do():
    scene = random_scene(np.random.default_rng(0))
    objects = tuple(replace(item, pixel_coords=None) for item in scene.objects)
    with pytest.raises(ValueError, match="neither 'camera' nor 'pixel_coords'.*replace"):
        camera_position(replace(scene, objects=objects, camera=None))


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_cameras_of_official_records_are_found(split):
    path = SHARED_DATA / "CLEVR_v1.0" / "scenes" / f"CLEVR_{split}_scenes.json"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    scenes = read_records(path)
    assert len(scenes) == 100
    for scene in scenes:
        position = camera_position(scene)
        depth_error, pixel_error = errors(scene, position, CLEVR_FRAME)
        assert depth_error <= 1e-3 and pixel_error <= 0.6, scene.filename
        assert np.abs(position - POSITION).max() <= CAMERA_JITTER + 0.01, scene.filename


def test_the_cameras_of_blender_records_are_found():
    path = SHARED_DATA / "blender_320x240" / "scenes.json"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    for scene in read_records(path)[:30]:
        assert np.abs(camera_position(replace(scene, camera=None)) - scene.camera).max() < 0.02, (
            scene.filename
        )


def test_pixel_coords_are_written_as_blender_wrote_them():
    path = SHARED_DATA / "blender_320x240" / "scenes.json"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    for scene in read_records(path)[:30]:
        ours = pixel_coords(
            np.array([item.position for item in scene.objects]), np.array(scene.camera), MASKS_FRAME
        )
        theirs = [item.pixel_coords for item in scene.objects]
        assert [coords[:2] for coords in ours] == [coords[:2] for coords in theirs], scene.filename
        np.testing.assert_allclose(
            [coords[2] for coords in ours], [coords[2] for coords in theirs], atol=1e-4
        )


@pytest.mark.parametrize(
    "window",
    [
        *((29, 64, 221, 256), (0.5, 0, 0.5, 1), (0, 0.9, 1, 0.1), (-0.1, 0, 1, 1)),
        *((0.0, 0.0, 1.0), (0, 0, float("nan"), 1), (0, 0, 1, "1"), "0011", 1, {}),
    ],
)
def test_an_impossible_window_is_refused(window):
    with pytest.raises(ValueError, match="window .* fractions of the full frame"):
        Frame.of_image(64, 64, window)


@pytest.mark.parametrize(
    ("height", "width", "name"),
    [(0, 64, "height"), (64, -1, "width"), (64.0, 64, "height"), (64, "64", "width")]
    + [(True, 64, "height"), (64, None, "width"), (10**9, 64, "height")],
)
def test_an_impossible_size_is_refused(height, width, name):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number from 1 to"):
        Frame.of_image(height, width)


ABOVE = (0.0, 0.0, 9.0)


@pytest.mark.parametrize("position", [ABOVE, (0.0, 0.0, -9.0), (1e-200, 0.0, 1e5), (0, 0, 1e-2)])
def test_a_camera_straight_above_or_below_sees_what_one_beside_it_sees(position):
    position = np.array(position, dtype=float)
    beside = position + 1e-6 * np.array([CAMERA_POSITION[0], CAMERA_POSITION[1], 0.0])
    axes = camera_axes(position)
    np.testing.assert_allclose(axes, camera_axes(beside), atol=1e-2)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) > 0


def test_a_camera_is_recovered_from_pictures_taken_straight_above():
    points = np.array([[1.0, 2.0, 0.7], [-2.0, 1.0, 0.35], [2.0, -2.0, 0.7]])
    near = (0.3, -0.2, 9.0)
    items = [
        SceneObject("sphere", "large", "metal", "red", 0.0, tuple(point), coords)
        for point, coords in zip(points, pixel_coords(points, np.array(near)), strict=True)
    ]
    np.testing.assert_allclose(camera_position(Scene(tuple(items))), near, atol=0.05)


@pytest.mark.parametrize("position", [(0, 0, 0), (np.nan, 0, 1), (0, np.inf, 1)])
def test_a_camera_at_the_place_it_faces_is_refused(position):
    with pytest.raises(ValueError, match="the camera must lie away from the origin"):
        camera_axes(np.array(position, dtype=float))


def test_points_beside_the_camera_have_no_pixels():
    with pytest.raises(ValueError, match="points must .* lie before the camera"):
        pixel_coords(np.array([CAMERA_POSITION]), np.array(CAMERA_POSITION))


def test_a_record_whose_pixels_fit_no_camera_says_so():
    item = SceneObject("sphere", "large", "metal", "red", 0.0, CAMERA_POSITION, (1, 2, 3.0))
    with pytest.raises(ValueError, match="no camera fits the objects' pixel_coords"):
        camera_position(Scene((item,)))


def test_rays_are_unit_vectors():
    rays = camera_rays(8, 12, Frame.of_image(8, 12), subpixel_offsets(4))
    assert rays.shape == (96, 4, 3)
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(96, 4, dtype=torch.float64))
