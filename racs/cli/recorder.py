"""Recording that outlives its server: audio is held here until the server is known to have it.

One attempt is one session: OPEN, append mode, CLOSE. A server that ends, or is killed, closes all
its streams; what it had acknowledged, and maybe some more, is there when it runs again. So each
further attempt opens the stream anew, asks for its size and goes on from there: what is there is
not sent again, what is not is still held. Nothing can come from the session that broke meanwhile:
OPEN is refused as long as the server counts it as open (until its lease lapses), and a session that
has lapsed stays shut out. The first attempt waits as long for a sender before it that was killed.

Invariants
----------
- The stream's bytes from `Recorder.start` on are the recording's bytes: that is compared, as far as
  they are still held, before anything is added.
- `_BEHIND` bytes are held even of what is safe: a server whose power failed may have lost the last
  of what it had acknowledged.
"""

import threading
import time
from collections.abc import Callable, Iterator

from racs.cli.base import IN_USE, LEASE, brief
from racs.cli.reading import iter_pcm
from racs.cli.session import Facts
from racs.cli.spool import Spool
from racs.client import Racs
from racs.commands import command
from racs.errors import RacsAuthError, RacsConnectionError, RacsException, RacsServerError

_BEHIND = 16 << 20
_COMPARED = 1 << 14
"""Bytes before the place where it goes on that are compared."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts: twice as long each time."""
_GONE = "there is no stream"


class NotOursError(Exception):
    """The stream has audio that is not of this recording."""


class Recorder:
    """Sends what a spool gets into a stream, through as many sessions as it takes.

    Parameters
    ----------
    connect
        Makes a client, with a session of its own.
    facts
        The stream, as it was before.
    spool
        The audio: whole sample frames.
    tell
        Is told, in words, when it has to wait, and why; and None when it goes on.

    Attributes
    ----------
    start
        The stream's length in bytes when the recording began; None: it has not begun.
    stored
        How many bytes of the recording the stream is known to have.
    error
        What ended it, if it did not end as it should.
    done
        Set at the end.
    """

    def __init__(
        self,
        connect: Callable[[], Racs],
        facts: Facts,
        spool: Spool,
        tell: Callable[[str | None], None],
    ) -> None:
        self._connect = connect
        self._facts = facts
        self._spool = spool
        self._tell = tell
        self._until = time.monotonic() + LEASE
        """Until when the lease of a sender before this one may run, that was killed."""
        self.start: int | None = None
        self.stored = 0
        self.error: Exception | None = None
        self.done = threading.Event()

    def __repr__(self) -> str:
        return f"<Recorder of {self._facts.id!r}, {self.stored} bytes stored, {self._spool!r}>"

    def run(self) -> None:
        """Send until all is stored and nothing more comes, or it cannot go on; for a thread."""
        pause = _FIRST_PAUSE
        try:
            while (problem := self._attempt()) is not None:
                before = self.stored
                self._tell(brief(problem))
                self.done.wait(pause)
                pause = _FIRST_PAUSE if self.stored > before else min(2 * pause, _LONGEST_PAUSE)
        except Exception as error:
            self.error = error
        finally:
            self.done.set()

    def look(self, client: Racs) -> None:
        """Ask how much is stored, and let go of what lies well behind that."""
        if self.start is not None:
            size = client.execute_command(command("INFO", self._facts.id, "size"))
            self._note(size - self.start)

    def _attempt(self) -> RacsException | None:
        """Record in one session, to the end; return what broke it off, if it can go on.

        Raises
        ------
        RacsException, NotOursError
            It cannot.
        """
        try:
            with self._connect() as racs:
                racs.stream(self._facts.id).execute(self._audio(racs))
        except (RacsConnectionError, RacsServerError) as error:
            # the last session's own error comes first, if closing the stream failed as well
            text = str(error)
            hopeless = isinstance(error, RacsAuthError) or _GONE in text
            begun = self.start is not None or (IN_USE in text and time.monotonic() < self._until)
            if hopeless or not begun:
                raise
            return error
        self.stored = self._spool.end
        return None

    def _audio(self, racs: Racs) -> Iterator[bytes]:
        """Yield what the stream does not have; called when the stream has been opened."""
        size = racs.execute_command(command("INFO", self._facts.id, "size"))
        if self.start is None:
            self.start = size
        place = size - self.start
        self._compare(racs, place)
        self._note(place)
        self._tell(None)
        yield from self._spool.read_from(place)

    def _compare(self, racs: Racs, place: int) -> None:
        """Make sure that the stream ends with what was recorded up to a place."""
        assert self.start is not None
        frame = self._facts.frame_bytes
        if not self._spool.base <= place <= self._spool.end:
            raise NotOursError(
                f"{self._facts.id!r} has {(self.start + place) // frame} sample frames, and this"
                f" recording can go on from {(self.start + self._spool.base) // frame} to"
                f" {(self.start + self._spool.end) // frame}: somebody else has used it"
            )
        first = max(self._spool.base, place - _COMPARED // frame * frame)
        ends = [(self.start + each) // frame for each in (first, place)]
        there = b"".join(iter_pcm(racs, self._facts, *ends))
        if there != self._spool.peek(first, place):
            raise NotOursError(
                f"{self._facts.id!r} ends with audio that is not of this recording: somebody else"
                " has used it"
            )

    def _note(self, stored: int) -> None:
        self.stored = max(self.stored, stored)
        self._spool.release(stored - _BEHIND)
