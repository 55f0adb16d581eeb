from pathlib import Path

import pytest
import yaml

from pipeline import config
from pipeline.runners import kubeflow

DIGITS = Path(__file__).parents[3] / "data" / "digits" / "recipe.yaml"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    recipe = config.load(
        str(DIGITS),
        [
            "resources.GANTrainer={cpu: 4, memory_gb: 16, gpu: 1}",
            "resources.GANEvaluator={cpu: 2}",
        ],
    )
    out = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    kubeflow.compile_recipe(
        recipe, image="example/tfx-gan:1", root="gs://bucket/root", out=str(out)
    )
    return out


def test_the_kfp_sdk_loads_it(compiled):
    from kfp import components

    component = components.load_component_from_file(str(compiled))
    assert component.component_spec.name == "digits"


def test_it_is_the_same_dag_without_a_resolver(compiled):
    spec = yaml.safe_load(compiled.read_text())
    tasks = spec["root"]["dag"]["tasks"]

    assert spec["schemaVersion"] == "2.1.0"
    assert set(tasks) == {
        "ImageExampleGen",
        "StatisticsGen",
        "ImportSchemaGen",
        "DataValidator",
        "GANTrainer",
        "FeatureExtractor",
        "GANEvaluator",
        "InfraValidator",
        "Pusher",
    }
    assert set(tasks["GANTrainer"]["dependentTasks"]) == {
        "DataValidator",
        "FeatureExtractor",
        "ImageExampleGen",
    }
    assert set(tasks["Pusher"]["dependentTasks"]) == {
        "GANEvaluator",
        "GANTrainer",
        "InfraValidator",
    }


def test_stages_get_their_image_and_resources(compiled):
    spec = yaml.safe_load(compiled.read_text())
    executors = spec["deploymentSpec"]["executors"]
    containers = {
        name: executor["container"]
        for name, executor in executors.items()
        if "container" in executor
    }

    assert {container["image"] for container in containers.values()} == {"example/tfx-gan:1"}
    assert containers["GANTrainer_executor"]["resources"] == {
        "cpuLimit": 4.0,
        "memoryLimit": 16.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert containers["GANEvaluator_executor"]["resources"] == {"cpuLimit": 2.0}


def test_named_splits_need_no_look_at_the_data(tmp_path):
    recipe = config.load(
        str(DIGITS),
        ["data.path=gs://elsewhere/digits", "data.splits={train: 'train-*', eval: 't10k-*'}"],
    )
    out = tmp_path / "pipeline.yaml"
    kubeflow.compile_recipe(recipe, image="i", root="gs://bucket/root", out=str(out))

    assert "gs://elsewhere/digits" in out.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]
