"""Generators with a known fault, on real images: each is refused, and for that fault."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from components import features
from components.data import examples
from components.evaluator import evaluate
from components.feature_extractor import FeatureExtractorConfig, make
from pipeline import config

DATA = Path("data/fashion_mnist")
TRAIN_COUNT = 3000


def read_idx(kind):
    images, labels = (
        np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8)
        for part in ("images-idx3", "labels-idx1")
        for file in DATA.glob(f"{kind}-{part}*")
    )
    return images[16:].reshape(-1, 28, 28, 1), labels[8:].astype(np.int64)


@pytest.fixture(scope="module")
def data():
    """Held-out real images, what a generator was trained on, and further real images of its kind.

    The last are what a perfect generator would make: real, and in none of the other two.
    """
    (images, labels), (eval_images, eval_labels) = read_idx("train"), read_idx("t10k")
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], labels[order]
    return (
        examples.Split(eval_images, eval_labels),
        examples.Split(images[:TRAIN_COUNT], labels[:TRAIN_COUNT]),
        examples.Split(images[TRAIN_COUNT:4000], labels[TRAIN_COUNT:4000]),
    )


@pytest.fixture(scope="module")
def extractor(data, tmp_path_factory):
    """The default extractor, shortly trained, with what it knows of the real images."""
    real, train, _ = data
    folder = str(tmp_path_factory.mktemp("extractor"))
    make(folder, {"train": train, "eval": real}, FeatureExtractorConfig(epochs=4), "clothes")
    return features.Extractor(folder)


@pytest.fixture(scope="module")
def judge(data, extractor):
    """Evaluates images under the gate of the default recipe."""
    real, train, _ = data
    rules = config.load("data/fashion_mnist/recipe.yaml", ["evaluator.kid_subsets=10"]).evaluator

    def run(fakes, real=real):
        return evaluate.evaluate(fakes, real, train, extractor, rules, model="planted")

    return run


def failed(evaluation):
    return {verdict.metric for verdict in evaluation.verdicts if not verdict.passed}


def mixed(share, fault, good):
    """A generator whose fault shows in a share of its images."""
    count = round(share * len(good))
    return np.concatenate([fault[:count], good[count:]])


def test_what_is_as_good_as_real_is_blessed(judge, data):
    assert failed(judge(data[2].data)) == set()


@pytest.mark.parametrize("label", [0, 1, 8])
def test_one_class_is_refused_for_what_it_lacks(judge, data, label):
    _, _, good = data
    evaluation = judge(good.data[good.labels == label])
    reasons = failed(evaluation)

    assert "coverage" in reasons
    assert not {"precision", "duplicates"} & reasons, "its images are fine"
    # A classifier that is wrong about one image in seven sees a few of them in other classes:
    # enough for a mode each, but not for a share.
    assert evaluation.scores["model"]["mode_kl"].low > 1


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_copied_training_images_are_refused_as_copies(judge, data, share):
    _, train, good = data
    evaluation = judge(mixed(share, train.data, good.data))

    assert failed(evaluation) == {"copies"}, "in every other respect they are perfect"
    assert evaluation.scores["model"]["copies"].details["p_value"] < 1e-6
    known = {image.tobytes() for image in train.data}
    assert all(pair[0].tobytes() in known for pair in evaluation.pictures.nearest)


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_blurred_images_are_refused_for_their_texture(judge, data, sigma):
    blurred = ndimage.gaussian_filter(data[2].data, (0, sigma, sigma, 0))
    reasons = failed(judge(blurred))

    assert "sliced_wasserstein" in reasons
    assert not {"modes", "copies", "duplicates"} & reasons


def test_black_images_are_refused_as_all_the_same(judge, data):
    reasons = failed(judge(np.zeros_like(data[2].data)))

    assert {"duplicates", "coverage", "modes"} <= reasons


def test_swapped_real_and_fake_images_are_refused_as_swapped(judge, data):
    real, _, good = data
    blurred = ndimage.gaussian_filter(good.data, (0, 1, 1, 0))
    evaluation = judge(real.data, real=examples.Split(blurred, good.labels))

    (verdict,) = [v for v in evaluation.verdicts if "swapped" in v.rule]
    assert not verdict.passed
