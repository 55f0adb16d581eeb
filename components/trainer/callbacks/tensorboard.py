"""Writes the training log for TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from components.common import grids
from components.trainer.callbacks.callback import Callback, StepEnd

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer

EVENTS_FOLDER = "tensorboard"

_HISTOGRAM_BINS = 30


class TensorBoard(Callback):
    """Log lines as scalars, grids as images, weights as histograms; its steps are images seen.

    Args:
      folder: path or URI; event files are written to its subfolder tensorboard/.
      every_images: images between histograms of all weights.
    """

    def __init__(self, folder: str, every_images: int) -> None:
        self.every_images = every_images
        self._folder = os.path.join(folder, EVENTS_FOLDER)
        self._events: _Events | None = None

    def start(self, trainer: GANTrainer) -> None:
        self._events = self._events or _Events(self._folder)
        self._events.drop_after(trainer.images_seen)

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        assert self._events
        if step.line:
            scalars = {name: value for name, value in step.line.items() if name != "images"}
            self._events.scalars(step.images, scalars)
        if step.picture:
            self._events.image(step.images, "samples", grids.png(step.picture), step.picture.size)
        if step.is_due(self.every_images):
            networks = {"generator": trainer.generator, "discriminator": trainer.discriminator}
            weights = {
                f"{name}/{weight.path}": weight.numpy()
                for name, network in networks.items()
                for weight in network.trainable_variables
            }
            self._events.histograms(step.images, weights)

    def stop(self, trainer: GANTrainer) -> None:
        if self._events:
            self._events.close()
            self._events = None


class _Events:
    """One TensorBoard event file in `folder`: TFRecords of Event messages.

    Written directly because tf.summary cannot write the session log that makes TensorBoard drop
    the later steps of earlier files.
    """

    def __init__(self, folder: str) -> None:
        tf.io.gfile.makedirs(folder)
        # TensorBoard reads the files in order of their names.
        path = os.path.join(folder, f"events.out.tfevents.{time.time_ns()}")
        self._writer = tf.io.TFRecordWriter(path)
        self._add(0, file_version="brain.Event:2")

    def drop_after(self, images_seen: int) -> None:
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        # Steps from this one on are dropped.
        self._add(images_seen + 1, session_log=start)

    def scalars(self, images_seen: int, values: Mapping[str, float]) -> None:
        self._add_values(
            images_seen, [{"tag": name, "simple_value": value} for name, value in values.items()]
        )

    def image(self, images_seen: int, name: str, png: bytes, size: tuple[int, int]) -> None:
        image = tf.compat.v1.Summary.Image(width=size[0], height=size[1], encoded_image_string=png)
        self._add_values(images_seen, [{"tag": name, "image": image}])

    def histograms(self, images_seen: int, arrays: Mapping[str, np.ndarray]) -> None:
        self._add_values(
            images_seen, [{"tag": name, "histo": _histogram(a)} for name, a in arrays.items()]
        )

    def close(self) -> None:
        self._writer.close()

    def _add_values(self, images_seen: int, values: list[dict[str, Any]]) -> None:
        self._add(
            images_seen,
            summary=tf.compat.v1.Summary(
                value=[tf.compat.v1.Summary.Value(**value) for value in values]
            ),
        )

    def _add(self, images_seen: int, **what: Any) -> None:  # noqa: ANN401
        event = tf.compat.v1.Event(wall_time=time.time(), step=images_seen, **what)
        self._writer.write(event.SerializeToString())
        self._writer.flush()


def _histogram(array: np.ndarray) -> tf.compat.v1.HistogramProto:
    values = np.asarray(array, np.float64).ravel()
    counts, edges = np.histogram(values, bins=_HISTOGRAM_BINS)
    return tf.compat.v1.HistogramProto(
        min=values.min(),
        max=values.max(),
        num=values.size,
        sum=values.sum(),
        sum_squares=np.square(values).sum(),
        bucket_limit=edges[1:],
        bucket=counts,
    )
