"""The commands about a stream's end: EXPIRE, TTL, DELETE."""

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.commands.streams import STREAM_ID


def expire(context: Context, stream_id: str, seconds: int) -> None:
    """Carry out EXPIRE.

    To give a stream that has audio a time to live is to delete it: who may not do the one may not
    do the other.
    """
    if seconds >= 0 and context.store.info(stream_id).frames:
        context.require("EXPIRE of a stream that has audio", Effect.ADMIN, stream_id)
    context.store.expire(stream_id, seconds)


def ttl(context: Context, stream_id: str) -> int:
    """Carry out TTL."""
    return context.store.seconds_left(stream_id)


def delete(context: Context, stream_id: str) -> None:
    """Carry out DELETE."""
    context.store.delete(stream_id)


SPECS = (
    CommandSpec(
        name="EXPIRE",
        doc="Give a stream a time to live: it is deleted that long after its last append (after"
        " CREATE, while it has none), but never while it is open. On a stream that has audio it"
        " needs the role that DELETE needs.",
        example="CREATE 'live' 44100 2 16 |> EXPIRE 'live' 3600",
        overloads=(
            Overload(
                (STREAM_ID, Param("seconds", Kind.INT, "How long; -1 for ever.", least=-1)),
                expire,
            ),
        ),
        output=Output.NULL,
        effect=Effect.WRITE,
    ),
    CommandSpec(
        name="TTL",
        doc="Tell how many seconds a stream still lives; -1 is for ever.",
        example="TTL 'live'",
        overloads=(Overload((STREAM_ID,), ttl),),
        output=Output.INT,
        effect=Effect.READ,
    ),
    CommandSpec(
        name="DELETE",
        doc="Remove a closed stream with all its audio, for good.",
        example="DELETE 'chopin'",
        overloads=(Overload((STREAM_ID,), delete),),
        output=Output.NULL,
        effect=Effect.ADMIN,
        blocks=True,
    ),
)
