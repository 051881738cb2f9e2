"""Runs pipelines: checks all of one, then does its commands in order, each where it belongs.

What is short is done at once, in the event loop's thread: a thread hop costs more than most
commands. What waits for the disk is done in a worker thread, and is not abandoned when whoever
asked for it goes away.

Invariants
----------
- Nothing of a pipeline runs before all of it has been parsed and checked.
- `Executor.run_now` never waits; `Executor.run` never keeps the event loop for long: texts that
  take long to parse are parsed in a thread, and long pipelines make pauses.
- Nothing of a pipeline runs before all that it names is permitted to its caller.
- The text of a secret command is not kept, and is in no error.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import msgspec
import trio

from racs.wire.replies import MAX_BIN
from racs_server.access import EVERYONE, Caller
from racs_server.commands.cache import Cache
from racs_server.commands.check import Step, check
from racs_server.commands.context import Context, Evaluator, Figure, Store
from racs_server.commands.encoding import check_encoded_size
from racs_server.commands.source import check_reply_size
from racs_server.commands.spec import CommandTable, Value
from racs_server.commands.table import TABLE
from racs_server.errors import CommandError, LimitError
from racs_server.lang import parse
from racs_server.values import AudioPlan, EncodedPlan

_T = TypeVar("_T")

_SHORT_TEXT = 1024
"""Characters: what is longer can take a millisecond to parse. Also bounds what the cache holds."""
_CACHED = 1024
_SHORT_PIPELINE = 16
_WORKERS = 16


class Prepared(msgspec.Struct, frozen=True):
    """A command text on its way.

    Attributes
    ----------
    text
        As it came.
    steps
        What to do; None for a long text, which has not been parsed yet.
    blocks
        Whether it has to be awaited: `Executor.run`, not `Executor.run_now`.
    """

    text: str
    steps: tuple[Step, ...] | None
    blocks: bool

    @property
    def name(self) -> str:
        """The name of the last command, whose result is the reply; of a long text: "long"."""
        return self.steps[-1].spec.name if self.steps else "long"

    def __repr__(self) -> str:
        return f"<Prepared {len(self.steps) if self.steps else 'long'}, blocks={self.blocks}>"


class Evaluations(msgspec.Struct, frozen=True):
    """How programs share what evaluates them: first come, first served.

    Attributes
    ----------
    at_once
        How many run at the same time.
    waiting
        How many more may wait for their turn.
    patience
        For how many seconds each may.
    """

    at_once: int = 1
    waiting: int = 64
    patience: float = 30.0


class Executor:
    """Carries out command texts.

    Parameters
    ----------
    store
        The streams.
    request_shutdown
        Called, in the event loop's thread, when the server is to end.
    table
        The commands.
    workers
        How many commands may wait for the disk at once.
    spool
        Most bytes of PCM that a file may be made of whose length is known only at the end.
    evaluator
        Runs the programs of EVAL; None if it is turned off.
    evaluations
        How many programs run at once, and how many more may wait for their turn, for how long.
    figures
        Reads the server's figures, for STATS.
    """

    def __init__(
        self,
        store: Store,
        request_shutdown: Callable[[], object],
        *,
        table: CommandTable = TABLE,
        workers: int = _WORKERS,
        spool: int = MAX_BIN,
        evaluator: Evaluator | None = None,
        evaluations: Evaluations = Evaluations(),  # noqa: B008
        figures: Callable[[], Mapping[str, Figure]] = dict,
    ) -> None:
        self._request_shutdown = request_shutdown
        self._context = Context(
            store,
            self._shut_down,
            table,
            trio.from_thread.check_cancelled,
            EVERYONE,
            evaluator,
            spool=spool,
            figures=figures,
        )
        self._table = table
        self._spool = spool
        self._limiter = trio.CapacityLimiter(workers)
        self._evaluations = evaluations
        self._turns = trio.CapacityLimiter(evaluations.at_once)
        self._loop: trio.lowlevel.TrioToken | None = None
        self._cache: Cache[str, Prepared] = Cache(_CACHED)
        parse("PING")  # the parser is made at its first use: no client has to wait for that

    def __repr__(self) -> str:
        return f"<Executor {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """Return what the executor is busy with, and how well its cache does."""
        busy = self._limiter.statistics()
        return {
            "blocking": busy.borrowed_tokens,
            "waiting": busy.tasks_waiting,
            "evaluating": self._turns.borrowed_tokens,
            "waiting_to_evaluate": self._turns.statistics().tasks_waiting,
            **self._cache.statistics(),
        }

    def prepare(self, text: str) -> Prepared:
        """Parse and check a command text; nothing of it runs.

        Raises
        ------
        CommandError
            It cannot run as it stands.
        """
        prepared = self._cache.get(text)
        if prepared is not None:
            return prepared
        if len(text) > _SHORT_TEXT:
            return Prepared(text, None, blocks=True)
        steps = self._check(text)
        blocks = len(steps) > _SHORT_PIPELINE or any(step.spec.blocks for step in steps)
        prepared = Prepared(text, steps, blocks)
        if not any(step.spec.secret for step in steps):
            self._cache.put(text, prepared)
        return prepared

    def run_now(self, prepared: Prepared, caller: Caller = EVERYONE) -> Value:
        """Run what does not block.

        Parameters
        ----------
        prepared
            What `prepare` made of a text.
        caller
            Who asks.

        Returns
        -------
        The last command's result; an `AudioPlan` is for `iter_blocks`, an
        `EncodedPlan` for `Encoding`, and both fit into one reply.

        Raises
        ------
        RacsError
            The first command that failed ended the pipeline.
        ValueError
            It blocks.
        """
        if prepared.blocks or prepared.steps is None:
            raise ValueError(f"{prepared!r} has to be awaited")
        context = self._context_of(caller, prepared.steps)
        value: Value = None
        for step in prepared.steps:
            value = step.run(context, value)
        return self._finished(value)

    async def run(
        self,
        request: str | Prepared,
        caller: Caller = EVERYONE,
        reserve: Callable[[int], Awaitable[None]] | None = None,
        most: int = MAX_BIN,
    ) -> Value:
        """Run anything.

        Parameters
        ----------
        request
            A command text, or what `prepare` made of one.
        caller
            Who asks.
        reserve
            Waits until there are so many bytes of memory; raises `RacsError` if there are not.
        most
            The most bytes that a file may have, if it is one.

        Returns
        -------
        The same as `run_now`.

        Raises
        ------
        CommandError
            It cannot run as it stands; nothing has run.
        RacsError
            The first command that failed ended the pipeline.
        """
        prepared = self.prepare(request) if isinstance(request, str) else request
        steps = prepared.steps
        self._loop = trio.lowlevel.current_trio_token()
        if steps is None:
            steps = await self._in_thread(partial(self._check, prepared.text), self._limiter)
        context = self._context_of(caller, steps)
        value: Value = None
        for number, step in enumerate(steps, 1):
            if step.spec.weight and reserve is not None:
                await reserve(step.spec.weight)
            work = partial(step.run, context, value)
            if step.spec.evaluates:
                value = await self._in_turn(step, work)
            elif step.spec.blocks:
                value = await self._in_thread(work, self._limiter)
            else:
                value = work()
            if number % _SHORT_PIPELINE == 0:
                await trio.lowlevel.checkpoint()
        return self._finished(value, most)

    def _context_of(self, caller: Caller, steps: tuple[Step, ...]) -> Context:
        """Return what handlers get, if the caller may do all of a pipeline."""
        if caller is EVERYONE:
            return self._context
        context = msgspec.structs.replace(self._context, caller=caller)
        for step in steps:
            step.permit(context)
        return context

    def _finished(self, value: Value, most: int = MAX_BIN) -> Value:
        """Return a pipeline's result, if it can be a reply."""
        if isinstance(value, AudioPlan):
            check_reply_size(value)
        elif isinstance(value, EncodedPlan):
            check_encoded_size(value, self._spool, most)
        return value

    def _check(self, text: str) -> tuple[Step, ...]:
        if not self._table.may_hold_secret(text):
            return check(parse(text), text, self._table)
        try:
            return check(parse(text), text, self._table)
        except CommandError:
            pass
        # raised here, where the error that quotes the text is forgotten
        raise CommandError(
            "this cannot be understood, and is not quoted, since it may hold a secret:"
            " AUTH 'user' 'password' or AUTH 'token', as a command of its own"
        )

    async def _in_turn(self, step: Step, work: Callable[[], _T]) -> _T:
        """Do work that evaluates a program when it is its turn.

        Raises
        ------
        LimitError
            Too many wait already, or it has waited too long.
        """
        waiting = self._turns.statistics().tasks_waiting
        if waiting >= self._evaluations.waiting:
            raise LimitError(
                f"{step.spec.name}: {waiting} programs wait for their turn already, the most that"
                " may (setting eval_queue): try again later"
            )
        turn = object()
        patience = self._evaluations.patience
        with trio.move_on_after(patience) as waited:
            await self._turns.acquire_on_behalf_of(turn)
        if waited.cancelled_caught:
            raise LimitError(
                f"{step.spec.name}: other programs were at work all the {patience:g} s that this"
                " one may wait for its turn (setting eval_wait): try again later"
            )
        try:
            return await self._in_thread(work, trio.CapacityLimiter(1))
        finally:
            self._turns.release_on_behalf_of(turn)

    async def _in_thread(self, work: Callable[[], _T], limiter: trio.CapacityLimiter) -> _T:
        return await trio.to_thread.run_sync(work, limiter=limiter)

    def _shut_down(self) -> None:
        if self._loop is None:
            raise RuntimeError("only a command that is run in the event loop can end the server")
        self._loop.run_sync_soon(self._request_shutdown)
