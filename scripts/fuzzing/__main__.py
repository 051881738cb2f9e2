"""Fuzz the readers of everything that comes from outside, guided by coverage.

``scripts/fuzz wire --seconds 3600`` runs one target; without a name, all, one after the other.
What was found to be interesting is kept in ``.fuzz/<target>/corpus`` and used again the next time;
what broke a promise is in ``.fuzz/<target>/crash-...`` and belongs into ``tests/fuzz/seeds``.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "tests" / "fuzz" / "seeds"
NAMES = sorted(path.name for path in SEEDS.iterdir())
_LONGEST = {"scheme-read": 256, "scheme-run": 128}
"""Bytes of an input, where short ones say as much and are done sooner."""
_STATUS = re.compile(r"#(\d+)\s.*\bcov: (\d+).*\bcorp: (\d+)")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, type=click.Choice(NAMES))
@click.option("--seconds", default=60, show_default=True, help="How long each target runs at most.")
@click.option("--runs", default=-1, help="How many inputs each gets at most; -1: no limit.")
@click.option("--seed", default=0, help="For the same choices again; 0 takes any.")
def main(targets: tuple[str, ...], seconds: int, runs: int, seed: int) -> None:
    """Fuzz TARGETS, and print what was tried and which lines of the program it reached."""
    console = Console()
    table = Table("target", "inputs", "in all", "hours", "corpus", "lines reached", "result")
    failed = False
    try:
        for name in targets or NAMES:
            inputs, took, corpus, found = _fuzz(console, name, seconds, runs, seed)
            in_all, hours = _add_up(name, inputs, took)
            failed |= found is not None
            table.add_row(
                name, f"{inputs:,}", f"{in_all:,}", f"{hours:.1f}", f"{corpus:,}",
                _coverage(name), found or "no promise broken",
            )  # fmt: skip
    except KeyboardInterrupt:
        console.print("interrupted: what was found so far is kept")
    console.print(table)
    sys.exit(1 if failed else 0)


def _fuzz(
    console: Console, name: str, seconds: int, runs: int, seed: int
) -> tuple[int, float, int, str | None]:
    """Run one target; return its inputs, its seconds, its corpus' size and what was found."""
    folder = ROOT / ".fuzz" / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "scripts.fuzzing.worker", name, str(corpus), str(SEEDS / name),
        f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}",
        f"-max_len={_LONGEST.get(name, 2048)}", "-timeout=20", "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/",
    ]  # fmt: skip
    began = time.monotonic()
    inputs, tail = 0, list[str]()
    with (
        console.status(name) as status,
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as worker,
    ):
        assert worker.stderr is not None
        for line in worker.stderr:
            tail = [*tail[-40:], line.rstrip()]
            if match := _STATUS.match(line):
                inputs = int(match[1])
                status.update(f"{name}: {inputs:,} inputs, {match[2]} places, corpus {match[3]}")
            elif match := re.match(r"Done (\d+) runs", line):
                inputs = int(match[1])
    took = time.monotonic() - began
    found = None
    if worker.returncode:
        console.print("\n".join(tail), markup=False)
        found = "broken: " + next((line for line in tail if folder.as_posix() in line), "see above")
    return inputs, took, sum(1 for _ in corpus.iterdir()), found


def _add_up(name: str, inputs: int, seconds: float) -> tuple[int, float]:
    """Return how many inputs, in how many hours, a target has had over all runs here."""
    path = ROOT / ".fuzz" / name / "totals.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else [0, 0.0]
    in_all, spent = int(before[0]) + inputs, float(before[1]) + seconds
    path.write_text(json.dumps([in_all, spent]), "utf-8")
    return in_all, spent / 3600


def _coverage(name: str) -> str:
    """Return how many lines of what the target is about its corpus reaches."""
    command = [sys.executable, "-m", "scripts.fuzzing.worker", "--coverage", name]
    folders = [str(ROOT / ".fuzz" / name / "corpus"), str(SEEDS / name)]
    done = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().rpartition("\n")[2]
    reached, lines = json.loads(done.stdout.rpartition("\n")[2] or done.stdout)
    return f"{reached} of {lines} ({100 * reached // max(1, lines)} %)"


if __name__ == "__main__":
    main()
