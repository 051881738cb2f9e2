r"""The pyramid of a stream: its least and greatest samples and sums of squares, summed up ahead.

Its *entries* stand for 256 sample frames and, by powers of four, for 1,024, 4,096, 16,384 and
65,536: five levels. (Of the next one, 64 bits would not hold the sum of squares exactly.) An entry
of one channel takes 16 bytes, all integers little-endian::

    0   4  least sample, signed
    4   4  greatest sample, signed
    8   8  sum of the samples' squares, unsigned

256 consecutive entries of one level, channel after channel, are a *block*. Blocks lie one after
another in the order in which the audio completes them, the lower level first: after every 65,536
sample frames one of level 0, and after every fourth block of a level one of the level above it. So
every block has a number that follows from its level and place: the k-th of level l completes with
c = (k + 1) * 4^l blocks of level 0, behind all that the c - 1 before have completed, and behind
those of the lower levels that complete with it. What a level lacks at the end follows from the
level below.

Worked example: the blocks of a stream with 400,000 frames are six of level 0 (393,216 frames) and
one of level 1, in the order 0 0 0 0 1 0 0: the second block of level 0 has the number 1, the fifth
5. A block of a mono stream that begins with 256 samples 1, -2, 1, -2, ... begins
``fe ff ff ff  01 00 00 00  80 02 00 00 00 00 00 00``.

How blocks are kept and checked is not known here: they are passed in and out as bytes.

Invariant: a picture drawn with a pyramid equals one drawn from the samples alone, bit for bit.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from racs_server.audio.peaks import Block, Drawing, Lanes, Places, lanes_of, squares
from racs_server.values import AudioFormat

ENTRY = np.dtype([("least", "<i4"), ("most", "<i4"), ("squares", "<u8")])
Entries = npt.NDArray[np.void]
"""Of dtype `ENTRY`, shape (channels, entries)."""

ReadBlocks = Callable[[Sequence[int]], memoryview]
"""Returns blocks by their numbers, joined."""

ReadFrames = Callable[[Sequence[tuple[int, int]]], Iterator[Block]]
"""Yields the stream's samples of ranges of sample frames, which are ascending, and apart."""

CELL = 256
"""Sample frames that an entry of level 0 stands for."""

FACTOR = 4
LEVELS = 5
BLOCK_ENTRIES = 256
BLOCK_FRAMES = CELL * BLOCK_ENTRIES
"""Sample frames that a block of level 0 stands for."""

LEAST_WIDTH = 2048
"""Sample frames of a point: where it shows fewer, reading the samples is faster."""


def span(level: int) -> int:
    """Return how many sample frames an entry of a level stands for."""
    size: int = CELL * FACTOR**level
    return size


def block_bytes(channels: int) -> int:
    """Return how many bytes a block has."""
    return BLOCK_ENTRIES * channels * ENTRY.itemsize


def blocks_until(count: int) -> int:
    """Return how many blocks there are, of all levels, when there are so many of level 0."""
    return sum(count // FACTOR**level for level in range(LEVELS))


def frames_covered(blocks: int) -> int:
    """Return how many sample frames so many blocks stand for; an incomplete end does not count."""
    return (bisect_right(range(blocks + 1), blocks, key=blocks_until) - 1) * BLOCK_FRAMES


def block_numbers(level: int, places: Places) -> Places:
    """Return the numbers of a level's blocks, counted from 0 at that level."""
    before = (places + 1) * FACTOR**level - 1
    numbers: Places = (before[:, None] // FACTOR ** np.arange(LEVELS)).sum(axis=1) + level
    return numbers


class Pyramid:
    """Reads, and goes on with, one stream's pyramid.

    Parameters
    ----------
    channels
        The stream's.
    blocks
        How many blocks there are.
    read
        How they are read.

    Attributes
    ----------
    frames
        How many sample frames it covers: from the stream's first one on.
    """

    def __init__(self, channels: int, blocks: int, read: ReadBlocks) -> None:
        self._channels = channels
        self._read = read
        self.frames = frames_covered(blocks)

    def entries(self, level: int, start: int, stop: int) -> Entries:
        """Return entries of a level; of frames that are covered."""
        whole = self.frames // (span(level) * BLOCK_ENTRIES) * BLOCK_ENTRIES
        parts = []
        if start < min(stop, whole):
            first, last = start // BLOCK_ENTRIES, -(-min(stop, whole) // BLOCK_ENTRIES)
            found = self.blocks(level, np.arange(first, last))
            skipped = first * BLOCK_ENTRIES
            parts.append(found[:, start - skipped : min(stop, whole) - skipped])
        if stop > whole:
            below = max(start, whole) * FACTOR, stop * FACTOR
            parts.append(folded(self.entries(level - 1, *below)))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def blocks(self, level: int, places: Places) -> Entries:
        """Return whole blocks of a level, joined: shape (channels, blocks * BLOCK_ENTRIES)."""
        data = self._read(block_numbers(level, places).tolist())
        # as plain bytes, which numpy moves a row at a time, not entry by entry
        rows = np.frombuffer(data, np.uint8).reshape(len(places), self._channels, -1)
        return rows.transpose(1, 0, 2).reshape(self._channels, -1).view(ENTRY)

    def next_blocks(self, parts: Iterable[Lanes]) -> Iterator[bytes]:
        """Yield the blocks that the next sample frames complete, in order.

        Parameters
        ----------
        parts
            Their samples, each of shape (channels, BLOCK_FRAMES).
        """
        rest = [self._not_folded(level) for level in range(LEVELS - 1)]
        for lanes in parts:
            entries = summed_up(lanes)
            yield entries.tobytes()
            for level in range(LEVELS - 1):
                rest[level] = np.concatenate([rest[level], entries], axis=1)
                if rest[level].shape[1] < FACTOR * BLOCK_ENTRIES:
                    break
                entries, rest[level] = folded(rest[level]), rest[level][:, :0]
                yield entries.tobytes()

    def _not_folded(self, level: int) -> Entries:
        """Return a level's last blocks, of which there is none on the level above yet."""
        stop = self.frames // (span(level) * BLOCK_ENTRIES)
        start = stop // FACTOR * FACTOR
        if start == stop:
            return np.empty((self._channels, 0), ENTRY)
        return self.blocks(level, np.arange(start, stop))


def summed_up(lanes: Lanes) -> Entries:
    """Return the entries of level 0 for whole cells of samples, shape (channels, frames)."""
    cells = lanes.reshape(len(lanes), -1, CELL)
    entries = np.empty(cells.shape[:2], ENTRY)
    entries["least"] = cells.min(axis=2)
    entries["most"] = cells.max(axis=2)
    for lane, squares_ in zip(lanes, entries["squares"], strict=True):
        # float64, faster than whole numbers, is exact here: 128 squares of 24 bits are at most 2^53
        halves = lane.reshape(-1, 2, CELL // 2).astype(np.float64)
        squares_[:] = np.einsum("...i,...i", halves, halves).astype(np.uint64).sum(axis=1)
    return entries


def folded(entries: Entries) -> Entries:
    """Return the entries of the level above."""
    grouped = entries.reshape(len(entries), -1, FACTOR)
    result = np.empty(grouped.shape[:2], ENTRY)
    result["least"] = grouped["least"].min(axis=2)
    result["most"] = grouped["most"].max(axis=2)
    result["squares"] = grouped["squares"].sum(axis=2)
    return result


def draw(drawing: Drawing, pyramid: Pyramid, read: ReadFrames, format_: AudioFormat) -> None:
    """Draw a part of a stream: what the pyramid knows from there, the rest from the samples.

    Parameters
    ----------
    drawing
        What to draw, in sample frames of the stream; it is complete afterwards.
    pyramid
        The stream's.
    read
        How the stream's samples are read.
    format_
        The stream's.
    """
    start, stop = int(drawing.edges[0]), int(drawing.edges[-1])
    place = start
    if (stop - start) // (len(drawing.edges) - 1) >= LEAST_WIDTH and pyramid.frames > start:
        place = min(stop, pyramid.frames)
        known = drawing.edges[drawing.edges < place]
        _Known(drawing, np.append(known, place), pyramid, read, format_).draw()
    for block in read([(place, stop)]):
        drawing.add(place, block)
        place += block.size // format_.channels


class _Known:
    """Draws what a pyramid covers.

    A point is made of five parts: the entries of the highest level that fit into it; at either end
    entries of level 0, up to the first and from the last of those; and outermost single samples.
    No two edges lie within one entry of the chosen level, so that each part belongs to one point.
    """

    def __init__(
        self,
        drawing: Drawing,
        edges: Places,
        pyramid: Pyramid,
        read: ReadFrames,
        format_: AudioFormat,
    ) -> None:
        self._tally = drawing.tally
        self._edges = edges
        self._pyramid = pyramid
        self._read = read
        self._channels = format_.channels
        width = int(np.diff(drawing.edges).min())
        self._level = max(each for each in range(LEVELS) if span(each) <= width)

    def draw(self) -> None:
        """Draw all parts."""
        self._draw_inside()
        self._draw_ends()
        self._draw_samples()

    def _draw_inside(self) -> None:
        size = span(self._level)
        starts, stops = -(-self._edges[:-1] // size), self._edges[1:] // size
        first, last = int(starts[0]), int(stops[-1])
        if first < last:
            entries = self._pyramid.entries(self._level, first, last)
            self._add(entries, np.arange(len(starts)), starts - first, stops - first)

    def _draw_ends(self) -> None:
        """Draw the entries of level 0 that share one of the chosen level with an edge."""
        size = span(self._level)
        numbers = np.flatnonzero(self._edges % size)
        if not numbers.size:
            return
        edges = self._edges[numbers]
        places, position = np.unique(edges // BLOCK_FRAMES, return_inverse=True)
        entries = self._pyramid.blocks(0, places)
        # where the blocks that were read have the entries of each edge's neighbourhood
        shift = (position - edges // BLOCK_FRAMES) * BLOCK_ENTRIES
        before = edges // size * (size // CELL) + shift
        after = before + size // CELL
        self._add_around(
            entries, numbers, before, edges // CELL + shift, -(-edges // CELL) + shift, after
        )

    def _draw_samples(self) -> None:
        """Draw the samples that share an entry of level 0 with an edge."""
        numbers = np.flatnonzero(self._edges % CELL)
        if not numbers.size:
            return
        edges = self._edges[numbers]
        starts = np.maximum(edges // CELL * CELL, self._edges[0])
        stops = np.minimum(starts // CELL * CELL + CELL, self._edges[-1])
        ranges = list(zip(starts.tolist(), stops.tolist(), strict=True))
        lanes = lanes_of(np.concatenate(list(self._read(ranges))), self._channels)
        entries = np.empty(lanes.shape, ENTRY)
        entries["least"] = entries["most"] = lanes
        entries["squares"] = squares(lanes)
        lengths = stops - starts
        before = np.cumsum(lengths) - lengths
        middle = before + edges - starts
        self._add_around(entries, numbers, before, middle, middle, before + lengths)

    def _add_around(
        self,
        entries: Entries,
        numbers: Places,
        before: Places,
        until: Places,
        since: Places,
        after: Places,
    ) -> None:
        """Give what lies before each edge to the point that ends there, the rest to the next."""
        inner = numbers > 0
        self._add(entries, numbers[inner] - 1, before[inner], until[inner])
        inner = numbers < len(self._edges) - 1
        self._add(entries, numbers[inner], since[inner], after[inner])

    def _add(self, entries: Entries, points: Places, starts: Places, stops: Places) -> None:
        self._tally.add_runs(
            points, entries["least"], entries["most"], entries["squares"], starts, stops
        )
