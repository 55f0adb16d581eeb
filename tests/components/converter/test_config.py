import pytest

from components.common.config import validate
from components.converter.config import ConverterConfig


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ({"onix": ["sample"]}, "to.onix.*: unknown runtime 'onix': did you mean 'onnx'?"),
        ({"onnx": ["smaple"]}, "to: onnx: smaple: it has no operations for it, only for serving_d"),
        ({"onnx": ["sample_png"]}, "to: onnx: sample_png: it has no operations for it"),
        ({"tflite": ["sample"]}, "to: tflite: sample: it has no operations for it, only for servi"),
        ({"onnx": []}, "to: onnx: no signatures; name one or leave it out"),
        ({"onnx": "sample"}, "to.onnx"),
        (["onnx"], "to: "),
    ],
)
def test_what_no_runtime_can_run_is_refused(to, message):
    with pytest.raises(ValueError, match=message):
        validate(ConverterConfig, {"to": to})


def test_tables_are_refused_where_there_is_no_float64():
    config = ConverterConfig(to={"onnx": ("sample",)})
    config.check_shape((3,))
    config = ConverterConfig(to={"tflite-float16": ("serving_default",)})
    config.check_shape((8, 8, 1))
    with pytest.raises(ValueError, match="tflite-float16: tables need float64, for which it has"):
        config.check_shape((3,))
