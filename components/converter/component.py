"""The Converter stage; the conversion itself is in `components.serving.conversion`."""

import logging
import os

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils import io_utils, path_utils

from components.common import saved_models
from components.converter.config import ConverterConfig
from components.serving import conversion
from components.serving.generator import Generator

_log = logging.getLogger(__name__)


@component
def Converter(
    model: InputArtifact[Model],
    converted: OutputArtifact[Model],
    config: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Adds to a generator what other runtimes need to run it.

    Fails if a runtime answers differently from the SavedModel, or cannot run the generator:
    `converter.to` without it leaves the other stages as they were.

    Args:
      model: the generator.
      converted: the same, with `assets.extra/<signature>.<suffix>` for each file, and
        `conversions` in what `describe` says of it: how far each is from the SavedModel.
      config: JSON of `ConverterConfig`.
      code_version: makes the stage's code part of TFX's cache key.
    """
    io_utils.copy_dir(model.uri, converted.uri)
    path = path_utils.serving_model_dir(converted.uri)
    generator = Generator(path)
    found = {}
    for runtime, signatures in ConverterConfig.model_validate_json(config).to.items():
        for signature in signatures:
            name = conversion.file_name(runtime, signature)
            target = os.path.join(path, saved_models.EXTRA, name)
            difference = conversion.export(generator, runtime, signature, target)
            _log.info("Converter: %s: %s", name, difference)
            found[name] = {"runtime": runtime, "difference": str(difference)}
    saved_models.describe_further(path, conversions=found)
