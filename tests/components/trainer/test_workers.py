"""The stage with several workers: real processes on loopback, killed, restarted, and compared."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import tensorflow as tf

from components.data import examples

# Each attempt starts two or three processes, which import TensorFlow and TFX.
pytestmark = pytest.mark.timeout(2400)

# Long enough that a signal finds it in the middle.
STEPS = 400
EVERY = 20

# The executor of the stage, as a container runs it. Each attempt has its own copy of the examples
# and its own outputs, as each run of a cluster has.
STAGE = """
    import json, sys
    from tfx.types import artifact_utils, standard_artifacts
    from components.data.spec import DataSpec
    from components.trainer.component import GANTrainer
    from components.trainer.config import TrainerConfig

    examples, anomalies, out, checkpoints, changes = sys.argv[1:]
    # Faster, rounding would tip an activation over the kink of a ReLU: after 250 steps at .05, one
    # and two machines were 4e-7 apart and then 3e-4, with TensorFlow 2.21.
    sgd = {"name": "sgd", "learning_rate": 0.01}
    config = TrainerConfig(**{
        "networks": {"generator": "mlp", "discriminator": "mlp", "width": 16}, "latent_dim": 8,
        "batch_size": 12, "quality": {"every_images": None}, "grid_every_images": 10**9,
        "generator_optimizer": sgd, "discriminator_optimizer": sgd,
        "log_every_images": 10**9, "wait_for_workers_minutes": 3, **json.loads(changes)})

    def artifact(kind, uri):
        made = kind()
        made.uri = uri
        return made

    inputs = {"examples": [artifact(standard_artifacts.Examples, examples)],
              "anomalies": [artifact(standard_artifacts.ExampleAnomalies, anomalies)]}
    for each in inputs.values():
        each[0].split_names = artifact_utils.encode_split_names(["train"])
    inputs["anomalies"][0].set_int_custom_property("blessed_train", 1)
    outputs = {"model": [artifact(standard_artifacts.Model, out + "/model")],
               "model_run": [artifact(standard_artifacts.ModelRun, out + "/model_run")]}
    GANTrainer.EXECUTOR_SPEC.executor_class().Do(inputs, outputs, {
        "config": config.model_dump_json(), "checkpoint_dir": checkpoints, "code_version": "1",
        "data": DataSpec(image_shape=(8, 8, 1)).model_dump_json()})
"""


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


class Run:
    """Attempts of one training."""

    def __init__(self, folder, digits):
        self.folder = folder
        folder.mkdir()
        self._digits = digits
        self._attempts = 0
        (folder / "stage.py").write_text(textwrap.dedent(STAGE))

    def start(self, workers, changes=None, only=None):
        """The processes of one attempt, by index."""
        self._attempts += 1
        attempt = self.folder / f"attempt-{self._attempts}"
        split = attempt / "examples" / "Split-train"
        split.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(split / "data.gz"), options="GZIP") as writer:
            for n, image in enumerate(self._digits[:100]):
                record = examples.to_example(examples.from_array(image, f"digits#{n}"))
                writer.write(record.SerializeToString())
        addresses = free_addresses(workers)
        started = {}
        for index in range(workers) if only is None else only:
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            if workers > 1:
                task = {"type": "worker", "index": index}
                environment["TF_CONFIG"] = json.dumps(
                    {"cluster": {"worker": addresses}, "task": task}
                )
            # Each worker could write to outputs of its own, and must not.
            self.outputs = attempt
            arguments = [attempt / "examples", attempt / "anomalies", attempt / f"out-{index}"]
            arguments += [self.folder / "checkpoints"]
            options = json.dumps(
                {"images": STEPS * 12, "checkpoint_every_images": EVERY * 12, **(changes or {})}
            )
            started[index] = subprocess.Popen(
                [sys.executable, self.folder / "stage.py", *arguments, options],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        return started

    def wait_for_step(self, step, processes):
        """Waits until a checkpoint of `step` or later is there."""
        while self.latest() < step:
            for process in processes.values():
                assert process.poll() is None, process.communicate()[1][-3000:]
            time.sleep(0.02)

    def latest(self):
        found = (self.folder / "checkpoints").glob("*/checkpoints/ckpt-*.index")
        return max((int(path.stem.split("-")[1]) for path in found), default=0)

    def weights(self):
        """The variables of the last checkpoint."""
        (folder,) = (self.folder / "checkpoints").glob("*/checkpoints")
        reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
        names = sorted(reader.get_variable_to_shape_map())
        assert int(reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE")) == STEPS
        return {name: reader.get_tensor(name) for name in names if "generator/" in name}


def finish(processes, timeout=400):
    """Exit codes and standard error of all, by index."""
    try:
        errors = {index: each.communicate(timeout=timeout)[1] for index, each in processes.items()}
    finally:
        for each in processes.values():
            each.kill()
    return {index: each.returncode for index, each in processes.items()}, errors


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert found
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, digits):
    """The weights of the undisturbed training on one machine."""
    run = Run(tmp_path_factory.mktemp("alone") / "run", digits)
    codes, errors = finish(run.start(1))
    assert codes == {0: 0}, errors[0][-3000:]
    return run.weights()


@pytest.fixture
def run(tmp_path, digits):
    return Run(tmp_path / "run", digits)


# Of one training, in this order: how many workers, who gets which signal, the exit codes, and what
# those say who are told to start again.
ATTEMPTS = [
    (2, 0, signal.SIGTERM, {0: 75, 1: 75}, r"worker 0: SIGTERM at step .* on all workers resumes"),
    (2, 1, signal.SIGTERM, {0: 75, 1: 75}, r"worker 1: SIGTERM at step .* on all workers resumes"),
    (2, 0, signal.SIGKILL, {0: -9, 1: 75}, r"worker 0 \(127.* is gone; start all workers again"),
    (3, 2, signal.SIGKILL, {0: 75, 1: 75, 2: -9}, r"is gone; start all workers again"),
]


def test_workers_leave_and_all_start_again_to_the_same_weights(run, alone):
    for count, index, number, codes, line in ATTEMPTS:
        before = run.latest()
        processes = run.start(count)
        run.wait_for_step(before + EVERY, processes)
        processes[index].send_signal(number)
        found, errors = finish(processes)
        assert found == codes, errors
        for each in (each for each, code in codes.items() if code == 75):
            assert "Traceback" not in errors[each]
            assert re.search(line, errors[each]), errors[each]
        assert before + EVERY <= run.latest() < STEPS
        assert not list(run.outputs.glob("out-*/model"))

    codes, errors = finish(run.start(2))
    assert codes == {0: 0, 1: 0}, errors
    assert_same(run.weights(), alone)
    # Only the chief has written.
    assert {path.name for path in run.outputs.glob("out-*")} == {"out-0"}
    assert (run.outputs / "out-0" / "model" / "Format-Serving" / "saved_model.pb").exists()
    assert (run.outputs / "out-0" / "model_run" / "log.jsonl").exists()


def test_the_stage_does_not_wait_for_ever_for_a_worker(run):
    codes, errors = finish(run.start(2, {"wait_for_workers_minutes": 0.02}, only=[0]))
    assert codes == {0: 75}, errors
    assert "missing: worker 1 (127.0.0.1:" in errors[0]
    assert "Traceback" not in errors[0]


def test_one_machine_killed_and_started_anew_with_other_artifacts(run, alone):
    processes = run.start(1)
    run.wait_for_step(2 * EVERY, processes)
    time.sleep(np.random.default_rng(os.getpid()).uniform(0, 0.2))
    processes[0].kill()
    assert finish(processes)[0] == {0: -signal.SIGKILL}
    assert run.latest() < STEPS
    codes, errors = finish(run.start(1))
    assert codes == {0: 0}, errors[0][-3000:]
    assert_same(run.weights(), alone)
