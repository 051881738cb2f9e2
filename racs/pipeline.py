"""Pipelines: commands put together call by call, sent as one text.

Owns the order of the commands and the checks of their arguments. How the text gets to the server
is passed in.

Invariant: a wrong argument is refused when its call is made, and leaves the pipeline as it was.
"""

from collections.abc import Callable
from datetime import datetime
from os import PathLike
from typing import Any, BinaryIO, Self

from racs.commands import PIPE, checked_int, checked_text, checked_time, command
from racs.errors import RacsValueError
from racs.processing import AudioCommands

_MAKE_BYTES = ("FORMAT ", "ENCODE ", "ATTACHMENT ", "EVAL ")


class Pipeline(AudioCommands):
    """Commands that the server runs one after the other, each fed with the result of the last.

    Every method but `execute` adds one command and returns the pipeline itself, so that calls can
    be chained. `Racs.pipeline` makes one. A pipeline is for one thread.

    Examples
    --------
    >>> p = r.pipeline()
    >>> p.create(stream_id="chopin", sample_rate=44100, channels=2, bit_depth=16).execute()
    >>> p.reset().extract(stream_id="chopin", frm=frm, to=to).execute()
    """

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        self._commands: list[str] = []

    def __repr__(self) -> str:
        return f"<Pipeline: {self._text() or 'empty'}>"

    def create(self, stream_id: str, sample_rate: int, channels: int, bit_depth: int) -> Self:
        """Create a stream, closed and empty.

        Parameters
        ----------
        stream_id
            Its name; an error if there is a stream of that name.
        sample_rate
            Sample frames a second (Hz).
        channels
            1 ... 32.
        bit_depth
            16 or 24.
        """
        return self._add(
            "CREATE",
            checked_text(stream_id, "stream_id"),
            checked_int(sample_rate, "sample_rate"),
            checked_int(channels, "channels"),
            checked_int(bit_depth, "bit_depth"),
        )

    def open(self, stream_id: str) -> Self:
        """Open a stream, so that it takes audio; an error if it is open."""
        return self._add("OPEN", checked_text(stream_id, "stream_id"))

    def close(self, stream_id: str) -> Self:
        """Close a stream; afterwards all that was acknowledged is on the disk."""
        return self._add("CLOSE", checked_text(stream_id, "stream_id"))

    def expire(self, stream_id: str, seconds: int) -> Self:
        """Delete a stream so many seconds after its last append; -1: never. Not while it is open.

        While the stream has no audio, the seconds count from its creation.
        """
        return self._add(
            "EXPIRE", checked_text(stream_id, "stream_id"), checked_int(seconds, "seconds")
        )

    def ttl(self, stream_id: str) -> Self:
        """Get how many seconds a stream still lives, an int; -1: for ever."""
        return self._add("TTL", checked_text(stream_id, "stream_id"))

    def delete(self, stream_id: str) -> Self:
        """Remove a closed stream with all its audio, for good."""
        return self._add("DELETE", checked_text(stream_id, "stream_id"))

    def attach(self, stream_id: str, name: str) -> Self:
        """Keep the file that the command before gives with a stream.

        To send a file from here, use `Racs.attach` instead.

        Raises
        ------
        RacsValueError
            There is no command before this one.
        """
        if not self._commands:
            raise RacsValueError(
                "attach() keeps what the command before it gives, and there is none; begin with"
                " extract(...).format(...), or use Racs.attach(...) to send a file of your own"
            )
        return self._add("ATTACH", checked_text(stream_id, "stream_id"), checked_text(name, "name"))

    def attachment(self, stream_id: str, name: str) -> Self:
        """Get a file that is kept with a stream, as bytes."""
        return self._add(
            "ATTACHMENT", checked_text(stream_id, "stream_id"), checked_text(name, "name")
        )

    def attachments(self, stream_id: str) -> Self:
        """List the names of the files that are kept with a stream, sorted."""
        return self._add("ATTACHMENTS", checked_text(stream_id, "stream_id"))

    def stream(self, stream_id: str) -> Self:
        """Append the audio that the command before gives to an open stream.

        The result is the number of sample frames appended. To send audio from here, use
        `Racs.stream` instead.

        Raises
        ------
        RacsValueError
            There is no command before this one.
        """
        if not self._commands:
            raise RacsValueError(
                "stream() appends what the command before it gives, and there is none; begin with"
                " extract(...), or use Racs.stream(...) to send audio of your own"
            )
        return self._add("STREAM", checked_text(stream_id, "stream_id"))

    def extract(self, stream_id: str, frm: datetime | int, to: datetime | int) -> Self:
        """Get the audio of a stretch of time.

        The result is every sample frame with ``frm <= its time < to``, as int32, interleaved by
        channel, in stream values: -32768 ... 32767 at 16 bit, -8388608 ... 8388607 at 24.

        Parameters
        ----------
        stream_id
            Which stream.
        frm, to
            A datetime with a time zone, or an int: milliseconds since 1970-01-01 UTC.

        Raises
        ------
        RacsValueError
            A datetime has no time zone.
        """
        text = command("EXTRACT", checked_text(stream_id, "stream_id"))
        self._commands.append(f"{text} {checked_time(frm, 'frm')} {checked_time(to, 'to')}")
        return self

    def list(self, pattern: str) -> Self:
        """List the ids of streams that match a pattern of ``*`` ``?`` ``[...]``, sorted."""
        return self._add("LIST", checked_text(pattern, "pattern"))

    def ls(self, pattern: str) -> Self:
        """Do the same as `list`."""
        return self.list(pattern)

    def search(self, pattern: str) -> Self:
        """Do the same as `list`."""
        return self.list(pattern)

    def info(self, stream_id: str, attr: str) -> Self:
        """Get one attribute of a stream, an int.

        Parameters
        ----------
        stream_id
            Which stream.
        attr
            ``sample_rate`` (Hz), ``channels``, ``bit_depth``, ``ref`` (milliseconds since
            1970-01-01 UTC of the first sample frame; 0 while there is none) or ``size`` (bytes of
            PCM).
        """
        return self._add("INFO", checked_text(stream_id, "stream_id"), checked_text(attr, "attr"))

    def meta(self, stream_id: str, attr: str) -> Self:
        """Do the same as `info`."""
        return self.info(stream_id, attr)

    def help(self, name: str | None = None) -> Self:
        """Ask how commands are written: all of them, or one in full; the result is text."""
        return self._add("HELP") if name is None else self._add("HELP", checked_text(name, "name"))

    def eval(self, expr: str) -> Self:
        """Evaluate a Scheme expression on the server."""
        return self._add("EVAL", checked_text(expr, "expr"))

    def ping(self) -> Self:
        """Ask for a sign of life; the result is ``"PONG"``."""
        return self._add("PING")

    def shutdown(self) -> Self:
        """End the server, after everything is on the disk."""
        return self._add("SHUTDOWN")

    def reset(self) -> Self:
        """Empty the pipeline."""
        self._commands.clear()
        return self

    def execute(self, to: "str | PathLike[str] | BinaryIO | None" = None) -> Any:
        """Send the commands and return the last one's result; the pipeline stays as it is.

        Parameters
        ----------
        to
            A file that the result, bytes, is written to as it comes, however long it is. It is
            there under its name only when it is whole, in the place of one of that name. A WAV file
            of a range that is longer than 4 GiB is RF64. Or a file that is open for writing bytes,
            such as a pipe: it gets them as they come.

        Returns
        -------
        None, bool, int, float, str, bytes, list or numpy.ndarray
            What the last command gives; with `to`, how many bytes were written.

        Raises
        ------
        RacsServerError
            The server refused a command, or one failed; those after it were not run.
        RacsConnectionError
            The server cannot be reached, or the connection broke.
        RacsValueError
            The pipeline is empty; or there is to be a file, and its last command makes none.
        OSError
            The file cannot be written.
        """
        if not self._commands:
            raise RacsValueError(
                "the pipeline is empty; add a command first, such as ping() or list(pattern='*')"
            )
        if to is None:
            return self._run(self._text())
        if not self._commands[-1].startswith(_MAKE_BYTES):
            raise RacsValueError(
                f"{self._commands[-1].split()[0]} makes no file, and to={to!r} asks for one; end"
                " with format(...) or encode(...)"
            )
        return self._run(self._text(), to=to)

    def _add(self, name: str, *arguments: str | int | float) -> Self:
        self._commands.append(command(name, *arguments))
        return self

    def _text(self) -> str:
        return PIPE.join(self._commands)
