"""Who is at the other end of a connection, and how often they may try to say so.

Invariants
----------
- At most two passwords are compared at once, over all connections, in worker threads: comparing is
  made to be slow, and takes 19 MiB each.
- Whoever was wrong waits longer each time, alone: nothing else waits for them.
- A token is looked at without delay: it cannot be guessed, and those who have one are not held up
  by somebody with the same address who guesses passwords.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import trio

from racs.wire import Frame
from racs_server.access import NOBODY, Access, Caller, Delays, Effect, Login, require
from racs_server.errors import AccessError

logger = logging.getLogger(__name__)

MAX_FAILURES = 5
PATIENCE = 60.0
"""Seconds for which an attempt may wait for its turn before it is refused unseen."""
_AT_ONCE = 2


class TooManyFailures(AccessError):
    """A client was wrong so often that its connection has to end."""


class Guard:
    """Lets clients in.

    Parameters
    ----------
    access
        The users.
    """

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self._delays = Delays(trio.current_time)
        self._comparing = trio.CapacityLimiter(_AT_ONCE)

    def __repr__(self) -> str:
        return f"<Guard {self.access!r}, {self._delays!r}>"

    async def identify(self, login: Login, address: str) -> Caller:
        """Return who has shown something.

        Raises
        ------
        AccessError
            It was wrong, or too much from that address was.
        """
        if login.user is not None:
            return await self._compare(login, address)
        try:
            return self.access.identify(login.secret)
        except AccessError:
            await trio.sleep(self._delays.wait(address))
            self._delays.failed(address)
            raise

    async def _compare(self, login: Login, address: str) -> Caller:
        deadline = trio.current_time() + PATIENCE
        while True:
            wait = self._delays.wait(address)
            if trio.current_time() + wait > deadline:
                raise AccessError(
                    "too many wrong attempts from your address: try again in a minute, or use a"
                    " token"
                )
            await trio.sleep(wait)
            async with self._comparing:
                if self._delays.wait(address):
                    continue  # somebody else from there was wrong meanwhile
                check = partial(self.access.check_password, login)
                try:
                    return await trio.to_thread.run_sync(check)
                except AccessError:
                    self._delays.failed(address)
                    raise


class Session:
    """Who is at the other end of one connection.

    Parameters
    ----------
    guard
        What lets them in.
    address
        Where they are.

    Attributes
    ----------
    caller
        Who they are, as of the last `renew` or `log_in`.
    """

    def __init__(self, guard: Guard, address: str) -> None:
        self._guard = guard
        self._access = guard.access
        self._address = address
        self._users = guard.access.users
        self._writable: dict[int, str] = {}
        self._failures = 0
        self.caller = guard.access.anyone

    def __repr__(self) -> str:
        return f"<Session of {self.caller!r}>"

    @property
    def admitted(self) -> bool:
        """Whether it is known who they are, or need not be."""
        return self.caller is not NOBODY

    def renew(self) -> bool:
        """Take note of a change of the users; whether there was one."""
        if self._access.users is self._users:
            return False
        self._users = self._access.users
        self._writable.clear()
        self.caller = self._access.renew(self.caller)
        return True

    def may_read(self, stream_id: str) -> bool:
        """Whether they may read a stream as things are now; for what outlasts a request."""
        caller = self.caller
        if self._access.users is not self._users:
            caller = self._access.renew(caller)
        return caller.may(Effect.READ, stream_id)

    async def log_in(self, login: Login) -> None:
        """Become who has shown that; whoever was wrong stays who they were.

        Raises
        ------
        TooManyFailures, AccessError
            It was wrong.
        """
        try:
            self.caller = await self._guard.identify(login, self._address)
        except AccessError as error:
            self._failures += 1
            # without the name: many a password is typed where a name is due
            logger.info("a wrong AUTH from %s, the %d. here", self._address, self._failures)
            if self._failures >= MAX_FAILURES:
                raise TooManyFailures(f"{error}, for the {self._failures}. time") from None
            raise
        self._writable.clear()
        logger.debug("%r logged in from %s", self.caller.name, self._address)

    def check_audio(self, frames: Iterable[Frame], id_of: Callable[[int], str | None]) -> None:
        """Raise `AccessError` unless the caller may write to the streams of all frames.

        Parameters
        ----------
        frames
            Of one message.
        id_of
            Returns the id of the stream with a hash; None, if there is none.
        """
        if self.caller is NOBODY:
            require(self.caller, "audio", Effect.WRITE)
        last = None
        for frame in frames:
            hash_ = frame.stream_hash
            if hash_ == last:
                continue
            last, stream_id = hash_, id_of(hash_)
            # With the id: in time a hash may come to be another stream's.
            if stream_id is None or self._writable.get(hash_) != stream_id:
                self._permit(hash_, stream_id)

    def _permit(self, hash_: int, stream_id: str | None) -> None:
        if stream_id is None or not self.caller.may(Effect.WRITE, stream_id):
            # the same for both: whether there is such a stream is not everybody's affair
            raise AccessError(
                f"audio: there is no stream with the hash {hash_:#018x} on which"
                f" {self.caller.name!r} has the role write"
            )
        self._writable[hash_] = stream_id
