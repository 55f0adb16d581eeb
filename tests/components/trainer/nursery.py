"""Processes that have imported the stage already, each in a network namespace of its own.

Importing TensorFlow and TFX takes longer than what the tests of several workers do with them. So
this program does it once, and then forks a process for each order that it reads, one JSON object a
line: {"start": {"address": "10.7.0.1" or null, "stderr": file, "environment": {...}, "stage":
[arguments of `run_stage`]}} gives a process id, {"poll": id} its exit code or null, {"link": id,
"state": "up" or "down"} pulls the plug of its network or puts it in. Each is answered by a line.

The addresses need a network namespace for this program itself (`unshare --net`): it has the bridge.
"""

import ctypes
import json
import os
import subprocess
import sys

from tfx.types import artifact_utils, standard_artifacts

from components.data.spec import DataSpec
from components.trainer.component import GANTrainer
from components.trainer.config import TrainerConfig

_CLONE_NEWNET = 0x40000000
_BRIDGE = "bridge"


def run_stage(config, examples, anomalies, out, checkpoints):
    """The stage as a container runs it."""

    def artifact(kind, uri):
        made = kind()
        made.uri = uri
        return made

    inputs = {
        "examples": [artifact(standard_artifacts.Examples, examples)],
        "anomalies": [artifact(standard_artifacts.ExampleAnomalies, anomalies)],
    }
    for each in inputs.values():
        each[0].split_names = artifact_utils.encode_split_names(["train"])
    inputs["anomalies"][0].set_int_custom_property("blessed_train", 1)
    outputs = {
        "model": [artifact(standard_artifacts.Model, out + "/model")],
        "model_run": [artifact(standard_artifacts.ModelRun, out + "/model_run")],
    }
    properties = {
        "config": TrainerConfig(**config).model_dump_json(),
        "checkpoint_dir": checkpoints,
        "code_version": "1",
        "data": DataSpec(image_shape=(8, 8, 1)).model_dump_json(),
    }
    GANTrainer.EXECUTOR_SPEC.executor_class().Do(inputs, outputs, properties)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def enter_namespace(address):
    """Gives this process a network of its own, plugged into the bridge of its parent's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    ip("link", "set", "lo", "up")
    ip(*f"link add name eth0 type veth peer name v{os.getpid()} netns {os.getppid()}".split())
    ip("address", "add", f"{address}/16", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    nsenter = ["nsenter", f"--net=/proc/{os.getppid()}/ns/net"]
    plug = f"ip link set v{os.getpid()} master {_BRIDGE} up".split()
    subprocess.run(nsenter + plug, check=True)


def start(address, stderr, environment, stage):
    """The id of a new process; in it, the arguments of the stage."""
    process = os.fork()
    if process:
        return process, None
    os.environ.update(environment)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    if address:
        enter_namespace(address)
    return 0, stage


def poll(process):
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def serve():
    """Answers orders; returns in the processes that it has started."""
    for line in sys.stdin:
        order = json.loads(line)
        answer = None
        if "start" in order:
            answer, stage = start(**order["start"])
            if not answer:
                return stage
        elif "poll" in order:
            answer = poll(order["poll"])
        else:
            ip("link", "set", f"v{order['link']}", order["state"])
        print(json.dumps(answer), flush=True)
    sys.exit()


if __name__ == "__main__":
    if sys.argv[1:] == ["bridge"]:
        ip("link", "set", "lo", "up")
        ip("link", "add", "name", _BRIDGE, "type", "bridge")
        ip("link", "set", _BRIDGE, "up")
    print("null", flush=True)
    # Only a process of the stage comes back, and ends as any program does.
    run_stage(*serve())
