"""From `data.path` to the files: one path, a list or a glob, the latest span and version."""

import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence

from components.example_gen.formats.reader import UNSPLIT, Reader
from components.example_gen.formats.registry import is_data_file
from components.example_gen.paths import ALTERNATIVE, children

# TFX's own: ExampleGen's documentation, "Span, version and date".
_PLACEHOLDER = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(:\d+)?\}")
_GLOB = re.compile(r"[*?{]")

Paths = str | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Found:
    """Where the data are.

    Attributes:
      base: the folder that patterns are relative to.
      patterns: by split; `{SPAN}` and its kin stand for the latest.
      splits: by split, the patterns of the latest span and version.
    """

    base: str
    patterns: Mapping[str, str]
    splits: Mapping[str, str]


def find(reader: Reader, path: Paths, splits: Mapping[str, str] | None = None) -> Found:
    """Finds the files of every split.

    Args:
      reader: of the data's format.
      path: a folder, a file, a glob, or a list of these; `{SPAN}` and `{VERSION}` as TFX has them.
      splits: glob patterns by split, relative to `base_of(path)`; found by the reader if left out.

    Raises:
      FileNotFoundError: for data that are not there.
      ValueError: as the reader's `splits`, and as `latest`.
    """
    base = base_of(path)
    if splits:
        return Found(base, dict(splits), latest(base, splits))
    listed = _listed(path)
    if listed == [base]:
        found = reader.splits(base)
        return Found(base, found, found)
    wanted = [_below(each, base) for each in listed]
    if any(_PLACEHOLDER.search(each) for each in wanted):
        return _latest_of(reader, base, wanted)
    names = [name for each in wanted for name in _expanded(base, each)]
    found = reader.splits(base, list(dict.fromkeys(names)))
    return Found(base, found, found)


def base_of(path: Paths) -> str:
    """The folder that patterns of `path` are relative to; the file system is not asked."""
    listed = _listed(path)
    if len(listed) == 1:
        return _fixed(listed[0])
    folders = [posixpath.dirname(each) if _fixed(each) == each else _fixed(each) for each in listed]
    common = []
    for names in zip(*(folder.split("/") for folder in folders), strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return "/".join(common) or ("/" if folders[0].startswith("/") else ".")


def latest(base: str, patterns: Mapping[str, str]) -> dict[str, str]:
    """The patterns of the latest span and version, the same for all splits, as TFX chooses them.

    Raises ValueError, naming the patterns, where a split has none or has others.
    """
    if not any(map(_PLACEHOLDER.search, patterns.values())):
        return dict(patterns)
    # Takes seconds to import, and most data have no spans.
    from components.example_gen.spans import SpanProcessor

    processor = SpanProcessor(base, patterns)
    return processor.patterns(*processor.resolve_span_and_version())


def _latest_of(reader: Reader, base: str, wanted: Sequence[str]) -> Found:
    if len(wanted) > 1 or re.search(r"[*?]", wanted[0]):
        raise ValueError(
            f"data.path: {', '.join(wanted)}: a span is read from one folder or file, without * or "
            "?; name the files in data.splits instead"
        )
    (pattern,) = wanted
    concrete = latest(base, {UNSPLIT: pattern})[UNSPLIT]
    splits = reader.splits(base, [concrete])
    patterns = {
        split: ALTERNATIVE.join(
            pattern + each.removeprefix(concrete) for each in text.split(ALTERNATIVE)
        )
        for split, text in splits.items()
    }
    return Found(base, patterns, splits)


def _expanded(base: str, pattern: str) -> list[str]:
    found = children(base, pattern)
    if not found:
        raise FileNotFoundError(f"{posixpath.join(base, pattern)}: no such file (data.path)")
    return found


def _fixed(path: str) -> str:
    """A path up to its first wildcard; the folder of what is called like a file of data."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _GLOB.search(part):
            return "/".join(parts[:index]) or ("/" if path.startswith("/") else ".")
    if is_data_file(parts[-1]):
        return posixpath.dirname(path) or "."
    return path


def _listed(path: Paths) -> list[str]:
    return [path] if isinstance(path, str) else list(path)


def _below(path: str, base: str) -> str:
    return path if base == "." else path.removeprefix(base).lstrip("/")
