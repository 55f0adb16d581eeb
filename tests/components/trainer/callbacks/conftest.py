import io
import json
import types

import pytest
import tensorflow as tf
from rich.console import Console

from components.trainer.callbacks.callback import StepEnd
from components.trainer.callbacks.quality import Measurement

BATCH_SIZE = 10


@pytest.fixture
def make_console():
    return lambda terminal=False: Console(file=io.StringIO(), force_terminal=terminal, width=200)


@pytest.fixture(scope="session")
def read_lines():
    return lambda path: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def make_step():
    """Makes a step of ten images in which each callback is due, or not."""

    def make(step, terms=None, last=False, fid=None):
        terms = {name: tf.constant(value) for name, value in (terms or {}).items()}
        measurement = (
            None if fid is None else Measurement(fid, kid=0.0, coverage=1, recall=1, diversity=1)
        )
        yes = tf.constant(True)
        finite = dict.fromkeys(terms, yes)
        return StepEnd(step, BATCH_SIZE, last, terms, finite, yes, measurement=measurement)

    return make


@pytest.fixture(scope="session")
def trainer_at():
    """Makes a stub of a trainer at a given step."""

    def make(step, total_images=1000, **attributes):
        return types.SimpleNamespace(
            step=tf.Variable(step, dtype=tf.int64),
            images_seen=step * BATCH_SIZE,
            total_images=total_images,
            scheduled={},
            waiting=types.SimpleNamespace(pop=lambda: 0.0),
            **attributes,
        )

    return make


@pytest.fixture
def read_events(tmp_path):
    """Reads the folder like TensorBoard."""

    def read():
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
        return events.Reload()

    return read
