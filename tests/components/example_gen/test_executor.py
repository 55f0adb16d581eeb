import hashlib
import json
import shutil

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.common.tfx import split_files
from components.data import examples, vectors
from components.example_gen import executor
from components.example_gen.config import DataConfig
from components.example_gen.executor import bucket_of
from components.example_gen.formats.idx import read_idx
from components.example_gen.ledger import Ledger


def parsed(artifact, split):
    """The examples of a split, by source."""
    records = tf.data.TFRecordDataset(split_files([artifact], split), "GZIP")
    protos = [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]
    return {
        proto.features.feature[examples.SOURCE].bytes_list.value[0].decode(): proto.features.feature
        for proto in protos
    }


def lines(artifact, name):
    """What a file beside the splits says, by source and kind."""
    with open(f"{artifact.uri}/{name}.jsonl") as file:
        found = [json.loads(line) for line in file]
    return {(line["source"], line["kind"]): line["reason"] for line in found}


def counts(artifact):
    """The properties of the artifact that are not 0."""
    names = ("examples", "rejected", "duplicates", "leaked", "dropped", "animated", "misnamed")
    found = {name: artifact.get_int_custom_property(name) for name in names}
    return {name: count for name, count in found.items() if count}


def test_splits_of_the_data_are_kept(digits, data_folder):
    for split, name in (("train", "train"), ("eval", "t10k")):
        images = read_idx(str(data_folder / f"digits/{name}-images-idx3-ubyte.gz"))
        labels = read_idx(str(data_folder / f"digits/{name}-labels-idx1-ubyte.gz"))
        found = parsed(digits, split)
        # In the order in which they were read, of one file here.
        assert list(found) == [f"{name}-images-idx3-ubyte.gz#{i}" for i in range(len(images))]
        for index in range(len(images)):
            feature = found[f"{name}-images-idx3-ubyte.gz#{index}"]
            decoded = tf.io.decode_image(feature[examples.ENCODED].bytes_list.value[0]).numpy()
            np.testing.assert_array_equal(decoded[..., 0], images[index])
            assert feature[examples.LABEL].int64_list.value[0] == labels[index]
            assert feature[examples.DECODE_OK].int64_list.value[0] == 1
    assert counts(digits) == {"examples": 1797}


def test_examples_are_readable_by_the_next_stages(digits):
    read = examples.read_images(split_files([digits], "eval"), (8, 8, 1))
    assert read.data.shape == (300, 8, 8, 1)
    assert sorted(set(read.labels)) == list(range(10))


@pytest.fixture
def three_classes(tree, png):
    return tree(
        {
            **{f"train/ant/{n}.png": png(n) for n in range(3)},
            "train/bee/3.png": png(3),
            "train/bee/bad.png": png(4)[:60],
            "train/bee/empty.png": b"",
            "train/bee/large.png": png(5, (9, 8)),
            "train/ant/twin.png": png(0),
            "train/ant/in_eval.png": png(9),
            "test/bee/9.png": png(9),
            "test/bee/8.png": png(8),
        }
    )


def test_bad_records_are_set_aside_and_counted(three_classes, tmp_path, run_example_gen, caplog):
    config = DataConfig(
        path=three_classes,
        image_shape=(8, 8, 1),
        on_bad_record="quarantine",
        max_rejected_fraction=0.5,
        drop_duplicates=True,
        on_leak="drop",
    )
    artifact = run_example_gen(config, tmp_path)
    found = {split: parsed(artifact, split) for split in ("train", "eval")}
    labels = {
        source: feature[examples.LABEL].int64_list.value[0]
        for features in found.values()
        for source, feature in features.items()
    }
    assert labels == {
        **{f"train/ant/{n}.png": 0 for n in range(3)},
        "train/bee/3.png": 1,
        "test/bee/8.png": 1,
        "test/bee/9.png": 1,
    }
    rejected = lines(artifact, "rejected")
    assert rejected.keys() == {
        ("train/bee/bad.png", "bad"),
        ("train/bee/empty.png", "bad"),
        ("train/bee/large.png", "bad"),
        ("train/ant/twin.png", "duplicate"),
        ("train/ant/in_eval.png", "leak"),
    }
    assert "data.image_shape is 8x8" in rejected["train/bee/large.png", "bad"]
    assert "test/bee/9.png in eval" in rejected["train/ant/in_eval.png", "leak"]
    assert counts(artifact) == {
        "examples": 6,
        "rejected": 3,
        "dropped": 2,
        "duplicates": 1,
        "leaked": 1,
    }
    assert lines(artifact, "notes") == {}
    assert "set aside: train/bee/empty.png: the file is empty" in caplog.text


def test_bad_records_end_the_stage(three_classes, tmp_path, run_example_gen):
    config = DataConfig(path=three_classes, image_shape=(8, 8, 1), on_leak="keep")
    message = "3 of 11 records are bad: train/bee/bad.png: .*empty.png.*large.png: the image is 9x8"
    with pytest.raises(ValueError, match=message):
        run_example_gen(config, tmp_path)


def test_a_leak_ends_the_stage(tree, png, tmp_path, run_example_gen):
    names = {"train/1.png": 1, "train/2.png": 2, "test/1.png": 2, "test/2.png": 2}
    base = tree({name: png(seed) for name, seed in names.items()})
    with pytest.raises(ValueError, match="1 records of train are in eval too: train/2.png"):
        run_example_gen(DataConfig(path=base, image_shape=(8, 8, 1)), tmp_path)


# The kind of each record, and whether it lies in the eval split.
RECORDS = st.lists(
    st.tuples(st.sampled_from(["good", "good", "bad", "twin", "moving"]), st.booleans()),
    min_size=1,
    max_size=25,
)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(RECORDS, st.booleans(), st.sampled_from(["drop", "keep"]))
def test_every_record_is_accounted_for(
    tmp_path_factory, png, run_example_gen, records, drop_duplicates, on_leak
):
    base = tmp_path_factory.mktemp("records")
    for index, (kind, in_eval) in enumerate(records):
        folder = base / ("test" if in_eval else "train")
        folder.mkdir(exist_ok=True)
        content = {"good": png(index), "bad": b"bad", "twin": png(999), "moving": png(index)}[kind]
        name = f"{index}.jpg" if kind == "moving" else f"{index}.png"
        (folder / name).write_bytes(content)
    for folder, seed in (("train", 1001), ("test", 1002)):
        (base / folder).mkdir(exist_ok=True)
        (base / folder / "sure.png").write_bytes(png(seed))
    config = DataConfig(
        path=str(base),
        image_shape=(8, 8, 1),
        on_bad_record="quarantine",
        max_rejected_fraction=0.99,
        drop_duplicates=drop_duplicates,
        on_leak=on_leak,
    )
    artifact = run_example_gen(config, tmp_path_factory.mktemp("out"))
    kept = [source for split in ("train", "eval") for source in parsed(artifact, split)]
    gone = [source for source, _ in lines(artifact, "rejected")]
    written = [str(path.relative_to(base)) for path in base.rglob("*.*")]
    assert sorted(kept + gone) == sorted(written)
    found = counts(artifact)
    assert found["examples"] == len(kept)
    assert found.get("rejected", 0) + found.get("dropped", 0) == len(gone)
    kinds = [kind for kind, _ in records]
    assert found.get("rejected", 0) == kinds.count("bad")
    assert found.get("misnamed", 0) == kinds.count("moving")


@given(st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.randoms())
def test_a_split_depends_on_the_pixels_alone(numbers, random):
    """Whatever else there is, and in whatever order, an image stays where it is."""
    buckets = {"train": 700, "eval": 300}
    digests = [f"{number:016x}" for number in numbers]
    before = {digest: bucket_of(digest, buckets) for digest in digests}
    more = [*digests, *(f"{random.getrandbits(64):016x}" for _ in range(20))]
    random.shuffle(more)
    after = {digest: bucket_of(digest, buckets) for digest in more}
    assert {digest: after[digest] for digest in digests} == before
    assert set(after.values()) <= {"train", "eval"}


def test_hash_split_of_a_run(tree, tmp_path, png, run_example_gen):
    """Re-ordered, renamed, in another format and with more images, all stay where they were."""
    images = [png(seed) for seed in range(200)]
    files = {f"once/{index}.png": image for index, image in enumerate(images)}
    files |= {f"again/{index}.png": image for index, image in enumerate(images[::-1])}
    files |= {f"again/new{index}.png": png(1000 + index) for index in range(50)}
    files |= {f"again/twin{index}.png": image for index, image in enumerate(images[:20])}
    base = tree(files)

    def divided(folder):
        config = DataConfig(
            path=f"{base}/{folder}", format="folder", image_shape=(8, 8, 1), eval_fraction=0.3
        )
        artifact = run_example_gen(config, tmp_path / folder)
        found = counts(artifact)
        train, held_out = (
            {
                feature[examples.HASH].bytes_list.value[0]
                for feature in parsed(artifact, split).values()
            }
            for split in ("train", "eval")
        )
        assert train.isdisjoint(held_out)
        return train, held_out, found

    train, held_out, found = divided("once")
    assert found == {"examples": 200}
    # 60 expected, with a standard deviation of 6.5.
    assert 35 < len(held_out) < 85
    more_train, more_held_out, found = divided("again")
    assert found == {"examples": 270, "duplicates": 20}
    assert train <= more_train
    assert held_out <= more_held_out
    pixels = tf.io.decode_png(images[0]).numpy()
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16].encode() in train | held_out


def rows_of(artifact, split):
    """Label and source of the examples of a split, by the values of a and b."""
    found = {}
    for record in tf.data.TFRecordDataset(split_files([artifact], split), "GZIP"):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        values = tuple(feature[vectors.COLUMN + name].float_list.value[0] for name in "ab")
        label = next(iter(feature[vectors.LABEL].int64_list.value), None)
        found[values] = label, feature[vectors.SOURCE].bytes_list.value[0].decode()
    return found


def test_rows_of_a_table(tmp_path, run_example_gen):
    base = tmp_path / "table"
    base.mkdir()
    (base / "train.csv").write_text("a,b,label\n1,2,x\n3,n/a,x\n1,2,y\n5,6,y\n7,8\n9,1,x\n")
    (base / "test.csv").write_text("b,a,label\n6,5,x\n1,0,z\n")
    config = DataConfig(
        path=str(base),
        columns=("a", "b"),
        on_bad_record="quarantine",
        max_rejected_fraction=0.5,
        on_leak="drop",
    )
    artifact = run_example_gen(config, tmp_path)

    assert rows_of(artifact, "train") == {(1, 2): (1, "train.csv#2"), (9, 1): (0, "train.csv#5")}
    assert rows_of(artifact, "eval") == {(5, 6): (0, "test.csv#0"), (0, 1): (2, "test.csv#1")}
    assert lines(artifact, "rejected") == {
        ("train.csv#1", "bad"): "the column 'b' holds 'n/a', but has no missing values "
        "(data.columns would say missing: true)",
        ("train.csv#4", "bad"): "2 fields, the first row has 3",
        ("train.csv#3", "leak"): "the same as test.csv#0 in eval",
    }
    assert lines(artifact, "notes") == {("train.csv#2", "duplicate"): "the same as train.csv#0"}
    assert counts(artifact) == {
        "examples": 5,
        "rejected": 2,
        "dropped": 1,
        "duplicates": 1,
        "leaked": 1,
    }


def test_the_split_of_a_row_depends_on_its_numbers_alone(tmp_path, run_example_gen):
    """In another order and format, beside other rows and columns, all stay where they were."""
    once = [(float(n), n / 7) for n in range(300)]
    again = [*once[::-1], *((-1.0 - n, 0.5) for n in range(50))]

    def divided(folder):
        config = DataConfig(path=str(tmp_path / folder), columns=("a", "b"), eval_fraction=0.3)
        artifact = run_example_gen(config, tmp_path / "out" / folder)
        return [set(rows_of(artifact, split)) for split in ("train", "eval")]

    (tmp_path / "once").mkdir()
    (tmp_path / "once" / "a.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in once))
    (tmp_path / "again").mkdir()
    table = pa.table({"c": range(350), "b": [b for _, b in again], "a": [a for a, _ in again]})
    pq.write_table(table, tmp_path / "again" / "a.parquet", row_group_size=100)
    train, held_out = divided("once")
    more_train, more_held_out = divided("again")

    assert (len(train) + len(held_out), len(more_train) + len(more_held_out)) == (300, 350)
    # 90 expected, with a standard deviation of 7.9.
    assert 60 < len(held_out) < 120
    assert train < more_train
    assert held_out < more_held_out


def values_by_row(artifact, split):
    """The values of a, by the number of the row."""
    found = {}
    for record in tf.data.TFRecordDataset(split_files([artifact], split), "GZIP"):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        row = feature[vectors.SOURCE].bytes_list.value[0].decode().rpartition("#")[2]
        found[row] = feature[vectors.COLUMN + "a"].float_list.value[0]
    return found


def test_equal_rows_may_be_divided_by_their_place(tmp_path, run_example_gen):
    """They come into both splits, and stay there in another file, with rows behind them."""

    def divided(name, count):
        path = tmp_path / name
        path.write_text("a\n" + "".join(f"{n % 3}\n" for n in range(count)))
        config = DataConfig(path=str(path), columns=("a",), eval_fraction=0.3, divide_by="row")
        artifact = run_example_gen(config, tmp_path / "out" / name)
        return [values_by_row(artifact, split) for split in ("train", "eval")]

    train, held_out = divided("once.csv", 300)
    more_train, more_held_out = divided("again.csv", 350)

    assert len(train) + len(held_out) == 300
    assert 60 < len(held_out) < 120
    assert set(train.values()) == set(held_out.values()) == {0, 1, 2}
    assert train.items() < more_train.items()
    assert held_out.items() < more_held_out.items()


def test_16_bits_of_which_12_are_in_use(tmp_path, run_example_gen):
    pixels = np.random.default_rng(3).integers(0, 4096, (40, 8, 8)).astype(np.uint16)
    np.savez(tmp_path / "a.npz", images=pixels)
    options = {"path": str(tmp_path / "a.npz"), "image_shape": (8, 8, 1)}
    with pytest.raises(ValueError, match=r"all 40 images of 16 bits .*data\.bits: 12"):
        run_example_gen(DataConfig(**options), tmp_path / "out")

    found = run_example_gen(DataConfig(**options, bits=12), tmp_path / "scaled")
    means = [
        feature[examples.MEAN].float_list.value[0] for feature in parsed(found, "train").values()
    ]
    assert 0.4 < np.mean(means) < 0.6


def test_a_damaged_file_ends_the_stage_without_output(data_folder, tmp_path, run_example_gen):
    base = tmp_path / "digits"
    shutil.copytree(data_folder / "digits", base)
    images = base / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:5000])
    config = DataConfig(path=str(base), format="idx", image_shape=(8, 8, 1))
    with pytest.raises(Exception, match="t10k-images-idx3-ubyte.gz: the gzip data are damaged"):
        run_example_gen(config, tmp_path)
    assert not list((tmp_path / "examples").rglob("data_tfrecord*.gz"))


def test_equal_records_meet_however_they_are_packed():
    """A thousand of one group, of which fifty are different, take several packages."""
    records = [("train", f"{n:03d}\n|.png", f"{n % 50:016x}", b"") for n in range(1000)]
    packing = executor._ByDigest()
    packing.start_bundle()
    packed = [pair for record in records for pair in packing.process(record)]
    assert len(packed) > 1
    packed += [each.value for each in packing.finish_bundle()]
    assert {key for key, _ in packed} == {"000"}
    deciding = executor._Decide(False, "keep")
    deciding.start_bundle()
    noted = [
        output.value.source
        for output in deciding.process(("000", [part for _, part in packed]))
        if output.tag == "notes"
    ]
    assert sorted(noted) == [source for _, source, _, _ in records[50:]]


def test_a_sample_is_a_part_of_all_in_the_same_splits(digits, data_folder, tmp_path):
    config = DataConfig(path=str(data_folder / "digits"), format="idx", image_shape=(8, 8, 1))
    found = config.dataset()
    with beam.Pipeline() as pipeline:
        executor.write_examples(pipeline, str(tmp_path), config, found.base, found.splits, 200)
    counted = Ledger.of(str(tmp_path)).counts
    # A sixth of all are in eval.
    assert counted["inputs/train"] == counted["examples/train"] == 167
    assert counted["inputs/eval"] == counted["examples/eval"] == 33
    for split, count in (("train", 167), ("eval", 33)):
        every = parsed(digits, split)
        (path,) = (tmp_path / f"Split-{split}").glob("*.gz")
        records = tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()
        some = [tf.train.Example.FromString(record).features.feature for record in records]
        assert len(some) == count
        for feature in some:
            assert feature == every[feature[examples.SOURCE].bytes_list.value[0].decode()]
