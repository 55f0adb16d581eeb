"""Atomic writes: all or nothing, and nothing left beside it."""

import pytest

from components.common import files


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_file_replaces_another_and_its_folder_is_made(tmp_path):
    path = tmp_path / "made" / "file"
    for content in (b"one", b"two"):
        files.write(str(path), content)
        assert path.read_bytes() == content
    assert names(path.parent) == ["file"]


def test_a_file_whose_writing_fails_stays_what_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    with pytest.raises(KeyboardInterrupt), files.atomic(str(path)) as temporary:
        with open(temporary, "w") as file:
            file.write("half")
        raise KeyboardInterrupt

    assert path.read_text() == "before"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_whole_or_missing(tmp_path):
    path = tmp_path / "out"
    with pytest.raises(RuntimeError), files.atomic_folder(str(path)) as temporary:
        files.write(f"{temporary}/inner/file", b"half")
        raise RuntimeError
    assert not names(tmp_path)

    with files.atomic_folder(str(path)) as temporary:
        files.write(f"{temporary}/file", b"all")
        assert not path.exists()
    assert names(tmp_path) == ["out"]
    with pytest.raises(FileExistsError, match="--out"), files.atomic_folder(str(path)):
        pass
    assert (path / "file").read_bytes() == b"all"
