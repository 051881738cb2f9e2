"""The commands that do something to piped audio: they add to its description.

What can be wrong with it is found out at once; nothing is read before the reply is sent.
"""

from fractions import Fraction

from racs_server.commands.context import Context
from racs_server.commands.extract import RANGE, range_
from racs_server.commands.spec import CommandSpec, Effect, Handler, Kind, Output, Overload, Param
from racs_server.values import AudioPlan, building


def gain(context: Context, piped: AudioPlan, factor: Fraction) -> AudioPlan:
    """Carry out GAIN."""
    return building.gain(piped, factor)


def trim(context: Context, piped: AudioPlan, left: Fraction, right: Fraction) -> AudioPlan:
    """Carry out TRIM."""
    return building.trim(piped, left, right)


def pad(context: Context, piped: AudioPlan, left: Fraction, right: Fraction) -> AudioPlan:
    """Carry out PAD."""
    return building.pad(piped, left, right)


def fade(context: Context, piped: AudioPlan, fade_in: Fraction, fade_out: Fraction) -> AudioPlan:
    """Carry out FADE."""
    return building.fade(piped, fade_in, fade_out)


def pan(context: Context, piped: AudioPlan, position: Fraction) -> AudioPlan:
    """Carry out PAN."""
    return building.pan(piped, position)


def clip(context: Context, piped: AudioPlan, least: int, most: int) -> AudioPlan:
    """Carry out CLIP."""
    return building.clip(piped, least, most)


def split(context: Context, piped: AudioPlan, channel: int) -> AudioPlan:
    """Carry out SPLIT."""
    return building.split(piped, channel)


def mix(
    context: Context, piped: AudioPlan, stream_id: str, start: Fraction, duration: Fraction
) -> AudioPlan:
    """Carry out MIX."""
    return building.mix(piped, range_(context, stream_id, start, duration))


def merge(
    context: Context, piped: AudioPlan, stream_id: str, start: Fraction, duration: Fraction
) -> AudioPlan:
    """Carry out MERGE."""
    return building.merge(piped, range_(context, stream_id, start, duration))


def _row(
    name: str, doc: str, arguments: str, params: tuple[Param, ...], handler: Handler
) -> CommandSpec:
    return CommandSpec(
        name=name,
        doc=doc,
        example=f"RANGE 'chopin' 0 30 |> {name} {arguments}",
        overloads=(Overload(params, handler),),
        input=Output.AUDIO,
        output=Output.AUDIO,
        effect=Effect.READ,
    )


def _seconds(name: str, doc: str) -> Param:
    return Param(name, Kind.FLOAT, doc, least=0)


SPECS = (
    _row(
        "GAIN",
        "Multiply the piped audio by a factor. Results are rounded half to even; those that the bit"
        " depth cannot hold saturate.",
        "0.8",
        (Param("factor", Kind.FLOAT, "By how much: 0.5 halves it, -1 inverts it."),),
        gain,
    ),
    _row(
        "TRIM",
        "Remove seconds from both ends of the piped audio.",
        "0.5 0.25",
        (
            _seconds("left", "Seconds that go from the start."),
            _seconds("right", "Seconds that go from the end."),
        ),
        trim,
    ),
    _row(
        "PAD",
        "Add seconds of silence before and after the piped audio.",
        "0.5 1",
        (
            _seconds("left", "Seconds of silence before it."),
            _seconds("right", "Seconds of silence after it."),
        ),
        pad,
    ),
    _row(
        "FADE",
        "Let the piped audio come linearly out of silence, and go into it.",
        "2 3.5",
        (
            _seconds("fade_in", "Seconds from silence to full level."),
            _seconds("fade_out", "Seconds from full level to silence."),
        ),
        fade,
    ),
    _row(
        "PAN",
        "Move piped stereo audio to one side, by scaling the other one's channel by 1 minus the"
        " distance.",
        "-0.3",
        (
            Param(
                "position",
                Kind.FLOAT,
                "Where to: -1 is left, 0 the middle, 1 right.",
                least=-1,
                most=1,
            ),
        ),
        pan,
    ),
    _row(
        "CLIP",
        "Hold every sample of the piped audio between two values.",
        "-20000 20000",
        (
            Param("least", Kind.INT, "What is below becomes this."),
            Param("most", Kind.INT, "What is above becomes this."),
        ),
        clip,
    ),
    _row(
        "SPLIT",
        "Give one channel of the piped audio, mono.",
        "0",
        (Param("channel", Kind.INT, "Which, counted from 0.", least=0),),
        split,
    ),
    _row(
        "MIX",
        "Add a range of a stream of the same format to the piped audio. The shorter of the two is"
        " followed by silence; sums that the bit depth cannot hold saturate.",
        "'nocturne' 0 30",
        RANGE.params,
        mix,
    ),
    _row(
        "MERGE",
        "Make stereo of piped mono audio (left) and a range of a mono stream of the same rate and"
        " depth (right). The shorter of the two is followed by silence.",
        "'right' 0 30",
        RANGE.params,
        merge,
    ),
)
