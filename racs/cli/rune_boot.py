"""Runs a rune's script or notebook; started by ``racs rune run`` with the Python of the rune.

Uses the standard library alone: the rune's environment need not have this package.
"""

import ast
import asyncio
import json
import logging
import runpy
import sys
from pathlib import Path
from typing import Any

ADVICE = (
    "runes need the package runes-client in the Python that runs them, which has to be 3.12 or"
    " older: python3.11 -m venv runes; runes/bin/pip install runes-client==0.9.4; then"
    " racs rune run --python runes/bin/python …"
)


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
    if not hasattr(runes_client, "results"):
        runes_client.results = runes_client.output


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
    if path.suffix == ".ipynb":
        run_notebook(path)
    else:
        runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    main()
