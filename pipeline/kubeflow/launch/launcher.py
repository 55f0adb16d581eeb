"""Runs in the pod of a trainer stage that has several workers: starts their job, and waits for it.

    python -m pipeline.kubeflow.launch.launcher --executor_class_path … --json_serialized_… …

The arguments are the entry point's. The job has a name that follows from the run, so that another
attempt of the stage finds it: while the workers train, their launching pod may be lost.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.kubeflow import entry_point, jobs
from pipeline.kubeflow.entry_point import Command
from pipeline.kubeflow.jobs import Manifest
from pipeline.kubeflow.launch import trainer_stage
from pipeline.kubeflow.launch.cluster import ACCOUNT, Cluster, JobError
from pipeline.kubeflow.launch.exchange import Exchange

_WORKER = ["python", "-m", "pipeline.kubeflow.launch.worker"]
_RUN_LABEL = "tfx-gan/run"


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    account: Path = ACCOUNT,
    seconds: float = 10.0,
) -> None:
    """Runs the stage by its workers, and leaves word for the exit handler if it fails.

    Args:
      arguments: as compiled and filled in by the backend.
      environ: the pod's variables.
      account: folder of the service account.
      seconds: between two looks at the job.

    Raises:
      JobError: if the job cannot be started, or fails.
      ValueError: as `entry_point.check_code`.
    """

    def run(given: Sequence[str]) -> None:
        # What the workers would find out, each time that they are started.
        checked = Command.of(given)
        entry_point.translate(checked)
        entry_point.check_code(checked)
        launch(Command.of(given), environ, Cluster(environ, account, seconds))

    entry_point.main(arguments, environ, run)


def launch(command: Command, environ: Mapping[str, str], cluster: Cluster) -> None:
    """Starts the job unless it is there, waits for it, and takes its outputs.

    A job that has failed is deleted and started anew, and training resumes from its checkpoint.

    Args:
      command: of the stage.
      environ: the pod's variables: the run's id, and the job as `trainer_stage.job` describes it.
      cluster: where to start it.

    Raises:
      JobError: if the job cannot be started, or fails.
    """
    options = json.loads(environ[trainer_stage.JOB])
    name = f"trainer-{environ[entry_point.RUN]}"
    exchange = Exchange(os.path.join(options.pop("folder"), name))
    manifests = _manifests(name, exchange, environ[entry_point.RUN], options)
    job, done = manifests[-1], jobs.KINDS[options["kind"]].done
    title = f"{job['kind']} {name}"
    logs = f"kubectl logs -n {cluster.namespace} -l {jobs.pods_of(name)} --prefix --tail=-1"

    found = cluster.get(job)
    if found is not None and _is_of_no_use(found, done, exchange):
        print(f"{title}: deleted, as it has failed; it starts anew", flush=True)
        for each in reversed(manifests):
            cluster.delete(each)
        found = None
    if found is None:
        exchange.give(command)
        for each in manifests:
            cluster.create(each)
            if each is not job:
                # What admits a TrainJob reads its runtime from a cache.
                time.sleep(cluster.seconds)
    begun = "started" if found is None else "found"
    print(f"{title}: {begun}, {options['workers']} workers; their logs: {logs}", flush=True)
    end = _wait(cluster, job, done)
    if end["type"] != done:
        message = end.get("message", "no message")
        raise JobError(f"{title}: {exchange.why_it_failed()} ({message}); its logs: {logs}")
    exchange.take(command)


def _manifests(
    name: str, exchange: Exchange, run: str, options: Mapping[str, Any]
) -> list[Manifest]:
    labels = {**options["labels"], _RUN_LABEL: run}
    command = [*_WORKER, exchange.folder]
    return jobs.manifests(**{**options, "name": name, "command": command, "labels": labels})


def _wait(cluster: Cluster, job: Manifest, done: str) -> Manifest:
    """The condition in which the job has ended."""
    while True:
        found = cluster.get(job)
        if found is None:
            raise JobError(f"{job['kind']} {job['metadata']['name']}: was deleted before its end")
        if end := _end(found, done):
            return end
        time.sleep(cluster.seconds)


def _end(found: Manifest, done: str) -> Manifest | None:
    conditions = found.get("status", {}).get("conditions", ())
    ends = (done, jobs.FAILED)
    return next((c for c in conditions if c["type"] in ends and c["status"] == "True"), None)


def _is_of_no_use(found: Manifest, done: str, exchange: Exchange) -> bool:
    """Whether a job that is there has failed, is being deleted, or has outputs no more."""
    if "deletionTimestamp" in found["metadata"]:
        return True
    end = _end(found, done)
    return end is not None and (end["type"] != done or not exchange.is_complete)


if __name__ == "__main__":
    try:
        main(sys.argv[1:], os.environ)
    except JobError as error:
        sys.exit(str(error))
