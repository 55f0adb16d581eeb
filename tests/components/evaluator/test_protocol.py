"""Sampling on SavedModels."""

import numpy as np
import pytest
import tensorflow as tf
from tfx.utils import path_utils

from components.data.columns import Column
from components.evaluator import protocol
from components.evaluator.metrics.settings import MetricSettings

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def good(generator):
    return protocol.Generator(path_utils.serving_model_dir(generator(0.0).uri))


@pytest.fixture(scope="module", params=[False, True], ids=["unconditional", "conditional"])
def exported(request, untrained):
    """An untrained generator as the trainer exports it, and whether it has classes."""
    return protocol.Generator(untrained(conditional=request.param)), request.param


def test_samples_follow_from_their_seed(good):
    first = protocol.sample(good, 70, seed=1, batch_size=32, shape=SHAPE).data

    assert (first.shape, first.dtype) == ((70, *SHAPE), np.uint8)
    assert (first == protocol.sample(good, 70, 1, 32, SHAPE).data).all()
    assert (first != protocol.sample(good, 70, 2, 32, SHAPE).data).any()
    # The batches are different images too.
    assert (first[:32] != first[32:64]).any()


def test_a_generator_of_other_images_is_refused(good):
    with pytest.raises(ValueError, match=r"uint8 \[4, 8, 8, 1\], expected uint8 \[4, 28, 28, 1\]"):
        protocol.sample(good, 4, 0, 4, (28, 28, 1))


def test_a_model_without_classes_is_asked_for_none(good):
    with pytest.raises(ValueError, match="labels: 3, but the generator has no classes"):
        protocol.sample(good, 4, 0, 4, SHAPE, label=3)


def test_a_class_that_is_not_served_is_refused_in_one_line(exported):
    generator, conditional = exported
    if conditional:
        with pytest.raises(ValueError, match="sample: .*no such class") as caught:
            protocol.sample(generator, 4, 0, 4, SHAPE, label=99)
        assert "\n" not in str(caught.value)


def test_interpolations_begin_and_end_at_the_generators_own_images(exported):
    generator, conditional = exported
    assert generator.conditional is conditional

    rows = protocol.interpolations(generator, rows=3, columns=5, seed=0)

    assert (rows.shape, rows.dtype) == ((3, 5, *SHAPE), np.uint8)
    start, end = np.random.default_rng(0).normal(size=(2, 3, 1, 6))
    for column, latents in ((0, start), (-1, end)):
        inputs = {"latents": tf.constant(latents[:, 0], tf.float32)}
        if conditional:
            inputs["labels"] = tf.constant([0, 1, 2], tf.int64)
        expected = (generator("serving_default", **inputs)["images"] + 1) * 127.5
        np.testing.assert_allclose(rows[:, column], expected.clip(0, 255), atol=0.51)
    assert (rows[:, 2] != rows[:, 0]).any()


def test_chosen_images_are_all_different_ones(digits):
    images = digits[0][:50]

    chosen = protocol.choose(images, 20, seed=0)

    assert len(chosen) == 20
    assert len(protocol.choose(images, 80, seed=0)) == 50
    assert len(np.unique(np.concatenate([chosen, images]), axis=0)) == len(
        np.unique(images, axis=0)
    )


def test_noise_is_of_the_datas_kind():
    images = protocol.noise(500, 0, np.zeros((3, *SHAPE), np.uint8))
    assert (images.shape, images.dtype) == ((500, *SHAPE), np.uint8)
    assert abs(images.mean() - 127.5) < 2

    vectors = np.random.default_rng(0).normal([1.0, -5.0], [0.1, 3.0], (400, 2))
    noise = protocol.noise(2000, 0, vectors.astype(np.float32))
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.mean(axis=0), [1.0, -5.0], atol=0.3)
    np.testing.assert_allclose(noise.std(axis=0), [0.1, 3.0], rtol=0.15)


def test_noise_of_a_table_knows_each_columns_scale_and_nothing_else(weather):
    splits, columns = weather
    data = splits["New York"].data

    noise = protocol.noise(4000, 0, data, columns)

    assert (noise == protocol.noise(4000, 0, data, columns))[~np.isnan(noise)].all()
    missing = [np.isnan(codes).mean(axis=0) for codes in (data, noise)]
    for place, column in enumerate(columns):
        real, made = (codes[~np.isnan(codes[:, place]), place] for codes in (data, noise))
        if column.kind.discrete:
            # A missing one is as frequent as any.
            values, counts = np.unique(noise[:, place], return_counts=True)
            assert len(values) == len(np.unique(data[:, place]))
            np.testing.assert_allclose(counts / 4000, 1 / len(values), atol=0.03)
            continue
        assert made.mean() == pytest.approx(real.mean(), abs=0.1 * real.std())
        assert made.std() == pytest.approx(real.std(), rel=0.1)
        assert missing[1][place] == pytest.approx(missing[0][place], abs=0.03)
        assert (made == np.rint(made)).all() == column.kind.feature.is_integer
    correlations = np.corrcoef(noise[~np.isnan(noise).any(axis=1)].T)
    assert np.abs(correlations - np.eye(len(columns))).max() < 0.1


class TableGenerator:
    """What `protocol.sample` asks of a generator of rows."""

    path = "model"

    def __init__(self, codes, table=None, categories=None):
        self.codes, self.table, self.categories = codes, table, categories or {}

    def draw(self, count, seed, label, batch_size):
        return self.codes[:count]


def test_rows_are_as_examples_would_store_them():
    """Or their last digits would tell fakes from real ones."""
    columns = (
        Column(name="x"),
        Column(name="n", type="integer"),
        Column(name="when", type="datetime"),
        Column(name="kind", type="categorical", missing=True),
    )
    codes = np.array([[0.1, 2.4, 86400e6 + 0.4, 1], [1 / 3, -0.6, 5.5, np.nan]])
    generator = TableGenerator(codes, columns, {"kind": ("a", "b")})

    made = protocol.sample(generator, 2, 0, 2, (4,), columns=columns)

    stored = np.float32([0.1, 1 / 3]).astype(np.float64)
    assert made.data[:, 0].tolist() == stored.tolist()
    assert made.data[:, 1:3].tolist() == [[2, 86400e6], [-1, 6]]
    assert made.data[0, 3] == 1
    assert np.isnan(made.data[1, 3])
    assert made.categories == {"kind": ("a", "b")}


@pytest.mark.parametrize(
    ("table", "shape", "reason"),
    [
        (None, (3,), r"model: samples are float64 \[1, 2\], expected float32 or float64 \[1, 3\]"),
        ("xy", (2,), "model: makes 'y' .number. where the data have 'kind' .categorical.; give"),
        ("ax", (2,), "model: makes 'a' .number. where the data have 'x' .number."),
    ],
)
def test_a_generator_of_other_columns_is_refused(table, shape, reason):
    columns = (Column(name="x"), Column(name="kind", type="categorical"))
    made = table and tuple(Column(name=name) for name in table)

    with pytest.raises(ValueError, match=reason):
        protocol.sample(TableGenerator(np.zeros((1, 2)), made), 1, 0, 1, shape, columns=columns)


def test_the_protocol_names_what_scores_depend_on():
    settings = MetricSettings(kid_subsets=20)

    described = protocol.describe({"id": "abc"}, "fedcba", {"eval": 300}, SHAPE, settings)

    assert described["extractor"] == {"id": "abc"}
    assert described["real"] == "fedcba"
    assert described["counts"] == {"eval": 300}
    assert "8 bits" in described["fakes"]
    of_vectors = protocol.describe({}, "", {}, (4,), settings)
    assert "units" in of_vectors["fakes"]
    assert described["settings"] == settings.model_dump()
    assert {"python", "tensorflow", "numpy", "tfx-gan"} <= set(described["versions"])
