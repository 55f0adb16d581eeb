"""`tfx-gan serve` as a process."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
import tensorflow as tf
from click.testing import CliRunner

from pipeline import cli


class Model(tf.Module):
    """Half of x; `wait` computes until there is a file."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def half(self, x):
        return {"y": 0.5 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="path")])
    def wait(self, path):
        def look(_):
            return (tf.size(tf.io.matching_files(path)) > 0,)

        return {"y": tf.while_loop(tf.logical_not, look, [tf.constant(False)])[0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    model, folder = Model(), tmp_path_factory.mktemp("serving")
    signatures = {"serving_default": model.half, "wait": model.wait}
    tf.saved_model.save(model, str(folder / "17"), signatures=signatures)
    return folder


@contextlib.contextmanager
def running(*arguments):
    """The process and the URL of its model."""
    command = [sys.executable, "-m", "pipeline.cli", "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        while not lines or not lines[-1].startswith("http"):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        yield process, lines[-1].strip()
    finally:
        process.kill()
        process.communicate()


def call(url, document=None, **headers):
    body = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return json.load(answer)


def test_sigterm_ends_it_when_the_requests_in_flight_are_answered(folder, tmp_path):
    with running(folder, "--name", "half") as (process, url):
        assert call(f"{url}:predict", {"instances": [3]}) == {"predictions": [1.5]}
        document = {"signature_name": "wait", "inputs": [f"{tmp_path}/go"]}
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call(f"{url}:predict", document)))
        thread.start()
        metrics = url.replace("v1/models/half", "metrics")
        in_progress = b"tfx_gan_requests_in_progress 1.0"
        while in_progress not in urllib.request.urlopen(metrics).read():
            pass
        process.send_signal(signal.SIGTERM)
        # New ones find nobody, or are reset while they wait to be accepted.
        with pytest.raises(OSError):
            while True:
                call(url)
        assert not answers
        (tmp_path / "go").touch()
        thread.join()
        assert answers == [{"outputs": True}]
        assert process.stderr.read().splitlines()[-1] == "ended"
        assert process.wait() == 0


def test_a_token_of_a_file_and_a_label(folder, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    arguments = [folder, "--token-file", tmp_path / "token", "--label", "stable=17"]
    with running(*arguments) as (_, url):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            call(url)
        headers = {"Authorization": "Bearer secret"}
        document = {"instances": [3]}
        answer = call(f"{url}/labels/stable:predict", document, **headers)
        assert answer == {"predictions": [1.5]}


def refused(*arguments):
    result = CliRunner().invoke(cli.main, ["serve", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_port_that_is_taken_is_told_in_a_line(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = refused(folder, "--port", port)
    assert (code, output) == (
        1,
        f"tfx-gan: 127.0.0.1:{port}: Address already in use; name another --host or --port\n",
    )


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (lambda path: None, [], "no such folder"),
        (lambda path: path.mkdir(), [], "no version to serve"),
        (lambda path: None, ["--host", "no.such.host.invalid"], "name another --host or --port"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(tmp_path, make, arguments, words):
    make(tmp_path / "serving")
    code, output = refused(tmp_path / "serving", "--port", 0, *arguments)

    assert (code, output.count("\n"), words in output) == (1, 1, True), output


def test_an_empty_token_is_refused(folder, tmp_path):
    (tmp_path / "token").write_text("\n")
    code, output = refused(folder, "--token-file", tmp_path / "token")
    assert (code, "expected a token" in output) == (1, True)


@pytest.mark.parametrize("label", ["stable", "stable=new", "=17"])
def test_a_label_has_a_version(folder, label):
    code, output = refused(folder, "--label", label)
    assert (code, "expected LABEL=VERSION" in output) == (2, True)


def test_an_extra_that_is_not_installed_is_told(folder, monkeypatch):
    for name in list(sys.modules):
        if name.startswith("components.serving.server"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, output = refused(folder)

    assert (code, output) == (
        1,
        "tfx-gan: serve needs uvicorn, which is not installed: pip install 'tfx-gan[serve]'\n",
    )
