import gc
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from click.testing import CliRunner
from PIL import Image
from pyarrow import csv, parquet

from pipeline import cli
from pipeline.cli import command

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
    assert listed["generator"] == "dcgan, mlp, r3gan, resnet"
    assert listed["discriminator"] == "dcgan, mlp, projected, r3gan, resnet"
    assert listed["preset"] == "dcgan, mlp, projected, r3gan, table"
    assert listed["penalty"] == "bcr, dragan, gradient_penalty, lecam, r1, r2"
    assert "classifier" in listed["extractor"].split(", ")
    assert set(listed) >= {"data format", "optimizer", "augmentation", "schedule shape", "metric"}


def test_list_shows_the_keys_of_a_recipe_and_their_defaults():
    every, some = _invoke("list", "--keys"), _invoke("list", "--keys", "trainer.quality")

    assert re.search(r"^evaluator\.seed +int +0 +\S", every.output, re.MULTILINE)
    assert re.match(r"trainer\.quality\.every_images +int or null +10000 +\S", some.output)
    assert len(some.output.splitlines()) < len(every.output.splitlines())

    unknown = _invoke("list", "--keys", "trainer.qualty")
    assert unknown.exit_code == 1
    assert "did you mean 'trainer.quality'?" in unknown.stderr
    assert len(unknown.stderr.splitlines()) == 1


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


class _Vectors(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int64)])
    def sample(self, count, seed):
        return {"vectors": tf.random.stateless_normal([count, 2], [seed, 0])}

    @tf.function(input_signature=[])
    def columns(self):
        return {"names": tf.constant(["wind", "rain"])}


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A serving folder with two versions, of which the newer one samples."""
    folder = tmp_path_factory.mktemp("serving")
    tf.saved_model.save(tf.Module(), str(folder / "9"))
    module = _Generator()
    tf.saved_model.save(module, str(folder / "10"), signatures={"sample": module.sample})
    signatures = {"sample": module.sample, "sample_class": module.sample_class}
    tf.saved_model.save(module, str(folder / "classes"), signatures=signatures)
    module = _Vectors()
    signatures = {"sample": module.sample}
    tf.saved_model.save(module, str(folder / "unnamed"), signatures=signatures)
    signatures["columns"] = module.columns
    tf.saved_model.save(module, str(folder / "vectors"), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def named(serving, tmp_path_factory):
    """A model whose classes have names."""
    folder = tmp_path_factory.mktemp("named") / "model"
    shutil.copytree(serving / "classes", folder)
    # "77" is a name of class 1, and still the number of another.
    names = {0: "a name of, words", 1: "77", 5: "cat"}
    # As contract 1 kept them; the models here are of it, and a new one is tested with its export.
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "classes.json").write_text(json.dumps(names))
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
    assert "labels: 77, but the generator has no classes" in result.stderr


@pytest.mark.parametrize(
    ("label", "level"),
    [("cat", 5), ("5", 5), ("a name of, words", 0), ("77", 77)],
)
def test_sample_knows_the_names_of_the_classes(named, tmp_path, label, level):
    out = tmp_path / "grid.png"
    result = _invoke("sample", named, "--count", 1, "--label", label, "--out", out)
    assert result.exit_code == 0, result.output
    with Image.open(out) as image:
        assert image.getpixel((2, 2)) == level


@pytest.mark.parametrize(
    ("model", "label", "message"),
    [
        ("named", "cats", "--label cats: no class of this name; did you mean 'cat'?"),
        ("named", "-1", "--label -1: no class of this name; known: "),
        ("classes", "cat", "--label cat: no class of this name; the model's classes have numbers"),
    ],
)
def test_sample_says_which_classes_there_are(serving, named, tmp_path, model, label, message):
    folder = named if model == "named" else serving / model
    result = _invoke("sample", folder, "--label", label, "--out", tmp_path / "grid.png")

    assert result.exit_code == 1
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "columns"), [("vectors", ["wind", "rain"]), ("unnamed", ["column 0", "column 1"])]
)
def test_sample_writes_vectors_as_tables(serving, tmp_path, model, columns):
    for name in ("rows.csv", "rows.parquet"):
        result = _invoke("sample", serving / model, "--count", 9, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output

    written = csv.read_csv(tmp_path / "rows.csv")
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert written.column_names == table.column_names == columns
    for ours, theirs in zip(written, table, strict=True):
        np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("10", "rows.csv", "rows.csv: the model makes images; name a .png file"),
        ("vectors", "grid.png", "grid.png: the model makes vectors; name a .csv or .parquet file"),
        ("vectors", "rows", "rows: the model makes vectors; name a .csv or .parquet file"),
    ],
)
def test_sample_writes_nothing_of_another_kind(serving, tmp_path, model, name, message):
    result = _invoke("sample", serving / model, "--out", tmp_path / name)

    assert result.exit_code == 1
    assert result.stderr == f"tfx-gan: --out {tmp_path}/{message}\n"
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "npz"), "exported before samples had seeds of their own (contract 1)"),
        (("--format", "jpeg"), "unknown format 'jpeg': known: "),
        (("--format", "npz", "--labels", "cat"), "--label cat: no class of this name"),
    ],
)
def test_generate_says_what_it_cannot_make(serving, tmp_path, arguments, message):
    arguments = ("--count", 3, "--out", tmp_path / "out", *arguments)
    result = _invoke("generate", serving / "classes", *arguments)

    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_export_says_what_it_cannot_convert(serving, tmp_path):
    out = tmp_path / "generator.onnx"
    result = _invoke("export", serving / "10", "--to", "onnx", "--out", out)

    assert result.exit_code == 1
    assert result.stderr == f"tfx-gan: {serving}/10: not of contract 2; export it again\n"
    assert not out.exists()


def test_rollback_says_what_is_served(tmp_path):
    for version in "789":
        (tmp_path / version).mkdir()
    result = _invoke("rollback", tmp_path, "--to", 7)

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{tmp_path}: 9 is withdrawn, now .withdrawn-9",
        f"{tmp_path}: 8 is withdrawn, now .withdrawn-8",
        f"{tmp_path}: 7 is served",
    ]
    assert _invoke("rollback", tmp_path).exit_code == 1


def test_runs_are_listed_newest_last_and_compared(root):
    root.complete("2026-11-21T10:00:00", {"fid": 13.5})
    root.complete(
        "2026-11-22T10:00:00", {"fid": 12.25}, reasons=["too bad"], trainer={"batch_size": 32}
    )
    listed = _invoke("runs", "--root", root.path)
    assert listed.exit_code == 0, listed.output
    assert re.search(r"11-21T10.*13\.5.*blessed(.|\n)*11-22T10.*12\.25.*refused", listed.output)

    rows = json.loads(_invoke("runs", "--root", root.path, "--json").output)
    assert [row["metrics"] for row in rows] == [{"fid": 13.5}, {"fid": 12.25}]
    assert [row["blessed"] for row in rows] == [True, False]

    compared = _invoke("compare", "2026-11-21", "latest", "--root", root.path)
    assert compared.exit_code == 0, compared.output
    assert "-1.25" in compared.output
    assert re.search(r"trainer\.batch_size.*64.*32", compared.output)
    differences = json.loads(
        _invoke("compare", "latest", "latest~1", "--root", root.path, "--json").output
    )
    assert differences["metrics"]["fid"]["difference"] == 1.25
    assert differences["config"] == {"trainer.batch_size": [32, 64]}


def test_runs_compare_without_loading_tensorflow(root):
    code = (
        "import sys; from pipeline import cli; cli.main(sys.argv[1:], standalone_mode=False);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "runs", "--root", str(root.path)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def test_a_root_without_runs_says_so_in_one_line(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (root.path, empty):
        result = _invoke("runs", "--root", path)
        assert result.exit_code == 0
        assert result.output == f"no runs yet in {path}\n"
        assert json.loads(_invoke("runs", "--root", path, "--json").output) == []
    assert os.listdir(empty) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["compare", "latest", "2026-11-23"],
            "2026-11-23: no such run; the nearest are 2026-11-22",
        ),
        (["compare", "latest", "latest~1"], "latest~1: no such run; there are 1"),
        (["runs", "--metric", "fdi"], "--metric fdi: no run has it; did you mean 'fid'"),
    ],
)
def test_what_a_root_does_not_have_is_named_in_one_line(root, arguments, line):
    root.complete("2026-11-22", {"fid": 13.5})
    result = _invoke(*arguments, "--root", root.path)

    assert result.exit_code == 1
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--recipe", "strict.yaml"], 3)])
def test_evaluate_prints_scores_and_verdicts_and_writes_the_report(
    tmp_path, monkeypatch, options, code
):
    folder = DIGITS.parent
    recipe = yaml.safe_load(DIGITS.read_text())
    recipe["data"]["path"] = str(folder)
    recipe["evaluator"] = {"gate": {"bounds": {"fid": {"max": -1}}}}
    monkeypatch.chdir(tmp_path)
    Path("strict.yaml").write_text(yaml.safe_dump(recipe))
    fakes, real = folder / "train-images-idx3-ubyte.gz", folder / "t10k-images-idx3-ubyte.gz"
    out = tmp_path / "out"
    arguments = ("evaluate", fakes, real, "--extractor", "identity", "--out", out)
    result = _invoke(*arguments, "--count", 300, *options)

    assert result.exit_code == code, result.output
    metrics = json.loads((out / "metrics.json").read_text())["metrics"]
    fid = metrics["fid"]
    assert f"{fid['value']:.4g}" in result.stdout
    assert f"[{fid['low']:.4g}, {fid['high']:.4g}]" in result.stdout
    assert ("refused" in result.stdout) is bool(code)
    assert f"report  {out}/report.html" in result.stdout

    again = _invoke(*arguments)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


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
    assert command.reason(error) == line


def test_garbage_is_collected_again_after_imports_that_fail_too():
    with pytest.raises(ImportError), command.importing():
        assert not gc.isenabled()
        raise ImportError

    assert gc.isenabled()
