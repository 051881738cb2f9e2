"""A rune's process, and what is told to the hub of it while it lives."""

import codecs
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from racs.cli.base import UNREACHABLE, Failure

_REPORT = 0.5
_PATIENCE = 3.0
_HTTP_TIME = 10.0
_MOST_KEPT = 1 << 20
"""Characters of what a rune prints that wait for the hub."""
_MOST_PIECES = 10_000
_ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Calls:
    """JSON over HTTP.

    Parameters
    ----------
    ca
        A certificate that vouches for the server, besides the usual ones.
    """

    def __init__(self, ca: str | None = None) -> None:
        self._context = ssl.create_default_context()
        if ca is not None:
            self._context.load_verify_locations(ca)

    def __repr__(self) -> str:
        return "<Calls>"

    def post(self, url: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """Return what the server answers.

        Raises
        ------
        Failure
            It refuses, or is not there.
        """
        if not url.startswith(("http://", "https://")):
            raise Failure(f"{url!r} is no address of a hub: expected http://host:port")
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
        context = self._context if url.startswith("https") else None
        try:
            with urlopen(request, timeout=_HTTP_TIME, context=context) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as error:
            raise Failure(_detail(error)) from None
        except (URLError, OSError, HTTPException, ValueError) as error:
            why = getattr(error, "reason", error)
            raise Failure(
                f"there is no hub at {url}: {why}. Start one with racs-server --hub-port 8765, or"
                " name another with --hub",
                UNREACHABLE,
            ) from None


def _detail(error: HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the hub says {error.code} {error.reason}"


class Launch:
    """One life of a rune's process.

    Parameters
    ----------
    command, environment
        The process.
    base
        The hub's address with the rune's key.
    calls
        How to reach it.
    """

    def __init__(
        self, command: list[str], environment: dict[str, str], base: str, calls: Calls
    ) -> None:
        self._command = command
        self._environment = environment
        self._url = f"{base}api/rune/output"
        self._calls = calls
        self._printed = Printed()

    def __repr__(self) -> str:
        return f"<Launch {self._command}>"

    def run(self) -> int | None:
        """Run it to its end; its exit status, or None if the page has stopped it.

        What ends this program by a signal ends the rune as well.
        """
        process = subprocess.Popen(  # noqa: S603 (running it is what this is for)
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            with _interrupted_by(*_ENDING):
                while process.poll() is None:
                    time.sleep(_REPORT)
                    if self._report():
                        return None
            return process.returncode
        except KeyboardInterrupt:
            return 0
        finally:
            _end(process)
            reader.join(_PATIENCE)
            self._report(f"the rune's process has ended, with status {process.returncode}")

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while piece := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            self._printed.add(decoder.decode(piece))

    def _report(self, ended: str = "") -> bool:
        """Send the hub what was printed, and why it is over; whether the rune is to be stopped."""
        pieces = self._printed.take()
        now = time.monotonic()
        printed = [(now - then, text) for then, text in pieces]
        try:
            answer = self._calls.post(self._url, {"printed": printed, "ended": ended})
        except Failure:
            self._printed.give_back(pieces)  # the hub may be back soon; the rune says what is wrong
            return False
        return bool(answer.get("stop"))


class Printed:
    """What a process has printed, and when, until somebody is told; of much, the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: deque[tuple[float, str]] = deque()
        self._size = 0

    def __repr__(self) -> str:
        return f"<Printed {self._size} characters>"

    def add(self, text: str) -> None:
        """Take what was printed now."""
        with self._lock:
            self._pieces.append((time.monotonic(), text))
            self._size += len(text)
            self._cut()

    def take(self) -> list[tuple[float, str]]:
        """Return all of it, in order, with its times; nothing is left."""
        with self._lock:
            taken = list(self._pieces)
            self._pieces.clear()
            self._size = 0
        return taken

    def give_back(self, taken: list[tuple[float, str]]) -> None:
        """Take what could not be told after all."""
        with self._lock:
            self._pieces.extendleft(reversed(taken))
            self._size += sum(len(text) for _, text in taken)
            self._cut()

    def _cut(self) -> None:
        while self._size > _MOST_KEPT or len(self._pieces) > _MOST_PIECES:
            then, text = self._pieces.popleft()
            kept = text[beyond:] if (beyond := self._size - _MOST_KEPT) > 0 else ""
            self._size -= len(text) - len(kept)
            if kept:
                self._pieces.appendleft((then, kept))


@contextmanager
def _interrupted_by(*signals: int) -> Iterator[None]:
    """Have signals do what Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
