from pathlib import Path

import numpy as np
import pytest

from components.common import costs
from components.common.costs import Cost, Meter

MEGABYTES = 200


def test_costs_of_several_artifacts_are_read_as_one():
    made = {"ImageExampleGen": Cost(12.5, 1.25, "a")}
    learnt = {**made, "GANTrainer": Cost(60.0, 2.0, "b")}

    assert costs.read(["", costs.write(made), costs.write(learnt)]) == learnt
    assert str(learnt["GANTrainer"]) == "60.0 s, 2.00 GB"


@pytest.mark.parametrize("kernel", ["resets the peak", "does not"])
def test_the_peak_is_what_was_resident_meanwhile_and_not_before(kernel, monkeypatch):
    if kernel == "does not":
        monkeypatch.setattr(costs, "_RESET", Path("/proc/nothing/clear_refs"))

    def touch():
        return int(np.ones(MEGABYTES * 1_000_000, np.uint8).sum())

    touch()
    first = Meter()
    before = first.read().peak_gb
    second = Meter()
    held = np.ones(MEGABYTES * 1_000_000, np.uint8)
    cost = second.read("run")

    assert held[-1] == 1
    assert cost.run == "run"
    assert cost.seconds > 0
    assert cost.peak_gb - before == pytest.approx(MEGABYTES / 1000, rel=0.2)
