"""Lists of names in little memory: there may be millions of files."""

import dataclasses
import pickle
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Packed(Generic[T]):
    """Items that are unpacked when they are read, a tenth of their size until then.

    Attributes:
      content: the compressed items.
      count: their number.
    """

    content: bytes
    count: int

    @classmethod
    def of(cls, items: Collection[T]) -> "Packed[T]":
        """Packs items that can be pickled."""
        return cls(zlib.compress(pickle.dumps(list(items))), len(items))

    def __len__(self) -> int:
        return self.count

    def at(self, places: Sequence[int]) -> list[T]:
        """The items at some places."""
        items = list(self)
        return [items[place] for place in places]

    def __iter__(self) -> Iterator[T]:
        # They never leave the processes of one pipeline.
        yield from pickle.loads(zlib.decompress(self.content))
