"""What the arguments of a rule are chosen from: by Hypothesis, or by random numbers of a seed."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st


class Choice(ABC):
    """A set of values."""

    @abstractmethod
    def draw(self, rng: random.Random) -> Any:
        """Return one of them."""

    @abstractmethod
    def strategy(self) -> st.SearchStrategy[Any]:
        """Return the same for Hypothesis."""


class One(Choice):
    """One of a few values; the first is the simplest."""

    def __init__(self, *values: Any) -> None:
        self._values = values

    def draw(self, rng: random.Random) -> Any:
        return rng.choice(self._values)

    def strategy(self) -> st.SearchStrategy[Any]:
        return st.sampled_from(self._values)


class Whole(Choice):
    """A whole number; both bounds are possible."""

    def __init__(self, least: int, most: int) -> None:
        self._bounds = least, most

    def draw(self, rng: random.Random) -> int:
        return rng.randint(*self._bounds)

    def strategy(self) -> st.SearchStrategy[int]:
        return st.integers(*self._bounds)


class Maybe(Choice):
    """None, or a value of another choice."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice

    def draw(self, rng: random.Random) -> Any:
        return self._choice.draw(rng) if rng.random() < 0.5 else None

    def strategy(self) -> st.SearchStrategy[Any]:
        return st.none() | self._choice.strategy()


class Several(Choice):
    """A list of values of another choice."""

    def __init__(self, choice: Choice, most: int) -> None:
        self._choice, self._most = choice, most

    def draw(self, rng: random.Random) -> list[Any]:
        return [self._choice.draw(rng) for _ in range(rng.randint(0, self._most))]

    def strategy(self) -> st.SearchStrategy[list[Any]]:
        return st.lists(self._choice.strategy(), max_size=self._most)


class Together(Choice):
    """A tuple of values of other choices."""

    def __init__(self, *choices: Choice) -> None:
        self._choices = choices

    def draw(self, rng: random.Random) -> tuple[Any, ...]:
        return tuple(choice.draw(rng) for choice in self._choices)

    def strategy(self) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.tuples(*(choice.strategy() for choice in self._choices))


Arguments = Mapping[str, Choice]


def draw(arguments: Arguments, rng: random.Random) -> dict[str, Any]:
    """Return a value for each argument."""
    return {name: choice.draw(rng) for name, choice in arguments.items()}


def strategies(arguments: Arguments) -> dict[str, Any]:
    """Return the arguments for Hypothesis."""
    return {name: choice.strategy() for name, choice in arguments.items()}
