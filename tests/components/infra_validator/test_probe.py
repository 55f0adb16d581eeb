import json
import subprocess

import numpy as np
import pytest

from components.infra_validator import probe
from components.infra_validator.component import command, witness

SOUND = {"images": {}, "classes": {"classes": True}, "vectors": {"columns": True}}


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_generator_passes(plant, kind):
    path = plant(**SOUND[kind])

    found = probe.probe(path, witness(path))

    assert found["shape"] == ([2] if kind == "vectors" else [8, 8, 1])
    assert found["rows_per_second"] > 0
    assert found["memory_mb"] > 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no sample", "no signature 'sample', only describe, interpolate, "),
        ("output name", "serving_default: outputs are pictures float32 of rank 4, not images"),
        ("float samples", "sample: outputs are images float32 of rank 4, not images uint8"),
        ("fixed batch", "sample: seeds has 4 rows, expected any number"),
        ("not finite", "serving_default: images are not finite"),
        ("out of range", r"serving_default: images are in \[-3, 3\], expected \[-1, 1\]"),
        ("collapsed", "sample: 32 seeds differ in 1.56% of the values"),
        ("batch normalisation in training mode", "a row depends on the 1 of its batch"),
        ("NaN beyond 4 sigma", "images of latents up to 6 are not finite"),
        ("noise", "sample: not what serving_default makes of the latents of the seeds"),
        ("black", "sample: not what serving_default makes"),
        ("fails above 4 rows", "sample: fails for 32 rows: assertion failed"),
        ("fails for 1 row", "sample: fails for 1 rows: assertion failed"),
        ("black after three calls", "serving_default: a row depends on the 5 of its batch"),
        ("other data later", "sample: the same seeds give other data in a later call"),
        ("raises", r"interpolate: fails for 32 rows: assertion failed: \[never\]"),
        ("other interpolations", "interpolate: not the images of sample"),
        ("NaN accepted", "serving_default: answers latents that are not finite"),
        ("any number", "sample: answers 1025 rows, more than its max_rows"),
        ("leaking", r"sample: every call keeps [\d.]+ MB of memory"),
    ],
)
def test_a_fault_is_named(plant, fault, reason):
    path = plant(fault)

    with pytest.raises(ValueError, match=reason):
        probe.probe(path, witness(path))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no draw_labels", "no signature 'draw_labels', only "),
        ("label type", "sample: inputs are .*labels int32 of rank 1"),
        ("labels ignored", "sample: not what serving_default makes"),
        ("another class", "sample: not what serving_default makes"),
        ("draws strangers", "draw_labels: draws 1, which is not served"),
        ("any label", "sample: answers the label -1, which is not served"),
    ],
)
def test_a_fault_of_classes_is_named(plant, fault, reason):
    path = plant(fault, classes=True)

    with pytest.raises(ValueError, match=reason):
        probe.probe(path, witness(path))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("one name", "columns: wind are not 2 "),
        ("a name twice", "columns: a, a are not 2 "),
        ("not finite vectors", "serving_default: vectors are not finite"),
    ],
)
def test_a_fault_of_vectors_is_named(plant, fault, reason):
    path = plant(fault, columns=True)

    with pytest.raises(ValueError, match=reason):
        probe.probe(path, witness(path))


def test_the_command_prints_one_line_of_json(plant, tmp_path):
    path = plant()
    np.savez(tmp_path / "witness.npz", **witness(path))

    ended = subprocess.run(
        [*command("infra_validator.probe"), path, str(tmp_path / "witness.npz")],
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["shape"] == [8, 8, 1]
