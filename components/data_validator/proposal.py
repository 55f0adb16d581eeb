"""A schema for a new data set, proposed from its statistics for a person to curate.

A proposal describes the data, with a margin for more data of their kind:

- A range of numbers (pixel statistics, columns) is widened by half of its width on each side;
  ranges without negative numbers stay so.
- A threshold of skew (eval against train) or drift (train against earlier data) is a tolerance plus
  four standard deviations of the sampling noise of splits as large as train and the smallest.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data import examples, vectors
from components.data.examples import TRAIN_SPLIT
from components.data.spec import DataSpec
from components.data_validator.checks import SERVING, TRAINING, Statistics
from components.data_validator.statistics import (
    CLASS_NAMES,
    LABELS,
    class_feature,
    features_of,
    shares,
)

_MARGIN = 0.5
# Of a class's share, and of the Jensen-Shannon divergence in bits.
_SHARE_TOLERANCE = 0.05
_DIVERGENCE_TOLERANCE = 0.1
_DEVIATIONS = 4
# Buckets of two merged quantile histograms of ten each.
_BUCKETS = 20
# Least number of examples, as a fraction of the smallest split.
_FEWEST = 0.5
# Ranges by definition of the feature.
_POSSIBLE = {examples.MEAN: (0.0, 1.0), examples.CONTRAST: (0.0, 0.5)}

_HEADER = """\
# Proposed from {count} examples ({splits}): review it, and correct what is wrong.
# A range is the one found, widened by half of its width on each side. A threshold is {share:g} for
# the share of a class or {divergence:g} bits of divergence, plus the noise of samples of this size:
# docs/data.md, "The schema".

"""
_COMMENTS = {
    examples.ENCODED: "As stored: PNG.",
    examples.MEAN: "Mean of all pixel values divided by 255.",
    examples.CONTRAST: "Standard deviation of all pixel values divided by 255.",
    examples.BLANK: "Whether all pixels are the same.",
    examples.HASH: "Hash of the pixels; equal for equal images.",
    examples.DECODE_OK: "ExampleGen rejects images that do not decode.",
    vectors.HASH: "Hash of the numbers; equal for equal rows.",
}

# One feature in each split.
_Found = Sequence[statistics_pb2.FeatureNameStatistics]


def propose(statistics: Mapping[str, Statistics], spec: DataSpec) -> schema_pb2.Schema:
    """A schema that the data pass, unless their eval split differs too much from train.

    Args:
      statistics: by split, made with `statistics.options`.
      spec: what one datum is.
    """
    sizes = _sizes(statistics)
    by_split = [features_of(each) for each in statistics.values()]
    classes = class_feature(statistics[TRAIN_SPLIT])
    schema = schema_pb2.Schema(default_environment=[TRAINING, SERVING])
    for inferred in tfdv.infer_schema(statistics[TRAIN_SPLIT]).feature:
        feature = schema.feature.add(name=inferred.name, type=inferred.type)
        feature.presence.min_fraction = 1
        feature.presence.min_count = 1
        # One value in each example.
        feature.shape.SetInParent()
        found = [features[inferred.name] for features in by_split if inferred.name in features]
        _constrain(feature, found, spec, sizes)
        if feature.name == classes:
            _constrain_classes(feature, found, sizes)
    schema.dataset_constraints.min_examples_count = max(1, int(_FEWEST * min(sizes.values())))
    return schema


def to_text(schema: schema_pb2.Schema, statistics: Mapping[str, Statistics]) -> str:
    """A proposal as text, with comments for whoever curates it.

    Args:
      schema: from `propose`.
      statistics: those that it was proposed from.
    """
    sizes = _sizes(statistics)
    parts = [
        _HEADER.format(
            count=sum(sizes.values()),
            splits=", ".join(f"{split} {size}" for split, size in sizes.items()),
            share=_SHARE_TOLERANCE,
            divergence=_DIVERGENCE_TOLERANCE,
        )
    ]
    for feature in schema.feature:
        comment = _COMMENTS.get(feature.name)
        parts.append(f"# {comment}\n" if comment else "")
        parts.append(text_format.MessageToString(schema_pb2.Schema(feature=[feature])))
    rest = schema_pb2.Schema()
    rest.CopyFrom(schema)
    del rest.feature[:]
    return "".join([*parts, text_format.MessageToString(rest)])


def read(path: str) -> schema_pb2.Schema:
    """The schema in a text file; raises ValueError, naming the file, if it holds none."""
    with tf.io.gfile.GFile(path) as file:
        text = file.read()
    try:
        return text_format.Parse(text, schema_pb2.Schema())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a schema (text of a protocol buffer): {error}") from error


def spec_of(schema: schema_pb2.Schema) -> DataSpec:
    """The `DataSpec` that a schema implies: the argument of `propose`.

    Raises:
      ValueError: for a schema with neither a single image size nor columns.
    """
    features = {feature.name: feature for feature in schema.feature}
    columns = tuple(
        name.removeprefix(vectors.COLUMN) for name in features if name.startswith(vectors.COLUMN)
    )
    if columns:
        return DataSpec(columns=columns)
    sizes = (examples.HEIGHT, examples.WIDTH, examples.CHANNELS)
    for name in sizes:
        domain = features[name].int_domain if name in features else None
        if domain is None or not domain.min == domain.max > 0:
            raise ValueError(
                f"the schema has no column/<name>, and {name} has no int_domain with one size; "
                "give a recipe instead"
            )
    return DataSpec(image_shape=tuple(features[name].int_domain.min for name in sizes))


def compared(statistics: Statistics, schema: schema_pb2.Schema) -> Statistics:
    """The statistics of the features for which the schema has comparators."""
    names = {
        each.name
        for each in schema.feature
        if each.HasField("drift_comparator") or each.HasField("skew_comparator")
    }
    kept = Statistics()
    for dataset in statistics.datasets:
        kept.datasets.add(name=dataset.name, num_examples=dataset.num_examples).features.extend(
            each for each in dataset.features if each.path.step[0] in names
        )
    return kept


def _constrain(
    feature: schema_pb2.Feature, found: _Found, spec: DataSpec, sizes: Mapping[str, int]
) -> None:
    """Sets the domain of a feature."""
    name = feature.name
    fixed = {examples.DECODE_OK: 1}
    if spec.image_shape:
        fixed |= dict(
            zip((examples.HEIGHT, examples.WIDTH, examples.CHANNELS), spec.image_shape, strict=True)
        )
    if name in fixed:
        feature.int_domain.min = feature.int_domain.max = fixed[name]
    elif name == examples.ENCODED:
        feature.image_domain.SetInParent()
    elif name == examples.BLANK:
        feature.string_domain.name = "blank"
        feature.string_domain.value.append(examples.NOT_BLANK)
        blank = max(1 - shares(each).get(examples.NOT_BLANK, 0) for each in found)
        if blank:
            # Twice as many are allowed.
            feature.distribution_constraints.min_domain_mass = max(0.0, _down(1 - 2 * blank))
    elif name in LABELS:
        labels = _values(found, int)
        feature.int_domain.name = "label"
        feature.int_domain.min, feature.int_domain.max = labels[0], labels[-1]
        feature.int_domain.is_categorical = True
        feature.not_in_environment.append(SERVING)
    elif name in CLASS_NAMES:
        feature.string_domain.name = "class"
        feature.string_domain.value.extend(_values(found, str))
        feature.not_in_environment.append(SERVING)
    elif name in (examples.MEAN, examples.CONTRAST) or name.startswith(vectors.COLUMN):
        _constrain_number(feature, found, sizes)


def _values(found: _Found, kind: Callable[[str], Any]) -> list[Any]:
    """The values of all splits, sorted."""
    return sorted({kind(value) for each in found for value in shares(each)})


def _constrain_classes(
    feature: schema_pb2.Feature, found: _Found, sizes: Mapping[str, int]
) -> None:
    """Sets the number of classes, and how far their shares may shift."""
    by_split = [shares(each) for each in found]
    feature.unique_constraints.min = min(map(len, by_split))
    feature.unique_constraints.max = len(set().union(*by_split))
    largest = max(max(split.values()) for split in by_split)
    # Standard deviation of the difference of two shares, largest for the largest class.
    deviation = math.sqrt(largest * (1 - largest) * _per_example(sizes))
    threshold = _up(_SHARE_TOLERANCE + _DEVIATIONS * deviation)
    feature.skew_comparator.infinity_norm.threshold = threshold
    feature.drift_comparator.infinity_norm.threshold = threshold


def _constrain_number(feature: schema_pb2.Feature, found: _Found, sizes: Mapping[str, int]) -> None:
    low = min(each.num_stats.min for each in found)
    high = max(each.num_stats.max for each in found)
    margin = _MARGIN * (high - low)
    signed = (0.0 if low >= 0 else -math.inf, 0.0 if high <= 0 else math.inf)
    least, most = _POSSIBLE.get(feature.name, signed)
    limits = feature.float_domain
    limits.min = max(least, _down(low - margin))
    limits.max = min(most, _up(high + margin))
    limits.disallow_nan = limits.disallow_inf = True
    # For equal distributions 8 times the divergence, in nats, is about (1/n + 1/m) chi-squared.
    freedom = _BUCKETS - 1
    noise = (freedom + _DEVIATIONS * math.sqrt(2 * freedom)) * _per_example(sizes)
    threshold = _up(_DIVERGENCE_TOLERANCE + noise / (8 * math.log(2)))
    for comparator in (feature.skew_comparator, feature.drift_comparator):
        divergence = comparator.jensen_shannon_divergence
        divergence.threshold = threshold
        # With equal widths, one outlier would put all other values into one bucket.
        divergence.source.type = schema_pb2.HistogramSelection.QUANTILES


def _sizes(statistics: Mapping[str, Statistics]) -> dict[str, int]:
    return {split: found.datasets[0].num_examples for split, found in statistics.items()}


def _per_example(sizes: Mapping[str, int]) -> float:
    """1/n + 1/m of train and the smallest split, the noisiest comparison."""
    return 1 / sizes[TRAIN_SPLIT] + 1 / min(sizes.values())


def _down(value: float) -> float:
    """Rounded to three digits, never up."""
    return -_up(-value)


def _up(value: float) -> float:
    """Rounded to three digits, never down."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{math.ceil(value / unit) * unit:.12g}")
