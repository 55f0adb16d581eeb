"""Where training runs."""

import functools
import json
import os
import resource
import sys

import tensorflow as tf

_CLUSTER = "TF_CONFIG"
_WORKERS = ("chief", "worker")


def strategy() -> tf.distribute.Strategy:
    """The devices of this machine, or of the cluster that the environment variable TF_CONFIG names.

    MultiWorkerMirroredStrategy for a cluster of several workers, all of which run the same program;
    else MirroredStrategy over all visible GPUs; else the default strategy, the CPU. TF_CONFIG is as
    in https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable.

    GPU memory is taken as it is needed, so that two processes can share a card, unless the
    environment says otherwise or something has used the GPUs before.

    Raises:
      ValueError: for a TF_CONFIG that does not describe a cluster and this worker's place in it.
      RuntimeError: where a cluster is joined after TensorFlow has computed something.
    """
    # Unlike tf.config's setting, this may come too late without an error: in a local pipeline the
    # FeatureExtractor has run in this process.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    tf_config = os.environ.get(_CLUSTER, "")
    if tf_config and _workers(tf_config) > 1:
        return _cluster(tf_config)
    gpus = tf.config.list_physical_devices("GPU")
    return tf.distribute.MirroredStrategy() if gpus else tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one of its training that writes checkpoints, log and export."""
    return strategy.extended.should_checkpoint


def peak_memory_gb() -> float:
    """The most memory this process has held so far, in 10^9 bytes: resident, and on its GPUs."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    for gpu in tf.config.list_logical_devices("GPU"):
        held += tf.config.experimental.get_memory_info(gpu.name)["peak"]
    return held / 1e9


@functools.cache
def _cluster(tf_config: str) -> tf.distribute.Strategy:
    # Once a process: a server that has been started cannot be moved.
    del tf_config
    return tf.distribute.MultiWorkerMirroredStrategy()


def _workers(tf_config: str) -> int:
    """How many processes TF_CONFIG trains with; 1 where it names no cluster."""
    try:
        config = json.loads(tf_config)
        cluster = config.get("cluster", {})
        addresses = {job: list(cluster[job]) for job in _WORKERS if job in cluster}
        workers = sum(len(of_job) for of_job in addresses.values())
        if workers < 2:
            return 1
        job, index = config["task"]["type"], int(config["task"]["index"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{_CLUSTER}: {tf_config!r} is not "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    if job not in addresses or not 0 <= index < len(addresses[job]):
        raise ValueError(
            f"{_CLUSTER}: task {job} {index} is not in the cluster, which has "
            + ", ".join(f"{len(of_job)} {job}" for job, of_job in addresses.items())
        )
    return workers
