"""``export``: a stream, or a part of it, becomes an audio file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from racs.cli.base import Failure, command
from racs.cli.streams import StreamId, chosen, range_options

if TYPE_CHECKING:
    from racs.cli.session import Facts, Session

FORMATS = {
    "wav": "audio/wav",
    "bwf": "audio/x-bwf",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "ogg": "audio/ogg",
    "vorbis": "audio/vorbis",
    "aiff": "audio/aiff",
    "raw": "audio/x-raw",
}
"""What files can be, by the names that people and files have for it."""
_SUFFIXES = {f".{name}": name for name in FORMATS} | {
    ".wave": "wav",
    ".oga": "ogg",
    ".aif": "aiff",
    ".pcm": "raw",
}


@command(
    "export",
    "racs export chopin chopin.flac",
    "racs export studio take.wav --from 'today 14:00' --to +5m",
    "racs export mic alarm.mp3 --last 30s --bit-rate 192",
    "racs export mic call.wav --from 10:15..10:20 --rate 16000 --channels 1",
    "racs export mic - --format flac > mic.flac",
)
@click.argument("stream_id", metavar="ID", type=StreamId())
@click.argument("output", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@range_options
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), help="If not by OUT's name.")
@click.option("--rate", type=click.IntRange(1), help="Sample rate in Hz, if it is to change.")
@click.option("--channels", type=click.IntRange(1), help="Channels, if they are to change.")
@click.option("--depth", type=click.Choice(["16", "24"]), help="Bit depth, if it is to change.")
@click.option("--bit-rate", type=int, help="In kbit/s, of lossy formats; of Vorbis a quality.")
def export_command(
    session: "Session",
    stream_id: str,
    output: Path,
    frm: str | None,
    to: str | None,
    last: str | None,
    format_: str | None,
    rate: int | None,
    channels: int | None,
    depth: str | None,
    bit_rate: int | None,
) -> None:
    """Write a stream, or a part of it, to an audio file.

    The name of OUT says what file it becomes: .wav .bwf .flac .mp3 .opus .ogg (Opus) .vorbis .aiff
    .raw; - is standard output. The file appears when it is whole.
    """
    kind = format_ or _kind(output)
    facts = session.facts(stream_id)
    first, stop = chosen(facts, frm, to, last)
    wanted = (
        rate or facts.sample_rate,
        channels or facts.channels,
        int(depth or facts.bit_depth),
    )
    text = _request(facts, first, stop, FORMATS[kind], wanted, bit_rate)
    if str(output) == "-":
        session.client.execute_command(text, to=sys.stdout.buffer)
        return
    size = _write(session, text, output)
    _tell(session, facts, output, stop - first, size)


def _kind(output: Path) -> str:
    known = _SUFFIXES.get(output.suffix.lower())
    if known is None:
        raise click.UsageError(
            f"what file {str(output)!r} is to be cannot be told by its name: end it with one of"
            f" {' '.join(_SUFFIXES)}, or give --format"
        )
    return known


def _request(
    facts: "Facts",
    first: int,
    stop: int,
    mime_type: str,
    wanted: tuple[int, int, int],
    bit_rate: int | None,
) -> str:
    """Return the pipeline that makes the file."""
    from racs.cli.session import range_text
    from racs.commands import PIPE, command

    setting = () if bit_rate is None else (bit_rate,)
    if wanted == (facts.sample_rate, facts.channels, facts.bit_depth):
        made = command("ENCODE", mime_type, *setting)
    else:
        made = command("FORMAT", mime_type, *wanted, *setting)
    return range_text(facts, first, stop) + PIPE + made


def _write(session: "Session", text: str, output: Path) -> int:
    if not output.parent.is_dir():
        raise Failure(f"there is no folder {str(output.parent)!r} for {output.name}")
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TransferSpeedColumn(),
        console=session.notes,
        transient=True,
        disable=not session.notes.is_terminal,
    ) as bar:
        # until the server has made the file, its size is not known: the bar goes to and fro
        task = bar.add_task(output.name, total=None)
        size: int = session.client.execute_command(
            text,
            to=output,
            progress=lambda come, size: bar.update(task, completed=come, total=size),
        )
    return size


def _tell(session: "Session", facts: "Facts", output: Path, frames: int, size: int) -> None:
    from racs.cli.text import length_text, size_text

    length = frames / facts.sample_rate
    data = {"id": facts.id, "file": str(output), "frames": frames, "seconds": length, "size": size}
    text = f"{output}  {length_text(length)}, {size_text(size)}"
    session.show(data, text)
