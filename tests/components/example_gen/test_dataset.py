"""What becomes of folders and archives as people have them: one row a case."""

import io
import json
import os
import tarfile
import warnings
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import component, dataset
from components.example_gen.config import DataConfig
from components.example_gen.files import names

SHARDS = [f"{number // 3:05d}/img{number:08d}.png" for number in range(7)]

SYSTEM_FILES = ("cat/Thumbs.db", "dog/desktop.ini", ".DS_Store", "cat/._1.png", "@eaDir/1.png")


def dataset_json(labels, root=""):
    return {f"{root}dataset.json": json.dumps({"labels": labels}).encode()}


def numbered(*folders):
    return [f"{folder}/{number}.png" for number, folder in enumerate(folders)]


def classes_of(labels):
    """What names give: (label, name) of each class, in order."""
    return {name: (label, name) for label, name in enumerate(labels)}


CAT, DOG = classes_of(["cat", "dog"]).values()
NONE = (None, None)

# Files (all are images, unless their content is given), then by source the label and the name of
# its class, and what is left out, by reason: the number and the first.
CASES = {
    "StyleGAN's shards with labels": (
        [*SHARDS, dataset_json([[name, n % 2] for n, name in enumerate(SHARDS)])],
        {name: (n % 2, None) for n, name in enumerate(SHARDS)},
        {},
    ),
    "written on Windows": (
        [*SHARDS, dataset_json([[name.replace("/", "\\"), 0] for name in SHARDS])],
        dict.fromkeys(SHARDS, (0, None)),
        {},
    ),
    "one-hot labels": (
        [*SHARDS, dataset_json([[n, [0.0, 1.0] if "0001" in n else [1, 0]] for n in SHARDS])],
        {name: (int("0001" in name), None) for name in SHARDS},
        {},
    ),
    "labels with gaps": (
        [*SHARDS, dataset_json([[name, 500] for name in SHARDS])],
        dict.fromkeys(SHARDS, (0, "500")),
        {},
    ),
    "StyleGAN's shards with null": ([*SHARDS, dataset_json(None)], dict.fromkeys(SHARDS, NONE), {}),
    "StyleGAN's shards alone": (SHARDS, dict.fromkeys(SHARDS, NONE), {}),
    "FFHQ's shards": (
        ["00000/00000.png", "00000/00999.png", "01000/01000.png"],
        dict.fromkeys(["00000/00000.png", "00000/00999.png", "01000/01000.png"], NONE),
        {},
    ),
    "classes of five digits": (
        numbered("00000", "00001") + ["00000/1.png"],
        {
            "00000/0.png": (0, "00000"),
            "00000/1.png": (0, "00000"),
            "00001/1.png": (1, "00001"),
        },
        {},
    ),
    "classes and a dataset.json without labels": (
        ["cat/1.png", "dog/1.png", dataset_json(None)],
        {"cat/1.png": CAT, "dog/1.png": DOG},
        {},
    ),
    "01 and 1": (
        ["1/1.png", "01/1.png", "2/1.png"],
        {"01/1.png": (0, "01"), "1/1.png": (1, "1"), "2/1.png": (2, "2")},
        {},
    ),
    "dates": (
        ["20230101/1.png", "20230102/1.png"],
        {"20230101/1.png": (0, "20230101"), "20230102/1.png": (1, "20230102")},
        {},
    ),
    "1 to n": (["1/1.png", "2/1.png"], {"1/1.png": (1, None), "2/1.png": (2, None)}, {}),
    "a class without examples": (
        ["0/1.png", "2/1.png"],
        {"0/1.png": (0, None), "2/1.png": (2, None)},
        {},
    ),
    "more numbers missing than there": (
        ["0/1.png", "4/1.png"],
        {"0/1.png": (0, "0"), "4/1.png": (1, "4")},
        {},
    ),
    "numbers and names": (["0/1.png", "x/1.png"], {"0/1.png": (0, "0"), "x/1.png": (1, "x")}, {}),
    "a hidden class": (
        ["cat/1.png", "dog/1.png", ".cow/1.png", ".cow/2.png", "dog/.2.png"],
        {"cat/1.png": CAT, "dog/1.png": DOG},
        {names.HIDDEN: (2, ".cow")},
    ),
    "of operating systems": (
        [
            "cat/1.png",
            "dog/1.png",
            dict.fromkeys(SYSTEM_FILES, b"x"),
        ],
        {"cat/1.png": CAT, "dog/1.png": DOG},
        {names.SYSTEM: (5, ".DS_Store")},
    ),
    "captions": (
        ["1.png", "2.jpg", {"1.txt": b"a cat", "2.JSON": b"{}", "2.jpg.json": b"{}"}],
        {"1.png": NONE, "2.jpg": NONE},
        {names.TWIN: (3, "1.txt")},
    ),
    "a licence": (
        ["1.png", {"README.md": b"x", "LICENSE": b"x"}],
        {"1.png": NONE},
        {names.DOCUMENT: (2, "LICENSE")},
    ),
    "wildcards in names": (
        ["[a]/1.png", "b*/?.png", "{c}/x#y|z.png"],
        {
            "[a]/1.png": (0, "[a]"),
            "b*/?.png": (1, "b*"),
            "{c}/x#y|z.png": (2, "{c}"),
        },
        {},
    ),
    "bytes that are not UTF-8": (
        ["caf\udce9.png", "1.png"],
        {"caf\\xe9.png": NONE, "1.png": NONE},
        {},
    ),
}


def png_tree(given, png):
    """Content by path; every image has its own."""
    result = {}
    for each in given:
        for name, content in ({each: None} if isinstance(each, str) else each).items():
            result[name] = png(len(result)) if content is None else content
    return result


def to_folder(base, contents):
    for name, content in contents.items():
        path = os.path.join(base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def to_zip(path, contents, *, system=3, separator="/"):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in contents.items():
            # In a zip file, a name is bytes.
            raw = name.replace("/", separator).encode(errors="surrogateescape")
            opened.writestr(_Raw(raw, system), content)


class _Raw(zipfile.ZipInfo):
    """A member whose name is written as it is."""

    def __init__(self, raw, system):
        super().__init__("x")
        self.filename = raw.decode("latin-1")
        self.create_system = system
        self._raw = raw

    def _encodeFilenameFlags(self):  # noqa: N802
        return self._raw, self.flag_bits & ~0x800


def to_tar(path, contents):
    with tarfile.open(path, "w") as opened:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))


def read(path, **options):
    """The classes of readable records by source, the errors of others, and what is left out."""
    found = dataset.inspect(str(path), **options)
    classes, errors = {}, {}
    for shards in found.shards.values():
        for raw in (raw for shard in shards for raw in found.reader.records(shard)):
            if raw.error:
                errors[raw.source] = raw.error
            else:
                assert raw.content
                classes[raw.source] = (raw.label, raw.class_name)
    return classes, errors, {each.reason: (each.count, each.first) for each in found.left_out}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(("given", "classes", "left_out"), CASES.values(), ids=CASES)
def test_names(tmp_path, png, kind, given, classes, left_out):
    contents = png_tree(given, png)
    if kind == "folder":
        to_folder(tmp_path, contents)
        assert read(tmp_path) == (classes, {}, left_out)
        return
    path = tmp_path / f"a.{kind}"
    (to_zip if kind == "zip" else to_tar)(path, contents)
    found, errors, others = read(path)
    assert (found, errors) == ({f"a.{kind}#{name}": of for name, of in classes.items()}, {})
    # A folder is one name, its members are several.
    assert {reason: first for reason, (_, first) in others.items()}.keys() == left_out.keys()


@pytest.mark.parametrize(
    ("files", "system", "separator"),
    [
        (["photos/cat/1.png", "photos/dog/1.png"], 3, "\\"),
        (["cat/1.png", "dog/1.png"], 0, "\\"),
        (["cat/1.png", "dog/1.png", "cat/"], 0, "\\"),
        (["../cat/1.png", "../dog/1.png"], 3, "/"),
        (["/home/me/cat/1.png", "/home/me/dog/1.png"], 3, "/"),
        (["C:/me/cat/1.png", "C:/me/dog/1.png"], 0, "\\"),
    ],
)
def test_folders_in_a_zip(tmp_path, png, files, system, separator):
    contents = {name: b"" if name.endswith("/") else png(n) for n, name in enumerate(files)}
    to_zip(tmp_path / "a.zip", contents, system=system, separator=separator)
    found, errors, _ = read(tmp_path / "a.zip")
    assert (
        {name.replace("#", "/").split("/")[-2]: of for name, of in found.items()},
        errors,
    ) == (
        {"cat": CAT, "dog": DOG},
        {},
    )


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_the_last_member_of_a_name_counts(tmp_path, png, kind):
    path = tmp_path / f"a.{kind}"
    members = [("1.png", png(1)), ("./2.png", png(2)), ("2.png", png(3)), ("1.png", png(4))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as opened:
                for name, content in members:
                    opened.writestr(name, content)
        else:
            with tarfile.open(path, f"w:{kind.partition('.')[2]}") as opened:
                for name, content in members:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    opened.addfile(info, io.BytesIO(content))
    found = dataset.inspect(str(path))
    raws = [raw for shard in found.shards["all"] for raw in found.reader.records(shard)]
    assert {raw.source: raw.content for raw in raws} == {
        f"a.{kind}#1.png": png(4),
        f"a.{kind}#2.png": png(3),
    }
    assert [each.count for each in found.left_out] == [2]


def linked(base, links):
    for name, target in links.items():
        os.makedirs(os.path.dirname(os.path.join(base, name)), exist_ok=True)
        os.symlink(target, os.path.join(base, name))


@pytest.mark.parametrize(
    ("links", "also", "left_out"),
    [
        ({"self": "."}, [], (1, "self")),
        ({f"s{n}": "." for n in range(40)}, [], (40, "s0")),
        ({"cat/up": "..", "dog/down": "../cat"}, [], (2, "cat/up")),
        ({"alias": "cat"}, [], (1, "alias")),
        ({"aa": "cat", "zz": "cat"}, [], (2, "aa")),
        ({"cow": "../elsewhere/cow"}, ["cow/1.png"], None),
        ({"up": "../.."}, [], (1, "up")),
    ],
)
def test_every_file_behind_links_is_read_once(tmp_path, png, links, also, left_out):
    base = tmp_path / "data"
    to_folder(base, png_tree(["cat/1.png", "dog/1.png"], png))
    to_folder(tmp_path / "elsewhere", {"cow/1.png": png(7)})
    linked(base, links)
    os.symlink("..", tmp_path / "elsewhere" / "cow" / "back")
    found, errors, others = read(base)
    assert (sorted(found), errors) == (sorted(["cat/1.png", "dog/1.png", *also]), {})
    assert others.get(names.LINK) == (left_out or (1, "cow/back"))


def test_what_cannot_be_opened_is_named(tmp_path, png):
    to_folder(tmp_path, png_tree(["cat/1.png", "dog/1.png"], png))
    linked(tmp_path, {"cat/2.png": "nowhere.png", "cow": "nowhere"})
    os.mkfifo(tmp_path / "dog" / "2.png")
    found, errors, others = read(tmp_path)
    assert found == {"cat/1.png": CAT, "dog/1.png": DOG}
    assert errors == {
        "cat/2.png": "the file cannot be read (a broken link, to nowhere.png)",
        "dog/2.png": "the file cannot be read (not a regular file but a pipe, socket or device)",
    }
    assert others == {names.BROKEN: (1, "cow")}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_class_that_is_not_text_is_named(tmp_path, png, kind):
    contents = png_tree(["caf\udce9/1.png", "dog/1.png"], png)
    path = tmp_path / "data" if kind == "folder" else tmp_path / f"a.{kind}"
    {"folder": to_folder, "zip": to_zip, "tar": to_tar}[kind](path, contents)
    found, errors, _ = read(path)
    assert list(found.values()) == [(0, "dog")]
    ((source, reason),) = errors.items()
    assert source.endswith("caf\\xe9/1.png")
    assert "is not UTF-8" in reason


SPLITS = {
    "train, val and test": (["train", "val", "test"], "train", "test"),
    "valid": (["train", "valid"], "train", "valid"),
    "validation and testing": (["training", "validation", "testing"], "training", "testing"),
    "capitals": (["Train", "Val", "Test"], "Train", "Test"),
    "eval": (["train", "eval", "test"], "train", "test"),
    "years": (["train2017", "val2017"], "train2017", "val2017"),
    "sets": (["training_set", "test_set"], "training_set", "test_set"),
}


@pytest.mark.parametrize(
    "kind", ["folder", "flat folder", "zip", "tar", "parquet", "nested parquet"]
)
@pytest.mark.parametrize(("splits", "train", "held_out"), SPLITS.values(), ids=SPLITS)
def test_splits(tmp_path, png, kind, splits, train, held_out):
    if "parquet" in kind:
        for number, split in enumerate(splits):
            path = tmp_path / ("data" if "nested" in kind else ".")
            path.mkdir(exist_ok=True)
            image = [{"bytes": png(number), "path": None}]
            table = pa.table({"image": image, "label": [0]})
            pq.write_table(table, path / f"{split}-00000-of-00001.parquet")
    else:
        name = "{}/1.png" if "flat" in kind else "{}/cat/1.png"
        contents = png_tree([name.format(split) for split in splits], png)
        to = {"zip": to_zip, "tar": to_tar}.get(kind, to_folder)
        to(tmp_path if "folder" in kind else tmp_path / f"a.{kind}", contents)
    found = dataset.inspect(str(tmp_path))
    sources = {
        split: [raw.source for shard in shards for raw in found.reader.records(shard)]
        for split, shards in found.shards.items()
    }
    assert {split: len(listed) for split, listed in sources.items()} == {"train": 1, "eval": 1}
    assert (train in sources["train"][0], held_out in sources["eval"][0]) == (True, True)
    assert [each.count for each in found.left_out] == [1] * (len(splits) - 2)


def test_val_is_eval_where_the_classes_of_test_are_secret(tmp_path, png):
    to_folder(tmp_path, png_tree(["train/cat/1.png", "val/cat/1.png", "test/1.png"], png))
    assert dataset.inspect(str(tmp_path)).splits == {"train": "train/*/*", "eval": "val/*/*"}


@pytest.mark.parametrize(
    "tops", [["train", "tram"], ["train set", "bus"], ["steam train", "model train"]]
)
def test_classes_that_are_called_as_splits(tmp_path, png, tops):
    to_folder(tmp_path, png_tree([f"{top}/1.png" for top in tops], png))
    assert dataset.inspect(str(tmp_path)).splits == {"all": "*/*"}


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ("file;label\nimg/1.png;cat\nimg/2.png;dog", [CAT, DOG]),
        ("file\tlabel\nimg/1.png\tcat\nimg/2.png\tdog", [CAT, DOG]),
        ("file, label\r\nimg/1.png, cat\r\nimg/2.png, dog", [CAT, DOG]),
        ("file,label\nimg\\1.png,cat\nimg\\2.png,dog", [CAT, DOG]),
        ("file,label\n{base}/img/1.png,cat\n{base}/img/2.png,dog", [CAT, DOG]),
        ("file,label\nimg/1.PNG,cat", "none of its 1 rows .* 'img/1.PNG', .*'img/1.png'"),
        ("file,label\n1.png,cat", "the first names '1.png', the first file is 'img/1.png'"),
        ("name,kind\n1.png,cat", "the columns are name, kind"),
    ],
)  # fmt: skip
def test_labels(tmp_path, png, rows, labels):
    to_folder(tmp_path, png_tree(["img/1.png", "img/2.png"], png))
    (tmp_path / "labels.csv").write_text(rows.format(base=tmp_path))
    if isinstance(labels, str):
        with pytest.raises(ValueError, match=f"labels.csv: .*{labels}"):
            read(tmp_path, labels="labels.csv")
    else:
        assert read(tmp_path, labels="labels.csv") == (
            dict(zip(["img/1.png", "img/2.png"], labels, strict=True)),
            {},
            {},
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "dataset.json: expected labels as StyleGAN's tools"),
        (b'{"labels": [1, 2]}', "expected labels"),
        (b'{"labels": "cat"}', "expected labels"),
        (b'{"labels": [["1.png", -1]]}', "the label -1 is not a class"),
        (b'{"labels": [["1.png", [0.5, 0.5]]]}', r"the label \[0.5, 0.5\] is not a class"),
        (b'{"labels": [["2.png", 0]]}', "none of its 1 rows names a file"),
        (b"\xff", "expected labels"),
    ],
)
def test_a_dataset_json_that_is_something_else(tmp_path, png, content, message):
    to_folder(tmp_path, {"1.png": png(1), "dataset.json": content})
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "folder",
    ["[x]", "*", "a?b", "{a}", "{SPAN}", " a b ", "#", "%41", ":", "ü", "new\nline", "-rf", "a|b",
     "a\\b", "photos.zip", "1.png"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["folder", "zip", "parquet"])
def test_any_path(tmp_path, png, folder, kind):
    base = tmp_path / folder
    base.mkdir()
    (tmp_path / "other").mkdir()
    contents = png_tree(["cat/1.png", "dog/1.png"], png)
    if kind == "folder":
        to_folder(base, contents)
    elif kind == "zip":
        to_zip(base / f"{folder}.zip", contents)
    else:
        pq.write_table(pa.table({"image": list(contents.values())}), base / f"{folder}.parquet")
    for path in (base, *(base / name for name in os.listdir(base) if "." in name)):
        config = DataConfig(path=str(path), image_shape=(8, 8, 1))
        if folder == "{SPAN}" and kind != "folder":
            with pytest.raises(ValueError, match="a span in a file.*called {SPAN}; rename"):
                component.find(config)
            continue
        place = component.find(config)
        shards = config.reader().shards(place["base"], json.loads(place["splits"]))
        raws = [raw for shard in shards["all"] for raw in config.reader().records(shard)]
        assert [raw.error for raw in raws] == [None, None]


def test_a_path_that_is_not_text(tmp_path, png):
    base = os.path.join(tmp_path, "caf\udce9")
    to_folder(base, {"1.png": png(1), "d/caf\udce9.tfrecord": b""})
    with pytest.raises(ValueError, match=r"caf\\xe9: the path is not UTF-8; rename it"):
        dataset.inspect(base)
    with pytest.raises(ValueError, match=r"d: caf\\xe9.tfrecord: the name is not UTF-8"):
        os.rename(base, tmp_path / "e")
        dataset.inspect(str(tmp_path / "e" / "d"))
