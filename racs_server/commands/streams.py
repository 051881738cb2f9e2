"""The commands that make, open, close, find and describe streams."""

from collections.abc import Callable

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.errors import StreamError
from racs_server.glob import compile_glob
from racs_server.values import (
    BIT_DEPTHS,
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    AudioFormat,
    StreamInfo,
)

STREAM_ID = Param("stream_id", Kind.STRING, "The stream's id.", is_stream=True)
PATTERN = Param(
    "pattern",
    Kind.STRING,
    "* stands for any text, ? for one character, [a-z] for one of a set, [!a-z] for one that is"
    " not; letter case counts.",
)

FORMAT_PARAMS = (
    Param("sample_rate", Kind.INT, "In Hz.", least=MIN_RATE, most=MAX_RATE),
    Param("channels", Kind.INT, "How many.", least=1, most=MAX_CHANNELS),
    Param("bit_depth", Kind.INT, "Of the samples.", choices=BIT_DEPTHS),
)

ATTRIBUTES: dict[str, Callable[[StreamInfo], int]] = {
    "sample_rate": lambda info: info.format.sample_rate,
    "channels": lambda info: info.format.channels,
    "bit_depth": lambda info: info.format.bit_depth,
    "ref": lambda info: info.ref,
    "size": lambda info: info.size,
}
"""What INFO can tell, and how it is read off a stream."""


def create(
    context: Context, stream_id: str, sample_rate: int, channels: int, bit_depth: int
) -> None:
    """Carry out CREATE."""
    context.store.create(stream_id, AudioFormat(sample_rate, channels, bit_depth))


def open_stream(context: Context, stream_id: str) -> None:
    """Carry out OPEN."""
    context.store.open_stream(stream_id)


def close_stream(context: Context, stream_id: str) -> None:
    """Carry out CLOSE."""
    context.store.close_stream(stream_id)


def list_streams(context: Context, pattern: str) -> list[str]:
    """Carry out LIST: of the streams that the caller may read."""
    found = filter(compile_glob(pattern), context.store.ids())
    return sorted(each for each in found if context.caller.may(Effect.READ, each))


def info(context: Context, stream_id: str, attribute: str) -> int:
    """Carry out INFO."""
    return ATTRIBUTES[attribute](context.store.info(stream_id))


def describe(context: Context, pattern: str) -> list[str | int]:
    """Carry out DESCRIBE."""
    found: list[str | int] = []
    for stream_id in list_streams(context, pattern):
        try:
            info, ttl = context.store.info(stream_id), context.store.seconds_left(stream_id)
        except StreamError:
            continue  # deleted since it was listed
        found += [stream_id, *(read(info) for read in ATTRIBUTES.values()), info.is_open, ttl]
    return found


SPECS = (
    CommandSpec(
        name="CREATE",
        doc="Make a new stream of the format given. It has to be opened before it takes audio.",
        example="CREATE 'chopin' 44100 2 16",
        overloads=(
            Overload(
                (
                    Param(
                        "stream_id",
                        Kind.STRING,
                        "The new id: 1 to 255 bytes of text.",
                        is_stream=True,
                    ),
                    *FORMAT_PARAMS,
                ),
                create,
            ),
        ),
        output=Output.NULL,
        effect=Effect.WRITE,
    ),
    CommandSpec(
        name="OPEN",
        doc="Let a stream take audio: the first frame that comes ties it to its sender's session.",
        example="OPEN 'chopin'",
        overloads=(Overload((STREAM_ID,), open_stream),),
        output=Output.NULL,
        effect=Effect.WRITE,
    ),
    CommandSpec(
        name="CLOSE",
        doc="End a stream's session. All that was acknowledged is on the disk when it replies.",
        example="CLOSE 'chopin'",
        overloads=(Overload((STREAM_ID,), close_stream),),
        output=Output.NULL,
        effect=Effect.WRITE,
        blocks=True,
    ),
    CommandSpec(
        name="LIST",
        aliases=("LS", "SEARCH"),
        doc="List the ids that match a pattern, sorted by code point.",
        example="LIST 'birds/2025-*'",
        overloads=(
            Overload(
                (PATTERN,),
                list_streams,
            ),
        ),
        output=Output.LIST,
        effect=Effect.READ,
        blocks=True,
    ),
    CommandSpec(
        name="DESCRIBE",
        doc="Tell all of all streams whose ids match a pattern, sorted as by LIST, with one reply:"
        " eight values for each, its id, what INFO tells (sample_rate, channels, bit_depth, ref and"
        " size), whether it is open, and its TTL.",
        example="DESCRIBE 'birds/2025-*'",
        overloads=(Overload((PATTERN,), describe),),
        output=Output.LIST,
        effect=Effect.READ,
        blocks=True,
    ),
    CommandSpec(
        name="INFO",
        aliases=("META",),
        doc="Tell one attribute of a stream: its sample rate (Hz), channels, bit depth, ref (when"
        " its first sample came, in ms since the epoch; 0 while it is empty) or size (bytes of"
        " PCM).",
        example="INFO 'chopin' 'sample_rate'",
        overloads=(
            Overload(
                (
                    STREAM_ID,
                    Param("attribute", Kind.STRING, "Which one.", choices=tuple(ATTRIBUTES)),
                ),
                info,
            ),
        ),
        output=Output.INT,
        effect=Effect.READ,
    ),
)
