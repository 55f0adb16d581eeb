import pytest
import tensorflow as tf

from components.common import hardware


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu amx_bf16", True), ("avx512_bf16 fpu", True), ("avx2", False)]
)
def test_a_cpu_is_known_by_its_flags(flags, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags : {flags}\n")

    assert hardware.has_bfloat16(str(path)) == expected
    assert not hardware.has_bfloat16(str(tmp_path / "none"))


@pytest.mark.parametrize(("capability", "expected"), [((9, 0), True), ((7, 5), False)])
def test_a_gpu_is_known_by_its_compute_capability(capability, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)

    assert hardware.has_bfloat16() == expected
