import numpy as np
import pytest

from components.data.columns import Column
from components.trainer.data import conditions
from components.trainer.data.encoding import Encoding

COLUMNS = (
    Column(name="age"),
    Column(name="job", type="categorical", missing=True),
    Column(name="sex", type="categorical"),
)
CATEGORIES = {"job": ("cook", "poet"), "sex": ("f", "m")}


@pytest.fixture(scope="module")
def encoding():
    rng = np.random.default_rng(0)
    codes = np.stack(
        [rng.normal(size=1000), rng.choice(2, 1000, p=[0.97, 0.03]), rng.integers(0, 2, 1000)], 1
    )
    codes[:5, 1] = np.nan
    return Encoding.learn(codes, COLUMNS, CATEGORIES), codes


@pytest.fixture(scope="module")
def source(encoding):
    learnt, codes = encoding
    return conditions.by_column(learnt.encode(codes), learnt)


def test_conditions_are_the_values_of_discrete_columns(encoding, source):
    learnt, codes = encoding
    assert learnt.condition_names == {
        0: "job=cook",
        1: "job=poet",
        2: "job=",
        3: "sex=f",
        4: "sex=m",
    }
    assert source.num_classes == 5
    female = (codes[:, 2] == 0).mean() / 2
    assert source.class_shares[2:4] == pytest.approx([0.0025, female])


def fulfilled(vectors, labels, encoding):
    places = np.concatenate([list(group) for group in encoding.conditions])
    return vectors[np.arange(len(vectors)), places[labels]]


def test_rows_fulfil_their_conditions_and_rare_ones_are_frequent(encoding, source):
    batches = source.batches(500, 0, seed=1, own=slice(None)).take(40)
    real, labels = (
        np.concatenate([batch[name] for batch in batches.as_numpy_iterator()])
        for name in ("real", "labels")
    )

    assert (fulfilled(real, labels, encoding[0]) == 1).all()
    counts = np.log1p([(encoding[1][:, 1] == 0).sum(), (encoding[1][:, 1] == 1).sum(), 5])
    expected = [*(counts / counts.sum() / 2), 0.25, 0.25]
    np.testing.assert_allclose(np.bincount(labels) / len(labels), expected, atol=0.015)


def test_chances_are_those_of_the_authors():
    """What `DataSampler` of ctgan 0.12.1 gives the cuts of 3000 diamonds, log_frequency=True."""
    counts, theirs = [1190, 765, 697, 244, 104], [0.23277, 0.21826, 0.21521, 0.1808, 0.15295]
    codes = np.repeat(np.arange(5.0), counts)[:, np.newaxis]
    columns, names = [Column(name="cut", type="categorical")], {"cut": tuple("abcde")}
    learnt = Encoding.learn(codes, columns, names)

    found = conditions.by_column(learnt.encode(codes), learnt).chances

    np.testing.assert_allclose(found, theirs, atol=5e-6)


def test_batches_go_on_where_they_were_and_workers_share_them(source):
    def batch(first, own=slice(None)):
        return next(source.batches(10, first, seed=1, own=own).as_numpy_iterator())

    third = list(source.batches(10, 0, seed=1, own=slice(None)).take(3).as_numpy_iterator())[2]
    for name in ("real", "labels"):
        np.testing.assert_array_equal(batch(2)[name], third[name])
        np.testing.assert_array_equal(batch(2, slice(4, 7))[name], third[name][4:7])
        assert (batch(1)[name] != third[name]).any()


def test_a_sample_has_the_shares_of_the_data(encoding, source):
    rows, labels = source.take(800, seed=3)

    assert (fulfilled(rows, labels, encoding[0]) == 1).all()
    np.testing.assert_allclose(np.bincount(labels) / 800, source.class_shares, atol=0.06)


def test_without_discrete_columns_there_is_nothing_to_ask_for():
    learnt = Encoding.learn(np.ones((3, 1)), ["age"])
    with pytest.raises(ValueError, match=r"conditioning\.by: .* no categorical or boolean column"):
        conditions.by_column(learnt.encode(np.ones((3, 1))), learnt)
