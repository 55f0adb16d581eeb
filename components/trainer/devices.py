"""Where training runs."""

import tensorflow as tf


def strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over all visible GPUs, or the default strategy (the CPU) without any.

    GPU memory is then taken as it is needed, so that two processes can share a card.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return tf.distribute.MirroredStrategy() if gpus else tf.distribute.get_strategy()
