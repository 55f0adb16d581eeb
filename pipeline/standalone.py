"""Evaluation outside a pipeline: `tfx-gan evaluate`."""

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image
from rich.table import Table
from rich.text import Text

from components import features
from components.common import grids, saved_models
from components.common.config import validate
from components.common.files import atomic_folder
from components.data import vectors
from components.data.columns import Column
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT, Split, by
from components.evaluator import evaluate as evaluator
from components.evaluator import protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.evaluation import Evaluation
from components.example_gen import dataset
from components.example_gen.dataset import Dataset
from components.example_gen.formats.registry import AUTO
from components.feature_extractor import FeatureExtractorConfig, make
from components.feature_extractor.base import find
from components.features import Extractor
from components.serving.generator import Generator
from pipeline.config import Recipe
from pipeline.runs import listing

_EXTRACTOR_FOLDER = "extractor"
# Where two tables differ, the first of their types is taken: it holds what the other does, or its
# reader names the cell that makes the difference.
_TYPES = ("number", "integer", "datetime", "categorical", "boolean")


def evaluate(
    model_or_data: str,
    real: str,
    *,
    extractor: str,
    out: str,
    recipe: Recipe | None = None,
    train: str | None = None,
    count: int | None = None,
    seed: int | None = None,
    data_format: str = AUTO,
    log: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Scores a generator, or data, against real data and writes the evaluation.

    Data are images or rows in any format that recipes support, or tf.Examples written by
    a pipeline (`dataset.inspect`). Fakes and training images that differ in size from the real ones
    are resized (`resize`). Rows are compared by the columns that the generator makes, or that the
    table of fakes holds. Their types are the generator's, or are inferred from all tables.

    Args:
      model_or_data: a SavedModel with the signature `sample`, a TFX Model artifact, a serving
        folder of versions, or data.
      real: data, of which the split eval is used if there are several.
      extractor: folder of an extractor, or the name of a kind, which is fitted on the training
        data and kept in the folder `extractor` of `out`.
      out: folder to create, atomically.
      recipe: provides the sections `evaluator` and `feature_extractor`; their defaults without one.
      train: the model's training data; by default the split train of `real`, if any.
      count: number of fakes; by default as many as real data, or all of `model_or_data`.
      seed: of the fakes and of all random choices; by default the recipe's.
      data_format: of all data, one of `dataset.FORMATS`.
      log: receives a line for each step.

    Raises:
      FileExistsError: if `out` exists.
      FileNotFoundError: for data that are missing.
      ValueError: as `dataset.inspect` and `Dataset.read`; for images with other channels than the
        real ones; for fewer fakes than `count`; for an extractor that is unknown or cannot be
        fitted; for data from which a metric cannot be computed.
    """
    config = _config(recipe, count, seed)
    with atomic_folder(out) as folder:
        model = saved_models.find(model_or_data)
        source = Generator.load(model) if model else dataset.inspect(model_or_data, data_format)
        found = dataset.inspect(real, data_format)
        if source.columns and found.columns:
            others = [dataset.inspect(train, data_format)] if train else []
            columns = _columns(source, [found, *others])
            found = dataset.inspect(real, data_format, columns)
            if isinstance(source, Dataset):
                source = dataset.inspect(model_or_data, data_format, columns)
        real_data = found.read(EVAL_SPLIT)
        log(f"real   {_counted(real_data, found.columns)}")
        resizer = ImageResizer(real_data.data.shape[1:])

        train_data = None
        if train is None and {TRAIN_SPLIT, EVAL_SPLIT} <= set(found.splits):
            train = real
        if train is not None:
            train_data = dataset.inspect(train, data_format, found.columns).read(TRAIN_SPLIT)
            log(f"train  {_counted(train_data, found.columns)}")
            resized = resizer(TRAIN_SPLIT, train_data.data)
            train_data = dataclasses.replace(train_data, data=resized)
            if found.columns:
                splits = {EVAL_SPLIT: real_data, TRAIN_SPLIT: train_data}
                splits = vectors.joined(splits, found.columns)
                real_data, train_data = splits[EVAL_SPLIT], splits[TRAIN_SPLIT]
        candidate = _candidate(source, resizer, len(real_data), config)
        data_name = os.path.basename(os.path.normpath(real))
        loaded = _extractor(
            extractor, train_data, real_data, found.columns, recipe, data_name, folder
        )
        log(f"features of {loaded.description.get('name', extractor)}, id {loaded.id}")

        evaluation = evaluator.evaluate(
            candidate,
            real_data,
            train_data,
            loaded,
            config,
            model=model_or_data,
            columns=found.columns,
            lineage={"model or data": model_or_data, "real": real, "train": train or "unknown"},
        )
        if resizer.resized:
            stated = {**evaluation.protocol, "resized": resizer.resized}
            evaluation = dataclasses.replace(evaluation, protocol=stated)
        evaluator.write(evaluation, folder)
    return evaluation


def resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes uint8 images [n, h, w, c] to [n, height, width, c] by Pillow's bicubic filter.

    Pillow widens the filter when it shrinks an image; without this, FID can change by more than
    models differ (Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN
    Evaluation", arXiv 2104.11222). Images of this size are returned unchanged.
    """
    if images.shape[1:3] == (height, width):
        return images
    resized = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for row, image in zip(resized, images, strict=True):
        made = grids.picture(image).resize((width, height), Image.Resampling.BICUBIC)
        row[:] = np.asarray(made).reshape(row.shape)
    return resized


def table(evaluation: Evaluation) -> Table:
    """The scores: value, 95 % interval, and the floor, which halves of the real data score."""
    made = Table("metric")
    for head in ("value", "95 % interval", "halves of real"):
        made.add_column(head, justify="right")
    halves = evaluation.scores.get("halves", {})
    for name, found in sorted(evaluation.scores["model"].items()):
        floor = halves.get(name)
        made.add_row(
            name,
            listing.number(found.value),
            Text(listing.interval(found.to_json())),
            listing.number(None if floor is None else floor.value),
        )
    return made


class ImageResizer:
    """Resizes sets of images to the shape of the real ones; rows are only checked.

    Args:
      shape: of a real datum: (height, width, channels) or (columns,).

    Attributes:
      resized: what was done, in words, by set.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.resized: dict[str, str] = {}

    def __call__(self, name: str, data: np.ndarray) -> np.ndarray:
        """The images of the set `name`, resized.

        Raises ValueError for another number of channels, and for images among rows or vice versa.
        """
        if data.ndim != 1 + len(self.shape):
            kinds = {1: "rows", 3: "images"}
            raise ValueError(
                f"{name}: holds {kinds[data.ndim - 1]}, the real data are "
                f"{kinds[len(self.shape)]}; compare like with like"
            )
        if len(self.shape) == 1:
            return data
        height, width, channels = self.shape
        if data.shape[3] != channels:
            raise ValueError(
                f"{name}: the images have {data.shape[3]} channels, the real ones {channels}; "
                "convert one of them"
            )
        if data.shape[1:3] != (height, width):
            self.resized[name] = (
                f"from {by(data.shape[1:3])} to {by(self.shape[:2])} (height x width), "
                "Pillow's bicubic filter, antialiased"
            )
        return resize(data, height, width)


def _config(recipe: Recipe | None, count: int | None, seed: int | None) -> EvaluatorConfig:
    config = recipe.evaluator if recipe else EvaluatorConfig()
    given = {"num_fake": count, "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    return validate(EvaluatorConfig, {**config.model_dump(), **changes})


def _columns(source: Generator | Dataset, others: Sequence[Dataset]) -> Sequence[Column]:
    """Those of the source, of types that fit the other tables too."""
    if isinstance(source, Generator):
        # One that tells no more than names makes numbers.
        return source.table or [Column(name=name) for name in source.columns or ()]
    # A column that is not worth learning from fakes, such as a constant, may be one in real rows.
    names = [column.name for column in source.columns or ()]
    names += [each.name for each in others[0].columns or () if each.name in source.others]
    found = []
    for name in names:
        every = [
            each for table in (*others, source) for each in table.columns or () if each.name == name
        ]
        first = min(every, key=lambda each: _TYPES.index(each.type))
        missing = any(each.missing for each in every)
        found.append(first.model_copy(update={"missing": missing}))
    return found


def _candidate(
    source: Generator | Dataset, resizer: ImageResizer, real_count: int, config: EvaluatorConfig
) -> str | Split:
    """A SavedModel that makes data of the real shape, or data of that shape."""
    if isinstance(source, Dataset):
        fakes = source.read()
        if config.num_fake and config.num_fake > len(fakes):
            raise ValueError(
                f"{source.path}: {len(fakes)} samples, but {config.num_fake} are required "
                "(--count, evaluator.num_fake)"
            )
        count = config.num_fake or len(fakes)
        chosen = resizer("model", protocol.choose(fakes.data, count, config.seed))
        return Split(chosen, None, {}, fakes.categories)
    wanted = features.IMAGES if len(resizer.shape) == 3 else features.VECTORS
    if source.kind != wanted:
        raise ValueError(f"{source.path}: the model makes {source.kind}, not {wanted}")
    shape = source.draw(1).shape[1:]
    if wanted == features.VECTORS or shape == resizer.shape:
        return source.path
    count = config.num_fake or real_count
    fakes = protocol.sample(source, count, config.seed, config.batch_size, shape)
    return Split(resizer("model", fakes.data), None)


def _extractor(
    name: str,
    train: Split | None,
    real: Split,
    columns: Sequence[Column] | None,
    recipe: Recipe | None,
    data_name: str,
    folder: str,
) -> Extractor:
    """The extractor in folder `name`, or one of kind `name`, created in `folder`."""
    if tf.io.gfile.isdir(name):
        return Extractor(name)
    if "/" in name:
        raise FileNotFoundError(f"{name}: no such folder; --extractor names an extractor or a kind")
    section = recipe.feature_extractor if recipe else FeatureExtractorConfig()
    if section.kind != name:
        section = validate(FeatureExtractorConfig, {"kind": name})
    if train is None:
        if "images" in find(name).options:
            raise ValueError(
                f"--extractor {name}: learns from training data, but there are none; give "
                "--train, or the folder of an extractor"
            )
        # The other kinds use only the shape of images, or the units of rows.
        train = real if real.data.ndim == 2 else Split(real.data[:1], None)
    folder = os.path.join(folder, _EXTRACTOR_FOLDER)
    make(folder, {TRAIN_SPLIT: train, EVAL_SPLIT: real}, section, data_name, columns)
    return Extractor(folder)


def _counted(split: Split, columns: Sequence[Column] | None) -> str:
    if columns:
        return f"{len(split)} rows of {', '.join(column.name for column in columns)}"
    return f"{len(split)} images of {by(split.data.shape[1:])}"
