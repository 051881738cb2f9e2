"""STREAM: audio for an open stream, from the client's connection."""

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Mode, Output, Overload
from racs_server.commands.streams import STREAM_ID
from racs_server.errors import StreamError
from racs_server.values import AppendTo


def stream(context: Context, stream_id: str) -> AppendTo:
    """Carry out STREAM: the connection takes audio from now on."""
    info = context.store.info(stream_id)
    if not info.is_open:
        raise StreamError(
            f"Stream is closed or currently in use. {stream_id!r} is not open: OPEN it first"
        )
    return AppendTo(stream_id, info.frames)


SPECS = (
    CommandSpec(
        name="STREAM",
        doc="Append audio to an open stream. The reply is its length in sample frames; then come"
        " audio messages without a reply to each, until one of length 0. The length is told again"
        " from time to time and at the end, when all is on the disk.",
        example="STREAM 'chopin'",
        overloads=(Overload((STREAM_ID,), stream),),
        output=Output.INT,
        effect=Effect.WRITE,
        mode=Mode.APPEND,
    ),
)
