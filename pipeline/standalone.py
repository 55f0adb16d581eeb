"""An evaluation outside of a pipeline: `tfx-gan evaluate`."""

import contextlib
import dataclasses
import functools
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from PIL import Image
from rich.table import Table
from rich.text import Text

from components import examples
from components.config import validate
from components.evaluator import evaluate as evaluator
from components.evaluator import protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.evaluation import Evaluation
from components.example_gen.base import UNSPLIT, Reader
from components.example_gen.readers import READERS
from components.examples import EVAL_SPLIT, TRAIN_SPLIT, ImageRecord, Split
from components.feature_extractor import FeatureExtractorConfig, make
from components.feature_extractor.base import find
from components.features import Extractor
from pipeline import runs
from pipeline.config import Recipe

REPORT_FILE = evaluator.REPORT_FILE

_EXAMPLES = "examples"
_EXTRACTOR_FOLDER = "extractor"
_SAVED_MODEL = "saved_model.pb"
# Where a TFX Model artifact keeps it.
_SERVING_FOLDER = "Format-Serving"
_SPLIT_FOLDER = "Split-"
_CHANNELS = (1, 3)
_IDX = re.compile(r"(.*)images([-.])idx\d-ubyte(\.gz)?")
_RECORDS = re.compile(r".*(\.gz|tfrecord.*)")

# The splits of a data set; each is read when it is called.
Splits = Mapping[str, Callable[[], Split]]


def evaluate(
    model_or_images: str,
    real: str,
    *,
    extractor: str,
    out: str,
    recipe: Recipe | None = None,
    train: str | None = None,
    count: int | None = None,
    seed: int | None = None,
    data_format: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Scores a generator, or images, against real images and writes the evaluation.

    Images are a folder of PNG and JPEG files, flat or by class, IDX files or a folder of them, or
    gzipped TFRecord files of `components.examples` or a folder of them. Fakes and training images
    of another size than the real ones are resized to theirs (`resize`).

    Args:
      model_or_images: folder of a SavedModel with the signature `sample`, of a TFX Model artifact,
        of versions as the Pusher writes them, or images.
      real: images; of a folder with the splits train and eval, those of eval.
      extractor: folder of an extractor, or the name of a kind, which is fitted on the training
        images and kept in the folder `extractor` of `out`.
      out: folder to make; it appears when everything is in it.
      recipe: whose sections `evaluator` and `feature_extractor` are used; their defaults without.
      train: images that the model was trained on; left out: the split train of `real`, if any.
      count: fakes to score; left out: as many as real ones, or all images of `model_or_images`.
      seed: of the fakes and of every random choice; left out: the recipe's.
      data_format: of all images, `idx`, `folder` or `examples`; left out: found from their names.
      tell: receives a line on each step.

    Raises:
      FileExistsError: where `out` exists.
      FileNotFoundError: for a folder that is missing or empty.
      ValueError: naming the file, for images that do not decode, or differ in size within a set or
        in channels between sets; for fewer images than `count`; for an extractor that is unknown or
        cannot be fitted; for images that a metric cannot be computed from.
    """
    config = _config(recipe, count, seed)
    with _appears_whole(out) as folder:
        found = _splits(real, data_format)
        real_images = _read(real, found, EVAL_SPLIT)
        tell(f"real   {_counted(real_images)}")
        sets = Sets(real_images.data.shape[1:])

        train_images = None
        if train is None and TRAIN_SPLIT in found and EVAL_SPLIT in found:
            train = real
        if train is not None:
            train_images = _read(train, _splits(train, data_format), TRAIN_SPLIT)
            tell(f"train  {_counted(train_images)}")
            train_images = dataclasses.replace(
                train_images, data=sets.fit(TRAIN_SPLIT, train_images.data)
            )
        candidate = _candidate(model_or_images, sets, len(real_images), config, data_format)
        data_name = os.path.basename(os.path.normpath(real))
        loaded = _extractor(extractor, train_images, real_images, recipe, data_name, folder)
        tell(f"features of {loaded.description.get('name', extractor)}, id {loaded.id}")

        evaluation = evaluator.evaluate(
            candidate,
            real_images,
            train_images,
            loaded,
            config,
            model=model_or_images,
            lineage={"model or images": model_or_images, "real": real, "train": train or "unknown"},
        )
        if sets.resized:
            stated = {**evaluation.protocol, "resized": sets.resized}
            evaluation = dataclasses.replace(evaluation, protocol=stated)
        evaluator.write(evaluation, folder)
    return evaluation


def resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 images [n, h, w, c] to [n, height, width, c], by Pillow's bicubic filter.

    Pillow widens the filter as it shrinks an image; without that FID can move by more than models
    differ (Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
    arXiv 2104.11222). Images of this size are returned as they are.
    """
    if images.shape[1:3] == (height, width):
        return images
    resized = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for row, image in zip(resized, images, strict=True):
        # Pillow knows gray images without an axis for it.
        picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        made = picture.resize((width, height), Image.Resampling.BICUBIC)
        row[:] = np.asarray(made).reshape(row.shape)
    return resized


def table(evaluation: Evaluation) -> Table:
    """The scores: value, 95 % interval, and those of the real images' halves, the floor."""
    made = Table("metric")
    for head in ("value", "95 % interval", "halves of real"):
        made.add_column(head, justify="right")
    halves = evaluation.scores.get("halves", {})
    for name, found in sorted(evaluation.scores["model"].items()):
        floor = halves.get(name)
        made.add_row(
            name,
            runs.number(found.value),
            Text(runs.interval(found.to_json())),
            runs.number(floor and floor.value),
        )
    return made


class Sets:
    """Brings sets of images to the shape of the real ones.

    Args:
      shape: [height, width, channels] of the real images.

    Attributes:
      resized: what was done, in words, by set.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.resized: dict[str, str] = {}

    def fit(self, name: str, images: np.ndarray) -> np.ndarray:
        """The images in the size of the real ones; raises ValueError for other channels."""
        height, width, channels = self.shape
        if images.shape[3] != channels:
            raise ValueError(
                f"{name}: the images have {images.shape[3]} channels, the real ones {channels}; "
                "convert one of them"
            )
        if images.shape[1:3] != (height, width):
            self.resized[name] = (
                f"from {_by(images.shape[1:3])} to {_by(self.shape[:2])} (height x width), "
                "Pillow's bicubic filter, antialiased"
            )
        return resize(images, height, width)


def _config(recipe: Recipe | None, count: int | None, seed: int | None) -> EvaluatorConfig:
    config = recipe.evaluator if recipe else EvaluatorConfig()
    given = {"num_fake": count, "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    return validate(EvaluatorConfig, {**config.model_dump(), **changes})


@contextlib.contextmanager
def _appears_whole(out: str) -> Iterator[str]:
    """A folder beside `out` that becomes it at the end, or nothing."""
    if os.path.lexists(out):
        raise FileExistsError(f"{out}: exists already; name another --out, or remove it")
    out = os.path.abspath(out)
    aside = os.path.join(os.path.dirname(out), f".{uuid.uuid4().hex}.part")
    os.makedirs(aside)
    try:
        yield aside
        os.rename(aside, out)
    except BaseException:
        shutil.rmtree(aside)
        raise


def _candidate(
    path: str, sets: Sets, real_count: int, config: EvaluatorConfig, data_format: str | None
) -> str | np.ndarray:
    """A SavedModel that makes images of the real ones' shape, or images of that shape."""
    model = _saved_model(path)
    if model is None:
        images = _read(path, _splits(path, data_format)).data
        if config.num_fake and config.num_fake > len(images):
            raise ValueError(
                f"{path}: {len(images)} images, {config.num_fake} are asked for "
                "(--count, evaluator.num_fake)"
            )
        count = config.num_fake or len(images)
        return sets.fit("model", protocol.choose(images, count, config.seed))
    generator = protocol.Generator(model)
    made = generator("sample", count=tf.constant(1), seed=tf.constant(0, tf.int64))
    if "images" not in made:
        raise ValueError(f"{model}: the model makes {', '.join(made)}, not images")
    shape = made["images"].shape[1:]
    if shape == sets.shape:
        return model
    count = config.num_fake or real_count
    fakes = protocol.sample(generator, count, config.seed, config.batch_size, shape)
    return sets.fit("model", fakes)


def _extractor(
    name: str,
    train: Split | None,
    real: Split,
    recipe: Recipe | None,
    data_name: str,
    folder: str,
) -> Extractor:
    """The extractor in folder `name`, or one of kind `name`, made in `folder`."""
    if tf.io.gfile.isdir(name):
        return Extractor(name)
    if "/" in name:
        raise FileNotFoundError(f"{name}: no such folder; --extractor names an extractor or a kind")
    section = recipe.feature_extractor if recipe else FeatureExtractorConfig()
    if section.kind != name:
        section = validate(FeatureExtractorConfig, {"kind": name})
    if train is None:
        if "epochs" in find(name).options:
            raise ValueError(
                f"--extractor {name}: learns from training images, and there are none; give "
                "--train, or the folder of an extractor"
            )
        # Of which the other kinds look at nothing but the shape.
        train = Split(real.data[:1], None)
    folder = os.path.join(folder, _EXTRACTOR_FOLDER)
    make(folder, {TRAIN_SPLIT: train, EVAL_SPLIT: real}, section, data_name)
    return Extractor(folder)


def _saved_model(folder: str) -> str | None:
    """The SavedModel in a folder, in that of an artifact, or the newest of its versions."""
    if not tf.io.gfile.isdir(folder):
        return None
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    versions = sorted((name for name in names if name.isdecimal()), key=int, reverse=True)
    for name in ("", _SERVING_FOLDER, *versions):
        path = os.path.join(folder, name) if name else folder
        # A class of images can have a number for its name too.
        if tf.io.gfile.exists(os.path.join(path, _SAVED_MODEL)):
            return path
    return None


def _splits(path: str, data_format: str | None) -> Splits:
    """The splits of a folder; a file is the only split of its own."""
    if not tf.io.gfile.exists(path):
        raise FileNotFoundError(f"{path}: no such file or folder")
    base, name = (path, None) if tf.io.gfile.isdir(path) else posixpath.split(path)
    names = [name] if name else _visible(path)
    if not names:
        raise FileNotFoundError(f"{path}: no images, the folder is empty")
    data_format = data_format or _format(names)
    if data_format == _EXAMPLES:
        return {
            split: functools.partial(_read_examples, files)
            for split, files in _example_files(base, names).items()
        }
    reader = READERS.get(data_format)()
    patterns = {UNSPLIT: _with_labels(name)} if name else reader.splits(base)
    return {
        split: functools.partial(_read_shards, reader, base, shards)
        for split, shards in reader.shards(base, patterns).items()
    }


def _format(names: Iterable[str]) -> str:
    """What the names in a folder look like."""
    names = list(names)
    if any(_IDX.fullmatch(name) for name in names):
        return "idx"
    if any(name.startswith(_SPLIT_FOLDER) or _RECORDS.fullmatch(name) for name in names):
        return _EXAMPLES
    return "folder"


def _with_labels(name: str) -> str:
    """The pattern of a file and, of IDX images, their labels."""
    match = _IDX.fullmatch(name)
    return f"{match[1]}*{match[2]}idx?-ubyte{match[3] or ''}" if match else name


def _example_files(base: str, names: Iterable[str]) -> dict[str, list[str]]:
    """By split, as TFX lays them out, or all."""
    names = list(names)
    folders = [name for name in names if name.startswith(_SPLIT_FOLDER)]
    if not folders:
        return {UNSPLIT: [posixpath.join(base, name) for name in names]}
    found = {}
    for name in folders:
        folder = posixpath.join(base, name)
        found[name.removeprefix(_SPLIT_FOLDER)] = [
            posixpath.join(folder, file) for file in _visible(folder)
        ]
    return found


def _visible(folder: str) -> list[str]:
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return sorted(name for name in names if not name.startswith("."))


def _read(path: str, splits: Splits, wanted: str = UNSPLIT) -> Split:
    """The wanted split, or the only one."""
    if wanted not in splits and len(splits) > 1:
        raise ValueError(
            f"{path}: holds the splits {', '.join(sorted(splits))}; name the files of one of them"
        )
    read = splits[wanted] if wanted in splits else next(iter(splits.values()))
    return read()


def _read_examples(files: list[str]) -> Split:
    return examples.read_images(files, examples.first_image_shape(files))


def _read_shards(reader: Reader, base: str, shards: Iterable) -> Split:
    return _decode(base, (record for shard in shards for record in reader.read(shard)))


def _decode(base: str, records: Iterable[ImageRecord]) -> Split:
    """Decodes as `examples.read_images` does."""
    images, labels = [], []
    first = None
    for record in records:
        source = posixpath.join(base, record.source)
        if not record.decode_ok:
            raise ValueError(f"{source}: the image does not decode")
        shape = (record.height, record.width, record.channels)
        if record.channels not in _CHANNELS:
            raise ValueError(
                f"{source}: the image has {record.channels} channels; only gray (1) and RGB (3) "
                "images are compared"
            )
        first = first or (shape, source)
        if shape != first[0]:
            raise ValueError(
                f"{source}: the image is {_by(shape)} (height x width x channels), "
                f"{first[1]} is {_by(first[0])}; all images of a set must have one shape"
            )
        decoded = tf.io.decode_image(record.encoded, record.channels, expand_animations=False)
        images.append(decoded.numpy())
        labels.append(record.label)
    if not images:
        raise ValueError(f"{base}: no images")
    labelled = None not in labels
    return Split(np.stack(images), np.array(labels, np.int64) if labelled else None)


def _counted(images: Split) -> str:
    return f"{len(images)} images of {_by(images.data.shape[1:])}"


def _by(sizes: Iterable[int]) -> str:
    return "x".join(str(int(size)) for size in sizes)
