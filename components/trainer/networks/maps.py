"""The feature maps of image networks: their number, their filters, and where attention goes."""

from collections.abc import Sequence


def check_images(kind: str, data_shape: Sequence[int]) -> None:
    """Raises ValueError for anything but images of multiples of 4 from 8 to 256."""
    if len(data_shape) != 3:
        raise ValueError(
            f"{kind} makes images [height, width, channels], not {list(data_shape)}; mlp would do"
        )
    if any(size % 4 or not 8 <= size <= 256 for size in data_shape[:2]):
        raise ValueError(
            f"{kind} makes images whose height and width are multiples of 4 from 8 to 256, "
            f"not {data_shape[0]}x{data_shape[1]}"
        )


def halvings(data_shape: Sequence[int], smallest: int, at_least: int = 1) -> int:
    """How often an image [height, width, channels] is halved.

    `at_least` times, and on while both sides are even and would not fall below `smallest`.
    """
    count = at_least
    while all(
        (size >> count) % 2 == 0 and size >> (count + 1) >= smallest for size in data_shape[:2]
    ):
        count += 1
    return count


def filters(data_shape: Sequence[int], levels: int, width: int) -> list[int]:
    """Filters of the maps that are halved 0, 1, … levels - 1 times: `width` of the largest.

    They double with each halving down to maps of 32x32 and stay the same below, as in the CIFAR
    and FFHQ tables of SNGAN (arXiv:1802.05957, appendix B) and R3GAN (arXiv:2501.05441, appendix).
    """
    doublings, side = 0, max(data_shape[:2])
    counts = []
    for level in range(levels):
        counts.append(width << doublings)
        doublings += side >> level > 32
    return counts


def attention_level(data_shape: Sequence[int], levels: int) -> int:
    """How often the map that attention goes to is halved: the largest of at most 16x16.

    Where the smallest map is larger, it is that one.
    """
    side = max(data_shape[:2])
    return next((level for level in range(1, levels + 1) if side >> level <= 16), levels)
