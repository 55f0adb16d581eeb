"""Names of files: what is data, what is left out, and names that are not text."""

import posixpath
import re
from collections.abc import Iterable

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp")

# As in TFX: ExampleGen's documentation, "Span, version and date".
PLACEHOLDER = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(:\d+)?\}")
# Why files and folders are left out.
SYSTEM, HIDDEN = "left by an operating system", "hidden"
TWIN, DOCUMENT = "beside an image of the same name", "about the data"
LINK = "a link to a folder that is read already"
BROKEN = "a broken link"

_SYSTEM = re.compile(
    r"\._.*|\.ds_store|\.appledouble|\.localized|\.spotlight-v100|\.trashes|\.fseventsd|__macosx|"
    r"icon\r|(eh)?thumbs(_vista)?\.db|desktop\.ini|\$recycle\.bin|system volume information|"
    r"@eadir|lost\+found",
    re.IGNORECASE,
)
_TWINS = (".txt", ".caption", ".json", ".xml", ".yaml", ".yml", ".xmp", ".aae", ".md5")
_DOCUMENT = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|changelog)([._-].*)?|dataset_infos?\.json|"
    r"dataset-metadata\.json|(sha\d+|md5)sums?(\.txt)?|_success",
    re.IGNORECASE,
)


def ignored(name: str) -> str | None:
    """Why a file or folder of this name is no data, or None: what operating systems leave, hidden.

    Such names are ignored wherever a pattern holds a wildcard, and counted by `Reader.left_out`.
    """
    if _SYSTEM.fullmatch(name):
        return SYSTEM
    return HIDDEN if name.startswith(".") else None


def is_image(name: str) -> bool:
    """Whether a name is that of an image file."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def companions(names: Iterable[str]) -> dict[str, str]:
    """Files that say something about data beside them, by name, and what they are.

    These are captions and the like of one image (`1.txt`, `1.json` or `1.png.json` beside `1.png`),
    and what data sets come with, such as a licence.
    """
    names = list(names)
    others = [name for name in names if not is_image(name)]
    if not others:
        return {}
    stems = {stem for name in names if is_image(name)
             for stem in (name, posixpath.splitext(name)[0])}  # fmt: skip
    found = {}
    for name in others:
        stem, extension = posixpath.splitext(name)
        if stem in stems and extension.lower() in _TWINS:
            found[name] = TWIN
        elif _DOCUMENT.fullmatch(posixpath.basename(name)):
            found[name] = DOCUMENT
    return found


def is_text(name: str) -> bool:
    """Whether a name is UTF-8."""
    return name == printable(name)


def printable(name: str) -> str:
    r"""A name with every byte that is not UTF-8 as in `caf\xe9`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
