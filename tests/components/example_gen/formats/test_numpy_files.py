"""NPZ and NPY files as people have them."""

import re

import numpy as np
import pytest

from components.example_gen import dataset
from components.example_gen.formats.numpy_files import NumpyReader
from components.example_gen.prepare import BadRecordError, Preparation, prepare

N = 12
RGB = np.random.default_rng(5).integers(0, 256, (N, 8, 9, 3), dtype=np.uint8)
LABELS = np.arange(N) % 3


def npz(base, name="data.npz", **arrays):
    base.mkdir(parents=True, exist_ok=True)
    np.savez(base / name, **arrays)


def one_a_file(base, folder):
    """One image a file, below the folder that `folder` gives for each index."""
    for index, image in enumerate(RGB):
        path = base / folder(index) / f"{index:03d}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, image)


def read(base, **options):
    """By split, the images with label, class name and error; and the remarks."""
    reader = NumpyReader(**options)
    found = dataset.find(str(base), reader)
    result = {}
    for split, shards in reader.shards(found.base, found.splits).items():
        result[split] = [raw for shard in shards for raw in reader.records(shard)]
        assert reader.count(shards) == len(result[split])
    return result, reader.remarks


def medmnist(base):
    arrays = {f"{split}_images": RGB for split in ("train", "val", "test")}
    labels = {f"{split}_labels": LABELS[:, None] for split in ("train", "val", "test")}
    npz(base, **arrays, **labels)


def one_npz_an_image(base):
    for index, image in enumerate(RGB):
        npz(base, f"{index:02d}.npz", image=image, label=LABELS[index], mask=image[..., 0] > 99)


# What to write; by split, the number of images and their labels; a remark.
READ = {
    "medmnist": (
        medmnist,
        {"train": LABELS, "eval": LABELS},
        r"left out: arrays data\.npz#val_images .*val_labels",
    ),
    "one image a file": (lambda base: one_a_file(base, lambda _: ""), {"all": [None] * N}, None),
    "one image a file, in classes": (
        lambda base: one_a_file(base, lambda index: "abc"[LABELS[index]]),
        {"all": sorted(LABELS)},
        None,
    ),
    "one image a file, in splits and classes": (
        lambda base: one_a_file(
            base, lambda index: f"{'test' if index < 3 else 'train'}/{'abc'[LABELS[index]]}"
        ),
        {"train": sorted(LABELS[3:]), "eval": sorted(LABELS[:3])},
        None,
    ),
    "one npz an image": (one_npz_an_image, {"all": LABELS}, r"00\.npz#mask"),
    "images beside masks": (
        lambda base: npz(base, images=RGB, masks=RGB > 99, labels=LABELS),
        {"all": LABELS},
        r"left out: arrays data\.npz#masks \(\[12, 8, 9, 3\]\)",
    ),
    "an unrelated object": (
        lambda base: npz(base, images=RGB, labels=LABELS, names=np.array([None, "a"], object)),
        {"all": LABELS},
        r"data\.npz#names \(Python objects",
    ),
    "a structure whose fields are not Latin-1": (
        lambda base: npz(base, images=RGB, other=np.zeros(3, [("\u4e2d", int)])),
        {"all": [None] * N},
        r"data\.npz#other",
    ),
    "labels after a word of their own": (
        lambda base: npz(base, images=RGB, labels=LABELS, label_names=np.array(["a", "b"])),
        {"all": LABELS},
        r"data\.npz#label_names",
    ),
}


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize(("write", "expected", "remark"), READ.values(), ids=READ)
def test_what_is_read_and_what_is_left_out(tmp_path, write, expected, remark):
    write(tmp_path / "d")
    found, remarks = read(tmp_path / "d")
    assert {split: [raw.label for raw in raws] for split, raws in found.items()} == {
        split: list(labels) for split, labels in expected.items()
    }
    assert all(raw.error is None for raws in found.values() for raw in raws)
    assert {raw.content.shape for raws in found.values() for raw in raws} == {(8, 9, 3)}
    assert len({raw.source for raws in found.values() for raw in raws}) == sum(
        map(len, expected.values())
    )
    text = "; ".join(remarks)
    assert re.search(remark or "^$", text), text


def test_names_of_folders_are_the_classes_of_one_image_a_file(tmp_path):
    one_a_file(tmp_path, lambda index: "abc"[LABELS[index]])
    found, _ = read(tmp_path)
    assert {raw.source.split("/")[0]: raw.class_name for raw in found["all"]} == {
        "a": "a",
        "b": "b",
        "c": "c",
    }


# Labels, and what is wrong with the first.
LABEL_FAULTS = {
    "negative": (LABELS - 1, "the array 'labels' holds -1, labels count from 0"),
    "all negative": (np.full(N, -1), "holds -1, labels count from 0"),
}


@pytest.mark.parametrize(("labels", "reason"), LABEL_FAULTS.values(), ids=LABEL_FAULTS)
def test_a_number_that_is_no_label_is_a_bad_record(tmp_path, labels, reason):
    npz(tmp_path, images=RGB, labels=labels)
    found, _ = read(tmp_path)
    first = found["all"][0]
    assert reason in first.error
    assert first.label is None
    with pytest.raises(BadRecordError):
        prepare(first, Preparation())


def test_labels_of_one_split_alone_are_refused(tmp_path):
    npz(tmp_path, x_train=RGB, y_train=LABELS, x_test=RGB)
    with pytest.raises(ValueError, match=r"#x_test: no labels, but .*#x_train has some"):
        read(tmp_path)


def test_a_damaged_file_of_one_image_is_one_bad_record(tmp_path):
    one_a_file(tmp_path, lambda _: "")
    path = tmp_path / "003.npy"
    path.write_bytes(path.read_bytes()[:-20])
    found, _ = read(tmp_path)
    errors = {raw.source: raw.error for raw in found["all"] if raw.error}
    assert errors.keys() == {"003.npy"}
    assert "cannot be read" in errors["003.npy"]


def test_the_key_must_be_known():
    with pytest.raises(ValueError, match=r"data\.arrays: found 'one', expected image or stack"):
        NumpyReader(arrays="one")
