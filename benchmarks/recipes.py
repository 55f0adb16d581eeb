"""A table of all recipes, with the same data, images seen, seed and metric.

    python benchmarks/recipes.py [--images 20_000] [--seed 0] [--out docs/results.md]

Each recipe in data/fashion_mnist trains on the full Fashion-MNIST. As in a pipeline, the generator
that measures best during training is selected; it is scored with 10 000 samples against the 10 000
test images, on the features of a classifier trained for this table only.
"""

import os
import time
from pathlib import Path

import click
import fashion_mnist
import tensorflow as tf

from components.trainer import GANTrainer
from pipeline import config

_FOLDER = Path("data/fashion_mnist")
_SAMPLES = 10_000


@click.command()
@click.option("--images", default=20_000, show_default=True, help="Seen by each generator.")
@click.option("--seed", default=0, show_default=True, help="Of each training.")
@click.option("--source", help="Folder with the four IDX files; default: the Debian package.")
@click.option("--only", multiple=True, help="Name of a recipe; may be repeated. Default: all.")
@click.option("--out", type=click.Path(dir_okay=False), help="Markdown file to write.")
def main(
    images: int, seed: int, source: str | None, only: tuple[str, ...], out: str | None
) -> None:
    """Trains each recipe, prints the table."""
    data = fashion_mnist.load(source)
    yardstick = fashion_mnist.Yardstick(data)
    lines = [
        "# Results",
        "",
        "Each recipe of `data/fashion_mnist` on the full Fashion-MNIST, measured on one machine by",
        "",
        "```",
        f"python benchmarks/recipes.py --images {images} --seed {seed} --out {out}",
        "```",
        "",
        f"{images:,} images seen by each generator, seed {seed}: a short training, meant for "
        "comparison; it does not show what a recipe can reach. 10 000 samples of the generator "
        "that scored best during training (on pixels) against the 10 000 test images, on the "
        "features of a classifier trained only for this table "
        f"({yardstick.accuracy:.1%} accuracy on the test images); precision and recall on 5000. "
        "images/s include compiling and measuring; "
        f"{os.cpu_count()} cores, TensorFlow {tf.__version__}.",
        "",
        "| recipe | FID | KID | precision | recall | best at | images/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in [_FOLDER / "recipe.yaml", *sorted((_FOLDER / "recipes").glob("*.yaml"))]:
        name = "default" if path.stem == "recipe" else path.stem
        if only and name not in only:
            continue
        overrides = [f"trainer.images={images}", f"trainer.seed={seed}"]
        recipe = config.load(str(path), overrides).trainer
        trainer = GANTrainer.from_config(recipe, (data.train.data, data.train.labels))
        started = time.monotonic()
        trainer.train(images)
        rate = images / (time.monotonic() - started)
        scores = yardstick.score(trainer.sample(_SAMPLES, seed))
        lines.append(
            f"| `{name}` | {scores['fid']:.1f} | {scores['kid']:.1f} "
            f"| {scores['precision']:.2f} | {scores['recall']:.2f} "
            f"| {int(trainer.selection.images):,} | {rate:.0f} |"
        )
        click.echo(lines[-1])
    table = "\n".join(lines) + "\n"
    click.echo(f"\n{table}")
    if out:
        Path(out).write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
