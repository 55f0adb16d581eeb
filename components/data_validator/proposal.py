"""A schema for a new data set, proposed from its statistics for a person to curate.

A proposal describes the data, with a margin for more data of their kind:

- A range of numbers (pixel statistics, columns) is widened by half of its width on each side;
  ranges without negative numbers stay so.
- Names in a column are those found; where values are missing, up to twice as many may be.
- A threshold of skew (eval against train) or drift (train against earlier data) is a tolerance plus
  four standard deviations of the sampling noise of splits as large as train and the smallest.

Of a sample (`whole`), a proposal demands nothing that the other examples may not fulfil: pixel
statistics may take any value, and as many images may be blank as such a sample can have missed.
Classes, and names and ranges of columns, are those of all data: `statistics.complete`.
"""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data import examples, vectors
from components.data.examples import TRAIN_SPLIT
from components.data.spec import DataSpec
from components.data_validator import columns
from components.data_validator.checks import SERVING, TRAINING, Statistics
from components.data_validator.constraints import (
    DIVERGENCE_TOLERANCE,
    SHARE_TOLERANCE,
    Found,
    compare_shares,
    constrain_number,
    down,
    most_of,
    values_of,
)
from components.data_validator.statistics import (
    CLASS_NAMES,
    LABELS,
    class_feature,
    counts,
    features_of,
    shares,
)

# Least number of examples, as a fraction of the smallest split.
_FEWEST = 0.5
# Ranges by definition of the feature.
_POSSIBLE = {examples.MEAN: (0.0, 1.0), examples.CONTRAST: (0.0, 0.5)}

_HEADER = """\
# Proposed from {count} examples{of} ({splits}): review it, and correct what is wrong.
# A range is the one found, widened by half of its width on each side. A threshold is {share:g} for
# the share of a class or name, or {divergence:g} bits of divergence, plus the noise of samples of
# this size: docs/data.md, "The schema".

"""
_OF_SAMPLE = ", a sample of about {count}"
_UNBOUNDED = "Not bound: of a sample, the extremes are not known."
# What is left open of a sample.
_OPEN = {
    examples.MEAN: _UNBOUNDED,
    examples.CONTRAST: _UNBOUNDED,
    examples.BLANK: "As many may be as a sample can have missed.",
}
_COMMENTS = {
    examples.ENCODED: "As stored: PNG.",
    examples.MEAN: "Mean of all pixel values divided by 255.",
    examples.CONTRAST: "Standard deviation of all pixel values divided by 255.",
    examples.BLANK: "Whether all pixels are the same.",
    examples.HASH: "Hash of the pixels; equal for equal images.",
    examples.DECODE_OK: "ExampleGen rejects images that do not decode.",
    vectors.HASH: "Hash of the values; equal for equal rows.",
}


def propose(
    statistics: Mapping[str, Statistics], spec: DataSpec, whole: Mapping[str, int] | None = None
) -> schema_pb2.Schema:
    """A schema that the data pass, unless their eval split differs too much from train.

    Args:
      statistics: by split, made with `statistics.options`.
      spec: what one datum is.
      whole: if the statistics are of a sample, by split, how many examples there are in all.
    """
    sizes = _sizes(statistics)
    by_split = [features_of(each) for each in statistics.values()]
    classes = class_feature(statistics[TRAIN_SPLIT])
    known = {vectors.COLUMN + column.name: column for column in spec.columns or ()}
    schema = schema_pb2.Schema(default_environment=[TRAINING, SERVING])
    for inferred in tfdv.infer_schema(statistics[TRAIN_SPLIT]).feature:
        feature = schema.feature.add(name=inferred.name, type=inferred.type)
        feature.presence.min_fraction = 1
        feature.presence.min_count = 1
        # One value in each example.
        feature.shape.SetInParent()
        found = [features[inferred.name] for features in by_split if inferred.name in features]
        _constrain(feature, found, spec, sizes)
        if whole is not None:
            _open(feature, found)
        if feature.name == classes:
            _constrain_classes(feature, found, sizes)
        if feature.name in known:
            columns.constrain(feature, found, known[feature.name], sizes)
    unseen = known.keys() - {feature.name for feature in schema.feature} if whole else ()
    for name in sorted(unseen):
        columns.allow(schema.feature.add(name=name), known[name])
    fewest = min((whole or sizes).values())
    schema.dataset_constraints.min_examples_count = max(1, int(_FEWEST * fewest))
    return schema


def for_sample(schema: schema_pb2.Schema) -> schema_pb2.Schema:
    """The part of a proposal that holds for the sample it is from: not the number of examples."""
    found = schema_pb2.Schema()
    found.CopyFrom(schema)
    found.ClearField("dataset_constraints")
    return found


def to_text(
    schema: schema_pb2.Schema,
    statistics: Mapping[str, Statistics],
    whole: Mapping[str, int] | None = None,
) -> str:
    """A proposal as text, with comments for whoever curates it.

    Args:
      schema: from `propose`.
      statistics, whole: those that it was proposed from.
    """
    sizes = _sizes(statistics)
    parts = [
        _HEADER.format(
            count=sum(sizes.values()),
            of=_OF_SAMPLE.format(count=sum(whole.values())) if whole else "",
            splits=", ".join(f"{split} {size}" for split, size in sizes.items()),
            share=SHARE_TOLERANCE,
            divergence=DIVERGENCE_TOLERANCE,
        )
    ]
    for feature in schema.feature:
        comment = _COMMENTS.get(feature.name) or columns.dates_of(feature)
        if whole and feature.name in _OPEN:
            comment = f"{comment} {_OPEN[feature.name]}"
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
    found = tuple(
        columns.column_of(feature)
        for name, feature in features.items()
        if name.startswith(vectors.COLUMN)
    )
    if found:
        return DataSpec(columns=found)
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
    feature: schema_pb2.Feature, found: Found, spec: DataSpec, sizes: Mapping[str, int]
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
            feature.distribution_constraints.min_domain_mass = max(0.0, down(1 - 2 * blank))
    elif name in LABELS:
        labels = values_of(found, int)
        feature.int_domain.name = "label"
        feature.int_domain.min, feature.int_domain.max = labels[0], labels[-1]
        feature.int_domain.is_categorical = True
        feature.not_in_environment.append(SERVING)
    elif name in CLASS_NAMES:
        feature.string_domain.name = "class"
        feature.string_domain.value.extend(values_of(found, str))
        feature.not_in_environment.append(SERVING)
    elif name in _POSSIBLE:
        constrain_number(feature, found, sizes, _POSSIBLE[name])


def _open(feature: schema_pb2.Feature, found: Found) -> None:
    """Allows what a sample may have missed."""
    if feature.name in _POSSIBLE:
        feature.float_domain.min, feature.float_domain.max = _POSSIBLE[feature.name]
    elif feature.name == examples.BLANK:
        missed = []
        for each in found:
            seen = counts(each)
            total = sum(seen.values())
            missed.append(most_of(total - seen.get(examples.NOT_BLANK, 0)) / total)
        mass = max(0.0, down(1 - 2 * max(missed)))
        feature.distribution_constraints.min_domain_mass = mass


def _constrain_classes(feature: schema_pb2.Feature, found: Found, sizes: Mapping[str, int]) -> None:
    """Sets the number of classes, and how far their shares may shift."""
    by_split = [shares(each) for each in found]
    feature.unique_constraints.min = min(map(len, by_split))
    feature.unique_constraints.max = len(set().union(*by_split))
    compare_shares(feature, by_split, sizes)


def _sizes(statistics: Mapping[str, Statistics]) -> dict[str, int]:
    return {split: found.datasets[0].num_examples for split, found in statistics.items()}
