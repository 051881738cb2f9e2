"""What a model of the store knows of its streams: what was sent, what must outlive which end."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from racs_server.errors import DamageError, StorageError
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.storage.simulated import SimulatedDisk

NEVER = -1


class Mark(NamedTuple):
    """How far a stream has come: bytes taken, and times to live given."""

    taken: int
    expiries: int


class Expected(msgspec.Struct):
    """What is known of one stream.

    Attributes
    ----------
    sent
        All PCM handed to the store, in whole sample frames; what is stored is a first part of it.
    taken
        How many bytes of it the store shows.
    acknowledged, durable
        What a killed process, and a power cut, must leave.
    after_kill, after_power_cut
        Whether the stream must still be there.
    may_be_gone
        Its deletion has begun.
    turns
        The sessions: whose (None: the store's own), and from which byte on.
    created, arrivals
        The times of its creation, and of what came up to which byte, in ms since the epoch.
    expiries
        The times to live that were given, in seconds; the store has the last.
    attachments
        What may be found by each name; None: nothing.
    """

    format: AudioFormat
    created: int
    sent: bytearray = msgspec.field(default_factory=bytearray)
    taken: int = 0
    acknowledged: Mark = Mark(0, 0)
    durable: Mark = Mark(0, 0)
    after_kill: bool = False
    after_power_cut: bool = False
    may_be_gone: bool = False
    is_open: bool = False
    session: bytes | None = None
    fenced: bytes | None = None
    fresh: bool = False
    held: bytes = b""
    turns: list[tuple[str | None, int]] = msgspec.field(default_factory=list)
    arrivals: list[tuple[int, int]] = msgspec.field(default_factory=list)
    expiries: list[int] = msgspec.field(default_factory=lambda: [NEVER])
    attachments: dict[str, list[bytes | None]] = msgspec.field(default_factory=dict)

    @property
    def mark(self) -> Mark:
        """How far it has come."""
        return Mark(self.taken, len(self.expiries) - 1)

    def offer(self, pcm: bytes, session: bytes | None, now: int) -> None:
        """Note what is handed to the store now, and may be found after a kill."""
        whole = self.held + pcm
        self.sent[self.taken :] = whole[: len(whole) - len(whole) % self.format.frame_bytes]
        self.arrivals = [entry for entry in self.arrivals if entry[0] <= self.taken]
        if len(self.sent) > self.taken:
            self.arrivals.append((len(self.sent), now))
            if self.fresh:
                self.turns = [turn for turn in self.turns if turn[1] < self.taken]
                self.turns.append((session.hex() if session else None, self.taken))

    def take(self, pcm: bytes) -> None:
        """Note that the store has taken what it was offered."""
        self.fresh = self.fresh and len(self.sent) == self.taken
        self.held = (self.held + pcm)[len(self.sent) - self.taken :]
        self.taken = len(self.sent)

    def promise(self, mark: Mark, *, power_cut: bool) -> None:
        """Note what a kill must leave, or a power cut as well."""
        self.after_kill = True
        self.acknowledged = Mark(*map(max, self.acknowledged, mark))
        if power_cut:
            self.after_power_cut = True
            self.durable = Mark(*map(max, self.durable, mark))

    def due(self) -> int | None:
        """Return when it is to be deleted, in ms since the epoch."""
        if self.expiries[-1] == NEVER:
            return None
        times = [now for stop, now in self.arrivals if stop <= self.taken]
        return (times[-1] if times else self.created) + 1000 * self.expiries[-1]

    def seconds_left(self, now: int) -> int:
        """Return what TTL should say."""
        due = self.due()
        return NEVER if due is None else max(0, -(-(due - now) // 1000))

    def must_be_there(self, end: str) -> bool:
        """Whether the stream must be there after a ``stop``, a ``kill`` or a ``power cut``."""
        if self.may_be_gone:
            return False
        return self.after_power_cut if end == "power cut" else self.after_kill

    def compare(self, store: Store, stream_id: str, end: str) -> None:
        """Compare what an end has left with what it must and may leave, and go on from there."""
        info = store.info(stream_id)
        least = self.durable if end == "power cut" else self.acknowledged
        if end == "stop":
            least = self.mark
        assert info.format == self.format
        assert least.taken <= info.size <= len(self.sent), (stream_id, end)
        assert b"".join(pieces(store, stream_id)) == self.sent[: info.size], (stream_id, end)
        self._compare_turns(store, stream_id, info.size)
        self.arrivals = [entry for entry in self.arrivals if entry[0] <= info.size]
        found = store._by_id[stream_id].expiry
        while self.expiries[-1] != found:
            self.expiries.pop()
        assert len(self.expiries) > least.expiries, (stream_id, found)
        self._compare_attachments(store, stream_id, end)
        self.sent = self.sent[: info.size]
        self.taken = info.size
        self.acknowledged = self.durable = self.mark
        self.after_kill = self.after_power_cut = True
        self.may_be_gone = self.is_open = False
        self.fenced = None

    def _compare_turns(self, store: Store, stream_id: str, size: int) -> None:
        found = [(s.id, s.first * self.format.frame_bytes) for s in store.sessions(stream_id)]
        expected = [turn for turn in self.turns if turn[1] < size]
        assert len(found) == len(expected), (stream_id, found, expected)
        for (id_, first), (expected_id, expected_first) in zip(found, expected, strict=True):
            assert first == expected_first
            assert expected_id in (None, id_)
        self.turns = list(found)

    def _compare_attachments(self, store: Store, stream_id: str, end: str) -> None:
        """What a kill has left of an attachment that failed is not durable by that."""
        names = store.attachments(stream_id)
        assert set(names) <= set(self.attachments)
        for name, possible in self.attachments.items():
            found = store.attachment(stream_id, name) if name in names else None
            assert found in possible, (stream_id, name)
            if end == "power cut":
                self.attachments[name] = [found]


def pieces(store: Store, stream_id: str, first: int = 0, stop: int = 1 << 62) -> list[bytes]:
    """Return the PCM of a range of sample frames, piece by piece."""
    return [bytes(piece) for piece in store.read(store.plan(stream_id, first, stop))]


def check_rotten(
    disk: SimulatedDisk,
    rotten: str,
    expected: dict[str, Expected],
    serials: dict[str, int],
    make: Callable[[], Store],
) -> None:
    """Start a store on a disk where a bit of one file has rotted: found out or harmless.

    Whatever is shown is right, all that did not depend on the file is there, and what is not is
    told of.
    """
    store = make()
    told = bool(store.report.notes)
    folders = {stream.folder: stream.id for stream in store._by_id.values()}
    if set(store.ids()) - set(expected):
        # The log cannot tell of a deletion any more: what it has behind the tear is passed over.
        assert rotten.startswith("log/")
        assert told
    for stream_id, stream in expected.items():
        mine = any(rotten.startswith(f) and id_ == stream_id for f, id_ in folders.items())
        if stream_id not in store.ids():
            assert told or not stream.must_be_there("kill"), (rotten, stream_id)
            continue
        serial = store.info(stream_id).serial
        if serials.get(stream_id, serial) != serial:
            # Nor that a stream was deleted and made anew: this is the earlier one.
            assert rotten.startswith("log/")
            assert told
            continue
        whole = _check_readable(store, stream_id, stream)
        shared = rotten.startswith(("log/", "catalog"))
        assert whole or told or mine, (rotten, stream_id)
        assert whole or mine or shared, (rotten, stream_id)
    contents = disk.contents()
    disk.kill()
    make()
    assert disk.contents() == contents, f"a second recovery changes what {rotten} has left"


def _check_readable(store: Store, stream_id: str, stream: Expected) -> bool:
    """Check all that a store gives of a stream; return whether all that must be there is."""
    frame, shown = stream.format.frame_bytes, store.info(stream_id).size
    whole = len(stream.sent) >= shown >= stream.acknowledged.taken or stream.may_be_gone
    for first in range(0, shown // frame, max(1, shown // frame // 4)):
        stop = first + max(1, shown // frame // 4)
        try:
            found = b"".join(pieces(store, stream_id, first, stop))
        except (DamageError, StorageError):
            whole = False
            continue
        assert found == stream.sent[:shown][first * frame : stop * frame], stream_id
    for name, possible in stream.attachments.items():
        try:
            there = name in store.attachments(stream_id)
            found_file = store.attachment(stream_id, name) if there else None
        except (DamageError, StorageError):
            whole = False
            continue
        assert found_file in possible or found_file is None
        whole = whole and found_file in possible
    return whole
