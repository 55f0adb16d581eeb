"""A stand-in for the Kubernetes API, and for the pod that the trainer stage is launched from."""

import copy
import datetime
import http.server
import ipaddress
import json
import os
import re
import ssl
import threading
from pathlib import Path

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.trainer.component import trainer_version
from components.trainer.config import TrainerConfig
from pipeline import config
from pipeline.kubeflow import entry_point
from pipeline.kubeflow.launch import trainer_stage

TOKEN = "the-token"
RUN = "44444444-4444-4444-8444-444444444444"
DIGITS = Path(__file__).parents[4] / "data" / "digits" / "recipe.yaml"
GOLDEN = Path(__file__).parents[2] / "rehearsal" / "golden" / "2.17.json"
_PATH = re.compile(
    r"/apis/(?P<group>[^/]+)/[^/]+/namespaces/team/(?P<plural>[^/?]+)(/(?P<name>[^?]+))?"
)


class KubernetesAPI:
    """Keeps objects, as the API server and the controllers behind it do.

    Attributes:
      created: the manifests in the order in which they came.
      requests: (verb, plural) of each request.
      forbidden: verbs that the service account may not use.
      denied: why nothing is admitted.
      answers: codes of the next answers, which come before any work.
      start_job: is given each new job.
    """

    def __init__(self, folder, crds):
        self.created, self.requests, self.forbidden, self.answers = [], [], set(), []
        self.denied = None
        self.known = {"jobset.x-k8s.io", "trainer.kubeflow.org"}
        self.start_job = lambda job: None
        self._crds = crds
        self._objects = {}
        self._folder = folder
        self.port = 0
        self.start()

    def start(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.api = self
        self.port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def jobs(self):
        return [each for each in self._objects.values() if each["kind"] in ("JobSet", "TrainJob")]

    def end(self, job, kind, message="all is done"):
        conditions = job.setdefault("status", {}).setdefault("conditions", [])
        conditions.append({"type": "Suspended", "status": "False"})
        conditions.append({"type": kind, "status": "True", "message": message})

    def answer(self, verb, path, body):
        """Code and content."""
        match = _PATH.match(path)
        plural, name = match["plural"], match["name"]
        self.requests.append((verb, plural))
        if self.answers:
            return self.answers.pop(0), {}
        if verb in self.forbidden:
            return 403, {"message": f'{plural} is forbidden: User "x" cannot {verb} resource\nhere'}
        if verb == "create" and self.denied:
            return 403, {"message": self.denied}
        if match["group"] not in self.known:
            return 404, {}
        if verb == "create":
            return self._create(plural, json.loads(body))
        found = self._objects.get((plural, name))
        if found is None:
            return 404, {"message": f'{plural} "{name}" not found'}
        if verb == "delete":
            assert json.loads(body)["propagationPolicy"] == "Foreground"
            found["metadata"]["deletionTimestamp"] = "2026-11-29T00:00:00Z"
        elif "deletionTimestamp" in found["metadata"]:
            # It is there until its pods are gone.
            self._objects.pop((plural, name))
        return 200, found

    def _create(self, plural, manifest):
        key = plural, manifest["metadata"]["name"]
        if key in self._objects:
            return 409, {"message": "already exists"}
        if self._crds:
            schema = self._crds[manifest["kind"], manifest["apiVersion"].split("/")[1]]
            try:
                jsonschema.Draft7Validator(schema).validate(manifest)
            except jsonschema.ValidationError as error:
                return 422, {"message": error.message}
        self.created.append(copy.deepcopy(manifest))
        self._objects[key] = manifest
        if manifest in self.jobs():
            self.start_job(manifest)
        return 201, manifest


class _Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self, verb):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") == f"bearer {TOKEN}":
            code, content = self.server.api.answer(verb, self.path, body)
        else:
            code, content = 401, {"message": "Unauthorized"}
        text = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self._answer("get")

    def do_POST(self):
        self._answer("create")

    def do_DELETE(self):
        self._answer("delete")

    def log_message(self, *_):
        pass


def _certificate(name, key, issuer_key, extension):
    """Of an authority, or signed by it; without the key identifiers that many clusters' lack."""
    now = datetime.datetime.now(datetime.timezone.utc)
    subject, issuer = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)])
        for each in (name, "authority")
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=True)
        .sign(issuer_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def _certify(folder):
    """The authority's certificate, and the server's for 127.0.0.1 with its key."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    ca = x509.BasicConstraints(ca=True, path_length=None)
    key = server.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.crt").write_bytes(_certificate("authority", authority, authority, ca))
    (folder / "server.pem").write_bytes(key + _certificate("api", server, authority, address))


@pytest.fixture
def account(tmp_path):
    """The folder of a service account."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    _certify(folder)
    (folder / "token").write_text(TOKEN)
    (folder / "namespace").write_text("team\n")
    return folder


@pytest.fixture
def api(account, crds):
    api = KubernetesAPI(account, crds)
    yield api
    api.stop()


class Pod:
    """The pod of the trainer stage, with what the launcher staged to it.

    Attributes:
      disk: the launcher's folders.
      volume: what all pods mount.
    """

    def __init__(self, folder, api, account):
        self.disk, self.volume, self.account = folder / "disk", folder / "volume", account
        self._api = api
        golden = json.loads(GOLDEN.read_text())["GANTrainer"]
        self.given = copy.deepcopy(golden["executor_input"])
        self.spec = golden["component_spec"]["inputDefinitions"]
        self.given["inputs"]["artifacts"].pop("extractor")
        # The real one is below the root, which the staged folders of a test are not.
        self.given["outputs"]["outputFile"] = f"{self.disk}/output_metadata.json"
        self.configure()
        for name in ("examples", "anomalies"):
            self.staged(name).mkdir(parents=True)

    def configure(self, **changes):
        values = self.given["inputs"]["parameterValues"]
        settings = TrainerConfig(**{**json.loads(values["config"]), **changes})
        values["config"] = settings.model_dump_json()
        values["code_version"] = trainer_version(settings)
        values["checkpoint_dir"] = f"{self.volume}/checkpoints"

    def staged(self, name):
        """The folder of an artifact."""
        side = "inputs" if name in self.given["inputs"]["artifacts"] else "outputs"
        (artifact,) = self.given[side]["artifacts"][name]["artifacts"]
        return Path(entry_point.staged(artifact["uri"]))

    def environ(self, kind="jobset"):
        recipe = config.load(str(DIGITS), ["kubeflow.volumes=[{claim: gan, mount: /mnt/gan}]"])
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self._api.port),
            entry_point.STAGE: "GANTrainer",
            entry_point.OUTCOMES: f"{self.volume}/outcomes",
            entry_point.RUN: RUN,
            trainer_stage.JOB: trainer_stage.job(recipe, "i:1", None, 2, kind, str(self.volume)),
        }

    def arguments(self):
        executor = "components.trainer.component.GANTrainer_Executor"
        return entry_point.Command(executor, self.given, self.spec, []).arguments()

    def result(self):
        return json.loads(Path(self.given["outputs"]["outputFile"]).read_text())

    def words(self):
        path = self.volume / "outcomes" / RUN / "failures" / "GANTrainer"
        return path.read_text() if path.exists() else None


@pytest.fixture
def pod(tmp_path, api, account, monkeypatch):
    staged = {scheme: f"{tmp_path}/disk{path}" for scheme, path in entry_point._STAGED.items()}
    monkeypatch.setattr(entry_point, "_STAGED", staged)
    # Nothing of the machine's own cluster.
    for name in [name for name in os.environ if name.startswith("KUBERNETES_")]:
        monkeypatch.delenv(name)
    return Pod(tmp_path, api, account)
