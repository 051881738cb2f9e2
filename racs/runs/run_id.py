"""Ids of runs that sort by the time at which the runs began: UUIDs of version 7 (RFC 9562 §5.7).

::

    bits   128…80   79…76   75…64   63…62   61…0
           ms       0111    random  10      random

``ms`` are milliseconds since the Unix epoch, big-endian; the text is lower-case hex, so that texts
sort as times do. Worked example: the RFC's ``017f22e2-79b0-7cc3-98c4-dc0c0c07398f`` is of
2022-02-22T19:22:22.000Z.
"""

import os
import time
import uuid
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_run_id() -> str:
    """Return an id for a run that begins now."""
    now = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10)) & ~(0xF << 76 | 0x3 << 62)
    return str(uuid.UUID(int=now << 80 | 7 << 76 | 2 << 62 | random))


def time_of(run_id: str) -> datetime | None:
    """Return when the run of an id began, to the millisecond, if the id says that."""
    try:
        parsed = uuid.UUID(run_id)
    except ValueError:
        return None
    if parsed.version != 7:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=parsed.int >> 80)
    except OverflowError:  # after the year 9999
        return None
