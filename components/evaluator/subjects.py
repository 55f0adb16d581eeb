"""What an evaluation scores: samples with their features, each beside its real data."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from components import features
from components.data import examples, vectors
from components.data.columns import Column
from components.evaluator import kept, protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.metrics.comparison import errors_of
from components.evaluator.metrics.reference import Reference, Sample

# A SavedModel with the signatures of `components.trainer.export`, or samples: uint8 images, or
# codes of rows, of an array those of the real data, of a split with categories its own; a split
# also has the classes that a conditional generator was asked for.
Source = str | np.ndarray | examples.Split
_Opened = np.ndarray | examples.Split | protocol.Generator

# Whose samples may be copies; of the untrained generator and of noise none are.
_LEARNT = ("model", "baseline", "best")
_INTERPOLATIONS = (6, 10)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A sample, and the real data that it is compared with.

    Attributes:
      sample: as the generator mixes the classes itself.
      reference: the real data.
      asked: a conditional generator's sample with the labels that it was asked for, class after
        class; None for others.
    """

    sample: Sample
    reference: Reference
    asked: Sample | None = None


class Subjects:
    """Makes the subjects of one evaluation, all against the same real data.

    Args:
      candidate: the generator, or its samples.
      real: the eval split.
      train: the train split; None where it is unknown.
      extractor: what turns the data into features.
      config: seed, counts and settings of the metrics.
      columns: of rows; None for numbers called "column 0", …

    Raises:
      ValueError: for a train split or an extractor of other categories than the real data's; for a
        candidate that was trained against the extractor's features.
    """

    def __init__(
        self,
        candidate: Source,
        real: examples.Split,
        train: examples.Split | None,
        extractor: features.Extractor,
        config: EvaluatorConfig,
        columns: Sequence[Column] | None,
    ) -> None:
        _check_categories(real, train, extractor)
        self._extractor, self._config, self._columns = extractor, config, columns
        self._candidate = self._opened(candidate)
        self._classes_are_labels = bool(extractor.description.get("classes_are_labels"))
        self._count = config.num_fake or len(real)
        self._real = self._stored(examples.EVAL_SPLIT, real)
        self._train = None if train is None else self._stored(examples.TRAIN_SPLIT, train)

    def of_generators(
        self,
        baseline: Source | None,
        references: Mapping[str, Source],
        distances: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, Subject]:
        """The candidate as `model`, the `baseline` and the references.

        Args:
          baseline: the last blessed generator; None where there is none.
          references: further ones, by name.
          distances: of real data to the train split, as `Reference` has them, where they are known.

        Raises:
          ValueError: for samples that the extractor does not take, naming the subject; for a
            generator that was trained against the extractor's features.
        """
        sources = {"model": self._candidate}
        if baseline is not None:
            sources["baseline"] = self._opened(baseline)
        sources |= {name: self._opened(source) for name, source in references.items()}
        # What never learnt has no copies.
        without_train = self._reference(self._real)
        with_train = self._reference(self._real, self._train, distances)
        subjects = {}
        for name, source in sources.items():
            reference = with_train if name in _LEARNT else without_train
            with errors_of(name):
                subjects[name] = Subject(self._fakes(source), reference, self._asked(source))
        return subjects

    def without_generator(self) -> dict[str, Subject]:
        """What says how good or bad the scores of generators are, whatever these have made.

        That is `train` (real data that the generator has learnt from), `noise`, and `halves`: one
        half of the real data against the other, the floor. As if a conditional generator had made
        them, the real ones have the classes that were asked for.
        """
        real, seed = self._real, self._config.seed
        subjects = {}
        # Images of the train split are all copies of themselves.
        reference = self._reference(real)
        if self._train is not None:
            chosen = self._as_many(self._train)
            subjects["train"] = Subject(chosen, reference, chosen)
        noise = protocol.noise(self._count, seed, real.data, self._columns)
        subjects["noise"] = Subject(self._fakes(noise), reference)
        order = np.random.default_rng(seed).permutation(len(real))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        subjects["halves"] = Subject(real[other], self._reference(real[one]), real[other])
        return subjects

    def key(self, version: str) -> str:
        """Of all that `without_generator` and the distances of real data depend on.

        Args:
          version: of the code.
        """
        samples = [sample for sample in (self._real, self._train) if sample is not None]
        arrays = [(s.data, s.features.labels, s.targets) for s in samples]
        config = self._config.model_dump(exclude={"gate", "batch_size", "page_neighbours"})
        return kept.key(
            version,
            protocol.versions(),
            self._extractor.id,
            [features.data_id(a) for of_sample in arrays for a in of_sample if a is not None],
            [column.model_dump(mode="json") for column in self._columns or ()],
            [sample.categories for sample in samples],
            config,
        )

    def on_train(self, fakes: Sample) -> Subject | None:
        """Fakes beside as many random data of the train split as there are real ones.

        The data are those of the subject `train`; None where there are fewer.
        """
        if self._train is None or len(self._train) < len(self._real):
            return None
        return Subject(fakes, self._reference(self._as_many(self._train)))

    def of_classes(self, asked: Sample | None, labels: np.ndarray) -> dict[int, Subject]:
        """A conditional generator's samples of some classes, each beside the real data of it.

        Empty for other generators.
        """
        if asked is None:
            return {}
        return {
            label: Subject(asked.of_class(label), self._reference(self._real.of_class(label)))
            for label in map(int, labels)
        }

    def interpolations(self) -> np.ndarray | None:
        """As `protocol.interpolations`; None for vectors, and samples without a generator."""
        generator = self._serving("serving_default")
        if generator is None or self._real.data.ndim != 4:
            return None
        return protocol.interpolations(generator, *_INTERPOLATIONS, self._config.seed)

    def _opened(self, source: Source) -> _Opened:
        opened = _opened(source)
        if isinstance(opened, protocol.Generator):
            self._extractor.check_independent(opened.description.get("pretrained"), opened.path)
        return opened

    def _serving(self, signature: str) -> protocol.Generator | None:
        """The candidate, if it has the signature."""
        return _with_signature(self._candidate, signature)

    def _fakes(self, source: _Opened) -> Sample:
        """As many as are asked for, or all that there are."""
        if isinstance(source, np.ndarray):
            return self._sample(examples.Split(source, None))
        if isinstance(source, examples.Split):
            return self._sample(dataclasses.replace(source, labels=None))
        return self._sample(self._generate(source, self._count))

    def _asked(self, source: _Opened) -> Sample | None:
        """Fakes with the labels that they were asked for: as many of a class as there are real."""
        real = _labels(self._real)
        if real is None:
            return None
        if isinstance(source, examples.Split):
            return None if source.labels is None else self._sample(source)
        if isinstance(source, np.ndarray) or not source.asks_for_classes:
            return None
        known = None if self._train is None else _labels(self._train)
        # A class that the train split lacks is not served.
        served = real if known is None else real[np.isin(real, known)]
        labels, counts = np.unique(served, return_counts=True)
        made = [
            self._generate(source, int(count), int(label))
            for label, count in zip(labels, counts, strict=True)
        ]
        data = np.concatenate([each.data for each in made])
        labels = np.repeat(labels, counts)
        return self._sample(dataclasses.replace(made[0], data=data, labels=labels))

    def _as_many(self, train: Sample) -> Sample:
        """As many of the train split, at random, as there are real data, or all of it."""
        order = np.random.default_rng(self._config.seed).permutation(len(train))
        return train[order[: len(self._real)]]

    def _generate(
        self, generator: protocol.Generator, count: int, label: int | None = None
    ) -> examples.Split:
        shape, config = self._real.data.shape[1:], self._config
        return protocol.sample(
            generator, count, config.seed, config.batch_size, shape, label, self._columns
        )

    def _stored(self, name: str, split: examples.Split) -> Sample:
        return self._with_features(split, self._extractor.stored(name, split.data))

    def _sample(self, split: examples.Split) -> Sample:
        return self._with_features(self._recoded(split), None)

    def _with_features(self, split: examples.Split, found: features.Features | None) -> Sample:
        if found is None:
            found = self._extractor(split.data, self._config.batch_size)
        # Of images, if the extractor's classes are what the labels count.
        labels = split.labels if self._classes_are_labels else None
        known = dataclasses.replace(found, labels=labels)
        targets = split.labels if split.data.ndim == 2 else None
        return Sample(split.data, known, targets, split.categories)

    def _recoded(self, split: examples.Split) -> examples.Split:
        """The split with the codes of the real data; categories that these lack come after."""
        known = self._real.categories
        if self._columns is None or not split.categories:
            return dataclasses.replace(split, categories=known)
        every = {}
        for name, ours in known.items():
            among = frozenset(ours)
            every[name] = (*ours, *(each for each in split.categories[name] if each not in among))
        return vectors.recoded(split, self._columns, every)

    def _reference(
        self,
        real: Sample,
        train: Sample | None = None,
        distances: Mapping[str, np.ndarray] | None = None,
    ) -> Reference:
        return Reference(
            real,
            train,
            self._config,
            classes_are_labels=self._classes_are_labels,
            columns=self._columns,
            distances=distances,
        )


def _opened(source: Source) -> _Opened:
    return protocol.Generator(source) if isinstance(source, str) else source


def _with_signature(source: _Opened, signature: str) -> protocol.Generator | None:
    """The source, if it is a generator that has the signature."""
    if isinstance(source, protocol.Generator) and signature in source.signatures:
        return source
    return None


def _labels(sample: Sample) -> np.ndarray | None:
    """Those of the data, where they say what a generator can be asked for."""
    return sample.targets if sample.features.labels is None else sample.features.labels


def _check_categories(
    real: examples.Split, train: examples.Split | None, extractor: features.Extractor
) -> None:
    others = {} if train is None else {"the train split": train.categories}
    fitted = extractor.description.get("categories")
    if fitted is not None:
        others[f"the extractor {extractor.folder}"] = fitted
    for name, categories in others.items():
        for column in sorted({*categories, *real.categories}):
            known = {*categories.get(column, ())}
            apart = sorted(known.symmetric_difference(real.categories.get(column, ())))
            if apart:
                raise ValueError(
                    f"{name}: of other categories than the real data: {column!r} has {apart[0]!r} "
                    f"in one of both only ({len(apart)} so); read the splits together, and make "
                    "the extractor from them"
                )
