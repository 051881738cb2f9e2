"""Which runes are alive, judged by what is heard of them: pure.

A rune polls, at the latest some seconds after the last answer, and a thread of its own sends
heartbeats. That thread outlives the rest after Ctrl-C: so only polls show life, but for a rune that
loads, or runs a function that lets nothing else run; then heartbeats do.
"""

import msgspec

SILENCE = 10.0
"""Seconds without a poll after which a rune that has nothing to do is taken to be gone."""
LONG_SILENCE = 60.0
"""Seconds without a sign of life after which one that is busy is."""

LOADING, READY, BUSY, GONE = "loading", "ready", "busy", "gone"

ADVICE = {
    LOADING: "it is loading what it imports: wait a moment",
    READY: "",
    BUSY: "",
    GONE: "it does not ask for work any more: restart it",
}
"""What to tell people."""


class Signs(msgspec.Struct):
    """What was heard of a rune, in seconds of a clock that only goes forward.

    Attributes
    ----------
    polled
        When its last poll ended, or the hub was started.
    polling
        How many of its polls are being held open.
    beat
        When its last heartbeat came.
    """

    polled: float
    polling: int = 0
    beat: float = float("-inf")

    def polls(self, now: float) -> bool:
        """Whether it asks for work."""
        return self.polling > 0 or now - self.polled < SILENCE

    def lives(self, now: float) -> bool:
        """Whether there is any sign of it, for one that is busy."""
        return self.polls(now) or now - max(self.polled, self.beat) < LONG_SILENCE


def state_of(signs: Signs, *, loaded: bool, busy: bool, now: float) -> str:
    """Return `LOADING`, `READY`, `BUSY` or `GONE`."""
    if busy:
        return BUSY if signs.lives(now) else GONE
    if not loaded:
        return LOADING if now - max(signs.polled, signs.beat) < SILENCE else GONE
    return READY if signs.polls(now) else GONE
