"""What there is in data, as text: for a terminal, and for a file beside the schema."""

import os
from collections.abc import Iterable, Mapping, Sequence

from components.example_gen.dataset import Dataset
from components.example_gen.preview import ColumnPreview, Preview

# Of sizes, classes or columns; and of a column's names.
_NAMED, _NAMES = 20, 8
_LEFT_OUT = "left out"


def text(data: Dataset) -> str:
    """A table of two columns: what a sample of the records holds, and what is left out.

    Raises:
      FileNotFoundError, ValueError: as `Dataset.preview`.
    """
    rows = list(_rows(data.preview))
    rows += [(_LEFT_OUT, str(each)) for each in data.left_out]
    for line in data.remarks:
        left_out = line.startswith(f"{_LEFT_OUT}: ")
        rows.append((_LEFT_OUT, line.removeprefix(f"{_LEFT_OUT}: ")) if left_out else ("", line))
    width = max(len(what) for what, _ in rows)
    return "\n".join(f"{what:{width}}  {_in_one_line(found)}" for what, found in rows)


def _in_one_line(found: str) -> str:
    r"""The text with control characters, which names may hold, as in `\n`."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in found)


def path_beside(schema: str) -> str:
    """Where the table of the data that a schema was inferred from is written."""
    return os.path.splitext(schema)[0] + ".preview.txt"


def _rows(preview: Preview) -> Iterable[tuple[str, str]]:
    total = sum(preview.records.values())
    yield "records", ", ".join(f"{split} {count:,}" for split, count in preview.records.items())
    if preview.looked_at < total:
        yield "looked at", f"{preview.looked_at:,} of them, the first of each part of the data"
    if preview.sizes:
        sizes = {f"{height}x{width}": count for (height, width), count in preview.sizes.items()}
        yield "sizes (height x width)", _counted(_most_frequent_first(sizes))
        yield "modes", _counted(_most_frequent_first(preview.modes))
    if preview.classes:
        # By label.
        by_label = sorted(preview.classes.items(), key=lambda item: int(item[0].partition(" ")[0]))
        yield f"classes: {len(preview.classes)}", _counted(by_label)
    else:
        yield "classes", "no labels"
    for column in preview.columns[:_NAMED]:
        yield f"column {column.column.name}", _column(column)
    if len(preview.columns) > _NAMED:
        yield "columns", f"{len(preview.columns) - _NAMED} more"
    if preview.bad:
        yield "bad records", f"{preview.bad:,}, the first: {preview.first_bad}"


def _most_frequent_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])


def _counted(counts: Sequence[tuple[str, int]], most: int = _NAMED) -> str:
    words = [f"{name} ({count:,})" for name, count in counts[:most]]
    more = [f"{len(counts) - most} more"] if len(counts) > most else []
    return ", ".join([*words, *more])


def _column(found: ColumnPreview) -> str:
    column = found.column
    words = f"{column.type} {column.format}" if column.format else column.type
    if found.counts:
        words += f", {len(found.counts)}: {_counted(list(found.counts.items()), _NAMES)}"
    elif found.least is not None:
        words += f", {found.least} to {found.largest}"
    if found.missing:
        words += f"; missing ({found.missing:,})"
    return words
