"""What the gate says of generators with a known fault, and of perfect ones: its planted table.

    make bench-planted ARGS="[--draws 100] [--sizes 50 300 1000] [--only good] [--out table.md]"

Subjects are real data with a fault planted into them; no recipe has a say, only the metrics' own
standards. `tests/components/evaluator/test_planted.py` judges the same subjects, a few draws each.
"""

import argparse
import dataclasses
import gzip
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

from benchmarks.planted_subjects import IMAGES, ROWS, TABLE_TRUTHS, TABLES, Draw
from components.data.examples import Split
from components.evaluator import gate
from components.evaluator.config import EvaluatorConfig, GateConfig
from components.evaluator.evaluation import Verdict
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.registry import score_all
from components.evaluator.protocol import noise
from components.feature_extractor import FeatureExtractorConfig, make
from components.features import Extractor, Features

_DATA = Path(__file__).resolve().parents[1] / "data" / "fashion_mnist"
SIZES = (50, 300, 1000)
_SETTINGS = EvaluatorConfig(kid_subsets=5)


class Judge:
    """Judges subjects beside one draw of real data, as an evaluation without a recipe does.

    Args:
      train: what the generators have learnt from.
      real: the eval split.
      extract: makes the features of samples.
      untrained: samples of an untrained generator; None: noise is the worst.
    """

    def __init__(
        self,
        train: Sample,
        real: Sample,
        extract: Callable[[np.ndarray], Features],
        untrained: np.ndarray | None = None,
    ) -> None:
        self._extract = extract
        labelled = real.features.probabilities is not None
        self._reference = Reference(real, train, _SETTINGS, classes_are_labels=labelled)
        alone = Reference(real, None, _SETTINGS, classes_are_labels=labelled)
        rows = np.random.default_rng(0).permutation(len(train))[: len(real)]
        known = train[rows]
        self._references = {
            "train": score_all(Comparison(alone, known, known if labelled else None))
        }
        worst = noise(len(real), 3, real.data) if untrained is None else untrained
        name = "noise" if untrained is None else "untrained"
        self._references[name] = score_all(Comparison(alone, self._sample(Split(worst, None))))

    def verdicts(self, fakes: Split) -> list[Verdict]:
        """Those of the metrics' own standards."""
        sample = self._sample(fakes)
        asked = None if fakes.labels is None else sample
        found = score_all(Comparison(self._reference, sample, asked))
        return gate.judge(
            gate.Scored(found, "extractor", "real"), None, GateConfig(), self._references
        )

    def _sample(self, split: Split) -> Sample:
        return Sample(
            split.data, dataclasses.replace(self._extract(split.data), labels=split.labels)
        )


class Clothes:
    """Fashion-MNIST: 4000 images to train on, 2000 held out, drawn anew for every judge."""

    def __init__(self, folder: str) -> None:
        splits = [_read_idx(kind) for kind in ("train", "t10k")]
        order = np.random.default_rng(0).permutation(len(splits[0]))
        known, rest = order[:4000], order[4000:]
        self._train = Split(splits[0].data[known], splits[0].labels[known])
        held_out = [
            np.concatenate([x, y])
            for x, y in (
                (splits[0].data[rest], splits[1].data),
                (splits[0].labels[rest], splits[1].labels),
            )
        ]
        self._held_out = Split(*held_out)
        make(
            folder,
            {"train": self._train, "eval": self._held_out},
            FeatureExtractorConfig(images=16_000),
            "clothes",
        )
        self.extractor = Extractor(folder)
        self._features = [self._sample(split) for split in (self._train, self._held_out)]

    def draw(self, size: int, seed: int) -> tuple[Judge, Draw]:
        """A judge with `size` real images, and what subjects are made of."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self._held_out))
        train, held_out = self._features
        judge = Judge(train, held_out[order[:size]], self.extractor)
        more = Split(self._held_out.data[order[size:]], self._held_out.labels[order[size:]])
        good = Split(more.data[:size], more.labels[:size])
        return judge, Draw(self._train, good, more, rng)

    def _sample(self, split: Split) -> Sample:
        found = dataclasses.replace(self.extractor(split.data), labels=split.labels)
        return Sample(split.data, found)


def draw_rows(size: int, seed: int, truth: str | None = None) -> tuple[Judge, Draw]:
    """As `Clothes.draw`: of a table's truth, or of cell nuclei's six columns where it is None."""
    rng = np.random.default_rng(seed)
    if truth is None:
        data = load_breast_cancer().data[:, :6]
        data = data[rng.permutation(len(data))]
        # Of 569 real rows, as many as there are of each.
        size = min(size, len(data) // 4)
        sizes = (len(data) - 2 * size, size, size)
    else:
        sizes = (3 * size, size, size)
        data = TABLE_TRUTHS[truth](rng, sum(sizes))
    data = data.astype(np.float32)
    train, real, good = np.split(data, np.cumsum(sizes)[:2])
    mean, deviation = train.mean(axis=0), train.std(axis=0)

    def extract(rows: np.ndarray) -> Features:
        return Features(((rows - mean) / deviation).astype(np.float32), None)

    low, high = train.min(axis=0), train.max(axis=0)
    # An untrained network's outputs lie near the middle of the range.
    untrained = (low + high) / 2 + (high - low) * rng.normal(0, 0.05, real.shape)
    judge = Judge(
        Sample(train, extract(train)),
        Sample(real, extract(real)),
        extract,
        untrained.astype(np.float32),
    )
    return judge, Draw(Split(train, None), Split(good, None), Split(good, None), rng)


def failed(verdicts: Iterable[Verdict]) -> set[str]:
    """The metrics whose rules are not kept."""
    return {str(verdict.metric) for verdict in verdicts if not verdict.passed}


def _read_idx(kind: str) -> Split:
    images, labels = (
        np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8)
        for part in ("images-idx3", "labels-idx1")
        for file in _DATA.glob(f"{kind}-{part}*")
    )
    return Split(images[16:].reshape(-1, 28, 28, 1), labels[8:].astype(np.int64))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", choices=["good", "bad"])
    parser.add_argument("--out", type=argparse.FileType("w"), default=sys.stdout)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        clothes = Clothes(folder)
    kinds = [(IMAGES, clothes.draw), (ROWS, draw_rows)]
    for name, subject in TABLES.items():
        kinds.append(({name: subject}, lambda size, seed, name=name: draw_rows(size, seed, name)))
    head = ["subject", *(f"n = {size}" for size in arguments.sizes)]
    lines = [head, ["---"] * len(head)]
    for subjects, draw in kinds:
        chosen = {
            name: subject
            for name, subject in subjects.items()
            if arguments.only != ("bad" if not subject.reasons else "good")
        }
        cells: dict[str, list[str]] = {name: [] for name in chosen}
        for size in arguments.sizes:
            refused: dict[str, list[set[str]]] = {name: [] for name in chosen}
            for seed in range(arguments.draws):
                judge, of_draw = draw(size, seed)
                for name, subject in chosen.items():
                    refused[name].append(failed(judge.verdicts(subject.make(of_draw))))
            for name, reasons in refused.items():
                times = {m: sum(m in r for r in reasons) for m in sorted(set().union(*reasons))}
                words = ", ".join(f"{metric} {count}" for metric, count in times.items())
                blessed = sum(not r for r in reasons)
                cells[name].append(f"{blessed} of {len(reasons)} blessed; {words}".rstrip("; "))
                print(name, size, cells[name][-1], file=sys.stderr)
        lines += [[name, *of_sizes] for name, of_sizes in cells.items()]
    for line in lines:
        print(f"| {' | '.join(line)} |", file=arguments.out)


if __name__ == "__main__":
    main()
