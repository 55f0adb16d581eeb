"""What a schema proposes for the columns of a table, and which columns a schema describes."""

import datetime
from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import schema_pb2

from components.data import datetimes, vectors
from components.data.columns import COLUMN_TYPES, Column
from components.data_validator.checks import MOST_COUNTED
from components.data_validator.constraints import (
    Found,
    compare_shares,
    constrain_number,
    down,
    values_of,
)
from components.data_validator.statistics import common_stats, shares

# Share of missing values that is allowed where some may be missing, if hardly any are.
_FEW_MISSING = 0.02
# Tags of the annotation of a column: what the type of a feature does not tell.
_TYPE, _FORMAT = "type=", "format="
# The type of a column that has no tag.
_TYPES = {
    schema_pb2.FLOAT: "number",
    schema_pb2.INT: "integer",
    schema_pb2.BYTES: "categorical",
}
_DATETIMES = (
    float(datetimes.microseconds(datetime.date.min)),
    float(datetimes.microseconds(datetime.date.max)),
)


def constrain(
    feature: schema_pb2.Feature, found: Found, column: Column, sizes: Mapping[str, int]
) -> None:
    """Sets the domain, the presence and the comparators of a column of a table."""
    if column.missing:
        # A split without any value does not know the feature.
        there = [common_stats(each).num_non_missing for each in found]
        there += [0] * (len(sizes) - len(found))
        missing = 1 - min(count / size for count, size in zip(there, sizes.values(), strict=True))
        feature.presence.min_fraction = max(0.0, down(1 - max(2 * missing, _FEW_MISSING)))
        # A feature of a fixed shape must be in every example.
        feature.ClearField("shape")
        feature.value_count.min = feature.value_count.max = 1
    _tag(feature, column)
    if column.kind.discrete:
        names = values_of(found, str)
        # Beyond this, the statistics count only the most frequent names.
        if len(names) < MOST_COUNTED:
            feature.string_domain.name = column.name
            feature.string_domain.value.extend(names)
        compare_shares(feature, [shares(each) for each in found], sizes)
    elif column.type == "datetime":
        constrain_number(feature, found, sizes, _DATETIMES)
        # Later data are of later times.
        feature.ClearField("drift_comparator")
    else:
        constrain_number(feature, found, sizes)


def allow(feature: schema_pb2.Feature, column: Column) -> None:
    """Allows a column of which a sample has no value: it may be missing, and hold anything."""
    stored = column.kind.feature
    feature.type = next(
        kind for kind, name in _TYPES.items() if COLUMN_TYPES.get(name).feature == stored
    )
    feature.presence.min_fraction = 0
    feature.value_count.min = feature.value_count.max = 1
    _tag(feature, column)


def _tag(feature: schema_pb2.Feature, column: Column) -> None:
    """Notes what the type of the feature does not tell."""
    if column.type != _TYPES[feature.type]:
        feature.annotation.tag.append(_TYPE + column.type)
    if column.format:
        feature.annotation.tag.append(_FORMAT + column.format)


def column_of(feature: schema_pb2.Feature) -> Column:
    """The column of a feature; the inverse of `constrain`."""
    tags = feature.annotation.tag

    def tagged(prefix: str, default: str | None) -> str | None:
        return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), default)

    return Column(
        name=feature.name.removeprefix(vectors.COLUMN),
        type=tagged(_TYPE, _TYPES[feature.type]),
        format=tagged(_FORMAT, None),
        missing=feature.presence.min_fraction < 1,
    )


def dates_of(feature: schema_pb2.Feature) -> str | None:
    """The range of a column of datetimes in their format, as a comment; else None."""
    if not feature.name.startswith(vectors.COLUMN):
        return None
    column = column_of(feature)
    if column.type != "datetime" or not feature.HasField("int_domain"):
        return None
    low, high = (
        column.kind.text(column, moment)
        for moment in (feature.int_domain.min, feature.int_domain.max)
    )
    return f"Microseconds since 1970: {low} to {high}."
