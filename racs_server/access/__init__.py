"""Who may do what: users, tokens, roles, and the rule for whatever listens.

The rule: while no user is defined, everybody who reaches a loopback address may do everything, and
no other address is listened on. As soon as there is a user, and always elsewhere, a client says
first who it is.

Whatever listens (the RACS port, metrics, an HTTP gateway, a hub) obeys it in three steps:

1. Before it listens, it asks `listening_problem`, and does not start if there is one.
2. For a client that has shown nothing yet it takes `Access.anyone`; for one with a token
   (``Authorization: Bearer …``) it calls `Access.identify`.
3. Before it does something it calls `require` with the caller that it got.

Callers do not stay valid: before each use of one that is kept, pass it to `Access.renew`.

Knows nothing of sockets, commands or the event loop.
"""

from racs_server.access.access import Access
from racs_server.access.delays import Delays
from racs_server.access.listening import is_loopback, listening_problem
from racs_server.access.passwords import Login, Passwords
from racs_server.access.rights import EVERYONE, NOBODY, Caller, Effect, Grant, refusal, require
from racs_server.access.users import Token, User, Users, UsersFile

__all__ = [
    "EVERYONE",
    "NOBODY",
    "Access",
    "Caller",
    "Delays",
    "Effect",
    "Grant",
    "Login",
    "Passwords",
    "Token",
    "User",
    "Users",
    "UsersFile",
    "is_loopback",
    "listening_problem",
    "refusal",
    "require",
]
