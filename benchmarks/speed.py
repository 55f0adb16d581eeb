"""Seconds of a training step: ours on each lane, a tutorial's loop, and PyTorch, taking turns.

    make bench                   # this lane and PyTorch, which gets an environment of its own
    make bench ARGS="--also '.ci/debian13 env PYTHONPATH=. .venv/bin/python'"    # both lanes
    make bench-compare           # against benchmarks/speed.json

Every subject lives in a process that waits for its turn; a round is a turn of each, so that what
else the machine does falls on all alike. Times are medians over rounds, with lowest and highest.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from speed_turns import PRECISIONS, Worker

TORCH = "torch==2.14.1"
PLAIN, R1 = [], [{"name": "r1"}]
GP = [{"name": "gradient_penalty"}]
# Multiply-adds count twice; forward and backward passes of one update of each player, per image.
DCGAN_FLOP = 478e6

# name: (network, width, batch, image shape, penalties, ours only)
CASES = {
    "dcgan 32, batch 32": ("dcgan", 32, 32, (28, 28, 1), PLAIN, False),
    "dcgan 64, batch 128": ("dcgan", 64, 128, (28, 28, 1), PLAIN, False),
    "dcgan 32, batch 32, r1": ("dcgan", 32, 32, (28, 28, 1), R1, False),
    "dcgan 32, batch 32, gradient_penalty": ("dcgan", 32, 32, (28, 28, 1), GP, False),
    "mlp, batch 32": ("mlp", None, 32, (28, 28, 1), PLAIN, True),
    "resnet 32, batch 32": ("resnet", 32, 32, (32, 32, 3), PLAIN, False),
    "resnet 32, batch 32, r1": ("resnet", 32, 32, (32, 32, 3), R1, False),
    "r3gan 32, batch 32, r1, r2": ("r3gan", 32, 32, (32, 32, 3), [*R1, {"name": "r2"}], False),
    # What a doubled size costs.
    "dcgan 32, batch 64": ("dcgan", 32, 64, (28, 28, 1), PLAIN, True),
    "dcgan 64, batch 32": ("dcgan", 64, 32, (28, 28, 1), PLAIN, True),
    "dcgan 32, batch 32, 56×56": ("dcgan", 32, 32, (56, 56, 1), PLAIN, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.7, help="of a turn")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--also", help="a command that starts Python on another lane")
    parser.add_argument("--torch", default=os.path.expanduser("~/.cache/tfx-gan/torch"))
    parser.add_argument("--out", help="JSON file; default: none")
    parser.add_argument("--compare", help="JSON file of an earlier run")
    arguments = parser.parse_args()
    results = measure(arguments)
    show(results)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n")
    if arguments.compare:
        compare(results, json.loads(Path(arguments.compare).read_text()))


def measure(arguments: argparse.Namespace) -> dict:
    """The rounds: {"machine", "peak": GFLOP/s of a matrix product by precision, "ms": by row}."""
    script = "benchmarks/speed_tensorflow.py"
    starts = [[sys.executable], *([shlex.split(arguments.also)] if arguments.also else [])]
    lanes = [Worker([*start, script]) for start in starts]
    torch = Worker([_torch(arguments.torch), "benchmarks/speed_torch.py"])
    workers = [(each, worker) for worker in (*lanes, torch) for each in PRECISIONS]
    names = [worker.ask({"version": True, "precision": each}) for each, worker in workers]
    peak = {precision: torch.ask({"peak": precision}) for precision in PRECISIONS}
    rows: dict[str, list[float]] = {}
    for case, (network, width, batch, shape, penalties, ours_only) in CASES.items():
        if arguments.only not in case:
            continue
        turns = []
        for name, (precision, worker) in zip(names, workers, strict=True):
            loops = ["ours"] if worker is not torch else [] if ours_only else ["eager"]
            if worker is lanes[0] and precision == "float32" and case == "dcgan 32, batch 32":
                loops.append("tutorial")
            for loop in loops:
                subject = {
                    "loop": loop,
                    "network": network,
                    "width": width,
                    "batch": batch,
                    "shape": shape,
                    "penalties": penalties,
                    "precision": precision,
                    "seconds": arguments.seconds,
                }
                turns.append((f"{case} | {name} {loop} | {precision}", worker, subject))
        for _ in range(arguments.rounds + 1):
            for row, worker, subject in turns:
                rows.setdefault(row, []).append(worker.ask(subject))
        for precision, worker in workers:
            worker.ask({"forget": True, "precision": precision})
    for worker in (*lanes, torch):
        worker.end()
    # The first round builds, traces and warms up.
    spread = {row: [float(v) for v in np.quantile(ms[1:], [0.5, 0, 1])] for row, ms in rows.items()}
    return {"machine": machine(), "peak": peak, "ms": spread}


def show(results: dict) -> None:
    console = Console(width=120)
    console.print(results["machine"])
    for name, value in results["peak"].items():
        console.print(f"matrix product, {name}: {value:.0f} GFLOP/s (PyTorch)")
    table = Table(
        "case", "loop", "precision", "ms/step", "lowest-highest", "images/s", "of the peak"
    )
    for row, (median, low, high) in results["ms"].items():
        case, loop, precision = row.split(" | ")
        network, width, batch, shape, penalties, _ = CASES[case]
        share = ""
        if network == "dcgan" and shape == (28, 28, 1) and not penalties:
            flop = DCGAN_FLOP * (width / 64) ** 2 * batch
            share = f"{flop / median / 1e6 / results['peak'][precision]:.0%}"
        spread = f"{low:.1f}-{high:.1f}"
        table.add_row(
            case, loop, precision, f"{median:.1f}", spread, f"{1e3 * batch / median:.0f}", share
        )
    console.print(table)
    for case in CASES:
        best = {
            kind: min(
                (ms[0] for row, ms in results["ms"].items() if row.startswith(f"{case} | {kind}")),
                default=None,
            )
            for kind in ("TensorFlow", "PyTorch")
        }
        if all(best.values()):
            console.print(
                f"{case}: {best['PyTorch'] / best['TensorFlow']:.2f} times PyTorch's speed"
            )


def compare(now: dict, before: dict) -> None:
    """Prints how much slower or faster each row has become."""
    print(f"before: {before['machine']}")
    for row, (median, low, high) in now["ms"].items():
        if row in before["ms"]:
            was = before["ms"][row][0]
            change = f"{was:.1f} -> {median:.1f} ms ({median / was - 1:+.0%}; {low:.1f}-{high:.1f})"
            print(f"{row}: {change}")


def _torch(folder: str) -> str:
    """Python in an environment with PyTorch alone, made the first time."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, ".ready")):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", TORCH, "numpy"], check=True)
        Path(folder, ".ready").touch()
    return python


def machine() -> str:
    """The processor, its cores and bfloat16 instructions, and the system."""
    found = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    extensions = [flag for flag in found["flags"].split() if "bf16" in flag]
    name = f"{found['model name']}, {os.cpu_count()} cores, {' '.join(extensions)}"
    return f"{name}, {platform.system()}"


if __name__ == "__main__":
    main()
