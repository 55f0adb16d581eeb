import numpy as np
import pytest
import tensorflow as tf

from components.trainer import export
from components.trainer.data.encoding import Encoding

LATENT_SIZE = 4
IMAGE_SHAPE = (8, 8, 1)
SHARES = np.array([0.5, 0.0, 0.5])
ENCODING = Encoding.learn(
    np.float32([[0, -5], [1 / 3, 0], [30, 5]]), ["wind", "rain"], numbers="min_max"
)


class Network:
    """One linear layer, darker for some classes. No Keras model, so that a test takes a second."""

    def __init__(self, columns=0):
        self._shape = (columns,) if columns else IMAGE_SHAPE
        size = int(np.prod(self._shape))
        self.weights = tf.Variable(tf.random.stateless_normal([LATENT_SIZE, size], [0, 0]))

    def __call__(self, inputs, training=None):
        latents, labels = inputs if isinstance(inputs, list) else (inputs, None)
        data = tf.reshape(tf.tanh(latents @ self.weights), [-1, *self._shape])
        if labels is None:
            return data
        return data * (tf.cast(labels, tf.float32)[:, None, None, None] + 1.0) / 3.0


class Planted(export.ServingSignatures):
    """A generator that is sound but for what a subclass changes."""

    def __init__(self, network, *arguments):
        super().__init__(network, LATENT_SIZE, *arguments)
        # Found by TensorFlow, and saved.
        self.weights = network.weights
        self.calls = tf.Variable(0)
        self.kept = tf.Variable(tf.zeros([0]), shape=[None])


def network(change):
    """A fault of the network: `change` is given the generator, latents and data."""

    class Changed(Planted):
        def _call_generator(self, given, labels):
            return change(self, given, super()._call_generator(given, labels))

    return Changed


def signature(name, change, **specs):
    """A fault of one signature: `change` is given its outputs and inputs; `specs` new inputs."""

    class Changed(Planted):
        def signatures(self):
            found = super().signatures()
            sound = found[name]
            inputs = [
                tf.TensorSpec(*specs.get(spec.name, (spec.shape, spec.dtype)), name=spec.name)
                for spec in sound.input_signature
            ]
            cast = [spec.dtype for spec in sound.input_signature]

            def faulty(*values):
                of_type = [tf.cast(v, t) for v, t in zip(values, cast, strict=True)]
                return change(self, sound(*of_type), *values)

            found[name] = tf.function(faulty, input_signature=inputs)
            return found

    return Changed


def without(name):
    class Changed(Planted):
        def signatures(self):
            return {key: each for key, each in super().signatures().items() if key != name}

    return Changed


def unchecked(which):
    """A generator that answers calls with this input unseen."""

    class Changed(Planted):
        def _checked(self, **inputs):
            return list(inputs.values()) if which in inputs else super()._checked(**inputs)

    return Changed


class AnyLabel(Planted):
    def _check_labels(self, name, labels):
        return None


def python_twin(_, outputs, *inputs):
    """Calls Python, which does not survive in a SavedModel."""
    (data,) = outputs.values()
    return {"images": tf.ensure_shape(tf.numpy_function(lambda x: x, [data], tf.uint8), data.shape)}


def collapsed(_, given, data):
    """One picture for all seeds, but for a pixel."""
    pixel = tf.one_hot(0, 64)[None] * tf.reshape(data, [-1, 64])
    return tf.reshape(pixel + 0.1 * (1.0 - tf.one_hot(0, 64)[None]), tf.shape(data))


def normalised_by_the_batch(_, given, data):
    return tf.tanh(data - tf.reduce_mean(data, 0) / (1e-3 + tf.math.reduce_std(data, 0)))


def noise(_, outputs, seeds):
    images = tf.random.stateless_uniform([64 * tf.size(seeds)], [0, 0], 0, 256, tf.int32)
    return {"images": tf.cast(tf.reshape(images, [-1, *IMAGE_SHAPE]), tf.uint8)}


def refuses(rows):
    def change(_, outputs, first, *others):
        with tf.control_dependencies([tf.debugging.Assert(rows(tf.shape(first)[0]), ["out of"])]):
            return {name: tf.identity(value) for name, value in outputs.items()}

    return change


def after_calls(count, change):
    """Changes the data once there were some calls."""

    def counted(generator, outputs, *inputs):
        calls = generator.calls.assign_add(1)
        (name,) = outputs
        changed = tf.cast(change(generator, outputs[name]), outputs[name].dtype)
        return {name: tf.where(calls > count, changed, outputs[name])}

    return counted


def leaking(generator, outputs, *inputs):
    kept = tf.concat([generator.kept, tf.ones([4_000_000])], 0)
    with tf.control_dependencies([generator.kept.assign(kept)]):
        return {name: tf.identity(value) for name, value in outputs.items()}


def hanging(_, outputs, *inputs):
    forever = tf.while_loop(lambda n: n < 1, lambda n: (n * 1,), [tf.size(inputs[0]) * 0])
    return {"images": outputs["images"] + tf.cast(forever[0], tf.uint8)}


def voracious(_, outputs, *inputs):
    much = tf.random.stateless_uniform([tf.size(inputs[0]), 20_000_000], [0, 0])
    return {"images": outputs["images"] + tf.cast(tf.reduce_min(much) > 1.0, tf.uint8)}


def crashing(_, outputs, *inputs):
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="planted")]):
        return {name: tf.identity(value) for name, value in outputs.items()}


def raising(_, outputs, *inputs):
    with tf.control_dependencies([tf.debugging.Assert(False, ["never"])]):
        return {name: tf.identity(value) for name, value in outputs.items()}


def renamed(_, outputs, *inputs):
    return dict.fromkeys(["pictures"], *outputs.values())


FAULTS = {
    None: Planted,
    "no sample": without("sample"),
    "no draw_labels": without("draw_labels"),
    "output name": signature("serving_default", renamed),
    "float samples": signature(
        "sample", lambda g, o, *i: {"images": tf.cast(o["images"], "float32")}
    ),
    "label type": signature("sample", lambda g, o, *i: o, labels=([None], tf.int32)),
    "fixed batch": signature("sample", lambda g, o, *i: o, seeds=([4], tf.int64)),
    "needs Python": signature("sample", python_twin),
    "not finite": network(lambda g, z, x: x / 0.0),
    "out of range": network(lambda g, z, x: 3.0 * x),
    "collapsed": network(collapsed),
    "batch normalisation in training mode": network(normalised_by_the_batch),
    "NaN beyond 4 sigma": network(
        lambda g, z, x: tf.where(tf.reduce_any(tf.abs(z) > 4)[..., None], np.nan * x, x)
    ),
    "noise": signature("sample", noise),
    "black": signature("sample", lambda g, o, *i: {"images": o["images"] // 255}),
    "fails above 4 rows": signature("sample", refuses(lambda rows: rows <= 4)),
    "fails for 1 row": signature("sample", refuses(lambda rows: rows != 1)),
    "black after three calls": signature(
        "serving_default", after_calls(3, lambda g, images: images * 0.0 - 1.0)
    ),
    "other data later": signature("sample", after_calls(20, lambda g, images: 255 - images)),
    "labels ignored": signature(
        "serving_default",
        lambda g, o, z, y: {"images": g._call_generator(z, tf.zeros_like(y))},
    ),
    "another class": signature(
        "sample", lambda g, o, s, y: {"images": g.sample(s, tf.zeros_like(y))["images"]}
    ),
    "draws strangers": signature("draw_labels", lambda g, o, s: {"labels": o["labels"] * 0 + 1}),
    "raises": signature("interpolate", raising),
    "other interpolations": signature(
        "interpolate", lambda g, o, *i: {"images": 255 - o["images"]}
    ),
    "NaN accepted": unchecked("latents"),
    "any label": AnyLabel,
    "any number": unchecked("seeds"),
    "leaking": signature("sample", leaking),
    "crashing": signature("sample", crashing),
    "hanging": signature("sample", hanging),
    "voracious": signature("sample", voracious),
    "one name": signature("columns", lambda g, o: {"names": o["names"][:1]}),
    "a name twice": signature("columns", lambda g, o: {"names": tf.constant(["a", "a"])}),
    "not finite vectors": signature(
        "serving_default", lambda g, o, z: {"vectors": o["vectors"] / 0.0}
    ),
}


@pytest.fixture(scope="session")
def plant(tmp_path_factory):
    """The SavedModel of a generator of images, of classes or of columns, with a fault or none."""

    def save(fault=None, *, classes=False, columns=False):
        arguments = [SHARES] if classes else [None, ENCODING] if columns else []
        path = tmp_path_factory.mktemp("model") / "Format-Serving"
        generator = FAULTS[fault](Network(2 if columns else 0), *arguments)
        export.save(generator, str(path))
        return str(path)

    return save
