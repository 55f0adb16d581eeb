"""A table of what the recipes for Fashion-MNIST reach in some minutes of two cores.

    python benchmarks/recipes.py [--minutes 5] [--seeds 1] [--only default] [--keep runs/recipes]

Each recipe of data/fashion_mnist trains on the full Fashion-MNIST for as many images as it sees in
that time, measured in processor seconds before, so that a busy machine changes nothing. As in a
pipeline, the generator that measures best during training, on the features of a classifier, is
exported; `tfx-gan evaluate` scores 10 000 samples of it against the 10 000 test images on the
features of another classifier. Trainings lie in the folder --keep: killed, the same command goes on
where it was. A row that is done is kept in benchmarks/recipes.jsonl, which is committed, and is not
measured again unless its line is deleted; docs/results.md is written from all rows there.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import fashion_mnist
import numpy as np
import tensorflow as tf
from speed import machine

from components import features
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.feature_extractor import FeatureExtractorConfig, make
from components.features import Extractor
from components.trainer import GANTrainer
from components.trainer.callbacks.quality import ExtractWith
from pipeline import config, standalone

_FOLDER = Path("data/fashion_mnist")
_ROWS = Path("benchmarks/recipes.jsonl")
_OUT = Path("docs/results.md")
_PICTURES = Path("docs/images/results")
_SAMPLES = 10_000
# Steps after which a rate is measured, and processor seconds for that.
_WARM_UP, _MEASURED = 50, 20.0
_NEVER = 10**9
_SCORES = ("fid", "kid", "precision", "recall", "coverage")
_HEAD = (
    """# Results

What each recipe of `data/fashion_mnist` reaches on the full Fashion-MNIST, measured by

```
python benchmarks/recipes.py --minutes 5 --seeds 3 --only default
python benchmarks/recipes.py --minutes 5
```

"""
    "The length of training is what {cores} cores do in the time, by processor seconds, whatever "
    "else ran on them; images are those that the generator's updates saw in it, and images/s are "
    "of both cores. The generator that measured best on the way is scored with "
    "10 000 samples against the 10 000 test images, on the features of a classifier "
    "trained for this table only, on which halves of the test images have an FID of {floor:.1f}; "
    "in brackets 95 % intervals. These FIDs are comparable with each other, not with Inception's. "
    "{machine}; TensorFlow {tensorflow}.\n"
)


@click.command()
@click.option("--minutes", default=5.0, show_default=True, help="Of training, of each.")
@click.option("--seeds", default=1, show_default=True, help="Trainings of each, seeds 0, 1, …")
@click.option("--source", help="Folder with the four IDX files; default: the Debian package.")
@click.option("--only", multiple=True, help="Name of a recipe; may be repeated. Default: all.")
@click.option("--keep", default="runs/recipes", show_default=True, type=click.Path(path_type=Path))
def main(minutes: float, seeds: int, source: str | None, only: Sequence[str], keep: Path) -> None:
    """Trains and scores each recipe, and writes docs/results.md."""
    data = fashion_mnist.load(source)
    keep.mkdir(parents=True, exist_ok=True)
    real = _test_split(data, keep / "real")
    judge, guide = (_extractor(data, keep / f"extractor-{seed}", seed) for seed in (1234, 0))
    recipes = {"default": _FOLDER / "recipe.yaml"}
    recipes |= {path.stem: path for path in sorted((_FOLDER / "recipes").glob("*.yaml"))}
    for name in only:
        if name not in recipes:
            raise click.BadParameter(f"--only {name}: there are {', '.join(recipes)}")
    for seed in range(seeds):
        for name in only or recipes:
            key = (name, minutes, seed)
            if key not in _rows():
                row = keep / f"{name}-{minutes:g}-{seed}"
                found = _measure(name, recipes[name], minutes, seed, data, real, judge, guide, row)
                _add(found, row / "evaluation" / "samples.png")
            click.echo(_line(_rows()[key]))
    _write(list(recipes))


def _test_split(data: fashion_mnist.Data, folder: Path) -> Path:
    """The test split in a file of its own: nothing is scored beside the train split."""
    if not folder.exists():
        folder.mkdir()
        np.savez(folder / "eval.npz", images=data.test.data, labels=data.test.labels)
    return folder


def _extractor(data: fashion_mnist.Data, folder: Path, seed: int) -> Path:
    if not (folder / features.DESCRIPTION_FILE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        splits = {TRAIN_SPLIT: data.train, EVAL_SPLIT: data.test}
        make(str(folder), splits, FeatureExtractorConfig(seed=seed), "fashion_mnist")
    return folder


def _measure(
    name: str,
    recipe: Path,
    minutes: float,
    seed: int,
    data: fashion_mnist.Data,
    real: Path,
    judge: Path,
    guide: Path,
    row: Path,
) -> dict[str, Any]:
    """Trains and scores one recipe; everything is in the folder `row`."""
    row.mkdir(exist_ok=True)
    train = (data.train.data, data.train.labels)

    def trainer(images: int, *more: str) -> GANTrainer:
        overrides = [f"trainer.images={images}", f"trainer.seed={seed}", *more]
        options = config.load(str(recipe), overrides).trainer
        return GANTrainer.from_config(options, train, extract=ExtractWith(Extractor(str(guide))))

    length = row / "length.json"
    if not length.exists():
        # Schedules need the length before the training begins.
        measured = trainer(_NEVER, "trainer.quality.every_images=null")
        size = measured.options.batch_size
        measured.train(size * _WARM_UP)
        started = time.process_time()
        while (spent := time.process_time() - started) < _MEASURED:
            measured.train(measured.images_seen + size * 10)
        rate = (measured.images_seen - size * _WARM_UP) / spent
        images = int(rate * 60 * minutes * os.cpu_count())
        length.write_text(json.dumps({"images": images}))
    images = json.loads(length.read_text())["images"]
    trained = trainer(images)
    trained.train(images, str(row / "training"))
    shutil.rmtree(row / "model", ignore_errors=True)
    trained.export(str(row / "model"))
    shutil.rmtree(row / "evaluation", ignore_errors=True)
    evaluation = standalone.evaluate(
        str(row / "model"),
        str(real),
        extractor=str(judge),
        count=_SAMPLES,
        out=str(row / "evaluation"),
    )
    return {
        "recipe": name,
        "minutes": minutes,
        "seed": seed,
        "images": images,
        "scores": {
            each: {
                bound: getattr(evaluation.scores["model"][each], bound)
                for bound in ("value", "low", "high")
            }
            for each in _SCORES
        },
        "floor": evaluation.scores["halves"]["fid"].value,
        "tensorflow": tf.__version__,
        "machine": machine(),
        "cores": os.cpu_count(),
    }


def _rows() -> dict[tuple[str, float, int], dict[str, Any]]:
    """What is measured, by recipe, minutes and seed."""
    lines = _ROWS.read_text().splitlines() if _ROWS.exists() else []
    rows = map(json.loads, lines)
    return {(row["recipe"], row["minutes"], row["seed"]): row for row in rows}


def _add(row: dict[str, Any], samples: Path) -> None:
    """Keeps a row, and the picture if its seed is 0; others may append at the same time."""
    if row["seed"] == 0:
        _PICTURES.mkdir(exist_ok=True)
        shutil.copyfile(samples, _PICTURES / f"{row['recipe']}-{row['minutes']:g}.png")
    with _ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")


def _line(row: dict[str, Any]) -> str:
    scores = [
        f"{score['value']:.{digits}f} ({score['low']:.{digits}f}–{score['high']:.{digits}f})"
        for score, digits in zip(
            (row["scores"][each] for each in _SCORES), (1, 1, 2, 2, 2), strict=True
        )
    ]
    rate = row["images"] / row["minutes"] / 60
    counts = f"{row['minutes']:g} | {row['seed']} | {row['images']:,} | {rate:.0f}"
    return f"| `{row['recipe']}` | {counts} | {' | '.join(scores)} |"


def _write(names: Sequence[str]) -> None:
    """The page, with the pictures of seed 0."""
    rows = [row for row in _rows().values() if row["recipe"] in names]
    rows.sort(key=lambda row: (row["minutes"], names.index(row["recipe"]), row["seed"]))
    head = ("recipe", "minutes", "seed", "images", "images/s", *_SCORES)
    lines = [
        _HEAD.format(
            cores=rows[0]["cores"],
            floor=rows[0]["floor"],
            machine=" and ".join(sorted({row["machine"] for row in rows})),
            tensorflow=" and ".join(sorted({row["tensorflow"] for row in rows})),
        ),
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *map(_line, rows),
        "",
    ]
    without = [name for name in names if name not in {row["recipe"] for row in rows}]
    if without:
        lines += [f"Not measured yet: {', '.join(f'`{name}`' for name in without)}.", ""]
    for row in (each for each in rows if each["seed"] == 0):
        words = f"`{row['recipe']}`, {row['minutes']:g} minutes"
        picture = f"images/results/{row['recipe']}-{row['minutes']:g}.png"
        lines += [f"{words}:", "", f"![Samples: {words}]({picture})", ""]
    _OUT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
