"""Where training runs."""

import os

import tensorflow as tf


def strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over all visible GPUs, or the default strategy (the CPU) without any.

    GPU memory is taken as it is needed, so that two processes can share a card, unless the
    environment says otherwise or something has used the GPUs before.
    """
    # Unlike tf.config's setting, this may come too late without an error: in a local pipeline the
    # FeatureExtractor has run in this process.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    gpus = tf.config.list_physical_devices("GPU")
    return tf.distribute.MirroredStrategy() if gpus else tf.distribute.get_strategy()
