"""Between the launcher's executor input and TFX's: what real backends sent, and made-up stages."""

import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils

from components.common import costs, tfx
from components.common.code_version import code_version
from components.common.costs import Cost
from components.outcome import record
from components.trainer import rendezvous
from pipeline.kubeflow import entry_point
from pipeline.kubeflow.entry_point import Command

GOLDEN = Path(__file__).parents[1] / "rehearsal" / "golden"
CASES = [
    (dialect, stage)
    for dialect in ("2.17", "mlmd-free")
    for stage in json.loads((GOLDEN / f"{dialect}.json").read_text())
]


@pytest.fixture
def in_pod(tmp_path, monkeypatch):
    """The launcher's folders, which are at the root of a pod's file system, below `tmp_path`."""
    staged = {scheme: f"{tmp_path}{folder}" for scheme, folder in entry_point._STAGED.items()}
    monkeypatch.setattr(entry_point, "_STAGED", staged)
    return tmp_path


def parsed(given):
    """The artifacts as TFX reads them."""
    message = json_format.ParseDict(
        given, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True
    )
    sides = (message.inputs.artifacts, message.outputs.artifacts)
    return [kubeflow_v2_entrypoint_utils.parse_raw_artifact_dict(side, {}) for side in sides]


@pytest.mark.parametrize(("dialect", "stage"), CASES)
def test_tfx_reads_what_the_backends_send(in_pod, dialect, stage):
    given = json.loads((GOLDEN / f"{dialect}.json").read_text())[stage]["executor_input"]
    # The same for all backends.
    component = json.loads((GOLDEN / "2.17.json").read_text())[stage]["component_spec"]
    inputs = component.get("inputDefinitions", {})
    addresses = {
        name: listed["artifacts"][0]["uri"]
        for name, listed in given.get("inputs", {}).get("artifacts", {}).items()
    }

    shown = entry_point.translate(Command("", given, inputs, []))
    read, made = parsed(given)

    assert set(shown) == {"executor-logs"}
    assert set(read) == set(inputs.get("artifacts", {}))
    for name, (artifact,) in read.items():
        schema = inputs["artifacts"][name]["artifactType"]["instanceSchema"]
        assert artifact.type_name == schema.splitlines()[0].removeprefix("title: tfx.")
        assert artifact.uri == entry_point.staged(addresses[name])
        assert artifact.uri.startswith(str(in_pod))
        assert tfx.address(artifact) == addresses[name]
    assert {*made, *shown} == set(component["outputDefinitions"]["artifacts"])
    for (artifact,) in made.values():
        assert Path(artifact.uri).is_dir()


def command(metadata=None, parameters=None, kinds=None, artifact_type=None):
    schema = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
    artifact = {"uri": "s3://b/examples", "type": artifact_type or {}, "metadata": metadata or {}}
    given = {
        "inputs": {
            "artifacts": {"examples": {"artifacts": [artifact]}},
            "parameterValues": parameters or {},
        },
        "outputs": {"outputFile": "/s3/b/output_metadata.json"},
    }
    spec = {
        "artifacts": {"examples": {"artifactType": schema}},
        "parameters": {name: {"parameterType": kind} for name, kind in (kinds or {}).items()},
    }
    return Command("components.example_gen.component.X", given, spec, [])


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"struct": {"a": 1}}, {"a": 1}),
        ({"list": [1, 2]}, [1, 2]),
        ({"list": 1, "other": 2}, {"list": 1, "other": 2}),
        ("text", "text"),
        (0.5, 0.5),
    ],
)
def test_values_are_unwrapped(in_pod, sent, read):
    of_stage = command({"key": sent, "nothing": None})
    entry_point.translate(of_stage)
    (artifact,) = of_stage.given["inputs"]["artifacts"]["examples"]["artifacts"]
    assert artifact["metadata"] == {"key": read, tfx.ADDRESS: "s3://b/examples"}


@pytest.mark.parametrize("sent", [{}, {"instanceSchema": ""}, {"schemaTitle": "title: no class"}])
def test_types_are_the_compiled_components(in_pod, sent):
    of_stage = command(artifact_type=sent)
    entry_point.translate(of_stage)
    ((artifact,),) = parsed(of_stage.given)[0].values()
    assert artifact.type_name == "Examples"


def test_settings_of_the_run_replace_values_of_the_recipe(in_pod):
    of_stage = command(
        parameters={
            "config": json.dumps({"images": 5, "optimizer": {"rate": 0.1, "name": "adam"}}),
            "set__images": 1000.0,
            "set__optimizer__rate": 0.25,
            "code_version": "c",
        },
        kinds={"set__images": "NUMBER_INTEGER", "set__optimizer__rate": "NUMBER_DOUBLE"},
    )
    entry_point.translate(of_stage)
    parameters = of_stage.given["inputs"]["parameterValues"]
    assert set(parameters) == {"config", "code_version"}
    config = json.loads(parameters["config"])
    assert config == {"images": 1000, "optimizer": {"rate": 0.25, "name": "adam"}}
    assert isinstance(config["images"], int)


def test_other_code_than_was_compiled_is_refused():
    here = code_version("example_gen")
    entry_point.check_code(command(parameters={"code_version": here}))
    with pytest.raises(ValueError, match=f"code_version: .*example_gen 0123, .*holds {here}"):
        entry_point.check_code(command(parameters={"code_version": "0123"}))


def test_no_local_path_and_no_null_is_recorded(in_pod):
    local, uri = f"{in_pod}/s3/b/blessing", "s3://b/blessing"
    artifact = {"uri": local, "metadata": {"current_model": f"{in_pod}/s3/b/model", "n": None}}
    result = {"artifacts": {"blessing": {"artifacts": [artifact]}}}
    entry_point.report(result, {})
    assert artifact == {"uri": uri, "metadata": {"current_model": "s3://b/model"}}


def test_what_a_stage_took_goes_on_with_the_stages_before_it():
    before = costs.write({"ImageExampleGen": Cost(12.0, 1.5, "run")})
    given = command({costs.PROPERTY: before})
    result = {"artifacts": {"model": {"artifacts": [{"uri": "s3://b/model"}]}}}

    entry_point.note_cost(given, result, "GANTrainer", Cost(60.0, 2.0, "run"))

    (model,) = result["artifacts"]["model"]["artifacts"]
    assert costs.read([model["metadata"][costs.PROPERTY]]) == {
        "ImageExampleGen": Cost(12.0, 1.5, "run"),
        "GANTrainer": Cost(60.0, 2.0, "run"),
    }


def test_the_ui_gets_the_report_the_scores_and_the_outcome(in_pod):
    folder = in_pod / "s3/b/evaluation"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>good</p>")
    metadata = {"fid": 12.5, "recall": 0.5, "extractor_id": "e"}
    evaluation = {"uri": str(folder), "metadata": metadata}
    result = {
        "artifacts": {"evaluation": {"artifacts": [evaluation]}},
        "parameterValues": {"outcome": "digits: blessed"},
    }
    shown = {
        name: {"uri": f"s3://b/{name}", "type": {"schemaTitle": title}}
        for name, title in (
            ("report", "system.HTML"),
            ("scores", "system.Metrics"),
            ("page", "system.Markdown"),
            ("executor-logs", "system.Artifact"),
        )
    }

    entry_point.report(result, shown)

    assert (in_pod / "s3/b/report").read_text() == "<p>good</p>"
    assert (in_pod / "s3/b/page").read_text() == "digits: blessed"
    assert set(result["artifacts"]) == {"evaluation", "report", "scores", "page"}
    (scores,) = result["artifacts"]["scores"]["artifacts"]
    assert scores == {"uri": "s3://b/scores", "metadata": {"fid": 12.5, "recall": 0.5}}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ValueError("data.path: /d:\n  no such folder"),
            "ValueError: data.path: /d: no such folder",
        ),
        (KeyError("fid"), "KeyError: 'fid'"),
        (rendezvous.TryAgain("worker 1 is gone"), "TryAgain: worker 1 is gone"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
    ],
)
def test_a_stage_that_fails_leaves_word_until_it_succeeds(tmp_path, monkeypatch, error, words):
    environ = {"TFX_GAN_STAGE": "FindData", "TFX_GAN_RUN": "7", "TFX_GAN_OUTCOMES": str(tmp_path)}
    raising = iter([error])

    def run(_):
        for each in raising:
            raise each

    monkeypatch.setattr(entry_point, "run", run)
    with pytest.raises(type(error)):
        entry_point.main([], environ)
    assert record.in_words(str(tmp_path / "7")) == f"failed: FindData: {words}"

    entry_point.main([], environ)
    assert record.in_words(str(tmp_path / "7")).startswith("failed: no stage said why")


def test_nothing_is_left_where_no_run_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(entry_point, "run", lambda _: 1 / 0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError):
        entry_point.main([], {"TFX_GAN_STAGE": "FindData", "TFX_GAN_OUTCOMES": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
