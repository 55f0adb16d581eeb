"""Optimizers by name, and how the trainer drives them: schedules, clipping, loss scaling."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import keras
import pydantic
import tensorflow as tf

from components.common.config import Config, validate
from components.common.registry import Registry
from components.trainer.networks import fused

OPTIMIZERS: Registry[type[keras.optimizers.Optimizer]] = Registry("optimizer")
OPTIMIZERS.register("adam")(fused.Adam)
# Those that update on their own and that every Keras of the support matrix has. Not Muon: it looks
# its variables up by a path that they do not have under TensorFlow.
for _class in (
    keras.optimizers.Adadelta,
    keras.optimizers.Adafactor,
    keras.optimizers.Adagrad,
    keras.optimizers.Adamax,
    keras.optimizers.AdamW,
    keras.optimizers.Ftrl,
    keras.optimizers.Lamb,
    keras.optimizers.Lion,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
):
    OPTIMIZERS.register(_class.__name__.lower())(_class)

# What the trainer does itself, over all replicas: averaging, clipping, accumulation, loss scaling.
_OF_THE_TRAINER = {
    "clipnorm",
    "clipvalue",
    "ema_momentum",
    "ema_overwrite_frequency",
    "global_clipnorm",
    "gradient_accumulation_steps",
    "loss_scale_factor",
    "use_ema",
}
_NO_OPTIONS = {"name", "kwargs"} | _OF_THE_TRAINER

# Keras reads the other hyperparameters as Python numbers when it traces an update.
_SCHEDULABLE = ("learning_rate", "beta_1", "beta_2")


@functools.lru_cache
def _options(name: str) -> type[Config]:
    """The options of the optimizer called `name`, read off its constructor."""
    fields: Any = {
        option: (_type(parameter.default), parameter.default)
        for option, parameter in inspect.signature(OPTIMIZERS.get(name)).parameters.items()
        # The op that `fused.Adam` is made of knows no AMSGrad.
        if option not in _NO_OPTIONS and (name, option) != ("adam", "amsgrad")
    }
    return pydantic.create_model(name, __base__=Config, **fields)


def _type(default: object) -> object:
    if isinstance(default, bool):
        return bool
    return float | None if default is None else float


def takes(name: str, option: str) -> bool:
    """Whether the optimizer called `name` has such an option."""
    return option in _options(name).model_fields


def make(name: str, **options: Any) -> keras.optimizers.Optimizer:  # noqa: ANN401
    """A new optimizer.

    Args:
      name: one of `OPTIMIZERS.names()`.
      **options: numbers and flags of the Keras constructor, e.g. learning_rate, beta_1,
        weight_decay; but averaging, clipping, accumulation and loss scaling are the trainer's.

    Raises:
      ValueError: for an unknown name or option, and for a value of another type or out of range.
    """
    arguments = check(name, **options)
    try:
        return OPTIMIZERS.get(name)(**arguments)
    except ValueError as error:
        raise ValueError(f"optimizer {name!r}: {error}") from error


def check(name: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """The options for the constructor; raises as `make`, but for a range that only Keras knows.

    Makes no variables: a recipe is read before TensorFlow learns of its devices.
    """
    section = _options(name)
    try:
        return validate(section, options).model_dump(exclude_unset=True)
    except ValueError as error:
        raise ValueError(f"optimizer {name!r}: {error}") from error


def schedulable(optimizer: keras.optimizers.Optimizer, option: str) -> tf.Variable:
    """The scalar variable that `optimizer` reads `option` from at every update.

    To be called in the scope of the strategy, before the first update is traced. The variable is
    part of the optimizer's checkpoint.

    Args:
      optimizer: may be one with loss scaling.
      option: learning_rate, beta_1 or beta_2.

    Raises:
      ValueError: for an option that is not among these, or that the optimizer does not have.
    """
    optimizer = _inner(optimizer)
    has = [name for name in _SCHEDULABLE if hasattr(optimizer, name)]
    if option not in has:
        raise ValueError(
            f"{type(optimizer).__name__}: {option!r} cannot be scheduled, only {', '.join(has)}"
        )
    if option == "learning_rate":
        return optimizer.learning_rate.value
    value = getattr(optimizer, option)
    if not isinstance(value, tf.Variable):
        value = tf.Variable(value, trainable=False, dtype=tf.float32, name=option)
        setattr(optimizer, option, value)
    return value


def with_loss_scaling(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.LossScaleOptimizer:
    """`optimizer` for float16: its loss is scaled up (see `scaled`), its gradients down again.

    A gradient that is not finite halves the scale and updates nothing, 2000 finite ones in a row
    double it (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).
    """
    return keras.optimizers.LossScaleOptimizer(optimizer)


def scaled(optimizer: keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """The loss to differentiate for `optimizer`: `loss` itself without loss scaling."""
    return optimizer.scale_loss(loss)


def apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[keras.Variable],
    clip_norm: float | None = None,
) -> None:
    """Updates `variables` by the sum of the replicas' gradients; in a replica context.

    Args:
      optimizer: if it has loss scaling, `gradients` are those of the scaled loss.
      gradients: of this replica, one for each variable; None where there is none.
      variables: of the optimizer.
      clip_norm: largest norm of the sum of the gradients, over all variables together (Pascanu et
        al. 2013, arXiv:1211.5063, algorithm 1), loss scale taken off; None: not clipped.
    """
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    replicas = tf.distribute.get_replica_context()
    count = replicas.num_replicas_in_sync
    # Loss scaling asks one replica whether the gradient is finite: they must all have the same.
    if clip_norm is not None or (scaling and count > 1):
        present = [gradient is not None for gradient in gradients]
        # Rows of an embedding may come several times, and count once in the norm.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
        if count > 1:
            dense = replicas.all_reduce(tf.distribute.ReduceOp.SUM, dense)
        if clip_norm is not None:
            scale = tf.convert_to_tensor(optimizer.dynamic_scale) if scaling else 1.0
            # Makes all of it NaN where any is not finite, and loss scaling then skips the update.
            dense, _ = tf.clip_by_global_norm(dense, clip_norm * scale)
        # Keras sums over the replicas again.
        shares = iter([gradient / count for gradient in dense])
        gradients = [next(shares) if is_there else None for is_there in present]
    optimizer.apply(gradients, variables)


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if scaling else optimizer
