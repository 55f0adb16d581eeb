"""Compiles a recipe to a Kubeflow Pipelines v2 specification."""

import tempfile
from pathlib import Path

from google.protobuf.message import Message
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)

from components.common import files
from pipeline.config import Recipe, Resources
from pipeline.pipeline import create_pipeline

_ENTRY_POINT = ["python", "-m", "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"]
_ResourceSpec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec


def compile_recipe(recipe: Recipe, *, image: str, root: str, out: str) -> None:
    """Writes the pipeline as YAML, schema 2.1, without access to a cluster.

    Args:
      recipe: the resolved recipe. If it has `data.splits`, the data are not accessed.
      image: container image with this package installed.
      root: URI that the cluster can write to.
      out: file to write, atomically.
    """
    data = recipe.data
    splits = data.splits or data.dataset().patterns
    pipeline = create_pipeline(recipe, splits, root, compare_with_earlier=False)
    for component in pipeline.components:
        if component.id in recipe.resources:
            component.with_platform_config(_resource_spec(recipe.resources[component.id]))
    config = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=_ENTRY_POINT, use_pipeline_spec_2_1=True
    )
    with tempfile.TemporaryDirectory() as folder:
        KubeflowV2DagRunner(config, folder, "pipeline.yaml").run(pipeline)
        files.write(out, Path(folder, "pipeline.yaml").read_bytes())


def _resource_spec(resources: Resources) -> Message:
    spec = _ResourceSpec(cpu_limit=resources.cpu or 0, memory_limit=resources.memory_gb or 0)
    if resources.gpu:
        spec.accelerator.type = resources.gpu_type
        spec.accelerator.count = resources.gpu
    return spec
