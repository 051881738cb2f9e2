"""The network: listeners, and one loop for each client."""

from racs_server.net.bus import Bus
from racs_server.net.commit import GroupCommit
from racs_server.net.connection import Connection, Services
from racs_server.net.guard import Guard
from racs_server.net.server import Server
from racs_server.net.tls import load_tls

__all__ = ["Bus", "Connection", "GroupCommit", "Guard", "Server", "Services", "load_tls"]
