"""How wide the intervals of the metrics are beside how much the metrics really vary.

    python benchmarks/intervals.py [--quick] [--draws 60] [--rows 500] [--out table.md]

Images of ten classes are drawn from a known distribution, and fakes from two generators that are
not quite that: sets that have nothing in common, so that the standard deviation of a metric over
them is its true standard error, of the reals and the fakes together. Each set states its own with
its interval. The ratio of the two is 1 where an interval is right, and below where it promises too
much. The true one is itself known to a share of 1/√(2 draws) only.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.special

from components.evaluator.metrics import registry
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.settings import MetricSettings
from components.features import Features

_SIDE = 16
_CLASSES = 10
_FACTORS = 12
_FEATURES = 32
_METRICS = (
    "fid",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "sliced_wasserstein",
    "modes",
    "mode_kl",
)


class Mixture:
    """Images with a class, some smooth factors and noise, and a fixed extractor for them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)

        def smooth(count: int) -> np.ndarray:
            images = rng.normal(size=(count, _SIDE, _SIDE))
            images = scipy.ndimage.gaussian_filter(images, (0, 2, 2))
            return (images / images.std()).reshape(count, -1)

        self._templates, self._factors = smooth(_CLASSES), smooth(_FACTORS)
        self._projection = rng.normal(size=(_SIDE**2, _FEATURES)) / _SIDE
        self._centres = self._seen(128 + 30 * self._templates)

    def draw(
        self,
        rng: np.random.Generator,
        rows: int,
        *,
        spread: float = 1.0,
        factors: int = _FACTORS,
        weights: np.ndarray | None = None,
    ) -> Sample:
        """`spread` of the factors, of which only the first `factors` vary; weights of classes."""
        classes = rng.choice(_CLASSES, rows, p=weights)
        hidden = rng.normal(size=(rows, _FACTORS)) * (np.arange(_FACTORS) < factors)
        images = 128 + 30 * self._templates[classes] + 12 * spread * hidden @ self._factors
        images += 6 * rng.normal(size=images.shape)
        pixels = np.clip(images.round(), 0, 255)
        features = self._seen(pixels)
        apart = ((features[:, np.newaxis] - self._centres) ** 2).sum(axis=2)
        probabilities = scipy.special.softmax(-4 * apart, axis=1).astype(np.float32)
        data = pixels.astype(np.uint8).reshape(rows, _SIDE, _SIDE, 1)
        return Sample(data, Features(features.astype(np.float32), probabilities, None))

    def _seen(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels - 128) / 32 @ self._projection


# Good: a little too varied. Poor: far too varied in some factors, without the others, and with
# classes that are made rarely or never.
_GENERATORS = {
    "good": {"spread": 1.2},
    "poor": {
        "spread": 1.4,
        "factors": 9,
        "weights": np.array([0, 1, 3, 5, 9, 10, 12, 15, 20, 25]) / 100,
    },
}


def measured(generator: dict, draws: int, rows: int) -> dict[str, np.ndarray]:
    """Values and stated standard errors by metric, [draws, 2]."""
    mixture = Mixture()
    found = {name: [] for name in _METRICS}
    for draw in range(draws):
        rng = np.random.default_rng([1, draw])
        real = mixture.draw(rng, rows)
        fake = mixture.draw(rng, rows, **generator)
        # One seed for all, as in a pipeline: an interval is about other images, not other settings.
        reference = Reference(real, None, MetricSettings(), classes_are_labels=True)
        for name, score in registry.score_all(Comparison(reference, fake), _METRICS).items():
            found[name].append([score.value, np.std(score.replicates, ddof=1)])
    return {name: np.array(values) for name, values in found.items()}


def table(found: dict[str, np.ndarray]) -> list[str]:
    lines = [
        "| metric | mean | true standard error | stated / true | of 10 and 90 % of the sets |",
        "|---|---|---|---|---|",
    ]
    for name, values in found.items():
        score, stated = values.T
        true = score.std(ddof=1)
        if true == 0:
            lines.append(f"| {name} | {score.mean():.3g} | 0 | – | – |")
            continue
        low, high = np.quantile(stated / true, [0.1, 0.9])
        lines.append(
            f"| {name} | {score.mean():.3g} | {true:.2g} | {stated.mean() / true:.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 draws of 100 rows")
    parser.add_argument("--draws", type=int, default=60, help="of both sets; default: 60")
    parser.add_argument("--rows", type=int, default=500, help="of each set; default: 500")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    draws, rows = (8, 100) if options.quick else (options.draws, options.rows)
    lines = [
        f"{draws} draws of {rows} real and {rows} fake images; the true standard errors, and with "
        f"them the ratios, are known to ± {1 / np.sqrt(2 * (draws - 1)):.0%}.",
    ]
    for name, generator in _GENERATORS.items():
        started = time.monotonic()
        lines += ["", f"The {name} generator:", "", *table(measured(generator, draws, rows))]
        print(f"{name}: {time.monotonic() - started:.0f} s, load {os.getloadavg()[0]:.1f}")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
