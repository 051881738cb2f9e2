"""A worker process: evaluates programs, each in a process of its own that it forks from itself.

Started as ``python -m racs_server.sandbox.worker`` with one socket, its standard input. It makes
an interpreter, loads the library and gives up what it does not need (files, sockets, processes,
privileges of time). Then it forks for every program: the child evaluates one program and ends, so
that nothing a program does can outlive it. The next child is forked before its program comes.

Must stay quick to start and small: it imports the Scheme, and nothing of the rest of the server.
"""

import gc
import os
import resource
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from racs_server.sandbox import mapping
from racs_server.sandbox.messages import (
    REQUESTS,
    Answer,
    Audio,
    Call,
    Done,
    Evaluate,
    Failed,
    File,
    Inbox,
    Ready,
    Refusal,
    Reply,
    Request,
    Setup,
    pack,
)
from racs_server.scheme import BudgetError, Budgets, EvaluationError, Interpreter, SchemeError
from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.table import wrong
from racs_server.scheme.values import Value

LONGEST_PROBLEM = 4096
"""Characters of an error's text that are passed on."""

_CALL_STEPS = 100
"""What a call costs in steps: it takes as long as some hundred procedures of Scheme's own."""

_RECEIVE = 1 << 16
_MEMORY_FACTOR = 4
"""The address space of a child, in budgets of memory: what is counted is less than what is used."""
_EXTRA_SECONDS = 2
_OVERHEAD = 64
"""Bytes of a message beside the value in it."""
_NICE = 5


class HungUpError(Exception):
    """The server is gone."""


class Link:
    """The way to the server.

    Parameters
    ----------
    connection
        Its socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inbox = Inbox(longest=1 << 31)
        self._dropped: list[int] = []

    def receive(self) -> Request:
        """Wait for the next message; `HungUpError` if there will be none."""
        while (message := self._inbox.take(REQUESTS)) is None:
            data = self._connection.recv(_RECEIVE)
            if not data:
                raise HungUpError
            self._inbox.add(data)
        return message

    def send(self, message: Reply) -> None:
        """Send a message."""
        self.send_packed(pack(message))

    def send_packed(self, message: bytes) -> None:
        """Send the bytes of a message."""
        self._connection.sendall(message)

    def call(self, meter: Meter, name: str, *arguments: Value) -> Value:
        """Have the server carry out a procedure, and return what it gives.

        Raises
        ------
        SchemeError
            It gives nothing, or too much.
        """
        meter.spend(_CALL_STEPS)
        values = [mapping.to_argument(argument) for argument in arguments]
        dropped, self._dropped = self._dropped, []
        self.send(Call(name, values, dropped))
        message = self.receive()
        if isinstance(message, Refusal):
            raise EvaluationError(message.problem)
        if not isinstance(message, Answer):
            raise HungUpError
        return mapping.from_answer(message.value, meter, partial(self._wrap, meter))

    def _wrap(self, meter: Meter, value: Audio | File) -> Value:
        if isinstance(value, Audio):
            return mapping.AudioValue(value, self._dropped_later)
        return mapping.FileValue(value, partial(self._fetch, meter), self._dropped_later)

    def _fetch(self, meter: Meter, file: File) -> npt.NDArray[np.uint8]:
        self.send(Call("%file-bytes", [file], []))
        message = self.receive()
        if isinstance(message, Refusal):
            raise EvaluationError(message.problem)
        value = mapping.from_answer(getattr(message, "value", None), meter, _no_value)
        array: npt.NDArray[np.uint8] = value.array
        return array

    def _dropped_later(self, number: int) -> None:
        self._dropped.append(number)


def _no_value(_: object) -> Value:
    raise HungUpError


def _audio(value: Value) -> Audio:
    if not isinstance(value, mapping.AudioValue):
        raise wrong("audio", value)
    return value.audio


def _duration(audio: Value) -> Value:
    known = _audio(audio)
    return mapping.exact(known.frames, known.rate)


def _samples(link: Link, meter: Meter, audio: Value) -> Value:
    known = _audio(audio)
    meter.charge(4 * known.frames * known.channels)
    value = link.call(meter, "audio->vector", audio)
    meter.charge(-4 * known.frames * known.channels)
    return value


OWN: dict[str, Callable[..., Value]] = {
    "audio?": lambda value: isinstance(value, mapping.AudioValue),
    "audio-rate": lambda audio: _audio(audio).rate,
    "audio-channels": lambda audio: _audio(audio).channels,
    "audio-depth": lambda audio: _audio(audio).depth,
    "audio-length": lambda audio: _audio(audio).frames,
    "audio-duration": _duration,
}
"""What is known of audio without asking."""


def make_interpreter(setup: Setup, link: Link) -> Interpreter:
    """Return an interpreter with the server's procedures and the library.

    Raises
    ------
    SchemeError
        The library cannot be loaded.
    """
    interpreter = Interpreter(setup.budgets)
    for name in setup.procedures:
        interpreter.define_procedure(name, _asking(link, name))
    for name, function in OWN.items():
        interpreter.define_procedure(name, function)
    interpreter.define_procedure("audio->vector", partial(_samples, link))
    interpreter.layer()
    if setup.library:
        interpreter.evaluate(setup.library, setup.library_name)
        interpreter.layer()
    interpreter.evaluate("'ready")
    return interpreter


def _asking(link: Link, name: str) -> Callable[..., Value]:
    def ask(meter: Meter, *arguments: Value) -> Value:
        return link.call(meter, name, *arguments)

    return ask


def confine() -> None:
    """Give up files, sockets and core dumps for good, and let the server go first."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stdout.fileno())
    os.dup2(quiet, sys.stderr.fileno())
    os.close(quiet)
    os.nice(_NICE)
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        resource.setrlimit(limit, (0, 0))


def confine_child(budgets: Budgets, size: int) -> None:
    """Bound memory and time by the kernel, where the counting of the evaluator should fail."""
    memory = size + _MEMORY_FACTOR * budgets.memory
    seconds = int(budgets.seconds) + _EXTRA_SECONDS
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def serve(link: Link, interpreter: Interpreter, budgets: Budgets) -> None:
    """Evaluate one program."""
    message = link.receive()
    if not isinstance(message, Evaluate):
        raise HungUpError
    try:
        done = pack(Done(mapping.to_result(interpreter.evaluate(message.text))))
        if len(done) > budgets.output + _OVERHEAD:
            raise BudgetError(
                "output",
                f"over the budget of output: the result has {len(done)} bytes, {budgets.output}"
                " allowed",
            )
        link.send_packed(done)
    except SchemeError as error:
        link.send(Failed(_short(str(error))))
    except UnicodeEncodeError:
        link.send(
            Failed("the result has characters that are none (surrogates), and cannot be sent")
        )
    except MemoryError:
        link.send(Failed("over the budget of memory: the evaluator may use no more"))
    except Exception:
        link.send(Failed(_short(traceback.format_exc()[-LONGEST_PROBLEM:]), fault=True))


def _short(problem: str) -> str:
    text = problem.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LONGEST_PROBLEM else text[: LONGEST_PROBLEM - 1] + "…"


def _fork_and_serve(link: Link, interpreter: Interpreter, budgets: Budgets, size: int) -> int:
    """Serve in a child; return its exit status, 0 if it went well."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        confine_child(budgets, size)
        serve(link, interpreter, budgets)
        status = 0
    finally:
        os._exit(status)


def address_space() -> int:
    """Return the bytes of address space that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()


def main() -> Any:
    """Run until the server hangs up, or a child does not end well."""
    link = Link(socket.socket(fileno=0))
    setup = link.receive()
    assert isinstance(setup, Setup)
    try:
        interpreter = make_interpreter(setup, link)
    except SchemeError as error:
        link.send(Failed(_short(str(error))))
        return
    size = address_space()
    confine()
    link.send(Ready())
    gc.collect()
    gc.freeze()
    while (status := _fork_and_serve(link, interpreter, setup.budgets, size)) == 0:
        pass
    os._exit(status if status > 0 else 128 - status)


if __name__ == "__main__":
    main()
