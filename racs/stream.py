"""Streams that are sent to: the settings, the older call and the newer one.

Owns the order of things: ask for the format, make sure that the data fit, open, send, close. How
data become PCM is `racs.sources`' affair, how PCM gets to the server `racs.sender`'s. What waits is
a script (see `racs.script`): both clients run the same ones.

Invariants
----------
- Every block is whole sample frames, and so is every message.
- Nothing is asked of a stream before the data, as far as they lie in memory, were found to fit it.
- A stream that was opened here is closed here, unless it turned out to be another sender's.
"""

from collections.abc import Callable
from functools import partial
from typing import Self

import msgspec

from racs.commands import checked_int, command
from racs.connection import Connection
from racs.errors import RacsException, RacsServerError, RacsValueError
from racs.pcm import StreamFormat
from racs.pool import Pool
from racs.script import Blocking, Script, run
from racs.sender import NOT_OURS, Acknowledging, Appending, Compress, Packer
from racs.sources import AsyncLiveSource, PcmData, Source, open_source
from racs.wire import MAX_BLOCK, MAX_FRAMES, encode_command

AnySource = Source | AsyncLiveSource
Opener = Callable[[object, StreamFormat], AnySource]

DEFAULT_CHUNK = 32 << 10
DEFAULT_BATCH = 50
DEFAULT_LEVEL = 3
_MAX_MESSAGE = 64 << 20
_FEW_BLOCKS = 4
"""Up to so many blocks, append mode is not worth asking for."""
_FRAME_OVERHEAD = 64
"""More than header, msgpack and length prefix together add to a block, in bytes."""


class SendSettings(msgspec.Struct, frozen=True):
    """How audio is cut up and packed.

    Attributes
    ----------
    chunk
        Bytes of PCM in a block, before it is rounded down to whole sample frames.
    batch
        Blocks in a message.
    level
        The zstd level, 1 ... 22; `None`: no compression.
    """

    chunk: int = DEFAULT_CHUNK
    batch: int = DEFAULT_BATCH
    level: int | None = None

    def whole_chunk(self, target: StreamFormat) -> int:
        """Return the bytes of a block for a stream: whole sample frames.

        Raises
        ------
        RacsValueError
            Not even one fits, or a batch of such blocks would be too long a message.
        """
        chunk = self.chunk - self.chunk % target.frame_bytes
        if not chunk:
            raise RacsValueError(
                f"chunk_size is {self.chunk} bytes, less than one sample frame of {target}, which"
                f" has {target.frame_bytes}"
            )
        most = _MAX_MESSAGE // (chunk + _FRAME_OVERHEAD)
        if self.batch > most:
            raise RacsValueError(
                f"a batch_size of {self.batch} blocks of {chunk} bytes makes a message of more than"
                f" {_MAX_MESSAGE >> 20} MiB; at most {most} such blocks fit"
            )
        return chunk


def checked_chunk(value: object) -> int:
    """Return a chunk size in bytes.

    Raises
    ------
    RacsTypeError, RacsValueError
        It is no int in 1 ... 65,535.
    """
    return _in_range(value, "chunk_size", 1, MAX_BLOCK)


def _in_range(value: object, name: str, lowest: int, highest: int) -> int:
    number = checked_int(value, name)
    if not lowest <= number <= highest:
        raise RacsValueError(f"{name} must be {lowest} ... {highest}, not {number}")
    return number


class Prepared(msgspec.Struct, frozen=True):
    """A source that fits its stream, and how it is sent: `chunk` bytes of PCM in a block."""

    format: StreamFormat
    chunk: int
    source: AnySource
    settings: SendSettings


class Target(msgspec.Struct, frozen=True):
    """Where a client sends audio, and how.

    Attributes
    ----------
    pool
        The client's connections.
    stream_id
        The stream.
    session
        The session to send in, 16 bytes: a stream takes no other's audio until it is closed.
    opener
        What makes sources of data.
    """

    pool: Pool
    stream_id: str
    session: bytes
    opener: Opener = open_source

    def open_source(self, data: object, settings: SendSettings) -> Script[Prepared]:
        """Script: ask what the stream takes, and see whether the data fit."""
        format_ = yield from ask_format(self.pool, self.stream_id)
        chunk = settings.whole_chunk(format_)
        source: AnySource = yield Blocking(partial(self.opener, data, format_))
        return Prepared(format_, chunk, source, settings)

    def send(self, prepared: Prepared) -> Script[int]:
        """Script: send all of a source; return the sample frames.

        A live source gets a connection of its own: it may go on for days, while others wait in
        line.
        """
        source = prepared.source
        return self.pool.use(partial(_send, prepared, self.session), own=source.live)


def send_audio(target: Target, data: object, settings: SendSettings) -> Script[int]:
    """Script: send audio to a stream that is open; return the sample frames, all acknowledged.

    Raises
    ------
    RacsException
        As `Racs.stream` says.
    """
    prepared = yield from target.open_source(data, settings)
    return (yield from target.send(prepared))


def open_and_send(target: Target, data: object, settings: SendSettings) -> Script[int]:
    """Script: open a stream, send, and close it, also if sending failed; return as `send_audio`.

    Raises
    ------
    RacsException
        As `StreamBuilder.execute` says.
    """

    def do(name: str) -> Script[object]:
        return target.pool.exchange([encode_command(command(name, target.stream_id))])

    prepared = yield from target.open_source(data, settings)
    yield from do("OPEN")
    try:
        sent = yield from target.send(prepared)
    except BaseException as error:
        if not (isinstance(error, RacsServerError) and NOT_OURS in str(error)):
            try:
                yield from do("CLOSE")
            except RacsException as second:
                error.add_note(f"Closing the stream failed as well: {second}")
        raise
    yield from do("CLOSE")
    return sent


def ask_format(pool: Pool, stream_id: str) -> Script[StreamFormat]:
    """Script: return what the server says about a stream.

    Raises
    ------
    RacsServerError
        There is no such stream.
    """
    names = ("sample_rate", "channels", "bit_depth")
    answers = yield from pool.exchange(
        [encode_command(command("INFO", stream_id, n)) for n in names]
    )
    return StreamFormat(
        stream_id, *(checked_int(a, n) for a, n in zip(answers, names, strict=True))
    )


def _send(prepared: Prepared, session: bytes, connection: Connection) -> Script[int]:
    """Send in append mode what is more than a few blocks, where the server has it."""
    source, settings = prepared.source, prepared.settings
    stream_id = prepared.format.stream_id
    packer = Packer(stream_id, session, prepared.chunk, _compressor(settings.level))
    blocks = source.blocks(prepared.chunk * settings.batch)
    if source.size is None or source.size > _FEW_BLOCKS * prepared.chunk:
        appending = Appending(connection, packer, prepared.format)
        if (yield from appending.begin()):
            return (yield from appending.send_all(blocks))
    return (yield from Acknowledging(connection, packer, prepared.format).send_all(blocks))


def _compressor(level: int | None) -> Compress | None:
    if level is None:
        return None
    import zstandard  # here: it takes 20 ms to import, and most senders never compress

    return zstandard.ZstdCompressor(level=level).compress


class Builder:
    """The settings of `StreamBuilder` and `AsyncStreamBuilder`: each call sets one, and chains."""

    def __init__(self, target: Target, settings: SendSettings) -> None:
        self._target = target
        self._settings = settings
        self._level = settings.level or DEFAULT_LEVEL

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self._target.stream_id!r}: {self._settings}>"

    def chunk_size(self, size: int) -> Self:
        """Set how many bytes of PCM a block has: 1 ... 65,535; rounded to whole sample frames."""
        return self._set(chunk=checked_chunk(size))

    def batch_size(self, count: int) -> Self:
        """Set how many blocks a message has: 1 ... 16,384, together less than 64 MiB."""
        return self._set(batch=_in_range(count, "batch_size", 1, MAX_FRAMES))

    def compression(self, kind: bool | str | None = True) -> Self:
        """Turn compression on (``True`` or ``"zstd"``) or off (``False`` or ``None``)."""
        if not (kind is None or isinstance(kind, bool) or kind == "zstd"):
            raise RacsValueError(f"compression must be True, False, None or 'zstd', not {kind!r}")
        return self._set(level=self._level if kind else None)

    def compression_level(self, level: int) -> Self:
        """Set the zstd level, 1 (fast) ... 22 (small), used if compression is on."""
        self._level = _in_range(level, "compression_level", 1, 22)
        return self._set(level=self._level if self._settings.level is not None else None)

    def _set(self, **changes: int | None) -> Self:
        self._settings = msgspec.structs.replace(self._settings, **changes)
        return self


class StreamBuilder(Builder):
    """Sending with settings, made by `Racs.stream` when it is given no data.

    Every method but `execute` sets one thing and returns the builder itself.

    Examples
    --------
    >>> r.stream("chopin").chunk_size(32768).batch_size(50).compression(True).execute(data)
    """

    def execute(self, pcm_data: PcmData) -> int:
        """Open the stream, send the audio, and close the stream, also if sending failed.

        Parameters
        ----------
        pcm_data
            See `Racs.stream`.

        Returns
        -------
        int
            Sample frames, all acknowledged and on the disk.

        Raises
        ------
        RacsException
            As `Racs.stream`; data that are found wrong at once leave the stream untouched.
        """
        return run(open_and_send(self._target, pcm_data, self._settings))
