"""What a search makes of deliberately poor settings, on the digits.

    make bench-tuning [ARGS="--trials 24 --jobs 2"]

`tfx-gan tune` starts from the digits' recipe with learning rates 50 times too low and 10 times too
high, a large batch and no averaging. The start, the best and the shipped recipe are then trained
with three seeds that the search has not used, and scored by `tfx-gan evaluate` with 1000 samples
against the eval split, on the features of a classifier that the search has not used either.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from speed import machine

from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.feature_extractor import FeatureExtractorConfig, make
from components.features import Extractor
from components.trainer import GANTrainer
from components.trainer.callbacks.quality import ExtractWith
from pipeline import config, standalone

_RECIPE = "data/digits/recipe.yaml"
_POOR = (
    "trainer.generator_optimizer.learning_rate=2.0e-5",
    "trainer.discriminator_optimizer.learning_rate=1.0e-2",
    "trainer.batch_size=256",
    "trainer.ema_half_life_images=0",
)
_SEEDS = (1001, 1002, 1003)
_SAMPLES = 1000


@click.command()
@click.option("--trials", default=24, show_default=True)
@click.option("--jobs", default=2, show_default=True)
@click.option("--images", default=60_000, show_default=True, help="Of a trial.")
def main(trials: int, jobs: int, images: int) -> None:
    """Searches, trains with fresh seeds, and prints one table."""
    with tempfile.TemporaryDirectory() as folder:
        best = str(Path(folder) / "best.yaml")
        command = ["tune", _RECIPE, "--root", folder, "--out", best]
        command += ["--trials", str(trials), "--jobs", str(jobs)]
        for override in (*_POOR, f"tuner.images={images}"):
            command += ["--set", override]
        started = time.monotonic()
        subprocess.run([sys.executable, "-W", "ignore", "-m", "pipeline.cli", *command], check=True)
        click.echo(f"\n{machine()}: the search took {time.monotonic() - started:.0f} s\n")
        recipes = {
            "start": config.load(_RECIPE, _POOR),
            "best": config.load(best),
            "shipped": config.load(_RECIPE),
        }
        _compare(recipes, Path(folder))


def _compare(recipes: dict[str, config.Recipe], folder: Path) -> None:
    shipped = recipes["shipped"]
    data = shipped.data.dataset()
    splits = {name: data.read(name) for name in (TRAIN_SPLIT, EVAL_SPLIT)}
    judge = folder / "judge"
    judge.mkdir()
    make(str(judge), splits, FeatureExtractorConfig(seed=1234), "digits")
    extract = ExtractWith(Extractor(str(judge)))
    click.echo("| recipe | FID of each seed | mean | recall |\n|---|---|---|---|")
    for name, recipe in recipes.items():
        found = []
        for seed in _SEEDS:
            options = recipe.trainer.with_values({"seed": seed}).settled()
            trainer = GANTrainer.from_config(options, splits[TRAIN_SPLIT].data, extract=extract)
            trainer.train(options.images)
            model = str(folder / f"{name}-{seed}")
            trainer.export(model)
            evaluation = standalone.evaluate(
                model,
                str(Path(_RECIPE).parent),
                extractor=str(judge),
                count=_SAMPLES,
                out=f"{model}-evaluation",
            )
            found.append(evaluation.scores["model"])
        fids = [scores["fid"].value for scores in found]
        recall = np.mean([scores["recall"].value for scores in found])
        each = ", ".join(f"{value:.1f}" for value in fids)
        click.echo(f"| {name} | {each} | {np.mean(fids):.1f} | {recall:.2f} |")


if __name__ == "__main__":
    main()
