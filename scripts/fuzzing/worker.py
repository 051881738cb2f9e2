"""The process that fuzzes one target, and the one that measures which lines a corpus reaches."""

import gc
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import atheris
from atheris.import_hook import HookManager

ABOUT = {
    "wire": ("racs/wire/connection.py", "racs/wire/frames.py", "racs/wire/events.py"),
    "replies": ("racs/wire/connection.py", "racs/wire/replies.py"),
    "commands": (
        "racs_server/lang/*",
        "racs_server/commands/check.py",
        "racs_server/glob.py",
    ),
    "segment": (
        "racs_server/storage/checksums.py",
        "racs_server/storage/segment.py",
        "racs_server/storage/stream.py",
        "racs_server/storage/attachments.py",
    ),
    "log": ("racs_server/storage/log.py", "racs_server/storage/records.py"),
    "scheme-read": (
        "racs_server/scheme/builder.py",
        "racs_server/scheme/graphs.py",
        "racs_server/scheme/literals.py",
        "racs_server/scheme/printer.py",
        "racs_server/scheme/reader.py",
    ),
    "scheme-run": ("racs_server/scheme/*",),
}
"""The files that each target is about."""

REPORT_EVERY = 5000
"""Inputs between two lines that say how many there were."""


class _Reached:
    """A target whose branches are gathered while it runs, and handed over to the fuzzer at its end.

    Instrumented code calls ``atheris._trace_branch`` at every branch, which leads through C++ and
    takes most of the time. Here it is the ``add`` of a set: how often a branch was taken does not
    count, and there are several times as many inputs in a second.

    Parameters
    ----------
    target
        What is fuzzed.
    """

    def __init__(self, target: Callable[[bytes], None]) -> None:
        self._target = target
        self._branches: set[int] = set()
        self._add = self._branches.add
        self._tell: Callable[[int], None] | None = None
        self._inputs = 0

    def __call__(self, data: bytes) -> None:
        if self._tell is None:
            # Only now: atheris puts its own functions there when it begins.
            self._tell, atheris._trace_branch = atheris._trace_branch, self._add
        self._branches.clear()
        self._target(data)
        for branch in self._branches:
            self._tell(branch)
        self._inputs += 1
        if self._inputs % REPORT_EVERY == 0:
            # libFuzzer says nothing for hours when it finds nothing new.
            print(f"{self._inputs} inputs", file=sys.stderr, flush=True)


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz until the limits among the arguments; ends the process."""
    # Comparisons are not traced: seeds and shapes have the words that matter in them already.
    with HookManager({"racs", "racs_server"}, set(), False, trace_dataflow=False):
        module = importlib.import_module("scripts.fuzzing.targets")
    gc.freeze()
    atheris.Setup([sys.argv[0], *arguments], _Reached(module.TARGETS[name]))
    atheris.Fuzz()


def measure(name: str, folders: list[str]) -> None:
    """Print how many lines the corpus reaches, and how many there are."""
    import coverage

    measured = coverage.Coverage(data_file=None, include=list(ABOUT[name]))
    measured.start()
    targets = importlib.import_module("scripts.fuzzing.targets").TARGETS
    for folder in folders:
        for path in sorted(Path(folder).iterdir()):
            targets[name](path.read_bytes())
    measured.stop()
    reached = lines = 0
    for file in measured.get_data().measured_files():
        _, statements, _, missing, _ = measured.analysis2(file)
        lines += len(statements)
        reached += len(statements) - len(missing)
    print(json.dumps([reached, lines]))


if __name__ == "__main__":
    if sys.argv[1] == "--coverage":
        measure(sys.argv[2], sys.argv[3:])
    else:
        fuzz(sys.argv[1], sys.argv[2:])
