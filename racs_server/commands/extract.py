"""The commands that give audio: they describe it, and whoever sends the reply reads it."""

from fractions import Fraction

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.commands.streams import STREAM_ID
from racs_server.values import AudioPlan, StreamRange, TimeRange
from racs_server.values.building import seconds_to_range


def extract(context: Context, stream_id: str, start: int, stop: int) -> StreamRange:
    """Carry out EXTRACT; times are in ns since the epoch."""
    info = context.store.info(stream_id)
    frames = TimeRange(start, stop).frames(info.ref, info.format.sample_rate, info.frames)
    return context.store.plan(stream_id, *frames)


def range_(context: Context, stream_id: str, start: Fraction, duration: Fraction) -> StreamRange:
    """Carry out RANGE; seconds from the stream's first sample frame."""
    info = context.store.info(stream_id)
    first, stop = seconds_to_range(start, duration, info.format.sample_rate)
    first = min(max(first, 0), info.frames)
    return context.store.plan(stream_id, first, min(max(stop, first), info.frames))


def shape(context: Context, piped: AudioPlan) -> list[int]:
    """Carry out SHAPE."""
    format_ = piped.format
    return [format_.sample_rate, format_.channels, format_.bit_depth, piped.frames]


TIMES = Overload(
    (
        STREAM_ID,
        Param("start", Kind.TIME, "The time of the first sample frame."),
        Param("stop", Kind.TIME, "The time before which the last one lies."),
    ),
    extract,
)

RANGE = Overload(
    (
        STREAM_ID,
        Param("start", Kind.FLOAT, "Seconds after the stream's first sample frame."),
        Param("duration", Kind.FLOAT, "Seconds.", least=0),
    ),
    range_,
)

SPECS = (
    CommandSpec(
        name="EXTRACT",
        doc="Give the samples of every sample frame whose time is at or after the first time and"
        " before the second, so that adjoining ranges join without gap or overlap. With two numbers"
        " in the place of the times, one of them with a point, it is RANGE.",
        example="EXTRACT 'chopin' 2023-12-25T22:30:45.123Z 2023-12-25T22:31:00Z",
        overloads=(TIMES, RANGE),
        output=Output.AUDIO,
        effect=Effect.READ,
    ),
    CommandSpec(
        name="RANGE",
        doc="Give the samples of a stretch of a stream: every sample frame from a number of seconds"
        " after the first one, for a number of seconds. Seconds are exact, as they are written, so"
        " that adjoining ranges join without gap or overlap.",
        example="RANGE 'chopin' 12.5 0.1",
        overloads=(RANGE,),
        output=Output.AUDIO,
        effect=Effect.READ,
    ),
    CommandSpec(
        name="SHAPE",
        doc="Tell what the piped audio is like: sample rate (Hz), channels, bit depth and length"
        " in sample frames, four ints. None of it is read.",
        example="RANGE 'chopin' 0 30 |> RESAMPLE 48000 |> SHAPE",
        overloads=(Overload((), shape),),
        input=Output.AUDIO,
        output=Output.LIST,
        effect=Effect.READ,
    ),
)
