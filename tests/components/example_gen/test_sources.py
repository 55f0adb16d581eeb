import pytest
import tensorflow as tf

from components.example_gen import dataset, sources
from components.example_gen.formats.registry import READERS


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/data/photos", "/data/photos"),
        ("gs://bucket/photos", "gs://bucket/photos"),
        ("/data/photos.zip", "/data"),
        ("/data/photos.tar.gz", "/data"),
        ("/data/x_train.npy", "/data"),
        ("/data/1.jpg", "/data"),
        ("/data/train-images-idx3-ubyte", "/data"),
        ("/data/a*/b", "/data"),
        ("/data/span-{SPAN}/v{VERSION:3}", "/data"),
        ("photos.zip", "."),
        ("*.zip", "."),
        ("/*", "/"),
        (["/data/a", "/data/b"], "/data"),
        (["/data/a/1.zip", "/data/b/2.zip"], "/data"),
        (["/data/a", "/data/a/b"], "/data"),
        (["/data/a.zip"], "/data"),
        (["gs://bucket/a/*.parquet", "gs://bucket/b/*.parquet"], "gs://bucket"),
        (["/a/1.zip", "/b/2.zip"], "/"),
    ],
)
def test_base(path, base):
    assert sources.base_of(path) == base


@pytest.fixture
def photos(tree, png):
    names = ["a/cat/1.png", "a/dog/2.png", "b/cat/3.png", "flat/4.png", "flat/5.png", "flat/n.txt"]
    return tree({name: png(index) for index, name in enumerate(names)})


@pytest.mark.parametrize(
    ("paths", "splits", "sources_of"),
    [
        ("a", {"all": "*/*"}, ["cat/1.png", "dog/2.png"]),
        ("flat/*.png", {"all": "*.png"}, ["4.png", "5.png"]),
        ("flat/4.png", {"all": "4.png"}, ["4.png"]),
        (
            ["a", "b"],
            {"all": "a/*/*|b/*/*"},
            ["a/cat/1.png", "a/dog/2.png", "b/cat/3.png"],
        ),
        (["flat/4.png", "flat/5.png"], {"all": "*.png"}, ["4.png", "5.png"]),
        (["b/*/*.png", "flat/5.png"], {"all": "b/cat/3.png|flat/5.png"},
         ["b/cat/3.png", "flat/5.png"]),
        ("[ab]", None, None),
    ],
)  # fmt: skip
def test_one_path_a_list_or_a_glob(photos, paths, splits, sources_of):
    full = f"{photos}/{paths}" if isinstance(paths, str) else [f"{photos}/{each}" for each in paths]
    reader = READERS.get("folder")()
    if splits is None:
        with pytest.raises(FileNotFoundError):
            dataset.find(full, reader)
        return
    found = dataset.find(full, reader)
    assert found.patterns == found.splits == splits
    (shards,) = reader.shards(found.base, found.splits).values()
    assert [entry.name for shard in shards for entry in shard.entries] == sources_of


def test_labels_agree_over_a_list(photos):
    reader = READERS.get("auto")()
    found = dataset.find([f"{photos}/a", f"{photos}/b"], reader)
    (shards,) = reader.shards(found.base, found.splits).values()
    labels = {image.source: image.label for shard in shards for image in reader.read(shard)}
    assert labels == {"a/cat/1.png": 0, "a/dog/2.png": 1, "b/cat/3.png": 0}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("none", FileNotFoundError),
        ("none/*.png", FileNotFoundError),
        (["flat", "none/*"], FileNotFoundError),
        ("none-{SPAN}", ValueError),
    ],
)
def test_missing(photos, path, error):
    full = f"{photos}/{path}" if isinstance(path, str) else [f"{photos}/{each}" for each in path]
    with pytest.raises(error, match="none"):
        dataset.find(full, READERS.get("folder")())


def test_splits_in_a_list_by_the_names_of_folders(tree, png):
    base = tree({"x/train/1.png": png(1), "y/test/2.png": png(2)})
    found = dataset.find([f"{base}/x/train", f"{base}/y/test"], READERS.get("auto")())
    assert found.splits == {"train": "x/train/*", "eval": "y/test/*"}


def write(path, content):
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


@pytest.mark.parametrize("kind", ["local", "ram"])
def test_spans_and_versions(tmp_path, png, kind):
    base = str(tmp_path) if kind == "local" else f"ram://{tmp_path.name}"
    for name in ("span-9/v1", "span-10/v2", "span-10/v10", "other/v1"):
        write(f"{base}/{name}/train/cat/1.png", png(1))
        write(f"{base}/{name}/test/cat/2.png", png(2))
    found = dataset.find(f"{base}/span-{{SPAN}}/v{{VERSION}}", READERS.get("folder")())
    assert found.base == base
    assert found.patterns == {
        "train": "span-{SPAN}/v{VERSION}/train/*/*",
        "eval": "span-{SPAN}/v{VERSION}/test/*/*",
    }
    assert found.splits["train"] == "span-10/v10/train/*/*"
    assert sources.latest(base, found.patterns) == found.splits


@pytest.mark.parametrize(
    ("names", "pattern", "latest"),
    [
        (["001.zip", "002.zip"], "{SPAN:3}.zip", "002.zip"),
        (["2024-12-31", "2025-01-02"], "{YYYY}-{MM}-{DD}/*", "2025-01-02/*"),
        (["a-1.zip", "b-2.zip"], "*-{SPAN}.zip#train/*", "*-2.zip#train/*"),
        (["1"], "plain/*", "plain/*"),
    ],
)
def test_latest(tree, names, pattern, latest):
    base = tree({name if "." in name else f"{name}/a": b"" for name in names})
    assert sources.latest(base, {"all": pattern}) == {"all": latest}
