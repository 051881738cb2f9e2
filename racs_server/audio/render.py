"""From audio plans to blocks of samples: opens a plan anywhere, and reads it block by block.

How the PCM of a stream range is read is passed in; this room knows neither files nor streams.

Invariants
----------
- Blocks are interleaved int32, whole sample frames, none is empty, and none has more than
  `BLOCK_SAMPLES` samples (or one sample frame).
- Any part [start, stop) of any plan can be opened, and only what it needs is read: windows reach
  down to the streams.
- Memory is bounded by the number of the plan's nodes, not by its length.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from racs_server.audio import dsp, pcm
from racs_server.values import AudioPlan, StreamRange, plans
from racs_server.values.building import sample_bounds

Block = npt.NDArray[np.int32]
Read = Callable[[StreamRange], Iterator[memoryview]]
"""Yields a range's packed PCM in pieces of whole sample frames, each good until the next."""

BLOCK_SAMPLES = 64 << 10
"""The most samples of a block: as float64 they still lie in a processor's cache."""


def render(plan: AudioPlan, read: Read, start: int = 0, stop: int | None = None) -> Iterator[Block]:
    """Read a plan, or a part of it, block by block.

    Parameters
    ----------
    plan
        What to read.
    read
        How the PCM of a stream range is read.
    start, stop
        Which part, in sample frames of the plan; all of it by default.

    Yields
    ------
    array, shape (samples,), dtype int32
        Interleaved samples; together exactly the frames from `start` up to `stop`.

    Raises
    ------
    RacsError
        A stream is gone, damaged, or cannot be read.
    """
    end = plan.frames if stop is None else stop
    if start < end:
        yield from _render(plan, read, start, end)


def _render(plan: AudioPlan, read: Read, start: int, stop: int) -> Iterator[Block]:
    """Open a node; `start` lies before `stop`, and neither outside the plan."""
    bounds = sample_bounds(plan.format.bit_depth)
    match plan:
        case StreamRange():
            return _stream_range(plan, read, start, stop)
        case plans.Window(source):
            return render(source, read, plan.start + start, plan.start + stop)
        case plans.Padded(source):
            return _within_silence(source, read, start - plan.before, stop - plan.before)
        case plans.Faded(source):
            return _faded(plan, _render(source, read, start, stop), start)
        case plans.Gained(source, factor):
            return (dsp.gained(each, factor, bounds) for each in _render(source, read, start, stop))
        case plans.Panned(source, position):
            return (
                dsp.panned(each, position, bounds) for each in _render(source, read, start, stop)
            )
        case plans.Clipped(source, least, most):
            return (dsp.bounded(each, (least, most)) for each in _render(source, read, start, stop))
        case plans.OneChannel(source, channel):
            channels = source.format.channels
            return (
                dsp.one_channel(each, channels, channel)
                for each in _render(source, read, start, stop)
            )
        case plans.Mixed(left, right):
            pairs = _pairs(*(_within_silence(each, read, start, stop) for each in (left, right)))
            return (dsp.added(*pair, bounds) for pair in pairs)
        case plans.Merged(left, right):
            pairs = _pairs(*(_within_silence(each, read, start, stop) for each in (left, right)))
            return (
                part
                for pair in pairs
                for part in _cut(dsp.interleaved(*pair), plan.format.channels)
            )


def _stream_range(plan: StreamRange, read: Read, start: int, stop: int) -> Iterator[Block]:
    part = StreamRange(
        plan.stream_id, plan.serial, plan.start + start, plan.start + stop, plan.format
    )
    step = _block_frames(plan.format.channels) * plan.format.frame_bytes
    for piece in read(part):
        for offset in range(0, len(piece), step):
            yield pcm.unpack(piece[offset : offset + step], plan.format.bit_depth)


def _faded(plan: plans.Faded, blocks: Iterator[Block], start: int) -> Iterator[Block]:
    channels = plan.format.channels
    bounds = sample_bounds(plan.format.bit_depth)
    place = start
    for block in blocks:
        yield dsp.faded(block, channels, place, plan.frames, (plan.rise, plan.fall), bounds)
        place += block.size // channels


def _within_silence(source: AudioPlan, read: Read, start: int, stop: int) -> Iterator[Block]:
    """Read a source as if silence without end lay before and after it."""
    channels = source.format.channels
    yield from _silence(min(stop, 0) - start, channels)
    yield from render(source, read, max(start, 0), min(stop, source.frames))
    yield from _silence(stop - max(start, source.frames), channels)


def _silence(frames: int, channels: int) -> Iterator[Block]:
    step = _block_frames(channels)
    for place in range(0, frames, step):
        yield np.zeros(min(step, frames - place) * channels, np.int32)


def _pairs(lefts: Iterator[Block], rights: Iterator[Block]) -> Iterator[tuple[Block, Block]]:
    """Yield blocks of equal length from two sources of equal length, cut where either is."""
    nothing = np.empty(0, np.int32)
    left = right = nothing
    while True:
        left = left if left.size else next(lefts, nothing)
        right = right if right.size else next(rights, nothing)
        count = min(left.size, right.size)
        if not count:
            return
        yield left[:count], right[:count]
        left, right = left[count:], right[count:]


def _cut(block: Block, channels: int) -> Iterator[Block]:
    step = _block_frames(channels) * channels
    for place in range(0, block.size, step):
        yield block[place : place + step]


def _block_frames(channels: int) -> int:
    return max(1, BLOCK_SAMPLES // channels)
