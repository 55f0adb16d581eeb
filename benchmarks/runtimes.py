"""Size and latency of a generator in every runtime that it is converted for.

    python benchmarks/runtimes.py MODEL_DIR

`serving_default` of 1 and 64 rows; the runtimes take turns, and the median, lowest and highest of
the rounds are printed.
"""

import argparse
import os
import tempfile
import time

import numpy as np

from components.common import files
from components.serving import conversion, numpy_draws
from components.serving.generator import Generator

ROUNDS, CALLS = 15, 10
ROWS = (1, 64)
SIGNATURE = "serving_default"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model_dir")
    generator = Generator.load(parser.parse_args().model_dir)
    calls = {"tensorflow": lambda inputs: generator(SIGNATURE, **inputs)}
    sizes = {"tensorflow": folder_size(generator.path)}
    apart = {"tensorflow": ""}
    with tempfile.TemporaryDirectory() as folder:
        for name in conversion.RUNTIMES.names():
            path = os.path.join(folder, name)
            try:
                apart[name] = str(conversion.export(generator, name, SIGNATURE, path))
            except ValueError as error:
                print(error)
                continue
            sizes[name] = os.path.getsize(path)
            calls[name] = conversion.RUNTIMES.get(name).load(files.read(path))
    for rows in ROWS:
        inputs = given(generator, rows)
        for name, times in timed(calls, inputs).items():
            low, middle, high = (1e3 * np.quantile(times, each) for each in (0, 0.5, 1))
            print(
                f"{name:16} {sizes[name] / 1e6:6.2f} MB {rows:3} rows {middle:7.2f} ms "
                f"({low:.2f}-{high:.2f}) {apart[name]}"
            )


def given(generator: Generator, rows: int) -> dict[str, np.ndarray]:
    seeds = np.arange(rows, dtype=np.int64)
    inputs = {"latents": numpy_draws.latents(seeds, generator.description["latent_dim"])}
    return {**inputs, "labels": generator.draw_labels(seeds)} if generator.conditional else inputs


def timed(calls: dict, inputs: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Seconds of a call, one number a round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                call(inputs)
            # The first round warms up.
            if number:
                times[name].append((time.perf_counter() - start) / CALLS)
    return times


def folder_size(folder: str) -> int:
    return sum(
        os.path.getsize(os.path.join(base, name))
        for base, _, names in os.walk(folder)
        for name in names
        if "assets.extra" not in base
    )


if __name__ == "__main__":
    main()
