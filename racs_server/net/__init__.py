"""The network: listeners, and one loop for each client."""

from racs_server.net.bus import Bus
from racs_server.net.commit import GroupCommit
from racs_server.net.connection import Connection, Services
from racs_server.net.server import Server

__all__ = ["Bus", "Connection", "GroupCommit", "Server", "Services"]
