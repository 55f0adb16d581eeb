"""Splits, classes and shards from the names of image files, in folders and in archives."""

import itertools
import posixpath
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from components.example_gen.files import partitions
from components.example_gen.files.labels import Entry, LabelTable
from components.example_gen.files.names import is_text, printable
from components.example_gen.formats.classes import Class, as_classes
from components.example_gen.formats.reader import (
    LABEL_COLUMNS,
    ROLES,
    UNSPLIT,
    VALIDATION,
    roles_of,
    split_by_name,
    words_of,
)
from components.example_gen.paths import ALTERNATIVE, INSIDE, WILDCARDS, described

# Keys of partitions by class and by split.
_LABEL_KEYS = LABEL_COLUMNS
_SPLIT_KEYS = ("split", "subset", "set", "partition")
_NO_LABEL = "its folder gives no class"
_NOT_TEXT = (
    "the name of its folder, its class, is not UTF-8; rename it, or pack the archive with names in "
    "UTF-8"
)
_FLAT = "*"
_CLASSES = "*/*"
# Names of numbered pieces, and the number in the name of a file.
_SHARD = re.compile(r"[0-9]{4,18}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_ARCHIVE = re.compile(rf"(.*?\.(?:zip|tar|tar\.gz|tgz)){INSIDE}(.*)", re.IGNORECASE | re.DOTALL)


def splits_of(names: Sequence[str], where: str, *, unwrap: bool = False) -> dict[str, str]:
    """The pattern of every split of a tree of images.

    Args:
      names: paths of the images, relative.
      where: the tree, for messages.
      unwrap: whether to ignore a single folder around everything.

    Raises:
      ValueError: for an ambiguous layout.
    """
    keys = partitions.keys_of(names)
    if not {*_LABEL_KEYS, *_SPLIT_KEYS}.isdisjoint(keys):
        return _partitioned(names, keys, where)
    tops = sorted({name.split("/")[0] for name in names if "/" in name})
    wrapped = len(tops) == 1 and all("/" in name for name in names)
    if wrapped and (unwrap or all(name.count("/") > 1 for name in names)):
        (top,) = tops
        inner = splits_of([name[len(top) + 1 :] for name in names], where)
        return {split: f"{top}/{pattern}" for split, pattern in inner.items()}
    words = _split_words(tops)
    chosen = roles_of(words)
    if chosen is None:
        return {UNSPLIT: _depth(names, where)}
    loose = [name for name in names if "/" not in name]
    if loose or len(tops) > len({ROLES[word] for word in words}):
        raise ValueError(
            f"{where}: cannot tell train from eval among the folders "
            f"{described([*tops, *loose])}; name the files of each in data.splits (--splits)"
        )
    patterns = {
        word: f"{top}/{_depth([name[len(top) + 1 :] for name in names if _in(top, name)], where)}"
        for word, top in words.items()
    }
    train, held_out = (patterns[word] for (word,) in chosen.values())
    if train.count("/") != held_out.count("/"):
        # The classes of a test set are often secret, those of val are not.
        known = (patterns[word] for word in words if ROLES[word] == VALIDATION)
        held_out = next((each for each in known if each.count("/") == train.count("/")), held_out)
    return dict(zip(chosen, (train, held_out), strict=True))


def _partitioned(names: Sequence[str], keys: Sequence[str], where: str) -> dict[str, str]:
    """The patterns of files in folders such as `split=train/label=cat`, in any order."""
    folders = [f"{key}=*" for key in keys]
    key = next((key for key in keys if key in _SPLIT_KEYS), None)
    if key is None:
        return {UNSPLIT: "/".join([*folders, _FLAT])}
    place = keys.index(key)
    values = {partitions.parts(name)[place][1] for name in names}
    known = [value for value in values if value.lower() in ROLES]
    chosen = roles_of(known)
    if chosen is None and len(values) == 1:
        return {UNSPLIT: "/".join([*folders, _FLAT])}
    if chosen is None or len(values) > len({ROLES[value.lower()] for value in known}):
        raise ValueError(
            f"{where}: cannot tell train from eval among the folders "
            f"{described(f'{key}={value}' for value in values)}; name the files of each in "
            "data.splits (--splits)"
        )
    return {
        split: "/".join([*folders[:place], f"{key}={value}", *folders[place + 1 :], _FLAT])
        for split, (value,) in chosen.items()
    }


def _split_words(tops: Sequence[str]) -> dict[str, str]:
    """The folders of splits by word: those called train, or all if they are as in `train2017`."""
    exact = {top.lower(): top for top in tops if top.lower() in ROLES}
    if roles_of(exact) is not None:
        return exact
    found = {}
    for top in tops:
        words = words_of(top)
        if len(words) != 1 or words[0] in found:
            return exact
        found[words[0]] = top
    return found if len({ROLES[word] for word in found}) == len(found) else exact


def _in(folder: str, name: str) -> bool:
    return name.startswith(f"{folder}/")


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
            f"{where}: {printable(name)}: an image beside folders; put all images in folders of "
            "classes, or none"
        )
    name = next(name for name in names if name.count("/") > 1)
    all_alike = "/".join("*" * (depths.pop() + 1)) if len(depths) == 1 else ""
    example = f", e.g. all={all_alike} with the last folder as class" if all_alike else ""
    raise ValueError(
        f"{where}: {printable(name)}: an image deeper than <class>/<image>; name the files in "
        f"data.splits (--splits){example}"
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


def labelled(
    names: Mapping[str, Sequence[str]],
    splits: Mapping[str, str],
    table: LabelTable | None,
    exists: Callable[[str], bool],
    *,
    archived: bool = False,
) -> dict[str, list[Entry]]:
    """The files of every split with their labels.

    Labels come from the table, or from the folder of a file if the last folder of the split's
    pattern holds a wildcard and folders are not shards. Rows of the table without a file are added
    to the first split.

    Args:
      names: the files by split.
      splits: the patterns by split.
      table: labels by file, or None.
      exists: whether there is a file that is in no split.
      archived: whether names and patterns are `<archive>#<member>`.

    Raises:
      ValueError: for a table none of whose rows is about one of the files.
    """
    every = [name for files in names.values() for name in files]
    if table is not None:
        table = table.for_files(every)
        entries = {split: table.entries(files) for split, files in names.items()}
        first = next(iter(entries))
        entries[first] += table.missing(every, exists)
        return entries
    if are_shards(["/".join(divided(name)) for name in every] if archived else every):
        return {split: [Entry(name) for name in files] for split, files in names.items()}
    folders = {split: _folders(files, splits[split], archived) for split, files in names.items()}
    known = as_classes(
        name for found in folders.values() for name in found if name and is_text(name)
    )
    return {
        split: [
            _of_folder(name, folder, known)
            for name, folder in zip(files, folders[split], strict=True)
        ]
        for split, files in names.items()
    }


def _of_folder(name: str, folder: str | None, known: Mapping[str, Class]) -> Entry:
    if folder is None:
        return Entry(name)
    if not folder:
        return Entry(name, error=_NO_LABEL)
    if folder not in known:
        return Entry(name, error=_NOT_TEXT)
    return Entry(name, known[folder])


def are_shards(names: Iterable[str]) -> bool:
    """Whether the folders of files are numbered pieces of one set, as StyleGAN's tools write them.

    Their names are numbers filled up with zeros (`00000`, `00001`, …), and the numbers of the files
    go on from one folder to the next. In folders of classes they begin anew.
    """
    ranges: dict[str, tuple[int, int]] = {}
    for name in names:
        folder, stem = posixpath.split(posixpath.splitext(name)[0])
        number = _NUMBER.search(stem)
        if not _SHARD.fullmatch(posixpath.basename(folder)) or not number:
            return False
        value = int(number[0])
        low, high = ranges.get(folder, (value, value))
        ranges[folder] = (min(low, value), max(high, value))
    by_root: dict[str, list[str]] = {}
    for folder in sorted(ranges):
        by_root.setdefault(posixpath.dirname(folder), []).append(folder)
    return bool(ranges) and all(_follow(folders, ranges) for folders in by_root.values())


def _follow(folders: Sequence[str], ranges: Mapping[str, tuple[int, int]]) -> bool:
    """Whether the numbers of sorted folders go on from one to the next; one alone begins at 0."""
    own = [posixpath.basename(folder) for folder in folders]
    if len({len(name) for name in own}) > 1 or (len(own) == 1 and int(own[0])):
        return False
    return all(ranges[a][1] < ranges[b][0] for a, b in itertools.pairwise(folders))


def _folders(names: Sequence[str], patterns: str, archived: bool) -> list[str] | list[None]:
    """The folder of every file, if these are classes: if the pattern's folder holds a wildcard.

    Of partitions by class, such as `label=cat`, the value; empty for a missing one.
    """
    values = [
        partitions.value_of(divided(name)[1] if archived else name, _LABEL_KEYS) for name in names
    ]
    if values and None not in values:
        return [value or "" for value in values]
    found = [_folder(name, archived) for name in names]
    wild = {
        folder
        for pattern in patterns.split(ALTERNATIVE)
        if any(sign in (folder := _folder(pattern, archived)) for sign in WILDCARDS)
    }
    # A single folder may be called as its pattern.
    return found if wild and set(found) != wild else [None] * len(found)


def _folder(name: str, archived: bool) -> str:
    """The last folder of a path."""
    inner = divided(name)[1] if archived else name
    # Equal ones as one object: there may be millions.
    return sys.intern(posixpath.basename(posixpath.dirname(inner)))


def divided(name: str) -> tuple[str, str]:
    """An archive and the member, or the pattern, in it; both may hold the character between."""
    match = _ARCHIVE.match(name)
    if match:
        return match[1], match[2]
    archive, _, member = name.partition(INSIDE)
    return archive, member
