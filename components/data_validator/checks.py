"""All checks of a data set, based on its statistics."""

import itertools
from collections.abc import Container, Mapping, Sequence
from typing import TypeAlias

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data import examples, notes, vectors
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data.notes import Noted
from components.data_validator.config import ValidationConfig
from components.data_validator.statistics import (
    LABELS,
    class_feature,
    counts,
    features_of,
    shares,
)

# Environments of a schema: training data, and inputs of a deployed model.
TRAINING, SERVING = "TRAINING", "SERVING"

Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList

_Info = anomalies_pb2.AnomalyInfo
_Measurement = anomalies_pb2.DriftSkewInfo.Measurement
# Anomalies found by the schema's comparators, and the measurements they are based on.
_COMPARED = {number for name, number in _Info.Type.items() if name.startswith("COMPARATOR_")}
_MEASURED = {
    _Info.COMPARATOR_L_INFTY_HIGH: _Measurement.L_INFTY,
    _Info.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH: _Measurement.JENSEN_SHANNON_DIVERGENCE,
}
# Kind of a warning, its feature, title and description of too many of them, and the remedy.
_NOTES = (
    (
        notes.DUPLICATE,
        (examples.HASH, vectors.HASH),
        "Duplicates",
        "repeat another of their split",
        "data.drop_duplicates: true removes them",
    ),
    (
        notes.MISNAMED,
        (examples.SOURCE, vectors.SOURCE),
        "Misnamed files",
        "are files of another format than their names suggest",
        "rename them",
    ),
)
_NAMED = 3
# No random split puts so many examples of one class into eval and none into train.
_FEWEST_UNSEEN = 20
# Classes, or names in a column, whose examples TFDV counts; of more it keeps the most frequent.
MOST_COUNTED = 1000


def validate(
    statistics: Mapping[str, Statistics],
    schema: schema_pb2.Schema,
    noted: Mapping[str, Noted],
    config: ValidationConfig,
    *,
    previous: Statistics | None = None,
    reference: Statistics | None = None,
    environment: str = TRAINING,
) -> dict[str, anomalies_pb2.Anomalies]:
    """Anomalies by split; a split without any has an empty message.

    Anomalies of all splits together are reported for train, or for the only split.

    Args:
      statistics: by split, made with `statistics.options`; in TRAINING, of train and eval.
      schema: of the data; its comparators limit how far splits, spans and the reference may differ.
      noted: ExampleGen's per-record warnings by kind, from `notes.read`.
      config: the recipe's section `validation`.
      previous: statistics of the train split of an earlier span.
      reference: those of the train split of the data that the schema was made from; in SERVING,
        of the model's training data.
      environment: TRAINING, or SERVING for inputs of a deployed model, of which every split is
        compared with `reference`.
    """
    checked = environment if environment in schema.default_environment else None
    found = {
        split: tfdv.validate_statistics(each, schema, checked) for split, each in statistics.items()
    }
    whole = TRAIN_SPLIT if TRAIN_SPLIT in found else next(iter(found))
    _check_notes(found[whole], statistics, noted, config)

    def compare(split: str, control: Statistics | None, name: str, comparator: str) -> None:
        if control is not None:
            subject = f"{split} against {name}"
            _check_shift(
                found[split], subject, statistics[split], control, schema, checked, comparator
            )

    if environment == SERVING:
        for split in statistics:
            compare(split, reference, "the training data", "skew_comparator")
    else:
        for split, each in statistics.items():
            _name_missing_classes(found[split], each, schema)
        # Not for eval, which may be small: comparing it with train suffices.
        _check_balance(found[TRAIN_SPLIT], statistics[TRAIN_SPLIT], config)
        _check_unseen(found[EVAL_SPLIT], statistics)
        compare(EVAL_SPLIT, statistics[TRAIN_SPLIT], TRAIN_SPLIT, "skew_comparator")
        compare(TRAIN_SPLIT, previous, "the last good span", "drift_comparator")
        compare(TRAIN_SPLIT, reference, "the reference", "drift_comparator")
    return found


def _name_missing_classes(
    anomalies: anomalies_pb2.Anomalies, statistics: Statistics, schema: schema_pb2.Schema
) -> None:
    """Names the missing classes; TFDV itself reports only their number."""
    low = _Info.FEATURE_TYPE_LOW_UNIQUE
    name, found = _classes(statistics)
    if not found:
        return
    said = anomalies.anomaly_info[name].reason if name in anomalies.anomaly_info else ()
    missing = _missing(schema, name, found)
    if missing and any(reason.type == low for reason in said):
        _add(
            _info_of(anomalies, name),
            low,
            "Classes missing",
            f"No example has label {missing}; add some, or lower unique_constraints in the schema.",
        )


def _check_balance(
    anomalies: anomalies_pb2.Anomalies, statistics: Statistics, config: ValidationConfig
) -> None:
    name, found = _classes(statistics)
    if not found:
        return
    # In numerical order: ties go to the first label.
    in_order = sorted(found, key=lambda label: (len(label), label))
    rare, common = (of(in_order, key=found.__getitem__) for of in (min, max))
    if found[rare] < config.min_class_balance * found[common]:
        _add(
            _info_of(anomalies, name),
            _Info.UNKNOWN_TYPE,
            "Classes out of balance",
            f"Label {rare} has {found[rare]:g} examples, label {common} has {found[common]:g}; "
            f"the smallest class must have at least {config.min_class_balance:g} of the largest "
            "(validation.min_class_balance).",
        )


def _check_unseen(anomalies: anomalies_pb2.Anomalies, statistics: Mapping[str, Statistics]) -> None:
    """Refuses classes that a generator would be asked for without ever having seen them."""
    held_out = _unseen(statistics)
    many = [label for label, count in held_out.items() if count >= _FEWEST_UNSEEN]
    if many:
        total = sum(held_out[label] for label in many)
        _add(
            _info_of(anomalies, _classes(statistics[EVAL_SPLIT])[0]),
            _Info.UNKNOWN_TYPE,
            "Classes only in eval",
            f"No example of train has label {_first(many)}, but {total:g} of eval have; "
            "divide the data again, or leave these classes out.",
        )


def empty_classes(statistics: Mapping[str, Statistics]) -> list[str]:
    """Warnings about classes that a conditional generator will not learn, one line each.

    No anomalies: for training without labels they do not matter.
    """
    lines = []
    if few := list(_unseen(statistics)):
        lines.append(
            f"class {_first(few)}: in eval only; a conditional generator will not learn it"
        )
    features = features_of(statistics[TRAIN_SPLIT])
    labels = {int(label) for name in LABELS if name in features for label in counts(features[name])}
    # Beyond this, the statistics count only the most frequent labels.
    highest = max(labels, default=0) if len(labels) < MOST_COUNTED else 0
    # A label may be huge.
    missing = (str(label) for label in range(highest) if label not in labels)
    if gaps := list(itertools.islice(missing, _NAMED + 1)):
        lines.append(
            f"label {_first(gaps)}: no example of train, but of higher labels; a conditional "
            "generator will not learn it"
        )
    return lines


def _unseen(statistics: Mapping[str, Statistics]) -> dict[str, float]:
    """The classes that only eval has, and their examples."""
    (name, seen), (same, held_out) = (_classes(statistics[s]) for s in (TRAIN_SPLIT, EVAL_SPLIT))
    if not seen or name != same or len(seen) >= MOST_COUNTED:
        return {}
    return {label: count for label, count in held_out.items() if label not in seen}


def _first(labels: Sequence[str]) -> str:
    return ", ".join([*labels[:_NAMED], *(["…"] if len(labels) > _NAMED else [])])


def _classes(statistics: Statistics) -> tuple[str, dict[str, float]]:
    """The feature with the classes, and the examples of each; both empty if there are none."""
    name = class_feature(statistics) or ""
    return name, counts(features_of(statistics)[name]) if name else {}


def _check_notes(
    anomalies: anomalies_pb2.Anomalies,
    statistics: Mapping[str, Statistics],
    noted: Mapping[str, Noted],
    config: ValidationConfig,
) -> None:
    """Compares the counts of ExampleGen's notes with their limits."""
    total = sum(each.datasets[0].num_examples for each in statistics.values())
    features = features_of(next(iter(statistics.values())))
    for kind, names, short, words, remedy in _NOTES:
        found, most = noted.get(kind, Noted()), getattr(config, f"max_{kind}_fraction")
        if found.count > most * total:
            _add(
                _info_of(anomalies, next(name for name in names if name in features)),
                _Info.UNKNOWN_TYPE,
                short,
                f"{found.count} of {total} examples {words} ({', '.join(found.sources)}"
                f"{', …' if found.count > len(found.sources) else ''}); the largest fraction "
                f"allowed is {most:g} (validation.max_{kind}_fraction); {remedy}.",
            )


def _check_shift(
    anomalies: anomalies_pb2.Anomalies,
    subject: str,
    current: Statistics,
    control: Statistics,
    schema: schema_pb2.Schema,
    environment: str | None,
    comparator: str,
) -> None:
    """Adds an anomaly for each feature whose distribution differs from that in `control`."""
    skew = comparator == "skew_comparator"
    options = {"serving_statistics" if skew else "previous_statistics": control}
    compared = tfdv.validate_statistics(current, schema, environment, **options)
    measured = {
        ("/".join(info.path.step), each.type): each
        for info in compared.drift_skew_info
        for each in (*info.skew_measurements, *info.drift_measurements)
    }
    now, then = features_of(current), features_of(control)
    for name, info in compared.anomaly_info.items():
        path = "/".join(info.path.step)
        for reason in info.reason:
            if reason.type not in _COMPARED:
                continue
            words = reason.description
            if reason.type in _MEASURED:
                measure = measured[path, _MEASURED[reason.type]]
                words = (
                    f"{_difference(now[path], then[path], measure)}; the schema's {comparator} "
                    f"allows {measure.threshold:.3g}; raise it if this is intended."
                )
            _add(
                _info_of(anomalies, name),
                reason.type,
                "Another distribution",
                f"{subject}: {words}",
            )
    for reason in compared.dataset_anomaly_info.reason:
        if reason.type in _COMPARED:
            words = f"{subject}: {reason.description}"
            _add(anomalies.dataset_anomaly_info, reason.type, reason.short_description, words)


def _difference(
    now: statistics_pb2.FeatureNameStatistics,
    then: statistics_pb2.FeatureNameStatistics,
    measure: anomalies_pb2.DriftSkewInfo.Measurement,
) -> str:
    if measure.type == _Measurement.L_INFTY:
        share, earlier = shares(now), shares(then)
        value = max(
            sorted(share.keys() | earlier.keys()),
            key=lambda value: abs(share.get(value, 0) - earlier.get(value, 0)),
        )
        return f"the share of {value} is {share.get(value, 0):.3g}, not {earlier.get(value, 0):.3g}"
    words = f"Jensen-Shannon divergence {measure.value:.3g}"
    if now.HasField("num_stats"):
        words += f", mean {now.num_stats.mean:.3g}, not {then.num_stats.mean:.3g}"
    return words


def _missing(schema: schema_pb2.Schema, name: str, found: Container[str]) -> str:
    """The first labels of the schema that no example has."""
    known = itertools.chain.from_iterable(
        # A range may be long.
        map(str, range(feature.int_domain.min, feature.int_domain.max + 1))
        if feature.HasField("int_domain")
        else feature.string_domain.value
        for feature in schema.feature
        if feature.name == name
    )
    missing = (label for label in known if label not in found)
    return _first(list(itertools.islice(missing, _NAMED + 1)))


def _info_of(anomalies: anomalies_pb2.Anomalies, name: str) -> anomalies_pb2.AnomalyInfo:
    """The anomaly entry of a feature, added if missing."""
    if name not in anomalies.anomaly_info:
        anomalies.anomaly_info[name].path.step.append(name)
    return anomalies.anomaly_info[name]


def _add(info: anomalies_pb2.AnomalyInfo, kind: int, short: str, description: str) -> None:
    """Adds a reason to an entry, as TFDV does."""
    info.short_description = "Multiple errors" if info.reason else short
    info.reason.add(type=kind, short_description=short, description=description)
    info.description = " ".join(reason.description for reason in info.reason)
    info.severity = _Info.ERROR
