# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · EM for Gaussian mixtures
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/smm-tutorial/smm-tutorial/blob/v0.1.0/notebooks/01_em_gaussian_mixtures.ipynb)
# [![Source](https://img.shields.io/badge/source-reviewed-009e73)](source/01_em_gaussian_mixtures.py)
#
# **What you will do.** Group points with k-means. Make k-means soft, and arrive at expectation-maximisation (EM) for mixtures
# of Gaussians. You derive EM, write it by hand, and compare every step with scikit-learn. At the end, you take a picture
# apart with it.
#
# **What you will be able to do.** Write EM from memory. Say why no step lowers the likelihood. Recognise its three ways to fail:
# underflow, a poor local optimum, a collapsed component.
#
# **What you need.** Linear algebra, Bayes' rule, arrays in numpy. No GPU.
#
# **Minutes.** Laptop 120, GPU 120.

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
# ## Points to group
#
# | symbol | meaning | in code |
# | --- | --- | --- |
# | $x_n$, $N$, $D$ | point number $n$ of $N$ points; a point has $D$ features | `points` (N, D) |
# | $K$, $\mu_k$ | number of groups; mean of group $k$ | `means` (K, D) |
# | $z_n$ | label of point $n$: the number of its group | `labels` (N,) |
# | $r_{nk}$ | share of point $n$ that belongs to group $k$; the shares of a point sum to 1 | `shares` (N, K) |
# | $T$ | temperature of soft k-means | `temperature` |
# | $w_k$ | weight of component $k$ of a mixture; weights sum to 1 | `weights` (K,) |
# | $\Sigma_k$, $v_k$ | covariance of component $k$; its diagonal | `covariances`, `variances` |
# | $\ell$ | mean over points of the log-likelihood | `score`, `lower_bound` |
#
# A log-likelihood with the natural logarithm has the unit *nat*.
#
# Here are three groups in the plane: two slanted sticks side by side, and a round cloud.

# %%
import numpy as np

from smm_tutorial.exercises import exercise, hint, solution
from smm_tutorial.figures import points_figure, show


def three_groups(rng):
    """300 points (300, 2) and their groups (300,): two tilted sticks and a cloud."""
    groups = np.repeat([0, 1, 2], [120, 100, 80])
    centres = np.array([[-1.0, 0.6], [1.2, -0.6], [4.6, 2.2]])
    spreads = np.array([[0.35, 2.0], [0.35, 2.0], [0.9, 0.9]])
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    tilt = np.array([[cosine, -sine], [sine, cosine]])  # by 30 degrees
    scattered = spreads[groups] * rng.normal(size=(300, 2))
    return centres[groups] + scattered @ tilt, groups


# %% [markdown]
# An algorithm gets the points only, without their groups.

# %%
points, groups = three_groups(np.random.default_rng(0))
show(
    points_figure(points),
    alt="Grey points: two narrow parallel bands rising to the right, "
    "and a round cloud at the right.",
)

# %% [markdown]
# Your eye sees three groups at once. Can an algorithm?
#
# ## k-means
#
# Choose $K$ means to start with. Then repeat two steps:
#
# 1. Each point goes to its nearest mean.
# 2. Each mean moves to the average of its points.
#
# Here is such a run. We start from three of the points: two lie on the left stick, one in the cloud.

# %%
from smm_tutorial.clustering import KMeans
from smm_tutorial.figures import steps_figure

start = points[[0, 60, 250]]
k_means = KMeans(3, init=start).fit(points)
shown = [0, 1, 3, k_means.n_iter_]
figure = steps_figure(points, {f"iteration {t}": k_means.history_[t] for t in shown})
show(
    figure,
    alt="Four panels of k-means. In the last, the cloud is one group, "
    "and the two sticks are cut across into two.",
)

# %% [markdown]
# k-means ends with both sticks cut *across*. Is the start to blame? Two means began on one stick. The next cell tries better
# starts: one point of each group, and even the true means. It prints the *inertia*, the sum of squared distances of points to
# their means. k-means makes the inertia small.
#
# **Predict first.** Which has the smaller inertia: the true grouping, or sticks cut across?


# %%
def inertia_of(labels):
    """Sum of squared distances of the points to the mean of their group."""
    return sum(
        np.sum((points[labels == k] - points[labels == k].mean(axis=0)) ** 2)
        for k in range(3)
    )


true_means = np.stack([points[groups == k].mean(axis=0) for k in range(3)])
starts = {
    "the start above": start,
    "one point per group": points[[30, 190, 250]],
    "the true means": true_means,
}
for name, first in starts.items():
    found = KMeans(3, init=first).fit(points)
    print(f"k-means from {name:20} ends at inertia {found.inertia_:.0f}")
print(f"the true groups have inertia {inertia_of(groups):.0f}")
assert k_means.inertia_ < inertia_of(groups)


# %% [markdown]
# From better starts k-means ends elsewhere. But the result with the sticks cut across has a *smaller* inertia than the true
# groups. So the start is not to blame: the inertia itself prefers the wrong answer. A squared distance treats all
# directions alike, and a stick is long in one direction.
#
# Keep this picture in mind. First, write k-means.


# %%
@exercise("em.nearest_mean")
def nearest_mean(points, means):
    """points (N, D), means (K, D) -> index of each point's nearest mean (N,)."""
    ...


# %% [markdown]
# Next, the second step and the loop. The library's model keeps every step in `history_`. Our steps must agree with all of them.


# %%
def mean_of_each(points, labels, count):
    return np.stack([points[labels == k].mean(axis=0) for k in range(count)])


means = start
for step in k_means.history_:
    labels = nearest_mean(points, means)
    np.testing.assert_allclose(step.means, means)
    np.testing.assert_array_equal(step.labels, labels)
    means = mean_of_each(points, labels, 3)

count = k_means.n_iter_
print(f"by hand = the library, at the start and after each of {count} iterations")

# %% [markdown]
# ### Why k-means stops
#
# k-means lowers one number, the inertia $J = \sum_n \lVert x_n - \mu_{z_n} \rVert^2$.
#
# - The first step chooses the best labels $z$ for given means. That is its definition.
# - The second step chooses the best means for given labels. To see it, take the $M$ points of one group, their average
#   $\bar x$, and any other place $m$. Then
#
# $$\sum_n \lVert x_n - m \rVert^2 = \sum_n \lVert x_n - \bar x \rVert^2 + M \lVert \bar x - m \rVert^2 .$$
#
# (Write $x_n - m = (x_n - \bar x) + (\bar x - m)$ and expand the square. The mixed term is $2 (\bar x - m)^\top \sum_n (x_n -
# \bar x)$, and the sum in it is zero.) The right side is smallest at $m = \bar x$.
#
# So $J$ never rises. It falls whenever a label changes, because a point changes its label only for a mean that is strictly nearer.
# There are finitely many ways to label the points, and none can come back. So k-means stops.

# %%
anywhere = np.array([2.0, -7.0])
middle = points.mean(axis=0)
about_anywhere = np.sum((points - anywhere) ** 2)
about_middle = np.sum((points - middle) ** 2)
between = len(points) * np.sum((middle - anywhere) ** 2)
np.testing.assert_allclose(about_anywhere, about_middle + between)

inertias = [step.inertia for step in k_means.history_]
assert (np.diff(inertias) <= 0).all()
print("inertia:", " ".join(f"{inertia:.0f}" for inertia in inertias))

# %% [markdown]
# Remember this pattern: two steps in turn, each the best for what the other one gave, and one number that never gets worse. It
# returns in every algorithm of this course.
#
# ## Soft k-means
#
# k-means has no doubts. A point near a border belongs to one group as firmly as a point in the middle of a group. Let us
# divide each point among the groups instead. The share of mean $k$ falls with the squared distance:
#
# $$r_{nk} = \frac{\exp(-\lVert x_n - \mu_k \rVert^2 / 2T)}{\sum_j \exp(-\lVert x_n - \mu_j \rVert^2 / 2T)} .$$
#
# $T$ is called the *temperature*. Its unit is the square of the points' unit. The means become weighted means:
# $\mu_k = \sum_n r_{nk} x_n / \sum_n r_{nk}$.
#
# **Predict first.** Where do the means go if $T$ is very large? Where do they go as $T$ tends to zero?

# %%
from smm_tutorial.figures import temperature_figure

effects = {
    0.5: "firm groups, most shares near 1",
    3.0: "the means draw together, most points in doubt",
}
for temperature, effect in effects.items():
    show(
        temperature_figure(points, start, temperature),
        alt=f"Soft k-means at temperature {temperature} and a histogram "
        f"of each point's largest share: {effect}.",
    )

# %% [markdown]
# In the left panels, a point's colour mixes the colours of its shares. The circles around each mean have the radii
# $\sqrt T$ and $2 \sqrt T$. The histograms show the largest share of each point. (A share is also called a *responsibility*;
# the section on mixtures says why.) At a high temperature the means draw together. Towards zero, shares become 0 or 1, and that
# is k-means.
#
# Move the temperature yourself. In JupyterLab and on Colab the next cell shows a slider.

# %%
from smm_tutorial import widgets

slider = widgets.temperature_slider(points, start, np.geomspace(0.05, 12, 16))
slider.show()


# %%
@exercise("em.soft_assignment")
def soft_assignment(points, means, temperature):
    """points (N, D), means (K, D), temperature > 0 -> shares (N, K), rows sum to 1."""
    ...


# %% [markdown]
# Again we write the loop, and again the library does the same. At a very low temperature soft k-means ends where k-means ends.

# %%
from smm_tutorial.clustering import SoftKMeans

options = dict(means_init=start, tol=1e-10)
soft = SoftKMeans(3, temperature=1.0, max_iter=200, **options).fit(points)
means = start
for step in soft.history_:
    np.testing.assert_allclose(step.means, means)
    shares = soft_assignment(points, means, temperature=1.0)
    np.testing.assert_allclose(step.responsibilities, shares)
    means = shares.T @ points / shares.sum(axis=0)[:, None]

cold = SoftKMeans(3, temperature=1e-6, **options).fit(points)
np.testing.assert_allclose(cold.means_, k_means.cluster_centers_)
print("by hand = the library; at temperature 1e-6 it ends where k-means does")

# %% [markdown]
# ### How hot is too hot?
#
# At a high temperature all means fall together. From which temperature on? We can compute it for two means.
#
# 1. Let $m$ be the average of all points. Put the two means at $m + \delta$ and $m - \delta$, with a tiny vector $\delta$.
# 2. For a point $x$, the squared distances to the two means differ by $4 (x - m)^\top \delta$. So with
#    $a = (x - m)^\top \delta / T$, the two shares are $\tfrac12 (1 + \tanh a)$ and $\tfrac12 (1 - \tanh a)$.
# 3. For tiny $\delta$, $\tanh a \approx a$. And the shares of each mean sum to about $N/2$.
# 4. One iteration moves the first mean to the weighted average. Relative to $m$ it is now at
#
# $$\frac{1}{N/2} \sum_n \tfrac12 (1 + a_n) (x_n - m) = \frac1N \sum_n a_n (x_n - m) = \frac1T \underbrace{\frac1N \sum_n (x_n - m)(x_n - m)^\top}_{S} \delta .$$
#
# (The part without $a_n$ vanishes, since $\sum_n (x_n - m) = 0$.) So one iteration replaces $\delta$ by $S \delta / T$, where
# $S$ is the covariance of all points. The difference grows only if $T$ is below the largest eigenvalue of $S$. We call this
# eigenvalue the *melting point*. It is the same for three means, as the next cell checks.
#
# **Predict first.** Is the melting point of our points nearer to 1 or to 10?


# %%
def farthest_from_middle(temperature):
    """Distance of the farthest mean from the middle of all, where soft k-means ends."""
    options = dict(means_init=start, tol=0, max_iter=2000)
    means = SoftKMeans(3, temperature=temperature, **options).fit(points).means_
    return np.linalg.norm(means - means.mean(axis=0), axis=1).max()


melting_point = np.linalg.eigvalsh(np.cov(points.T, bias=True)).max()
factors = np.array([0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.01, 1.1, 1.3, 1.6])
temperatures = factors * melting_point
distances = np.array([farthest_from_middle(each) for each in temperatures])
np.testing.assert_array_equal(distances > 0.1, factors < 1)
print(f"melting point: {melting_point:.2f}")

# %%
from smm_tutorial.figures import curves_figure

curve = {"soft k-means, three means": distances}
ylabel = "farthest mean from the middle"
marker = ("largest eigenvalue of S", melting_point)
figure = curves_figure(temperatures, curve, "temperature", ylabel, marker=marker)
show(
    figure,
    alt="The means' distance from their middle falls as temperature rises, "
    "and is zero beyond the marked eigenvalue.",
)

# %% [markdown]
# The melting point is below 8. Above it all means are in one place.
#
# One number, the temperature, decides how many groups soft k-means can see, and you must choose it. It is better to *learn* it,
# and to learn one for each group. Even better is to learn a whole shape for each group. That is a mixture of Gaussians.
#
# ## A mixture of Gaussians
#
# A mixture tells how each point was made. First a group is drawn: group $k$ with probability $w_k$. Then the point is drawn from
# the Gaussian of that group:
#
# $$p(x) = \sum_k p(x, k), \qquad p(x, k) = w_k \, \mathcal N(x \mid \mu_k, \Sigma_k).$$
#
# We call the groups of a mixture its *components*.
#
# Given a point, from which component is it? Bayes' rule answers: component $k$ has the probability
# $r_{nk} = p(k \mid x_n) = p(x_n, k) / p(x_n)$. This is called the *responsibility* of component $k$ for point $n$.
#
# Now let all weights be equal, and let every covariance be $\Sigma_k = T I$. Then everything that does not depend on $k$ cancels in
# $r_{nk}$, and the shares of soft k-means remain. So the temperature is a variance. The next cell checks it.

# %%
from smm_tutorial.clustering import Parameters, e_step

weights = np.full(3, 1 / 3)
variances = np.full(3, 1.0)  # spherical: one for each group
same_for_all = Parameters(weights, start, variances)
_, responsibilities = e_step(points, same_for_all, "spherical")
shares = soft_assignment(points, start, temperature=1.0)
np.testing.assert_allclose(responsibilities, shares)
print("equal weights, variance T: responsibilities = shares of soft k-means")

# %% [markdown]
# ### How good is a mixture?
#
# Let $\theta$ stand for all weights, means and covariances. A mixture is good if it makes the points probable. So we want to
# maximise the *log-likelihood* $\ell(\theta) = \frac1N \sum_n \log p(x_n)$. (We always take the mean over the points.)
#
# But $\log p(x)$ is the logarithm of a sum over components. The derivative with respect to $\mu_1$ contains the parameters of all
# components. Set it to zero, and no formula for $\mu_1$ comes out.
#
# ## The bound
#
# EM avoids this difficulty with a trick. We show it first and derive it afterwards. Take one feature, and two groups of
# variance 1. All is known but one mean $\mu$.

# %%
rng = np.random.default_rng(1)
line = np.concatenate([rng.normal(-2, 1, 40), rng.normal(2.5, 1, 60)])  # (100,)


def log_joint_1d(mean):
    """log p(x, k) (100, 2): groups at -2 and at `mean`, variances 1, weights 1/2."""
    squares = (line[:, None] - [-2.0, mean]) ** 2
    return np.log(0.5) - 0.5 * np.log(2 * np.pi) - 0.5 * squares


def log_likelihood_1d(mean):
    return np.log(np.exp(log_joint_1d(mean)).sum(axis=1)).mean()


def shares_1d(mean):
    joint = np.exp(log_joint_1d(mean))
    return joint / joint.sum(axis=1, keepdims=True)


# %% [markdown]
# The thick curve will be $\ell(\mu)$. Each thin curve is a parabola that lies *below* the thick curve and *touches* it at a dot.
# EM climbs to the top of the parabola. There it draws a new parabola that touches at the new place, and climbs again.
# (The formula for `bound` is explained below the picture.)


# %%
def bound_1d(mean, q):
    """A lower bound on the log-likelihood at `mean`, for shares q (100, 2)."""
    return np.sum(q * (log_joint_1d(mean) - np.log(q)), axis=1).mean()


grid = np.linspace(-6, 6, 121)
curves = {"log-likelihood": np.array([log_likelihood_1d(mean) for mean in grid])}
visited = [-3.5]
for t in range(3):
    q = shares_1d(visited[-1])  # E step: the bound touches
    bound = np.array([bound_1d(mean, q) for mean in grid])
    assert (bound <= curves["log-likelihood"] + 1e-12).all()
    curves[f"bound that touches at {t}"] = bound
    visited.append(q[:, 1] @ line / q[:, 1].sum())  # M step: to its top

heights = [log_likelihood_1d(mean) for mean in visited]
assert (np.diff(heights) > 0).all()
print("log-likelihood at the dots:", " ".join(f"{height:.3f}" for height in heights))

# %%
dots = list(zip(visited, heights, strict=True))
xlabel = "mean of the second group"
figure = curves_figure(grid, curves, xlabel, "nats per point", touching=dots)
thick = curves["log-likelihood"]
figure.axes[0].set_ylim(thick.min() - 1, thick.max() + 0.5)
show(
    figure,
    alt="A log-likelihood curve over the mean of the second group, three parabolas "
    "below it that touch it, and dots 0 to 3 that climb the curve.",
)

# %% [markdown]
# The dots 0 to 3 are the means that three iterations visit. Each is higher than the one before.
#
# Where does such a parabola come from? Take one point $x$, and any shares $q_k > 0$ with $\sum_k q_k = 1$.
#
# 1. Multiply and divide each term of the sum by $q_k$: $\log p(x) = \log \sum_k q_k \, \frac{p(x, k)}{q_k}$. Inside the
#    logarithm stands an average of the ratios, with the weights $q_k$.
# 2. The logarithm is concave. So the logarithm of an average is at least the average of the logarithms (Jensen's inequality):
#    $\log p(x) \ge \sum_k q_k \log \frac{p(x, k)}{q_k}$. Call the right side the *bound* $\mathcal L(q, \theta)$. Now the
#    sum stands outside the logarithm.
# 3. How large is the gap? Put $p(x, k) = p(k \mid x)\, p(x)$ into the bound:
#    $\mathcal L = \log p(x) - \sum_k q_k \log \frac{q_k}{p(k \mid x)}$. The last sum is the Kullback-Leibler (KL)
#    divergence of $q$ from the responsibilities. It is never negative. It is zero exactly when $q$ *is* the responsibilities.
#
# For many points, each point has its own shares $q_{nk}$, and we take the mean of the bounds over the points.


# %%
@exercise("em.lower_bound")
def lower_bound(log_joint, shares):
    """log p(x, k) (N, K), shares (N, K), rows sum to 1 -> bound, mean over points."""
    ...


# %% [markdown]
# Step 3 says: *log-likelihood = bound + KL divergence*, for any shares. The next cell draws shares at random and checks it. It
# also checks your function against the curves of the picture.

# %%
log_joint = log_joint_1d(0.5)
log_likelihood = log_likelihood_1d(0.5)
truth = shares_1d(0.5)
for _ in range(1000):
    q = rng.dirichlet([1, 1], size=len(line))  # (100, 2)
    gap = np.sum(q * np.log(q / truth), axis=1).mean()  # KL divergence
    bound = lower_bound(log_joint, q)
    assert gap > 0
    np.testing.assert_allclose(bound + gap, log_likelihood)
np.testing.assert_allclose(lower_bound(log_joint, truth), log_likelihood)
np.testing.assert_allclose(lower_bound(log_joint, q), bound_1d(0.5, q))
print(
    f"log-likelihood {log_likelihood:.4f} = bound {bound:.4f} + KL {gap:.4f}",
    "for the last random shares",
)

# %% [markdown]
# Where the bound touches the log-likelihood, both have the same slope. (One curve is never above the other. So they cannot cross, and
# two smooth curves that meet without crossing have equal slopes.) If EM stands at the top of its parabola, then the slope of the
# parabola is zero there, and so is the slope of the log-likelihood. So EM stops only where the log-likelihood is flat.

# %%
step = 1e-5
for mean in (-3.5, 0.5, 2.0):
    q = shares_1d(mean)
    sides = (mean - step, mean + step)
    heights = [log_likelihood_1d(side) for side in sides]
    bounds = [lower_bound(log_joint_1d(side), q) for side in sides]
    slope = np.diff(heights).item() / (2 * step)
    bound_slope = np.diff(bounds).item() / (2 * step)
    np.testing.assert_allclose(bound_slope, slope, rtol=1e-6)
    slopes = f"of the log-likelihood {slope:7.4f}, of the bound {bound_slope:7.4f}"
    print(f"at {mean:4.1f}: slope {slopes}")

# %% [markdown]
# ## Log-sum-exp
#
# One difficulty stands between the formulas and a program. Here are the responsibilities, computed as the formula says, for points
# far from both groups.
#
# **Predict first.** The groups are at -2 and 2.5. What will be printed for a point at 60?


# %%
def naive_responsibilities(point):
    joint = np.exp(-0.5 * (point - np.array([-2.0, 2.5])) ** 2)  # (2,)
    return joint / joint.sum()


with np.errstate(invalid="ignore"):
    for point in (6.0, 30.0, 60.0):
        shares = naive_responsibilities(point)
        print(f"point at {point:4.0f}:", *(f"{share:.1e}" for share in shares))

for kind in (np.float64, np.float32):
    smallest = float(np.finfo(kind).smallest_subnormal)
    far = f"{np.sqrt(-2 * np.log(smallest)):.0f} standard deviations"
    print(f"{kind.__name__}: a density is zero beyond {far}")

# %% [markdown]
# Both densities became zero: they are smaller than the smallest number of the type. This is called *underflow*. Then 0/0 is not a
# number (NaN). One such point turns every mean into NaN. And it happens to ordinary points too, if they have many features: squared
# distances add up over features.
#
# The remedy: stay in the logarithm. For any $m$, $\log \sum_k e^{a_k} = m + \log \sum_k e^{a_k - m}$. Take $m = \max_k a_k$.
# Then the largest exponential is exactly 1. The others may underflow, and this changes nothing.


# %%
@exercise("em.log_sum_exp")
def log_sum_exp(values):
    """values (N, K) -> log of the sum of exponentials of each row (N,), at any size."""
    ...


# %%
from scipy.special import logsumexp

from smm_tutorial.clustering import normalise

log_joint = -0.5 * (np.array([6.0, 30.0, 60.0])[:, None] - [-2.0, 2.5]) ** 2  # (3, 2)
log_totals = log_sum_exp(log_joint)
responsibilities = np.exp(log_joint - log_totals[:, None])
np.testing.assert_allclose(log_totals, logsumexp(log_joint, axis=1))
np.testing.assert_allclose(normalise(log_joint)[0], log_totals)
np.testing.assert_allclose(normalise(log_joint)[1], responsibilities, atol=1e-15)
for row in responsibilities:
    print(*(f"{share:.1e}" for share in row))

# %% [markdown]
# Your function, scipy's `logsumexp` and the library's `normalise` agree. The slot modules of notebooks 02 and 03 use the same
# trick, since a softmax is `exp(a - log_sum_exp(a))`.


# %% [markdown]
# ## The two steps of EM
#
# EM climbs the bound in turns.
#
# - **E step** (expectation): set the shares $q$ to the responsibilities $r$ of the current $\theta$. Now the bound touches
#   $\ell$.
# - **M step** (maximisation): keep these shares and choose a new $\theta$ that maximises the bound.
#
# The bound is $\frac1N \sum_{nk} r_{nk} \log p(x_n, k) - \frac1N \sum_{nk} r_{nk} \log r_{nk}$. The second sum does not
# contain $\theta$. So the M step only maximises the first sum.
#
# Why does $\ell$ never fall? Let $\theta'$ be the new parameters. Then
#
# $$\ell(\theta') \;\underset{\text{bound}}{\ge}\; \mathcal L(r, \theta') \;\underset{\text{M step}}{\ge}\; \mathcal L(r, \theta) \;\underset{\text{E step}}{=}\; \ell(\theta) .$$
#
# Now the formulas of the M step. Take one feature of a diagonal Gaussian, with variance $v_k$. Then
# $\log p(x, k) = \log w_k - \frac12 \log (2\pi v_k) - \frac{(x - \mu_k)^2}{2 v_k}$. (Here $\pi$ is 3.14..., as always in this
# course.) Let $N_k = \sum_n r_{nk}$. Set each derivative to zero:
#
# - $\mu_k$: $\sum_n r_{nk} (x_n - \mu_k) / v_k = 0$, so $\mu_k = \frac1{N_k} \sum_n r_{nk} x_n$.
# - $v_k$: $\sum_n r_{nk} \left( -\frac1{2 v_k} + \frac{(x_n - \mu_k)^2}{2 v_k^2} \right) = 0$, so
#   $v_k = \frac1{N_k} \sum_n r_{nk} (x_n - \mu_k)^2$. Here $\mu_k$ is the *new* mean.
# - $w_k$: the weights must sum to 1, so we need a multiplier $\lambda$. The derivative is $N_k / w_k - \lambda = 0$, so
#   $w_k = N_k / \lambda$. Sum over $k$: $1 = N / \lambda$. So $\lambda = N$, and $w_k = N_k / N$.


# %%
@exercise("em.m_step_diagonal")
def m_step_diagonal(points, shares):
    """points (N, D), shares (N, K) -> weights (K,), means (K, D), variances (K, D)."""
    ...


# %% [markdown]
# Is this really the maximum? The next two cells change weights, means and variances at random. The bound must always be lower.


# %%
def log_joint_diagonal(points, weights, means, variances):
    """log p(x, k) (N, K)."""
    squares = (points[:, None] - means) ** 2 / variances  # (N, K, D)
    return np.log(weights) - 0.5 * (squares + np.log(2 * np.pi * variances)).sum(axis=2)


# %% [markdown]
# Here we draw the shares at random. They need not be responsibilities: the M step gives the maximum for any shares.

# %%
shares = rng.dirichlet([1, 1, 1], size=len(points))
weights, means, variances = m_step_diagonal(points, shares)
best = lower_bound(log_joint_diagonal(points, weights, means, variances), shares)
for size in (1e-3, 1e-2, 1e-1, 1):
    for _ in range(50):
        others = weights * np.exp(size * rng.normal(size=3))
        near_weights = others / others.sum()
        near_means = means + size * rng.normal(size=(3, 2))
        near_variances = variances * np.exp(size * rng.normal(size=(3, 2)))
        log_joint = log_joint_diagonal(points, near_weights, near_means, near_variances)
        assert lower_bound(log_joint, shares) < best
print("200 other parameters, near and far: all below the M step's")

# %% [markdown]
# ## EM, by hand
#
# Now you have all parts. The loop below is the whole algorithm.
#
# **Predict first.** Can the log-likelihood fall from one iteration to the next?

# %%
weights = np.full(3, 1 / 3)
means = start
variances = np.tile(points.var(axis=0), (3, 1))
by_hand = []
for _ in range(31):
    log_joint = log_joint_diagonal(points, weights, means, variances)
    log_likelihoods = log_sum_exp(log_joint)  # (N,)
    by_hand.append((log_likelihoods.mean(), weights, means, variances))
    responsibilities = np.exp(log_joint - log_likelihoods[:, None])  # E step
    weights, means, variances = m_step_diagonal(points, responsibilities)  # M step

heights = [log_likelihood for log_likelihood, *_ in by_hand]
rises = np.diff(heights)
assert (rises > -1e-12).all()
print(
    f"from {heights[0]:.4f} to {heights[-1]:.4f} nats in 30 iterations;",
    f"the smallest rise was {rises.min():.1e}",
)

# %% [markdown]
# It never fell, as the derivation says.
#
# The library's `GaussianMixtureEM` does the same from the same start. (`precisions` are inverse covariances. `reg_covar` is a
# small number that is added to the variances, here 0. We come to it below.)

# %%
from smm_tutorial.clustering import GaussianMixtureEM

diagonal_start = dict(
    weights_init=np.full(3, 1 / 3),
    means_init=start,
    precisions_init=np.tile(1 / points.var(axis=0), (3, 1)),
)
options = dict(covariance_type="diag", tol=0, reg_covar=0, max_iter=30)
diagonal = GaussianMixtureEM(3, **options, **diagonal_start).fit(points)
for step, entry in zip(diagonal.history_, by_hand, strict=True):
    bound, weights, means, variances = entry
    np.testing.assert_allclose(step.lower_bound, bound, rtol=1e-10)
    np.testing.assert_allclose(step.weights, weights, rtol=1e-8)
    np.testing.assert_allclose(step.means, means, rtol=1e-8)
    np.testing.assert_allclose(step.covariances, variances, rtol=1e-8)
print("by hand = the library, at the start and after each of 30 iterations")

# %% [markdown]
# ## Tilted groups
#
# A diagonal Gaussian cannot lean, and our sticks lean. A *full* covariance can:
# $\Sigma_k = \frac1{N_k} \sum_n r_{nk} (x_n - \mu_k)(x_n - \mu_k)^\top$. It is the formula for $v_k$ with a matrix in place of
# the square.
#
# The E step now needs $(x - \mu)^\top \Sigma^{-1} (x - \mu)$ and $\log |\Sigma|$. Both come from the Cholesky factor $L$, a lower
# triangular matrix with $\Sigma = L L^\top$. The first is $\lVert L^{-1}(x - \mu) \rVert^2$. The second is
# $2 \sum_i \log L_{ii}$.

# %%
from smm_tutorial.clustering import log_gaussians


def log_gaussian(points, mean, covariance):
    """log N(x | mean, covariance) of points (N, D) -> (N,)."""
    factor = np.linalg.cholesky(covariance)  # (D, D)
    whitened = np.linalg.solve(factor, (points - mean).T)  # (D, N)
    squares = (whitened**2).sum(axis=0)  # (N,)
    log_determinant = 2 * np.log(np.diag(factor)).sum()
    return -0.5 * (squares + log_determinant + len(mean) * np.log(2 * np.pi))


stick = points[groups == 0]
mean = stick.mean(axis=0)
covariance = np.cov(stick.T, bias=True)
ours = log_gaussian(points, mean, covariance)
theirs = log_gaussians(points, mean[None], covariance[None], "full")[:, 0]
np.testing.assert_allclose(ours, theirs)
print("one full Gaussian by hand = the library's log_gaussians")

# %% [markdown]
# **Predict first.** We run EM with full covariances, from the same start as k-means. Will it cut the sticks across, too?

# %%
wide = np.linalg.inv(np.cov(points.T))
full_start = dict(
    weights_init=np.full(3, 1 / 3),
    means_init=start,
    precisions_init=np.tile(wide, (3, 1, 1)),
)
options = dict(covariance_type="full", tol=1e-7, max_iter=200)
full = GaussianMixtureEM(3, **options, **full_start).fit(points)
shown = [0, 5, 15, full.n_iter_]
figure = steps_figure(points, {f"iteration {t}": full.history_[t] for t in shown})
show(
    figure,
    alt="EM with full covariances: three ellipses as wide as the data shrink and turn "
    "until each lies on one group.",
)

# %%
from smm_tutorial.figures import em_step_figure

show(
    em_step_figure(full.history_, 5),
    alt="After five iterations: half-formed ellipses, and a dot low on the curve "
    "of the bound, before its steep rise.",
)
stepper = widgets.em_stepper(full.history_)
stepper.show()
stepper.slider.value = 10  # as your mouse would

# %% [markdown]
# It does not. Each stick gets its own ellipse. (The ellipses show one and two standard deviations.)
#
# How well do the found groups agree with the true ones? The *adjusted Rand index* (ARI) compares two groupings. It counts pairs
# of points that are together in both groupings, and compares the count with what chance would give. Equal groupings have
# ARI 1. Random groupings have ARI 0 on average. [Notebook 06](06_judging_slots.ipynb) derives the formula.

# %%
from sklearn.metrics import adjusted_rand_score

found = {
    "k-means": k_means.labels_,
    "EM, diagonal": diagonal.predict(points),
    "EM, full": full.predict(points),
}
for name, labels in found.items():
    print(f"{name:13} ARI {adjusted_rand_score(groups, labels):.2f}")

# %% [markdown]
# ## Four kinds of covariance
#
# There are compromises between a circle and a free ellipse:
#
# - *full*: each component has its own matrix;
# - *tied*: all components share one matrix;
# - *diag*: each component has its own axes, along the features;
# - *spherical*: each component is a circle with its own size.
#
# **Predict first.** Which kind fits our points best? Which comes second? All four start from the means above. We compare on
# these points and on 300 fresh ones.

# %%
from smm_tutorial.clustering import COVARIANCE_TYPES

fresh, _ = three_groups(np.random.default_rng(1))
last_steps = {}
for kind in COVARIANCE_TYPES:
    options = dict(covariance_type=kind, tol=1e-7, max_iter=500, means_init=start)
    model = GaussianMixtureEM(3, **options).fit(points)
    last_steps[kind] = model.history_[-1]
    score, fresh_score = model.score(points), model.score(fresh)
    print(f"{kind:9} {score:.3f} nats per point, {fresh_score:.3f} on fresh points")

show(
    steps_figure(points, last_steps),
    alt="Full: an ellipse on each group. Tied: three equal tilted ellipses. "
    "Diagonal, spherical: sticks mixed.",
)

# %% [markdown]
# *Full* is best, and *tied* comes second. A tied covariance may lean, but then the round cloud must lean with the sticks.
#
# Which kind should you choose? It depends on what you know about the groups, and on the number of features. The Slot Mixture
# Module of notebook 03 uses *diag*. With 64 features a full matrix has $64 \cdot 65 / 2 = 2{,}080$ free numbers, for every
# slot.
#
# ## The same as scikit-learn, step for step
#
# Most people use scikit-learn's `GaussianMixture`. We start both from the same parameters, and compare after each of ten
# iterations, for all four kinds. Log-likelihoods must agree within $10^{-8}$, parameters within $10^{-6}$.

# %%
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture


def fit_sklearn(iterations, **options):
    """scikit-learn's mixture, stopped early on purpose, so without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(3, max_iter=iterations, **options).fit(points)


# %% [markdown]
# `precisions_init` has a different shape for each kind. All four start as wide as all points together.

# %%
precisions = {
    "full": full_start["precisions_init"],
    "tied": wide,
    "diag": diagonal_start["precisions_init"],
    "spherical": 1 / np.full(3, points.var()),
}
for kind in COVARIANCE_TYPES:
    options = full_start | dict(precisions_init=precisions[kind])
    options |= dict(covariance_type=kind, tol=0, random_state=0)
    history = GaussianMixtureEM(3, max_iter=10, **options).fit(points).history_
    for t in range(1, 11):
        theirs = fit_sklearn(t, **options)
        bound = history[t].lower_bound
        np.testing.assert_allclose(bound, theirs.score(points), rtol=0, atol=1e-8)
        for name in ("weights", "means", "covariances"):
            mine, other = getattr(history[t], name), getattr(theirs, f"{name}_")
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)
    print(f"{kind:9} equal after each of 10 iterations")

# %% [markdown]
# ## Where you start is where you end
#
# The log-likelihood only climbs. So EM finds *a* top, and perhaps not the highest one. Now we take five groups, four ways to
# start, and 30 seeds for each.
#
# **Predict first.** Many people start EM from the result of k-means. Is that the best of the four ways here?


# %%
def five_groups(rng, count):
    centres = np.array([[-4.0, -3.0], [-4.0, 3.0], [0.0, 0.0], [4.0, 3.0], [4.0, -3.0]])
    spreads = np.array([[1.2, 0.4], [0.5, 1.2], [0.8, 0.8], [1.2, 0.4], [0.5, 1.2]])
    groups = rng.integers(5, size=count)
    return centres[groups] + spreads[groups] * rng.normal(size=(count, 2))


many = five_groups(np.random.default_rng(1), 400)

# %% [markdown]
# The first three ways draw means from the points at random. Their components are as wide as all points, or ten times
# narrower. *k-means++* draws points that lie far apart. The fourth way is the library's own: one M step on the clusters that k-means
# found.

# %%
from smm_tutorial.clustering import k_means_plus_plus

whole = np.tile(np.linalg.inv(np.cov(many.T)), (5, 1, 1))  # precisions of all points


def make_starts(seed):
    """Four ways to start, by name: options of `GaussianMixtureEM`."""
    rng = np.random.default_rng(seed)
    drawn = many[rng.choice(len(many), 5, replace=False)]
    apart = k_means_plus_plus(many, 5, rng)
    equal = dict(weights_init=np.full(5, 0.2))
    narrow = 100 * whole  # precisions, so a tenth as wide
    return {
        "random points, wide": equal | dict(means_init=drawn, precisions_init=whole),
        "random points, narrow": equal | dict(means_init=drawn, precisions_init=narrow),
        "k-means++ points, wide": equal | dict(means_init=apart, precisions_init=whole),
        "k-means clusters": dict(random_state=seed),
    }


# %% [markdown]
# We fit each start with 30 seeds. The best of all 120 fits is the reference for the others.

# %%
runs = {name: [] for name in make_starts(seed=0)}
for seed in range(30):
    for name, options in make_starts(seed).items():
        model = GaussianMixtureEM(5, tol=1e-6, max_iter=500, **options)
        runs[name].append(model.fit(many))

ends = {}
for name, models in runs.items():
    ends[name] = np.array([model.score(many) for model in models])
best = max(values.max() for values in ends.values())
for name, values in ends.items():
    reached = (values > best - 1e-3).sum()
    worst = f"the worst ends {best - values.min():.3f} nats below"
    print(f"{name:23} {reached:2d} of 30 reach the best; {worst}")

# %%
from smm_tutorial.figures import seeds_figure

show(
    seeds_figure(ends, "nats per point at the end"),
    alt="Final log-likelihoods of 30 seeds for four starts. "
    "Most reach the best, narrow starts seldom do.",
)

# %% [markdown]
# Here are the best and the worst of all these fits.

# %%
fits = [model for models in runs.values() for model in models]
fits.sort(key=lambda model: model.score(many))
extremes = {"best": fits[-1].history_[-1], "worst": fits[0].history_[-1]}
show(
    steps_figure(many, extremes),
    alt="Left: an ellipse on each of five groups. "
    "Right, the worst: one covers three groups, three share one.",
)

# %% [markdown]
# The worst fit has one component that holds several groups, while others share one group.
#
# The narrow start is the worst way here. A narrow component sees only the points near it, and EM moves in small steps, so it
# stays there. Wide components see all points at first. Between the other three ways, thirty seeds are too few to name a
# winner. They do not show that k-means is best.
#
# One thing always helps: start several times and keep the highest log-likelihood.
#
# ## Components that collapse
#
# The likelihood has no maximum. To see it, put the mean of one component exactly on one point, and let its standard deviation
# $\sigma$ shrink. The density at this point is at least $w \, (2\pi\sigma^2)^{-D/2}$, where $w$ is the weight of the
# component. It grows without limit. The other components take care of the other points. So $\ell$ grows by $D / N$ nats each
# time $\sigma$ is divided by $e$.

# %%
weights = np.array([0.01, 0.99])
means = np.array([points[0], points.mean(axis=0)])
likelihoods = []
for size in 10.0 ** -np.arange(0, 9):
    spike = Parameters(weights, means, np.array([size**2, points.var()]))
    likelihoods.append(e_step(points, spike, "spherical")[0].mean())

per_decade = np.diff(likelihoods)[-4:]
np.testing.assert_allclose(per_decade, 2 * np.log(10) / len(points), rtol=1e-3)  # D = 2
shown = " ".join(f"{value:.3f}" for value in likelihoods[2::2])
print("nats per point for a spike of width 1e-2, 1e-4, 1e-6, 1e-8:", shown)

# %% [markdown]
# Does this happen in practice? We take 60 points and ask for more and more components, without any lower limit for variances.
# The library stops with a message when a component has collapsed.

# %% tags=["nbval-ignore-output"]
few, unseen = many[:60], many[60:]


def fit_few(count, floor, seed):
    options = dict(reg_covar=floor, max_iter=300, random_state=seed)
    return GaussianMixtureEM(count, **options).fit(few)


for count in (3, 6, 12):
    refused = []
    for seed in range(20):
        try:
            fit_few(count, 0, seed)
        except ValueError as error:
            refused.append(str(error))
    print(f"{count:2d} components: {len(refused):2d} of 20 starts collapse")
print("\n".join(refused[-1].split(": ")))

# %% [markdown]
# The usual remedy is a *floor*: `reg_covar` adds a small variance to each diagonal entry after each M step. scikit-learn's default
# is $10^{-6}$.
#
# **Predict first.** We compare two floors, $10^{-6}$ and $0.1$, with twelve components on the same 60 points. Which floor
# scores higher on these points? Which scores higher on 340 fresh points?

# %%
for floor in (1e-6, 0.1):
    models = [fit_few(12, floor, seed) for seed in range(20)]
    smallest = [np.linalg.eigvalsh(model.covariances_).min() for model in models]
    width = f"{np.median(np.sqrt(smallest)):.3f} wide (median of 20 seeds)"
    print(f"floor {floor:.0e}: the thinnest component is {width}")
    for where, tested in {"its points": few, "fresh points": unseen}.items():
        scores = [model.score(tested) for model in models]
        value = f"{np.mean(scores):6.2f} ± {np.std(scores):.2f}"
        print(f"    {value} nats per point on {where}")

# %% [markdown]
# The small floor scores higher on its own points and far lower on fresh points. With a tiny floor the program does not stop,
# but some components are spikes. A spike makes its own point very likely. For all other points the model gets worse. So choose the
# floor as the smallest variance that you would believe. The Slot Mixture Module has a floor, too.
#
# ## How many components?
#
# More components always fit the points better. The Bayesian information criterion (BIC) takes a price for each free parameter:
#
# $$\mathrm{BIC} = (\text{number of free parameters}) \cdot \log N - 2 \sum_n \log p(x_n) .$$
#
# Lower is better. The sum is the log-likelihood of *all* points, $N \ell$.


# %%
@exercise("em.bic")
def bic_of_full_mixture(log_likelihood, num_points, num_components, num_features):
    """Summed log-likelihood and counts -> BIC with full covariances (float)."""
    ...


# %% [markdown]
# **Predict first.** Five groups made these points. As the number of components grows, where does the BIC turn? What happens to the
# log-likelihood of the 400 points? What happens to the log-likelihood of 400 fresh points?


# %%
def best_of_five(count):
    """The mixture of `count` components with the lowest BIC, of five starts."""
    options = dict(tol=1e-5, max_iter=300)
    mixtures = [GaussianMixtureEM(count, random_state=s, **options) for s in range(5)]
    return min((m.fit(many) for m in mixtures), key=lambda m: m.bic(many))


counts = np.arange(1, 10)
chosen = [best_of_five(count) for count in counts]
for count, model in zip(counts, chosen, strict=True):
    ours = bic_of_full_mixture(len(many) * model.score(many), len(many), count, 2)
    np.testing.assert_allclose(ours, model.bic(many))

# %% [markdown]
# By hand and by the library, the BIC is the same. Here are the three curves, all in nats per point. (So the BIC is divided by
# $2N$.)

# %%
fresh = five_groups(np.random.default_rng(2), 400)
bic = np.array([model.bic(many) for model in chosen])
curves = {
    "BIC / 2N, lower is better": bic / (2 * len(many)),
    "- nats on its points": -np.array([model.score(many) for model in chosen]),
    "- nats on fresh points": -np.array([model.score(fresh) for model in chosen]),
}
show(
    curves_figure(counts, curves, "components", "nats per point"),
    alt="BIC falls until five components, then rises. "
    "The fit keeps improving on its own points, not on fresh ones.",
)
print("BIC chooses", counts[bic.argmin()], "components")

# %% [markdown]
# The BIC is lowest at five components. The fit to the points themselves improves further. The score on fresh points does not.
#
# Two warnings. BIC counts *Gaussians*, not groups: a ring of points needs several Gaussians. And BIC needs good fits: with
# poor starts, one number of components may win by luck.
#
# ## A picture as a set of points
#
# Now to the subject of this course. A picture of 32 x 32 pixels is a set of 1,024 points. Each has five features: red, green,
# blue, and its place x, y. We scale each feature to variance 1 and cluster.

# %%
import torch

from smm_tutorial import datasets, figures

scenes = datasets.load("clevr6", split="test", size=32).subset(range(12))


def pixels_as_points(image):
    """An image (3, H, W) -> standardised points (H W, 5): r, g, b, x, y."""
    height, width = image.shape[1:]
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    colours = image.reshape(3, -1).double().numpy()
    features = np.concatenate([colours, x[None], y[None]]).T
    return (features - features.mean(axis=0)) / features.std(axis=0)


# %% [markdown]
# **Predict first.** We ask for seven components: up to six objects, and the ground. What will work? What will go wrong? Think of
# shadows, of the many greys of the ground, and of a shiny sphere.

# %%
pixels = pixels_as_points(scenes.images[1])
mixture = GaussianMixtureEM(7, reg_covar=1e-4, max_iter=50, random_state=0).fit(pixels)
print(f"{len(pixels)} points, {pixels.shape[1]} features; {mixture.n_iter_} iterations")

# %% [markdown]
# We paint each pixel in the colour of the component that is most responsible for it.

# %%
row = [figures.to_picture(scenes.images[1] / 255)]
titles = ["input"]
for t in (0, 2, 5, 10, mixture.n_iter_):
    owners = mixture.history_[t].responsibilities.argmax(axis=1)
    row.append(figures.slot_map(torch.from_numpy(owners.reshape(32, 32))))
    titles.append(f"iteration {t}")

row.append(figures.label_map(scenes.masks[1]))
show(
    figures.picture_rows_figure([row], [*titles, "true"]),
    alt="A scene, its segments over the iterations, and the true masks: "
    "vivid objects stand out, the ground is split.",
)

# %% [markdown]
# The same colour in two pictures does not mean the same thing, so compare shapes. In the true masks, grey is the ground.
#
# Nobody told the mixture what an object is. Yet objects with a strong colour come out. Two things of the same colour share a
# component. The ground has many greys, and it needs several components.
#
# Now all twelve scenes. The library has the same few lines as `discovery.segment_pixels`. First we check that they agree.

# %%
from smm_tutorial import discovery


def segment_by_hand(image, columns=slice(None), kind="full"):
    """An image (3, 32, 32) -> each pixel's component (32, 32), by some features."""
    features = pixels_as_points(image)[:, columns]
    options = dict(covariance_type=kind, reg_covar=1e-4, max_iter=50, random_state=0)
    with warnings.catch_warnings():  # fifty iterations are enough here
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixtureEM(7, **options).fit(features)
    return torch.from_numpy(model.predict(features).reshape(32, 32))


segmentation = torch.stack([segment_by_hand(image) for image in scenes.images])
assert torch.equal(segmentation, discovery.segment_pixels(scenes, num_clusters=7))

# %% [markdown]
# They agree. Here are the first six scenes.

# %%
images = [figures.to_picture(image) for image in scenes.batch(slice(0, 6)).images]
true_maps = [figures.label_map(each) for each in scenes.masks[:6]]
maps = [figures.slot_map(each) for each in segmentation[:6]]
titles = [f"scene {index}" for index in range(6)]
title = "scene, true masks, mixture's segments"
show(
    figures.picture_rows_figure([images, true_maps, maps], titles, title),
    alt="Six scenes, true masks, segments. Many objects share a segment with others; "
    "the ground falls into several.",
)

# %% [markdown]
# We use two scores. Both are 1 at best.
#
# - *FG-ARI* (FG means foreground): the ARI over pixels of true objects only. So the ground does not count.
# - *mBO*, mean best overlap. The overlap of two sets of pixels is their *intersection over union*: pixels in both, divided by
#   pixels in at least one. For each true object take the best overlap with any segment, then the mean over objects.

# %%
from smm_tutorial.metrics import foreground_ari, mean_best_overlap

true = scenes.masks.long()
fg_ari = foreground_ari(true, segmentation)
mbo = mean_best_overlap(true, segmentation)
for name, values in {"FG-ARI": fg_ari, "mBO": mbo}.items():
    listed = " ".join(f"{value:5.2f}" for value in values)
    print(f"{name:6} {listed}   mean {values.mean():.2f}, spread {values.std():.2f}")

# %% [markdown]
# The scores differ much between scenes. Here is the worst scene by FG-ARI.

# %%
worst = fg_ari.argmin().item()
maps = {"mixture": segmentation[[worst]]}
show(
    figures.comparison_figure(
        scenes.batch([worst]).images, maps, true=scenes.masks[[worst]]
    ),
    alt="The scene with the lowest FG-ARI: input, true masks, and the segments; "
    "one of them holds two objects.",
)

# %% [markdown]
# What does each feature contribute? Here are other covariances, colour without place, and place without colour.
#
# **Predict first.** "Place only" does not see colours at all. What will its FG-ARI be?

# %%
ingredients = {
    "colour and place, full": (slice(None), "full"),
    "colour and place, diag": (slice(None), "diag"),
    "colour only, full": (slice(0, 3), "full"),
    "place only, full": (slice(3, 5), "full"),
}
for name, choices in ingredients.items():
    maps = torch.stack([segment_by_hand(image, *choices) for image in scenes.images])
    fg_ari_mean = foreground_ari(true, maps).mean()
    mbo_mean = mean_best_overlap(true, maps).mean()
    print(f"{name:23} FG-ARI {fg_ari_mean:.2f}, mBO {mbo_mean:.2f}")

# %% [markdown]
# Look at the last row. "Place only" cuts every picture into the same kind of seven tiles. Yet its FG-ARI is as high as that
# of full colour and place! A small object lies mostly in one tile, and FG-ARI asks for no more. mBO is low, as it should be. So this
# course never reports FG-ARI alone.
#
# Diagonal covariances score lower than full ones. A likely reason: the grey of the ground changes *with* the place, so the points of
# the ground form a tilted ellipse in five dimensions.
#
# Twelve scenes are few. The committed record has all 320 scenes of the test split, with one start each:

# %%
from smm_tutorial import results

record = results.read_record("discovery-pixels")
scores = results.find_scores(record, "clevr6")
print(scores["command"])
both = f"FG-ARI {scores['fg_ari']:.3f}, mBO {scores['mbo']:.3f}"
print(f"{scores['images']} scenes: {both}")

# %% [markdown]
# **The rest of this course improves these two numbers.** The algorithm stays nearly the same: shares by Bayes' rule, weighted
# means and variances, a few iterations. What changes is the input. A network learns features that make one object look like
# one Gaussian.
#
# ## Summary
#
# - k-means, soft k-means and EM repeat two steps. Each step is the best for what the other one gave, and one number never gets
#   worse.
# - Soft k-means is EM with equal weights and one fixed variance, the temperature. As the temperature tends to zero it
#   becomes k-means.
# - Log-likelihood = bound + KL divergence. The E step closes the gap, the M step lifts the bound.
# - Stay in the logarithm: log-sum-exp.
# - EM finds a local optimum: use several starts. It can collapse: use a floor that you believe. You must choose $K$: BIC helps.
# - On raw pixels, a mixture finds objects with a colour of their own, and tears the ground apart.
#
# ## Further reading
#
# - [Bishop, *Pattern Recognition and Machine Learning*, 2006, chapter 9](https://www.microsoft.com/en-us/research/publication/pattern-recognition-machine-learning/):
#   the same path as here, from k-means to EM, with the bound and its gap in section 9.4.
# - [Dempster, Laird and Rubin, *Maximum likelihood from incomplete data via the EM algorithm*, 1977](https://doi.org/10.1111/j.2517-6161.1977.tb01600.x):
#   the paper that named EM and showed how many known algorithms were cases of it.
# - [MacKay, *Information Theory, Inference, and Learning Algorithms*, 2003, chapters 20 and 22](https://www.inference.org.uk/itila/):
#   soft k-means with a stiffness in place of our temperature, its melting, and why maximum likelihood collapses.
# - [Neal and Hinton, *A view of the EM algorithm that justifies incremental, sparse, and other variants*, 1998](https://doi.org/10.1007/978-94-011-5014-9_12):
#   both steps climb one function, our bound, so a step may also be done only in part.
