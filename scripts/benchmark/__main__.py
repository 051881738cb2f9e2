"""Measure the server on this machine: ``scripts/bench``.

Server and limits run on one core, what makes the load on another. Each row is measured in turns
with its limit: the simplest program that does only what cannot be avoided (see `limits`).
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scripts.benchmark import client, extract, formats, ingest, scheme, streams, under_load
from scripts.benchmark.rows import Bench, Outcome, Row, chosen, measure
from scripts.benchmark.table import print_table, write_json

_HERE = Path(__file__).resolve().parents[2] / ".bench"

SECTIONS: dict[str, Sequence[Row]] = {
    "audio in": ingest.ROWS,
    "audio out": extract.ROWS,
    "files": formats.ROWS,
    "streams": streams.ROWS,
    "client": client.ROWS,
    "under load": under_load.ROWS,
    "programs": scheme.ROWS,
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds: two minutes")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows with this in their names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument("--folder", type=Path, default=_HERE, help="on the disk to be measured")
    parser.add_argument("--list", action="store_true", help="list the rows and measure nothing")
    arguments = parser.parse_args()
    outcomes: list[Outcome] = []
    console = Console(stderr=True)
    arguments.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="racs-bench-", dir=arguments.folder) as folder:
        bench = Bench(Path(folder) / "data", quick=arguments.quick)
        try:
            for section, rows in SECTIONS.items():
                rows = chosen(rows, arguments.only, quick=arguments.quick)
                if arguments.list:
                    print(*(row.name for row in rows), sep="\n")
                else:
                    _measure_section(section, rows, bench, console, outcomes)
        except KeyboardInterrupt:
            console.print(f"interrupted: {len(outcomes)} rows were measured")
    if outcomes:
        print_table(outcomes)
        if arguments.json is not None:
            write_json(outcomes, arguments.json)


def _measure_section(
    section: str, rows: Sequence[Row], bench: Bench, console: Console, outcomes: list[Outcome]
) -> None:
    try:
        with console.status(section) as status:
            for row in rows:
                status.update(row.name)
                outcomes.append(measure(row, bench))
    finally:
        bench.clear()


if __name__ == "__main__":
    main()
