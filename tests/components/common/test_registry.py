import pytest

from components.common.registry import Registry, nearest


@pytest.fixture
def losses():
    registry = Registry("loss")
    registry.register("hinge")(1)
    registry.register("wasserstein")(2)
    return registry


def test_entries_by_name(losses):
    assert losses.names() == ["hinge", "wasserstein"]
    assert losses.get("hinge") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hings", "unknown loss 'hings': did you mean 'hinge'[?] known: hinge, wasserstein"),
        ("zzz", "unknown loss 'zzz': known: hinge, wasserstein"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(losses, name, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name)


def test_a_name_is_given_once(losses):
    with pytest.raises(ValueError, match="loss 'hinge' is registered twice"):
        losses.register("hinge")(3)


def test_nearest_without_anything_close():
    assert nearest("x", ["beta", "alpha"]) == "known: alpha, beta"
