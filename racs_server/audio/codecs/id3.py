"""ID3 tags, version 2.4.0: what MP3 files begin with, and AIFF files have a chunk for.

A tag is ten bytes and then its frames, each of which is ten bytes and then a text::

    0   ID3 04 00 00           version, flags
    6   size of the frames     four bytes of seven bits, the highest first
    10  name (4), size of what follows (as above), 0000, 03 (UTF-8), text
    ... one byte of padding, if the size would be odd

Padding keeps the chunks of AIFF even: sox does not pass over the byte that would fill one up.

``TIT2`` is the title, ``TDRC`` the time of recording in whole seconds; ``TXXX`` tells it exactly.

References: ID3 tag version 2.4.0, main structure and native frames.

Worked example, the title ``a``: ``49443304 0000 0000000c 54495432 00000002 0000 0361``.
"""

from racs_server.values import Tags


def tag(tags: Tags) -> bytes:
    """Return an ID3 tag; nothing if there is nothing to tell."""
    frames = b""
    if tags.stream_id is not None:
        frames += _frame(b"TIT2", tags.stream_id)
    if tags.date is not None:
        frames += _frame(b"TDRC", tags.date[:19])
        frames += _frame(b"TXXX", f"recorded from\0{tags.date}")
    frames += bytes(len(frames) % 2)
    return b"ID3\4\0\0" + _syncsafe(len(frames)) + frames if frames else b""


def _frame(name: bytes, text: str) -> bytes:
    body = b"\3" + text.encode()
    return name + _syncsafe(len(body)) + bytes(2) + body


def _syncsafe(number: int) -> bytes:
    """Return a number as four bytes of seven bits, the highest first."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
