import json

import pytest
from pydantic import ValidationError
from tfx import types
from tfx.types import standard_artifacts

from components.feature_extractor.component import FeatureExtractor
from components.feature_extractor.config import FeatureExtractorConfig


def test_contract():
    component = FeatureExtractor(
        examples=types.Channel(type=standard_artifacts.Examples),
        anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
        config=FeatureExtractorConfig(seed=7),
        image_shape=(28, 28, 1),
        data_name="fashion_mnist",
    )

    assert component.outputs["extractor"].type_name == "Model"
    properties = component.exec_properties
    assert json.loads(properties["config"])["seed"] == 7
    assert json.loads(properties["image_shape"]) == [28, 28, 1]
    assert properties["data_name"] == "fashion_mnist"
    assert len(properties["code_version"]) == 16


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", 0), ("batch_size", 0), ("learning_rate", 0), ("feature_dim", 1)]
    + [("min_skill", -0.1), ("min_skill", 1.1), ("seed", -1), ("epoch", 3)],
)
def test_impossible_values_are_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        FeatureExtractorConfig(**{key: value})
