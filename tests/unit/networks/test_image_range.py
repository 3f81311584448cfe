"""Images in another range than a network takes are refused, whatever the model."""

import pytest
import torch

from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.networks.image_range import check_unit_range
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor

SMALL = {"image_size": 16, "encoder_channels": 8, "slot_dim": 8, "num_slots": 3}
MODELS = {
    "discovery": lambda: ObjectDiscovery(DiscoveryConfig(**SMALL)),
    "set prediction": lambda: SetPredictor(SetPredictionConfig(**SMALL)),
}
UNIT = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("images", "found"),
    [
        (255 * UNIT, "255"),
        (2 * UNIT - 1, "-1"),
        (UNIT.masked_fill(UNIT > 0.9, torch.nan), "nan"),
        (UNIT.masked_fill(UNIT > 0.9, torch.inf), "inf"),
        (-UNIT, "-1"),
    ],
    ids=["bytes", "[-1, 1]", "NaN", "infinite", "negative"],
)
def test_images_beyond_0_and_1_are_refused_with_the_way_out(model, images, found):
    network = MODELS[model]()
    for call in (network, network.eval(), network.find_slots):
        with pytest.raises(ValueError, match=rf"images must lie in \[0, 1\], got .*{found}.*/ 255"):
            call(images)
    assert network.find_slots(UNIT).slots.isfinite().all()


def test_what_a_resampling_filter_overshoots_is_no_other_range():
    check_unit_range(UNIT * 1.0005 - 0.0005)
    check_unit_range(UNIT[:0])
    check_unit_range(UNIT.to("meta"))
