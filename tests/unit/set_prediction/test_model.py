"""Set prediction: targets from scenes and back, the network's outputs, checkpoints, messages."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import checkpoints
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.scenes import random_scene
from smm_tutorial.scenes.records import read_records
from smm_tutorial.set_prediction.model import SetHeads, SetPredictionConfig, SetPredictor
from smm_tutorial.set_prediction.targets import (
    COORDINATE_SCALE,
    COORDINATES,
    OBJECT_DIM,
    PROPERTIES,
    PROPERTY_SLICES,
    REAL,
    set_targets,
)
from tests.shared import SHARED
from tests.toy_models import SMALL_SET_PREDICTION
from tests.wrong_types import KINDS, NO_SIZES, no_float32

SCENES = [random_scene(np.random.default_rng(seed), 3, 6) for seed in range(4)]
SHARED_SCENES = SHARED / "data" / "CLEVR_v1.0" / "scenes" / "CLEVR_val_scenes.json"
CONFIGS = [
    SMALL_SET_PREDICTION,
    replace(SMALL_SET_PREDICTION, slots="attention"),
    replace(SMALL_SET_PREDICTION, convolutions="paper"),
    replace(
        SMALL_SET_PREDICTION,
        slot_options={"content": "mean", "gradient": "last", "start": "background"},
    ),
]


# targets


@pytest.mark.needs_cpu("it compares with tensors of its own")
def test_a_target_is_the_object_number_by_number():
    scene = replace(SCENES[0], objects=SCENES[0].objects[:1])
    item = replace(
        scene.objects[0],
        position=(1.5, -3.0, 0.35),
        size="large",
        material="metal",
        shape="sphere",
        color="cyan",
    )
    vector = set_targets([replace(scene, objects=(item,))], 2)
    size_and_material, shape, color = [0, 1, 0, 1], [0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 1]
    assert_close(
        vector[0, 0], torch.tensor([0.5, -1.0, 0.35 / 3, *size_and_material, *shape, *color, 1.0])
    )
    assert_close(vector[0, 1], torch.zeros(OBJECT_DIM))


def test_the_groups_tile_the_vector():
    places = [0, 1, 2]
    for name, values in PROPERTIES.items():
        places += range(OBJECT_DIM)[PROPERTY_SLICES[name]]
        assert len(range(OBJECT_DIM)[PROPERTY_SLICES[name]]) == len(values)
    assert [*places, REAL] == list(range(OBJECT_DIM))


def test_targets_read_back_are_the_objects():
    for scene, vectors in zip(SCENES, set_targets(SCENES, 7), strict=True):
        assert vectors[:, REAL].sum() == len(scene.objects)
        for vector, item in zip(vectors, scene.objects, strict=False):
            for name, values in PROPERTIES.items():
                assert values[vector[PROPERTY_SLICES[name]].argmax()] == getattr(item, name)
            position = COORDINATE_SCALE * vector[COORDINATES]
            assert position.tolist() == pytest.approx(item.position, abs=1e-6)


def test_records_and_scenes_give_the_same_targets():
    assert torch.equal(
        set_targets([scene.to_record() for scene in SCENES], 6), set_targets(SCENES, 6)
    )


@pytest.mark.skipif(not SHARED_SCENES.is_file(), reason=f"no scenes file at {SHARED_SCENES}")
def test_official_scenes_fit_the_targets():
    targets = set_targets(read_records(SHARED_SCENES), 10)
    assert targets.shape == (100, 10, 19)
    assert targets[..., :2].abs().max() <= 1 and (targets[..., 2] <= 0.7 / 3 + 1e-6).all()
    for values in PROPERTY_SLICES.values():
        assert torch.equal(targets[..., values].sum(2), targets[..., REAL])


def test_scenes_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError,
        match=r"has \d objects, and a set holds at most 2: load the data with max_objects=2",
    ):
        set_targets(SCENES, 2)
    with pytest.raises(
        ValueError, match=r"scene record 0 has no list 'objects', it has \['masks'\]"
    ):
        set_targets([{"masks": 3}], 4)
    record = SCENES[0].to_record()
    record["objects"][1] = {**record["objects"][1], "color": "pink"}
    with pytest.raises(
        ValueError, match=r"scene 0: objects\[1\].color must be one of 'gray'.*got 'pink'"
    ):
        set_targets([record], 6)


# network


def network(config):
    torch.manual_seed(0)
    return SetPredictor(config)


@pytest.mark.parametrize("config", CONFIGS, ids=["mixture", "attention", "paper", "options"])
def test_predictions_are_coordinates_distributions_and_a_probability(config):
    out = network(config)(torch.rand(2, 3, 16, 16), num_slots=5)
    assert out.predictions.shape == (2, 5, 19) and out.predictions.dtype == torch.float32
    assert out.predictions[..., :3].abs().max() < 1
    for values in PROPERTY_SLICES.values():
        assert_close(out.predictions[..., values].sum(2), torch.ones(2, 5))
    assert 0 < out.predictions[..., REAL].min() and out.predictions[..., REAL].max() < 1
    assert out.slot_output.responsibilities.shape == (2, 16, 5)


def test_heads_are_the_papers_functions_of_two_mlps():
    torch.manual_seed(0)
    heads, slots = SetHeads(8, 6).double(), torch.randn(2, 3, 8, dtype=torch.float64)
    coordinates, properties = heads.coordinates(slots), heads.properties(slots)
    out = heads(slots).double()
    assert_close(out[..., :3], 2 * coordinates.sigmoid() - 1, atol=1e-6, rtol=0)
    assert_close(out[..., 7:10], properties[..., 4:7].softmax(2), atol=1e-6, rtol=0)
    assert_close(out[..., REAL], properties[..., 15].sigmoid(), atol=1e-6, rtol=0)


def test_slots_carry_their_predictions_with_them():
    model, images = (
        network(SMALL_SET_PREDICTION).double(),
        torch.rand(2, 3, 16, 16, dtype=torch.float64),
    )
    noise, order = (
        model.start_noise(2, torch.Generator().manual_seed(0)),
        torch.tensor([2, 0, 3, 1]),
    )
    assert_close(
        model(images, noise=noise).predictions[:, order],
        model(images, noise=noise[:, order]).predictions,
    )
    assert not torch.allclose(
        model(images).predictions, model(images).predictions
    )  # no noise given: it is drawn


def test_every_parameter_is_trained():
    model = network(SMALL_SET_PREDICTION)
    (model(torch.rand(2, 3, 16, 16)).predictions * torch.randn(2, 4, 19)).sum().backward()
    still = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0
    ]
    assert still == []


def test_the_default_sizes_are_the_papers():
    encoder = ConvEncoder(128, 64, 4, convolutions="paper")
    convolutions = [m for m in encoder.convolutions if isinstance(m, torch.nn.Conv2d)]
    assert [m.stride[0] for m in convolutions] == [1, 2, 2, 1] and {
        m.kernel_size for m in convolutions
    } == {(5, 5)}
    assert encoder(torch.rand(1, 3, 128, 128)).shape == (1, 32 * 32, 64)
    config = SetPredictionConfig()
    assert (config.num_slots, config.num_iterations, config.slot_dim, config.image_size) == (
        10,
        7,
        64,
        128,
    )


def test_a_checkpoint_gives_the_same_network_back(tmp_path):
    model, images = network(CONFIGS[3]).eval(), torch.rand(2, 3, 16, 16)
    noise = model.start_noise(2, torch.Generator().manual_seed(1))
    checkpoints.write(
        tmp_path / "a.safetensors",
        model.state_dict(),
        {"model": "SetPredictor", "config": asdict(CONFIGS[3])},
    )
    loaded = checkpoints.load(tmp_path / "a.safetensors").model
    assert isinstance(loaded, SetPredictor) and loaded.config == CONFIGS[3]
    assert torch.equal(
        loaded(images, noise=noise).predictions, model(images, noise=noise).predictions
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SetPredictor(replace(SMALL_SET_PREDICTION, slots="k-means")),
            "slots must be one of 'attention', 'mixture', got 'k-means'",
        ),
        (
            lambda: SetPredictor(replace(SMALL_SET_PREDICTION, convolutions="deep")),
            "convolutions must be one of 'light', 'paper', got 'deep'",
        ),
        (
            lambda: ConvEncoder(32, 8, 16, convolutions="paper"),
            "stride = 16 needs at least 5 paper layers, got 4",
        ),
        (
            lambda: network(SMALL_SET_PREDICTION)(torch.rand(2, 3, 32, 32)),
            r"images must be \(batch, 3, 16, 16\).*load the data with size=16",
        ),
        (lambda: network(SMALL_SET_PREDICTION)(torch.rand(3, 16, 16)), r"got \(3, 16, 16\)"),
    ],
)
def test_wrong_use_is_told_what_was_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
def test_what_is_no_size_is_refused_by_its_name(value):
    for name in ("image_size", "num_slots", "slot_dim", "num_iterations", "head_dim"):
        with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got "):
            replace(SMALL_SET_PREDICTION, **{name: value})
    if value is not None:
        with pytest.raises(ValueError, match="^max_objects must be a whole number"):
            set_targets(SCENES, value if value else -1)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_type_are_refused(kind):
    images, message = no_float32(2, 3, 16, 16)[kind]
    with pytest.raises(ValueError, match="^images must .*" + message.format(name="images")):
        network(SMALL_SET_PREDICTION)(images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_network_of_another_type_predicts_in_float32_at_least(dtype):
    predictions = network(SMALL_SET_PREDICTION).to(dtype)(torch.rand(2, 3, 16, 16).to(dtype))
    wider = torch.float64 if dtype == torch.float64 else torch.float32
    assert predictions.predictions.dtype == wider


def test_standardised_slots_reach_the_heads_with_mean_0_and_spread_1():
    """Loud numbers and quiet ones alike; what a trained network reads is the same for any batch."""
    torch.manual_seed(0)
    model = SetPredictor(replace(SMALL_SET_PREDICTION, reading="standardised"))
    seen = []
    model.heads.coordinates.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    images = torch.rand(16, 3, 16, 16)
    model(images)
    assert_close(seen[-1].flatten(0, 2).mean(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    spread = seen[-1].flatten(0, 2).std(dim=0)
    assert (spread > 0.8).float().mean() > 0.9  # a variance at its floor has none
    model.eval()
    noise = model.start_noise(16, torch.Generator().manual_seed(0))
    whole, part = model(images, noise=noise), model(images[:2], noise=noise[:2])
    assert_close(part.predictions, whole.predictions[:2], atol=1e-5, rtol=1e-4)
