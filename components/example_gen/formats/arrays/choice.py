"""Which of the arrays are images, and whether each is one image or a stack of them."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from components.example_gen.formats.arrays.array import Array
from components.example_gen.formats.reader import ROLES

IMAGE, STACK = "image", "stack"

IMAGE_WORDS = ("x", "image", "images", "img", "imgs", "data", "pixels")
LABEL_WORDS = ("y", "label", "labels", "target", "targets", "class", "classes")
# Words for what belongs to images but is none to learn from.
_OTHER_WORDS = (
    *("mask", "masks", "seg", "segmentation", "segmentations", "depth", "depths", "edges", "flow"),
    *("heatmap", "heatmaps", "mean", "std", "var", "embedding", "embeddings", "feature"),
    *("features", "latent", "latents", "weights", "bbox", "bboxes", "boxes", "keypoints"),
    *("index", "indices", "id", "ids", "names"),
)
_CHANNELS = (1, 3, 4)
# Fewer arrays of [height, width, 3] may as well be stacks of narrow images.
_MANY = 3
_NAMED = 4
# The rank of arrays called something else than images.
_OTHER = 2


def words(name: str) -> list[str]:
    """The words of a name, in lower case; numbers are words of their own."""
    found = []
    for word in re.findall(r"[a-z0-9]+", name.lower()):
        found += [word] if word in ROLES else re.findall(r"[a-z]+|[0-9]+", word)
    return found


def is_called(name: str, known: Iterable[str]) -> bool:
    """Whether a name has one of the words."""
    return not set(known).isdisjoint(words(name))


def stem(name: str) -> tuple[str, ...]:
    """The words of a name without those for images and labels."""
    return tuple(word for word in words(name) if word not in (*IMAGE_WORDS, *LABEL_WORDS))


def choose(
    arrays: Sequence[Array], features: Mapping[str, str], how: str | None, where: str
) -> tuple[list[Array], str]:
    """The arrays of images, and IMAGE or STACK.

    Without a name in `features`, arrays whose names have a word for images come first, those with a
    word for labels, masks and the like last. Of [n, height, width] and [height, width, channels],
    whose number of axes is the same, the shapes decide.

    Args:
      arrays: all there are.
      features: the name of the arrays of images, if it is known.
      how: IMAGE, STACK or None for what the shapes tell.
      where: the data, for messages.

    Raises:
      ValueError: naming both, where there are two readings; and if there are no images.
    """
    found = _candidates(arrays, features, how, where)
    told = how or _told_by_shapes(found, where)
    for array in found:
        _check_shape(array, told)
    if how is None and "image" not in features:
        # One image a file may have any name.
        named = found if told == STACK else [array for array in found if array.key]
        _check_one_kind(named, told, where)
    return found, told


def _candidates(
    arrays: Sequence[Array], features: Mapping[str, str], how: str | None, where: str
) -> list[Array]:
    called = ""
    known = arrays
    if "image" in features:
        called = f" called {features['image']!r} (data.features)"
        known = [array for array in arrays if array.name == features["image"]]
    usable = [array for array in known if array.holds_numbers]
    by_rank = [array for array in usable if len(array.shape) in (3, 4)]
    flat = [array for array in usable if len(array.shape) == 2 and _is_picture(array)]
    several = all(map(_is_picture, by_rank)) and len(by_rank) + len(flat) >= _MANY
    if how == IMAGE or (how is None and several):
        by_rank = [array for array in usable if len(array.shape) > 2 or _is_picture(array)]
    if not by_rank:
        problems = [array for array in known if array.problem]
        if problems and not usable:
            first = problems[0]
            raise ValueError(
                f"{first.path}: {first.name}: {first.problem}; save an array of numbers, and "
                "images of several sizes as one file each"
            )
        rows = [array for array in usable if len(array.shape) == 2 and array.shape[1] > 1]
        flat_hint = "; reshape rows of pixels to [n, height, width]" if rows else ""
        listed = ", ".join(array.described for array in (known or arrays)[:_NAMED]) or "nothing"
        raise ValueError(
            f"{where}: no array [n, height, width] or [n, height, width, channels]{called}; found "
            f"{listed}{flat_hint}"
        )
    if "image" in features:
        return by_rank
    best = min(map(_rank, by_rank))
    for array in known:
        # Masks and the like are no images because the images cannot be read.
        unread = array.problem or (best == _OTHER and len(array.shape) > 1)
        if unread and _rank(array) < best:
            raise ValueError(
                f"{where}: {array.described} cannot be read as images; if {by_rank[0].described} "
                "are the images, name them in data.features.image"
            )
    # Files of one image may have any name.
    named = best if any(array.key for array in by_rank) or not several else max(best, 1)
    return [array for array in by_rank if _rank(array) <= named]


def _rank(array: Array) -> int:
    """0 for arrays that are called images, 1 for other names, _OTHER for something else."""
    if is_called(array.name, (*LABEL_WORDS, *_OTHER_WORDS)):
        # x_classes, image_masks
        return _OTHER
    return 0 if is_called(array.name, IMAGE_WORDS) else 1


def _is_picture(array: Array) -> bool:
    """Whether an array can be one image."""
    if len(array.shape) == 2:
        return min(array.shape) > 1
    return len(array.shape) == 3 and array.shape[2] in _CHANNELS and min(array.shape[:2]) > 1


def _told_by_shapes(found: Sequence[Array], where: str) -> str:
    first = found[0]
    these = f"{where}: {len(found)} {'arrays such as ' if len(found) > 1 else 'array, '}"
    these += f"{first.described}: either "
    if all(map(_is_picture, found)):
        flat = all(len(array.shape) == 2 for array in found)
        if len(found) >= _MANY and not (flat and _may_be_rows(found)):
            return IMAGE
        if flat:
            raise ValueError(
                f"{these}one gray image each (data.arrays: {IMAGE}), or rows of pixels, to "
                "reshape to [n, height, width]"
            )
        length, height, width = next(array.shape for array in found if len(array.shape) == 3)
        raise ValueError(
            f"{these}one image [height, width, channels] each (data.arrays: {IMAGE}), or {length} "
            f"gray images of {height}x{width} each (data.arrays: {STACK})"
        )
    if all(len(array.shape) == 3 and array.shape[0] in _CHANNELS for array in found):
        length, height, width = first.shape
        raise ValueError(
            f"{these}{length} gray images of {height}x{width} each (data.arrays: {STACK}), or one "
            "image each with its channels first, to transpose to [height, width, channels]"
        )
    return STACK


def _may_be_rows(found: Sequence[Array]) -> bool:
    """Whether arrays of two axes may be rows of pixels of several splits."""
    shapes = {array.shape for array in found}
    return any(is_called(array.name, ROLES) for array in found) or (
        len(shapes) > 1 and len({shape[1] for shape in shapes}) == 1
    )


def _check_shape(array: Array, how: str) -> None:
    if how == IMAGE:
        if not _is_picture(array):
            raise ValueError(
                f"{array.where}: an array {list(array.shape)} (data.arrays: {IMAGE}), expected "
                f"[height, width] or [height, width, channels]{_channels_first(array.shape)}"
            )
    elif len(array.shape) == 4 and array.shape[3] not in _CHANNELS:
        raise ValueError(
            f"{array.where}: an array {list(array.shape)}, expected [n, height, width, channels] "
            f"with 1, 3 or 4 channels{_channels_first(array.shape[1:])}"
        )
    elif len(array.shape) not in (3, 4):
        raise ValueError(
            f"{array.where}: an array {list(array.shape)} (data.arrays: {STACK}), expected "
            "[n, height, width] or [n, height, width, channels]"
        )


def _channels_first(shape: Sequence[int]) -> str:
    if len(shape) == 3 and shape[0] in _CHANNELS:
        return "; channels first? transpose them to be last"
    return ""


def _check_one_kind(found: Sequence[Array], how: str, where: str) -> None:
    """Refuses arrays of several kinds: their names differ in more than splits and numbers."""
    kinds: dict[tuple, Array] = {}
    counts: Counter[tuple] = Counter()
    for array in found:
        # `images` and `data` in one file are two kinds, `x_train` and `x_test` one.
        place = (array.path if array.key else posixpath.dirname(array.path), stem(array.name))
        counts[place] += 1
        # The numbers of stacks in one file, arr_0 and arr_1, say nothing of what they are.
        numbered = how == IMAGE or not array.key
        plain = (
            word for word in place[1] if word not in ROLES and not (numbered and word.isdigit())
        )
        kinds.setdefault((tuple(plain), counts[place]), array)
    distinct = list(kinds.values())
    if len(distinct) > 1:
        listed = ", ".join(array.described for array in distinct[:_NAMED])
        more = f" and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
        raise ValueError(
            f"{where}: {len(distinct)} arrays could be images: {listed}{more}; name one in "
            f"data.features.image, or take all with data.arrays: {how}"
        )
