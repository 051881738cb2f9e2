"""Waiting for a thread, in whatever event loop the rune runs."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_executor = ThreadPoolExecutor(4, "racs-runes-files")
"""Our own: a rune may use up the event loop's."""


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` does in a thread; trio, asyncio, and no event loop at all will do.

    Under trio, being cancelled has to wait until it is over. asyncio cancels at once; the thread
    then goes on by itself.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        with trio.CancelScope(shield=True):
            done: T = await trio.to_thread.run_sync(work)
            return done
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return work()
    return await loop.run_in_executor(_executor, work)
