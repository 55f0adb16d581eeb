import json

import numpy as np
import pytest
import tensorflow as tf

from components.infra_validator import probe
from components.infra_validator.component import witness
from components.serving import conversion, numpy_draws, warmup
from components.serving.contract import row_seeds
from components.serving.generator import Generator
from components.trainer import export, sampling
from components.trainer.data.encoding import Encoding

CLIENT = """
    import json, sys
    import tensorflow as tf
    model = tf.saved_model.load(sys.argv[1])
    served = model.signatures["serving_default"](latents=tf.ones([3, 8]))["images"]
    seeds = tf.range(5, dtype=tf.int64) + 7 * 2**32
    sampled = model.signatures["sample"](seeds=seeds)["images"]
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
    outputs = loaded.signatures["sample"](seeds=tf.range(4, dtype=tf.int64))
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
    model = tf.saved_model.load(str(tmp_path / "model")).signatures
    served = model["serving_default"](
        latents=tf.ones([3, 8]), labels=tf.constant([0, 1, 2], tf.int64)
    )["images"]
    assert served.shape == (3, 8, 8, 1)
    assert not np.array_equal(served[0], served[1])

    inputs = {
        "seeds": tf.constant(row_seeds(1, 7)),
        "labels": tf.fill([7], tf.constant(2, "int64")),
    }
    of_class = model["sample"](**inputs)["images"]
    np.testing.assert_array_equal(of_class, trainer.sample(7, seed=1, label=2))

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


SHARES = np.array([0.0, 0.5, 0.0, 0.0, 0.25, 0.25])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A generator that shows its classes."""
    path = tmp_path_factory.mktemp("labelled") / "model"
    export.save(export.ServingSignatures(Labelled(), 8, SHARES), str(path))
    return Generator(str(path))


def test_a_class_without_examples_is_not_served(labelled):
    assert np.unique(labelled.draw(400, seed=1)).tolist() == [1, 4, 5]
    for label in (1, 4, 5):
        assert np.unique(labelled.sample(range(3), [label] * 3)).tolist() == [label]
    message = r"no such class; the generator has classes 1, 4-5; .* no examples of 0, 2-3; asked"
    for label in (-1, 0, 2, 3, 6):
        with pytest.raises(ValueError, match=message):
            labelled.sample(range(3), [1, label, 1])


@pytest.mark.parametrize("weights", ["float32", "float16"])
def test_classes_are_mixed(make_trainer, digits, labels, tmp_path, weights):
    few = labels != 4
    trainer = make_trainer(
        dataset=(digits[few], labels[few]),
        generator={"num_classes": 10},
        discriminator={"num_classes": 10},
        conditioning={},
        export_weights=weights,
    )
    trainer.export(str(tmp_path / "model"))
    model = Generator(str(tmp_path / "model"))
    seeds, one, other = np.arange(6), np.array([0, 1, 2, 3, 5, 6]), np.array([9, 8, 7, 6, 5, 0])

    def mixed(shares):
        return model.mix(seeds, one, other, shares)

    np.testing.assert_array_equal(mixed(0), model.sample(seeds, one))
    np.testing.assert_array_equal(mixed(1), model.sample(seeds, other))
    differs = (mixed(0.5) != mixed(0)).any(axis=(1, 2, 3))
    assert differs.tolist() == [True, True, True, True, False, True]
    # Half of one class and half of the other is the same in either order.
    swapped = model.mix(seeds, other, one, 0.5)
    assert np.abs(swapped.astype(int) - mixed(0.5)).max() <= 1
    for bad, message in (
        ((seeds, one, [4] * 6, 0.5), r"other_labels: no such class.* \[4 4 4"),
        ((seeds, [4] * 6, one, 0.5), r"sample_mixed: .*labels: no such class"),
        ((seeds, one, other, 1.1), r"shares: .* in \[0, 1\]"),
        ((seeds, one, other[:2], 0.5), "other_labels: as many rows as seeds needed"),
    ):
        with pytest.raises(ValueError, match=message):
            model.mix(*bad)
    requests = [inputs for name, inputs in warmup.read(model.path) if name == "sample_mixed"]
    assert [len(model("sample_mixed", **each)["images"]) for each in requests] == [1, 8]
    found = probe.probe(model.path, witness(model.path))
    assert found["rows_per_second"] > 0


SCORED = {
    "unconditional": ({}, {}),
    "projection": ({"conditioning": {}}, {"num_classes": 10}),
    "auxiliary": (
        {"conditioning": {"discriminator": "auxiliary"}},
        {"num_classes": 10, "conditioning": "auxiliary"},
    ),
    "half stored, mixed precision": ({"export_weights": "float16", "dtype": "mixed_bfloat16"}, {}),
}


@pytest.mark.parametrize(("options", "network"), SCORED.values(), ids=SCORED)
def test_samples_are_scored_by_the_discriminator(
    make_trainer, digits, labels, tmp_path, options, network
):
    conditional = "conditioning" in options
    classes = {"generator": {"num_classes": 10}} if conditional else {}
    trainer = make_trainer(
        dataset=(digits, labels) if conditional else digits,
        discriminator=network,
        export_scores=True,
        **classes,
        **options,
    )
    trainer.train(64)
    trainer.export(str(tmp_path / "model"))
    model = Generator(str(tmp_path / "model"))
    given = {"seeds": np.arange(6), **({"labels": np.arange(6)} if conditional else {})}
    found = model("score_samples", **given)

    np.testing.assert_array_equal(found["images"], model("sample", **given)["images"])
    del given["seeds"]
    latents = numpy_draws.latents(np.arange(6), 8)
    floats = model("serving_default", latents=latents, **given)["images"]
    expected, _ = trainer._pair.logits(tf.constant(floats), given.get("labels"))
    near = 0.1 if "dtype" in options else 1e-4
    np.testing.assert_allclose(found["logits"], expected[:, 0], rtol=near, atol=near)
    assert found["logits"].dtype == np.float32
    assert probe.probe(model.path, witness(model.path))["rows_per_second"] > 0


def test_what_cannot_mix_classes_has_no_signature_for_it(labelled, make_trainer, tmp_path):
    make_trainer().export(str(tmp_path / "model"))
    for model in (labelled, Generator(str(tmp_path / "model"))):
        assert "sample_mixed" not in model.signatures
    with pytest.raises(ValueError, match="no signature 'sample_mixed', found: describe, draw_la"):
        labelled.mix([1], [1], [4], 0.5)


LATENTS, LABELS = np.ones([3, 8], np.float32), np.array([1, 4, 5])


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("serving_default", {"latents": LATENTS * np.nan}, "latents: expected finite numbers"),
        ("serving_default", {"latents": LATENTS * np.inf}, "latents: expected finite numbers"),
        ("serving_default", {"labels": np.array([1, 4, 10])}, "labels: no such class"),
        ("serving_default", {"labels": np.array([1])}, r"labels: as many rows as latents .*\[3\]"),
        ("sample", {"labels": np.array([1, 4, -1])}, r"labels: no such class.*\[-1\]"),
        ("sample", {"labels": np.resize(LABELS, 4)}, "labels: as many rows as seeds needed"),
        ("sample_png", {"labels": np.array([1, 4, 0])}, "labels: no such class"),
        (
            "sample_truncated",
            {"truncation": np.float32([0, 1, 1.5])},
            r"truncation: .* in \[0, 1\]",
        ),
        ("sample_truncated", {"truncation": np.float32([0, 1, "nan"])}, "truncation: expected"),
        ("interpolate", {"positions": np.float32([0, 1, -0.1])}, r"positions: .* in \[0, 1\]"),
        ("interpolate", {"end_seeds": np.arange(2)}, "end_seeds: as many rows as seeds needed"),
        ("draw_labels", {"seeds": np.arange(1025)}, r"seeds: a call may have 1024 rows.*\[1025\]"),
        (
            "sample",
            {"seeds": np.arange(10**6), "labels": np.resize(LABELS, 10**6)},
            r"seeds: a call may have 1024 rows, not\] \[1000000\]",
        ),
    ],
)
def test_what_has_no_answer_is_refused_with_the_reason(labelled, signature, inputs, message):
    sound = {
        "latents": LATENTS,
        "labels": LABELS,
        "seeds": np.arange(3),
        "end_seeds": np.arange(3) + 7,
        "positions": np.float32([0, 0.5, 1]),
        "truncation": np.float32([0, 0.5, 1]),
    }
    given = {name: sound[name] for name in labelled.inputs(signature)}
    assert labelled(signature, **given)

    with pytest.raises(ValueError, match=message) as caught:
        labelled(signature, **{**given, **inputs})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("conditional", [False, True])
def test_keras_loads_it_as_a_layer(make_trainer, digits, labels, tmp_path, conditional):
    classes = {"generator": {"num_classes": 10}, "discriminator": {"num_classes": 10}}
    options = {"dataset": (digits, labels), "conditioning": {}, **classes} if conditional else {}
    trainer = make_trainer(**options)
    trainer.export(str(tmp_path / "model"))
    inputs = [tf.ones([2, 8]), tf.constant([3, 4], tf.int64)]

    layer = tf.keras.layers.TFSMLayer(str(tmp_path / "model"))
    images = layer(inputs if conditional else inputs[0])["images"]

    named = dict(zip(("latents", "labels")[: 1 + conditional], inputs, strict=False))
    expected = Generator(str(tmp_path / "model"))("serving_default", **named)["images"]
    np.testing.assert_array_equal(images, expected)


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


def test_vectors_are_served_in_the_units_of_the_data(make_trainer, wine, encoding, tmp_path):
    trainer = make_trainer(dataset=encoding.encode(wine), encoding=encoding)
    trainer.export(str(tmp_path / "model"))

    model = Generator(str(tmp_path / "model"))
    assert model.columns == list(encoding.columns)
    sampled = model.draw(50, seed=1)
    np.testing.assert_allclose(sampled, trainer.sample(50, seed=1), rtol=1e-6)
    latents = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    served = model("serving_default", latents=latents)["vectors"]
    assert "sample_png" not in model.signatures
    for rows in (sampled, served):
        assert (rows >= wine.min(axis=0)).all()
        assert (rows <= wine.max(axis=0)).all()
    assert np.less_equal(
        Encoding.learn(sampled, encoding.columns).decimals, encoding.decimals
    ).all()
    rows = model("sample_rows", seeds=row_seeds(1, 50))
    np.testing.assert_array_equal(np.stack([rows[name] for name in encoding.columns], 1), sampled)


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


@pytest.mark.parametrize("weights", ["float16", "bfloat16"])
def test_weights_take_half_the_space(make_trainer, digits, labels, tmp_path, weights):
    classes = {"generator": {"num_classes": 10}, "discriminator": {"num_classes": 10}}
    options = {"dataset": (digits, labels), "conditioning": {}, "export_weights": weights}
    trainer = make_trainer(**options, **classes)
    path = tmp_path / "model"
    trainer.export(str(path))

    size = (path / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size < 0.6 * 4 * trainer.generator.count_params()
    model = Generator.load(str(path))
    assert model.description["weights"] == weights
    assert np.abs(model.draw(50).astype(int) - trainer.sample(50)).max() <= 4
    for name, inputs in warmup.read(model.path):
        assert model(name, **inputs)
    file = str(tmp_path / "generator.onnx")
    conversion.export(model, "onnx", "serving_default", file)
    apart = np.abs(Generator.load(file).draw(50).astype(int) - model.draw(50))
    assert apart.max() <= 1
