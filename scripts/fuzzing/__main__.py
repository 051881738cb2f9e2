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
_LONGEST = {"commands": 128, "scheme-read": 48, "scheme-run": 32}
"""Bytes of an input: short ones say as much and are done sooner. Others have at most 256."""
_HANGS = 1200
"""Seconds after which an input hangs: the process may have been stopped for a while meanwhile."""
_KEEP_EVERY = 30.0
"""Seconds between two times that a run's inputs are written down."""
_INPUTS = re.compile(r"(?:(\d+) inputs|Done (\d+) runs)")
_PLACES = re.compile(r"\bcov: (\d+).*\bcorp: (\d+)")


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
            total = _Total(ROOT / ".fuzz" / name / "totals.json")
            corpus, found = _fuzz(console, name, total, seconds, runs, seed)
            failed |= found is not None
            table.add_row(
                name, f"{total.inputs:,}", f"{total.inputs_in_all:,}", f"{total.hours_in_all:.1f}",
                f"{corpus:,}", _coverage(name), found or "no promise broken",
            )  # fmt: skip
    except KeyboardInterrupt:
        console.print("interrupted: what was found so far is kept")
    console.print(table)
    sys.exit(1 if failed else 0)


class _Total:
    """What a target has had in this run and in all; kept in a file while it runs.

    Parameters
    ----------
    path
        The file: inputs and seconds of all runs until now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        before = json.loads(path.read_text("utf-8")) if path.exists() else [0, 0.0]
        self._inputs_before, self._seconds_before = int(before[0]), float(before[1])
        self._began = self._kept = time.monotonic()
        self.inputs = 0

    @property
    def inputs_in_all(self) -> int:
        """Inputs of all runs."""
        return self._inputs_before + self.inputs

    @property
    def hours_in_all(self) -> float:
        """Hours of all runs."""
        return self._seconds_in_all() / 3600

    def _seconds_in_all(self) -> float:
        return self._seconds_before + time.monotonic() - self._began

    def reached(self, inputs: int) -> None:
        """Take note of how many inputs there were in this run; write it down now and then."""
        self.inputs = inputs
        if time.monotonic() > self._kept + _KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Write the file."""
        self._kept = time.monotonic()
        self._path.write_text(json.dumps([self.inputs_in_all, self._seconds_in_all()]), "utf-8")


def _fuzz(
    console: Console, name: str, total: _Total, seconds: int, runs: int, seed: int
) -> tuple[int, str | None]:
    """Run one target; return its corpus' size and what was found."""
    folder = ROOT / ".fuzz" / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "scripts.fuzzing.worker", name, str(corpus), str(SEEDS / name),
        f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}",
        f"-max_len={_LONGEST.get(name, 256)}", f"-timeout={_HANGS}", "-rss_limit_mb=2048",
        "-entropic_scale_per_exec_time=1",
        f"-artifact_prefix={folder}/",
    ]  # fmt: skip
    tail, places = list[str](), ""
    with (
        console.status(name) as status,
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as worker,
    ):
        assert worker.stderr is not None
        for line in worker.stderr:
            if match := _INPUTS.match(line):
                total.reached(int(match[1] or match[2]))
                status.update(f"{name}: {total.inputs:,} inputs, {places}")
                continue
            tail = [*tail[-40:], line.rstrip()]
            if match := _PLACES.search(line):
                places = f"{match[1]} places, corpus {match[2]}"
    total.keep()
    found = None
    if worker.returncode:
        console.print("\n".join(tail), markup=False)
        found = "broken: " + next((line for line in tail if folder.as_posix() in line), "see above")
    return sum(1 for _ in corpus.iterdir()), found


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
