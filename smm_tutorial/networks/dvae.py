"""The discrete variational autoencoder (dVAE): images become grids of tokens, and images again.

A token is the number of a code in a code book. Source: Ramesh et al. 2021 (arXiv 2102.12092). The
patches of 4 x 4 pixels are those of SLATE (Singh et al. 2022, arXiv 2110.11405).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from smm_tutorial.arguments import check_above_zero, check_sizes
from smm_tutorial.networks.encoders import check_images
from smm_tutorial.tensors import check_floats


def draw_gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draws noise from the Gumbel distribution -> a tensor of this shape on the generator's device.

    The argmax of log probabilities plus this noise is a sample of these probabilities.
    """
    uniform = torch.rand(shape, generator=generator, device=generator.device)
    return -(-uniform.clamp_min(1e-20).log()).clamp_min(1e-20).log()


def gumbel_softmax(logits: Tensor, noise: Tensor, temperature: float, dim: int = 1) -> Tensor:
    """Relaxes samples of a categorical distribution (Jang et al. 2017, arXiv 1611.01144).

    logits: any shape, with the categories in `dim`. noise: Gumbel noise of the same shape.
    temperature: near 0, the result is nearly one-hot; above 1, it is nearly uniform.

    Returns numbers that sum to 1 over `dim`. Raises `ValueError` for a temperature that is not
    above 0.
    """
    return ((logits + noise) / check_above_zero("temperature", temperature)).softmax(dim)


class DiscreteVAE(nn.Module):
    """Images `(B, 3, S, S)` in [0, 1] <-> tokens `(B, N)`, one per patch, N = (S / patch)^2.

    The encoder is a linear map of each patch, plus a small network that also sees the neighbours.
    The decoder paints the patch of each code, plus a small network that sees the neighbours. Both
    networks start at zero. So with `set_codes` the untrained dVAE is vector quantisation: a patch
    gets the code with the nearest patch.

    Args:
        num_codes: V, the size of the code book.
        channels: width of the two networks.
        patch: pixels per side of a patch.

    Raises:
        ValueError: a size that is not a whole number of at least 1. In the methods: images or codes
            of a wrong type or shape.
    """

    def __init__(self, num_codes: int = 128, channels: int = 64, patch: int = 4):
        super().__init__()
        sizes = check_sizes(num_codes=num_codes, channels=channels, patch=patch)
        self.num_codes, channels, self.patch = sizes
        self.to_logits = nn.Conv2d(3, num_codes, patch, stride=patch)
        self.refine_logits = nn.Sequential(
            nn.Conv2d(3, channels, patch, stride=patch),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, num_codes, 1),
        )
        self.to_patch = nn.Conv2d(num_codes, 3 * patch**2, 1)
        self.refine_patch = nn.Sequential(
            nn.Conv2d(num_codes, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 3 * patch**2, 1),
        )
        for last in (self.refine_logits[-1], self.refine_patch[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    @torch.no_grad()
    def set_codes(self, patches: Tensor, spread: float) -> None:
        """Sets the patch of each code, and the logits of a Gaussian mixture around these patches.

        patches: `(V, 3, patch, patch)`. spread: the standard deviation of a pixel around its code.
        """
        shape = (self.num_codes, 3, self.patch, self.patch)
        if tuple(patches.shape) != shape:
            raise ValueError(f"patches must be {shape}, got {tuple(patches.shape)}")
        variance = check_above_zero("spread", spread) ** 2
        # log N(x | c, s^2) = (x c - c^2 / 2) / s^2 + what is the same for every code
        self.to_logits.weight.copy_(patches / variance)
        self.to_logits.bias.copy_(-patches.square().sum(dim=(1, 2, 3)) / (2 * variance))
        self.to_patch.weight.copy_(patches.flatten(1).T[:, :, None, None])
        self.to_patch.bias.zero_()

    def forward(self, images: Tensor, noise: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """Encodes images, relaxes one sample of the codes per patch, and paints the images.

        noise: Gumbel noise `(B, V, S / patch, S / patch)`. temperature: see `gumbel_softmax`.

        Returns the painted images `(B, 3, S, S)` and the relaxed codes, in the shape of the noise.
        """
        codes = gumbel_softmax(self.encode(images), noise, temperature)
        return self.decode(codes), codes

    def encode(self, images: Tensor) -> Tensor:
        """Computes the logits of the codes for each patch -> `(B, V, S / patch, S / patch)`."""
        side = images.shape[-1] if isinstance(images, Tensor) and images.ndim else 0
        check_images(images, side, self.to_logits.weight)
        if side % self.patch:
            raise ValueError(
                f"images must have a multiple of {self.patch} pixels per side, got {side}"
            )
        return self.to_logits(images) + self.refine_logits(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Paints an image -> `(B, 3, S, S)`. The numbers may lie a little outside [0, 1].

        codes: `(B, V, S / patch, S / patch)`, one-hot or relaxed; they sum to 1 over V.
        """
        check_floats("codes", codes, self.to_patch.weight)
        return functional.pixel_shuffle(self.to_patch(codes) + self.refine_patch(codes), self.patch)

    @torch.no_grad()
    def tokenize(self, images: Tensor) -> Tensor:
        """Chooses the most probable code of each patch -> integers `(B, N)`, row by row."""
        return self.encode(images).argmax(dim=1).flatten(1)

    def paint(self, tokens: Tensor) -> Tensor:
        """Paints the image of tokens `(B, N)` -> `(B, 3, S, S)` in [0, 1]."""
        side = round(tokens.shape[1] ** 0.5)
        if tokens.ndim != 2 or side**2 != tokens.shape[1]:
            raise ValueError(
                f"tokens must be (batch, N) of a square grid, got {tuple(tokens.shape)}"
            )
        one_hot = functional.one_hot(tokens, self.num_codes).to(self.to_patch.weight.dtype)
        codes = one_hot.mT.unflatten(2, (side, side))  # (B, V, S / patch, S / patch)
        return self.decode(codes).clamp(0, 1)
