"""From `data.path` to files: one path, a list or a glob; the latest span and version."""

import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence

from components.example_gen.files.names import PLACEHOLDER, is_text, printable
from components.example_gen.formats.reader import UNSPLIT
from components.example_gen.formats.registry import is_data_file
from components.example_gen.paths import ALTERNATIVE, children, exists, is_folder, is_remote

_GLOB = re.compile(rf"[*?]|{PLACEHOLDER.pattern}")

Paths = str | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Location:
    """What a path names.

    Attributes:
      base: the folder that names and patterns are relative to.
      names: the files and folders in it, of the latest span and version; None for the whole folder.
      span_pattern: the path relative to `base` if it holds `{SPAN}` or its kin, else None.
    """

    base: str
    names: Sequence[str] | None
    span_pattern: str | None = None

    def patterns(self, splits: Mapping[str, str]) -> dict[str, str]:
        """The patterns of the splits, with `{SPAN}` and its kin in place of the latest numbers."""
        if self.span_pattern is None or self.names is None:
            return dict(splits)
        (latest_name,) = self.names
        return {
            split: ALTERNATIVE.join(
                self.span_pattern + each.removeprefix(latest_name)
                for each in text.split(ALTERNATIVE)
            )
            for split, text in splits.items()
        }


def locate(path: Paths) -> Location:
    """The files and folders that a path names.

    Args:
      path: a folder, a file, a glob, or a list of these; `{SPAN}` and `{VERSION}` as TFX has them.

    Raises:
      FileNotFoundError: for a file or a glob that does not exist.
      ValueError: for a span in a list or a glob, a path that is not UTF-8, and as `latest`.
    """
    base, listed = base_of(path), _listed(path)
    for each in listed:
        if not is_text(each):
            raise ValueError(f"data.path: {printable(each)}: the path is not UTF-8; rename it")
    if listed == [base]:
        return Location(base, None)
    wanted = [each if base == "." else each.removeprefix(base).lstrip("/") for each in listed]
    if any(PLACEHOLDER.search(each) for each in wanted):
        if len(wanted) > 1 or re.search(r"[*?]", wanted[0]):
            raise ValueError(
                f"data.path: {', '.join(wanted)}: a span is read from one folder or file, without "
                "* or ?; name the files in data.splits instead"
            )
        return Location(base, [latest(base, {UNSPLIT: wanted[0]})[UNSPLIT]], wanted[0])
    names = []
    for pattern in wanted:
        found = children(base, pattern)
        if not found:
            raise FileNotFoundError(f"{posixpath.join(base, pattern)}: no such file (data.path)")
        names += found
    return Location(base, list(dict.fromkeys(names)))


def base_of(path: Paths) -> str:
    """The folder that patterns of `path` are relative to.

    Folders that exist may have wildcards in their names.
    """
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

    Raises ValueError, naming the patterns, if a split has none or others.
    """
    if not any(map(PLACEHOLDER.search, patterns.values())):
        return dict(patterns)
    # Imported late because it takes seconds, and most data have no spans.
    from components.example_gen.spans import SpanProcessor

    processor = SpanProcessor(base, patterns)
    return processor.patterns(*processor.resolve_span_and_version())


def _fixed(path: str) -> str:
    """A path up to its first wildcard; the folder of a data file."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _GLOB.search(part) and not _is_there("/".join(parts[: index + 1])):
            return "/".join(parts[:index]) or ("/" if path.startswith("/") else ".")
    if is_data_file(parts[-1]) and not (_is_there(path) and is_folder(path)):
        return posixpath.dirname(path) or "."
    return path


def _is_there(path: str) -> bool:
    """Whether a local path exists; a URI is taken as it is written."""
    return not is_remote(path) and exists(path)


def _listed(path: Paths) -> list[str]:
    return [path] if isinstance(path, str) else list(path)
