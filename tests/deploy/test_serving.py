"""deploy/serving fits the signatures of a generator and the messages of the servers."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,  # noqa: F401 - in the pool.
)
from tensorflow_serving.config import model_server_config_pb2

from components.serving.contract import MAX_ROWS
from components.serving.generator import Generator
from components.trainer import export
from pipeline import config

FOLDER = Path(__file__).parents[2] / "deploy" / "serving"
README = (FOLDER / "README.md").read_text("utf-8")
KUBEFLOW = FOLDER.parent / "kubeflow"
SHAPE = (28, 28, 1)

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "int64": _FIELD.TYPE_INT64,
    "int32": _FIELD.TYPE_INT32,
    "bool": _FIELD.TYPE_BOOL,
    "string": _FIELD.TYPE_STRING,
}
# Of messages that no package on the registries has: fields and types from the servers' sources,
# "*" for repeated, numbers as far as they are of use: text has none.
BATCHING = {
    "Batching": {
        "max_batch_size": ".google.protobuf.Int64Value",
        "batch_timeout_micros": ".google.protobuf.Int64Value",
        "max_enqueued_batches": ".google.protobuf.Int64Value",
        "num_batch_threads": ".google.protobuf.Int64Value",
        "thread_pool_name": ".google.protobuf.StringValue",
        "enable_large_batch_splitting": ".google.protobuf.BoolValue",
        "max_execution_batch_size": ".google.protobuf.Int64Value",
        "allowed_batch_sizes": "*int64",
        "pad_variable_length_inputs": "bool",
    }
}
MONITORING = {
    "Monitoring": {"prometheus_config": ".t.Prometheus"},
    "Prometheus": {"enable": "bool", "path": "string"},
}
TRITON = {
    "Model": {
        "name": "string",
        "platform": "string",
        "max_batch_size": "int32",
        "input": "*.t.Tensor",
        "output": "*.t.Tensor",
        "dynamic_batching": ".t.Dynamic",
        "instance_group": "*.t.Group",
    },
    # Types and kinds are enumerations, whose names are written without quotes.
    "Tensor": {"name": "string", "data_type": "=", "dims": "*int64", "reshape": ".t.Reshape"},
    "Reshape": {"shape": "*int64"},
    "Dynamic": {"max_queue_delay_microseconds": "int64"},
    "Group": {"kind": "=", "count": "int32"},
}
_NAMES = ["TYPE_UINT8", "TYPE_INT64", "TYPE_FP32", "KIND_AUTO", "KIND_CPU", "KIND_GPU"]


def parse(definitions, path):
    """A file in text format, as the first of the messages."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    names = file.enum_type.add(name="Name")
    for number, name in enumerate(_NAMES):
        names.value.add(name=name, number=number)
    for message, fields in definitions.items():
        added = file.message_type.add(name=message)
        for number, (name, kind) in enumerate(fields.items(), 1):
            repeated, kind = kind.startswith("*"), kind.lstrip("*")
            field = added.field.add(name=name, number=number)
            field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if kind == "=":
                field.type, field.type_name = _FIELD.TYPE_ENUM, ".t.Name"
            elif kind.startswith("."):
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, kind
            else:
                field.type = _TYPES[kind]
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"t.{next(iter(definitions))}")
    if hasattr(message_factory, "GetMessageClass"):
        found = message_factory.GetMessageClass(descriptor)
    else:  # protobuf 3.
        found = message_factory.MessageFactory(pool).GetPrototype(descriptor)
    return text_format.Parse(path.read_text("utf-8"), found())


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


class Network(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal([4, int(np.prod(SHAPE))], [0, 0]))

    def __call__(self, latents, training=None):
        return tf.reshape(tf.tanh(latents @ self.weights), [-1, *SHAPE])


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("serving") / "17")
    export.save(export.ServingSignatures(Network(), 4), path)
    return Generator.load(path)


def models():
    text = (FOLDER / "tensorflow-serving" / "models.config").read_text("utf-8")
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    return model


def batching():
    return parse(BATCHING, FOLDER / "tensorflow-serving" / "batching.config")


def test_the_model_config_serves_the_newest_version():
    model = models()
    assert (model.name, model.model_platform) == ("generator", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_the_batching_parameters_fit_the_contract(generator):
    parameters = batching()
    assert parameters.max_batch_size.value <= generator.description["max_rows"] == MAX_ROWS
    assert parameters.num_batch_threads.value >= 1
    assert not parameters.allowed_batch_sizes
    assert not parameters.pad_variable_length_inputs


def test_tensorflow_serving_can_batch_each_signature_with_inputs(generator):
    for name in generator.signatures:
        for spec in generator.inputs(name).values():
            assert spec.shape.rank >= 1 and spec.shape[0] is None
        if generator.inputs(name):
            assert all(spec.shape[0] is None for spec in generator.outputs(name).values())


@pytest.mark.parametrize("sizes", [(1,), (1, 1, 1), (3, 1, 4, 2), (64, 64)])
@pytest.mark.parametrize("allowed", [(), (8, 32, 256)])
def test_rows_merged_and_split_as_tensorflow_serving_does(generator, sizes, allowed):
    """`MergeInputTensors` and `SplitOutputTensors` of its batching_session.cc.

    Tensors of a name are concatenated along dimension 0 and padded, to an allowed size, with the
    first row of the last request; the outputs' dimension 0 has to be the sum, and they are split
    by the sizes of the requests and of the padding.
    """
    random = np.random.default_rng(0)
    tasks = [
        {
            "seeds": random.integers(-(2**63), 2**63, size),
            "truncation": random.uniform(size=size).astype(np.float32),
        }
        for size in sizes
    ]
    padding = next((each for each in allowed if each >= sum(sizes)), sum(sizes)) - sum(sizes)
    merged = {
        name: np.concatenate([task[name] for task in tasks] + [tasks[-1][name][:1]] * padding)
        for name in ("seeds", "truncation")
    }
    images = generator("sample_truncated", **merged)["images"]

    assert len(images) == sum(sizes) + padding
    *parts, _ = np.split(images, np.cumsum(sizes))
    for task, part in zip(tasks, parts, strict=True):
        alone = generator("sample_truncated", **task)["images"]
        assert np.abs(alone.astype(int) - part.astype(int)).max() <= 1


def test_monitoring_is_where_kubernetes_is_told():
    prometheus = parse(MONITORING, FOLDER / "tensorflow-serving" / "monitoring.config")
    deployment, _ = documents("tensorflow-serving/deployment.yaml")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]

    assert prometheus.prometheus_config.enable
    assert annotations["prometheus.io/path"] == prometheus.prometheus_config.path


def test_the_deployment_has_only_fields_of_kubernetes(check):
    for manifest in documents("tensorflow-serving/deployment.yaml"):
        check(f"V1{manifest['kind']}", manifest, manifest["kind"])


def test_compose_and_kubernetes_start_the_server_alike():
    compose = documents("tensorflow-serving/compose.yaml")[0]["services"]["tensorflow-serving"]
    deployment, service = documents("tensorflow-serving/deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert compose["image"] == container["image"]
    assert compose["entrypoint"] == container["command"]
    assert compose["command"] == container["args"]
    files = dict(each[2:].split("=") for each in compose["command"])
    named = {Path(each) for each in files.values() if each.startswith("/etc/serving/")}
    assert {each.name for each in named} == set(
        documents("tensorflow-serving/kustomization.yaml")[0]["configMapGenerator"][0]["files"]
    )
    assert all((FOLDER / "tensorflow-serving" / each.name).is_file() for each in named)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"grpc": int(files["port"]), "http": int(files["rest_api_port"])}
    assert {each["targetPort"] for each in service["spec"]["ports"]} == set(ports)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == deployment["spec"]["selector"]["matchLabels"]
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {models().base_path, "/etc/serving"}


def test_models_are_where_the_pipeline_on_kubernetes_pushes_them():
    recipe = config.load(str(KUBEFLOW / "recipe.yaml"), ())
    (volume,) = recipe.kubeflow.volumes
    deployment, _ = documents("tensorflow-serving/deployment.yaml")
    spec = deployment["spec"]["template"]["spec"]
    (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if "subPath" in each]
    claims = [
        each["persistentVolumeClaim"]["claimName"]
        for each in spec["volumes"]
        if "persistentVolumeClaim" in each
    ]
    (service,) = documents("kserve/savedmodel.yaml")
    uri = service["spec"]["predictor"]["model"]["storageUri"]

    assert claims == [volume.claim]
    assert mount["subPath"] == f"{recipe.name}/serving"
    assert uri == f"pvc://{volume.claim}/{recipe.name}/serving"


@pytest.mark.parametrize(
    ("file", "runtime", "protocol"),
    [("savedmodel.yaml", "tensorflow", "v1"), ("onnx.yaml", "onnx", "v2")],
)
def test_an_inference_service_names_format_and_protocol(file, runtime, protocol):
    (service,) = documents(f"kserve/{file}")
    model = service["spec"]["predictor"]["model"]

    assert (service["apiVersion"], service["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    assert model["modelFormat"]["name"] == runtime
    assert model["protocolVersion"] == protocol
    assert model["storageUri"].startswith("pvc://gan/")


def test_triton_s_configuration_is_that_of_the_signature(generator):
    model = parse(TRITON, FOLDER / "triton" / "generator" / "config.pbtxt")
    types = {tf.int64: "TYPE_INT64", tf.uint8: "TYPE_UINT8"}

    assert (model.name, model.platform) == ("generator", "onnxruntime_onnx")
    assert 0 < model.max_batch_size <= MAX_ROWS
    inputs, outputs = generator.inputs("sample"), generator.outputs("sample")
    assert [each.name for each in model.input] == list(inputs)
    assert [each.name for each in model.output] == list(outputs)
    for each, spec in zip(
        [*model.input, *model.output], [*inputs.values(), *outputs.values()], strict=True
    ):
        assert _NAMES[each.data_type] == types[spec.dtype]
        shape = each.reshape.shape if each.HasField("reshape") else each.dims
        assert list(shape) == spec.shape.as_list()[1:]
        assert int(np.prod(each.dims)) == int(np.prod(spec.shape.as_list()[1:]))


def test_every_file_is_named_in_the_readme():
    files = {
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert set(re.findall(r"^\| \[(\S+)\]\(\1\) \|", README, re.MULTILINE)) == files


def test_commands_of_the_readme_name_files_that_are_there():
    root = FOLDER.parents[1]
    for line in README.splitlines():
        for word in (
            shlex.split(line, comments=True) if line.startswith(("docker", "kubectl")) else ()
        ):
            if word.startswith("deploy/"):
                assert (root / word).exists(), word
