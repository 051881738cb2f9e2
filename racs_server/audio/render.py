"""From audio plans to blocks of samples: opens a plan anywhere, and reads it block by block.

How the PCM of a stream range is read is passed in; this room knows neither files nor streams.

Invariants
----------
- Blocks are interleaved int32, whole sample frames, none is empty, and none has more than
  `BLOCK_SAMPLES` samples (or one sample frame).
- Any part [start, stop) of any plan can be opened, and only what it needs is read: windows reach
  down to the streams. What is resampled needs a little before and after it, and near the start all
  that lies before it (`racs_server.audio.resample`).
- Memory is bounded by the number of the plan's nodes, not by its length.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from racs_server.audio import dsp, pcm, resample
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
    match plan:
        case StreamRange():
            return _stream_range(plan, read, start, stop)
        case plans.Samples(data):
            channels = plan.format.channels
            return _cut(np.frombuffer(data, "<i4")[start * channels : stop * channels], channels)
        case plans.Window(source):
            return render(source, read, plan.start + start, plan.start + stop)
        case plans.Padded(source):
            return _within_silence(source, read, start - plan.before, stop - plan.before)
        case plans.Faded(source):
            return _faded(plan, _render(source, read, start, stop), start)
        case plans.Resampled():
            return _resampled(plan, read, start, stop)
        case plans.Requantized(seed=int(seed)):
            return _dithered(plan, seed, read, start, stop)
        case plans.Mixed(left, right):
            pairs = _pairs(*(_within_silence(each, read, start, stop) for each in (left, right)))
            bounds = sample_bounds(plan.format.bit_depth)
            return (dsp.added(*pair, bounds) for pair in pairs)
        case plans.Merged(left, right):
            pairs = _pairs(*(_within_silence(each, read, start, stop) for each in (left, right)))
            return (
                part
                for pair in pairs
                for part in _cut(dsp.interleaved(*pair), plan.format.channels)
            )
        case _:
            change = _change(plan)
            return (
                part
                for each in _render(plan.source, read, start, stop)
                for part in _cut(change(each), plan.format.channels)
            )


def _change(
    plan: plans.Gained
    | plans.Panned
    | plans.Clipped
    | plans.OneChannel
    | plans.Remixed
    | plans.Requantized,
) -> Callable[[Block], Block]:
    """Return what a node does to a block, if that is the same wherever the block is."""
    bounds = sample_bounds(plan.format.bit_depth)
    own = plan.source.format
    match plan:
        case plans.Gained(_, factor):
            return lambda block: dsp.gained(block, factor, bounds)
        case plans.Panned(_, position):
            return lambda block: dsp.panned(block, position, bounds)
        case plans.Clipped(_, least, most):
            return lambda block: dsp.bounded(block, (least, most))
        case plans.OneChannel(_, channel):
            return lambda block: dsp.one_channel(block, own.channels, channel)
        case plans.Remixed(_, channels):
            matrix = dsp.remix_matrix(own.channels, channels)
            return lambda block: dsp.remixed(block, matrix, bounds)
        case plans.Requantized(_, depth) if depth > own.bit_depth:
            return lambda block: dsp.deepened(block, depth - own.bit_depth)
        case plans.Requantized(_, depth):
            return lambda block: dsp.shortened(block, own.bit_depth - depth, bounds)


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


def _resampled(plan: plans.Resampled, read: Read, start: int, stop: int) -> Iterator[Block]:
    """Read as much before and after the part as can be felt in it."""
    channels = plan.format.channels
    bounds = sample_bounds(plan.format.bit_depth)
    rates = (plan.source.format.sample_rate, plan.sample_rate)
    first = resample.first_input(start, rates)
    blocks = _within_silence(plan.source, read, first, resample.end_of_input(stop, rates))
    rounded = (dsp.rounded(each, bounds) for each in resample.resampled(blocks, rates, channels))
    skipped = start - resample.output_place(first, rates)
    return _part(rounded, channels, skipped, stop - start)


def _dithered(
    plan: plans.Requantized, seed: int, read: Read, start: int, stop: int
) -> Iterator[Block]:
    """Read whole groups of the frames that are dithered together, though only a part is wanted."""
    channels, group = plan.format.channels, dsp.DITHER_FRAMES
    bits = plan.source.format.bit_depth - plan.bit_depth
    first = start // group * group
    blocks = _render(plan.source, read, first, min(-(-stop // group) * group, plan.frames))
    step = max(1, _block_frames(channels) // group) * group
    dithered = (
        dsp.dithered(
            each, bits, channels, first + number * step, seed, sample_bounds(plan.bit_depth)
        )
        for number, each in enumerate(_in_blocks_of(step * channels, blocks))
    )
    return _part(dithered, channels, start - first, stop - start)


def _in_blocks_of(size: int, blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks of so many samples, and one of the rest; each is good until the next."""
    gathered = np.empty(size, np.int32)
    count = 0
    for block in blocks:
        rest = block
        while rest.size:
            taken = min(rest.size, size - count)
            gathered[count : count + taken] = rest[:taken]
            count, rest = count + taken, rest[taken:]
            if count == size:
                yield gathered
                count = 0
    if count:
        yield gathered[:count]


def _part(blocks: Iterator[Block], channels: int, skipped: int, frames: int) -> Iterator[Block]:
    """Yield so many frames of what any blocks hold, after those that are skipped."""
    start, stop = skipped * channels, (skipped + frames) * channels
    for block in blocks:
        yield from _cut(block[max(start, 0) : max(stop, 0)], channels)
        start, stop = start - block.size, stop - block.size
        if stop <= 0:
            return


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
