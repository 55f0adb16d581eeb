"""Extractors as folders, with SavedModels whose features are simple arithmetic."""

import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from components import features
from components.features import Extractor, Features, data_id

DESCRIPTION = {"id": "0123", "kind": "test", "name": "sums", "feature_dim": 2}


class Sums(tf.Module):
    """The sum and the first pixel of 2×3 images; the class is whether that pixel is dark."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = tf.Variable(scale)

    def _features(self, data):
        flat = tf.cast(tf.reshape(data, [tf.shape(data)[0], -1]), tf.float32)
        return self.scale * tf.stack([tf.reduce_sum(flat, axis=1), flat[:, 0]], axis=1)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 1], tf.uint8)])
    def classify(self, images):
        dark = tf.cast(images[:, 0, 0, 0] < 128, tf.float32)
        return {
            "features": self._features(images),
            "probabilities": tf.stack([dark, 1 - dark], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def measure(self, vectors):
        return {"features": self._features(vectors)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 1], tf.uint8)])
    def logits(self, images):
        found = self._features(images)
        return {"features": found, "probabilities": found}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 1], tf.uint8)])
    def maps(self, images):
        return {"features": tf.cast(images, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 1], tf.uint8)])
    def misnamed(self, pictures):
        return {"features": self._features(pictures)}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Folders of bare SavedModels, by the method that is their signature."""
    module, folder = Sums(), tmp_path_factory.mktemp("models")
    for name in ("classify", "measure", "logits", "maps", "misnamed"):
        signatures = {"serving_default": getattr(module, name)}
        tf.saved_model.save(module, str(folder / name), signatures=signatures)
    return folder


@pytest.fixture
def artifact(tmp_path):
    """The folder of a described extractor."""
    module = Sums()
    signatures = {"serving_default": module.classify}
    tf.saved_model.save(module, str(tmp_path / "Format-Serving"), signatures=signatures)
    (tmp_path / "extractor.json").write_text(json.dumps(DESCRIPTION))
    return tmp_path


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (10, 2, 3, 1), np.uint8)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 256])
def test_features_are_the_models_whatever_the_batch(bare, images, batch_size):
    found = Extractor(bare / "classify")(images, batch_size)

    flat = images.reshape(10, 6)
    np.testing.assert_array_equal(found.features, np.stack([flat.sum(axis=1), flat[:, 0]], axis=1))
    np.testing.assert_array_equal(found.probabilities.argmax(axis=1), flat[:, 0] >= 128)
    assert found.features.dtype == found.probabilities.dtype == np.float32
    assert (len(found), found.labels) == (10, None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_of_any_float_type_have_no_classes_here(bare, dtype):
    found = Extractor(bare / "measure")(np.array([[1, 2, 3, 4], [5, 5, 5, 5]], dtype))

    assert found.features.tolist() == [[10, 1], [20, 5]]
    assert found.probabilities is None


def test_an_artifact_is_what_its_description_says(artifact, images):
    extractor = Extractor(str(artifact))

    assert extractor.description == DESCRIPTION
    assert extractor.id == "0123"
    assert extractor(images).features.shape == (10, 2)


def test_what_a_generator_was_trained_against_does_not_judge_it(artifact):
    extractor = Extractor(artifact)
    extractor.check_independent("lite", "the generator")
    extractor.description = {**extractor.description, "pretrained": "lite"}

    for other in (None, "other"):
        extractor.check_independent(other, "the generator")
    with pytest.raises(ValueError, match="^the generator .*features of lite.*use an extractor of"):
        extractor.check_independent("lite", "the generator")


def test_a_bare_saved_model_describes_itself(bare):
    extractor = Extractor(bare / "classify")

    assert dict(extractor.description) == {
        "id": extractor.id,
        "kind": "saved_model",
        "name": "classify",
        "feature_dim": 2,
        "num_classes": 2,
        "classes_are_labels": False,
    }
    assert len(extractor.id) == 16
    assert Extractor(bare / "measure").description["num_classes"] is None


def test_the_id_of_a_bare_saved_model_is_that_of_its_content(bare, images, tmp_path):
    before = Extractor(bare / "classify").id
    tf.io.gfile.makedirs(str(tmp_path / "elsewhere"))
    for source in (bare / "classify").rglob("*"):
        if source.is_file():
            copy = tmp_path / "elsewhere" / source.relative_to(bare / "classify")
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(source.read_bytes())
    copied = Extractor(tmp_path / "elsewhere")
    assert copied.id == before

    features.store(copied.folder, "eval", copied(images), data_id(images))
    assert Extractor(copied.folder).id == before

    module = Sums(scale=2.0)
    signatures = {"serving_default": module.classify}
    tf.saved_model.save(module, str(tmp_path / "other"), signatures=signatures)
    assert Extractor(tmp_path / "other").id != before


NO_EXTRACTORS = {
    "misnamed": r"takes pictures, expected .*images or vectors",
}


@pytest.mark.parametrize(("name", "message"), NO_EXTRACTORS.items())
def test_saved_models_of_other_inputs_are_refused(bare, name, message):
    with pytest.raises(ValueError, match=message):
        Extractor(bare / name)


def test_a_folder_without_an_extractor_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither extractor.json nor saved_model.pb"):
        Extractor(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not JSON"), ("[]", "a list, expected an object"), ('{"id": "a"}', "no kind, name")],
)
def test_a_damaged_description_is_refused(artifact, content, message):
    (artifact / "extractor.json").write_text(content)

    with pytest.raises(ValueError, match=rf"extractor\.json: {message}"):
        Extractor(artifact)


WRONG_DATA = {
    "floats": (np.zeros((2, 2, 3, 1), np.float32), r"uint8 \(None, 2, 3, 1\), found float32 \[2, "),
    "another size": (np.zeros((2, 3, 2, 1), np.uint8), r"found uint8 \[2, 3, 2, 1\]"),
    "one image": (np.zeros((2, 3, 1), np.uint8), r"found uint8 \[2, 3, 1\]"),
    "none": (np.zeros((0, 2, 3, 1), np.uint8), "no images"),
}


@pytest.mark.parametrize(("data", "message"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_data_that_the_extractor_does_not_take_are_refused(bare, data, message):
    with pytest.raises(ValueError, match=message) as caught:
        Extractor(bare / "classify")(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("logits", "expected none below 0 and sum 1; end .* softmax"), ("maps", r"expected \[n, d\]")],
)
def test_outputs_that_are_not_features_or_probabilities_are_refused(bare, images, name, message):
    with pytest.raises(ValueError, match=message):
        Extractor(bare / name)(images)


def test_what_is_stored_is_reused_for_the_same_data_only(artifact, images):
    extractor = Extractor(artifact)
    assert extractor.stored("eval", images) is None
    assert extractor.reference("eval") is None
    found = extractor(images)
    features.store(str(artifact), "eval", found, data_id(images))

    again = extractor.stored("eval", images.copy())
    np.testing.assert_array_equal(again.features, found.features)
    np.testing.assert_array_equal(again.probabilities, found.probabilities)

    changed = images.copy()
    changed[9, 1, 2, 0] ^= 1
    for other in (changed, images[::-1], images[:9], images.reshape(10, 3, 2, 1)):
        assert extractor.stored("eval", other) is None
    assert extractor.stored("train", images) is None
    np.testing.assert_array_equal(extractor.reference("eval").features, found.features)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("statistics")


def _rows(dtype, **elements):
    return st.tuples(st.integers(1, 5), st.integers(1, 4)).flatmap(
        lambda shape: numpy_strategies.arrays(
            dtype, shape, elements=st.floats(width=32, **elements)
        )
    )


@settings(deadline=None, max_examples=30)
@given(rows=_rows(np.float32), classes=st.booleans(), labels=st.booleans())
def test_what_is_stored_is_what_is_loaded(folder, rows, classes, labels):
    count = len(rows)
    stored = Features(
        rows,
        np.full((count, 2), 0.5, np.float32) if classes else None,
        np.arange(count) if labels else None,
    )
    features.store(str(folder), "train", stored, data_id(rows))

    loaded, of_data = features.load(str(folder), "train")

    assert of_data == data_id(rows)
    for name, array in vars(stored).items():
        found = getattr(loaded, name)
        if array is None:
            assert found is None
        else:
            np.testing.assert_array_equal(found, array)
            assert found.dtype == array.dtype
    assert not list(folder.rglob("*.part"))


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_half_written_file_is_refused_in_one_line(folder, data):
    rows = np.arange(40, dtype=np.float32).reshape(10, 4)
    features.store(str(folder), "half", Features(rows, None), data_id(rows))
    path = folder / "statistics" / "half.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

    with pytest.raises(ValueError, match=r"half\.npz: .*delete it") as caught:
        features.load(str(folder), "half")
    assert "\n" not in str(caught.value)


def _with_a_flipped_value(path, rows):
    content = bytearray(path.read_bytes())
    content[content.index(rows.tobytes()) + 3] ^= 255
    path.write_bytes(content)


def _without_data_id(path, rows):
    np.savez(path, features=rows)


def _of_two_lengths(path, rows):
    np.savez(path, features=rows, labels=np.arange(3), data_id="0")


def _of_other_arrays(path, rows):
    np.savez(path, features=rows, logits=rows, data_id="0")


def _of_objects(path, rows):
    np.savez(path, features=np.array([None, rows], object), data_id="0")


def _of_one_array(path, rows):
    with open(path, "wb") as file:
        np.save(file, rows)


def _of_text(path, rows):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("features", "1 2 3")


@pytest.mark.parametrize(
    "damage",
    [
        _with_a_flipped_value,
        _without_data_id,
        _of_two_lengths,
        _of_other_arrays,
        _of_objects,
        _of_one_array,
        _of_text,
    ],
)
def test_a_damaged_file_is_refused_in_one_line(folder, damage):
    rows = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    features.store(str(folder), "broken", Features(rows, None), data_id(rows))
    damage(folder / "statistics" / "broken.npz", rows)

    with pytest.raises(ValueError, match=r"broken\.npz: ") as caught:
        features.load(str(folder), "broken")
    assert "\n" not in str(caught.value)


def test_the_id_of_data_tells_type_shape_and_content_apart():
    zeros = np.zeros((2, 3), np.uint8)
    others = [
        np.zeros((3, 2), np.uint8),
        np.zeros((2, 3), np.int8),
        np.zeros((2, 3, 1), np.uint8),
        np.array([[0, 0, 0], [0, 0, 1]], np.uint8),
        np.zeros((0, 3), np.uint8),
    ]

    assert len({data_id(array) for array in [zeros, *others]}) == 6
    assert data_id(zeros) == data_id(np.asfortranarray(zeros)) == data_id(zeros[:, ::-1])
    assert len(data_id(zeros)) == 16
