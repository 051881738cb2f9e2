"""The commands that give audio: they describe it, and whoever sends the reply reads it."""

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.commands.streams import STREAM_ID
from racs_server.values import AudioPlan, TimeRange


def extract(context: Context, stream_id: str, start: int, stop: int) -> AudioPlan:
    """Carry out EXTRACT; times are in ns since the epoch."""
    info = context.store.info(stream_id)
    frames = TimeRange(start, stop).frames(info.ref, info.format.sample_rate, info.frames)
    return context.store.plan(stream_id, *frames)


SPECS = (
    CommandSpec(
        name="EXTRACT",
        doc="Give the samples of every sample frame whose time is at or after the first time and"
        " before the second, so that adjoining ranges join without gap or overlap.",
        example="EXTRACT 'chopin' 2023-12-25T22:30:45.123Z 2023-12-25T22:31:00Z",
        overloads=(
            Overload(
                (
                    STREAM_ID,
                    Param("start", Kind.TIME, "The time of the first sample frame."),
                    Param("stop", Kind.TIME, "The time before which the last one lies."),
                ),
                extract,
            ),
        ),
        output=Output.AUDIO,
        effect=Effect.READ,
    ),
)
