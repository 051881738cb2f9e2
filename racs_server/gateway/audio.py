"""A stream's audio as a file, of any range and in any format."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from racs_server.access import Effect, require
from racs_server.audio.codecs import CODECS
from racs_server.gateway.door import caller_of
from racs_server.gateway.files import file_response
from racs_server.gateway.operations import (
    Body,
    Operation,
    Query,
    number,
    run,
    stream_id_of,
    text,
)
from racs_server.gateway.services import Services
from racs_server.gateway.shelf import NO_LIMIT
from racs_server.lang import parse_time, write_string
from racs_server.values import (
    BIT_DEPTHS,
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    NS_PER_MS,
    NS_PER_S,
    AudioFormat,
    EncodedPlan,
    StreamInfo,
    format_instant,
)

FORMATS = {
    "wav": "audio/wav",
    "bwf": "audio/x-bwf",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "ogg": "audio/vorbis",
    "aiff": "audio/aiff",
    "l16": "audio/l16",
    "l24": "audio/l24",
    "raw": "audio/x-raw",
    "dat": "audio/x-waveform-data",
    "json": "audio/x-waveform-data+json",
}
"""Formats by the ending of their files' names, which are their short names here too."""

_ENDINGS = {mime_type: name for name, mime_type in FORMATS.items()} | {"audio/x-bwf": "wav"}
_DEPTHS = {"audio/l16": 16, "audio/l24": 24}
"""The bit depth of formats that have no other."""

_MS_FROM = 10**11
_SECONDS = re.compile(r"[+-]?(\d{1,18}(\.\d{0,30})?|\.\d{1,30})")
_LAST = "9999-12-31T23:59:59Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment:
    """A time, or a number of seconds after a stream's first sample frame.

    Parameters
    ----------
    text
        What was given.

    Raises
    ------
    ValueError
        It is neither.
    """

    def __init__(self, text: str) -> None:
        self._seconds: Fraction | None = None
        self._instant = 0
        if _SECONDS.fullmatch(text) and text.isascii():
            value = Fraction(text)
            if value >= _MS_FROM:
                self._instant = ceil(value * NS_PER_MS)
            else:
                self._seconds = value
            return
        # a plus sign means a space in a query
        time = parse_time(text.replace(" ", "+"))
        if time is None:
            raise ValueError(
                "a time (2023-12-25T22:30:45.123Z), ms since the epoch (100000000000 or more), or"
                " seconds after the stream's first sample frame"
            )
        self._instant = time.value

    def instant(self, info: StreamInfo) -> int:
        """Return it in ns since the epoch."""
        if self._seconds is None:
            return self._instant
        return info.ref * NS_PER_MS + ceil(self._seconds * NS_PER_S)


def moment(name: str, doc: str) -> Query:
    """Return a parameter that is a `Moment`."""
    return Query(name, doc, Moment, {"type": "string", "minLength": 1})


def written(instant: int) -> str:
    """Return an instant as a command has it: RFC 3339 with ns, cut to the years that it can say."""
    seconds, ns = divmod(instant, NS_PER_S)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return _LAST if instant > 0 else written(0)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns:09}Z".rjust(30, "0")


RANGE_QUERY = (
    moment(
        "from",
        "The first moment: a time (RFC 3339), ms since the Unix epoch (100000000000 or more), or"
        " seconds after the stream's first sample frame; usually its begin.",
    ),
    moment("to", "The moment before which the range ends, in the same way; usually its end."),
)


def extract(
    services: Services, request: Request, from_: Moment | None, to: Moment | None
) -> tuple[StreamInfo, str]:
    """Return the stream that a request names, and the command that describes a range of it.

    Raises
    ------
    AccessError
        The caller may not read it.
    MissingError
        There is no such stream.
    """
    stream_id = stream_id_of(request)
    require(caller_of(request.scope), "EXTRACT", Effect.READ, (stream_id,))
    info = services.store.info(stream_id)
    start = written(from_.instant(info) if from_ else 0)
    stop = written(to.instant(info)) if to else _LAST
    return info, f"EXTRACT {write_string(stream_id)} {start} {stop}"


async def get_audio(
    services: Services,
    request: Request,
    format: str = "wav",  # noqa: A002 (the parameter's name in the query)
    rate: int | None = None,
    channels: int | None = None,
    depth: int | None = None,
    bitrate: int | None = None,
    to: Moment | None = None,
    **rest: Moment,
) -> Response:
    """Answer with a range of a stream as a file."""
    info, range_ = extract(services, request, rest.get("from"), to)
    mime_type = CODECS.find(FORMATS.get(format, format)).mime_type
    own = info.format
    wanted = AudioFormat(
        rate or own.sample_rate,
        channels or own.channels,
        depth or _DEPTHS.get(mime_type, own.bit_depth),
    )
    encode = f"ENCODE {write_string(mime_type)}"
    if wanted != own:
        numbers = f"{wanted.sample_rate} {wanted.channels} {wanted.bit_depth}"
        encode = f"FORMAT {write_string(mime_type)} {numbers}"
    if bitrate is not None:
        encode += f" {bitrate}"
    encoded = await run(services, request, range_, encode, most=NO_LIMIT)
    assert isinstance(encoded, EncodedPlan)
    headers = {"Content-Disposition": disposition(encoded, info.id)}
    return await file_response(services, request, encoded, headers)


def disposition(encoded: EncodedPlan, name: str) -> str:
    """Return the header that proposes a name for a file (RFC 6266): the stream's, and its time."""
    if encoded.tags.start is not None:
        time = format_instant(encoded.tags.start).replace(":", "-").removesuffix("Z")
        name = f"{name} {time}"
    name = f"{name}.{_ENDINGS[encoded.mime_type]}"
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    return (
        f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name.replace('/', '_'), safe='')}"
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/streams/{id:path}/audio",
        name="getAudio",
        doc="Give a range of a stream as a file, exact to the sample frame; Range, If-Range and"
        " If-None-Match are understood.",
        call=get_audio,
        query=(
            *RANGE_QUERY,
            text("format", f"{', '.join(FORMATS)}, or a MIME type; usually wav."),
            number("rate", "Sample rate in Hz; usually the stream's.", MIN_RATE, MAX_RATE),
            number("channels", "How many; usually the stream's.", 1, MAX_CHANNELS),
            number("depth", "Bit depth; usually the stream's.", min(BIT_DEPTHS), max(BIT_DEPTHS)),
            number("bitrate", "In kbit/s, for formats that have one.", 0, 10_000),
        ),
        responses={
            200: Body("The file.", {"audio/*": None}),
            206: Body("A part of it.", {"audio/*": None}),
            304: Body("The client has it already.", {}),
        },
    ),
)
