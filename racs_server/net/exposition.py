"""The server's figures as Prometheus reads them. Imported only where metrics are wanted."""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from racs_server.net.figures import FIGURES
from racs_server.net.watching import Watch
from racs_server.values import Histogram

__all__ = ["CONTENT_TYPE", "Exposition"]


class Exposition(Collector):
    """Makes the page of metrics, from what is counted anyway.

    Parameters
    ----------
    version
        The server's.
    figures
        Reads the figures, by name.
    watch
        Has the times of requests.
    syncs
        The times of syncs.
    """

    def __init__(
        self,
        version: str,
        figures: Callable[[], dict[str, int | float]],
        watch: Watch,
        syncs: Histogram,
    ) -> None:
        self._version = version
        self._figures = figures
        self._watch = watch
        self._syncs = syncs
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def __repr__(self) -> str:
        return f"<Exposition of {self._watch!r}>"

    def page(self) -> bytes:
        """Return the metrics as text, in Prometheus's exposition format 0.0.4; blocks."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: so registering this does not read the figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        yield InfoMetricFamily("racs", "The server.", {"version": self._version})
        figures = self._figures()
        for figure in FIGURES:
            if figure.name in figures:
                family = CounterMetricFamily if figure.grows else GaugeMetricFamily
                yield family(f"racs_{figure.name}", figure.doc, figures[figure.name])
        requests = HistogramMetricFamily(
            "racs_request_seconds",
            "From when a request had come whole until its reply was sent.",
            labels=["command", "result"],
        )
        for labels, times in tuple(self._watch.times.items()):
            requests.add_metric(labels, *_cumulative(times))
        yield requests
        syncs = HistogramMetricFamily("racs_sync_seconds", "Syncs of the commit log.")
        syncs.add_metric([], *_cumulative(self._syncs))
        yield syncs


def _cumulative(times: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return how many durations were at most as long as each bound, and their sum."""
    bounds = [*map(str, map(float, times.bounds)), "+Inf"]
    return list(zip(bounds, accumulate(times.counts), strict=True)), times.total
