"""The authors' released set predictor, rebuilt from our modules. It gives the authors' outputs.

The weights are the file `e725.pth` of the authors' repository (github.com/AIRI-Institute/smm,
revision 0c724f6). The file has no licence, so it is not part of this course. Readers who have the
file can load it here. Only numbers are read from the file; code in the file never runs.

The release differs from the paper. `ReleasedSlotMixture` has the differences inside the iterations.
`ReleasedSlots` has two more: a transformer computes the slots' start from the image, by updating
two tokens together with the inputs. And an MLP computes the final slots from means and log standard
deviations.
"""

import math
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from smm_tutorial import paths
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.networks.encoders import ConvEncoder, check_images
from smm_tutorial.networks.image_range import check_unit_range
from smm_tutorial.set_prediction.model import SetHeads, SetPrediction
from smm_tutorial.slots.base import SlotOutput, in_full_precision
from smm_tutorial.slots.mixture import Projected, SlotMixture, log_joint
from smm_tutorial.slots.starts import check_noise

IMAGE_SIZE = 128
STRIDE = 4
DIM = 64
MLP_DIM = 128
NUM_SLOTS = 10
NUM_STEPS = 8  # the setting says 7; the released code runs one more
HEADS = 4  # of the transformer
LAYERS = 2  # of the transformer
RELEASED_OPTIONS = {
    "content": "mean",
    "weights": "fixed",
    "gradient": "last",
    "variance_floor": 1e-8,
}
LEAST_CLOSENESS = 1e-8  # added to exp(-distance)
MOST_BYTES = 8 * 2**20  # of a file, packed and unpacked; the release has 2.6 MB
MOST_PICKLE_BYTES = 2**18  # of its names and shapes; the release has 15 KB
REMEDY = "fetch e725.pth (2.6 MB) anew from github.com/AIRI-Institute/smm"

#: Prefixes of tensor names: the file's -> ours.
RENAMED = {
    "encoder_cnn.layers.": "encoder.convolutions.",
    "encoder_pos.linear.": "encoder.embed_positions.",
    "layer_norm.": "encoder.head.0.",
    "mlp.0.": "encoder.head.1.",
    "mlp.2.": "encoder.head.3.",
    "slot_attention.mu_init.": "slots.start.mean.",
    "slot_attention.sigma_init.": "slots.start.log_scale.",
    "slot_attention.transf.norm.": "slots.start.norm.",
    "slot_attention.transf.transformer_blocks.": "slots.start.blocks.",
    "slot_attention.norm_input.": "slots.mixture.norm_inputs.",
    "slot_attention.norm_slots.": "slots.mixture.norm_means.",
    "slot_attention.to_k.": "slots.mixture.to_keys.",
    "slot_attention.to_v.": "slots.mixture.to_values.",
    "slot_attention.to_q.": "slots.mixture.to_queries.",
    "slot_attention.gru_mu.": "slots.mixture.update.gru.",
    "slot_attention.norm_mu.": "slots.mixture.update.norm.",
    "slot_attention.mlp_mu.": "slots.mixture.update.mlp.",
    "slot_attention.mlp_out.": "slots.read_out.",
    "mlp_coords.": "heads.coordinates.",
    "mlp_prop.": "heads.properties.",
}
#: The same, inside a block of the transformer.
RENAMED_IN_BLOCKS = {".to_out.0.": ".out.", ".ff.net.0.0.": ".mlp.0.", ".ff.net.2.": ".mlp.2."}
#: A buffer that our checkpoints do not hold; the authors' grid ends in the pixels' corners.
POSITIONS = "encoder.positions"
FIRST_LAYER = "encoder.convolutions.0.weight"
UNUSED = ("quantizer.", "coord_quantizer.")  # left over from another experiment of the authors


def released_path() -> Path:
    """Where the notebooks look for the authors' file. The file need not exist."""
    return paths.downloads_dir() / "official_smm" / "e725.pth"


def load_released(path: str | Path) -> "ReleasedSetPredictor":
    """The released set predictor, in eval mode, from the authors' file at `path`.

    Raises:
        CheckpointError: the file is missing or damaged, holds anything but tensors (no code in it
            runs), or holds other tensors than the release. The message names the file and the
            remedy.
    """
    path = Path(path)
    predictor = ReleasedSetPredictor()
    tensors = _rename_tensors(_read_tensors(path))
    expected = predictor.state_dict() | {POSITIONS: predictor.encoder.positions}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    different = sorted({name for name, _ in shapes.items() ^ wanted.items()})
    if different:
        first = different[0]
        raise CheckpointError(
            f"{path} does not hold the released set predictor: at {first} it has "
            f"{shapes.get(first, 'nothing')}, expected {wanted.get(first, 'nothing')} "
            f"({len(different)} tensors differ): {REMEDY}"
        )
    if broken := [name for name, tensor in tensors.items() if not tensor.float().isfinite().all()]:
        raise CheckpointError(
            f"{path} is damaged: {broken[0]} holds numbers that are not finite: {REMEDY}"
        )
    # Our encoder stretches images to [-2, 2], theirs to [-1, 1].
    tensors[FIRST_LAYER] = tensors[FIRST_LAYER] / 2
    predictor.encoder.positions.copy_(tensors.pop(POSITIONS))
    predictor.load_state_dict(tensors)
    return predictor.eval()


class ReleasedSetPredictor(nn.Module):
    """The released network: a `SetPredictor` whose slots are `ReleasedSlots`.

    It is for inference only: the dropout of the release is left out.
    """

    def __init__(self):
        super().__init__()
        self.encoder = ConvEncoder(IMAGE_SIZE, DIM, STRIDE, convolutions="paper")
        self.slots = ReleasedSlots()
        self.heads = SetHeads(DIM, DIM)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """images `(B, 3, 128, 128)` in [0, 1] -> predictions `(B, 10, 19)`, in the order of
        `set_targets`.
        """
        return self.predict(images, noise).predictions

    def predict(
        self, images: Tensor, noise: Tensor | None = None, *, return_history: bool = False
    ) -> SetPrediction:
        """Predictions and the slots behind them.

        noise: `(B, 10, 128)`, for means and log standard deviations; drawn if not given.

        Raises:
            ValueError: images or noise of another type or shape, or images beyond [0, 1].
        """
        check_images(images, IMAGE_SIZE, self.encoder.embed_positions.weight)
        check_unit_range(images)
        slot_output = self.slots(self.encoder(images), noise, return_history=return_history)
        return SetPrediction(self.heads(slot_output.slots), slot_output)

    def start_noise(self, batch: int, generator: torch.Generator) -> Tensor:
        """Noise `(B, 10, 128)` on the model's device. A seed gives equal noise on all devices."""
        shape = (batch, NUM_SLOTS, 2 * DIM)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        return noise.to(next(self.parameters()).device)


class ReleasedSlotMixture(SlotMixture):
    """`SlotMixture` with the iterations of the released code, for its weights and for comparison.

    It differs from the paper in four points:
    - density: exp(-(squared distance in units of the variance) / sqrt(D)) + 1e-8. There is no
      determinant, the factor is D^-1/2 instead of 1/2, and every closeness has a floor.
    - query: means and log standard deviations together pass one LayerNorm, and then the same
      projection. The neural update starts from the normalised means.
    - `weights="fixed"`: the released code normalises the responsibilities over inputs before it
      sums them. Each weight is therefore 1/K in every iteration.
    - `gradient="last"`. The release also runs one iteration more than its setting says.

    Sizes and options are those of `SlotMixture` except `density`. Defaults are `RELEASED_OPTIONS`.
    """

    def __init__(self, *sizes: int, **options):
        if "density" in options:
            raise TypeError("ReleasedSlotMixture has a density of its own: leave density out")
        super().__init__(*sizes, **RELEASED_OPTIONS | options)
        if isinstance(self.norm_means, nn.LayerNorm):
            self.norm_means = nn.LayerNorm(2 * self.slot_dim)

    def queries(self, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, the variances about them, normalised means: `(B, K, D)` each."""
        log_scales = 0.5 * variances.log().to(means)  # (B, K, D), log standard deviations
        joint = self.norm_means(torch.cat([means, log_scales], dim=2))  # (B, K, 2 D)
        means, log_scales = joint.chunk(2, dim=2)  # (B, K, D) each
        return self.to_queries(means), (2 * self.to_queries(log_scales)).exp(), means

    @in_full_precision
    def e_step(
        self, queries: Tensor, keys: Projected, variances: Tensor, log_weights: Tensor
    ) -> Tensor:
        """Log responsibilities `(B, K, N)`, normalised over slots."""
        precisions = 2 / math.sqrt(self.slot_dim) * variances.reciprocal()  # (B, K, D)
        logits = log_joint(queries, keys, precisions, 0.0, log_weights)  # (B, K, N)
        floor = log_weights[..., None] + math.log(LEAST_CLOSENESS)  # (B, K, 1)
        return torch.logaddexp(logits, floor).log_softmax(dim=1)


class ReleasedSlots(nn.Module):
    """The released slots: `ImageStart`, then `ReleasedSlotMixture`, then an MLP that gives slots of
    D.
    """

    def __init__(self):
        super().__init__()
        self.start = ImageStart()
        self.mixture = ReleasedSlotMixture(NUM_SLOTS, DIM, DIM, NUM_STEPS, MLP_DIM)
        self.mixture.start = self.mixture.start_log_variance = None  # the start is always given
        self.read_out = nn.Sequential(
            nn.Linear(2 * DIM, 2 * MLP_DIM), nn.ReLU(), nn.Linear(2 * MLP_DIM, DIM)
        )

    def forward(
        self, inputs: Tensor, noise: Tensor | None, *, return_history: bool = False
    ) -> SlotOutput:
        """inputs `(B, N, D)`, noise `(B, K, 2 D)` or None -> `SlotOutput`, slots `(B, K, D)`."""
        means, log_scales, inputs = self.start(inputs, noise)
        start = (means, (2 * log_scales).exp())  # (B, K, D) each
        output = self.mixture(inputs, start=start, return_history=return_history)
        log_scales = 0.5 * output.variances.log().to(output.means)  # (B, K, D)
        output.slots = self.read_out(torch.cat([output.means, log_scales], dim=2))  # (B, K, D)
        return output


class ImageStart(nn.Module):
    """Learned start of the slots: a transformer processes two tokens together with the inputs.

    One token becomes the mean, the other the log scale, of a Gaussian over means and log standard
    deviations. The start of every slot is drawn from this Gaussian. The mixture's inputs are the
    transformer's outputs.
    """

    def __init__(self):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(1, 2, DIM))
        self.norm = nn.LayerNorm(DIM)
        self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(LAYERS)))
        self.mean, self.log_scale = (
            nn.Sequential(nn.Linear(DIM, MLP_DIM), nn.ReLU(), nn.Linear(MLP_DIM, 2 * DIM))
            for _ in range(2)
        )

    def forward(self, inputs: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """inputs `(B, N, D)` -> means, log standard deviations `(B, K, D)`, inputs `(B, N, D)`."""
        shape = (len(inputs), NUM_SLOTS, 2 * DIM)
        if noise is None:
            noise = torch.randn(shape, dtype=inputs.dtype, device=inputs.device)
        check_noise(noise, shape, "2 slot_dim")
        tokens = self.tokens.expand(len(inputs), -1, -1)  # (B, 2, D)
        joint = self.blocks(self.norm(torch.cat([tokens, inputs], dim=1)))  # (B, 2 + N, D)
        mean, log_scale, inputs = joint.split([1, 1, inputs.shape[1]], dim=1)
        slots = self.mean(mean) + self.log_scale(log_scale).exp() * noise.to(inputs)  # (B, K, 2 D)
        means, log_scales = slots.chunk(2, dim=2)  # (B, K, D) each
        return means, log_scales, inputs


class TransformerBlock(nn.Module):
    """Two self-attentions and an MLP. Each has a LayerNorm before it and a residual connection."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(DIM) for _ in range(3))
        self.attn1, self.attn2 = SelfAttention(), SelfAttention()
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn1(self.norm1(tokens))
        tokens = tokens + self.attn2(self.norm2(tokens))
        return tokens + self.mlp(self.norm3(tokens))


class SelfAttention(nn.Module):
    """Multi-head self-attention; keys, queries and values without bias."""

    def __init__(self):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(DIM, DIM, bias=False) for _ in range(3))
        self.out = nn.Linear(DIM, DIM)

    def forward(self, tokens: Tensor) -> Tensor:
        queries, keys, values = (
            project(tokens).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for project in (self.to_q, self.to_k, self.to_v)
        )  # (B, H, N, D / H)
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values)
        return self.out(mixed.transpose(1, 2).flatten(2))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The file's tensors by name. Raises `CheckpointError` if the file holds anything else."""
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}: {REMEDY}")
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged or hostile file can fail anywhere in the reader. Torch's own message is left
        # out: it tells how to run the code in the file.
        raise CheckpointError(
            f"{path} is damaged or holds more than tensors, and was refused; "
            f"nothing in it was run ({type(error).__name__}): {REMEDY}"
        ) from None
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise CheckpointError(
            f"{path} holds {type(content).__name__} and not tensors by name: {REMEDY}"
        )
    if odd := [name for name, tensor in content.items() if not _holds_real_numbers(tensor)]:
        raise CheckpointError(
            f"{path} is damaged: {odd[0]} holds {content[odd[0]].dtype}, expected real numbers, "
            f"stored densely: {REMEDY}"
        )
    return content


def _check_archive(path: Path) -> None:
    """Raises `BadZipFile` if the file is no archive of torch, or could fill the memory."""
    if path.stat().st_size > MOST_BYTES:
        raise zipfile.BadZipFile("a file far larger than the release")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    pickles = [member for member in members if member.filename.endswith(".pkl")]
    if (
        any(member.compress_type != zipfile.ZIP_STORED for member in members)
        or sum(member.file_size for member in members) > MOST_BYTES
        or sum(member.file_size for member in pickles) > MOST_PICKLE_BYTES
    ):
        raise zipfile.BadZipFile("an archive that unpacks to more than the release")


def _holds_real_numbers(tensor: Tensor) -> bool:
    """Whether a tensor is stored densely in memory and holds real numbers, as in the release."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return dense and tensor.is_floating_point()


def _rename_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under our names. Names that the release does not have stay as they are."""
    ours = {
        _our_name(name): tensor for name, tensor in tensors.items() if not name.startswith(UNUSED)
    }
    if POSITIONS in ours and ours[POSITIONS].ndim == 4 and len(ours[POSITIONS]) == 1:
        ours[POSITIONS] = ours[POSITIONS][0].permute(2, 0, 1)  # (1, H, W, 4) -> (4, H, W)
    if (embedding := "encoder.embed_positions.weight") in ours:
        ours[embedding] = ours[embedding][..., None, None]  # linear map -> 1x1 convolution
    tokens = ("slot_attention.mu", "slot_attention.logsigma")
    if all(name in ours and ours[name].shape == (1, 1, DIM) for name in tokens):
        ours["slots.start.tokens"] = torch.cat([ours.pop(name) for name in tokens], dim=1)
    return ours


def _our_name(name: str) -> str:
    if name == "encoder_pos.grid":
        return POSITIONS
    for theirs, ours in RENAMED.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    if name.startswith("slots.start.blocks."):
        for theirs, ours in RENAMED_IN_BLOCKS.items():
            name = name.replace(theirs, ours)
    return name
