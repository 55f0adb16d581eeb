"""The studio as a process, its page in a browser, its errors over HTTP."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from click.testing import CliRunner
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from components.common import saved_models
from components.serving.contract import row_seeds
from components.serving.generator import Generator
from components.trainer import export
from components.trainer.data.encoding import Encoding
from pipeline import cli

SECONDS = 30
# By a canvas of its own, as the browser complains of one that is drawn to and read again and again.
GREYS = """
const copy = new OffscreenCanvas(8, 8).getContext('2d', {willReadFrequently: true});
return [...document.querySelectorAll(arguments[0])].map(canvas => {
  copy.clearRect(0, 0, 8, 8);
  copy.drawImage(canvas, 0, 0);
  return [...copy.getImageData(0, 0, 8, 8).data].filter((_, place) => place % 4 === 0);
});
"""
SETTLED = """
const busy = id => document.getElementById(id).ariaBusy === 'true';
return document.getElementById('loading').hidden && !busy('grid') && !busy('other-grid');
"""


class Network(tf.Module):
    def __init__(self, seed, shape=(8, 8, 1)):
        super().__init__()
        self.shape = shape
        self.weights = tf.Variable(tf.random.stateless_normal([4, int(np.prod(shape))], [seed, 0]))

    def __call__(self, inputs, training=None):
        return tf.tanh(tf.reshape(inputs @ self.weights, [-1, *self.shape]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two versions of images, one of a table, and one that is broken."""
    folder = tmp_path_factory.mktemp("serving")
    for version, fid in [("17", 20.0), ("18", 12.5)]:
        export.save(export.ServingSignatures(Network(int(version)), 4), str(folder / version))
        saved_models.describe_further(str(folder / version), blessing={"fid": fid})
    encoding = Encoding.learn(
        np.float32([[0, -5], [1 / 3, 0], [30, 5]]), ["wind", "rain"], numbers="min_max"
    )
    table = export.ServingSignatures(Network(0, (2,)), 4, None, encoding)
    export.save(table, str(folder / "19"))
    shutil.copytree(folder / "18", folder / "20")
    (folder / "20" / "saved_model.pb").write_bytes(b"broken")
    return folder


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "studio", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.fixture(scope="module")
def url(folder):
    """The address of a studio; it has said nothing else when it is interrupted."""
    process = start(folder, "--port", 0, "--title", "Two & more")
    line = process.stdout.readline().strip()
    assert line.startswith("http://127.0.0.1:"), process.stderr.read()
    yield line
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output, errors) == (0, "", "")


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def near(one, other):
    return np.abs(np.asarray(one, int).ravel() - other.astype(int).ravel()).max() <= 1


def test_versions_are_listed_with_what_is_known_of_them(url):
    status, content = get(url + "versions")

    found = {each.pop("version"): each for each in json.loads(content)}
    assert status == 200
    assert list(found) == ["17", "18", "19", "20"]
    assert found["17"]["metrics"] == {"FID": {"value": 20.0}}
    assert found["18"]["description"]["shape"] == [8, 8, 1]
    assert "rows of a table" in found["19"]["problem"]


def test_a_model_is_converted_when_it_is_asked_for(url, folder):
    for _ in range(2):
        status, content = get(url + "versions/17/model.onnx")
        assert status == 200
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["latents"]
    # The folder is the server's alone to read.
    assert not list(folder.rglob("*.onnx"))


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("versions/16/model.onnx", 404, "no version 16"),
        ("versions/..%2f17/model.onnx", 404, "nothing there"),
        ("versions/017/model.onnx", 404, "no version 017"),
        ("versions/19/model.onnx", 422, "rows of a table"),
        ("versions/20/model.onnx", 500, ""),
        ("nothing", 404, "/nothing: nothing there"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(url, path, status, reason):
    found, content = get(url + path)

    error = json.loads(content)["error"]
    assert found == status
    assert reason in error
    assert "\n" not in error
    assert "Traceback" not in error


def test_two_versions_are_compared_on_the_same_seeds(url, folder, browser):
    generators = {name: Generator.load(str(folder / name)) for name in ("17", "18")}
    samples = {name: each.sample(row_seeds(3, 64)) for name, each in generators.items()}
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(url + "#seed=3&version=18")
    wait(lambda: browser.execute_script(SETTLED))
    assert browser.find_element(By.TAG_NAME, "h1").text == "Two & more"
    assert near(browser.execute_script(GREYS, "#grid canvas"), samples["18"])

    Select(browser.find_element(By.ID, "other")).select_by_value("17")
    wait(lambda: browser.find_element(By.ID, "other-figure").is_displayed())
    wait(lambda: browser.execute_script(SETTLED))
    assert near(browser.execute_script(GREYS, "#grid canvas"), samples["18"])
    assert near(browser.execute_script(GREYS, "#other-grid canvas"), samples["17"])
    Select(browser.find_element(By.ID, "version")).select_by_value("17")
    wait(lambda: near(browser.execute_script(GREYS, "#grid canvas"), samples["17"]))
    wait(lambda: "version=17" in browser.current_url)
    Select(browser.find_element(By.ID, "other")).select_by_value("")
    wait(lambda: not browser.find_element(By.ID, "other-figure").is_displayed())
    # Both FIDs, and why the table is not among the versions.
    assert "17: 20; " in browser.find_element(By.CSS_SELECTOR, ".chart").accessible_name
    assert "rows of a table" in browser.find_element(By.ID, "left-out").text
    assert browser.get_log("browser") == []

    # A version that cannot be read is said, and the last one stays.
    Select(browser.find_element(By.ID, "version")).select_by_value("20")
    wait(lambda: browser.find_element(By.ID, "problem").is_displayed())
    assert near(browser.execute_script(GREYS, "#grid canvas"), samples["17"])
    Select(browser.find_element(By.ID, "version")).select_by_value("18")
    wait(lambda: near(browser.execute_script(GREYS, "#grid canvas"), samples["18"]))
    assert not browser.find_element(By.ID, "problem").is_displayed()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "tfx-gan: nowhere: no such folder\n"),
        ([".", "--host", "192.0.2.1"], "name another --host or --port\n"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(arguments, reason):
    result = CliRunner().invoke(cli.main, ["studio", *arguments])

    assert result.exit_code == 1
    assert result.output.endswith(reason)
    assert result.output.count("\n") == 1
