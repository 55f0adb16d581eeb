import pytest
import tensorflow as tf

LATENT_SIZE = 4
IMAGE_SHAPE = (8, 8, 1)


def python_twin(latents):
    """What a network may do that does not travel with its SavedModel: call Python."""
    return tf.numpy_function(lambda values: values, [latents], tf.float32)


class Generator(tf.Module):
    """One linear layer; `fault` names the one thing it does wrong."""

    def __init__(self, fault=None):
        super().__init__()
        self.fault = fault
        size = IMAGE_SHAPE[0] * IMAGE_SHAPE[1] * IMAGE_SHAPE[2]
        weights = tf.random.stateless_normal([LATENT_SIZE, size], [0, 0])
        self.weights = tf.Variable(weights)

    def images(self, latents):
        if self.fault == "needs Python":
            latents = tf.ensure_shape(python_twin(latents), [None, LATENT_SIZE])
        images = tf.reshape(tf.tanh(latents @ self.weights), [-1, *IMAGE_SHAPE])
        if self.fault == "not finite":
            return images / 0.0
        if self.fault == "out of range":
            return images * 3
        if self.fault == "flat":
            return tf.reshape(images, [-1, tf.size(images[0])])
        return images

    def serve(self, latents):
        key = "pictures" if self.fault == "output name" else "images"
        return {key: self.images(latents)}

    def sample(self, count, seed):
        if self.fault == "seed ignored":
            seed = tf.zeros_like(seed)
        if self.fault == "count ignored":
            count = tf.constant(2)
        shape = [count, LATENT_SIZE]
        latents = tf.random.stateless_normal(shape, tf.stack([seed, 0]))
        if self.fault == "unseeded":
            latents = tf.random.normal(shape)
        images = (self.images(latents) + 1) * 127.5
        if self.fault == "float samples":
            return {"images": images}
        return {"images": tf.cast(images, tf.uint8)}

    def signatures(self):
        latents = tf.TensorSpec([None, LATENT_SIZE], tf.float32, name="latents")
        if self.fault == "fixed batch":
            latents = tf.TensorSpec([1, LATENT_SIZE], tf.float32, name="latents")
        count = tf.TensorSpec([], tf.int32, name="count")
        seed = tf.TensorSpec([], tf.int64, name="seed")
        signatures = {
            "serving_default": tf.function(self.serve, input_signature=[latents]),
            "sample": tf.function(self.sample, input_signature=[count, seed]),
        }
        if self.fault == "no sample":
            del signatures["sample"]
        return signatures


@pytest.fixture
def export():
    """Writes a generator with the given fault, or none, as a SavedModel."""

    def save(path, fault=None):
        module = Generator(fault)
        tf.saved_model.save(module, str(path), signatures=module.signatures())

    return save
