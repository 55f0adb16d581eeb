"""Stores of objects."""

import sys

import boto3
import moto
import pytest

from pipeline.rehearsal.store import FolderStore, S3Store


def _names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_store_gives_back_objects_and_all_below_a_prefix(tmp_path):
    store = FolderStore(str(tmp_path / "store"))
    file = tmp_path / "file"
    file.write_text("content")

    assert store.upload([(str(file), "x"), (str(file), "sub/y")], "s3://bucket/model") == 2
    assert store.upload([(str(file), "")], "s3://bucket/model_run") == 1
    assert store.download("s3://bucket/model", str(tmp_path / "folder")) == 2
    assert store.download("s3://bucket/model_run", str(tmp_path / "deep" / "object")) == 1
    assert store.download("s3://bucket/absent", str(tmp_path / "absent")) == 0
    assert _names(tmp_path / "folder") == ["sub/y", "x"]
    assert (tmp_path / "deep" / "object").read_text() == "content"


def test_an_endpoint_without_boto3_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(ValueError, match="boto3 is not installed"):
        S3Store("http://localhost:9000")


def test_a_store_of_objects_behaves_as_the_folder_does(tmp_path, monkeypatch):
    endpoint = "http://objects.example"
    monkeypatch.setenv("MOTO_S3_CUSTOM_ENDPOINTS", endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    file = tmp_path / "file"
    file.write_text("content")
    with moto.mock_aws():
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
        store = S3Store(endpoint)

        assert store.upload([(str(file), "x"), (str(file), "sub/y")], "s3://bucket/model") == 2
        assert store.upload([(str(file), "")], "minio://bucket/model_run") == 1
        assert store.download("s3://bucket/model", str(tmp_path / "folder")) == 2
        assert store.download("s3://bucket/model_run", str(tmp_path / "deep" / "object")) == 1
        assert store.download("s3://bucket/absent", str(tmp_path / "absent")) == 0
    assert _names(tmp_path / "folder") == ["sub/y", "x"]
    assert (tmp_path / "deep" / "object").read_text() == "content"
