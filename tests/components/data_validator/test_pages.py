from html.parser import HTMLParser

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.data import examples
from components.data_validator import pages
from components.data_validator.pages import Finding, ValidationResult

ANOMALIES = """
anomaly_info {
  key: "image/mean"
  value {
    short_description: "Multiple errors" description: "Both."
    reason { short_description: "Out of range" description: "Too bright." }
    reason { short_description: "Another distribution" description: "Too far." }
  }
}
anomaly_info {
  key: "image/blank"
  value { short_description: "Column dropped" description: "It is missing." }
}
dataset_anomaly_info { short_description: "Few" description: "Too few." }
"""
FOUND = (
    Finding("train", "image/blank", "Column dropped", "It is missing."),
    Finding("train", "image/mean", "Out of range", "Too bright."),
    Finding("train", "image/mean", "Another distribution", "Too far."),
    Finding("train", pages.DATA_SET, "Few", "Too few."),
)


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data.strip())

    @property
    def text(self):
        return " ".join(filter(None, self.words))


def result(**options):
    counts = {"rejected": 0, "duplicates": 7, "dropped": 0}
    return ValidationResult(
        "photos", "schema.pbtxt", {"train": 1200, "eval": 300}, counts, **options
    )


def test_every_reason_is_a_finding():
    proto = text_format.Parse(ANOMALIES, anomalies_pb2.Anomalies())
    found = pages.findings({"train": proto, "eval": anomalies_pb2.Anomalies()})
    assert found == FOUND


def test_the_page_says_what_is_wrong_and_how_much_there_is():
    text = Page(pages.anomalies_page(result(findings=FOUND))).text
    assert "4 anomalies" in text
    assert "train image/mean Another distribution Too far." in text
    assert "Examples of train 1,200 Examples of eval 300 Rejected 0 Duplicates 7" in text
    assert "Rejected records" not in text

    good = Page(pages.anomalies_page(result())).text
    assert "No anomalies" in good
    assert "Split Feature" not in good


@pytest.mark.parametrize(("there", "words"), [(2, "All of them."), (2000, "The first 2 of 2,000.")])
def test_records_that_are_set_aside_are_named(there, words):
    counts = {"rejected": there - 1, "dropped": 1}
    rejected = (("cat/1.png", "the file is empty"), ("cat/2.png", "it is <broken>"))
    page = Page(
        pages.anomalies_page(ValidationResult("a", "b", {"train": 1}, counts, rejected=rejected))
    )
    assert f"{words} Record Why cat/1.png the file is empty cat/2.png it is <broken>" in page.text


def test_names_from_outside_are_text_and_nothing_is_fetched():
    evil = '<script>alert(1)</script><img src="http://example.com/x">'
    finding = Finding(evil, evil, evil, evil)
    page = Page(
        pages.anomalies_page(
            ValidationResult(
                evil, evil, {evil: 1}, {"rejected": 1, "dropped": 0}, (finding,), ((evil, evil),)
            )
        )
    )
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe"})
    assert page.text.count(evil) >= 8
    policies = [attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.fixture(scope="module")
def statistics(statistics_of):
    """Of dark and of bright images of two classes."""

    def count(low, high):
        random = np.random.default_rng(0)
        images = random.integers(low, high, [40, 4, 4], np.uint8)
        records = (examples.from_array(image, "a.png", n % 2) for n, image in enumerate(images))
        return statistics_of([examples.to_example(each).SerializeToString() for each in records])

    return {"train": count(0, 100), "eval": count(150, 250)}


def test_statistics_are_there_as_numbers_and_as_tfdv_shows_them(statistics):
    page = Page(pages.statistics_page(statistics, reference=statistics["eval"]))
    assert "Feature Train Eval Reference" in page.text
    assert "image/class/label 0: 50 %, 1: 50 % 0: 50 %, 1: 50 %" in page.text
    assert "image/height 4 ± 0, 4 to 4" in page.text
    assert "image/hash" not in page.text
    assert "Train and eval" in page.text
    assert "Train and reference" in page.text
    assert [tag for tag, _ in page.tags].count("iframe") == 2


def test_statistics_of_one_split_need_no_other(statistics):
    page = Page(pages.statistics_page({"all": statistics["train"]}))
    assert "Feature All image/blank no: 100 %" in page.text
    assert [tag for tag, _ in page.tags].count("iframe") == 1
