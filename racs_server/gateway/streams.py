"""Streams: found, made, told of, deleted."""

from bisect import bisect_right
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from racs_server.access import Effect, require
from racs_server.errors import MissingError
from racs_server.gateway.bodies import json_of, json_response
from racs_server.gateway.door import caller_of
from racs_server.gateway.operations import (
    Body,
    Operation,
    number,
    path_to,
    run,
    stream_id_of,
    text,
)
from racs_server.gateway.services import Services
from racs_server.lang import write_string
from racs_server.values import (
    BIT_DEPTHS,
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    StreamInfo,
    format_instant,
)

_PAGE = 100
_LARGEST_PAGE = 1000
_LONGEST_LIFE = 1 << 40


class StreamDocument(msgspec.Struct, frozen=True):
    """A stream, as JSON."""

    id: str
    sample_rate: int
    channels: int
    bit_depth: int
    frames: int
    size: int
    ref: int
    first: str | None
    last: str | None
    open: bool


class Page(msgspec.Struct, frozen=True):
    """Some streams, and where to go on."""

    streams: list[StreamDocument]
    next: str | None


class NewStream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a stream that is to be."""

    id: str
    sample_rate: int
    channels: int
    bit_depth: int
    expire: int | None = None


def described(info: StreamInfo) -> StreamDocument:
    """Return what is told of a stream."""
    format_ = info.format
    first = last = None
    if info.frames:
        first, last = (format_instant(info.instant(frame)) for frame in (0, info.frames - 1))
    return StreamDocument(
        info.id,
        format_.sample_rate,
        format_.channels,
        format_.bit_depth,
        info.frames,
        info.size,
        info.ref,
        first,
        last,
        info.is_open,
    )


async def list_streams(
    services: Services,
    request: Request,
    match: str = "*",
    after: str | None = None,
    limit: int = _PAGE,
) -> Response:
    """Answer with a page of the streams that the caller may read."""
    ids = await run(services, request, f"LIST {write_string(match)}")
    assert isinstance(ids, list)
    start = bisect_right(ids, after) if after is not None else 0
    page = ids[start : start + limit]
    found = []
    for stream_id in page:
        try:
            found.append(described(services.store.info(stream_id)))
        except MissingError:
            continue  # deleted since it was listed
    more = start + limit < len(ids)
    return json_response(Page(found, page[-1] if more else None))


async def create_stream(services: Services, request: Request) -> Response:
    """Make a stream."""
    new = await json_of(request, NewStream, services.settings)
    stream_id = write_string(new.id)
    commands = [f"CREATE {stream_id} {new.sample_rate} {new.channels} {new.bit_depth}"]
    if new.expire is not None:
        commands.append(f"EXPIRE {stream_id} {new.expire}")
    await run(services, request, *commands)
    headers = {"Location": path_to(request, new.id)}
    return json_response(described(services.store.info(new.id)), 201, headers)


async def get_stream(services: Services, request: Request) -> Response:
    """Tell of one stream."""
    stream_id = stream_id_of(request)
    require(caller_of(request.scope), "INFO", Effect.READ, (stream_id,))
    return json_response(described(services.store.info(stream_id)))


async def delete_stream(services: Services, request: Request) -> Response:
    """Delete a stream."""
    await run(services, request, f"DELETE {write_string(stream_id_of(request))}")
    return Response(status_code=204)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


_COUNT = {"type": "integer", "minimum": 0}
_FORMAT = {
    "sample_rate": {"type": "integer", "minimum": MIN_RATE, "maximum": MAX_RATE},
    "channels": {"type": "integer", "minimum": 1, "maximum": MAX_CHANNELS},
    "bit_depth": {"type": "integer", "enum": list(BIT_DEPTHS)},
}
_ID = {"type": "string", "minLength": 1, "maxLength": 255}
_TIME = {"type": "string", "format": "date-time"}

STREAM_SCHEMA = {
    "type": "object",
    "properties": {
        "id": _ID,
        **_FORMAT,
        "frames": {**_COUNT, "description": "Sample frames."},
        "size": {**_COUNT, "description": "Bytes of PCM."},
        "ref": {**_COUNT, "description": "When the first sample frame came, in ms; 0: none has."},
        "first": {**_nullable(_TIME), "description": "When the first sample frame came."},
        "last": {**_nullable(_TIME), "description": "When the last one did."},
        "open": {"type": "boolean", "description": "Whether it takes audio now."},
    },
    "required": list(StreamDocument.__struct_fields__),
}
_PAGE_SCHEMA = {
    "type": "object",
    "properties": {
        "streams": {"type": "array", "items": {"$ref": "#/components/schemas/Stream"}},
        "next": _nullable({**_ID, "description": "`after` for the next page; null: the last one."}),
    },
    "required": ["streams", "next"],
}
_NEW_SCHEMA = {
    "type": "object",
    "properties": {
        "id": _ID,
        **_FORMAT,
        "expire": {
            "type": ["integer", "null"],
            "minimum": -1,
            "maximum": _LONGEST_LIFE,
            "description": "Seconds to live after the last append; -1: for ever.",
        },
    },
    "required": ["id", *_FORMAT],
    "additionalProperties": False,
}
_STREAM = {"application/json": {"$ref": "#/components/schemas/Stream"}}

OPERATIONS = (
    Operation(
        method="GET",
        path="/streams",
        name="listStreams",
        doc="List streams by a pattern, sorted by code point, page by page.",
        call=list_streams,
        query=(
            text("match", "Glob pattern of ids: * ? [a-z] [!a-z]; usually all."),
            text("after", "List the ids after this one."),
            number("limit", f"How many at most, usually {_PAGE}.", 1, _LARGEST_PAGE),
        ),
        responses={200: Body("A page of streams.", {"application/json": _PAGE_SCHEMA})},
    ),
    Operation(
        method="POST",
        path="/streams",
        name="createStream",
        doc="Make a new, empty stream.",
        call=create_stream,
        body=Body("Its id and format.", {"application/json": _NEW_SCHEMA}),
        responses={201: Body("The stream.", _STREAM)},
    ),
    Operation(
        method="GET",
        path="/streams/{id:path}",
        name="getStream",
        doc="Tell of a stream: format, length, times.",
        call=get_stream,
        responses={200: Body("The stream.", _STREAM)},
    ),
    Operation(
        method="DELETE",
        path="/streams/{id:path}",
        name="deleteStream",
        doc="Remove a closed stream with all its audio, for good.",
        call=delete_stream,
        responses={204: Body("It is gone.", {})},
    ),
)
