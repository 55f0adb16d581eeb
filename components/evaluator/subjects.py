"""What an evaluation scores: samples with their features, each beside its real data."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from components import features
from components.data import examples
from components.evaluator import protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.metrics.comparison import Reference, Sample, errors_of

# A SavedModel with the signatures of `components.trainer.export`, or samples: uint8 images, or
# float32 vectors.
Source = str | np.ndarray

_FEWEST_OF_A_CLASS = 20
_INTERPOLATIONS = (6, 10)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A sample, and the real data that it is compared with."""

    sample: Sample
    reference: Reference


class Subjects:
    """Makes the subjects of one evaluation, all against the same real data.

    Args:
      candidate: the generator, or its samples.
      real: the eval split.
      train: the train split; None where it is unknown.
      extractor: what turns the data into features.
      config: seed, counts and settings of the metrics.
      columns: names of the vectors' columns; None for "column 0", …
    """

    def __init__(
        self,
        candidate: Source,
        real: examples.Split,
        train: examples.Split | None,
        extractor: features.Extractor,
        config: EvaluatorConfig,
        columns: Sequence[str] | None,
    ) -> None:
        self._candidate = protocol.Generator(candidate) if isinstance(candidate, str) else candidate
        self._labels = real.labels
        self._extractor, self._config, self._columns = extractor, config, columns
        self._classes_are_labels = bool(extractor.description.get("classes_are_labels"))
        self._count = config.num_fake or len(real)
        self._real = self._stored(examples.EVAL_SPLIT, real.data)
        self._train = None if train is None else self._stored(examples.TRAIN_SPLIT, train.data)

    def make(self, baseline: Source | None, references: Mapping[str, Source]) -> dict[str, Subject]:
        """The candidate as `model`, and what it is put beside.

        That is the `baseline`, `train` (real data that the generator has learnt from), the
        references, `noise`, and `halves`: one half of the real data against the other, the floor.

        Raises:
          ValueError: for samples that the extractor does not take, naming the subject.
        """
        real, seed = self._real, self._config.seed
        data = {"model": self._fakes(self._candidate)}
        if baseline is not None:
            data["baseline"] = self._fakes(baseline)
        if self._train is not None:
            data["train"] = protocol.choose(self._train.data, len(real), seed)
        data |= {name: self._fakes(source) for name, source in references.items()}
        data["noise"] = protocol.noise(self._count, seed, real.data)

        reference = self._reference(real, self._train)
        # Images of the train split are all copies of themselves.
        without_train = self._reference(real)
        subjects = {}
        for name, of_subject in data.items():
            with errors_of(name):
                sample = self._sample(of_subject)
            subjects[name] = Subject(sample, without_train if name == "train" else reference)
        order = np.random.default_rng(seed).permutation(len(real))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        subjects["halves"] = Subject(real[other], self._reference(real[one]))
        return subjects

    def on_train(self, fakes: Sample) -> Subject | None:
        """Fakes beside as many random data of the train split as there are real ones.

        The data are those of the subject `train`; None where there are fewer.
        """
        if self._train is None or len(self._train) < len(self._real):
            return None
        order = np.random.default_rng(self._config.seed).permutation(len(self._train))
        return Subject(fakes, self._reference(self._train[order[: len(self._real)]]))

    def of_classes(self) -> dict[int, Subject]:
        """A conditional generator's samples of each class beside the real data of that class.

        Empty without labels and for other generators; classes of too few real data are left out.
        """
        generator = self._serving("sample_class")
        if generator is None or self._labels is None or not self._classes_are_labels:
            return {}
        counts = np.bincount(self._labels)
        return {
            label: Subject(
                self._sample(self._generate(generator, int(counts[label]), label)),
                self._reference(self._real[self._labels == label]),
            )
            for label in map(int, np.flatnonzero(counts >= _FEWEST_OF_A_CLASS))
        }

    def interpolations(self) -> np.ndarray | None:
        """As `protocol.interpolations`; None for vectors, and samples without a generator."""
        generator = self._serving("serving_default")
        if generator is None or self._real.data.ndim != 4:
            return None
        return protocol.interpolations(generator, *_INTERPOLATIONS, self._config.seed)

    def _serving(self, signature: str) -> protocol.Generator | None:
        """The candidate, if it has the signature."""
        source = self._candidate
        if isinstance(source, np.ndarray) or signature not in source.signatures:
            return None
        return source

    def _fakes(self, source: Source | protocol.Generator) -> np.ndarray:
        """As many as are asked for, or all that there are."""
        if isinstance(source, np.ndarray):
            return source
        generator = protocol.Generator(source) if isinstance(source, str) else source
        return self._generate(generator, self._count)

    def _generate(
        self, generator: protocol.Generator, count: int, label: int | None = None
    ) -> np.ndarray:
        shape, config = self._real.data.shape[1:], self._config
        return protocol.sample(generator, count, config.seed, config.batch_size, shape, label)

    def _stored(self, split: str, data: np.ndarray) -> Sample:
        stored = self._extractor.stored(split, data)
        return self._sample(data) if stored is None else Sample(data, stored)

    def _sample(self, data: np.ndarray) -> Sample:
        return Sample(data, self._extractor(data, self._config.batch_size))

    def _reference(self, real: Sample, train: Sample | None = None) -> Reference:
        return Reference(
            real,
            train,
            self._config,
            classes_are_labels=self._classes_are_labels,
            columns=self._columns,
        )
