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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/smm-tutorial/smm-tutorial/blob/v0.1.0/notebooks/03_slot_mixture_module.ipynb)
# [![Source](https://img.shields.io/badge/source-reviewed-009e73)](source/03_slot_mixture_module.py)
#
# **What you will do.** See where a mean is not enough to describe a group, and build the Slot Mixture Module (SMM) line by
# line: its steps, its gradients, its fast form. At the end, compare the paper with the code that was released with it.
#
# **What you will be able to do.** Write the module from memory, say what each line is for, check it against
# expectation-maximisation (EM), and keep it fast and exact in float32.
#
# **What you need.** EM with diagonal Gaussians ([notebook 01](01_em_gaussian_mixtures.ipynb)); Slot Attention as soft
# k-means with learned parts ([notebook 02](02_kmeans_to_slot_attention.ipynb)); modules and gradients in torch. No GPU.
#
# **Minutes.** Laptop 75, GPU 75.

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
# ## A mean is not enough
#
# Slot Attention describes a group by one vector, a mean. Below, each row is a set of points with two true groups (left).
# In the middle, what *soft k-means* makes of it, the clustering inside Slot Attention: means, and one fixed width for all.
# On the right EM with diagonal Gaussians, the clustering inside the SMM: means, variances, weights.
#
# Both start from the same two points. Soft k-means even gets its temperature chosen *afterwards*, the best of seven.

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
# The library's module with its neural parts switched off *is* the clustering (you will prove that below). With variances
# and weights held `fixed` it is soft k-means.

# %%
PLAIN = {"projections": "identity", "normalisation": "none", "update": "none"}


def plain_mixture(variance, **options):
    """Two slots in the plane without neural parts, which start at exactly the noise."""
    settings = {"num_iterations": 50, "variance_floor": 1e-4} | PLAIN | options
    module = SlotMixture(2, 2, 2, **settings).double()
    with torch.no_grad():
        module.start.mean.zero_()
        module.start.log_scale.zero_()
        module.start_log_variance.fill_(math.log(variance))
    return module


# %% [markdown]
# Both methods cluster one set. The score is the adjusted Rand index (ARI): 1 is perfect, 0 is chance.


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
    temperatures = np.geomspace(0.02, 2, 7)
    soft = [plain_mixture(t, **fixed)(inputs, **how) for t in temperatures]
    best = max(soft, key=lambda out: ari(groups, out.responsibilities))
    return {"soft k-means": best, "mixture": plain_mixture(1.0)(inputs, **how)}


# %% [markdown]
# Now ten sets of each kind.
#
# **Predict first.** Four kinds: two groups apart; a core inside a halo; a cross of a lying and a standing stick; the same
# cross, tilted by 45 degrees. Which method finds the groups in which?

# %%
scores = {kind: {"soft k-means": [], "mixture": []} for kind in CLOUD_KINDS}
shown = {}  # the first set of each kind
for seed in range(10):
    for kind in CLOUD_KINDS:
        points, groups = two_clouds(kind, np.random.default_rng(seed))
        inputs = torch.tensor(points)[None]  # (1, N, 2)
        steps = {}
        for name, out in cluster(inputs, groups).items():
            scores[kind][name].append(ari(groups, out.responsibilities))
            steps[name] = as_mixture_step(inputs, out.history[-1])
        shown.setdefault(kind, (points, groups, steps))

# %%
alt = """Four sets by three panels. Groups apart: both right. Core and halo, upright
cross: soft k-means cuts off a side or sees one group, the mixture finds both. Tilted
cross: neither finds the sticks."""
show(clusterings_figure(shown), alt=alt)
for kind, both in scores.items():
    each = [f"{name} {np.mean(v):5.2f} ± {np.std(v):.2f}" for name, v in both.items()]
    print(f"{kind:12}", *each, sep="   ")

# %% [markdown]
# Read it row by row; the numbers are ten sets each.
#
# - *Apart*: no difference. Where means tell groups apart, soft k-means, and so Slot Attention, is as good.
# - *Concentric* and *cross*: two groups, one mean. Soft k-means can only cut the plane along a line, or, when hot, see one
#   group; the mixture finds what differs, the spread. (Where the groups overlap nobody can tell them apart, hence not 1.)
# - *Tilted cross*: the mixture fails too. Its covariances are diagonal: it sees spread along the axes of the features,
#   and these sticks spread alike along both. The module helps itself by *learning* its features, and so their axes.

# %% [markdown]
# ## The same with everything learned
#
# Clustering is not the task, though; a network that reads the slots has one. Let a module with two slots read a set, and
# a small head say something about each group from its slot. Four questions:
#
# - **where, anywhere**: two groups at random places; say the places.
# - **where, nearly known**: one group at the left, one at the right, each a little off; say the places.
# - **how wide**: groups at the left and at the right; say the spread of each.
# - **how wide, concentric**: a core and a halo about one centre; say both spreads.


# %%
def sets(question, count, generator, points=48):
    """Sets (count, points, 2) and what to say of their two groups (count, 2, ·)."""
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
# Slots have no order. Two answers can be matched with two groups in two ways, and the better way counts.


# %%
def matched_error(said, true):
    """Mean square errors (count,) of answers (count, 2, ·), matched the better way."""
    straight = (said - true).square().mean(dim=(1, 2))
    crossed = (said - true.flip(1)).square().mean(dim=(1, 2))
    return torch.minimum(straight, crossed)


# %% [markdown]
# Everything but the module is equal: sets, seeds, head, optimiser, slot width (8), 3 iterations, one learned start a slot.
# So that the width is equal, the SMM passes its means and variances through a small MLP (multi-layer perceptron) down to
# 8 numbers, `content="reduced"`, as the paper does for a fair comparison. The small MLP is the only part it has more.


# %%
def build(module_class, input_dim, answer_dim, **options):
    """A module with two slots of width 8, and the head that reads them."""
    how = {"start": "per_slot", "normalisation": "none", "initialisation": "clustering"}
    module = module_class(2, input_dim, 8, 3, **(how | options))
    head = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, answer_dim)
    )
    return module, head


# %% [markdown]
# One training, from a fresh module to its error:


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
# To compare with, an answer that does not look at the set:


# %%
def error_of_a_constant(question):
    """The same error for an answer that does not look at the set: the mean answer."""
    _, true = sets(question, 1000, torch.Generator().manual_seed(1000))
    said = true.mean(dim=0).expand_as(true)
    return matched_error(said, true).mean().sqrt().item()


# %% [markdown]
# **Predict first.** In which of the four is Slot Attention as good, and in which will it stay near the constant answer?
# The figure shows error relative to that constant: 1 means that nothing about the set was learned, 0 is perfect.

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
        both[name] = values = np.array(errors) / error_of_a_constant(question)
        spread = f"{values.mean():.2f} ± {values.std():.2f}"
        each = " ".join(f"{value:.2f}" for value in np.sort(values))
        print(f"{question:21} {name:15} {spread}   seeds: {each}")

# %%
from smm_tutorial.figures import modules_figure

label = "error relative to the constant answer, one dot a seed"
alt = """Error of five seeds by question and module: for spreads the SMM is lower, for
places anywhere both are alike; for nearly known places some seeds of the SMM stay near
1."""
show(modules_figure(relative, label), alt=alt)

means = {
    question: {name: values.mean() for name, values in both.items()}
    for question, both in relative.items()
}
anywhere = means["where, anywhere"]
assert abs(anywhere["SMM"] - anywhere["Slot Attention"]) < 0.1  # as good
for question in ("how wide", "how wide, concentric"):
    assert means[question]["SMM"] < means[question]["Slot Attention"] - 0.05

# %% [markdown]
# What we find, one dot a seed, five seeds each:
#
# - **Where, anywhere**: as good. A mean is the answer, both have one.
# - **Where, nearly known**: Slot Attention is *better*. Its seeds agree; the SMM's best ones beat it, but others have hardly
#   learned anything. A mixture has more ways to explain a set, hence more to get stuck in: the local optima of notebook 01,
#   now inside a network.
# - **How wide**: Slot Attention takes back only a sixth of the constant's error, every time. The SMM does better in every
#   seed, by an amount that differs a lot from seed to seed.
# - **How wide, concentric**: the same, with a smaller gap: Slot Attention learns next to nothing, the SMM a fifth.
#
# Five seeds of one small setting say no more than that. Its sizes, learning rate and initialisation were chosen in trials
# before, alike for both modules and all questions, on questions like these; try `initialisation="random"`, other steps or
# another start, and see which of the four findings hold.
#
# Why can Slot Attention say *anything* about spreads? Each of its slots cuts off a part of a set, and how far
# from the border the mean of that part lies tells a little. Can one help it to more? Give it the squares of the
# coordinates as two further features.


# %% tags=["nbval-ignore-output"]
def with_squares(inputs):
    return torch.cat([inputs, inputs.square()], dim=2)  # (B, N, 2) -> (B, N, 4)


errors = [
    train(SlotAttention, "how wide", seed, prepare=with_squares) for seed in range(5)
]
with_help = np.array(errors) / error_of_a_constant("how wide")
spread = f"{with_help.mean():.2f} ± {with_help.std():.2f}"
print("Slot Attention that is also given the squares:", spread)
assert with_help.mean() < means["how wide"]["Slot Attention"] - 0.05

# %% [markdown]
# A mean of squares *is* a second moment: given squares, Slot Attention is about as good as the SMM without them (compare
# the spread over seeds). An encoder before the module can learn to make such features. So the fair claim is not that Slot
# Attention *cannot* know a spread. It is that the SMM knows it by construction, at every iteration, and clusters by it.
# Whether that pays on pictures is a question for measurements ([notebook 05](05_object_discovery.ipynb) begins them).

# %% [markdown]
# ## The module on one page
#
# Inputs $x_n$ come out of an encoder: $N$ feature vectors. Slot $k$ carries a mean $\mu_k$, a diagonal covariance
# $\Sigma_k$ (kept as a vector of variances $s_k$) and a weight $\pi_k$. One iteration, in the notation of the paper's
# section 3:
#
# | step | formula | you know it from |
# | --- | --- | --- |
# | E-step | $\gamma_{nk} \propto \pi_k \, \mathcal N(k(x_n) \mid q(\mu_k), \Sigma_k)$, sums to 1 over slots | EM |
# | weights | $\pi_k = \frac1N \sum_n \gamma_{nk}$ | EM |
# | weighted mean | $\mu_k^* = \sum_n \gamma_{nk}\, v(x_n) \big/ \sum_n \gamma_{nk}$ | EM |
# | neural update, 1 | $\mu_k \leftarrow \mathrm{GRU}(\mu_k^*, \mu_k)$: input, then state | Slot Attention |
# | neural update, 2 | $\mu_k \leftarrow \mu_k + \mathrm{MLP}(\mathrm{LayerNorm}(\mu_k))$ | Slot Attention |
# | variance | $s_k = \sum_n \gamma_{nk} (v(x_n) - \mu_k)^2 \big/ \sum_n \gamma_{nk}$, about the *new* $\mu_k$ | EM |
#
# $k, v, q$ are linear maps without bias (keys, values, queries); GRU is a gated recurrent unit. At the end the slot is
# $\mu_k$ and $s_k$, one after the other: $2D$ numbers. Now line by line.
#
# ## The density
#
# Two slots on a line with the *same* mean and equal weights; the second has nine times the variance.
#
# **Predict first.** Who owns a key at the common mean? Who owns one at 4?

# %%
from smm_tutorial.figures import density_figure

alt = """Two bell curves at 0: the narrow slot is higher and owns the middle, the wide
one owns both sides."""
show(density_figure(), alt=alt)

# %% [markdown]
# Above, weight times density; below, the responsibilities: at each key the two heights, divided by their sum. A narrow
# slot is *tall*, because its density must integrate to 1. That is the log-determinant's work:
#
# $$\log \mathcal N(x \mid \mu, \Sigma) = -\tfrac12 \sum_d \left( \frac{(x_d - \mu_d)^2}{s_d} + \log s_d + \log 2\pi
# \right) .$$
#
# In a running notebook, move the second slot, change variance and weight, and take the log-determinant away. (Elsewhere:
# the picture without it follows.)

# %%
from smm_tutorial import widgets

explorer = widgets.density_explorer()
explorer.slider.controls["distance"].value = 1.0  # code may move the sliders too
explorer.show()

# %%
alt = """Without the log-determinant both curves peak alike: the wide slot lies above
everywhere and owns every key."""
show(density_figure(log_determinant=False), alt=alt)

# %% [markdown]
# Without it, a wide slot beats a narrow one on *every* key but the mean itself: nothing pays for being wide. Cores
# inside halos then cannot be found. How big is the core with it? Derive the radius where both slots are equal.


# %%
@exercise("smm.border_radius")
def border_radius(narrow, wide, weight, dim):
    """Where two slots of one mean share equally: the distance from the mean.

    Given: both variances, the narrow slot's weight, the number of features.
    """
    ...


# %% [markdown]
# Check against the densities themselves, for a core of weight 0.3: on the border both weighted densities are equal.

# %%
core = torch.distributions.Normal(0.0, 1.0)
halo = torch.distributions.Normal(0.0, 3.0)
for dim in (1, 2, 8, 32):
    radius = border_radius(1.0, 9.0, 0.3, dim)
    each = radius / math.sqrt(dim)  # in each feature
    on_border = torch.full((dim,), each, dtype=torch.float64)
    log_core = math.log(0.3) + core.log_prob(on_border).sum().item()
    log_halo = math.log(0.7) + halo.log_prob(on_border).sum().item()
    np.testing.assert_allclose(log_core, log_halo)
    print(f"{dim:2d} features: the core ends at {radius:.2f},", end=" ")
    print(f"that is {each:.2f} in each feature")

# %% [markdown]
# A weight is heard once, the log-variance once *a feature*: in many features the core's small weight hardly matters any
# more. Keep the log-determinant in mind for the section on the released code.
#
# ## The E-step
#
# Three choices make the density a module's:
#
# - It measures *keys* against *queries*, $k(x_n)$ and $q(\mu_k)$: the module learns in which features groups are Gaussian.
# - The variances come from *values*, $v(x_n)$, and stand in the density of keys. Nothing forces the two spaces to agree;
#   the loss must teach them to.
# - It stays in the logarithm until the end, as in notebook 01.


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
# Inputs are shared out; a slot may get many or hardly any. What a slot got *is* its weight:
#
# ## Weights and weighted means


# %%
@exercise("smm.weights_and_means")
def weights_and_means(gamma, values):
    """gamma (B, N, K), values (B, N, D) -> weights (B, K), weighted means (B, K, D)."""
    ...


# %% [markdown]
# Slot Attention normalises over inputs as well, for its weighted mean, and forgets the sums. The SMM keeps them, and the
# next E-step uses them: a slot that holds much asks for more. The sums also say which slots are *empty*.
#
# **Predict first.** Five slots, points in two groups of 150 and 50. What will the weights be after 60 iterations?

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
# Two weights are about the groups' sizes. The three spare slots hold one point each, 1/200: the collapse of notebook 01,
# stopped by nothing but a floor under the variances. So a weight says which slots found something. Note the other side: a
# small weight makes a slot's claims weaker in the next round, so once (nearly) empty it tends to stay so.
#
# ## The neural update
#
# EM would now put the mean at $\mu^*$. The module lets a GRU decide how far to go, and an MLP what to add:
# it is word for word that of Slot Attention, and the library's two modules share it.

# %%
torch.manual_seed(0)
module = SlotMixture(4, 6, 8).double()
old = torch.randn(1, 4, 8).double()
proposed = torch.randn(1, 4, 8).double()
# The GRU's input is the weighted mean, its state the old mean.
gated = module.update.gru(proposed[0], old[0])[None]  # (1, 4, 8)
by_hand = gated + module.update.mlp(module.update.norm(gated))
torch.testing.assert_close(module.update(proposed, old), by_hand)
ratio = (by_hand - proposed).norm() / (old - proposed).norm()
print("update by hand = the library; untrained, it ends", end=" ")
print(f"{ratio:.1f} times as far from the weighted mean as it began")

# %% [markdown]
# So the mean is *not* where EM would put it, and before training not even near. That raises a question which the paper's
# reviewers asked as well.
#
# ## The variance, about which mean?
#
# The paper's equation 7 takes it about the *updated* mean. One slot, one feature: grey bars are values, as long as their
# shares; the update has moved the mean.

# %%
from smm_tutorial.figures import two_variances_figure

values = np.random.default_rng(0).normal(1.0, 0.6, 40)
shares = np.random.default_rng(1).dirichlet(np.full(40, 3.0))
figure = two_variances_figure(values, shares, updated_mean=2.2)
alt = """Left: values around 1, the slot's mean at 2.2; about the weighted mean the
Gaussian there is too narrow to reach them, about the updated mean it covers them.
Right: the mean square about a place is a parabola."""
show(figure, alt=alt)

# %% [markdown]
# Both Gaussians sit on the slot's mean. The one with the variance about the *weighted* mean (solid) leaves most
# values outside; the one about the updated mean (dashed) widens until it covers them. The right panel says by how much:
# the mean square about a place $m$ is a parabola,
#
# $$\sum_n w_n (v_n - m)^2 = \underbrace{\sum_n w_n (v_n - \mu^*)^2}_{\text{variance about } \mu^*} + (\mu^* - m)^2 ,$$
#
# the same identity as for inertia in notebook 01. And it is the right choice in the sense of EM: with the mean held at
# $m$, the variance that maximises the slot's expected log density is the mean square about $m$.


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
np.testing.assert_allclose(about_updated, about_weighted + distance**2)
print(f"about the weighted mean {about_weighted:.2f}, the updated {about_updated:.2f}")

# %% [markdown]
# The identity holds. Now the slot's expected log density with its mean held at 2.2, for many variances:


# %%
def expected_log_density(variance):
    return -0.5 * (about_updated / variance + np.log(2 * np.pi * variance))


candidates = np.geomspace(0.05, 20, 2001)
best = candidates[expected_log_density(candidates).argmax()]
np.testing.assert_allclose(best, about_updated, rtol=0.004)  # the grid's step
lost = expected_log_density(best) - expected_log_density(about_weighted)
print(f"the best of a grid is {best:.2f}")
print(f"the variance about the weighted mean would cost {lost:.2f} nats a value")

# %% [markdown]
# There is a second reading. The distance of the move is *in* the variance: where the network overrules the clustering, the
# slot becomes unsure of itself and softer in the next E-step.
#
# ## The whole module, by hand
#
# Everything is there: your functions and the weights of a module of the library.


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
    for _ in range(iterations):
        # E-step -> (B, N, K)
        queries = module.to_queries(module.norm_means(means))
        gamma = log_responsibilities(queries, keys, variances, weights.log()).exp()
        # M-step, then GRU and MLP
        weights, weighted_means = weights_and_means(gamma, values)
        means = module.update(weighted_means, means)
        # Equation 7
        variances = variance_about(gamma, values, means)
        variances = variances.clamp_min(module.variance_floor)
    return torch.cat([means, variances], dim=2), gamma, weights


# %% [markdown]
# The library's module must give the same.

# %%
inputs = torch.randn(2, 30, 6).double()
noise = torch.randn(2, 4, 8).double()
slots, gamma, weights = slot_mixture_by_hand(module, inputs, noise)
out = module(inputs, noise=noise)
torch.testing.assert_close(slots, out.slots)
torch.testing.assert_close(gamma, out.responsibilities)
torch.testing.assert_close(weights, out.weights)
print("by hand = smm_tutorial.slots.SlotMixture:", end=" ")
print(tuple(slots.shape), "slots,", tuple(gamma.shape), "responsibilities")

# %% [markdown]
# One line of the module by hand is practice rather than paper. The *floor* under the variances stops components from
# collapsing, as `reg_covar` did in notebook 01. The parameters of the start (mean, scale of the noise, and variance) are
# learned, as in the paper.
#
# ### A look inside
#
# The core and halo from above, iteration by iteration.
#
# **Predict first.** The two slots start with different means and the same variance. Will they first cut the cloud into
# two halves, or find the core at once?

# %%
from smm_tutorial.slots import SlotState

points, _ = two_clouds("concentric", np.random.default_rng(0))
inputs = torch.tensor(points)[None]  # (1, N, 2)
start = inputs[:, [0, 1]]
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
# The start, and the slots after 30 iterations:

# %%
from smm_tutorial.figures import mixture_slots_figure

seen = {
    0: "two slots side by side, both of variance 1",
    30: "one slot is the core, the other the halo",
}
for iteration, words in seen.items():
    alt = f"""After {iteration} iterations: {words}.
    Beside it the curves of weights and of standard deviations."""
    show(mixture_slots_figure(steps, iteration), alt=alt)

# %%
stepper = widgets.mixture_slot_stepper(steps)
stepper.slider.value = 5
stepper.show()

# %% [markdown]
# In a running notebook, step through it. At first there are two wide slots, side by side: half and half. Then one of
# them gets the tails on both sides, grows wider, and so wins more tails; the other shrinks to the core. Nothing pushed them
# to do so but the log-determinant.

# %% [markdown]
# ## With the neural parts off it is EM
#
# No projections, no normalisation, no update: then $\mu = \mu^*$, the variance about the updated mean is the one
# about the weighted mean, and each line is a line of EM. So the module must equal notebook 01's `GaussianMixtureEM`
# with diagonal covariances, *step for step*.

# %%
from smm_tutorial.clustering import GaussianMixtureEM

equal_start = {"weights_init": [0.5, 0.5], "precisions_init": np.ones((2, 2))}
options = {"covariance_type": "diag", "tol": 0, "reg_covar": 0, "max_iter": 30}
em = GaussianMixtureEM(2, means_init=points[[0, 1]], **equal_start, **options)
em.fit(points)
for ours, theirs in zip(steps, em.history_, strict=True):
    np.testing.assert_allclose(ours.means, theirs.means, atol=1e-10)
    np.testing.assert_allclose(ours.covariances, theirs.covariances, atol=1e-10)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-10)
print("SlotMixture = GaussianMixtureEM, at the start and after", end=" ")
print(f"each of {len(steps) - 1} iterations")

# %%
bounds = [step.lower_bound for step in steps]
np.testing.assert_allclose(bounds, [step.lower_bound for step in em.history_])
assert (np.diff(bounds) > -1e-12).all()
print("and so the log-likelihood of a point never falls:", end=" ")
print(f"from {bounds[0]:.3f} to {bounds[-1]:.3f} nats")

# %% [markdown]
# With the neural parts *on*, nothing climbs for sure: the update may go anywhere, and keys and values differ. What
# remains is the shape of EM, and a loss that teaches the learned parts to make it useful.

# %% [markdown]
# ## Gradients through the last step
#
# Training could send gradients back through all iterations. The paper, like later versions of Slot Attention, runs them
# without gradients and lets only one last step record: less memory, steadier. It rests on this thought: near a fixed point
# of the iteration, the last step's gradient is the first term of the exact one.
#
# The simplest way is to `detach` the slots before the last step. It has a hole.
#
# **Predict first.** Which learned parameters get no gradient at all if means and variances are detached there?


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
# We shall look at the gradients of all parameters of the start, and of two others.

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
# The cure is *straight-through*: before the last step, use `value.detach() + (start - start.detach())`. Its value is
# `value`, since the bracket is zero. Its gradient is that of `start`.


# %%
@exercise("smm.refine")
def refine(step, start, iterations):
    """-> the result, and the gradient of its sum by `start`, through the last step.

    step: a function of a tensor, to be applied `iterations` times.
    """
    ...


# %% [markdown]
# The library does this for `gradient="last"`. Three ways, one loss:

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
torch.testing.assert_close(detached, straight_through)
torch.testing.assert_close(through_all, straight_through)

# %% [markdown]
# Forward, all three are the same. Backward they are not.

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
# With the plain detach nothing of the start learns: mean, noise scale and variance stay where they were initialised.
# Straight-through gives them a gradient. (Keys and GRU have the same gradient in both: the start's path is all that
# differs.) What does the shortcut cost, and save? Compare directions with the full gradient, and count what is kept.

# %%
from smm_tutorial.training import bytes_kept_for_backward


def flat_gradient(module, iterations, part):
    """The gradient of all parameters whose names contain `part`, as one vector."""
    module.zero_grad()
    slots = module(inputs, noise=noise, num_iterations=iterations).slots
    (slots - target).square().mean().backward()
    parameters = module.named_parameters()
    return torch.cat([p.grad.flatten() for name, p in parameters if part in name])


def kilobytes_kept(module, iterations):
    """What autograd keeps of a forward pass."""
    how = {"noise": noise, "num_iterations": iterations}
    return bytes_kept_for_backward(lambda: module(inputs, **how)) / 1000


# %% [markdown]
# One row per number of iterations:

# %%
parts = {"keys, values, queries": "to_", "update": "update.", "start": "start"}
print("cosine of last-step and full gradient | kB kept for backward")
for iterations in (1, 3, 7):
    cosines = []
    for title, part in parts.items():
        last = flat_gradient(module, iterations, part)
        full = flat_gradient(everything, iterations, part)
        cosine = torch.cosine_similarity(last, full, dim=0)
        cosines.append(f"{title} {cosine:.2f}")
    print(f"{iterations} iterations:", ", ".join(cosines), end=" | ")
    print(f"last step {kilobytes_kept(module, iterations):.0f},", end=" ")
    print(f"all {kilobytes_kept(everything, iterations):.0f}")

# %% [markdown]
# One iteration: the same thing. Three: roughly the same direction. Seven: for keys, values and queries the shortcut points
# somewhere else. The thought was about a place *near a fixed point*, and an untrained module with random targets is not
# near one. So the shortcut is no free lunch; it saves memory, which no longer grows with the iterations (right), and
# avoids the long products of derivatives that can blow up. What training makes of both is a question for an ablation.

# %% [markdown]
# ## Fast: from broadcasting to two matrix products
#
# Your E-step subtracts every query from every key: a tensor of $B \times N \times K \times D$ numbers, and so does the
# variance. Take a small picture: 32 x 32 features, 7 slots, width 64, 16 pictures, float32.
#
# **Predict first.** How many megabytes (MB) is one such tensor? Autograd keeps several of them, for every iteration.

# %%
B, N, K, D = 16, 32 * 32, 7, 64
BYTES = 4  # of a float32
print(f"one tensor of B N K D numbers: {BYTES * B * N * K * D / 1e6:.0f} MB;", end=" ")
print(f"one of B N K: {BYTES * B * N * K / 1e6:.1f} MB")

# %% [markdown]
# The whole module by hand keeps several. The library's module computes in another form, which comes next.

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
# The cure is algebra. Expand the square and sort by who depends on what:
#
# $$-\tfrac12 \sum_d \frac{(k_d - q_d)^2}{s_d} = \underbrace{-\tfrac12 \sum_d k_d^2 \cdot \frac1{s_d}}_{\text{a matrix
# product}} + \underbrace{\sum_d k_d \cdot \frac{q_d}{s_d}}_{\text{a matrix product}} - \tfrac12 \sum_d \frac{q_d^2}{s_d} .$$
#
# Each sum over $d$ is (something of the key) times (something of the slot): `@` does it without the big tensor.


# %%
@exercise("smm.expand_square")
def expand_square(queries, keys, variances):
    """-> the term quadratic in keys, the cross term, (B, N, K) each, and the constant.

    The constant (B, K) includes the log variances.
    """
    ...


# %% [markdown]
# The variance has the same cure. With shares $w$, $\sum_n w_n (v_n - m)^2 = \sum_n w_n v_n^2 - \mu^{*2} + (\mu^* - m)^2$:
# one more product, of shares and squares. First equality, in float64.


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
torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)

gamma = slow.exp()
fast = variance_by_products(gamma, values=keys, means=queries)
slow = variance_about(gamma, keys, queries)
torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)

# %% [markdown]
# Then the whole module, in float64 as well.

# %%
in_float64 = SlotMixture(K, D, D).double()
features = torch.randn(2, 256, D).double()
start = torch.randn(2, K, D).double()
slow, *_ = slot_mixture_by_hand(in_float64, features, start)
fast = in_float64(features, noise=start).slots
torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
print("E-step, variance and the whole module: matrix form = broadcast form to 1e-10")

# %% [markdown]
# Then speed: forward and backward of the whole module, the two forms in turn, the fastest of three each. (The ratio
# depends on the machine, so it is measured where you run this; what must hold everywhere is asserted.)

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
print(f"the matrix form is {ratio:.0f} times as fast here")

# %%
assert ratio >= 2 and bill["broadcast"] >= 5 * bill["matrix form"]
print("at least 2 times as fast, and at most a fifth of the memory")

# %% [markdown]
# ### What the expanded square costs
#
# $k^2/s$, $-2kq/s$ and $q^2/s$ are each huge when the data lie far from zero, and nearly cancel. float32 keeps 7 digits
# of the *large* numbers; the small difference gets what is left: an error of about $\varepsilon \cdot \text{offset}^2 / s$,
# with $\varepsilon \approx 10^{-7}$.
#
# **Predict first.** Data of spread 1 around 300, $s = 1$. How large is the error of a log density, and so of a
# responsibility? And if you first subtract the inputs' mean?


# %%
def by_products(queries, keys, variances):
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return (quadratic + cross + constant[:, None]).softmax(dim=2)


def centred(queries, keys, variances):
    centre = keys.mean(dim=1, keepdim=True)
    return by_products(queries - centre, keys - centre, variances)


def broadcast(queries, keys, variances):
    log_weights = torch.zeros(variances.shape[:2])
    return log_responsibilities(queries, keys, variances, log_weights).exp()


# %% [markdown]
# The errors of all three in float32, against float64, at ever larger distances from zero:

# %%
offsets = [0.1, 1, 3, 10, 30, 100, 300, 1000, 3000]
methods = {
    "expanded square": by_products,
    "expanded square, centred first": centred,
    "broadcast": broadcast,
}
errors = {name: [] for name in methods}
for offset in offsets:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(1, 4, 8, generator=generator) + offset  # float32
    keys = torch.randn(1, 200, 8, generator=generator) + offset
    variances = torch.ones(1, 4, 8)
    exact = broadcast(queries.double(), keys.double(), variances.double())
    for name, method in methods.items():
        error = (method(queries, keys, variances) - exact).abs().max()
        errors[name].append(error.item())

# %%
from smm_tutorial.figures import errors_figure

epsilon = torch.finfo(torch.float32).eps
expected = [epsilon * max(offset, 1) ** 2 for offset in offsets]
alt = """Error against distance from zero: the expanded square's grows with its square
until it is 1, the centred one and the broadcast form stay near 1e-6."""
show(errors_figure(offsets, errors, expected), alt=alt)
assert errors["expanded square"][-1] > 0.1  # responsibilities that mean nothing
assert max(errors["expanded square, centred first"]) < 1e-4
print("at 3000 the expanded square is useless in float32;", end=" ")
print("centred first, every error is below 1e-4")

# %% [markdown]
# Around 300 the expanded square is wrong in the second digit of a responsibility; around 3000 it is noise. Subtracting the
# mean of the inputs first costs almost nothing and cures it: $k - q$ does not change when both move. The library
# centres the inputs *before* its linear maps, which pass the centre on. A LayerNorm keeps features near zero anyway, so a
# trained network seldom shows this; a clustering test on raw data does.

# %% [markdown]
# ## The paper and the released code
#
# The authors' released code differs from the paper's text. That is common, and no reproach: but who reproduces numbers, or
# loads the weights, must know which of the two they have. We read the code (revision `0c724f6`), list what differs, and
# rebuild each effect below in a few lines of our own. The course follows the paper.
#
# ### 1. The weights are always 1/K
#
# In the module of the released weights, responsibilities are normalised over the inputs *before* they are summed to
# weights. **Predict first.** What is then the sum for each slot?

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
# 150 points and 50, and both weigh one half. (A second class in the release sums the right thing, but the weights were not
# trained with it.) In our library this is `SlotMixture(..., weights="fixed")`. What of the paper reads weights,
# such as finding empty slots, needs the paper's form.
#
# ### 2. Another density
#
# No log-determinant, no factor 1/2, a scale $D^{-1/2}$ as in dot-product attention, and $e^{-d} + 10^{-8}$ instead
# of logarithms. Two effects. First, cores inside halos: the narrow slot has nothing to offer.


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
# A core and a halo with the same mean, and inputs ever farther from it:

# %%
same_mean = torch.zeros(1, 2, 2).double()
variances = torch.tensor([[[1.0, 1.0], [9.0, 9.0]]]).double()  # of core and halo
places = torch.tensor([0.0, 0.5, 1.0, 2.0, 5.0, 20.0]).double()
along = torch.stack([places, torch.zeros(6)], dim=1)[None]  # (1, 6, 2)
log_weights = torch.zeros(1, 2).double()
paper = log_responsibilities(same_mean, along, variances, log_weights).exp()[0, :, 0]
released = released_responsibilities(same_mean, along, variances)[0, :, 0]
print("distance from the mean ", *(f"{place:6.1f}" for place in places))
print("core's share, paper    ", *(f"{share:6.2f}" for share in paper))
print("core's share, release  ", *(f"{share:6.2f}" for share in released))
assert released.max() <= 0.5 < paper.max()

# %% [markdown]
# Without the determinant the core never owns more than half of any input, not even at its centre. And look at the
# last column: at distance 20 the release shares *equally*. There both $e^{-d}$ are far below $10^{-8}$, the constant takes
# over, and the far input pulls on all slots alike. In the logarithm it belongs to the wide slot.
#
# The missing 1/2 and the $D^{-1/2}$ only change the scale of the distances: together they are one temperature.

# %%
D = 64
generator = torch.Generator().manual_seed(0)
queries = 0.5 * torch.randn(1, 5, D, generator=generator).double()
keys = 0.5 * torch.randn(1, 20, D, generator=generator).double()
ones = torch.ones(1, 5, D).double()
released = released_responsibilities(queries, keys, ones)

log_weights = torch.zeros(1, 5).double()
temperature = math.sqrt(D) / 2  # a variance s with -d / sqrt(D) = -d / (2 s)
paper = log_responsibilities(queries, keys, temperature * ones, log_weights).exp()
torch.testing.assert_close(released, paper, atol=1e-3, rtol=0)  # up to the 1e-8
print(f"the release's scale at D = {D}: as if all variances were", end=" ")
print(f"{temperature:.0f} times as large")

# %% [markdown]
# The library has a module with the release's density and query, `ReleasedSlotMixture`. It stands beside the released
# weights. With its neural parts switched off, its responsibilities must be those of the function above.

# %%
from smm_tutorial.set_prediction import ReleasedSlotMixture

released_module = ReleasedSlotMixture(5, D, D, **PLAIN).double()
out = released_module(keys, num_iterations=1, start=(queries, ones))
torch.testing.assert_close(out.responsibilities, released, atol=1e-10, rtol=0)
print("by hand = smm_tutorial.set_prediction.ReleasedSlotMixture, to 1e-10")

# %% [markdown]
# ### 3. Mean and variance share a LayerNorm
#
# The release joins $\mu$ and $\log \sigma$ to $2D$ numbers, takes one LayerNorm over them, and maps both by one query
# projection. So a slot that only becomes *narrower* also changes where it looks.

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
# ### 4. One step more, and a start that does not learn
#
# After $T$ iterations the release takes one more from detached slots: $T + 1$ in all. And its detach is the plain one,
# so the parameters of its start get no useful gradient; above you saw the zeros and the cure. How much does one step
# more change? On the core and halo:

# %%
for T in (3, 7, 15):
    change = np.abs(steps[T + 1].responsibilities - steps[T].responsibilities).max()
    print(f"T = {T:2d}: one more step changes a responsibility by {change:.2f} at most")

# %% [markdown]
# Early on a lot: when you compare results, count the release's setting of $T$ as $T + 1$.
#
# ### 5. The start looks at the picture
#
# The paper's start is learned and the same for every picture. In the release, two learned tokens go through a small
# transformer *together with the inputs*, and come out as the start's mean and log-sigma; keys and values are made from its
# output too. Noise of shape `(B, K, 2 D)` is drawn once, for means and log-sigmas.

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
# The noise on log-sigma matters more than it looks. EM treats equals equally: two slots that start with the same mean and
# the same variance stay equal forever. **Predict first.** Core and halo, both means at the centre: what happens
# with equal variances, what if one is 10% larger?

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
# Means cannot break this tie, widths can.
#
# ### 6. Units of the coordinates
#
# For set prediction the release trains on CLEVR's coordinates divided by 3, and its average precision (AP) multiplies
# distances by 3. Forget the factor and a threshold means something else:

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
# ### 7. and 8. What runs, and on how much
#
# The object-discovery model does not run as released: a keyword and a dictionary key are missing. So nothing can be
# compared with it; here is the one of this course, trained in [notebook 05](05_object_discovery.ipynb), at work on sixteen
# pictures.

# %%
from smm_tutorial import checkpoints, datasets, discovery

model, _ = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
test_set = datasets.load("clevr6", split="test", size=model.config.image_size)
scenes = test_set.subset(range(16))
owners = discovery.segment(model, scenes)  # the slot that owns each pixel, (16, 48, 48)
assert discovery.score(scenes, owners)["fg_ari"] > 0.6
print(f"it runs: owners of pixels {tuple(owners.shape)}, FG-ARI on these above 0.6")

# %% [markdown]
# And the release's evaluation scores 3 batches of 64 pictures by default. How far does chance move a score of 192
# pictures? Take a share of pictures that is 50% in truth, and look at 1,000 such evaluations.

# %%
rng = np.random.default_rng(0)
for pictures in (192, 15_000):
    draws = rng.binomial(pictures, 0.5, size=1000) / pictures
    low, high = 100 * np.quantile(draws, [0.025, 0.975])
    print(f"{pictures:6d} pictures: 95% of evaluations lie between", end=" ")
    print(f"{low:.1f}% and {high:.1f}%")

# %% [markdown]
# CLEVR's validation split has 15,000 pictures. With 192, differences of a few points between methods say nothing.
#
# In the table, `ReleasedSlotMixture` (of `smm_tutorial.set_prediction`) is the module with the release's density and
# query. It takes the sizes and options of `SlotMixture`.
#
# | | paper | release | here |
# | --- | --- | --- | --- |
# | weights | mean responsibility | 1/K | paper; `weights="fixed"` |
# | density | Gaussian, log space | no determinant, $D^{-1/2}$, $+10^{-8}$ | paper; `ReleasedSlotMixture` |
# | norm before the query | means | means and log-sigmas together | means; `ReleasedSlotMixture` |
# | steps, gradient of the start | $T$ and a last one | $T + 1$, no useful gradient | `gradient="last"`: $T$, straight-through |
# | start | learned | from the inputs | learned |

# %% [markdown]
# ## Summary
#
# - Where groups share a mean, means cannot tell them apart; where a question is about spread, a mean has no answer.
#   Where means suffice, Slot Attention is as good, and it trains more steadily. Given squares as features, it also catches up.
# - An SMM iteration: shares by weight times density, weights, weighted means, the neural update, variances about the
#   *updated* means. A slot is mean and variance.
# - Without its neural parts it is EM with diagonal Gaussians, to ten decimals.
# - The log-determinant lets a narrow slot win its core. Diagonal means diagonal: a tilted cross needs learned features.
# - Last-step gradients leave the start untrained unless they go straight through.
# - Expand the square and two matrix products replace a tensor of $B N K D$ numbers; centre first, or float32 cancels.
# - Paper and release differ: say which one you use.
#
# ## Further reading
#
# - [Kirilenko, Vorobyov, Kovalev and Panov, *Object-Centric Learning with Slot Mixture Module*, 2024](https://arxiv.org/abs/2311.04640):
#   the paper; after this notebook, its section 3 reads in ten minutes.
# - [Locatello et al., *Object-Centric Learning with Slot Attention*, 2020](https://arxiv.org/abs/2006.15055):
#   algorithm 1 has the neural update that the SMM keeps; compare it line by line with the module by hand.
# - [Chang, Griffiths and Levine, *Object Representations as Fixed Points*, 2022](https://arxiv.org/abs/2207.00787):
#   why one step's gradient is enough near a fixed point, and how much steadier training becomes.
# - [Jia, Liu and Huang, *Improving Object-centric Learning with Query Optimization*, 2023](https://arxiv.org/abs/2210.08990):
#   the straight-through start, so that learned queries train in spite of the detach.
# - [Greff, van Steenkiste and Schmidhuber, *Neural Expectation Maximization*, 2017](https://arxiv.org/abs/1708.03498):
#   an earlier network whose iterations are EM steps, there on pixels.
