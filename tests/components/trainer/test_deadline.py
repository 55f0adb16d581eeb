"""A process ends at its deadline although C++ holds Python's lock, and not if it was in time."""

import re

import pytest

from components.trainer import deadline

# PyDLL keeps Python's lock during the call, as TensorFlow does while it waits for workers. The
# module alone, as the package imports TensorFlow.
SCRIPT = """
    import ctypes, runpy, sys

    with runpy.run_path(sys.argv[1])["exit_after"](0.3, 75, "100 % gone"):
        ctypes.PyDLL(None).sleep(int(sys.argv[2]))
    ctypes.PyDLL(None).sleep(1)
    sys.exit(3)
"""


@pytest.mark.parametrize(
    ("seconds", "code", "printed"), [(60, 75, r"\S+: 100 % gone\n"), (0, 3, "")]
)
def test_the_process_ends_with_the_code_and_one_line(run_python, seconds, code, printed):
    process = run_python(SCRIPT, deadline.__file__, seconds)
    _, errors = process.communicate(timeout=50)
    assert process.returncode == code, errors
    assert re.fullmatch(printed, errors)
