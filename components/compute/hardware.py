"""What this machine computes fast."""

import functools
import os

_HALF_PRECISION = {"avx512_bf16", "amx_bf16"}


@functools.cache
def has_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 in hardware.

    With GPUs, all of them have compute capability 8.0 (Ampere) or above; else the CPU has AVX-512's
    or AMX's instructions.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(each.get("compute_capability", (0, 0)) >= (8, 0) for each in details)
    return bool(_HALF_PRECISION & _cpu_flags("/proc/cpuinfo"))


def share_cores() -> None:
    """Lets TensorFlow run two operations at once with a core each, instead of both on both cores.

    In bfloat16 the operations of a small network are short, and handing halves of them between two
    threads costs more than it gains: a DCGAN's step at batch 32 takes 18 ms instead of 23 ms with
    TensorFlow 2.16, 14 ms instead of 20 ms with 2.21 (docs/performance.md). Measured on two cores;
    elsewhere, with a GPU, and where TF_NUM_INTRAOP_THREADS is set, nothing changes. Call it before
    TensorFlow computes anything; later it has no effect.
    """
    import tensorflow as tf

    if os.cpu_count() == 2 and not tf.config.list_physical_devices("GPU"):
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def _cpu_flags(path: str) -> set[str]:
    """The features of the first processor; none where the system does not list them."""
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        lines = [line for line in file if line.startswith("flags")]
    return set(lines[0].split(":", 1)[1].split()) if lines else set()
