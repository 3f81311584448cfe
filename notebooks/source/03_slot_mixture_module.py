# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · The Slot Mixture Module
#
# [The source of this notebook](source/03_slot_mixture_module.py)
#
# **What you will do.** See where a mean is not enough to describe a group. Build the Slot Mixture Module (SMM) line by line: its
# steps, its gradients, its fast form. In an appendix, rebuild the differences between the paper and its released code.
#
# **What you will be able to do.** Write the module from memory. Say what each line is for. Check it against
# expectation-maximisation (EM). Make it fast, and keep its rounding
# errors small in float32.
#
# **What you need.** EM with diagonal Gaussians ([notebook 01](01_em_gaussian_mixtures.ipynb)); Slot Attention as soft
# k-means with learned parts ([notebook 02](02_kmeans_to_slot_attention.ipynb)); modules and gradients in torch. No GPU.
#
# **Minutes.** About 151: 90 to read, 59 for the exercises, 2 to run on a laptop.

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
# | $x_n$, $N$ | input number $n$ of $N$ inputs | `inputs` (B, N, D_in) |
# | $\operatorname{key}(x)$, $\operatorname{value}(x)$ | learned linear maps of an input, after a LayerNorm, without bias | `keys`, `values` (B, N, D) |
# | $\operatorname{query}(\mu)$ | learned linear map of a mean, after a LayerNorm | `queries` (B, K, D) |
# | $\mu_k$, $s_k$, $w_k$ | mean, variances and weight of slot $k$, one of $K$ slots (the paper writes $\pi_k$ for the weight) | `means`, `variances` (B, K, D), `weights` (B, K) |
# | $\mu_k^*$ | mean of all values, weighted with $\gamma_{nk}$, before the neural update | `weighted_means` |
# | $\gamma_{nk}$ | responsibility of slot $k$ for input $n$ ($r_{nk}$ in notebooks 01 and 02) | `gamma` (B, N, K) |
# | $D$ | numbers in a mean, in a key and in a value | `slot_dim` |
# | floor | a limit: no variance may be smaller | `variance_floor` |
# | $\odot$ | multiplies two vectors, number by number | `*` |
# | $\mathcal N(x \mid \mu, s)$ | density of a Gaussian at $x$, with mean $\mu$ and variances $s$ | |
# | $\propto$ | equal up to a factor | |
#
# $B$ is the number of sets or pictures in a batch. A slot *owns* an input if its responsibility for this input is the largest.

# %% [markdown]
# ## A mean is not enough
#
# Slot Attention describes a group by one vector, a mean. Is that enough? We compare two clusterings on sets with two true groups:
#
# - *soft k-means*, the clustering inside Slot Attention: it has means, and one fixed variance for all slots;
# - EM with diagonal Gaussians, the clustering inside the SMM: it has means, variances and weights.
#
# The score of a clustering is the adjusted Rand index (ARI): 1 is perfect, 0 is chance. Both methods start from the same two points. We
# run soft k-means with seven fixed variances, and keep the result with the highest ARI. So soft k-means even has an advantage.

# %%
import math

import numpy as np
import torch

from smm_tutorial.datasets import CLOUD_KINDS, two_clouds
from smm_tutorial.exercises import exercise, hint, solution
from smm_tutorial.figures import clusterings_figure, show
from smm_tutorial.metrics import adjusted_rand_index
from smm_tutorial.slots import SlotAttention, SlotMixture, as_mixture_step

# %% [markdown]
# We use the library's SMM as a tool first, and build it afterwards. With its neural parts switched off, the module *is* EM. (A later
# section checks this.) With variances and weights held `fixed` as well, it is soft k-means.
#
# The module starts with the means $\text{mean} + \text{scale} \odot \text{noise}$. Mean and scale are learned. Here we set the mean to 0 and
# the scale to 1. Then the argument `noise` gives the means at the start.

# %%
PLAIN = {"projections": "identity", "normalisation": "none", "update": "none"}


def plain_mixture(variance, **options):
    """Two slots in the plane, no neural parts; `noise` gives their start means."""
    settings = {"num_iterations": 50, "variance_floor": 1e-4} | PLAIN | options
    module = SlotMixture(2, 2, 2, **settings).double()
    with torch.no_grad():
        module.start.mean.zero_()
        module.start.log_scale.zero_()
        module.start_log_variance.fill_(math.log(variance))
    return module


# %% [markdown]
# Two functions follow: the score, and both clusterings of one set.


# %%
def ari(groups, responsibilities):
    """True groups (N,), responsibilities (1, N, K) -> ARI of the hard assignment."""
    true = torch.tensor(groups)[None, None]  # (1, 1, N), a map of one row
    found = responsibilities.argmax(dim=2)[:, None]  # (1, 1, N)
    return adjusted_rand_index(true, found).item()


def cluster(inputs, groups):
    """Inputs (1, N, 2), their true groups (N,) -> each method's output, by name."""
    start = inputs[:, [0, 1]]  # one point of each group
    how = {"noise": start, "return_history": True}
    fixed = {"variances": "fixed", "weights": "fixed"}
    variances = np.geomspace(0.02, 2, 7)
    soft = [plain_mixture(v, **fixed)(inputs, **how) for v in variances]
    best = max(soft, key=lambda out: ari(groups, out.responsibilities))
    return {"soft k-means": best, "mixture": plain_mixture(1.0)(inputs, **how)}


# %% [markdown]
# We use ten sets of each of four kinds. `two_clouds` makes them:
#
# - *apart*: two groups in different places;
# - *concentric*: a small core inside a wide halo, with one centre;
# - *cross*: a horizontal stick and a vertical stick with one centre;
# - *tilted cross*: the same cross, turned by 45 degrees.
#
# **Predict first.** For which kinds will each method find the groups?

# %%
scores = {kind: {"soft k-means": [], "mixture": []} for kind in CLOUD_KINDS}
shown = {}  # the first set of each kind
for seed in range(10):
    for kind in CLOUD_KINDS:
        points, groups = two_clouds(kind, np.random.default_rng(seed))
        inputs = torch.tensor(points)[None]  # (1, N, 2)
        ends = {}
        for name, out in cluster(inputs, groups).items():
            scores[kind][name].append(ari(groups, out.responsibilities))
            ends[name] = as_mixture_step(inputs, out.history[-1])
        shown.setdefault(kind, (points, groups, ends))

# %%
alt = """Four sets by three panels. Groups apart: both right. Core and halo: soft
k-means cuts off one side. Upright cross: both means of soft k-means are equal. In
both sets the mixture finds the groups. Tilted cross: neither finds the sticks, and
the mixture finds a core and a halo."""
show(clusterings_figure(shown), alt=alt)
for kind, both in scores.items():
    each = [f"{name} {np.mean(v):5.2f} ± {np.std(v):.2f}" for name, v in both.items()]
    print(f"{kind:12}", *each, sep="   ")
each = " ".join(f"{score:.2f}" for score in scores["concentric"]["mixture"])
print("the mixture on each of the ten concentric sets:", each)

# %% [markdown]
# The numbers are mean ± standard deviation over ten sets. The figure shows the first set of each kind. The axes are the
# two features. The colour of a point mixes the colours of the two slots by their responsibilities. A green point is *shared*: both
# responsibilities are near 1/2. In two panels of soft k-means the fixed variance is so small that the circles hide under the means.
#
# - **Apart.** There is no difference. Where means tell groups apart, soft k-means is as good.
# - **Concentric and cross.** Both groups have the same mean. In the figure, soft k-means cuts the concentric set along a line. On the
#   cross its two means are equal, because the fixed variance is large there. The mixture finds the difference between the groups: their
#   spread. Its ARI is below 1, because the groups overlap: some points could belong to either group. And in one concentric set EM ends in a bad optimum, with an ARI near 0.
# - **Tilted cross.** The mixture fails, too. In the figure it finds a core and a halo. Its covariances are diagonal, so it describes spread only along
#   the axes of the features. Along these axes both sticks have the same spread.
#
# A linear map can turn the axes. We turn the features of the tilted crosses by 45 degrees and cluster them again:

# %%
turn = math.sqrt(0.5) * torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double()
turned = []
for seed in range(10):
    points, groups = two_clouds("tilted cross", np.random.default_rng(seed))
    features = torch.tensor(points)[None] @ turn  # (1, N, 2)
    out = cluster(features, groups)["mixture"]
    turned.append(ari(groups, out.responsibilities))
print(f"mixture on turned features: {np.mean(turned):.2f} ± {np.std(turned):.2f}")
assert min(turned) > 0.5

# %% [markdown]
# Now the mixture finds both sticks. The keys of the SMM are a *learned* linear map of the inputs. So training can find such a map. (No cell
# of this notebook trains on a tilted cross.)

# %% [markdown]
# ## The same with everything learned
#
# Clustering is rarely the goal. Usually another network reads the slots and solves a task. So we train a module with two slots and a small
# network, the *head*. The module reads a set. The head reads one slot and answers a question about one group. We ask four questions:
#
# - **where, anywhere**: two groups at random places. Where are they?
# - **where, nearly known**: one group at the left and one at the right, each slightly off. Where are they?
# - **how wide**: one group at the left and one at the right. How wide is each?
# - **how wide, concentric**: a core and a halo with one centre. How wide is each?


# %%
def sets(question, count, generator, points=48):
    """Sets (count, points, 2); targets of both groups (count, 2, 2 or 1)."""
    normal = torch.randn(count, 2, 2, generator=generator)
    uniform = torch.rand(count, 2, 2, generator=generator)
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]) + 0.25 * normal
    spreads = 0.1 + 0.4 * torch.rand(count, 2, 1, generator=generator)
    if question == "where, anywhere":
        centres = 3 * uniform - 1.5
    if question == "how wide, concentric":
        centres = 0.25 * normal[:, :1].expand(-1, 2, -1)
        core = 0.05 + 0.2 * uniform[:, 0, :1]  # (count, 1)
        halo = 0.4 + 0.4 * uniform[:, 1, :1]  # (count, 1)
        spreads = torch.stack([core, halo], dim=1)
    group = torch.arange(points) % 2
    noise = torch.randn(count, points, 2, generator=generator)
    inputs = centres[:, group] + spreads[:, group] * noise
    return inputs, centres if question.startswith("where") else spreads


# %% [markdown]
# Slots have no order. So two answers can be matched with two groups in two ways. We compute the error of both ways and keep the
# smaller error.


# %%
def matched_error(said, true):
    """Mean square errors (count,) of answers (count, 2, ·), matched the better way."""
    straight = (said - true).square().mean(dim=(1, 2))
    crossed = (said - true.flip(1)).square().mean(dim=(1, 2))
    return torch.minimum(straight, crossed)


# %% [markdown]
# Both modules use the same sets, seeds, head, optimiser and number of iterations (three). Both have slots of width 8, and
# each slot learns its own start. Both modules start as a plain clustering, by the option `initialisation="clustering"`. With
# this option, keys and values are equal: a linear map turns the 2 numbers of an input into 8 numbers and keeps all distances.
# Queries are the means. The neural update moves a mean most of the way to the weighted mean.
#
# A slot of the SMM has 16 numbers: means and variances. A small network reduces these 16 numbers to 8, by the option `content="reduced"`.
# Then both modules have slots of width 8. The paper does the same for a fair comparison. With the small network, the SMM has more parameters:


# %%
def build(module_class, input_dim, answer_dim, **options):
    """A module with two slots of width 8, and the head that reads them."""
    how = {"start": "per_slot", "normalisation": "none", "initialisation": "clustering"}
    module = module_class(2, input_dim, 8, 3, **(how | options))
    head = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, answer_dim)
    )
    return module, head


# %%
for name, module_class, options in (
    ("Slot Attention", SlotAttention, {}),
    ("SMM", SlotMixture, {"content": "reduced"}),
):
    module, _ = build(module_class, 2, 2, **options)
    print(f"{name}: {sum(p.numel() for p in module.parameters()):,} parameters")

# %% [markdown]
# One training run starts with a fresh module and returns its error:


# %%
def train(
    module_class, question, seed, prepare=lambda inputs: inputs, steps=200, **options
):
    """Train a module and its head; the root mean square error on 1,000 fresh sets."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    inputs, true = sets(question, 1000, torch.Generator().manual_seed(1000))
    dims = prepare(inputs).shape[2], true.shape[2]
    module, head = build(module_class, *dims, **options)
    parameters = [*module.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for _ in range(steps):
        batch, target = sets(question, 32, generator)
        said = head(module(prepare(batch)).slots)
        matched_error(said, target).mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    with torch.no_grad():
        said = head(module(prepare(inputs)).slots)
    return matched_error(said, true).mean().sqrt().item()


# %% [markdown]
# For comparison we need the error of an answer that ignores the set. Such an answer is two constants, one per slot. Here, too, we
# match in both ways and keep the smaller error. We find the best constants like the means in k-means: match, take the means, and repeat.


# %%
def error_of_constants(question):
    """The same error for the two best constants: they ignore the set."""
    _, true = sets(question, 1000, torch.Generator().manual_seed(1000))
    said = true[0]  # one constant per slot, from the first set
    for _ in range(50):
        straight = (said - true).square().mean(dim=(1, 2))
        crossed = (said - true.flip(1)).square().mean(dim=(1, 2))
        as_they_are = (straight <= crossed)[:, None, None]
        said = torch.where(as_they_are, true, true.flip(1)).mean(dim=0)
    return matched_error(said.expand_as(true), true).mean().sqrt().item()


# %% [markdown]
# **Predict first.** For which questions will Slot Attention be as good as the SMM? For which questions will it be no better than two constants?
#
# The numbers below are relative errors: 0 is perfect, 1 is as bad as the best constants. **This cell takes one to two
# minutes**: it trains 40 small models.

# %% tags=["nbval-ignore-output"]
MODULES = {
    "Slot Attention": (SlotAttention, {}),
    "SMM": (SlotMixture, {"content": "reduced", "variance_floor": 1e-4}),
}
relative = {
    "where, anywhere": {},
    "where, nearly known": {},
    "how wide": {},
    "how wide, concentric": {},
}
for question, both in relative.items():
    for name, (module_class, options) in MODULES.items():
        errors = [train(module_class, question, seed, **options) for seed in range(5)]
        both[name] = values = np.array(errors) / error_of_constants(question)
        summary = f"{values.mean():.2f} ± {values.std():.2f}"
        each = " ".join(f"{value:.2f}" for value in np.sort(values))
        print(f"{question:21} {name:15} {summary}   seeds: {each}")

# %%
from smm_tutorial.figures import modules_figure

label = "error relative to the best constants, one mark per seed"
alt = """Error of five seeds by question and module. Places anywhere: both modules are
near 0.2. Nearly known places: some seeds of the SMM are near 1. Widths: Slot
Attention is near 1, and all seeds of the SMM are lower."""
show(modules_figure(relative, label), alt=alt)

means = {
    question: {name: values.mean() for name, values in both.items()}
    for question, both in relative.items()
}
anywhere = means["where, anywhere"]
assert abs(anywhere["SMM"] - anywhere["Slot Attention"]) < 0.1  # about as good
for question in ("how wide", "how wide, concentric"):
    assert means[question]["SMM"] < means[question]["Slot Attention"] - 0.05

# %% [markdown]
# The figure has five seeds per question and module. One mark is one seed. In each row the marks are sorted by error: the mark
# with the smallest error is at the top. The printed lines end with the five seeds, after mean ± standard deviation over seeds.
#
# - **Where, anywhere.** Both modules are about as good. A mean is the answer, and both modules have means.
# - **Where, nearly known.** Slot Attention is *better* on average, and its seeds differ little. The best seeds of the SMM are better than
#   Slot Attention. Some other seeds of the SMM have learned hardly anything. We do not know why.
# - **How wide.** Slot Attention is as bad as two constants, in every seed. So it learns nothing about the widths. The SMM is better in every
#   seed. The size of the gain differs between seeds.
# - **How wide, concentric.** Slot Attention learns a little. The SMM is better in every seed, but the difference is smaller.
#
# These are five seeds of one small setting. We chose the sizes, the learning rate and the initialisation in trials. They are the same for both
# modules and all questions. Other settings may give other results: try `initialisation="random"`, or more steps.
#
# Do more features help Slot Attention? We add the squares of the coordinates as two more features.


# %% tags=["nbval-ignore-output"]
def with_squares(inputs):
    return torch.cat([inputs, inputs.square()], dim=2)  # (B, N, 2) -> (B, N, 4)


errors = [
    train(SlotAttention, "how wide", seed, prepare=with_squares) for seed in range(5)
]
with_help = np.array(errors) / error_of_constants("how wide")
summary = f"{with_help.mean():.2f} ± {with_help.std():.2f}"
print("how wide, Slot Attention with squares as features:", summary)
assert with_help.mean() < means["how wide"]["Slot Attention"] - 0.05

# %% [markdown]
# The mean of the squares is the variance plus the square of the mean. So a mean of squares tells the spread. With the squares, Slot Attention
# is better than two constants. It is about as good as the SMM without squares: the difference between the two is smaller than the SMM's
# standard deviation over seeds. An encoder before the module can learn such features.
#
# So Slot Attention *can* learn a spread, if its features contain one. The SMM computes the spread in every iteration and uses it to cluster.
# Does that help on pictures? [Notebook 06](06_judging_slots.ipynb) measures it.

# %% [markdown]
# ## The module on one page
#
# An encoder gives $N$ inputs $x_n$. Slot $k$ has a mean $\mu_k$, variances $s_k$ (a diagonal covariance) and a weight $w_k$.
# A LayerNorm is applied to the inputs. Another LayerNorm is applied to the means before $\operatorname{query}$: so a query
# does not grow if its mean becomes longer. One iteration of the paper's section 3 is:
#
# | step | formula | known from |
# | --- | --- | --- |
# | E-step | $\gamma_{nk} \propto w_k \, \mathcal N(\operatorname{key}(x_n) \mid \operatorname{query}(\mu_k), s_k)$, sums to 1 over slots | EM |
# | weights | $w_k = \frac1N \sum_n \gamma_{nk}$ | EM |
# | weighted mean | $\mu_k^* = \sum_n \gamma_{nk}\, \operatorname{value}(x_n) \big/ \sum_n \gamma_{nk}$ | EM |
# | neural update, 1 | $\mu_k \leftarrow \mathrm{GRU}(\mu_k^*, \mu_k)$: the first argument is the input, the second is the state | Slot Attention |
# | neural update, 2 | $\mu_k \leftarrow \mu_k + \mathrm{MLP}(\mathrm{LayerNorm}(\mu_k))$ | Slot Attention |
# | variance | $s_k = \sum_n \gamma_{nk} (\operatorname{value}(x_n) - \mu_k)^2 \big/ \sum_n \gamma_{nk}$, about the *updated* $\mu_k$ | EM |
#
# The start is learned: $\mu_k = \text{mean} + \text{scale} \odot \text{noise}$ as in Slot Attention, with learned variances, and weights
# $1/K$. At the end a slot is $\mu_k$ and $s_k$, one after the other: $2D$ numbers.

# %%
from smm_tutorial.figures import slot_mixture_diagram

show(
    slot_mixture_diagram(),
    alt="Boxes and arrows, from left to right: keys, queries, old weights and old "
    "variances go into the E-step. Responsibilities and values go into the M-step. A "
    "GRU with an MLP makes the updated means from the weighted and the old means. The "
    "variances are taken about the updated means. All new numbers leave at the right.",
)

# %% [markdown]
# The diagram shows a LayerNorm for keys and another for values. In the module this is the same LayerNorm of the inputs. The next iteration
# starts with the box at the right. Now we go through the module line by line.
#
# ## The density
#
# Take two slots on a line with the *same* mean and equal weights. The second one has nine times the variance.
#
# **Predict first.** Which slot owns a key at the common mean? Which slot owns a key at 4?

# %%
from smm_tutorial.figures import density_figure

alt = """Two bell curves at 0: the narrow slot is higher and owns the middle, the wide
one owns both sides."""
show(density_figure(), alt=alt)
heights = [math.exp(-(4**2) / (2 * s)) / math.sqrt(s) for s in (1.0, 9.0)]
narrow, wide = (height / sum(heights) for height in heights)
print(f"responsibilities for a key at 4: narrow {narrow:.3f}, wide {wide:.3f}")

# %% [markdown]
# The upper panel shows weight times density. The lower panel shows the responsibilities: at each key, the two heights divided by their
# sum. The narrow slot owns the middle. The wide slot owns both sides. So it owns the key at 4.
#
# A density integrates to 1, so a narrow density must be *tall*. In the log density this is the second term:
#
# $$\log \mathcal N(x \mid \mu, s) = -\tfrac12 \sum_d \left( \frac{(x_d - \mu_d)^2}{s_d} + \log s_d + \log 2\pi
# \right) .$$
#
# $\sum_d \log s_d$ is the logarithm of the determinant of the covariance, so we call it the *log-determinant*.
#
# In JupyterLab and on Colab the next cell shows controls: move the second slot, change variance and weight, and switch the log-determinant
# off. Below the controls, a fixed figure shows the densities without the log-determinant.

# %%
from smm_tutorial import widgets

explorer = widgets.density_explorer()
explorer.slider.controls["distance"].value = 1.0  # code may move the sliders too
explorer.show()

# %%
alt = """Without the log-determinant both curves are equally high at their common mean.
Everywhere else the wide slot's curve is higher, so it owns every other key."""
show(density_figure(log_determinant=False), alt=alt)

# %% [markdown]
# Without the log-determinant, a large variance does not lower the density at the mean. So with equal weights the wide slot owns every key
# except the mean itself. The narrow slot cannot own a core. (With a larger weight the narrow slot owns some keys. Try it above.)
#
# How large is the core *with* the log-determinant? Derive the distance from the mean where both responsibilities are 1/2.


# %%
@exercise("smm.border_radius")
def border_radius(narrow, wide, weight, dim):
    """The distance from the common mean where both responsibilities are 1/2.

    Given: both variances, the narrow slot's weight, the number of features.
    """
    ...


# %% [markdown]
# Check it against the densities themselves, for a core of weight 0.3. At the border both weighted densities must be equal.

# %%
core = torch.distributions.Normal(0.0, 1.0)
halo = torch.distributions.Normal(0.0, 3.0)
for dim in (1, 2, 8, 32):
    radius = float(border_radius(1.0, 9.0, 0.3, dim))
    each = radius / math.sqrt(dim)  # in each feature
    on_border = torch.full((dim,), each, dtype=torch.float64)
    log_core = math.log(0.3) + core.log_prob(on_border).sum().item()
    log_halo = math.log(0.7) + halo.log_prob(on_border).sum().item()
    np.testing.assert_allclose(log_core, log_halo, rtol=1e-4)
    print(f"{dim:2d} features: the core ends at {radius:.2f},", end=" ")
    print(f"that is {each:.2f} in each feature")

# %% [markdown]
# The log density contains the log weight once, and one log variance per feature. So in many features the small weight of the core hardly
# changes the border.
#
# ## The E-step
#
# Three things are special in the module's E-step:
#
# - It compares *keys* with *queries*. A key is a learned linear map of an input. So training may find a map that suits
#   Gaussian groups. (No cell shows this.)
# - The variances are those of *values*, but the E-step uses them for keys. No rule makes keys and values alike. Only training can make
#   them agree.
# - It computes with logarithms until the end, as in notebook 01.


# %%
@exercise("smm.log_responsibilities")
def log_responsibilities(queries, keys, variances, log_weights):
    """-> log gamma (B, N, K), normalised over slots.

    queries, variances (B, K, D), keys (B, N, D), log_weights (B, K).
    """
    ...


# %%
generator = torch.Generator().manual_seed(0)
queries = torch.randn(1, 2, 3, generator=generator)
keys = torch.randn(1, 5, 3, generator=generator)
variances = torch.ones(1, 2, 3)
log_weights = torch.tensor([[0.3, 0.7]]).log()
gamma = log_responsibilities(queries, keys, variances, log_weights).exp()  # (1, 5, 2)
of_inputs = [f"{total:.3f}" for total in gamma.sum(dim=2)[0]]
of_slots = [f"{total:.3f}" for total in gamma.sum(dim=1)[0]]
print("an input's responsibilities sum to", *of_inputs)
print("a slot's add up to               ", *of_slots, " of 5 inputs")

# %% [markdown]
# The responsibilities of each input sum to 1 over the slots. The sum of a slot over all inputs may be large or small. This sum, divided by
# $N$, is the slot's new weight.
#
# ## Weights and weighted means


# %%
@exercise("smm.weights_and_means")
def weights_and_means(gamma, values):
    """gamma (B, N, K), values (B, N, D) -> weights (B, K), weighted means (B, K, D)."""
    ...


# %% [markdown]
# Slot Attention computes the same sums. It divides by them for its weighted mean, and does not use them again. The SMM keeps them as weights.
# The next E-step multiplies by the weights: a large weight makes responsibilities larger. The weights also show which slots are *empty*.
#
# **Predict first.** Five slots get points in two groups of 150 and 50. Three of the slots start far from any point. What will the
# weights be after 60 iterations?

# %%
rng = np.random.default_rng(3)
many = rng.normal([-2, 0], 0.3, (150, 2))
few = rng.normal([2, 0], 0.3, (50, 2))
two_groups = torch.tensor(np.concatenate([many, few]))[None]  # (1, 200, 2)
far = torch.tensor([[[0.0, 9.0], [0.0, -9.0], [9.0, 9.0]]])  # three far from any point
start = torch.cat([two_groups[:, [0, 160]], far], dim=1)  # (1, 5, 2)
five = plain_mixture(0.2)(two_groups, num_iterations=60, num_slots=5, noise=start)
weights = five.weights[0]
print("weights:", *(f"{weight:.3f}" for weight in weights))
assert weights[2:].max() < 0.01
np.testing.assert_allclose(weights[:2].detach(), [0.75, 0.25], atol=0.01)

# %% [markdown]
# Two weights are close to the sizes of the groups, 0.75 and 0.25. Each of the other three slots has one point: $1/200 = 0.005$. This is
# the collapse of notebook 01. Only the floor under the variances stops it. So a weight near zero shows a slot without a group.
#
# ## The neural update
#
# EM would now set the mean to $\mu^*$. The module does something else. A GRU decides how far the mean moves. Then an MLP adds a learned
# function of the new mean. So the mean can become a vector that is no average of values. This update is the same as in Slot Attention. The
# library's two modules share its code.

# %%
torch.manual_seed(0)
module = SlotMixture(4, 6, 8).double()
old = torch.randn(1, 4, 8).double()
weighted = torch.randn(1, 4, 8).double()
# The GRU's input is the weighted mean, its state is the old mean.
gated = module.update.gru(weighted[0], old[0])[None]  # (1, 4, 8)
by_hand = gated + module.update.mlp(module.update.norm(gated))
torch.testing.assert_close(module.update(weighted, old), by_hand)
ratio = (by_hand - weighted).norm() / (old - weighted).norm()
print("update by hand = the library")
print("after the untrained update, the distance to the weighted mean is", end=" ")
print(f"{ratio:.1f} times the distance before")

# %% [markdown]
# So the updated mean is *not* $\mu^*$. In this untrained module it is not even near $\mu^*$. This raises a question: should the variance be about $\mu^*$ or
# about the updated mean?
#
# ## The variance, about which mean?
#
# Equation 7 of the paper takes the variance about the *updated* mean. The figure shows one slot and one feature. Each black bar stands at a
# value $v_n$. A longer bar means a larger share $a_n$. The shares are the slot's responsibilities, divided by their sum over the inputs. So
# they sum to 1. The updated mean is 2.2.

# %%
from smm_tutorial.figures import two_variances_figure

values = np.random.default_rng(0).normal(1.0, 0.6, 40)
shares = np.random.default_rng(1).dirichlet(np.full(40, 3.0))
figure = two_variances_figure(values, shares, updated_mean=2.2)
alt = """Left: values around 1, the updated mean at 2.2. With the variance about the
weighted mean, the Gaussian there is too narrow to reach the values. With the variance
about the updated mean, it covers them. Right: the variance about a place c is a
parabola."""
show(figure, alt=alt)

# %% [markdown]
# Both Gaussians in the left panel are centred at the updated mean. The solid curve has the variance about the *weighted* mean. It leaves
# most values outside. The dashed curve has the variance about the updated mean, and it covers them.
#
# The right panel shows how much the two variances differ. The variance about a place $c$ is the weighted mean of $(v_n - c)^2$. As a
# function of $c$ it is a parabola, lowest at the weighted mean. Write
# $v_n - c = (v_n - \mu^*) + (\mu^* - c)$ and square. The mixed term vanishes, because $\sum_n a_n (v_n - \mu^*) = 0$:
#
# $$\sum_n a_n (v_n - c)^2 = \underbrace{\sum_n a_n (v_n - \mu^*)^2}_{\text{variance about } \mu^*} + (\mu^* - c)^2 .$$
#
# We used this identity for the inertia in notebook 01.
#
# EM asks: if the mean is held at $c$, which variance maximises the slot's expected log density? Call the left side of the identity $h$. The
# expected log density of a variance $s$ is $-\tfrac12 (h / s + \log s + \log 2\pi)$. Its derivative is $\tfrac12 (h / s^2 - 1 / s)$. The
# derivative is zero at $s = h$. So EM, too, takes the variance about $c$, and here $c$ is the updated mean.


# %%
@exercise("smm.variance_about")
def variance_about(gamma, values, means):
    """-> variances (B, K, D) about the updated means.

    gamma (B, N, K), values (B, N, D), updated means (B, K, D).
    """
    ...


# %%
gamma = torch.tensor(shares)[None, :, None]  # (1, 40, 1)
data = torch.tensor(values)[None, :, None]  # (1, 40, 1)
_, weighted_mean = weights_and_means(gamma, data)  # (1, 1, 1)
updated_mean = torch.full_like(weighted_mean, 2.2)
about_weighted = variance_about(gamma, data, weighted_mean).item()
about_updated = variance_about(gamma, data, updated_mean).item()
distance = (weighted_mean - updated_mean).item()
np.testing.assert_allclose(about_updated, about_weighted + distance**2, rtol=1e-4)
print(f"about the weighted mean {about_weighted:.2f}, the updated {about_updated:.2f}")

# %% [markdown]
# The identity holds. Next we check the derivation: hold the mean at 2.2 and compute the expected log density for many variances.


# %%
def expected_log_density(variance):
    return -0.5 * (about_updated / variance + np.log(2 * np.pi * variance))


candidates = np.geomspace(0.05, 20, 2001)
best = candidates[expected_log_density(candidates).argmax()]
np.testing.assert_allclose(best, about_updated, rtol=0.004)  # the grid's step
lost = expected_log_density(best) - expected_log_density(about_weighted)
print(f"the best of a grid is {best:.2f}")
print(f"the variance about the weighted mean would cost {lost:.2f} nats per value")

# %% [markdown]
# (A *nat* is the unit of a natural logarithm.) Here is a second reason for the updated mean. The variance about the updated mean has a second term: the
# squared distance between $\mu^*$ and the updated mean. If the network moves a mean far from $\mu^*$, then the slot gets a large variance. In
# the next E-step, its log density falls more slowly with the distance.
#
# ## The whole module, by hand
#
# Now you put one iteration together. The functions `to_queries` and `update` stand for the learned parts.


# %%
@exercise("smm.one_iteration")
def one_iteration(means, variances, weights, keys, values, to_queries, update, floor):
    """One iteration -> new means, variances (B, K, D), weights (B, K), gamma (B, N, K).

    update(weighted_means, means): the updated means; floor: the least variance.
    """
    ...


# %% [markdown]
# The whole module adds the start and the loop. It takes the learned parts from a module of the library:


# %%
def slot_mixture_by_hand(module, inputs, noise, iterations=3):
    """The paper's steps with the parameters of `module` -> slots, gamma and weights.

    inputs (B, N, D_in), noise (B, K, D) -> (B, K, 2 D), (B, N, K), (B, K).
    """
    inputs = module.norm_inputs(inputs)
    keys = module.to_keys(inputs)  # (B, N, D)
    values = module.to_values(inputs)  # (B, N, D)
    means = module.start.mean + module.start.log_scale.exp() * noise  # (B, K, D)
    variances = module.start_log_variance.exp().expand_as(means)  # (B, K, D)
    weights = torch.full_like(means[..., 0], 1 / means.shape[1])  # (B, K)

    def to_queries(means):
        return module.to_queries(module.norm_means(means))

    parts = (keys, values, to_queries, module.update, module.variance_floor)
    for _ in range(iterations):
        state = one_iteration(means, variances, weights, *parts)
        means, variances, weights, gamma = state
    return torch.cat([means, variances], dim=2), gamma, weights


# %% [markdown]
# The library's module must give the same result.

# %%
inputs = torch.randn(2, 30, 6).double()
noise = torch.randn(2, 4, 8).double()
slots, gamma, weights = slot_mixture_by_hand(module, inputs, noise)
out = module(inputs, noise=noise)
near = {"rtol": 1e-3, "atol": 1e-3}  # your functions may round in another way
torch.testing.assert_close(slots, out.slots, **near)
torch.testing.assert_close(gamma, out.responsibilities, **near)
torch.testing.assert_close(weights, out.weights, **near)
print(f"no variance may be below {module.variance_floor}, the library's default")
print("by hand = smm_tutorial.slots.SlotMixture:", end=" ")
print(tuple(slots.shape), "slots,", tuple(gamma.shape), "responsibilities")

# %% [markdown]
# The *floor* is not in the paper's text. It stops components from collapsing. (In notebook 01, `reg_covar` did this by *adding* a small
# number. The floor is a limit.) The start has learned parameters, in the paper and in the library.
#
# ### A look inside
#
# Here are the core and the halo from above, iteration by iteration.
#
# **Predict first.** The two slots start with different means and the same variance. Will they first cut the cloud into two sides, or find
# the core at once?

# %%
from smm_tutorial.slots import SlotState

points, _ = two_clouds("concentric", np.random.default_rng(0))
inputs = torch.tensor(points)[None]  # (1, N, 2)
start = inputs[:, [1, 0]]  # slot 0 becomes the core, as in the first figure
mixture = plain_mixture(1.0)
out = mixture(inputs, noise=start, num_iterations=30, return_history=True)

at_start = SlotState(
    means=start,
    responsibilities=out.history[0].responsibilities,
    variances=torch.ones_like(start),
    weights=torch.full((1, 2), 0.5),
)
steps = [as_mixture_step(inputs, state) for state in (at_start, *out.history)]

# %% [markdown]
# The start, and the slots after 1, 5 and 30 iterations:

# %%
from smm_tutorial.figures import mixture_slots_figure

seen = {
    0: "two slots side by side, both of variance 1",
    1: "two wide slots side by side, with weights 0.38 and 0.62",
    5: "nearly one centre, slot 1 is wider and owns the outer points",
    30: "slot 0 is the core, slot 1 the halo",
}
for iteration, words in seen.items():
    alt = f"""After {iteration} iterations: {words}.
    Beside it the curves of weights and of standard deviations."""
    show(mixture_slots_figure(steps, iteration), alt=alt)
    weights = " and ".join(f"{weight:.2f}" for weight in steps[iteration].weights)
    print(f"after {iteration} iterations: weights {weights}", flush=True)

# %% [markdown]
# In JupyterLab and on Colab the next cell shows a control for the iteration.

# %%
stepper = widgets.mixture_slot_stepper(steps)
stepper.slider.value = 5
stepper.show()


# %% [markdown]
# At first the slots cut the cloud into two sides: two wide slots lie side by side. The sides are unequal, with weights 0.38 and 0.62. After five
# iterations the two means are close to each other, and slot 1 is wider. So slot 1 owns the far points on all sides, and it becomes wider still.
# Slot 0 shrinks to the core.
#
# Is the log-determinant the reason? Leave it out of the E-step, and run the same loop:


# %%
def without_log_determinant(inputs, means, iterations):
    """EM, but without the log-determinant in the E-step -> weights, deviations."""
    variances = torch.ones_like(means)  # (1, K, D)
    weights = torch.full_like(means[..., 0], 0.5)  # (1, K)
    for _ in range(iterations):
        squares = (inputs[:, :, None] - means[:, None]) ** 2 / variances[:, None]
        gamma = (weights.log()[:, None] - 0.5 * squares.sum(dim=3)).softmax(dim=2)
        weights, means = weights_and_means(gamma, inputs)
        variances = variance_about(gamma, inputs, means).clamp_min(1e-4)
    return weights[0], variances[0].mean(dim=1).sqrt()


for iterations in (1, 3, 10, 30):
    weights, deviations = without_log_determinant(inputs, start, iterations)
    both = ", ".join(
        f"weight {weight:.2f}, deviation {deviation:.2f}"
        for weight, deviation in zip(weights, deviations, strict=True)
    )
    print(f"{iterations:2d} iterations without the log-determinant: {both}")

# %% [markdown]
# In this run without the log-determinant, one slot gets all the weight, and no slot is the core. So this run needs the log-determinant to
# find the core.

# %% [markdown]
# ## With the neural parts off it is EM
#
# Switch off projections, normalisation and update. Then $\mu = \mu^*$, and the variance about the updated mean is the variance about the
# weighted mean. So each formula is a formula of EM. The module must equal `GaussianMixtureEM` of notebook 01 with diagonal covariances, *step for
# step*.

# %%
from smm_tutorial.clustering import GaussianMixtureEM

equal_start = {"weights_init": [0.5, 0.5], "precisions_init": np.ones((2, 2))}
options = {"covariance_type": "diag", "tol": 0, "reg_covar": 0, "max_iter": 30}
em = GaussianMixtureEM(2, means_init=points[[1, 0]], **equal_start, **options)
em.fit(points)
for ours, theirs in zip(steps, em.history_, strict=True):
    for name in ("means", "covariances", "weights"):
        a, b = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
print("SlotMixture = GaussianMixtureEM to ten decimals, at the start", end=" ")
print(f"and after each of {len(steps) - 1} iterations")

# %%
bounds = [step.lower_bound for step in steps]
np.testing.assert_allclose(bounds, [step.lower_bound for step in em.history_])
assert (np.diff(bounds) > -1e-12).all()
print("and so the mean log-likelihood of the points never falls:", end=" ")
print(f"from {bounds[0]:.3f} to {bounds[-1]:.3f} nats")

# %% [markdown]
# With the neural parts *on*, no such guarantee exists. The update may go anywhere, and keys and values differ. The formulas are still those of
# EM. Training decides what the learned parts do with them.

# %% [markdown]
# ## Gradients through the last step
#
# Training could send gradients back through all iterations. The paper and later versions of Slot Attention do something else. Only the last
# iteration is recorded for the gradient. The earlier iterations are not recorded. This needs less memory.
#
# Why is this allowed? Let $f$ be one iteration, $\theta$ its parameters, and $\mu = f(\mu, \theta)$ a fixed point. How does $\mu$ change with
# $\theta$? Differentiate both sides with respect to $\theta$. Write $J = \partial f / \partial \mu$, and let $I$ be the identity matrix:
#
# $$\frac{d\mu}{d\theta} = J \frac{d\mu}{d\theta} + \frac{\partial f}{\partial \theta} \quad\Rightarrow\quad
# \frac{d\mu}{d\theta} = (I - J)^{-1} \frac{\partial f}{\partial \theta} = (I + J + J^2 + \dots) \frac{\partial f}{\partial \theta} .$$
#
# The series holds if all eigenvalues of $J$ are smaller than 1 in size. The gradient of the last step is $\partial f / \partial \theta$: the first
# term of the series. If one iteration makes small differences much smaller, then $J$ is small. Then the other terms matter little.
#
# The simplest way is to `detach` the slots before the last step. But this way has a flaw.
#
# **Predict first.** Means and variances are detached before the last step. Which learned parameters then get the gradient zero?


# %%
def last_step_after_detach(module, inputs, noise):
    """Two iterations without gradient, then one more with -> slots (B, K, 2 D)."""
    with torch.no_grad():
        before = module(inputs, num_iterations=2, noise=noise)
    means = before.means.detach()
    variances = before.variances.detach()
    inputs = module.norm_inputs(inputs)
    keys = module.to_keys(inputs)
    values = module.to_values(inputs)
    queries = module.to_queries(module.norm_means(means))
    log_weights = before.weights.log()
    gamma = log_responsibilities(queries, keys, variances, log_weights).exp()
    _, weighted_means = weights_and_means(gamma, values)
    means = module.update(weighted_means, means)
    variances = variance_about(gamma, values, means).clamp_min(module.variance_floor)
    return torch.cat([means, variances], dim=2)


# %% [markdown]
# We look at the gradients of all parameters of the start, and of two others.

# %%
PARAMETERS = (
    "start.mean",
    "start.log_scale",
    "start_log_variance",
    "to_keys.weight",
    "update.gru.weight_ih",
)


def gradient_norms(module, loss):
    """The norm of the loss's gradient in each of `PARAMETERS`."""
    module.zero_grad()
    loss.backward()
    gradients = {name: module.get_parameter(name).grad for name in PARAMETERS}
    return {
        name: 0.0 if gradient is None else gradient.norm().item()
        for name, gradient in gradients.items()
    }


# %% [markdown]
# With a plain detach, no gradient reaches the start. The remedy is called *straight-through*. Let `x` be the result of the
# steps so far. Before the last step, replace `x` by `x.detach() + (start - start.detach())`. The bracket is zero, so the
# number is still `x`. One part of the sum is not detached: the first `start`. So the gradient with respect to the sum goes to
# `start`.
#
# This is *not* the true gradient of the start. The true gradient also has one factor $J$ for each earlier step. Straight-through replaces each of
# these factors by the identity, as if the earlier steps copied their input.
#
# In the exercise, the last step begins at the result of the earlier steps. Differentiate the last step at this result, not at `start`. Return this
# gradient as the gradient of `start`.


# %%
@exercise("smm.refine")
def refine(step, start, iterations):
    """-> the result, detached, and the gradient of its sum that goes to `start`.

    step: a function of a tensor, to be applied `iterations` times.
    """
    ...


# %% [markdown]
# The library does this with the option `gradient="last"`. Now we compare three ways for one loss:

# %%
torch.manual_seed(0)
module = SlotMixture(4, 6, 8, gradient="last").double()
inputs = torch.randn(16, 30, 6).double()
noise = torch.randn(16, 4, 8).double()
target = torch.randn(16, 4, 16).double()
everything = SlotMixture(4, 6, 8, gradient="all").double()
everything.load_state_dict(module.state_dict())

detached = last_step_after_detach(module, inputs, noise)
straight_through = module(inputs, noise=noise).slots
through_all = everything(inputs, noise=noise).slots
torch.testing.assert_close(detached, straight_through, **near)
torch.testing.assert_close(through_all, straight_through)

# %% [markdown]
# In the forward pass all three ways give the same slots. In the backward pass they differ.

# %%
ways = {
    "plain detach": (module, detached),
    "straight-through": (module, straight_through),
    "all steps": (everything, through_all),
}
norms = {}
for way, (its_module, slots) in ways.items():
    loss = (slots - target).square().mean()
    norms[way] = gradient_norms(its_module, loss)

titles = [name.removesuffix(".weight") for name in PARAMETERS]
print(f"{'':17}", *(f"{title:>20}" for title in titles))
for way, its_norms in norms.items():
    print(f"{way:17}", *(f"{norm:20.4f}" for norm in its_norms.values()))
for name in ("start.mean", "start_log_variance"):
    assert norms["plain detach"][name] == 0 < norms["straight-through"][name]

# %% [markdown]
# With the plain detach, nothing of the start learns: the mean, the scale of the noise and the variance get gradient zero. Straight-through
# gives them a gradient. (Keys and GRU have the same gradient in both ways.)
#
# Compare the gradients of `start_log_variance`. The true gradient (all steps) is less than a tenth of the straight-through
# gradient. So the variance at the start has little effect on this loss, and straight-through gives it a gradient that is too
# large.
#
# What does the last-step gradient cost, and what does it save? We compare its direction with the direction of the full gradient, for five random
# modules. And we count the memory that is kept for the backward pass.

# %%
from smm_tutorial.training import bytes_kept_for_backward


def make_pair(seed):
    """A module with last-step gradients, its copy with full gradients, and data."""
    torch.manual_seed(seed)
    last = SlotMixture(4, 6, 8, gradient="last").double()
    shapes = {"inputs": (16, 30, 6), "noise": (16, 4, 8), "target": (16, 4, 16)}
    data = {name: torch.randn(shape).double() for name, shape in shapes.items()}
    full = SlotMixture(4, 6, 8, gradient="all").double()
    full.load_state_dict(last.state_dict())
    return last, full, data


# %%
PARTS = {"keys, values, queries": "to_", "update": "update.", "start": "start"}


def gradients_by_part(module, inputs, noise, target, iterations):
    """The gradient of each of `PARTS`, one vector per part."""
    module.zero_grad()
    slots = module(inputs, noise=noise, num_iterations=iterations).slots
    (slots - target).square().mean().backward()
    found = {name: p.grad.flatten() for name, p in module.named_parameters()}
    return [
        torch.cat([found[n] for n in found if part in n]) for part in PARTS.values()
    ]


def kilobytes_kept(module, iterations):
    """What autograd keeps of a forward pass."""
    how = {"noise": noise, "num_iterations": iterations}
    return bytes_kept_for_backward(lambda: module(inputs, **how)) / 1000


# %% [markdown]
# A cosine of 1 means the same direction, 0 means a right angle. The cell prints the lowest and the highest cosine of the five modules:

# %%
pairs = [make_pair(seed) for seed in range(5)]
for iterations in (1, 3, 7):
    cosines = torch.zeros(5, 3)  # one row per seed, one column per part
    for row, (last, full, data) in zip(cosines, pairs, strict=True):
        ours = gradients_by_part(last, **data, iterations=iterations)
        theirs = gradients_by_part(full, **data, iterations=iterations)
        for column, both in enumerate(zip(ours, theirs, strict=True)):
            row[column] = torch.cosine_similarity(*both, dim=0)
    print(f"cosines after {iterations} iterations:", end=" ")
    for title, values in zip(PARTS, cosines.T, strict=True):
        print(f"{title} {values.min():.2f} to {values.max():.2f}", end="; ")
    print()

for iterations in (1, 3, 7):
    print(f"kept for backward of {iterations} iterations:", end=" ")
    print(f"last step {kilobytes_kept(module, iterations):.0f} kB,", end=" ")
    print(f"all steps {kilobytes_kept(everything, iterations):.0f} kB")

# %% [markdown]
# With one iteration both gradients are the same. With three iterations all cosines are well above 0, but below 1. With seven iterations the
# cosines differ much between the modules, and some are negative: there the last-step gradient has a wrong direction.
#
# The derivation assumed that $J$ is small. Is $J$ small here? If $J$ is small, then each iteration changes the means much less than the
# iteration before:

# %%
with torch.no_grad():
    out = module(inputs, noise=noise, num_iterations=8, return_history=True)
means = torch.stack([state.means for state in out.history])  # (8, B, K, D)
changes = (means[1:] - means[:-1]).flatten(1).norm(dim=1)
changes = changes / means[1:].flatten(1).norm(dim=1)
percent = " ".join(f"{100 * change:.0f}%" for change in changes)
print("iterations 2 to 8 change the means by", percent)

# %% [markdown]
# Each change is more than half of the change before. So $J$ is not small in this untrained module, and the terms that were left out matter.
#
# The last-step gradient saves memory: the kept memory no longer grows with the number of iterations. Which gradient trains better is another
# question. We do not answer this question here.

# %% [markdown]
# ## Fast: from broadcasting to two matrix products
#
# An E-step by broadcasting subtracts each query from each key. This makes a tensor of $B \times N \times K \times D$ numbers. The variance makes
# another such tensor. Take 16 small pictures with 32 x 32 inputs each, 7 slots, width 64, in float32.
#
# **Predict first.** How many megabytes (MB) has one such tensor? Autograd keeps several of them in each iteration.

# %%
B, N, K, D = 16, 32 * 32, 7, 64
BYTES = 4  # of a float32
print(f"one tensor of B N K D numbers: {BYTES * B * N * K * D / 1e6:.0f} MB;", end=" ")
print(f"one of B N K: {BYTES * B * N * K / 1e6:.1f} MB")

# %% [markdown]
# One such tensor has 29 MB. The module by hand keeps several such tensors, if your functions use broadcasting. The library's module computes in another
# form, the *matrix form*. The next cell compares the memory. After that we derive the matrix form.

# %%
torch.manual_seed(0)
large = SlotMixture(K, D, D)
picture_features = torch.randn(B, N, D)
picture_noise = torch.randn(B, K, D)
forms = {
    "broadcast": lambda: slot_mixture_by_hand(large, picture_features, picture_noise),
    "matrix form": lambda: large(picture_features, noise=picture_noise),
}
bill = {name: bytes_kept_for_backward(forward) for name, forward in forms.items()}
for name, kept in bill.items():
    print(f"{name:12} keeps {kept / 1e6:6.0f} MB", end=" ")
    print("for the backward pass of three iterations")

# %% [markdown]
# The remedy is algebra. Expand the square. Then separate the factors of the key from the factors of the slot. In one density, with key $u$, query
# $q$ and variances $s$:
#
# $$-\tfrac12 \sum_d \frac{(u_d - q_d)^2}{s_d} = \underbrace{-\tfrac12 \sum_d u_d^2 \cdot \frac1{s_d}}_{\text{a matrix
# product}} + \underbrace{\sum_d u_d \cdot \frac{q_d}{s_d}}_{\text{a matrix product}} - \tfrac12 \sum_d \frac{q_d^2}{s_d} .$$
#
# Each of the first two sums is (a factor of the key) times (a factor of the slot), summed over $d$. For all keys and slots together such a sum is a
# matrix product, `@`. So the large tensor is never made.


# %%
@exercise("smm.expand_square")
def expand_square(queries, keys, variances):
    """-> the term quadratic in keys, the cross term, (B, N, K) each, and the constant.

    The constant (B, K) includes the log variances.
    """
    ...


# %% [markdown]
# The variance has the same remedy. Let $\mu$ be the updated mean. With shares $a_n$ that sum to 1,
# $\sum_n a_n (v_n - \mu)^2 = \sum_n a_n v_n^2 - \mu^{*2} + (\mu^* - \mu)^2$. The first sum is one more matrix product.
#
# First we check that both forms are equal, in float64.


# %%
def variance_by_products(gamma, values, means):
    """The same as `variance_about`, without a tensor of B N K D numbers."""
    shares = gamma / gamma.sum(dim=1, keepdim=True)
    weighted_means = shares.mT @ values  # (B, K, D)
    return shares.mT @ values**2 - weighted_means**2 + (weighted_means - means) ** 2


generator = torch.Generator().manual_seed(1)
queries = torch.randn(2, 5, 16, generator=generator).double()
keys = torch.randn(2, 50, 16, generator=generator).double()
variances = torch.rand(2, 5, 16, generator=generator).double() + 0.5
log_weights = torch.zeros(2, 5).double()

quadratic, cross, constant = expand_square(queries, keys, variances)
fast = (quadratic + cross + (constant + log_weights)[:, None]).log_softmax(dim=2)
slow = log_responsibilities(queries, keys, variances, log_weights)
torch.testing.assert_close(fast, slow, **near)

gamma = slow.exp()
fast = variance_by_products(gamma, values=keys, means=queries)
slow = variance_about(gamma, keys, queries)
torch.testing.assert_close(fast, slow, **near)

# %% [markdown]
# Next, the whole module, in float64 as well. The last line prints the largest difference between the slots of the two forms.

# %% tags=["nbval-ignore-output"]
in_float64 = SlotMixture(K, D, D).double()
features = torch.randn(2, 256, D).double()
start = torch.randn(2, K, D).double()
slow, *_ = slot_mixture_by_hand(in_float64, features, start)
fast = in_float64(features, noise=start).slots
torch.testing.assert_close(fast, slow, **near)
print("E-step, variance and the whole module: matrix form = broadcast form")
print(f"the largest difference of two slots is {(fast - slow).abs().max():.0e}")

# %% [markdown]
# Now the speed. We time forward and backward passes of both forms. For each form we take the fastest of three runs. The ratio depends on your machine
# and on its other work. (If your own functions above already use matrix products, then your module by hand is fast, too.)

# %% tags=["nbval-ignore-output"]
import time


def seconds(forward):
    started = time.perf_counter()
    large.zero_grad()
    forward().square().mean().backward()
    return time.perf_counter() - started


features = picture_features[:4]
start = picture_noise[:4]
forms = {
    "broadcast": lambda: slot_mixture_by_hand(large, features, start)[0],
    "matrix form": lambda: large(features, noise=start).slots,
}
rounds = [{name: seconds(forward) for name, forward in forms.items()} for _ in range(3)]
fastest = {name: min(times[name] for times in rounds) for name in forms}
ratio = fastest["broadcast"] / fastest["matrix form"]
print(f"the matrix form is {ratio:.1f} times as fast here")

# %%
if bill["broadcast"] >= 5 * bill["matrix form"]:
    print("on every machine, the matrix form keeps at most a fifth of the memory")
else:
    print("your own E-step or variance makes no large tensor: well done")

# %% [markdown]
# ### What the expanded square costs
#
# $u^2/s$, $-2uq/s$ and $q^2/s$ are all huge if the data lie far from zero, and they nearly cancel. float32 keeps about 7 digits of each *large*
# term. The small difference then has few correct digits. Add an offset to each of $D$ features: the squared distance from zero is then about
# $D \cdot \text{offset}^2$. So the error of a log density is about $\varepsilon \cdot D \cdot \text{offset}^2 / s$, with
# $\varepsilon \approx 10^{-7}$, the relative rounding error of float32.
#
# How large is the error of a responsibility? Take one key. It has one log density per slot, and each has an error. Call the
# error of slot $j$ $e_j$, and the responsibility of slot $k$ for this key $\gamma_k$. Let $\delta$ be the largest difference
# between two of these errors. The derivative of the softmax says: small errors change $\gamma_k$ by $\gamma_k (e_k - \sum_j
# \gamma_j e_j)$. The bracket is at most $(1 - \gamma_k)\,\delta$, and $\gamma_k (1 - \gamma_k)$ is at most 1/4. So the error
# of a responsibility is at most $\delta / 4$. Suppose that $\delta$ is about as large as one error. Then we *expect* about a
# quarter of the error of a log density.
#
# **Predict first.** Data of standard deviation 1 lie around 300 in each of 8 features, and $s = 1$. How large is the error of a log density? And of
# a responsibility? What if you subtract the mean of the inputs first?


# %%
def log_densities(queries, keys, variances):
    """(B, N, K), without the log of 2 pi."""
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic + cross + constant[:, None]


def by_products(queries, keys, variances):
    return log_densities(queries, keys, variances).softmax(dim=2)


def centred(queries, keys, variances):
    centre = keys.mean(dim=1, keepdim=True)
    return by_products(queries - centre, keys - centre, variances)


def broadcast(queries, keys, variances):
    log_weights = torch.zeros(variances.shape[:2])
    return log_responsibilities(queries, keys, variances, log_weights).exp()


# %% [markdown]
# The next cell computes the errors of three methods in float32, compared with float64, for growing offsets. (Did your `log_responsibilities` use
# matrix products? Then the curve "broadcast" will grow like the expanded square.)

# %%
offsets = [0.1, 1, 3, 10, 30, 100, 300, 1000, 3000]
methods = {
    "expanded square": by_products,
    "expanded square, centred first": centred,
    "broadcast": broadcast,
}


def with_offset(offset):
    """Queries, keys and variances in float32, and the same in float64."""
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(1, 4, 8, generator=generator) + offset
    keys = torch.randn(1, 200, 8, generator=generator) + offset
    single = queries, keys, torch.ones(1, 4, 8)
    return single, [part.double() for part in single]


errors = {name: [] for name in methods}
for offset in offsets:
    single, double = with_offset(offset)
    exact = broadcast(*double)
    for name, method in methods.items():
        errors[name].append((method(*single) - exact).abs().max().item())

# %%
from smm_tutorial.figures import errors_figure

epsilon = torch.finfo(torch.float32).eps
# The data's own spread adds 1 to the squared offset.
expected = [0.25 * epsilon * 8 * (offset**2 + 1) for offset in offsets]
alt = """Error against offset: the error of the expanded square grows with the square of
the offset until it is 1. Centred first, and in broadcast form, the error stays near
1e-6."""
show(errors_figure(offsets, errors, expected), alt=alt)
assert errors["expanded square"][-1] > 0.1  # responsibilities that mean nothing
assert max(errors["expanded square, centred first"]) < 1e-4
print("at 3000 the expanded square is useless in float32;", end=" ")
print("centred first, every error is below 1e-4")

# %% tags=["nbval-ignore-output"]
single, double = with_offset(300)
of_density = (log_densities(*single) - log_densities(*double)).abs().max().item()
of_responsibility = errors["expanded square"][offsets.index(300)]
print(f"at 300, measured: log density {of_density:.2f}", end=", ")
print(f"responsibility {of_responsibility:.2f}")
print(f"at 300, expected: log density {8 * epsilon * 300**2:.2f}", end=", ")
print(f"responsibility {0.25 * 8 * epsilon * 300**2:.2f}")

# %% [markdown]
# At 300 the errors are about twice as large as expected: the estimate gives the size, not the number. A responsibility is wrong in its second digit.
# At 3000 the expanded square is useless. (There the expected line is above 1. No responsibility can have an error above 1.) Centred first, the offset
# does no harm.
#
# Subtract the same vector from $u$ and from $q$: then $u - q$ stays the same. This costs almost nothing. The library subtracts the mean
# of the *inputs*, $\bar x$, before the linear maps. Then each key is $\operatorname{key}(x_n) - \operatorname{key}(\bar x)$, because the map is
# linear. The library subtracts $\operatorname{key}(\bar x)$ from each query, too. So the difference of key and query stays the same. Values are centred
# in the same way, and $\operatorname{value}(\bar x)$ is added to the weighted means at the end.
#
# A LayerNorm keeps features near zero anyway. So a trained network seldom has this problem. A clustering of raw data has it.

# %% [markdown]
# ## Appendix: the paper and the released code
#
# You can skip this appendix, unless you want to reproduce the paper's numbers or load its trained parameters.
#
# The authors' released code differs from the paper's text. That is common. If you reproduce numbers, you must know whether they come from the text or
# from the code. We read the code (the repository named in the paper, revision `0c724f6`) and list the differences. Then we rebuild the effect of each
# difference in a few lines. These lines are ours, they are not quoted. The course follows the paper.
#
# ### 1. The weights are always 1/K
#
# The release contains trained parameters, and two Python classes for the module. The parameters were trained with the first
# class. The first class normalises the responsibilities over the inputs. *Then* it sums them over the inputs, to make
# weights.
#
# **Predict first.** What is the sum for each slot?

# %%
centres = torch.tensor([[[-2.0, 0.0], [2.0, 0.0]]]).double()
ones = torch.ones(1, 2, 2).double()
log_weights = torch.zeros(1, 2).double()
# `two_groups` are the 150 points and the 50 from above.
gamma = log_responsibilities(centres, two_groups, ones, log_weights).exp()
in_paper = gamma.mean(dim=1)[0]
normalised_first = gamma / gamma.sum(dim=1, keepdim=True)
as_released = normalised_first.sum(dim=1)[0] / 2  # 1 for each slot; over 2 slots
torch.testing.assert_close(as_released, torch.full((2,), 0.5).double())
print("paper:   weights", *(f"{weight:.2f}" for weight in in_paper))
print("release: weights", *(f"{weight:.2f}" for weight in as_released), end=" ")
print("whatever the data")

# %% [markdown]
# Normalised over the inputs, the responsibilities of each slot sum to 1. The weights of all $K$ slots must sum to 1, so each sum is divided by $K$.
# So each slot gets the weight $1/K$. Here the groups have 150 and 50 points, and both slots get one half. (The second class computes the right sum,
# but the released parameters were not trained with this class.) In our library this is `SlotMixture(..., weights="fixed")`.
#
# The paper finds empty slots by their weights. That works only with the paper's form.
#
# ### 2. Another density
#
# The release has no log-determinant and no factor 1/2. It has a scale $D^{-1/2}$, as in Slot Attention. And it computes
# $e^{-\text{distance}} + 10^{-8}$ instead of logarithms. The missing log-determinant and the constant each have an effect.
# The next cells show both for a core and a halo with the same mean.


# %%
def released_responsibilities(queries, keys, variances):
    """exp(-d) + 1e-8, normalised over slots -> (B, N, K).

    d = sum of squares over variances, divided by sqrt(D).
    queries, variances (B, K, D), keys (B, N, D).
    """
    squares = (keys[:, :, None] - queries[:, None]) ** 2  # (B, N, K, D)
    distance = (squares / variances[:, None]).sum(dim=3) / math.sqrt(keys.shape[2])
    closeness = torch.exp(-distance) + 1e-8
    return closeness / closeness.sum(dim=2, keepdim=True)


# %% [markdown]
# The inputs lie farther and farther from the common mean:

# %%
same_mean = torch.zeros(1, 2, 2).double()
variances = torch.tensor([[[1.0, 1.0], [9.0, 9.0]]]).double()  # of core and halo
places = torch.tensor([0.0, 0.5, 1.0, 2.0, 5.0, 20.0]).double()
along = torch.stack([places, torch.zeros(6)], dim=1)[None]  # (1, 6, 2)
log_weights = torch.zeros(1, 2).double()
paper = log_responsibilities(same_mean, along, variances, log_weights).exp()[0, :, 0]
released = released_responsibilities(same_mean, along, variances)[0, :, 0]
print("distance from the mean ", *(f"{place:6.1f}" for place in places))
print("core's gamma, paper    ", *(f"{gamma:6.2f}" for gamma in paper))
print("core's gamma, release  ", *(f"{gamma:6.2f}" for gamma in released))
assert released.max() <= 0.5 < paper.max()

# %% [markdown]
# Without the log-determinant, the core's responsibility is never above one half, not even at the common mean. Now look at the last column. At distance
# 20 the release gives each slot one half. There both exponentials are far below $10^{-8}$, so the constant decides. With logarithms, the input belongs to
# the wide slot.
#
# The missing 1/2 and the $D^{-1/2}$ only change the scale of the distances. Together they act as if all variances were multiplied by one number,
# $\sqrt D / 2$.

# %%
D = 64
generator = torch.Generator().manual_seed(0)
queries = 0.5 * torch.randn(1, 5, D, generator=generator).double()
keys = 0.5 * torch.randn(1, 20, D, generator=generator).double()
ones = torch.ones(1, 5, D).double()
released = released_responsibilities(queries, keys, ones)

log_weights = torch.zeros(1, 5).double()
factor = math.sqrt(D) / 2  # the variance s with -d / sqrt(D) = -d / (2 s)
paper = log_responsibilities(queries, keys, factor * ones, log_weights).exp()
torch.testing.assert_close(released, paper, atol=1e-3, rtol=0)  # up to the 1e-8
print(f"the release's scale at D = {D}: as if all variances were", end=" ")
print(f"{factor:.0f} times as large")

# %% [markdown]
# The library has a module with the release's density and query, `ReleasedSlotMixture`. With its neural parts switched off, its responsibilities must
# equal those of the function above.

# %%
from smm_tutorial.set_prediction import ReleasedSlotMixture

released_module = ReleasedSlotMixture(5, D, D, **PLAIN).double()
out = released_module(keys, num_iterations=1, start=(queries, ones))
torch.testing.assert_close(out.responsibilities, released, atol=1e-10, rtol=0)
print("by hand = smm_tutorial.set_prediction.ReleasedSlotMixture, to 1e-10")

# %% [markdown]
# ### 3. Mean and variance share a LayerNorm
#
# The release stores $\log \sigma$ instead of variances: $\sigma$ is the standard deviation. It joins $\mu$ and $\log \sigma$ to $2D$ numbers, applies
# one LayerNorm to all of them, and then one query projection. So a slot that only becomes *narrower* also changes its query.

# %%
torch.manual_seed(0)
shared_norm = torch.nn.LayerNorm(16)
own_norm = torch.nn.LayerNorm(8)
project = torch.nn.Linear(8, 8, bias=False)
mean = torch.randn(8)


def mean_query(log_sigma, shared):
    """The query (8,) of the mean, beside log sigmas (8,)."""
    if shared:
        return project(shared_norm(torch.cat([mean, log_sigma]))[:8])
    return project(own_norm(mean))


for shared in (True, False):
    wide = mean_query(torch.zeros(8), shared)
    narrow = mean_query(torch.full((8,), -2.0), shared)
    moved = (narrow - wide).norm() / wide.norm()
    print(f"sigma shrinks to {math.exp(-2):.2f} of itself, shared LayerNorm", end=" ")
    print(f"{shared}: the mean's query moves by {moved:.0%}")

# %% [markdown]
# ### 4. One step more, and no gradient through the start
#
# The release runs one iteration more than its setting says. It detaches the slots before this iteration. This is the plain
# detach: you saw above that no gradient then flows through the iterations to the start. (Part 5 shows the only other way to
# the start.) How much does one iteration more change? We use `steps`, the core and the halo of "A look inside":

# %%
for count in (3, 7, 15):
    now, next_step = steps[count].responsibilities, steps[count + 1].responsibilities
    change = np.abs(next_step - now).max()
    print(
        f"after {count:2d} iterations, one more changes a responsibility by "
        f"{change:.2f} at most"
    )

# %% [markdown]
# After few iterations, one more iteration changes much. If the release's setting is 3, then the release runs 4 iterations. To compare, use 4
# iterations here.
#
# ### 5. The start looks at the picture
#
# The paper's start is learned and the same for every picture. In the release, two learned vectors go through a small
# transformer *together with the inputs*. They come out as the mean and the $\log \sigma$ of the start. The transformer also
# changes the inputs, and keys and values are made from its output. So vectors and transformer get no gradient through the
# start, but they do learn through keys and values. Each forward pass draws one noise tensor of shape `(B, K, 2 D)`, for means
# and $\log \sigma$ together.

# %%
torch.manual_seed(0)
sizes = {"d_model": 8, "nhead": 2, "dim_feedforward": 16}
layer = torch.nn.TransformerEncoderLayer(**sizes, dropout=0.0, batch_first=True)
tokens = torch.randn(1, 2, 8)
sets_of_inputs = torch.randn(2, 30, 8)


def start_from_inputs(inputs):
    """inputs (B, N, D) -> mean and log-sigma of the start, (B, 2, D)."""
    joint = torch.cat([tokens.expand(len(inputs), -1, -1), inputs], dim=1)
    return layer(joint)[:, :2]


with torch.no_grad():
    first, second = start_from_inputs(sets_of_inputs)
    shuffled = start_from_inputs(sets_of_inputs[:, torch.randperm(30)])[0]
print(f"two sets: their starts differ by {(first - second).norm() / first.norm():.0%}")
torch.testing.assert_close(first, shuffled)
print("one set in another order: the same start")

# %% [markdown]
# The two sets differ, so their starts differ. (The weights here are random. So the size of the difference means nothing.)
#
# Why is there noise? EM treats equal slots equally: two slots with the same mean and the same variance stay equal for ever. Noise makes the slots
# different, in their means or in their variances. We test the variances alone.
#
# **Predict first.** Take the core and the halo, with both means at the centre. What happens with equal variances? What if one is 10 % larger?

# %%
same_means = {"weights_init": [0.5, 0.5], "means_init": np.zeros((2, 2))}
options = {"covariance_type": "diag", "tol": 0, "max_iter": 100}
for factor in (1.0, 1.1):
    precisions = [[1, 1], [1 / factor, 1 / factor]]
    twins = GaussianMixtureEM(2, precisions_init=precisions, **same_means, **options)
    twins.fit(points)
    first, second = np.sqrt(twins.covariances_.mean(axis=1))
    print(f"variances 1 and {factor}  ->  standard deviations", end=" ")
    print(f"{first:.2f} and {second:.2f}")

# %% [markdown]
# Equal variances stay equal. A difference of 10 % is enough: one slot becomes the core, the other the halo.
#
# ### 6. Units of the coordinates
#
# In *set prediction* a model lists the objects of a picture, with their properties and coordinates. The release trains on pictures of CLEVR (rendered
# scenes of simple solids), with coordinates divided by 3. Its average precision (AP) counts an object as found if its properties are right and its
# distance is below a threshold. The AP multiplies distances by 3. If you forget the factor, each threshold is three times as generous:

# %%
true = torch.tensor([1.5, -0.6, 0.7]) / 3  # in the network's units
said = torch.tensor([1.8, -0.6, 0.7]) / 3
distance = (true - said).norm().item()
for threshold in (0.5, 0.25, 0.125):
    with_factor = 3 * distance < threshold
    without = distance < threshold
    print(f"threshold {threshold:5.3f}: with the factor {with_factor!s:5}", end="  ")
    print(f"without it {without}")

# %% [markdown]
# ### 7. What runs
#
# The released object-discovery model does not run as it is: a keyword and a dictionary key are missing. You must repair both before you can compare with
# this model. This course's model, trained in [notebook 05](05_object_discovery.ipynb), runs. (FG-ARI is the ARI over the pixels of the objects, without
# the background.)

# %%
from smm_tutorial import checkpoints, datasets, discovery

model, _ = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
test_set = datasets.load("clevr6", split="test", size=model.config.image_size)
scenes = test_set.subset(range(16))
owners = discovery.segment(model, scenes)  # the slot that owns each pixel
assert discovery.score(scenes, owners)["fg_ari"] > 0.6
print(f"it runs: owners of pixels {tuple(owners.shape)}, FG-ARI on these above 0.6")

# %% [markdown]
# ### 8. On how many pictures
#
# The release's evaluation scores 3 batches of 64 pictures by default. How far does chance move a score of 192 pictures? Suppose that a model is right on
# half of all pictures. We simulate 1,000 evaluations of this model.

# %%
rng = np.random.default_rng(0)
for pictures in (192, 15_000):
    draws = rng.binomial(pictures, 0.5, size=1000) / pictures
    low, high = 100 * np.quantile(draws, [0.025, 0.975])
    print(f"{pictures:6d} pictures: 95% of evaluations lie between", end=" ")
    print(f"{low:.1f}% and {high:.1f}%")

# %% [markdown]
# CLEVR's validation split has 15,000 pictures. With 192 pictures, two independent evaluations can differ by several points by chance alone. (Two methods on the
# *same* pictures can be compared picture by picture, and that is more precise.)
#
# This table lists the differences in the module. `ReleasedSlotMixture` (in `smm_tutorial.set_prediction`) is our module with the release's density and
# query. It takes the sizes and options of `SlotMixture`.
#
# | | paper | release | here |
# | --- | --- | --- | --- |
# | weights | mean responsibility | 1/K | paper; `weights="fixed"` |
# | density | Gaussian, log space | no determinant, $D^{-1/2}$, $+10^{-8}$ | paper; `ReleasedSlotMixture` |
# | norm before the query | means | means and $\log \sigma$ together | means; `ReleasedSlotMixture` |
# | iterations | the setting | one more than the setting | the setting |
# | gradient of the start | through the last step | none (plain detach) | `gradient="last"`: straight-through |
# | start | learned | from the inputs | learned |

# %% [markdown]
# ## Summary
#
# - If groups have the same mean, means cannot tell them apart. A mean of the coordinates says nothing about a spread. At
#   random places Slot Attention is about as good as the SMM. At nearly known places it is better on average, and its seeds
#   differ less. With squares as features, it is about as good in the experiment *how wide*, too.
# - One iteration of an SMM: responsibilities by weight times density, weights, weighted means, the neural update, variances about the *updated* means. A
#   slot is mean and variance.
# - Without its neural parts it is EM with diagonal Gaussians, to ten decimals.
# - The log-determinant lets a narrow slot own its core. With diagonal covariances, the features must be turned before EM finds a tilted cross.
# - A plain detach does not train the start. The straight-through form does.
# - Expand the square, and two matrix products replace a tensor of $B N K D$ numbers. Subtract the mean first, or float32 loses its digits.
# - The paper and its released code differ. Say which one you use.
#
# ## Further reading
#
# - [Kirilenko, Vorobyov, Kovalev and Panov, *Object-Centric Learning with Slot Mixture Module*, 2024](https://arxiv.org/abs/2311.04640):
#   the paper; its section 3 has the formulas of this notebook.
# - [Locatello et al., *Object-Centric Learning with Slot Attention*, 2020](https://arxiv.org/abs/2006.15055):
#   algorithm 1 contains the neural update of the SMM; compare it line by line with the module by hand.
# - [Chang, Griffiths and Levine, *Object Representations as Fixed Points*, 2022](https://arxiv.org/abs/2207.00787):
#   why one step's gradient is enough near a fixed point, and how much steadier training becomes.
# - [Jia, Liu and Huang, *Improving Object-centric Learning with Query Optimization*, 2023](https://arxiv.org/abs/2210.08990):
#   the straight-through start: the start trains although the earlier steps are detached.
# - [Greff, van Steenkiste and Schmidhuber, *Neural Expectation Maximization*, 2017](https://arxiv.org/abs/1708.03498):
#   an earlier network whose iterations are EM steps, there on pixels.
