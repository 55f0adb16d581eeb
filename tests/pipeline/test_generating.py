"""Bulk samples: complete, the same however they are made, and readable."""

import io
import json
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pyarrow import parquet
from rich.console import Console

from components.data import vectors
from components.data.columns import Column
from components.example_gen import dataset
from components.serving.contract import row_seeds
from components.serving.generator import Generator
from components.trainer import export
from components.trainer.data.encoding import Encoding
from pipeline import generating
from pipeline.config import LOCAL_BEAM
from pipeline.generating import Order

COUNT = 115
TABLE = Encoding.learn(
    np.array([[3, 0, 0], [np.nan, 1, 86_400_000_000], [80, np.nan, 9 * 86_400_000_000]]),
    [
        Column(name="age", type="integer", missing=True),
        Column(name="job", type="categorical", missing=True),
        Column(name="born", type="datetime", format="%d.%m.%y"),
    ],
    {"job": ("cook", "poet")},
)
MANY_THREADS = (*LOCAL_BEAM, "--direct_num_workers=2", "--direct_running_mode=multi_threading")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(generating, "SHARD", 50)


class Network(tf.Module):
    """Four by four pixels, or two columns."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape
        size = int(np.prod(shape))
        self.weights = tf.Variable(tf.random.stateless_normal([3, size], [0, 0]))

    def __call__(self, inputs, training=None):
        latents, labels = inputs if isinstance(inputs, list) else (inputs, tf.zeros([1], tf.int64))
        level = tf.cast(labels, tf.float32)[:, None] / 5
        return tf.reshape(tf.tanh(latents @ self.weights - level), [-1, *self.shape])


def exported(folder, network, *arguments):
    export.save(export.ServingSignatures(network, 3, *arguments), str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Generators of images, of classes and of rows, by name."""
    folder = tmp_path_factory.mktemp("models")
    encoding = Encoding.learn(
        np.float32([[0, 0], [1 / 3, 0], [30, 5]]), ["wind", "rain"], numbers="min_max"
    )
    return {
        "images": exported(folder / "images", Network(4, 4, 1)),
        "classes": exported(folder / "classes", Network(4, 4, 1), np.array([0.25, 0.75])),
        "rows": exported(folder / "rows", Network(2), None, encoding),
        "table": exported(folder / "table", Network(TABLE.width), None, TABLE),
    }


def content(folder):
    """The bytes of all files by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make(order, out, runner=LOCAL_BEAM):
    generating.generate(order, str(out), runner)
    return content(out)


@pytest.mark.parametrize("name", generating.FORMATS.names())
def test_equal_orders_are_equal_bytes_in_any_bundles(models, tmp_path, name):
    order = Order(models["classes"], 60, name, seed=3)

    first = make(order, tmp_path / "first")
    workers = (
        "--runner=FnApiRunner",
        "--direct_num_workers=2",
        "--direct_running_mode=multi_threading",
    )
    assert make(order, tmp_path / "second", workers) == first
    assert json.loads(first[generating.RECORD])["complete"] is True


def test_a_run_that_was_killed_goes_on(models, tmp_path, monkeypatch):
    order = Order(models["images"], COUNT, "npz")
    whole = make(order, tmp_path / "whole")
    out = tmp_path / "out"
    write = generating.FORMATS.get("npz")[1]
    made = []

    def killed_in_the_second(part, path):
        made.append(part.first)
        if len(made) > 1:
            raise KeyboardInterrupt
        write(part, path)

    with monkeypatch.context() as patch, pytest.raises(BaseException):  # noqa: B017
        patch.setattr(generating.FORMATS, "get", lambda name: (".npz", killed_in_the_second))
        make(order, out)
    assert json.loads((out / generating.RECORD).read_text())["complete"] is False
    assert len(list(out.glob("samples-*.npz"))) == 1
    kept = {path: path.stat().st_mtime_ns for path in out.glob("samples-*.npz")}

    screen = io.StringIO()
    generating.generate(order, str(out), LOCAL_BEAM, Console(file=screen))
    assert content(out) == whole
    lines = screen.getvalue().splitlines()
    assert lines[0] == f"  {50 if made[0] < 100 else 15} of 115 samples are there already"
    assert lines[-1].startswith("  115 of 115 samples, ")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


class Scorer(tf.Module):
    """Prefers bright images, differently for each class."""

    def __call__(self, values, labels):
        return tf.reduce_sum(values, [1, 2, 3]) * (tf.cast(labels, tf.float32) * 2 - 1)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A generator of classes that scores its samples."""
    shares = np.array([0.25, 0.75])
    signatures = export.ServingSignatures(Network(4, 4, 1), 3, shares, scorer=Scorer())
    path = tmp_path_factory.mktemp("scored") / "model"
    export.save(signatures, str(path))
    return str(path)


def test_the_likely_ones_are_kept(scored, tmp_path):
    for keep in (1.0, 0.3):
        make(Order(scored, COUNT, "npz", seed=2, keep=keep), tmp_path / str(keep))
    every, some = (
        {
            name: np.concatenate([np.load(path)[name] for path in sorted(folder.glob("*.npz"))])
            for name in ("images", "labels", "seeds")
        }
        for folder in (tmp_path / "1.0", tmp_path / "0.3")
    )

    np.testing.assert_array_equal(some["labels"], every["labels"])
    assert len(np.unique(some["seeds"])) == COUNT
    # Of 167, 167 and 50 candidates.
    assert some["seeds"].max() < 2 * 2**32 + 384
    generator = Generator(scored)
    again = generator.sample(some["seeds"], some["labels"])
    assert np.abs(some["images"].astype(int) - again).max() <= 1
    for label, sign in ((0, -1), (1, 1)):
        bright = [float(each["images"][each["labels"] == label].mean()) for each in (every, some)]
        assert sign * (bright[1] - bright[0]) > 10
    records = [
        json.loads((tmp_path / keep / generating.RECORD).read_text()) for keep in ("1.0", "0.3")
    ]
    assert [record.get("keep") for record in records] == [None, 0.3]
    threads = make(
        Order(scored, COUNT, "npz", seed=2, keep=0.3), tmp_path / "threads", MANY_THREADS
    )
    assert threads == content(tmp_path / "0.3")


def test_rows_are_those_of_their_seeds(models, tmp_path):
    generator = Generator(models["classes"])
    make(Order(models["classes"], COUNT, "npz", seed=1), tmp_path / "all")
    parts = [np.load(path) for path in sorted((tmp_path / "all").glob("*.npz"))]

    assert [len(part["seeds"]) for part in parts] == [50, 50, 15]
    images = np.concatenate([part["images"] for part in parts])
    assert np.abs(images.astype(int) - generator.draw(COUNT, seed=1)).max() <= 1

    make(Order(models["classes"], 5, "npz", labels=(1, 0), truncation=0.5), tmp_path / "some")
    some = np.load(tmp_path / "some" / "samples-00000-of-00001.npz")
    assert some["labels"].tolist() == [1, 0, 1, 0, 1]
    expected = generator.sample(range(5), [1, 0, 1, 0, 1], truncation=0.5)
    assert np.abs(some["images"].astype(int) - expected).max() <= 1


def test_our_own_readers_read_them(models, tmp_path):
    images = Generator(models["images"]).draw(60)
    for name in ("png", "npz", "tfrecord", "parquet"):
        make(Order(models["images"], 60, name), tmp_path / name)
        if name == "npz":
            path = str(sorted((tmp_path / name).glob("*.npz"))[0])
            expected = images[:50]
        else:
            (tmp_path / name / generating.RECORD).unlink()
            path, expected = str(tmp_path / name), images
        found = dataset.inspect(path).read().data
        assert found.shape == expected.shape, name
        # Readers have an order of their own.
        sums = [np.sort(each.reshape(len(each), -1).sum(axis=1)) for each in (found, expected)]
        assert np.abs(sums[0].astype(int) - sums[1]).max() <= 16


def test_an_archive_has_images_seeds_and_classes(models, tmp_path):
    make(Order(models["classes"], 3, "webdataset", labels=(1,)), tmp_path / "out")

    with tarfile.open(tmp_path / "out" / "samples-00000-of-00001.tar") as archive:
        names = archive.getnames()
        assert names[:3] == ["000000000.cls", "000000000.json", "000000000.png"]
        assert archive.extractfile("000000002.cls").read() == b"1"
        assert json.loads(archive.extractfile("000000002.json").read()) == {"seed": 2}
        assert Image.open(archive.extractfile("000000002.png")).size == (4, 4)


def test_tables_keep_their_values_and_types(models, tmp_path):
    for name in ("parquet", "tfrecord", "npz"):
        make(Order(models["table"], 60, name), tmp_path / name)
    rows = Generator(models["table"]).rows(row_seeds(0, 60))
    assert {None, *rows["age"]} != {None}
    assert {None, "cook", "poet"} >= set(rows["job"])

    table = parquet.read_table(next((tmp_path / "parquet").glob("*-00000-*")))
    assert table.column("age").to_pylist() == rows["age"][:50].tolist()
    assert table.column("job").to_pylist() == rows["job"][:50].tolist()
    born = [f"{each:%d.%m.%y}" for each in table.column("born").to_pylist()]
    assert born == rows["born"][:50].tolist()
    found = vectors.read_vectors(
        sorted(map(str, (tmp_path / "tfrecord").glob("*.gz"))), Generator(models["table"]).table
    )
    names = [
        None if np.isnan(code) else found.categories["job"][int(code)] for code in found.data[:, 1]
    ]
    assert names == rows["job"].tolist()
    with np.load(next((tmp_path / "npz").glob("*-00001-*"))) as arrays:
        assert arrays["categories/job"].tolist() == ["cook", "poet"]
        np.testing.assert_array_equal(arrays["vectors"], found.data[50:])


def test_rows_keep_their_columns(models, tmp_path):
    make(Order(models["rows"], 20, "parquet"), tmp_path / "out")

    table = parquet.read_table(tmp_path / "out" / "samples-00000-of-00001.parquet")
    assert table.column_names == ["seed", "wind", "rain"]
    expected = Generator(models["rows"]).draw(20)
    np.testing.assert_allclose(np.stack([table["wind"], table["rain"]], 1), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "changes", "error", "message"),
    [
        ("rows", {"format": "png"}, ValueError, "--format png: the model makes vectors, not"),
        ("rows", {"format": "jpeg"}, ValueError, "unknown format 'jpeg': .*npz, parquet, png"),
        ("images", {"labels": (1,)}, ValueError, "the generator has no classes"),
        ("classes", {"labels": (0, 7)}, ValueError, "labels: no such class"),
        ("images", {"truncation": 2.0}, ValueError, "truncation: expected numbers"),
        ("images", {"count": 0}, ValueError, "count: 0, expected 1 or more"),
        ("images", {"seed": 2**31}, ValueError, "seed: 2147483648, expected"),
        ("images", {"keep": 0.5}, ValueError, "no discriminator .* trainer.export_scores: true"),
        ("images", {"keep": 1.5}, ValueError, r"--keep: 1.5, expected a share in \(0, 1\]"),
        ("scored", {"keep": 0.5, "truncation": 0.5}, ValueError, "leave out --truncation"),
        ("scored", {"keep": 0.1, "count": 2**31}, ValueError, "at most 2.32 rows of a seed"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    models, scored, tmp_path, model, changes, error, message
):
    order = Order(
        **{"model": {**models, "scored": scored}[model], "count": 3, "format": "npz", **changes}
    )
    with pytest.raises(error, match=message):
        make(order, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_samples_are_not_mixed_in(models, tmp_path):
    make(Order(models["images"], 3, "npz"), tmp_path / "out")
    with pytest.raises(FileExistsError, match="out: holds other samples; name another --out"):
        make(Order(models["images"], 3, "npz", seed=1), tmp_path / "out")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x").write_text("")
    with pytest.raises(FileExistsError, match="notes: is not empty; name another --out"):
        make(Order(models["images"], 3, "npz"), tmp_path / "notes")
