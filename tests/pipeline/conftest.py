"""Roots as runs leave them, made by hand."""

import json

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.runs import metadata

PROTOCOL = {
    "extractor": {"id": "0123456789abcdef", "name": "digits classifier"},
    "real": "aaaa",
    "counts": {"eval": 359, "model": 359},
    "settings": {"seed": 0, "kid_subsets": 100},
}


def _value(value):
    names = {int: "int_value", float: "double_value", str: "string_value"}
    return pb.Value(**{names[type(value)]: value})


class Root:
    """A folder with metadata, into which runs are entered stage by stage."""

    def __init__(self, path):
        self.path = path
        self.database = path / metadata.DATABASE
        self.store = mlmd.MetadataStore(metadata.connection_config(str(self.database)))

    def context(self, kind, name):
        found = self.store.get_context_by_type_and_name(kind, name)
        if found:
            return found
        type_id = self.store.put_context_type(pb.ContextType(name=kind))
        (context_id,) = self.store.put_contexts([pb.Context(type_id=type_id, name=name)])
        return self.store.get_contexts_by_id([context_id])[0]

    def stage(
        self,
        run,
        stage,
        state="COMPLETE",
        pipeline="digits",
        properties=None,
        outputs=None,
        inputs=None,
    ):
        """Enters an execution; returns the ids of its outputs.

        `outputs` maps a key to an artifact's properties, or to the id of one that is
        there, and `inputs` to such an id.
        """
        execution = pb.Execution(
            type_id=self.store.put_execution_type(pb.ExecutionType(name=f"components.{stage}")),
            last_known_state=pb.Execution.State.Value(state),
        )
        for name, value in (properties or {}).items():
            execution.custom_properties[name].CopyFrom(_value(value))
        contexts = [
            self.context("pipeline", pipeline),
            self.context("pipeline_run", run),
            self.context("node", f"{pipeline}.{stage}"),
        ]
        pairs = [self._output(key, output) for key, output in (outputs or {}).items()]
        for key, given in (inputs or {}).items():
            artifact, event = self._output(key, given)
            event.type = pb.Event.INPUT
            pairs.append((artifact, event))
        _, artifact_ids, _ = self.store.put_execution(execution, pairs, contexts)
        return dict(zip(outputs or {}, artifact_ids, strict=False))

    def _output(self, key, output):
        if isinstance(output, int):
            (artifact,) = self.store.get_artifacts_by_id([output])
        else:
            type_id = self.store.put_artifact_type(pb.ArtifactType(name=f"Type-{key}"))
            number = len(self.store.get_artifacts())
            artifact = pb.Artifact(type_id=type_id, uri=str(self.path / f"{key}-{number}"))
            for name, value in output.items():
                artifact.custom_properties[name].CopyFrom(_value(value))
        event = pb.Event(type=pb.Event.OUTPUT)
        event.path.steps.add().key = key
        return artifact, event

    def complete(
        self,
        run,
        metrics,
        *,
        reasons=(),
        trainer=None,
        intervals=True,
        protocol=PROTOCOL,
        code_version="aaaaaaaaaaaaaaaa",
    ):
        """Enters a run of a recipe, from the data to the Pusher."""
        self.stage(
            run,
            "FindData",
            properties={"config": '{"path": "/data/digits"}', "found": '{"span": 0}'},
        )
        self.stage(
            run,
            "ImageExampleGen",
            properties={
                "config": '{"format": "idx"}',
                "base": "/data/digits",
                "fingerprint": "0f",
                "code_version": code_version,
            },
            outputs={"examples": {"span": 0}},
        )
        self.stage(
            run,
            "ImportSchemaGen",
            properties={"text": "feature {}"},
            outputs={"schema": {}},
        )
        self.stage(
            run,
            "FeatureExtractor",
            properties={"config": '{"images": 30000}', "code_version": code_version},
            outputs={"extractor": {"id": "0123456789abcdef"}},
        )
        self.stage(
            run,
            "GANTrainer",
            properties={
                "config": json.dumps(trainer or {"batch_size": 64}),
                "data": '{"image_shape": [8, 8, 1]}',
                "code_version": code_version,
            },
            outputs={"model": {}, "model_run": {}},
        )
        blessing = {"blessed": int(not reasons), "verdicts": "all rules"}
        if reasons:
            blessing["reasons"] = "; ".join(reasons)
        ids = self.stage(
            run,
            "GANEvaluator",
            properties={"config": "{}", "code_version": code_version},
            outputs={"evaluation": {**metrics, "extractor_id": "0123"}, "blessing": blessing},
        )
        self.stage(run, "InfraValidator", outputs={"blessing": {"blessed": 1}})
        pushed = {"pushed": int(not reasons), "pushed_version": "" if reasons else "1795341092"}
        self.stage(run, "Pusher", outputs={"pushed_model": pushed})

        def score(value):
            around = {"low": value - 1, "high": value + 1} if intervals else {"uncertainty": None}
            return {"value": value, **around}

        (evaluation,) = self.store.get_artifacts_by_id([ids["evaluation"]])
        content = {
            "metrics": {name: score(value) for name, value in metrics.items()},
            "protocol": protocol,
        }
        folder = self.path / evaluation.uri
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(content))
        return ids


@pytest.fixture
def root(tmp_path):
    """A root without runs."""
    path = tmp_path / "root"
    path.mkdir()
    return Root(path)


@pytest.fixture
def protocol():
    """Of every complete run, unless it is given another."""
    return PROTOCOL
