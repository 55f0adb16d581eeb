"""Adversarial losses: pairs of pure functions of logits.

r and f are the discriminator's logits for real and fake images, of any shape (a patch discriminator
returns [n, h, w, 1]); every loss is a float32 mean over all of them.
"""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from components.common.registry import Registry
from components.trainer.devices import all_gather, mean_over_replicas

LogitsLoss = Callable[..., tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Loss:
    """The losses of both players, functions of (real_logits, fake_logits) to a float32 scalar.

    Attributes:
      discriminator: what the discriminator minimises.
      generator: what the generator minimises; unless relativistic, it takes `weights` of mean 1
        that are multiplied with the loss of each logit.
      has_labels: whether the discriminator's loss has labels that can be smoothed; it then takes
        `label_smoothing`.
      relativistic: whether the generator's loss depends on the real logits.
      has_sign: whether logits above 0 mean "real".
    """

    discriminator: LogitsLoss
    generator: LogitsLoss
    has_labels: bool = False
    relativistic: bool = False
    has_sign: bool = False


LOSSES: Registry[Loss] = Registry("loss")


def get(name: str, label_smoothing: float = 0.0) -> Loss:
    """The loss called `name`.

    Args:
      name: one of `LOSSES.names()`.
      label_smoothing: in [0, 1): real images are labelled 1 - label_smoothing / 2, as in Keras,
        and fake ones 0 (one-sided; Salimans et al. 2016, arXiv:1606.03498, section 3.4).

    Raises:
      ValueError: for an unknown name, for smoothing out of range, and for smoothing with a loss
        that has no labels.

    >>> loss = get("hinge")
    >>> float(loss.discriminator(tf.constant([2.0, 0.5]), tf.constant([-1.0, -1.0])))
    0.25
    """
    loss = LOSSES.get(name)
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing: {label_smoothing}, expected 0 or more and less than 1")
    if not label_smoothing:
        return loss
    if not loss.has_labels:
        labelled = [other for other in LOSSES.names() if LOSSES.get(other).has_labels]
        raise ValueError(
            f"label_smoothing: the loss {name!r} has no labels to smooth; set it to 0, or use one "
            f"of {', '.join(labelled)}"
        )
    smoothed = functools.partial(loss.discriminator, label_smoothing=label_smoothing)
    return dataclasses.replace(loss, discriminator=smoothed)


def check_top_k(name: str, option: str) -> None:
    """Raises ValueError, naming `option`, if the generator's loss is not a mean over its fakes."""
    if LOSSES.get(name).relativistic:
        others = [other for other in LOSSES.names() if not LOSSES.get(other).relativistic]
        raise ValueError(
            f"{option}: the loss {name!r} compares each fake with real data, so there is no "
            f"part of it to leave out; remove it, or use one of {', '.join(others)}"
        )


def top_weights(logits: tf.Tensor, share: float | tf.Tensor) -> tf.Tensor:
    """Weights that leave only the highest of the logits of fakes, of mean 1 over the global batch.

    Top-k training, Sinha et al. 2020, arXiv:2002.06224: the samples that look least real to the
    discriminator do not move the generator.

    Args:
      logits: [n, ...]; those of a patch discriminator are averaged for each datum.
      share: of the global batch that is left, in (0, 1]; rounded down, at least one.

    Returns:
      float32 [n, 1, ...], with as many axes as `logits`; call it in a replica context.

    >>> top_weights(tf.constant([[3.0], [1.0], [2.0], [0.0]]), 0.5)[:, 0].numpy().tolist()
    [2.0, 0.0, 2.0, 0.0]
    """
    axes = tuple(range(1, logits.shape.rank))
    scores = tf.stop_gradient(tf.reduce_mean(_float(logits), axis=axes))
    everyone = all_gather(scores)
    # A product such as 0.7 · 10 may be rounded to less than a whole number.
    count = tf.cast(share * tf.cast(tf.size(everyone), tf.float32) + 1e-3, tf.int32)
    lowest = tf.gather(tf.sort(everyone, direction="DESCENDING"), tf.maximum(count, 1) - 1)
    kept = tf.cast(everyone >= lowest, tf.float32)
    weights = tf.cast(scores >= lowest, tf.float32) / tf.reduce_mean(kept)
    return tf.reshape(weights, [-1] + [1] * len(axes))


def check_sign(name: str, option: str) -> None:
    """Raises ValueError, naming `option`, if the sign of the loss's logits has no meaning."""
    if not LOSSES.get(name).has_sign:
        signed = [other for other in LOSSES.names() if LOSSES.get(other).has_sign]
        raise ValueError(
            f"{option}: with the loss {name!r} the sign of a logit does not mean real or fake; "
            f"remove it, or use one of {', '.join(signed)}"
        )


def discriminator_accuracy(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Share of the pairs (real_i, fake_i) that are ranked correctly; ties count one half."""
    return 0.5 + 0.5 * tf.reduce_mean(tf.sign(real_logits - fake_logits))


def _mean(values: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    values = tf.cast(values, tf.float32)
    return tf.reduce_mean(values if weights is None else weights * values)


def _float(logits: tf.Tensor) -> tf.Tensor:
    # Exponentials and squares of half-precision logits would overflow.
    return tf.cast(logits, tf.float32)


def non_saturating_discriminator_loss(
    real: tf.Tensor, fake: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Mean softplus(-r) + softplus(f), the cross-entropy with labels 1 and 0.

    Goodfellow et al. 2014, arXiv:1406.2661, eq. 1. A label t adds (1 - t) r.

    >>> round(float(non_saturating_discriminator_loss(tf.zeros(2), tf.zeros(2))), 4)  # 2 ln 2
    1.3863
    """
    real, fake = _float(real), _float(fake)
    smoothing = 0.5 * label_smoothing * _mean(real)
    return _mean(tf.nn.softplus(-real)) + smoothing + _mean(tf.nn.softplus(fake))


def non_saturating_generator_loss(
    real: tf.Tensor, fake: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean softplus(-f). Goodfellow et al. 2014, arXiv:1406.2661, section 3."""
    del real
    return _mean(tf.nn.softplus(-_float(fake)), weights)


def minimax_generator_loss(
    real: tf.Tensor, fake: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean -softplus(f): the discriminator's term, negated.

    Goodfellow et al. 2014, arXiv:1406.2661, eq. 1. Vanishes where the discriminator is confident.
    """
    del real
    return -_mean(tf.nn.softplus(_float(fake)), weights)


def least_squares_discriminator_loss(
    real: tf.Tensor, fake: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Mean (r-1)²/2 + f²/2. Mao et al. 2017, arXiv:1611.04076, eq. 9.

    >>> float(least_squares_discriminator_loss(tf.constant([1.0]), tf.constant([2.0])))
    2.0
    """
    label = 1.0 - 0.5 * label_smoothing
    return 0.5 * (_mean(tf.square(_float(real) - label)) + _mean(tf.square(_float(fake))))


def least_squares_generator_loss(
    real: tf.Tensor, fake: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean (f-1)²/2. Mao et al. 2017, arXiv:1611.04076, eq. 9."""
    del real
    return 0.5 * _mean(tf.square(_float(fake) - 1.0), weights)


def wasserstein_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean f - r. Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1."""
    return _mean(_float(fake)) - _mean(_float(real))


def wasserstein_generator_loss(
    real: tf.Tensor, fake: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean -f. Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1."""
    del real
    return -_mean(_float(fake), weights)


def hinge_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean relu(1-r) + relu(1+f). Lim & Ye 2017, arXiv:1705.02894."""
    return _mean(tf.nn.relu(1.0 - _float(real))) + _mean(tf.nn.relu(1.0 + _float(fake)))


def relativistic_average_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean softplus(-(r - mean f)) + softplus(f - mean r).

    Jolicoeur-Martineau 2019, arXiv:1807.00734, section 4.2. The inner means are over the global
    batch.
    """
    real, fake = _float(real), _float(fake)
    mean_real, mean_fake = mean_over_replicas(_mean(real)), mean_over_replicas(_mean(fake))
    return _mean(tf.nn.softplus(mean_fake - real)) + _mean(tf.nn.softplus(fake - mean_real))


def relativistic_average_generator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """The discriminator's loss with real and fake swapped."""
    return relativistic_average_discriminator_loss(real=fake, fake=real)


def relativistic_pairing_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean softplus(-(r_i - f_i)). Huang et al. 2024 (R3GAN), arXiv:2501.05441, section 2."""
    return _mean(tf.nn.softplus(_float(fake) - _float(real)))


def relativistic_pairing_generator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """The discriminator's loss with real and fake swapped."""
    return relativistic_pairing_discriminator_loss(real=fake, fake=real)


LOSSES.register("non_saturating")(
    Loss(
        non_saturating_discriminator_loss,
        non_saturating_generator_loss,
        has_labels=True,
        has_sign=True,
    )
)
LOSSES.register("minimax")(
    Loss(
        non_saturating_discriminator_loss,
        minimax_generator_loss,
        has_labels=True,
        has_sign=True,
    )
)
LOSSES.register("least_squares")(
    Loss(least_squares_discriminator_loss, least_squares_generator_loss, has_labels=True)
)
LOSSES.register("wasserstein")(Loss(wasserstein_discriminator_loss, wasserstein_generator_loss))
LOSSES.register("hinge")(Loss(hinge_discriminator_loss, wasserstein_generator_loss, has_sign=True))
LOSSES.register("relativistic_average")(
    Loss(
        relativistic_average_discriminator_loss,
        relativistic_average_generator_loss,
        relativistic=True,
    )
)
LOSSES.register("relativistic_pairing")(
    Loss(
        relativistic_pairing_discriminator_loss,
        relativistic_pairing_generator_loss,
        relativistic=True,
    )
)
