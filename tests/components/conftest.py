"""What the tests of several stages start from."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def run_example_gen() -> Callable:
    """Runs ImageExampleGen on a DataConfig and returns the examples, which lie below a folder."""
    # Most tests need no TFX, whose import takes as long as many of them together.
    from tfx.types import standard_artifacts

    from components.example_gen.component import ImageExampleGen, find
    from pipeline.config import LOCAL_BEAM
    from pipeline.pipeline import beam_arguments

    def run(config, folder: Path):
        examples = standard_artifacts.Examples()
        examples.uri = str(folder / "examples")
        executor_class = ImageExampleGen.EXECUTOR_SPEC.executor_class
        context = executor_class.Context(
            beam_pipeline_args=beam_arguments(LOCAL_BEAM),
            tmp_dir=str(folder / "tmp"),
            unique_id="1",
        )
        properties = {"config": config.for_reading(), "code_version": "test", **find(config)}
        executor_class(context).Do({}, {"examples": [examples]}, properties)
        return examples

    return run


@pytest.fixture(scope="session")
def two_devices():
    """A strategy over two CPU devices; a process can have only one."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
