# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Slots and a transformer
#
# [The source of this notebook](source/08_slate_reconstruction.py)
#
# **What you will do.** Turn pictures into tokens by clustering, and make the clustering trainable. Write the attention of a transformer
# that reads slots. Rebuild pictures from slots, token by token. Remove slots, swap them, and see what a slot holds.
#
# **What you will be able to do.** Explain SLATE, the model of the SMM paper's first experiment. Sample discrete values with a gradient.
# Write causal attention, cross-attention, and generation with kept keys and values.
#
# **What you need.** A training loop in torch. [Notebook 01](01_em_gaussian_mixtures.ipynb) builds k-means and Gaussian mixtures.
# [Notebook 03](03_slot_mixture_module.ipynb) derives the slot module. [Notebook 05](05_object_discovery.ipynb) finds objects by
# painting them.
#
# **Minutes.** About 90: 60 to read, 24 for the exercises, 4 to run on a laptop.

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
# | $B$, $M$ | number of pictures in a batch, and in a set | |
# | $S$ | side of the square pictures, in pixels | `image_size` |
# | patch | a square of 4 x 4 pixels | `patch` |
# | $N$ | number of patches of a picture, here 144 | |
# | code book | a list of $V$ patches; each one is a *code* | `patches` (V, 3, 4, 4) |
# | token | the number of a code, from 0 to $V - 1$ | `tokens` (B, N) |
# | dVAE, tokenizer | a network that turns pictures into tokens, and tokens into pictures | `tokenizer` |
# | logits | numbers before a softmax | `logits` |
# | $K$, $D$ | number of slots; how many numbers a slot, a query or a key has | `slots` (B, K, D) |
# | nats | the unit of a cross-entropy with natural logarithms | |
# | teacher forcing | the network sees the *true* tokens before the token that it predicts | |
# | PSNR | $-10 \log_{10}$ of the mean squared error, in decibels (dB); higher is better, and 10 dB more mean a tenth of the error | `psnr` |
# | FG-ARI | how well slots divide the objects' pixels, at most 1 ([notebook 06](06_judging_slots.ipynb)) | `fg_ari` |
# | test scenes | we report scores on them; no network was trained on them | `test` |
# | `clevr-mirror` | our set of scenes with a mirror; the paper has a similar set | `variant` |

# %% [markdown]
# ## Why tokens?
#
# In [notebook 05](05_object_discovery.ipynb), each slot painted a picture of its own, and masks put the pictures together. This works for
# simple scenes. But each slot is painted alone. So no slot can paint what depends on two objects, such as the image of an object in a
# mirror. SLATE (Singh et al. 2022) has one strong decoder instead: a *transformer* that sees all slots. A transformer writes sequences of
# words. So first we need words for pictures.
#
# Our scenes have a mirror. (The first time, this notebook renders 512 scenes. That takes about a minute.)

# %%
import torch

from smm_tutorial import checkpoints, datasets, figures
from smm_tutorial.exercises import exercise, hint, solution
from smm_tutorial.figures import show
from smm_tutorial.profiles import current_profile

profile = current_profile()
TOKENIZER = "tokenizer-clevr-mirror-laptop-seed0"
tokenizer, tokenizer_record = checkpoints.load(TOKENIZER)
size, patch = tokenizer.config.image_size, tokenizer.patch
count = min(320, 4 * profile.shown_scenes)
options = {"size": size, "variant": "clevr-mirror"}
test = datasets.load("rendered", "test", count=count, **options)
images = test.batch(slice(None)).images  # (M, 3, S, S)
figure = figures.contact_sheet_figure(test.subset(range(8)))
show(figure, alt="Eight scenes of 3 to 6 objects before a mirror, with their masks.")

# %% [markdown]
# (The right picture of each pair shows the true objects. A mirror image does not belong to its object: the masks know nothing of mirrors.)
#
# ## A code book by k-means
#
# A patch has 4 x 4 pixels, so 48 numbers. We cluster many patches by k-means, as in [notebook 01](01_em_gaussian_mixtures.ipynb). The
# means are the codes. A token of a patch is the number of the nearest mean.


# %%
def cut(pictures):
    """Pictures (M, 3, S, S) -> patches (M, N, 48), row by row."""
    return torch.nn.functional.unfold(pictures, patch, stride=patch).mT


def join(patches):
    """Patches (M, N, 48) -> pictures (M, 3, S, S)."""
    return torch.nn.functional.fold(patches.mT, size, patch, stride=patch)


train = datasets.load("rendered", "train", count=count, **options)
train_images = train.batch(slice(None)).images
assert torch.equal(join(cut(images)), images)
print(f"{len(train)} training scenes, {cut(images).shape[1]} patches in each picture")

# %% [markdown]
# **Predict first.** The pictures show few colours and soft shadows. With 8, 32, 128 and 1,024 codes: how large is the PSNR? (With 20 dB, the
# typical error of a pixel is a tenth of its range.)

# %%
from smm_tutorial.clustering import KMeans
from smm_tutorial.reconstruction import psnr

generator = torch.Generator().manual_seed(0)
points = cut(train_images).flatten(0, 1)
points = points[torch.randint(len(points), (10_000,), generator=generator)]
books = {}
for codes in (8, 32, 128, tokenizer.num_codes):
    fitted = KMeans(codes, max_iter=50, tol=0.05, random_state=0).fit(points.numpy())
    books[codes] = torch.from_numpy(fitted.cluster_centers_).float()  # (V, 48)
    nearest = torch.cdist(cut(images), books[codes]).argmin(dim=2)  # (M, N)
    painted = join(books[codes][nearest])
    error = (painted - images).square().mean().item()
    print(f"{codes:5,} codes: squared error {error:.5f}, PSNR {psnr(error):.1f} dB")

# %%
alt = "A picture, the numbers of its 144 tokens, and the picture that they paint."
nearest = torch.cdist(cut(images), books[128]).argmin(dim=2)
painted = join(books[128][nearest])
show(figures.tokens_figure(images[0], nearest[0], painted[0]), alt=alt)
patches = books[128].view(-1, 3, patch, patch)
show(
    figures.codes_figure(patches), alt="The 128 codes, patches of four by four pixels."
)

# %% [markdown]
# In the middle figure you see the number of each token, over a pale copy of the painting. The shadows and the floor need few codes. Objects and
# their edges need many codes, and there the painting is rough.
#
# Four times as many codes raise the PSNR by about 1.5 to 2 dB. More codes alone are an expensive way to a good picture. A network can do
# better with the same number of codes, because it can look at the neighbours of a patch.
#
# ## From k-means to a network
#
# Let $x$ be a patch and $c_v$ the patch of code $v$. Suppose that each code is a Gaussian cluster with the same variance $\sigma^2$ in all 48
# directions, and that all codes are equally frequent. By Bayes' rule, the probability of code $v$ is a softmax over the codes of
#
# $$-\frac{\lVert x - c_v \rVert^2}{2\sigma^2} = \frac{x \cdot c_v - \lVert c_v \rVert^2 / 2}{\sigma^2} - \frac{\lVert x \rVert^2}{2\sigma^2}.$$
#
# The last term is equal for all codes, so the softmax does not see it. What is left is *linear* in $x$. So a linear layer gives the logits
# of the codes, and k-means gives its weights. The library's tokenizer starts in this way. Its encoder adds a small network that also sees
# the neighbours of a patch. Its decoder adds another one, which can correct the seams between patches. Both begin at zero:

# %%
from smm_tutorial.networks import DiscreteVAE

fresh = DiscreteVAE(num_codes=128, channels=64, patch=patch)
fresh.set_codes(patches, spread=0.05)
same = (fresh.tokenize(images) == nearest).float().mean()
assert same > 0.999  # ties may fall either way
torch.testing.assert_close(fresh.paint(nearest), painted.clamp(0, 1))
print("an untrained tokenizer with the codes of k-means = k-means")

# %% [markdown]
# ### A choice has no gradient
#
# We want to train encoder and decoder together: paint the picture from its tokens, and lower the squared error. But a token is a *choice*.
# A small change of the logits does not change it. So the gradient of the error with respect to the logits is 0, and the encoder learns
# nothing.
#
# The dVAE samples the code of a patch from its probabilities. Gumbel noise does this: add independent Gumbel noise to each logit, and take
# the largest sum. Then code $v$ is chosen with its probability. And we can make the choice soft: a softmax of the sums instead of the
# largest one, divided by a *temperature*.


# %%
@exercise("slate.gumbel_softmax")
def gumbel_softmax(logits, uniform, temperature):
    """logits, uniform (N, V) -> relaxed samples (N, V); each row sums to 1."""
    ...


# %% [markdown]
# We check both claims. First, does the largest sum have the right probabilities? Second, does the soft sample have a gradient?

# %%
probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
logits = probabilities.log().expand(20_000, 4)
uniform = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
chosen = gumbel_softmax(logits, uniform, 1.0).argmax(dim=1)
shares = torch.bincount(chosen, minlength=4) / len(chosen)
print("probabilities", probabilities.tolist(), "shares", [f"{s:.3f}" for s in shares])

logits = probabilities.log()[None].clone().requires_grad_()
for temperature in (10.0, 1.0, 0.1, 0.01):
    sample = gumbel_softmax(logits, uniform[:1], temperature)
    (gradient,) = torch.autograd.grad(sample[0, 0], logits)
    soft = ", ".join(f"{share:.3f}" for share in sample[0].tolist())
    print(f"temperature {temperature:5}: sample {soft}; gradient {gradient.norm():.4f}")

# %% [markdown]
# The shares are near the probabilities. So the largest sum is a fair sample, at every temperature: division by a temperature does not change
# which sum is largest. The soft samples have a gradient. When the temperature falls, the sample gets harder. At 0.01, this sample is
# practically one-hot, and its gradient is practically 0.
#
# ### Explore it
#
# Cool the samples down. In JupyterLab and on Colab the next cell shows a control. On other pages, look at the three figures below it.

# %%
from smm_tutorial.networks import draw_gumbel
from smm_tutorial.widgets import sample_cooler

noise = draw_gumbel((4, 4), torch.Generator().manual_seed(3))
cooler = sample_cooler(probabilities.log(), noise, (10.0, 3.0, 1.0, 0.3, 0.1))
cooler.slider.value = 1.0  # code can move it, too
cooler.show()

# %%
for temperature in (10.0, 1.0, 0.1):
    figure = figures.relaxed_figure(probabilities.log(), noise, temperature)
    alt = "Probabilities of four codes and four relaxed samples at temperature "
    show(figure, alt=alt + f"{temperature:g}.")

# %% [markdown]
# In a hot sample every code has a share. So the decoder sees mixtures of patches, and it will never see such mixtures later. In a cold
# sample one code has nearly everything. But then the gradient is nearly 0, or it is very large near a tie. So the training begins hot and
# ends cold. The library's schedule:

# %%
from smm_tutorial.reconstruction import temperature_of_step

steps = tokenizer_record["training"]["steps"]
for step in (0, steps // 12, steps // 6, steps // 3, steps):
    print(f"step {step:5}: temperature {temperature_of_step(step, steps):.2f}")

# %% [markdown]
# ### Another way: straight-through
#
# There is a second way to get a gradient through a choice. Paint with the *hard* code, the largest entry. For the gradient, pretend that the
# one-hot code was a vector of free numbers. Then hand this gradient to the soft sample, as if the soft sample had painted. This is the
# *straight-through* estimator.


# %%
@exercise("slate.straight_through")
def straight_through(soft, book, patches):
    """soft (N, V), book (V, P), patches (N, P) -> gradient for the codes (N, V)."""
    ...


# %% [markdown]
# In torch, one line does the same: `hard + soft - soft.detach()`. Its value is `hard`, and its gradient is that of `soft`. Let us compare
# it with your function, and with the gradient of soft painting:

# %%
book, true_patches = books[8], cut(images)[0]  # (8, 48), (N, 48)
distances = torch.cdist(true_patches, book).square()  # (N, 8)
soft = (-distances / 0.1).softmax(dim=1).requires_grad_()
hard = torch.nn.functional.one_hot(soft.argmax(dim=1), len(book)).float()
gradients = {}
for name, codes in {
    "soft": soft,
    "straight-through": hard + soft - soft.detach(),
}.items():
    error = (codes @ book - true_patches).square().sum()
    (gradients[name],) = torch.autograd.grad(error, soft)
    print(f"{name:16} error {error:6.2f}, gradient {gradients[name].norm():.2f}")
by_hand = straight_through(soft.detach(), book, true_patches)
torch.testing.assert_close(by_hand, gradients["straight-through"])
print("your function = torch's gradient")

# %% [markdown]
# The straight-through gradient is not the derivative of any error. But it looks at hard codes, as the finished tokenizer will use them. The
# gradient of soft painting is a true derivative, of an error that the finished tokenizer does not have. Both are compromises. The library
# uses soft samples that cool down, as SLATE does.

# %% [markdown]
# ## The trained tokenizer
#
# The course comes with a trained tokenizer. What did the training add to k-means? The record has its scores on the test scenes. How often
# is each code used? The *perplexity* is the exponential of the entropy of the codes: the number of codes in use, if all were equally
# frequent. A code that no patch uses is *dead*.
#
# **Predict first.** The tokenizer has 1,024 codes. How large is their perplexity over 320 scenes? How many codes are dead?

# %%
from smm_tutorial.reconstruction import count_codes, evaluate_tokenizer

took = f"{tokenizer_record['step']:,} steps, {tokenizer_record['minutes']:.0f} minutes"
print(tokenizer_record["command"], f"({took})")
(kept,) = tokenizer_record["scores"]
print(f"trained, {kept['images']} test scenes: PSNR {kept['psnr']} dB", end=", ")
print(f"perplexity {kept['perplexity']}, dead codes {kept['dead_codes']}")
by_k_means = DiscreteVAE(tokenizer.num_codes, channels=8, patch=patch)
book = books[tokenizer.num_codes].view(-1, 3, patch, patch)
by_k_means.set_codes(book, spread=0.05)
for name, network in {"k-means": by_k_means, "trained": tokenizer}.items():
    here = evaluate_tokenizer(network, test)
    print(f"{name:8} on {here['images']} scenes here: PSNR {here['psnr']} dB", end=", ")
    print(f"perplexity {here['perplexity']:.0f}, dead codes {here['dead_codes']}")

# %%
shares = {}
for name, network in {"k-means": by_k_means, "trained": tokenizer}.items():
    found = network.tokenize(images).flatten()
    counts = torch.bincount(found, minlength=tokenizer.num_codes)
    shares[name] = counts / counts.sum()
alt = "The share of each code, by rank, falling over four orders of magnitude, "
show(figures.frequencies_figure(shares), alt=alt + "for k-means and the trained one.")
tokens = tokenizer.tokenize(images)  # (M, N)
with torch.no_grad():
    repainted = tokenizer.paint(tokens)
alt = "A picture, its tokens by the trained tokenizer, and the picture they paint."
show(figures.tokens_figure(images[0], tokens[0], repainted[0]), alt=alt)

# %% [markdown]
# With the same number of codes, training gains about 2 dB over k-means. The perplexity is far below 1,024: a few codes of the floor are very
# frequent, and most codes are rare. Some codes are dead. Each dead code is a wasted patch, but it does no harm. (On fewer scenes, more codes are
# unused by chance. So compare dead codes only for the same scenes.)
#
# The comparison is not quite fair: k-means here saw 10,000 patches of 256 scenes. The tokenizer began with k-means on 20,000 patches of 3,520
# scenes, and then saw 48,000 pictures.
#
# From here on the tokenizer stays as it is. All pictures and their mirror images become tokens once. No reconstruction from tokens can be
# better than the tokenizer's own.
#
# ## A transformer that reads slots
#
# A picture is now a sequence of 144 tokens, row by row. The transformer writes this sequence, one token after another. Token $n$ gets a
# probability for each code, given the slots and all tokens before it. Two kinds of attention do this:
#
# - *causal self-attention*: a token looks at earlier tokens;
# - *cross-attention*: a token looks at the slots.
#
# Both have the same form. Each token has a *query*. Each thing that it looks at has a *key* and a *value*. The dot products of query and
# keys, divided by $\sqrt{D}$, go through a softmax. The result is the mean of the values with these weights.


# %%
@exercise("slate.causal_weights")
def causal_weights(queries, keys):
    """queries, keys (N, D) -> weights (N, N); no token sees a later one."""
    ...


# %%
@exercise("slate.cross_attention")
def cross_attention(queries, keys, values):
    """queries (N, D), keys and values (K, D) -> what each token reads (N, D)."""
    ...


# %% [markdown]
# Compare cross-attention with Slot Attention ([notebook 02](02_kmeans_to_slot_attention.ipynb)). There each *input* is shared among the
# slots, so that the slots divide the picture. Here each *token* asks all slots. It may read the same slot as its neighbours do.
#
# Here is the trained network. One block of its transformer has three parts, and each part adds something to the tokens: causal
# self-attention, cross-attention to the slots, and a small network for each token. There is a LayerNorm before each part. Attention has
# four *heads*: each head works on its own quarter of the numbers, with your two functions.

# %%
TRAINED = "reconstruction-mixture-clevr-mirror-laptop-seed0"
trained, record = checkpoints.load(TRAINED)
config = trained.config
print(record["command"], f"({record['step']:,} steps, {record['minutes']:.0f} minutes)")
parts = ("encoder", "slots", "decoder", "tokenizer")
for part in parts:
    numbers = sum(p.numel() for p in getattr(trained, part).parameters())
    print(f"{part:9} {numbers:8,} parameters")


def split_heads(x):
    """(N, width) -> (heads, N, width / heads)."""
    return x.unflatten(1, (config.heads, -1)).transpose(0, 1)


def block_by_hand(block, x, slots):
    """One block for one picture: x (N, width), slots (K, slot width)."""
    normed = block.norm_tokens(x)
    queries = split_heads(block.to_tokens.to_queries(normed))
    keys, values = (
        split_heads(m) for m in block.to_tokens.to_memory(normed).chunk(2, 1)
    )
    heads = [
        causal_weights(q, k) @ v for q, k, v in zip(queries, keys, values, strict=True)
    ]
    x = x + block.to_tokens.out(torch.cat(heads, dim=1))
    queries = split_heads(block.to_slots.to_queries(block.norm_slots(x)))
    keys, values = (split_heads(m) for m in block.to_slots.to_memory(slots).chunk(2, 1))
    heads = [cross_attention(*h) for h in zip(queries, keys, values, strict=True)]
    x = x + block.to_slots.out(torch.cat(heads, dim=1))
    return x + block.mlp(block.norm_mlp(x))


# %% [markdown]
# (`to_memory` makes keys and values at once.) The whole decoder: embed the token *before* each place, add the place's own numbers, go
# through the blocks, and compute logits. The token before the first one is a special token with the number $V$. With the trained
# parameters, this must give the same logits as the library:


# %%
def decode_by_hand(decoder, tokens, slots):
    """tokens (N,), slots (K, slot width) -> logits (N, V) of every token."""
    before = torch.cat([torch.tensor([config.num_codes]), tokens[:-1]])
    x = decoder.embed(before) + decoder.positions  # (N, width)
    memory = decoder.norm_memory(slots)
    for block in decoder.blocks:
        x = block_by_hand(block, x, memory)
    return decoder.to_logits(decoder.norm(x))


few = images[:16]
start = trained.start_noise(len(few), torch.Generator().manual_seed(0))
with torch.no_grad():
    output = trained(few, noise=start)
    slots = trained.read(output.slot_output)  # (B, K, slot width)
    by_hand = decode_by_hand(trained.decoder, output.tokens[0], slots[0])
torch.testing.assert_close(by_hand, output.logits[0], atol=1e-4, rtol=1e-4)
print(f"slots {tuple(slots.shape)}, logits {tuple(output.logits.shape)}: as by hand")

# %% [markdown]
# Where do the slots come from? In SLATE the slot module clusters the *tokens* of the picture: each token becomes a vector, its place is
# added, and the slot module of [notebook 03](03_slot_mixture_module.ipynb) divides the 144 vectors among its slots. So nothing but tokens
# goes in, and nothing but tokens comes out.
#
# ## Teacher forcing
#
# The loss is the cross-entropy of each true token, given the true tokens before it. All tokens of a picture train at once: the mask keeps
# the future out. To judge a loss, compare it with two simple answers: all codes equally probable, and the frequencies of the codes.
#
# **Predict first.** Which share of the loss can the transformer save without any slots, only from the tokens before? And how much
# more with slots?

# %%
from torch.nn.functional import cross_entropy

from smm_tutorial import reconstruction, results

frequency = torch.bincount(tokens.flatten(), minlength=config.num_codes) + 1.0
frequency = frequency / frequency.sum()
(scores,) = record["scores"]
unconditional = results.read_record(
    "reconstruction-variant-no-slots-mixture-clevr-mirror-laptop-steps2000-seed0"
)
print(f"all codes equally probable: {torch.tensor(config.num_codes).log():.3f} nats")
print(f"the codes' frequencies:     {-frequency[tokens].log().mean():.3f} nats")
print(f"earlier tokens, no slots:   {unconditional['scores'][0]['nats']:.3f} nats")
print(f"earlier tokens and slots:   {scores['nats']:.3f} nats")

# %% [markdown]
# LOSSTEXT
#
# ### Two changes that help
#
# *Hidden tokens.* The tokens before a token tell much about it. So the transformer learns local patterns first, and it may never learn to
# read the slots. Then the generated picture is a plausible picture of *another* scene. Bowman et al. (2016) found the same with sentences.
# Their remedy: in training, hide some of the earlier tokens at random. We hide half of them. A hidden token looks like the special token with
# the number $V$.
#
# *Two learning rates.* The transformer needs a large learning rate here. With this rate, the slots change so fast that one slot soon
# takes the whole picture. So encoder and slots learn at a quarter of the rate. Below, the runs `none-hidden` and `one-rate` show what happens
# without these changes.
#
# Let us watch the first steps of a training. We build an untrained network around the tokenizer. Its slots, its encoder and its transformer
# learn together. The tokenizer stays fixed.

# %%
small = reconstruction.build_model(config, tokenizer, seed=0)  # not yet trained
slow = [*small.encoder.parameters(), *small.slots.parameters()]
groups = [{"params": slow, "lr": 6e-4}, {"params": small.decoder.parameters()}]
optimiser = torch.optim.Adam(groups, lr=2.4e-3)
train_tokens = tokenizer.tokenize(train_images)  # once, for the whole training
random = torch.Generator().manual_seed(0)
live_steps = profile.shown_scenes  # 64 on a laptop
for step in range(live_steps):
    chosen = torch.randint(len(train), (16,), generator=random)
    start = small.start_noise(16, random)
    told = train_tokens[chosen]
    hidden = torch.rand(told.shape, generator=random) < 0.5
    logits = small(train_images[chosen], noise=start, tokens=told, hidden=hidden).logits
    loss = cross_entropy(logits.flatten(0, 1), told.flatten())
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % (live_steps // 4) == 0 or step == live_steps - 1:
        print(f"step {step:3}: {loss:.3f} nats")

# %% [markdown]
# The long run of the trained network went the same way. Its record has the scores on the validation scenes after every few steps:

# %%
log = record["validation"]
steps = [entry["step"] for entry in log]
without_slots = unconditional["validation"][-1]["nats"]
curves = {
    "with slots": [entry["nats"] for entry in log],
    f"no slots, after {unconditional['step']:,} steps": [without_slots] * len(log),
}
figure = figures.curves_figure(steps, curves, "training step", "nats per token")
show(figure, alt="Nats per token on validation scenes fall with the training steps.")
for entry in log[::2]:
    print(f"step {entry['step']:,}: FG-ARI {entry['fg_ari']:.2f}")

# %% [markdown]
# CURVETEXT
#
# ## Generation
#
# To rebuild a picture from slots alone, the network must use its *own* tokens: choose the first token, feed it back, choose the second
# one, and so on. If the network computes all tokens anew in each of 144 steps, it repeats nearly everything. But keys and values of
# earlier tokens do not change, since no token sees a later one. So we keep them.


# %%
@exercise("slate.attend_next")
def attend_next(query, key, value, kept_keys, kept_values):
    """One more token: query, key, value (D,), kept (n, D) -> result (D,), all kept."""
    ...


# %% [markdown]
# Token after token, this gives the rows of the causal attention:

# %%
queries, keys, values = torch.randn(3, 6, 8, generator=generator)
kept_keys = kept_values = torch.empty(0, 8)
rows = []
for step in zip(queries, keys, values, strict=True):
    row, kept_keys, kept_values = attend_next(*step, kept_keys, kept_values)
    rows.append(row)
expected = causal_weights(queries, keys) @ values
torch.testing.assert_close(torch.stack(rows), expected)
print("one token after another = all tokens with a mask")

# %%
import time


@torch.no_grad()
def generate_slowly(decoder, slots):
    """Computes all tokens anew for each new token."""
    found = torch.zeros(len(slots), decoder.length, dtype=torch.long)
    for place in range(decoder.length):
        found[:, place] = decoder(found, slots)[:, place].argmax(dim=1)
    return found


began = time.perf_counter()
slowly = generate_slowly(trained.decoder, slots)
between = time.perf_counter()
generated = trained.decoder.generate(slots)
ended = time.perf_counter()
assert (generated == slowly).float().mean() > 0.99
print(
    f"{len(slots)} pictures: anew {between - began:.2f} s, kept {ended - between:.2f} s"
)

# %% [markdown]
# The result is the same, and it is there much sooner. To generate all tokens anew costs a number of operations that grows with $N^3$, and
# with kept keys and values with $N^2$. (Each new token looks at all earlier tokens, so $N^2$ is the least here.)
#
# ### How good are the pictures?
#
# The figure has one row for each scene: the picture; what the tokenizer can do at best; the most probable tokens with teacher forcing; the
# picture that was generated from seven slots alone; and the slots' responsibilities for the tokens.

# %%
shown = 6
with torch.no_grad():
    forced = trained.tokenizer.paint(output.logits.argmax(dim=2))
    rebuilt = trained.tokenizer.paint(generated)
owners = output.slot_output.responsibilities.argmax(dim=2)  # (B, N)
owners = owners.unflatten(1, (config.side, config.side))
rows = [
    [
        *(figures.to_picture(one[n]) for one in (few, repainted, forced, rebuilt)),
        figures.slot_map(owners[n]),
    ]
    for n in range(shown)
]
titles = ["picture", "tokenizer", "forced", "generated", "slots"]
alt = "Six test scenes; beside each its picture painted from true tokens, from tokens "
alt += "predicted with teacher forcing, generated from slots, and the slots' regions."
show(figures.picture_rows_figure(rows, titles), alt=alt)
for name in ("tokenizer", "teacher_forced", "generated"):
    print(
        f"{name:15} PSNR {scores[name]['psnr']:.1f} dB, {scores['images']} test scenes"
    )
print(f"FG-ARI of the slots {scores['fg_ari']:.3f}, mBO {scores['mbo']:.3f}")

# %% [markdown]
# The generated pictures show the right colours at about the right places. They lose the sharp forms, and sometimes a small object. Even the
# mirror has its frame and its mirror images. Teacher forcing looks better, and its PSNR is higher: with true tokens before it, a token is
# easy. Only the generated pictures tell what the slots hold.
#
# The slots do not cut the objects out. Each slot takes one object *and* a part of the floor around it. FG-ARI does not see this, because it
# looks only at the pixels of objects. mBO sees it, and it is low ([notebook 06](06_judging_slots.ipynb)).
#
# ## Why one after another?
#
# A simpler decoder predicts all tokens at once: no token sees another token. For example, an MLP (a network of linear layers and ReLUs) can
# read each slot at each place, as the decoder of notebook 05 did. The slots share every place by a softmax. We train such an MLP here, on
# the slots of the trained network. The slots stay fixed.


# %%
class SlotMLP(torch.nn.Module):
    """Slots (B, K, width) -> logits (B, N, V): no token sees another token."""

    def __init__(self, width, places, codes, hidden=192):
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.read = torch.nn.Linear(width, hidden)
        self.place = torch.nn.Parameter(torch.randn(places, hidden))
        self.mix = torch.nn.Linear(hidden, hidden)
        self.share = torch.nn.Linear(hidden, 1)
        self.out = torch.nn.Linear(hidden, codes)

    def forward(self, slots):
        x = self.read(self.norm(slots))[:, :, None] + self.place  # (B, K, N, hidden)
        x = x + self.mix(x.relu()).relu()
        shares = self.share(x).softmax(dim=1)  # of the slots, at each place
        return self.out((shares * x).sum(dim=1))


@torch.no_grad()
def find_slots(pictures):
    starts = trained.start_noise(len(pictures), torch.Generator().manual_seed(0))
    return trained.read(trained.find_slots(pictures, noise=starts))


# %%
train_slots = torch.cat([find_slots(part) for part in train_images.split(64)])
mlp = SlotMLP(slots.shape[2], trained.decoder.length, config.num_codes)
optimiser = torch.optim.Adam(mlp.parameters(), lr=2e-3)
began = time.perf_counter()
for _ in range(6 * profile.shown_scenes):  # 384 on a laptop
    chosen = torch.randint(len(train), (16,), generator=random)
    logits = mlp(train_slots[chosen])
    loss = cross_entropy(logits.flatten(0, 1), train_tokens[chosen].flatten())
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"{time.perf_counter() - began:.0f} s, loss {loss:.3f} nats in the last step")

# %% [markdown]
# **Predict first.** Both decoders paint six test scenes from the same slots. Once each decoder takes the most probable tokens, and once it
# samples the tokens by their probabilities. Which decoder makes better pictures in each case?

# %%
with torch.no_grad():
    mlp_logits = mlp(slots)  # (B, N, V)
    seeded = torch.Generator().manual_seed(0)
    noise = draw_gumbel(tuple(mlp_logits.shape), seeded)
    kinds = {
        "picture": few,
        "MLP": tokenizer.paint(mlp_logits.argmax(dim=2)),
        "transformer": rebuilt,
        "MLP, sampled": tokenizer.paint((mlp_logits + noise).argmax(dim=2)),
        "tr., sampled": trained.rebuild(slots, temperature=1.0, generator=seeded),
    }
rows = [[figures.to_picture(one[n]) for one in kinds.values()] for n in range(6)]
alt = "Six scenes, painted from the same slots by an MLP and by the transformer, with "
show(
    figures.picture_rows_figure(rows, list(kinds)), alt=alt + "best and sampled tokens."
)
for name, painted in kinds.items():
    if name != "picture":
        error = (painted - few).square().mean().item()
        print(f"{name:13} PSNR {psnr(error):.1f} dB on {len(few)} scenes")

# %% [markdown]
# From the same slots, the transformer paints better pictures than the MLP, in both cases. The MLP chooses each token on its own. Where it is
# not sure of a border, it mixes tokens that do not fit each other. This is worst when tokens are sampled. The transformer knows which tokens
# it has chosen before. So it decides once, and goes on from there.
#
# The MLP here learned for less than a minute, on fixed slots. A fair comparison trains slots and decoder together. Here are runs of the
# recipe where only one thing differs:
#
# | name | what is different |
# | --- | --- |
# | `complete` | nothing |
# | `no-slots` | the transformer reads no slots |
# | `untrained-slots` | encoder and slots keep their first weights, which cluster similar patches |
# | `one-rate` | encoder and slots learn as fast as the transformer |
# | `none-hidden` | no token is hidden in training |
# | `all-at-once` | no token sees another token |

# %%
from IPython.display import Markdown

Markdown(reconstruction.ablation_table())

# %% [markdown]
# ABLATIONTEXT
#
# ## Which slot does a token look at?
#
# The attention of the last block tells how much each token looks at each slot (the mean over four heads). Compare it with the slots' own
# responsibilities in the figure above.

# %%
with torch.no_grad():
    looks = trained.decoder.look(output.tokens, slots)  # (B, N, K)
for n in range(2):
    alt = (
        "A scene, and for each of seven slots a map of how much each token looks at it."
    )
    show(figures.looks_figure(few[n], looks[n]), alt=alt)
agree = (
    looks.argmax(dim=2) == output.slot_output.responsibilities.argmax(dim=2)
).float()
print(
    f"most attended slot = most responsible slot for {agree.mean():.0%} of the tokens"
)

# %% [markdown]
# Most tokens look at the slot that was responsible for them. Nobody told the transformer to do this: it only had to predict tokens. Most
# attention is sharp. Tokens near a border look at two slots.
#
# ## Operate on slots
#
# **Predict first.** We take one slot away from a scene, and generate the picture from the other six. What will stand in its place? Then
# we replace a slot by a slot of another scene. Where will the new object stand?

# %%
areas = torch.nn.functional.one_hot(owners.flatten(1), config.num_slots).sum(dim=1)
without_ground = areas.clone()
without_ground.scatter_(1, areas.argmax(dim=1, keepdim=True), 0)
victims = without_ground.argmax(dim=1)  # (B,), the largest slot beside the ground
kept = torch.ones(len(few), config.num_slots, dtype=torch.bool)
kept[torch.arange(len(few)), victims] = False
fewer = slots[kept].view(len(few), config.num_slots - 1, -1)
swapped = slots.clone()
swapped[torch.arange(len(few)), victims] = slots.roll(1, 0)[
    torch.arange(len(few)), victims.roll(1)
]
pictures = [
    rebuilt,
    trained.rebuild(fewer),
    trained.rebuild(swapped),
    rebuilt.roll(1, 0),
]
rows = [[figures.to_picture(one[n]) for one in pictures] for n in range(1, 6)]
titles = ["generated", "one slot less", "a slot of...", "...this scene"]
alt = (
    "Five scenes: generated, without one slot, with a slot of another scene, and that "
)
show(figures.picture_rows_figure(rows, titles), alt=alt + "other scene.")

# %% [markdown]
# OPERATETEXT
#
# ## Watch a picture grow
#
# Move the slider: the picture grows row by row. Below stand three of its frames. The second picture is *sampled*: each token is drawn from
# its probabilities (temperature 1). The third picture is sampled with the temperature 3.

# %%
from smm_tutorial.widgets import picture_grower

one = slots[:1]
kinds = [trained.rebuild(one)]
for temperature in (1.0, 3.0):
    seeded = torch.Generator().manual_seed(0)
    kinds.append(trained.rebuild(one, temperature=temperature, generator=seeded))
grown = [picture[0] for picture in kinds]
grower = picture_grower(grown, trained.decoder.length)
grower.slider.value = 72
grower.show()

# %%
for done in (36, 90, 144):
    figure = figures.growing_figure(grown, done, trained.decoder.length)
    alt = (
        f"Three pictures after {done} of 144 tokens: greedy, sampled with temperature "
    )
    show(figure, alt=alt + "1, and sampled with temperature 3.")

# %% [markdown]
# GROWTEXT
#
# ## When it fails
#
# **One slot takes too much.** Let us compute the FG-ARI of each test scene, and look at the three worst scenes.

# %%
from smm_tutorial import metrics

every_owner = []
with torch.no_grad():
    for part in images.split(64):
        starts = trained.start_noise(len(part), torch.Generator().manual_seed(0))
        found = trained.find_slots(part, noise=starts).responsibilities.argmax(dim=2)
        every_owner.append(metrics.enlarge_owners(found, size))
owners_of_pixels = torch.cat(every_owner)  # (M, S, S)
counts = metrics.count_table(test.masks, owners_of_pixels)
indices = metrics.SEGMENTATION_METRICS["fg_ari"](counts)
worst = indices.argsort()[:3].tolist()
worst_pictures = trained.rebuild(find_slots(images[worst]))
rows = [
    [
        figures.to_picture(images[n]),
        figures.label_map(test.masks[n]),
        figures.slot_map(owners_of_pixels[n]),
        figures.to_picture(rebuilt_one),
    ]
    for n, rebuilt_one in zip(worst, worst_pictures, strict=True)
]
titles = ["picture", "true objects", "slots", "generated"]
alt = "The three test scenes with the lowest FG-ARI: picture, masks, slots, generated."
show(figures.picture_rows_figure(rows, titles), alt=alt)
print(
    "FG-ARI", [round(indices[n].item(), 2) for n in worst], f"mean {indices.mean():.2f}"
)

# %% [markdown]
# FAILTEXT
#
# **Codes die.** What happens if the code book starts with random numbers, and not with the means of k-means? Here is the record of such a
# tokenizer. Everything else is as in the recipe.

# %%
Markdown(reconstruction.tokenizer_table())

# %% [markdown]
# DEADTEXT
#
# **Too hot.** The last picture of the row above was sampled with temperature 3. At this temperature, improbable codes get chosen
# often. And one wrong token misleads all later tokens, since later tokens see it.
#
# ## SMM against Slot Attention
#
# The paper claims that SLATE reconstructs better with SMM than with Slot Attention. Here is the state of our own comparison, made from the
# records of runs:

# %%
Markdown(reconstruction.comparison_report())

# %% [markdown]
# The records also hold the generated tokens of six test scenes. So we can paint the same scenes from the slots of all seeds:

# %%
columns = {"picture": images[:6]}
for group in results.read_groups("reconstruction"):
    if group.setting.data == "clevr-mirror":
        for seed, run in enumerate(group.records):
            kept = results.find_scores(run, "clevr-mirror")
            generated = reconstruction.read_tokens(kept["generated_tokens"])
            name = {"mixture": "SMM", "attention": "SA"}[group.contestant]
            columns[f"{name}, seed {seed}"] = tokenizer.paint(generated)
rows = [[figures.to_picture(one[n]) for one in columns.values()] for n in range(6)]
alt = "Six test scenes, generated from the slots of three seeds of SMM and three of "
show(figures.picture_rows_figure(rows, list(columns)), alt=alt + "Slot Attention (SA).")

# %%
Markdown(reconstruction.search_table())

# %%
Markdown(reconstruction.distance_table())

# %% [markdown]
# COMPARISONTEXT
#
# ## Summary
#
# - Tokens are clusters of patches. k-means gives a code book, and the logits of a Gaussian mixture with equal variances are linear.
# - A choice has no gradient. Gumbel noise and a softmax make a soft choice, which has one. Cool it down during training.
# - Causal attention trains all tokens at once. Keys and values of earlier tokens do not change, so generation keeps them.
# - SLATE's slots cluster tokens, and a transformer writes the tokens again. Its slots are judged by generated pictures, not by teacher
#   forcing.
#
# ## Further reading
#
# - [Singh, Deng and Ahn 2022](https://arxiv.org/abs/2110.11405): *Illiterate DALL-E learns to compose*, SLATE itself.
# - [Kirilenko et al. 2024](https://arxiv.org/abs/2311.04640): SMM in place of Slot Attention in SLATE.
# - [Ramesh et al. 2021](https://arxiv.org/abs/2102.12092): the discrete VAE, and a transformer that paints what a text says.
# - [Bowman et al. 2016](https://arxiv.org/abs/1511.06349): hidden words, so that a decoder reads its code.
# - [Jang, Gu and Poole 2017](https://arxiv.org/abs/1611.01144): the Gumbel softmax.
# - [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762): attention, masks and heads.
# - [Chang, Griffiths and Levine 2022](https://arxiv.org/abs/2207.00787): why the gradient through the last iteration alone trains
#   SLATE more stably.
