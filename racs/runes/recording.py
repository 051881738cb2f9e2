"""What one run is given, says and makes, while it goes on.

Owns which arguments are files, and the record until the spool has all of it. Nothing here lets an
exception out to the rune: what cannot be kept is logged, and noted in the record.

Arguments that are files: a `str` or `os.PathLike` that names a file, and that has the annotation
``RunesFilePath`` or ``Path``, or is of a subclass of `str` or of `os.PathLike`, or is a plain `str`
that names an audio file.
"""

import inspect
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from racs.runes.spool import RUNNING, Job, Spool, SpoolFull
from racs.runs.record import RunFile, RunRecord, kind_of
from racs.runs.sound import Sound

MAX_LOGS = 1 << 20
"""Characters of a run's logs that are kept."""

_MAX_REPR = 1000
_FILE_ANNOTATIONS = ("RunesFilePath", "Path")
_log = logging.getLogger("racs.runes")

_current: ContextVar["Recording | None"] = ContextVar("racs_runes_run", default=None)
_going_on: set["Recording"] = set()


def current() -> "Recording | None":
    """Return the run that this code is part of.

    Threads that a function has started by itself know no context; where only one run goes on, it is
    theirs.
    """
    run = _current.get()
    if run is None and len(_going_on) == 1:
        return next(iter(_going_on.copy()), None)
    return run


class Recording:
    """One run that goes on; safe for use by many threads.

    Parameters
    ----------
    job
        Its folder in the spool; None if there is no room for it, then nothing is kept.
    record
        What is known at the start.
    """

    def __init__(self, job: Job | None, record: RunRecord) -> None:
        self._job = job
        self._record = record
        self._guard = threading.Lock()
        self._handed_out: set[Path] = set()
        self._messages: list[str] = []
        self._errors: list[str] = []
        self._logs: list[str] = []
        self._room = MAX_LOGS

    @property
    def record(self) -> RunRecord:
        """What is known so far."""
        return self._record

    @contextmanager
    def as_current(self) -> Iterator[None]:
        """Make it the run that the code inside is part of."""
        token = _current.set(self)
        _going_on.add(self)
        try:
            yield
        finally:
            _going_on.discard(self)
            with suppress(ValueError):  # a coroutine that is thrown away is closed elsewhere
                _current.reset(token)

    def add_input(self, parameter: str, path: Path) -> None:
        """Keep a file that an argument names."""
        with self._guard:
            file = RunFile(number=len(self._record.inputs) + 1, name=path.name, parameter=parameter)
            file = self._keep("in", file, path)
            self._update(inputs=(*self._record.inputs, file))

    def add_output(self, path: Path) -> None:
        """Keep a file that the rune hands out, as it is now."""
        with self._guard:
            self._handed_out.add(path.absolute())
            file = RunFile(number=len(self._record.outputs) + 1, name=path.name)
            file = self._keep("out", file, path)
            self._update(outputs=(*self._record.outputs, file))

    def add_returned(self, path: Path) -> None:
        """Keep a file that the rune returns, unless it has handed it out before."""
        if path.absolute() not in self._handed_out:
            self.add_output(path)

    def add_message(self, text: str) -> None:
        """Note what the rune tells its user."""
        self._messages.append(text)

    def add_error(self, text: str) -> None:
        """Note what the rune says went wrong; the run's status is then ``error``."""
        self._errors.append(text)

    def add_log(self, text: str) -> None:
        """Note what was printed or logged, as far as there is room."""
        if self._room > 0:
            self._logs.append(text[: self._room])
            self._room -= len(text)

    def finish(self, error: BaseException | None = None) -> None:
        """Note how the run has ended, and let it be sent."""
        if error is not None:
            self.add_error("".join(traceback.format_exception_only(error)).strip())
            self.add_log("".join(traceback.format_exception(error)))
        cut_off = error is not None and not isinstance(error, Exception)
        status = "aborted" if cut_off else "error" if self._errors else "completed"
        with self._guard:
            self._update(
                status=status,
                ended=_now(),
                message=", ".join(self._messages) if self._messages else None,
                error="\n".join(self._errors) if self._errors else None,
                logs="".join(self._logs),
            )
            if self._job is not None:
                self._job.release()
                self._job = None

    def _keep(self, kind: str, file: RunFile, path: Path) -> RunFile:
        """Return what the record is to say of a file, which is kept if that can be done."""
        file = msgspec.structs.replace(file, type=kind_of(path.name))
        if self._job is None:
            return file
        try:
            size = self._job.keep(kind, file.number, path)
        except (SpoolFull, OSError, ValueError) as error:
            _log.error("run %s: %r is not archived: %s", self._record.run, str(path), error)
            return msgspec.structs.replace(file, problem=str(error) or repr(error))
        return msgspec.structs.replace(file, bytes=size)

    def _update(self, **changes: object) -> None:
        self._record = msgspec.structs.replace(self._record, **changes)
        if self._job is None:
            return
        try:
            self._job.write(self._record)
        except OSError as error:
            _log.error("the record of run %s cannot be written: %s", self._record.run, error)


def begin(
    spool: Spool, names: tuple[str, str, str], signature: inspect.Signature | None, call: "Call"
) -> Recording:
    """Begin a run: keep its arguments, before the function can change them.

    Parameters
    ----------
    spool
        Where it is kept.
    names
        The names of the rune, of the run and of the function.
    signature
        Of the function.
    call
        What it is called with.
    """
    rune, run, method = names
    arguments = _bind(signature, call)
    parameters = {
        name: describe(value, annotation) for name, (value, annotation) in arguments.items()
    }
    record = RunRecord(
        rune=rune, run=run, method=method, status=RUNNING, started=_now(), parameters=parameters
    )
    job = None
    try:
        job = spool.begin(record)
    except (SpoolFull, OSError) as error:
        _log.error("run %s of %r is not archived: %s", run, rune, error)
    recording = Recording(job, record if job is None else job.record)
    for name, (value, annotation) in arguments.items():
        if job is not None and is_input(value, annotation):
            recording.add_input(name, Path(os.fspath(value)))
    return recording


class Call(msgspec.Struct, frozen=True):
    """The arguments of a function."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _bind(signature: inspect.Signature | None, call: Call) -> dict[str, tuple[Any, object]]:
    """Return each argument's value and annotation by the name of the parameter."""
    if signature is None:
        return {name: (value, None) for name, value in call.kwargs.items()}
    try:
        bound = signature.bind(*call.args, **call.kwargs)
    except TypeError:  # the function is about to say so
        return {name: (value, None) for name, value in call.kwargs.items()}
    bound.apply_defaults()
    parameters = signature.parameters
    return {
        # what *args takes is a tuple, which JSON has not
        name: (
            list(value) if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL else value,
            parameters[name].annotation,
        )
        for name, value in bound.arguments.items()
    }


def describe(value: object, annotation: object) -> dict[str, Any]:
    """Return a parameter as the record has it.

    Returns
    -------
    dict
        ``type``, and ``value`` where JSON gives back the very value, else ``repr``.
    """
    named = _annotated(annotation) == "RunesFilePath"
    described: dict[str, Any] = {"type": "RunesFilePath" if named else type(value).__name__}
    plain = str(value) if isinstance(value, str) else value
    with suppress(TypeError, ValueError):
        plain = os.fspath(value) if isinstance(value, os.PathLike) else plain
        if repr(msgspec.json.decode(msgspec.json.encode(plain))) == repr(plain):
            return described | {"value": plain}
    try:
        text = repr(value)
    except Exception as error:  # it is the caller's class
        text = f"<its repr() failed: {error!r}>"
    text = text.encode(errors="backslashreplace").decode()
    return described | {"repr": text[:_MAX_REPR]}


def is_input(value: object, annotation: object) -> bool:
    """Whether an argument is a file whose contents belong to the run."""
    if not isinstance(value, str | os.PathLike):
        return False
    try:
        path = Path(os.fspath(value))
        if not path.is_file():
            return False
        if type(value) is not str or _annotated(annotation) in _FILE_ANNOTATIONS:
            return True
        Sound(path).close()
    except (OSError, ValueError, TypeError):
        return False
    return True


def _annotated(annotation: object) -> str:
    """Return the name of a parameter's type, also of one that is written as text."""
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return str(name).rpartition(".")[2]


def files_in(value: object) -> Iterator[Path]:
    """Yield the audio files that a returned value names: it, or what it holds."""
    values: Iterable[object] = [value]
    if isinstance(value, Mapping):
        values = value.values()
    elif isinstance(value, list | tuple):
        values = value
    for each in values:
        if isinstance(each, os.PathLike | str) and is_input(each, None):
            yield Path(os.fspath(each))


def guarded(what: str, work: Callable[[], object]) -> None:
    """Do something for the archive; if it fails, that is logged and nothing else."""
    try:
        work()
    except Exception:
        _log.exception("%s: the archive failed, the run goes on", what)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
