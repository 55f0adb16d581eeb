"""Runs a command as one of several workers: TF_CONFIG from what Kubernetes tells each pod.

    python -m pipeline.kubeflow.workers -- COMMAND [ARGUMENT ...]

The same image works under TFJob, which sets TF_CONFIG itself, and under everything that makes an
Indexed Job with a headless service: Job, JobSet, TrainJob. Kubeflow Trainer has no TensorFlow
plugin; its answer is that the user sets TF_CONFIG (kubeflow/trainer#2699).
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence

# Set by Kubernetes in each pod of an Indexed Job.
INDEX = "JOB_COMPLETION_INDEX"
# Written into the manifests of `jobs`.
WORKERS = "TFX_GAN_WORKERS"
HOST = "TFX_GAN_WORKER_HOST"
PORT = "TFX_GAN_WORKER_PORT"
JOBSET_NAME = "JOBSET_NAME"

# Where the number of workers may stand, first come first served; the second is Trainer's torch
# plugin's, for those who train under a runtime of that plugin.
_COUNTS = (WORKERS, "PET_NNODES")
_TF_CONFIG = "TF_CONFIG"
_DEFAULT_PORT = "2222"
_USAGE = "usage: python -m pipeline.kubeflow.workers -- COMMAND [ARGUMENT ...]"
_USAGE_EXIT_CODE = 2


def tf_config(environ: Mapping[str, str]) -> str | None:
    """TF_CONFIG for this pod; None for one that trains alone.

    Args:
      environ: the pod's environment variables:
        TF_CONFIG is kept as it is;
        TFX_GAN_WORKERS (or PET_NNODES), the number of workers;
        JOB_COMPLETION_INDEX, this worker's index, set by Kubernetes in each pod of an Indexed Job;
        JOBSET_NAME, for the hosts `<name>-node-0-<index>.<name>` of a JobSet or TrainJob whose
        workers are the replicated job `node`; or TFX_GAN_WORKER_HOST, any other form of the
        hosts, such as `digits-{index}.digits` for a Job with a headless service;
        TFX_GAN_WORKER_PORT, default 2222.

    Raises:
      ValueError: if a variable is missing or malformed; one line that names it.
    """
    if environ.get(_TF_CONFIG):
        return environ[_TF_CONFIG]
    counts = [name for name in _COUNTS if environ.get(name)]
    if not counts:
        return None
    count = _number(environ, counts[0], at_least=1)
    if count == 1:
        return None
    index = _number(environ, INDEX, at_least=0)
    if index >= count:
        raise ValueError(f"{INDEX}: {index}, but {counts[0]} is {count}; make them agree")
    host = _host(environ)
    port = _number({PORT: environ.get(PORT) or _DEFAULT_PORT}, PORT, at_least=1)
    addresses = [f"{host.replace('{index}', str(each))}:{port}" for each in range(count)]
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def _host(environ: Mapping[str, str]) -> str:
    """The hosts' names, with `{index}` for the index."""
    host = environ.get(HOST)
    if host:
        if "{index}" not in host:
            raise ValueError(f"{HOST}: {host!r} has no {{index}}, e.g. digits-{{index}}.digits")
        return host
    name = environ.get(JOBSET_NAME)
    if name:
        return f"{name}-node-0-{{index}}.{name}"
    raise ValueError(
        f"{JOBSET_NAME}: not set; set it to the name of the JobSet or TrainJob, or {HOST} to the "
        "workers' host names, e.g. digits-{index}.digits"
    )


def _number(environ: Mapping[str, str], name: str, at_least: int) -> int:
    text = environ.get(name, "")
    if not text:
        raise ValueError(
            f"{name}: not set; Kubernetes sets it in a Job with completionMode Indexed"
        )
    if not text.isdecimal() or int(text) < at_least:
        raise ValueError(f"{name}: {text!r}, expected a whole number of {at_least} or more")
    return int(text)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Becomes the command; returns an exit code only if that is impossible."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print(_USAGE, file=sys.stderr)
        return _USAGE_EXIT_CODE
    try:
        config = tf_config(environ)
        # In place, so that signals reach the command and its exit code is the pod's.
        os.execvpe(
            command[0], list(command), {**environ, **({_TF_CONFIG: config} if config else {})}
        )
    except (ValueError, OSError) as error:
        reason = f"{command[0]}: {error.strerror}" if isinstance(error, OSError) else error
        print(reason, file=sys.stderr)
        return _USAGE_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
