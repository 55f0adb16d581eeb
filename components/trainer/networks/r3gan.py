"""R3GAN's networks (Huang et al. 2024, arXiv:2501.05441, section 3 and appendix).

Residual networks without normalisation. Blocks have 1×1, grouped 3×3 and 1×1 convolutions, twice
as wide inside, with LeakyReLU(0.2). The last convolution of a block is initialised to 0, the others
to He-normal over L^(1/4) for the L blocks of the network (Fixup initialisation, Zhang et al. 2019,
arXiv:1901.09321, for blocks of three convolutions). Resampling filters maps by [1, 3, 3, 1].

With equal weights, they compute what the authors' code does (brownvc/R3GAN, commit 19a7ddf), except
that the generator ends in tanh, as our data are in [-1, 1]; that the smallest map need not be 4×4,
as sides need not be powers of 2; and that in mixed precision it alone is in float32, where the
authors' 256×256 networks keep float32 up to 16×16. The paper's networks have 768 filters at maps up
to 32×32; the default here is 128, which a CPU can train.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components.compute import fused
from components.trainer.networks import base, layers, maps

_WIDTH = 128
_BLOCKS = 2
_EXPANSION = 2
_GROUP_SIZE = 16
_LEAKY_GAIN = math.sqrt(2 / (1 + 0.2**2))


@dataclasses.dataclass(frozen=True)
class _Stage:
    """The map of one resolution: its size, filters, residual blocks, and groups within them."""

    height: int
    width: int
    filters: int
    blocks: int
    groups: int
    dtype: keras.DTypePolicy


class _R3Network(base.Network):
    """What both networks are made of.

    Args:
      width_per_stage: filters of each map, from the smallest map to the largest; None: `width` at
        the largest, doubled with each halving above 32×32.
      blocks_per_stage: residual blocks of each map, likewise; None: 2.
      cardinality_per_stage: groups of each map's 3×3 convolutions, likewise; None: 16 filters each.
      expansion_factor: filters inside a block over those of the map.
      options: as for `Network`.
    """

    kind = "r3gan"
    images_only = True
    supports = frozenset(
        {"width_per_stage", "blocks_per_stage", "cardinality_per_stage", "expansion_factor"}
    )
    # Most of its step is two penalties in float32: bfloat16 gains 6 to 8 %, and is not shown to be
    # as good.
    faster_in_bfloat16 = False

    def __init__(
        self,
        *sizes: Any,  # noqa: ANN401
        width_per_stage: Sequence[int] | None = None,
        blocks_per_stage: Sequence[int] | None = None,
        cardinality_per_stage: Sequence[int] | None = None,
        expansion_factor: int = _EXPANSION,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.per_stage = {
            "width_per_stage": width_per_stage,
            "blocks_per_stage": blocks_per_stage,
            "cardinality_per_stage": cardinality_per_stage,
        }
        self.expansion_factor = expansion_factor
        super().__init__(*sizes, **options)

    def initializer(self) -> keras.initializers.Initializer:
        """N(0, 1 / fan_in), for layers that no LeakyReLU follows."""
        return self.scaled_normal(1.0)

    def scaled_normal(self, gain: float) -> keras.initializers.Initializer:
        """N(0, gain² / fan_in)."""
        return keras.initializers.VarianceScaling(
            gain**2, "fan_in", "untruncated_normal", seed=self.next_seed()
        )

    def get_config(self) -> dict[str, Any]:
        stages = {"expansion_factor": self.expansion_factor, **self.per_stage}
        return {**super().get_config(), **stages}

    def stages(self) -> list[_Stage]:
        """From the smallest map to the largest.

        Raises:
          ValueError: for numbers per stage that do not fit the maps or each other.
        """
        height, width, _ = self.data_shape
        halvings = maps.halvings(self.data_shape, smallest=4)
        sizes = [(height >> level, width >> level) for level in reversed(range(halvings + 1))]
        for name, values in self.per_stage.items():
            if values is not None and len(values) != len(sizes):
                names = ", ".join(f"{rows}x{columns}" for rows, columns in sizes)
                raise ValueError(
                    f"{name}: {len(values)} numbers, but images of {height}x{width} have "
                    f"{len(sizes)} maps: {names}"
                )
            if values is not None and min(values) < 1:
                raise ValueError(f"{name}: {min(values)}, expected 1 or more")
        doubling = maps.filters(self.data_shape, halvings + 1, self.width or _WIDTH)
        filters = self.per_stage["width_per_stage"] or doubling[::-1]
        blocks = self.per_stage["blocks_per_stage"] or [_BLOCKS] * len(sizes)
        groups = self.per_stage["cardinality_per_stage"] or [
            self._default_groups(count) for count in filters
        ]
        for count, cardinality in zip(filters, groups, strict=True):
            if count * self.expansion_factor % cardinality:
                raise ValueError(
                    f"cardinality_per_stage: {cardinality} does not divide the "
                    f"{count * self.expansion_factor} filters of a block"
                )
        dtypes = [keras.DTypePolicy("float32")] + [self.dtype_policy] * halvings
        return [
            _Stage(*size, *numbers)
            for size, *numbers in zip(sizes, filters, blocks, groups, dtypes, strict=True)
        ]

    def blocks(self, stage: _Stage) -> list[keras.layers.Layer]:
        """The residual blocks of one map."""
        gain = _LEAKY_GAIN * sum(each.blocks for each in self.stages()) ** -0.25
        inner, dtype = self.expansion_factor * stage.filters, stage.dtype

        def block() -> keras.layers.Layer:
            grouped = layers.GroupedConv2D(
                inner,
                3,
                padding="same",
                groups=stage.groups,
                kernel_initializer=self.scaled_normal(gain),
                dtype=dtype,
            )
            main = [
                self.conv(inner, 1, kernel_initializer=self.scaled_normal(gain), dtype=dtype),
                fused.LeakyReLU(0.2, dtype=dtype),
                grouped,
                fused.LeakyReLU(0.2, dtype=dtype),
                self.conv(
                    stage.filters, 1, use_bias=False, kernel_initializer="zeros", dtype=dtype
                ),
            ]
            return layers.Residual(main, dtype=dtype)

        return [block() for _ in range(stage.blocks)]

    def transition(self, before: _Stage, after: _Stage) -> list[keras.layers.Layer]:
        """A 1×1 convolution, if the number of filters changes."""
        if before.filters == after.filters:
            return []
        return [self.conv(after.filters, 1, use_bias=False)]

    def _check_options(self) -> None:
        super()._check_options()
        if self.expansion_factor < 1:
            raise ValueError(f"expansion_factor: {self.expansion_factor}, expected 1 or more")
        if self.width is not None and self.per_stage["width_per_stage"] is not None:
            raise ValueError("width: does not go with width_per_stage; remove one of them")
        self.stages()

    def _default_groups(self, filters: int) -> int:
        inner = filters * self.expansion_factor
        if inner % _GROUP_SIZE:
            key = "width" if self.per_stage["width_per_stage"] is None else "width_per_stage"
            multiple = _GROUP_SIZE // math.gcd(_GROUP_SIZE, self.expansion_factor)
            raise ValueError(
                f"{key}: {filters}, expected a multiple of {multiple} for r3gan without "
                "cardinality_per_stage"
            )
        return inner // _GROUP_SIZE


@base.GENERATORS.register("r3gan")
class R3GANGenerator(_R3Network, base.Generator):
    """A learned smallest map, modulated by the latents; residual blocks per map; 1×1, tanh."""

    def label_spread(self) -> float:
        """That of a linear layer of one-hot labels with fan-in scaling, as the authors'."""
        return self.num_classes**-0.5

    def make_layers(self) -> list[keras.layers.Layer]:
        smallest, *larger = stages = self.stages()
        shape = (smallest.height, smallest.width, smallest.filters)
        stack = [
            self.dense(smallest.filters, use_bias=False, dtype=smallest.dtype),
            GenerativeBasis(shape, seed=self.next_seed(), dtype=smallest.dtype),
            *self.blocks(smallest),
        ]
        for before, stage in zip(stages, larger, strict=False):
            stack += [
                *self.transition(before, stage),
                layers.BlurUpsample(dtype=self.dtype_policy),
                *self.blocks(stage),
            ]
        return [
            *stack,
            self.conv(self.data_shape[-1], 1, use_bias=False),
            keras.layers.Activation("tanh", dtype="float32"),
        ]


@base.DISCRIMINATORS.register("r3gan")
class R3GANDiscriminator(_R3Network, base.Discriminator):
    """1×1, residual blocks per map, `DiscriminativeBasis` over the smallest; head without bias.

    Of a conditional one the logit is the inner product of the features, after a linear layer, with
    the class's embedding. Has no spectral normalisation, which is undefined for kernels that are
    initialised to 0.
    """

    only_projects = True

    def make_head(self, units: int) -> keras.layers.Layer:
        return self.dense(units, use_bias=False, dtype="float32")

    def make_projection(self) -> keras.layers.Layer:
        # Embeddings of d features: as the authors', N(0, 1 / (d num_classes)).
        gain = self.num_classes**-0.5
        initializer = self.scaled_normal(gain)
        return self.dense(
            self.num_classes, use_bias=False, kernel_initializer=initializer, dtype="float32"
        )

    def make_layers(self) -> list[keras.layers.Layer]:
        *larger, smallest = stages = self.stages()[::-1]
        stack = [self.conv(stages[0].filters, 1, use_bias=False)]
        for stage, after in zip(larger, stages[1:], strict=True):
            stack += [
                *self.blocks(stage),
                layers.BlurDownsample(dtype=self.dtype_policy),
                *self.transition(stage, after),
            ]
        shape = (smallest.height, smallest.width, smallest.filters)
        summary = DiscriminativeBasis(shape, seed=self.next_seed(), dtype=smallest.dtype)
        embedded = [self.make_head(smallest.filters)] if self.projects else []
        return [*stack, *self.blocks(smallest), summary, *embedded]


class GenerativeBasis(keras.layers.Layer):
    """A learned map [height, width, channels], whose channels are scaled by the input.

    Args:
      shape: of the map.
      seed: of its initial values from N(0, 1).
    """

    def __init__(self, shape: Sequence[int], seed: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.seed = seed

    def build(self, input_shape: Sequence[int | None]) -> None:
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.basis = self.add_weight(shape=self.shape, initializer=initializer, name="basis")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, channels] to [n, height, width, channels]."""
        return inputs[:, tf.newaxis, tf.newaxis, :] * tf.convert_to_tensor(self.basis)


class DiscriminativeBasis(keras.layers.Layer):
    """The inner product of each channel with a learned map.

    The paper's depthwise convolution by a kernel of the map's size, which TensorFlow 2.16 ends in a
    crash for 15×15 maps on a CPU.

    Args:
      shape: [height, width, channels] of the learned map.
      seed: of its initial values from N(0, 1 / (height width)).
    """

    def __init__(self, shape: Sequence[int], seed: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.seed = seed

    def build(self, input_shape: Sequence[int | None]) -> None:
        height, width, _ = self.shape
        initializer = keras.initializers.RandomNormal(0.0, (height * width) ** -0.5, seed=self.seed)
        self.basis = self.add_weight(shape=self.shape, initializer=initializer, name="basis")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] to [n, channels]."""
        return tf.reduce_sum(inputs * tf.convert_to_tensor(self.basis), [1, 2])
