"""A generator and a discriminator: calling them, and checking that they fit each other."""

import re

import keras
import tensorflow as tf

from components.compute import fused
from components.trainer import networks

_BATCH_NORMS = keras.layers.BatchNormalization, fused.BatchNormalization
_MISFITS = (ValueError, TypeError, tf.errors.InvalidArgumentError)


class Pair:
    """A generator and a discriminator for the same data.

    Args:
      generator, discriminator: see `GANTrainer`.
      latent_dim: size of one latent vector.
      data_shape: of one datum.
      conditioning: of the discriminator: "projection", "auxiliary" or None.
      num_classes: number of classes; 0 without conditioning.

    Raises:
      ValueError: if the networks do not fit each other or the data; it names the network.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        latent_dim: int,
        data_shape: tuple[int, ...],
        conditioning: str | None,
        num_classes: int,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = latent_dim
        self.data_shape = data_shape
        self.num_classes = num_classes
        self._projects = conditioning == "projection"
        self._classifies = conditioning == "auxiliary"
        # Data of a logit, and the published weights that it computes with; a user's own network may
        # do without.
        self.pac: int = getattr(discriminator, "pac", 1)
        self.pretrained: str | None = getattr(discriminator, "pretrained", None)
        # Calling both once also creates their variables.
        self._check_discriminator(self._check_generator())

    def copy_of(self, generator: keras.Model, dtype: str | None = None) -> keras.Model:
        """A copy of a generator of this architecture; `dtype` is its new policy, None: the same."""
        copy = networks.copy(generator, dtype)
        copy(self._example_latents())
        copy.set_weights(generator.get_weights())
        return copy

    def float32_discriminator(self) -> keras.Model:
        """The discriminator if it computes in float32, else an untrained float32 copy."""
        if networks.compute_dtypes(self.discriminator) == {"float32"}:
            return self.discriminator
        copy = networks.copy(self.discriminator, "float32")
        count = 2 * self.pac
        copy(self._inputs(tf.zeros([count, *self.data_shape]), tf.zeros([count], tf.int32)))
        return copy

    def scorer(self) -> "Scorer":
        """The discriminator as it is now, in float32."""
        copy = self.float32_discriminator()
        if copy is not self.discriminator:
            copy.set_weights(self.discriminator.get_weights())
        return Scorer(copy, self._projects)

    def batch_norm_layers(self) -> list[str]:
        """Names of the discriminator's layers through which a logit depends on other data.

        A frozen one normalises with constants.
        """
        found, layers = [], [self.discriminator]
        while layers:
            layer = layers.pop()
            if isinstance(layer, _BATCH_NORMS) and layer.trainable:
                found.append(layer.name)
            layers += layer._layers
        return sorted(found)

    def _inputs(self, values: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor | list[tf.Tensor]:
        return with_labels(values, labels if self._projects else None)

    def logits(
        self, values: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Logits and class logits (None without an auxiliary classifier), in inference mode."""
        return logits_of(self.discriminator(self._inputs(values, labels), training=False))

    def _example_latents(self) -> tf.Tensor | list[tf.Tensor]:
        count = 2 * self.pac
        labels = tf.zeros([count], tf.int32) if self.num_classes else None
        return with_labels(tf.zeros([count, self.latent_dim]), labels)

    def _check_generator(self) -> tf.Tensor:
        try:
            fakes = tf.cast(self.generator(self._example_latents(), training=False), tf.float32)
        except _MISFITS as error:
            expected = "latents and labels" if self.num_classes else "latents"
            raise ValueError(
                f"networks.generator: does not take {expected} [n, {self.latent_dim}]: "
                f"{_one_line(error)}"
            ) from error
        if tuple(fakes.shape[1:]) != self.data_shape:
            raise ValueError(
                f"networks.generator: makes data of shape {list(fakes.shape[1:])}, "
                f"but the dataset has {list(self.data_shape)}"
            )
        return fakes

    def _check_discriminator(self, fakes: tf.Tensor) -> None:
        try:
            logits, classes = self.logits(fakes, tf.zeros([len(fakes)], tf.int32))
        except _MISFITS as error:
            expected = "data and labels" if self._projects else "data"
            raise ValueError(
                f"networks.discriminator: does not take {expected} {list(fakes.shape)}: "
                f"{_one_line(error)}"
            ) from error
        if logits.shape[:1] != (2,):
            raise ValueError(
                f"networks.discriminator: returns logits of shape {list(logits.shape)} for 2 "
                f"{'packs of ' if self.pac > 1 else ''}data; the first axis must be the batch"
            )
        shape = None if classes is None else list(classes.shape)
        if self._classifies and shape != [2, self.num_classes]:
            raise ValueError(
                f"networks.discriminator: conditioning.discriminator is auxiliary, which needs "
                f"class logits [n, {self.num_classes}] besides the logits; found {shape or 'none'}"
            )


class Scorer(tf.Module):
    """Scores data by a discriminator in inference mode.

    Args:
      discriminator: of single data, not of packs.
      projects: whether it takes labels.
    """

    def __init__(self, discriminator: keras.Model, projects: bool) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._projects = projects

    def __call__(self, values: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """float32 [n]: the mean of each datum's logits, [n, m] or [n, ...]."""
        inputs = with_labels(values, labels if self._projects else None)
        logits, _ = logits_of(self.discriminator(inputs, training=False))
        return tf.reduce_mean(tf.reshape(logits, [tf.shape(values)[0], -1]), axis=1)


def with_labels(values: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor | list[tf.Tensor]:
    """The inputs of a network, which is conditional if there are labels."""
    return values if labels is None else [values, labels]


def logits_of(outputs: tf.Tensor | list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Logits and class logits in float32; the latter are None without an auxiliary classifier."""
    logits, classes = outputs if isinstance(outputs, list | tuple) else (outputs, None)
    classes = None if classes is None else tf.cast(classes, tf.float32)
    return tf.cast(logits, tf.float32), classes


def _one_line(error: Exception) -> str:
    # Keras messages contain colour codes.
    return " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:300]
