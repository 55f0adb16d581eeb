import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tfx import types

from components.example_gen.config import DataConfig
from components.example_gen.formats.idx import write_idx

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


@pytest.fixture(scope="session")
def digits(run_example_gen: Callable, tmp_path_factory: pytest.TempPathFactory) -> types.Artifact:
    config = DataConfig(path=str(DATA / "digits"), format="idx", image_shape=(8, 8, 1))
    return run_example_gen(config, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def fashion_mnist(
    run_example_gen: Callable, tmp_path_factory: pytest.TempPathFactory
) -> types.Artifact:
    config = DataConfig(path=str(DATA / "fashion_mnist"), format="idx", image_shape=(28, 28, 1))
    return run_example_gen(config, tmp_path_factory.mktemp("fashion_mnist"))


@pytest.fixture(scope="session")
def weather(run_example_gen: Callable, tmp_path_factory: pytest.TempPathFactory) -> types.Artifact:
    config = DataConfig(
        path=str(DATA / "weather"),
        columns=("day", "precipitation", "temp_max", "temp_min", "wind"),
        features={"label": "location"},
        eval_fraction=0.3,
    )
    return run_example_gen(config, tmp_path_factory.mktemp("weather"))
