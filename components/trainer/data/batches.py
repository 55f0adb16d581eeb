"""Training input: batches and latents, as functions of seed and step."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from components.trainer.data.sources import Source

# `sources` and `gan.rng` use other streams.
_LATENTS_STREAM = 1
_MIRROR_STREAM = 3


def latents(seed: int, index: tf.Tensor | int, shape: tuple[int, ...]) -> tf.Tensor:
    """N(0, I) latents, float32 of `shape`; a function of (seed, index) on every device."""
    stream = tf.random.experimental.stateless_fold_in([seed, _LATENTS_STREAM], index)
    return tf.random.stateless_normal(shape, stream)


def _mirrored(images: tf.Tensor, seed: int, step: tf.Tensor, size: int, own: slice) -> tf.Tensor:
    """Images [n, h, w, c], the rows `own` of a batch of `size`, each mirrored with probability ½.

    As StyleGAN2's authors' `mirror_augment` (NVlabs/stylegan2, training/training_loop.py): an epoch
    has one of the two images, drawn anew in each.
    """
    stream = tf.random.experimental.stateless_fold_in([seed, _MIRROR_STREAM], step)
    draws = tf.random.stateless_uniform((size, 1, 1, 1), stream)[own]
    return tf.where(draws < 0.5, tf.reverse(images, axis=[2]), images)


def step_batches(
    source: Source,
    *,
    batch_size: int,
    discriminator_steps: int,
    latent_dim: int,
    seed: int,
    first_step: int = 0,
    replicas: int = 1,
    replica_range: tuple[int, int] = (0, 1),
    with_labels: bool = False,
) -> tf.data.Dataset:
    """Endless training input, with one element per step and replica.

    The global batch of a step is a function of (seed, step), and each replica gets its rows of it.
    So training that resumes at `first_step`, or on another number of devices, sees the same data.
    Batches continue across epochs, so no data are dropped.

    Args:
      source: from `sources.open_source`.
      batch_size: data per discriminator update, over all replicas.
      discriminator_steps: discriminator updates per step.
      latent_dim: size of one latent vector.
      seed: of order, latents and mirroring.
      first_step: step of the first element.
      replicas: number of replicas that share a batch.
      replica_range: [first, last) of the replicas to make input for, in turn.
      with_labels: whether elements include the labels of the real data.

    Returns:
      Elements {"real": [batch_size / replicas, discriminator_steps, *data_shape] of the data's
      dtype, "latents": float32 [batch_size / replicas, discriminator_steps, latent_dim]} and,
      `with_labels`, "labels": int32 [batch_size / replicas, discriminator_steps].

    Raises:
      ValueError: if the batch is larger than the dataset or not divisible by the replicas, or if
        the dataset lacks the requested labels.
    """
    if with_labels and not source.has_labels:
        raise ValueError("conditioning: the dataset has no labels; give pairs (data, labels)")
    if batch_size % replicas:
        raise ValueError(f"batch_size: {batch_size} is not a multiple of the {replicas} devices")
    source.check_batch_size(batch_size)
    share = batch_size // replicas
    first, last = (index * share for index in replica_range)
    local = replica_range[1] - replica_range[0]
    size = batch_size * discriminator_steps
    rows = slice(first * discriminator_steps, last * discriminator_steps)
    # No replica axis for a single replica: unbatching it would copy every batch.
    split = (*((local,) if local > 1 else ()), share, discriminator_steps)

    def step_of(step: tf.Tensor, columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        shape = (batch_size, discriminator_steps, latent_dim)
        own = latents(seed, step, shape)[first:last]
        real = columns["real"]
        if source.mirror:
            real = _mirrored(real, seed, step, size, rows)
        inputs = {
            "real": tf.reshape(real, (*split, *source.data_shape)),
            "latents": tf.reshape(own, (*split, latent_dim)),
        }
        if with_labels:
            inputs["labels"] = tf.reshape(columns["labels"], split)
        return inputs

    batches = source.batches(size, first_step, seed, rows)
    steps = batches.enumerate(start=first_step).map(step_of, num_parallel_calls=tf.data.AUTOTUNE)
    return (steps.unbatch() if local > 1 else steps).prefetch(2 * local)


def distributed_batches(
    strategy: tf.distribute.Strategy,
    source: Source,
    **options: Any,  # noqa: ANN401
) -> Iterator[dict[str, Any]]:
    """`step_batches` distributed over the replicas of `strategy`, for `strategy.run`.

    Each worker makes the global batch and keeps the rows of its own replicas.

    Args:
      strategy: of one or more workers with equal numbers of replicas.
      source: from `sources.open_source`; the same on every worker.
      options: further arguments of `step_batches`, except those about replicas.
    """

    def worker_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas = context.num_replicas_in_sync
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local
        return step_batches(
            source, replicas=replicas, replica_range=(first, first + local), **options
        )

    return iter(strategy.distribute_datasets_from_function(worker_batches))
