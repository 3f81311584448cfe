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
# **What you will do.** Check your machine, then watch a trained Slot Mixture Module (SMM) take pictures apart into
# objects that nobody told it about.
#
# **What you will be able to do.** Say what this course builds, and whether your machine is ready for it.
#
# **What you need.** Python. No GPU, no download: pictures and weights came with the course.
#
# **Minutes.** Laptop 3, GPU 3.

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
# ## Is your machine ready?
#
# The course chooses its sizes by a *profile*: `laptop` and `gpu` by the hardware, `ci` and `paper` on request
# (environment variable `SMM_PROFILE`).

# %%
import platform

import numpy
import torch

from smm_tutorial.profiles import current_profile

python = platform.python_version()
gpu = "none, and none is needed"
if torch.cuda.is_available():
    gpu = torch.cuda.get_device_name()

print(f"Python {python}, numpy {numpy.__version__}, torch {torch.__version__}")
print("GPU:", gpu)
print("profile:", current_profile().name)

# %% [markdown]
# ## The pictures
#
# CLEVR is the field's drosophila: cubes, spheres and cylinders on grey ground, two sizes, two materials, eight
# colours. The course comes with its own scenes by CLEVR's rules, drawn by its own ray tracer (notebook 04 builds it),
# with at most six objects each. They are small, so that a laptop can learn from them.

# %%
from smm_tutorial import checkpoints, datasets, figures
from smm_tutorial.figures import show

model, record = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
scenes = datasets.load("clevr6", split="test", size=model.config.image_size)
images, masks = scenes.batch(slice(0, 6))
shape = tuple(images.shape)
print(f"{len(scenes)} test scenes; a batch of images is {shape}, values in [0, 1]")

# %%
pictures = [figures.to_picture(image) for image in images]
maps = [figures.color_map(mask) for mask in masks]
titles = [f"scene {index}" for index in range(6)]
title = "Scenes and their true masks"
show(
    figures.picture_rows_figure([pictures, maps], titles, title),
    alt="Top: six small CLEVR pictures. Below each, its true mask, "
    "one colour an object and grey for the ground.",
)

# %% [markdown]
# ## A model that was never told what an object is
#
# The network you just loaded saw pictures only, no masks and no labels. It squeezes each picture through a few
# *slots*. Every slot is a Gaussian cluster of image features: a mean, a variance and a weight. From each slot alone a
# small decoder paints a picture and a mask, and the painted pictures together must give back the input. That was
# nearly all the teaching (a small price keeps slots from painting more than they need).
#
# What do the slots hold? One picture a row: input, reconstruction, the slot responsible for every pixel, then each
# slot's painting through its mask.

# %%
with torch.no_grad():
    noise = model.start_noise(len(images), torch.Generator().manual_seed(0))
    output = model(images, noise=noise, return_history=True)

show(
    figures.decomposition_figure(images, output),
    alt="Six scenes taken apart: one slot paints the ground, "
    "most others one object each; a few share one.",
)

# %% [markdown]
# ## How it gets there
#
# A slot starts from noise around a learned start. A few rounds of clustering follow: inputs are shared out among
# slots, slots move to what they hold. Here are the shares, cell by cell of a 24 x 24 grid, after each round.

# %%
show(
    figures.iterations_figure(images, output.slot_output.history),
    alt="For six scenes, the owner of each feature cell after each iteration: "
    "blurred at first, then by object.",
)

# %% [markdown]
# ## How good is that?
#
# *FG-ARI* asks whether pixels of one object end up in one slot, looking at true objects alone. *mBO* (mean best
# overlap) asks how well the best slot's mask fits each object, background and all. 1 is perfect in both. The table
# comes from the records of the runs; the last line below scores this very model, here and now.

# %%
from IPython.display import Markdown

from smm_tutorial import discovery

Markdown(discovery.showcase_table())

# %%
shown = scenes.subset(range(current_profile().shown_scenes))
scores = discovery.score(shown, discovery.segment(model, shown))
fg_ari, mbo = scores["fg_ari"], scores["mbo"]
print(f"scored now on {len(shown)} test scenes: FG-ARI {fg_ari:.3f}, mBO {mbo:.3f}")

# This is what the record says, give or take the few scenes of this profile.
assert mbo > 0.5

# %% [markdown]
# Read the table with care. All its lines of the trained model are one run with one seed: the last column says how long it
# took, and on what. Nothing here compares it with another slot module yet. But it is well ahead of a mixture on raw pixels, which learned nothing, and it
# takes the scenes of another renderer apart as well as ours. What it still gets wrong, notebook 05 shows.
#
# ## Where to go from here
#
# | notebook | what happens there |
# | --- | --- |
# | [01 · EM for Gaussian mixtures](01_em_gaussian_mixtures.ipynb) | k-means, soft k-means and EM by hand |
# | [02 · From k-means to Slot Attention](02_kmeans_to_slot_attention.ipynb) | soft k-means turns into Slot Attention |
# | [03 · The Slot Mixture Module](03_slot_mixture_module.ipynb) | slots as Gaussian clusters: derived, coded, compared |
# | [04 · CLEVR scenes](04_clevr_scenes.ipynb) | records, camera, a ray tracer, masks: the data, made by hand |
# | [05 · Object discovery](05_object_discovery.ipynb) | the model above: built, trained, measured, shown where it fails |
# | [06 · Set prediction](06_set_prediction.ipynb) | the same slots say what is where: set losses, matching, average precision |

# %% [markdown]
# ## Summary
#
# A Slot Mixture Module clusters image features into slots; a decoder must rebuild the picture from them; objects come
# out, though nobody named any. Everything here ran on your machine, from files that came with the course.
#
# ## Further reading
#
# - [Kirilenko et al. 2024, *Object-centric learning with slot mixture module*](https://arxiv.org/abs/2311.04640): the paper
#   behind this course; section 3 is the module.
# - [Locatello et al. 2020, *Object-centric learning with slot attention*](https://arxiv.org/abs/2006.15055): where slots that
#   compete for inputs come from, with the experiment of this notebook at full size.
# - [Johnson et al. 2017, *CLEVR*](https://arxiv.org/abs/1612.06890): the scenes, made to ask questions about them.
