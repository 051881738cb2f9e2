"""PCM and nothing else: in network order (RFC 2586, RFC 3190), or as streams have it."""

from racs_server.audio.codecs.plain import plain
from racs_server.audio.codecs.spec import Codec, Wanted

_NO_LIMIT = 2**63 - 1


def _no_head(wanted: Wanted) -> bytes:
    return b""


def _network(bit_depth: int) -> Codec:
    return Codec(
        mime_type=f"audio/l{bit_depth}",
        aliases=(f"audio/L{bit_depth}",),
        name=f"L{bit_depth}",
        holds=lambda format_: format_.bit_depth == bit_depth,
        limits=f"{bit_depth} bits, at any sample rate and with any number of channels",
        way=plain(_no_head, "big", aligned=False, most=_NO_LIMIT),
    )


L16 = _network(16)
L24 = _network(24)

RAW = Codec(
    mime_type="audio/x-raw",
    name="raw little-endian PCM",
    way=plain(_no_head, aligned=False, most=_NO_LIMIT),
)
