"""The table that is printed, and the JSON that is written."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from scripts.benchmark.rows import Outcome


def spread(figures: Sequence[float]) -> str:
    """Return the range of figures, or nothing for one."""
    return f"{show(min(figures))} - {show(max(figures))}" if len(figures) > 1 else ""


def show(figure: float) -> str:
    """Return a figure with three digits that count."""
    if figure >= 1000:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"


def print_table(outcomes: Sequence[Outcome]) -> None:
    """Print a table of what was measured: medians, and from the least to the most."""
    table = Table(box=None, pad_edge=False)
    table.add_column("what")
    table.add_column("unit")
    for heading in ("racs-store", "spread", "limit", "spread", "of limit", "C program"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        if not outcome.ours:
            table.add_row(outcome.name, outcome.unit, f"[dim]{outcome.remark}[/]")
            continue
        cells = [show(statistics.median(outcome.ours)), f"[dim]{spread(outcome.ours)}[/]"]
        if outcome.limit and outcome.ratio is not None:
            limit = show(statistics.median(outcome.limit))
            cells += [limit, f"[dim]{spread(outcome.limit)}[/]", f"[bold]{outcome.ratio:.2f}[/]"]
        else:
            cells += ["", "", ""]
        peer = "" if outcome.peer is None else show(outcome.peer)
        table.add_row(outcome.name, outcome.unit, *cells, peer)
    Console(width=None if os.isatty(1) else 170).print(table)


def write_json(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write all figures of all rounds."""
    contents = {
        "machine": platform.platform(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "rows": [
            {
                **msgspec.to_builtins(outcome),
                "median": statistics.median(outcome.ours) if outcome.ours else None,
                "median_limit": statistics.median(outcome.limit) if outcome.limit else None,
                "of_limit": outcome.ratio,
            }
            for outcome in outcomes
        ],
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(contents)))
