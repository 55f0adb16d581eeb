"""Object stores: a folder of this machine, or anything that speaks S3."""

import os
import shutil
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from pipeline.rehearsal.values import TaskError


class Store(Protocol):
    """Where artifacts lie between the pods."""

    def upload(self, files: Iterable[tuple[str, str]], uri: str) -> int:
        """Copies files (path, name below `uri`; "" for the object itself); returns their number."""
        ...

    def download(self, uri: str, path: str) -> int:
        """Copies the object `uri`, or all below it, to `path`; returns the number of files."""
        ...


class FolderStore:
    """The objects of `scheme://bucket/key` as files `<folder>/<scheme>/<bucket>/<key>`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def upload(self, files: Iterable[tuple[str, str]], uri: str) -> int:
        count = 0
        for path, name in files:
            target = os.path.join(self._path(uri), name) if name else self._path(uri)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
            count += 1
        return count

    def download(self, uri: str, path: str) -> int:
        source = self._path(uri)
        if os.path.isfile(source):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copyfile(source, path)
            return 1
        count = 0
        for folder, _, names in os.walk(source):
            for name in names:
                file = os.path.join(folder, name)
                target = os.path.join(path, os.path.relpath(file, source))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(file, target)
                count += 1
        return count

    def _path(self, uri: str) -> str:
        return os.path.join(self._folder, uri.replace("://", "/"))


class S3Store:
    """Buckets behind an endpoint that speaks S3; the usual variables hold the credentials.

    Raises:
      ValueError: if boto3 is not installed.
    """

    def __init__(self, endpoint: str) -> None:
        try:
            import boto3
        except ImportError as error:
            raise ValueError(
                f"{endpoint}: boto3 is not installed, which a store of objects needs: "
                "pip install boto3"
            ) from error
        self._client: Any = boto3.client("s3", endpoint_url=endpoint)

    def upload(self, files: Iterable[tuple[str, str]], uri: str) -> int:
        bucket, key = _split(uri)
        count = 0
        for path, name in files:
            self._client.upload_file(path, bucket, f"{key}/{name}" if name else key)
            count += 1
        return count

    def download(self, uri: str, path: str) -> int:
        bucket, key = _split(uri)
        count = 0
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        for found in (item["Key"] for page in pages for item in page.get("Contents", [])):
            below = found.removeprefix(key)
            # A prefix also fits keys beside it: `model` fits `model_run/x`.
            if below and not below.startswith("/"):
                continue
            target = path + below
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self._client.download_file(bucket, found, target)
            count += 1
        return count


def files_below(path: str, inside: str) -> Iterator[tuple[str, str]]:
    """The files that the launcher uploads of an artifact, as `Store.upload` takes them.

    Args:
      path: the artifact's file or folder in a pod's file system.
      inside: that file system's root on this machine; absolute links of the pod start there.

    Raises:
      TaskError: for a link to a folder, which the launcher cannot copy.
    """
    if not os.path.isdir(path):
        yield _resolved(path, inside), ""
        return
    for folder, folders, names in os.walk(path):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted((*names, *links)):
            file = os.path.join(folder, name)
            target = _resolved(file, inside)
            if os.path.isdir(target):
                raise TaskError(
                    f"uploadFile(): unable to complete copying {name!r}: is a directory: a link "
                    "to a folder cannot be uploaded"
                )
            yield target, os.path.relpath(file, path)


def _resolved(path: str, inside: str) -> str:
    while os.path.islink(path):
        target = os.readlink(path)
        path = (
            inside + target
            if target.startswith("/")
            else os.path.join(os.path.dirname(path), target)
        )
    if not os.path.exists(path):
        raise TaskError(f"uploadFile(): {os.path.basename(path)}: no such file or directory")
    return path


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.split("://", 1)[1].partition("/")
    return bucket, key
