"""What the components of several stages share: split files and the anomalies gate."""

import os
from collections.abc import Sequence

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.types import artifact_utils

# As in the artifact of TFX's ExampleValidator, which DataValidator produces.
ANOMALIES_FILE = "SchemaDiff.pb"


def split_files(examples: Sequence[types.Artifact], split: str) -> list[str]:
    """The TFRecord files of one split; raises ValueError if there are none."""
    known = artifact_utils.decode_split_names(examples[0].split_names)
    if split not in known:
        raise ValueError(f"the examples have no split {split!r}, only {', '.join(known)}")
    files = [
        path
        for uri in artifact_utils.get_split_uris(examples, split)
        for path in sorted(tf.io.gfile.glob(os.path.join(uri, "*")))
    ]
    if not files:
        raise ValueError(f"split {split!r} of the examples holds no file")
    return files


def refuse_anomalies(anomalies: Sequence[types.Artifact]) -> None:
    """Raises ValueError that lists every anomaly by split and feature, if there are any."""
    found = []
    for artifact in anomalies:
        blessed = artifact.get_json_value_custom_property("blessed") or {}
        for split in artifact_utils.decode_split_names(artifact.split_names):
            if blessed.get(split) == 1:
                continue
            uri = artifact_utils.get_split_uri([artifact], split)
            proto = anomalies_pb2.Anomalies()
            with tf.io.gfile.GFile(os.path.join(uri, ANOMALIES_FILE), "rb") as file:
                proto.ParseFromString(file.read())
            found += in_words(split, proto) or [f"split {split!r}: not validated"]
    if found:
        raise ValueError(f"the data has anomalies and is refused: {'; '.join(found)}")


def in_words(split: str, anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Every anomaly of a split, one line each."""
    words = [
        f"split {split!r}: feature {name!r}: {info.short_description}: {info.description}"
        for name, info in sorted(anomalies.anomaly_info.items())
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        info = anomalies.dataset_anomaly_info
        words.append(f"split {split!r}: data set: {info.short_description}: {info.description}")
    return words
