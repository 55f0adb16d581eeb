"""The stage with several workers: real processes, killed, cut off, restarted, and compared.

Each has a network namespace of its own where this machine allows them, else all are on loopback.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from components.data import examples

pytestmark = pytest.mark.timeout(2400)

# Long enough that a signal finds it in the middle.
STEPS = 300
EVERY = 20
# Faster, rounding would tip an activation over the kink of a ReLU: after 250 steps at .05, one
# and two machines were 4e-7 apart and then 3e-4, with TensorFlow 2.21.
SGD = {"name": "sgd", "learning_rate": 0.01}
CONFIG = {
    "networks": {"generator": "mlp", "discriminator": "mlp", "width": 16},
    "latent_dim": 8,
    "batch_size": 12,
    "quality": {"every_images": None},
    "grid_every_images": 10**9,
    "generator_optimizer": SGD,
    "discriminator_optimizer": SGD,
    "log_every_images": 10**9,
    "images": STEPS * 12,
    "checkpoint_every_images": EVERY * 12,
    "wait_for_workers_minutes": 3,
}


def unshare():
    """The command that gives a program a network of its own; None where that is not possible."""
    # In a chroot a user namespace is refused, and root needs none.
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *users, "--net"]
    if not all(shutil.which(name) for name in ("unshare", "nsenter", "ip")):
        return None
    tried = [*command, "ip", "link", "add", "name", "tried", "type", "bridge"]
    return None if subprocess.run(tried, capture_output=True).returncode else command


class Nursery:
    """Orders to `nursery.py`; `cut_off` is whether its processes have cables to pull."""

    def __init__(self):
        command = unshare()
        self.cut_off = bool(command)
        self._attempts = itertools.count(1)
        program = [sys.executable, str(pathlib.Path(__file__).with_name("nursery.py"))]
        command = [*command, *program, "bridge"] if command else program
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)
        assert self.process.stdout.readline() == "null\n"

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def addresses(self, count):
        """Host and port of each worker of an attempt."""
        if self.cut_off:
            # New ones, as a namespace still answers for a while after the end of its process.
            attempt = next(self._attempts)
            return [f"10.7.{attempt}.{index + 1}:2222" for index in range(count)]
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        return found


class Attempt:
    """The workers of one attempt: process ids and files of standard error by index."""

    def __init__(self, nursery, folder):
        self.nursery = nursery
        self.folder = folder
        self.processes = {}
        self.codes = {}

    def start(self, index, address, do, arguments, environment):
        self.processes[index] = self.nursery.order(
            start={
                "do": do,
                "arguments": arguments,
                "environment": {"TF_CPP_MIN_LOG_LEVEL": "3", **environment},
                "stderr": str(self.folder / f"stderr-{index}"),
                "address": address.split(":")[0] if address and self.nursery.cut_off else None,
            }
        )

    def kill(self, index, number):
        os.kill(self.processes[index], number)

    def link(self, index, state):
        self.nursery.order(link=self.processes[index], state=state)

    def errors(self, index):
        return (self.folder / f"stderr-{index}").read_text()

    def running(self):
        for index in self.processes.keys() - self.codes.keys():
            code = self.nursery.order(poll=self.processes[index])
            if code is not None:
                self.codes[index] = code
        return self.processes.keys() - self.codes.keys()

    def finish(self, codes, seconds=400):
        """Waits for the ends of all, and compares their exit codes; returns what they printed."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        for index in self.running():
            self.kill(index, signal.SIGKILL)
        printed = {index: self.errors(index) for index in self.processes}
        assert self.codes == codes, "\n\n".join(text[-3000:] for text in printed.values())
        return printed


class Run:
    """Attempts of one training."""

    def __init__(self, nursery, folder, digits):
        self._nursery = nursery
        self._digits = digits
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self._attempts = itertools.count(1)

    def start(self, workers, changes=None, only=None, checkpoints=None):
        """The workers `only`, by default all; `checkpoints` are other folders, by index."""
        # Each attempt has its own copy of the examples and its own outputs, as each run has.
        folder = self.outputs = self.folder / f"attempt-{next(self._attempts)}"
        split = folder / "examples" / "Split-train"
        split.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(split / "data.gz"), options="GZIP") as writer:
            for n, image in enumerate(self._digits[:100]):
                record = examples.to_example(examples.from_array(image, f"digits#{n}"))
                writer.write(record.SerializeToString())
        attempt = Attempt(self._nursery, folder)
        self.addresses = self._nursery.addresses(workers)
        for index in range(workers) if only is None else only:
            environment = {}
            if workers > 1:
                task = {"type": "worker", "index": index}
                cluster = {"worker": self.addresses}
                environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            # Each worker could write to outputs of its own, and must not.
            own = (checkpoints or {}).get(index, self.checkpoints)
            paths = [folder / "examples", folder / "anomalies", folder / f"out-{index}", own]
            arguments = [{**CONFIG, **(changes or {})}, *map(str, paths)]
            attempt.start(index, self.addresses[index], "run_stage", arguments, environment)
        return attempt

    def wait_for_step(self, step, attempt):
        """Waits until a checkpoint of `step` or later is there."""
        while self.latest() < step:
            attempt.running()
            assert not attempt.codes, [attempt.errors(index)[-3000:] for index in attempt.codes]
            time.sleep(0.02)

    def latest(self):
        found = self.checkpoints.glob("*/checkpoints/ckpt-*.index")
        return max((int(path.stem.split("-")[1]) for path in found), default=0)

    def weights(self):
        """The variables of the last checkpoint."""
        (folder,) = self.checkpoints.glob("*/checkpoints")
        reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
        names = sorted(reader.get_variable_to_shape_map())
        assert int(reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE")) == STEPS
        return {name: reader.get_tensor(name) for name in names if "generator/" in name}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert found
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.process.stdin.close()
    nursery.process.wait(60)


@pytest.fixture
def cables(nursery):
    """Skips where no cable can be pulled."""
    if not nursery.cut_off:
        reason = "network namespaces, nsenter or ip (Debian: iproute2) are not to be had here"
        if os.environ.get("CI") == "true" or os.environ.get("TFX_GAN_NAMESPACES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def alone(nursery, tmp_path_factory, digits):
    """The undisturbed training on one machine."""
    run = Run(nursery, tmp_path_factory.mktemp("alone"), digits)
    run.start(1).finish({0: 0})
    return run


@pytest.fixture
def run(nursery, tmp_path, digits):
    return Run(nursery, tmp_path, digits)


# Of one training, in this order: how many workers, who gets which signal, the exit codes, and what
# those say who are told to start again.
SIGNALS = [
    (2, 0, signal.SIGTERM, {0: 75, 1: 75}, r"worker 0: SIGTERM at step .* on all workers resumes"),
    (2, 1, signal.SIGTERM, {0: 75, 1: 75}, r"worker 1: SIGTERM at step .* on all workers resumes"),
    (
        3,
        0,
        signal.SIGKILL,
        {0: -9, 1: 75, 2: 75},
        r"worker 0 \(1.*is gone; start all workers again",
    ),
    (2, 1, signal.SIGKILL, {0: 75, 1: -9}, r"worker 1 \(1.* is gone; start all workers again"),
]


def assert_told(printed, codes, line):
    for each in (each for each, code in codes.items() if code == 75):
        assert "Traceback" not in printed[each]
        assert re.search(line, printed[each]), printed[each]


def test_workers_leave_and_all_start_again_to_the_same_weights(run, alone):
    for count, index, number, codes, line in SIGNALS:
        before = run.latest()
        attempt = run.start(count)
        run.wait_for_step(before + EVERY, attempt)
        attempt.kill(index, number)
        assert_told(attempt.finish(codes), codes, line)
        assert before + EVERY <= run.latest() < STEPS
        assert not list(run.outputs.glob("out-*/model"))

    run.start(3).finish({0: 0, 1: 0, 2: 0})
    assert_same(run.weights(), alone.weights())
    # Only the chief has written.
    assert {path.name for path in run.outputs.glob("out-*")} == {"out-0"}
    assert (run.outputs / "out-0" / "model" / "Format-Serving" / "saved_model.pb").exists()
    assert (run.outputs / "out-0" / "model_run" / "log.jsonl").exists()


@pytest.mark.usefixtures("cables")
def test_a_short_break_of_the_network_does_not_matter_and_a_long_one_ends_all(run, alone):
    attempt = run.start(3)
    run.wait_for_step(EVERY, attempt)
    attempt.link(2, "down")
    time.sleep(2)
    before = run.latest()
    attempt.link(2, "up")
    run.wait_for_step(before + EVERY, attempt)
    attempt.link(2, "down")
    codes = dict.fromkeys(range(3), 75)
    assert_told(attempt.finish(codes), codes, r"worker \d \(10.* gone; start all workers again")
    assert run.latest() < STEPS

    run.start(2).finish({0: 0, 1: 0})
    assert_same(run.weights(), alone.weights())


def test_the_stage_does_not_wait_for_ever_for_a_worker(run):
    attempt = run.start(2, {"wait_for_workers_minutes": 0.02}, only=[0])
    assert_told(attempt.finish({0: 75}), {0: 75}, r"missing: worker 1 \(1")


@pytest.mark.parametrize("lost", [0, 1])
def test_nor_for_one_that_is_lost_before_tensorflow_has_connected(run, lost):
    kept = 1 - lost
    attempt = run.start(2, {"wait_for_workers_minutes": 0.15}, only=[kept])
    attempt.start(lost, run.addresses[lost], "meet", [run.addresses, lost, 0.15], {})
    codes = {kept: 75, lost: 0}
    assert_told(attempt.finish(codes), codes, rf"worker {lost} \(1.*; start all workers again")


def test_a_worker_that_does_not_see_the_checkpoints_is_refused(run, alone, tmp_path):
    run.checkpoints = alone.checkpoints
    printed = run.start(2, checkpoints={1: tmp_path / "elsewhere"}).finish({0: 1, 1: 1})
    for text in printed.values():
        assert f"ValueError: worker 1 resumes at step 0, the chief at {STEPS}: the folder" in text


def test_one_machine_killed_and_started_anew_with_other_artifacts(run, alone):
    attempt = run.start(1)
    run.wait_for_step(2 * EVERY, attempt)
    time.sleep(np.random.default_rng(os.getpid()).uniform(0, 0.2))
    attempt.kill(0, signal.SIGKILL)
    attempt.finish({0: -signal.SIGKILL})
    assert run.latest() < STEPS
    run.start(1).finish({0: 0})
    assert_same(run.weights(), alone.weights())
