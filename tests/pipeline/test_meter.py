from pathlib import Path

import numpy as np
import pytest

from pipeline import meter

MEGABYTES = 200


@pytest.mark.parametrize("kernel", ["resets the peak", "does not"])
def test_the_peak_is_what_was_resident_meanwhile_and_not_before(kernel, monkeypatch):
    if kernel == "does not":
        monkeypatch.setattr(meter, "_RESET", Path("/proc/nothing/clear_refs"))

    def touch():
        return int(np.ones(MEGABYTES * 1_000_000, np.uint8).sum())

    touch()
    first = meter.Meter()
    before = first.read().peak_gb
    second = meter.Meter()
    held = np.ones(MEGABYTES * 1_000_000, np.uint8)
    cost = second.read("run")

    assert held[-1] == 1
    assert cost.run == "run"
    assert cost.seconds > 0
    assert cost.peak_gb - before == pytest.approx(MEGABYTES / 1000, rel=0.2)
