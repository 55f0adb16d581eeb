import pytest

from components.data import examples
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
