"""A real server process, as a user starts it."""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from racs import Racs


class Daemon:
    """``racs-server`` on a free port of its own.

    Parameters
    ----------
    data_dir
        Its data folder.
    flags
        Further options.
    wrapper
        A command that is given the server's as its arguments.
    program
        The module that is run.
    """

    def __init__(
        self,
        data_dir: Path,
        *flags: str,
        wrapper: Sequence[str] = (),
        program: str = "racs_server",
    ) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", program, "--port", "0", "--data-dir", str(data_dir)]
        # a file, since a pipe that nobody empties would hold the server up once it is full
        self._log = tempfile.TemporaryFile("a+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*wrapper, *command, *flags], stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        match = re.search(r":(\d+), data in", self.greeting)
        if match is None:
            self.process.communicate()
            log = self.log()
            self._log.close()
            raise AssertionError(f"the server did not start: {log}")
        self.port = int(match[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop()
        self.process.communicate()
        self._log.close()

    def log(self) -> str:
        """Return all that it has logged."""
        self._log.seek(0)
        return self._log.read()

    def client(self, **options: object) -> Racs:
        """Return a client of this server."""
        return Racs(host="127.0.0.1", port=self.port, **options)  # type: ignore[arg-type]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it in order; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()

    def memory(self) -> int:
        """Return its resident memory, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024
