"""The report: what it shows of an evaluation, and what a browser makes of it."""

import base64
import dataclasses
import gzip
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from components.data.columns import Column
from components.evaluator.evaluation import (
    ClassRow,
    ColumnRow,
    Evaluation,
    Pictures,
    Score,
    Vectors,
    Verdict,
)
from components.evaluator.metrics.registry import METRICS
from components.evaluator.report import plots, report

DATA = Path(__file__).parents[4] / "data" / "fashion_mnist" / "t10k-images-idx3-ubyte.gz"
PLAUSIBLE = {
    "fid": 21.063,
    "kid": -0.0034191,
    "inception_score": 6.143,
    "sliced_wasserstein": 31415,
}
SUBJECTS = {
    "model": 1,
    "on_train": 0.8,
    "baseline": 1.2,
    "best": 0.9,
    "train": 0.1,
    "halves": 0.05,
    "untrained": 17,
    "noise": 20,
}
HOSTILE = """</style><script>alert(1)</script><img src=x onerror="alert('2')">&amp;{{ 7 * 7 }}"""


def score(value, spread=0.1, **details):
    return Score(value, value - spread * abs(value), value + spread * abs(value), details)


def scores(factor):
    return {name: score(factor * PLAUSIBLE.get(name, 0.5)) for name in METRICS.names()}


def noisy(images, seed, amount):
    rng = np.random.default_rng(seed)
    return np.clip(images + amount * rng.normal(size=images.shape), 0, 255).astype(np.uint8)


def table(names, rows=200):
    """Vectors; the later the column, the further off its fakes."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(rows, len(names))).astype(np.float32)
    fake = real[::-1] + 0.1 * np.arange(len(names), dtype=np.float32)
    return Vectors(
        [
            ColumnRow(Column(name=name), score(0.1 * place), 0.0, 0.0, 0.0, 0.1 * place, 1.0, 1.0)
            for place, name in enumerate(names)
        ],
        real,
        fake,
    )


def mixed():
    """A number, a date, categories and truths, of which some are missing."""
    columns = [
        Column(name="temp_max"),
        Column(name="date", type="datetime", format="%d.%m.%Y"),
        Column(name="a_column_whose_name_is_longer_than_names_are", type="categorical"),
        Column(name="rain", type="boolean", missing=True),
    ]
    day = 86400e6
    rng = np.random.default_rng(0)
    real, fake = (
        np.stack(
            [
                rng.normal(size=200),
                day * rng.integers(15_000, 15_000 + spread, 200),
                rng.integers(0, 9, 200),
                rng.choice([0, 1, np.nan], 200),
            ],
            axis=1,
        )
        for spread in (400, 500)
    )
    numbers = [
        (0.0, 0.1, 1.0, 1.0),
        (15_200 * day, 15_250.5 * day, 115 * day, 144.5 * day),
        (None,) * 4,
        (None,) * 4,
    ]
    rows = [
        ColumnRow(column, score(0.1 * place), 0.25 * place, 0.1, *of_column)
        for place, (column, of_column) in enumerate(zip(columns, numbers, strict=True))
    ]
    categories = {columns[2].name: tuple("abcdefghi"), "rain": ("no", "yes")}
    return Vectors(rows, real, fake, categories)


@pytest.fixture(scope="session")
def clothes():
    """Photographs [n, 28, 28, 1]."""
    content = gzip.decompress(DATA.read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28, 1)


@pytest.fixture(scope="session")
def full(clothes):
    """An evaluation that fills every section, of images and of vectors at once."""
    fake = noisy(clothes[64:128], 0, 40)
    steps = np.linspace(0, 1, 10).reshape(1, 10, 1, 1, 1)
    between = (1 - steps) * clothes[200:206, np.newaxis] + steps * clothes[206:212, np.newaxis]
    of_model = scores(1) | {"copies": score(0.012, p_value=0.2, nearer=0.48)}
    return Evaluation(
        model="/runs/fashion-mnist/artifacts/GANTrainer/model/6",
        verdicts=[
            Verdict("FID at most 60", "21.06 [20.1, 22.2]", True, "fid"),
            Verdict("Recall at least 0.6", "0.5 [0.45, 0.55]", False, "recall"),
            Verdict("Real images are nearer than fakes", "FID 1 against 2", True),
        ],
        scores={name: scores(factor) for name, factor in SUBJECTS.items()} | {"model": of_model},
        changes={
            "fid": Score(-4.2, -6.1, -2.3),
            "kid": Score(0.001, -0.002, 0.004),
            "recall": Score(-0.2, -0.3, -0.1),
        },
        classes=[
            ClassRow(
                label,
                real_share=0.1,
                fake_share=0.02 * label + 0.01,
                name="ankle boot" if label == 9 else None,
                scores={"accuracy": Score(0.9), "fid": score(30 + label)} if label else {},
            )
            for label in range(10)
        ],
        pictures=Pictures(
            real=clothes[:64],
            fake=fake,
            interpolations=between.astype(np.uint8),
            best=fake[:16],
            worst=noisy(fake[:16], 1, 60),
            nearest=np.stack([fake[:8], clothes[64:72], clothes[:8], clothes[8:16]], axis=1),
        ),
        vectors=mixed(),
        log=[
            {
                "step": step,
                "images": 2000 * step,
                "images_per_second": 350 + 20 * math.sin(step),
                "generator_loss": 1 + 1 / step,
                "discriminator_loss": 1.4 - 0.5 / step,
                **({"fid": 300 / step, "kid": 80 / step} if step % 5 == 0 else {}),
            }
            for step in range(1, 76)
        ],
        data={"shape": [28, 28, 1], "train examples": 6000, "eval examples": 1000},
        protocol={
            "extractor": {"name": "fashion-mnist classifier", "id": "0123456789abcdef"},
            "counts": {"eval": 1000, "model": 1000},
            "settings": {"seed": 0, "kid_subsets": 100},
        },
        lineage={
            "span": 3,
            "artifacts": {"model": {"id": 6, "uri": "/a"}, "data": {"id": 1}},
        },
        stages={
            "ImageExampleGen": {"seconds": 31.25, "peak_gb": 1.5, "cached": True},
            "GANTrainer": {"seconds": 60.04, "peak_gb": 2.125, "cached": False},
        },
        config={"trainer": {"images": 150_000}, "evaluator": {"gate": {"bounds": {"fid": 60}}}},
    )


@pytest.fixture(scope="session")
def plain(full):
    """The same without charts, which take most of the time."""
    return dataclasses.replace(full, log=[], vectors=None)


@pytest.fixture(scope="session")
def bare():
    """An evaluation with as little as possible."""
    return Evaluation(
        model="/model",
        verdicts=[],
        scores={"model": {"fid": Score(3.5)}},
        changes={},
        classes=[],
        pictures=None,
        vectors=None,
        log=[],
        data={},
        protocol={},
        lineage={},
        stages={},
        config={},
    )


@pytest.fixture(scope="session")
def text(full):
    return report.render(full)


@pytest.fixture(scope="session")
def full_page(text):
    return Page(text)


@pytest.fixture(scope="session")
def plain_page(plain):
    return Page(report.render(plain))


class Page(HTMLParser):
    """A page's elements in order, as (tag, attributes, text inside)."""

    VOID = ("img", "meta", "use", "br")

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in self.VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, text):
        for element in self._open:
            element[2] += text

    @property
    def text(self):
        return self.elements[0][2]

    @property
    def tags(self):
        return [tag for tag, _, _ in self.elements]

    def having(self, attribute):
        return [
            (tag, attributes, " ".join(text.split()))
            for tag, attributes, text in self.elements
            if attribute in attributes
        ]

    def sections(self):
        return [attributes["id"] for tag, attributes, _ in self.elements if tag == "h2"]

    def pictures(self):
        """By the text that stands for it, as arrays."""
        found = {}
        for tag, attributes, _ in self.elements:
            if tag == "img":
                data = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"))
                found[attributes["alt"]] = np.asarray(Image.open(io.BytesIO(data)))
        return found


def in_json(evaluation):
    """(subject, metric) to the score, and (subject, metric, detail) to the number, of the file."""
    content = json.loads(json.dumps(evaluation.to_json()))
    found = {}
    for subject, of_subject in {
        "model": content["metrics"],
        "change": content["changes"],
        **content["references"],
        **{f"class {row['label']}": row["scores"] for row in content["classes"]},
    }.items():
        for name, entry in of_subject.items():
            found[subject, name] = (entry["value"], entry["low"], entry["high"])
            for detail, value in entry["details"].items():
                found[subject, name, detail] = (value, None, None)
    for row in content["classes"]:
        for share in ("real_share", "fake_share"):
            found[f"class {row['label']}", share] = (row[share], None, None)
    for row in content["columns"]:
        subject = f"column {row.pop('name')}"
        distance = row.pop("distance")
        found[subject, "distance"] = (distance["value"], distance["low"], distance["high"])
        del row["type"]
        for name, value in row.items():
            if value is not None:
                found[subject, name] = (value, None, None)
    return found


# What the page shows instead of microseconds.
DATES = {
    ("column date", "real_mean"): "14.08.2011",
    ("column date", "fake_mean"): "03.10.2011",
    ("column date", "real_deviation"): "115 days",
    ("column date", "fake_deviation"): "144.5 days",
}


def same(one, other):
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def as_read(text):
    """The numbers a reader finds in a text."""
    numbers = re.findall(r"[-+]?(?:\d[\d,]*\.?\d*(?:e[-+]\d+)?|nan|inf)(?: %)?", text)
    return [
        float(found.replace(",", "").removesuffix(" %")) * (0.01 if "%" in found else 1)
        for found in numbers
    ]


def assert_shows(cells, evaluation):
    """That cells (attributes by name, text) show every number of metrics.json, and no other."""
    expected = in_json(evaluation)
    shown, subject = set(), None
    for attributes, text in cells:
        if "data-detail" in attributes:
            # Inside the cell of its score, which comes before it.
            key = (*subject, attributes["data-detail"])
        else:
            key = subject = (attributes["data-subject"], attributes["data-metric"])
        shown.add(key)
        exact = [
            json.loads(attributes[f"data-{part}"]) if f"data-{part}" in attributes else None
            for part in ("value", "low", "high")
        ]
        assert all(map(same, exact, expected[key])), key
        there = [value for value in exact if value is not None]
        if key in DATES:
            assert text == DATES[key]
            continue
        read = as_read(text)[: len(there)]
        share = 6e-4 if "%" in text else 1e-12
        assert read == pytest.approx(there, rel=1e-3, abs=share, nan_ok=True), (key, text)
    assert shown == set(expected)


def shown(page):
    return [cell[1:] for cell in page.having("data-value")]


def test_the_page_shows_the_numbers_of_metrics_json_and_no_others(full, full_page):
    assert_shows(shown(full_page), full)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="bare"),
        pytest.param(
            {
                "scores": {subject: {"fid": Score(1)} for subject in ("model", "baseline")},
                "changes": {"fid": Score(1.5)},
            },
            id="change without interval",
        ),
        pytest.param(
            {
                "scores": {
                    "model": {"fid": Score(math.nan), "kid": Score(math.inf, -math.inf, math.inf)},
                    "baseline": {"recall": Score(1e-9, 0, 2e12, {"p_value": math.nan})},
                },
                "changes": {"fid": Score(math.nan, math.nan, math.nan)},
                "classes": [ClassRow(3, math.nan, math.nan, {"accuracy": Score(math.nan)})],
            },
            id="not finite",
        ),
    ],
)
def test_missing_and_non_finite_numbers_are_shown_as_they_are(bare, change):
    evaluation = dataclasses.replace(bare, **change)

    assert_shows(shown(Page(report.render(evaluation))), evaluation)


@pytest.mark.parametrize(
    ("change", "without"),
    [
        ({}, []),
        ({"pictures": None}, ["samples", "neighbours", "extremes"]),
        ({"verdicts": []}, ["gate"]),
        ({"log": [{"images": 1, "generator_loss": math.nan}]}, []),
        ({"classes": []}, ["classes"]),
        ({"data": {}, "lineage": {}}, ["data", "lineage"]),
        ({"stages": {}}, ["stages"]),
        ({"protocol": {}, "config": {}}, ["protocol", "configuration"]),
    ],
    ids=lambda value: ",".join(value),
)
def test_empty_sections_are_left_out(plain, full_page, change, without):
    page = Page(report.render(dataclasses.replace(plain, **change)))

    left_out = ["training", "columns", *without]
    assert page.sections() == [name for name in full_page.sections() if name not in left_out]


def test_stages_are_listed_with_what_they_took(full_page):
    rows = [text.split() for tag, _, text in full_page.elements if tag == "tr" and "GB" not in text]

    assert ["ImageExampleGen", "31.2", "1.50", "cached"] in rows
    assert ["GANTrainer", "60.0", "2.12"] in rows


@pytest.mark.parametrize("protocol", [{}, {"seed": 0}], ids=["without protocol", "with protocol"])
def test_every_section_is_linked_and_no_other(plain, protocol):
    page = Page(report.render(dataclasses.replace(plain, protocol=protocol)))

    links = {attributes["href"] for tag, attributes, _ in page.elements if tag == "a"}
    assert links == {f"#{name}" for name in page.sections()}


@pytest.mark.parametrize(
    ("passed", "title", "reasons"),
    [
        ([], "Generator measured", []),
        ([True, True], "Generator ✓ blessed", []),
        ([True, False], "Generator ✗ refused", ["✗ rule 1: found 1"]),
        ([False, False], "Generator ✗ refused", ["✗ rule 0: found 0", "✗ rule 1: found 1"]),
    ],
)
def test_the_verdict_stands_at_the_top_with_its_reasons(bare, passed, title, reasons):
    verdicts = [
        Verdict(f"rule {place}", f"found {place}", kept) for place, kept in enumerate(passed)
    ]
    page = Page(report.render(dataclasses.replace(bare, verdicts=verdicts)))
    header = next(text for tag, _, text in page.elements if tag == "header")
    (headline,) = (text for tag, _, text in page.elements if tag == "h1")
    items = [text for tag, _, text in page.elements if tag == "li" and "rule" in text]
    rows = [text for _, _, text in page.having("data-passed")]

    assert page.sections() == ["metrics", "gate"] if passed else ["metrics"]
    assert " ".join(headline.split()) == title
    assert items == reasons
    assert all(reason in header for reason in reasons)
    assert rows == [
        f"rule {place} found {place} {'✓ passed' if kept else '✗ failed'}"
        for place, kept in enumerate(passed)
    ]


@pytest.mark.parametrize(
    ("metric", "change", "words"),
    [
        ("fid", Score(-2, -3, -1), "-2 [-3, -1] ✓ better"),
        ("fid", Score(2, 1, 3), "+2 [+1, +3] ✗ worse"),
        ("recall", Score(0.2, 0.1, 0.3), "+0.2 [+0.1, +0.3] ✓ better"),
        ("recall", Score(-0.2, -0.3, -0.1), "-0.2 [-0.3, -0.1] ✗ worse"),
        ("fid", Score(-2, -5, 1), "-2 [-5, +1] ≈ not distinguishable"),
        ("recall", Score(0, 0, 0), "0 [0, 0] ≈ not distinguishable"),
        ("fid", Score(math.nan, math.nan, math.nan), "nan [nan, nan] ≈ not distinguishable"),
        ("fid", Score(-2), "-2 no interval"),
    ],
)
def test_a_change_is_better_or_worse_where_its_interval_says_so(bare, metric, change, words):
    subjects = {name: {metric: Score(1)} for name in ("model", "baseline")}
    evaluation = dataclasses.replace(bare, scores=subjects, changes={metric: change})
    page = Page(report.render(evaluation))

    assert [
        text
        for _, attributes, text in page.having("data-subject")
        if attributes["data-subject"] == "change"
    ] == [words]


@pytest.mark.parametrize("name", ["shirt", HOSTILE, "7", None])
def test_a_class_is_shown_by_its_name(bare, name):
    row = ClassRow(7, real_share=0.5, fake_share=0.5, name=name)

    page = Page(report.render(dataclasses.replace(bare, classes=[row])))

    text = " ".join(page.text.split())
    if name in ("7", None):
        assert "class 7" not in text
    else:
        assert f"{name} class 7 50.0 %" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (21.0634, "21.06"),
        (0.00012345, "0.0001234"),
        (-0.34191, "-0.3419"),
        (9999.4, "9999"),
        (31415.9, "31,416"),
        (2e12, "2e+12"),
        (0, "0"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert report.number(value) == text


def placeholder(of, *_):
    """Instead of a chart, which takes time to draw."""
    title = of if isinstance(of, str) else of.name
    return plots.Chart(title, "<svg></svg>", title)


def page_of(name):
    """A page on which every name from outside is this one."""
    evaluation = Evaluation(
        model=name,
        verdicts=[Verdict(name, name, False, "fid")],
        scores={"model": {"fid": Score(1, details={name: 2})}},
        changes={},
        classes=[],
        pictures=None,
        # A column has a name.
        vectors=table([name or "x"], rows=5),
        log=[],
        data={name: name},
        protocol={"a": {name: name}},
        lineage={"a": {name: {name: [name]}}},
        stages={name: {"seconds": 1.0, "peak_gb": 1.0, "cached": True}},
        config={name: name},
    )
    with mock.patch.object(plots, "histogram", placeholder):
        return Page(report.render(evaluation))


@pytest.fixture(scope="session")
def tags():
    return page_of("name").tags


@given(name=st.text() | st.text("<>&\"'/!-ab "))
@example(name=HOSTILE)
@settings(max_examples=25, deadline=None)
def test_no_name_from_outside_changes_the_page(tags, name):
    page = page_of(name)

    assert page.tags == tags
    assert page.text.count(name) >= 8


def test_a_hostile_name_in_a_chart_stays_text(bare):
    line = {"images": 1, f"{HOSTILE[:25]}$x^_loss": 1.0, "generator_loss": 1.0}
    text = report.render(
        dataclasses.replace(
            bare,
            model=HOSTILE,
            log=[line, {**line, "images": 2}],
            vectors=table([HOSTILE, "$x^", HOSTILE[:20]], rows=5),
        )
    )
    page = Page(text)

    assert "<script" not in text
    assert "onerror" not in {key for _, attributes, _ in page.elements for key in attributes}
    assert HOSTILE in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_the_page_needs_nothing_beside_it(text, full_page):
    sources = [
        value
        for _, attributes, _ in full_page.elements
        for key, value in attributes.items()
        if key in ("src", "href", "xlink:href")
    ]
    assert sources
    assert all(re.match(r"#|data:image/png;base64,", source) for source in sources)
    assert not re.search(r"url\((?!#)|@import", text)
    assert not {"script", "link", "iframe", "object"} & set(full_page.tags)
    assert "default-src 'none'" in text
    assert len(text) < 1e6


def test_the_page_can_be_read_aloud(full_page):
    page = full_page
    identifiers = [attributes["id"] for _, attributes, _ in page.having("id")]
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]

    assert len(identifiers) == len(set(identifiers))
    for _, attributes, _ in page.having("aria-labelledby"):
        assert attributes["aria-labelledby"] in identifiers
    for tag, attributes, _ in page.elements:
        assert tag != "img" or attributes["alt"]
        assert tag != "th" or attributes["scope"] in ("row", "col")
        assert attributes.get("role") != "img" or attributes["aria-label"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1


def test_the_pictures_are_those_of_the_evaluation(full, full_page):
    pictures = full_page.pictures()

    def tile(name, row, column):
        return pictures[name][29 * row : 29 * row + 28, 29 * column : 29 * column + 28]

    shown = full.pictures
    np.testing.assert_array_equal(tile("Grid of 64 real images", 1, 2), shown.real[10, ..., 0])
    np.testing.assert_array_equal(tile("Grid of 64 generated images", 7, 7), shown.fake[63, ..., 0])
    between = tile("Rows of 10 generated images that change step by step", 5, 9)
    np.testing.assert_array_equal(between, shown.interpolations[5, 9, ..., 0])
    np.testing.assert_array_equal(tile("The 16 most realistic fakes", 0, 1), shown.best[1, ..., 0])
    worst = tile("The 16 least realistic fakes", 0, 1)
    np.testing.assert_array_equal(worst, shown.worst[1, ..., 0])
    np.testing.assert_array_equal(pictures["Fake 8"], shown.nearest[7, 0, ..., 0])


@pytest.mark.parametrize(
    "empty", ["real", "fake", "interpolations", "best", "worst", "nearest"], ids=str
)
def test_missing_pictures_are_left_out(plain, plain_page, empty):
    nothing = np.empty((0, *np.shape(getattr(plain.pictures, empty))[1:]), np.uint8)
    pictures = dataclasses.replace(plain.pictures, **{empty: nothing})

    page = Page(report.render(dataclasses.replace(plain, pictures=pictures)))

    lost = set(plain_page.pictures()) - set(page.pictures())
    assert len(lost) == (9 if empty == "nearest" else 1)


def test_large_pictures_are_scaled_down(plain):
    large = np.zeros((64, 256, 256, 3), np.uint8)
    pictures = dataclasses.replace(plain.pictures, real=large)

    page = Page(report.render(dataclasses.replace(plain, pictures=pictures)))

    assert page.pictures()["Grid of 64 real images"].shape == (1024, 1024, 3)


@pytest.mark.parametrize(("count", "drawn", "matrices"), [(1, 1, 0), (2, 2, 2), (26, 24, 2)])
def test_the_columns_that_differ_most_are_drawn_and_all_are_listed(
    bare, monkeypatch, count, drawn, matrices
):
    monkeypatch.setattr(plots, "histogram", placeholder)
    monkeypatch.setattr(plots, "matrix", placeholder)
    names = [f"column {place}" for place in range(count)]
    page = Page(report.render(dataclasses.replace(bare, vectors=table(names, rows=20))))

    assert page.sections() == ["columns", "metrics"]
    captions = [text for tag, _, text in page.elements if tag == "figcaption"]
    assert captions == names[::-1][:drawn] + ["Real", "Generated"][:matrices]
    rows = [text for tag, _, text in page.elements if tag == "th" and text.startswith("column")]
    assert rows == names[::-1]
    assert (f"The 24 columns that differ most, of {count}." in page.text) == (count > drawn)


# What a browser makes of it.

VIEWS = {
    "light": {"dark": False, "width": 1280, "height": 900, "mobile": False},
    "dark": {"dark": True, "width": 1280, "height": 900, "mobile": False},
    "phone": {"dark": False, "width": 360, "height": 740, "mobile": True},
}
CELLS = """
return [...document.querySelectorAll('[data-value]')].map(e => [
  Object.fromEntries([...e.attributes].map(a => [a.name, a.value])), e.innerText]);
"""


@pytest.fixture(scope="session")
def url(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text)
    return path.as_uri()


@pytest.fixture(scope="module", params=VIEWS.values(), ids=list(VIEWS))
def view(request, browser, url):
    """The page, opened in one of the views."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if request.param["dark"] else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    screen = {name: request.param[name] for name in ("width", "height", "mobile")}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**screen, "deviceScaleFactor": 1}
    )
    browser.get_log("performance")
    browser.get(url)
    return request.param


def test_the_browser_logs_no_error_and_fetches_nothing(browser, view, url):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    fetched = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }

    assert browser.get_log("browser") == []
    # The browser's own pages may still be loading when the report's turn comes.
    own = ("data:", "chrome:")
    assert {found for found in fetched if not found.startswith(own)} == {url}


def test_the_page_is_as_wide_as_the_screen(browser, view):
    widths = browser.execute_script(
        "const e = document.documentElement; return [e.clientWidth, e.scrollWidth];"
    )

    # A desktop has a scroll bar.
    assert view["width"] - 20 < widths[0] <= view["width"]
    assert widths[1] <= widths[0]


def test_the_rendered_numbers_are_those_of_metrics_json(browser, view, full):
    assert_shows(browser.execute_script(CELLS), full)


@pytest.mark.parametrize(("tag", "count"), [("img", 21), ("svg", 10)])
def test_pictures_and_charts_are_visible(browser, view, tag, count):
    sizes = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => "
        "[e.naturalWidth ?? e.clientWidth, e.clientWidth, e.clientHeight]);",
        tag,
    )

    assert len(sizes) == count
    assert np.min(sizes) > {"img": 20, "svg": 100}[tag]


def test_text_is_light_on_dark_or_dark_on_light_with_contrast(browser, view, contrasts):
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor;")
    found = contrasts()

    assert (max(map(float, re.findall(r"\d+", paper))) < 128) == view["dark"]
    assert len(found) > 200
    assert [each for each in found if each[1] < 4.5] == []
