import os

# Before any test imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf

# For the tests of replicas; what names no device runs on the first. It must be said before anything
# is computed, so it is said to all tests.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


class _Copier(tf.Module):
    def __init__(self, known, noise, columns):
        super().__init__()
        self.known = tf.Variable(known)
        self.noise = noise
        self.names = list(columns)

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32, name="count"),
            tf.TensorSpec([], tf.int64, name="seed"),
        ]
    )
    def sample(self, count, seed):
        seeds = tf.stack([seed, 0])
        chosen = tf.random.stateless_uniform([count], seeds, 0, len(self.known), tf.int32)
        data = tf.gather(self.known, chosen)
        if len(data.shape) == 2:
            return {"vectors": data}
        noise = tf.random.stateless_uniform(tf.shape(data), seeds, 0.0, 255.0)
        mixed = (1 - self.noise) * tf.cast(data, tf.float32) + self.noise * noise
        return {"images": tf.cast(tf.round(mixed), tf.uint8)}

    @tf.function(input_signature=[])
    def columns(self):
        return {"names": tf.constant(self.names)}


@pytest.fixture(scope="session")
def save_copier():
    """Exports a generator of data it knows; `noise`: 0 is none, 1 is nothing but noise."""

    def save(known, path, noise=0.0, columns=()):
        module = _Copier(known, noise, columns)
        signatures = {"sample": module.sample}
        if columns:
            signatures["columns"] = module.columns
        tf.saved_model.save(module, str(path), signatures=signatures)
        return str(path)

    return save
