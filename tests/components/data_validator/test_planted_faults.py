"""Real images with planted faults, as files that somebody has: each is named, and nothing learns.

What a data set goes through before the first stage that learns: ImageExampleGen, statistics,
DataValidator, and the refusal that is the trainer's first act.
"""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow_data_validation as tfdv
from PIL import Image
from sklearn.datasets import load_digits
from tfx.types import artifact_utils, standard_artifacts

from components.common import files, tfx
from components.data.spec import DataSpec
from components.data_validator import proposal
from components.data_validator.component import DataValidator
from components.data_validator.config import ValidationConfig
from components.data_validator.statistics import read as read_statistics
from components.example_gen.config import DataConfig

DIGITS = Path(__file__).parents[3] / "data" / "digits"
REFERENCE = str(DIGITS / "schema.statistics.pb")
PER_CLASS = {"train": 40, "eval": 10}
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def digits(skip: int = 0) -> dict[str, bytes]:
    """500 files, as `<split>/<class>/<number>.png`; after `skip` of each class."""
    images, labels = load_digits(return_X_y=True)
    files = {}
    for label in range(10):
        found = iter(np.flatnonzero(labels == label)[skip:])
        for split, count in PER_CLASS.items():
            for _ in range(count):
                number = next(found)
                image = np.uint8(images[number].reshape(8, 8) * 255 / 16)
                files[f"{split}/{label}/{number:04d}.png"] = png(image)
    return files


def some(files: dict[str, bytes], every: int = 1, of: str = "") -> list[str]:
    """Every so many of the names that begin with `of`, which spreads over the classes."""
    return [name for name in files if name.startswith(of)][::every]


def changed(change, every=1, of=""):
    """Replaces the content of some files."""
    return lambda files: files | {name: change(files[name]) for name in some(files, every, of)}


def removed(of, keep=0):
    """Takes files away, but for the first few."""

    def plant(files):
        gone = some(files, of=of)[keep:]
        return {name: content for name, content in files.items() if name not in gone}

    return plant


def renamed(pattern, to):
    """Renames files by a regular expression."""
    return lambda files: {re.sub(pattern, to, name): files[name] for name in files}


def named(names):
    """Gives the folders of the classes other names."""

    def plant(files):
        return {re.sub("/([0-9])/", lambda m: f"/{names[int(m[1])]}/", n): files[n] for n in files}

    return plant


def garbage(content: bytes) -> bytes:
    return np.random.default_rng(len(content)).bytes(len(content))


def truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def larger(content: bytes) -> bytes:
    return png(np.pad(pixels(content), 1))


def inverted(content: bytes) -> bytes:
    return png(255 - pixels(content))


def black(content: bytes) -> bytes:
    return png(np.zeros((8, 8), np.uint8))


def jpeg(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(content)).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


def duplicated(files):
    copies = {name.replace(".png", " (copy).png"): files[name] for name in some(files, 8)}
    return files | copies


def leaked(files):
    return files | {"train/7/leaked.png": files[some(files, of="eval/7")[0]]}


def half_labelled(files):
    rows = [f"{name},{name.split('/')[1]}" for name in some(files, 2)]
    return files | {"labels.csv": "\n".join(["file,label", *rows]).encode()}


def mostly_nines(*splits):
    """A share of 0.357 instead of 0.1."""

    def plant(files):
        for split in splits:
            for label in range(9):
                files = removed(f"{split}/{label}", keep=PER_CLASS[split] // 5)(files)
        return files

    return plant


LABEL, MEAN = "feature 'image/class/label'", "feature 'image/mean'"
QUARANTINE = {"on_bad_record": "quarantine"}
# The fault, options of the recipe's section `data`, and what is said, if anything must be.
FAULTS = {
    "5 % garbage": (
        changed(garbage, 20),
        QUARANTINE,
        r"25 of 500 records are bad, more than .*fraction, 0.01: eval/0/\d+.png: not an image file",
    ),
    "50 % garbage": (changed(garbage, 2), {}, "250 of 500 records are bad: .*; and 247 more"),
    "truncated files": (
        changed(truncated, 100),
        {},
        r"5 of 500 records are bad: .*\d+.png: the image does not decode .*truncated",
    ),
    "a few truncated files, set aside": (changed(truncated, 100), QUARANTINE, None),
    "other sizes": (
        changed(larger, 250),
        {},
        "2 of 500 .*the image is 10x10 .*8x8; data.fit",
    ),
    "another size than the schema's": (
        dict,
        {"image_shape": (10, 10, 1), "fit": "pad"},
        "'train': feature 'image/height': .*10",
    ),
    "half of the labels missing": (
        half_labelled,
        {"labels": "labels.csv"},
        "250 of 500 records are bad: .*labels.csv",
    ),
    "all labels missing": (
        renamed("/[0-9]/", "/"),
        {},
        f"'train': {LABEL}: Column dropped",
    ),
    "an unknown label": (
        renamed("/3/", "/11/"),
        {},
        f"'train': {LABEL}: .*Unexpectedly large value: 11",
    ),
    "a class missing": (
        removed("train/3"),
        {},
        f"'train': {LABEL}: .*No example has label 3; add some",
    ),
    "a class that is rare": (
        removed("train/3", keep=2),
        {},
        f"'train': {LABEL}: .*Label 3 has 2 examples, label 0 has 40; .*validation.min_class_bal",
    ),
    "a class that eval has more of": (
        mostly_nines("eval"),
        {},
        f"'eval': {LABEL}: .*eval against train: the share of 9 is 0.357, not 0.1; .*skew_comparat",
    ),
    "duplicated files": (
        duplicated,
        {},
        r"'image/hash': Duplicates: 63 of 563 examples .* 0.05 .*max_duplicate_fraction",
    ),
    "duplicated files, dropped": (duplicated, {"drop_duplicates": True}, None),
    "an image in train and eval": (
        leaked,
        {},
        "1 records of train are in eval too: train/7/leaked",
    ),
    "jpegs called png": (
        changed(jpeg, 100),
        {},
        r"'image/source': Misnamed files: 5 of 500 examples .*\d+.png.*max_misnamed_fraction",
    ),
    "black images": (
        changed(black, 50, of="train"),
        {},
        r"'train': feature 'image/blank': Unexpected string values: .*black \(~2%\)",
    ),
    "all inverted": (
        changed(inverted),
        {},
        f"'train': {MEAN}: .*train against the reference: Jensen-Shannon divergence 1, mean 0.69",
    ),
    "inverted in eval": (
        changed(inverted, of="eval"),
        {},
        f"'eval': {MEAN}: .*eval against train: Jensen-Shannon divergence 1, mean 0.68, not 0.305",
    ),
}
# What comes after a clean span, and what is said.
SPANS = {
    "alike": (dict, None),
    "inverted": (changed(inverted), f"{MEAN}: .*train against the last good span: Jensen-Shannon"),
    "mostly nines": (
        mostly_nines("train", "eval"),
        f"{LABEL}: .*train against the last good span: the share of 9 is 0.357, not 0.1; .*drift_c",
    ),
}


NAME = "feature 'image/class/text'"
# What becomes of folders that are called one, two, three, …, and what is said.
NAMED_FAULTS = {
    "none": (dict, None),
    "a class missing": (
        removed("train/three"),
        f"'train': {NAME}: .*No example has label three; add some",
    ),
    "a class under another name": (
        renamed("/three/", "/drei/"),
        f"'train': {NAME}: .*Unexpected string values: .*schema: drei ",
    ),
    "a class that is rare": (
        removed("train/three", keep=2),
        f"'train': {NAME}: .*Label three has 2 examples, label one has 40",
    ),
    "numbers for names": (
        renamed("/[a-z]+/(?=\\d)", "/7/"),
        f"'train': {NAME}: .*values missing from the schema: 7",
    ),
}


@pytest.fixture(scope="module")
def make_schema(tmp_path_factory):
    """Writes a schema for a stage; returns its artifact."""

    def make(schema):
        artifact = standard_artifacts.Schema()
        artifact.uri = str(tmp_path_factory.mktemp("schema"))
        tfdv.write_schema_text(schema, f"{artifact.uri}/schema.pbtxt")
        return artifact

    return make


@pytest.fixture(scope="module")
def schema_artifact(make_schema):
    """The digits' own schema, for fewer of them."""
    schema = tfdv.load_schema_text(str(DIGITS / "schema.pbtxt"))
    schema.dataset_constraints.min_examples_count = 20
    return make_schema(schema)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory, run_example_gen, statistics_of_files):
    """Examples and statistics of files, as ImageExampleGen and StatisticsGen leave them."""

    def make(contents, options):
        base = tmp_path_factory.mktemp("data")
        for name, content in contents.items():
            path = base / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        config = DataConfig(path=str(base / "files"), **{"image_shape": (8, 8, 1)} | options)
        examples = run_example_gen(config, base)
        statistics = standard_artifacts.ExampleStatistics()
        statistics.uri = str(base / "statistics")
        statistics.split_names = examples.split_names
        for split in artifact_utils.decode_split_names(examples.split_names):
            found = statistics_of_files(tfx.split_files([examples], split))
            folder = artifact_utils.get_split_uri([statistics], split)
            files.write(f"{folder}/FeatureStats.pb", found.SerializeToString())
        return examples, statistics

    return make


@pytest.fixture(scope="module")
def clean(data_set):
    return data_set(digits(), {})


@pytest.fixture
def validate(schema_artifact, tmp_path):
    """Does what comes before the first stage that learns; raises what ends the run."""

    def run(examples, statistics, previous="", reference=None, schema=schema_artifact):
        anomalies = standard_artifacts.ExampleAnomalies()
        anomalies.uri = str(tmp_path / "anomalies")
        inputs = {
            "examples": [examples],
            "statistics": [statistics],
            "schema": [schema],
        }
        config = ValidationConfig(reference=reference).model_dump_json()
        properties = {
            "config": config,
            "good_spans_folder": str(Path(anomalies.uri).parent / "good_spans"),
            "previous": previous,
            "code_version": "test",
        }
        DataValidator.EXECUTOR_SPEC.executor_class().Do(
            inputs, {"anomalies": [anomalies]}, properties
        )
        tfx.refuse_anomalies([anomalies])

    return run


@contextlib.contextmanager
def refusal(message):
    """What a block must end with: a ValueError of one line, or nothing."""
    if message is None:
        yield
        return
    with pytest.raises(ValueError, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)


def test_a_clean_data_set_passes(validate, clean):
    validate(*clean, reference=REFERENCE)


@pytest.mark.parametrize(("plant", "options", "message"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named_and_refused(data_set, validate, plant, options, message):
    with refusal(message):
        validate(*data_set(plant(digits()), options), reference=REFERENCE)


@pytest.mark.parametrize(("plant", "message"), SPANS.values(), ids=SPANS)
def test_a_span_that_is_another_is_refused(data_set, validate, clean, plant, message):
    with refusal(message):
        train = artifact_utils.get_split_uri([clean[1]], "train")
        validate(*data_set(plant(digits(skip=60)), {}), previous=f"{train}/FeatureStats.pb")


@pytest.fixture(scope="module")
def schema_of_names(data_set, make_schema):
    """The schema that is proposed for digits whose classes have names."""
    _, statistics = data_set(named(NAMES)(digits()), {})
    found = {
        split: read_statistics(f"{statistics.uri}/Split-{split}/FeatureStats.pb")
        for split in PER_CLASS
    }
    return make_schema(proposal.propose(found, DataSpec(image_shape=(8, 8, 1))))


@pytest.mark.parametrize(("plant", "message"), NAMED_FAULTS.values(), ids=NAMED_FAULTS)
def test_classes_with_names_are_told_by_name(data_set, validate, schema_of_names, plant, message):
    with refusal(message):
        validate(*data_set(plant(named(NAMES)(digits())), {}), schema=schema_of_names)
