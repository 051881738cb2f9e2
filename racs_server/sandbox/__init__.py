"""Programs of others, run in processes of their own that can do nothing but ask.

A worker (`worker`) evaluates Scheme and asks the server (`pool`) for what it may not do itself,
with the messages of `messages`. What can be asked for, and what it does, is for whoever owns the
pool.
"""

from racs_server.sandbox import messages
from racs_server.sandbox.messages import Audio, Call, File, Numbers, ProtocolError, Rational, Setup
from racs_server.sandbox.pool import Options, Pool
from racs_server.scheme.meter import Budgets

__all__ = [
    "Audio",
    "Budgets",
    "Call",
    "File",
    "Numbers",
    "Options",
    "Pool",
    "ProtocolError",
    "Rational",
    "Setup",
    "messages",
]
