"""Labels of image files from a file: CSV, or the dataset.json of StyleGAN's tools."""

import csv
import dataclasses
import io
import json
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from components.example_gen.files.names import companions, printable
from components.example_gen.formats.classes import Class, as_classes
from components.example_gen.formats.reader import UNUSED

# The name of StyleGAN's file of labels.
DATASET_JSON = "dataset.json"
_DELIMITERS = ",;\t"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """The name of a file, with its class or the reason why it has none."""

    name: str
    of: Class = Class()
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """The labels of files.

    Attributes:
      name: of the file of labels, relative to the data's folder.
      classes: by file, relative to the data's folder: its classes; more than one is an error.
    """

    name: str
    classes: Mapping[str, Sequence[str]]

    @classmethod
    def parse(
        cls, content: bytes, name: str, archive: str = "", base: str | None = None
    ) -> "LabelTable":
        """Parses a CSV file with the columns `file` and `label`, separated as tables are.

        The column `file` is relative to the CSV file's folder, with `/` or `\\` between folders.

        Args:
          content: of the CSV file.
          name: of the CSV file, relative to the data's folder or the archive.
          archive: `<archive>#` for a member of an archive.
          base: the data's folder, in which absolute paths may lie.

        Raises:
          ValueError: for text that is not UTF-8, and for missing columns.
        """
        folder = posixpath.dirname(name)
        classes: dict[str, list[str]] = {}
        try:
            text = content.decode("utf-8-sig")
            first = text.partition("\n")[0]
            rows = csv.DictReader(
                io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=first.count)
            )
            columns = [column.strip() for column in rows.fieldnames or []]
            rows.fieldnames = columns
            if "file" not in columns or "label" not in columns:
                raise ValueError(f"the columns are {', '.join(columns) or 'none'}")
            for row in rows:
                file, label = (row["file"] or "").strip(), (row["label"] or "").strip()
                # Absolute paths are those of the machine that wrote them, often this one.
                if base and file.startswith(f"{base.rstrip('/')}/"):
                    file = posixpath.relpath(file, posixpath.join(base, folder))
                file = archive + posixpath.normpath(posixpath.join(folder, file))
                known = classes.setdefault(file, [])
                if label not in known:
                    known.append(label)
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"{archive}{name}: expected UTF-8 text with the columns file and label ({error})"
            ) from error
        return cls(archive + name, classes)

    @classmethod
    def parse_json(cls, content: bytes, name: str, archive: str = "") -> "LabelTable | None":
        """Parses a `dataset.json` of StyleGAN's tools; None if it gives no labels.

        It holds `{"labels": [["00000/img00000000.png", 6], …]}` or `{"labels": null}`; labels are
        whole numbers, names, or lists of numbers of which one is 1 and the others 0.

        Args:
          content, name, archive: as of `parse`.

        Raises:
          ValueError: for anything else.
        """
        folder = posixpath.dirname(name)
        try:
            found = json.loads(content.decode("utf-8-sig"))
            listed = found.get("labels") if isinstance(found, dict) else None
            if listed is None:
                return None
            pairs = listed.items() if isinstance(listed, dict) else listed
            classes: dict[str, list[str]] = {}
            for file, label in pairs:
                file = posixpath.normpath(posixpath.join(folder, file.replace("\\", "/")))
                known = classes.setdefault(archive + file, [])
                if (word := _word(label)) not in known:
                    known.append(word)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{archive}{name}: expected labels as StyleGAN's tools write them, "
                f'{{"labels": [["<file>", <number>], …]}} ({" ".join(str(error).split())}); rename '
                "the file if it holds something else"
            ) from error
        return cls(archive + name, classes) if classes else None

    def for_files(self, names: Sequence[str]) -> "LabelTable":
        r"""The table with `\` in names as `/`, if it was made on Windows.

        Raises ValueError if no row names one of the files.
        """
        if not self.classes or not names or any(name in self.classes for name in names):
            return self
        classes = {file.replace("\\", "/"): labels for file, labels in self.classes.items()}
        if any(name in classes for name in names):
            return dataclasses.replace(self, classes=classes)
        raise ValueError(
            f"{self.name}: none of its {len(self.classes):,} rows names a file of the data: the "
            f"first names {next(iter(self.classes))!r}, the first file is {printable(names[0])!r}"
        )

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """Every file with its class, or the reason why it has none."""
        known = as_classes(label for labels in self.classes.values() for label in labels if label)
        return [self._entry(name, known) for name in names]

    def missing(self, names: Iterable[str], exists: Callable[[str], bool]) -> list[Entry]:
        """The rows without a file, among the names or elsewhere."""
        known = set(names)
        error = f"{self.name} lists it, but there is no such file"
        return [
            Entry(file, error=error)
            for file in self.classes
            if file not in known and not exists(file)
        ]

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


def joined(tables: Sequence[LabelTable]) -> LabelTable | None:
    """One table of several; None if there are none."""
    if len(tables) < 2:
        return tables[0] if tables else None
    classes = {file: labels for table in tables for file, labels in table.classes.items()}
    return LabelTable(", ".join(table.name for table in tables), classes)


def beside(names: Iterable[str]) -> list[str]:
    """Where the dataset.json of files may lie: in their folders, and in those around them."""
    folders = {""}
    for name in names:
        folder = posixpath.dirname(name)
        while folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    return sorted(posixpath.join(folder, DATASET_JSON) for folder in folders)


def unused(
    names: Sequence[str], used: Collection[str], read: str | None = None
) -> list[tuple[str, str]]:
    """Why files are in no split, and their names.

    Args:
      names: all files.
      used: those in a split.
      read: the file of labels, if there is one.
    """
    why = companions(names)
    others = (name for name in names if name not in used and name != read)
    return [
        (why.get(name, UNUSED), name)
        for name in others
        if read or posixpath.basename(name) != DATASET_JSON
    ]


def _word(label: object) -> str:
    """A label of a dataset.json as text, empty if there is none; raises ValueError for others."""
    if isinstance(label, list) and sorted(set(label)) in ([0, 1], [1]) and sum(label) == 1:
        label = label.index(1)
    if label is None or isinstance(label, str):
        return (label or "").strip()
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if not isinstance(label, int) or label < 0:
        raise ValueError(f"the label {str(label)[:40]} is not a class: a whole number from 0")
    return str(int(label))
