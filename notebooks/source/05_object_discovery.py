# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Object discovery
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/smm-tutorial/smm-tutorial/blob/v0.1.0/notebooks/05_object_discovery.ipynb)
# [![Source](https://img.shields.io/badge/source-reviewed-009e73)](source/05_object_discovery.py)
#
# **What you will do.** Build an autoencoder around the Slot Mixture Module (SMM), train it on pictures alone, find out
# what its slots hold, operate on them, compare it with Slot Attention over seeds, and make it fail on purpose.
#
# **What you will be able to do.** Write the model from its parts, train it, read its masks, choose a metric that sees
# what you care about, and tell from a picture which of the usual failures you are looking at.
#
# **What you need.** Convolutions and a training loop in torch. What a slot module is, [notebook
# 03](03_slot_mixture_module.ipynb) derives; you can also take it on trust here.
#
# **Minutes.** Laptop 60, GPU 45.

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
# ## The plan
#
# An autoencoder whose bottleneck is a *set*: an encoder turns the image into inputs, a slot module shares the inputs out
# among slots, a decoder lets every slot paint alone, and a mixture makes one picture of the paintings.
#
# The loss compares what the slots paint with the image, pixel by pixel. Nothing says "object". Why should objects come
# out? Each slot is small and must paint its share alone, and a thing of one colour and one shape is cheap to describe
# in one go.

# %%
import torch

from smm_tutorial import checkpoints, datasets, discovery, figures, results
from smm_tutorial.exercises import exercise, hint, solution
from smm_tutorial.figures import show
from smm_tutorial.profiles import current_profile

profile = current_profile()
trained, record = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
size = trained.config.image_size
train = datasets.load("clevr6", split="train", size=size)
test = datasets.load("clevr6", split="test", size=size)
print(
    f"profile {profile.name}; {len(train)} training and {len(test)} test scenes "
    f"of {size} x {size} pixels"
)
show(
    figures.architecture_figure(trained),
    alt="Image, encoder, inputs, slot module, slots, decoder, paintings and "
    "logits, mixture, image again; each with its shape or its number of parameters.",
)

# %% [markdown]
# ## Encoder: from pixels to inputs
#
# A few convolutions, then a position embedding: the slots see a *set* of inputs, so an input must carry its own
# place.

# %%
from smm_tutorial.networks import BroadcastDecoder, ConvEncoder

images, masks = test.batch(slice(0, 6))
torch.manual_seed(0)
encoder = ConvEncoder(image_size=size, channels=32, stride=2)
inputs = encoder(images)
side = size // 2
print(
    f"images {tuple(images.shape)} -> inputs {tuple(inputs.shape)}: "
    f"one of each cell of a {side} x {side} grid"
)

# %% [markdown]
# ## Slots
#
# `SlotMixture` shares the inputs out among slots and moves each slot to what it holds, a few times ([notebook
# 03](03_slot_mixture_module.ipynb) builds it line by line). A slot is the mean and the variance of its cluster, so it is
# twice as wide as a mean.

# %%
from smm_tutorial.slots import SlotMixture

slots = SlotMixture(
    num_slots=7,
    input_dim=32,
    slot_dim=48,
    initialisation="clustering",
    normalisation="inputs",
)
noise = torch.randn(6, 7, 48, generator=torch.Generator().manual_seed(0))
out = slots(inputs, noise=noise)
shares = out.responsibilities
print(f"slots {tuple(out.slots.shape)}, responsibilities {tuple(shares.shape)}")
sums = shares.sum(dim=2)  # over slots
torch.testing.assert_close(sums, torch.ones_like(sums))

# %% [markdown]
# ## Decoder: every slot paints alone
#
# Each slot is put on every cell of a small grid (a *spatial broadcast*) and grows into four channels: a painting, and
# how much the slot wants each pixel.

# %%
decoder = BroadcastDecoder(
    slot_dim=slots.output_dim, image_size=size, channels=32, grid=size // 4
)
painted = decoder(out.slots.flatten(0, 1)).unflatten(0, (6, 7))
paintings, logits = painted[:, :, :3], painted[:, :, 3]
print(f"paintings {tuple(paintings.shape)}, logits {tuple(logits.shape)}")

# %% [markdown]
# ### Your turn: from paintings to a picture


# %%
@exercise("discovery.compose")
def compose(paintings, logits):
    """paintings (B, K, 3, H, W), logits (B, K, H, W) -> the picture (B, 3, H, W)."""
    ...


# %% [markdown]
# One thing is missing, and it matters. The third number of a Gaussian cluster is its *weight*: the share of the inputs
# that it holds. The decoder does not see it. Of two slots that sit on the same object one may hold nearly everything
# and the other next to nothing, and still both look the same and paint the same. So the model weighs masks as every
# mixture weighs its components: it adds the logarithm of a slot's share to the slot's logits. The same slots in, the same
# picture out:

# %%
noise = trained.start_noise(6, torch.Generator().manual_seed(0))
with torch.no_grad():
    output = trained(images, noise=noise, return_history=True)
    painted = trained.decoder(output.slot_output.slots.flatten(0, 1))
painted = painted.unflatten(0, (6, -1))
shares = output.slot_output.weights  # (B, K), sum to 1
logits = painted[:, :, 3] + shares.log()[:, :, None, None]
torch.testing.assert_close(compose(painted[:, :, :3], logits), output.reconstruction)
largest_first = shares[0].sort(descending=True).values
print("shares of the first scene:", " ".join(f"{share:.2f}" for share in largest_first))

# %% [markdown]
# ## What to minimise
#
# The usual choice is the squared error of the mixed picture. Is it the right one?
#
# **Predict first.** A grey pixel. Slot A paints it black, slot B white, and both masks say one half. What is the
# squared error? Has any slot understood the pixel?

# %%
from torch.distributions import Normal

pixel = torch.tensor(0.5)
paints = torch.tensor([0.0, 1.0])
masks_half = torch.tensor([0.5, 0.5])
scale = trained.config.pixel_scale
squared_error = (pixel - (masks_half * paints).sum()).square()
print(f"squared error of the mixture: {squared_error:.2f}")
densities = Normal(paints, scale).log_prob(pixel).exp()
print(f"density of the pixel under the mixture: {(masks_half * densities).sum():.6f}")
density_of_grey = Normal(0.5, scale).log_prob(pixel).exp()
print(f"density if one slot painted it grey:    {density_of_grey:.6f}")

# %% [markdown]
# Squared error is content with blends: two slots that are both wrong can be right together. Read the decoder as what it
# looks like instead: at every pixel a *mixture of Gaussians*, one for each slot, with the paintings as means, the masks
# as weights, and one fixed scale. Its likelihood
#
# $$\log p(x) = \log \sum_k m_k \, \mathcal N(x \mid \mathrm{painting}_k, \sigma^2)$$
#
# wants each pixel painted right by *one* slot (IODINE trains on it, see below). That is the loss of this notebook,
# in units of squared error: where a single slot owns the pixel the two are equal. And as in every mixture, an E-step tells
# who is responsible for a pixel once it is seen. We use it to draw masks: a soft edge becomes a sharp one, because the
# pixel has a say.

# %%
squares = (output.reconstructions - images[:, None]).square().sum(dim=2)  # (B, K, H, W)
log_joint = output.masks.log() - squares / (2 * scale**2)
expected = output.responsibilities(images)
torch.testing.assert_close(log_joint.softmax(dim=1), expected, atol=1e-4, rtol=1e-3)
by_hand = -(2 * scale**2 / 3) * log_joint.logsumexp(dim=1).mean()
squared_error = (output.reconstruction - images).square().mean()
print(
    f"the loss of these six scenes by hand: {by_hand:.5f}; "
    f"their squared error: {squared_error:.5f}"
)

# %% [markdown]
# A step of training needs no more than this. It draws a batch: random training scenes, half of them mirrored, and the noise
# from which the slots start. `discovery.reconstruction_loss` is the loss that you have just computed by hand. Beside it stand
# two numbers for the log: the squared error, and `owned`, the share of the picture outside its largest slot.

# %%
from smm_tutorial import training

batches = training.Batches(train, 16, trained.start_noise, mirrored=0.5)
batch = batches.draw(training.step_generator(seed=0, step=0))
painted = trained(batch.images, noise=batch.noise)
losses = discovery.reconstruction_loss(painted, batch.images)
numbers = ", ".join(f"{name} {value:.5f}" for name, value in losses.items())
print("sixteen training scenes:", numbers)

# %% [markdown]
# ## Before training: why the start matters
#
# An SMM is a mixture of Gaussians in 48 dimensions, and in many dimensions a mixture is brutal: a cluster that starts
# a little better wins *everything*. With weights at random, keys (what is compared) and values (what the variance is
# taken of) live in unrelated spaces, and the variance says nothing about the distance it divides.
#
# **Predict first.** Below are the mixture weights, largest first, of an untrained module after each iteration, once
# with torch's random weights and once started as plain clustering (keys and values one rotation, the update nearly
# the weighted mean). How many slots will be left in each?


# %%
def weights_over_iterations(initialisation, normalisation):
    torch.manual_seed(0)
    options = {"initialisation": initialisation, "normalisation": normalisation}
    module = SlotMixture(7, 32, 48, **options)
    noise = torch.randn(6, 7, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = module(inputs, noise=noise, num_iterations=4, return_history=True)
    weights = torch.stack([state.weights for state in out.history])  # (4, B, K)
    return weights.sort(dim=2, descending=True).values.mean(dim=1)


for initialisation, normalisation in (("random", "layer"), ("clustering", "inputs")):
    print(f"start: {initialisation}")
    by_iteration = weights_over_iterations(initialisation, normalisation)
    for step, weights in enumerate(by_iteration, start=1):
        print(f"  iteration {step}:", " ".join(f"{weight:.2f}" for weight in weights))

# %% [markdown]
# At random, a slot or two take nearly all inputs within a few iterations; the others get no gradient to learn from.
# Started as clustering, every slot keeps a share. This one choice decides how soon training gets anywhere, so the
# models of this notebook start that way.
#
# ## Train it, live
#
# The loop knows nothing of slots. It draws a batch, asks the loss for a number, follows the gradient, and keeps its state
# on disk if you give it a folder. `discovery.train` runs it with the recipe of this course. A `DiscoveryRun` says what may
# differ from run to run. On a laptop this run takes small pictures and a sixteenth of the full run's steps.
#
# It trains with six slots and is tested with seven. With a slot to spare, the cheapest way to paint a big cube better is
# to cut it in two; with one too few, a slot per object is the best that can be had.
#
# From a quarter of the run on, the loss has a second part: a small price on `owned`, the share of the picture outside its
# largest slot. The next section says what it is for.

# %%
steps = discovery.SIZES[profile.name].live_steps
run = discovery.DiscoveryRun(profile=profile.name, steps=steps)
live_test = datasets.load("clevr6", split="test", size=run.config.image_size)
watched = live_test.subset(range(32))
snapshots = []


def watch(model):
    owners = discovery.segment(model, watched)
    snapshots.append(owners[:5])
    return discovery.score(watched, owners)


live, result = discovery.train(run, evaluate=watch, evaluate_every=steps // 8)
last_loss = result.log[-1]["loss"]
print(
    f"{result.step} steps in {result.seconds:.0f} s; the last loss was {last_loss:.4f}"
)

# %%
titles = {"fg_ari": "FG-ARI, 32 test scenes", "mbo": "mBO, 32 test scenes"}
show(
    figures.log_figure(result.log, titles),
    alt="FG-ARI and mBO on 32 test scenes over the steps of the live run.",
)

# %% [markdown]
# And this is how the slots came to their objects: five of those scenes, first as a film, then frame by frame. Slots are
# exchangeable, so an object may change its colour from frame to frame; what counts is whether it has one of its own.

# %%
steps_seen = [entry["step"] for entry in result.log if "fg_ari" in entry]
frames = dict(zip(steps_seen, snapshots, strict=True))
live_images = live_test.batch(range(5)).images
figures.show_film(
    figures.training_frames(live_images, frames),
    alt="Five scenes and the owners of their pixels, step after step of training: "
    "stains at first, then objects.",
)

# %% [markdown]
# The same frames side by side:

# %%
columns = {f"{step:,}": owners for step, owners in frames.items()}
show(
    figures.comparison_figure(live_images, columns),
    alt="The frames of the film side by side: five scenes, the owners of their pixels "
    "at each step shown.",
)

# %% [markdown]
# ## The trained one
#
# The committed checkpoint is the same program, run longer. Its record says how long, on what, and by which command.

# %%
steps, minutes = record["step"], record["minutes"]
hardware = results.describe_hardware(record)
seed = record["training"]["seed"]
print(record["command"])
print(f"{steps:,} steps, {minutes:.0f} minutes on {hardware}, seed {seed}")

# %% [markdown]
# ### Who paints the ground?
#
# The likelihood does not mind whether an object's slot also paints a strip of ground around it, and the object's shadow:
# ground is easy, and any slot can do it. The cure used here, in the live run too, is a *price*. The loss also counts, at a
# thousandth, the share of the picture outside its largest slot. That is less than an object saves in squared error, and
# more than a piece of ground does. The price grows from nothing over the second quarter of the run. In the committed run
# objects are found by then.
#
# **Predict first.** The price never looks at objects. What will it do to FG-ARI, to mBO, to ARI with background?

# %%
curves = {
    "owned": "share outside the largest slot",
    "fg_ari": "FG-ARI",
    "mbo": "mBO",
    "ari": "ARI with background",
}
show(
    figures.log_figure(record["validation"], curves),
    alt="Four curves over training, on the validation scenes: share outside the "
    "largest slot, FG-ARI, mBO and ARI.",
)

# %%
last = record["step"]
milestones = [1000, *(part * last // 4000 * 1000 for part in (1, 2, 3)), last]
for entry in record["validation"]:
    if entry["step"] in milestones:
        numbers = [f"{title} {entry[name]:.2f}" for name, title in curves.items()]
        print(f"step {entry['step']:6,}:", ", ".join(numbers))
share_of_objects = (train.masks > 0).float().mean()
print(f"share of true objects in the training scenes: {share_of_objects:.2f}")

# %% [markdown]
# The price counts from a quarter of the run on. You do not see it in these curves: single readings swing more than it moves
# them. FG-ARI goes on rising slowly, as slots learn the rare cases; mBO has been where it is for most of the run, and ARI
# loses a hundredth. So this curve proves nothing about the price: the next table has a run without it.
#
# ### What does each choice buy?
#
# Six choices have been made on the way. Here are short runs on small pictures, each with one choice taken back: no price;
# no shares in the masks (`no-share`); the squared error instead of the likelihood; as many slots in training as in the test
# (`no-fewer-slots`); an encoder that hardly sees colours at first (`quiet-colours`); torch's random weights in the slot
# module (`random-start`). `bare` takes four of them back at once (not
# the start), and `bare-one-pixel` also has a decoder that knows its own pixel alone. One seed each: a hint, not a comparison.
#
# **Predict first.** Which one hurts most?

# %%
from IPython.display import Markdown

Markdown(discovery.ablation_table())

# %% [markdown]
# A thousand steps are few: no run is finished, and these are the first differences to show. Without shares, or with a spare
# slot in training, the model has hardly begun; torch's random start is behind too. The squared error is *not* worse than the
# likelihood so early, rather better by the decoder's own masks: what we said for the likelihood above is an argument, and this
# table does not prove it. `bare` finds objects about as soon as the complete run, by FG-ARI; mBO and ARI say what it does to
# the ground. And `bare-one-pixel` finds nothing. One seed each: trust the large differences alone.
#
# ## What each slot paints

# %%
show(
    figures.decomposition_figure(images, output),
    alt="Six test scenes: input, reconstruction, owner of each pixel, and what each "
    "slot paints through its mask.",
)

# %% [markdown]
# Read a row: the reconstruction is a little soft, as an average is. In the third column every object should have a
# colour of its own, and the ground one colour. Then each slot's own painting on white. Empty slots paint nothing:
# with seven slots and three to six objects, some are left over, and their share of the inputs says so.
#
# ### Operate on them
#
# If a slot holds an object, you can do things to it: take it out, put it into another scene, move it. For moving we need to
# know how a slot says *where*. Ask the slots themselves: over training scenes, fit by least squares how a slot's numbers
# change with the place of its pixels. No labels, no retraining.

# %%
some_scenes = train.subset(range(256))
directions, explained = discovery.fit_position_directions(trained, some_scenes)
print(
    f"{explained:.0%} of what differs between objects' slots is where they are, "
    "and that along two straight lines"
)

# %% [markdown]
# **Predict first.** Add the line for "right" to one slot, times a tenth of the picture, and paint. Does the object move? By
# as much as asked? What becomes of its neighbours?

# %%
from smm_tutorial.slots import SlotOutput

few_images = test.batch(range(16)).images
noise = trained.start_noise(16, torch.Generator().manual_seed(0))
with torch.no_grad():
    few = trained(few_images, noise=noise)
centres = discovery.mask_centres(few.masks)  # (B, K, 2), down and right


def move_right(scene, number):
    found = few.slot_output
    alone = SlotOutput(found.slots[[scene]], found.responsibilities[[scene]])
    moved = discovery.move_slot(
        alone, (0, number), down=0.0, right=0.1, directions=directions
    )
    with torch.no_grad():
        return trained.decode(moved)


# %% [markdown]
# This we do with every slot that holds an object, one at a time. How far does its mask travel, and how much do the paintings
# of the other slots change?

# %%
travelled = []
changes_of_others = []
held, _ = discovery.find_object_slots(few, few_images)
for scene, number in held.nonzero().tolist():
    after = move_right(scene, number)
    centre = discovery.mask_centres(after.masks[0, number])
    travelled.append(centre[1] - centres[scene, number, 1])
    changes = (after.reconstructions[0] - few.reconstructions[scene]).abs()
    others = torch.arange(len(changes)) != number
    changes_of_others.append(changes[others].max())
travelled = torch.stack(travelled)
marks = torch.tensor([0.1, 0.5, 0.9])
low, middle, high = travelled[travelled.isfinite()].quantile(marks)
print(
    f"{len(travelled)} objects asked to move right by 0.10: "
    f"the middle one moves {middle:.3f}, most {low:.3f} to {high:.3f}"
)
most = max(changes_of_others)
print(f"the paintings of all other slots change by at most {most:.4f}")

# %% [markdown]
# It moves by about what was asked. A slot's numbers are not made for this; that they are so orderly is a gift of the decoder,
# which must paint every place from one vector. The others cannot change: each slot paints alone. Now you. (Elsewhere: three
# operations follow.)

# %%
from smm_tutorial.widgets import operating_table

pair = images[:2]
noise = trained.start_noise(2, torch.Generator().manual_seed(0))
with torch.no_grad():
    whole = trained(pair, noise=noise)
held, _ = discovery.find_object_slots(whole, pair)
patient = held[0].nonzero()[0].item()  # the first scene's first object
table = operating_table(trained, pair, whole, directions, patient)
table.slider.controls["operation"].value = "move"  # code may operate too
table.slider.controls["right"].value = 0.15
table.show()

# %%
operations = {"drop": {}, "swap": {}, "move": {"right": 0.2, "down": 0.1}}
for operation, shift in operations.items():
    after, numbers = figures.operate_on_slot(
        trained, whole, operation, patient, directions, **shift
    )
    title = f"{operation} slot {patient} of the first scene"
    show(
        figures.surgery_figure(pair, whole, after, numbers, title),
        alt="Two scenes, what their slots paint, and the same after the operation: "
        f"{title}.",
    )

# %% [markdown]
# Dropped, the object is gone and the ground behind it is painted as if it had never been there: a guess, for nobody saw that
# ground. Swapped, a slot takes its object along to the same place of the other scene (if the other slot was empty or the
# ground, you see that too). What does not come along is the shadow that the object threw on the ground.
#
# ## Masks over the iterations
#
# The decoder is one way to ask who owns a pixel. The other is the module itself: its responsibilities, cell by cell.


# %%
@exercise("discovery.attention_map")
def attention_map(responsibilities, size):
    """Which slot holds each pixel.

    responsibilities (B, N, K) of a square grid -> integer map (B, size, size).
    """
    ...


# %%
show(
    figures.iterations_figure(images, output.slot_output.history),
    alt="Owner of each feature cell after each iteration, mixed by responsibility, "
    "for six scenes.",
)

# %%
from smm_tutorial.metrics import adjusted_rand_index, foreground_ari, mean_best_overlap


def describe_scores(owners):
    fg_ari = foreground_ari(masks, owners).mean()
    mbo = mean_best_overlap(masks, owners).mean()
    return f"FG-ARI {fg_ari:.2f}, mBO {mbo:.2f}"


for step, state in enumerate(output.slot_output.history, start=1):
    cells = attention_map(state.responsibilities, size)
    scores = describe_scores(cells)
    print(f"iteration {step}: responsibilities score {scores} on these six scenes")

# %% [markdown]
# How many pixels of objects lie in cells that the slot of the ground holds? And how do the masks of the decoder score, and the
# pixels' E-step?

# %%
grounds = []
for owners, mask in zip(cells, masks, strict=True):
    grounds.append(owners[mask == 0].mode().values)  # the slot of this scene's ground
in_ground = cells == torch.stack(grounds)[:, None, None]
lost = in_ground[masks > 0].float().mean()
print(f"object pixels that lie in the ground's cells: {lost:.0%}")
print(f"decoder's masks: {describe_scores(output.segmentation)}")
owners = output.responsibilities(images).argmax(dim=1)
print(f"pixels' E-step: {describe_scores(owners)}")

# %% [markdown]
# Each round still gains, the third most. The grid is coarse, a cell is two pixels wide, and many pixels of objects lie in
# cells of the ground; FG-ARI counts them all. Where exactly an object ends, the decoder has to know.
#
# ## A number that cannot see
#
# The field reports FG-ARI. It compares partitions, but only on pixels of true objects.
#
# **Predict first.** Two objects, and a model that cuts the *whole picture* into two halves, one object in each. What
# is its FG-ARI? What would you say of its masks?

# %%
true = torch.zeros(1, 12, 12, dtype=torch.long)
true[0, 4:8, 1:5] = 1
true[0, 4:8, 7:11] = 2
halves = (torch.arange(12) >= 6).long().expand(1, 12, 12)
pictures = [figures.color_map(true[0]), figures.color_map(halves[0])]
show(
    figures.picture_rows_figure([pictures], ["true", "halves"]),
    alt="Left: two small squares on grey. Right: the picture cut into two halves, "
    "each containing a square.",
)
print(f"FG-ARI {foreground_ari(true, halves).item():.2f}")
print(f"ARI    {adjusted_rand_index(true, halves).item():.2f}")
print(f"mBO    {mean_best_overlap(true, halves).item():.2f}")
assert foreground_ari(true, halves) == 1

# %% [markdown]
# A perfect score for masks that nobody would call objects. A model really does this: slots like to own an object *and
# a cell of ground around it*. So this course always reports mBO beside FG-ARI.


# %%
@exercise("discovery.best_overlap")
def best_overlap(true, predicted):
    """The mean over objects of the best IoU of any segment (float).

    true, predicted: integer maps (H, W), 0 = background in `true`.
    """
    ...


# %%
segmentation = discovery.segment(trained, test.subset(range(16)))
truth = test.masks[:16].long()
overlaps = [best_overlap(t, s) for t, s in zip(truth, segmentation, strict=True)]
by_hand = torch.tensor(overlaps, dtype=torch.float64)
by_library = mean_best_overlap(truth, segmentation)
torch.testing.assert_close(by_hand, by_library, atol=1e-5, rtol=0)
print("sixteen scenes: by hand equals the library")

# %% [markdown]
# ## The table
#
# Made from the records of the runs in `data/results`, each with its command. A Gaussian mixture on raw pixels is what
# clustering does without learning; untrained slots show what the architecture gives for free.

# %%
Markdown(discovery.showcase_table())

# %% [markdown]
# The trained model is ahead of the mixture on raw pixels on every metric. And the renders of another program (Blender, with
# CLEVR's own assets), which it never saw, it takes apart as well as ours. The record also has the scores of the decoder's
# masks alone, before the pixel has its say:

# %%
record_of_results = results.read_record(record["name"])
for scores in record_of_results["scores"]:
    label = results.Protocol.of(scores).title("discovery")
    alone = scores["decoder_masks"]
    numbers = f"FG-ARI {alone['fg_ari']:.3f}, mBO {alone['mbo']:.3f}"
    print(f"{label}: {numbers} by the decoder's masks alone")

# %% [markdown]
# And this model, scored now, on as many scenes as the profile allows. One seed is one sample: the table of a
# comparison needs several, and this is none.

# %%
shown = test.subset(range(profile.shown_scenes))
segmentation = discovery.segment(trained, shown)
scores = discovery.score(shown, segmentation)
titles = discovery.SCORE_TITLES
print(", ".join(f"{title} {scores[name]:.3f}" for name, title in titles.items()))

# %% [markdown]
# ### Several starts
#
# Where an error is left, it is most often this: two objects in one slot, while another slot stays empty. You know that from
# [notebook 01](01_em_gaussian_mixtures.ipynb): EM ends in the optimum next to its start, and what one does about it is to
# start several times and keep the most likely end. Slots start at random too, and the pixels' likelihood needs no labels.
#
# **Predict first.** Is the most likely of several starts also the best one, by the true masks?


# %%
def score_shown(**options):
    return discovery.score(shown, discovery.segment(trained, shown, **options))


for starts in (1, 2, 4, 8):
    several = score_shown(starts=starts)
    print(f"best of {starts}: FG-ARI {several['fg_ari']:.3f}, mBO {several['mbo']:.3f}")

# %% [markdown]
# The table above has the same on all test scenes. It costs what it says: eight starts take eight times as long. And it is
# another protocol than the papers', which start once; compare like with like.
#
# ### Is every slot worth its price?
#
# The other error is its mirror image: two slots share one object, because there was a slot to spare. The likelihood does not
# mind. Notebook 01 met this too, as the question how many components a mixture needs, and answered with BIC: a component has
# to raise the log-likelihood by half a $\log N$ for each of its numbers, or it is not worth having. Here $N$ is the number of
# pixels. How many numbers does a slot choose? A decoder has no such count; we say five, two for where and three for the colour.

# %%
price = discovery.slot_penalty(*shown.size)
print(f"price of a slot at {size} pixels a side: {price:.1f} nats")
six = shown.batch(slice(0, 6)).images
noise = trained.start_noise(6, torch.Generator().manual_seed(0))
with torch.no_grad():
    painted = trained(six, noise=noise)
log_joint = painted.log_joint(six)  # (B, K, H, W)
log_densities = log_joint - painted.log_masks

# %% [markdown]
# How much does each of six pictures lose, in nats, without a slot? What is left of the masks is shared out anew.

# %%
num_slots = log_joint.shape[1]
for slot in range(num_slots):
    others = torch.arange(num_slots) != slot
    log_masks = painted.log_masks[:, others].log_softmax(dim=1)
    without = log_masks + log_densities[:, others]
    loss = (log_joint.logsumexp(dim=1) - without.logsumexp(dim=1)).sum(dim=(1, 2))
    print(f"without slot {slot}:", " ".join(f"{value:9.1f}" for value in loss))
left = discovery.select_slots_by_bic(painted, six).kept.sum(dim=1)
print("slots left:    ", " ".join(f"{count:9d}" for count in left))

# %% [markdown]
# Each column is a picture. The ground costs tens of thousands of nats to lose, an object a hundred or some hundreds. A slot
# that paints nothing costs about nothing, and may even be a gain: the others' masks were a little smaller for it.
# `select_slots_by_bic` takes away the cheapest, computes the rest again, and stops when the next would cost more than its price.
# It uses no label.
#
# **Predict first.** Halves of objects vanish. FG-ARI must rise. Can mBO?

# %%
for starts in (1, 8):
    for selection in ("all", "bic"):
        chosen = score_shown(starts=starts, selection=selection)
        numbers = f"FG-ARI {chosen['fg_ari']:.3f}, mBO {chosen['mbo']:.3f}"
        print(f"{starts} starts, {selection}: {numbers}, ARI {chosen['ari']:.3f}")

# %% [markdown]
# Both rise. With both remedies of notebook 01, several starts and a price, the same network finds clearly more objects whole;
# the table above has all test scenes ("slots by BIC"). ARI with background hardly moves: the outlines of objects, and the
# shadows that slots take with them, stay as they are. A word of warning: the price is a guess, and on scenes with very small
# objects it would take them away.
#
# ### How many slots?
#
# All slots share one learned start, so their number is free when the model is used: it trained with six and is scored
# with seven.
#
# **Predict first.** What goes wrong with fewer, what with more, and which metric will see it?

# %%
for count in (4, 5, 6, 7, 8, 10):
    by_count = score_shown(num_slots=count)
    numbers = f"FG-ARI {by_count['fg_ari']:.3f}, mBO {by_count['mbo']:.3f}"
    print(f"{count:2} slots: {numbers}")

# %% [markdown]
# With too few, objects have to share a slot, and both metrics fall. With one more, mBO still rises, since the best
# piece of a cut object fits it well. FG-ARI sees the cuts: it gains as long as objects were missing a slot, and turns down
# when most of the new slots are spare. (Fewer scenes, as on the `ci` profile, make a rougher picture.)
#
# ## Where it fails
#
# The four worst of these scenes by mBO. Look for small objects that no slot took, two objects in one slot, an object
# cut in two, and objects that the edge of the picture cuts off.

# %%
overlap = mean_best_overlap(shown.masks.long(), segmentation)
worst = overlap.argsort()[:4]
maps = {"true": shown.masks[worst].long(), "slots": segmentation[worst]}
show(
    figures.comparison_figure(shown.batch(worst).images, maps),
    alt="The four test scenes with the lowest mBO: input, true masks, and the slots' "
    "masks.",
)
print("their mBO:", " ".join(f"{value:.2f}" for value in overlap[worst]))

# %% [markdown]
# How does it depend on the size of an object? Each true object's best overlap, sorted into four equal groups by its
# pixels.

# %%
sizes = []
overlaps = []
for true_map, found in zip(shown.masks.long(), segmentation, strict=True):
    for label in true_map[true_map > 0].unique():
        own = (true_map == label).long()
        sizes.append(own.sum())
        overlaps.append(best_overlap(own, found))
sizes = torch.stack(sizes)
overlaps = torch.tensor(overlaps)
for group in sizes.argsort().chunk(4):
    low, high = sizes[group].min(), sizes[group].max()
    mean = overlaps[group].mean()
    print(
        f"{low:4d} to {high:4d} pixels: mean best overlap {mean:.2f} "
        f"({len(group)} objects)"
    )

# %% [markdown]
# ## How it fails
#
# You will meet these when you train your own. Each column is a run of the table of choices, from the checkpoint that its
# command left; the flag is the column's name, the seed 0.

# %%
FAILURES = ("random-start", "bare", "bare-one-pixel")
gallery = datasets.load("clevr6", split="test", size=32).subset(range(5))
gallery_images = gallery.batch(slice(None)).images
maps = {"true": gallery.masks.long()}
notes = {}
for name in FAILURES:
    run_name = f"variant-{name}-mixture-clevr6-laptop-seed0"
    maps[name] = discovery.segment(checkpoints.load(run_name).model, gallery)
    its_record = results.read_record(run_name)
    scores = results.find_scores(its_record, "clevr6")
    notes[name] = f"{scores['fg_ari']:.2f} / {scores['mbo']:.2f}"
    print(its_record["command"])
show(
    figures.comparison_figure(gallery_images, maps, notes),
    alt="Five scenes and their true masks; three columns of failures, with FG-ARI and "
    "mBO on all test scenes: a few slots that take all, ground cut into regions, and "
    "masks like noise.",
)

# %% [markdown]
# - **One slot takes all** (`random-start`). You see one slot with nearly everything, and others that never own a pixel. In
#   many dimensions a cluster that starts a little better wins, and the losers get no gradient to learn from. *Cure:* start as
#   clustering, and look at the slots' weights before the first step.
# - **The background splits** (`bare`). Objects are found by half, and here and there the ground is cut into regions by place
#   (the fourth scene; not in every run). Nothing says that ground is one thing, and spare slots are free. *Cure:* shares in
#   the masks, a slot less in training, a price; and report more than FG-ARI, which cannot see it.
# - **Collapse** (`bare-one-pixel`). All slots paint the same grey average, and the masks are noise. Equal slots get equal
#   gradients, and a blend of equals is as good as one that is right. *Cure:* the likelihood, shares, a decoder that sees its
#   surroundings; and patience: some such runs wake up late.
# - **An object is cut in two, or two share a slot.** You have met these: too many slots in training, or an unlucky start.
#
# - **Position slicing.** Slots cut every picture into the same cells, whatever is in it. You can see it before the first step:
#   below are untrained slots, all from the same start, and `contrast` says how far the encoder stretches the pixels beside
#   their positions. *Cause:* position drowns colour, which it does with torch's default weights too. *Cure:* stretch the
#   pixels, start the convolutions at He's scale, or let training find the colours.
#
# **Predict first.** How alike are the maps of two different pictures? The number is the ARI of one with the other.

# %%
from dataclasses import replace

usual = discovery.DiscoveryRun(profile=profile.name, size=32).config


def untrained_owners(contrast):
    untrained = discovery.build_model(replace(usual, contrast=contrast), seed=0)
    start = untrained.start_noise(1, torch.Generator().manual_seed(0))
    noise = start.expand(len(gallery), -1, -1)  # the same start for all pictures
    with torch.no_grad():
        found = untrained.find_slots(gallery_images, noise=noise)
    return discovery.enlarge_owners(found.responsibilities.argmax(dim=2), gallery.size)


# %% [markdown]
# With the usual contrast, and with a hundredth of it:

# %%
maps = {"true": gallery.masks.long()}
notes = {}
alike = {}
for contrast in (4.0, 0.04):
    name = f"contrast {contrast:g}"
    maps[name] = untrained_owners(contrast)
    alike[name] = adjusted_rand_index(maps[name][1:], maps[name][:-1]).mean()
    notes[name] = f"alike: {alike[name]:.2f}"
show(
    figures.comparison_figure(gallery_images, maps, notes),
    alt="Five scenes, their true masks, and the owners of cells before training. With "
    "the usual contrast maps differ from picture to picture, with little contrast all "
    "are the same cells.",
)
assert alike["contrast 0.04"] > alike["contrast 4"] + 0.3

# %% [markdown]
# And yet `quiet-colours`, trained from there, is *ahead* of the complete run in the table of choices. Cells that lie side by
# side are no bad start for finding things that lie side by side, and a thousand steps are enough to learn to see colours. One
# seed; but it is a reason not to believe every story about why something must fail, ours included.
#
# One more needs no training: ask for too few iterations, or for far too many.
#
# **Predict first.** The model trained with four. What happens at one? At sixteen?

# %%
counts = (1, 2, 3, 4, 6, 8, 12, 16)
small_set = test.subset(range(32))
small_images = small_set.batch(slice(None)).images
noise = trained.start_noise(32, torch.Generator().manual_seed(0))
by_iterations = {"FG-ARI": [], "mBO": []}
for count in counts:
    with torch.no_grad():
        one = trained(small_images, noise=noise, num_iterations=count)
    owners = one.responsibilities(small_images).argmax(dim=1)
    scores = discovery.score(small_set, owners)
    by_iterations["FG-ARI"].append(scores["fg_ari"])
    by_iterations["mBO"].append(scores["mbo"])

# %% [markdown]
# As curves, then as numbers:

# %%
curves = {metric: {"SMM": values} for metric, values in by_iterations.items()}
show(
    figures.metrics_figure(curves, counts, "iterations", mark=4),
    alt="FG-ARI and mBO of 32 test scenes by the number of iterations, with a mark at "
    "the four that it trained with.",
)
for metric, values in by_iterations.items():
    pairs = zip(counts, values, strict=True)
    print(metric, ", ".join(f"{count}: {value:.2f}" for count, value in pairs))

# %% [markdown]
# One round is far too few, and so are two. From four on nothing much changes: this model has found a place to rest, and far
# too many rounds do it no harm. Others are not so lucky: if yours gets worse after the number that it trained with, its
# updates drift, and it should train with more.
#
# ## Out of the distribution
#
# The same model on scenes that it was not trained for: more objects, other pairs of colour and shape, towers, textures, a
# mirror, another renderer, and the few official pictures at hand.
#
# **Predict first.** Which will be hardest? More objects than it ever saw, or textures?

# %%
columns = {"fg_ari": "FG-ARI", "mbo": "mBO", "ari": "ARI with background"}
columns |= {"merged": "merged", "split": "split", "missed": "missed"}
rows = [["scenes", "images", "slots", *columns.values()]]
for scores in record_of_results["scores"]:
    scenes = results.Protocol.of(scores).title("discovery")
    numbers = [f"{scores[name]:.2f}" for name in columns]
    rows.append([scenes, str(scores["images"]), str(scores["num_slots"]), *numbers])
Markdown(results.markdown_table(rows))

# %% [markdown]
# - The pairs of colour and shape of CoGenT's condition B score as the test split does. That had to be: this model trained on
#   all pairs. They are new only to one that trained on condition A (`--data cogent-a`), and no such run is here yet.
# - More objects cost little, as long as there are slots for them; in a crowd, where objects hide each other, mBO falls.
# - Blender's renders and the official pictures, five of them, are no harder than our own.
# - Towers: FG-ARI falls. Objects that stand on each other are merged a little more often, and split twice as often.
# - A mirror is an object to this model, or several: see the ARI with background.
# - Textures are the end of it. The model explains colour by place; a checked floor is many colours. FG-ARI of 0.6 sounds
#   fair: mBO says that the masks are worth nothing. Further down are models that trained on textures.
#
# ## SMM against Slot Attention
#
# One table says which is better, if runs of both exist with several seeds and everything else equal. It is made from the
# records of such runs:

# %%
Markdown(discovery.full_comparison_report())

# %% [markdown]
# Read the first table aloud. SMM as the paper has it, with means *and* variances in its slots, is ahead of Slot Attention in
# FG-ARI and in mBO, by several times what seeds differ. Is it only that such slots hold twice as many numbers? Slot Attention
# with slots twice as wide says: in part. It closes about a third of the gap, and the rest lies beyond what seeds differ. And
# SMM with slots reduced to the width of Slot Attention's is not ahead: two of its seeds have more mBO, one has less of
# everything, and the spread swallows the difference. So here it pays to tell the decoder how wide a cluster is, and more than
# to give it as many numbers of another kind; that the mixture pays by itself is not shown.
#
# Now look for "best of 8 starts, slots by BIC" among the data of other kinds. With both remedies Slot Attention gains far more
# than SMM, and most of the lead is gone. So what SMM does better is mainly this: from a single start it less often ends with
# two objects in one slot. Where you can afford eight starts, the choice of the module matters less than the remedies do.
#
# On textures, trained on them, neither is good, and in the one run of each Slot Attention has more mBO. The paper claims better
# FG-ARI for SMM on ClevrTex, at full size; our networks are small and our runs short, and one seed shows nothing.
#
# And what the table does not show. All runs are short: the long run above started as `mixture` does, and still gained for many
# more thousand steps. The recipe, from the loss to the slots' start, was found in trials with SMM; Slot Attention got a
# learning rate of its own, from the small search in the last table, which its wider version shares, and nothing else.
# Three seeds are three. On textures there is one run of each: a hint.
#
# `smm-tutorial train discovery --kind comparison --slots attention --profile laptop --size 48 --steps 6000 --seed 0 --keep`
# makes a row's run, for the contestants `attention`, `attention-wide`, `mixture-reduced` and `mixture` and any seed; with
# `--profile gpu` and without `--size` and `--steps`, the same comparison at 64 pixels on a GPU.

# %% [markdown]
# ## Summary
#
# - An autoencoder with a set of slots as its bottleneck finds objects from pixels alone.
# - A mixture in many dimensions collapses if keys and values start unrelated; started as clustering, it learns at once.
# - Pixels are a mixture too: a likelihood that wants each pixel painted by one slot, masks that start from the slots'
#   weights, and an E-step that lets the pixel decide.
# - FG-ARI cannot see what masks do outside the objects; mBO can. Report both.
# - Several starts, and slots that must be worth their price: EM's old remedies mend much of what is left, without labels.
# - SMM's slots of means and variances beat Slot Attention's by more than seeds differ, from a single start, even where those
#   are as wide; after the remedies little of the lead is left.
#
# ## Further reading
#
# - [Locatello et al. 2020](https://arxiv.org/abs/2006.15055): the experiment at full size, 128 pixels and 500,000 steps;
#   its appendix has the architecture's every number.
# - [Kirilenko et al. 2024](https://arxiv.org/abs/2311.04640): the Slot Mixture Module, compared with slot attention on this
#   task and three others.
# - [Greff et al. 2019](https://arxiv.org/abs/1903.00450), IODINE: the likelihood of this notebook, with a slower way to
#   infer the slots.
# - [Watters et al. 2019](https://arxiv.org/abs/1901.07017): why a slot is broadcast over space, rather than grown from a point.
