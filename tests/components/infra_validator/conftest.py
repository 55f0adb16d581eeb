import pytest
import tensorflow as tf

LATENT_SIZE = 4
IMAGE_SHAPE = (8, 8, 1)


def python_twin(latents):
    """Calls Python, which does not survive in a SavedModel."""
    return tf.numpy_function(lambda values: values, [latents], tf.float32)


class Generator(tf.Module):
    """One linear layer; `fault` names its fault."""

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


class ConditionalGenerator(Generator):
    """A generator with three classes."""

    def serve_classes(self, latents, labels):
        brightness = tf.cast(labels, tf.float32)[:, tf.newaxis, tf.newaxis, tf.newaxis] / 3
        return {"images": self.images(latents) * brightness}

    def sample_class(self, count, seed, label):
        sampled = self.sample(count, seed)["images"]
        return {"pictures" if self.fault == "class output" else "images": sampled + 0 * label}

    def signatures(self):
        latents = tf.TensorSpec([None, LATENT_SIZE], tf.float32, name="latents")
        labels = tf.TensorSpec([None], tf.int64, name="labels")
        if self.fault == "no labels":
            return super().signatures() | {"sample_class": self._class_signature()}
        serve = tf.function(self.serve_classes, input_signature=[latents, labels])
        served = {"serving_default": serve, "sample_class": self._class_signature()}
        return super().signatures() | served

    def _class_signature(self):
        count = tf.TensorSpec([], tf.int32, name="count")
        seed = tf.TensorSpec([], tf.int64, name="seed")
        label = tf.TensorSpec([], tf.uint8, name="label")
        if self.fault != "label type":
            label = tf.TensorSpec([], tf.int64, name="label")

        def of_class(count, seed, label):
            return self.sample_class(count, seed, tf.cast(label, tf.uint8))

        return tf.function(of_class, input_signature=[count, seed, label])


COLUMNS = ("wind", "rain")


class VectorGenerator(tf.Module):
    """Wind in m/s and rain in whole millimetres, from two latents; `fault` as above."""

    def __init__(self, fault=None):
        super().__init__()
        self.fault = fault

    def serve(self, latents):
        wind, rain = tf.unstack(latents, axis=1)
        if self.fault == "not finite":
            wind = tf.math.log(-tf.square(wind))
        return {"vectors": tf.stack([20 + 5 * wind, 40 * tf.nn.relu(rain)], axis=1)}

    def sample(self, count, seed):
        if self.fault == "seed ignored":
            seed = tf.zeros_like(seed)
        latents = tf.random.stateless_normal([count, 2], tf.stack([seed, 0]))
        vectors = tf.round(self.serve(latents)["vectors"])
        return {"vectors": tf.cast(vectors, tf.int32) if self.fault == "whole type" else vectors}

    def columns(self):
        names = {"one name": COLUMNS[:1], "a name twice": ("wind", "wind")}.get(self.fault, COLUMNS)
        return {"names": tf.constant(names)}

    def signatures(self):
        latents = tf.TensorSpec([None, 2], tf.float32, name="latents")
        count = tf.TensorSpec([], tf.int32, name="count")
        seed = tf.TensorSpec([], tf.int64, name="seed")
        signatures = {
            "serving_default": tf.function(self.serve, input_signature=[latents]),
            "sample": tf.function(self.sample, input_signature=[count, seed]),
            "columns": tf.function(self.columns, input_signature=[]),
        }
        if self.fault == "no names":
            del signatures["columns"]
        return signatures


@pytest.fixture
def export():
    """Writes a generator with the given fault, or none, as a SavedModel."""

    def save(path, fault=None, kind=Generator):
        module = kind(fault)
        tf.saved_model.save(module, str(path), signatures=module.signatures())

    return save


@pytest.fixture
def export_vectors(export):
    """Writes a generator of vectors."""

    def save(path, fault=None):
        export(path, fault, VectorGenerator)

    return save


@pytest.fixture
def export_classes(export):
    """Writes a generator with classes."""

    def save(path, fault=None):
        export(path, fault, ConditionalGenerator)

    return save
