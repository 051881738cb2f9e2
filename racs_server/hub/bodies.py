"""What requests bring: files and JSON, read within limits of size, time and memory."""

from typing import Any, Self

import msgspec
import trio
from starlette.requests import ClientDisconnect, Request

from racs_server.errors import LimitError, RequestError
from racs_server.hub.hub import Hub

_MOST_JSON = 64 << 20
"""Bytes of a JSON document: all that a function has printed comes in one."""
_JSON_WEIGHT = 3
"""What a byte of JSON takes while it is read: as it came, as it is found in it, as it is kept."""


class TooSlowError(RequestError):
    """A request was begun and does not go on."""


class Chunks:
    """What a request brings, as it comes: to be iterated over, once.

    Parameters
    ----------
    hub
        Knows how long may be waited.
    request
        The request.
    """

    def __init__(self, hub: Hub, request: Request) -> None:
        self._due = hub.body_due
        self._receive = request.receive
        self._began = trio.current_time()
        self._received = 0
        self._more = True

    def __repr__(self) -> str:
        return f"<Chunks, {self._received} bytes have come>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return some bytes.

        Raises
        ------
        TooSlowError
            They do not come in time.
        ClientDisconnect
            Who sends them is gone.
        """
        while self._more:
            message = None
            with trio.move_on_at(self._due(self._began, trio.current_time(), self._received)):
                message = await self._receive()
            if message is None:
                raise TooSlowError(
                    f"the request did not go on in time: {self._received} bytes of it had come."
                    " Send it again"
                )
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._more = message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self._received += len(chunk)
            if chunk:
                return chunk
        raise StopAsyncIteration


async def json_of(hub: Hub, request: Request) -> dict[str, Any]:
    """Return the JSON object that a request brings.

    Raises
    ------
    RequestError
        It is none, or too slow.
    LimitError
        It is too large.
    BusyError
        There is no memory for it now.
    """
    data = bytearray()
    with hub.lease() as lease:
        async for chunk in Chunks(hub, request):
            data += chunk
            if len(data) > _MOST_JSON:
                raise LimitError(f"more than {_MOST_JSON >> 20} MiB of JSON")
            await lease.grow(_JSON_WEIGHT * len(data))
        try:
            body = msgspec.json.decode(data or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    return body


def text_of(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of a JSON object; `RequestError` if it is not there, or none."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise RequestError(f"{name} = {value!r:.80}: it must be text")
    return value
