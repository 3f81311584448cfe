"""The renderer's version goes up whenever the same seed gives another scene or other pixels.

Cached renders and the committed packs go by it. A change that does not raise it would mix old
pixels with new ones. After raising it, run `python -m tests.unit.scenes.test_renderer_version`:
that writes what the new version draws beside this file. Then remove the file of the old version.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import PAPER_CROP, lighting, random_scene
from smm_tutorial.scenes.additions import TEXTURE_KINDS
from smm_tutorial.scenes.beyond_clevr import BEYOND_CLEVR, cogent_scene, textured_scene
from smm_tutorial.scenes.raytrace import RENDERER_VERSION, render
from smm_tutorial.scenes.records import LAMP_NAMES

KEPT = Path(__file__).with_name(f"drawn_by_renderer_{RENDERER_VERSION}.npz")
SIDE, SAMPLES = 24, 4
SCENES_DRAWN = 8  # of each kind, to see that the rules of placing are the same
#: Levels of 255: a half for the rounding of the kept pixels, the rest for the last bits, which
#: other processors and torch versions round differently. One pixel may differ more: a ray that only
#: just meets an edge here may miss it there.
TOLERANCE = 0.55
SHARE_WITHIN = 0.998  # all pixels but one
CHANGED = (
    "the renderer's pixels changed: raise RENDERER_VERSION and make the packs again "
    "(python -m smm_tutorial.datasets.make_packs)"
)


def every_pattern(generator):
    """A scene whose ground and six objects have the seven patterns."""
    scene = textured_scene(generator, 6, 6)
    items = [
        replace(item, texture=replace(item.texture, kind=kind))
        for item, kind in zip(scene.objects, TEXTURE_KINDS[1:], strict=True)
    ]
    ground = replace(scene.ground_texture, kind=TEXTURE_KINDS[0])
    return replace(scene, objects=tuple(items), ground_texture=ground)


DRAWERS = {
    "clevr": random_scene,
    **BEYOND_CLEVR,
    "cogent, condition A": partial(cogent_scene, condition="A"),
    "camouflage": partial(textured_scene, camouflage="ground"),
    "every pattern": every_pattern,
}


def draw_and_render(name):
    """What a kind of scenes looks like: image (3, H, W), floats in levels of 255; mask (H, W); and
    the number that the generator gives next, which tells how many numbers the scenes have taken.
    """
    generator = np.random.default_rng(0)
    scenes = [DRAWERS[name](generator) for _ in range(SCENES_DRAWN)]
    images, masks = render(scenes[:1], SIDE, SIDE, samples=SAMPLES, window=PAPER_CROP)
    return {"image": 255 * images[0], "mask": masks[0], "next number": generator.random()}


def find_changes(name):
    """What of `draw_and_render` is not what the renderer gave when its version was written."""
    kept, now = np.load(KEPT), draw_and_render(name)
    near = (now["image"] - torch.from_numpy(kept[f"{name}: image"])).abs() <= TOLERANCE
    same = {
        "image": near.float().mean().item() >= SHARE_WITHIN,
        "mask": torch.equal(now["mask"], torch.from_numpy(kept[f"{name}: mask"]).long()),
        "next number": now["next number"] == kept[f"{name}: next number"],
    }
    return [what for what, is_same in same.items() if not is_same]


@pytest.mark.parametrize("name", DRAWERS)
def test_a_version_of_the_renderer_always_draws_the_same(name):
    assert not find_changes(name), CHANGED


@pytest.mark.parametrize("lamp", LAMP_NAMES)
def test_a_lamp_that_is_brighter_by_one_percent_is_noticed(lamp, monkeypatch):
    brighter = 1.01 * lighting.LAMP_INTENSITIES[lamp]
    monkeypatch.setitem(lighting.LAMP_INTENSITIES, lamp, brighter)
    assert find_changes("clevr") == ["image"]


if __name__ == "__main__":
    arrays = {}
    for kind in DRAWERS:
        drawn = draw_and_render(kind)
        arrays[f"{kind}: image"] = drawn["image"].round().byte().numpy()
        arrays[f"{kind}: mask"] = drawn["mask"].byte().numpy()
        arrays[f"{kind}: next number"] = drawn["next number"]
    np.savez_compressed(KEPT, **arrays)
    print(f"written: {KEPT}")
