"""What is written where a terminal's encoding lacks a character: another one that looks like it."""

import codecs

LIKENESS = "racs.likeness"
"""The name of the error handler, for `open` and `reconfigure`."""
_LIKE = str.maketrans("–−…·●○■✓✗┃━╸╺│→ ▁▂▃▄▅▆▇█", "--.." + "*o#+x|---|>" + " .:-=+*##")
_BRAILLE = range(0x2800, 0x2900)


def _like(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(_likeness, missing)), error.end


def _likeness(character: str) -> str:
    if ord(character) in _BRAILLE:
        return " " if ord(character) == _BRAILLE[0] else "#"
    found = character.translate(_LIKE)
    return found if found.isascii() else "?"


codecs.register_error(LIKENESS, _like)
