"""The programs that are measured: started on cores of their own, looked at, and ended."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


class Program:
    """A server, ours or one of `limits`.

    Parameters
    ----------
    module
        What ``python -m`` runs; its first line of output has the port.
    arguments
        Its command line.
    cores
        Where it runs.
    """

    def __init__(self, module: str, arguments: Sequence[str], cores: set[int]) -> None:
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r":(\d+), data in|^(\d+)$", line)
        if found is None:
            raise RuntimeError(f"{module} did not start; its message is above")
        self.start_time = time.perf_counter() - began
        """Seconds from its start until it listened."""
        self.port = int(found[1] or found[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it is gone."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.communicate()

    def cpu_time(self) -> float:
        """Return the seconds of CPU time that it has taken, user and system."""
        path = Path(f"/proc/{self._process.pid}/stat")
        fields = path.read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return its resident memory in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6


def racs_server(folder: Path, cores: set[int], *flags: str) -> Program:
    """Start our server on a data folder."""
    arguments = ["--port", "0", "--data-dir", str(folder), "--log-level", "error", *flags]
    return Program("racs_server", arguments, cores)


def limit(job: str, folder: Path, cores: set[int], detail: str = "") -> Program:
    """Start one of the programs in `limits`."""
    return Program("scripts.benchmark.limits", [job, str(folder), detail], cores)
