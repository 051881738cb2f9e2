"""The commands that measure audio, and NORMALIZE, which acts on a measurement.

All of them read the audio to its end before they give their result: block by block, in bounded
memory, and no further once nobody wants it.
"""

from fractions import Fraction

from racs_server.audio.loudness import Loudness, LoudnessMeter
from racs_server.commands.context import Context
from racs_server.commands.extract import RANGE, TIMES, extract, range_
from racs_server.commands.source import iter_blocks
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.values import AudioPlan, building

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
