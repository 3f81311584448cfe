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
# **What you will do.** Write an autoencoder around the Slot Mixture Module (SMM) as a torch module of thirty lines. Write
# the loop that trains it. Train it on pictures alone, look at what its slots hold, and change pictures through the slots.
#
# **What you will be able to do.** Write the model, its loss and its training loop from memory. Read the masks of a
# trained model. Take an object out of a picture, move it, and put it into another picture.
#
# **What you need.** Convolutions and a training loop in torch. [Notebook 03](03_slot_mixture_module.ipynb) derives the
# slot module; you can also use it here without the derivation.
#
# **Minutes.** Laptop 90, GPU 80.

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
# The model has four parts.
#
# 1. An **encoder** turns the image into many vectors, the *inputs*. Each input describes one small cell of the image.
# 2. A **slot module** shares the inputs out among a few *slots*.
# 3. A **decoder** lets each slot paint a whole picture, alone.
# 4. A **mixture** makes one picture of all the paintings.
#
# The loss compares the result with the image, pixel by pixel. No label says "object". Why should the slots find objects?
# Each slot is a short vector, and it must paint its part alone. An object of one colour and one shape needs few
# numbers. A part of two different objects needs more.
#
# | symbol | meaning | in this notebook |
# | --- | --- | --- |
# | $B$ | images in a batch | `B` in comments on shapes |
# | $N$ | inputs of an image, one per cell of a grid | `N` |
# | $K$ | slots | `K` |
# | $D$ | numbers in a slot | `D` |
# | $x_c$ | a pixel's value in colour channel $c$ (red, green or blue), from 0 to 1 | `images` |
# | $y_{kc}$ | what slot $k$ paints there | `paintings` |
# | $m_k$ | the mask of slot $k$ at this pixel; masks of all slots sum to 1 | `masks` |
# | $\sigma$ | standard deviation of a pixel around a painting, fixed | `pixel_scale` |

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
    alt="A row of boxes: image, encoder, inputs, slot module, slots, decoder, "
    "paintings and logits, mixture, image again. Each box names its shape or its "
    "number of parameters.",
)

# %% [markdown]
# ## Encoder: from pixels to inputs
#
# The encoder is a few convolutions and a *position embedding*. Slots see a *set* of inputs, without any order. So each
# input must say itself where it comes from, and the position embedding adds that.

# %%
from smm_tutorial.networks import BroadcastDecoder, ConvEncoder

images, masks = test.batch(slice(0, 6))
torch.manual_seed(0)
encoder = ConvEncoder(image_size=size, channels=32, stride=2)
inputs = encoder(images)  # (B, N, 32)
side = size // 2
print(
    f"images {tuple(images.shape)} -> inputs {tuple(inputs.shape)}: "
    f"one input per cell of a {side} x {side} grid"
)

# %% [markdown]
# ## Slots
#
# `SlotMixture` is the module of [notebook 03](03_slot_mixture_module.ipynb). It computes *responsibilities*: how much of
# each input belongs to each slot. Then it moves each slot to the inputs that it holds. It repeats these two steps a few
# times.
#
# A slot of SMM consists of the mean and the variance of its cluster. So with means of 48 numbers, a slot has 96.
# (`initialisation` and `normalisation` say how the module starts. The section "Why the start matters" explains both.)

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
found = slots(inputs, noise=noise)
responsibilities = found.responsibilities
shape = tuple(responsibilities.shape)
print(f"slots {tuple(found.slots.shape)}, responsibilities {shape}")
sums = responsibilities.sum(dim=2)  # over slots
torch.testing.assert_close(sums, torch.ones_like(sums))

# %% [markdown]
# ## Decoder: every slot paints alone
#
# The decoder copies a slot to every cell of a small grid. This step is called *spatial broadcast*. Then convolutions turn
# the grid into four channels per pixel. Three channels are the slot's painting. The fourth is a *logit*: a number that
# says how much the slot claims the pixel.

# %%
decoder = BroadcastDecoder(
    slot_dim=slots.output_dim, image_size=size, channels=32, grid=size // 4
)
painted = decoder(found.slots.flatten(0, 1)).unflatten(0, (6, 7))
paintings, logits = painted[:, :, :3], painted[:, :, 3]
print(f"paintings {tuple(paintings.shape)}, logits {tuple(logits.shape)}")

# %% [markdown]
# ### Your turn: from paintings to a picture
#
# A softmax over the slots turns the logits of a pixel into masks that sum to 1. The picture is the sum of all paintings,
# each times its mask.


# %%
@exercise("discovery.compose")
def compose(paintings, logits):
    """paintings (B, K, 3, H, W), logits (B, K, H, W) -> the picture (B, 3, H, W)."""
    ...


# %% [markdown]
# ### The weight of a slot
#
# One thing is missing. A cluster of a mixture has three parts: mean, variance and *weight*. The weight is the share of the
# inputs that the slot holds. The decoder does not see the weight.
#
# This matters when two slots sit on one object. The first slot may hold nearly all of the object's inputs, the second
# hardly any. Yet their means are alike, so they paint alike. The cure comes from mixtures: a mixture multiplies each
# density by its weight. We do the same and add the logarithm of the weight to the logit.
#
# The next cell does this by hand for the trained model. The result equals the picture that the model itself makes.

# %%
noise = trained.start_noise(6, torch.Generator().manual_seed(0))
with torch.no_grad():
    output = trained(images, noise=noise, return_history=True)
    painted = trained.decoder(output.slot_output.slots.flatten(0, 1))
painted = painted.unflatten(0, (6, -1))
weights = output.slot_output.weights  # (B, K), sum to 1
logits = painted[:, :, 3] + weights.log()[:, :, None, None]
torch.testing.assert_close(compose(painted[:, :, :3], logits), output.reconstruction)
largest_first = weights[0].sort(descending=True).values
print("weights in the first scene:", " ".join(f"{w:.2f}" for w in largest_first))

# %% [markdown]
# ## The model on one page
#
# Here is the whole model. Compare each line with the sections above. The slot options are the two that you know, and
# `gradient="last"`, which sends the gradient through the last iteration only (notebook 03 explains it). The number of slots may
# differ from call to call: `noise` decides it.

# %%
from torch import nn


class Autoencoder(nn.Module):
    """Encoder, slots, decoder: images (B, 3, S, S) -> paintings and log masks."""

    def __init__(self, c):  # c: the sizes, a DiscoveryConfig
        super().__init__()
        size, channels = c.image_size, c.encoder_channels
        self.encoder = ConvEncoder(size, channels, c.encoder_stride)
        sizes = c.num_slots, channels, c.slot_dim, c.num_iterations
        self.slots = SlotMixture(*sizes, **c.slot_options)
        sizes = self.slots.output_dim, size, c.decoder_channels, c.decoder_grid
        self.decoder = BroadcastDecoder(*sizes)

    def forward(self, images, noise):
        inputs = self.encoder(images)  # (B, N, channels)
        found = self.slots(inputs, num_slots=noise.shape[1], noise=noise)
        painted = self.decoder(found.slots.flatten(0, 1))  # (B K, 4, S, S)
        painted = painted.unflatten(0, noise.shape[:2])  # (B, K, 4, S, S)
        weights = found.responsibilities.mean(dim=1)  # (B, K)
        logits = painted[:, :, 3] + weights.clamp_min(1e-8).log()[:, :, None, None]
        return painted[:, :, :3], logits.log_softmax(dim=1)


# %% [markdown]
# `clamp_min` keeps the logarithm of an empty slot's weight finite.
#
# Is it the same model as the library's? We build it in the size of the trained one, copy the trained weights into it,
# and compare. The names of all parameters agree, and so do the results.

# %%
config = trained.config
by_hand = Autoencoder(config)
by_hand.load_state_dict(trained.state_dict())
with torch.no_grad():
    paintings, log_masks = by_hand(images, noise)
torch.testing.assert_close(paintings, output.reconstructions)
torch.testing.assert_close(log_masks, output.log_masks)
parameters = sum(parameter.numel() for parameter in by_hand.parameters())
print("slot options:", config.slot_options)
print(f"{parameters:,} parameters; paintings and masks equal the library's")

# %% [markdown]
# ## What to minimise
#
# The usual loss is the squared error of the composed picture. Is it the right one?
#
# **Predict first.** A pixel is grey, 0.5. Slot A paints it black, 0. Slot B paints it white, 1. Both masks are one half.
# How large is the squared error? Has either slot understood the pixel?

# %%
from torch.distributions import Normal

pixel = torch.tensor(0.5)
paints = torch.tensor([0.0, 1.0])
half = torch.tensor([0.5, 0.5])
scale = config.pixel_scale
print(f"standard deviation of a pixel around a painting: {scale}")
squared_error = (pixel - (half * paints).sum()).square()
print(f"squared error of the composed picture: {squared_error:.2f}")
densities = Normal(paints, scale).log_prob(pixel).exp()
print(f"density of the pixel under the mixture:      {(half * densities).sum():.6f}")
density_of_grey = Normal(0.5, scale).log_prob(pixel).exp()
print(f"density if a slot with mask 1 paints grey:   {density_of_grey:.6f}")

# %% [markdown]
# The squared error is 0, although both slots are wrong: black and white blend into grey. The density tells the
# difference. It is tiny for the blend and large for the slot that paints grey.
#
# So we read the decoder as what it looks like: at every pixel it is a *mixture of Gaussians*. Slot $k$ is one
# component. Its mean is the painting $y_k$, its weight is the mask $m_k$, and the standard deviation $\sigma$ is the same
# for all. The likelihood of a pixel is
#
# $$p(x) = \sum_k m_k \prod_{c=1}^{3} \mathcal N(x_c \mid y_{kc}, \sigma^2).$$
#
# Take the logarithm of one term of the sum, and leave out the constant $-\tfrac32 \log(2\pi\sigma^2)$, which no slot can
# change. What remains is the *log joint* of slot and pixel:
#
# $$\ell_k = \log m_k - \frac{1}{2\sigma^2} \sum_c (x_c - y_{kc})^2, \qquad \log p(x) = \log \sum_k e^{\ell_k} + \text{constant}.$$
#
# If one slot has mask 1, then $\log p(x)$ is $-\frac{1}{2\sigma^2}$ times a sum over three channels. We multiply by
# $-\frac{2\sigma^2}{3}$. Then the loss of such a pixel is exactly its mean squared error, so the two losses can be
# compared. (IODINE, see Further reading, trains on this likelihood.)
#
# ### Your turn: the loss


# %%
@exercise("discovery.pixel_loss")
def pixel_loss(images, paintings, log_masks, scale):
    """-(2 scale^2 / 3) times the mean of log p(x) over all pixels, as above.

    images (B, 3, H, W), paintings (B, K, 3, H, W), log_masks (B, K, H, W) -> ().
    """
    ...


# %% [markdown]
# On six test scenes, the loss by hand equals the library's loss. Compare it with the squared error.

# %%
loss = pixel_loss(images, paintings, log_masks, scale)
theirs = discovery.reconstruction_loss(output, images)
torch.testing.assert_close(loss, theirs["loss"])
print(f"loss {loss:.5f}, squared error {theirs['squared_error']:.5f}")

# %% [markdown]
# ### Who is responsible for a pixel?
#
# Every mixture has an E-step, and this one has it too. Once a pixel is seen, the responsibility of slot $k$ for it is
# $e^{\ell_k} / \sum_j e^{\ell_j}$. We draw *masks after the E-step* in this course. The masks before it, $m_k$, are
# called the *decoder's masks*.
#
# **A warning.** Masks after the E-step use the colour of the pixel itself. The papers score the decoder's masks. So
# compare only numbers of the same kind. The records hold both kinds, and tables say which one they show.

# %%
squares = (paintings - images[:, None]).square().sum(dim=2)  # (B, K, H, W)
log_joint = log_masks - squares / (2 * scale**2)
torch.testing.assert_close(
    log_joint.softmax(dim=1), output.responsibilities(images), atol=1e-4, rtol=1e-3
)
before = log_masks.argmax(dim=1)
after = log_joint.argmax(dim=1)
changed = (before != after).float().mean()
print(f"the E-step changes the owner of {changed:.1%} of the pixels")

# %% [markdown]
# ## The training loop
#
# The loop has few lines. In each step it
#
# 1. draws a batch of images, and turns half of them into mirror images;
# 2. draws the noise from which the slots start;
# 3. computes the loss, and adds a small price for slots other than the largest (the section "Who paints the ground?"
#    explains it);
# 4. follows the gradient, whose norm is cut off at `clip_norm`.
#
# The learning rate grows over the first steps and then falls to zero along half a cosine. The noise has six slots,
# although the model has seven. The section "Train it, live" says why.

# %%
from smm_tutorial import training


def train_by_hand(model, images, plan, scale, price=0.001, num_slots=6):
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    for step in range(plan.steps):
        generator = training.step_generator(plan.seed, step)
        chosen = torch.randint(len(images), (plan.batch_size,), generator=generator)
        turned = torch.rand(plan.batch_size, 1, 1, 1, generator=generator) < 0.5
        shape = (plan.batch_size, num_slots, model.slots.slot_dim)
        noise = torch.randn(shape, generator=generator)
        batch = torch.where(turned, images[chosen].flip(3), images[chosen])
        paintings, log_masks = model(batch, noise)
        largest = log_masks.exp().mean(dim=(2, 3)).amax(dim=1).mean()  # a share
        now = discovery.price_of_step(price, step, plan.steps)
        loss = pixel_loss(batch, paintings, log_masks, scale) + now * (1 - largest)
        rate = plan.learning_rate * training.learning_rate_factor(step, plan)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm)
        optimizer.step()
    return loss.item()


# %% [markdown]
# The library's loop does the same. It also saves its state, so that a stopped run can go on, and it uses a GPU if there
# is one. Is it really the same? We train twelve steps with each, from the same weights. The parameters must agree.

# %%
run = discovery.DiscoveryRun(profile="ci", steps=12, precision="32-true")
small = datasets.load("clevr6", split="train", size=run.config.image_size)
theirs, _ = discovery.train(run, progress=False)
ours = Autoencoder(run.config)
ours.load_state_dict(discovery.build_model(run.config, run.seed).state_dict())
last = train_by_hand(ours, small.batch(slice(None)).images, run.training, scale)
ours_after, theirs_after = ours.state_dict(), theirs.state_dict()
for name, value in theirs_after.items():
    torch.testing.assert_close(ours_after[name], value, atol=1e-5, rtol=1e-3)
print(
    f"{len(theirs_after)} tensors agree after {run.steps} steps; last loss {last:.4f}"
)

# %% [markdown]
# From here on we use the library's loop.
#
# ## Why the start matters
#
# An SMM is a mixture of Gaussians in 48 dimensions. A density in 48 dimensions is a product of 48 factors. So a cluster that
# fits slightly better in each dimension wins by a large factor, and takes nearly all inputs.
#
# Torch's random weights make this worse. The module compares inputs by their *keys* and computes means and variances from
# their *values*. Keys and values are two linear maps of the input. With random weights the two maps are unrelated. Then
# the variance of the values says nothing about distances between keys, by which it is divided.
#
# The remedy is to start as plain clustering: `initialisation="clustering"` sets both maps to the same rotation, and makes
# the neural update nearly the identity. `normalisation="inputs"` normalises the inputs, and leaves the means as they are.
#
# **Predict first.** The next cell prints the weights of an untrained module after each of four iterations, sorted, as a
# mean over six images. The first module has torch's random weights. The second one starts as clustering. How many slots
# will hold more than 5 % of the inputs at the end, in each?


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
    held = (by_iteration[-1] > 0.05).sum()
    print(f"  slots that hold more than 5 %: {held}")

# %% [markdown]
# With random weights, one or two slots take nearly all inputs. A slot that holds nothing is not used in the picture, so it
# hardly gets a gradient, and it cannot learn. Started as clustering, most slots keep a part of the inputs. All models of
# this notebook start this way.
#
# ## Train it, live
#
# `discovery.train` runs the library's loop with the recipe of this course. A `DiscoveryRun` holds the choices that may
# differ between runs. On a laptop this run takes small pictures and a twentieth of a full run's steps. **It takes two to
# five minutes on a laptop**, and shows a progress bar.
#
# The run trains with six slots, and the model is tested with seven. Why? With a spare slot, the loss gets smaller when two
# slots share one large object. So the model would learn to cut objects in two. With six slots it cannot afford that in
# crowded scenes, where every slot has work to do.

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

# %% [markdown]
# Two scores on 32 test scenes show how well the masks fit the true objects. **FG-ARI** compares the grouping of pixels,
# on pixels of true objects only. **mBO** asks for each object how well the best slot overlaps with it. Both are 1 for
# perfect masks. The next notebook, [Judging slots](06_judging_slots.ipynb), defines both and shows what they miss.

# %%
titles = {"fg_ari": "FG-ARI, 32 test scenes", "mbo": "mBO, 32 test scenes"}
show(
    figures.log_figure(result.log, titles),
    alt="Two curves over the steps of the live run: FG-ARI and mBO on 32 test scenes.",
)
best = max((entry for entry in result.log if "mbo" in entry), key=lambda e: e["mbo"])
print(f"best mBO {best['mbo']:.2f} at step {best['step']:,} of {result.step:,}")

# %% [markdown]
# The film shows five of these scenes during training. Each colour is a slot. Slots have no fixed order, so an object
# may change its colour between frames. Only one thing counts: does the object have a colour of its own?

# %%
steps_seen = [entry["step"] for entry in result.log if "fg_ari" in entry]
frames = dict(zip(steps_seen, snapshots, strict=True))
live_images = live_test.batch(range(5)).images
figures.show_film(
    figures.training_frames(live_images, frames),
    alt="Five scenes and the owner of each pixel, at eight or nine moments of the "
    "live run, one after the other.",
)

# %% [markdown]
# The same frames side by side. The heading of a column is the step:

# %%
chosen = list(frames)[: max(1, len(frames) - 1)] if len(frames) > 8 else list(frames)
columns = {f"step {step:,}": frames[step] for step in chosen}
show(
    figures.comparison_figure(live_images, columns),
    alt="The frames of the film side by side: one row per scene, one column per "
    "moment of training.",
)

# %% [markdown]
# ## The trained model
#
# The committed checkpoint comes from the same program with larger pictures and more steps. Its record tells the command,
# the number of steps, and how long they took.

# %%
steps, minutes = record["step"], record["minutes"]
hardware = results.describe_hardware(record)
seed = record["training"]["seed"]
print(record["command"])
print(f"{steps:,} steps, {minutes:.0f} minutes on {hardware}, seed {seed}")

# %% [markdown]
# ### Who paints the ground?
#
# The slot of an object may also paint a strip of ground around the object. The likelihood allows that: any slot can paint
# ground. But such masks are too large.
#
# The remedy is the *price* in the training loop. The loss counts the share of the picture that lies outside the largest
# slot, times 0.001. The largest slot is usually the ground's. So a slot must reduce the error by more than the price if it
# wants to keep a pixel. The price is 0 in the first quarter of the run. Then it grows, and it is complete at the half.
#
# **Predict first.** The price never looks at labels. What should it do to FG-ARI, to mBO, and to the ARI over all pixels,
# background included?

# %%
curves = {
    "owned": "share outside the largest slot",
    "fg_ari": "FG-ARI",
    "mbo": "mBO",
    "ari": "ARI with background",
}
show(
    figures.log_figure(record["validation"], curves),
    alt="Four curves over training, on validation scenes: the share of the picture "
    "outside the largest slot, FG-ARI, mBO, and ARI with background.",
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
# One would expect larger mBO and ARI, and the same FG-ARI: FG-ARI does not see the ground. The curves do not show it. Single
# readings differ by more than the price moves them. So this run proves nothing about the price. The next table has a
# run without it.
#
# ### What does each choice buy?
#
# We have made six choices. Each row of the next table is a short run on small pictures with one choice taken back:
#
# | row | without |
# | --- | --- |
# | `no-price` | the price |
# | `no-share` | the weights of slots in the masks |
# | `squared-error` | the likelihood; the loss is the squared error |
# | `no-fewer-slots` | the spare slot at test; it trains with seven slots |
# | `quiet-colours` | the stretched colours at the encoder's input |
# | `random-start` | the start as clustering; it has torch's random weights |
# | `bare` | four of these choices at once, but it starts as clustering |
# | `bare-one-pixel` | the same four, and its decoder sees one pixel at a time |
#
# **Predict first.** Which row has the lowest FG-ARI?

# %%
from IPython.display import Markdown

Markdown(discovery.ablation_table())

# %% [markdown]
# `bare-one-pixel` finds nothing. Without weights in the masks, or with a spare slot in training, the model has hardly begun
# after a thousand steps. The random start is behind, too.
#
# Two rows surprise. The squared error is *not* worse than the likelihood after a thousand steps. And `quiet-colours` is ahead
# of the complete run. So the argument for the likelihood above is only an argument: this table does not support it.
#
# Each row is one seed and a thousand steps, so only large differences mean something.
#
# ## What each slot paints

# %%
show(
    figures.decomposition_figure(images, output),
    alt="Six test scenes, one per row: the input, the reconstruction, the owner of "
    "each pixel, and then what each slot paints where its mask is large.",
)

# %% [markdown]
# The reconstruction is a little soft. In the third column each object should have a colour of its own, and the ground
# one colour. The other columns show the paintings of single slots on white. Some slots are empty: with seven slots and
# three to six objects, there are more slots than needed. Their weights, printed above for the first scene, are near 0.
#
# ## Change a picture through its slots
#
# If a slot holds an object, we can take the object out, put it into another scene, or move it. To move it we must know how
# a slot encodes *where* the object is.
#
# We fit this with least squares. For each slot that holds an object we know two things: its vector, and the centre of its
# mask. The fit finds one direction in the space of slots for "down" and one for "right". It uses no labels.

# %%
fitted_scenes = train.batch(slice(0, 256)).images
noise = trained.start_noise(256, torch.Generator().manual_seed(0))
with torch.no_grad():
    seen = trained(fitted_scenes, noise=noise)
held, _ = discovery.find_object_slots(seen, fitted_scenes)  # (B, K)
vectors = seen.slot_output.slots[held]  # (M, D): one row per object
places = discovery.mask_centres(seen.masks)[held]  # (M, 2): down, right
vectors = vectors - vectors.mean(dim=0)
places = places - places.mean(dim=0)
fit = torch.linalg.lstsq(places, vectors).solution  # (2, D)
explained = 1 - (vectors - places @ fit).square().sum() / vectors.square().sum()
print(
    f"{len(vectors)} objects; their place explains {explained:.0%} of what differs "
    "between their slots"
)

# %% [markdown]
# The library's `fit_position_directions` does this fit, and we use its directions below.
#
# **Predict first.** Add the direction for "right" to one slot, times a tenth of the picture, and decode. Does the object
# move? By how much? What happens to its neighbours?

# %%
from smm_tutorial.slots import SlotOutput

directions, _ = discovery.fit_position_directions(trained, train.subset(range(256)))
few_images = test.batch(range(16)).images
noise = trained.start_noise(16, torch.Generator().manual_seed(0))
with torch.no_grad():
    few = trained(few_images, noise=noise)
centres = discovery.mask_centres(few.masks)  # (B, K, 2), down and right


def move_right(scene, number):
    slot_output = few.slot_output
    one = SlotOutput(slot_output.slots[[scene]], slot_output.responsibilities[[scene]])
    moved = discovery.move_slot(
        one, (0, number), down=0.0, right=0.1, directions=directions
    )
    with torch.no_grad():
        return trained.decode(moved)


# %% [markdown]
# We do this with each slot that holds an object, one at a time. How far does its mask travel? How much do the paintings of
# the other slots change?

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
print(f"{len(travelled)} objects asked to move right by 0.10 of the picture:")
print(f"the median moves {middle:.3f}; eight of ten move {low:.3f} to {high:.3f}")
most = max(changes_of_others)
print(f"the paintings of all other slots change by at most {most:.4f}")

# %% [markdown]
# The objects move by about what was asked. The neighbours do not change, because each slot paints alone.
#
# Nobody trained the slots for this. Why are they so orderly? The decoder must paint an object at every place from one
# vector. A vector that moves along a line is an easy code for that.
#
# Now you. In JupyterLab and on Colab the next cell shows controls: choose an operation and move the sliders. Below it the
# same figure is drawn for three operations, for readers without controls.

# %%
from smm_tutorial.widgets import operating_table

pair = images[:2]
noise = trained.start_noise(2, torch.Generator().manual_seed(0))
with torch.no_grad():
    whole = trained(pair, noise=noise)
held, _ = discovery.find_object_slots(whole, pair)
slot = held[0].nonzero()[0].item()  # the first scene's first slot with an object
table = operating_table(trained, pair, whole, directions, slot)
table.slider.controls["operation"].value = "move"  # code can set the controls too
table.slider.controls["right"].value = 0.15
table.show()

# %%
operations = {
    "drop": f"drop slot {slot} of both scenes",
    "swap": f"exchange slot {slot} of the two scenes",
    "move": f"move slot {slot} of the first scene right and down",
}
for operation, title in operations.items():
    shift = {"right": 0.2, "down": 0.1} if operation == "move" else {}
    after, numbers = figures.operate_on_slot(
        trained, whole, operation, slot, directions, **shift
    )
    show(
        figures.surgery_figure(pair, whole, after, numbers, title),
        alt="Two scenes, what their slots paint, and the pictures after the "
        f"operation: {title}.",
    )

# %% [markdown]
# - **Drop.** The object is gone. The ground behind it is painted: the decoder guesses, since no input showed that ground.
# - **Exchange.** Each slot takes its object to the same place in the other scene. If one of the two slots was empty, one
#   scene just loses its object. The shadow on the ground stays behind: it belongs to the ground's slot.
# - **Move.** The object stands in another place.
#
# ## Masks over the iterations
#
# The decoder is one way to ask who owns a pixel. The slot module is the other: it has responsibilities for each cell of its
# grid.


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
    alt="Six scenes, one per row. One column per iteration shows the slots' colours, "
    "mixed by their responsibilities for each cell.",
)

# %%
from smm_tutorial.metrics import foreground_ari, mean_best_overlap


def describe_scores(owners):
    fg_ari = foreground_ari(masks, owners).mean()
    mbo = mean_best_overlap(masks, owners).mean()
    return f"FG-ARI {fg_ari:.2f}, mBO {mbo:.2f}"


by_iteration = []
for step, state in enumerate(output.slot_output.history, start=1):
    cells = attention_map(state.responsibilities, size)
    by_iteration.append(mean_best_overlap(masks, cells).mean())
    print(f"iteration {step}: {describe_scores(cells)} on these six scenes")
assert sorted(by_iteration) == by_iteration  # every iteration improves mBO
print(f"decoder's masks: {describe_scores(output.segmentation)}")
owners = output.responsibilities(images).argmax(dim=1)
print(f"masks after the E-step: {describe_scores(owners)}")

# %% [markdown]
# Every iteration improves the masks of the cells. Yet the decoder's masks are better. A cell is two pixels wide, so it
# cannot show where exactly an object ends. And some cells at the edge of an object belong to the ground's slot:

# %%
grounds = []
for owners, mask in zip(cells, masks, strict=True):
    grounds.append(owners[mask == 0].mode().values)  # the slot of this scene's ground
in_ground = cells == torch.stack(grounds)[:, None, None]
lost = in_ground[masks > 0].float().mean()
print(f"object pixels that lie in the ground's cells: {lost:.0%}")

# %% [markdown]
# ## Summary
#
# - An autoencoder whose bottleneck is a set of slots finds objects from pixels alone.
# - The model is four parts in thirty lines, and its training loop has twenty. Both equal the library's.
# - A mixture in many dimensions lets one slot take all if keys and values start unrelated. It must start as clustering.
# - Pixels are a mixture, too. The likelihood wants each pixel painted right by one slot, and the E-step gives masks.
# - The slots of this model encode places along straight lines. So objects can be moved, taken out, and exchanged.
#
# [Notebook 06](06_judging_slots.ipynb) asks how good these masks are, where they fail, and whether SMM beats Slot Attention.
#
# ## Further reading
#
# - [Locatello et al. 2020](https://arxiv.org/abs/2006.15055): the experiment at full size, 128 pixels and 500,000 steps;
#   the appendix lists every layer of the architecture.
# - [Kirilenko et al. 2024](https://arxiv.org/abs/2311.04640): the Slot Mixture Module, compared with Slot Attention on this
#   task and three others.
# - [Greff et al. 2019](https://arxiv.org/abs/1903.00450), IODINE: the likelihood of this notebook, with a slower way to
#   infer the slots.
# - [Watters et al. 2019](https://arxiv.org/abs/1901.07017): why a slot is broadcast over space before the convolutions.
