"""A store that keeps its streams in memory: what commands ask of a store, in its simplest form."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from racs.wire.events import Buffer
from racs_server.audio import pcm
from racs_server.errors import RequestError, StreamError
from racs_server.values import AudioFormat, StreamInfo, StreamRange

PIECE = 512 << 10


class MemoryStream(msgspec.Struct):
    """One stream; `pcm` holds whole sample frames."""

    format: AudioFormat
    serial: int
    ref: int = 0
    pcm: bytes = b""
    frames: int = 0
    is_open: bool = False
    expiry: int = -1
    attachments: dict[str, bytes] = msgspec.field(default_factory=dict)
    blocks: list[bytes] = msgspec.field(default_factory=list)


class MemoryWaveform:
    """A stream's blocks, which are never damaged; all of its audio is settled."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream

    def settled(self) -> int:
        return self._stream.frames

    def count(self) -> int:
        return len(self._stream.blocks)

    def read(self, numbers: Sequence[int]) -> memoryview:
        return memoryview(b"".join(self._stream.blocks[number] for number in numbers))

    def append(self, number: int, blocks: Sequence[bytes]) -> None:
        assert number == len(self._stream.blocks)
        self._stream.blocks += blocks

    def drop(self) -> None:
        self._stream.blocks.clear()


class MemoryStore:
    """Streams by id; `calls` notes what was asked of it."""

    def __init__(self) -> None:
        self.streams: dict[str, MemoryStream] = {}
        self.calls: list[str] = []

    def record(self, stream_id: str, ref: int, samples: npt.NDArray[np.int32]) -> None:
        """Put interleaved samples into a stream, the first at `ref` (ms since the epoch)."""
        stream = self.streams[stream_id]
        stream.ref = ref
        stream.pcm = bytes(pcm.pack(samples, stream.format.bit_depth))
        stream.frames = len(samples) // stream.format.channels

    def claim(self, stream_id: str, ref: int, frames: int) -> None:
        """Let a stream claim a length, without any audio."""
        self.streams[stream_id].ref, self.streams[stream_id].frames = ref, frames

    def create(self, stream_id: str, format_: AudioFormat) -> None:
        if not 1 <= len(stream_id.encode()) <= 255:
            raise RequestError(f"an id of {len(stream_id.encode())} bytes")
        if stream_id in self.streams:
            raise StreamError(f"Stream exists: {stream_id!r}")
        self.streams[stream_id] = MemoryStream(format_, len(self.streams))

    def open_stream(self, stream_id: str) -> None:
        stream = self._find(stream_id)
        if stream.is_open:
            raise StreamError(f"Stream is already open: {stream_id!r}")
        stream.is_open = True

    def close_stream(self, stream_id: str) -> None:
        self.calls.append("close_stream")
        stream = self._find(stream_id)
        if not stream.is_open:
            raise StreamError(f"Stream is not open: {stream_id!r}")
        stream.is_open = False

    def info(self, stream_id: str) -> StreamInfo:
        stream = self._find(stream_id)
        return StreamInfo(
            stream_id, stream.serial, stream.format, stream.ref, stream.frames, stream.is_open
        )

    def ids(self) -> list[str]:
        return list(self.streams)

    def plan(self, stream_id: str, start: int, stop: int) -> StreamRange:
        stream = self._find(stream_id)
        return StreamRange(stream_id, stream.serial, start, stop, stream.format)

    def read(self, plan: StreamRange) -> Iterator[memoryview]:
        frame = plan.format.frame_bytes
        piece = PIECE // frame * frame
        data = memoryview(self._find(plan.stream_id).pcm)[plan.start * frame : plan.stop * frame]
        for place in range(0, len(data), piece):
            yield data[place : place + piece]

    def feed(self, stream_id: str, blocks: Iterable[bytes | memoryview]) -> int:
        stream = self._find(stream_id)
        if not stream.is_open:
            raise StreamError(f"Stream is closed or currently in use: {stream_id!r}")
        taken = 0
        for block in blocks:
            stream.pcm += bytes(block)
            taken += len(block)
            stream.frames = len(stream.pcm) // stream.format.frame_bytes
        return taken

    def expire(self, stream_id: str, seconds: int) -> None:
        self._find(stream_id).expiry = seconds

    def seconds_left(self, stream_id: str) -> int:
        return self._find(stream_id).expiry

    def delete(self, stream_id: str) -> None:
        self.calls.append("delete")
        if self._find(stream_id).is_open:
            raise StreamError(f"Stream is open: {stream_id!r}")
        del self.streams[stream_id]

    def check_attachment(self, stream_id: str, name: str, size: int = 0) -> None:
        self._find(stream_id)

    def attach(self, stream_id: str, name: str, contents: Buffer) -> None:
        self._find(stream_id).attachments[name] = bytes(contents)

    def attachment(self, stream_id: str, name: str) -> bytes:
        return self._find(stream_id).attachments[name]

    def attachments(self, stream_id: str) -> list[str]:
        return sorted(self._find(stream_id).attachments)

    def read_ranges(
        self, plan: StreamRange, ranges: Sequence[tuple[int, int]]
    ) -> Iterator[memoryview]:
        for start, stop in ranges:
            yield from self.read(msgspec.structs.replace(plan, start=start, stop=stop))

    def waveform(self, plan: StreamRange, block: int) -> "MemoryWaveform":
        return MemoryWaveform(self._find(plan.stream_id))

    def note_growth(self, plan: StreamRange) -> None:
        self.calls.append("note_growth")

    def close_all(self) -> None:
        self.calls.append("close_all")
        for stream in self.streams.values():
            stream.is_open = False

    def _find(self, stream_id: str) -> MemoryStream:
        try:
            return self.streams[stream_id]
        except KeyError:
            raise StreamError(f"no such stream: {stream_id!r}") from None
