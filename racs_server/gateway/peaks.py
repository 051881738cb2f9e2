"""A stream's waveform: least, greatest and RMS of each point and channel."""

from functools import partial

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from racs.wire import Vector
from racs_server.commands.measure import MAX_POINTS
from racs_server.gateway.audio import RANGE_QUERY, Moment, extract
from racs_server.gateway.bodies import JSON_WEIGHT, json_numbers
from racs_server.gateway.operations import Body, Operation, number, run, text
from racs_server.gateway.services import Services
from racs_server.values import StreamInfo

_USUAL = 1000


async def get_peaks(
    services: Services,
    request: Request,
    n: int = _USUAL,
    format: str = "json",  # noqa: A002 (the parameter's name in the query)
    to: Moment | None = None,
    **rest: Moment,
) -> Response:
    """Answer with the waveform of a range."""
    info, range_ = extract(services, request, rest.get("from"), to)
    picture = await run(services, request, range_, f"PEAKS {n}")
    assert isinstance(picture, Vector)
    if format == "f32":
        return Response(bytes(picture.data), media_type="application/octet-stream")
    with services.lease() as lease:
        await lease.grow(JSON_WEIGHT * len(picture.data))
        body = await services.in_thread(partial(_json, picture, info))
    return Response(body, media_type="application/json")


def _json(picture: Vector, info: StreamInfo) -> bytes:
    channels = info.format.channels
    peaks = np.frombuffer(picture.data, "<f4").reshape(-1, channels, 3)  # of nothing: no points
    document = {"points": len(peaks), "channels": channels, "peaks": json_numbers(peaks)}
    return msgspec.json.encode(document)


_SCHEMA = {
    "type": "object",
    "properties": {
        "points": {"type": "integer"},
        "channels": {"type": "integer"},
        "peaks": {
            "type": "array",
            "description": "Of each point, of each channel: least, greatest, RMS.",
            "items": {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"type": "number"},
                    "minItems": 3,
                    "maxItems": 3,
                },
            },
        },
    },
    "required": ["points", "channels", "peaks"],
}

OPERATIONS = (
    Operation(
        method="GET",
        path="/streams/{id:path}/peaks",
        name="getPeaks",
        doc="Draw the waveform of a range of a stream, exact however long it is.",
        call=get_peaks,
        query=(
            *RANGE_QUERY,
            number("n", f"Of how many points, usually {_USUAL}.", 1, MAX_POINTS),
            text(
                "format",
                "json, or f32: little-endian floats of 32 bits, in the order of the JSON.",
                ("json", "f32"),
            ),
        ),
        responses={
            200: Body(
                "The waveform.",
                {"application/json": _SCHEMA, "application/octet-stream": None},
            )
        },
    ),
)
