"""README's "Use the generator", word by word, with a generator in the place of its own."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from components.serving import Generator, conversion
from components.trainer import export, networks
from pipeline import cli

ROOT = Path(__file__).parents[2]
SECTION = re.search(
    r"^## Use the generator$(.*?)^## ", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
)[1]
PYTHON, SHELL = re.findall(r"^```\w*\n(.*?)^```", SECTION, re.M | re.S)
SERVING = "runs/fashion-mnist/serving"
ONNX = "assets.extra/serving_default.onnx"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the reader is: with a version of a generator, and the commands on the path."""
    folder = tmp_path_factory.mktemp("reader")
    version = folder / SERVING / "1795321108"
    network = networks.GENERATORS.get("dcgan")(6, (28, 28, 1), width=16, num_classes=10)
    network([tf.zeros([1, 6]), tf.zeros([1], tf.int64)])
    export.save(export.ServingSignatures(network, 6, np.full(10, 0.1)), str(version))
    conversion.export(Generator(version), "onnx", "serving_default", str(version / ONNX))
    command = folder / "bin" / "tfx-gan"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -W ignore -m pipeline.cli "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture
def environment(folder):
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("path", [SERVING, f"{SERVING}/1795321108/{ONNX}"])
def test_from_python(folder, environment, path):
    code = PYTHON.replace(SERVING, path) + "print(images.dtype, images.shape, boots.shape)\n"
    assert path in code

    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert process.stdout == "uint8 (3, 28, 28, 1) (3, 28, 28, 1)\n", process.stderr


def test_without_this_package(folder):
    expression = re.search(r"`(tf\.saved_model.*?)` does", SECTION)[1]
    seeds, labels = tf.range(20, dtype=tf.int64), tf.constant([3, 9] * 10, tf.int64)
    names = {"tf": tf, "path": str(folder / SERVING / "1795321108")}
    images = eval(expression, {**names, "seeds": seeds, "labels": labels})

    expected = Generator(folder / SERVING).sample(range(20), labels=[3, 9] * 10)
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("runtime", ["onnx", "tflite", "tflite-float16"])
def test_export_needs_no_more_than_the_runtime(folder, runtime):
    out = folder / "exported" / runtime
    arguments = ["export", str(folder / SERVING), "--to", runtime, "--out", str(out)]
    result = CliRunner().invoke(cli.main, arguments)

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: at most ")
    assert out.stat().st_size


def test_over_http(folder, environment):
    process = subprocess.Popen(
        # The port may be somebody else's here.
        ["bash", "-ec", SHELL.replace("8501", str(free_port()))],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The server stays behind in the group.
        start_new_session=True,
    )
    try:
        process.wait(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    expected = Generator(folder / SERVING).sample([0, 1, 7], labels=[9, 9, 9])
    (version,) = json.loads(out)["model_version_status"]
    assert (version["version"], version["state"]) == ("1795321108", "AVAILABLE")
    found = json.loads((folder / "boots.json").read_text())["predictions"]
    np.testing.assert_array_equal(found, expected[:2])
    with Image.open(folder / "7.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., np.newaxis], expected[2])
