import shutil

import numpy as np
import pytest
import tensorflow as tf

from components import examples
from components.example_gen.config import DataConfig
from components.example_gen.idx import read_idx
from components.stage import split_files


def parsed(artifact, split):
    """The examples of a split, by source."""
    records = tf.data.TFRecordDataset(split_files([artifact], split), "GZIP")
    protos = [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]
    return {
        proto.features.feature[examples.SOURCE].bytes_list.value[0].decode(): proto.features.feature
        for proto in protos
    }


def test_splits_of_the_data_are_kept(digits, data_folder):
    for split, name in (("train", "train"), ("eval", "t10k")):
        images = read_idx(str(data_folder / f"digits/{name}-images-idx3-ubyte.gz"))
        labels = read_idx(str(data_folder / f"digits/{name}-labels-idx1-ubyte.gz"))
        found = parsed(digits, split)
        assert len(found) == len(images)
        for index in range(len(images)):
            feature = found[f"{name}-images-idx3-ubyte.gz#{index}"]
            decoded = tf.io.decode_image(feature[examples.ENCODED].bytes_list.value[0]).numpy()
            np.testing.assert_array_equal(decoded[..., 0], images[index])
            assert feature[examples.LABEL].int64_list.value[0] == labels[index]
            assert feature[examples.DECODE_OK].int64_list.value[0] == 1


def test_examples_are_readable_by_the_next_stages(digits):
    read = examples.read_images(split_files([digits], "eval"), (8, 8, 1))
    assert read.images.shape == (300, 8, 8, 1)
    assert sorted(set(read.labels)) == list(range(10))


def divided(artifact):
    """The distinct encoded images of train and of eval."""
    return tuple(
        {
            feature[examples.ENCODED].bytes_list.value[0]
            for feature in parsed(artifact, split).values()
        }
        for split in ("train", "eval")
    )


def test_hash_split_depends_on_the_image_alone(tree, tmp_path, png, run_example_gen):
    images = [png(seed) for seed in range(300)]
    files = {f"once/{index}.png": image for index, image in enumerate(images)}
    files |= {f"reversed/{index}.png": image for index, image in enumerate(images[::-1])}
    files |= {f"reversed/twice{index}.png": image for index, image in enumerate(images)}
    base = tree(files)

    def run(folder):
        config = DataConfig(
            path=f"{base}/{folder}", format="folder", image_shape=(8, 8, 1), eval_fraction=0.3
        )
        return divided(run_example_gen(config, tmp_path / folder))

    train, held_out = run("once")
    assert run("reversed") == (train, held_out)
    assert train.isdisjoint(held_out)
    assert len(train | held_out) == 300
    # 90 expected, with a standard deviation of 7.9.
    assert 60 < len(held_out) < 120


def test_labels_of_classes_agree_between_splits(tree, tmp_path, png, run_example_gen):
    names = ["train/ant/1.png", "train/bee/1.png", "test/bee/1.png"]
    config = DataConfig(
        path=tree({name: png(index) for index, name in enumerate(names)}),
        format="folder",
        image_shape=(8, 8, 1),
    )
    artifact = run_example_gen(config, tmp_path)
    labels = {
        source: feature[examples.LABEL].int64_list.value[0]
        for split in ("train", "eval")
        for source, feature in parsed(artifact, split).items()
    }
    assert labels == {"train/ant/1.png": 0, "train/bee/1.png": 1, "test/bee/1.png": 1}


def test_undecodable_image_is_kept_and_named(tree, tmp_path, png, run_example_gen, caplog):
    base = tree({"train/1.png": png(), "train/2.png": png()[:60], "eval/1.png": png()})
    config = DataConfig(path=base, format="folder", image_shape=(8, 8, 1))
    found = parsed(run_example_gen(config, tmp_path), "train")
    ok = {source: f[examples.DECODE_OK].int64_list.value[0] for source, f in found.items()}
    assert ok == {"train/1.png": 1, "train/2.png": 0}
    assert "train/2.png: the image does not decode" in caplog.text


def test_a_damaged_file_ends_the_stage_without_output(data_folder, tmp_path, run_example_gen):
    base = tmp_path / "digits"
    shutil.copytree(data_folder / "digits", base)
    images = base / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:5000])
    config = DataConfig(path=str(base), format="idx", image_shape=(8, 8, 1))
    with pytest.raises(Exception, match="t10k-images-idx3-ubyte.gz: the gzip data are damaged"):
        run_example_gen(config, tmp_path)
    assert not list((tmp_path / "examples").rglob("data_tfrecord*.gz"))
