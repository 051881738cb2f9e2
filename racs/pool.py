"""The pool: at most so many connections, each used by one caller at a time.

`Slots` decides who gets which connection and touches nothing else; `Pool` does what it says: locks,
waits, connects, closes. Neither knows what is said on a connection. What waits is a script (see
`racs.script`), so that callers who block and callers who await have the same pool.

Invariants
----------
- ``idle + busy <= size``, where busy counts connections being made as well.
- Nobody waits while a connection is idle or could be made; those who wait are served in order.
- Only a clean connection is ever handed on; one that was interrupted or broke is closed.
- A slot whose caller is gone without having given it back is free again: an interruption can come
  between any two instructions, also while a slot is being taken or given back.
- Nothing is connected, closed or waited for while the lock is held.
"""

import enum
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Generic, TypeVar

import msgspec

from racs.connection import Answer, Connection
from racs.errors import RacsClosed, RacsServerError
from racs.script import Blocking, Event, Happens, Script

C = TypeVar("C")
W = TypeVar("W", bound=Hashable)
T = TypeVar("T")


class Move(enum.Enum):
    """What a caller who got no idle connection has to do."""

    CONNECT = enum.auto()
    WAIT = enum.auto()


class Handover(msgspec.Struct, Generic[C, W], frozen=True):
    """What follows from giving a slot back.

    Attributes
    ----------
    waiter
        Who has the slot now, if somebody was waiting.
    connection
        The connection that goes with it; without one the waiter has to make its own.
    discard
        A connection that has to be closed.
    """

    waiter: W | None = None
    connection: C | None = None
    discard: C | None = None


class Slots(Generic[C, W]):
    """Decides who gets which connection: no sockets, no locks, no waiting.

    Parameters
    ----------
    size
        How many connections there may be at once, 1 or more.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.holders: set[W] = set()
        self.idle: list[C] = []
        self.waiting: deque[W] = deque()
        self.closed = False

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return len(self.holders)

    def ask(self, caller: W) -> C | Move:
        """Return an idle connection, or what to do: make one, or wait until `caller` is served."""
        if self.idle:
            self.holders.add(caller)
            return self.idle.pop()  # the one used last: the others may be let go of
        if self.busy < self.size:
            self.holders.add(caller)
            return Move.CONNECT
        self.waiting.append(caller)
        return Move.WAIT

    def give_back(self, caller: W, connection: C | None, *, usable: bool) -> Handover[C, W]:
        """Take a caller's slot back, with its connection if one was made; none is had twice."""
        discard = None
        if self.closed or not usable:
            connection, discard = None, connection
        self.holders.discard(caller)
        if self.waiting and self.busy < self.size:
            waiter = self.waiting.popleft()
            self.holders.add(waiter)
            return Handover(waiter, connection, discard)
        if connection is not None:
            self.idle.append(connection)
        return Handover(discard=discard)

    def withdraw(self, caller: W) -> bool:
        """Forget somebody who gave up waiting; False if the slot had been given to them already."""
        if caller not in self.waiting:
            return False
        self.waiting.remove(caller)
        return True

    def close(self) -> tuple[list[C], list[W]]:
        """Return the connections to close and those who wait in vain; no one is served again."""
        self.closed = True
        idle, self.idle = self.idle, []
        waiting, self.waiting = list(self.waiting), deque()
        return idle, waiting


class PoolStatistics(msgspec.Struct, frozen=True):
    """What a pool has and had.

    Attributes
    ----------
    size
        How many connections there may be at once.
    idle, busy, waiting
        Connections at rest and in use, and callers in the queue, now.
    own
        Connections now outside the pool, of live sources.
    made
        Connections made so far.
    stale
        Idle connections found dead when they were wanted, and replaced.
    discarded
        Connections closed because an exchange broke or was interrupted.
    """

    size: int
    idle: int
    busy: int
    waiting: int
    own: int
    made: int
    stale: int
    discarded: int


class _Caller:
    """Somebody who wants a slot, then has it; whoever forgets them gives it up.

    Parameters
    ----------
    number
        Stands for them in `Slots`, which does not keep them alive.
    served
        Happens when they have waited long enough.
    """

    def __init__(self, number: int, served: Event) -> None:
        self.number = number
        self.served = served
        self.connection: Connection | None = None
        self.closed = False


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


class Pool:
    """A bounded, thread-safe pool of connections.

    Parameters
    ----------
    connect
        Makes a new connection.
    size
        How many there may be at once, 1 or more.
    event
        Makes what those wait for who wait in line.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        size: int,
        event: Callable[[], Event] = threading.Event,
    ) -> None:
        self._connect = connect
        self._event = event
        self._lock = threading.Lock()
        self._slots: Slots[Connection, int] = Slots(size)
        self._numbers = count()
        self._callers: weakref.WeakValueDictionary[int, _Caller] = weakref.WeakValueDictionary()
        self._own: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._made = 0
        self._stale = 0
        self._discarded = 0
        _pools.add(self)

    def __repr__(self) -> str:
        slots = self._slots
        state = "closed, " if slots.closed else ""
        return (
            f"<Pool of {slots.size}: {state}{len(slots.idle)} idle, {slots.busy} busy,"
            f" {len(slots.waiting)} waiting>"
        )

    def statistics(self) -> PoolStatistics:
        """Return what there is now, and was so far."""
        self._tidy()
        with self._lock:
            return PoolStatistics(
                size=self._slots.size,
                idle=len(self._slots.idle),
                busy=self._slots.busy,
                waiting=len(self._slots.waiting),
                own=len(self._own),
                made=self._made,
                stale=self._stale,
                discarded=self._discarded,
            )

    def exchange(self, messages: Sequence[bytes], *, reuse: bool = True) -> Script[list[Answer]]:
        """Script: send requests on one connection, all at once, and return their answers.

        Parameters
        ----------
        messages
            Each a whole message.
        reuse
            Whether the connection can be used again afterwards.

        Raises
        ------
        RacsException
            As `Connection.exchange`; or the pool was closed.
        """

        def exchange(connection: Connection) -> Script[list[Answer]]:
            try:
                return (yield from connection.exchange(messages))
            finally:
                if not reuse:
                    connection.close()

        return self.use(exchange)

    def use(self, script: Callable[[Connection], Script[T]], *, own: bool = False) -> Script[T]:
        """Script: carry out a script with a clean connection, waiting in line for one if need be.

        Parameters
        ----------
        script
            Is given the connection.
        own
            Whether it is one beside the pool, for use without end: no one else waits for it.

        Raises
        ------
        RacsConnectionError
            A new connection was needed and could not be made.
        RacsClosed
            The pool was closed.
        """
        connection = yield from (self.take_own() if own else self.take())
        try:
            result = yield from script(connection)
        except BaseException as error:
            self.give_back(connection, error, own=own)
            raise
        self.give_back(connection, own=own)
        return result

    def take(self) -> Script[Connection]:
        """Script: return a clean connection, to be given back with `give_back`; see `use`."""
        caller = yield from self._claim()
        try:
            connection = caller.connection
            if connection is not None:
                caller.connection = None
                if connection.readable():
                    connection.close()  # the server ended it, or sent what nobody asked for
                    connection = None
                    with self._lock:
                        self._stale += 1
            if connection is None:
                connection = yield Blocking(self._connect)
                with self._lock:
                    self._made += 1
            connection.holder = caller
        except BaseException:
            self._release(caller, None, usable=False)
            raise
        return connection

    def give_back(
        self, connection: Connection, error: BaseException | None = None, *, own: bool = False
    ) -> None:
        """Take a connection back; after an error it is used again only if it is as good as new."""
        if own:
            connection.close()
            self._own.discard(connection)
            return
        good = error is None or isinstance(error, RacsServerError)
        caller, connection.holder = connection.holder, None
        assert isinstance(caller, _Caller)
        self._release(caller, connection, usable=good and connection.clean)

    def take_own(self) -> Script[Connection]:
        """Script: return a new connection beside the pool, to be given back as `own`; see `use`."""
        self._refuse_closed(self._slots.closed)
        connection: Connection = yield Blocking(self._connect)
        with self._lock:
            self._made += 1
            self._own.add(connection)
        return connection

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back; wake those who wait."""
        with self._lock:
            idle, numbers = self._slots.close()
            waiting = [caller for number in numbers if (caller := self._callers.get(number))]
            for caller in waiting:
                caller.closed = True
        for connection in idle:
            connection.close()
        for caller in waiting:
            caller.served.set()

    def _claim(self) -> Script[_Caller]:
        """Get a slot, waiting for it if need be, with the idle connection that goes with it."""
        self._tidy()
        caller = _Caller(next(self._numbers), self._event())
        self._callers[caller.number] = caller
        with self._lock:
            self._refuse_closed(self._slots.closed)
            move = self._slots.ask(caller.number)
        if isinstance(move, Connection):
            caller.connection = move
        elif move is Move.WAIT:
            try:
                yield Happens(caller.served)
            except BaseException:
                with self._lock:
                    withdrawn = self._slots.withdraw(caller.number) or caller.closed
                if not withdrawn:
                    self._release(caller, caller.connection, usable=True)
                raise
            self._refuse_closed(caller.closed)
        return caller

    def _release(self, caller: _Caller, connection: Connection | None, *, usable: bool) -> None:
        if connection is not None and connection.process != os.getpid():
            connection.close()  # made before a fork, whose other side goes on using it
            return
        self._free(caller.number, connection, usable=usable)

    def _free(self, number: int, connection: Connection | None, *, usable: bool) -> None:
        with self._lock:
            handover = self._slots.give_back(number, connection, usable=usable)
            if handover.discard is not None:
                self._discarded += 1
            waiter = None if handover.waiter is None else self._callers.get(handover.waiter)
            if waiter is not None:
                waiter.connection = handover.connection
        if handover.discard is not None:
            handover.discard.close()
        if waiter is not None:
            waiter.served.set()
        elif handover.connection is not None:
            handover.connection.close()  # who waited is gone meanwhile

    def _tidy(self) -> None:
        """Free what callers have who are gone."""
        with self._lock:
            slots = self._slots
            gone = [each for each in (*slots.holders, *slots.waiting) if each not in self._callers]
            for number in gone:
                slots.withdraw(number)
        for number in gone:
            self._free(number, None, usable=False)

    @staticmethod
    def _refuse_closed(closed: bool) -> None:
        if closed:
            raise RacsClosed("this Racs was closed; make a new one to go on")

    def _forget(self) -> None:
        """Start afresh in a forked child: the sockets are the parent's, the lock may be held."""
        for connection in self._slots.idle:
            connection.close()
        closed = self._slots.closed
        self._lock = threading.Lock()
        self._slots = Slots(self._slots.size)
        self._slots.closed = closed
        self._own = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool._forget()


os.register_at_fork(after_in_child=_forget_all)
