"""A model beside the store: lists of samples, through any order of calls, crashes and faults.

`StoreModel` does to the store what it does to the model, and compares. `RULES` says what can be
done, with which arguments; `test_model` lets Hypothesis choose, ``scripts/torture`` random numbers.
"""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from racs_server.errors import DataError, StorageError, StreamError
from racs_server.storage import Durability, Store
from racs_server.values import AudioFormat
from tests.storage.choices import Arguments, Maybe, One, Several, Together, Whole
from tests.storage.expected import Expected, Mark, check_rotten, pieces
from tests.storage.helpers import ALICE, BOB, MONO, STEREO, Clock, frame, noise, start
from tests.storage.simulated import Fault, Halted, Operation, SimulatedDisk

IDS = ("a", "b/../c", "ü")
FED = b""
"""The session of what comes out of pipes, whichever the store takes for it."""
FORMATS = (MONO, STEREO, AudioFormat(1, 1, 24), AudioFormat(768_000, 5, 24))


class StoreModel:
    """A store on a simulated disk, and what it should hold.

    Attributes
    ----------
    ends
        How the process has ended so far: the kind of end, and the operation it came at.
    """

    def __init__(
        self, durability: Durability, segment_bytes: int, log_bytes: int, open_files: int
    ) -> None:
        self.disk = SimulatedDisk()
        self.clock = Clock()
        self.expected: dict[str, Expected] = {}
        self.serial = 0
        self.meanwhile = False
        self.durability = durability
        self.ends: list[tuple[str, Operation | None]] = []

        def make(disk: SimulatedDisk | None = None) -> Store:
            return start(
                disk or self.disk,
                self.clock,
                durability=durability,
                segment_bytes=segment_bytes,
                log_bytes=log_bytes,
                open_files=open_files,
            )

        self.make = make
        self.store = make()

    # ------------------------------------------------------------------ in order

    def create(self, stream_id: str, format_: AudioFormat = MONO) -> None:
        if stream_id in self.expected:
            return
        self.expected[stream_id] = Expected(format_, self.clock.wall)
        with _Settled(self):
            self.store.create(stream_id, format_)
            self.acknowledge()
        if not self.expected[stream_id].after_kill and stream_id not in self.store.ids():
            del self.expected[stream_id]

    def open(self, stream_id: str) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.is_open or stream.may_be_gone:
            return
        with _Settled(self):
            self.store.open_stream(stream_id)
            stream.is_open, stream.fresh, stream.session, stream.held = True, True, None, b""

    def append(
        self,
        blocks: list[tuple[str, int]],
        session: bytes = ALICE,
        *,
        silence: bool = False,
        flushed: bool = True,
    ) -> None:
        frames = []
        coming: dict[str, bytes] = {}
        for stream_id, samples in blocks:
            if not self.meanwhile:
                self.create(stream_id, FORMATS[IDS.index(stream_id)])
                self.open(stream_id)
            stream = self.expected.get(stream_id)
            if stream is None or not stream.is_open or stream.session == FED:
                continue
            if stream.session is None and session == stream.fenced:
                continue
            pcm = self.audio(stream, samples, silence=silence)
            frames.append(frame(stream_id, pcm, stream.session or session))
            coming[stream_id] = coming.get(stream_id, b"") + pcm
        for stream_id, pcm in coming.items():
            stream = self.expected[stream_id]
            stream.offer(pcm, stream.session or session, self.clock.wall)
        with _Settled(self):
            self.store.append(frames)
            for stream_id, pcm in coming.items():
                stream = self.expected[stream_id]
                stream.session = stream.session or session
                stream.take(pcm)
            if flushed:
                self.acknowledge()

    def audio(self, stream: Expected, samples: int, *, silence: bool = False) -> bytes:
        size = samples * stream.format.sample_bytes
        self.serial += 1
        return bytes(size) if silence else noise(size, self.serial)

    def feed(self, stream_id: str, blocks: list[int]) -> None:
        """Append what comes out of a pipe."""
        stream = self.expected.get(stream_id)
        if stream is None or not stream.is_open or stream.session not in (None, FED):
            return

        def coming() -> Iterator[bytes]:
            for samples in blocks:
                pcm = self.audio(stream, samples * stream.format.channels)
                stream.offer(pcm, None, self.clock.wall)
                yield pcm
                stream.session = FED
                stream.take(pcm)
                stream.promise(stream.mark, power_cut=False)

        with _Settled(self) as settled:
            self.store.feed(stream_id, coming())
            self.acknowledge()
        if settled.failed and self.store.info(stream_id).size > stream.taken:
            # The block was taken, but not acknowledged.
            stream.session = FED
            stream.take(b"")

    def acknowledge(self) -> None:
        """Do what has to be done before an acknowledgement."""
        before = self.state()
        self.store.upkeep.flush()
        if self.durability is Durability.ALWAYS and self.meanwhile:
            return  # whoever waits for a sync of the log waits for what goes on, too
        if self.durability is Durability.ALWAYS:
            self.store.upkeep.sync_log()
            self.promise(before)
        self.promise(self.state(), power_cut=False)

    def append_in_vain(self, stream_id: str, bad: str, session: bytes) -> None:
        """A message with one bad frame leaves nothing behind."""
        good = self.expected.get(stream_id)
        frames = [frame(stream_id, bytes(24), good.session or session)] if good else []
        if bad in self.expected and self.expected[bad].is_open:
            frames.append(frame(bad, bytes(25), self.expected[bad].session or session))
        else:
            frames.append(frame(bad, bytes(24), session))
        try:
            self.store.append(frames)
        except (StreamError, DataError, StorageError):
            return
        raise AssertionError("a bad message was taken")

    def expire(self, stream_id: str, seconds: int) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.may_be_gone:
            return
        stream.expiries.append(seconds)
        with _Settled(self):
            self.store.expire(stream_id, seconds)
            self.acknowledge()
        if self.store._by_id[stream_id].expiry != seconds:
            stream.expiries.pop()

    def delete_expired(self, seconds: int) -> None:
        """Time goes by, and what is due goes."""
        self.clock.turn(seconds)
        due = {
            stream_id
            for stream_id, stream in self.expected.items()
            if not stream.is_open
            and not stream.may_be_gone
            and (end := stream.due()) is not None
            and end <= self.clock.wall
        }
        for stream_id in due:
            self.expected[stream_id].may_be_gone = True
        hits = self.disk.fault_hits
        gone = set(self.store.delete_expired())
        assert gone <= due
        assert gone == due or self.disk.fault_hits > hits or not self.can_write
        for stream_id in gone:
            del self.expected[stream_id]
        for stream_id in (due - gone) & set(self.store.ids()):
            self.expected[stream_id].may_be_gone = False

    def attach(self, stream_id: str, name: str, size: int) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.may_be_gone:
            return
        self.serial += 1
        contents = noise(size, self.serial)
        stream.attachments.setdefault(name, [None]).append(contents)
        with _Settled(self):
            self.store.attach(stream_id, name, contents)
            stream.attachments[name] = [contents]
            stream.promise(Mark(0, 0), power_cut=True)

    def sync(self) -> None:
        before = self.state()
        with _Settled(self) as settled:
            self.store.upkeep.sync()
            self.promise(before, power_cut=False)
            for stream_id in [i for i in before if self.is_poisoned(i)]:
                del before[stream_id]
            settled.then(lambda: self.promise(before))

    def make_durable(self, stream_id: str) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.may_be_gone:
            return
        mark = stream.mark
        with _Settled(self):
            frames = self.store.make_durable(stream_id)
            assert frames * stream.format.frame_bytes == mark.taken
            self.promise({stream_id: mark})

    def checkpoint(self) -> None:
        before = self.state()
        with _Settled(self) as settled:
            self.store.upkeep.checkpoint()
            settled.then(lambda: self.promise(before))

    def make_room(self) -> None:
        """Allocate ahead, as the server does in the background."""
        self.store.upkeep.prepare_log()
        self.store.ahead.allocate()

    def close(self, stream_id: str) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or not stream.is_open:
            return
        before = {stream_id: stream.mark}
        stream.is_open, stream.fenced = False, None
        with _Settled(self):
            self.store.close_stream(stream_id)
            self.promise(before)

    def lapse(self) -> None:
        self.clock.turn(31)
        with _Settled(self):
            self.store.lapse()
        for stream_id, stream in self.expected.items():
            if stream.is_open:
                stream.is_open, stream.fenced = False, stream.session or stream.fenced
            assert stream.may_be_gone or not self.store.info(stream_id).is_open

    def delete(self, stream_id: str) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.is_open or stream.may_be_gone:
            return
        stream.may_be_gone = True
        with _Settled(self) as settled:
            self.store.delete(stream_id)
            del self.expected[stream_id]
        if settled.failed and stream_id in self.store.ids():
            stream.may_be_gone = False

    def stop(self) -> None:
        """Stop in order, and start again."""
        before = self.state()
        with _Settled(self) as settled:
            self.store.close()
            self.promise(before)
        self.recover("stop" if not settled.failed else "kill")

    # ------------------------------------------------------------------ out of order

    def wait(self, milliseconds: int) -> None:
        self.clock.turn(milliseconds / 1000)

    def end(self, seed: int | None, again: int) -> None:
        """A kill, or a power cut and perhaps another one while its damage is mended."""
        if seed is None:
            self.disk.kill()
            self.recover("kill")
            return
        self.disk.crash(seed)
        if again:
            self.disk.halt_in = again
            with suppress(Halted):
                self.make()
            self.ends.append(("power cut", self.disk.halted_at))
            self.disk.crash(seed + 1)
        self.recover("power cut")

    def end_during(self, action: str, stream_id: str, after: int, seed: int | None) -> None:
        """The process ends in the middle of something."""
        if action not in {"create", "delete"}:
            self.append([(stream_id, 7)])
        self.disk.halt_in = after
        with suppress(Halted):
            self.do(action, stream_id)
        halted_at = self.disk.halted_at
        if seed is None:
            self.disk.kill()
        else:
            self.disk.crash(seed)
        self.recover("kill" if seed is None else "power cut", halted_at)

    def append_during(
        self, action: str, stream_id: str, to: str, when: int, *, flushed: bool = True
    ) -> None:
        """Audio comes from another thread while something is done, which may acknowledge later."""
        if action in {"stop", "append", "create", "feed"} or (
            action == "close" and to == stream_id
        ):
            return
        left = when

        def meanwhile(operation: Operation) -> None:
            nonlocal left
            left -= 1
            # While a segment is opened another thread has to wait, as it does on a real disk.
            if left <= 0 and operation.kind != "open":
                thread = threading.Thread(target=self.append_if_free, args=(to, flushed))
                thread.start()
                thread.join()

        self.disk.hook = meanwhile
        self.do(action, stream_id)
        self.disk.hook = None

    def append_if_free(self, stream_id: str, flushed: bool) -> None:
        stream = self.expected.get(stream_id)
        lock = self.store._lock
        if stream is not None and stream.session != FED and lock.acquire(blocking=False):
            self.disk.hook = None
            self.meanwhile = True
            self.append([(stream_id, 90), (stream_id, 7)], flushed=flushed)
            self.meanwhile = False
            lock.release()

    def let_fail(self, kind: str, name: str, at: int, times: int, error: int, keep: int) -> None:
        self.disk.faults.append(Fault(kind, name, at=at, times=times, error=error, keep=keep))

    def fill(self, room: int) -> None:
        """Let the disk have no more room than this, in bytes."""
        self.disk.capacity = self.disk.used() + room

    def mend(self) -> None:
        self.disk.faults.clear()
        self.disk.capacity = None

    def rot(self, place: int, bit: int) -> None:
        """Look what a flipped bit does, on a copy of the disk as a kill would leave it."""
        disk = self.disk.copy()
        files = {name: size for name, size in disk.sizes().items() if size}
        if not files:
            return
        names = sorted(files)
        name = names[place % len(names)]
        disk.flip(name, place // len(names) % files[name], bit)
        check_rotten(disk, name, self.expected, self.serials(), lambda: self.make(disk))

    def lose_sector(self, place: int, at: int) -> None:
        """Look what a start does when the disk cannot read a file, on a copy as above."""
        disk = self.disk.copy()
        names = sorted(name for name in disk.sizes() if name.startswith("streams/"))
        if not names:
            return
        name = names[place % len(names)]
        disk.faults.append(Fault("read", name, at=at, times=1 << 30))
        check_rotten(disk, name, self.expected, self.serials(), lambda: self.make(disk))

    def serials(self) -> dict[str, int]:
        return {stream_id: self.store.info(stream_id).serial for stream_id in self.store.ids()}

    # ------------------------------------------------------------------ comparing

    def extract(self, stream_id: str, places: tuple[int, int]) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.may_be_gone:
            return
        first, stop = sorted(places)
        size = stream.format.frame_bytes
        with _Settled(self):
            found = b"".join(pieces(self.store, stream_id, first, stop))
            assert found == stream.sent[: stream.taken][first * size : stop * size]

    def check(self) -> None:
        """Compare what the store shows at any time."""
        for stream_id, stream in self.expected.items():
            if not stream.may_be_gone:
                info = self.store.info(stream_id)
                assert info.size == stream.taken, (stream_id, info.size, stream.taken)
                assert info.is_open == stream.is_open, stream_id
                left = self.store.seconds_left(stream_id)
                assert left == stream.seconds_left(self.clock.wall), stream_id

    def do(self, action: str, stream_id: str) -> None:
        if action in {"close", "delete", "create", "make_durable"}:
            getattr(self, action)(stream_id)
        elif action == "append":
            self.append([(stream_id, 90), (IDS[0], 800), (stream_id, 1)])
        elif action == "attach":
            self.attach(stream_id, "notes", 1000)
        elif action == "feed":
            self.feed(stream_id, [7, 90, 7])
        else:
            getattr(self, action)()

    def state(self) -> dict[str, Mark]:
        return {stream_id: stream.mark for stream_id, stream in self.expected.items()}

    def is_poisoned(self, stream_id: str) -> bool:
        stream = self.store._by_id.get(stream_id)
        return stream is not None and stream.poisoned is not None

    @property
    def can_write(self) -> bool:
        """Whether the log has not failed, and the disk has room."""
        return self.disk.capacity is None and not self.store.upkeep.statistics()["log_failed"]

    def promise(self, state: dict[str, Mark], *, power_cut: bool = True) -> None:
        """Note that what was there by then must survive a kill, or a power cut as well."""
        for stream_id, mark in state.items():
            if stream_id in self.expected:
                self.expected[stream_id].promise(mark, power_cut=power_cut)

    def recover(self, end: str, at: Operation | None = None) -> None:
        """Start anew, and compare all that is there with what must and what may be there."""
        self.ends.append((end, at))
        self.disk.kill()
        self.store = self.make()
        assert set(self.store.ids()) <= set(self.expected)
        for stream_id, stream in list(self.expected.items()):
            if stream_id not in self.store.ids():
                assert not stream.must_be_there(end), f"{stream_id} is lost"
                del self.expected[stream_id]
            else:
                stream.compare(self.store, stream_id, end)
        before = self.disk.contents()
        infos = [self.store.info(stream_id) for stream_id in self.expected]
        self.disk.kill()
        self.store = self.make()
        assert self.disk.contents() == before
        assert [self.store.info(stream_id) for stream_id in self.expected] == infos


class _Settled:
    """Runs a call that may be refused because of a fault; then nothing new is promised.

    The promise of a call that does not say itself that something has failed is kept back, too, if
    a fault was hit while it ran.
    """

    def __init__(self, model: StoreModel) -> None:
        self._disk = model.disk
        self._before = self._disk.fault_hits
        self._then: Callable[[], None] | None = None
        self.failed = False

    def then(self, action: Callable[[], None]) -> None:
        self._then = action

    def __enter__(self) -> "_Settled":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        if kind is None and self._then is not None and self._disk.fault_hits == self._before:
            self._then()
        self.failed = kind is not None and issubclass(kind, StorageError)
        return self.failed


_ID = One(*IDS)
_SESSION = One(ALICE, BOB)
_SAMPLES = One(0, 1, 2, 7, 90, 800, 33_000)
_SEED = Whole(0, 1 << 16)
_PLACE = Whole(0, 1 << 17)
_ACTION = One(
    "append", "sync", "checkpoint", "close", "delete", "create", "stop", "attach", "feed",
    "make_durable",
)  # fmt: skip
_FAULT: Arguments = {
    "kind": One("write", "sync", "sync_folder", "open", "rename", "allocate", "read", "truncate"),
    "name": One(".wav", ".crc", "stream.json", "log/", "attachments/", ""),
    "at": Whole(1, 4),
    "times": One(1, 1, 3),
    "error": One(errno.EIO, errno.ENOSPC),
    "keep": One(0, 100),
}

BEGIN: Arguments = {
    "durability": One(*Durability),
    "segment_bytes": One(200, 3000, 1 << 20),
    "log_bytes": One(300, 4096),
    "open_files": One(1, 100),
}
"""How a model begins."""

RULES: dict[str, Arguments] = {
    "create": {"stream_id": _ID, "format_": One(*FORMATS)},
    "open": {"stream_id": _ID},
    "append": {
        "blocks": Several(Together(_ID, _SAMPLES), 5),
        "session": _SESSION,
        "silence": One(False, True),
    },
    "append_in_vain": {"stream_id": _ID, "bad": _ID, "session": _SESSION},
    "append_during": {
        "action": _ACTION,
        "stream_id": _ID,
        "to": _ID,
        "when": Whole(1, 25),
        "flushed": One(True, False),
    },
    "feed": {"stream_id": _ID, "blocks": Several(_SAMPLES, 4)},
    "sync": {},
    "make_durable": {"stream_id": _ID},
    "checkpoint": {},
    "make_room": {},
    "close": {"stream_id": _ID},
    "lapse": {},
    "expire": {"stream_id": _ID, "seconds": One(-1, 0, 5, 60, 10**9)},
    "delete_expired": {"seconds": One(0, 1, 10, 100)},
    "attach": {
        "stream_id": _ID,
        "name": One("notes", "../ü"),
        "size": One(0, 3, 1000, 5000),
    },
    "delete": {"stream_id": _ID},
    "stop": {},
    "wait": {"milliseconds": Whole(1, 5000)},
    "end": {"seed": Maybe(_SEED), "again": One(0, 0, 1, 3, 10, 30, 80)},
    "end_during": {
        "action": _ACTION,
        "stream_id": _ID,
        "after": Whole(1, 40),
        "seed": Maybe(_SEED),
    },
    "let_fail": _FAULT,
    "fill": {"room": One(0, 1, 300, 5000, 100_000)},
    "mend": {},
    "rot": {"place": Whole(0, 1 << 30), "bit": Whole(0, 7)},
    "lose_sector": {"place": Whole(0, 1 << 30), "at": Whole(1, 4)},
    "extract": {"stream_id": _ID, "places": Together(_PLACE, _PLACE)},
}
"""What can be done in any order, and with what."""


def step(model: StoreModel, rule: str, arguments: dict[str, Any]) -> None:
    """Do one thing, and compare."""
    getattr(model, rule)(**arguments)
    model.check()
