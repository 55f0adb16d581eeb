"""What stages leave for the end of a run: the verdict, or the words of the one that failed.

Neither is an artifact: an exit handler is given none, and a stage that fails hands out none.
"""

import json
import os

import tensorflow as tf

from components.common import files

_VERDICT, _FAILURES = "verdict.json", "failures"
_UNEXPLAINED = "no stage said why; one was killed, ran out of memory or never started"


def note_verdict(folder: str, reasons: str, pushed: str) -> None:
    """Notes how a run ended that did not fail.

    Args:
      folder: of the run's records, a path or URI.
      reasons: why the model was refused; empty if it was blessed.
      pushed: folder of the pushed version; empty if there is none.
    """
    record = {"reasons": reasons, "pushed": pushed}
    files.write(os.path.join(folder, _VERDICT), json.dumps(record).encode())


def note_failure(folder: str, stage: str, error: str) -> None:
    """Notes why a stage failed; its next attempt may still succeed."""
    files.write(os.path.join(folder, _FAILURES, stage), error.encode())


def forget_failure(folder: str, stage: str) -> None:
    """Removes what an earlier attempt of the stage has noted."""
    path = os.path.join(folder, _FAILURES, stage)
    if tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)


def in_words(folder: str, error: str = "") -> str:
    """How a run ended, in a line.

    A verdict is noted after all other stages. The state that the cluster gives is not asked: that
    of a DAG inside another is not kept up to date by every release of Kubeflow Pipelines.

    Args:
      folder: of the run's records.
      error: what the cluster says of a run that failed, which may be nothing.
    """
    verdict, failures = os.path.join(folder, _VERDICT), os.path.join(folder, _FAILURES)
    if tf.io.gfile.exists(verdict):
        found = json.loads(files.read(verdict))
        pushed = f", pushed to {found['pushed']}" if found["pushed"] else ""
        return f"refused: {found['reasons']}" if found["reasons"] else f"blessed{pushed}"
    stages = sorted(tf.io.gfile.listdir(failures)) if tf.io.gfile.isdir(failures) else []
    said = [f"{stage}: {files.read(os.path.join(failures, stage)).decode()}" for stage in stages]
    return f"failed: {'; '.join(said) or error or _UNEXPLAINED}"
