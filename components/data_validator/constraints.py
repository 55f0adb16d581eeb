"""What a schema proposes for numbers and shares: see `proposal`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data.examples import TRAIN_SPLIT
from components.data_validator.statistics import shares

_MARGIN = 0.5
# Of a class's share, and of the Jensen-Shannon divergence in bits.
SHARE_TOLERANCE = 0.05
DIVERGENCE_TOLERANCE = 0.1
_DEVIATIONS = 4
# Buckets of two merged quantile histograms of ten each.
_BUCKETS = 20

# One feature in each split.
Found: TypeAlias = Sequence[statistics_pb2.FeatureNameStatistics]


def values_of(found: Found, kind: Callable[[str], Any]) -> list[Any]:
    """The values of all splits, sorted."""
    return sorted({kind(value) for each in found for value in shares(each)})


def most_of(count: float) -> float:
    """How many there may be for every `count` in a sample: the mean of which it is 4 deviations."""
    # m - 4 sqrt(m) = count, of a Poisson distribution of mean m.
    return (_DEVIATIONS / 2 + math.sqrt(_DEVIATIONS**2 / 4 + count)) ** 2


def compare_shares(
    feature: schema_pb2.Feature, by_split: Sequence[Mapping[str, float]], sizes: Mapping[str, int]
) -> None:
    """Sets how far shares may shift."""
    largest = max((share for split in by_split for share in split.values()), default=1.0)
    # Standard deviation of the difference of two shares, largest for the largest class.
    deviation = math.sqrt(largest * (1 - largest) * _per_example(sizes))
    threshold = up(SHARE_TOLERANCE + _DEVIATIONS * deviation)
    feature.skew_comparator.infinity_norm.threshold = threshold
    feature.drift_comparator.infinity_norm.threshold = threshold


def constrain_number(
    feature: schema_pb2.Feature,
    found: Found,
    sizes: Mapping[str, int],
    possible: tuple[float, float] | None = None,
) -> None:
    """Sets the range, within what is possible, by default of one sign, and how it may shift."""
    low = min(each.num_stats.min for each in found)
    high = max(each.num_stats.max for each in found)
    margin = _MARGIN * (high - low)
    signed = (0.0 if low >= 0 else -math.inf, 0.0 if high <= 0 else math.inf)
    least, most = possible or signed
    if feature.type == schema_pb2.INT:
        feature.int_domain.min = math.floor(max(least, low - margin))
        feature.int_domain.max = math.ceil(min(most, high + margin))
    else:
        limits = feature.float_domain
        limits.min = max(least, down(low - margin))
        limits.max = min(most, up(high + margin))
        limits.disallow_nan = limits.disallow_inf = True
    # For equal distributions 8 times the divergence, in nats, is about (1/n + 1/m) chi-squared.
    freedom = _BUCKETS - 1
    noise = (freedom + _DEVIATIONS * math.sqrt(2 * freedom)) * _per_example(sizes)
    threshold = up(DIVERGENCE_TOLERANCE + noise / (8 * math.log(2)))
    for comparator in (feature.skew_comparator, feature.drift_comparator):
        divergence = comparator.jensen_shannon_divergence
        divergence.threshold = threshold
        # With equal widths, one outlier would put all other values into one bucket.
        divergence.source.type = schema_pb2.HistogramSelection.QUANTILES


def _per_example(sizes: Mapping[str, int]) -> float:
    """1/n + 1/m of train and the smallest split, the noisiest comparison."""
    return 1 / sizes[TRAIN_SPLIT] + 1 / min(sizes.values())


def down(value: float) -> float:
    """Rounded to three digits, never up."""
    return -up(-value)


def up(value: float) -> float:
    """Rounded to three digits, never down."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{math.ceil(value / unit) * unit:.12g}")
