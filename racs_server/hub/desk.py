"""Who is registered, and what becomes of runs: every change of the hub's state, one method each.

A run waits in its rune's queue; it is offered, in answer to a poll, when the rune has loaded and
nothing else holds it; the rune says that it is processing it, puts files, and replies. `next_offer`
decides alone what a poll gets.

All of it blocks, and is called in one thread at a time.

Invariants
----------
- A rune has at most one run that it holds, but where the hub was restarted meanwhile.
- A reply is taken whenever it comes, also for a run that was given up or stopped: nothing that a
  rune has made is dropped.
"""

import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from racs_server.errors import RequestError
from racs_server.hub.book import Book
from racs_server.hub.contract import Contract
from racs_server.hub.outputs import ids_of, outputs_of, shortened, text_of
from racs_server.hub.rows import (
    ABORTED,
    COMPLETED,
    ERROR,
    FINAL,
    PENDING,
    PROCESSING,
    Mapping,
    Run,
    Rune,
    Upload,
)

OFFER_AGAIN = 10.0
"""Seconds after which a run that was offered, and not taken up, is offered again."""
PROBE_AGAIN = 30.0
"""The same, for a run behind an orphan: the rune may be busy with that, and refuse."""

JUST_NOW = 2.0
"""Seconds after a run in which what its process printed in it may still come."""
MOST_CONSOLE = 1 << 20
"""Characters that are kept of what a process prints during a run, and of what its function does."""

_SCOPE = "@"
_SCOPE_LENGTH = 16

_replace = msgspec.structs.replace
_LOST = "its reply did not come: the hub or the rune was restarted meanwhile. Run it again"


class NotFoundError(RequestError):
    """There is no such thing."""


def next_offer(rune: Rune | None, active: Sequence[Run], now: float) -> Run | None:
    """Decide which run a poll gets.

    Parameters
    ----------
    rune
        Who polls, if it is known.
    active
        Its runs that are not final or that it holds, in order.
    now
        Seconds since the epoch.
    """
    if rune is None or not rune.loaded:
        return None
    holders = [run for run in active if run.holds]
    waiting = next((run for run in active if run.state == PENDING), None)
    if waiting is None or not all(run.orphaned for run in holders):
        return None
    patience = PROBE_AGAIN if holders else OFFER_AGAIN
    return waiting if now - waiting.offered >= patience else None


def going_on(runs: Iterable[Run], then: float) -> Run | None:
    """Return the run that was going on at a time, or had ended just then; None if there was none.

    Parameters
    ----------
    runs
        Of one process.
    then
        Seconds since the epoch.
    """
    mine = (run for run in runs if 0 < run.started <= then)
    mine = (run for run in mine if run.holds or then - run.ended < JUST_NOW)
    return max(mine, key=lambda run: run.started, default=None)


def inside(token: str, master: str) -> str:
    """Return the hub's own name for a connection.

    Two people who run the same rune have the same connection token, which the client derives from
    the rune: what one asks of theirs must not come to the other's.

    Parameters
    ----------
    token
        The connection token.
    master
        The hash of the master token that the rune speaks for; "": nobody knows.
    """
    return f"{token}{_SCOPE}{master[:_SCOPE_LENGTH]}" if master else token


def outside(token: str) -> str:
    """Return a connection token as its rune knows it."""
    return token.partition(_SCOPE)[0]


class Desk:
    """Changes what the book holds.

    Parameters
    ----------
    book
        The rows.
    clock
        Returns seconds since the epoch.
    """

    def __init__(self, book: Book, clock: Callable[[], float]) -> None:
        self.book = book
        self._clock = clock
        for run in book.select(Run, holds=True):
            book.put(_replace(run, orphaned=True))

    def __repr__(self) -> str:
        return f"<Desk {self.book!r}>"

    def rune(self, token: str) -> Rune:
        """Return a rune; `NotFoundError` if there is none."""
        rune = self.book.get(Rune, token)
        if rune is None:
            raise NotFoundError(f"there is no connection {token!r}")
        return rune

    def find(self, token: str, master: str = "") -> Rune:
        """Return a rune by either of its tokens; `NotFoundError` if there is none.

        Parameters
        ----------
        token
            As the hub knows it, or as the rune does.
        master
            The hash of the master token that it has to be shown to; "": any.
        """
        rows = self.book.select(Mapping, master=master) if master else self.book.select(Rune)
        tokens = [row.token for row in rows]
        found = [each for each in tokens if token in (each, outside(each))]
        if not found:
            raise NotFoundError(f"there is no connection {token!r}")
        return self.rune(token if token in found else found[0])

    def run(self, run_id: str) -> Run:
        """Return a run; `NotFoundError` if there is none."""
        run = self.book.get(Run, run_id)
        if run is None:
            raise NotFoundError(f"there is no run {run_id!r}")
        return run

    def register(
        self, token: str, contract: Contract, key: str, host: str = "", *, near: bool = True
    ) -> None:
        """Take a rune's contract; see `Rune`."""
        rune = self.book.get(Rune, token) or Rune(token)
        now = self._clock()
        rune = _replace(rune, contract=contract, key=key, host=host, near=near, compute_at=now)
        self.book.put(rune)

    def map(self, master: str, token: str, name: str, type_: str, description: str) -> Mapping:
        """Show a connection to who has a master token (its hash)."""
        now = self._clock()
        old = next(iter(self.book.select(Mapping, master=master, token=token)), None)
        mapping = Mapping(
            old.id if old else str(uuid.uuid4()),
            master,
            token,
            name,
            type_,
            description,
            old.created if old else now,
            now,
        )
        known = self.book.get(Rune, token) or Rune(token)
        self.book.put(mapping, known)
        return mapping

    def set_loaded(self, token: str, loaded: bool) -> None:
        """Note whether a rune is ready; one that begins anew has lost what it was busy with."""
        rune = self.book.get(Rune, token) or Rune(token)
        lost = [] if loaded else self.book.select(Run, token=token, holds=True)
        self.book.put(
            _replace(rune, loaded=loaded, compute_at=self._clock()),
            *(self._given_up(run) for run in lost),
        )

    def _given_up(self, run: Run, why: str = _LOST) -> Run:
        """Return a run to which no reply will come; what it has made until then is kept."""
        made = outputs_of((), self.book.select(Upload, run=run.id))
        run = _replace(
            run,
            outputs=made.files,
            files=ids_of(made.kept),
            converted=ids_of(made.put),
            holds=False,
            archived=False,
        )
        if run.state in FINAL:
            return run
        return _replace(run, state=ERROR, error=why, ended=self._clock())

    def give_up(self, token: str, why: str) -> None:
        """End the run that a rune holds: the rune is gone."""
        held = self.book.select(Run, token=token, holds=True)
        self.book.put(*(self._given_up(run, why) for run in held))

    def queue(self, run: Run) -> None:
        """Take a run."""
        self.book.put(run)

    def active(self, token: str) -> list[Run]:
        """Return the runs of a rune that are not final or that it holds, in order."""
        found = {run.id: run for run in self.book.select(Run, token=token, holds=True)}
        found |= {run.id: run for run in self.book.select(Run, token=token, state=PENDING)}
        return sorted(found.values(), key=lambda run: run.created)

    def offer(self, token: str) -> Run | None:
        """Return the run that a poll gets, or None."""
        run = next_offer(self.book.get(Rune, token), self.active(token), self._clock())
        if run is not None:
            run = _replace(run, offered=self._clock())
            self.book.put(run)
        return run

    def take_status(self, token: str, run_id: str, status: str) -> None:
        """Take a rune's word that it processes a run, or that it does not.

        It may say both: one that was busy all the time that the hub was away refuses what it had
        begun to take.
        """
        run = self._of(token, run_id)
        if run.state in FINAL:
            return
        held = self.book.select(Run, token=token, holds=True)
        others = [each for each in held if each.id != run_id]
        if status == PROCESSING:
            run = _replace(run, state=PROCESSING, holds=True, started=self._clock())
            self.book.put(run, *(self._given_up(each) for each in others if not each.orphaned))
        elif status == ERROR and others:
            back = _replace(run, state=PENDING, holds=False, started=0.0, offered=self._clock())
            theirs = self.book.select(Upload, run=run_id)  # what came of the others meanwhile
            self.book.put(back, *(_replace(each, run="") for each in theirs))
        elif status == ERROR:
            why = "the rune refused it, as it does when it is busy or knows no such function"
            self.book.put(self._given_up(run, why))

    def take_reply(self, token: str, run_id: str, response: dict[str, Any]) -> Run:
        """Take what a run has come to."""
        run = self._of(token, run_id)
        files = [file for file in response.get("files") or () if isinstance(file, dict)]
        rune = self.rune(token)
        uploads = self.book.select(Upload, run=run_id)
        made = outputs_of(files, uploads, self._strangers(rune, run))
        failed = response.get("status") == ERROR or bool(response.get("error"))
        state = ABORTED if run.state == ABORTED else ERROR if failed else COMPLETED
        now = self._clock()
        run = _replace(
            run,
            state=state,
            outputs=made.files,
            files=ids_of(made.kept),
            converted=ids_of(made.put),
            message=text_of(response.get("message")),
            error=(text_of(response.get("error")) or "it failed, and did not say why")
            if failed
            else None,
            logs=shortened(text_of(response.get("logs")) or "", MOST_CONSOLE),
            started=run.started or now,
            ended=now,
            holds=False,
            archived=False,
        )
        # what it had before the hub was restarted is over, if it has done something else since
        held = self.book.select(Run, token=token, holds=True)
        lost = [each for each in held if each.orphaned and each.created < run.created]
        self.book.put(
            run,
            *(_replace(each, run=run_id) for each in (*made.put, *made.kept) if each),
            *(self._given_up(each) for each in lost),
        )
        return run

    def take_upload(self, upload: Upload) -> Upload:
        """Take a file; if only one run can have made it, it is that one's at once."""
        if upload.output and not upload.run:
            busy = [
                run
                for run in self.book.select(Run, holds=True)
                if self.rune(run.token).key == upload.key
            ]
            later = {run.token for run in busy if not run.orphaned}
            busy = [run for run in busy if not run.orphaned or run.token not in later]
            if len(busy) == 1:
                upload = _replace(upload, run=busy[0].id)
        self.book.put(upload)
        return upload

    def _strangers(self, rune: Rune, run: Run) -> list[Upload]:
        """Return what was put while a run was on, by nobody knows which of several."""
        found = self.book.select(Upload, key=rune.key, run="")
        return [each for each in found if each.output and each.created >= run.started]

    def abort(self, token: str, run_id: str | None = None) -> list[Run]:
        """Stop the runs of a rune, or one of them, that are not final; returns them.

        What a rune is busy with goes on until it ends by itself; its result is kept.
        """
        now = self._clock()
        ended = [
            _replace(run, state=ABORTED, ended=now, archived=False)
            for run in self.active(token)
            if run.state not in FINAL and run_id in (None, run.id)
        ]
        self.book.put(*ended)
        return ended

    def take_output(self, key: str, printed: Iterable[tuple[float, str]]) -> str:
        """Add what a rune's process printed to the runs in which it did.

        Parameters
        ----------
        key
            The rune's.
        printed
            How many seconds ago, and what, in order.

        Returns
        -------
        The id of a run that was stopped while the rune was busy with it, which only the end of its
        process can end; "" if there is none.
        """
        tokens = [rune.token for rune in self.book.select(Rune) if rune.key == key]
        runs = [run for token in tokens for run in self._begun(token)]
        now = self._clock()
        texts: dict[str, str] = {}
        for age, text in printed:
            run = going_on(runs, now - age)
            if run is not None:
                texts[run.id] = texts.get(run.id, "") + text
        self.book.put(*(_with_console(run, texts[run.id]) for run in runs if texts.get(run.id)))
        return next((run.id for run in runs if run.holds and run.state == ABORTED), "")

    def _begun(self, token: str) -> list[Run]:
        """Return the runs that a rune holds, and those that may have ended just now."""
        found = self.book.select(Run, token=token, holds=True)
        ended = [
            run for state in FINAL for run in self.book.last(Run, 1, "", token=token, state=state)
        ]
        return [*found, *(run for run in ended if not run.holds)]

    def take_end(self, key: str, why: str) -> None:
        """Take note that a rune's process is over."""
        for rune in self.book.select(Rune):
            if rune.key == key:
                self.book.put(_replace(rune, loaded=False))
                self.give_up(rune.token, why)

    def _of(self, token: str, run_id: str) -> Run:
        run = self.run(run_id)
        if run.token != token:
            raise NotFoundError(f"the connection {token!r} has no run {run_id!r}")
        return run


def _with_console(run: Run, text: str) -> Run:
    """Return a run in which its process has printed something more, as far as there is room."""
    room = MOST_CONSOLE - len(run.console)
    if room <= 0:
        return run
    cut = "\n… and more, which is not kept\n" if len(text) > room else ""
    return _replace(run, console=run.console + text[:room] + cut, archived=False)


def new_id() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_hex(16)
