"""What the handlers of commands may use: the store, and a way to ask for the server's end."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from racs.wire.events import Buffer
from racs.wire.replies import MAX_BIN
from racs_server.access import EVERYONE, Caller, Effect, require
from racs_server.commands.spec import CommandSpec, CommandTable, Value
from racs_server.values import AudioFormat, StreamInfo, StreamRange


class Reader(Protocol):
    """The part of a store that gives audio back."""

    def read(self, plan: StreamRange) -> Iterator[memoryview]:
        """Yield the plan's PCM, packed, in pieces of whole samples; each is good until the next."""


class Waveform(Protocol):
    """A file of blocks that are computed from a stream's audio. All of it blocks.

    Raises `StreamError` when the stream is gone, `StorageError` when the disk fails.
    """

    def settled(self) -> int:
        """Return how many sample frames of the stream no crash can take back."""

    def count(self) -> int:
        """Return how many blocks there are."""

    def read(self, numbers: Sequence[int], /) -> memoryview | None:
        """Return blocks by their numbers, joined; None if one is damaged or not there."""

    def append(self, number: int, blocks: Sequence[bytes], /) -> None:
        """Add blocks, the first of which has that number; not if those before it are missing."""

    def drop(self) -> None:
        """Remove all blocks."""


class Store(Reader, Protocol):
    """The part of a store that commands use. All of it may be called from any thread."""

    def create(self, stream_id: str, format_: AudioFormat, /) -> None:
        """Make a new, empty, closed stream.

        Raises
        ------
        RequestError
            The id cannot be one.
        StreamError
            There is such a stream.
        """

    def open_stream(self, stream_id: str, /) -> None:
        """Let a stream take audio; `StreamError` if it does not exist or is open."""

    def close_stream(self, stream_id: str, /) -> None:
        """Close a stream and sync it; blocks. `StreamError` if it is not open or missing."""

    def info(self, stream_id: str, /) -> StreamInfo:
        """Return a stream as it stands; `StreamError` if there is none of that id."""

    def ids(self) -> Iterable[str]:
        """Return all ids, unsorted; what is returned does not change any more."""

    def plan(self, stream_id: str, start: int, stop: int, /) -> StreamRange:
        """Describe sample frames `start` up to but without `stop`; `StreamError` if missing."""

    def feed(self, stream_id: str, blocks: Iterable[bytes | memoryview], /) -> int:
        """Append packed PCM to an open stream; blocks. Returns how many bytes were taken.

        Raises
        ------
        StreamError
            It is missing, not open, or in use.
        """

    def expire(self, stream_id: str, seconds: int, /) -> None:
        """Give a stream a time to live after its last append, -1: for ever.

        Raises
        ------
        RequestError
            The number is out of bounds.
        StreamError
            There is no such stream.
        """

    def seconds_left(self, stream_id: str, /) -> int:
        """Return how long a stream still lives, -1: for ever; `StreamError` if it is missing."""

    def delete(self, stream_id: str, /) -> None:
        """Remove a stream for good; blocks. `StreamError` if it is missing or open."""

    def check_attachment(self, stream_id: str, name: str, size: int = 0, /) -> None:
        """Raise `RacsError` unless a file of that name and size can be kept with a stream."""

    def attach(self, stream_id: str, name: str, contents: Buffer, /) -> None:
        """Keep a file with a stream, durably; blocks. `RacsError` as `check_attachment`."""

    def attachment(self, stream_id: str, name: str, /) -> bytes:
        """Return a file kept with a stream; blocks. `StreamError` if there is none."""

    def attachments(self, stream_id: str, /) -> list[str]:
        """Return the names of the files kept with a stream, sorted; blocks."""

    def read_ranges(
        self, plan: StreamRange, ranges: Sequence[tuple[int, int]], /
    ) -> Iterator[memoryview]:
        """Yield the PCM of ranges of a plan's stream, ascending, as `read` does."""

    def waveform(self, plan: StreamRange, block: int, /) -> Waveform:
        """Return the waveform file of a plan's stream, with blocks of so many bytes."""

    def note_growth(self, plan: StreamRange, /) -> None:
        """Ask for a plan's stream to be given its waveform in the background."""

    def close_all(self) -> None:
        """Close all streams and put everything on the disk; blocks."""


class Evaluator(Protocol):
    """What runs the programs of EVAL."""

    def evaluate(self, context: "Context", expression: str) -> Value:
        """Run a program; blocks. `RacsError` if it cannot be run to its end."""


Figure = int | float | str


class Context(msgspec.Struct, frozen=True):
    """What a handler gets before its arguments.

    Attributes
    ----------
    store
        The streams.
    request_shutdown
        Asks the server to end in order and returns at once; may be called from any thread.
    table
        All commands.
    check_cancelled
        Ends a command that takes long, when it is no longer wanted: for handlers that block, to be
        called now and then.
    caller
        Who asks.
    evaluator
        Runs programs; None where nobody may run any.
    memory
        The most bytes that a program may be given at once.
    spool
        Most bytes of PCM that a file may be made of whose length is known only at the end.
    figures
        Reads what the server tells of itself, by name; may be called from any thread.
    """

    store: Store
    request_shutdown: Callable[[], None]
    table: CommandTable
    check_cancelled: Callable[[], None]
    caller: Caller = EVERYONE
    evaluator: Evaluator | None = None
    memory: int = 64 << 20
    spool: int = MAX_BIN
    figures: Callable[[], Mapping[str, Figure]] = dict

    def permit(self, spec: CommandSpec, stream_ids: Sequence[str]) -> None:
        """Raise `AccessError` unless the caller may use a command on these streams.

        Every command passes here before its handler is called, by whatever way it came.
        """
        if not (self.caller.unrestricted or spec.public):
            require(self.caller, spec.name, spec.effect, stream_ids)

    def require(self, action: str, effect: Effect, stream_id: str) -> None:
        """Raise `AccessError` unless the caller has a role on a stream.

        For handlers whose effect depends on more than their row says.
        """
        require(self.caller, action, effect, (stream_id,))
