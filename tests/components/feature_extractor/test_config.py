import pytest
import yaml
from pydantic import ValidationError

from components.common.config import validate
from components.feature_extractor import EXTRACTORS
from components.feature_extractor.config import FeatureExtractorConfig

SECTIONS = {
    "classifier": {"images": 3, "feature_dim": 8, "min_skill": 0.1, "seed": 2},
    "self_supervised": {"batch_size": 64, "learning_rate": 0.01},
    "inception_v3": {"weights": "inception.weights.h5"},
    "efficientnet_lite0": {},
    "identity": {},
    "their_features:make": {"seed": 5},
}


def test_a_section_without_a_kind_is_a_classifiers():
    assert FeatureExtractorConfig().kind == "classifier"
    assert FeatureExtractorConfig(images=20).images == 20


@pytest.mark.parametrize(("kind", "options"), SECTIONS.items())
def test_a_section_survives_being_written_and_read(kind, options):
    config = FeatureExtractorConfig(kind=kind, **options)

    dumped = config.model_dump(mode="json")

    assert dumped.items() >= {"kind": kind, **options}.items()
    known = EXTRACTORS.get("module:function" if ":" in kind else kind).options
    assert set(dumped) == {"kind", *known}
    assert FeatureExtractorConfig(**yaml.safe_load(yaml.safe_dump(dumped))) == config
    assert FeatureExtractorConfig.model_validate_json(config.model_dump_json()) == config


WRONG = {
    "unknown kind": ({"kind": "clasifier"}, "kind: unknown extractor.*did you mean 'classifier'"),
    "no function": ({"kind": "features:"}, "kind: .*not of the form module:function"),
    "no identifier": ({"kind": "my-features:make"}, "kind: .*not of the form module:function"),
    "unknown option": ({"image": 3}, "image: unknown key; did you mean 'images'"),
    "the classifier has no weights": (
        {"weights": "x.h5"},
        "^weights: an option of kind inception_v3; .*kind classifier.* batch_size, feature_dim, "
        "images, ",
    ),
    "inception does not learn": (
        {"kind": "inception_v3", "images": 3},
        "^images: an option of kind classifier, self_supervised; .*kind inception_v3.* weights$",
    ),
    "identity has no options": (
        {"kind": "identity", "seed": 3},
        "^seed: an option of kind .*; .*kind identity.* none$",
    ),
    "maps have as many features as they have": (
        {"kind": "self_supervised", "feature_dim": 8},
        "^feature_dim: an option of kind classifier; .*kind self_supervised.* batch_size, ",
    ),
    "a function has a seed only": (
        {"kind": "m:f", "feature_dim": 3},
        "^feature_dim: .*kind m:f.* seed$",
    ),
}


@pytest.mark.parametrize(("section", "message"), WRONG.values(), ids=WRONG)
def test_wrong_sections_are_errors_of_one_line(section, message):
    with pytest.raises(ValueError, match=message) as caught:
        validate(FeatureExtractorConfig, section)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("images", 0), ("batch_size", 0), ("learning_rate", 0), ("feature_dim", 1)]
    + [("min_skill", -0.1), ("min_skill", 1.1), ("seed", -1)],
)
def test_impossible_values_are_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        FeatureExtractorConfig(**{key: value})


@pytest.mark.parametrize(
    ("section", "file"),
    [
        ({}, None),
        ({"kind": "inception_v3"}, None),
        ({"kind": "inception_v3", "weights": "a.h5"}, "a.h5"),
    ],
)
def test_the_file_of_weights(section, file):
    assert FeatureExtractorConfig(**section).weights_file == file
