"""Real data with a planted fault are refused, and for that fault; real data alone are blessed.

The subjects are those of `benchmarks/planted.py`, which makes a table of many more draws.
"""

import numpy as np
import pytest

from benchmarks import planted, planted_subjects
from components.data.examples import Split
from components.evaluator import evaluate
from components.evaluator.config import EvaluatorConfig

SIZES = (50, 300)
DRAWS = (0, 1)


@pytest.fixture(scope="module")
def clothes(tmp_path_factory):
    return planted.Clothes(str(tmp_path_factory.mktemp("extractor")))


@pytest.fixture(scope="module")
def draw_clothes(clothes):
    drawn = {(size, seed): clothes.draw(size, seed) for size in SIZES for seed in DRAWS}
    return lambda size, seed: drawn[size, seed]


def check(subject, judge, draw):
    reasons = planted.failed(judge.verdicts(subject.make(draw)))
    if subject.reasons:
        assert subject.reasons & reasons, reasons
    else:
        assert not reasons


def subjects(of):
    return pytest.mark.parametrize("name", of)


@pytest.mark.parametrize(("size", "seed"), [(50, 0), (50, 1), (300, 0)])
@subjects(planted_subjects.IMAGES)
def test_images(draw_clothes, name, size, seed):
    subject = planted_subjects.IMAGES[name]
    if size < subject.fewest:
        pytest.skip(f"chance explains this fault below {subject.fewest} images")
    check(subject, *draw_clothes(size, seed))


@pytest.mark.parametrize(("size", "seed"), [(50, 0), (140, 1)])
@subjects(planted_subjects.ROWS)
def test_rows(name, size, seed):
    check(planted_subjects.ROWS[name], *planted.draw_rows(size, seed))


@pytest.mark.parametrize(("size", "seed"), [(50, 0), (300, 1)])
@subjects(planted_subjects.TABLES)
def test_rows_of_tables_whose_truth_repeats_itself(name, size, seed):
    check(planted_subjects.TABLES[name], *planted.draw_rows(size, seed, name))


@pytest.mark.parametrize("size", [10, 20])
def test_few_other_real_images_are_blessed(clothes, size):
    for seed in range(10):
        judge, draw = clothes.draw(size, seed)
        assert not planted.failed(judge.verdicts(Split(draw.good.data, None))), seed


def test_swapped_real_and_fake_images_are_refused_as_swapped(clothes):
    _, draw = clothes.draw(300, 0)
    config = EvaluatorConfig(kid_subsets=5)
    swapped = Split(np.rot90(draw.good.data, axes=(1, 2)).copy(), None)
    found = evaluate.evaluate(
        draw.good.data, swapped, None, clothes.extractor, config, model="planted"
    )

    (verdict,) = [v for v in found.verdicts if "swapped" in v.rule]
    assert not verdict.passed
