"""``follow``: a stream's audio as it comes, without a gap, also if the connection breaks."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from racs.cli.base import command
from racs.cli.streams import StreamId, chosen

if TYPE_CHECKING:
    from racs.cli.session import Facts, Session
    from racs.client import Racs

_LONGEST_PAUSE = 5.0


@command(
    "follow",
    "racs follow mic | ffplay -nodisp -i -",
    "racs follow mic -o today.wav --from -10s",
    "racs follow mic --raw --until-closed > mic.raw",
)
@click.argument("stream_id", metavar="ID", type=StreamId())
@click.option(
    "--from", "frm", metavar="TIME", help="First what there is from then on: -10s, 14:00."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file.")
@click.option("--raw", is_flag=True, help="Bare PCM, little-endian, without a WAV header.")
@click.option("--until-closed", is_flag=True, help="End when the stream is closed.")
def follow_command(
    session: "Session",
    stream_id: str,
    frm: str | None,
    output: Path | None,
    raw: bool,
    until_closed: bool,
) -> None:
    """Get a stream's audio while it is being recorded.

    It goes to standard output, or to a file, as a WAV file. If the connection breaks it goes on
    where it was; what was missed meanwhile comes first. Ctrl-C ends it.
    """
    if output is None and sys.stdout.isatty():
        raise click.UsageError("audio is not for a terminal: pipe it on, or give --output FILE")
    if output is None and session.json:
        raise click.UsageError("--json tells of a file, and none was named: give --output FILE")
    facts = session.facts(stream_id)
    place = None if frm is None else chosen(facts, frm, None)[0]
    following = Following(session, facts, place, until_closed=until_closed)
    if output is None:
        following.write_to(sys.stdout.buffer, raw=raw)
        return
    with output.open("wb") as file:
        following.write_to(file, raw=raw)
    frames = following.frames
    session.show(
        {"id": facts.id, "file": str(output), "frames": frames},
        f"{output}  {frames / facts.sample_rate:.1f} s",
    )


class Following:
    """A stream that is followed over as many connections as it takes.

    Parameters
    ----------
    session
        Makes the connections.
    facts
        The stream.
    place
        The first sample frame; None: what comes from now on.
    until_closed
        Whether the stream's being closed is the end.

    Attributes
    ----------
    frames
        How many sample frames have come.
    """

    def __init__(
        self, session: "Session", facts: "Facts", place: int | None, *, until_closed: bool
    ) -> None:
        self._session = session
        self._facts = facts
        self._place = place
        self._until_closed = until_closed
        self.frames = 0

    def write_to(self, file: BinaryIO, *, raw: bool) -> None:
        """Write a WAV file, or bare PCM, until the end or Ctrl-C.

        A file gets its true length, whatever ends it; on a pipe it is not known.
        """
        from racs.cli.wav import wav_header

        made_of = (self._facts.sample_rate, self._facts.channels, self._facts.bit_depth)
        try:
            file.write(b"" if raw else wav_header(*made_of))
            for pcm in self._pcm():
                file.write(pcm)
                file.flush()
        except KeyboardInterrupt:
            pass
        finally:
            if not raw and file.seekable():
                file.seek(0)
                file.write(wav_header(*made_of, self.frames * self._facts.frame_bytes))

    def _pcm(self) -> Iterator[memoryview]:
        from racs.errors import RacsConnectionError

        pause, reached = 0.1, False
        while True:
            try:
                with self._session.new_client() as client:
                    for pcm in self._one_connection(client):
                        pause, reached = 0.1, True
                        yield pcm
                    return
            except RacsConnectionError as error:
                if not reached:
                    raise
                self._session.note(f"{error}; trying again")
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _one_connection(self, client: "Racs") -> Iterator[memoryview]:
        """Yield what comes on one connection; first what is missing, if something is."""
        from racs.cli.reading import iter_pcm
        from racs.pcm import to_pcm

        for block in client.follow(self._facts.id, self._start(), until_closed=self._until_closed):
            if self._place is None:
                self._place = block.start
            if self._place < block.start:
                yield from self._counted(iter_pcm(client, self._facts, self._place, block.start))
            # a start in seconds can be rounded down to the sample frame before
            known = max(self._place - block.start, 0) * self._facts.channels
            yield from self._counted([to_pcm(block.samples[known:], self._facts.bit_depth)])

    def _counted(self, pieces: "Iterator[memoryview] | list[memoryview]") -> Iterator[memoryview]:
        for pcm in pieces:
            frames = len(pcm) // self._facts.frame_bytes
            self.frames += frames
            self._place = (self._place or 0) + frames
            yield pcm

    def _start(self) -> float | None:
        if self._place is None:
            return None
        return self._place * 10**9 // self._facts.sample_rate / 10**9
