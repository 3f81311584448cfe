# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Weights and concepts
#
# [The source of this notebook](source/09_weights_and_concepts.py)
#
# **What you will do.** Ask what a mixture weight says. Find empty slots, and count objects. Cluster the slots of thousands of scenes by
# Gaussian mixtures, and look at the clusters. Draw slots from clusters, place them, and paint scenes that nobody rendered.
#
# **What you will be able to do.** Judge a claim about weights by precision and recall. Choose a threshold without test scenes. Measure how
# well clusters agree with properties. Remove what you do not want from a representation. Compose scenes, and measure whether they show what
# you asked for.
#
# **What you need.** [Notebook 01](01_em_gaussian_mixtures.ipynb) builds Gaussian mixtures and BIC. [Notebook 03](03_slot_mixture_module.ipynb)
# derives the Slot Mixture Module (SMM). [Notebook 05](05_object_discovery.ipynb) trains the models that we use here, and
# [notebook 06](06_judging_slots.ipynb) judges them.
#
# **Minutes.** About 100: 70 to read, 27 for the exercises, 3 to run on a laptop.

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
# | symbol or term | meaning | in code |
# | --- | --- | --- |
# | $M$ | number of pictures | |
# | $K$ | number of slots of a picture | |
# | $F$ | how many numbers a slot has | `slots` (M, K, F) |
# | $\pi_k$ | the mixture weight of slot $k$: its share of the picture's inputs | `weights` (M, K) |
# | ground | all of a picture that belongs to no object | region 0 |
# | empty slot | a slot that holds no object, and that is not the best slot for the ground | `is_empty` (M, K) |
# | precision | which share of the slots that we call empty is empty | `precision` |
# | recall | which share of the empty slots we call empty | `recall` |
# | F1 | $2 \cdot \text{precision} \cdot \text{recall} / (\text{precision} + \text{recall})$ | `f1` |
# | BIC | a slot or a cluster stays if it raises the likelihood by more than its price ([notebook 01](01_em_gaussian_mixtures.ipynb)) | `bic` |
# | concept | a cluster of slots | |
# | purity | the share of objects with the most frequent value of their concept | `purity` |
# | NMI | normalised mutual information: 1 if concepts and values determine each other, 0 if they are independent | `nmi` |
# | validation scenes | we choose thresholds on them; test scenes are for scores alone | |

# %% [markdown]
# ## Two claims
#
# The paper of SMM makes two claims about its mixture weights and its slots:
#
# 1. The mixture weights find empty slots.
# 2. The slots lead to a "clear concept library": similar objects of different scenes have similar slots.
#
# The paper shows pictures for both claims, and no numbers. We measure both. We compare SMM with Slot Attention, three seeds each: the
# models of notebook 06.
#
# ## What does a weight say?
#
# SMM computes a weight in each M-step: the mean of the slot's responsibilities over the inputs. Slot Attention has no weights. But we can
# compute the same mean of its attention. First, let us see one scene of each module. The number is the weight.

# %%
import numpy as np
import torch

from smm_tutorial import checkpoints, concepts, datasets, figures
from smm_tutorial.exercises import exercise, hint, solution
from smm_tutorial.figures import show
from smm_tutorial.profiles import current_profile

profile = current_profile()
count = min(320, 5 * profile.shown_scenes)
test = datasets.load("clevr6", split="test", size=48).subset(range(count))
validation = datasets.load("clevr6", split="val", size=48).subset(range(count))
NAMES = {"SMM": "mixture", "Slot Attention": "attention"}
models, seen, chosen_on = {}, {}, {}
for title, module in NAMES.items():
    model = checkpoints.load(f"comparison-{module}-clevr6-laptop-48px-seed0").model
    models[title] = model
    seen[title] = concepts.read_slots(model, test)
    chosen_on[title] = concepts.read_slots(model, validation)
print(f"{count} test scenes, {seen['SMM'].weights.shape[1]} slots in each")

# %%
for title, read in seen.items():
    for image in range(2):
        order = read.weights[image].argsort(descending=True)
        told = [
            f"{read.weights[image, k]:.3f} {'empty' if read.is_empty[image, k] else ''}"
            for k in order
        ]
        print(f"{title}, scene {image}: {', '.join(told)}")

# %% [markdown]
# **Predict first.** A large object should have a large weight. How large is the correlation of weights and visible areas, in one scene
# and over all scenes? Is it larger for SMM?

# %%
areas, weights = {}, {}
for title, read in seen.items():
    holds = read.regions > 0  # slots that hold objects
    visible = read.visible.gather(1, read.regions.clamp_min(0))
    areas[title], weights[title] = visible[holds], read.weights[holds]
    print(title, concepts.correlate_weights(read))
figure = figures.weights_figure(areas, weights, pixels=48 * 48)
show(figure, alt="Weight of each object's slot against the object's visible area.")

# %% [markdown]
# CORRELATIONTEXT
#
# ## Which slots are empty?
#
# A scene with three objects needs four slots: three for the objects, and one for the ground. We have seven. What do the others do? Some
# hold nothing. Some share the ground with other slots. We call both *empty*: the true regions do not need them. The true masks tell us
# which slots are empty. (Each true region belongs to the slot with the largest overlap. All other slots are empty.)
#
# A method that finds empty slots may use only the model. We try three:
#
# | method | a slot is empty if | needs |
# | --- | --- | --- |
# | `weights` | its weight is below a threshold | a threshold |
# | `masks` | the decoder's mask owns fewer pixels than a threshold | a threshold, a decoder |
# | `bic` | the picture is explained nearly as well without the slot | a decoder |
#
# The threshold comes from validation scenes. It is the one with the best F1 there.


# %%
@exercise("concepts.best_threshold")
def best_threshold(weights, is_empty, thresholds):
    """weights, is_empty (N,), thresholds (T,) -> the threshold with the best F1."""
    ...


# %%
grid = torch.linspace(0.002, 0.4, 200)
for title, read in chosen_on.items():
    weight, empty = read.weights.flatten(), read.is_empty.flatten()
    ours = best_threshold(weight, empty, grid)
    exact = concepts.choose_threshold(read.weights, read.is_empty)
    print(f"{title}: {empty.float().mean():.0%} of the slots are empty; ", end="")
    print(f"threshold {ours:.3f} of your grid, {exact:.3f} of all numbers")

# %% [markdown]
# **Predict first.** Which method finds empty slots best? Does Slot Attention's mean attention find them, too?

# %%
for title, read in seen.items():
    for method, scores in concepts.score_methods(read, chosen_on[title]).items():
        print(f"{title:15} {method:8}", scores)

# %% [markdown]
# EMPTYTEXT
#
# These are the numbers of one seed. The next table has three seeds. Its rows with other numbers of slots use the same scenes.

# %%
from IPython.display import Markdown

Markdown(concepts.empty_table())

# %% [markdown]
# EMPTYTABLETEXT
#
# ## How many objects?
#
# Slots that are not empty, minus one for the ground: that is a count of objects. Nobody told the model to count.

# %%
Markdown(concepts.count_table())

# %% [markdown]
# COUNTTEXT
#
# ## A concept library
#
# Now to the second claim. We take the slots of many scenes, and cluster those that hold objects. This is the mixture of notebook 01 again,
# now on slots. If the claim holds, a cluster contains objects of the same kind.

# %%
scenes = datasets.load("clevr6", split="train", size=48)
scenes = scenes.subset(range(min(len(scenes), 12 * profile.shown_scenes)))
read = concepts.read_slots(models["SMM"], scenes)
objects = concepts.gather_objects(read, scenes)
print(f"{len(objects.slots):,} objects of {len(scenes)} scenes")
counts = (8, 16, 32, 64) if profile.name != "ci" else (8,)
library = concepts.fit_library(objects.slots, counts)
print(f"BIC chose {library.num_concepts} of {counts}")


# %%
def cut_out(image, centre, side=20):
    """The part of an image around a place (down, right)."""
    size = scenes.size[0]
    padded = torch.nn.functional.pad(
        scenes.batch([image]).images[0], [side] * 4, value=0.5
    )
    down, right = (centre * size).round().int().tolist()
    corner = down + side // 2, right + side // 2
    return padded[:, corner[0] : corner[0] + side, corner[1] : corner[1] + side]


def show_page(library, slots, rows=8, columns=10):
    members = library.assign(slots)
    largest = np.argsort(-np.bincount(members, minlength=library.num_concepts))[:rows]
    page = []
    for concept in largest:
        typical = library.rank(slots, concept)
        typical = [n for n in typical if members[n] == concept][:columns]
        page.append([cut_out(objects.images[n], objects.centres[n]) for n in typical])
    titles = [f"{(members == concept).sum()} objects" for concept in largest]
    show(
        figures.library_page_figure(titles, page), alt="One row of objects per concept."
    )


show_page(library, objects.slots)

# %% [markdown]
# PAGETEXT
#
# ### The place dominates
#
# Do concepts tell colours, or places? Let us measure.


# %%
@exercise("concepts.purity")
def purity(concepts, values):
    """concepts, values (N,) -> the share of objects with their concept's name."""
    ...


# %%
members = torch.from_numpy(library.assign(objects.slots))
for name, values in objects.properties.items():
    numbers = torch.tensor([sorted(set(values)).index(value) for value in values])
    chance = purity(members[torch.randperm(len(members))], numbers)
    print(
        f"{name:9} purity {purity(members, numbers):.2f}, in random order {chance:.2f}"
    )
halves = (objects.centres > 0.5).long() @ torch.tensor([2, 1])  # four quarters
print(f"quarter of the picture: purity {purity(members, halves):.2f}")

# %% [markdown]
# PLACETEXT
#
# A concept should not depend on the place. The place shifts a slot. So we fit the slots by a function of the place, and subtract it. We
# need no labels for this: the place is the centre of the slot's own mask.


# %%
@exercise("concepts.remove_place")
def remove_place(slots, centres):
    """slots (N, F), centres (N, 2) -> slots without a linear function of the place."""
    ...


# %% [markdown]
# The library's `fit_place` does the same with squares of the coordinates, too. (Perspective makes far objects smaller, and this is not linear.)

# %%
place = concepts.fit_place(objects.slots, objects.centres)
clean = place.remove(objects.slots, objects.centres)
left = remove_place(objects.slots, objects.centres).var(dim=0).sum()
total = objects.slots.var(dim=0).sum()
print(
    f"of the variance of slots, a line of the place explains {1 - left / total:.0%}, ",
    end="",
)
print(f"a square function {1 - clean.var(dim=0).sum() / total:.0%}")
library = concepts.fit_library(clean, counts)
show_page(library, clean)

# %% [markdown]
# CLEANTEXT
#
# The records have libraries of 2,000 scenes for three seeds, scored on the objects of test scenes:

# %%
Markdown(concepts.library_table())

# %%
Markdown(concepts.library_table("purity"))

# %% [markdown]
# LIBRARYTEXT
#
# ## Scenes that nobody rendered
#
# A mixture can do more than cluster: we can draw from it. First a concept, by its weight; then a slot, from the Gaussian of the concept.


# %%
@exercise("concepts.sample_slots")
def sample_slots(weights, means, variances, uniform, noise):
    """Draws N slots from a mixture: uniform (N,), noise (N, F) -> (N, F)."""
    ...


# %%
mixture = library.mixture
parameters = (mixture.weights_, mixture.means_, mixture.covariances_)
parameters = [torch.from_numpy(one) for one in parameters]
random = torch.Generator().manual_seed(0)
uniform = torch.rand(3, generator=random, dtype=torch.float64)
noise = torch.randn(3, clean.shape[1], generator=random, dtype=torch.float64)
drawn = sample_slots(*parameters, uniform, noise).numpy()  # standardised
drawn = torch.from_numpy(drawn * library.spread + library.centre).float()
targets = torch.tensor([[0.35, 0.3], [0.6, 0.5], [0.4, 0.75]])  # down, right
middle = torch.full((3, 2), 0.5)
moved = concepts.move_slots(drawn, middle, targets, place)
print(f"{tuple(moved.shape)}: three slots at three places")

# %% [markdown]
# These slots have the place of the picture's middle. We moved them: we subtracted what the middle predicts, and added what the new place
# predicts. Now we add the ground of a real scene, and let the decoder paint.

# %%
ground = concepts.find_ground(read, 0)
scene = concepts.compose_scene(
    ground, moved, torch.full((3,), 0.03), targets, [{}] * 3, slot_dim=48
)
picture = concepts.paint_scene(models["SMM"], scene)
figure = figures.composed_figure(picture, targets, ["drawn"] * 3)
show(figure, alt="A painted scene of three drawn slots, and where they shall stand.")

# %% [markdown]
# DRAWNTEXT
#
# ### Does the picture show what we asked for?
#
# We need a judge who did not paint. Our judge is SMM of another seed, with a linear classifier on its slots for each property. First we
# judge the judge, on real pictures.

# %%
other = checkpoints.load("comparison-mixture-clevr6-laptop-48px-seed1").model
judge = concepts.fit_judge(
    other, concepts.gather_objects(concepts.read_slots(other, scenes), scenes)
)
real = concepts.gather_objects(concepts.read_slots(other, test), test)
print("on real test pictures:", concepts.score_judge(judge, real))
studio = concepts.open_studio(read, scenes, 48, counts)
painted = {}
for source in ("copied", "drawn"):
    random = np.random.default_rng(0)
    composed = [studio.compose(3, random, source) for _ in range(profile.shown_scenes)]
    painted[source] = torch.stack(
        [concepts.paint_scene(models["SMM"], one) for one in composed]
    )
    print(source, concepts.judge_scenes(judge, painted[source], composed))

# %%
rows = [
    [figures.to_picture(one) for one in pictures[start : start + 8]]
    for pictures in painted.values()
    for start in (0, 8)
]
alt = "Two rows of scenes of copied slots, and two rows of scenes of drawn slots."
show(figures.picture_rows_figure(rows, [""] * 8), alt=alt)

# %% [markdown]
# JUDGETEXT

# %%
Markdown(concepts.composed_table())

# %% [markdown]
# COMPOSEDTEXT
#
# ## Build a scene
#
# Choose a concept and a place, and add the object. On pages without controls, look at the figure below.

# %%
from smm_tutorial.widgets import SceneBuilder

titles = [
    f"{number}: "
    + " ".join(name[one] for one in ("size", "color", "material", "shape"))
    for number, name in enumerate(studio.names)
]


def draw_scene(placed):
    arranged = studio.arrange(placed)
    painted = concepts.paint_scene(models["SMM"], arranged)
    return figures.composed_figure(
        painted, arranged.centres, [titles[one] for one, _, _ in placed]
    )


builder = SceneBuilder(titles, draw_scene)
builder.add(0, 0.4, 0.3)
builder.add(3, 0.6, 0.6)
builder.show()

# %%
figure = draw_scene([(0, 0.4, 0.3), (3, 0.6, 0.6), (5, 0.3, 0.7)])
show(figure, alt="A scene of three concepts, and the place of each object.")

# %% [markdown]
# BUILDTEXT
#
# ## Do the claims hold?
#
# CLAIMTEXT
#
# ## Summary
#
# - A weight is the share of the inputs that a slot holds. It follows the visible area of an object.
# - A threshold on a weight finds empty slots. Choose it on validation scenes, and report precision and recall.
# - BIC needs no threshold, but it needs a decoder.
# - Clusters of slots are clusters of places first. Remove the place, and colours appear.
# - A mixture of slots can be sampled. A judge that did not paint tells how much of what we asked for is in the picture.
#
# ## Further reading
#
# - [Kirilenko et al. 2024](https://arxiv.org/abs/2311.04640): the two claims.
# - [Singh, Deng and Ahn 2022](https://arxiv.org/abs/2110.11405): a concept library of slots, and new pictures from it.
# - [Schwarz 1978](https://doi.org/10.1214/aos/1176344136): the Bayesian information criterion.
# - [Binkowski et al. 2018](https://arxiv.org/abs/1801.01401): the kernel distance between two sets of pictures.
