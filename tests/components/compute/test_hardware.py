import os

import pytest
import tensorflow as tf

from components.compute import hardware


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\nbugs\t: none\n", True),
        ("flags\t\t: fpu avx512f avx512_vnni\n", False),
        # Not x86.
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),
        (None, False),
    ],
)
def test_bfloat16_of_a_cpu_is_an_instruction(monkeypatch, tmp_path, cpuinfo, expected):
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    flags = hardware._cpu_flags
    monkeypatch.setattr(hardware, "_cpu_flags", lambda _: flags(str(path)))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])

    assert hardware.has_bfloat16.__wrapped__() == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [([(9, 0)], True), ([(8, 0)], True), ([(7, 5)], False), ([(8, 6), (7, 0)], False)],
)
def test_bfloat16_of_gpus_is_that_of_the_oldest(monkeypatch, capabilities, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: capabilities)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu}
    )
    assert hardware.has_bfloat16.__wrapped__() == expected


@pytest.mark.parametrize(
    ("cores", "gpus", "given", "expected"),
    [
        (2, 0, None, "1"),
        (2, 0, "2", "2"),
        (1, 0, None, None),
        (16, 0, None, None),
        (2, 1, None, None),
    ],
)
def test_two_cores_are_shared_unless_told_otherwise(monkeypatch, cores, gpus, given, expected):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    if given:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [None] * gpus)

    hardware.share_cores()
    assert os.environ.get("TF_NUM_INTRAOP_THREADS") == expected
    # Remembered for the end of the test, which restores the environment.
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
