"""Reading ranges of a stream: segment by segment, every block checked."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from racs_server.errors import DamageError, StorageError
from racs_server.storage.checksums import BLOCK
from racs_server.storage.handles import Handles
from racs_server.storage.segment import DamagedBlock, Segment
from racs_server.storage.stream import Stream
from racs_server.values import StreamRange, format_instant


def damage_error(stream: Stream, segment: Segment, start: int, stop: int, why: str) -> DamageError:
    """Return the error for damage to sample frames `start` up to `stop`."""
    info = stream.info()
    return DamageError(
        f"stream {stream.id!r} is damaged from {format_instant(info.instant(start))} to"
        f" {format_instant(info.instant(stop))} (sample frames {start} to {stop}) in"
        f" {segment.name}: {why}. What lies before and after it can be read"
    )


def known_damage(stream: Stream, start: int, stop: int) -> DamageError | None:
    """Return the error for damage that an earlier read has found in a range, or None."""
    frame = stream.format.frame_bytes
    for segment in stream.segments or ():
        for block in segment.damaged:
            first = segment.first + block * BLOCK // frame
            last = segment.first - (-min((block + 1) * BLOCK, segment.covered) // frame)
            if first < stop and start < last:
                return damage_error(stream, segment, first, last, "found by an earlier read")
    return None


Ranges = Sequence[tuple[int, int]]
"""First sample frames, and those past the last ones; ascending, apart from each other."""


def read_ranges(
    plan: StreamRange,
    ranges: Ranges,
    find: Callable[[StreamRange], Stream],
    handles: Handles,
    lock: threading.RLock,
) -> Iterator[memoryview]:
    """Yield the PCM of ranges of a stream, packed, in pieces of whole sample frames.

    A piece has at most 512 KiB and a sample frame, may hold of several ranges, and is good until
    the next is asked for. Many short ranges are cheap: a segment is looked up and opened once for
    all that lie in it, and each of its blocks is read and checked once.

    Parameters
    ----------
    plan
        The stream, and its format.
    ranges
        What to read.
    find
        Returns the plan's stream with its segments loaded, or raises `StreamError`; called with the
        lock held.
    handles, lock
        The store's.

    Raises
    ------
    DamageError
        A block that a range touches does not match its checksum.
    StorageError
        A file cannot be read.
    """
    rest = deque(each for each in ranges if each[0] < each[1])
    frame = plan.format.frame_bytes
    while rest:
        position, end = rest[0][0], rest[-1][1]
        with ExitStack() as kept_open:
            with lock:
                stream = find(plan)
                segment = _segment_of(stream, position)
                with _explained(stream, segment):
                    # All under one lock: a stream that is deleted and made anew has files of the
                    # same names.
                    kept_open.enter_context(handles.use(segment))
                    sums = handles.salvage_checksums(segment)
                    start = (position - segment.first) * frame
                    stop = min((end - segment.first) * frame, segment.covered, sums.covered)
                    stop -= stop % frame
                    if stop <= start:
                        raise damage_error(
                            stream, segment, position, segment.stop, "a segment is missing"
                        )
                    checks = sums.snapshot(start // BLOCK, -(-stop // BLOCK))
                    # What checks the last block may cover more than the stream has.
                    valid = sums.covered
            with _explained(stream, segment):
                taken = [
                    ((begin - segment.first) * frame, (finish - segment.first) * frame)
                    for begin, finish in _taken(rest, segment.first + stop // frame)
                ]
                if len(taken) == 1:
                    yield from segment.blocks(*taken[0], checks, valid)
                else:
                    yield from segment.gathered(taken, checks, valid)


def _taken(rest: deque[tuple[int, int]], stop: int) -> Iterator[tuple[int, int]]:
    """Take from the front of some ranges what lies before a sample frame."""
    while rest and rest[0][0] < stop:
        begin, end = rest.popleft()
        if end > stop:
            rest.appendleft((stop, end))
        yield begin, min(end, stop)


def _segment_of(stream: Stream, position: int) -> Segment:
    """Return the segment that holds a sample frame."""
    segments = stream.segments or [Segment(stream.folder, stream.frames, stream.format, 0)]
    if position < segments[0].first:
        raise damage_error(
            stream, segments[0], position, segments[0].first, "the segment before it is missing"
        )
    return stream.segment_at(position)


@contextmanager
def _explained(stream: Stream, segment: Segment) -> Iterator[None]:
    """Say what of the stream cannot be read, and why."""
    try:
        yield
    except DamagedBlock as damage:
        raise damage_error(stream, segment, damage.start, damage.stop, str(damage)) from None
    except ValueError as error:
        raise damage_error(stream, segment, segment.first, segment.stop, str(error)) from error
    except FileNotFoundError as error:
        why = f"{error.filename or 'a file of it'} is missing"
        raise damage_error(stream, segment, segment.first, segment.stop, why) from error
    except OSError as error:
        raise StorageError(
            f"{segment.name} of stream {stream.id!r} cannot be read: {error.strerror}"
        ) from error
