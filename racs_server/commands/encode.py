"""The commands that make files of piped audio: they describe them, and whoever sends them encodes.

ENCODE takes the audio as it is, FORMAT converts it first; a file that cannot hold it is refused.
"""

from racs.wire import Vector
from racs_server.audio.codecs import CODECS
from racs_server.commands.context import Context
from racs_server.commands.piping import audio_of
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param
from racs_server.commands.tagging import tags
from racs_server.values import (
    BIT_DEPTHS,
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    AudioFormat,
    AudioPlan,
    EncodedPlan,
)
from racs_server.values.building import checked
from racs_server.values.converting import convert


def encode(context: Context, piped: AudioPlan, mime_type: str) -> EncodedPlan:
    """Carry out ENCODE with the usual bit rate."""
    return encode_at(context, piped, mime_type, None)


def encode_at(
    context: Context, piped: AudioPlan, mime_type: str, bit_rate: int | None
) -> EncodedPlan:
    """Carry out ENCODE."""
    codec = CODECS.find(mime_type)
    codec.check(piped.format, bit_rate)
    plan = checked(piped, "ENCODE")
    return EncodedPlan(plan, codec.mime_type, bit_rate, tags(context.store, plan))


def format_(
    context: Context,
    piped: AudioPlan | Vector,
    mime_type: str,
    sample_rate: int,
    channels: int,
    bit_depth: int,
) -> EncodedPlan:
    """Carry out FORMAT with the usual bit rate."""
    return format_at(context, piped, mime_type, sample_rate, channels, bit_depth, None)


def format_at(
    context: Context,
    piped: AudioPlan | Vector,
    mime_type: str,
    sample_rate: int,
    channels: int,
    bit_depth: int,
    bit_rate: int | None,
) -> EncodedPlan:
    """Carry out FORMAT; samples that have no format are of this one."""
    wanted = AudioFormat(sample_rate, channels, bit_depth)
    CODECS.find(mime_type).check(wanted, bit_rate)
    audio = audio_of(piped, wanted, "FORMAT") if isinstance(piped, Vector) else piped
    return encode_at(context, convert(audio, wanted), mime_type, bit_rate)


_MIME_TYPE = Param(
    "mime_type", Kind.STRING, "The format of the file, a MIME type.", choices=CODECS.names
)

_FORMAT = (
    _MIME_TYPE,
    Param("sample_rate", Kind.INT, "In Hz.", least=MIN_RATE, most=MAX_RATE),
    Param("channels", Kind.INT, "How many.", least=1, most=MAX_CHANNELS),
    Param("bit_depth", Kind.INT, "Of the samples.", choices=BIT_DEPTHS),
)

_BIT_RATE = Param(
    "bit_rate",
    Kind.INT,
    "In kbit/s; for Vorbis a quality, 0 to 10; for waveform data 8 or 16 bits. Lossless formats"
    " have none.",
)

SPECS = (
    CommandSpec(
        name="FORMAT",
        doc="Make a file of the piped audio, converted to a sample rate, channels and bit depth as"
        " by RESAMPLE, REMIX and DEPTH.",
        example="RANGE 'chopin' 0 30 |> FORMAT 'audio/wav' 44100 2 16",
        overloads=(
            Overload(_FORMAT, format_),
            Overload((*_FORMAT, _BIT_RATE), format_at),
        ),
        input=Output.AUDIO,
        takes_samples=True,
        output=Output.BYTES,
        effect=Effect.READ,
    ),
    CommandSpec(
        name="ENCODE",
        doc="Make a file of the piped audio, at its own rate, channels and depth.",
        example="RANGE 'chopin' 0 30 |> GAIN 0.8 |> ENCODE 'audio/mpeg' 192",
        overloads=(
            Overload((_MIME_TYPE,), encode),
            Overload((_MIME_TYPE, _BIT_RATE), encode_at),
        ),
        input=Output.AUDIO,
        output=Output.BYTES,
        effect=Effect.READ,
    ),
)
