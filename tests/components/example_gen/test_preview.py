import io

import numpy as np
import pytest
from PIL import Image

from components.example_gen.formats.registry import READERS
from components.example_gen.preview import preview


def inspect(folder, data_format="auto"):
    reader = READERS.get(data_format)()
    shards = reader.shards(str(folder), reader.splits(str(folder)))
    return preview(reader, shards, str(folder))


def jpeg(size, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, format="JPEG", exif=exif)
    return buffer.getvalue()


def test_sizes_and_colours_of_a_folder(tmp_path):
    for name, mode, size in (
        ("a.png", "L", (30, 20)),
        ("b.png", "1", (30, 20)),
        ("c.png", "I;16", (8, 40)),
        ("d.png", "LA", (9, 9)),
    ):
        Image.new(mode, size).save(tmp_path / name)
    (tmp_path / "e.png").write_bytes(b"\x89PNG no more")
    found = inspect(tmp_path)
    assert found.sizes == {(20, 30): 2, (40, 8): 1, (9, 9): 1}
    assert found.channels == 1
    assert found.short_side == 14

    # One in colour is enough; this one lies on its side.
    (tmp_path / "f.jpg").write_bytes(jpeg((60, 50), orientation=6))
    found = inspect(tmp_path)
    assert found.sizes[60, 50] == 1
    assert found.channels == 3


@pytest.mark.parametrize(("shape", "channels"), [((5, 12, 10), 1), ((5, 12, 10, 3), 3)])
def test_arrays_have_sizes_too(tmp_path, shape, channels):
    np.savez(tmp_path / "images.npz", images=np.zeros(shape, np.uint8))
    found = inspect(tmp_path)
    assert found.sizes == {(12, 10): 5}
    assert found.channels == channels


def test_of_many_files_some_are_looked_at_all_over(tmp_path, monkeypatch):
    monkeypatch.setattr("components.example_gen.preview._ALL", 600)
    for number in range(700):
        name = tmp_path / f"{number:04d}.png"
        if number % 256 and number != 699:
            name.write_bytes(b"no image")
        else:
            Image.new("L", (8 + number // 256, 8)).save(name)
    # One of each shard of 256 files.
    assert inspect(tmp_path).sizes == {(8, 8): 1, (8, 9): 1, (8, 10): 1}


def test_no_image_at_all_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(
        ValueError,
        match=r"none of 1 records is an image: a\.png: not an image file .*text, 'no image'",
    ):
        inspect(tmp_path)
