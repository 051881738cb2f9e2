"""``import``: audio files become streams; what was broken off goes on where it ended.

A file goes on if what its stream has is the file's own head: the stream's length is compared with
the file's, and its first and its last stretch, sample by sample. So audio is never doubled.
"""

import shlex
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from racs.cli.base import LEASE, UNREACHABLE, Failure, brief, command
from racs.cli.streams import StreamId

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from racs.cli.session import Facts, Session
    from racs.sources import FileSource

SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".aif", ".aiff", ".aifc", ".caf"),
        *(".ogg", ".oga", ".opus", ".mp3", ".au", ".snd"),
    )
)
_BLOCK = 1 << 20
_LOOK = 0.5
"""Seconds between two looks at a stream that is waited for."""
_COMPARED = 1 << 16
"""Sample frames that are compared, at the begin and at the end of what a stream has."""


@command(
    "import",
    "racs import takes/*.wav",
    "racs import recordings/ --prefix garden/",
    "racs import monday.flac --id takes/monday --expire 30d",
)
@click.argument(
    "paths",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option("--id", "stream_id", type=StreamId(), help="The stream's id, of a single file.")
@click.option("--prefix", default="", help="What to put before the ids, such as garden/.")
@click.option("--expire", metavar="LENGTH", help="Delete them so long after: 30d, 12h.")
def import_command(
    session: "Session",
    paths: tuple[Path, ...],
    stream_id: str | None,
    prefix: str,
    expire: str | None,
) -> None:
    """Make streams of audio files.

    FILE may be a pattern ('takes/*.wav') or a folder, which is searched with all below it. A
    stream is called like its file, without the ending, and with the folders below the one that was
    named. 16 and 24 bits stay as they are; all else becomes 24 bits.

    An import that was broken off goes on where it ended when the same is typed again.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from racs.cli.removing import lifetime
    from racs.cli.text import length_text, plural

    seconds = None if expire is None else lifetime(expire)
    files = [(path, prefix + name) for path, name in find_files(paths)]
    if stream_id is not None:
        if len(files) != 1 or prefix:
            raise click.UsageError(f"--id names one file's stream; there are {len(files)} files")
        files = [(files[0][0], stream_id)]
    _check_ids(files)
    done, failed = [], []
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    shown = session.notes.is_terminal
    with Progress(
        *columns, TimeRemainingColumn(), console=session.notes, transient=True, disable=not shown
    ) as bar:
        for path, name in files:
            try:
                facts, added = _import(session, bar, path, name, seconds)
            except Failure as error:
                if len(files) == 1 or error.exit_code == UNREACHABLE:
                    raise
                failed.append(name)
                session.note(error.message, "red")
                continue
            done.append({"id": name, "file": str(path), "frames": facts.frames, "added": added})
            length = length_text(facts.seconds)
            text = f"{name}  {length}" if added else f"{name}  {length}, was there already"
            if not session.json:
                session.say(text)
    if session.json:
        session.show(done, "")
    if failed:
        raise Failure(f"{plural(len(failed), 'file')} of {len(files)} could not be imported")


def find_files(paths: tuple[Path, ...]) -> list[tuple[Path, str]]:
    """Return the audio files that are meant, each with the id that its name gives.

    A folder without any is passed over if something else is there: a shell's pattern names it too.

    Raises
    ------
    click.UsageError
        There is no such file, or none in all the folders.
    """
    found: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in SUFFIXES]
            found += [(each, each.relative_to(path).with_suffix("").as_posix()) for each in inside]
        elif path.exists():
            found.append((path, path.stem))
        else:
            # a shell that finds nothing hands the pattern on; and some have none
            matches = sorted(Path().glob(str(path))) if not path.is_absolute() else []
            if not matches:
                raise click.UsageError(f"there is no file {str(path)!r}")
            found += [(each, each.stem) for each in matches if each.is_file()]
    if not found:
        folders = ", ".join(repr(str(path)) for path in paths)
        raise click.UsageError(f"there is no audio file in the folder {folders}")
    return found


def _check_ids(files: list[tuple[Path, str]]) -> None:
    paths: dict[str, Path] = {}
    for path, name in files:
        if name in paths:
            raise click.UsageError(
                f"{str(paths[name])!r} and {str(path)!r} would both become the stream {name!r}:"
                " import them one by one, with --id or --prefix"
            )
        paths[name] = path


def _import(
    session: "Session", bar: "Progress", path: Path, name: str, expire: int | None
) -> "tuple[Facts, int]":
    """Bring one file into its stream; return the stream, and the sample frames that were added."""
    import soundfile

    from racs.cli.text import format_text
    from racs.pcm import StreamFormat
    from racs.sources import INTEGER_BITS, FileSource

    try:
        file = soundfile.info(str(path))
    except soundfile.SoundFileError as error:
        why = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        raise Failure(f"{path}: cannot be read as audio: {why}") from None
    bits = INTEGER_BITS.get(file.subtype)
    depth = 16 if bits is not None and bits <= 16 else 24
    if bits is None:
        session.note(f"{path.name}: its samples are {file.subtype_info}; the stream has 24 bits")
    facts = session.find(name)
    if facts is None:
        session.do("CREATE", name, file.samplerate, file.channels, depth)
        facts = session.facts(name)
    facts = _when_closed(session, facts)
    made_of = (file.samplerate, file.channels, depth)
    if (facts.sample_rate, facts.channels, facts.bit_depth) != made_of:
        there = format_text(facts.sample_rate, facts.channels, facts.bit_depth)
        raise Failure(
            f"{path}: the stream {name!r} has another format, {there}: choose another --id"
        )
    source = FileSource(path, StreamFormat(name, *made_of))
    task = bar.add_task(name, total=source.size, completed=facts.size)
    blocks = _not_yet_there(session, facts, source, path)
    try:
        added = _send(session, bar, task, name, blocks)
    finally:
        bar.remove_task(task)
    if expire is not None:
        session.do("EXPIRE", name, expire)
    return session.facts(name), added


def _when_closed(session: "Session", facts: "Facts") -> "Facts":
    """Wait for the lease of a sender that was killed; return what is known of the stream then."""
    until = time.monotonic() + LEASE
    if facts.is_open:
        session.note(f"{facts.id} is open: waiting, for whoever sent to it may be gone")
    while facts.is_open and time.monotonic() < until:
        time.sleep(_LOOK)
        facts = session.facts(facts.id)
    return facts


def _send(
    session: "Session", bar: "Progress", task: "TaskID", name: str, blocks: Iterator[memoryview]
) -> int:
    def counted(first: memoryview) -> Iterator[memoryview]:
        for block in chain([first], blocks):
            yield block
            bar.advance(task, len(block))

    from racs.errors import RacsConnectionError

    first = next(blocks, None)
    if first is None:
        return 0
    try:
        with session.new_client() as racs:
            return racs.stream(name).execute(counted(first))
    except RacsConnectionError as error:
        raise Failure(
            f"{name}: {brief(error)}; the same command goes on from where it ended", UNREACHABLE
        ) from error
    except KeyboardInterrupt as error:
        there = session.facts(name)
        raise KeyboardInterrupt(
            f"stopped: {there.frames:,} sample frames of {name!r} are kept; the same command goes"
            " on from there"
        ) from error


def _not_yet_there(
    session: "Session", facts: "Facts", source: "FileSource", path: Path
) -> Iterator[memoryview]:
    """Yield the file's PCM from where its stream ends, after making sure that the rest is it.

    Raises
    ------
    Failure
        What the stream has is not the file's head.
    """
    from racs.cli.reading import iter_pcm

    other = Failure(
        f"the stream {facts.id!r} has other audio than {path.name!r}: choose another --id, or"
        f" remove it first: racs rm {shlex.quote(facts.id)}"
    )
    if facts.size > source.size:
        raise other
    near = min(_COMPARED, facts.frames)
    windows = [
        (first * facts.frame_bytes, b"".join(iter_pcm(session.client, facts, first, first + near)))
        for first in sorted({0, facts.frames - near})
        if near
    ]
    at = 0
    for block in source.blocks(_BLOCK - _BLOCK % facts.frame_bytes):
        for start, pcm in windows:
            low, high = max(at, start), min(at + len(block), start + len(pcm))
            if low < high and block[low - at : high - at] != pcm[low - start : high - start]:
                raise other
        if at + len(block) > facts.size:
            yield block[max(facts.size - at, 0) :]
        at += len(block)
