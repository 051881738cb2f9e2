"""Formats that are a head and then packed PCM: equal audio gives equal bytes."""

from collections.abc import Callable, Iterator

import msgspec

from racs_server.audio import pcm
from racs_server.audio.codecs.spec import MAX_CHUNKS, Block, Buffer, Streamed, Wanted


def plain(
    head: Callable[[Wanted], bytes],
    order: pcm.ByteOrder = "little",
    *,
    aligned: bool = True,
    most: int = MAX_CHUNKS,
) -> Streamed:
    """Return how files of a head and packed PCM are made.

    Parameters
    ----------
    head
        Returns what stands before the PCM.
    order
        Of the bytes of a sample.
    aligned
        Whether PCM of an odd number of bytes is followed by a zero, as chunks are; that one is not
        counted in the chunk.
    most
        The most bytes that a file can have.
    """

    def before(wanted: Wanted) -> int:
        # a head is as long for any number of frames; that of too many could not be written
        return len(head(msgspec.structs.replace(wanted, frames=0)))

    def length(wanted: Wanted) -> int:
        size = data_bytes(wanted)
        return before(wanted) + size + (size % 2 if aligned else 0)

    def packed(wanted: Wanted, pcm_pieces: Iterator[Buffer]) -> Iterator[Buffer]:
        # what fails with the first piece fails before anything is sent
        first = next(pcm_pieces, None)
        # raw PCM has no head; a piece without bytes would be taken for the end
        if start := head(wanted):
            yield start
        if first is not None:
            yield first
        yield from pcm_pieces
        if aligned and data_bytes(wanted) % 2:
            yield b"\0"

    def pieces(wanted: Wanted, blocks: Iterator[Block]) -> Iterator[Buffer]:
        depth = wanted.format.bit_depth
        return packed(wanted, (pcm.pack(block, depth, order) for block in blocks))

    return Streamed(length, pieces, before, most, packed if order == "little" else None)


def data_bytes(wanted: Wanted) -> int:
    """Return how many bytes of PCM a file has."""
    return wanted.frames * wanted.format.frame_bytes
