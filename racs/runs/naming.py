"""The ids of the streams of a run.

::

    runes/<rune>/<run id>/in/<parameter>       an audio input
    runes/<rune>/<run id>/out/<nnn>-<name>     an audio output, numbered from 001
    runes/<rune>/<run id>/run                  empty: holds the record and all other files

Each part is the text as it is, unless it is empty or too long or has a slash, a control character
or a lone surrogate: these become ``_``, the part is cut, and ``-`` and the first 8 hex digits of
the SHA-256 of the whole text (UTF-8) are added, so that different texts stay different. A text that
ends in ``-`` and 8 hex digits by itself gets its own as well, or it could be another's.

Worked example: rune ``Reverb``, run ``7c1e``, parameter ``dry/wet`` is
``runes/Reverb/7c1e/in/dry_wet-01b14bc3``.

Invariant: every id has at most 255 bytes of UTF-8, and four or five parts.
"""

import hashlib
import re
from typing import NamedTuple

ROOT = "runes"
MAX_RUNE = 80
MAX_RUN = 40
MAX_NAME = 110
"""Bytes of UTF-8 that each part has at most."""

_HASH_DIGITS = 8
_ENDS_IN_HASH = re.compile(rf"-[0-9a-f]{{{_HASH_DIGITS}}}\Z")


class RunStream(NamedTuple):
    """What an id says.

    Attributes
    ----------
    rune, run
        The parts as they stand in the id.
    kind
        ``in``, ``out`` or ``run``.
    name
        The parameter, or the number and the name of an output; empty for ``run``.
    """

    rune: str
    run: str
    kind: str
    name: str


def part(text: str, most: int = MAX_NAME) -> str:
    """Return a text as one part of an id.

    Parameters
    ----------
    text
        Any.
    most
        Bytes that it may have.
    """
    harmless = "".join(char if _is_harmless(char) else "_" for char in text)
    if harmless == text and 0 < len(text.encode()) <= most and not _ENDS_IN_HASH.search(text):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    kept = harmless.encode()[: most - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def input_id(rune: str, run: str, parameter: str) -> str:
    """Return the id of the stream of an audio input."""
    return f"{_run(rune, run)}/in/{part(parameter)}"


def output_id(rune: str, run: str, number: int, name: str) -> str:
    """Return the id of the stream of an audio output.

    Parameters
    ----------
    rune, run
        Whose it is.
    number
        From 1, in the order in which the rune gave its files out, those without audio too.
    name
        The file's, without its folder.
    """
    return f"{_run(rune, run)}/out/{number:03}-{part(name)}"


def record_id(rune: str, run: str) -> str:
    """Return the id of the stream that holds a run's record, and its files without audio."""
    return f"{_run(rune, run)}/run"


def runs_pattern(rune: str | None = None) -> str:
    """Return the pattern (LIST) of the record streams of a rune, or of all."""
    name = "*" if rune is None else _literally(part(rune, MAX_RUNE))
    return f"{ROOT}/{name}/*/run"


def streams_pattern(rune: str, run: str) -> str:
    """Return the pattern (LIST) of all streams of a run."""
    return f"{_literally(_run(rune, run))}/*"


def parse_id(stream_id: str) -> RunStream | None:
    """Return what an id says; None if it is not of a run."""
    match stream_id.split("/"):
        case [root, rune, run, "in" | "out" as kind, name] if root == ROOT:
            return RunStream(rune, run, kind, name)
        case [root, rune, run, "run"] if root == ROOT:
            return RunStream(rune, run, "run", "")
    return None


def _run(rune: str, run: str) -> str:
    return f"{ROOT}/{part(rune, MAX_RUNE)}/{part(run, MAX_RUN)}"


def _literally(text: str) -> str:
    """Return a pattern in which what is special in patterns stands for itself."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def _is_harmless(char: str) -> bool:
    code = ord(char)
    return not (char == "/" or code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000)
