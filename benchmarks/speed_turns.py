"""Turns of the processes of `speed.py`, a line of JSON each; needs nothing that is installed."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRECISIONS = ("float32", "bfloat16")
_FOLDER = Path(__file__).parents[1]

Loop = Callable[[int], float]


class Worker:
    """A process that answers one line of JSON with another."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(_FOLDER)}
        pipe = subprocess.PIPE
        # Progress bars and TensorFlow's notes, which count only if the process fails.
        self._notes = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=self._notes,
            text=True,
            env=environment,
            cwd=_FOLDER,
        )

    def ask(self, question: dict) -> float:
        print(json.dumps(question), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("="):
                return json.loads(line[1:])
        status = self._process.wait()
        self._notes.seek(0)
        sys.exit(f"{self._notes.read()}\n{shlex.join(self._process.args)}: ended with {status}")

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def serve(make: Callable[[dict], Any]) -> None:
    """A worker's side: loops are made once, and take a turn at each further question.

    Args:
      make: of a question, its answer, or the loop to time: called with a number of steps, it
        returns the seconds of one.
    """
    loops: dict[str, tuple[Loop, int]] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "forget" in question:
            loops.clear()
            answer = 0
        elif "loop" not in question:
            answer = make(question)
        else:
            if line not in loops:
                loop = make(question)
                loop(3)
                loops[line] = loop, max(3, round(question["seconds"] / loop(3)))
            loop, steps = loops[line]
            answer = 1e3 * loop(steps)
        print(f"={json.dumps(answer)}", flush=True)


def timed(step: Callable[[], Any]) -> Loop:
    """The loop that calls `step`."""

    def loop(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - started) / steps

    return loop
