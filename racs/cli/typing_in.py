"""What is typed in the shell: when it is complete, and what a word can become.

Pure; knows no terminal.
"""

import re
from collections.abc import Sequence

_SKIPPED = re.compile(r'"(?:\\.|[^"\\])*"?|;[^\n]*|#\\.|\|[^|]*\|?', re.DOTALL)
_STRING = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_WORD = re.compile(r"""(?:'(?P<one>[^']*)|"(?P<two>[^"]*)|(?P<bare>[^\s'"|>]+))$""")


def open_brackets(text: str) -> int:
    r"""Return how many brackets of a Scheme text are still open; negative: one is too many.

    Brackets in strings, comments, characters (``#\\(``) and ``|symbols|`` do not count.
    """
    bare = _SKIPPED.sub(" ", text)
    return sum(bare.count(each) for each in "([") - sum(bare.count(each) for each in ")]")


def in_string(text: str) -> bool:
    """Whether a Scheme text ends within a string."""
    last = None
    for last in _SKIPPED.finditer(text):  # noqa: B007 (the last one is looked at)
        pass
    return bool(
        last and last.end() == len(text) and re.fullmatch(r'"(?:\\.|[^"\\])*', last[0], re.DOTALL)
    )


def is_complete(text: str) -> bool:
    """Whether what was typed can be sent: commands always, Scheme when its brackets are closed."""
    return not is_scheme(text) or not (open_brackets(text) > 0 or in_string(text))


def is_scheme(text: str) -> bool:
    """Whether what was typed is a program, for EVAL: it begins with a bracket."""
    return text.lstrip().startswith("(")


def completions(before: str, commands: Sequence[str], ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return what the last word can become, each with how many characters it stands for.

    Parameters
    ----------
    before
        The text before the cursor.
    commands, ids
        All names of commands, and of streams.
    """
    before = _STRING.sub(lambda each: "_" * len(each[0]), before)
    match = _WORD.search(before)
    if match is None:
        return []
    if match["bare"] is None:
        start = match["one"] if match["one"] is not None else match["two"]
        return [(each, len(start)) for each in ids if each.startswith(start)]
    typed = match["bare"].lstrip("(")
    if is_scheme(before):
        return [(each.lower(), len(typed)) for each in commands if _begins(each, typed)]
    if before[: match.start()].strip() and not before[: match.start()].rstrip().endswith("|>"):
        return []  # an argument, and those that can be completed are in quotes
    return [(each, len(typed)) for each in commands if _begins(each, typed)]


def _begins(name: str, typed: str) -> bool:
    return bool(typed) and name.upper().startswith(typed.upper())
