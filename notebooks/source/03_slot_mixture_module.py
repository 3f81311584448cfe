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
# **What you will do.** See where a mean is not enough to describe a group. Build the Slot Mixture Module (SMM) line by line: its
# steps, its gradients, its fast form. In an appendix, compare the paper with the code that was released with it.
#
# **What you will be able to do.** Write the module from memory. Say what each line is for. Check it against
# expectation-maximisation (EM). Keep it fast and exact in float32.
#
# **What you need.** EM with diagonal Gaussians ([notebook 01](01_em_gaussian_mixtures.ipynb)); Slot Attention as soft
# k-means with learned parts ([notebook 02](02_kmeans_to_slot_attention.ipynb)); modules and gradients in torch. No GPU.
#
# **Minutes.** About 135: 75 to read, 59 for the exercises.

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
# (You can skip the cell above. It only finds the course's library.)
#
# | symbol | meaning | in code |
# | --- | --- | --- |
# | $x_n$, $N$ | input number $n$ of $N$ inputs | `inputs` (B, N, D_in) |
# | $\operatorname{key}(x)$, $\operatorname{value}(x)$ | learned linear maps of an input, without bias | `keys`, `values` (B, N, D) |
# | $\operatorname{query}(\mu)$ | learned linear map of a mean, after a LayerNorm | `queries` (B, K, D) |
# | $\mu_k$, $s_k$, $w_k$ | mean, variances and weight of slot $k$, one of $K$ slots (the paper writes $\pi_k$ for the weight) | `means`, `variances` (B, K, D), `weights` (B, K) |
# | $\mu_k^*$ | weighted mean of what slot $k$ holds, before the neural update | `weighted_means` |
# | $\gamma_{nk}$ | responsibility of slot $k$ for input $n$ ($r_{nk}$ in notebooks 01 and 02) | `gamma` (B, N, K) |
# | $D$ | numbers in a mean | `slot_dim` |
#
# $B$ counts the sets or pictures of a batch.
#
# ## A mean is not enough
#
# Slot Attention describes a group by one vector, a mean. Is that enough? We compare two clusterings on sets with two true groups:
#
# - *soft k-means*, the clustering inside Slot Attention: means, and one fixed width for all;
# - EM with diagonal Gaussians, the clustering inside the SMM: means, variances and weights.
#
# Both start from the same two points. Soft k-means even has an advantage: we try seven temperatures and keep the best by the true
# groups.

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
# We use the library's SMM as a tool first, and build it afterwards. With its neural parts switched off, the module *is* EM. With
# variances and weights held `fixed` as well, it is soft k-means. (You will prove the first statement below.)

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
# We use ten sets of each of four kinds. `two_clouds` makes them:
#
# - *apart*: two groups in different places;
# - *concentric*: a small core inside a wide halo, with one centre;
# - *cross*: a lying stick and a standing stick with one centre;
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
# - **Apart.** There is no difference. Where means tell groups apart, soft k-means is as good, and so is Slot Attention.
# - **Concentric and cross.** Both groups have the same mean. Soft k-means can only cut the plane along a line, or see one group if it
#   is hot. The mixture finds what differs: the spread. (The groups overlap, and nobody can tell them apart there. So its ARI is not 1.)
# - **Tilted cross.** The mixture fails, too. Its covariances are diagonal, so it sees spread only along the axes of the features. Along
#   these axes both sticks spread alike. The SMM *learns* its features. So it can learn features with better axes.

# %% [markdown]
# ## The same with everything learned
#
# Clustering is rarely the goal. Usually another network reads the slots and solves a task. So we train: a module with two slots reads a
# set, and a small network (the *head*) answers a question about each group from its slot. We ask four questions:
#
# - **where, anywhere**: two groups at random places. Where are they?
# - **where, nearly known**: one group at the left and one at the right, each slightly off. Where are they?
# - **how wide**: one group at the left and one at the right. How wide is each?
# - **how wide, concentric**: a core and a halo with one centre. How wide is each?


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
# Slots have no order. So two answers can be matched with two groups in two ways. The better way counts.


# %%
def matched_error(said, true):
    """Mean square errors (count,) of answers (count, 2, ·), matched the better way."""
    straight = (said - true).square().mean(dim=(1, 2))
    crossed = (said - true.flip(1)).square().mean(dim=(1, 2))
    return torch.minimum(straight, crossed)


# %% [markdown]
# Everything but the module is equal: sets, seeds, head, optimiser, width of a slot (8), three iterations, and one learned start per
# slot. Both modules start as a plain clustering: `initialisation="clustering"` sets all linear maps so that keys, queries and values
# agree, and makes the neural update nearly the weighted mean.
#
# A slot of the SMM would have 16 numbers: means and variances. So that the width is equal, a small network reduces them to 8,
# `content="reduced"`. The paper does the same for a fair comparison. So the SMM has more parameters:


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
# One training run goes from a fresh module to its error:


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
# For comparison we need the error of an answer that does not look at the set:


# %%
def error_of_a_constant(question):
    """The same error for an answer that does not look at the set: the mean answer."""
    _, true = sets(question, 1000, torch.Generator().manual_seed(1000))
    said = true.mean(dim=0).expand_as(true)
    return matched_error(said, true).mean().sqrt().item()


# %% [markdown]
# **Predict first.** For which questions will Slot Attention be as good as the SMM? For which will it stay near the constant answer?
#
# The numbers below are relative errors: 0 is perfect, 1 is as bad as the constant answer. **This cell takes one to two
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
        both[name] = values = np.array(errors) / error_of_a_constant(question)
        spread = f"{values.mean():.2f} ± {values.std():.2f}"
        each = " ".join(f"{value:.2f}" for value in np.sort(values))
        print(f"{question:21} {name:15} {spread}   seeds: {each}")

# %%
from smm_tutorial.figures import modules_figure

label = "error relative to the constant answer, one dot per seed"
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
# Five seeds per question and module. One dot in the figure is one seed.
#
# - **Where, anywhere.** Both are about as good. A mean is the answer, and both modules have means.
# - **Where, nearly known.** Slot Attention is *better* on average, and its seeds differ little. The SMM's best seeds beat it, but other seeds of the
#   SMM have learned hardly anything. A mixture has more ways to explain a set. So it has more local optima to get stuck in.
# - **How wide.** The error of Slot Attention stays near 0.8 of the constant answer's error, in every seed. The SMM is better in every seed. How much
#   better differs between seeds.
# - **How wide, concentric.** The same, but the difference is smaller. Slot Attention learns next to nothing.
#
# These are five seeds of one small setting. We chose its sizes, learning rate and initialisation in trials, alike for both modules and all
# questions. Other settings may give other results: try `initialisation="random"`, or more steps.
#
# Why can Slot Attention say *anything* about a spread? Each of its slots cuts off a part of a set. The distance of the part's mean from the border
# tells a little about the spread. Can we help it? We give it the squares of the coordinates as two more features.


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
# A mean of squares *is* a second moment. Given the squares, Slot Attention is about as good as the SMM without them. (Compare the
# spread over seeds.) An encoder before the module can learn such features.
#
# So it would be wrong to say that Slot Attention *cannot* know a spread. The fair statement is: the SMM knows it by construction, in
# every iteration, and clusters by it. Does that help on pictures? [Notebook 06](06_judging_slots.ipynb) measures it.

# %% [markdown]
# ## The module on one page
#
# An encoder gives $N$ inputs $x_n$. Slot $k$ has a mean $\mu_k$, variances $s_k$ (a diagonal covariance) and a weight $w_k$. Inputs
# pass a LayerNorm first, and so do the means before the query. One iteration of the paper's section 3 is:
#
# | step | formula | known from |
# | --- | --- | --- |
# | E-step | $\gamma_{nk} \propto w_k \, \mathcal N(\operatorname{key}(x_n) \mid \operatorname{query}(\mu_k), s_k)$, sums to 1 over slots | EM |
# | weights | $w_k = \frac1N \sum_n \gamma_{nk}$ | EM |
# | weighted mean | $\mu_k^* = \sum_n \gamma_{nk}\, \operatorname{value}(x_n) \big/ \sum_n \gamma_{nk}$ | EM |
# | neural update, 1 | $\mu_k \leftarrow \mathrm{GRU}(\mu_k^*, \mu_k)$: first the input, then the state | Slot Attention |
# | neural update, 2 | $\mu_k \leftarrow \mu_k + \mathrm{MLP}(\mathrm{LayerNorm}(\mu_k))$ | Slot Attention |
# | variance | $s_k = \sum_n \gamma_{nk} (\operatorname{value}(x_n) - \mu_k)^2 \big/ \sum_n \gamma_{nk}$, about the *new* $\mu_k$ | EM |
#
# The start is learned: $\mu_k = m + \text{scale} \odot \text{noise}$ as in Slot Attention, with learned variances, and weights $1/K$. At the
# end a slot is $\mu_k$ and $s_k$, one after the other: $2D$ numbers.

# %%
from smm_tutorial.figures import slot_mixture_diagram

show(
    slot_mixture_diagram(),
    alt="Boxes and arrows: keys and queries go into the E-step, responsibilities and "
    "values into the M-step, a GRU with an MLP moves the weighted means, and the "
    "variances are taken about the moved means; then the next iteration begins.",
)

# %% [markdown]
# Now we go through it line by line.
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

# %% [markdown]
# The upper panel shows weight times density. The lower panel shows the responsibilities: at each key the two heights, divided by their
# sum. The narrow slot owns the middle, the wide slot owns both sides.
#
# A density integrates to 1, so a narrow one must be *tall*. In the log density this is the second term:
#
# $$\log \mathcal N(x \mid \mu, s) = -\tfrac12 \sum_d \left( \frac{(x_d - \mu_d)^2}{s_d} + \log s_d + \log 2\pi
# \right) .$$
#
# $\sum_d \log s_d$ is the logarithm of the determinant of the covariance, so we call it the *log-determinant*.
#
# In JupyterLab and on Colab the next cell shows controls: move the second slot, change variance and weight, and take the log-determinant
# away. After it comes the picture without the log-determinant, for readers without controls.

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
# Without the log-determinant, a wide slot wins every key except the mean itself. Being wide costs nothing then. So no slot can own a core
# inside a halo.
#
# How large is the core *with* the log-determinant? Derive the distance from the mean at which both slots are equal.


# %%
@exercise("smm.border_radius")
def border_radius(narrow, wide, weight, dim):
    """Where two slots of one mean share equally: the distance from the mean.

    Given: both variances, the narrow slot's weight, the number of features.
    """
    ...


# %% [markdown]
# Check it against the densities themselves, for a core of weight 0.3. At the border both weighted densities must be equal.

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
# A weight counts once. The log-variance counts once *per feature*. So in many features the small weight of the core hardly matters
# any more.
#
# ## The E-step
#
# Three points are special to the module:
#
# - It compares *keys* with *queries*. So the module learns in which features the groups are Gaussian.
# - The variances come from *values*, but they are used in the density of keys. Nothing forces the two spaces to agree. The
#   loss must teach it.
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
# Inputs are shared out: each gives away 1 in total. A slot may get much or hardly anything. What a slot gets, divided by $N$, is its
# new weight.
#
# ## Weights and weighted means


# %%
@exercise("smm.weights_and_means")
def weights_and_means(gamma, values):
    """gamma (B, N, K), values (B, N, D) -> weights (B, K), weighted means (B, K, D)."""
    ...


# %% [markdown]
# Slot Attention also divides by these sums, for its weighted mean, and then forgets them. The SMM keeps them as weights. The next E-step
# uses them: a slot that holds much claims more. The weights also tell which slots are *empty*.
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
# Two weights are close to the sizes of the groups, 0.75 and 0.25. Each of the other three slots holds one point: $1/200 = 0.005$. This is
# the collapse of notebook 01, and only the floor under the variances stops it. So a weight tells which slots found something.
#
# ## The neural update
#
# EM would now move the mean to $\mu^*$. The module does something else: a GRU decides how far to go, and an MLP adds to the
# result. This update is the same as in Slot Attention. The library's two modules share its code.

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
# So the mean does *not* arrive where EM would put it. Before training it does not even come near. This raises a question, which the
# paper's reviewers asked, too.
#
# ## The variance, about which mean?
#
# Equation 7 of the paper takes the variance about the *updated* mean. The figure shows one slot and one feature. The grey bars are values,
# and their length is their share. The update has moved the mean to 2.2.

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
# Both Gaussians in the left panel are centred at the slot's mean. The solid one has the variance about the *weighted* mean. It leaves most
# values outside. The dashed one has the variance about the updated mean, and it covers them.
#
# The right panel shows how much the two differ. The mean square about a place $m$ is a parabola. With shares $a_n$ that sum to 1:
#
# $$\sum_n a_n (v_n - m)^2 = \underbrace{\sum_n a_n (v_n - \mu^*)^2}_{\text{variance about } \mu^*} + (\mu^* - m)^2 .$$
#
# This is the identity that we used for the inertia in notebook 01.
#
# The updated mean is also the right choice in the sense of EM. If the mean is held at $m$, which variance maximises the slot's expected
# log density? It is the mean square about $m$.


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
# The identity holds. Next, hold the mean at 2.2 and compute the expected log density for many variances:


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
# There is a second way to see it. The variance contains the distance of the move. If the network moves a slot far from what it holds, then
# the slot gets a large variance, and its claims are softer in the next E-step.
#
# ## The whole module, by hand
#
# Now you put one iteration together. The functions `to_queries` and `update` stand for the learned parts.


# %%
@exercise("smm.one_iteration")
def one_iteration(means, variances, weights, keys, values, to_queries, update, floor):
    """One iteration -> new means, variances (B, K, D), weights (B, K), gamma (B, N, K).

    update(weighted_means, means): the moved means; floor: the least variance.
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
torch.testing.assert_close(slots, out.slots)
torch.testing.assert_close(gamma, out.responsibilities)
torch.testing.assert_close(weights, out.weights)
print(f"no variance may be below {module.variance_floor}, the library's default")
print("by hand = smm_tutorial.slots.SlotMixture:", end=" ")
print(tuple(slots.shape), "slots,", tuple(gamma.shape), "responsibilities")

# %% [markdown]
# The *floor* is not in the paper's text. It stops components from collapsing. (In notebook 01, `reg_covar` did this by *adding* a small
# number. The floor is a limit.) The paper learns the parameters of the start, and so does the library.
#
# ### A look inside
#
# Here are the core and the halo from above, iteration by iteration.
#
# **Predict first.** The two slots start with different means and the same variance. Will they first cut the cloud into two halves, or find
# the core at once?

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
# At first there are two wide slots, side by side, and each takes one half. Then one of them gets the tails on both sides. It grows wider, and so
# it wins more of the tails. The other slot shrinks to the core.
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
    shown = ", ".join(
        f"weight {w:.2f}, deviation {s:.2f}"
        for w, s in zip(weights, deviations, strict=True)
    )
    print(f"{iterations:2d} iterations without the log-determinant: {shown}")

# %% [markdown]
# Without the log-determinant one slot takes nearly everything, and the core is lost.

# %% [markdown]
# ## With the neural parts off it is EM
#
# Switch off projections, normalisation and update. Then $\mu = \mu^*$, and the variance about the updated mean is the variance about the
# weighted mean. So each line is a line of EM. The module must equal `GaussianMixtureEM` of notebook 01 with diagonal covariances, *step for
# step*.

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
print("and so the mean log-likelihood of the points never falls:", end=" ")
print(f"from {bounds[0]:.3f} to {bounds[-1]:.3f} nats")

# %% [markdown]
# With the neural parts *on*, no such guarantee exists. The update may go anywhere, and keys and values differ. The steps still have the form
# of EM, and the loss must teach the learned parts to make use of it.

# %% [markdown]
# ## Gradients through the last step
#
# Training could send gradients back through all iterations. The paper does something else, like later versions of Slot Attention. It runs all
# iterations but the last without gradients, and only the last step records. This needs less memory.
#
# Why may one do that? Let $f$ be one iteration, $\theta$ its parameters, and $\mu = f(\mu, \theta)$ a fixed point. How does $\mu$ change with
# $\theta$? Differentiate both sides, with $J = \partial f / \partial \mu$:
#
# $$\frac{d\mu}{d\theta} = J \frac{d\mu}{d\theta} + \frac{\partial f}{\partial \theta} \quad\Rightarrow\quad
# \frac{d\mu}{d\theta} = (I - J)^{-1} \frac{\partial f}{\partial \theta} = (I + J + J^2 + \dots) \frac{\partial f}{\partial \theta} .$$
#
# The gradient of the last step is $\partial f / \partial \theta$: the first term of this sum. If the iteration contracts strongly, then $J$ is
# small, and the other terms matter little.
#
# The simplest way to do it is to `detach` the slots before the last step. But this has a flaw.
#
# **Predict first.** Means and variances are detached before the last step. Which learned parameters then get no gradient at all?


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
# With a plain detach the last step does not know the start. The remedy is called *straight-through*. Before the last step, use
# `value.detach() + (start - start.detach())`. The bracket is zero, so the value is `value`. But the gradient passes to `start`, as if `start` were
# the place where the last step began.
#
# In the exercise, keep the two apart: the *value* comes from all iterations. The *gradient* is that of the last step, taken at that value, and
# handed to `start`.


# %%
@exercise("smm.refine")
def refine(step, start, iterations):
    """-> the result, and the gradient of its sum by `start`, through the last step.

    step: a function of a tensor, to be applied `iterations` times.
    """
    ...


# %% [markdown]
# The library does this for `gradient="last"`. Now three ways for one loss:

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
# Forward, all three give the same slots. Backward, they differ.

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
# What does the shortcut cost, and what does it save? The next cells compare the direction of its gradient with the full gradient, and count the
# memory that is kept for the backward pass.

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
# One row per number of iterations. A cosine of 1 means the same direction, 0 means a right angle:

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
# With one iteration both gradients are the same. With three they have roughly the same direction. With seven, the shortcut points elsewhere for
# keys, values and queries. The derivation assumed a fixed point, and an untrained module with random targets is not near one.
#
# The shortcut saves memory: what is kept no longer grows with the number of iterations. Which of the two trains better is another question, and we
# do not answer it here.

# %% [markdown]
# ## Fast: from broadcasting to two matrix products
#
# Your E-step subtracts each query from each key. This makes a tensor of $B \times N \times K \times D$ numbers, and the variance makes another
# one. Take 16 small pictures with 32 x 32 inputs each, 7 slots, width 64, in float32.
#
# **Predict first.** How many megabytes (MB) has one such tensor? Autograd keeps several of them in each iteration.

# %%
B, N, K, D = 16, 32 * 32, 7, 64
BYTES = 4  # of a float32
print(f"one tensor of B N K D numbers: {BYTES * B * N * K * D / 1e6:.0f} MB;", end=" ")
print(f"one of B N K: {BYTES * B * N * K / 1e6:.1f} MB")

# %% [markdown]
# The module by hand keeps several. The library's module computes in another form, which we derive next.

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
# The remedy is algebra. Expand the square, and sort by what depends on the key and what depends on the slot. In one density, with key $a$, query
# $q$ and variances $s$:
#
# $$-\tfrac12 \sum_d \frac{(a_d - q_d)^2}{s_d} = \underbrace{-\tfrac12 \sum_d a_d^2 \cdot \frac1{s_d}}_{\text{a matrix
# product}} + \underbrace{\sum_d a_d \cdot \frac{q_d}{s_d}}_{\text{a matrix product}} - \tfrac12 \sum_d \frac{q_d^2}{s_d} .$$
#
# Each of the first two sums is (something of the key) times (something of the slot), summed over $d$. For all keys and slots together this is a
# matrix product, `@`, and the large tensor is never made.


# %%
@exercise("smm.expand_square")
def expand_square(queries, keys, variances):
    """-> the term quadratic in keys, the cross term, (B, N, K) each, and the constant.

    The constant (B, K) includes the log variances.
    """
    ...


# %% [markdown]
# The variance has the same remedy. With shares $a_n$ that sum to 1,
# $\sum_n a_n (v_n - m)^2 = \sum_n a_n v_n^2 - \mu^{*2} + (\mu^* - m)^2$. The first sum is one more matrix product.
#
# First we check equality, in float64.


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
# Next, the whole module, in float64 as well.

# %%
in_float64 = SlotMixture(K, D, D).double()
features = torch.randn(2, 256, D).double()
start = torch.randn(2, K, D).double()
slow, *_ = slot_mixture_by_hand(in_float64, features, start)
fast = in_float64(features, noise=start).slots
torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
print("E-step, variance and the whole module: matrix form = broadcast form to 1e-10")

# %% [markdown]
# Now the speed. We run forward and backward of the whole module, the two forms in turn, and take the fastest of three. The ratio depends on your
# machine. The cell after it asserts what must hold everywhere. (If your own functions above already use matrix products, then your module by
# hand is fast, too, and we skip that assertion.)

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
if bill["broadcast"] >= 5 * bill["matrix form"]:
    assert ratio >= 2
    print("at least 2 times as fast, and at most a fifth of the memory")
else:
    print("your own E-step or variance makes no large tensor: well done")

# %% [markdown]
# ### What the expanded square costs
#
# $a^2/s$, $-2aq/s$ and $q^2/s$ are all huge if the data lie far from zero, and they nearly cancel. float32 keeps about 7 digits of the *large*
# numbers, and the small difference gets what is left. The error is about $\varepsilon \cdot \text{offset}^2 / s$, where offset is the distance of
# the data from zero, and $\varepsilon \approx 10^{-7}$.
#
# **Predict first.** Data of spread 1 lie around 300, and $s = 1$. How large is the error of a log density, and so of a responsibility? What if you
# subtract the mean of the inputs first?


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
# The next cell computes the errors of three methods in float32, compared with float64, at growing distances from zero:

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
# Around 300 the expanded square is wrong in the second digit of a responsibility. Around 3000 it is useless.
#
# Subtracting the mean of the inputs first costs almost nothing and removes the error: $a - q$ does not change if both move by the same amount. The
# library subtracts the mean of the *inputs*, before its linear maps. Linear maps of centred inputs are centred, so keys and values are centred, too.
#
# A LayerNorm keeps features near zero anyway. So a trained network seldom has this problem. A clustering of raw data has it.

# %% [markdown]
# ## Appendix: the paper and the released code
#
# You can skip this appendix, unless you want to reproduce the paper's numbers or load its weights.
#
# The authors' released code differs from the paper's text. That is common. But whoever reproduces numbers must know which of the two they
# have. We read the code (the repository named in the paper, revision `0c724f6`), list the differences, and rebuild each effect in a few lines of
# our own. The course follows the paper.
#
# ### 1. The weights are always 1/K
#
# In the module of the released weights, responsibilities are normalised over the inputs *before* they are summed to weights.
#
# **Predict first.** What is the sum for each slot then?

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
# The groups have 150 and 50 points, and both get the weight one half. (A second class in the release computes the right sum, but the released
# weights were not trained with it.) In our library this is `SlotMixture(..., weights="fixed")`.
#
# The paper finds empty slots by their weights. That works only with the paper's form.
#
# ### 2. Another density
#
# The release has no log-determinant and no factor 1/2. It has a scale $D^{-1/2}$, as in dot-product attention. And it computes
# $e^{-\text{distance}} + 10^{-8}$ instead of logarithms. This has two effects. The next cells show them for a core and a halo with the same mean.


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
print("core's share, paper    ", *(f"{share:6.2f}" for share in paper))
print("core's share, release  ", *(f"{share:6.2f}" for share in released))
assert released.max() <= 0.5 < paper.max()

# %% [markdown]
# Without the log-determinant the core never owns more than half of an input, not even at its centre. And look at the last column: at distance 20
# the release shares *equally*. Both exponentials are far below $10^{-8}$ there, so the constant decides. In the logarithm the input belongs to
# the wide slot.
#
# The missing 1/2 and the $D^{-1/2}$ only change the scale of the distances. Together they act like one temperature.

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
# The release joins $\mu$ and $\log \sigma$ to $2D$ numbers. It applies one LayerNorm to all of them, and then one query projection. So a slot that only
# becomes *narrower* also changes its query.

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
# After the number of iterations that its setting names, the release makes one more from detached slots. And this is the plain detach. So
# the parameters of its start get no useful gradient, as you saw above. How much does one step more change? On the core and the halo:

# %%
for count in (3, 7, 15):
    now, next_step = steps[count].responsibilities, steps[count + 1].responsibilities
    change = np.abs(next_step - now).max()
    print(
        f"after {count:2d} iterations, one more changes a responsibility by "
        f"{change:.2f} at most"
    )

# %% [markdown]
# Early on it changes much. So count one iteration more than the release's setting when you compare results.
#
# ### 5. The start looks at the picture
#
# The paper's start is learned and the same for every picture. In the release, two learned vectors go through a small transformer *together with the
# inputs*. They come out as the mean and the log-sigma of the start. Keys and values are made from the transformer's output, too. Noise of shape
# `(B, K, 2 D)` is drawn once, for means and log-sigmas.

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
# The noise on log-sigma matters. EM treats equals equally: two slots with the same mean and the same variance stay equal for ever.
#
# **Predict first.** Take core and halo, with both means at the centre. What happens with equal variances? What if one is 10 % larger?

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
# For set prediction the release trains on CLEVR's coordinates divided by 3. Its average precision (AP) multiplies distances by 3. If you forget the
# factor, a threshold means something else:

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
# The released object-discovery model does not run: a keyword and a dictionary key are missing. So nobody can compare with it. This course's model,
# trained in [notebook 05](05_object_discovery.ipynb), runs:

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
# The release's evaluation scores 3 batches of 64 pictures by default. How far does chance move a score of 192 pictures? Take a share of pictures that is
# 50 % in truth, and look at 1,000 such evaluations.

# %%
rng = np.random.default_rng(0)
for pictures in (192, 15_000):
    draws = rng.binomial(pictures, 0.5, size=1000) / pictures
    low, high = 100 * np.quantile(draws, [0.025, 0.975])
    print(f"{pictures:6d} pictures: 95% of evaluations lie between", end=" ")
    print(f"{low:.1f}% and {high:.1f}%")

# %% [markdown]
# CLEVR's validation split has 15,000 pictures. With 192, two independent evaluations can differ by several points by chance alone. (Two methods on the
# *same* pictures can be compared picture by picture, and that is more precise.)
#
# In the table, `ReleasedSlotMixture` (of `smm_tutorial.set_prediction`) is the module with the release's density and query. It takes the sizes and options
# of `SlotMixture`.
#
# | | paper | release | here |
# | --- | --- | --- | --- |
# | weights | mean responsibility | 1/K | paper; `weights="fixed"` |
# | density | Gaussian, log space | no determinant, $D^{-1/2}$, $+10^{-8}$ | paper; `ReleasedSlotMixture` |
# | norm before the query | means | means and log-sigmas together | means; `ReleasedSlotMixture` |
# | iterations | as set | one more than set | as set |
# | gradient of the start | through the last step | none that is useful | `gradient="last"`: straight-through |
# | start | learned | from the inputs | learned |

# %% [markdown]
# ## Summary
#
# - If groups share a mean, means cannot tell them apart. If a question is about spread, a mean has no answer. Where means suffice, Slot Attention is as
#   good, and its seeds differ less. Given squares as features, it also catches up.
# - One iteration of an SMM: responsibilities by weight times density, weights, weighted means, the neural update, variances about the *updated* means. A
#   slot is mean and variance.
# - Without its neural parts it is EM with diagonal Gaussians, to ten decimals.
# - The log-determinant lets a narrow slot win its core. Diagonal means diagonal: a tilted cross needs learned features.
# - Last-step gradients leave the start untrained, unless they go straight through.
# - Expand the square, and two matrix products replace a tensor of $B N K D$ numbers. Subtract the mean first, or float32 loses its digits.
# - The paper and its released code differ. Say which one you use.
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
