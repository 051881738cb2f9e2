"""What a program may use, and how much of it is left.

Owns the budgets and the counters; knows nothing of values or of evaluation.

Invariants
----------
- Whoever is about to make something large calls `Meter.charge` before making it.
- Memory is counted as if nothing were ever given back, until half of what is free has been used:
  then the machine takes a census of what is still reachable, at its next procedure call.
- `fuel` may be decremented by anyone; below zero, `refuel` looks at the steps and at the clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from racs_server.scheme.errors import BudgetError

MIB = 1024 * 1024

PAIR_BYTES = 88
"""A pair, and the boxed number that it may hold."""
SLOT_BYTES = 32
"""An element of a vector or a variable, and the boxed number that it may hold."""
OBJECT_BYTES = 72
"""Any small object by itself."""
TUPLE_BYTES = 72
"""A state, or a link of the stack."""
STACK_BYTES = 3 * TUPLE_BYTES
"""What is kept of one unfinished expression when recursion is deep."""

_SLICE = 1000


@dataclass(frozen=True, slots=True)
class Budgets:
    """What one evaluation may use.

    Parameters
    ----------
    steps
        Calls of procedures that are written in Scheme.
    seconds
        Time on the clock.
    memory
        Bytes held by values, code and unfinished calls.
    integer
        Bytes of one integer.
    output
        Characters of a printed value, or of what a program writes.
    nesting
        Brackets within brackets in the text.
    source
        Characters of the text.
    """

    steps: int = 10_000_000
    seconds: float = 10.0
    memory: int = 64 * MIB
    integer: int = 16 * 1024
    output: int = 16 * MIB
    nesting: int = 1000
    source: int = MIB


class Meter:
    """Counts one evaluation's use against its budgets.

    Parameters
    ----------
    budgets
        What may be used.
    clock
        Seconds, from any origin.
    """

    __slots__ = (
        "_clock",
        "_deadline",
        "_granted",
        "_slice",
        "_spent",
        "budgets",
        "census_due",
        "code",
        "fuel",
        "integer_bits",
        "live",
        "room",
    )

    def __init__(
        self, budgets: Budgets | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.budgets = budgets or Budgets()
        self.integer_bits = self.budgets.integer * 8
        self._clock = clock
        self.code = 0
        self.live = self.room = self._granted = 0
        self.begin()

    def begin(self) -> None:
        """Start anew, with full budgets and nothing held but the code that there is."""
        self._deadline = self._clock() + self.budgets.seconds
        self._spent = 0
        self.fuel = self._slice = min(_SLICE, self.budgets.steps)
        self.counted(self.code)

    # -- steps and time

    def refuel(self) -> None:
        """Account for the fuel that was burnt, and give out more while there is some.

        Raises
        ------
        BudgetError
            The steps or the time are used up.
        """
        self._spent += self._slice - self.fuel
        if self._spent > self.budgets.steps:
            raise BudgetError(
                "steps", f"over the budget of steps: more than {self.budgets.steps} steps"
            )
        if self._clock() > self._deadline:
            raise BudgetError(
                "time", f"over the budget of time: more than {self.budgets.seconds:g} seconds"
            )
        left = min(_SLICE, self.budgets.steps - self._spent)
        # Without fuel the next call pauses, which is where a census can be taken.
        self.fuel = self._slice = 0 if self.census_due else left

    def spend(self, steps: int) -> None:
        """Burn fuel for work that is done without calling a procedure."""
        self.fuel -= steps
        if self.fuel < 0:
            self.refuel()

    # -- memory

    def charge(self, size: int) -> None:
        """Count memory that is about to be used.

        Parameters
        ----------
        size
            Bytes.

        Raises
        ------
        BudgetError
            There is not that much left.
        """
        self.room -= size
        if self.room < 0:
            self.attend()

    def attend(self) -> None:
        """Ask for a census, or refuse, now that `room` has become negative."""
        used = self.live + self._granted - self.room
        if used > self.budgets.memory:
            self.refuse_memory(used)
        self._granted = self.budgets.memory - self.live
        self.room = self.budgets.memory - used
        self.census_due = True
        self._spent += self._slice - self.fuel
        self.fuel = self._slice = 0

    def refuse_memory(self, used: int) -> None:
        """Raise the error of the memory budget."""
        allowed = self.budgets.memory
        needed = f"{_amount(used)} are needed" if used > allowed else "nearly all is in use"
        raise BudgetError("memory", f"over the budget of memory: {needed}, {allowed} allowed")

    def counted(self, live: int) -> None:
        """Take note of a census: so many bytes are in use.

        Raises
        ------
        BudgetError
            Too little is free to go on; counting again and again would take the time instead.
        """
        self.live = live
        if live > self.budgets.memory - self.budgets.memory // 16:
            self.refuse_memory(live)
        self.room = self._granted = (self.budgets.memory - live) // 2
        self.census_due = False

    def keep(self, size: int) -> None:
        """Count memory that stays in use as long as the code does."""
        self.code += size
        self.charge(size)

    # -- single values

    def check_bits(self, bits: int) -> None:
        """Refuse an integer that would have more bits than an integer may have."""
        if bits > self.integer_bits:
            raise BudgetError(
                "integer",
                f"over the budget of integers: {_amount((bits + 7) // 8)} are needed for one, "
                f"{self.budgets.integer} allowed",
            )

    def check_output(self, size: int) -> None:
        """Refuse a text that would be longer than what may be put out."""
        if size > self.budgets.output:
            raise BudgetError(
                "output",
                f"over the budget of output: more than {self.budgets.output} characters",
            )


def _amount(size: int) -> str:
    """Return a number of bytes as messages tell it, however absurd it is."""
    return f"{size} bytes" if size < 10**100 else "more than 10^100 bytes"
