"""Splits, classes and labels from the names of image files, in folders and in archives."""

import csv
import dataclasses
import io
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from components.example_gen.formats.reader import (
    SPLIT_OF,
    UNSPLIT,
    Class,
    as_classes,
    split_by_name,
)
from components.example_gen.paths import ALTERNATIVE, INSIDE, WILDCARDS

_FLAT = "*"
_CLASSES = "*/*"


@dataclasses.dataclass(frozen=True)
class Entry:
    """The name of a file, with its class or the reason why it has none."""

    name: str
    of: Class = Class()
    error: str | None = None


def splits_of(names: Sequence[str], where: str, *, unwrap: bool = False) -> dict[str, str]:
    """The pattern of every split of a tree of images.

    Args:
      names: paths of the images, relative.
      where: the tree, for messages.
      unwrap: whether to ignore a single folder around everything.

    Raises:
      ValueError: for an ambiguous layout.
    """
    tops = sorted({name.split("/")[0] for name in names if "/" in name})
    wrapped = len(tops) == 1 and all("/" in name for name in names)
    if wrapped and (unwrap or all(name.count("/") > 1 for name in names)):
        (top,) = tops
        inner = splits_of([name[len(top) + 1 :] for name in names], where)
        return {split: f"{top}/{pattern}" for split, pattern in inner.items()}
    splits = {}
    for top in tops:
        if top in SPLIT_OF:
            below = [name[len(top) + 1 :] for name in names if name.startswith(f"{top}/")]
            splits[SPLIT_OF[top]] = f"{top}/{_depth(below, where)}"
    if len(splits) < 2:
        return {UNSPLIT: _depth(names, where)}
    loose = [name for name in names if "/" not in name]
    if len(tops) > 2 or loose:
        raise ValueError(
            f"{where}: cannot tell train from eval among the folders {', '.join([*tops, *loose])}; "
            "name the files of each in data.splits"
        )
    return splits


def _depth(names: Sequence[str], where: str) -> str:
    """The pattern of images in one folder, or in folders of classes."""
    depths = {name.count("/") for name in names}
    if depths == {0}:
        return _FLAT
    if depths == {1}:
        return _CLASSES
    if 0 in depths:
        name = next(name for name in names if "/" not in name)
        raise ValueError(
            f"{where}: {name}: an image beside folders; put all images in folders of classes, "
            "or none"
        )
    name = next(name for name in names if name.count("/") > 1)
    raise ValueError(
        f"{where}: {name}: an image deeper than <class>/<image>; name the files in data.splits"
    )


def joined(found: Mapping[str, Mapping[str, str]], where: str) -> dict[str, str]:
    """Joins the patterns of several folders or files into one per split.

    Raises ValueError if only some of them are split.
    """
    if len(found) > 1 and all(set(splits) == {UNSPLIT} for splits in found.values()):
        by_name = split_by_name(found, where)
        return {
            split: ALTERNATIVE.join(found[name][UNSPLIT] for name in names)
            for split, names in by_name.items()
        }
    kinds = {frozenset(splits) for splits in found.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"{where}: only some of {', '.join(found)} are split into train and eval; "
            "name the files of each in data.splits"
        )
    (kind,) = kinds
    return {
        split: ALTERNATIVE.join(splits[split] for splits in found.values())
        for split in sorted(kind, reverse=True)
    }


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """A CSV file with the columns `file` and `label`.

    Attributes:
      name: of the CSV file, relative to the data's folder.
      classes: by file, relative to the data's folder: its classes; more than one is an error.
    """

    name: str
    classes: Mapping[str, Sequence[str]]

    @classmethod
    def parse(cls, content: bytes, name: str, archive: str = "") -> "LabelTable":
        """Parses a CSV file, which may be a member of an archive: `archive` is `<archive>#`.

        The column `file` is relative to the CSV file's folder.

        Raises:
          ValueError: for text that is not UTF-8, and for missing columns.
        """
        folder = posixpath.dirname(name)
        classes: dict[str, list[str]] = {}
        try:
            rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
            columns = rows.fieldnames or []
            if "file" not in columns or "label" not in columns:
                raise ValueError(f"the columns are {', '.join(columns) or 'none'}")
            for row in rows:
                file, label = (row["file"] or "").strip(), (row["label"] or "").strip()
                file = archive + posixpath.normpath(posixpath.join(folder, file))
                known = classes.setdefault(file, [])
                if label not in known:
                    known.append(label)
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"{archive}{name}: expected UTF-8 text with the columns file and label ({error})"
            ) from error
        return cls(archive + name, classes)

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """Every file with its class, or the reason why it has none."""
        known = as_classes(label for labels in self.classes.values() for label in labels if label)
        return [self._entry(name, known) for name in names]

    def missing(self, names: Iterable[str]) -> list[Entry]:
        """The rows without a file."""
        known = set(names)
        error = f"{self.name} lists it, but there is no such file"
        return [Entry(file, error=error) for file in self.classes if file not in known]

    def _entry(self, name: str, known: Mapping[str, Class]) -> Entry:
        labels = self.classes.get(name)
        if labels is None:
            return Entry(name, error=f"{self.name} has no row for it")
        if len(labels) > 1:
            listed = ", ".join(labels)
            return Entry(name, error=f"{self.name} gives it {len(labels)} labels: {listed}")
        if not labels[0]:
            return Entry(name, error=f"{self.name} gives it an empty label")
        return Entry(name, known[labels[0]])


def labelled(
    names: Mapping[str, Sequence[str]],
    splits: Mapping[str, str],
    table: LabelTable | None,
    *,
    archived: bool = False,
) -> dict[str, list[Entry]]:
    """The files of every split with their labels.

    Labels come from the table, or from the folder of a file if the last folder of the split's
    pattern holds a wildcard. Rows of the table without a file are added to the first split.

    Args:
      names: the files by split.
      splits: the patterns by split.
      table: labels by file, or None.
      archived: whether names and patterns are `<archive>#<member>`.
    """
    if table is not None:
        entries = {split: table.entries(files) for split, files in names.items()}
        first = next(iter(entries))
        entries[first] += table.missing(name for files in names.values() for name in files)
        return entries
    folders = {
        split: [
            _folder(name, archived) if _has_classes(splits[split], archived) else None
            for name in files
        ]
        for split, files in names.items()
    }
    known = as_classes(name for found in folders.values() for name in found if name is not None)
    return {
        split: [
            Entry(name) if folder is None else Entry(name, known[folder])
            for name, folder in zip(files, folders[split], strict=True)
        ]
        for split, files in names.items()
    }


def _has_classes(patterns: str, archived: bool) -> bool:
    return any(
        wildcard in _folder(pattern, archived)
        for pattern in patterns.split(ALTERNATIVE)
        for wildcard in WILDCARDS
    )


def _folder(name: str, archived: bool) -> str:
    """The last folder of a path."""
    inner = name.partition(INSIDE)[2] if archived else name
    return posixpath.basename(posixpath.dirname(inner))
