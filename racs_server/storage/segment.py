"""One segment: a WAV file of contiguous PCM, ``<first sample frame, 20 digits>.wav``.

The file may be longer than its valid PCM (room allocated ahead, the rest of a write that failed);
how much is valid is known to the store, and stated in the header at every sync.

Invariants
----------
- `write` changes nothing that is valid; only `advance` makes what was written part of the segment.
- The file is closed only while nobody uses it and nothing of it waits for a sync (see `handles`).
"""

from collections.abc import Iterator, Sequence

from crc32c import crc32c

from racs_server.riff import SEGMENT_HEADER, Pcm, segment_header
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.fs import Buffer, File
from racs_server.values import NS_PER_MS, NS_PER_S, AudioFormat

MAX_PCM = 2 * 1024**3 - (1 << 20)
"""The most PCM that one segment holds, in bytes: with its header it stays below 2 GiB."""


class DamagedBlock(Exception):
    """PCM that does not match its checksum.

    Attributes
    ----------
    start, stop
        Which sample frames of the stream are affected.
    """

    def __init__(self, start: int, stop: int, why: str) -> None:
        super().__init__(why)
        self.start = start
        self.stop = stop


class Segment:
    """What is known of one segment file; the file itself is opened and closed by `handles`.

    Attributes
    ----------
    name
        The file's name, below the data folder.
    first
        Number of its first sample frame.
    covered
        Bytes of valid PCM.
    """

    __slots__ = (
        "allocated",
        "checksums",
        "covered",
        "damaged",
        "dirty",
        "file",
        "first",
        "format",
        "is_new",
        "name",
        "suspect",
        "unsettled",
        "users",
    )

    def __init__(self, folder: str, first: int, format_: AudioFormat, covered: int) -> None:
        self.name = f"{folder}/{first:020d}.wav"
        self.first = first
        self.format = format_
        self.covered = covered
        self.file: File | None = None
        self.checksums: Checksums | None = None
        self.users = 0
        self.dirty = False
        """Something was written that no sync has covered yet."""
        self.suspect = False
        """A sync has failed: what the medium holds is not known."""
        self.unsettled = False
        """The checksum file does not cover all that is valid."""
        self.is_new = False
        """The folder entry has not been synced."""
        self.allocated = covered
        """Bytes of PCM for which the file has room."""
        self.damaged: set[int] = set()
        """Blocks that a read has found damaged."""

    def __repr__(self) -> str:
        return f"<Segment {self.name} covered={self.covered} dirty={self.dirty}>"

    @classmethod
    def new(cls, folder: str, first: int, format_: AudioFormat) -> "Segment":
        """Return a segment whose file is still to be made."""
        segment = cls(folder, first, format_, 0)
        segment.checksums = Checksums()
        segment.dirty = segment.unsettled = segment.is_new = True
        return segment

    @property
    def stop(self) -> int:
        """One past its last sample frame."""
        return self.first + self.covered // self.format.frame_bytes

    @property
    def crc_name(self) -> str:
        """The name of the checksum file."""
        return self.name.removesuffix("wav") + "crc"

    def write(self, parts: Sequence[Buffer]) -> None:
        """Write PCM behind what is valid; `advance` makes it valid."""
        assert self.file is not None
        self.dirty = self.unsettled = True
        self.file.write(parts, SEGMENT_HEADER + self.covered)

    def advance(self, parts: Sequence[Buffer]) -> None:
        """Make what was written last valid."""
        assert self.checksums is not None
        for part in parts:
            self.checksums.extend(part)
        self.covered = self.checksums.covered

    def write_header(self, covered: int, *, stream_id: str, serial: int, ref: int) -> None:
        """State in the header how many bytes of PCM are valid.

        Parameters
        ----------
        covered
            Bytes of PCM.
        stream_id, serial, ref
            The stream, and when its first sample came in ms since the epoch.
        """
        assert self.file is not None
        start = ref * NS_PER_MS + self.first * NS_PER_S // self.format.sample_rate
        pcm = Pcm(self.format.sample_rate, self.format.channels, self.format.bit_depth)
        header = segment_header(pcm, covered, stream_id=stream_id, serial=serial, start_ns=start)
        self.file.write([header], 0)

    def blocks(self, start: int, stop: int, checks: list[int], valid: int) -> Iterator[memoryview]:
        """Read a range of PCM, checking all that is touched.

        Parameters
        ----------
        start, stop
            The range, in bytes of PCM, of whole sample frames.
        checks
            The checksums of the blocks from the first that the range touches to the last.
        valid
            Bytes of PCM that were valid when `checks` were taken.

        Yields
        ------
        The PCM, in pieces of whole sample frames, at most `READ` bytes and a sample frame each. A
        piece is good until the next is asked for.

        Raises
        ------
        DamagedBlock
            A block does not match its checksum, or is missing.
        """
        assert self.file is not None
        first = start // BLOCK
        begin = first * BLOCK
        end = min(-(-stop // BLOCK) * BLOCK, valid)
        frame = self.format.frame_bytes
        # Room in front of what is read, for the start of a sample frame that two reads share.
        room = frame + -frame % 16
        buffer = memoryview(bytearray(room + min(READ, end - begin)))
        carried = 0
        while begin < end:
            piece = buffer[room : room + min(READ, end - begin)]
            count = self.file.read_into(piece, SEGMENT_HEADER + begin)
            self.check(piece, count, begin // BLOCK, checks[begin // BLOCK - first :])
            low = room - carried + max(0, start - begin)
            high = room + min(len(piece), stop - begin)
            carried = (high - low) % frame
            yield buffer[low : high - carried]
            buffer[room - carried : room] = buffer[high - carried : high]
            begin += len(piece)

    def gathered(
        self, ranges: Sequence[tuple[int, int]], checks: list[int], valid: int
    ) -> Iterator[memoryview]:
        """Read ranges of PCM as `blocks` does, but joined, and each block that they touch once.

        Parameters
        ----------
        ranges
            In bytes of PCM, of whole sample frames: ascending, apart from each other.
        checks, valid
            As for `blocks`, from the first block that the first range touches.
        """
        assert self.file is not None
        room = READ // self.format.frame_bytes * self.format.frame_bytes
        joined = memoryview(bytearray(min(room, sum(stop - start for start, stop in ranges))))
        buffer = memoryview(bytearray(BLOCK))
        first = ranges[0][0] // BLOCK
        filled = begin = end = 0
        for place, stop in ranges:
            start = place
            while start < stop:
                if start >= end:
                    number = start // BLOCK
                    begin, end = number * BLOCK, min((number + 1) * BLOCK, valid)
                    block = buffer[: end - begin]
                    count = self.file.read_into(block, SEGMENT_HEADER + begin)
                    self.check(block, count, number, [checks[number - first]])
                size = min(stop, end, start + len(joined) - filled) - start
                joined[filled : filled + size] = buffer[start - begin : start - begin + size]
                start += size
                filled += size
                if filled == len(joined):
                    yield joined
                    filled = 0
        if filled:
            yield joined[:filled]

    def check(self, piece: memoryview, count: int, block: int, checks: list[int]) -> None:
        """Raise `DamagedBlock` unless a piece of PCM, of which `count` bytes are there, is right.

        It begins at the start of a block and has one of the checksums for each block begun.
        """
        for number, offset in enumerate(range(0, len(piece), BLOCK)):
            part = piece[offset : offset + BLOCK]
            if offset + len(part) > count:
                raise self._damage(block + number, "the file is too short")
            if crc32c(part) != checks[number]:
                raise self._damage(block + number, "the PCM does not match its checksum")

    def _damage(self, block: int, why: str) -> DamagedBlock:
        self.damaged.add(block)
        frame = self.format.frame_bytes
        stop = min((block + 1) * BLOCK, self.covered)
        return DamagedBlock(self.first + block * BLOCK // frame, self.first - (-stop // frame), why)


READ = 8 * BLOCK
"""How many bytes of PCM one read asks for at most."""
