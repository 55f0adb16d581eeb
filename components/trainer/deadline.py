"""A limit to what may hang in C++ with Python's lock held, where no Python code can run."""

import contextlib
import ctypes
from collections.abc import Iterator

# <signal.h> and <time.h> of Linux.
_SIGEV_THREAD = 2
_CLOCK_MONOTONIC = 1
_SECONDS_TO_PRINT = 0.2


class _Event(ctypes.Structure):
    """sigevent: calls `function`, a C function, with `value`."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_char * 32),
    )


class _Times(ctypes.Structure):
    """itimerspec: an interval of 0 is once."""

    _fields_ = tuple(
        (name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")
    )


@contextlib.contextmanager
def exit_after(seconds: float, code: int, message: str) -> Iterator[None]:
    """Ends the process with `code`, and `message` as a line of stderr, if it is inside for longer.

    The C library's timers do that in threads of their own. `faulthandler.dump_traceback_later` is
    like it, but always exits with 1 and prints what looks like a crash.

    Raises:
      OSError: if the kernel gives no timer.
    """
    c = ctypes.CDLL(None, use_errno=True)
    # Until glibc 2.34 it was in a library of its own.
    timers = c if hasattr(c, "timer_create") else ctypes.CDLL("librt.so.1", use_errno=True)
    line = ctypes.create_string_buffer(message.replace("%", "%%").encode())
    with contextlib.ExitStack() as stack:
        for after, function, value in (
            (seconds, c.warnx, ctypes.addressof(line)),
            (seconds + _SECONDS_TO_PRINT, c._exit, code),
        ):
            address = ctypes.cast(function, ctypes.c_void_p).value
            event = _Event(value=value, notify=_SIGEV_THREAD, function=address)
            timer = ctypes.c_void_p()
            times = _Times(first_s=int(after), first_ns=int(after % 1 * 1e9))
            _check(timers.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)))
            stack.callback(timers.timer_delete, timer)
            _check(timers.timer_settime(timer, 0, ctypes.byref(times), None))
        yield


def _check(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), "no timer")
