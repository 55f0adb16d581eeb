"""Which baseline a candidate gets: over hand-made artifacts, and through real pipeline runs."""

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import standard_artifacts

from components.evaluator.baseline import LatestBlessedBefore


def model_with(model_id):
    model = standard_artifacts.Model()
    model.id = model_id
    return model


def blessing_of(model_id, blessed):
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", blessed)
    blessing.set_int_custom_property("current_model_id", model_id)
    return blessing


@pytest.mark.parametrize(
    ("candidate", "models", "blessed", "expected"),
    [
        pytest.param(1, [1], {}, [], id="first run"),
        pytest.param(1, [1], {1: 1}, [], id="candidate from the cache is not its own baseline"),
        pytest.param(9, [9, 1, 4], {1: 1, 4: 1}, [4], id="latest, in any order"),
        pytest.param(9, [1, 4, 9], {1: 1, 4: 0}, [1], id="refused models are passed over"),
        pytest.param(4, [1, 4, 9], {1: 1, 9: 1}, [1], id="younger models are passed over"),
        pytest.param(9, [1, 4, 9], {1: 1}, [1], id="models nobody judged are passed over"),
        pytest.param(9, [9], {1: 1}, [], id="blessed model that is gone"),
    ],
)
def test_the_baseline_is_the_latest_blessed_model_before_the_candidate(
    candidate, models, blessed, expected
):
    resolved = LatestBlessedBefore().resolve_artifacts(
        None,
        {
            "candidate": [model_with(candidate)],
            "model": [model_with(model_id) for model_id in models],
            "model_blessing": [blessing_of(*item) for item in blessed.items()],
        },
    )

    assert [model.id for model in resolved["model"]] == expected
    assert [model.id for model in resolved["candidate"]] == [candidate]
    assert [
        blessing.get_int_custom_property("current_model_id")
        for blessing in resolved["model_blessing"]
    ] == expected


@component
def Extractor(extractor: OutputArtifact[standard_artifacts.Model]):  # noqa: N802
    extractor.set_string_custom_property("name", "extractor")


@component
def Trainer(name: Parameter[str], model: OutputArtifact[standard_artifacts.Model]):  # noqa: N802
    model.set_string_custom_property("name", name)


@component
def Evaluator(  # noqa: N802
    model: InputArtifact[standard_artifacts.Model],
    extractor: InputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    baseline: InputArtifact[standard_artifacts.Model] = None,
):
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_int_custom_property("current_model_id", model.id)
    name = baseline.get_string_custom_property("name") if baseline else "none"
    blessing.set_string_custom_property("baseline", name)


def outcome(store):
    latest = max(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.id)
    executions = {
        execution.type.rsplit(".", 1)[-1]: execution
        for execution in store.get_executions_by_context(latest.id)
    }
    states = {
        name: metadata_store_pb2.Execution.State.Name(execution.last_known_state)
        for name, execution in executions.items()
    }
    outputs = [
        event.artifact_id
        for event in store.get_events_by_execution_ids([executions["Evaluator"].id])
        if event.type == metadata_store_pb2.Event.OUTPUT
    ]
    (blessing,) = store.get_artifacts_by_id(outputs)
    return states, blessing.custom_properties["baseline"].string_value


@pytest.fixture
def run(tmp_path):
    """Runs the pipeline over one metadata store.

    Returns, by node, the state of this run's execution, and what the evaluator compared with.
    """
    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))

    def run_once(trained_as):
        extractor = Extractor()
        trainer = Trainer(name=trained_as)
        resolver = Resolver(
            strategy_class=LatestBlessedBefore,
            candidate=trainer.outputs["model"],
            model=types.Channel(type=standard_artifacts.Model),
            model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        ).with_id("baseline")
        evaluator = Evaluator(
            model=trainer.outputs["model"],
            extractor=extractor.outputs["extractor"],
            baseline=resolver.outputs["model"],
        )
        LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="test",
                pipeline_root=str(tmp_path / "root"),
                components=[extractor, trainer, resolver, evaluator],
                enable_cache=True,
                metadata_connection_config=connection,
            )
        )
        with metadata.Metadata(connection) as handle:
            return outcome(handle.store)

    return run_once


def test_an_identical_run_is_cached_and_a_changed_one_meets_the_model_before(run):
    states, baseline = run("first")
    assert (states["Evaluator"], baseline) == ("COMPLETE", "none")

    states, baseline = run("first")
    assert {states[name] for name in ("Extractor", "Trainer", "Evaluator")} == {"CACHED"}
    assert baseline == "none"

    states, baseline = run("second")
    assert (states["Extractor"], states["Evaluator"]) == ("CACHED", "COMPLETE")
    assert baseline == "first"
