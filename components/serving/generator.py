"""A generator as its SavedModel serves it, for Python."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.common import saved_models
from components.serving.contract import MAX_ROWS, row_seeds

# Of vectors, to the names of their columns.
_COLUMNS = "columns"
# Where a generator of contract 1 takes a class.
_BY_CLASS = "sample_class"


class Generator:
    """The signatures of `components.trainer.export`, of this contract or the one before.

    For example `Generator.load("serving/digits").sample([0, 1, 2])`, uint8 [3, 8, 8, 1].

    Args:
      path: folder of the SavedModel, a path or a URI.

    Attributes:
      path: as given.
      signatures: their names.
      description: see `saved_models.description`; empty for one of contract 1.
    """

    def __init__(self, path: str) -> None:
        # Kept because a signature alone does not keep its variables alive.
        self._model = tf.saved_model.load(path)
        self.path = path
        self.signatures = frozenset(self._model.signatures)
        self.description = saved_models.description(path)

    @classmethod
    def load(cls, folder: str) -> "Generator":
        """The generator in a SavedModel, a TFX Model artifact, or the newest of a serving folder.

        Raises:
          FileNotFoundError: if there is none.
        """
        path = saved_models.find(folder)
        if path is None:
            if not tf.io.gfile.isdir(folder):
                raise FileNotFoundError(f"{folder}: no such folder")
            raise FileNotFoundError(f"{folder}: neither a SavedModel nor versions of one")
        return cls(path)

    def sample(
        self,
        seeds: Sequence[int] | np.ndarray,
        labels: Sequence[int] | np.ndarray | None = None,
        truncation: float | Sequence[float] | np.ndarray | None = None,
    ) -> np.ndarray:
        """Images uint8 [n, height, width, channels], or vectors float32 [n, columns].

        Row i depends on the i-th seed, label and truncation alone.

        Args:
          seeds: whole numbers [n] in [-2⁶³, 2⁶³).
          labels: classes [n]; None for those that `draw_labels` draws with the seeds.
          truncation: of the latents, one number or [n], in [0, 1]: the smaller, the less varied.

        Raises:
          ValueError: for labels of a generator without classes, or of classes that it does not
            have, for other bad values, and for a generator of contract 1.
        """
        self._check_contract()
        inputs: dict[str, np.ndarray] = {"seeds": np.asarray(seeds, np.int64)}
        signature = "sample"
        if truncation is not None:
            signature = "sample_truncated"
            values = np.broadcast_to(np.asarray(truncation, np.float32), inputs["seeds"].shape)
            inputs["truncation"] = values
        if labels is not None:
            self._check_conditional(labels)
            inputs["labels"] = np.asarray(labels, np.int64)
        parts = []
        for start in range(0, max(1, len(inputs["seeds"])), self._max_rows):
            part = {name: each[start : start + self._max_rows] for name, each in inputs.items()}
            if self.conditional and labels is None:
                part["labels"] = self.draw_labels(part["seeds"])
            parts.append(self(signature, **part)[self.kind])
        return np.concatenate(parts)

    def draw_labels(self, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
        """The classes int64 [n] that `sample` takes for at most `max_rows` seeds.

        Raises:
          ValueError: for a generator without classes, and for one of contract 1.
        """
        self._check_contract()
        return self("draw_labels", seeds=np.asarray(seeds, np.int64))["labels"]

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
    def columns(self) -> list[str] | None:
        """The names of the columns of a generator of rows; None if it does not name them."""
        if _COLUMNS not in self.signatures:
            return None
        return [name.decode() for name in self(_COLUMNS)["names"]]

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, or their numbers; empty for a generator of images."""
        shape = self.outputs("sample")[self.kind].shape
        return self.columns or (
            [f"column {index}" for index in range(shape[1])] if shape.rank == 2 else []
        )

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the classes by label; empty if the export has none."""
        return saved_models.class_names(self.path)

    def inputs(self, signature: str) -> Mapping[str, tf.TensorSpec]:
        """The inputs of a signature by name; empty if the signature does not exist."""
        if signature not in self.signatures:
            return {}
        return self._model.signatures[signature].structured_input_signature[1]

    def function(self, signature: str) -> Any:  # noqa: ANN401
        """The signature as a tf.function of its inputs in their order, for converters."""
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name=name)
            for name, spec in self.inputs(signature).items()
        ]
        concrete = self._model.signatures[signature]

        def call(*values: tf.Tensor) -> Any:  # noqa: ANN401
            return concrete(**{spec.name: value for spec, value in zip(specs, values, strict=True)})

        return tf.function(call, input_signature=specs, autograph=False)

    def outputs(self, signature: str) -> Mapping[str, tf.TensorSpec]:
        """The outputs of a signature by name; raises ValueError if it does not exist."""
        self._check(signature)
        return self._model.signatures[signature].structured_outputs

    def __call__(self, signature: str, **inputs: np.ndarray | tf.Tensor) -> dict[str, np.ndarray]:
        """The outputs by name; raises ValueError if there is none, or it refuses the inputs."""
        self._check(signature)
        given = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
        try:
            outputs = self._model.signatures[signature](**given)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{self.path}: {signature}: {_reason(error)}") from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    @property
    def _max_rows(self) -> int:
        return self.description["max_rows"]

    def _draw(self, count: int, seed: int, label: int | None, start: int) -> np.ndarray:
        labels = None if label is None else np.full(count, label)
        return self.sample(row_seeds(seed, count, start), labels)

    def _draw_by_count(self, count: int, seed: int, label: int | None, start: int) -> np.ndarray:
        """By the signatures of contract 1, where each call has a seed."""
        if start:
            derived = np.random.SeedSequence([seed, start]).generate_state(1, np.uint64)
            seed = int(derived[0]) >> 1
        inputs = {"count": tf.constant(count, tf.int32), "seed": tf.constant(seed, tf.int64)}
        if label is None:
            return self("sample", **inputs)[self.kind]
        self._check_conditional(label)
        return self(_BY_CLASS, label=tf.constant(label, tf.int64), **inputs)[self.kind]

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


def _reason(error: tf.errors.InvalidArgumentError) -> str:
    """What the graph says, without where in the graph."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("assertion failed")), lines[0])
