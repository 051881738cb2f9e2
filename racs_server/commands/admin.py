"""The commands about the server itself."""

from racs_server.commands.context import Context, Figure
from racs_server.commands.spec import CommandSpec, Effect, Output, Overload


def ping(context: Context) -> str:
    """Carry out PING."""
    return "PONG"


def shutdown(context: Context) -> None:
    """Carry out SHUTDOWN: the server stays if something cannot be put on the disk."""
    context.store.close_all()
    context.request_shutdown()


def stats(context: Context) -> list[Figure]:
    """Carry out STATS."""
    return [each for pair in context.figures().items() for each in pair]


SPECS = (
    CommandSpec(
        name="PING",
        doc="Answer PONG.",
        example="PING",
        overloads=(Overload((), ping),),
        output=Output.STRING,
        effect=Effect.READ,
        public=True,
    ),
    CommandSpec(
        name="STATS",
        doc="Tell the server's figures: name, value, name, value and so on. Those that only grow"
        " count from its start, so that two looks give a rate.",
        example="STATS",
        overloads=(Overload((), stats),),
        output=Output.LIST,
        effect=Effect.READ,
        blocks=True,
    ),
    CommandSpec(
        name="SHUTDOWN",
        doc="Close all streams and end the server. Everything is on the disk when it replies.",
        example="SHUTDOWN",
        overloads=(Overload((), shutdown),),
        output=Output.NULL,
        effect=Effect.ADMIN,
        blocks=True,
    ),
)
