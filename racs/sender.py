"""Sending audio: blocks of PCM into messages, messages onto one connection, acknowledgements back.

There are two ways. `Appending` uses the server's append mode, in which it says from time to time
how much it has. `Acknowledging` gets a reply to each message, and is for short audio and for
servers without that mode.

Owns what is under way and what is known about it when something goes wrong. Knows nothing of how
the caller's data became PCM, or of opening and closing streams.

Invariants
----------
- At most `_WINDOW_MESSAGES` messages are without the reply that is due to each. What the server
  replies is so little that it fits into the sockets' buffers: it never has to wait for us to read
  while we wait for it.
- Audio is never sent twice.
- `Sender.acknowledged` counts sample frames in one piece from the start: none after a refusal.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from racs.commands import command
from racs.connection import Answer, Connection
from racs.errors import (
    RacsConnectionError,
    RacsException,
    RacsProtocolError,
    RacsServerError,
)
from racs.pcm import StreamFormat
from racs.script import END, Pull, Script
from racs.wire import encode_command, frame_header, gather_batch, gather_single, stream_hash
from racs.wire.events import Buffer

NOT_OURS = "Stream is closed or currently in use"
"""How the server refuses audio for a stream that is not, or no longer, this sender's."""

_WINDOW_BYTES = 8 << 20
_WINDOW_MESSAGES = 32

_END_OF_AUDIO = bytes(8)
"""The message of length 0 that ends append mode."""
_SENTINEL = "PONG"
"""What the last report of append mode is followed by: the reply to the PING behind its end."""

Blocks = Iterator[memoryview] | AsyncIterator[memoryview]

Compress = Callable[[memoryview], bytes]
"""Makes one zstd frame of a block of PCM."""


class Packer:
    """Makes messages of PCM: the frames of one session, for one stream.

    Parameters
    ----------
    stream_id
        The stream that they are for.
    session
        The sender's session id, 16 bytes.
    chunk
        Bytes in a block, at most 65,535.
    compress
        Makes one zstd frame of a block; `None`: blocks go as they are.
    """

    def __init__(
        self, stream_id: str, session: bytes, chunk: int, compress: Compress | None = None
    ) -> None:
        self._hash = stream_hash(stream_id)
        self._session = session
        self._chunk = chunk
        self._compress = compress

    def message(self, pcm: memoryview) -> list[Buffer]:
        """Return the pieces of one message that carries all of `pcm`."""
        frames = [
            self._frame(pcm[start : start + self._chunk])
            for start in range(0, len(pcm), self._chunk)
        ]
        return gather_single(*frames[0]) if len(frames) == 1 else gather_batch(frames)

    def _frame(self, block: memoryview) -> tuple[bytes, Buffer]:
        if self._compress is not None:
            packed = self._compress(block)
            if len(packed) < len(block):
                return frame_header(self._hash, self._session, packed, compressed=True), packed
        return frame_header(self._hash, self._session, block), block


class Sender(ABC):
    """Sends messages on one connection, in one of two ways, and keeps account.

    Parameters
    ----------
    connection
        The sender's alone while it sends.
    packer
        Makes the messages.
    target
        The stream that they are for.
    """

    def __init__(self, connection: Connection, packer: Packer, target: StreamFormat) -> None:
        self._connection = connection
        self._packer = packer
        self._target = target
        self._refusal: RacsServerError | None = None
        self._bytes_acknowledged = 0
        self._bytes_after_refusal = 0

    @property
    def acknowledged(self) -> int:
        """Sample frames that the server has, in one piece from the start."""
        return self._bytes_acknowledged // self._target.frame_bytes

    def send_all(self, blocks: Blocks) -> Script[int]:
        """Script: send blocks of PCM, a message each; return the sample frames, all acknowledged.

        Raises
        ------
        RacsServerError
            A message was refused; nothing more was sent.
        RacsConnectionError
            The connection broke.
        BaseException
            Whatever the source raised; what it gave before was sent and is acknowledged.
        """
        while self._refusal is None:
            block = yield from self._next(blocks)
            if block is None:
                break
            try:
                yield from self._send(block)
            except RacsConnectionError as error:
                yield from self._collect()  # the server may have said why before it hung up
                self._raise_refusal()
                raise self._told(error) from error
        broken = yield from self._settle()
        self._raise_refusal()
        if broken is not None:
            raise self._told(broken) from broken
        return self.acknowledged

    def _next(self, blocks: Blocks) -> Script[memoryview | None]:
        try:
            block = yield Pull(blocks)
        except BaseException as error:
            # The source is the caller's own code: whatever ends it, what it gave before is safe.
            yield from self._settle()
            error.add_note(f"Sending to {self._target}: {self._account()}.")
            if isinstance(error, RacsException):
                error.acknowledged = self.acknowledged
            raise
        return None if block is END else block

    @abstractmethod
    def _send(self, block: memoryview) -> Script[None]:
        """Send one block, unless something sent before turns out to have been refused."""

    def _settle(self) -> Script[RacsConnectionError | None]:
        """End sending and learn how much arrived; return what kept us from it."""
        return (yield from self._collect())

    def _collect(self) -> Script[RacsConnectionError | None]:
        """Take all replies that are due; return what kept us from it."""
        try:
            while self._connection.outstanding:
                yield from self._receive()
        except RacsConnectionError as error:
            return error
        return None

    @abstractmethod
    def _receive(self) -> Script[None]:
        """Take one reply."""

    def _raise_refusal(self) -> None:
        if self._refusal is None:
            return
        text = f"{self._refusal} ({self._account()}; sending was stopped)"
        if NOT_OURS in text and not self._bytes_acknowledged:
            text += (
                ". Each call of stream() is a sender of its own: between two of them the stream has"
                " to be closed and opened; what comes bit by bit can be given as one iterator"
            )
        refusal = RacsServerError(text)
        refusal.acknowledged = self.acknowledged
        raise refusal from None

    def _told(self, error: RacsConnectionError) -> RacsConnectionError:
        """Return the same error, with what is known about the audio."""
        told = type(error)(
            f"{error}; {self._account()}. Of what was sent after that the server may have stored"
            " some: compare the stream's size before you go on"
        )
        told.acknowledged = self.acknowledged
        return told

    def _account(self) -> str:
        text = f"{self.acknowledged} sample frames of {self._target.stream_id!r} were acknowledged"
        if later := self._bytes_after_refusal // self._target.frame_bytes:
            text += f", and {later} that came after what was refused"
        return text


class Acknowledging(Sender):
    """Sends messages that the server acknowledges one by one, many of them at once."""

    def __init__(self, connection: Connection, packer: Packer, target: StreamFormat) -> None:
        super().__init__(connection, packer, target)
        self._under_way: deque[int] = deque()
        self._bytes_under_way = 0

    def _send(self, block: memoryview) -> Script[None]:
        while self._under_way and (self._is_full(len(block)) or self._connection.readable()):
            yield from self._receive()
        if self._refusal is None:
            self._under_way.append(len(block))
            self._bytes_under_way += len(block)
            yield from self._connection.send(self._packer.message(block))

    def _is_full(self, coming: int) -> bool:
        return (
            len(self._under_way) >= _WINDOW_MESSAGES
            or self._bytes_under_way + coming > _WINDOW_BYTES
        )

    def _receive(self) -> Script[None]:
        """Take the reply to the message sent first of those under way."""
        try:
            yield from self._connection.receive()
        except RacsServerError as error:
            self._refusal = self._refusal or error
            taken = False
        else:
            taken = True
        size = self._under_way.popleft()
        self._bytes_under_way -= size
        if taken and self._refusal is None:
            self._bytes_acknowledged += size
        elif taken:
            self._bytes_after_refusal += size


class Appending(Sender):
    """Sends messages in append mode, for which the server says now and then how much it has.

    Of its replies only the count is known, not which is the last. So the end is followed by a PING:
    what comes before the reply to that belongs to append mode.
    """

    _start = 0

    def begin(self) -> Script[bool]:
        """Script: enter append mode; False if the server does not, or does not know it."""
        text = command("STREAM", self._target.stream_id)
        # The second reply is that to the PING: until it has come the connection is not clean.
        yield from self._connection.send([encode_command(text)], requests=2)
        try:
            start = yield from self._connection.receive()
        except RacsServerError:
            self._connection.outstanding -= 1
            return False
        self._start = self._count(start)
        return True

    def _send(self, block: memoryview) -> Script[None]:
        while self._connection.readable():
            yield from self._receive()
        if self._refusal is None:
            yield from self._connection.send(self._packer.message(block), requests=0)

    def _settle(self) -> Script[RacsConnectionError | None]:
        try:
            yield from self._connection.send([_END_OF_AUDIO, encode_command("PING")], requests=0)
        except RacsConnectionError as error:
            yield from self._collect()
            return error
        return (yield from self._collect())

    def _receive(self) -> Script[None]:
        try:
            reply = yield from self._connection.receive(unasked=True)
        except RacsServerError as error:
            self._refusal = self._refusal or error
            return
        if reply == _SENTINEL:
            self._connection.outstanding -= 1
        else:
            frames = self._count(reply) - self._start
            self._bytes_acknowledged = frames * self._target.frame_bytes

    def _count(self, reply: Answer) -> int:
        if isinstance(reply, int):
            return reply
        self._connection.close()
        raise RacsProtocolError(
            f"in append mode a number of sample frames was due, but {reply!r:.80} came: is it"
            " racs-server that listens there?"
        )
