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
from components.data_validator.constraints import most_of
from components.data_validator.statistics import complete, features_of

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


TYPED = DataSpec(
    columns=(
        {"name": "age", "type": "integer", "missing": True},
        {"name": "born", "type": "datetime", "format": "%d.%m.%Y"},
        {"name": "member", "type": "boolean"},
        {"name": "sex", "type": "categorical", "missing": True},
        "wind",
    )
)


def people(count=1000, seed=0, **changes):
    """Records of the columns of TYPED; `changes` of columns are functions of what they hold."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        values = {
            "age": int(random.integers(18, 90)) if random.random() > 0.1 else None,
            "born": int(random.integers(6_000, 12_000)) * 86_400_000_000,
            "member": str(bool(random.random() < 0.3)),
            "sex": str(random.choice(["f", "m"])) if random.random() > 0.01 else None,
            "wind": float(random.gamma(2)),
        }
        for name, change in changes.items():
            values[name] = change(values[name])
        rows.append(row(values))
    return rows


@pytest.fixture(scope="module")
def typed(split):
    """The statistics and schema of people."""
    statistics = split(people())
    return statistics, proposal.propose(statistics, TYPED)


def test_a_schema_knows_types_and_passes_more_of_their_kind(typed, split, tmp_path):
    statistics, schema = typed
    path = tmp_path / "schema.pbtxt"
    path.write_text(proposal.to_text(schema, statistics))
    assert proposal.spec_of(proposal.read(str(path))) == TYPED
    assert "# Microseconds since 1970: " in path.read_text()

    reference = proposal.compared(statistics["train"], schema)
    for each in (statistics, split(people(seed=1))):
        assert anomalies(each, schema, reference=reference) == {}


def test_what_is_allowed_of_columns(typed):
    features = {each.name.removeprefix("column/"): each for each in typed[1].feature}
    assert features["age"].int_domain.min == 0
    assert features["age"].int_domain.max == 125
    assert list(features["sex"].string_domain.value) == ["f", "m"]
    # Twice the share of missing values, and a few where there are hardly any.
    assert 0.75 < features["age"].presence.min_fraction < 0.82
    assert 0.9 < features["sex"].presence.min_fraction < 0.99
    assert features["wind"].presence.min_fraction == features["wind"].presence.min_count == 1
    # Dates before 1970 are none of another sign.
    assert features["born"].int_domain.min > 0


PEOPLE = {
    "a new name": ({"sex": lambda sex: "x" if sex == "f" else sex}, "column/sex"),
    "other shares": ({"member": lambda member: "True"}, "column/member"),
    "lost values": ({"age": lambda age: age if age and age < 50 else None}, "column/age"),
    "a value lost of a complete column": (
        {"wind": lambda wind: wind if wind > 0.3 else None},
        "column/wind",
    ),
    "too old": ({"age": lambda age: age and age * 3}, "column/age"),
    "in the future": ({"born": lambda born: born + 10**15}, "column/born"),
    "of another type": ({"age": lambda age: age and float(age)}, "column/age"),
    "no such column": ({"wind": lambda wind: None}, "column/wind"),
}


@pytest.mark.parametrize(("changes", "feature"), PEOPLE.values(), ids=PEOPLE)
def test_columns_that_are_wrong_do_not_pass(typed, split, changes, feature):
    statistics, schema = typed
    reference = proposal.compared(statistics["train"], schema)
    found = anomalies(split(people(seed=1, **changes)), schema, reference=reference)
    assert {name.partition("/")[2] for name in found} == {feature}
    assert f"train/{feature}" in found


def test_later_dates_are_no_drift_but_skew(typed, split, statistics_of):
    statistics, schema = typed
    later = people(seed=1, born=lambda born: born + 10**14)
    reference = proposal.compared(statistics["train"], schema)
    assert anomalies(split(later), schema, reference=reference) == {}
    mixed = statistics | {"eval": statistics_of(later)}
    assert set(anomalies(mixed, schema)) == {"eval/column/born"}


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


WHOLE = {"train": 48_000, "eval": 12_000}


def test_of_a_sample_pixels_are_not_bound(records, digits, split):
    statistics = split(records)
    schema = proposal.propose(statistics, DIGITS, WHOLE)
    # The size of all of them, which the sample has not.
    assert schema.dataset_constraints.min_examples_count == 6_000
    assert set(anomalies(statistics, schema)) == {"train", "eval"}
    schema = proposal.for_sample(schema)
    assert anomalies(statistics, schema) == {}
    # One in a thousand that is brighter than any, and of one colour.
    white = image(np.full((8, 8), 255, np.uint8), 3)
    assert anomalies(split([*records, white]), schema) == {}
    bounded = proposal.propose(statistics, DIGITS)
    assert {"train/image/mean", "train/image/blank"} <= set(
        anomalies(split([*records, white]), bounded)
    )
    # Many more than a sample can have missed, and a label that none has.
    assert "eval/image/blank" in anomalies(split([*[white] * 60, *records]), schema)
    other = image(digits[0][0], 10)
    assert set(anomalies(split([*records, other]), schema)) == {"train/image/class/label"}


@pytest.mark.parametrize("count", [0, 1, 50])
def test_as_many_as_a_sample_can_have_missed(count):
    most = most_of(count)
    assert count == pytest.approx(most - 4 * most**0.5)
    assert most > count


def test_the_text_says_what_a_sample_leaves_open(proposed):
    statistics, _ = proposed
    schema = proposal.propose(statistics, DIGITS, WHOLE)
    text = proposal.to_text(schema, statistics, WHOLE)
    assert text_format.Parse(text, schema_pb2.Schema()) == schema
    assert "from 1000 examples, a sample of about 60000 (" in text
    assert text.count("Not bound: ") == 2
    assert "Not bound: " not in proposal.to_text(*proposed[::-1])


def test_a_column_without_a_value_in_a_sample_is_allowed(split):
    hardly = people(age=lambda age: None)
    schema = proposal.propose(split(hardly), TYPED, WHOLE)
    assert set(proposal.spec_of(schema).columns) == set(TYPED.columns)
    schema = proposal.for_sample(schema)
    assert anomalies(split(people(seed=1)), schema) == {}
    assert anomalies(split(hardly), schema) == {}
    # Without a sample, there is none.
    known = {each.name for each in proposal.propose(split(hardly), TYPED).feature}
    assert "column/age" not in known


def test_tails_that_a_sample_lacks_are_no_drift(split):
    random = np.random.default_rng(0)
    values = random.standard_cauchy(20_000) ** 3
    every = [row({"tail": float(value)}) for value in np.clip(values, -1e30, 1e30)]
    spec = DataSpec(columns=["tail"])
    whole, sample = split(every), split(every[::10])
    numbers = features_of(whole["train"])["column/tail"].num_stats
    for ranges, drifted in (({}, True), ({"column/tail": (numbers.min, numbers.max)}, False)):
        known = {split: complete(each, {}, ranges) for split, each in sample.items()}
        schema = proposal.propose(known, spec, WHOLE)
        reference = proposal.compared(known["train"], schema)
        found = anomalies(whole, proposal.for_sample(schema), reference=reference)
        assert ("train/column/tail" in found) is drifted
