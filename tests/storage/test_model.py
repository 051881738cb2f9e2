"""Hypothesis chooses what is done to the store and its model, in which order: see `model`.

``RACS_MODEL=<examples>x<steps>`` asks for a longer run, ``--hypothesis-seed`` for another one;
``scripts/torture`` does the same for hours.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from racs_server.storage import Durability
from tests.storage.choices import One, strategies
from tests.storage.model import BEGIN, RULES, StoreModel


def machine(durability: Durability) -> type[RuleBasedStateMachine]:
    """Return the state machine of all rules, under one durability setting."""

    class StoreMachine(RuleBasedStateMachine):
        model: StoreModel

        @initialize(**strategies({**BEGIN, "durability": One(durability)}))
        def begin(self, **arguments: Any) -> None:
            self.model = StoreModel(**arguments)

        @invariant()
        def shows_what_was_taken(self) -> None:
            self.model.check()

    for name, arguments in RULES.items():
        decorate: Callable[..., Any] = rule(**strategies(arguments))
        setattr(StoreMachine, name, decorate(_step(name)))
    return StoreMachine


def _step(name: str) -> Callable[..., None]:
    def step(self: Any, **arguments: Any) -> None:
        getattr(self.model, name)(**arguments)

    step.__name__ = name
    return step


@pytest.mark.parametrize("durability", Durability)
def test_the_store_keeps_what_it_promises(durability: Durability) -> None:
    examples, steps = os.environ.get("RACS_MODEL", "30x40").split("x")
    run_state_machine_as_test(
        machine(durability),
        settings=settings(
            max_examples=int(examples),
            stateful_step_count=int(steps),
            deadline=None,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
