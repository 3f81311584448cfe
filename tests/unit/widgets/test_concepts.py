"""The scene builder: buttons and code do the same, and too much is refused."""

import pytest
from matplotlib.figure import Figure

from smm_tutorial.widgets.concepts import SceneBuilder


@pytest.fixture
def drawn():
    return []


@pytest.fixture
def builder(drawn):
    def draw(objects):
        if any(down > 0.85 for _, down, _ in objects):
            raise ValueError("no room there")
        drawn.append(list(objects))
        return Figure(figsize=(0.2 + 0.1 * len(objects), 0.2))

    return SceneBuilder(["red cube", "blue ball"], draw, most=2)


def test_objects_are_added_and_deleted(builder, drawn):
    empty = builder.picture.value
    builder.add(1, 0.3, 0.4)
    builder.concept.value, builder.down.value = 0, 0.6
    builder.adding.click()
    assert builder.objects == [(1, 0.3, 0.4), (0, 0.6, 0.5)]
    assert drawn[-1] == builder.objects and builder.picture.value != empty
    builder.delete(0)
    assert builder.objects == [(0, 0.6, 0.5)]
    builder.deleting.click()
    builder.deleting.click()
    assert builder.objects == [] and builder.picture.value == empty


def test_what_does_not_fit_is_refused_and_nothing_changes(builder):
    with pytest.raises(ValueError, match="concept must be from 0 to 1, got 2"):
        builder.add(2, 0.5, 0.5)
    with pytest.raises(ValueError, match="no room there"):
        builder.add(0, 0.9, 0.5)
    builder.add(0, 0.5, 0.5)
    builder.add(0, 0.2, 0.5)
    before = builder.picture.value
    with pytest.raises(ValueError, match="a scene has at most 2 objects"):
        builder.add(1, 0.5, 0.5)
    builder.adding.click()
    assert builder.message.value == "a scene has at most 2 objects: delete one first"
    assert len(builder.objects) == 2 and builder.picture.value == before
    builder.delete()
    assert builder.message.value == ""
