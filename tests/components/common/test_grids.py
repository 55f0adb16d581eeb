"""Sample grids."""

import numpy as np
import pytest
from PIL import Image

from components.common import grids


def squares(count, channels=1):
    values = np.arange(1, count + 1, dtype=np.uint8)
    return np.tile(values[:, None, None, None], (1, 2, 3, channels))


@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [(1, None, (3, 2)), (9, None, (11, 8)), (10, None, (15, 8)), (10, 5, (19, 5))],
)
def test_images_lie_in_rows(count, columns, size):
    picture = grids.grid(squares(count), columns)

    assert picture.size == size
    pixels = np.asarray(picture)
    tiles = pixels[::3, ::4].ravel()
    assert tiles[:count].tolist() == list(range(1, count + 1))
    assert (tiles[count:] == 255).all()
    assert (pixels[2::3] == 255).all()
    assert (pixels[:, 3::4] == 255).all()


def test_colour_is_kept():
    colours = squares(4, channels=3) * np.array([1, 2, 3], np.uint8)

    assert np.asarray(grids.grid(colours))[3, 4].tolist() == [4, 8, 12]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (squares(4) / 2, "float64"),
        (squares(4)[0], r"\[2, 3, 1\]"),
        (squares(4, channels=2), r"\[4, 2, 3, 2\]"),
        (squares(4)[:0], "none"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        grids.grid(array)


def test_a_saved_picture_is_whole_and_alone(tmp_path):
    path = tmp_path / "grid.png"

    for count in (4, 9):
        grids.save_png(grids.grid(squares(count)), str(path))

        assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]
        assert np.asarray(Image.open(path))[-1, -1] == count
