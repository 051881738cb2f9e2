"""Bodies of requests and responses: read within limits of size and time, and JSON.

Invariant: nothing is read that is larger than was asked for, nor waited for without a deadline.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import trio
from starlette.requests import ClientDisconnect, Request
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


class Incoming:
    """A request's body, as it comes.

    Parameters
    ----------
    request
        The request.
    most
        Bytes that it may have.
    settings
        How long may be waited: see `Settings.body_due`.
    live
        Whether it may take as long as it likes, if only something comes now and then.
    """

    def __init__(
        self, request: Request, most: int, settings: Settings, *, live: bool = False
    ) -> None:
        self._receive = request.receive
        self._most = most
        self._settings = settings
        self._began = math.inf if live else trio.current_time()
        announced = request.headers.get("content-length", "")
        self._left = most
        if announced.isdigit() and (len(announced) > _DIGITS or int(announced) > most):
            self._left = -1
        self._ended = False

    def __repr__(self) -> str:
        return f"<Incoming, {self._left} of {self._most} bytes may come>"

    async def read(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises
        ------
        ProblemError
            There are too many, or they come too slowly.
        ClientDisconnect
            The client left before the end.
        """
        if self._left < 0:
            raise ProblemError(problems.TOO_LARGE, f"at most {self._most} bytes can be taken here")
        while not self._ended:
            received = self._most - self._left
            due = self._settings.body_due(self._began, trio.current_time(), received)
            with trio.move_on_at(due) as patience:
                message = await self._receive()
            if patience.cancelled_caught:
                raise ProblemError(
                    problems.TOO_SLOW,
                    f"the request's body did not go on in time: {received} bytes of it had come",
                )
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self._left -= len(chunk)
            if self._left < 0:
                return await self.read()
            if chunk:
                return chunk
        return b""


async def bytes_of(request: Request, most: int, settings: Settings) -> bytes:
    """Return a request's body, which is small; raises what `Incoming.read` does."""
    incoming = Incoming(request, most, settings)
    body = bytearray()
    while chunk := await incoming.read():
        body += chunk
    return bytes(body)


_DIGITS = 18


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


JSON_WEIGHT = 16
"""Bytes of memory that a byte of numbers takes at most while it becomes JSON."""

_BLOCK = 1 << 14


def json_numbers(values: npt.NDArray[np.generic]) -> msgspec.Raw:
    """Return an array as JSON, by blocks: Python's numbers take ten times the memory of numpy's."""

    def blocks() -> Iterator[bytes]:
        step = max(1, _BLOCK * len(values) // max(1, values.size))
        for start in range(0, len(values), step):
            yield msgspec.json.encode(values[start : start + step].tolist())[1:-1]

    return msgspec.Raw(b"[" + b",".join(blocks()) + b"]")
