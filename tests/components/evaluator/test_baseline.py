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

from components.evaluator.baseline import BlessedBefore


def model_with(model_id, **properties):
    model = standard_artifacts.Model()
    model.id = model_id
    for name, value in properties.items():
        model.set_string_custom_property(name, value)
    return model


def blessing_of(model_id, blessed, fid=None, extractor_id="e"):
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", blessed)
    blessing.set_int_custom_property("current_model_id", model_id)
    if fid is not None:
        blessing.set_float_custom_property("fid", fid)
        blessing.set_string_custom_property("extractor_id", extractor_id)
    return blessing


def resolve(candidate, models, blessings):
    return BlessedBefore().resolve_artifacts(
        None,
        {
            "candidate": [model_with(candidate)],
            "extractor": [model_with(100, id="e")],
            "model": [model_with(model_id) for model_id in models],
            "best": [model_with(model_id) for model_id in models],
            "model_blessing": blessings,
        },
    )


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
    resolved = resolve(candidate, models, [blessing_of(*item) for item in blessed.items()])

    assert [model.id for model in resolved["model"]] == expected
    assert [model.id for model in resolved["candidate"]] == [candidate]
    assert [
        blessing.get_int_custom_property("current_model_id")
        for blessing in resolved["model_blessing"]
    ] == expected
    assert resolved["best"] == [], "their evaluations left no FID"


@pytest.mark.parametrize(
    ("blessings", "expected"),
    [
        pytest.param([(1, 1, 20.0), (4, 1, 29.0), (6, 1, 25.0)], [1], id="lowest FID"),
        pytest.param([(1, 1, 20.0), (4, 1, 20.0)], [4], id="latest of equals"),
        pytest.param([(1, 0, 20.0), (4, 1, 29.0)], [4], id="refused"),
        pytest.param([(4, 1, 29.0), (9, 1, 20.0), (11, 1, 20.0)], [4], id="not before"),
        pytest.param([(1, 1, 20.0, "other"), (4, 1, 29.0)], [4], id="another extractor"),
        pytest.param([(1, 1, 20.0, "other"), (4, 1, 29.0, "other")], [], id="a new extractor"),
        pytest.param([(1, 1), (4, 1, 29.0)], [4], id="no FID is not a FID of 0"),
        pytest.param([(1, 1, float("nan")), (4, 1, 29.0)], [4], id="not a number"),
        pytest.param([(1, 1, 20.0, "other"), (1, 1, 35.0), (4, 1, 29.0)], [4], id="judged twice"),
        pytest.param([(2, 1, 10.0), (4, 1, 29.0)], [4], id="model that is gone"),
    ],
)
def test_the_best_has_the_lowest_fid_under_this_extractor(blessings, expected):
    resolved = resolve(9, [1, 4, 6, 9, 11], [blessing_of(*given) for given in blessings])

    assert [model.id for model in resolved["best"]] == expected


@component
def Extractor(extractor: OutputArtifact[standard_artifacts.Model]):  # noqa: N802
    extractor.set_string_custom_property("id", "e")


@component
def Trainer(name: Parameter[str], model: OutputArtifact[standard_artifacts.Model]):  # noqa: N802
    model.set_string_custom_property("name", name)


@component
def Evaluator(  # noqa: N802
    model: InputArtifact[standard_artifacts.Model],
    extractor: InputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    fid: Parameter[float],
    baseline: InputArtifact[standard_artifacts.Model] = None,
    best: InputArtifact[standard_artifacts.Model] = None,
):
    blessing.set_float_custom_property("fid", fid)
    blessing.set_string_custom_property("extractor_id", "e")
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_int_custom_property("current_model_id", model.id)
    for key, model in (("baseline", baseline), ("best", best)):
        name = model.get_string_custom_property("name") if model else "none"
        blessing.set_string_custom_property(key, name)


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
    return states, *(blessing.custom_properties[key].string_value for key in ("baseline", "best"))


@pytest.fixture
def run(tmp_path):
    """Runs the pipeline over one metadata store.

    Returns, by node, the state of this run's execution, and what the evaluator compared with.
    """
    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))

    def run_once(trained_as, fid=0.0):
        extractor = Extractor()
        trainer = Trainer(name=trained_as)
        resolver = Resolver(
            strategy_class=BlessedBefore,
            candidate=trainer.outputs["model"],
            extractor=extractor.outputs["extractor"],
            best=types.Channel(type=standard_artifacts.Model),
            model=types.Channel(type=standard_artifacts.Model),
            model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        ).with_id("baseline")
        evaluator = Evaluator(
            model=trainer.outputs["model"],
            extractor=extractor.outputs["extractor"],
            fid=fid,
            baseline=resolver.outputs["model"],
            best=resolver.outputs["best"],
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


def test_an_identical_run_is_cached_and_a_changed_one_meets_the_models_before(run):
    states, *met = run("first", fid=20.0)
    assert (states["Evaluator"], met) == ("COMPLETE", ["none", "none"])

    states, *met = run("first", fid=20.0)
    assert {states[name] for name in ("Extractor", "Trainer", "Evaluator")} == {"CACHED"}
    assert met == ["none", "none"]

    states, *met = run("second", fid=29.0)
    assert (states["Extractor"], states["Evaluator"]) == ("CACHED", "COMPLETE")
    assert met == ["first", "first"]

    states, *met = run("third", fid=42.0)
    assert met == ["second", "first"]
