import re

import pytest
import tensorflow as tf

from components.example_gen.formats import folder
from components.example_gen.formats.folder import FolderReader


def labels_of(base, splits):
    """Split to {source: label}."""
    reader = FolderReader()
    return {
        split: {record.source: record.label for shard in shards for record in reader.read(shard)}
        for split, shards in reader.shards(base, splits).items()
    }


@pytest.mark.parametrize(
    ("names", "splits", "labels"),
    [
        pytest.param(
            ["cat/1.png", "ant/1.JPG", "cat/2.jpeg"],
            {"all": "*/*"},
            {"all": {"ant/1.JPG": 0, "cat/1.png": 1, "cat/2.jpeg": 1}},
            id="classes",
        ),
        pytest.param(
            ["10/1.png", "9/1.png"],
            {"all": "*/*"},
            {"all": {"9/1.png": 0, "10/1.png": 1}},
            id="numbers",
        ),
        pytest.param(
            ["1.png", "2.png"], {"all": "*"}, {"all": {"1.png": None, "2.png": None}}, id="flat"
        ),
        pytest.param(
            ["train/ant/1.png", "train/bee/1.png", "train/cat/1.png", "test/cat/1.png"],
            {"train": "train/*/*", "eval": "test/*/*"},
            {
                "train": {"train/ant/1.png": 0, "train/bee/1.png": 1, "train/cat/1.png": 2},
                "eval": {"test/cat/1.png": 2},
            },
            id="class missing in eval",
        ),
        pytest.param(
            ["train/1.png", "val/1.png"],
            {"train": "train/*", "eval": "val/*"},
            {"train": {"train/1.png": None}, "eval": {"val/1.png": None}},
            id="flat splits",
        ),
        pytest.param(
            ["train/1.png", "tram/1.png", "LICENSE"],
            {"all": "*/*"},
            {"all": {"train/1.png": 0, "tram/1.png": 1}},
            id="class called train",
        ),
        pytest.param(
            ["photos/cat/1.png", "photos/dog/1.webp", "photos/dog/2.gif", "photos/dog/3.bmp"],
            {"all": "photos/*/*"},
            {
                "all": {
                    "photos/cat/1.png": 0,
                    "photos/dog/1.webp": 1,
                    "photos/dog/2.gif": 1,
                    "photos/dog/3.bmp": 1,
                }
            },
            id="one folder around classes",
        ),
        pytest.param(
            ["[a]/1.png", "b*/1.png"],
            {"all": "*/*"},
            {"all": {"[a]/1.png": 0, "b*/1.png": 1}},
            id="wildcards in names",
        ),
        pytest.param(
            ["a#1/1.png", "b/1#2.png"],
            {"all": "*/*"},
            {"all": {"a#1/1.png": 0, "b/1#2.png": 1}},
            id="number signs in names",
        ),
        pytest.param(
            ["a/1.png", ".DS_Store", "a/.DS_Store", ".git/1.png"],
            {"all": "*/*"},
            {"all": {"a/1.png": 0}},
            id="hidden files",
        ),
    ],
)
def test_splits_and_labels(tree, png, names, splits, labels):
    base = tree(dict.fromkeys(names, png()))
    assert FolderReader().splits(base) == splits
    assert labels_of(base, splits) == labels


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], FileNotFoundError, "the folder is empty"),
        (["a/1.png", "1.png"], ValueError, "1.png: an image beside folders"),
        (["train/1.png", "val/1.png", "eval/1.png"], ValueError, "eval, train, val.*data.splits"),
        (["train/1.png", "test/1.png", "extra/1.png"], ValueError, "cannot tell train from eval"),
        (["train/1.png", "test/1.png", "1.png"], ValueError, "cannot tell train from eval.*1.png"),
        (["a/b/1.png", "c/1.png"], ValueError, "a/b/1.png: an image deeper than <class>/<image>"),
        (["a.txt", "b/c.txt"], FileNotFoundError, "no image file; found a.txt, b"),
    ],
)
def test_splits_of_a_bad_folder(tree, png, names, error, message):
    base = tree(dict.fromkeys(names, png()))
    with pytest.raises(error, match=f"{re.escape(base)}.*{message}"):
        FolderReader().splits(base)


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match=r"/no/such: no such folder.*data\.path"):
        FolderReader().splits("/no/such")


@pytest.mark.parametrize(
    ("splits", "error", "message"),
    [
        ({"all": "b/*"}, FileNotFoundError, r"b/\*: no such file; check data\.path"),
        ({"all": "a/*|b/*"}, FileNotFoundError, r"b/\*: no such file"),
        ({"train": "a/*.png", "eval": "a/1*"}, ValueError, r"1\.png: in split 'train' and in"),
    ],
)
def test_files_of_bad_patterns(tree, png, splits, error, message):
    base = tree({"a/1.png": png(), "a/notes.txt": b"hello"})
    with pytest.raises(error, match=message):
        FolderReader().files(base, splits)


def test_shape_skips_what_does_not_decode(tree, png):
    base = tree({"a.png": b"\x89PNG", "b.png": png(shape=(6, 7, 3))})
    shards = FolderReader().shards(base, {"all": "*"})["all"]
    assert FolderReader().count(shards) == 2
    assert FolderReader().shape(shards) == (6, 7, 3)
    assert FolderReader().shape(FolderReader().shards(base, {"all": "a.png"})["all"]) is None


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_undecodable_image_is_kept_and_marked(tree, png, damage):
    whole = png(shape=(32, 32))
    bad = {"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b""}[damage]
    base = tree({"1.png": whole, "2.png": bad})
    (shard,) = FolderReader().shards(base, {"all": "*"})["all"]
    good, marked = FolderReader().read(shard)
    assert good.decode_ok
    assert (good.height, good.width, good.channels) == (32, 32, 1)
    assert (
        tf.io.decode_png(good.encoded).numpy().tobytes()
        == tf.io.decode_png(whole).numpy().tobytes()
    )
    assert not marked.decode_ok
    assert (marked.source, marked.height) == ("2.png", 0)
    _, raw = FolderReader().records(shard)
    assert raw.content == bad


def test_a_file_of_another_kind_among_the_images_is_a_record_too(tree, png):
    """It is refused when it is prepared; silently left out it would be lost."""
    base = tree({"a/1.png": png(), "a/notes.txt": b"hello"})
    (shard,) = FolderReader().shards(base, FolderReader().splits(base))["all"]
    assert [image.decode_ok for image in FolderReader().read(shard)] == [True, False]


def test_labels_in_a_folder_of_their_own(tree, png):
    table = b"file,label\n../images/1.png,7\n../images/2.png,3\n"
    base = tree({"images/1.png": png(1), "images/2.png": png(2), "meta/labels.csv": table})
    shards = FolderReader(labels="meta/labels.csv").shards(base, {"all": "images/*"})["all"]
    assert [image.class_name for image in FolderReader().read(shards[0])] == ["7", "3"]


def test_shards_hold_every_file_once(tree, png, monkeypatch):
    monkeypatch.setattr(folder, "_SHARD_FILES", 3)
    base = tree({f"{index}.png": png() for index in range(8)})
    shards = FolderReader().shards(base, {"all": "*"})["all"]
    assert [len(shard.entries) for shard in shards] == [3, 3, 2]
    sources = [entry.name for shard in shards for entry in shard.entries]
    assert sources == [f"{index}.png" for index in range(8)]


def test_remote_folder(png):
    base = "ram://folder_reader"
    for index, name in enumerate(["train/a", "train/b", "eval/b"]):
        tf.io.gfile.makedirs(f"{base}/{name}")
        with tf.io.gfile.GFile(f"{base}/{name}/1.png", "wb") as file:
            file.write(png(index))
    splits = FolderReader().splits(base)
    assert labels_of(base, splits) == {
        "train": {"train/a/1.png": 0, "train/b/1.png": 1},
        "eval": {"eval/b/1.png": 1},
    }
