"""What the gate says of generators with a known fault, and of perfect ones: its planted table.

    python benchmarks/planted.py [--draws 100] [--sizes 50 300 1000] [--only good] [--out table.md]

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
from scipy import ndimage
from sklearn.datasets import load_breast_cancer

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from components.data.examples import Split  # noqa: E402
from components.evaluator import gate  # noqa: E402
from components.evaluator.config import EvaluatorConfig, GateConfig  # noqa: E402
from components.evaluator.evaluation import Verdict  # noqa: E402
from components.evaluator.metrics.comparison import Comparison, Reference, Sample  # noqa: E402
from components.evaluator.metrics.registry import score_all  # noqa: E402
from components.evaluator.protocol import noise  # noqa: E402
from components.feature_extractor import FeatureExtractorConfig, make  # noqa: E402
from components.features import Extractor, Features  # noqa: E402

DATA = _ROOT / "data" / "fashion_mnist"
SIZES = (50, 300, 1000)
_SETTINGS = EvaluatorConfig(kid_subsets=5)


@dataclasses.dataclass(frozen=True)
class Draw:
    """One draw of the data, from which a subject is made.

    Attributes:
      train: what a generator has learnt from.
      good: as many as the eval split has, from neither of the others: what a perfect one makes.
      more: all that are from neither, `good` among them.
      rng: for what is random in a fault.
    """

    train: Split
    good: Split
    more: Split
    rng: np.random.Generator


@dataclasses.dataclass(frozen=True)
class Subject:
    """A generator with a fault, or a good one.

    Attributes:
      make: its samples, with the labels asked for if it is conditional.
      reasons: metrics of which at least one must refuse it; empty for a good one.
      fewest: samples from which on the fault can be told from chance.
    """

    make: Callable[[Draw], Split]
    reasons: frozenset[str] = frozenset()
    fewest: int = 0


def _bad(*reasons: str, fewest: int = 0) -> Callable[[Callable[[Draw], np.ndarray]], Subject]:
    def planted(fault: Callable[[Draw], np.ndarray]) -> Subject:
        return Subject(lambda draw: Split(fault(draw), None), frozenset(reasons), fewest)

    return planted


def _mixed(share: float, fault: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The fault in a share of the samples."""
    count = round(share * len(good))
    return np.concatenate([fault[:count], good[count:]])


def _known(draw: Draw) -> np.ndarray:
    """Some of the training data, as many as are wanted."""
    return draw.rng.permutation(draw.train.data)[: len(draw.good)]


def _noisy(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return (images + rng.normal(0, sigma, images.shape)).clip(0, 255).astype(np.uint8)


def _of_classes(classes: Iterable[int]) -> Callable[[Draw], np.ndarray]:
    def some(draw: Draw) -> np.ndarray:
        return draw.more.data[np.isin(draw.more.labels, list(classes))][: len(draw.good)]

    return some


def _relabelled(change: Callable[[Draw], np.ndarray]) -> Callable[[Draw], Split]:
    return lambda draw: Split(draw.good.data, change(draw))


_COPIES = ("copies", "nearer_to_train")
IMAGES = {
    "other real images": Subject(lambda draw: Split(draw.good.data, None)),
    "other real images, with their labels": Subject(lambda draw: draw.good),
    "a quarter real, the rest noise": _bad("precision", "fid", "sliced_wasserstein")(
        lambda draw: _mixed(0.75, noise(len(draw.good), 7, draw.good.data), draw.good.data)
    ),
    "noise": _bad("precision", "fid")(lambda draw: noise(len(draw.good), 7, draw.good.data)),
    "black images": _bad("duplicates")(lambda draw: np.zeros_like(draw.good.data)),
    "a tenth of the images, ten times each": _bad("duplicates")(
        lambda draw: np.resize(draw.good.data[: len(draw.good) // 10], draw.good.data.shape)
    ),
    "blurred, sigma 1.5": _bad("sliced_wasserstein", "fid", "precision", fewest=300)(
        lambda draw: ndimage.gaussian_filter(draw.good.data, (0, 1.5, 1.5, 0))
    ),
    "training images": _bad("copies")(_known),
    "training images, 30 %": _bad("copies")(lambda draw: _mixed(0.3, _known(draw), draw.good.data)),
    "training images, shifted by 1 pixel": _bad("copies")(
        lambda draw: np.roll(_known(draw), 1, axis=2)
    ),
    "training images, shifted by 2 pixels both ways": _bad("copies")(
        lambda draw: np.roll(_known(draw), (2, -2), axis=(1, 2))
    ),
    "training images, mirrored": _bad("copies")(lambda draw: _known(draw)[:, :, ::-1]),
    "training images, mirrored, shifted, times .9": _bad("copies")(
        lambda draw: (np.roll(_known(draw)[:, :, ::-1], (1, 1), (1, 2)) * 0.9).astype(np.uint8)
    ),
    "training images, times .8": _bad("copies")(lambda draw: (_known(draw) * 0.8).astype(np.uint8)),
    "training images, noise of sigma 8": _bad(*_COPIES)(
        lambda draw: _noisy(_known(draw), 8, draw.rng)
    ),
    "training images, noise of sigma 16": _bad(*_COPIES)(
        lambda draw: _noisy(_known(draw), 16, draw.rng)
    ),
    "one class of ten": _bad("mode_kl", "modes", "coverage")(_of_classes([1])),
    "five classes of ten": _bad("mode_kl", "modes", fewest=300)(_of_classes(range(5))),
    "eight classes of ten": _bad("modes", fewest=300)(_of_classes(range(8))),
    "labels ignored": Subject(
        _relabelled(lambda draw: draw.rng.permutation(draw.good.labels)),
        frozenset({"class_accuracy"}),
    ),
    "labels permuted": Subject(
        _relabelled(lambda draw: (draw.good.labels + 1) % 10), frozenset({"class_accuracy"})
    ),
}


def _shifted(draw: Draw) -> np.ndarray:
    rows = draw.good.data.copy()
    rows[:, 1] += 3 * rows[:, 1].std()
    return rows


ROWS = {
    "other real rows": Subject(lambda draw: Split(draw.good.data, None)),
    "training rows": _bad(*_COPIES)(_known),
    "training rows, 30 %": _bad(*_COPIES)(lambda draw: _mixed(0.3, _known(draw), draw.good.data)),
    "one row": _bad("duplicates")(lambda draw: np.resize(draw.good.data[:1], draw.good.data.shape)),
    "one column three deviations higher": _bad(
        "column_distance", "two_sample_accuracy", "precision"
    )(_shifted),
    "every column shuffled": _bad(
        "correlation_difference", "two_sample_accuracy", "precision", "fid"
    )(lambda draw: draw.rng.permuted(draw.good.data, axis=0)),
}
_TABLE_TRUTHS = {
    "2 columns of 10 whole numbers": lambda rng, n: rng.integers(0, 10, (n, 2)),
    "3 columns of 10": lambda rng, n: rng.integers(0, 10, (n, 3)),
    "5 columns of 5": lambda rng, n: rng.integers(0, 5, (n, 5)),
    "60 % zeros in two amounts, 3 categories": lambda rng, n: np.stack(
        [
            *(rng.exponential(1, (2, n)) * (rng.random((2, n)) > 0.6)).round(1),
            rng.integers(0, 3, n),
        ],
        axis=1,
    ),
}
TABLES = {name: Subject(lambda draw: Split(draw.good.data, None)) for name in _TABLE_TRUTHS}


class Judge:
    """Judges subjects beside one draw of real data, as an evaluation without a recipe does.

    Args:
      train, real, good: features of each are made once.
      extractor: what makes them.
      untrained: samples of an untrained generator; None: noise is the worst.
      seed: of the faults.
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
            FeatureExtractorConfig(epochs=4),
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
        data = _TABLE_TRUTHS[truth](rng, sum(sizes))
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
        for file in DATA.glob(f"{kind}-{part}*")
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
