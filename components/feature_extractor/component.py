"""The FeatureExtractor stage; extractors are made in `making.py`."""

import logging
from collections.abc import Mapping

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, Model

from components.common import tfx
from components.common.code_version import code_version
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data.spec import DataSpec
from components.feature_extractor import base, making
from components.feature_extractor.config import FeatureExtractorConfig

_log = logging.getLogger(__name__)


def extractor_version(config: FeatureExtractorConfig) -> str:
    """The stage's `code_version`, including the plugin or weights file named in `config`."""
    return code_version("feature_extractor", base.find(config.kind).files(config))


@component
def FeatureExtractor(
    examples: InputArtifact[Examples],
    anomalies: InputArtifact[ExampleAnomalies],
    extractor: OutputArtifact[Model],
    config: Parameter[str],
    data: Parameter[str],
    data_name: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Makes the feature extractor that the trainer and the evaluator measure generators with.

    It depends only on the data, so TFX reuses it from the cache while generators change.

    Args:
      examples: splits train and eval, in the format described in `components.data.spec`.
      anomalies: of the same examples; any anomaly fails the stage.
      extractor: in the layout described in `components.features`; the entries of extractor.json,
        except for `categories`, are also its custom properties.
      config: the recipe's section `feature_extractor` as JSON.
      data: the `DataSpec` as JSON.
      data_name: the name of the data in reports.
      code_version: from `extractor_version`.

    Raises:
      ValueError: for data with anomalies, and as `making.make`.
    """
    tfx.refuse_anomalies([anomalies])
    spec = DataSpec.model_validate_json(data)
    splits = spec.read_splits(
        {split: tfx.split_files([examples], split) for split in (TRAIN_SPLIT, EVAL_SPLIT)}
    )
    settings = FeatureExtractorConfig.model_validate_json(config)
    known = making.make(extractor.uri, splits, settings, data_name, spec.columns)
    _log.info("FeatureExtractor: %s", known)
    for key, value in known.items():
        if value is not None and not isinstance(value, Mapping):
            _set_property(extractor, key, value)


def _set_property(artifact: types.Artifact, key: str, value: str | int | float) -> None:
    setters = {
        str: artifact.set_string_custom_property,
        bool: artifact.set_int_custom_property,
        int: artifact.set_int_custom_property,
        float: artifact.set_float_custom_property,
    }
    setters[type(value)](key, value)
