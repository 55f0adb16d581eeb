"""What the backend remembers between runs: ids and results that may be taken from the cache."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from pipeline.rehearsal.dialects import Artifact
from pipeline.rehearsal.driver import Results


class Memory:
    """A file with the cache and the last id given; written after every change.

    Args:
      path: the file, which need not exist.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._content: dict[str, Any] = {"ids": 0, "cache": {}}
        if self._path.exists():
            self._content = json.loads(self._path.read_text(encoding="utf-8"))

    def number(self) -> int:
        """A new id."""
        self._content["ids"] += 1
        self._write()
        return int(self._content["ids"])

    def find(self, key: str) -> Results | None:
        """The results under a fingerprint, if there are any."""
        found = self._content["cache"].get(key)
        if found is None:
            return None
        artifacts = {name: Artifact(**fields) for name, fields in found["artifacts"].items()}
        return Results(found["parameters"], artifacts)

    def keep(self, key: str, results: Results) -> None:
        """Enters results under a fingerprint."""
        self._content["cache"][key] = dataclasses.asdict(results)
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(".part")
        temporary.write_text(json.dumps(self._content), encoding="utf-8")
        os.replace(temporary, self._path)
