"""What a command is: the rows of the one table from which everything about commands is read.

The checks before a pipeline runs, the types in its pipes, the rights of a client and the reference
for people all come from these rows; a handler never looks at its arguments' types again.

Invariants
----------
- Names and aliases are upper case, and each belongs to one row.
- A handler is called as ``handler(context, *arguments)``; when its command takes piped input, that
  comes before the arguments. Its parameters have the names of the row's.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

import msgspec

from racs.wire import Vector
from racs_server.access import Effect as Effect
from racs_server.access import Login
from racs_server.errors import StartError
from racs_server.values import AppendTo, AttachTo, AudioPlan, EncodedPlan, Follow, Subscribe

Value = (
    None
    | bool
    | int
    | float
    | str
    | list[Any]
    | Vector
    | AudioPlan
    | EncodedPlan
    | AppendTo
    | AttachTo
    | Follow
    | Subscribe
    | Login
)
"""What a command can result in.

An `AudioPlan` stands for the samples that it describes, an `EncodedPlan` for the bytes of its file,
an `AppendTo` for the append mode that its length is the first reply of, a `Follow` and a
`Subscribe` for a feed, a `Login` for what the connection's caller has shown.
"""

Handler = Callable[..., Value]


class Kind(StrEnum):
    """What an argument can be."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    """A number, int or float; handlers get the exact `fractions.Fraction`."""
    TIME = "time"
    """An instant, or an int: ms since the epoch; handlers get ns since the epoch."""


class Output(StrEnum):
    """What a command can give, by the name of its reply's type."""

    NULL = "null"
    INT = "int"
    STRING = "string"
    LIST = "list"
    AUDIO = "s32v"
    FLOATS = "f32v"
    BYTES = "u8v"
    ANY = "any"
    """Known when it is there; what it is piped into looks at it then."""


class Mode(StrEnum):
    """What follows a command on its connection."""

    REPLY = "reply"
    """One reply."""
    APPEND = "append"
    """Audio from the client until it ends it. Must be the last command of its pipeline."""
    ATTACH = "attach"
    """One message of bytes from the client. Must be the last command of its pipeline."""
    LOGIN = "login"
    """The same, for another caller. Must be the last command of its pipeline."""
    FEED = "feed"
    """Replies without end. Must be the last command of its pipeline."""


class Param(msgspec.Struct, frozen=True):
    """One parameter of a command.

    Attributes
    ----------
    name
        As people and the handler call it.
    kind
        What it accepts.
    doc
        What it means, with its unit.
    least, most
        Bounds of a number, both allowed themselves.
    choices
        All that is allowed, or empty.
    is_stream
        Whether it is the id of a stream, to which the caller must have the command's role.
    """

    name: str
    kind: Kind
    doc: str
    least: int | None = None
    most: int | None = None
    choices: tuple[str | int, ...] = ()
    is_stream: bool = False


class Overload(msgspec.Struct, frozen=True):
    """One list of parameters that a command takes, and what carries it out."""

    params: tuple[Param, ...]
    handler: Handler


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One command.

    Attributes
    ----------
    name, aliases
        Its names, in upper case.
    doc
        What it does, in a sentence or two.
    example
        A command text that uses it.
    overloads
        The lists of arguments that it takes; the first that fits is used.
    output
        What it gives.
    input
        What it has to be piped, or None: what is piped into it is ignored.
    takes_samples
        Whether it also takes samples without a format, an ``s32v`` vector, where it takes audio.
    effect
        What it does to the server, and to the streams that its arguments name: the role needed.
    mode
        What follows on the connection.
    public
        Whether it may be used by who has not said yet who they are.
    secret
        Whether its text must not be kept anywhere: no cache, no log, no error.
    blocks
        Whether it waits for the disk or can take more than a millisecond: it is run in a thread.
    evaluates
        Whether it runs a program, maybe for seconds: it waits for its turn with others of its kind.
    weight
        Bytes that its result may take in memory, where that is much.
    when_piped
        The command that it is instead where that one's input is piped into it.
    """

    name: str
    aliases: tuple[str, ...] = ()
    doc: str
    example: str
    overloads: tuple[Overload, ...]
    output: Output
    input: Output | None = None
    takes_samples: bool = False
    effect: Effect
    mode: Mode = Mode.REPLY
    public: bool = False
    secret: bool = False
    blocks: bool = False
    evaluates: bool = False
    weight: int = 0
    when_piped: "CommandSpec | None" = None

    @property
    def usage(self) -> str:
        """How the command is written: its name and its parameters, once for each overload."""
        ways = [
            " ".join([self.name, *(param.name for param in overload.params)])
            for overload in self.overloads
        ]
        if self.when_piped is not None and self.when_piped.usage not in ways:
            ways.append(f"{self.when_piped.input} |> {self.when_piped.usage}")
        return " or ".join(ways)


class CommandTable:
    """All commands.

    Parameters
    ----------
    specs
        The rows, in the order in which people should read them.
    turned_off
        Names of further commands, which this server is told not to have.

    Raises
    ------
    ValueError
        Two rows share a name.
    """

    def __init__(
        self, specs: Iterable[CommandSpec], turned_off: frozenset[str] = frozenset()
    ) -> None:
        self._specs = tuple(specs)
        self.turned_off = turned_off
        self._by_name: dict[str, CommandSpec] = {}
        for spec in self._specs:
            for name in (spec.name, *spec.aliases):
                if name in self._by_name:
                    raise ValueError(f"two commands are named {name}")
                self._by_name[name] = spec
        secret = "|".join(name for name, spec in self._by_name.items() if spec.secret) or "(?!)"
        self._secret = re.compile(rf"\b(?:{secret})\b|(?:^|\|>)\s*(?:{secret})", re.IGNORECASE)

    def __iter__(self) -> Iterator[CommandSpec]:
        return iter(self._specs)

    def __repr__(self) -> str:
        return f"<CommandTable: {', '.join(self._by_name)}>"

    def find(self, name: str) -> CommandSpec | None:
        """Return the command of that name or alias, given in upper case."""
        return self._by_name.get(name)

    @property
    def names(self) -> list[str]:
        """All names and aliases, sorted."""
        return sorted(self._by_name)

    def without(self, names: Iterable[str]) -> "CommandTable":
        """Return the table without some commands, given by a name or alias each.

        Raises
        ------
        StartError
            There is no command of that name.
        """
        off = set()
        for name in names:
            spec = self.find(name.upper())
            if spec is None:
                raise StartError(
                    f"there is no command {name!r} to turn off; there are {', '.join(self.names)}"
                )
            off |= {spec.name, *spec.aliases}
        return CommandTable((spec for spec in self if spec.name not in off), frozenset(off))

    def may_hold_secret(self, text: str) -> bool:
        """Whether a text, well formed or not, looks as if a secret command were in it.

        Where a command begins, what only begins like its name counts too.
        """
        return self._secret.search(text) is not None


def closest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a mistyped word was most probably meant to be, if any is like it.

    A word in other letters, upper or lower, is the same word.
    """
    if len(word) > _LONGEST_TYPO:
        return None
    by_letters = {name.lower(): name for name in names}
    return next(map(by_letters.get, get_close_matches(word.lower(), by_letters, n=1)), None)


_LONGEST_TYPO = 40
