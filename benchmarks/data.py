"""Speed and memory of reading data, and of training on more data than fit into memory.

    python benchmarks/data.py [--data NAME …] [--source DIR] [--quick] [--out table.md]

FindData, ExampleGen and StatisticsGen read Fashion-MNIST, photographs, 100 000 small PNG files and
a CSV file of a million rows, all and a tenth of them, each in a separate process after a warm-up on
a few records. Memory is the peak beyond that after the warm-up. Training reads its input from
memory, from a memory-mapped file as the trainer does, and, if cgroups can be created (by root),
from a file of four times the available memory; medians of three. Linux only.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import data_subjects as subjects
import numpy as np

_BATCH = 64
_BATCHES = 2000
# Steps per training; not for other data.
_STEPS = {subjects.CLOTHES: 300, subjects.PHOTOGRAPHS: 100}
_FEW_STEPS = 5
_ROUNDS = 3
# Memory limit of a process in its cgroup, including page cache.
_LIMIT = 2**29
_TIMES_THE_LIMIT = 4
_DROP = Path("/proc/sys/vm/drop_caches")
# cgroups v1 and v2.
_CGROUPS = {"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", nargs="+", choices=list(subjects.READING), default=list(subjects.READING)
    )
    parser.add_argument("--source", help="folder of the full Fashion-MNIST's IDX files")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--out", help="file for the tables")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, name, folder = options.child
        print(json.dumps({"stages": stages, "training": training}[kind](name, Path(folder))))
        return
    scale = 10 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in options.data:
            subjects.write(name, base / name, options.source, scale)
        trained = [name for name in options.data if name in _STEPS]
        found = [
            [row for name in names for row in _in_child(kind, name, base)]
            for kind, names in (("stages", options.data), ("training", trained))
        ]
    table = "\n\n".join(_table(rows) for rows in found if rows) + "\n"
    print(table)
    if options.out:
        Path(options.out).write_text(table, encoding="utf-8")


def _in_child(kind: str, name: str, base: Path) -> list[dict]:
    command = [sys.executable, __file__, "--child", kind, name, str(base / name)]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        cwd=subjects.ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(subjects.ROOT)},
    )
    return json.loads(done.stdout.splitlines()[-1])


def _table(rows: list[dict]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def stages(name: str, folder: Path) -> list[dict]:
    """Runs FindData, ExampleGen and StatisticsGen on a tenth and all of the data.

    The examples of all of them stay in the folder.
    """
    from tfx.types import standard_artifacts

    from components.example_gen import component as stage
    from components.example_gen.config import DataConfig
    from pipeline.config import LOCAL_BEAM
    from pipeline.pipeline import beam_arguments, data_stages

    def run(part: str) -> list[dict]:
        config = DataConfig(path=str(folder / part), on_leak="keep", **subjects.READING[name])
        examples = standard_artifacts.Examples()
        examples.uri = str(folder / "examples")
        statistics = standard_artifacts.ExampleStatistics()
        statistics.uri = str(folder / "statistics")
        _, example_gen, statistics_gen = data_stages(config)
        found = {}
        seconds, megabytes = _measured(lambda: found.update(stage.find(config)))
        rows = [("FindData", seconds, megabytes)]
        for component, inputs, outputs in (
            (example_gen, {}, {"examples": [examples]}),
            (statistics_gen, {"examples": [examples]}, {"statistics": [statistics]}),
        ):
            shutil.rmtree(*(made[0].uri for made in outputs.values()), ignore_errors=True)
            executor = component.executor_spec.executor_class
            context = executor.Context(
                beam_pipeline_args=beam_arguments(LOCAL_BEAM),
                tmp_dir=str(folder / "tmp"),
                unique_id="1",
            )
            properties = {**component.exec_properties, **found}
            seconds, megabytes = _measured(
                lambda: executor(context).Do(inputs, outputs, properties)  # noqa: B023
            )
            rows.append((component.type.split(".")[-1], seconds, megabytes))
        count = examples.get_int_custom_property("examples")
        return [
            {
                "stage": label,
                "data": name,
                "records": f"{count:,}",
                "seconds": f"{seconds:.1f}",
                "records/s": f"{count / seconds:,.0f}",
                "peak MB": f"{megabytes:.0f}",
            }
            for label, seconds, megabytes in rows
        ]

    run(subjects.FEW)
    measured = zip(run(subjects.TENTH), run(subjects.ALL), strict=True)
    return [row for both in measured for row in both]


def training(name: str, folder: Path) -> list[dict]:
    """Reads training input, and trains the default recipe, from each kind of storage."""
    from components.data import examples
    from components.trainer import GANTrainer
    from components.trainer.data import sources
    from components.trainer.data.batches import step_batches
    from pipeline import config

    files = sorted(str(path) for path in (folder / "examples/Split-train").iterdir())
    decoded = []
    seconds, megabytes = _measured(
        lambda: decoded.append(examples.read_images(files, subjects.READING[name]["image_shape"]))
    )
    images = decoded.pop().data
    print(
        f"{name}: {len(images):,} images decoded in {seconds:.1f} s, {megabytes:.0f} MB at the "
        f"peak, of which {images.nbytes / 2**20:.0f} MB are the mapped file",
        file=sys.stderr,
    )
    stored = folder / "decoded"
    repeats = -(-_TIMES_THE_LIMIT * _LIMIT // images.nbytes)
    with stored.open("wb") as file:
        for _ in range(repeats):
            file.write(images.data)
    in_memory = np.array(images)
    del images

    def mapped(times: int) -> np.ndarray:
        count, *shape = in_memory.shape
        return np.memmap(stored, np.uint8, "r", shape=(count * times, *shape))

    stores: dict[str, Callable[[], contextlib.AbstractContextManager[np.ndarray]]] = {
        "memory": lambda: contextlib.nullcontext(in_memory),
        "file": lambda: contextlib.nullcontext(mapped(1)),
    }
    for root, limit in _CGROUPS.items():
        if os.access(f"{root}/cgroup.procs", os.W_OK):
            group = _limited(Path(root), limit, lambda: mapped(repeats))
            stores[f"file of {_TIMES_THE_LIMIT} times the memory"] = group
            break
    recipe = config.load(
        str(subjects.SAMPLE / "recipe.yaml"),
        [
            "trainer.quality.every_images=null",
            "trainer.images=1000000000",
            "trainer.grid_every_images=1000000000",
        ],
    ).trainer
    trainer = GANTrainer.from_config(recipe, in_memory)

    def trained(steps: int) -> tuple[float, float]:
        """Seconds, and the share of them spent waiting for input."""
        started = time.monotonic()
        line = trainer.train(trainer.images_seen + steps * recipe.batch_size)
        return time.monotonic() - started, line["input_wait"]

    # Excludes tracing, and the sample grid at the end of each training, from the measurement.
    trained(_FEW_STEPS)
    overhead, _ = trained(_FEW_STEPS)
    found: dict[str, list[tuple[float, ...]]] = {store: [] for store in stores}
    # Interleaved, so that other load on the machine affects all of them.
    for store, opened in list(stores.items()) * _ROUNDS:
        with opened() as content:
            trainer.source = sources.open_source(content)
            batches = step_batches(
                trainer.source,
                batch_size=_BATCH,
                discriminator_steps=1,
                latent_dim=recipe.latent_dim,
                seed=0,
            ).as_numpy_iterator()
            started = time.monotonic()
            for _ in range(_BATCHES):
                next(batches)
            alone = _BATCHES * _BATCH / (time.monotonic() - started)
            del batches
            seconds, waiting = trained(_STEPS[name])
        rate = (_STEPS[name] - _FEW_STEPS) * recipe.batch_size / (seconds - overhead)
        found[store].append((alone, rate, waiting))
    rows = []
    for store, measured in found.items():
        alone, rate, waiting = np.median(measured, axis=0)
        rates = [rate for _, rate, _ in measured]
        rows.append(
            {
                "images": name.split()[0],
                "input from": store,
                "input alone, images/s": f"{alone:,.0f}",
                "training, images/s": f"{rate:,.0f} ({min(rates):,.0f}–{max(rates):,.0f})",
                "waiting for input": f"{waiting:.2%}",
            }
        )
    return rows


def _limited(root: Path, limit: str, opened: Callable[[], np.ndarray]) -> Callable:
    """Opens data in a cgroup whose memory is limited to `_LIMIT` bytes."""
    group, process = root / f"tfx-gan-{os.getpid()}", str(os.getpid())

    @contextlib.contextmanager
    def entered() -> Iterator[np.ndarray]:
        group.mkdir()
        try:
            (group / limit).write_text(str(_LIMIT))
            # Cached pages are charged to whoever read them first, so drop them.
            os.sync()
            _DROP.write_text("3")
            (group / "cgroup.procs").write_text(process)
            yield opened()
        finally:
            (root / "cgroup.procs").write_text(process)
            group.rmdir()

    return entered


def _measured(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and peak megabytes beyond those before."""

    def megabytes(key: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

    # Resets the peak to the present value.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, started = megabytes("VmRSS"), time.monotonic()
    run()
    return time.monotonic() - started, megabytes("VmHWM") - before


if __name__ == "__main__":
    main()
