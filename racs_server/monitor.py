"""What the server tells of itself: puts the figures of all its parts together, and gives them out.

STATS and the metrics read the same figures. The log gets the event loop's stalls.
"""

import shutil
import ssl
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
import trio

from racs_server.access.listening import is_loopback
from racs_server.commands import PoolEvaluator
from racs_server.config import Settings
from racs_server.net import Guard, MetricsServer, Stalls, Statistics, Watch, read_figures
from racs_server.storage import Store

VERSION = version("racs-store")


class Monitor:
    """Knows where all figures are.

    Parameters
    ----------
    settings
        The settings.
    store
        The streams.

    Attributes
    ----------
    watch
        Takes note of requests; None where nobody would see it.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._stalls = Stalls()
        self._parts: dict[str, Statistics] = {
            "store": store.statistics,
            "disk": partial(disk_statistics, settings.data_dir),
            "recovery": partial(msgspec.structs.asdict, store.report),
            "stalls": self._stalls.statistics,
        }
        self._watch = Watch(counts=settings.metrics_port > 0)
        self._metrics: MetricsServer | None = None
        self.watch = self._watch if self._watch.is_wanted else None

    def __repr__(self) -> str:
        return f"<Monitor of {', '.join(self._parts)}>"

    def add(self, evaluator: PoolEvaluator | None, **parts: Statistics) -> None:
        """Let the figures of further parts be read."""
        self._parts |= parts
        if evaluator is not None:
            self._parts["evaluators"] = evaluator.pool.statistics

    def figures(self) -> dict[str, int | float | str]:
        """Return all figures, for STATS; blocks, and may be called from any thread."""
        return {"version": VERSION, **read_figures(self._parts)}

    async def listen(self, guard: Guard, tls: ssl.SSLContext | None) -> None:
        """Open the port for metrics, if there is to be one; on loopback it speaks plain HTTP.

        Raises
        ------
        StartError
            The address or the port cannot be had.
        """
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if not port:
            return
        from racs_server.net.exposition import CONTENT_TYPE, Exposition  # takes 0.1 s

        exposition = Exposition(
            VERSION,
            partial(read_figures, self._parts),
            self._watch,
            self._store.upkeep.sync_times,
        )
        self._metrics = MetricsServer(
            exposition.page, CONTENT_TYPE, guard, None if is_loopback(host) else tls
        )
        await self._metrics.listen(host, port)

    async def run(self) -> None:
        """Watch the event loop and give metrics out, until cancelled."""
        self._stalls.start()
        try:
            if self._metrics is not None:
                await self._metrics.serve()
            await trio.sleep_forever()
        finally:
            self._stalls.stop()


def disk_statistics(folder: Path) -> dict[str, int]:
    """Return how much room there is on a folder's disk, in bytes."""
    usage = shutil.disk_usage(folder)
    return {"free": usage.free, "total": usage.total}
