"""Runs EVAL's programs: a worker process evaluates, and has the commands carried out here.

Audio and files never leave the server: a program holds numbers that stand for their plans, in one
`Session`. So a worker can name nothing that its own request was not given, and every call goes
through the checks that the command language has.
"""

import itertools
import math
import time
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import msgspec

from racs.wire import Vector
from racs.wire.replies import VECTOR_DTYPES
from racs_server.commands.context import Context
from racs_server.commands.procedures import Procedure, procedures
from racs_server.commands.sounds import SPECS as SOUNDS
from racs_server.commands.spec import CommandSpec, Value
from racs_server.errors import LimitError, RacsError, RequestError, StartError
from racs_server.sandbox import (
    Audio,
    Budgets,
    Call,
    File,
    Numbers,
    Options,
    Pool,
    ProtocolError,
    Rational,
    Setup,
    messages,
)
from racs_server.values import AudioPlan, EncodedPlan
from racs_server.values.plans import Samples

MOST_HELD = 10_000
"""Pieces of audio and files that one program may hold at once."""


class PoolEvaluator:
    """Evaluates in a pool of worker processes.

    Parameters
    ----------
    table
        The commands.
    budgets
        What each program may use.
    workers
        How many programs are evaluated at once.
    changing
        Names of the commands that programs may change something with, in upper case.
    library, library_name
        A program whose definitions all programs find, and what errors call it.
    """

    def __init__(
        self,
        table: Iterable[CommandSpec],
        budgets: Budgets,
        workers: int,
        changing: frozenset[str] = frozenset({"CREATE", "OPEN", "CLOSE"}),
        library: str = "",
        library_name: str = "",
    ) -> None:
        self._procedures = procedures([*table, *SOUNDS], changing)
        setup = Setup(tuple(sorted(self._procedures)), budgets, library, library_name)
        self._library_name = library_name
        self.pool = Pool(Options(setup, workers))

    def __repr__(self) -> str:
        return f"<PoolEvaluator {self.pool!r}>"

    def check_library(self) -> None:
        """Load the library in a worker; blocks.

        Raises
        ------
        StartError
            It cannot be loaded.
        """
        try:
            self.pool.check()
        except RequestError as error:
            raise StartError(f"the EVAL library {self._library_name}: {error}") from None

    def evaluate(self, context: Context, expression: str) -> Value:
        """Run a program; blocks.

        Raises
        ------
        RacsError
            It is wrong, uses too much, or its outcome cannot be sent.
        """
        session = Session(context, self._procedures, self.pool.budgets)
        value: Value = self.pool.run(expression, session)
        return value


class Session:
    """What one program has been given, and what it may ask for.

    Parameters
    ----------
    context
        What commands work with, for whoever sent the program.
    table
        The procedures.
    budgets
        What the program may use.
    """

    def __init__(self, context: Context, table: dict[str, Procedure], budgets: Budgets) -> None:
        self._table = table
        self._budgets = budgets
        self.stopped = context.check_cancelled
        self._deadline = math.inf
        self._context = msgspec.structs.replace(
            context, check_cancelled=self._check, memory=budgets.memory
        )
        self._numbers = itertools.count(1)
        self._held: dict[int, AudioPlan | EncodedPlan] = {}
        self._samples = 0

    def __repr__(self) -> str:
        return f"<Session holds={len(self._held)}>"

    def answer(self, call: Call, deadline: float) -> messages.Value:
        """Carry out a call, before a time of the monotonic clock.

        Raises
        ------
        RacsError
            The program's error.
        ProtocolError
            No evaluator makes such a call.
        """
        self._deadline = deadline
        procedure = self._table.get(call.name)
        if procedure is None:
            raise ProtocolError(f"a call of {call.name[:40]!r}, which there is not")
        arguments = [self._argument(each) for each in call.arguments]
        for number in call.dropped:
            self._held.pop(number, None)
        return self._message(procedure(self._context, arguments))

    def accept(self, outcome: messages.Value) -> Value:
        """Return what a program came to, as a command's result.

        Raises
        ------
        ProtocolError
            No evaluator gives such a thing.
        """
        value: Value = self._argument(outcome)
        return value

    def _check(self) -> None:
        self.stopped()
        if time.monotonic() > self._deadline:
            seconds = self._budgets.seconds
            raise LimitError(f"over the budget of time: more than {seconds:g} seconds")

    def _argument(self, message: messages.Value) -> Any:
        if isinstance(message, Audio | File):
            if message.number not in self._held:
                raise ProtocolError(f"number {message.number} stands for nothing")
            return self._held[message.number]
        if isinstance(message, Numbers):
            kind = _VECTORS.get(message.kind)
            if kind is None or len(message.data) % int(VECTOR_DTYPES[kind][2]):
                raise ProtocolError(f"{len(message.data)} bytes of {message.kind[:8]!r}")
            return Vector(kind, message.data)
        if isinstance(message, Rational):
            denominator = int(message.denominator, 16)
            if denominator <= 0:
                raise ProtocolError("a rational that is none")
            return Fraction(int(message.numerator, 16), denominator)
        return message

    def _message(self, value: Value) -> messages.Value:
        """Return a command's result as the worker gets it."""
        if isinstance(value, AudioPlan):
            form = value.format
            number = self._hold(value)
            return Audio(number, form.sample_rate, form.channels, form.bit_depth, value.frames)
        if isinstance(value, EncodedPlan):
            return File(self._hold(value))
        if isinstance(value, Vector):
            return Numbers(_KINDS[value.type], bytes(value.data))
        if value is None or isinstance(value, bool | int | float | str | list):
            return value
        raise RacsError(f"a {type(value).__name__} is nothing that a program can hold")

    def _hold(self, plan: AudioPlan | EncodedPlan) -> int:
        """Keep a plan for as long as the program can name it; return its number.

        Raises
        ------
        LimitError
            The program holds too many, or has made audio of too many samples.
        """
        if len(self._held) >= MOST_HELD:
            raise LimitError(
                f"over the budget of audio: a program may hold {MOST_HELD} pieces at once"
            )
        if isinstance(plan, Samples):
            self._samples += len(plan.data)
            if self._samples > self._budgets.memory:
                raise LimitError(
                    f"over the budget of memory: {self._samples} bytes of samples are made audio"
                    f" of, {self._budgets.memory} allowed"
                )
        number = next(self._numbers)
        self._held[number] = plan
        return number


_VECTORS = {name[:-1]: name for name in VECTOR_DTYPES} | {"c32": "c64v"}
del _VECTORS["c64"]
"""A reply's vector type for each type of Scheme's, whose complex numbers go by their parts."""
_KINDS = {name: kind for kind, name in _VECTORS.items()}
