"""What both clients have in common: settings, their checks, the pool, and what commands do with it.

What waits for the server is a script (`racs.script`), run by `racs.Racs` with blocking calls and by
`racs.AsyncRacs` with trio's.
"""

import enum
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from typing import Any, BinaryIO, Final

import numpy as np

from racs.address import Address
from racs.commands import checked_int, checked_text, command, may_change_mode
from racs.connection import Connection, connect
from racs.errors import RacsServerError, RacsTypeError, RacsValueError
from racs.export import checked_output, export
from racs.output import Progress
from racs.pool import Pool, PoolStatistics
from racs.script import Script
from racs.stream import Opener, Target
from racs.wire import encode_command
from racs.wire.events import Buffer


class Missing(enum.Enum):
    """Tells an argument that was left out from one that is None by mistake."""

    DATA = enum.auto()


NO_DATA: Final = Missing.DATA

_AT_ONCE = 256
"""How many commands are sent before their replies are taken: few enough for sockets' buffers."""


class Client:
    """What `Racs` and `racs.AsyncRacs` have in common: settings, their checks, and the pool."""

    def __init__(
        self,
        address: Address,
        pool_size: int,
        connect_timeout: float,
        timeout: float | None,
        vectors: str,
    ) -> None:
        self._address = address
        if checked_int(pool_size, "pool_size") < 1:
            raise RacsValueError(f"pool_size must be 1 or more, not {pool_size}")
        if vectors not in ("numpy", "list"):
            raise RacsValueError(f"vectors must be 'numpy' or 'list', not {vectors!r}")
        connecting = _checked_seconds(connect_timeout, "connect_timeout")
        silence = None if timeout is None else _checked_seconds(timeout, "timeout")
        self._lists = vectors == "list"
        self._session = uuid.uuid4().bytes
        self._pool = self._make_pool(partial(connect, address, connecting, silence), int(pool_size))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._address}, {self._pool!r}>"

    @property
    def address(self) -> str:
        """Host and port of the server."""
        return str(self._address)

    def _target(self, stream_id: object, data: object, opener: Opener) -> Target:
        """Return where audio goes: data in the client's session, a builder's in one of its own."""
        session = uuid.uuid4().bytes if data is NO_DATA else self._session
        return Target(self._pool, checked_text(stream_id, "stream_id"), session, opener)

    def _make_pool(self, connect: Callable[..., Connection], size: int) -> Pool:
        return Pool(connect, size)

    def statistics(self) -> PoolStatistics:
        """Return how many connections there are and were, and how they are used."""
        return self._pool.statistics()

    def _execute(
        self,
        text: str,
        to: "str | PathLike[str] | BinaryIO | None" = None,
        progress: Progress | None = None,
    ) -> Script[Any]:
        """Script: carry out a command text, see `Racs.execute_command`."""
        if to is not None:
            output = checked_output(to)
            return (yield from export(self._pool, checked_text(text, "text"), output, progress))
        message = encode_command(checked_text(text, "text"))
        [answer] = yield from self._pool.exchange([message], reuse=not may_change_mode(text))
        return self._listed(answer)

    def _execute_all(self, texts: Iterable[str]) -> Script[list[Any]]:
        """Script: carry out command texts, see `Racs.execute_commands`."""
        checked = [checked_text(text, "text") for text in texts]
        if wrong := next(filter(may_change_mode, checked), None):
            raise RacsValueError(f"{wrong!r} is followed by more than one reply: send it alone")
        messages = [encode_command(text) for text in checked]

        def exchange(connection: Connection) -> Script[list[Any]]:
            answers: list[Any] = []
            for start in range(0, len(messages), _AT_ONCE):
                batch = messages[start : start + _AT_ONCE]
                yield from connection.send([b"".join(batch)], requests=len(batch))
                for _ in batch:
                    try:
                        answers.append((yield from connection.receive()))
                    except RacsServerError as error:
                        answers.append(error)
            return answers

        answers = yield from self._pool.use(exchange)
        return [self._listed(answer) for answer in answers]

    def _listed(self, answer: Any) -> Any:
        return answer.tolist() if self._lists and isinstance(answer, np.ndarray) else answer

    def _attach(self, stream_id: str, name: str, data: Buffer) -> Script[None]:
        """Script: keep a file with a stream, see `Racs.attach`."""
        text = command("ATTACH", checked_text(stream_id, "stream_id"), checked_text(name, "name"))
        if not isinstance(data, bytes | bytearray | memoryview):
            raise RacsTypeError(f"data must be bytes, not a {type(data).__name__}")

        def send(connection: Connection) -> Script[None]:
            # The file goes when the server is ready for it, or it would be taken for commands.
            yield from connection.exchange([encode_command(text)])
            size = memoryview(data).nbytes.to_bytes(8, "little")
            yield from connection.send([size, memoryview(data).cast("B")] if data else [size])
            yield from connection.receive()

        yield from self._pool.use(send)

    def _attachment(self, stream_id: str, name: str) -> str:
        return command(
            "ATTACHMENT", checked_text(stream_id, "stream_id"), checked_text(name, "name")
        )

    def _attachments(self, stream_id: str) -> str:
        return command("ATTACHMENTS", checked_text(stream_id, "stream_id"))


def _checked_seconds(value: object, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RacsTypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 < value < float("inf"):
        raise RacsValueError(f"{name} must be more than 0 seconds and finite, not {value!r}")
    return float(value)
