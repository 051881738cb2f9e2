"""How long something took, many times over, in few numbers."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Bounds from a tenth of a millisecond to ten seconds, three for each power of ten."""


class Histogram:
    """Counts durations by classes. Is written by one thread at a time, and read by any.

    Parameters
    ----------
    bounds
        The upper ends of the classes in seconds, ascending; an end belongs to its class. What is
        longer than the last is in one more class.

    Attributes
    ----------
    counts
        How many durations there were in each class.
    total
        All durations together, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def __repr__(self) -> str:
        return f"<Histogram of {sum(self.counts)}, {self.total:g} s>"

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count how long a block takes, if it does not fail."""
        began = time.perf_counter()
        yield
        self.add(time.perf_counter() - began)
