"""Audio files: the one table of formats, and the encoders.

Encoders take blocks of samples and know nothing of streams; what they cannot hold is refused before
they begin.
"""

from racs_server.audio.codecs.flac import FLAC
from racs_server.audio.codecs.spec import Codec, CodecTable, Encoder, Spooled, Streamed
from racs_server.audio.codecs.wav import WAV

CODECS = CodecTable((WAV, FLAC))
"""Every format there is."""

__all__ = ["CODECS", "Codec", "CodecTable", "Encoder", "Spooled", "Streamed"]
