"""Who gets which connection: the decisions by themselves, then the pool with threads."""

import linecache
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from types import FrameType
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from racs import Racs, RacsClosed, RacsConnectionError, RacsServerError, pool
from racs.pool import Handover, Move, Slots
from racs.wire import encode_reply

from .fake_server import FakeServer, HangUp, until

NULL = encode_reply(None)
PONG = encode_reply("PONG")


def null_after(gate: threading.Event) -> Callable[[], bytes]:
    def reply() -> bytes:
        gate.wait()
        return NULL

    return reply


def waiting(r: Racs, count: int) -> bool:
    return r.statistics().waiting == count


# --- the decisions ---


def test_connections_are_made_up_to_the_size_then_callers_wait() -> None:
    slots: Slots[str, int] = Slots(2)
    assert [slots.ask(n) for n in range(4)] == [Move.CONNECT, Move.CONNECT, Move.WAIT, Move.WAIT]
    assert slots.give_back(0, "x", usable=True) == Handover(waiter=2, connection="x")
    assert slots.give_back(1, "y", usable=True) == Handover(waiter=3, connection="y")
    assert slots.give_back(2, "x", usable=True) == Handover()
    assert slots.ask(9) == "x"


def test_a_broken_connection_is_not_handed_on_but_its_slot_is() -> None:
    slots: Slots[str, int] = Slots(1)
    slots.ask(0)
    slots.ask(1)
    assert slots.give_back(0, "x", usable=False) == Handover(waiter=1, discard="x")
    assert slots.give_back(1, None, usable=False) == Handover()
    assert (slots.busy, slots.idle) == (0, [])


def test_the_connection_used_last_is_used_first() -> None:
    slots: Slots[str, int] = Slots(3)
    for n in range(3):
        slots.ask(n)
    for n, name in enumerate("xyz"):
        slots.give_back(n, name, usable=True)
    assert [slots.ask(n) for n in range(3)] == ["z", "y", "x"]


def test_who_gives_up_waiting_is_forgotten() -> None:
    slots: Slots[str, int] = Slots(1)
    for n in range(3):
        slots.ask(n)
    assert slots.withdraw(1)
    assert slots.give_back(0, "x", usable=True).waiter == 2
    assert not slots.withdraw(2), "it has been served"


def test_after_close_nothing_is_kept() -> None:
    slots: Slots[str, int] = Slots(2)
    for n in range(2):
        slots.ask(n)
    slots.give_back(0, "x", usable=True)
    assert slots.close() == (["x"], [])
    assert slots.give_back(1, "y", usable=True) == Handover(discard="y")


def test_a_slot_that_is_given_back_twice_is_free_once() -> None:
    slots: Slots[str, int] = Slots(2)
    for n in range(4):
        slots.ask(n)
    assert slots.give_back(0, None, usable=False).waiter == 2
    assert slots.give_back(0, None, usable=False) == Handover()
    assert slots.holders == {1, 2}


class SlotsMachine(RuleBasedStateMachine):
    """Callers come, go and give up in any order; the invariants of the pool's docstring hold."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: Slots[int, int] = Slots(3)
        self.held: dict[int, int | None] = {}
        self.queue: deque[int] = deque()
        self.closed: set[int] = set()
        self.made = 0
        self.callers = 0

    @rule()
    def come(self) -> None:
        self.callers += 1
        move = self.slots.ask(self.callers)
        if move is Move.WAIT:
            self.queue.append(self.callers)
        elif move is Move.CONNECT:
            self.held[self.callers] = None
        else:
            assert isinstance(move, int)
            self.take(self.callers, move)

    def take(self, caller: int, connection: int) -> None:
        assert connection not in self.held.values(), "it is in use"
        assert connection not in self.closed
        self.held[caller] = connection

    @precondition(lambda self: None in self.held.values())
    @rule()
    def connect(self) -> None:
        self.made += 1
        caller = next(each for each, connection in self.held.items() if connection is None)
        self.held[caller] = self.made

    @precondition(lambda self: self.held)
    @rule(data=st.data(), usable=st.booleans())
    def go(self, data: st.DataObject, *, usable: bool) -> None:
        caller = data.draw(st.sampled_from(list(self.held)))
        connection = self.held.pop(caller)
        handover = self.slots.give_back(caller, connection, usable=usable)
        if not usable:
            assert handover.discard == connection
            if connection is not None:
                self.closed.add(connection)
        if handover.waiter is not None:
            assert handover.waiter == self.queue.popleft(), "served in order"
            self.held[handover.waiter] = None
            if handover.connection is not None:
                self.take(handover.waiter, handover.connection)

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(list(self.queue)))
        self.queue.remove(waiter)
        assert self.slots.withdraw(waiter)

    @invariant()
    def bounded_and_nobody_waits_in_vain(self) -> None:
        assert self.slots.holders == self.held.keys()
        assert self.slots.busy + len(self.slots.idle) <= 3
        assert not self.queue or self.slots.busy == 3
        assert list(self.slots.waiting) == list(self.queue)


TestSlots = SlotsMachine.TestCase


# --- with sockets and threads ---


def test_connections_are_made_when_needed_and_kept(server: FakeServer, r: Racs) -> None:
    assert (server.accepted, r.statistics().made) == (0, 0)
    for _ in range(5):
        assert r.execute_command("PING") == "PONG"
    statistics = r.statistics()
    assert (server.accepted, statistics.made, statistics.idle, statistics.busy) == (1, 1, 1, 0)
    assert repr(r) == (f"<Racs at 127.0.0.1:{server.port}, <Pool of 3: 1 idle, 0 busy, 0 waiting>>")


def test_many_threads_share_few_connections(server: FakeServer, r: Racs) -> None:
    for number in range(24):
        server.add(f"s{number}", rate=number)
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(25):
            answer = r.execute_command(f"INFO 's{number}' 'sample_rate'")
            if answer != number:
                wrong.append((number, answer))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert server.accepted <= 3
    statistics = r.statistics()
    assert (statistics.busy, statistics.waiting) == (0, 0)


def test_callers_wait_in_line(server: FakeServer) -> None:
    gate = threading.Event()
    server.replies["HOLD"] = null_after(gate)
    with Racs("127.0.0.1", server.port, pool_size=1) as r:
        threads = [threading.Thread(target=r.execute_command, args=("HOLD",))]
        threads[0].start()
        until(lambda: server.commands == ["HOLD"])
        for number in range(5):
            server.add(f"s{number}")
            text = f"INFO 's{number}' 'channels'"
            threads.append(threading.Thread(target=r.execute_command, args=(text,)))
            threads[-1].start()
            until(partial(waiting, r, number + 1))
        gate.set()
        for thread in threads:
            thread.join()
    assert server.commands[1:] == [f"INFO 's{number}' 'channels'" for number in range(5)]
    assert server.accepted == 1


def test_a_waiter_gets_a_new_connection_when_the_other_broke(server: FakeServer) -> None:
    gate = threading.Event()

    def break_later() -> bytes:
        gate.wait()
        raise HangUp

    server.replies["HOLD"] = break_later
    broken: list[object] = []
    answers: list[object] = []

    with Racs("127.0.0.1", server.port, pool_size=1) as r:

        def hold() -> None:
            with pytest.raises(RacsConnectionError) as caught:
                r.execute_command("HOLD")
            broken.append(caught.value)

        first = threading.Thread(target=hold)
        first.start()
        until(lambda: server.commands == ["HOLD"])
        second = threading.Thread(target=lambda: answers.append(r.execute_command("PING")))
        second.start()
        until(partial(waiting, r, 1))
        gate.set()
        first.join()
        second.join()
        statistics = r.statistics()
    assert len(broken) == 1
    assert answers == ["PONG"]
    assert (statistics.made, statistics.discarded, statistics.idle) == (2, 1, 1)


def test_close_wakes_those_who_wait(server: FakeServer) -> None:
    gate = threading.Event()
    server.replies["HOLD"] = null_after(gate)
    errors: list[object] = []
    with Racs("127.0.0.1", server.port, pool_size=1) as r:

        def wait() -> None:
            with pytest.raises(RacsClosed) as caught:
                r.execute_command("PING")
            errors.append(caught.value)

        first = threading.Thread(target=r.execute_command, args=("HOLD",))
        first.start()
        until(lambda: server.commands == ["HOLD"])
        second = threading.Thread(target=wait)
        second.start()
        until(partial(waiting, r, 1))
        r.close()
        second.join()
        gate.set()
        first.join()
        statistics = r.statistics()
        assert (statistics.idle, statistics.busy, statistics.waiting) == (0, 0, 0)
        assert "closed" in repr(r)
        with pytest.raises(RacsClosed, match="make a new one"):
            r.execute_command("PING")
        with pytest.raises(RacsClosed):
            r.stream("a", pcm_data=[1])
    assert len(errors) == 1


def test_an_error_of_the_server_keeps_the_connection(server: FakeServer, r: Racs) -> None:
    for _ in range(3):
        with pytest.raises(RacsServerError, match="cannot run NOPE"):
            r.execute_command("NOPE")
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 1


def test_idle_connection_that_died_is_replaced_before_anything_is_sent(
    server: FakeServer, r: Racs
) -> None:
    r.execute_command("PING")
    [idle] = r._pool._slots.idle
    server.drop_connections()
    until(idle.readable)
    assert r.execute_command("PING") == "PONG"
    statistics = r.statistics()
    assert (statistics.made, statistics.stale, statistics.idle) == (2, 1, 1)
    assert server.commands == ["PING", "PING"]


def test_idle_connection_on_which_the_server_spoke_unasked_is_replaced(
    server: FakeServer, r: Racs
) -> None:
    server.replies["TWICE"] = PONG + PONG[:-1] + b"?"
    assert r.execute_command("TWICE") == "PONG"
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 2


def test_no_slot_is_lost_when_connecting_fails(server: FakeServer) -> None:
    port = server.port
    server.stop()
    with Racs("127.0.0.1", port, pool_size=1) as r:
        for _ in range(3):
            with pytest.raises(RacsConnectionError):
                r.execute_command("PING")
        statistics = r.statistics()
    assert (statistics.busy, statistics.idle, statistics.made) == (0, 0, 0)


def test_a_connection_whose_mode_may_have_changed_is_not_used_again(
    server: FakeServer, r: Racs
) -> None:
    server.replies["STREAM 'a'"] = encode_reply(0)
    assert r.execute_command("STREAM 'a'") == 0
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_makes_its_own_connections(server: FakeServer, r: Racs) -> None:
    r.execute_command("PING")
    r._pool._lock.acquire()  # as if another thread held it at the moment of the fork
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if r.execute_command("PING") == "PONG" and r.statistics().idle == 1 else 2
        finally:
            os._exit(status)
    r._pool._lock.release()
    _, wait_status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(wait_status) == 0
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 2


# --- interruptions ---


def interrupt(work: Callable[[], object], at: int) -> bool:
    """Do something, and raise KeyboardInterrupt before the n-th line of the pool; whether it came.

    Python looks for signals after calls, never between the end of a ``with`` block and its exit.
    """
    before, left = sys.gettrace(), at

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != pool.__file__:
            return None
        line = linecache.getline(pool.__file__, frame.f_lineno).strip()
        if event == "line" and not line.startswith("with "):
            left -= 1
            if left < 0:
                sys.settrace(before)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    except RacsServerError:
        return False
    finally:
        sys.settrace(before)
    return False


WORKS: dict[str, Callable[[Racs], object]] = {
    "command": lambda r: r.execute_command("PING"),
    "refused command": lambda r: r.execute_command("NOPE"),
    "refused feed": lambda r: next(iter(r.follow("a"))),
}


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("work", WORKS)
def test_interrupted_before_any_line_the_pool_is_whole(
    server: FakeServer, work: str, *, warm: bool
) -> None:
    server.add("a", opened=False)
    for at in count():
        with Racs(port=server.port, pool_size=1, timeout=10) as r:
            if warm:
                r.execute_command("PING")
            interrupted = interrupt(lambda r=r: WORKS[work](r), at)  # type: ignore[misc]
            statistics = r.statistics()
            assert (statistics.busy, statistics.waiting, statistics.own) == (0, 0, 0)
            assert statistics.idle <= 1
            assert r.execute_command("PING") == "PONG"
        if not interrupted:
            break
    assert at > 5
