"""WAV: the canonical header, so that equal audio gives equal bytes; and BWF, which tells more."""

from racs_server.audio.codecs.plain import data_bytes, plain
from racs_server.audio.codecs.spec import Codec, Wanted
from racs_server.riff import Pcm, bwf_header, wav_header


def _wav_head(wanted: Wanted) -> bytes:
    return wav_header(_pcm(wanted), data_bytes(wanted))


def _bwf_head(wanted: Wanted) -> bytes:
    tags = wanted.tags
    return bwf_header(
        _pcm(wanted), data_bytes(wanted), description=tags.stream_id or "", start_ns=tags.start
    )


def _pcm(wanted: Wanted) -> Pcm:
    format_ = wanted.format
    return Pcm(format_.sample_rate, format_.channels, format_.bit_depth)


WAV = Codec(
    mime_type="audio/wav",
    aliases=("audio/x-wav",),
    name="WAV",
    way=plain(_wav_head),
)

BWF = Codec(
    mime_type="audio/x-bwf",
    name="Broadcast Wave",
    way=plain(_bwf_head),
)
