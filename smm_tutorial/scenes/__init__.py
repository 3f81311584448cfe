"""CLEVR scenes without learning: records, random scenes, camera, masks and a ray tracer."""

from smm_tutorial.scenes.additions import Mirror, Texture
from smm_tutorial.scenes.camera import PAPER_CROP
from smm_tutorial.scenes.records import Scene, SceneObject, read_records
from smm_tutorial.scenes.sampling import random_scene, random_scenes

__all__ = [
    "PAPER_CROP",
    "Mirror",
    "Scene",
    "SceneObject",
    "Texture",
    "random_scene",
    "random_scenes",
    "read_records",
]
