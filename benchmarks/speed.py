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
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent

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
    "resnet 32, batch 32": ("resnet", 32, 32, (32, 32, 3), PLAIN, True),
    "r3gan 32, batch 32, r1, r2": ("r3gan", 32, 32, (32, 32, 3), [*R1, {"name": "r2"}], True),
    # What a doubled size costs.
    "dcgan 32, batch 64": ("dcgan", 32, 64, (28, 28, 1), PLAIN, True),
    "dcgan 64, batch 32": ("dcgan", 64, 32, (28, 28, 1), PLAIN, True),
    "dcgan 32, batch 32, 56×56": ("dcgan", 32, 32, (56, 56, 1), PLAIN, True),
}
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.7, help="of a turn")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--also", help="a command that starts Python on another lane")
    parser.add_argument("--torch", default=os.path.expanduser("~/.cache/tfx-gan/torch"))
    parser.add_argument("--out", help="JSON file; default: none")
    parser.add_argument("--compare", help="JSON file of an earlier run")
    parser.add_argument("--worker", choices=(*PRECISIONS, "both"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        if arguments.worker == "both":
            route()
            return
        if arguments.worker == "bfloat16":
            # As networks in bfloat16 and `tfx-gan run` do, before TensorFlow computes anything.
            from components.common import hardware

            hardware.share_cores()
        serve(_tensorflow_subject)
        return
    results = measure(arguments)
    show(results)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n")
    if arguments.compare:
        compare(results, json.loads(Path(arguments.compare).read_text()))


def measure(arguments: argparse.Namespace) -> dict:
    """The rounds: {"machine", "peak": GFLOP/s of a matrix product by precision, "ms": by row}."""
    script = str(FOLDER / "speed.py")
    lanes = [Worker([sys.executable, script, "--worker", "both"])]
    if arguments.also:
        command = [*shlex.split(arguments.also), "benchmarks/speed.py", "--worker", "both"]
        lanes.append(Worker(command))
    torch = Worker([_torch(arguments.torch), str(FOLDER / "speed_torch.py")])
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
    return {"machine": _machine(), "peak": peak, "ms": spread}


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


class Worker:
    """A process that answers one line of JSON with another."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(FOLDER.parent)}
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
            cwd=FOLDER.parent,
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


Loop = Callable[[int], float]


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


def route() -> None:
    """A lane's side: each precision has a process, as cores are shared for a whole process."""
    script = str(FOLDER / "speed.py")
    workers = {each: Worker([sys.executable, script, "--worker", each]) for each in PRECISIONS}
    for line in sys.stdin:
        question = json.loads(line)
        print(f"={json.dumps(workers[question['precision']].ask(question))}", flush=True)
    for worker in workers.values():
        worker.end()


def timed(step: Callable[[], Any]) -> Loop:
    """The loop that calls `step`."""

    def loop(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - started) / steps

    return loop


def _tensorflow_subject(question: dict) -> str | Loop:
    import tensorflow as tf

    if "version" in question:
        return f"TensorFlow {'.'.join(tf.__version__.split('.')[:2])}"
    width, batch, shape = question["width"], question["batch"], tuple(question["shape"])
    data = np.random.default_rng(0).integers(0, 256, (4096, *shape), dtype=np.uint8)
    if question["loop"] == "tutorial":
        return _tutorial(data, width, batch)
    from components.trainer import GANTrainer, networks
    from components.trainer.callbacks.callback import Callback

    class Clock(Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def step_end(self, trainer: GANTrainer, step: Any) -> None:  # noqa: ANN401
            self.ends.append(time.perf_counter())

    precision = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[question["precision"]]
    options, network, clock = {"width": width, "dtype": precision}, question["network"], Clock()
    trainer = GANTrainer(
        networks.resolve(network, networks.GENERATORS)(100, shape, **options),
        networks.resolve(network, networks.DISCRIMINATORS)(shape, seed=1, **options),
        data,
        batch_size=batch,
        penalties=question["penalties"],
        loss="relativistic_pairing" if network == "r3gan" else "non_saturating",
        quality={"every_images": None},
        callbacks=[clock],
    )

    def loop(steps: int) -> float:
        clock.ends.clear()
        # The first step's end is the start: what `train` sets up is not a step.
        trainer.train(trainer.images_seen + (steps + 1) * batch)
        return (clock.ends[-1] - clock.ends[0]) / steps

    return loop


def _tutorial(data: np.ndarray, width: int, batch: int) -> Loop:
    """The DCGAN loop of TensorFlow's tutorial: Keras's layers and optimizers, two tapes."""
    import keras
    import tensorflow as tf

    layers = keras.layers

    def upscale(filters: int, strides: int, **options: Any) -> keras.layers.Layer:  # noqa: ANN401
        return layers.Conv2DTranspose(
            filters, 5, strides=strides, padding="same", use_bias=False, **options
        )

    generator = keras.Sequential(
        [
            layers.Dense(49 * 4 * width, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 4 * width)),
            upscale(2 * width, 1),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            upscale(width, 2),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            upscale(1, 2, activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            layers.Conv2D(width, 5, strides=2, padding="same"),
            layers.LeakyReLU(),
            layers.Conv2D(2 * width, 5, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    optimizers = [keras.optimizers.Adam(2e-4, 0.5) for _ in range(2)]
    dataset = tf.data.Dataset.from_tensor_slices((data / 127.5 - 1).astype(np.float32))
    batches = iter(dataset.shuffle(len(data)).repeat().batch(batch).prefetch(2))
    generator(tf.zeros([2, 100])), discriminator(tf.zeros([2, 28, 28, 1]))
    for optimizer, network in zip(optimizers, (generator, discriminator), strict=True):
        optimizer.build(network.trainable_variables)

    @tf.function
    def step(real: tf.Tensor) -> None:
        latents = tf.random.normal([batch, 100])
        with tf.GradientTape() as first, tf.GradientTape() as second:
            fake = generator(latents, training=True)
            of_real, of_fake = (
                discriminator(real, training=True),
                discriminator(fake, training=True),
            )
            generator_loss = tf.reduce_mean(tf.nn.softplus(-of_fake))
            discriminator_loss = tf.reduce_mean(tf.nn.softplus(-of_real) + tf.nn.softplus(of_fake))
        for optimizer, network, tape, loss in zip(
            optimizers,
            (generator, discriminator),
            (first, second),
            (generator_loss, discriminator_loss),
            strict=True,
        ):
            variables = network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    return timed(lambda: step(next(batches)))


def _torch(folder: str) -> str:
    """Python in an environment with PyTorch alone, made the first time."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, ".ready")):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", TORCH, "numpy", "rich"], check=True)
        Path(folder, ".ready").touch()
    return python


def _machine() -> str:
    found = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    extensions = [flag for flag in found["flags"].split() if "bf16" in flag]
    name = f"{found['model name']}, {os.cpu_count()} cores, {' '.join(extensions)}"
    return f"{name}, {platform.system()}"


if __name__ == "__main__":
    main()
