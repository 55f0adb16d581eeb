"""What the components of several stages share: split files, the anomalies gate, lookups."""

import abc
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.dsl.components.base import base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils

from components.common import files

# As in the artifact of TFX's ExampleValidator, which DataValidator produces.
ANOMALIES_FILE = "SchemaDiff.pb"

# A custom property of artifacts in a pod, whose `uri` is the folder that they were staged to.
ADDRESS = "address"

_BLESSED = "blessed_"


class LookupDriver(base_driver.BaseDriver, abc.ABC):
    """Looks before TFX asks its cache, so that an answer that is the same is the same artifact.

    For tasks whose answer does not follow from their inputs: which data are there now, which models
    were blessed. Only LocalDagRunner runs drivers. Elsewhere such a task is never cached, and the
    stages that take its answers as parameters are cached by the answers' values.
    """

    @abc.abstractmethod
    def look(
        self, inputs: Mapping[str, types.Artifact], parameters: Mapping[str, Any]
    ) -> Mapping[str, object]:
        """The task's outputs."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Passes the answer on in the parameter `found`."""
        inputs = {name: artifacts[0] for name, artifacts in execution_info.input_dict.items()}
        found = self.look(inputs, execution_info.exec_properties)
        output = driver_output_pb2.DriverOutput()
        output.exec_properties["found"].string_value = json.dumps(found)
        return output


def address(artifact: types.Artifact) -> str:
    """The URI of an artifact that also holds outside of the pod that reads it."""
    return artifact.get_string_custom_property(ADDRESS) or artifact.uri


def bless_splits(anomalies: types.Artifact, blessed: Mapping[str, bool]) -> None:
    """Notes which splits have no anomalies.

    A property for each, because Kubeflow hands on dictionaries in a form that TFX does not read.
    """
    for split, good in blessed.items():
        anomalies.set_int_custom_property(_BLESSED + split, int(good))


def split_names(examples: Sequence[types.Artifact]) -> list[str]:
    """The names of the splits."""
    return artifact_utils.decode_split_names(examples[0].split_names)


def split_files(examples: Sequence[types.Artifact], split: str) -> list[str]:
    """The TFRecord files of one split; raises ValueError if there are none."""
    known = split_names(examples)
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
        for split in artifact_utils.decode_split_names(artifact.split_names):
            if artifact.get_int_custom_property(_BLESSED + split) == 1:
                continue
            uri = artifact_utils.get_split_uri([artifact], split)
            content = files.read(os.path.join(uri, ANOMALIES_FILE))
            proto = anomalies_pb2.Anomalies.FromString(content)
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
