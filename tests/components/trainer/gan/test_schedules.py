import math
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from components.common.config import Config, validate
from components.trainer.gan.schedules import SHAPES, Schedule, Scheduled, over, scheduled, value_at

# shape, progress, share of the way: half a cosine at thirds and quarters.
ORACLE = [
    ("linear", 0.25, 0.25),
    ("linear", 0.9, 0.9),
    ("cosine", 0.25, 0.5 - math.sqrt(2) / 4),
    ("cosine", 1 / 3, 0.25),
    ("cosine", 0.5, 0.5),
    ("cosine", 2 / 3, 0.75),
]


@pytest.mark.parametrize(("shape", "progress", "share"), ORACLE)
@pytest.mark.parametrize(("start", "end"), [(0.9, 0.99), (2e-4, 5e-5), (0.0, 0.55)])
def test_values_on_the_way(shape, progress, share, start, end):
    schedule = Schedule(start=start, end=end, shape=shape, images=600, after_images=50)
    assert schedule.at(50 + 600 * progress) == pytest.approx(start + share * (end - start))


def test_the_ends_are_kept_before_and_after():
    schedule = Schedule(start=0.1, end=0.7, images=100, after_images=30)
    assert [schedule.at(seen) for seen in (0, 29, 30, 130, 131, 1e12)] == [0.1] * 3 + [0.7] * 3


ends = st.floats(-1e6, 1e6)


@given(
    ends,
    ends,
    st.sampled_from(SHAPES.names()),
    st.integers(1, 10**8),
    st.integers(0, 10**8),
    st.lists(st.floats(0, 3e8), min_size=2),
)
def test_it_goes_one_way_and_never_past_its_ends(start, end, shape, images, after, seen):
    schedule = Schedule(start=start, end=end, shape=shape, images=images, after_images=after)
    low, high = sorted([start, end])
    values = [schedule.at(images_seen) for images_seen in sorted(seen)]

    assert all(low <= value <= high for value in values)
    # Cosines are monotonic up to the last bit.
    slack = 1e-12 * max(abs(start), abs(end))
    for before, after_it in zip(values, values[1:], strict=False):
        assert after_it >= before - slack if end >= start else after_it <= before + slack
    assert schedule.at(after) == start
    assert schedule.at(after + images) == end


def test_by_default_it_lasts_to_the_end_of_training():
    schedule = Schedule(start=0.0, end=1.0, shape="linear", after_images=100)
    filled = over(schedule, 500)

    assert value_at(filled, 300) == pytest.approx(0.5)
    assert value_at(filled, 500) == 1.0
    assert over(filled, 9000) == filled
    with pytest.raises(ValueError, match="images: not set, expected the length of the schedule"):
        schedule.at(1)
    with pytest.raises(ValueError, match="after_images: 100, expected less than the 100 images"):
        over(schedule, 100)


def test_a_number_is_constant():
    assert value_at(0.5, 10**9) == 0.5
    assert over(0.5, 10) == 0.5


class Section(Config):
    decay: Annotated[Scheduled, scheduled(ge=0, lt=1)] = Field(0.5)
    maybe: Annotated[Scheduled, scheduled(gt=0, le=2)] | None = None


FITTING = [
    ({}, 0.5),
    ({"decay": 0}, 0.0),
    ({"decay": "1e-3"}, 1e-3),
    ({"decay": {"start": 0, "end": 0.99, "images": 10}}, 0.99),
    ({"decay": Schedule(start=0.2, end=0.3, images=1)}, 0.3),
]


@pytest.mark.parametrize(("tree", "last"), FITTING)
def test_a_field_holds_a_number_or_a_schedule(tree, last):
    section = validate(Section, tree)
    assert value_at(section.decay, 10) == last
    assert validate(Section, section.model_dump(mode="json")) == section


WRONG = [
    ({"decay": 1}, "decay: 1.0, expected at least 0 and less than 1"),
    ({"decay": -0.1}, "decay: -0.1, expected at least 0 and less than 1"),
    ({"decay": float("nan")}, "decay: input should be a finite number, found nan"),
    ({"decay": {"start": 0.5, "end": 1}}, "decay: end: 1.0, expected at least 0 and less than 1"),
    ({"maybe": {"start": 0, "end": 1}}, "maybe: start: 0.0, expected greater than 0 and at most 2"),
    ({"maybe": 2.5}, "maybe: 2.5, expected greater than 0 and at most 2"),
    ({"decay": {"start": 0.5}}, "decay.end: missing"),
    (
        {"decay": {"start": 0.5, "end": 0.6, "shape": "cosin"}},
        "decay.shape: unknown schedule shape 'cosin': did you mean 'cosine'? known: cosine, linear",
    ),
    (
        {"decay": {"start": 0.5, "end": 0.6, "image": 5}},
        "decay.image: unknown key; did you mean 'images'? "
        "known: after_images, end, images, shape, start",
    ),
    (
        {"decay": {"start": 0.5, "end": 0.6, "images": 0}},
        "decay.images: input should be greater than or equal to 1, found 0",
    ),
    ({"decay": "soon"}, "decay: input should be a valid number, unable to parse string as a "),
]


@pytest.mark.parametrize(("tree", "message"), WRONG)
def test_what_does_not_fit_is_one_line(tree, message):
    with pytest.raises(ValueError) as error:
        validate(Section, tree)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
