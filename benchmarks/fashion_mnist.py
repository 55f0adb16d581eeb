"""The full Fashion-MNIST, and a metric on it, for the other benchmarks."""

import dataclasses
import shutil
import subprocess
import tempfile
from pathlib import Path

import keras
import numpy as np

from components.data import examples
from components.evaluator.metrics import functions
from components.example_gen.formats.idx import read_idx
from components.feature_extractor import classifier
from components.feature_extractor.config import FeatureExtractorConfig
from components.features.distances import fid
from components.features.neighbourhoods.manifolds import manifolds

_PACKAGE = "dataset-fashion-mnist"
_COUNT = 10_000
_PRECISION_RECALL_COUNT = 5_000


@dataclasses.dataclass(frozen=True)
class Data:
    """Fashion-MNIST: uint8 images [n, 28, 28, 1] and labels [n]."""

    train: examples.Split
    test: examples.Split


def load(source: str | None) -> Data:
    """Loads a folder with the four IDX files, or the Debian package if None."""
    if source:
        return Data(_split(Path(source), "train"), _split(Path(source), "t10k"))
    with tempfile.TemporaryDirectory() as folder:
        for command in (f"apt-get download {_PACKAGE}", f"dpkg-deb -x {_PACKAGE}_*.deb ."):
            if shutil.which(command.split()[0]) is None:
                raise FileNotFoundError(
                    f"{command.split()[0]}: not installed; pass --source, a folder made by "
                    "`python data/make_samples.py --full DIR`"
                )
            subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)
        return load(f"{folder}/usr/share/datasets/fashion-mnist")


def _split(folder: Path, name: str) -> examples.Split:
    images = read_idx(str(folder / f"{name}-images-idx3-ubyte.gz"))
    labels = read_idx(str(folder / f"{name}-labels-idx1-ubyte.gz"))
    return examples.Split(images[..., np.newaxis], labels.astype(np.int64))


class Yardstick:
    """Scores images against the test split, on the features of a classifier trained for that.

    Args:
      data: the classifier is trained on its train split.
      seed: of the classifier.
    """

    def __init__(self, data: Data, seed: int = 1234) -> None:
        config = FeatureExtractorConfig(seed=seed)
        self._model, report = classifier.train(data.train, data.test, config)
        self.accuracy = report.eval_accuracy
        self._real = self._features(data.test.data[:_COUNT])

    def score(self, images: np.ndarray) -> dict[str, float]:
        """fid and kid of uint8 images, 10 000 against 10 000; precision and recall of 5000."""
        fake = self._features(images[:_COUNT])
        few = slice(_PRECISION_RECALL_COUNT)
        found = manifolds(self._real[few], fake[few])
        precision, recall = float(found.in_real.mean()), float(found.in_fake.mean())
        kid, _ = functions.kid(self._real, fake, subsets=20)
        return {"fid": fid(self._real, fake), "kid": kid, "precision": precision, "recall": recall}

    def _features(self, images: np.ndarray) -> np.ndarray:
        model = keras.Model(self._model.input, self._model.output["features"])
        return model.predict(images, batch_size=500, verbose=0)
