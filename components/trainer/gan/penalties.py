"""Penalties that are added to the discriminator's loss.

Those of slopes use the gradient of D with respect to the data; for a patch discriminator, of the
sum of its logits. Norms are over all axes but the first, in float32, because squared gradients
overflow in half precision.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

import tensorflow as tf
from pydantic import Field

from components.common.config import Config, name_in, validate
from components.common.registry import Registry
from components.trainer.devices import mean_over_replicas
from components.trainer.gan.augmentation import AUGMENTATIONS, Augmentation, check_images
from components.trainer.gan.rng import StatelessRng

# Of data, or with `augmented=True` of what the augmentation has made of them.
Score = Callable[..., tf.Tensor]
Slopes = Callable[[], tf.Tensor]

# Keeps the gradient of the square root finite if the discriminator is flat.
_EPSILON = 1e-12


class PenaltyBatch(NamedTuple):
    """The input of a penalty.

    Attributes:
      real: float32 data [n, ...] in [-1, 1].
      fake: float32 data of the same shape; no gradient flows to the generator.
      real_logits, fake_logits: the discriminator's logits for the augmented data.
      real_slopes, fake_slopes: compute the gradient of the sum of these logits with respect to the
        data, of the data's shape and dtype. They differentiate what the loss has computed already,
        so a penalty that needs no other data costs no forward pass.
      real_augmented, fake_augmented: the data that these logits are of; without an augmentation,
        `real` and `fake`.
    """

    real: tf.Tensor
    fake: tf.Tensor
    real_logits: tf.Tensor
    fake_logits: tf.Tensor
    real_slopes: Slopes
    fake_slopes: Slopes
    real_augmented: tf.Tensor
    fake_augmented: tf.Tensor

    def rescored(self, score: Score) -> "PenaltyBatch":
        """With the slopes of another discriminator, which are computed when they are asked for."""
        return self._replace(
            real_slopes=lambda: scored(score, self.real)[1](),
            fake_slopes=lambda: scored(score, self.fake)[1](),
        )


class Penalty(tf.Module, abc.ABC):
    """A term of the discriminator's loss, without its weight.

    A penalty's variables are its state, which is checkpointed; make penalties in the strategy's
    scope.

    Args:
      options: an instance of the class's `Options`; default: all defaults.

    Attributes:
      default_weight: the paper's weight.
      per_example: whether it assumes that a logit depends on its own data alone, which batch
        normalisation breaks.
      differentiates: whether it is made of slopes, which half precision rounds.
    """

    class Options(Config):
        """Options that a recipe can set."""

    default_weight: ClassVar[float]
    per_example: ClassVar[bool] = False
    differentiates: ClassVar[bool] = True

    def __init__(self, options: Config | None = None) -> None:
        super().__init__()
        self.options: Any = options or self.Options()

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        """Raises ValueError for data to which the penalty does not apply."""

    @abc.abstractmethod
    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        """The mean penalty of a batch, a float32 scalar; call it in a replica context.

        Args:
          score: the discriminator for other data: augments float32 data [n, ...], unless they are
            `augmented` already, and maps them to logits; updates no state.
          batch: the data, the logits that enter the loss, and their slopes.
          rng: random numbers of the step.
        """


PENALTIES: Registry[type[Penalty]] = Registry("penalty")


def make(name: str, **options: Any) -> Penalty:  # noqa: ANN401
    """Makes a penalty.

    Args:
      name: one of `PENALTIES.names()`.
      **options: fields of the penalty's `Options`.

    Raises:
      ValueError: for an unknown name or option, and for a value that is out of range.

    D(x) = 3 x has a slope of 3 everywhere, so R1 is 3²/2:

    >>> x = tf.ones([4, 1])
    >>> batch = PenaltyBatch(x, x, 3 * x, 3 * x, lambda: 3 * x, lambda: 3 * x, x, x)
    >>> float(make("r1")(lambda x: 3 * x, batch, StatelessRng(seed=0, step=0)))
    4.5
    """
    return PENALTIES.get(name)(check(name, **options))


def check(name: str, **options: Any) -> Config:  # noqa: ANN401
    """The `Options` of the penalty called `name`; raises as `make`, but creates no variables."""
    try:
        return validate(PENALTIES.get(name).Options, options)
    except ValueError as error:
        raise ValueError(f"penalty {name!r}: {error}") from error


def scored(score: Score, data: tf.Tensor) -> tuple[tf.Tensor, Slopes]:
    """The logits of data, and what computes the gradient of their sum; see `PenaltyBatch`."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(data)
        logits = score(data)
        total = tf.reduce_sum(tf.cast(logits, tf.float32))
    return logits, lambda: tape.gradient(total, data)


def _squared_norms(slopes: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """||∇D||² at each datum or pack of data, [n]; differentiable with respect to D's weights."""
    flat = tf.reshape(tf.cast(slopes, tf.float32), [tf.shape(logits)[0], -1])
    return tf.reduce_sum(tf.square(flat), axis=1)


def _norms_at(score: Score, data: tf.Tensor) -> tf.Tensor:
    """||∇D|| at each datum or pack, [n]."""
    logits, slopes = scored(score, data)
    return tf.sqrt(_squared_norms(slopes(), logits) + _EPSILON)


def _one_per_logit(rng: StatelessRng, batch: PenaltyBatch) -> tf.Tensor:
    """U(0, 1) numbers that broadcast to the data, [n, 1, ...]; the same for those of a pack."""
    data, packs = batch.real, batch.real_logits.shape[0]
    shares = rng.uniform(packs, *[1] * (len(data.shape) - 1))
    return tf.repeat(shares, data.shape[0] // packs, axis=0)


@PENALTIES.register("gradient_penalty")
class GradientPenalty(Penalty):
    """Mean (||∇D(x)|| - target)² between real and fake: x = α real + (1 - α) fake, α ~ U(0, 1).

    Gulrajani et al. 2017 (WGAN-GP), arXiv:1704.00028, algorithm 1. If one-sided, only slopes above
    the target are penalised: Petzka et al. 2018 (WGAN-LP), arXiv:1709.08894, eq. 8.
    """

    class Options(Config):
        """Options of the gradient penalty."""

        target: float = Field(1.0, ge=0, description="slope without a penalty")
        one_sided: bool = Field(False, description="do not penalise slopes below the target")

    default_weight = 10.0
    per_example = True

    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        alpha = _one_per_logit(rng, batch)
        between = alpha * batch.real + (1.0 - alpha) * batch.fake
        excess = _norms_at(score, between) - self.options.target
        if self.options.one_sided:
            excess = tf.nn.relu(excess)
        return tf.reduce_mean(tf.square(excess))


@PENALTIES.register("r1")
class R1(Penalty):
    """Mean ||∇D||²/2 on real data. Mescheder et al. 2018, arXiv:1801.04406, eq. 9.

    The best weight (γ) depends on the data and on the discriminator.
    """

    default_weight = 1.0

    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        return 0.5 * tf.reduce_mean(_squared_norms(batch.real_slopes(), batch.real_logits))


@PENALTIES.register("r2")
class R2(Penalty):
    """Mean ||∇D||²/2 on fake data. Mescheder et al. 2018, arXiv:1801.04406, eq. 10."""

    default_weight = 1.0

    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        return 0.5 * tf.reduce_mean(_squared_norms(batch.fake_slopes(), batch.fake_logits))


@PENALTIES.register("dragan")
class DRAGAN(Penalty):
    """Mean (||∇D(x)|| - 1)² around real data: x = real + α noise_scale std(real) u.

    α ~ U(0, 1) is drawn per datum, u ~ U(0, 1) per pixel; the standard deviation is over all pixels
    of the global batch. Kodali et al. 2017, arXiv:1705.07215, section 2.3 and the authors' code.
    """

    class Options(Config):
        """Options of DRAGAN."""

        noise_scale: float = Field(0.5, gt=0, description="noise scale in standard deviations")

    default_weight = 10.0
    per_example = True

    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        real = batch.real
        mean = mean_over_replicas(tf.reduce_mean(real))
        deviation = tf.sqrt(mean_over_replicas(tf.reduce_mean(tf.square(real - mean))))
        noise = self.options.noise_scale * deviation * rng.uniform(*real.shape)
        around = real + _one_per_logit(rng, batch) * noise
        return tf.reduce_mean(tf.square(_norms_at(score, around) - 1.0))


@PENALTIES.register("lecam")
class LeCam(Penalty):
    """Mean relu(r - a_F)² + relu(a_R - f)², for small datasets, once the discriminator has learnt.

    a_R and a_F are moving averages of the logits r on real and f on fake data, over global batches
    from step `start_step` up to and including this one. The penalty is 0 up to that step. Tseng et
    al. 2021, arXiv:2104.03310, section 3.2; relu, weight and start as in the authors' code for
    CIFAR-10, decay as in that for StyleGAN2.
    """

    class Options(Config):
        """Options of LeCam."""

        decay: float = Field(0.99, ge=0, lt=1, description="decay of the moving averages per batch")
        start_step: int = Field(
            1000, ge=0, description="the step, from 0, after which there is a penalty"
        )

    default_weight = 0.3
    differentiates = False

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.average_real = self._state(0.0)
        self.average_fake = self._state(0.0)
        self.started = self._state(False)

    @staticmethod
    def _state(value: float | bool) -> tf.Variable:
        # All replicas assign the same value, so any one will do.
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return tf.Variable(value, trainable=False, aggregation=aggregation)

    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        real_logits = tf.cast(batch.real_logits, tf.float32)
        fake_logits = tf.cast(batch.fake_logits, tf.float32)
        looks_back = self.started & (rng.step >= self.options.start_step)
        average_real = self._averaged(self.average_real, real_logits, looks_back)
        average_fake = self._averaged(self.average_fake, fake_logits, looks_back)
        self.started.assign(True)
        penalty = tf.reduce_mean(tf.square(tf.nn.relu(real_logits - average_fake)))
        penalty += tf.reduce_mean(tf.square(tf.nn.relu(average_real - fake_logits)))
        return tf.where(rng.step > self.options.start_step, penalty, 0.0)

    def _averaged(
        self, average: tf.Variable, logits: tf.Tensor, looks_back: tf.Tensor
    ) -> tf.Tensor:
        """Updates the average with this batch, and returns it."""
        mean = mean_over_replicas(tf.stop_gradient(tf.reduce_mean(logits)))
        moved = self.options.decay * average + (1.0 - self.options.decay) * mean
        value = tf.where(looks_back, moved, mean)
        average.assign(value)
        return value


@PENALTIES.register("bcr")
class BalancedConsistency(Penalty):
    """Mean (D(T(x)) - D(x))² over real data, plus that over fake data; T are random transforms.

    Zhao et al. 2020, arXiv:2002.04724, algorithm 1 (bCR); weights and transforms, flips and shifts,
    are the paper's. T comes on top of the augmentation, if there is one, as where the authors of
    ADA compare both (NVlabs/stylegan2-ada, training/loss.py).
    """

    class Options(Config):
        """Options of balanced consistency."""

        transforms: tuple[Annotated[str, name_in(AUGMENTATIONS)], ...] = Field(
            ("flip", "translation"),
            min_length=1,
            description="transforms of images after which the logit should be the same",
        )

    default_weight = 10.0
    differentiates = False

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._transforms = Augmentation(self.options.transforms)

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        """Raises ValueError if the data are not images."""
        check_images("penalties: bcr", data_shape)

    def __call__(self, score: Score, batch: PenaltyBatch, rng: StatelessRng) -> tf.Tensor:
        pairs = (
            (batch.real_augmented, batch.real_logits),
            (batch.fake_augmented, batch.fake_logits),
        )
        return tf.add_n(
            [
                tf.reduce_mean(
                    tf.math.squared_difference(
                        tf.cast(
                            score(self._transforms(data, 1.0, rng), augmented=True), tf.float32
                        ),
                        tf.cast(logits, tf.float32),
                    )
                )
                for data, logits in pairs
            ]
        )
