"""Runs the trainer stage in a pod of its job.

    python -m pipeline.kubeflow.launch.worker FOLDER

FOLDER is that of the job's `Exchange`. `pipeline.kubeflow.workers` stands before it, for TF_CONFIG.
"""

import os
import sys
from collections.abc import Mapping

from pipeline.kubeflow import entry_point, workers
from pipeline.kubeflow.launch.exchange import Exchange


def main(folder: str, environ: Mapping[str, str]) -> None:
    """Runs the stage; raises as `entry_point.run`.

    Args:
      folder: of the job's files.
      environ: the pod's variables.
    """
    exchange, index = Exchange(folder), int(environ[workers.INDEX])
    arguments = exchange.command_of(index).arguments()
    entry_point.main(arguments, exchange.variables_of(index))


if __name__ == "__main__":
    main(sys.argv[1], os.environ)
