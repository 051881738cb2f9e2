r"""The file in a stream's folder that keeps its waveform: ``waveform.peaks``.

It holds blocks of equal size that were computed from the stream's audio, and can be computed again;
what is in them is not known here. All integers are little-endian::

    0   8  RACSPKS1
    8   8  the stream's serial
    16  4  bytes of a block
    20  4  CRC-32C of the 20 bytes before
    24  .. the blocks, each followed by its CRC-32C (4 bytes)

Worked example: the blocks ``aa bb`` and ``cc dd`` of the stream 258 are ``52 41 43 53 50 4b 53 31
02 01 00 00 00 00 00 00  02 00 00 00  <crc>  aa bb <crc>  cc dd <crc>``.

Invariants
----------
- Blocks are made of settled audio alone, which no crash takes back: so the file may lag behind the
  audio, but is not ahead of it.
- The file is never synced, and nothing relies on it: what a power cut leaves of it shows by its
  checksums, and is dropped.
- What a block holds follows from the audio and its number: so two who append the same block do each
  other no harm.
"""

import struct
import threading
from collections.abc import Callable, Sequence

from crc32c import crc32c

from racs_server.storage.fs import Buffer, File, FileSystem
from racs_server.storage.stream import Stream
from racs_server.storage.upkeep import disk_error

NAME = "waveform.peaks"
_MAGIC = b"RACSPKS1"
_HEAD = struct.Struct("<8sQI")
_CRC = 4
_START = _HEAD.size + _CRC


class Waveform:
    """The waveform file of one stream; opened only while it is used.

    Its methods block, and raise `StreamError` when the stream is gone, `StorageError` when the disk
    fails.

    Parameters
    ----------
    fs, lock
        The store's.
    find
        Returns the stream, or raises `StreamError`; called with the lock held.
    block
        Bytes of a block.
    """

    def __init__(
        self, fs: FileSystem, lock: threading.RLock, find: Callable[[], Stream], block: int
    ) -> None:
        self._fs = fs
        self._lock = lock
        self._find = find
        self._block = block

    def settled(self) -> int:
        """Return how many sample frames of the stream no crash can take back."""
        with self._lock:
            return self._find().settled_frames

    def count(self) -> int:
        """Return how many blocks there are; 0 where the file is missing or not this stream's."""
        try:
            with self._open() as file:
                return self._count(file)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise disk_error(f"{NAME} cannot be read", error) from error

    def read(self, numbers: Sequence[int]) -> memoryview | None:
        """Return blocks by their numbers, joined; None if one is damaged or not there."""
        stride = self._block + _CRC
        buffer = memoryview(bytearray(len(numbers) * self._block + _CRC))
        try:
            with self._open() as file:
                for place, number in enumerate(numbers):
                    # the next block is read over the checksum of this one
                    start = place * self._block
                    found = buffer[start : start + stride]
                    if file.read_into(found, _START + number * stride) < stride:
                        return None
                    if crc32c(found[:-_CRC]).to_bytes(_CRC, "little") != found[-_CRC:]:
                        return None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(f"{NAME} cannot be read", error) from error
        return buffer[:-_CRC]

    def append(self, number: int, blocks: Sequence[Buffer]) -> None:
        """Add blocks, the first of which has that number; not if those before it are missing."""
        try:
            with self._open(create=True) as file:
                count = self._count(file)
                if not count:
                    file.truncate(0)
                    file.write([self._head()], 0)
                if number <= count:
                    parts = [part for block in blocks for part in (block, _check(block))]
                    file.write(parts, _START + number * (self._block + _CRC))
        except OSError as error:
            raise disk_error(f"{NAME} cannot be written", error) from error

    def drop(self) -> None:
        """Remove the file."""
        try:
            with self._lock:
                self._fs.remove(self._name())
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_error(f"{NAME} cannot be removed", error) from error

    def _open(self, *, create: bool = False) -> "_Opened":
        # under the lock: a stream that is made anew has a folder of the same name
        with self._lock:
            return _Opened(self._fs.open(self._name(), create=create))

    def _name(self) -> str:
        return f"{self._find().folder}/{NAME}"

    def _count(self, file: File) -> int:
        head = bytearray(_START)
        if file.read_into(memoryview(head), 0) < _START or head != self._head():
            return 0
        return (file.size() - _START) // (self._block + _CRC)

    def _head(self) -> bytes:
        with self._lock:
            head = _HEAD.pack(_MAGIC, self._find().serial, self._block)
        return head + _check(head)


class _Opened:
    """Closes a file after a ``with`` block."""

    def __init__(self, file: File) -> None:
        self._file = file

    def __enter__(self) -> File:
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _check(data: Buffer) -> bytes:
    return crc32c(data).to_bytes(_CRC, "little")
