"""Torture the store on a simulated disk for as long as asked, and compare it with a model.

Run by `scripts/torture`. A run is a store with settings of its own and a few dozen steps: appends,
crashes, faults and what else `tests.storage.model.RULES` has. All random numbers of run *n* come
from the text ``<seed>/<n>``: the same seed does the same, wherever it runs.
"""

import logging
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.storage.choices import draw
from tests.storage.model import BEGIN, RULES, StoreModel, step
from tests.storage.simulated import Halted

Step = tuple[str, dict[str, Any]]
LONGEST = 100
"""Steps of a run, at most."""
console = Console()


@dataclass
class Case:
    """One run: how the store is set, and what is done."""

    begin: dict[str, Any]
    steps: list[Step]

    @classmethod
    def of(cls, seed: str) -> "Case":
        """Return the run of a seed."""
        rng = random.Random(seed)
        names = list(RULES)
        count = rng.randint(LONGEST // 10, LONGEST)
        steps = [(name, draw(RULES[name], rng)) for name in rng.choices(names, k=count)]
        return cls(draw(BEGIN, rng), steps)

    def run(self, tally: "Tally | None" = None) -> None:
        """Do it; whatever is raised is a fault of the store (or of the model)."""
        model = StoreModel(**self.begin)
        for name, arguments in self.steps:
            step(model, name, arguments)
            if tally is not None:
                tally.rules[name] += 1
        if tally is not None:
            tally.count(model)

    def fails(self) -> bool:
        """Whether something is raised."""
        try:
            self.run()
        except (Exception, Halted):
            return True
        return False

    def shortest(self) -> "Case":
        """Return a run that fails as well, from which no step can be left out."""
        kept = Case(self.begin, list(self.steps))
        size = len(kept.steps) // 2
        while size:
            start = 0
            while start < len(kept.steps):
                fewer = Case(self.begin, kept.steps[:start] + kept.steps[start + size :])
                if fewer.fails():
                    kept = fewer
                else:
                    start += size
            size //= 2
        return kept

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(case: Case) -> Iterator[str]:
    yield f"model = StoreModel({_arguments(case.begin)})"
    for name, arguments in case.steps:
        yield f"model.{name}({_arguments(arguments)})"


def _arguments(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


@dataclass
class Tally:
    """What has been done so far."""

    runs: int = 0
    operations: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    crash_points: Counter[str] = field(default_factory=Counter)

    def count(self, model: StoreModel) -> None:
        """Add a run."""
        self.runs += 1
        self.operations += model.disk.done
        for end, at in model.ends:
            self.ends[end] += 1
            if at is not None:
                self.crash_points[f"{at.kind} {_kind_of(at.name)}"] += 1

    def show(self, seed: int, seconds: float) -> None:
        """Print it."""
        steps = sum(self.rules.values())
        console.print(
            f"[bold]{self.runs:,} runs[/] of {steps:,} steps and {self.operations:,} disk"
            f" operations in {timedelta(seconds=round(seconds))}; seeds {seed}/0 …"
            f" {seed}/{max(self.runs - 1, 0)}"
        )
        console.print(f"{sum(self.ends.values()):,} ends: {_listed(self.ends)}")
        console.print(f"steps: {_listed(self.rules)}")
        console.print(f"crash points in the middle of something: {_listed(self.crash_points)}")


def _kind_of(name: str) -> str:
    """Return what kind of file a name is of."""
    last = name.removesuffix(".new").rpartition("/")[2]
    for end in (".wav", ".crc", ".log", "stream.json"):
        if last.endswith(end):
            return end
    return "attachment" if "/attachments/" in name else name.partition("/")[0] or "data folder"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.most_common())


def torture(seed: int, more: Callable[[int], bool], tally: Tally) -> int | None:
    """Run until there is no time left; return the number of the run that failed, or None."""
    number = 0
    while more(number):
        try:
            Case.of(f"{seed}/{number}").run(tally)
        except (Exception, Halted):
            return number
        number += 1
    return None


@click.command()
@click.option("--seconds", default=60.0, help="How long.", show_default=True)
@click.option("--seed", default=1, help="What is done in which order.", show_default=True)
@click.option("--run", "only", type=int, help="Do this one run alone, to look at a failure.")
def main(seconds: float, seed: int, only: int | None) -> None:
    """Torture the store, and say what was done to it."""
    logging.disable(logging.CRITICAL)  # the store complains of every fault, and rightly so
    if only is not None:
        explain(f"{seed}/{only}")
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    tally, begun = Tally(), time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    failed = None
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting")

        def more(number: int) -> bool:
            ends = sum(tally.ends.values())
            text = f"run {seed}/{number}: {tally.operations:,} disk operations, {ends:,} ends"
            progress.update(task, description=text)
            return time.monotonic() - begun < seconds

        try:
            failed = torture(seed, more, tally)
        except KeyboardInterrupt:
            console.print("stopped")
    tally.show(seed, time.monotonic() - begun)
    if failed is not None:
        explain(f"{seed}/{failed}")


def explain(seed: str) -> None:
    """Show how a run fails, as short as it can be; the exit status is 1 then."""
    case = Case.of(seed)
    if not case.fails():
        console.print(f"run {seed} does not fail")
        return
    console.print(f"[bold red]run {seed} fails[/]; the shortest run that does:")
    short = case.shortest()
    console.print(str(short), highlight=False, markup=False)
    try:
        short.run()
    except (Exception, Halted):
        console.print_exception(show_locals=False)
    sys.exit(1)


if __name__ == "__main__":
    main()
