"""The RACS wire protocol, free of any input or output: bytes in, events out.

Both the client and the server are built on this package. It knows nothing of sockets, event loops
or storage; every limit on what a peer may send is enforced here.
"""

from racs.wire.connection import ClientConnection, Limits, ServerConnection, encode_command
from racs.wire.errors import FramingLost, WireError
from racs.wire.events import AudioFrames, Bytes, Command, EndOfStream, Event, Frame, Rejected, Reply
from racs.wire.frames import (
    MAX_BLOCK,
    MAX_FRAMES,
    encode_batch,
    encode_frame,
    encode_single,
    frame_header,
    gather_batch,
    gather_single,
    parse_audio,
    stream_hash,
)
from racs.wire.replies import (
    VECTOR_DTYPES,
    NotAVector,
    Vector,
    VectorStart,
    decode_reply,
    encode_reply,
    vector_head,
)

__all__ = [
    "MAX_BLOCK",
    "MAX_FRAMES",
    "VECTOR_DTYPES",
    "AudioFrames",
    "Bytes",
    "ClientConnection",
    "Command",
    "EndOfStream",
    "Event",
    "Frame",
    "FramingLost",
    "Limits",
    "NotAVector",
    "Rejected",
    "Reply",
    "ServerConnection",
    "Vector",
    "VectorStart",
    "WireError",
    "decode_reply",
    "encode_batch",
    "encode_command",
    "encode_frame",
    "encode_reply",
    "encode_single",
    "frame_header",
    "gather_batch",
    "gather_single",
    "parse_audio",
    "stream_hash",
    "vector_head",
]
