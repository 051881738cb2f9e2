"""Runs as the archive has them: listing them, and calling their functions again."""

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import msgspec

from racs.client import Racs
from racs.errors import RacsException, RacsServerError, RacsValueError
from racs.runes.archiving import Archived, as_archived, find_function
from racs.runes.recording import Call
from racs.runes.sending import settle_id
from racs.runes.threads import in_thread
from racs.runs.naming import MAX_RUNE, ROOT, parse_id, part, record_id
from racs.runs.record import RECORD_NAME, RunFile, RunRecord, decode
from racs.runs.run_id import time_of

_ALL_SECONDS = 1e9
"""Longer than any stream; ranges are cut to what there is."""

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Run(msgspec.Struct, frozen=True):
    """A run that is in the archive.

    Attributes
    ----------
    store
        Where it is.
    record
        All that is known of it, with its files: see `racs.runs.record`.
    """

    store: Racs
    record: RunRecord

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.rune!r}, {self.status}, begun {self.record.started}>"

    @property
    def rune(self) -> str:
        """The rune's name."""
        return self.record.rune

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.run

    @property
    def status(self) -> str:
        """``completed``, ``error`` or ``aborted``."""
        return self.record.status

    @property
    def started(self) -> datetime | None:
        """When the function was called, in UTC."""
        return _time(self.record.started)

    @property
    def ended(self) -> datetime | None:
        """When it had ended."""
        return _time(self.record.ended)

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments by name; those that JSON cannot hold are described in the record alone."""
        return {n: d["value"] for n, d in self.record.parameters.items() if "value" in d}

    @property
    def inputs(self) -> dict[str, RunFile]:
        """The files that went in, by parameter."""
        return {file.parameter: file for file in self.record.inputs}

    @property
    def outputs(self) -> tuple[RunFile, ...]:
        """The files that came out, in their order."""
        return self.record.outputs

    @property
    def streams(self) -> list[str]:
        """The ids of the streams with its audio, inputs first."""
        files = (*self.record.inputs, *self.record.outputs)
        return [file.stream for file in files if file.stream]

    def read(self, file: RunFile) -> bytes:
        """Return a file: as it was if its bytes are kept, or else its audio as WAV.

        Raises
        ------
        RacsValueError
            It is not in the archive.
        RacsException
            It cannot be read.
        """
        if file.attachment:
            where = file.stream or record_id(self.rune, self.id)
            return self.store.attachment(where, file.attachment)
        audio: bytes = self._wav(file).execute()
        return audio

    def write(self, file: RunFile, folder: Path) -> Path:
        """Write a file into a folder, and return its path; see `read`."""
        name = PurePath(file.name).name or "file"
        if file.attachment:
            path = folder / name
            path.write_bytes(self.read(file))
        else:
            path = folder / PurePath(name).with_suffix(".wav")
            self._wav(file).execute(to=path)
        return path

    def _wav(self, file: RunFile) -> Any:
        if not file.stream:
            raise RacsValueError(
                f"{file.name!r} of run {self.id} is not in the archive: {file.problem}"
            )
        whole = self.store.pipeline().range(file.stream, 0, _ALL_SECONDS)
        return whole.encode("audio/wav")


def runs(
    store: Racs, rune: str = "*", since: datetime | None = None, until: datetime | None = None
) -> Iterator[Run]:
    """List the runs that are in the archive, newest first; each is read when it is its turn.

    Parameters
    ----------
    store
        The archive.
    rune
        A rune's name, or a pattern as LIST has it.
    since, until
        Only runs that began in ``since ≤ time < until``; with time zones.

    Yields
    ------
    Run
        With parameters, status, times and streams.

    Raises
    ------
    RacsValueError
        A time has no time zone.
    RacsException
        The store cannot be reached.
    """
    for time, name in ((since, "since"), (until, "until")):
        if time is not None and time.utcoffset() is None:
            raise RacsValueError(f"{name} is {time!r}, without a time zone: .astimezone() adds it")
    return _runs(store, rune, since, until)


def _runs(store: Racs, rune: str, since: datetime | None, until: datetime | None) -> Iterator[Run]:
    name = rune if any(char in rune for char in "*?[") else part(rune, MAX_RUNE)
    ids: list[str] = store.pipeline().list(pattern=f"{ROOT}/{name}/*/run").execute()
    if since is not None:  # ids tell milliseconds
        since = since.replace(microsecond=since.microsecond // 1000 * 1000)
    found = []
    for stream_id in ids:
        parsed = parse_id(stream_id)
        if parsed is None or parsed.kind != "run":
            continue
        time, run = time_of(parsed.run), None
        if time is None:  # its record has to be read to know where it belongs
            run = _read(store, stream_id)
            time = _EARLIEST if run is None else run.started or _EARLIEST
        if (since is None or since <= time) and (until is None or time < until):
            found.append((time, stream_id, run))
    for _, stream_id, run in sorted(found, key=lambda each: each[:2], reverse=True):
        run = run or _read(store, stream_id)
        if run is not None:
            yield run


def _read(store: Racs, stream_id: str) -> Run | None:
    """Return a run; None if the archive has not yet got all of it, or no more."""
    try:
        data = store.attachment(stream_id, RECORD_NAME)
    except RacsServerError:
        return None
    return Run(store, decode(data))


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def replay(
    run: Run, function: Callable[..., Awaitable[Any]] | None = None, **given: Any
) -> Run:
    """Call a run's function again with the same inputs, taken from the archive alone.

    The files that it is given are as they were if the archive has their bytes, or else WAV files of
    the same samples; they lie in a folder that is removed afterwards.

    Parameters
    ----------
    run
        Which.
    function
        An async function; without it the one of that name that was decorated in this process. One
        that was never decorated has this call archived where the run is.
    given
        Arguments in the place of those of the run; those that JSON could not hold have to be given.

    Returns
    -------
    Run
        The new one, from the archive. What the function raised is in its ``record.error``.

    Raises
    ------
    RacsValueError
        There is no such function, or an argument or a file is not in the archive.
    RacsException
        The archive cannot be read, or does not take the new run, which then waits on disk.
    """
    archived = _function(run, function)
    folder = tempfile.TemporaryDirectory(prefix="racs-replay-")
    try:
        call = await in_thread(lambda: _call(run, archived, given, Path(folder.name)))
        new = await archived.begin(call)
        if new is None:
            raise RacsException("the new run cannot be archived; the log says why")
        with suppress(Exception):  # the record tells it
            await archived.carry_out(new, call)
    finally:
        await in_thread(folder.cleanup)
    return await in_thread(lambda: _wait_for(archived, new.record))


def _function(run: Run, function: Callable[..., Awaitable[Any]] | None) -> Archived:
    if function is not None:
        return as_archived(function, run.store)
    archived = find_function(run.rune, run.record.method)
    if archived is None:
        raise RacsValueError(
            f"no function {run.record.method!r} of rune {run.rune!r} was decorated in this process;"
            " give it: replay(run, function)"
        )
    return archived


def _call(run: Run, archived: Archived, given: dict[str, Any], folder: Path) -> Call:
    """Return the arguments of a run, with its files written into a folder."""
    values = dict(given)
    for name, described in run.record.parameters.items():
        if name in given:
            continue
        if "value" not in described:
            raise RacsValueError(
                f"parameter {name!r} was {described.get('repr')}, which no JSON holds; give it:"
                f" replay(run, {name}=…)"
            )
        value = described["value"]
        if name in run.inputs:
            file = run.inputs[name]
            place = folder / f"{file.number:03}"
            place.mkdir()
            value = os.fspath(run.write(file, place))
        is_path = described["type"].endswith("Path") and described["type"] != "RunesFilePath"
        values[name] = Path(value) if is_path else value
    if archived.signature is None:
        return Call((), values)
    unknown = set(values) - set(archived.signature.parameters)
    if unknown:
        raise RacsValueError(f"{archived.method} has no parameter {min(unknown)!r}")
    bound = archived.signature.bind_partial()
    bound.arguments.update({n: values[n] for n in archived.signature.parameters if n in values})
    return Call(bound.args, bound.kwargs)


def _wait_for(archived: Archived, record: RunRecord) -> Run:
    """Have a run sent, and return it from the archive."""
    store = archived.worker.store
    archived.worker.flush()
    _, found = settle_id(store, record)
    if found is None:
        raise RacsException(f"run {record.run} is not in the archive yet, and waits on disk")
    return Run(store, found)
