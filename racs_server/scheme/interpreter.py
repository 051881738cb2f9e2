"""An interpreter: names at top level, a machine, and budgets for each evaluation.

This is the way in. Whoever holds an interpreter can give its programs procedures of their own with
`Interpreter.define_procedure`, and values of other kinds of its own (`values.Foreign`).
"""

import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from racs_server.scheme import core_forms, derived_forms, library_forms, macro_forms
from racs_server.scheme.builder import Datum
from racs_server.scheme.calls import blame_waiting
from racs_server.scheme.compiler import Compiler, Task
from racs_server.scheme.errors import SchemeError, Source
from racs_server.scheme.graphs import parts_of
from racs_server.scheme.machine import TAIL, Machine
from racs_server.scheme.meter import Budgets, Meter
from racs_server.scheme.primitives import TABLE, Entry
from racs_server.scheme.printer import TooLongError, written
from racs_server.scheme.reader import read
from racs_server.scheme.scope import Globals
from racs_server.scheme.values import UNSPECIFIED, Closure, Library, Port, Value, from_list, intern

_PRELUDE = Path(__file__).with_name("prelude.scm")

_TRANSPARENT = frozenset(("any", "every"))
"""Procedures of the prelude that call their argument in tail position, so that nothing waits."""

FORMS = core_forms.FORMS
"""All special forms, from core_forms and from these:"""
_OTHER_FORMS = (derived_forms, library_forms, macro_forms)


class Interpreter:
    """Runs programs, one at a time.

    Parameters
    ----------
    budgets
        What each evaluation may use.
    clock
        Seconds, from any origin.
    """

    def __init__(
        self, budgets: Budgets | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._budgets = budgets or Budgets()
        self._meter = Meter(Budgets(), clock)
        self._machine = Machine(self._meter, blame_waiting)
        self._names = Globals()
        for name, form in FORMS.items():
            self._names.forms[intern(name)] = form
        for entry in TABLE.values():
            self._enter(entry)
        self.define_procedure("eval", self._eval)
        self.define("%features", from_list(map(intern, library_forms.FEATURES)))
        self._run(_PRELUDE_SOURCE, _prelude())
        for cell in self._names.cells.values():
            if cell.value.__class__ is Closure and cell.name not in _TRANSPARENT:
                cell.value = Library(cell.value.template, cell.value.env)
        self._output: Port = self._names.cell_value(intern("%output"))
        self._names = Globals(self._names)
        self._meter.code = self._layered = 0
        self._meter.budgets = self._budgets
        self._meter.integer_bits = self._budgets.integer * 8
        self._machine.roots.append(self._output)

    def evaluate(self, text: str, name: str = "") -> Value:
        """Run a program with full budgets, and return the value of its last expression.

        Parameters
        ----------
        text
            Definitions and expressions, in order.
        name
            What errors call the text.

        Raises
        ------
        SchemeError
            Whatever goes wrong with it.
        """
        source = Source(text, name)
        return self._evaluate(source, lambda: read(source, self._meter))

    def evaluate_data(self, expressions: Iterable[Value]) -> Value:
        """Run a program that is there as data, as `evaluate` runs one that is a text."""
        return self._evaluate(Source(""), lambda: [Datum(item, 0) for item in expressions])

    def _evaluate(self, source: Source, data: Callable[[], list[Datum]]) -> Value:
        self._machine.reset()
        code = self._meter.code
        self._meter.begin()
        try:
            return self._run(source, data())
        except SchemeError:
            self._meter.code = code
            raise

    def print(self, value: Value) -> str:
        """Return the text of a value, within the budget of output."""
        try:
            return written(value, self._budgets.output)
        except TooLongError:
            self._meter.check_output(self._budgets.output + 1)
            raise

    def take_output(self) -> str:
        """Return what programs have written since the last time."""
        text = "".join(self._output.parts)
        self._output.parts.clear()
        self._output.size = 0
        return text

    def layer(self) -> None:
        """Leave the names as they are from now on: later programs may only lay others over them."""
        self._layered = self._meter.code
        self._machine.roots.append(self._names.all_cells)
        self._names = Globals(self._names)

    def forget(self) -> None:
        """Forget everything that was defined since the last layer."""
        self._names = Globals(self._names.below)
        self._meter.code = self._layered

    def define(self, name: str, value: Value) -> None:
        """Bind a name at top level."""
        self._names.define(name, value)

    def define_procedure(self, name: str, function: Callable[..., Any]) -> None:
        """Bind a name to a procedure that is written in Python.

        Its parameters are those of the function; a first one called ``meter`` is given the meter,
        which counts what the function makes (see `primitives.table`).
        """
        self._enter(Entry(name, function))

    def _eval(self, machine: Machine, expression: Value, _environment: Value = None) -> Value:
        """``(eval expression)``: code is a tree, so one that is a circle ends with the steps."""
        pending = [expression]
        while pending:
            machine.meter.spend(1)
            pending.extend(parts_of(pending.pop()))
        compiler = Compiler(machine, self._names, Source("", "eval"))
        machine.body = compiler.compile(Task(expression, self._names, False, 0))
        machine.frame = []
        return TAIL

    def _enter(self, entry: Entry) -> None:
        primitive = entry.bind(self._machine)
        self._machine.builtins[entry.name] = primitive
        self._names.define(entry.name, primitive)

    def _run(self, source: Source, data: list[Datum]) -> Value:
        value: Value = UNSPECIFIED
        compiler = Compiler(self._machine, self._names, source)
        self._machine.globals = self._names.all_cells
        for datum in data:
            node = compiler.compile(Task(datum.value, self._names, False, datum.offset))
            value = self._machine.run(node)
        return value


_PRELUDE_SOURCE = Source(_PRELUDE.read_text("utf-8"), "prelude", hidden=True)


@cache
def _prelude() -> list[Datum]:
    return read(_PRELUDE_SOURCE)
