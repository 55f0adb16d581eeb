"""The page's sources, one by one, in Node; and that what is committed was built from them."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.data import examples
from components.serving import draws, numpy_draws, page
from components.serving.contract import row_seeds

FOLDER = Path(page.__file__).parent
SOURCES = FOLDER / "web" / "src"
VECTORS = json.loads((Path(__file__).parents[1] / "latents.json").read_text())
ANY_SEEDS = [0, 1, -1, 2**63 - 1, -(2**63), 2**32 - 1, 2**31, 7 * 2**32]


@pytest.fixture(scope="module")
def node():
    """Evaluates an expression with the exports of a source; whole numbers may be BigInt."""
    if not shutil.which("node"):
        pytest.skip("no node on PATH: apt install nodejs")

    def evaluate(source, expression):
        script = f"""
            const m = await import({json.dumps((SOURCES / source).as_uri())});
            const plain = (_, value) => typeof value === "bigint" ? String(value)
              : ArrayBuffer.isView(value) ? [...value] : value;
            console.log(JSON.stringify({expression}, plain));
        """
        command = ["node", "--input-type=module", "-e", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate


def test_the_shared_vectors(node):
    seeds = ", ".join(f"{seed}n" for seed in VECTORS)
    expected = np.array(list(VECTORS.values()), np.float32)

    found = np.array(node("threefry.js", f"m.latents([{seeds}], {expected.shape[1]})"), np.float32)

    np.testing.assert_array_almost_equal_nulp(found.reshape(expected.shape), expected, 1)


def test_classes_and_the_seeds_of_a_run_are_those_of_python(node):
    shares = np.array([0.0, 0.5, 0.0, 0.2, 0.3, 0.0])
    seeds = [*ANY_SEEDS, *range(500)]
    listed = ", ".join(f"{seed}n" for seed in seeds)

    found = node("threefry.js", f"m.classes([{listed}], {shares.tolist()})")

    assert found == draws.classes(tf.constant(seeds, tf.int64), shares).numpy().tolist()
    for seed in (0, 7, -(2**31), 2**31 - 1):
        found = node("threefry.js", f"m.rowSeeds({seed}, 3)")
        assert found == [str(each) for each in row_seeds(seed, 3)]


def test_pixels_are_rounded_as_python_does(node):
    edges = (np.arange(-1, 257) + 0.5) / 127.5 - 1
    values = np.float32([*edges, -1.0, 0.0, 1.0, 3.0, -3.0])

    found = node("pixels.js", f"m.toUint8(new Float32Array({values.tolist()}))")

    assert found == examples.to_uint8(tf.constant(values)).numpy().tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_ways_through_latent_space_keep_the_length(node, size):
    latent = numpy_draws.latents(np.array([5]), size)[0]
    vector = f"new Float32Array({latent.tolist()})"

    along, across = (np.array(each) for each in node("geometry.js", f"m.plane({vector}, 5n, 3)"))
    for one, other in [(latent, along), (latent, across), (along, across)]:
        assert abs(one @ other) < 1e-5 * np.linalg.norm(latent)
    # So small a space has no such directions.
    assert np.linalg.norm(along) == pytest.approx(float(size > 1), abs=1e-5)
    assert np.linalg.norm(across) == pytest.approx(float(size > 2), abs=1e-5)
    if size > 2:
        way = f"m.move({vector}, m.plane({vector}, 5n, 3), 0.4, -2)"
        assert np.linalg.norm(node("geometry.js", way)) == pytest.approx(np.linalg.norm(latent))


def test_between_is_the_circle_of_python(node):
    start, end = numpy_draws.latents(np.array([1, 2]), 20)
    for one, other in [(start, end), (start, start)]:
        ends = f"new Float32Array({one.tolist()}), new Float32Array({other.tolist()})"
        found = node("geometry.js", f"[0, 0.3, 1].map(at => m.between({ends}, at))")
        rows = [tf.constant(np.stack([each] * 3)) for each in (one, other)]
        expected = draws.between(*rows, tf.constant([0.0, 0.3, 1.0]))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("fragment", "changed"),
    [
        ("", {}),
        ("#seed=-3&class=2&truncation=0.25", {"seed": -3, "class": 2, "truncation": 0.25}),
        ("#mode=morph&image=5&to=63&at=0", {"mode": "morph", "image": 5, "to": 63, "at": 0}),
        ("#x=-0.5&y=3&plane=1", {"x": -0.5, "y": 3, "plane": 1}),
        ("#seed=2147483648&class=-1&truncation=1.1&image=64&x=4&mode=fly&at=1.5", {}),
        ("#seed=&class=x&truncation=&x=%00&y=Infinity&unknown=1&=&&", {}),
    ],
)
def test_a_link_says_what_differs_from_the_default(node, fragment, changed):
    parsed = f"m.parse({json.dumps(fragment)})"
    defaults, found, again = node(
        "state.js", f"[m.DEFAULTS, {parsed}, m.parse(m.format({parsed}))]"
    )

    assert found == again == {**defaults, **changed}


def test_what_is_committed_was_built_from_the_sources(tmp_path):
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("no node and npm on PATH: apt install nodejs npm")
    copy = tmp_path / "web"
    shutil.copytree(FOLDER / "web", copy, ignore=shutil.ignore_patterns("node_modules"))
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    installed = subprocess.run(
        ["npm", "ci", *options], cwd=copy, capture_output=True, text=True, timeout=300
    )
    if installed.returncode:
        pytest.skip(f"npm ci: {installed.stderr.strip().splitlines()[-1]}")
    built = tmp_path / "built"
    subprocess.run(["node", "build.mjs", str(built)], cwd=copy, check=True, timeout=300)

    def contents(folder):
        # Compressors differ between versions of Node.
        return {
            path.name: gzip.decompress(path.read_bytes())
            if path.suffix == ".gz"
            else path.read_bytes()
            for path in folder.iterdir()
        }

    found, committed = contents(built), contents(FOLDER / "built")
    assert found.keys() == committed.keys()
    assert [name for name in found if found[name] != committed[name]] == []
