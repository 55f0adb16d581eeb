"""TFX's Pusher, made atomic."""

import json
import os
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.components.pusher import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import json_utils, proto_utils

from components.common import artifact_files, files, saved_models
from components.pusher import versions


class Executor(executor.Executor):
    """Pushes to a staging folder beside the versions, then renames it.

    TFX copies file by file into the version folder, so a killed run leaves a partial model that
    servers try to load. Its versions are times in seconds, so the second of two pushes within a
    second is silently skipped.
    """

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes a blessed model to `<base_directory>/<version>/`.

        The version is the time in seconds, or the highest existing version plus one if that is
        larger, because servers load the highest. A model identical to the highest version, e.g.
        blessed again after an edit of the gate, is not pushed again. Several can push at once.
        The model says with which scores it was blessed, and has the evaluation's page, if any.
        `keep_last` in `custom_config` is the number of versions that stay. Object stores (`gs://`
        and the like) have no atomic rename, so TFX's own executor pushes there.
        """
        destination = proto_utils.json_to_proto(
            exec_properties["push_destination"], pusher_pb2.PushDestination()
        )
        base = destination.filesystem.base_directory
        keep = json.loads(exec_properties.get("custom_config") or "{}").get("keep_last")
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        evaluation = artifact_utils.get_single_instance(input_dict["evaluation"])
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if "://" in base:
            # Object stores rename by copying files in arbitrary order. TFX copies saved_model.pb
            # last, which servers wait for.
            super().Do(input_dict, output_dict, exec_properties)
            if pushed.get_int_custom_property("pushed"):
                path = pushed.get_string_custom_property("pushed_destination")
                _record(path, blessing, evaluation.uri)
                if keep:
                    versions.prune(base, keep)
            return
        staging = versions.staging(base)
        destination.filesystem.base_directory = staging
        staged = {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
        super().Do(input_dict, output_dict, staged)
        if not pushed.get_int_custom_property("pushed"):
            return

        now = pushed.get_string_custom_property("pushed_version")
        model = os.path.join(staging, now)
        _record(model, blessing, evaluation.uri)
        version = versions.publish(model, base, int(now))
        fileio.rmtree(staging)
        if keep:
            versions.prune(base, keep)
        self._MarkPushed(
            pushed, pushed_destination=os.path.join(base, version), pushed_version=version
        )


def _record(path: str, blessing: types.Artifact, evaluation: str) -> None:
    """Adds what LatestBlessed, and those who ask the model, want to know of its evaluation."""
    record: dict[str, Any] = {}
    if blessing.has_custom_property("fid"):
        record["fid"] = blessing.get_float_custom_property("fid")
        record["extractor_id"] = blessing.get_string_custom_property("extractor_id")
    saved_models.save_blessing(path, record)
    if saved_models.description(path):
        found = json.loads(files.read(os.path.join(evaluation, artifact_files.METRICS)))
        known = {name: found[name] for name in ("metrics", "lineage")}
        saved_models.describe_further(path, blessing=record, **known)
    page = os.path.join(evaluation, artifact_files.PAGE)
    if tf.io.gfile.exists(page):
        tf.io.gfile.copy(page, os.path.join(path, saved_models.PAGE), overwrite=True)


class PusherSpec(standard_component_specs.PusherSpec):
    """TFX's, and the evaluation."""

    INPUTS = {
        **standard_component_specs.PusherSpec.INPUTS,
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
    }


class Pusher(base_component.BaseComponent):
    """TFX's Pusher with an executor that never leaves a partial version.

    Args:
      model, model_blessing, infra_blessing, push_destination, custom_config: as of TFX's.
      evaluation: from which the model gets its page, and what it says of its scores.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        push_destination: pusher_pb2.PushDestination,
        custom_config: dict[str, Any],
        **inputs: types.BaseChannel,
    ) -> None:
        spec = PusherSpec(
            push_destination=push_destination,
            custom_config=json_utils.dumps(custom_config),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            **inputs,
        )
        super().__init__(spec=spec)
