"""One pool of evaluating processes for all tests of a session: each program has its own process."""

from collections.abc import Iterator

import pytest

from racs_server.commands import TABLE, PoolEvaluator
from racs_server.sandbox import Budgets


@pytest.fixture(scope="session")
def evaluator() -> Iterator[PoolEvaluator]:
    made = PoolEvaluator(TABLE, Budgets(seconds=5.0), workers=1)
    yield made
    made.pool.close()
