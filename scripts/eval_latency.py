"""Measure what EVAL costs others: PING's round trips while programs use all their time.

Run ``python -m scripts.eval_latency [SECONDS]``. Prints the delay of a PING alone, beside a program
that loops, beside one that multiplies the largest integers there are, and beside both; and the
round trip of a small EVAL.
"""

import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from racs import Racs, RacsException
from tests.e2e.daemon import Daemon

LOOP = "EVAL '(let loop () (loop))'"
MULTIPLY = (
    "EVAL '(define x (- (expt 2 131000) 1)) (let loop () (* x 1) (quotient (* x 1) 3) (loop))'"
)
SUM = "EVAL '(+ 1 2)'"


def round_trips(racs: Racs, text: str, seconds: float) -> np.ndarray:
    """Return the round trips' times of a command, in ms, one each 2 ms."""
    found = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        racs.execute_command(text)
        found.append(time.perf_counter() - begun)
        time.sleep(0.002)
    return np.array(found) * 1000


def show(name: str, times: np.ndarray) -> None:
    """Print a line of figures."""
    middle, high, top = np.percentile(times, (50, 99, 100))
    print(
        f"{name:32} median {middle:7.3f} ms  p99 {high:7.3f} ms  max {top:7.3f} ms  n {len(times)}"
    )


def occupy(daemon: Daemon, text: str) -> None:
    """Have a program use all its time, which is its error."""
    with daemon.client(timeout=60) as racs, contextlib.suppress(RacsException):
        racs.execute_command(text)


def memory(process: int) -> str:
    """Return a process's memory, resident and its own alone, in MiB."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    rss, *_ = re.findall(r"Rss:\s+(\d+) kB", text)
    own = sum(map(int, re.findall(r"Private_\w+:\s+(\d+) kB", text)))
    return f"resident {int(rss) / 1024:.1f} MiB, its own {own / 1024:.1f} MiB"


def children(process: int) -> list[int]:
    """Return a process's children, of all its threads."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(each) for found in lists for each in found.read_text(encoding="ascii").split()]


def main(seconds: float) -> None:
    """Run all measurements."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--eval-time", str(seconds), "--eval-steps", str(1 << 40)]
        with Daemon(Path(folder), *flags) as daemon, daemon.client() as racs:
            print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
            begun = time.perf_counter()
            racs.execute_command(SUM)
            print(
                f"the first EVAL of a new server     {(time.perf_counter() - begun) * 1000:.0f} ms"
            )
            time.sleep(3)
            print(f"server                             {memory(daemon.process.pid)}")
            for worker in children(daemon.process.pid):
                print(f"worker                             {memory(worker)}")
                for child in children(worker):
                    print(f"  its child                        {memory(child)}")
            show("PING alone", round_trips(racs, "PING", 3))
            for name, texts in (
                ("PING beside a loop", [LOOP]),
                ("PING beside multiplications", [MULTIPLY]),
                ("PING beside both", [LOOP, MULTIPLY]),
            ):
                threads = [threading.Thread(target=occupy, args=(daemon, text)) for text in texts]
                for thread in threads:
                    thread.start()
                show(name, round_trips(racs, "PING", seconds))
                for thread in threads:
                    thread.join()
            show("EVAL '(+ 1 2)'", round_trips(racs, SUM, 3))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
