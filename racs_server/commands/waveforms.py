"""Between the streams' waveform files and pictures: pyramids are built, drawn from, and mended.

The file is a stream's own, and holds blocks that it knows nothing of; the pyramid knows nothing of
files. What is damaged, or ahead of the audio, is dropped and built anew from the audio.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from racs_server.audio import pcm
from racs_server.audio.peaks import Block, Drawing, Lanes, Picture
from racs_server.audio.pyramid import (
    BLOCK_FRAMES,
    LEAST_WIDTH,
    Pyramid,
    block_bytes,
    blocks_until,
    draw,
)
from racs_server.commands.context import Store, Waveform
from racs_server.commands.source import iter_blocks
from racs_server.errors import DamageError, StorageError
from racs_server.values import AudioPlan, StreamRange

STEP_SAMPLES = 1 << 21
"""The most samples that `advance` reads at once, if a block of the pyramid has no more."""

logger = logging.getLogger(__name__)


class _Damaged(Exception):
    """A waveform file is not what it was."""


def draw_plan(
    store: Store, plan: AudioPlan, points: int, check_cancelled: Callable[[], None]
) -> Picture:
    """Draw audio: a range of a stream with the help of its pyramid, anything else from its samples.

    Parameters
    ----------
    store
        Whence the PCM comes.
    plan
        What to draw.
    points
        Of how many points.
    check_cancelled
        Called now and then; may end it.

    Returns
    -------
    array, shape (points, channels, 3), dtype float32
        See `Drawing.finish`.

    Raises
    ------
    RacsError
        The audio cannot be read.
    """
    if isinstance(plan, StreamRange) and plan.frames // points >= LEAST_WIDTH:
        return _draw_range(store, plan, points, check_cancelled)
    drawing = Drawing(0, plan.frames, points, plan.format)
    place = 0
    for block in iter_blocks(store, plan):
        check_cancelled()
        drawing.add(place, block)
        place += block.size // plan.format.channels
    return drawing.finish()


def _draw_range(
    store: Store, plan: StreamRange, points: int, check_cancelled: Callable[[], None]
) -> Picture:
    def read(ranges: Sequence[tuple[int, int]]) -> Iterator[Block]:
        for packed in store.read_ranges(plan, ranges):
            check_cancelled()
            yield pcm.unpack(packed, plan.format.bit_depth)

    waveform = store.waveform(plan, block_bytes(plan.format.channels))
    while True:
        _catch_up(store, plan, waveform, check_cancelled)
        drawing = Drawing(plan.start, plan.stop, points, plan.format)
        try:
            draw(drawing, _pyramid(plan, waveform), read, plan.format)
        except _Damaged:
            waveform.drop()
            store.note_growth(plan)
        else:
            return drawing.finish()


def _catch_up(
    store: Store, plan: StreamRange, waveform: Waveform, check_cancelled: Callable[[], None]
) -> None:
    """Build what the range lacks, unless that takes far longer than reading the range would."""
    wanted = min(plan.stop, waveform.settled()) - BLOCK_FRAMES
    if wanted - _pyramid(plan, waveform).frames > 2 * plan.frames:
        store.note_growth(plan)
        return
    try:
        while _pyramid(plan, waveform).frames <= wanted and advance(store, plan):
            check_cancelled()
    except StorageError as error:
        # damage is told of by reading the samples, if the range touches it; a full disk by nobody
        logger.info("the waveform of %r waits: %s", plan.stream_id, error)


def advance(store: Store, plan: StreamRange) -> bool:
    """Build the next part of a stream's pyramid, if there is audio for one; say whether it was.

    A part is many blocks: what one costs beside its arithmetic is paid once for all.

    Parameters
    ----------
    store
        Whence the PCM comes.
    plan
        Any range of the stream.

    Raises
    ------
    DamageError
        The audio is damaged there: the pyramid ends before it.
    RacsError
        The stream is gone, or the disk fails.
    """
    channels = plan.format.channels
    waveform = store.waveform(plan, block_bytes(channels))
    pyramid = _pyramid(plan, waveform)
    start = pyramid.frames
    most = max(STEP_SAMPLES // (BLOCK_FRAMES * channels), 1)
    count = min((waveform.settled() - start) // BLOCK_FRAMES, most)
    if not count:
        return False
    completed: list[bytes] = []
    try:
        completed.extend(pyramid.next_blocks(_lanes(store, plan, start, count)))
    except _Damaged:
        waveform.drop()
        return True
    except DamageError:  # what lies before it counts, up to the last sample frame
        if not completed:
            completed.extend(pyramid.next_blocks(_lanes(store, plan, start, 1)))
    waveform.append(blocks_until(start // BLOCK_FRAMES), completed)
    return True


def _lanes(store: Store, plan: StreamRange, start: int, count: int) -> Iterator[Lanes]:
    """Yield a stream's sample frames, `BLOCK_FRAMES` at once, in memory that is used again."""
    channels = plan.format.channels
    lanes, filled = np.empty((channels, BLOCK_FRAMES), np.int32), 0
    part = msgspec.structs.replace(plan, start=start, stop=start + count * BLOCK_FRAMES)
    for block in iter_blocks(store, part):
        frames = block.reshape(-1, channels).T
        while frames.size:
            taken = min(frames.shape[1], BLOCK_FRAMES - filled)
            lanes[:, filled : filled + taken] = frames[:, :taken]
            filled, frames = (filled + taken) % BLOCK_FRAMES, frames[:, taken:]
            if not filled:
                yield lanes


def _pyramid(plan: StreamRange, waveform: Waveform) -> Pyramid:
    """Return a stream's pyramid; an empty one for a file that knows more than there is."""

    def read(numbers: Sequence[int]) -> memoryview:
        data = waveform.read(numbers)
        if data is None:
            raise _Damaged
        return data

    pyramid = Pyramid(plan.format.channels, waveform.count(), read)
    if pyramid.frames <= waveform.settled():
        return pyramid
    waveform.drop()
    return Pyramid(plan.format.channels, 0, read)
