"""The event bus: what happens to streams, numbered, for all who listen.

The store tells it everything, from any thread and with locks held; what it was told is taken up in
the event loop a moment later, so that telling costs an append next to nothing. No listener has a
queue of its own: each reads on from the event that it had last, at its own pace, in the one ring of
recent events. One that is so slow that the ring has gone round is told so.

Invariants
----------
- Events are numbered without a gap, upwards from the server's start in us since the epoch: so every
  number of an earlier run is below those of a later one.
- Audio is one event for each stream every `COALESCE` seconds at most, and is told before any other
  event of its stream.
"""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import trio

from racs.wire import encode_reply
from racs_server.values import Kind, StreamEvent

TICK = 0.02
"""Seconds for which what happens is gathered: what a follower can be behind by."""

COALESCE = 0.25
"""Seconds for which audio that comes for one stream is gathered into one event."""

KEPT = 10_000
"""Events that a listener can be behind by."""

AT_ONCE = 1000
"""Events that a listener is told at once."""


class Numbered(msgspec.Struct, frozen=True):
    """An event in the ring.

    Attributes
    ----------
    number
        Its number.
    stream_id
        The stream that it is about.
    event
        What happened.
    reply
        The event as it goes over the wire, the same for all.
    """

    number: int
    stream_id: str
    event: StreamEvent
    reply: bytes


class News(msgspec.Struct, frozen=True):
    """What a listener is to be told next.

    Attributes
    ----------
    kind
        "ready": all events after the one of that number follow; "missed": events up to that number
        were lost; "events": these have happened.
    number
        Of the last event that the listener knows of now.
    events
        Some events.
    """

    kind: str
    number: int
    events: tuple[Numbered, ...] = ()


class Bell:
    """Wakes one listener; what rings while it is awake wakes it the next time it sleeps."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def __repr__(self) -> str:
        return f"<Bell{' rung' if self._event.is_set() else ''}>"

    def ring(self) -> None:
        """Wake the listener."""
        self._event.set()

    async def wait(self) -> None:
        """Return when it has rung since the last time."""
        await self._event.wait()
        self._event = trio.Event()


class Bus:
    """Takes events, and lets listeners read them.

    Parameters
    ----------
    now
        When this run of the server began, in ms since the epoch.
    kept
        How many events are kept.
    """

    def __init__(self, now: int, kept: int = KEPT) -> None:
        self.latest = now * 1000
        """The number of the last event; at first a number that no event has."""
        self._before_first = self.latest
        self._ring: list[Numbered | None] = [None] * kept
        self._told: deque[StreamEvent] = deque()
        self._awake = False
        self._due = Bell()
        self._loop: trio.lowlevel.TrioToken | None = None
        self._grown: dict[str, StreamEvent] = {}
        self._listeners: set[Bell] = set()
        self._followers: dict[str, set[Bell]] = {}

    def __repr__(self) -> str:
        return f"<Bus {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """Return who listens, and how much has happened."""
        return {
            "events": self.latest - self._before_first,
            "subscribers": len(self._listeners),
            "followers": sum(map(len, self._followers.values())),
        }

    def notify(self, event: StreamEvent) -> None:
        """Take note of an event; for the store, from any thread."""
        self._told.append(event)
        if not self._awake and self._loop is not None:
            self._awake = True
            self._loop.run_sync_soon(self._due.ring)

    async def run(self) -> None:
        """Take up what was told, until cancelled."""
        self._loop = trio.lowlevel.current_trio_token()
        self._due.ring()
        publish_at = -math.inf
        while True:
            with trio.move_on_at(publish_at if self._grown else math.inf):
                await self._due.wait()
                await trio.sleep(TICK)
            self._awake = False  # before taking up: what comes from now on rings again
            self._take_up()
            if trio.current_time() >= publish_at:
                self._publish_grown()
                publish_at = trio.current_time() + COALESCE

    def _take_up(self) -> None:
        touched = set()
        for _ in range(len(self._told)):
            event = self._told.popleft()
            stream_id = event.stream_id
            touched.add(stream_id)
            grown = self._grown.get(stream_id)
            if event.kind is not Kind.APPENDED:
                if grown is not None:
                    self._publish(self._grown.pop(stream_id))
                self._publish(event)
            elif grown is None:
                self._grown[stream_id] = event
            else:
                self._grown[stream_id] = msgspec.structs.replace(grown, stop=event.stop)
        for stream_id in touched & self._followers.keys():
            for bell in self._followers[stream_id]:
                bell.ring()

    def _publish_grown(self) -> None:
        for event in self._grown.values():
            self._publish(event)
        self._grown.clear()

    def _publish(self, event: StreamEvent) -> None:
        self.latest += 1
        what = (str(event.kind), event.stream_id, event.time, event.start, event.stop)
        reply = encode_reply([self.latest, *what])
        numbered = Numbered(self.latest, event.stream_id, event, reply)
        self._ring[self.latest % len(self._ring)] = numbered
        for bell in self._listeners:
            bell.ring()

    def now(self) -> int:
        """Publish all that has happened till now; return the number of the last event."""
        self._take_up()
        self._publish_grown()
        return self.latest

    def has_all_since(self, number: int) -> bool:
        """Return whether every event after the one of a number is there to be read."""
        oldest_gone = max(self._before_first, self.latest - len(self._ring))
        return oldest_gone <= number <= self.latest

    def since(self, number: int, most: int) -> list[Numbered]:
        """Return the events after the one of a number, at most so many; `has_all_since` is true."""
        places = range(number + 1, min(self.latest, number + most) + 1)
        return [event for n in places if (event := self._ring[n % len(self._ring)]) is not None]

    @contextmanager
    def listening(self, bell: Bell) -> Iterator[None]:
        """Have a bell rung whenever an event is published."""
        self._listeners.add(bell)
        try:
            yield
        finally:
            self._listeners.discard(bell)

    @contextmanager
    def following(self, bell: Bell, stream_id: str) -> Iterator[None]:
        """Have a bell rung within `TICK` seconds of whatever happens to a stream."""
        bells = self._followers.setdefault(stream_id, set())
        bells.add(bell)
        try:
            yield
        finally:
            bells.discard(bell)
            if not bells:
                del self._followers[stream_id]

    def listener(self, since: int | None) -> "Listener":
        """Return a listener to what happens after the event of a number; None: from now on."""
        return Listener(self, since)


class Listener:
    """One who reads the events at their own pace.

    Parameters
    ----------
    bus
        Where they come from.
    since
        The number of the last event that is known; None: what happens from now on is wanted.
    """

    def __init__(self, bus: Bus, since: int | None) -> None:
        self.bell = Bell()
        self._bus = bus
        self._known = bus.now() if since is None else since
        self._is_new = True

    def __repr__(self) -> str:
        return f"<Listener at {self._known}>"

    def news(self) -> News | None:
        """Return what comes next, or None: nothing yet."""
        bus = self._bus
        is_new, self._is_new = self._is_new, False
        if not bus.has_all_since(self._known):
            self._known = bus.latest
            return News("missed", self._known)
        if is_new:
            return News("ready", self._known)
        if self._known == bus.latest:
            return None
        events = tuple(bus.since(self._known, AT_ONCE))
        self._known = events[-1].number
        return News("events", self._known, events)

    async def next(self) -> News:
        """Return what comes next, as soon as it does."""
        with self._bus.listening(self.bell):
            while (news := self.news()) is None:
                await self.bell.wait()
        return news
