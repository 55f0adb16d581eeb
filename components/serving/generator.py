"""A generator as it is served, for Python: a SavedModel by TensorFlow, or a file by ONNX Runtime.

This module needs neither; only what a generator is stored as is imported, when it is loaded.
"""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from components.serving import contract, rows
from components.serving.contract import MAX_ROWS, row_seeds

if TYPE_CHECKING:
    from components.data.columns import Column

# Whole numbers, or what NumPy makes such of.
Numbers = Sequence[int] | np.ndarray
# One for all rows, or one each.
Floats = float | Sequence[float] | np.ndarray

# Of vectors, to the names of their columns, and to all about them.
_COLUMNS, _TABLE = "columns", "table"
_OF_A_COLUMN = ("name", "type", "format", "missing")
# Where a generator of contract 1 takes a class.
_BY_CLASS = "sample_class"

# Modules and classes of the stored forms.
_ONNX_FILE = ("components.serving.onnx_file", "OnnxFile")
_SAVED_MODEL = ("components.serving.saved_model", "SavedModel")


class Model(Protocol):
    """A generator as it is stored.

    Attributes:
      path: where.
      signatures: their names.
      description: what `describe` says; empty for one of contract 1.
    """

    path: str
    signatures: frozenset[str]
    description: dict[str, Any]

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the classes by label."""

    def inputs(self, signature: str) -> Mapping[str, Any]:
        """The inputs of a signature by name, each with a `shape` and a `dtype`."""

    def outputs(self, signature: str) -> Mapping[str, Any]:
        """Its outputs, as the inputs."""

    def function(self, signature: str) -> Any:  # noqa: ANN401
        """It as a tf.function."""

    def __call__(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Its outputs by name; raises ValueError for inputs that it refuses."""


class Generator:
    """The signatures of `components.trainer.export`, of this contract or the one before.

    For example `Generator.load("serving/digits").sample([0, 1, 2])`, uint8 [3, 8, 8, 1].

    Args:
      path: as `load` takes it.

    Attributes:
      path: of the SavedModel or file.
      signatures: their names.
      description: see `saved_models.description`; empty for one of contract 1.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = os.fspath(path)
        is_file = path.endswith(".onnx") and not os.path.isdir(path)
        module, name = _ONNX_FILE if is_file else _SAVED_MODEL
        self._model: Model = getattr(importlib.import_module(module), name)(path)
        self.path = self._model.path
        self.signatures = self._model.signatures
        self.description = self._model.description

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Generator":
        """The generator at a path.

        Args:
          path: a SavedModel, a TFX Model artifact or a serving folder, whose newest version is
            taken, each a path or a URI; or a local file that ends in .onnx, which
            `tfx-gan export --signature serving_default` wrote.

        Raises:
          FileNotFoundError: if there is none.
          ValueError: for an ONNX file of something else.
          ModuleNotFoundError: without TensorFlow for a SavedModel, or onnxruntime for a file.
        """
        return cls(path)

    def sample(
        self, seeds: Numbers, labels: Numbers | None = None, truncation: Floats | None = None
    ) -> np.ndarray:
        """Images uint8 [n, height, width, channels], or codes of rows [n, columns].

        Row i depends on the i-th seed, label and truncation alone.

        Args:
          seeds: whole numbers [n] in [-2⁶³, 2⁶³).
          labels: classes [n]; None for those that `draw_labels` draws with the seeds.
          truncation: of the latents, one number or [n], in [0, 1]: the smaller, the less varied.

        Raises:
          ValueError: for labels of a generator without classes, or of classes that it does not
            have, for other bad values, and for a generator of contract 1.
        """
        inputs = {"seeds": contract.whole("seeds", seeds)}
        if truncation is None:
            return self._sampled("sample", inputs, labels)
        inputs["truncation"] = contract.floats("truncation", truncation, len(inputs["seeds"]))
        return self._sampled("sample_truncated", inputs, labels)

    def rows(
        self, seeds: Numbers, labels: Numbers | None = None, truncation: Floats | None = None
    ) -> dict[str, np.ndarray]:
        """The rows of `sample` as columns of the data's own types, by name: see `rows.values`.

        For example `pandas.DataFrame(generator.rows(range(1000)))`.

        Raises:
          ValueError: as `sample`, and for a generator of anything but rows.
        """
        if not self.column_names:
            raise ValueError(f"{self.path}: makes {self.kind}, not rows")
        of_numbers = {"type": "number", "missing": True}
        table = self.description.get(_TABLE) or [
            {"name": name, **of_numbers} for name in self.column_names
        ]
        return rows.values(self.sample(seeds, labels, truncation), table)

    def interpolate(
        self, seeds: Numbers, end_seeds: Numbers, positions: Floats, labels: Numbers | None = None
    ) -> np.ndarray:
        """As `sample`, of latents on the great circle between those of two seeds.

        Args:
          seeds, end_seeds: whole numbers [n] in [-2⁶³, 2⁶³).
          positions: one number or [n], in [0, 1]; 0 is the sample of `seeds`.
          labels: classes [n]; None for those that `draw_labels` draws with `seeds`.

        Raises:
          ValueError: as `sample`.
        """
        inputs = {
            "seeds": contract.whole("seeds", seeds),
            "end_seeds": contract.whole("end_seeds", end_seeds),
        }
        inputs["positions"] = contract.floats("positions", positions, len(inputs["seeds"]))
        return self._sampled("interpolate", inputs, labels)

    def mix(
        self, seeds: Numbers, labels: Numbers, other_labels: Numbers, shares: Floats
    ) -> np.ndarray:
        """As `sample`, of what is between two classes.

        Args:
          seeds: whole numbers [n] in [-2⁶³, 2⁶³).
          labels, other_labels: classes [n].
          shares: of the other classes, one number or [n], in [0, 1]; 0 is the sample of `labels`.

        Raises:
          ValueError: as `sample`, and for a generator that cannot mix classes: one of your own
            network, or one whose labels ask for values of columns.
        """
        inputs = {
            "seeds": contract.whole("seeds", seeds),
            "other_labels": contract.whole("other_labels", other_labels),
        }
        inputs["shares"] = contract.floats("shares", shares, len(inputs["seeds"]))
        return self._sampled("sample_mixed", inputs, labels)

    def draw_labels(self, seeds: Numbers) -> np.ndarray:
        """The classes int64 [n] that `sample` takes for at most `max_rows` seeds.

        Raises:
          ValueError: for a generator without classes, and for one of contract 1.
        """
        self._check_contract()
        return self("draw_labels", seeds=contract.whole("seeds", seeds))["labels"]

    def draw(
        self, count: int, seed: int = 0, label: int | None = None, batch_size: int = MAX_ROWS
    ) -> np.ndarray:
        """`count` samples of the seeds `row_seeds(seed, count)`, all of class `label` if given.

        Args:
          count, seed: see `row_seeds`.
          label: None for classes as often as in the training data.
          batch_size: rows of a call.

        Raises:
          ValueError: as `sample`.
        """
        draw = self._draw if self.description else self._draw_by_count
        batches = [
            draw(min(batch_size, count - start), seed, label, start)
            for start in range(0, max(1, count), batch_size)
        ]
        return np.concatenate(batches)

    @property
    def kind(self) -> str:
        """The name of its output: "images" or "vectors"."""
        return ", ".join(self.outputs("sample"))

    @property
    def conditional(self) -> bool:
        """Whether it makes data of a class that is asked for."""
        return _BY_CLASS in self.signatures or "labels" in self.inputs("sample")

    @property
    def asks_for_classes(self) -> bool:
        """Whether its labels ask for classes of the data; not for values of columns or clusters."""
        return self.conditional and not self.description.get("labels_are_values")

    @property
    def columns(self) -> list[str] | None:
        """The names of the columns of a generator of rows; None if it does not name them."""
        if self.description:
            return self.description.get(_COLUMNS)
        if _COLUMNS not in self.signatures:
            return None
        return [name.decode() for name in self(_COLUMNS)["names"]]

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, or their numbers; empty for a generator of images."""
        shape = self.outputs("sample")[self.kind].shape
        return self.columns or (
            [f"column {index}" for index in range(shape[1])] if len(shape) == 2 else []
        )

    @property
    def table(self) -> "tuple[Column, ...] | None":
        """The columns of a table's rows; None for images, and vectors of unnamed columns."""
        from components.data.columns import Column

        if self.description.get(_TABLE):
            return tuple(
                Column(**{key: each[key] for key in _OF_A_COLUMN if key in each})
                for each in self.description[_TABLE]
            )
        names = self.columns
        return tuple(Column(name=name) for name in names) if names else None

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """What the codes of discrete columns stand for, by name."""
        table = self.description.get(_TABLE, [])
        return {e["name"]: tuple(e["categories"]) for e in table if e["categories"]}

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the classes by label; empty if the export has none."""
        return self._model.class_names

    def inputs(self, signature: str) -> Mapping[str, Any]:
        """The inputs of a signature by name, each with a `shape` and a `dtype`.

        TensorSpecs for a SavedModel. Empty if the signature does not exist.
        """
        return self._model.inputs(signature) if signature in self.signatures else {}

    def outputs(self, signature: str) -> Mapping[str, Any]:
        """The outputs, as `inputs`; raises ValueError if the signature does not exist."""
        self._check(signature)
        return self._model.outputs(signature)

    def function(self, signature: str) -> Any:  # noqa: ANN401
        """The signature as a tf.function of its inputs in their order, for converters.

        Raises:
          ValueError: if it does not exist, and for an ONNX file.
        """
        self._check(signature)
        return self._model.function(signature)

    def __call__(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:  # noqa: ANN401
        """The outputs by name; raises ValueError if there is none, or it refuses the inputs."""
        self._check(signature)
        return self._model(signature, inputs)

    def _sampled(
        self, signature: str, inputs: Mapping[str, np.ndarray], labels: Numbers | None
    ) -> np.ndarray:
        """Data of as many calls as the rows need."""
        self._check_contract()
        if labels is not None:
            self._check_conditional(labels)
            inputs = {**inputs, "labels": contract.whole("labels", labels)}
        # Or the rows of a longer input that are beyond the last call would be ignored.
        count = len(inputs["seeds"])
        for name, values in inputs.items():
            if len(values) != count:
                raise ValueError(
                    f"{self.path}: {name}: as many rows as seeds needed, {count}, "
                    f"found {len(values)}"
                )
        parts, size = [], self.description["max_rows"]
        for start in range(0, max(1, count), size):
            part = {name: each[start : start + size] for name, each in inputs.items()}
            if self.conditional and labels is None:
                part["labels"] = self.draw_labels(part["seeds"])
            parts.append(self(signature, **part)[self.kind])
        return np.concatenate(parts)

    def _draw(self, count: int, seed: int, label: int | None, start: int) -> np.ndarray:
        labels = None if label is None else np.full(count, label)
        return self.sample(row_seeds(seed, count, start), labels)

    def _draw_by_count(self, count: int, seed: int, label: int | None, start: int) -> np.ndarray:
        """By the signatures of contract 1, where each call has a seed."""
        if start:
            derived = np.random.SeedSequence([seed, start]).generate_state(1, np.uint64)
            seed = int(derived[0]) >> 1
        inputs = {"count": np.int32(count), "seed": np.int64(seed)}
        if label is None:
            return self("sample", **inputs)[self.kind]
        self._check_conditional(label)
        return self(_BY_CLASS, label=np.int64(label), **inputs)[self.kind]

    def _check_contract(self) -> None:
        if not self.description:
            raise ValueError(
                f"{self.path}: exported before samples had seeds of their own (contract 1); use "
                "draw, or export it again"
            )

    def _check_conditional(self, labels: object) -> None:
        if not self.conditional:
            raise ValueError(f"{self.path}: labels: {labels}, but the generator has no classes")

    def _check(self, signature: str) -> None:
        if signature not in self.signatures:
            found = ", ".join(sorted(self.signatures)) or "none"
            raise ValueError(f"{self.path}: no signature {signature!r}, found: {found}")
