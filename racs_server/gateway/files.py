"""Files made of audio, sent as they are made: whole, or a range of their bytes.

Invariants
----------
- Nothing is sent before the first piece is there: what fails till then is an ordinary error.
- One piece is in memory at a time; the next is read when the client has taken it.
- Whatever happens, and also when the client leaves, what a file holds is freed, or goes back to the
  shelf.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from importlib.metadata import version
from typing import TypeVar

import outcome
import trio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from racs_server.audio.codecs import CODECS, Streamed
from racs_server.commands import Piece, gather
from racs_server.errors import RacsError
from racs_server.gateway import problems
from racs_server.gateway.problems import ProblemError
from racs_server.gateway.ranges import Span, UnsatisfiableError, is_known, wanted_span
from racs_server.gateway.services import Services
from racs_server.values import EncodedPlan
from racs_server.values.plans import encode_plan

logger = logging.getLogger(__name__)
T = TypeVar("T")

SHARE = 2 << 20
"""Memory that a file takes on its way out or in, however long it is."""

_VERSION = version("racs-store")
_WITH_FORMAT = ("audio/l16", "audio/l24")
"""Types whose names tell the sample rate and the channels (RFC 2586, RFC 3190)."""


def entity_tag(encoded: EncodedPlan) -> str:
    """Return the strong entity tag of a file: the same plan gives the same bytes.

    What a stream has does not change, and a stream made anew has another serial.
    """
    parts = (encode_plan(encoded.plan), encoded.mime_type, encoded.bit_rate, encoded.tags, _VERSION)
    return f'"{sha256(repr(parts).encode()).hexdigest()[:32]}"'


def content_type(encoded: EncodedPlan) -> str:
    """Return the media type of a file."""
    if encoded.mime_type not in _WITH_FORMAT:
        return encoded.mime_type
    format_ = encoded.plan.format
    return f"{encoded.mime_type};rate={format_.sample_rate};channels={format_.channels}"


async def file_response(
    services: Services, request: Request, encoded: EncodedPlan, headers: Mapping[str, str]
) -> Response:
    """Return the response to a request for a file.

    Parameters
    ----------
    services
        See `Services`.
    request
        What was asked for: the whole file, a range of it, or its headers alone (HEAD).
    encoded
        What to make.
    headers
        Further headers.

    Raises
    ------
    RacsError
        It cannot be made.
    ProblemError
        It has no such range.
    ClientDisconnect
        The client left while it was made.
    """
    etag = entity_tag(encoded)
    headers = {
        **headers,
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Type": content_type(encoded),
    }
    if is_known(request.headers.get("if-none-match"), etag):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    file = _File(services, etag, encoded)
    try:
        if request.method == "HEAD":
            return _head(file, encoded, headers)
        size = await unless_left(request.receive, file.make)
        span = _span(request, etag, size)
        if span is not None:
            headers["Content-Range"] = span.content_range(size)
        status = HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT
        span = span or Span(0, size)
        headers["Content-Length"] = str(span.stop - span.start)
        first = await file.begin(span.start)
    except BaseException:
        await file.close()
        raise
    return _FileResponse(file, first, span.stop - span.start, status, headers)


def _head(file: "_File", encoded: EncodedPlan, headers: Mapping[str, str]) -> Response:
    response = Response(None, HTTPStatus.OK, headers)
    del response.headers["content-length"]
    if isinstance(CODECS.find(encoded.mime_type).way, Streamed):
        response.headers["content-length"] = str(file.size)
    return response


def _span(request: Request, etag: str, size: int) -> Span | None:
    headers = request.headers
    try:
        return wanted_span(headers.get("range"), headers.get("if-range"), etag, size)
    except UnsatisfiableError:
        raise ProblemError(
            problems.BAD_RANGE,
            f"Range {headers['range']!r}: the file has {size} bytes",
            {"Content-Range": f"bytes */{size}"},
        ) from None


class _File:
    """A file in the making, or from the shelf, worked on in threads."""

    def __init__(self, services: Services, etag: str, encoded: EncodedPlan) -> None:
        self._services = services
        self._file = services.shelf.take(etag, encoded)
        self._lease = services.lease()

    @property
    def size(self) -> int | None:
        """Its bytes, as far as that is known."""
        return self._file.size

    async def make(self) -> int:
        """Make it as far as its size is known; return that."""
        await self._lease.grow(SHARE)
        return await self._file.make(self._services.reading)

    async def begin(self, place: int) -> Piece:
        """Return the first bytes from a place on."""
        self._pieces = self._file.pieces(place)
        return await self.read()

    async def read(self) -> Piece:
        """Return the next bytes; none at the end."""
        return await self._services.in_thread(partial(gather, self._pieces))

    async def close(self) -> None:
        """Free all that it holds."""
        self._lease.shrink(0)
        await self._services.shelf.give_back(self._file)


class _FileResponse(Response):
    """Sends bytes of a file.

    Parameters
    ----------
    file
        The file.
    first
        The first of its bytes to send.
    length
        How many bytes to send.
    status, headers
        The response's.
    """

    def __init__(
        self,
        file: _File,
        first: Piece,
        length: int,
        status: HTTPStatus,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(None, status, headers)
        self._file = file
        self._first = first
        self._length = length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send; a file that cannot be read to its end is cut off, and so is the connection."""
        try:
            await unless_left(receive, partial(self._send, send))
        except ClientDisconnect:
            logger.debug("a client left while a file was sent to it")
        except RacsError as error:
            logger.error("a file was cut off: %s", error)
        finally:
            await self._file.close()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        piece, left = self._first, self._length
        while left:
            piece = piece[:left]
            left -= len(piece)
            body = {"type": "http.response.body", "body": bytes(piece)}
            # with the last bytes comes word that the request is over, as if the client had left
            with trio.CancelScope(shield=not left):
                await send({**body, "more_body": left > 0})
            if left:
                piece = await self._file.read()
        if not self._length:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def unless_left(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    """Return what some work returns, or raise what it raises; end it when the client leaves.

    Raises
    ------
    ClientDisconnect
        The client left.
    """
    results: list[outcome.Outcome[T]] = []
    left = False

    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            nonlocal left
            while (await receive())["type"] != "http.disconnect":
                pass
            left = True
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            results.append(outcome.Value(await work()))
        except Exception as error:
            results.append(outcome.Error(error))
        nursery.cancel_scope.cancel()
    if left and not results:
        raise ClientDisconnect
    return results[0].unwrap()
