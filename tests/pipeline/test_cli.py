import re
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from pipeline import cli

DIGITS = Path(__file__).parents[2] / "data" / "digits" / "recipe.yaml"


def _invoke(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def test_dry_run_prints_the_resolved_configuration_and_runs_nothing(tmp_path):
    root = tmp_path / "root"
    result = _invoke("run", DIGITS, "--root", root, "--dry-run", "--set", "trainer.images=7000")

    assert result.exit_code == 0, result.output
    assert "images: 7000" in result.output
    assert not root.exists()


def test_a_failure_is_one_line_without_debug_and_a_traceback_with_it():
    arguments = ["run", str(DIGITS), "--dry-run", "--set", "trainer.loss=hing"]
    process = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments], capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith("tfx-gan: ")
    assert "unknown loss 'hing'" in process.stderr
    assert len(process.stderr.splitlines()) == 1

    with pytest.raises(ValueError, match="unknown loss"):
        CliRunner().invoke(
            cli.main, [*arguments, "--debug"], catch_exceptions=False, standalone_mode=False
        )


def test_list_shows_what_a_recipe_can_name():
    result = _invoke("list")
    listed = dict(re.split(r"  +", line) for line in result.output.splitlines())

    assert result.exit_code == 0, result.output
    assert "relativistic_pairing" in listed["loss"].split(", ")
    assert listed["generator"] == listed["discriminator"] == "dcgan, mlp, r3gan, resnet"
    assert listed["penalty"] == "dragan, gradient_penalty, lecam, r1, r2"
    assert set(listed) >= {"data format", "optimizer", "augmentation", "schedule shape", "metric"}


class _Generator(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int64)])
    def sample(self, count, seed):
        shape = tf.stack([count, 6, 4, 1])
        levels = tf.random.stateless_uniform(shape, [seed, 0], maxval=256, dtype=tf.int32)
        return {"images": tf.cast(levels, tf.uint8)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.int64, name="label"),
        ]
    )
    def sample_class(self, count, seed, label):
        level = tf.cast(label, tf.uint8)
        return {"images": tf.fill(tf.stack([count, 6, 4, 1]), level + 0 * tf.cast(seed, tf.uint8))}


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A serving folder with two versions, of which the newer one samples."""
    folder = tmp_path_factory.mktemp("serving")
    tf.saved_model.save(tf.Module(), str(folder / "9"))
    module = _Generator()
    tf.saved_model.save(module, str(folder / "10"), signatures={"sample": module.sample})
    signatures = {"sample": module.sample, "sample_class": module.sample_class}
    tf.saved_model.save(module, str(folder / "classes"), signatures=signatures)
    return folder


@pytest.mark.parametrize("model", ["", "10"])
def test_sample_writes_the_same_grid_for_the_same_seed(serving, tmp_path, model):
    grids = []
    for number, seed in enumerate((7, 7, 8)):
        path = tmp_path / f"{number}.png"
        result = _invoke("sample", serving / model, "--count", 9, "--seed", seed, "--out", path)
        assert result.exit_code == 0, result.output
        grids.append(path.read_bytes())
        with Image.open(path) as image:
            assert image.size == (14, 20)

    assert grids[0] == grids[1] != grids[2]


def test_sample_makes_the_class_it_is_asked_for(serving, tmp_path):
    out = tmp_path / "grid.png"
    arguments = ("--count", 1, "--label", 77, "--out", out)
    assert _invoke("sample", serving / "classes", *arguments).exit_code == 0
    with Image.open(out) as image:
        assert image.getpixel((2, 2)) == 77

    result = _invoke("sample", serving / "10", *arguments)
    assert result.exit_code == 1
    assert "no signature 'sample_class'" in result.stderr


def test_sample_names_what_is_no_model(serving, tmp_path):
    out = tmp_path / "grid.png"
    for model, message in {
        tmp_path / "nowhere": "nowhere: no such folder",
        tmp_path: "neither a SavedModel nor versions",
        serving / "9": "no signature 'sample'",
    }.items():
        result = _invoke("sample", model, "--out", out)
        assert result.exit_code == 1
        assert message in result.stderr
    assert not out.exists()


BEAM = "train.gz: cut off after 3 of 9 images"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(f"{BEAM} [while running 'Read'] [while running 'x']"), BEAM),
        (ValueError("one\n  two"), "one two"),
        (PermissionError(13, "Permission denied", "/ro/x"), "/ro/x: Permission denied"),
        (RuntimeError("odd"), "RuntimeError: odd"),
        (KeyError("key"), "KeyError: 'key'"),
        (ValueError(), "ValueError: "),
    ],
)
def test_reasons_are_one_line(error, line):
    assert cli._reason(error) == line
