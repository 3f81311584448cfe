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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/smm-tutorial/smm-tutorial/blob/v0.1.0/notebooks/00_welcome.ipynb)
# [![Source](https://img.shields.io/badge/source-reviewed-009e73)](source/00_welcome.py)
#
# **What you will do.** Check your machine. Then watch a trained model take pictures apart into objects. Nobody told the model
# what an object is. Its core is the Slot Mixture Module (SMM), which this course builds from the ground up.
#
# **What you will be able to do.** Say what this course builds, and how its exercises work. Say whether your machine is
# ready for it.
#
# **What you need.** Python. You need no GPU and no download: the pictures and the weights came with the course.
#
# **Minutes.** Laptop 10, GPU 10.

# %% tags=["setup"]
# This cell is the same in every notebook. It finds the course's library, or fetches it.
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
# You can skip the cell above. It only finds the course's library.
#
# ## Is your machine ready?
#
# The course chooses its sizes by a *profile*. Your hardware decides between `laptop` and `gpu`. The environment variable
# `SMM_PROFILE` can ask for another one, such as `ci`, the smallest.

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

# %% [markdown]
# ## The pictures
#
# CLEVR is the standard toy data set of this field. Its pictures show cubes, spheres and cylinders on a grey ground. The
# objects have two sizes, two materials and eight colours.
#
# The course comes with scenes of its own that follow CLEVR's rules. A program draws them, and [notebook
# 04](04_clevr_scenes.ipynb) builds it. Each scene has three to six objects. The pictures are small, so a laptop can learn
# from them.

# %%
from smm_tutorial import checkpoints, datasets, figures
from smm_tutorial.figures import show

model, record = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
scenes = datasets.load("clevr6", split="test", size=model.config.image_size)
images, masks = scenes.batch(slice(0, 6))
shape = tuple(images.shape)
print(f"{len(scenes)} test scenes; six images have the shape {shape}, values 0 to 1")

# %%
pictures = [figures.to_picture(image) for image in images]
maps = [figures.label_map(mask) for mask in masks]
titles = [f"scene {index}" for index in range(6)]
title = "Scenes and their true masks"
show(
    figures.picture_rows_figure([pictures, maps], titles, title),
    alt="Top row: six small pictures with cubes, spheres and cylinders. Below each "
    "picture its true mask: one colour per object, grey for the ground.",
)

# %% [markdown]
# The lower row shows the *true masks*: which object does each pixel belong to? The colour of a mask has nothing to do
# with the colour of the object. Grey is the ground.
#
# ## A model that learned from pictures alone
#
# The model saw pictures only. It saw no masks and no names of objects. It works in three steps:
#
# 1. An encoder turns the picture into many short vectors, one for each small cell of the picture.
# 2. The Slot Mixture Module gathers these vectors in seven *slots*. A slot is a Gaussian cluster: it has a mean, a variance
#    and a weight.
# 3. A decoder looks at one slot at a time. It paints a picture and says which part of the whole picture that slot wants.
#    All parts together must give back the input.
#
# What does each slot hold? Each row of the figure is one scene. You see the input, the model's reconstruction, the slot that
# owns each pixel, and then what each slot paints.
#
# **Predict first.** There are seven slots and at most six objects. What will the seventh slot paint?

# %%
with torch.no_grad():
    noise = model.start_noise(len(images), torch.Generator().manual_seed(0))
    output = model(images, noise=noise, return_history=True)

show(
    figures.decomposition_figure(images, output),
    alt="Six scenes, one per row. In each, one slot paints the ground. Most other "
    "slots paint one object each, some paint nothing, and a few objects are shared.",
)

# %% [markdown]
# One slot paints the ground. Most objects have a slot of their own, and slots that are left over paint nothing. The model also
# makes mistakes: look for an object that two slots share, and for two objects in one slot.
#
# ## How the slots find their objects
#
# Slots start at random. Then the module repeats two steps. It shares the cells out among the slots, and it moves each slot
# to the cells that it holds. The figure shows the sharing after each repetition, for each cell of a 24 x 24 grid. If
# several slots claim a cell, their colours are mixed.

# %%
show(
    figures.iterations_figure(images, output.slot_output.history),
    alt="Six scenes, one per row, and one column per repetition. The first column is "
    "a blur of mixed colours. In the last column most objects have one colour.",
)
side = round(output.slot_output.responsibilities.shape[1] ** 0.5)
print(f"{side} x {side} cells, {len(output.slot_output.history)} repetitions")

# %% [markdown]
# ## How good is it?
#
# We use two scores. Both are 1 for perfect masks.
#
# - **FG-ARI**: are the pixels of one object together in one slot? It looks at pixels of objects only (*FG* stands for
#   *foreground*).
# - **mBO** (mean best overlap): how well does the best slot fit each object? A slot that also covers ground fits badly.
#
# The next cell scores the model now, on a few test scenes. Then it prints three rows from the records of earlier runs, on all
# test scenes.

# %%
from IPython.display import Markdown

from smm_tutorial import discovery, results

shown = scenes.subset(range(profile.shown_scenes))
scores = discovery.score(shown, discovery.segment(model, shown))
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
    rows.append([title, *(f"{score:.3f}" for score in by_title[title])])
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
# The trained model beats the clustering of raw pixels, which learns nothing. It is one run with one seed, so this table
# does not compare it with other models. [Notebook 06](06_judging_slots.ipynb) does: it has the comparison with Slot Attention, the
# failures, and scenes of a kind that the model never saw.

# %% [markdown]
# ## How exercises work
#
# From notebook 01 on, some cells are exercises. Such a cell begins with `@exercise(...)`, and its function ends with `...`.
#
# 1. Replace `...` by your code, and run the cell. A box below it says "Right", or it says on which case your result differs.
# 2. `hint("name of the exercise")` shows a hint. Run it again for the second hint. `solution("name of the exercise")` shows
#    our answer.
# 3. If you leave an exercise open, or it is not right yet, the cells below use our answer. So the rest of the notebook
#    always runs.
#
# "**Predict first.**" asks you to guess before you run the next cell. The text after that cell gives the answer.
#
# ## Where to go from here
#
# | notebook | what happens there |
# | --- | --- |
# | [01 · EM for Gaussian mixtures](01_em_gaussian_mixtures.ipynb) | k-means, soft k-means and EM by hand |
# | [02 · From k-means to Slot Attention](02_kmeans_to_slot_attention.ipynb) | soft k-means becomes Slot Attention |
# | [03 · The Slot Mixture Module](03_slot_mixture_module.ipynb) | slots as Gaussian clusters: derived, coded, compared |
# | [04 · CLEVR scenes](04_clevr_scenes.ipynb) | records, camera, a ray tracer, masks: how the data are made |
# | [05 · Object discovery](05_object_discovery.ipynb) | the model above: written, trained, taken apart |
# | [06 · Judging slots](06_judging_slots.ipynb) | metrics, failures, new kinds of scenes, SMM against Slot Attention |
# | [07 · Set prediction](07_set_prediction.ipynb) | slots that say what is where: matching, set losses, average precision |

# %% [markdown]
# ## Summary
#
# - A Slot Mixture Module gathers the features of a picture in slots. A decoder must rebuild the picture from the slots.
# - Objects come out, although nobody named any.
# - Everything here ran on your machine, from files that came with the course.
#
# ## Further reading
#
# - [Kirilenko et al. 2024, *Object-centric learning with slot mixture module*](https://arxiv.org/abs/2311.04640): the paper
#   behind this course; section 3 is the module.
# - [Locatello et al. 2020, *Object-centric learning with slot attention*](https://arxiv.org/abs/2006.15055): where slots that
#   compete for inputs come from, with the experiment of this notebook at full size.
# - [Johnson et al. 2017, *CLEVR*](https://arxiv.org/abs/1612.06890): the scenes, made to ask questions about them.
