"""EVAL: what programs come to, the commands in them, their budgets, and no way out."""

import math
import re
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import trio
import trio.testing

from racs.wire import Vector
from racs_server.access import Caller, Grant
from racs_server.commands import (
    TABLE,
    CommandSpec,
    CommandTable,
    Context,
    Evaluations,
    Executor,
    PoolEvaluator,
)
from racs_server.commands.procedures import changing_commands, procedures
from racs_server.commands.spec import Effect, Mode, Output, Overload
from racs_server.errors import LimitError, RacsError, RequestError, StartError
from racs_server.sandbox import Budgets
from racs_server.scheme import Interpreter
from racs_server.values import AudioFormat, AudioPlan
from tests.commands.memory_store import MemoryStore
from tests.commands.results import file_bytes, samples

REF = 1_703_543_445_123
RAMP = np.arange(20_000, dtype=np.int32) % 1000


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.create("take", AudioFormat(1000, 1, 16))
    store.record("take", REF, RAMP)
    store.create("wide", AudioFormat(1000, 2, 16))
    store.record("wide", REF, RAMP)
    return store


@pytest.fixture
def executor(store: MemoryStore, evaluator: PoolEvaluator) -> Executor:
    return Executor(store, lambda: None, evaluator=evaluator)


def quoted(program: str) -> str:
    return program.replace("\\", "\\\\").replace("'", "\\'")


async def evaluate(executor: Executor, program: str) -> object:
    return await executor.run(f"EVAL '{quoted(program)}'")


VALUES: tuple[tuple[str, object], ...] = (
    ("(+ 1 2 3)", 6),
    ("(- (expt 2 62) 1 (- (expt 2 62)))", 2**63 - 1),
    ("(- (expt 2 63))", -(2**63)),
    ("1.5", 1.5),
    ("3/2", 1.5),
    ("#t", True),
    ("#f", False),
    ('"text, 日"', "text, 日"),
    ("'()", None),
    ("(if #f #f)", None),
    ("(define x 1)", None),
    ("(values)", None),
    ("", None),
    ('\'(1 2.5 #t "a" 1/2)', [1, 2.5, True, "a", 0.5]),
    ("#u8(1 2)", Vector("u8v", b"\x01\x02")),
    ("#s8(-1)", Vector("s8v", b"\xff")),
    ("#u16(258)", Vector("u16v", b"\x02\x01")),
    ("#s16(-2)", Vector("s16v", b"\xfe\xff")),
    ("#u32(1)", Vector("u32v", b"\x01\0\0\0")),
    ("#s32(-1 1)", Vector("s32v", b"\xff\xff\xff\xff\x01\0\0\0")),
    ("#f32(1.0)", Vector("f32v", b"\0\0\x80\x3f")),
    ("#c32(1.0)", Vector("c64v", b"\0\0\x80\x3f\0\0\0\0")),
    ("(define (f x) (* x x)) (f 7)", 49),
)


@pytest.mark.parametrize(("program", "value"), VALUES)
async def test_a_programs_value_is_the_reply(
    executor: Executor, program: str, value: object
) -> None:
    found = await evaluate(executor, program)
    assert (type(found), found) == (type(value), value)


UNSENDABLE = (
    ("'abc", "the result is a symbol, which cannot be sent"),
    ("car", "the result is a procedure, which"),
    ("(lambda (x) x)", "the result is a procedure, which"),
    ("#\\a", "the result is a character, which"),
    ("(vector 1 2)", "the result is a vector, which"),
    ("(delay 1)", "the result is a promise, which"),
    ("(values 1 2)", "the result is multiple values, which"),
    ("(cons 1 2)", r"the result is an improper list \(it ends with a number\)"),
    ("'(1 (2))", "element 1 of the resulting list is a pair, which"),
    ("'(1 ())", "element 1 of the resulting list is an empty list, which"),
    ("(list #u8(1))", "element 0 of the resulting list is a uniform vector, which"),
    ('(list (range "take" 0 1))', "element 0 of the resulting list is audio, which"),
    ("(let ((l (list 1 2))) (set-cdr! (cdr l) l) l)", "a list without an end, which cannot be"),
    ("(+ 9223372036854775807 1)", r"an integer of 65 bits, which cannot be sent.*number->string"),
)


@pytest.mark.parametrize(("program", "problem"), UNSENDABLE)
async def test_what_cannot_be_sent_is_named(executor: Executor, program: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        await evaluate(executor, program)


COMMANDS: tuple[tuple[str, object], ...] = (
    ("(ping)", "PONG"),
    ('(info "take" "size")', 40_000),
    ('(meta "take" "channels")', 1),
    ('(streams "*")', ["take", "wide"]),
    ('(search "t*")', ["take"]),
    ('(ls "nothing")', None),
    ('(length (streams "*"))', 2),
    ('(ttl "take")', -1),
    ('(create "new" 44100 2 16)', None),
    ('(begin (create "n" 1 1 16) (open "n") (close "n") (streams "n"))', ["n"]),
    ('(audio? (range "take" 0 1))', True),
    ("(audio? 1)", False),
    ('(audio-rate (range "take" 0 1))', 1000),
    ('(audio-channels (range "wide" 0 1))', 2),
    ('(audio-depth (range "wide" 0 1))', 16),
    ('(audio-length (range "take" 0 1.5))', 1500),
    ('(audio-duration (range "take" 0 1.5))', 1.5),
    ('(> (audio-duration (range "take" 0 1e9)) 19)', True),
    ('(audio-length (range "take" 0 1/3))', 334),
    ('(audio-length (range "take" 0 0.1))', 100),
    (f'(audio-length (extract "take" {REF} {REF + 5}))', 5),
    ('(audio-length (extract "take" "2023-12-25T22:30:45.123Z" "2023-12-25T22:30:46Z"))', 877),
    ('(audio-peak (range "take" 0 0.5))', 499),
    ('(audio-peak (gain (range "take" 0 1) -1))', 999),
    ('(audio-peak (range "take" 0 0))', 0),
    ('(audio-rms (range "take" 0 0))', 0.0),
    ('(audio-rms (range "take" 0 1))', math.sqrt(np.mean(np.arange(1000.0) ** 2))),
    ('(audio->vector (range "take" 0.001 0.002))', Vector("s32v", b"\x01\0\0\0\x02\0\0\0")),
    ('(s32vector-ref (audio->vector (gain (range "take" 0 1) 2)) 3)', 6),
    ('(bytevector-length (encode (range "take" 0 1) "audio/wav"))', 2044),
    ('(bytevector? (encode (range "take" 0 1) "audio/flac"))', True),
    ('(utf8->string (encode (range "take" 0 1) "audio/flac") 0 4)', "fLaC"),
    ('(audio-length (mix (range "take" 0 1) (range "take" 2 3) (range "take" 4 1)))', 3000),
    ('(audio-length (mix (range "take" 0 1) "take" 2 3))', 3000),
    ('(audio-channels (merge (range "take" 0 1) (split (range "wide" 0 1) 1)))', 2),
    ("(length (loudness (vector->audio (make-s32vector 8000 99) 8000 1 16)))", 4),
    ("(audio->vector (vector->audio #s32(1 2) 8000 1 16))", Vector("s32v", b"\1\0\0\0\2\0\0\0")),
    ('(guard (e (#t (error-object-message e))) (open "none"))', "open: no such stream: 'none'"),
)  # fmt: skip


@pytest.mark.parametrize(("program", "value"), COMMANDS)
async def test_commands_are_procedures(executor: Executor, program: str, value: object) -> None:
    found = await evaluate(executor, program)
    assert (type(found), found) == (type(value), value)


MISTAKES = (
    ('(+ 1\n (info "take" "sise"))',
     r"info: argument 2 \(attribute\): expected 'sample_rate'.*found the string 'sise'; did you"
     r" mean 'size'\?\n  at line 2, column 2: \(info \"take\" \"sise\"\)"),
    ('(info "take")', r"info: expected \(info stream_id attribute\), got 1 argument"),
    ('(info "none" "size")', "info: no such stream: 'none'"),
    ('(info 5 "size")', r"info: argument 1 \(stream_id\): expected a string, found the int '5'"),
    ('(info #t "size")', "info: argument 1: expected a string or a number, found a bool"),
    ('(gain (range "take" 0 1))', r"gain: expected \(gain audio factor\), got 1 argument"),
    ("(gain 5 0.5)", "gain: expected audio to work on, found an int"),
    ("(gain #s32(1 2) 0.5)", r"gain: samples alone \(s32v\) have no sample rate"),
    ('(gain (range "take" 0 1) "x")', r"gain: argument 2 \(factor\): expected a number"),
    ('(gain (range "take" 0 1) (/ 1. 0.))', r"gain: expected a finite number, got \+inf\.0"),
    ('(range "take" 0 (expt 3 1000))', "range: expected an integer of at most 64 bits"),
    ('(range "take" 0 (/ 1 (expt 3 1000)))', "range: expected a number of at most 1000 bits"),
    ('(pan (range "take" 0 1) 0)', "pan: only stereo has a left and a right"),
    ('(extract "take" "yesterday" 5)', "extract: argument 2 .start.: expected a time, found"),
    ('(extract "take" "2023-12-25T22:30:45Z |> PING" 5)', "expected a time, found the string"),
    ('(encode (range "take" 0 1) "audio/wave")', "did you mean 'audio/wav'"),
    ('(merge (range "take" 0 1))', r"merge: expected \(merge left right\), got 1"),
    ("(vector->audio #s32(1 2 3) 44100 2 16)", "3 samples are no whole sample frames of 2"),
    ("(vector->audio #s32(1 40000) 44100 2 16)", "a sample of 40000, but 16 bit hold -32768 to"),
    ("(vector->audio #s32(1 2) 44100 2 17)", r"argument 4 \(bit_depth\): expected 16 or 24"),
    ("(vector->audio #f32(1 2) 44100 2 16)", "expected audio to work on, found a vector .f32v"),
    ("(audio-rate 5)", "audio-rate: expected audio, got 5"),
    ('(car (range "take" 0 1))', "car: expected a pair, got #<audio>"),
    ('(car (encode (range "take" 0 1) "audio/wav"))', "car: expected a pair, got #<file>"),
    ('(+ 1 "a")', r"\+: expected a number, got \"a\"\n  at line 1, column 1"),
)  # fmt: skip


@pytest.mark.parametrize(("program", "problem"), MISTAKES)
async def test_a_mistake_says_what_and_where(
    executor: Executor, program: str, problem: str
) -> None:
    with pytest.raises(RequestError, match=problem):
        await evaluate(executor, program)


# ---------------------------------------------------------------------- audio, and pipes


async def test_audio_is_a_plan_until_it_is_sent(store: MemoryStore, executor: Executor) -> None:
    plan = await evaluate(executor, '(gain (range "take" 0 0.005) 2)')
    assert samples(store, plan)[:, 0].tolist() == [0, 2, 4, 6, 8]  # type: ignore[arg-type]


async def test_an_encoded_result_is_made_from_the_plan_when_it_is_sent(
    store: MemoryStore, executor: Executor
) -> None:
    hour = '(encode (pad (range "take" 0 20) 0 3600) "audio/wav")'
    store.claim("wide", REF, 1000 * 3600 * 24)
    encoded = await evaluate(executor, hour)
    assert len(file_bytes(store, encoded)) == 44 + 2 * 1000 * 3620  # type: ignore[arg-type]


async def test_a_file_that_a_program_looks_at_has_to_fit_its_memory(
    store: MemoryStore, evaluator: PoolEvaluator, executor: Executor
) -> None:
    store.claim("wide", REF, 1000 * 3600 * 24)
    day = '(encode (range "wide" 0 86400) "audio/wav")'
    assert await evaluate(executor, f"(bytevector? {day})") is True
    with pytest.raises(RequestError, match="memory: 345600044 bytes are needed, 67108864 allowed"):
        await evaluate(executor, f"(bytevector-length {day})")
    with pytest.raises(RequestError, match=r"memory: .* bytes are needed, 67108864 allowed"):
        await evaluate(executor, '(audio->vector (range "wide" 0 86400))')


PIPES: tuple[tuple[str, object], ...] = (
    ("EVAL '(+ 1 2)' |> PING", "PONG"),
    ("PING |> EVAL '(+ 1 2)'", 3),
    ("EVAL \"(info 'take' 1)\" |> PING", None),
    ('EVAL \'(info \\"take\\" \\"channels\\")\'', 1),
    ('EVAL "(info \\"take\\" \\"channels\\")"', 1),
)


async def test_both_ways_of_quoting_and_pipes(executor: Executor) -> None:
    for text, value in PIPES:
        if value is None:
            with pytest.raises(RequestError):
                await executor.run(text)
        else:
            assert await executor.run(text) == value


async def test_audio_and_samples_go_on_through_the_pipe(
    store: MemoryStore, executor: Executor
) -> None:
    plan = await executor.run("EVAL '(range \"take\" 0 0.003)' |> GAIN 3")
    assert samples(store, plan)[:, 0].tolist() == [0, 3, 6]
    wav = await executor.run("EVAL '#s32(1 2 -3 4)' |> FORMAT 'audio/wav' 44100 2 16")
    contents = file_bytes(store, wav)
    assert contents[22:36] == bytes.fromhex("0200 44ac0000 10b10200 0400 1000")
    assert contents[44:] == bytes.fromhex("0100 0200 fdff 0400")


async def test_what_does_not_fit_the_next_command_is_refused_when_it_is_there(
    store: MemoryStore, executor: Executor
) -> None:
    for program, command, problem in (
        ("(+ 1 2)", "GAIN 2", "GAIN: expected audio to work on, found an int"),
        ("#s32(1 2)", "GAIN 2", r"GAIN: samples alone \(s32v\) have no sample rate"),
        ("#f32(1 2)", "FORMAT 'audio/wav' 44100 2 16", r"FORMAT: .*found a vector \(f32v\)"),
        ("#s32(1 2 3)", "FORMAT 'audio/wav' 44100 2 16", "FORMAT: 3 samples are no whole"),
        ('"x"', "ATTACH 'take' 'x'", r"ATTACH: expected a file \(u8v\), found a string"),
        ('"x"', "STREAM 'take'", "STREAM: expected audio to work on, found a string"),
    ):
        with pytest.raises(RequestError, match=problem):
            await executor.run(f"EVAL '{program}' |> {command}")
    await executor.run("EVAL '#u8(1 2)' |> ATTACH 'take' 'two'")
    assert store.attachment("take", "two") == b"\x01\x02"


# ---------------------------------------------------------------------- which commands there are


def test_no_procedure_takes_a_name_from_scheme() -> None:
    names = Interpreter()
    everything = frozenset(spec.name for spec in TABLE)
    for name in procedures(TABLE, everything):
        with pytest.raises(RequestError, match="unbound variable"):
            names.evaluate(name)


def test_every_command_with_one_reply_is_a_procedure_under_all_its_names() -> None:
    found = set(procedures(TABLE, frozenset()))
    for spec in TABLE:
        modes = {each.mode for each in (spec, spec.when_piped) if each is not None}
        answers = Mode.REPLY in modes and spec.name != "EVAL" and not spec.secret
        for name in (spec.name, *spec.aliases):
            expected = {"LIST": "streams", "DELETE": "delete-stream"}.get(name, name.lower())
            assert (expected in found) == answers, name


async def test_a_new_row_is_a_procedure_by_itself(store: MemoryStore) -> None:
    def loud(context: Context, piped: AudioPlan) -> list[int]:
        return [piped.frames, threading.get_ident()]

    def row(name: str, mode: Mode = Mode.REPLY, *, secret: bool = False) -> CommandSpec:
        return CommandSpec(
            name=name,
            doc="For the test.",
            example=name,
            overloads=(Overload((), loud),),
            input=Output.AUDIO,
            output=Output.LIST,
            effect=Effect.READ,
            mode=mode,
            secret=secret,
        )

    table = CommandTable([*TABLE, row("LOUD"), row("FEED", Mode.FEED), row("HUSH", secret=True)])
    evaluator = PoolEvaluator(table, Budgets(), workers=1)
    try:
        executor = Executor(store, lambda: None, table=table, evaluator=evaluator)
        assert await evaluate(executor, '(car (loud (range "take" 0 1)))') == 1000
        for name in ("feed", "hush"):
            with pytest.raises(RequestError, match="unbound variable"):
                await evaluate(executor, name)
    finally:
        evaluator.pool.close()


@pytest.mark.parametrize(
    "program",
    [
        "(shutdown)",
        '(delete-stream "take")',
        '(expire "take" 5)',
        '(stream (range "take" 0 1) "take")',
        '(attach (encode (range "take" 0 1) "audio/wav") "take" "x")',
    ],
)
async def test_what_changes_more_has_to_be_allowed(
    store: MemoryStore, executor: Executor, program: str
) -> None:
    with pytest.raises(RequestError, match=r"not for EVAL on this server.*eval_commands"):
        await evaluate(executor, program)
    assert sorted(store.ids()) == ["take", "wide"]


async def test_an_operator_says_what_programs_may_change(store: MemoryStore) -> None:
    evaluator = PoolEvaluator(TABLE, Budgets(), 1, changing_commands(TABLE, "delete, Stream"))
    executor = Executor(store, lambda: None, evaluator=evaluator)
    try:
        with pytest.raises(RequestError, match="not for EVAL on this server"):
            await evaluate(executor, '(create "x" 1 1 16)')
        store.open_stream("take")
        assert await evaluate(executor, '(stream (range "take" 0 1) "take")') == 1000
        assert await evaluate(executor, '(delete-stream "wide")') is None
        assert store.ids() == ["take"]
    finally:
        evaluator.pool.close()


async def test_a_program_may_do_what_its_sender_may(executor: Executor) -> None:
    reader = Caller("reader", [Grant(Effect.READ, "take*")])

    async def run(program: str) -> object:
        return await executor.run(f"EVAL '{quoted(program)}'", reader)

    assert await run('(audio-length (range "take" 0 1))') == 1000
    assert await run('(streams "*")') == ["take"]
    for program in ('(range "wide" 0 1)', '(info "wide" "size")', '(open "take")'):
        with pytest.raises(RequestError, match="not allowed for 'reader'"):
            await run(program)


@pytest.mark.parametrize("names", ["NOPE", "CREATE EVAL", "SUBSCRIBE;"])
def test_a_setting_that_names_no_such_command(names: str) -> None:
    with pytest.raises(StartError, match="the setting eval_commands names"):
        changing_commands(TABLE, names)


async def test_eval_can_be_turned_off(store: MemoryStore) -> None:
    with pytest.raises(RequestError, match=r"EVAL is turned off on this server.*eval_workers"):
        await evaluate(Executor(store, lambda: None), "1")


# ---------------------------------------------------------------------- budgets and the queue


@pytest.fixture(scope="module")
def small() -> Iterator[PoolEvaluator]:
    budgets = Budgets(
        steps=100_000, memory=2 << 20, integer=1024, output=10_000, nesting=50, source=8192
    )
    made = PoolEvaluator(TABLE, budgets, workers=1)
    yield made
    made.pool.close()


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("(let loop () (loop))", "budget of steps: more than 100000 steps"),
        ("(define (f n) (+ 1 (f n))) (f 1)", "budget of (memory|steps)"),
        ("(make-vector 100000000 0)", r"budget of memory: 32\d{8} bytes are needed, 2097152"),
        ("(expt 7 (expt 7 77))", r"budget of integers: \d+ bytes are needed for one, 1024 allowed"),
        ("(make-string 20000 #\\a)", r"budget of output: the result has 200\d\d bytes, 10000"),
        ("(iota 20000)", r"budget of output: the result has \d+ bytes, 10000 allowed"),
        ("(make-bytevector 20000 1)", r"budget of output: the result has 200\d\d bytes, 10000"),
        ("(let loop () (display 123456789) (loop))", "budget of output: more than 10000"),
        (f"{'(' * 60}{')' * 60}", "nesting"),
        (f"(begin {'1 ' * 5000})", "budget of source|source"),
    ],
)
async def test_budgets_are_settings(
    store: MemoryStore, small: PoolEvaluator, program: str, problem: str
) -> None:
    with pytest.raises(RequestError, match=problem):
        await evaluate(Executor(store, lambda: None, evaluator=small), program)


async def test_the_server_bounds_what_it_keeps_for_a_program(
    store: MemoryStore, small: PoolEvaluator
) -> None:
    executor = Executor(store, lambda: None, evaluator=small)
    with pytest.raises(
        RequestError, match=r"memory: .* bytes of samples are made audio of, 2097152"
    ):
        await evaluate(
            executor,
            "(define v (make-s32vector 100000))"
            "(define (f n) (if (< n 9) (begin (vector->audio v 1 1 16) (f (+ n 1))))) (f 0)",
        )


async def test_a_program_may_hold_only_so_many_pieces_of_audio_at_once(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("racs_server.commands.evaluator.MOST_HELD", 50)
    take = '(range "take" 0 1)'
    with pytest.raises(RequestError, match="a program may hold 50 pieces at once"):
        await evaluate(executor, f"(map (lambda (n) {take}) (iota 51))")
    # what no program can reach any more is not held
    assert await evaluate(executor, f"(do ((n 0 (+ n 1))) ((= n 100) n) {take})") == 100


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ('(pad (range "take" 0 1) 0 1e12)', "at most 2^32 sample frames"),
        ('(encode (pad (range "take" 0 1) 0 1e308) "audio/flac")', "at most 2^32 sample frames"),
        ('(let loop ((a (range "take" 0 1))) (loop (pad a 0 4e6)))', "at most 2^32 sample frames"),
        ('(let loop ((a (range "take" 0 1))) (loop (mix a a)))', "at most 128 are carried out"),
        ('(audio->vector (pad (range "take" 0 1) 0 4e6))', "16000011664 bytes are needed"),
        ('(resample (range "take" 0 1) 1000000000)', "expected an int from 1 to 768000"),
        ('(remix (range "take" 0 1) 100000)', "expected an int from 1 to 32"),
        ('(peaks (range "take" 0 1) 1000000000000)', "expected an int from 1 to 65536"),
    ],
)
async def test_absurd_amounts_of_audio_are_refused_before_any_work(
    executor: Executor, program: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(MemoryStore, "read")
    monkeypatch.delattr(MemoryStore, "read_ranges")
    with pytest.raises(RequestError, match=re.escape(why)):
        await evaluate(executor, program)


async def test_the_time_that_a_command_takes_counts(store: MemoryStore) -> None:
    store.claim("wide", REF, 2**40)
    evaluator = PoolEvaluator(TABLE, Budgets(seconds=0.3), workers=1)
    executor = Executor(store, lambda: None, evaluator=evaluator)
    program = '(audio-peak (resample (pad (range "take" 0 1) 0 4000000) 1001))'
    try:
        with pytest.raises(RequestError, match=r"over the budget of time: more than 0\.3 seconds"):
            await evaluate(executor, program)
    finally:
        evaluator.pool.close()


class Slow:
    """An evaluator whose programs end when they are told to."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.go = threading.Semaphore(0)

    def evaluate(self, context: Context, expression: str) -> int:
        self.began.append(expression)
        self.go.acquire()
        return 1


async def test_programs_wait_for_their_turn_in_a_queue_that_is_bounded(store: MemoryStore) -> None:
    slow = Slow()
    executor = Executor(store, lambda: None, evaluator=slow, evaluations=Evaluations(1, 2))
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(executor.run, f"EVAL '{number}'")
            await trio.testing.wait_all_tasks_blocked()
        assert executor.statistics()["waiting_to_evaluate"] == 2
        with pytest.raises(LimitError, match="EVAL: 2 programs wait for their turn already"):
            await executor.run("EVAL '4'")
        # what waits for the disk does not wait for programs
        assert await executor.run("LIST 't*'") == ["take"]
        slow.go.release(3)
    assert slow.began == ["0", "1", "2"]


async def test_a_program_waits_for_its_turn_only_so_long(
    store: MemoryStore, autojump_clock: trio.testing.MockClock
) -> None:
    slow = Slow()
    executor = Executor(store, lambda: None, evaluator=slow, evaluations=Evaluations(1, 2, 5.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(executor.run, "EVAL '1'")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(LimitError, match=r"at work all the 5 s .* try again later"):
            await executor.run("EVAL '2'")
        assert trio.current_time() == pytest.approx(5, abs=0.1)
        slow.go.release(2)
    assert await executor.run("EVAL '3'") == 1
    assert slow.began == ["1", "3"]


async def test_a_program_ends_when_its_client_is_cut_off(
    executor: Executor, evaluator: PoolEvaluator
) -> None:
    await executor.run("EVAL '1'")
    with trio.move_on_after(0.2) as scope:
        await executor.run("EVAL '(let loop () (loop))'")
    assert scope.cancelled_caught
    assert await executor.run("EVAL '(+ 1 2)'") == 3


# ---------------------------------------------------------------------- the sandbox

ESCAPES = (
    '(open-input-file "/etc/passwd")',
    '(load "/etc/passwd")',
    '(with-output-to-file "/tmp/x" (lambda () 1))',
    '(delete-file "/tmp/x")',
    '(system "id")',
    "(exit)",
    "(emergency-exit)",
    '(eval \'(open-input-file "/etc/passwd") (interaction-environment))',
    "(eval '(%file-bytes 1))",
    '(import (scheme file)) (open-input-file "/etc/passwd")',
    '(import (scheme load)) (load "/etc/passwd")',
    "(import (scheme process-context)) (exit)",
    "__import__",
    "__builtins__",
    "ping.__globals__",
    "(%file-bytes 1)",
    '(%file-bytes "/etc/passwd")',
    "(%output)",
    '(range "../../../etc/passwd" 0 1)',
    '(attachment "take" "../../../etc/passwd")',
    '(create "../../x" 1 1 16 "extra")',
    "(EVAL '1')",
    '(eval \'(EVAL "1"))',
)


@pytest.mark.parametrize("program", ESCAPES)
async def test_there_is_no_way_out(executor: Executor, program: str) -> None:
    with pytest.raises((RacsError, KeyError)):
        await evaluate(executor, program)


async def test_a_program_is_told_of_no_process_and_no_file(executor: Executor) -> None:
    assert await evaluate(executor, '(get-environment-variable "HOME")') is False
    assert await evaluate(executor, "(length (get-environment-variables))") == 0
    assert await evaluate(executor, "(command-line)") == ["scheme"]
    assert await evaluate(executor, '(file-exists? "/etc/passwd")') is False


@pytest.mark.parametrize("program", ["(make-vector (expt 10 9000))", "(expt 2 (expt 10 9000))"])
async def test_absurd_sizes_are_refused(executor: Executor, program: str) -> None:
    with pytest.raises(RequestError, match=r"more than 10\^100 bytes are needed"):
        await evaluate(executor, program)


@pytest.mark.parametrize(
    "program",
    [
        "(let ((a 1) (b 2)) 3 " * 480 + "1" + ")" * 480,
        "(let () (define y " * 480 + "1" + ") y)" * 480,
        "(quasiquote (unquote " * 490 + "1" + "))" * 490,
    ],
    ids=["let", "define", "quasiquote"],
)
async def test_a_text_as_deep_as_it_may_be_is_evaluated(executor: Executor, program: str) -> None:
    assert await evaluate(executor, program) == 1
