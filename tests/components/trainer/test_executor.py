import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_wine
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact_utils, standard_artifacts

from components import features
from components.data import examples, vectors
from components.data.columns import Column
from components.data.spec import DataSpec
from components.data.vectors import VectorRecord
from components.infra_validator import probe
from components.infra_validator.component import witness
from components.serving.generator import Generator
from components.trainer.component import GANTrainer
from components.trainer.config import ConditioningConfig, TrainerConfig
from components.trainer.data import clusters
from components.trainer.data.encoding import Encoding

CONFIG = TrainerConfig(
    networks={"generator": "mlp", "discriminator": "mlp"},
    latent_dim=8,
    images=640,
    batch_size=32,
    log_every_images=160,
    grid_every_images=320,
    checkpoint_every_images=320,
)

DIGITS = DataSpec(image_shape=(8, 8, 1))


def _inputs(tmp_path, made):
    """Examples, and clean anomalies."""
    data, anomalies = standard_artifacts.Examples(), standard_artifacts.ExampleAnomalies()
    for artifact, name in ((data, "examples"), (anomalies, "anomalies")):
        artifact.uri = str(tmp_path / name)
        artifact.split_names = artifact_utils.encode_split_names(["train"])
        (tmp_path / name / "Split-train").mkdir(parents=True)
    with tf.io.TFRecordWriter(f"{data.uri}/Split-train/data.gz", options="GZIP") as writer:
        for example in made:
            writer.write(example.SerializeToString())
    anomalies.set_int_custom_property("blessed_train", 1)
    return {"examples": [data], "anomalies": [anomalies]}


@pytest.fixture
def inputs(tmp_path, digits):
    """Digits."""
    records = (examples.from_array(image, f"digits#{n}") for n, image in enumerate(digits[:100]))
    return _inputs(tmp_path, map(examples.to_example, records))


@pytest.fixture
def run(inputs, tmp_path):
    """Runs the executor; returns the folders of model and model_run."""

    def do(config=CONFIG, attempt="1", data=DIGITS, inputs=inputs, **parameters):
        outputs = {
            "model": [standard_artifacts.Model()],
            "model_run": [standard_artifacts.ModelRun()],
        }
        for key, (artifact,) in outputs.items():
            artifact.uri = str(tmp_path / f"{key}-{attempt}")
        properties = {
            "config": config.model_dump_json(),
            "data": data.model_dump_json(),
            "checkpoint_dir": str(tmp_path / "checkpoints"),
            "code_version": "1",
            **parameters,
        }
        GANTrainer.EXECUTOR_SPEC.executor_class().Do(inputs, outputs, properties)
        (model,) = outputs["model"]
        assert model.get_string_custom_property("code_version") == "1"
        return tmp_path / f"model-{attempt}", tmp_path / f"model_run-{attempt}"

    return do


class Extractor(tf.Module):
    """The pixels, and whether the first half of them is brighter."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.uint8)])
    def extract(self, images):
        features = tf.cast(tf.reshape(images, [-1, 64]), tf.float32)
        halves = tf.reduce_mean(tf.reshape(features, [-1, 2, 32]), axis=2)
        return {"features": features, "probabilities": tf.nn.softmax(halves)}


def _extractor(tmp_path, *, classes_are_labels):
    folder = tmp_path / "extractor"
    module = Extractor()
    saved = str(folder / features.SAVED_MODEL_FOLDER)
    tf.saved_model.save(module, saved, signatures={"serving_default": module.extract})
    description = {
        "id": "1",
        "kind": "classifier",
        "name": "halves",
        "feature_dim": 64,
        "num_classes": 2,
        "classes_are_labels": classes_are_labels,
    }
    (folder / features.DESCRIPTION_FILE).write_text(json.dumps(description))
    extractor = standard_artifacts.Model()
    extractor.uri = str(folder)
    return extractor


def test_the_quality_of_a_conditional_generator_is_that_of_its_classes_too(run, tmp_path, digits):
    extractor = _extractor(tmp_path, classes_are_labels=True)
    records = (
        examples.from_array(image, f"digits#{n}", n % 2) for n, image in enumerate(digits[:100])
    )
    (tmp_path / "labelled").mkdir()
    inputs = _inputs(tmp_path / "labelled", map(examples.to_example, records))
    quality = CONFIG.quality.model_copy(update={"every_images": 320})
    update = {"conditioning": ConditioningConfig(), "quality": quality, "images": 320}

    _, model_run = run(
        CONFIG.model_copy(update=update), inputs={**inputs, "extractor": [extractor]}
    )

    *_, last = map(json.loads, (model_run / "log.jsonl").read_text().splitlines())
    assert 0 <= last["class_accuracy"] <= 1


@pytest.mark.parametrize("conditioning", [ConditioningConfig(), None])
def test_a_generator_of_classes_knows_their_names(run, tmp_path, digits, conditioning):
    records = (
        examples.from_array(image, f"digits#{n}", n % 2, ("even", "odd")[n % 2])
        for n, image in enumerate(digits[:64])
    )
    folder = tmp_path / "named"
    folder.mkdir()
    config = CONFIG.model_copy(update={"conditioning": conditioning, "images": 320})

    model, _ = run(config, inputs=_inputs(folder, map(examples.to_example, records)))

    generator = Generator.load(str(model))
    assert generator.description["recipe"]["images"] == 320
    assert generator.class_names == ({0: "even", 1: "odd"} if conditioning else {})


def test_leaves_model_log_configuration_grids_and_the_untrained_generator(run):
    model, model_run = run()

    images = [
        json.loads(line)["images"] for line in (model_run / "log.jsonl").read_text().splitlines()
    ]
    assert images == [160, 320, 480, 640]
    assert len(list((model_run / "grids").glob("*.png"))) == 2
    configuration = (model_run / "configuration.json").read_text()
    recorded = TrainerConfig.model_validate_json(configuration)
    # 64 pixels are compared on 50 images.
    assert recorded.quality.select_by == "kid"
    resolved = CONFIG.quality.model_copy(update={"select_by": "kid"})
    assert recorded == CONFIG.settled().model_copy(update={"quality": resolved})
    for path in (model / "Format-Serving", model_run / "untrained"):
        assert Generator(str(path)).sample([3]).shape == (1, 8, 8, 1)


def test_the_same_training_resumes_and_another_one_does_not(run, tmp_path):
    _, first = run()
    _, again = run(attempt="2")
    assert (first / "log.jsonl").read_text() == (again / "log.jsonl").read_text()
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1

    run(CONFIG.model_copy(update={"seed": 1}), attempt="3")
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def _resumes(tmp_path, do):
    """Whether a run takes up a training that was there."""
    folders = set((tmp_path / "checkpoints").iterdir())
    do()
    return set((tmp_path / "checkpoints").iterdir()) == folders


SHORT = CONFIG.model_copy(update={"images": 32})
MORE = {
    "checkpoint_every_minutes": 1.0,
    "export_weights": "float16",
    "grid_every_images": 64,
    "log_every_images": 32,
}


def test_a_training_is_known_by_its_content(run, tmp_path, digits):
    def made(name, images, **labels):
        records = (
            examples.from_array(image, f"{name}#{n}", **{k: v + n % 2 for k, v in labels.items()})
            for n, image in enumerate(images)
        )
        folder = tmp_path / name
        folder.mkdir()
        return _inputs(folder, map(examples.to_example, records))

    run(SHORT)
    assert _resumes(
        tmp_path,
        lambda: run(SHORT.model_copy(update=MORE), "2", inputs=made("elsewhere", digits[:100])),
    )
    assert not _resumes(tmp_path, lambda: run(SHORT, "3", inputs=made("other", digits[1:101])))
    labelled = made("labelled", digits[:100], label=0)
    assert not _resumes(tmp_path, lambda: run(SHORT, "4", inputs=labelled))
    assert not _resumes(
        tmp_path, lambda: run(SHORT, "5", inputs=made("relabelled", digits[:100], label=1))
    )
    assert not _resumes(tmp_path, lambda: run(SHORT, "6", mirror=1))


def test_refuses_data_with_anomalies(run, inputs):
    (anomalies,) = inputs["anomalies"]
    anomalies.set_int_custom_property("blessed_train", 0)
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["image/height"].short_description = "Out-of-range values"
    with open(f"{anomalies.uri}/Split-train/SchemaDiff.pb", "wb") as file:
        file.write(found.SerializeToString())

    with pytest.raises(ValueError, match="split 'train': feature 'image/height': Out-of-range"):
        run()


def test_refuses_images_of_another_size(run):
    with pytest.raises(ValueError, match=r"digits#0: the image is 8x8x1 .* expected 12x12x1"):
        run(data=DataSpec(image_shape=(12, 12, 1)))


@pytest.mark.parametrize("conditional", [False, True])
def test_a_table_becomes_a_model_that_answers_in_its_units(
    run, wine, encoding, tmp_path, conditional
):
    target = load_wine().target
    rows = [dict(zip(encoding.columns, row.tolist(), strict=True)) for row in wine]
    records = (VectorRecord(row, f"wine#{n}", int(target[n])) for n, row in enumerate(rows))
    inputs = _inputs(tmp_path / "wine", map(vectors.to_example, records))
    changes = {"images": 320, "conditioning": ConditioningConfig() if conditional else None}

    model, _ = run(
        CONFIG.model_copy(update=changes), data=DataSpec(columns=encoding.columns), inputs=inputs
    )

    path = str(model / "Format-Serving")
    assert probe.probe(path, witness(path))["shape"] == [len(encoding.columns)]
    generator = Generator(path)
    assert generator.conditional == conditional
    assert generator.columns == list(encoding.columns)
    made = generator.draw(500)
    assert (made >= wine.min(axis=0)).all()
    assert (made <= wine.max(axis=0)).all()
    assert (np.ptp(made, axis=0) > 0).all()
    decimals = Encoding.learn(made, encoding.columns).decimals
    assert np.less_equal(decimals, encoding.decimals).all()


PEOPLE = (
    Column(name="income", missing=True),
    Column(name="age", type="integer"),
    Column(name="job", type="categorical", missing=True),
    Column(name="member", type="boolean"),
    Column(name="born", type="datetime", format="%d.%m.%Y"),
)


def _people(count):
    rng = np.random.default_rng(0)
    for number in range(count):
        values = {
            "income": None if rng.random() < 0.2 else float(rng.normal()),
            "age": int(rng.integers(18, 90)),
            "job": rng.choice(["cook", "poet", None]),
            "member": str(rng.choice(["True", "False"])),
            "born": int(rng.integers(0, 10_000)) * 86_400_000_000,
        }
        yield vectors.to_example(VectorRecord(values, f"people#{number}"))


def test_a_table_of_every_type_is_answered_in_its_types_and_asked_for_values(run, tmp_path):
    inputs = _inputs(tmp_path / "people", _people(300))
    changes = {
        "images": 160,
        "conditioning": ConditioningConfig(by="columns"),
        "networks": CONFIG.networks.model_copy(update={"pac": 4}),
    }

    model, _ = run(CONFIG.model_copy(update=changes), data=DataSpec(columns=PEOPLE), inputs=inputs)

    path = str(model / "Format-Serving")
    assert probe.probe(path, witness(path))["shape"] == [5]
    generator = Generator(path)
    assert generator.table == PEOPLE
    assert not generator.asks_for_classes
    asked = {name: label for label, name in generator.class_names.items()}
    assert list(asked) == ["job=cook", "job=poet", "job=", "member=False", "member=True"]
    for name, wanted in (("job=poet", "poet"), ("job=", None), ("member=True", True)):
        rows = generator.rows(range(200), [asked[name]] * 200)
        assert set(rows[name.split("=")[0]]) == {wanted}
    rows = generator.rows(range(200))
    assert {name: each.dtype for name, each in rows.items()} == {
        "income": np.float32,
        "age": np.int64,
        "job": object,
        "member": bool,
        "born": object,
    }
    assert set(rows["job"]) <= {"cook", "poet", None}
    assert 0 < np.isnan(rows["income"]).mean() < 1
    served = generator(
        "sample_rows", seeds=np.arange(200), labels=generator.draw_labels(range(200))
    )
    np.testing.assert_array_equal(served["age"], rows["age"])
    assert [each.decode() for each in served["born"]] == rows["born"].tolist()
    assert [each.decode() or None for each in served["job"]] == rows["job"].tolist()


def test_images_without_labels_are_asked_for_by_cluster(run, inputs, tmp_path, digits):
    extractor = _extractor(tmp_path, classes_are_labels=False)
    update = {"conditioning": ConditioningConfig(by="clusters", num_classes=3), "images": 320}
    config = CONFIG.model_copy(update=update)

    model, _ = run(config, inputs={**inputs, "extractor": [extractor]})

    generator = Generator.load(str(model))
    assert generator.conditional
    assert not generator.asks_for_classes
    pixels = digits[:100].reshape(100, 64).astype(np.float32)
    np.testing.assert_allclose(
        generator.description["class_shares"], np.bincount(clusters.find(pixels, 3)) / 100
    )


def test_clusters_are_not_of_the_features_that_know_the_labels(run, inputs, tmp_path):
    extractor = _extractor(tmp_path, classes_are_labels=True)
    config = CONFIG.model_copy(update={"conditioning": ConditioningConfig(by="clusters")})

    with pytest.raises(ValueError, match="the extractor knows the labels of these images"):
        run(config, inputs={**inputs, "extractor": [extractor]})
    with pytest.raises(ValueError, match="needs the features of an extractor"):
        run(config)


def test_images_have_no_columns_to_ask_for(run):
    with pytest.raises(ValueError, match=r"conditioning\.by: columns, but the data are images"):
        run(CONFIG.model_copy(update={"conditioning": ConditioningConfig(by="columns")}))
