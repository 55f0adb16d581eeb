import csv
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_iris

from components.data import examples, table_files, vectors
from components.data.columns import Column
from components.example_gen import dataset
from components.example_gen.formats.idx import read_idx, write_idx
from pipeline import config, standalone

DIGITS = Path(__file__).parents[2] / "data" / "digits"
COUNT = 120


@pytest.fixture(scope="module")
def digits():
    """(uint8 images [n, 8, 8, 1], labels [n]) of the eval split."""
    images = read_idx(str(DIGITS / "t10k-images-idx3-ubyte.gz"))[..., np.newaxis]
    return images, read_idx(str(DIGITS / "t10k-labels-idx1-ubyte.gz"))


class _Sums(tf.Module):
    """Sums of rows and columns."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.uint8, name="images")])
    def extract(self, images):
        images = tf.cast(images[..., 0], tf.float32) / 255
        rows, columns = tf.reduce_sum(images, axis=1), tf.reduce_sum(images, axis=2)
        return {"features": tf.concat([rows, columns], axis=1)}


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    module = _Sums()
    path = str(tmp_path_factory.mktemp("extractor") / "sums")
    tf.saved_model.save(module, path, signatures={"serving_default": module.extract})
    return path


@pytest.fixture(scope="module")
def serving(digits, save_copier, tmp_path_factory):
    """A serving folder with one version."""
    folder = tmp_path_factory.mktemp("serving")
    save_copier(digits[0], folder / "7")
    return str(folder)


def _write_pngs(images, folder, labels=None):
    for number, image in enumerate(images):
        place = folder if labels is None else folder / f"class {labels[number]}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{number:04}.png")
    return str(folder)


def _write_examples(images, folder):
    folder.mkdir(parents=True)
    path = str(folder / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, options="GZIP") as writer:
        for number, image in enumerate(images):
            record = examples.from_array(image, f"digits#{number}")
            writer.write(examples.to_example(record).SerializeToString())
    return str(folder)


@pytest.fixture(scope="module")
def few(digits, tmp_path_factory):
    """IDX files of some digits, without training images."""
    folder = tmp_path_factory.mktemp("few")
    write_idx(str(folder / "few-images-idx3-ubyte.gz"), digits[0][:COUNT])
    return str(folder)


def _values(evaluation):
    return {name: score.value for name, score in evaluation.scores["model"].items()}


@pytest.fixture(scope="module")
def scored(serving, extractor, tmp_path_factory):
    """The evaluation of the generator against the digits, and where it was written."""
    out = str(tmp_path_factory.mktemp("scored") / "out")
    lines = []
    evaluation = standalone.evaluate(
        serving, str(DIGITS), extractor=extractor, out=out, count=COUNT, seed=3, log=lines.append
    )
    return evaluation, out, lines


def test_a_generator_is_scored_against_the_eval_split(scored, digits, serving):
    evaluation, out, lines = scored

    assert set(os.listdir(out)) >= {"metrics.json", "report.html", "samples.png"}
    content = json.loads(Path(out, "metrics.json").read_text())
    assert content["metrics"]["fid"]["value"] == evaluation.scores["model"]["fid"].value
    counts = content["protocol"]["counts"]
    assert (counts["model"], counts["eval"]) == (COUNT, len(digits[0]))
    assert content["protocol"]["settings"]["seed"] == 3
    assert "resized" not in content["protocol"]
    assert content["lineage"] == {
        "model or data": serving,
        "real": str(DIGITS),
        "train": str(DIGITS),
    }
    assert lines[0] == f"real   {len(digits[0])} images of 8x8x1"
    assert os.listdir(os.path.dirname(out)) == ["out"]


def test_the_table_has_every_metric(scored):
    evaluation, _, _ = scored
    (names, *_) = standalone.table(evaluation).columns

    assert list(names.cells) == sorted(evaluation.scores["model"])


@pytest.mark.parametrize(
    "kind", ["flat", "classes", "idx", "idx file", "npz", "examples", "artifact"]
)
def test_the_same_images_score_the_same_in_every_format(digits, few, extractor, tmp_path, kind):
    """Of images that are the real ones themselves, the FID is 0."""
    images, labels = (found[:COUNT] for found in digits)
    folder = tmp_path / "fakes"
    if kind == "flat":
        path = _write_pngs(images, folder)
    elif kind == "classes":
        path = _write_pngs(images, folder, labels)
    elif kind.startswith("idx"):
        folder.mkdir()
        write_idx(str(folder / "some-images-idx3-ubyte.gz"), images)
        write_idx(str(folder / "some-labels-idx1-ubyte.gz"), labels)
        path = str(folder if kind == "idx" else folder / "some-images-idx3-ubyte.gz")
    elif kind == "npz":
        folder.mkdir()
        np.savez(folder / "some.npz", images=images, labels=labels)
        path = str(folder / "some.npz")
    elif kind == "examples":
        path = _write_examples(images, folder)
    else:
        _write_examples(images, folder / "Split-eval")
        path = str(folder)
    evaluation = standalone.evaluate(path, few, extractor=extractor, out=str(tmp_path / "out"))

    assert evaluation.scores["model"]["fid"].value == pytest.approx(0, abs=1e-6)
    assert evaluation.scores["model"]["coverage"].value == 1
    assert evaluation.protocol["counts"]["model"] == len(images)


def test_real_images_of_a_folder_bring_their_labels_and_splits(digits, extractor, tmp_path):
    images, labels = digits
    _write_pngs(images[:200], tmp_path / "real" / "test", labels[:200])
    _write_pngs(images[200:], tmp_path / "real" / "train", labels[200:])
    fakes = _write_pngs(images[:COUNT], tmp_path / "fakes")
    evaluation = standalone.evaluate(
        fakes, str(tmp_path / "real"), extractor=extractor, out=str(tmp_path / "out")
    )

    assert evaluation.data["eval examples"] == 200
    assert evaluation.data["eval examples by class"] == np.bincount(labels[:200]).tolist()
    assert evaluation.data["train examples"] == len(images) - 200
    read = dataset.inspect(str(tmp_path / "real")).read("eval")
    assert read.class_names == {label: f"class {label}" for label in range(10)}


@pytest.mark.parametrize("made_by", ["files", "model"])
def test_fakes_of_another_size_are_resized_as_pillow_does(
    digits, few, extractor, save_copier, tmp_path, made_by
):
    large = digits[0][:COUNT].repeat(2, axis=1).repeat(2, axis=2)
    if made_by == "files":
        path = _write_pngs(large, tmp_path / "fakes")
    else:
        path = save_copier(large, tmp_path / "model")
    evaluation = standalone.evaluate(path, few, extractor=extractor, out=str(tmp_path / "out"))
    stated = json.loads((tmp_path / "out" / "metrics.json").read_text())["protocol"]["resized"]

    assert list(stated) == ["model"]
    assert "16x16 to 8x8" in stated["model"]
    expected = {
        np.asarray(Image.fromarray(image[..., 0]).resize((8, 8), Image.BICUBIC)).tobytes()
        for image in large
    }
    assert {fake.tobytes() for fake in evaluation.pictures.fake} <= expected


@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_averages_what_it_shrinks(channels):
    """A board of black and white squares of one pixel is gray, not black or white."""
    board = (np.indices((32, 48)).sum(axis=0) % 2 * 255).astype(np.uint8)
    images = np.stack([board, 255 - board])[..., np.newaxis].repeat(channels, axis=3)
    resized = standalone.resize(images, 8, 12)

    assert resized.shape == (2, 8, 12, channels)
    assert resized.dtype == np.uint8
    inside = resized[:, 1:-1, 1:-1].astype(float)
    assert np.abs(inside - 127.5).max() < 4


def test_images_of_the_size_stay_as_they_are(digits):
    assert standalone.resize(digits[0], 8, 8) is digits[0]


def test_a_kind_of_extractor_is_fitted_and_kept_with_the_evaluation(serving, few, tmp_path):
    first = standalone.evaluate(
        serving, few, extractor="identity", out=str(tmp_path / "first"), count=COUNT
    )
    kept = str(tmp_path / "first" / "extractor")
    again = standalone.evaluate(
        serving, few, extractor=kept, out=str(tmp_path / "again"), count=COUNT
    )

    assert first.protocol["extractor"]["kind"] == "identity"
    assert first.protocol["extractor"]["name"].endswith(" pixels")
    assert _values(again) == _values(first)
    # It learns nothing, and needs no training images.
    assert "train" not in first.scores
    assert first.lineage["train"] == "unknown"


def test_the_recipe_says_how_to_measure_and_to_judge(serving, few, extractor, tmp_path):
    recipe = config.load(
        str(DIGITS / "recipe.yaml"),
        ["evaluator.neighbours=4", "evaluator.num_fake=60", "evaluator.gate.bounds.fid.max=0"],
    )
    arguments = {"extractor": extractor, "recipe": recipe}
    evaluation = standalone.evaluate(
        serving, few, out=str(tmp_path / "out"), count=COUNT, **arguments
    )

    assert evaluation.protocol["settings"]["neighbours"] == 4
    assert evaluation.protocol["counts"]["model"] == COUNT
    assert not evaluation.blessed
    assert any(verdict.metric == "fid" and not verdict.passed for verdict in evaluation.verdicts)


def _fakes(tmp_path, images):
    return _write_pngs(images, tmp_path / "fakes")


def _broken(tmp_path, images):
    path = _write_pngs(images, tmp_path / "fakes")
    (tmp_path / "fakes" / "0002.png").write_bytes(b"no image")
    return path


def _of_two_sizes(tmp_path, images):
    path = _write_pngs(images, tmp_path / "fakes")
    Image.new("L", (9, 7)).save(tmp_path / "fakes" / "0003.png")
    return path


def _coloured(tmp_path, images):
    path = _write_pngs(images, tmp_path / "fakes")
    for name in os.listdir(path):
        Image.new("RGB", (8, 8)).save(tmp_path / "fakes" / name)
    return path


def _no_folder(tmp_path, images):
    return str(tmp_path / "nowhere")


def _empty(tmp_path, images):
    (tmp_path / "fakes").mkdir()
    return str(tmp_path / "fakes")


def _unknown(tmp_path, images):
    (tmp_path / "fakes.dat").write_bytes(b"no image")
    return str(tmp_path / "fakes.dat")


def _no_examples(tmp_path, images):
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes" / "data_tfrecord.gz").write_bytes(gzip.compress(b"text " * 100))
    return str(tmp_path / "fakes")


def _no_sample(tmp_path, images):
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"))
    return str(tmp_path / "model")


@pytest.mark.parametrize(
    ("make", "options", "error", "reason"),
    [
        (_no_folder, {}, FileNotFoundError, "nowhere: no such file or folder"),
        (_empty, {}, FileNotFoundError, "fakes: no data, the folder is empty"),
        (_unknown, {}, ValueError, "fakes.dat: not read; save them as CSV or Parquet"),
        (_broken, {}, ValueError, "fakes/0002.png: the image does not decode"),
        (_of_two_sizes, {}, ValueError, "0003.png: the image is 7x9x1 .*/0000.png is 8x8x1"),
        (_coloured, {}, ValueError, "model: the images have 3 channels, the real ones 1"),
        (_no_examples, {"data_format": "examples"}, ValueError, "not a gzipped TFRecord file"),
        (_no_sample, {}, ValueError, "model: no signature 'sample'"),
        (_fakes, {"count": 21}, ValueError, "fakes: 20 samples.* 21"),
        (_fakes, {"data_format": "idx"}, FileNotFoundError, "fakes: no IDX file"),
        (_fakes, {"data_format": "ix"}, ValueError, "--format ix: did you mean 'idx'.*examples"),
        (_fakes, {"extractor": "identiy"}, ValueError, "did you mean 'identity'"),
        (_fakes, {"extractor": "./no"}, FileNotFoundError, "no: no such folder; --extractor"),
        (_fakes, {"train": "./no"}, FileNotFoundError, "no: no such file or folder"),
        (lambda folder, images: str(DIGITS), {}, ValueError, "holds the splits eval, train; name"),
    ],
)
def test_what_cannot_be_scored_is_named_and_leaves_nothing(
    digits, extractor, tmp_path, make, options, error, reason
):
    path = make(tmp_path, digits[0][:20])
    before = sorted(os.listdir(tmp_path))
    arguments = {"extractor": extractor, "out": str(tmp_path / "out"), **options}
    with pytest.raises(error, match=reason) as raised:
        standalone.evaluate(path, str(DIGITS), **arguments)
    assert "\n" not in str(raised.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_kind_that_learns_needs_training_images(digits, tmp_path):
    real = _write_pngs(digits[0][:20], tmp_path / "real")
    with pytest.raises(ValueError, match="--extractor classifier: learns from training data"):
        standalone.evaluate(real, real, extractor="classifier", out=str(tmp_path / "out"))


def test_a_folder_that_is_there_is_refused_before_any_work(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out: exists already; name another --out"):
        standalone.evaluate("nowhere", "nowhere", extractor="none", out=str(tmp_path / "out"))


KINDS = [Column(name="kind", type="categorical", missing=True)]
WHOLE = Column(name="count", type="integer")
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
COLUMNS = [Column(name=name) for name in NAMES]


class _AsTheyAre(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="vectors")])
    def extract(self, vectors):
        return {"features": vectors}


@pytest.fixture(scope="module")
def flowers():
    """Rows [150, 4] in random order."""
    rows = load_iris().data.astype(np.float32)
    return rows[np.random.default_rng(0).permutation(len(rows))]


@pytest.fixture(scope="module")
def as_they_are(tmp_path_factory):
    """An extractor of rows."""
    module = _AsTheyAre()
    path = str(tmp_path_factory.mktemp("extractor") / "rows")
    tf.saved_model.save(module, path, signatures={"serving_default": module.extract})
    return path


@pytest.fixture(scope="module")
def table(flowers, tmp_path_factory):
    """A CSV file with a column of names and one of numbers beside those of the generator."""
    path = tmp_path_factory.mktemp("table") / "flowers.csv"
    lines = [",".join(["id", *NAMES[::-1], "label"])]
    for number, row in enumerate(flowers):
        lines.append(",".join([str(number), *map(str, row[::-1]), f"kind {number % 3}"]))
    path.write_text("\n".join(lines))
    return str(path)


def _write_row_examples(rows, folder):
    folder.mkdir(parents=True)
    path = str(folder / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, options="GZIP") as writer:
        for row in rows:
            record = vectors.VectorRecord(dict(zip(NAMES, row, strict=True)), "flowers")
            writer.write(vectors.to_example(record).SerializeToString())


@pytest.mark.parametrize("kind", ["csv", "parquet", "examples", "artifact"])
def test_the_same_rows_score_the_same_in_every_format(flowers, table, as_they_are, tmp_path, kind):
    path, options = tmp_path / f"fakes.{kind}", {}
    if kind == "examples":
        _write_row_examples(flowers, path)
        options = {"data_format": "examples"}
    elif kind == "artifact":
        _write_row_examples(flowers, path / "Split-eval")
    else:
        table_files.save(flowers, COLUMNS, {}, str(path))
    lines = []
    evaluation = standalone.evaluate(
        str(path),
        # Data of one format, where it has to be named.
        str(path) if options else table,
        extractor=as_they_are,
        out=str(tmp_path / "out"),
        log=lines.append,
        **options,
    )

    # Examples know no order of columns.
    columns = NAMES if kind in ("csv", "parquet") else sorted(NAMES)
    assert lines[0] == f"real   150 rows of {', '.join(columns)}"
    for name in ("fid", "column_distance", "correlation_difference"):
        assert evaluation.scores["model"][name].value == pytest.approx(0, abs=1e-6)
    assert [row.name for row in evaluation.vectors.columns] == columns
    assert sorted(os.listdir(tmp_path / "out")) == ["metrics.json", "report.html", "samples.csv"]


def test_a_generator_of_rows_is_scored_by_the_columns_it_names(
    flowers, table, as_they_are, save_copier, tmp_path
):
    columns = [NAMES[2], NAMES[0]]
    model = save_copier(flowers[:, [2, 0]], tmp_path / "model", columns=columns)
    evaluation = standalone.evaluate(
        model, table, train=table, extractor=as_they_are, out=str(tmp_path / "out"), count=100
    )

    assert [row.name for row in evaluation.vectors.columns] == columns
    assert evaluation.scores["model"]["column_distance"].value < 0.2
    assert evaluation.protocol["counts"]["model"] == 100
    assert evaluation.data["eval examples by class"] == [50, 50, 50]
    assert evaluation.scores["model"]["copies"].value == 1


def test_an_artifact_of_rows_brings_its_splits_and_identity_their_units(flowers, tmp_path):
    _write_row_examples(flowers[:60], tmp_path / "real" / "Split-eval")
    _write_row_examples(flowers[60:], tmp_path / "real" / "Split-train")
    fakes = flowers[:50] * [1, 1, 1, 1000]
    table_files.save(fakes, COLUMNS, {}, str(tmp_path / "fakes.csv"))
    evaluation = standalone.evaluate(
        str(tmp_path / "fakes.csv"),
        str(tmp_path / "real"),
        extractor="identity",
        out=str(tmp_path / "out"),
    )

    assert evaluation.protocol["counts"]["train split"] == 90
    assert evaluation.protocol["counts"]["eval"] == 60
    (worst,) = evaluation.scores["model"]["column_distance"].details
    assert worst == "worst: petal width"


@pytest.fixture
def made(flowers, table, serving, few, save_copier, tmp_path):
    """By name, what can be scored, or scored against."""

    def rows(name, width=4):
        table_files.save(flowers[:, :width], COLUMNS[:width], {}, str(tmp_path / name))
        return str(tmp_path / name)

    def broken():
        lines = Path(rows("broken.csv")).read_text().splitlines()
        lines[2] = "5,wide,1,1"
        (tmp_path / "broken.csv").write_text("\n".join(lines))
        return str(tmp_path / "broken.csv")

    return {
        "table": lambda: table,
        "rows": lambda: rows("rows.csv"),
        "narrow rows": lambda: rows("narrow.csv", 3),
        "broken rows": broken,
        "model of narrow rows": lambda: save_copier(
            flowers[:, :3], tmp_path / "model", columns=NAMES
        ),
        "images": lambda: few,
        "model of images": lambda: serving,
    }


@pytest.mark.parametrize(
    ("fakes", "real", "reason"),
    [
        ("rows", "narrow rows", "narrow.csv: no columns are called 'petal width'"),
        ("rows", "broken rows", "broken.csv#1: the column 'sepal width' holds 'wide'"),
        ("model of narrow rows", "table", r"float32 \[\d+, 3\], expected .* \[\d+, 4"),
        ("model of images", "table", "the model makes images, not vectors"),
        ("model of narrow rows", "images", "the model makes vectors, not images"),
        ("images", "table", "model: holds images, the real data are rows; compare like with like"),
        ("rows", "images", "model: holds rows, the real data are images; compare like with like"),
    ],
)
def test_rows_that_cannot_be_scored_are_named(made, as_they_are, tmp_path, fakes, real, reason):
    arguments = {"extractor": as_they_are, "out": str(tmp_path / "out")}
    with pytest.raises(ValueError, match=reason):
        standalone.evaluate(made[fakes](), made[real](), **arguments)
    assert not (tmp_path / "out").exists()


def _write_days(path, names, days):
    rows = [",".join(["when", "kind", "count"])]
    rows += [f"2020-01-{day:02d},{names[day % len(names)]},{day % 5}" for day in days]
    path.write_text("\n".join(rows))
    return str(path)


def test_rows_of_every_type_are_read_as_the_same_columns(monkeypatch, tmp_path):
    """The columns are learnt from all tables; here they are given, as if they had been."""
    learnt = {
        "fakes": (Column(name="when", type="datetime", format="%Y-%m-%d"), *KINDS, WHOLE),
        "real": (
            Column(name="when", type="datetime", format="%Y-%m-%d", missing=True),
            *KINDS,
            Column(name="count"),
        ),
        "train": (
            Column(name="when", type="datetime", format="%Y-%m-%d"),
            Column(name="kind", type="boolean"),
            WHOLE,
        ),
    }
    inspect = dataset.inspect

    def typed(path, data_format, columns=None):
        return inspect(path, data_format, columns or learnt[Path(path).stem])

    monkeypatch.setattr(dataset, "inspect", typed)
    out = tmp_path / "out"
    evaluation = standalone.evaluate(
        _write_days(tmp_path / "fakes.csv", ["a", "other"], range(1, 31)),
        _write_days(tmp_path / "real.csv", ["a", "b", ""], range(1, 31)),
        train=_write_days(tmp_path / "train.csv", ["a", "c", "b"], range(1, 31)),
        extractor="identity",
        out=str(out),
    )

    columns = [row.column for row in evaluation.vectors.columns]
    assert [column.type for column in columns] == ["datetime", "categorical", "number"]
    assert [column.missing for column in columns] == [True, True, False]
    assert evaluation.vectors.categories == {"kind": ("a", "b", "c", "other")}
    assert evaluation.scores["model"]["column_shapes"].value > 0.6
    with open(out / "samples.csv", newline="") as file:
        made = list(csv.DictReader(file))
    assert list(made[0]) == ["when", "kind", "count"]
    assert {row["kind"] for row in made} == {"a", "other"}
    assert {row["when"] for row in made} == {f"2020-01-{day:02d}" for day in range(1, 31)}
    kept = standalone.evaluate(
        str(tmp_path / "fakes.csv"),
        str(tmp_path / "real.csv"),
        train=str(tmp_path / "train.csv"),
        extractor=str(out / "extractor"),
        out=str(tmp_path / "again"),
    )
    assert _values(kept) == _values(evaluation)


def test_a_column_that_has_collapsed_is_compared_and_not_left_out(tmp_path):
    def write(name, seed, kind):
        draw = np.random.default_rng(seed)
        rows = [f"{draw.normal():.4f},{kind(draw)},{kind(draw)}" for _ in range(200)]
        (tmp_path / name).write_text("\n".join(["wind,kind,place", *rows]))
        return str(tmp_path / name)

    real = write("real.csv", 0, lambda draw: draw.choice(["a", "b"]))
    # A generator that makes one kind only: `new` would leave the column out as a constant.
    fakes = write("fakes.csv", 1, lambda draw: "a")

    evaluation = standalone.evaluate(fakes, real, extractor="identity", out=str(tmp_path / "out"))

    distances = {row.name: row.distance.value for row in evaluation.vectors.columns}
    assert set(distances) == {"wind", "kind", "place"}
    assert min(distances["kind"], distances["place"]) == pytest.approx(0.5, abs=0.1)
    assert evaluation.scores["model"]["two_sample_accuracy"].value > 0.8
    assert not evaluation.blessed
