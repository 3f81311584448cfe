"""CLEVR scenes without learning: records, random scenes, cameras, masks and a ray tracer.

A `Scene` is read from a record or drawn by `random_scene`. `beyond_clevr` draws scenes that break
CLEVR's rules. `scene_masks` computes which object each pixel shows, `render` makes images, and
`Effects` chooses what the images simulate. `camera`, `lighting` and `materials` hold the models
behind the images.
"""

from smm_tutorial.scenes import camera, lighting, materials
from smm_tutorial.scenes.additions import Mirror, Texture
from smm_tutorial.scenes.beyond_clevr import BEYOND_CLEVR, cogent_scene, textured_scene
from smm_tutorial.scenes.camera import OFFICIAL_WINDOW, PAPER_CROP
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.masks import scene_masks
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.records import COLORS, Scene, SceneObject, read_records
from smm_tutorial.scenes.sampling import random_scene, random_scenes

__all__ = [
    "BEYOND_CLEVR",
    "COLORS",
    "OFFICIAL_WINDOW",
    "PAPER_CROP",
    "Effects",
    "Mirror",
    "Scene",
    "SceneObject",
    "Texture",
    "camera",
    "cogent_scene",
    "lighting",
    "materials",
    "random_scene",
    "random_scenes",
    "read_records",
    "render",
    "scene_masks",
    "textured_scene",
]
