"""Archive audio files, get them back by time, compare every sample: before and after a restart.

Run by `scripts/demo`. The archive is left in ``.demo/archive``: its segments are plain WAV files.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from racs import Racs, RacsException
from racs.files import SequentialFile

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = ROOT / ".demo" / "archive"
RECORDINGS = ROOT / "tests" / "data"
SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif"}
BLOCK = 1 << 16
console = Console()


@dataclass
class Recording:
    """A file, and the stream that it goes into."""

    path: Path
    stream_id: str
    sample_rate: int
    channels: int
    bit_depth: int
    frames: int
    subtype: str

    @classmethod
    def of(cls, path: Path) -> "Recording":
        """Look at a file; PCM of up to 16 bits is kept at 16, anything else goes in as 24."""
        info = soundfile.info(path)
        depth = 16 if info.subtype in {"PCM_16", "PCM_S8", "PCM_U8"} else 24
        stream_id = f"demo/{path.name}"
        return cls(
            path, stream_id, info.samplerate, info.channels, depth, info.frames, info.subtype
        )

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate

    @property
    def size(self) -> int:
        """Bytes of PCM in the archive."""
        return self.frames * self.channels * self.bit_depth // 8

    def remark(self) -> str | None:
        """Say so where the archive does not hold the file's own format."""
        if self.subtype in {"PCM_16", "PCM_24"}:
            return None
        return f"{self.path.name}: {self.subtype} goes in as {self.bit_depth} bit"

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """Yield stream values as the archive is to hold them, shape (at most size, channels).

        From the start on: where a lossy file is decoded from makes a difference to its samples.
        """
        whole = self.subtype in {"PCM_16", "PCM_S8", "PCM_U8", "PCM_24"}
        dtype = ("int16" if self.bit_depth == 16 else "int32") if whole else "float64"
        with SequentialFile(self.path) as file:
            while len(block := file.read(size, dtype=dtype, always_2d=True)):
                if dtype == "int32":
                    block >>= 8  # libsndfile hands 24 bits over left-justified
                elif dtype == "float64":
                    scaled = np.rint(block * 2.0**23)
                    block = np.clip(scaled, -(2**23), 2**23 - 1).astype(np.int32)
                yield block

    def piece(self, first: int, stop: int) -> np.ndarray:
        """Return sample frames `first` up to `stop`, interleaved."""
        found = [np.empty((0, self.channels), np.int32)]
        position = 0
        for block in self.blocks():
            low, high = (min(max(at - position, 0), len(block)) for at in (first, stop))
            found.append(block[low:high])
            position += len(block)
            if position >= stop:
                break
        return np.concatenate(found).ravel()


@contextmanager
def server() -> Iterator[int]:
    """Run a server on a free port; yields the port, and ends the server in order."""
    command = [sys.executable, "-m", "racs_server", "--port", "0", "--data-dir", str(ARCHIVE)]
    command += ["--log-level", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        match = re.search(r":(\d+), data in", line)
        if match is None:
            sys.exit("the server did not start; its message is above")
        console.print(f"[dim]{line}[/]", highlight=False, soft_wrap=True)
        yield int(match[1])
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait()
        if code:
            console.print(f"[red]the server ended with status {code}[/]")


def say(text: str) -> None:
    """Print a line; the terminal wraps it."""
    console.print(text, soft_wrap=True)


def progress_bar() -> Progress:
    """Return a progress display; its tasks count in seconds of audio."""
    return Progress(
        TextColumn("{task.description:28}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("s of audio"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def archive(racs: Racs, recordings: Sequence[Recording]) -> float:
    """Send all recordings; return the seconds that it took."""
    began = time.perf_counter()
    with progress_bar() as progress:
        for recording in recordings:
            task = progress.add_task(recording.path.name, total=round(recording.seconds))

            def blocks(
                recording: Recording = recording, task: TaskID = task
            ) -> Iterator[np.ndarray]:
                for block in recording.blocks():
                    yield block
                    progress.advance(task, len(block) / recording.sample_rate)

            racs.pipeline().create(
                stream_id=recording.stream_id,
                sample_rate=recording.sample_rate,
                channels=recording.channels,
                bit_depth=recording.bit_depth,
            ).execute()
            racs.stream(recording.stream_id).execute(blocks())
    return time.perf_counter() - began


def frames_before(offset: timedelta, rate: int) -> int:
    """Return how many sample frames lie before an offset, exactly: a ceiling."""
    microseconds = offset // timedelta(microseconds=1)
    return -(-microseconds * rate // 10**6)


def extract(racs: Racs, recording: Recording, start: float, stop: float) -> np.ndarray:
    """Return what was stored from `start` to `stop` seconds, asked for by wall-clock time."""
    ref = racs.pipeline().info(stream_id=recording.stream_id, attr="ref").execute()
    begin = datetime.fromtimestamp(ref / 1000, tz=UTC)
    frm, to = (begin + timedelta(seconds=at) for at in (start, stop))
    samples = racs.pipeline().extract(stream_id=recording.stream_id, frm=frm, to=to).execute()
    return np.asarray(samples)


def compare(recording: Recording, first: int, got: np.ndarray, wanted: np.ndarray) -> None:
    """End the demo if what came is not what the file holds from sample frame `first` on."""
    if not np.array_equal(got, wanted.ravel()):
        sys.exit(f"{recording.stream_id}: from sample frame {first} on it is not as in the file")


def cut_out(racs: Racs, recording: Recording) -> None:
    """Extract a piece from the middle of a recording by time, and compare it."""
    start, stop = round(recording.seconds / 3, 3), round(recording.seconds / 2, 3)
    first, last = (
        min(frames_before(timedelta(seconds=at), recording.sample_rate), recording.frames)
        for at in (start, stop)
    )
    compare(recording, first, extract(racs, recording, start, stop), recording.piece(first, last))
    say(
        f"extracted {start:.3f} s to {stop:.3f} s of {recording.stream_id} by wall-clock time:"
        f" {last - first} sample frames, each as in the file"
    )


def verify(racs: Racs, recordings: Sequence[Recording]) -> float:
    """Extract every recording, a minute at a time, and compare; return the seconds that it took."""
    began = time.perf_counter()
    with progress_bar() as progress:
        for recording in recordings:
            task = progress.add_task(recording.path.name, total=round(recording.seconds))
            compared = 0
            for minute, block in enumerate(recording.blocks(60 * recording.sample_rate)):
                got = extract(racs, recording, 60 * minute, 60 * minute + 60)
                compare(recording, compared, got, block)
                compared += len(block)
                progress.advance(task, len(block) / recording.sample_rate)
            size = racs.pipeline().info(stream_id=recording.stream_id, attr="size").execute()
            if size != compared * recording.channels * recording.bit_depth // 8:
                sys.exit(f"{recording.stream_id}: {size} bytes are stored, {compared} frames sent")
    return time.perf_counter() - began


def describe(racs: Racs) -> Table:
    """Return a table of all streams, as the server describes them."""
    table = Table("stream", "format", "from (UTC)", "PCM", box=None, pad_edge=False)
    for stream_id in racs.pipeline().list(pattern="*").execute():
        attributes = ("sample_rate", "channels", "bit_depth", "ref", "size")
        rate, channels, depth, ref, size = (
            racs.pipeline().info(stream_id=stream_id, attr=attr).execute() for attr in attributes
        )
        first = f"{datetime.fromtimestamp(ref / 1000, tz=UTC):%H:%M:%S.%f}"[:-3] if size else "-"
        table.add_row(stream_id, f"{rate} Hz, {channels} ch, {depth} bit", first, f"{size:,} bytes")
    return table


def choose(names: Sequence[str]) -> list[Recording]:
    """Return the recordings to archive: the files named, or those in tests/data."""
    paths = [Path(name) for name in names] or sorted(
        path for path in RECORDINGS.iterdir() if path.suffix in SUFFIXES
    )
    recordings = []
    for path in paths:
        try:
            recordings.append(Recording.of(path))
        except (OSError, soundfile.LibsndfileError) as error:
            sys.exit(f"{path} cannot be read as audio: {error}")
    for number, recording in enumerate(recordings):
        if any(recording.stream_id == other.stream_id for other in recordings[:number]):
            recording.stream_id += f"-{number}"
    return recordings


def main() -> None:
    """Run the demo."""
    if sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit("Usage: scripts/demo [FILE ...]   (WAV, FLAC, OGG, MP3 or AIFF)")
    recordings = choose(sys.argv[1:])
    shutil.rmtree(ARCHIVE, ignore_errors=True)
    seconds = sum(recording.seconds for recording in recordings)
    megabytes = sum(recording.size for recording in recordings) / 1e6
    for remark in filter(None, (recording.remark() for recording in recordings)):
        console.print(f"[yellow]{remark}[/]")

    with server() as port, Racs(port=port) as racs:
        sent = archive(racs, recordings)
        say(
            f"archived {len(recordings)} recordings, {seconds:.1f} s of audio, {megabytes:.1f} MB,"
            f" in {sent:.2f} s: {seconds / sent:.0f} times real time"
        )
        cut_out(racs, max(recordings, key=lambda recording: recording.seconds))
        took = verify(racs, recordings)
        say(f"extracted and compared all of it in {took:.2f} s: every sample is the same")
        console.print(describe(racs))

    with server() as port, Racs(port=port) as racs:
        took = verify(racs, recordings)
        say(f"after a restart, compared again in {took:.2f} s: every sample is the same")
    say(f"The archive is in {ARCHIVE.relative_to(ROOT)}: its WAV files open anywhere.")


if __name__ == "__main__":
    try:
        main()
    except RacsException as error:
        sys.exit(f"the server refused: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the server has put everything on the disk")
