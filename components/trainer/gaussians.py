"""Mixtures of Gaussians in the plane, on which dropped modes can be counted.

The benchmark of Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761, section 4.1) and Lin et al. 2018
(PacGAN, arXiv:1712.04086, section 4.1), scaled to [-1, 1], with their ratio of the standard
deviation to the distance of two modes of the grid, 1 to 40.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from components.registry import Registry

STD = 0.01
_EXTENT = 0.8
# Of the share that a mode has in the data.
_COVERED_SHARE = 0.1

ARRANGEMENTS: Registry[Callable[[int], np.ndarray]] = Registry("arrangement of modes")


@ARRANGEMENTS.register("grid")
def _grid(modes: int) -> np.ndarray:
    side = math.isqrt(modes)
    if side**2 != modes:
        raise ValueError(f"modes: {modes}, expected a square number for the grid, e.g. 25")
    line = np.linspace(-_EXTENT, _EXTENT, side)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


@ARRANGEMENTS.register("ring")
def _ring(modes: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(modes) / modes
    return _EXTENT * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def centres(kind: str, modes: int = 25) -> np.ndarray:
    """The centres of the modes, float64 [modes, 2].

    Args:
      kind: "grid", from -0.8 to 0.8 on both axes, or "ring", of radius 0.8.
      modes: 2 or more; a square number for the grid.

    Raises:
      ValueError: for an unknown kind, and a number of modes that it cannot have.
    """
    if modes < 2:
        raise ValueError(f"modes: {modes}, expected 2 or more")
    return ARRANGEMENTS.get(kind)(modes)


def gaussians(kind: str, count: int, seed: int, modes: int = 25) -> np.ndarray:
    """`count` points of the mixture, float32 [count, 2]; all modes are equally likely."""
    rng = np.random.default_rng(seed)
    chosen = centres(kind, modes)[rng.integers(0, modes, count)]
    return (chosen + rng.normal(0, STD, (count, 2))).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Covered:
    """What samples make of a mixture.

    Attributes:
      modes: how many have at least a tenth of their share in high-quality samples.
      high_quality: share of the samples within three standard deviations of a centre, in [0, 1];
        0.989 for samples of the mixture itself.
    """

    modes: int
    high_quality: float


def modes_covered(samples: np.ndarray, centres: np.ndarray, std: float = STD) -> Covered:
    """Counts the modes that samples cover.

    The papers count a mode from one high-quality sample on; then 2500 points of uniform noise
    cover most of the grid. A tenth of what is expected is out of noise's reach.

    Args:
      samples: [n, 2].
      centres: [modes, 2].
      std: of every mode.
    """
    distances = np.linalg.norm(samples[:, np.newaxis] - centres, axis=2)
    good = distances.min(axis=1) < 3 * std
    counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(centres))
    enough = max(1.0, _COVERED_SHARE * len(samples) / len(centres))
    return Covered(int(np.count_nonzero(counts >= enough)), float(good.mean()))
