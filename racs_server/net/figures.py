"""The server's figures: one table, which both STATS and the metrics read.

Each row picks one number out of the `statistics` of a part of the server. Rows of parts that a
server does not have (EVAL may be turned off) are left out.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Statistics = Callable[[], Mapping[str, Any]]


class Figure(msgspec.Struct, frozen=True):
    """One number.

    Attributes
    ----------
    name
        As STATS calls it; the metric has ``racs_`` in front, and a counter ``_total`` behind.
    part, key
        Where it comes from.
    doc
        What it is.
    grows
        Whether it only grows while the server runs: a counter.
    """

    name: str
    part: str
    key: str
    doc: str
    grows: bool = False


FIGURES = (
    Figure("uptime_seconds", "server", "uptime", "Since the server has started."),
    Figure("connections", "server", "connections", "Clients that are connected."),
    Figure("requests", "server", "requests", "Requests that have come.", grows=True),
    Figure("errors", "server", "errors", "Requests that were answered with an error.", grows=True),
    Figure("received_bytes", "server", "received", "Bytes received from clients.", grows=True),
    Figure("sent_bytes", "server", "sent", "Bytes sent to clients.", grows=True),
    Figure("streams", "store", "streams", "Streams in the archive."),
    Figure("open_streams", "store", "open_streams", "Streams that are open: leases."),
    Figure("appended_bytes", "store", "appended_bytes", "PCM taken, in bytes.", grows=True),
    Figure("disk_free_bytes", "disk", "free", "Room on the data folder's disk."),
    Figure("disk_size_bytes", "disk", "total", "Size of that disk."),
    Figure("open_files", "store", "open_files", "Segment files that are open."),
    Figure("unsynced_streams", "store", "unsynced_streams", "Streams with audio not yet synced."),
    Figure("unsettled_streams", "store", "unsettled_streams", "Streams that a checkpoint awaits."),
    Figure("log_bytes", "store", "log_position", "Written to the commit log.", grows=True),
    Figure("log_synced_bytes", "store", "log_synced", "Of these, synced.", grows=True),
    Figure("log_full_files", "store", "log_full_files", "Log files that a checkpoint will drop."),
    Figure("log_failed", "store", "log_failed", "1: nothing is taken, for the log has failed."),
    Figure("commands_running", "executor", "blocking", "Commands at work in threads."),
    Figure("commands_waiting", "executor", "waiting", "Commands that wait for a thread."),
    Figure("programs_running", "executor", "evaluating", "EVAL's programs that run."),
    Figure("programs_waiting", "executor", "waiting_to_evaluate", "Those that wait for a process."),
    Figure("eval_workers_idle", "evaluators", "idle", "EVAL's processes that are free."),
    Figure("eval_workers_busy", "evaluators", "evaluating", "EVAL's processes at work."),
    Figure("eval_workers_replaced", "evaluators", "replaced", "Those replaced.", grows=True),
    Figure("memory_leased_bytes", "memory", "leased", "Of the memory budget, in use."),
    Figure("memory_budget_bytes", "memory", "total", "The memory budget."),
    Figure("memory_waiting", "memory", "waiting", "Messages and replies that wait for memory."),
    Figure("events", "bus", "events", "Events of streams.", grows=True),
    Figure("subscribers", "bus", "subscribers", "Feeds of events (SUBSCRIBE)."),
    Figure("followers", "bus", "followers", "Feeds of audio (FOLLOW)."),
    Figure("stalls", "stalls", "stalls", "Stalls of the event loop over 50 ms.", grows=True),
    Figure("longest_stall_seconds", "stalls", "longest", "The longest of them."),
    Figure("recovered_clean", "recovery", "clean", "1: the last stop was in order."),
    Figure("recovered_log_records", "recovery", "records", "Log records read at the start."),
    Figure("recovered_frames", "recovery", "kept_frames", "Sample frames only these knew of."),
    Figure("lost_frames", "recovery", "dropped_frames", "Of these, no longer on the disk."),
)


def read_figures(parts: Mapping[str, Statistics]) -> dict[str, int | float]:
    """Return all figures as they are now, in the table's order.

    Parameters
    ----------
    parts
        Gives the statistics of each part of the server, by the part's name; from any thread.
    """
    statistics = {name: read() for name, read in parts.items()}
    return {
        figure.name: _number(statistics[figure.part][figure.key])
        for figure in FIGURES
        if figure.part in statistics
    }


def _number(value: Any) -> int | float:
    return value if isinstance(value, float) else int(value)
