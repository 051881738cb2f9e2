"""Exchanges recorded from the first RACS server: what clients of both generations rely on.

The rows were sent to one server, in this order, starting with no streams. A reply of bytes is the
recorded one, to be matched byte for byte; another value is what we answer where that server was
wrong; an error has a text of our own, and the bytes of a file are checked elsewhere.
"""

from enum import Enum

from racs.wire import Vector, encode_reply
from racs_server.access import Login
from racs_server.commands import Executor, PoolEvaluator, Value, iter_blocks
from racs_server.errors import RacsError
from racs_server.values import AppendTo, AttachTo, AudioPlan, EncodedPlan, Follow, Subscribe
from tests.commands.memory_store import MemoryStore
from tests.commands.results import file_bytes


class Outcome(Enum):
    ERROR = "error"
    BYTES = "u8v"


ERROR = Outcome.ERROR
BYTES = Outcome.BYTES
NO_SAMPLES = Vector("s32v", b"")

EXCHANGES: tuple[tuple[str, bytes | Value | Outcome], ...] = (
    ("PiNg", b"\x92\xa6string\xa4PONG"),
    ("PING 'a' 'b'", ERROR),
    ("\n", ERROR),
    ("NOPE 1 2", ERROR),
    ("1", ERROR),
    ("1.5", ERROR),
    ("PING |>", ERROR),
    ("PING |> PING", b"\x92\xa6string\xa4PONG"),
    ("PING PING", ERROR),
    ("PING,", ERROR),
    ("CREATE", ERROR),
    ("CREATE 'g1'", ERROR),
    ("CREATE 'g1' 44100 2", ERROR),
    ("CREATE 'g1' 44100 2 16 1", ERROR),
    ("CREATE g1 44100 2 16", ERROR),
    ("CREATE 44100 44100 2 16", ERROR),
    ("CREATE 'g1' '44100' 2 16", ERROR),
    ("CREATE 'g1' 44100.0 2 16", ERROR),
    ("CREATE 'g1' -44100 2 16", ERROR),
    ("CREATE 'g1' 44100 'x' 16", ERROR),
    ("CREATE 'g1' 44100 2 1.5", ERROR),
    ("CREATE 'g1' 44100 2 16", b"\x91\xa4null"),
    ("CREATE 'g1' 44100 2 16", ERROR),
    ("create 'G1' 48000 1 24", b"\x91\xa4null"),
    ("CREATE 'd8' 44100 2 8", ERROR),
    ("CREATE 'd32' 44100 2 32", ERROR),
    ("CREATE 'd0' 44100 2 0", ERROR),
    ("CREATE 'c0' 44100 0 16", ERROR),
    ("CREATE 'c3' 44100 3 16", b"\x91\xa4null"),
    ("CREATE 'c8' 44100 8 16", b"\x91\xa4null"),
    ("CREATE 'c65536' 44100 65536 16", ERROR),
    ("CREATE 'r0' 0 2 16", ERROR),
    ("CREATE 'rbig' 4294967296 2 16", ERROR),
    ("CREATE '' 44100 2 16", ERROR),
    ("CREATE 'with space' 44100 2 16", b"\x91\xa4null"),
    ("CREATE 'naïve/日本' 44100 2 16", b"\x91\xa4null"),
    ("CREATE 'a/../b' 44100 2 16", b"\x91\xa4null"),
    ("CREATE 'it\\'s' 44100 2 16", b"\x91\xa4null"),
    ("INFO", ERROR),
    ("INFO 'g1' 'sample_rate'", b"\x92\xa3int\xcd\xacD"),
    ("INFO 'g1' 'bit_depth'", b"\x92\xa3int\x10"),
    ("INFO 'g1' 'size'", 0),
    ("INFO 'g1' 'bogus'", ERROR),
    ("INFO 'c0' 'channels'", ERROR),
    ("INFO 'c65536' 'channels'", ERROR),
    ("INFO 'rbig' 'sample_rate'", ERROR),
    ("INFO '' 'channels'", ERROR),
    ("SEARCH", ERROR),
    ("SEARCH 1", ERROR),
    ("SEARCH 'a' 'b'", ERROR),
    ("SEARCH '*'", ["G1", "a/../b", "c3", "c8", "g1", "it's", "naïve/日本", "with space"]),
    ("SEARCH 'g*'", b"\x92\xa4list\xa2g1"),
    ("SEARCH 'g?'", b"\x92\xa4list\xa2g1"),
    ("SEARCH '[gd]*'", ["g1"]),
    ("SEARCH '[!gd]*'", ["G1", "a/../b", "c3", "c8", "it's", "naïve/日本", "with space"]),
    ("SEARCH 'c[0-9]'", ["c3", "c8"]),
    ("SEARCH 'zzz*'", b"\x91\xa4list"),
    ("SEARCH ''", []),
    ("SEARCH 'g1'", b"\x92\xa4list\xa2g1"),
    ("SEARCH 'G1'", b"\x92\xa4list\xa2G1"),
    ("SEARCH '*/*'", ["a/../b", "naïve/日本"]),
    ("SEARCH '[g'", b"\x91\xa4list"),
    ("LS '*'", ["G1", "a/../b", "c3", "c8", "g1", "it's", "naïve/日本", "with space"]),
    ("LIST '*'", ["G1", "a/../b", "c3", "c8", "g1", "it's", "naïve/日本", "with space"]),
    ("OPEN", ERROR),
    ("OPEN 1", ERROR),
    ("OPEN 'g1' 'x'", ERROR),
    ("CLOSE 'g1'", ERROR),
    ("OPEN 'g1'", b"\x91\xa4null"),
    ("OPEN 'g1'", ERROR),
    ("CLOSE 'g1'", b"\x91\xa4null"),
    ("CLOSE 'g1'", ERROR),
    ("OPEN 'never-created'", ERROR),
    ("OPEN 'never-created'", ERROR),
    ("CLOSE 'never-created'", ERROR),
    ("CLOSE", ERROR),
    ("CLOSE 1", ERROR),
    ("OPEN 'g1' |> CLOSE 'g1'", b"\x91\xa4null"),
    ("CREATE 'p1' 44100 2 16 |> OPEN 'p1'", b"\x91\xa4null"),
    ("CREATE 'p1' 44100 2 16 |> OPEN 'p2'", ERROR),
    ("OPEN 'p2'", ERROR),
    ("PING |> NOPE", ERROR),
    ("OPEN 'q9' |> NOPE", ERROR),
    ("OPEN 'q9'", ERROR),
    ("EXTRACT", ERROR),
    ("EXTRACT 'g1' 1 2", b"\x92\xa4s32v\xc4\x00"),
    ("EXTRACT 'g1' '2000-01-01T00:00:00.000Z' '2100-01-01T00:00:00.000Z'", ERROR),
    ("EXTRACT 'g1' 2000-01-01T00:00:00.000Z 2100-01-01T00:00:00.000Z", b"\x92\xa4s32v\xc4\x00"),
    ("EXTRACT 'none' 2000-01-01T00:00:00.000Z 2100-01-01T00:00:00.000Z", ERROR),
    ("EXTRACT 'g1' 2025-01-01 2026-01-01", ERROR),
    ("EXTRACT 'd8' 2000-01-01T00:00:00.000Z 2100-01-01T00:00:00.000Z", ERROR),
    ("EXTRACT 1 2000-01-01T00:00:00.000Z 2100-01-01T00:00:00.000Z", ERROR),
    ("EXTRACT 'g1' -1 5", NO_SAMPLES),
    ("EXTRACT 'g1' 1960-01-01T00:00:00Z 1970-01-01T00:00:01Z", NO_SAMPLES),
    ("FORMAT", ERROR),
    ("FORMAT 'audio/wav' 44100 2 16", ERROR),
    ("PING |> FORMAT", ERROR),
    ("PING |> FORMAT 'audio/wav'", ERROR),
    ("SEARCH '*' |> FORMAT 'audio/wav' 44100 2 16", ERROR),
    ("EXTRACT 'g1' 1 2 |> FORMAT 'audio/flac' 44100 2 16", BYTES),
    ("EXTRACT 'g1' 1 2 |> FORMAT 'audio/wav' 44100 2 8", ERROR),
    ("EXTRACT 'g1' 1 2 |> FORMAT 'audio/wav' 44100 0 16", ERROR),
    ("EXTRACT 'none' 1 2 |> FORMAT 'audio/wav' 44100 2 16", ERROR),
    ("EXTRACT 'g1' 1 2 |> FORMAT 1 44100 2 16", ERROR),
    ("EXTRACT 'g1' 1 2 |> FORMAT 'audio/wav' 'x' 2 16", ERROR),
    ("'unterminated", ERROR),
    ("PING 'unterminated", ERROR),
    ("A" * 254, ERROR),
    ("EVAL 1", ERROR),
    ("EVAL", ERROR),
    ("EVAL '(+ 1 2 3)'", b"\x92\xa3int\x06"),
    ("EVAL '(+ 1.5 2)'", b"\x92\xa5float\xcb@\x0c\x00\x00\x00\x00\x00\x00"),
    ("EVAL '1.5'", b"\x92\xa5float\xcb?\xf8\x00\x00\x00\x00\x00\x00"),
    ("EVAL '1/2'", b"\x92\xa5float\xcb?\xe0\x00\x00\x00\x00\x00\x00"),
    ("EVAL '(* 1/2 3)'", b"\x92\xa5float\xcb?\xf8\x00\x00\x00\x00\x00\x00"),
    ("EVAL '#t'", b"\x92\xa4bool\xc3"),
    ("EVAL '#f'", False),
    ("EVAL '()'", ERROR),
    ("EVAL '(list 1 2 3)'", b"\x94\xa4list\x01\x02\x03"),
    (
        "EVAL '(list 1.5 2 #t #f \"a\")'",
        b"\x96\xa4list\xcb?\xf8\x00\x00\x00\x00\x00\x00\x02\xc3\xc2\xa1a",
    ),
    ("EVAL 'foo'", ERROR),
    ("EVAL '(+ 1 \"a\")'", ERROR),
    ("EVAL '(quote (1 2 3))'", [1, 2, 3]),
    ("EVAL '(quote abc)'", ERROR),
    ("EVAL '(cons 1 2)'", ERROR),
    ("EVAL '(car (list 1 2))'", 1),
    ("EVAL '(length (list 1 2))'", 2),
    ("EVAL '(if #t 1 2)'", 1),
    ("EVAL '(define x 5)'", None),
    ("EVAL '(define x 5) x'", 5),
    ("EVAL '(let ((x 5)) (* x x))'", 25),
    ("EVAL '(lambda (x) x)'", ERROR),
    ("EVAL '#u8(1 2 3)'", b"\x92\xa3u8v\xc4\x03\x01\x02\x03"),
    ("EVAL '(* 99999999999 99999999999)'", ERROR),
    ("EVAL '(+ 9223372036854775807 1)'", ERROR),
    ('EVAL \'(info "none" "channels")\'', ERROR),
    ("EVAL '(info \"g1\")'", ERROR),
    ("EVAL '(search \"zzz\")'", b"\x91\xa4null"),
    ("EVAL '(ping)'", b"\x92\xa6string\xa4PONG"),
    ("EVAL '(create \"e1\" 44100 2 16)'", b"\x91\xa4null"),
    ("EVAL '(create \"e1\" 44100 2 16)'", ERROR),
    ("EVAL '(open \"e1\")'", b"\x91\xa4null"),
    ("EVAL '(open \"e1\")'", ERROR),
    ("EVAL '(close \"e1\")'", b"\x91\xa4null"),
    ("EVAL '(close \"e1\")'", ERROR),
    ("EVAL '(format (list 1 2) \"audio/wav\" 44100 2 16)'", ERROR),
    ("EVAL '(exit)'", ERROR),
    ("EVAL '(+ 1 2)' |> PING", b"\x92\xa6string\xa4PONG"),
    ('EVAL "(+ 1 2)"', 3),
    ("EVAL '(+ 1 2)' '(+ 1 2)'", ERROR),
    ("EVAL '  (+ 1 2)  '", b"\x92\xa3int\x03"),
    ("EVAL '(+ 1\n2)'", b"\x92\xa3int\x03"),
    ("EVAL '\\'(1 2 3)'", [1, 2, 3]),
)


def encoded(value: bytes | Value) -> bytes:
    if isinstance(value, bytes):
        return len(value).to_bytes(8, "little") + value
    modes = AppendTo | AttachTo | Follow | Subscribe | Login
    assert not isinstance(value, AudioPlan | EncodedPlan | modes)
    return encode_reply(value)


async def answer(executor: Executor, store: MemoryStore, request: str) -> bytes | Outcome:
    try:
        value = await executor.run(request)
    except RacsError:
        return ERROR
    if isinstance(value, EncodedPlan):
        assert file_bytes(store, value)
        return BYTES
    if isinstance(value, AudioPlan):
        value = Vector("s32v", b"".join(bytes(block) for block in iter_blocks(store, value)))
    return encoded(value)


async def test_recorded_exchanges(evaluator: PoolEvaluator) -> None:
    store = MemoryStore()
    executor = Executor(store, lambda: None, evaluator=evaluator)
    wrong = []
    for request, reply in EXCHANGES:
        expected = reply if isinstance(reply, Outcome) else encoded(reply)
        found = await answer(executor, store, request)
        if found != expected:
            wrong.append((request, expected, found))
    assert wrong == []
