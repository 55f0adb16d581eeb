"""The charts of the report: what they draw, and what they say."""

import math
import re

import numpy as np
import pytest

from components.data.columns import Column
from components.evaluator.report import plots


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param([], {}, id="empty"),
        pytest.param([{"images": 1, "seconds": 2.0}], {}, id="nothing to draw"),
        pytest.param(
            [{"images": 1, "fid": 3.5}, {"images": 2}, {"images": 3, "fid": 2.5}],
            {"FID while training": "fid from 3.5 to 2.5, between 2.5 and 3.5, up to 3 images"},
            id="now and then",
        ),
        pytest.param(
            [{"images": 1, "a_loss": math.inf, "b_c_loss": 1.0}, {"images": 2, "a_loss": 2.0}],
            {
                "Losses": "a from 2 to 2, between 2 and 2, not finite at 1 of 2 points, "
                "up to 2 images; b c from 1 to 1, between 1 and 1, up to 1 images"
            },
            id="not finite",
        ),
        pytest.param([{"images": 1, "a_loss": math.nan, "kid": -math.inf}], {}, id="never finite"),
        pytest.param([{"images": 1, "fid": None}], {}, id="null"),
    ],
)
def test_curves_show_what_is_finite(log, expected):
    found = plots.curves(log)

    assert {curves.title: curves.words for curves in found} == expected
    for curves in found:
        assert curves.svg.startswith("<svg")
        drawn = re.findall(r'\bd="([^"]*)"', curves.svg)
        assert not [path for path in drawn if "nan" in path or "inf" in path]


def bars(chart):
    """The heights of the filled bars of a histogram, as shares of the highest."""
    (path,) = re.findall(r'<path d="([^"]*)" clip-path[^>]*style="fill: #', chart.svg)
    points = [tuple(map(float, point)) for point in re.findall(r"([\d.]+) ([\d.]+)", path)]
    heights = np.array([y for _, y in points])
    return (heights.max() - heights) / np.ptp(heights)


@pytest.mark.parametrize(
    ("real", "fake", "words"),
    [
        pytest.param(
            [0, 1, 2, 3],
            [1, 2, 3, 13],
            "real from 0 to 3, fakes from 1 to 13, 25 % of them outside of the real range",
            id="outlier",
        ),
        pytest.param(
            [5] * 4,
            [5] * 4,
            "real from 5 to 5, fakes from 5 to 5, 0 % of them outside of the real range",
            id="constant",
        ),
        pytest.param(
            [1e30] * 4,
            [-1e30, 0, 0, 1e30],
            "real from 1e+30 to 1e+30, fakes from -1e+30 to 1e+30, "
            "75 % of them outside of the real range",
            id="huge constant",
        ),
    ],
)
def test_a_histogram_says_what_is_in_it(real, fake, words):
    chart = plots.histogram(Column(name="wind"), np.float32(real), np.float32(fake), 0)

    assert (chart.title, chart.words) == ("wind", words)
    assert "nan" not in chart.svg


def test_a_histogram_has_the_shares_of_its_bins():
    # 27 rows have 6 bins.
    chart = plots.histogram(
        Column(name="x"), np.repeat(np.arange(6.0), [1, 2, 3, 6, 9, 6]), np.zeros(5), 0
    )

    heights = bars(chart)
    assert sorted(set(np.round(heights * 9).astype(int))) == [0, 1, 2, 3, 6, 9]


@pytest.mark.parametrize(
    ("real", "bins"),
    [
        pytest.param(np.arange(1.0, 13), 12, id="months, one each"),
        pytest.param(np.arange(0.0, 365), 15, id="days, as many each but for the last"),
        pytest.param(np.full(9, 7.0), 1, id="constant"),
        pytest.param(np.array([-(2.0**53), 2.0**53]), 15, id="all there are"),
    ],
)
def test_a_bin_holds_as_many_whole_numbers_as_another(real, bins):
    column = Column(name="month", type="integer")

    chart = plots.histogram(column, real, real, 0)

    (path,) = re.findall(
        r'<path d="([^"]*)" clip-path[^>]*style="fill: none; stroke: #d9720f', chart.svg
    )
    xs = sorted({float(x) for x, _ in re.findall(r"([\d.]+) ([\d.]+)", path)})
    assert len(xs) - 1 == bins
    np.testing.assert_allclose(np.diff(xs), np.diff(xs)[0], atol=1e-3)


def test_a_histogram_of_dates_says_them_as_the_data_do():
    column = Column(name="day", type="datetime", format="%d.%m.%Y", missing=True)
    days = 86400e6 * np.array([15_000, 15_200, np.nan, 15_400])

    chart = plots.histogram(column, days, days[:2] + 86400e6, 0)

    assert chart.words == (
        "real from 26.01.2011 to 01.03.2012, fakes from 27.01.2011 to 15.08.2011, 0 % of them "
        "outside of the real range; missing: real 25 %, fakes 0 %"
    )
    assert re.search(r">(2011|2012|Jul|2011-\w+)<", chart.svg)


def test_bars_say_what_they_show():
    shares = np.array([[0.5, 0.25, 0.25], [0.125, 0.875, 0]])

    chart = plots.bars("kind", ["a", "<b>", "(missing)"], shares, 3)

    assert chart.words == (
        "a: real 50 %, fakes 12.5 %; <b>: real 25 %, fakes 87.5 %; (missing): real 25 %, fakes 0 %"
    )
    assert "&lt;b&gt;" in chart.svg
    assert chart.svg.count('id="column-3-') > 0


def test_curves_are_small_however_long_the_log():
    rng = np.random.default_rng(0)
    log = [{"images": n, "a_loss": value} for n, value in enumerate(rng.normal(size=50_000))]

    (curves,) = plots.curves(log)

    assert len(curves.svg) < 300_000
