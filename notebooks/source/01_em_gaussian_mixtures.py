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
# [The source of this notebook](source/01_em_gaussian_mixtures.py)
#
# **What you will do.** Group points with k-means. Make k-means soft, and arrive at expectation-maximisation (EM) for mixtures
# of Gaussians. Follow the derivation of EM, and write its parts. A short loop joins your parts into the whole algorithm. See that
# the library's EM agrees with this loop and with scikit-learn. At the end, segment pictures with EM.
#
# **What you will be able to do.** Write EM from memory. Say why no step of EM makes the points less probable. Recognise three
# problems: exponentials that become zero, a poor end after a poor start, a component that shrinks to one or two points.
#
# **What you need.** Linear algebra, derivatives, Bayes' rule, arrays in numpy. No GPU.
#
# **Minutes.** About 146: 100 to read, 45 for the exercises, 1 to run on a laptop.

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
# ## Points to group
#
# | symbol | meaning | in code |
# | --- | --- | --- |
# | $x_n$, $N$, $D$ | point number $n$ of $N$ points; a point has $D$ features | `points` (N, D) |
# | $K$, $\mu_k$ | number of groups; mean of group $k$ | `means` (K, D) |
# | $z_n$ | label of point $n$: the number of its group | `labels` (N,) |
# | $r_{nk}$ | share of point $n$ that belongs to group $k$; the shares of a point sum to 1 | `shares`, `responsibilities` (N, K) |
# | $N_k$ | number of points of group $k$; in soft groupings, the sum of their shares, $\sum_n r_{nk}$ | `counts` (K,) |
# | $T$ | temperature of soft k-means | `temperature` |
# | $w_k$ | weight of component $k$ of a mixture; weights sum to 1 | `weights` (K,) |
# | $\Sigma_k$, $v_k$ | covariance of component $k$; its diagonal | `covariances`, `variances` |
# | $\theta$ | all parameters of a mixture: weights, means, covariances | `Parameters` |
# | $p(x, k)$ | joint density: component $k$ is drawn, and then point $x$ | `log_joint` is $\log p(x, k)$ |
# | $\ell(\theta)$ | log-likelihood, mean over the points: how well the mixture fits | `score` |
# | $q_{nk}$ | any shares of point $n$ that sum to 1 | `q` (N, K) |
# | $\mathcal L(q, \theta)$ | a lower bound on $\ell(\theta)$ | `bound` |
#
# A few more letters occur in one section only, and are explained there. $x^\top$ is the transpose of $x$.
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
# You can see three groups. Can an algorithm find these groups?
#
# ## k-means
#
# Choose $K$ means to start with. Then repeat two steps:
#
# 1. Each point goes to its nearest mean.
# 2. Each mean moves to the average of its points.
#
# Here is such a run. We start from three of the points: two lie on the left stick, one in the cloud. In the figure, a cross is a
# mean. A point has the colour of its nearest mean. Iteration 0 shows the start: the first means, and the groups that they give.
# `n_iter_` is the number of iterations. `history_` keeps the result of every iteration.

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
# k-means ends with both sticks cut *across*. Is the start the only reason? Two means started on one stick. The next cell tries
# better starts: one point of each group, and even the true means. The cell prints the *inertia*: each point has a squared
# distance to its mean, and the inertia is the sum of these. k-means makes the inertia small.
#
# **Predict first.** Which grouping has the smaller inertia: the true groups, or the groups that cut the sticks across?


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
last_steps = {}
for name, first in starts.items():
    found = KMeans(3, init=first).fit(points)
    last_steps[f"from {name}\ninertia {found.inertia_:.0f}"] = found.history_[-1]
    print(f"k-means from {name:20} ends at inertia {found.inertia_:.0f}")
print(f"the true groups have inertia {inertia_of(groups):.0f}")
assert k_means.inertia_ < inertia_of(groups)

# %%
show(
    steps_figure(points, last_steps),
    alt="Three panels, the ends of k-means. From the start above, the sticks are cut "
    "across. From the two better starts, nearly all of each stick is one group.",
)

# %% [markdown]
# From both better starts, k-means ends near the true groups. So the start decides where k-means ends. Now compare the inertias.
# The groups that cut the sticks across have the *smallest* inertia, even smaller than the true groups. Suppose that we do not
# know the true groups, and keep the result with the smallest inertia. Then we keep the cut sticks. So the inertia itself prefers
# the wrong answer. A squared distance treats all directions alike, but a stick is long in one direction.
#
# We come back to these sticks later. Now write the first step of k-means.


# %%
@exercise("em.nearest_mean")
def nearest_mean(points, means):
    """points (N, D), means (K, D) -> index of each point's nearest mean (N,)."""
    ...


# %% [markdown]
# Next come the second step and the loop. Our results must agree with all results in the `history_` of the library's model.


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
# - The first step chooses the best labels $z$ for given means. The nearest mean gives each point its smallest term of $J$.
# - The second step chooses the best means for given labels. To see this, take the $N_k$ points of one group, their average
#   $\bar x_k$, and any place $c$. The sums run over the points of this group:
#
# $$\sum_n \lVert x_n - c \rVert^2 = \sum_n \lVert x_n - \bar x_k \rVert^2 + N_k \lVert \bar x_k - c \rVert^2 .$$
#
# (Write $x_n - c = (x_n - \bar x_k) + (\bar x_k - c)$ and expand the square. The mixed term is
# $2 (\bar x_k - c)^\top \sum_n (x_n - \bar x_k)$. Its sum is zero.) The right side is smallest at $c = \bar x_k$.
#
# So $J$ never rises. Now look at the second step. If a mean moves, $J$ falls, because only the average $\bar x_k$ gives the
# smallest sum. If no mean moves, the next labels are the same as before, and k-means stops. (If two means are equally near, the
# library always takes the first of these means.)
#
# After the second step, the labels determine the means. So the labels alone determine $J$. There are finitely many ways to label
# the points. So $J$ can fall only finitely many times, and k-means stops.
#
# We left out one rare case: a group can lose all its points. Then the library looks for the point that is farthest from its own
# mean. The empty group gets this point.
#
# The next cell checks the formula for all points as one group. It also checks that $J$ never rises.

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
# Remember this pattern. Two steps alternate. Each step optimises one part and keeps the other part fixed. One number never gets
# worse. Soft k-means and EM have the same pattern, with another number.
#
# ## Soft k-means
#
# In k-means a point belongs wholly to one group, even if two means are almost equally near. Now let us divide each point among
# the groups. The farther mean $k$ is from point $n$, the smaller is the share $r_{nk}$:
#
# $$r_{nk} = \frac{\exp(-\lVert x_n - \mu_k \rVert^2 / (2T))}{\sum_j \exp(-\lVert x_n - \mu_j \rVert^2 / (2T))} .$$
#
# This formula is a *softmax*: take the exponential of each number, and divide by the sum of the exponentials. $T$ is called the
# *temperature*. If the points are lengths in metres, $T$ is in square metres. Then each mean moves to an average of the points
# with their shares as coefficients: $\mu_k = \sum_n r_{nk} x_n / \sum_n r_{nk}$.
#
# **Predict first.** Where do the means go if $T$ is very large? Where do the means go as $T$ tends to zero?

# %%
from smm_tutorial.figures import temperature_figure

effects = {
    0.5: "firm groups, most shares near 1",
    3.0: "two means are near each other, most points have no share near 1",
}
for temperature, effect in effects.items():
    show(
        temperature_figure(points, start, temperature),
        alt=f"Soft k-means at temperature {temperature} and a histogram "
        f"of each point's largest share: {effect}.",
    )

# %% [markdown]
# In the left panels, the colour of a point is a mixture of the colours of the means. The shares of the point are the amounts of
# these colours. The circles around each mean have the radii $\sqrt T$ and $2 \sqrt T$. The histograms show the largest share of
# each point.
#
# At temperature 3, two means are nearer to each other than at 0.5. If $T$ is very large, all means are at one place: the average
# of all points. (The section *How hot is too hot?* shows this.) As $T$ tends to zero, each share becomes 0 or 1. Then the means
# move as in k-means.
#
# Change the temperature yourself. In JupyterLab and on Colab the next cell shows a slider.

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
# Again we write the loop, and again the library gives the same results. `tol` says when the library stops: a smaller `tol` means
# more iterations. (The section *EM, by hand* gives the rule.)
#
# At a very low temperature, soft k-means ends with the means of k-means. We show this with the library's model. A function that
# only follows the formula, like the reference solution, divides 0 by 0 at $T = 10^{-6}$. The section *Log-sum-exp* shows how to
# repair such a function.

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
# At a high temperature all means come to one place. At which temperature does this begin? We can compute it for two means that are
# already near each other.
#
# 1. Let $\bar x$ be the average of all points. Put the two means at $\bar x + \delta$ and $\bar x - \delta$, with a tiny
#    vector $\delta$.
# 2. Take the squared distance of a point $x_n$ to the second mean. Subtract the squared distance to the first mean. The difference
#    is $4 (x_n - \bar x)^\top \delta$.
# 3. Let $u_n = (x_n - \bar x)^\top \delta / T$. The formula of the shares divides squared distances by $2T$. So the exponents
#    differ by $2 u_n$, and the first share is $\frac{1}{1 + e^{-2 u_n}}$. This equals $\tfrac12 (1 + \tanh u_n)$, because
#    $\tanh u = \frac{1 - e^{-2u}}{1 + e^{-2u}}$. The second share is $\tfrac12 (1 - \tanh u_n)$.
# 4. For tiny $\delta$, $\tanh u_n \approx u_n$. The $u_n$ sum to zero, because $\sum_n (x_n - \bar x) = 0$. So the shares of each
#    mean sum to about $N/2$.
# 5. One iteration moves the first mean. Relative to $\bar x$, this mean is then at
#
# $$\frac{1}{N/2} \sum_n \tfrac12 (1 + u_n) (x_n - \bar x) = \frac1N \sum_n u_n (x_n - \bar x) = \frac1T \underbrace{\frac1N \sum_n (x_n - \bar x)(x_n - \bar x)^\top}_{S} \delta .$$
#
# (The part without $u_n$ is zero, since $\sum_n (x_n - \bar x) = 0$.) For the second mean, $u_n$ has the opposite sign, so this
# mean moves to $\bar x - S \delta / T$. So one iteration replaces $\delta$ by $S \delta / T$, where $S$ is the covariance of all
# points. Let $T_0$ be the largest eigenvalue of $S$. The vector $S \delta$ is at most $T_0$ times as long as $\delta$:
# $\lVert S \delta \rVert \le T_0 \lVert \delta \rVert$.

# %% [markdown]
# - If $T > T_0$, each iteration multiplies the length of $\delta$ by at most $T_0 / T$, and $T_0 / T < 1$. So the two means meet.
# - If $T < T_0$, take a $\delta$ in the direction of the eigenvector of $T_0$. Each iteration multiplies this $\delta$ by
#   $T_0 / T > 1$, as long as $\delta$ is tiny. So the two means move apart.
#
# We call $T_0$ the *melting point*. We do not derive the melting point for three means. The next cell only checks three means from
# one start.
#
# **Predict first.** Is the melting point of our points nearer to 1 or to 10?


# %%
def farthest_from_middle(temperature):
    """Distance of the farthest mean from the middle of the means, at the end."""
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
ylabel = "distance of the farthest mean\nfrom the middle of the means"
marker = ("melting point: largest eigenvalue of S", melting_point)
figure = curves_figure(temperatures, curve, "temperature", ylabel, marker=marker)
figure.axes[0].lines[0].set(marker="o", markersize=4)  # the twelve temperatures
show(
    figure,
    alt="The distance of the farthest mean from the middle of the means falls as the "
    "temperature rises, and is zero above the marked eigenvalue.",
)

# %% [markdown]
# The melting point is 7.62, nearer to 10 than to 1. The curve shows how far the farthest mean is from the middle of the three
# means. Above the melting point this distance is zero: all means are at one place.
#
# The temperature decides how many groups soft k-means can separate, and you must choose the temperature. Could an algorithm *learn*
# such a number from the points? Could an algorithm learn a size for each group, or even a shape for each group? EM for a mixture of
# Gaussians can.
#
# ## A mixture of Gaussians
#
# A mixture describes how each point was made. First, one of the $K$ groups is drawn at random: group $k$ has the probability
# $w_k$. Then the point is drawn from the Gaussian of this group:
#
# $$p(x) = \sum_k p(x, k), \qquad p(x, k) = w_k \, \mathcal N(x \mid \mu_k, \Sigma_k).$$
#
# We call the groups of a mixture its *components*. $p(x, k)$ is called the *joint* density of point and component. In the code,
# `log_joint` is its logarithm.
#
# Which component made a given point? Bayes' rule answers: it was component $k$ with the probability
# $r_{nk} = p(k \mid x_n) = p(x_n, k) / p(x_n)$. We call $r_{nk}$ the *responsibility* of component $k$ for point $n$.
# Responsibilities are shares: those of one point sum to 1.
#
# Now let all weights be equal, and let every covariance be $\Sigma_k = T I$. Then all factors that do not depend on
# $k$ cancel in $r_{nk}$. The shares of soft k-means remain. So the temperature is a variance. The next cell checks this. There,
# *spherical* means that each component has one variance, the same in all directions.

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
# maximise the *log-likelihood* $\ell(\theta) = \frac1N \sum_n \log p(x_n)$. (We always take the mean over the points.) We use
# the natural logarithm. Then the unit of $\ell$ is the *nat*.
#
# But $\log p(x)$ is the logarithm of a sum over components. So the derivative of $\ell$ with respect to $\mu_1$ contains the
# parameters of all components. If we set this derivative to zero, we cannot solve the equation for $\mu_1$ alone.
#
# ## The bound
#
# EM maximises a simpler function, which is never larger than $\ell$. We first show this function and then derive it. Take points
# with one feature, and a mixture of two components. We know everything except one mean. We call this mean $\mu$.

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
# The next figure shows $\ell(\mu)$ as a thick curve. Each dashed or dotted curve is a bound. No bound is above the thick curve.
# Bound 0 *touches* the thick curve at dot 0. EM moves $\mu$ to the top of bound 0. At this new $\mu$, bound 1 touches the thick
# curve, at dot 1. Then EM moves $\mu$ to the top of bound 1, and so on.
#
# The formula in `bound_1d` is explained below the figure. In this formula, the shares `q` do not change with $\mu$. For the first
# component, $\log p(x, k)$ does not depend on $\mu$. For the second component, $\log p(x, k)$ is a quadratic function of $\mu$.
# So each bound is a parabola.


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
    curves[f"bound {t} (touches at dot {t})"] = bound
    visited.append(q[:, 1] @ line / q[:, 1].sum())  # M step: to its top

heights = [log_likelihood_1d(mean) for mean in visited]
assert (np.diff(heights) > 0).all()
print("log-likelihood at the dots:", " ".join(f"{height:.3f}" for height in heights))

# %%
dots = list(zip(visited, heights, strict=True))
xlabel = "mean of the second group"
figure = curves_figure(grid, curves, xlabel, "nats per point", touching=dots)
thick, *bounds = curves.values()
tops = [bound.max() for bound in bounds]
figure.axes[0].plot(visited[1:], tops, marker=6, color="black", linestyle="")
figure.axes[0].set_ylim(thick.min() - 1, thick.max() + 0.5)
figure.axes[0].vlines(visited[1:], thick.min() - 1, heights[1:], "0.6", linewidth=0.8)
inset = figure.axes[0].inset_axes([0.05, 0.28, 0.27, 0.34])  # enlarges dot 1
for drawn in figure.axes[0].lines:
    look = dict(marker=drawn.get_marker(), linestyle=drawn.get_linestyle())
    inset.plot(*drawn.get_data(), color=drawn.get_color(), **look)
inset.set(xlim=(-3, -2.3), ylim=(-7.65, -7.2), xticks=[], yticks=[])
inset.set_title("around dot 1", fontsize=9, y=0.76)
show(
    figure,
    alt="A log-likelihood curve over the mean of the second group, three parabolas "
    "below it that touch it, and dots 0 to 3 that climb the curve. "
    "Grey vertical lines lead from dots 1 to 3 down through the parabolas' tops, "
    "which small black triangles mark. A small panel enlarges dot 1: "
    "the top of bound 0 is just below this dot.",
)

# %% [markdown]
# The dots 0 to 3 are the means before the first iteration and after each of three iterations. Each dot is higher than the dot
# before. A black triangle marks the top of each bound. The grey line below dot 1 passes through the top of bound 0. This top is
# only a little lower than dot 1: the small panel shows both. The grey lines below the dots 2 and 3 pass through the tops of the
# bounds 1 and 2.
#
# Where does such a bound come from? Take one point $x$, and any shares $q_k > 0$ with $\sum_k q_k = 1$.
#
# 1. Multiply and divide each term of the sum by $q_k$: $\log p(x) = \log \sum_k q_k \, \frac{p(x, k)}{q_k}$. The sum inside the
#    logarithm is now an average of the ratios. The shares $q_k$ are its coefficients.
# 2. The logarithm is strictly concave: its graph bends down everywhere. So the logarithm of an average is at least the average of
#    the logarithms (Jensen's inequality): $\log p(x) \ge \sum_k q_k \log \frac{p(x, k)}{q_k}$. Call the right side the *bound*
#    $\mathcal L(q, \theta)$. Now the sum stands outside the logarithm.
# 3. How large is the gap? Put $p(x, k) = p(k \mid x)\, p(x)$ into the bound:
#    $\mathcal L = \log p(x) - \sum_k q_k \log \frac{q_k}{p(k \mid x)}$. The last sum is called the Kullback-Leibler (KL)
#    divergence of $q$ from the responsibilities. By step 2, $\mathcal L \le \log p(x)$, so the divergence is never negative. If
#    $q$ equals the responsibilities, all logarithms in the sum are zero, so the divergence is zero. For any other $q$, the ratios
#    $p(x, k) / q_k$ are not all equal. (If all ratios were equal, $q_k$ would be proportional to $p(x, k)$. Then $q$ would be the
#    responsibilities.) A strictly concave function then has $>$ instead of $\ge$ in step 2. So the divergence is positive.
#
# For many points, each point has its own shares $q_{nk}$, and we take the mean of the bounds over the points.


# %%
@exercise("em.lower_bound")
def lower_bound(log_joint, shares):
    """log p(x, k) (N, K), shares (N, K), rows sum to 1 -> bound, mean over points."""
    ...


# %% [markdown]
# Step 3 says: *log-likelihood = bound + KL divergence*, for any shares. The next cell draws shares at random and checks this
# equation. The cell also compares your function with `bound_1d`.

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
# Where the bound touches the log-likelihood, both have the same slope. Here is why. The difference $\ell - \mathcal L$ is zero
# where the curves touch, and nowhere negative. So the difference has a minimum there, and its slope is zero.
#
# Suppose that EM has come to a $\mu$ that no longer changes. Then the parabola touches the thick curve at its own top. At the top
# the slope of the parabola is zero. So the slope of the log-likelihood is zero there, too. The next cell compares the two slopes at
# three places.

# %%
tiny = 1e-5
for mean in (-3.5, 0.5, 2.0):
    q = shares_1d(mean)
    sides = (mean - tiny, mean + tiny)
    on_curve = [log_likelihood_1d(side) for side in sides]
    on_bound = [lower_bound(log_joint_1d(side), q) for side in sides]
    slope = np.diff(on_curve).item() / (2 * tiny)
    bound_slope = np.diff(on_bound).item() / (2 * tiny)
    np.testing.assert_allclose(bound_slope, slope, rtol=1e-6)
    slopes = f"of the log-likelihood {slope:7.4f}, of the bound {bound_slope:7.4f}"
    print(f"at {mean:4.1f}: slope {slopes}")

# %% [markdown]
# ## Log-sum-exp
#
# The formulas are right, but a program that follows them literally can fail. The next cell computes responsibilities as the formula
# says, for three points. Two of them are far from both groups.
#
# **Predict first.** The means of the groups are -2 and 2.5. What will be printed for a point at 60?


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
    far = f"{np.sqrt(-2 * np.log(smallest)):.1f} standard deviations"
    print(f"{kind.__name__}: a density is zero beyond {far}")

# %% [markdown]
# The point at 60 has NaN, "not a number". Both densities are smaller than the smallest positive number of the type float64, so
# they are stored as zero. This is called *underflow*. Then the program divides 0 by 0, and the result is NaN. One such point
# turns every mean into NaN. Underflow also happens to ordinary points with many features. The squared distance is a sum over the
# features. Take 2,000 features, and a point one standard deviation from the mean in each feature. Its distance is
# $\sqrt{2000} \approx 45$ standard deviations, beyond the printed limit.
#
# The remedy is to compute with logarithms. Let $a_k$ be the logarithm of $p(x, k)$. For any number $m$,
# $\log \sum_k e^{a_k} = m + \log \sum_k e^{a_k - m}$. Take $m = \max_k a_k$. Then the largest exponential is exactly 1. Other
# exponentials may underflow. They are then too small to change the sum.


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
# Your function, scipy's `logsumexp` and the library's `normalise` agree. (`normalise` returns two results: the log-sum-exp of
# each row, and the responsibilities.) A softmax is the same computation: `exp(a - log_sum_exp(a))`. Notebooks 02 and 03 use
# softmax.


# %% [markdown]
# ## The two steps of EM
#
# EM makes the bound larger in two alternating steps.
#
# - **E step** (expectation): keep $\theta$. Set the shares $q$ to the responsibilities $r$ of this $\theta$. Now the bound equals
#   $\ell(\theta)$.
# - **M step** (maximisation): keep these shares. Choose the new $\theta$ that maximises the bound.
#
# The bound is $\frac1N \sum_{nk} r_{nk} \log p(x_n, k) - \frac1N \sum_{nk} r_{nk} \log r_{nk}$. In the M step the shares
# $r_{nk}$ are fixed numbers, so the second sum is constant. The M step needs to maximise only the first sum.
#
# Why does $\ell$ never fall? Let $\theta'$ be the new parameters. Then
#
# $$\ell(\theta') \;\underset{\text{bound}}{\ge}\; \mathcal L(r, \theta') \;\underset{\text{M step}}{\ge}\; \mathcal L(r, \theta) \;\underset{\text{E step}}{=}\; \ell(\theta) .$$

# %% [markdown]
# Now we derive the formulas of the M step. Take a Gaussian with one feature and variance $v_k$. (In a *diagonal* Gaussian every
# feature has its own variance, and the same derivation holds for each.) Then
# $\log p(x, k) = \log w_k - \frac12 \log (2\pi v_k) - \frac{(x - \mu_k)^2}{2 v_k}$, where $\pi$ is 3.14... as in the whole
# course. We maximise $\sum_{nk} r_{nk} \log p(x_n, k)$. (We drop the factor $1/N$: the maximum is at the same place.) Let
# $N_k = \sum_n r_{nk}$. Each derivative must be zero:
#
# - $\mu_k$: $\sum_n r_{nk} (x_n - \mu_k) / v_k = 0$, so $\mu_k = \frac1{N_k} \sum_n r_{nk} x_n$.
# - $v_k$: $\sum_n r_{nk} \left( -\frac1{2 v_k} + \frac{(x_n - \mu_k)^2}{2 v_k^2} \right) = 0$. Multiply by $2 v_k^2$:
#   $\sum_n r_{nk} (x_n - \mu_k)^2 = N_k v_k$. So $v_k = \frac1{N_k} \sum_n r_{nk} (x_n - \mu_k)^2$. Here $\mu_k$ is the
#   *new* mean.
# - $w_k$: the weights must sum to 1. A maximum under such a condition needs a new number $\lambda$, the *Lagrange multiplier*. We
#   maximise $\sum_k N_k \log w_k - \lambda \left( \sum_k w_k - 1 \right)$. The derivative is $N_k / w_k - \lambda = 0$, so
#   $w_k = N_k / \lambda$. Sum over $k$: $1 = N / \lambda$, because $\sum_k N_k = N$. So $\lambda = N$, and $w_k = N_k / N$.
#
# All three solutions are maxima. As a function of $\mu_k$, the sum is a parabola that opens downwards. For $v_k$, the derivative
# is positive below the solution and negative above the solution. As a function of the weights, $\sum_k N_k \log w_k$ is concave.


# %%
@exercise("em.m_step_diagonal")
def m_step_diagonal(points, shares):
    """points (N, D), shares (N, K) -> weights (K,), means (K, D), variances (K, D)."""
    ...


# %% [markdown]
# We also test the maximum with numbers. We change weights, means and variances at random. The bound must always become lower. The
# next cell defines $\log p(x_n, k)$ for diagonal Gaussians.


# %%
def log_joint_diagonal(points, weights, means, variances):
    """log p(x, k) (N, K)."""
    squares = (points[:, None] - means) ** 2 / variances  # (N, K, D)
    return np.log(weights) - 0.5 * (squares + np.log(2 * np.pi * variances)).sum(axis=2)


# %% [markdown]
# The shares here are random numbers, not responsibilities. For any shares, the M step maximises the bound.

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
# Now you have all parts. The loop below joins your functions. This loop is the whole algorithm, except for a rule to stop. The
# usual rule is: stop if $\ell$ changes by less than a small number `tol` in one iteration, or after `max_iter` iterations. Here
# we simply take 30 iterations.
#
# **Predict first.** The derivation says that $\ell$ never falls. A computer rounds all numbers. Will we see a fall?

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

climbed = [log_likelihood for log_likelihood, *_ in by_hand]
rises = np.diff(climbed)
assert (rises > 0).all()
print(
    f"from {climbed[0]:.4f} to {climbed[-1]:.4f} nats in 30 iterations;",
    f"the smallest rise was {rises.min():.1e}",
)

# %% [markdown]
# The log-likelihood never fell. Even the smallest rise is far larger than rounding errors.
#
# The library's `GaussianMixtureEM` gives the same numbers from the same start. Its options:
#
# - `precisions_init` holds the inverse covariances of the start.
# - `reg_covar` is a small number that is added to the variances. Here this number is 0. With a larger number, $\ell$ can fall a
#   little. The section *Components that collapse* explains this number.
# - `covariance_type="diag"` asks for diagonal Gaussians.
# - `tol=0` means: exactly `max_iter` iterations.
#
# Each entry of `history_` has a field `lower_bound`. This field holds $\ell$, because after an E step the bound equals $\ell$.
# (Your function `lower_bound` is more general: it takes any shares.)

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

soft_rises = np.diff([step.lower_bound for step in soft.history_])
assert (soft_rises > -1e-12).all()
print(f"soft k-means: smallest rise of {len(soft_rises)}: {soft_rises.min():.1e}")

# %% [markdown]
# The last line is about the soft k-means above. Soft k-means is EM with fixed weights and variances: its M step chooses the means
# only. So its $\ell$ never falls, either.
#
# ## Tilted groups
#
# The ellipses of a diagonal Gaussian cannot be tilted, but our sticks are tilted. The ellipses of a *full* covariance can be
# tilted. The M step for a full covariance is $\Sigma_k = \frac1{N_k} \sum_n r_{nk} (x_n - \mu_k)(x_n - \mu_k)^\top$. This is the
# formula for $v_k$ with a matrix in place of the square. (We do not derive this formula. Bishop's book, section 9.2, has it.)
#
# The E step now needs $(x - \mu)^\top \Sigma^{-1} (x - \mu)$ and the logarithm of the determinant $|\Sigma|$. Both come from the
# Cholesky factor $C$. This is a lower triangular matrix with $\Sigma = C C^\top$. The first number is
# $\lVert C^{-1}(x - \mu) \rVert^2$, because $\Sigma^{-1} = (C^{-1})^\top C^{-1}$. The second number is $2 \sum_i \log C_{ii}$,
# because $|\Sigma| = |C|^2$ and $|C|$ is the product of the diagonal. In the code, `whitened` is $C^{-1} (x - \mu)$.

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
# Now we run EM with full covariances. EM starts from the same three points as k-means. The ellipses show one and two standard
# deviations of each component. At the start, the ellipses are so wide that the frame cuts them. The colour of a point is a
# mixture of the colours of the components. The responsibilities are the amounts of these colours.
#
# **Predict first.** Will EM cut the sticks across, too?

# %%
wide = np.linalg.inv(np.cov(points.T, bias=True))
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

# %% [markdown]
# EM with full covariances does not cut the sticks across. At the end, each stick has its own ellipse.
#
# The next figure shows iteration 5 again, now beside the curve of $\ell$ over the iterations. In JupyterLab and on Colab, a slider
# follows. The slider starts at iteration 10. Move the slider, and see at which iterations the curve is steep.

# %%
from smm_tutorial.figures import em_step_figure

show(
    em_step_figure(full.history_, 5),
    alt="Left, iteration 5: the three ellipses overlap, and none lies on one stick. "
    "Right: the log-likelihood over the iterations. The dot at 5 is before a rise.",
)
stepper = widgets.em_stepper(full.history_)
stepper.show()
stepper.slider.value = 10  # as your mouse would

# %% [markdown]
# The curve is nearly flat at iteration 5, and steep from iteration 10 to 15. In these iterations the ellipses turn and move to the
# sticks.
#
# How well do the found groups agree with the true groups? The *adjusted Rand index* (ARI) compares two groupings. The ARI counts
# the pairs of points that are together in both groupings. From this count, the ARI subtracts the average count of random
# groupings. So random groupings have ARI 0 on average. Then the ARI divides by a number, so that equal groupings have ARI 1.
# [Notebook 06](06_judging_slots.ipynb) derives the formula.
#
# The diagonal mixture above had only 30 iterations. For a fair comparison, we let it run until it stops by itself. We also compare
# k-means from the true means.

# %%
from sklearn.metrics import adjusted_rand_score

options = dict(covariance_type="diag", tol=1e-7, max_iter=500)
diagonal = GaussianMixtureEM(3, **options, **diagonal_start).fit(points)
found = {
    "k-means": k_means.labels_,
    "k-means from true means": KMeans(3, init=true_means).fit(points).labels_,
    "EM, diagonal": diagonal.predict(points),
    "EM, full": full.predict(points),
}
for name, labels in found.items():
    print(f"{name:23} ARI {adjusted_rand_score(groups, labels):.2f}")

# %% [markdown]
# EM with full covariances agrees best with the true groups. k-means and both mixtures started from the same three points. k-means
# from the true means is much better than k-means from these points. But usually nobody knows the true means, and the inertia
# prefers the worse result.
#
# ## Four kinds of covariance
#
# The ellipse of a covariance can be a circle, a free ellipse, or something between. The library has four kinds:
#
# - *full*: each component has its own matrix, so its ellipse can be tilted.
# - *tied*: all components share one matrix, so all ellipses are equal.
# - *diag*: each component has its own diagonal matrix, so its ellipse is not tilted.
# - *spherical*: each component is a circle with its own size.
#
# All four mixtures start with the same means and equal weights. Each covariance starts from the covariance of all points. The
# kind *diag* takes only the diagonal of this matrix. The kind *spherical* takes the mean of the diagonal. `precisions_init` has a
# different shape for each kind.

# %%
precisions = {
    "full": full_start["precisions_init"],
    "tied": wide,
    "diag": diagonal_start["precisions_init"],
    "spherical": 1 / np.full(3, points.var(axis=0).mean()),
}

# %% [markdown]
# **Predict first.** Which kind has the highest log-likelihood on our points? Which kind comes second? We also compute the
# log-likelihood of 6,000 fresh points: 20 samples from the same three groups.

# %%
from smm_tutorial.clustering import COVARIANCE_TYPES

samples = [three_groups(np.random.default_rng(seed))[0] for seed in range(1, 21)]
fresh = np.concatenate(samples)  # (6000, 2)
last_steps = {}
for kind in COVARIANCE_TYPES:
    options = full_start | dict(precisions_init=precisions[kind])
    options |= dict(covariance_type=kind, tol=1e-7, max_iter=500)
    model = GaussianMixtureEM(3, **options).fit(points)
    score, fresh_score = model.score(points), model.score(fresh)
    last_steps[f"{kind}: {score:.3f} nats per point"] = model.history_[-1]
    print(f"{kind:9} {score:.3f} nats per point, {fresh_score:.3f} on fresh points")

show(
    steps_figure(points, last_steps),
    alt="Full: an ellipse on each group. Tied: three equal tilted ellipses. "
    "Diagonal, spherical: sticks mixed.",
)

# %% [markdown]
# *Full* is best, and *tied* comes second, on these points and on fresh points. A tied covariance can be tilted, but then the
# ellipse of the round cloud is tilted, too.
#
# Which kind should you choose? The choice depends on what you know about the groups, and on the number of features. Notebook 03
# builds the Slot Mixture Module, which finds the objects of a picture. A *slot* is a component of this module. The module uses
# *diag*. With 64 features a full matrix would have $64 \cdot 65 / 2 = 2{,}080$ free numbers for every slot.
#
# ## The same as scikit-learn, step for step
#
# scikit-learn is a well-known library for machine learning. We start its `GaussianMixture` and our library's `GaussianMixtureEM`
# from the same parameters. We compare them after each of ten iterations, for all four kinds. Log-likelihoods must agree within
# $10^{-8}$, parameters within $10^{-6}$.

# %%
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture


def fit_sklearn(iterations, **options):
    """scikit-learn's mixture after a few iterations. Hides the warning about tol."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(3, max_iter=iterations, **options).fit(points)


# %%
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
# ## The start decides where EM ends
#
# The log-likelihood never falls, and EM ends where the slope of the log-likelihood is zero. Usually this place is a *local
# maximum*: no small change of the parameters makes $\ell$ larger. (An exception: two components that start equal stay equal. Then
# EM can end at a place that is no local maximum.) Another local maximum may be higher. Now we take five groups and four ways to
# start EM, with 30 random seeds for each way.
#
# **Predict first.** Many people start EM from the result of k-means. Does this way reach the best result most often here?


# %%
def five_groups(rng, count):
    centres = np.array([[-4.0, -3.0], [-4.0, 3.0], [0.0, 0.0], [4.0, 3.0], [4.0, -3.0]])
    spreads = np.array([[1.2, 0.4], [0.5, 1.2], [0.8, 0.8], [1.2, 0.4], [0.5, 1.2]])
    groups = rng.integers(5, size=count)
    return centres[groups] + spreads[groups] * rng.normal(size=(count, 2))


many = five_groups(np.random.default_rng(1), 400)

# %% [markdown]
# | way | means at the start | covariances at the start |
# | --- | --- | --- |
# | random points, wide | five points, drawn with equal probability | the covariance of all points |
# | random points, narrow | the same five points | ellipses ten times narrower |
# | k-means++ points, wide | five points, drawn by k-means++ | the covariance of all points |
# | k-means clusters | the means of the groups that k-means found | the covariances of these groups |
#
# With *k-means++*, a point has a higher probability if it is far from the points already drawn. The last way is the library's
# default. The library runs k-means. Then one M step computes weights, means and covariances from the groups of k-means. (Such
# groups are also called *clusters*.) The first three ways start with equal weights.

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
# We fit each start with 30 seeds. Then we compare all 120 fits with the best of them.

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

# %% [markdown]
# k-means does not reach the best result most often here. The next figure has one dot for each fit, and one row for each way
# to start. The dots of a row are sorted by their values. Each next dot is drawn a little lower, only to keep the dots apart.
# The height has no other meaning. Dots with nearly equal values overlap. At the right end they form a bar: the cell above
# prints the number of its dots.

# %%
from smm_tutorial.figures import seeds_figure

figure = seeds_figure(ends, "nats per point at the end")
figure.axes[0].set_ylabel("way to start")
figure.set_figheight(4)
show(
    figure,
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
# In the worst fit, one component covers three groups. Three other components divide one group among them.
#
# The narrow start is the worst way here. How do the narrow components divide the points at the start? The next cell prints how
# many points have one large share.

# %%
for name, models in runs.items():
    first = [model.history_[0].responsibilities for model in models]
    firm = np.mean(np.max(first, axis=2) > 0.9)
    print(f"{name:23} at the start, {firm:4.0%} of points have a share above 0.9")

# %% [markdown]
# Narrow components divide the points almost as k-means does: nearly every point belongs to one component. So the first means decide
# a lot, and they are only random points. Wide components divide nearly every point among several components, so the first means
# decide less. This explanation fits the numbers, but the numbers do not prove it. (After k-means, nearly every point has one large
# share, too. But there k-means has already improved the means.)
#
# The results of the three better ways are nearly equal. With 30 seeds we cannot say which of the three ways is best.
#
# Several starts help: keep the fit with the highest log-likelihood. But this rule is safe only if no component collapses. The next
# section shows such components.
#
# ## Components that collapse
#
# If each component has its own covariance, the log-likelihood can grow without limit: there is no highest value. To see this, put
# the mean of one component exactly on one point. Let the standard deviation $\sigma$ of this component shrink: the component
# becomes a *spike*. The density at this point is at least $w \, (2\pi\sigma^2)^{-D/2}$, where $w$ is the weight of the component.
# This density grows without limit. At all other points the density stays positive, because the other components cover them. So
# $\ell$ grows without limit, too. If $\sigma$ is divided by $e$, the logarithm of $\sigma^{-D}$ grows by $D$. Only one of the $N$
# points gains these $D$ nats. So the mean $\ell$ grows by $D / N$ nats.

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
# The printed numbers grow by equal amounts, as the formula says. From 1e-2 to 1e-4, $\sigma$ is divided by 100. So $\ell$ grows
# by $2 \log(100) / 300 \approx 0.031$.
#
# A full covariance can also shrink in one direction only. Then the component becomes a thin line, for example through two points.
#
# Do such components occur in practice? We take 60 points and fit 3, 6 and 12 components, without any lower limit for variances.
# The start is the library's default, from the groups of k-means. A component has *collapsed* if its covariance has no inverse
# within the precision of float64. Then the library raises an error. With `max_iter=0` the library only computes the start. So the
# cell can also count the collapses at the start.

# %% tags=["nbval-ignore-output"]
few, unseen = many[:60], many[60:]


def fit_few(count, floor, seed, max_iter=300):
    options = dict(reg_covar=floor, max_iter=max_iter, random_state=seed)
    return GaussianMixtureEM(count, **options).fit(few)


def find_collapses(count, **options):
    """Runs 20 seeds. Returns the library's message about each run that collapses."""
    messages = []
    for seed in range(20):
        try:
            fit_few(count, 0, seed, **options)
        except ValueError as error:
            messages.append(str(error))
    return messages


for count in (3, 6, 12):
    at_start, collapses = find_collapses(count, max_iter=0), find_collapses(count)
    print(f"{count:2d} components: {len(collapses):2d} of 20 runs collapse,", end=" ")
    print(f"{len(at_start):2d} of them at the start")
print("\n".join(collapses[-1].split(": ")))

# %% [markdown]
# Such components occur. The more components, the more runs collapse. Most of these runs collapse at the start: k-means made a
# group of one or two points. In the plane, the covariance of one or two points has no inverse. In a few runs, a component
# collapses later, in the iterations of EM.
#
# The usual remedy is a *floor*: a smallest variance. After each M step, `reg_covar` adds this number to the diagonal of each
# covariance. scikit-learn's default is $10^{-6}$.
#
# **Predict first.** We compare two floors, $10^{-6}$ and $0.1$, with twelve components on the same 60 points. Which floor
# gives the higher log-likelihood on these points? Which floor gives the higher log-likelihood on 340 fresh points? The cell also
# counts *thin* components: their smallest standard deviation is below 0.01. It prints how many points the thin components own.
# (The owner of a point is the component with the largest responsibility.)

# %%
for floor in (1e-6, 0.1):
    models = [fit_few(12, floor, seed) for seed in range(20)]
    smallest = [np.linalg.eigvalsh(model.covariances_).min() for model in models]
    width = f"{np.median(np.sqrt(smallest)):.3f} wide (median of 20 seeds)"
    print(f"floor {floor:.0e}: the thinnest component is {width}")
    owned = []
    for model in models:
        thin = np.linalg.eigvalsh(model.covariances_)[:, 0] < 0.01**2
        owned += np.bincount(model.predict(few), minlength=12)[thin].tolist()
    counted = [
        f"{owned.count(size)} own {size} of the points" for size in sorted(set(owned))
    ]
    print(f"    thin components: {len(owned)}", *counted, sep=", ")
    scores = {}
    for where, tested in {"the 60 points": few, "fresh points": unseen}.items():
        scores[where] = np.array([model.score(tested) for model in models])
        value = f"{scores[where].mean():6.2f} ± {scores[where].std():.2f}"
        print(f"    {value} nats per point on {where}")
    highest = scores["the 60 points"].argmax()  # the rule of the section above
    value = f"{scores['fresh points'][highest]:6.2f}"
    print(f"    {value} on fresh points, for the seed that is best on the 60 points")

# %% [markdown]
# (The number after ± is the standard deviation over the seeds.) The small floor gives the higher log-likelihood on the 60
# points. On fresh points, its log-likelihood is far lower. With the small floor there is no error message, but some
# components become thin. Most of the thin components own two points, and the others own one point. A thin component has a
# very high density at the points that it owns. But a thin component does not help at fresh points.
#
# Now use the rule "keep the highest log-likelihood". With the small floor, the chosen seed is far worse on fresh points than the
# average seed. With the floor 0.1, the chosen seed is also below the average, but the loss is small: 0.06 nats. So the rule needs
# a good floor. As the floor, choose the smallest variance that is plausible for your data. The Slot Mixture Module has a floor,
# too.
#
# A floor has one more effect. The M step maximises the bound. Then the floor changes the covariances, so the bound is no longer
# at its maximum. So the log-likelihood can fall. The next cell counts such falls with the floor 0.1.

# %%
falls, largest = 0, 0
for model in models:  # the 20 runs with the floor 0.1
    changes = np.diff([step.lower_bound for step in model.history_])
    falls += (changes < 0).any()
    largest = max(largest, -changes.min())
print(f"the log-likelihood falls in {falls} of {len(models)} runs")
print(f"the largest fall in one iteration is {largest:.3f} nats")

# %% [markdown]
# The log-likelihood falls in every run, but the falls are small. The proof that $\ell$ never falls holds only without a floor.
#
# ## How many components?
#
# With more components, a mixture can fit its points better. The Bayesian information criterion (BIC) adds a penalty for each free
# parameter:
#
# $$\mathrm{BIC} = (\text{number of free parameters}) \cdot \log N - 2 \sum_n \log p(x_n) .$$
#
# Lower is better. The sum is the log-likelihood of *all* points, $N \ell$. (We do not derive the BIC.)


# %%
@exercise("em.bic")
def bic_of_full_mixture(log_likelihood, num_points, num_components, num_features):
    """Summed log-likelihood and counts -> BIC with full covariances (float)."""
    ...


# %% [markdown]
# We return to the 400 points of the five groups, and fit 1 to 9 components.
#
# **Predict first.** At which number of components is the BIC lowest? As this number grows, what happens to the log-likelihood of the
# 400 points? What happens to the log-likelihood of 400 fresh points?


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
# By hand and by the library, the BIC is the same. The next figure shows three curves. For all three, lower is better: we draw
# *minus* the log-likelihood. We divide the BIC by $2N$, so that all three are in nats per point. A dot marks the lowest BIC.

# %%
fresh = five_groups(np.random.default_rng(2), 400)
bic = np.array([model.bic(many) for model in chosen])
curves = {
    "BIC / 2N": bic / (2 * len(many)),
    "minus log-likelihood, the 400 points": -np.array([m.score(many) for m in chosen]),
    "minus log-likelihood, fresh points": -np.array([m.score(fresh) for m in chosen]),
}
ylabel = "nats per point (lower is better)"
figure = curves_figure(counts, curves, "number of components", ylabel)
figure.axes[0].plot(counts[bic.argmin()], bic.min() / (2 * len(many)), "ko")
show(
    figure,
    alt="BIC falls until five components, then rises. A dot marks the lowest BIC. "
    "The fit keeps improving on the 400 points, not on fresh points.",
)
print("BIC chooses", counts[bic.argmin()], "components")

# %% [markdown]
# The BIC is lowest at five components. The fit to the 400 points improves further with more components. The fit to the fresh points
# does not improve further.
#
# Two warnings. First, the BIC counts *Gaussians*, not groups: a ring of points is one group, but needs several Gaussians. Second,
# the BIC needs good fits. If all starts for one number of components are poor, the BIC can choose a wrong number.
# (We show neither case here.)
#
# ## A picture as a set of points
#
# Now we come to the subject of this course: finding the objects of a picture. A picture of 32 x 32 pixels is a set of 1,024
# points. Each point has five features: red, green, blue, and its place (column and row). We *standardise* each feature: we
# subtract its mean and divide by its standard deviation. Then we fit a mixture to these points. The pictures are twelve scenes of
# `clevr6`, the data set of this course. `clevr6` follows the rules of CLEVR, a well-known data set. We take the scenes from the
# *test split*: the part that is kept for tests.

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
# shadows, of the many greys of the ground, and of two objects with the same colour.

# %%
pixels = pixels_as_points(scenes.images[1])
mixture = GaussianMixtureEM(7, reg_covar=1e-4, max_iter=50, random_state=0).fit(pixels)
print(f"{len(pixels)} points, {pixels.shape[1]} features; {mixture.n_iter_} iterations")

# %% [markdown]
# We paint each pixel in the colour of the component with the largest responsibility for this pixel. The pixels of one component
# are called a *segment*. The *true masks* say which object each pixel shows. In the true masks, each object has a colour, and
# grey is the ground. The colours of the true masks and the colours of the components are not related. Compare the shapes only.
# The start is the library's default: one M step on the groups of k-means. In the panel of the last iteration, the numbers are the
# numbers of the components. In the panel of the true masks, the numbers are the numbers of the objects.

# %%
from scipy.ndimage import distance_transform_edt

named = [("input", figures.to_picture(scenes.images[1] / 255))]
for t in (0, 2, 5, 10, mixture.n_iter_):
    owners = mixture.history_[t].responsibilities.argmax(axis=1).reshape(32, 32)
    name = f"iteration {t}" if t else "start, from k-means"
    named.append((name, figures.slot_map(torch.from_numpy(owners))))

named.append(("true masks", figures.label_map(scenes.masks[1])))
figure = figures.pictures_figure(named, columns=4)
look = dict(ha="center", va="center")
for k in range(7):
    inside = np.pad(owners == k, 1)  # the edge of the picture is outside
    depth = distance_transform_edt(inside)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    figure.axes[5].text(x, y, k, bbox=dict(facecolor="white", pad=1.5), **look)
for label in (1, 3, 4, 5, 6):  # object 2 has no pixels
    y, x = np.argwhere(scenes.masks[1].numpy() == label).mean(axis=0)
    figure.axes[6].text(x, y, label, **look)
show(
    figure,
    alt="A scene, its segments at the start and over the iterations, the true masks: "
    "the cylinder and the cube stand out, one segment holds two purple objects, "
    "the ground is split. Numbers name the last segments and the true objects.",
)

# %% [markdown]
# How well does each object agree with a component? The *intersection over union* of two sets of pixels is the number of pixels in
# both, divided by the number of pixels in at least one. It is 1 for equal sets. The next cell finds the best component for each
# object. The cell also prints the middle of the object: `x` is the column, and `y` is the row.

# %%
mask = scenes.masks[1].numpy()
for label in np.unique(mask[mask > 0]):
    inside = mask == label
    overlaps = []
    for k in range(7):
        both, one = inside & (owners == k), inside | (owners == k)
        overlaps.append(both.sum() / one.sum())
    y, x = np.argwhere(inside).mean(axis=0)
    where = f"{inside.sum():2d} pixels around x = {x:2.0f}, y = {y:2.0f}"
    best = (
        f"component {np.argmax(overlaps)}, intersection over union {max(overlaps):.2f}"
    )
    print(f"object {label}: {where}; {best}")

# %% [markdown]
# The mixture does not know what an object is. Yet one component agrees well with the large cylinder (0.87), and one agrees with
# the yellow cube (0.71). These two objects have the most pixels. Three things go wrong:
#
# - Component 5 holds both purple objects. These objects have nearly the same colours.
# - The small dark green object has no component of its own. Component 1 holds the yellow cube and most of this object.
# - The ground has many greys, and several components divide it. Beside the lower purple object, its dark shadow belongs to the
#   component of the object.
#
# (Object 2 is not visible, so it has no pixels.) At the start, after k-means, the segment of the cylinder also holds a part of the
# ground. EM removes this part.
#
# Now we segment all twelve scenes. The library's `discovery.segment_pixels` does the same in a few lines. First we check that our
# function agrees with it.

# %%
from smm_tutorial import discovery


def segment_by_hand(image, columns=slice(None), kind="full", iterations=50):
    """An image (3, 32, 32) -> each pixel's component (32, 32), by some features."""
    features = pixels_as_points(image)[:, columns]
    options = dict(covariance_type=kind, reg_covar=1e-4, random_state=0)
    options |= dict(max_iter=iterations)
    with warnings.catch_warnings():  # fifty iterations are enough here
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixtureEM(7, **options).fit(features)
    return torch.from_numpy(model.predict(features).reshape(32, 32))


segmentation = torch.stack([segment_by_hand(image) for image in scenes.images])
assert torch.equal(segmentation, discovery.segment_pixels(scenes, num_clusters=7))

# %% [markdown]
# The two functions agree. Here are the first six scenes. Again, the colours of the true masks and the colours of the segments are
# not related.

# %%
images = [figures.to_picture(image) for image in scenes.batch(slice(0, 6)).images]
true_maps = [figures.label_map(each) for each in scenes.masks[:6]]
maps = [figures.slot_map(each) for each in segmentation[:6]]
titles = [f"scene {index}" for index in range(6)]
figure = figures.picture_rows_figure([images, true_maps, maps], titles)
for axis, name in zip(
    figure.axes[::6], ("input", "true masks", "mixture"), strict=True
):
    look = dict(transform=axis.transAxes, rotation=90, ha="right", va="center")
    axis.text(-0.06, 0.5, name, fontsize=9, **look)  # the name of the row
show(
    figure,
    dpi=115,
    alt="Six scenes, true masks, segments. Many objects share a segment with others; "
    "the ground is divided among several segments.",
)

# %% [markdown]
# We compare the segments with the true masks, by two scores. Both scores are 1 at best.
#
# - *FG-ARI* (FG means foreground): the ARI over pixels of true objects only. So the ground does not count.
# - *mBO*, mean best overlap. For each true object, take the best intersection over union with any segment. Then take the mean over
#   the objects.
#
# The next cell prints both scores for the scenes 0 to 11. The spread is the standard deviation over these scenes. (As with numpy,
# we divide by the number of scenes: `correction=0`.)

# %%
from smm_tutorial.metrics import foreground_ari, mean_best_overlap

true = scenes.masks.long()
fg_ari = foreground_ari(true, segmentation)
mbo = mean_best_overlap(true, segmentation)
for name, values in {"FG-ARI": fg_ari, "mBO": mbo}.items():
    listed = " ".join(f"{value:5.2f}" for value in values)
    spread = values.std(correction=0)
    print(f"{name:6} {listed}   mean {values.mean():.2f}, spread {spread:.2f}")

# %% [markdown]
# The scores differ a lot between scenes. Here is the scene with the lowest FG-ARI.

# %%
worst = fg_ari.argmin().item()
print(f"scene {worst}: FG-ARI {fg_ari[worst]:.2f}, mBO {mbo[worst]:.2f}")
maps = {"mixture": segmentation[[worst]]}
show(
    figures.comparison_figure(
        scenes.batch([worst]).images, maps, true=scenes.masks[[worst]]
    ),
    dpi=200,
    alt="The scene with the lowest FG-ARI: input, true masks, and the segments; "
    "one of them holds two objects.",
)

# %% [markdown]
# The panel *true* shows the true masks. In the panel *mixture*, the light orange segment holds both blue objects. So FG-ARI is
# low: pixels of two objects are in one segment. But the mBO of this scene is above the average. So the two scores can
# disagree.
#
# Which features and which covariances are good? We compare five combinations. In the row "colour and place, start", EM
# makes no iteration: we score the start, which comes from k-means. In the row "one segment", the whole picture is one segment.
#
# **Predict first.** "Place only" does not see colours at all. What will its FG-ARI be?

# %%
combinations = {
    "colour and place, start": (slice(None), "full", 0),
    "colour and place, diag": (slice(None), "diag"),
    "colour only, full": (slice(0, 3), "full"),
    "colour only, diag": (slice(0, 3), "diag"),
    "place only, full": (slice(3, 5), "full"),
}
found = {"colour and place, full": segmentation}
for name, choices in combinations.items():
    maps = [segment_by_hand(image, *choices) for image in scenes.images]
    found[name] = torch.stack(maps)
found["one segment"] = torch.zeros_like(segmentation)
for name, maps in found.items():
    fg_ari_mean = foreground_ari(true, maps).mean()
    mbo_mean = mean_best_overlap(true, maps).mean()
    print(f"{name:23} FG-ARI {fg_ari_mean:.2f}, mBO {mbo_mean:.2f}")

tiles = found["place only, full"]
assert all(torch.equal(each, tiles[0]) for each in tiles)

# %% [markdown]
# Look at "place only". Here all twelve pictures have the same seven segments, as the last line of the cell checks. We call these
# segments tiles. Yet on these scenes the FG-ARI of the tiles is as high as the FG-ARI of colour and place! FG-ARI asks two questions.
# Are the pixels of one object in one segment? Are different objects in different segments? A small object lies mostly in one tile.
# Different objects often lie in different tiles. (If all objects lie in one segment, FG-ARI is 0: see the last row.) The mBO of the
# tiles is low, because a tile is much larger than a small object. (A tile has $1{,}024 / 7 \approx 146$ pixels on average. The small
# green object above has 11 pixels.) So this course never reports FG-ARI alone.
#
# The other rows:
#
# - EM improves both mean scores of the start.
# - With full covariances, the place hardly changes the mean FG-ARI, and the mBO is higher without the place.
# - Diagonal covariances score lower than full covariances, with the place and without it.
#
# Why do full covariances help? Perhaps because red, green and blue rise and fall together: where there is more light, all three are
# larger. Then the points of one surface form a tilted ellipse. The next cell measures this for the ground.

# %%
lowest = []
for image, mask in zip(scenes.images, scenes.masks, strict=True):
    ground = pixels_as_points(image)[mask.numpy().ravel() == 0]
    lowest.append(np.corrcoef(ground[:, :3].T).min())
print(f"lowest correlation of two colours on the ground of a scene: {min(lowest):.2f}")

# %% [markdown]
# On the ground of every scene, the three colours are strongly correlated. This fits the explanation, but does not prove it.
#
# Twelve scenes are few. A file of the course stores the scores of all 320 scenes of the test split, with one run per scene. These
# pictures are larger than ours, as the next cell prints. The first printed line is the command that made the scores. `--keep`
# writes the scores to the file.

# %%
from smm_tutorial import results

record = results.read_record("discovery-pixels")
scores = results.find_scores(record, "clevr6")
print(scores["command"])
both = f"FG-ARI {scores['fg_ari']:.3f}, mBO {scores['mbo']:.3f}"
size = record["config"]["image_size"]
print(f"{scores['images']} scenes of {size} x {size} pixels: {both}")

# %% [markdown]
# **The rest of this course tries to improve these two numbers.** The algorithm stays nearly the same: responsibilities by Bayes'
# rule, means and variances from them, a few iterations. The features change. A network learns features in which the pixels of one
# object look like points of one Gaussian.

# %% [markdown]
# ## Summary
#
# - k-means, soft k-means and EM alternate two steps. Each step optimises one part and keeps the other part fixed. One number
#   never gets worse: the inertia in k-means, the log-likelihood in soft k-means and in EM without a floor.
# - Soft k-means is EM with equal weights and one fixed variance, the temperature. As the temperature tends to zero, soft k-means
#   becomes k-means.
# - Log-likelihood = bound + KL divergence. The E step makes the divergence zero. The M step maximises the bound.
# - Compute with logarithms, and use log-sum-exp. Then exponentials that underflow do no harm.
# - EM usually ends at a local maximum, so use several starts. A component can collapse, so use a plausible floor. You must choose
#   $K$, and the BIC helps.
# - On raw pixels, a mixture finds some objects. Objects of the same colour can fall into one segment, and the ground is divided
#   into several segments.

# %% [markdown]
# **Test yourself.** Close this notebook. Write EM for diagonal Gaussians into an empty file: E step, M step, loop, rule to stop.
# Then compare your numbers with the section *EM, by hand*.
#
# ## Further reading
#
# - [Bishop, *Pattern Recognition and Machine Learning*, 2006, chapter 9](https://www.microsoft.com/en-us/research/publication/pattern-recognition-machine-learning/):
#   the same order as here, from k-means to EM. Section 9.4 has the bound and its gap.
# - [Dempster, Laird and Rubin, *Maximum likelihood from incomplete data via the EM algorithm*, 1977](https://doi.org/10.1111/j.2517-6161.1977.tb01600.x):
#   this paper gave EM its name. It shows that many older algorithms are special cases of EM.
# - [MacKay, *Information Theory, Inference, and Learning Algorithms*, 2003, chapters 20 and 22](https://www.inference.org.uk/itila/):
#   soft k-means with a *stiffness*, which is one divided by our temperature. Also: at which stiffness the means separate, and why
#   components collapse.
# - [Neal and Hinton, *A view of the EM algorithm that justifies incremental, sparse, and other variants*, 1998](https://doi.org/10.1007/978-94-011-5014-9_12):
#   both steps make one function larger, our bound. So a step need not reach the maximum: any increase is enough.
