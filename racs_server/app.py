"""Builds the store, the executor and the server, connects them, and runs them to an orderly end.

The end, by SIGINT, SIGTERM or SHUTDOWN: no new connections, requests under way finish or are cut
off at the deadline, everything is put on the disk, the data folder is given back.
"""

import logging
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from racs_server.access import Access, UsersFile, is_loopback, listening_problem
from racs_server.access.origins import names_of, origins_of
from racs_server.commands import (
    TABLE,
    CommandTable,
    Evaluations,
    Executor,
    PoolEvaluator,
    advance,
    changing_commands,
)
from racs_server.config import Settings
from racs_server.descriptors import allow_many, fit
from racs_server.errors import RacsError, StartError, StorageError
from racs_server.monitor import Monitor
from racs_server.net import (
    Budget,
    Bus,
    GroupCommit,
    Guard,
    Lease,
    Server,
    Services,
    find_trim,
    load_tls,
    return_memory,
)
from racs_server.sandbox import Budgets
from racs_server.storage import Disk, Durability, Store, StoreOptions
from racs_server.values import StreamEvent, StreamRange

if TYPE_CHECKING:
    from racs_server import gateway
    from racs_server.gateway import Site
    from racs_server.hub import Hub

logger = logging.getLogger(__name__)

_LEASE_CHECK = 1.0
_EXPIRY_CHECK = 20.0
_USERS_CHECK = 1.0
_RETRY = 5.0
_WAVEFORM_CHECK = 1.0
_WAVEFORM_REST = 9.0
"""Waveforms are built one tenth of the time: this many times what the last part took is rested."""
_READERS = 8
_SYNC_THREADS = 4
_EVALUATORS_DELAY = 1.0
_SWITCH_INTERVAL = 1e-3
"""Seconds for which a thread keeps the others from running Python, the event loop among them: with
Python's own 5 ms, four clients with long pipelines cost each of the others 11 ms a request."""


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """Return ms since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        return time.monotonic()


async def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run a server until it is told to end.

    Parameters
    ----------
    settings
        The settings.
    announce
        Is called with one line when the server is ready.

    Raises
    ------
    StartError
        The server cannot start as it was told to.
    StorageError
        At the end something could not be put on the disk.
    """
    settings = fit(settings, allow_many())
    sys.setswitchinterval(_SWITCH_INTERVAL)
    access = await trio.to_thread.run_sync(open_access, settings)
    bus = Bus(SystemClock().wall_ms())
    store = await trio.to_thread.run_sync(open_store, settings, bus.notify)
    try:
        await _serve(settings, store, bus, access, announce)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


def open_access(settings: Settings) -> Access:
    """Read the users; blocks.

    Raises
    ------
    StartError
        They cannot be read, or the server must not listen where it is told to.
    """
    hosts = [settings.host, *[settings.metrics_host] * (settings.metrics_port > 0)]
    outside = not all(map(is_loopback, hosts))
    file = UsersFile(settings.users_path)
    access = Access(file, required=outside and not settings.insecure)
    for host in hosts:
        problem = listening_problem(
            host,
            tls=bool(settings.tls_cert),
            users=bool(access.users),
            insecure=settings.insecure,
        )
        if problem is not None:
            raise StartError(problem)
    if outside and settings.insecure and not (settings.tls_cert and access.users):
        logger.warning("--insecure: whoever reaches %s can do harm", " or ".join(hosts))
    return access


def open_store(settings: Settings, notify: Callable[[StreamEvent], object] | None = None) -> Store:
    """Open the store that the settings describe; blocks while it recovers."""
    options = StoreOptions(
        durability=Durability(settings.durability),
        segment_bytes=settings.segment_bytes,
        log_bytes=settings.log_bytes,
        open_files=settings.open_files,
        lease=settings.lease,
        sync_threads=_SYNC_THREADS,
    )
    return Store(Disk(settings.data_dir), SystemClock(), options, notify)


async def _serve(
    settings: Settings, store: Store, bus: Bus, access: Access, announce: Callable[[str], None]
) -> None:
    ending = trio.Event()
    table = TABLE.without(settings.disabled)
    evaluator = make_evaluator(settings, table)
    monitor = Monitor(settings, store)
    executor = Executor(
        store,
        ending.set,
        table=table,
        spool=settings.max_spool,
        evaluator=evaluator,
        evaluations=Evaluations(
            max(1, settings.eval_workers), settings.eval_queue, settings.eval_wait
        ),
        figures=monitor.figures,
    )
    commit = GroupCommit(store)
    reading = trio.CapacityLimiter(_READERS)
    guard = Guard(access)
    budget = Budget(settings.memory_budget)
    watch = monitor.watch
    services = Services(store, executor, commit, settings, reading, bus, guard, watch, budget)
    tls = load_tls(settings.tls_cert, settings.tls_key)
    server = await Server(services, tls).listen()
    await monitor.listen(guard, tls)
    behind = behind_http(services)
    site = await open_site(settings, behind, tls)
    monitor.add(
        evaluator,
        server=server.statistics,
        executor=executor.statistics,
        bus=bus.statistics,
        memory=budget.statistics,
    )
    hub, hub_site = await open_hub(services, behind, tls) or (None, None)
    if evaluator is not None and settings.eval_library:
        await trio.to_thread.run_sync(evaluator.check_library)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            for task in (_sync, _checkpoint, lapse):
                nursery.start_soon(task, store, settings)
            nursery.start_soon(expire, store)
            nursery.start_soon(keep_waveforms, store)
            nursery.start_soon(bus.run)
            nursery.start_soon(_watch_users, access)
            nursery.start_soon(commit.run, server.lookout.call_soon)
            nursery.start_soon(commit.make_room)
            nursery.start_soon(_watch_signals, signals, ending)
            nursery.start_soon(monitor.run)
            nursery.start_soon(return_memory, budget, find_trim())
            if behind is not None:
                nursery.start_soon(behind.shelf.run)
            if evaluator is not None:
                nursery.start_soon(_keep_evaluators, evaluator)
            announce(
                f"racs-server listens on {server.addresses}, data in {settings.data_dir}:"
                f" {store.report.streams} streams, durability {settings.durability};"
                f" {store.report}"
                + (f"; HTTP at {site.urls}" if site else "")
                + (f"; hub at {hub_site.urls}" if hub_site else "")
            )
            async with trio.open_nursery() as serving:
                serving.start_soon(server.serve, ending)
                if site is not None:
                    serving.start_soon(site.serve, ending)
                if hub is not None and hub_site is not None:
                    serving.start_soon(hub.run, ending)
                    serving.start_soon(hub_site.serve, ending)
            nursery.cancel_scope.cancel()


def behind_http(services: Services) -> "gateway.Services | None":
    """Return what the HTTP API works with, on a port of its own and on the hub's; None without.

    Raises
    ------
    StartError
        What HTTP needs is not installed.
    """
    settings = services.settings
    if settings.http_port < 0 and settings.hub_port < 0:
        return None
    with _extra("--http-port", "http") if settings.http_port >= 0 else _extra("--hub-port", "hub"):
        from racs_server import gateway
    return gateway.Services(
        services.store,
        services.executor,
        services.guard,
        services.bus.listener,
        services.reading,
        settings,
        partial(Lease, services.budget),
        gateway.Shelf(services.store, settings.data_dir, services.reading, settings.http_kept),
    )


async def open_site(
    settings: Settings, behind: "gateway.Services | None", tls: ssl.SSLContext | None
) -> "Site | None":
    """Listen for HTTP, if the settings say so.

    Raises
    ------
    StartError
        The port cannot be had.
    """
    if settings.http_port < 0 or behind is None:
        return None
    from racs_server import gateway

    app = gateway.make_app(behind)
    return await gateway.Site(app, settings.http_port, settings, tls).listen()


async def open_hub(
    services: Services, behind: "gateway.Services | None", tls: ssl.SSLContext | None
) -> "tuple[Hub, Site] | None":
    """Open the hub of runes and listen for it, if the settings say so.

    Raises
    ------
    StartError
        The port cannot be had, or what the hub needs is not installed.
    """
    settings, access = services.settings, services.guard.access
    if settings.hub_port < 0 or behind is None:
        return None
    with _extra("--hub-port", "hub"):
        from racs_server import gateway, hub
    opened = hub.Hub(
        settings.data_dir / "hub",
        services.store,
        access,
        most_bytes=settings.hub_max_file,
        keep=settings.hub_keep,
        names=names_of(f"{settings.host},{settings.http_hosts}"),
        origins=origins_of(settings.http_origins),
        tls=tls is not None,
        body_due=settings.body_due,
        lease=behind.lease,
    )
    app = hub.create_app(opened, gateway.make_app(behind))
    return opened, await gateway.Site(app, settings.hub_port, settings, tls).listen()


@contextmanager
def _extra(option: str, name: str) -> Iterator[None]:
    """Say of an option whose packages are not there how to get them."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StartError(
            f"{option} needs the package {error.name}, which is not installed:"
            f" pip install 'racs-store[{name}]'"
        ) from None


def make_evaluator(settings: Settings, table: CommandTable) -> PoolEvaluator | None:
    """Return what runs EVAL's programs; None if it is turned off.

    Raises
    ------
    StartError
        The library cannot be read, or a command that programs may use is none.
    """
    if not settings.eval_workers or table.find("EVAL") is None:
        return None
    changing = changing_commands(TABLE, settings.eval_commands)
    library = Path(settings.eval_library).expanduser()
    try:
        text = library.read_text(encoding="utf-8") if settings.eval_library else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"the EVAL library {library} cannot be read: {error}") from None
    budgets = Budgets(
        steps=settings.eval_steps,
        seconds=settings.eval_time,
        memory=settings.eval_memory,
        integer=settings.eval_integer,
        output=settings.eval_output,
        nesting=settings.eval_nesting,
        source=settings.max_eval,
    )
    return PoolEvaluator(table, budgets, settings.eval_workers, changing, text, library.name)


async def _keep_evaluators(evaluator: PoolEvaluator) -> None:
    """Have the processes of EVAL ready, a little after the start: that is for who waits already."""
    try:
        await trio.sleep(_EVALUATORS_DELAY)
        try:
            await trio.to_thread.run_sync(evaluator.pool.start)
        except OSError as error:
            logger.error("no process for EVAL could be started, the next EVAL tries: %s", error)
        await trio.sleep_forever()
    finally:
        evaluator.pool.close()


async def _watch_signals(signals: AsyncIterator[int], ending: trio.Event) -> None:
    async for number in signals:
        logger.info("%s: ending", signal.Signals(number).name)
        ending.set()


async def _watch_users(access: Access) -> None:
    """Let changes of the users file count within seconds."""
    while True:
        await trio.sleep(_USERS_CHECK)
        await trio.to_thread.run_sync(access.refresh)


async def _sync(store: Store, settings: Settings) -> None:
    """Carry out the group commits of durability ``interval``; with ``os``, sync at the roll."""
    if settings.durability == "always":
        return
    work = store.upkeep.sync if settings.durability == "interval" else store.upkeep.sync_sealed
    while True:
        await trio.sleep(settings.sync_interval)
        if store.upkeep.needs_sync:
            await _in_background(store, work)


async def _checkpoint(store: Store, settings: Settings) -> None:
    """Settle what has changed, from time to time and when a log file is full."""
    due = trio.current_time() + settings.checkpoint_interval
    while True:
        await trio.sleep(min(settings.sync_interval, settings.checkpoint_interval))
        if store.upkeep.needs_checkpoint or (store.upkeep.untidy and trio.current_time() >= due):
            if await _in_background(store, store.upkeep.checkpoint):
                await _in_background(store, store.upkeep.prepare_log)
            else:
                await trio.sleep(_RETRY)
            due = trio.current_time() + settings.checkpoint_interval


async def lapse(store: Store, settings: Settings) -> None:
    """Close the streams whose senders are not heard of any more."""
    while True:
        await trio.sleep(min(_LEASE_CHECK, settings.lease))
        await _in_background(store, store.lapse)


async def expire(store: Store) -> None:
    """Delete the streams whose time to live is over, well within a minute."""
    while True:
        await _in_background(store, store.delete_expired)
        await trio.sleep(_EXPIRY_CHECK)


async def keep_waveforms(store: Store) -> None:
    """Let the waveforms of streams follow their audio, in turns: whatever else there is, is first.

    A waveform that fails is taken up again when its stream has grown, or when it is asked for.
    """
    waiting: dict[int, StreamRange] = {}
    while True:
        waiting |= {plan.serial: plan for plan in store.grown()}
        if not waiting:
            await trio.sleep(_WAVEFORM_CHECK)
            continue
        plan = waiting.pop(next(iter(waiting)))
        began = trio.current_time()
        try:
            if await trio.to_thread.run_sync(advance, store, plan):
                waiting[plan.serial] = plan
        except RacsError as error:
            logger.info("the waveform of %r waits: %s", plan.stream_id, error)
        except Exception:
            logger.exception("the waveform of %r waits", plan.stream_id)
        await trio.sleep(_WAVEFORM_REST * (trio.current_time() - began))


async def _in_background(store: Store, work: Callable[[], object]) -> bool:
    """Do blocking work in a thread; return whether it went well.

    A disk that fails is logged, and tried again next time. After a mistake of this program nobody
    knows what is durable: the server goes on giving audio out, but takes no more.
    """
    try:
        await trio.to_thread.run_sync(work)
    except StorageError as error:
        logger.error("%s", error)
        return False
    except Exception as error:
        logger.exception("background work failed")
        store.upkeep.give_up(f"a mistake of the server ({type(error).__name__})")
        return False
    return True
