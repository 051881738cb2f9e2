"""``record``: from standard input into a stream, with a level meter."""

import contextlib
import shlex
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from racs.cli.base import INTERRUPTED, Failure, command
from racs.cli.streams import StreamId

if TYPE_CHECKING:
    from rich.text import Text

    from racs.cli.session import Facts, Session
    from racs.cli.wav import WavFormat

_MEMORY = 64 << 20
"""Bytes that are held in memory while the server is away; what is more goes to the disk."""
_READ = 1 << 16
_LOOK = 1.0
"""Seconds between two questions of how much is stored."""
_LONGEST_NAME = 80
"""Characters of an id that are in the name of a file; it may have 255 bytes in all."""
_FRAME = 0.1
"""Seconds between two pictures."""


@command(
    "record",
    "arecord -f cd | racs record studio",
    "ffmpeg -loglevel error -f pulse -i default -f wav - | racs record mic --expire 30d",
    "sox -d -t raw -r 48000 -c 1 -b 24 -e signed - | racs record mic --rate 48000 --depth 24",
)
@click.argument("stream_id", metavar="ID", type=StreamId())
@click.option("--rate", type=click.IntRange(1), help="Of raw PCM: its sample rate in Hz.")
@click.option("--channels", type=click.IntRange(1), help="Of raw PCM: channels.  [default: 1]")
@click.option("--depth", type=click.Choice(["16", "24"]), help="Of raw PCM.  [default: 16]")
@click.option("--expire", metavar="LENGTH", help="Delete it so long after its end: 30d, 12h.")
def record_command(
    session: "Session",
    stream_id: str,
    rate: int | None,
    channels: int | None,
    depth: str | None,
    expire: str | None,
) -> None:
    """Record audio from standard input into a stream.

    What comes in is a WAV file without end, or with --rate raw PCM: little-endian, interleaved. The
    stream is made if it is not there, and added to if it is.

    If the server goes away, what comes is kept here until it is back, and nothing is lost or
    doubled. Ctrl-C ends the recording in order; a second one does not wait for the server, and
    writes what it does not have to a file.
    """
    from racs.cli.removing import lifetime

    seconds = None if expire is None else lifetime(expire)
    if sys.stdin.isatty():
        raise click.UsageError(
            "audio is to come from standard input, such as: arecord -f cd | racs record studio"
        )
    raw = (rate, channels, depth)
    # Without its buffer, whose lock the thread that waits for audio would hold when Python ends.
    incoming = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    format_, head = _raw_format(incoming, *raw) if any(raw) else (_wav_format(incoming), b"")
    facts = _stream(session, stream_id, format_)
    if seconds is not None:
        session.do("EXPIRE", stream_id, seconds)
    _Recording(session, facts, incoming, format_.size, head).run()


def _raw_format(
    incoming: BinaryIO, rate: int | None, channels: int | None, depth: str | None
) -> "tuple[WavFormat, bytes]":
    """Return what raw PCM is said to be, and its first bytes: those of a WAV file are no PCM."""
    from racs.cli.wav import HEAD_BYTES, WavFormat, begins_wav

    if rate is None:
        raise click.UsageError("--rate is missing: raw PCM does not say how fast it is")
    head = b""
    while len(head) < HEAD_BYTES and (more := incoming.read(HEAD_BYTES - len(head))):
        head += more
    if begins_wav(head):
        raise click.UsageError(
            "what comes in is a WAV file, which says itself what it is: leave --rate, --channels"
            " and --depth out"
        )
    return WavFormat(rate, channels or 1, int(depth or 16)), head


def _wav_format(incoming: BinaryIO) -> "WavFormat":
    from racs.cli.wav import NotWavError, read_wav_header

    try:
        return read_wav_header(incoming)
    except NotWavError as error:
        raise click.UsageError(str(error)) from None


def _stream(session: "Session", stream_id: str, format_: "WavFormat") -> "Facts":
    """Return the stream, which is made if need be."""
    from racs.cli.text import format_text

    made_of = (format_.sample_rate, format_.channels, format_.bit_depth)
    facts = session.find(stream_id)
    if facts is None:
        session.do("CREATE", stream_id, *made_of)
        return session.facts(stream_id)
    if (facts.sample_rate, facts.channels, facts.bit_depth) != made_of:
        raise Failure(
            f"the stream {stream_id!r} has"
            f" {format_text(facts.sample_rate, facts.channels, facts.bit_depth)}, and what comes in"
            f" has {format_text(*made_of)}: choose another id"
        )
    return facts


class _Recording:
    """A recording under way: one thread reads, one sends, and this one shows."""

    def __init__(
        self,
        session: "Session",
        facts: "Facts",
        incoming: BinaryIO,
        size: int | None,
        head: bytes,
    ) -> None:
        from racs.cli.meter import Meter
        from racs.cli.recorder import Recorder
        from racs.cli.spool import Spool

        self._session = session
        self._facts = facts
        self._incoming = incoming
        self._head = head
        self._left = size
        self._spool: Spool = Spool(_MEMORY)
        self._meter = Meter(facts.channels, facts.bit_depth)
        self._recorder: Recorder = Recorder(session.new_client, facts, self._spool, self._waits)
        self._watcher = session.new_client(timeout=2.0, connect_timeout=2.0)
        self._waiting: str | None = None
        self._ending = False
        self._problem: str | None = None
        self._began = time.monotonic()

    def run(self) -> None:
        """Record to the end, and say what became of it.

        Raises
        ------
        Failure
            Something was not stored.
        """
        for work in (self._read, self._recorder.run):
            threading.Thread(target=work, daemon=True).start()
        try:
            with _ended_as_by_ctrl_c():
                try:
                    self._wait(seen=self._session.notes.is_terminal)
                except OSError:  # the terminal has gone: what has come is stored all the same
                    self._wait(seen=False)
        finally:
            self._watcher.close()
        self._end()
        self._spool.close()

    def _read(self) -> None:
        """Put what comes into the spool, in whole sample frames."""
        rest = b""
        try:
            while data := self._head or self._incoming.read(self._next_size()):
                self._head = b""
                if self._left is not None:
                    self._left -= len(data)
                rest += data
                whole = len(rest) - len(rest) % self._facts.frame_bytes
                self._spool.put(rest[:whole])
                self._meter.add(rest[:whole])
                rest = rest[whole:]
        except (OSError, ValueError) as error:
            self._problem = f"what comes in could not be kept any more: {error}"
        if rest:
            self._session.note(f"the last {len(rest)} bytes are no whole sample frame: left out")
        self._spool.finish()

    def _next_size(self) -> int:
        return _READ if self._left is None else min(_READ, self._left)

    def _waits(self, why: str | None) -> None:
        """Show that the server is away, or back; called by the thread that sends."""
        if self._session.notes.is_terminal:
            self._waiting = why
            return
        if why is not None and self._waiting is None:
            self._session.note(f"waiting for the server, and keeping what comes: {why}")
        elif why is None and self._waiting is not None:
            self._session.note("going on")
        self._waiting = why

    def _wait(self, *, seen: bool) -> None:
        """Return when all is stored, or at a second Ctrl-C; show how far it is if that is seen."""
        from rich.live import Live

        done = self._recorder.done
        with (
            Live(console=self._session.notes, auto_refresh=False, transient=True)
            if seen
            else contextlib.nullcontext() as live
        ):
            looked = time.monotonic()
            while not done.is_set():
                try:
                    if live is not None:
                        live.update(self._picture(), refresh=True)
                    done.wait(_FRAME)
                    if time.monotonic() - looked >= _LOOK:
                        self._look()
                        looked = time.monotonic()
                except KeyboardInterrupt:
                    if self._ending:
                        return
                    self._ending = True
                    self._spool.finish()

    def _look(self) -> None:
        from racs.errors import RacsException

        with contextlib.suppress(RacsException):
            self._recorder.look(self._watcher)

    def _picture(self) -> "Text":
        from rich.text import Text

        from racs.cli.text import length_text, size_text

        bytes_a_second = self._facts.frame_bytes * self._facts.sample_rate
        if self._waiting is not None:
            held = (self._spool.end - self._recorder.stored) / bytes_a_second
            text = Text("○ ", "yellow").append(f"{self._facts.id}  ", "bold")
            text.append(f"waiting for the server; {length_text(held)} are kept here. ", "yellow")
            text.append(self._waiting, "dim")
            stop = "\nending … Ctrl-C: do not wait, write what is kept to a file"
            return text.append(stop, "yellow") if self._ending else text
        text = Text("■ " if self._ending else "● ", "red").append(f"{self._facts.id}  ", "bold")
        text.append(f"{length_text(self._spool.end / bytes_a_second)}  ")
        text.append(f"{size_text(self._spool.end)}  ")
        text.append_text(self._meter.picture())
        return text.append("  ending …" if self._ending else "", "dim")

    def _end(self) -> None:
        """Say what became of it; write what is not stored to a file."""
        from racs.cli.base import explain
        from racs.cli.text import length_text, size_text

        error = self._recorder.error
        if not self._recorder.done.is_set() or error is not None:
            self._spool.finish()
            why = "stopped before the server had all" if error is None else str(error)
            known = explain(error) if error is not None else None
            code = INTERRUPTED if error is None else (known.exit_code if known else 1)
            raise Failure(f"{known.message if known else why}{self._rescue()}", code)
        frames = self._spool.end // self._facts.frame_bytes
        length = frames / self._facts.sample_rate
        data = {"id": self._facts.id, "frames": frames, "seconds": length, "size": self._spool.end}
        text = f"{self._facts.id}  {length_text(length)}, {size_text(self._spool.end)} recorded"
        self._session.show(data, text)
        if self._problem is not None:
            raise Failure(self._problem)

    def _rescue(self) -> str:
        """Write what the server may not have to a file; return a sentence that says so.

        It goes to the folder for temporary files if it cannot be written here.
        """
        from racs.cli.text import size_text

        place = max(self._recorder.stored, self._spool.base)
        size = self._spool.end - place
        if not size:
            return ""
        start = ((self._recorder.start or self._facts.size) + place) // self._facts.frame_bytes
        name = "".join(each if each.isalnum() else "-" for each in self._facts.id)[:_LONGEST_NAME]
        for folder in (Path(), Path(tempfile.gettempdir())):
            try:
                path = _new_file(folder, f"{name}-from-{start}")
                self._write(path, place, size)
            except OSError as error:
                why = error.strerror
                continue
            return (
                f". What the server may not have, from the stream's sample frame {start} on, is in"
                f" {path}: racs info {shlex.quote(self._facts.id)} tells how much it has"
            )
        return f". {size_text(size)} are lost, for they could not be written anywhere: {why}"

    def _write(self, path: Path, place: int, size: int) -> None:
        from racs.cli.wav import wav_header

        facts = self._facts
        try:
            with path.open("wb") as file:
                file.write(wav_header(facts.sample_rate, facts.channels, facts.bit_depth, size))
                for data in self._spool.read_from(place):
                    file.write(data)
        except OSError:
            path.unlink()
            raise


def _new_file(folder: Path, name: str) -> Path:
    """Return a WAV file of a name like that, made where there was none; `OSError` if it cannot."""
    for number in count(1):
        path = folder / (f"{name}.wav" if number == 1 else f"{name}-{number}.wav")
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
    raise AssertionError


@contextlib.contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Take SIGTERM, and a terminal that goes (but not under nohup), for a Ctrl-C."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    taken = [each for each, handler in before.items() if handler != signal.SIG_IGN]
    for each in taken:
        signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, before[each])
