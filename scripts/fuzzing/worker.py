"""The process that fuzzes one target, and the one that measures which lines a corpus reaches."""

import importlib
import json
import sys
from pathlib import Path

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


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz until the limits among the arguments; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["racs", "racs_server", "lark"]):
        module = importlib.import_module("scripts.fuzzing.targets")
    atheris.Setup([sys.argv[0], *arguments], module.TARGETS[name])
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
