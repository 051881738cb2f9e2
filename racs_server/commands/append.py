"""STREAM: audio for an open stream, from the pipe or else from the client's connection."""

from collections.abc import Iterator

from racs_server.audio import pcm
from racs_server.commands.context import Context
from racs_server.commands.source import iter_blocks
from racs_server.commands.spec import CommandSpec, Effect, Mode, Output, Overload
from racs_server.commands.streams import STREAM_ID
from racs_server.errors import RacsError, StreamError
from racs_server.values import AppendTo, AudioPlan
from racs_server.values.building import checked, require_same_format


def stream(context: Context, stream_id: str) -> AppendTo:
    """Carry out STREAM: the connection takes audio from now on."""
    info = context.store.info(stream_id)
    if not info.is_open:
        raise StreamError(
            f"Stream is closed or currently in use. {stream_id!r} is not open: OPEN it first"
        )
    return AppendTo(stream_id, info.frames)


def stream_piped(context: Context, piped: AudioPlan, stream_id: str) -> int:
    """Carry out STREAM with piped audio: append it; return how many sample frames it was."""
    checked(piped, "STREAM")
    info = context.store.info(stream_id)
    require_same_format("STREAM", piped.format, info.format, f"stream {stream_id!r}")
    done = 0

    def packed() -> Iterator[memoryview]:
        nonlocal done
        for block in iter_blocks(context.store, piped):
            context.check_cancelled()
            yield pcm.pack(block, piped.format.bit_depth)
            done += block.size // piped.format.channels

    try:
        context.store.feed(stream_id, packed())
    except RacsError as error:
        if not done:
            raise
        raise type(error)(
            f"{error}. The first {done} of {piped.frames} sample frames are in {stream_id!r}"
        ) from error
    return done


_PIPED = CommandSpec(
    name="STREAM",
    doc="Append the piped audio to an open stream of the same format.",
    example="RANGE 'chopin' 0 30 |> STREAM 'excerpts'",
    overloads=(Overload((STREAM_ID,), stream_piped),),
    input=Output.AUDIO,
    output=Output.INT,
    effect=Effect.WRITE,
    blocks=True,
)

SPECS = (
    CommandSpec(
        name="STREAM",
        doc="Append audio to an open stream. Audio from the pipe has to be of the stream's format;"
        " the result is how many sample frames were appended. With nothing piped, the reply is the"
        " stream's length in sample frames; then come audio messages without a reply to each, until"
        " one of length 0. The length is told again from time to time and at the end, when all is"
        " on the disk.",
        example="STREAM 'chopin'",
        overloads=(Overload((STREAM_ID,), stream),),
        output=Output.INT,
        effect=Effect.WRITE,
        mode=Mode.APPEND,
        when_piped=_PIPED,
    ),
)
