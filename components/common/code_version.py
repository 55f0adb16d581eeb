"""A hash of a stage's source code, for TFX's cache key."""

import functools
import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

import grimp

_SOURCES = (".py", ".jinja")


def code_version(stage: str, others: Iterable[Path] = (), *, ignoring: Collection[str] = ()) -> str:
    """A hash of the sources that a stage runs: its folder, and the modules that it imports.

    TFX's cache key does not cover the executor's source; this hash, as a parameter, adds it.

    Args:
      stage: the name of its folder under `components`.
      others: more files, such as the user's plugins.
      ignoring: imported modules that affect only what people look at and nothing that the next
        stage reads, so that editing them need not rerun the stage.

    Returns:
      16 hexadecimal digits.
    """
    root = Path(__file__).parents[1]
    imported = _graph().find_upstream_modules(f"components.{stage}", as_package=True)
    found = {_file(root, module) for module in imported - set(ignoring)}
    found |= {path for path in (root / stage).rglob("*") if path.suffix in _SOURCES}
    digest = hashlib.sha256()
    for path in others:
        digest.update(path.read_bytes() + b"\0")
    for path in sorted(found):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@functools.cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("components", cache_dir=None)


def _file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
