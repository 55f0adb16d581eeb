"""What several metrics share, computed once though they are computed side by side."""

import functools
import threading
from typing import Any


class once(functools.cached_property):  # noqa: N801  As property, it is used as a decorator.
    """A cached property that threads wait for instead of computing it too.

    Python 3.12's own has no lock any more; earlier ones have one for all instances.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:  # noqa: ANN401
        if instance is None:
            return self
        # setdefault is atomic, so that all threads get the same lock.
        lock = instance.__dict__.setdefault(f"_lock of {self.attrname}", threading.RLock())
        with lock:
            return super().__get__(instance, owner)
