"""The commands that do something to piped audio: they add to its description.

What can be wrong with it is found out at once; nothing is read before the reply is sent.
"""

from fractions import Fraction

from racs_server.commands.context import Context
from racs_server.commands.extract import RANGE, range_
from racs_server.commands.spec import CommandSpec, Effect, Handler, Kind, Output, Overload, Param
from racs_server.values import (
    BIT_DEPTHS,
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    AudioPlan,
    building,
    converting,
)


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


def resample(context: Context, piped: AudioPlan, sample_rate: int) -> AudioPlan:
    """Carry out RESAMPLE."""
    return converting.resample(piped, sample_rate)


def remix(context: Context, piped: AudioPlan, channels: int) -> AudioPlan:
    """Carry out REMIX."""
    return converting.remix(piped, channels)


def depth(context: Context, piped: AudioPlan, bit_depth: int) -> AudioPlan:
    """Carry out DEPTH, dithered."""
    return converting.requantize(piped, bit_depth)


def seeded_depth(context: Context, piped: AudioPlan, bit_depth: int, seed: int) -> AudioPlan:
    """Carry out DEPTH, dithered with random numbers of one's own."""
    return converting.requantize(piped, bit_depth, seed)


def plain_depth(context: Context, piped: AudioPlan, bit_depth: int, dither: str) -> AudioPlan:
    """Carry out DEPTH, not dithered."""
    return converting.requantize(piped, bit_depth, None)


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
    return _overloaded(name, doc, arguments, Overload(params, handler))


def _overloaded(name: str, doc: str, arguments: str, *overloads: Overload) -> CommandSpec:
    return CommandSpec(
        name=name,
        doc=doc,
        example=f"RANGE 'chopin' 0 30 |> {name} {arguments}",
        overloads=overloads,
        input=Output.AUDIO,
        output=Output.AUDIO,
        effect=Effect.READ,
    )


def _seconds(name: str, doc: str) -> Param:
    return Param(name, Kind.FLOAT, doc, least=0)


_BIT_DEPTH = Param("bit_depth", Kind.INT, "Of the samples.", choices=BIT_DEPTHS)

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
        "RESAMPLE",
        "Change the sample rate of the piped audio, which is the whole signal: before and after it"
        " is silence. N sample frames become N x sample_rate / rate, rounded up.",
        "48000",
        (
            Param(
                "sample_rate",
                Kind.INT,
                "In Hz; at most 100 times higher or lower than the audio's own.",
                least=MIN_RATE,
                most=MAX_RATE,
            ),
        ),
        resample,
    ),
    _row(
        "REMIX",
        "Change the number of channels of the piped audio: mono becomes two equal channels, stereo"
        " its mean; surround sound comes to fewer loudspeakers by ITU-R BS.775, scaled so that it"
        " cannot overload.",
        "1",
        (Param("channels", Kind.INT, "How many.", least=1, most=MAX_CHANNELS),),
        remix,
    ),
    _overloaded(
        "DEPTH",
        "Change the bit depth of the piped audio. From 24 bits to 16 it is dithered (TPDF), but"
        " for stretches that 16 bits hold exactly; equal seeds give equal samples.",
        "16",
        Overload((_BIT_DEPTH,), depth),
        Overload(
            (_BIT_DEPTH, Param("seed", Kind.INT, "Of the dither: 0 if not given.", least=0)),
            seeded_depth,
        ),
        Overload(
            (_BIT_DEPTH, Param("dither", Kind.STRING, "Leaves it out.", choices=("none",))),
            plain_depth,
        ),
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
