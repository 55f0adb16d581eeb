"""Feature maps of image networks: how many, how wide, and where to put attention."""

from collections.abc import Sequence


def check_images(kind: str, data_shape: Sequence[int]) -> None:
    """Raises ValueError unless the data are images of sides from 8 to 256 that 4 divides."""
    if len(data_shape) != 3:
        raise ValueError(
            f"{kind} makes images [height, width, channels], not {list(data_shape)}; use mlp"
        )
    if any(size % 4 or not 8 <= size <= 256 for size in data_shape[:2]):
        raise ValueError(
            f"{kind} makes images whose height and width are multiples of 4 from 8 to 256, "
            f"not {data_shape[0]}x{data_shape[1]}"
        )


def halvings(data_shape: Sequence[int], smallest: int, at_least: int = 1) -> int:
    """How many times to halve an image [height, width, channels].

    `at_least` times, then while both sides are even and do not fall below `smallest`.
    """
    count = at_least
    while all(
        (size >> count) % 2 == 0 and size >> (count + 1) >= smallest for size in data_shape[:2]
    ):
        count += 1
    return count


def filters(data_shape: Sequence[int], levels: int, width: int) -> list[int]:
    """Filters of the maps that are halved 0, 1, … levels - 1 times; the largest map has `width`.

    They double with each halving down to 32x32 and stay the same below, as in the CIFAR and FFHQ
    tables of SNGAN (arXiv:1802.05957, appendix B) and R3GAN (arXiv:2501.05441, appendix).
    """
    doublings, side = 0, max(data_shape[:2])
    counts = []
    for level in range(levels):
        counts.append(width << doublings)
        doublings += side >> level > 32
    return counts


def attention_level(data_shape: Sequence[int], levels: int) -> int:
    """How many times the map with attention is halved: the largest map of at most 16x16.

    If there is none, the smallest map.
    """
    side = max(data_shape[:2])
    return next((level for level in range(1, levels + 1) if side >> level <= 16), levels)
