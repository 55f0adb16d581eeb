"""From `data.path` to the files: one path, a list or a glob, the latest span and version."""

import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence

from components.example_gen.formats import archive, idx, numpy_files, table, tfrecord
from components.example_gen.formats.reader import Reader
from components.example_gen.paths import ALTERNATIVE, INSIDE, children, is_image, list_names

# TFX's own: ExampleGen's documentation, "Span, version and date".
_TOKEN = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
_ORDER = ("SPAN", "YYYY", "MM", "DD", "VERSION")
_DIGITS = {"YYYY": 4, "MM": 2, "DD": 2}
_GLOB = re.compile(r"[*?{]")
_FILES = (archive.NAMES, numpy_files.NAMES, idx.NAMES, table.NAMES, tfrecord.NAMES)

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
      ValueError: as the reader's `splits`.
    """
    base = base_of(path)
    if splits:
        return Found(base, dict(splits), {s: latest(base, p) for s, p in splits.items()})
    listed = _listed(path)
    if listed == [base]:
        found = reader.splits(base)
        return Found(base, found, found)
    wanted = [_below(each, base) for each in listed]
    if any(_TOKEN.search(each) for each in wanted):
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


def latest(base: str, patterns: str) -> str:
    """The patterns with the number of the latest span and version in place of `{SPAN}`, …

    Raises FileNotFoundError where nothing has a number.
    """
    return ALTERNATIVE.join(_latest(base, each) for each in patterns.split(ALTERNATIVE))


def _latest_of(reader: Reader, base: str, wanted: Sequence[str]) -> Found:
    if len(wanted) > 1 or re.search(r"[*?]", wanted[0]):
        raise ValueError(
            f"data.path: {', '.join(wanted)}: a span is read from one folder or file, without * or "
            "?; name the files in data.splits instead"
        )
    (pattern,) = wanted
    concrete = _latest(base, pattern)
    splits = reader.splits(base, [concrete])
    patterns = {
        split: ALTERNATIVE.join(
            pattern + each.removeprefix(concrete) for each in text.split(ALTERNATIVE)
        )
        for split, text in splits.items()
    }
    return Found(base, patterns, splits)


def _latest(base: str, pattern: str) -> str:
    outer, sign, inner = pattern.partition(INSIDE)
    if sign:
        return _latest(base, outer) + sign + inner
    if not _TOKEN.search(pattern):
        return pattern
    *parts, rest = _upto_last_token(pattern)
    found: list[tuple[str, dict[str, str]]] = [("", {})]
    for part in parts:
        matcher = _matcher(part)
        found = [
            (posixpath.join(name, child), {**values, **match.groupdict()})
            for name, values in found
            for child in _names(posixpath.join(base, name) if name else base)
            if (match := matcher.fullmatch(child))
        ]
    if not found:
        raise FileNotFoundError(
            f"{posixpath.join(base, pattern)}: nothing with such a number; check data.path and "
            "data.splits"
        )
    _, values = max(
        found, key=lambda each: [int(each[1][name]) for name in _ORDER if name in each[1]]
    )
    return _TOKEN.sub(lambda token: values[token[1]], "/".join([*parts, *rest]))


def _upto_last_token(pattern: str) -> list:
    parts = pattern.split("/")
    last = max(index for index, part in enumerate(parts) if _TOKEN.search(part))
    return [*parts[: last + 1], parts[last + 1 :]]


def _matcher(part: str) -> re.Pattern[str]:
    """A part of a path, in which tokens stand for digits and wildcards for anything."""
    text, end = "", 0
    for token in _TOKEN.finditer(part):
        digits = token[2] or _DIGITS.get(token[1])
        text += _globbed(part[end : token.start()])
        text += rf"(?P<{token[1]}>\d{f'{{{digits}}}' if digits else '+'})"
        end = token.end()
    return re.compile(text + _globbed(part[end:]))


def _globbed(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _names(folder: str) -> list[str]:
    try:
        return list_names(folder)
    except ValueError:
        # A file, or a folder that is not there: nothing of the pattern lies in it.
        return []


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
    if is_image(parts[-1]) or any(names.fullmatch(parts[-1]) for names in _FILES):
        return posixpath.dirname(path) or "."
    return path


def _listed(path: Paths) -> list[str]:
    return [path] if isinstance(path, str) else list(path)


def _below(path: str, base: str) -> str:
    return path if base == "." else path.removeprefix(base).lstrip("/")
