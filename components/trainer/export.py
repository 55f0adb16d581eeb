"""Exports the generator as a SavedModel that needs only TensorFlow to serve."""

import importlib.metadata
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.common import files, saved_models
from components.data import examples
from components.serving import contract, draws, warmup
from components.serving.contract import CONTRACT, MAX_ROWS
from components.trainer import networks
from components.trainer.data.encoding import Encoding
from components.trainer.gan.network_pair import Scorer
from components.trainer.storage import HalfStored

# How weights are stored unless told otherwise.
FULL = "float32"

_LIBRARIES = ("tfx-gan", "tensorflow", "keras")
# That PNG has a colour type for.
_PNG_CHANNELS = (1, 2, 3, 4)

Tensors = dict[str, tf.Tensor]


class ServingSignatures(tf.Module):
    """The serving signatures of an exported generator: docs/serving.md.

    Row i of each output is of row i of the inputs alone. All refuse, with the reason, unequal
    numbers of rows, more than `MAX_ROWS`, labels that are not served, and numbers that are not
    finite or out of range. Data are `images`, uint8 [n, height, width, channels], or `vectors`,
    codes of rows [n, columns], float32, or float64 unless all columns are of numbers.

    Args:
      generator: latents [n, latent_dim], or [latents, labels [n]] with classes, to data in [-1, 1].
      latent_dim: size of one latent vector.
      class_shares: sampling frequency of each class, [classes]; None for an unconditional
        generator. Classes of frequency 0 are not served: the generator has never been trained on
        them, and would answer with images of no class.
      encoding: of rows; None for images, and for vectors that are in [-1, 1] by themselves.
      weights: how they are stored: "float32", "float16" or "bfloat16"; all compute in float32.
      labels_are_values: whether labels ask for values of columns, or for clusters, and not for
        classes of the data.
      scorer: of samples; None for no signature `score_samples`.

    Raises:
      ValueError: for a weight that `weights` cannot hold.

    Attributes:
      serve: `serving_default` with its inputs as a list, as Keras's TFSMLayer calls it.
    """

    def __init__(
        self,
        generator: keras.Model,
        latent_dim: int,
        class_shares: np.ndarray | None = None,
        encoding: Encoding | None = None,
        weights: str = FULL,
        labels_are_values: bool = False,
        scorer: Scorer | None = None,
    ) -> None:
        super().__init__()
        # Of a user's own network only labels are known to be understood.
        self._mixes = isinstance(generator, networks.Generator) and not labels_are_values
        self.generator = generator if weights == FULL else HalfStored(generator, weights)
        self._weights = weights
        self._labels_are_values = labels_are_values
        self.latent_dim = latent_dim
        self._class_shares = class_shares
        self._encoding = encoding
        self.scorer = scorer
        # Graphs of their own, which the signatures call, or each would hold and trace a copy.
        self._generate = tf.function(self._call_generator, reduce_retracing=True)
        self._latents = _graph(lambda seeds: draws.latents(seeds, latent_dim))

    def save(self, path: str) -> None:
        """Writes the SavedModel to the folder `path`."""
        with tempfile.TemporaryDirectory() as folder:
            self._description = tf.saved_model.Asset(
                saved_models.write_description(folder, self.describes())
            )
            given = tf.TensorSpec([None, self.latent_dim], tf.float32)
            if self._class_shares is None:
                self.serve = _graph(self.serving_default, [given])
            else:
                labels = tf.TensorSpec([None], tf.int64)
                self.serve = _graph(lambda pair: self.serving_default(*pair), [[given, labels]])
            signatures = self.signatures()
            tf.saved_model.save(self, path, signatures=signatures)
        served = None if self._class_shares is None else int(np.flatnonzero(self._class_shares)[0])
        warmup.write(path, signatures, served)

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """The SavedModel's signatures by name."""

        def vector(name: str, dtype: tf.DType) -> tf.TensorSpec:
            return tf.TensorSpec([None], dtype, name=name)

        labels = [] if self._class_shares is None else [vector("labels", tf.int64)]
        given = tf.TensorSpec([None, self.latent_dim], tf.float32, name="latents")
        seeds, ends = vector("seeds", tf.int64), vector("end_seeds", tf.int64)
        truncation, positions = (vector(n, tf.float32) for n in ("truncation", "positions"))
        inputs: dict[Callable[..., Tensors], list[tf.TensorSpec]] = {
            self.serving_default: [given, *labels],
            self.sample: [seeds, *labels],
            self.sample_truncated: [seeds, truncation, *labels],
            self.interpolate: [seeds, ends, positions, *labels],
            self.describe: [],
        }
        if self._data_shape[-1] in _PNG_CHANNELS and len(self._data_shape) == 3:
            inputs[self.sample_png] = [seeds, *labels]
        if labels:
            inputs[self.draw_labels] = [seeds]
        if labels and self._mixes:
            others, shares = vector("other_labels", tf.int64), vector("shares", tf.float32)
            inputs[self.sample_mixed] = [seeds, *labels, others, shares]
        if self.scorer:
            inputs[self.score_samples] = [seeds, *labels]
        if self._encoding:
            inputs[self.columns] = []
            inputs[self.sample_rows] = [seeds, *labels]
        return {method.__name__: _graph(method, specs) for method, specs in inputs.items()}

    def describes(self) -> dict[str, Any]:
        """What `describe` says from the start; see `saved_models.description`."""
        found: dict[str, Any] = {
            "contract": CONTRACT,
            "latent_dim": self.latent_dim,
            "max_rows": MAX_ROWS,
            "data": "images" if len(self._data_shape) == 3 else "vectors",
            "shape": list(self._data_shape),
            "weights": self._weights,
            "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        }
        if self._class_shares is not None:
            found["class_shares"] = np.asarray(self._class_shares).tolist()
        if self._labels_are_values:
            found["labels_are_values"] = True
        if self._encoding:
            found["columns"] = list(self._encoding.columns)
            found["decimals"] = list(self._encoding.decimals)
            found["table"] = self._encoding.describe_columns()
            found["units"] = list(self._encoding.units)
        return found

    def serving_default(self, latents: tf.Tensor, labels: tf.Tensor | None = None) -> Tensors:
        """float32 images in [-1, 1], or codes of rows, without rounding."""
        given, labels = self._checked(latents=latents, labels=labels)
        values = self._generate(given, labels)
        if self._encoding:
            values = tf.cast(self._encoding.decode(values), self._encoding.dtype)
        return _named(values)

    def sample(self, seeds: tf.Tensor, labels: tf.Tensor | None = None) -> Tensors:
        """Data of the latents `components.serving.draws.latents(seeds)`."""
        seeds, labels = self._checked(seeds=seeds, labels=labels)
        return self._data(self._latents(seeds), labels)

    def sample_truncated(
        self, seeds: tf.Tensor, truncation: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Tensors:
        """As `sample`, of latents multiplied by `truncation` in [0, 1]: less varied, more typical.

        That is the temperature of Kingma and Dhariwal ("Glow", 2018, section 6), and differs from
        drawing from a truncated normal distribution (Brock et al., "BigGAN", 2019, section 3.1).
        """
        seeds, truncation, labels = self._checked(seeds=seeds, truncation=truncation, labels=labels)
        return self._data(truncation[:, tf.newaxis] * self._latents(seeds), labels)

    def sample_rows(self, seeds: tf.Tensor, labels: tf.Tensor | None = None) -> Tensors:
        """The rows of `sample` as values, each column by its name; see `Encoding.values`."""
        assert self._encoding  # A signature of generators of tables only.
        return self._encoding.values(self.sample(seeds, labels)["vectors"])

    def sample_png(self, seeds: tf.Tensor, labels: tf.Tensor | None = None) -> Tensors:
        """The images of `sample` as PNG files, `image_bytes` [n]."""
        images = self.sample(seeds, labels)["images"]
        encoded = tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)
        return {"image_bytes": encoded}

    def interpolate(
        self,
        seeds: tf.Tensor,
        end_seeds: tf.Tensor,
        positions: tf.Tensor,
        labels: tf.Tensor | None = None,
    ) -> Tensors:
        """Data between those of two seeds, `positions` in [0, 1]; see `draws.between`."""
        seeds, end_seeds, positions, labels = self._checked(
            seeds=seeds, end_seeds=end_seeds, positions=positions, labels=labels
        )
        between = draws.between(self._latents(seeds), self._latents(end_seeds), positions)
        return self._data(between, labels)

    def sample_mixed(
        self, seeds: tf.Tensor, labels: tf.Tensor, other_labels: tf.Tensor, shares: tf.Tensor
    ) -> Tensors:
        """As `sample`, with the classes' embeddings, or gammas and betas, mixed.

        Category morphing of Miyato and Koyama (2018, arXiv:1802.05637).

        Args:
          seeds: int64 [n].
          labels, other_labels: int64 [n].
          shares: of the other classes, float32 [n] in [0, 1].
        """
        assert self._class_shares is not None  # A signature of conditional generators only.
        seeds, labels, other_labels, shares = self._checked(
            seeds=seeds, labels=labels, other_labels=other_labels, shares=shares
        )
        one, other = (tf.one_hot(each, len(self._class_shares)) for each in (labels, other_labels))
        # Exactly one of the two at 0 and 1, and where both are the same.
        return self._data(self._latents(seeds), one + shares[:, tf.newaxis] * (other - one))

    def score_samples(self, seeds: tf.Tensor, labels: tf.Tensor | None = None) -> Tensors:
        """The data of `sample`, and `logits` float32 [n]: the higher, the more they look like data.

        They are the discriminator's, of the data before rounding.
        """
        assert self.scorer  # A signature of generators with a discriminator only.
        seeds, labels = self._checked(seeds=seeds, labels=labels)
        values = self._generate(self._latents(seeds), labels)
        logits = self.scorer(values, labels)
        return {**_named(postprocess(values, self._encoding)), "logits": logits}

    def draw_labels(self, seeds: tf.Tensor) -> Tensors:
        """`labels` int64 [n], as often as in the training data, independent of the latents."""
        assert self._class_shares is not None  # A signature of conditional generators only.
        (seeds,) = self._checked(seeds=seeds)
        return {"labels": draws.classes(seeds, self._class_shares)}

    def columns(self) -> Tensors:
        """The column names of the vectors."""
        assert self._encoding  # A signature of generators of tables only.
        return {"names": tf.constant(self._encoding.columns)}

    def describe(self) -> Tensors:
        """`description`, JSON: what the generator makes, of which classes, how it came about."""
        return {"description": tf.io.read_file(self._description.asset_path)}

    @property
    def _data_shape(self) -> tuple[int, ...]:
        label = None if self._class_shares is None else tf.zeros([1], tf.int64)
        return tuple(self._call_generator(tf.zeros([1, self.latent_dim]), label).shape[1:])

    def _checked(self, **inputs: tf.Tensor | None) -> list[tf.Tensor | None]:
        """The inputs, which have no value before they have passed.

        A GPU would answer a class that does not exist with zeros, and rounding makes NaN black.
        """
        given = {name: value for name, value in inputs.items() if value is not None}
        counts = {name: tf.shape(value)[0] for name, value in given.items()}
        (first, rows), *others = counts.items()
        checks = [
            tf.debugging.Assert(rows <= MAX_ROWS, [f"{first}: {contract.too_many(MAX_ROWS)}", rows])
        ]
        for name, count in others:
            words = [f"{name}: {contract.rows_needed(first)}", rows, "found", count]
            checks.append(tf.debugging.Assert(count == rows, words))
        for name, value in given.items():
            expected = contract.VALUES.get(name)
            if expected:
                good = tf.reduce_all(_IS[expected](value))
                checks.append(tf.debugging.Assert(good, [f"{name}: {expected}"]))
        checks += [self._check_labels(n, given[n]) for n in contract.LABELS if n in given]
        with tf.control_dependencies([check for check in checks if check is not None]):
            return [None if value is None else tf.identity(value) for value in inputs.values()]

    def _check_labels(self, name: str, labels: tf.Tensor) -> tf.Operation | None:
        assert self._class_shares is not None  # Or there would be no labels.
        served = tf.constant(np.flatnonzero(self._class_shares), tf.int64)
        known = tf.reduce_any(labels[:, tf.newaxis] == served, axis=1)
        words = f"{name}: {contract.no_such_class(self._class_shares)}"
        unknown = tf.boolean_mask(labels, ~known)
        return tf.debugging.Assert(tf.reduce_all(known), [words, unknown])

    def _data(self, given: tf.Tensor, labels: tf.Tensor | None) -> Tensors:
        return _named(postprocess(self._generate(given, labels), self._encoding))

    def _call_generator(self, given: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        inputs = given if labels is None else [given, labels]
        return tf.cast(self.generator(inputs, training=False), tf.float32)


def _graph(function: Callable[..., Any], specs: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
    # Only networks, which may be a user's own, can need AutoGraph, and it takes seconds.
    return tf.function(function, input_signature=specs, autograph=False)


# False for NaN.
_IS = {
    contract.FINITE: tf.math.is_finite,
    contract.IN_UNIT_INTERVAL: lambda values: (values >= 0.0) & (values <= 1.0),
}


def postprocess(values: tf.Tensor, encoding: Encoding | None = None) -> tf.Tensor:
    """Generated images [-1, 1] to uint8, vectors to float32; with an encoding, to codes of rows."""
    if encoding:
        return encoding.rounded(encoding.decode(values))
    return examples.to_uint8(values) if values.shape.rank == 4 else tf.cast(values, tf.float32)


def _named(values: tf.Tensor) -> Tensors:
    return {"images" if values.shape.rank == 4 else "vectors": values}


def save(generator: ServingSignatures, path: str, pretrained: str | None = None) -> None:
    """Writes the SavedModel to the folder `path`, atomically.

    Args:
      generator: the signatures.
      path: of the new folder.
      pretrained: the published weights that the discriminator computed with, for the description.

    Raises:
      FileExistsError: if `path` exists.
    """
    if tf.io.gfile.exists(path):
        raise FileExistsError(f"{path} exists already; give a new folder for the export")
    with files.atomic(path.rstrip("/")) as temporary:
        generator.save(temporary)
        if pretrained:
            saved_models.describe_further(temporary, pretrained=pretrained)
