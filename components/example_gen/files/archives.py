"""Members of zip and tar archives, read without unpacking them to disk."""

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
from typing import BinaryIO

from components.example_gen.files.names import ignored
from components.example_gen.paths import open_file, state

# Larger members cannot be images.
_LARGEST_MEMBER = 2**30
_TOO_LARGE = ValueError("more than 1 GiB")
_REPLACED = "replaced by a later member of the same name"
# In a zip file: the flag of names in UTF-8, and the systems whose names hold no backslash.
_UTF8 = 0x800
_WINDOWS = (0, 10, 14)
_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError)


@dataclasses.dataclass(frozen=True)
class Found:
    """The files in an archive.

    Attributes:
      members: by name, sorted: its index in the archive, and its place if it can be read in place.
      skipped: what is left out, as pairs of the reason and the name.
    """

    members: Mapping[str, tuple[int, tuple[int, int] | None]]
    skipped: Sequence[tuple[str, str]]


def listing(path: str) -> Mapping[str, tuple[int, tuple[int, int] | None]]:
    """The files in an archive, as `Found.members`; ValueError naming a damaged one."""
    return found(path).members


def found(path: str) -> Found:
    """The files in an archive; ValueError naming a damaged one."""
    # Cached because splits, shards and count all need it.
    return _found_in(path, state(path))


@functools.lru_cache(maxsize=4)
def _found_in(path: str, version: str) -> Found:
    places: list[tuple[int, int] | None] = []
    raw = []
    with _named(path):
        if is_zip(path):
            raw = [_zip_name(info) for info in _zip_of(path, version).infolist()]
            places = [None] * len(raw)
        else:
            for member, _ in _members(path):
                # As in a zip file, a folder's name ends in a slash.
                raw.append(f"{member.name}/" if member.isdir() else member.name)
                places.append(_place(path, member))
    members: dict[str, tuple[int, tuple[int, int] | None]] = {}
    skipped = []
    for index, name in enumerate(_separated(raw)):
        if name.endswith("/"):
            continue
        if not (name := _safe(name)):
            continue
        if reason := next(filter(None, map(ignored, name.split("/"))), None):
            skipped.append((reason, name))
            continue
        if name in members:
            skipped.append((_REPLACED, name))
        members[name] = (index, places[index])
    return Found({name: members[name] for name in sorted(members)}, skipped)


@functools.lru_cache(maxsize=2)
def _zip_of(path: str, version: str) -> zipfile.ZipFile:
    """An open zip file.

    Rereading its directory for every shard would take longer than reading the images.
    """
    del version  # Only part of the cache key: the archive at the path may be replaced.
    return zipfile.ZipFile(open_file(path))


def _zip_name(info: zipfile.ZipInfo) -> str:
    r"""The name of a member: UTF-8 whether or not it says so, with `\` from Windows as `/`."""
    name = info.filename
    if not info.flag_bits & _UTF8 and name == info.orig_filename:
        # zipfile takes bytes without a declared encoding for the characters of the first PCs.
        with contextlib.suppress(UnicodeEncodeError):
            name = name.encode("cp437").decode("utf-8", "surrogateescape")
    return name.replace("\\", "/") if info.create_system in _WINDOWS else name


def _separated(names: Sequence[str]) -> list[str]:
    r"""Names with `/` between folders: some Windows programs write `\` throughout."""
    if any("/" in name for name in names):
        return list(names)
    return [name.replace("\\", "/") for name in names]


def _safe(name: str) -> str:
    """A name without what points outside the archive: nothing is unpacked, so it has no meaning."""
    name = posixpath.normpath(_DRIVE.sub("", name)).lstrip("/")
    while name == ".." or name.startswith("../"):
        name = name[3:]
    return "" if name == "." else name


def _place(path: str, member: tarfile.TarInfo) -> tuple[int, int] | None:
    in_place = _is_plain(path) and member.isreg() and not member.issparse()
    return (member.offset_data, member.size) if in_place else None


def _members(path: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members; raises tarfile.ReadError for a truncated archive."""
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


def is_zip(path: str) -> bool:
    """Whether an archive is a zip file, by its name."""
    return path.lower().endswith(".zip")


def _is_plain(path: str) -> bool:
    return path.lower().endswith(".tar")


def contents(path: str, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
    """The bytes of members, or why they cannot be read."""
    known = listing(path)
    # The last of several members of one name counts, as when an archive is unpacked.
    wanted = {known[name][0]: name for name in names if name in known}
    with _named(path):
        yield from _zipped(path, wanted) if is_zip(path) else _taped(path, wanted)
    for name in sorted(set(names) - set(wanted.values())):
        yield name, FileNotFoundError("no such member")


def content(path: str, name: str) -> bytes:
    """The bytes of a member; ValueError if it cannot be read."""
    ((_, read),) = contents(path, [name])
    if isinstance(read, Exception):
        raise ValueError(f"{path}: {name} cannot be read ({read})")
    return read


def _zipped(path: str, names: Mapping[int, str]) -> Iterator[tuple[str, bytes | Exception]]:
    archive = _zip_of(path, state(path))
    infos = archive.infolist()
    for index, name in names.items():
        try:
            too_large = infos[index].file_size > _LARGEST_MEMBER
            content: bytes | Exception = _TOO_LARGE if too_large else archive.read(infos[index])
        # RuntimeError: an encrypted member; NotImplementedError: an unknown compression.
        except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
            content = error
        yield name, content


def _taped(path: str, names: Mapping[int, str]) -> Iterator[tuple[str, bytes | Exception]]:
    for index, (member, archive) in enumerate(_members(path)):
        if index not in names:
            continue
        name = names[index]
        if not member.isreg():
            yield name, ValueError("a link, not a file")
        elif member.size > _LARGEST_MEMBER:
            yield name, _TOO_LARGE
        else:
            file = archive.extractfile(member)
            assert file is not None  # It is one for a regular file.
            yield name, file.read()


def in_place(
    path: str, names: Iterable[str], places: Iterable[tuple[int, int]]
) -> Iterator[tuple[str, bytes | Exception]]:
    """The bytes of members at known offsets and sizes, as `contents`."""
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
