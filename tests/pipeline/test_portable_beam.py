"""The Beam stages on a job service and workers that are processes of their own, as on a cluster."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline import config
from pipeline.runners import local

DIGITS = Path(__file__).parents[2] / "data" / "digits"
SERVICE = "apache_beam.runners.portability.local_job_service_main"
WORKERS = "apache_beam.runners.worker.worker_pool_main"


def _knows_itself():
    try:
        return bool(socket.getaddrinfo(socket.getfqdn(), None))
    except socket.gaierror:
        return False


def free_port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


@pytest.fixture
def start(tmp_path):
    """Starts a module's command in an empty folder; ends it, with all that it started."""
    started = []
    # The pool starts its workers with the first python on the path.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(module, *arguments):
        folder = tmp_path / module
        folder.mkdir()
        with (tmp_path / f"{module}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=folder,
                env={**os.environ, "PATH": path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield run
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def inspect(tmp_path):
    """Runs the stages that read data; the examples of each split, in no order, and the counts."""
    data = config.load(str(DIGITS / "recipe.yaml"), ["data.drop_duplicates=true"]).data

    def run(name, beam):
        root = tmp_path / name
        root.mkdir()
        told = []
        inspected = local.inspect(data, told.append, beam, str(root))
        assert told[-1].startswith("StatisticsGen done")
        (examples,) = root.glob("artifacts/ImageExampleGen/examples/*")
        found = {}
        for split in ("train", "eval"):
            files = tf.io.gfile.glob(f"{examples}/Split-{split}/*")
            found[split] = sorted(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
            assert inspected.statistics[split].datasets[0].num_examples == len(found[split])
        return found, Path(examples, "counts.json").read_text()

    return run


@pytest.mark.skipif(not _knows_itself(), reason="Beam's workers look for this machine by name")
def test_workers_of_their_own_make_the_same_examples(start, inspect, tmp_path):
    port_file, workers = tmp_path / "port", f"localhost:{free_port()}"
    service = start(SERVICE, "--port_file", port_file, "--staging_dir", tmp_path / "staging")
    start(WORKERS, "--service_port", workers.partition(":")[2])
    while not (port_file.exists() and port_file.read_text()):
        assert service.poll() is None, (tmp_path / f"{SERVICE}.log").read_text()[-2000:]
        time.sleep(0.1)
    beam = [
        "--runner=PortableRunner",
        f"--job_endpoint=localhost:{port_file.read_text()}",
        "--environment_type=EXTERNAL",
        f"--environment_config={workers}",
        "--sdk_container_image=none",
    ]
    there, here = inspect("there", beam), inspect("here", config.LOCAL_BEAM)

    assert there == here
    assert [len(split) for split in here[0].values()] == [1497, 300]
