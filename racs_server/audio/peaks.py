"""Waveforms: the least and the greatest sample and the RMS of stretches of audio, exact.

`points` stretches make a picture of N sample frames: point i shows the frames from
``floor(i * N / points)`` up to ``floor((i + 1) * N / points)``. Of audio with fewer frames than
points, point i shows the one frame ``floor(i * N / points)``; of no audio there is no point.

Invariant: sums of squares are whole numbers until the end, so that what comes out does not depend
on where the audio was cut, or on how much of it was summed up beforehand: not by one bit.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from racs_server.values import AudioFormat

Block = npt.NDArray[np.int32]
Lanes = npt.NDArray[np.int32]
"""Samples by channel: shape (channels, frames)."""

Places = npt.NDArray[np.int64]
Picture = npt.NDArray[np.float32]

MAX_FRAMES = 1 << 16
"""Sample frames whose squares are summed at once: 64 bits hold it at every bit depth."""

_LIMB = np.uint64(32)
_LOW = np.uint64((1 << 32) - 1)


def lanes_of(block: Block, channels: int) -> Lanes:
    """Return interleaved samples by channel: contiguous, so that numpy goes through them fast."""
    return np.ascontiguousarray(block.reshape(-1, channels).T)


def squares(lanes: Lanes) -> npt.NDArray[np.uint64]:
    """Return the samples' squares."""
    wide = lanes.astype(np.int64)
    return np.multiply(wide, wide, out=wide).view(np.uint64)


def edges(frames: int, points: int) -> Places:
    """Return where the points of a picture begin and end: shape (points + 1,)."""
    whole, rest = divmod(frames, points)
    place = np.arange(points + 1, dtype=np.int64)
    # floor(i * frames / points), without a product that could overflow
    return place * whole + place * rest // points


class Tally:
    """What is known so far of each point of a picture.

    Parameters
    ----------
    points, channels
        How many.
    """

    def __init__(self, points: int, channels: int) -> None:
        shape = (channels, points)
        self._least = np.full(shape, np.iinfo(np.int32).max, np.int32)
        self._most = np.full(shape, np.iinfo(np.int32).min, np.int32)
        # sums of squares outgrow 64 bits: two limbs, the lower one's carry is settled at the end
        self._high = np.zeros(shape, np.uint64)
        self._low = np.zeros(shape, np.uint64)

    def add_runs(
        self,
        points: Places,
        least: Lanes,
        most: Lanes,
        squares: npt.NDArray[np.uint64],
        starts: Places,
        stops: Places,
    ) -> None:
        """Take runs of columns, each for a point of its own; empty ones are passed over.

        Parameters
        ----------
        points
            Which point each run belongs to, shape (runs,); none twice.
        least, most, squares
            What the columns are, shape (channels, columns).
        starts, stops
            The runs: ascending, apart from each other.
        """
        some = starts < stops
        points, starts, stops = points[some], starts[some], stops[some]
        if not points.size:
            return
        self._least[:, points] = np.minimum(
            self._least[:, points], _reduced(np.minimum, least, starts, stops)
        )
        self._most[:, points] = np.maximum(
            self._most[:, points], _reduced(np.maximum, most, starts, stops)
        )
        self._high[:, points] += _reduced(np.add, squares >> _LIMB, starts, stops)
        self._low[:, points] += _reduced(np.add, squares & _LOW, starts, stops)

    def add_samples(self, edges: Places, place: int, lanes: Lanes) -> None:
        """Take consecutive sample frames.

        Parameters
        ----------
        edges
            Where the points begin and end, shape (points + 1,).
        place
            Where the frames begin, in the same count.
        lanes
            Their samples, shape (channels, frames).
        """
        for start in range(0, lanes.shape[1], MAX_FRAMES):
            part = lanes[:, start : start + MAX_FRAMES]
            begin = place + start
            end = begin + part.shape[1]
            first = int(np.searchsorted(edges, begin, side="right")) - 1
            last = int(np.searchsorted(edges, end, side="left"))
            bounds = np.clip(edges[first : last + 1], begin, end) - begin
            self.add_runs(
                np.arange(first, last), part, part, squares(part), bounds[:-1], bounds[1:]
            )

    def picture(self, counts: Places, bit_depth: int) -> Picture:
        """Return the points.

        Parameters
        ----------
        counts
            How many sample frames each shows, shape (points,).
        bit_depth
            Of the samples.

        Returns
        -------
        array, shape (points, channels, 3), dtype float32
            Least, greatest, RMS; full scale is 1.
        """
        high = (self._high + (self._low >> _LIMB)).astype(np.float64)
        # one rounding: both products are exact
        total = high * 2.0**32 + (self._low & _LOW).astype(np.float64)
        scale = float(1 << bit_depth - 1)
        parts = (self._least / scale, self._most / scale, np.sqrt(total / counts) / scale)
        return np.stack(parts, axis=-1).transpose(1, 0, 2).astype(np.float32)


class Drawing:
    """A picture in the making.

    Parameters
    ----------
    start, stop
        The sample frames that it shows.
    points
        Of how many points it is to be.
    format_
        The audio's.

    Attributes
    ----------
    edges
        Where the points begin and end that are told apart: as many as asked for, or as frames.
    tally
        What is known of them.
    """

    def __init__(self, start: int, stop: int, points: int, format_: AudioFormat) -> None:
        self._points = points
        self._format = format_
        apart = min(points, stop - start)
        self.edges = start + edges(stop - start, apart) if apart else np.empty(0, np.int64)
        self.tally = Tally(apart, format_.channels)

    def add(self, place: int, block: Block) -> None:
        """Take samples.

        Parameters
        ----------
        place
            Which sample frame is the first.
        block
            Interleaved, shape (frames * channels,), dtype int32.
        """
        self.tally.add_samples(self.edges, place, lanes_of(block, self._format.channels))

    def finish(self) -> Picture:
        """Return the picture, when all has been taken: shape (points, channels, 3), float32.

        Last come least, greatest and RMS; full scale is 1. Without any frame there is no point.
        """
        apart = len(self.edges) - 1
        if apart < 0:
            return np.empty((0, self._format.channels, 3), np.float32)
        picture = self.tally.picture(np.diff(self.edges), self._format.bit_depth)
        return picture[np.arange(self._points) * apart // self._points]


def _reduced(ufunc: np.ufunc, array: npt.NDArray[Any], starts: Places, stops: Places) -> Any:
    """Reduce runs of columns, none of them empty."""
    places = np.stack([starts, stops], axis=1).reshape(-1)
    if places[-1] == array.shape[1]:
        places = places[:-1]
    return ufunc.reduceat(array, places, axis=1)[:, ::2]
