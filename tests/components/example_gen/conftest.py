import io
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from tfx import types
from tfx.types import standard_artifacts
from tfx.utils import dependency_utils

from components.example_gen import sources
from components.example_gen.component import ImageExampleGen
from components.example_gen.config import DataConfig
from components.example_gen.executor import Executor
from components.example_gen.idx import write_idx

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    return DATA


def _png(seed: int = 0, shape: tuple[int, ...] = (8, 8)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    return _png


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, bytes]], str]:
    """Writes files, by relative path, below a new folder and returns it."""

    def write(files: dict[str, bytes]) -> str:
        base = tmp_path / "tree"
        base.mkdir()
        for name, content in files.items():
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(base)

    return write


@pytest.fixture
def idx_folder(tmp_path: Path) -> Callable[..., str]:
    """Writes uint8 arrays, by file name, to a new folder and returns it."""

    def write(arrays: dict[str, np.ndarray]) -> str:
        base = tmp_path / "idx"
        base.mkdir()
        for name, array in arrays.items():
            write_idx(str(base / name), array)
        return str(base)

    return write


def _run(config: DataConfig, folder: Path) -> types.Artifact:
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


@pytest.fixture(scope="session")
def run_example_gen() -> Callable[[DataConfig, Path], types.Artifact]:
    """Runs the stage on a data set and returns the examples, which lie below a folder."""
    return _run


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> types.Artifact:
    config = DataConfig(path=str(DATA / "digits"), format="idx", image_shape=(8, 8, 1))
    return _run(config, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def fashion_mnist(tmp_path_factory: pytest.TempPathFactory) -> types.Artifact:
    config = DataConfig(path=str(DATA / "fashion_mnist"), format="idx", image_shape=(28, 28, 1))
    return _run(config, tmp_path_factory.mktemp("fashion_mnist"))
