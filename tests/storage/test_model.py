"""A model beside the store: a list of samples, through any order of calls, crashes and faults.

``RACS_MODEL=<examples>x<steps>`` asks for a longer run, ``--hypothesis-seed`` for another one.
"""

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from racs_server.errors import DataError, StorageError, StreamError
from racs_server.storage import Durability, Store
from racs_server.values import AudioFormat
from tests.storage.helpers import ALICE, BOB, MONO, STEREO, Clock, frame, noise, start
from tests.storage.simulated import Fault, Halted, Operation, SimulatedDisk

IDS = ("a", "b/../c", "ü")
FORMATS = (MONO, STEREO, AudioFormat(1, 1, 24), AudioFormat(768_000, 5, 24))
SECTORS = (0, 60, 700, 4096)

ids = st.sampled_from(IDS)
seeds = st.integers(0, 1 << 16)
actions = st.sampled_from(("append", "sync", "checkpoint", "close", "delete", "create", "stop"))


class Expected(msgspec.Struct):
    """What is known of one stream.

    Attributes
    ----------
    sent
        All PCM handed to the store, in whole sample frames; what is stored is a first part of it.
    taken
        How many bytes of it the store shows.
    acknowledged, durable
        How many bytes of it a killed process, and a power cut, must leave.
    after_kill, after_power_cut
        Whether the stream must still be there.
    may_be_gone
        Its deletion has begun.
    turns
        The sessions: whose, and from which byte on.
    """

    format: AudioFormat
    sent: bytearray = msgspec.field(default_factory=bytearray)
    taken: int = 0
    acknowledged: int = 0
    durable: int = 0
    after_kill: bool = False
    after_power_cut: bool = False
    may_be_gone: bool = False
    is_open: bool = False
    session: bytes | None = None
    fenced: bytes | None = None
    fresh: bool = False
    held: bytes = b""
    turns: list[tuple[str, int]] = msgspec.field(default_factory=list)


class StoreMachine(RuleBasedStateMachine):
    """Does to the store what it does to the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimulatedDisk()
        self.clock = Clock()
        self.expected: dict[str, Expected] = {}
        self.serial = 0
        self.meanwhile = False

    @initialize(
        durability=st.sampled_from(Durability),
        segment_bytes=st.sampled_from((200, 3000, 1 << 20)),
        log_bytes=st.sampled_from((300, 4096)),
        open_files=st.sampled_from((1, 100)),
    )
    def begin(
        self, durability: Durability, segment_bytes: int, log_bytes: int, open_files: int
    ) -> None:
        self.durability = durability

        def make() -> Store:
            return start(
                self.disk,
                self.clock,
                durability=durability,
                segment_bytes=segment_bytes,
                log_bytes=log_bytes,
                open_files=open_files,
            )

        self.make = make
        self.store = make()

    # ------------------------------------------------------------------ in order

    @rule(stream_id=ids, format_=st.sampled_from(FORMATS))
    def create(self, stream_id: str, format_: AudioFormat = MONO) -> None:
        if stream_id in self.expected:
            return
        self.expected[stream_id] = Expected(format_)
        with _Settled(self):
            self.store.create(stream_id, format_)
            self.acknowledge()
        if not self.expected[stream_id].after_kill and stream_id not in self.store.ids():
            del self.expected[stream_id]

    @rule(stream_id=ids)
    def open(self, stream_id: str) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.is_open or stream.may_be_gone:
            return
        with _Settled(self):
            self.store.open_stream(stream_id)
            stream.is_open, stream.fresh, stream.session, stream.held = True, True, None, b""

    @rule(
        blocks=st.lists(st.tuples(ids, st.sampled_from((0, 1, 2, 7, 90, 800, 33_000))), max_size=5),
        session=st.sampled_from((ALICE, BOB)),
        silence=st.booleans(),
    )
    def append(
        self,
        blocks: list[tuple[str, int]],
        session: bytes = ALICE,
        *,
        silence: bool = False,
    ) -> None:
        frames = []
        coming: dict[str, bytes] = {}
        for stream_id, samples in blocks:
            if not self.meanwhile:
                self.create(stream_id, FORMATS[IDS.index(stream_id)])
                self.open(stream_id)
            stream = self.expected.get(stream_id)
            if stream is None or not stream.is_open:
                continue
            size = samples * stream.format.sample_bytes
            self.serial += 1
            pcm = bytes(size) if silence else noise(size, self.serial)
            if stream.session is None and session == stream.fenced:
                continue
            frames.append(frame(stream_id, pcm, stream.session or session))
            coming[stream_id] = coming.get(stream_id, b"") + pcm
        self.take(frames_of=coming, session=session, send=lambda: self.store.append(frames))

    def take(
        self, *, frames_of: dict[str, bytes], session: bytes, send: Callable[[], object]
    ) -> None:
        for stream_id, pcm in frames_of.items():
            stream = self.expected[stream_id]
            whole = stream.held + pcm
            cut = len(whole) - len(whole) % stream.format.frame_bytes
            stream.sent[stream.taken :] = whole[:cut]
        with _Settled(self):
            send()
            for stream_id, pcm in frames_of.items():
                stream = self.expected[stream_id]
                stream.session = stream.session or session
                if stream.fresh and len(stream.sent) > stream.taken:
                    stream.turns.append((stream.session.hex(), stream.taken))
                    stream.fresh = False
                whole = stream.held + pcm
                stream.held = whole[len(stream.sent) - stream.taken :]
                stream.taken = len(stream.sent)
            self.acknowledge()

    def acknowledge(self) -> None:
        """Do what has to be done before an acknowledgement."""
        before = self.state()
        self.store.upkeep.flush()
        if self.durability is Durability.ALWAYS and self.meanwhile:
            return  # whoever waits for a sync of the log waits for what goes on, too
        if self.durability is Durability.ALWAYS:
            self.store.upkeep.sync_log()
            self.promise(before)
        for stream in self.expected.values():
            stream.after_kill, stream.acknowledged = True, stream.taken

    @rule(stream_id=ids, bad=ids, session=st.sampled_from((ALICE, BOB)))
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

    @rule()
    def sync(self) -> None:
        before = self.state()
        with _Settled(self) as settled:
            self.store.upkeep.sync()
            self.note_acknowledged(before)
            for stream_id in [i for i in before if self.is_poisoned(i)]:
                del before[stream_id]
            settled.then(lambda: self.promise(before))

    @rule()
    def checkpoint(self) -> None:
        before = self.state()
        with _Settled(self) as settled:
            self.store.upkeep.checkpoint()
            settled.then(lambda: self.promise(before))

    @rule(stream_id=ids)
    def close(self, stream_id: str) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or not stream.is_open:
            return
        before = {stream_id: stream.taken}
        stream.is_open, stream.fenced = False, None
        with _Settled(self):
            self.store.close_stream(stream_id)
            self.promise(before)

    @rule()
    def lapse(self) -> None:
        self.clock.turn(31)
        with _Settled(self):
            self.store.lapse()
        for stream in self.expected.values():
            if stream.is_open:
                stream.is_open, stream.fenced = False, stream.session or stream.fenced
        for stream_id, stream in self.expected.items():
            assert stream.may_be_gone or not self.store.info(stream_id).is_open

    @rule(stream_id=ids)
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

    @rule()
    def stop(self) -> None:
        """Stop in order, and start again."""
        before = self.state()
        with _Settled(self) as settled:
            self.store.close()
            self.promise(before)
        self.recover("stop" if not settled.failed else "kill")

    # ------------------------------------------------------------------ out of order

    @rule(clock=st.integers(1, 5000))
    def wait(self, clock: int) -> None:
        self.clock.turn(clock / 1000)

    @rule(seed=seeds | st.none(), again=st.just(0) | st.integers(0, 80))
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
            self.disk.crash(seed + 1)
        self.recover("power cut")

    @rule(action=actions, stream_id=ids, after=st.integers(1, 40), seed=seeds | st.none())
    def end_during(self, action: str, stream_id: str, after: int, seed: int | None) -> None:
        """The process ends in the middle of something."""
        self.disk.halt_in = after
        with suppress(Halted):
            self.do(action, stream_id)
        if seed is None:
            self.disk.kill()
        else:
            self.disk.crash(seed)
        self.recover("kill" if seed is None else "power cut")

    @rule(action=actions, stream_id=ids, to=ids, when=st.integers(1, 25))
    def append_during(self, action: str, stream_id: str, to: str, when: int) -> None:
        """Audio comes from another thread while something is done."""
        if action in {"stop", "append", "create"} or (action == "close" and to == stream_id):
            return
        left = when

        def meanwhile(operation: Operation) -> None:
            nonlocal left
            left -= 1
            # While a segment is opened another thread has to wait, as it does on a real disk.
            if left <= 0 and operation.kind != "open":
                thread = threading.Thread(target=self.append_if_free, args=(to,))
                thread.start()
                thread.join()

        self.disk.hook = meanwhile
        self.do(action, stream_id)
        self.disk.hook = None

    def append_if_free(self, stream_id: str) -> None:
        lock = self.store._lock
        if lock.acquire(blocking=False):
            self.disk.hook = None
            self.meanwhile = True
            self.append([(stream_id, 90), (stream_id, 7)])
            self.meanwhile = False
            lock.release()

    @rule(
        kind=st.sampled_from(("write", "sync", "sync_folder", "open", "rename", "allocate")),
        name=st.sampled_from((".wav", ".crc", "stream.json", "log/", "")),
        at=st.integers(1, 4),
        times=st.sampled_from((1, 1, 3)),
        error=st.sampled_from((errno.EIO, errno.ENOSPC)),
        keep=st.sampled_from((0, 100)),
    )
    def let_fail(self, kind: str, name: str, at: int, times: int, error: int, keep: int) -> None:
        self.disk.faults.append(Fault(kind, name, at=at, times=times, error=error, keep=keep))

    @precondition(lambda self: self.disk.faults)
    @rule()
    def mend(self) -> None:
        self.disk.faults.clear()

    # ------------------------------------------------------------------ comparing

    @rule(stream_id=ids, places=st.tuples(st.integers(0, 1 << 17), st.integers(0, 1 << 17)))
    def extract(self, stream_id: str, places: tuple[int, int]) -> None:
        stream = self.expected.get(stream_id)
        if stream is None or stream.may_be_gone:
            return
        first, stop = sorted(places)
        size = stream.format.frame_bytes
        with _Settled(self):
            plan = self.store.plan(stream_id, first, stop)
            found = b"".join(map(bytes, self.store.read(plan)))
            assert found == stream.sent[: stream.taken][first * size : stop * size]

    @invariant()
    def shows_what_was_taken(self) -> None:
        for stream_id, stream in self.expected.items():
            if not stream.may_be_gone:
                info = self.store.info(stream_id)
                assert info.size == stream.taken, (stream_id, info.size, stream.taken)

    def do(self, action: str, stream_id: str) -> None:
        if action in {"close", "delete", "create"}:
            getattr(self, action)(stream_id)
        elif action == "append":
            self.append([(stream_id, 90), (IDS[0], 800), (stream_id, 1)])
        else:
            getattr(self, action)()

    def state(self) -> dict[str, int]:
        return {stream_id: stream.taken for stream_id, stream in self.expected.items()}

    def note_acknowledged(self, state: dict[str, int]) -> None:
        for stream_id, taken in state.items():
            stream = self.expected[stream_id]
            stream.after_kill, stream.acknowledged = True, max(stream.acknowledged, taken)

    def is_poisoned(self, stream_id: str) -> bool:
        stream = self.store._by_id.get(stream_id)
        return stream is not None and stream.poisoned is not None

    def promise(self, state: dict[str, int]) -> None:
        """Note that what was taken by then must survive a power cut."""
        for stream_id, taken in state.items():
            if stream_id in self.expected:
                stream = self.expected[stream_id]
                stream.after_kill = stream.after_power_cut = True
                stream.durable = max(stream.durable, taken)
                stream.acknowledged = max(stream.acknowledged, taken)

    def recover(self, end: str) -> None:
        """Start anew, and compare all that is there with what must and what may be there."""
        self.disk.kill()
        self.store = self.make()
        assert set(self.store.ids()) <= set(self.expected)
        for stream_id, stream in list(self.expected.items()):
            must = stream.after_power_cut if end == "power cut" else stream.after_kill
            if stream_id not in self.store.ids():
                assert not must or stream.may_be_gone, f"{stream_id} is lost"
                del self.expected[stream_id]
            else:
                self.compare(stream_id, stream, end)
        before = self.disk.contents()
        infos = [self.store.info(stream_id) for stream_id in self.expected]
        self.disk.kill()
        self.store = self.make()
        assert self.disk.contents() == before
        assert [self.store.info(stream_id) for stream_id in self.expected] == infos

    def compare(self, stream_id: str, stream: Expected, end: str) -> None:
        info = self.store.info(stream_id)
        least = stream.durable if end == "power cut" else stream.acknowledged
        if end == "stop":
            least = stream.taken
        assert least <= info.size <= len(stream.sent), (stream_id, end)
        found = b"".join(map(bytes, self.store.read(self.store.plan(stream_id, 0, info.frames))))
        assert found == stream.sent[: info.size]
        turns = [
            (s.id, s.first * stream.format.frame_bytes) for s in self.store.sessions(stream_id)
        ]
        expected = [turn for turn in stream.turns if turn[1] < info.size]
        assert turns == expected
        stream.turns = turns
        stream.sent = stream.sent[: info.size]
        stream.taken = stream.acknowledged = stream.durable = info.size
        stream.after_kill = stream.after_power_cut = True
        stream.may_be_gone = stream.is_open = False
        stream.fenced = None


class _Settled:
    """Runs a call that may be refused because of a fault; then nothing new is promised.

    The promise of a call that does not say itself that something has failed is kept back, too, if
    a fault was hit while it ran.
    """

    def __init__(self, machine: StoreMachine) -> None:
        self._disk = machine.disk
        self._before = self._hits()
        self._then: Callable[[], None] | None = None
        self.failed = False

    def _hits(self) -> int:
        return self._disk.fault_hits

    def then(self, action: Callable[[], None]) -> None:
        self._then = action

    def __enter__(self) -> "_Settled":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        if kind is None and self._then is not None and self._hits() == self._before:
            self._then()
        self.failed = kind is not None and issubclass(kind, StorageError)
        return self.failed


def test_the_store_keeps_what_it_promises() -> None:
    examples, steps = os.environ.get("RACS_MODEL", "60x40").split("x")
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=int(examples),
            stateful_step_count=int(steps),
            deadline=None,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
