"""Every kind of extractor, from data to its folder."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from components import features
from components.data.columns import Column
from components.data.examples import Split
from components.feature_extractor import base, making, network
from components.feature_extractor.config import FeatureExtractorConfig

LEARN = {"images": 32, "batch_size": 16, "min_skill": 0}
OWN = """
import keras

def make(shape):
    return keras.Sequential([
        keras.Input(shape),
        keras.layers.Conv2D(3, 3),
        keras.layers.GlobalMaxPooling2D(),
    ])
"""
KINDS = {
    "classifier": {"kind": "classifier", "feature_dim": 8, **LEARN},
    "self_supervised": {"kind": "self_supervised", **LEARN},
    "identity": {"kind": "identity"},
    "own": {"kind": "their_features:make", "seed": 3},
}
EXPECTED = {
    "classifier": ("digits classifier", 8, 10),
    "self_supervised": ("digits rotation network", 2 * 2 * 32, None),
    "identity": ("digits pixels", 64, None),
    "own": ("their_features:make", 3, None),
}

LOAD = """
import sys
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
outputs = model.signatures["serving_default"](images=tf.constant(np.load(sys.argv[2])))
np.savez(sys.argv[3], **{name: value.numpy() for name, value in outputs.items()})
assert "components" not in sys.modules
"""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_an_artifact_with_its_features(kind, few, own_module, tmp_path):
    own_module(OWN)
    config = FeatureExtractorConfig(**KINDS[kind])

    known = making.make(str(tmp_path), few, config, "digits")

    extractor = features.Extractor(tmp_path)
    assert extractor.description == known
    name, feature_dim, num_classes = EXPECTED[kind]
    assert known["kind"] == KINDS[kind]["kind"]
    assert (known["name"], known["feature_dim"], known["num_classes"]) == (
        name,
        feature_dim,
        num_classes,
    )
    assert known["classes_are_labels"] == (kind == "classifier")
    for split, content in few.items():
        stored = extractor.stored(split, content.data)
        found = extractor(content.data)
        assert stored.features.shape == (40, feature_dim)
        np.testing.assert_array_equal(stored.features, found.features)
        np.testing.assert_array_equal(stored.labels, content.labels)
        assert (stored.probabilities is None) == (num_classes is None)
        assert extractor.stored(split, content.data[::-1]) is None


def test_the_export_is_the_model_in_plain_tensorflow(few, tmp_path):
    model = network.build((8, 8, 1), num_classes=10, feature_dim=8)
    images = few["eval"].data
    making.export(model, str(tmp_path / "extractor"))
    np.save(tmp_path / "images.npy", images)

    arguments = [tmp_path / name for name in ("extractor", "images.npy", "outputs.npz")]
    subprocess.run([sys.executable, "-I", "-c", LOAD, *map(str, arguments)], check=True)

    outputs = np.load(tmp_path / "outputs.npz")
    expected = model.predict(images, verbose=0)
    assert sorted(outputs) == ["features", "probabilities"]
    for name, values in outputs.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_images_without_labels_have_features_but_no_classifier(few, tmp_path):
    unlabelled = {name: dataclasses.replace(split, labels=None) for name, split in few.items()}

    with pytest.raises(ValueError, match="set feature_extractor.kind to self_supervised"):
        making.make(str(tmp_path), unlabelled, FeatureExtractorConfig(), "digits")
    making.make(str(tmp_path), unlabelled, FeatureExtractorConfig(kind="identity"), "digits")
    stored = features.Extractor(tmp_path).reference("eval")
    assert (len(stored), stored.labels) == (40, None)


@pytest.mark.parametrize("kind", ["identity", "own"])
def test_vectors(kind, own_module, tmp_path):
    own_module(
        """
        import keras

        def make(shape):
            return keras.Sequential([keras.Input(shape), keras.layers.Dense(4)])
        """
    )
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    splits = {"train": Split(rows, None), "eval": Split(rows[:5], None)}

    known = making.make(str(tmp_path), splits, FeatureExtractorConfig(**KINDS[kind]), "points")

    extractor = features.Extractor(tmp_path)
    found = extractor(rows)
    assert found.features.shape == (20, known["feature_dim"])
    assert len(extractor.stored("eval", rows[:5])) == 5
    if kind == "identity":
        assert known["name"] == "points standardised columns"


@pytest.mark.parametrize("kind", ["identity", "own"])
def test_codes_keep_the_microseconds_and_the_missing_values(kind, own_module, tmp_path):
    own_module(
        """
        import keras

        def make(shape):
            codes = keras.Input(shape, dtype="float64")
            later = keras.layers.Lambda(lambda x: (x - 20_000 * 86400e6) / 1e6, dtype="float64")
            return keras.Model(codes, later(codes))
        """
    )
    columns = (
        Column(name="when", type="datetime", missing=True),
        Column(name="kind", type="categorical"),
    )
    rows = np.array([[20_000 * 86400e6 + 1e6 * second, second] for second in (0, 1, 2)])
    rows[2, 0] = np.nan
    splits = dict.fromkeys(("train", "eval"), Split(rows, None, {}, {"kind": ("a", "b", "c")}))

    config = FeatureExtractorConfig(**KINDS[kind])
    known = making.make(str(tmp_path), splits, config, "moments", columns)

    found = features.Extractor(tmp_path)(rows).features[:, 0]
    np.testing.assert_allclose(found, [-1, 1, 0] if kind == "identity" else [0, 1, np.nan])
    described = features.Extractor(tmp_path).description
    assert described == known
    assert known.get("categories") == ({"kind": ["a", "b", "c"]} if kind == "identity" else None)


@pytest.mark.parametrize(
    "kind", ["classifier", "self_supervised", "inception_v3", "efficientnet_lite0"]
)
def test_vectors_are_refused_by_kinds_for_images(kind, tmp_path):
    splits = dict.fromkeys(("train", "eval"), Split(np.zeros((4, 3), np.float32), None))

    message = rf"kind: {kind} takes images, .*\[3\]; .*identity or module:function"
    with pytest.raises(ValueError, match=message):
        making.make(str(tmp_path), splits, FeatureExtractorConfig(kind=kind), "points")


@pytest.fixture
def id_of(gray):
    def of(splits=gray, **section):
        config = FeatureExtractorConfig(**section)
        built = base.find(config.kind).build(splits, config, "gray")
        return making.identity_of(built, splits["train"].data.shape[1:])

    return of


@pytest.mark.parametrize("kind", ["classifier", "own"])
def test_equal_weights_have_one_id_and_others_another(kind, id_of, own_module):
    own_module(OWN)
    section = KINDS[kind]

    found = id_of(**section)

    assert len(found) == 16
    assert id_of(**section) == found
    assert id_of(**{**section, "seed": 7}) != found


def test_another_computation_of_equal_weights_has_another_id(id_of, own_module):
    own_module(OWN)
    before = id_of(**KINDS["own"])
    own_module(OWN.replace("GlobalMaxPooling2D", "GlobalAveragePooling2D"))
    assert id_of(**KINDS["own"]) != before


def test_another_shape_of_equal_features_has_another_id(id_of):
    wide = Split(np.zeros((4, 4, 16, 1), np.uint8), None)
    splits = dict.fromkeys(("train", "eval"), wide)

    assert id_of(kind="identity") == id_of(kind="identity")
    assert id_of(kind="identity") != id_of(splits=splits, kind="identity")
