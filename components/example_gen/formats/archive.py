"""Zip and tar archives of image files, read without unpacking them to disk."""

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import ClassVar, TypeVar

from components.example_gen.files import archives, labels
from components.example_gen.files.names import companions, is_image, printable
from components.example_gen.files.packing import Packed
from components.example_gen.formats import layout
from components.example_gen.formats.classes import Class
from components.example_gen.formats.folder import chunks
from components.example_gen.formats.reader import LeftOut, Reader, grouped
from components.example_gen.paths import INSIDE, described, parts
from components.example_gen.prepare import RawImage

T = TypeVar("T")

_SHARD_FILES = 256


@dataclasses.dataclass(frozen=True)
class Members:
    """Files of one archive, with the offset and size of each if they can be read in place."""

    path: str
    files: Packed[labels.Entry]
    places: Packed[tuple[int, int]] | None = None


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
            images = [member for member in archives.listing(path) if is_image(member)]
            if not images:
                there = described(archives.listing(path))
                raise FileNotFoundError(f"{path}: no image file in the archive; found {there}")
            inner = layout.splits_of(images, path, unwrap=True)
            found[name] = {split: f"{name}{INSIDE}{pattern}" for split, pattern in inner.items()}
        return layout.joined(found, base)

    def count(self, shards: Sequence[Members]) -> int:
        return sum(len(shard.files) for shard in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Members]]:
        """Chunks of members; a compressed tar, which cannot be read from the middle, is one."""
        names = self._names(base, splits)
        entries = self._labelled(base, names, splits)
        result = {}
        for split, listed in entries.items():
            by_path: dict[str, list[labels.Entry]] = {}
            for entry in listed:
                path = posixpath.join(base, layout.divided(entry.name)[0])
                by_path.setdefault(path, []).append(entry)
            result[split] = [
                shard for path, members in by_path.items() for shard in _shards(path, members)
            ]
        return result

    def _names(self, base: str, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """The members of every split, as `<archive>#<member>`, without companions of images."""
        found: dict[str, list[str]] = {}
        for split, patterns in splits.items():
            found[split] = []
            for path, pattern in parts(base, patterns):
                members = _chosen(path, pattern)
                others = {*companions(members), posixpath.normpath(self.labels or "")}
                archive = posixpath.relpath(path, base)
                found[split] += [
                    f"{archive}{INSIDE}{member}"
                    for member in members
                    if member not in others and posixpath.basename(member) != labels.DATASET_JSON
                ]
        return found

    def _labelled(
        self, base: str, names: Mapping[str, Sequence[str]], splits: Mapping[str, str]
    ) -> dict[str, list[labels.Entry]]:
        every = [name for files in names.values() for name in files]
        table = self._table(base, sorted({layout.divided(name)[0] for name in every}), every)

        def exists(name: str) -> bool:
            archive, member = layout.divided(name)
            return member in archives.listing(posixpath.join(base, archive))

        return layout.labelled(names, splits, table, exists, archived=True)

    def _table(
        self, base: str, places: Sequence[str], names: Sequence[str]
    ) -> labels.LabelTable | None:
        if self.labels:
            if len(places) > 1:
                raise ValueError(
                    f"data.labels: {self.labels}: found {len(places)} archives, labels are read "
                    "from one"
                )
            (archive,) = places
            path = posixpath.join(base, archive)
            if self.labels not in archives.listing(path):
                raise ValueError(f"data.labels: {path} has no member {self.labels}")
            content = archives.content(path, self.labels)
            return labels.LabelTable.parse(content, self.labels, f"{archive}{INSIDE}")
        tables = []
        for archive in places:
            path = posixpath.join(base, archive)
            own = (layout.divided(name) for name in names)
            members = [member for found, member in own if found == archive]
            for name in labels.beside(members):
                if name in archives.listing(path):
                    content = archives.content(path, name)
                    prefix = f"{archive}{INSIDE}"
                    tables.append(labels.LabelTable.parse_json(content, name, prefix))
        return labels.joined([table for table in tables if table is not None])

    def left_out(
        self, base: str, splits: Mapping[str, str], names: Sequence[str] | None = None
    ) -> list[LeftOut]:
        """Also the members of the archives that are in no split."""
        found = super().left_out(base, splits, names)
        used = {name for files in self._names(base, splits).values() for name in files}
        skipped = []
        for archive in sorted({layout.divided(name)[0] for name in used}):
            path = posixpath.join(base, archive)
            prefix = f"{archive}{INSIDE}"
            own = {layout.divided(name)[1] for name in used if name.startswith(prefix)}
            inside = [
                *archives.found(path).skipped,
                *labels.unused([*archives.listing(path)], own, self.labels),
            ]
            skipped += [(reason, prefix + name) for reason, name in inside]
        return [*found, *grouped(skipped)]

    def some(self, shard: Members, places: Sequence[int]) -> Iterator[RawImage]:
        files = Packed.of(shard.files.at(places))
        offsets = shard.places and Packed.of(shard.places.at(places))
        return self.records(Members(shard.path, files, offsets))

    def classes(self, shard: Members) -> Iterator[Class]:
        return (entry.of for entry in shard.files)

    def records(self, shard: Members) -> Iterator[RawImage]:
        """The bytes of every member, in the archive's order."""
        entries = {layout.divided(entry.name)[1]: entry for entry in shard.files}
        if shard.places is not None:
            contents = archives.in_place(shard.path, entries, shard.places)
        else:
            contents = archives.contents(shard.path, entries)
        for name, content in contents:
            entry = entries[name]
            error = entry.error
            if isinstance(content, Exception):
                error = error or f"the archive's member cannot be read ({content})"
                content = b""
            source = printable(entry.name)
            yield RawImage(content, source, entry.of.label, error, entry.of.name)


def _chosen(path: str, pattern: str) -> list[str]:
    """The members that match a pattern, part for part; every image if it is empty."""
    members = archives.listing(path)
    if not pattern:
        return [member for member in members if is_image(member)]
    found = [
        member
        for member in members
        if member.count("/") == pattern.count("/")
        and all(map(_matches, member.split("/"), pattern.split("/")))
    ]
    if not found:
        raise FileNotFoundError(f"{path}{INSIDE}{pattern}: no such member; check data.splits")
    return found


def _matches(name: str, part: str) -> bool:
    # A literal name may hold wildcards.
    return name == part or fnmatchcase(name, part)


def _shards(path: str, files: Sequence[labels.Entry]) -> list[Members]:
    if archives.is_zip(path):
        return [Members(path, Packed.of(chunk)) for chunk in chunks(files, _SHARD_FILES)]
    listing = archives.listing(path)
    places = {name: place for name, (_, place) in listing.items() if place is not None}
    if len(places) < len(listing):
        return [Members(path, Packed.of(files))]
    return [
        Members(
            path,
            Packed.of(chunk),
            Packed.of([places.get(layout.divided(entry.name)[1], (0, 0)) for entry in chunk]),
        )
        for chunk in chunks(files, _SHARD_FILES)
    ]
