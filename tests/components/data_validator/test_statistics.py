import itertools

import pytest

from components.data import examples, vectors
from components.data_validator import statistics


def test_labels_are_counted_by_class_however_many_they_are(statistics_of):
    records = [examples.ImageRecord(b"", 1, 1, 1, "a", label) for label in [*range(300), 7]]
    found = statistics_of(examples.to_example(record).SerializeToString() for record in records)
    label = statistics.features_of(found)[examples.LABEL]
    counts = statistics.counts(label)
    assert counts == {str(number): 1 + (number == 7) for number in range(300)}
    assert statistics.shares(label)["7"] == 2 / 301


def test_numbers_have_no_counts(statistics_of):
    record = examples.ImageRecord(b"", 1, 1, 1, "a")
    found = statistics_of([examples.to_example(record).SerializeToString()])
    assert statistics.counts(statistics.features_of(found)[examples.HEIGHT]) == {}


@pytest.mark.parametrize("content", [b"", b"feature { name: 'a' }"])
def test_a_file_of_something_else_is_named(tmp_path, content):
    path = tmp_path / "schema.pbtxt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="schema.pbtxt: .*statistics"):
        statistics.read(str(path))


def test_what_is_known_of_all_takes_the_place_of_a_samples(statistics_of):
    rows = [{"n": float(n), "town": "ab"[n % 2]} for n in range(100)]
    sampled = statistics_of(
        vectors.to_example(vectors.VectorRecord(values, "a", 0)).SerializeToString()
        for values in rows
    )
    before = sampled.SerializeToString()
    towns = {"b": 400.0, "a": 300.0, "c": 1.0}
    found = statistics.features_of(
        statistics.complete(
            sampled,
            {"column/town": towns, vectors.LABEL: {"0": 700, "1": 1}, "column/other": {"x": 1}},
            {"column/n": (-5, 1e6), "column/other": (0, 1)},
        )
    )
    assert sampled.SerializeToString() == before
    assert found.keys() == statistics.features_of(sampled).keys()
    assert statistics.counts(found["column/town"]) == towns
    assert statistics.counts(found[vectors.LABEL]) == {"0": 700, "1": 1}
    assert found["column/town"].string_stats.unique == 3
    numbers = found["column/n"].num_stats
    assert (numbers.min, numbers.max, numbers.mean) == (-5, 1e6, 49.5)
    for histogram in numbers.histograms:
        buckets = histogram.buckets
        assert (buckets[0].low_value, buckets[-1].high_value) == (-5, 1e6)
        assert all(a.high_value == b.low_value for a, b in itertools.pairwise(buckets))
