"""One connection's bytes, cut into messages: for the server's end and for the client's.

Every message, in both directions, is an unsigned 64-bit little-endian length and then that many
bytes. A connection lends the buffer that the socket reads into, and its events are views of that
buffer, so that being free of sockets costs no copy::

    n = sock.recv_into(connection.get_buffer())
    connection.received(n)
    while (event := connection.next_event()) is not None:
        ...

Invariants
----------
- An event's memory is good until the next call of `get_buffer`, which may move what is left over.
- No message makes a connection keep more memory than bytes of it have come: a large buffer's pages
  are only touched as they are filled, and it is given back when its message has been dealt with.
- After `FramingLost` nothing more can be read.
"""

import mmap
import struct

import msgspec
import numpy as np

from racs.wire.errors import FramingLost, WireError
from racs.wire.events import AudioFrames, Bytes, Command, EndOfStream, Event, Rejected, Reply
from racs.wire.frames import MAGIC, MAX_FRAMES, parse_audio
from racs.wire.replies import VECTOR_HEAD, VectorStart, parse_vector_head

_LENGTH = struct.Struct("<Q")
PREFIX = _LENGTH.size
_PEEK = 64
_SMALL_BUFFER = 256 << 10
SERVER_BUFFER = 1 << 20
"""What a server's connection always has; its pages are used only while it has something to do."""
_KEPT_BUFFER = 4 << 20
_BELIEVED = 4
"""How many times the limit a message of bytes may be, and is still read to be dropped."""
_ALIGN = 5
"""Where a large reply's payload starts in its buffer, modulo 16: the 11 bytes before an ``s32v``'s
elements then leave these aligned, and they can be used where they are."""


class Limits(msgspec.Struct, frozen=True):
    """What a server accepts from a peer, in bytes.

    Attributes
    ----------
    command
        The longest command text; more is read, dropped and answered with an error.
    evaluation
        The same for a text that starts with EVAL.
    message
        The longest message at all. A larger length cannot be believed: it loses the framing.
    inflated
        What one compressed block may grow to.
    batch
        What all blocks of one message together may come to.
    frames
        How many frames one batch may have (a number, not bytes).
    """

    command: int = 64 << 10
    evaluation: int = 1 << 20
    message: int = 64 << 20
    inflated: int = 1 << 20
    batch: int = 64 << 20
    frames: int = MAX_FRAMES


def encode_command(text: str) -> bytes:
    """Return the message that carries a command, with its length prefix and ending NUL."""
    body = text.encode() + b"\0"
    return len(body).to_bytes(PREFIX, "little") + body


class _Framing:
    """The receive buffer and the length prefixes; what a message means is for the subclasses."""

    _offset = 0
    _small = _SMALL_BUFFER
    """Bytes of the buffer that is kept."""

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._buffer = self._memory(self._small)
        self._start = 0
        self._end = 0
        self._length: int | None = None
        self._skip = 0
        self._ended = False
        self._kept = _KEPT_BUFFER

    @staticmethod
    def _memory(size: int) -> memoryview:
        """Return a buffer whose pages are not touched before bytes come to fill them."""
        return np.empty(size, np.uint8).data

    def get_buffer(self) -> memoryview:
        """Return where the next bytes are to be written; all earlier events are void."""
        held = self._end - self._start
        wanted = max(self.wanted, held + 1)
        if not held:
            self._rewind()
        if self._start + wanted > len(self._buffer):
            self._make_room(wanted)
        return self._buffer[self._end :]

    @property
    def wanted(self) -> int:
        """How many bytes have to lie in the buffer at once, for what is under way."""
        return 0 if self._skip else PREFIX if self._length is None else self._length

    @property
    def missing(self) -> int:
        """How many of those bytes have not come."""
        return self.wanted - (self._end - self._start)

    def _rewind(self) -> None:
        if len(self._buffer) > self._kept and (self._length is None or self._skip):
            self._buffer = self._memory(self._small)
            self._kept = _KEPT_BUFFER
        self._start = self._end = 0

    def _make_room(self, wanted: int) -> None:
        """Move what is held to where `wanted` bytes fit, into a larger buffer if need be."""
        held = self._buffer[self._start : self._end]
        start = 0
        if wanted > len(self._buffer) or len(self._buffer) > _KEPT_BUFFER:
            start = self._offset
            self._buffer = self._memory(max(wanted + start, self._small))
        self._buffer[start : start + len(held)] = held
        self._start, self._end = start, start + len(held)

    def received(self, count: int) -> None:
        """Take note that `count` bytes were written into the lent buffer; 0 is the end."""
        if count == 0:
            self._ended = True
        self._end += count

    @property
    def size(self) -> int:
        """How many bytes the buffer has."""
        return len(self._buffer)

    @property
    def partial(self) -> int | None:
        """How many bytes the message under way has in all, or None between messages."""
        if self._length is not None:
            return PREFIX + self._length
        return PREFIX if self._end > self._start else None

    @property
    def arrived(self) -> int:
        """How many bytes of the message under way have come, its length prefix included."""
        prefix = 0 if self._length is None else PREFIX
        return prefix + self._end - self._start

    @property
    def ended(self) -> bool:
        """Whether the peer has closed its end."""
        return self._ended

    def _read_length(self) -> int | None:
        """Return the length of the message under way once it is known."""
        if self._length is None and self._end - self._start >= PREFIX:
            (length,) = _LENGTH.unpack_from(self._buffer, self._start)
            if length > self._max_message:
                raise FramingLost(
                    f"a message of {length} bytes was announced, at most {self._max_message} are"
                    " allowed: every message starts with its length in 8 bytes, little-endian"
                )
            self._start += PREFIX
            self._length = length
        return self._length

    def _take_message(self, length: int) -> memoryview | None:
        """Return the whole message of that length, or None while bytes are missing."""
        if self._end - self._start < length:
            return None
        payload = self._buffer[self._start : self._start + length]
        self._start += length
        self._length = None
        return payload


class ServerConnection(_Framing):
    """The server's end: requests come in.

    Its buffer takes many audio messages with one read, which are then stored together.
    """

    _small = SERVER_BUFFER

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        super().__init__(self.limits.message)
        self._rejected: Rejected | None = None
        self._most_bytes: int | None = None

    @staticmethod
    def _memory(size: int) -> memoryview:
        """Return a buffer that `rest` can empty."""
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def rest(self) -> None:
        """Use no memory until bytes come, and no large buffer after that; between messages only.

        The buffer may be lent meanwhile: it stays where it is, and loses its pages.
        """
        if self.partial is None:
            mapping = self._buffer.obj
            assert isinstance(mapping, mmap.mmap)
            mapping.madvise(mmap.MADV_DONTNEED)
            self._kept = self._small

    def refuse(self, why: str) -> None:
        """Drop the message under way, whose length is known, and say so when it has come."""
        assert self._length is not None
        audio = bytes(self._buffer[self._start : self._end][: len(MAGIC)]) == MAGIC
        self._rejected, self._skip = Rejected(why, audio=audio), self._length
        self._most_bytes = None

    def limit(self, limits: Limits) -> None:
        """Change what is accepted, from the next message on."""
        self.limits = limits
        self._max_message = limits.message

    def expect_bytes(self, most: int) -> None:
        """Take the next message as bytes without a meaning, at most so many; more are dropped.

        A length far above that is not believed, as elsewhere.
        """
        self._most_bytes = most
        self._max_message = max(self.limits.message, _BELIEVED * most)

    def next_event(self) -> Event | None:
        """Return the next request, or None while its bytes have not come.

        Raises
        ------
        FramingLost
            The announced length is over the limit for messages.
        """
        if self._rejected is not None:
            return self._drop()
        length = self._read_length()
        if length is None:
            return None
        if self._most_bytes is not None:
            return self._plain(length, self._most_bytes)
        if length > self.limits.command and (event := self._too_long(length)) is not None:
            self._rejected, self._skip = event, length
            return self._drop()
        payload = self._take_message(length)
        return None if payload is None else self._event(payload)

    def _plain(self, length: int, most: int) -> Bytes | Rejected | None:
        """Return a message of bytes, once it has come."""
        self._max_message = self.limits.message
        if length > most:
            self._rejected = Rejected(
                f"a file of {length} bytes; at most {most} are allowed", audio=False
            )
            self._skip, self._most_bytes = length, None
            return self._drop()
        payload = self._take_message(length)
        if payload is None:
            return None
        self._most_bytes = None
        return Bytes(payload)

    def _too_long(self, length: int) -> Rejected | None:
        """Decide from a long message's first bytes whether it is over its limit."""
        head = bytes(self._buffer[self._start : min(self._end, self._start + _PEEK)])
        if len(head) < min(_PEEK, length) or head.startswith(MAGIC):
            return None
        evaluation = head.lstrip()[:4].upper() == b"EVAL"
        limit = self.limits.evaluation if evaluation else self.limits.command
        if length <= limit:
            return None
        what = "an EVAL" if evaluation else "a command"
        return Rejected(f"{what} of {length} bytes; at most {limit} are allowed", audio=False)

    def _drop(self) -> Rejected | None:
        """Pass over the rest of a message that is too long; then say so, once."""
        count = min(self._skip, self._end - self._start)
        self._start += count
        self._skip -= count
        if self._skip:
            return None
        event, self._rejected, self._length = self._rejected, None, None
        return event

    def _event(self, payload: memoryview) -> Event:
        if not payload:
            return EndOfStream()
        if payload[:3] == MAGIC:
            try:
                return AudioFrames(
                    parse_audio(
                        payload,
                        max_inflated=self.limits.inflated,
                        max_batch=self.limits.batch,
                        max_frames=self.limits.frames,
                    )
                )
            except WireError as error:
                return Rejected(str(error), audio=True)
        try:
            return Command(str(payload, "utf-8").removesuffix("\0"))
        except UnicodeDecodeError as error:
            return Rejected(
                f"byte {error.start} of the message is {payload[error.start]:#04x}: a request is"
                " either a command in UTF-8 or audio, which starts with 'rsp'",
                audio=False,
            )


class ClientConnection(_Framing):
    """The client's end: replies come in.

    A large reply gets a buffer of its own, which is its to keep (`Reply.owned`): numpy arrays are
    made of it without a copy.
    """

    _offset = _ALIGN
    MAX_REPLY = 2**32 + 64

    def __init__(self) -> None:
        super().__init__(self.MAX_REPLY)
        self._piecewise = False

    @property
    def wanted(self) -> int:
        """How many bytes have to lie in the buffer at once, for what is under way."""
        if self._piecewise and self._length is not None and not self._skip:
            return min(self._length, VECTOR_HEAD)
        return super().wanted

    def begin_vector(self) -> VectorStart | None:
        """Read the head of the next reply, a vector, whose elements `take_elements` then gives.

        So that a vector's length costs no memory. Call it from before the reply's first byte on.

        Returns
        -------
        The head, or None while its bytes have not come.

        Raises
        ------
        NotAVector
            The reply is something else: `next_event` gives it.
        WireError
            It is no reply.
        """
        self._piecewise = True
        length = self._read_length()
        if length is None or self._end - self._start < min(length, VECTOR_HEAD):
            return None
        self._piecewise = False
        head = bytes(self._buffer[self._start : min(self._start + VECTOR_HEAD, self._end)])
        start = parse_vector_head(head, length)
        self._start += length - start.size
        self._skip = start.size
        if not start.size:
            self._length = None
        return start

    @property
    def under_way(self) -> bool:
        """Whether elements of a vector are still to be taken."""
        return self._skip > 0

    def take_elements(self, most: int) -> memoryview | None:
        """Return some more bytes of the vector under way; None if none have come.

        Good until the next call of `get_buffer`, as the memory of all events.
        """
        count = min(self._skip, self._end - self._start, most)
        if not count:
            return None
        piece = self._buffer[self._start : self._start + count]
        self._start += count
        self._skip -= count
        if not self._skip:
            self._length = None
        return piece

    def next_event(self) -> Reply | None:
        """Return the next reply, or None while its bytes have not come.

        Raises
        ------
        FramingLost
            The announced length is longer than any reply can be.
        """
        length = self._read_length()
        if length is None:
            return None
        payload = self._take_message(length)
        if payload is None:
            return None
        owned = len(self._buffer) > _SMALL_BUFFER
        if owned:
            rest = self._buffer[self._start : self._end]
            self._buffer = memoryview(bytearray(max(_SMALL_BUFFER, len(rest))))
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        return Reply(payload, owned)
