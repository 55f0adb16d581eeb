"""The same twelve images through every format give the same pixels and labels."""

import errno
import gzip
import io
import os
import re
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from components.data import examples
from components.example_gen import dataset
from components.example_gen.formats import archive
from components.example_gen.formats import folder as folder_format
from components.example_gen.formats.idx import write_idx
from components.example_gen.formats.registry import AUTO, READERS, recognised

COUNT = 12
IMAGES = np.random.default_rng(7).integers(0, 256, (COUNT, 6, 5, 3), dtype=np.uint8)
LABELS = [0, 1, 2] * 4
CLASSES = ("ant", "bee", "cat")
TRAIN = slice(0, 9)
EVAL = slice(9, COUNT)


def encoded(image, file_format="PNG"):
    buffer = io.BytesIO()
    options = {"lossless": True} if file_format == "WEBP" else {}
    Image.fromarray(image).save(buffer, format=file_format, **options)
    return buffer.getvalue()


def members(extension=".png", file_format="PNG", test="test"):
    """Path in a tree of splits and classes to content."""
    return {
        f"{'train' if n < 9 else test}/{CLASSES[LABELS[n]]}/{n:02d}{extension}": encoded(
            IMAGES[n], file_format
        )
        for n in range(COUNT)
    }


def write(base, name, content):
    path = f"{base}/{name}"
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def folder(base, extension=".png", file_format="PNG"):
    for name, content in members(extension, file_format).items():
        write(base, name, content)
    write(base, "LICENSE", b"text")
    write(base, ".hidden", b"text")


def labelled(base):
    rows = [f"{n}.png,{CLASSES[label]}" for n, label in enumerate(LABELS)]
    write(base, "labels.csv", "\n".join(["file,label,comment", *rows]).encode())
    for n in range(COUNT):
        write(base, f"{n}.png", encoded(IMAGES[n]))


def zipped(base):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in members().items():
            opened.writestr(f"photos/{name}", content)
            opened.writestr(f"__MACOSX/photos/{name}", b"a Mac's")
    write(base, "photos.zip", buffer.getvalue())


def tape(contents, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as opened:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def taped(base):
    write(base, "photos.tar", tape({f"./{n}": c for n, c in members().items()}, "w"))


def two_compressed_tapes(base):
    for split in ("train", "test"):
        own = {n: c for n, c in members().items() if n.startswith(split)}
        write(base, f"{split}.tar.gz", tape(own, "w:gz"))


def idx(base):
    tf.io.gfile.makedirs(base)
    for name, part in (("train", TRAIN), ("t10k", EVAL)):
        write_idx(f"{base}/{name}-images-idx3-ubyte.gz", IMAGES[part])
        write_idx(f"{base}/{name}-labels-idx1-ubyte.gz", np.uint8(LABELS[part]))


def npz(base):
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        x_train=IMAGES[TRAIN],
        y_train=np.array(LABELS[TRAIN])[:, None],
        x_test=IMAGES[EVAL],
        y_test=np.array(LABELS[EVAL])[:, None],
    )
    write(base, "cifar.npz", buffer.getvalue())


def npy(base):
    for split, part in (("train", TRAIN), ("val", EVAL)):
        for kind, values in (("images", IMAGES[part]), ("labels", np.array(LABELS[part]))):
            buffer = io.BytesIO()
            np.save(buffer, values)
            write(base, f"{split}_{kind}.npy", buffer.getvalue())


def tf_examples(part, image=examples.ENCODED, label=examples.LABEL):
    for n in range(COUNT)[part]:
        feature = {
            image: tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[encoded(IMAGES[n], "BMP")])
            ),
            label: tf.train.Feature(int64_list=tf.train.Int64List(value=[LABELS[n]])),
        }
        yield tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def tfrecord(base, gz=False, **names):
    for split, parts in (("train", (slice(0, 5), slice(5, 9))), ("validation", (EVAL,))):
        for index, part in enumerate(parts):
            name = f"{split}-{index:05d}-of-{len(parts):05d}.tfrecord" + (".gz" if gz else "")
            path = f"{base}/{name}"
            tf.io.gfile.makedirs(base)
            with tf.io.TFRecordWriter(path, "GZIP" if gz else "") as writer:
                for record in tf_examples(part, **names):
                    writer.write(record)


def parquet(base):
    """As the Hugging Face hub ships images."""
    for split, part in (("train", TRAIN), ("test", EVAL)):
        images = [{"bytes": encoded(image, "WEBP"), "path": "x.webp"} for image in IMAGES[part]]
        table = pa.table({"image": images, "label": LABELS[part]})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, row_group_size=4)
        write(base, f"{split}-00000-of-00001.parquet", buffer.getvalue())


def parquet_with_names(base):
    for split, part in (("train", TRAIN), ("test", EVAL)):
        names = [CLASSES[label] for label in LABELS[part]]
        table = pa.table(
            {"png": [encoded(i) for i in IMAGES[part]], "class": names, "n": LABELS[part]}
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        write(base, f"data/{split}.parquet", buffer.getvalue())


# Format, what to write, the reader's arguments.
ROWS = {
    "folder": ("folder", folder, {}),
    "folder of webp": ("folder", lambda base: folder(base, ".webp", "WEBP"), {}),
    "folder of bmp": ("folder", lambda base: folder(base, ".bmp", "BMP"), {}),
    "folder with labels": ("folder", labelled, {"labels": "labels.csv"}),
    "zip": ("archive", zipped, {}),
    "tar": ("archive", taped, {}),
    "two tar.gz": ("archive", two_compressed_tapes, {}),
    "idx": ("idx", idx, {}),
    "npz": ("numpy", npz, {}),
    "npy": ("numpy", npy, {}),
    "tfrecord": ("tfrecord", tfrecord, {}),
    "tfrecord.gz with names": (
        "tfrecord",
        lambda base: tfrecord(base, gz=True, image="pixels", label="kind"),
        {"features": {"image": "pixels", "label": "kind"}},
    ),
    "parquet of structs": ("parquet", parquet, {}),
    "parquet of bytes and names": ("parquet", parquet_with_names, {}),
}


def read(reader, base):
    """Split to {pixels as bytes: class}, and what the readers say of themselves."""
    found = dataset.find(base, reader)
    shards = reader.shards(found.base, found.splits)
    result, names = {}, []
    for split, listed in shards.items():
        records = [record for shard in listed for record in reader.read(shard)]
        assert len(records) == reader.count(listed)
        assert reader.shape(listed) == IMAGES.shape[1:]
        result[split] = {
            tf.io.decode_png(record.encoded).numpy().tobytes(): (record.label, record.class_name)
            for record in records
        }
        names += [record.source for record in records]
    assert len(set(names)) == COUNT
    return result


@pytest.mark.parametrize("kind", ["local", "ram"])
@pytest.mark.parametrize(("name", "write_to", "options"), ROWS.values(), ids=ROWS)
def test_every_format_gives_the_same(tmp_path, request, kind, name, write_to, options):
    place = f"ram://{request.node.name.replace('/', '')}/data" if kind == "ram" else tmp_path / "d"
    base = str(place)
    write_to(base)
    # The other formats hold numbers.
    names = (
        CLASSES if name in ("folder", "archive") or write_to is parquet_with_names else [None] * 3
    )
    classes = [(label, names[label]) for label in LABELS]
    every = {image.tobytes(): found for image, found in zip(IMAGES, classes, strict=True)}
    train = {image.tobytes(): found for image, found in zip(IMAGES[TRAIN], classes, strict=False)}
    rest = {image: found for image, found in every.items() if image not in train}
    expected = {"all": every} if "labels" in options else {"train": train, "eval": rest}
    assert read(READERS.get(name)(**options), base) == expected
    assert read(READERS.get(AUTO)(**options), base) == expected


@pytest.mark.parametrize("known", [False, True], ids=["auto", "named"])
@pytest.mark.parametrize(("name", "write_to", "options"), ROWS.values(), ids=ROWS)
def test_some_records_and_the_classes_of_all(tmp_path, name, write_to, options, known):
    write_to(str(tmp_path / "d"))
    reader = READERS.get(name if known else AUTO)(**options)
    found = dataset.find(str(tmp_path / "d"), reader)
    for shard in (shard for listed in found.shards.values() for shard in listed):
        every = list(reader.records(shard))
        places = list(range(0, len(every), 2))
        some = list(reader.some(shard, places))
        # An archive is read in its own order.
        assert {raw.source for raw in some} <= {raw.source for raw in every}
        assert len(some) == len(places)
        if name != "archive":
            assert [raw.source for raw in some] == [raw.source for raw in every[::2]]
        for raw in some:
            (same,) = (each for each in every if each.source == raw.source)
            np.testing.assert_array_equal(raw.content, same.content)
            assert (raw.label, raw.class_name) == (same.label, same.class_name)
        of = sorted((raw.label, raw.class_name) for raw in every)
        assert sorted(reader.classes(shard)) == of


def test_files_that_are_not_chosen_are_not_opened(tree, png, monkeypatch):
    base = tree({f"{name}.png": png(number) for number, name in enumerate("abcd")})
    found = dataset.find(base, READERS.get("folder")())
    opened = []
    original = folder_format.open_file
    monkeypatch.setattr(
        folder_format, "open_file", lambda path: (opened.append(path), original(path))[1]
    )
    (shard,) = found.shards["all"]
    assert [raw.source for raw in found.reader.some(shard, [1, 3])] == ["b.png", "d.png"]
    assert list(found.reader.classes(shard)) == [(None, None)] * 4
    assert opened == [f"{base}/b.png", f"{base}/d.png"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.png"], "folder"),
        (["a/b/c.JPG", "LICENSE", "labels.csv"], "folder"),
        (["train.zip", "test.tgz"], "archive"),
        (["mnist.npz"], "numpy"),
        (["train-00000-of-00002.parquet"], "parquet"),
        (["Split-train/data_tfrecord-00000-of-00001.gz"], "tfrecord"),
        (["train-images-idx3-ubyte.gz", "README.md"], "idx"),
    ],
)
def test_recognised(names, found):
    assert recognised(names, "data") == found


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a.doc", "b.doc"],
            "data: cannot tell the format of a.doc, b.doc; name it in data.format",
        ),
        (["1.HEIC", "2.tif"], "data: 1.HEIC, 2.tif: not read; convert them to PNG"),
        (["a.tar.xz"], "a.tar.xz: not read; pack them as .zip, .tar or .tar.gz"),
        (["a.xlsx", "notes"], "a.xlsx, notes: not read; save them as CSV or Parquet"),
        (["1", "2"], "1, 2, which have no extension; rename them, for images to .png"),
        ([], "cannot tell the format of nothing"),
        (["a.png", "b.png", "c.zip"], r"files of several formats \(2 folder, 1 archive\)"),
    ],
)
def test_not_recognised(names, message):
    with pytest.raises(ValueError, match=message):
        recognised(names, "data")


def test_the_same_layout_errors_under_auto(tree):
    with pytest.raises(FileNotFoundError, match="the folder is empty"):
        READERS.get(AUTO)().splits(tree({}))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        READERS.get(AUTO)().splits("/no/such")


def only_shard(name, base, **options):
    reader = READERS.get(name)(**options)
    found = dataset.find(base, reader)
    return reader, [
        s for shards in reader.shards(found.base, found.splits).values() for s in shards
    ]


def errors(name, base, **options):
    """Source to what the reader says is wrong with it; None where nothing is."""
    reader, shards = only_shard(name, base, **options)
    return {raw.source: raw.error for shard in shards for raw in reader.records(shard)}


def corrupt_zip(base):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for n in range(3):
            opened.writestr(f"{n}.png", encoded(IMAGES[n]))
    content = bytearray(buffer.getvalue())
    content[content.index(b"1.png") + 60] ^= 255
    write(base, "a.zip", bytes(content))


def tape_with_a_link(base):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, kind in (("0.png", tarfile.REGTYPE), ("1.png", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "0.png"
            content = encoded(IMAGES[0]) if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    write(base, "a.tar", buffer.getvalue())


def label_faults(base):
    for n in range(4):
        write(base, f"{n}.png", encoded(IMAGES[n]))
    write(base, "labels.csv", b"file,label\n0.png,ant\n1.png,ant\n1.png,bee\n2.png,\n9.png,ant\n")


def label_faults_in_an_archive(base):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("x/0.png", encoded(IMAGES[0]))
        opened.writestr("x/1.png", encoded(IMAGES[1]))
        opened.writestr("labels.csv", "file,label\nx/1.png,bee\nx/2.png,bee\n")
    write(base, "a.zip", buffer.getvalue())


def bad_examples(base):
    tf.io.gfile.makedirs(base)
    bad = [
        b"\xff\xff no proto",
        tf.train.Example().SerializeToString(),
        *list(tf_examples(slice(0, 1))),
        *list(tf_examples(slice(0, 1), label="image/source")),
    ]
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[-1]))
    negative = tf.train.Example.FromString(bad[2])
    negative.features.feature[examples.LABEL].CopyFrom(feature)
    with tf.io.TFRecordWriter(f"{base}/a.tfrecord") as writer:
        for record in [*bad, negative.SerializeToString()]:
            writer.write(record)


def null_rows(base):
    images = [encoded(IMAGES[0]), None, encoded(IMAGES[1]), encoded(IMAGES[2])]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": [1, 2, None, -4]}), buffer)
    write(base, "a.parquet", buffer.getvalue())


def unreadable_file(base):
    write(base, "0.png", encoded(IMAGES[0]))
    os.symlink("/no/such/file", f"{base}/1.png")


# Format, what to write, arguments, what is wrong with which record.
FAULTS = {
    "bad member of a zip": (
        "archive",
        corrupt_zip,
        {},
        {"a.zip#0.png": None, "a.zip#1.png": "Bad CRC-32", "a.zip#2.png": None},
    ),
    "link in a tar": (
        "archive",
        tape_with_a_link,
        {},
        {"a.tar#0.png": None, "a.tar#1.png": "a link, not a file"},
    ),
    "labels": (
        "folder",
        label_faults,
        {"labels": "labels.csv"},
        {
            "0.png": None,
            "1.png": "labels.csv gives it 2 labels: ant, bee",
            "2.png": "labels.csv gives it an empty label",
            "3.png": "labels.csv has no row for it",
            "9.png": "labels.csv lists it, but there is no such file",
        },
    ),
    "labels in an archive": (
        "archive",
        label_faults_in_an_archive,
        {"labels": "labels.csv"},
        {
            "a.zip#x/0.png": "a.zip#labels.csv has no row for it",
            "a.zip#x/1.png": None,
            "a.zip#x/2.png": "lists it, but there is no such file",
        },
    ),
    "tf.Examples": (
        "tfrecord",
        bad_examples,
        {},
        {
            "a.tfrecord#0": "not a tf.Example",
            "a.tfrecord#1": "no feature image/encoded or image or image_raw, only none",
            "a.tfrecord#2": None,
            "a.tfrecord#3": "no label in image/class/label or .*; label all or none",
            "a.tfrecord#4": r"'image/class/label' holds -1, labels count from 0",
        },
    ),
    "rows": (
        "parquet",
        null_rows,
        {},
        {
            "a.parquet#0": None,
            "a.parquet#1": "'image' holds no bytes",
            "a.parquet#2": "'label' holds no label",
            "a.parquet#3": "'label' holds -4",
        },
    ),
    "file that cannot be read": (
        "folder",
        unreadable_file,
        {},
        {"0.png": None, "1.png": "the file cannot be read"},
    ),
}


@pytest.mark.parametrize(("name", "write_to", "options", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_bad_record_is_one_record(tmp_path, name, write_to, options, expected):
    write_to(str(tmp_path / "d"))
    found = errors(name, str(tmp_path / "d"), **options)
    assert found.keys() == expected.keys()
    for source, reason in expected.items():
        assert (found[source] is None) == (reason is None), found[source]
        if reason:
            assert re.search(reason, found[source])


def cut(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def object_array(base):
    base.mkdir()
    np.savez(base / "a.npz", images=np.array([{"a": 1}, None], dtype=object))


def written(name, write_to):
    def write_and_cut(base):
        write_to(str(base))
        cut(base / name)

    return write_and_cut


def other(name, content):
    return lambda base: write(str(base), name, content)


# Format, what to write, the error.
DAMAGE = {
    "cut zip": ("archive", written("photos.zip", zipped), r"photos\.zip: the archive is damaged"),
    "cut tar": ("archive", written("photos.tar", taped), r"photos\.tar: the archive is damaged"),
    "cut tar.gz": (
        "archive",
        written("train.tar.gz", two_compressed_tapes),
        r"train\.tar\.gz: the archive is damaged",
    ),
    "tar without its end": (
        "archive",
        other("a.tar", tape({"a.png": encoded(IMAGES[0]), "b.png": b""}, "w")[:1024]),
        r"a\.tar: the archive is damaged",
    ),
    "no zip": ("archive", other("a.zip", b"hello"), r"a\.zip: the archive is damaged"),
    "zip without images": (
        "archive",
        other("a.tar", tape({"a.txt": b""}, "w")),
        r"a\.tar: no image file in the archive",
    ),
    "cut npz": ("numpy", written("cifar.npz", npz), r"cifar\.npz: not a whole NumPy file"),
    "cut npy": ("numpy", written("train_images.npy", npy), r"train_images\.npy: not a whole NumPy"),
    "objects": ("numpy", object_array, r"a\.npz: .*Python objects, which are never loaded"),
    "no npy": ("numpy", other("a.npy", b"hello"), r"a\.npy: not a whole NumPy file"),
    "cut tfrecord": (
        "tfrecord",
        written("train-00000-of-00002.tfrecord", tfrecord),
        "train-00000-of-00002.tfrecord: not a whole TFRecord file: damaged after 2 records",
    ),
    "cut tfrecord.gz": (
        "tfrecord",
        written("train-00000-of-00002.tfrecord.gz", lambda base: tfrecord(base, gz=True)),
        "train-00000-of-00002.tfrecord.gz: not a whole TFRecord file",
    ),
    "cut parquet": (
        "parquet",
        written("test-00000-of-00001.parquet", parquet),
        "test-00000-of-00001.parquet: not a whole Parquet file",
    ),
    "no such files": ("parquet", other("a.txt", b""), "no Parquet file; found a.txt"),
}


@pytest.mark.parametrize(("name", "write_to", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_in_one_line(tmp_path, name, write_to, message):
    write_to(tmp_path / "d")
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        errors(name, str(tmp_path / "d"))
    assert "\n" not in str(caught.value)


def arrays(**named):
    def save(base):
        base.mkdir()
        np.savez(base / "a.npz", **named)

    return save


def table(**columns):
    def save(base):
        base.mkdir()
        pq.write_table(pa.table(columns), base / "a.parquet")

    return save


WRONG = {
    "no images": ("numpy", arrays(a=np.zeros(3)), {}, r"no array \[n, height, width\].*found .*#a"),
    "other labels": (
        "numpy",
        arrays(images=IMAGES, labels=np.zeros(3, int)),
        {},
        r"#labels: labels int64 \[3\] for the images \[12, 6, 5, 3\]",
    ),
    "float labels": ("numpy", arrays(images=IMAGES, labels=np.zeros(COUNT)), {}, "labels float64"),
    "no array of that name": (
        "numpy",
        arrays(images=IMAGES),
        {"features": {"image": "faces"}},
        r"called 'faces' \(data\.features\)",
    ),
    "two names of one split": (
        "numpy",
        arrays(train_images=IMAGES, val_images=IMAGES, valid_images=IMAGES),
        {},
        "cannot tell train from eval",
    ),
    "no column of bytes": ("parquet", table(image=[1, 2]), {}, "0 columns of image bytes"),
    "two columns of bytes": ("parquet", table(a=[b""], b=[b""]), {}, "2 columns of image bytes"),
    "no column of that name": (
        "parquet",
        table(image=[b""]),
        {"features": {"label": "kind"}},
        r"no column 'kind' \(data\.features\), only image",
    ),
    "labels that are no labels": (
        "parquet",
        table(image=[b""], label=[0.5]),
        {},
        "the label column 'label' is double",
    ),
    "no such labels": (
        "archive",
        other("a.tar", tape({"a.png": b""}, "w")),
        {"labels": "labels.csv"},
        "has no member labels.csv",
    ),
    "columns of labels": (
        "archive",
        other("a.tar", tape({"a.png": b"", "labels.csv": b"name,kind\n"}, "w")),
        {"labels": "labels.csv"},
        r"#labels\.csv: expected UTF-8 text with the columns file and label \(the columns are name",
    ),
}


@pytest.mark.parametrize(("name", "write_to", "options", "message"), WRONG.values(), ids=WRONG)
def test_data_that_a_reader_cannot_make_out(tmp_path, name, write_to, options, message):
    write_to(tmp_path / "d")
    with pytest.raises(ValueError, match=message) as caught:
        errors(name, str(tmp_path / "d"), **options)
    assert "\n" not in str(caught.value)


def test_named_arrays(tmp_path):
    arrays(faces=IMAGES, ids=np.array(LABELS), other=IMAGES)(tmp_path / "d")
    options = {"features": {"image": "faces", "label": "ids"}}
    reader, (shard,) = only_shard("numpy", str(tmp_path / "d"), **options)
    assert [image.label for image in reader.read(shard)] == LABELS


def test_the_only_labels_belong_to_the_only_images(tmp_path):
    arrays(pictures=IMAGES, digit_labels=np.array(LABELS), names=np.zeros(3))(tmp_path / "d")
    reader, (shard,) = only_shard("numpy", str(tmp_path / "d"))
    assert [image.label for image in reader.read(shard)] == LABELS


def test_files_in_folders_of_folders_are_read_too(tmp_path):
    for number, place in enumerate(["a.parquet", "b/c.parquet", "b/d/e.parquet"]):
        base = tmp_path / "d" / place
        base.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": [encoded(IMAGES[number])]}), base)
    assert errors(AUTO, str(tmp_path / "d")).keys() == {
        "a.parquet#0",
        "b/c.parquet#0",
        "b/d/e.parquet#0",
    }


def test_a_gzipped_file_without_the_name(tmp_path):
    """Compression is seen from the content."""
    tfrecord(str(tmp_path / "d"))
    for path in (tmp_path / "d").iterdir():
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert len(errors("tfrecord", str(tmp_path / "d"))) == COUNT


@pytest.mark.parametrize("name", ["idx", "archive", "numpy", "tfrecord", "parquet", "folder"])
def test_options_of_other_formats_are_refused(name):
    for option, value in (("labels", "a.csv"), ("features", {"image": "x"})):
        if option not in READERS.get(name).options:
            with pytest.raises(ValueError, match=f"data.{option}: "):
                READERS.get(name)(**{option: value})


def test_a_folder_that_cannot_be_listed(tree, png, monkeypatch):
    base = tree({"a/1.png": png(), "b/1.png": png()})
    scandir = os.scandir

    def refuse(path):
        if path.endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match="/b: the folder cannot be listed .*Permission denied"):
        READERS.get("folder")().splits(base)


def test_shards_of_archives_hold_every_member_once(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_SHARD_FILES", 2)
    taped(str(tmp_path / "d"))
    _, shards = only_shard("archive", str(tmp_path / "d"))
    assert [len(shard.files) for shard in shards] == [2, 2, 2, 2, 1, 2, 1]
    names = [entry.name for shard in shards for entry in shard.files]
    assert sorted(names) == sorted(f"photos.tar#{name}" for name in members())
