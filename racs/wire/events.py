"""What arrives on a connection, as frozen values.

The PCM of a `Frame` and the payload of a `Reply` may be views of the connection's receive buffer:
unless the reply owns its payload, they are good until the connection is next asked for a buffer
(see `racs.wire.connection`).
"""

import msgspec

Buffer = bytes | bytearray | memoryview


class Command(msgspec.Struct, frozen=True, gc=False):
    """A command text, without the NUL byte that may end it."""

    text: str


class Frame(msgspec.Struct, frozen=True):
    """One block of PCM, checked against its checksum and decompressed.

    Attributes
    ----------
    stream_hash
        First 64 bits of MurmurHash3 x64-128 of the stream id, unsigned.
    session
        The sender's session id, 16 bytes.
    pcm
        Interleaved little-endian samples. May be empty.
    checksum
        CRC-32C of `pcm` where the frame's own checksum was one of just these bytes (a block that
        came uncompressed), else `None`.
    """

    stream_hash: int
    session: bytes
    pcm: Buffer
    checksum: int | None


class AudioFrames(msgspec.Struct, frozen=True):
    """The frames of one audio message: one of a single, any number of a batch."""

    frames: list[Frame]


class Bytes(msgspec.Struct, frozen=True):
    """A message that was announced to be just bytes; see `ServerConnection.expect_bytes`."""

    payload: memoryview


class EndOfStream(msgspec.Struct, frozen=True, gc=False):
    """A message of length 0: the end of append mode; elsewhere an empty command."""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A message that was read but cannot be accepted; the connection can go on.

    Attributes
    ----------
    reason
        What was wrong, where, and what was expected.
    audio
        Whether the message was meant as audio.
    """

    reason: str
    audio: bool


class Reply(msgspec.Struct, frozen=True):
    """One reply, not yet unpacked (`racs.wire.replies.decode_reply` does that).

    Attributes
    ----------
    payload
        The msgpack array.
    owned
        Whether the payload's memory belongs to this reply alone, for good; else it is a view like
        those of the other events.
    """

    payload: memoryview
    owned: bool = False


Event = Command | AudioFrames | Bytes | EndOfStream | Rejected | Reply
