"""The registry of extractor kinds, and code that they share."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from components import features
from components.common import plugins
from components.common.registry import Registry
from components.data import examples

# Split name to data: uint8 images [n, height, width, channels], or codes of rows, float64 [n, d].
Splits = Mapping[str, examples.Split]

# uint8 to [-1, 1].
SCALE, OFFSET = 1 / 127.5, -1.0

# Keys that tell the configurations of layers and models from other ones.
_OF_A_LAYER = ("dtype", "trainable", "layers")


@dataclasses.dataclass(frozen=True)
class Built:
    """An extractor before it is written.

    Attributes:
      model: has the one input of `inputs`, and outputs `features` float32 [n, d] and, if it has
        classes, `probabilities` float32 [n, classes].
      name: its name in reports; starts with the data's name if it was trained on the data.
      architecture: text that distinguishes it from other models with the same weights.
      classes_are_labels: whether class k is the data's label k.
      known: further entries of extractor.json.
    """

    model: keras.Model
    name: str
    architecture: str
    classes_are_labels: bool = False
    known: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _no_files(config: object) -> list[Path]:
    return []


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of extractor.

    Attributes:
      build: (splits, FeatureExtractorConfig, the data's name) to `Built`; given the columns of rows
        too, as `columns`, if it takes vectors.
      options: the keys of the recipe's section that it supports, besides `kind`.
      takes_vectors: whether it supports vectors; all kinds support images.
      files: maps a FeatureExtractorConfig to further local files that the extractor depends on.
      pretrained: the name of its published weights, if networks are trained with them too; see
        `components.features.Extractor.check_independent`.
    """

    build: Callable[..., Built]
    options: frozenset[str] = frozenset()
    takes_vectors: bool = False
    files: Callable[..., list[Path]] = _no_files
    pretrained: str | None = None


EXTRACTORS: Registry[Kind] = Registry("extractor")


def find(kind: str) -> Kind:
    """The registry entry of a kind, which may be `module:function`.

    Raises:
      ValueError: for an unknown kind.
    """
    try:
        name = plugins.FORM if plugins.is_import_path(kind) else kind
    except ValueError as error:
        raise ValueError(f"extractor {error}") from error
    return EXTRACTORS.get(name)


def inputs(shape: Sequence[int]) -> keras.KerasTensor:
    """The input of an extractor: `images` uint8 [n, *shape], or `vectors` float64 [n, d].

    In 64 bits, of which the microseconds of a datetime need more than 32.
    """
    is_image = len(shape) == 3
    return keras.Input(
        tuple(shape),
        dtype="uint8" if is_image else "float64",
        name=features.IMAGES if is_image else features.VECTORS,
    )


def architecture(model: keras.Model) -> str:
    """A functional model's configuration as JSON, independent of other models in the process.

    Keras numbers layer names per process; here they are renumbered per model.
    """
    config = json.loads(model.to_json())
    names: dict[str, str] = {}
    _count(config, names)
    return json.dumps(_renamed(config, names), sort_keys=True)


def _count(node: object, names: dict[str, str]) -> None:
    if isinstance(node, dict):
        # Only layers and models: the names of dtype policies must be kept.
        if isinstance(node.get("name"), str) and not node.keys().isdisjoint(_OF_A_LAYER):
            names.setdefault(node["name"], f"layer {len(names)}")
        for part in node.values():
            _count(part, names)
    elif isinstance(node, list):
        for part in node:
            _count(part, names)


def _renamed(node: object, names: Mapping[str, str]) -> object:
    if isinstance(node, dict):
        return {key: _renamed(part, names) for key, part in node.items()}
    if isinstance(node, list):
        return [_renamed(part, names) for part in node]
    return names.get(node, node) if isinstance(node, str) else node
