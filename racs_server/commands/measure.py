"""The commands that measure audio, and NORMALIZE, which acts on a measurement.

They read audio before they give their result: block by block, in bounded memory, and no further
once nobody wants it. PEAKS of a stream reads little: its pyramid knows most (see `waveforms`).
"""

from fractions import Fraction

from racs.wire import Vector
from racs_server.audio.loudness import Loudness, LoudnessMeter
from racs_server.commands.context import Context
from racs_server.commands.extract import RANGE, TIMES, extract, range_
from racs_server.commands.source import iter_blocks
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.commands.waveforms import draw_plan
from racs_server.values import AudioPlan, building

MAX_POINTS = 65_536
"""The most points of a picture: more than any screen has, and less than a megabyte a channel."""

CEILING = Fraction(-1)
"""The true peak, in dBTP, that NORMALIZE stays below unless it is told otherwise (EBU R 128)."""


def measured(context: Context, plan: AudioPlan) -> Loudness:
    """Read a plan's audio, and return its loudness.

    Raises
    ------
    RequestError
        Its sample rate is too low.
    RacsError
        It cannot be read.
    """
    meter = LoudnessMeter(plan.format)
    for block in iter_blocks(context.store, plan):
        context.check_cancelled()
        meter.add(block)
    return meter.finish()


def loudness(context: Context, stream_id: str, start: int, stop: int) -> list[float]:
    """Carry out LOUDNESS between two times."""
    return [*measured(context, extract(context, stream_id, start, stop))]


def loudness_of_range(
    context: Context, stream_id: str, start: Fraction, duration: Fraction
) -> list[float]:
    """Carry out LOUDNESS of a stretch of seconds."""
    return [*measured(context, range_(context, stream_id, start, duration))]


def loudness_of_piped(context: Context, piped: AudioPlan) -> list[float]:
    """Carry out LOUDNESS of piped audio."""
    return [*measured(context, building.checked(piped, "LOUDNESS"))]


def peaks(context: Context, stream_id: str, start: int, stop: int, points: int) -> Vector:
    """Carry out PEAKS between two times."""
    return _drawn(context, extract(context, stream_id, start, stop), points)


def peaks_of_range(
    context: Context, stream_id: str, start: Fraction, duration: Fraction, points: int
) -> Vector:
    """Carry out PEAKS of a stretch of seconds."""
    return _drawn(context, range_(context, stream_id, start, duration), points)


def peaks_of_piped(context: Context, piped: AudioPlan, points: int) -> Vector:
    """Carry out PEAKS of piped audio."""
    return _drawn(context, building.checked(piped, "PEAKS"), points)


def _drawn(context: Context, plan: AudioPlan, points: int) -> Vector:
    picture = draw_plan(context.store, plan, points, context.check_cancelled)
    return Vector("f32v", picture.astype("<f4", copy=False).tobytes())


def normalize(context: Context, piped: AudioPlan, lufs: Fraction) -> AudioPlan:
    """Carry out NORMALIZE."""
    return normalize_below(context, piped, lufs, CEILING)


def normalize_below(
    context: Context, piped: AudioPlan, lufs: Fraction, ceiling: Fraction
) -> AudioPlan:
    """Carry out NORMALIZE with a ceiling."""
    found = measured(context, building.checked(piped, "NORMALIZE"))
    if found.integrated == float("-inf"):
        return piped
    decibels = min(float(lufs) - found.integrated, float(ceiling) - found.true_peak)
    return building.gain(piped, Fraction(10 ** (decibels / 20)))


_LUFS = Param("lufs", Kind.FLOAT, "The integrated loudness to reach, in LUFS.", least=-70, most=0)
_CEILING = Param(
    "ceiling",
    Kind.FLOAT,
    "The greatest true peak to allow, in dBTP; -1 if it is left out.",
    least=-70,
    most=0,
)

_POINTS = Param("points", Kind.INT, "Of how many points.", least=1, most=MAX_POINTS)

_PEAKS_OF_PIPED = CommandSpec(
    name="PEAKS",
    doc="Draw the waveform of the piped audio.",
    example="RANGE 'chopin' 0 30 |> GAIN 0.5 |> PEAKS 500",
    overloads=(Overload((_POINTS,), peaks_of_piped),),
    input=Output.AUDIO,
    output=Output.FLOATS,
    effect=Effect.READ,
    blocks=True,
)

_LOUDNESS_OF_PIPED = CommandSpec(
    name="LOUDNESS",
    doc="Measure the loudness of the piped audio.",
    example="RANGE 'chopin' 0 30 |> GAIN 0.5 |> LOUDNESS",
    overloads=(Overload((), loudness_of_piped),),
    input=Output.AUDIO,
    output=Output.LIST,
    effect=Effect.READ,
    blocks=True,
)

SPECS = (
    CommandSpec(
        name="LOUDNESS",
        doc="Measure the loudness of a range, which is given as to EXTRACT, or of piped audio: its"
        " integrated loudness (LUFS), loudness range (LU), sample peak (dBFS) and true peak (dBTP),"
        " four floats, as ITU-R BS.1770-5 and EBU Tech 3341 and 3342 define them. Silence has minus"
        " infinity and the range 0.",
        example="LOUDNESS 'chopin' 2023-12-25T22:30:45Z 2023-12-25T22:31:00Z",
        overloads=(
            Overload(TIMES.params, loudness),
            Overload(RANGE.params, loudness_of_range),
        ),
        output=Output.LIST,
        effect=Effect.READ,
        blocks=True,
        when_piped=_LOUDNESS_OF_PIPED,
    ),
    CommandSpec(
        name="PEAKS",
        doc="Draw the waveform of a range, which is given as to EXTRACT, or of piped audio: for"
        " each point and channel the least sample, the greatest and the RMS, full scale being 1."
        " Point i of n shows the sample frames from floor(i * N / n) up to floor((i + 1) * N / n)"
        " of N, and at least one; no audio has no points.",
        example="PEAKS 'chopin' 2023-12-25T22:00:00Z 2023-12-26T08:00:00Z 1000",
        overloads=(
            Overload((*TIMES.params, _POINTS), peaks),
            Overload((*RANGE.params, _POINTS), peaks_of_range),
        ),
        output=Output.FLOATS,
        effect=Effect.READ,
        blocks=True,
        when_piped=_PEAKS_OF_PIPED,
    ),
    CommandSpec(
        name="NORMALIZE",
        doc="Give the piped audio the gain that brings its integrated loudness to a value, or less"
        " where its true peak would come above a ceiling. Silence stays as it is, as does what is"
        " shorter than 400 ms. The audio is read twice.",
        example="RANGE 'chopin' 0 30 |> NORMALIZE -23",
        overloads=(Overload((_LUFS,), normalize), Overload((_LUFS, _CEILING), normalize_below)),
        input=Output.AUDIO,
        output=Output.AUDIO,
        effect=Effect.READ,
        blocks=True,
    ),
)
