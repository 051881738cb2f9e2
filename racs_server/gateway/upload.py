"""Audio into a stream: a file, or PCM as it comes.

A stream is opened for it, takes the audio in one session of its own, as it would from any sender,
and is closed, which puts all on the disk. PCM is appended as it comes; a file is kept in a
temporary one first, since most kinds have to be read from there.

Invariants
----------
- The stream is closed whatever happens, and every error says how many sample frames were taken.
- One block is in memory at a time, however fast the client sends.
"""

import errno
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import BinaryIO

import msgspec
import numpy as np
import trio
from starlette.requests import Request
from starlette.responses import Response

from racs.wire import Frame, stream_hash
from racs_server.access import Effect, require
from racs_server.audio.decoding import DecodedFile
from racs_server.errors import (
    DataError,
    DiskFullError,
    RacsError,
    RequestError,
    StorageError,
    StreamError,
)
from racs_server.gateway import problems
from racs_server.gateway.bodies import Incoming, json_response, media_type
from racs_server.gateway.door import caller_of
from racs_server.gateway.files import SHARE
from racs_server.gateway.operations import Body, Operation, run, stream_id_of
from racs_server.gateway.problems import ProblemError
from racs_server.gateway.services import Services
from racs_server.gateway.shelf import NO_LIMIT
from racs_server.lang import write_string
from racs_server.values import AudioFormat, StreamInfo

Buffer = bytes | memoryview
Read = Callable[[], Awaitable[Buffer]]
"""Returns the next block of PCM, as streams have it; nothing at the end."""

_PCM: dict[str, tuple[int | None, bool]] = {
    "audio/l16": (16, True),
    "audio/l24": (24, True),
    "audio/x-raw": (None, False),
}
"""Types of PCM alone: their bit depth (None: the stream's), and whether the high byte is first."""

_FILES = ("audio/", "application/ogg", "application/octet-stream", "video/ogg")


class Taken(msgspec.Struct, frozen=True):
    """What was appended, as JSON."""

    frames: int
    start: int
    stop: int


async def post_audio(services: Services, request: Request) -> Response:
    """Append what a request brings."""
    with services.lease() as lease:
        await lease.grow(SHARE)
        return json_response(await _take(services, request))


async def _take(services: Services, request: Request) -> Taken:
    stream_id = stream_id_of(request)
    require(caller_of(request.scope), "STREAM", Effect.WRITE, (stream_id,))
    info = services.store.info(stream_id)
    kind, parameters = media_type(request)
    if kind in _PCM:
        check_pcm(kind, parameters, info.format)
        incoming = Incoming(request, NO_LIMIT, services.settings, live=True)
        pcm_body = PcmBody(incoming, info.format, swapped=_PCM[kind][1])
        return await _append(services, request, info, pcm_body.read)
    if not kind.startswith(_FILES):
        raise ProblemError(
            problems.BAD_MEDIA,
            f"Content-Type {kind!r}: expected audio/wav, audio/flac or another audio file, or PCM:"
            f" {', '.join(_PCM)}",
        )
    with _temporary(services) as file:
        incoming = Incoming(request, services.settings.max_spool, services.settings)
        while chunk := await incoming.read():
            await services.in_thread(partial(_write, file, chunk))
        decoded = await services.in_thread(partial(DecodedFile, file))
        with closing(decoded):
            decoded.check(info.format)
            read = partial(
                services.in_thread, partial(next, decoded.pcm(info.format.bit_depth), b"")
            )
            return await _append(services, request, info, read)


def check_pcm(kind: str, parameters: dict[str, str], format_: AudioFormat) -> None:
    """Raise `DataError` unless PCM of a media type is what a stream has.

    Parameters
    ----------
    kind, parameters
        The type, and its parameters: ``rate`` and ``channels`` (RFC 2586: one, if it is left out).
    format_
        The stream's.
    """
    own = {"rate": format_.sample_rate, "channels": format_.channels}
    usual = {} if kind == "audio/x-raw" else {"channels": "1"}
    for name, value in (usual | parameters).items():
        if name in own and value != str(own[name]):
            raise DataError(f"{kind} with {name}={value}, but the stream is {format_}")
    if kind != "audio/x-raw" and "rate" not in parameters:
        raise RequestError(f"{kind} needs its rate: {kind};rate={format_.sample_rate}")
    depth = _PCM[kind][0]
    if depth not in (None, format_.bit_depth):
        raise DataError(f"{kind} has {depth} bits, but the stream is {format_}")


async def _append(services: Services, request: Request, info: StreamInfo, read: Read) -> Taken:
    """Open the stream, append blocks of whole sample frames as long as there are, and close it."""
    await run(services, request, f"OPEN {write_string(info.id)}")
    start = services.store.info(info.id).frames
    hash_, session = stream_hash(info.id), uuid.uuid4().bytes
    close = partial(services.in_thread, partial(services.store.close_stream, info.id))
    taken = 0

    def append(block: Buffer) -> None:
        services.store.append([Frame(hash_, session, block, None)])
        services.store.upkeep.flush()

    ours = True
    try:
        while block := await read():
            await services.in_thread(partial(append, block))
            taken += len(block) // info.format.frame_bytes
        ours = False
        await close()
    except (RacsError, ProblemError) as error:
        # a stream that was closed meanwhile may be somebody else's by now
        ours = ours and not isinstance(error, StreamError)
        error.args = (f"{error}. {taken} sample frames were taken",)
        raise
    finally:
        if ours:
            with trio.CancelScope(shield=True), suppress(RacsError):
                await close()
    return Taken(taken, start, start + taken)


class PcmBody:
    """A body of PCM, in whole sample frames.

    Parameters
    ----------
    incoming
        The body.
    format_
        What it consists of.
    swapped
        Whether the high byte of each sample comes first.
    """

    def __init__(self, incoming: Incoming, format_: AudioFormat, *, swapped: bool) -> None:
        self._incoming = incoming
        self._format = format_
        self._swapped = swapped
        self._left = b""

    def __repr__(self) -> str:
        return f"<PcmBody of {self._format}>"

    async def read(self) -> Buffer:
        """Return what has come; nothing at the end.

        Raises
        ------
        DataError
            The end is in the middle of a sample frame.
        """
        frame_bytes = self._format.frame_bytes
        while chunk := await self._incoming.read():
            data = self._left + chunk
            whole = len(data) - len(data) % frame_bytes
            block, self._left = data[:whole], data[whole:]
            if block:
                return _swap(block, self._format.sample_bytes) if self._swapped else block
        if self._left:
            raise DataError(
                f"the PCM ends with {len(self._left)} bytes of an incomplete sample frame, which"
                f" has {frame_bytes}"
            )
        return b""


def _swap(block: bytes, width: int) -> bytes:
    """Return samples of so many bytes each, with the bytes of each the other way round."""
    return np.frombuffer(block, np.uint8).reshape(-1, width)[:, ::-1].tobytes()


@contextmanager
def _temporary(services: Services) -> Iterator[BinaryIO]:
    """Yield a temporary file without a name; what goes wrong with it is the disk's fault."""
    try:
        with tempfile.TemporaryFile(dir=services.settings.data_dir, buffering=0) as file:
            yield file
    except OSError as error:
        kind = DiskFullError if error.errno == errno.ENOSPC else StorageError
        raise kind(f"the file could not be kept while it came: {error.strerror}") from error


def _write(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


_TAKEN_SCHEMA = {
    "type": "object",
    "properties": {
        "frames": {"type": "integer", "description": "Sample frames that were appended."},
        "start": {"type": "integer", "description": "The first of them in the stream."},
        "stop": {"type": "integer", "description": "One past the last."},
    },
    "required": ["frames", "start", "stop"],
}

OPERATIONS = (
    Operation(
        method="POST",
        path="/streams/{id:path}/audio",
        name="appendAudio",
        doc="Append a file, or PCM as it comes, of the stream's sample rate and channels. The"
        " stream is opened for it, and closed; an error tells how many sample frames were taken.",
        call=post_audio,
        body=Body(
            "An audio file; or PCM: audio/l16;rate=44100;channels=2 (high byte first, RFC 2586),"
            " audio/l24, or audio/x-raw (as streams have it: low byte first).",
            {"audio/*": None},
        ),
        responses={200: Body("What was appended.", {"application/json": _TAKEN_SCHEMA})},
    ),
)
