"""Paths, answers and errors, case by case as TensorFlow Serving's own tests of its handler do."""

import base64
import concurrent.futures
import json
import time

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from components.serving.server.app import Limits

HIGHEST = 2**64 - 1


@pytest.fixture(scope="module")
def limited(generator_folder, serving):
    limits = Limits(body_bytes=1000, rows=3, seconds=0.3)
    with serving(generator_folder, limits=limits) as (client, _):
        yield client


@pytest.fixture(scope="module")
def secret(half_folder, serving):
    with serving(half_folder, "half", token="secret") as (client, _):
        yield client


@pytest.mark.parametrize(
    ("version", "document", "expected"),
    [
        ("", {"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[3.5, 4.0], [4.5, 5.0]]}),
        ("/versions/123", {"instances": [1.0, 2.0]}, {"predictions": [2.5, 3.0]}),
        ("/versions/124", {"instances": [1.0, 2.0]}, {"predictions": [3.5, 4.0]}),
        ("/labels/stable", {"instances": [1.0, 2.0]}, {"predictions": [2.5, 3.0]}),
        (
            "/versions/123",
            {"signature_name": "serving_default", "instances": [3.0, 4.0]},
            {"predictions": [3.5, 4.0]},
        ),
        (
            "/versions/123",
            {"signature_name": "serving_default", "inputs": [3.0, 4.0]},
            {"outputs": [3.5, 4.0]},
        ),
        ("/versions/123", {"inputs": {"x": 3}}, {"outputs": 3.5}),
        (
            "",
            {"signature_name": "two", "instances": [{"x": 2, "text": "a"}, {"x": 4, "text": "é"}]},
            {
                "predictions": [
                    {"text": "a", "text_bytes": {"b64": "YQ=="}, "y": 4.0},
                    {"text": "é", "text_bytes": {"b64": "w6k="}, "y": 5.0},
                ]
            },
        ),
        (
            "",
            {"signature_name": "two", "inputs": {"x": [2], "text": [{"b64": "YQ=="}]}},
            {"outputs": {"text": ["a"], "text_bytes": [{"b64": "YQ=="}], "y": [4.0]}},
        ),
        ("", {"signature_name": "total", "inputs": [1, 2, 3]}, {"outputs": 6.0}),
        # Answers that JSON has no numbers for, as the server writes them.
        ("", '{"instances": [NaN, -Infinity]}', {"predictions": [np.nan, -np.inf]}),
    ],
)
def test_predict(half, version, document, expected):
    status, answer = half.predict(document, version)

    np.testing.assert_equal((status, answer), (200, expected))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/v1/models/half", "", 400, "Malformed request: POST /v1/models/half"),
        ("POST", "/v1/models", "", 400, "Malformed request"),
        ("GET", "/v1/models", "", 400, "Missing model name"),
        ("GET", "/v1/models/half/other", "", 400, "Malformed request"),
        ("GET", "/v1/models/half:predict", "", 400, "Malformed request"),
        ("GET", "/v1/models/half/version/50:predict", "", 400, "Malformed request"),
        ("POST", "/v1/models/half/version/50:regress", "", 400, "Malformed request"),
        ("POST", "/v1/models/half/versions/HELLO:regress", "", 400, "Malformed request"),
        (
            "POST",
            f"/v1/models/half/versions/{HIGHEST}:regress",
            "",
            400,
            "Failed to convert version",
        ),
        ("POST", "/v1/models/half/metadata", "", 400, "Malformed request"),
        ("POST", "/v1/models/half/label/some:regress", "", 400, "Malformed request"),
        ("POST", "/v1/models/half/versions/50/labels/some:regress", "", 400, "Malformed request"),
        ("POST", "/v1/models/half/versions/some:regress", "", 400, "Malformed request"),
        ("DELETE", "/v1/models/half", "", 400, "Malformed request: DELETE"),
        (
            "POST",
            "/v1/models/foo:predict",
            '{"instances": [1]}',
            404,
            "Servable not found for request: Latest(foo)",
        ),
        (
            "POST",
            "/v1/models/foo/versions/50:predict",
            '{"instances": [1]}',
            404,
            "Servable not found for request: Specific(foo, 50)",
        ),
        (
            "POST",
            "/v1/models/half/versions/99:predict",
            '{"instances": [1]}',
            404,
            "Servable not found for request: Specific(half, 99)",
        ),
        ("GET", "/v1/models/half/versions/99/metadata", "", 404, "Specific(half, 99)"),
        ("GET", "/v1/models/half/versions/99", "", 404, "Could not find version 99 of model half"),
        ("GET", "/v1/models/foo", "", 404, "Could not find any versions of model foo"),
        (
            "POST",
            "/v1/models/half/labels/other:predict",
            '{"instances": [1]}',
            400,
            "Unrecognized servable version label: other",
        ),
        ("POST", "/v1/models/half:predict", "", 400, "JSON Parse error: The document is empty"),
        (
            "POST",
            "/v1/models/half:predict",
            "instances = [1, 2]",
            400,
            "JSON Parse error: Invalid value",
        ),
        (
            "POST",
            "/v1/models/half:predict",
            '{"instances": ["x", "y"]}',
            400,
            "not of expected type: float",
        ),
        (
            "POST",
            "/v1/models/half:predict",
            '{"signature_name": 100}',
            400,
            "'signature_name' key must be a string value.",
        ),
        (
            "POST",
            "/v1/models/half:predict",
            '{"signature_name": "none", "instances": [1]}',
            400,
            'Serving signature name: "none" not found in signature def',
        ),
        (
            "POST",
            "/v1/models/half:predict",
            '{"signature_name": "total", "instances": [1]}',
            400,
            "Tensor name: y has no shape information",
        ),
        (
            "POST",
            "/v1/models/half:predict",
            '{"signature_name": "two", "inputs": {"x": [[1]], "text": ["a"]}}',
            400,
            "x: expected shape [?], found [1, 1]",
        ),
        ("POST", "/v1/models/half:classify", "{}", 400, "key 'examples' is expected"),
        ("POST", "/v1/models/half:classify", '{"examples": 1}', 400, "to be an list/array"),
        ("POST", "/v1/models/half:regress", '{"examples": []}', 400, "is an empty array"),
        (
            "POST",
            "/v1/models/half:regress",
            '{"examples": [1]}',
            400,
            "Example must be JSON object",
        ),
        (
            "POST",
            "/v1/models/half:classify",
            '{"examples": [{"x": 1}]}',
            400,
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/predict",
        ),
        (
            "POST",
            "/v1/models/half:regress",
            '{"examples": [{"x": 1}]}',
            400,
            "Expected regression signature method_name to be tensorflow/serving/regress",
        ),
        (
            "POST",
            "/v1/models/half:regress",
            '{"signature_name": "none", "examples": [{"x": 1}]}',
            400,
            "No signature was found with the name: none",
        ),
        ("GET", "/other", "", 404, "Not Found"),
        ("POST", "/healthz", "", 405, "Method Not Allowed"),
    ],
)
def test_errors(half, method, path, body, status, words):
    found, answer = half.json(method, path, body)

    assert found == status
    assert answer.keys() == {"error"}
    assert words in answer["error"]


def test_paths_may_be_in_capitals_and_escaped(half):
    status, answer = half.json("POST", "/V1/MODELS/%68alf:PREDICT", {"instances": [2]})
    assert (status, answer) == (200, {"predictions": [4.0]})


def version_status(version):
    status = {"error_code": "OK", "error_message": ""}
    return {"version": version, "state": "AVAILABLE", "status": status}


@pytest.mark.parametrize(
    ("path", "versions"),
    [("", ["124", "123"]), ("/versions/123", ["123"]), ("/labels/stable", ["123"])],
)
def test_status(half, path, versions):
    status, answer = half.get(path)

    assert status == 200
    assert answer == {"model_version_status": [version_status(each) for each in versions]}
    json_format.ParseDict(answer, get_model_status_pb2.GetModelStatusResponse())


def test_metadata(half):
    status, answer = half.get("/versions/123/metadata")

    assert status == 200
    assert answer["model_spec"] == {"name": "half", "signature_name": "", "version": "123"}
    found = answer["metadata"]["signature_def"]["signature_def"]["two"]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert found["inputs"]["text"] == {
        "dtype": "DT_STRING",
        "tensor_shape": shape,
        "name": "two_text:0",
    }
    assert found["outputs"]["y"]["dtype"] == "DT_FLOAT"
    assert found["method_name"] == "tensorflow/serving/predict"
    unknown = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert unknown["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}
    # The server leaves out the type of the message that is packed.
    packed = {"@type": "type.googleapis.com/tensorflow.serving.SignatureDefMap"}
    packed |= answer["metadata"]["signature_def"]
    json_format.ParseDict(
        {"model_spec": answer["model_spec"], "metadata": {"signature_def": packed}},
        get_model_metadata_pb2.GetModelMetadataResponse(),
    )


def test_a_generator_answers_in_rows_and_columns(generator, generator_folder):
    model = tf.saved_model.load(str(generator_folder / "17"))
    seeds, labels = [3, -(2**63), 2**63 - 1], [0, 2, 0]
    expected = model.signatures["sample"](
        seeds=tf.constant(seeds, tf.int64), labels=tf.constant(labels, tf.int64)
    )["images"].numpy()

    rows = [{"seeds": s, "labels": y} for s, y in zip(seeds, labels, strict=True)]
    _, answer = generator.predict({"signature_name": "sample", "instances": rows})
    assert answer == {"predictions": expected.tolist()}
    columns = {"seeds": seeds, "labels": labels}
    _, answer = generator.predict({"signature_name": "sample", "inputs": columns})
    assert answer == {"outputs": expected.tolist()}


def test_a_signature_without_inputs_is_called_in_column_form(generator):
    _, answer = generator.predict({"signature_name": "describe", "inputs": {}})
    assert json.loads(answer["outputs"])["contract"] == 2


def test_png_files_come_as_base64_or_alone(generator):
    row = {"seeds": 5, "labels": 0}
    document = {"signature_name": "sample_png", "instances": [row]}
    _, answer = generator.predict(document)
    file = base64.b64decode(answer["predictions"][0]["b64"])

    path = "/v1/models/generator:predict"
    for accept in ("image/png", "image/png;q=0.9, */*;q=0.1", "text/html, IMAGE/PNG, */*"):
        found = generator.raw("POST", path, json.dumps(document), {"Accept": accept})
        assert (found[0], found[1]["content-type"], found[2]) == (200, "image/png", file)
    assert tf.io.decode_png(file).shape == (8, 8, 1)
    for accept in ("*/*", "application/json, image/png", ""):
        assert generator.predict(document, Accept=accept) == (200, answer)


@pytest.mark.parametrize(
    ("signature", "rows", "words"),
    [
        ("sample_png", 2, "image/png is one image, asked for 2"),
        ("sample", 1, "sample: makes no PNG files; sample_png does"),
    ],
)
def test_what_is_not_one_png_file_is_not_acceptable(generator, signature, rows, words):
    document = {"signature_name": signature, "instances": [{"seeds": 5, "labels": 0}] * rows}
    status, answer = generator.predict(document, Accept="image/png")

    assert (status, words in answer["error"]) == (406, True)


@pytest.mark.parametrize(
    ("signature", "inputs", "words"),
    [
        (
            "sample",
            {"seeds": [1, 2], "labels": [1, 2]},
            "no such class; the generator has classes 0, 2",
        ),
        (
            "sample",
            {"seeds": [1, 2], "labels": [0]},
            "seeds: as many rows as labels needed, 1, found 2",
        ),
        (
            "sample",
            {"seeds": [], "labels": [0]},
            "seeds: as many rows as labels needed, 1, found 0",
        ),
        (
            "sample",
            {"seeds": [0] * 1025, "labels": [0] * 1025},
            "a request may have 1024 rows, found 1025",
        ),
        ("sample_truncated", {"seeds": [1], "labels": [0], "truncation": [1.5]}, "in [0, 1]"),
        (
            "sample_truncated",
            '{"seeds": [1], "labels": [0], "truncation": [NaN]}',
            "truncation: expected numbers in [0, 1]",
        ),
        (
            "serving_default",
            f'{{"latents": [{[1e999] * 6}], "labels": [0]}}'.replace("inf", "Infinity"),
            "latents: expected finite numbers",
        ),
        (
            "serving_default",
            {"latents": [[0.5] * 5], "labels": [0]},
            "latents: expected shape [?, 6], found [1, 5]",
        ),
    ],
)
def test_what_the_model_refuses_is_told_in_a_line(generator, signature, inputs, words):
    text = inputs if isinstance(inputs, str) else json.dumps(inputs)
    body = f'{{"signature_name": "{signature}", "inputs": {text}}}'
    status, answer = generator.predict(body)

    assert status == 400
    assert words in answer["error"]
    assert "\n" not in answer["error"]


def test_health_metrics_and_description(generator):
    assert generator.json("GET", "/healthz") == (200, {"status": "ok"})
    row = {"signature_name": "draw_labels", "instances": [1, 2, 3]}
    before, after = (
        [generator.predict(row), generator.raw("GET", "/metrics")[2].decode()][1] for _ in range(2)
    )
    count = 'tfx_gan_requests_total{method="predict",status="200"} '
    counts = [
        float(next(line for line in text.splitlines() if line.startswith(count))[len(count) :])
        for text in (before, after)
    ]
    assert counts[1] == counts[0] + 1
    assert "tfx_gan_version 17.0" in after
    assert "process_resident_memory_bytes" in after
    status, document = generator.json("GET", "/openapi.json")
    assert (status, "/v1/models/generator:predict" in document["paths"]) == (200, True)


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"),
    [
        ({"Content-Encoding": "gzip"}, b"{}", 415, "Content-Encoding: expected none"),
        ({}, b" " * 1001, 413, "a body may have 1000 bytes"),
        # Without a length, as it is found out on the way.
        (
            {"Transfer-Encoding": "chunked"},
            b"3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n",
            413,
            "1000",
        ),
        (
            {},
            b'{"signature_name": "sample", "inputs": {"seeds": [1,1,1,1], "labels": [0,0,0,0]}}',
            400,
            "a request may have 3 rows, found 4",
        ),
        ({"Content-Length": "10"}, b"{", 408, "the body did not come within 0.3 s"),
    ],
)
def test_limits_of_a_request(limited, headers, body, status, words):
    found, answer = limited.predict(body, **headers)
    assert (found, words in answer["error"]) == (status, True), answer
    # It has gone on.
    assert limited.get()[0] == 200


def waiting(client, file):
    """A request that is computed until the file exists, begun; ends with its answer."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(client.predict, {"signature_name": "wait", "inputs": [str(file)]})
    in_progress = b"tfx_gan_requests_in_progress 1.0"
    while in_progress not in client.raw("GET", "/metrics")[2]:
        time.sleep(0.01)
    return future


def test_too_many_requests_at_a_time(half_folder, tmp_path, serving):
    limits = Limits(concurrency=1)
    with serving(half_folder, "half", limits=limits) as (client, _):
        first = waiting(client, tmp_path / "go")
        status, headers, body = client.raw("POST", "/v1/models/half:predict", '{"instances": [1]}')
        assert (status, headers["retry-after"]) == (429, "1")
        assert "too many requests" in json.loads(body)["error"]
        # What costs nothing is answered.
        assert client.get()[0] == 200
        (tmp_path / "go").touch()
        assert first.result()[0] == 200
        assert client.predict({"instances": [1]})[0] == 200


def test_a_request_that_takes_too_long(half_folder, tmp_path, serving):
    with serving(half_folder, "half", limits=Limits(seconds=0.2)) as (client, _):
        status, answer = client.predict({"signature_name": "wait", "inputs": [f"{tmp_path}/go"]})
        assert (status, answer["error"]) == (503, "not computed within 0.2 s; try again later")
        (tmp_path / "go").touch()
        while client.predict({"instances": [1]})[0] == 503:
            pass


@pytest.mark.parametrize("path", ["/v1/models/half", "/metrics", "/openapi.json"])
def test_a_token(secret, path):
    for value in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
        status, found, body = secret.raw("GET", path, headers=value)
        assert (status, found["www-authenticate"]) == (401, "Bearer")
        assert json.loads(body).keys() == {"error"}
    assert secret.raw("GET", path, headers={"Authorization": "Bearer secret"})[0] == 200
    assert secret.raw("GET", "/healthz")[0] == 200
