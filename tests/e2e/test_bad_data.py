"""Bad data end a run with a message that names the file or feature, and push nothing.

All kinds of bad data: tests/components/data_validator/test_planted_faults.py.
"""

import gzip
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline import config
from pipeline.runners import local

DIGITS = Path(__file__).parents[2] / "data" / "digits"
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
EVAL_IMAGES = "t10k-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"


def _rewrite(path: Path, change) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(change(content)))


def _truncate(folder):
    _rewrite(folder / TRAIN_IMAGES, lambda content: content[:-1000])


def _cut_off(folder):
    path = folder / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:-1000])


def _lose_labels(folder):
    (folder / TRAIN_LABELS).unlink()


def _label_outside(folder):
    def change(content):
        content[-1] = 11
        return content

    _rewrite(folder / TRAIN_LABELS, change)


def _lose_everything(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def _write_png_folder(folder):
    _lose_everything(folder)
    digits = load_digits()
    for number in range(500):
        image = np.uint8(digits.images[number] * 255 / 16)
        path = folder / str(digits.target[number]) / f"{number:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)


def _bad_png(folder):
    _write_png_folder(folder)
    path = folder / "3" / "0003.png"
    path.write_bytes(path.read_bytes()[:60])


def _bad_member(folder):
    _bad_png(folder)
    with zipfile.ZipFile(folder.parent / "digits.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    _lose_everything(folder)
    shutil.move(folder.parent / "digits.zip", folder)


def _invert(folder):
    def change(content):
        pixels = np.frombuffer(content, np.uint8, offset=16)
        return content[:16] + (255 - pixels).tobytes()

    for name in (TRAIN_IMAGES, EVAL_IMAGES):
        _rewrite(folder / name, change)


FOLDER = ["data.format=folder"]
CASES = {
    "empty folder": (_lose_everything, [], "folder is empty"),
    "missing folder": (shutil.rmtree, [], "no such folder"),
    "missing labels": (_lose_labels, [], "image/class/label|labels"),
    "truncated idx": (_truncate, [], TRAIN_IMAGES),
    "cut off gzip": (_cut_off, [], TRAIN_IMAGES),
    "label outside the schema": (_label_outside, [], "'train': feature 'image/class/label'.*11"),
    "png that does not decode": (
        _bad_png,
        FOLDER,
        "1 of 500 records are bad: 3/0003.png: the image does not decode",
    ),
    "bad member of an archive": (
        _bad_member,
        ["data.format=auto"],
        "digits.zip#3/0003.png: the image does not decode",
    ),
    "inverted pixels": (
        _invert,
        [],
        "'train': feature 'image/mean': .*train against the reference: Jensen-Shannon divergence 1",
    ),
}


@pytest.mark.parametrize(("spoil", "overrides", "message"), CASES.values(), ids=CASES)
def test_a_run_on_bad_data_names_it_and_pushes_nothing(
    tmp_path, monkeypatch, spoil, overrides, message
):
    folder, root, temporary = (tmp_path / name for name in ("data", "root", "temporary"))
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    shutil.copytree(DIGITS, folder)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text((DIGITS / "recipe.yaml").read_text())
    spoil(folder)
    standing = {
        "data.path": folder,
        "data.schema": DIGITS / "schema.pbtxt",
        "validation.reference": DIGITS / "schema.statistics.pb",
    }
    settings = [f"{key}={value}" for key, value in standing.items()]
    loaded = config.load(str(recipe), [*settings, *overrides])

    told = []
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        config.check_data(loaded)
        local.run(loaded, str(root), told.append)
    assert not (root / "serving").exists()
    assert not any(line.startswith("GANTrainer done") for line in told)
    assert not os.listdir(temporary)
