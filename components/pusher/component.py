"""TFX's Pusher, made atomic."""

import os
from typing import Any

from tfx import types
from tfx.components.pusher import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components.common import saved_models

# Model servers treat folders with numeric names as versions, and ignore all others.
_STAGING = ".staging"


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
        blessed again after an edit of the gate, is not pushed again. Object stores (`gs://` and the
        like) have no atomic rename, so TFX's own executor pushes there.
        """
        destination = proto_utils.json_to_proto(
            exec_properties["push_destination"], pusher_pb2.PushDestination()
        )
        base = destination.filesystem.base_directory
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        record: dict[str, Any] = {}
        if blessing.has_custom_property("fid"):
            record["fid"] = blessing.get_float_custom_property("fid")
            record["extractor_id"] = blessing.get_string_custom_property("extractor_id")
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if "://" in base:
            # Object stores rename by copying files in arbitrary order. TFX copies saved_model.pb
            # last, which servers wait for.
            super().Do(input_dict, output_dict, exec_properties)
            if pushed.get_int_custom_property("pushed"):
                path = pushed.get_string_custom_property("pushed_destination")
                _record(path, record)
            return
        staging = os.path.join(base, _STAGING)
        if fileio.exists(staging):
            fileio.rmtree(staging)

        destination.filesystem.base_directory = staging
        staged = {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
        super().Do(input_dict, output_dict, staged)
        if not pushed.get_int_custom_property("pushed"):
            return

        now = int(pushed.get_string_custom_property("pushed_version"))
        staged_model = os.path.join(staging, str(now))
        highest = max(map(int, saved_models.versions(base)), default=0)
        if highest and saved_models.same(staged_model, os.path.join(base, str(highest))):
            version = str(highest)
        else:
            version = str(max(now, highest + 1))
            _record(staged_model, record)
            fileio.rename(staged_model, os.path.join(base, version))
        fileio.rmtree(staging)
        self._MarkPushed(
            pushed, pushed_destination=os.path.join(base, version), pushed_version=version
        )


def _record(path: str, blessing: dict[str, Any]) -> None:
    """Writes what a model was blessed with, for LatestBlessed and for those who ask the model."""
    saved_models.save_blessing(path, blessing)
    if saved_models.description(path):
        saved_models.describe_further(path, blessing=blessing)


class Pusher(component.Pusher):
    """TFX's Pusher with an executor that never leaves a partial version."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
