"""Models and servers of the tests: real ones, over real sockets."""

import contextlib
import http.client
import json
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf
import uvicorn

from components.serving.server.app import create_app
from components.serving.server.versions import Versions
from components.trainer import export

LATENT_SIZE = 6
SHARES = np.array([0.5, 0.0, 0.5])


class Half(tf.Module):
    """y = x / 2 + b of any shape, and a table of two outputs."""

    def __init__(self, bias):
        super().__init__()
        self.bias = tf.Variable(bias)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def plus(self, x):
        return {"y": 0.5 * x + self.bias}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="x"),
            tf.TensorSpec([None], tf.string, name="text"),
        ]
    )
    def two(self, x, text):
        return {"y": 0.5 * x + self.bias, "text": text, "text_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def total(self, x):
        return {"y": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="path")])
    def wait(self, path):
        """Computes until there is a file of this name."""

        def missing(found):
            return tf.logical_not(found)

        def look(_):
            return (tf.size(tf.io.matching_files(path)) > 0,)

        return {"y": tf.while_loop(missing, look, [tf.constant(False)])[0]}


def _save_half(path, bias=2.0):
    module = Half(bias)
    signatures = {
        "serving_default": module.plus,
        "two": module.two,
        "total": module.total,
        "wait": module.wait,
    }
    tf.saved_model.save(module, str(path), signatures=signatures)


class Network(tf.Module):
    """One layer and a class."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal([LATENT_SIZE, 64], [0, 0]))

    def __call__(self, inputs, training=None):
        latents, labels = inputs
        level = tf.cast(labels, tf.float32)[:, None, None, None] / 10
        return tf.reshape(tf.tanh(latents @ self.weights), [-1, 8, 8, 1]) - level


@pytest.fixture(scope="session")
def half_folder(tmp_path_factory):
    """Two versions of half plus two, which differ by one."""
    folder = tmp_path_factory.mktemp("half")
    _save_half(folder / "123", 2.0)
    _save_half(folder / "124", 3.0)
    return folder


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory):
    """A version of a generator of three classes, of which one cannot be made."""
    folder = tmp_path_factory.mktemp("serving")
    signatures = export.ServingSignatures(Network(), LATENT_SIZE, SHARES)
    export.save(signatures, str(folder / "17"))
    return folder


class Client:
    """Of one server, with one connection a request."""

    def __init__(self, port, name="generator"):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._model = f"/v1/models/{name}"

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def json(self, method, path, document=None, headers=None):
        body = document if isinstance(document, str | bytes | None) else json.dumps(document)
        status, found, content = self.raw(method, path, body, headers)
        assert found["content-type"] == "application/json", content
        return status, json.loads(content)

    def predict(self, document, version="", **headers):
        return self.json("POST", f"{self._model}{version}:predict", document, headers)

    def get(self, path=""):
        return self.json("GET", f"{self._model}{path}")


@contextlib.contextmanager
def _serving(folder, name="generator", newest=1, labels=None, **options):
    """A server in a thread; yields a client and the versions."""
    with contextlib.ExitStack() as stack:
        versions = Versions(str(folder), name, newest, labels, seconds=0.05)
        versions.start()
        stack.callback(versions.stop)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        app = create_app(versions, name, **options)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        stack.callback(thread.join)
        stack.callback(setattr, server, "should_exit", True)
        yield Client(listener.getsockname()[1], name), versions


@pytest.fixture(scope="session")
def save_half():
    return _save_half


@pytest.fixture(scope="session")
def serving():
    return _serving


@pytest.fixture(scope="session")
def half(half_folder):
    with _serving(half_folder, "half", newest=2, labels={"stable": 123}) as (client, _):
        yield client


@pytest.fixture(scope="session")
def generator(generator_folder):
    with _serving(generator_folder) as (client, _):
        yield client
