"""The server's side: worker processes that are kept ready, and the conversation with one of them.

All of it is plain blocking code for threads; `Pool.run` waits on a socket, and holds nothing up.

Invariants
----------
- A worker whose conversation did not end as it should is killed, and another put in its place: a
  request never meets what another one has left behind.
- Whatever a worker says is a message of `messages` that may come then, or the worker is killed.
- A worker has as long as the budget of time, and `GRACE` more to say that it is over it.
"""

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from racs_server.errors import LimitError, RacsError, RequestError
from racs_server.sandbox.messages import (
    REPLIES,
    Answer,
    Call,
    Done,
    Evaluate,
    Failed,
    Inbox,
    ProtocolError,
    Ready,
    Refusal,
    Reply,
    Request,
    Setup,
    Value,
    pack,
)

logger = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds."""

_START_TIME = 30.0
_PULSE = 0.1
_RECEIVE = 1 << 18
_OVERHEAD = 1 << 20
"""Bytes of a message beside the largest value in it."""


class Options(msgspec.Struct, frozen=True):
    """What a pool is like.

    Attributes
    ----------
    setup
        What every worker is told at its start.
    size
        How many workers there are.
    command
        What starts one.
    """

    setup: Setup
    size: int
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "racs_server.sandbox.worker")


Stopped = Callable[[], None]
"""Returns if the outcome is still wanted, else raises what ends the conversation."""


class Host(Protocol):
    """What a program runs for."""

    def stopped(self) -> None:
        """Return if the outcome is still wanted, else raise what ends the conversation."""

    def answer(self, call: Call, deadline: float, /) -> Value:
        """Carry out a call of the program's, before a time of the monotonic clock.

        Raises
        ------
        RacsError
            It cannot be carried out; the program gets this as an error.
        ProtocolError
            No evaluator makes such a call.
        """

    def accept(self, outcome: Value, /) -> Any:
        """Return what the program came to; `ProtocolError` if that cannot be."""


class _GoneError(Exception):
    """The worker is gone."""


class Worker:
    """One process.

    Parameters
    ----------
    options
        What it is to be like.
    """

    def __init__(self, options: Options) -> None:
        setup, budgets = options.setup, options.setup.budgets
        self._socket, theirs = socket.socketpair()
        self._inbox = Inbox(max(budgets.memory, budgets.output) + _OVERHEAD)
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603
                options.command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
                process_group=0,
            )
        self._socket.settimeout(_PULSE)
        self._ready = False
        try:
            self.send(setup, time.monotonic() + _START_TIME, _still_wanted)
        except (_GoneError, TimeoutError) as error:
            logger.debug("%r did not take its setup: %r", self, error)

    def __repr__(self) -> str:
        return f"<Worker {self.process.pid}{' ready' if self._ready else ''}>"

    def await_ready(self, stopped: Stopped) -> None:
        """Wait until the process takes programs.

        Raises
        ------
        RequestError
            It cannot be made ready: the library is at fault.
        """
        if self._ready:
            return
        reply = self.receive(time.monotonic() + _START_TIME, stopped)
        if isinstance(reply, Failed):
            raise RequestError(reply.problem)
        if not isinstance(reply, Ready):
            raise ProtocolError(f"{type(reply).__name__} instead of Ready")
        self._ready = True

    def send(self, message: Request, deadline: float, stopped: Stopped) -> None:
        """Send a message."""
        view = memoryview(pack(message))
        while view:
            self._check(deadline, stopped)
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                continue
            except OSError:
                raise _GoneError from None

    def receive(self, deadline: float, stopped: Stopped) -> Reply:
        """Return the next message."""
        while (message := self._inbox.take(REPLIES)) is None:
            self._check(deadline, stopped)
            try:
                data = self._socket.recv(_RECEIVE)
            except TimeoutError:
                continue
            except OSError:
                raise _GoneError from None
            if not data:
                raise _GoneError
            self._inbox.add(data)
        return message

    def _check(self, deadline: float, stopped: Stopped) -> None:
        stopped()
        if time.monotonic() > deadline:
            raise TimeoutError

    @property
    def clean(self) -> bool:
        """Whether it lives, and has said nothing that was not asked for."""
        if not self._inbox.empty or self.process.poll() is not None:
            return False
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not (self._ready and waiting.poll(0))

    def kill(self) -> int:
        """End the process and its child at once; return its exit status."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            logger.debug("%r is gone already", self)
        self._socket.close()
        return self.process.wait()


def _still_wanted() -> None:
    """Go on: for conversations that nobody can break off."""


def _environment() -> dict[str, str]:
    """Return a worker's variables: the server's own may hold what is not for programs."""
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUTF8": "1",
        # threads of linear algebra would cost address space, and fork badly
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
    }


_KEPT = ("LD_LIBRARY_PATH", "PYTHONHOME")


class Pool:
    """Workers, for as many programs at once; its methods may be called from any thread.

    Parameters
    ----------
    options
        What it is like.
    """

    def __init__(self, options: Options) -> None:
        self.size = options.size
        self.budgets = options.setup.budgets
        self._options = options
        self._lock = threading.Lock()
        self._idle: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._closed = False
        self._replaced = 0

    def __repr__(self) -> str:
        return f"<Pool {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """Return how many workers wait and work, and how many had to be replaced."""
        with self._lock:
            return {
                "idle": len(self._idle),
                "evaluating": len(self._busy),
                "replaced": self._replaced,
            }

    def start(self) -> None:
        """Start all workers, so that no request has to wait for one."""
        for _ in range(self.size - len(self._idle) - len(self._busy)):
            self._put(Worker(self._options))

    def check(self) -> None:
        """Start one worker and wait until it is ready.

        Raises
        ------
        RequestError
            It cannot be made ready: the library is at fault.
        """
        worker = self._take()
        try:
            worker.await_ready(_still_wanted)
        except RequestError:
            self._discard(worker)
            raise
        except (_GoneError, ProtocolError, TimeoutError) as error:
            status = self._discard(worker)
            raise RequestError(
                f"no evaluator can be started: its process ended with status {status}"
            ) from error
        self._put(worker)

    def close(self) -> None:
        """End all workers at once."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            worker.kill()

    def run(self, text: str, host: Host) -> Any:
        """Evaluate a program; blocks.

        Parameters
        ----------
        text
            The program.
        host
            What it runs for.

        Returns
        -------
        What the host accepted.

        Raises
        ------
        RequestError
            The program is wrong, uses too much, or did not come to its end.
        """
        worker = self._take()
        try:
            worker.await_ready(host.stopped)
            outcome = self._converse(worker, text, host)
            value = host.accept(outcome.value) if isinstance(outcome, Done) else None
        except TimeoutError:
            self._replace(worker)
            raise LimitError(
                f"over the budget of time: more than {self.budgets.seconds:g} seconds"
            ) from None
        except ProtocolError as error:
            logger.error("%r broke the protocol, and is replaced: %s", worker, error)
            self._replace(worker)
            raise RequestError("EVAL: the evaluator broke down, and is replaced") from None
        except _GoneError:
            status = self._replace(worker)
            logger.error("%r ended by itself, with status %d: it is replaced", worker, status)
            raise RequestError(_death(status)) from None
        except BaseException:
            self._replace(worker)
            raise
        if worker.clean:
            self._put(worker)
        else:
            self._replace(worker)
        if isinstance(outcome, Done):
            return value
        if outcome.fault:
            raise RuntimeError(f"the evaluator made a mistake:\n{outcome.problem}")
        raise RequestError(outcome.problem)

    def _converse(self, worker: Worker, text: str, host: Host) -> Done | Failed:
        deadline = time.monotonic() + self.budgets.seconds + GRACE
        request: Request = Evaluate(text)
        while True:
            worker.send(request, deadline, host.stopped)
            reply = worker.receive(deadline, host.stopped)
            if isinstance(reply, Done | Failed):
                return reply
            if not isinstance(reply, Call):
                raise ProtocolError(f"{type(reply).__name__} at a wrong time")
            try:
                request = Answer(host.answer(reply, deadline))
            except RacsError as error:
                request = Refusal(str(error))

    def _take(self) -> Worker:
        with self._lock:
            worker = self._idle.popleft() if self._idle else None
        if worker is None or not worker.clean:
            if worker is not None:
                worker.kill()
            worker = Worker(self._options)
        with self._lock:
            self._busy.add(worker)
        return worker

    def _put(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            if not self._closed and len(self._idle) + len(self._busy) < self.size:
                self._idle.append(worker)
                return
        worker.kill()

    def _discard(self, worker: Worker) -> int:
        with self._lock:
            self._busy.discard(worker)
        return worker.kill()

    def _replace(self, worker: Worker) -> int:
        """Kill a worker and have another one get ready; return its exit status."""
        status = self._discard(worker)
        with self._lock:
            self._replaced += 1
            closed = self._closed
        if not closed:
            self._put(Worker(self._options))
        return status


def _death(status: int) -> str:
    number = -status if status < 0 else status - 128
    try:
        cause = f"killed by {signal.Signals(number).name}"
    except ValueError:
        cause = f"exit status {status}"
    return (
        f"EVAL: the evaluator ended while it ran this program ({cause}); it is replaced, and no"
        " other request is affected. A program that needs less memory may come to its end"
    )
