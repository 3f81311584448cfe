"""The concept library: clusters with known members, places that are removed, scores by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.concepts import (
    NOTHING,
    SlotReadings,
    fit_library,
    fit_place,
    gather_objects,
    purity,
    score_concepts,
)
from tests.toys import toy_sets


def blobs(per_blob=80, dim=3):
    """Points of three tight clusters -> points (N, dim) and the number of each point's cluster."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0, 0], [6, 0, 0], [0, 6, 0]])[:, :dim]
    labels = torch.arange(3).repeat_interleave(per_blob)
    return centres[labels] + 0.3 * torch.randn(3 * per_blob, dim, generator=generator), labels


def test_bic_finds_the_number_of_concepts():
    points, labels = blobs()
    library = fit_library(points, counts=(1, 2, 3, 6))
    assert library.num_concepts == 3 and min(library.bics, key=library.bics.get) == 3
    assert purity(library.assign(points), labels.tolist()) == 1


def test_samples_and_typical_slots_belong_to_their_concept():
    points, labels = blobs()
    library = fit_library(points, counts=(3,))
    for concept in range(3):
        drawn = library.sample(concept, 500, np.random.default_rng(0))
        assert (library.assign(drawn) == concept).mean() > 0.99
        members = points[library.assign(points) == concept]
        assert_close(drawn.mean(dim=0), members.mean(dim=0), atol=0.1, rtol=0)
        assert_close(drawn.std(dim=0), members.std(dim=0), atol=0.1, rtol=0)
        typical = library.rank(points, concept)[: len(members)]
        assert (library.assign(points[typical.copy()]) == concept).all()
    with pytest.raises(ValueError, match="concept must be from 0 to 2, got 3"):
        library.sample(3, 1, np.random.default_rng(0))


def test_a_place_that_shifts_slots_is_removed():
    generator = torch.Generator().manual_seed(0)
    what = torch.randn(400, 4, generator=generator)
    centres = torch.rand(400, 2, generator=generator)
    down, right = centres.T[:, :, None]
    shift = torch.tensor([[1.0, -2, 0, 3]])
    slots = what + 5 * down * shift - 2 * right**2 * shift
    place = fit_place(slots, centres)
    removed = place.remove(slots, centres)
    middle = place.predict(torch.full((1, 2), 0.5))
    expected = what - what.mean(dim=0) + (middle + (removed - middle).mean(dim=0))
    assert_close(removed, expected, atol=0.5, rtol=0)
    again = fit_place(removed, centres).predict(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert_close(again[0], again[1], atol=1e-3, rtol=1e-3)


def test_purity_and_information_by_hand():
    concepts = np.array([0, 0, 0, 1, 1, 1])
    color = ["red", "red", "blue", "blue", "blue", "blue"]
    size = ["small"] * 3 + ["large"] * 3
    assert purity(concepts, color) == pytest.approx(5 / 6)
    scores = score_concepts(concepts, {"color": color, "size": size})
    assert scores["size"]["purity"] == 1 and scores["size"]["nmi"] == 1
    assert scores["color"]["purity"] == 0.8333 and 0 < scores["color"]["nmi"] < 1
    assert scores["all"]["purity"] == 0.8333
    assert scores["size"]["chance_nmi"] < 1


def test_objects_are_gathered_with_their_properties():
    data = toy_sets(count=2)
    most = max(len(record["objects"]) for record in data.records)
    regions = torch.tensor([[0, 2, NOTHING, 1], [1, 0, 3, NOTHING]])
    slots = torch.arange(2 * 4 * 5.0).view(2, 4, 5)
    readings = SlotReadings(
        slots=slots,
        weights=torch.full((2, 4), 0.25),
        areas=torch.ones(2, 4, dtype=torch.long),
        centres=torch.rand(2, 4, 2),
        kept=torch.ones(2, 4, dtype=torch.bool),
        regions=regions,
        visible=torch.ones(2, 1 + most, dtype=torch.long),
    )
    found = gather_objects(readings, data)
    assert found.images.tolist() == [0, 0, 1, 1] and found.numbers.tolist() == [1, 3, 0, 2]
    assert torch.equal(found.slots, slots[[0, 0, 1, 1], [1, 3, 0, 2]])
    assert torch.equal(found.centres, readings.centres[[0, 0, 1, 1], [1, 3, 0, 2]])
    expected = [data.records[n]["objects"][k] for n, k in ((0, 1), (0, 0), (1, 0), (1, 2))]
    for name, values in found.properties.items():
        assert values == [one[name] for one in expected]
    with pytest.raises(ValueError, match="has no records: they say which properties"):
        gather_objects(readings, replace(data, records=None))
