"""Where training runs, and means over the replicas that share a batch."""

import json
import os
import resource
import sys

import tensorflow as tf

from components.trainer import workers

_CLUSTER = "TF_CONFIG"
_WORKERS = ("chief", "worker")
# Once per process, because TensorFlow's server cannot be restarted.
_JOINED: dict[tuple[tuple[str, ...], int], tf.distribute.Strategy] = {}


def strategy(wait_minutes: float = 10.0) -> tf.distribute.Strategy:
    """The strategy for this machine, or for the cluster in the environment variable TF_CONFIG.

    MultiWorkerMirroredStrategy for a cluster of several workers, all of which run the same program;
    else MirroredStrategy over all visible GPUs; else the default strategy, the CPU. For TF_CONFIG
    see https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable.

    GPU memory is allocated as needed, so that processes can share a GPU, unless the environment
    says otherwise or this process has used the GPUs already.

    Args:
      wait_minutes: how long to wait for the other workers of a cluster.

    Raises:
      workers.TryAgain: if a worker of the cluster is missing; the process exits with 75.
      ValueError: for a TF_CONFIG that does not describe a cluster and this worker's place in it.
      RuntimeError: if a cluster is joined after TensorFlow has been used.
    """
    # Unlike the setting in tf.config, this may be set too late without an error: in a local
    # pipeline the FeatureExtractor has run in this process.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    tf_config = os.environ.get(_CLUSTER, "")
    addresses, own = _place(tf_config) if tf_config else ([], 0)
    if len(addresses) > 1:
        return _cluster(tuple(addresses), own, wait_minutes)
    gpus = tf.config.list_physical_devices("GPU")
    return tf.distribute.MirroredStrategy() if gpus else tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes checkpoints, log and export."""
    return strategy.extended.should_checkpoint


def peak_memory_gb() -> float:
    """Peak memory of this process so far, resident plus GPU, in 10^9 bytes."""
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    for gpu in tf.config.list_logical_devices("GPU"):
        held += tf.config.experimental.get_memory_info(gpu.name)["peak"]
    return held / 1e9


def is_only_replica() -> bool:
    """Whether this replica shares its batch with no other; to be called in a replica context."""
    context = tf.distribute.get_replica_context()
    return context is None or context.num_replicas_in_sync == 1


def mean_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean of `value` over all replicas, differentiable; to be called in a replica context."""
    if is_only_replica():
        return value
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def all_gather(values: tf.Tensor) -> tf.Tensor:
    """The rows of `values` of all replicas, in their order; to be called in a replica context."""
    if is_only_replica():
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)


def _cluster(addresses: tuple[str, ...], own: int, wait_minutes: float) -> tf.distribute.Strategy:
    if (addresses, own) not in _JOINED:
        _JOINED[addresses, own] = workers.join(addresses, own, wait_minutes)
    return _JOINED[addresses, own]


def _place(tf_config: str) -> tuple[list[str], int]:
    """The addresses in TF_CONFIG's cluster, and this process's index; [] without a cluster."""
    try:
        config = json.loads(tf_config)
        cluster = config.get("cluster", {})
        addresses = {job: list(cluster[job]) for job in _WORKERS if job in cluster}
        everyone = [address for of_job in addresses.values() for address in of_job]
        if len(everyone) < 2:
            return [], 0
        job, index = config["task"]["type"], int(config["task"]["index"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{_CLUSTER}: {tf_config!r} is not of the form "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    if job not in addresses or not 0 <= index < len(addresses[job]):
        raise ValueError(
            f"{_CLUSTER}: task {job} {index} is not in the cluster, which has "
            + ", ".join(f"{len(of_job)} {job}" for job, of_job in addresses.items())
        )
    return everyone, index + (len(addresses.get("chief", ())) if job == "worker" else 0)
