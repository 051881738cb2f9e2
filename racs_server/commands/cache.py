"""A bounded memory of what was worked out before: the least recently used goes first."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """A dictionary of bounded size. For use in one thread.

    Parameters
    ----------
    size
        How many entries are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        # in the order of use, the latest last
        self._entries: dict[K, V] = {}
        self._hits = 0
        self._misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        value = self._entries.pop(key, None)
        if value is None:
            self._misses += 1
        else:
            self._entries[key] = value
            self._hits += 1
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, in the place of the one that was not used for longest."""
        if len(self._entries) >= self._size and key not in self._entries:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value

    def statistics(self) -> dict[str, int]:
        """Return how many entries there are, and how often one was found or not."""
        return {"cached": len(self), "hits": self._hits, "misses": self._misses}
