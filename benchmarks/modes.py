"""How many modes the recipes of `tfx-gan new` find, unedited, in data that have known ones.

    python benchmarks/modes.py [--seeds 3] [--keep runs/modes]

- grid: 25 Gaussians, centres from -4 to 4 in steps of 2, standard deviation .05; 100 000 rows of
  CSV, 2500 samples. A sample counts, and is of high quality, within three standard deviations of a
  centre (Lin et al. 2018, PacGAN, arXiv:1712.04086, section 4.1, and the configuration of their
  code; Srivastava et al. 2017, VEEGAN, arXiv:1705.07761). Their schema is curated: see _SHIFT.
- turned grid: the same, turned by 30 degrees. The columns of a grid are independent, so that the
  ranks by which tables are learnt make it a uniform square; of this one they do not.
- stacked digits: 50 000 images of 8x8, each channel a random one of scikit-learn's 1797 digits,
  without labels: 1000 modes. In 26 000 samples a classifier of single digits names the mode (Metz
  et al. 2017, arXiv:1611.02163, and PacGAN, with MNIST and 128 000 images).

For each, `tfx-gan new` writes the recipe and `tfx-gan run` trains by it, with seeds 0, 1, …; what
is printed is of the generator that it made, also where the gate refuses it, and of as many data. KL
is the divergence of the modes' frequencies from uniform, in nats. Runs lie in --keep: killed, the
same command goes on.
"""

import dataclasses
import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from speed import machine

from components.serving import Generator

_CENTRES = np.array(list(itertools.product(range(-4, 5, 2), repeat=2)), float)
_STD = 0.05
_TURN = math.radians(30)
_DIGITS = 10
# In bits. Deciles of five equal clusters lie in the gaps between them, where two samples never
# agree: with the schema that `new` writes, `run` refuses the data and asks for more than .1.
_SHIFT = 0.5
# The exit codes of `run` that leave a generator: blessed, and refused by the gate.
_BLESSED, _REFUSED = 0, 3


@dataclasses.dataclass(frozen=True)
class Case:
    """Data with known modes.

    Attributes:
      file: the name of their file.
      make: `count` examples by a generator of random numbers.
      mode: of each of samples [n, …], int64 [n]; -1 for none.
      modes: how many there are.
      examples, samples: how many to learn, and to count the modes in.
      shift: divergence of eval from train that the schema is to allow; None for what `new` wrote.
    """

    file: str
    make: Callable[[int, np.random.Generator], np.ndarray]
    mode: Callable[[np.ndarray], np.ndarray]
    modes: int
    examples: int
    samples: int
    shift: float | None = None


@click.command()
@click.option("--seeds", default=3, show_default=True, help="Trainings of each, seeds 0, 1, …")
@click.option("--keep", default="runs/modes", show_default=True, type=click.Path(path_type=Path))
def main(seeds: int, keep: Path) -> None:
    """Trains the generators and prints how many modes each has."""
    lines = [
        "| data | generator | modes | high quality | KL | gate |",
        "|---|---|---|---|---|---|",
    ]
    for name, case in _cases().items():
        folder = keep / name.replace(" ", "_")
        recipe = _recipe(case, folder)
        real = case.make(case.samples, np.random.default_rng(1))
        lines.append(f"| {name} | the data | {_scores(case, real)} | |")
        for seed in range(seeds):
            blessed, samples = _generated(recipe, folder, seed, case.samples)
            gate = "passed" if blessed else "refused"
            lines.append(f"| {name} | seed {seed} | {_scores(case, samples)} | {gate} |")
            click.echo(lines[-1])
    click.echo("\n".join([machine(), "", *lines]))


def _cases() -> dict[str, Case]:
    turn = np.array([[math.cos(_TURN), math.sin(_TURN)], [-math.sin(_TURN), math.cos(_TURN)]])
    return {
        "grid": _gaussians(_CENTRES, _SHIFT),
        "turned grid": _gaussians(_CENTRES @ turn),
        "stacked digits": _stacked_digits(),
    }


def _gaussians(centres: np.ndarray, shift: float | None = None) -> Case:
    def make(count: int, random: np.random.Generator) -> np.ndarray:
        return random.choice(centres, count) + random.normal(0, _STD, (count, 2))

    def mode(samples: np.ndarray) -> np.ndarray:
        distances = np.linalg.norm(samples[:, np.newaxis] - centres, axis=2)
        return np.where(distances.min(axis=1) < 3 * _STD, distances.argmin(axis=1), -1)

    return Case("points.csv", make, mode, len(centres), 100_000, 2500, shift)


def _stacked_digits() -> Case:
    pixels, digits = load_digits(return_X_y=True)
    train, held_out, train_digits, held_out_digits = train_test_split(
        pixels, digits, test_size=0.5, stratify=digits, random_state=0
    )
    judge = SVC(gamma=0.001).fit(train, train_digits)
    accuracy = judge.score(held_out, held_out_digits)
    click.echo(f"{accuracy:.1%} of {len(held_out)} held-out digits are classified correctly")
    scale = 255 / pixels.max()

    def make(count: int, random: np.random.Generator) -> np.ndarray:
        channels = pixels[random.integers(len(pixels), size=(count, 3))]
        images = channels.reshape(count, 3, 8, 8).transpose(0, 2, 3, 1)
        return np.round(images * scale).astype(np.uint8)

    def mode(images: np.ndarray) -> np.ndarray:
        channels = images.transpose(0, 3, 1, 2).reshape(-1, 64) / scale
        return judge.predict(channels).reshape(-1, 3) @ [_DIGITS**2, _DIGITS, 1]

    return Case("stacks.npz", make, mode, _DIGITS**3, 50_000, 26_000)


def _recipe(case: Case, folder: Path) -> Path:
    """What `tfx-gan new` writes for the data of a case."""
    data, recipe = folder / case.file, folder / "recipe"
    if not recipe.exists():
        folder.mkdir(parents=True, exist_ok=True)
        examples = case.make(case.examples, np.random.default_rng(0))
        if data.suffix == ".csv":
            np.savetxt(data, examples, "%.4f", delimiter=",", header="x,y", comments="")
        else:
            np.savez(data, images=examples)
        _tfx_gan("new", data, "--out", recipe)
    if case.shift:
        schema = recipe / "schema.pbtxt"
        schema.write_text(re.sub("(?<=threshold: ).*", str(case.shift), schema.read_text()))
    return recipe / "recipe.yaml"


def _generated(recipe: Path, folder: Path, seed: int, count: int) -> tuple[bool, np.ndarray]:
    """Whether the gate lets the generator of a seed pass, and samples of it."""
    root = folder / f"seed-{seed}"
    kept = root / "samples.npz"
    if not kept.exists():
        code = _tfx_gan("run", recipe, "--root", root, "--set", f"trainer.seed={seed}")
        (model,) = root.glob("artifacts/GANTrainer/model/*")
        samples = Generator.load(model).draw(count, seed=1)
        np.savez(kept, samples=samples, blessed=code == _BLESSED)
    with np.load(kept) as found:
        return bool(found["blessed"]), found["samples"]


def _tfx_gan(*arguments: str | Path) -> int:
    code = subprocess.run([sys.executable, "-m", "pipeline.cli", *arguments]).returncode
    if code not in (_BLESSED, _REFUSED):
        raise SystemExit(code)
    return code


def _scores(case: Case, samples: np.ndarray) -> str:
    """The cells for the modes found, the share of samples of any, and the divergence."""
    modes = case.mode(samples)
    counts = np.bincount(modes[modes >= 0], minlength=case.modes)
    found = counts[counts > 0] / counts.sum()
    divergence = np.sum(found * np.log(found * case.modes))
    quality = f"{np.mean(modes >= 0):.3f}" if samples.ndim == 2 else "–"
    return f"{len(found)} of {case.modes} | {quality} | {divergence:.3f}"


if __name__ == "__main__":
    main()
