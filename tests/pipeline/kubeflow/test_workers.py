import json
import os
import subprocess
import sys

import pytest

from pipeline.kubeflow import workers

JOBSET = {"TFX_GAN_WORKERS": "2", "JOBSET_NAME": "digits", "JOB_COMPLETION_INDEX": "1"}
HOSTS = ["digits-node-0-0.digits:2222", "digits-node-0-1.digits:2222"]
TFJOB = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'

CLUSTERS = {
    "JobSet": (JOBSET, HOSTS, 1),
    "chief": ({**JOBSET, "JOB_COMPLETION_INDEX": "0"}, HOSTS, 0),
    "TrainJob under a torch runtime": (
        {"PET_NNODES": "2", "JOBSET_NAME": "digits", "JOB_COMPLETION_INDEX": "1"},
        HOSTS,
        1,
    ),
    "our count wins": ({**JOBSET, "PET_NNODES": "5"}, HOSTS, 1),
    "port": (
        {**JOBSET, "TFX_GAN_WORKER_PORT": "1234"},
        [host.replace("2222", "1234") for host in HOSTS],
        1,
    ),
    "Indexed Job": (
        {
            "TFX_GAN_WORKERS": "3",
            "TFX_GAN_WORKER_HOST": "digits-{index}.training",
            "JOB_COMPLETION_INDEX": "2",
        },
        [f"digits-{index}.training:2222" for index in range(3)],
        2,
    ),
}


@pytest.mark.parametrize(("environ", "hosts", "index"), CLUSTERS.values(), ids=CLUSTERS)
def test_the_cluster_is_what_kubernetes_says(environ, hosts, index):
    assert json.loads(workers.tf_config(environ)) == {
        "cluster": {"worker": hosts},
        "task": {"type": "worker", "index": index},
    }


def test_tfjobs_own_cluster_is_kept():
    assert workers.tf_config({**JOBSET, "TF_CONFIG": TFJOB}) == TFJOB


@pytest.mark.parametrize(
    "environ", [{}, {"TFX_GAN_WORKERS": "1"}, {"JOB_COMPLETION_INDEX": "0", "TF_CONFIG": ""}]
)
def test_a_pod_alone_has_no_cluster(environ):
    assert workers.tf_config(environ) is None


def _without(name):
    return {key: value for key, value in JOBSET.items() if key != name}


WRONG = {
    "no index": (_without("JOB_COMPLETION_INDEX"), "JOB_COMPLETION_INDEX: not set; .* Indexed"),
    "index": ({**JOBSET, "JOB_COMPLETION_INDEX": "x"}, "JOB_COMPLETION_INDEX: 'x', expected a"),
    "too high": (
        {**JOBSET, "JOB_COMPLETION_INDEX": "2"},
        "JOB_COMPLETION_INDEX: 2, but TFX_GAN_WORKERS is 2",
    ),
    "count": ({**JOBSET, "TFX_GAN_WORKERS": "two"}, "TFX_GAN_WORKERS: 'two', expected a whole"),
    "zero": ({**JOBSET, "TFX_GAN_WORKERS": "0"}, "TFX_GAN_WORKERS: '0', expected .* 1 or more"),
    "port": ({**JOBSET, "TFX_GAN_WORKER_PORT": "0"}, "TFX_GAN_WORKER_PORT: '0', expected"),
    "no host": (_without("JOBSET_NAME"), "JOBSET_NAME: not set; .* or TFX_GAN_WORKER_HOST"),
    "host": ({**JOBSET, "TFX_GAN_WORKER_HOST": "a"}, "TFX_GAN_WORKER_HOST: 'a' has no {index}"),
}


@pytest.mark.parametrize(("environ", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_variable_is_named_in_one_line(environ, message):
    with pytest.raises(ValueError, match=message) as caught:
        workers.tf_config(environ)
    assert "\n" not in str(caught.value)


def _run(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "-m", "pipeline.kubeflow.workers", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_becomes_the_command_with_its_exit_code():
    script = "import os, sys; print(os.environ['TF_CONFIG'], sys.argv[1:]); sys.exit(75)"
    found = _run("--", sys.executable, "-c", script, "--root", "x", **JOBSET)
    assert found.returncode == 75
    assert found.stdout == f"{workers.tf_config(JOBSET)} ['--root', 'x']\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python -m pipeline.kubeflow.workers -- COMMAND [ARGUMENT ...]\n"),
        (["--"], "usage: python -m pipeline.kubeflow.workers -- COMMAND [ARGUMENT ...]\n"),
        (["--", "no-such-command"], "no-such-command: No such file or directory\n"),
    ],
)
def test_what_cannot_be_run_is_one_line(arguments, message):
    found = _run(*arguments)
    assert found.returncode == 2
    assert found.stderr == message
