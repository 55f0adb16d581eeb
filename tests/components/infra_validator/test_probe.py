import json
import subprocess
import sys

import pytest

from components.infra_validator import probe


def test_a_sound_generator_passes(export, tmp_path):
    export(tmp_path)

    assert probe.probe(str(tmp_path)) == {"latent_size": 4, "image_shape": [8, 8, 1]}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no sample", r"no signature 'sample', only \['serving_default'\]"),
        ("output name", "serving_default: outputs are pictures float32, not images float32"),
        ("float samples", "sample: outputs are images float32, not images uint8"),
        ("fixed batch", r"serving_default: latents are \[1, 4\], expected \[None, latent size\]"),
        ("flat", r"serving_default: images of 3 latents have shape \(3, 64\)"),
        ("not finite", "serving_default: images are not finite"),
        ("out of range", r"serving_default: images are in \[-3, 3\], expected \[-1, 1\]"),
        ("count ignored", r"sample: 4 images have shape \(2, 8, 8, 1\)"),
        ("unseeded", "sample: .* seed gives different images"),
        ("seed ignored", "sample: .* seeds give the same images"),
    ],
)
def test_a_broken_contract_is_named(export, tmp_path, fault, reason):
    export(tmp_path, fault)

    with pytest.raises(ValueError, match=reason):
        probe.probe(str(tmp_path))


def test_a_generator_with_classes_passes(export_classes, tmp_path):
    export_classes(tmp_path)

    assert probe.probe(str(tmp_path)) == {"latent_size": 4, "image_shape": [8, 8, 1]}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no labels", "serving_default: inputs are latents float32, not labels int64, latents"),
        ("label type", "sample_class: inputs are .*label uint8"),
        ("class output", "sample_class: outputs are pictures uint8, not images uint8"),
    ],
)
def test_a_broken_contract_of_classes_is_named(export_classes, tmp_path, fault, reason):
    export_classes(tmp_path, fault)

    with pytest.raises(ValueError, match=reason):
        probe.probe(str(tmp_path))


def test_a_generator_of_vectors_passes_in_any_units(export_vectors, tmp_path):
    export_vectors(tmp_path)

    assert probe.probe(str(tmp_path)) == {"latent_size": 2, "columns": ["wind", "rain"]}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no names", "no signature 'columns', only "),
        ("one name", "columns: wind are not 2 "),
        ("a name twice", "columns: wind, wind are not 2 "),
        ("whole type", "sample: outputs are vectors int32, not vectors float32"),
        ("not finite", "serving_default: vectors are not finite"),
        ("seed ignored", "sample: .* seeds give the same vectors"),
    ],
)
def test_a_broken_contract_of_vectors_is_named(export_vectors, tmp_path, fault, reason):
    export_vectors(tmp_path, fault)

    with pytest.raises(ValueError, match=reason):
        probe.probe(str(tmp_path))


def test_the_command_prints_one_line_of_json(export, tmp_path):
    export(tmp_path)

    ended = subprocess.run(
        [sys.executable, "-I", probe.__file__, str(tmp_path)], capture_output=True, text=True
    )

    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {"latent_size": 4, "image_shape": [8, 8, 1]}
