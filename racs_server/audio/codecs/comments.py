"""Vorbis comments, the tags of FLAC, Opus and Vorbis files (Vorbis I specification, section 5).

Lengths are little-endian, 4 bytes; texts are UTF-8::

    length, vendor; number of comments; for each: length, ``NAME=text``

Worked example, the vendor ``racs`` and one comment: ``04000000 72616373 01000000 07000000
5449544c453d61`` is ``TITLE=a``.
"""

from racs_server.values import Tags

VENDOR = "racs"


def fields(tags: Tags) -> dict[str, str]:
    """Return what is told of audio, by the names that players know."""
    known = {"TITLE": tags.stream_id, "DATE": tags.date}
    return {name: text for name, text in known.items() if text is not None}


def comments(tags: Tags) -> bytes:
    """Return tags as the bytes that stand in a file."""
    texts = [f"{name}={text}" for name, text in fields(tags).items()]
    return _text(VENDOR) + len(texts).to_bytes(4, "little") + b"".join(map(_text, texts))


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "little") + data
