"""Runs a rune's script or notebook; started by ``racs rune run`` with the Python of the rune.

Uses the standard library alone: the rune's environment need not have this package.
"""

import ast
import asyncio
import atexit
import contextlib
import functools
import inspect
import io
import json
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

ADVICE = (
    "runes need the package runes-client in the Python that runs them, which has to be 3.12 or"
    " older: python3.11 -m venv runes; runes/bin/pip install runes-client==0.9.4; then"
    " racs rune run --python runes/bin/python …"
)

SOUNDS = (".wav", ".wave", ".aif", ".aiff", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a")
"""Endings of files that the client converts before it gives them out: to 16 bits, at its rate."""
_PATIENCE = 600.0


def prepare() -> None:
    """Check the Python, and give `runes_client` what older scripts expect of it."""
    if sys.version_info >= (3, 13):
        sys.exit(f"this is Python {sys.version_info[0]}.{sys.version_info[1]}: {ADVICE}")
    # numba, which it imports, writes thousands of lines at the level that the client sets
    logging.getLogger("numba").setLevel(logging.WARNING)
    try:
        import runes_client
    except ModuleNotFoundError as error:
        if error.name != "runes_client":
            raise
        sys.exit(f"there is no runes-client here ({sys.executable}): {ADVICE}")
    modules: list[Any] = [runes_client, sys.modules.get("runes_client.core")]  # scripts use either
    for module in filter(None, modules):
        if hasattr(module, "output") and not hasattr(module, "results"):
            module.results = module.output
        for name, around in _AROUND.items():
            function = getattr(module, name, None)
            if callable(function):
                setattr(module, name, around(function))


_ended: list[bool] = []
"""Whether a connection to the hub is over; one element for each that is."""


def _with_an_end(connect: Callable[..., Any]) -> Callable[..., Any]:
    """Return what connects in the same way; see `leave`."""

    @functools.wraps(connect)
    def connecting(*args: Any, **kwargs: Any) -> Any:
        try:
            return connect(*args, **kwargs)
        finally:
            _ended.append(True)

    return connecting


def leave(status: int) -> None:
    """End the process when the script has ended.

    The client's heartbeats go on in a thread of their own, and would keep a process alive that does
    nothing else any more: as after ``sys.exit()`` in a rune's function.
    """
    if not _ended:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)


def _with_originals(give: Callable[..., Any]) -> Callable[..., Any]:
    """Return what gives the same object, whose sounds go to the hub as they are as well.

    The object is there only when a function has been registered.
    """

    @functools.wraps(give)
    def giving(*args: Any, **kwargs: Any) -> Any:
        output = give(*args, **kwargs)
        _send_originals(type(output))
        return output

    return giving


def _with_reasons(register: Callable[..., Any]) -> Callable[..., Any]:
    """Return what registers functions that tell all of it when they fail.

    The client keeps what a function prints until it is done, and drops it, and where it failed, if
    it fails.
    """

    @functools.wraps(register)
    def registering(function: Any, *args: Any, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            function = _telling(function)
        return register(function, *args, **kwargs)

    return registering


def _telling(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def telling(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except Exception:
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, io.StringIO):
                    print(stream.getvalue(), end="", file=sys.__stderr__)
            traceback.print_exc(file=sys.__stderr__)
            raise

    telling.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return telling


_AROUND: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "register_method": _with_reasons,
    "connect_to_server": _with_an_end,
    "output": _with_originals,
    "results": _with_originals,
}
"""Functions of the client, and what is put around them."""


def _send_originals(kind: Any) -> None:
    convert = getattr(kind, "add_file", None)
    if not inspect.iscoroutinefunction(convert) or hasattr(convert, "__racs_original__"):
        return

    @functools.wraps(convert)
    async def add_file(self: Any, *args: Any, **kwargs: Any) -> Any:
        for path in [*args, *kwargs.values()][:1]:
            await asyncio.to_thread(send_original, path)
        return await convert(self, *args, **kwargs)

    add_file.__racs_original__ = True  # type: ignore[attr-defined]
    kind.add_file = add_file


def send_original(path: Any) -> None:
    """Send the hub a sound before the client converts it; the rune goes on whatever happens."""
    try:
        name = os.path.basename(os.fspath(path))  # noqa: PTH119 (of any type, also of none)
        if not name.lower().endswith(SOUNDS):
            return
        url = os.environ["DN_CLIENT_API_BASE_URL"]
        with open(path, "rb") as file:  # noqa: PTH123
            size = str(os.fstat(file.fileno()).st_size)
            request = Request(  # noqa: S310 (the launcher has set it)
                f"{url}api/rune/original?name={quote(name, safe='')}",
                file,
                {"Content-Length": size, "Content-Type": "application/octet-stream"},
                method="PUT",
            )
            urlopen(request, timeout=_PATIENCE).close()  # noqa: S310
    except Exception as error:
        why = error.read().decode(errors="replace") if isinstance(error, HTTPError) else error
        print(f"racs: the hub did not get {path!r} as it is: {why}", file=sys.stderr)


def run_notebook(path: Path) -> None:
    """Run the code cells of a notebook in order; lines for the notebook itself are left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] != "code":
            continue
        lines = "".join(cell["source"]).splitlines()
        source = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, f"{path}, cell {number}", "exec", flags=flags)
        waiting = eval(code, space)  # noqa: S307 (running it is what this is for)
        if waiting is not None:
            asyncio.run(waiting)


def main() -> None:
    """Run what the command line names."""
    sys.argv = sys.argv[1:]
    path = Path(sys.argv[0])
    sys.path[0] = str(path.resolve().parent)
    prepare()
    status = 0
    try:
        if path.suffix == ".ipynb":
            run_notebook(path)
        else:
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
        status = 1
    leave(status)


if __name__ == "__main__":
    main()
