"""The versions of a serving folder that are in memory, which follow what is pushed."""

import contextlib
import dataclasses
import gc
import os
import threading
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

from components.common import saved_models
from components.serving.server.errors import invalid, not_found
from components.serving.server.servable import Servable

# As in TensorFlow Serving's GetModelStatusResponse.
LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"


@dataclasses.dataclass(frozen=True)
class State:
    """Of one version: its place in life, and what was wrong with it, if anything was."""

    version: int
    state: str
    error: str = ""


@dataclasses.dataclass
class _Loaded:
    servable: Servable
    requests: int = 0


class Versions:
    """Loads new versions while the old ones serve, and drops these when nobody uses them.

    Served are the newest versions that can be loaded, and those that have a label. A version
    that was withdrawn makes place for the one before, which is loaded first. One that cannot be
    loaded is reported, and tried again when its files change. While the folder is unreadable or
    without versions, what is loaded stays.

    Args:
      folder: of versions, a path or URI.
      name: of the model, for errors.
      newest: how many of the newest versions are served.
      labels: versions by label.
      seconds: between looks at the folder.
      log: is told in a line what was loaded, dropped or found broken.

    Raises:
      FileNotFoundError: by `start`, if there is no version to serve.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        newest: int = 1,
        labels: Mapping[str, int] | None = None,
        seconds: float = 1.0,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._folder = folder
        self._name = name
        self._newest = newest
        self._labels = dict(labels or {})
        self._seconds = seconds
        self._log = log
        self._lock = threading.Lock()
        self._loaded: dict[int, _Loaded] = {}
        self._retired: dict[int, _Loaded] = {}
        self._loading: int | None = None
        # Why versions could not be loaded, and the files that they had.
        self._broken: dict[int, tuple[str, object]] = {}
        self._complaint = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> None:
        """Loads what there is, and begins to watch the folder."""
        if not tf.io.gfile.isdir(self._folder):
            raise FileNotFoundError(f"{self._folder}: no such folder")
        self.refresh()
        if not self._loaded:
            broken = "; ".join(f"{version}: {why}" for version, (why, _) in self._broken.items())
            raise FileNotFoundError(
                f"{self._folder}: no version to serve; expected folders named by numbers, as a "
                f"push writes them{f', found broken ones: {broken}' if broken else ''}"
            )
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching; what is loaded can still be used."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextlib.contextmanager
    def use(self, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """A version, which stays in memory meanwhile; by default the newest.

        Raises:
          RequestError: if it is not served.
        """
        if label is not None:
            version = self._of_label(label)
        with self._lock:
            chosen = max(self._loaded, default=None) if version is None else version
            loaded = None if chosen is None else self._loaded.get(chosen)
            if loaded is None:
                asked = (
                    f"Latest({self._name})"
                    if version is None
                    else f"Specific({self._name}, {version})"
                )
                raise not_found(f"Servable not found for request: {asked}")
            loaded.requests += 1
        try:
            yield loaded.servable
        finally:
            with self._lock:
                loaded.requests -= 1

    def states(self, version: int | None = None, label: str | None = None) -> list[State]:
        """Of one version, or of all that are known, the newest first.

        Raises:
          RequestError: for a version that is not known.
        """
        if label is not None:
            version = self._of_label(label)
        with self._lock:
            found = {number: State(number, END, why) for number, (why, _) in self._broken.items()}
            found |= {number: State(number, UNLOADING) for number in self._retired}
            found |= {number: State(number, AVAILABLE) for number in self._loaded}
            if self._loading is not None:
                found[self._loading] = State(self._loading, LOADING)
        if version is None:
            return [found[number] for number in sorted(found, reverse=True)]
        if version not in found:
            raise not_found(f"Could not find version {version} of model {self._name}")
        return [found[version]]

    def refresh(self) -> None:
        """Looks at the folder once, loads and drops."""
        before = set(self._loaded)
        try:
            names = saved_models.versions(self._folder)
            found = {int(name): os.path.join(self._folder, name) for name in reversed(names)}
            wanted = self._load_wanted(found)
            self._complain("" if wanted else "no version to serve; what is loaded stays")
        except (tf.errors.OpError, OSError) as error:
            self._complain(f"unreadable, what is loaded stays: {error}")
            return
        with self._lock:
            if wanted:
                for version in set(self._loaded) - wanted:
                    self._retired[version] = self._loaded.pop(version)
            self._broken = {v: why for v, why in self._broken.items() if v in found}
            unused = [v for v, loaded in self._retired.items() if not loaded.requests]
            for version in unused:
                del self._retired[version]
        for version in unused:
            self._log(f"version {version} is dropped")
        if unused or self._loaded.keys() != before:
            _collect()

    def _load_wanted(self, found: Mapping[int, str]) -> set[int]:
        wanted: set[int] = set()
        for version, path in found.items():
            if len(wanted) < self._newest and self._load(version, path):
                wanted.add(version)
        for version in self._labels.values():
            if version in found and self._load(version, found[version]):
                wanted.add(version)
        return wanted

    def _load(self, version: int, path: str) -> bool:
        """Whether the version is there, after an attempt to load it unless it is known."""
        if version in self._loaded:
            return True
        # On object stores written last: what has none is on its way.
        if not tf.io.gfile.exists(os.path.join(path, saved_models.FILE)):
            return False
        files = _fingerprint(path)
        if version in self._broken and self._broken[version][1] == files:
            return False
        with self._lock:
            self._loading = version
        try:
            loaded = _Loaded(Servable(path, version))
        except Exception as error:  # noqa: BLE001 - TensorFlow raises what it likes.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            with self._lock:
                self._broken[version] = (reason, files)
                self._loading = None
            self._log(f"version {version} cannot be served: {reason}")
            return False
        with self._lock:
            self._loaded[version] = loaded
            self._broken.pop(version, None)
            self._loading = None
        self._log(f"version {version} is served")
        return True

    def _of_label(self, label: str) -> int:
        if label not in self._labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return self._labels[label]

    def _complain(self, words: str) -> None:
        """Logs what is wrong with the folder, once."""
        if words and words != self._complaint and self._loaded:
            self._log(f"{self._folder}: {words}")
        self._complaint = words

    def _watch(self) -> None:
        while not self._stopped.wait(self._seconds):
            self.refresh()


def _collect() -> None:
    """Frees dropped models, which are full of circles, and what loading left.

    Garbage collection then leaves out all that stays: going through the objects of TensorFlow and
    of the models would stop the server for .2 s every few hundred requests.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    # How much there is to go through decides how often it is done.
    gc.collect()


def _fingerprint(path: str) -> object:
    """Of the files of a version: changes while they are being written."""
    found = []
    for folder, _, names in tf.io.gfile.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            status = tf.io.gfile.stat(file)
            found.append((file, status.length, status.mtime_nsec))
    return sorted(found)
