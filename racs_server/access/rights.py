"""The one decision: may this caller do that to these streams.

A user has roles, each for the streams whose ids match a pattern (`racs_server.glob`):

========= =================================================================
role      allows, for the streams that its pattern matches
========= =================================================================
``read``  what only looks: LIST (which shows these streams alone), EXTRACT …
``write`` that, and what makes and fills streams: CREATE, OPEN, audio …
``admin`` that, and what ends them: DELETE
========= =================================================================

What is about no stream but the server as a whole needs its role for the pattern ``*``; only
looking (PING, HELP) needs none.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from racs_server.errors import AccessError
from racs_server.glob import compile_glob


class Effect(StrEnum):
    """What is done to the server, and the role that is needed for it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_RANK = {effect: rank for rank, effect in enumerate(Effect)}

WHOLE_SERVER = "*"


class Grant(msgspec.Struct, frozen=True):
    """A role, for the streams whose ids match a pattern."""

    role: Effect
    pattern: str

    def __str__(self) -> str:
        return f"{self.role} on {self.pattern!r}"


class Caller:
    """Who asks.

    Parameters
    ----------
    name
        The user's.
    grants
        What the user may do; None: everything.
    proof
        The stored hash of what they have shown, by which `Access.renew` sees whether it still
        counts.

    Attributes
    ----------
    unrestricted
        Whether everything is allowed.
    """

    __slots__ = ("_matchers", "grants", "name", "proof", "unrestricted")

    def __init__(self, name: str, grants: Iterable[Grant] | None, proof: str = "") -> None:
        self.name = name
        self.unrestricted = grants is None
        self.grants = tuple(grants or ())
        self.proof = proof
        self._matchers = [(_RANK[grant.role], compile_glob(grant.pattern)) for grant in self.grants]

    def __repr__(self) -> str:
        return f"<Caller {self.name!r}>"

    def may(self, effect: Effect, stream_id: str) -> bool:
        """Whether the caller has the role for a stream."""
        if self.unrestricted:
            return True
        needed = _RANK[effect]
        return any(rank >= needed and matches(stream_id) for rank, matches in self._matchers)

    def may_to_server(self, effect: Effect) -> bool:
        """Whether the caller has the role for the server as a whole."""
        if self.unrestricted or effect is Effect.READ:
            return True
        needed = _RANK[effect]
        return any(
            grant.pattern == WHOLE_SERVER and _RANK[grant.role] >= needed for grant in self.grants
        )


EVERYONE = Caller("everyone", None)
"""Who asks while no user is defined."""

NOBODY = Caller("nobody", ())
"""Who has not said yet who they are."""


def refusal(
    caller: Caller, action: str, effect: Effect, stream_ids: Sequence[str] = ()
) -> str | None:
    """Decide; return why not, or None if it is allowed.

    Parameters
    ----------
    caller
        Who asks.
    action
        What for, as people call it: the command's name.
    effect
        What it does.
    stream_ids
        All streams that it uses; none: it is about the server.
    """
    if caller.unrestricted:
        return None
    if caller is NOBODY:
        return f"{action}: say first who you are, with AUTH 'user' 'password' or AUTH 'token'"
    if stream_ids:
        denied = next((each for each in stream_ids if not caller.may(effect, each)), None)
        if denied is None:
            return None
        needed = f"the role {effect} on {denied!r}"
    else:
        if caller.may_to_server(effect):
            return None
        needed = f"the role {effect} on {WHOLE_SERVER!r}, the whole server"
    has = ", ".join(map(str, caller.grants)) or "no role"
    return (
        f"{action}: not allowed for {caller.name!r}: it needs {needed}, and {caller.name!r} has"
        f" {has}; an administrator changes that with `racs-server user roles`"
    )


def require(caller: Caller, action: str, effect: Effect, stream_ids: Sequence[str] = ()) -> None:
    """Raise `AccessError` unless `refusal`, which has the same parameters, finds nothing."""
    problem = refusal(caller, action, effect, stream_ids)
    if problem is not None:
        raise AccessError(problem)
