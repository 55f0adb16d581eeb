"""The folder on a volume in which the launching pod and the workers of a job hand on files.

Kubeflow's launcher stages artifacts to the disk of the stage's own pod only. So the workers find
copies of the inputs here, and leave the outputs here.

    command.json            of the stage, with the copies' addresses
    inputs/<number>/        copies of the input artifacts
    workers/<index>/        outputs and TFX's answer of each worker; those of the chief, 0, count
    words/                  what workers say that fail
"""

import copy
import dataclasses
import json
import os
import shutil
from typing import Any

from components.common import files, tfx
from components.outcome import record
from pipeline.kubeflow import entry_point
from pipeline.kubeflow.entry_point import Command

_CHIEF = 0
_ANSWER, _COMMAND, _INPUTS, _WORDS = "output_metadata.json", "command.json", "inputs", "words"


class Exchange:
    """The folder of one job.

    Args:
      folder: on a volume that all pods mount, at the same path.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def give(self, command: Command) -> None:
        """Copies the stage's inputs for the workers; what an earlier job left is removed.

        Args:
          command: as the stage's pod was given it.
        """
        if os.path.exists(self.folder):
            shutil.rmtree(self.folder)
        given = copy.deepcopy(command.given)
        for number, (_, artifact) in enumerate(entry_point.artifacts(given["inputs"])):
            place = os.path.join(self.folder, _INPUTS, str(number))
            shutil.copytree(entry_point.staged(artifact["uri"]), place)
            # What lineage says of it.
            artifact["metadata"] = {**artifact.get("metadata", {}), tfx.ADDRESS: artifact["uri"]}
            artifact["uri"] = place
        text = json.dumps({**dataclasses.asdict(command), "given": given})
        files.write(os.path.join(self.folder, _COMMAND), text.encode())

    def command_of(self, worker: int) -> Command:
        """The command of one worker; what it left in an earlier attempt is removed.

        Args:
          worker: its index.
        """
        own = self._of(worker)
        if os.path.exists(own):
            shutil.rmtree(own)
        command = Command(**json.loads(files.read(os.path.join(self.folder, _COMMAND))))
        outputs = command.given["outputs"]
        outputs["outputFile"] = os.path.join(own, _ANSWER)
        for name, artifact in entry_point.artifacts(outputs):
            artifact["uri"] = os.path.join(own, name)
        return command

    def variables_of(self, worker: int) -> dict[str, str]:
        """Let the entry point note here why a worker fails."""
        return {
            entry_point.OUTCOMES: self.folder,
            entry_point.RUN: _WORDS,
            entry_point.STAGE: f"worker {worker}",
        }

    def why_it_failed(self) -> str:
        """What the workers said."""
        return record.in_words(os.path.join(self.folder, _WORDS), "no worker said why")

    @property
    def is_complete(self) -> bool:
        """Whether the chief has left its outputs, if the job has succeeded."""
        return os.path.exists(os.path.join(self._of(_CHIEF), _ANSWER))

    def take(self, command: Command) -> None:
        """Copies the outputs to where the launcher looks for them, and removes the inputs.

        Args:
          command: as the stage's pod was given it.
        """
        result = json.loads(files.read(os.path.join(self._of(_CHIEF), _ANSWER)))
        outputs = command.given["outputs"]
        for name, artifact in entry_point.artifacts(outputs):
            if name not in result["artifacts"]:
                continue
            uri = artifact["uri"]
            source = os.path.join(self._of(_CHIEF), name)
            shutil.copytree(source, entry_point.staged(uri), dirs_exist_ok=True)
            result["artifacts"][name]["artifacts"][0]["uri"] = uri
        _write(outputs["outputFile"], result)
        shutil.rmtree(os.path.join(self.folder, _INPUTS), ignore_errors=True)

    def _of(self, worker: int) -> str:
        return os.path.join(self.folder, "workers", str(worker))


def _write(path: str, result: dict[str, Any]) -> None:
    files.write(path, json.dumps(result).encode())
