"""What evaluations share that does not depend on the generator.

The same real data under the same extractor, settings and code have the same scores for real data
and for noise, and the same distances among real data; the first evaluation leaves them in a folder
that outlives runs, later ones read them. The extractor's own folder would not do: on a cluster,
each stage has a copy of its inputs.
"""

import dataclasses
import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from components import features
from components.common import files
from components.evaluator.evaluation import Score

_SCORES = "scores"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Kept:
    """What is known before there is a generator.

    Attributes:
      scores: by subject, then by metric; without replicates.
      counts: samples by subject.
      distances: by name, distances of real data to the train split: those that were needed.
    """

    scores: Mapping[str, Mapping[str, Score]]
    counts: Mapping[str, int]
    distances: Mapping[str, np.ndarray]


def key(*parts: object) -> str:
    """16 hexadecimal digits of all that kept values depend on: values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Where it is kept.

    Attributes:
      folder: path or URI; created when something is kept.
      version: of the code that it is computed with.
    """

    folder: str
    version: str

    def load(self, key: str) -> Kept | None:
        """What `store` kept under a key; None if there is nothing.

        Raises:
          ValueError: for a damaged file.
        """
        path = self._path(key)
        if not tf.io.gfile.exists(path):
            return None
        try:
            with np.load(io.BytesIO(files.read(path)), allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            content = json.loads(str(found.pop(_SCORES)))
            scores = {
                subject: {metric: Score(**score) for metric, score in of_subject.items()}
                for subject, of_subject in content["scores"].items()
            }
            return Kept(scores, content["counts"], found)
        except features.DAMAGES as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{path}: not a valid file of reference scores ({reason}); "
                "delete it to compute them again"
            ) from error

    def store(self, key: str, kept: Kept) -> None:
        """Keeps values under a key; where that is impossible, a warning says so."""
        scores = {
            subject: {metric: score.to_json() for metric, score in of_subject.items()}
            for subject, of_subject in kept.scores.items()
        }
        content = json.dumps({"scores": scores, "counts": dict(kept.counts)})
        buffer = io.BytesIO()
        np.savez(buffer, **{_SCORES: np.array(content)}, **kept.distances)
        path = self._path(key)
        try:
            files.write(path, buffer.getvalue())
        except (OSError, tf.errors.OpError) as error:
            # The evaluation is complete without.
            reason = " ".join(str(error).split())
            _log.warning("%s: not kept, the next evaluation computes it again: %s", path, reason)

    def _path(self, key: str) -> str:
        return os.path.join(self.folder, f"{key}.npz")
