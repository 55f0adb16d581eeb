"""`tfx-gan submit`, against a server that answers as Kubeflow Pipelines' API describes itself."""

import http.server
import json
import socket
import threading
import urllib.parse
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import config
from pipeline.cli import cluster
from pipeline.kubeflow import compiling

DIGITS = Path(__file__).parents[3] / "data" / "digits" / "recipe.yaml"
API = "/apis/v2beta1"
EXPERIMENT = {"experiment_id": "e1", "display_name": "Default", "namespace": ""}


class Api(http.server.BaseHTTPRequestHandler):
    """Health, experiments and runs; keeps what it was sent."""

    def do_GET(self):  # noqa: N802
        path = urllib.parse.urlsplit(self.path).path
        self.server.tokens.append(self.headers.get("Authorization"))
        answers = {
            f"{API}/healthz": {"multi_user": False},
            f"{API}/experiments": {"experiments": [EXPERIMENT], "total_size": 1},
        }
        self._answer(200 if path in answers else 404, answers.get(path, {}))

    def do_POST(self):  # noqa: N802
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith(f"{API}/experiments"):
            self._answer(200, EXPERIMENT)
        elif self.server.refuse:
            self._answer(400, {"error": "pipeline spec is invalid", "code": 3})
        else:
            self.server.runs.append(sent)
            self._answer(200, {**sent, "run_id": "r1", "state": "PENDING"})

    def _answer(self, code, content):
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.runs, server.tokens, server.refuse = [], [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("compiled") / "pipeline.yaml")
    recipe = config.load(str(DIGITS), ["kubeflow.volumes=[{claim: gan, mount: /mnt/gan}]"])
    compiling.compile_recipe(recipe, image="i:1", root="minio://b/v2", out=out)
    return out


@pytest.fixture
def submit(compiled, monkeypatch, tmp_path):
    # Where the SDK remembers what it was told last.
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments):
        return CliRunner().invoke(cluster.submit, [compiled, *arguments])

    return run


def url(server):
    return f"http://127.0.0.1:{server.server_port}"


def test_a_run_is_started_with_both_documents_and_its_settings(submit, api, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    result = submit(
        *("--host", url(api), "--root", "s3://b/root", "--token-file", str(token)),
        *("--parameter", "images=5000", "--parameter", "data_path=/mnt/gan/digits"),
    )

    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"{url(api)}/#/runs/details/r1"
    (run,) = api.runs
    assert run["runtime_config"]["pipeline_root"] == "s3://b/root"
    sent = run["runtime_config"]["parameters"]
    assert sent == {"images": 5000, "data_path": "/mnt/gan/digits"}
    spec = run["pipeline_spec"]
    assert spec["pipeline_spec"]["pipelineInfo"]["name"] == "digits"
    assert spec["platform_spec"]["platforms"]["kubernetes"]
    assert api.tokens[0] == "Bearer secret"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--parameter", "image=5"], "parameter image: the pipeline has no such parameter; known"),
        (["--parameter", "images=many"], "images"),
    ],
)
def test_parameters_are_checked_before_anything_is_sent(submit, api, given, message):
    result = submit("--host", url(api), *given)
    assert result.exit_code == 1
    assert message in result.output
    assert api.runs == api.tokens == []


def test_a_refusal_is_one_line_with_the_servers_words(submit, api):
    api.refuse = True
    result = submit("--host", url(api))
    assert result.exit_code == 1
    assert "refused the run: " in result.output
    assert "pipeline spec is invalid" in result.output


def test_nobody_there(submit):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = submit("--host", host)
    assert result.exit_code == 1
    assert f"{host}: no answer" in result.output
    assert "port-forward" in result.output


def test_another_server(submit, api):
    result = submit("--host", f"{url(api)}/elsewhere")
    assert result.exit_code == 1
    assert "answers 404 Not Found; it has to be the URL of Kubeflow Pipelines" in result.output


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "either --host"),
        (["--host", "http://a", "--project", "p"], "either --host"),
        (["--project", "p"], "needs --root"),
    ],
)
def test_where_to_has_to_be_said(submit, given, message):
    result = submit(*given)
    assert result.exit_code == 2
    assert message in result.output


def test_vertex_without_credentials(submit, monkeypatch):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)
    result = submit("--project", "p", "--root", "gs://b/root")
    assert result.exit_code == 1
    assert "p: no credentials for Google Cloud: " in result.output
    assert "gcloud auth application-default login" in result.output
