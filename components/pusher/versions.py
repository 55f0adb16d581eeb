"""The versions in a serving folder: published whole, pruned, rolled back.

Servers load the folder with the highest number, and ignore names that are no numbers.
"""

import contextlib
import errno
import os
import time
import uuid

import tensorflow as tf

from components.common import saved_models

# On its way in, and on its way out.
_HIDDEN = (".staging-", ".removed-")
_WITHDRAWN = ".withdrawn-"
_STALE_SECONDS = 24 * 3600
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


def staging(folder: str) -> str:
    """A hidden folder for a push, which others that push at the same time do not touch.

    What pushes that were killed have left is removed after a day.
    """
    if tf.io.gfile.isdir(folder):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            # Others that push at the same time remove them too.
            with contextlib.suppress(FileNotFoundError, tf.errors.NotFoundError):
                if name.startswith(_HIDDEN) and _age(path) > _STALE_SECONDS:
                    tf.io.gfile.rmtree(path)
    return os.path.join(folder, f"{_HIDDEN[0]}{uuid.uuid4().hex}")


def _age(path: str) -> float:
    return time.time() - os.stat(path).st_mtime


def publish(model: str, folder: str, version: int) -> str:
    """Moves a model to a version of its own, unless it is the one that is served already.

    Args:
      model: folder of the SavedModel, in the same file system as `folder`.
      folder: of the versions, a path.
      version: at the least; the highest that exists plus one if that is larger.

    Returns:
      The version under which the model is served.
    """
    while True:
        highest = max(map(int, saved_models.versions(folder)), default=0)
        # Pruned meanwhile, it is not the highest any more.
        with contextlib.suppress(tf.errors.NotFoundError):
            if highest and saved_models.same(model, os.path.join(folder, str(highest))):
                return str(highest)
        found = str(max(version, highest + 1))
        try:
            os.rename(model, os.path.join(folder, found))
        except OSError as error:
            # Somebody else has just published this one.
            if error.errno not in _TAKEN:
                raise
        else:
            return found


def prune(folder: str, keep: int) -> list[str]:
    """Removes all but the last `keep` versions; returns those that are gone."""
    gone = saved_models.versions(folder)[:-keep]
    for version in gone:
        path = os.path.join(folder, version)
        if "://" in folder:
            # Nothing can be renamed at once there; without this file it is no model.
            tf.io.gfile.remove(os.path.join(path, saved_models.FILE))
        else:
            hidden = os.path.join(folder, f"{_HIDDEN[1]}{version}-{uuid.uuid4().hex}")
            try:
                os.rename(path, hidden)
            except FileNotFoundError:
                # Removed by somebody who has pushed at the same time.
                continue
            path = hidden
        tf.io.gfile.rmtree(path)
    return gone


def rollback(folder: str, to: str | None = None) -> tuple[str, list[str]]:
    """Withdraws the newest versions, so that an earlier one is served.

    They stay in the folder as `.withdrawn-<version>`.

    Args:
      folder: of the versions, a path or URI.
      to: the version to serve; None for the one before the newest.

    Returns:
      The version that is served now, and those that were withdrawn, newest first.

    Raises:
      ValueError: if there is no such version, or none before the newest.
      FileNotFoundError: if there is no such folder.
    """
    if not tf.io.gfile.isdir(folder):
        raise FileNotFoundError(f"{folder}: no such folder")
    found = saved_models.versions(folder)
    if to is None and len(found) < 2:
        raise ValueError(f"{folder}: {len(found)} version, and none to roll back to")
    served = found[-2] if to is None else to
    if served not in found:
        raise ValueError(f"--to {served}: {folder} has the versions {', '.join(found) or 'none'}")
    newer = found[: found.index(served) : -1]
    for version in newer:
        hidden = os.path.join(folder, f"{_WITHDRAWN}{version}")
        tf.io.gfile.rename(os.path.join(folder, version), hidden)
    return served, newer
