"""What the tests of several stages start from."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest


@pytest.fixture(scope="session")
def run_example_gen() -> Callable:
    """Runs ImageExampleGen on a DataConfig and returns the examples, which lie below a folder."""
    # Most tests need no TFX, whose import takes as long as many of them together.
    from tfx.types import standard_artifacts
    from tfx.utils import dependency_utils

    from components.example_gen import sources
    from components.example_gen.component import ImageExampleGen
    from components.example_gen.executor import Executor

    def run(config, folder: Path):
        splits = sources.find(config.reader(), config.path, config.splits).splits
        examples = standard_artifacts.Examples()
        examples.uri = str(folder / "examples")
        context = Executor.Context(
            beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(folder / "tmp"), unique_id="1"
        )
        component = ImageExampleGen(config, splits)
        # TFX packs itself up for remote workers, which takes longer than most of these runs.
        with mock.patch.object(dependency_utils, "make_beam_dependency_flags", lambda flags: flags):
            Executor(context).Do({}, {"examples": [examples]}, dict(component.exec_properties))
        return examples

    return run
