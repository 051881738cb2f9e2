"""Patterns of stream ids: ``*`` any text (``/`` too), ``?`` one character, ``[a-z]``, ``[!a-z]``.

A ``[`` that is not closed stands for itself, and so does ``]`` as the first of a set. Letter case
counts. There are no escapes: ``[*]`` is a star.

Invariants
----------
- Whatever the pattern, one id takes time in proportion to its length times the pattern's part
  between two stars: once a part has been found at its first place, no other place is tried (which
  is right, since what follows can only gain from room). Patterns that need more characters than an
  id can have are not tried at all.
"""

import re
from collections.abc import Callable

_LONGEST_ID = 255


def compile_glob(pattern: str) -> Callable[[str], object]:
    """Return a function that tells, by the truth of its result, whether an id matches.

    Parameters
    ----------
    pattern
        Any text.
    """
    pieces: list[list[str]] = [[]]
    needed = position = 0
    while position < len(pattern):
        if pattern[position] == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
            position += 1
            continue
        expression, position = _one_character(pattern, position)
        pieces[-1].append(expression)
        needed += 1
        if needed > _LONGEST_ID:
            return _never
    first, *others = ("".join(piece) for piece in pieces)
    between = "".join(f"(?>.*?{piece})" for piece in others[:-1])
    end = f".*{others[-1]}" if others else ""
    return re.compile(first + between + end, re.DOTALL).fullmatch


def _never(_: str) -> bool:
    return False


def _one_character(pattern: str, position: int) -> tuple[str, int]:
    """Return the expression for what stands for one character, and where the next begins."""
    character = pattern[position]
    if character == "?":
        return ".", position + 1
    if character == "[":
        # a bracket that closes at once is a member of the set
        least = position + (3 if pattern.startswith("!", position + 1) else 2)
        end = pattern.find("]", least)
        if end >= 0:
            return _set(pattern[position + 1 : end]), end + 1
    return re.escape(character), position + 1


def _set(body: str) -> str:
    """Return the expression for a set, given what stands between its brackets."""
    negated = body.startswith("!")
    members = body[1:] if negated else body
    parts = []
    position = 0
    while position < len(members):
        low = high = members[position]
        position += 1
        if members.startswith("-", position) and position + 1 < len(members):
            high = members[position + 1]
            position += 2
        if low <= high:
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
    if not parts:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(parts)}]"
