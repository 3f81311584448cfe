# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Welcome
#
# [The source of this notebook](source/00_welcome.py)
#
# **What you will do.** Check your machine. Then see how a trained model splits pictures into objects. Nobody told the model
# what an object is. The model's core is the Slot Mixture Module (SMM). This course builds the module step by step.
#
# **What you will be able to do.** Say what this course builds. Say whether your machine is ready. Solve an exercise with
# its hints.
#
# **What you need.** Python. You need no GPU. The pictures and the trained model are files of this course.
#
# **Minutes.** About 23: 20 to read, 2 for the exercises, 1 to run on a laptop.

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
# Run the cell above first. You need not read it. The cell finds the course's library. If the library is missing, as on Colab,
# the cell downloads the whole course. It also installs missing packages.
#
# ## Is your machine ready?
#
# The cell above stops with an error if torch or numpy is too old. So your machine is ready if the cell above and the cell
# below run without an error.
#
# A *profile* sets how much the notebooks compute. Here it sets how many pictures are scored. The profile is `gpu` if you have a GPU that torch can use, and `laptop` if not. You can set another profile in the environment variable
# `SMM_PROFILE`. The smallest profile is `ci`.

# %%
import platform

import numpy as np
import torch

from smm_tutorial.profiles import current_profile

profile = current_profile()
gpu = "none, and none is needed"
if torch.cuda.is_available():
    gpu = torch.cuda.get_device_name()
print(f"Python {platform.python_version()}, numpy {np.__version__}")
print(f"torch {torch.__version__}")
print("GPU:", gpu)
print("profile:", profile.name)
print("Your machine is ready for this course.")

# %% [markdown]
# ## The pictures
#
# Finding objects in pictures without labels is called *object-centric learning*. CLEVR is a simple, well-known data set for
# this task. Its pictures show cubes, spheres and cylinders on a grey ground. Each object has one of two sizes, one of two
# materials and one of eight colours. We call everything that is no object the *ground*.
#
# This course has its own scenes. Their objects are chosen at random by CLEVR's rules. [Notebook 04](04_clevr_scenes.ipynb) builds the program that
# draws these scenes. The pictures are small, so you can train a model on a laptop.

# %%
from smm_tutorial import checkpoints, datasets, figures
from smm_tutorial.figures import show

model, record = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
scenes = datasets.load("clevr6", split="test", size=model.config.image_size)
images, masks = scenes.batch(slice(0, 6))
shape = tuple(images.shape)
print(f"{len(scenes)} test scenes; six images have the shape {shape}, values 0 to 1")
counts = [len(scene["objects"]) for scene in scenes.records]
print(f"each scene contains {min(counts)} to {max(counts)} objects")

# %% [markdown]
# A picture can show fewer objects than its scene contains. Some objects lie outside the picture or behind other objects.


# %%
def name_rows(figure, names):
    """Writes a name to the left of each row of a figure."""
    columns = len(figure.axes) // len(names)
    for axis, name in zip(figure.axes[::columns], names, strict=True):
        place = {"transform": axis.transAxes, "ha": "right", "va": "center"}
        axis.text(-0.05, 0.5, name, rotation=90, fontsize=11, **place)


pictures = [figures.to_picture(image) for image in images]
maps = [figures.label_map(mask) for mask in masks]
titles = [f"scene {index}" for index in range(6)]
title = "Scenes and their true masks"
figure = figures.picture_rows_figure([pictures, maps], titles, title)
name_rows(figure, ["picture", "true mask"])
show(
    figure,
    alt="Top row: six small pictures with cubes, spheres and cylinders. Below each "
    "picture its true mask: one colour per object, grey for the ground.",
)

# %% [markdown]
# The lower row shows the *true masks*: which object does each pixel belong to? Each object of a scene has a number. Each
# colour of a true mask stands for one number, not for the object's own colour. Grey is the ground.
#
# ## A model that learned from pictures alone
#
# The model saw pictures only. It saw no masks and no names of objects. It works in three steps:
#
# 1. An encoder divides the picture into small cells. It turns each cell into a short vector, the *features* of the cell.
# 2. The Slot Mixture Module groups these vectors into seven clusters. A *slot* describes one cluster by a Gaussian: a mean
#    and a variance for each feature, and a weight that says how large the cluster is. Several weighted Gaussians together are
#    called a *mixture*.
# 3. A decoder looks at one slot at a time. For each slot the decoder paints one picture and one mask. The mask says how much
#    of each pixel belongs to this slot. The seven masks sum to 1 at every pixel.

# %% [markdown]
# The model multiplies each painting by its mask and adds the results. This sum is the *reconstruction*. Training makes the
# reconstruction similar to the input.
#
# Each row of the next figure is one scene. Its columns are:
#
# - the input and its reconstruction;
# - the *owner* of each pixel: the slot to which the pixel is given. Each slot has one colour in this figure;
# - the painting of each slot, in a frame of the slot's colour. A pixel is white where the slot's mask is 0, and pale where
#   the mask is small.
#
# Two things decide which slot owns a pixel. The slot's mask must be high at this pixel. The slot's painting must be close
# to the input there. [Notebook 05](05_object_discovery.ipynb) gives the formula.
#
# **Predict first.** A picture shows at most six objects, and often fewer. The model always has seven slots. So there are
# more slots than objects. What will the other slots paint?

# %%
with torch.no_grad():
    noise = model.start_noise(len(images), torch.Generator().manual_seed(0))
    output = model(images, noise=noise, return_history=True)

figure = figures.decomposition_figure(images, output)
figure.axes[2].set_title("owner")
for axis in figure.axes:
    axis.title.set_fontsize(11)
figure.suptitle("What each slot paints", fontsize=12)
name_rows(figure, titles)
show(
    figure,
    alt="Six scenes, one per row. In each scene one slot paints the ground. Most "
    "objects are painted by their own slot. Some slots paint almost nothing. Some "
    "objects are divided between two slots.",
)

# %%
sizes = output.masks.sum(dim=(2, 3))  # (scenes, slots), in pixels
for name, size in zip(titles, sizes, strict=True):
    nearly_empty = (size < 5).nonzero().flatten().tolist()  # below 5 pixels
    print(f"{name}: largest mask: slot {size.argmax()}; nearly empty: {nearly_empty}")

# %% [markdown]
# Most objects have their own slot. What do the other slots paint? There are three answers:
#
# - One slot paints the ground. This slot has the largest mask. Its number is not the same in all scenes: no slot is made for
#   the ground, and the start of each slot depends on the picture.
# - Some slots paint almost nothing. The list above calls these slots nearly empty: five slots in six scenes.
# - Some objects are divided between two slots, and each slot paints a part. For example, slots 3 and 4 share the green
#   cylinder in scene 4. Slots 1 and 2 share the yellow cylinder in scene 5.
#
# The model also makes another mistake: one slot paints two objects. Examples are slot 1 of scene 3, which paints a golden
# ball and a green object, and slot 6 of scene 5, which owns the pixels of both purple objects.
#
# ## How the slots find their objects
#
# At the start, the module chooses seven cells whose features differ much from each other. The Gaussian of each slot begins
# near the features of one of these cells: small random numbers are added to its means. Then the module repeats two steps. One
# repetition is called an *iteration*.
#
# 1. Assign each cell to the slots whose Gaussians fit its features best. A cell can belong to several slots in part.
# 2. Move the Gaussian of each slot towards the features of its cells. [Notebook 03](03_slot_mixture_module.ipynb) gives the
#    exact step.
#
# The next figure shows the result of step 1 in each iteration. Each small square is one cell, two pixels wide, in the colour
# of its slot. The slots have the same colours as in the figure above. If a cell belongs to several slots, the figure mixes
# the colours of these slots. The assignment of cells and the owners of pixels are two different results. The decoder comes
# between them.

# %%
history = output.slot_output.history
figure = figures.iterations_figure(images, history)
name_rows(figure, titles)
show(
    figure,
    alt="Six scenes, one per row. After the input there is one column per iteration. "
    "Iteration 1 is a blur of mixed colours. In iteration 4 most objects have one "
    "colour.",
)
before, last = (state.responsibilities.argmax(dim=2) for state in history[-2:])
side = round(last.shape[1] ** 0.5)
print(f"{side} x {side} = {last.shape[1]} cells, {len(history)} iterations")
changed = (before != last).sum(dim=1).tolist()
print("cells that change their slot in the last iteration, by scene:", changed)

# %% [markdown]
# In iteration 1 all slots are still at their start. For many cells, no slot fits much better than the others. So most cells
# belong to several slots. In iteration 4 most cells belong to one slot. But some cells still change their slot in the last
# iteration. For example, the green cylinder of scene 4 gets another slot. [Notebook 05](05_object_discovery.ipynb) explains
# why a slot learns to hold one object.

# %% [markdown]
# ## How good is it?
#
# We use two scores. They compare the owners of the pixels with the true masks. Both scores are 1 if the owners agree with
# the true masks everywhere.
#
# - **FG-ARI** (*adjusted Rand index* of the *foreground*) looks at pairs of pixels that show objects. Two pixels of one object
#   should have the same owner. Two pixels of different objects should have different owners. The score is near 0 for random
#   owners, and it can be a little below 0.
# - **mBO** (*mean best overlap*): for each object, find the slot whose pixels overlap best with the object. The overlap is
#   the number of pixels in both, divided by the number of pixels in at least one of them. The score is the mean of these
#   overlaps.
#
# The next cell scores the model now, on as many test scenes as the profile says. Then it prints three stored results from
# `data/results`. The stored results use all test scenes. The first row of the table is a clustering that learns nothing from
# other pictures. For each picture, seven Gaussians are fitted to the colours and positions of its pixels.
#
# The papers on SMM and Slot Attention (see Further reading) define the owner by the mask alone. So do not compare our scores
# with numbers from these papers.

# %%
from IPython.display import Markdown

from smm_tutorial import discovery, results

shown = scenes.subset(range(profile.shown_scenes))
owners = discovery.segment(model, shown)  # (scenes, height, width): slot numbers
scores = discovery.score(shown, owners)
now = f"FG-ARI {scores['fg_ari']:.3f}, mBO {scores['mbo']:.3f}"
print(f"scored now on {len(shown)} test scenes: {now}")
rows, by_title = [["model", "FG-ARI", "mBO"]], {}
names = {
    "discovery-pixels": "clustering of raw pixels",
    "discovery-untrained": "this model, untrained",
    record["name"]: "this model, trained",
}
for name, title in names.items():
    found = results.find_scores(results.read_record(name), "clevr6")
    by_title[title] = [found["fg_ari"], found["mbo"]]
    rows.append([title, *(f"{score:z.3f}" for score in by_title[title])])
Markdown(results.markdown_table(rows))

# %%
trained = results.read_record(record["name"])
minutes, steps = trained["minutes"], trained["step"]
hardware = results.describe_hardware(trained)
print(f"The training took {steps:,} steps, {minutes:.0f} minutes on {hardware}.")
pixels, untrained, after_training = by_title.values()
assert (np.array(after_training) > pixels).all()
assert (np.array(pixels) > untrained).all()

# %% [markdown]
# The trained model beats the clustering of raw pixels. The untrained model is worse than this clustering. Its decoder has not
# learned to paint yet, so its owners say nothing about objects.
#
# The trained model is one run with one seed (the number that fixes all random choices). Another seed gives other scores. So
# do not compare SMM with other modules by this table. [Notebook
# 06](06_judging_slots.ipynb) compares SMM with another module, Slot Attention. It also shows failures and new kinds of scenes.

# %% [markdown]
# ## How exercises work
#
# Some cells are exercises. An exercise contains a line `@exercise("name")` and a function. The last line of the function is
# `...`.
#
# 1. At first the box below the cell says "To do". Replace `...` by your code, and run the cell. Then the box says "Right" or
#    "Not yet". If it says "Not yet", it also names a case in which your result is wrong.
# 2. `hint("name")` shows the first hint. Run the same call again for the second hint. `solution("name")` shows our answer.
# 3. If your answer is missing or not right yet, later cells use our answer. So the rest of the notebook always runs.
#
# "**Predict first.**" asks you to guess before you run the next cells. The text after these cells gives the answer.
#
# Here is a first exercise. First try a wrong answer, `return mask.max()`, and read the box. Then write the right answer. The
# cell after the exercise shows the first hint.

# %%
from smm_tutorial.exercises import exercise, hint, solution


@exercise("welcome.count_objects")
def count_objects(mask):
    """mask (H, W), an integer tensor -> the number of objects that it shows, an int."""
    ...


# %%
hint("welcome.count_objects")

# %%
from collections import Counter

contained = Counter(counts)
shown_objects = Counter(
    int(count_objects(mask)) for mask in scenes.batch(slice(None)).masks
)
for count in range(2, 7):
    print(f"{count} objects: contained in {contained[count]} scenes,", end=" ")
    print(f"shown in {shown_objects[count]} pictures")

# %% [markdown]
# No scene contains only two objects, but some pictures show only two. Each of these scenes has one more object, outside the
# picture.
#
# ## Where to go from here
#
# | notebook | what you do there |
# | --- | --- |
# | [01 · EM for Gaussian mixtures](01_em_gaussian_mixtures.ipynb) | write k-means, soft k-means and EM (expectation-maximisation), which fits Gaussian mixtures |
# | [02 · From k-means to Slot Attention](02_kmeans_to_slot_attention.ipynb) | turn soft k-means into Slot Attention |
# | [03 · The Slot Mixture Module](03_slot_mixture_module.ipynb) | derive slots as Gaussian clusters, write them, compare them with EM and Slot Attention |
# | [04 · CLEVR scenes](04_clevr_scenes.ipynb) | make the data: records, camera, ray tracer, masks |
# | [05 · Object discovery](05_object_discovery.ipynb) | write and train the model above, and change pictures through its slots |
# | [06 · Judging slots](06_judging_slots.ipynb) | measure masks, find failures, compare SMM with Slot Attention |
# | [07 · Set prediction](07_set_prediction.ipynb) | predict the properties and places of all objects with slots |

# %% [markdown]
# ## Summary
#
# - A Slot Mixture Module groups the features of a picture into slots. A decoder rebuilds the picture from the slots.
# - The slots find objects, although the training used no labels.
# - You ran the model and scored it on your machine. The training was done before. The three rows of the table are stored.
#
# ## Further reading
#
# - [Kirilenko et al. 2024, *Object-centric learning with slot mixture module*](https://arxiv.org/abs/2311.04640): the paper
#   behind this course. Section 3 describes the module.
# - [Locatello et al. 2020, *Object-centric learning with slot attention*](https://arxiv.org/abs/2006.15055): this paper
#   introduced slots that compete for inputs. It contains a similar experiment on the original CLEVR.
# - [Johnson et al. 2017, *CLEVR*](https://arxiv.org/abs/1612.06890): the original scenes. They were made to test whether a
#   model can answer questions about pictures.
