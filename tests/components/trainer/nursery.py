"""Processes that have imported the stage already, each in a network namespace of its own.

Importing TensorFlow and TFX takes longer than what the tests of several workers do with them. So
this program does it once, and then forks a process for each order to start one. It reads orders,
one JSON object a line, and answers each by a line:

    {"start": {"do": "run_stage", "arguments": [...], "environment": {...}, "stderr": FILE,
               "address": "10.7.0.1" or null}}    the id of a new process
    {"poll": ID}                                  its exit code, null before it has ended
    {"link": ID, "state": "down" or "up"}         null; its network cable is pulled, or put in

Addresses take `unshare --net` before this program and `bridge` behind it: all namespaces are joined
by a bridge in its own, and go when their processes do.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys

from tfx.types import artifact_utils, standard_artifacts

from components.data.spec import DataSpec
from components.trainer import rendezvous
from components.trainer.component import GANTrainer
from components.trainer.config import TrainerConfig

# <sched.h> and <sys/prctl.h>
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_BRIDGE = "bridge"


def run_stage(config, examples, anomalies, out, checkpoints):
    """The executor of the stage, as a container runs it."""

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


C = ctypes.CDLL(None, use_errno=True)
DO = {"run_stage": run_stage, "meet": rendezvous.meet}


def ip(arguments, namespace_of=None):
    """Runs `ip` here, or in the network namespace of a process."""
    prefix = ["nsenter", f"--net=/proc/{namespace_of}/ns/net"] if namespace_of else []
    subprocess.run([*prefix, "ip", *arguments.split()], check=True)


def enter_namespace(address):
    """Gives this process a network of its own, plugged into the bridge of its parent's."""
    if C.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    plug, parent = f"plug{os.getpid()}", os.getppid()
    ip("link set lo up")
    ip(f"link add name eth0 type veth peer name {plug} netns {parent}")
    ip(f"address add {address}/16 dev eth0")
    ip("link set eth0 up")
    ip(f"link set {plug} master {_BRIDGE} up", namespace_of=parent)


def start(do, arguments, environment, stderr, address):
    """The id of a new process, and in it what to do."""
    process = os.fork()
    if process:
        return process, None
    # After a failed test nobody would end it.
    C.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.update(environment)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    if address:
        enter_namespace(address)
    return 0, lambda: DO[do](*arguments)


def poll(process):
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def serve():
    """Follows orders; returns only in the processes that it starts: what they have to do."""
    for line in sys.stdin:
        order = json.loads(line)
        answer = None
        if "start" in order:
            answer, task = start(**order["start"])
            if task:
                return task
        elif "poll" in order:
            answer = poll(order["poll"])
        else:
            ip(f"link set plug{order['link']} {order['state']}")
        print(json.dumps(answer), flush=True)
    sys.exit()


if __name__ == "__main__":
    if sys.argv[1:] == ["bridge"]:
        ip("link set lo up")
        ip(f"link add name {_BRIDGE} type bridge")
        ip(f"link set {_BRIDGE} up")
    print("null", flush=True)
    # The end of the program, as of any other, is part of what is tested.
    serve()()
