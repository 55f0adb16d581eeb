"""Anomalies and statistics of data as HTML pages."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import tensorflow_data_validation as tfdv
from tensorflow_data_validation.utils import display_util
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.common import templates
from components.data import examples, vectors
from components.data_validator.checks import Statistics
from components.data_validator.statistics import features_of, shares

# In place of a feature's name: anomalies of the whole data set, and rejected records.
DATA_SET, RECORDS = "data set", "records"

REFERENCE = "reference"

# Features that differ in every example, which pages omit.
_OF_ONE_EXAMPLE = (examples.ENCODED, examples.HASH, examples.SOURCE, vectors.HASH, vectors.SOURCE)
# Number of shares shown.
_LARGEST = 12

_ANOMALIES = Path(__file__).with_name("anomalies.html.jinja")
_STATISTICS = Path(__file__).with_name("statistics.html.jinja")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One anomaly: the split, the feature, DATA_SET or RECORDS, what, and why."""

    split: str
    feature: str
    what: str
    why: str


@dataclasses.dataclass(frozen=True)
class ValidationResult:
    """A data set and its anomalies.

    Attributes:
      data: path of the data.
      schema: path of the schema that they were validated against.
      examples: number of examples by split.
      counts: number of rejected records, and of those with warnings, by kind.
      findings: the anomalies; empty for a good data set.
      rejected: source and reason of the first rejected records.
    """

    data: str
    schema: str
    examples: Mapping[str, int]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


def findings(anomalies: Mapping[str, anomalies_pb2.Anomalies]) -> tuple[Finding, ...]:
    """All anomalies, by split and feature."""
    found = []
    for split, proto in anomalies.items():
        listed = sorted(proto.anomaly_info.items())
        if proto.HasField("dataset_anomaly_info"):
            listed.append((DATA_SET, proto.dataset_anomaly_info))
        for name, info in listed:
            found += [
                Finding(split, name, each.short_description, each.description)
                for each in info.reason or [info]
            ]
    return tuple(found)


def anomalies_page(result: ValidationResult) -> str:
    """The anomalies as self-contained HTML."""
    return templates.load(_ANOMALIES).render(result=result)


def statistics_page(
    statistics: Mapping[str, Statistics], reference: Statistics | None = None
) -> str:
    """The statistics as a table, and in TFDV's view beside those of reference data.

    TFDV's view uses Facets, which the browser loads from the network.

    Args:
      statistics: by split.
      reference: statistics of other data, if any.
    """
    shown = {**statistics, **({REFERENCE: reference} if reference else {})}
    first, *others = shown
    features = {name: features_of(each) for name, each in shown.items()}
    rows = {
        feature: [_words(own[feature]) if feature in own else "" for own in features.values()]
        for feature in features[first]
        if feature not in _OF_ONE_EXAMPLE
    }
    frames = {
        f"{first} and {other}": _side_by_side(shown[first], first, shown[other], other)
        for other in others
    }
    return templates.load(_STATISTICS).render(
        columns=list(shown),
        rows={feature: words for feature, words in rows.items() if any(words)},
        frames=frames or {first: _side_by_side(shown[first], first, None, "")},
    )


def _words(feature: statistics_pb2.FeatureNameStatistics) -> str:
    """Mean, standard deviation and range of numbers; shares of categorical values."""
    if feature.HasField("num_stats"):
        found = feature.num_stats
        return f"{found.mean:.4g} ± {found.std_dev:.3g}, {found.min:.4g} to {found.max:.4g}"
    found = shares(feature)
    largest = sorted(found, key=found.__getitem__, reverse=True)[:_LARGEST]
    # In numerical order, so that splits can be compared.
    ordered = sorted(largest, key=lambda value: (len(value), value))
    words = ", ".join(f"{value}: {100 * found[value]:.3g} %" for value in ordered)
    return words + (f" and {len(found) - _LARGEST} more" if len(found) > _LARGEST else "")


def _side_by_side(left: Statistics, left_name: str, right: Statistics | None, name: str) -> str:
    return display_util.get_statistics_html(
        left,
        right,
        left_name,
        name,
        denylist_features=[tfdv.FeaturePath([each]) for each in _OF_ONE_EXAMPLE],
    )
