"""Statistics of a data set: the options of StatisticsGen, and access to its results."""

from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.common import files
from components.data import examples, vectors

LABELS = (examples.LABEL, vectors.LABEL)
CLASS_NAMES = (examples.CLASS_NAME, vectors.CLASS_NAME)


def options() -> tfdv.StatsOptions:
    """Options of StatisticsGen.

    Integer labels are declared categorical, so that each is counted: class balance and label shift
    are computed from the counts.
    """
    labels = [
        schema_pb2.Feature(
            name=name, type=schema_pb2.INT, int_domain=schema_pb2.IntDomain(is_categorical=True)
        )
        for name in LABELS
    ]
    return tfdv.StatsOptions(
        schema=schema_pb2.Schema(feature=labels),
        enable_semantic_domain_stats=True,
        # Exact counts would keep every image, since no two are equal.
        use_sketch_based_topk_uniques=True,
    )


def read(path: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics in a binary file; raises ValueError, naming the file, if it holds none."""
    try:
        found = statistics_pb2.DatasetFeatureStatisticsList.FromString(files.read(path))
    except DecodeError as error:
        raise ValueError(f"{path}: not a file of statistics") from error
    if not found.datasets:
        raise ValueError(f"{path}: the file holds no statistics")
    return found


def features_of(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    """The features by name."""
    return {"/".join(each.path.step): each for each in statistics.datasets[0].features}


def common_stats(
    feature: statistics_pb2.FeatureNameStatistics,
) -> statistics_pb2.CommonStatistics:
    """The counts that features of all types have."""
    return getattr(feature, feature.WhichOneof("stats")).common_stats


def class_feature(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> str | None:
    """The feature with the classes: their names if there are any, else their labels.

    Names stay the same if a class is missing; later labels do not.
    """
    features = features_of(statistics)
    return next((name for name in (*CLASS_NAMES, *LABELS) if name in features), None)


def counts(feature: statistics_pb2.FeatureNameStatistics) -> dict[str, float]:
    """Number of examples by value; empty for a feature whose values are not counted."""
    return {
        bucket.label: bucket.sample_count for bucket in feature.string_stats.rank_histogram.buckets
    }


def shares(feature: statistics_pb2.FeatureNameStatistics) -> dict[str, float]:
    """Fractions of the examples by value; see `counts`."""
    found = counts(feature)
    total = sum(found.values())
    return {value: count / total for value, count in found.items()}


def complete(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    counted: Mapping[str, Mapping[str, float]],
    ranges: Mapping[str, tuple[float, float]],
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics of a sample, with what is known of all examples in place of the sample's.

    Args:
      statistics: of a split.
      counted: by feature, examples by value.
      ranges: by feature of numbers, the least and the largest.
    """
    found = statistics_pb2.DatasetFeatureStatisticsList()
    found.CopyFrom(statistics)
    features = features_of(found)
    for name in counted.keys() & features.keys():
        values = features[name].string_stats
        values.unique = len(counted[name])
        histogram = values.rank_histogram
        del histogram.buckets[:]
        in_order = sorted(counted[name].items(), key=lambda item: (-item[1], item[0]))
        for rank, (value, count) in enumerate(in_order):
            histogram.buckets.add(low_rank=rank, high_rank=rank, label=value, sample_count=count)
    for name in ranges.keys() & features.keys():
        numbers = features[name].num_stats
        numbers.min, numbers.max = low, high = ranges[name]
        # Else the tails of a histogram alone would tell a sample of long ones from the whole.
        for histogram in numbers.histograms:
            if histogram.buckets:
                histogram.buckets[0].low_value, histogram.buckets[-1].high_value = low, high
    return found
