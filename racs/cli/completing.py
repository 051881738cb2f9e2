"""Completion on Tab whatever a stream is called: with blanks, quotes, colons, commas.

Imports no more than click. What click has for zsh is used as it is: zsh quotes by itself. Bash does
not, and takes a colon for the end of a word, so that what is typed is read here as the shell would.

Invariants
----------
- Nothing but completions goes to the terminal, whatever goes wrong.
"""

import os
import re

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    add_completion_class,
    split_arg_string,
)

_BASH = r"""
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(
        COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|\\?$))*\\?$""")
_BREAK = re.compile(r"(?:\\.|[^\\])*?[:=](?=(?:\\.|[^\\:=])*$)")
_SPECIAL = re.compile(r"""[^\w@%+=:,./-]""")
_IN_DOUBLE_QUOTES = re.compile(r'["$`\\]')


class _Bash(BashComplete):
    """Reads the line as it was typed, and answers with words that are quoted as that one is."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is completed, and what there is of it."""
        # a letter behind it makes a word of what may be none yet
        *words, last = split_arg_string(f"{os.environ['COMP_LINE']}x")
        return words[1:], last[:-1]

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the shell."""
        return f"{item.type},{quoted(str(item.value), os.environ['COMP_LINE'])}"


def quoted(value: str, line: str) -> str:
    """Return what the last word of a line is to be replaced with, so that bash reads `value`.

    Parameters
    ----------
    value
        What the whole word is to be.
    line
        The line up to the cursor. Within quotes bash replaces what stands behind them, else what
        stands behind the last colon or equals sign.
    """
    match = _WORD.search(line)
    typed = match[0] if match else ""
    if typed[:1] == "'":
        return value.replace("'", r"'\''")
    if typed[:1] == '"':
        return _IN_DOUBLE_QUOTES.sub(r"\\\g<0>", value)
    if broken := _BREAK.match(typed):
        value = value.removeprefix("".join(split_arg_string(broken[0])))
    return _SPECIAL.sub(r"\\\g<0>", value)


class _Fish(FishComplete):
    """As click has it, but for commas."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    ).replace("%(prog_name)s);", "%(prog_name)s 2>/dev/null);", 1)


def use_our_shells() -> None:
    """Let click use these in the place of its own."""
    add_completion_class(_Bash)
    add_completion_class(_Fish)
