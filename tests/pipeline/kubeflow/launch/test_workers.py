"""The stage with real workers: processes on loopback, as the job's pods."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from components.data import examples
from pipeline.kubeflow.launch import launcher
from pipeline.kubeflow.launch.cluster import JobError
from pipeline.kubeflow.launch.exchange import Exchange

# It starts two processes, which import TensorFlow and TFX.
pytestmark = pytest.mark.timeout(600)


def container_of(job):
    pod = job["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return container


def run_pods(api, job, errors):
    """Runs the pods of a JobSet, and ends it."""
    container = container_of(job)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in listeners]
    for each in listeners:
        each.close()
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    started = []
    for index in range(2):
        # Pods have a host each, and processes only a port.
        task = {"type": "worker", "index": index}
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": task})
        own = {"JOB_COMPLETION_INDEX": str(index), "TF_CONFIG": cluster, "PATH": path}
        process = subprocess.Popen(
            container["command"],
            env={**os.environ, **given, **own},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
    errors += [each.communicate()[1] for each in started]
    failed = any(each.returncode for each in started)
    api.end(job, "Failed" if failed else "Completed")


def test_two_workers_learn_and_the_chiefs_outputs_are_the_stages(pod, api):
    sgd = {"name": "sgd", "learning_rate": 0.01}
    pod.configure(
        images=120,
        batch_size=12,
        latent_dim=8,
        networks={"generator": "mlp", "discriminator": "mlp", "width": 16},
        quality={"every_images": None},
        generator_optimizer=sgd,
        discriminator_optimizer=sgd,
        checkpoint_every_images=60,
        wait_for_workers_minutes=3,
    )
    anomalies = pod.given["inputs"]["artifacts"]["anomalies"]["artifacts"][0]
    anomalies["metadata"] = {"split_names": '["train"]', "blessed_train": 1}
    split = pod.staged("examples") / "Split-train"
    split.mkdir()
    with tf.io.TFRecordWriter(str(split / "data.gz"), options="GZIP") as writer:
        for number, image in enumerate(load_digits().images[:100, :, :, None].astype("uint8")):
            record = examples.to_example(examples.from_array(image, f"digits#{number}"))
            writer.write(record.SerializeToString())

    errors = []

    def start(job):
        # What a chief leaves that is lost after its first export; all start again.
        folder = container_of(job)["command"][-1]
        left = Path(Exchange(folder).command_of(0).given["outputs"]["outputFile"]).parent
        (left / "model_run" / "untrained").mkdir(parents=True)
        threading.Thread(target=run_pods, args=(api, job, errors), daemon=True).start()

    api.start_job = start
    try:
        launcher.main(pod.arguments(), pod.environ(), pod.account, seconds=0.2)
    except JobError:
        pytest.fail("\n".join(each[-3000:] for each in errors))

    assert (pod.staged("model") / "Format-Serving" / "saved_model.pb").exists()
    log = (pod.staged("model_run") / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["images"] == 120
    # The other worker has left nothing.
    assert not list(pod.volume.glob("jobs/*/workers/1/model*/*"))
    assert not list(pod.volume.glob("jobs/*/inputs"))
    result = pod.result()["artifacts"]["model"]["artifacts"][0]
    assert result["uri"].startswith("minio://")
    assert result["metadata"]["code_version"]
