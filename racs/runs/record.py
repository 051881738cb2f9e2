"""The record of a run: JSON (UTF-8), the attachment ``run.json`` of the run's record stream.

::

    {
      "version": 1,
      "rune": "Reverb",
      "run": "59f25038-…",
      "method": "add_reverb",
      "status": "completed",
      "started": "2026-03-01T09:30:00.125Z",
      "ended": "2026-03-01T09:30:02.500Z",
      "parameters": {"wet": {"type": "float", "value": 0.3}, "dry": {"type": "RunesFilePath",
        "value": "guitar.flac"}},
      "inputs": [{"number": 1, "name": "guitar.flac", "type": "audio", "parameter": "dry",
        "bytes": 120304, "sha256": "…", "stream": "runes/Reverb/59f25038-…/in/dry"}],
      "outputs": [{"number": 1, "name": "guitar.wav", "type": "audio", "bytes": 882044,
        "sha256": "…", "stream": "runes/Reverb/59f25038-…/out/001-guitar.wav"}],
      "message": "done", "error": null, "logs": "…"
    }

A file is in the stream that ``stream`` names; the attachment ``attachment`` has its bytes: of that
stream, or of the record stream if there is no ``stream``. Where both are empty, ``problem`` says
why. ``status`` is ``completed``, ``error`` or ``aborted``. Times are UTC; a run that never began
has none. Readers ignore what they do not know.
"""

import mimetypes
from typing import Any

import msgspec

VERSION = 1
RECORD_NAME = "run.json"
"""The attachment's name."""

RECORD_FORMAT = (8000, 1, 16)
"""Sample rate, channels and bit depth of the record stream, which has no audio."""


class RunFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that went into a run or came out of it; see this module's docstring.

    Attributes
    ----------
    number
        From 1, in the order in which they were given.
    name
        The file's, without its folder.
    type
        ``audio``, ``midi``, ``text``, ``video``, ``image`` or ``other``.
    parameter
        Of an input.
    bytes, sha256
        Of the file as it was given.
    stream, attachment
        Where it is.
    gain
        What the audio was multiplied by before the function got it, so that it did not clip.
    problem
        Why it is not there.
    """

    number: int
    name: str
    type: str = "other"
    parameter: str = ""
    bytes: int = 0
    sha256: str = ""
    stream: str = ""
    attachment: str = ""
    gain: float = 1.0
    problem: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run; see this module's docstring."""

    version: int = VERSION
    rune: str
    run: str
    method: str = ""
    status: str
    started: str = ""
    ended: str = ""
    parameters: dict[str, dict[str, Any]] = {}
    inputs: tuple[RunFile, ...] = ()
    outputs: tuple[RunFile, ...] = ()
    message: str | None = None
    error: str | None = None
    logs: str = ""


def encode(record: RunRecord) -> bytes:
    """Return the JSON of a record."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2)


def decode(data: bytes) -> RunRecord:
    """Return the record that JSON holds.

    Raises
    ------
    ValueError
        It holds none, or one of a later version.
    """
    record = msgspec.json.decode(data, type=RunRecord)
    if record.version != VERSION:
        raise ValueError(f"the record of a run is of version {record.version}; 1 can be read")
    return record


def kind_of(name: str) -> str:
    """Return the `RunFile.type` that files of a name usually are of."""
    whole, _ = mimetypes.guess_type(name)
    kind = (whole or "").partition("/")[0]
    if whole in ("audio/midi", "audio/x-midi", "audio/sp-midi"):
        return "midi"
    return kind if kind in ("audio", "text", "video", "image") else "other"
