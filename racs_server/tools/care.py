"""``verify``, ``repair``, ``backup``, ``restore``: the terminal's side of looking after archives.

Exit status: 0 all is well, 1 there is damage, 2 wrong use or something cannot be read, 130 stopped
with Ctrl-C.
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task
from rich.text import Text

from racs_server.app import SystemClock
from racs_server.config import Settings
from racs_server.errors import StartError, StorageError
from racs_server.glob import compile_glob
from racs_server.storage import Disk, care
from racs_server.tools.options import takes_settings

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_OK, _DAMAGE, _UNREADABLE, _STOPPED = 0, 1, 2, 130


def _tool(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command what all of these have: the data folder, JSON, the meaning of errors."""

    @functools.wraps(command)
    def run(settings: Settings, **arguments: Any) -> int:
        totals = care.Totals()
        try:
            return command(settings=settings, totals=totals, **arguments)
        except StorageError as error:
            click.echo(f"racs-server: {error}", err=True)
            return _UNREADABLE
        except OSError as error:
            where = error.filename or settings.data_dir
            click.echo(
                f"racs-server: {where}: {error.strerror}. Look after the disk, and begin again",
                err=True,
            )
            return _UNREADABLE
        except KeyboardInterrupt:
            click.echo(
                f"racs-server: stopped after {totals.streams} of {totals.all_streams} streams,"
                f" {decimal(totals.pcm_bytes)} of PCM",
                err=True,
            )
            return _STOPPED

    return takes_settings("data_dir")(_JSON(run))


@click.command()
@click.argument("pattern", default="*")
@_tool
def verify(settings: Settings, totals: care.Totals, pattern: str, as_json: bool) -> int:
    """Read all that is archived, and tell what is damaged.

    PATTERN chooses streams by their ids, as LIST does. Nothing is changed, and a server may go on
    meanwhile: what it has taken since its last checkpoint is checked against its log.

    Exit status: 0 nothing (new) is damaged, 1 something is, 2 it cannot be read.
    """
    disk = _archive(settings.data_dir)
    live = disk.in_use()
    findings: list[care.Finding] = []
    with _progress(totals):
        for finding in care.verify(care.Survey(disk, live=live), totals, compile_glob(pattern)):
            findings.append(finding)
            if not as_json:
                click.echo(str(finding))
    damaged = sum(not finding.known for finding in findings)
    if not totals.all_streams and pattern != "*":
        raise StartError(f"no stream of {settings.data_dir} has an id that matches {pattern!r}")
    if as_json:
        _print_json({"live": live, **msgspec.to_builtins(totals), "findings": findings})
    else:
        known = len(findings) - damaged
        click.echo(
            f"{totals.streams} streams, {totals.frames} sample frames, {decimal(totals.pcm_bytes)}"
            f" of PCM read: {damaged or 'no'} damage{f', {known} known' if known else ''}"
            + (" (a server is running: its catalogue was left out)" if live else "")
        )
        if damaged:
            click.echo("`racs-server repair --dry-run` tells what can be done about it")
    return _DAMAGE if damaged else _OK


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be done; change nothing.")
@_tool
def repair(settings: Settings, totals: care.Totals, dry_run: bool, as_json: bool) -> int:
    """Bring a damaged archive back into order; the server must be stopped.

    The catalogue and damaged checksum files are made anew, what is torn is cut, damaged files and
    copies of damaged audio are put into the folder "lost". No audio is deleted: what cannot be
    believed stays an error to read, and all around it can be read again.
    """
    disk = _archive(settings.data_dir)
    if dry_run and disk.in_use():
        raise StartError(f"a server has the data folder {settings.data_dir}: stop it first")
    steps: list[care.Step] = []
    with _progress(totals):
        for step in care.repair(disk, SystemClock(), totals, dry_run=dry_run):
            steps.append(step)
            if not as_json:
                click.echo(f"{step.finding}\n  -> {step.text}" if step.finding else step.text)
    if as_json:
        rows = [{"text": step.text, "finding": step.finding} for step in steps]
        _print_json({"dry_run": dry_run, "steps": rows})
    elif dry_run:
        click.echo("nothing was changed")
    return _OK


@click.command()
@click.argument("destination", type=click.Path(path_type=Path, file_okay=False))
@_tool
def backup(settings: Settings, totals: care.Totals, destination: Path, as_json: bool) -> int:
    """Copy the archive into a folder of DESTINATION that is named by the time.

    The server may go on meanwhile: whatever it had acknowledged before is in the backup. What has
    not changed since the last backup there is not copied again.

    Exit status: 0 all is well, 1 something was damaged already (the backup is complete), 2 failed.
    """
    disk = _archive(settings.data_dir)
    clock = SystemClock()
    with _progress(totals):
        report = care.back_up(disk, Disk(destination), clock.wall_ms(), totals)
    if as_json:
        _print_json(report)
    else:
        for finding in report.findings:
            click.echo(str(finding))
        click.echo(
            f"{destination / report.name}: {report.streams} streams, {report.frames} sample frames;"
            f" copied {report.copied_files} files ({decimal(report.copied_bytes)}),"
            f" {report.kept_files} had not changed"
        )
    return _DAMAGE if report.findings else _OK


@click.command()
@click.argument("source", type=click.Path(path_type=Path, file_okay=False))
@_tool
def restore(settings: Settings, totals: care.Totals, source: Path, as_json: bool) -> int:
    """Make an archive in an empty data folder from a backup.

    SOURCE is a folder of backups, of which the newest is taken, or one backup. All of it is checked
    while it is copied, and read again afterwards.

    Exit status: 0 all is well, 1 something of it is damaged, 2 failed.
    """
    backups = _archive(source, "name that of the backups, or one of them")
    with _progress(totals):
        report = care.restore(backups, Disk(settings.data_dir), SystemClock(), totals)
    if as_json:
        _print_json(report)
    else:
        for finding in report.findings:
            click.echo(str(finding))
        click.echo(
            f"{settings.data_dir}: {report.streams} streams from {source / report.name},"
            f" {report.copied_files} files ({decimal(report.copied_bytes)})"
        )
    return _DAMAGE if report.findings else _OK


def _archive(folder: Path, hint: str = "name that of the archive (--data-dir)") -> Disk:
    """Return a data folder that must be there."""
    if not folder.is_dir():
        raise StartError(f"there is no folder {folder}: {hint}")
    return Disk(folder)


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1))


class _Pace(ProgressColumn):
    """How far the work is, and how fast."""

    def __init__(self, totals: care.Totals) -> None:
        super().__init__()
        self._totals = totals
        self._begun = time.monotonic()

    def render(self, task: Task) -> Text:
        """Return the figures as they stand."""
        pace = self._totals.pcm_bytes / max(time.monotonic() - self._begun, 0.001)
        return Text(
            f"{self._totals.streams} of {self._totals.all_streams} streams,"
            f" {decimal(self._totals.pcm_bytes)}, {decimal(round(pace))}/s"
        )


@contextmanager
def _progress(totals: care.Totals) -> Iterator[None]:
    """Show on a terminal how far the work is; elsewhere nothing."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        _Pace(totals),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        shown.add_task("", total=None)
        yield
