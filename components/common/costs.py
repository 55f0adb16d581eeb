"""What stages cost: measured, and as a property of artifacts, each of which knows what it took."""

import dataclasses
import json
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

# A custom property of artifacts: JSON of `Cost` by stage, the artifact's own and those before it.
PROPERTY = "costs"
# Variable of the environment: the id of the run that a stage belongs to.
RUN = "TFX_GAN_RUN"

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
# Value of clear_refs that sets the peak to what is resident now (proc(5)).
_PEAK = "5"
_PEAK_LINE = "VmHWM:"
_GB = 1e9
# Between two looks, where the kernel does not let the peak be reset.
_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one execution of a stage took.

    Attributes:
      seconds: wall time, the look into TFX's cache included.
      peak_gb: the largest resident memory of its process meanwhile, in 10^9 bytes.
      run: id of the run that it was part of; empty where unknown.
    """

    seconds: float
    peak_gb: float
    run: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.peak_gb:.2f} GB"


def read(properties: Iterable[str]) -> dict[str, Cost]:
    """The costs by stage in the properties of several artifacts, some of which may be empty."""
    found: dict[str, Cost] = {}
    for text in properties:
        for stage, fields in json.loads(text or "{}").items():
            found[stage] = Cost(**fields)
    return found


def write(costs: Mapping[str, Cost]) -> str:
    """The inverse of `read`."""
    return json.dumps({stage: dataclasses.asdict(cost) for stage, cost in costs.items()})


class Meter:
    """Measures from its creation to `read`.

    The peak is that of this process, everything that it has loaded included, without that of
    processes that it starts. Linux keeps it exactly; where it cannot be reset, memory is looked at
    ten times a second.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._sampler = None if _reset_peak() else _Sampler()

    def read(self, run: str = "") -> Cost:
        """What it took, as part of a run; to be called once."""
        peak = self._sampler.stop() if self._sampler else _peak()
        return Cost(time.monotonic() - self._started, peak / _GB, run)


def _reset_peak() -> bool:
    """Whether the kernel has set the peak to the memory of now."""
    try:
        _RESET.write_text(_PEAK)
    except OSError:
        return False
    return True


def _peak() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(_PEAK_LINE))
    return int(line.split()[1]) * 1024


class _Sampler:
    def __init__(self) -> None:
        self._process = psutil.Process()
        self._peak = self._process.memory_info().rss
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return max(self._peak, self._process.memory_info().rss)
