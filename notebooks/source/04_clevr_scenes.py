# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · CLEVR scenes
#
# [The source of this notebook](source/04_clevr_scenes.py)
#
# **What you will do.** Start from the *record* of a CLEVR scene, a few lines of text, and end with a mask of each object. On the
# way you place objects by CLEVR's rules, project them into a picture, and send rays from the camera. Then you load data sets and
# find out what is in them. In an optional second part you add light, and measure how far to trust the pictures.
#
# **What you will be able to do.** Say which data sets a paper may mean by "CLEVR", and where their masks come from. Say which
# objects the cropped pictures do not show. Make scenes, pictures and masks of your own, without Blender, the program that drew
# CLEVR. With the optional part, judge how far to trust these pictures.
#
# **What you need.** Dot products and numpy. You train no model here, and you need no other notebook. You download no data, and
# you need no GPU.
#
# **Minutes.** About 138: 90 to read, 47 for the exercises, 1 to run on a laptop.

# %% tags=["setup"]
# The same cell in every notebook: it finds the course's library, or clones it by git.
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ADDRESS = "https://github.com/smm-tutorial/smm-tutorial"
if importlib.util.find_spec("smm_tutorial") is None:
    places = [Path.cwd() / "smm-tutorial", Path.cwd(), *Path.cwd().parents]
    found = [p for p in places if (p / "smm_tutorial/widgets/slots.py").is_file()]
    if not found:
        found = places[:1]
        assert not found[0].exists(), f"delete {found[0]}: half a copy of the course"
        clone = ["git", "clone", "--quiet", "--depth=1", "--branch=v0.1.0"]
        address = os.environ.get("SMM_REPOSITORY", ADDRESS)
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            subprocess.run([*clone, address, f"{folder}/course"], check=True)
            Path(folder, "course").rename(found[0])  # whole, or not there at all
    sys.path.insert(0, str(found[0]))

from smm_tutorial.course.dependencies import install_missing

install_missing()  # leaves torch and numpy as they are

# %% [markdown]
# (You can skip the cell above. It only finds the course's library.)
#
# | symbol | meaning | in code |
# | --- | --- | --- |
# | $H$, $W$ | height and width of a picture in pixels | `height`, `width` |
# | $p$, $C$ | place of a point, place of the camera, in world units | `points` (N, 3), `position` (3,) |
# | right, up, backward | the camera's axes, unit vectors | columns of `axes` (3, 3) |
# | $r$, $u$, $b$ | coordinates along right, up and backward | `r`, `u`, `b` |
# | $\rho$, $a$ | $\lVert C\rVert$, and the unit vector from the origin to the camera | none |
# | depth | distance from the camera along its line of sight, $-b$ | third column of `project` |
# | distance, $t$ | length of a ray from the camera to a point | `distances` |
# | $f$ | focal length of the camera in pixels | `focal` |
# | $K$, $N$, $S$ | number of objects, of points or rays, of trials | sizes of arrays |
# | $E$ | light that a point of a surface receives (optional part) | `received` |
# | $I$, $d$ | a lamp's intensity, its distance from a point (optional part) | `intensity` |
# | $\theta_s$, $\theta_l$, $\theta_v$ | angles between two directions (optional part) | only their cosines |
# | $L$ | the sun's light at the scene (optional part) | `lighting.SUN_IRRADIANCE` |
# | $n$, $F_0$, $F$ | a layer's refractive index, and shares of light that it reflects; $F_1$, $F_2$ for two layers (optional part) | `index`, `straight`, `reflected_share` |

# %% [markdown]
# ## Which CLEVR?
#
# CLEVR is a set of rendered scenes with simple solids. It was made for questions about pictures. Later, object-centric learning
# used CLEVR, too. Today the name stands for several data sets:
#
# | name | what it is | masks |
# | --- | --- | --- |
# | CLEVR v1.0 | the original pictures; records of the scenes for training and validation | none |
# | CLEVR (with masks) | other scenes, rendered anew with CLEVR's generator | yes |
# | CLEVR6 | only scenes of at most six objects, from CLEVR v1.0 or from CLEVR (with masks) | as in the source |
# | CLEVR10 | all scenes of CLEVR v1.0 or of CLEVR (with masks): three to ten objects | as in the source |
# | `clevr6`, in this course | new scenes by CLEVR's rules, drawn by this library's ray tracer | yes |
#
# In many papers, "CLEVR" means CLEVR (with masks). Our own data set `clevr6` comes with this course, in a few small files. We
# call these files the *pack*. So you need not download anything:

# %%
import json
from dataclasses import replace

import numpy as np
import torch

from smm_tutorial import datasets, figures
from smm_tutorial.exercises import exercise, hint, solution
from smm_tutorial.figures import label_map, show, to_picture
from smm_tutorial.profiles import current_profile
from smm_tutorial.scenes import PAPER_CROP, Scene, random_scene, render, scene_masks

test = datasets.load("clevr6", split="test")
print(test)

# %% [markdown]
# ## A scene is a record
#
# Everything in a picture follows from a few lines of JSON, the scene's *record*. The next cell prints one object of a test scene.
# The last line of the output shows what else the record holds:

# %%
record = test.records[34]
print(json.dumps(record["objects"][2], indent=1))
some_fields = {key: record[key] for key in ("image_filename", "camera")}
print("the scene:", some_fields, "and", sorted(set(record) - {"objects"}))

# %% [markdown]
# Shape, size, material and colour are words. There are two materials: *rubber* is nearly matt, and *metal* shines. `3d_coords`
# is the centre of the object in world units; the floor is at height 0. `pixel_coords` tells where the camera saw the centre:
# column, row, depth.
#
# `camera` and `lamps` are our additions. CLEVR moves camera and lamps a little in every scene, and its records do not state
# their places.
#
# In the code below, `samples` is the number of rays per pixel.

# %%
scene = Scene.from_record(record)
assert scene.to_record() == record  # nothing is lost on the way
whole = render([scene], 120, 160, samples=4)
figure = figures.scene_figure(scene, whole.images[0], whole.masks[0])
alt = (
    "A scene of five objects three times: the rendered picture, with a number on each "
    "object; its mask, one colour per object on grey; and from above, as discs in a "
    "turned square, with the camera below."
)
show(figure, alt=alt)

# %% [markdown]
# A number and its colour mean the same object in all panels. The mask shows only the colours. (The colour of a label is not
# the object's own colour.) The grey square holds the centres of all objects. Each disc lies in a dotted circle. The radius of
# the circle is 0.25 world units larger than the radius of the disc. No other disc may enter this circle, but two dotted
# circles may cross. (This is the *gap* of the next section.)
#
# The field `rotation` is a trap. CLEVR's generator drew a number of degrees, and then used this number as *radians*. So the
# library uses the number as radians, too. (The figure below shows our own picture. The section "Masks from a record alone"
# compares our masks with Blender's.)
#
# **Predict first.** Object 3 is a cube. The next figure shows a part of the picture, and draws the outline of the cube's
# computed mask over it. Where will the outline lie if you read the number as degrees?


# %%
def read_as_degrees(item):
    """The object, turned as by a reader who takes its rotation for degrees."""
    return replace(item, rotation=np.radians(item.rotation))


as_degrees = replace(scene, objects=tuple(map(read_as_degrees, scene.objects)))
picture = to_picture(whole.images[0])
readings = {"rotation in radians": scene, "rotation in degrees": as_degrees}
figure = figures.pictures_figure(
    [(name, picture) for name in readings], columns=2, width=4.2
)
for axis, reading in zip(figure.axes, readings.values(), strict=True):
    cube = scene_masks(reading, 120, 160) == 3
    axis.contour(cube, levels=[0.5], colors="white")
    axis.set(xlim=(60, 130), ylim=(95, 45))  # a part of the picture
alt = (
    "The cube twice, with the outline of its computed mask. In radians, the outline "
    "lies on the cube's edges. In degrees, the outline is turned and lies off them."
)
show(figure, alt=alt)

# %% [markdown]
# The outline turns to another angle, and no longer lies on the edges of the cube. The other objects of this scene are round, so
# their outlines do not turn.
#
# ## CLEVR's rules
#
# The centres are uniform in the square from -3 to 3, along x and along y. A large object has the radius (or half edge) 0.7, a
# small object 0.35. Between two objects there must be
#
# - a **gap** of at least 0.25 between their discs, seen from above. (The disc of an object has the radius above. The corners of
#   a cube stick out of its disc. So two cubes may come closer than 0.25.)
# - a **margin** of at least 0.4 between their centres, along left-right *and* along front-behind. So "left of" is always clear.


# %%
# Directions on the floor, as CLEVR's camera sees them from its usual place.
RIGHT = np.array(record["directions"]["right"][:2])
BEHIND = np.array(record["directions"]["behind"][:2])
print("right:", RIGHT.round(3), "behind:", BEHIND.round(3))


def keep_distance(places, radii):
    """Places (S, K, 2), radii (S, K) -> (S,): do all pairs keep gap and margin?"""
    differences = places[:, :, None] - places[:, None]  # (S, K, K, 2)
    gaps = np.linalg.norm(differences, axis=3) - radii[:, :, None] - radii[:, None]
    margins = np.minimum(abs(differences @ RIGHT), abs(differences @ BEHIND))
    pair = ~np.eye(places.shape[1], dtype=bool)
    return ((gaps >= 0.25) & (margins >= 0.4))[:, pair].all(axis=1)


# %% [markdown]
# The two printed directions belong to the usual place of the camera. CLEVR uses them in every scene, although it moves the camera
# a little.
#
# **Predict first.** Place three objects at random on the floor. How often do they obey these rules? And six objects? And ten?

# %%
generator = np.random.default_rng(0)
trials = 20_000
for count in (3, 6, 10):
    places = generator.uniform(-3, 3, (trials, count, 2))
    radii = generator.choice([0.35, 0.7], (trials, count))
    obeying = keep_distance(places, radii).mean()
    print(f"{count:2} objects: {obeying:7.3%} of {trials:,} trials obey")

# %% [markdown]
# Three objects obey in about a third of the trials. Six objects obey in fewer than one trial of a hundred, and ten objects in
# none. So CLEVR's generator places one object after another. It tries up to 50 places for each object. If all 50 places fail,
# it deletes the objects and begins the scene again. At the end it rejects a scene in which an object is hardly visible. Because
# of these rules, the places are *not* independent: objects keep apart from each other.
#
# `random_scene` follows all these rules. It takes a random generator, which a seed makes repeatable. The next cell checks two
# of them: the gap and the margin.


# %%
def draw_scene(seed, min_objects, max_objects):
    """A random scene by CLEVR's rules."""
    return random_scene(np.random.default_rng(seed), min_objects, max_objects)


mine = [draw_scene(seed, 5, 10) for seed in range(3)]
assert draw_scene(0, 5, 10) == mine[0]  # the seed says everything
for drawn in mine:
    places = np.array([[item.position[:2] for item in drawn.objects]])
    radii = np.array([[item.radius for item in drawn.objects]])
    assert keep_distance(places, radii).all()

# %% [markdown]
# They do. Here they are. (An object may hide a part of another object.)

# %%
images = render(mine, 120, 160, samples=4).images
pictures = [
    (f"{len(drawn.objects)} objects", to_picture(image))
    for drawn, image in zip(mine, images, strict=True)
]
figure = figures.pictures_figure(pictures, columns=3, width=2.9)
alt = (
    "Three new random scenes of solids on a grey floor, each with its number of "
    "objects above it."
)
show(figure, alt=alt)

# %% [markdown]
# CLEVR draws the two sizes with equal chances.
#
# **Predict first.** Are half of the objects small in crowded scenes, too? (The *standard error* tells how far a measured share
# typically lies from the true share.)

# %%
for bounds in ((3, 4), (9, 10)):
    drawn = [draw_scene(seed, *bounds) for seed in range(100)]
    small = np.array([item.size == "small" for one in drawn for item in one.objects])
    share = small.mean()
    error = np.sqrt(share * (1 - share) / len(small))
    print(
        f"{len(small):4} objects in 100 scenes: "
        f"{share:.0%} ± {error:.0%} small ones (standard error)"
    )

# %% [markdown]
# In scenes of three or four objects, about half of the objects are small. In crowded scenes more than half are small, by more
# than two standard errors. A large object needs more room. So scenes with many large objects are deleted more often. (The
# standard error treats all objects as independent. Objects of one scene are not quite independent.)
#
# ## The camera
#
# The camera is a pinhole camera. Its focal length is 35 mm, and its sensor is 32 mm wide. It looks at the world's origin and
# keeps the horizon level. So its three axes follow from its place alone:
#
# - *backward*: from the origin to the camera;
# - *right*: level, at right angles to backward;
# - *up*: at right angles to both. (This is the camera's own up, not the world's.)


# %%
def camera_axes(position):
    """The camera's place (3,) -> (3, 3), columns right, up, backward."""
    backward = position / np.linalg.norm(position)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(backward, right), backward], axis=1)


position = np.array(scene.camera)
axes = camera_axes(position)
print(axes.round(3))

# %% [markdown]
# In these axes, the projection is simple: it divides by the depth. What is twice as far away appears half as large.
#
# ### Your turn: from the world to a pixel
#
# Let a point have the coordinates $(r, u, b)$ along right, up and backward, measured from the camera. The camera looks along
# minus backward. So the *depth* of the point is $-b$. The column and the row of its pixel are
#
# $$\text{column} = \frac{W}{2} + f \cdot \frac{r}{\text{depth}}, \qquad \text{row} = \frac{H}{2} - f \cdot \frac{u}{\text{depth}} .$$
#
# The focal length is $f = W \cdot 35/32$ pixels. The row has a minus, because rows grow downwards.
#
# You can check your function at one point. The camera looks at the world's origin. So the origin must fall on the middle of the
# picture, $(W/2, H/2)$.


# %%
@exercise("scenes.project")
def project(points, position, axes, height, width):
    """World points (N, 3) -> (N, 3): column, row and depth.

    Column and row are in pixels from the top left corner.
    """
    ...


# %% [markdown]
# **Predict first.** Project the centres of the objects into a picture of 320 x 480 pixels, the size of CLEVR v1.0's pictures.
# Will you find exactly the record's `pixel_coords`?

# %%
from smm_tutorial.scenes import camera

points = np.array([item.position for item in scene.objects])
recorded = [item.pixel_coords for item in scene.objects]
by_hand = project(points, position, axes, 320, 480)
for ours, theirs in zip(by_hand, recorded, strict=True):
    print("by hand {:6.2f} {:6.2f} {:.6f}   record {} {} {}".format(*ours, *theirs))

shares = camera.project(points, position, aspect=480 / 320)  # of the frame's sides
library = shares * [480, 320, 1]
torch.testing.assert_close(torch.tensor(by_hand), torch.tensor(library))

# %% [markdown]
# Nearly. The depth agrees to one unit of the record's last digit. Column and row agree to half a pixel, because the record rounds
# them to whole pixels.
#
# This is good news. CLEVR never states where the camera stood, but the depths tell it. Take an object at $p$, seen from $C$. The
# vector from the camera to the object is $p - C$. The camera looks at the origin, so it looks along $-C/\lVert C\rVert$. The
# depth is the part of $p - C$ along this direction:
#
# $$\text{depth} = -\frac{(p - C)\cdot C}{\lVert C\rVert} = \lVert C\rVert - \frac{p\cdot C}{\lVert C\rVert} .$$
#
# The place of the camera has three unknowns. The depth of each object gives one precise equation. Its column and row give two
# more equations, but they are rounded to whole pixels.
#
# **Predict first.** How closely can you find the camera from one object? And from all five objects?

# %%
for count in (1, 2, 3, 5):
    seen = replace(scene, camera=None, objects=scene.objects[:count])
    error = np.linalg.norm(camera.camera_position(seen) - position)
    print(
        f"from {count} of the objects: the camera is found to {error:.4f} world units"
    )
assert error < 1e-3

# %% [markdown]
# In this scene, the library finds the camera from one object to about a tenth of a world unit. The library makes a
# least-squares fit to all columns, rows and depths. One object fixes the camera's place only roughly, because its column and
# row are rounded. For some objects, the place is hardly fixed at all. So the fit also prefers places near the usual place of
# CLEVR's camera. From three objects, the library finds the camera far better: three depths give three precise equations for
# three unknowns.
#
# Three equations for three unknowns can still have two solutions. This is so here: the second camera would stand below the
# floor. To see this, write $\rho = \lVert C\rVert$ and $a = C/\lVert C\rVert$. Then the formula above says
#
# $$\text{depth} = \rho - p\cdot a .$$
#
# This equation is linear in $\rho$ and $a$. Now we count four unknowns: $\rho$ and the three numbers of $a$. Three objects
# give three such equations. In general, their solutions form a line. The condition $\lVert a\rVert = 1$ is quadratic, and in
# general two points of the line fulfil it. The columns and rows tell which of the two places is right, although they are
# rounded.
#
# So masks of the *real* CLEVR can be computed. (This notebook shows real pictures only after you download some.)
#
# The lamps leave no such trace in a record. So we can recover the geometry of a real picture almost exactly, but not its light.

# %% [markdown]
# ## Rays: the way back
#
# A ray tracer asks the opposite question: what does *this* pixel see? We invert the projection, for points of depth 1. For a
# pixel whose centre is at (column, row), the ray has this direction in the camera's axes:
#
# $$r = \frac{\text{column} - W/2}{f}, \qquad u = \frac{H/2 - \text{row}}{f}, \qquad b = -1 .$$

# %%
HEIGHT, WIDTH = 120, 160
columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)  # (H, W)
focal = WIDTH * 35 / 32
r = (columns - WIDTH / 2) / focal
u = (HEIGHT / 2 - rows) / focal
b = -np.ones_like(rows)
local = np.stack([r, u, b], axis=2)  # (H, W, 3), along the camera's axes
directions = local @ axes.T  # (H, W, 3), in the world
directions /= np.linalg.norm(directions, axis=2, keepdims=True)

# %% [markdown]
# The library sends the same rays. Next we project a point of a ray. It should fall on the centre of the pixel from which the ray
# came. (The centre of row 30 is at 30.5.)

# %%
frame = camera.Frame.of_image(HEIGHT, WIDTH)
centres = camera.subpixel_offsets(1)
library = camera.camera_rays(HEIGHT, WIDTH, frame, centres).squeeze(1)
library = library @ torch.tensor(axes).T  # in the world, too
torch.testing.assert_close(torch.tensor(directions).flatten(0, 1), library)

point = position + 9 * directions[30, 100]
there_and_back = project(point[None], position, axes, HEIGHT, WIDTH)[0]
print(
    "pixel (row 30, column 100) sends a ray, which projects to column, row, depth:",
    there_and_back.round(6),
)

# %% [markdown]
# The point falls on the centre of its pixel.
#
# ### Your turn: where a ray meets a sphere
#
# A ray begins at its origin. After the distance $t$ along its unit direction, the ray reaches the point
# $\text{origin} + t \cdot \text{direction}$. This point lies on a sphere if
#
# $$\lVert \text{origin} + t \cdot \text{direction} - \text{centre}\rVert^2 = \text{radius}^2 .$$
#
# This is an equation for $t$. For cubes and cylinders, such equations need longer code. So we first replace every object of
# the scene by a ball.


# %%
@exercise("scenes.ray_sphere")
def ray_sphere(origin, directions, center, radius):
    """Rays from origin (3,) along unit directions (N, 3) -> (N,) distances.

    The distance to where a ray meets the sphere, np.inf for a miss.
    """
    ...


# %%
as_balls = tuple(replace(item, shape="sphere") for item in scene.objects)
balls = replace(scene, objects=as_balls)
rays = directions.reshape(-1, 3)  # (H * W, 3)
distances = [
    ray_sphere(position, rays, np.array(ball.position), ball.radius)
    for ball in balls.objects
]
distances = np.reshape(distances, (-1, HEIGHT, WIDTH))  # (K, H, W)
print(
    f"{np.isfinite(distances).mean():.1%} of all (ray, object) pairs are hits; "
    "for the other pairs we worked in vain"
)

# %% [markdown]
# ### Your turn: a mask
#
# Each pixel belongs to the object that its ray meets first. A mask needs nothing else: no light, no material, no picture.


# %%
@exercise("scenes.nearest_hit")
def nearest_hit(distances):
    """Distances (K, H, W), np.inf for a miss -> integer mask (H, W).

    0 = ground, k = the k-th object.
    """
    ...


# %%
ball_mask = nearest_hit(distances).astype(np.int64)
library = scene_masks(balls, HEIGHT, WIDTH)
different = (torch.tensor(ball_mask) != library).sum().item()
print(f"{different} of {ball_mask.size:,} pixels differ from the library's mask")
# The library counts in float32: a ray that grazes a ball may fall on either side.
assert different <= 5

# %% [markdown]
# ## Masks from a record alone
#
# The library does the same for cubes and cylinders. The next cell computes masks for four pictures of the pack, from their
# records alone. The pictures of the pack show only a part of what the camera sees. `PAPER_CROP` is this part. The section "The
# paper's crop" below explains it. In the code, such a part of the frame is a `window`. `current_profile().shown_scenes` is the
# number of scenes that a cell counts. The number depends on the *profile*, which the course chooses for your machine: 64 on a
# laptop, 320 on a machine with a GPU.


# %%
def compute_mask(record):
    """The mask (64, 64) of a record, through the window of the pack's pictures."""
    return scene_masks(Scene.from_record(record), 64, 64, window=PAPER_CROP)


pictures = []
for index in (34, 17, 29, 55):
    labels = compute_mask(test.records[index])
    picture = to_picture(test.images[index] / 255)
    gray = picture.mean(axis=2, keepdims=True)
    tinted = (0.6 * gray + 0.6 * label_map(labels)).clip(0, 1)
    tinted = np.where(labels[:, :, None] > 0, tinted, picture)
    pictures += [(f"scene {index}", picture), (f"scene {index}, masks", tinted)]
figure = figures.pictures_figure(pictures, columns=4, width=1.8)
alt = (
    "Four pictures of the pack, each beside itself with every object tinted: the "
    "tints end at the outlines."
)
show(figure, alt=alt)

# %%
from smm_tutorial import fidelity, paths, results

few = range(current_profile().shown_scenes)
computed = torch.stack([compute_mask(test.records[index]) for index in few])
different = computed != test.masks[: len(few)]
print(
    f"{different.sum()} of {different.numel():,} pixels of {len(few)} scenes "
    "differ from the pack's masks"
)
assert different.float().mean() < 1e-3

judged = results.read_record(fidelity.RECORD)
edges = ("all effects", "sharp edges")
overlaps = {name: judged["scores"][name]["mask_overlap"] for name in edges}
print("IoU with masks by Blender, from a results file:", overlaps)

# %% [markdown]
# The computed masks are the masks of the pack. (On another processor, a few pixels at outlines may differ, because of rounding.)
#
# The last line of the output compares our masks with masks that Blender made of the same scenes. (A *results file* holds
# numbers that the authors measured once.) The measure is *intersection over union* (IoU). Count the pixels that lie in both
# masks. Divide by the number of pixels that lie in at least one of the masks. Equal masks have an IoU of 1. The two printed
# numbers are means over all objects. CLEVR's cubes and cylinders have rounded edges. With rounded edges, our masks agree with
# Blender's nearly everywhere. With sharp edges they agree less, because sharp cubes and cylinders are larger at their edges.
#
# To see masks over *real* pictures, you must first download real pictures (see below). If you have downloaded some, the next cell
# shows them:


# %%
def load_real_pictures(count):
    """Official pictures with masks from their records; None where none was fetched."""
    options = {"crop": "paper", "masks": True, "limit": count}
    try:
        return datasets.load("clevr", split="val", size=128, **options)
    except datasets.DatasetError:
        return None


if real := load_real_pictures(4):
    named = zip(real.filenames, real.images, strict=True)
    pictures = [(name, to_picture(image / 255)) for name, image in named]
    pictures += [("its masks", label_map(labels.long())) for labels in real.masks]
    figure = figures.pictures_figure(pictures, columns=len(real))
    alt = "Pictures of CLEVR v1.0 in the paper's crop, and below each the masks "
    show(figure, alt=alt + "computed from its record.")
else:
    command = "smm-tutorial data download clevr --split val --count 4"
    print(f"no CLEVR v1.0 here yet: `{command}` fetches four pictures")

# %% [markdown]
# ## What the pack holds
#
# The *provenance* of a data set tells what the data are, and which command made them. It also holds the checksum of each file. An
# equal checksum shows that a file is still the same.

# %%
import hashlib

folder = paths.packs_dir() / "clevr6"
provenance = json.loads((folder / "provenance.json").read_text())
print(f"{provenance['description']}; {provenance['licence']}; {provenance['command']}")
for split, entry in provenance["files"].items():
    digest = hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
    assert digest == entry["sha256"]
    print(
        f"{split:5} {entry['count']:5,} scenes, {entry['bytes'] / 1e6:.1f} MB, "
        f"sha256 {digest[:12]}... as stated"
    )

# %%
some = [Scene.from_record(record) for record in test.records[:4]]
ours = render(some, 64, 64, samples=4, window=PAPER_CROP).images
levels = 255 * (ours - test.batch(slice(0, 4)).images).abs()
print(
    f"rendered again from their records: {levels.mean():.2f} of 255 levels off "
    f"in the mean, {levels.max():.2f} at most"
)
assert levels.mean() < 0.5  # rounding to whole levels costs up to half a level

# %% [markdown]
# How many scenes have how many objects?

# %%
for split in provenance["files"]:
    records = datasets.load("clevr6", split=split).records
    counts = np.bincount([len(record["objects"]) for record in records])
    print(f"{split:5} scenes of 3, 4, 5, 6 objects:", counts[3:])

# %% [markdown]
# ### How large is an object?
#
# **Predict first.** How many pixels does a typical object have in a picture of 64 x 64? [Notebook 05](05_object_discovery.ipynb)
# trains live on a laptop, with pictures of 32 x 32. What share of the objects has fewer than 16 pixels there?

# %%
from smm_tutorial.scenes.visibility import count_object_pixels, measure_crop

small = datasets.load("clevr6", split="test", size=32)
sizes = {
    "64 x 64": count_object_pixels(test.masks, test.records),
    "32 x 32": count_object_pixels(small.masks, small.records),
}
figure = figures.sizes_figure(sizes)
alt = (
    "Shares of objects by pixels: at 64 x 64 most have 32 to 511, at 32 x 32 most 8 "
    "to 127; a few have none."
)
show(figure, alt=alt)
for name, pixels in sizes.items():
    fewer, none = (pixels < 16).mean(), (pixels == 0).mean()
    print(
        f"{name}: median {np.median(pixels):.0f} pixels; "
        f"below 16: {fewer:.0%}; none at all: {none:.1%}"
    )

# %% [markdown]
# At 64 x 64, the median object has about a hundred pixels. At 32 x 32, a third of the objects have fewer than 16 pixels. Many
# networks halve both sides of the picture. After that, such an object has the area of fewer than four pixels. Remember this
# when a model misses small objects: a part of the reason is the data.
#
# And a few objects have *no* pixel at all, although CLEVR's generator rejects scenes with hidden objects. Where are these
# objects? The section "The paper's crop" answers this question.
#
# First there is another question: how do you make a mask smaller? It is easy to do it wrong.
#
# ### Your turn: make a mask smaller
#
# Cut the mask into blocks of `factor` x `factor` pixels. *Nearest neighbour* takes the label of one pixel from each block. The
# library takes the pixel at row and column `factor // 2` of the block.


# %%
@exercise("scenes.shrink_mask")
def shrink_mask(mask, factor):
    """Integer mask (H, W) -> (H / factor, W / factor), by nearest neighbour."""
    ...


# %%
mask = test.masks[34]
halved = shrink_mask(mask.numpy(), 2)
np.testing.assert_array_equal(halved, small.masks[34])  # as the library does
nearest = shrink_mask(mask.numpy(), 4)
means = torch.nn.functional.avg_pool2d(mask[None].float(), 4)[0].round()

blocks = mask.reshape(16, 4, 16, 4).transpose(1, 2).flatten(2)  # (16, 16, 16 pixels)
mixed = (blocks != blocks[:, :, :1]).any(dim=2)
false = (blocks != means[:, :, None]).all(dim=2)  # (16, 16)
print(
    f"{mixed.sum()} of {mixed.numel()} blocks have more than one label; "
    f"the mean gives {false.sum()} of them a label that none of their pixels has"
)

# %% [markdown]
# A cross marks a block whose new label is false: no pixel of the block has this label.

# %%
panels = {
    "64 x 64": label_map(mask),
    "nearest, 16 x 16": label_map(torch.tensor(nearest)),
    "mean of labels, 16 x 16": label_map(means.long()),
}
figure = figures.pictures_figure(panels.items(), columns=3, width=2.9)
large, _, averaged = figure.axes
for label in mask.unique()[1:]:
    row, column = (mask == label).nonzero().float().mean(dim=0)
    large.text(column, row, str(label.item()), ha="center", va="center")
rows, columns = false.nonzero().T
averaged.plot(columns, rows, "kx")
alt = (
    "One mask three times: whole, with numbers on the objects; small by nearest "
    "neighbour; small by means, where many blocks at the rims of objects have a cross, "
    "because they have another object's colour."
)
show(figure, alt=alt)

# %% [markdown]
# The numbers in the left panel are the labels. Take a block at a rim, half ground (label 0) and half object 4 (yellow). The
# mean of its labels is 2. But object 2 (light blue) is somewhere else. The blocks at the rim of object 1 have no cross on the
# side of the ground. The mean of zeros and ones lies between 0 and 1, so it is rounded to 0 or to 1. This is luck: object 1
# has the number next to the ground's 0. Nearest neighbour never makes a false label.
#
# ## The paper's crop
#
# The pictures of CLEVR (with masks) have 240 x 320 pixels. They show all that the camera sees, which we call the *whole frame*.
# Slot Attention's experiments keep only rows 29 to 221 and columns 64 to 256 of these pictures. Many later papers do the same,
# and so does the pack. The pictures of CLEVR v1.0 show another part of the whole frame: the full width, and less height.
#
# **Predict first.** The crop keeps less than half of the whole frame. What share of the objects does it cut? What share does it
# lose?

# %%
from smm_tutorial.scenes import OFFICIAL_WINDOW

wide = Scene.from_record(test.records[17])
windows = {
    "paper's crop": (PAPER_CROP, "-"),
    "CLEVR v1.0's images": (OFFICIAL_WINDOW, ":"),
}
figure = figures.crop_figure(wide, windows)
alt = (
    "The whole frame with the crop drawn in; the crop, in which a large cube is cut "
    "by the right edge; and its mask."
)
show(figure, alt=alt)

# %%
records = test.records[: len(few)]
count = sum(len(record["objects"]) for record in records)
cropped = measure_crop(map(Scene.from_record, records))
assert len(cropped) == count  # every object shows in the whole frame
kept = np.array([one.inside / one.whole for one in cropped])
uncut, gone = (kept == 1).mean(), (kept == 0).mean()
print(f"{count} objects of {len(few)} test scenes, all of them in the whole frame")
print(f"in the crop: {uncut:.0%} whole, {1 - uncut - gone:.0%} cut, {gone:.1%} gone")
hidden = sizes["64 x 64"][:count] == 0
print(
    f"{hidden.sum()} of these objects have no pixel at 64 x 64; "
    f"{(kept[hidden] == 0).sum()} of these {hidden.sum()} lie outside the crop"
)
top, left, bottom, right = PAPER_CROP
print(f"the crop keeps {(bottom - top) * (right - left):.0%} of the frame's area")

# %% [markdown]
# In the saved output, the crop cuts about one object in five, and it loses a few in a hundred. There, every
# object without a pixel lies outside the crop, but inside the whole frame. There can also be a second kind of object without a
# pixel. A piece of such an object lies inside the crop, but the piece is too small for a pixel. The share "gone" may differ
# from the share "none at all", for two reasons. First, the cell above counts 64 scenes in the saved output. The cell under
# "How large is an object?" counts all 320 scenes. Second, the cell above counts the second kind as cut, not as gone.
#
# Three consequences:
#
# - The limit of six objects is for the *scene*, not for the picture. The picture may show fewer objects. In
#   [notebook 07](07_set_prediction.ipynb) a model must list all objects of a record. So notebook 07 does not use the crop. Its
#   pictures show the same part of the frame as those of CLEVR v1.0.
# - A cut object is smaller, and one of its edges is the edge of the crop. Expect mistakes there.
# - Two papers with different crops use different data, even with the same pictures.
#
# `datasets.load(..., crop="paper")` works for CLEVR v1.0 and for CLEVR (with masks). It cuts the same part of the whole frame
# out of both. (With 480 columns, the whole frame has 360 rows. The pictures of CLEVR v1.0 lack the first 20 and the last 20 of
# these rows. The library takes this into account.) `crop="smm"` cuts out the middle square, as the code of the Slot Mixture
# Module's authors does.
#
# ## The real data sets
#
# The library knows the addresses of other people's data sets. It fetches only the *first* images of each data set.

# %%
from IPython.display import Markdown

rows = [["name", "whole", "masks", "licence", "cite"]]
for name, source in datasets.SOURCES.items():
    title = f"[{source.title}]({source.homepage}) `{name}`"
    masks = "no; computed from the records" if name == "clevr" else "yes"
    rows.append([title, source.whole, masks, source.licence, source.citation])
Markdown(results.markdown_table(rows))

# %% [markdown]
# No cell of this notebook downloads data. When you want to download data, write in a terminal:
#
# ```
# smm-tutorial data list
# smm-tutorial data download clevr --split val --count 200
# smm-tutorial data preview clevr --split val
# smm-tutorial data verify
# ```
#
# or in Python, with masks computed as above:
#
# ```python
# datasets.fetch("clevr", split="val", count=200)
# real = datasets.load("clevr", split="val", size=64, crop="paper", masks=True, max_objects=6)
# ```
#
# CLEVR v1.0 is one zip file of 18 GB. You need not download all of it: the library asks the server only for the parts that you
# want. The library prints licence and citation when you first use a data set. You get a `SceneImages`, as from the pack:

# %%
print("a download of clevr brings", datasets.SOURCES["clevr"].fetches)
print(test, "|", "licence", test.licence)
images, masks = test.batch([0, 1, 2])
print("images", tuple(images.shape), images.dtype)
print("masks", tuple(masks.shape), masks.dtype)
print(f"one of {len(test.filenames)} file names: {test.filenames[0]}")
print("one record:", sorted(test.records[0]))

# %% [markdown]
# The library refuses an option that does not exist. (Its message lists the options of this data set. Every data set also takes
# `split` and `size`.)

# %%
try:
    datasets.load("clevr6", split="train", max_object=3)
except ValueError as error:
    print("a misspelt option:", error)

# %% [markdown]
# ## Scenes that CLEVR never had
#
# What does a model do *out of distribution*, with scenes of a kind that it never saw in training? With a ray tracer we can make
# such scenes. There are five kinds:
#
# - **cogent**: as in CLEVR's CoGenT (compositional generalisation test). In condition A, cubes have four colours and cylinders
#   have the other four. In condition B, cubes and cylinders exchange their colours. A model that was trained on A knows every
#   shape and every colour, but not these pairs. Spheres may have all eight colours in both conditions.
# - **crowded**: 11 to 16 objects, closer together.
# - **stacks**: towers. In CLEVR nothing stands on anything. A tower may hide objects behind it, so you may count fewer objects
#   than the title says.
# - **mirror**: a large mirror with a dark frame stands behind the objects. In the masks, reflections in the mirror count as
#   background.
# - **textured**: patterns on objects and ground. (This is ClevrTex's idea. Our patterns are computed.) With *camouflage*, all
#   objects have the ground's pattern.

# %%
from smm_tutorial.scenes import BEYOND_CLEVR, cogent_scene, textured_scene

pictures = []
for name, draw in BEYOND_CLEVR.items():
    strange = [draw(np.random.default_rng(seed)) for seed in range(4)]
    images = render(strange, 90, 120, samples=4).images
    kind = "cogent, condition B" if name == "cogent" else name
    for drawn, image in zip(strange, images, strict=True):
        pictures.append((f"{kind}: {len(drawn.objects)} objects", to_picture(image)))
figure = figures.pictures_figure(pictures, columns=4)
alt = (
    "Four scenes each of five kinds: colours of CoGenT's condition B; 11 to 16 "
    "objects close together; towers; a framed mirror behind the objects; patterns on "
    "objects and ground."
)
show(figure, alt=alt)

# %%
textured = textured_scene(np.random.default_rng(5))
camouflaged = textured_scene(np.random.default_rng(5), camouflage="ground")
own_patterns = replace(camouflaged, objects=textured.objects)  # on the same ground
pictures = []
for name, drawn in (("own patterns", own_patterns), ("camouflage", camouflaged)):
    images, masks = render([drawn], 90, 120, samples=4)
    pictures.append((name, to_picture(images[0])))
    pictures.append(("its mask", label_map(masks[0])))
figure = figures.pictures_figure(pictures, columns=4)
alt = (
    "A textured scene and the same scene in camouflage, each with its mask: without "
    "the mask the second picture is hard to read."
)
show(figure, alt=alt)

# %% [markdown]
# Next we list the colours of both CoGenT conditions:

# %%
for condition in "AB":
    generators = [np.random.default_rng(seed) for seed in range(60)]
    drawn = [cogent_scene(generator, condition=condition) for generator in generators]
    objects = [item for one in drawn for item in one.objects]
    for shape in ("cube", "cylinder"):
        found = {item.color for item in objects if item.shape == shape}
        print(condition, f"{shape:8}", sorted(found))

# %% [markdown]
# The library renders more scenes when you ask for them, and then keeps them on disk. Write
# `datasets.load("rendered", variant="clevr", count=64)`, or in a terminal `smm-tutorial data render clevr --count 64`. These are
# the variants:

# %%
for name, look in datasets.RENDERED_VARIANTS.items():
    objects = f"{look.min_objects:2} to {look.max_objects:2} objects"
    pixels = f"{look.height} x {look.width} pixels"
    print(f"{name:26} {objects}, {pixels}, rays per pixel: {look.samples}")

# %% [markdown]
# Some variants have other names than the kinds above. `cogent-a` is condition A of CoGenT, and `out-of-distribution-pairs` is
# condition B. `out-of-distribution-crowd` is crowded, and `clevr-tex` is textured.
#
# [Notebook 06](06_judging_slots.ipynb) measures how well a trained model segments scenes of such kinds.
#
# # Optional: light
#
# **You can stop here.** If you stop, read the section "Summary" at the end. The optional part adds light to the ray tracer.
# Then it compares the pictures with Blender's. Later notebooks do not need this part. Read it if you want to know why you may
# trust the pictures of this course.

# %% [markdown]
# ## Your turn: a lamp
#
# Three of the four lamps of this scene are small flat squares that face the world's origin. At a point of a surface it gives
# the light (the *irradiance*)
#
# $$E = I \cdot \frac{\max(0, \cos\theta_s) \cdot \max(0, \cos\theta_l)}{d^2} .$$
#
# $I$ is the lamp's intensity, and $d$ is the distance from the lamp to the point. There are two angles:
#
# - $\theta_s$ is the angle at the surface, between the surface's normal and the direction to the lamp;
# - $\theta_l$ is the angle at the lamp, between the direction to the origin and the direction to the point.
#
# A surface that is turned away gets no light. Behind the lamp there is no light.


# %%
@exercise("scenes.irradiance")
def irradiance(points, normals, lamp, intensity):
    """Points and unit normals (N, 3), a flat lamp at (3,) -> irradiance (N,).

    The lamp faces the origin, and nothing is in between.
    """
    ...


# %% [markdown]
# Now we draw a whole picture by hand. For each ray we need three things. What does the ray meet first: the ground or a ball
# (`ball_mask`)? At which point does the ray end (`points`)? Which way does the surface face at this point (`normals`)?

# %%
to_ground = -position[2] / directions[:, :, 2]  # every ray of this camera points down
nearest = np.minimum(distances.min(axis=0), to_ground)
points = position + nearest[:, :, None] * directions  # (H, W, 3)
centers = np.array([[0.0, 0.0, 0.0], *(item.position for item in balls.objects)])
centers = centers[ball_mask]  # (H, W, 3)
normals = np.where(ball_mask[:, :, None] > 0, points - centers, [0.0, 0.0, 1.0])
normals /= np.linalg.norm(normals, axis=2, keepdims=True)

# %% [markdown]
# The next figure shows the distances in world units. The larger number in the title is one unit more than the longest
# distance to a ball. All floor beyond the larger number is white. A normal has three numbers between -1 and 1. So we can show
# the normal as a colour: red for x, green for y, and blue for z.

# %%
low, high = nearest.min(), distances[np.isfinite(distances)].max() + 1
panels = {
    f"distance: {low:.1f} black, {high:.1f} white": nearest.clip(low, high),
    "normals (as colours)": (normals + 1) / 2,
    "mask": label_map(torch.tensor(ball_mask)),
}
figure = figures.pictures_figure(panels.items(), columns=3, width=2.9)
alt = (
    "Distance in world units, brighter further away; normals as colours, smooth "
    "over each ball; and the mask of five balls."
)
show(figure, alt=alt)

# %% [markdown]
# The light of four lamps adds up. How much light does each visible point get? The fourth lamp is a sun, so far away that its
# rays are parallel. The library knows how much light of the sun arrives at the scene. Let $L$ be this light. We give the sun
# the intensity $L \cdot d^2$. Our function divides by $d^2$, and $L$ remains. The sun is so far away that $d$ is nearly the
# same for all points. For the same reason $\cos\theta_l$ is nearly 1 for all points.

# %%
from smm_tutorial.scenes import COLORS, lighting

flat_points = points.reshape(-1, 3)  # (H * W, 3)
flat_normals = normals.reshape(-1, 3)
light = np.zeros((HEIGHT * WIDTH, 3))
for name, color in lighting.LAMP_COLORS.items():
    lamp = np.array(scene.lamps[name])
    intensity = lighting.LAMP_INTENSITIES[name]
    received = irradiance(flat_points, flat_normals, lamp, intensity)
    light += received[:, None] * color

# The fourth lamp is a sun, so far away that its rays are parallel.
sun = lighting.SUN_DISTANCE * np.array(lighting.SUN_DIRECTION)
intensity = lighting.SUN_IRRADIANCE * lighting.SUN_DISTANCE**2  # d² cancels
light += irradiance(flat_points, flat_normals, sun, intensity)[:, None]

# %% [markdown]
# A matt surface reflects a part of the light, equally to all sides. Its colour says how large this part is. (This is Lambert's
# law: light times colour, divided by π. The π comes from the sum over all directions: the integral of the cosine over a half
# sphere is π.) At the end, the light becomes the numbers of an image file. Such a number is one of 256 levels. The sRGB curve
# uses more of these levels for dark tones than for bright tones.

# %%
ground = [0.8 * 255] * 3
colors = np.array([ground, *(COLORS[item.color] for item in balls.objects)])
paint = colors[ball_mask.ravel()] / 255  # (H * W, 3)
matt = paint / np.pi * light


def srgb(light):
    """Light (...), cut to 0..1, as an image file encodes it."""
    light = light.clip(0, 1)
    curve = 1.055 * light.clip(1e-4) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curve)


# %% [markdown]
# The library with all effects switched off should give the same picture. (The section "Effect by effect" below explains the
# effects.)
#
# **Predict first.** Will it agree on the ground? On the balls?

# %%
from smm_tutorial.scenes import Effects

PLAIN = Effects(
    shadows="none",
    ambient="none",
    reflections="none",
    bounces=0,
    backdrop="flat",
    edges="sharp",
)
library = render([balls], HEIGHT, WIDTH, effects=PLAIN)
theirs = to_picture(library.images[0])
by_hand = srgb(matt).reshape(HEIGHT, WIDTH, 3)
same = ball_mask == library.masks[0].numpy()
for what, place in (("ground", ball_mask == 0), ("balls", ball_mask > 0)):
    levels = 255 * abs(by_hand - theirs)[same & place]
    print(
        f"{what:6}: by hand differs by {levels.mean():5.2f} of 255 levels in the mean, "
        f"{levels.max():.2f} at most"
    )

# %% [markdown]
# The ground agrees, the balls do not. CLEVR's rubber is not quite matt. Two thin clear layers cover the colour, and each
# layer reflects a part of the light. A layer reflects more when you look along its surface. Let $\theta_v$ be the angle
# between the normal and the line of sight, and $n$ the layer's refractive index. Schlick's formula is an approximation. It
# gives the share $F$ of the light that the layer reflects:
#
# $$F = F_0 + (1 - F_0)(1 - \cos\theta_v)^5, \qquad F_0 = \left(\frac{n - 1}{n + 1}\right)^2 .$$
#
# $F_0$ is the share for $\theta_v = 0$. A layer lets the share $1 - F$ through. So the light that passes both layers has the
# share $(1 - F_1)(1 - F_2)$, with one $F$ for each layer. The library takes $n = 1.4$ for one layer and $n = 1.2$ for the
# other. (Two of the balls are of metal. With all effects switched off, the library draws metal exactly like rubber.)


# %%
def reflected_share(cosines, index):
    """Schlick's formula: the share of light that a clear layer reflects."""
    straight = ((index - 1) / (index + 1)) ** 2
    return straight + (1 - straight) * (1 - cosines) ** 5


cosines = -(flat_normals * rays).sum(axis=1)  # between normal and line of sight
body = (1 - reflected_share(cosines, 1.4)) * (1 - reflected_share(cosines, 1.2))
share = np.where(ball_mask.ravel() > 0, body, 1.0)  # the ground has no layers
layered = srgb(matt * share[:, None]).reshape(HEIGHT, WIDTH, 3)
largest = 255 * abs(layered - theirs)[same].max()
print(f"now the largest difference anywhere is {largest:.2f} of 255 levels")
assert largest <= 0.5

# %%
missing = 255 * abs(by_hand - theirs).mean(axis=2) * same  # (H, W)
pictures = [
    ("by hand, with the layers", layered),
    ("library, no effects", theirs),
    ("no layers: difference (30+ is white)", missing.clip(max=30)),
]
figure = figures.pictures_figure(pictures, columns=3, width=2.9)
alt = (
    "The same five balls twice, by hand and by the library: matt, without any shadow, "
    "on a grey floor. Third, the difference without the layers: bright rings at the "
    "rims of the balls."
)
show(figure, alt=alt)

# %% [markdown]
# Without the layers, the two pictures differ most at the rims of the balls. There you look along the surface. With the layers
# the rims are black, because the layers let nearly no light through there. The layers would reflect other light instead, but
# reflections are switched off. (In the third panel, white means 30 levels of 255 or more.) With the layers, the two pictures
# agree to less than half a level.
#
# So a few cells are enough for a ray tracer. But the picture looks wrong, because nothing throws a shadow. The balls do not
# look as if they stand on the floor.

# %% [markdown]
# ## Effect by effect
#
# Here is the scene with its true shapes again. Each picture adds an effect to the picture before, or makes an effect finer. The
# first picture shows flat colours, which need only the mask.
#
# Nine steps follow:
#
# 1. lamps;
# 2. hard shadows;
# 3. soft shadows, because real lamps have a size;
# 4. round edges;
# 5. a curved backdrop: behind the scene, the floor curves up into a wall;
# 6. ambient light: light from the floor and from neighbours, by a formula (the formula is fitted to Blender's pictures);
# 7. mirrors: metal reflects the scene, and all objects reflect the lamps;
# 8. rough mirrors: metal also reflects a blurred scene, and a ray may go on from metal to metal (`bounces`);
# 9. many rays per pixel.
#
# **Predict first.** Which step changes the picture most? Which step would you not notice?

# %%
STEPS = {
    "+ hard shadows": {"shadows": "hard"},
    "+ soft shadows": {"shadows": "soft"},
    "+ round edges": {"edges": "round"},
    "+ curved backdrop": {"backdrop": "curved"},
    "+ ambient light": {"ambient": "fitted"},
    "+ mirrors": {"reflections": "mirror", "bounces": 1},
    "+ rough mirrors": {"reflections": "glossy", "bounces": 2},
}


def draw_picture(effects, samples=1):
    """The scene as a picture (120, 160, 3)."""
    rendering = render([scene], 120, 160, samples=samples, effects=effects)
    return to_picture(rendering.images[0])


# %% [markdown]
# Each picture keeps the effects of the picture before:

# %%
colors = np.array([(110, 110, 110), *(COLORS[item.color] for item in scene.objects)])
effects = PLAIN
ladder = {
    "flat colour": colors[scene_masks(scene, 120, 160)] / 255,
    "+ lamps": draw_picture(effects),
}
for name, change in STEPS.items():
    effects = replace(effects, **change)
    ladder[name] = draw_picture(effects)
assert effects == Effects()  # everything is on now
ladder["+ 16 rays per pixel"] = draw_picture(effects, samples=16)

# %%
alt = (
    "Ten pictures of one scene: flat colours; lamps; hard, then soft shadows; round "
    "edges; a brighter far floor; ambient light that lifts every dark side; mirrors "
    "on the metal cube and ball; rough mirrors; smooth outlines."
)
show(figures.pictures_figure(ladder.items(), columns=3, width=2.9), alt=alt)

# %%
kinds = np.array(["ground", *(item.material for item in scene.objects)])
surfaces = kinds[scene_masks(scene, 120, 160)]  # (H, W)
print("mean change of a channel, in levels of 255: in the picture, and by surface")
names = list(ladder)
for before, after in zip(names[:-1], names[1:], strict=True):
    change = 255 * abs(ladder[after] - ladder[before])
    means = [
        f"{kind} {change[surfaces == kind].mean():4.1f}"
        for kind in ("ground", "rubber", "metal")
    ]
    print(f"{after:20} {change.mean():5.2f}   {', '.join(means)}")

# %% [markdown]
# The lamps change the picture most: without lamps, no surface has a bright and a dark side. Of the eight later steps, ambient
# light changes the picture most. Ambient light throws no sharp shadow, but it makes every dark side brighter. With shadows,
# you see that the objects stand on the floor. Mirrors change metal more than they change other surfaces. They also change
# rubber, because its clear layers now reflect the lamps. Rough mirrors change metal only. On average over the pixels, the
# step from hard to soft shadows changes least. But an eye may notice this step more than others, because it changes a few
# pixels much.
#
# Two warnings. This is one scene and one order of the effects. What a step changes depends on the effects that are there already.
# And we compare our pictures with our own pictures. Is the last picture *right*? For this we need another judge.

# %% [markdown]
# ## A judge: Blender
#
# CLEVR was rendered with Blender. So we drew scenes with CLEVR's own assets in Blender, with known camera and lamps. Then this
# library drew the same scenes from the same records. The measure is PSNR (peak signal-to-noise ratio). It is $-10 \log_{10}$ of
# the mean squared error, in decibels (dB), for colours from 0 to 1. If the PSNR grows by 10 dB, the mean squared error is ten
# times smaller.
#
# Each row below changes one thing in the complete ray tracer. *Held-out* scenes are scenes on which we did not fit the ambient
# light. Some names need an explanation:
#
# - *lamps where the base scene has them*: the base scene is CLEVR's scene before any lamp moves. Its lamps stand at their usual
#   places, and not where the record says.
# - *ambient light set by hand*: our ambient light is a formula with constants. Its constants are fitted to Blender's pictures.
#   Here a simpler formula, with three constants that we chose, takes its place.
# - *mirrors without a rough part*: metal shows only the sharp reflection. The blurred reflection is missing.
# - *one rough ray*: one ray instead of four finds the blurred part.
# - *one bounce*: a ray does not go on from metal to metal.
# - *samples averaged as light*: we average the light of a pixel's rays first. The sRGB curve comes last. (In the complete ray
#   tracer, the curve comes first.)
# - *Blackman-Harris filter*: a pixel's rays also cover a part of the neighbouring pixels, as in Blender.
#
# **Predict first.** Without which effect are our pictures farthest from Blender's?

# %%
figure = figures.effect_costs_figure(judged)
alt = (
    "Bars of dB lost against Blender: most without ambient light, reflections or "
    "shadows, or with lamps at their usual places or a flat backdrop; least with "
    "one bounce, one rough ray or hard shadows."
)
show(figure, alt=alt)

# %%
Markdown(fidelity.effects_table(judged))

# %%
complete = judged["scores"]["all effects"]
others = complete["held out"]
height, width = judged["size"]
print(
    f"compared: {judged['data']}; "
    f"our images {width} x {height}, {judged['samples']} rays per pixel"
)
print(
    f"ambient light fitted on: {judged['fitted_on']}; "
    f"the table's PSNR: the {others['images']} other scenes"
)
print(f"PSNR on these {others['images']} other scenes: {others['image']} dB")
print(f"PSNR on all scenes: {complete['all']['image']} dB")
error = 255 * 10 ** (-others["image"] / 20)
print(f"{others['image']} dB stand for an error of {error:.1f} of 255 levels")
print(f"the worst of the other scenes: {others['worst_image']} dB")
print(f"made by: {judged['command']}")

# %% [markdown]
# Without ambient light our pictures are farthest from Blender's. Then follow reflections, shadows, lamps at their usual
# places, and a flat backdrop. Soft edges of shadows matter little in the mean, but more on the ground: compare the column
# *ground*. Blender uses the Blackman-Harris filter, but with this filter our pictures agree less with Blender's. We do not
# know why. (The "error" in the output above is a root mean squared error. We computed this error from the mean PSNR. It is
# not the mean of the scenes' errors. The costs come from PSNRs that are not rounded. So a cost may differ in its last digit
# from the difference of two PSNRs in the table.)
#
# Read these numbers with care:
#
# - **What was fitted.** The constants of the ambient light were fitted to Blender's pictures of the scenes with even numbers.
#   The PSNR comes from the scenes with odd numbers. But we chose some other constants by eye, from Blender's pictures. An
#   example is the roundness of edges. And the mask column uses *all* scenes.
# - **What a mean hides.** The PSNR of a picture mixes all surfaces. With all effects, ground has the highest PSNR and metal has
#   the lowest PSNR: compare their columns.
# - **A more physical rule can make the pictures worse.** A real camera averages light, before any curve. If we average rays as
#   light, ground and rubber come a little nearer to Blender's. Metal moves away from Blender's, and this loss is larger than
#   the two gains. We do not know why.
# - **What the table does not show.** It does not judge the pictures of CLEVR v1.0 itself. Nobody knows where their lamps were,
#   and wrong lamps alone cost several dB.
#
# You cannot repeat this measurement without Blender's pictures. If you have such pictures in a folder, you can repeat the
# measurement: the last line of the output above is the command.

# %% [markdown]
# ### A second judge: a neural network
#
# The authors of the Slot Mixture Module released the weights of a neural network. (The table at the end of this notebook says
# *released weights*.) The network looks at a CLEVR picture. It lists shape, size, colour, material and place of every object. It
# never saw our pictures.
#
# The score is AP (average precision), which [notebook 07](07_set_prediction.ipynb) explains. The network gives each entry of
# its list a confidence. An entry is right if shape, size, colour and material are those of an object. AP is 1 if every object
# has a right entry, and if every right entry has a higher confidence than all wrong entries. A threshold makes the score
# stricter. A threshold of 0.5 means: the place may be wrong by at most 0.5 world units. ("inf" means no threshold.)
#
# We now test our ambient light with this second judge. Here is one scene with the three kinds of ambient light:

# %%
pictures = [
    (f"ambient light: {ambient}", draw_picture(Effects(ambient=ambient)))
    for ambient in ("fitted", "by hand", "none")
]
figure = figures.pictures_figure(pictures, columns=3, width=2.9)
alt = (
    "One scene with ambient light that is fitted, set by hand, or missing: the first "
    "two look alike; the third is darker, most of all on sides that no lamp reaches."
)
show(figure, alt=alt)

# %% [markdown]
# **Predict first.** Compare the three pictures. If the ambient light is set by hand or missing, who notices it more, you or the
# network?

# %%
recognised = judged["recognition"]
limits = [key for key in recognised["Blender's images"] if key != "images"]
rows = [["pictures", "images", *(f"AP at {limit}" for limit in limits)]]
for pictures, scores in recognised.items():
    precisions = [f"{scores[limit]:.1%}" for limit in limits]
    rows.append([pictures, str(scores["images"]), *precisions])
Markdown(results.markdown_table(rows))

# %% [markdown]
# The network notices it more. Without ambient light we see darker pictures, but we still recognise every object and its place.
# The network still names the objects. But its places are often wrong, even at a threshold of 1. The first two pictures look
# nearly equal to us. With the light set by hand, the network names the objects as well as before. But at thresholds of 0.25 and
# less, its places are wrong more often.
#
# The network reads our complete pictures nearly as well as Blender's, if the threshold is 0.25 or larger. At 0.125 it reads
# Blender's pictures better. So our pictures still differ in something that the network uses. We do not know what it is.
#
# ### Move a lamp
#
# In JupyterLab and on Colab you can turn the brightest lamp around the scene here. The figure below the control shows four
# places of the lamp, for readers without controls. Look at the bright spot on the floor and at the faint shadows: both move
# with the lamp.

# %%
import ipywidgets

from smm_tutorial.widgets import FigureSlider

slider = ipywidgets.IntSlider(
    0, 0, 345, step=15, description="turn", continuous_update=False
)
turner = FigureSlider(slider, lambda turn: figures.lamp_figure(scene, [turn]))
slider.value = 120  # code can move it, too
turner.show()

# %%
figure = figures.lamp_figure(scene, [0, 90, 180, 270])
alt = (
    "One scene under its brightest lamp, turned by 0, 90, 180 and 270 degrees: "
    "the shadows and the bright spot on the floor move."
)
show(figure, alt=alt)

# %% [markdown]
# ### Edit a scene
#
# Here you can move, turn, reshape or recolour one object at a time. Watch what else changes: shadows, mirrors, and a little of
# the floor's colour near a bright object. The control below starts with a new colour and material. The figure below the control
# shows one scene before and after an edit, for readers without controls.

# %%
from smm_tutorial.widgets import SceneEditor

editor = SceneEditor(scene)
editor.controls["color"].value = "yellow"  # code can edit, too
editor.controls["material"].value = "metal"
editor.show()

# %%
from smm_tutorial.scenes.editing import edit_object

changed = edit_object(scene, 1, color="yellow", material="metal", x=0.0)
assert editor.scene.objects[0].color == "yellow"
assert scene.objects[0] != changed.objects[0]  # the original stays as it was
images = render([scene, changed], 90, 120, samples=4).images
names = ("as recorded", "object 1: yellow, of metal, and moved")
pictures = zip(names, map(to_picture, images), strict=True)
figure = figures.pictures_figure(pictures, columns=2, width=4.2)
alt = (
    "A scene of five objects, before and after an edit: its brown cylinder of rubber "
    "becomes a yellow cylinder of metal further to the left."
)
show(figure, alt=alt)

# %% [markdown]
# ## All numbers at once
#
# This table lists the library's data checks: the measured value, the wanted value, and whether the measured value is good
# enough. Where *wanted* is empty, we only report a value. (`smm-tutorial report data` prints the table, too.)
#
# - *against Blender* and *released weights*: the two judges above. For AP, the column *unit* says how many images the score
#   uses.
# - *1 a pixel*, *4 a pixel*: the number of rays per pixel.
# - *all effects against shapes and colours alone*: how many times longer a picture takes with all effects than with flat
#   colours.
# - *GiB resident*: the memory that the program occupies.
# - *% of a step*: how long it takes to load the data, as a share of the time of one training step.
# - *profile*: a size of the course's training runs.

# %%
Markdown(fidelity.data_quality_table())

# %% [markdown]
# The rows about the ray tracer's time and memory and about the input pipeline depend on the machine. You would measure other
# values on your machine. The results files name the machine that we used. The rows against Blender and about the released weights
# also come from results files. To repeat them, you need Blender's pictures and the weights.
#
# ## Summary
#
# - A CLEVR picture is a record plus a renderer. CLEVR publishes records for training and validation, but not the places of
#   camera and lamps. The depths tell where the camera was. The record does not tell where the lamps were.
# - A mask needs rays and a minimum, but no light. So you can compute masks for the real CLEVR, too.
# - Data have sizes, crops and checksums. Look at them before you look at a model: some objects have only a few pixels, and some
#   are not in the picture.
# - Labels are names: never average them.
# - Against Blender's pictures, the most important effects are ambient light, reflections, shadows, the places of the lamps, and
#   the backdrop.
#
# ## Further reading
#
# - [Johnson et al. 2017](https://arxiv.org/abs/1612.06890): CLEVR, its questions, its rules and the CoGenT conditions.
# - [Multi-Object Datasets](https://github.com/google-deepmind/multi_object_datasets): the release with masks that most
#   object-centric papers mean by "CLEVR".
# - [Karazija et al. 2021](https://arxiv.org/abs/2111.10265): ClevrTex: how the same models work when surfaces
#   have textures.
# - [Physically Based Rendering](https://pbr-book.org): the book behind every ray tracer, online, with the mathematics of light.
