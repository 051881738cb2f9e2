"""The commands that turn a connection into a feed: FOLLOW and SUBSCRIBE.

They only say what is to be fed; the connection does it (`racs_server.net.feeds`).
"""

from fractions import Fraction

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Mode, Output, Overload, Param
from racs_server.commands.streams import PATTERN, STREAM_ID
from racs_server.values import Follow, Subscribe, TimeRange
from racs_server.values.building import seconds_to_range


def follow(context: Context, stream_id: str) -> Follow:
    """Carry out FOLLOW from now on."""
    info = context.store.info(stream_id)
    return Follow(stream_id, info.serial, info.frames)


def follow_from(context: Context, stream_id: str, start: int) -> Follow:
    """Carry out FOLLOW from an instant, in ns since the epoch, that has been or is to come."""
    info = context.store.info(stream_id)
    if not info.frames:
        return Follow(stream_id, info.serial, 0)
    [first, _] = TimeRange(start, start).frames(info.ref, info.format.sample_rate, info.frames)
    return Follow(stream_id, info.serial, first)


def follow_after(context: Context, stream_id: str, start: Fraction) -> Follow:
    """Carry out FOLLOW from a number of seconds after the first sample frame."""
    info = context.store.info(stream_id)
    first, _ = seconds_to_range(start, Fraction(0), info.format.sample_rate)
    return Follow(stream_id, info.serial, min(max(first, 0), info.frames))


def subscribe(_: Context, pattern: str) -> Subscribe:
    """Carry out SUBSCRIBE from now on."""
    return Subscribe(pattern, None)


def subscribe_since(_: Context, pattern: str, since: int) -> Subscribe:
    """Carry out SUBSCRIBE from an event on."""
    return Subscribe(pattern, since)


SPECS = (
    CommandSpec(
        name="FOLLOW",
        doc="Send a stream's audio as it comes, and first what it has from a time on: a time, or a"
        " number with a point: seconds after its first sample frame; without one, what comes from"
        " now on. Each piece is a list ('audio', first sample frame, sample frames), then its"
        " samples. Whatever the client sends ends it.",
        example="FOLLOW 'chopin' 12.5",
        overloads=(
            Overload((STREAM_ID,), follow),
            Overload(
                (STREAM_ID, Param("start", Kind.TIME, "The time of the first sample frame.")),
                follow_from,
            ),
            Overload(
                (
                    STREAM_ID,
                    Param("start", Kind.FLOAT, "Seconds after the stream's first sample frame."),
                ),
                follow_after,
            ),
        ),
        output=Output.LIST,
        effect=Effect.READ,
        mode=Mode.FEED,
    ),
    CommandSpec(
        name="SUBSCRIBE",
        doc="Tell what happens to the streams whose ids match a pattern, as it happens: lists"
        " (number, kind, id, time in ms, first sample frame, end). Given the number of the last"
        " event that is known, it tells first what has happened since. Whatever the client sends"
        " ends it.",
        example="SUBSCRIBE 'birds/*'",
        overloads=(
            Overload((PATTERN,), subscribe),
            Overload(
                (PATTERN, Param("since", Kind.INT, "Number of the last event known.", least=0)),
                subscribe_since,
            ),
        ),
        output=Output.LIST,
        effect=Effect.READ,
        mode=Mode.FEED,
    ),
)
