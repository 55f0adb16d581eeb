"""Pipelines of tiny stages, and their rehearsals."""

import pytest
import yaml

from pipeline.rehearsal import pod
from pipeline.rehearsal.rehearse import rehearse

# What a stage's code can use; it is given the executor input.
_PRELUDE = """
import json, os, sys
given = json.loads(sys.argv[1])
inputs = given.get('inputs', {})
outputs = given['outputs']
parameters = inputs.get('parameterValues', {})

def path(side, key):
    return '/' + side['artifacts'][key]['artifacts'][0]['uri'].replace('://', '/', 1)

def make(key):
    folder = path(outputs, key)
    os.makedirs(folder)
    with open(folder + '/file', 'w') as file:
        file.write('content')
    return folder

def tell(text):
    with open(outputs['outputFile'], 'w') as file:
        file.write(text)

def say(key='a', **fields):
    tell(json.dumps({'artifacts': {key: {'artifacts': [fields]}}}))
"""
_ARTIFACT = {"artifactType": {"schemaTitle": "system.Artifact"}}


def component(
    name, code, *, parameters=None, takes=(), artifacts=(), hands_out=None, env=None, image="image"
):
    """(component, executor) of a stage.

    Args:
      parameters: definitions by key.
      takes: keys of input artifacts.
      artifacts: keys of output artifacts.
      hands_out: types of output parameters by key.
    """
    made = {
        "inputDefinitions": {
            "parameters": parameters or {},
            "artifacts": dict.fromkeys(takes, _ARTIFACT),
        },
        "outputDefinitions": {
            "artifacts": dict.fromkeys(artifacts, _ARTIFACT),
            "parameters": {k: {"parameterType": v} for k, v in (hands_out or {}).items()},
        },
        "executorLabel": name,
    }
    container = {
        "image": image,
        "command": ["python", "-c", _PRELUDE + code],
        "args": ["{{$}}"],
        "env": [{"name": k, "value": v} for k, v in (env or {}).items()],
    }
    return made, {"container": container}


def task(name, *, after=(), inputs=None, cached=False, **fields):
    """A task that runs the component of its name."""
    return {
        "componentRef": {"name": name},
        "taskInfo": {"name": name},
        "dependentTasks": list(after),
        "inputs": inputs or {},
        **({"cachingOptions": {"enableCache": True}} if cached else {}),
        **fields,
    }


def pipeline(components, tasks, *, parameters=None, dags=None, platform=None):
    """The documents of a compiled pipeline.

    Args:
      components: of `component`, by name.
      tasks: of `task`, by name.
      parameters: definitions of the run's parameters.
      dags: components that are DAGs, by name.
      platform: Kubernetes settings by executor label.
    """
    specification = {
        "pipelineInfo": {"name": "probe"},
        "schemaVersion": "2.1.0",
        "root": {"dag": {"tasks": tasks}, "inputDefinitions": {"parameters": parameters or {}}},
        "components": {**{k: made for k, (made, _) in components.items()}, **(dags or {})},
        "deploymentSpec": {"executors": {k: made for k, (_, made) in components.items()}},
    }
    kubernetes = {"deploymentSpec": {"executors": platform or {}}}
    return [specification, {"platforms": {"kubernetes": kubernetes}}]


class Make:
    """The functions above, for tests."""

    component = staticmethod(component)
    task = staticmethod(task)
    pipeline = staticmethod(pipeline)


@pytest.fixture
def make():
    return Make


@pytest.fixture
def written(tmp_path):
    """Writes the documents of a pipeline; returns the path."""

    def write(documents):
        path = tmp_path / "pipeline.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write


@pytest.fixture
def play(written, tmp_path):
    """Rehearses the documents of a pipeline; a second call is a second submission."""
    try:
        pod.check()
    except RuntimeError as error:
        pytest.skip(str(error))

    def run(documents, **options):
        options = {"work": str(tmp_path / "work"), "log": lambda line: None, **options}
        return rehearse(written(documents), **options)

    return run


@pytest.fixture
def play_stage(make, play):
    """Rehearses a pipeline of one stage; returns its result."""

    def run(code, *, fields=None, options=None, **component):
        components = {"S": make.component("S", code, **component)}
        documents = make.pipeline(components, {"S": make.task("S", **(fields or {}))})
        return play(documents, **(options or {})).tasks[0]

    return run
