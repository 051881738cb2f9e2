"""What the storage tests share: a clock to turn by hand, frames, a store on a simulated disk."""

import random
from collections.abc import Callable

from crc32c import crc32c

from racs.wire import Frame, stream_hash
from racs_server.storage import Durability, FileSystem, Store, StoreOptions
from racs_server.values import AudioFormat, StreamEvent
from tests.storage.simulated import SimulatedDisk

MONO = AudioFormat(8000, 1, 16)
STEREO = AudioFormat(44_100, 2, 16)
SURROUND = AudioFormat(48_000, 6, 24)
ALICE = bytes([0x11]) * 16
BOB = bytes([0x22]) * 16
START = 1_700_000_000_000


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.wall = START
        self.seconds = 1000.0

    def wall_ms(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def turn(self, seconds: float) -> None:
        self.wall += round(seconds * 1000)
        self.seconds += seconds


def start(
    fs: FileSystem | None = None,
    clock: Clock | None = None,
    *,
    durability: Durability = Durability.INTERVAL,
    segment_bytes: int = 64 << 20,
    log_bytes: int = 1 << 14,
    open_files: int = 1024,
    sync_threads: int = 0,
    notify: Callable[[StreamEvent], object] | None = None,
) -> Store:
    """Return a store, without threads of its own unless it is asked for them."""
    options = StoreOptions(
        durability=durability,
        segment_bytes=segment_bytes,
        log_bytes=log_bytes,
        open_files=open_files,
        sync_threads=sync_threads,
    )
    return Store(fs or SimulatedDisk(), clock or Clock(), options, notify)


def frame(stream_id: str, pcm: bytes, session: bytes = ALICE, *, inflated: bool = False) -> Frame:
    """Return a frame; `inflated` as if its block had come compressed."""
    return Frame(stream_hash(stream_id), session, pcm, None if inflated else crc32c(pcm))


def noise(size: int, seed: int = 0) -> bytes:
    """Return PCM of so many bytes in which no two places look the same."""
    return random.Random(seed).randbytes(size)


def make_open(store: Store, *ids: str, format_: AudioFormat = MONO) -> None:
    """Create and open streams."""
    for stream_id in ids:
        store.create(stream_id, format_)
        store.open_stream(stream_id)


def send(store: Store, stream_id: str, pcm: bytes, session: bytes = ALICE) -> None:
    """Append PCM as one message, up to its acknowledgement."""
    store.append([frame(stream_id, pcm, session)])
    store.upkeep.flush()


def archived(store: Store, stream_id: str, pcm: bytes, session: bytes = ALICE) -> None:
    """Open, append and close."""
    store.open_stream(stream_id)
    send(store, stream_id, pcm, session)
    store.close_stream(stream_id)


def read(store: Store, stream_id: str, start: int = 0, stop: int = 1 << 62) -> bytes:
    """Return the PCM of a range."""
    return b"".join(map(bytes, store.read(store.plan(stream_id, start, stop))))


def files(disk: SimulatedDisk, end: str = "") -> list[str]:
    """Return the names of the files with that ending, but for the lock and the log's."""
    names = disk.contents()
    return [name for name in names if name.endswith(end) and not name.startswith("log/")]
