"""Documents of the REST API, case by case as TensorFlow Serving's own tests of its handler do."""

import json

import numpy as np
import pytest
import tensorflow as tf

from components.serving.server import rest
from components.serving.server.errors import RequestError

INT = {"default": tf.TensorSpec(None, tf.int32)}
FLOAT = {"default": tf.TensorSpec(None, tf.float32)}
DOUBLE = {"default": tf.TensorSpec(None, tf.float64)}
STRING = {"default": tf.TensorSpec(None, tf.string)}
BOOL = {"default": tf.TensorSpec(None, tf.bool)}
SEEDS = {"seeds": tf.TensorSpec([None], tf.int64)}
SMALL = {"default": tf.TensorSpec(None, tf.uint8)}
COMPLEX = {"default": tf.TensorSpec(None, tf.complex64)}
TWO = {"ints": tf.TensorSpec(None, tf.int32), "texts": tf.TensorSpec(None, tf.string)}
FOUR = {
    **TWO,
    "floats": tf.TensorSpec(None, tf.float32),
    "doubles": tf.TensorSpec(None, tf.float64),
}
NAN, INF = float("nan"), float("inf")
HUGE, TINY = "1.7976931348623157e308", "2.2250738585072014e-308"


@pytest.mark.parametrize(
    ("specs", "body", "expected", "row"),
    [
        (INT, '{"instances": [[1,2],[3,4],[5,6]]}', {"default": [[1, 2], [3, 4], [5, 6]]}, True),
        (
            FLOAT,
            '{"instances": [1, 2.0, 3, 5.003, 0.007, 0.0]}',
            {"default": [1, 2, 3, 5.003, 0.007, 0]},
            True,
        ),
        (DOUBLE, '{"instances": [1.0, 2, 0.662, 0]}', {"default": [1, 2, 0.662, 0]}, True),
        # A whole number that a float cannot hold is as good as the same with a point.
        (FLOAT, '{"instances": [1435774380]}', {"default": [1435774380.0]}, True),
        (FLOAT, '{"instances": [1435774380.0]}', {"default": [1435774380.0]}, True),
        (FLOAT, f'{{"instances": [{HUGE}, -{HUGE}]}}', {"default": [INF, -INF]}, True),
        (FLOAT, f'{{"instances": [{TINY}, -{TINY}]}}', {"default": [0.0, -0.0]}, True),
        (
            FLOAT,
            '{"instances": [NaN, Infinity, -Infinity]}',
            {"default": [NAN, INF, -INF]},
            True,
        ),
        (
            INT,
            '{"signature_name": "predict_images", "instances": [[1,2]]}',
            {"default": [[1, 2]]},
            True,
        ),
        # What follows the document is not read.
        (INT, '{"instances": [[1,2]]}X', {"default": [[1, 2]]}, True),
        (INT, '\ufeff {"instances": [1]}', {"default": [1]}, True),
        (
            STRING,
            '{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]}',
            {"default": [b"hello", b"world"]},
            True,
        ),
        (
            STRING,
            '{"instances": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]}',
            {"default": [[b"hello"], [b"world"]]},
            True,
        ),
        (
            STRING,
            '{"instances": [{"default": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]}]}',
            {"default": [[[b"hello"], [b"world"]]]},
            True,
        ),
        (
            STRING,
            '{"instances": ["é", {"b64": " aGVs bG8"}]}',
            {"default": ["é".encode(), b"hello"]},
            True,
        ),
        (BOOL, '{"instances": [true, false]}', {"default": [True, False]}, True),
        (
            FOUR,
            """{"instances": [
              {"ints": [[1,2],[3,4]], "texts": ["foo", "bar"], "floats": [1.0, NaN],
               "doubles": [NaN]},
              {"ints": [[7,8],[9,0]], "texts": ["baz", "bat"], "floats": [2.0, Infinity],
               "doubles": [2.0]}]}""",
            {
                "ints": [[[1, 2], [3, 4]], [[7, 8], [9, 0]]],
                "texts": [[b"foo", b"bar"], [b"baz", b"bat"]],
                "floats": [[1.0, NAN], [2.0, INF]],
                "doubles": [[NAN], [2.0]],
            },
            True,
        ),
        (INT, '{"inputs": {"default": [[[1,2],[3,4]]]}}', {"default": [[[1, 2], [3, 4]]]}, False),
        (INT, '{"inputs": [[[1,2],[3,4]]]}', {"default": [[[1, 2], [3, 4]]]}, False),
        (INT, '{"inputs": 5}', {"default": 5}, False),
        (
            {**TWO, "more": tf.TensorSpec(None, tf.string)},
            '{"inputs": {"ints": [[1],[2]], "texts": ["a", "b"], "more": {"b64": "aGVsbG8="}}}',
            {"ints": [[1], [2]], "texts": [b"a", b"b"], "more": b"hello"},
            False,
        ),
        (STRING, '{"inputs": {"b64": "aGVsbG8="}}', {"default": b"hello"}, False),
        (SEEDS, '{"inputs": []}', {"seeds": []}, False),
        (INT, f'{{"instances": {"[" * 32}1{"]" * 32}}}', {"default": np.ones([1] * 32)}, True),
        (
            SEEDS,
            '{"instances": [9223372036854775807, -9223372036854775808]}',
            {"seeds": [2**63 - 1, -(2**63)]},
            True,
        ),
        ({}, '{"signature_name": "describe", "inputs": {}}', {}, False),
    ],
)
def test_requests_become_tensors(specs, body, expected, row):
    found, in_rows = rest.tensors(rest.parse(body.encode()), specs)

    assert in_rows is row
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        dtype = specs[name].dtype.as_numpy_dtype
        wanted = np.array(value, dtype=object if dtype is object else None)
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(found[name], wanted.astype(dtype))
        assert found[name].dtype == dtype


@pytest.mark.parametrize(
    ("specs", "body", "words"),
    [
        (INT, "", "JSON Parse error: The document is empty"),
        (INT, "instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
        (INT, '{"instances": [1', "JSON Parse error: "),
        (INT, "[" * 100_000, "JSON Parse error: "),
        (INT, f'{{"instances": [{"9" * 5000}]}}', "JSON Parse error: Number too big"),
        (INT, b"\xff", "JSON Parse error: Invalid encoding"),
        (INT, f'{{"instances": {"[" * 33}1{"]" * 33}}}', "a tensor may have 32 dimensions"),
        (INT, f'{{"inputs": {"[" * 900}1{"]" * 900}}}', "a tensor may have 32 dimensions"),
        (INT, "[1]", "Is not object"),
        (INT, '{"signature_name": 5, "instances": [1]}', "key must be a string value"),
        (INT, '{"instances": [1], "inputs": [1]}', "Not formatted correctly expecting only one"),
        (INT, '{"signature_name": "x"}', "Missing 'inputs' or 'instances' key"),
        (INT, '{"instances": 1}', "Expecting 'instances' to be an list/array"),
        (INT, '{"instances": []}', "No values in 'instances' array"),
        (INT, '{"instances": [[1,2],[3,4],[5,6,7]]}', "Expecting tensor size: 2 but got: 3"),
        (INT, '{"instances": [[1,2],[3,4],[[5,6]]]}', "Expecting shape [2] but got: [1,2]"),
        (INT, '{"instances": [1, [1]]}', "Expecting shape [] but got: [1]"),
        (INT, '{"instances": [[1,2],["a","b"]]}', "not of expected type: int32"),
        (
            INT,
            '{"instances": [1.0]}',
            "JSON Value: 1.0 Type: Number is not of expected type: int32",
        ),
        (INT, '{"instances": [true]}', "Type: True is not of expected type: int32"),
        (INT, '{"instances": [null]}', "Type: Null is not of expected type: int32"),
        (INT, '{"instances": [2147483648]}', "not of expected type: int32"),
        (SMALL, '{"instances": [256]}', "not of expected type: uint8"),
        (SEEDS, '{"instances": [9223372036854775808]}', "not of expected type: int64"),
        (
            FLOAT,
            '{"instances": ["x", "y"]}',
            'JSON Value: "x" Type: String is not of expected type: float',
        ),
        (FLOAT, '{"instances": [1.0, false]}', "not of expected type: float"),
        (FLOAT, f'{{"instances": [{"9" * 400}]}}', "not of expected type: float"),
        (FLOAT, '{"instances": [{"b64": "aGVsbG8="}]}', "not of expected type: float"),
        (BOOL, '{"instances": [1]}', "not of expected type: bool"),
        (STRING, '{"instances": [5]}', "not of expected type: string"),
        (STRING, '{"inputs": [{"b65": "aGVsbG8="}]}', "not formatted correctly for base64 data"),
        (STRING, '{"inputs": [{"b64": "a"}]}', "Unable to base64 decode"),
        (STRING, '{"inputs": ["\\ud800"]}', "not of expected type: string"),
        (INT, '{"inputs": [1, [2]]}', "Encountered list at unexpected level: 1 expected < 1"),
        (
            INT,
            '{"inputs": [[1], 2]}',
            "found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            INT,
            '{"inputs": [[1], [2, 3]]}',
            "list at unexpected size: 2 at level: 1 expected size: 1",
        ),
        (INT, '{"inputs": {"other": 1}}', "Missing named input: default in 'inputs' object."),
        (TWO, '{"inputs": [1]}', "inputs is a plain value/list, but expecting an object"),
        (TWO, '{"instances": [1]}', "instances is a plain list, but expecting list of objects"),
        (
            TWO,
            '{"instances": [{"ints": [[1],[2]], "texts": "a"},'
            ' {"ints": [[[1],[2]]], "texts": "b"}]}',
            "Failed to process element: 1 key: ints of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting shape [2,1] but got: [1,2,1]",
        ),
        (
            TWO,
            '{"instances": [{"ints": [1,2], "texts": "a"}, {"ints": [1], "texts": "b"}]}',
            "Expecting tensor size: 2 but got: 1",
        ),
        (
            TWO,
            '{"instances": [{"ints": 1, "texts": "a"}, [1, 20, 30]]}',
            "Expecting object but got list at item 1 of input list",
        ),
        (
            STRING,
            '{"instances": [["baz"], {"default": ["baz"]}]}',
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            TWO,
            '{"instances": [{"ints": 1, "others": 2}]}',
            "key: others of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
            "named input: others",
        ),
        (TWO, '{"instances": [{"ints": 1}]}', "keys must be equal to: ints,texts"),
        ({}, '{"instances": [1]}', "Failed to get input map for signature: DEFAULT"),
        ({}, '{"signature_name": "d", "inputs": [1]}', "Failed to get input map for signature: d"),
    ],
)
def test_what_is_no_request_is_refused(specs, body, words):
    with pytest.raises(RequestError) as refused:
        document = rest.parse(body if isinstance(body, bytes) else body.encode())
        rest.signature_name(document)
        rest.tensors(document, specs)

    assert refused.value.status == 400
    assert words in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(("key", "status"), [("instances", 400), ("inputs", 501)])
def test_a_type_that_json_has_not_is_refused(key, status):
    with pytest.raises(RequestError, match="to type: complex64") as refused:
        rest.tensors(rest.parse(f'{{"{key}": [1]}}'.encode()), COMPLEX)
    assert refused.value.status == status


def strings(*values, shape):
    return np.array(values, dtype=object).reshape(shape)


MIXED = {
    "doubles": np.array([8.0, 9.0]),
    "floats": np.array([[1.0], [2.0]], np.float32),
    "ints": np.array([[[1, 2], [3, 4]], [[7, 8], [9, 0]]], np.int32),
    "texts": strings(b"foo", b"bar", b"baz", b"bat", shape=(2, 2)),
    "texts_bytes": strings(b"hello", b"world", b"tf", b"serving", shape=(2, 2)),
}
BASE64 = [
    [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}],
    [{"b64": "dGY="}, {"b64": "c2VydmluZw=="}],
]


@pytest.mark.parametrize(
    ("outputs", "predictions", "columns"),
    [
        ({"ints": MIXED["ints"]}, MIXED["ints"].tolist(), MIXED["ints"].tolist()),
        ({"n": np.arange(5, dtype=np.int32)}, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ({"x": np.array([True, False])}, [True, False], [True, False]),
        ({"image_bytes": MIXED["texts_bytes"]}, BASE64, BASE64),
        (
            MIXED,
            [
                {
                    "doubles": MIXED["doubles"].tolist()[row],
                    "floats": MIXED["floats"].tolist()[row],
                    "ints": MIXED["ints"].tolist()[row],
                    "texts": [["foo", "bar"], ["baz", "bat"]][row],
                    "texts_bytes": BASE64[row],
                }
                for row in range(2)
            ],
            {
                "doubles": [8.0, 9.0],
                "floats": [[1.0], [2.0]],
                "ints": MIXED["ints"].tolist(),
                "texts": [["foo", "bar"], ["baz", "bat"]],
                "texts_bytes": BASE64,
            },
        ),
        ({"ints": np.zeros((0, 2), np.int32)}, [], []),
        (
            {"a": strings(shape=(0, 1, 2)), "b": np.zeros((0, 3, 4), np.float32)},
            [],
            {"a": [], "b": []},
        ),
    ],
)
def test_tensors_become_answers(outputs, predictions, columns):
    assert json.loads(rest.encode(outputs, row=True)) == {"predictions": predictions}
    assert json.loads(rest.encode(outputs, row=False)) == {"outputs": columns}


def test_floats_have_a_point_or_an_exponent_and_no_noise():
    values = np.array([9000000, 0.2, 0.0003, 0.00003, 555557.5, -0.0], np.float32)

    answer = json.loads(rest.encode({"x": values}, row=True), parse_float=str, parse_int=repr)
    assert answer["predictions"] == ["9000000.0", "0.2", "0.0003", "0.00003", "555557.5", "-0.0"]


def test_floats_are_the_same_when_they_are_read():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)

    answer = json.loads(rest.encode({"x": values}, row=True))
    assert (np.array(answer["predictions"], np.float32) == values).all()


def test_numbers_that_are_not_finite_are_written_as_the_server_does():
    values = np.array([[NAN, INF], [3, -INF]], np.float32)

    assert rest.encode({"x": values}, row=True) == (
        b'{"predictions": [[NaN, Infinity], [3.0, -Infinity]]}'
    )
    assert rest.encode({"x": np.float32(0.5).reshape(())}, row=False) == b'{"outputs": 0.5}'


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({}, "empty tensor map"),
        ({"x": np.zeros(2, np.complex64)}, "tensor type: complex64"),
        ({"x": np.array(1)}, "no shape information"),
        ({"x": np.zeros([2, 3]), "y": np.zeros([1, 3])}, "inconsistent batch size: 1 expecting: 2"),
        ({"x": np.zeros([0, 3]), "y": np.zeros([1, 3])}, "inconsistent batch size: 1 expecting: 0"),
    ],
)
def test_what_has_no_place_in_row_form_is_refused(outputs, words):
    with pytest.raises(RequestError, match=words):
        rest.encode(outputs, row=True)
