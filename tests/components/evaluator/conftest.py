"""Digits, generators that are as good as they are told to be, and an extractor, as artifacts."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components.data import examples, vectors
from components.data.columns import Column
from components.trainer import GANTrainer
from components.trainer.config import ConditioningConfig, TrainerConfig

WEATHER = Path(__file__).parents[3] / "data/weather/weather.csv"
IMAGE_SHAPE = [8, 8, 1]
# The digits: held out, trained on, and real images that a good generator makes without copying.
EVAL_COUNT = 300
TRAIN_COUNT = 800
LOG = [
    {
        "step": step,
        "images": 64 * step,
        "seconds": float(step),
        "images_per_second": 64.0 + step,
        "discriminator_loss": 1.4 - step / 100,
        "generator_loss": 0.7 + step / 100,
    }
    for step in range(1, 40)
]


class Classifier(tf.Module):
    """The pixels as features, a linear classifier's probabilities."""

    def __init__(self, images, labels):
        super().__init__()
        flat = images.reshape(len(images), -1) / 255
        fitted = LogisticRegression(max_iter=200).fit(flat, labels)
        self.weights = tf.Variable(fitted.coef_.T, dtype=tf.float32)
        self.bias = tf.Variable(fitted.intercept_, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, *IMAGE_SHAPE], tf.uint8, name="images")])
    def extract(self, images):
        flat = tf.reshape(tf.cast(images, tf.float32) / 255, [-1, 64])
        return {
            "features": flat,
            "probabilities": tf.nn.softmax(flat @ self.weights + self.bias),
        }


@pytest.fixture(scope="session")
def digits():
    """(uint8 images [1797, 8, 8, 1], labels [1797]) in random order."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = np.round(data.images[order] * 255 / 16).astype(np.uint8)[..., np.newaxis]
    return images, data.target[order]


@pytest.fixture(scope="session")
def generator(digits, save_copier, tmp_path_factory):
    """Writes a generator with the given share of noise; returns its Model artifact."""

    def make(noise):
        model = standard_artifacts.Model()
        model.uri = str(tmp_path_factory.mktemp("generator"))
        known = digits[0][EVAL_COUNT + TRAIN_COUNT :]
        save_copier(known, path_utils.serving_model_dir(model.uri), noise)
        return model

    return make


@pytest.fixture(scope="session")
def untrained(digits, tmp_path_factory):
    """Exports an untrained MLP of 6 latents as the trainer does; returns the folder."""

    def make(conditional):
        config = TrainerConfig(
            networks={"generator": "mlp", "discriminator": "mlp"},
            latent_dim=6,
            batch_size=20,
            images=20,
            conditioning=ConditioningConfig() if conditional else None,
        )
        path = str(tmp_path_factory.mktemp("untrained") / "model")
        GANTrainer.from_config(config, digits if conditional else digits[0]).export(path)
        return path

    return make


@pytest.fixture(scope="session")
def extractor(digits, tmp_path_factory):
    images, labels = digits
    model = standard_artifacts.Model()
    model.uri = str(tmp_path_factory.mktemp("extractor"))
    module = Classifier(images[EVAL_COUNT:], labels[EVAL_COUNT:])
    signatures = {"serving_default": module.extract}
    tf.saved_model.save(module, path_utils.serving_model_dir(model.uri), signatures=signatures)
    description = {
        "id": "0123456789abcdef",
        "kind": "classifier",
        "name": "digits classifier",
        "num_classes": 10,
        "feature_dim": 64,
        "classes_are_labels": True,
        "eval_accuracy": 0.97,
    }
    with open(f"{model.uri}/extractor.json", "w") as file:
        json.dump(description, file)
    return model


@pytest.fixture(scope="session")
def split_examples(digits, tmp_path_factory):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path_factory.mktemp("examples"))
    artifact.split_names = artifact_utils.encode_split_names(["train", "eval"])
    train = digits[0][EVAL_COUNT : EVAL_COUNT + TRAIN_COUNT]
    images = {"eval": digits[0][:EVAL_COUNT], "train": train}
    for split, of_split in images.items():
        folder = artifact_utils.get_split_uri([artifact], split)
        tf.io.gfile.makedirs(folder)
        with tf.io.TFRecordWriter(f"{folder}/data.gz", options="GZIP") as writer:
            for number, image in enumerate(of_split):
                record = examples.from_array(image, f"{split}#{number}")
                writer.write(examples.to_example(record).SerializeToString())
    return artifact


@pytest.fixture(scope="session")
def model_run(digits, save_copier, tmp_path_factory):
    artifact = standard_artifacts.ModelRun()
    artifact.uri = str(tmp_path_factory.mktemp("model_run"))
    save_copier(digits[0][:10], f"{artifact.uri}/untrained", noise=0.9)
    with open(f"{artifact.uri}/log.jsonl", "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in LOG)
    with open(f"{artifact.uri}/configuration.json", "w") as file:
        json.dump({"loss": "hinge"}, file)
    return artifact


@pytest.fixture(scope="session")
def weather():
    """Days of two cities as splits by city, with joint categories, and their columns.

    Every 13th wind of Seattle, and every 7th wind and 11th weather of New York, is missing.
    """
    columns = (
        Column(name="date", type="datetime", format="%Y-%m-%d"),
        Column(name="day", type="integer"),
        *(Column(name=name) for name in ("precipitation", "temp_max", "temp_min")),
        Column(name="wind", missing=True),
        Column(name="weather", type="categorical", missing=True),
        Column(name="frost", type="boolean"),
    )
    with open(WEATHER, newline="") as file:
        cells = list(csv.DictReader(file))
    every = {"Seattle": {"wind": 13}, "New York": {"wind": 7, "weather": 11}}
    splits = {}
    for city, missing in every.items():
        rows = [
            {**row, "frost": str(float(row["temp_min"]) < 0)}
            for row in cells
            if row["location"] == city
        ]
        values = [{each.name: each.value(row[each.name]) for each in columns} for row in rows]
        for name, step in missing.items():
            for row in values[::step]:
                row[name] = None
        splits[city] = vectors.stacked(values, columns)
    return vectors.joined(splits, columns), columns
