"""Audio files: the one table of formats, and the encoders.

Encoders take blocks of samples and know nothing of streams; what they cannot hold is refused before
they begin.
"""

from racs_server.audio.codecs.aiff import AIFF
from racs_server.audio.codecs.flac import FLAC
from racs_server.audio.codecs.mp3 import MP3
from racs_server.audio.codecs.opus import OPUS
from racs_server.audio.codecs.raw import L16, L24, RAW
from racs_server.audio.codecs.spec import (
    Codec,
    CodecTable,
    Encoder,
    Spooled,
    Streamed,
    Wanted,
)
from racs_server.audio.codecs.vorbis import VORBIS
from racs_server.audio.codecs.wav import BWF, WAV
from racs_server.audio.codecs.waveform import DAT, JSON

CODECS = CodecTable((WAV, BWF, FLAC, MP3, OPUS, VORBIS, AIFF, L16, L24, RAW, DAT, JSON))
"""Every format there is."""

__all__ = ["CODECS", "Codec", "CodecTable", "Encoder", "Spooled", "Streamed", "Wanted"]
