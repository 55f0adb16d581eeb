import json
import os
import re
import socket

import pytest
import tensorflow as tf

from components.trainer import devices

TWO_WORKERS = {"worker": ["a:1", "b:1"]}


@pytest.fixture
def gpus(monkeypatch):
    """Pretends that the machine has a given number of GPUs."""
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: "mirrored")

    def have(count):
        found = [f"GPU:{number}" for number in range(count)]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: found)

    return have


@pytest.fixture
def tf_config(monkeypatch, gpus):
    """Sets TF_CONFIG without joining a cluster."""
    gpus(0)
    monkeypatch.setattr(devices, "_cluster", lambda *place: place)

    def set_config(config):
        text = config if isinstance(config, str) else json.dumps(config)
        monkeypatch.setenv("TF_CONFIG", text)
        return text

    return set_config


@pytest.mark.parametrize(("count", "mirrored"), [(0, False), (1, True), (4, True)])
def test_all_gpus_or_else_the_cpu(gpus, count, mirrored):
    gpus(count)

    assert (devices.strategy() == "mirrored") is mirrored
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


@pytest.mark.parametrize(
    ("cluster", "task", "own"),
    [
        (TWO_WORKERS, {"type": "worker", "index": 1}, 1),
        (TWO_WORKERS, {"type": "worker", "index": "0"}, 0),
        ({"worker": ["b:1"], "chief": ["a:1"]}, {"type": "chief", "index": 0}, 0),
        ({"worker": ["b:1"], "chief": ["a:1"]}, {"type": "worker", "index": 0}, 1),
        ({**TWO_WORKERS, "evaluator": ["c:1"]}, {"type": "worker", "index": 0}, 0),
    ],
)
def test_a_cluster_of_workers_is_joined(tf_config, cluster, task, own):
    tf_config({"cluster": cluster, "task": task})
    assert devices.strategy(wait_minutes=3) == (("a:1", "b:1"), own, 3)


@pytest.mark.parametrize(
    "config",
    [
        "",
        {},
        {"environment": "cloud"},
        {"cluster": {}, "task": {"type": "worker", "index": 0}},
        {"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}},
    ],
)
def test_one_process_alone_uses_its_own_devices(tf_config, config):
    tf_config(config)
    assert devices.strategy() is tf.distribute.get_strategy()


WRONG = {
    "json": ("{cluster", "TF_CONFIG: '{cluster' is not"),
    "list": ([1], r"TF_CONFIG: '\[1\]' is not"),
    "number": ({"cluster": {"worker": 2}}, "is not"),
    "no task": ({"cluster": TWO_WORKERS}, "is not"),
    "index": (
        {"cluster": TWO_WORKERS, "task": {"type": "worker", "index": 2}},
        "TF_CONFIG: task worker 2 is not in the cluster, which has 2 worker",
    ),
    "type": (
        {"cluster": {**TWO_WORKERS, "ps": ["c:1"]}, "task": {"type": "ps", "index": 0}},
        "TF_CONFIG: task ps 0 is not in the cluster, which has 2 worker",
    ),
}


@pytest.mark.parametrize(("config", "message"), WRONG.values(), ids=WRONG)
def test_a_malformed_cluster_is_refused_in_one_line(tf_config, config, message):
    tf_config(config)
    with pytest.raises(ValueError, match=message) as error:
        devices.strategy()
    assert "\n" not in str(error.value)


def test_a_process_on_its_own_is_the_chief():
    assert devices.is_chief(tf.distribute.get_strategy())
    assert devices.is_chief(tf.distribute.MirroredStrategy(["CPU:0"]))


def test_peak_memory_is_what_the_kernel_says():
    with open("/proc/self/status") as status:
        (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read(), re.MULTILINE)
    # The kernel counts pages in batches per thread, so readings differ slightly.
    assert devices.peak_memory_gb() == pytest.approx(int(kib) * 1024 / 1e9, rel=0.05)


def test_peak_memory_includes_the_gpus(monkeypatch):
    without = devices.peak_memory_gb()
    gpus = [tf.config.LogicalDevice(f"/device:GPU:{number}", "GPU") for number in range(2)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    peaks = {"/device:GPU:0": 3_000_000_000, "/device:GPU:1": 500_000_000}
    monkeypatch.setattr(
        tf.config.experimental, "get_memory_info", lambda name: {"peak": peaks[name]}
    )
    assert devices.peak_memory_gb() == pytest.approx(without + 3.5, rel=0.05)


WORKER = """
    import json, sys
    from components.trainer import devices
    strategy = devices.strategy()
    assert devices.strategy() is strategy
    import numpy as np
    from components.trainer.data import sources
    from components.trainer.data.batches import distributed_batches, step_batches

    options = dict(
        batch_size=6, discriminator_steps=2, latent_dim=3, seed=5, first_step=4, with_labels=True)
    numbers = np.arange(40, dtype=np.float32)[:, np.newaxis] / 40
    source = sources.open_source((numbers, np.arange(40)))
    batches = distributed_batches(strategy, source, **options)
    whole = step_batches(source, **options).as_numpy_iterator()
    rank = strategy.cluster_resolver.task_id
    for _ in range(5):
        own, every = next(batches), next(whole)
        for name in ("real", "latents", "labels"):
            (rows,) = strategy.experimental_local_results(own[name])
            np.testing.assert_array_equal(rows, every[name][3 * rank : 3 * rank + 3])
    print(strategy.num_replicas_in_sync, rank, devices.is_chief(strategy))
"""


def free_ports(count):
    """Free ports of 127.0.0.1."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_each_of_two_processes_has_its_rows_of_the_global_batch(run_python):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    workers = []
    for index in range(2):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        workers.append(run_python(WORKER, environment={"TF_CONFIG": json.dumps(config)}))
    for index, worker in enumerate(workers):
        output, errors = worker.communicate(timeout=240)
        assert worker.returncode == 0, errors[-2000:]
        assert re.search(rf"^2 {index} {index == 0}$", output, re.MULTILINE)
