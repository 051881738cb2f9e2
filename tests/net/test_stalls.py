"""A stall of the event loop is told, with what was running."""

import logging
import time
from collections.abc import AsyncIterator

import pytest
import trio

from racs_server.net import Stalls
from racs_server.net.stalls import LONG, logger


class Told(logging.Handler):
    """Keeps one record, and wakes who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.record: logging.LogRecord | None = None
        self.came = trio.Event()
        self._loop = trio.lowlevel.current_trio_token()

    def emit(self, record: logging.LogRecord) -> None:
        self.record = record
        self._loop.run_sync_soon(self.came.set)


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    handler = Told()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_a_long_round_is_logged_with_what_was_running(told: Told) -> None:
    def hold_everything_up() -> None:
        time.sleep(4 * LONG)

    stalls = Stalls()
    stalls.start()
    try:
        await trio.lowlevel.checkpoint()
        hold_everything_up()
        with trio.fail_after(10):
            await told.came.wait()
    finally:
        stalls.stop()
    assert stalls.statistics()["longest"] >= 4 * LONG
    assert told.record is not None
    assert "hold_everything_up (test_stalls.py:" in told.record.getMessage()
    assert vars(told.record)["ms"] >= 4000 * LONG
