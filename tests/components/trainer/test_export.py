import json

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import export, sampling
from components.trainer.data.scaling import Scaling

CLIENT = """
    import json, sys
    import tensorflow as tf
    model = tf.saved_model.load(sys.argv[1])
    served = model.signatures["serving_default"](latents=tf.ones([3, 8]))["images"]
    sampled = model.signatures["sample"](
        count=tf.constant(5), seed=tf.constant(7, tf.int64))["images"]
    print(json.dumps({
        "served": served.numpy().tolist(), "dtype": served.dtype.name,
        "sampled": sampled.numpy().tolist(), "sampled_dtype": sampled.dtype.name,
        "project": [name for name in sys.modules if name.split(".")[0] == "components"]}))
"""


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_plain_tensorflow_in_another_process_makes_the_same_images(
    make_trainer, run_python, tmp_path, dtype
):
    trainer = make_trainer("dcgan", dtype)
    trainer.train(images=32)
    path = str(tmp_path / "exported")
    trainer.export(path)

    process = run_python(CLIENT, path, isolated=True)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]
    found = json.loads(out)
    served = np.array(found["served"])
    assert (found["dtype"], found["sampled_dtype"]) == ("float32", "uint8")
    assert found["project"] == []
    assert served.shape == (3, 8, 8, 1)
    assert np.abs(served).max() <= 1.0
    # The export computes in float32, the trainer perhaps in bfloat16: a grey level or so apart.
    difference = np.array(found["sampled"]).astype(int) - trainer.sample(5, seed=7)
    assert np.abs(difference).max() <= (1 if dtype == "float32" else 4)


def test_an_export_before_training_is_the_untrained_generator(make_trainer, tmp_path):
    trainer = make_trainer()
    before = trainer.sample(4)
    trainer.export(str(tmp_path / "untrained"))
    trainer.train(images=64)

    loaded = tf.saved_model.load(str(tmp_path / "untrained"))
    outputs = loaded.signatures["sample"](count=tf.constant(4), seed=tf.constant(0, tf.int64))
    np.testing.assert_array_equal(outputs["images"], before)
    assert not np.array_equal(trainer.sample(4), before)


def test_classes_are_served_by_label_and_by_their_shares(make_trainer, digits, labels, tmp_path):
    few = labels < 3
    shares = np.bincount(labels[few]) / few.sum()
    trainer = make_trainer(
        dataset=(digits[few], labels[few]),
        generator={"num_classes": 3},
        discriminator={"num_classes": 3},
        conditioning={},
    )
    trainer.export(str(tmp_path / "model"))
    # A loaded model has only its signatures.
    model = tf.saved_model.load(str(tmp_path / "model"))
    assert set(model.signatures) == {"serving_default", "sample", "sample_class"}
    served = model.signatures["serving_default"](
        latents=tf.ones([3, 8]), labels=tf.constant([0, 1, 2], tf.int64)
    )["images"]
    assert served.shape == (3, 8, 8, 1)
    assert not np.array_equal(served[0], served[1])

    arguments = {"count": tf.constant(7), "seed": tf.constant(1, tf.int64)}
    of_class = model.signatures["sample_class"](label=tf.constant(2, tf.int64), **arguments)
    np.testing.assert_array_equal(of_class["images"], trainer.sample(7, seed=1, label=2))
    with pytest.raises(tf.errors.InvalidArgumentError, match="label: no such class"):
        model.signatures["sample_class"](label=tf.constant(3, tf.int64), **arguments)

    # `sample` and each class use the same latents, which reveals the labels.
    count = 300
    sampled = trainer.sample(count, seed=3)
    by_class = [trainer.sample(count, seed=3, label=label) for label in range(3)]
    found = [np.mean([(a == b).all() for a, b in zip(sampled, c, strict=True)]) for c in by_class]
    np.testing.assert_allclose(found, shares, atol=0.1)


class Labelled(tf.keras.Model):
    """Paints every image in the gray of its label."""

    def call(self, inputs, training=None):
        latents, labels = inputs
        gray = tf.cast(labels, tf.float32)[:, tf.newaxis, tf.newaxis, tf.newaxis] / 127.5 - 1
        return tf.tile(gray + 0 * latents[:, :1, tf.newaxis, tf.newaxis], [1, 2, 2, 1])


def test_a_class_without_examples_is_not_served(tmp_path):
    shares = np.array([0.0, 0.5, 0.0, 0.0, 0.25, 0.25])
    serving = export.ServingSignatures(Labelled(), 8, shares)
    export.save(serving, str(tmp_path / "model"))
    model = tf.saved_model.load(str(tmp_path / "model"))
    seed = tf.constant(1, tf.int64)

    drawn = model.signatures["sample"](count=tf.constant(400), seed=seed)["images"]
    assert np.unique(drawn).tolist() == [1, 4, 5]

    of_class = model.signatures["sample_class"]
    for label in (1, 4, 5):
        made = of_class(count=tf.constant(3), seed=seed, label=tf.constant(label, tf.int64))
        assert np.unique(made["images"]).tolist() == [label]
    message = r"no such class; the generator has classes 1, 4-5; .* no examples of 0, 2-3; asked"
    for label in (-1, 0, 2, 3, 6):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            of_class(count=tf.constant(3), seed=seed, label=tf.constant(label, tf.int64))


def test_the_trainer_leaves_out_classes_without_examples(make_trainer, digits, labels):
    few = (labels == 0) | (labels == 2)
    trainer = make_trainer(
        dataset=(digits[few], labels[few]),
        generator={"num_classes": 4},
        discriminator={"num_classes": 4},
        conditioning={"num_classes": 4},
    )

    assert trainer.sample(2, label=2).shape == (2, 8, 8, 1)
    for label in (1, 3):
        message = (
            f"label: {label}, the generator has classes 0, 2; the data had no examples of 1, 3"
        )
        with pytest.raises(ValueError, match=message):
            trainer.sample(2, label=label)
    # Alternately 0 and 2, from the latents of the grid.
    inputs = trainer._sampler.inputs(sampling.GRID, 5)
    assert inputs[1].numpy().tolist() == [0, 2, 0, 2, 0]


def test_vectors_are_served_in_the_units_of_the_data(make_trainer, wine, scaling, tmp_path):
    trainer = make_trainer(dataset=scaling.to_unit(wine), scaling=scaling)
    trainer.export(str(tmp_path / "model"))

    model = tf.saved_model.load(str(tmp_path / "model"))
    assert set(model.signatures) == {"serving_default", "sample", "columns"}
    names = model.signatures["columns"]()["names"].numpy()
    assert [name.decode() for name in names] == list(scaling.columns)
    arguments = {"count": tf.constant(50), "seed": tf.constant(1, tf.int64)}
    sampled = model.signatures["sample"](**arguments)["vectors"]
    np.testing.assert_allclose(sampled, trainer.sample(50, seed=1), rtol=1e-6)
    served = model.signatures["serving_default"](latents=tf.random.normal([50, 8]))["vectors"]
    for rows in (sampled.numpy(), served.numpy()):
        assert (rows >= scaling.low).all()
        assert (rows <= scaling.high).all()
    assert Scaling.learn(sampled.numpy(), scaling.columns).decimals[:3] == scaling.decimals[:3]
    # serving_default does not round.
    assert (scaling.rounded(served).numpy() != served.numpy()).any(axis=0)[:3].all()


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.export(str(tmp_path / "model"))
    with pytest.raises(FileExistsError, match="model exists"):
        trainer.export(str(tmp_path / "model"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_save_leaves_no_model(make_trainer, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(export.tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        make_trainer().export(str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()
