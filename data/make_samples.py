"""Makes the committed samples of real data, and gets the full Fashion-MNIST.

fashion_mnist: a class-balanced sample of Fashion-MNIST (https://github.com/zalandoresearch/
fashion-mnist, MIT), 500 training and 100 evaluation images a class out of the 6000 and 1000 of the
original's own splits. It was made from the four files of the Debian package:

    apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb /tmp/fashion
    python data/make_samples.py --source /tmp/fashion/usr/share/datasets/fashion-mnist

digits: all 1797 digits of scikit-learn's `load_digits` (CC BY 4.0), values 0 to 16 scaled to 0 to
255, 300 of them held out, every class in its proportion.

weather: all days of Seattle and New York from 2012 to 2015 of `weather.csv` in the package
vega-datasets 3.2.1 (from NOAA, a work of the US government), with the day of the year:

    npm pack vega-datasets@3.2.1 && tar -xzf vega-datasets-3.2.1.tgz package/data/weather.csv
    python data/make_samples.py --source … --weather package/data/weather.csv

The full Fashion-MNIST, 60000 and 10000 images, from such a folder or, on a connected machine and
without --source, from `keras.datasets`:

    python data/make_samples.py --full DIR [--source …]
    tfx-gan run data/fashion_mnist/recipe.yaml --set data.path=DIR
"""

import csv
import datetime
from pathlib import Path

import click
import numpy as np

from components.example_gen.formats.idx import read_idx, write_idx

_DATA = Path(__file__).parent
_SEED = 20170825
_FASHION_PER_CLASS = {"train": 500, "t10k": 100}
_DIGITS_HELD_OUT = 300

# Images uint8 [n, height, width] and labels uint8 [n].
Split = tuple[np.ndarray, np.ndarray]


@click.command(help="Makes the committed samples, or the full Fashion-MNIST.")
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the four Fashion-MNIST files; keras.datasets if left out.",
)
@click.option(
    "--weather",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="weather.csv of vega-datasets; the weather stays as it is if left out.",
)
@click.option(
    "--full",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write the full Fashion-MNIST to; the samples if left out.",
)
def main(source: Path | None, weather: Path | None, full: Path | None) -> None:
    """Reads, chooses, writes."""
    fashion = _fashion_mnist(source)
    if full is not None:
        _write(full, fashion)
        return
    generator = np.random.default_rng(_SEED)
    sample = {
        name: _balanced(fashion[name], count, generator)
        for name, count in _FASHION_PER_CLASS.items()
    }
    _write(_DATA / "fashion_mnist", sample)
    _write(_DATA / "digits", _digits())
    if weather is not None:
        _write_weather(weather, _DATA / "weather" / "weather.csv")


def _fashion_mnist(source: Path | None) -> dict[str, Split]:
    if source is None:
        import keras

        train, test = keras.datasets.fashion_mnist.load_data()
        return {"train": train, "t10k": test}
    return {
        name: (
            read_idx(str(source / f"{name}-images-idx3-ubyte.gz")),
            read_idx(str(source / f"{name}-labels-idx1-ubyte.gz")),
        )
        for name in _FASHION_PER_CLASS
    }


def _balanced(split: Split, per_class: int, generator: np.random.Generator) -> Split:
    """`per_class` random images of every class, in random order."""
    images, labels = split
    chosen = np.concatenate(
        [
            generator.choice(np.flatnonzero(labels == label), per_class, replace=False)
            for label in np.unique(labels)
        ]
    )
    chosen = generator.permutation(chosen)
    return images[chosen], labels[chosen]


def _digits() -> dict[str, Split]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, labels = load_digits(return_X_y=True)
    images = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    train, test, train_labels, test_labels = train_test_split(
        images,
        labels.astype(np.uint8),
        test_size=_DIGITS_HELD_OUT,
        random_state=_SEED,
        stratify=labels,
    )
    return {"train": (train, train_labels), "t10k": (test, test_labels)}


def _write_weather(source: Path, target: Path) -> None:
    """The table with the day of the year, 1 to 366, after the date."""
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [*rows[0]]
    columns.insert(columns.index("date") + 1, "day")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            day = datetime.date.fromisoformat(row["date"]).timetuple().tm_yday
            writer.writerow({**row, "day": day})
    click.echo(f"{target}: {len(rows)} days")


def _write(folder: Path, splits: dict[str, Split]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in splits.items():
        write_idx(str(folder / f"{name}-images-idx3-ubyte.gz"), images)
        write_idx(str(folder / f"{name}-labels-idx1-ubyte.gz"), labels)
        click.echo(f"{folder}: {name}, {len(images)} images")


if __name__ == "__main__":
    main()
