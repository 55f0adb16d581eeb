import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data import examples, vectors
from components.data.spec import DataSpec
from components.data_validator import proposal
from components.data_validator.checks import SERVING, validate
from components.data_validator.config import ValidationConfig

DIGITS = DataSpec(image_shape=(8, 8, 1))


def image(pixels, label):
    return examples.to_example(examples.from_array(pixels, "1.png", label)).SerializeToString()


def row(values, label=None):
    record = vectors.VectorRecord(values, "a.csv#1", label)
    return vectors.to_example(record).SerializeToString()


@pytest.fixture(scope="module")
def digits():
    """Pixels and labels."""
    images, labels = load_digits(return_X_y=True)
    return np.uint8(images.reshape(-1, 8, 8) * 255 / 16)[:1000], labels[:1000]


@pytest.fixture(scope="module")
def records(digits):
    """Serialized, in an order that has nothing to do with their classes."""
    order = np.random.default_rng(0).permutation(len(digits[0]))
    return [image(digits[0][n], int(digits[1][n])) for n in order]


@pytest.fixture(scope="module")
def split(statistics_of):
    """Statistics of records, a fifth of them for eval."""

    def divide(records):
        held_out = len(records) // 5
        return {
            "train": statistics_of(records[held_out:]),
            "eval": statistics_of(records[:held_out]),
        }

    return divide


@pytest.fixture(scope="module")
def proposed(records, split):
    """The digits' statistics and schema."""
    statistics = split(records)
    return statistics, proposal.propose(statistics, DIGITS)


def anomalies(statistics, schema, **options):
    found = validate(statistics, schema, {}, ValidationConfig(), **options)
    return {
        f"{split}/{name}": info.description
        for split, each in found.items()
        for name, info in each.anomaly_info.items()
    } | {
        split: each.dataset_anomaly_info.description
        for split, each in found.items()
        if each.HasField("dataset_anomaly_info")
    }


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_random_half_passes_its_own_schema_and_so_does_the_other_half(records, split, random):
    shuffled = random.sample(records, len(records))
    half, other = split(shuffled[::2]), split(shuffled[1::2])
    schema = proposal.propose(half, DIGITS)
    reference = proposal.compared(half["train"], schema)

    assert anomalies(half, schema, reference=reference) == {}
    assert anomalies(other, schema, reference=reference) == {}


FAULTS = {
    "inverted": (lambda images, labels: (255 - images, labels), "image/mean"),
    "black": (lambda images, labels: (images * (labels > 0)[:, None, None], labels), "image/blank"),
    "faint": (lambda images, labels: (images // 8, labels), "image/contrast"),
    "of another size": (lambda images, labels: (images[:, 1:], labels), "image/height"),
    "in colour": (lambda images, labels: (np.stack([images] * 3, -1), labels), "image/channels"),
    "an unknown class": (lambda images, labels: (images, labels + 1), "image/class/label"),
    "without a class": (
        lambda images, labels: (images[labels != 3], labels[labels != 3]),
        "image/class/label",
    ),
    "mostly of one class": (
        lambda images, labels: (
            images[(labels == 1) | (np.arange(len(labels)) % 4 == 0)],
            labels[(labels == 1) | (np.arange(len(labels)) % 4 == 0)],
        ),
        "image/class/label",
    ),
    "without labels": (lambda images, labels: (images, [None] * len(images)), "image/class/label"),
    "few": (lambda images, labels: (images[:400], labels[:400]), ""),
}


@pytest.mark.parametrize(("plant", "feature"), FAULTS.values(), ids=FAULTS)
def test_digits_that_are_wrong_do_not_pass(digits, split, proposed, plant, feature):
    statistics, schema = proposed
    spoilt = plant(*digits)
    records = [
        image(pixels, None if label is None else int(label))
        for pixels, label in zip(*spoilt, strict=True)
    ]
    np.random.default_rng(1).shuffle(records)
    reference = proposal.compared(statistics["train"], schema)
    found = anomalies(split(records), schema, reference=reference)
    assert (f"train/{feature}" if feature else "eval") in found


def test_eval_of_other_classes_than_train_does_not_pass(digits, statistics_of, proposed):
    images, labels = digits
    order = np.argsort((labels < 2) * 3 + np.arange(len(labels)) % 7, kind="stable")
    ordered = [image(images[n], int(labels[n])) for n in order]
    statistics = {"train": statistics_of(ordered[:800]), "eval": statistics_of(ordered[800:])}
    assert "eval/image/class/label" in anomalies(statistics, proposed[1])


def test_in_use_there_are_no_labels(digits, statistics_of, proposed):
    statistics, schema = proposed
    met = {"all": statistics_of([image(pixels, None) for pixels in digits[0]])}
    reference = proposal.compared(statistics["train"], schema)

    assert anomalies(met, schema, reference=reference, environment=SERVING) == {}
    learnt = {"train": met["all"], "eval": met["all"]}
    assert "eval/image/class/label" in anomalies(learnt, schema)

    inverted = {"all": statistics_of([image(255 - pixels, None) for pixels in digits[0]])}
    found = anomalies(inverted, schema, reference=reference, environment=SERVING)
    assert "Jensen-Shannon divergence" in found["all/image/mean"]


def test_blank_images_that_are_there_may_be_there(digits, split):
    def some_black(count):
        images = np.where(np.arange(400)[:, None, None] < count, 0, digits[0][:400])
        np.random.default_rng(0).shuffle(images)
        return split([image(pixels, None) for pixels in np.uint8(images)])

    schema = proposal.propose(some_black(40), DIGITS)
    assert "train/image/blank" not in anomalies(some_black(40), schema)
    assert "train/image/blank" in anomalies(some_black(200), schema)


def test_the_text_is_the_schema_and_says_where_it_is_from(proposed):
    statistics, schema = proposed
    text = proposal.to_text(schema, statistics)
    assert text_format.Parse(text, schema_pb2.Schema()) == schema
    assert text.startswith("# Proposed from 1000 examples (train 800, eval 200)")


def test_a_schema_is_read_or_named(proposed, tmp_path):
    statistics, schema = proposed
    path = tmp_path / "schema.pbtxt"
    path.write_text(proposal.to_text(schema, statistics))
    assert proposal.read(str(path)) == schema
    path.write_text("feature: 3")
    with pytest.raises(ValueError, match=r"schema.pbtxt: not a schema"):
        proposal.read(str(path))


def test_the_schema_says_what_a_datum_is(proposed, split):
    assert proposal.spec_of(proposed[1]) == DIGITS
    table = split([row({"b": n, "a": -n}) for n in range(100)])
    spec = DataSpec(columns=("a", "b"))
    assert proposal.spec_of(proposal.propose(table, spec)) == spec

    loose = schema_pb2.Schema()
    loose.CopyFrom(proposed[1])
    next(each for each in loose.feature if each.name == "image/width").int_domain.max = 9
    for schema in (loose, schema_pb2.Schema()):
        with pytest.raises(ValueError, match=r"image/\w+ has no int_domain with one size"):
            proposal.spec_of(schema)


def test_reference_statistics_are_of_what_is_compared_only(proposed):
    statistics, schema = proposed
    kept = proposal.compared(statistics["train"], schema)
    names = {each.path.step[0] for each in kept.datasets[0].features}
    assert names == {"image/class/label", "image/mean", "image/contrast"}
    assert kept.datasets[0].num_examples == 800


COLUMNS = {
    "normal": lambda random, n: random.normal(20, 3, n),
    "far values": lambda random, n: random.lognormal(sigma=1.5, size=n),
    "mostly nothing": lambda random, n: random.gamma(0.5, size=n) * (random.random(n) < 0.3),
    "counts": lambda random, n: random.poisson(2, n),
    "constant": lambda random, n: np.full(n, -273.15),
    "tiny": lambda random, n: random.uniform(1e-30, 2e-30, n),
    "huge": lambda random, n: random.uniform(-2e30, -1e30, n),
}


@pytest.mark.parametrize("draw", COLUMNS.values(), ids=COLUMNS)
def test_columns_pass_their_own_schema_and_keep_their_sign(split, draw):
    values = draw(np.random.default_rng(0), 1000)
    statistics = split([row({"x": float(value)}) for value in values])
    schema = proposal.propose(statistics, DataSpec(columns=("x",)))
    reference = proposal.compared(statistics["train"], schema)
    assert anomalies(statistics, schema, reference=reference) == {}

    (column,) = (each.float_domain for each in schema.feature if each.name == "column/x")
    assert (column.min >= 0) == (values.min() >= 0)
    assert (column.max <= 0) == (values.max() <= 0)
    far = 10 * abs(values).max() + 1
    beyond = split([row({"x": float(value)}) for value in [*values, far, -far]])
    assert "eval/column/x" in anomalies(beyond | {"eval": beyond["train"]}, schema)


def test_fewer_examples_may_differ_more(records, split, proposed):
    def thresholds(schema):
        features = {each.name: each for each in schema.feature}
        divergence = features["image/mean"].drift_comparator.jensen_shannon_divergence
        share = features["image/class/label"].skew_comparator.infinity_norm
        return np.array([divergence.threshold, share.threshold])

    few = proposal.propose(split(records[:200]), DIGITS)
    assert (thresholds(few) > thresholds(proposed[1])).all()
    # What is tolerated of any number of examples.
    assert (thresholds(proposed[1]) > [0.1, 0.05]).all()
