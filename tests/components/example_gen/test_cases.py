"""Data as people have them, after public reports of bugs: what is read of each, or the error.

Cases that concern one format alone are beside its tests.
"""

import io
import json
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from components.example_gen import dataset
from components.example_gen.formats.idx import write_idx
from components.example_gen.prepare import (
    BadRecordError,
    Preparation,
    RawImage,
    prepare,
    prepare_row,
)

N = 6
RGB = np.random.default_rng(3).integers(0, 256, (N, 8, 9, 3), dtype=np.uint8)
LABELS = np.arange(N) % 2


def encoded(index=0, file_format="PNG", image=None):
    buffer = io.BytesIO()
    (image or Image.fromarray(RGB[index])).save(buffer, file_format)
    return buffer.getvalue()


PNG = [encoded(index) for index in range(N)]


def files(contents):
    def write(base):
        for name, content in contents.items():
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def images(*folders, **others):
    """Two images in each folder, and other files; `__` stands for a dot."""
    contents = {
        f"{folder}/{index}.png": PNG[(2 * place + index) % N]
        for place, folder in enumerate(folders)
        for index in range(2)
    }
    return files(contents | {name.replace("__", "."): text for name, text in others.items()})


def labelled(rows, count=2):
    """Images and their labels.csv."""
    return files({**{f"img/{index}.png": PNG[index] for index in range(count)}, "labels.csv": rows})


def zipped(contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def tape_of_links():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, kind in (("0", tarfile.REGTYPE), ("s", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(f"a/{name}.png")
            info.type, info.linkname = kind, "a/0.png" if kind == tarfile.LNKTYPE else "0.png"
            info.size = len(PNG[0]) if kind == tarfile.REGTYPE else 0
            opened.addfile(info, io.BytesIO(PNG[0]))
    return buffer.getvalue()


def parquet(**columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return files({"data.parquet": buffer.getvalue()})


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return files({"data.npz": buffer.getvalue()})


def npy(**arrays):
    def save(array):
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    return files({f"{name}.npy": save(array) for name, array in arrays.items()})


def tfrecord(*labels, cut=0, **others):
    """A file of images with these labels, and other files; `__` stands for a dot."""

    def write(base):
        with tf.io.TFRecordWriter(str(base / "a.tfrecord")) as writer:
            for index, label in enumerate(labels):
                feature = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[PNG[index]])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=label)),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
        content = (base / "a.tfrecord").read_bytes()
        (base / "a.tfrecord").write_bytes(content[: len(content) - cut])
        files({name.replace("__", "."): text for name, text in others.items()})(base)

    return write


def csv(text, name="data.csv"):
    return files({name: text})


def looked_at(path, **reading):
    """Records by split, good records by class, bad ones by reason, and what is left out."""
    found = dataset.inspect(str(path), **reading)
    counts, classes, bad = {}, {}, {}
    for split, shards in found.shards.items():
        raws = [raw for shard in shards for raw in found.reader.records(shard)]
        counts[split] = len(raws)
        assert found.reader.count(shards) == len(raws)
        for raw in raws:
            try:
                if isinstance(raw, RawImage):
                    prepare(raw, Preparation())
                else:
                    prepare_row(raw, found.reader.columns)
            except BadRecordError as error:
                bad[str(error)] = bad.get(str(error), 0) + 1
            else:
                of = raw.label if raw.class_name is None else raw.class_name
                classes[of] = classes.get(of, 0) + 1
    left_out = [str(each) for each in found.left_out] + list(found.remarks)
    return counts, classes, bad, left_out


# What to write, how it is read; records by split, good ones by class, part of the reason of bad
# ones, part of what is left out.
READ = {
    "a class of TIFF files": (
        files(
            {f"cat/{n}.png": PNG[n] for n in range(2)}
            | {f"cow/{n}.jfif": encoded(n, "JPEG") for n in range(2)}
            | {f"dog/{n}.tif": encoded(n, "TIFF") for n in range(2)}
        ),
        {},
        {"all": 6},
        {"cat": 2, "cow": 2},
        "looks like TIFF, which is not read; convert it to PNG",
        None,
    ),
    "names of classes": (
        images(
            "a b", "ü", "x#y", "p|q", "[z]", "100%", "😀", "a\tb", "a\nb", "star*", "-rf", "a\\b"
        ),
        {},
        {"all": 24},
        dict.fromkeys(
            ["a b", "ü", "x#y", "p|q", "[z]", "100%", "😀", "a\tb", "a\nb", "star*", "-rf", "a\\b"],
            2,
        ),
        None,
        None,
    ),
    "unusual extensions": (
        files(
            {
                "0.png": PNG[0],
                "1.jpg_large": encoded(1, "JPEG"),
                "2.jpe": encoded(2, "JPEG"),
                "3.PNG": PNG[3],
            }
        ),
        {},
        {"all": 4},
        {None: 4},
        None,
        None,
    ),
    "nested classes, with the pattern that the error proposes": (
        images("animals/cat", "animals/dog", "plants/oak"),
        {"splits": {"all": "*/*/*"}},
        {"all": 6},
        {"cat": 2, "dog": 2, "oak": 2},
        None,
        None,
    ),
    "links in a tar file": (
        files({"p.tar": tape_of_links()}),
        {},
        {"all": 3},
        {None: 1},
        "a link, not a file",
        None,
    ),
    "one shard of StyleGAN's": (
        files(
            {
                "p.zip": zipped(
                    {f"00000/img{n:08d}.png": PNG[n] for n in range(N)}
                    | {
                        "dataset.json": json.dumps(
                            {"labels": [[f"00000/img{n:08d}.png", n % 3] for n in range(N)]}
                        )
                    }
                )
            }
        ),
        {},
        {"all": N},
        {0: 2, 1: 2, 2: 2},
        None,
        None,
    ),
    "labels that are floats": (
        labelled("file,label\nimg/0.png,0.0\nimg/1.png,1.0\n"),
        {"labels": "labels.csv"},
        {"all": 2},
        {"0.0": 1, "1.0": 1},
        None,
        None,
    ),
    "a label without a comma": (
        labelled("file,label\nimg/0.png,cat\nimg/1.png\n"),
        {"labels": "labels.csv"},
        {"all": 2},
        {"cat": 1},
        "gives it an empty label",
        None,
    ),
    "labels.csv that is not named": (
        labelled("file,label\nimg/0.png,cat\nimg/1.png,dog\n"),
        {},
        {"all": 2},
        {"img": 2},
        None,
        "labels.csv: in no split",
    ),
    "a column that begins as that of labels": (
        parquet(**{"label.text": ["neg", "pos"], "image": PNG[:2], "label": ["dog", "cat"]}),
        {},
        {"all": 2},
        {"dog": 1, "cat": 1},
        None,
        None,
    ),
    "labels in a dictionary": (
        parquet(image=PNG, label=pa.array(LABELS).dictionary_encode()),
        {},
        {"all": N},
        {0: 3, 1: 3},
        None,
        None,
    ),
    "floats from 0 to 1": (
        npz(images=(RGB / 255).astype(np.float32), labels=LABELS),
        {},
        {"all": N},
        {0: 3, 1: 3},
        None,
        None,
    ),
    "NaN": (
        npz(images=np.where(RGB > 99, np.nan, RGB / 255)),
        {},
        {"all": N},
        {},
        "float64 values with NaN among them",
        None,
    ),
    "whole numbers of 16 bits in 64": (
        npz(images=RGB.astype(np.int64) * 257),
        {},
        {"all": N},
        {},
        "int64 values from .* expected 0 to 255; data.bits scales",
        None,
    ),
    "transparency": (
        npz(images=np.concatenate([RGB, RGB[..., :1]], -1)),
        {},
        {"all": N},
        {None: N},
        None,
        None,
    ),
    "X and y": (npy(X=RGB, y=LABELS), {}, {"all": N}, {0: 3, 1: 3}, None, None),
    "several labels in a record": (
        tfrecord([0], [1], [1, 2]),
        {},
        {"all": 3},
        {0: 1, 1: 1},
        r"'label' holds \[1, 2\], expected one label",
        None,
    ),
    "files beside TFRecords": (
        tfrecord([0], [1], a__tfrecord__index="0 12\n", README_tfrecord__md="hi"),
        {},
        {"all": 2},
        {0: 1, 1: 1},
        None,
        r"README_tfrecord\.md: about the data.*a\.tfrecord\.index: in no split",
    ),
    "carriage returns alone": (
        csv("a,b\r1,2\r3,4\r"),
        {"columns": ["b"]},
        {"all": 2},
        {None: 2},
        None,
        None,
    ),
    "a comma after the last column": (
        csv("a,b,\n1,2,\n3,4,\n"),
        {"columns": ["b"]},
        {"all": 2},
        {None: 2},
        None,
        None,
    ),
    "names of columns": (
        csv("a.b,a,x y,ü,temp/max\n1,2,3,4,5\n"),
        {"columns": ["a.b", "a", "x y", "ü", "temp/max"]},
        {"all": 1},
        {None: 1},
        None,
        None,
    ),
    "a name in capitals": (
        csv("a,b\n1,2\n", "DATA.CSV"),
        {"columns": ["a"]},
        {"all": 1},
        {None: 1},
        None,
        None,
    ),
}


@pytest.mark.parametrize(
    ("write", "reading", "counts", "classes", "reason", "left_out"), READ.values(), ids=READ
)
def test_what_is_read(tmp_path, write, reading, counts, classes, reason, left_out):
    write(tmp_path)
    found = looked_at(tmp_path, **reading)
    assert found[:2] == (counts, classes)
    assert sum(found[2].values()) == sum(counts.values()) - sum(classes.values())
    for text, pattern in (("; ".join(found[2]), reason), ("; ".join(found[3]), left_out)):
        assert bool(text) == bool(pattern), text
        if pattern:
            assert_matches(pattern, text)


def assert_matches(pattern, text):
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


# What to write, how it is read, and the error.
REFUSED = {
    "nested classes": (
        images("animals/cat", "plants/oak"),
        {},
        r"deeper than <class>/<image>; .*e\.g\. all=\*/\*/\* with the last folder as class",
    ),
    "a zip file in a zip file": (
        files({"p.zip": zipped({"inner.zip": zipped({"a/0.png": PNG[0]})})}),
        {},
        r"p\.zip: no image file in the archive; found inner\.zip",
    ),
    "a table in a zip file": (
        files({"p.zip": zipped({"a.csv": "a,b\n1,2\n"})}),
        {},
        r"no image file in the archive; found a\.csv",
    ),
    "labels in Latin-1": (
        labelled("file,label\nimg/0.png,caf\xe9\n".encode("latin-1")),
        {"labels": "labels.csv"},
        r"labels\.csv: expected UTF-8 text",
    ),
    "labels in UTF-16": (
        labelled("file,label\nimg/0.png,cat\n".encode("utf-16")),
        {"labels": "labels.csv"},
        r"labels\.csv: expected UTF-8 text",
    ),
    "labels of files without extensions": (
        labelled("file,label\nimg/0,cat\n"),
        {"labels": "labels.csv"},
        "the first names 'img/0', the first file is 'img/0.png'",
    ),
    "labels that are true or false": (
        parquet(image=PNG, label=LABELS > 0),
        {},
        "the label column 'label' is bool, expected whole numbers or names",
    ),
    "one-hot labels": (
        npz(images=RGB, labels=np.eye(2)[LABELS]),
        {},
        r"#labels: labels float64 \[6, 2\] .*one whole number per image",
    ),
    "labels that are text": (
        npz(images=RGB, labels=np.array(["cat", "dog"] * 3)),
        {},
        r"#labels: labels <U3 \[6\] .*one whole number per image",
    ),
    "a text file": (csv("a,b\n1,2\n", "data.txt"), {}, r"data\.txt: not read; save them as CSV"),
    "a record that is cut in its length": (
        tfrecord([0], [1], cut=len(PNG[1])),
        {},
        r"a\.tfrecord: not a whole TFRecord file: damaged after 1 records",
    ),
}


@pytest.mark.parametrize(("write", "reading", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path, write, reading, message):
    write(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        looked_at(tmp_path, **reading)
    assert str(tmp_path) in str(caught.value) or "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", range(1, 16))
def test_a_tfrecord_file_that_ends_too_early(tmp_path, missing):
    """Fewer bytes than a record's length and its checksum are no end of the file."""
    tfrecord([0], [1])(tmp_path)
    first, second = tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"
    second.write_bytes(first.read_bytes() + first.read_bytes()[: 16 - missing])
    with pytest.raises(ValueError, match=r"b\.tfrecord: .*damaged after 2 records"):
        looked_at(tmp_path)


def in_folders(base, labels):
    files({f"{label}/{n}.png": PNG[n] for n, label in enumerate(labels)})(base)


def in_a_csv_file(base, labels):
    rows = "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels))
    files({f"{n}.png": PNG[n] for n in range(len(labels))} | {"labels.csv": f"file,label\n{rows}"})(
        base
    )


def in_a_table(base, labels):
    rows = "".join(f"{n},{label}\n" for n, label in enumerate(labels))
    csv(f"x,label\n{rows}")(base)


def in_idx(base, labels):
    write_idx(str(base / "images-idx3-ubyte"), RGB[: len(labels), ..., 0])
    write_idx(str(base / "labels-idx1-ubyte"), np.array(labels, np.uint8))


def one_npz_an_image(base, labels):
    for n, label in enumerate(labels):
        buffer = io.BytesIO()
        np.savez(buffer, image=RGB[n], label=label)
        (base / f"{n}.npz").write_bytes(buffer.getvalue())


# How to write images with labels, and how they are read.
LABELLED = {
    "folders": (in_folders, {}),
    "labels.csv": (in_a_csv_file, {"labels": "labels.csv"}),
    "csv": (in_a_table, {"columns": ["x"]}),
    "table in parquet": (
        lambda base, labels: parquet(x=list(range(len(labels))), label=labels)(base),
        {"columns": ["x"]},
    ),
    "parquet": (lambda base, labels: parquet(image=PNG[: len(labels)], label=labels)(base), {}),
    "tfrecord": (lambda base, labels: tfrecord(*([label] for label in labels))(base), {}),
    "npz": (lambda base, labels: npz(images=RGB[: len(labels)], labels=labels)(base), {}),
    "npy": (lambda base, labels: npy(images=RGB[: len(labels)], labels=labels)(base), {}),
    "one npz an image": (one_npz_an_image, {}),
    "idx": (in_idx, {}),
}
# Labels that are numbers, and the classes.
NUMBERS = {
    "from 0": ([0, 1, 2], [(0, None), (1, None), (2, None)]),
    "from 1": ([1, 2, 3], [(1, None), (2, None), (3, None)]),
    "fewer missing than there": ([0, 3, 5], [(0, None), (3, None), (5, None)]),
    "gaps": ([200, 100, 100], [(1, "200"), (0, "100"), (0, "100")]),
    "in numeric order": ([9, 10, 100], [(0, "9"), (1, "10"), (2, "100")]),
    "dates": ([20230102, 20230101, 20230102], [(1, "20230102"), (0, "20230101"), (1, "20230102")]),
    "the largest": ([2**62, 0, 1], [(2, str(2**62)), (0, "0"), (1, "1")]),
}


@pytest.mark.parametrize(("write", "reading"), LABELLED.values(), ids=LABELLED)
@pytest.mark.parametrize(("labels", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_is_the_same_label_in_every_format(tmp_path, write, reading, labels, expected):
    if write is in_idx and max(labels) > 255:
        pytest.skip("an IDX file holds bytes")
    write(tmp_path, labels)
    found = dataset.inspect(str(tmp_path), **reading)
    raws = [raw for shard in found.shards["all"] for raw in found.reader.records(shard)]
    assert sorted((raw.label, raw.class_name) for raw in raws) == sorted(expected)


# Folders of partitions; records by split, and by class.
PARTITIONS = {
    "by class": (["label=cat", "label=dog"], {"all": 4}, {"cat": 2, "dog": 2}),
    "by another word for class": (["class=1", "class=0"], {"all": 4}, {0: 2, 1: 2}),
    "by one class": (["label=cat"], {"all": 2}, {"cat": 2}),
    "by split and class": (
        ["split=train/label=cat", "split=train/label=dog", "split=test/label=dog"],
        {"train": 4, "eval": 2},
        {"cat": 2, "dog": 4},
    ),
    "by class and split": (
        ["label=cat/split=train", "label=dog/split=train", "label=cat/split=validation"],
        {"train": 4, "eval": 2},
        {"cat": 4, "dog": 2},
    ),
    "by split, year and class": (
        ["split=train/year=2023/label=cat", "split=test/year=2024/label=dog"],
        {"train": 2, "eval": 2},
        {"cat": 2, "dog": 2},
    ),
    "of one split": (
        ["split=train/label=cat", "split=train/label=dog"],
        {"all": 4},
        {"cat": 2, "dog": 2},
    ),
    "with signs as in a URL": (
        ["label=a%20b", "label=c%2Fd"],
        {"all": 4},
        {"a b": 2, "c/d": 2},
    ),
    "below folders of splits": (
        ["train/label=cat", "train/label=dog", "test/label=cat"],
        {"train": 4, "eval": 2},
        {"cat": 4, "dog": 2},
    ),
}


def parts_of_parquet(base, folders):
    for place, folder in enumerate(folders):
        path = base / folder / "part-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"image": [PNG[2 * place % N], PNG[(2 * place + 1) % N]]}), path)


def arrays_in(base, folders):
    for place, folder in enumerate(folders):
        (base / folder).mkdir(parents=True)
        for index in range(2):
            np.save(base / folder / f"{index}.npy", RGB[(2 * place + index) % N])


def zip_of(base, folders):
    contents = {f"photos/{f}/{index}.png": PNG[index] for f in folders for index in range(2)}
    (base / "a.zip").write_bytes(zipped(contents))


KINDS = {
    "folder": (lambda base, folders: images(*folders)(base), {}),
    "folder in a folder": (
        lambda base, folders: images(*(f"photos/{folder}" for folder in folders))(base),
        {},
    ),
    "zip": (zip_of, {}),
    "npy": (arrays_in, {"arrays": "image"}),
    "parquet": (parts_of_parquet, {}),
}


@pytest.mark.parametrize(("write", "reading"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("folders", "counts", "classes"), PARTITIONS.values(), ids=PARTITIONS)
def test_folders_are_partitions(tmp_path, write, reading, folders, counts, classes):
    write(tmp_path, folders)
    found = looked_at(tmp_path, **reading)
    assert found == (counts, classes, {}, [])


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_a_partition_without_a_class_is_bad_records(tmp_path, kind):
    write, _ = KINDS[kind]
    write(tmp_path, ["label=cat", "label=__HIVE_DEFAULT_PARTITION__"])
    _, classes, bad, _ = looked_at(tmp_path)
    assert classes == {"cat": 2}
    assert bad == {"its folder gives no class": 2}


def test_partitions_by_splits_that_are_none(tmp_path):
    images("split=train/label=a", "split=test/label=a", "split=extra/label=a")(tmp_path)
    with pytest.raises(ValueError, match="cannot tell train from eval among the folders split=ex"):
        looked_at(tmp_path)


def test_a_key_of_partitions_can_be_named(tmp_path):
    parts_of_parquet(tmp_path, ["species=cat", "species=dog"])
    reading = {"features": {"label": "species"}}
    assert looked_at(tmp_path, **reading)[1] == {"cat": 2, "dog": 2}


def test_a_palette_of_grays_is_gray(tmp_path):
    for name, mode in (("gray", "L"), ("colour", "RGB")):
        folder = tmp_path / name
        folder.mkdir()
        pixels = RGB[0, ..., 0] if mode == "L" else RGB[0]
        Image.fromarray(pixels).quantize(64).save(folder / "0.png")
    found = {name: dataset.inspect(str(tmp_path / name)).preview for name in ("gray", "colour")}
    assert {name: preview.channels for name, preview in found.items()} == {"gray": 1, "colour": 3}
    assert found["gray"].modes == {"P": 1}
