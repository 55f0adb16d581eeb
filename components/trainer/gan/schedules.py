"""Schedules of hyperparameters, as functions of the images seen."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, FiniteFloat, Tag

from components.common.config import NUMBER_TAG, SECTION_TAG, Config, name_in
from components.common.registry import Registry

# A shape maps progress in [0, 1] to [0, 1], monotonically.
SHAPES: Registry[Callable[[float], float]] = Registry("schedule shape")


@SHAPES.register("linear")
def linear(progress: float) -> float:
    """A straight line."""
    return progress


@SHAPES.register("cosine")
def cosine(progress: float) -> float:
    """Half a cosine, flat at both ends (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5)."""
    return 0.5 * (1.0 - math.cos(math.pi * progress))


class Schedule(Config):
    """From `start` to `end` over `images` images, beginning after `after_images`.

    >>> schedule = Schedule(start=1.0, end=0.0, shape="linear", images=100, after_images=50)
    >>> schedule.at(0), schedule.at(75), schedule.at(1000)
    (1.0, 0.75, 0.0)
    """

    start: FiniteFloat = Field(description="value at the beginning")
    end: FiniteFloat = Field(description="value at the end")
    shape: Annotated[str, name_in(SHAPES)] = Field(
        "cosine", description="shape of the curve from start to end"
    )
    images: int | None = Field(
        None, ge=1, description="length in images; default: to the end of training"
    )
    after_images: int = Field(0, ge=0, description="images to wait before leaving start")

    def at(self, images_seen: float) -> float:
        """The value after `images_seen` images of training, between `start` and `end`.

        Raises:
          ValueError: if `images` is not set; see `over`.
        """
        if self.images is None:
            raise ValueError("images: not set, expected the length of the schedule; see over()")
        progress = (images_seen - self.after_images) / self.images
        if progress <= 0:
            return self.start
        # Exact, without rounding.
        if progress >= 1:
            return self.end
        value = self.start + (self.end - self.start) * SHAPES.get(self.shape)(progress)
        return min(max(value, min(self.start, self.end)), max(self.start, self.end))

    def over(self, total_images: int) -> "Schedule":
        """This schedule with `images` filled in, for a training of `total_images` images.

        Raises:
          ValueError: if the schedule runs to the end of training but would start after it.
        """
        if self.images is not None:
            return self
        if self.after_images >= total_images:
            raise ValueError(
                f"after_images: {self.after_images}, "
                f"expected less than the {total_images} images of the training"
            )
        return self.model_copy(update={"images": total_images - self.after_images})


def _tag(value: object) -> str:
    return SECTION_TAG if isinstance(value, Mapping | Schedule) else NUMBER_TAG


# A finite number or a schedule. Pydantic tries only the alternative that matches the tag, so errors
# concern the one that was meant.
Scheduled = Annotated[
    Annotated[FiniteFloat, Tag(NUMBER_TAG)] | Annotated[Schedule, Tag(SECTION_TAG)],
    Discriminator(_tag),
]


def value_at(scheduled: Scheduled, images_seen: float) -> float:
    """The value after `images_seen` images; a number is constant."""
    return scheduled.at(images_seen) if isinstance(scheduled, Schedule) else float(scheduled)


def start_of(scheduled: Scheduled) -> float:
    """The initial value; a number is constant."""
    return scheduled.start if isinstance(scheduled, Schedule) else float(scheduled)


def over(scheduled: Scheduled, total_images: int) -> Scheduled:
    """See `Schedule.over`; a number is returned unchanged."""
    return scheduled.over(total_images) if isinstance(scheduled, Schedule) else scheduled


def scheduled(
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> AfterValidator:
    """Checks that a number, or both ends of a schedule, are within bounds.

    For fields: `Annotated[Scheduled, scheduled(gt=0)]`.

    Args:
      gt, ge, lt, le: the bounds, as in pydantic's `Field`.
    """
    bounds = [
        (gt, "greater than", lambda value: value > gt),
        (ge, "at least", lambda value: value >= ge),
        (lt, "less than", lambda value: value < lt),
        (le, "at most", lambda value: value <= le),
    ]
    bounds = [bound for bound in bounds if bound[0] is not None]
    expected = " and ".join(f"{words} {limit}" for limit, words, _ in bounds)

    def check(value: Scheduled) -> Scheduled:
        ends = (
            {"start: ": value.start, "end: ": value.end}
            if isinstance(value, Schedule)
            else {"": value}
        )
        for name, end in ends.items():
            if not all(holds(end) for _, _, holds in bounds):
                raise ValueError(f"{name}{end}, expected {expected}")
        return value

    return AfterValidator(check)
