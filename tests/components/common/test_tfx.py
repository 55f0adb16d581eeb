import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.common import tfx


@pytest.fixture
def anomalies(tmp_path):
    """Makes an ExampleAnomalies artifact as ExampleValidator leaves it."""

    def make(by_split):
        artifact = standard_artifacts.ExampleAnomalies()
        artifact.uri = str(tmp_path)
        artifact.split_names = artifact_utils.encode_split_names(list(by_split))
        for split, found in by_split.items():
            proto = anomalies_pb2.Anomalies()
            for feature, (short, description) in found.items():
                info = proto.anomaly_info[feature] if feature else proto.dataset_anomaly_info
                info.short_description, info.description = short, description
            folder = tmp_path / f"Split-{split}"
            folder.mkdir()
            (folder / "SchemaDiff.pb").write_bytes(proto.SerializeToString())
        tfx.bless_splits(artifact, {split: not found for split, found in by_split.items()})
        return [artifact]

    return make


def test_clean_data_pass(anomalies):
    assert tfx.refuse_anomalies(anomalies({"train": {}, "eval": {}})) is None


def test_every_anomaly_is_told_by_split_and_feature(anomalies):
    found = {
        "train": {"image/height": ("Out-of-range values", "Values 30 > 28.")},
        "eval": {
            "image/class/label": ("Column dropped", "Column is completely missing"),
            "": ("Low num examples", "Dataset has 3 examples."),
        },
    }
    with pytest.raises(ValueError, match="refused") as caught:
        tfx.refuse_anomalies(anomalies(found))

    told = str(caught.value)
    assert "split 'train': feature 'image/height': Out-of-range values: Values 30 > 28." in told
    assert "split 'eval': feature 'image/class/label': Column dropped" in told
    assert "split 'eval': data set: Low num examples: Dataset has 3 examples." in told
    assert "\n" not in told


def test_a_split_that_was_not_validated_is_refused(anomalies):
    artifacts = anomalies({"train": {}})
    tfx.bless_splits(artifacts[0], {"train": False})
    with pytest.raises(ValueError, match="split 'train': not validated"):
        tfx.refuse_anomalies(artifacts)


@pytest.fixture
def split_artifact(tmp_path):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    artifact.split_names = artifact_utils.encode_split_names(["train", "eval"])
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-eval").mkdir()
    (tmp_path / "Split-train" / "data-2.gz").touch()
    (tmp_path / "Split-train" / "data-1.gz").touch()
    return [artifact]


def test_files_of_a_split_are_sorted(split_artifact, tmp_path):
    files = tfx.split_files(split_artifact, "train")
    assert files == [str(tmp_path / "Split-train" / f"data-{n}.gz") for n in (1, 2)]


@pytest.mark.parametrize(
    ("split", "message"),
    [("eval", "split 'eval' of the examples holds no file"), ("test", "no split 'test', only")],
)
def test_no_files_are_an_error(split_artifact, split, message):
    with pytest.raises(ValueError, match=message):
        tfx.split_files(split_artifact, split)
