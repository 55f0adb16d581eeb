"""Zip and tar archives of image files, read without unpacking them to disk."""

import contextlib
import dataclasses
import functools
import gzip
import posixpath
import re
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import BinaryIO, ClassVar, TypeVar

from components.example_gen.formats import layout
from components.example_gen.formats.folder import chunks
from components.example_gen.formats.reader import Reader
from components.example_gen.paths import INSIDE, is_image, open_file, parts, state
from components.example_gen.prepare import RawImage

T = TypeVar("T")

_SHARD_FILES = 256
# Larger members cannot be images.
_LARGEST_MEMBER = 2**30
_TOO_LARGE = ValueError("more than 1 GiB")
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError)


@dataclasses.dataclass(frozen=True)
class Members:
    """Files of one archive, with the offset and size of each if they can be read in place."""

    path: str
    files: tuple[layout.Entry, ...]
    places: tuple[tuple[int, int], ...] | None = None


class ArchiveReader(Reader[Members]):
    """Archives of image files, laid out as `folder` has them.

    A single folder around everything in an archive is not a class. `labels` is a member.
    """

    options: ClassVar[frozenset[str]] = frozenset({"labels"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".*\.(zip|tar|tar\.gz|tgz)", re.IGNORECASE)
    kind: ClassVar[str] = "zip or tar archive"

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        """By folders in the archives; if there are none, by the names of the archives."""
        found = {}
        for name in self.named_files(base, names):
            path = posixpath.join(base, name)
            images = [member for member in _listing(path) if is_image(member)]
            if not images:
                raise FileNotFoundError(f"{path}: no image file in the archive")
            inner = layout.splits_of(images, path, unwrap=True)
            found[name] = {split: f"{name}{INSIDE}{pattern}" for split, pattern in inner.items()}
        return layout.joined(found, base)

    def count(self, shards: Sequence[Members]) -> int:
        return sum(len(shard.files) for shard in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Members]]:
        """Chunks of members; a compressed tar, which cannot be read from the middle, is one."""
        chosen = {
            split: [
                (path, member)
                for path, pattern in parts(base, patterns)
                for member in _chosen(path, pattern)
            ]
            for split, patterns in splits.items()
        }
        names = {
            split: [f"{posixpath.relpath(path, base)}{INSIDE}{member}" for path, member in members]
            for split, members in chosen.items()
        }
        entries = self._labelled(base, names, splits)
        result = {}
        for split, listed in entries.items():
            by_path: dict[str, list[layout.Entry]] = {}
            for entry in listed:
                path = posixpath.join(base, entry.name.partition(INSIDE)[0])
                by_path.setdefault(path, []).append(entry)
            result[split] = [
                shard for path, members in by_path.items() for shard in _shards(path, members)
            ]
        return result

    def _labelled(
        self, base: str, names: Mapping[str, Sequence[str]], splits: Mapping[str, str]
    ) -> dict[str, list[layout.Entry]]:
        if not self.labels:
            return layout.labelled(names, splits, None, archived=True)
        every = sorted({name.partition(INSIDE)[0] for files in names.values() for name in files})
        if len(every) > 1:
            raise ValueError(
                f"data.labels: {self.labels}: found {len(every)} archives, labels are read from one"
            )
        (archive,) = every
        path = posixpath.join(base, archive)
        if self.labels not in _listing(path):
            raise ValueError(f"data.labels: {path} has no member {self.labels}")
        ((_, content),) = _contents(path, [self.labels])
        if isinstance(content, Exception):
            raise ValueError(f"{path}: {self.labels} cannot be read ({content})")
        name = f"{archive}{INSIDE}{self.labels}"
        table = layout.LabelTable.parse(content, self.labels, f"{archive}{INSIDE}")
        names = {split: [file for file in files if file != name] for split, files in names.items()}
        return layout.labelled(names, splits, table, archived=True)

    def records(self, shard: Members) -> Iterator[RawImage]:
        """The bytes of every member, in the archive's order."""
        entries = {entry.name.partition(INSIDE)[2]: entry for entry in shard.files}
        if shard.places is not None:
            contents = _in_place(shard.path, entries, shard.places)
        else:
            contents = _contents(shard.path, entries)
        for name, content in contents:
            entry = entries[name]
            error = entry.error
            if isinstance(content, Exception):
                error = error or f"the archive's member cannot be read ({content})"
                content = b""
            yield RawImage(content, entry.name, entry.of.label, error, entry.of.name)


def _chosen(path: str, pattern: str) -> list[str]:
    """The members that match a pattern, part for part; every image if it is empty."""
    members = _listing(path)
    if not pattern:
        return [member for member in members if is_image(member)]
    found = [
        member
        for member in members
        if member.count("/") == pattern.count("/")
        and all(map(fnmatchcase, member.split("/"), pattern.split("/")))
    ]
    if not found:
        raise FileNotFoundError(f"{path}{INSIDE}{pattern}: no such member; check data.splits")
    return found


def _shards(path: str, files: Sequence[layout.Entry]) -> list[Members]:
    if _is_zip(path):
        return [Members(path, tuple(chunk)) for chunk in chunks(files, _SHARD_FILES)]
    listing = _listing(path)
    places = {name: place for name, place in listing.items() if place is not None}
    if len(places) < len(listing):
        return [Members(path, tuple(files))]
    return [
        Members(
            path,
            tuple(chunk),
            tuple(places.get(entry.name.partition(INSIDE)[2], (0, 0)) for entry in chunk),
        )
        for chunk in chunks(files, _SHARD_FILES)
    ]


def _listing(path: str) -> Mapping[str, tuple[int, int] | None]:
    """The visible files in an archive, sorted, with their place if they can be read in place.

    Raises ValueError naming an archive that is damaged, or holds two files of the same name.
    """
    # Cached because splits, shards and count all need it.
    return _listing_of(path, state(path))


@functools.lru_cache(maxsize=4)
def _listing_of(path: str, version: str) -> Mapping[str, tuple[int, int] | None]:
    places: dict[str, tuple[int, int] | None] = {}
    with _named(path):
        if _is_zip(path):
            places = dict.fromkeys(_zip_of(path, version)[1])
        else:
            for member, _ in _members(path):
                _enter(places, member.name, _place(path, member), path)
    return {name: places[name] for name in sorted(places) if _visible(name)}


@functools.lru_cache(maxsize=2)
def _zip_of(path: str, version: str) -> tuple[zipfile.ZipFile, Mapping[str, zipfile.ZipInfo]]:
    """An open zip file and its files by name.

    Rereading its directory for every shard would take longer than reading the images.
    """
    del version  # Only part of the cache key: the archive at the path may be replaced.
    archive = zipfile.ZipFile(open_file(path))
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if not info.is_dir():
            _enter(infos, info.filename, info, path)
    return archive, infos


def _enter(known: dict[str, T], name: str, value: T, path: str) -> None:
    name = posixpath.normpath(name)
    if name in known:
        raise ValueError(f"{path}: two members are called {name}")
    known[name] = value


def _place(path: str, member: tarfile.TarInfo) -> tuple[int, int] | None:
    in_place = _is_plain(path) and member.isreg() and not member.issparse()
    return (member.offset_data, member.size) if in_place else None


def _members(path: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members except folders; raises tarfile.ReadError for a truncated archive."""
    with contextlib.ExitStack() as opened:
        file: BinaryIO | gzip.GzipFile = opened.enter_context(open_file(path))
        if not _is_plain(path):
            file = opened.enter_context(gzip.GzipFile(fileobj=file))
        watched = _Watched(file)
        # The stubs ask for `write`, which reading does not use.
        archive = opened.enter_context(
            tarfile.open(fileobj=watched, mode="r:")  # type: ignore[call-overload]
        )
        for member in archive:
            # Otherwise the list of members would grow with the archive.
            archive.members = []
            if not member.isdir():
                yield member, archive
        # tarfile takes a damaged or missing header for the end, which should be a block of zeros.
        if watched.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("unexpected end of data")


class _Watched:
    """A file that remembers its last read."""

    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        self._file = file
        self.last = b""
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self.last = self._file.read(size)
        return self.last


def _is_zip(path: str) -> bool:
    return path.lower().endswith(".zip")


def _is_plain(path: str) -> bool:
    return path.lower().endswith(".tar")


def _contents(path: str, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
    """The bytes of members, or why they cannot be read."""
    left = set(names)
    with _named(path):
        for name, content in _zipped(path, left) if _is_zip(path) else _taped(path, left):
            left.remove(name)
            yield name, content
    for name in sorted(left):
        yield name, FileNotFoundError("no such member")


def _zipped(path: str, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
    archive, infos = _zip_of(path, state(path))
    for name in [name for name in names if name in infos]:
        try:
            too_large = infos[name].file_size > _LARGEST_MEMBER
            content: bytes | Exception = _TOO_LARGE if too_large else archive.read(infos[name])
        # RuntimeError: an encrypted member; NotImplementedError: an unknown compression.
        except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
            content = error
        yield name, content


def _taped(path: str, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
    for member, archive in _members(path):
        name = posixpath.normpath(member.name)
        if name not in names:
            continue
        if not member.isreg():
            yield name, ValueError("a link, not a file")
        elif member.size > _LARGEST_MEMBER:
            yield name, _TOO_LARGE
        else:
            file = archive.extractfile(member)
            assert file is not None  # It is one for a regular file.
            yield name, file.read()


def _in_place(
    path: str, names: Iterable[str], places: Iterable[tuple[int, int]]
) -> Iterator[tuple[str, bytes | Exception]]:
    with open_file(path) as file:
        for name, (offset, size) in zip(names, places, strict=True):
            file.seek(offset)
            content = file.read(size)
            yield name, content if len(content) == size else EOFError("the archive ends inside it")


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Adds the archive's name to errors of the libraries that read it."""
    try:
        yield
    except _DAMAGE as error:
        if str(error).startswith(path):
            raise
        raise ValueError(f"{path}: the archive is damaged or cut off ({error})") from error


def _visible(name: str) -> bool:
    """Whether a member is visible; archives made on macOS mirror every file in `__MACOSX`."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
