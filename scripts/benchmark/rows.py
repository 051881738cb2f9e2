"""What a row of the table is, and how it is measured: limit, ours, limit, ours, ... and medians."""

import itertools
import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import shorten

import msgspec

from scripts.benchmark import programs
from scripts.benchmark.load import Pace
from scripts.benchmark.programs import Program


class NotAvailableError(Exception):
    """The server does not know what a row asks for."""


class Bench:
    """What the rows work with: servers that are started when they are needed, a folder, the pace.

    Parameters
    ----------
    folder
        For data; emptied after each section.
    quick
        Whether it is a quick run.
    """

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.quick = quick
        self.rounds = 3 if quick else 7
        self.pace = Pace(0.1, 0.3) if quick else Pace(0.3, 1.0)
        cores = sorted(os.sched_getaffinity(0))
        self.load_cores, self.server_cores = {cores[0]}, {cores[-1]}
        self._folder = folder
        self._names = itertools.count(1)
        self._running: dict[tuple[str, ...], Program] = {}
        self.notes: dict[str, int] = {}
        self.folders: dict[object, Path] = {}
        """What one row of a section leaves for the next."""
        self._programs = ExitStack()

    def folder(self) -> Path:
        """Return a new folder."""
        path = self._folder / str(next(self._names))
        path.mkdir(parents=True)
        return path

    def server(self, *flags: str) -> Program:
        """Return our server, started with the flags; the same one all through a section."""
        return self._kept(("ours", *flags), lambda: self.start(self.folder(), *flags))

    def limit(self, job: str, detail: str = "", folder: Path | None = None) -> Program:
        """Return one of the limits, likewise."""
        return self._kept(
            (job, detail),
            lambda: programs.limit(job, folder or self.folder(), self.server_cores, detail),
        )

    def start(self, folder: Path, *flags: str) -> Program:
        """Start a server of one's own on a data folder."""
        return programs.racs_server(folder, self.server_cores, *flags)

    def _kept(self, key: tuple[str, ...], start: Callable[[], Program]) -> Program:
        if key not in self._running:
            self._running[key] = self._programs.enter_context(start())
        return self._running[key]

    def clear(self) -> None:
        """End all programs and remove all data: a section is over."""
        self._programs.close()
        self._running.clear()
        self.notes.clear()
        self.folders.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


Measure = Callable[[Bench], float]


class Row(msgspec.Struct, frozen=True):
    """One row.

    Attributes
    ----------
    name
        What is measured; ``--only`` looks for it.
    unit
        Of the figures. Of a rate (it has a ``/`` in it) more is better, else less.
    ours
        Measures the server once.
    limit
        Measures the simplest program that does only what cannot be avoided, once.
    peer
        The C program's published figure, for orientation: of another machine.
    quick
        Whether it is part of a quick run.
    rounds
        How often it is measured, where that is another number than usual.
    """

    name: str
    unit: str
    ours: Measure
    limit: Measure | None = None
    peer: float | None = None
    quick: bool = False
    rounds: int | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What was measured for a row.

    Attributes
    ----------
    ours, limit
        One figure a round.
    remark
        Why there are none.
    """

    name: str
    unit: str
    peer: float | None
    ours: list[float] = []
    limit: list[float] = []
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """How near ours comes to the limit: the median over the rounds; more is better."""
        if not self.ours or not self.limit:
            return None
        pairs = zip(self.ours, self.limit, strict=True)
        ratios = [ours / limit for ours, limit in pairs if limit]
        ratio = statistics.median(ratios)
        return ratio if "/" in self.unit else 1 / ratio


def measure(row: Row, bench: Bench) -> Outcome:
    """Measure a row: a round of both that does not count, then the others, in turns."""
    ours: list[float] = []
    limit: list[float] = []
    try:
        for number in range((row.rounds or bench.rounds) + (row.rounds is None)):
            of_limit = row.limit(bench) if row.limit is not None else None
            of_ours = row.ours(bench)
            if number or row.rounds is not None:
                ours.append(of_ours)
                limit += [] if of_limit is None else [of_limit]
    except NotAvailableError as error:
        return Outcome(
            row.name,
            row.unit,
            row.peer,
            remark=f"not available: {shorten(str(error), 60)}",
        )
    return Outcome(row.name, row.unit, row.peer, ours, limit)


def chosen(rows: Sequence[Row], only: str, *, quick: bool) -> list[Row]:
    """Return the rows to measure: those whose name has `only` in it; of all, the quick ones."""
    if only:
        return [row for row in rows if only.casefold() in row.name.casefold()]
    return [row for row in rows if row.quick or not quick]
