"""What the reader of a compiled pipeline refuses, as the API server would, or should."""

import re

import pytest

from pipeline.rehearsal import spec


def _one(make, fields=None, platform=None, **component):
    return make.pipeline(
        {"A": make.component("A", "", **component)},
        {"A": make.task("A", **(fields or {}))},
        platform=platform,
    )


def _retry(**policy):
    return lambda make: _one(make, {"retryPolicy": policy})


def _edited(edit):
    def build(make):
        documents = _one(make)
        edit(documents[0])
        return documents

    return build


_REFUSED = {
    "old schema": (
        _edited(lambda s: s.update(schemaVersion="2.0.0")),
        "KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0",
    ),
    "no specification": (lambda make: [{"platforms": {}}], "no document has the key root"),
    "resolver": (
        _edited(lambda s: s["deploymentSpec"]["executors"].update(A={"resolver": {}})),
        "non-container and non-importer executor not implemented",
    ),
    "importer": (
        _edited(lambda s: s["deploymentSpec"]["executors"].update(A={"importer": {}})),
        "importers are not rehearsed",
    ),
    "no component": (_edited(lambda s: s["components"].clear()), "no component 'A'"),
    "no executor": (
        _edited(lambda s: s["deploymentSpec"]["executors"].clear()),
        "component A: no executor 'A'",
    ),
    "unknown platform key": (
        lambda make: _one(make, platform={"A": {"pvcMounts": []}}),
        'failed to unmarshal kubernetes config: unknown field "pvcMounts"',
    ),
    "platform of another executor": (
        lambda make: _one(make, platform={"B": {}}),
        "names executor 'B', which does not exist: a cluster ignores it silently; known: A",
    ),
    "secret as a volume": (
        lambda make: _one(make, platform={"A": {"secretAsVolume": []}}),
        "secretAsVolume is not rehearsed",
    ),
    "condition": (
        lambda make: _one(make, {"triggerPolicy": {"condition": "true"}}),
        "task A: triggerPolicy.condition is not rehearsed",
    ),
    "loop": (
        lambda make: _one(make, {"parameterIterator": {}}),
        "task A: parameterIterator is not rehearsed",
    ),
    "cycle": (lambda make: _one(make, {"after": ["A"]}), "tasks A wait for each other"),
    "producer that may run later": (
        lambda make: _one(
            make,
            {"inputs": {"artifacts": {"i": {"taskOutputArtifact": {"producerTask": "B"}}}}},
        ),
        "task A takes an output of B, which is not among its dependentTasks",
    ),
    "number as duration": (_retry(backoffDuration=30), "pipeline spec is invalid"),
    "broken factor": (_retry(backoffFactor=1.5), "'1.5' cannot be resolved to an int"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_refused(case, make, written):
    build, message = _REFUSED[case]

    with pytest.raises(ValueError, match=re.escape(message)):
        spec.read(written(build(make)))


def test_tasks_come_after_those_they_depend_on(make, written):
    after = {"A": ["C"], "B": ["A", "D"], "C": [], "D": ["C"]}
    components = {name: make.component(name, "") for name in after}
    tasks = {name: make.task(name, after=earlier) for name, earlier in after.items()}
    read = spec.read(written(make.pipeline(components, tasks)))

    assert [task.name for task in read.root.dag.tasks] == ["C", "A", "D", "B"]
