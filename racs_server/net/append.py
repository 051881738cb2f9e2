"""Append mode: what a connection does between ``STREAM 'id'`` and the message of length 0.

The client sends audio messages one after another; they get no replies of their own. The server
reports the stream's length now and then, and once more at the end.

======== ==================================== =========================================== ========
state    event                                reply                                       next
======== ==================================== =========================================== ========
TAKING   audio for the stream, that it takes  the length, when a report is due            TAKING
TAKING   anything else, or audio it refuses   one error                                   DROPPING
TAKING   a message of length 0                the length, when all is durable             ENDED
DROPPING a message of length 0                the length, when all is durable             ENDED
DROPPING anything else                        none                                        DROPPING
======== ==================================== =========================================== ========

`AppendMode` is that table, without clock, store or socket; `Appending` acts on it.

Invariants
----------
- A length that was reported covers only what is as safe as the durability setting promises.
- Audio that was taken is reported within `REPORT_WITHIN` seconds, also when no more comes.
- There is one error at most, and the last reply is a length, whatever went wrong.
"""

import enum

import trio

from racs.wire import AudioFrames, EndOfStream, Event, Rejected, encode_reply, stream_hash
from racs.wire.replies import encode_error
from racs_server.errors import DataError, RacsError
from racs_server.net.commit import GroupCommit
from racs_server.storage import Store
from racs_server.values import AppendTo

REPORT_WITHIN = 0.05
"""Seconds after which audio that was taken is reported; clients are promised 0.1."""

_TOGETHER = 4 << 20
"""Bytes of PCM at which messages are appended even if more have come with the same read."""


class State(enum.Enum):
    """Where append mode stands."""

    TAKING = enum.auto()
    DROPPING = enum.auto()
    ENDED = enum.auto()


class AppendMode:
    """Decides what is done with each event, and when a report is due.

    Parameters
    ----------
    target
        The stream, and its length, which has been reported.
    """

    def __init__(self, target: AppendTo) -> None:
        self.state = State.TAKING
        self.reported = target.frames
        self.deadline: float | None = None
        """When the next report is due, in seconds of the caller's clock; None: nothing to say."""
        self._stream_id = target.stream_id
        self._hash = stream_hash(target.stream_id)

    def __repr__(self) -> str:
        return f"<AppendMode of {self._stream_id!r}, {self.state.name.lower()}>"

    def problem(self, event: Event) -> str | None:
        """Return why an event cannot be taken as audio for the stream, or None if it can."""
        if isinstance(event, Rejected):
            return event.reason
        if not isinstance(event, AudioFrames):
            return (
                f"a command in append mode: {self._stream_id!r} takes audio here until a message of"
                " length 0 ends it; send commands after that, or on another connection"
            )
        for number, frame in enumerate(event.frames):
            if frame.stream_hash != self._hash:
                return (
                    f"frame {number} of {len(event.frames)} is for the stream with the hash"
                    f" {frame.stream_hash:#018x}, but this append mode is for {self._stream_id!r}"
                    f" ({self._hash:#018x}): audio for another stream goes on another connection"
                )
        return None

    def took(self, now: float) -> None:
        """Note that audio was taken."""
        if self.deadline is None:
            self.deadline = now + REPORT_WITHIN

    def report(self, frames: int) -> bytes:
        """Return the reply that tells a length, which is safe."""
        self.deadline = None
        self.reported = frames
        return encode_reply(frames)

    def refuse(self, error: bytes) -> list[bytes]:
        """Return the error, if it is the first; everything is dropped from now on."""
        if self.state is not State.TAKING:
            return []
        self.state, self.deadline = State.DROPPING, None
        return [error]


class Appending:
    """A connection's append mode: takes audio, and says what to reply.

    Parameters
    ----------
    target
        The stream, and its length, which is being reported.
    store, commit
        Where the audio goes, and what makes it safe.
    """

    def __init__(self, target: AppendTo, store: Store, commit: GroupCommit) -> None:
        self._mode = AppendMode(target)
        self._id = target.stream_id
        self._store = store
        self._commit = commit
        self._taken: list[AudioFrames] = []
        self._taken_bytes = 0

    def __repr__(self) -> str:
        return repr(self._mode)

    @property
    def ended(self) -> bool:
        """Whether the connection is back in command mode."""
        return self._mode.state is State.ENDED

    @property
    def deadline(self) -> float | None:
        """When `after_read` wants to be called again, even if nothing has come."""
        return self._mode.deadline

    def refuse(self, error: bytes) -> list[bytes]:
        """Return the replies to something that could not be done, given an error that says so."""
        return self._mode.refuse(error)

    async def take(self, event: Event) -> list[bytes]:
        """Deal with an event; return the replies to it.

        Raises
        ------
        RacsError
            The audio is refused: to be handed to `refuse`.
        """
        if isinstance(event, EndOfStream):
            return await self._finish()
        if self._mode.state is State.TAKING:
            problem = self._mode.problem(event)
            if problem is not None or not isinstance(event, AudioFrames):
                self._hand_over()
                raise DataError(problem)
            self._taken.append(event)
            self._taken_bytes += sum([len(frame.pcm) for frame in event.frames])
            if self._taken_bytes >= _TOGETHER:
                self._hand_over()
            self._mode.took(trio.current_time())
        return []

    async def after_read(self) -> list[bytes]:
        """Hand what was taken to the system before its buffer is used again; report if due.

        Raises
        ------
        RacsError
            What was taken is not safe: to be handed to `refuse`.
        """
        self._hand_over()
        deadline = self._mode.deadline
        if deadline is None or trio.current_time() < deadline:
            self._commit.flush()
            return []
        frames = self._store.info(self._id).frames
        await self._commit.commit()
        return [self._mode.report(frames)]

    def _hand_over(self) -> None:
        """Append what was taken: all messages at once, or up to the first that is refused."""
        messages, self._taken, self._taken_bytes = self._taken, [], 0
        if not messages:
            return
        try:
            self._store.append([frame for message in messages for frame in message.frames])
        except RacsError:
            if len(messages) == 1:
                raise
            for message in messages:
                self._store.append(message.frames)

    async def _finish(self) -> list[bytes]:
        """Make everything durable; a length that was reported before stays true if that fails."""
        replies = []
        frames = self._mode.reported
        try:
            self._hand_over()
        except RacsError as error:
            replies = self._mode.refuse(encode_error(str(error)))
        try:
            frames = await trio.to_thread.run_sync(self._store.make_durable, self._id)
        except RacsError as error:
            replies += self._mode.refuse(encode_error(str(error)))
        replies.append(self._mode.report(frames))
        self._mode.state = State.ENDED
        return replies
