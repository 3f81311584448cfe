"""What the tests of the slot modules share: modules without neural parts, inputs, starts."""

import numpy as np
import torch

from smm_tutorial.slots import SlotAttention, SlotMixture

MODULES = [SlotAttention, SlotMixture]
#: In these a softmax over slots of dot products cancels what is added to every query.
CANCELS_QUERY_BIAS = [SlotAttention]
STARTS = ["shared", "per_slot", "background"]
#: Options that leave nothing neural.
PLAIN = {"projections": "identity", "normalisation": "none", "update": "none"}


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def from_noise(module):
    """The module with starts at exactly the noise it is given."""
    with torch.no_grad():
        module.start.mean.zero_()
        module.start.log_scale.zero_()
    return module


def blobs(seed=0, num_points=300, dim=3, clusters=4):
    """Points `(N, D)` around `clusters` centres, and a start `(K, D)` near them; numpy, float64."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim)) * 3
    scales = rng.uniform(0.3, 1.0, size=(clusters, dim))
    labels = rng.integers(clusters, size=num_points)
    points = centres[labels] + rng.normal(size=(num_points, dim)) * scales[labels]
    return points, centres + rng.normal(size=centres.shape)


def tensors_of(out):
    tensors = (out.slots, out.responsibilities, out.means, out.variances, out.weights)
    return [tensor for tensor in tensors if tensor is not None]
