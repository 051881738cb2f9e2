"""Streams for tests of rendering: as arrays, or made up as they are read."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from racs_server.audio import pcm
from racs_server.values import AudioFormat, StreamRange


class Arrays:
    """Streams kept as packed PCM, given in pieces of so many sample frames."""

    def __init__(self, piece: int = 100_000) -> None:
        self._piece = piece
        self._streams: list[bytes] = []

    def add(self, samples: npt.NDArray[np.integer], format_: AudioFormat) -> StreamRange:
        """Keep samples of shape (frames, channels); return the plan of all of them."""
        flat = samples.astype(np.int32).reshape(-1)
        self._streams.append(bytes(pcm.pack(flat, format_.bit_depth)))
        serial = len(self._streams) - 1
        return StreamRange(f"stream {serial}", serial, 0, len(samples), format_)

    def read(self, plan: StreamRange) -> Iterator[memoryview]:
        assert 0 <= plan.start <= plan.stop
        frame = plan.format.frame_bytes
        buffer = bytearray(self._piece * frame)
        for start in range(plan.start, plan.stop, self._piece):
            count = min(self._piece, plan.stop - start)
            part = self._streams[plan.serial][start * frame : (start + count) * frame]
            assert len(part) == count * frame
            buffer[: len(part)] = part  # one buffer: a piece is good until the next
            yield memoryview(buffer)[: len(part)]


class Endless:
    """Streams of any length that take no memory: a saw, repeated."""

    def __init__(self) -> None:
        self.frames_read = 0

    def read(self, plan: StreamRange) -> Iterator[memoryview]:
        frame = plan.format.frame_bytes
        piece = np.arange(65_536 * plan.format.channels, dtype=np.int32) % 20_011 - 10_000
        packed = pcm.pack(piece, plan.format.bit_depth)
        for start in range(plan.start, plan.stop, 65_536):
            count = min(65_536, plan.stop - start)
            self.frames_read += count
            yield packed[: count * frame]
