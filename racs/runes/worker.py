"""The thread that brings waiting runs to the store."""

import logging
import threading
import time

from racs.client import Racs
from racs.errors import RacsConnectionError, RacsException
from racs.runes.sending import send
from racs.runes.spool import Spool

_SHORTEST, _LONGEST = 1.0, 60.0
"""Seconds between two attempts while something waits: twice as long each time."""

_log = logging.getLogger("racs.runes")


class Worker:
    """Sends what waits in a spool, in a thread of its own that is started when it is needed.

    Parameters
    ----------
    store
        Where to; may be replaced.
    spool
        What waits.
    """

    def __init__(self, store: Racs, spool: Spool) -> None:
        self.store = store
        self.spool = spool
        self._changed = threading.Condition()
        self._asked = 0
        self._done = 0
        self._left = 0
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Worker for {self.spool!r}, {self._left} runs left>"

    def wake(self) -> int:
        """Have it look; return the number of the look that has then been taken."""
        with self._changed:
            self._asked += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="racs-runes", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return self._asked

    def flush(self, timeout: float | None = None) -> int:
        """Try to send all that waits now; return how many runs wait still.

        Parameters
        ----------
        timeout
            Seconds to wait at most.
        """
        if not len(self.spool):
            return 0
        number = self.wake()
        with self._changed:
            done = self._changed.wait_for(lambda: self._done >= number, timeout)
            return self._left if done else len(self.spool)

    def _work(self) -> None:
        pause = _SHORTEST
        while True:
            with self._changed:
                number = self._asked
            left = self._send_all()
            pause = min(2 * pause, _LONGEST) if left else _SHORTEST
            with self._changed:
                self._done, self._left = number, left
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda seen=number: self._asked > seen,  # type: ignore[misc]
                    pause if left else None,
                )

    def _send_all(self) -> int:
        """Send what waits; return how much is left."""
        try:
            self.spool.sweep()
            for job in self.spool.waiting():
                removed = False
                try:
                    begun = time.monotonic()
                    record = send(self.store, job)
                    job.remove()
                    removed = True
                    spent = time.monotonic() - begun
                    _log.info("run %s of %r archived in %.2f s", record.run, record.rune, spent)
                except RacsConnectionError as error:
                    _log.warning("%d runs wait on disk: %s", len(self.spool), error)
                    break
                except (RacsException, OSError, ValueError) as error:
                    _log.error("run %s waits on disk: %s", job.record.run, error)
                finally:
                    if not removed:
                        job.release()
        except Exception:
            _log.exception("sending runs failed, and is tried again later")
        return len(self.spool)
