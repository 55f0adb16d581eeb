"""Optimizers by name, with schedules, gradient clipping and loss scaling."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import keras
import pydantic
import tensorflow as tf

from components.common.config import Config, validate
from components.common.registry import Registry
from components.compute import fused

OPTIMIZERS: Registry[type[keras.optimizers.Optimizer]] = Registry("optimizer")
OPTIMIZERS.register("adam")(fused.Adam)
# Optimizers available in every supported version of Keras. Not Muon: it looks up variables by a
# path that they do not have under TensorFlow.
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

# The trainer does these itself, over all replicas.
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
    """The options of the optimizer called `name`, from its constructor's signature."""
    fields: Any = {
        option: (_type(parameter.default), parameter.default)
        for option, parameter in inspect.signature(OPTIMIZERS.get(name)).parameters.items()
        # The op behind `fused.Adam` does not support AMSGrad.
        if option not in _NO_OPTIONS and (name, option) != ("adam", "amsgrad")
    }
    return pydantic.create_model(name, __base__=Config, **fields)


def _type(default: object) -> object:
    if isinstance(default, bool):
        return bool
    return float | None if default is None else float


def takes(name: str, option: str) -> bool:
    """Whether the optimizer called `name` has this option."""
    return option in _options(name).model_fields


def make(name: str, **options: Any) -> keras.optimizers.Optimizer:  # noqa: ANN401
    """Makes an optimizer.

    Args:
      name: one of `OPTIMIZERS.names()`.
      **options: arguments of the Keras constructor, e.g. learning_rate, beta_1, weight_decay;
        except averaging, clipping, accumulation and loss scaling, which the trainer does.

    Raises:
      ValueError: for an unknown name or option, and for a value of the wrong type or out of range.
    """
    arguments = check(name, **options)
    try:
        return OPTIMIZERS.get(name)(**arguments)
    except ValueError as error:
        raise ValueError(f"optimizer {name!r}: {error}") from error


def check(name: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """The options for the constructor; raises as `make`, except for ranges that Keras checks.

    Creates no variables, because recipes are read before TensorFlow initialises its devices.
    """
    section = _options(name)
    try:
        return validate(section, options).model_dump(exclude_unset=True)
    except ValueError as error:
        raise ValueError(f"optimizer {name!r}: {error}") from error


def schedulable(optimizer: keras.optimizers.Optimizer, option: str) -> tf.Variable:
    """The scalar variable from which `optimizer` reads `option` at every update.

    Call it in the strategy's scope, before the first update is traced. The variable is part of the
    optimizer's checkpoint.

    Args:
      optimizer: with or without loss scaling.
      option: learning_rate, beta_1 or beta_2.

    Raises:
      ValueError: for any other option, and for one that the optimizer does not have.
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
    """`optimizer` with dynamic loss scaling for float16; differentiate the loss from `scaled`.

    A non-finite gradient halves the scale and skips the update; 2000 finite ones in a row double it
    (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).
    """
    return keras.optimizers.LossScaleOptimizer(optimizer)


def scaled(optimizer: keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """The loss to differentiate for `optimizer`: `loss` itself if it has no loss scaling."""
    return optimizer.scale_loss(loss)


def apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[keras.Variable],
    clip_norm: float | None = None,
) -> None:
    """Updates `variables` with the replicas' summed gradients; call it in a replica context.

    Args:
      optimizer: if it has loss scaling, `gradients` are those of the scaled loss.
      gradients: this replica's, one per variable, each a tensor or None.
      variables: those that the optimizer was built with.
      clip_norm: maximum global norm of the summed gradients, before loss scaling (Pascanu et al.
        2013, arXiv:1211.5063, algorithm 1); None: no clipping.
    """
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    replicas = tf.distribute.get_replica_context()
    count = replicas.num_replicas_in_sync
    # Loss scaling checks a single replica's gradient for finiteness, so all must have the same.
    if clip_norm is not None or (scaling and count > 1):
        present = [gradient is not None for gradient in gradients]
        # Sparse gradients of an embedding may repeat a row, which must be summed before the norm.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
        if count > 1:
            dense = replicas.all_reduce(tf.distribute.ReduceOp.SUM, dense)
        if clip_norm is not None:
            scale = tf.convert_to_tensor(optimizer.dynamic_scale) if scaling else 1.0
            # If any gradient is not finite, all become NaN, and loss scaling skips the update.
            dense, _ = tf.clip_by_global_norm(dense, clip_norm * scale)
        # Keras will sum over the replicas again.
        shares = iter([gradient / count for gradient in dense])
        gradients = [next(shares) if is_there else None for is_there in present]
    optimizer.apply(gradients, variables)


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if scaling else optimizer
