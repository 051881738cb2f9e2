"""Real worker processes, good ones and such as an escaped program could make of them."""

import os
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from racs_server.errors import LimitError, RequestError
from racs_server.sandbox import Budgets, Call, Options, Pool, ProtocolError, Setup, messages

PROCEDURES = ("ask", "refuse")


class Host:
    """Answers calls, and notes them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.looks = 0
        self.stop_at = -1

    def stopped(self) -> None:
        self.looks += 1
        if self.looks == self.stop_at:
            raise KeyboardInterrupt

    def answer(self, call: Call, deadline: float) -> messages.Value:
        self.calls.append(call)
        if call.name == "refuse":
            raise RequestError("not today")
        return call.arguments[0]

    def accept(self, outcome: messages.Value) -> messages.Value:
        if isinstance(outcome, messages.Audio):
            raise ProtocolError("audio that nobody gave out")
        return outcome


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(Options(Setup(PROCEDURES, Budgets(seconds=0.5)), 1))
    yield made
    made.close()


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_program_asks_and_gets_answers(pool: Pool, host: Host) -> None:
    assert pool.run('(string-append (ask "a") "b")', host) == "ab"
    assert pool.run("(list (ask 1) (ask 2.5) (ask 1/3))", host) == [1, 2.5, 1 / 3]
    assert [call.name for call in host.calls] == ["ask"] * 4


def test_a_refusal_is_an_error_where_the_call_stands(pool: Pool, host: Host) -> None:
    with pytest.raises(RequestError, match=r"refuse: not today\n  at line 2, column 2: \(refuse\)"):
        pool.run("(+ 1\n (refuse))", host)
    assert pool.run("(guard (e (#t 'x (error-object-message e))) (refuse))", host) == (
        "refuse: not today"
    )


def test_nothing_is_left_of_a_program(pool: Pool, host: Host) -> None:
    assert pool.run("(define secret 42) (set! car cdr) secret", host) == 42
    with pytest.raises(RequestError, match="unbound variable: secret"):
        pool.run("secret", host)
    assert pool.run("(car '(1 2))", host) == 1


def test_what_a_library_holds_cannot_be_changed_for_others(host: Host) -> None:
    library = (
        "(define box (vector 0)) (define (count!) (vector-set! box 0 (+ 1 (vector-ref box 0))) box)"
    )
    pool = Pool(Options(Setup((), Budgets(), library, "site.scm"), 1))
    try:
        for _ in range(2):
            assert pool.run("(vector-ref (count!) 0)", host) == 1
    finally:
        pool.close()


def test_a_mistake_in_the_library_names_the_file_and_the_line(host: Host) -> None:
    pool = Pool(Options(Setup((), Budgets(), "(define x 1)\n(car x)", "site.scm"), 1))
    with pytest.raises(RequestError, match=r"car: expected a pair, got 1\n  at site\.scm, line 2"):
        pool.check()


def test_a_worker_that_cannot_be_started() -> None:
    pool = Pool(Options(Setup((), Budgets()), 1, (sys.executable, "-c", "exit(7)")))
    with pytest.raises(RequestError, match=r"no evaluator can be started: .* status 7"):
        pool.check()


def test_a_program_that_nobody_waits_for_is_killed(pool: Pool, host: Host) -> None:
    pool.check()
    host.stop_at = 4
    before = pool.statistics()["replaced"]
    with pytest.raises(KeyboardInterrupt):
        pool.run("(let loop () (loop))", host)
    assert pool.statistics() == {"idle": 1, "evaluating": 0, "replaced": before + 1}
    assert pool.run("(+ 1 2)", Host()) == 3


def test_a_worker_that_is_killed_is_an_error_of_its_request_alone(pool: Pool) -> None:
    class Killer(Host):
        def answer(self, call: Call, deadline: float) -> messages.Value:
            (worker,) = pool._busy
            os.killpg(worker.process.pid, signal.SIGKILL)
            return None

    pool.check()
    with pytest.raises(RequestError, match=r"ended while it ran this program"):
        pool.run("(ask 1) (let loop () (loop))", Killer())
    assert pool.run("(+ 1 2)", Host()) == 3


def test_programs_run_at_once() -> None:
    pool = Pool(Options(Setup(PROCEDURES, Budgets()), 2))
    meeting = threading.Barrier(2, timeout=30)

    class Meeting(Host):
        def answer(self, call: Call, deadline: float) -> messages.Value:
            meeting.wait()
            return 1

    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(pool.run("(ask 0)", Meeting())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1, 1]
    assert pool.statistics() == {"idle": 2, "evaluating": 0, "replaced": 0}
    pool.close()


# ---------------------------------------------------------------------- confinement

CONFINED = """
    import os, resource, socket
    from racs_server.sandbox import worker, mapping
    from racs_server.sandbox.messages import Done, pack

    def attempt(what):
        try:
            what()
        except OSError:
            return "refused"
        return "done"

    def serve(link, interpreter, budgets):
        link.receive()
        found = [
            attempt(lambda: open("/etc/passwd").close()),
            attempt(lambda: socket.socket().close()),
            attempt(lambda: os.pipe()),
            str([resource.getrlimit(each)[1] for each in (
                resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC)]),
            str("RACS_SECRET" in os.environ),
        ]
        try:
            bytearray(1 << 30)
        except MemoryError:
            found.append("refused")
        link.send(Done(found))

    worker.serve = serve
    worker.main()
"""


def scripted(source: str, **budgets: float) -> Pool:
    command = (sys.executable, "-P", "-c", textwrap.dedent(source))
    setup = Setup(PROCEDURES, Budgets(**{"seconds": 0.5, **budgets}))  # type: ignore[arg-type]
    return Pool(Options(setup, 1, command))


def test_python_code_in_a_worker_would_get_no_file_no_socket_and_no_memory(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RACS_SECRET", "hush")
    pool = scripted(CONFINED)
    assert pool.run("1", host) == [
        "refused",
        "refused",
        "refused",
        "[0, 0, 0]",
        "False",
        "refused",
    ]
    pool.close()


MALICIOUS = """
    import socket, os, time
    from racs_server.sandbox.messages import *
    from racs_server.sandbox.messages import pack, Ready
    connection = socket.socket(fileno=0)
    connection.recv(1 << 20)
    connection.sendall(pack(Ready()))
    connection.recv(1 << 20)
    {act}
    time.sleep(60)
"""

ACTS: dict[str, tuple[str, type[Exception], str]] = {
    "garbage": ("connection.sendall(b'\\x05\\0\\0\\0hello')", RequestError, "broke down"),
    "an endless message": ("connection.sendall(b'\\xff' * 4)", RequestError, "broke down"),
    "ready again": ("connection.sendall(pack(Ready()))", RequestError, "broke down"),
    "audio that it was never given": (
        "connection.sendall(pack(Done(Audio(1, 1, 1, 16, 1))))",
        RequestError,
        "broke down",
    ),
    "silence": ("time.sleep(60)", LimitError, "over the budget of time: more than 0.5 seconds"),
    "half a message": ("connection.sendall(b'\\x05\\0\\0')", LimitError, "budget of time"),
    "answers that are not taken": (
        "[connection.sendall(pack(Call('ask', ['x' * 100000]))) for _ in range(100)]",
        LimitError,
        "budget of time",
    ),
    "a death": ("os._exit(3)", RequestError, r"exit status 3"),
    "a death by a signal": ("os.kill(os.getpid(), 11)", RequestError, r"killed by SIGSEGV"),
}


@pytest.mark.parametrize(("act", "error", "match"), ACTS.values(), ids=ACTS.keys())
def test_a_worker_that_misbehaves_is_replaced(
    host: Host, act: str, error: type[Exception], match: str
) -> None:
    pool = scripted(MALICIOUS.format(act=act))
    with pytest.raises(error, match=match):
        pool.run("1", host)
    assert pool.statistics() == {"idle": 1, "evaluating": 0, "replaced": 1}
    pool.close()


def test_what_a_worker_says_after_its_end_is_never_the_reply_to_another(host: Host) -> None:
    pool = scripted(MALICIOUS.format(act="connection.sendall(pack(Done(1)) + pack(Done(666)))"))
    assert pool.run("1", host) == 1
    assert pool.statistics()["replaced"] == 1
    pool.close()


def test_a_closed_pool_has_no_processes(host: Host) -> None:
    pool = Pool(Options(Setup((), Budgets()), 2))
    pool.start()
    processes = [worker.process for worker in pool._idle]
    pool.close()
    assert [process.poll() for process in processes] == [-signal.SIGKILL] * 2
