r"""Audio messages: the frame header, checksums, singles and batches, compressed blocks.

A frame, all integers little-endian:

====== ===== ===========================================================================
offset bytes field
====== ===== ===========================================================================
0      3     ``rsp``
3      16    session id, a UUID
19     8     stream hash: first 64 bits of MurmurHash3 x64-128 of the stream id, unsigned
27     4     CRC-32C of the block as sent
31     2     block size
33     1     flags; bit 0: the block is one zstd frame
34     ...   the block: interleaved PCM, 2 or 3 bytes a sample
====== ===== ===========================================================================

Worked example: stream ``chopin`` (hash ``0x33e990305041dd45``), session of sixteen bytes 0x11, one
16-bit stereo sample frame (1, -1), uncompressed::

    72 73 70  11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
    45 dd 41 50 30 90 e9 33  <crc32c of 01 00 ff ff>  04 00  00  01 00 ff ff

A *single* is one frame and nothing else. A *batch* is ``rsp`` and then exactly one msgpack array of
bin, each bin one whole frame. They are told apart by structure alone.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import mmh3
import msgspec
from crc32c import crc32c

from racs.wire.errors import WireError
from racs.wire.events import Buffer, Frame

if TYPE_CHECKING:
    from zstandard import ZstdDecompressor

MAGIC = b"rsp"
HEADER = struct.Struct("<3s16sQIHB")
HEADER_SIZE = HEADER.size
_SHAPE = struct.Struct("<3s28xH")
"""The fields of a header that tell whether it is one: its magic and the size of its block."""

MAX_BLOCK = 65_535
"""The largest block that the 16-bit size field can state, in bytes."""

COMPRESSED = 0x01
MAX_FRAMES = 4096
"""The most frames that one batch may have, unless a server sets its own limit: what it takes to
look at them, 3 us each, all other clients wait for."""
_MAX_WINDOW = 8 << 20
"""What RFC 8878, section 3.1.1.1.2, recommends that every zstd decoder supports, in bytes."""
_ARRAY_COUNT_SIZES = {0xDC: 2, 0xDD: 4}
_FIXARRAY = range(0x90, 0xA0)
_BIN_HEAD = 2
"""The shortest head of a msgpack bin, in bytes."""
_batch_decoder = msgspec.msgpack.Decoder(list[memoryview])


def stream_hash(stream_id: str) -> int:
    """Return the unsigned 64-bit hash that names a stream in frame headers.

    First half of MurmurHash3 x64-128 (Appleby, 2011) of the UTF-8 bytes of the id, seed 0.
    """
    return mmh3.hash64(stream_id, seed=0, x64arch=True, signed=False)[0]


def encode_frame(hash_: int, session: bytes, block: Buffer, *, compressed: bool = False) -> bytes:
    """Return one frame.

    Parameters
    ----------
    hash_
        The stream's hash, see `stream_hash`.
    session
        The sender's session id, 16 bytes.
    block
        PCM, or one zstd frame of PCM where `compressed`; at most `MAX_BLOCK` bytes.
    """
    return frame_header(hash_, session, block, compressed=compressed) + block


def frame_header(hash_: int, session: bytes, block: Buffer, *, compressed: bool = False) -> bytes:
    """Return all of a frame that comes before its block; parameters as for `encode_frame`."""
    if len(block) > MAX_BLOCK:
        raise WireError(f"a block of {len(block)} bytes: a frame holds at most {MAX_BLOCK}")
    flags = COMPRESSED if compressed else 0
    return HEADER.pack(MAGIC, session, hash_, crc32c(block), len(block), flags)


def encode_single(frame: bytes) -> bytes:
    """Return the message that carries one frame, with its length prefix."""
    return len(frame).to_bytes(8, "little") + frame


def encode_batch(frames: Iterable[bytes]) -> bytes:
    """Return the message that carries many frames, with its length prefix."""
    array = msgspec.msgpack.encode(list(frames))
    return (len(MAGIC) + len(array)).to_bytes(8, "little") + MAGIC + array


def gather_single(header: bytes, block: Buffer) -> list[Buffer]:
    """Return the message of `encode_single` in pieces; see `gather_batch`."""
    return [(len(header) + len(block)).to_bytes(8, "little") + header, block]


def gather_batch(frames: Sequence[tuple[bytes, Buffer]]) -> list[Buffer]:
    """Return the message of `encode_batch` in pieces, so that no block is copied to make it.

    Parameters
    ----------
    frames
        Each frame as its header (see `frame_header`) and its block.
    """
    pieces: list[Buffer] = [b""]
    length = 0
    for header, block in frames:
        head = bin_head(len(header) + len(block)) + header
        pieces += (head, block)
        length += len(head) + len(block)
    start = MAGIC + _array_head(len(frames))
    pieces[0] = (length + len(start)).to_bytes(8, "little") + start
    return pieces


def bin_head(size: int) -> bytes:
    """Return what comes before the `size` bytes of a msgpack bin."""
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1, "big")
    if size < 1 << 16:
        return b"\xc5" + size.to_bytes(2, "big")
    return b"\xc6" + size.to_bytes(4, "big")


def _array_head(count: int) -> bytes:
    if count < len(_FIXARRAY):
        return bytes([_FIXARRAY[count]])
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def parse_audio(
    payload: memoryview, *, max_inflated: int, max_batch: int, max_frames: int = MAX_FRAMES
) -> list[Frame]:
    """Take an audio message apart and check every frame of it.

    Parameters
    ----------
    payload
        The message, starting with ``rsp``.
    max_inflated
        What one compressed block may grow to, in bytes.
    max_batch
        What all blocks of the message together may come to, in bytes.
    max_frames
        How many frames a batch may have.

    Raises
    ------
    WireError
        The message is neither a single nor a batch, a checksum does not match, or a compressed
        block is damaged or too large. The text counts the frames of a batch from 0.
    """
    parts = _batch_parts(payload, max_frames)
    if parts is None:
        parts = [_single_part(payload)]
    inflater = _Inflater(max_inflated)
    frames = []
    total = 0
    for number, part in enumerate(parts):
        try:
            frame = _open_frame(part, inflater)
        except WireError as error:
            raise WireError(f"frame {number} of {len(parts)}: {error}") from None
        total += len(frame.pcm)
        if total > max_batch:
            raise WireError(
                f"the blocks of this batch come to more than {max_batch} bytes of PCM;"
                " send smaller batches"
            )
        frames.append(frame)
    return frames


def _batch_parts(payload: memoryview, max_frames: int) -> Sequence[memoryview] | None:
    """Return the frames of a batch, or None if the payload is not one by structure.

    The count is judged before anything is made of it: each element of the array takes two bytes of
    the message, but nearly two hundred as an object.
    """
    count = _batch_count(payload)
    if count is None or count * (_BIN_HEAD + HEADER_SIZE) > len(payload):
        return None
    if count > max_frames and not _is_frame(payload):
        raise WireError(
            f"a batch of {count} frames; at most {max_frames} are allowed; send smaller batches"
        )
    try:
        parts = _batch_decoder.decode(payload[3:])
    except msgspec.MsgspecError:
        return None
    return parts if all(_is_frame(part) for part in parts) else None


def _batch_count(payload: memoryview) -> int | None:
    """Return how many elements the array after ``rsp`` announces, or None if there is none."""
    if len(payload) <= len(MAGIC):
        return None
    marker = payload[len(MAGIC)]
    if marker in _FIXARRAY:
        return marker - _FIXARRAY.start
    size = _ARRAY_COUNT_SIZES.get(marker)
    if size is None:
        return None
    return int.from_bytes(payload[len(MAGIC) + 1 : len(MAGIC) + 1 + size], "big")


def _is_frame(part: memoryview) -> bool:
    if len(part) < HEADER_SIZE:
        return False
    magic, size = _SHAPE.unpack_from(part)
    return bool(magic == MAGIC) and len(part) == HEADER_SIZE + size


def _single_part(payload: memoryview) -> memoryview:
    if _is_frame(payload):
        return payload
    if len(payload) < HEADER_SIZE:
        raise WireError(
            f"an audio message of {len(payload)} bytes: a frame has a header of {HEADER_SIZE}"
        )
    size = int.from_bytes(payload[31:33], "little")
    raise WireError(
        f"malformed audio message of {len(payload)} bytes: not a batch, and not a single, which"
        f" with its block size of {size} would have {HEADER_SIZE + size} bytes"
    )


def _open_frame(part: memoryview, inflater: "_Inflater") -> Frame:
    _, session, hash_, checksum, _, flags = HEADER.unpack_from(part)
    block = part[HEADER_SIZE:]
    found = crc32c(block)
    if found != checksum:
        raise WireError(
            f"the block's checksum is {found:#010x}, its header says {checksum:#010x}:"
            " damaged on the way; send it again"
        )
    if flags & ~COMPRESSED:
        raise WireError(f"unknown flags {flags:#04x}; only bit 0 (zstd) is defined")
    if flags & COMPRESSED:
        return Frame(hash_, session, inflater.inflate(block), None)
    return Frame(hash_, session, block, checksum)


class _Inflater:
    """Decompresses the blocks of one message, none of them to more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._decompressor: ZstdDecompressor | None = None

    def inflate(self, block: memoryview) -> bytes:
        import zstandard  # here: it takes 20 ms to import, and most senders never compress

        limit = self._limit
        if self._decompressor is None:
            self._decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        try:
            claimed = zstandard.frame_content_size(block)
            if claimed > limit:
                raise WireError(
                    f"a compressed block of {claimed} bytes; at most {limit} are allowed"
                )
            # With no size in the frame (-1) the library makes at most max_output_size bytes.
            return self._decompressor.decompress(
                block, max_output_size=limit, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise WireError(
                f"the compressed block is not one zstd frame of at most {limit} bytes: {error}"
            ) from None
