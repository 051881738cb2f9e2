"""All at once on a real disk, without waiting: appends, reads, syncs, checkpoints, deletions."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from racs_server.errors import StreamError
from racs_server.storage import Disk, Durability, Store
from racs_server.values import AudioFormat
from tests.storage.helpers import MONO, SURROUND, Clock, frame, make_open, noise, read, start

MESSAGES = 120
WRITERS = {"mono": MONO, "surround": SURROUND, "odd": AudioFormat(1, 1, 24), "more": MONO}


class Busy:
    """One store and all that goes on in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sent = dict.fromkeys(WRITERS, b"")
        self.ended = threading.Event()

    def write(self, stream_id: str) -> None:
        """Send messages, and close and open the stream now and then."""
        rng = random.Random(stream_id)
        for number in range(MESSAGES):
            size = rng.choice((0, 18, 900, 9000, 54_000))
            pcm = noise(size, number)
            self.store.append([frame(stream_id, pcm)])
            self.store.upkeep.flush()
            self.sent[stream_id] += pcm
            if self.store.options.durability is Durability.ALWAYS and not number % 10:
                self.store.upkeep.sync_log()
            if not number % 40:
                self.store.close_stream(stream_id)
                self.store.open_stream(stream_id)

    def look_after(self) -> None:
        """Do what the owner of a store does in the background, as fast as it goes."""
        while not self.ended.is_set():
            self.store.upkeep.sync()
            self.store.upkeep.checkpoint()
            self.store.upkeep.prepare_log()
            self.store.ahead.allocate()
            self.store.lapse()
            self.store.statistics()

    def look_on(self, seed: int) -> None:
        """Read ranges and compare them with what has been sent."""
        rng = random.Random(seed)
        while not self.ended.is_set():
            stream_id = rng.choice(list(WRITERS))
            size = WRITERS[stream_id].frame_bytes
            sent = self.sent[stream_id]
            stop = rng.randint(0, len(sent) // size)
            begin = rng.randint(0, stop)
            assert read(self.store, stream_id, begin, stop) == sent[begin * size : stop * size]

    def come_and_go(self) -> None:
        """Make a stream and delete it, again and again, while others may read it."""
        number = 0
        while not self.ended.is_set():
            number += 1
            make_open(self.store, "guest")
            pcm = noise(3000 + number % 7 * 2, number)
            self.store.append([frame("guest", pcm)])
            self.store.close_stream("guest")
            assert read(self.store, "guest") == pcm
            self.store.delete("guest")

    def peep(self) -> None:
        """Read the stream that comes and goes: all of it, or an error that says that it is gone."""
        while not self.ended.is_set():
            try:
                plan = self.store.plan("guest", 0, 1 << 30)
                found = b"".join(map(bytes, self.store.read(plan)))
            except StreamError:
                continue
            assert len(found) == plan.frames * 2

    def run(self) -> None:
        others: list[Callable[[], None]] = [self.look_after, self.come_and_go, self.peep]
        others += [lambda: self.look_on(1), lambda: self.look_on(2)]
        with ThreadPoolExecutor(len(others) + len(WRITERS)) as pool:
            running = [pool.submit(self.until_the_end, other) for other in others]
            writers = [pool.submit(self.write, stream_id) for stream_id in WRITERS]
            try:
                for writer in writers:
                    writer.result()
            finally:
                self.ended.set()
            for other in running:
                other.result()

    def until_the_end(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:
            self.ended.set()
            raise


@pytest.mark.parametrize("durability", list(Durability))
def test_all_at_once(durability: Durability, tmp_path: Path) -> None:
    store = start(
        Disk(tmp_path),
        Clock(),
        durability=durability,
        segment_bytes=100_000,
        log_bytes=4096,
        open_files=3,
        sync_threads=3,
    )
    make_open(store, *["mono", "more"])
    make_open(store, "surround", format_=SURROUND)
    make_open(store, "odd", format_=WRITERS["odd"])
    busy = Busy(store)
    busy.run()
    store._release.close()  # as if the process had been killed: nothing is closed in order
    store = start(Disk(tmp_path), Clock())
    assert store.report.dropped_frames == 0
    for stream_id, sent in busy.sent.items():
        whole = len(sent) // WRITERS[stream_id].frame_bytes * WRITERS[stream_id].frame_bytes
        assert read(store, stream_id) == sent[:whole]
    store.close()
    assert not list(tmp_path.glob("log/*.log"))
