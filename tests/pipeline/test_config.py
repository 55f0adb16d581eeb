import gzip
import shutil
from pathlib import Path

import pytest
import yaml

from components.compute import hardware
from components.pretrained import efficientnet_lite0
from pipeline import config

DATA = Path(__file__).parents[2] / "data"
RECIPES = sorted(DATA.glob("*/recipe.yaml"))


@pytest.fixture
def recipe(tmp_path):
    """A copy of the digits and their recipe, to be broken."""
    shutil.copytree(DATA / "digits", tmp_path / "digits")
    return tmp_path / "digits" / "recipe.yaml"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_shipped_recipes_load_and_fit_their_data(path):
    loaded = config.load(str(path))

    config.check_data(loaded)
    assert set(loaded.data.dataset().patterns) in ({"train", "eval"}, {"all"})
    assert Path(loaded.data.path) == path.parent
    assert Path(loaded.data.schema_path) == path.parent / "schema.pbtxt"


def test_the_resolved_configuration_is_a_recipe_with_the_same_meaning(recipe, tmp_path):
    loaded = config.load(str(recipe), ["trainer.images=5_000", "name=other"])
    again = tmp_path / "again.yaml"
    again.write_text(loaded.to_yaml())

    assert config.load(str(again)) == loaded
    assert (loaded.trainer.images, loaded.name) == (5000, "other")


WRONG = {
    "unknown key": ("trainer.bach_size=3", r"trainer\.bach_size: unknown key; did you mean 'batch"),
    "unknown section": ("trainr.images=3", "trainr: unknown key; did you mean 'trainer'"),
    "unknown key in depth": (
        "trainer.generator_optimizer.beta_3=0.1",
        r"trainer\.generator_optimizer\.beta_3: unknown key; did you mean 'beta_",
    ),
    "wrong type": ("trainer.images=many", r"trainer\.images: .*integer.*found 'many'"),
    "out of range": ("trainer.batch_size=0", r"trainer\.batch_size: .*greater.*found 0"),
    "unknown loss": ("trainer.loss=leest_squares", "loss: .*did you mean 'least_squares'"),
    "smoothing without labels": (
        "trainer={images: 9, loss: hinge, label_smoothing: 0.1}",
        "trainer: label_smoothing: the loss 'hinge' has no labels",
    ),
    "unknown network": ("trainer.networks.generator=dcgun", "generator: .*did you mean 'dcgan'"),
    "unknown format": ("data.format=idxx", "data.format: .*did you mean 'idx'"),
    "unknown kind of extractor": (
        "feature_extractor.kind=clasifier",
        r"feature_extractor\.kind: unknown extractor .*did you mean .classifier",
    ),
    "option of another kind": (
        "feature_extractor={kind: identity, images: 3}",
        r"feature_extractor: images: an option of kind classifier, self_supervised; kind identity",
    ),
    "unknown metric": ("evaluator.gate.bounds.fidd.max=3", "unknown metric 'fidd'.*'fid'"),
    "bad name": ("name=My Pipeline", "name: .*found 'My Pipeline'"),
    "bad precision": ("trainer.precision=float8", r"trainer\.precision: .*'float32'"),
    "penalty in half precision": (
        "trainer={images: 9, precision: mixed_float16,"
        " penalties: [{name: r1, precision: networks}]}",
        "trainer: penalties: r1: precision networks would be float16",
    ),
    "impossible size": ("data.image_shape=[30, 30, 1]", "networks|multiples of 4"),
    "unknown stage": ("resources.Trainer.cpu=2", "resources.Trainer.*GANTrainer"),
    "no equals sign": ("trainer.images", "expected key=value"),
    "into a value": ("name.first=a", "name is a value"),
}


@pytest.mark.parametrize(("override", "message"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_errors_of_one_line_that_name_the_key(recipe, override, message):
    overrides = [override]
    if "image_shape" in override:
        overrides += ["trainer.networks.generator=dcgan"]
    with pytest.raises(ValueError, match=message) as caught:
        config.load(str(recipe), overrides)
    assert "\n" not in str(caught.value)


PROJECTED = [
    "trainer.networks={generator: dcgan, discriminator: projected}",
    "trainer.penalties=[]",
]


def test_a_generator_is_not_judged_by_the_features_it_is_trained_against(recipe, monkeypatch):
    monkeypatch.setattr(efficientnet_lite0, "weights_file", lambda: Path("weights.pth"))
    message = (
        "feature_extractor: kind: efficientnet_lite0 .*trainer.networks.discriminator: projected"
        ".*use inception_v3, self_supervised"
    )
    with pytest.raises(ValueError, match=message) as caught:
        config.load(str(recipe), [*PROJECTED, "feature_extractor={kind: efficientnet_lite0}"])
    assert "\n" not in str(caught.value)

    loaded = config.load(str(recipe), [*PROJECTED, "feature_extractor={kind: classifier}"])
    assert loaded.trainer.networks.pretrained == efficientnet_lite0.NAME
    config.load(str(recipe), ["feature_extractor={kind: efficientnet_lite0}"])


def test_a_missing_key_is_named(recipe):
    tree = yaml.safe_load(recipe.read_text())
    del tree["trainer"]["images"]
    recipe.write_text(yaml.safe_dump(tree))
    with pytest.raises(ValueError, match=r"trainer\.images: missing"):
        config.load(str(recipe))


@pytest.mark.parametrize("content", ["", "- a list", "a: [", "\x00"])
def test_what_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match="recipe.yaml"):
        config.load(str(path))


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.yaml: no such recipe"):
        config.load(str(tmp_path / "nowhere.yaml"))


BROKEN_DATA = {
    "batch larger than the data": (
        ["trainer.batch_size=1498"],
        r"trainer\.batch_size: 1498 is more than the 1497 ",
    ),
    "another image size": (["data.image_shape=[12, 12, 1]"], r"image_shape: \[12, 12, 1\].*\[8, 8"),
    "missing folder": (["data.path=nowhere"], "nowhere"),
    "missing schema": (["data.schema=nowhere.pbtxt"], "data.schema: .*nowhere.pbtxt: no such file"),
    "missing reference": (
        ["validation.reference=nowhere.pb"],
        "validation.reference: .*digits/nowhere.pb: no such file",
    ),
    "empty split": (["data.splits={train: 'train-*', eval: 'none-*'}"], "none-"),
}


@pytest.mark.parametrize(("overrides", "message"), BROKEN_DATA.values(), ids=BROKEN_DATA)
def test_data_that_do_not_fit_are_found_before_anything_runs(recipe, overrides, message):
    loaded = config.load(str(recipe), overrides)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        config.check_data(loaded)


def test_a_truncated_header_is_found_before_anything_runs(recipe):
    with gzip.open(recipe.parent / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(b"\x00\x00\x08")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz"):
        config.check_data(config.load(str(recipe)))


@pytest.mark.parametrize(
    ("weights", "resolved"),
    [
        ("imagenet", "imagenet"),
        ("models/inception.h5", "{folder}/models/inception.h5"),
        ("/models/inception.h5", "/models/inception.h5"),
        ("gs://bucket/inception.h5", "gs://bucket/inception.h5"),
    ],
)
def test_weights_lie_relative_to_the_recipe(recipe, tmp_path, weights, resolved):
    section = f"feature_extractor={{kind: inception_v3, weights: '{weights}'}}"
    loaded = config.load(str(recipe), [section])
    again = tmp_path / "again.yaml"
    again.write_text(loaded.to_yaml())

    assert loaded.feature_extractor.weights == resolved.format(folder=recipe.parent)
    assert config.load(str(again)) == loaded


VECTORS = {
    "data": {"path": ".", "columns": ["wind", "rain"]},
    "trainer": {"networks": {"generator": "mlp", "discriminator": "mlp"}, "images": 9},
}


@pytest.fixture
def vectors(recipe):
    """The recipe with a table for data, and nothing said about the extractor."""
    tree = yaml.safe_load(recipe.read_text())
    del tree["feature_extractor"]
    recipe.write_text(yaml.safe_dump(tree | VECTORS))
    return recipe


def test_the_extractor_that_is_not_named_is_one_for_the_data(vectors):
    assert config.load(str(vectors)).feature_extractor.kind == "identity"
    images = ["data={path: ., image_shape: [8, 8, 1]}"]
    assert config.load(str(vectors), images).feature_extractor.kind == "classifier"
    chosen = config.load(str(vectors), ["feature_extractor.kind=their_features:make"])
    assert chosen.feature_extractor.kind == "their_features:make"
    again = vectors.with_name("again.yaml")
    again.write_text(chosen.to_yaml())
    assert config.load(str(again)) == chosen


OF_IMAGES = {
    "networks": (
        "trainer.networks.generator=dcgan",
        r"trainer: networks\.generator: dcgan makes images .*, not \[2\]; .*mlp",
    ),
    "augmentation": (
        "trainer.augmentation={transforms: [color]}",
        r"trainer: augmentation: data have shape \[2\], expected images.*; leave it out$",
    ),
    "mirror": (
        "data.mirror=true",
        "data: mirror: not used with columns, found True; leave it out$",
    ),
    "extractor": (
        "feature_extractor.kind=self_supervised",
        r"feature_extractor: kind: self_supervised takes images, .*\[2\]; .*"
        "identity or module:function$",
    ),
}


@pytest.mark.parametrize(("override", "message"), OF_IMAGES.values(), ids=OF_IMAGES)
def test_what_is_for_images_is_refused_for_vectors(vectors, override, message):
    with pytest.raises(ValueError, match=message):
        config.load(str(vectors), [override])


BROKEN_TABLES = {
    "missing column": (
        ["data.columns=[wind, sun]"],
        r"weather\.csv: no columns are called 'sun' \(data\.columns\); the columns are location, ",
    ),
    "missing labels": (["data.features.label=city"], r"'city' \(data\.features\.label\)"),
    "batch larger than what is left to train on": (
        ["trainer.batch_size=2046"],
        r"trainer\.batch_size: 2046 is more than the 2045 ",
    ),
}


@pytest.mark.parametrize(("overrides", "message"), BROKEN_TABLES.values(), ids=BROKEN_TABLES)
def test_tables_that_do_not_fit_are_found_before_anything_runs(overrides, message):
    loaded = config.load(str(DATA / "weather" / "recipe.yaml"), overrides)
    with pytest.raises(ValueError, match=message):
        config.check_data(loaded)


@pytest.mark.parametrize(("has", "expected"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_a_run_records_the_precision_that_auto_takes_here(recipe, monkeypatch, has, expected):
    shared = []
    monkeypatch.setattr(hardware, "has_bfloat16", lambda: has)
    monkeypatch.setattr(hardware, "share_cores", lambda: shared.append(True))

    networks = "trainer.networks={generator: resnet, discriminator: resnet}"
    settled = config.load(recipe, [networks]).settled()
    assert f"precision: {expected}\n" in settled.to_yaml()
    assert shared == [True] * has
    chosen = config.load(recipe, [networks, "trainer.precision=float32"])
    assert chosen.settled() == chosen
