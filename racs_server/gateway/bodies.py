"""Bodies of requests and responses: read within limits of size and time, and JSON.

Invariant: nothing is read that is larger than was asked for, nor waited for without a deadline.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import msgspec
import trio
from starlette.requests import Request
from starlette.responses import Response

from racs_server.config import Settings
from racs_server.errors import RequestError
from racs_server.gateway import problems
from racs_server.gateway.problems import ProblemError

T = TypeVar("T")

MAX_DOCUMENT = 64 << 10
"""Bytes of a JSON document that is no command."""


def media_type(request: Request) -> tuple[str, dict[str, str]]:
    """Return a request's media type in lower case, and its parameters (RFC 9110, 8.3)."""
    kind, *rest = request.headers.get("content-type", "").split(";")
    pairs = (each.partition("=") for each in rest)
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    return kind.strip().lower(), parameters


async def chunks_of(request: Request, most: int, settings: Settings) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes.

    Raises
    ------
    ProblemError
        It is larger than `most` bytes, or nothing has come for `Settings.message_time`.
    ClientDisconnect
        The client left before its end.
    """
    announced = request.headers.get("content-length", "0")
    total = 0
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    stream = request.stream()
    while True:
        try:
            with trio.fail_after(settings.message_time):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except trio.TooSlowError:
            raise ProblemError(
                problems.TOO_SLOW,
                f"nothing of the request's body came for {settings.message_time:g} s",
                {"Connection": "close"},
            ) from None
        total += len(chunk)
        if total > most:
            raise _too_large(most)
        if chunk:
            yield chunk


def _too_large(most: int) -> ProblemError:
    return ProblemError(problems.TOO_LARGE, f"at most {most} bytes can be taken here")


async def bytes_of(request: Request, most: int, settings: Settings) -> bytes:
    """Return a request's body, which is small; raises what `chunks_of` does."""
    due = trio.current_time() + settings.message_time
    body = bytearray()
    async for chunk in chunks_of(request, most, settings):
        body += chunk
        if trio.current_time() > due:
            raise ProblemError(problems.TOO_SLOW, "the request's body did not come in time")
    return bytes(body)


async def json_of(request: Request, type_: type[T], settings: Settings) -> T:
    """Return the JSON document that a request brings.

    Raises
    ------
    ProblemError
        It is of another type, too large, or too slow.
    RequestError
        It is no such document.
    """
    kind, _ = media_type(request)
    if kind != "application/json":
        raise ProblemError(problems.BAD_MEDIA, f"Content-Type {kind!r}: expected application/json")
    body = await bytes_of(request, MAX_DOCUMENT, settings)
    return decode(body, type_)


def decode(body: bytes, type_: type[T]) -> T:
    """Return a document of a type; `RequestError` says what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body: {error}") from None


def json_response(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response that is a JSON document."""
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")
