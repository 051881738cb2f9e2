"""The network: listeners, and one loop for each client."""

from racs_server.net.bus import Bus
from racs_server.net.commit import GroupCommit
from racs_server.net.connection import Connection
from racs_server.net.figures import Statistics, read_figures
from racs_server.net.guard import Guard
from racs_server.net.memory import Budget, Lease, find_trim, return_memory
from racs_server.net.metrics import MetricsServer
from racs_server.net.server import Server
from racs_server.net.services import Services
from racs_server.net.stalls import Stalls
from racs_server.net.tls import load_tls
from racs_server.net.watching import Watch

__all__ = [
    "Budget",
    "Bus",
    "Connection",
    "GroupCommit",
    "Guard",
    "Lease",
    "MetricsServer",
    "Server",
    "Services",
    "Stalls",
    "Statistics",
    "Watch",
    "find_trim",
    "load_tls",
    "read_figures",
    "return_memory",
]
