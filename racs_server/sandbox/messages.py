"""What the server and a worker say to each other, as bytes; knows no process and no socket.

Every message is its length (unsigned, 32 bits, little-endian), then one msgpack map with its name
under ``type``. They alternate strictly:

============ =========== ================================== ====================================
from         message     fields                             followed by
============ =========== ================================== ====================================
server       ``setup``   procedures, budgets, library, name ``ready``, or ``failed`` and the end
worker       ``ready``                                      ``evaluate``
server       ``evaluate`` text                              ``call``, ``done`` or ``failed``
worker       ``call``    name, arguments, dropped           ``answer`` or ``refusal``
server       ``answer``  value                              ``call``, ``done`` or ``failed``
server       ``refusal`` problem                            ``call``, ``done`` or ``failed``
worker       ``done``    value                              ``evaluate``
worker       ``failed``  problem, fault                     ``evaluate``
============ =========== ================================== ====================================

Values are nil, bool, int (64 bits, signed), float, str, a flat list of these, or a map:
``rational`` (two hexadecimal texts), ``numbers`` (Scheme's name of a uniform vector's type, and its
elements' bytes), ``audio`` and ``file``. These two stand for something that stays in the server, by
a number that the server gave out in this very request: a worker can name nothing else. It tells
with its next ``call`` which numbers it has no more use for.

Worked example: ``ping`` is called with ``{"type": "call", "name": "ping", "arguments": [],
"dropped": []}``, which is ``29 00 00 00  84 a4 type a4 call a4 name a4 ping a9 arguments 90
a7 dropped 90``.

A worker is not to be trusted: whatever it sends is a message of this table, no longer than its
limit, or `ProtocolError`.
"""

from typing import Annotated, TypeVar

import msgspec

from racs_server.scheme.meter import Budgets

_HEAD = 4
_INT = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_DIGITS = Annotated[str, msgspec.Meta(pattern="^-?[0-9a-f]{1,256}$")]
_COUNT = Annotated[int, msgspec.Meta(ge=0)]


class ProtocolError(Exception):
    """What has come is no message that may come."""


class _Message(msgspec.Struct, frozen=True, tag=str.lower):
    """Base of messages, and of the values that are maps."""


class Rational(_Message, frozen=True):
    """An exact number that is no integer, in hexadecimal digits, few enough to be quick with."""

    numerator: _DIGITS
    denominator: _DIGITS


class Numbers(_Message, frozen=True):
    """A uniform vector.

    Attributes
    ----------
    kind
        ``u8``, ``s16``, ``f32`` and so on.
    data
        The elements, little-endian.
    """

    kind: str
    data: bytes


class Audio(_Message, frozen=True):
    """Audio in the server, by its number there, and what is known of it."""

    number: _COUNT
    rate: _COUNT
    channels: _COUNT
    depth: _COUNT
    frames: _COUNT


class File(_Message, frozen=True):
    """The description of a file in the server, by its number there."""

    number: _COUNT


Scalar = None | bool | _INT | float | str
Value = Scalar | list[Scalar] | Rational | Numbers | Audio | File


class Setup(_Message, frozen=True):
    """What a worker is to be like.

    Attributes
    ----------
    procedures
        The names of what can be asked for.
    budgets
        What each evaluation may use.
    library, library_name
        A program whose definitions every evaluation finds, and what errors call it.
    """

    procedures: tuple[str, ...]
    budgets: Budgets
    library: str = ""
    library_name: str = ""


class Ready(_Message, frozen=True):
    """The worker waits for programs."""


class Evaluate(_Message, frozen=True):
    """A program."""

    text: str


class Call(_Message, frozen=True):
    """The program calls a procedure of the server's; see the table."""

    name: str
    arguments: list[Value]
    dropped: list[_COUNT] = []


class Answer(_Message, frozen=True):
    """What the procedure gave."""

    value: Value


class Refusal(_Message, frozen=True):
    """Why the procedure gave nothing."""

    problem: str


class Done(_Message, frozen=True):
    """What the program came to."""

    value: Value


class Failed(_Message, frozen=True):
    """Why the program came to nothing; `fault` where the evaluator is to blame."""

    problem: str
    fault: bool = False


Reply = Ready | Call | Done | Failed
"""What a worker says."""
Request = Setup | Evaluate | Answer | Refusal
"""What the server says."""

_M = TypeVar("_M", Reply, Request)
_encode = msgspec.msgpack.Encoder().encode


def pack(message: Reply | Request) -> bytes:
    """Return a message's bytes."""
    body = _encode(message)
    return len(body).to_bytes(_HEAD, "little") + body


class Inbox(msgspec.Struct):
    """Bytes that have come, until they are a message.

    Attributes
    ----------
    longest
        The most bytes that a message may have; a length beyond is refused when it is announced.
    """

    longest: int
    _bytes: bytearray = msgspec.field(default_factory=bytearray)

    def add(self, data: bytes | memoryview) -> None:
        """Take bytes in."""
        self._bytes += data

    @property
    def empty(self) -> bool:
        """Whether nothing is waiting."""
        return not self._bytes

    def take(self, decoder: "msgspec.msgpack.Decoder[_M]") -> _M | None:
        """Return the next message, or None until it is whole.

        Raises
        ------
        ProtocolError
            It is too long, or none that may come.
        """
        size = int.from_bytes(self._bytes[:_HEAD], "little")
        if size > self.longest:
            raise ProtocolError(f"a message of {size} bytes, at most {self.longest} are taken")
        if len(self._bytes) < _HEAD or len(self._bytes) < _HEAD + size:
            return None
        with memoryview(self._bytes) as view:
            try:
                message = decoder.decode(view[_HEAD : _HEAD + size])
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                raise ProtocolError(f"no message that may come: {error}") from None
        del self._bytes[: _HEAD + size]
        return message


REPLIES: "msgspec.msgpack.Decoder[Reply]" = msgspec.msgpack.Decoder(Reply)
REQUESTS: "msgspec.msgpack.Decoder[Request]" = msgspec.msgpack.Decoder(Request)
