"""What the hardware is fast at."""

from pathlib import Path

import tensorflow as tf

# Instructions that multiply bfloat16, as Linux calls them.
_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
# The first NVIDIA GPUs that do: Ampere.
_COMPUTE_CAPABILITY = (8, 0)


def has_bfloat16(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Whether all GPUs, or the CPU if there is none, multiply bfloat16 in hardware.

    Args:
      cpuinfo: Linux's description of the CPUs; without such a file the answer is no.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(
            each.get("compute_capability", (0, 0)) >= _COMPUTE_CAPABILITY for each in details
        )
    path = Path(cpuinfo)
    return path.exists() and not _CPU_FLAGS.isdisjoint(path.read_text().split())
