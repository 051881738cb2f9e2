"""The bytes between the server and a worker."""

import msgspec
import pytest

from racs_server.sandbox.messages import (
    REPLIES,
    REQUESTS,
    Answer,
    Audio,
    Call,
    Done,
    Evaluate,
    Failed,
    File,
    Inbox,
    Numbers,
    ProtocolError,
    Rational,
    Ready,
    Refusal,
    Reply,
    Request,
    Setup,
    pack,
)
from racs_server.scheme import Budgets

PING = bytes.fromhex("29000000 84") + b"".join(
    [b"\xa4type\xa4call", b"\xa4name\xa4ping", b"\xa9arguments\x90", b"\xa7dropped\x90"]
)

REPLY_CASES: tuple[Reply, ...] = (
    Ready(),
    Call("ping", []),
    Call(
        "gain",
        [Audio(1, 44100, 2, 16, 10), Rational("-1f", "3"), 0.5, None, True, -(2**63), [1, "a"]],
        [2, 3],
    ),
    Done(Numbers("s16", b"\x01\x00")),
    Done(File(7)),
    Failed("car: expected a pair", fault=True),
)
REQUEST_CASES: tuple[Request, ...] = (
    Setup(("ping", "range"), Budgets(), "(define x 1)", "site.scm"),
    Evaluate("(ping)"),
    Answer("PONG"),
    Refusal("there is no such stream"),
)


def test_the_worked_example() -> None:
    assert pack(Call("ping", [])) == PING


@pytest.mark.parametrize("message", REPLY_CASES, ids=lambda each: type(each).__name__)
def test_replies_come_out_as_they_went_in_however_they_are_cut(message: Reply) -> None:
    data = pack(message) + pack(Ready())
    for cut in range(len(data)):
        inbox = Inbox(longest=1000)
        found: list[Reply] = []
        for part in (data[:cut], data[cut:]):
            inbox.add(part)
            while (one := inbox.take(REPLIES)) is not None:
                found.append(one)
        assert found == [message, Ready()]
        assert inbox.empty


@pytest.mark.parametrize("message", REQUEST_CASES, ids=lambda each: type(each).__name__)
def test_requests_come_out_as_they_went_in(message: Request) -> None:
    inbox = Inbox(longest=10_000)
    for byte in pack(message):
        assert inbox.take(REQUESTS) is None
        inbox.add(bytes([byte]))
    assert inbox.take(REQUESTS) == message


def framed(value: object) -> bytes:
    body = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
    return len(body).to_bytes(4, "little") + body


BAD = {
    "nothing at all": framed(b""),
    "garbage": framed(b"\xc1\xff\x00"),
    "more than a message": framed(msgspec.msgpack.encode({"type": "ready"}) + b"\xc0"),
    "a request": pack(Evaluate("(ping)")),
    "no map": framed(["ready"]),
    "no type": framed({"name": "ping", "arguments": []}),
    "an unknown type": framed({"type": "shell", "name": "ping"}),
    "a list in a list": framed({"type": "done", "value": [[1]]}),
    "audio in a list": framed({"type": "done", "value": [{"type": "file", "number": 1}]}),
    "an integer beyond 64 bits": framed({"type": "done", "value": 2**63}),
    "a negative number of audio": framed({"type": "done", "value": {"type": "file", "number": -1}}),
    "a number that is text": framed(
        {"type": "call", "name": "x", "arguments": [], "dropped": ["1"]}
    ),
    "bytes without a kind": framed({"type": "done", "value": b"abc"}),
    "a rational of too many digits": framed(
        {"type": "done", "value": {"type": "rational", "numerator": "f" * 257, "denominator": "1"}}
    ),
    "a rational that is code": framed(
        {"type": "done", "value": {"type": "rational", "numerator": "0x1_0", "denominator": "1"}}
    ),
    "text that is no text": framed(b"\x82\xa4type\xa4done\xa5value\xa2\xff\xfe"),
    "deep nesting": framed(b"\x82\xa4type\xa4done\xa5value" + b"\x91" * 5000 + b"\xc0"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_no_message_is_refused(data: bytes) -> None:
    inbox = Inbox(longest=10_000)
    inbox.add(data)
    with pytest.raises(ProtocolError):
        inbox.take(REPLIES)


def test_a_length_beyond_the_limit_is_refused_before_its_bytes_come() -> None:
    inbox = Inbox(longest=100)
    inbox.add((101).to_bytes(4, "little"))
    with pytest.raises(ProtocolError, match="a message of 101 bytes, at most 100 are taken"):
        inbox.take(REPLIES)
