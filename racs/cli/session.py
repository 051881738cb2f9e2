"""What all commands share: the client, where output goes, and what is known of streams."""

import io
import json
import sys
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

from racs.cli.base import WRONG_USE, Failure
from racs.cli.likeness import LIKENESS
from racs.client import Racs
from racs.commands import command, quote
from racs.errors import RacsValueError

_UNBOUNDED = 1 << 16
"""Columns of output that is no terminal: nothing is cut off there."""


class Facts(msgspec.Struct, frozen=True):
    """What the server tells of a stream with DESCRIBE, in that order.

    Attributes
    ----------
    id
        Its name.
    sample_rate, channels, bit_depth
        Its format.
    ref
        When its first sample frame came, in ms since the epoch; 0 while it is empty.
    size
        Bytes of PCM.
    is_open
        Whether it takes audio now.
    ttl
        Seconds until it is deleted; -1: never.
    """

    id: str
    sample_rate: int
    channels: int
    bit_depth: int
    ref: int
    size: int
    is_open: bool
    ttl: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample frame."""
        return self.channels * self.bit_depth // 8

    @property
    def frames(self) -> int:
        """Its length in sample frames."""
        return self.size // self.frame_bytes

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.frames / self.sample_rate

    @property
    def end(self) -> int:
        """When it ends, in ms since the epoch; 0 while it is empty."""
        return self.ref + self.frames * 1000 // self.sample_rate


class Session:
    """One run of the program.

    Parameters
    ----------
    url
        Where the server is.
    json
        Whether output is for programs.
    """

    def __init__(self, url: str, *, json: bool = False) -> None:
        self.url = url
        self.json = json
        self.out = make_console(stderr=False)
        self.notes = make_console(stderr=True)
        if self.out.is_terminal and self.notes.is_terminal:
            # one screen, one console: lines come above the bar that is drawn on it, not into it
            self.notes = self.out

    @cached_property
    def client(self) -> Racs:
        """The client, which connects when it is first used."""
        return self.new_client()

    def new_client(self, **options: Any) -> Racs:
        """Return another client, with a session of its own."""
        try:
            return Racs(self.url, **options)
        except RacsValueError as error:
            raise Failure(str(error), WRONG_USE) from error

    def close(self) -> None:
        """Close the connections."""
        if "client" in self.__dict__:
            self.client.close()

    def do(self, name: str, *arguments: str | int | float) -> Any:
        """Carry out a command, with arguments that are quoted where they are text."""
        return self.client.execute_command(command(name, *arguments))

    def show(self, data: Any, renderable: RenderableType) -> None:
        """Print a result: the data as JSON for programs, else what people read."""
        if self.json:
            escaped = self.out.encoding != "utf-8"
            self.out.file.write(json.dumps(data, ensure_ascii=escaped, default=str) + "\n")
        elif isinstance(renderable, str):
            self.say(renderable)
        else:
            self.out.print(renderable, highlight=False)

    def say(self, line: str | Text, style: str | None = None) -> None:
        """Print a line of a result, or more, as it stands."""
        self.out.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    def note(self, line: str, style: str = "dim") -> None:
        """Tell something beside the result, on standard error; broken between words."""
        self.notes.print(line, style=style, highlight=False, markup=False)

    def streams(self, pattern: str) -> list[Facts]:
        """Return what is known of all streams whose ids match a pattern, sorted by id."""
        values = self.do("DESCRIBE", pattern)
        width = len(Facts.__struct_fields__)
        return [Facts(*values[at : at + width]) for at in range(0, len(values), width)]

    def facts(self, stream_id: str) -> Facts:
        """Return what is known of a stream.

        Raises
        ------
        Failure
            There is none of that id; says which are like it.
        """
        if (found := self.find(stream_id)) is None:
            raise Failure(f"there is no stream {stream_id!r}{self._suggest(stream_id)}")
        return found

    def find(self, stream_id: str) -> Facts | None:
        """Return what is known of a stream, None if there is none of that id."""
        found = self.streams(_literally(stream_id))
        return found[0] if found else None

    def matching(self, patterns: tuple[str, ...]) -> list[Facts]:
        """Return the streams of ids and patterns, each once; `Failure` if one matches nothing."""
        found: dict[str, Facts] = {}
        for pattern in patterns:
            exact = self.find(pattern)
            streams = [exact] if exact else self.streams(pattern)
            if not streams:
                raise Failure(f"no stream is called {pattern!r}{self._suggest(pattern)}")
            found |= {each.id: each for each in streams}
        return list(found.values())

    def _suggest(self, stream_id: str) -> str:
        ids = self.do("LIST", "*")
        if not ids:
            return ": there are no streams yet; 'racs import' or 'racs record' makes one"
        near = get_close_matches(stream_id, ids, 3) or get_close_matches(
            stream_id.lower(), [each for each in ids if stream_id.lower() in each.lower()], 3, 0
        )
        names = " or ".join(map(repr, near))
        return f". Did you mean {names}?" if near else "; 'racs ls' lists all there are"


def make_console(*, stderr: bool) -> Console:
    """Return a console: colours only on a terminal, and nothing cut off where there is none.

    What a terminal's encoding does not have is told by a likeness.
    """
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=LIKENESS)
    return Console(stderr=stderr, width=None if terminal else _UNBOUNDED, emoji=False)


def _literally(text: str) -> str:
    """Return the pattern that only this text matches."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in text)


def range_text(facts: Facts, first: int, stop: int) -> str:
    """Return the RANGE of exactly the sample frames from `first` up to `stop`.

    A time is rounded down to nanoseconds, so that the server's ceil(seconds * rate) is the sample
    frame that was meant: it is off by less than a sample frame as long as the rate is below 1 GHz.
    """
    start, end = (frame * 10**9 // facts.sample_rate for frame in (first, stop))
    return f"RANGE {quote(facts.id)} {_seconds(start)} {_seconds(end - start)}"


def _seconds(nanoseconds: int) -> str:
    whole, fraction = divmod(nanoseconds, 10**9)
    return f"{whole}.{fraction:09d}"
