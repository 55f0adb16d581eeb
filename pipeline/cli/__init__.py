"""The command line: tfx-gan new, schema, validate, run, tune, runs, compare, evaluate, sample, …"""

import os
import warnings

import click

from pipeline.cli import cluster, data, results, run, serving, tuning

# Set before the commands import TensorFlow: no start-up messages, and GPU memory that grows as
# needed, which the first stage to use a GPU would otherwise decide for all.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
warnings.filterwarnings("ignore", category=FutureWarning, module="google")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    commands=[
        data.new,
        data.schema,
        data.validate,
        run.run,
        tuning.tune,
        cluster.compile_,
        cluster.rehearse,
        cluster.submit,
        run.list_,
        results.runs,
        results.compare,
        results.evaluate,
        results.sample,
        results.generate,
        results.export,
        serving.page,
        serving.studio,
        results.rollback,
        serving.serve,
    ],
)
@click.version_option(package_name="tfx-gan")
def main() -> None:
    """Train a GAN on images or a table: validated data in, a gated generator SavedModel out."""
