"""The driver's executor input against what the real drivers sent (golden/)."""

import json
import re
from pathlib import Path

import pytest

from pipeline.rehearsal import driver, launcher
from pipeline.rehearsal.dialects import DIALECTS, Artifact
from pipeline.rehearsal.driver import Results, Scope
from pipeline.rehearsal.spec import Component, Executor, Retries, Task
from pipeline.rehearsal.values import TaskError

_GOLDEN = {
    name: json.loads(Path(__file__).with_name("golden").joinpath(f"{name}.json").read_text())
    for name in ("2.17", "mlmd-free")
}
_CASES = [(dialect, stage) for dialect, stages in _GOLDEN.items() for stage in stages]
_EXECUTOR = Executor("image", ("python", "{{$}}"), {}, {})


def _component(stage, executor=_EXECUTOR):
    spec = _GOLDEN["2.17"][stage]["component_spec"]
    outputs = spec["outputDefinitions"]
    # The real driver adds it to the specification that it hands on.
    artifacts = {k: v for k, v in outputs["artifacts"].items() if k != driver.LOGS}
    return Component(
        spec.get("inputDefinitions", {}), {**outputs, "artifacts": artifacts}, executor, None
    )


def _task(name, parameters=None, artifacts=None, **options):
    inputs = {
        "parameters": {k: {"runtimeValue": {"constant": v}} for k, v in (parameters or {}).items()},
        "artifacts": artifacts or {},
    }
    return Task(name, name, inputs, (), False, False, Retries(), **options)


def _scope(**options):
    return Scope("run-1", "probe-run", {}, {}, **options)


def _recorded(dialect, uri, artifact):
    """An artifact as the dialect recorded it when its producer ended, and where it came from."""
    producer, key = re.fullmatch(r".*/(\w+)/[-0-9a-f]+/(\w+)", uri).groups()
    stages = _GOLDEN[dialect]
    written = stages[producer]["output_metadata"]["artifacts"][key]["artifacts"][0]
    declared = stages[producer]["executor_input"]["outputs"]["artifacts"][key]["artifacts"][0]
    number = int(artifact["name"]) if artifact["name"].isdigit() else 0
    record = DIALECTS.get(dialect).record(key, written.get("metadata", {}))
    uuid = artifact.get("artifactId", "")
    return producer, Artifact(number, uuid, key, uri, declared["type"], record)


@pytest.mark.parametrize(("dialect", "stage"), _CASES)
def test_the_executor_input_is_what_the_real_driver_sent(dialect, stage):
    golden = _GOLDEN[dialect][stage]["executor_input"]
    given = golden.get("inputs", {})
    scope, sources = _scope(), {}
    for key, found in given.get("artifacts", {}).items():
        artifact = found["artifacts"][0]
        producer, recorded = _recorded(dialect, artifact["uri"], artifact)
        scope.results.setdefault(producer, Results({}, {})).artifacts[recorded.key] = recorded
        sources[key] = {
            "taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": recorded.key}
        }
    component = _component(stage)
    task = _task(stage, given.get("parameterValues"), sources)
    logs = golden["outputs"]["artifacts"][driver.LOGS]["artifacts"][0]["uri"]

    made = driver.executor_input(
        component,
        *driver.inputs(task, component, scope),
        task_root=logs.removesuffix(f"/{driver.LOGS}"),
        dialect=DIALECTS.get(dialect),
    )

    assert made == golden


def test_the_message_stands_in_the_command_where_the_real_launcher_put_it():
    golden = _GOLDEN["2.17"]["ImportSchemaGen"]
    made = launcher.command(golden["argv"], golden["executor_input"])

    assert json.loads(made[golden["argv"].index("{{$}}")]) == golden["executor_input"]
    assert [a for a, b in zip(made, golden["argv"], strict=True) if a == b] == [
        word for word in golden["argv"] if word != "{{$}}"
    ]


_PLACEHOLDERS = {
    "inputs": {
        "parameterValues": {"n": 6, "f": 0.5, "s": "a b", "l": [1, "x"], "d": {"k": 1}, "b": True},
        "artifacts": {"i": {"artifacts": [{"uri": "s3://bucket/i"}]}},
    },
    "outputs": {
        "parameters": {"q": {"outputFile": "/tmp/kfp/outputs/q"}},
        "artifacts": {"o": {"artifacts": [{"uri": "gs://bucket/o"}]}},
    },
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("{{$.inputs.parameters['n']}}", "6"),
        ("{{$.inputs.parameters['f']}}", "0.5"),
        ("--s={{$.inputs.parameters['s']}}!", "--s=a b!"),
        ("{{$.inputs.parameters['l']}}", '[1,"x"]'),
        ("{{$.inputs.parameters['d']}}", '{"k":1}'),
        ("{{$.inputs.parameters['b']}}", "true"),
        ("{{$.inputs.artifacts['i'].uri}}", "s3://bucket/i"),
        ("{{$.inputs.artifacts['i'].path}}", "/s3/bucket/i"),
        ("{{$.outputs.artifacts['o'].path}}", "/gcs/bucket/o"),
        ("{{$.outputs.parameters['q'].output_file}}", "/tmp/kfp/outputs/q"),
        # Only the driver replaces these, and only where one is the whole of a constant.
        ("{{$.pipeline_job_uuid}}", "{{$.pipeline_job_uuid}}"),
    ],
)
def test_placeholders_of_a_command(word, expected):
    assert launcher.command([word], _PLACEHOLDERS) == [expected]


def _parameters(definitions, given, scope=None):
    component = Component({"parameters": definitions}, {}, _EXECUTOR, None)
    task = Task("T", "T", {"parameters": given}, (), False, False, Retries())
    return driver.inputs(task, component, scope or _scope())[0]


def _constant(value):
    return {"runtimeValue": {"constant": value}}


@pytest.mark.parametrize(
    ("definition", "given", "expected"),
    [
        ({"parameterType": "STRING"}, _constant("a"), {"p": "a"}),
        ({"parameterType": "STRING"}, _constant(6.0), {"p": "6"}),
        ({"parameterType": "STRING"}, _constant([1, "x"]), {"p": '[1,"x"]'}),
        ({"parameterType": "STRING", "defaultValue": "d"}, None, {"p": ""}),
        ({"parameterType": "STRING", "defaultValue": "d", "isOptional": True}, None, {}),
        ({"parameterType": "NUMBER_INTEGER"}, _constant(3.0), {"p": 3}),
        ({"parameterType": "STRING"}, _constant("{{$.pipeline_job_uuid}}"), {"p": "run-1"}),
        ({"parameterType": "STRING"}, _constant("{{$.pipeline_task_name}}"), {"p": "T"}),
        (
            {"parameterType": "STRING"},
            _constant("x-{{$.pipeline_job_uuid}}"),
            {"p": "x-{{$.pipeline_job_uuid}}"},
        ),
    ],
)
def test_parameters_arrive_as_the_driver_converts_them(definition, given, expected):
    assert _parameters({"p": definition}, {} if given is None else {"p": given}) == expected


@pytest.mark.parametrize(
    ("definition", "given", "message"),
    [
        ({"parameterType": "NUMBER_INTEGER"}, _constant("3"), "mismatch: expect NUMBER_INTEGER"),
        ({"parameterType": "NUMBER_INTEGER"}, _constant(True), "mismatch: expect NUMBER_INTEGER"),
        ({"parameterType": "STRUCT"}, _constant([1]), "type mismatch: expect STRUCT, got list"),
        ({"parameterType": "STRING"}, None, "neither value nor default value"),
        (
            {"parameterType": "STRING"},
            {"componentInputParameter": "absent"},
            "parent DAG does not have input parameter absent",
        ),
        (
            {"parameterType": "STRING"},
            {"taskOutputParameter": {"producerTask": "A", "outputParameterKey": "q"}},
            "cannot find output parameter 'q' of producer task 'A'",
        ),
    ],
)
def test_parameters_that_the_driver_refuses(definition, given, message):
    with pytest.raises(TaskError, match=re.escape(message)):
        _parameters({"p": definition}, {} if given is None else {"p": given})


@pytest.mark.parametrize(
    ("dialect", "logs", "output_file"),
    [
        ("2.4", False, "/tmp/kfp_outputs/output_metadata.json"),
        ("2.14", True, "/tmp/kfp_outputs/output_metadata.json"),
        ("2.17", True, "/gcs/b/t/output_metadata.json"),
        ("mlmd-free", True, "/gcs/b/t/output_metadata.json"),
        ("vertex", False, "/gcs/b/t/output_metadata.json"),
    ],
)
def test_what_a_dialect_adds_to_the_outputs(dialect, logs, output_file):
    component = Component({}, {}, _EXECUTOR, None)
    made = driver.executor_input(
        component, {}, {}, task_root="gs://b/t", dialect=DIALECTS.get(dialect)
    )

    assert made["outputs"]["outputFile"] == output_file
    assert (driver.LOGS in made["outputs"].get("artifacts", {})) is logs


_TYPE = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
_WRITTEN = {"d": {"train": 1.0}, "l": [1.0], "x": 0.97397771998409, "big": 2.0**60, "s": "text"}


@pytest.mark.parametrize(
    ("dialect", "type_", "metadata"),
    [
        (
            "2.17",
            {"instanceSchema": ""},
            {
                "d": {"struct": {"train": 1}},
                "l": {"list": [1]},
                "x": 0.973978,
                "big": 1152921504606850000,
                "s": "text",
            },
        ),
        (
            "mlmd-free",
            {"schemaTitle": _TYPE["instanceSchema"]},
            {**_WRITTEN, "d": {"train": 1}, "l": [1], "big": 1152921504606847000},
        ),
        ("vertex", _TYPE, {**_WRITTEN, "d": {"train": 1}, "l": [1], "big": 1152921504606847000}),
    ],
)
def test_what_a_later_stage_sees_of_an_artifact(dialect, type_, metadata):
    chosen = DIALECTS.get(dialect)
    artifact = Artifact(4, "uuid", "model", "gs://b/m", _TYPE, chosen.record("model", _WRITTEN))
    made = chosen.artifact(artifact)

    assert made["type"] == type_
    assert {k: v for k, v in made["metadata"].items() if k in _WRITTEN} == metadata


_CHANGES = {
    "nothing": (lambda given, executor: None, True),
    "a parameter": (lambda given, executor: given["inputs"]["parameterValues"].update(p=2), False),
    "an artifact's id": (
        lambda given, executor: given["inputs"]["artifacts"]["i"]["artifacts"][0].update(name="8"),
        False,
    ),
    "an artifact's place": (
        lambda given, executor: given["inputs"]["artifacts"]["i"]["artifacts"][0].update(uri="u"),
        True,
    ),
    "the output's place": (
        lambda given, executor: given["outputs"]["artifacts"]["o"]["artifacts"][0].update(uri="u"),
        True,
    ),
    "the image": (lambda given, executor: executor.update(image="image:2"), False),
    "an argument": (lambda given, executor: executor.update(command=("python", "x")), False),
    "the environment": (lambda given, executor: executor.update(env={"A": "1"}), True),
    "resources": (lambda given, executor: executor.update(platform={"nodeSelector": {}}), True),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_what_the_cache_is_asked_for(change):
    def key(edit):
        given = {
            "inputs": {
                "parameterValues": {"p": 1},
                "artifacts": {"i": {"artifacts": [{"name": "7", "uri": "s3://b/i"}]}},
            },
            "outputs": {"artifacts": {"o": {"artifacts": [{"name": "o", "uri": "s3://b/o"}]}}},
        }
        executor = {"image": "image:1", "command": ("python",), "env": {}, "platform": {}}
        edit(given, executor)
        component = Component({}, {}, Executor(**executor), None)
        return driver.cache_key("pipeline", component, given, ["claim"])

    edit, same = _CHANGES[change]
    assert (key(edit) == key(lambda given, executor: None)) is same
