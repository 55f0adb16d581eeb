"""Adversarial losses: pairs of pure functions of logits.

r and f are the discriminator's logits on real and on fake images, of any shape (a patch
discriminator returns [n, h, w, 1]); every loss is the float32 mean over all of them.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from components.registry import Registry

LogitsLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Loss:
    """The two sides of a game; both take (real_logits, fake_logits) and return a float32 scalar.

    Attributes:
      discriminator: what the discriminator minimises.
      generator: what the generator minimises.
    """

    discriminator: LogitsLoss
    generator: LogitsLoss


LOSSES: Registry[Loss] = Registry("loss")
get = LOSSES.get


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(values, tf.float32))


def _float(logits: tf.Tensor) -> tf.Tensor:
    # Half-precision logits overflow in exponentials and squares.
    return tf.cast(logits, tf.float32)


def non_saturating_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean softplus(-r) + softplus(f). Goodfellow et al. 2014, arXiv:1406.2661, eq. 1."""
    return _mean(tf.nn.softplus(-_float(real))) + _mean(tf.nn.softplus(_float(fake)))


def non_saturating_generator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean softplus(-f). Goodfellow et al. 2014, arXiv:1406.2661, section 3."""
    del real
    return _mean(tf.nn.softplus(-_float(fake)))


def least_squares_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean (r-1)²/2 + f²/2. Mao et al. 2017, arXiv:1611.04076, eq. 9."""
    return 0.5 * (_mean(tf.square(_float(real) - 1.0)) + _mean(tf.square(_float(fake))))


def least_squares_generator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean (f-1)²/2. Mao et al. 2017, arXiv:1611.04076, eq. 9."""
    del real
    return 0.5 * _mean(tf.square(_float(fake) - 1.0))


LOSSES.register("non_saturating")(
    Loss(non_saturating_discriminator_loss, non_saturating_generator_loss)
)
LOSSES.register("least_squares")(
    Loss(least_squares_discriminator_loss, least_squares_generator_loss)
)
