"""Presets of the recipe's section `trainer`, from which `tfx-gan new` chooses by what it has seen.

docs/training.md says what each reaches, and how long it takes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.common import templates
from components.common.registry import Registry
from components.trainer.networks import maps

_FOLDER = Path(__file__).with_name("presets")
# With fewer images, a discriminator memorises them (Zhao et al. 2020, arXiv:2006.10738).
_FEW = 10_000
# Classes are learnt from as many images each; with 50 they still help (docs/training.md).
_OF_A_CLASS = 100
# Least size of the smallest class for a classifier to learn from.
_CLASS_OF_A_CLASSIFIER = 20
# Images with which there are five clusters.
_CLUSTERED_FROM = 500
# On two cores, more steps are worth more than smoother ones.
_BATCH_OF_IMAGES, _BATCH_OF_ROWS = 32, 128
_LATENT_DIM = 16
_LARGEST_ON_CPU, _LARGEST_ON_GPU = 64, 256


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of data, and of the machine.

    Attributes:
      shape: [height, width, channels] of images; () for a table.
      columns: the number of columns of a table; 0 for images.
      examples: of all splits.
      train: examples of the train split that were looked at.
      classes: the sizes of the classes among these; empty without labels.
      gpu: whether TensorFlow sees a GPU.
      photographic: whether the weights of EfficientNet-Lite0 are installed.
    """

    shape: tuple[int, ...]
    columns: int
    examples: int
    train: int
    classes: tuple[int, ...]
    gpu: bool
    photographic: bool

    @property
    def few(self) -> bool:
        """Whether a discriminator would memorise the images."""
        return self.examples < _FEW

    @property
    def conditional(self) -> bool:
        """Whether there are classes, each with enough images to be learnt."""
        return len(self.classes) > 1 and min(self.classes) >= _OF_A_CLASS

    @property
    def classified(self) -> bool:
        """Whether there are classes that a classifier can learn."""
        return len(self.classes) > 1 and min(self.classes) >= _CLASS_OF_A_CLASSIFIER

    @property
    def clustered(self) -> bool:
        """Whether clusters take the place of classes that there are not."""
        return not self.classified and self.train >= _CLUSTERED_FROM


@dataclasses.dataclass(frozen=True)
class Preset:
    """A kind of training, whose section `trainer` is the template of its name in `presets/`.

    Attributes:
      summary: what it is for, in a line.
      takes: whether it can be trained on some data.
      preferred: whether it is chosen for data that it takes, unless a preset before it is.
      numbers: what its template needs beside the facts.
    """

    summary: str
    takes: Callable[[Facts], bool]
    preferred: Callable[[Facts], bool] = lambda facts: True
    numbers: Callable[[Facts], Mapping[str, Any]] = lambda facts: {}


PRESETS: Registry[Preset] = Registry("preset")


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def largest_side() -> int:
    """The longest side of images for a first generator on this machine."""
    return _LARGEST_ON_GPU if has_gpu() else _LARGEST_ON_CPU


def takes_convolutions(size: tuple[int, ...]) -> bool:
    """Whether the convolutional networks make images of this height and width."""
    try:
        maps.check_images("dcgan", (*size, 1))
    except ValueError:
        return False
    return True


def _makes(facts: Facts) -> bool:
    return bool(facts.shape) and takes_convolutions(facts.shape[:2])


def _r3gan(facts: Facts) -> Mapping[str, Any]:
    """Widths and schedules of the authors' presets (train.py of brownvc/R3GAN).

    Images of another size have those of the next larger one. There is no preset for 128 pixels: its
    weight of R1 and R2 is between those of 64 and 256.
    """
    side = max(facts.shape[:2])
    weight, probability, half_life = next(row for most, row in _R3GAN.items() if side <= most)
    halvings = maps.halvings(facts.shape, smallest=4)
    sides = [side >> level for level in reversed(range(halvings + 1))]
    return {
        # Multiples of 8, which groups of 16 of their filters inside a block need.
        "widths": [8 * (96 * 32 // max(32, each)) for each in sides],
        "weight": weight,
        "probability": probability,
        "half_life": half_life,
        "batch_size": 512 if side <= 32 else 256,
    }


# By the longest side of the images: weight of R1 and R2 at the start, of which a tenth is left at
# the end; probability of the augmentation at the end; half-life of the averaged generator there.
_R3GAN = {
    32: (0.05, 0.55, 5_000_000),
    64: (2.0, 0.3, 500_000),
    128: (17.0, 0.3, 500_000),
    256: (150.0, 0.3, 500_000),
}

# Asked in this order.
_PRESETS = {
    "table": Preset("rows of a table", lambda facts: not facts.shape),
    "mlp": Preset(
        "images of sides that convolutions do not halve",
        lambda facts: bool(facts.shape),
        lambda facts: not _makes(facts),
    ),
    "projected": Preset(
        "few images of 32 pixels or more, of 1 or 3 channels, on a GPU",
        lambda facts: _makes(facts) and min(facts.shape[:2]) >= 32 and facts.shape[2] in (1, 3),
        lambda facts: facts.gpu and facts.few and facts.photographic,
    ),
    "r3gan": Preset(
        "images of up to 256 pixels, on a GPU", _makes, lambda facts: facts.gpu, _r3gan
    ),
    "dcgan": Preset("images of up to 64 pixels, on a CPU", _makes),
}
for _name, _entry in _PRESETS.items():
    PRESETS.register(_name)(_entry)


def section(facts: Facts, name: str | None = None) -> str:
    """The section `trainer` of a recipe.

    Args:
      facts: about the data.
      name: of the preset; by default the one that suits them best.

    Raises:
      ValueError: for an unknown preset, and for one that does not take the data.
    """
    suited = [each for each, preset in _PRESETS.items() if preset.takes(facts)]
    chosen = name or next(each for each in suited if _PRESETS[each].preferred(facts))
    preset = PRESETS.get(chosen)
    if chosen not in suited:
        raise ValueError(
            f"--preset {chosen}: is for {preset.summary}; for these data: {', '.join(suited)}"
        )
    most = _BATCH_OF_ROWS if facts.columns else _BATCH_OF_IMAGES
    numbers = {"batch_size": most, **preset.numbers(facts)}
    numbers["batch_size"] = max(2, min(numbers["batch_size"], facts.train // 2))
    return templates.load(_FOLDER / f"{chosen}.yaml.jinja").render(
        facts=facts, latent_dim=max(_LATENT_DIM, facts.columns), **numbers
    )
