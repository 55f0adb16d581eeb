"""Base classes of generators and discriminators."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components.common.registry import Registry, nearest
from components.compute import fused, hardware
from components.trainer.networks import layers, maps, spectral

GENERATORS: Registry[type["Generator"]] = Registry("generator")
DISCRIMINATORS: Registry[type["Discriminator"]] = Registry("discriminator")

# Optional features of networks; see `Network.supports`.
NORMALIZATION, SELF_ATTENTION, SPECTRAL_NORM = "normalization", "self_attention", "spectral_norm"
CONCATENATION, BATCH_NORM = "concatenation", "batch_norm"
FEATURE_RESOLUTION = "feature_resolution"
_SWITCHES = (SELF_ATTENTION, SPECTRAL_NORM)


class Network(keras.Model, abc.ABC):
    """Base class of generators and discriminators.

    Subclasses define their layers (`make_layers`), whether they take only images (`images_only`),
    their kernel initializer (`initializer`) and the optional features they support (`supports`).

    Args:
      data_shape: shape of one datum: [height, width, channels], or [columns] for vectors.
      num_classes: of a class-conditional network; 0: unconditional.
      conditioning: how the network is conditioned, default the first of `conditionings`; ignored by
        an unconditional network.
      width: filters of the largest map (in an mlp, units of the narrower hidden layer); None: the
        network's default.
      self_attention: add one self-attention block, at a map of medium size.
      spectral_norm: divide every kernel by its largest singular value.
      seed: of the initial weights; equal seeds give equal weights.
      dtype: Keras dtype policy, e.g. "float32" or "mixed_bfloat16". Weights and the network's
        output are always float32.
      special: options that only other networks have, to be refused.

    Raises:
      ValueError: for an unsupported shape or option.
    """

    # Set by each subclass: its name in the registry, and the features it supports.
    kind: str
    supports: frozenset[str] = frozenset()
    images_only = False
    # Where the hardware has bfloat16; what `precision: auto` takes.
    faster_in_bfloat16 = True
    # Set by Generator and Discriminator.
    registry: Registry
    conditionings: tuple[str, ...]

    def __init__(
        self,
        data_shape: Sequence[int],
        *,
        num_classes: int = 0,
        conditioning: str | None = None,
        width: int | None = None,
        self_attention: bool = False,
        spectral_norm: bool = False,
        seed: int = 0,
        dtype: str = "float32",
        **special: object,
    ) -> None:
        super().__init__(dtype=dtype)
        if self.compute_dtype == "bfloat16":
            hardware.share_cores()
        self.data_shape = tuple(int(size) for size in data_shape)
        self.num_classes = num_classes
        self.conditioning = conditioning or self.conditionings[0]
        self.width = width
        self.self_attention = self_attention
        self.spectral_norm = spectral_norm
        self.seed = seed
        self.check_shape(self.data_shape)
        self._refuse([*special, *(name for name in _SWITCHES if getattr(self, name))])
        self._check_options()
        self._initializers_made = 0

    @abc.abstractmethod
    def make_layers(self) -> list[keras.layers.Layer]:
        """The layers from input to output (of a discriminator: to its features, [n, d])."""

    def initializer(self) -> keras.initializers.Initializer:
        """A new kernel initializer with its own seed; default: Glorot uniform."""
        return keras.initializers.GlorotUniform(seed=self.next_seed())

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        """Raises ValueError for an unsupported shape; it names the supported ones."""
        if cls.images_only:
            maps.check_images(cls.kind, data_shape)

    @classmethod
    def check_width(cls, width: int) -> None:
        """Raises ValueError for an unsupported width; it names the supported ones."""
        if width < 1:
            raise ValueError(f"width: {width} is not a number of filters, expected 1 or more")

    def next_seed(self) -> int:
        """The seed of the next initializer."""
        self._initializers_made += 1
        return 1000 * self.seed + self._initializers_made

    def normal(self) -> keras.initializers.Initializer:
        """A new N(0, 0.02) initializer (Radford et al. 2015, arXiv:1511.06434, section 4)."""
        return keras.initializers.RandomNormal(stddev=0.02, seed=self.next_seed())

    def dense(self, units: int, **options: object) -> keras.layers.Layer:
        """A dense layer; options are those of `keras.layers.Dense`."""
        dense = spectral.Dense if self.spectral_norm else keras.layers.Dense
        return dense(units, **self._kernel_options(options))

    def conv(self, filters: int, size: int, **options: object) -> keras.layers.Layer:
        """A "same" convolution; options are those of `keras.layers.Conv2D`."""
        conv = spectral.Conv2D if self.spectral_norm else keras.layers.Conv2D
        return conv(filters, size, padding="same", **self._kernel_options(options))

    def leaky_relu(self) -> keras.layers.Layer:
        """LeakyReLU with a slope of 0.2."""
        return fused.LeakyReLU(0.2, dtype=self.dtype_policy)

    def attention(self) -> keras.layers.Layer:
        """A block of self-attention."""
        seeds = [self.next_seed() for _ in range(4)]
        return layers.SelfAttention(seeds, dtype=self.dtype_policy)

    def build(self, input_shape: object = None) -> None:
        # The first call builds the layers.
        pass

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, from which `from_config` makes an untrained copy."""
        return {
            "data_shape": self.data_shape,
            "num_classes": self.num_classes,
            "conditioning": self.conditioning,
            "width": self.width,
            "self_attention": self.self_attention,
            "seed": self.seed,
            "dtype": self.dtype_policy.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Network":
        """The network that `get_config` describes, with its initial weights."""
        return cls(**config)

    def _kernel_options(self, options: dict[str, object]) -> dict[str, object]:
        defaults = {"dtype": self.dtype_policy}
        if "kernel_initializer" not in options:
            defaults["kernel_initializer"] = self.initializer()
        return {**defaults, **options}

    def _split_labels(self, inputs: object, labelled: bool) -> tuple[tf.Tensor, tf.Tensor | None]:
        if not labelled:
            return inputs, None
        if not isinstance(inputs, list | tuple) or len(inputs) != 2:
            raise ValueError(f"{self.name} is class-conditional: call it with [inputs, labels]")
        return inputs[0], layers.labels_of(inputs[1])

    def _check_options(self) -> None:
        if self.num_classes < 0:
            raise ValueError(f"num_classes: {self.num_classes} is negative; 0 means unconditional")
        if self.num_classes and self.conditioning not in self.conditionings:
            known = nearest(self.conditioning, self.conditionings)
            raise ValueError(f"conditioning: unknown {self.conditioning!r}: {known}")
        if self.width is not None:
            self.check_width(self.width)

    def _refuse(self, options: Sequence[str]) -> None:
        """Refuses the first of `options` that the network does not have."""
        for option in (name for name in options if name not in self.supports):
            able = [n for n in self.registry.names() if option in self.registry.get(n).supports]
            if not able:
                raise TypeError(f"{type(self).__name__} has no argument {option!r}")
            raise ValueError(
                f"{option}: not supported by {self.registry.kind} {self.kind}; "
                f"use {' or '.join(able)}"
            )


class Generator(Network):
    """Latents [n, latent_dim] to data [n, *data_shape] in [-1, 1].

    With `num_classes`, call it with [latents, labels], labels int [n] in [0, num_classes), or class
    weights float [n, num_classes], which mix what classes are conditioned by; not with `given`.

    Args:
      latent_dim: size of one latent vector, drawn from N(0, I).
      data_shape, num_classes, width, self_attention, seed, dtype: as for `Network`.
      groups: of the rows of a table, the sizes of the groups of components that end the vector, in
        each of which one is chosen: see `layers.RowOutput`. The last `sum(groups)` components of
        `latent_dim` are noise for these choices.
      given: if labels ask for values of columns, the components that they ask for: see there.
      conditioning: "concatenation" of a label embedding with the latents (Mirza & Osindero 2014,
        arXiv:1411.1784), or class-conditional batch "normalization" (Miyato & Koyama 2018,
        arXiv:1802.05637, section 5).
    """

    registry = GENERATORS
    conditionings: tuple[str, ...] = (CONCATENATION, NORMALIZATION)

    def __init__(
        self,
        latent_dim: int,
        data_shape: Sequence[int],
        *,
        groups: Sequence[int] = (),
        given: Sequence[int] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.groups, self.given = tuple(groups), tuple(given)
        super().__init__(data_shape, **options)
        self.latent_dim = latent_dim
        self.row_output = layers.RowOutput(self.groups, self.given) if self.groups else None
        self.body = layers.Stack(self.make_layers(), dtype=self.dtype_policy)
        if self.num_classes and not self._normalises_by_class:
            spread = keras.initializers.RandomNormal(0.0, self.label_spread(), self.next_seed())
            self.embedding = keras.layers.Dense(
                latent_dim - sum(self.groups),
                use_bias=False,
                kernel_initializer=spread,
                dtype=self.dtype_policy,
            )

    def label_spread(self) -> float:
        """The initial standard deviation of a label's embedding; default: that of the latents."""
        return 1.0

    def batch_norm(self) -> keras.layers.Layer:
        """Batch normalisation; class-conditional if `conditioning` is "normalization"."""
        if self._normalises_by_class:
            return layers.ConditionalBatchNormalization(self.num_classes, dtype=self.dtype_policy)
        return fused.BatchNormalization(dtype=self.dtype_policy)

    def call(self, inputs: tf.Tensor | list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """float32 data [n, *data_shape] from latents, or from [latents, labels]."""
        latents, labels = self._split_labels(inputs, bool(self.num_classes))
        noise = None
        if self.groups:
            latents, noise = tf.split(latents, [-1, sum(self.groups)], axis=-1)
        if labels is not None and not self._normalises_by_class:
            embedded = self.embedding(layers.class_weights(labels, self.num_classes))
            latents = tf.concat([tf.cast(latents, embedded.dtype), embedded], axis=-1)
        made = self.body(latents, labels=labels, training=training)
        return self.row_output(made, noise, labels) if self.row_output else made

    def get_config(self) -> dict[str, Any]:
        of_rows = {"groups": self.groups, "given": self.given} if self.groups else {}
        return {"latent_dim": self.latent_dim, **of_rows, **super().get_config()}

    @property
    def _normalises_by_class(self) -> bool:
        return bool(self.num_classes) and self.conditioning == NORMALIZATION

    def _check_options(self) -> None:
        super()._check_options()
        if self._normalises_by_class and NORMALIZATION not in self.supports:
            raise ValueError(
                f"conditioning.generator: {self.kind} has no normalisation layers; "
                "use concatenation"
            )
        if self.groups and self.images_only:
            raise ValueError(f"groups: {self.kind} makes images; use mlp for rows")


class Discriminator(Network):
    """Data [n, *data_shape] in [-1, 1] to float32 logits [n, 1], positive for data that look real.

    The subclass's layers end in features [n, d], from which a dense head computes the logit.

    Args:
      data_shape, num_classes, width, self_attention, seed, dtype: as for `Network`.
      conditioning: "projection": call it with [data, labels], labels int [n]; the inner product of
        the features and an embedding of the label is added to the logit (Miyato & Koyama 2018,
        arXiv:1802.05637, section 3). "auxiliary": call it with data; it returns [logits, class
        logits [n, num_classes]] (Odena et al. 2017, arXiv:1610.09585).
      spectral_norm: divide every kernel by its largest singular value; see `spectral.SpectralNorm`.
      pac: how many data in a row are judged together: a logit for each pack, whose data are joined
        along the last axis (Lin et al. 2018, PacGAN, arXiv:1712.04086, section 3).
    """

    registry = DISCRIMINATORS
    conditionings = ("projection", "auxiliary")
    # Whether the inner product is the logit, to which no head adds.
    only_projects = False
    # The name of the published weights it computes with, whose features judge no pupil of it.
    pretrained: str | None = None

    def __init__(self, data_shape: Sequence[int], *, pac: int = 1, **options: Any) -> None:  # noqa: ANN401
        self.pac = pac
        super().__init__(data_shape, **options)
        self.body = layers.Stack(self.make_layers(), dtype=self.dtype_policy)
        self.head = None if self.projects and self.only_projects else self.make_head(1)
        if self.projects:
            # Column c of its kernel embeds class c.
            self.projection = self.make_projection()
        elif self.num_classes:
            self.class_head = self.make_head(self.num_classes)

    def make_head(self, units: int) -> keras.layers.Layer:
        """A dense layer on the features, in float32."""
        return self.dense(units, dtype="float32")

    def make_projection(self) -> keras.layers.Layer:
        """A dense layer from the features to their products with each class, in float32."""
        return self.dense(self.num_classes, use_bias=False, dtype="float32")

    def call(
        self, inputs: tf.Tensor | list[tf.Tensor], training: bool = False
    ) -> tf.Tensor | list[tf.Tensor]:
        """Logits [n, 1] for data or [data, labels]; with an auxiliary head, class logits too."""
        data, labels = self._split_labels(inputs, self.projects)
        features = self.body(layers.packed(data, self.pac), training=training)
        logits = self.head(features, training=training) if self.head else 0.0
        if self.projects:
            products = self.projection(features, training=training)
            packs = tf.reshape(
                tf.one_hot(labels, self.num_classes), [-1, self.pac, self.num_classes]
            )
            chosen = products * tf.reduce_sum(packs, axis=1)
            return logits + tf.reduce_sum(chosen, axis=-1, keepdims=True)
        if self.num_classes:
            return [logits, self.class_head(features, training=training)]
        return logits

    def get_config(self) -> dict[str, Any]:
        pac = {"pac": self.pac} if self.pac > 1 else {}
        return {**super().get_config(), "spectral_norm": self.spectral_norm, **pac}

    def _check_options(self) -> None:
        super()._check_options()
        if self.pac > 1 and self.num_classes and not self.projects:
            raise ValueError(
                f"conditioning.discriminator: {self.conditioning} tells the class of each datum, "
                f"but networks.pac judges {self.pac} together; use projection"
            )

    @property
    def projects(self) -> bool:
        """Whether it is conditioned by projection."""
        return bool(self.num_classes) and self.conditioning == "projection"
