import os

import pytest
import tensorflow as tf

from components.trainer import devices


@pytest.fixture
def gpus(monkeypatch):
    """Pretends that the machine has so many GPUs."""
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: "mirrored")

    def have(count):
        found = [f"GPU:{number}" for number in range(count)]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: found)

    return have


@pytest.mark.parametrize(("count", "mirrored"), [(0, False), (1, True), (4, True)])
def test_all_gpus_or_else_the_cpu(gpus, count, mirrored):
    gpus(count)

    assert (devices.strategy() == "mirrored") is mirrored
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
