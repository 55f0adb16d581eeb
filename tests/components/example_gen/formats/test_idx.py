import gzip
import re
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from components.example_gen.formats.idx import IdxReader, read_idx, write_idx

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([2, 0, 1], np.uint8)


def header(*dimensions: int, kind: int = 8, magic: bytes = b"\0\0") -> bytes:
    return magic + struct.pack(f">BB{len(dimensions)}I", kind, len(dimensions), *dimensions)


any_array = arrays(np.uint8, array_shapes(max_dims=4, max_side=5))


@given(array=any_array, name=st.sampled_from(["a.idx", "a.idx.gz"]))
def test_round_trip(tmp_path_factory, array, name):
    path = str(tmp_path_factory.mktemp("idx") / name)
    write_idx(path, array)
    np.testing.assert_array_equal(read_idx(path), array)


@given(array=any_array, name=st.sampled_from(["a.idx", "a.idx.gz"]), data=st.data())
def test_any_cut_is_an_error_that_names_the_file(tmp_path_factory, array, name, data):
    path = tmp_path_factory.mktemp("idx") / name
    write_idx(str(path), array)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_idx(str(path))


def test_same_array_is_same_file(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_idx(str(tmp_path / name), IMAGES)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x89PNG\r\n", "not an IDX file: it begins with 89 50 4e 47"),
        (header(2, 2, magic=b"\0\1") + bytes(4), "not an IDX file: it begins with 00 01"),
        (header(1, kind=0x0D) + bytes(4), "of type 0d, only 08"),
        (header(3, 2, 2)[:9], "ends inside its header"),
        (header(3, 2, 2) + bytes(8), r"declares 3 items \(12 bytes\), the file holds 2 \(8 bytes"),
        (header(3, 2, 2) + bytes(16), r"declares 3 items \(12 bytes\), the file holds 4"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_damaged_file(tmp_path, content, message, pack):
    path = tmp_path / ("a.gz" if pack is gzip.compress else "a")
    path.write_bytes(pack(content))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: .*{message}"):
        read_idx(str(path))


def test_not_gzip(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(header(1) + b"\0")
    with pytest.raises(ValueError, match=r"a\.gz: the gzip data are damaged or cut off"):
        read_idx(str(path))


@pytest.mark.parametrize("array", [IMAGES.astype(np.int32), np.zeros((1,) * 5, np.uint8)])
def test_write_refuses_what_cannot_be_read(tmp_path, array):
    with pytest.raises(ValueError, match="only uint8 with 1 to 4"):
        write_idx(str(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (
            ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"],
            {"train": "train-*-ubyte*", "eval": "t10k-*-ubyte*"},
        ),
        (
            ["train-images.idx3-ubyte", "test-images.idx3-ubyte", "test-labels.idx1-ubyte"],
            {"train": "train-*-ubyte*", "eval": "test-*-ubyte*"},
        ),
        (
            ["x[1]-train-images-idx3-ubyte", "x[1]-val-images-idx3-ubyte"],
            {"train": "x[[]1]-train-*-ubyte*", "eval": "x[[]1]-val-*-ubyte*"},
        ),
        (["train-images-idx3-ubyte", "README.md"], {"all": "train-*-ubyte*"}),
        (["images-idx3-ubyte", "labels-idx1-ubyte"], {"all": "*-ubyte*"}),
    ],
)
def test_splits(tree, names, splits):
    base = tree(dict.fromkeys(names, b""))
    assert IdxReader().splits(base) == splits
    found = [file for files in IdxReader().files(base, splits).values() for file in files]
    assert sorted(found) == sorted(f"{base}/{name}" for name in names if "idx" in name)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], FileNotFoundError, "the folder is empty"),
        ([".DS_Store"], FileNotFoundError, "the folder is empty"),
        (["train.csv"], FileNotFoundError, "no IDX file"),
        (["a-images-idx3-ubyte", "b-images-idx3-ubyte"], ValueError, "'a-', 'b-'.*data.splits"),
        (
            ["train-images-idx3-ubyte", "val-images-idx3-ubyte", "eval-images-idx3-ubyte"],
            ValueError,
            "cannot tell train from eval",
        ),
    ],
)
def test_splits_of_a_bad_folder(tree, names, error, message):
    base = tree(dict.fromkeys(names, b""))
    with pytest.raises(error, match=f"{re.escape(base)}: .*{message}"):
        IdxReader().splits(base)


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match=r"/no/such: no such folder.*data\.path"):
        IdxReader().splits("/no/such")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["notes.txt"], r"notes\.txt: not the name of an IDX file"),
        (["labels-idx1-ubyte"], "labels-idx1-ubyte: labels without images"),
        (["images-idx3-ubyte", "images-idx3-ubyte.gz"], "Keep one"),
    ],
)
def test_files_that_make_no_pair(tree, names, message):
    base = tree(dict.fromkeys(names, b""))
    with pytest.raises(ValueError, match=message):
        IdxReader().shards(base, {"all": "*"})


@pytest.mark.parametrize("images", [IMAGES, np.stack([IMAGES] * 3, axis=-1)], ids=["gray", "rgb"])
def test_images_and_labels(idx_folder, images):
    base = idx_folder({"images-idx3-ubyte.gz": images, "labels-idx1-ubyte.gz": LABELS})
    reader = IdxReader()
    splits = reader.splits(base)
    files = reader.files(base, splits)["all"]
    assert len(files) == 2
    (shard,) = shards = reader.shards(base, splits)["all"]
    assert reader.count(shards) == 3
    assert reader.shape(shards) == (*images.shape[1:], 1)[:3]
    records = list(reader.read(shard))
    assert [record.label for record in records] == LABELS.tolist()
    assert [record.source for record in records] == [f"images-idx3-ubyte.gz#{i}" for i in range(3)]
    for record, image in zip(records, images, strict=True):
        decoded = tf.io.decode_png(record.encoded).numpy()
        np.testing.assert_array_equal(decoded.squeeze(), image)


def test_unlabelled(idx_folder):
    base = idx_folder({"images-idx3-ubyte": IMAGES})
    (shard,) = IdxReader().shards(base, {"all": "*"})["all"]
    assert [record.label for record in IdxReader().read(shard)] == [None] * 3


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:2], r"labels-idx1-ubyte: labels \[2\] for the images \[3, 4, 5\]"),
        (IMAGES, LABELS[:, None], r"labels-idx1-ubyte: labels \[3, 1\]"),
        (LABELS, LABELS, r"images-idx3-ubyte: the dimensions are \[3\]"),
        (np.zeros((3, 4, 5, 2), np.uint8), LABELS, r"the dimensions are \[3, 4, 5, 2\]"),
    ],
)
def test_pair_that_does_not_fit(idx_folder, images, labels, message):
    base = idx_folder({"images-idx3-ubyte": images, "labels-idx1-ubyte": labels})
    with pytest.raises(ValueError, match=message):
        for shard in IdxReader().shards(base, {"all": "*"})["all"]:
            list(IdxReader().read(shard))


def test_remote_folder():
    base = "ram://idx_reader"
    tf.io.gfile.makedirs(base)
    write_idx(f"{base}/train-images-idx3-ubyte.gz", IMAGES)
    reader = IdxReader()
    splits = reader.splits(base)
    (shard,) = shards = reader.shards(base, splits)["all"]
    assert reader.count(shards) == 3
    assert len(list(reader.read(shard))) == 3


def test_labels_of_one_split_alone_are_refused(idx_folder):
    base = idx_folder(
        {
            "train-images-idx3-ubyte": IMAGES,
            "train-labels-idx1-ubyte": np.zeros(len(IMAGES), np.uint8),
            "t10k-images-idx3-ubyte": IMAGES,
        }
    )
    reader = IdxReader()
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte: no labels, but .*train-images"):
        reader.shards(base, reader.splits(base))


def test_of_three_splits_val_is_left_out(tree):
    names = [f"{split}-images-idx3-ubyte" for split in ("train", "val", "test")]
    base = tree(dict.fromkeys(names, b""))
    splits = IdxReader().splits(base)
    assert splits == {"train": "train-*-ubyte*", "eval": "test-*-ubyte*"}
    assert [each.first for each in IdxReader().left_out(base, splits)] == [names[1]]
